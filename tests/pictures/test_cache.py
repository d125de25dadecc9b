"""Decoded pictures kept on disk: the same as decoded anew, whatever happens to the disk, the files or the process."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from vistazo import platform
from vistazo.errors import DiskError
from vistazo.pictures import cache, decoding, entries
from vistazo.pictures.stores import Files

SIZE = {"height": 16, "width": 16, "channels": 3, "threads": 2}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of the test's own, in which even few pictures are kept."""
    monkeypatch.setenv("VISTAZO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST", 0)
    return tmp_path / "cache" / "pictures"


@dataclass(frozen=True)
class Counted(Files):
    """Files that count how often they are read."""

    reads: list = field(default_factory=list)

    def read(self, row):
        self.reads.append(self.where[row])
        return super().read(row)

    def take(self, rows):
        return Counted(self.root, tuple(self.where[row] for row in rows), self.reads)


def picture(seed, *, height=40, width=32):
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(data, "JPEG")
    return data.getvalue()


@pytest.fixture
def files(tmp_path):
    """300 JPEG files, of which two hold no picture."""
    root = tmp_path / "source"
    root.mkdir()
    for at in range(300):
        (root / f"{at:03d}.jpg").write_bytes(b"none" if at in (7, 290) else picture(at))
    return Counted(root, tuple(f"{at:03d}.jpg" for at in range(300)))


def loaded(store, rows=None, **settings):
    rows = np.arange(len(store)) if rows is None else rows
    return cache.load(store, rows, **{**SIZE, **settings})


def same(found, other):
    assert (found.pixels[:] == other.pixels[:]).all()
    assert (found.rows == other.rows).all()
    assert (found.hashes == other.hashes).all()
    assert [one.where for one in found.broken] == [one.where for one in other.broken]


# ---------------------------------------------------------------- the same, without decoding
def test_what_was_decoded_once_is_the_same_and_is_not_decoded_again(files):
    plain = decoding.load(files, np.arange(300), **SIZE)
    first = loaded(files)
    files.reads.clear()
    again = loaded(files)
    same(first, plain)
    same(again, plain)
    assert first.pixels.mapped
    assert again.pixels.mapped
    assert sorted({"007.jpg", "290.jpg"} - set(files.reads)) == []  # what is broken is tried again
    assert len(files.reads) == 2 + cache.PROVED


def test_a_part_of_what_is_kept_is_found_in_any_order(files):
    rows = np.array([250, 7, 3, 299, 0])
    plain = decoding.load(files, rows, **SIZE)
    loaded(files)
    files.reads.clear()
    same(loaded(files, rows, keep=False), plain)
    assert len(files.reads) <= 1 + cache.PROVED


def test_another_size_is_another_entry_and_a_question_alone_builds_none(files, folder):
    loaded(files, keep=False)
    assert entries.kept() == []
    loaded(files)
    loaded(files, height=8)
    assert sorted(one.size for one in entries.kept()) == [(8, 16, 3), (16, 16, 3)]


def test_few_small_pictures_are_decoded_and_not_kept(files, monkeypatch):
    monkeypatch.setattr(cache, "SMALLEST", 4 << 20)
    assert not loaded(files).pixels.mapped
    assert entries.kept() == []


# ---------------------------------------------------------------- when files change
def test_only_what_changed_is_decoded_again(files):
    loaded(files)
    (files.root / "100.jpg").write_bytes(picture(1000))
    (files.root / "new.jpg").write_bytes(picture(1001))
    grown = Counted(files.root, (*files.where, "new.jpg"))
    found = loaded(grown)
    same(found, decoding.load(Files(grown.root, grown.where), np.arange(301), **SIZE))
    assert {"100.jpg", "new.jpg"} <= set(grown.reads)
    assert len(set(grown.reads)) <= 4 + 2 * cache.PROVED


def test_a_picture_that_was_mended_is_taken(files):
    loaded(files)
    (files.root / "007.jpg").write_bytes(picture(7))
    found = loaded(files)
    assert [one.where for one in found.broken] == ["290.jpg"]
    same(found, decoding.load(files, np.arange(300), **SIZE))


