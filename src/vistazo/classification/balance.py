"""Uneven classes: when something is done about them, and what.

    none      every picture is drawn once an epoch and counts as much as any other.
    sampling  a class is drawn by the square root of its count: of 1,000 and 10 pictures, 91 and 9 of a hundred.
              Source: square-root sampling, Mahajan et al. 2018, arXiv:1805.00932, and Kang et al. 2020,
              arXiv:1910.09217. Of several labels the rarest decides, as in Gupta et al. 2019, arXiv:1908.03195.
    weights   a class counts in the loss by one over its effective number of pictures, (1 - b^n) / (1 - b).
              Source: Cui et al. 2019, arXiv:1901.05555. Each of several labels is a question of two classes there.
    auto      sampling where the largest class has at least twice the pictures of the smallest; else none. None for
              several labels: each has a threshold of its own instead.

Measured in `benchmarks/imbalance.py`. Shape suffixes: N pictures, K classes. Free of torch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.engine.reports import number
from vistazo.language import tr

__all__ = ["AUTO_FROM", "choose", "drawn", "ratio", "sentence", "weighed"]

Floats = npt.NDArray[np.float64]

AUTO_FROM = 2.0  # times the smallest class
BETA = 0.999  # so that from some thousand pictures on, more of a class count for little


def ratio(counts_K: npt.NDArray[np.int64]) -> float:
    """How many times the smallest class the largest one is, 1 or more. Every class has a picture."""
    return float(counts_K.max() / counts_K.min())


def choose(asked: str, counts_K: npt.NDArray[np.int64], *, several: bool) -> str:
    """'none', 'weights' or 'sampling': what was asked for, or by the rule of 'auto'."""
    if asked != "auto":
        return asked
    return "sampling" if not several and ratio(counts_K) >= AUTO_FROM else "none"


def drawn(truth: npt.NDArray[Any], counts_K: npt.NDArray[np.int64]) -> Floats:
    """(N,) how often each picture is drawn beside the others, by the square root of its rarest label's count.

    truth: (N,) class numbers, or (N, K) bool. A picture without any label goes with the most common one.
    """
    share_K = counts_K.astype(np.float64) ** -0.5
    found = share_K[truth] if truth.ndim == 1 else np.maximum((truth * share_K).max(1), share_K.min())
    return np.asarray(found, dtype=np.float64)


def weighed(truth: npt.NDArray[Any], counts_K: npt.NDArray[np.int64]) -> Floats:
    """What each picture counts in the loss: (N,) for class numbers (N,), (N, K) for labels (N, K) bool."""
    with_K = _rarity(counts_K)
    found = (
        with_K[truth] if truth.ndim == 1 else np.where(truth, with_K / _rarity(len(truth) - counts_K), 1.0)
    )
    return np.asarray(found, dtype=np.float64)


def _rarity(counts_K: npt.NDArray[np.int64]) -> Floats:
    """One over the effective number of pictures."""
    return np.asarray((1 - BETA) / (1 - BETA ** np.maximum(counts_K, 1)), dtype=np.float64)


def sentence(balance: str, counts_K: npt.NDArray[np.int64], names: Sequence[str], *, several: bool) -> str:
    """What was done about uneven classes, with the smallest and the largest; '' where they are even."""
    if balance == "none" and ratio(counts_K) < AUTO_FROM:
        return ""
    few, many = int(counts_K.argmin()), int(counts_K.argmax())
    about = {
        "few": names[few],
        "many": names[many],
        "low": number(int(counts_K[few])),
        "high": number(int(counts_K[many])),
    }
    if balance == "sampling":
        return tr(
            "Training pictures of {few}: {low}, of {many}: {high}. Rare ones are drawn more often, by the square "
            "root of the count (--balance sampling).",
            **about,
        )
    if balance == "weights":
        return tr(
            "Training pictures of {few}: {low}, of {many}: {high}. Rare ones count more in the loss, by the "
            "effective number of pictures (--balance weights).",
            **about,
        )
    if several:
        return tr(
            "Training pictures with {few}: {low}, with {many}: {high}. Each label gets a threshold of its own.",
            **about,
        )
    return tr(
        "Training pictures of {few}: {low}, of {many}: {high}. Nothing is done about it (--balance none).",
        **about,
    )
