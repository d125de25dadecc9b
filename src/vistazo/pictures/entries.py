"""The folder where decoded pictures are kept: its entries, who may build or remove one, how large it may grow.

An entry is a folder: `entry.json` (what it holds), `keys` (16 bytes a picture, what tells it from any other without
reading it), `pixels` (uint8, one picture after the other), `hashes` (32 digits each) and `good` (1 where the picture
could be decoded). It is built in a folder of its own name and `.part`, and gets its name when all of it is on the disk.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vistazo import platform
from vistazo.errors import DiskError
from vistazo.language import tr
from vistazo.pictures.decoding import Decoded

__all__ = [
    "SPARED",
    "Entry",
    "Kept",
    "clear",
    "facts_of",
    "folders",
    "free",
    "kept",
    "limit",
    "locked",
    "opened",
    "places_of",
    "room",
    "root",
    "size_in_words",
    "sum_of",
    "trim",
]

SPARED = 1 << 29  # bytes that are left free on the disk
SHARE = 0.25  # of the disk, which all entries together may take
Say = Callable[[str], None]


@dataclass(frozen=True)
class Kept:
    """An entry as a person sees it. used: seconds since 1970. complete: False where it is being built, or was left."""

    folder: Path
    source: str
    pictures: int
    size: tuple[int, int, int]
    bytes: int
    used: float
    complete: bool


def kept() -> list[Kept]:
    """Every entry, the one used last first."""
    found = []
    for folder in folders(root()):
        facts = facts_of(folder) or {}
        used = 0.0
        with contextlib.suppress(OSError):
            used = (folder / "entry.json").stat().st_mtime
        height, width, channels = facts.get("settings", {}).get("size", (0, 0, 0))
        found.append(
            Kept(
                folder,
                str(facts.get("source", "")),
                int(facts.get("pictures", 0)),
                (height, width, channels),
                platform.taken(folder),
                used,
                folder.suffix != ".part",
            )
        )
    return sorted(found, key=lambda one: -one.used)


def clear() -> tuple[int, int]:
    """Remove every entry that nobody builds now: (entries, bytes). Raises DiskError where nothing may be removed."""
    if platform.cache_folder().is_dir() and not os.access(platform.cache_folder(), os.W_OK):
        raise DiskError(
            tr("{folder} cannot be written: nothing was removed.", folder=platform.cache_folder())
        )
    count = freed = 0
    for one in kept():
        with locked(one.folder.parent / one.folder.stem, wait=False) as mine:
            if mine and platform.take_away(one.folder):
                count, freed = count + 1, freed + one.bytes
    if not folders(root()):
        for left in root().glob("*.gone"):  # by a process that was killed
            platform.take_away(left)
        for lock in root().glob("*.lock"):
            with locked(lock.with_suffix(""), wait=False) as mine, contextlib.suppress(OSError):
                if mine:
                    lock.unlink()
    return count, freed


def size_in_words(size: float) -> str:
    """'1.2 GB', '340 MB', '0 MB'."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{math.ceil(size / 1e6)} MB"


# ---------------------------------------------------------------- one entry
@dataclass(frozen=True, eq=False)
class Entry:
    """A whole entry. pixels: mapped. keys: 'S16'. hashes: 'S32'. good: bool."""

    folder: Path
    pixels: NDArray[np.uint8]
    keys: NDArray[np.bytes_]
    hashes: NDArray[np.bytes_]
    good: NDArray[np.bool_]

    @classmethod
    def open(cls, folder: Path, settings: dict[str, Any]) -> "Entry | None":
        facts = facts_of(folder)
        if facts is None or facts.get("settings") != settings:
            return None
        try:
            keys = np.frombuffer((folder / "keys").read_bytes(), dtype="S16")
            hashes = np.frombuffer((folder / "hashes").read_bytes(), dtype="S32")
            good = np.frombuffer((folder / "good").read_bytes(), dtype=np.bool_)
            shape = (len(keys), *settings["size"])
            pixels = np.memmap(folder / "pixels", dtype=np.uint8, mode="r", shape=shape)
        except (OSError, ValueError):
            return None
        if not len(keys) == len(hashes) == len(good) == facts["pictures"] or not cls._summed(folder):
            return None
        return cls(folder, pixels, keys, hashes, good)

    @staticmethod
    def _summed(folder: Path) -> bool:
        with contextlib.suppress(OSError):
            return (folder / "sum").read_text(encoding="utf-8") == sum_of(folder)
        return False

    def mend(self, place: int, one: Decoded) -> None:
        """Add a picture that could not be decoded when the entry was built."""
        with contextlib.suppress(OSError), locked(self.folder, wait=False) as mine:
            if not mine:
                return
            for name, values in (("pixels", one.pixels), ("hashes", one.hashes), ("good", one.good)):
                with opened(self.folder / name) as file:
                    data = values.tobytes()
                    platform.write_at(file.fileno(), data, place * len(data))
            platform.replace_file(self.folder / "sum", (sum_of(self.folder).encode(),))


