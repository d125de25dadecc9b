"""A whole classification run: honest, repeatable to the bit, and not stopped by what is broken."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import vistazo
from vistazo import bundle
from vistazo.errors import ConfigError, NotFiniteLoss, RunDiffers, RunError, TooFewExamples, TooManyBroken
from vistazo.pictures.index import read_index

RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")


@pytest.fixture
def train(verb, tiny):
    """`vistazo train SOURCE <tiny run> ...`, which has to succeed; gives the run's folder."""

    def run(source, out, *words):
        said = verb("train", source, *tiny, "--out", out, "--quiet", *words)
        assert said.code == 0, said.err
        return vistazo.resume(out, quiet=True).run

    return run


def tensors(run):
    return bundle.load(run / "model.vistazo").tensors


def same_tensors(one, other):
    one, other = tensors(one), tensors(other)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---------------------------------------------------------------- honesty
def test_permuted_test_labels_change_no_bit_of_the_weights(trained, train, clothes, write_idx, in_tmp):
    pictures, labels = clothes
    source = write_idx(in_tmp / "wardrobe", "train", pictures[:300], labels[:300])
    permuted = np.random.default_rng(0).permutation(labels[300:])
    assert (permuted != labels[300:]).any()
    write_idx(source, "t10k", pictures[300:], permuted)
    leaked = train(source, "run")
    assert same_tensors(trained, leaked)
    assert (trained / "history.jsonl").read_bytes() == (leaked / "history.jsonl").read_bytes()
    before, after = (json.loads((run / "metrics.json").read_text()) for run in (trained, leaked))
    assert before["metrics"]["validation"] == after["metrics"]["validation"]
    assert before["metrics"]["test"] != after["metrics"]["test"]


def test_other_test_pictures_change_no_bit_of_the_weights(trained, train, clothes, write_idx, in_tmp):
    pictures, labels = clothes
    source = write_idx(in_tmp / "wardrobe", "train", pictures[:300], labels[:300])
    write_idx(source, "t10k", 255 - pictures[300:350], labels[300:350])
    assert same_tensors(trained, train(source, "run"))


def test_training_labels_do_change_the_weights(trained, train, clothes, write_idx, in_tmp):
    pictures, labels = clothes
    permuted = np.random.default_rng(0).permutation(labels[:300])
    source = write_idx(in_tmp / "wardrobe", "train", pictures[:300], permuted)
    write_idx(source, "t10k", pictures[300:], labels[300:])
    assert not same_tensors(trained, train(source, "run"))


def test_training_pictures_that_the_test_part_holds_are_left_out(verb, tiny, clothes, write_idx, in_tmp):
    pictures, labels = clothes
    source = write_idx(in_tmp / "s", "train", pictures[:300], labels[:300])
    write_idx(source, "t10k", pictures[290:390], labels[290:390])
    said = verb("train", source, *tiny, "--out", "run")
    assert "Left out: 10 training pictures that are byte-identical to a test picture." in said.err
    index = read_index(in_tmp / "run" / "index.parquet")
    assert (index.split == "out").sum() == 10
    assert set(index.hash[index.split == "train"]).isdisjoint(index.hash[index.split == "test"])


def test_every_figure_stands_beside_its_n_and_its_interval(trained):
    told = json.loads((trained / "metrics.json").read_text())
    assert told["metrics"]["test"]["n"] == 100
    assert told["counts"]["test"] == 100
    assert told["counts"]["train"] + told["counts"]["validation"] == 300
    for figures in told["metrics"].values():
        assert figures["accuracy_low"] < figures["accuracy"] < figures["accuracy_high"]
        assert set(figures) >= {"accuracy", "loss", "macro_f1", "single_view_accuracy"}


def test_the_bundle_names_versions_data_and_settings(trained):
    found = bundle.load(trained / "model.vistazo")
    config = json.loads((trained / "config.json").read_text())
    assert found.fingerprint == config["data"]["fingerprint"]
    assert found.training["versions"] == {"vistazo": vistazo.__version__, "torch": torch.__version__}
    assert found.training["settings"]["seed"] == 0
    assert found.training["compute"]["threads"] == 1
    assert found.metrics == json.loads((trained / "metrics.json").read_text())["metrics"]


