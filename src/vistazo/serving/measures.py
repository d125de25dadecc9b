"""Figures of a service in the text format of Prometheus (exposition format 0.0.4), counted by hand.

A request adds to two dictionaries: 1 microsecond, where a library with a lock for each figure takes 10.
"""

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vistazo.serving.visits import Visit

__all__ = ["Measures"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH = (1, 2, 4, 8, 16, 32)


class _Histogram:
    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str) -> Iterable[str]:
        so_far = 0
        front = labels + "," if labels else ""
        for edge, count in zip((*self.edges, "+Inf"), self.counts, strict=True):
            so_far += count
            yield f'{name}_bucket{{{front}le="{edge}"}} {so_far}'
        yield f"{name}_sum{{{labels}}} {self.total:.6f}"
        yield f"{name}_count{{{labels}}} {so_far}"


class Measures:
    """What /metrics tells. watch: adds a figure that is asked for when it is told."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str, int], int] = defaultdict(int)
        self._seconds: dict[tuple[str, str], _Histogram] = defaultdict(lambda: _Histogram(_SECONDS))
        self._batches: dict[str, _Histogram] = defaultdict(lambda: _Histogram(_BATCH))
        self._reloads: dict[tuple[str, str], int] = defaultdict(int)
        self._watched: list[tuple[str, str, Callable[[], dict[str, float]]]] = []
        self._began = time()
        self.computing: Callable[[], int | None] = lambda: (
            None
        )  # the process of the models, where there is one

    def answered(self, visit: "Visit") -> None:
        """A request was answered."""
        self._answers[visit.label, visit.model, visit.status] += 1
        if visit.status < 400:
            self._seconds[visit.label, visit.model].add(perf_counter() - visit.began)

    def refused(self, status: int) -> None:
        """A connection was refused outside of any request: no HTTP, too slow, one too many."""
        self._answers["connection", "", status] += 1

    def batch(self, model: str, size: int) -> None:
        """So many inputs were answered at once."""
        self._batches[model].add(size)

    def reloaded(self, model: str, outcome: str) -> None:
        """A replaced model file was loaded ('ok') or refused ('failed')."""
        self._reloads[model, outcome] += 1

    def watch(self, name: str, help: str, of_models: Callable[[], dict[str, float]]) -> None:
        """A gauge with a value for each model."""
        self._watched.append((name, help, of_models))

    def text(self) -> str:
        """All figures, as Prometheus reads them."""
        lines = ["# HELP vistazo_requests_total Requests answered.", "# TYPE vistazo_requests_total counter"]
        lines += [
            f'vistazo_requests_total{{route="{route}",model="{model}",status="{status}"}} {count}'
            for (route, model, status), count in sorted(self._answers.items())
        ]
        lines += ["# HELP vistazo_request_seconds Seconds from a request's head to its answer.",
                  "# TYPE vistazo_request_seconds histogram"]  # fmt: skip
        for (route, model), one in sorted(self._seconds.items()):
            lines += one.lines("vistazo_request_seconds", f'route="{route}",model="{model}"')
        lines += ["# HELP vistazo_batch_size Inputs that a model answered at once.",
                  "# TYPE vistazo_batch_size histogram"]  # fmt: skip
        for model, one in sorted(self._batches.items()):
            lines += one.lines("vistazo_batch_size", f'model="{model}"')
        lines += [
            "# HELP vistazo_reloads_total Replaced model files.",
            "# TYPE vistazo_reloads_total counter",
        ]
        lines += [
            f'vistazo_reloads_total{{model="{model}",outcome="{outcome}"}} {count}'
            for (model, outcome), count in sorted(self._reloads.items())
        ]
        for name, help, of_models in self._watched:
            lines += [f"# HELP {name} {help}", f"# TYPE {name} gauge"]
            lines += [f'{name}{{model="{model}"}} {value:g}' for model, value in sorted(of_models().items())]
        lines += ["# HELP process_start_time_seconds Start of the service, in seconds since 1970.",
                  "# TYPE process_start_time_seconds gauge",
                  f"process_start_time_seconds {self._began:.3f}"]  # fmt: skip
        memory, files = _resident(), _descriptors()
        if memory:
            lines += ["# HELP process_resident_memory_bytes Resident memory.",
                      "# TYPE process_resident_memory_bytes gauge",
                      f"process_resident_memory_bytes {memory}"]  # fmt: skip
        computing = self.computing()
        if computing and (memory := _resident(computing)):
            lines += ["# HELP vistazo_models_resident_memory_bytes Resident memory of the process of the models.",
                      "# TYPE vistazo_models_resident_memory_bytes gauge",
                      f"vistazo_models_resident_memory_bytes {memory}"]  # fmt: skip
        if files:
            lines += ["# HELP process_open_fds Open file descriptors.", "# TYPE process_open_fds gauge",
                      f"process_open_fds {files}"]  # fmt: skip
        return "\n".join(lines) + "\n"


def _resident(process: int | str = "self") -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def _descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
