"""The recipes that repeat a tutorial: the published settings to the digit, and whole runs of them."""

import json
import math
import os
import signal
import sys
import time

import numpy as np
import pytest
import torch

import vistazo
from vistazo import bundle
from vistazo.classification.classifier import VIEWS, Classifier
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.models import create, models
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import decide, picture_size
from vistazo.classification.training import Program
from vistazo.classification.tutorials import TUTORIALS
from vistazo.config import build
from vistazo.engine.batches import Batch
from vistazo.engine.device import Compute
from vistazo.engine.optimizers import build_optimizers, schedule
from vistazo.pictures.loading import Normaliser

CLASSES = tuple("abcdefghij")
RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")
# A run as small as it can be; without what would be trained beside it.
SMALL = ("--precision=fp32", "--layout=contiguous", "--threads=1", "--beside=off")


def decided(recipe, *, pictures=48_000, channels=1, **settings):
    config = build(ClassificationConfig, {"recipe": recipe, **settings})
    height, width = picture_size(config, height=100, width=120)
    return decide(config, Given(pictures, height, width, channels), CLASSES)


# ---------------------------------------------------------------- as published
@pytest.mark.parametrize(
    ("recipe", "model", "size", "epochs", "batch", "parameters"),
    [
        ("tutorial-mnist", "mnist_cnn", (28, 28), 10, 32, 542_230),
        ("tutorial-fashion", "fashion_cnn", (28, 28), 15, 20, 11_252),
        ("tutorial-cifar", "cifar_cnn", (32, 32), 25, 64, 393_962),
        ("tutorial-sports", "sports_cnn", (21, 28), 6, 64, 158_954),
        ("tutorial-quickdraw", "quickdraw_cnn", (255, 255), 100, 128, 1_516_522),
    ],
)
def test_network_size_length_and_batch_are_the_tutorials(recipe, model, size, epochs, batch, parameters):
    channels = 3 if recipe in ("tutorial-cifar", "tutorial-sports") else 1
    choice = decided(recipe, channels=channels)
    assert (choice.model, choice.epochs, choice.batch) == (model, epochs, batch)
    assert (choice.arguments["height"], choice.arguments["width"]) == size
    network = create(choice.model, choice.arguments)
    from vistazo.engine.parameters import count_parameters

    assert count_parameters(network).total == parameters


@pytest.mark.parametrize("recipe", TUTORIALS)
def test_nothing_is_done_that_no_tutorial_did(recipe):
    choice = decided(recipe, channels=3)
    assert (choice.smoothing, choice.reach, choice.flip, choice.views) == (0.0, 0, False, False)
    assert (choice.average, choice.scaling) == ("none", "unit")


@pytest.mark.parametrize(
    ("recipe", "method", "rate", "rates"),
    [
        ("tutorial-mnist", torch.optim.Adam, 1e-3, "constant"),
        ("tutorial-fashion", vistazo.engine.optimizers.SGD, 0.04, "constant"),
        ("tutorial-cifar", torch.optim.Adam, 1e-3, "constant"),
        ("tutorial-sports", torch.optim.Adagrad, 1e-3, "inverse_time"),
        ("tutorial-quickdraw", torch.optim.Adam, 1e-3, "constant"),
    ],
)
def test_optimiser_and_rate_are_the_tutorials(recipe, method, rate, rates):
    choice = decided(recipe, size="28")
    network = create(choice.model, choice.arguments)
    (optimizer,) = build_optimizers(models[choice.model].groups(network, choice.batch))
    assert isinstance(optimizer, method)
    (group,) = optimizer.param_groups
    assert (group["base_lr"], group["decoupled_decay"], choice.schedule) == (rate, 0.0, rates)
    if method is torch.optim.Adam:
        assert group["betas"] == (0.9, 0.999)
    if method is torch.optim.Adagrad:
        assert (group["eps"], group["initial_accumulator_value"]) == (1e-7, 0.1)
        assert rate * schedule(rates)(700, 1000) == pytest.approx(1e-3 / (1 + 1e-3 / 100 * 700))
    if recipe == "tutorial-fashion":
        assert group["momentum"] == 0.0


