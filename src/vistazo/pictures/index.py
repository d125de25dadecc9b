"""The Index: what a source holds, one row a picture, as columns of equal length."""

import dataclasses
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vistazo import platform
from vistazo.errors import SourceDamaged
from vistazo.language import tr
from vistazo.pictures.boxes import Boxes

__all__ = [
    "CROPS",
    "NUMBERED",
    "OUT",
    "PARTS",
    "TEST",
    "TRAIN",
    "UNASSIGNED",
    "UNLABELLED",
    "VALIDATION",
    "Broken",
    "Index",
    "fingerprint",
    "indexed",
    "natural_key",
    "normal",
    "part_named",
    "read_index",
    "write_index",
]

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")
UNASSIGNED = ""
OUT = "out"
UNLABELLED = -1
CROPS = "crops"  # the kind of an Index whose rows are boxes, each cut out of its picture
NUMBERED = (
    "idx",
    "npy",
    "npz",
    "arrays",
    "strokes",
    "cifar",
    "encoded",
)  # kinds whose pictures are numbered, not named

_PART_NAMES = {
    **dict.fromkeys(("train", "training", "entrenamiento"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "validacion"), VALIDATION),
    **dict.fromkeys(("test", "testing", "prueba", "pruebas", "t10k"), TEST),
}

_SIDES = ("left", "top", "right", "bottom")
_METADATA = b"vistazo"
_FORMAT = 1


@dataclass(frozen=True)
class Broken:
    """A picture or a manifest's line that cannot be used.

    row: its row in the Index, -1 where it never entered one.  where: its name.  reason: a short sentence.
    """

    row: int
    where: str
    reason: str


@dataclass(frozen=True, eq=False)
class Index:
    """What a source holds. Every column is read-only and as long as `where`.

    where: the store's name of each picture: a relative path with '/', an archive's member, 'train…#123'.
    label: (rows,) int64, a position in `classes`, or UNLABELLED.
    split: (rows,) str, one of PARTS, UNASSIGNED, or OUT (left out of every part).
    group: (rows,) int64, equal for pictures of one thing; -1 before groups are found.
    hash: (rows,) 32 hexadecimal digits of the picture's content; empty before it was read.
    classes: names, composed (NFC) and in natural order ('2' before '10').
    source: the folder, archive or manifest's folder that `where` belongs to, absolute; or its address.
    kind: 'folder', 'archive', 'idx', 'npy', 'npz', 'manifest', 'remote' (a folder elsewhere), 'arrays', one of
        `formats.KINDS`, or CROPS.
    labels: where a picture may have several labels, (rows, classes) bool, which it has; `label` is UNLABELLED
        then. None where each has one.
    alike: (rows,) int64, equal for near copies of one picture, -1 for pictures without; None where none was found.
    boxes: where the things in a picture have boxes, those; `label` is UNLABELLED then. None elsewhere.
    Raises ValueError where the columns contradict one another.
    """

    where: tuple[str, ...]
    label: NDArray[np.int64]
    split: NDArray[np.str_]
    group: NDArray[np.int64]
    hash: NDArray[np.bytes_]
    classes: tuple[str, ...]
    source: str
    kind: str
    labels: NDArray[np.bool_] | None = None
    alike: NDArray[np.int64] | None = None
    boxes: Boxes | None = None

    def __post_init__(self) -> None:
        for name, kind in (("label", np.int64), ("split", "U10"), ("group", np.int64), ("hash", "S32")):
            column = np.asarray(getattr(self, name), dtype=kind).view()
            if column.shape != (len(self.where),):
                raise ValueError(f"{name} has shape {column.shape}, not ({len(self.where)},)")
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes repeat a name: {self.classes}")
        if len(self) and not (self.label.min() >= UNLABELLED and self.label.max() < len(self.classes)):
            raise ValueError(f"a label is not a position in the {len(self.classes)} classes")
        if not np.isin(self.split, (*PARTS, UNASSIGNED, OUT)).all():
            raise ValueError(f"a split is not one of {(*PARTS, UNASSIGNED, OUT)}")
        if self.labels is not None:
            labels = np.ascontiguousarray(self.labels, dtype=np.bool_).view()
            if labels.shape != (len(self.where), len(self.classes)):
                raise ValueError(f"labels has shape {labels.shape}, not {(len(self), len(self.classes))}")
            if (self.label != UNLABELLED).any():
                raise ValueError("a picture has both a label and labels")
            labels.flags.writeable = False
            object.__setattr__(self, "labels", labels)
        if self.boxes is not None:
            if len(self.boxes) != len(self.where) or (self.boxes.label >= len(self.classes)).any():
                raise ValueError("the boxes are of other pictures or classes")
            if self.labels is not None or (self.label != UNLABELLED).any():
                raise ValueError("a picture has both boxes and a label")

        if self.alike is not None:
            alike = np.asarray(self.alike, dtype=np.int64).view()
            if alike.shape != (len(self.where),):
                raise ValueError(f"alike has shape {alike.shape}, not ({len(self.where)},)")
            alike.flags.writeable = False
            object.__setattr__(self, "alike", alike)

    def __len__(self) -> int:
        return len(self.where)

    def rows(self, split: str) -> NDArray[np.int64]:
        """The rows of one part, ascending."""
        return np.flatnonzero(self.split == split)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(rows,) whether it is known what a picture shows; of several labels, that may be none."""
        return self.label >= 0 if self.labels is None else np.ones(len(self), dtype=np.bool_)

    def holds(self, at: int) -> NDArray[np.bool_]:
        """(rows,) whether a picture is of the class at that position, or has a box that is."""
        if self.boxes is not None:
            return np.bincount(self.boxes.rows()[self.boxes.label == at], minlength=len(self)) > 0
        found: NDArray[np.bool_] = self.label == at if self.labels is None else self.labels[:, at]
        return found

    def counts(self, among: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(classes,) how many of the rows `among` (rows,) are of each class; of labels and boxes, each counts."""
        if self.boxes is not None:
            shown = self.boxes.label[among[self.boxes.rows()]]
            return np.asarray(np.bincount(shown, minlength=len(self.classes)), dtype=np.int64)
        if self.labels is not None:
            return np.asarray(self.labels[among].sum(0), dtype=np.int64)
        own = self.label[among]
        return np.asarray(np.bincount(own[own >= 0], minlength=len(self.classes)), dtype=np.int64)

    def replace(self, **columns: Any) -> Self:
        """The same Index with other columns."""
        return dataclasses.replace(self, **columns)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The Index of these rows, in this order."""
        columns: dict[str, Any] = {
            name: getattr(self, name)[rows] for name in ("label", "split", "group", "hash")
        }
        for name in ("labels", "alike"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name)[rows]
        if self.boxes is not None:
            columns["boxes"] = self.boxes.take(np.asarray(rows))
        return self.replace(where=tuple(self.where[row] for row in rows), **columns)


def normal(name: str) -> str:
    """`name` with its accents composed, so that the spelling of macOS and the usual one are one class."""
    return unicodedata.normalize("NFC", name).strip()


def natural_key(name: str) -> tuple[list[str | int], str]:
    """A key that sorts '2' before '10' and 'a' beside 'A'."""
    # at most 18 digits at once: int() refuses thousands of them
    pieces = re.split(r"(\d{1,18})", name)
    return [int(piece) if at % 2 else piece.casefold() for at, piece in enumerate(pieces)], name


def part_named(name: str) -> str | None:
    """The part that a folder or a manifest's word names: 'Validación' is validation."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter)
    )
    return _PART_NAMES.get(plain.strip().casefold())


