"""Whether probabilities mean what they say, and one number that mends them: pure functions on numpy arrays.

Shape suffixes: N pictures, K classes, B bins. `confidence_N` is the probability of the answer, `correct_N` whether
that answer was right. Every function raises ValueError for arrays that do not fit.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vistazo.engine.figures import check_pair
from vistazo.language import mark

__all__ = [
    "BINS",
    "HOTTEST",
    "Bins",
    "Temperature",
    "bin_error",
    "equal_mass",
    "equal_width",
    "fit_temperature",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BINS = 15  # as Guo et al. 2017
FEWEST = 10  # wrong answers, and right ones, that a temperature is fitted to
HOTTEST = 100.0  # temperatures lie between this and one over it
_HALVINGS = 48  # of the logarithm of the range: far finer than a validation part can tell


class Bins(NamedTuple):
    """Answers by their confidence, each (B,): means over the answers of a bin, NaN where it has none, and how many."""

    confidence: Floats
    accuracy: Floats
    size: Integers


def equal_width(confidence_N: Array, correct_N: Array, *, bins: int = BINS) -> Bins:
    """Bins of equal width from 0 to 1, each with its upper end: the reliability diagram of Guo et al. 2017."""
    _check(confidence_N, correct_N, bins)
    bin_N = np.clip(np.ceil(confidence_N * bins).astype(np.int64) - 1, 0, bins - 1)
    return _binned(confidence_N, correct_N, bin_N, bins)


def equal_mass(confidence_N: Array, correct_N: Array, *, bins: int = BINS) -> Bins:
    """Bins of equally many answers, the least sure first; fewer bins where there are fewer answers.

    Confident networks crowd the last bin of equal width; here every bin weighs the same.
    Source: Nguyen, O'Connor 2015, arXiv:1508.05154.
    """
    _check(confidence_N, correct_N, bins)
    bins = min(bins, len(confidence_N))
    bin_N = np.empty(len(confidence_N), dtype=np.int64)
    # Of equal confidences the wrong come first, so that the order of pictures does not matter.
    order_N = np.lexsort((correct_N, confidence_N))
    for at, part in enumerate(np.array_split(order_N, bins)):
        bin_N[part] = at
    return _binned(confidence_N, correct_N, bin_N, bins)


def bin_error(bins: Bins) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy, by answers; in [0, 1]."""
    filled = bins.size > 0
    gaps = np.abs(bins.confidence[filled] - bins.accuracy[filled])
    return float((gaps * bins.size[filled]).sum() / bins.size.sum())


# ---------------------------------------------------------------- temperature
@dataclass(frozen=True)
class Temperature:
    """What the logits are divided by. before, after: mean loss on the validation part in nats; None where not tried.

    reason: why it is 1, '' where it is not.
    """

    value: float
    before: float | None
    after: float | None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


_FEW = mark("too few right or wrong answers in the validation part to fit one")
_NO_GAIN = mark("it would not lower the validation loss")


def fit_temperature(logits_NK: Array, labels_N: Array) -> Temperature:
    """The temperature with the smallest mean loss on a validation part; 1 where that gains nothing.

    The loss is convex in one over the temperature, so its slope is halved into: no step to choose, no place to begin.
    With fewer than 10 wrong answers, or right ones, the smallest loss says little: without a wrong one it lies at
    temperature 0. No answer changes: a temperature moves no logit past another.
    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    if logits_NK.ndim != 2 or labels_N.shape != (len(logits_NK),):
        raise ValueError(f"logits are (pictures, classes) with a label each, not {logits_NK.shape}")
    logits_NK = logits_NK.astype(np.float64)
    right = int((logits_NK.argmax(1) == labels_N).sum())
    if min(right, len(labels_N) - right) < FEWEST or not np.isfinite(logits_NK).all():
        return Temperature(1.0, None, None, _FEW)
    own_N = logits_NK[np.arange(len(labels_N)), labels_N]
    low, high = -math.log(HOTTEST), math.log(HOTTEST)  # of the logarithm of one over the temperature
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _slope(logits_NK, own_N, math.exp(middle)) > 0 else (middle, high)
    value = math.exp(-(low + high) / 2)
    before, after = _loss(logits_NK, own_N, 1.0), _loss(logits_NK, own_N, value)
    if not after < before:
        return Temperature(1.0, before, before, _NO_GAIN)
    return Temperature(value, before, after)


def _slope(logits_NK: Floats, own_N: Floats, inverse: float) -> float:
    """How the mean loss changes with one over the temperature: expected logit less that of the right class."""
    weight_NK = np.exp(inverse * (logits_NK - logits_NK.max(1, keepdims=True)))
    expected_N = (weight_NK * logits_NK).sum(1) / weight_NK.sum(1)
    return float((expected_N - own_N).mean())


def _loss(logits_NK: Floats, own_N: Floats, temperature: float) -> float:
    most_N = logits_NK.max(1)
    summed_N = np.log(np.exp((logits_NK - most_N[:, None]) / temperature).sum(1))
    return float((summed_N + (most_N - own_N) / temperature).mean())


# ---------------------------------------------------------------- what fits
def _binned(confidence_N: Array, correct_N: Array, bin_N: Integers, bins: int) -> Bins:
    count = np.bincount(bin_N, minlength=bins)
    means = [
        np.divide(
            np.bincount(bin_N, weights=one, minlength=bins),
            count,
            out=np.full(bins, np.nan),
            where=count > 0,
        )
        for one in (confidence_N, correct_N)
    ]
    return Bins(means[0], means[1], count.astype(np.int64))


def _check(confidence_N: Array, correct_N: Array, bins: int) -> None:
    check_pair(confidence_N, correct_N)
    if bins < 1 or not (confidence_N.min() >= 0 and confidence_N.max() <= 1 + 1e-6):
        raise ValueError("calibration needs confidences in [0, 1] and at least one bin")
