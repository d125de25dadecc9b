"""CIFAR-10 and CIFAR-100 in their binary version: a folder, or the tar that is published.

Source: Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html, 'Binary version'. A record is one byte of class (of
CIFAR-100 two: the coarse one, then the fine one, which is the class here) and 3 x 32 x 32 of pixels, red before green
before blue.
"""

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vistazo.errors import SourceDamaged, SourceError
from vistazo.language import tr
from vistazo.pictures.index import TEST, TRAIN, indexed
from vistazo.pictures.stores import Arrays, Pixels, Source, readable
from vistazo.pictures.trees import Tree, below

__all__ = ["Cifar", "find_cifar", "is_batch", "read_cifar"]

_PIXELS = 3 * 32 * 32
_BATCH = re.compile(r"(data_batch_\d+|test_batch)\.bin", re.IGNORECASE)
_PICKLED = re.compile(r"data_batch_\d+|test_batch")


@dataclass(frozen=True)
class Cifar:
    """What was found. files: the data, training before test. names: the file of class names, '' without one."""

    classes: int
    files: tuple[str, ...]
    names: str


def is_batch(name: str) -> bool:
    """Whether a file is named like a part of CIFAR-10."""
    return _BATCH.fullmatch(posixpath.basename(name)) is not None


def find_cifar(path: object, listed: Sequence[str]) -> Cifar | None:
    """The CIFAR among files, by their names; None where there is none.

    Raises SourceError where there are two of them, or the version for Python alone.
    """
    folders: dict[str, list[str]] = {}
    for name in listed:
        if re.match(r"(data_batch_|test|train|meta)", posixpath.basename(name)):
            folders.setdefault(posixpath.dirname(name), []).append(posixpath.basename(name))
    found, pickled = [], False
    every = set(listed)
    for home, names in folders.items():
        batches = sorted(filter(_BATCH.fullmatch, names), key=lambda name: (name.startswith("test"), name))
        if any(name.startswith("data") for name in batches):
            text = below(home, "batches.meta.txt")
            found.append((home, 10, batches, text))
        text = below(home, "fine_label_names.txt")
        if {"train.bin", "test.bin"} <= set(names) and (text in every or _alone(home, listed)):
            found.append((home, 100, ["train.bin", "test.bin"], text))
        pickled |= any(map(_PICKLED.fullmatch, names)) or {"train", "test", "meta"} <= set(names)
    if len(found) > 1:
        one, other = (below(home, batches[0]) for home, _, batches, _ in found[:2])
        raise SourceError(
            tr(
                "{path} holds several data sets ('{one}' and '{other}'). Give each its own folder.",
                path=path,
                one=one,
                other=other,
            )
        )
    if not found:
        if pickled:
            raise SourceError(
                tr(
                    "{path} holds the version of CIFAR for Python, which is pickled: to open a pickle may run any "
                    "code. Get the binary version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz).",
                    path=path,
                )
            )
        return None
    home, classes, batches, text = found[0]
    return Cifar(classes, tuple(below(home, name) for name in batches), text if text in every else "")


def _alone(home: str, listed: Sequence[str]) -> bool:
    """Whether train.bin and test.bin are the only .bin in their folder: 'train' is a drawing's word too."""
    beside = [name for name in listed if posixpath.dirname(name) == home and name.lower().endswith(".bin")]
    return len(beside) == 2


def read_cifar(tree: Tree, found: Cifar) -> Source:
    """The pictures of a `find_cifar`; those of a folder are memory-mapped. Raises SourceDamaged."""
    parts: list[Pixels] = []
    labels: list[Pixels] = []
    ahead = 1 if found.classes == 10 else 2
    for name in found.files:
        shown = tree.path / name
        with readable(shown):
            data = _bytes_of(tree, name)
        if not len(data) or len(data) % (ahead + _PIXELS):
            raise SourceDamaged(
                tr(
                    "{path} has {n} bytes, which is no whole number of CIFAR pictures of {each}. Get it again.",
                    path=shown,
                    n=len(data),
                    each=ahead + _PIXELS,
                )
            )
        records = data.reshape(-1, ahead + _PIXELS)
        labels.append(np.array(records[:, ahead - 1]))
        parts.append(records[:, ahead:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        if labels[-1].max() >= found.classes:
            raise SourceDamaged(
                tr(
                    "{path} has a picture of class {label}, and CIFAR-{classes} has no such. Get it again.",
                    path=shown,
                    label=int(labels[-1].max()),
                    classes=found.classes,
                )
            )
    sizes = [len(part) for part in parts]
    tests = [posixpath.basename(name).startswith("test") for name in found.files]
    split = np.repeat(np.array([TEST if test else TRAIN for test in tests], dtype="U10"), sizes)
    where = [f"{name}#{at}" for name, size in zip(found.files, sizes, strict=True) for at in range(size)]
    names = _class_names(tree, found)
    codes = np.concatenate(labels).astype(np.int64)
    index, notes = indexed(where, codes, names, split, source=str(tree.path.resolve()), kind="cifar")
    return Source(index, Arrays(parts, index.where, np.arange(len(index))), notes, ())


def _bytes_of(tree: Tree, name: str) -> Pixels:
    if tree.kind == "folder":
        return np.memmap(tree.path / name, dtype=np.uint8, mode="r")
    return np.frombuffer(tree.read(name), dtype=np.uint8)


def _class_names(tree: Tree, found: Cifar) -> list[str]:
    """The names in the text file beside the data, or numbers where there is no such file."""
    if not found.names:
        return [str(at) for at in range(found.classes)]
    read: Callable[[str], bytes] = tree.read
    with readable(tree.path / found.names):
        names = [
            line.strip() for line in read(found.names).decode("utf-8-sig", errors="replace").splitlines()
        ]
    names = [name for name in names if name]
    if len(names) != found.classes or len(set(names)) != len(names):
        raise SourceDamaged(
            tr(
                "{path} must hold {n} names, one a line, each once. Get it again.",
                path=tree.path / found.names,
                n=found.classes,
            )
        )
    return names
