"""`predict --sort-into FOLDER`: a copy of each picture in a folder named like the class that was answered.

Pictures are copied, never moved, and no file is overwritten: a second 'a.jpg' becomes 'a (2).jpg', and one with the
same content is there already. Folders of classes and files have names that every system takes, Windows included.
"""

import contextlib
import io
import os
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError
from vistazo.language import tr
from vistazo.pictures.index import normal

__all__ = ["Sorter", "folder_names"]

LONGEST = 120  # letters of a name; 255 bytes is what most systems take
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
# Microsoft, "Naming Files, Paths, and Namespaces": names that Windows keeps for devices, whatever their ending.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{name}{at}" for name in ("com", "lpt") for at in "0123456789¹²³")]
)


def folder_names(classes: Sequence[str]) -> dict[str, str]:
    """A folder's name for each class, all different, also where capitals and small letters count as one."""
    taken: set[str] = set()
    found = {}
    for name in classes:
        plain = _safe(name)
        chosen, number = plain, 1
        while chosen.casefold() in taken:
            number += 1
            chosen = f"{plain} ({number})"
        taken.add(chosen.casefold())
        found[name] = chosen
    return found


def _safe(name: str) -> str:
    plain = _FORBIDDEN.sub("_", normal(name))[:LONGEST].rstrip(". ") or "_"
    return f"{plain}_" if plain.split(".")[0].rstrip().casefold() in _DEVICES else plain


class Sorter:
    """Copies pictures into folders of one folder.

    classes: that may be answered. Raises DiskError where the folder cannot be made.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self._folder = folder
        self._names = folder_names([*classes, tr("no label")])
        self._make(folder)

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(disk_sentence(folder, error)) from error

    def place(self, name: str, data: bytes | npt.NDArray[np.uint8], answered: Sequence[str]) -> list[str]:
        """Copy a picture to each class that was answered, or to 'no label'; the paths of the copies.

        name: its path, as predict tells it. data: its encoded bytes, or pixels, which become a PNG.
        """
        stem, ending = posixpath.splitext(re.split(r"[/\\]", name)[-1])
        if isinstance(data, np.ndarray):
            stem, ending, data = stem + ending, ".png", _png(data)
        return [
            str(self._copy(self._folder / self._names[one], _safe(stem), ending, data))
            for one in (answered or [tr("no label")])
        ]

    def _copy(self, folder: Path, stem: str, ending: str, data: bytes) -> Path:
        self._make(folder)
        ending = _FORBIDDEN.sub("_", ending)[:20].rstrip(". ")
        number = 1
        while True:
            path = folder / (f"{stem}{ending}" if number == 1 else f"{stem} ({number}){ending}")
            try:
                if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
                    return path
                _write_new(path, data)
            except FileExistsError:
                number += 1
                continue
            except OSError as error:
                raise DiskError(disk_sentence(path, error)) from error
            return path


def _write_new(path: Path, data: bytes) -> None:
    """A new file, whole or not at all. Raises FileExistsError where there is one of that name."""
    beside = path.with_name(f".{os.getpid()}.part")
    try:
        beside.write_bytes(data)
        try:
            os.link(beside, path)  # the one step that never overwrites
        except FileExistsError:
            raise
        except OSError:  # a disk without links
            if path.exists():
                raise FileExistsError(path) from None
            os.replace(beside, path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    plain = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(plain)).save(file, "PNG")
    return file.getvalue()
