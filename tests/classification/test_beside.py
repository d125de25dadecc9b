"""What is trained beside a tutorial's recipe: real, on the same parts, and as hard to kill as any run."""

import dataclasses
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

import vistazo
from vistazo.classification import beside
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.recipes import recipes
from vistazo.classification.training import Program
from vistazo.config import build
from vistazo.errors import TooFewExamples
from vistazo.language import LANGUAGES, speaking
from vistazo.pictures.index import read_index

EVERYDAY = beside.BESIDE
RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")
SMALL = ("--precision=fp32", "--layout=contiguous", "--threads=1")
TUTORIAL = ("--recipe=tutorial-fashion", "--epochs=1", *SMALL)
STEPS = 240 // 20  # of the tutorial's run on `wardrobe`


@pytest.fixture(autouse=True)
def everyday(monkeypatch):
    """The recipe for every day, as short as it can be."""
    short = dataclasses.replace(recipes["quick"], length=lambda pictures: (2, 64))
    monkeypatch.setitem(recipes._entries, "everyday", short)
    monkeypatch.setattr(beside, "BESIDE", "everyday")


def words(page):
    visible = re.sub(r"<(style|script)[^>]*>.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", visible))


def told(run):
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


def test_the_recipe_for_every_day_exists():
    assert EVERYDAY in recipes
    assert recipes[EVERYDAY].claim is None  # or it would be compared with itself


def test_a_tutorials_report_shows_the_claim_its_own_figure_and_the_everyday_recipes(verb, wardrobe, in_tmp):
    said = verb("train", wardrobe, "--recipe=tutorial-mnist", "--epochs=1", *SMALL, "--out=r", "--json")
    assert said.code == 0, said.err
    assert "beside it, on the same parts: recipe everyday" in said.err
    assert "recipe everyday: accuracy" in said.err
    ours, theirs = told(in_tmp / "r"), told(in_tmp / "r" / "everyday")
    page = words((in_tmp / "r" / "report.html").read_text(encoding="utf-8"))
    table = page[page.index("Beside the tutorial") : page.index("Learning curves")]
    assert "claimed by the tutorial 98.66%" in table
    for name, one in (("tutorial-mnist", ours), ("everyday", theirs)):
        accuracy = f"{100 * one['metrics']['test']['accuracy']:.2f}%"
        assert f"here, recipe {name} {accuracy}" in table
        assert f"100 {one['parameters']['total']:,} {one['epochs']}" in table
    assert "Claimed on: MNIST, the official test part." in table
    assert "Done otherwise here: the tutorial has no validation part" in table
    assert "Set otherwise than in the tutorial: epochs 1." in table
    assert len(re.findall(r"\d+\.\d s", table)) == 2
    # Its figures are kept too, the seconds are not: files of equal runs are equal.
    assert ours["beside"] == {"recipe": "everyday", **theirs}
    assert said.json["metrics"] == ours["metrics"]


def test_what_is_trained_beside_has_the_same_parts_and_the_same_seed(verb, wardrobe, in_tmp):
    assert verb("train", wardrobe, *TUTORIAL, "--seed=3", "--out=r").code == 0
    ours, theirs = (read_index(in_tmp / one / "index.parquet") for one in ("r", "r/everyday"))
    assert ours.where == theirs.where
    assert (ours.split == theirs.split).all()
    assert (
        ours.split == "validation"
    ).sum() == 60  # a fifth, as the tutorial has it, not the recipe's own tenth
    config = json.loads((in_tmp / "r" / "everyday" / "config.json").read_text())
    assert (config["settings"]["seed"], config["settings"]["threads"]) == (3, 1)
    assert config["settings"]["recipe"] == "everyday"
    assert config["settings"]["epochs"] is None  # what was set for the tutorial's network is not for another
    # A run like any other: it answers and is resumed by its own name; `last` is the tutorial's.
    assert vistazo.load(in_tmp / "r" / "everyday").objective == "cross_entropy"
    assert vistazo.load("last").objective == "squashed_cross_entropy"