def indexed(
    where: Sequence[str],
    codes: NDArray[np.int64],
    names: Sequence[str],
    split: NDArray[np.str_],
    *,
    source: str,
    kind: str,
) -> tuple[Index, tuple[str, ...]]:
    """The Index of pictures whose class is names[codes], and notes.

    A test part may not choose the classes: a class that only it has is unknown to training and left out.
    """
    spelled = [normal(name) for name in names]
    known = np.unique(codes[split != TEST]) if (split != TEST).any() else np.unique(codes)
    classes = tuple(sorted({spelled[code] for code in known}, key=natural_key))
    position = {name: at for at, name in enumerate(classes)}
    label = np.array([position.get(name, UNLABELLED) for name in spelled], dtype=np.int64)[codes]
    unknown = label == UNLABELLED
    index = Index(
        where=tuple(where),
        label=label,
        split=np.where(unknown, OUT, split),
        group=np.full(len(codes), -1),
        hash=np.zeros(len(codes), dtype="S32"),
        classes=classes,
        source=source,
        kind=kind,
    )
    if not unknown.any():
        return index, ()
    strangers = sorted({spelled[code] for code in np.unique(codes[unknown])}, key=natural_key)
    return index, (
        tr(
            "Left out: {n} test pictures of classes without any training picture ({names}).",
            n=int(unknown.sum()),
            names=", ".join(strangers),
        ),
    )


def fingerprint(index: Index) -> str:
    """32 hexadecimal digits of the columns; the order of rows and the place of the source do not count."""

    names = [where.rsplit("/", 1)[-1] if os.path.isabs(where) else where for where in index.where]
    # Columns and not lines: 0.05 against 0.25 s for 70,000 rows. Labels and hashes part rows of equal names.
    keys = [index.hash, index.label, np.array(names, dtype=str)]
    packed = None
    if index.labels is not None:
        packed = np.packbits(index.labels, axis=1)
        keys.insert(0, np.ascontiguousarray(packed).view(f"S{packed.shape[1]}")[:, 0])
    order = np.lexsort(keys)
    content = hashlib.blake2b(digest_size=16)
    for words in (index.classes, [names[row] for row in order], index.split[order].tolist()):
        content.update(json.dumps(words).encode())
    for column in (index.label, index.group, index.hash):
        content.update(column[order].tobytes())
    if packed is not None:
        content.update(packed[order].tobytes())
    if index.boxes is not None:
        content.update(index.boxes.digest(order))
    return content.hexdigest()


