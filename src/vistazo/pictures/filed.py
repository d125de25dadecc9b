"""Rows of arrays that lie in mapped files, read as files are.

Whoever looks at a mapped file that was cut meanwhile is ended by the system, without a word. Reading says so instead.
"""

import mmap
import os
import threading
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged
from vistazo.language import tr

__all__ = ["FileRows", "state_of"]

Pixels = NDArray[np.uint8]


def state_of(path: Path) -> tuple[int, ...]:
    """(bytes, two times of change) of a file; empty where it cannot be told.

    Asked before its content is read: a file that changes in between has another state next time.
    """
    try:
        about = os.stat(path)  # noqa: PTH116 (a third of the time)
    except OSError:
        return ()
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns


class FileRows:
    """The rows of an array that is a mapped file, or a view of one whose rows lie one after the other."""

    def __init__(self, array: Pixels, path: Path, first: int) -> None:
        """first: where in the file the array begins. Raises OSError."""
        self._shape, self._strides, self._first = array.shape[1:], array.strides, first
        self._extent = _extent(array)
        self._path, self._lock = path, threading.Lock()
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (kept, as long as the rows are)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    @classmethod
    def of(cls, array: Pixels) -> Self | None:
        """The rows of an array; None where it is in memory, or its rows are entangled."""
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not isinstance(root, np.memmap) or not isinstance(root.base, mmap.mmap) or not root.filename:
            return None
        if root.mode != "r":  # what is written to a map may never reach its file
            return None
        if not array.size or min(array.strides) < 0 or _extent(array) > array.strides[0]:
            return None
        begins = [one.__array_interface__["data"][0] for one in (array, root)]
        try:
            return cls(array, Path(root.filename), root.offset + begins[0] - begins[1])
        except OSError:  # gone already; what is mapped is still there
            return None

    def read(self, first: int, last: int) -> Pixels:
        """The rows from `first` to before `last`. Raises SourceDamaged where the file was cut, OSError."""
        stride = self._strides[0]
        length = (last - first - 1) * stride + self._extent
        data = bytearray(length)
        view, there = memoryview(data), 0
        with self._lock:
            self._file.seek(self._first + first * stride)
            while there < length and (count := self._file.readinto(view[there:])):
                there += count
        if there < length:
            raise SourceDamaged(tr("the file was cut while it was read"))
        return np.ndarray((last - first, *self._shape), np.uint8, data, strides=self._strides)

    def state(self) -> tuple[int, ...]:
        """What changes with the file; empty where it cannot be told."""
        return state_of(self._path)


def _extent(array: Pixels) -> int:
    """Bytes from a row's first value to its last."""
    inner = zip(array.shape[1:], array.strides[1:], strict=True)
    return 1 + int(sum((count - 1) * stride for count, stride in inner))
