"""A table's model as one network from cells to answers: what an exported graph computes.

Shape suffixes: M members, N rows, K classes (1 for a number).
"""

from typing import Any

import torch
from torch import Tensor, nn

from vistazo.engine.objectives import create as create_loss
from vistazo.networks.civil import civil, remainder
from vistazo.tables.preparing import HUGE
from vistazo.tabular.inputs import REACH, Feature
from vistazo.tabular.predictor import Predictor

__all__ = ["CellsToAnswers", "example"]

_WEEKDAY_0 = 3  # 1970-01-01 was a Thursday


class CellsToAnswers(nn.Module):
    """Columns of cells in, answers out: what `Encoder`, the network and the target's scaler do, in one graph.

    A column of numbers is (N,) float64 in its own unit, NaN where it is missing; one of dates the same, in days since
    1970-01-01; one of categories (N,) int64 codes of `Categories`. Arithmetic is float64 where NumPy's is, so that
    both round alike.
    """

    def __init__(self, model: Predictor) -> None:
        super().__init__()
        self.network = model.network
        self.features = model.encoder.features
        self.classes, self.scaler, self.reach, self.least = (
            model.classes, model.scaler, model.reach, model.least()
        )  # fmt: skip
        self.objective = create_loss(model.objective, model.loss_arguments, numbers=not model.classes)

    def forward(self, columns: list[Tensor]) -> tuple[Tensor, ...]:
        """((N,) int64 classes, (N, K) float32 probabilities), or (N,) float64 values, and their low and high ends.

        Where there are categories a last one follows: (N, categories), whether a category is unknown.
        """
        numbers, codes, unknown = [], [], []
        for feature, column in zip(self.features, columns, strict=True):
            if feature.categories is not None:
                codes.append(column)
                unknown.append(column == 0)
                continue
            numbers += _numbers(feature, column)
            if feature.kind == "date":
                codes += _calendar(column)
        answers = self._answers(_beside(numbers, columns[0]).float(), _beside(codes, columns[0]).long())
        return (*answers, torch.stack(unknown, 1)) if unknown else answers

    def _answers(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, ...]:
        scores_MNK = self.network(numbers, codes)
        members, rows, outputs = scores_MNK.shape
        read: Tensor = self.objective.answer(scores_MNK.reshape(members * rows, outputs))
        answers_NK = read.reshape(members, rows, outputs).mean(0)
        if self.scaler is None:
            return answers_NK.argmax(1), answers_NK
        value = answers_NK[:, 0].double() * float(self.scaler.spread) + float(self.scaler.centre)
        if self.reach is None:
            return (value,)
        return value, (value - self.reach).clamp_min(self.least), value + self.reach


def _numbers(feature: Feature, column: Tensor) -> list[Tensor]:
    """The numbers that a column becomes, as `Feature.encode` makes them."""
    scaler = feature.scaler
    assert scaler is not None
    centre, spread = float(scaler.centre), float(scaler.spread)
    missing = torch.isnan(column)
    if abs(centre) > HUGE:
        scaled = (column / 2 - centre / 2) / spread * 2
    else:
        scaled = (column - centre) / spread
    if scaler.kind != "none":
        scaled = scaled.clamp(-REACH, REACH)
    scaled = torch.where(missing, torch.zeros_like(scaled), scaled)
    return [scaled, missing.double()] if feature.sign else [scaled]


def _calendar(days: Tensor) -> list[Tensor]:
    """The codes of dates: the month from 1 and the weekday from 1 (Monday), 0 where the date is missing."""
    missing = torch.isnan(days)
    whole = torch.floor(torch.where(missing, torch.zeros_like(days), days))
    both = (civil(whole).month + 1, remainder(whole + _WEEKDAY_0, 7) + 1)
    return [torch.where(missing, torch.zeros_like(one), one).long() for one in both]


def _beside(parts: list[Tensor], first: Tensor) -> Tensor:
    if parts:
        return torch.stack(parts, 1)
    return first.new_zeros(first.shape[0], 0)  # len(first) would fix the number of rows


def example(model: Predictor, rows: int) -> list[Tensor]:
    """Cells of so many rows, as the graph takes them: what an exporter traces with."""
    kinds: dict[bool, Any] = {True: torch.int64, False: torch.float64}
    return [torch.zeros(rows, dtype=kinds[one.categories is not None]) for one in model.encoder.features]
