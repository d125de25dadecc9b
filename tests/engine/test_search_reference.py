"""The search's scheduling beside references written from the papers alone, job by job, on known curves.

`Asha` is algorithm 2 of Li et al. 2020 (arXiv:1810.05934) kept as tables of rungs; `halve` is algorithm 1 of Li et al.
2018 (JMLR 18(185)) without its outer loop, on numbers of trials as table 1 has them. They share no line with `engine`:
the search asks a pure function with all trials anew each time, these remember what they promoted. Both are asked at the
same moments, by one worker or several that finish at different times, and have to answer the same.
"""

import heapq
import random
from dataclasses import dataclass, field, replace

import pytest

from vistazo.engine.search_rungs import OVER, WAIT, Job, Plan, Standing, hyperband, next_job, rungs

LEAST = float("-inf")


def curve(seed: int, number: int, most: int) -> tuple[float, ...]:
    """What trial `number` has reached after each epoch: rising, noisy, some of them without any figure."""
    draw = random.Random(f"{seed} {number}")
    if draw.random() < 0.1:
        return (LEAST,) * most
    top, speed, best, found = draw.uniform(0.3, 0.95), draw.uniform(0.2, 2.0), LEAST, []
    for epoch in range(1, most + 1):
        best = max(
            best, round(top * (1 - 2 ** (-speed * epoch)) + draw.gauss(0, 0.02), 2)
        )  # rounded: some are equal
        found.append(best)
    return tuple(found)


