"""When a model should rather say that it does not know: a threshold for its confidence, for a stated error.

Shape suffix: N pictures. `confidence_N` is the probability of the answer, `correct_N` whether that answer was right.
Free of torch.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.evaluating.exact import at_most
from vistazo.engine.figures import check_pair, wilson_interval

__all__ = ["Unknowing", "choose", "fewest", "selective"]

Array = npt.NDArray[Any]
DOUBT = 0.05  # the chance that the promise is broken, over all thresholds that are tried


@dataclass(frozen=True)
class Unknowing:
    """From which confidence on an answer counts as known, in [0, 1]; and the share of wrong ones it was chosen for."""

    threshold: float
    error: float


def fewest(error: float) -> int:
    """How many pictures must all be answered rightly before an error so small can be shown at all."""
    n = 1
    while n * math.log1p(-error) > math.log(DOUBT / _tries(n)):
        n += max(1, n // 1000)
    return n


def choose(confidence_N: Array, correct_N: Array, error: float) -> float | None:
    """The smallest confidence from which on so few answers are wrong, with 95 % certainty; None where no such is found.

    The promise is for new pictures of the same kind and not for these: the upper end of the exact interval of Clopper
    and Pearson must not pass `error`. All answers are tried first, then the ranks between by halving, and the 5 % of
    doubt is shared among the tries; what is found then holds for all of them at once. The plain share on these pictures
    would break the promise on about half of all models.
    Sources: Geifman, El-Yaniv 2017, arXiv:1705.08500, algorithm 1; Clopper, Pearson 1934, Biometrika 26:404-413.
    """
    check_pair(confidence_N, correct_N)
    if not 0 < error < 1:
        raise ValueError(f"an error lies between 0 and 1, not {error}")
    order_N = np.argsort(-confidence_N, kind="stable")
    sorted_N = confidence_N[order_N].astype(np.float64)
    ends = np.flatnonzero(np.r_[np.diff(sorted_N) != 0, True])  # pictures of one confidence come in together
    wrong = (~correct_N[order_N].astype(np.bool_)).cumsum()[ends]
    doubt = DOUBT / _tries(len(ends))

    def holds(at: int) -> bool:
        return at_most(int(wrong[at]), int(ends[at]) + 1, error) <= doubt

    last = len(ends) - 1
    if holds(last):
        return 0.0
    enough = math.ceil(
        math.log(doubt) / math.log1p(-error)
    )  # with fewer, no answer wrong would not show it either
    low, high, best = int(np.searchsorted(ends + 1, enough)), last, -1
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            best, low = middle, middle + 1
        else:
            high = middle
    if best < 0:
        return None
    last_in, first_out = float(sorted_N[ends[best]]), float(sorted_N[ends[best + 1]])
    between = (last_in + first_out) / 2
    return between if between > first_out else last_in  # between neighbouring numbers there is none


def selective(confidence_N: Array, correct_N: Array, threshold: float) -> dict[str, Any]:
    """How many pictures are answered from a threshold on, and how many of those wrongly, with Wilson's 95 % interval.

    Without an answered picture `error`, `error_low` and `error_high` are None.
    """
    check_pair(confidence_N, correct_N)
    answered = confidence_N >= threshold
    n = int(answered.sum())
    wrong = int((answered & ~correct_N.astype(np.bool_)).sum())
    low, high = wilson_interval(wrong, n) if n else (None, None)
    return {
        "n": len(confidence_N),
        "answered": n,
        "coverage": n / len(confidence_N),
        "wrong": wrong,
        "error": wrong / n if n else None,
        "error_low": low,
        "error_high": high,
    }


def _tries(ranks: int) -> int:
    """How many thresholds are tried at most among so many."""
    return 2 + math.ceil(math.log2(max(1, ranks)))
