"""The networks that learn a table, by name: a few small ones side by side, whose answers are averaged.

Each entry says how to build a network from what the data is, which arguments and training suit it, and how its
parameters learn. The same register feeds `vistazo models`, the model file (name and arguments, never code) and the
contract tests. One recipe serves both; it was chosen on folds of small
tables, those of benchmarks/tabular.py among them.

Shape suffixes: M members, B rows, F numbers, C codes, K outputs (classes, or 1 for a number).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vistazo.engine.optimizers import Group
from vistazo.engine.parameters import tell_parameters
from vistazo.language import mark, tr
from vistazo.networks.packed import PackedLinear
from vistazo.registry import Registry

__all__ = ["Entry", "Mlp", "Residual", "Training", "create", "listing", "models"]

# A code becomes at most so many numbers, which decay like weights. With 50 that did not, the tickets and cabins of a
# made-up passenger list were learnt by heart: log loss 0.47, 0.33 without these columns, now 0.33 with them (4 seeds).
MOST_NUMBERS = 4
FEWEST_STEPS = 60
BY_HEART = 10  # rows: fewer can only be learnt by heart, as a truth table is, and nothing may hold that back


@dataclass(frozen=True)
class Training:
    """How a network is trained. passes: over the rows. decay: of weights, decoupled. steps: at least so many in all."""

    passes: int
    steps: int
    batch: int
    rate: float
    decay: float
    schedule: str


@dataclass(frozen=True)
class Entry:
    """A registered network.

    build: keyword arguments to network. suit: the arguments besides those the data dictates. training: training rows
    to how it is trained. groups: (network, rate, decay) to parameter groups.
    example: the arguments that the listing counts parameters with. source: where it was published.
    """

    build: Callable[..., nn.Module]
    suit: Callable[[], dict[str, Any]]
    training: Callable[[int], Training]
    groups: Callable[[nn.Module, float, float], list[Group]]
    example: dict[str, Any]
    source: str


models: Registry[Entry] = Registry(mark("model"))


def create(name: str, arguments: dict[str, Any]) -> nn.Module:
    """The registered network of that name. Raises UnknownName."""
    return models[name].build(**arguments)


def listing() -> list[dict[str, Any]]:
    """What `vistazo models` tells: name, parameters, source of each network."""
    return [
        {
            "name": name,
            **tell_parameters(create(name, models[name].example)),
            "source": tr(models[name].source),
        }
        for name in models
    ]


class _Packed(nn.Module):
    """What both networks share: codes become vectors, every member gets the same row, a head ends it.

    The members share what a code means, and nothing else.
    """

    def __init__(
        self, *, members: int, numbers: int, codes: list[int], outputs: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.members, self.dropout = members, dropout
        self.embeddings = nn.ModuleList(
            nn.Embedding(size, min(MOST_NUMBERS, (size + 1) // 2)) for size in codes
        )
        for embedding in self.embeddings:
            nn.init.normal_(embedding.weight, std=1 / math.sqrt(embedding.embedding_dim))  # type: ignore[arg-type]
        self.inputs = numbers + sum(min(MOST_NUMBERS, (size + 1) // 2) for size in codes)
        self.head = _linear(members, width, outputs)

    def forward(self, numbers_BF: Tensor, codes_BC: Tensor) -> Tensor:
        """Scores, (M, B, K)."""
        vectors = [embedding(codes_BC[:, at]) for at, embedding in enumerate(self.embeddings)]
        row_BI = torch.cat([numbers_BF, *vectors], dim=1)
        scores_MBK: Tensor = self.head(self._features(row_BI.expand(self.members, -1, -1)))
        return scores_MBK

    def _features(self, rows_MBI: Tensor) -> Tensor:
        raise NotImplementedError

    def _drop(self, features: Tensor) -> Tensor:
        return F.dropout(features, self.dropout, self.training)


def _linear(members: int, inputs: int, outputs: int) -> PackedLinear:
    """A layer that starts like torch's own, uniform within 1/√inputs: what the recipe was measured with."""
    layer = PackedLinear(members, inputs, outputs)
    for values in layer.parameters():
        nn.init.uniform_(values, -1 / math.sqrt(max(1, inputs)), 1 / math.sqrt(max(1, inputs)))
    return layer


