"""Whole runs on changed pictures: told, frozen, equal to the bit after a kill."""

import json
import shutil
import signal
import sys
import time

import pytest

RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")
EVERY = "--augment=all"


@pytest.fixture
def colours(folder_of_pictures, in_tmp):
    return folder_of_pictures(in_tmp / "s", "red", "green", "blue", each=20)


def assert_equal(run, other):
    for name in RESULTS:
        assert (run / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_a_run_with_every_change_that_was_killed_ends_as_if_nothing_had_happened(
    launch, verb, tiny, colours, in_tmp
):
    words = ["train", colours, *tiny, EVERY, "--batch=16", "--epochs=4", "--checkpoint-seconds=0", "--quiet"]
    process = launch(*words, "--out", "run")
    checkpoints, end = in_tmp / "run" / "checkpoints", time.monotonic() + 60
    while process.poll() is None and not (checkpoints.is_dir() and any(checkpoints.iterdir())):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (in_tmp / "run" / "model.vistazo").exists()
    assert verb("resume", "run", "--quiet").code == 0
    assert verb(*words, "--out", "straight").code == 0
    assert_equal(in_tmp / "run", in_tmp / "straight")


def test_the_changes_are_told_frozen_and_part_of_what_a_run_is(verb, tiny, colours, in_tmp):
    words = ["train", colours, *tiny, "--out", "run"]
    said = verb(*words, "--augment", "recipe,rotate=15,mixup=0.2")
    assert said.code == 0, said.err
    told = (
        "pictures change every epoch: shift: moved by up to 1 px; flip: mirrored every other epoch; "
        "rotate: turned by ±15°; mixup: mixed with another picture, Beta 0.2"
    )
    assert told in said.err
    config = json.loads((in_tmp / "run/config.json").read_text())
    assert config["decided"]["augment"] == [["rotate", -15.0, 15.0], ["mixup", 0.2, 0.2]]
    page = (in_tmp / "run/report.html").read_text(encoding="utf-8")
    assert "rotate: turned by ±15°" in page
    other = verb(*words, "--augment", "recipe,rotate=16,mixup=0.2")
    assert other.code == 1
    assert "augment" in other.err


def test_none_is_pictures_as_they_are_and_the_plain_recipe_is_its_list(verb, tiny, wardrobe, trained, in_tmp):
    plain = verb("train", wardrobe, *tiny, "--augment", "none", "--out", "none")
    assert "pictures are trained on as they are" in plain.err
    assert verb("train", wardrobe, *tiny, "--augment", "shift,", "--out", "shift", "--quiet").code == 0
    shifted, usual = ((one / "history.jsonl").read_bytes() for one in (in_tmp / "shift", trained))
    assert shifted == usual  # grey pictures are not mirrored
    assert (in_tmp / "none/history.jsonl").read_bytes() != usual


def test_slices_of_a_batch_hold_mixed_targets_too(verb, tiny, colours):
    said = verb("train", colours, *tiny, EVERY, "--accumulate=3", "--out", "run", "--quiet")
    assert said.code == 0, said.err


def test_a_file_of_settings_may_list_them(verb, tiny, colours, in_tmp):
    (in_tmp / "run.toml").write_text('augment = ["shift=2", "hue=30"]\n', encoding="utf-8")
    assert verb("train", colours, *tiny, "--config", "run.toml", "--out", "run", "--quiet").code == 0
    config = json.loads((in_tmp / "run/config.json").read_text())
    assert config["decided"]["reach"] == 2
    assert config["decided"]["augment"] == [["hue", -30.0, 30.0]]
    shutil.rmtree(in_tmp / "run")
    (in_tmp / "run.toml").write_text('augment = ["hue=300"]\n', encoding="utf-8")
    said = verb("train", colours, "--config", "run.toml", "--out", "run", "--quiet")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "--augment: hue must lie between -180 and 180" in said.err
    assert not (in_tmp / "run").exists()