def test_one_that_could_not_be_read_for_a_while_is_added_to_the_entry(files, monkeypatch):
    good = Files.read

    def failing(self, row):
        if self.where[row] == "042.jpg":
            raise OSError(5, "Input/output error")
        return good(self, row)

    monkeypatch.setattr(Files, "read", failing)
    assert "042.jpg" in [one.where for one in loaded(files).broken]
    monkeypatch.setattr(Files, "read", good)
    same(loaded(files), decoding.load(files, np.arange(300), **SIZE))
    files.reads.clear()
    same(loaded(files), decoding.load(Files(files.root, files.where), np.arange(300), **SIZE))
    assert "042.jpg" not in files.reads or len(files.reads) <= 2 + cache.PROVED


# ---------------------------------------------------------------- when the entry is not what it was
@pytest.mark.parametrize("name", ["pixels", "keys", "hashes", "good", "entry.json"])
@pytest.mark.parametrize("damage", ["gone", "short", "other"])
def test_a_damaged_entry_is_made_anew(files, folder, name, damage):
    plain = decoding.load(files, np.arange(300), **SIZE)
    loaded(files)
    path = next(one for one in folder.iterdir() if one.is_dir()) / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "short":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(bytes(255 - one for one in data))
    same(loaded(files), plain)
    files.reads.clear()
    same(loaded(files), plain)
    assert len(files.reads) <= 2 + cache.PROVED


# ---------------------------------------------------------------- the disk
def test_a_full_disk_costs_the_cache_and_not_the_pictures(files, small_disk, monkeypatch):
    place = small_disk("64k")
    monkeypatch.setenv("VISTAZO_CACHE", str(place))
    monkeypatch.setattr(cache, "SPARED", 0)
    monkeypatch.setattr(cache, "free", lambda at: 1 << 40)
    monkeypatch.setattr(entries, "free", lambda at: 1 << 40)
    monkeypatch.setenv("VISTAZO_CACHE_GB", "1")
    said = []
    same(loaded(files, say=said.append), decoding.load(files, np.arange(300), **SIZE))
    assert said == [f"The disk of {place} is full: decoded pictures are not kept."]
    assert not [one for one in (place / "pictures").iterdir() if one.is_dir()]  # its room is given back