class Mlp(_Packed):
    """`members` networks of dense layers with ReLU and dropout, each with weights of its own.

    hidden: units of each layer. codes: how many values each code can have.
    """

    def __init__(
        self,
        *,
        members: int,
        numbers: int,
        codes: list[int],
        outputs: int,
        hidden: list[int],
        dropout: float,
    ) -> None:
        super().__init__(
            members=members, numbers=numbers, codes=codes, outputs=outputs, width=hidden[-1], dropout=dropout
        )
        widths = [self.inputs, *hidden]
        self.layers = nn.ModuleList(_linear(members, one, other) for one, other in pairwise(widths))

    def _features(self, rows_MBI: Tensor) -> Tensor:
        for layer in self.layers:
            rows_MBI = self._drop(F.relu(layer(rows_MBI)))
        return rows_MBI


class Residual(_Packed):
    """`members` networks of residual blocks, one for each width in `hidden`; after Gorishniy et al., arXiv:2106.11959.

    Without its norms: a norm undoes what weight decay does, and decay keeps a small table from being learnt by heart
    (R² of diabetes 0.33 with them, 0.47 without). Raises ValueError where the widths differ.
    """

    def __init__(
        self,
        *,
        members: int,
        numbers: int,
        codes: list[int],
        outputs: int,
        hidden: list[int],
        dropout: float,
    ) -> None:
        if len(set(hidden)) > 1:
            raise ValueError(f"residual blocks are all of one width, not {hidden}")
        width = hidden[0]
        super().__init__(
            members=members, numbers=numbers, codes=codes, outputs=outputs, width=width, dropout=dropout
        )
        self.first = _linear(members, self.inputs, width)
        self.one = nn.ModuleList(_linear(members, width, width) for _ in hidden)
        self.other = nn.ModuleList(_linear(members, width, width) for _ in hidden)

    def _features(self, rows_MBI: Tensor) -> Tensor:
        values: Tensor = self.first(rows_MBI)
        for one, other in zip(self.one, self.other, strict=True):
            values = values + other(self._drop(F.relu(one(F.relu(values)))))
        return F.relu(values)


# ---------------------------------------------------------------- how they are trained
def _groups(network: nn.Module, rate: float, decay: float) -> list[Group]:
    """AdamW; matrices and the meaning of codes decay, biases do not, and nor does the head of a number."""
    number = network.get_parameter("head.weight_MIO").shape[-1] == 1
    heavy = [
        one
        for name, one in network.named_parameters()
        if not name.endswith("bias_M1O") and not (number and name.startswith("head."))
    ]
    known = set(map(id, heavy))
    rest = [one for one in network.parameters() if id(one) not in known]
    return [
        Group("weights", tuple(heavy), "adamw", rate, 0.9, decay),
        Group("others", tuple(rest), "adamw", rate, 0.9),
    ]


def _training(rows: int) -> Training:
    """20 passes at a falling rate. Weight decay stands in for early stopping: no row is kept from the training for it.

    The more rows, the more they may say: with the decay of a small table 50,000 rows reached 74.7 instead of 88.5 %.
    """
    by_heart = rows < BY_HEART
    return Training(
        passes=20,
        steps=500 if by_heart else FEWEST_STEPS,
        batch=min(512, max(32, rows // 20)),
        rate=4e-3,
        decay=0.0 if by_heart else 3.0 * min(1.0, math.sqrt(1000 / rows)),
        schedule="cosine",
    )


_EXAMPLE = {"members": 8, "numbers": 10, "codes": [], "outputs": 1, "hidden": [128, 128], "dropout": 0.1}
models.register("mlp")(
    Entry(
        Mlp,
        lambda: {"members": 8, "hidden": [128, 128], "dropout": 0.1},
        _training,
        _groups,
        _EXAMPLE,
        mark("dense layers; the mean answer of eight"),
    )
)
models.register("residual")(
    Entry(
        Residual,
        lambda: {"members": 8, "hidden": [128], "dropout": 0.1},
        _training,
        _groups,
        {**_EXAMPLE, "hidden": [128]},
        "Gorishniy et al. 2021, arXiv:2106.11959",
    )
)
