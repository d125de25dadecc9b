import contextlib
import os
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from vistazo import platform
from vistazo.engine import device
from vistazo.engine.device import Compute, candidates, probe, resolve_device
from vistazo.errors import ConfigError

FIRST = Compute("cpu", "fp32", "contiguous", 1)
SECOND = Compute("cpu", "fp32", "channels_last", 1)
cpu_only = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """A cache of its own for each test, and the threads as they were afterwards."""
    monkeypatch.setenv("VISTAZO_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


# ---------------------------------------------------------------- probing
def slow_for(slow, timed=None):
    """An attempt whose step takes 15 ms of computing for one choice and nothing for the others."""

    def attempt(choice):
        def step():
            if timed is not None:
                timed.append(choice)
            if choice == slow:
                began = time.perf_counter()
                while time.perf_counter() - began < 0.015:
                    pass

        return step

    return attempt


def refuse(choice):
    raise AssertionError("this was to be remembered, not tried")


@pytest.mark.parametrize(("slow", "fast"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_the_faster_of_two_choices_is_taken_and_remembered(slow, fast):
    about = {"model": "mine"}
    assert probe([FIRST, SECOND], slow_for(slow), about=about, seconds=0.2) == fast
    assert probe([FIRST, SECOND], refuse, about=about, seconds=0.2) == fast


def test_what_the_answer_depends_on_is_tried_again_where_it_differs(monkeypatch):
    probe([FIRST, SECOND], slow_for(FIRST), about={"batch": 1}, seconds=0.1)
    third = Compute("cpu", "bf16", "contiguous", 1)
    for choices, about, change in (
        ([FIRST, SECOND], {"batch": 2}, lambda: None),
        ([FIRST, third], {"batch": 1}, lambda: None),
        ([FIRST, SECOND], {"batch": 1}, lambda: monkeypatch.setattr(torch, "__version__", "9.9")),
        (
            [FIRST, SECOND],
            {"batch": 1},
            lambda: monkeypatch.setattr(platform, "machine", lambda: {"cores": 99}),
        ),
    ):
        change()
        timed = []
        probe(choices, slow_for(None, timed), about=about, seconds=0.1)
        assert set(timed) == set(choices)


def test_a_single_choice_is_not_timed():
    assert probe([FIRST], refuse, about={}, seconds=1.0) == FIRST
    assert not platform.cache_folder().exists()


def test_a_choice_three_times_slower_is_tried_only_once():
    timed = []
    probe([FIRST, SECOND], slow_for(SECOND, timed), about={}, seconds=10.0)
    assert timed.count(SECOND) == 1
    assert timed.count(FIRST) == 4  # the first step, which is not counted, and the best of three


def test_each_choice_is_in_force_while_it_is_tried():
    choices, threads = [Compute("cpu", "fp32", "contiguous", many) for many in (1, 2)], []

    def attempt(choice):
        return lambda: threads.append((choice.threads, torch.get_num_threads()))

    probe(choices, attempt, about={}, seconds=0.1)
    assert {asked for asked, _ in threads} == {1, 2}
    assert all(asked == found for asked, found in threads)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"device": 1}', '{"device": "cpu", "precision": "fp8", "layout": "x", "threads": 1}'],
)
def test_a_damaged_memory_is_passed_over(text):
    probe([FIRST, SECOND], slow_for(FIRST), about={}, seconds=0.1)
    (memory,) = (platform.cache_folder() / "probe").iterdir()
    memory.write_text(text)
    assert probe([FIRST, SECOND], slow_for(FIRST), about={}, seconds=0.1) == SECOND


def test_a_cache_that_cannot_be_written_costs_only_the_memory(tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert probe([FIRST, SECOND], slow_for(FIRST), about={}, seconds=0.1) == SECOND


# ---------------------------------------------------------------- choices
def test_what_is_left_open_is_tried_and_what_is_given_is_taken():
    def told(**given):
        settings = {"precision": None, "layout": None, "threads": None, **given}
        return {(one.precision, one.layout) for one in candidates("cpu", **settings)}

    assert told() == {(p, q) for p in ("fp32", "bf16") for q in ("contiguous", "channels_last")}
    assert told(precision="fp32") == {("fp32", "contiguous"), ("fp32", "channels_last")}
    assert told(precision="bf16", layout="contiguous") == {("bf16", "contiguous")}


def test_threads_are_those_asked_for_or_the_physical_cores():
    def threads(asked):
        return {one.threads for one in candidates("cpu", precision="fp32", layout=None, threads=asked)}

    assert threads(3) == {3}
    assert threads(None) == {platform.physical_cores()}


@cpu_only
def test_a_device_that_is_not_there_is_told_with_what_to_do():
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="no CUDA device.*--device cpu"):
        resolve_device("cuda")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")
def test_an_apple_gpu_that_is_not_there_is_told_with_what_to_do():
    with pytest.raises(ConfigError, match="no Apple GPU.*--device cpu"):
        resolve_device("mps")


def test_a_gpu_is_taken_where_there_is_one_and_bf16_refused_where_it_cannot(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert resolve_device("auto") == resolve_device("cuda") == "cuda"
    with pytest.raises(ConfigError, match="--precision fp32"):
        candidates("cuda", precision="bf16", layout=None, threads=1)


# ---------------------------------------------------------------- computing
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@pytest.mark.parametrize("given", LAYOUTS)
@pytest.mark.parametrize("asked", LAYOUTS)
def test_four_dimensional_tensors_and_modules_are_put_in_the_layout(asked, given):
    compute = Compute("cpu", "fp32", asked, 1)
    tensor = torch.randn(2, 3, 4, 5).contiguous(memory_format=LAYOUTS[given])
    placed = compute.place(tensor)
    assert placed.is_contiguous(memory_format=LAYOUTS[asked])
    assert torch.equal(placed, tensor)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2)).to(memory_format=LAYOUTS[given])
    assert compute.place(network) is network
    assert network[0].weight.is_contiguous(memory_format=LAYOUTS[asked])


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 5, 6)], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_tensors_of_other_dimensions_stay_as_they_are(layout, shape):
    tensor = torch.randn(shape)
    assert Compute("cpu", "fp32", layout, 1).place(tensor) is tensor


