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
from vistazo.errors import MissingExtra, SourceDamaged, SourceError, SourceMissing, UsageError
from vistazo.language import tr
from vistazo.pictures import formats
from vistazo.pictures.archives import archive_kind, tar_pictures, zip_pictures
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
from vistazo.pictures.cifar import is_batch
from vistazo.pictures.elsewhere import Elsewhere, read_elsewhere, visible
from vistazo.pictures.every import EVERY
from vistazo.pictures.folders import is_picture, listing, read_folder
from vistazo.pictures.index import PARTS, UNASSIGNED, Index, normal
from vistazo.pictures.manifests import is_manifest, read_manifest, text_of
from vistazo.pictures.npz import is_npz, read_npz
from vistazo.pictures.stores import (
    MOST_BYTES,
    Arrays,
    Files,
    Pixels,
    Source,
    Store,
    file_bytes,
    readable,
    reason_of,
    too_large,
)
from vistazo.pictures.video import frames_of, is_video
from vistazo.remote.addresses import is_url, shown
from vistazo.remote.copies import mirrored, origin
from vistazo.remote.folders import Folder
from vistazo.remote.opening import content, opened

__all__ = ["Arrays", "Source", "Store", "describe", "iterate_files", "read_source", "reason_of"]


def read_source(
    source: str | Path | Folder | Pairs | Mapping[str, Pairs],
    *,
    classes_file: Path | None,
    every: float = EVERY,
    say: Callable[[str], None] = lambda line: None,
) -> Source:
    """List the pictures of a folder, archive, manifest or IDX files, or take them from arrays in memory.

    source: a path or an address; or (pictures, labels) with uint8 (n, height, width[, channels]) and (n,) numbers
        or names; or such pairs under 'train', 'validation' and 'test'.
    classes_file: names, one a line, for sources whose labels are numbers (IDX and arrays).
    every: seconds between two frames of a video. say: takes lines of progress, where something is fetched.
    Raises SourceMissing, SourceDamaged, TooFewExamples, SourceError or UsageError, each in one sentence.
    """
    names = None if classes_file is None else _class_names(classes_file)
    if isinstance(source, Mapping):
        return read_arrays(source, names)
    if isinstance(source, tuple):
        return read_arrays({UNASSIGNED: source}, names)
    if is_url(source):
        source = opened(source, say=say)
    if isinstance(source, Folder):
        return read_elsewhere(source, lambda copy: _read_path(copy, names, every), say=say)
    path = _existing(source)
    if path is None:
        raise SourceMissing(
            tr("There is nothing at {path}. Check the spelling, or give the whole path.", path=source)
        )
    found = _of_a_copy(path, _read_path(path, names, every))
    if names is not None and found.index.kind not in ("idx", "npz"):
        raise UsageError(
            tr(
                "{path} names its classes itself: leave out the file of class names ({file}).",
                path=path,
                file=classes_file,
            )
        )
    return found


def describe(found: Source) -> dict[str, Any]:
    """How a source of pictures is read, without decoding them: {"lines", "counts"}, "task" where it must be named."""
    index = found.index
    counts = dict(zip(index.classes, index.counts(np.ones(len(index), dtype=np.bool_)).tolist(), strict=True))
    if index.labels is None:
        lines = [tr("pictures: {n}, classes: {classes}", n=len(index), classes=len(counts))]
    else:
        lines = [tr("pictures: {n}, labels: {labels}", n=len(index), labels=len(counts))]
    lines = [*_told_format(index), *lines, *found.notes]
    lines += [f"  {name}: {count}" for name, count in counts.items()]
    task = {} if index.boxes is None else {"task": "classification"}
    return {"lines": lines, "counts": counts, **task}


def _told_format(index: Index) -> list[str]:
    """Which of the formats a source is of, its parts and its boxes."""
    if index.kind not in formats.KINDS:
        return []
    name = formats.KINDS[index.kind]
    shown = tr(name)
    lines = [tr("format: {format}", format=shown)]
    sizes = {part: len(index.rows(part)) for part in PARTS}
    if any(sizes.values()):
        told = ", ".join(f"{tr(part)} {size}" for part, size in sizes.items() if size)
        lines.append(tr("parts that it names: {parts}", parts=told))
    return lines + ([formats.told_boxes(index)] if index.boxes is not None else [])


def _of_a_copy(path: Path, found: Source) -> Source:
    """What was read of a path; where that is a copy of a file elsewhere, it remembers the address."""
    url = origin(path)
    if url is None:
        return found
    note = tr("Read from a copy of {url}.", url=url)
    own = found.index.source == str(path.resolve())
    index = found.index.replace(source=url) if own else found.index
    return Source(index, found.store, (note, *found.notes), found.broken)


def _existing(given: str | Path) -> Path | None:
    """The path of what is there, under either spelling of its accents; None where nothing is."""
    path = platform.existing(given)
    return path if os.path.exists(path) else None  # noqa: PTH110 (Path.exists raises for a name too long)


