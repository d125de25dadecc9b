"""Hyperband and asynchronous halving against the published table, and against searches counted by hand."""

import math

import pytest

from vistazo.engine.search_rungs import (
    OVER,
    WAIT,
    Job,
    Plan,
    Standing,
    below_median,
    expected_epochs,
    hyperband,
    next_job,
    rungs,
    usual_trials,
)


def test_the_brackets_are_those_of_the_published_table():
    """Li et al. 2018, JMLR 18(185), table 1: R = 81, eta = 3."""
    assert hyperband(81, 3) == (
        ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
        ((27, 3), (9, 9), (3, 27), (1, 81)),
        ((9, 9), (3, 27), (1, 81)),
        ((6, 27), (2, 81)),
        ((5, 81),),
    )


def test_twenty_epochs_give_three_brackets():
    assert hyperband(20, 3) == (
        ((9, 20 / 9), (3, 20 / 3), (1, 20)),
        ((3, 20 / 3), (1, 20)),
        ((3, 20),),
    )
    assert usual_trials("hyperband", 20, 3) == 15
    assert [usual_trials("asha", most, 3) for most in (1, 5, 20, 81)] == [9, 9, 18, 18]


@pytest.mark.parametrize(
    ("most", "factor", "steps"),
    [(20, 3, (1, 2, 7, 20)), (81, 3, (1, 3, 9, 27, 81)), (1, 3, (1,)), (2, 3, (1, 2)), (16, 4, (1, 4, 16))],
)
def test_rungs_end_at_the_whole_length(most, factor, steps):
    assert rungs(most, factor) == steps


def simulate(plan, figure, workers=1):
    """A search whose trial n has after e epochs the figure `figure(n, e)`; what was done, in order."""
    trials, done, busy = [], [], []
    while True:
        job = next_job(trials, plan)
        if isinstance(job, Job):
            if job.number is None:
                job = Job(len(trials), job.until, job.bracket)
                trials.append(Standing(job.number, (), job.until, job.bracket, sampled=bool(trials)))
            one = trials[job.number]
            done.append((job.number, len(one.scores), job.until))
            trials[job.number] = Standing(
                one.number, one.scores, job.until, one.bracket, True, sampled=one.sampled
            )
            busy.append(job.number)
        if busy and (len(busy) == workers or not isinstance(job, Job)):
            number = busy.pop(0)
            one = trials[number]
            scores = tuple(figure(number, epoch) for epoch in range(1, one.until + 1))
            trials[number] = Standing(
                number, scores, one.until, one.bracket, ended=one.until == plan.most, sampled=one.sampled
            )
        elif job == OVER:
            return trials, done
        else:
            assert isinstance(job, Job) or job == WAIT


def epochs_of(done):
    return sum(until - begun for _, begun, until in done)


def test_the_recipe_comes_first_and_runs_to_the_end():
    _, done = simulate(Plan("asha", 20, 3, 5), lambda n, e: -n)
    assert done[0] == (0, 0, 20)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("pruner", ["asha", "hyperband", "none"])
def test_no_epoch_is_trained_twice_and_the_best_comes_to_the_end(pruner, workers):
    """Trial 4 is the best at every epoch, so it must win; every sitting begins where the one before ended."""
    plan = Plan(pruner, 20, 3, usual_trials(pruner, 20, 3))
    trials, done = simulate(plan, lambda n, e: 1.0 - abs(n - 4) / 100 + e / 1000, workers)
    assert sum(one.sampled for one in trials) == plan.trials
    reached = dict.fromkeys(range(len(trials)), 0)
    for number, begun, until in done:
        assert begun == reached[number]
        reached[number] = until
    assert reached[4] == 20


