"""What every benchmark shares: whole processes timed beside the programs they are compared with, medians, one table.

Data is looked for in VISTAZO_DATA, the programs in VISTAZO_SEEDS, a Python that has Keras in VISTAZO_KERAS_PYTHON.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("VISTAZO_DATA", ROOT.parent / "shared" / "data"))
SEEDS = Path(os.environ.get("VISTAZO_SEEDS", ROOT.parent / "shared" / "bench" / "seeds"))
KERAS = os.environ.get("VISTAZO_KERAS_PYTHON", "")


@dataclass(frozen=True)
class Timed:
    """One process: its seconds, its most resident memory in MB, what it printed."""

    seconds: float
    memory: float
    output: str

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return found


def timed(command: list[str], *, cwd: Path | None = None, cache: Path | None = None) -> Timed:
    """Run a process to its end; whole time from start to exit. Fails loudly where it fails."""
    environment = os.environ if cache is None else {**os.environ, "VISTAZO_CACHE": str(cache)}
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command, stdout=out, stderr=err, cwd=cwd, stdin=subprocess.DEVNULL, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode:
            raise SystemExit(f"{command} ended with {process.returncode}:\n{err.read().decode()[-2000:]}")
        memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
        return Timed(seconds, memory, out.read().decode())


def vistazo(*words: str, cwd: Path) -> Timed:
    """`vistazo WORDS --json --quiet` as a whole process; its cache is below `cwd`, empty in a folder's first run."""
    return timed([sys.executable, "-m", "vistazo", *words, "--json", "--quiet"], cwd=cwd, cache=cwd / "cache")


def keras(data: Path, epochs: int) -> Timed | None:
    """The Keras tutorial's program on that data; None where Keras is not at hand."""
    program = SEEDS / "mnist_keras.py"
    if not KERAS or not program.exists():
        print("beside: skipped, because VISTAZO_KERAS_PYTHON or the tutorial's program is not there")
        return None
    return timed([KERAS, str(program), str(data), str(epochs)])


def matrix_rate(dtype: Any, *, size: int = 2048, repeats: int = 7) -> float:
    """This machine's matrix-product rate now, in GFLOP/s: the median of several products of size³."""
    import torch

    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    a @ b
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / statistics.median(seconds) / 1e9


def told(label: str, values: list[float], unit: str) -> str:
    """'label: median unit (low to high, n)'."""
    return (
        f"{label}: {statistics.median(values):.2f} {unit} "
        f"({min(values):.2f} to {max(values):.2f}, {len(values)} runs)"
    )


def own_memory() -> float:
    """Most resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def per_call(act: Callable[[], object], *, seconds: float = 1.0) -> float:
    """Seconds of one call: the median of short series, so that a disturbance does not count."""
    began = time.perf_counter()
    act()
    number = max(1, int(0.02 / max(time.perf_counter() - began, 1e-7)))
    series, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(series) < 3:
        began = time.perf_counter()
        for _ in range(number):
            act()
        series.append((time.perf_counter() - began) / number)
    return statistics.median(series)
