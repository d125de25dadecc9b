"""From which confidence on an answer counts as known."""

import numpy as np
import pytest
from scipy import stats

from vistazo.classification.evaluating import unknowing
from vistazo.classification.evaluating.stating import parse
from vistazo.errors import ConfigError


def answers(n, seed, slope=0.9):
    """Confidences, and whether they were right: as often as they say."""
    rng = np.random.default_rng(seed)
    confidence = 1 - slope * rng.random(n) ** 2
    return confidence, rng.random(n) < confidence


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("5 %", 0.05), ("0.05", 0.05), ("0,05", 0.05), ("2,5%", 0.025)]
)
def test_a_share_may_be_written_in_several_ways(text, share):
    assert parse(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "five", "0", "0%", "100%", "1", "-5%", "5%%", "nan", "1e-2"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ConfigError, match="--dont-know does not understand"):
        parse(text)


def test_the_promise_holds_on_the_pictures_it_was_made_by():
    confidence, correct = answers(3000, 0)
    threshold = unknowing.choose(confidence, correct, 0.05)
    told = unknowing.selective(confidence, correct, threshold)
    assert 0 < threshold < 1 and told["answered"] > 300
    # the exact upper end at 95 % lies below what was stated, even if only one threshold had been tried
    assert stats.beta.ppf(0.95, told["wrong"] + 1, told["answered"] - told["wrong"]) <= 0.05


def test_the_promise_holds_for_new_pictures_nearly_always():
    broken = 0
    later, truth = answers(200_000, 999)
    for seed in range(60):
        threshold = unknowing.choose(*answers(1500, seed), 0.08)
        broken += threshold is not None and unknowing.selective(later, truth, threshold)["error"] > 0.08
    assert broken <= 3  # of 60; 5 % is what the doubt allows


def test_a_model_that_is_good_enough_always_answers():
    confidence = np.linspace(0.2, 1, 500)
    assert unknowing.choose(confidence, np.ones(500, bool), 0.05) == 0.0


def test_a_model_that_guesses_gets_no_threshold():
    rng = np.random.default_rng(0)
    assert unknowing.choose(rng.random(2000), rng.random(2000) < 0.5, 0.05) is None


def test_no_promise_is_made_on_too_few_pictures():
    needed = unknowing.fewest(0.05)
    assert 80 < needed < 140
    sure = np.linspace(0.5, 1, needed)
    assert unknowing.choose(sure, np.ones(needed, bool), 0.05) == 0.0
    few = needed // 2
    assert unknowing.choose(sure[:few], np.ones(few, bool), 0.05) is None


def test_pictures_of_one_confidence_are_answered_together():
    confidence = np.r_[np.full(400, 0.9), np.full(400, 0.4)]
    correct = np.r_[np.ones(400, bool), np.arange(400) % 2 == 0]
    assert unknowing.choose(confidence, correct, 0.05) == pytest.approx(0.65)  # halfway


def test_answers_are_counted():
    told = unknowing.selective(np.array([0.9, 0.8, 0.3]), np.array([True, False, True]), 0.5)
    assert (told["answered"], told["wrong"], told["error"], told["coverage"]) == (
        2,
        1,
        0.5,
        pytest.approx(2 / 3),
    )
    assert unknowing.selective(np.array([0.1]), np.array([True]), 0.5)["error"] is None


def test_between_neighbouring_numbers_the_threshold_lets_the_lower_one_out():
    sure, next_to_it = np.nextafter(1.0, 0), np.nextafter(np.nextafter(1.0, 0), 0)
    for high, low in ((1.0, sure), (sure, next_to_it)):
        confidence = np.r_[np.full(300, high), np.full(100, low)]
        threshold = unknowing.choose(confidence, confidence == high, 0.05)
        assert unknowing.selective(confidence, confidence == high, threshold)["wrong"] == 0
