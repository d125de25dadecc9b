"""Arrays in one .npz file: `mnist.npz` as Keras hands it out, MedMNIST, and whatever names its arrays as these do."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged
from vistazo.language import tr
from vistazo.pictures.archives import refuse_bomb
from vistazo.pictures.arrays import as_pictures, from_pairs, is_npy
from vistazo.pictures.index import PARTS, UNASSIGNED, part_named
from vistazo.pictures.stores import Pixels, Source, readable

__all__ = ["is_npz", "read_npz"]

_PICTURES = frozenset(("x", "images", "image", "pictures", "data", "imagenes"))
_LABELS = frozenset(("y", "labels", "label", "targets", "etiquetas"))


def is_npz(path: Path) -> bool:
    """Whether a zip holds .npy arrays and nothing else. Raises SourceDamaged where it is no whole zip."""
    with readable(path), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return bool(names) and all(is_npy(name) and "/" not in name for name in names)


def read_npz(path: Path, names: list[str] | None) -> Source:
    """Pictures and labels of each part: x_train and y_train, or train_images and train_labels, and the like.

    names: of classes whose labels are numbers. Arrays of other names are left alone. Raises SourceDamaged.
    """
    with readable(path), zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        unpacked = sum(info.file_size for info in infos)
        refuse_bomb(path, members=len(infos), unpacked=unpacked, packed=path.stat().st_size)
    held = [info.filename[: -len(".npy")] for info in infos]
    found: dict[str, dict[str, str]] = {}
    for name in held:
        part, what = _meant(name)
        if what:
            found.setdefault(part, {})[what] = name
    whole = [part for part in (UNASSIGNED, *PARTS) if len(found.get(part, {})) == 2]
    if not whole:
        raise SourceDamaged(
            tr(
                "{path} holds the arrays {names}; which of them are pictures and labels is told by names such as "
                "x_train and y_train, or train_images and train_labels.",
                path=path,
                names=", ".join(held),
            )
        )
    pairs: dict[str, tuple[Pixels, NDArray[Any]]] = {}
    with readable(path), np.load(path, allow_pickle=False) as arrays:
        for part in whole:
            pictures, labels = (arrays[found[part][what]] for what in ("pictures", "labels"))
            pairs[part] = (as_pictures(pictures, f"{path}: {found[part]['pictures']}"), labels)
    files = {part: found[part]["pictures"] for part in whole}
    return from_pairs(pairs, files, names, source=str(path.resolve()), kind="npz", shown=path)


def _meant(name: str) -> tuple[str, str]:
    """(part, 'pictures' or 'labels') that the name of an array means; '' for what it does not tell."""
    words = [word for word in re.split(r"[-_. ]", name.casefold()) if word]
    part = next((part for word in words if (part := part_named(word))), UNASSIGNED)
    if _PICTURES & set(words):
        return part, "pictures"
    return part, "labels" if _LABELS & set(words) else ""
