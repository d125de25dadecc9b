"""Pooling: of each window of a picture one number stays, the largest or the mean.

Shape suffixes: H height, W width of a picture; P rows, Q columns of the answer.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.errors import ConfigError
from vistazo.language import tr

__all__ = ["Pooled", "pool", "read_pooling_padding", "windows"]

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Pooled:
    """largest_PQ: of each window; sum_PQ and count_PQ: of its pixels inside the picture, whose quotient is the mean."""

    largest_PQ: Numbers
    sum_PQ: Numbers
    count_PQ: npt.NDArray[np.int64]

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """(P, Q) the mean of each window."""
        return self.sum_PQ / self.count_PQ


def read_pooling_padding(text: str) -> str:
    """'valid' (what does not fill a window is left out) or 'same' (it counts). Raises ConfigError."""
    words = {"igual": "same", "valido": "valid", "válido": "valid"}
    word = words.get(text.strip().lower(), text.strip().lower())
    if word not in ("same", "valid"):
        raise ConfigError(tr("--padding of a pooling is valid or same, not '{text}'.", text=text))
    return word


def windows(side: int, *, size: int, stride: int, padding: str) -> list[tuple[int, int]]:
    """First and last + 1 pixel of each window along a side, cut to the picture.

    With 'same' there are ⌈side / stride⌉ windows, and the odd pixel of padding stands behind, as in Keras.

    >>> windows(5, size=2, stride=2, padding="valid"), windows(5, size=2, stride=2, padding="same")
    ([(0, 2), (2, 4)], [(0, 2), (2, 4), (4, 5)])
    """
    if padding == "valid":
        return [(first, first + size) for first in range(0, side - size + 1, stride)]
    count = -(-side // stride)
    before = max((count - 1) * stride + size - side, 0) // 2
    starts = (at * stride - before for at in range(count))
    return [(max(0, first), min(side, first + size)) for first in starts]


def pool(pixels_HW: Numbers, *, size: int, stride: int, padding: str) -> Pooled:
    """Largest, sum and count of each window of size × size pixels, whole numbers where the pixels are.

    Raises ConfigError where no window fits, or size or stride are below 1.
    """
    for name, value in (("size", size), ("stride", stride)):
        if value < 1:
            raise ConfigError(tr("--{name} is a whole number from 1 on, not {n}.", name=name, n=value))
    height, width = pixels_HW.shape
    rows, columns = (windows(side, size=size, stride=stride, padding=padding) for side in (height, width))
    if not rows or not columns or (padding == "same" and stride > size):
        raise ConfigError(
            tr(
                "Windows of {size} × {size}, {stride} apart, do not fit a picture of {height} × {width}: choose a "
                "smaller --size or --stride, or a larger picture.",
                size=size,
                stride=stride,
                height=height,
                width=width,
            )
        )
    plain = pixels_HW.astype(np.int64 if pixels_HW.dtype.kind in "iu" else np.float64)
    # The rows of windows first, then the columns: the largest of largest ones, the sum of sums.
    tall = np.stack([plain[first:last].max(0) for first, last in rows])
    added = np.stack([plain[first:last].sum(0) for first, last in rows])
    return Pooled(
        np.stack([tall[:, first:last].max(1) for first, last in columns], axis=1),
        np.stack([added[:, first:last].sum(1) for first, last in columns], axis=1),
        np.outer([last - first for first, last in rows], [last - first for first, last in columns]),
    )
