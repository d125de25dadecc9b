"""A search over a forecast's settings: judged by moments of the past, one look at the test part, the same bits."""

import csv
import json

import numpy as np
import pytest

import vistazo
from vistazo.engine.search_journal import Journal
from vistazo.errors import ConfigError
from vistazo.forecasting import task

TINY = {
    "task": "forecasting",
    "epochs": 2,
    "threads": 1,
    "window": 5,
    "horizon": 3,
    "origins": 2,
    "quiet": True,
}
SPACE = {"rate": "log:0.3..3", "transform": "none,log"}


def write(path, values):
    days = np.datetime64("2022-01-03") + np.arange(len(values))
    lines = [f"{day},{value}" for day, value in zip(days, values, strict=True)]
    path.write_text("\n".join(["date,units", *lines]) + "\n", encoding="utf-8")
    return path


def noisy(count=100):
    noise = np.random.default_rng(0).normal(size=count)
    return [round(50 + 8 * (n % 7) + 4 * value, 2) for n, value in enumerate(noise)]


@pytest.fixture
def series(in_tmp):
    return write(in_tmp / "shop.csv", noisy())


def tune(source, **settings):
    return vistazo.tune(source, **{"search": SPACE, "trials": 2, **TINY, **settings})


def summary(folder):
    entries = Journal(folder, {}, lower_is_better=True).entries()
    return [(one.values, one.curve, one.state, one.until) for one in entries]


# ---------------------------------------------------------------- refused
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("seed=1..9", "another seed is luck"),
        ("horizon=3..9", "the same steps of the same series"),
        ("origins=2..4", "the same steps of the same series"),
        ("value=a,b", "the same steps of the same series"),
        ("epochs=3..9", "trials are compared by it"),
        ("device=cpu,cuda", "not what is learnt"),
        ("learning_rate=log:1e-4..1e-2", "which `rate` multiplies"),
        ("windw=7..9", "Did you mean 'window'"),
        ("window=7..5000", "--search window: "),
        ("model=tide,tied", "tied"),
        ("loss=mse,mae", "which only the pinball loss does"),
        ("scaler=standard,none", "--search scaler: "),
    ],
)
def test_what_cannot_be_searched_is_refused_before_the_series_is_read(verb, in_tmp, words, said):
    (in_tmp / "t.csv").write_bytes(b"\x00\x01 no table")
    answer = verb("tune", "t.csv", "--task", "forecasting", "--search", words)
    assert answer.code == 2 and said in answer.err
    assert not (in_tmp / "runs").exists()


def test_windows_that_could_not_be_judged_by_the_same_steps_are_refused(series):
    with pytest.raises(ConfigError, match="windows of 70 and of 5 steps leave different steps"):
        tune(series, search={"window": "5..70"})


def test_trials_that_are_not_equally_long_have_no_rungs(series, verb, in_tmp, monkeypatch):
    """The published networks have 40 epochs, the others ten or more."""
    words = ["--task", "forecasting", "--search", "model=tide,st1", "--threads", 1, "--origins", 1]
    answer = verb("tune", series, *words, "--pruner", "asha")
    assert answer.code == 2 and "leave --pruner out, or give all as many with --most-epochs" in answer.err
    answer = verb("tune", series, *words, "--most-epochs", 1, "--trials", 2, "--json")  # now they are
    assert answer.code == 0 and "by asha" in answer.err and answer.json["epochs"] == 3
    from vistazo.forecasting.models import models

    monkeypatch.setattr(task, "EPOCH", 100)
    monkeypatch.setitem(models._entries, "st1", _shorter(models["st1"], 4))
    answer = verb("tune", series, *words, "--trials", 2, "--json")
    assert answer.code == 0, answer.err
    assert "each trial is trained to its own end, because the recipes here have 2 to 4 epochs" in answer.err
    assert {len(curve) for _, curve, _, _ in summary(in_tmp / "runs" / "tune-shop-3")} == {2, 4}
    assert all(state == "done" for _, _, state, _ in summary(in_tmp / "runs" / "tune-shop-3"))


