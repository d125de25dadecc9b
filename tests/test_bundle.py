"""The model file: whole or not at all, checked before a number is used, and never code."""

import hashlib
import json
import os
import pickle
import random
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from vistazo import bundle as bundles
from vistazo import platform
from vistazo.bundle import FORMAT, Bundle, load, read_container, save, write_container
from vistazo.errors import BundleDamaged, BundleError, BundleTooNew, DiskError, VistazoError

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, -2], dtype=torch.int64)}


@pytest.fixture
def model() -> Bundle:
    return Bundle(
        task="classification",
        model="mnist_cnn",
        arguments={"channels": 1, "classes": 2},
        preprocessing={"height": 28, "mean": [0.1307]},
        facts={"classes": ["año", "\u202e<script>"]},
        training={"settings": {"seed": 0}},
        metrics={"test": {"accuracy": 0.5}},
        fingerprint="0" * 64,
        tensors=TENSORS,
    )


def assert_same(one: Bundle, other: Bundle) -> None:
    assert replace(one, tensors={}) == replace(other, tensors={})
    assert one.tensors.keys() == other.tensors.keys()
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


# ---------------------------------------------------------------- what is written comes back
def test_a_model_comes_back_as_it_was(model, tmp_path):
    save(model, tmp_path / "m.vistazo")
    assert_same(load(tmp_path / "m.vistazo"), model)


def test_a_glance_tells_the_facts_and_refuses_nothing(model, tmp_path):
    path = tmp_path / "m.vistazo"
    save(model, path)
    assert bundles.glance(path)["task"] == "classification"
    whole = path.read_bytes()
    for data in (
        b"",
        b"text",
        whole[:40],
        whole[:8] + b"[1]" + whole[11:],
        b"\xff" * 100,
        b"\x02" + bytes(7) + b"{}",
    ):
        path.write_bytes(data)
        assert bundles.glance(path) == {}
    with pytest.raises(OSError):
        bundles.glance(tmp_path / "nothing")


def test_equal_models_are_equal_files(model, tmp_path):
    save(model, tmp_path / "1.vistazo")
    turned = dict(reversed(list(TENSORS.items())))
    save(replace(model, tensors=turned, training=dict(model.training)), tmp_path / "2.vistazo")
    assert (tmp_path / "1.vistazo").read_bytes() == (tmp_path / "2.vistazo").read_bytes()


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool],
    ids=str,
)
def test_every_kind_of_number_comes_back(tmp_path, dtype):
    tensors = {"x": torch.tensor([[0, 1], [1, 0]]).to(dtype), "empty": torch.zeros(0, 3, dtype=dtype)}
    write_container(tmp_path / "c", tensors, {})
    back, _ = read_container(tmp_path / "c")
    assert all(torch.equal(back[name], tensors[name]) and back[name].dtype == dtype for name in tensors)


def test_a_tensor_in_another_layout_in_memory_comes_back(tmp_path):
    picture = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    write_container(tmp_path / "c", {"x": picture}, {})
    assert torch.equal(read_container(tmp_path / "c")[0]["x"], picture)


def test_other_tools_can_open_it(model, tmp_path):
    save(model, tmp_path / "m.vistazo")
    with safe_open(tmp_path / "m.vistazo", framework="pt") as opened:
        assert set(opened.keys()) == set(TENSORS)
        assert json.loads(opened.metadata()["vistazo"])["facts"]["model"] == "mnist_cnn"


def test_sixty_four_zeros_in_the_facts_are_not_taken_for_the_place_of_the_hash(model, tmp_path):
    hostile = replace(model, task="0" * 64, facts={"sha256": "0" * 64, "00": "0" * 200})
    save(hostile, tmp_path / "m.vistazo")
    assert_same(load(tmp_path / "m.vistazo"), hostile)


