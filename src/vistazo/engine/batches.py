"""Batches: what one optimiser step sees, drawn as a pure function of (seed, epoch, step).

That is what makes resuming exact in the middle of an epoch, and results equal for any number of workers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

__all__ = ["Batch", "Batches", "counter_seed", "epoch_order", "near_order", "weighted_order"]

_GOLDEN = 0.6180339887498949  # the part of the golden ratio beyond 1


@dataclass(frozen=True)
class Batch:
    """Examples that are stepped on together.

    inputs, targets: named tensors whose first dimension is the batch (or lists of tensors, one an example, where
    examples differ in size). rows: (batch,) row numbers in the index. weights: (batch,) or None where all count 1.
    """

    inputs: Mapping[str, Tensor | list[Tensor]]
    targets: Mapping[str, Tensor | list[Tensor]]
    rows: Tensor
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        for name, values in (*self.inputs.items(), *self.targets.items()):
            if len(values) != len(self.rows):
                raise ValueError(f"{name} has {len(values)} entries for {len(self.rows)} rows")
        if self.weights is not None and len(self.weights) != len(self.rows):
            raise ValueError(f"{len(self.weights)} weights for {len(self.rows)} rows")

    def __len__(self) -> int:
        return len(self.rows)

    def parts(self, count: int) -> "list[Batch]":
        """This batch in `count` slices of nearly equal length (fewer where it has fewer examples)."""
        edges = np.linspace(0, len(self), min(count, len(self)) + 1).round().astype(int)
        return [self._slice(int(a), int(b)) for a, b in pairwise(edges)]

    def _slice(self, start: int, end: int) -> "Batch":
        return Batch(
            {name: values[start:end] for name, values in self.inputs.items()},
            {name: values[start:end] for name, values in self.targets.items()},
            self.rows[start:end],
            None if self.weights is None else self.weights[start:end],
        )


class Batches(Protocol):
    """The training batches of a run."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        ...

    def draw(self, epoch: int, step: int) -> Batch:
        """Batch `step` of epoch `epoch`, both from 0: always the same for the same numbers."""
        ...


def counter_seed(seed: int, *counters: int) -> int:
    """A 63-bit seed of its own for each (seed, counters), far apart even for neighbouring counters."""
    state = np.random.SeedSequence(entropy=[seed, len(counters), *counters]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def epoch_order(count: int, *, seed: int, epoch: int) -> Tensor:
    """A permutation of 0..count-1 for one epoch: (count,) int64."""
    generator = torch.Generator().manual_seed(counter_seed(seed, 1, epoch))
    return torch.randperm(count, generator=generator)


def near_order(count: int, *, seed: int, epoch: int, run: int, window: int) -> Tensor:
    """A permutation of 0..count-1 that stays near itself, for examples that lie in a file: (count,) int64.

    Runs of `run` neighbours are shuffled, and then the examples within each `window` of that order. A window is all
    that a disk has to bring into memory at a time, in pieces as long as a run; it holds window / run runs from
    all over the file, so that a file sorted by class is mixed too.
    """
    generator = torch.Generator().manual_seed(counter_seed(seed, 22, epoch))
    runs = torch.randperm(-(-count // run), generator=generator)
    order = (runs[:, None] * run + torch.arange(run)).reshape(-1)
    order = order[order < count]
    for first in range(0, count, window):
        within = order[first : first + window]
        order[first : first + window] = within[torch.randperm(len(within), generator=generator)]
    return order


def weighted_order(shares_N: Tensor, *, seed: int, epoch: int) -> Tensor:
    """As many draws of 0..N-1 as there are examples, each drawn in proportion to its share: (N,) int64.

    shares_N: (N,) positive numbers. In every epoch an example whose share is r times the mean comes up r times,
    rounded down or up, and over the epochs r times on average. Equal shares give each example once.
    Source: systematic sampling, Madow 1949, Annals of Mathematical Statistics 20:333-354.
    """
    count = len(shares_N)
    generator = torch.Generator().manual_seed(counter_seed(seed, 21))
    line = torch.randperm(count, generator=generator)  # the examples in a row, each as long as its share
    ends = shares_N.double()[line].cumsum(0)
    # Steps of the golden ratio spread the starts of all epochs evenly: what one epoch leaves out comes soon after.
    start = (float(torch.rand((), generator=generator, dtype=torch.float64)) + epoch * _GOLDEN) % 1.0
    marks = (torch.arange(count, dtype=torch.float64) + start) * (ends[-1] / count)
    drawn = line[torch.searchsorted(ends, marks, right=True).clamp_max(count - 1)]
    return drawn[epoch_order(count, seed=seed, epoch=epoch)]