def _shorter(entry, passes):
    from dataclasses import replace

    return replace(entry, recipe=replace(entry.recipe, passes=passes))


# ---------------------------------------------------------------- what it leaves
def test_a_search_leaves_all_that_one_on_pictures_does(series, verb, in_tmp):
    found = tune(series, search={**SPACE, "window": "4..6"}, out="search")
    assert found.metric == "mae" and found.task == "forecasting" and found.failed == 0
    for name in ("study.journal", "trials.csv", "best.toml", "metrics.json", "model.vistazo", "report.html"):
        assert (in_tmp / "search" / name).exists(), name
    with open(in_tmp / "search" / "trials.csv") as file:
        rows = list(csv.DictReader(file))
    figures = [float(row["figure"]) for row in rows]
    assert len(rows) == 3 and rows[0]["origin"] == "recipe"
    assert found.best["figure"] == min(figures)
    assert found.best["figure"] == pytest.approx(found.metrics["validation"]["mae"], rel=1e-6)
    assert verb("resume", "search", "--json").json["best"] == found.best
    assert verb("predict", "search").code == 0
    alone = vistazo.train(series, out="alone", quiet=True, **_settings(in_tmp / "search" / "best.toml"))
    assert alone.model.read_bytes() == found.model.read_bytes()


def _settings(path):
    import tomllib

    return {**tomllib.loads(path.read_text(encoding="utf-8")), "task": "forecasting"}


# ---------------------------------------------------------------- honest
def test_nothing_in_the_test_part_moves_a_trial(in_tmp):
    """The last fifth of the values is another; the networks of earlier moments never learn of it."""
    values, results = noisy(), []
    for name, factor in (("one", 1.0), ("other", 3.0)):
        changed = [*values[:80], *(round(factor * one, 2) for one in values[80:])]
        results.append(tune(write(in_tmp / f"{name}.csv", changed), out=name))
    assert summary(in_tmp / "one") == summary(in_tmp / "other")
    assert results[0].best == results[1].best
    assert results[0].metrics["test"]["mae"] != results[1].metrics["test"]["mae"]


def test_the_test_part_is_measured_once_and_after_all_trials(series, in_tmp, monkeypatch):
    seen, measured = [], task._try

    def watched(network, windows, moment, *rest):
        seen.append((moment.name, len(summary(in_tmp / "search"))))
        return measured(network, windows, moment, *rest)

    monkeypatch.setattr(task, "_try", watched)
    tune(series, out="search")
    assert [one for one in seen if one[0] == "test"] == [("test", 3)]


def test_the_series_is_read_once(series, in_tmp, monkeypatch):
    reads, read = [], task.read_table
    monkeypatch.setattr(task, "read_table", lambda *rest: reads.append(1) or read(*rest))
    tune(series, out="search")
    assert len(reads) == 1


def test_a_promoted_trial_is_the_training_that_was_never_stopped(series, in_tmp):
    """Its history is that of `train` with its settings, to the bit."""
    found = tune(series, epochs=3, out="search", search={"rate": "0.5,2.0"}, trials=1)
    for number, (values, curve, _, _) in enumerate(summary(in_tmp / "search")):
        settings = {**TINY, "epochs": 3, **values}
        alone = vistazo.train(series, out=f"alone-{number}", **settings).run
        lines = (alone / "history.jsonl").read_text(encoding="utf-8").splitlines()
        history = [json.loads(line)["validation"]["mae"] for line in lines]
        assert list(curve) == pytest.approx(history[: len(curve)], abs=0)
    assert found.trials == 2


def test_learning_from_all_is_what_a_series_always_does(series, in_tmp, capfd):
    one = tune(series, out="one")
    other = tune(series, out="other", final="train+validation", quiet=False)
    assert "with or without --final" in capfd.readouterr().err
    assert one.model.read_bytes() == other.model.read_bytes()
