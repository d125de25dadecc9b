"""Who works, and who worked, on a run that several processes share: two files each, of which one is locked.

    sittings/1795000000-3f2a9c.json   when it began, how many seconds it took so far
    sittings/1795000000-3f2a9c.lock   held as long as the process lives

The lock goes with its process, on whatever computer that runs, so nobody need be asked whether a process is alive. The
seconds of a run are those in which at least one process worked on it: two at once for a minute are one minute.
"""

import contextlib
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError

__all__ = ["FOLDER", "Sitting", "at_work", "forget", "together"]

FOLDER = "sittings"
_FRESH = 1.0  # seconds for which what the others told is not read again


class Sitting:
    """What this process tells of its own work on a run. seconds: that it worked on it before it came here."""

    def __init__(self, run: Path, seconds: float) -> None:
        from filelock import FileLock

        self.began = time.time() - seconds
        self._folder = run / FOLDER
        self._file = self._folder / f"{int(self.began)}-{secrets.token_hex(4)}.json"
        self._others: list[tuple[float, float]] = []
        self._read = -math.inf
        self._lock = FileLock(self._file.with_suffix(".lock"))
        try:
            self._folder.mkdir(exist_ok=True)
            self._lock.acquire()
        except OSError as error:
            raise DiskError(disk_sentence(self._folder, error)) from error
        self.tell(seconds)

    def tell(self, seconds: float) -> None:
        """It took so many seconds so far."""
        beside = self._file.with_suffix(".part")
        with contextlib.suppress(OSError):  # only told, never needed
            beside.write_text(json.dumps({"began": self.began, "seconds": seconds}), encoding="utf-8")
            os.replace(beside, self._file)

    def spent(self, seconds: float) -> float:
        """Seconds in which at least one process worked on the run, this one having worked for `seconds`."""
        if time.monotonic() - self._read > _FRESH:
            self._others = [_told(path) for path in self._folder.glob("*.json") if path != self._file]
            self._read = time.monotonic()
        return together([*self._others, (self.began, seconds)])

    def end(self, seconds: float) -> None:
        """This process leaves."""
        self.tell(seconds)
        self._lock.release()
        with contextlib.suppress(OSError):
            self._file.with_suffix(".lock").unlink(missing_ok=True)


def _told(path: Path) -> tuple[float, float]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return float(told["began"]), float(told["seconds"])
    except (OSError, ValueError, KeyError, TypeError):  # cut by a power cut, or another's file
        return 0.0, 0.0


def together(intervals: Iterable[tuple[float, float]]) -> float:
    """Seconds that lie in at least one of the intervals, each (when it begins, seconds)."""
    total, reached = 0.0, -math.inf
    for began, seconds in sorted(intervals):
        total += max(0.0, began + seconds - max(began, reached))
        reached = max(reached, began + seconds)
    return total


def at_work(run: Path) -> bool:
    """Whether a process works on the run, on any computer. Only one process at a time may ask (`Run.alone`)."""
    from filelock import FileLock, Timeout

    for path in (run / FOLDER).glob("*.lock"):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        except OSError as error:
            raise DiskError(disk_sentence(path, error)) from error
        lock.release()
    return False


def forget(run: Path) -> None:
    """Nobody has worked on the run yet."""
    shutil.rmtree(run / FOLDER, ignore_errors=True)
