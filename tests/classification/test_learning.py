"""Methods, rates, penalties and dropout of a classifier: what settings make of them, and which pairs are refused."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from vistazo.classification import learning
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.models import create, models
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import Decided, decide
from vistazo.classification.training import Program
from vistazo.config import build, options
from vistazo.engine.batches import Batch
from vistazo.engine.device import Compute
from vistazo.engine.optimizers import methods, schedules
from vistazo.engine.regularizers import dropouts
from vistazo.errors import ConfigError
from vistazo.pictures.loading import Normaliser

GREY = Given(1000, 28, 28, 1)


def decided(**settings):
    settings = {"recipe": "tutorial-mnist", **settings}
    return decide(build(ClassificationConfig, settings), GREY, ("a", "b", "c"))


def groups(rate=1.0, **settings):
    one = decided(**settings)
    return learning.groups_of(one, create(one.model, one.arguments), rate=rate)


# ---------------------------------------------------------------- the settings
def test_settings_name_what_the_registries_have():
    found = {option.name: option.choices for option in options(ClassificationConfig)}
    assert set(found["optimizer"]) == set(methods)
    assert set(found["schedule"]) == set(schedules)


@pytest.mark.parametrize(
    ("given", "kept"), [("1e-3", "0.001"), (0.001, "0.001"), ("auto", "auto"), (2, "2.0"), (None, None)]
)
def test_a_rate_is_written_in_one_way(given, kept):
    assert build(ClassificationConfig, {"learning_rate": given}).learning_rate == kept


@pytest.mark.parametrize("given", ["fast", "0", "-0.1", "nan", "inf", True, [0.1]])
def test_what_is_no_rate_is_refused(given):
    with pytest.raises(ConfigError, match="--learning-rate is a number above 0, as in 0.001, or auto; not"):
        build(ClassificationConfig, {"learning_rate": given})


def test_a_rate_is_set_or_multiplied():
    with pytest.raises(ConfigError, match="leave out one of them"):
        build(ClassificationConfig, {"learning_rate": "0.1", "rate": 2.0})


def test_what_was_decided_survives_json_and_old_runs_have_none_of_it():
    one = decided(
        optimizer="nadam", learning_rate="0.01", l1=1e-5, l2=1e-4, weight_decay=0.1, schedule="step"
    )
    assert Decided(**json.loads(json.dumps(dataclasses.asdict(one)))) == one
    new = ("learning_rate", "optimizer", "l1", "l2", "weight_decay", "dropout")
    old = {name: value for name, value in dataclasses.asdict(decided()).items() if name not in new}
    assert Decided(**old) == decided()


# ---------------------------------------------------------------- what they do
@pytest.mark.parametrize("name", ["tutorial-mnist", "tutorial-fashion", "quick"])
def test_without_settings_the_groups_are_the_networks_own(name):
    one = decided(recipe=name)
    network = create(one.model, one.arguments)
    assert learning.groups_of(one, network, rate=1.0) == models[one.model].groups(network, one.batch)


@pytest.mark.parametrize("method", list(methods))
@pytest.mark.parametrize("recipe", ["tutorial-mnist", "quick"])
def test_all_learns_by_the_method_that_is_asked_for_at_its_usual_rate(recipe, method):
    found = groups(recipe=recipe, optimizer=method)
    assert (found[0].method, found[0].rate) == (method, methods[method].rate)
    assert {one.method for one in found} == ({"muon", "adam"} if method == "muon" else {method})


def test_a_rate_is_that_of_the_first_group():
    usual, found = groups(recipe="quick"), groups(recipe="quick", learning_rate="0.08")
    assert found[0].rate == 0.08
    shares = [one.rate / other.rate for one, other in zip(found, usual, strict=True)]
    assert shares == pytest.approx([0.5] * 3)
    assert groups(optimizer="sgd", learning_rate="0.3")[0].rate == 0.3
    assert groups(rate=2.0)[0].rate == 2e-3


def test_decay_is_of_weights_and_takes_the_place_of_the_methods_own():
    assert [one.decay for one in groups(optimizer="adamw")] == [0.01, 0.0]
    assert [one.decay for one in groups(optimizer="adamw", weight_decay=0.1)] == [0.1, 0.0]
    assert {one.decay for one in groups(optimizer="adamw", weight_decay=0.0)} == {0.0}


def test_penalties_are_added_and_l2_takes_the_place_of_the_networks_own():
    own = decided(recipe="tutorial-quickdraw")
    network = create(own.model, own.arguments)
    weights = [one for one in network.parameters() if one.ndim >= 2]
    squared = sum(float(one.detach().double().square().sum()) for one in weights)
    absolute = sum(float(one.detach().double().abs().sum()) for one in weights)
    already = network.penalty().item()
    assert learning.penalty_of(own)(network).item() == already

    def penalty(**settings):
        return learning.penalty_of(decided(recipe="tutorial-quickdraw", **settings))(network).item()

    assert penalty(l2=0.5) == pytest.approx(0.5 * squared, rel=1e-5)
    assert penalty(l1=0.5) == pytest.approx(0.5 * absolute + already, rel=1e-5)
    assert penalty(l1=0.5, l2=0.25) == pytest.approx(0.5 * absolute + 0.25 * squared, rel=1e-5)
    assert learning.penalty_of(decided(recipe="tutorial-quickdraw", l2=0.0)) is None
    assert learning.penalty_of(decided()) is None


@pytest.mark.parametrize("method", list(methods))
@pytest.mark.parametrize("recipe", ["tutorial-mnist", "quick"])
def test_both_networks_learn_by_every_method(clothes, recipe, method):
    """Sixteen steps on one batch: plain descent and Adagrad at their usual rates hardly move, but downwards."""
    pictures, labels = clothes
    one = decide(
        build(ClassificationConfig, {"recipe": recipe, "optimizer": method, "batch": 64}),
        GREY, tuple("abcdefghij"),
    )  # fmt: skip
    torch.manual_seed(0)
    network = create(one.model, one.arguments)
    config, compute = build(ClassificationConfig, {}), Compute("cpu", "fp32", "contiguous", 1)
    program = Program(network, one, config, Normaliser.of(pictures[..., None]), compute)
    inputs = torch.from_numpy(pictures[:64].copy())[:, None]
    batch = Batch(
        {"pictures": inputs}, {"label": torch.from_numpy(labels[:64].astype(np.int64))}, torch.arange(64)
    )
    losses = []
    for _ in range(16):
        for optimizer in program.optimizers[0]:
            optimizer.zero_grad()
        loss = program.step(batch, 0)
        loss.backward()
        losses.append(loss.item())
        for optimizer in program.optimizers[0]:
            optimizer.step()
    assert losses[-1] < losses[0]


# ---------------------------------------------------------------- impossible pairs
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dropout": 0.3}, "--dropout: the network mnist_cnn has no dropout layer"),
        ({"recipe": "quick", "dropout": 0.3}, "--dropout: the network airbench has no dropout layer"),
        ({"recipe": "transfer", "l1": 1e-4}, "--l1 would take from the pretrained network"),
        ({"recipe": "quick", "l1": 1e-4}, "--l1 has nothing to do in airbench"),
        ({"recipe": "quick", "l2": 1e-4}, "--l2 has nothing to do in airbench"),
        ({"recipe": "quick", "weight_decay": 0.1}, "--weight-decay has nothing to do in airbench"),
        (
            {"optimizer": "sgd", "learning_rate": "2", "weight_decay": 0.5},
            "--weight-decay 0.5 takes more than the whole of a weight at the rate 2:",
        ),
    ],
)
def test_an_impossible_pair_is_refused_before_and_after_the_pictures_are_read(settings, says):
    settings = {"recipe": "tutorial-mnist", **settings}
    with pytest.raises(ConfigError) as early:
        learning.require_early(build(ClassificationConfig, settings))
    assert str(early.value).startswith(says)
    if settings["recipe"] == "transfer":
        return
    with pytest.raises(ConfigError) as late:
        learning.require_possible(decided(**settings))
    assert str(late.value).startswith(says)


def test_muon_needs_hidden_matrices(monkeypatch):
    entry = models["mnist_cnn"]
    head = lambda network, batch: [  # noqa: E731
        dataclasses.replace(entry.groups(network, batch)[0], parameters=tuple(network.head.parameters()))
    ]
    monkeypatch.setitem(models._entries, "mnist_cnn", dataclasses.replace(entry, groups=head))
    with pytest.raises(
        ConfigError, match="--optimizer muon does not suit mnist_cnn: it has no matrix or filter"
    ):
        learning.require_possible(decided(optimizer="muon"))


@pytest.mark.parametrize(
    "settings",
    [
        {"recipe": "quick", "optimizer": "adamw", "weight_decay": 0.05, "l2": 1e-5},
        {"recipe": "tutorial-cifar", "dropout": 0.4, "l1": 1e-6, "l2": 1e-5},
        {"recipe": "transfer", "l2": 1e-5, "weight_decay": 0.01, "optimizer": "muon"},
        {"recipe": "auto", "l1": 1e-5},
    ],
)
def test_a_possible_pair_is_not(settings):
    learning.require_early(build(ClassificationConfig, settings))


@pytest.mark.parametrize("name", ["tutorial-cifar", "tutorial-sports", "tutorial-quickdraw"])
def test_dropout_is_set_in_every_layer_of_the_tutorials_networks(name):
    one = decided(recipe=name)
    network = create(one.model, one.arguments)
    assert (
        len(dropouts(network)) == {"tutorial-cifar": 6, "tutorial-sports": 2, "tutorial-quickdraw": 3}[name]
    )
    shares = [layer.p for layer in dropouts(network)]
    assert 0.2 in shares or 0.5 in shares
    assert torch.get_default_dtype() == torch.float32


# ---------------------------------------------------------------- whole runs
FAST = (
    "--recipe=tutorial-sports",
    "--epochs=2",
    "--beside=off",
    "--precision=fp32",
    "--layout=contiguous",
    "--threads=1",
)


@pytest.fixture
def train(verb, wardrobe):
    """`vistazo train` on 300 pictures, which has to succeed; gives the folder."""

    def run(out, *words):
        said = verb("train", wardrobe, *FAST, "--out", out, *words)
        assert said.code == 0, said.err
        return said

    return run


def read(folder, name="config.json"):
    return json.loads((folder / name).read_text())


ALL = ("--optimizer=nadam", "--schedule=plateau", "--l1=1e-5", "--l2=1e-4", "--weight-decay=0.01", "--dropout=0.1",
       "--learning-rate=0.003")  # fmt: skip


def test_a_run_with_all_of_it_is_frozen_and_reproduced_to_the_bit(train, verb, in_tmp):
    train("run", *ALL)
    kept = read(in_tmp / "run")["decided"]
    assert (kept["optimizer"], kept["schedule"], kept["learning_rate"]) == ("nadam", "plateau", 0.003)
    assert (kept["l1"], kept["l2"], kept["weight_decay"], kept["dropout"]) == (1e-5, 1e-4, 0.01, 0.1)
    again = verb("reproduce", "run", "--json", "--quiet")
    assert again.json["equal"] is True, again.json


def test_auto_tests_once_tells_it_and_freezes_it(train, verb, in_tmp):
    said = train("run", "--learning-rate=auto")
    assert "found by a range test of" in said.err
    kept = read(in_tmp / "run")
    found = kept["range_test"]
    assert kept["decided"]["learning_rate"] == found["suggested"]
    assert len(found["rates"]) == len(found["losses"]) > 10
    page = (in_tmp / "run/report.html").read_text()
    assert "Learning rate" in page
    assert "as a power of ten" in page
    again = verb("reproduce", "run", "--json", "--quiet")
    assert again.json["equal"] is True, again.json
    assert read(in_tmp / "run-reproduced")["range_test"] == found


def test_a_run_that_goes_on_does_not_test_again(train, verb, in_tmp, monkeypatch):
    from vistazo.classification import rate_testing

    train("run", "--learning-rate=auto")
    before = read(in_tmp / "run")["range_test"]
    monkeypatch.setattr(rate_testing.ranges, "range_test", lambda *_, **__: pytest.fail("tested again"))
    said = verb("resume", "run", "--epochs=3")
    assert said.code == 0, said.err
    assert read(in_tmp / "run")["range_test"] == before
    assert len((in_tmp / "run/history.jsonl").read_text().splitlines()) == 3


def test_a_run_at_the_rate_that_was_found_is_the_run_that_found_it(train, in_tmp):
    """The test leaves no trace in the training after it."""
    train("run", "--learning-rate=auto")
    rate = read(in_tmp / "run")["decided"]["learning_rate"]
    train("other", f"--learning-rate={rate!r}")
    assert (in_tmp / "run/history.jsonl").read_bytes() == (in_tmp / "other/history.jsonl").read_bytes()


def test_auto_keeps_to_a_time(verb, wardrobe, in_tmp, monkeypatch):
    from vistazo.classification import budget

    monkeypatch.setattr(budget, "MOST_EPOCHS", 4)
    words = ("--filters=8,16", "--precision=fp32", "--layout=contiguous", "--threads=1")
    said = verb("train", wardrobe, *words, "--time=40s", "--learning-rate=auto", "--out=run")
    assert said.code == 0, said.err
    kept = read(in_tmp / "run")
    assert kept["decided"]["learning_rate"] == kept["range_test"]["suggested"]
    assert kept["decided"]["seconds"] < 0.92 * 40


@pytest.mark.slow
def test_repeats_test_for_themselves_and_each_is_frozen(train, in_tmp):
    train("run", "--learning-rate=auto", "--repeats=2", "--epochs=1")
    found = [read(in_tmp / f"run/repeat-{at}")["range_test"]["suggested"] for at in (1, 2)]
    assert all(one > 0 for one in found)


def test_a_model_to_begin_from_learns_by_what_is_asked_for(train, verb, wardrobe, in_tmp):
    train("run")
    words = ("--epochs=1", "--threads=1", "--precision=fp32", "--layout=contiguous", "--size=21x28")
    said = verb(
        "train", wardrobe, *words, "--from=run", "--optimizer=momentum", "--dropout=0.2", "--out=next"
    )
    assert said.code == 0, said.err
    assert read(in_tmp / "next")["decided"]["optimizer"] == "momentum"


def test_an_impossible_pair_leaves_nothing_behind(verb, wardrobe, in_tmp):
    said = verb("train", wardrobe, "--recipe=tutorial-mnist", "--dropout=0.3", "--out=run")
    assert said.code == 2
    assert not (in_tmp / "run/index.parquet").exists()
    assert said.err.strip().splitlines()[-1].endswith("leave it out, or choose another --model.")


def test_a_plateau_without_validation_pictures_is_refused(verb, clothes, write_idx, in_tmp):
    pictures, labels = clothes
    picked = np.concatenate([np.flatnonzero(labels == at)[:2] for at in range(3)])
    source = write_idx(in_tmp / "few", "train", pictures[picked], labels[picked])
    said = verb("train", source, "--recipe=tutorial-mnist", "--schedule=plateau", "--beside=off", "--out=run")
    assert said.code == 2
    assert "--schedule plateau watches the validation part, and these pictures have none." in said.err


# ---------------------------------------------------------------- finding a rate
def test_finding_a_rate_compares_it_with_the_recipes_own(wardrobe, in_tmp):
    from io import StringIO

    from vistazo.classification import rate_finding
    from vistazo.engine import runs
    from vistazo.engine.progress import Progress

    values = dict(word.removeprefix("--").split("=") for word in FAST)
    config = build(ClassificationConfig, {**values, "epochs": 1, "threads": 1})
    asked = {"task": "classification", "source": str(wardrobe), "settings": {}}
    said = StringIO()
    with runs.create("found", name="rate", asked=asked, identity={}) as run:
        found = rate_finding.find(run, wardrobe, config, Progress(quiet=False, stream=said))
        with pytest.raises(ConfigError, match="trains twice: leave out --repeats"):
            rate_finding.find(run, wardrobe, config.model_copy(update={"repeats": 2}), Progress(quiet=True))
    told = found.to_json()
    assert json.loads((in_tmp / "found/learning-rate.json").read_text()) == told
    assert told["usual"] == 1e-3
    ours, theirs = (read(in_tmp / f"found/{name}", "metrics.json") for name in ("suggested", "recipe"))
    points = 100 * (ours["metrics"]["validation"]["accuracy"] - theirs["metrics"]["validation"]["accuracy"])
    assert told["difference"] == pytest.approx(points)
    p = [one["metrics"]["validation"] for one in (ours, theirs)]
    by_hand = 196 * sum(one["accuracy"] * (1 - one["accuracy"]) / one["n"] for one in p) ** 0.5
    assert told["noise"] == pytest.approx(by_hand, rel=1e-3)
    page = (in_tmp / "found/learning-rate.html").read_text()
    assert all(sentence.split(":")[0] in page for sentence in found.sentences())
    assert (in_tmp / "found/learning-rate.svg").read_text().startswith("<svg")
    assert read(in_tmp / "found/suggested")["parts"] == read(in_tmp / "found/recipe")["parts"]


def test_what_is_said_of_two_rates_follows_from_the_noise(tmp_path):
    from vistazo.classification.rate_finding import Found
    from vistazo.engine.range_test import RangeTest

    test = RangeTest((0.001, 0.01, 0.1), (2.0, 1.0, 3.0), 0.01, 0.02, "rates")

    def said(ours, theirs, n=10_000):
        one = {"accuracy_low": 0, "accuracy_high": 1, "loss": 1.0, "n": n, "epochs": 1}
        figures = {"suggested": {**one, "accuracy": ours}, "recipe": {**one, "accuracy": theirs}}
        return Found(tmp_path, test, figures).sentences()[-1]

    assert said(0.95, 0.90).startswith("The suggested rate is better by 5.00 points")
    assert said(0.90, 0.95).startswith("The recipe's own rate is better by 5.00 points")
    assert said(0.951, 0.950).startswith("The difference of 0.10 points is within chance (0.60 points")
    assert said(0.95, 0.90, n=50).startswith("The difference of 5.00 points is within chance")
    nothing = Found(tmp_path, test, {"suggested": None, "recipe": None}).sentences()
    assert nothing[-1].startswith("Too few pictures")
