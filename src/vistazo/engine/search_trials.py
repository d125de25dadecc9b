"""The trials of a search as folders: where one is, whether a process is at it, how far it has got, why it failed."""

from pathlib import Path

from filelock import FileLock, Timeout

from vistazo.engine import checkpoints
from vistazo.errors import DiskError

__all__ = ["is_held", "of_memory", "place", "trial_folder"]


def trial_folder(search: Path, number: int) -> Path:
    """The folder of a trial."""
    return search / "trials" / f"{number:04d}"


def is_held(folder: Path) -> bool:
    """Whether a living process works in a run folder. Raises DiskError."""
    if not folder.is_dir():
        return False
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError as error:
        raise DiskError(str(error)) from error
    lock.release()
    return False


def place(folder: Path, epochs: int) -> str:
    """What changes with everything that a trial has got done: its epochs in the journal, its newest checkpoint."""
    return f"{epochs} {checkpoints.newest(folder / 'checkpoints')}"


def of_memory(error: BaseException) -> bool:
    """Whether a trial failed because its network or batch is too large for the memory here."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "not enough memory" in text)
