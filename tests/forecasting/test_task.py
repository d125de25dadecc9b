"""A whole forecasting run: honest, repeatable to the bit, and true where the truth is known."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import vistazo
from vistazo import bundle
from vistazo.forecasting import task
from vistazo.forecasting.baselines import baselines
from vistazo.forecasting.models import models

RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")
TINY = (
    "--task=forecasting",
    "--epochs=1",
    "--threads=1",
    "--window=5",
    "--horizon=3",
    "--origins=2",
    "--quiet",
)
# Enough to learn a rule from, and no more.
SMALL = ("--task=forecasting", "--threads=1", "--origins=1", "--quiet")


def dates(count, first="2022-01-03", unit="D"):
    return [str(one).replace("T", " ") for one in np.datetime64(first, unit) + np.arange(count)]


def write(path, values, days=None, closed=(6,), name="units"):
    """A CSV of one series that begins on a Monday; `closed` weekdays are left out."""
    days = days or dates(len(values))
    kept = [
        (day, value) for n, (day, value) in enumerate(zip(days, values, strict=True)) if n % 7 not in closed
    ]
    path.write_text(f"date,{name}\n" + "".join(f"{day},{value}\n" for day, value in kept), encoding="utf-8")
    return path


def noisy(count=100, seed=0):
    generator = np.random.default_rng(seed)
    return [round(50 + 8 * (n % 7) + 4 * value, 2) for n, value in enumerate(generator.normal(size=count))]


def write_shops(path, count=80, change=None):
    """Three series of very different levels; `change` gives another value of (shop, day)."""
    lines = ["date,shop,units"]
    for k, shop in enumerate(("kiosk", "market", "mall")):
        for n, (day, value) in enumerate(zip(dates(count), noisy(count, seed=k), strict=True)):
            told = value * 30**k
            lines.append(f"{day},{shop},{told if change is None else change(k, n, told)}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def train(verb):
    """`vistazo train SOURCE ...`, which has to succeed; gives the run's folder."""

    def run(source, out, *words, base=TINY):
        said = verb("train", source, *base, "--out", out, *words)
        assert said.code == 0, said.err
        return Path(out).absolute()

    return run


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write(tmp_path_factory.mktemp("sources") / "shop.csv", noisy())


@pytest.fixture(scope="module")
def plain(source, tmp_path_factory):
    """A finished tiny run, to be read and never written to."""
    out = tmp_path_factory.mktemp("trained") / "run"
    return vistazo.train(source, task="forecasting", out=out, epochs=1, threads=1, window=5, horizon=3, origins=2,
                         quiet=True).run  # fmt: skip


def tensors(run):
    return bundle.load(run / "model.vistazo").tensors


def same_tensors(one, other):
    one, other = tensors(one), tensors(other)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def told(run):
    return json.loads((run / "metrics.json").read_text())


def assert_equal(run, other):
    for name in RESULTS:
        assert (run / name).read_bytes() == (other / name).read_bytes(), name


# ---------------------------------------------------------------- no figure knows the future
@pytest.fixture
def watched(monkeypatch):
    """What every moment's networks and baselines were, by the run they belong to."""
    kept, whole = [], task._try

    def look(network, windows, moment, group, config, decided):
        trial = whole(network, windows, moment, group, config, decided)
        state = task._of_moment(network, group, decided).state_dict()
        kept[-1].append((moment, {name: one.clone() for name, one in state.items()}, trial))
        return trial

    monkeypatch.setattr(task, "_try", look)
    return kept


def assert_no_leak(watched, train, files, names, *words):
    """Train on two files; the networks of the moments named, and the figures before the test part, are the same."""
    runs = []
    for number, file in enumerate(files):
        watched.append([])
        runs.append(train(file, f"run{number}", *words))
    one, other = watched
    assert [moment for moment, *_ in one] == [moment for moment, *_ in other]
    seen = []
    for (moment, mine, trial), (_, theirs, other_trial) in zip(one, other, strict=True):
        if moment.name not in names:
            continue
        seen.append(moment.name)
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert torch.equal(mine[name], theirs[name]), (moment, name)
        if moment.name == "validation":
            assert np.array_equal(trial.scaled, other_trial.scaled)
            for rule in baselines:
                assert np.array_equal(trial.rules[rule], other_trial.rules[rule])
    assert set(seen) == set(names)
    if "validation" in names:
        before, after = (told(run)["metrics"] for run in runs)
        assert before["validation"] == after["validation"]
        assert before["test"] != after["test"]
        lines = [[json.loads(line)["validation"] for line in (run / "history.jsonl").read_text().splitlines()]
                 for run in runs]  # fmt: skip
        assert lines[0] == lines[1]
    assert not same_tensors(*runs), "the networks that are kept do learn from every value"


