"""Pictures as numbers: IDX files, folders of .npy files, and NumPy arrays in memory."""

import math
import posixpath
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vistazo.errors import SourceDamaged, SourceError, SourceMissing, TooFewExamples, UsageError
from vistazo.language import tr
from vistazo.pictures.archives import refuse_bomb
from vistazo.pictures.index import TEST, TRAIN, UNASSIGNED, VALIDATION, indexed, part_named
from vistazo.pictures.stores import Arrays, Pixels, Source, readable

__all__ = [
    "Pairs",
    "as_pictures",
    "from_pairs",
    "idx_array",
    "is_idx",
    "is_npy",
    "npy_array",
    "read_arrays",
    "read_idx",
    "read_npy",
]

Pairs = tuple[ArrayLike, ArrayLike]

_IDX_NAME = re.compile(
    r"(?P<stem>[^/]*?)[-._](?P<what>images|labels)[-._]idx\d[-._]ubyte(?P<gz>\.gz)?$", re.IGNORECASE
)


# ---------------------------------------------------------------- IDX
def is_idx(name: str) -> bool:
    """Whether a file is named like one of an IDX pair."""
    return _IDX_NAME.search(name) is not None


def read_idx(path: Path, listed: Sequence[str], names: list[str] | None) -> Source:
    """Pairs 'train-images-idx3-ubyte[.gz]' and 'train-labels-idx1-ubyte[.gz]'; 't10k' is the test part.

    Source: LeCun, Cortes, Burges, http://yann.lecun.com/exdb/mnist, 'the IDX file format'.
    """
    found: dict[str, dict[str, str]] = {}
    for name in listed:
        match = _IDX_NAME.search(name)
        if match:
            pair = found.setdefault(match["stem"], {})
            what = match["what"].lower()
            if what not in pair or not match["gz"]:  # the unpacked one is read faster
                pair[what] = name
    stems: dict[str, str] = {}
    for stem, pair in sorted(found.items()):
        if len(pair) < 2:
            lacking = ({"images", "labels"} - pair.keys()).pop()
            raise SourceMissing(
                tr(
                    "{path} has {file} and not its {lacking}. Put both in the folder.",
                    path=path,
                    file=next(iter(pair.values())),
                    lacking=lacking,
                )
            )
        part = next((part for word in re.split(r"[-._ ]", stem) if (part := part_named(word))), UNASSIGNED)
        if part in stems:
            raise SourceError(
                tr(
                    "{path} holds several data sets ('{one}' and '{other}'). Give each its own folder.",
                    path=path,
                    one=stems[part],
                    other=stem,
                )
            )
        stems[part] = stem
    pairs, files = {}, {}
    for part in sorted(stems, key=(UNASSIGNED, TRAIN, VALIDATION, TEST).index):
        pair = found[stems[part]]
        files[part] = re.sub(r"\.gz$", "", posixpath.basename(pair["images"]), flags=re.IGNORECASE)
        pairs[part] = (idx_array(path / pair["images"]), idx_array(path / pair["labels"]))
    return from_pairs(pairs, files, names, source=str(path.resolve()), kind="idx", shown=path)


def idx_array(path: Path) -> Pixels:
    """The array of an IDX file of bytes, of 1, 3 or 4 dimensions. Raises SourceDamaged."""
    with readable(path):
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            shape, size = _idx_shape(zlib.decompressobj(31).decompress(data, 20), path)
            refuse_bomb(path, members=0, unpacked=size, packed=len(data))
            data = _gunzip(data, size + 1)
        shape, size = _idx_shape(data[:20], path)
        if len(data) != size:
            raise ValueError(tr("{there} bytes instead of {due}", there=len(data), due=size))
        return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _idx_shape(head: bytes, path: Path) -> tuple[tuple[int, ...], int]:
    """The shape the header promises, and the bytes of the whole file."""
    if len(head) < 8 or head[:3] != b"\0\0\x08" or head[3] not in (1, 3, 4) or len(head) < 4 + 4 * head[3]:
        raise SourceDamaged(
            tr(
                "{path} is no IDX file of bytes: it starts with {head}.",
                path=path,
                head=head[:4].hex(" ") or tr("nothing"),
            )
        )
    shape = struct.unpack(f">{head[3]}I", head[4 : 4 + 4 * head[3]])
    return shape, 4 + 4 * len(shape) + math.prod(shape)


def _gunzip(data: bytes, most: int) -> bytes:
    """At most `most` bytes, of one or several gzip members."""
    pieces: list[bytes] = []
    while data and most > 0:
        member = zlib.decompressobj(31)
        pieces.append(member.decompress(data, most))
        most -= len(pieces[-1])
        if not member.eof and most > 0:
            raise EOFError(tr("the end is missing"))
        data = member.unused_data
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


# ---------------------------------------------------------------- npy
def is_npy(name: str) -> bool:
    """Whether a file is named like an array of NumPy's."""
    return name.lower().endswith(".npy")


def npy_array(path: Path) -> NDArray[Any]:
    """A memory map of a .npy file: only what is asked for is read. Raises SourceDamaged."""
    with readable(path):
        try:
            # not np.load, which opens zips and pickles too
            return np.lib.format.open_memmap(path, mode="r")
        except OSError:
            raise
        except Exception as error:  # the header is parsed as Python, and raises whatever that trips over
            raise ValueError(error) from error


