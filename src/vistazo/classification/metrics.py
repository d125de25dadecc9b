"""How good a classifier's answers are: pure functions on numpy arrays.

Shape suffixes: N pictures, K classes. `labels_N` and `answers_N` hold class numbers in [0, K);
`probabilities_NK` holds one probability in [0, 1] per class. The answer to a picture is its most
probable class, the first of equals. Every function raises ValueError for arrays that do not fit.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.engine.figures import (
    LEVEL,
    ClassScores,
    calibration_error,
    check_pair,
    check_probabilities,
    class_scores,
    confusion_matrix,
    log_loss,
    macro_f1,
    wilson_interval,
)

__all__ = [
    "LEVEL",
    "ClassScores",
    "accuracy",
    "balanced_accuracy",
    "calibration_error",
    "class_scores",
    "confusion_matrix",
    "log_loss",
    "macro_f1",
    "measure",
    "most_common_share",
    "most_confident_mistakes",
    "top_k_accuracy",
    "wilson_interval",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def measure(probabilities_NK: Array, labels_N: Array) -> dict[str, float | int | None]:
    """The figures of one part under their stable keys.

    `n` pictures; `accuracy` with its 95 % interval `accuracy_low` to `accuracy_high`, `macro_f1`, `balanced_accuracy`,
    and `top5` (more than five classes only), all in [0, 1]; `loss` in nats, 0 or more.
    Without pictures every figure but `n` is None.
    """
    check_probabilities(probabilities_NK, labels_N)
    n, classes = probabilities_NK.shape
    keys = ["accuracy", "loss", "macro_f1", "balanced_accuracy", "n", "accuracy_low", "accuracy_high"]
    keys += ["top5"] * (classes > 5)
    figures: dict[str, float | int | None] = dict.fromkeys(keys)
    figures["n"] = n
    if n:
        confusion_KK = confusion_matrix(probabilities_NK.argmax(1), labels_N, classes)
        right = int(confusion_KK.trace())
        low, high = wilson_interval(right, n)
        figures |= {"accuracy": right / n, "accuracy_low": low, "accuracy_high": high}
        figures |= {"loss": log_loss(probabilities_NK, labels_N), "macro_f1": macro_f1(confusion_KK)}
        figures["balanced_accuracy"] = balanced_accuracy(confusion_KK)
        if classes > 5:
            figures["top5"] = top_k_accuracy(probabilities_NK, labels_N, 5)
    return figures


def accuracy(answers_N: Array, labels_N: Array) -> float:
    """The share of right answers, in [0, 1]."""
    check_pair(answers_N, labels_N)
    return float(np.mean(answers_N == labels_N))


def balanced_accuracy(confusion_KK: Array) -> float:
    """The plain mean of recall over the classes that are there, in [0, 1]; 1/K is a blind guess.

    Unlike accuracy it does not rise by answering the most common class.
    """
    scores = class_scores(confusion_KK)
    if not scores.support.any():
        raise ValueError("balanced accuracy needs at least one example")
    return float(scores.recall[scores.support > 0].mean())


def most_common_share(labels_N: Array) -> float:
    """The share of the most common class, in (0, 1]: the most that one answer to all can reach."""
    if labels_N.ndim != 1 or not labels_N.size:
        raise ValueError(f"labels are (pictures,) and at least one, not {labels_N.shape}")
    return float(np.unique(labels_N, return_counts=True)[1].max() / labels_N.size)


def top_k_accuracy(probabilities_NK: Array, labels_N: Array, k: int) -> float:
    """The share of pictures whose right class is among the `k` most probable, in [0, 1].

    Among equal probabilities the first class ranks first, so k = 1 is the accuracy.
    """
    check_probabilities(probabilities_NK, labels_N)
    classes = probabilities_NK.shape[1]
    if not 1 <= k <= classes:
        raise ValueError(f"k is between 1 and the {classes} classes, not {k}")
    chosen_N1 = probabilities_NK[np.arange(len(labels_N)), labels_N][:, None]
    before_NK = probabilities_NK > chosen_N1
    before_NK |= (probabilities_NK == chosen_N1) & (np.arange(classes) < labels_N[:, None])
    return float(np.mean(before_NK.sum(1) < k))


def most_confident_mistakes(probabilities_NK: Array, labels_N: Array, most: int) -> Integers:
    """Rows of wrong answers, the most confident first; at most `most` of them."""
    check_probabilities(probabilities_NK, labels_N)
    wrong_M = np.flatnonzero(probabilities_NK.argmax(1) != labels_N)
    order_M = np.argsort(-probabilities_NK[wrong_M].max(1), kind="stable")
    return wrong_M[order_M[:most]].astype(np.int64)
