"""What must hold where pictures come from: sources that change, broken caches, little memory. Rows 10, 11, 12, 19.

Rows 11 and 12, bombs and any bytes, are in `pictures/test_malformed.py`: each reader is tried there in a child process.
"""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vistazo.pictures import cache, entries
from vistazo.pictures.index import read_index
from vistazo.pictures.stores import Files, Zipped

RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A cache of the test's own, in which even few pictures are kept."""
    monkeypatch.setenv("VISTAZO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST", 0)
    return tmp_path / "cache"


@pytest.fixture
def after_reads(monkeypatch):
    """Do something once so many pictures were read from a kind of store."""

    def arrange(kind, count, act):
        read, reads = kind.read, []

        def counted(self, row):
            reads.append(row)
            if len(reads) == count:
                act()
            return read(self, row)

        monkeypatch.setattr(kind, "read", counted)

    return arrange


def broken_of(run):
    return {one["file"]: one["reason"] for one in json.loads((run / "metrics.json").read_text())["broken"]}


# ---------------------------------------------------------------- sources that change
def test_a_folder_that_changes_while_it_is_read_is_what_was_read_of_it(
    verb, folder_of_pictures, tiny, in_tmp, after_reads
):
    """The survey reads all 80 first; a change during the second reading finds some decoded and some not."""
    root = folder_of_pictures(in_tmp / "d", "a", "b", each=40)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    other = io.BytesIO()
    Image.new("RGB", (20, 24), "teal").save(other, "PNG")

    def change():
        (root / names[-1]).unlink()
        (root / names[-2]).write_bytes((root / names[-2]).read_bytes()[:50])
        (root / names[-3]).write_bytes(other.getvalue())
        (root / "b" / "new.png").write_bytes(other.getvalue())

    after_reads(Files, 82, change)
    said = verb("train", root, *tiny, "--out=run", "--quiet")
    assert said.code == 0, said.err
    assert broken_of(in_tmp / "run") == {
        names[-1]: "the file does not exist",
        names[-2]: "it is damaged or cut short",
    }
    index = read_index(in_tmp / "run/index.parquet")
    assert index.where == tuple(names[:-2])
    from blake3 import blake3

    assert index.hash[-1].decode() == blake3(other.getvalue()).hexdigest(16)


