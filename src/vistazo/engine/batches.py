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

__all__ = ["Batch", "Batches", "counter_seed", "epoch_order"]


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
