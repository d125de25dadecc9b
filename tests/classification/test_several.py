"""Figures of several labels a picture: by hand, and by a second opinion."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistazo.classification import several

HALF = np.full(3, 0.5)
# four pictures, three labels; the answers from 0.5 on are right for the first and the last picture
PROBABILITIES = np.array([[0.9, 0.2, 0.1], [0.8, 0.6, 0.3], [0.1, 0.7, 0.4], [0.2, 0.1, 0.1]])
TRUTH = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0]], dtype=bool)


def drawn(labels, n, seed=0, ties=False):
    generator = np.random.default_rng(seed)
    probabilities = generator.random((n, labels))
    if ties:
        probabilities = probabilities.round(1) * 0.98 + 0.01
    return probabilities, generator.random((n, labels)) < probabilities**2


# ---------------------------------------------------------------- against scikit-learn
@pytest.mark.parametrize("labels", [1, 2, 7])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_figures_equal_those_of_scikit_learn(labels, ties, kind):
    reference = pytest.importorskip("sklearn.metrics")
    probabilities, truth = drawn(labels, 300, ties=ties)
    probabilities = probabilities.astype(kind)
    thresholds = np.linspace(0.3, 0.7, labels)
    given = several.answers(probabilities, thresholds)
    figures = several.measure(probabilities, truth, thresholds)
    close = {"abs": 1e-9}
    assert figures["accuracy"] == pytest.approx(float((given == truth).all(1).mean()), **close)
    if labels > 1:
        assert figures["accuracy"] == pytest.approx(reference.accuracy_score(truth, given), **close)
        assert figures["hamming_loss"] == pytest.approx(reference.hamming_loss(truth, given), **close)
        for average in ("macro", "micro"):
            assert figures[f"{average}_f1"] == pytest.approx(
                reference.f1_score(truth, given, average=average), **close
            )
        assert figures["mean_average_precision"] == pytest.approx(
            reference.average_precision_score(truth, probabilities, average="macro"), **close
        )
    each = [
        reference.log_loss(truth[:, at], probabilities[:, at].astype(np.float64), labels=[False, True])
        for at in range(labels)
    ]
    assert figures["loss"] == pytest.approx(sum(each), rel=1e-9)
    scores = several.label_scores(probabilities, truth, thresholds)
    for at in range(labels):
        theirs = reference.precision_recall_fscore_support(truth[:, at], given[:, at], average="binary")
        assert (scores.precision[at], scores.recall[at], scores.f1[at]) == pytest.approx(theirs[:3], **close)
        assert scores.average_precision[at] == pytest.approx(
            reference.average_precision_score(truth[:, at], probabilities[:, at]), **close
        )
        (_, wrong), (missed, right) = reference.confusion_matrix(truth[:, at], given[:, at])
        assert (scores.right[at], scores.wrong[at], scores.missed[at]) == (right, wrong, missed)
        assert scores.support[at] == right + missed


def test_a_label_neither_shown_nor_answered_counts_in_no_mean():
    reference = pytest.importorskip("sklearn.metrics")
    probabilities, truth = drawn(4, 50)
    probabilities[:, 3], truth[:, 3] = 0.01, False
    truth[:, 2] = False  # answered, never shown: F1 of 0, and no average precision
    figures = several.measure(probabilities, truth, np.full(4, 0.5))
    given = several.answers(probabilities, np.full(4, 0.5))
    expected = reference.f1_score(truth, given, labels=[0, 1, 2], average="macro", zero_division=0)
    assert figures["macro_f1"] == pytest.approx(expected)
    ranked = [several.average_precision(probabilities[:, at], truth[:, at]) for at in range(4)]
    assert [math.isnan(one) for one in ranked] == [False, False, True, True]
    assert figures["mean_average_precision"] == pytest.approx(sum(ranked[:2]) / 2)


# ---------------------------------------------------------------- by hand
def test_the_figures_of_four_pictures_by_hand():
    figures = several.measure(PROBABILITIES, TRUTH, HALF)
    # wrong: label 1 of the second picture answered, its label 2 and that of the third missed
    assert (figures["accuracy"], figures["n"]) == (0.5, 4)
    assert figures["hamming_loss"] == 3 / 12
    assert figures["micro_f1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    assert figures["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert figures["mean_average_precision"] == pytest.approx(1.0)
    assert figures["accuracy_low"] < 0.5 < figures["accuracy_high"]


def test_the_loss_of_a_blind_guess_is_the_logarithm_of_two_for_each_label():
    assert several.log_loss(np.full((4, 3), 0.5), TRUTH) == pytest.approx(3 * math.log(2))
    sure = np.array([[1.0, 0.0]], np.float32)
    assert several.log_loss(sure, np.array([[True, False]])) == 0
    assert several.log_loss(sure, np.array([[False, False]])) == pytest.approx(-math.log(2**-23))


def test_pictures_of_one_probability_come_in_together():
    truth = np.array([True, False, False, True])
    assert several.average_precision(np.full(4, 0.3), truth) == 0.5
    assert several.average_precision(np.array([0.9, 0.5, 0.5, 0.5]), truth) == pytest.approx(
        0.5 + 0.5 * 2 / 4
    )


def test_the_most_common_set_of_labels_is_what_one_answer_reaches():
    assert several.most_common_share(np.array([[1, 0], [1, 0], [0, 0], [1, 1]], bool)) == 0.5


def test_mistakes_come_once_a_picture_with_the_worst_label_the_most_confident_first():
    found = several.most_confident_mistakes(PROBABILITIES, TRUTH, HALF, 9)
    # the second picture: label 2 missed at 0.3 is farther off than label 1 answered at 0.6
    assert found == [(1, 2), (2, 2)]
    assert several.most_confident_mistakes(PROBABILITIES, TRUTH, HALF, 1) == [(1, 2)]
    assert several.most_confident_mistakes(PROBABILITIES, PROBABILITIES >= 0.5, HALF, 9) == []


# ---------------------------------------------------------------- thresholds
def test_a_threshold_lies_between_those_that_have_the_label_and_those_that_have_not():
    probabilities = np.array([0.1] * 20 + [0.3] * 15)[:, None]
    chosen = several.choose_thresholds(probabilities, np.arange(35)[:, None] >= 20)
    assert chosen.values.tolist() == pytest.approx([0.2])
    assert chosen.own.tolist() == [True]


def test_of_thresholds_that_are_as_good_the_one_nearest_to_a_half_is_taken():
    # from 0.45 on one of 101 pictures is missed, which costs 0.005 of F1; a standard error is 0.0098
    probabilities = np.array([0.1] * 100 + [0.2] + [0.7] * 100)[:, None]
    truth = np.arange(201)[:, None] >= 100
    assert several.choose_thresholds(probabilities, truth).values.tolist() == pytest.approx([0.45])
    probabilities[100:140] = 0.2  # forty missed cost more
    assert several.choose_thresholds(probabilities, truth).values.tolist() == pytest.approx([0.15])


@pytest.mark.parametrize("having", [0, 1, 9, 192, 201])
def test_too_few_pictures_with_or_without_a_label_leave_its_threshold_at_a_half(having):
    probabilities = np.linspace(0.01, 0.2, 201)[:, None]
    chosen = several.choose_thresholds(probabilities, np.arange(201)[:, None] >= 201 - having)
    assert chosen.values.tolist() == [0.5]
    assert chosen.own.tolist() == [False]


@given(st.integers(0, 50), st.booleans())
def test_no_other_threshold_is_better_by_more_than_a_standard_error(seed, ties):
    probabilities, truth = drawn(1, 80, seed, ties)
    chosen = several.choose_thresholds(probabilities, truth)
    if chosen.own[0]:
        assert 0 < chosen.values[0] < 1

        def f1(threshold):
            return several.label_scores(probabilities, truth, np.array([threshold])).f1[0]

        best = max(f1(threshold) for threshold in np.linspace(0, 1, 301))
        having = truth.sum()
        share = (having * best + 1) / (having + 2)
        assert f1(chosen.values[0]) >= best - np.sqrt(share * (1 - share) / having) - 1e-9


# ---------------------------------------------------------------- the contract
def test_the_keys_are_stable_and_an_empty_part_has_no_figures():
    keys = ["accuracy", "loss", "macro_f1", "micro_f1", "mean_average_precision", "hamming_loss", "n",
            "accuracy_low", "accuracy_high"]  # fmt: skip
    figures = several.measure(*drawn(3, 9), HALF)
    assert list(figures) == keys
    assert {type(value) for value in figures.values()} == {int, float}
    empty = several.measure(np.zeros((0, 3)), np.zeros((0, 3), bool), HALF)
    assert empty == dict.fromkeys(keys) | {"n": 0}


@pytest.mark.parametrize(
    ("probabilities", "truth", "message"),
    [
        pytest.param(np.zeros(3), np.zeros(3, bool), "probabilities are floats", id="one axis"),
        pytest.param(np.zeros((3, 2), int), np.zeros((3, 2), bool), "probabilities are floats", id="whole"),
        pytest.param(
            np.ones((3, 2)), np.zeros((2, 2), bool), r"labels are bool \(3, 2\)", id="lengths differ"
        ),
        pytest.param(np.ones((1, 2)), np.zeros((1, 2), int), "labels are bool", id="labels not bool"),
        pytest.param(np.array([[2.0, -1.0]]), np.zeros((1, 2), bool), "these are scores", id="scores"),
        pytest.param(np.array([[np.nan, 1.0]]), np.zeros((1, 2), bool), "not finite", id="NaN"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(probabilities, truth, message):
    with pytest.raises(ValueError, match=message):
        several.measure(probabilities, truth, np.full(2, 0.5))
    with pytest.raises(ValueError):
        several.most_common_share(np.zeros((0, 2), bool))
