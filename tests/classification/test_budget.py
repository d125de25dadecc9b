"""`--time`: what is trained, and for how long, follows from the time there is."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import vistazo
from vistazo.classification import budget
from vistazo.classification.budget import fit_to_time
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import decide
from vistazo.config import build
from vistazo.errors import ConfigError
from vistazo.pictures.loading import Normaliser
from vistazo.platform import seconds_since_start


def planned(limit, pictures=2000, named=False, **settings):
    """The plan for that many seconds from now, for 16 x 16 pictures. named: whether the recipe was asked for."""
    config = build(ClassificationConfig, {"recipe": "balanced", "threads": 1, **settings})
    given = Given(pictures, 16, 16, 1)
    parts = {"validation": np.arange(200), "test": np.arange(200)}
    data = SimpleNamespace(given=given, named=named, rows=lambda part: parts[part])
    decided = decide(config, given, ("a", "b", "c"))
    return fit_to_time(
        seconds_since_start() + limit, seconds_since_start, config, data, decided, Normaliser.unit(1)
    )[0]


def able(decided):
    return sum(decided.arguments["filters"]) + 1000 * bool(decided.arguments.get("residual"))


def test_more_time_gives_an_abler_network_and_never_a_shorter_training_of_the_same():
    plans = [planned(limit) for limit in (60, 600, 60_000)]
    assert able(plans[0]) <= able(plans[1]) <= able(plans[2])
    assert able(plans[2]) > 1000
    assert all(one.steps <= 200 * (2000 // one.batch) for one in plans)
    assert all(0 < one.seconds <= limit for one, limit in zip(plans, (60, 600, 60_000), strict=True))


def test_the_network_asked_for_is_the_network_trained():
    assert planned(4000, filters="8,16").arguments["filters"] == [8, 16]
    assert planned(60, model="mnist_cnn").model == "mnist_cnn"


def test_a_recipe_that_is_named_keeps_its_network_and_only_its_length_is_chosen():
    long, short = (planned(limit, named=True, recipe="quick") for limit in (60_000, 60))
    assert long.arguments == short.arguments
    assert long.arguments["filters"] == [32, 64, 64]
    assert long.steps >= short.steps > 0
    assert planned(60, named=True, recipe="best").arguments["residual"]


def test_too_short_a_time_is_refused_with_one_that_would_do():
    with pytest.raises(ConfigError, match=r"--time 1s is too short: .* Give --time \d+s"):
        planned(1, time="1s")


def test_a_run_with_a_time_freezes_its_plan_and_ends_by_it(verb, wardrobe, in_tmp):
    said = verb("train", wardrobe, "--time=60s", "--filters=8,16", "--threads=1", "--out=r", "--json")
    assert said.code == 0, said.err
    decided = json.loads((in_tmp / "r" / "config.json").read_text())["decided"]
    # So few pictures are not planned to be seen more than 200 times, however much time is left.
    assert 1 <= decided["epochs"] <= 200
    assert said.json["epochs"] >= 1
    assert decided["steps"] > 0
    assert 0 < decided["seconds"] <= 60
    assert verb("resume", "r", "--epochs=500").code == 2
    assert vistazo.resume("r", quiet=True).epochs == said.json["epochs"]


def test_a_training_that_ends_before_its_time_says_why(verb, wardrobe, in_tmp, monkeypatch):
    monkeypatch.setattr(budget, "MOST_EPOCHS", 3)
    said = verb("train", wardrobe, "--time=60s", "--filters=8,16", "--threads=1", "--out=r", "--json")
    assert said.code == 0, said.err
    sentence = "3 epochs done, the most that --time trains for"
    assert said.json["epochs"] == 3
    assert f"{sentence}; the weights of epoch 3 were kept" in said.err
    assert json.loads((in_tmp / "r/metrics.json").read_text())["ended"] == sentence
    assert f"3 ({sentence}; kept: epoch 3)" in (in_tmp / "r/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--time=5m", "--epochs=3"], "leave out --epochs, or --time"),
        (["--time=soon"], "--time does not understand 'soon'"),
        (["--time=0s"], "--time must be more than nothing"),
        (["--tiempo=1s"], "--time 1s is too short"),
    ],
)
def test_a_time_that_means_nothing_is_refused(verb, wardrobe, words, sentence):
    said = verb("train", wardrobe, "--out=r", *words)
    assert said.code == 2
    assert sentence in said.err