# ---------------------------------------------------------------- the same again
def test_the_same_seed_gives_the_same_files(trained, train, wardrobe):
    again = train(wardrobe, "again")
    for name in RESULTS:
        assert (again / name).read_bytes() == (trained / name).read_bytes()


def test_another_seed_gives_another_file(trained, train, wardrobe):
    assert not same_tensors(trained, train(wardrobe, "other", "--seed=1"))


def test_the_place_of_the_source_changes_nothing(trained, train, wardrobe, in_tmp):
    moved = shutil.copytree(wardrobe, in_tmp / "elsewhere")
    assert (train(moved, "run") / "model.vistazo").read_bytes() == (trained / "model.vistazo").read_bytes()


@pytest.mark.parametrize("accumulate", [2])
def test_a_batch_in_slices_is_as_many_steps(train, wardrobe, trained, accumulate):
    run = train(wardrobe, "run", f"--accumulate={accumulate}")
    lines = [(one / "history.jsonl").read_text().splitlines() for one in (run, trained)]
    assert len(lines[0]) == len(lines[1]) == 2


# ---------------------------------------------------------------- going on
def test_resume_for_more_epochs_keeps_the_first_ones_and_adds_the_rest(verb, train, wardrobe):
    run = train(wardrobe, "run")
    before = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    said = verb("resume", "run", "--epochs=4", "--json", "--quiet")
    assert said.code == 0, said.err
    assert said.json["epochs"] == 4
    after = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert len(after) == 4
    assert after[0] == before[0]
    # What was the last epoch is measured again: lookahead's average now goes on instead of taking the weights' place.
    assert after[1]["train"] == before[1]["train"]
    assert json.loads((run / "config.json").read_text())["settings"]["epochs"] == 4


def test_more_epochs_are_the_same_wherever_they_are_asked_for(verb, train, wardrobe, in_tmp):
    train(wardrobe, "one")
    shutil.copytree("one", "two")
    for run in ("one", "two"):
        assert verb("resume", run, "--epochs=3", "--quiet").code == 0
    assert (in_tmp / "one/model.vistazo").read_bytes() == (in_tmp / "two/model.vistazo").read_bytes()


def test_fewer_epochs_than_planned_are_refused(verb, earlier):
    said = verb("resume", earlier, "--epochs=1")
    assert said.code == 2
    assert "already has a plan of 2 epochs; --epochs must be more" in said.err


def test_epochs_asked_for_before_the_plan_was_made_are_part_of_the_run(verb, train, wardrobe, tiny, in_tmp):
    run = train(wardrobe, "run")
    config = json.loads((run / "config.json").read_text())
    shutil.rmtree(run)
    run.mkdir()
    early = {name: config[name] for name in ("task", "source", "settings", "identity")}
    (run / "config.json").write_text(json.dumps(early))  # as a kill before the data was read leaves it
    assert verb("resume", "run", "--epochs=3", "--quiet").code == 0
    again = verb("train", wardrobe, *tiny, "--epochs=3", "--out", "run", "--json", "--quiet")
    assert (again.code, again.json["epochs"]) == (0, 3)


def test_training_from_a_model_begins_with_its_weights(train, trained, wardrobe):
    # A rate that moves nothing shows where training began.
    run = train(wardrobe, "run", "--from", trained, "--rate=1e-12", "--average=none", "--epochs=1")
    begun, ended = tensors(trained), tensors(run)
    heads = [name for name in begun if name.startswith("head")]
    assert heads
    for name in heads:
        torch.testing.assert_close(begun[name], ended[name])


def test_training_from_the_last_run(train, verb, wardrobe, tiny, in_tmp):
    train(wardrobe, "first")
    said = verb("train", wardrobe, *tiny, "--seed=1", "--from", "last", "--out", "second", "--quiet")
    assert said.code == 0, said.err
    config = json.loads((in_tmp / "second/config.json").read_text())
    assert config["start"]["model"] == str(in_tmp / "first/model.vistazo")


