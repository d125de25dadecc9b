"""A whole run on a table: honest, repeatable to the bit, resumable, and explained."""

import json
import signal
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import vistazo
from vistazo import bundle
from vistazo.engine.runs import Run
from vistazo.errors import BundleDamaged, ConfigError, RunDiffers, Stopped, UnknownName

RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")


def figures(run):
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- what a run gives
def test_a_run_on_classes_learns_and_stands_beside_simple_answers(flower_run):
    told = figures(flower_run.run)
    assert flower_run.task == told["task"] == "tabular"
    assert told["metrics"]["test"]["accuracy"] >= 0.8
    assert told["metrics"]["test"]["n"] == told["counts"]["test"] == 12
    beside = told["metrics"]["test"]["baselines"]
    assert beside["most_common"]["accuracy"] == pytest.approx(1 / 3, abs=0.01)
    assert beside["linear"]["log_loss"] < beside["most_common"]["log_loss"]
    assert {"accuracy", "loss", "macro_f1", "log_loss", "rps"} <= set(told["metrics"]["validation"])
    assert told["parameters"]["total"] == flower_run.parameters
    assert told["classes"] == ["daisy", "rose", "tulip"]


def test_the_importance_finds_what_tells_and_what_does_not(flower_run):
    told = figures(flower_run.run)["importance"]
    assert set(told) == {"length", "width", "place", "noise"}
    assert told["noise"]["mean"] < max(one["mean"] for one in told.values()) / 2


def test_a_run_on_numbers_learns_and_its_interval_holds_what_it_should(house_run):
    told = figures(house_run.run)["metrics"]["test"]
    assert told["r2"] > 0.9
    assert told["mae"] < told["baselines"]["mean"]["mae"] / 3
    assert 0.4 <= told["coverage"] <= 1  # of 20 rows
    assert told["baselines"]["linear"]["r2"] > 0.95


def test_the_index_names_every_row_with_its_part(flower_run):
    found = pq.read_table(flower_run.run / "index.parquet").to_pydict()
    assert found["row"] == list(range(2, 122))
    assert set(found["part"]) == {"train", "validation", "test"}
    assert len(set(found["hash"])) == 120


def test_the_bundle_holds_what_its_answers_depend_on(flower_run):
    found = bundle.load(flower_run.model)
    assert (
        found.fingerprint == json.loads((flower_run.run / "config.json").read_text())["data"]["fingerprint"]
    )
    assert [one["name"] for one in found.preprocessing["columns"]] == ["length", "width", "place", "noise"]
    assert found.facts["target"] == "flower"
    assert found.training["versions"] == {"vistazo": vistazo.__version__, "torch": torch.__version__}


