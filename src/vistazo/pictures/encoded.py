"""Parquet files with the pictures inside, as Hugging Face publishes them: one file, or a folder of shards.

The pictures stand in a column of structs {bytes, path} or of bytes; their labels in a column of numbers, whose names
stand in the file's metadata under 'huggingface', or of names, or of lists of either for several labels a picture.
What a struct's `path` names is never opened.
"""

import json
import posixpath
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, SourceDamaged, SourceError, TooFewExamples
from vistazo.language import tr
from vistazo.pictures.archives import SMALL
from vistazo.pictures.index import UNASSIGNED, Index, indexed, part_named
from vistazo.pictures.labelling import indexed_labels
from vistazo.pictures.stores import MOST_BYTES, Shared, Source, Store, readable, too_large
from vistazo.pictures.trees import part_of, words

__all__ = ["Encoded", "encoded_store", "holds_pictures", "is_parquet", "read_encoded"]

Ints = NDArray[np.int64]

_PICTURES = ("image", "img", "picture", "photo", "imagen", "foto", "pixel_values")
_LABELS = ("label", "labels", "fine_label", "class", "target", "etiqueta", "etiquetas", "clase")
LARGE = (
    64 << 20
)  # bytes of a row group; Hugging Face writes 100 pictures, and a table of one's own has all in one
_AT_ONCE = 8 << 20  # bytes of pictures taken out together
_BUFFER = 1 << 20  # of the file; without it a whole row group is read at once


def is_parquet(name: str) -> bool:
    """Whether a file is named like a Parquet file."""
    return name.lower().endswith(".parquet")


def holds_pictures(path: Path) -> bool:
    """Whether a Parquet file has a column of encoded pictures. Raises SourceDamaged where it is no Parquet file."""
    with readable(path), _told():
        from pyarrow import parquet

        return _picture_column(parquet.read_schema(path)) is not None


def read_encoded(path: Path, listed: Sequence[str]) -> Source:
    """The pictures of a folder's Parquet files, or of the file `path` where `listed` is empty.

    'train-00000-of-00002.parquet' belongs to the part its name or its folder says. Only the labels are read here.
    Raises SourceDamaged, SourceError, TooFewExamples.
    """
    shards = _shards(path, listed)
    where: list[str] = []
    split: list[str] = []
    cells: list[Any] = []
    place: list[Ints] = []
    for number, shard in enumerate(shards):
        if shard.label is None:
            raise SourceError(
                tr(
                    "{path} has no column of labels (columns: {columns}). Call it label.",
                    path=shard.path,
                    columns=", ".join(shard.columns)[:200],
                )
            )
        labels = _labels(shard)
        cells += labels
        where += [f"{shard.name}#{row}" for row in range(len(labels))]
        split += [shard.part] * len(labels)
        place.append(np.stack([np.full(len(labels), number), np.arange(len(labels))], axis=1))
    store = Encoded(where, shards, np.concatenate(place).astype(np.int64))
    kept = np.flatnonzero([cell is not None for cell in cells])
    if not len(kept):
        raise TooFewExamples(tr("{path} has no row with both a picture and a label.", path=path))
    notes: tuple[str, ...] = ()
    if len(kept) < len(cells):
        notes = (tr("Pictures without a label, not used: {n}.", n=len(cells) - len(kept)),)
        store = store.take(kept)
    told = _indexed(path, store, [cells[row] for row in kept], np.array(split, dtype="U10")[kept])
    return Source(told[0], store, (*notes, *told[1]), ())


def encoded_store(path: Path, listed: Sequence[str]) -> Store:
    """The pictures of the same files, whether they have labels or not."""
    shards = _shards(path, listed)
    where = [f"{shard.name}#{row}" for shard in shards for row in range(shard.rows)]
    place = [(number, row) for number, shard in enumerate(shards) for row in range(shard.rows)]
    return Encoded(where, shards, np.array(place, dtype=np.int64).reshape(-1, 2))


def _indexed(
    path: Path, store: "Encoded", cells: Sequence[Any], split: NDArray[np.str_]
) -> tuple[Index, tuple[str, ...]]:
    where = [store.name(row) for row in range(len(store))]
    source = str(path.resolve())
    if any(isinstance(cell, list) for cell in cells):
        lists = [cell if isinstance(cell, list) else [cell] for cell in cells]
        return indexed_labels(where, lists, split, path=path, source=source, kind="encoded")
    names = sorted(set(cells))
    number = {name: at for at, name in enumerate(names)}
    codes = np.array([number[cell] for cell in cells], dtype=np.int64)
    return indexed(where, codes, names, split, source=source, kind="encoded")


# ---------------------------------------------------------------- what a file says of itself
@dataclass(frozen=True)
class _Shard:
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


def _shards(path: Path, listed: Sequence[str]) -> list[_Shard]:
    root = path.resolve() if listed else path.resolve().parent
    return [_shard(root / name, name) for name in filter(is_parquet, listed or [path.name])]


