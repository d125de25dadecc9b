import contextlib
import os
import random
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vistazo import bundle
from vistazo.engine import checkpoints
from vistazo.engine.checkpoints import flatten, load_newest, save, unflatten
from vistazo.errors import BundleTooNew, DiskError

trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(one, other):
    """Equal in value and in type, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@given(trees)
@settings(max_examples=100, deadline=None)
def test_any_tree_comes_back_with_its_tuples_and_number_keys(tree):
    import json

    tensors = {}
    assert same(unflatten(json.loads(json.dumps(flatten(tree, tensors))), tensors), tree)
    assert tensors == {}


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(torch.tensor(3, dtype=torch.int64), id="scalar"),
        pytest.param(torch.zeros(0, 3), id="empty"),
        pytest.param(torch.randn(4).bfloat16(), id="bf16"),
        pytest.param(torch.tensor([True, False]), id="bool"),
        pytest.param(torch.arange(6).reshape(2, 3).t(), id="transposed"),
        pytest.param(torch.ones(1).expand(4), id="expanded"),
        pytest.param(
            torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last), id="channels last"
        ),
        pytest.param(torch.nn.Parameter(torch.randn(3)), id="parameter"),
    ],
)
def test_a_tensor_of_any_kind_comes_back_from_disk(tmp_path, tensor):
    save(tmp_path / "c", 1, {"state": {0: (tensor, [tensor])}})
    found = load_newest(tmp_path / "c")["state"][0]
    assert isinstance(found, tuple)
    for one in (found[0], found[1][0]):
        assert one.dtype == tensor.dtype
        assert torch.equal(one, tensor.detach())


def test_tensors_that_share_storage_are_kept_apart(tmp_path):
    shared = torch.arange(10.0)
    save(tmp_path / "c", 1, {"all": shared, "again": shared, "part": shared[2:5]})
    found = load_newest(tmp_path / "c")
    assert torch.equal(found["all"], found["again"])
    assert found["part"].tolist() == [2, 3, 4]
    found["all"].zero_()
    assert found["again"][9] == 9
    assert found["part"].tolist() == [2, 3, 4]


def test_an_optimisers_state_comes_back_whole(tmp_path):
    weight = torch.nn.Parameter(torch.randn(3))
    optimizer = torch.optim.AdamW([weight], betas=(0.8, 0.99))
    weight.sum().backward()
    optimizer.step()
    save(tmp_path / "c", 1, {"optimizer": optimizer.state_dict()})
    found = load_newest(tmp_path / "c")["optimizer"]
    assert found["param_groups"] == optimizer.state_dict()["param_groups"]
    assert found["param_groups"][0]["betas"] == (0.8, 0.99)
    assert torch.equal(found["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])


@pytest.mark.parametrize(
    ("foreign", "name"),
    [
        ({1, 2}, "set"), (b"bytes", "bytes"), (Fraction(1, 2), "Fraction"), (lambda: 0, "function"),
        (torch.float32, "dtype"), (Path("x"), "PosixPath"), ({(1, 2): 3}, "tuple"), ({b"k": 3}, "bytes"),
    ],
)  # fmt: skip
def test_a_foreign_object_is_refused_by_its_name_wherever_it_stands(tmp_path, foreign, name):
    for state in ({"x": foreign}, {"x": [({"y": foreign},)]}):
        with pytest.raises(TypeError, match=f"cannot hold .*{name}"):
            save(tmp_path / "c", 1, state)
    assert load_newest(tmp_path / "c") is None


def test_a_kind_of_tuple_stays_a_tuple():
    assert unflatten(flatten(torch.zeros(2, 3).shape, {}), {}) == (2, 3)


# ---------------------------------------------------------------- on disk
def names(folder):
    return sorted(path.name for path in folder.iterdir())


def name(step):
    return f"step-{step:09d}.safetensors"


def test_the_last_two_are_kept_and_the_newest_is_given(tmp_path):
    folder = tmp_path / "c"
    assert load_newest(folder) is None
    for step in (1, 2, 9, 10, 100):
        assert save(folder, step, {"step": step}) == folder / name(step)
        assert load_newest(folder) == {"step": step}
    assert names(folder) == [name(10), name(100)]


def test_the_same_step_is_written_over(tmp_path):
    for value in ("old", "new"):
        save(tmp_path / "c", 4, {"value": value})
    assert load_newest(tmp_path / "c") == {"value": "new"}
    assert names(tmp_path / "c") == [name(4)]


def test_a_checkpoint_of_a_later_step_was_damaged_and_makes_place(tmp_path):
    folder = tmp_path / "c"
    for step in (50, 60):
        save(folder, step, {"step": step})
        (folder / name(step)).write_bytes(b"damaged")
    assert load_newest(folder) is None
    save(folder, 1, {"step": 1})
    assert load_newest(folder) == {"step": 1}
    save(folder, 2, {"step": 2})
    assert names(folder) == [name(1), name(2)]


def test_what_a_kill_left_half_written_is_neither_read_nor_kept(tmp_path):
    folder = tmp_path / "c"
    save(folder, 1, {"step": 1})
    whole = (folder / name(1)).read_bytes()
    (folder / f".{name(2)}.4711.part").write_bytes(whole[:100])
    (folder / "notes.txt").write_text("mine")
    assert load_newest(folder) == {"step": 1}
    save(folder, 3, {"step": 3})
    assert names(folder) == ["notes.txt", name(1), name(3)]


def test_any_cut_or_flipped_bit_means_the_previous_checkpoint(tmp_path):
    folder = tmp_path / "c"
    save(folder, 1, {"step": 1, "weights": torch.arange(5.0)})
    save(folder, 2, {"step": 2, "weights": torch.arange(5.0)})
    newest, chance = folder / name(2), random.Random(0)
    whole = newest.read_bytes()
    for _ in range(400):
        data = bytearray(whole)
        at = chance.randrange(len(data))
        if chance.random() < 0.3:
            del data[at:]
        else:
            data[at] ^= 1 << chance.randrange(8)
        newest.write_bytes(data)
        assert load_newest(folder)["step"] == 1, f"byte {at}"
    newest.write_bytes(whole)
    assert load_newest(folder)["step"] == 2


def test_a_container_that_is_no_checkpoint_is_passed_over(tmp_path):
    folder = tmp_path / "c"
    save(folder, 1, {"step": 1})
    bundle.write_container(folder / name(2), {}, {"kind": "model"})
    assert load_newest(folder) == {"step": 1}


def test_a_checkpoint_of_a_newer_vistazo_is_told_and_not_trained_over(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(bundle, "FORMAT", bundle.FORMAT + 1)
        save(tmp_path / "c", 5, {"step": 5})
    with pytest.raises(BundleTooNew, match="newer Vistazo"):
        load_newest(tmp_path / "c")


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="could not be written"):
        save(tmp_path / "file" / "c", 1, {})


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root mounts a small file system")
    with contextlib.suppress(FileNotFoundError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            yield place
            subprocess.run(["umount", str(place)], check=True)
            return
    pytest.skip("a small file system cannot be mounted here")


def test_on_a_full_disk_the_earlier_checkpoints_stay_good_and_nothing_half_written_is_left(small_disk):
    folder = small_disk / "c"
    for step in (1, 2):
        save(folder, step, {"step": step, "weights": torch.randn(80_000)})
    for size in (120_000, 250_000, 5_000_000):
        with pytest.raises(DiskError, match=r"The disk is full.*nothing was lost"):
            save(folder, 3, {"step": 3, "weights": torch.randn(size)})
        assert names(folder) == [name(1), name(2)]
        found = load_newest(folder)
        assert found["step"] == 2
        assert found["weights"].isfinite().all()
    (folder / name(1)).unlink()
    save(folder, 3, {"step": 3, "weights": torch.randn(80_000)})  # once there is room again
    assert load_newest(folder)["step"] == 3


def test_two_are_kept():
    assert checkpoints.KEPT == 2
