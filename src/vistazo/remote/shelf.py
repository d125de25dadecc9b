"""The shelf of copies in the cache: what lies there, who reads it now, and how it is cleared.

remote/<copy>/                    a copy, as `copies` makes them
remote/.<copy>.lock               held while the copy is made, or taken away
remote/.<copy>.<process>.use      held by a process that reads the copy, until it ends

The system frees a lock when its process ends, however it ends: what a killed one left can be cleared.
"""

import atexit
import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError
from vistazo.remote import fetching

__all__ = ["ABOUT", "BEGUN", "Kept", "about", "alone", "clear", "home", "kept", "release", "use"]

ABOUT = ".about.json"  # written last: what the copy is of; no server's file is called so: see safe_name
BEGUN = ".begun.json"  # written first: what is being copied
GONE = ".gone"
Say = Callable[[str], None]

_used: dict[Path, Any] = {}  # the lock of each copy that this process reads
_using = threading.Lock()


@dataclass(frozen=True)
class Kept:
    """A copy as a person sees it. source: its address, as it may be told. used: seconds since 1970.

    complete: False where it is being made, or was left. reading: whether a process reads or makes it now.
    """

    folder: Path
    source: str
    bytes: int
    used: float
    complete: bool
    reading: bool


def home() -> Path:
    """Where the copies are."""
    return platform.cache_folder().absolute() / "remote"


def about(path: Path) -> Mapping[str, Any]:
    """What a file of JSON beside a copy says of it; empty where it cannot be read."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


# ---------------------------------------------------------------- the two verbs
def kept() -> list[Kept]:
    """Every copy, the one used last first."""
    found = []
    for folder in _folders():
        whole = about(folder / ABOUT)
        used = 0.0
        with contextlib.suppress(OSError):
            used = (folder / (ABOUT if whole else BEGUN)).stat().st_mtime
        source = str((whole or about(folder / BEGUN)).get("url", ""))
        with _mine(folder) as mine:
            reading = not mine
        found.append(Kept(folder, source, platform.taken(folder), used, bool(whole), reading))
    return sorted(found, key=lambda one: -one.used)


def clear() -> tuple[int, int]:
    """Take away every copy that nobody reads or makes now: (copies, bytes)."""
    count = freed = 0
    for folder in _folders():
        size = platform.taken(folder)
        with _mine(folder) as mine:
            if mine and platform.take_away(folder):
                count, freed = count + 1, freed + size
    for left in home().glob(f"*{GONE}"):  # by a process that was killed
        platform.take_away(left)
    return count, freed


def _folders() -> list[Path]:
    try:
        return sorted(one for one in home().iterdir() if one.is_dir() and one.suffix != GONE)
    except OSError:
        return []


# ---------------------------------------------------------------- who has it
@contextlib.contextmanager
def alone(folder: Path, name: str, say: Say) -> Iterator[None]:
    """Hold the right to make a copy; its folder is there. name: of what is fetched. Raises DiskError."""
    with contextlib.ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(fetching.alone(folder, say, name=name))
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise DiskError(disk_sentence(folder, error)) from error
        yield


def use(folder: Path) -> None:
    """From here to the end of this process nobody clears the copy; to be called inside `alone`."""
    from filelock import FileLock

    with _using, contextlib.suppress(OSError):  # a cache that cannot be written cannot be cleared either
        if (folder / ABOUT).exists():
            os.utime(folder / ABOUT)
        if folder not in _used:
            lock = FileLock(folder.with_name(f".{folder.name}.{os.getpid()}.use"))
            lock.acquire(timeout=0)
            _used[folder] = lock


@atexit.register
def release() -> None:
    """Let go of all copies that this process reads."""
    with _using:
        while _used:
            _, lock = _used.popitem()
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
            lock.release()


@contextlib.contextmanager
def _mine(folder: Path) -> Iterator[bool]:
    """Whether nobody makes or reads a copy; inside the block nobody begins to."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        yield False
        return
    try:
        yield folder not in _used and not any(map(_held, folder.parent.glob(f".{folder.name}.*.use")))
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
    finally:
        lock.release()


def _held(path: Path) -> bool:
    """Whether a process holds that lock; one that nobody holds is taken away."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    with contextlib.suppress(OSError):
        path.unlink()
    lock.release()
    return False