@pytest.mark.parametrize("model", list(models))
def test_no_value_of_the_test_part_changes_a_bit_of_the_networks_it_is_measured_on(
    watched, train, in_tmp, model
):
    values = noisy()
    changed = [*values[:77], *(1 + (7 * n) % 300 for n in range(23))]
    files = [write(in_tmp / f"{number}.csv", each) for number, each in enumerate((values, changed))]
    assert_no_leak(watched, train, files, ("validation", "test"), "--model", model, "--test=20")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--clip=0.001"], id="with a clipped gradient"),
        pytest.param(["--accumulate=3"], id="with a batch in slices"),
        pytest.param(["--epochs=3", "--patience=1"], id="with patience"),
        pytest.param(["--transform=none", "--scaler=robust"], id="without logarithms"),
        pytest.param(["--missing=unknown"], id="with unknown days"),
        pytest.param(["--missing=zero", "--window=9"], id="with days without a sale"),
    ],
)
def test_no_value_of_the_test_part_changes_them_whatever_the_settings(watched, train, in_tmp, words):
    values = noisy()
    changed = [*values[:83], *(1000 - n for n in range(17))]
    files = [write(in_tmp / f"{number}.csv", each) for number, each in enumerate((values, changed))]
    assert_no_leak(watched, train, files, ("validation", "test"), "--test=17", *words)


def test_values_that_are_lost_in_the_test_part_change_no_bit_of_earlier_networks(watched, train, in_tmp):
    values = noisy()
    lost = [*values[:80], *("" if n % 3 == 0 else value for n, value in enumerate(values[80:]))]
    files = [write(in_tmp / f"{number}.csv", each, closed=()) for number, each in enumerate((values, lost))]
    assert_no_leak(watched, train, files, ("validation", "test"), "--test=20", "--clip=0.1")


def test_a_value_lost_at_the_beginning_is_not_filled_from_the_future(watched, train, in_tmp):
    values = noisy()
    values[0] = values[2] = values[6] = ""
    changed = [*values[:80], *(1e5 + n for n in range(20))]
    files = [
        write(in_tmp / f"{number}.csv", each, closed=()) for number, each in enumerate((values, changed))
    ]
    assert_no_leak(watched, train, files, ("validation", "test"), "--test=20")


def test_no_series_tells_an_earlier_moment_of_another_series_future(watched, train, in_tmp):
    files = [write_shops(in_tmp / "0.csv"),
             write_shops(in_tmp / "1.csv", change=lambda k, n, v: v * (n % 5 + 2) if n >= 64 else v)]  # fmt: skip
    assert_no_leak(watched, train, files, ("validation", "test"), "--series=shop", "--test=16")


def test_no_value_after_the_first_validation_moment_changes_its_networks(watched, train, in_tmp):
    values = noisy(90)
    sources = []
    for number in range(2):
        cut = None if not number else 69  # two spans of 10 days before a test part of none
        each = values if cut is None else [*values[:cut], *(1 + n % 9 * 40 for n in range(90 - cut))]
        sources.append(write(in_tmp / f"{number}.csv", each, closed=()))
    for number, file in enumerate(sources):
        watched.append([])
        train(file, f"run{number}", "--test=0", "--origins=2")
    (first, mine, _), (other, theirs, _) = watched[0][0], watched[1][0]
    assert first == other
    assert first.cut <= 18995 + 74
    if first.cut <= 18995 + 69:
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_a_value_before_the_test_part_does_change_its_networks(watched, train, in_tmp):
    values = noisy()
    changed = [*values]
    changed[40] += 1
    for number, each in enumerate((values, changed)):
        watched.append([])
        train(write(in_tmp / f"{number}.csv", each), f"run{number}", "--test=20")
    for (moment, mine, _), (_, theirs, _) in zip(*watched, strict=True):
        assert any(not torch.equal(mine[name], theirs[name]) for name in mine), moment


