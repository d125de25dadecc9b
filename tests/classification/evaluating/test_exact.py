"""Exact tests, beside SciPy."""

import numpy as np
import pytest
from scipy import stats

from vistazo.classification.evaluating.exact import at_most, fisher, holm


@pytest.mark.parametrize(
    ("count", "n", "share"),
    [(0, 1, 0.5), (3, 10, 0.2), (7, 7, 0.9), (0, 400, 0.05), (31, 1000, 0.05), (480, 1000, 0.5)],
)
def test_binomial_chances_are_those_of_scipy(count, n, share):
    assert at_most(count, n, share) == pytest.approx(stats.binom.cdf(count, n, share), rel=1e-9, abs=1e-12)


def test_a_share_of_nothing_or_all_is_certain():
    assert at_most(0, 5, 0.0) == 1 and at_most(4, 5, 1.0) == 0 and at_most(5, 5, 1.0) == 1
    with pytest.raises(ValueError, match="no binomial count"):
        at_most(6, 5, 0.5)


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ((3, 3), (0, 4)),
        ((8, 10), (1, 6)),
        ((0, 5), (5, 5)),
        ((90, 100), (700, 900)),
        ((2300, 2500), (6800, 7500)),
    ],
)
def test_fishers_test_is_that_of_scipy(inside, outside):
    table = [[inside[0], inside[1] - inside[0]], [outside[0], outside[1] - outside[0]]]
    assert fisher(inside, outside) == pytest.approx(stats.fisher_exact(table)[1], rel=1e-9)


def test_tea_with_milk():
    """Fisher's own example: 3 of 4 cups are told rightly, and 1 of 4 that are not."""
    assert fisher((3, 4), (1, 4)) == pytest.approx(34 / 70)
    assert fisher((0, 0), (1, 4)) == 1


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []
    assert holm([0.9, 0.8]).tolist() == [1, 1]
