"""Equal to the bit, or by how much not, and the likely why."""

import json

import pytest
import torch

from vistazo import bundle
from vistazo.bundle import Bundle
from vistazo.engine.comparing import compare, weights_hash


def model(weight, **changes):
    facts = {"task": "t", "model": "m", "arguments": {}, "preprocessing": {}, "facts": {}, "training": {}}
    tensors = {"weight": torch.tensor(weight), "steps": torch.tensor(3)}
    return Bundle(**facts, metrics={}, fingerprint="f", tensors=tensors, **changes)


@pytest.fixture
def write(tmp_path):
    def write(name, *, weight=(1.0, 2.0), accuracy=0.5, losses=(2.0, 1.0), data="f", **machine):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        bundle.save(model(list(weight)), folder / "model.vistazo")
        figures = {"validation": None, "test": {"accuracy": accuracy, "by": {"cat": 1, "interval": "wilson"}}}
        (folder / "metrics.json").write_text(json.dumps({"metrics": figures}))
        lines = [json.dumps({"epoch": at, "train": {"loss": one}}) for at, one in enumerate(losses, 1)]
        (folder / "history.jsonl").write_text("\n".join(lines))
        (folder / "config.json").write_text(json.dumps({"data": {"fingerprint": data}}))
        (folder / "environment.json").write_text(json.dumps({"torch": "2.10", "device": "cpu", **machine}))
        return folder

    return write


def test_equal_runs_are_equal(write):
    found = compare(write("a"), write("b"))
    assert found.equal
    assert (found.largest_difference, found.metrics, found.first_epoch, found.reason) == (0.0, {}, 0, "")
    assert found.weights["run"] == found.weights["reproduced"]


def test_another_torch_that_changes_nothing_is_no_difference(write):
    assert compare(write("a"), write("b", torch="2.11")).equal


def test_one_bit_of_one_weight_is_told(write):
    found = compare(write("a"), write("b", weight=(1.0, 2.0000002384185791)))
    assert not found.equal
    assert found.largest_difference == pytest.approx(2.4e-7, rel=0.1)
    assert found.metrics == {}
    assert found.reason == "nothing that the runs have written down differs"


def test_a_zero_of_another_sign_is_another_bit(write):
    found = compare(write("a", weight=(0.0,)), write("b", weight=(-0.0,)))
    assert (found.equal, found.largest_difference) == (False, 0.0)


def test_figures_are_named_by_their_path(write):
    found = compare(write("a"), write("b", accuracy=0.75))
    assert found.metrics == {"test.accuracy": {"was": 0.5, "is": 0.75}}
    assert not found.equal


@pytest.mark.parametrize(
    ("losses", "first"), [((2.0, 1.5), 2), ((3.0, 1.0), 1), ((2.0,), 2), ((2.0, 1.0, 0.5), 3)]
)
def test_the_first_epoch_that_differs_is_told(write, losses, first):
    assert compare(write("a"), write("b", losses=losses)).first_epoch == first


def test_networks_of_other_shapes_have_no_difference_in_numbers(write):
    assert compare(write("a"), write("b", weight=(1.0, 2.0, 3.0))).largest_difference is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"torch": "2.11"}, "torch: 2.10 then, 2.11 now"),
        ({"threads": 2}, "threads: None then, 2 now"),
        ({"data": "g"}, "the data is not what it was"),
        ({"data": "g", "device": "cuda"}, "the data is not what it was; device: cpu then, cuda now"),
    ],
)
def test_the_likely_why_is_told(write, changes, reason):
    assert compare(write("a"), write("b", weight=(1.0, 2.5), **changes)).reason == reason


def test_a_gpu_is_a_reason_of_its_own(write):
    found = compare(write("a", device="cuda"), write("b", device="cuda", weight=(1.0, 2.5)))
    assert "--deterministic" in found.reason


def test_a_run_that_was_lengthened_is_a_reason(write):
    one = write("a")
    (one / "config.json").write_text(json.dumps({"data": {"fingerprint": "f"}, "lengthened": [2]}))
    assert "trained for longer" in compare(one, write("b", weight=(1.0, 2.5))).reason


def test_runs_inside_are_compared_too(write):
    one, other = write("a"), write("b")
    write("a/fold-1")
    write("b/fold-1", weight=(1.0, 2.5), accuracy=0.6, losses=(2.0, 1.1))
    found = compare(one, other)
    assert not found.equal
    assert found.largest_difference == 0.5
    assert found.metrics == {"fold-1: test.accuracy": {"was": 0.5, "is": 0.6}}
    assert found.first_epoch == 2


def test_the_hash_is_of_names_kinds_shapes_and_bytes():
    one = {"a": torch.tensor([1.0, 2.0])}
    assert weights_hash(one) == weights_hash({"a": torch.tensor([1.0, 2.0])})
    for other in (
        {"b": torch.tensor([1.0, 2.0])},
        {"a": torch.tensor([[1.0, 2.0]])},
        {"a": torch.tensor([1.0, 2.0], dtype=torch.float64)},
        {"a": torch.tensor([1.0, 2.0]).view(torch.int32)},
        {"a": torch.tensor([1.0, 2.0, 3.0])},
        {},
    ):
        assert weights_hash(other) != weights_hash(one)
    assert weights_hash({"a": torch.ones(2, dtype=torch.bfloat16)})
    assert weights_hash({"a": torch.tensor(True)})
