"""The first page: every run, what became of it, and the way to a new one."""

from typing import Any
from urllib.parse import quote

from nicegui import ui

from vistazo.engine.reports import number, percent
from vistazo.engine.runs import read_json
from vistazo.language import tr
from vistazo.studio.parts import box, frame, link, words
from vistazo.studio.state import RunState, Studio

__all__ = ["add", "figure"]


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
        shown = figure(one)
        if shown:
            words("span", shown, "figure")


def figure(one: RunState) -> str:
    """The one figure of a finished run, with its interval, in words; '' where it has none."""
    measured: Any = read_json(one.run / "metrics.json").get("metrics")
    if one.state != "finished" or not isinstance(measured, dict):
        return ""
    figures: Any = measured.get("test") or measured.get("validation")
    if not isinstance(figures, dict):
        return ""
    if isinstance(figures.get("accuracy"), float) and isinstance(figures.get("accuracy_low"), float):
        return tr(
            "{value} right (between {low} and {high}; n = {n})",
            value=percent(figures["accuracy"], 1),
            low=percent(figures["accuracy_low"], 1),
            high=percent(figures["accuracy_high"], 1),
            n=number(figures["n"]),
        )
    name, value = next(((name, one) for name, one in figures.items() if isinstance(one, float)), ("", 0.0))
    return f"{tr(name.replace('_', ' '))} {number(value, 3)}" if name else ""