def test_where_there_is_no_room_nothing_is_begun(files, small_disk, monkeypatch):
    monkeypatch.setenv("VISTAZO_CACHE", str(small_disk("64k")))
    said = []
    assert not loaded(files, say=said.append).pixels.mapped
    assert said == []


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_cache(files, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VISTAZO_CACHE", str(tmp_path / "file"))
    said = []
    same(loaded(files, say=said.append), decoding.load(files, np.arange(300), **SIZE))
    assert said == [f"{tmp_path / 'file'} cannot be written: decoded pictures are not kept."]


def test_what_fits_nowhere_is_told_before_an_hour_of_work(files, monkeypatch):
    monkeypatch.setenv("VISTAZO_CACHE_GB", "0.0001")
    monkeypatch.setattr(platform, "free_memory", lambda: 100_000)
    with pytest.raises(
        DiskError, match=r"take 1 MB once decoded: more than the free memory \(1 MB\).*VISTAZO_CACHE"
    ):
        loaded(files)
    assert files.reads == []


def test_the_entry_unused_longest_makes_room(files, monkeypatch):
    loaded(files)
    time.sleep(0.02)
    loaded(files, height=12)
    time.sleep(0.02)
    loaded(files)  # used again
    each = entries.kept()[0].bytes
    monkeypatch.setenv("VISTAZO_CACHE_GB", str(2.2 * each / 1e9))
    loaded(files, width=12)
    assert sorted(one.size for one in entries.kept()) == [(16, 12, 3), (16, 16, 3)]


def test_clearing_removes_all_of_it(files, folder):
    loaded(files)
    loaded(files, height=8)
    (folder / "left.123.gone").mkdir()
    count, freed = entries.clear()
    assert count == 2
    assert freed > 300 * 16 * 16 * 3
    assert list(folder.iterdir()) == []


# ---------------------------------------------------------------- several processes
CHILD = """
import sys, time
import numpy as np
from vistazo.pictures import cache, decoding
from vistazo.pictures.stores import Files

cache.SMALLEST, cache.OFTEN = 0, 0.0

class Slow(Files):
    def read(self, row):
        time.sleep(float(sys.argv[2]))
        print(self.where[row], flush=True)
        return super().read(row)

root = sys.argv[1]
store = Slow(root, tuple(f"{at:03d}.jpg" for at in range(300)))
store = Slow(__import__("pathlib").Path(root), store.where)
found = cache.load(store, np.arange(300), height=16, width=16, channels=3, threads=2,
                   say=lambda one: print(one, file=sys.stderr, flush=True))
print("sum", int(found.pixels[:].astype(np.int64).sum()), len(found.rows), flush=True)
"""


def child(root, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_killed_process_leaves_what_it_decoded_to_the_next(files, folder):
    plain = decoding.load(Files(files.root, files.where), np.arange(300), **SIZE)
    first = child(files.root, 0.01)
    for _ in range(200):
        first.stdout.readline()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (part,) = entries.kept()
    assert not part.complete
    done = int((part.folder / "done").read_text())
    assert done > 50
    same(loaded(files), plain)
    assert len(set(files.reads)) <= 300 - done + cache.PROVED
    assert [one.complete for one in entries.kept()] == [True]


def test_of_two_processes_one_decodes_and_the_other_waits(files):
    total = int(decoding.load(files, np.arange(300), **SIZE).pixels[:].astype(np.int64).sum())
    both = [child(files.root, 0.005) for _ in range(2)]
    told = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    assert all(out.endswith(f"sum {total} 298\n") for out, _ in told)
    reads = sorted(len(out.splitlines()) - 1 for out, _ in told)
    assert reads[0] <= 2 + 2 * cache.PROVED
    assert reads[1] >= 300
    assert "another process is decoding these pictures; waiting for it" in told[0][1] + told[1][1]


def test_the_one_that_waits_goes_on_where_the_other_was_killed(files):
    total = int(decoding.load(files, np.arange(300), **SIZE).pixels[:].astype(np.int64).sum())
    first = child(files.root, 0.01)
    for _ in range(100):
        first.stdout.readline()
    second = child(files.root, 0)
    assert "waiting" in second.stderr.readline()
    first.kill()
    out, _ = second.communicate(timeout=60)
    first.communicate()
    assert out.endswith(f"sum {total} 298\n")
    assert len(out.splitlines()) < 280


def test_clearing_leaves_what_is_being_built(files, folder):
    first = child(files.root, 0.01)
    for _ in range(50):
        first.stdout.readline()
    assert entries.clear() == (0, 0)
    out, _ = first.communicate(timeout=60)
    assert "sum" in out


def test_a_stop_does_not_wait_for_what_has_not_begun(files):
    begun = []

    class Stop(Exception):
        pass

    def work(first, last):
        begun.append(first)
        time.sleep(0.01)

    def stopped():
        for last, _ in decoding.in_blocks(10_000, 2, work):
            if last > 100:
                raise Stop

    with pytest.raises(Stop):
        stopped()
    time.sleep(0.1)
    assert len(begun) < 20
    assert threading.active_count() < 10


# ---------------------------------------------------------------- the command
def test_the_command_lists_and_clears(files, verb):
    loaded(files, source="/home/ana/fotos")
    said = verb("cache")
    assert "300 pictures of 16 × 16 × 3  /home/ana/fotos" in said.out
    told = verb("cache", "--json").json
    assert told["entries"][0]["pictures"] == 300
    assert told["bytes"] == told["entries"][0]["bytes"] > 0
    assert "removed: 1 sets of pictures" in verb("cache", "clear").out
    assert verb("cache", "--json").json["entries"] == []
    assert verb("cache", "drop").code == 2


def test_training_twice_decodes_once(verb, photographs, in_tmp):
    words = ["--recipe=quick", "--epochs=1", "--device=cpu", "--json"]
    first = verb("train", photographs, *words, "--out=one")
    assert first.code == 0, first.err
    assert [one.complete for one in entries.kept()] == [True]
    second = verb("train", photographs, *words, "--out=two")
    assert json.loads(first.out)["metrics"] == json.loads(second.out)["metrics"]
    assert len(entries.kept()) == 1


@pytest.fixture
def photographs(tmp_path):
    for label in ("a", "b"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for at in range(40):
            path = tmp_path / "photos" / label / f"{at}.jpg"
            path.write_bytes(picture(at + 500 * (label == "b"), height=120, width=96))
    return tmp_path / "photos"
