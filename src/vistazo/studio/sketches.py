"""A drawing made on the page, brought to what a model learnt from.

Small grey pictures of drawn things (MNIST, Quick, Draw!, scanned letters) have a manner of their own: light on dark or
dark on light, lines of some width, things that fill so much of the picture, centred by their mass or by the box around
them. A drawing in another manner is of another world, and the answer to it worth little. So the manner is measured on
the model's own training pictures, where they are still at hand; else the mean of its training part says which of light
and dark is the ground, and the rest is as in MNIST.
Source: MNIST's digits fill 20 of 28 pixels and are centred by mass (LeCun et al. 1998, 'Gradient-based learning applied
to document recognition', section III A).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import VistazoError
from vistazo.language import tr
from vistazo.pictures import decoding, sources
from vistazo.pictures.index import read_index
from vistazo.pictures.strokes import drawing
from vistazo.remote.addresses import is_url

__all__ = ["MNIST", "Manner", "examples", "manner_of", "measured", "sketch"]

Pixels = NDArray[np.uint8]
SMALL = 64  # pixels a side: larger pictures are photographs, and a drawing is shown to them as it is
SAMPLE = 200  # training pictures that are measured
_FINE = 448  # pixels a drawing is rendered with at least, before it is reduced
_DOT = 24.0  # of 256 units: what is smaller is meant to be small
_THICKEST = 0.15  # of the picture's side: what is wider is no line, but a thing such as a shirt


@dataclass(frozen=True)
class Manner:
    """How drawn things stand in a model's pictures.

    light: light lines on a dark ground. extent: the longer side of the thing, ink included; width: that of a line; both
    as shares of the picture's side. by_mass: centred by mass, else by the box around it. measured: on how many
    training pictures. fitted: false where a drawing is shown as it stands on the paper.
    """

    light: bool
    extent: float = 20 / 28
    width: float = 2.4 / 28
    by_mass: bool = True
    measured: int = 0
    fitted: bool = True

    def sentence(self) -> str:
        """What is done with a drawing, for the person who draws."""
        ground = tr("light lines on a dark ground") if self.light else tr("dark lines on a light ground")
        if not self.fitted:
            return tr("The model gets your drawing as it stands on the paper: {ground}.", ground=ground)
        place = tr("centred by its mass") if self.by_mass else tr("centred by the box around it")
        told = tr(
            "Your drawing is brought to what the model learnt from: {ground}, {place}, over {share} % of the picture.",
            ground=ground,
            place=place,
            share=round(100 * self.extent),
        )
        if self.measured:
            return told + " " + tr("This was measured on {n} of its training pictures.", n=self.measured)
        return told + " " + tr("Its training pictures are not at hand: this is guessed from their mean.")


MNIST = Manner(light=True)


# ---------------------------------------------------------------- what the model learnt from
def manner_of(model: Any, run: Path) -> Manner:
    """How a drawing is to be shown to a classifier. run: the folder it was trained in."""
    height, width, _ = model.size
    mean = np.asarray(model.normaliser.mean, dtype=np.float64)
    # Networks of tutorials divide by 255 alone, and those pretrained have another set's mean: neither tells.
    light = bool(mean.mean() < 127.5) if mean.any() else True
    grey = float(np.ptp(mean)) < 1
    if max(height, width) > SMALL or not grey:
        return Manner(light=False, extent=1.0, width=16 / 256, fitted=False)
    pictures_NHWC = examples(run, model.size)
    found = None if pictures_NHWC is None else measured(pictures_NHWC)
    return found or replace(MNIST, light=light)


def measured(pictures_NHWC: Pixels) -> Manner | None:
    """The manner of training pictures, (N, h, w, channels) uint8; None where they are no drawings.

    A line's width is twice its area over the length of its outline: the area is the sum of ink, the outline the sum
    of the gradient's length (coarea formula), so that grey edges count as what they are.
    """
    if len(pictures_NHWC) < 8:
        return None
    values = pictures_NHWC.astype(np.float64).mean(3) / 255
    border = np.concatenate([values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1]], axis=1)
    if np.median(np.abs(border - np.median(border))) > 0.1:
        return None  # no ground of one colour
    light = bool(np.median(border) < 0.5)
    ink = values if light else 1 - values
    ink -= np.minimum(np.median(border if light else 1 - border), 0.4)  # paper is seldom quite white
    ink = ink.clip(0) / np.maximum(ink.max(axis=(1, 2), keepdims=True), 1e-6)
    told = [one for one in map(_measured, ink) if one is not None]
    if len(told) < 8:
        return None
    wide, extent, mass, box = np.median(np.array(told), axis=0)
    if wide > _THICKEST:
        return None
    return Manner(light, float(min(extent, 0.98)), float(max(wide, 0.03)), bool(mass < box), len(told))


def _measured(ink_HW: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """(width of a line, longer side, distance of mass and of box from the middle), as shares of the picture's side."""
    there = ink_HW > 0.25
    if not there.any() or there.mean() > 0.6:
        return None
    side = max(ink_HW.shape)
    down, right = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    outline = np.hypot(np.diff(ink_HW, axis=0, append=0), np.diff(ink_HW, axis=1, append=0)).sum()
    middle = np.array(ink_HW.shape) / 2
    rows, columns = np.indices(ink_HW.shape) + 0.5
    mass = np.array([(ink_HW * rows).sum(), (ink_HW * columns).sum()]) / ink_HW.sum()
    box = np.array([down[0] + down[-1] + 1, right[0] + right[-1] + 1]) / 2
    return (
        float(2 * ink_HW.sum() / outline) / side,
        (max(int(np.ptp(down)), int(np.ptp(right))) + 1) / side,
        float(np.hypot(*(mass - middle))) / side,
        float(np.hypot(*(box - middle))) / side,
    )


