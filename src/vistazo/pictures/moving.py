"""Files moved out of a source, with a log that brings every one back. Nothing is overwritten, nothing is deleted.

    SOURCE-quarantine/moves-1.jsonl     first a line about the source, then a line for each file: from, to, size
    SOURCE-quarantine/1/CLASS/name.jpg  the files, under the names they had

The whole log is on the disk before the first file moves, and a file moves by one rename onto a name that was reserved
for it. So whenever this is killed, every file is in one of its two places, and the log tells which two.
"""

import contextlib
import errno
import filecmp
import json
import os
import posixpath
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, SourceDamaged, SourceMissing, UsageError, VistazoError
from vistazo.language import reason_of_system, tr
from vistazo.remote.folders import Folder

__all__ = ["Moved", "move", "quarantine", "undo"]

_FORMAT = 1
MOST_LOG = 1 << 30


@dataclass(frozen=True)
class Moved:
    """What was moved or brought back. log: where it is written down. files: how many. left: (path, why) of others."""

    log: Path
    files: int
    left: tuple[tuple[str, str], ...]


def quarantine(source: Path) -> Path:
    """The folder beside a source that its files are moved to."""
    whole = source.resolve()
    return whole.with_name(f"{whole.name}-quarantine")


def move(source: Path | Folder, names: Sequence[str]) -> Moved:
    """Move these files of a folder into its quarantine. What is missing or no ordinary file is left and told.

    names: relative to `source`, with '/'. Raises UsageError where `source` is no folder, SourceDamaged for a name that
    leads out of it, DiskError where it cannot be written to: then no file is lost, and the sentence names the log.
    """
    source = _own_folder(source)
    root = source.resolve()
    for name in names:
        _require_inside(name, root)
    left: list[tuple[str, str]] = []
    there = []
    for name in dict.fromkeys(names):
        if _is_own_file(root / name, root):
            there.append(name)
        else:
            left.append((name, tr("it is not there, or no file of its own")))
    home = quarantine(root)
    log, number = _next_log(home)
    done = 0
    try:
        if there:
            home.mkdir(exist_ok=True)
            _write_log(log, root, number, there)
            for name in there:
                _carry(root / name, home / str(number) / name)
                done += 1
    except OSError as error:
        _sweep(home / str(number))
        raise DiskError(_told(error, source, done, log)) from error
    return Moved(log, done, tuple(left))


def undo(source: Path | Folder, log: Path) -> Moved:
    """Bring back every file that a log tells of, the last one first; done twice, the second time finds nothing to do.

    A file whose place was taken in the meantime stays where it is and is told. Raises UsageError, SourceMissing,
    SourceDamaged where the log is none of ours, DiskError.
    """
    root, home = _own_folder(source).resolve(), log.resolve().parent
    done = 0
    left: list[tuple[str, str]] = []
    for entry in reversed(_entries(log, root)):
        here, there = root / entry["from"], home / entry["to"]
        try:
            if not os.path.lexists(there):
                if not os.path.lexists(here):
                    left.append((entry["from"], tr("it is in neither place")))
                continue
            if _reserved(here, there, entry["size"]) or _same(here, there):  # killed before, or after, a move
                there.unlink()
            elif _reserved(there, here, entry["size"]):  # killed while it was brought back
                os.replace(there, here)
                done += 1
            elif os.path.lexists(here):
                left.append((entry["from"], tr("another file is there now")))
                continue
            else:
                _carry(there, here)
                done += 1
            _remove_empty(there.parent, home)
        except OSError as error:
            raise DiskError(disk_sentence(here, error)) from error
    return Moved(log, done, tuple(left))


def _own_folder(source: Path | Folder) -> Path:
    """The folder of this machine that a source is. Raises UsageError where it is none."""
    if isinstance(source, Path) and source.is_dir():
        return source
    raise UsageError(
        tr(
            "Only files of a folder can be moved, and {path} is none. Leave it as it is, and train with: "
            "vistazo train {path} --corrections review.csv",
            path=source.url if isinstance(source, Folder) else source,
        )
    )


# ---------------------------------------------------------------- one file
def _carry(here: Path, there: Path) -> None:
    """Move a file onto a name that nothing has: reserved by an empty file, then taken in one step."""
    there.parent.mkdir(parents=True, exist_ok=True)
    with open(there, "xb"):
        pass
    try:
        os.replace(here, there)
    except OSError as error:
        if error.errno == errno.EXDEV:
            _carry_over(here, there)
        else:
            there.unlink()  # still the empty one
            raise