def test_the_stopping_rules_are_the_tutorials():
    told = {
        name: (one.keep, one.monitor, one.patience, one.patience_on, one.stop_at)
        for name in TUTORIALS
        for one in [decided(name)]
    }
    assert told == {
        "tutorial-mnist": ("last", "accuracy", 0, None, None),
        "tutorial-fashion": ("best", "loss", 0, None, None),
        "tutorial-cifar": ("last", "accuracy", 0, None, None),
        "tutorial-sports": ("last", "accuracy", 0, None, None),
        "tutorial-quickdraw": ("best", "accuracy", 10, "loss", "accuracy=0.99"),
    }


def test_the_parts_are_the_tutorials_where_the_source_names_none():
    told = {name: (one.validation, one.test) for name, one in TUTORIALS.items()}
    assert told["tutorial-fashion"][0] == 12_000 / 60_000
    assert told["tutorial-sports"] == (pytest.approx(0.8 * 0.2), 0.2)
    assert told["tutorial-quickdraw"] == (pytest.approx(0.1 * 0.2), pytest.approx(0.1 * 0.8))


def test_claims_are_what_the_tutorials_claim():
    assert {name: one.claim.accuracy for name, one in TUTORIALS.items()} == {
        "tutorial-mnist": 0.9866,
        "tutorial-fashion": None,
        "tutorial-cifar": 0.8201,
        "tutorial-sports": 0.8409,
        "tutorial-quickdraw": None,
    }


def test_only_the_fashion_network_squashes_its_scores():
    assert {name: decided(name).objective for name in TUTORIALS} == {
        **dict.fromkeys(TUTORIALS, "cross_entropy"),
        "tutorial-fashion": "squashed_cross_entropy",
    }


def test_what_a_user_sets_wins_over_the_tutorial():
    choice = decided(
        "tutorial-quickdraw", size="28", epochs=3, batch=16, filters="8", keep="last", patience=0,
        stop_at="loss=0.1", views="on", flip="on", schedule="cosine", average="lookahead",
    )  # fmt: skip
    assert (choice.arguments["height"], choice.arguments["filters"]) == (28, [8])
    assert (choice.epochs, choice.batch, choice.keep, choice.patience) == (3, 16, "last", 0)
    assert (choice.stop_at, choice.views, choice.flip) == ("loss=0.1", True, True)
    assert (choice.schedule, choice.average) == ("cosine", "lookahead")
    choice = decided("tutorial-quickdraw", size="28", monitor="macro_f1", patience=3)
    assert (choice.monitor, choice.patience, choice.patience_on) == ("macro_f1", 3, "macro_f1")
    assert decided("tutorial-fashion", model="airbench").objective == "cross_entropy"
    assert decided("quick", model="fashion_cnn", size="28").objective == "squashed_cross_entropy"


# ---------------------------------------------------------------- ten steps
def program_of(recipe, *, batch, channels=1, **settings):
    choice = decided(recipe, channels=channels, batch=batch, **settings)
    torch.manual_seed(0)
    network = create(choice.model, choice.arguments)
    config = build(ClassificationConfig, {"recipe": recipe})
    compute = Compute("cpu", "fp32", "channels_last", torch.get_num_threads())
    program = Program(compute.place(network), choice, config, Normaliser.unit(channels), compute)
    generator = torch.Generator().manual_seed(1)
    shape = (batch, channels, choice.arguments["height"], choice.arguments["width"])
    pictures = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.arange(batch) % 10
    return program, Batch({"pictures": pictures}, {"label": labels}, torch.arange(batch))


def ten_steps(program, batch):
    """The loss of one batch before and after ten steps on it, the same units silenced both times."""
    (optimizer,) = program.optimizers[0]

    def loss():
        torch.manual_seed(5)
        return program.step(batch, 0)

    program.module.train()
    with torch.no_grad():
        before = loss().item()
    for _ in range(10):
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()
    with torch.no_grad():
        return before, loss().item()


@pytest.mark.parametrize(
    ("recipe", "channels"),
    [("tutorial-mnist", 1), ("tutorial-fashion", 1), ("tutorial-cifar", 3), ("tutorial-sports", 3)],
)
def test_ten_steps_bring_the_loss_down(recipe, channels):
    before, after = ten_steps(*program_of(recipe, batch=20, channels=channels))
    assert after < before
    if recipe != "tutorial-fashion":  # whose scores are squashed: it learns slowly, and that is its lesson
        assert after < before - 0.03


