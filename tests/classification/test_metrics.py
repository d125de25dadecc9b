import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistazo.classification import metrics


def drawn(classes: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), n)
    return probabilities, generator.integers(0, classes, n)


# ---------------------------------------------------------------- against scikit-learn
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_figures_equal_those_of_scikit_learn(classes, kind):
    reference = pytest.importorskip("sklearn.metrics")
    probabilities, labels = drawn(classes, 300)
    probabilities = probabilities.astype(kind)
    answers = probabilities.argmax(1)
    figures = metrics.measure(probabilities, labels)
    assert figures["n"] == 300
    assert (
        figures["accuracy"] == metrics.accuracy(answers, labels) == reference.accuracy_score(labels, answers)
    )
    assert figures["macro_f1"] == pytest.approx(reference.f1_score(labels, answers, average="macro"))
    assert figures["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(labels, answers))
    assert figures["loss"] == pytest.approx(reference.log_loss(labels, probabilities), rel=1e-6)
    confusion = metrics.confusion_matrix(answers, labels, classes)
    assert np.array_equal(confusion, reference.confusion_matrix(labels, answers))
    for ours, theirs in zip(
        metrics.class_scores(confusion),
        reference.precision_recall_fscore_support(labels, answers, zero_division=0),
        strict=True,
    ):
        assert ours == pytest.approx(theirs)
    for k in range(1, classes):
        theirs = reference.top_k_accuracy_score(labels, probabilities, k=k) if classes > 2 else None
        if theirs is not None:
            assert metrics.top_k_accuracy(probabilities, labels, k) == theirs


def test_a_class_never_answered_or_never_shown_counts_as_scikit_learn_counts_it():
    reference = pytest.importorskip("sklearn.metrics")
    labels, answers = np.array([0, 0, 1, 2]), np.array([0, 0, 0, 3])
    confusion = metrics.confusion_matrix(answers, labels, 5)
    theirs = reference.precision_recall_fscore_support(labels, answers, labels=range(5), zero_division=0)
    for ours, expected in zip(metrics.class_scores(confusion), theirs, strict=True):
        assert ours == pytest.approx(expected)
    expected = reference.f1_score(labels, answers, average="macro", zero_division=0)
    assert metrics.macro_f1(confusion) == pytest.approx(expected) == pytest.approx(0.8 / 4)


def test_a_class_that_is_not_there_counts_in_no_balanced_accuracy():
    confusion = metrics.confusion_matrix(np.array([0, 0, 1, 3]), np.array([0, 0, 0, 2]), 4)
    assert metrics.balanced_accuracy(confusion) == pytest.approx((2 / 3 + 0) / 2)


# ---------------------------------------------------------------- by hand
def test_rows_of_the_confusion_matrix_are_the_truth():
    assert metrics.confusion_matrix(np.array([1, 1, 0]), np.array([0, 1, 0]), 2).tolist() == [[1, 1], [0, 1]]


def test_the_loss_of_a_blind_guess_is_the_logarithm_of_the_classes():
    assert metrics.log_loss(np.full((4, 8), 1 / 8), np.array([0, 3, 5, 7])) == pytest.approx(math.log(8))


def test_the_loss_stays_finite_where_the_right_class_had_no_chance():
    sure = np.array([[1, 0]], np.float32)
    assert metrics.log_loss(sure, np.array([1])) == pytest.approx(-math.log(2**-23))
    assert metrics.log_loss(sure, np.array([0])) == 0


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3
        pytest.param(81, 263, 0.2553, 0.3662, id="81 of 263"),
        pytest.param(15, 148, 0.0624, 0.1605, id="15 of 148"),
        pytest.param(0, 20, 0.0, 0.1611, id="none of 20"),
        pytest.param(1, 29, 0.0061, 0.1718, id="1 of 29"),
    ],
)
def test_wilson_intervals_are_those_published(right, n, low, high):
    assert metrics.wilson_interval(right, n) == pytest.approx((low, high), abs=5e-5)
    assert metrics.wilson_interval(n - right, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_wilson_interval_holds_the_share_and_stays_in_bounds(pair):
    right, n = pair
    low, high = metrics.wilson_interval(right, n)
    assert 0 <= low <= right / n <= high <= 1


def test_top_k_breaks_ties_as_the_answer_does():
    even, labels = np.full((4, 4), 0.25), np.arange(4)
    assert [metrics.top_k_accuracy(even, labels, k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1]
    assert metrics.accuracy(even.argmax(1), labels) == 0.25


def test_calibration_error_is_the_mean_gap_by_hand():
    confidence, correct = np.array([0.95, 0.85, 0.6, 0.55]), np.array([1, 0, 1, 0])
    # bins (0.8, 1] and (0.4, 0.6]: |1.8 - 1| and |1.15 - 1|, over four pictures
    assert metrics.calibration_error(confidence, correct, bins=5) == pytest.approx((0.8 + 0.15) / 4)
    assert metrics.calibration_error(np.array([1.0, 1.0]), np.array([1, 1])) == 0
    assert metrics.calibration_error(np.array([0.0, 1.0]), np.array([1, 0])) == 1


def test_the_most_common_share_is_what_one_answer_reaches():
    assert metrics.most_common_share(np.array([2, 2, 2, 0])) == 0.75


def test_mistakes_come_with_the_most_confident_first():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.2, 0.8]])
    labels = np.array([1, 0, 0, 0, 0])
    assert metrics.most_confident_mistakes(probabilities, labels, 9).tolist() == [0, 2, 4, 3]
    assert metrics.most_confident_mistakes(probabilities, labels, 2).tolist() == [0, 2]
    assert metrics.most_confident_mistakes(probabilities, np.array([0, 0, 1, 1, 1]), 9).tolist() == []


