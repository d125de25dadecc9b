"""What each unit likes most: the pictures of a source that a channel answers to strongest, and the place in each.

One pass, in chunks; of each unit only its best pictures so far are kept, so memory does not grow with the source. The
value of a channel is the largest of its map. After Zeiler, Fergus 2014, arXiv:1311.2901, section 4, without the
deconvolution: shown is the part of the picture that the place sees.

Shape suffixes: N pictures, U units, T pictures kept of each, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vistazo.classification.inside.layers import Layer
from vistazo.classification.inside.maps import run
from vistazo.errors import SourceError, TooFewExamples
from vistazo.language import tr
from vistazo.pictures import decoding, sources
from vistazo.pictures.crops import cropped
from vistazo.pictures.stores import reason_of

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["Liked", "Likes", "like"]

Pixels = npt.NDArray[np.uint8]
CHUNK = 64


@dataclass(frozen=True, eq=False)
class Liked:
    """A picture that a unit likes. value: the largest of its map. box: top, bottom, left, right of what it saw.

    label: the picture's class, '' where it has none. pixels_HWC: the picture as the model sees it.
    """

    file: str
    label: str
    value: float
    box: tuple[int, int, int, int]
    pixels_HWC: Pixels


@dataclass(frozen=True, eq=False)
class Likes:
    """of: for each unit the pictures it likes, the most liked first. pictures: how many were looked at.

    unreadable: those that could not be, with the reason.
    """

    of: dict[int, list[Liked]]
    pictures: int
    unreadable: list[dict[str, str]]


@dataclass(frozen=True, eq=False)
class _Chunk:
    names: list[str]
    labels: list[str]
    pixels_NHWC: Pixels


def like(
    model: Classifier, source: Any, layer: Layer, units: list[int], *, most: int, say: Callable[[str], None]
) -> Likes:
    """The `most` pictures of a source that each unit (channels from 0 on) of a layer likes most.

    Raises SourceError where the source cannot be read, TooFewExamples where it has no picture that can.
    """
    unreadable: list[dict[str, str]] = []
    best = _Best(len(units), most)
    chosen = torch.tensor(units)
    for chunk in _chunks(model, source, unreadable, say):
        found: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]] = []

        def keep(number: int, output: Tensor, found: list[Any] = found) -> None:
            if number == layer.number:
                flat_NUP = output[:, chosen.to(output.device)].float().flatten(2 if output.dim() == 4 else 1)
                flat_NUP = flat_NUP if output.dim() == 4 else flat_NUP[:, :, None]
                values, places = flat_NUP.max(2)
                found.append((values.cpu().numpy(), places.cpu().numpy()))

        run(model, chunk.pixels_NHWC, keep)
        best.take(chunk, *found[0])
    if not best.count:
        reason = unreadable[-1]["reason"] if unreadable else tr("there are no pictures")
        raise TooFewExamples(
            tr(
                "None of the pictures of {source} can be read; the last: {reason}.",
                source=source,
                reason=reason,
            )
        )
    return Likes(best.liked(units, layer, model.size), best.count, unreadable)


class _Best:
    """The best pictures of each unit so far. The pixels of those alone are kept."""

    def __init__(self, units: int, most: int) -> None:
        self.count = 0
        self._most = most
        self._value_UT = np.empty((units, 0), np.float32)
        self._place_UT = np.empty((units, 0), np.int64)
        self._row_UT = np.empty((units, 0), np.int64)
        self._kept: dict[int, tuple[str, str, Pixels]] = {}

    def take(
        self, chunk: _Chunk, values_NU: npt.NDArray[np.float32], places_NU: npt.NDArray[np.int64]
    ) -> None:
        units, new = len(self._value_UT), len(values_NU)
        rows = np.tile(np.arange(self.count, self.count + new), (units, 1))
        values = np.concatenate([self._value_UT, values_NU.T], axis=1)
        # Equal values keep the order of the source, so that the answer does not hang on the chunks.
        order = np.argsort(-values, axis=1, kind="stable")[:, : self._most]
        self._value_UT = np.take_along_axis(values, order, 1)
        self._place_UT = np.take_along_axis(np.concatenate([self._place_UT, places_NU.T], axis=1), order, 1)
        self._row_UT = np.take_along_axis(np.concatenate([self._row_UT, rows], axis=1), order, 1)
        needed = set(self._row_UT.ravel().tolist())
        self._kept = {row: one for row, one in self._kept.items() if row in needed}
        for at in range(new):
            if self.count + at in needed:
                self._kept[self.count + at] = (
                    chunk.names[at],
                    chunk.labels[at],
                    chunk.pixels_NHWC[at].copy(),
                )
        self.count += new

    def liked(self, units: list[int], layer: Layer, size: tuple[int, int, int]) -> dict[int, list[Liked]]:
        found: dict[int, list[Liked]] = {}
        columns = layer.shape[1] if len(layer.shape) == 3 else 1
        for at, unit in enumerate(units):
            found[unit] = []
            for value, place, row in zip(
                self._value_UT[at].tolist(),
                self._place_UT[at].tolist(),
                self._row_UT[at].tolist(),
                strict=True,
            ):
                name, label, pixels = self._kept[row]
                box = (0, size[0], 0, size[1])
                if layer.field is not None:
                    box = layer.field.box(place // columns, place % columns, size[0], size[1])
                found[unit].append(Liked(name, label, value, box, pixels))
        return found


# ---------------------------------------------------------------- the pictures of a source
def _chunks(
    model: Classifier, source: Any, unreadable: list[dict[str, str]], say: Callable[[str], None]
) -> Iterator[_Chunk]:
    """The pictures of a source at the model's size, some at a time; without labels, as `predict` reads them."""
    try:
        found = cropped(sources.read_source(source, classes_file=None, say=say))
    except SourceError as error:
        yield from _unlabelled(model, source, unreadable, error)
        return
    height, width, channels = model.size
    index = found.index
    unreadable += [{"file": one.where, "reason": one.reason} for one in found.broken]
    for first in range(0, len(index), CHUNK):
        rows = np.arange(first, min(first + CHUNK, len(index)))
        loaded = decoding.load(
            found.store, rows, height=height, width=width, channels=channels, threads=model.compute.threads,
            background=model.background,
        )  # fmt: skip
        unreadable += [{"file": one.where, "reason": one.reason} for one in loaded.broken]
        if len(loaded.rows):
            names = [str(index.where[row]) for row in loaded.rows]
            labels = [_label(index, int(row)) for row in loaded.rows]
            yield _Chunk(names, labels, loaded.pixels[:])


