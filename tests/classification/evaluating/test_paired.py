"""Two models on the same pictures."""

import numpy as np
import pytest
from scipy import stats

from vistazo.classification.evaluating.paired import compare


def of_counts(both, ours, theirs, neither):
    first = np.repeat([True, True, False, False], [both, ours, theirs, neither])
    second = np.repeat([True, False, True, False], [both, ours, theirs, neither])
    return compare(first, second)


@pytest.mark.parametrize(
    "counts", [(50, 1, 9, 40), (5, 6, 2, 3), (0, 3, 3, 0), (900, 40, 20, 40), (7, 0, 0, 1)]
)
def test_mcnemars_test_is_the_binomial_one(counts):
    found = of_counts(*counts)
    b, c = counts[1:3]
    expected = stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert found.p == pytest.approx(expected, rel=1e-9)
    mid = (
        2 * stats.binom.cdf(min(b, c), b + c, 0.5) - stats.binom.pmf(min(b, c), b + c, 0.5) if b + c else 1.0
    )
    assert found.mid_p == pytest.approx(min(1, mid), rel=1e-9)
    assert (found.both, found.ours, found.theirs, found.neither) == counts


def test_the_interval_by_hand():
    """1 and 7 of 21: shares 2/23 and 8/23 after adding one to either, and a variance of (10/23 - 36/529) / 23."""
    found = of_counts(1, 1, 7, 12)
    half = 1.959963984540054 * ((10 / 23 - 36 / 529) / 23) ** 0.5
    assert found.difference == pytest.approx(-6 / 21)
    assert (found.low, found.high) == pytest.approx((-6 / 23 - half, -6 / 23 + half), abs=1e-12)


def test_a_model_is_no_better_than_itself():
    right = np.random.default_rng(0).random(300) < 0.8
    found = compare(right, right)
    assert found.difference == 0 and found.p == found.mid_p == 1
    assert found.low < 0 < found.high
    with pytest.raises(ValueError, match="one length"):
        compare(right, right[:5])
