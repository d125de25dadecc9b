"""Every baseline beside a loop that anybody can follow; none looks past what is known."""

import datetime

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from vistazo.forecasting import data
from vistazo.forecasting import steps as time
from vistazo.forecasting.baselines import Past, baselines
from vistazo.forecasting.data import Panel

WINDOW, HORIZON = 5, 4


def panel_of(*series, step="day", closed=False, known=None):
    """A panel of (steps, values) pairs."""
    at = [np.asarray(one, np.int64) for one, _ in series]
    values = np.concatenate([np.asarray(one, float) for _, one in series])
    starts = np.r_[0, np.cumsum([len(one) for one in at])]
    features = np.zeros((len(values), 0), np.float32) if known is None else np.asarray(known, np.float32)
    columns = tuple(data.Known(f"k{one}", ()) for one in range(features.shape[1]))
    names = tuple("abcdef"[: len(series)])
    return Panel(names, starts, np.concatenate(at), values, features, {}, columns, step, closed, ())


@pytest.fixture(params=["day", "closed", "hour", "week", "month"])
def panel(request):
    generator = np.random.default_rng(3)
    step = "day" if request.param == "closed" else request.param
    first = np.arange(19000, 19200)
    if request.param == "closed":
        first = first[first % 7 != 3]
    second = np.arange(19050, 19170)
    one, other = 50 + 10 * np.sin(first) + generator.normal(size=len(first)), 1000 + second % 7 * 30.0
    if request.param != "closed":
        one[[20, 61, 62, 150]] = np.nan
    return panel_of((first, one), (second, other), step=step, closed=request.param == "closed")


def past_of(panel, cut=None, window=WINDOW, horizon=HORIZON):
    cut = int(panel.at[140]) if cut is None else cut
    every = data.origins(panel, window=window, horizon=horizon)
    fitting = every[panel.at[every + horizon - 1] < cut]
    tried = every[panel.at[every] >= cut]
    return Past(panel, panel.filled(), cut, fitting, window, horizon), tried


def rows_before(panel, origin):
    """Rows of the same series before an origin, latest first."""
    start = max(one for one in panel.starts.tolist() if one <= origin)
    return range(origin - 1, start - 1, -1)


def season(panel, row):
    return tuple(time.codes_of(panel.at[row : row + 1], panel.step)[0].tolist())


def brute(name, past, origin, ahead):
    panel, row = past.panel, origin + ahead
    before = rows_before(panel, origin)
    if name == "last value":
        return past.values[origin - 1]
    if name in ("same season before", "mean of the last four"):
        same = [past.values[one] for one in before if season(panel, one)[0] == season(panel, row)[0]]
        same = same[: 1 if name == "same season before" else 4]
        return np.mean(same) if same else past.values[origin - 1]
    assert name == "weekday × month"
    start = max(one for one in panel.starts.tolist() if one <= origin)
    end = min(one for one in panel.starts.tolist() if one > origin)
    own = [one for one in range(start, end) if panel.at[one] < past.cut and not np.isnan(panel.values[one])]
    for chosen in (
        [one for one in own if season(panel, one) == season(panel, row)],
        [one for one in own if season(panel, one)[0] == season(panel, row)[0]],
        own,
    ):
        if chosen:
            return np.mean([panel.values[one] for one in chosen])
    raise AssertionError("every series has a value before the cut")


@pytest.mark.parametrize(
    "name", ["last value", "same season before", "mean of the last four", "weekday × month"]
)
def test_a_rule_gives_what_a_loop_gives(panel, name):
    past, origins = past_of(panel)
    assert len(origins) > 20
    told = baselines[name](past, origins)
    assert told.shape == (len(origins), HORIZON)
    expected = [[brute(name, past, origin, ahead) for ahead in range(HORIZON)] for origin in origins.tolist()]
    np.testing.assert_allclose(told, expected, rtol=1e-12)


def test_a_horizon_longer_than_a_season_takes_the_season_known_at_the_origin():
    panel = panel_of((np.arange(70), np.arange(70.0)))
    past, _ = past_of(panel, cut=40, window=3, horizon=20)
    told = baselines["same season before"](past, np.array([40]))[0]
    assert told.tolist() == [*range(33, 40), *range(33, 40), *range(33, 39)]


def test_a_series_that_begins_after_the_cut_takes_the_mean_of_the_others():
    panel = panel_of((np.arange(60), np.full(60, 4.0)), (np.arange(60, 90), np.full(30, 9.0)))
    past, _ = past_of(panel, cut=60)
    assert (baselines["weekday × month"](past, np.array([70])) == 4).all()


