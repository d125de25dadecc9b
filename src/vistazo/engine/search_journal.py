"""study.journal: every trial of a search and all that became of it, in Optuna's journal, one line an event.

A trial is one line with all its values, so there is no half of one; an epoch is one line; how it ended is one. What is
not in the journal did not happen: a process that goes on after a kill reads it and knows where everything stands.
Optuna's tools read the file too.
"""

import contextlib
import json
import os
import secrets
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.engine.search import DONE, FAILED, RECIPE, RUNNING, STOPPED, Space, Value
from vistazo.engine.search_spaces import contains
from vistazo.errors import DiskError

__all__ = ["Entry", "Journal", "distributions", "silenced"]

NAME = "study.journal"
_STALE = 30.0  # seconds after which a lock of another computer counts as left behind
_ENDED = {DONE: TrialState.COMPLETE, STOPPED: TrialState.PRUNED, FAILED: TrialState.FAIL}
_STATES = {ended: state for state, ended in _ENDED.items()}


@dataclass(frozen=True)
class Entry:
    """A trial as the journal has it. curve: the figure after each epoch, None for none. until: see Standing.

    state: "done", "stopped", "failed" or "running", which says nothing of whether a process is at it.
    keeps: "best" or "last", whose epoch's weights are kept. seconds: of its training so far. tries: (where it stood,
    how often a process took it up there), see `Journal.take`.
    """

    number: int
    values: dict[str, Value]
    state: str
    curve: tuple[float | None, ...]
    until: int
    bracket: int
    origin: str
    keeps: str
    seconds: float
    reason: str
    tries: tuple[str, int] = ("", 0)

    def judged(self, lower_is_better: bool, epochs: int | None = None) -> float | None:
        """The figure it is judged by after so many epochs: the best, or the last where that one's weights are kept."""
        found = [one for one in self.curve[:epochs] if one is not None]
        if not found:
            return None
        if self.keeps == "last":
            return self.curve[: epochs or len(self.curve)][-1]
        return min(found) if lower_is_better else max(found)


class Journal:
    """The journal of one search. Every method reads what other processes wrote first."""

    def __init__(self, folder: Path, spaces: Mapping[str, Space], *, lower_is_better: bool) -> None:
        self._path, self._spaces = folder / NAME, dict(spaces)
        silenced()
        self._storage = JournalStorage(_Backend(str(self._path)))
        known = self._storage.get_all_studies()
        if known:
            self._study = known[0]._study_id
        else:
            direction = StudyDirection.MINIMIZE if lower_is_better else StudyDirection.MAXIMIZE
            self._study = self._storage.create_new_study([direction], "vistazo")

    def entries(self) -> list[Entry]:
        """All trials, by number."""
        return [_entry(one) for one in self._storage.get_all_trials(self._study, deepcopy=False)]

    def add(
        self, values: Mapping[str, Value], *, until: int, bracket: int, origin: str, keeps: str = "best"
    ) -> Entry:
        """A new trial. Only one process at a time may do this, or two may draw the same."""
        kinds = distributions(self._spaces)
        inside = {name: value for name, value in values.items() if contains(self._spaces[name], value)}
        template = FrozenTrial(
            number=-1,
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=None,
            datetime_complete=None,
            params=inside,
            distributions={name: kinds[name] for name in inside},
            user_attrs={"values": dict(values), "origin": origin},
            system_attrs={"until": until, "bracket": bracket, "keeps": keeps},
            intermediate_values={},
        )
        added = self._write("create_new_trial", self._study, template)
        return _entry(self._storage.get_trial(added))

    def report(self, number: int, epoch: int, figure: float | None) -> None:
        """The figure after an epoch, from 1. The same epoch again is no other epoch."""
        value = float("nan") if figure is None else figure
        self._write("set_trial_intermediate_value", self._id(number), epoch, value)

    def promote(self, number: int, until: int) -> None:
        """It is to be trained until it has so many epochs."""
        self._write("set_trial_system_attr", self._id(number), "until", until)

    def take(self, number: int, place: str, times: int) -> None:
        """A process begins to train it from that place, for the so many-th time; 0 where one left it in order.

        A process that is killed writes nothing more, so what stands here counts the kills, and one more.
        """
        self._write("set_trial_system_attr", self._id(number), "tries", [place, times])

    def note(self, number: int, *, seconds: float) -> None:
        """What the sittings of a trial took so far, all together."""
        self._write("set_trial_user_attr", self._id(number), "seconds", round(seconds, 3))

    def end(self, number: int, state: str, *, figure: float | None = None, reason: str = "") -> None:
        """It is "done", "stopped" or "failed", once."""
        if reason:
            self._write("set_trial_user_attr", self._id(number), "reason", reason)
        values = [figure] if figure is not None and state != FAILED else None
        ended = _ENDED[state] if values or state != DONE else TrialState.FAIL
        self._write("set_trial_state_values", self._id(number), ended, values)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study, number)

    def _write(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self._storage, name)(*arguments)
        except OSError as error:
            raise DiskError(disk_sentence(self._path, error)) from error