def _shard(path: Path, name: str) -> _Shard:
    from pyarrow import parquet

    with readable(path), _told():
        with parquet.ParquetFile(path) as file:
            schema, about = file.schema_arrow, file.metadata
            picture = _picture_column(schema)
            if picture is None:
                raise SourceError(
                    tr(
                        "{path} has no column of pictures, and other files beside it have. Take it out of the folder.",
                        path=path,
                    )
                )
            rows = [about.row_group(at).num_rows for at in range(about.num_row_groups)]
            if min(rows, default=0) < 0 or sum(rows) != about.num_rows:
                raise ValueError(tr("its rows are counted wrongly"))
            names = schema.names
            label = next(
                (names[at] for word in _LABELS for at in range(len(names)) if names[at].lower() == word), None
            )
            sizes = [about.row_group(at).total_byte_size for at in range(about.num_row_groups)]
    part = next(
        (part for word in words(posixpath.basename(name)) if (part := part_named(word))), part_of(name)
    )
    each = max(1, sum(sizes) // max(1, sum(rows)))
    return _Shard(
        path=path,
        name=name,
        part=part or UNASSIGNED,
        columns=tuple(names),
        picture=picture,
        label=label,
        names=None if label is None else _class_names(schema.metadata or {}, label),
        first=np.concatenate([[0], np.cumsum(rows, dtype=np.int64)]).astype(np.int64),
        at_once=int(min(256, max(1, _AT_ONCE // each))),
        large=max(sizes, default=0) > LARGE,
    )


def _picture_column(schema: Any) -> tuple[str, str] | None:
    """The column of pictures, and its field that holds their bytes ('' where the column does itself)."""
    import pyarrow as pa

    def binary(kind: Any) -> bool:
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    if b"vistazo" in (schema.metadata or {}):
        return None
    found = []
    for column in schema:
        if pa.types.is_struct(column.type):
            at = column.type.get_field_index("bytes")
            if at >= 0 and binary(column.type.field(at).type):
                found.append((column.name, "bytes"))
        elif binary(column.type) and column.name.lower() in _PICTURES:
            found.append((column.name, ""))
    return min(found, key=lambda one: _rank(one[0]), default=None)


def _rank(name: str) -> int:
    return _PICTURES.index(name.lower()) if name.lower() in _PICTURES else len(_PICTURES)


def _class_names(metadata: Mapping[bytes, bytes], label: str) -> list[str] | None:
    """The names of a ClassLabel in the metadata, or of a list of them; None where there are none."""
    try:
        found = json.loads(metadata[b"huggingface"])["info"]["features"][label]
        while "names" not in found and isinstance(found.get("feature"), dict):
            found = found["feature"]
        names = found["names"]
        return [str(name) for name in names] if isinstance(names, list) and names else None
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _labels(shard: _Shard) -> list[Any]:
    """The name of each row's class, a list of names, or None where it has no label."""
    from pyarrow import parquet

    with readable(shard.path), _told():
        with parquet.ParquetFile(shard.path) as file:
            values = file.read(columns=[shard.label]).column(0).to_pylist()
    if len(values) != shard.rows:
        raise SourceDamaged(
            tr(
                "{path} is damaged or cut short ({reason}). Get it again.",
                path=shard.path,
                reason=tr("its rows are counted wrongly"),
            )
        )
    return [
        [name for one in value if (name := _named(one, shard)) is not None]
        if isinstance(value, list)
        else _named(value, shard)
        for value in values
    ]


def _named(value: Any, shard: _Shard) -> str | None:
    """A label as a name; None for none, which Hugging Face writes as -1 too."""
    if value is None or value == "" or (value == -1 and not isinstance(value, str)):
        return None
    if isinstance(value, (str, bool)):
        return str(value)
    if not isinstance(value, int):
        raise SourceError(
            tr(
                "The labels of {path} are of a kind that is no class ('{value}'). They must be numbers or names.",
                path=shard.path,
                value=str(value)[:60],
            )
        )
    if shard.names is None:
        return str(value)
    if not 0 <= value < len(shard.names):
        raise SourceDamaged(
            tr(
                "{path} has the label {label}, and its metadata names {n} classes.",
                path=shard.path,
                label=value,
                n=len(shard.names),
            )
        )
    return shard.names[value]


@contextmanager
def _told() -> Iterator[None]:
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

    def __init__(self, shards: Sequence[_Shard]) -> None:
        self._shards, self._lock = shards, threading.Lock()
        self._copied: dict[int, tuple[Shared, Ints] | SourceDamaged] = {}

    def read(self, number: int, inside: int) -> bytes | None:
        """The bytes of a picture, None where there are none. Raises SourceDamaged or DiskError."""
        with self._lock:
            if number not in self._copied:
                try:
                    self._copied[number] = self._copy(self._shards[number])
                except SourceDamaged as error:
                    self._copied[number] = error
            copied = self._copied[number]
        if isinstance(copied, SourceDamaged):
            raise copied
        file, span = copied
        first, length = span[inside].tolist()
        return None if length < 0 else file.read(first, length)

    def _copy(self, shard: _Shard) -> tuple[Shared, Ints]:
        file = tempfile.SpooledTemporaryFile(max_size=SMALL)  # noqa: SIM115 (kept)
        shared, span = Shared(file), np.full((shard.rows, 2), -1, dtype=np.int64)
        row = 0
        for group in range(len(shard.first) - 1):
            batches = _batches(shard, group)
            while True:
                with readable(shard.path), _told():
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
        return shared, span


def _bytes(value: Any, shard: _Shard) -> bytes | None:
    found: bytes | None = value[shard.picture[1]] if shard.picture[1] and value is not None else value
    return found


class Encoded:
    """A store of pictures in Parquet files. Row groups are read as they are asked for, a few megabytes at a time.

    Each thread goes through its own: what it asks for next lies mostly behind what it had. Files whose row groups are
    larger than LARGE are copied aside instead.
    """

    def __init__(
        self, where: Sequence[str], shards: Sequence[_Shard], place: Ints, aside: _Aside | None = None
    ) -> None:
        """place: (rows, 2) the number of its shard, and its row there."""
        self._where, self._shards, self._place = where, shards, place
        self._cursor, self._aside = _Cursor(), aside or _Aside(shards)

    def __len__(self) -> int:
        return len(self._where)

    def name(self, row: int) -> str:
        return self._where[row]

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
                with _told():
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

    def _value(self, number: int, shard: _Shard, inside: int) -> Any:
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


def _batches(shard: _Shard, group: int) -> Iterator[Any]:
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
