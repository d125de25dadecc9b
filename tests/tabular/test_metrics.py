"""Figures against scikit-learn, against papers, and by hand."""

import numpy as np
import pytest
from sklearn import metrics as judge

from vistazo.tabular import metrics

RANDOM = np.random.default_rng(0)
PROBABILITIES = RANDOM.dirichlet(np.ones(4), 200)
LABELS = RANDOM.integers(0, 4, 200)
VALUES = RANDOM.normal(5, 2, 200)
ANSWERS = VALUES + RANDOM.normal(0, 1, 200)


def test_figures_of_classes_agree_with_scikit_learn():
    found = metrics.measure_classes(PROBABILITIES, LABELS)
    answers = PROBABILITIES.argmax(1)
    assert found["accuracy"] == pytest.approx(judge.accuracy_score(LABELS, answers))
    assert found["log_loss"] == found["loss"] == pytest.approx(judge.log_loss(LABELS, PROBABILITIES))
    assert found["macro_f1"] == pytest.approx(judge.f1_score(LABELS, answers, average="macro"))
    assert (metrics.confusion_matrix(answers, LABELS, 4) == judge.confusion_matrix(LABELS, answers)).all()
    scores = metrics.class_scores(metrics.confusion_matrix(answers, LABELS, 4))
    theirs = judge.precision_recall_fscore_support(LABELS, answers)
    for own, other in zip(scores, theirs, strict=True):
        np.testing.assert_allclose(own, other)
    assert "auc" not in found
    assert found["n"] == 200


def test_figures_of_two_classes_agree_with_scikit_learn():
    share = RANDOM.random(100).round(1)  # equal scores too
    labels = (RANDOM.random(100) < share).astype(int)
    both = np.stack([1 - share, share], axis=1)
    found = metrics.measure_classes(both, labels)
    assert found["auc"] == pytest.approx(judge.roc_auc_score(labels, share))
    assert found["brier"] == pytest.approx(
        2 * judge.brier_score_loss(labels, share)
    )  # theirs is of one class
    assert found["rps"] == pytest.approx(judge.brier_score_loss(labels, share))


def test_figures_of_numbers_agree_with_scikit_learn():
    found = metrics.measure_numbers(ANSWERS, VALUES)
    assert found["mae"] == pytest.approx(judge.mean_absolute_error(VALUES, ANSWERS))
    assert found["rmse"] == pytest.approx(judge.root_mean_squared_error(VALUES, ANSWERS))
    assert found["r2"] == pytest.approx(judge.r2_score(VALUES, ANSWERS))


def test_a_near_class_costs_less_than_a_far_one():
    # Constantinou & Fenton 2012, table 1: a home win forecast as (1, 0, 0), (0, 1, 0), (0.8, 0.1, 0.1)
    home = np.array([0])
    for forecast, expected in (((1, 0, 0), 0), ((0, 1, 0), 0.5), ((0, 0, 1), 1), ((0.8, 0.1, 0.1), 0.025)):
        assert metrics.rps(np.array([forecast], dtype=float), home) == pytest.approx(expected)


def test_confidence_that_is_kept_has_no_calibration_error():
    confidence = np.repeat([0.8, 0.6], 10)
    correct = np.concatenate([np.arange(10) < 8, np.arange(10) < 6])
    assert metrics.calibration_error(confidence, correct, bins=15) == pytest.approx(0)
    assert metrics.calibration_error(np.ones(10), np.arange(10) < 5, bins=15) == pytest.approx(0.5)


def test_a_part_without_rows_has_no_figures():
    found = metrics.measure_classes(np.zeros((0, 2)), np.zeros(0, dtype=int))
    assert found.pop("n") == 0
    assert set(found.values()) == {None}
    assert metrics.measure_numbers(np.zeros(0), np.zeros(0))["mae"] is None
    assert metrics.measure_numbers(np.ones(3), np.ones(3))["r2"] is None


def test_an_interval_holds_the_share_it_promises():
    # Lei et al. 2018: at least the share, and at most 1/(n + 1) more, on average
    covered = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        reach = metrics.residual_quantile(np.zeros(30), random.normal(0, 1, 30), 0.8)
        covered.append(metrics.coverage(np.zeros(200), random.normal(0, 1, 200), reach))
    assert 0.79 < np.mean(covered) < 0.80 + 1 / 31 + 0.02
    assert metrics.residual_quantile(np.zeros(3), np.ones(3), 0.8) is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: metrics.log_loss(np.array([[2.0, -1.0]]), np.array([0])),
        lambda: metrics.rps(PROBABILITIES, LABELS[:5]),
        lambda: metrics.brier(PROBABILITIES, LABELS + 9),
        lambda: metrics.rps(np.ones((1, 1)), np.array([0])),
        lambda: metrics.mae(np.zeros(2), np.zeros(3)),
        lambda: metrics.r2(np.zeros(2), np.ones(2)),
        lambda: metrics.area_under_curve(np.zeros(2), np.ones(2)),
        lambda: metrics.macro_f1(np.zeros((2, 2), dtype=int)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
