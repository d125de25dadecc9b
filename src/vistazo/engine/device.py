"""Where and how a run computes: device, precision, memory layout, threads. Probed, not guessed, and then frozen.

Which of these is fastest depends on the machine, on torch and on the network: bf16 helps where the processor
multiplies it natively and hurts elsewhere. So a probe of about a second tries them on the network itself, the answer
is kept for this machine, torch version and network, and a run writes it into its config.json: a resumed run
computes as it began, which is what makes it equal to the bit.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vistazo import platform
from vistazo.errors import ConfigError
from vistazo.language import mark, tr

__all__ = ["Compute", "candidates", "probe", "repeatable", "resolve_device", "without_compiler"]

M = TypeVar("M", Tensor, nn.Module)
FP32 = "fp32"
BF16 = "bf16"
_NO_COMPILER = "__dynamo_disable"
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_FIXED = (
    ":4096:8"  # eight buffers of 4 MiB: with these cuBLAS repeats (its manual, "Results reproducibility")
)


@dataclass(frozen=True)
class Compute:
    """How a run computes.

    device: 'cpu', 'cuda', 'mps'. precision: 'fp32' or 'bf16' (autocast; weights stay fp32).
    layout: 'contiguous' or 'channels_last'. threads: of the CPU.
    """

    device: str
    precision: str
    layout: str
    threads: int

    def start(self) -> None:
        """Put the choices in force for this process."""
        torch.set_num_threads(self.threads)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context a forward pass runs in."""
        if self.precision == BF16:
            return torch.autocast(self.device, dtype=torch.bfloat16)
        if torch.device(self.device).type == "cuda":
            # What is reported is computed in fp32; left to itself, cuDNN convolves in 10 of its 23 bits.
            cudnn = torch.backends.cudnn
            kept = {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "deterministic")}
            return cudnn.flags(**kept, allow_tf32=False)
        return contextlib.nullcontext()

    def place(self, thing: M) -> M:
        """A tensor or module on the device; four-dimensional ones in the layout."""
        moved: Any = thing.to(self.device)
        if not isinstance(moved, Tensor) or moved.dim() == 4:
            last = self.layout == "channels_last"
            moved = moved.to(memory_format=torch.channels_last if last else torch.contiguous_format)
        placed: M = moved
        return placed

    def environment(self, version: str) -> dict[str, Any]:
        """What environment.json and reports tell: the machine, the versions (Vistazo's is given) and the choices."""
        versions = {"vistazo": version, "torch": torch.__version__, "numpy": np.__version__}
        strict = {mark("deterministic"): torch.are_deterministic_algorithms_enabled()}
        return {**platform.machine(), **versions, **asdict(self), **strict}

    def in_fp32(self) -> "Compute":
        """The same, as evaluation and export compute."""
        return Compute(self.device, FP32, self.layout, self.threads)