def sum_of(folder: Path) -> str:
    """A checksum of all that an entry says about its pixels; the pixels themselves are proved by a few of them."""
    found = hashlib.blake2b(digest_size=16)
    for name in ("keys", "hashes", "good"):
        found.update((folder / name).read_bytes())
    return found.hexdigest()


def places_of(
    keys: NDArray[np.bytes_], wanted: NDArray[np.bytes_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each wanted key is among `keys`, and whether it is."""
    if len(keys) == len(wanted) and (keys == wanted).all():
        return np.arange(len(keys)), np.ones(len(keys), dtype=np.bool_)
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    order = np.argsort(keys, kind="stable")
    near = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    places = order[near].astype(np.int64)
    return places, keys[places] == wanted


# ---------------------------------------------------------------- the folder of all entries
def root() -> Path:
    """Where the entries are."""
    return platform.cache_folder() / "pictures"


def folders(at: Path) -> list[Path]:
    """Every entry's folder, those being built among them."""
    try:
        return sorted(one for one in at.iterdir() if one.is_dir() and one.suffix != ".gone")
    except OSError:
        return []


def facts_of(folder: Path) -> dict[str, Any] | None:
    """What entry.json says; None where it cannot be read."""
    try:
        found = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def limit(at: Path) -> int:
    """Bytes that all entries together may take: VISTAZO_CACHE_GB, or a quarter of the disk."""
    with contextlib.suppress(ValueError, KeyError):
        return int(float(os.environ["VISTAZO_CACHE_GB"]) * 1e9)
    return int(SHARE * shutil.disk_usage(_there(at)).total)


def free(at: Path) -> int:
    """Bytes free on the disk of the entries."""
    return shutil.disk_usage(_there(at)).free


def room(at: Path) -> int:
    """Bytes that one more entry may take."""
    with contextlib.suppress(OSError):
        return max(0, min(limit(at), free(at) - SPARED))
    return 0


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next((one for one in (folder, *folder.parents) if one.is_dir()), Path())


def trim(at: Path, *, spare: Path, more: int = 0) -> None:
    """Remove entries, the longest unused first, until the rest and `more` bytes are within the limit."""
    entries = kept()
    total = sum(one.bytes for one in entries)
    for one in reversed(entries):
        if total + more <= limit(at) and more <= free(at) - SPARED:
            return
        if one.folder == spare:
            continue
        with locked(one.folder.parent / one.folder.stem, wait=False) as mine:
            if mine and platform.take_away(one.folder):
                total -= one.bytes


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool, say: Say = lambda sentence: None) -> Iterator[bool]:
    """Hold the right to build or remove an entry; True where it is ours. The system frees it when a process ends."""
    from filelock import FileLock, Timeout

    lock = FileLock(f"{folder}.lock")
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError) as error:
        if not wait:
            yield False
            return
        if not isinstance(error, Timeout):  # the folder may only be read
            raise
        say(tr("another process is decoding these pictures; waiting for it"))
        lock.acquire()
    try:
        yield True
    finally:
        lock.release()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file for reading and writing, made where it is not there."""
    with contextlib.suppress(FileExistsError), open(path, "xb"):
        pass
    with open(path, "r+b") as file:
        yield file
