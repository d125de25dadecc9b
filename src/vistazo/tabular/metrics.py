"""How good answers about a table's target are: pure functions on numpy arrays.

Shape suffixes: N rows, K classes. `labels_N` holds class numbers in [0, K), `probabilities_NK` one probability in
[0, 1] per class, `values_N` and `answers_N` numbers. Every function raises ValueError for arrays that do not fit.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.engine.figures import (
    ClassScores,
    area_under_curve,
    brier,
    calibration_error,
    check_pair,
    check_probabilities,
    class_scores,
    confusion_matrix,
    log_loss,
    macro_f1,
    one_hot,
    wilson_interval,
)

__all__ = [
    "ClassScores",
    "area_under_curve",
    "brier",
    "calibration_error",
    "class_scores",
    "confusion_matrix",
    "coverage",
    "log_loss",
    "macro_f1",
    "mae",
    "measure_classes",
    "measure_numbers",
    "r2",
    "residual_quantile",
    "rmse",
    "rps",
]

Array = NDArray[Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


# ---------------------------------------------------------------- one part
def measure_classes(probabilities_NK: Array, labels_N: Array) -> dict[str, float | int | None]:
    """The figures of one part under their stable keys; without rows every figure but `n` is None.

    `accuracy` with its 95 % interval, `macro_f1`, `calibration_error`, `brier` (0 to 2) and `auc` (two classes, both
    present) in [0, 1];
    `loss` = `log_loss` in nats; `rps` in [0, 1], with the classes in their given order.
    """
    check_probabilities(probabilities_NK, labels_N)
    n, classes = probabilities_NK.shape
    keys = [
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "loss",
        "log_loss",
        "macro_f1",
        "brier",
        "rps",
        "calibration_error",
        "n",
    ]
    figures: dict[str, float | int | None] = dict.fromkeys(keys + ["auc"] * (classes == 2))
    figures["n"] = n
    if not n:
        return figures
    answers_N = probabilities_NK.argmax(1)
    loss = log_loss(probabilities_NK, labels_N)
    right = int((answers_N == labels_N).sum())
    low, high = wilson_interval(right, n)
    figures |= {
        "accuracy": right / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "loss": loss,
        "log_loss": loss,
        "macro_f1": macro_f1(confusion_matrix(answers_N, labels_N, classes)),
        "brier": brier(probabilities_NK, labels_N),
        "rps": rps(probabilities_NK, labels_N),
        "calibration_error": calibration_error(probabilities_NK.max(1), answers_N == labels_N),
    }
    if classes == 2 and len(np.unique(labels_N)) == 2:
        figures["auc"] = area_under_curve(probabilities_NK[:, 1], labels_N)
    return figures


def measure_numbers(answers_N: Array, values_N: Array) -> dict[str, float | int | None]:
    """The figures of one part under their stable keys; without rows every figure but `n` is None.

    `mae` and `rmse` in the target's unit, `loss` its square, `r2` 1 at best (None where the target does not vary).
    """
    figures: dict[str, float | int | None] = dict.fromkeys(["mae", "rmse", "r2", "loss"])
    figures["n"] = len(values_N)
    if len(values_N):
        root = rmse(answers_N, values_N)
        figures |= {"mae": mae(answers_N, values_N), "rmse": root, "loss": root * root}
        if values_N.min() < values_N.max():
            figures["r2"] = r2(answers_N, values_N)
    return figures


# ---------------------------------------------------------------- classes


def rps(probabilities_NK: Array, labels_N: Array) -> float:
    """Ranked probability score, 0 to 1: as Brier's, on cumulated probabilities of ordered classes.

    A near class costs less than a far one. Divided by K - 1, as in Constantinou & Fenton 2012 (football outcomes).
    Source: Epstein 1969, Journal of Applied Meteorology 8:985-987.
    """
    check_probabilities(probabilities_NK, labels_N)
    classes = probabilities_NK.shape[1]
    if classes < 2:
        raise ValueError("a ranked score needs at least two classes")
    gap_NK = probabilities_NK.cumsum(1) - one_hot(labels_N, classes).cumsum(1)
    return float((gap_NK[:, :-1] ** 2).sum(1).mean() / (classes - 1))


# ---------------------------------------------------------------- numbers
def mae(answers_N: Array, values_N: Array) -> float:
    """Mean absolute error, in the target's unit."""
    check_pair(answers_N, values_N)
    return float(np.abs(answers_N.astype(np.float64) - values_N).mean())


def rmse(answers_N: Array, values_N: Array) -> float:
    """Root of the mean squared error, in the target's unit."""
    check_pair(answers_N, values_N)
    return float(np.sqrt(((answers_N.astype(np.float64) - values_N) ** 2).mean()))


def r2(answers_N: Array, values_N: Array) -> float:
    """Share of the target's variance that is explained: 1 is perfect, 0 is the mean of these rows, below is worse."""
    check_pair(answers_N, values_N)
    spread = float(((values_N - values_N.mean()) ** 2).sum())
    if not spread:
        raise ValueError("R² needs values that differ")
    return 1 - float(((answers_N.astype(np.float64) - values_N) ** 2).sum()) / spread


def residual_quantile(answers_N: Array, values_N: Array, share: float) -> float | None:
    """How far from an answer the value lies in a `share` of new cases: split conformal prediction.

    The ceil((N + 1) · share)-th smallest absolute error of rows that were not learnt from; None where they are too few.
    Source: Lei et al. 2018, arXiv:1604.04173, algorithm 2.
    """
    n = len(values_N)
    place = int(np.ceil((n + 1) * share))
    if place > n:
        return None
    return float(np.sort(np.abs(answers_N.astype(np.float64) - values_N))[place - 1])


def coverage(answers_N: Array, values_N: Array, reach: float) -> float:
    """The share of values at most `reach` from their answer, in [0, 1]."""
    check_pair(answers_N, values_N)
    return float(np.mean(np.abs(answers_N.astype(np.float64) - values_N) <= reach))
