"""Windows of a panel: each once a pass, scaled and back, and with nothing of what comes after a moment."""

import numpy as np
import pytest
import torch

from vistazo.errors import TooFewExamples
from vistazo.forecasting import data
from vistazo.forecasting import windows as shapes
from vistazo.forecasting.ahead import extend
from vistazo.forecasting.data import Known, Panel
from vistazo.forecasting.models import of_the_year
from vistazo.forecasting.windows import (
    Moment,
    Scales,
    WindowBatches,
    Windows,
    moments_of,
    transformed,
)

WINDOW, HORIZON = 4, 3


def make_panel(count=120, seed=0, closed=True, known=1):
    generator = np.random.default_rng(seed)
    days = np.arange(18995, 18995 + count)
    first = days[days % 7 != 3] if closed else days
    second = days[20:]
    at, sizes = np.concatenate([first, second]), [len(first), len(second)]
    values = np.concatenate(
        [20 + first % 7 + generator.random(len(first)), 900 + 50 * generator.random(len(second))]
    )
    values[[15, 40, sizes[0] + 30]] = np.nan
    features = generator.normal(size=(len(at), known)).astype(np.float32)
    columns = tuple(Known(f"k{one}", ()) for one in range(known))
    return Panel(("a", "b"), np.r_[0, np.cumsum(sizes)], at, values, features, {}, columns, "day", closed, ())


def changed_after(panel, cut, seed=1):
    """The panel with every value from the cut on replaced, and some lost."""
    generator = np.random.default_rng(seed)
    later = panel.at >= cut
    values = panel.values.copy()
    values[later] = generator.normal(size=later.sum()) ** 2 * 1e4
    values[later & (generator.random(len(panel)) < 0.2)] = np.nan
    values[[panel.starts[1] - 1, -1]] = 5.0  # a series ends with a value
    return Panel(panel.names, panel.starts, panel.at, values, panel.known, panel.ahead, panel.columns, panel.step,
                 panel.closed, ())  # fmt: skip


def moments(panel, count=2, test=30):
    return moments_of(panel, window=WINDOW, horizon=HORIZON, test=test, count=count)


def windows_of(panel, cuts, log=True, profile=True, kind="standard"):
    scales = Scales.of(panel, transformed(panel.values, log), cuts, kind)
    scale = ([0.0] * panel.known.shape[1], [1.0] * panel.known.shape[1])
    windows = Windows(panel, scales, window=WINDOW, horizon=HORIZON, log=log, known_scale=scale, profile=None,
                      numbers=np.arange(len(panel.names)))  # fmt: skip
    if profile:
        windows.profile = windows.fitted_profile(cuts)
    return windows


# ---------------------------------------------------------------- moments
def test_moments_follow_one_another_and_end_with_the_test_part():
    panel = make_panel(closed=False)
    found = moments(panel, count=3, test=30)
    assert [one.name for one in found] == ["validation"] * 3 + ["test", "final"]
    for one, following in zip(found[:-1], found[1:], strict=True):
        assert one.cut < one.end
        assert one.end == following.cut
    assert found[-2].cut == panel.at.max() - 29, "30 steps are set aside"
    assert found[-1].cut == panel.at.max() + 1


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("test", [0, 3, 10, None])
def test_no_window_is_trained_and_measured_at_one_moment_or_measured_at_two(count, test):
    panel = make_panel()
    every, measured = data.origins(panel, window=WINDOW, horizon=HORIZON), []
    for moment in moments(panel, count=count, test=test):
        trains = moment.trains(panel, every, HORIZON)
        measures = moment.measures(panel, every, HORIZON)
        for origin in every[trains].tolist():
            assert panel.at[origin + HORIZON - 1] < moment.cut
        for origin in every[measures].tolist():
            assert moment.cut <= panel.at[origin]
            assert panel.at[origin + HORIZON - 1] < moment.end
        assert trains.any()
        measured += every[measures].tolist()
    assert len(measured) == len(set(measured)) > 0