def test_a_figure_that_is_no_number_is_not_written(model, tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        save(replace(model, metrics={"loss": float("nan")}), tmp_path / "m.vistazo")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- cut, altered, foreign
def test_a_thousand_flipped_bytes_and_cuts_are_each_found(model, tmp_path):
    path = tmp_path / "m.vistazo"
    save(model, path)
    whole, draw = path.read_bytes(), random.Random(20)
    harmed = tmp_path / "harmed.vistazo"
    for _ in range(1000):
        data = bytearray(whole)
        if draw.random() < 0.7:
            data[draw.randrange(len(data))] ^= draw.randrange(1, 256)
        else:
            del data[draw.randrange(len(data)) :]
        harmed.write_bytes(data)
        with pytest.raises(BundleDamaged, match="harmed.vistazo is damaged"):
            load(harmed)


def test_every_single_byte_of_the_file_is_under_the_checksum(model, tmp_path):
    path = tmp_path / "m.vistazo"
    save(model, path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BundleDamaged):
            load(path)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 8, id="a header of no length"),
        pytest.param(b"\xff" * 64, id="a header of 16 exabytes"),
        pytest.param((2).to_bytes(8, "little") + b"[]", id="a list"),
        pytest.param((2).to_bytes(8, "little") + b"{}", id="no metadata"),
        pytest.param((60_000).to_bytes(8, "little") + b"[" * 60_000, id="nested too deep"),
        pytest.param(pickle.dumps({"a": 1}), id="a pickle"),
        pytest.param(b"PK\x03\x04" + b"\0" * 100, id="a zip, as torch.save writes"),
        pytest.param(b"<html>404</html>", id="a page of an error, downloaded"),
    ],
)
def test_what_is_no_model_file_is_named(tmp_path, data):
    (tmp_path / "x.vistazo").write_bytes(data)
    with pytest.raises(BundleDamaged, match=r"x\.vistazo is damaged or is not a Vistazo file"):
        load(tmp_path / "x.vistazo")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"nowhere\.vistazo cannot be read \(No such file"):
        load(tmp_path / "nowhere.vistazo")


def test_a_folder_is_not_a_model_file(tmp_path):
    with pytest.raises(BundleError, match="cannot be read"):
        load(tmp_path)


def test_a_container_of_another_kind_is_not_a_model(tmp_path):
    write_container(tmp_path / "c", TENSORS, {"kind": "checkpoint"})
    with pytest.raises(BundleDamaged, match="is not a Vistazo model file"):
        load(tmp_path / "c")


def forge(path: Path, outer: object, tensors: dict | None = None, *, seal: bool = True) -> None:
    """A container with any metadata and, as an attacker could make it, a right checksum."""
    text = json.dumps(outer)
    header = json.dumps({"__metadata__": {"vistazo": text}, **(tensors or {})}).encode()
    data = len(header).to_bytes(8, "little") + header + b"\0" * 64
    if seal:
        data = data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)
    path.write_bytes(data)


def test_a_newer_format_says_how_to_update(tmp_path):
    forge(tmp_path / "m.vistazo", {"sha256": "0" * 64, "format": FORMAT + 1, "facts": {}})
    with pytest.raises(BundleTooNew, match=rf"format {FORMAT + 1}, .* pip install --upgrade vistazo"):
        load(tmp_path / "m.vistazo")


def test_a_damaged_version_is_damage_and_not_the_future(tmp_path):
    forge(tmp_path / "m.vistazo", {"sha256": "1" * 64, "format": FORMAT + 1, "facts": {}}, seal=False)
    with pytest.raises(BundleDamaged):
        load(tmp_path / "m.vistazo")


FULL = {name: {} for name in ("arguments", "preprocessing", "facts", "training", "metrics")}
FULL |= {"kind": "model", "task": "classification", "model": "x", "fingerprint": ""}
ONE = {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}


