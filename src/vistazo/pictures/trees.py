"""What a folder or an archive holds, by name: what readers of annotations look at before they know what it means."""

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from vistazo.errors import SourceDamaged
from vistazo.language import tr
from vistazo.pictures.folders import Listing, hidden, printable
from vistazo.pictures.index import UNASSIGNED, Broken, normal, part_named
from vistazo.pictures.stores import Files, Store

__all__ = ["OnDisk", "Places", "Tree", "below", "folder_tree", "part_of", "stem", "words"]

Entries = tuple[Sequence[str], Sequence[str]]
_CHUNK = 1 << 20

# words that stand beside a part's name: images_train, instances_val2017
_FILLERS = {
    *("image", "images", "img", "imgs", "jpegimages"),
    *("label", "labels", "annotation", "annotations", "instances"),
    *("set", "data", "coco", "voc", "yolo"),
}


class Places(Protocol):
    """Names below a root, looked at one folder at a time."""

    def entries(self, folder: str) -> Entries:
        """The names of the files and of the folders in `folder` ('' is the root), each sorted."""

    def head(self, name: str, most: int) -> bytes:
        """The first `most` bytes of a file. Raises OSError or SourceDamaged."""


@dataclass(frozen=True)
class OnDisk:
    """A folder whose sub-folders are listed only where they are asked for; what cannot be listed is empty."""

    root: Path

    def entries(self, folder: str) -> Entries:
        files: list[str] = []
        folders: list[str] = []
        try:
            for entry in os.scandir(self.root / folder):
                if not hidden(entry.name) and printable(entry.name):
                    (folders if entry.is_dir() else files).append(entry.name)
        except OSError:
            pass
        return sorted(files), sorted(folders)

    def head(self, name: str, most: int) -> bytes:
        return _head(self.root / name, most)


@dataclass(frozen=True)
class Tree:
    """Everything visible in a folder or archive.

    files, folders: sorted names with '/'.  kind: 'folder' or 'archive'.  store: makes the Store of some of the files.
    broken: what could not be listed.
    """

    path: Path
    files: Sequence[str]
    folders: Sequence[str]
    kind: str
    store: Callable[[Sequence[str]], Store]
    broken: tuple[Broken, ...] = ()

    @cached_property
    def _children(self) -> dict[str, tuple[list[str], list[str]]]:
        found: dict[str, tuple[list[str], list[str]]] = {}
        for at, names in enumerate((self.files, self.folders)):
            for name in names:
                found.setdefault(posixpath.dirname(name), ([], []))[at].append(posixpath.basename(name))
        return found

    def entries(self, folder: str) -> Entries:
        """The names of the files and of the folders in `folder`."""
        return self._children.get(folder, ((), ()))

    def head(self, name: str, most: int) -> bytes:
        """The first `most` bytes of a file; of an archive's member, all of it is read to that end."""
        return _head(self.path / name, most) if self.kind == "folder" else self.read(name)[:most]

    def read(self, name: str) -> bytes:
        """A file's content. Raises OSError or SourceDamaged."""
        data = self.store([name]).read(0)
        assert isinstance(data, bytes)
        return data

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's content piece by piece; of an archive's member in one piece. Raises OSError or SourceDamaged."""
        if self.kind != "folder":
            yield self.read(name)
            return
        with _regular(self.path / name).open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def folder_tree(path: Path, found: Listing) -> Tree:
    """The Tree of a folder on disk that was listed."""
    root = path.resolve()
    return Tree(
        root,
        found.files,
        found.folders,
        "folder",
        lambda names: Files(root, tuple(names)),
        tuple(found.broken),
    )


def _regular(path: Path) -> Path:
    if not path.is_file():  # opening a pipe waits for ever
        path.stat()
        raise SourceDamaged(tr("it is not an ordinary file"))
    return path


def _head(path: Path, most: int) -> bytes:
    with _regular(path).open("rb") as file:
        return file.read(most)


# ---------------------------------------------------------------- names
def below(home: str, name: str) -> str:
    """`name` in the folder `home`; '' is the root."""
    return f"{home}/{name}" if home else name


def stem(name: str) -> str:
    """The last name of a path without its ending: 'a/b.c.jpg' is 'b.c'."""
    return posixpath.splitext(posixpath.basename(name))[0]


def words(name: str) -> list[str]:
    """The runs of letters in a name, accents composed: 'val2017-año' gives val and año."""
    return re.findall(r"[^\W\d_]+", normal(name))


def part_of(name: str) -> str:
    """The part of a data set that a path's folders name, such as 'images/train2017/1.jpg', or UNASSIGNED.

    A folder names a part where that is its only word beside 'images', 'labels' and their like; the first one counts.
    """
    for folder in posixpath.dirname(name).split("/"):
        left = [word for word in words(folder) if word.casefold() not in _FILLERS]
        part = part_named(left[0]) if len(left) == 1 else None
        if part:
            return part
    return UNASSIGNED
