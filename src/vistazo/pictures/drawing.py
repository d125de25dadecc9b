"""Pictures for reports and files: uint8 pixels become PNG bytes."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["enlarge", "grid", "png"]

Pixels = npt.NDArray[Any]

SHORTEST = 84  # screen pixels below which a picture cannot be judged by eye
_GAP = 4
_PAPER = 255


def png(picture_HWC: Pixels) -> bytes:
    """A uint8 picture (height, width, 1 or 3) as a PNG file.

    Raises ValueError for another shape or type.
    """
    from PIL import Image

    _check(picture_HWC)
    plain = picture_HWC[..., 0] if picture_HWC.shape[2] == 1 else picture_HWC
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(plain)).save(file, "PNG")
    return file.getvalue()


def enlarge(picture_HWC: Pixels, shortest: int = SHORTEST) -> Pixels:
    """The picture with each pixel repeated so that the shorter side has at least `shortest` pixels."""
    _check(picture_HWC)
    times = -(-shortest // min(picture_HWC.shape[:2]))
    return picture_HWC.repeat(times, 0).repeat(times, 1) if times > 1 else picture_HWC


def grid(pictures: Sequence[Pixels], columns: int) -> bytes:
    """Enlarged pictures on one white sheet, row by row, as a PNG file.

    Cells are as large as the largest picture; smaller ones stand in their middle.
    Raises ValueError without pictures or columns.
    """
    if not pictures or columns < 1:
        raise ValueError("a grid needs pictures and at least one column")
    large = [enlarge(picture) for picture in pictures]
    height, width = (max(picture.shape[axis] for picture in large) + _GAP for axis in (0, 1))
    columns = min(columns, len(large))
    rows = -(-len(large) // columns)
    sheet = np.full((rows * height + _GAP, columns * width + _GAP, 3), _PAPER, np.uint8)
    for number, picture in enumerate(large):
        row, column = divmod(number, columns)
        top = row * height + _GAP + (height - _GAP - picture.shape[0]) // 2
        left = column * width + _GAP + (width - _GAP - picture.shape[1]) // 2
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return png(sheet)


def _check(picture_HWC: Pixels) -> None:
    shape = picture_HWC.shape
    if picture_HWC.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
        raise ValueError(f"a picture is uint8 (height, width, 1 or 3), not {picture_HWC.dtype} {shape}")
