"""Under a thousand pictures a run proposes folds, with the time they would take."""

import json
import re
import shlex

import numpy as np
import pytest

import vistazo
from vistazo.classification import proposing
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.data import Data
from vistazo.config import build
from vistazo.engine import runs
from vistazo.pictures.index import CROPS, Index


def index_of(label):
    n = len(label)
    return Index(
        where=tuple(f"{at:05}.png" for at in range(n)),
        label=np.array(label),
        split=np.full(n, "train", dtype="U10"),
        group=np.arange(n),
        hash=np.array([f"{at:032x}" for at in range(n)], dtype="S32"),
        classes=("a", "b"),
        source="/data",
        kind="arrays",
    )


@pytest.fixture
def source(folder_of_pictures, in_tmp):
    return folder_of_pictures(in_tmp / "my pictures", "a", "b", each=8)


def test_a_run_on_few_pictures_proposes_folds_as_a_command_that_works(verb, source, tiny, in_tmp):
    said = verb("train", source, *tiny, "--out", "run")
    assert said.code == 0, said.err
    last = said.err.splitlines()[-1]
    found = re.fullmatch(r"5 folds would take about (.+) and measure on all 16 pictures: (vistazo .+)", last)
    assert found, last
    assert re.fullmatch(r"\d+\.\d s|\d+ min \d\d s|\d+ h \d\d min", found[1])
    page = (in_tmp / "run/report.html").read_text(encoding="utf-8")
    assert "5 folds would take about" in page
    words = shlex.split(found[2])
    assert words == ["vistazo", "train", str(source), "--config", "run/config.json", "--folds", "5"]
    # Word by word, and what was timed: the same settings in every fold.
    assert verb(*words[1:], "--out", "study", "--quiet").code == 0
    ours, theirs = (json.loads((in_tmp / one / "config.json").read_text()) for one in ("run", "study/fold-1"))
    own = {"fold", "beside"}
    assert {name: value for name, value in theirs["settings"].items() if name not in own} == {
        name: value for name, value in ours["settings"].items() if name not in own
    }


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        pytest.param({}, "folder", "source --folds 5", id="defaults"),
        pytest.param({"seed": 3}, "folder", "source --config 'my run/config.json' --folds 5", id="a setting"),
        pytest.param({}, CROPS, "source --task classification --folds 5", id="boxes"),
        pytest.param(
            {"recipe": "quick", "beside": "on"},
            "folder",
            "source --config 'my run/config.json' --beside off --folds 5",
            id="beside another recipe",
        ),
        pytest.param(
            {"time": "2m"},
            "folder",
            "source --config 'my run/config.json' --folds 5 --time 720s",
            id="a budget, six times",
        ),
    ],
)
def test_the_command_repeats_what_was_set(in_tmp, settings, kind, words):
    config = build(ClassificationConfig, settings)
    index = index_of([at % 2 for at in range(20)]).replace(kind=kind)
    data = Data(config, index, None, (16, 16, 1), (), (), False)
    asked = {"source": "source", "settings": config.model_dump(mode="json")}
    with runs.create("my run", name="r", asked=asked, identity={}) as run:
        line = proposing.proposal(run, config, data)
        assert line.endswith(f"20 pictures: vistazo train {words}")
        assert ("12 min 00 s" in line) is ("time" in settings)
        began = build(ClassificationConfig, {"start": "x"})
        assert proposing.proposal(run, began, data) == ""


def test_the_time_is_without_that_of_a_recipe_beside(verb, source, tiny, monkeypatch, in_tmp):
    """130 s as below, though a comparison took 500 s more."""
    from vistazo.classification import data, task
    from vistazo.engine.runs import Run

    clock = {"now": 10.0}
    monkeypatch.setattr(Run, "seconds", lambda run: clock["now"])
    whole = data.read

    def read(*given):
        found = whole(*given)
        clock["now"] = 30.0
        return found

    def beside(run, *given):
        (run.folder / "balanced").mkdir()
        (run.folder / "balanced" / "status.json").write_text('{"seconds": 500.0}')
        clock["now"] += 500.0

    monkeypatch.setattr(task, "read", read)
    monkeypatch.setattr(task, "train_beside", beside)
    assert "5 folds would take about 2 min 10 s and" in verb("train", source, *tiny, "--out", "run").err


