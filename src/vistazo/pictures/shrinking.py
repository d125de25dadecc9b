"""Every picture becomes a small one: 16 x 16 of light and 8 x 8 of either colour difference.

Sums are whole numbers, so that the same pictures give the same answer whatever the threads.

Shape suffixes: N pictures, H height, W width, C channels, S values of a small picture.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLOUR_SIDE", "LIGHT_OF", "SIDE", "SMALL_COLOUR", "SMALL_GREY", "shrink", "width_of"]

Pixels = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

SIDE, COLOUR_SIDE = 16, 8
SMALL_GREY = SIDE * SIDE
SMALL_COLOUR = SMALL_GREY + 2 * COLOUR_SIDE**2
_BLOCK = 1 << 20  # numbers converted at once: what stays in a processor's own memory

# Light and colour differences of red, green, blue, in 256ths: ITU-R BT.601.
LIGHT_OF, _BLUE, _RED = (77, 150, 29), (-77, -150, 227), (179, -150, -29)


def width_of(channels: int) -> int:
    """How many numbers a small picture has."""
    return SMALL_GREY if channels == 1 else SMALL_COLOUR


def shrink(pixels_NHWC: Pixels) -> Pixels:
    """(N, 256) or, of colour, (N, 384) uint8: the mean light of 16 x 16 fields, then of 8 x 8 blue and red less light.

    pixels_NHWC: uint8 (pictures, height, width, 1 or 3). Differences are halved, 128 is none. Sums are whole numbers
    below 2**24, which float32 holds exactly, so threads do not matter.
    """
    count, height, width, channels = pixels_NHWC.shape
    across = _across(width, channels)
    down = _area(height, SIDE).astype(np.float32)
    found = np.empty((count, width_of(channels)), dtype=np.uint8)
    step = max(1, _BLOCK // (height * width * channels))
    for first in range(0, count, step):
        block = pixels_NHWC[first : first + step]
        lines = block.reshape(-1, width * channels).astype(np.float32) @ across
        lines = np.floor(lines / 256).reshape(len(block), height, -1)
        found[first : first + step, :SMALL_GREY] = _down(lines[:, :, :SIDE], down, 0)
        if channels == 3:
            coarse = _area(height, COLOUR_SIDE).astype(np.float32)
            for at in range(2):
                start = SIDE + at * COLOUR_SIDE
                into = SMALL_GREY + at * COLOUR_SIDE**2
                found[first : first + step, into : into + COLOUR_SIDE**2] = _down(
                    lines[:, :, start : start + COLOUR_SIDE], coarse, 128
                )
    return found


def _down(lines_NHW: Floats, weights: Floats, middle: int) -> Pixels:
    """The fields of rows that were summed up already, 256 times as large; columns come before rows."""
    count, height = lines_NHW.shape[:2]
    turned = np.ascontiguousarray(lines_NHW.transpose(0, 2, 1)).reshape(-1, height)
    levels = np.floor((turned @ weights + 32768) / 65536)
    if middle:
        levels = levels // 2 + middle
    return levels.astype(np.uint8).reshape(count, -1)


@cache
def _area(there: int, here: int) -> Ints:
    """(there, here) whole weights, 256 in each column: how much of each pixel lies in each of `here` equal fields."""
    edges = np.arange(here + 1) * there
    pixels = np.arange(there + 1) * here
    overlap = np.minimum(pixels[1:, None], edges[None, 1:]) - np.maximum(pixels[:-1, None], edges[None, :-1])
    shares = np.maximum(overlap, 0)
    weights = shares * 256 // shares.sum(0)
    # What rounding down left goes to the largest remainders, the first ones first.
    left = shares * 256 % shares.sum(0)
    order = np.argsort(-left, axis=0, kind="stable")
    rank = np.argsort(order, axis=0, kind="stable")
    return np.asarray(weights + (rank < 256 - weights.sum(0)), dtype=np.int64)


@cache
def _across(width: int, channels: int) -> Floats:
    """(width * channels, fields) whole weights of light, and of colour differences, in fields along a row."""
    if channels == 1:
        return (_area(width, SIDE) * 256).astype(np.float32)
    fine, coarse = _area(width, SIDE), _area(width, COLOUR_SIDE)
    columns = [fine[:, None, :] * np.array(LIGHT_OF)[:, None]]
    columns += [coarse[:, None, :] * np.array(one)[:, None] for one in (_BLUE, _RED)]
    return np.concatenate(columns, axis=2).reshape(width * 3, -1).astype(np.float32)
