"""Pictures of one size, in memory or in a file that is mapped into it: what is asked for is read, and nothing else."""

import contextlib
import mmap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PictureArray"]

Pixels = NDArray[np.uint8]
BLOCK = 32 << 20  # bytes that are read at once where all pictures pass by


class PictureArray:
    """Some rows of an array of pictures, in an order of their own; they are copied when they are asked for.

    pixels: uint8 (n, height, width, channels), in memory or a memory map. rows: which of them, None for all.
    """

    def __init__(self, pixels: Pixels, rows: NDArray[np.int64] | None = None) -> None:
        self._pixels, self._rows = pixels, rows
        found: Any = pixels
        while isinstance(found, np.ndarray):  # a view's base is the array it looks at
            found = found.base
        self._map = found if isinstance(found, mmap.mmap) else None

    def __len__(self) -> int:
        return len(self._pixels if self._rows is None else self._rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(pictures, height, width, channels)."""
        height, width, channels = self._pixels.shape[1:]
        return len(self), height, width, channels

    @property
    def nbytes(self) -> int:
        """Bytes of all these pictures, were they in memory."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def mapped(self) -> bool:
        """Whether they lie in a file, so that the system may give their memory to others."""
        return self._map is not None

    def take(self, rows: NDArray[np.int64]) -> "PictureArray":
        """These rows of them, in this order; nothing is read."""
        return PictureArray(self._pixels, rows if self._rows is None else self._rows[rows])

    def __getitem__(self, key: int | slice | NDArray[np.int64] | Sequence[int]) -> Pixels:
        """The pictures asked for: (n, height, width, channels), one alone without the first axis."""
        if self._map is not None and isinstance(key, slice):  # neighbours: read at once, whatever was advised
            self.soon(np.sort(np.arange(*key.indices(len(self)))))
        if self._rows is not None:
            return self._pixels[self._rows[key]]
        return np.asarray(self._pixels[key])

    def blocks(self) -> Iterator[Pixels]:
        """All of them in order, some 32 MB at a time."""
        at_once = max(1, BLOCK * len(self) // max(1, self.nbytes))
        for first in range(0, len(self), at_once):
            yield self[first : first + at_once]

    def scattered(self) -> None:
        """Tell the system that they are read here and there: around each it would read megabytes that nobody needs.

        With 1.5 GB for 3 GB of pictures, 950 MB a second came from the disk for half a megabyte of pictures.
        """
        advise = getattr(mmap, "MADV_RANDOM", None)
        if self._map is not None and advise is not None:
            with contextlib.suppress(OSError, ValueError):  # advice only
                self._map.madvise(advise)

    def soon(self, positions: NDArray[np.int64]) -> None:
        """Ask the system to read these from disk meanwhile. positions: ascending; nothing happens in memory."""
        advise = getattr(mmap, "MADV_WILLNEED", None)
        if self._map is None or advise is None or not len(positions):
            return
        rows = positions if self._rows is None else np.sort(self._rows[positions])
        size = self._pixels[0].nbytes
        page = mmap.PAGESIZE
        # Neighbouring rows are one piece; a gap of less than a page is read with them.
        breaks = np.flatnonzero(np.diff(rows) * size > size + page) + 1
        for piece in np.split(rows, breaks):
            first = int(piece[0]) * size // page * page
            last = (int(piece[-1]) + 1) * size
            with contextlib.suppress(OSError, ValueError):  # advice only
                self._map.madvise(advise, first, min(last, len(self._map)) - first)
