"""Which trial is trained next, and how far: Hyperband and asynchronous successive halving, as pure functions.

A trial's plan is always the whole length; a rung only pauses it. So a trial that is promoted goes on with its weights,
its optimiser's state and its place in the schedule, and nothing is trained twice.

Sources: Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar 2018, "Hyperband", JMLR 18(185):1-52; Li et al. 2020, "A System
for Massively Parallel Hyperparameter Tuning" (ASHA), arXiv:1810.05934, algorithm 2.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

__all__ = [
    "ASHA",
    "HYPERBAND",
    "MEDIAN",
    "NONE",
    "OVER",
    "WAIT",
    "Job",
    "Plan",
    "Standing",
    "below_median",
    "expected_epochs",
    "hyperband",
    "last_lap",
    "next_job",
    "rungs",
    "usual_trials",
]

ASHA, HYPERBAND, MEDIAN, NONE = "asha", "hyperband", "median", "none"
WAIT: Literal["wait"] = "wait"
OVER: Literal["over"] = "over"
ENOUGH = 4  # curves that a median is taken of
WIDTH = 3  # rungs that the usual number of trials is made for: 18 with factor 3


@dataclass(frozen=True)
class Plan:
    """pruner: "asha", "hyperband", "median" or "none". most: epochs of a whole trial. factor: one in so many goes on.

    trials: sampled ones at most, the recipe not counted.
    """

    pruner: str
    most: int
    factor: int
    trials: int


@dataclass(frozen=True)
class Standing:
    """Where a trial stands.

    scores: what it is judged by after each of its epochs, larger is better, -inf for none. until: epochs it is to be
    trained for so far. bracket: of Hyperband; -1 for the recipe. held: a living process trains it. ended: it is done,
    stopped or failed.
    """

    number: int
    scores: tuple[float, ...]
    until: int
    bracket: int = 0
    held: bool = False
    ended: bool = False
    failed: bool = False
    sampled: bool = True

    @property
    def waits(self) -> bool:
        """Whether it stands at a rung."""
        return not self.ended and not self.held and len(self.scores) >= self.until

    def reached(self, epochs: int) -> bool:
        return len(self.scores) >= epochs

    def rank(self, epochs: int) -> tuple[float, int]:
        """Sorts the best first, by what it had after so many epochs."""
        return (math.inf if self.failed else -self.scores[min(epochs, len(self.scores)) - 1], self.number)


@dataclass(frozen=True)
class Job:
    """Train a trial until it has so many epochs. number: None for a new one."""

    number: int | None
    until: int
    bracket: int = 0


def rungs(most: int, factor: int) -> tuple[int, ...]:
    """The epochs at which trials are compared, the whole length last: 20 and 3 give 1, 2, 7, 20."""
    found, power = set(), 1
    while most / power >= 0.5:
        found.add(max(1, round(most / power)))
        power *= factor
    return tuple(sorted(found))


def hyperband(most: int, factor: int) -> tuple[tuple[tuple[int, float], ...], ...]:
    """The brackets of Hyperband, each its rungs of (trials, epochs), as table 1 of Li et al. 2018 has them.

    There a bracket begins with floor((s_max + 1) / (s + 1)) x factor^s trials; the paper's algorithm 1 rounds up
    instead and draws more. Epochs are exact here and may be fractions.
    """
    largest = 0
    while factor ** (largest + 1) <= most:
        largest += 1
    brackets = []
    for s in range(largest, -1, -1):
        first = (largest + 1) // (s + 1) * factor**s
        brackets.append(tuple((first // factor**i, most / factor ** (s - i)) for i in range(s + 1)))
    return tuple(brackets)


def usual_trials(pruner: str, most: int, factor: int) -> int:
    """How many trials are drawn where nobody says: enough for one to win every rung, or one pass of Hyperband.

    Two thirds of what halving in step would draw: as trials come one by one, more are promoted than one in `factor`.
    """
    if pruner == HYPERBAND:
        return sum(one[0][0] for one in hyperband(most, factor))
    levels = len(rungs(most, factor)) - 1 if pruner == ASHA else 2
    return int(max(factor**2, 2 * factor ** (min(WIDTH, levels) - 1)))


def expected_epochs(plan: Plan) -> float:
    """Roughly what the search trains for in all, the recipe included."""
    if plan.pruner in (NONE, MEDIAN):
        return plan.most * (1.0 + plan.trials)
    if plan.pruner == HYPERBAND:
        several = hyperband(plan.most, plan.factor)
        each = sum(n * (r - (one[i - 1][1] if i else 0)) for one in several for i, (n, r) in enumerate(one))
        return plan.most + each * plan.trials / usual_trials(HYPERBAND, plan.most, plan.factor)
    found, before = 0.0, 0
    for k, epochs in enumerate(rungs(plan.most, plan.factor)):
        found += max(1.0, plan.trials / plan.factor**k) * (epochs - before)
        before = epochs
    return plan.most + found


def below_median(mine: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether a learning curve is so low that its trial is not worth going on with.

    The best of it so far is less than the median, over the trials that were trained as long, of the mean of their
    curves up to that epoch; never before there are four of these. Source: Golovin et al. 2017, "Google Vizier",
    section 3.2.2.
    """
    long = [one[: len(mine)] for one in others if len(one) >= len(mine)]
    means = sorted(sum(one) / len(one) for one in long)
    return len(means) >= ENOUGH and max(mine) < statistics.median(means)


