"""A search over a table's settings: the same bits as training alone, one look at the test part, all it promises."""

import csv
import json
import os
import random
import signal
import time

import numpy as np
import pytest

import vistazo
from vistazo.engine.search_journal import Journal
from vistazo.errors import ConfigError
from vistazo.tabular import measuring
from vistazo.tabular.metrics import log_loss

TINY = {"threads": 1, "members": 2, "hidden": "16", "quiet": True}
SPACE = {"rate": "log:0.3..3", "decay": "0.01,0.1,1", "scaler": "standard,robust"}


def entries(folder):
    return Journal(folder, {}, lower_is_better=True).entries()


def summary(folder):
    return [(one.values, one.curve, one.state, one.until) for one in entries(folder)]


def told(folder, name="metrics.json"):
    return json.loads((folder / name).read_text(encoding="utf-8"))


@pytest.fixture
def flower_file(flowers, write_table, in_tmp):
    return write_table(in_tmp / "flowers.csv", flowers)


@pytest.fixture
def tune():
    def search(source, **settings):
        return vistazo.tune(source, **{"search": SPACE, "target": "flower", "trials": 4, **TINY, **settings})

    return search


# ---------------------------------------------------------------- refused
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("seed=1..9", "another seed is luck"),
        ("target=flower,place", "the same rows and columns"),
        ("leave_out=noise,width", "the same rows and columns"),
        ("sheet=a,b", "the same rows and columns"),
        ("epochs=3..9", "trials are compared by it"),
        ("threads=1,2", "not what is learnt"),
        ("accumulate=1,2", "not what is learnt"),
        ("learning_rate=log:1e-4..1e-2", "which `rate` multiplies"),
        ("hiden=16,32", "Did you mean 'hidden'"),
        ("windw=7..9", "There is no setting 'windw'"),
        ("model=mlp,resdual", "resdual"),
        ("scaler=standard,odd", "--search scaler: "),
        ("hidden=16|0", "--search hidden: "),
        ("loss=focal,hubr", "hubr"),
        ("members=0..4", "--search members: "),
    ],
)
def test_what_cannot_be_searched_is_refused_before_the_table_is_read(verb, in_tmp, words, said):
    (in_tmp / "t.csv").write_bytes(b"\x00\x01 no table")
    answer = verb("tune", "t.csv", "--target", "flower", "--search", words)
    assert answer.code == 2 and said in answer.err
    assert not (in_tmp / "runs").exists()


def test_without_rows_to_validate_on_there_is_no_search(tune, flower_file):
    with pytest.raises(ConfigError, match="--validation-share"):
        tune(flower_file, validation_share=0.0)


