"""What is settled on the validation part when training is over."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import vistazo
from vistazo import bundle
from vistazo.classification.evaluating import settling
from vistazo.engine.objectives import objectives


@pytest.fixture
def separated(write_idx, in_tmp):
    """600 pictures of two classes that nobody could mistake, 200 of them for validation."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    pictures = (rng.integers(0, 60, (600, 12, 12)) + 150 * labels[:, None, None]).astype(np.uint8)
    folder = write_idx(in_tmp / "s", "train", pictures[:400], labels[:400])
    return write_idx(folder, "validation", pictures[400:], labels[400:])


def test_the_temperature_is_fitted_and_told(trained):
    told = json.loads((trained / "metrics.json").read_text())
    temperature = told["temperature"]
    kept = bundle.load(trained / "model.vistazo").facts
    assert kept.get("temperature", 1.0) == temperature["value"]
    if temperature["value"] != 1:
        assert temperature["after"] < temperature["before"]
        assert told["metrics"]["validation"]["loss"] == pytest.approx(temperature["after"], abs=1e-4)
        assert told["metrics"]["validation"]["loss_uncalibrated"] == pytest.approx(
            temperature["before"], abs=1e-4
        )
    page = (trained / "report.html").read_text()
    assert "Are the probabilities true?" in page and 'href="#cell-' in page


def test_a_threshold_is_chosen_for_a_stated_error(verb, separated, tiny, in_tmp):
    said = verb("train", separated, *tiny, "--epochs=3", "--dont-know=5%", "--out", "run")
    assert said.code == 0
    told = json.loads((in_tmp / "run" / "metrics.json").read_text())["unknowing"]
    assert told["stated"] == 0.05
    model = vistazo.load("run")
    if told["threshold"] is None:
        assert model.unknowing is None and "no threshold keeps to 5.0%" in said.err
    else:
        assert model.unknowing.threshold == told["threshold"]
        assert told["validation"]["error"] <= 0.05 and "says that it does not know" in said.err


def test_what_cannot_be_shown_is_said_before_training(verb, wardrobe, tiny, in_tmp):
    said = verb("train", wardrobe, *tiny, "--dont-know=1%", "--out", "run")
    assert said.code == 2 and "needs" in said.err and "pictures in the validation part" in said.err
    assert not (in_tmp / "run" / "history.jsonl").exists()
    said = verb("train", wardrobe, *tiny, "--no-se=lots", "--out", "other")
    assert said.code == 2 and "--dont-know does not understand 'lots'" in said.err
    assert not (in_tmp / "other").exists()


def test_a_loss_of_ones_own_without_logits_has_no_temperature_and_loses_no_model(trained, clothes):
    class Plain:
        def __init__(self, *, smoothing):
            pass

        def answer(self, scores):
            return scores.softmax(1)

    objectives.register("plain_of_a_test")(Plain)
    try:
        model = replace(vistazo.load(trained), objective="plain_of_a_test", temperature=1.0)
        scores = model.view_scores(clothes[0][:50, :, :, None].copy())
        data = SimpleNamespace(labels=lambda part: clothes[1][:50].astype(np.int64))
        settled = settling.settle(model, data, scores, None)[1]
    finally:
        objectives._entries.pop("plain_of_a_test")
    assert settled.temperature.value == 1 and "no logits" in settled.temperature.reason
