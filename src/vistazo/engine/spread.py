"""How far the figures of several runs lie apart: pure functions on numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Spread", "spread", "t_quantile"]


@dataclass(frozen=True)
class Spread:
    """n figures: their mean, their standard deviation, and the 95 % interval of the mean."""

    n: int
    mean: float
    deviation: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation s (with n - 1) and the interval mean ± t · s / √n, t the 97.5 % point of Student's t.

    The interval covers the mean over all the runs of which these are a sample, such as all seeds, on this same data.
    It says nothing of other data. Source: Student 1908, Biometrika 6:1-25. Raises ValueError for fewer than two values.
    """
    n = len(values)
    if n < 2:
        raise ValueError("a spread needs two figures or more")
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (n - 1))
    half = t_quantile(n - 1) * deviation / math.sqrt(n)
    return Spread(n, mean, deviation, mean - half, mean + half)


def t_quantile(freedom: int) -> float:
    """The 97.5 % point of Student's t with so many degrees of freedom: 12.706 for 1, 2.776 for 4, 1.960 at last."""
    if freedom < 1:
        raise ValueError(f"degrees of freedom are 1 or more, not {freedom}")
    low, high = 0.0, math.pi / 2  # of the angle whose tangent is t / √freedom
    for _ in range(60):  # each halves it: far below what a float tells apart
        middle = (low + high) / 2
        low, high = (middle, high) if _between(middle, freedom) < 0.95 else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def _between(angle: float, freedom: int) -> float:
    """P(-t < T < t). Source: Abramowitz and Stegun 1964, formulas 26.7.3 and 26.7.4, finite sums that are exact."""
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(freedom // 2):
        total += term
        term *= square * (2 * k + 1 + odd) / (2 * k + 2 + odd)
    return (2 / math.pi) * (angle + sine * total) if odd else sine * total
