"""Parquet files with the pictures inside, as Hugging Face publishes them: one file, or a folder of shards.

The pictures stand in a column of structs {bytes, path} or of bytes; their labels in a column of numbers, whose names
stand in the file's metadata under 'huggingface', or of names, or of lists of either for several labels a picture.
What a struct's `path` names is never opened.
"""

import json
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged, SourceError, TooFewExamples
from vistazo.language import tr
from vistazo.pictures.index import UNASSIGNED, Index, indexed, part_named
from vistazo.pictures.labelling import indexed_labels
from vistazo.pictures.shards import LARGE, Encoded, Shard, arrow_told
from vistazo.pictures.stores import Source, Store, readable
from vistazo.pictures.trees import part_of, words

__all__ = ["encoded_store", "holds_pictures", "is_parquet", "read_encoded"]

Ints = NDArray[np.int64]

_PICTURES = ("image", "img", "picture", "photo", "imagen", "foto", "pixel_values")
_LABELS = ("label", "labels", "fine_label", "class", "target", "etiqueta", "etiquetas", "clase")
_AT_ONCE = 8 << 20  # bytes of pictures taken out together


def is_parquet(name: str) -> bool:
    """Whether a file is named like a Parquet file."""
    return name.lower().endswith(".parquet")


def holds_pictures(path: Path) -> bool:
    """Whether a Parquet file has a column of encoded pictures. Raises SourceDamaged where it is no Parquet file."""
    with readable(path), arrow_told():
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
def _shards(path: Path, listed: Sequence[str]) -> list[Shard]:
    root = path.resolve() if listed else path.resolve().parent
    return [_shard(root / name, name) for name in filter(is_parquet, listed or [path.name])]


def _shard(path: Path, name: str) -> Shard:
    from pyarrow import parquet

    with readable(path), arrow_told():
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
    return Shard(
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


def _labels(shard: Shard) -> list[Any]:
    """The name of each row's class, a list of names, or None where it has no label."""
    from pyarrow import parquet

    with readable(shard.path), arrow_told():
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


def _named(value: Any, shard: Shard) -> str | None:
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
