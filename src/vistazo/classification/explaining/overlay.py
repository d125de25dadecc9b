"""A map laid over its picture, in colours that everybody tells apart.

The colours are viridis (van der Walt, Smith 2015; in the public domain): light grows with the value, so they are read
alike by people who are colour-blind, and in grey. The picture beneath is grey, so that no colour of its own is taken
for the map's.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["colours", "laid_over", "legend", "side_by_side"]

Pixels = npt.NDArray[np.uint8]
_VIRIDIS = (  # every ninth of the published table
    (68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142),
    (31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37),
)  # fmt: skip
_FAINT, _STRONG = 0.25, 0.7  # how much of the colour covers the picture, from the least value to the most
_LUMA = (0.299, 0.587, 0.114)
_GAP = 6


def colours(values: npt.NDArray[np.floating]) -> Pixels:
    """Values in [0, 1] of any shape as colours, uint8 (..., 3): dark violet for 0, yellow for 1."""
    anchors = np.linspace(0, 1, len(_VIRIDIS))
    table = np.array(_VIRIDIS, dtype=np.float64)
    channels = [np.interp(values, anchors, table[:, at]) for at in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def laid_over(
    picture_HW3: Pixels, map_hw: npt.NDArray[np.float32], seen: tuple[float, float, float, float]
) -> Pixels:
    """The map, values in [0, 1], over the picture: uint8 (H, W, 3).

    seen: left, top, right, bottom of the part that the model was shown, in pixels of the picture; the map is stretched
    to it, and what lies outside stays without colour, and paler.
    """
    height, width = picture_HW3.shape[:2]
    left, top, right, bottom = (round(one) for one in seen)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    grey = (picture_HW3 @ np.array(_LUMA))[:, :, None].repeat(3, 2)
    found = 255 - (255 - grey) * 0.4
    values = _stretched(map_hw, bottom - top, right - left)[: height - top, : width - left]
    weight = (_FAINT + (_STRONG - _FAINT) * values)[:, :, None]
    part = (slice(top, bottom), slice(left, right))
    found[part] = grey[part] * (1 - weight) + colours(values) * weight
    laid: Pixels = found.round().clip(0, 255).astype(np.uint8)
    return laid


def _stretched(map_hw: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(map_hw, dtype=np.float32))
    larger: npt.NDArray[np.float32] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return larger.clip(0, 1)


def side_by_side(pictures: list[Pixels]) -> Pixels:
    """Pictures (H, W, 3) of one height beside one another, on white."""
    gap = np.full((pictures[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)][:-1]
    return np.concatenate(parts, axis=1)


def legend(width: int = 180, height: int = 14) -> Pixels:
    """A strip of the colours, the least value at the left: uint8 (height, width, 3)."""
    return colours(np.linspace(0, 1, width)[None].repeat(height, 0))