# ---------------------------------------------------------------- the contract
def test_the_keys_are_stable_and_an_empty_part_has_no_figures():
    keys = ["accuracy", "loss", "macro_f1", "balanced_accuracy", "n", "accuracy_low", "accuracy_high"]
    assert list(metrics.measure(*drawn(5, 9))) == keys
    assert list(metrics.measure(*drawn(6, 9))) == [*keys, "top5"]
    empty = metrics.measure(np.zeros((0, 6)), np.zeros(0, np.int64))
    assert empty == dict.fromkeys([*keys, "top5"]) | {"n": 0}


def test_every_figure_is_a_plain_number():
    assert {type(value) for value in metrics.measure(*drawn(6, 9)).values()} == {int, float}


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        pytest.param(np.zeros(3), np.zeros(3, int), "probabilities are floats", id="one axis"),
        pytest.param(np.zeros((3, 2), int), np.zeros(3, int), "probabilities are floats", id="whole numbers"),
        pytest.param(np.ones((3, 2)), np.zeros(2, int), "labels are 3 whole numbers", id="lengths differ"),
        pytest.param(np.ones((1, 2)), np.zeros(1), "labels are 1 whole numbers", id="labels not whole"),
        pytest.param(np.ones((1, 2)), np.array([2]), r"class numbers are in \[0, 2\)", id="no such class"),
        pytest.param(np.array([[2.0, -1.0]]), np.array([0]), "these are scores", id="scores"),
        pytest.param(np.array([[np.nan, 1.0]]), np.array([0]), "not finite", id="NaN"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.measure(probabilities, labels)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: metrics.wilson_interval(3, 2), id="more right than shown"),
        pytest.param(lambda: metrics.wilson_interval(0, 0), id="nothing shown"),
        pytest.param(lambda: metrics.top_k_accuracy(np.ones((1, 2)), np.array([0]), 3), id="k beyond K"),
        pytest.param(lambda: metrics.macro_f1(np.zeros((2, 3))), id="not square"),
        pytest.param(lambda: metrics.macro_f1(np.zeros((2, 2), int)), id="no picture"),
        pytest.param(
            lambda: metrics.balanced_accuracy(np.zeros((2, 2), int)), id="no picture to be balanced"
        ),
        pytest.param(lambda: metrics.confusion_matrix(np.array([2]), np.array([0]), 2), id="no such answer"),
        pytest.param(lambda: metrics.accuracy(np.array([1]), np.array([1, 1])), id="lengths"),
        pytest.param(lambda: metrics.calibration_error(np.array([2.0]), np.array([1])), id="confidence"),
        pytest.param(lambda: metrics.most_common_share(np.zeros(0, int)), id="no labels"),
    ],
)
def test_questions_without_an_answer_are_refused(call):
    with pytest.raises(ValueError):
        call()