# ---------------------------------------------------------------- what it leaves
def test_a_search_on_classes_leaves_all_that_one_on_pictures_does(verb, flower_file, in_tmp):
    words = ["--target", "flower", "--members", 2, "--hidden", 16, "--threads", 1, "--trials", 4]
    space = [word for name in SPACE for word in ("--search", f"{name}={SPACE[name]}")]
    answer = verb("tune", flower_file, *space, *words, "--out", "search", "--json")
    assert answer.code == 0, answer.err
    assert "judged by validation log loss" in answer.err and "by asha" in answer.err
    for name in ("study.journal", "trials.csv", "best.toml", "metrics.json", "model.vistazo", "report.html"):
        assert (in_tmp / "search" / name).exists(), name
    with open(in_tmp / "search" / "trials.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert rows[0]["origin"] == "recipe" and int(rows[0]["epochs"]) == 20
    assert {"value.rate", "value.decay", "value.scaler"} <= set(rows[1])
    epochs = [int(row["epochs"]) for row in rows]
    assert sum(epochs) == answer.json["epochs"] < 5 * 20  # most of them stood still at a rung
    assert 20 in epochs[1:]
    best = told(in_tmp / "search")["search"]["best"]
    figures = [float(row["figure"]) for row in rows]
    assert best["figure"] == min(figures) == figures[best["number"]]
    assert best["figure"] == pytest.approx(answer.json["metrics"]["validation"]["log_loss"], abs=1e-12)
    again = verb("resume", "search", "--json")
    assert again.json == answer.json
    answers = verb("predict", "search", flower_file, "--json")
    assert answers.code == 0, answers.err

    # The winner's settings, trained alone, give the same weights.
    alone = verb("train", flower_file, "--config", "search/best.toml", "--out", "alone", "--quiet", "--json")
    assert alone.code == 0, alone.err
    assert (in_tmp / "alone/model.vistazo").read_bytes() == (in_tmp / "search/model.vistazo").read_bytes()
    assert alone.json["metrics"] == answer.json["metrics"]


@pytest.mark.parametrize(
    ("settings", "metric"),
    [({}, "rmse"), ({"loss": "mae"}, "mae"), ({"loss": "huber=0.5"}, "mae")],
)
def test_numbers_are_judged_in_their_unit(houses, tune, in_tmp, settings, metric):
    found = tune(houses, target="price", trials=2, out="search", **settings)
    assert found.metric == metric and found.task == "tabular"
    assert found.best["figure"] == pytest.approx(found.metrics["validation"][metric], rel=1e-6)


def test_every_setting_that_is_not_refused_can_be_searched(flower_file, tune, in_tmp):
    space = {
        "model": "mlp,residual",
        "batch": "8..32/8",
        "clip": "0.0,1.0",
        "loss": "cross_entropy,focal=2",
        "hidden": "8|16|16,16",
        "members": "1..3",
        "scaler": "min-max,robust-q1,none",
    }
    found = tune(flower_file, search=space, trials=6, epochs=2, pruner="none", sampler="random", out="search")
    assert found.trials == 7 and found.failed == 0
    assert found.epochs == 7 * 2


def test_a_trial_that_meets_nan_is_recorded_and_the_search_goes_on(flower_file, tune, in_tmp):
    found = tune(flower_file, search={"rate": "1.0,1e30"}, trials=2, out="search")
    assert found.failed == 1
    failed = [one for one in entries(in_tmp / "search") if one.state == "failed"]
    assert "learning rate" in failed[0].reason and failed[0].values == {"rate": 1e30}


# ---------------------------------------------------------------- honest
def parted(flowers, write_table, path, *, change=False):
    """The flowers with a column of parts; with `change` everything in the test rows is another."""
    columns = {name: list(values) for name, values in flowers.items()}
    parts = [("train", "train", "validation", "test")[row % 4] for row in range(120)]
    if change:
        for row in range(3, 120, 4):
            kind = ("daisy", "rose", "tulip").index(columns["flower"][row])
            columns["flower"][row] = ("tulip", "daisy", "rose")[kind]
            columns["length"][row] = 7.0 + row
    return write_table(path, {**columns, "part": parts})


def test_nothing_in_the_test_part_moves_a_trial(flowers, write_table, tune, in_tmp):
    results = []
    for name, change in (("one", False), ("other", True)):
        source = parted(flowers, write_table, in_tmp / f"{name}.csv", change=change)
        results.append(tune(source, out=name))
    assert summary(in_tmp / "one") == summary(in_tmp / "other")
    assert results[0].best == results[1].best
    assert results[0].metrics["validation"] == results[1].metrics["validation"]
    assert results[0].metrics["test"] != results[1].metrics["test"]


def test_the_test_part_is_measured_once_and_after_all_trials(flower_file, tune, in_tmp, monkeypatch):
    seen = []
    measure = measuring.measure

    def watched(model, rows, encoded, part):
        states = [one.state for one in entries(in_tmp / "search")]
        seen.append((part, "running" in states, len(states)))
        return measure(model, rows, encoded, part)

    monkeypatch.setattr(measuring, "measure", watched)
    tune(flower_file, out="search")
    assert seen == [("validation", False, 5), ("test", False, 5)]


def test_the_table_is_read_once_and_scaled_once_for_each_scaler(flower_file, tune, in_tmp, monkeypatch):
    from vistazo.tabular import task

    reads, fits = [], []
    read, fit = task.read_rows, task.Encoder.fit
    monkeypatch.setattr(task, "read_rows", lambda *rest: reads.append(1) or read(*rest))
    monkeypatch.setattr(
        task.Encoder, "fit", staticmethod(lambda table, scaler: fits.append(scaler) or fit(table, scaler))
    )
    tune(flower_file, search={"rate": "0.5,1.0,2.0", "scaler": "standard,none"}, trials=5, out="search")
    assert len(reads) == 1
    assert sorted(fits) == ["none", "standard"]


def test_a_trial_s_figure_is_the_log_loss_of_its_validation_rows(flower_file, tune, in_tmp):
    """Judged anew from the winner's answers and the index, with nothing of the search."""
    import pyarrow.parquet as pq

    found = tune(flower_file, out="search", pruner="none")
    index = pq.read_table(in_tmp / "search" / "best" / "index.parquet").to_pydict()
    model = vistazo.load(found.run)
    with open(flower_file, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = [row - 2 for row, part in zip(index["row"], index["part"], strict=True) if part == "validation"]
    answers = list(model.predict(flower_file))
    names = sorted({row["flower"] for row in rows})
    shares = [dict(answers[at]["top"]) for at in chosen]
    probabilities = np.array([[share[name] for name in names] for share in shares])
    labels = np.array([names.index(rows[at]["flower"]) for at in chosen])
    assert found.best["figure"] == pytest.approx(log_loss(probabilities, labels), abs=1e-5)


# ---------------------------------------------------------------- the winner on both parts
def test_the_winner_can_learn_from_the_validation_rows_too(flower_file, tune, in_tmp):
    import pyarrow.parquet as pq

    found = tune(flower_file, out="search", final="train+validation")
    assert found.metrics["validation"] is None and found.metrics["test"]["n"] == 12
    parts = pq.read_table(found.run / "best" / "index.parquet")["part"].to_pylist()
    assert (parts.count("train"), parts.count("test")) == (108, 12)
    assert told(found.run / "best")["epochs"] == found.best["epochs"]
    assert len(list(vistazo.load(found.run).predict(flower_file))) == 120


# ---------------------------------------------------------------- stopped and killed
WORDS = ("--search", "rate=log:0.3..3", "--target", "flower", "--members", 2, "--hidden", 16, "--threads", 1,
         "--batch", 8, "--trials", 3, "--out", "search", "--json")  # fmt: skip


def test_kill_9_in_the_middle_loses_nothing(launch, verb, flower_file, in_tmp):
    process = launch("tune", flower_file, *WORDS)
    journal, until = in_tmp / "search" / "study.journal", time.monotonic() + 200
    while time.monotonic() < until and process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") >= 10:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (in_tmp / "search" / "model.vistazo").exists()
    again = verb("resume", "search", "--json")
    assert again.code == 0, again.err
    whole = verb("tune", flower_file, *WORDS, "--out", "whole")
    assert whole.code == 0, whole.err
    assert summary(in_tmp / "search") == summary(in_tmp / "whole")
    assert (in_tmp / "search/model.vistazo").read_bytes() == (in_tmp / "whole/model.vistazo").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kill_9_at_ten_random_moments(launch, verb, flower_file, in_tmp):
    began = time.monotonic()
    whole = verb("tune", flower_file, *WORDS, "--out", "whole")
    assert whole.code == 0
    length = 2 * (time.monotonic() - began) + 3
    draw = random.Random(0)
    for _ in range(10):
        process = launch("tune", flower_file, *WORDS)
        try:
            process.wait(draw.uniform(0.5, length))
        except Exception:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert verb("tune", flower_file, *WORDS).code == 0
    assert summary(in_tmp / "search") == summary(in_tmp / "whole")
