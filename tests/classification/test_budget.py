"""`--time`: what is trained, and for how long, follows from the time there is."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

import vistazo
from vistazo.classification import budget, transferring
from vistazo.classification.classifier import views_of
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.models import models
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import decide
from vistazo.config import build
from vistazo.engine.device import Compute
from vistazo.engine.pacing import Pace
from vistazo.errors import ConfigError
from vistazo.pictures.augmentation import Augmenter
from vistazo.pictures.loading import Normaliser


@pytest.fixture
def steady(monkeypatch):
    """Trials of a machine that no other program slows down: seconds follow from the network's size alone."""

    def tried(decided, config, normaliser, batches):
        each = 1e-3
        if decided.model != transferring.MODEL:
            each = 2e-11 * budget._operations(decided.model, decided.arguments)
        compute = Compute("cpu", "fp32", "contiguous", 1)
        return budget._Tried(compute, 0.002 + 3 * each * decided.batch, each, 2 * each)

    monkeypatch.setattr(budget, "_try", tried)


def source(pictures, named=False, channels=1):
    """So many pictures of noise to train on, 16 x 16, and 200 each to validate and to test."""
    parts = {"train": pictures, "validation": 200, "test": 200}
    pixels = np.random.default_rng(0).integers(0, 256, (pictures, 16, 16, channels), np.uint8)
    return SimpleNamespace(
        given=Given(pictures, 16, 16, channels),
        named=named,
        several=False,
        index=SimpleNamespace(
            classes=("cat", "dog", "horse"), split=np.array([]), counts=lambda among: np.array([1, 1, 1])
        ),
        rows=lambda part: np.arange(parts[part]),
        part=lambda part: pixels,
        labels=lambda part: np.zeros(parts[part], np.int64),
    )


def planned(limit, pictures=2000, named=False, channels=1, runs=1, **settings):
    """The plan for that many seconds, none of which has passed. named: whether the recipe was asked for."""
    config = build(
        ClassificationConfig, {"recipe": "balanced", "threads": 1, "time": f"{limit}s", **settings}
    )
    data = source(pictures, named, channels)
    decided = decide(config, data.given, data.index.classes)
    normaliser = Normaliser.unit(channels)
    return budget.fit_to_time(limit, lambda: 0.0, config, data, decided, normaliser, runs=runs)[0]


def able(decided):
    return sum(decided.arguments["filters"]) + 1000 * bool(decided.arguments.get("residual"))


def test_more_time_gives_an_abler_network_and_never_a_shorter_training_of_the_same(steady):
    plans = [planned(limit) for limit in (60, 600, 60_000)]
    assert able(plans[0]) <= able(plans[1]) <= able(plans[2])
    assert able(plans[2]) > 1000
    assert all(one.steps <= 200 * (2000 // one.batch) for one in plans)
    assert all(0 < one.seconds <= limit for one, limit in zip(plans, (60, 600, 60_000), strict=True))


def test_the_network_asked_for_is_the_network_trained(steady):
    assert planned(4000, filters="8,16").arguments["filters"] == [8, 16]
    assert planned(60, model="mnist_cnn").model == "mnist_cnn"


def test_a_recipe_that_is_named_keeps_its_network_and_only_its_length_is_chosen(steady):
    long, short = (planned(limit, named=True, recipe="quick") for limit in (60_000, 60))
    assert long.arguments == short.arguments
    assert long.arguments["filters"] == [32, 64, 64]
    assert long.steps >= short.steps > 0
    assert planned(60, named=True, recipe="best").arguments["residual"]


def test_too_short_a_time_is_refused_with_one_that_would_do(steady):
    with pytest.raises(ConfigError, match=r"--time 1s is too short: .* Give --time (\d+)s") as refused:
        planned(1)
    named = int(str(refused.value).rsplit("--time ", 1)[1].rstrip("s."))
    assert planned(named).steps >= 1


def test_what_a_step_takes_holds_the_drawing_and_changing_of_its_batch(monkeypatch):
    whole = Augmenter.__call__

    def slow(augmenter, *more):
        time.sleep(0.05)
        return whole(augmenter, *more)

    monkeypatch.setattr(Augmenter, "__call__", slow)
    config = {"filters": "8,16", "model": "airbench", "precision": "fp32", "layout": "contiguous"}
    seen = planned(600, augment="rotate=15", **config)
    assert seen.steps <= 600 / 0.05


@pytest.mark.parametrize("recipe", ["transfer", "balanced"])
@pytest.mark.parametrize("limit", [30, 120, 600])
@pytest.mark.parametrize("speed", [0.8, 1.0, 1.4])
def test_all_that_a_run_does_fits_the_time(steady, recipe, limit, speed):
    """The clock of a whole run: what comes before training, its steps, each epoch's validation, and the answers."""
    chosen = planned(limit, pictures=1200, channels=3, recipe=recipe)
    tried = budget._try(chosen, None, None, None)
    data = source(1200, channels=3)
    clock = budget._warming(build(ClassificationConfig, {"recipe": recipe}), chosen, data, tried)
    assert (clock > 0) == (recipe == "transfer")
    shifted = models[chosen.model].shifted
    views = len(views_of(several=chosen.views, flip=chosen.flip, shifted=shifted))
    pace, done, steps_of_epoch = Pace(chosen.steps, chosen.seconds, chosen.most), 0, 1200 // chosen.batch
    while done < pace.planned:
        done += 1
        ends = done % steps_of_epoch == 0
        pace.passed(done, speed * (tried.step + ends * 200 * tried.watching))
    clock += pace.spent + budget._measuring(data, tried, views)
    clock += budget.REPORT + budget.SHARE_OF_REPORT * limit
    assert clock <= limit
    assert clock >= 0.7 * limit or done == chosen.most


def test_a_run_with_a_time_freezes_its_plan_and_ends_by_it(verb, wardrobe, in_tmp, monkeypatch):
    monkeypatch.setattr(budget, "MOST_EPOCHS", 9)
    said = verb("train", wardrobe, "--time=60s", "--filters=8,16", "--threads=1", "--out=r", "--json")
    assert said.code == 0, said.err
    decided = json.loads((in_tmp / "r" / "config.json").read_text())["decided"]
    # So few pictures are not seen more often than pays, however much time is left.
    assert 1 <= decided["epochs"] <= 9
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
