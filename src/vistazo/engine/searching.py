"""A search at work: trials are drawn, trained to their rungs, promoted, recorded, and the best one becomes the model.

Everything that matters is in two places: the journal (which trials there are, their figures, how far each is to go) and
the trials' own folders (the checkpoint each goes on from). A process that dies lets go of the lock of its trial, and
whoever looks next takes that trial over. So a search goes on after any kill, and several processes may work on one. A
trial that gets nothing done between several kills, as where the system has no memory for it, is given up.
"""

import contextlib
import gc
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from vistazo.config import Config
from vistazo.engine import runs, search_rungs
from vistazo.engine.fitting import Fitted, Pause
from vistazo.engine.progress import Progress, duration
from vistazo.engine.runs import Run
from vistazo.engine.search import DONE, FAILED, RECIPE, RUNNING, SAMPLED, STOPPED, Space, Study, Value
from vistazo.engine.search_drawing import draw
from vistazo.engine.search_journal import Entry, Journal
from vistazo.engine.search_rungs import OVER, WAIT, Job, Plan, Standing
from vistazo.engine.search_spaces import with_values
from vistazo.engine.search_telling import as_trial, best, line, pace
from vistazo.engine.search_trials import is_held, of_memory, place, trial_folder
from vistazo.errors import ConfigError, NotFiniteLoss, RunBusy, Stopped, UsageError, VistazoError
from vistazo.language import tr

__all__ = ["Asked", "Bench", "Search"]

HOPELESS = 10  # trials that fail, and none that does not, before a search gives up
RESERVE = 0.05  # of the time, kept for measuring and telling
REST = 4.0  # seconds kept besides
TRIES = 3  # processes that may be killed at one place of a trial before it counts as what kills them


@dataclass(frozen=True)
class Asked:
    """What a search is to do. numbers: names that belong to the network in words. seconds: for all of it, or None."""

    spaces: dict[str, Space]
    numbers: dict[str, Any]
    plan: Plan
    sampler: str
    seed: int
    seconds: float | None


class Bench(Protocol):
    """What a task gives a search: data that is read once, and how one trial is trained on it.

    metric: the figure of the validation part that trials are judged by. keeps: "best" or "last", the epoch whose
    weights are kept.
    """

    metric: str
    lower_is_better: bool
    keeps: str

    def train(self, trial: Run, config: Any, pause: Pause) -> Fitted:
        """Train a trial, or go on with it, until `pause` says so; raises where these settings cannot be trained."""
        ...