# ---------------------------------------------------------------- the references
@dataclass
class Asha:
    """Algorithm 2: rungs as tables number -> figure, and who was promoted from each."""

    steps: tuple[int, ...]
    factor: int
    draws: int
    tables: list[dict[int, float]] = field(default_factory=list)
    promoted: list[set[int]] = field(default_factory=list)
    drawn: int = 0

    def __post_init__(self) -> None:
        self.tables = [{} for _ in self.steps]
        self.promoted = [set() for _ in self.steps]

    def recipe(self, figures: tuple[float, ...]) -> None:
        """It ran through without a stop: it stands in every rung, promoted already."""
        for table, promoted, epochs in zip(self.tables, self.promoted, self.steps, strict=True):
            table[0] = figures[epochs - 1]
            promoted.add(0)

    def done(self, number: int, epochs: int, figure: float) -> None:
        self.tables[self.steps.index(epochs)][number] = figure

    def get_job(self) -> tuple[int | None, int] | None:
        for k in range(len(self.steps) - 2, -1, -1):
            table = self.tables[k]
            top = sorted(table, key=lambda number: (-table[number], number))[: len(table) // self.factor]
            for number in top:
                if number not in self.promoted[k] and table[number] > LEAST:
                    self.promoted[k].add(number)
                    return number, self.steps[k + 1]
        if self.drawn < self.draws:
            self.drawn += 1
            return None, self.steps[0]
        return None


def halve(figures: dict[int, tuple[float, ...]], bracket: list[tuple[int, int]]) -> dict[int, int]:
    """Successive halving of one bracket: number -> epochs it is trained for."""
    trained = dict.fromkeys(figures, bracket[0][1])
    alive = list(figures)
    for (_, epochs), (keep, further) in zip(bracket, bracket[1:], strict=False):
        alive.sort(key=lambda number: (-figures[number][epochs - 1], number))
        alive = [number for number in alive[:keep] if figures[number][epochs - 1] > LEAST]
        trained.update(dict.fromkeys(alive, further))
    return trained


# ---------------------------------------------------------------- workers that finish at different times
@dataclass
class Search:
    """The search's own side: what `next_job` is shown."""

    plan: Plan
    seed: int
    trials: list[Standing] = field(default_factory=list)

    def take(self) -> tuple[bool, int, int] | str:
        """(whether it is new, number, epochs) of the job that is next, held from now on; or 'wait', 'over'."""
        job = next_job(self.trials, self.plan)
        if not isinstance(job, Job):
            return job
        new = job.number is None
        number = len(self.trials) if job.number is None else job.number
        if new:
            self.trials.append(Standing(number, (), job.until, job.bracket, sampled=number > 0))
        self.trials[number] = replace(self.trials[number], until=job.until, held=True)
        return new, number, job.until

    def train(self, number: int, epochs: int) -> float:
        """It has so many epochs now, and nobody holds it; its figure."""
        scores = curve(self.seed, number, self.plan.most)[:epochs]
        done = epochs >= self.plan.most
        self.trials[number] = replace(self.trials[number], scores=scores, held=False, ended=done)
        return scores[-1]


def together(plan: Plan, seed: int, workers: int, dies: float = 0.0) -> tuple[Search, Asha]:
    """Asynchronous halving by both, compared at every job. dies: how often a worker dies within a job."""
    search, asha = Search(plan, seed), Asha(rungs(plan.most, plan.factor), plan.factor, plan.trials)
    draw = random.Random(f"workers {seed} {workers}")
    assert search.take() == (True, 0, plan.most)
    search.train(0, plan.most)
    asha.recipe(curve(seed, 0, plan.most))
    clock, busy, left = (
        0.0,
        [],
        [],
    )  # busy: (when, number, epochs, whether its worker dies); left: by workers that died
    while True:
        while len(busy) < workers:
            taken = search.take()
            if left:
                number, until = min(left)
                left.remove((number, until))
                assert taken == (False, number, until)
            else:
                expected = asha.get_job()
                if expected is None:
                    whole = any(one.sampled and len(one.scores) == plan.most for one in search.trials)
                    assert taken == (WAIT if busy else OVER) or not (busy or whole)  # else a last lap follows
                    break
                number, until = expected
                assert taken == (number is None, asha.drawn if number is None else number, until)
                assert not isinstance(taken, str)
                number = taken[1]
            epochs = until - len(search.trials[number].scores)
            when = clock + epochs * draw.uniform(0.5, 2.0)
            heapq.heappush(busy, (when, number, until, draw.random() < dies))
        if not busy:
            return search, asha
        clock, number, until, died = heapq.heappop(busy)
        if died:
            reached = draw.randrange(len(search.trials[number].scores), until)
            search.train(number, reached) if reached else None
            search.trials[number] = replace(search.trials[number], held=False)
            left.append((number, until))
        else:
            asha.done(number, until, search.train(number, until))


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize(
    ("most", "factor", "trials"), [(20, 3, 27), (9, 3, 40), (16, 2, 25), (16, 4, 64), (1, 3, 5)]
)
def test_every_promotion_is_that_of_the_published_algorithm(most, factor, trials, workers):
    for seed in range(12):
        together(Plan("asha", most, factor, trials), seed, workers)


@pytest.mark.parametrize("workers", [1, 3])
def test_what_a_dead_worker_left_goes_on_and_nothing_else_changes(workers):
    for seed in range(20):
        search, _ = together(Plan("asha", 20, 3, 27), seed, workers, dies=0.3)
        assert len(search.trials) == 28
        assert all(len(one.scores) in (1, 2, 7, 20) for one in search.trials)


def test_no_epoch_is_trained_twice_and_the_epochs_are_those_counted_by_hand():
    """27 drawn trials whose figures fall with their number: 27 at rung 1; the recipe, worst of all, takes no place."""
    plan = Plan("asha", 20, 3, 27)
    trials, spent = [Standing(0, (0.0,) * 20, 20, -1, ended=True, sampled=False)], 0
    while isinstance(job := next_job(trials, plan), Job):
        number = len(trials) if job.number is None else job.number
        if job.number is None:
            trials.append(Standing(number, (), job.until))
        spent += job.until - len(trials[number].scores)
        done = job.until == 20
        scores = (1.0 - number / 100,) * job.until
        trials[number] = replace(trials[number], scores=scores, until=job.until, ended=done)
    # arrived at 1, 2, 7: 28, 10, 4 with the recipe; promoted 9, 3, 1
    reached = [sum(len(one.scores) >= epochs for one in trials[1:]) for epochs in (1, 2, 7, 20)]
    assert reached == [27, 9, 3, 1]
    assert spent == 27 * 1 + 9 * 1 + 3 * 5 + 1 * 13


# ---------------------------------------------------------------- Hyperband
@pytest.mark.parametrize(("most", "factor"), [(20, 3), (9, 3), (16, 2), (27, 3)])
def test_every_bracket_is_halved_as_published(most, factor):
    shape = [[(n, max(1, round(epochs))) for n, epochs in one] for one in hyperband(most, factor)]
    draws = sum(one[0][0] for one in shape)
    for seed in range(12):
        search = Search(Plan("hyperband", most, factor, draws), seed)
        while not isinstance(taken := search.take(), str):
            search.train(*taken[1:])
        first = 1
        for bracket in shape:
            numbers = range(first, first + bracket[0][0])
            expected = halve({number: curve(seed, number, most) for number in numbers}, bracket)
            found = {number: len(search.trials[number].scores) for number in numbers}
            first += bracket[0][0]
            if not any(epochs == most for epochs in expected.values()):
                continue  # nobody of it had a figure: a last lap may have followed
            assert found == expected


def test_brackets_agree_when_several_work_on_them():
    """Hyperband waits at a rung for all of it, so who is promoted hangs on no clock."""
    plan = Plan("hyperband", 20, 3, 15)
    for seed in range(10):
        alone, many = Search(plan, seed), Search(plan, seed)
        while not isinstance(taken := alone.take(), str):
            alone.train(*taken[1:])
        busy: list[tuple[int, int]] = []
        draw = random.Random(seed)
        while True:
            taken = many.take()
            if isinstance(taken, str):
                if not busy:
                    break
                many.train(*busy.pop(draw.randrange(len(busy))))
            else:
                busy.append(taken[1:])
                if len(busy) == 3:
                    many.train(*busy.pop(draw.randrange(3)))
        assert [len(one.scores) for one in many.trials] == [len(one.scores) for one in alone.trials]


def test_the_highest_rung_goes_first():
    """Algorithm 2 looks from the top down: what may go on after 2 epochs comes before what may after 1."""
    low = [Standing(number, (0.9 - number / 100,), 1) for number in range(1, 10)]
    high = [Standing(number, (0.1, 0.5 - number / 100), 2) for number in range(10, 13)]
    assert next_job([*low, *high], Plan("asha", 20, 3, 27)) == Job(10, 7)
    assert next_job(low, Plan("asha", 20, 3, 9)) == Job(1, 2)
