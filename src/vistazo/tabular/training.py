"""How a table's rows become a loss: what was decided, the batches, the program of the loop.

Shape suffixes: M members, B rows, K outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from vistazo.engine.batches import Batch, counter_seed, epoch_order
from vistazo.engine.device import Compute
from vistazo.engine.objectives import Asked
from vistazo.engine.objectives import create as create_loss
from vistazo.engine.optimizers import build_optimizers
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.tabular.config import TabularConfig
from vistazo.tabular.inputs import Encoded, Encoder
from vistazo.tabular.models import models

__all__ = ["Decided", "Program", "TableBatches", "decide", "initial"]

MODEL = "mlp"
FORGOTTEN = 0.02  # share of categories replaced by the unknown one while training, so that it means something
EPOCHS = 20  # epochs that passes over a small table are joined to, so that history stays readable


@dataclass(frozen=True)
class Decided:
    """Everything that settings, recipe and data together decided; frozen in the run.

    passes: over the rows in one epoch. rate, decay: of AdamW.
    """

    model: str
    arguments: dict[str, Any]
    objective: str
    epochs: int
    passes: int
    batch: int
    schedule: str
    rate: float
    decay: float
    keep: str
    loss_arguments: dict[str, float] = field(default_factory=dict)  # of the objective, such as gamma


def decide(config: TabularConfig, encoder: Encoder, loss: Asked, *, rows: int, classes: int) -> Decided:
    """Settle every open setting from the network's recipe and from what the data is. classes: 0 for a number.

    Raises UnknownName for a model that does not exist, ConfigError where settings do not suit it.
    """
    name = config.model or MODEL
    entry, outputs = models[name], max(1, classes)
    arguments = {"numbers": encoder.numbers, "codes": list(encoder.codes), "outputs": outputs}
    arguments |= entry.suit()
    if config.members:
        arguments["members"] = config.members
    if config.hidden:
        arguments["hidden"] = [int(one) for one in config.hidden.split(",")]
    try:
        entry.build(**arguments)
    except ValueError as error:
        raise ConfigError(
            tr("--hidden {value} does not suit the model: {reason}.", value=config.hidden, reason=error)
        ) from None
    training = entry.training(rows)
    batch = min(config.batch or training.batch, rows)
    steps = max(1, rows // batch)
    total = max(training.passes, -(-training.steps // steps))
    epochs = config.epochs or min(total, EPOCHS)
    return Decided(
        model=name,
        arguments=arguments,
        objective=loss.name,
        loss_arguments=loss.arguments,
        epochs=epochs,
        passes=1 if config.epochs else -(-total // epochs),
        batch=batch,
        schedule=training.schedule,
        rate=training.rate * config.rate,
        decay=training.decay if config.decay is None else config.decay,
        keep="best" if config.patience else "last",
    )


class TableBatches:
    """The training rows, drawn by (seed, epoch, step); the rows of a pass that fill no batch wait for the next pass."""

    def __init__(
        self,
        rows: Encoded,
        target: Tensor,
        numbers: NDArray[Any],
        *,
        size: int,
        passes: int,
        seed: int,
        device: str,
    ) -> None:
        self.size, self._seed = size, seed
        self._inputs = {
            "numbers": torch.from_numpy(rows.numbers).to(device),
            "codes": torch.from_numpy(rows.codes).to(device),
        }
        self._target = target.to(device)
        self._rows = torch.from_numpy(numbers)
        self._a_pass = max(1, len(rows) // size)
        self._passes = passes
        self._order: tuple[int, Tensor] | None = None

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self._a_pass * self._passes

    def draw(self, epoch: int, step: int) -> Batch:
        """Batch `step` of epoch `epoch`, both from 0: always the same for the same numbers."""
        done, within = divmod(step, self._a_pass)
        number = epoch * self._passes + done
        if self._order is None or self._order[0] != number:
            self._order = (number, epoch_order(len(self._rows), seed=self._seed, epoch=number))
        chosen = self._order[1][within * self.size : (within + 1) * self.size]
        there = chosen.to(self._target.device)
        return Batch(
            {name: values[there] for name, values in self._inputs.items()},
            {"target": self._target[there]},
            self._rows[chosen],
        )


class Program:
    """How a batch of rows becomes a loss: the mean over rows and members."""

    def __init__(self, network: nn.Module, decided: Decided, compute: Compute) -> None:
        self.module = network
        numbers = decided.arguments["outputs"] == 1
        self._objective = create_loss(decided.objective, decided.loss_arguments, numbers=numbers)
        self._compute = compute
        groups = models[decided.model].groups(network, decided.rate, decided.decay)
        self.optimizers: Sequence[Sequence[Optimizer]] = [build_optimizers(groups)]

    def step(self, batch: Batch, k: int) -> Tensor:
        """The mean loss of a batch; some categories are forgotten by chance."""
        numbers, codes, target = batch.inputs["numbers"], batch.inputs["codes"], batch.targets["target"]
        assert isinstance(numbers, Tensor) and isinstance(codes, Tensor) and isinstance(target, Tensor)
        if codes.shape[1]:
            # drawn on the CPU, whose numbers are the same wherever the network computes
            codes = codes.masked_fill((torch.rand(codes.shape) < FORGOTTEN).to(codes.device), 0)
        with self._compute.autocast():
            scores_MBK = self.module(numbers, codes)
        members, rows, outputs = scores_MBK.shape
        weights = None if batch.weights is None else batch.weights.repeat(members)
        loss: Tensor = self._objective.loss(
            scores_MBK.reshape(members * rows, outputs), target.repeat(members), weights
        )
        return loss


def initial(name: str, arguments: dict[str, Any], seed: int) -> nn.Module:
    """The network as training begins: its weights are drawn from the seed."""
    torch.manual_seed(counter_seed(seed, 4))
    return models[name].build(**arguments)