# ---------------------------------------------------------------- the same again
def test_the_same_seed_gives_the_same_files_and_another_seed_others(flowers, learn, in_tmp):
    one, same, other = (learn(flowers, target="flower", out=f"r{n}", seed=n // 2).run for n in range(3))
    for name in RESULTS:
        assert (one / name).read_bytes() == (same / name).read_bytes()
    assert (one / "model.vistazo").read_bytes() != (other / "model.vistazo").read_bytes()


def test_a_run_that_was_stopped_ends_as_one_that_was_not(flowers, write_table, learn, in_tmp, monkeypatch):
    source = write_table(in_tmp / "f.csv", flowers)
    settings = {"target": "flower", "batch": 32, "epochs": 4}
    whole = learn(source, **settings, out="whole").run
    for steps in (1, 4, 8):
        calls = []

        def stop_at(self, steps=steps, calls=calls):
            calls.append(1)
            return len(calls) > steps

        with monkeypatch.context() as patch:
            patch.setattr(Run, "asked_to_stop", stop_at)
            with pytest.raises(Stopped):
                learn(source, **settings, out=f"cut{steps}")
        resumed = vistazo.resume(f"cut{steps}", quiet=True).run
        for name in RESULTS:
            assert (resumed / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_a_run_that_was_killed_ends_as_one_that_was_not(flowers, write_table, launch, verb, in_tmp):
    source = write_table(in_tmp / "f.csv", flowers)
    words = ("--target=flower", "--threads=1", "--epochs=60", "--batch=8", "--checkpoint-seconds=0")
    process = launch("train", source, *words, "--out", "killed")
    end = time.monotonic() + 60
    while process.poll() is None and len(list((in_tmp / "killed/checkpoints").glob("*"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (in_tmp / "killed/model.vistazo").exists()
    assert verb("resume", "killed", "--quiet").code == 0
    assert verb("train", source, *words, "--out", "whole", "--quiet").code == 0
    for name in RESULTS:
        assert (in_tmp / "killed" / name).read_bytes() == (in_tmp / "whole" / name).read_bytes(), name


def test_other_labels_of_the_test_part_change_no_bit_of_the_weights(flowers, learn, in_tmp):
    split = (["train"] * 4 + ["test"]) * 24
    labels = np.array(flowers["flower"], dtype=object)
    test = np.array(split) == "test"
    permuted = labels.copy()
    permuted[test] = np.random.default_rng(0).permutation(labels[test])
    one, other = (
        learn({**flowers, "split": split, "flower": list(given)}, target="flower", out=name).run
        for name, given in (("one", labels), ("other", permuted))
    )
    weights = [bundle.load(run / "model.vistazo").tensors for run in (one, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert figures(one)["metrics"]["test"] != figures(other)["metrics"]["test"]


def test_a_changed_table_is_not_the_run_it_began_with(flowers, write_table, learn, in_tmp):
    source = write_table(in_tmp / "f.csv", flowers)
    learn(source, target="flower", out="run")
    write_table(source, {**flowers, "noise": flowers["noise"][::-1]})
    with pytest.raises(RunDiffers, match="is not what it was"):
        learn(source, target="flower", out="run")


def test_resume_for_more_epochs_goes_on(flowers, write_table, learn, in_tmp):
    source = write_table(in_tmp / "f.csv", flowers)
    run = learn(source, target="flower", out="run").run
    before = (run / "history.jsonl").read_text().splitlines()
    assert vistazo.resume("run", epochs=5, quiet=True).epochs == 5
    after = (run / "history.jsonl").read_text().splitlines()
    assert json.loads(after[0]) == json.loads(before[0])


# ---------------------------------------------------------------- small, odd and refused
@pytest.mark.parametrize("seed", range(5))
def test_four_rows_of_exclusive_or_are_learnt(learn, in_tmp, seed):
    xor = {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "out": [0, 1, 1, 0]}
    result = vistazo.train(xor, target="out", seed=seed, threads=1, quiet=True)
    assert result.metrics == {"validation": None, "test": None}
    model = vistazo.load(result.model)
    assert [answer["class"] for answer in model.predict(xor)] == ["0", "1", "1", "0"]
    assert all(answer["probability"] > 0.9 for answer in model.predict(xor))


def test_the_published_network_of_two_sixteen_one_learns_it_too(in_tmp):
    xor = {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "out": [0, 1, 1, 0]}
    result = vistazo.train(
        xor, target="out", kind="regression", hidden="16", members=1, threads=1, quiet=True
    )
    assert result.parameters == 2 * 16 + 16 + 16 + 1
    values = [answer["value"] for answer in vistazo.load(result.model).predict(xor)]
    np.testing.assert_allclose(values, [0, 1, 1, 0], atol=0.2)


def test_the_residual_network_and_every_setting_train(flowers, learn, in_tmp):
    result = learn(
        flowers, target="flower", model="residual", scaler="robust", decay=0.1, batch=8, patience=2, clip=1.0,
        accumulate=2, ordered="rose,daisy,tulip",
    )  # fmt: skip
    assert vistazo.load(result.model).classes == ("rose", "daisy", "tulip")
    with pytest.raises(UnknownName, match="no model 'forest'"):
        learn(flowers, target="flower", model="forest")
    with pytest.raises(ConfigError, match="--hidden 8,16 does not suit the model"):
        learn(flowers, target="flower", model="residual", hidden="8,16")
    with pytest.raises(
        ConfigError, match="--test_share must be at most 0.5|--test-share must be at most 0.5"
    ):
        learn(flowers, target="flower", test_share=0.9)


def test_dates_and_missing_cells_train(learn, in_tmp):
    days = np.datetime64("2023-01-01") + np.arange(100)
    weekend = [("no", "yes")[int((day.astype(int) + 3) % 7 >= 5)] for day in days]
    result = learn(
        {"day": days, "size": [None if n % 3 else n * 1.5 for n in range(100)], "open": weekend},
        target="open", epochs=40, hidden="32", decay=0.0,
    )  # fmt: skip
    assert figures(result.run)["metrics"]["test"]["accuracy"] >= 0.8
    assert "day, in years" in (result.run / "report.html").read_text(encoding="utf-8")


def test_a_forged_model_file_is_refused(flower_run, tmp_path):
    good = bundle.load(flower_run.model)
    import dataclasses

    for name, change in {
        "classes": {"facts": {**good.facts, "classes": ["one"]}},
        "columns": {"preprocessing": {**good.preprocessing, "columns": good.preprocessing["columns"][:2]}},
        "reach": {"facts": {**good.facts, "reach": -1}},
        "background": {
            "tensors": {**good.tensors, "background.codes": good.tensors["background.codes"] + 99}
        },
        "reading": {"preprocessing": {**good.preprocessing, "reading": {"header": "perhaps"}}},
    }.items():
        path = tmp_path / f"{name}.vistazo"
        bundle.save(dataclasses.replace(good, **change), path)
        with pytest.raises(BundleDamaged, match="does not hold together"):
            vistazo.load(path)
