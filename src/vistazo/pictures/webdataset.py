"""WebDataset: tar files whose members 'key.jpg' and 'key.cls' (or 'key.json') are a picture and its label.

Source: https://github.com/webdataset/webdataset, 'The WebDataset Format'. A key is a member's name up to the first dot
of its last name. One tar, or a folder of shards 'name-000000.tar', which are read where they lie.
"""

import json
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.language import tr
from vistazo.pictures.archives import archive_kind, tar_members
from vistazo.pictures.folders import is_picture, printable
from vistazo.pictures.index import UNASSIGNED, Broken, Index, indexed, normal, part_named
from vistazo.pictures.spans import Spans
from vistazo.pictures.stores import Source
from vistazo.pictures.trees import Tree, part_of, stem, words

__all__ = ["is_tar", "is_webdataset", "read_shards", "read_webdataset"]

MOST_LABEL = 1 << 20  # bytes of a .cls or .json
_FIELDS = ("class_name", "classname", "label_name", "label_text", "label", "cls", "class")


def is_tar(name: str) -> bool:
    """Whether a file is named like a tar that is read in place."""
    return name.lower().endswith(".tar")


def is_webdataset(tree: Tree) -> bool:
    """Whether an archive's pictures have labels beside them: any .cls, or .json that names a class for most.

    A plain tar with a folder for each class may hold other .json, which no one asked to read.
    """
    keys = {_key(name)[0] for name in tree.files if is_picture(name)}
    if any(_key(name)[1] == "cls" and _key(name)[0] in keys for name in tree.files):
        return True
    texts = [name for name in tree.files if _key(name)[1] == "json" and _key(name)[0] in keys]
    if not texts or 2 * len(texts) < len(keys):
        return False
    try:
        return _label("json", tree.read(texts[0])) is not None
    except (SourceDamaged, OSError):
        return False


def read_webdataset(tree: Tree) -> Source:
    """The samples of one tar. Raises TooFewExamples."""
    found = _Samples()
    found.add(tree.path.name, ((name, partial(tree.read, name)) for name in tree.files))
    where = found.finish(tree.path)
    index, notes = found.indexed(tree.path, [UNASSIGNED] * len(where))
    store = tree.store(index.where)
    return Source(index, store, notes, (*tree.broken, *found.broken))


def read_shards(path: Path, listed: Sequence[str]) -> Source | None:
    """The samples of a folder of tars; None where its first tar is no WebDataset.

    A shard belongs to the part that a word of its name or its folder says: 'train/data-000000.tar', 'val-000000.tar'.
    Raises SourceDamaged where a shard is no plain tar, TooFewExamples.
    """
    root = path.resolve()
    shards = list(filter(is_tar, listed))
    found = _Samples()
    place: dict[str, tuple[int, int, int]] = {}
    split: list[str] = []
    for number, name in enumerate(shards):
        if archive_kind(root / name) != "tar":
            raise SourceDamaged(
                tr(
                    "{path} is compressed, and a shard must be a plain tar. Unpack it first.",
                    path=root / name,
                )
            )

        def members(number: int = number, name: str = name) -> Iterator[tuple[str, Callable[[], bytes]]]:
            for member, info, content in tar_members(root / name, "tar"):
                if is_picture(member):
                    place[f"{name}/{member}"] = (number, info.offset_data, info.size)
                yield member, content if info.size <= MOST_LABEL else bytes

        found.add(name, members(), prefix=f"{name}/")
        if number == 0 and not found.texts:
            return None
        part = next((part for word in words(stem(name)) if (part := part_named(word))), part_of(name))
        split += [part or UNASSIGNED] * (len(found.where) - len(split))
    where = found.finish(path)
    index, notes = found.indexed(path, split)
    spans = np.array([place[name] for name in where], dtype=np.int64).reshape(-1, 3)
    store = Spans(index.where, [root / name for name in shards], spans)
    return Source(index, store, notes, tuple(found.broken))


def _key(name: str) -> tuple[str, str]:
    """'a/b.seg.png' is of key 'a/b' and of kind 'seg.png'."""
    folder, last = posixpath.split(name)
    first, _, kind = last.partition(".")
    return posixpath.join(folder, first), kind.lower()


def _label(kind: str, data: bytes) -> str | None:
    """The class that the bytes of a .cls or .json say; None where they say none."""
    if len(data) > MOST_LABEL:
        return None
    try:
        text = data.decode("utf-8-sig")
        value = text if kind == "cls" else _field(json.loads(text))
    except (ValueError, RecursionError):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    named = isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    return normal(str(value)) or None if named else None


def _field(told: object) -> object:
    if not isinstance(told, dict):
        return told
    return next((told[name] for name in _FIELDS if isinstance(told.get(name), (str, int, float))), None)


@dataclass
class _Samples:
    """Samples gathered from one tar or many. texts: how many labels were met."""

    where: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    texts: int = 0

    def add(
        self, shown: str, members: Iterable[tuple[str, Callable[[], bytes]]], *, prefix: str = ""
    ) -> None:
        """The samples of one tar: (name, how to read it) of each member."""
        pictures: dict[str, str] = {}
        labels: dict[str, tuple[str, str | None]] = {}
        for name, content in members:
            key, kind = _key(name)
            if not printable(name):
                self.broken.append(Broken(-1, repr(name), tr("its name is not valid text; rename it")))
            elif is_picture(name) and "." not in kind:
                if key in pictures:
                    self.broken.append(Broken(-1, prefix + name, tr("its sample has another picture")))
                else:
                    pictures[key] = name
            elif kind == "cls" or (kind == "json" and labels.get(key, ("",))[0] != "cls"):
                labels[key] = (kind, _label(kind, content()))
        told = [key for key, (kind, label) in labels.items() if kind == "cls" or label is not None]
        self.texts += sum(key in pictures for key in told)
        for key, name in pictures.items():
            label = labels.get(key, ("", None))[1]
            if label is None:
                self.broken.append(Broken(-1, prefix + name, tr("it has no label")))
            else:
                self.where.append(prefix + name)
                self.labels.append(label)
        for key in sorted(labels.keys() - pictures.keys()):
            self.broken.append(Broken(-1, f"{shown}: {key}", tr("it is a label without a picture")))

    def finish(self, path: Path) -> list[str]:
        """The names of the pictures. Raises TooFewExamples where there are none."""
        if not self.where:
            raise TooFewExamples(tr("{path} has no sample with both a picture and a label.", path=path))
        return self.where

    def indexed(self, path: Path, split: Sequence[str]) -> tuple[Index, tuple[str, ...]]:
        names = sorted(set(self.labels))
        number = {name: at for at, name in enumerate(names)}
        codes = np.array([number[label] for label in self.labels], dtype=np.int64)
        parts = np.array(split, dtype="U10")
        source = str(path.resolve())
        return indexed(self.where, codes, names, parts, source=source, kind="webdataset")