@dataclass
class Search:
    """One process at work on a search. config: the settings as given, which are trial 0."""

    run: Run
    config: Config
    asked: Asked
    bench: Bench
    progress: Progress
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        with self.run.alone():
            self.journal = Journal(
                self.run.folder, self.asked.spaces, lower_is_better=self.bench.lower_is_better
            )

    # ------------------------------------------------------------ the loop
    def go(self) -> Study:
        """Train until nothing is left to do, by this process or another. Raises Stopped."""
        waiting = False
        while True:
            taken = self._take()
            if taken == OVER:
                return self.study()
            if taken == WAIT:
                if not waiting:
                    self.progress.say(tr("waiting for the trials of other processes"))
                waiting = True
                self._wait()
            elif isinstance(taken, _Taken):
                waiting = False
                with taken.claim:
                    self._watched(taken)

    def _take(self) -> "_Taken | Literal['wait', 'over'] | None":
        """Decide what this process does next and claim it, while no other decides; None where it came to nothing."""
        with self.run.alone():
            job = self._next()
            if not isinstance(job, Job):
                return job
            entry = self._new(job) if job.number is None else self._known(job)
            if entry is None:
                return None
            try:
                config = with_values(
                    self.config, entry.values if entry.origin == SAMPLED else {}, self.asked.numbers
                )
            except VistazoError as error:
                self._failed(entry, error)
                return None
            claim = contextlib.ExitStack()
            try:
                trial = claim.enter_context(self._claimed(entry, config))
            except RunBusy:  # a process that holds on to it on another computer
                return WAIT
            if self._killed_too_often(entry, trial):
                claim.close()
                return None
            return _Taken(entry, config, trial, claim)

    def _next(self, mine: int | None = None) -> Job | Literal["wait", "over"]:
        """What the rules say, as far as time and space allow. mine: the trial that this process holds."""
        entries = self.journal.entries()
        if self._hopeless(entries):
            return OVER
        standings = [self._standing(one, mine) for one in entries]
        job = search_rungs.next_job(standings, self.asked.plan)
        if isinstance(job, Job) and job.number is None and entries and self._draw(entries) is None:
            drawn = sum(one.sampled for one in standings)  # every point of the space was tried
            job = search_rungs.next_job(standings, replace(self.asked.plan, trials=drawn))
        if self.asked.seconds is None or not isinstance(job, Job) or not entries:
            return job
        held = any(one.held for one in standings)
        return self._in_time(job, entries, standings) or (WAIT if held else OVER)

    def _standing(self, entry: Entry, mine: int | None) -> Standing:
        sign = -1.0 if self.bench.lower_is_better else 1.0
        judged = [entry.judged(self.bench.lower_is_better, epoch) for epoch in range(1, len(entry.curve) + 1)]
        ended = entry.state != RUNNING
        return Standing(
            entry.number,
            tuple(-math.inf if one is None else sign * one for one in judged),
            entry.until,
            entry.bracket,
            held=not ended and entry.number != mine and is_held(trial_folder(self.run.folder, entry.number)),
            ended=ended,
            failed=entry.state == FAILED,
            sampled=entry.origin == SAMPLED,
        )

    def _new(self, job: Job) -> Entry | None:
        known = self.journal.entries()
        if known:
            values, origin = self._draw(known), SAMPLED
        else:
            values, origin = self._recipe(), RECIPE
        if values is None:
            return None
        return self.journal.add(
            values, until=job.until, bracket=job.bracket, origin=origin, keeps=self.bench.keeps
        )

    def _draw(self, known: Sequence[Entry]) -> dict[str, Value] | None:
        asked = self.asked
        return draw(
            asked.spaces,
            known,
            sampler=asked.sampler,
            seed=asked.seed,
            lower_is_better=self.bench.lower_is_better,
        )

    def _recipe(self) -> dict[str, Value]:
        """What is known of the settings as given, of the names that are searched."""
        found = {**{name: getattr(self.config, name, None) for name in self.asked.spaces}}
        found |= {name: self.asked.numbers[name] for name in self.asked.spaces if name in self.asked.numbers}
        return {name: value for name, value in found.items() if isinstance(value, (int, float, str))}

    def _known(self, job: Job) -> Entry:
        assert job.number is not None
        entry = self.journal.entries()[job.number]
        if entry.until != job.until:
            self.journal.promote(job.number, job.until)
        return replace(entry, until=job.until)

    @contextlib.contextmanager
    def _claimed(self, entry: Entry, config: Config) -> Iterator[Run]:
        asked = {name: self.run.config.get(name) for name in ("task", "source")}
        identity = {"task": asked["task"], **config.identity()}
        name = trial_folder(Path(), entry.number).as_posix()
        asked |= {"settings": config.model_dump(mode="json"), "trial": entry.number}
        with runs.inside(self.run, name, asked=asked, identity=identity) as trial:
            yield trial

    def _killed_too_often(self, entry: Entry, trial: Run) -> bool:
        """Whether so many processes died at a trial, with nothing got done in between; it has failed then."""
        stands = place(trial.folder, len(entry.curve))
        times = entry.tries[1] if entry.tries[0] == stands else 0
        if times < TRIES:
            self.journal.take(entry.number, stands, times + 1)
            return False
        reason = tr(
            "the process that trained it was killed {n} times without getting any further, as where the system runs "
            "out of memory",
            n=times,
        )
        self.journal.end(entry.number, FAILED, reason=reason)
        trial.status("failed")
        self._tell(self._entry(entry.number))
        return True

    # ------------------------------------------------------------ one sitting
    def _watched(self, taken: "_Taken") -> None:
        """Sit, and write down where it was no kill that ended it."""
        try:
            self._sit(taken)
        except (Exception, KeyboardInterrupt):
            with contextlib.suppress(VistazoError, RuntimeError):  # a full disk; a trial that has ended
                self.journal.take(taken.entry.number, "", 0)
            raise

    def _sit(self, taken: "_Taken") -> None:
        """Train a trial to its rung, and further where it is promoted at once."""
        entry, until, low = taken.entry, taken.entry.until, False

        def pause(epochs: Sequence[Mapping[str, Any]]) -> bool:
            nonlocal until
            nonlocal low
            self._report(entry, epochs)
            low = entry.origin == SAMPLED and self._is_low(entry.number)
            if low or self._late():
                return True
            if len(epochs) >= until:
                if self.asked.seconds is not None:  # what it costs to go on is told by what it cost so far
                    self.journal.note(entry.number, seconds=taken.trial.spent())
                until = self._further(entry.number, len(epochs)) or until
            return len(epochs) >= until

        fitted: Fitted | None = None
        fault: BaseException | None = None
        try:
            fitted = self.bench.train(taken.trial, taken.config, pause)
        except Stopped:
            raise Stopped(
                tr(
                    "Stopped; everything is saved. Continue with: vistazo resume {folder}",
                    folder=self.run.folder,
                )
            ) from None
        except (NotFiniteLoss, UsageError, MemoryError, RuntimeError, ValueError) as error:
            fault = error
        self.journal.note(entry.number, seconds=taken.trial.spent())
        if fitted is not None:
            self._report(entry, fitted.history)
            taken.trial.status("stopped" if fitted.paused else "finished")
            if not fitted.paused:
                self._done(entry.number)
            elif low:
                figure = self._entry(entry.number).judged(self.bench.lower_is_better)
                reason = tr("its curve lay below the median of the others")
                self.journal.end(entry.number, STOPPED, figure=figure, reason=reason)
        if fault is not None:
            self._failed(entry, fault)
            taken.trial.status("failed")
            del fault
            gc.collect()  # of a network that did not fit into memory
        self._tell(self._entry(entry.number))

    def _report(self, entry: Entry, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Write down the figures of epochs that the journal does not have yet."""
        known = len(self._entry(entry.number).curve)
        for at, epoch in enumerate(epochs[known:], known + 1):
            value = epoch.get("validation", {}).get(self.bench.metric)
            self.journal.report(
                entry.number, at, value if value is not None and math.isfinite(value) else None
            )

    def _further(self, mine: int, epochs: int) -> int | None:
        """How far the trial that stands at a rung may go on at once; None where something else comes first."""
        with self.run.alone():
            job = self._next(mine)
            if not isinstance(job, Job) or job.number != mine or job.until <= epochs:
                return None
            self.journal.promote(mine, job.until)
            return job.until

    def _is_low(self, mine: int) -> bool:
        """Whether the rule of the median says that a trial is not worth going on with."""
        if self.asked.plan.pruner != search_rungs.MEDIAN:
            return False
        curves = [self._standing(one, mine).scores for one in self.journal.entries()]
        return search_rungs.below_median(curves[mine], [*curves[:mine], *curves[mine + 1 :]])

    def _done(self, number: int) -> None:
        figure = self._entry(number).judged(self.bench.lower_is_better)
        reason = "" if figure is not None else tr("it gave no figure")
        self.journal.end(number, DONE, figure=figure, reason=reason)

    def _failed(self, entry: Entry, error: BaseException) -> None:
        reason = tr("the memory was not enough") if of_memory(error) else str(error) or type(error).__name__
        self.journal.end(entry.number, FAILED, reason=reason[:500])

    def _entry(self, number: int) -> Entry:
        return self.journal.entries()[number]

    # ------------------------------------------------------------ time
    def _deadline(self) -> float:
        seconds = self.asked.seconds
        return math.inf if seconds is None else seconds - RESERVE * seconds - REST

    def _late(self) -> bool:
        return self.asked.seconds is not None and self.run.spent() >= self._deadline()

    def _in_time(self, job: Job, entries: Sequence[Entry], standings: Sequence[Standing]) -> Job | None:
        """The job where it ends in time; before it is too late for that, the best trial goes to the full length.

        Without that a short search would end with many trials at a low rung and none that could win.
        """
        left = self._deadline() - self.run.spent()
        usual = pace(entries)
        if usual is None:
            return job if left > 0 or not any(one.curve for one in entries) else None
        cost = self._cost(job, entries, usual)
        whole = any(one.sampled and one.until >= self.asked.plan.most for one in standings)
        if not whole and not (job.until >= self.asked.plan.most and job.number is not None):
            lap = search_rungs.last_lap(standings, self.asked.plan, whole=True)
            if lap is not None:
                needed = self._cost(lap, entries, usual)
                if left - cost < needed <= left:
                    return lap
        return job if cost <= left else None

    def _cost(self, job: Job, entries: Sequence[Entry], usual: float) -> float:
        """Seconds that a job takes, by what its trial took so far, or all of them."""
        if job.number is None:
            return usual * job.until
        one = entries[job.number]
        each = one.seconds / len(one.curve) if one.curve and one.seconds else usual
        return each * (job.until - len(one.curve))

    def _wait(self) -> None:
        if not self.run.model.exists():  # another may have ended the search a moment ago
            self.run.status("training", at_once=False)
        if self.run.asked_to_stop():
            self.run.stop()
        time.sleep(0.3)

    def _hopeless(self, entries: Sequence[Entry]) -> bool:
        failed = sum(one.state == FAILED for one in entries)
        return failed >= HOPELESS and all(one.judged(self.bench.lower_is_better) is None for one in entries)

    # ------------------------------------------------------------ what is told
    def close(self) -> int:
        """End every trial that waits, and give the number of the winner. Raises ConfigError where all failed."""
        for one in self.journal.entries():
            if one.state == RUNNING:
                figure = one.judged(self.bench.lower_is_better)
                if (
                    len(one.curve) >= self.asked.plan.most
                ):  # killed between its last epoch and the word that it is done
                    self._done(one.number)
                    continue
                reason = tr("others were better after {n} epochs", n=len(one.curve))
                if self._late():
                    reason = tr("the time was used after {n} epochs", n=len(one.curve))
                self.journal.end(one.number, STOPPED, figure=figure, reason=reason)
        entries = self.journal.entries()
        winner = best(entries, self.bench.lower_is_better)
        if winner is None:
            failed = [one for one in entries if one.state == FAILED]
            raise ConfigError(
                tr(
                    "All {n} trials failed, so there is no winner. The first: {reason}",
                    n=len(entries),
                    reason=failed[0].reason if failed else "",
                )
            )
        return winner

    def study(self) -> Study:
        """The search as it stands."""
        plan, entries, lower = self.asked.plan, self.journal.entries(), self.bench.lower_is_better
        trials = tuple(as_trial(one, lower, held=self._held(one)) for one in entries)
        return Study(
            metric=self.bench.metric,
            lower_is_better=lower,
            space=dict(self.asked.spaces),
            trials=trials,
            sampler=self.asked.sampler,
            pruner=plan.pruner,
            most_epochs=plan.most,
            factor=plan.factor,
            seconds=self.run.spent(),
            epochs=sum(one.epochs for one in trials),
            best=best(entries, lower),
        )

    def _held(self, one: Entry) -> bool:
        return one.state == RUNNING and is_held(trial_folder(self.run.folder, one.number))

    def _tell(self, entry: Entry) -> None:
        entries = self.journal.entries()
        metric = tr(self.bench.metric.replace("_", " "))
        told = line(entry, entries, metric, self.asked.plan.most, self.bench.lower_is_better)
        left = self._left(entries)
        if left is not None:
            told += " · " + tr("about {time} left", time=duration(left))
        self.progress.say(told)
        self.run.status("training", trials=len(entries), epochs=sum(len(one.curve) for one in entries))

    def _left(self, entries: Sequence[Entry]) -> float | None:
        """Seconds to the end: what is left of the time, or what the plan still trains for."""
        if self.asked.seconds is not None:
            return max(0.0, self.asked.seconds - self.run.spent())
        usual = pace(entries)
        if usual is None:
            return None
        done = sum(len(one.curve) for one in entries)
        return max(0.0, search_rungs.expected_epochs(self.asked.plan) - done) * usual


@dataclass(frozen=True)
class _Taken:
    """A trial that this process holds until `claim` is left."""

    entry: Entry
    config: Any
    trial: Run
    claim: contextlib.ExitStack
