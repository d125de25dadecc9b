"""An answer as a page shows it: what was said, every class with its bar, what the model saw, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from vistazo.engine.reports import percent
from vistazo.language import tr
from vistazo.pictures.drawing import png, thumbnail
from vistazo.studio.handling import data_url, picture

__all__ = ["bars", "heat_map", "maps_of", "said", "seen", "show_answer"]

Pixels = NDArray[np.uint8]
SEEN = 224  # pixels of the longer side of what the model saw, as shown


def said(answer: dict[str, Any]) -> str:
    """An answer in a few words: the class, the labels, or that the model does not know."""
    if "classes" in answer:
        return ", ".join(answer["classes"]) or tr("no label")
    share = percent(answer["probability"])
    if not answer.get("known", True):
        return tr("I don't know (perhaps {name}, {share})", name=answer["class"], share=share)
    return f"{answer['class']} {share}"


def bars(top: list[list[Any]]) -> None:
    """Classes with their probabilities: a list in words, each with a bar that a screen reader passes over."""
    with _list():
        for name, share in top:
            with ui.element("li"):
                ui.label(str(name)).classes("vz-name")
                ui.label(percent(share)).classes("vz-share")
                with ui.element("div").classes("vz-track").props("aria-hidden=true"):
                    ui.element("div").classes("vz-fill").style(f"width: {100 * float(share):.1f}%")


def _list() -> ui.element:
    listed = ui.element("ol").classes("vz-bars")
    listed.props["aria-label"] = tr("Classes and their probabilities")
    return listed


def seen(pixels_HWC: Pixels, words: str) -> ui.element:
    """What the model is given, enlarged; small pictures with hard edges, so that each pixel is seen."""
    small = max(pixels_HWC.shape[:2]) <= 48
    kind = "image/png" if small else "image/jpeg"
    shown = picture(data_url(thumbnail(pixels_HWC, SEEN), kind), words, "vz-seen")
    return shown if small else shown.classes("vz-fine")


def show_answer(
    name: str,
    pixels_HWC: Pixels,
    answer: dict[str, Any],
    *,
    why: Callable[[], Any] | None = None,
) -> ui.element:
    """One answer, drawn into the current container. why: what a click on 'Why?' does."""
    with ui.element("div").classes("vz-card vz-answer") as card:
        with ui.element("figure").style("margin: 0"):
            seen(pixels_HWC, tr("What the model sees of {name}", name=name))
        with ui.element("div").classes("vz-stack"):
            ui.label(name).classes("vz-soft")
            ui.label(said(answer)).classes("vz-said")
            bars(answer["top"])
            if why is not None:
                button = ui.button(tr("Where does the answer come from?"), on_click=why)
                button.props("flat no-caps dense").style("align-self: flex-start")
    return card


def maps_of(model: Any, pixels_HWC: Pixels) -> list[tuple[str, Pixels]]:
    """(class, picture with the map laid over it) of the two most probable classes."""
    told = model.explain(pixels_HWC[None])
    (found,) = told.pictures
    return list(zip(found.classes, found.panels()[1:], strict=True))


def heat_map(maps: list[tuple[str, Pixels]]) -> None:
    """Heat maps side by side, with what they mean."""
    with ui.element("div").classes("vz-row"):
        for name, panel in maps:
            with ui.element("figure").style("margin: 0"):
                picture(data_url(png(panel), "image/png"), tr("What speaks for {name}", name=name), "vz-map")
                with ui.element("figcaption"):
                    ui.label(tr("What speaks for {name}", name=name)).classes("vz-soft")
    ui.label(
        tr("Bright places speak for the class; a map shows what the network used, not what is right.")
    ).classes("vz-soft")
