"""Pictures that lie in a folder elsewhere, read where they are; what cannot be read so is copied first."""

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from vistazo.language import tr
from vistazo.pictures.arrays import is_idx
from vistazo.pictures.folders import from_paths, hidden, is_picture, printable
from vistazo.pictures.index import Broken
from vistazo.pictures.stores import MOST_BYTES, Source, Stamps, too_large
from vistazo.pictures.video import is_video
from vistazo.remote.copies import mirrored
from vistazo.remote.folders import Folder

__all__ = ["Elsewhere", "read_elsewhere", "visible"]

# Beside pictures, files that say what is in them, in formats that are read from this computer.
_TOLD = frozenset({".xml", ".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".npy", ".parquet", ".tar", ".bin"})


@dataclass(frozen=True)
class Elsewhere:
    """Pictures in a folder elsewhere. sizes: bytes of those that are known. version: of all files there, '' unknown.

    Several are asked for at once.
    """

    folder: Folder
    where: tuple[str, ...]
    sizes: Mapping[str, int | None]
    version: str = ""
    threads: ClassVar[int] = 16  # an answer takes longer than a decoding

    def __len__(self) -> int:
        return len(self.where)

    def name(self, row: int) -> str:
        return self.where[row]

    def read(self, row: int) -> bytes:
        name = self.where[row]
        size = self.sizes.get(name)
        if size is not None and size > MOST_BYTES:
            raise too_large()
        data = self.folder.read(name, MOST_BYTES, size)
        if len(data) > MOST_BYTES:
            raise too_large()
        return data

    def take(self, rows: NDArray[np.int64]) -> Self:
        return type(self)(self.folder, tuple(self.where[row] for row in rows), self.sizes, self.version)

    def stamps(self) -> Stamps | None:
        if not self.version:
            return None
        return Stamps.of((name, self.sizes.get(name) or 0, (self.version,)) for name in self.where)


def visible(folder: Folder) -> tuple[dict[str, int | None], tuple[Broken, ...], str]:
    """{name: bytes} of the visible files, sorted; those whose names are no text; the version. Raises SourceError."""
    sizes, version = folder.listing()
    broken = [
        Broken(-1, repr(name), tr("its name is not valid text; rename it"))
        for name in sizes
        if not printable(name)
    ]
    kept = {
        name: size
        for name, size in sizes.items()
        if printable(name) and not any(map(hidden, name.split("/"))) and folder.locate(name) == name
    }
    return kept, tuple(broken), version


def read_elsewhere(folder: Folder, local: Callable[[Path], Source], *, say: Callable[[str], None]) -> Source:
    """The pictures of a folder elsewhere; `local` reads a copy of it where it holds anything but pictures.

    Raises SourceError, TooFewExamples, DiskError.
    """
    sizes, broken, version = visible(folder)
    if _read_here(list(sizes)):
        found = local(mirrored(folder, sizes, version, say=say))
        note = tr("Read from a copy of {url}.", url=folder.url)
        return Source(found.index, found.store, (note, *found.notes), (*broken, *found.broken))
    folders = sorted({above for name in sizes for above in _above(name)})
    index, notes = from_paths(sorted(sizes), folders, folder.url, kind="remote")
    note = tr("Read from {url} as it is needed.", url=folder.url)
    return Source(index, Elsewhere(folder, index.where, sizes, version), (note, *notes), broken)


def _read_here(names: Sequence[str]) -> bool:
    """Whether a folder holds more than pictures: numbers, videos, boxes."""
    if not any(map(is_picture, names)):
        return bool(names)
    if any(is_idx(name) or is_video(name) or posixpath.splitext(name)[1].lower() in _TOLD for name in names):
        return True
    stems = {posixpath.splitext(posixpath.basename(name))[0] for name in names if is_picture(name)}
    texts = (posixpath.basename(name) for name in names if name.lower().endswith(".txt"))
    return any(
        posixpath.splitext(text)[0] in stems for text in texts
    )  # boxes of YOLO: a .txt for each picture


def _above(name: str) -> list[str]:
    steps = name.split("/")[:-1]
    return ["/".join(steps[:depth]) for depth in range(1, len(steps) + 1)]
