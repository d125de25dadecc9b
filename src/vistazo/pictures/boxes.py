"""Boxes around the things in pictures: any number a picture, in flat columns."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Boxes"]

_COLUMNS = {
    "first": np.int64,
    "corner": np.float32,
    "label": np.int64,
    "difficult": np.bool_,
    "size": np.int32,
}


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of the pictures of an Index, those of a picture side by side. Every column is read-only.

    first: (rows + 1,) int64; the boxes of row r are first[r] to first[r + 1], without the last.
    corner: (boxes, 4) float32 left, top, right, bottom in pixels, from the picture's left upper corner; inside
        the picture, and right > left, bottom > top.
    label: (boxes,) int64, a position in the Index's classes.
    difficult: (boxes,) bool, whether the annotator marked it as hard to tell, or as a crowd.
    size: (rows, 2) int32 width and height of the picture that the corners count in.
    upright: whether the corners count in the picture turned as the camera says (YOLO), or in the pixels as they are
        stored (Pascal VOC, COCO).
    Raises ValueError where the columns contradict one another.
    """

    first: NDArray[np.int64]
    corner: NDArray[np.float32]
    label: NDArray[np.int64]
    difficult: NDArray[np.bool_]
    size: NDArray[np.int32]
    upright: bool

    def __post_init__(self) -> None:
        for name, kind in _COLUMNS.items():
            column: NDArray[Any] = np.ascontiguousarray(getattr(self, name), dtype=kind).view()
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        first, total = self.first, len(self.label)
        if (
            first.ndim != 1
            or not len(first)
            or first[0] != 0
            or first[-1] != total
            or (np.diff(first) < 0).any()
        ):
            raise ValueError(f"first does not part {total} boxes")
        for name, shape in {"corner": (total, 4), "difficult": (total,), "size": (len(self), 2)}.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape}")
        if (self.size < 1).any():
            raise ValueError("a picture has no size")
        left, top, right, bottom = self.corner.T
        width, height = self.size[self.rows()].T
        across, down = (
            (left >= 0) & (left < right) & (right <= width),
            (top >= 0) & (top < bottom) & (bottom <= height),
        )
        if not (across & down).all():
            raise ValueError("a box is empty or leaves its picture")
        if total and self.label.min() < 0:
            raise ValueError("a box has no class")

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.first) - 1

    def rows(self) -> NDArray[np.int64]:
        """(boxes,) the picture of each box."""
        return np.repeat(np.arange(len(self)), np.diff(self.first))

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The boxes of these pictures, in this order."""
        counts = np.diff(self.first)[rows]
        first = np.concatenate([[0], np.cumsum(counts)])
        # where each box was: the start of its picture's boxes, and how far behind it
        kept = np.repeat(self.first[:-1][rows] - first[:-1], counts) + np.arange(first[-1])
        columns: dict[str, Any] = {
            name: getattr(self, name)[kept] for name in ("corner", "label", "difficult")
        }
        return replace(self, first=first, size=self.size[rows], **columns)

    def digest(self, rows: NDArray[np.int64]) -> bytes:
        """16 bytes that name the boxes of these pictures, in this order."""
        taken = self.take(rows)
        content = hashlib.blake2b(bytes([self.upright]), digest_size=16)
        for name in _COLUMNS:
            content.update(getattr(taken, name).tobytes())
        return content.digest()
