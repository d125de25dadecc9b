"""How good answers of several labels are, and from which probability on a label is answered: functions on arrays.

Shape suffixes: N pictures, K labels. `probabilities_NK` holds one probability in [0, 1] a label, each by itself;
`truth_NK` is bool, which labels a picture has; `thresholds_K` the probability from which on a label is answered, or
(N, K) where pictures were answered by networks with thresholds of their own.
Every function raises ValueError for arrays that do not fit.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vistazo.classification.metrics import wilson_interval

__all__ = [
    "FEWEST",
    "LabelScores",
    "Thresholds",
    "answers",
    "average_precision",
    "choose_thresholds",
    "label_scores",
    "log_loss",
    "measure",
    "most_common_share",
    "most_confident_mistakes",
    "plain",
]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PLAIN = 0.5  # the threshold where nothing better is known
FEWEST = 10  # validation pictures with a label, and without it, for a threshold of its own


class LabelScores(NamedTuple):
    """Figures of each label, each (K,). average_precision: NaN where no picture has the label.

    right, wrong, missed: pictures that have the label and were given it, were given it wrongly, have it and were not.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    average_precision: Floats
    right: Integers
    wrong: Integers
    missed: Integers
    support: Integers


class Thresholds(NamedTuple):
    """values: (K,) the probability from which on each label is answered. own: (K,) whether it was chosen for it."""

    values: Floats
    own: Bools


def answers(probabilities_NK: Array, thresholds_K: Array) -> Bools:
    """(N, K) which labels are answered: those whose probability reaches their threshold."""
    found: Bools = probabilities_NK >= thresholds_K
    return found


def measure(probabilities_NK: Array, truth_NK: Array, thresholds_K: Array) -> dict[str, float | int | None]:
    """The figures of one part under their stable keys.

    `n` pictures; `accuracy`: the share whose every label is right, none too many and none missed, with its 95 %
    interval `accuracy_low` to `accuracy_high`; `loss`: the mean over pictures of the sum of their labels' log losses;
    `macro_f1`: the mean of F1 over labels; `micro_f1`: F1 of all answers together; `mean_average_precision`: over
    the labels that are there; `hamming_loss`: the share of wrong answers among pictures × labels.
    Without pictures every figure but `n` is None.
    """
    _check(probabilities_NK, truth_NK)
    n = len(truth_NK)
    keys = ("accuracy", "loss", "macro_f1", "micro_f1", "mean_average_precision", "hamming_loss")
    figures: dict[str, float | int | None] = dict.fromkeys(keys)
    figures |= {"n": n, "accuracy_low": None, "accuracy_high": None}
    if not n:
        return figures
    wrong_NK = answers(probabilities_NK, thresholds_K) != truth_NK
    scores = label_scores(probabilities_NK, truth_NK, thresholds_K)
    right = int((~wrong_NK.any(1)).sum())
    low, high = wilson_interval(right, n)
    given = 2 * int(scores.right.sum())
    asked = given + int(scores.wrong.sum() + scores.missed.sum())
    # A label neither shown nor answered does not count, as for classes.
    present_K = scores.support + scores.wrong > 0
    figures |= {"accuracy": right / n, "accuracy_low": low, "accuracy_high": high}
    figures["loss"] = log_loss(probabilities_NK, truth_NK)
    figures["macro_f1"] = float(scores.f1[present_K].mean()) if present_K.any() else 0.0
    figures["micro_f1"] = given / asked if asked else 0.0
    shown_K = scores.support > 0
    if shown_K.any():
        figures["mean_average_precision"] = float(scores.average_precision[shown_K].mean())
    figures["hamming_loss"] = float(wrong_NK.mean())
    return figures


def label_scores(probabilities_NK: Array, truth_NK: Array, thresholds_K: Array) -> LabelScores:
    """Precision, recall, F1 and average precision of each label, in [0, 1], and counts; x/0 counts as 0."""
    _check(probabilities_NK, truth_NK)
    given_NK = answers(probabilities_NK, thresholds_K)
    right_K = (given_NK & truth_NK).sum(0)
    wrong_K, missed_K = (given_NK & ~truth_NK).sum(0), (~given_NK & truth_NK).sum(0)
    ranked = [average_precision(probabilities_NK[:, at], truth_NK[:, at]) for at in range(truth_NK.shape[1])]
    return LabelScores(
        _share(right_K, right_K + wrong_K),
        _share(right_K, right_K + missed_K),
        _share(2 * right_K, 2 * right_K + wrong_K + missed_K),
        np.array(ranked, dtype=np.float64),
        right_K.astype(np.int64),
        wrong_K.astype(np.int64),
        missed_K.astype(np.int64),
        truth_NK.sum(0).astype(np.int64),
    )


def average_precision(probabilities_N: Array, truth_N: Array) -> float:
    """The mean precision at each picture that has the label, most probable first; NaN where none has it.

    Pictures of one probability come in together, as in scikit-learn: no order among them is made up.
    """
    total = int(truth_N.sum())
    if not total:
        return float("nan")
    order_N = np.argsort(-probabilities_N, kind="stable")
    sorted_N, having_N = probabilities_N[order_N], truth_N[order_N].cumsum()
    ends = np.flatnonzero(np.r_[np.diff(sorted_N) != 0, True])  # the last picture of each probability
    gained = np.diff(np.r_[0, having_N[ends]])
    return float((gained * having_N[ends] / (ends + 1)).sum() / total)


