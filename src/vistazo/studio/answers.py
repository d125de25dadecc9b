"""An answer as a page shows it: what was said, every class with its bar, what the model saw, and why."""

from collections.abc import Callable
from typing import Any

import numpy as np
from nicegui.element import Element
from numpy.typing import NDArray

from vistazo.engine.reports import percent
from vistazo.language import tr
from vistazo.pictures.drawing import png, thumbnail
from vistazo.studio.parts import box, button, words
from vistazo.studio.pieces import picture

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
    with box("ol", "vz-bars", aria_label=tr("Classes and their probabilities")):
        for name, share in top:
            with box("li"):
                words("span", str(name), "vz-name")
                words("span", percent(share), "vz-share")
                with box("div", "vz-track", aria_hidden="true"):
                    box("div", "vz-fill").style(f"width: {100 * float(share):.1f}%")


def seen(pixels_HWC: Pixels, shown: str) -> Element:
    """What the model is given, enlarged; small pictures with hard edges, so that each pixel is seen."""
    small = max(pixels_HWC.shape[:2]) <= 48
    kind = "image/png" if small else "image/jpeg"
    return picture(thumbnail(pixels_HWC, SEEN), kind, shown, "vz-seen" if small else "vz-seen vz-fine")


def show_answer(
    name: str,
    pixels_HWC: Pixels,
    answer: dict[str, Any],
    *,
    why: Callable[[], Any] | None = None,
) -> Element:
    """One answer, drawn into the current container. why: what a click on 'Why?' does."""
    with box("div", "vz-card vz-answer") as card:
        with box("figure", "vz-figure"):
            seen(pixels_HWC, tr("What the model sees of {name}", name=name))
            words("figcaption", tr("what the model sees"), "vz-soft")
        with box("div", "vz-stack"):
            words("p", name, "vz-soft")
            words("p", said(answer), "vz-said")
            bars(answer["top"])
            if why is not None:
                button(tr("Where does the answer come from?"), why)
    return card


def maps_of(model: Any, pixels_HWC: Pixels) -> list[tuple[str, Pixels]]:
    """(class, picture with the map laid over it) of the two most probable classes."""
    told = model.explain(pixels_HWC[None])
    (found,) = told.pictures
    return list(zip(found.classes, found.panels()[1:], strict=True))


def heat_map(maps: list[tuple[str, Pixels]]) -> None:
    """Heat maps side by side, with what they mean."""
    with box("div", "row"):
        for name, laid in maps:
            with box("figure"):
                shown = tr("What speaks for {name}", name=name)
                picture(png(laid), "image/png", shown, "vz-map")
                words("figcaption", shown, "vz-soft")
    words("p", tr("Bright places speak for the class. A map shows what the network used, not what is right."),
          "vz-soft")  # fmt: skip
