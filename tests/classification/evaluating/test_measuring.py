"""Figures of a part, beside scikit-learn; intervals by drawing anew."""

import numpy as np
import pytest
from sklearn import metrics as judge

from vistazo.classification.evaluating import intervals, measuring


@pytest.fixture(scope="module")
def answered():
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet(np.ones(6) * 0.5, 400)
    labels = np.where(rng.random(400) < 0.6, probabilities.argmax(1), rng.integers(6, size=400))
    return probabilities, labels


def test_means_and_areas_are_those_of_scikit_learn(answered):
    probabilities, labels = answered
    found = measuring.further(probabilities, labels)
    guess, truth = probabilities.argmax(1), np.eye(6)[labels]
    for how in ("macro", "weighted"):
        p, r, f, _ = judge.precision_recall_fscore_support(labels, guess, average=how, zero_division=0)
        assert (found[f"{how}_precision"], found[f"{how}_recall"]) == pytest.approx((p, r), abs=1e-9)
        assert how == "macro" or found["weighted_f1"] == pytest.approx(f, abs=1e-9)
    area = judge.roc_auc_score(labels, probabilities, multi_class="ovr")
    assert found["macro_auroc"] == pytest.approx(area, abs=1e-9)
    ranked = judge.average_precision_score(truth, probabilities, average="macro")
    assert found["macro_average_precision"] == pytest.approx(ranked, abs=1e-9)
    assert found["top3"] == pytest.approx(judge.top_k_accuracy_score(labels, probabilities, k=3), abs=1e-9)
    assert found["brier"] == pytest.approx(((probabilities - truth) ** 2).sum(1).mean(), abs=1e-9)


def test_figures_of_several_labels_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    probabilities, truth = rng.random((300, 4)), rng.random((300, 4)) < 0.3
    found = measuring.further_of_labels(probabilities, truth, np.full(4, 0.5))
    area = judge.roc_auc_score(truth, probabilities, average="macro")
    assert found["macro_auroc"] == pytest.approx(area, abs=1e-9)
    p, r, f, _ = judge.precision_recall_fscore_support(truth, probabilities >= 0.5, average="weighted")
    assert [found[f"weighted_{name}"] for name in ("precision", "recall", "f1")] == pytest.approx(
        [p, r, f], abs=1e-9
    )


def test_one_class_alone_has_no_areas_and_no_pictures_have_no_figures():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 10)
    found = measuring.further(probabilities, np.zeros(10, int))
    assert found["macro_auroc"] is found["macro_average_precision"] is None
    assert found["macro_recall"] is not None
    assert set(measuring.further(probabilities[:0], np.zeros(0, int)).values()) == {None}


def test_intervals_hold_the_figure_and_repeat(answered):
    probabilities, labels = answered
    found = intervals.bootstrap(probabilities, labels)
    assert found == intervals.bootstrap(probabilities, labels)
    loss = judge.log_loss(labels, probabilities)
    f1 = judge.f1_score(labels, probabilities.argmax(1), average="macro")
    assert found["loss"][0] < loss < found["loss"][1]
    assert found["macro_f1"][0] < f1 < found["macro_f1"][1]
    # by the normal distribution, which serves a mean of 400 well
    each = -np.log(probabilities[np.arange(400), labels].clip(np.finfo(np.float32).eps))
    half = 1.96 * each.std() / 20
    assert found["loss"] == pytest.approx((each.mean() - half, each.mean() + half), rel=0.05)
    assert intervals.bootstrap(probabilities[:1], labels[:1]) == {}


def test_an_interval_that_would_claim_certainty_is_none():
    labels = np.arange(18) % 3
    probabilities = np.where(np.eye(3)[labels] > 0, np.linspace(0.6, 0.9, 18)[:, None], 0.05)
    assert set(intervals.bootstrap(probabilities, labels)) == {"loss", "brier"}


def test_which_classes_pictures_show_takes_one_byte_each():
    found = measuring.truth_of(np.array([2, 0]), 3)
    assert found.dtype == np.bool_ and found.tolist() == [[False, False, True], [True, False, False]]