@pytest.mark.parametrize(
    ("length", "test", "least"),
    [(10, None, 4 + 2 * 3), (10, 0, 10), (17, 10, 17), (24, 17, 24), (40, 33, 40)],
)
def test_the_least_length_that_is_told_is_enough_and_one_step_less_is_not(length, test, least):
    def cut(size):
        return Panel(
            ("",),
            np.array([0, size]),
            np.arange(size),
            np.arange(float(size)),
            np.zeros((size, 0), np.float32),
            {},
            (),
            "day",
            False,
            (),
        )

    assert length == least
    assert moments(cut(length), test=test)
    with pytest.raises(
        TooFewExamples, match=f"The series has {length - 1} steps; .* need at least {least}\\."
    ):
        moments(cut(length - 1), test=test)


def test_a_test_part_longer_than_the_series_is_refused():
    with pytest.raises(TooFewExamples, match="need at least 1007"):
        moments(make_panel(closed=False), test=1000)


def test_without_a_test_part_the_last_moment_ends_with_the_series():
    panel = make_panel()
    found = moments(panel, test=0)
    assert [one.name for one in found] == ["validation", "validation", "final"]
    assert found[-2].end == found[-1].cut == panel.at.max() + 1


# ---------------------------------------------------------------- nothing of the future
@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("kind", ["standard", "min-max", "robust"])
def test_scales_and_profile_of_a_moment_know_nothing_of_what_comes_after_it(log, kind):
    panel = make_panel()
    cuts = moments(panel, count=3)
    for group, moment in enumerate(cuts[:-1]):
        other = changed_after(panel, moment.cut)
        one, two = windows_of(panel, cuts, log, kind=kind), windows_of(other, cuts, log, kind=kind)
        for mine, theirs in (
            (one.scales.centre, two.scales.centre), (one.scales.spread, two.scales.spread),
            (one.profile.weights_GC, two.profile.weights_GC), (one.profile.offsets_G, two.profile.offsets_G),
            (one.profile.own_GSK, two.profile.own_GSK),
        ):  # fmt: skip
            assert (mine[: group + 1] == theirs[: group + 1]).all()
            assert (mine[-1] != theirs[-1]).any(), "the last moment does know"


def test_what_a_moments_networks_are_trained_on_does_not_change_with_what_comes_after_it():
    panel = make_panel()
    cuts = moments(panel, count=3)
    for group, moment in enumerate(cuts[:-1]):
        pair = [windows_of(each, cuts) for each in (panel, changed_after(panel, moment.cut))]
        batches = [WindowBatches(each, cuts, size=16, steps=40, seed=3) for each in pair]
        weighed = 0.0
        for step in range(40):
            one, two = (each.draw(0, step) for each in batches)
            weight = one.targets["weight"][:, group]
            weighed += float(weight.sum())
            assert torch.equal(weight, two.targets["weight"][:, group])
            seen = weight.sum(1) > 0
            assert torch.equal(one.inputs["past"][seen, group], two.inputs["past"][seen, group])
            assert torch.equal(
                one.targets["ahead"][:, group] * weight, two.targets["ahead"][:, group] * weight
            )
            for name in ("codes", "gaps", "turn", "known", "series"):
                assert torch.equal(one.inputs[name], two.inputs[name])
        assert weighed > 100