@pytest.mark.parametrize(
    ("words", "trained"),
    [
        (["--recipe=tutorial-fashion", "--beside=off"], False),
        (["--recipe=tutorial-fashion", "--al-lado=off"], False),
        (["--recipe=quick", "--filters=8,16"], False),
        (["--recipe=quick", "--filters=8,16", "--beside=on"], True),
        (["--recipe=everyday", "--beside=on"], False),
    ],
)
def test_a_comparison_can_be_asked_for_or_left_out(verb, wardrobe, in_tmp, words, trained):
    said = verb("train", wardrobe, *words, "--epochs=1", *SMALL, "--out=r")
    assert said.code == 0, said.err
    assert (in_tmp / "r" / "everyday").exists() is trained
    assert ("beside" in told(in_tmp / "r")) is trained
    page = (in_tmp / "r" / "report.html").read_text(encoding="utf-8")
    assert ("Beside another recipe" in page) is trained
    assert ("Beside the tutorial" in page) is words[0].startswith("--recipe=tutorial")


def test_a_time_is_the_runs_own_and_no_comparison_is_trained(verb, wardrobe, in_tmp, monkeypatch):
    monkeypatch.setattr("vistazo.classification.budget.MOST_EPOCHS", 1)
    said = verb("train", wardrobe, "--recipe=tutorial-fashion", "--time=60s", "--threads=1", "--out=r")
    assert said.code == 0, said.err
    sentence = "Recipe everyday was not trained beside it: --time has no share for a second network."
    assert said.err.count(sentence) == 1
    page = words((in_tmp / "r" / "report.html").read_text(encoding="utf-8"))
    assert sentence in page[page.index("Beside the tutorial") :]
    assert not (in_tmp / "r" / "everyday").exists()


def test_a_comparison_that_is_asked_for_with_a_time_is_refused_before_training(verb, wardrobe, in_tmp):
    said = verb("train", wardrobe, "--recipe=quick", "--time=60s", "--beside=on", "--out=r")
    assert said.code == 2
    assert "--beside trains a second network, which --time has no share for" in said.err
    assert not (in_tmp / "r" / "history.jsonl").exists()


def test_a_comparison_that_fails_is_told_and_the_run_stands(verb, wardrobe, in_tmp, monkeypatch):
    def nothing(pictures):
        raise TooFewExamples("There is too little to learn from.")

    monkeypatch.setitem(recipes._entries, "everyday", dataclasses.replace(recipes["quick"], length=nothing))
    said = verb("train", wardrobe, *TUTORIAL, "--out=r")
    assert said.code == 0, said.err
    assert "There is too little to learn from." in said.err
    assert "There is too little to learn from." in (in_tmp / "r" / "report.html").read_text(encoding="utf-8")
    assert told(in_tmp / "r")["beside"] == {
        "recipe": "everyday",
        "reason": "There is too little to learn from.",
    }
    assert json.loads((in_tmp / "r/everyday/status.json").read_text())["phase"] == "failed"


def test_arrays_are_compared_too(in_tmp, clothes):
    pictures, labels = clothes
    result = vistazo.train(
        (pictures, labels), recipe="tutorial-fashion", epochs=1, precision="fp32", threads=1, quiet=True
    )
    assert told(result.run)["beside"]["metrics"]["test"]["n"] == result.metrics["test"]["n"]


STUDY = ("--recipe=tutorial-mnist", "--batch=64", "--epochs=1", *SMALL)


def pooled(run, *names):
    """All right answers of some runs over all their pictures, as the page writes it."""
    each = [told(run / name)["metrics"]["test"] for name in names]
    return (
        f"{100 * sum(round(one['accuracy'] * one['n']) for one in each) / sum(one['n'] for one in each):.2f}%"
    )


def test_folds_of_a_tutorials_recipe_show_its_claim_and_train_nothing_beside(verb, wardrobe, in_tmp):
    said = verb("train", wardrobe, *STUDY, "--folds=2", "--out=r")
    assert said.code == 0, said.err
    assert not list(in_tmp.glob("r/*/everyday"))
    page = words((in_tmp / "r" / "report.html").read_text(encoding="utf-8"))
    table = page[page.index("Beside the tutorial") : page.index("Run by run")]
    assert "claimed by the tutorial 98.66%" in table
    assert f"here, recipe tutorial-mnist {pooled(in_tmp / 'r', 'fold-1', 'fold-2')}" in table
    assert "here, recipe everyday" not in table
    assert "The recipe everyday was not trained beside each of the 2 runs; --beside on" in table
    assert "Set otherwise than in the tutorial: epochs 1, batch 64." in table
    assert "beside" not in told(in_tmp / "r")