@pytest.mark.parametrize(
    ("outer", "tensors"),
    [
        pytest.param([1], {}, id="a list for an object"),
        pytest.param({"sha256": 5, "format": 1, "facts": {}}, {}, id="a number for a hash"),
        pytest.param(
            {"sha256": "\ud800" * 64, "format": 1, "facts": {}}, {}, id="half a character for a hash"
        ),
        pytest.param({"sha256": "", "format": 1, "facts": {}}, {}, id="an empty hash"),
        pytest.param({"sha256": "0" * 64, "format": "1", "facts": {}}, {}, id="text for a version"),
        pytest.param({"sha256": "0" * 64, "format": 1, "facts": []}, {}, id="a list for facts"),
        pytest.param({"sha256": "0" * 64, "format": 1, "facts": {}}, {}, id="no facts"),
        pytest.param(
            {"sha256": "0" * 64, "format": 1, "facts": {**FULL, "x": 1}}, {"a": ONE}, id="a fact too many"
        ),
        pytest.param(
            {"sha256": "0" * 64, "format": 1, "facts": {**FULL, "task": 5}},
            {"a": ONE},
            id="a number for a task",
        ),
        pytest.param(
            {"sha256": "0" * 64, "format": 1, "facts": {**FULL, "facts": []}},
            {"a": ONE},
            id="a list for classes",
        ),
        pytest.param(
            {"sha256": "0" * 64, "format": 1, "facts": FULL},
            {"a": {**ONE, "shape": [1 << 40]}},
            id="a shape bomb",
        ),
        pytest.param(
            {"sha256": "0" * 64, "format": 1, "facts": FULL},
            {"a": {**ONE, "dtype": "F7"}},
            id="no kind of number",
        ),
        pytest.param(
            {"sha256": "0" * 64, "format": 1, "facts": FULL},
            {"a": {**ONE, "dtype": "C64", "shape": [8]}},
            id="complex numbers",
        ),
        pytest.param(
            {"sha256": "0" * 64, "format": 1, "facts": FULL},
            {"a": {**ONE, "data_offsets": [0, 1 << 62]}},
            id="numbers beyond the end",
        ),
    ],
)
def test_whatever_an_attacker_seals_is_a_model_or_a_named_error(tmp_path, outer, tensors):
    forge(tmp_path / "m.vistazo", outer, tensors)
    try:
        load(tmp_path / "m.vistazo")
    except VistazoError as error:
        assert "m.vistazo" in str(error)
    else:
        assert tensors["a"]["dtype"] == "C64"


def test_no_code_runs_from_a_model_file(tmp_path):
    """A pickle that would leave a mark, alone and behind a header, leaves none."""
    mark = tmp_path / "canary"

    class Attack:
        def __reduce__(self):
            return (os.mkdir, (str(mark),))

    poison = pickle.dumps(Attack())
    torch.save({"x": 1}, tmp_path / "torch.vistazo")
    (tmp_path / "pickle.vistazo").write_bytes(poison)
    (tmp_path / "header.vistazo").write_bytes(len(poison).to_bytes(8, "little") + poison)
    for path in tmp_path.glob("*.vistazo"):
        with pytest.raises(BundleDamaged):
            load(path)
    assert not mark.exists()


def test_the_source_holds_no_loader_that_runs_code():
    forbidden = (
        "import pickle",
        "weights_only=False",
        "torch.load(",
        "yaml.load",
        "joblib",
        "exec(",
        " eval(",
    )
    for file in Path(bundles.__file__).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8").replace(".eval()", "")
        if file.name == "pretrained.py":  # tensors alone, of a file whose SHA-256 stands in the code
            text = text.replace("torch.load(io.BytesIO(data), weights_only=True, map_location=", "")
        assert not [word for word in forbidden if word in text], file.name


# ---------------------------------------------------------------- full, read-only and failing disks
def test_a_full_disk_at_every_stage_keeps_the_old_model(model, small_disk):
    """Room is taken away page by page: creating, the header, the tensors and their end fail in turn."""
    disk = small_disk("256k")
    path, filler = disk / "m.vistazo", disk / "filler"
    save(model, path)
    before = path.read_bytes()
    larger = replace(model, tensors={"x": torch.zeros(16 << 10)})
    page = 4096
    room = os.statvfs(disk).f_bavail * page
    stages = 0
    for left in range(0, (64 << 10) + page, page):
        with filler.open("wb") as file:
            file.write(b"\0" * (room - left))
        with pytest.raises(DiskError, match="The disk is full: .*m.vistazo could not be written"):
            save(larger, path)
        assert path.read_bytes() == before
        assert sorted(one.name for one in disk.iterdir()) == ["filler", "m.vistazo"]
        stages += 1
    assert stages == 17
    filler.unlink()
    save(larger, path)
    assert load(path).tensors["x"].numel() == 16 << 10