def test_training_from_a_model_of_other_classes_is_refused(verb, earlier, tiny, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green")
    said = verb("train", source, *tiny, "--from", earlier, "--out", "run", "--quiet")
    assert said.code == 2
    assert "was trained on other classes or another picture size" in said.err


def test_training_from_another_network_is_refused(verb, earlier, tiny, wardrobe):
    said = verb("train", wardrobe, *tiny, "--filters=8,8", "--from", earlier, "--out", "run", "--quiet")
    assert said.code == 2
    assert "has another network than --model and --filters ask for; leave them out" in said.err


def test_training_from_a_model_takes_its_network_where_none_is_named(verb, trained, wardrobe):
    said = verb("train", wardrobe, "--from", trained, "--epochs=1", "--threads=1", "--out=r", "--json")
    assert said.code == 0, said.err
    assert {name: one.shape for name, one in tensors(Path("r")).items()} == {
        name: one.shape for name, one in tensors(trained).items()
    }


def test_a_run_that_began_from_a_model_resumes_only_from_the_same_one(verb, train, trained, wardrobe, in_tmp):
    first = shutil.copytree(trained, in_tmp / "first")
    run = train(wardrobe, "run", "--from", first)
    (run / "model.vistazo").unlink()
    shutil.rmtree(run / "checkpoints")
    shutil.copy(train(wardrobe, "other", "--seed=5") / "model.vistazo", first / "model.vistazo")
    said = verb("resume", "run")
    assert said.code == 2
    assert "is not the model that this run began from" in said.err


# ---------------------------------------------------------------- what is broken
def spoil(source, count):
    """Cut `count` pictures of a folder short."""
    for path in sorted(source.rglob("*.png"))[:count]:
        path.write_bytes(path.read_bytes()[:60])


def test_broken_pictures_are_named_and_left_out(verb, tiny, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", "blue", each=14)
    spoil(source, 2)
    said = verb("train", source, *tiny, "--out", "run")
    assert said.code == 0, said.err
    broken = json.loads((in_tmp / "run/metrics.json").read_text())["broken"]
    assert len(broken) == 2
    for fault in broken:
        assert f"left out: {fault['file']} ({fault['reason']})" in said.err
        assert fault["file"] in (in_tmp / "run/report.html").read_text(encoding="utf-8")
        assert fault["file"] not in read_index(in_tmp / "run/index.parquet").where


def test_too_many_broken_pictures_stop_the_run_and_max_broken_allows_them(
    verb, tiny, folder_of_pictures, in_tmp
):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=12)
    spoil(source, 3)
    said = verb("train", source, *tiny, "--out", "run", "--quiet")
    assert said.code == 1
    assert "3 of 24 pictures cannot be used (12%; --max-broken allows 5%)" in said.err
    assert verb("train", source, *tiny, "--max-broken=0.2", "--out", "run2", "--quiet").code == 0


def test_a_run_that_failed_goes_on_once_its_pictures_are_mended(verb, tiny, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green")
    whole = shutil.copytree(source, in_tmp / "whole")
    spoil(source, 20)
    assert verb("train", source, *tiny, "--out", "run", "--quiet").code == 1
    assert json.loads((in_tmp / "run/status.json").read_text())["phase"] == "failed"
    shutil.copytree(whole, source, dirs_exist_ok=True)
    assert verb("resume", "run", "--quiet").code == 0


def test_a_class_whose_pictures_are_all_broken_is_named(in_tmp, folder_of_pictures):
    source = folder_of_pictures(in_tmp / "s", "green", "red", each=5)
    spoil(source, 4)
    with pytest.raises(TooFewExamples, match=r"these have fewer: green"):
        vistazo.train(source, max_broken=1, quiet=True)


def test_pictures_of_every_mode_and_size_train_together(verb, tiny, folder_of_pictures, in_tmp):
    from PIL import Image

    source = folder_of_pictures(in_tmp / "s", "red", "green")
    for at, mode in enumerate(("1", "L", "LA", "P", "RGBA", "CMYK", "I;16")):
        name = source / "red" / f"mode{at}x.{'tif' if mode in ('CMYK', 'I;16') else 'png'}"
        plain = Image.new("RGB", (9 + at, 30), "red")
        (plain.convert("L").convert("I;16") if mode == "I;16" else plain.convert(mode)).save(name)
    said = verb("train", source, *tiny, "--out", "run", "--max-broken=0")
    assert said.code == 0, said.err
    assert "pictures: 31 of 20 x 24 pixels, colour" in said.err


def test_training_that_meets_nan_names_the_step_and_keeps_the_checkpoint(
    verb, train, wardrobe, tiny, in_tmp, monkeypatch
):
    from vistazo.classification import task

    step, calls = task.Program.step, []

    def poisoned(self, batch, k):
        calls.append(1)
        return step(self, batch, k) * (float("nan") if len(calls) == 4 else 1.0)

    monkeypatch.setattr(task.Program, "step", poisoned)
    said = verb("train", wardrobe, *tiny, "--epochs=3", "--out", "run", "--quiet", "--checkpoint-seconds=0")
    assert said.code == 1
    assert "Training met nan at step 4" in said.err
    assert not (in_tmp / "run/model.vistazo").exists()
    monkeypatch.undo()


# ---------------------------------------------------------------- arrays and API
def test_arrays_train_like_files(in_tmp, clothes):
    pictures, labels = clothes
    result = vistazo.train((pictures, labels), epochs=1, filters="8,16", threads=2, quiet=True)
    assert result.run.parent.name == "runs"
    assert result.metrics["test"]["n"] >= 30
    model = vistazo.load(result.model)
    assert model.classes == tuple("0123456789")
    answers = list(model.predict(pictures[:3]))
    assert [answer["file"] for answer in answers] == ["array-0#0", "array-0#1", "array-0#2"]


def test_arrays_with_an_official_test_part(in_tmp, clothes):
    pictures, labels = clothes
    source = {"train": (pictures[:300], labels[:300]), "test": (pictures[300:], labels[300:])}
    result = vistazo.train(source, epochs=1, filters="8,16", quiet=True)
    assert result.metrics["test"]["n"] == 100


def test_a_run_on_arrays_resumes_with_the_arrays_and_refuses_others(in_tmp, clothes):
    pictures, labels = clothes
    settings = {
        "filters": "8,16",
        "precision": "fp32",
        "layout": "contiguous",
        "threads": 2,
        "quiet": True,
        "out": "r",
    }
    vistazo.train((pictures, labels), epochs=1, **settings)
    with pytest.raises(RunError, match="was trained on arrays: give them again with source="):
        vistazo.resume("r", epochs=2, quiet=True)
    assert vistazo.resume("r", epochs=2, quiet=True, source=(pictures, labels)).epochs == 2
    with pytest.raises(RunDiffers, match="The data of r is not what it was"):
        vistazo.train((255 - pictures, labels), epochs=2, **settings)


def test_errors_are_python_exceptions_too(in_tmp, clothes):
    pictures, labels = clothes
    with pytest.raises(ConfigError, match="--epochs must be at least 1"):
        vistazo.train((pictures, labels), epochs=0)
    with pytest.raises(TooFewExamples, match="one class only"):
        vistazo.train((pictures, labels * 0), quiet=True)
    assert issubclass(TooManyBroken, vistazo.errors.VistazoError)
    assert issubclass(NotFiniteLoss, vistazo.errors.VistazoError)


def test_an_early_stop_by_a_figure_keeps_that_epoch(verb, wardrobe, tiny, in_tmp):
    said = verb("train", wardrobe, *tiny, "--epochs=5", "--stop-at=accuracy=0.01", "--out", "r", "--json")
    assert said.code == 0, said.err
    assert said.json["epochs"] == 1
    told = json.loads((in_tmp / "r/metrics.json").read_text())
    assert (told["kept_epoch"], told["ended"]) == (1, "accuracy 0.01 reached")


def test_the_published_network_trains(verb, wardrobe, in_tmp):
    said = verb("train", wardrobe, "--model=mnist_cnn", "--epochs=1", "--precision=fp32", "--threads=2",
                "--layout=contiguous", "--json", "--out", "r")  # fmt: skip
    assert (said.code, said.json["parameters"]) == (0, 542_230)


@pytest.mark.parametrize(("height", "width"), [(16, 128), (100, 17)])
def test_strips_train(verb, in_tmp, height, width):
    noise = np.random.default_rng(0).integers(0, 255, (40, height, width), np.uint8)
    labels = np.arange(40) % 2
    noise[labels == 1] //= 2
    assert vistazo.train((noise, labels), epochs=1, threads=2, quiet=True).epochs == 1
