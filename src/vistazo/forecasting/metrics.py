"""How far forecasts are off: functions on arrays. Errors are in the units of the series."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVEL", "by_code", "by_horizon", "conformal", "measure", "skill"]

Floats = NDArray[np.float64]
LEVEL = 0.8  # share of values that an interval should hold


def measure(
    real: Floats, told: Floats, low: Floats | None, high: Floats | None
) -> dict[str, float | int | None]:
    """Mean absolute error, root mean squared error, mean error (told − real), share of values inside the interval.

    real, told, low, high: (windows, horizon), NaN in `real` where the value is unknown. {"n": 0, ...} without values.
    """
    there = ~np.isnan(real)
    if not there.any():
        return {"mae": None, "rmse": None, "bias": None, "coverage": None, "n": 0}
    error = (told - real)[there]
    inside = None
    if low is not None and high is not None:
        inside = float(((real >= low) & (real <= high))[there].mean())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "bias": float(error.mean()),
        "coverage": inside,
        "n": int(there.sum()),
    }


def by_horizon(real: Floats, told: Floats) -> list[float | None]:
    """Mean absolute error of each step ahead, (horizon,)."""
    error = np.abs(told - real)
    return [float(np.nanmean(one)) if not np.isnan(one).all() else None for one in error.T]


def by_code(real: Floats, told: Floats, codes: NDArray[np.int64], count: int) -> list[float | None]:
    """Mean absolute error of each season, such as each weekday; codes: (windows, horizon) from 0 to count - 1."""
    error = np.abs(told - real)
    there = ~np.isnan(error)
    return [
        float(error[there & (codes == one)].mean()) if (there & (codes == one)).any() else None
        for one in range(count)
    ]


def conformal(scores: Floats, level: float) -> float:
    """The (n + 1)-corrected quantile of conformity scores: added to a bound, a share `level` of values keeps to it.

    scores: how far values lay beyond the bound, negative inside; NaN are left out. Infinite values never occur: with
    too few scores the largest is given. Source: Romano, Patterson, Candès 2019, arXiv:1905.03222, equation 8.
    """
    there = np.sort(scores[~np.isnan(scores)])
    if not len(there):
        return 0.0
    rank = int(np.ceil((len(there) + 1) * level)) - 1
    return float(there[min(rank, len(there) - 1)])


def skill(figures: Mapping[str, Any], baseline: Mapping[str, Any]) -> float | None:
    """By what share the mean absolute error lies below a baseline's."""
    own, other = figures.get("mae"), baseline.get("mae")
    if own is None or other is None:
        return None
    if other == 0:
        return 0.0 if own == 0 else -float("inf")
    return float(1 - own / other)
