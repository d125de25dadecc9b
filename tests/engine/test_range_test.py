"""The range test: what it sees, what it suggests, and that it leaves no trace."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from vistazo.engine import range_test as ranges
from vistazo.engine.batches import Batch, epoch_order
from vistazo.engine.optimizers import Group, build_optimizers
from vistazo.engine.range_test import RangeTest, growing, lasting, range_test, smooth, suggest


class Examples:
    """A regression in batches of eight."""

    steps = 8

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(64, 5, generator=generator)
        self.y = self.x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0])
        self.drawn = []

    def draw(self, epoch, step):
        self.drawn.append((epoch, step))
        rows = epoch_order(64, seed=5, epoch=epoch)[step * 8 : step * 8 + 8]
        return Batch({"x": self.x[rows]}, {"y": self.y[rows]}, rows)


class Supervised:
    """A network with statistics, dropout and two groups of different methods."""

    def __init__(self, rate=0.02):
        torch.manual_seed(0)
        self.module = nn.Sequential(
            nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1)
        )
        first = tuple(self.module[0].parameters())
        rest = (*self.module[1].parameters(), *self.module[4].parameters())
        groups = [Group("first", first, "adam", rate, 0.9), Group("rest", rest, "sgd", rate / 2, 0.9)]
        self.optimizers = [build_optimizers(groups)]

    def step(self, batch, k):
        return (self.module(batch.inputs["x"]).squeeze(1) - batch.targets["y"]).square().mean()


def everything(program):
    states = [one.state_dict() for one in program.optimizers[0]]
    tensors = {name: one.clone() for name, one in program.module.state_dict().items()}
    return tensors, json.dumps(states, default=lambda one: one.tolist()), torch.get_rng_state()


def stepped(program, examples, first, last):
    for at in range(first, last):
        for one in program.optimizers[0]:
            one.zero_grad()
        program.step(examples.draw(*divmod(at, 8)), 0).backward()
        for one in program.optimizers[0]:
            one.step()


def try_rates(program, examples, **more):
    return range_test(program, examples, **{"usual": 0.02, "seconds": 60.0, "seed": 3, **more})


# ---------------------------------------------------------------- no trace
@pytest.mark.parametrize("before", [0, 3], ids=["before the first step", "in the middle of training"])
def test_weights_statistics_optimisers_and_random_numbers_are_put_back(before):
    program, examples = Supervised(), Examples()
    stepped(program, examples, 0, before)
    program.module[3].eval()
    tensors, states, random = everything(program)
    found = try_rates(program, examples)
    assert len(found.rates) > 20
    after = everything(program)
    assert tensors.keys() == after[0].keys()
    assert all(torch.equal(one, after[0][name]) for name, one in tensors.items())
    assert states == after[1]
    assert torch.equal(random, after[2])
    assert all(one.grad is None for one in program.module.parameters())
    assert [one.training for one in program.module] == [True, True, True, False, True]


def test_a_training_after_the_test_is_the_one_without_it():
    ends = []
    for test in (False, True):
        program, examples = Supervised(), Examples()
        if test:
            try_rates(program, examples)
        torch.manual_seed(9)
        stepped(program, examples, 0, 10)
        ends.append(everything(program))
    assert all(torch.equal(one, ends[1][0][name]) for name, one in ends[0][0].items())
    assert ends[0][1] == ends[1][1]


def test_all_is_put_back_where_a_step_fails():
    program, examples = Supervised(), Examples()
    tensors, states, _ = everything(program)
    step, calls = program.step, []

    def failing(batch, k):
        calls.append(k)
        if len(calls) > 30:
            raise RuntimeError("out of memory")
        return step(batch, k)

    program.step = failing
    with pytest.raises(RuntimeError, match="out of memory"):
        try_rates(program, examples)
    after = everything(program)
    assert all(torch.equal(one, after[0][name]) for name, one in tensors.items())
    assert states == after[1]


def test_the_same_test_sees_the_same():
    assert try_rates(Supervised(), Examples()) == try_rates(Supervised(), Examples())


# ---------------------------------------------------------------- what it sees
def test_rates_grow_in_equal_proportion_around_the_usual_one():
    rates = growing(0.02, 100)
    assert (rates[0], rates[-1]) == pytest.approx((2e-5, 20.0))
    assert {round(after / rate, 9) for rate, after in pairwise(rates)} == {round(1e6 ** (1 / 99), 9)}
    few = growing(0.02, 50)
    assert (few[0], few[-1]) == pytest.approx((0.02 / 10**1.5, 0.02 * 10**1.5))
    with pytest.raises(ValueError, match="a rate above 0"):
        growing(0.0, 7)


def test_all_groups_grow_in_their_proportion():
    program, examples = Supervised(), Examples()
    seen, step = [], program.step

    def watching(batch, k):
        seen.append([group["lr"] for one in program.optimizers[0] for group in one.param_groups])
        return step(batch, k)

    program.step = watching
    found = try_rates(program, examples)
    shown = seen[2:]  # the first two warm up
    assert sorted(shown[0]) == pytest.approx([1e-5, 2e-5])
    assert [max(one) for one in shown] == pytest.approx(list(found.rates))
    assert all(max(one) / min(one) == pytest.approx(2.0) for one in shown)


def test_it_ends_where_the_loss_diverges():
    found = try_rates(Supervised(), Examples())
    assert found.ended == "diverged"
    smoothed = smooth(found.losses)
    assert smoothed[-1] > 4 * min(smoothed) or not math.isfinite(found.losses[-1])
    assert max(smoothed[:-1]) <= 4 * min(smoothed) or len(smoothed) < 100
    assert found.rates[0] < found.suggested < found.rates[-1]


def test_a_slow_network_takes_fewer_steps_over_a_narrower_range(monkeypatch):
    clock = iter([0.0, 4.0])  # two seconds a step
    monkeypatch.setattr(ranges.time, "monotonic", lambda: next(clock))
    examples = Examples()
    found = try_rates(Supervised(), examples, seconds=120.0)
    assert list(found.rates) == growing(0.02, 60)[: len(found.rates)]
    assert len(examples.drawn) <= 62


def test_a_batch_in_slices_sees_the_same():
    def plain():
        program = Supervised()
        program.module[1], program.module[3] = nn.Identity(), nn.Identity()
        groups = [Group("all", tuple(program.module.parameters()), "sgd", 0.02, 0.9)]
        program.optimizers = [build_optimizers(groups)]
        return program

    whole, sliced = (try_rates(plain(), Examples(), accumulate=one) for one in (1, 3))
    assert sliced.losses[:40] == pytest.approx(whole.losses[:40], rel=1e-4)
    assert sliced.suggested == pytest.approx(whole.suggested)


def test_clipped_gradients_bear_higher_rates():
    free, clipped = (try_rates(Supervised(), Examples(), clip=one) for one in (0.0, 0.01))
    assert clipped.losses != free.losses
    assert clipped.suggested > free.suggested


def test_it_stops_where_it_is_asked_to():
    asked = iter([False, False, True])
    found = try_rates(Supervised(), Examples(), stop=lambda: next(asked))
    assert (found.ended, len(found.rates)) == ("stopped", 2)


def test_it_survives_json():
    found = try_rates(Supervised(), Examples())
    assert RangeTest.from_json(json.loads(json.dumps(found.to_json()))) == found
    odd = RangeTest((0.1, 0.2), (1.0, math.inf), 0.1, 0.1, "diverged")
    again = RangeTest.from_json(json.loads(json.dumps(odd.to_json())))
    assert math.isnan(again.losses[1])


# ---------------------------------------------------------------- what it suggests
def test_smoothing_by_hand():
    assert smooth([2.0, 1.0]) == pytest.approx([2.0, (0.9 * 0.2 + 0.1) / 0.19])
    assert smooth([3.0] * 50) == pytest.approx([3.0] * 50)


def test_nothing_is_suggested_where_no_rate_made_the_loss_fall():
    rates = growing(0.1, 40)
    assert suggest(rates, [1.0 + at for at in range(40)]) is None
    assert suggest(rates, [math.nan] * 40) is None
    assert suggest(rates, [1.0] * 40) is None


def curve(rates, points):
    """A loss over the logarithm of the rate, straight between points (rate, loss)."""
    at, losses = zip(*points, strict=True)
    return np.interp(np.log(rates), np.log(at), losses)


def test_the_suggestion_is_half_as_much_again_as_where_the_fall_first_ends():
    """It falls from 2 to 0.8 between rates of 1 and 10, is upset at 20, and falls to 0.4 at 100: too late to count."""
    rates = growing(1.0, 100)
    losses = curve(rates, [(1e-3, 2.0), (1, 2.0), (10, 0.8), (20, 1.4), (100, 0.4), (1000, 1.9)])
    assert suggest(rates, losses.tolist()) == pytest.approx(15.0, rel=0.15)


def test_where_the_loss_shoots_up_the_suggestion_stays_below():
    """It turns at 10 and is above its beginning at 15."""
    rates = growing(1.0, 100)
    losses = curve(rates, [(1e-3, 2.0), (1, 2.0), (10, 0.8), (15, 2.0), (16, 9.0), (1000, 9.0)])
    assert suggest(rates, losses.tolist()) == pytest.approx(0.4 * 15.0, rel=0.2)


def test_a_ripple_in_the_fall_is_not_its_end():
    rates = growing(1.0, 100)
    losses = curve(rates, [(1e-3, 2.0), (1, 2.0), (10, 0.5), (1000, 1.9)])
    losses += 0.03 * np.sin(np.arange(100))
    assert suggest(rates, losses.tolist()) == pytest.approx(15.0, rel=0.25)


def test_centred_means_by_hand():
    assert ranges.centred([1.0, 2.0, 3.0, math.inf]) == pytest.approx([2.0, 2.25, 2.25, 8 / 3])


def test_a_long_training_at_one_rate_gets_a_lower_one():
    """A fourth of the rate for sixteen times the steps; none less up to 300 steps, or with a schedule."""
    assert [lasting(0.8, 0.01, steps) for steps in (0, 1, 300, 1200, 4800)] == [0.8, 0.8, 0.8, 0.4, 0.2]
    found = [
        try_rates(Supervised(rate=1e-4), Examples(), usual=1e-4, constant=steps).suggested
        for steps in (0, 300, 1200, 10**9)
    ]
    assert found[0] == found[1] > 1e-3
    assert found[2] == pytest.approx(found[0] / 2)
    assert found[3] == 1e-4, "the usual rate, which the test bears"


def test_length_brings_no_rate_below_the_usual_one_unless_the_test_does():
    assert lasting(0.8, 0.5, 4800) == 0.5
    assert lasting(0.8, 1.0, 4800) == 0.8, "the test found the usual rate too high"
