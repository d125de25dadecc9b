"""Schedules against torch's where the arithmetic is the same, and against formulas by hand."""

import math

import numpy as np
import pytest
import torch

from vistazo.engine.schedules import Plateau, schedule, schedules

STEPS = 100
PURE = [name for name in schedules if name != "plateau"]


def of_torch(make, steps=STEPS):
    """The factors that one of torch's schedulers gives, step by step."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def ours(name, steps=STEPS):
    factor = schedule(name)
    return [factor(step, steps) for step in range(steps)]


def test_every_schedule_is_told_about():
    assert set(schedules) == set(schedules.about)


@pytest.mark.parametrize("steps", [10, 100, 333])
def test_one_cycle_is_torchs(steps):
    expected = of_torch(
        lambda one: torch.optim.lr_scheduler.OneCycleLR(one, 1.0, total_steps=steps, cycle_momentum=False),
        steps,
    )
    np.testing.assert_allclose(ours("one_cycle", steps), expected, rtol=0, atol=1e-6)


def test_step_is_torchs():
    make = lambda one: torch.optim.lr_scheduler.MultiStepLR(one, [50, 75], 0.1)  # noqa: E731
    np.testing.assert_allclose(ours("step"), of_torch(make), rtol=0, atol=1e-6)


def test_cosine_is_torchs_after_its_warm_up():
    expected = of_torch(lambda one: torch.optim.lr_scheduler.CosineAnnealingLR(one, STEPS - 5), STEPS - 5)
    np.testing.assert_allclose(ours("cosine")[5:], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours("cosine")[:5], np.arange(1, 6) / 6, rtol=0, atol=1e-6)


def test_linear_is_torchs():
    make = lambda one: torch.optim.lr_scheduler.LinearLR(one, 1.0, 1e-12, STEPS)  # noqa: E731
    np.testing.assert_allclose(ours("linear"), of_torch(make), rtol=0, atol=1e-6)


def test_constant_triangular_and_inverse_time_are_their_formulas():
    at = np.arange(STEPS)
    np.testing.assert_allclose(ours("constant"), np.ones(STEPS), rtol=0, atol=1e-6)
    expected = np.interp(at, [0, 0.23 * STEPS, STEPS], [0.2, 1.0, 0.07])
    np.testing.assert_allclose(ours("triangular"), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours("inverse_time"), 1 / (1 + 1e-5 * at), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", PURE)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 40.5])
def test_a_schedule_is_finite_and_at_most_1_for_any_length_and_after_a_change_of_plan(name, steps):
    factor = schedule(name)
    found = [factor(step, steps) for step in range(math.floor(steps) + 1)]
    assert all(0 <= one <= 1 + 1e-12 for one in found)


@pytest.mark.parametrize("name", list(schedules))
def test_a_step_beyond_the_last_is_refused(name):
    with pytest.raises(ValueError, match="not for step 11"):
        schedule(name)(11, 10)


# ---------------------------------------------------------------- plateau
def test_a_plateau_lowers_the_rate_as_torchs_does():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, min_lr=1e-4)
    factor = Plateau()
    rng = np.random.default_rng(0)
    for epoch in range(80):
        loss = float(rng.normal(1 / (1 + epoch / 5), 0.1)) if epoch != 9 else math.nan
        factor.see(loss)
        reference.step(loss)
        assert factor(epoch, 80) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
    assert factor.factor < 0.01


def test_a_plateau_by_hand():
    factor, found = Plateau(), []
    for loss in (1.0, 0.9, 0.9, 0.89999, 0.9, 0.8, 0.8, 0.8, 0.8):
        factor.see(loss)
        found.append(factor(0, 1))
    # 0.89999 is not 0.01 % below 0.9: the third epoch without improvement halves
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]


def test_a_plateau_is_restored_and_each_is_its_own():
    first, second = schedule("plateau"), schedule("plateau")
    for loss in (1.0, 2.0, 2.0, 2.0):
        first.see(loss)
    assert (first(0, 1), second(0, 1)) == (0.5, 1.0)
    second.load_state_dict(first.state_dict())
    assert second == first
    third = Plateau()
    third.load_state_dict(Plateau().state_dict())
    assert third.best == math.inf