def _label(index: Any, row: int) -> str:
    if index.labels is not None:
        return ", ".join(index.classes[one] for one in np.flatnonzero(index.labels[row]))
    return index.classes[index.label[row]] if index.label[row] >= 0 else ""


def _unlabelled(
    model: Classifier, source: Any, unreadable: list[dict[str, str]], refused: SourceError
) -> Iterator[_Chunk]:
    """The pictures of files, folders or archives without labels. Raises what was said of the source where none are."""
    height, width, channels = model.size
    if (
        not isinstance(source, np.ndarray)
        and not hasattr(source, "__fspath__")
        and not isinstance(source, str)
    ):
        raise refused
    names: list[str] = []
    pixels: list[Pixels] = []
    found = 0
    for name, given in sources.iterate_files([source]):
        try:
            if isinstance(given, str):
                unreadable.append({"file": name, "reason": given})
                continue
            pixels.append(
                decoding.decode(
                    given, height=height, width=width, channels=channels, background=model.background
                )
            )
            names.append(name)
            found += 1
        except (SourceError, OSError, MemoryError) as error:
            unreadable.append({"file": name, "reason": reason_of(error)})
        if len(names) == CHUNK:
            yield _Chunk(names, [""] * len(names), np.stack(pixels))
            names, pixels = [], []
    if names:
        yield _Chunk(names, [""] * len(names), np.stack(pixels))
    if not found:
        raise refused
