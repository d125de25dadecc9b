"""Formats that are recognised by what a folder, a file or an archive holds, beyond class folders and tables.

Each has a reader of its own; this says which one, in one place for `sources`, `manifests` and the tasks.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from vistazo.errors import SourceError
from vistazo.language import mark, tr
from vistazo.pictures.annotated import Layout, find_layout
from vistazo.pictures.archives import archive_kind, class_folders, open_archive
from vistazo.pictures.cifar import find_cifar, is_batch, read_cifar
from vistazo.pictures.coco import read_coco
from vistazo.pictures.crops import cropped
from vistazo.pictures.encoded import encoded_store, holds_pictures, is_parquet, read_encoded
from vistazo.pictures.folders import Listing, is_picture, listing
from vistazo.pictures.index import CROPS, Index
from vistazo.pictures.stores import Source, Store, readable
from vistazo.pictures.strokes import is_strokes, read_strokes
from vistazo.pictures.trees import OnDisk, Tree, folder_tree
from vistazo.pictures.voc import read_voc
from vistazo.pictures.webdataset import is_tar, is_webdataset, read_shards, read_webdataset
from vistazo.pictures.yolo import read_yolo

__all__ = [
    "KINDS",
    "holds_boxes",
    "read_again",
    "read_archived",
    "read_file",
    "read_listed",
    "store_of",
    "told_boxes",
]

KINDS = {
    "strokes": mark("Quick, Draw! strokes"),
    "cifar": mark("CIFAR, binary version"),
    "encoded": mark("Parquet with the pictures inside"),
    "webdataset": mark("WebDataset"),
    "voc": mark("Pascal VOC boxes"),
    "coco": mark("COCO boxes"),
    "yolo": mark("YOLO boxes"),
}
_BOXES: dict[str, Callable[[Tree, tuple[str, ...]], Source]] = {
    "voc": read_voc,
    "coco": read_coco,
    "yolo": read_yolo,
}
_TRACES = (b".xml", b".json", b".txt")  # of annotations, in an archive's list of names
_TAIL = 1 << 16


# ---------------------------------------------------------------- a whole source
def read_listed(path: Path, found: Listing) -> Source | None:
    """The Source of a folder that was listed, where it is of one of KINDS; else None. Raises SourceError."""
    if layout := find_layout(OnDisk(path)):
        return _BOXES[layout.form](folder_tree(path, found), layout.homes)
    if any(map(is_picture, found.files)):
        return None
    if cifar := find_cifar(path, found.files):
        return read_cifar(folder_tree(path, found), cifar)
    if any(map(is_strokes, found.files)):
        return read_strokes(path, found.files)
    if shards := _shards(path, found.files):
        return read_encoded(path, shards)
    if any(map(is_tar, found.files)):
        return read_shards(path, found.files)
    return None


def _shards(path: Path, listed: Sequence[str]) -> list[str]:
    """The Parquet files of a folder, where the first of them has pictures inside."""
    shards = list(filter(is_parquet, listed))
    return shards if shards and holds_pictures(path / shards[0]) else []


def read_file(path: Path) -> Source | None:
    """The Source of a file, where it is one of strokes or a Parquet with pictures; else None. Raises SourceError."""
    if is_strokes(path.name):
        if is_batch(path.name):
            return None
        return read_strokes(path, ())
    return read_encoded(path, ()) if is_parquet(path.name) and holds_pictures(path) else None


def read_archived(path: Path, kind: str) -> Source:
    """The Source of an archive of that `archive_kind`: one of KINDS, or a folder for each class. Raises SourceError."""
    tree = open_archive(path, kind)
    if not any(map(is_picture, tree.files)) and (cifar := find_cifar(path, tree.files)):
        return read_cifar(tree, cifar)
    if kind != "zip" and is_webdataset(tree):
        return read_webdataset(tree)
    layout = find_layout(tree)
    if layout is None:
        return class_folders(tree)
    if kind != "zip":  # whose list of names would take as long to read as all of it, before a task is chosen
        raise SourceError(
            tr("{path} is a tar of pictures with boxes. Unpack it, or pack them as a zip.", path=path)
        )
    return _BOXES[layout.form](tree, layout.homes)


def read_again(root: Path, kind: str) -> Source:
    """The Source that a run's index of one of KINDS or of CROPS was made from. Raises SourceError."""
    if root.is_dir():
        with readable(root):
            found = listing(root)
        source = read_listed(root, found)
    else:
        archive = archive_kind(root)
        source = read_archived(root, archive) if archive else read_file(root)
    if source is not None and kind == CROPS:
        source = cropped(source)
    if source is None or source.index.kind != kind:
        raise SourceError(tr("{path} is another kind of source than it was when the run began.", path=root))
    return source


def store_of(path: Path, found: Listing | None) -> Store | None:
    """The pictures to answer for in a file (or a folder that was listed) of strokes, CIFAR or Parquet; else None.

    Raises SourceError.
    """
    if found is None:
        parquet = is_parquet(path.name) and holds_pictures(path)
        if not parquet and not is_strokes(path.name):
            return None
        return encoded_store(path, ()) if parquet else read_strokes(path, ()).store
    if any(map(is_picture, found.files)):
        return None
    if shards := _shards(path, found.files):
        return encoded_store(path, shards)
    cifar = find_cifar(path, found.files)
    if cifar or any(map(is_strokes, found.files)):
        source = read_cifar(folder_tree(path, found), cifar) if cifar else read_strokes(path, found.files)
        return source.store
    return None


# ---------------------------------------------------------------- boxes
def holds_boxes(path: Path) -> str:
    """The kind of boxes in a folder or zip, told from names alone and as quickly as names are read; '' for none."""
    layout: Layout | None = None
    if path.is_dir():
        layout = find_layout(OnDisk(path))
    elif path.is_file() and _mentions(path):
        layout = find_layout(open_archive(path, "zip")) if archive_kind(path) == "zip" else None
    return layout.form if layout else ""


def _mentions(path: Path) -> bool:
    """Whether the list of names at the end of a zip could hold annotations: 1 ms for 60,000 names, not 400."""
    with readable(path), open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _TAIL))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            return False
        first = int.from_bytes(tail[at + 16 : at + 20], "little")
        file.seek(min(first, end))  # more than there is, in an archive of above 4 GB: then the tail has to do
        names = (file.read(end - first) if first < end else tail).lower()
    return any(trace in names for trace in _TRACES)


def told_boxes(index: Index) -> str:
    """How many boxes an Index has, in a sentence; '' where it has none."""
    if index.boxes is None:
        return ""
    return tr("boxes: {n}, classes: {classes}", n=len(index.boxes.label), classes=len(index.classes))
