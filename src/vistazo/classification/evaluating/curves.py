"""Curves of ranked answers: ROC, precision and recall, and the risk of answering fewer: pure functions on numpy arrays.

Shape suffixes: N pictures, K classes, P points of a curve, G points of a grid. `scores_N` ranks pictures, the most
likely first; `truth_N` is bool, which of them have what is asked for. Pictures of one score come in together: no order
among them is made up. What is undefined is NaN. Every function raises ValueError for arrays that do not fit.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vistazo.classification.several import average_precision
from vistazo.engine.figures import area_under_curve, check_pair

__all__ = [
    "ByClass",
    "Curve",
    "along",
    "one_versus_rest",
    "precision_recall_curve",
    "risk_coverage",
    "roc_curve",
]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Curve(NamedTuple):
    """Points of a curve, each (P,), in the order of falling thresholds. threshold: of the score, infinite at first."""

    x: Floats
    y: Floats
    threshold: Floats


class ByClass(NamedTuple):
    """Areas under the curves of each class against all others, each (K,); NaN where there is no such curve."""

    auroc: Floats
    average_precision: Floats


def roc_curve(scores_N: Array, truth_N: Array) -> Curve:
    """x: the share of the others that is taken too, y: the share of the right ones that is found, at each score.

    Raises ValueError where all or none of the pictures are right: there is no such curve.
    Source: Fawcett 2006, Pattern Recognition Letters 27:861-874.
    """
    taken, found, score = _counts(scores_N, truth_N)
    wrong, right = taken[-1] - found[-1], found[-1]
    if not right or not wrong:
        raise ValueError("a curve needs pictures of the class and others")
    x, y = (taken - found) / wrong, found / right
    return Curve(np.r_[0.0, x], np.r_[0.0, y], np.r_[np.inf, score])


def precision_recall_curve(scores_N: Array, truth_N: Array) -> Curve:
    """x: recall, y: precision, at each score; before the first picture precision is 1 by convention.

    Raises ValueError where none of the pictures is right: there is no recall.
    """
    taken, found, score = _counts(scores_N, truth_N)
    if not found[-1]:
        raise ValueError("a curve needs pictures of the class")
    return Curve(np.r_[0.0, found / found[-1]], np.r_[1.0, found / taken], np.r_[np.inf, score])


def one_versus_rest(scores_NK: Array, truth_NK: Bools) -> ByClass:
    """Area under the ROC curve, and average precision, of each class. NaN where all or none of the pictures have it."""
    if scores_NK.shape != truth_NK.shape or scores_NK.ndim != 2 or truth_NK.dtype != np.bool_:
        raise ValueError(
            f"scores and truth are (pictures, classes), not {scores_NK.shape} and {truth_NK.shape}"
        )
    classes = truth_NK.shape[1]
    auroc, ranked = np.full(classes, np.nan), np.full(classes, np.nan)
    count = truth_NK.sum(0)
    for at in np.flatnonzero((count > 0) & (count < len(truth_NK))).tolist():
        auroc[at] = area_under_curve(scores_NK[:, at], truth_NK[:, at].astype(np.int64))
        ranked[at] = average_precision(scores_NK[:, at], truth_NK[:, at])
    return ByClass(auroc, ranked)


def along(curve: Curve, grid_G: Floats) -> Floats:
    """(G,) the curve at the places of a grid: y of the first point that reaches so far along x."""
    first = np.searchsorted(curve.x, grid_G - 1e-12, side="left").clip(max=len(curve.x) - 1)
    # of points one above the other a ROC curve has risen to the last
    last = np.searchsorted(curve.x, curve.x[first], side="right") - 1
    rising = curve.y[-1] >= curve.y[0]
    return np.asarray(curve.y[last if rising else first], dtype=np.float64)


def risk_coverage(confidence_N: Array, correct_N: Array) -> Curve:
    """x: the share of pictures that are answered, y: the share of wrong answers among them, the surest first.

    Source: El-Yaniv, Wiener 2010, Journal of Machine Learning Research 11:1605-1641.
    """
    taken, found, score = _counts(confidence_N, correct_N.astype(np.bool_))
    return Curve(taken / taken[-1], 1 - found / taken, score)


def _counts(scores_N: Array, truth_N: Array) -> tuple[Floats, Floats, Floats]:
    """Pictures taken, and right ones among them, down to each different score; and those scores, falling."""
    check_pair(scores_N, truth_N)
    order_N = np.argsort(-scores_N, kind="stable")
    sorted_N = scores_N[order_N].astype(np.float64)
    ends = np.flatnonzero(np.r_[np.diff(sorted_N) != 0, True])
    found = truth_N[order_N].astype(np.int64).cumsum()[ends]
    return (ends + 1).astype(np.float64), found.astype(np.float64), sorted_N[ends]