def test_one_aggressive_bracket_costs_less_than_half_of_what_a_restarting_hyperband_does():
    """Worst order: each trial better than all before it, so that as many as possible are promoted."""
    plan = Plan("asha", 20, 3, 27)
    _, usual = simulate(plan, lambda n, e: math.sin(n * 12.9898) * 43758.5453 % 1 + e / 1000)
    assert epochs_of(usual) <= 113  # KerasTuner: 226
    assert expected_epochs(plan) == pytest.approx(20 + 27 + 9 + 15 + 13)


def test_hyperband_promotes_when_a_rung_is_full_and_takes_the_best():
    _, done = simulate(Plan("hyperband", 20, 3, 15), lambda n, e: -n)
    # the recipe; nine to epoch 2; the best three (1, 2, 3) on to 7; the best one on to 20; then the next bracket
    assert done[1:10] == [(n, 0, 2) for n in range(1, 10)]
    assert done[10:14] == [(1, 2, 7), (2, 2, 7), (3, 2, 7), (1, 7, 20)]
    assert done[14:18] == [(10, 0, 7), (11, 0, 7), (12, 0, 7), (10, 7, 20)]
    assert done[18:] == [(13, 0, 20), (14, 0, 20), (15, 0, 20)]
    assert epochs_of(done) == 20 + (9 * 2 + 3 * 5 + 13) + (3 * 7 + 13) + 60


def test_asha_promotes_from_the_highest_rung_the_best_third_by_hand():
    plan = Plan("asha", 9, 3, 9)  # rungs 1, 3, 9
    recipe = Standing(0, (0.1,) * 9, 9, -1, ended=True, sampled=False)
    low = [Standing(n, (n / 10,), 1) for n in (1, 2, 3, 4, 5)]
    assert next_job([recipe, *low], plan) == Job(5, 3)  # six arrived: two places, 5 before 4
    with_five = [recipe, *low[:4], Standing(5, (0.5, 0.5, 0.5), 3)]
    assert next_job(with_five, plan) == Job(4, 3)
    both = [recipe, *low[:3], Standing(4, (0.4, 0.4, 0.4), 3), Standing(5, (0.5, 0.5, 0.5), 3)]
    # Three stand at the second rung, the recipe with them: one place, and trial 5 has it.
    assert next_job(both, plan) == Job(5, 9)


def test_what_a_dead_process_left_comes_before_anything_new():
    plan = Plan("asha", 9, 3, 9)
    recipe = Standing(0, (0.1, 0.2), 9, -1, sampled=False)
    assert next_job([recipe], plan) == Job(0, 9, -1)
    held = Standing(0, (0.1, 0.2), 9, -1, held=True, sampled=False)
    assert next_job([held], plan) == Job(None, 1)


def test_a_trial_that_failed_is_never_promoted():
    plan = Plan("asha", 3, 3, 3)
    recipe = Standing(0, (0.1,) * 3, 3, -1, ended=True, sampled=False)
    failed = Standing(1, (0.9,), 1, ended=True, failed=True)
    nothing = Standing(2, (-math.inf,), 1)
    last = Standing(3, (-math.inf,), 1)
    assert next_job([recipe, failed, nothing, last], plan) == OVER


def test_a_space_of_few_points_still_brings_one_to_the_full_length():
    trials, _ = simulate(Plan("asha", 20, 3, 2), lambda n, e: -n + e / 100)
    assert [len(one.scores) for one in trials] == [20, 20, 1]


def test_the_rule_of_the_median_by_hand():
    others = [(0.2, 0.4, 0.9), (0.3, 0.5, 0.9), (0.4, 0.6), (0.5, 0.7)]  # means of two epochs: .3 .4 .5 .6
    assert below_median((0.1, 0.44), others)
    assert not below_median((0.1, 0.46), others)
    assert not below_median(
        (0.44, 0.1), [*others, (0.0, 0.0), (0.1, 0.1)]
    )  # its best counts; the median is .35
    assert not below_median((0.0, 0.0, 0.0), others)  # only two were trained as long
    assert not below_median((0.0, 0.0), others[:3])
