"""Uneven classes: when something is done, and that it is what the rule says."""

import numpy as np
import pytest

from vistazo.classification import balance

COUNTS = np.array([900, 100, 25])
LABELS = np.repeat([0, 1, 2], COUNTS)
NAMES = ("cat", "dog", "<b>ñu</b>")


@pytest.mark.parametrize(
    ("asked", "counts", "several", "chosen"),
    [
        pytest.param("auto", [100, 51], False, "none", id="less than twice"),
        pytest.param("auto", [100, 50], False, "sampling", id="twice"),
        pytest.param("auto", [100, 1], True, "none", id="several labels have thresholds instead"),
        pytest.param("none", [100, 1], False, "none", id="nothing was asked for"),
        pytest.param("weights", [100, 100], False, "weights", id="weights were asked for"),
        pytest.param("sampling", [100, 90], True, "sampling", id="sampling of several labels was asked for"),
    ],
)
def test_the_rule_of_auto_and_what_is_asked_for(asked, counts, several, chosen):
    assert balance.choose(asked, np.array(counts), several=several) == chosen


def test_classes_are_drawn_by_the_square_root_of_their_counts():
    shares = balance.drawn(LABELS, COUNTS)
    of_class = np.bincount(LABELS, weights=shares)
    np.testing.assert_allclose(of_class / of_class.sum(), np.sqrt(COUNTS) / np.sqrt(COUNTS).sum())


def test_of_several_labels_the_rarest_decides_and_none_goes_with_the_most_common():
    truth = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]], bool)
    np.testing.assert_allclose(balance.drawn(truth, COUNTS), 1 / np.sqrt([900, 100, 25, 900]))
    alone = np.eye(3, dtype=bool)[LABELS]
    np.testing.assert_allclose(balance.drawn(alone, COUNTS), balance.drawn(LABELS, COUNTS))


def test_classes_weigh_by_their_effective_number_of_pictures():
    weights = balance.weighed(LABELS, COUNTS)
    # Cui et al. 2019, equation 2: (1 - b^n) / (1 - b), that is 1 + b + b^2 + ... + b^(n - 1)
    effective = [sum(0.999**power for power in range(n)) for n in COUNTS]
    np.testing.assert_allclose(1 / weights[[0, 900, 1000]], effective)


def test_each_of_several_labels_is_a_question_of_two_classes():
    truth = np.zeros((1000, 2), bool)
    truth[:10, 0], truth[:500, 1] = True, True
    weights = balance.weighed(truth, truth.sum(0))
    assert weights.shape == (1000, 2)
    assert (weights[~truth] == 1).all()
    effective = [sum(0.999**power for power in range(n)) for n in (10, 990)]
    np.testing.assert_allclose(weights[0], [effective[1] / effective[0], 1])
    assert np.isfinite(balance.weighed(np.ones((5, 1), bool), np.array([5]))).all()


@pytest.mark.parametrize("chosen", ["none", "weights", "sampling"])
@pytest.mark.parametrize("several", [False, True])
def test_it_is_said_with_the_smallest_and_the_largest_class(chosen, several):
    told = balance.sentence(chosen, COUNTS * 10, NAMES, several=several)
    assert "<b>ñu</b>: 250" in told
    assert "cat: 9,000" in told
    assert (f"--balance {chosen}" in told) or (chosen == "none" and several)


def test_even_classes_are_not_worth_a_word_unless_something_was_asked_for():
    even = np.array([30, 21, 40])
    assert balance.sentence("none", even, NAMES, several=False) == ""
    assert "count more in the loss" in balance.sentence("weights", even, NAMES, several=False)
