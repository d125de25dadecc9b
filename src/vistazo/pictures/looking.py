"""One pass over the pictures of a source: each is read and decoded once, small, and a few numbers of it are kept.

What is kept is 0.5 KB a picture, whatever its size; beyond 256 MB of it, it lies in a nameless file that the system
writes out when memory is short.

Shape suffixes: N pictures, H height, W width, C channels, S values of a small picture.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vistazo.bundle import disk_sentence
from vistazo.engine.reports import number
from vistazo.errors import DiskError, SourceError, TooManyBroken
from vistazo.language import tr
from vistazo.pictures import decoding
from vistazo.pictures.shrinking import LIGHT_OF, SMALL_GREY, shrink, width_of
from vistazo.pictures.stores import Pixels, Store, reason_of
from vistazo.pictures.strokes import DRAWING

__all__ = [
    "BROKEN",
    "EMPTY",
    "FOREIGN",
    "Fault",
    "Looks",
    "bend",
    "is_foreign",
    "light_of",
    "look",
    "room",
    "sight",
]

Floats = NDArray[np.float32]

MOST_SIDE = 128  # pixels a picture is looked at with, on its longer side
IN_MEMORY = 256 << 20  # bytes of small pictures
TOLD = 10.0  # seconds between two sentences about it
_BURNT = 250  # levels from which on a pixel is burnt out

BROKEN, EMPTY, FOREIGN = "broken", "empty", "not-a-picture"
# How files of pictures begin; whatever begins otherwise is something else under a picture's name.
_BEGINNINGS = (
    *(b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"P%d" % kind for kind in range(1, 8)),
    DRAWING,
)


@dataclass(frozen=True)
class Fault:
    """A picture that could not be looked at. kind: one of BROKEN, EMPTY, FOREIGN. reason: a short sentence."""

    row: int
    where: str
    kind: str
    reason: str


@dataclass(frozen=True, eq=False)
class Looks:
    """What the pass found, a row of the store each.

    good: whether it could be decoded; where not, its numbers mean nothing.  hash: as in the Index.
    height, width: of the whole picture, upright.  small: as `shrinking` makes them.
    light, low, high: levels 0 to 255 of the mean, of the darkest and of the brightest hundredth of its fields.
    spread: standard deviation of its light.  burnt: share of its pixels that are white.
    sharp: logarithm of how much the light changes from pixel to pixel, beside how much it changes at all.
    """

    size: tuple[int, int, int]
    good: NDArray[np.bool_]
    hash: NDArray[np.bytes_]
    height: NDArray[np.int32]
    width: NDArray[np.int32]
    small: Pixels
    light: Floats
    low: Floats
    high: Floats
    spread: Floats
    burnt: Floats
    sharp: Floats
    faults: tuple[Fault, ...]


def is_foreign(data: bytes) -> bool:
    """Whether these bytes begin like no picture; nothing but zeros is what a failed copy leaves of one."""
    return not data.startswith(_BEGINNINGS) and b"ftyp" not in data[:12] and any(data[:512])


def sight(store: Store) -> tuple[int, int, int]:
    """(height, width, channels) that the pictures are looked at with: their usual ones, at most 128 a side."""
    try:
        height, width, channels = decoding.survey(store, np.arange(len(store)), most=200, seed=0)
    except TooManyBroken:
        return MOST_SIDE, MOST_SIDE, 3
    scale = min(1.0, MOST_SIDE / max(height, width))
    return max(8, round(height * scale)), max(8, round(width * scale)), channels


def look(
    store: Store,
    *,
    size: tuple[int, int, int],
    threads: int,
    say: Callable[[str], None] = lambda sentence: None,
) -> Looks:
    """Look at every picture of the store, in threads. Never raises for a picture; DiskError without room for a file.

    say: is told every ten seconds how far it is.
    """
    count = len(store)
    numbers = {
        name: np.zeros(count, dtype=np.float32)
        for name in ("light", "low", "high", "spread", "burnt", "sharp")
    }
    looks = Looks(
        size=size,
        good=np.zeros(count, dtype=np.bool_),
        hash=np.zeros(count, dtype="S32"),
        height=np.zeros(count, dtype=np.int32),
        width=np.zeros(count, dtype=np.int32),
        small=room(count, width_of(size[2])),
        faults=(),
        **numbers,
    )
    work = partial(_look_at_some, store, looks)
    faults: list[Fault] = []
    told = time.monotonic()
    for done, several in decoding.in_blocks(count, decoding.waiting(store, threads), work):
        faults += several
        if time.monotonic() - told > TOLD:
            told = time.monotonic()
            say(tr("looked at {done} of {count} pictures", done=number(done), count=number(count)))
    return replace(looks, faults=tuple(faults))


def room(count: int, width: int) -> Pixels:
    """(count, width) for small pictures: in memory, or, where they are many, in a nameless file. Raises DiskError."""
    if count * width <= IN_MEMORY:
        return np.zeros((count, width), dtype=np.uint8)
    try:
        with tempfile.TemporaryFile() as file:
            file.truncate(count * width)
            return np.memmap(file, dtype=np.uint8, mode="r+", shape=(count, width))
    except OSError as error:
        raise DiskError(disk_sentence(Path(tempfile.gettempdir()), error)) from error


def _look_at_some(store: Store, looks: Looks, first: int, last: int) -> list[Fault]:
    pixels = np.empty((last - first, *looks.size), dtype=np.uint8)
    faults = []
    for row in range(first, last):
        data: bytes | Pixels | None = None
        try:
            data = store.read(row)
            looks.hash[row] = decoding.content_hash(data)
            looks.height[row], looks.width[row] = decoding.dimensions(data)
            height, width, channels = looks.size
            pixels[row - first] = decoding.decode(data, height=height, width=width, channels=channels)
            looks.good[row] = True
        except (SourceError, OSError, MemoryError) as error:
            faults.append(_fault(row, store.name(row), data, error))
    rows = np.flatnonzero(looks.good[first:last])
    if len(rows):
        _measure(looks, rows + first, pixels[rows] if len(rows) < len(pixels) else pixels)
    return faults


def _fault(row: int, where: str, data: bytes | Pixels | None, error: Exception) -> Fault:
    if isinstance(data, bytes) and not data:
        return Fault(row, where, EMPTY, tr("the file is empty"))
    if isinstance(data, bytes) and is_foreign(data):
        return Fault(row, where, FOREIGN, tr("it is no picture in a known format"))
    return Fault(row, where, BROKEN, reason_of(error))


def _measure(looks: Looks, rows: NDArray[np.int64], pixels_NHWC: Pixels) -> None:
    """Write what pictures look like into the columns of `looks`."""
    small_NS = shrink(pixels_NHWC)
    looks.small[rows] = small_NS
    fields = small_NS[:, :SMALL_GREY]
    hundredth = max(1, fields.shape[1] // 100)
    ordered = np.sort(fields, axis=1)
    looks.light[rows] = fields.mean(1)
    looks.low[rows], looks.high[rows] = ordered[:, hundredth], ordered[:, -1 - hundredth]
    light_NHW = light_of(pixels_NHWC)
    looks.burnt[rows] = (light_NHW >= _BURNT).mean((1, 2))
    variance = light_NHW.var((1, 2))
    looks.spread[rows] = np.sqrt(variance)
    looks.sharp[rows] = np.log((bend(light_NHW) + 0.01) / (variance + 1.0))


def bend(light_NHW: Floats) -> Floats:
    """(N,) variance of the Laplacian: how much the light changes from pixel to pixel; 0 of pictures under 3 pixels.

    Source: Pertuz et al. 2013, "Analysis of focus measure operators", LAPV.
    """
    if min(light_NHW.shape[1:]) < 3:
        return np.zeros(len(light_NHW), dtype=np.float32)
    found = 4 * light_NHW[:, 1:-1, 1:-1]
    for part in (
        light_NHW[:, :-2, 1:-1],
        light_NHW[:, 2:, 1:-1],
        light_NHW[:, 1:-1, :-2],
        light_NHW[:, 1:-1, 2:],
    ):
        found -= part
    return np.asarray(found.var((1, 2)), dtype=np.float32)


def light_of(pixels_NHWC: Pixels) -> Floats:
    """(N, height, width) the light of pictures, 0 to 255."""
    if pixels_NHWC.shape[3] == 1:
        return pixels_NHWC[..., 0].astype(np.float32)
    weights = np.array(LIGHT_OF, dtype=np.float32) / 256
    return np.asarray(pixels_NHWC.astype(np.float32) @ weights, dtype=np.float32)
