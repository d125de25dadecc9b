"""Curves of ranked answers, beside scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as judge

from vistazo.classification.evaluating import curves


@pytest.fixture(params=["different scores", "many alike"])
def ranked(request):
    rng = np.random.default_rng(3)
    scores = rng.random(400)
    if request.param == "many alike":
        scores = scores.round(1)
    return scores, rng.random(400) < 0.2 + 0.6 * scores


def test_a_roc_curve_is_that_of_scikit_learn(ranked):
    scores, truth = ranked
    ours = curves.roc_curve(scores, truth)
    x, y, threshold = judge.roc_curve(truth, scores, drop_intermediate=False)
    for one, other in zip(ours, (x, y, threshold), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def test_a_precision_recall_curve_is_that_of_scikit_learn(ranked):
    scores, truth = ranked
    ours = curves.precision_recall_curve(scores, truth)
    precision, recall, threshold = judge.precision_recall_curve(truth, scores, drop_intermediate=False)
    # scikit-learn begins at the lowest score, and goes on where everything was found
    np.testing.assert_allclose(ours.x[::-1], recall, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.y[::-1], precision, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.threshold[:0:-1], threshold, rtol=0, atol=1e-9)


def test_areas_of_each_class_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), 300)
    labels = np.array([rng.choice(5, p=one) for one in probabilities])
    truth = np.eye(5)[labels].astype(bool)
    ours = curves.one_versus_rest(probabilities, truth)
    np.testing.assert_allclose(
        ours.auroc, judge.roc_auc_score(labels, probabilities, multi_class="ovr", average=None), atol=1e-9
    )
    np.testing.assert_allclose(
        ours.average_precision, judge.average_precision_score(truth, probabilities, average=None), atol=1e-9
    )


def test_a_curve_by_hand():
    scores, truth = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    roc = curves.roc_curve(scores, truth)
    assert roc.x.tolist() == [0, 0, 0.5, 0.5, 1]
    assert roc.y.tolist() == [0, 0.5, 0.5, 1, 1]
    pr = curves.precision_recall_curve(scores, truth)
    np.testing.assert_allclose(pr.y, [1, 1, 1 / 2, 2 / 3, 1 / 2])
    assert curves.one_versus_rest(scores[:, None], truth[:, None]).auroc.tolist() == [0.75]


def test_along_a_grid_a_roc_curve_has_risen_as_far_as_it_goes():
    roc = curves.roc_curve(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]))
    assert curves.along(roc, np.array([0.0, 0.25, 0.5, 1.0])).tolist() == [0.5, 1.0, 1.0, 1.0]


def test_of_one_class_alone_there_is_no_curve():
    scores = np.random.default_rng(0).random((20, 3))
    truth = np.zeros((20, 3), bool)
    truth[:, 1] = True
    found = curves.one_versus_rest(scores, truth)
    assert np.isnan(found.auroc).all() and np.isnan(found.average_precision).all()
    for make in (curves.roc_curve, curves.precision_recall_curve):
        with pytest.raises(ValueError, match="a curve needs"):
            make(scores[:, 0], truth[:, 0])
    with pytest.raises(ValueError, match="a curve needs"):
        curves.roc_curve(scores[:, 1], truth[:, 1])


def test_fewer_answers_are_surer_ones():
    confidence = np.array([0.9, 0.8, 0.8, 0.5])
    curve = curves.risk_coverage(confidence, np.array([True, False, True, False]))
    assert curve.x.tolist() == [0.25, 0.75, 1.0]  # the two of one confidence come in together
    np.testing.assert_allclose(curve.y, [0, 1 / 3, 1 / 2])