def log_loss(probabilities_NK: Array, truth_NK: Array) -> float:
    """Mean over pictures of the sum over labels of -ln(probability of what is so), in nats; K ln 2 is a blind guess.

    Probabilities nearer to 0 or 1 than the precision of float32 count as that precision, so the loss stays finite.
    """
    _check(probabilities_NK, truth_NK)
    so_NK = np.where(truth_NK, probabilities_NK, 1 - probabilities_NK.astype(np.float64))
    return float(-np.log(np.clip(so_NK, np.finfo(np.float32).eps, 1)).sum(1).mean()) + 0.0


def plain(labels: int) -> tuple[float, ...]:
    """The thresholds of so many labels where nothing better is known: 0.5 each."""
    return (PLAIN,) * labels


def choose_thresholds(probabilities_NK: Array, truth_NK: Array) -> Thresholds:
    """For each label a threshold with a good F1 on these pictures, a validation part.

    Of the thresholds halfway between two neighbouring probabilities, those whose F1 is within one standard error of
    the best; of these, the nearest to 0.5. The very best one is often an accident of few pictures: on mosaics of
    clothes it cost up to 9 points of pictures with every label right; this rule cost 0.5 at most and raised macro F1
    by up to 3 points (benchmarks/LOG.md).
    Where fewer than 10 pictures have the label, or fewer than 10 have it not, 0.5 is taken.
    Sources: Lipton, Elkan, Naryanaswamy 2014, arXiv:1402.1892, on thresholds for F1 and on those from few examples;
    the rule of one standard error, Breiman et al. 1984, Classification and Regression Trees, section 3.4.3.
    """
    _check(probabilities_NK, truth_NK)
    labels = truth_NK.shape[1]
    values_K, own_K = np.full(labels, PLAIN), np.zeros(labels, dtype=np.bool_)
    for at in range(labels):
        having = int(truth_NK[:, at].sum())
        if min(having, len(truth_NK) - having) >= FEWEST:
            values_K[at], own_K[at] = _best_threshold(probabilities_NK[:, at], truth_NK[:, at]), True
    return Thresholds(values_K, own_K)


def _best_threshold(probabilities_N: Array, truth_N: Array) -> float:
    order_N = np.argsort(-probabilities_N, kind="stable")
    sorted_N, right_N = probabilities_N[order_N].astype(np.float64), truth_N[order_N].cumsum()
    ends = np.flatnonzero(np.r_[np.diff(sorted_N) != 0, True])
    f1 = 2 * right_N[ends] / (ends + 1 + truth_N.sum())
    below = np.r_[sorted_N[ends[1:]], 0.0]  # the next lower probability
    halfway = (sorted_N[ends] + below) / 2
    # F1 taken for a share of the pictures that have the label, by the rule of succession: 1 of 1 is no certainty
    having = int(truth_N.sum())
    share = (having * f1.max() + 1) / (having + 2)
    good = halfway[f1 >= f1.max() - np.sqrt(share * (1 - share) / having)]
    return float(good[np.abs(good - PLAIN).argmin()])


def most_common_share(truth_NK: Array) -> float:
    """The share of the most common set of labels, in (0, 1]: the most that one answer to all can reach."""
    if truth_NK.ndim != 2 or not len(truth_NK):
        raise ValueError(f"labels are (pictures, labels) and at least one picture, not {truth_NK.shape}")
    return float(np.unique(truth_NK, axis=0, return_counts=True)[1].max() / len(truth_NK))


def most_confident_mistakes(
    probabilities_NK: Array, truth_NK: Array, thresholds_K: Array, most: int
) -> list[tuple[int, int]]:
    """(picture, label) of wrong answers, the most confident first: each picture once, with its worst label.

    A mistake is the more confident the farther its probability is from what is so.
    """
    _check(probabilities_NK, truth_NK)
    wrong_NK = answers(probabilities_NK, thresholds_K) != truth_NK
    far_NK = np.where(wrong_NK, np.abs(probabilities_NK - truth_NK), -1.0)
    worst_N, pictures = far_NK.argmax(1), np.flatnonzero(wrong_NK.any(1))
    order = pictures[np.argsort(-far_NK.max(1)[pictures], kind="stable")][:most]
    return [(int(row), int(worst_N[row])) for row in order]


def _share(part_K: Array, whole_K: Array) -> Floats:
    return np.divide(part_K, whole_K, out=np.zeros(len(part_K)), where=whole_K > 0)


def _check(probabilities_NK: Array, truth_NK: Array) -> None:
    if probabilities_NK.ndim != 2 or probabilities_NK.dtype.kind != "f":
        raise ValueError(f"probabilities are floats (pictures, labels), not {probabilities_NK.shape}")
    if truth_NK.shape != probabilities_NK.shape or truth_NK.dtype != np.bool_:
        raise ValueError(f"labels are bool {probabilities_NK.shape}, not {truth_NK.dtype} {truth_NK.shape}")
    # false for NaN too
    if len(truth_NK) and not (probabilities_NK.min() >= 0 and probabilities_NK.max() <= 1 + 1e-6):
        raise ValueError("probabilities are in [0, 1]; these are scores, or not finite")