# ---------------------------------------------------------------- what is next
def next_job(trials: Sequence[Standing], plan: Plan) -> Job | Literal["wait", "over"]:
    """What a process that is free does: a job, wait for the others, or the search is over.

    The recipe comes first and runs to the full length. A trial that a dead process left goes on before anything else.
    """
    if not trials:
        return Job(None, plan.most, -1)
    for one in trials:
        if not one.ended and not one.held and len(one.scores) < one.until:
            return Job(one.number, one.until, one.bracket)
    drawn = sum(one.sampled for one in trials)
    if plan.pruner == HYPERBAND:
        job = _of_brackets(trials, plan, drawn)
    else:
        job = _promotion(trials, plan) if plan.pruner == ASHA else None
        if job is None and drawn < plan.trials:
            job = Job(None, rungs(plan.most, plan.factor)[0] if plan.pruner == ASHA else plan.most)
    if job is not None:
        return job
    if any(one.held for one in trials):
        return WAIT
    return last_lap(trials, plan) or OVER


def _promotion(trials: Sequence[Standing], plan: Plan) -> Job | None:
    """Algorithm 2 of ASHA: from the highest rung down, one of the best part that was not promoted yet."""
    steps = rungs(plan.most, plan.factor)
    for at in range(len(steps) - 2, -1, -1):
        arrived = sorted(
            (one for one in trials if one.reached(steps[at])), key=lambda one: one.rank(steps[at])
        )
        for one in arrived[: len(arrived) // plan.factor]:
            if one.waits and one.until == steps[at] and one.rank(steps[at])[0] < math.inf:
                return Job(one.number, steps[at + 1], one.bracket)
    return None


def _of_brackets(trials: Sequence[Standing], plan: Plan, drawn: int) -> Job | None:
    """The first bracket that has something to do; a rung is decided when all of it have arrived."""
    several = hyperband(plan.most, plan.factor)
    last = max(one.bracket for one in trials)
    at = 0
    while at <= last or drawn < plan.trials:
        bracket = [(n, max(1, round(epochs))) for n, epochs in several[at % len(several)]]
        members = [one for one in trials if one.bracket == at]
        if len(members) < bracket[0][0] and drawn < plan.trials:
            return Job(None, bracket[0][1], at)
        for (_, epochs), (go_on, further) in pairwise(bracket):
            here = [one for one in members if one.until >= epochs]
            if any(not one.ended and not one.reached(epochs) for one in here):
                break
            arrived = sorted((one for one in here if one.reached(epochs)), key=lambda one: one.rank(epochs))
            for one in arrived[: min(go_on, max(1, len(here) // plan.factor))]:
                if one.waits and one.until == epochs and one.rank(epochs)[0] < math.inf:
                    return Job(one.number, further, at)
        at += 1
    return None


def last_lap(trials: Sequence[Standing], plan: Plan, *, whole: bool = False) -> Job | None:
    """The best trial of the highest rung where no drawn one came to the full length, or is on its way there.

    It goes on to the next rung, alone, or at once to the end (`whole`).
    """
    if any(one.sampled and one.reached(plan.most) for one in trials):
        return None
    left = [one for one in trials if one.sampled and one.waits and one.rank(one.until)[0] < math.inf]
    if not left:
        return None
    best = min(left, key=lambda one: (-one.until, *one.rank(one.until)))
    further = [epochs for epochs in rungs(plan.most, plan.factor) if epochs > best.until]
    return Job(best.number, plan.most if whole or not further else further[0], best.bracket)
