"""Whether probabilities are true, and the temperature."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize
from sklearn.metrics import log_loss

from vistazo.classification.evaluating import calibration
from vistazo.engine.figures import calibration_error
from vistazo.engine.losses import CrossEntropy, SquashedCrossEntropy


def answers(n=600, classes=5, scale=3.0, seed=0):
    """Logits `scale` times as sure as they should be, and labels drawn from what they should say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * 2
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return logits * scale, np.array([rng.choice(classes, p=one) for one in share])


def test_bins_by_hand():
    confidence, correct = np.array([0.1, 0.5, 0.55, 0.95, 1.0]), np.array([0, 1, 0, 1, 1])
    bins = calibration.equal_width(confidence, correct, bins=2)
    assert bins.size.tolist() == [2, 3]  # 0.5 is the upper end of the first
    np.testing.assert_allclose(bins.confidence, [0.3, 2.5 / 3])
    np.testing.assert_allclose(bins.accuracy, [0.5, 2 / 3])
    assert calibration.bin_error(bins) == pytest.approx((2 * 0.2 + 3 * (2.5 / 3 - 2 / 3)) / 5)
    even = calibration.equal_mass(confidence, correct, bins=2)
    assert even.size.tolist() == [3, 2]
    np.testing.assert_allclose(even.accuracy, [1 / 3, 1])


def test_an_empty_bin_has_no_accuracy():
    bins = calibration.equal_width(np.array([0.99, 0.98]), np.array([1, 0]))
    assert bins.size.sum() == 2 and np.isnan(bins.accuracy[:14]).all()
    assert calibration.bin_error(bins) == pytest.approx(0.485)


def test_the_error_is_that_of_the_other_tasks():
    rng = np.random.default_rng(1)
    confidence = rng.random(500)
    correct = rng.random(500) < confidence**2
    ours = calibration.bin_error(calibration.equal_width(confidence, correct))
    assert ours == pytest.approx(calibration_error(confidence, correct), abs=1e-12)


def test_the_order_of_pictures_does_not_matter():
    rng = np.random.default_rng(1)
    confidence, correct = rng.random(200).round(1), rng.random(200) < 0.5
    order = rng.permutation(200)
    one, other = (calibration.equal_mass(confidence[at], correct[at]) for at in (np.arange(200), order))
    np.testing.assert_allclose(one.accuracy, other.accuracy)


@pytest.mark.parametrize("scale", [0.3, 1.7, 3.0])
def test_the_temperature_is_where_scipy_finds_the_smallest_loss(scale):
    logits, labels = answers(scale=scale)
    found = calibration.fit_temperature(logits, labels)

    def loss(log):
        return log_loss(labels, torch.from_numpy(logits / math.exp(log)).softmax(1).numpy())

    best = optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10})
    assert found.value == pytest.approx(math.exp(best.x), rel=1e-5)
    assert found.value == pytest.approx(scale, rel=0.2)
    assert found.before == pytest.approx(loss(0), rel=1e-9)
    assert found.after == pytest.approx(best.fun, rel=1e-9)
    assert found.after < found.before and found.reason == ""


def test_no_answer_changes_and_no_order_of_two_classes():
    logits, labels = answers()
    logits = logits.astype(np.float32)
    logits[0, :2] = (
        np.float32(7.0),
        np.nextafter(np.float32(7.0), np.float32(8)),
    )  # as near as two numbers come
    temperature = calibration.fit_temperature(logits, labels).value
    told = CrossEntropy(smoothing=0.0).answer(torch.from_numpy(logits), temperature=temperature).numpy()
    assert (told.argsort(1, kind="stable") == logits.argsort(1, kind="stable")).all()
    np.testing.assert_allclose(told.sum(1), 1)


def test_a_network_that_can_never_be_sure_is_let_be_sure():
    """Logits between 0 and 1 are right in 9 of 10 cases and say 23 % at most."""
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=500)
    scores = np.full((500, 10), -8.0, np.float32)
    answered = np.where(rng.random(500) < 0.9, labels, (labels + 1) % 10)
    scores[np.arange(500), answered] = 8.0
    objective = SquashedCrossEntropy(smoothing=0.0)
    assert objective.answer(torch.from_numpy(scores)).max() < 0.24
    fitted = calibration.fit_temperature(objective.logits(torch.from_numpy(scores)).numpy(), labels)
    told = objective.answer(torch.from_numpy(scores), temperature=fitted.value)
    assert float(told.max(1).values.mean()) == pytest.approx(np.mean(answered == labels), abs=0.01)


def test_too_few_mistakes_say_nothing_about_how_sure_to_be():
    logits = np.eye(4)[np.arange(100) % 4] * 5
    found = calibration.fit_temperature(logits, np.arange(100) % 4)
    assert found.value == 1 and "too few" in found.reason


def test_what_is_calibrated_is_left_alone_or_hardly_moved():
    logits, labels = answers(scale=1.0, n=4000)
    found = calibration.fit_temperature(logits, labels)
    assert found.value == pytest.approx(1, abs=0.06)
    assert found.after <= found.before
