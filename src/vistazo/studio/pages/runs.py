"""The first page: every run, what became of it, and the way to a new one."""

from urllib.parse import quote

from nicegui import ui

from vistazo.language import tr
from vistazo.studio.figures import headline
from vistazo.studio.parts import box, frame, link, words
from vistazo.studio.state import RunState, Studio

__all__ = ["add"]


def add(studio: Studio) -> None:
    """Make the page."""

    @ui.page("/", response_timeout=30)
    def page() -> None:
        with frame(studio, tr("My models")):
            found = studio.list_runs()
            if not found:
                words(
                    "p",
                    tr("There is no model yet. Give pictures in a folder for each thing to be told apart."),
                )
            link(tr("Make a new model"), "/new", kind="primary")
            finished = sum(one.state == "finished" for one in found)
            # A form of the browser's own: ticked names go into the address of the page that compares.
            with box("form", "", action="/compare", method="get"):
                with box("ul", "runs"):
                    for one in found:
                        _row(one, ticks=finished > 1)
                if finished > 1:
                    words("button", tr("Compare those that are ticked"), "button plain").props["type"] = (
                        "submit"
                    )


def _row(one: RunState, *, ticks: bool) -> None:
    with box("li", "run"):
        with box("span", "named"):
            if ticks and one.state == "finished":
                label = tr("compare {name}", name=one.run.name)
                box("input", "", type="checkbox", name="run", value=one.run.name, aria_label=label)
            link(one.run.name, f"/run/{quote(one.run.name)}")
        words("span", one.words, f"state {one.state}")
        shown = headline(one.run) if one.state == "finished" else ""
        if shown:
            words("span", shown, "figure")
