"""Runs beside each other: their figures in a table, their curves in one drawing."""

from pathlib import Path
from typing import Annotated

from fastapi import Query
from nicegui import ui

from vistazo.engine import history
from vistazo.engine.reports import Curves, to_svg
from vistazo.errors import VistazoError
from vistazo.language import tr
from vistazo.studio.figures import facts_of
from vistazo.studio.parts import Message, box, frame, link, words
from vistazo.studio.state import Studio

__all__ = ["add"]

MOST = 4  # runs side by side: as many as lines can be told apart


def add(studio: Studio) -> None:
    """Make the page."""

    @ui.page("/compare", response_timeout=30)
    def page(run: Annotated[list[str], Query()] = []) -> None:  # noqa: B006 (FastAPI copies it)
        with frame(studio, tr("Models side by side")):
            try:
                runs = [studio.run(name) for name in dict.fromkeys(run)]
            except VistazoError as error:
                Message(alert=True).say(str(error), wrong=True)
                runs = []
            if len(runs) < 2:
                words("p", tr("Tick two or more models in the list, then compare them."))
            else:
                _draw(runs[:MOST])
            with box("div", "row"):
                link(tr("All my models"), "/", kind="plain")


def _draw(runs: list[Path]) -> None:
    facts = {one.name: facts_of(one) for one in runs}
    names = list(dict.fromkeys(name for one in facts.values() for name in one))
    with box("div", "scroll", tabindex="0", role="region", aria_label=tr("Figures side by side")):
        with box("table", "beside"):
            with box("thead"), box("tr"):
                words("td", "")
                for name in facts:
                    with box("th", scope="col"):
                        link(name, f"/run/{name}")
            with box("tbody"):
                for name in names:
                    with box("tr"):
                        words("th", name).props["scope"] = "row"
                        for one in facts.values():
                            words("td", one.get(name, "-"))
    lines = {one.name: _validation(one / "history.jsonl") for one in runs}
    xs = sorted({x for line in lines.values() for x in line})
    if len(xs) > 1:
        with box("figure", "wide"):
            words("figcaption", tr("Right answers on validation, epoch by epoch"))
            series = {name: [line.get(x) for x in xs] for name, line in lines.items() if line}
            ui.html(to_svg(Curves(xs, series, tr("epoch"), "")), sanitize=False)


def _validation(path: Path) -> dict[float, float]:
    return dict(history.curves(history.read(path), "accuracy").get("validation", ()))