def examples(run: Path, size: tuple[int, int, int]) -> Pixels | None:
    """Some pictures that a run was trained on, (N, h, w, c) uint8; None where they are no longer on this computer.

    They are read by the run's index, which names them; nothing is raised for what is gone, and nothing fetched.
    """
    height, width, channels = size
    index = run / "index.parquet"
    try:
        if is_url(read_index(index).source):
            return None
        found = sources.read_source(index, classes_file=None)
        rows = np.flatnonzero(found.index.split == "train")
        chosen = (
            rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int)] if len(rows) else rows
        )
        loaded = decoding.load(
            found.store, np.unique(chosen), height=height, width=width, channels=channels, threads=2
        )
    except (VistazoError, OSError, ValueError, MemoryError):
        return None
    return np.asarray(loaded.pixels[np.arange(len(loaded.rows))]) if len(loaded.rows) else None


# ---------------------------------------------------------------- the drawing itself
def sketch(strokes: Sequence[Any], manner: Manner, size: tuple[int, int, int]) -> Pixels:
    """Strokes as the model gets them: uint8 of `size`, (height, width, channels).

    strokes: of each the x and the y of its points, on paper 256 units wide, y down.
    Raises SourceDamaged where they are no such lists, or none.
    """
    height, width, channels = size
    drawing(strokes)  # raises where they are none
    lines = [np.array(stroke[:2], dtype=np.float64).T.clip(0, 256) for stroke in strokes]
    side = max(height, width)
    if not manner.fitted:
        paper = _rendered(lines, max(side, 256), manner.width)
    else:
        points = np.concatenate(lines)
        least, most = points.min(axis=0), points.max(axis=0)
        reach = max(float((most - least).max()), _DOT)
        scale = 256 * max(manner.extent - manner.width, 0.05) / reach
        centred = [(line - (least + most) / 2) * scale + 128 for line in lines]
        paper = _rendered(centred, side, manner.width)
        if manner.by_mass and paper.any():
            rows, columns = np.indices(paper.shape) + 0.5
            mass = np.array([(paper * columns).sum(), (paper * rows).sum()]) / paper.sum()
            paper = _rendered([line + 128 - 256 * mass / side for line in centred], side, manner.width)
    grey = paper if manner.light else 255 - paper
    ground = "black" if manner.light else "white"
    return decoding.decode(
        np.repeat(grey[:, :, None], channels, axis=2) if channels == 3 else grey,
        height=height,
        width=width,
        channels=channels,
        background=ground,
    )


def _rendered(lines: Sequence[NDArray[Any]], side: int, width: float) -> Pixels:
    """Lines on paper of 256 units as (side, side) uint8, 255 on 0, antialiased; width as a share of the side."""
    from PIL import Image, ImageDraw

    fine = min(16, max(2, round(_FINE / side)))
    scale = fine * side / 256
    image = Image.new("L", (fine * side, fine * side))
    pen = ImageDraw.Draw(image)
    wide = max(1, round(width * fine * side))
    radius = max(0.0, (width * fine * side - 1) / 2)
    for line in lines:
        corners = [(float(x), float(y)) for x, y in line * scale]
        pen.line(corners, fill=255, width=wide)
        for x, y in dict.fromkeys(corners):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image.reduce(fine))
