"""What a trained model reaches on a part, beside what simple answers reach; and what it goes by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.tabular import baselines, explaining, metrics
from vistazo.tabular.data import Rows
from vistazo.tabular.explaining import Importance
from vistazo.tabular.inputs import Encoded, Encoder
from vistazo.tabular.predictor import Predictor

__all__ = ["BACKGROUND", "Measured", "column_importance", "loss_of", "measure", "pick"]

Floats = NDArray[np.float64]

BACKGROUND = 100  # training rows that explanations compare with
REPEATS = 5
_MOST_ANSWERS = 300_000  # rows answered for the importance of all columns together: seconds, not minutes


@dataclass(frozen=True)
class Measured:
    """A part as the final model sees it. answers: (rows, K). rows: their positions in the Rows."""

    figures: dict[str, Any]
    answers: Floats
    rows: NDArray[np.int64]


def pick(positions: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most so many of the positions, ascending, drawn from the seed."""
    if len(positions) <= most:
        return positions
    random = np.random.default_rng(np.random.SeedSequence([seed, 7]))
    return np.sort(random.choice(positions, most, replace=False))


def measure(model: Predictor, rows: Rows, encoded: Encoded, part: str) -> Measured | None:
    """The figures of a part, with those of the simplest answers under `baselines`; None where it has no rows."""
    at, train = rows.rows(part), rows.rows("train")
    if not len(at):
        return None
    answers = model.answers(encoded.take(at))
    figures = model.measure(answers, rows.target[at])
    learnt, asked = encoded.take(train), encoded.take(at)
    beside = (_beside_classes if rows.classes else _beside_numbers)(
        rows, learnt, asked, train, at, model.encoder
    )
    return Measured({**figures, "baselines": beside}, answers, at)


def _beside_classes(
    rows: Rows, learnt: Encoded, asked: Encoded, train: NDArray[Any], at: NDArray[Any], encoder: Encoder
) -> dict[str, Any]:
    labels, truth = rows.target[train].astype(np.int64), rows.target[at].astype(np.int64)
    shares = baselines.frequencies(labels, len(rows.classes))
    same = np.broadcast_to(shares, (len(truth), len(shares)))
    line = baselines.linear_classes(learnt, labels, len(rows.classes), encoder.codes, asked)
    told = {}
    for name, probabilities in (("most_common", same), ("linear", line)):
        figures = metrics.measure_classes(probabilities, truth)
        told[name] = {key: figures[key] for key in ("accuracy", "log_loss", "rps")}
    return told


def _beside_numbers(
    rows: Rows, learnt: Encoded, asked: Encoded, train: NDArray[Any], at: NDArray[Any], encoder: Encoder
) -> dict[str, Any]:
    values, truth = rows.target[train].astype(np.float64), rows.target[at].astype(np.float64)
    told = {}
    for name, answers in (
        ("mean", np.full(len(truth), values.mean())),
        ("median", np.full(len(truth), np.median(values))),
        ("linear", baselines.linear_numbers(learnt, values, encoder.codes, asked)),
    ):
        figures = metrics.measure_numbers(answers, truth)
        told[name] = {key: figures[key] for key in ("mae", "rmse", "r2")}
    return told


def loss_of(rows: Rows, at: NDArray[np.int64]) -> Callable[[Floats], float]:
    """What importance is counted in: log loss of classes, mean absolute error of numbers."""
    truth = rows.target[at]
    if rows.classes:
        return lambda answers: metrics.log_loss(answers, truth)
    return lambda answers: metrics.mae(answers[:, 0], truth)


def column_importance(
    model: Predictor, rows: Rows, encoded: Encoded, at: NDArray[np.int64], seed: int
) -> dict[str, Importance]:
    """How much worse the answers to these rows become without each column, the most important first."""
    places = model.encoder.places()
    chosen = pick(at, max(50, _MOST_ANSWERS // (REPEATS * len(places))), seed)
    found = explaining.importance(
        model.answers, encoded.take(chosen), loss_of(rows, chosen), places, repeats=REPEATS, seed=seed
    )
    named = dict(zip(model.encoder.names, found, strict=True))
    return dict(sorted(named.items(), key=lambda one: -one[1].mean))
