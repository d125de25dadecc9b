"""The figures of several runs, against what is counted by hand."""

import numpy as np
import pytest

from vistazo.classification import pooling
from vistazo.classification.pooling import Tried
from vistazo.engine.figures import wilson_interval

CLASSES = ("cat", "dog")


def tried(name, answers, labels, *, first=0, seed=0):
    """A run that gave these answers, each with probability 0.8."""
    answers, labels = np.array(answers), np.array(labels)
    probabilities = np.full((len(answers), 2), 0.2)
    probabilities[np.arange(len(answers)), answers] = 0.8
    right = float((answers == labels).mean())
    figures = {"accuracy": right, "single_view_accuracy": right / 2, "loss": 0.5 + first, "n": len(labels)}
    told = {"metrics": {"test": figures, "validation": None}}
    return Tried(name, seed, told, np.arange(first, first + len(labels)), labels, probabilities)


@pytest.fixture
def three():
    """Three folds of 4, 4 and 2 pictures with 3, 4 and 1 right: 8 of 10."""
    return [
        tried("fold-1", [0, 0, 1, 0], [0, 0, 1, 1]),
        tried("fold-2", [0, 1, 1, 0], [0, 1, 1, 0], first=4),
        tried("fold-3", [1, 1], [0, 1], first=8),
    ]


def test_pooled_accuracy_counts_every_picture_once(three):
    """8 of 10 right. Wilson by hand: centre (0.8 + z²/20)/(1 + z²/10), half z·√(0.8·0.2/10 + z²/400)/(1 + z²/10)."""
    found = pooling.pooled(three, "test")
    z2 = 1.959963984540054**2
    centre = (0.8 + z2 / 20) / (1 + z2 / 10)
    half = z2**0.5 * (0.8 * 0.2 / 10 + z2 / 400) ** 0.5 / (1 + z2 / 10)
    assert found["n"] == 10
    assert found["accuracy"] == 0.8
    assert found["accuracy_low"] == pytest.approx(centre - half)
    assert found["accuracy_high"] == pytest.approx(centre + half)
    assert (found["accuracy_low"], found["accuracy_high"]) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert found["interval"] == "wilson"


def test_pooled_figures_tell_how_far_the_folds_lie_apart(three):
    """Accuracies 0.75, 1.00, 0.50: mean 0.75, not the pooled 0.8; deviation 0.25."""
    found = pooling.pooled(three, "test")
    assert found["accuracy_mean"] == pytest.approx(0.75)
    assert found["accuracy_deviation"] == pytest.approx(0.25)
    assert found["runs"] == 3
    assert found["single_view_accuracy"] == pytest.approx(0.4)
    assert found["loss"] == pytest.approx(-(8 * np.log(0.8) + 2 * np.log(0.2)) / 10)


def test_the_pooled_confusion_is_the_sum(three):
    assert pooling.confusion(three, 2).tolist() == [[4, 1], [1, 4]]


def test_classes_are_pooled_with_their_own_interval(three):
    dog = pooling.by_class(three, CLASSES, once=True)["dog"]
    assert dog["support"] == 5
    assert (dog["precision"], dog["recall"], dog["f1"]) == pytest.approx((0.8, 0.8, 0.8))
    assert (dog["recall_low"], dog["recall_high"]) == wilson_interval(4, 5)
    assert dog["recall_deviation"] == pytest.approx(np.std([0.5, 1.0, 1.0], ddof=1))


def test_repeats_are_averaged_with_the_interval_of_their_mean():
    """0.75, 1.00 and 0.50 as repeats: 0.75 ± 4.30265 · 0.25 / √3 = 0.75 ± 0.62104, cut to 1."""
    tries = [tried(f"repeat-{at}", answers, [0, 0, 1, 1], seed=at) for at, answers in
             enumerate([[0, 0, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]])]  # fmt: skip
    found = pooling.averaged(tries, "test")
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["accuracy_low"] == pytest.approx(0.75 - 0.62104, abs=1e-5)
    assert found["accuracy_high"] == 1.0
    assert found["interval"] == "student"
    assert found["n"] == 4
    assert pooling.averaged(tries, "validation") is None
    cat = pooling.by_class(tries, CLASSES, once=False)["cat"]
    assert cat["support"] == 2
    assert cat["recall"] == pytest.approx(2 / 3)
    assert cat["recall_deviation"] == pytest.approx(np.std([1, 1, 0], ddof=1))
    assert (cat["recall_low"], cat["recall_high"]) == (0.0, 1.0)


def test_several_labels_are_pooled_by_each_runs_own_thresholds():
    """0.6 is an answer by the first run's threshold, 0.75 is none by the other's.

    First: all four answers right. Second: 'cat' of its last picture missed. So 3 of 4 pictures, 7 of 8 answers;
    cat: 2 of 3 found, none wrong: F1 0.8; dog: F1 1. Mean average precision is the mean of what the runs say.
    """
    tries = []
    for at, (threshold, probabilities, labels) in enumerate((
        (0.5, [[0.6, 0.9], [0.1, 0.9]], [[1, 1], [0, 1]]),
        (0.8, [[0.9, 0.1], [0.75, 0.1]], [[1, 0], [1, 0]]),
    )):  # fmt: skip
        figures = {
            "accuracy": 1 - at / 2,
            "single_view_accuracy": 0.5,
            "mean_average_precision": 1.0 - at / 4,
        }
        told = {"metrics": {"test": figures}}
        rows = np.arange(2 * at, 2 * at + 2)
        truth = np.array(labels, dtype=bool)
        tries.append(Tried(f"fold-{at + 1}", 0, told, rows, truth, np.array(probabilities), (threshold,) * 2))
    found = pooling.pooled(tries, "test")
    assert (found["n"], found["accuracy"], found["hamming_loss"]) == (4, 0.75, 1 / 8)
    assert (found["accuracy_low"], found["accuracy_high"]) == wilson_interval(3, 4)
    assert found["macro_f1"] == pytest.approx((0.8 + 1) / 2)
    assert found["micro_f1"] == pytest.approx(2 * 4 / (2 * 4 + 1))
    assert found["mean_average_precision"] == 0.875
    cat = pooling.by_class(tries, CLASSES, once=True)["cat"]
    assert (cat["support"], cat["precision"], cat["recall"]) == (3, 1.0, pytest.approx(2 / 3))
    assert (cat["recall_low"], cat["recall_high"]) == wilson_interval(2, 3)
    assert cat["average_precision"] == 1.0


def test_a_class_that_no_run_tested_has_no_figures():
    tries = [tried("fold-1", [0, 0], [0, 0]), tried("fold-2", [0], [0], first=2)]
    for once in (True, False):
        dog = pooling.by_class(tries, CLASSES, once=once)["dog"]
        assert dog.pop("support") == 0
        assert set(dog.values()) == {None}