def read_npy(path: Path, listed: Sequence[str]) -> Source:
    """A folder with one .npy a class: (n, 784) when square, or (n, height, width[, channels])."""
    files = [name for name in listed if is_npy(name)]
    parts = []
    for name in files:
        with readable(path / name):
            parts.append(as_pictures(npy_array(path / name), path / name))
        if not len(parts[-1]):
            raise TooFewExamples(tr("{path} has no pictures.", path=path / name))
    codes = np.repeat(np.arange(len(files)), [len(part) for part in parts])
    where = [f"{name}#{at}" for name, part in zip(files, parts, strict=True) for at in range(len(part))]
    classes = [posixpath.splitext(posixpath.basename(name))[0] for name in files]
    split = np.full(len(codes), UNASSIGNED, dtype="U10")
    index, notes = indexed(where, codes, classes, split, source=str(path.resolve()), kind="npy")
    return Source(index, Arrays(parts, index.where, np.arange(len(index))), notes, ())


# ---------------------------------------------------------------- in memory
def read_arrays(pairs: Mapping[str, Pairs], names: list[str] | None) -> Source:
    """(pictures, labels) in memory, under the name of their part or ''; `names` spells labels that are numbers."""
    parts: dict[str, tuple[Pixels, NDArray[Any]]] = {}
    for key, (pictures, labels) in pairs.items():
        part = part_named(key) if key else UNASSIGNED
        if part is None:
            raise UsageError(tr("'{key}' is no part of a data set. Known: train, validation, test.", key=key))
        parts[part] = (as_pictures(np.asarray(pictures), key or "array"), np.asarray(labels))
    files = {part: part or "array" for part in parts}
    return from_pairs(parts, files, names, source="", kind="arrays", shown="array")


def from_pairs(
    pairs: Mapping[str, tuple[Pixels, NDArray[Any]]],
    files: Mapping[str, str],
    names: list[str] | None,
    *,
    source: str,
    kind: str,
    shown: object,
) -> Source:
    """The Source of (pictures, labels) pairs by part; `files` names each part's pictures."""
    for part, (pictures, labels) in pairs.items():
        if labels.ndim == 2 and labels.shape[1] == 1:  # as keras.datasets hands them out
            labels = labels[:, 0]
        if pictures.ndim not in (3, 4) or labels.ndim != 1:
            raise SourceDamaged(
                tr("{path} needs one label for each picture, in one column.", path=files[part])
            )
        if len(pictures) != len(labels):
            raise SourceDamaged(
                tr(
                    "{path} has {n} pictures and {m} labels. Each picture needs one.",
                    path=f"{shown}: {files[part]}",
                    n=len(pictures),
                    m=len(labels),
                )
            )
    if not any(len(pictures) for pictures, _ in pairs.values()):
        raise TooFewExamples(tr("{path} has no pictures.", path=shown))
    _same_size([pictures for pictures, _ in pairs.values()], list(files.values()), shown)
    values, codes = np.unique(
        np.concatenate([np.ravel(labels) for _, labels in pairs.values()]), return_inverse=True
    )
    if names is not None:
        if values.dtype.kind not in "iu" or values[0] < 0 or values[-1] >= len(names):
            raise UsageError(
                tr(
                    "The labels of {path} go from {least} to {most}, and the file of class names has {n} "
                    "lines.",
                    path=shown,
                    least=values[0],
                    most=values[-1],
                    n=len(names),
                )
            )
        spelled = [names[value] for value in values]
    else:
        spelled = [str(value) for value in values]
    sizes = [len(pictures) for pictures, _ in pairs.values()]
    where = [f"{files[part]}#{at}" for part, n in zip(pairs, sizes, strict=True) for at in range(n)]
    split = np.repeat(np.array(list(pairs), dtype="U10"), sizes)
    index, notes = indexed(where, codes.astype(np.int64), spelled, split, source=source, kind=kind)
    store = Arrays([pictures for pictures, _ in pairs.values()], index.where, np.arange(len(index)))
    return Source(index, store, notes, ())


def as_pictures(array: NDArray[Any], name: object) -> Pixels:
    """uint8 (n, height, width) or (n, height, width, channels) of any array that means pictures.

    Numbers must lie in 0..255, or fractions in 0..1. Raises SourceDamaged.
    """
    if array.ndim == 2:
        side = round(array.shape[1] ** 0.5)
        if side * side == array.shape[1]:
            array = array.reshape(len(array), side, side)
    channels = array.shape[3] if array.ndim == 4 else 1
    if array.ndim not in (3, 4) or channels not in (1, 3, 4) or 0 in array.shape[1:]:
        raise SourceDamaged(
            tr(
                "{path} has shape {shape}. Pictures are (n, height, width) or (n, height, width, 1, 3 or "
                "4 channels).",
                path=name,
                shape=array.shape,
            )
        )
    if array.dtype == np.uint8 or not len(array):
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind not in "biuf":
        raise SourceDamaged(tr("{path} holds {type}, not numbers.", path=name, type=array.dtype))
    least, most = float(array.min()), float(array.max())
    if not (least >= 0 and most <= 255):  # NaN is refused too
        raise SourceDamaged(
            tr(
                "{path} holds values from {least} to {most}. Pixels lie in 0..255, or in 0..1.",
                path=name,
                least=least,
                most=most,
            )
        )
    if array.dtype.kind == "b" or (array.dtype.kind == "f" and most <= 1):
        return np.rint(array * np.float32(255)).astype(np.uint8)
    return np.rint(array).astype(np.uint8) if array.dtype.kind == "f" else array.astype(np.uint8)


def _same_size(parts: Sequence[Pixels], names: Sequence[str], shown: object) -> None:
    for part, name in zip(parts, names, strict=True):
        if part.shape[1:] != parts[0].shape[1:]:
            raise SourceDamaged(
                tr(
                    "{path}: the pictures of {one} are {size} and those of {other} are {other_size}. All "
                    "must be alike.",
                    path=shown,
                    one=names[0],
                    size="×".join(map(str, parts[0].shape[1:])),
                    other=name,
                    other_size="×".join(map(str, part.shape[1:])),
                )
            )