# ---------------------------------------------------------------- batches
@pytest.mark.parametrize("size", [7, 16, 500])
def test_every_window_is_drawn_once_a_pass(size):
    windows = windows_of(make_panel(), moments(make_panel()))
    count = len(windows.origins)
    batches = WindowBatches(windows, moments(make_panel()), size=size, steps=5, seed=0)
    drawn = torch.cat([batches.draw(*divmod(step, 5)).rows for step in range(3 * count // size + 1)])
    for at in range(len(drawn) // count):
        assert sorted(drawn[at * count : (at + 1) * count].tolist()) == windows.origins.tolist()
    assert drawn[:count].tolist() != drawn[count : 2 * count].tolist()


def test_a_batch_is_a_function_of_seed_epoch_and_step_alone():
    panel = make_panel()
    windows, cuts = windows_of(panel, moments(panel)), moments(panel)

    def rows(seed, order):
        batches = WindowBatches(windows, cuts, size=16, steps=5, seed=seed)
        return {place: batches.draw(*place).rows.tolist() for place in order}

    forward = [(epoch, step) for epoch in range(4) for step in range(5)]
    assert rows(0, forward) == rows(0, forward[::-1]) == rows(0, sorted(forward, key=lambda one: one[::-1]))
    assert rows(0, forward) != rows(1, forward)


def test_very_many_windows_are_drawn_with_replacement_and_still_repeatably(monkeypatch):
    monkeypatch.setattr(shapes, "SHUFFLED", 10)
    panel = make_panel()
    windows, cuts = windows_of(panel, moments(panel)), moments(panel)
    one, two = (WindowBatches(windows, cuts, size=64, steps=5, seed=0) for _ in range(2))
    assert torch.equal(one.draw(1, 2).rows, two.draw(1, 2).rows)
    assert not torch.equal(one.draw(1, 2).rows, one.draw(1, 3).rows)
    assert set(one.draw(0, 0).rows.tolist()) <= set(windows.origins.tolist())


def test_a_weight_is_one_where_a_window_ends_before_the_moment_and_its_value_is_known():
    panel = make_panel()
    cuts, windows = moments(panel), windows_of(panel, moments(panel))
    batch = WindowBatches(windows, cuts, size=len(windows.origins), steps=1, seed=0).draw(0, 0)
    for row, origin in enumerate(batch.rows.tolist()):
        for group, moment in enumerate(cuts):
            inside = panel.at[origin + HORIZON - 1] < moment.cut
            expected = [
                float(inside and not np.isnan(panel.values[origin + ahead])) for ahead in range(HORIZON)
            ]
            assert batch.targets["weight"][row, group].tolist() == expected


# ---------------------------------------------------------------- scaling and back
@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("profile", [True, False])
def test_scaled_values_become_the_values_again(log, profile):
    panel = make_panel()
    cuts = moments(panel)
    windows = windows_of(panel, cuts, log, profile)
    scaled = windows.ahead(torch.from_numpy(windows.origins)).double().numpy()
    real = panel.filled()[windows.origins[:, None] + np.arange(HORIZON)]
    for group in range(len(cuts)):
        np.testing.assert_allclose(windows.in_units(scaled[group], windows.origins, group), real, rtol=1e-4)
        several = np.stack([scaled[group]] * 3, -1)
        found = windows.in_units(several, windows.origins, group)
        assert found.shape == (*real.shape, 3)
        np.testing.assert_allclose(found[..., 2], real, rtol=1e-4)


def test_scales_are_those_of_each_series_before_each_moment():
    panel = make_panel()
    cuts = moments(panel)
    scales = Scales.of(panel, panel.values, cuts, "standard")
    for group, moment in enumerate(cuts):
        for one in range(2):
            rows = slice(panel.starts[one], panel.starts[one + 1])
            there = panel.values[rows][(panel.at[rows] < moment.cut) & ~np.isnan(panel.values[rows])]
            assert scales.centre[group, one] == pytest.approx(there.mean())
            assert scales.spread[group, one] == pytest.approx(there.std())


def test_a_series_that_begins_after_a_moment_takes_the_scale_of_all_others():
    panel = Panel(("a", "b"), np.array([0, 50, 80]), np.r_[np.arange(50), np.arange(50, 80)], np.r_[np.arange(50.0),
                  np.full(30, 1e6)], np.zeros((80, 0), np.float32), {}, (), "day", False, ())  # fmt: skip
    scales = Scales.of(panel, panel.values, [Moment("validation", 50, 60)], "standard")
    assert scales.centre[0].tolist() == [24.5, 24.5]


def test_a_profile_tells_a_series_that_follows_the_calendar():
    panel = make_panel(closed=False, known=0)
    day = np.concatenate([panel.at[: panel.starts[1]] % 7, panel.at[panel.starts[1] :] % 7]).astype(float)
    follows = Panel(panel.names, panel.starts, panel.at, 10 + day, panel.known, {}, (), "day", False, ())
    windows = windows_of(follows, moments(follows), log=False)
    assert windows.ahead(torch.from_numpy(windows.origins)).abs().max() < 0.1


@pytest.mark.parametrize("count", [330, 500])
def test_less_than_a_year_says_nothing_of_the_year(count):
    panel = make_panel(count)
    cut = Moment("test", int(panel.at.min()) + count - 30, int(panel.at.max()) + 1)
    weights = windows_of(panel, [cut]).profile.weights_GC[0]
    year = of_the_year("day")
    assert len(year) == 12 + 6
    assert bool((weights[year].abs() > 1e-9).any()) == (count > 395)
    assert (np.delete(weights.numpy(), year) != 0).any()


def test_negative_values_that_come_later_count_as_zero_where_logarithms_were_learnt():
    assert transformed(np.array([-5.0, 0.0, np.e - 1]), True).tolist() == [0, 0, 1]
    assert transformed(np.array([-5.0]), False).tolist() == [-5]


# ---------------------------------------------------------------- the steps to come
def test_a_panel_goes_on_where_each_series_ends():
    panel = make_panel()
    longer, origins = extend(panel, 5)
    assert np.diff(longer.starts).tolist() == (np.diff(panel.starts) + 5).tolist()
    for one, origin in enumerate(origins.tolist()):
        assert longer.starts[one + 1] - origin == 5
        assert (
            longer.at[longer.starts[one] : origin].tolist()
            == panel.at[panel.starts[one] : panel.starts[one + 1]].tolist()
        )
        assert (np.diff(longer.at[origin - 1 : origin + 5]) >= 1).all()
        assert np.isnan(longer.values[origin : origin + 5]).all()
        assert np.isnan(longer.known[origin : origin + 5]).all()
    assert (longer.at[origins[0] : origins[0] + 5] % 7 != 3).all(), "the closed weekday stays closed"


@pytest.mark.parametrize("named", [2, 5, 9])
def test_steps_that_the_table_names_are_taken_as_they_are(named):
    panel = make_panel(closed=False)
    at = int(panel.at.max()) + 1 + 2 * np.arange(named)
    known = np.arange(named, dtype=np.float32)[:, None]
    panel = Panel(
        panel.names,
        panel.starts,
        panel.at,
        panel.values,
        panel.known,
        {1: (at, known)},
        panel.columns,
        "day",
        True,
        (),
    )
    longer, origins = extend(panel, 5)
    taken = min(named, 5)
    assert longer.at[origins[1] : origins[1] + taken].tolist() == at[:5].tolist()
    assert longer.known[origins[1] : origins[1] + taken, 0].tolist() == list(range(taken))
    assert (np.diff(longer.at[origins[1] :]) >= 1).all()
    assert np.isnan(longer.known[origins[1] + taken :]).all()


def test_windows_at_the_end_of_an_extended_panel_have_the_last_values_as_their_past():
    panel = make_panel(closed=False)
    cuts = moments(panel)
    longer, origins = extend(panel, HORIZON)
    windows = windows_of(panel, cuts, log=False, profile=False)
    scales = windows.scales
    further = Windows(
        longer,
        scales,
        window=WINDOW,
        horizon=HORIZON,
        log=False,
        known_scale=([0.0], [1.0]),
        profile=None,
        numbers=np.arange(2),
    )
    past = further.past(torch.from_numpy(origins)).numpy()
    for one in range(2):
        last = panel.values[panel.starts[one + 1] - WINDOW : panel.starts[one + 1]]
        np.testing.assert_allclose(
            past[-1, one] * scales.spread[-1, one] + scales.centre[-1, one], last, rtol=1e-5
        )