def resolve_device(name: str) -> str:
    """The device that 'auto' or a name means. Raises ConfigError where it is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            tr("There is no CUDA device that this PyTorch can use. Use --device auto or --device cpu.")
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(
            tr("There is no Apple GPU that this PyTorch can use. Use --device auto or --device cpu.")
        )
    return name


def candidates(
    device: str, *, precision: str | None, layout: str | None, threads: int | None
) -> list[Compute]:
    """The ways of computing worth trying; a value that is given is not tried but taken."""
    precisions = [precision] if precision else [BF16, FP32]
    layouts = [layout] if layout else ["channels_last", "contiguous"]
    count = threads or platform.physical_cores()
    if precision == BF16 and device == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError(tr("This GPU does not compute in bf16. Use --precision fp32."))
    return [Compute(device, one, other, count) for one in precisions for other in layouts]


def probe(
    choices: list[Compute],
    attempt: Callable[[Compute], Callable[[], None]],
    *,
    about: Mapping[str, Any],
    seconds: float,
) -> Compute:
    """The choice whose training step is fastest on this machine, measured, or remembered from an earlier run.

    attempt: given a choice, gives a function that does one training step. about: what the answer depends on besides
    machine and torch (network, its arguments, batch). seconds: roughly how long the trial may take.
    """
    if len(choices) == 1:
        return choices[0]
    device = choices[0].device
    known = {
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "torch": torch.__version__,
        "choices": [asdict(choice) for choice in choices],
        "about": dict(about),
    }
    key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]
    store = platform.cache_folder() / "probe" / f"{key}.json"
    with contextlib.suppress(OSError, ValueError, TypeError):
        remembered = Compute(**json.loads(store.read_text(encoding="utf-8")))
        if remembered in choices:
            return remembered
    best = _fastest(choices, attempt, seconds)
    with contextlib.suppress(OSError):  # a probe that cannot be remembered is only made again
        store.parent.mkdir(parents=True, exist_ok=True)
        platform.replace_file(store, (json.dumps(asdict(best)).encode(),))
    return best


@contextlib.contextmanager
def without_compiler() -> Iterator[None]:
    """Inside the block, torch's optimisers do not import torch's compiler, which eager training never uses.

    Their methods are wrapped so that the first call imports torch._dynamo: 1.1 s of a run that takes six. The wrapper
    looks for an attribute before it imports; we set it, and take it away again. Where torch changes that, or the
    compiler is loaded already, nothing happens but the import.
    """
    spared = []
    if "torch._dynamo" not in sys.modules:
        wrapped = (getattr(method, "__wrapped__", None) for method in vars(torch.optim.Optimizer).values())
        spared = [inner for inner in wrapped if callable(inner) and not hasattr(inner, _NO_COMPILER)]
    for inner in spared:
        setattr(inner, _NO_COMPILER, inner)
    try:
        yield
    finally:
        for inner in spared:
            delattr(inner, _NO_COMPILER)


@contextlib.contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Inside the block, where it is wanted, torch computes only what repeats to the bit; after it, as before.

    On a CPU everything repeats at an equal number of threads. On CUDA some kernels add up in whatever order their
    threads finish, and cuDNN may choose another kernel each time. cuBLAS reads its setting when CUDA starts.
    Source: PyTorch's notes on reproducibility. Raises ConfigError where an operation has no repeatable form here.
    """
    if not wanted:
        yield
        return
    cudnn, fill = torch.backends.cudnn, torch.utils.deterministic
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    kept = (cudnn.benchmark, cudnn.deterministic, fill.fill_uninitialized_memory)  # type: ignore[attr-defined,unused-ignore]
    workspace = os.environ.get(_WORKSPACE)
    try:
        os.environ.setdefault(_WORKSPACE, _FIXED)
        torch.use_deterministic_algorithms(True)
        cudnn.benchmark, cudnn.deterministic = False, True
        fill.fill_uninitialized_memory = False  # type: ignore[attr-defined,unused-ignore]  # we read none of it, and filling costs
        yield
    except RuntimeError as error:
        sentence = _unrepeatable(error)
        if sentence is None:
            raise
        raise sentence from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.benchmark, cudnn.deterministic, fill.fill_uninitialized_memory = kept  # type: ignore[attr-defined,unused-ignore]
        if workspace is None:
            del os.environ[_WORKSPACE]


def _unrepeatable(error: RuntimeError) -> ConfigError | None:
    """torch's complaint about --deterministic as a sentence; None where it complains of something else."""
    text = str(error)
    if _WORKSPACE in text:  # looked for once, when the process first used cuBLAS
        return ConfigError(
            tr(
                "This Python process used CUDA before --deterministic was asked for, which is too late: "
                "start a new one, or set {name}={value} before it starts.",
                name=_WORKSPACE,
                value=_FIXED,
            )
        )
    if "deterministic" not in text:
        return None
    return ConfigError(
        tr(
            "--deterministic: {operation} has no form that repeats on this device. Leave out --deterministic, "
            "or choose another --model or --device cpu.",
            operation=text.split(maxsplit=1)[0],
        )
    )


def _fastest(
    choices: list[Compute], attempt: Callable[[Compute], Callable[[], None]], seconds: float
) -> Compute:
    times: dict[Compute, float] = {}
    for choice in choices:
        choice.start()
        step = attempt(choice)
        began = time.perf_counter()
        step()  # kernels are chosen and memory is touched for the first time here
        _wait(choice)
        first = time.perf_counter() - began
        # A choice three times slower than the best, first step and all, is not worth a second one.
        if times and first > 3 * min(times.values()):
            continue
        repeats = max(1, min(3, int(seconds / len(choices) / max(first, 1e-4)) - 1))
        spent = []
        for _ in range(repeats):
            began = time.perf_counter()
            step()
            _wait(choice)
            spent.append(time.perf_counter() - began)
        times[choice] = min(spent)
    return min(times, key=lambda choice: times[choice])


def _wait(choice: Compute) -> None:
    if choice.device == "cuda":
        torch.cuda.synchronize()