@pytest.mark.slow
def test_ten_steps_at_255_pixels_bring_the_loss_down():
    before, after = ten_steps(*program_of("tutorial-quickdraw", batch=2))
    assert after < before - 0.1


def test_ten_steps_of_the_same_network_on_small_drawings_bring_the_loss_down():
    before, after = ten_steps(*program_of("tutorial-quickdraw", batch=20, size="28"))
    assert after < before - 0.1


def test_the_penalty_is_part_of_the_loss_that_is_learnt_from():
    program, batch = program_of("tutorial-quickdraw", batch=4, size="28")
    program.module.eval()
    with torch.no_grad():
        whole = program.step(batch, 0)
        program._penalty = None
        assert (whole - program.step(batch, 0)).item() == pytest.approx(
            program.module.penalty().item(), rel=1e-3
        )


# ---------------------------------------------------------------- refused before training
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--recipe=tutorial-fashion", "--size=12"],
         "The recipe tutorial-fashion cannot train on this data: fashion_cnn needs pictures of at least 16 pixels a "
         "side, not 12 x 12. Give another --size, --model or --recipe."),
        (["--recipe=tutorial-quickdraw", "--model=airbench"],
         "The recipe tutorial-quickdraw cannot train on this data: airbench takes pictures of 16 to 128"),
        (["--recipe=tutorial-cifar", "--size=600"], "--size must lie between 4 and 512 pixels a side."),
        (["--recipe=tutorial-cifar", "--filters=8"], "The model cifar_cnn has no filters to choose"),
        (["--recipe=tutorial-quickdraw", "--size=28", "--filters=8,9"],
         "--filters 8,9 does not suit this data: quickdraw_cnn takes one number of filters, or three."),
        (["--recipe=tutorial-cifra"], "There is no recipe 'tutorial-cifra'. Did you mean 'tutorial-cifar'?"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence_before_training(verb, wardrobe, in_tmp, words, says):
    said = verb("train", wardrobe, *words, "--out=r", "--quiet")
    assert said.code == 2
    assert says in said.err
    assert not (in_tmp / "r" / "checkpoints").exists()


# ---------------------------------------------------------------- whole runs
def test_a_model_of_squashed_scores_answers_from_its_file_as_it_did_after_training(verb, wardrobe, clothes):
    said = verb("train", wardrobe, "--recipe=tutorial-fashion", "--epochs=2", *SMALL, "--out=r", "--json")
    assert said.code == 0, said.err
    assert said.json["parameters"] == 11_252
    contents = bundle.load(vistazo.resume("r", quiet=True).model)
    assert contents.facts["objective"] == "squashed_cross_entropy"
    assert contents.facts["views"] == [[0, 0, False]]
    assert (contents.preprocessing["mean"], contents.preprocessing["std"]) == ([0.0], [255.0])
    model = vistazo.load("r")
    pixels = clothes[0][300:340, :, :, None].copy()
    found = model.probabilities(pixels)
    scores = model.view_scores(pixels)[0].astype(np.float64)
    squashed = np.exp(1 / (1 + np.exp(-scores)))
    np.testing.assert_allclose(found, squashed / squashed.sum(1, keepdims=True), rtol=1e-5)
    assert found.max() <= math.e / (math.e + 9) + 1e-6
    told = verb("evaluate", "r", wardrobe, "--json").json["metrics"]
    kept = json.loads((vistazo.resume("r", quiet=True).run / "metrics.json").read_text())["metrics"]["test"]
    assert told["accuracy"] == kept["accuracy"]
    assert told["loss"] == pytest.approx(kept["loss"], abs=1e-6)


def test_training_goes_on_from_a_model_with_its_own_objective(verb, wardrobe):
    assert verb("train", wardrobe, "--recipe=tutorial-fashion", "--epochs=1", *SMALL, "--out=r").code == 0
    said = verb("train", wardrobe, "--from=r", "--epochs=1", *SMALL, "--out=s", "--quiet")
    assert said.code == 0, said.err
    assert vistazo.load("s").objective == "squashed_cross_entropy"


def test_a_model_file_with_an_objective_that_it_cannot_have_is_damaged(verb, wardrobe, in_tmp):
    from dataclasses import replace

    from vistazo.errors import BundleDamaged

    assert verb("train", wardrobe, "--recipe=tutorial-fashion", "--epochs=1", *SMALL, "--out=r").code == 0
    contents = bundle.load(in_tmp / "r" / "model.vistazo")
    for name in ("pinball", "focal", "nothing"):
        bundle.save(replace(contents, facts={**contents.facts, "objective": name}), in_tmp / "forged.vistazo")
        with pytest.raises(BundleDamaged, match="does not hold together"):
            vistazo.load("forged.vistazo")


def test_the_sports_tutorial_trains_on_its_strange_size(verb, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", "blue", each=20)
    said = verb("train", source, "--recipe=tutorial-sports", *SMALL, "--out=r", "--json")
    assert said.code == 0, said.err
    assert "60 of 21 x 28 pixels" in said.err
    assert "Parts: 64/16/20 by class" in said.err
    decided = json.loads((in_tmp / "r" / "config.json").read_text())["decided"]
    assert (decided["schedule"], decided["epochs"]) == ("inverse_time", 6)


def test_large_pictures_are_measured_a_few_at_a_time():
    seen = []
    arguments = {"channels": 1, "height": 256, "width": 256, "classes": 10}
    network = create("fashion_cnn", arguments)
    network.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    model = Classifier(
        network=network,
        model="fashion_cnn",
        arguments=arguments,
        objective="squashed_cross_entropy",
        smoothing=0.0,
        classes=CLASSES,
        normaliser=Normaliser.unit(1),
        size=(256, 256, 1),
        views=VIEWS[:1],
        compute=Compute("cpu", "fp32", "contiguous", 1),
    )
    assert model.probabilities(np.zeros((40, 256, 256, 1), np.uint8)).shape == (40, 10)
    assert seen == [32, 8]


# ---------------------------------------------------------------- stopped and killed
INTERRUPTED = [
    pytest.param("tutorial-mnist", ("--batch=60",), id="Adam"),
    pytest.param("tutorial-sports", ("--batch=20",), id="Adagrad"),
    pytest.param("tutorial-fashion", (), id="plain SGD"),
    pytest.param(
        "tutorial-quickdraw", ("--size=16", "--filters=4", "--batch=60", "--stop-at=loss=0"), id="penalty"
    ),
]


def assert_equal(run, other):
    for name in RESULTS:
        assert (run / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize(("recipe", "words"), INTERRUPTED)
def test_a_tutorials_run_that_was_stopped_ends_at_the_same_bits(
    verb, wardrobe, in_tmp, monkeypatch, recipe, words
):
    def train(out):
        return verb(
            "train", wardrobe, "--recipe", recipe, "--epochs=3", *words, *SMALL, "--out", out, "--quiet"
        )

    assert train("whole").code == 0
    step, seen = Program.step, []

    def signalled(self, batch, k):
        seen.append(1)
        if len(seen) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, k)

    monkeypatch.setattr(Program, "step", signalled)
    assert train("run").code == 3
    assert train("run").code == 0
    assert len(seen) < 2 * 45
    assert_equal(in_tmp / "run", in_tmp / "whole")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
@pytest.mark.parametrize(("recipe", "words"), INTERRUPTED)
def test_a_tutorials_run_that_was_killed_ends_at_the_same_bits(launch, verb, wardrobe, in_tmp, recipe, words):
    line = [
        "train",
        wardrobe,
        "--recipe",
        recipe,
        "--epochs=30",
        "--checkpoint-seconds=0",
        *words,
        *SMALL,
        "--quiet",
    ]
    assert verb(*line, "--out=whole").code == 0
    process = launch(*line, "--out=run")
    end = time.monotonic() + 60
    while not list((in_tmp / "run" / "checkpoints").glob("step-*")) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert verb("resume", "run", "--quiet").code == 0
    assert_equal(in_tmp / "run", in_tmp / "whole")
