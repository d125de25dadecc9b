"""The way in: folders, archives, IDX files, arrays and manifests, read into one Index and one Store.

A reader is a free function from a path to a Source. It lists pictures and opens none of them: what
their bytes hold is found out once, later, by `decoding.load`.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo import platform
from vistazo.errors import SourceDamaged, SourceError, SourceMissing, UsageError
from vistazo.language import tr
from vistazo.pictures.archives import archive_kind, read_archive, tar_pictures, zip_pictures
from vistazo.pictures.arrays import (
    Pairs,
    as_pictures,
    idx_array,
    is_idx,
    is_npy,
    npy_array,
    read_arrays,
    read_idx,
    read_npy,
)
from vistazo.pictures.folders import is_picture, listing, read_folder
from vistazo.pictures.index import UNASSIGNED, normal
from vistazo.pictures.manifests import is_manifest, read_manifest, text_of
from vistazo.pictures.stores import Arrays, Files, Pixels, Source, Store, file_bytes, readable, reason_of

__all__ = ["Arrays", "Source", "Store", "check", "iterate_files", "read_source", "reason_of"]


def read_source(source: str | Path | Pairs | Mapping[str, Pairs], *, classes_file: Path | None) -> Source:
    """List the pictures of a folder, archive, manifest or IDX files, or take them from arrays in memory.

    source: a path; or (pictures, labels) with uint8 (n, height, width[, channels]) and (n,) numbers or names;
        or such pairs under 'train', 'validation' and 'test'.
    classes_file: names, one a line, for sources whose labels are numbers (IDX and arrays).
    Raises SourceMissing, SourceDamaged, TooFewExamples, SourceError or UsageError, each in one sentence.
    """
    names = None if classes_file is None else _class_names(classes_file)
    if isinstance(source, Mapping):
        return read_arrays(source, names)
    if isinstance(source, tuple):
        return read_arrays({UNASSIGNED: source}, names)
    path = _existing(source)
    if path is None:
        raise SourceMissing(
            tr("There is nothing at {path}. Check the spelling, or give the whole path.", path=source)
        )
    found = _read_path(path, names)
    if names is not None and found.index.kind != "idx":
        raise UsageError(
            tr(
                "{path} names its classes itself: leave out the file of class names ({file}).",
                path=path,
                file=classes_file,
            )
        )
    return found


def check(found: Source) -> dict[str, Any]:
    """How a source of pictures is read, without decoding them: {"lines", "counts"}; `health` tells what is wrong."""
    index = found.index
    counts = dict(zip(index.classes, index.counts(np.ones(len(index), dtype=np.bool_)).tolist(), strict=True))
    if index.labels is None:
        lines = [tr("pictures: {n}, classes: {classes}", n=len(index), classes=len(counts))]
    else:
        lines = [tr("pictures: {n}, labels: {labels}", n=len(index), labels=len(counts))]
    lines += found.notes
    lines += [f"  {name}: {count}" for name, count in counts.items()]
    return {"lines": lines, "counts": counts}


def _existing(given: str | Path) -> Path | None:
    """The path of what is there, under either spelling of its accents; None where nothing is."""
    path = platform.existing(given)
    return path if os.path.exists(path) else None  # noqa: PTH110 (Path.exists raises for a name too long)


def _read_path(path: Path, names: list[str] | None) -> Source:
    if path.is_dir():
        return _read_directory(path, names)
    if not path.is_file():
        raise SourceDamaged(tr("{path} is neither a folder nor an ordinary file.", path=path))
    if is_manifest(path):
        return read_manifest(path)
    kind = archive_kind(path)
    if kind:
        return read_archive(path, kind)
    if is_picture(path.name):
        raise SourceError(
            tr(
                "{path} is one picture. Give the folder that holds one sub-folder of pictures for each "
                "class.",
                path=path,
            )
        )
    if is_idx(path.name) or is_npy(path.name):
        raise SourceError(
            tr("{path} is one part of a data set. Give the folder that holds all of it.", path=path)
        )
    raise SourceError(
        tr(
            "{path} is in no format that Vistazo reads. Give a folder with one sub-folder for each class, "
            "a zip or tar of it, a CSV or Parquet file with columns path and label, or a folder of IDX "
            "or .npy files.",
            path=path,
        )
    )


def _class_names(path: Path) -> list[str]:
    path = platform.existing(path)
    if not path.is_file():
        raise SourceMissing(tr("There is no file of class names at {path}.", path=path))
    with readable(path):
        names = [normal(line) for line in text_of(path).splitlines()]
    while names and not names[-1]:
        names.pop()
    repeated = [name or "''" for name, times in Counter(names).items() if times > 1 or not name]
    if repeated or not names:
        raise SourceDamaged(
            tr(
                "{path} must hold one name a line, each once ({names}).",
                path=path,
                names=", ".join(repeated) or tr("empty"),
            )
        )
    return names


def _read_directory(path: Path, names: list[str] | None) -> Source:
    with readable(path):
        found = listing(path)
    if any(map(is_idx, found.files)):
        return read_idx(path, found.files, names)
    if any(map(is_npy, found.files)) and not any(map(is_picture, found.files)):
        return read_npy(path, found.files)
    return read_folder(path, found)


# ---------------------------------------------------------------- for predict
def iterate_files(paths: Iterable[str | Path | NDArray[Any]]) -> Iterator[tuple[str, bytes | Pixels | str]]:
    """Every picture of files, folders (at any depth), archives and arrays, one after the other.

    Yields (name, encoded bytes or uint8 pixels); where something cannot be read, (name, the reason as a str).
    Never holds more than one picture, whatever the size of a folder or archive.
    """
    for number, given in enumerate(paths):
        if isinstance(given, np.ndarray):
            yield from _pixels_of(given, f"array-{number}", one=given.ndim == 2)
            continue
        try:
            path = _existing(given)
            if path is None:
                raise SourceMissing(tr("the file does not exist"))
            yield from _pictures_in(path)
        except (SourceError, OSError, MemoryError) as error:
            yield str(given), reason_of(error)


def _pictures_in(path: Path) -> Iterator[tuple[str, bytes | Pixels | str]]:
    if path.is_dir():
        found = listing(path)
        store = Files(path, tuple(filter(is_picture, found.files)))
        yield from ((str(path / fault.where), fault.reason) for fault in found.broken)
        yield from _each(store, lambda name: str(path / name))
        if not len(store):
            yield str(path), tr("there are no pictures in it")
        return
    if not path.is_file():
        raise SourceDamaged(tr("it is not an ordinary file"))
    if is_idx(path.name):
        yield from _pixels_of(idx_array(path), str(path), one=False)
        return
    if is_npy(path.name):
        array = npy_array(path)
        flat = array.ndim == 2 and round(array.shape[1] ** 0.5) ** 2 == array.shape[1]  # rows of a data set
        yield from _pixels_of(array, str(path), one=array.ndim == 2 and not flat)
        return
    kind = archive_kind(path)
    if kind == "zip":
        yield from _each(zip_pictures(path), lambda name: f"{path}/{name}")
    elif kind:
        for name, content in tar_pictures(path, kind):
            yield f"{path}/{name}", str(content) if isinstance(content, SourceDamaged) else content
    else:
        yield str(path), file_bytes(path)


def _each(store: Store, shown: Callable[[str], str]) -> Iterator[tuple[str, bytes | Pixels | str]]:
    for row in range(len(store)):
        try:
            yield shown(store.name(row)), store.read(row)
        except (SourceError, OSError, MemoryError) as error:
            yield shown(store.name(row)), reason_of(error)


def _pixels_of(array: NDArray[Any], name: str, *, one: bool) -> Iterator[tuple[str, Pixels | str]]:
    """One picture (or three axes of which the last is 1, 3 or 4 channels), or several along the first."""
    one = one or (array.ndim == 3 and array.shape[-1] in (1, 3, 4))
    try:
        pictures = as_pictures(array[None] if one else array, name)
    except SourceDamaged as error:
        yield name, str(error)
        return
    for at, pixels in enumerate(pictures):
        yield name if one else f"{name}#{at}", np.ascontiguousarray(pixels)