def test_an_archive_that_is_cut_while_it_is_read_is_named(
    verb, folder_of_pictures, tiny, in_tmp, after_reads
):
    root = folder_of_pictures(in_tmp / "d", "a", "b", each=40)
    with zipfile.ZipFile(in_tmp / "d.zip", "w") as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, path.relative_to(root))
    whole = (in_tmp / "d.zip").read_bytes()

    def cut():
        with open(in_tmp / "d.zip", "r+b") as file:
            file.truncate(len(whole) // 2)

    after_reads(Zipped, 90, cut)
    said = verb("train", in_tmp / "d.zip", *tiny, "--out=run", "--quiet")
    assert said.code == 1
    assert "of 80 pictures cannot be used" in said.err
    assert "(the archive is damaged here)" in said.err
    (in_tmp / "d.zip").write_bytes(whole)
    assert verb("train", in_tmp / "d.zip", *tiny, "--out=run", "--quiet").code == 0  # nothing is lost


@pytest.mark.parametrize("size", ["--size=24", "--size=20"], ids=["as they are", "brought to a size"])
def test_an_array_that_is_cut_while_it_is_read_ends_in_a_sentence(launch, tiny, in_tmp, size):
    """To look at a mapped file that was cut ends a process; so it is a process that looks."""
    (in_tmp / "d").mkdir()
    for label in range(2):
        pixels = np.random.default_rng(label).integers(0, 256, (200, 24, 24, 3), np.uint8)
        np.save(in_tmp / "d" / f"{label}.npy", pixels)
    (in_tmp / "cut.py").write_text(
        "import os, sys\n"
        "from vistazo import cli\n"
        "from vistazo.pictures import cache\n"
        "load = cache.load\n"
        "def cut(*args, **rest):\n"
        "    os.truncate('d/1.npy', 100_000)\n"
        "    return load(*args, **rest)\n"
        "cache.load = cut\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    words = ["train", "d", *tiny, "--epochs=1", size, "--group-by=none", "--out=run", "--quiet"]
    done = subprocess.run(
        [sys.executable, "cut.py", *words], cwd=in_tmp, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LANGUAGE": "en"},
    )  # fmt: skip
    assert done.returncode == 1, done
    assert "143 of 400 pictures cannot be used" in done.stderr
    assert "The first: 1.npy#57 (the file was cut while it was read)." in done.stderr


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_a_manifest_in_any_encoding_names_the_files_that_are_missing(
    verb, folder_of_pictures, tiny, in_tmp, encoding
):
    root = folder_of_pictures(in_tmp / "d", "ñandú", "b", each=40)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    (root / names[0]).unlink()
    with open(root / "m.csv", "w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=";").writerows(
            [("ruta", "etiqueta"), *((name, name.split("/")[0]) for name in [*names, "b/never.png"])]
        )
    said = verb("train", root / "m.csv", *tiny, "--out=run", "--quiet")
    assert said.code == 0, said.err
    assert broken_of(in_tmp / "run") == dict.fromkeys((names[0], "b/never.png"), "the file does not exist")
    assert read_index(in_tmp / "run/index.parquet").classes == ("b", "ñandú")


# ---------------------------------------------------------------- the cache
def files_of(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("room", ["0k", "8k", "64k"])
def test_a_cache_on_a_full_disk_costs_no_run(
    verb, folder_of_pictures, tiny, in_tmp, own_folder, small_disk, monkeypatch, room
):
    root = folder_of_pictures(in_tmp / "d", "a", "b")
    before = files_of(root)
    assert verb("train", root, *tiny, "--out=one", "--quiet").code == 0
    disk = small_disk("256k")
    (disk / "others").write_bytes(bytes((256 - int(room[:-1])) * 1024))
    monkeypatch.setenv("VISTAZO_CACHE", str(disk))
    for module in (cache, entries):  # which would see that there is no room, and not begin
        monkeypatch.setattr(module, "free", lambda at: 1 << 40)
    monkeypatch.setenv("VISTAZO_CACHE_GB", "1")
    said = verb("train", root, *tiny, "--out=two")
    assert said.code == 0, said.err
    for name in RESULTS:
        assert (in_tmp / "one" / name).read_bytes() == (in_tmp / "two" / name).read_bytes()
    assert files_of(root) == before
    assert (disk / "others").stat().st_size > 0


def test_a_cache_on_a_read_only_disk_serves_what_it_has_and_costs_no_run(
    verb, folder_of_pictures, tiny, in_tmp, own_folder, small_disk, read_only, monkeypatch
):
    root = folder_of_pictures(in_tmp / "d", "a", "b")
    disk = small_disk("4m")
    monkeypatch.setenv("VISTAZO_CACHE", str(disk))
    for module in (cache, entries):
        monkeypatch.setattr(module, "SPARED", 0)
    assert verb("train", root, *tiny, "--out=one", "--quiet").code == 0
    assert [one.complete for one in entries.kept()] == [True]
    before = files_of(disk)
    read_only(disk)
    assert verb("train", root, *tiny, "--out=two", "--quiet").code == 0
    said = verb("train", root, *tiny, "--size=16", "--out=three")
    assert said.code == 0, said.err
    assert f"{disk} cannot be written: decoded pictures are not kept." in said.err
    for name in RESULTS:
        assert (in_tmp / "one" / name).read_bytes() == (in_tmp / "two" / name).read_bytes()
    said = verb("cache", "clear")
    assert (said.code, said.err) == (1, f"{disk} cannot be written: nothing was removed.\n")
    assert verb("cache").code == 0
    assert files_of(disk) == before


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_of_two_runs_that_share_a_cache_one_is_killed_and_the_other_ends_the_same(
    launch, verb, folder_of_pictures, tiny, in_tmp, own_folder
):
    """The first is held while it decodes, until the second waits for it; then it is killed."""
    root = folder_of_pictures(in_tmp / "d", "a", "b", each=50)
    words = ("train", root, *tiny, "--epochs=1", "--size=128", "--recipe=quick")
    first = launch(*words, "--out=one")
    end = time.monotonic() + 250
    while not list((own_folder / "pictures").glob("*.part")):
        assert first.poll() is None
        assert time.monotonic() < end
        time.sleep(0.001)
    first.send_signal(signal.SIGSTOP)
    second = launch(*words, "--out=two")
    assert any(b"another process is decoding these pictures" in line for line in second.stderr)
    first.send_signal(signal.SIGKILL)
    first.wait()
    _, err = second.communicate(timeout=250)
    assert second.returncode == 0, err.decode()
    assert verb(*words, "--out=three", "--quiet").code == 0
    assert verb("resume", "one", "--quiet").code == 0
    for name in RESULTS:
        assert (in_tmp / "two" / name).read_bytes() == (in_tmp / "three" / name).read_bytes()
        assert (in_tmp / "one" / name).read_bytes() == (in_tmp / "two" / name).read_bytes()


# ---------------------------------------------------------------- memory (row 19)
@contextlib.contextmanager
def limited(most):
    """What a child process calls to be held to so many bytes, the files it has in memory counted."""
    version1 = Path("/sys/fs/cgroup/memory")
    group = (version1 if version1.is_dir() else Path("/sys/fs/cgroup")) / f"vistazo-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if version1.is_dir() else "memory.max")).write_text(str(most))
    except OSError:
        pytest.skip("only root can hold a process to so much memory, on Linux")
    try:
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    finally:
        group.rmdir()


def write_arrays(root, side, total):
    """Two classes of pictures, `total` bytes in all: files with holes, of each picture two lines are written."""
    each = total // (side * side * 3) // 2 + 1
    root.mkdir()
    for label in range(2):
        rng = np.random.default_rng(label)
        pixels = np.lib.format.open_memmap(root / f"{label}.npy", "w+", np.uint8, (each, side, side, 3))
        for at in range(each):
            pixels[at, :2] = rng.integers(0, 256, (2, side, 3), np.uint8) // 2 + 127 * label
        del pixels
    assert sum(path.stat().st_size for path in root.iterdir()) >= total
    return root


def under(limit, folder, *words):
    """What Python prints, in a process that has so much memory."""
    path = os.pathsep.join(filter(None, sys.path))
    with limited(limit) as enter:
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False, preexec_fn=enter,
            env={**os.environ, "PYTHONPATH": path, "VISTAZO_CACHE": str(folder / "cache")},
        )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout


@pytest.mark.slow
def test_a_data_set_of_ten_times_the_memory_is_learnt_from(tiny, in_tmp):
    """Large pictures, brought to a size in one pass: what is held is what the settings say."""
    limit = 640 << 20  # of which Python and torch take more than half
    source = write_arrays(in_tmp / "d", 768, 10 * limit)
    words = (
        "train",
        str(source),
        *tiny,
        "--epochs=1",
        "--size=32",
        "--group-by=none",
        "--out=run",
        "--quiet",
    )
    under(limit, in_tmp, "-m", "vistazo", *words)
    assert json.loads((in_tmp / "run/metrics.json").read_text())["counts"]


READ = """
import sys, numpy as np
from pathlib import Path
from vistazo.pictures import cache, sources
found = sources.read_source(Path("d"), classes_file=None)
rows = np.arange(len(found.index))
loaded = cache.load(found.store, rows, height=96, width=96, channels=3, threads=2)
print(loaded.pixels.mapped, len(loaded.rows), len(loaded.broken), len(set(loaded.hashes.tolist())))
print(sum(int(block[:, :2].astype(np.int64).sum()) for block in loaded.pixels.blocks()))
"""


@pytest.mark.slow
def test_pixels_of_ten_times_the_memory_are_read_through_the_disk(in_tmp):
    """Pictures that have the wanted size already, none of which could be left out of memory otherwise."""
    limit = 160 << 20
    source = write_arrays(in_tmp / "d", 96, 10 * limit)
    told, total = under(limit, in_tmp, "-c", READ).splitlines()
    arrays = [np.lib.format.open_memmap(path, "r") for path in sorted(source.iterdir())]
    count = sum(map(len, arrays))
    assert told == f"True {count} 0 {count}"
    assert int(total) == sum(int(array[:, :2].astype(np.int64).sum()) for array in arrays)
