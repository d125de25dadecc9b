"""Figures by hand, and intervals that hold what they promise."""

import math
from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from vistazo.forecasting import metrics

NAN = float("nan")


def test_figures_are_those_of_arithmetic():
    real, told = np.array([[1.0, 2.0], [4.0, 8.0]]), np.array([[2.0, 2.0], [2.0, 9.0]])
    found = metrics.measure(real, told, told - 1, told + 1)
    assert found == {
        "mae": 1.0,
        "rmse": pytest.approx(math.sqrt(6 / 4)),
        "bias": 0.0,
        "coverage": 0.75,
        "n": 4,
    }


def test_figures_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    real, told = generator.normal(size=(2, 50, 7))
    found = metrics.measure(real, told, None, None)
    assert found["mae"] == pytest.approx(mean_absolute_error(real.ravel(), told.ravel()))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(real.ravel(), told.ravel()))
    assert found["coverage"] is None


def test_unknown_values_count_nowhere():
    real, told = np.array([[1.0, NAN], [NAN, 4.0]]), np.array([[2.0, 99.0], [99.0, 4.0]])
    assert metrics.measure(real, told, told, told) == {
        "mae": 0.5, "rmse": pytest.approx(math.sqrt(0.5)), "bias": 0.5, "coverage": 0.5, "n": 2,
    }  # fmt: skip
    assert metrics.by_horizon(real, told) == [1.0, 0.0]
    assert metrics.by_code(real, told, np.array([[0, 1], [0, 2]]), 4) == [1.0, None, 0.0, None]


@pytest.mark.parametrize("shape", [(3, 2), (0, 2)])
def test_nothing_known_is_no_figure(shape):
    nothing = np.full(shape, NAN)
    assert metrics.measure(nothing, nothing, nothing, nothing) == {
        "mae": None, "rmse": None, "bias": None, "coverage": None, "n": 0,
    }  # fmt: skip
    assert metrics.by_horizon(nothing, np.zeros(shape)) == [None, None]


def test_the_bias_says_whether_forecasts_are_too_high():
    assert metrics.measure(np.zeros((2, 2)), np.ones((2, 2)), None, None)["bias"] == 1


# ---------------------------------------------------------------- intervals
@pytest.mark.parametrize("level", ["0.5", "0.8", "0.9", "0.95"])
def test_the_rank_of_a_conformal_quantile_is_that_of_exact_fractions(level):
    # Romano et al. 2019, equation 8: the ceil((n + 1)(1 - alpha))-th smallest score.
    for n in range(1, 600):
        exact = min(math.ceil((n + 1) * Fraction(level)), n)
        assert metrics.conformal(np.arange(1.0, n + 1), float(level)) == exact, n


def test_a_conformal_quantile_leaves_out_what_is_unknown_and_needs_no_order():
    assert metrics.conformal(np.array([5.0, NAN, 1.0, 3.0, NAN, 2.0, 4.0]), 0.5) == 3.0
    assert metrics.conformal(np.array([NAN]), 0.9) == 0.0
    assert metrics.conformal(np.array([]), 0.9) == 0.0
    assert metrics.conformal(np.array([-2.0]), 0.9) == -2.0


@pytest.mark.parametrize("width", [0.2, 1.0, 3.0], ids=["too narrow", "about right", "too wide"])
def test_a_corrected_interval_holds_eight_of_ten_whatever_it_began_with(width):
    generator = np.random.default_rng(1)
    each = (1 + metrics.LEVEL) / 2
    held = []
    for _ in range(200):
        past, new = generator.standard_t(4, size=(2, 300))
        below, above = metrics.conformal(-width - past, each), metrics.conformal(past - width, each)
        held.append(((new >= -width - below) & (new <= width + above)).mean())
    assert np.mean(held) == pytest.approx(metrics.LEVEL, abs=0.03)


# ---------------------------------------------------------------- skill
@pytest.mark.parametrize(
    ("own", "rule", "gain"),
    [(8.0, 10.0, 0.2), (12.0, 10.0, -0.2), (0.0, 10.0, 1.0), (1.0, 0.0, -math.inf), (0.0, 0.0, 0.0),
     (None, 10.0, None), (1.0, None, None)],
)  # fmt: skip
def test_skill_is_the_share_by_which_an_error_is_below_another(own, rule, gain):
    found = metrics.skill({"mae": own}, {"mae": rule})
    assert found == (gain if gain is None else pytest.approx(gain))