# ---------------------------------------------------------------- the same again
def test_the_same_seed_gives_the_same_files(plain, train, source):
    assert_equal(train(source, "again"), plain)


def test_another_seed_gives_another_file(plain, train, source):
    assert not same_tensors(plain, train(source, "other", "--seed=1"))


def test_the_order_of_the_rows_gives_the_same_networks(plain, train, source, in_tmp):
    head, *lines = source.read_text().splitlines()
    mixed = in_tmp / "mixed.csv"
    mixed.write_text(
        "\n".join([head, *(lines[one] for one in np.random.default_rng(0).permutation(len(lines)))]) + "\n"
    )
    assert same_tensors(plain, train(mixed, "run"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize(
    "where", ["read_table", "create", "Program.step", "quantiles_of", "_try", "report.build", "bundles.save"]
)
def test_a_signal_at_any_stage_stops_the_run_which_then_resumes_to_the_same_bits(
    verb, source, plain, in_tmp, monkeypatch, where
):
    *path, name = where.split(".")
    owner = getattr(task, path[0]) if path else task
    whole, count = getattr(owner, name), []

    def signalled(*args, **kwargs):
        count.append(1)
        if len(count) == (8 if where == "Program.step" else 1):
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, signalled)
    words = ("--checkpoint-seconds=0",)
    said = verb("train", source, *TINY, *words, "--out", "run")
    assert said.code == 3, said.err
    monkeypatch.setattr(owner, name, whole)
    said = verb("resume", "run", "--quiet")
    assert said.code == 0, said.err
    assert_equal(in_tmp / "run", plain)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_a_run_that_was_killed_ends_as_if_nothing_had_happened(launch, verb, source, in_tmp):
    words = ("--epochs=12", "--checkpoint-seconds=0", "--patience=20")
    process = launch("train", source, *TINY, *words, "--out", "killed")
    end = time.monotonic() + 60
    while process.poll() is None and len(list((in_tmp / "killed/checkpoints").glob("*"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (in_tmp / "killed/model.vistazo").exists()
    assert verb("resume", "killed", "--quiet").code == 0
    assert verb("train", source, *TINY, *words, "--out", "whole").code == 0
    assert_equal(in_tmp / "killed", in_tmp / "whole")


def test_stop_in_the_control_file_stops_the_run_which_then_resumes(verb, source, plain, in_tmp, monkeypatch):
    whole = task.Program.step

    def stopping(self, batch, k):
        (in_tmp / "run/control").write_text("stop")
        time.sleep(0.06)  # the file is looked at now and then
        return whole(self, batch, k)

    monkeypatch.setattr(task.Program, "step", stopping)
    assert verb("train", source, *TINY, "--out", "run").code == 3
    monkeypatch.setattr(task.Program, "step", whole)
    assert verb("resume", "run", "--quiet").code == 0
    assert_equal(in_tmp / "run", plain)


def test_a_run_whose_data_changed_is_refused_and_so_is_one_whose_days_to_come_did(verb, in_tmp):
    lines = [
        f"{day},{value},{n % 2}" for n, (day, value) in enumerate(zip(dates(60), noisy(60), strict=True))
    ]
    ahead = [f"{day},,1" for day in dates(3, "2022-03-04")]
    for number, (rows, code) in enumerate([([*lines, *ahead], 0), ([*lines, *ahead[:-1], ahead[-1][:-1] + "0"], 1),
                                           ([*lines[:-1], lines[-1].replace(",", ",9", 1), *ahead], 1)]):  # fmt: skip
        (in_tmp / "s.csv").write_text("date,units,promo\n" + "\n".join(rows) + "\n")
        said = verb("train", "s.csv", *TINY, "--value=units", "--known=promo", "--out", "run")
        assert said.code == code, (number, said.err)
    assert "The data of" in said.err


# ---------------------------------------------------------------- what a run tells
def test_the_figures_of_a_run_stand_beside_those_of_every_rule(plain):
    found = told(plain)
    assert {"task", "parameters", "epochs", "metrics", "counts", "forecast"} <= found.keys()
    assert found["task"] == "forecasting"
    assert found["counts"] == {"series": 1, "steps": 86}
    for part in ("validation", "test"):
        figures = found["metrics"][part]
        assert {
            "mae",
            "rmse",
            "bias",
            "coverage",
            "n",
            "windows",
            "baselines",
            "best_baseline",
        } == figures.keys()
        assert figures["baselines"].keys() == set(baselines)
        assert all(one.keys() == {"mae", "rmse"} for one in figures["baselines"].values())
        assert figures["best_baseline"] == min(baselines, key=lambda name: figures["baselines"][name]["mae"])
        assert figures["n"] == 3 * figures["windows"]
        assert 0 <= figures["coverage"] <= 1
        assert figures["mae"] <= figures["rmse"]
    assert found["metrics"]["test"]["windows"] == 17 - 3 + 1, "a fifth of 86 steps, three ahead"


def test_train_tells_one_json_object(verb, source):
    found = verb("train", source, *TINY, "--out", "run", "--json").json
    assert {"run", "model", "task", "parameters", "epochs", "seconds", "metrics", "report"} <= found.keys()
    assert (found["task"], found["epochs"]) == ("forecasting", 1)
    assert found["metrics"] == told(Path("run"))["metrics"]


def test_an_interval_that_nothing_could_check_is_not_told_as_held(train, source):
    figures = told(train(source, "run", "--origins=1"))["metrics"]
    assert figures["validation"]["coverage"] is None, "its own misses would be the correction"
    assert 0 <= figures["test"]["coverage"] <= 1, "corrected by the validation moment's misses"
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert "inside their" in page


def test_the_model_names_versions_data_and_settings(plain):
    found = bundle.load(plain / "model.vistazo")
    config = json.loads((plain / "config.json").read_text())
    assert found.fingerprint == config["data"]["fingerprint"]
    assert found.training["settings"]["window"] == 5
    assert found.training["compute"]["threads"] == 1
    assert found.metrics == told(plain)["metrics"]


def test_the_index_holds_every_step_as_it_was_understood(plain, source):
    from pyarrow import parquet

    table = parquet.read_table(plain / "index.parquet")
    lines = [line.split(",") for line in source.read_text().splitlines()[1:]]
    assert [str(one)[:10] for one in table["date"].to_pylist()] == [day for day, _ in lines]
    assert table["value"].to_pylist() == [float(value) for _, value in lines]


def test_the_command_line_says_how_a_table_was_read_and_what_to_do_next(verb, source):
    said = verb("train", source, *(word for word in TINY if word != "--quiet"), "--out", "run")
    assert "series: 1, 86 days from 2022-01-03 to 2022-04-12" in said.err
    assert "absent days: 14 (14 of them on a Sunday); they are taken as closed" in said.err
    assert "next:   vistazo predict run" in said.out
    assert "test: mean absolute error" in said.out


# ---------------------------------------------------------------- mistakes, one sentence each
@pytest.mark.parametrize(
    ("values", "words", "code", "says"),
    [
        pytest.param(
            [5] * 60, [], 1, "Every value of 'units' is 5: there is nothing to learn.", id="constant"
        ),
        pytest.param(
            noisy(8), [], 1, "windows of 5 steps and forecasts of 3 need at least 11.", id="too short"
        ),
        pytest.param(
            noisy(4), [], 1, "The series has 4 steps; windows of 5 steps", id="shorter than a window"
        ),
        pytest.param(noisy(60), ["--test=55"], 1, "need at least 63", id="a test part that leaves nothing"),
        pytest.param(
            noisy(60), ["--value=unidades"], 2, "The table has no column 'unidades'", id="no such column"
        ),
        pytest.param(noisy(60), ["--model=tides"], 2, "Did you mean 'tide'?", id="no such network"),
        pytest.param(noisy(60), ["--recipe=quick"], 2, "", id="a setting of another task"),
        pytest.param(["x"] * 60, [], 2, "No column holds numbers to forecast", id="no numbers"),
    ],
)
def test_a_mistake_is_one_sentence(verb, in_tmp, values, words, code, says):
    said = verb("train", write(in_tmp / "s.csv", values, closed=()), *TINY, *words, "--out", "run")
    assert said.code == code, said.err
    assert says in said.err
    assert len(said.err.splitlines()) == 1


def test_series_too_short_for_a_window_are_left_out_and_named(verb, in_tmp):
    lines = [f"{day},long,{value}" for day, value in zip(dates(60), noisy(60), strict=True)]
    lines += [f"{day},brief,{value}" for day, value in zip(dates(4), noisy(4), strict=True)]
    (in_tmp / "s.csv").write_text("date,shop,units\n" + "\n".join(lines) + "\n")
    said = verb(
        "train", "s.csv", *(word for word in TINY if word != "--quiet"), "--series=shop", "--out", "run"
    )
    assert said.code == 0, said.err
    assert "series with fewer than 5 steps, left out: 1 (brief)" in said.err
    assert {one["series"] for one in told(in_tmp / "run")["forecast"]} == {"long"}


def test_many_series_none_of_which_holds_a_window_are_too_few(verb, in_tmp):
    lines = [
        f"{day},s{k},{n + k}" for k in range(10) for n, day in enumerate(dates(6, f"2022-0{1 + k % 9}-01"))
    ]
    (in_tmp / "s.csv").write_text("date,shop,units\n" + "\n".join(lines) + "\n")
    said = verb("train", "s.csv", *TINY, "--series=shop", "--out", "run")
    assert said.code == 1
    assert "The series has 6 steps" in said.err


# ---------------------------------------------------------------- truths that are known
def ahead_of(run, steps):
    return [one["value"] for one in list(vistazo.load(run).predict(steps=steps))]


def test_an_exact_weekly_pattern_is_forecast(train, in_tmp):
    pattern = [100, 130, 90, 160, 200, 240, 60]
    run = train(write(in_tmp / "s.csv", [pattern[n % 7] for n in range(140)], closed=()), "run", base=SMALL)
    real = [pattern[(140 + n) % 7] for n in range(7)]
    assert np.abs(np.array(ahead_of(run, 7)) / real - 1).max() < 0.05
    figures = told(run)["metrics"]["test"]
    assert figures["mae"] < 5
    assert figures["baselines"][figures["best_baseline"]]["mae"] < 1e-6
    assert figures["best_baseline"] != "last value"


def test_a_random_walk_is_not_beaten_and_the_report_does_not_claim_it(verb, in_tmp):
    walk = 500 + np.cumsum(np.random.default_rng(4).normal(size=260) * 5)
    said = verb("train", write(in_tmp / "s.csv", walk.round(2), closed=()), *SMALL, "--out", "run")
    assert said.code == 0, said.err
    figures = told(in_tmp / "run")["metrics"]["test"]
    best = figures["baselines"][figures["best_baseline"]]["mae"]
    assert figures["mae"] > 0.9 * best
    page = (in_tmp / "run/report.html").read_text(encoding="utf-8")
    assert ("NOT better" in page) == (figures["mae"] >= best)
    assert ("a baseline is better" in said.out.splitlines()[1]) == (figures["mae"] > best)


def test_a_trend_is_followed(train, in_tmp):
    generator = np.random.default_rng(5)
    values = [round(100 + n / 2 + 10 * (n % 7 == 5) + 3 * generator.normal(), 2) for n in range(800)]
    run = train(write(in_tmp / "s.csv", values, closed=()), "run", base=SMALL)
    figures = told(run)["metrics"]["test"]
    assert figures["mae"] < 2 * figures["baselines"][figures["best_baseline"]]["mae"]
    assert np.mean(ahead_of(run, 7)) > np.mean(values[-21:-14])


def test_a_trend_that_is_not_followed_is_admitted(verb, in_tmp):
    values = [round(100 + 2 * n + 10 * (n % 7 == 5) + n % 3, 2) for n in range(220)]
    said = verb("train", write(in_tmp / "s.csv", values, closed=()), *TINY, "--out", "run")
    assert "a baseline is better: " in said.out.splitlines()[1]


SHAPES = {
    "mostly zero": lambda n, x: max(0, round(5 * x)) if n % 5 == 0 else 0,
    "negative": lambda n, x: -300 - 40 * (n % 7) + 3 * x,
    "on both sides of zero": lambda n, x: 10 * np.sin(n) + x,
    "enormous": lambda n, x: 1e12 * (2 + n % 7) + 1e10 * x,
    "tiny": lambda n, x: 1e-9 * (2 + n % 7) + 1e-11 * x,
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("model", ["tide", "ste"])
def test_series_of_any_shape_give_finite_forecasts_in_their_own_range(train, in_tmp, name, model):
    generator = np.random.default_rng(6)
    values = [SHAPES[name](n, generator.normal()) for n in range(100)]
    run = train(write(in_tmp / "s.csv", values, closed=()), "run", "--model", model)
    low, high = min(values), max(values)
    for one in vistazo.load(run).predict():
        assert one["low"] <= one["value"] <= one["high"]
        assert low - (high - low) <= one["value"] <= high + (high - low)


@pytest.mark.parametrize(
    ("unit", "first", "count", "words", "expected"),
    [
        ("h", "2022-01-03T00", 200, [], "2022-01-11 08"),
        ("M", "2015-01", 70, [], "2020-11-01"),
        ("W", "2020-01-06", 90, ["--step=week"], "2021-09-27"),
    ],
)
def test_hours_weeks_and_months_work_from_end_to_end(verb, in_tmp, unit, first, count, words, expected):
    if unit == "W":
        days = [str(one) for one in np.datetime64(first, "D") + 7 * np.arange(count)]
    else:
        days = dates(count, first, unit)
    if unit == "h":
        days = [f"{one}:00" for one in days]
    if unit == "M":
        days = [f"{one}-01" for one in days]
    values = [10 + n % 12 + n % 5 / 10 for n in range(count)]
    said = verb("train", write(in_tmp / "s.csv", values, days, closed=()), *TINY, *words, "--out", "run")
    assert said.code == 0, said.err
    assert next(vistazo.load("run").predict())["date"] == expected
    assert (in_tmp / "run/report.html").stat().st_size > 5000


def test_series_of_very_different_levels_each_have_their_own(train, in_tmp):
    run = train(write_shops(in_tmp / "s.csv"), "run", "--series=shop", "--epochs=5")
    found = {}
    for one in vistazo.load(run).predict():
        found.setdefault(one["series"], []).append(one["value"])
    assert set(found) == {"kiosk", "market", "mall"}
    for k, shop in enumerate(("kiosk", "market", "mall")):
        assert len(found[shop]) == 3
        assert np.mean(found[shop]) == pytest.approx(74 * 30**k, rel=0.4)


@pytest.mark.slow
def test_intervals_hold_about_eight_of_ten_values_of_pure_noise(train, in_tmp):
    held = []
    for seed in range(4):
        values = (200 + 20 * np.random.default_rng(seed).normal(size=900)).round(2)
        words = ("--task=forecasting", "--threads=1", "--quiet", "--test=120", "--epochs=4")
        run = train(write(in_tmp / f"{seed}.csv", values, closed=()), f"run{seed}", base=words)
        held.append(told(run)["metrics"]["test"]["coverage"])
    assert np.mean(held) == pytest.approx(0.8, abs=0.08), held


# ---------------------------------------------------------------- hostile names
def test_hostile_names_are_shown_and_execute_nothing(train, in_tmp):
    name, series = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
    lines = [f'"{day}","{series.replace(chr(34), chr(34) * 2)}",{value}' for day, value in
             zip(dates(60), noisy(60), strict=True)]  # fmt: skip
    lines += [f'"{day}",plain,{value}' for day, value in zip(dates(60), noisy(60, 2), strict=True)]
    (in_tmp / "s.csv").write_text(f"date,shop,{name}\n" + "\n".join(lines) + "\n")
    run = train(in_tmp / "s.csv", "run", "--series=shop", "--value", name)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;img src=x" in page


def test_a_hostile_table_reads_no_file_and_runs_no_code(verb, in_tmp):
    (in_tmp / "s.csv").write_text(
        "date,units\n" + "".join(f"{day},=cmd|' /C touch canary'!A0\n" for day in dates(60))
    )
    assert verb("train", "s.csv", *TINY, "--out", "run").code in (1, 2)
    assert not list(in_tmp.rglob("canary"))


def test_training_needs_no_source_that_is_still_there(plain, in_tmp):
    copy = shutil.copytree(plain, in_tmp / "copy")
    (copy / "index.parquet").unlink()
    assert len(list(vistazo.load(copy).predict())) == 3


def test_the_task_is_recognised_by_its_dates(verb, source):
    said = verb(
        "train",
        source,
        *(word for word in TINY if not word.startswith(("--task", "--quiet"))),
        "--out",
        "run",
    )
    assert said.code == 0, said.err
    assert "forecasting" in said.err


def test_importing_the_settings_of_a_series_imports_no_torch():
    code = (
        "import sys, vistazo.tasks as t; t.tasks['forecasting'].config(); t.tasks['forecasting'].telling(); "
    )
    code += "print({'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