def test_the_time_is_that_of_one_run_more_than_folds(verb, source, tiny, monkeypatch, in_tmp):
    """Read after 10 s, done after 30: 10 + (5 + 1) · 20 = 130 s."""
    from vistazo.classification import data
    from vistazo.engine.runs import Run

    clock = {"now": 10.0}
    monkeypatch.setattr(Run, "seconds", lambda run: clock["now"])
    whole = data.read

    def read(*given):
        found = whole(*given)
        clock["now"] = 30.0
        return found

    monkeypatch.setattr("vistazo.classification.task.read", read)
    assert "5 folds would take about 2 min 10 s and" in verb("train", source, *tiny, "--out", "run").err


@pytest.mark.parametrize("words", [(), ("--folds=2",)], ids=["a run", "a study"])
def test_after_a_kill_the_time_is_that_of_all_processes(verb, source, tiny, in_tmp, monkeypatch, words):
    """1,000 s of a first process, 40 of them to read; the second one's clock stands at 10, when it reads too.

    1,010 s are 16 min 50 s, 6 · 960 + 50 = 5,810 s are 1 h 36 min.
    """
    from vistazo.classification.training import Program
    from vistazo.engine.runs import Run

    monkeypatch.setattr(Run, "seconds", lambda run: 10.0)
    step = Program.step

    def power_cut(self, batch, k):
        raise RuntimeError("the power went")

    monkeypatch.setattr(Program, "step", power_cut)
    assert verb("train", source, *tiny, *words, "--out", "run", "--quiet").code == 4
    monkeypatch.setattr(Program, "step", step)
    status = in_tmp / "run" / "status.json"
    status.write_text(json.dumps({**json.loads(status.read_text()), "seconds": 1000.0, "reading": 40.0}))
    said = verb("resume", "run", "--json")
    assert said.code == 0, said.err
    assert said.json["seconds"] == 1010
    assert "16 min 50 s" in (in_tmp / "run/report.html").read_text(encoding="utf-8")
    assert words or "5 folds would take about 1 h 36 min and" in said.err
    again = verb("train", source, *tiny, *words, "--out", "run", "--json", "--quiet")
    assert again.json["seconds"] == said.json["seconds"]  # the result's, not that of looking it up


def test_quiet_says_nothing_of_it(verb, source, tiny):
    assert verb("train", source, *tiny, "--out", "run", "--quiet").err == ""


def test_the_smallest_class_sets_the_number_of_folds(verb, folder_of_pictures, tiny, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "a", "b", each=8)
    for path in sorted((source / "b").iterdir())[3:]:
        path.unlink()
    assert "\n3 folds would take" in verb("train", source, *tiny, "--out", "run").err


@pytest.mark.parametrize("words", [("--fold=1/2",), ("--fold=all",)])
def test_a_run_that_is_a_fold_proposes_none(verb, source, tiny, words):
    assert "folds would take" not in verb("train", source, *tiny, *words, "--out", "run").err


def test_with_a_test_part_of_the_sources_own_nothing_is_proposed(trained):
    assert "folds would take" not in (trained / "report.html").read_text(encoding="utf-8")


def test_a_thousand_pictures_are_enough(in_tmp, capsys):
    settings = {"epochs": 1, "filters": "8,16", "precision": "fp32", "layout": "contiguous", "threads": 1}
    pixels = np.random.default_rng(0).integers(0, 255, (1000, 16, 16), np.uint8)
    labels = np.arange(1000) % 2
    vistazo.train((pixels, labels), out="many", **settings)
    assert "folds would take" not in capsys.readouterr().err
    vistazo.train((pixels[:999], labels[:999]), out="few", **settings)
    assert "and measure on all 999 pictures: folds=5" in capsys.readouterr().err
