"""Who or what, or unknown: scores, thresholds and rates by hand."""

import numpy as np
import pytest

from vistazo.classification.similar import identity
from vistazo.classification.similar.identity import (
    equal_error_rate,
    own_scores,
    scores,
    strangers_among,
    threshold,
)

# three directions in a plane: two pictures of the first name, one of the second
ENROLLED = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
NAMES = np.array([0, 0, 1])


def test_a_score_is_the_mean_cosine_to_the_nearest_few(monkeypatch):
    asked = np.array([[0.6, 0.8]], np.float32)
    np.testing.assert_allclose(scores(asked, ENROLLED, NAMES, 2), [[(0.6 + 0.96) / 2, 0.8]], atol=1e-6)
    monkeypatch.setattr(identity, "NEAREST", 1)
    np.testing.assert_allclose(scores(asked, ENROLLED, NAMES, 2), [[0.96, 0.8]], atol=1e-6)


def test_an_enrolled_picture_is_left_out_of_its_own_score():
    found = own_scores(ENROLLED, NAMES)
    np.testing.assert_allclose(found[:2], [0.8, 0.8], atol=1e-6)
    assert np.isnan(found[2])


def test_an_enrolled_picture_is_a_stranger_to_every_other_name():
    np.testing.assert_allclose(strangers_among(ENROLLED, NAMES), [0.0, 0.6, (0.0 + 0.6) / 2], atol=1e-6)


def test_the_threshold_keeps_its_rate_for_new_strangers():
    random = np.random.default_rng(0)
    accepted = []
    for _ in range(400):
        told = threshold(random.normal(size=99), 0.05)
        accepted.append((random.normal(size=50) >= told.score).mean())
    assert told.kept and told.accepted == 4
    assert 0.04 < np.mean(accepted) <= 0.053


@pytest.mark.parametrize("names", [2, 4])
def test_the_rate_holds_for_strangers_who_can_be_taken_for_every_name(names):
    random = np.random.default_rng(1)
    accepted = []
    for _ in range(400):
        # an enrolled picture is compared with all names but its own, a new stranger with all
        told = threshold(random.normal(size=(399, names - 1)).max(1), 0.05, of=names)
        accepted.append((random.normal(size=(50, names)).max(1) >= told.score).mean())
    assert told.kept
    assert 0.04 < np.mean(accepted) <= 0.052


def test_two_names_need_twice_the_pictures():
    assert threshold(np.arange(199.0), 0.01, of=2).kept
    assert not threshold(np.arange(198.0), 0.01, of=2).kept
    assert threshold(np.arange(9.0), 0.01, of=2).least == pytest.approx(0.2)
    assert threshold(np.arange(1.0), 0.01, of=2).least == 1


def test_too_few_strangers_promise_nothing():
    told = threshold(np.array([0.1, 0.4, 0.2]), 0.01)
    assert not told.kept
    assert told.score > 0.4 and told.accepted == 0
    assert told.least == 0.25
    assert threshold(np.arange(99.0), 0.01).kept
    assert not threshold(np.arange(98.0), 0.01).kept
    with pytest.raises(ValueError, match="strangers"):
        threshold(np.zeros(0), 0.01)


def test_the_equal_error_rate_by_hand():
    # at 0.5 one of four known is refused, and one of four strangers accepted
    assert equal_error_rate(np.array([0.4, 0.6, 0.7, 0.9]), np.array([0.1, 0.2, 0.3, 0.5]))[0] == 0.25
    assert equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2]))[0] == 0
    assert equal_error_rate(np.array([0.1, 0.2]), np.array([0.8, 0.9]))[0] == 1
    with pytest.raises(ValueError, match="strangers"):
        equal_error_rate(np.array([1.0]), np.zeros(0))


def test_the_equal_error_rate_agrees_with_scikit_learns_curve():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    known, strangers = random.normal(1, 1, 700), random.normal(-1, 1, 500)
    truth = np.concatenate([np.ones(700), np.zeros(500)])
    accepted, kept, _ = metrics.roc_curve(truth, np.concatenate([known, strangers]), drop_intermediate=False)
    refused = 1 - kept
    after = int(np.argmax(accepted >= refused))
    low, high = sorted((max(accepted[after - 1], refused[after]), max(accepted[after], refused[after - 1])))
    assert low - 1e-9 <= equal_error_rate(known, strangers)[0] <= high + 1e-9
    assert equal_error_rate(known, strangers)[0] == pytest.approx(0.159, abs=0.03)  # Φ(-1)