def test_bf16_is_autocast_and_fp32_is_not():
    layer, x = nn.Linear(4, 4), torch.randn(2, 4)
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with Compute("cpu", precision, "contiguous", 1).autocast():
            assert layer(x).dtype == dtype
    assert layer.weight.dtype == torch.float32


def test_evaluation_computes_in_fp32_and_otherwise_alike():
    assert Compute("cpu", "bf16", "channels_last", 2).in_fp32() == Compute("cpu", "fp32", "channels_last", 2)


def test_fp32_on_cuda_is_not_rounded_to_fewer_bits():
    cudnn = torch.backends.cudnn
    before = (cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark, cudnn.deterministic)
    with Compute("cuda", "fp32", "contiguous", 1).autocast():
        assert (cudnn.allow_tf32, *before[1:]) == (False, *before[1:])
    assert (cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == before


def test_starting_sets_the_threads():
    Compute("cpu", "fp32", "contiguous", 1).start()
    assert torch.get_num_threads() == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_probe_on_a_gpu_waits_for_it():
    choices = [Compute("cuda", precision, "contiguous", 1) for precision in ("fp32", "bf16")]
    x = torch.randn(64, 64, device="cuda")
    assert device.probe(choices, lambda choice: lambda: (x @ x, None)[1], about={}, seconds=0.1) in choices


def test_training_steps_do_not_load_torchs_compiler_and_leave_torch_as_it_was():
    program = """
import sys, torch
from vistazo.engine.device import without_compiler
from vistazo.engine.optimizers import Group, build_optimizers, methods
names = [vars(getattr(one, "__wrapped__", one)) for one in vars(torch.optim.Optimizer).values() if callable(one)]
before = [dict(one) for one in names]
with without_compiler():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    bias = torch.nn.Parameter(torch.ones(2))
    groups = [Group("a", (weight,), "muon", 0.1, 0.6), Group("b", (bias,), "sgd", 0.1, 0.9)]
    for one in methods:
        for optimizer in build_optimizers([*groups, Group("c", (torch.nn.Parameter(torch.ones(2)),), one, 0.1, 0.9)]
                                          if one != "muon" else groups):
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                sum(parameter.sum() for parameter in group["params"]).backward()
            optimizer.step()
assert "torch._dynamo" not in sys.modules
assert before == [dict(one) for one in names]
torch.optim.SGD([weight], lr=0.1).zero_grad()
assert "torch._dynamo" in sys.modules, "the trick is no longer needed"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- --deterministic
def switches():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.utils.deterministic.fill_uninitialized_memory,
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )


def test_repeatable_switches_hold_inside_the_block_only():
    before = switches()
    with device.repeatable(True):
        assert switches() == (True, False, False, True, False, ":4096:8")
        assert Compute("cpu", "fp32", "contiguous", 1).environment("0")["deterministic"] is True
    assert switches() == before
    with device.repeatable(False):
        assert switches() == before
    assert Compute("cpu", "fp32", "contiguous", 1).environment("0")["deterministic"] is False


def test_repeatable_switches_are_put_back_after_an_error_and_as_they_were(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        before = switches()
        with contextlib.suppress(KeyError), device.repeatable(True):
            assert switches()[-1] == ":16:8"
            raise KeyError
        assert switches() == before
    finally:
        torch.use_deterministic_algorithms(False)


def test_an_operation_that_does_not_repeat_is_a_sentence():
    with pytest.raises(ConfigError, match="--deterministic: put_ has no form that repeats on this device"):
        with device.repeatable(True):
            torch.zeros(4).put_(torch.tensor([0, 0]), torch.ones(2))
    torch.zeros(4).put_(torch.tensor([0, 0]), torch.ones(2))  # allowed again


def test_cuda_that_was_used_too_early_is_a_sentence():
    said = "Deterministic behavior was enabled, but this operation uses CuBLAS: set CUBLAS_WORKSPACE_CONFIG=:4096:8"
    with pytest.raises(ConfigError, match="which is too late: start a new one"), device.repeatable(True):
        raise RuntimeError(said)


def test_other_errors_pass_through():
    with pytest.raises(RuntimeError, match="out of memory"), device.repeatable(True):
        raise RuntimeError("out of memory")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_repeats_to_the_bit():
    """index_add_ adds with atomics, in whatever order threads come, unless it is told to repeat."""
    at = torch.randint(0, 50, (200_000,), device="cuda")
    values = torch.randn(200_000, 8, device="cuda")
    with device.repeatable(True):
        sums = [torch.zeros(50, 8, device="cuda").index_add_(0, at, values) for _ in range(5)]
    assert all(torch.equal(sums[0], one) for one in sums)
