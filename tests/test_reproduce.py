"""`vistazo reproduce`: every task does a finished run again and says what came of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import vistazo
from vistazo.errors import RunError


def changed(run, name, change):
    path = run / name
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


@pytest.fixture
def sales(in_tmp):
    lines = [f"2024-{1 + at // 28:02}-{1 + at % 28:02},{at % 7}" for at in range(112)]
    (in_tmp / "sales.csv").write_text("\n".join(["day,units", *lines]), encoding="utf-8")
    return "sales.csv"


@pytest.fixture
def clients(in_tmp):
    lines = [f"{at % 17},{at % 5},{'yes' if at % 17 > 8 else 'no'}" for at in range(120)]
    (in_tmp / "clients.csv").write_text("\n".join(["months,calls,left", *lines]), encoding="utf-8")
    return "clients.csv"


# ---------------------------------------------------------------- equal
def test_a_run_of_pictures_is_done_again_to_the_bit(verb, earlier, in_tmp):
    said = verb("reproduce", earlier)
    assert said.code == 0, said.err
    assert said.out.splitlines() == [
        f"Equal to the bit: weights, history and figures of {earlier} and {earlier}-reproduced.",
        f"next:   vistazo predict {earlier}-reproduced PICTURE...",
    ]
    again = Path(f"{earlier}-reproduced")
    for name in ("model.vistazo", "history.jsonl", "metrics.json", "index.parquet"):
        assert (again / name).read_bytes() == (earlier / name).read_bytes()


@pytest.mark.parametrize("kind", ["sales", "clients"])
def test_a_run_of_a_table_is_done_again_to_the_bit(verb, request, kind):
    source = request.getfixturevalue(kind)
    more = (
        ("--target=left",)
        if kind == "clients"
        else ("--window=5", "--horizon=2", "--origins=1", "--model=dlinear")
    )
    said = verb("train", source, *more, "--epochs=1", "--threads=1", "--out", "run", "--quiet")
    assert said.code == 0, said.err
    told = verb("reproducir", "run", "--json", "--quiet").json
    assert told["equal"] is True, told
    assert (told["largest_difference"], told["metrics"], told["first_epoch"], told["reason"]) == (
        0.0,
        {},
        0,
        "",
    )
    assert told["reproduced"] == "run-reproduced"


def test_a_study_is_done_again_run_by_run(verb, wardrobe, tiny, in_tmp):
    assert verb("train", wardrobe, *tiny, "--epochs=1", "--folds=2", "--out", "run", "--quiet").code == 0
    told = verb("reproduce", "run", "--json", "--quiet").json
    assert told["equal"] is True, told
    assert (in_tmp / "run-reproduced/fold-2/model.vistazo").exists()
    changed(
        in_tmp / "run/fold-2", "metrics.json", lambda old: {**old, "metrics": {"test": {"accuracy": 0.123}}}
    )
    from vistazo.engine.comparing import compare

    found = compare(in_tmp / "run", in_tmp / "run-reproduced")
    assert not found.equal
    assert found.metrics["fold-2: test.accuracy"]["was"] == 0.123


def test_what_was_decided_is_taken_over_and_not_decided_again(verb, trained, in_tmp, monkeypatch):
    """As a budget or a probe decided it, on a machine that this one is not."""
    run = shutil.copytree(trained, in_tmp / "run")
    changed(run, "config.json", lambda old: {**old, "decided": {**old["decided"], "epochs": 1, "batch": 50}})
    said = verb("reproduce", run, "--json", "--quiet")
    assert said.code == 0, said.err
    config = json.loads((in_tmp / "run-reproduced/config.json").read_text())
    assert (config["decided"]["epochs"], config["decided"]["batch"]) == (1, 50)
    assert len((in_tmp / "run-reproduced/history.jsonl").read_text().splitlines()) == 1
    assert said.json["first_epoch"] == 1


def test_what_the_clock_decided_is_done_again_without_a_clock(verb, wardrobe, in_tmp, monkeypatch):
    from vistazo.classification import budget
    from vistazo.engine.pacing import Pace

    passed = Pace.passed
    with monkeypatch.context() as patch:
        patch.setattr(budget, "MOST_EPOCHS", 6)
        patch.setattr(Pace, "passed", lambda pace, step, _: passed(pace, step, 0.2 if step < 20 else 5.0))
        words = ("--time=60s", "--filters=8,16", "--precision=fp32", "--layout=contiguous", "--threads=1")
        assert verb("train", wardrobe, *words, "--out=run", "--quiet").code == 0
    config = json.loads((in_tmp / "run/config.json").read_text())
    assert config["replanned"]
    assert config["replanned"][-1][1] < config["decided"]["steps"]
    told = verb("reproduce", "run", "--json", "--quiet").json
    assert told["equal"] is True, told
    again = json.loads((in_tmp / "run-reproduced/config.json").read_text())
    assert again["replanned"] == config["replanned"]


def test_a_run_that_did_not_write_down_what_the_clock_decided_says_so(verb, trained, in_tmp):
    run = shutil.copytree(trained, in_tmp / "run")
    more = {"steps": 8, "seconds": 60.0}
    changed(run, "config.json", lambda old: {**old, "decided": {**old["decided"], **more}})
    told = verb("reproduce", run, "--json", "--quiet").json
    assert told["equal"] is False
    assert told["reason"] == (
        "the clock decided how long to train, and the run did not write down what it decided"
    )


# ---------------------------------------------------------------- not equal, and why
def test_other_data_is_no_error_but_the_reason(verb, clothes, write_idx, tiny, in_tmp):
    pictures, labels = clothes
    source = write_idx(in_tmp / "source", "train", pictures[:200], labels[:200])
    assert verb("train", source, *tiny, "--epochs=1", "--out", "run", "--quiet").code == 0
    write_idx(in_tmp / "source", "train", pictures[:210], labels[:210])
    said = verb("reproduce", "run")
    assert said.code == 0, said.err
    assert "Not equal: run and run-reproduced." in said.out
    assert "largest difference of a weight: " in said.out
    assert "likely why: the data is not what it was" in said.out
    assert "the history differs from epoch 1 on" in said.out


def test_another_torch_and_machine_are_the_reason(verb, trained, in_tmp):
    run = shutil.copytree(trained, in_tmp / "run")
    changed(run, "environment.json", lambda old: {**old, "torch": "2.10.0", "processor": "abacus"})
    lines = (run / "history.jsonl").read_text().splitlines()
    lines[1] = lines[1].replace("0.", "0.1", 1)
    (run / "history.jsonl").write_text("\n".join(lines) + "\n")
    told = verb("reproduce", run, "--json", "--quiet").json
    assert told["equal"] is False
    assert told["largest_difference"] == 0.0
    assert told["first_epoch"] == 2
    assert "torch: 2.10.0 then, " in told["reason"]
    assert "processor: abacus then, " in told["reason"]


def test_a_run_that_was_trained_for_longer_says_so(verb, trained, in_tmp):
    run = shutil.copytree(trained, in_tmp / "run")
    assert verb("resume", run, "--epochs=3", "--quiet").code == 0
    told = verb("reproduce", run, "--json", "--quiet").json
    assert told["equal"] is False
    assert "trained for longer after its end" in told["reason"]


# ---------------------------------------------------------------- where it goes, and what is refused
def test_the_new_run_goes_where_it_is_told_or_to_the_next_free_name(verb, trained, in_tmp):
    run = shutil.copytree(trained, in_tmp / "run")
    assert verb("reproduce", run, "--out", "there", "--json", "--quiet").json["reproduced"] == "there"
    for name in ("run-reproduced", "run-reproduced-2"):
        assert Path(verb("reproduce", run, "--json", "--quiet").json["reproduced"]).name == name


def test_an_unfinished_reproduction_goes_on(verb, trained, in_tmp, monkeypatch):
    from vistazo.engine.runs import Run

    run = shutil.copytree(trained, in_tmp / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_control", lambda run: "stop")
        said = verb("reproduce", run, "--quiet")
    assert said.code == 3
    assert f"vistazo resume {run}-reproduced" in said.err
    told = verb("reproduce", run, "--json", "--quiet").json
    assert (told["equal"], Path(told["reproduced"]).name) == (True, "run-reproduced")


def test_last_and_a_relative_dot_are_runs(verb, trained, in_tmp, monkeypatch):
    run = shutil.copytree(trained, in_tmp / "run")
    monkeypatch.chdir(run)
    told = verb("reproduce", ".", "--json", "--quiet").json
    assert told["equal"]
    assert Path(told["reproduced"]).name == "run-reproduced"
    assert Path(told["reproduced"]).resolve().parent == in_tmp.resolve()


def test_what_cannot_be_done_again_is_refused(verb, trained, in_tmp):
    run = shutil.copytree(trained, in_tmp / "run")
    assert "is the run itself; choose another --out" in verb("reproduce", run, "--out", run).err
    assert "There is no model at nowhere" in verb("reproduce", "nowhere").err
    changed(run, "status.json", lambda old: {**old, "phase": "stopped"})
    said = verb("reproduce", run)
    assert said.code == 1
    assert "is not finished. Continue it with: vistazo resume" in said.err
    (run / "model.vistazo").unlink()
    assert "has no finished model yet" in verb("reproduce", run).err
    assert not list(in_tmp.glob("*reproduced*"))


def test_a_source_that_is_gone_is_named(verb, trained, in_tmp):
    run = shutil.copytree(trained, in_tmp / "run")
    changed(run, "config.json", lambda old: {**old, "source": "/nowhere"})
    said = verb("reproduce", run)
    assert said.code == 1
    assert "There is nothing at /nowhere" in said.err


def test_arrays_are_given_again(in_tmp, clothes):
    given = (clothes[0][:60], clothes[1][:60] % 2)
    settings = {"epochs": 1, "filters": "8,16", "precision": "fp32", "layout": "contiguous", "threads": 1}
    vistazo.train(given, out="run", quiet=True, **settings)
    with pytest.raises(RunError, match="was trained on arrays: give them again with source="):
        vistazo.reproduce("run")
    assert vistazo.reproduce("run", source=given, quiet=True).equal
    other = vistazo.reproduce("run", source=(np.flip(given[0]).copy(), given[1]), quiet=True)
    assert not other.equal
    assert other.reason == "the data is not what it was"


# ---------------------------------------------------------------- --deterministic
def test_deterministic_is_written_down_and_leaves_nothing_switched_on(verb, wardrobe, tiny, trained, in_tmp):
    import torch

    said = verb("train", wardrobe, *tiny, "--deterministic", "--out", "run", "--quiet")
    assert said.code == 0, said.err
    assert not torch.are_deterministic_algorithms_enabled()
    assert json.loads((in_tmp / "run/environment.json").read_text())["deterministic"] is True
    assert json.loads((trained / "environment.json").read_text())["deterministic"] is False
    assert "deterministic</dt><dd>yes" in "".join((in_tmp / "run/report.html").read_text().split("\n"))
    assert (in_tmp / "run/history.jsonl").read_bytes() == (
        trained / "history.jsonl"
    ).read_bytes()  # a CPU repeats
    assert verb("reproduce", "run", "--json", "--quiet").json["equal"] is True


def test_an_operation_that_does_not_repeat_ends_the_run_in_a_sentence(
    verb, wardrobe, tiny, in_tmp, monkeypatch
):
    import torch

    from vistazo.classification.training import Program

    whole = Program.step

    def step(program, batch, k):
        torch.zeros(4).put_(torch.tensor([0, 0]), torch.ones(2))
        return whole(program, batch, k)

    monkeypatch.setattr(Program, "step", step)
    said = verb("train", wardrobe, *tiny, "--deterministic", "--out", "run", "--quiet")
    assert said.code == 2
    assert "--deterministic: put_ has no form that repeats on this device." in said.err
    assert len(said.err.splitlines()) == 1
    assert json.loads((in_tmp / "run/status.json").read_text())["phase"] == "failed"
    assert not torch.are_deterministic_algorithms_enabled()
    assert verb("train", wardrobe, *tiny, "--epochs=1", "--out", "other", "--quiet").code == 0