def _read_path(path: Path, names: list[str] | None, every: float) -> Source:
    if path.is_dir():
        return _read_directory(path, names, every)
    if not path.is_file():
        raise SourceDamaged(tr("{path} is neither a folder nor an ordinary file.", path=path))
    other = formats.read_file(path)
    if other is not None:
        return other
    if is_manifest(path):
        return read_manifest(path)
    kind = archive_kind(path)
    if kind == "zip" and is_npz(path):
        return read_npz(path, names)
    if kind:
        return formats.read_archived(path, kind)
    if is_picture(path.name):
        raise SourceError(
            tr(
                "{path} is one picture. Give the folder that holds one sub-folder of pictures for each "
                "class.",
                path=path,
            )
        )
    if is_video(path.name):
        raise SourceError(
            tr("{path} is one video. Give the folder that holds one sub-folder for each class.", path=path)
        )
    part = path.suffix.lower() in (".json", ".xml", ".yaml", ".yml")  # of pictures with boxes
    if part or is_idx(path.name) or is_npy(path.name) or is_batch(path.name):
        raise SourceError(
            tr("{path} is one part of a data set. Give the folder that holds all of it.", path=path)
        )
    raise SourceError(
        tr(
            "{path} is in no format that Vistazo reads. Give a folder with one sub-folder for each class, "
            "a zip or tar of it, a CSV or Parquet file with columns path and label, a Parquet file or WebDataset "
            "tar with the pictures inside, a folder of IDX, .npy, CIFAR .bin or Quick, Draw! .ndjson files, or "
            "pictures with boxes (Pascal VOC, COCO or YOLO).",
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


def _read_directory(path: Path, names: list[str] | None, every: float) -> Source:
    with readable(path):
        found = listing(path)
    if any(map(is_idx, found.files)):
        return read_idx(path, found.files, names)
    if any(map(is_npy, found.files)) and not any(map(is_picture, found.files)):
        return read_npy(path, found.files)
    return formats.read_listed(path, found) or read_folder(path, found, every)


# ---------------------------------------------------------------- for predict
def iterate_files(
    paths: Iterable[str | Path | NDArray[Any]], *, every: float = EVERY
) -> Iterator[tuple[str, bytes | Pixels | str]]:
    """Every picture of files, folders (at any depth), archives, videos and arrays, one after the other.

    Yields (name, encoded bytes or uint8 pixels); where something cannot be read, (name, the reason as a str).
    Never holds more than one picture, whatever the size of a folder or archive.
    """
    for number, given in enumerate(paths):
        if isinstance(given, np.ndarray):
            yield from _pixels_of(given, f"array-{number}", one=given.ndim == 2)
            continue
        try:
            if is_url(given):
                yield from _pictures_at(given, every)
                continue
            path = _existing(given)
            if path is None:
                raise SourceMissing(tr("the file does not exist"))
            yield from _pictures_in(path, every)
        except (SourceError, MissingExtra, OSError, MemoryError) as error:
            yield shown(given) if is_url(given) else str(given), reason_of(error)


def _pictures_at(url: str, every: float) -> Iterator[tuple[str, bytes | Pixels | str]]:
    """The pictures at an address; one alone is not copied."""
    name = shown(url)
    if is_picture(name.partition("?")[0]) and "::" not in url and not name.startswith(("file:", "local:")):
        data = content(url, MOST_BYTES)
        yield name, data if len(data) <= MOST_BYTES else str(too_large())
        return
    there = opened(url, say=lambda line: None)
    if isinstance(there, Path):
        for inner, given in _pictures_in(there, every):
            yield name + inner.removeprefix(str(there)).replace(os.sep, "/"), given
        return
    sizes, broken, version = visible(there)
    yield from ((f"{name}/{fault.where}", fault.reason) for fault in broken)
    store = Elsewhere(there, tuple(filter(is_picture, sizes)), sizes)
    yield from _each(store, lambda inner: f"{name.rstrip('/')}/{inner}")
    films = {inner: size for inner, size in sizes.items() if is_video(inner)}
    if films:
        copied = mirrored(there, films, version, say=lambda line: None)
        for inner, given in _pictures_in(copied, every):
            yield name.rstrip("/") + inner.removeprefix(str(copied)).replace(os.sep, "/"), given
    if not len(store) and not films:
        yield name, tr("there are no pictures in it")


def _pictures_in(path: Path, every: float) -> Iterator[tuple[str, bytes | Pixels | str]]:
    if path.is_dir():
        found = listing(path)
        held = formats.store_of(path, found)
        if held is not None:
            yield from _each(held, lambda name: str(path / name))
            return
        store = Files(path, tuple(filter(is_picture, found.files)))
        yield from ((str(path / fault.where), fault.reason) for fault in found.broken)
        yield from _each(store, lambda name: str(path / name))
        films = [path / name for name in filter(is_video, found.files)]
        yield from iterate_files(films, every=every)
        if not len(store) and not films:
            yield str(path), tr("there are no pictures in it")
        return
    if not path.is_file():
        raise SourceDamaged(tr("it is not an ordinary file"))
    if is_video(path.name):
        yield from ((f"{path}#t={at}", frame) for at, frame in frames_of(path, every))
        return
    if is_idx(path.name):
        yield from _pixels_of(idx_array(path), str(path), one=False)
        return
    if is_npy(path.name):
        array = npy_array(path)
        flat = array.ndim == 2 and round(array.shape[1] ** 0.5) ** 2 == array.shape[1]  # rows of a data set
        yield from _pixels_of(array, str(path), one=array.ndim == 2 and not flat)
        return
    held = formats.store_of(path, None)
    if held is not None:
        yield from _each(held, lambda name: str(path.parent / name))
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
