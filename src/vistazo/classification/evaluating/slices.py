"""Accuracy in slices that nobody labelled: by light, contrast, sharpness, size, folder and group.

Of a number, the pictures are cut into quarters by it; of a name, those of one name are a slice. Each slice is tested
against all other pictures by Fisher's exact test; by Holm's rule over all slices together, what is called a finding is
none by chance at 95 % certainty, however many slices there are.

Shape suffixes: N pictures, H height, W width, C channels.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.evaluating.exact import fisher, holm
from vistazo.engine.figures import wilson_interval
from vistazo.language import mark
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import NUMBERED, Index, part_named
from vistazo.pictures.looking import bend, light_of

__all__ = ["Column", "Slice", "examine", "named", "numbers", "of_index", "of_pixels"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FEWEST = 10  # pictures of a slice; fewer are part of no slice
MOST = 40  # slices of one kind: the largest
SURE = 0.05
QUARTERS = 4
_BLOCK = 8 << 20  # bytes of pixels at once: their light takes four times as much, twice
# What the slices are called; shown as words.
_KINDS = (
    *(mark("light"), mark("contrast"), mark("sharpness"), mark("pixels of the original")),
    *(mark("folder"), mark("group")),
)


@dataclass(frozen=True)
class Slice:
    """Some of the pictures. kind: what they have in common; low, high: between which values, or name: of what.

    share_low to share_high: the 95 % interval of accuracy. rest: accuracy of all other pictures. p: of Fisher's test;
    adjusted: by Holm's rule over all slices; finding: whether that is below 0.05.
    """

    kind: str
    name: str
    low: float | None
    high: float | None
    n: int
    right: int
    accuracy: float
    share_low: float
    share_high: float
    rest: float
    p: float
    adjusted: float = 1.0
    finding: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Column:
    """Which slice each picture is in. code: (N,) its number, -1 for none. slices: (name, low, high) of each."""

    code: Ints
    slices: Sequence[tuple[str, float | None, float | None]]


def examine(right_N: Bools, columns: Mapping[str, Column]) -> list[Slice]:
    """Every slice of every column, in their order. right_N: whether each picture was answered rightly."""
    found: list[Slice] = []
    n, right = len(right_N), int(right_N.sum())
    for kind, column in columns.items():
        inside = column.code >= 0
        sizes = np.bincount(column.code[inside], minlength=len(column.slices))
        good = np.bincount(column.code[inside], weights=right_N[inside], minlength=len(column.slices))
        for at, (name, low, high) in enumerate(column.slices):
            size, hits = int(sizes[at]), int(good[at])
            if not 0 < size < n:
                continue
            ends = wilson_interval(hits, size)
            rest = (right - hits, n - size)
            p = fisher((hits, size), rest)
            found.append(Slice(kind, name, low, high, size, hits, hits / size, *ends, rest[0] / rest[1], p))
    adjusted = holm([one.p for one in found])
    return [
        Slice(**{**asdict(one), "adjusted": float(worth), "finding": bool(worth < SURE)})
        for one, worth in zip(found, adjusted, strict=True)
    ]


def numbers(values_N: Floats) -> Column | None:
    """Quarters of pictures by a number, NaN for unknown; None where it hardly differs or too few have it.

    Pictures of one value stay in one quarter, so quarters may be uneven.
    """
    known = np.isfinite(values_N)
    if known.sum() < QUARTERS * FEWEST:
        return None
    edges = np.unique(np.quantile(values_N[known], np.arange(1, QUARTERS) / QUARTERS))
    code = np.where(known, np.searchsorted(edges, values_N, side="left"), -1).astype(np.int64)
    filled = [at for at in range(len(edges) + 1) if (code == at).sum() >= FEWEST]
    if len(filled) < 2:
        return None
    place = np.full(len(edges) + 2, -1)  # the last is that of -1
    place[filled] = np.arange(len(filled))
    ends = [values_N[code == at] for at in filled]
    return Column(place[code], [("", float(one.min()), float(one.max())) for one in ends])


def named(names: Sequence[str]) -> Column | None:
    """The pictures of each name that enough of them have, '' for none; the 40 most common at most. None with one."""
    words, code, count = np.unique(np.array(names, dtype=object), return_inverse=True, return_counts=True)
    able = [at for at in np.argsort(-count, kind="stable").tolist() if count[at] >= FEWEST and words[at]]
    if len(words) < 2 or not able:
        return None
    kept = sorted(able[:MOST])
    place = np.full(len(words), -1)
    place[kept] = np.arange(len(kept))
    return Column(place[code], [(str(words[at]), None, None) for at in kept])


def of_pixels(pixels: PictureArray) -> dict[str, Column]:
    """Slices by light (mean, 0 to 255), contrast (its standard deviation) and sharpness (variance of the Laplacian)."""
    values = np.empty((3, len(pixels)))
    height, width, channels = pixels.shape[1:]
    at_once = max(1, _BLOCK // (height * width * channels))
    for first in range(0, len(pixels), at_once):
        light_NHW = light_of(pixels[first : first + at_once])
        to = slice(first, first + len(light_NHW))
        values[0, to], values[1, to] = light_NHW.mean((1, 2)), light_NHW.std((1, 2))
        values[2, to] = bend(light_NHW)
    return _kept(
        {name: numbers(one) for name, one in zip(("light", "contrast", "sharpness"), values, strict=True)}
    )


def of_index(index: Index, rows_N: Ints, area_N: Floats | None = None) -> dict[str, Column]:
    """Slices by the size of the original (area_N: its pixels, NaN for unknown), folder and group.

    The folder of a class or of a part is none: the table of classes shows the one, and the other was chosen.
    """
    found: dict[str, Column | None] = {}
    if area_N is not None:
        found["pixels of the original"] = numbers(area_N)
    if index.kind not in NUMBERED:
        classes = frozenset(index.classes)
        found["folder"] = named([_folder(index.where[row], classes) for row in rows_N.tolist()])
    group_N = index.group[rows_N]
    if (group_N >= 0).any():
        first: dict[int, str] = {}
        for group, row in zip(group_N.tolist(), rows_N.tolist(), strict=True):
            first.setdefault(group, index.where[row])
        found["group"] = named([first[group] if group >= 0 else "" for group in group_N.tolist()])
    return _kept(found)


def _folder(where: str, classes: frozenset[str]) -> str:
    steps = posixpath.dirname(where).split("/")
    return "/".join(one for one in steps if one and one not in classes and not part_named(one))


def _kept(columns: Mapping[str, Column | None]) -> dict[str, Column]:
    return {name: column for name, column in columns.items() if column is not None}
