"""Pictures in the row groups of Parquet files: a few megabytes of them at a time, or copied aside."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, SourceDamaged
from vistazo.language import tr
from vistazo.pictures.archives import SMALL
from vistazo.pictures.stores import MOST_BYTES, Shared, Stamps, readable, state_of, too_large

__all__ = ["LARGE", "Encoded", "Shard", "arrow_told"]

Ints = NDArray[np.int64]

# bytes of a row group; Hugging Face writes 100 pictures in one, a table of one's own has all in one
LARGE = 64 << 20
_BUFFER = 1 << 20  # of the file; without it a whole row group is read at once


@dataclass(frozen=True)
class Shard:
    """One file. first: (groups + 1,) the first row of each row group. picture: its column, and its field or ''.

    label: the column of labels, None without one. names: of labels that are numbers. at_once: rows taken out together.
    large: whether a row group is.
    """

    path: Path
    name: str
    part: str
    columns: tuple[str, ...]
    picture: tuple[str, str]
    label: str | None
    names: Sequence[str] | None
    first: Ints
    at_once: int
    large: bool

    @property
    def rows(self) -> int:
        return int(self.first[-1])


@contextmanager
def arrow_told() -> Iterator[None]:
    """Arrow's errors as ValueError, which `readable` tells with the file's name."""
    import pyarrow as pa

    try:
        yield
    except pa.ArrowException as error:
        raise ValueError(str(error).split("\n")[0][:200]) from error


# ---------------------------------------------------------------- the pictures
class _Cursor(threading.local):
    """Where a thread is in a row group: reading goes forward, so it never holds more than one batch."""

    at: tuple[int, int] = (-1, -1)  # shard, row group
    batches: Iterator[Any] = iter(())
    first: int = 0  # row of the shard that the batch begins with
    batch: Any = None


class _Aside:
    """The pictures of files whose row groups are large, copied into nameless files when the first is asked for.

    A page may hold a thousand pictures, and is unpacked as a whole: each thread would hold two of them.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards, self._lock = shards, threading.Lock()
        self._copied: dict[int, tuple[Shared, Ints] | SourceDamaged] = {}

    def read(self, number: int, inside: int) -> bytes | None:
        """The bytes of a picture, None where there are none. Raises SourceDamaged or DiskError."""
        with self._lock:
            if number not in self._copied:
                try:
                    self._copied[number] = self._copy(self._shards[number])
                except SourceDamaged as error:
                    self._copied[number] = error.with_traceback(None)
            copied = self._copied[number]
        if isinstance(copied, SourceDamaged):
            raise copied
        file, span = copied
        first, length = span[inside].tolist()
        return None if length < 0 else file.read(first, length)

    def _copy(self, shard: Shard) -> tuple[Shared, Ints]:
        shared = Shared(tempfile.SpooledTemporaryFile(max_size=SMALL))  # noqa: SIM115 (kept)
        with shared.filled() as file:
            return shared, self._spans(shard, file)

    def _spans(self, shard: Shard, file: IO[bytes]) -> Ints:
        """Writes the pictures of a shard one behind the other: (first byte, length) of each; length -1 for none."""
        span, row = np.full((shard.rows, 2), -1, dtype=np.int64), 0
        for group in range(len(shard.first) - 1):
            batches = _batches(shard, group)
            while True:
                with readable(shard.path), arrow_told():
                    batch = next(batches, None)
                    values = [] if batch is None else [_bytes(value.as_py(), shard) for value in batch]
                    if row + len(values) > len(span):
                        raise ValueError(tr("its rows are counted wrongly"))
                if batch is None:
                    break
                try:
                    for value in values:
                        if value is not None:
                            span[row] = file.tell(), len(value)
                            file.write(value)
                        row += 1
                except OSError as error:
                    raise DiskError(disk_sentence(Path(tempfile.gettempdir()), error)) from error
        return span


def _bytes(value: Any, shard: Shard) -> bytes | None:
    found: bytes | None = value[shard.picture[1]] if shard.picture[1] and value is not None else value
    return found


class Encoded:
    """A store of pictures in Parquet files. Row groups are read as they are asked for, a few megabytes at a time.

    Each thread goes through its own: what it asks for next lies mostly behind what it had. Files whose row groups are
    larger than LARGE are copied aside instead.
    """

    def __init__(
        self, where: Sequence[str], shards: Sequence[Shard], place: Ints, aside: _Aside | None = None
    ) -> None:
        """place: (rows, 2) the number of its shard, and its row there."""
        self._where, self._shards, self._place = where, shards, place
        self._cursor, self._aside = _Cursor(), aside or _Aside(shards)

    def __len__(self) -> int:
        return len(self._where)

    def name(self, row: int) -> str:
        return self._where[row]

    def stamps(self) -> Stamps | None:
        states = [state_of(shard.path) for shard in self._shards]
        if not all(states):
            return None
        each = [states[at][0] // max(1, shard.rows) for at, shard in enumerate(self._shards)]
        return Stamps.of(
            (name, each[shard], (row, *states[shard]))
            for name, (shard, row) in zip(self._where, self._place.tolist(), strict=True)
        )

    def take(self, rows: Ints) -> "Encoded":
        where = [self._where[row] for row in rows]
        return Encoded(where, self._shards, self._place[rows], self._aside)

    def read(self, row: int) -> bytes:
        number, inside = self._place[row].tolist()
        shard = self._shards[number]
        if shard.large:
            value = self._aside.read(number, inside)
        else:
            try:
                with arrow_told():
                    value = _bytes(self._value(number, shard, inside), shard)
            except (ValueError, MemoryError, OSError) as error:
                self._cursor.at = (-1, -1)
                if isinstance(error, OSError):
                    raise
                raise SourceDamaged(
                    tr("its part of the table is damaged ({reason})", reason=error)
                ) from error
        if value is None:
            raise SourceDamaged(tr("the table holds no bytes of it"))
        if len(value) > MOST_BYTES:
            raise too_large()
        return value

    def _value(self, number: int, shard: Shard, inside: int) -> Any:
        cursor = self._cursor
        group = int(np.searchsorted(shard.first, inside, side="right")) - 1
        if cursor.at != (number, group) or inside < cursor.first:
            cursor.at = (number, group)
            cursor.batches = _batches(shard, group)
            cursor.first, cursor.batch = int(shard.first[group]), ()
        while inside >= cursor.first + len(cursor.batch):
            cursor.first += len(cursor.batch)
            cursor.batch = ()
            cursor.batch = next(cursor.batches)
        return cursor.batch[inside - cursor.first].as_py()


def _batches(shard: Shard, group: int) -> Iterator[Any]:
    """The pictures of a row group, some at once. Raises ValueError where they are fewer than its rows."""
    from pyarrow import parquet

    wanted = ".".join(filter(None, shard.picture))
    left = int(shard.first[group + 1] - shard.first[group])
    with parquet.ParquetFile(shard.path, buffer_size=_BUFFER, pre_buffer=False) as file:
        for batch in file.iter_batches(
            shard.at_once, row_groups=[group], columns=[wanted], use_threads=False
        ):
            left -= len(batch)
            yield batch.column(0)
    if left > 0:
        raise ValueError(tr("its rows are counted wrongly"))
