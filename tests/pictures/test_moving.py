"""Files are moved aside and brought back exactly, whenever the program is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from vistazo.errors import DiskError, SourceDamaged, SourceMissing, UsageError
from vistazo.pictures import moving
from vistazo.pictures.moving import move, quarantine, undo

NAMES = ["a/1.jpg", "a/b/2.jpg", "ñ/=3 (x).png", "a/empty.jpg", "4.txt"]


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "photos"
    for name in [*NAMES, "a/stays.jpg"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"" if "empty" in name else name.encode() * 9)
    return folder


def test_files_are_moved_beside_and_brought_back_exactly(source):
    before = tree(source)
    done = move(source, NAMES)
    assert done.files == 5 and done.left == ()
    assert tree(source) == {"a/stays.jpg": before["a/stays.jpg"]}
    moved = tree(quarantine(source))
    assert {f"1/{name}" for name in NAMES} | {"moves-1.jsonl"} == set(moved)
    assert all(moved[f"1/{name}"] == before[name] for name in NAMES)
    back = undo(source, done.log)
    assert back.files == 5 and back.left == ()
    assert tree(source) == before
    assert [path.name for path in quarantine(source).rglob("*")] == ["moves-1.jsonl"]
    assert undo(source, done.log).files == 0


def test_a_second_move_has_a_log_and_a_folder_of_its_own_and_overwrites_nothing(source):
    before = tree(source)
    first = move(source, ["a/1.jpg"])
    (source / "a" / "1.jpg").write_bytes(b"another")
    second = move(source, ["a/1.jpg"])
    assert (first.log.name, second.log.name) == ("moves-1.jsonl", "moves-2.jsonl")
    assert tree(quarantine(source))["1/a/1.jpg"] == before["a/1.jpg"]
    assert tree(quarantine(source))["2/a/1.jpg"] == b"another"
    undo(source, second.log)
    told = undo(source, first.log)
    assert told.left == (("a/1.jpg", "another file is there now"),)
    assert (source / "a" / "1.jpg").read_bytes() == b"another"
    assert tree(quarantine(source))["1/a/1.jpg"] == before["a/1.jpg"]


def test_what_is_missing_or_behind_a_link_is_left_and_told(source, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.jpg").write_bytes(b"x")
    (source / "link").symlink_to(tmp_path / "outside")
    (source / "one.jpg").symlink_to(tmp_path / "outside" / "x.jpg")
    done = move(source, ["a/1.jpg", "none.jpg", "link/x.jpg", "one.jpg", "a", "a/1.jpg", "x" * 300])
    assert done.files == 1
    assert [name[:12] for name, _ in done.left] == ["none.jpg", "link/x.jpg", "one.jpg", "a", "x" * 12]
    assert (tmp_path / "outside" / "x.jpg").exists()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "..\\x", "C:\\x", "a\0b", ".", ""])
def test_a_name_that_leads_out_is_refused_and_nothing_moved(source, name):
    before = tree(source.parent)
    with pytest.raises(SourceDamaged, match="leads out of"):
        move(source, ["a/1.jpg", name])
    assert tree(source.parent) == before


@pytest.mark.parametrize(
    "entry",
    [
        {"from": "../../x", "to": "1/a", "size": 1},
        {"from": "a", "to": "/etc/passwd", "size": 1},
        {"from": "a", "to": "1/../../x", "size": 1},
        {"from": "a", "size": 1},
        {"from": 3, "to": "1/a", "size": 1},
        {"from": "a", "to": "1/a", "size": "big"},
        ["a"],
    ],
)
def test_a_forged_log_moves_nothing(source, tmp_path, entry):
    log = tmp_path / "log.jsonl"
    log.write_text(
        json.dumps({"format": 1, "source": "x"}) + "\n" + json.dumps(entry) + "\n", encoding="utf-8"
    )
    before = tree(tmp_path)
    with pytest.raises(SourceDamaged):
        undo(source, log)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "text", ["", "{}\n", "no json\n", '{"format": 2}\n', '{"format": 1}\nx\n{}\n', "\xff"]
)
def test_what_is_no_log_is_told_in_a_sentence(source, tmp_path, text):
    (tmp_path / "log").write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceDamaged, match="is no log of moves"):
        undo(source, tmp_path / "log")
    with pytest.raises(SourceMissing, match="no log of moves at"):
        undo(source, tmp_path / "nothing")


def test_only_a_folder_can_be_moved_from(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match="Only files of a folder can be moved"):
        move(tmp_path / "a.zip", ["x"])


# ---------------------------------------------------------------- what may come in between
def test_at_every_moment_of_a_move_undo_brings_all_back(source, monkeypatch):
    """The program ends before each of its steps on the disk, one after the other."""

    class Killed(BaseException):
        pass

    before = tree(source)
    for place in ("replace", "open"):
        for step in range(8):
            real, left = {"replace": os.replace, "open": open}[place], [step]

            def dying(*words, real=real, left=left, **options):
                if len(words) > 1 and words[1] == "rb":
                    return real(*words, **options)
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return real(*words, **options)

            with monkeypatch.context() as patch:
                if place == "replace":
                    patch.setattr(moving.os, "replace", dying)
                else:
                    patch.setattr(moving, "open", dying, raising=False)
                try:
                    done = move(source, NAMES)
                    undo(source, done.log)
                except Killed:
                    pass
            for log in sorted(quarantine(source).glob("*.jsonl"), reverse=True):
                undo(source, log)
            assert tree(source) == before, (place, step)


CODE = """
import sys
from pathlib import Path
from vistazo.pictures.moving import move, undo
source = Path(sys.argv[1])
names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
print("ready", flush=True)
while True:
    undo(source, move(source, names).log)