def _entry(trial: FrozenTrial) -> Entry:
    reported = trial.intermediate_values
    tries = trial.system_attrs.get("tries", ("", 0))
    curve = [reported.get(epoch) for epoch in range(1, max(reported, default=0) + 1)]
    return Entry(
        number=trial.number,
        values=dict(trial.user_attrs["values"]),
        state=_STATES.get(trial.state, RUNNING),
        curve=tuple(None if one is None or one != one else float(one) for one in curve),
        until=int(trial.system_attrs["until"]),
        bracket=int(trial.system_attrs["bracket"]),
        origin=str(trial.user_attrs.get("origin", RECIPE)),
        keeps=str(trial.system_attrs["keeps"]),
        seconds=float(trial.user_attrs.get("seconds", 0.0)),
        reason=str(trial.user_attrs.get("reason", "")),
        tries=(str(tries[0]), int(tries[1])),
    )


def distributions(spaces: Mapping[str, Space]) -> dict[str, BaseDistribution]:
    """The spaces as Optuna has them."""
    found: dict[str, BaseDistribution] = {}
    for name, one in spaces.items():
        if one.kind == "choice":
            found[name] = CategoricalDistribution(one.choices)
        elif one.kind == "int":
            found[name] = IntDistribution(int(one.low), int(one.high), log=one.log, step=int(one.step or 1))
        else:
            found[name] = FloatDistribution(one.low, one.high, log=one.log, step=one.step)
    return found


def silenced() -> None:
    """Optuna tells of itself on standard error; what a person should know is told by us."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


# ---------------------------------------------------------------- the file
class _Backend(JournalFileBackend):
    """Optuna's file, with a last line that a power cut tore put right before the next one is written.

    Left as it is, the next line would be glued to it, and no process could read the journal any more.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, lock_obj=_Lock(path))

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in logs)
        try:
            self._lock.acquire()
            with open(self._file_path, "r+b") as file:
                end = _whole(file)
                if end < file.seek(0, os.SEEK_END):
                    file.truncate(end)
            with open(self._file_path, "ab") as file:  # at the end, wherever that is by now
                file.write(lines.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
        finally:
            self._lock.release()


def _whole(file: Any) -> int:
    """Where the last whole line of a file ends."""
    end = at = file.seek(0, os.SEEK_END)
    while at:
        first = max(0, at - 4096)
        file.seek(first)
        found = file.read(at - first).rfind(b"\n")
        if found >= 0:
            return int(first + found + 1)
        at = first
    return 0 if end else int(end)


_HELD: set[str] = set()  # the locks of this process


class _Lock(BaseJournalFileLock):
    """A file that only one process can make, on network folders too; it names its maker.

    Where its maker is dead it is taken away: at once where that was a process of this computer. One that lives here is
    waited for, however long. Of another computer, or container, nobody knows: its lock is taken away when it has stood
    for thirty seconds, while nobody holds it for longer than one line takes to write.
    """

    def __init__(self, path: str) -> None:
        self._file, self._mine, self._since = path + ".lock", "", 0.0

    def acquire(self) -> bool:
        pause, seen, since = 0.001, "", time.monotonic()
        self._mine = f"{platform.process_name()} {secrets.token_hex(8)}"
        _HELD.add(self._mine)
        while not self._made():
            holder = self._holder()
            if holder != seen:
                seen, since = holder, time.monotonic()
            if _left(holder, time.monotonic() - since):
                self._remove(holder)
            time.sleep(pause)
            pause = min(0.05, 2 * pause)
        self._since = time.monotonic()
        return True

    def _made(self) -> bool:
        """Whether the file could be made, and is ours."""
        try:
            handle = os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        try:
            os.write(handle, self._mine.encode())
        except OSError:  # a full disk; an empty lock would be waited for
            os.unlink(self._file)
            raise
        finally:
            os.close(handle)
        return self._holder() == self._mine  # else this process stood still before it could name itself

    def release(self) -> None:
        """Let go of the lock; one that another process has taken over meanwhile stays."""
        mine, self._mine = self._mine, ""
        if mine and time.monotonic() - self._since < _STALE / 2:
            self._unlink(mine)
        elif mine:  # others may be about to take it away
            self._remove(mine)
        _HELD.discard(mine)

    def _holder(self) -> str:
        try:
            with open(self._file, encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""

    def _remove(self, holder: str) -> None:
        from filelock import FileLock

        with contextlib.ExitStack() as stack:  # two that find it dead must not take the next one's away
            with contextlib.suppress(OSError):  # a full disk has no place for one more file
                stack.enter_context(FileLock(self._file + ".broken"))
            self._unlink(holder)

    def _unlink(self, holder: str) -> None:
        if self._holder() == holder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._file)


def _left(holder: str, seconds: float) -> bool:
    """Whether a lock was left behind. holder: what stands in it, since so many seconds."""
    name = holder.rpartition(" ")[0]
    if name == platform.process_name():
        return holder not in _HELD
    lives = platform.process_lives(name)
    if lives is None:
        return seconds > (_STALE if holder else 2.0)  # killed between making the file and naming itself
    return not lives