def write_index(index: Index, path: Path) -> None:
    """Write `index` as Parquet with columns path, label (the class's name), split, group and hash.

    Where pictures may have several labels, a column `labels` holds lists of their names, and `label` nothing.
    Where they have boxes, a column `boxes` holds lists of them, and `width` and `height` what they count in.
    Where its pictures are, the kind of their source and all classes stand in the file's metadata.
    Raises OSError with nothing but the old file left.
    """
    import pyarrow as pa
    from pyarrow import parquet

    names = np.array([*index.classes, None], dtype=object)  # UNLABELLED is -1: the last
    columns = {
        "path": pa.array(index.where, pa.string()),
        "label": pa.array(names[index.label], pa.string()),
        "split": pa.array(index.split.tolist(), pa.string()),
        "group": pa.array(index.group, pa.int64(), mask=index.group < 0),
        "hash": pa.array([value.decode() or None for value in index.hash.tolist()], pa.string()),
    }
    if index.labels is not None:
        named = [[index.classes[at] for at in np.flatnonzero(row)] for row in index.labels]
        columns["labels"] = pa.array(named, pa.list_(pa.string()))
    if index.boxes is not None:
        columns |= _columns_of_boxes(index.boxes, names)
    table = pa.table(columns)
    about = {"format": _FORMAT, "root": index.source, "kind": index.kind, "classes": index.classes}
    if index.boxes is not None:
        about["upright"] = index.boxes.upright
    sink = pa.BufferOutputStream()
    parquet.write_table(
        table.replace_schema_metadata({_METADATA: json.dumps(about)}), sink, compression="zstd"
    )
    platform.replace_file(path, [sink.getvalue().to_pybytes()])


def _columns_of_boxes(boxes: Boxes, names: NDArray[np.object_]) -> dict[str, Any]:
    import pyarrow as pa

    sides = dict(zip(_SIDES, (pa.array(side) for side in boxes.corner.T.copy()), strict=True))
    each = {
        "label": pa.array(names[boxes.label], pa.string()),
        **sides,
        "difficult": pa.array(boxes.difficult),
    }
    values = pa.StructArray.from_arrays(list(each.values()), names=list(each))
    width, height = boxes.size.T.copy()
    lists = pa.LargeListArray.from_arrays(pa.array(boxes.first), values)
    return {"boxes": lists, "width": pa.array(width), "height": pa.array(height)}


def _boxes_of(table: Any, number: dict[str | None, int], upright: object) -> Boxes:
    lists = table["boxes"].combine_chunks()
    counts = lists.value_lengths().to_numpy(zero_copy_only=False)
    values = lists.flatten()
    return Boxes(
        first=np.concatenate([[0], np.cumsum(counts)]),
        corner=np.stack([values.field(side).to_numpy(zero_copy_only=False) for side in _SIDES], axis=1),
        label=np.array([number[name] for name in values.field("label").to_pylist()], dtype=np.int64),
        difficult=values.field("difficult").to_numpy(zero_copy_only=False),
        size=np.stack([table[side].to_numpy() for side in ("width", "height")], axis=1),
        upright=bool(upright),
    )


def read_index(path: Path) -> Index:
    """The Index that `write_index` wrote. Raises SourceDamaged where `path` holds none, or a damaged one."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        about = json.loads((table.schema.metadata or {})[_METADATA])
        classes = tuple(about["classes"])
        number: dict[str | None, int] = {name: at for at, name in enumerate(classes)}
        number[None] = UNLABELLED
        boxes = _boxes_of(table, number, about["upright"]) if "boxes" in table.column_names else None
        where = tuple(table["path"].to_pylist())
        if not all(isinstance(name, str) for name in (*where, *classes)):
            raise TypeError("a name is no text")
        labels = None
        if "labels" in table.column_names:
            labels = np.zeros((len(where), len(classes)), dtype=np.bool_)
            for row, names in enumerate(table["labels"].to_pylist()):
                labels[row, [classes.index(name) for name in names]] = True
        return Index(
            where=where,
            label=np.array([number[name] for name in table["label"].to_pylist()], dtype=np.int64),
            split=np.array(table["split"].to_pylist(), dtype="U10"),
            group=table["group"].fill_null(-1).to_numpy(),
            hash=np.array([value or "" for value in table["hash"].to_pylist()], dtype="S32"),
            classes=classes,
            source=str(about["root"]),
            kind=str(about["kind"]),
            labels=labels,
            boxes=boxes,
        )
    except (
        *(pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError),
        *(RecursionError, OverflowError, MemoryError),
    ) as error:
        raise SourceDamaged(
            tr(
                "{path} is not an index written by Vistazo, or it was damaged ({reason}).",
                path=path,
                reason=error,
            )
        ) from error
