"""Pictures that lie inside large files, found by position; a file is open only while one of them is read."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged
from vistazo.language import tr
from vistazo.pictures.stores import MOST_BYTES, Stamps, state_of, too_large

__all__ = ["Spans"]

Ints = NDArray[np.int64]


class Spans:
    """A store of pieces of files: the bytes of each, or what `convert` makes of them.

    Opening a file for each picture costs 15 µs, and lets a set have more files than a process may hold open.
    """

    def __init__(
        self,
        where: Sequence[str],
        files: Sequence[Path],
        place: Ints,
        convert: Callable[[Path, bytes], bytes] | None = None,
    ) -> None:
        """where: (rows,) names. place: (rows, 3) the number of its file, the first byte, and how many.

        convert: gives a picture's bytes from a file's path and the piece; raises SourceDamaged.
        """
        self._where, self._files, self._place, self._convert = where, files, place, convert

    def __len__(self) -> int:
        return len(self._where)

    def name(self, row: int) -> str:
        return self._where[row]

    def read(self, row: int) -> bytes:
        file, first, length = self._place[row].tolist()
        if length > MOST_BYTES:
            raise too_large()
        with open(self._files[file], "rb") as opened:
            opened.seek(first)
            data = opened.read(length)
        if len(data) != length:
            raise SourceDamaged(tr("the end is missing"))
        return data if self._convert is None else self._convert(self._files[file], data)

    def stamps(self) -> Stamps | None:
        states = [state_of(path) for path in self._files]
        if not all(states):
            return None
        return Stamps.of(
            (name, length, (first, *states[file]))
            for name, (file, first, length) in zip(self._where, self._place.tolist(), strict=True)
        )

    def take(self, rows: Ints) -> "Spans":
        return Spans([self._where[row] for row in rows], self._files, self._place[rows], self._convert)
