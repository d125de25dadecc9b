"""Exact tests on counts, and what to make of many of them: pure functions on numbers.

Binomial and hypergeometric chances come from the ratio of each to the one before it, so no factorial is ever formed and
the largest of them is exact to rounding.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["at_most", "fisher", "holm"]

Floats = npt.NDArray[np.float64]


def at_most(count: int, n: int, share: float) -> float:
    """The chance of `count` successes or fewer in `n` trials, each with the chance `share`."""
    if not 0 <= count <= n or not 0 <= share <= 1:
        raise ValueError(f"{count} of {n} at {share} is no binomial count")
    if count == n or share == 0:
        return 1.0
    if share == 1:
        return 0.0
    k = np.arange(1, count + 1, dtype=np.float64)
    steps = np.log((n - k + 1) / k) + math.log(share) - math.log1p(-share)
    logs = n * math.log1p(-share) + np.r_[0.0, np.cumsum(steps)]
    most = float(logs.max())
    return min(1.0, math.exp(most) * math.fsum(np.exp(logs - most).tolist()))


def fisher(inside: tuple[int, int], outside: tuple[int, int]) -> float:
    """Fisher's exact test, two-sided: how likely a table no likelier than this one is, were both shares the same.

    inside, outside: (right, n) of two groups that share no picture; 1 where either is empty.
    Source: Fisher 1935, Journal of the Royal Statistical Society 98:39-82.
    """
    (right, n), (other, m) = inside, outside
    if not 0 <= right <= n or not 0 <= other <= m:
        raise ValueError(f"{right} of {n} and {other} of {m} are no shares")
    total = right + other
    low, high = max(0, total - m), min(n, total)
    if low == high:
        return 1.0
    k = np.arange(low, high, dtype=np.float64)
    steps = np.log((n - k) * (total - k)) - np.log((k + 1) * (m - total + k + 1))
    logs = np.r_[0.0, np.cumsum(steps)]
    weights = np.exp(logs - logs.max())
    seen = weights[right - low]
    rare = weights[weights <= seen * (1 + 1e-7)]  # as R does: rounding must not part what is equal
    return min(1.0, math.fsum(rare.tolist()) / math.fsum(weights.tolist()))


def holm(chances: Sequence[float]) -> Floats:
    """Each chance as it is worth among so many: below 0.05, it is so with all others that are at 95 % certainty.

    Nothing is supposed of how the tests depend on one another.
    Source: Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    values = np.asarray(chances, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    worth = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    found = np.empty(len(values))
    found[order] = worth.clip(max=1.0)
    return found