def test_a_disk_without_room_for_one_more_file_keeps_the_old_model(model, small_disk):
    disk = small_disk("256k", "nr_inodes=2")
    save(model, disk / "m.vistazo") if os.statvfs(disk).f_favail else None
    if not (disk / "m.vistazo").exists():
        pytest.skip("no room for the first file")
    with pytest.raises(DiskError, match="The disk is full"):
        save(replace(model, fingerprint="1"), disk / "m.vistazo")
    assert_same(load(disk / "m.vistazo"), model)


def test_a_read_only_disk_keeps_the_old_model(model, small_disk, read_only):
    disk = small_disk("256k")
    save(model, disk / "m.vistazo")
    read_only(disk)
    with pytest.raises(DiskError, match="cannot be written: the folder is read-only"):
        save(replace(model, fingerprint="1"), disk / "m.vistazo")
    assert_same(load(disk / "m.vistazo"), model)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_keeps_the_old_model(model, tmp_path):
    save(model, tmp_path / "m.vistazo")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DiskError, match="read-only"):
            save(replace(model, fingerprint="1"), tmp_path / "m.vistazo")
    finally:
        tmp_path.chmod(0o700)
    assert_same(load(tmp_path / "m.vistazo"), model)


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
def test_a_write_that_the_system_cuts_short_keeps_the_old_model(model, tmp_path):
    """Without root: the system lets this process write no file beyond 20 kB."""
    import resource
    import signal

    save(model, tmp_path / "m.vistazo")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(DiskError, match=r"m\.vistazo could not be written \(File too large\)"):
            save(replace(model, tensors={"x": torch.zeros(16 << 10)}), tmp_path / "m.vistazo")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert_same(load(tmp_path / "m.vistazo"), model)
    assert [one.name for one in tmp_path.iterdir()] == ["m.vistazo"]


def test_a_disk_that_keeps_something_else_than_was_written_is_found(model, tmp_path, monkeypatch):
    save(model, tmp_path / "m.vistazo")
    real_fsync = os.fsync

    def decay(handle: int) -> None:
        real_fsync(handle)
        for part in tmp_path.glob(".*.part"):
            data = bytearray(part.read_bytes())
            data[-1] ^= 1
            part.write_bytes(data)

    monkeypatch.setattr(platform.os, "fsync", decay)
    with pytest.raises(DiskError, match="what was read back is not what was written"):
        save(replace(model, fingerprint="1"), tmp_path / "m.vistazo")
    assert_same(load(tmp_path / "m.vistazo"), model)


def test_a_folder_that_is_not_there_is_named(model, tmp_path):
    with pytest.raises(DiskError, match="could not be written"):
        save(model, tmp_path / "nowhere" / "m.vistazo")


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_writer_killed_at_any_moment_leaves_a_whole_file(model, tmp_path):
    """A process saves two models in turn for ever; whenever it dies, one of the two is there."""
    path = tmp_path / "m.vistazo"
    save(model, path)
    code = textwrap.dedent("""
        import sys, torch
        from dataclasses import replace
        from pathlib import Path
        from vistazo.bundle import load, save
        path = Path(sys.argv[1])
        one = load(path)
        other = replace(one, fingerprint="other", tensors={"x": torch.zeros(100_000)})
        print("ready", flush=True)
        while True:
            save(other, path)
            save(one, path)
    """)
    seen = set()
    for moment in range(8):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(timeout=0.01 * moment)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        seen.add(load(path).fingerprint)
    assert seen <= {"other", model.fingerprint}