def test_smoothing_is_a_level_that_follows_the_values_plus_the_weekday():
    generator = np.random.default_rng(5)
    at = np.arange(19000, 19150)
    values = 20 + at % 7 * 2.0 + np.cumsum(generator.normal(size=150))
    past, origins = past_of(panel_of((at, values)), cut=19100)
    known = at < 19100
    usual = {
        day: np.mean(
            [v - values[known].mean() for a, v in zip(at[known], values[known], strict=True) if a % 7 == day]
        )
        for day in range(7)
    }
    plain = [v - usual[a % 7] for a, v in zip(at, values, strict=True)]
    errors, levels = {}, {}
    for speed in (0.02, 0.05, 0.1, 0.2, 0.3, 0.5):
        level, found, missed = plain[0], [], []
        for one, is_known in zip(plain, known, strict=True):
            if found and is_known:
                missed.append(abs(level - one))
            level += speed * (one - level)
            found.append(level)
        errors[speed], levels[speed] = np.mean(missed), found
    best = levels[min(errors, key=errors.get)]
    expected = [[best[o - 1] + usual[at[o + k] % 7] for k in range(HORIZON)] for o in origins.tolist()]
    np.testing.assert_allclose(baselines["exponential smoothing"](past, origins), expected)


# ---------------------------------------------------------------- ridge
def features(panel, values, origin, ahead, window):
    row = origin + ahead
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=int(panel.at[row]))
    return [*values[origin - window : origin], *(day.weekday() == k for k in range(7)),
            *(day.month == k for k in range(1, 13))]  # fmt: skip


def test_ridge_is_that_of_scikit_learn_with_the_strength_that_tells_the_latest_fifth_best():
    generator = np.random.default_rng(2)
    at = np.arange(19000, 19160)
    panel = panel_of((at, 30 + at % 7 * 3.0 + np.cumsum(generator.normal(size=160))))
    past, origins = past_of(panel, cut=19120)
    told = baselines["ridge"](past, origins)
    for ahead in range(HORIZON):
        inputs = np.array(
            [features(panel, past.values, one, ahead, WINDOW) for one in past.fitting.tolist()], float
        )
        targets = past.values[past.fitting + ahead]
        centre, spread = inputs.mean(0), np.where(inputs.std(0) < 1e-9, 1, inputs.std(0))
        scaled, old = (inputs - centre) / spread, len(inputs) - len(inputs) // 5

        def error(strength, scaled=scaled, targets=targets, old=old):
            fitted = Ridge(alpha=strength).fit(scaled[:old], targets[:old])
            return np.abs(fitted.predict(scaled[old:]) - targets[old:]).mean()

        best = min((0.1, 1.0, 10.0, 100.0, 1000.0), key=error)
        new = np.array([features(panel, past.values, one, ahead, WINDOW) for one in origins.tolist()], float)
        expected = Ridge(alpha=best).fit(scaled, targets).predict((new - centre) / spread)
        np.testing.assert_allclose(told[:, ahead], expected, rtol=1e-6)


def test_ridge_with_everything_uses_what_is_known_ahead():
    generator = np.random.default_rng(2)
    promotion = generator.integers(0, 2, 300).astype(float)
    panel = panel_of(
        (np.arange(300), 10 + 20 * promotion + generator.normal(size=300) / 10), known=promotion[:, None]
    )
    past, origins = past_of(panel, cut=250)
    real = panel.values[origins[:, None] + np.arange(HORIZON)]
    plain, told = (
        np.abs(baselines[name](past, origins) - real).mean() for name in ("ridge", "ridge, whole calendar")
    )
    assert told < 0.5 < 5 < plain


def test_too_few_windows_fall_back_on_the_last_value():
    panel = panel_of((np.arange(40), np.arange(40.0)))
    past, _ = past_of(panel, cut=15)
    assert len(past.fitting) < 10
    assert (baselines["ridge"](past, np.array([20])) == 19).all()


# ---------------------------------------------------------------- no rule knows the future
@pytest.mark.parametrize("name", list(baselines))
def test_no_value_from_the_cut_on_changes_a_forecast_whose_past_lies_before(panel, name):
    past, _ = past_of(panel)
    every = data.origins(panel, window=WINDOW, horizon=HORIZON)
    # The origins whose past lies before the cut: the last rows of their window are the last ones known.
    origins = every[panel.at[every - 1] < past.cut]
    before = baselines[name](past, origins)
    for change in (1e9, -1e9, np.nan, 0.0):
        values = panel.values.copy()
        values[panel.at >= past.cut] = change
        changed = Panel(
            panel.names, panel.starts, panel.at, values, panel.known, {}, (), panel.step, panel.closed, ()
        )
        after, _ = past_of(changed)
        assert np.array_equal(before, baselines[name](after, origins)), change


@pytest.mark.parametrize("name", list(baselines))
def test_a_forecast_depends_on_no_value_from_its_own_origin_on(panel, name):
    past, origins = past_of(panel)
    for origin in origins[:: len(origins) // 3].tolist():
        end = min(one for one in panel.starts.tolist() if one > origin)
        values = panel.values.copy()
        values[origin:end] = 1e6
        changed = Panel(
            panel.names, panel.starts, panel.at, values, panel.known, {}, (), panel.step, panel.closed, ()
        )
        after = Past(changed, changed.filled(), past.cut, past.fitting, WINDOW, HORIZON)
        one = np.array([origin])
        assert np.array_equal(baselines[name](past, one), baselines[name](after, one))


@pytest.mark.parametrize("name", list(baselines))
def test_every_rule_gives_finite_forecasts_of_every_window(panel, name):
    past, origins = past_of(panel)
    told = baselines[name](past, origins)
    assert told.shape == (len(origins), HORIZON)
    assert np.isfinite(told).all()