"""


def test_killed_again_and_again_nothing_is_lost(tmp_path):
    source = tmp_path / "many"
    for at in range(120):
        folder = source / f"class {at % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{at}.jpg").write_bytes(bytes([at]) * (at % 4))
    before = tree(source)
    chance = random.Random(0)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(source)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout
        process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.08))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        logs = quarantine(source).glob("moves-*.jsonl")
        for log in sorted(logs, key=lambda path: int(path.stem[6:]), reverse=True):
            if log.stat().st_size:
                undo(source, log)
        assert tree(source) == before


def test_a_log_that_was_cut_tells_of_nothing_that_was_moved(source, tmp_path):
    done = move(source, NAMES)
    undo(source, done.log)
    before = tree(source)
    data = done.log.read_bytes()
    done.log.write_bytes(data[:-9])
    assert undo(source, done.log).files == 0
    assert tree(source) == before


def test_a_read_only_source_is_told_in_one_sentence_and_nothing_is_left_behind(
    tmp_path, small_disk, read_only
):
    disk = small_disk("256k")
    (disk / "photos" / "a").mkdir(parents=True)
    (disk / "photos" / "a" / "1.jpg").write_bytes(b"1")
    before = tree(disk)
    read_only(disk)
    with pytest.raises(DiskError) as told:
        move(disk / "photos", ["a/1.jpg"])
    assert str(told.value).startswith("Nothing was moved: ")
    assert "--corrections review.csv" in str(told.value)
    assert tree(disk) == before


def test_a_source_that_is_a_disk_of_its_own_is_copied_from_and_brought_back(small_disk):
    disk = small_disk("256k")
    (disk / "a").mkdir()
    (disk / "a" / "1.jpg").write_bytes(b"12345")
    (disk / "a" / "2.jpg").write_bytes(b"")
    before = tree(disk)
    done = move(disk, ["a/1.jpg", "a/2.jpg"])
    assert done.files == 2 and tree(disk) == {}
    assert tree(quarantine(disk))["1/a/1.jpg"] == b"12345"
    undo(disk, done.log)
    assert tree(disk) == before


def test_a_disk_that_fills_up_loses_nothing(small_disk, source):
    disk = small_disk("64k", "nr_inodes=12")
    names = [f"{at}/{at}.jpg" for at in range(4)]
    for name in names:
        (disk / "photos" / name).parent.mkdir(parents=True)
        (disk / "photos" / name).write_bytes(b"x")
    before = tree(disk / "photos")
    with pytest.raises(DiskError):
        move(disk / "photos", names)
    for log in quarantine(disk / "photos").glob("*.jsonl"):
        undo(disk / "photos", log)
    assert tree(disk / "photos") == before