@pytest.mark.parametrize(
    ("word", "kind"), [("--folds=2", "fold"), ("--repeats=2", "repeat")], ids=["folds", "repeats"]
)
def test_a_comparison_beside_each_run_of_a_study_is_shown_as_one(verb, wardrobe, in_tmp, word, kind):
    said = verb("train", wardrobe, *STUDY, word, "--beside=on", "--out=r")
    assert said.code == 0, said.err
    run, names = in_tmp / "r", [f"{kind}-1/everyday", f"{kind}-2/everyday"]
    assert (
        sorted(str(path.relative_to(run)) for path in run.glob("*/everyday")) == names
    )  # not in the run `all`
    page = words((run / "report.html").read_text(encoding="utf-8"))
    table = page[page.index("Beside the tutorial") : page.index("Run by run")]
    assert f"here, recipe everyday {pooled(run, *names)}" in table
    assert "was not trained beside" not in table
    found = told(run)["beside"]
    assert found["recipe"] == "everyday"
    assert f"{100 * found['metrics']['test']['accuracy']:.2f}%" == pooled(run, *names)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize("at", [5, STEPS + 2], ids=["in the tutorial's run", "in the one beside it"])
def test_a_comparison_that_is_stopped_goes_on_where_it_was(verb, wardrobe, in_tmp, monkeypatch, at):
    assert verb("train", wardrobe, *TUTORIAL, "--out=whole").code == 0
    step, seen = Program.step, []

    def signalled(self, batch, k):
        seen.append(1)
        if len(seen) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, k)

    monkeypatch.setattr(Program, "step", signalled)
    said = verb("train", wardrobe, *TUTORIAL, "--out=run")
    assert said.code == 3
    assert said.err.rstrip().endswith("vistazo resume run")
    assert json.loads((in_tmp / "run/status.json").read_text())["phase"] == "stopped"
    assert not (in_tmp / "run/model.vistazo").exists()
    assert verb("resume", "run", "--quiet").code == 0
    assert len(seen) == STEPS + 2 * (240 // 64)  # no step was done twice
    for name in RESULTS:
        for one in ("", "everyday/"):
            assert (in_tmp / "run" / (one + name)).read_bytes() == (
                in_tmp / "whole" / (one + name)
            ).read_bytes()


def test_a_run_stopped_in_its_comparison_can_be_finished_without_it(verb, wardrobe, in_tmp, monkeypatch):
    step, seen = Program.step, []

    def stopping(self, batch, k):
        seen.append(1)
        if len(seen) == STEPS + 2:
            (in_tmp / "run" / "control").write_text("stop")
        return step(self, batch, k)

    monkeypatch.setattr(Program, "step", stopping)
    monkeypatch.setattr(
        "vistazo.engine.runs.time.monotonic", iter(range(10**6)).__next__
    )  # looks at every step
    assert verb("train", wardrobe, *TUTORIAL, "--out=run").code == 3
    assert (in_tmp / "run/everyday").exists()
    said = verb("train", wardrobe, *TUTORIAL, "--beside=off", "--out=run")
    assert said.code == 0, said.err
    assert "beside" not in told(in_tmp / "run")
    assert "Beside the tutorial" in (in_tmp / "run/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_tutorial_has_its_claim_in_words(language):
    figures = {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "n": 10}
    one = {"metrics": {"test": figures}, "parameters": {"total": 1000}, "epochs": 2}
    for name in recipes:
        if recipes[name].claim is not None:
            with speaking(language):
                config = build(ClassificationConfig, {"recipe": name})
                section = beside.comparison(config, one, "test", None, Path("nowhere"))
            assert section is not None
            assert len(section.blocks[0].rows) == 2