def _carry_over(here: Path, there: Path) -> None:
    """The same between two disks: a whole copy first, flushed; only then the original goes."""
    beside = there.with_name(f".{there.name}.part")
    try:
        shutil.copy2(here, beside)
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, there)
    except BaseException:
        for part in (beside, there):
            with contextlib.suppress(OSError):
                part.unlink()
        raise
    here.unlink()


def _is_own_file(path: Path, root: Path) -> bool:
    """Whether it is an ordinary file of the folder itself, not one that lies behind a link."""
    try:
        return path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(root)
    except (OSError, ValueError):  # a name that is too long
        return False


def _same(one: Path, other: Path) -> bool:
    """Whether both are there and hold the same bytes."""
    with contextlib.suppress(OSError):
        return filecmp.cmp(one, other, shallow=False)
    return False


def _reserved(full: Path, empty: Path, size: int) -> bool:
    """Whether both are there, and the second is only the name that was kept for the first."""
    try:
        return full.stat().st_size == size and empty.stat().st_size == 0
    except OSError:
        return False


def _sweep(folder: Path) -> None:
    """Remove folders that were made for files which did not come."""
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and top in folder.parents:
        try:
            folder.rmdir()
        except OSError:  # something is left in it
            return
        folder = folder.parent


# ---------------------------------------------------------------- the log
def _next_log(home: Path) -> tuple[Path, int]:
    number = 1
    while (home / f"moves-{number}.jsonl").exists() or (home / str(number)).exists():
        number += 1
    return home / f"moves-{number}.jsonl", number


def _write_log(log: Path, root: Path, number: int, names: Sequence[str]) -> None:
    with open(log, "x", encoding="utf-8", newline="\n") as lines:
        entries: list[dict[str, Any]] = [{"format": _FORMAT, "source": str(root)}]
        entries += [
            {"from": name, "to": f"{number}/{name}", "size": (root / name).stat().st_size} for name in names
        ]
        lines.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        lines.flush()
        os.fsync(lines.fileno())


def _entries(log: Path, root: Path) -> list[dict[str, Any]]:
    """The moves that a log tells of, in their order; its last line may be cut, and then nothing was moved by it."""
    if not log.is_file():
        raise SourceMissing(tr("There is no log of moves at {path}.", path=log))
    try:
        if log.stat().st_size > MOST_LOG:
            raise ValueError(tr("the file is larger than {most} MB", most=MOST_LOG >> 20))
        told = list(_whole_lines(log.read_text(encoding="utf-8")))
        if not told or told[0].get("format") != _FORMAT:
            raise ValueError(tr("its first line is none of Vistazo's"))
        for entry in told[1:]:
            _require_inside(entry["from"], root)
            _require_inside(entry["to"], log.parent)
            if not isinstance(entry["size"], int):
                raise TypeError("size")
    except VistazoError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SourceDamaged(tr("{path} is no log of moves ({reason}).", path=log, reason=error)) from error
    return told[1:]


def _whole_lines(text: str) -> Iterator[dict[str, Any]]:
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if line:
            try:
                yield json.loads(line)
            except ValueError:
                if at == len(lines) - 1:
                    return
                raise


def _require_inside(name: str, root: Path) -> None:
    tidy = posixpath.normpath(name.replace("\\", "/"))
    if tidy.split("/")[0] in ("", "..", ".") or Path(name).is_absolute() or "\0" in name or name[1:2] == ":":
        raise SourceDamaged(
            tr("The name '{name}' leads out of {folder}. Nothing was moved.", name=name, folder=root)
        )


def _told(error: OSError, source: Path, done: int, log: Path) -> str:
    reason = reason_of_system(error)
    if not done:
        with contextlib.suppress(OSError):  # it tells of nothing
            log.unlink()
            log.parent.rmdir()
        return tr(
            "Nothing was moved: {path} cannot be written to ({reason}). Leave it as it is, and train with: "
            "vistazo train {path} --corrections review.csv",
            path=source,
            reason=reason,
        )
    return tr(
        "It failed after {n} of the files were moved ({reason}). "
        "Bring them back with: vistazo check {path} --undo {log}",
        n=done,
        reason=reason,
        path=source,
        log=log,
    )
