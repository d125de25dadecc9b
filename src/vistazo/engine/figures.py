"""Figures that several tasks share: pure functions on numpy arrays.

Shape suffixes: N examples, K classes. `labels_N` and `answers_N` hold class numbers in [0, K);
`probabilities_NK` holds one probability in [0, 1] per class. Every function raises ValueError for arrays that do
not fit.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "LEVEL",
    "ClassScores",
    "area_under_curve",
    "brier",
    "calibration_error",
    "check_pair",
    "check_probabilities",
    "class_scores",
    "confusion_matrix",
    "log_loss",
    "macro_f1",
    "one_hot",
    "wilson_interval",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LEVEL = "95 %"  # of every interval
_Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution
_BINS = 15  # as Guo et al. 2017


class ClassScores(NamedTuple):
    """Figures of each class; each array is (K,)."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Integers


def wilson_interval(right: int, n: int, z: float = _Z95) -> tuple[float, float]:
    """The 95 % interval of a share of `right` out of `n`, each end in [0, 1]; z: of another level.

    Unlike the textbook's p ± 1.96·s it stays in bounds and is sound for small n and for shares near 1.
    Source: Wilson 1927, Journal of the American Statistical Association 22:209-212.
    """
    if not 0 <= right <= n or n == 0:
        raise ValueError(f"{right} right out of {n} is no share")
    share, z2 = right / n, z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if right == 0 else float(middle - half)  # exact at the ends, where rounding would leave 1e-17
    high = 1.0 if right == n else float(middle + half)
    return low, high


def log_loss(probabilities_NK: Array, labels_N: Array) -> float:
    """Mean of -ln(probability of the right class), in nats, 0 or more; ln K is a blind guess.

    Probabilities below the precision of float32 count as that precision, so the loss stays finite.
    """
    check_probabilities(probabilities_NK, labels_N)
    chosen_N = probabilities_NK[np.arange(len(labels_N)), labels_N]
    smallest = np.finfo(np.float32).eps
    return float(-np.log(np.clip(chosen_N.astype(np.float64), smallest, 1)).mean()) + 0.0


def confusion_matrix(answers_N: Array, labels_N: Array, classes: int) -> Integers:
    """(K, K) counts: rows are the right class, columns the answer."""
    check_pair(answers_N, labels_N)
    for numbers_N in (answers_N, labels_N):
        if numbers_N.size and not 0 <= numbers_N.min() <= numbers_N.max() < classes:
            raise ValueError(
                f"class numbers are in [0, {classes}), not {numbers_N.min()} to {numbers_N.max()}"
            )
    cells_N = labels_N.astype(np.int64) * classes + answers_N
    return np.bincount(cells_N, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def class_scores(confusion_KK: Array) -> ClassScores:
    """Precision, recall and F1 of each class, in [0, 1], and how many examples it has; x/0 counts as 0."""
    _check_square(confusion_KK)
    right_K = confusion_KK.diagonal()
    answered_K, support_K = confusion_KK.sum(0), confusion_KK.sum(1)
    return ClassScores(
        _share(right_K, answered_K),
        _share(right_K, support_K),
        _share(2 * right_K, answered_K + support_K),
        support_K,
    )


def macro_f1(confusion_KK: Array) -> float:
    """The plain mean of F1 over classes, in [0, 1]: a small class weighs as much as a large one.

    As in scikit-learn, a class neither shown nor answered does not count.
    """
    scores = class_scores(confusion_KK)
    present_K = scores.support + confusion_KK.sum(0) > 0
    if not present_K.any():
        raise ValueError("macro F1 needs at least one example")
    return float(scores.f1[present_K].mean())


def calibration_error(confidence_N: Array, correct_N: Array, *, bins: int = _BINS) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, in [0, 1]; 0 is perfect.

    confidence_N: probability of the answer, in [0, 1].
    correct_N: 1 where that answer was right, else 0.
    Source: Guo et al. 2017, arXiv:1706.04599.
    """
    check_pair(confidence_N, correct_N)
    if bins < 1 or not (confidence_N.min() >= 0 and confidence_N.max() <= 1):
        raise ValueError("calibration needs confidences in [0, 1] and at least one bin")
    bin_N = np.clip(np.ceil(confidence_N * bins).astype(np.int64) - 1, 0, bins - 1)
    gap_N = confidence_N.astype(np.float64) - correct_N
    return float(np.abs(np.bincount(bin_N, weights=gap_N)).sum() / len(gap_N))


def brier(probabilities_NK: Array, labels_N: Array) -> float:
    """Mean squared distance of the probabilities from the truth, summed over classes: 0 to 2.

    Source: Brier 1950, Monthly Weather Review 78:1-3.
    """
    check_probabilities(probabilities_NK, labels_N)
    return float(((probabilities_NK - one_hot(labels_N, probabilities_NK.shape[1])) ** 2).sum(1).mean())


def area_under_curve(scores_N: Array, labels_N: Array) -> float:
    """The chance that an example of class 1 scores above one of class 0, equal scores counting half; in [0, 1].

    Source: Hanley & McNeil 1982, Radiology 143:29-36 (the Mann-Whitney statistic).
    """
    check_pair(scores_N, labels_N)
    ones = int((labels_N == 1).sum())
    zeros = len(labels_N) - ones
    if not ones or not zeros:
        raise ValueError("a curve needs examples of both classes")
    _, place_N, count = np.unique(scores_N, return_inverse=True, return_counts=True)
    last = count.cumsum()
    rank_N = (last - (count - 1) / 2)[place_N]  # equal scores share the mean of their ranks
    return float((rank_N[labels_N == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


# ---------------------------------------------------------------- what fits
def one_hot(labels_N: Array, classes: int) -> Floats:
    """(N, K): 1 at the class of each example, 0 elsewhere."""
    return np.eye(classes)[labels_N]


def check_probabilities(probabilities_NK: Array, labels_N: Array) -> None:
    """Raise ValueError where probabilities or labels are not what they should be."""
    if probabilities_NK.ndim != 2 or probabilities_NK.dtype.kind != "f":
        raise ValueError(f"probabilities are floats (examples, classes), not {probabilities_NK.shape}")
    n, classes = probabilities_NK.shape
    if labels_N.shape != (n,) or labels_N.dtype.kind not in "iu":
        raise ValueError(f"labels are {n} whole numbers, not {labels_N.dtype} {labels_N.shape}")
    if n and not 0 <= labels_N.min() <= labels_N.max() < classes:
        raise ValueError(f"class numbers are in [0, {classes}), not {labels_N.min()} to {labels_N.max()}")
    if n and not (probabilities_NK.min() >= 0 and probabilities_NK.max() <= 1 + 1e-6):  # false for NaN too
        raise ValueError("probabilities are in [0, 1]; these are scores, or not finite")


def check_pair(first_N: Array, second_N: Array) -> None:
    """Raise ValueError unless both are (N,) of one length, and not empty."""
    if first_N.ndim != 1 or first_N.shape != second_N.shape or not first_N.size:
        raise ValueError(
            f"two arrays (examples,) of one length are needed, not {first_N.shape} {second_N.shape}"
        )


def _share(part_K: Array, whole_K: Array) -> Floats:
    return np.divide(part_K, whole_K, out=np.zeros(len(part_K)), where=whole_K > 0)


def _check_square(confusion_KK: Array) -> None:
    if confusion_KK.ndim != 2 or confusion_KK.shape[0] != confusion_KK.shape[1]:
        raise ValueError(f"a confusion matrix is square, not {confusion_KK.shape}")
