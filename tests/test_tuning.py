"""`vistazo tune` as it is typed: words refused before anything is read, a search that is stopped, killed, shared."""

import csv
import json
import os
import random
import signal
import time

import numpy as np
import pytest

from vistazo import tuning
from vistazo.engine.search_journal import Journal

TINY = ("--filters=8,16", "--epochs=3", "--precision=fp32", "--layout=contiguous", "--threads=1")
SPACE = ("--search", "rate=log:0.5..2", "--search", "batch=16,32")


@pytest.fixture
def source(clothes, tmp_path):
    pictures, labels = clothes
    path = tmp_path / "clothes.npz"
    arrays = {
        "x_train": pictures[:300],
        "y_train": labels[:300],
        "x_test": pictures[300:],
        "y_test": labels[300:],
    }
    np.savez(path, **arrays)
    return path


# ---------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "There is nothing to search"),
        (("--search", "rate"), "write NAME=SPACE"),
        (("--search", "rate=1..0.1"), "1 is more than 0.1"),
        (("--search", "rate=log:0..1"), "a logarithm needs numbers above 0"),
        (("--search", "bach=8,16"), "Did you mean 'batch'"),
        (("--search", "seed=1..9"), "another seed is luck"),
        (("--search", "device=cpu,cuda"), "not what is learnt"),
        (("--search", "size=16,32"), "same pictures"),
        (("--search", "epochs=1..9"), "trials are compared by it"),
        (("--search", "batch=1,16"), "--search batch: "),
        (("--search", "schedule=cosine,up"), "--search schedule: "),
        (("--search", "rate=1,2", "--search", "rate=1,2"), "has rate twice"),
        (
            ("--search", "tasa=log:1e-3..1e-4"),
            "--search learning_rate=log:1e-3..1e-4",
        ),  # as an option is typed
        (("--search", "rate=1,2", "--trials", "0"), "trials"),
        (("--search", "rate=1,2", "--sampler", "luck"), "--sampler is one of tpe, random"),
        (("--search", "rate=1,2", "--pruner", "luck"), "--pruner is one of asha, hyperband, median, none"),
        (("--search", "rate=1,2", "--final", "all"), "--final is one of best, train+validation"),
        (("--search", "rate=1,2", "--time", "soon"), "write a time as in"),
        (("--search", "rate=1,2", "--time", "0s"), "more than nothing"),
        (("--search", "rate=1,2", "--folds", "5"), "leave out --folds"),
        (("--search", "rate=1,2", "--recipe", "fastest"), "There is no recipe 'fastest'"),
        (("--search", "rate=1,2", "--epochs", "3", "--most-epochs", "5"), "mean the same here"),
        (("--search", "rate=1,2", "--dont-know", "5%", "--final", "train+validation"), "--dont-know needs"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(verb, in_tmp, words, told):
    """The source is a folder of pictures that cannot be read: nobody may have come that far."""
    (in_tmp / "pictures" / "a").mkdir(parents=True)
    (in_tmp / "pictures" / "a" / "x.png").write_bytes(b"no picture")
    answer = verb("tune", "pictures", *words)
    assert answer.code == 2
    assert told in answer.err
    assert len(answer.err.strip().splitlines()) <= 4
    assert not (in_tmp / "runs").exists()


def test_without_optuna_one_sentence_names_the_command(verb, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "optuna" else found(name, *rest)
    )
    answer = verb("tune", "nowhere", "--search", "rate=1,2")
    assert answer.code == 1 and "pip install 'vistazo[tune]'" in answer.err


def test_a_source_that_is_not_there_is_told(verb):
    assert verb("tune", "nowhere-at-all", "--search", "rate=1,2").code == 1


# ---------------------------------------------------------------- what it leaves
def test_one_search_from_the_command_line(verb, source, in_tmp):
    answer = verb("tune", source, *SPACE, *TINY, "--trials", 3, "--out", "search", "--json")
    assert answer.code == 0, answer.err
    told = answer.json
    assert {"run", "model", "best", "trials", "epochs", "seconds", "metrics"} <= set(told)
    assert set(told["best"]) >= {"values", "figure"}
    assert told["trials"] == 4 and told["failed"] == 0
    for name in ("study.journal", "trials.csv", "best.toml", "metrics.json", "model.vistazo", "config.json"):
        assert (in_tmp / "search" / name).exists(), name
    with open(in_tmp / "search" / "trials.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == ["0", "1", "2", "3"]
    assert rows[0]["origin"] == "recipe"
    assert {"figure", "epochs", "seconds", "value.rate", "value.batch"} <= set(rows[1])
    page = (in_tmp / "search" / "report.html").read_text(encoding="utf-8")
    assert "The winner, measured when the search was over" in page and "<script" not in page
    assert sum(int(row["epochs"]) for row in rows) == told["epochs"]
    lines = [line for line in answer.err.splitlines() if line.startswith("trial ")]
    assert lines[0].startswith("trial 0 · epoch 3/3 · accuracy ") and "the recipe" in lines[0]
    assert any("best so far" in line for line in lines)

    # The same words again give the result; others are refused by the first that differs.
    again = verb("tune", source, *SPACE, *TINY, "--trials", 3, "--out", "search", "--json")
    assert again.json == told and "finished already" in again.err
    assert verb("resume", "search", "--json").json == told
    shown = verb("resume", "last")
    assert "the winner: trial" in shown.out and "best.toml" in shown.out
    other = verb("tune", source, *SPACE, *TINY, "--trials", 4, "--out", "search")
    assert other.code == 1 and "another trials (3 there, 4 asked)" in other.err
    other = verb("tune", source, "--search", "rate=1,2", *TINY, "--trials", 3, "--out", "search")
    assert other.code == 1 and "another search of rate" in other.err
    assert verb("resume", "search", "--epochs", 9).code == 2

    # The winner's settings train alone; the search's folder is a model for every verb.
    code = verb("train", source, "--config", "search/best.toml", "--out", "alone", "--quiet", "--json")
    assert code.code == 0, code.err
    assert code.json["metrics"] == told["metrics"]
    assert verb("predict", "search", source).code == 0


def test_the_verb_speaks_spanish(verb):
    answer = verb("ajustar", "--help", "--lang", "es")
    assert answer.code == 0
    assert all(word in answer.out for word in ("--buscar", "--pruebas", "--tiempo", "--poda", "--muestreo"))


def test_settings_come_back_as_they_were_typed():
    from vistazo.classification.config import ClassificationConfig

    config = ClassificationConfig(batch=64, rate=0.5, filters="8,16", deterministic=True, schedule="cosine")
    text = tuning.as_toml(config, "trial 1 · ñ")
    import tomllib

    assert ClassificationConfig(**tomllib.loads(text)) == config
    assert text.startswith("# trial 1 · ñ\n")


# ---------------------------------------------------------------- stopped, killed, shared
def started(launch, source, *words):
    return launch("tune", source, *SPACE, *TINY, "--trials", 4, "--out", "search", "--json", *words)


def entries(folder):
    return Journal(folder, {}, lower_is_better=False).entries()


def wait_for(journal, lines, process):
    """Until the journal has so many lines, or the process ended."""
    until = time.monotonic() + 240
    while time.monotonic() < until and process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.01)


def summary(folder):
    return [(one.values, one.curve, one.state, one.until) for one in entries(folder)]


def test_ctrl_c_stops_resumably(launch, source, in_tmp, verb):
    process = started(launch, source)
    wait_for(in_tmp / "search" / "study.journal", 4, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 3, err
    assert b"vistazo resume" in err and b"search" in err
    whole = verb("tune", source, *SPACE, *TINY, "--trials", 4, "--out", "whole", "--json")
    assert verb("resume", "search", "--json").json["best"] == whole.json["best"]
    assert summary(in_tmp / "search") == summary(in_tmp / "whole")


def test_kill_9_in_the_middle_loses_nothing(launch, source, in_tmp, verb):
    process = started(launch, source)
    wait_for(in_tmp / "search" / "study.journal", 7, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    again = verb("tune", source, *SPACE, *TINY, "--trials", 4, "--out", "search", "--json")
    assert again.code == 0, again.err
    whole = verb("tune", source, *SPACE, *TINY, "--trials", 4, "--out", "whole", "--json")
    assert summary(in_tmp / "search") == summary(in_tmp / "whole")
    assert again.json["metrics"] == whole.json["metrics"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_9_at_fifty_random_moments(launch, source, in_tmp, verb):
    """One search, killed fifty times between its start and its end, and others from the start, until all are over."""
    began = time.monotonic()
    whole = verb("tune", source, *SPACE, *TINY, "--trials", 4, "--out", "whole", "--json")
    assert whole.code == 0
    length = 2 * (time.monotonic() - began) + 3  # a process of its own imports torch first
    draw, killed = random.Random(0), 0
    while killed < 50:
        process = started(launch, source)
        try:
            process.wait(draw.uniform(0.2, length))
        except Exception:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
        if process.returncode == 0:
            assert summary(in_tmp / "search") == summary(in_tmp / "whole")
            (in_tmp / "search").rename(in_tmp / f"done-{killed}")
    process = started(launch, source)
    assert process.wait(600) == 0
    assert summary(in_tmp / "search") == summary(in_tmp / "whole")


def test_two_processes_share_one_search(launch, source, in_tmp):
    began = time.monotonic()
    both = [started(launch, source, "--sampler", "random") for _ in range(2)]
    answers = [one.communicate(timeout=280) for one in both]
    elapsed = time.monotonic() - began
    assert [one.returncode for one in both] == [0, 0], answers
    told = [json.loads(out) for out, _ in answers]
    assert told[0]["best"] == told[1]["best"] and told[0]["metrics"] == told[1]["metrics"]
    assert told[0]["seconds"] == told[1]["seconds"] <= elapsed  # two at once are counted once
    found = entries(in_tmp / "search")
    assert len(found) == 5
    assert [one.origin for one in found] == ["recipe", *["sampled"] * 4]
    assert all(one.state in ("done", "stopped") for one in found)
    assert len({tuple(one.values.values()) for one in found[1:]}) == 4
