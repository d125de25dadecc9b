import math
import statistics

import pytest

from vistazo.engine.spread import spread, t_quantile

# Student's t, 97.5 %: from the printed tables of Fisher and Yates 1963, table III.
TABLE = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    9: 2.262,
    10: 2.228,
    29: 2.045,
    30: 2.042,
    120: 1.980,
}


@pytest.mark.parametrize("freedom", TABLE)
def test_the_quantile_is_that_of_the_tables(freedom):
    assert t_quantile(freedom) == pytest.approx(TABLE[freedom], abs=6e-4)


def test_the_quantile_nears_that_of_the_normal_distribution():
    assert t_quantile(100_000) == pytest.approx(1.959964, abs=1e-4)


def test_a_spread_by_hand():
    """Accuracies 0.90, 0.92, 0.94: mean 0.92, s = 0.02, half = 4.30265 · 0.02 / √3 = 0.0496828."""
    found = spread([0.90, 0.92, 0.94])
    assert found.n == 3
    assert found.mean == pytest.approx(0.92)
    assert found.deviation == pytest.approx(0.02)
    assert (found.low, found.high) == pytest.approx((0.92 - 0.0496828, 0.92 + 0.0496828), abs=1e-6)


def test_the_deviation_is_that_of_the_standard_library():
    values = [math.sin(at) for at in range(17)]
    assert spread(values).deviation == pytest.approx(statistics.stdev(values))
    assert spread(values).mean == pytest.approx(statistics.mean(values))


def test_equal_values_have_no_spread():
    found = spread([0.5] * 4)
    assert (found.deviation, found.low, found.high) == (0.0, 0.5, 0.5)


@pytest.mark.parametrize("values", [[], [0.5]])
def test_one_value_has_no_spread_at_all(values):
    with pytest.raises(ValueError, match="two figures or more"):
        spread(values)


def test_degrees_of_freedom_are_one_or_more():
    with pytest.raises(ValueError, match="1 or more"):
        t_quantile(0)
