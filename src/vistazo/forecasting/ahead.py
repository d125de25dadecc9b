"""The steps to come of a panel: which they are, and what is known of them. NumPy only."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.forecasting import steps as time
from vistazo.forecasting.data import Panel

__all__ = ["extend"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def extend(panel: Panel, count: int) -> tuple[Panel, Ints]:
    """The panel with `count` steps to come after each series, and the origins of these.

    Steps that the table names after the last value are taken as they are; further ones follow as `steps.upcoming`
    says, their known columns unknown.
    """
    parts: list[tuple[Ints, Floats, Any]] = []
    for one in range(len(panel.names)):
        first, end = int(panel.starts[one]), int(panel.starts[one + 1])
        past = panel.at[first:end]
        named, told = panel.ahead.get(one, (past[:0], panel.known[:0]))
        named, told = named[:count], told[:count]
        rest = count - len(named)
        seen = np.concatenate([past, named])
        ahead = np.concatenate([named, time.upcoming(seen, rest, panel.step, closed=panel.closed)[:rest]])
        blank = np.full((rest, panel.known.shape[1]), np.nan, np.float32)
        parts.append(
            (np.concatenate([past, ahead]), np.concatenate([panel.values[first:end], np.full(count, np.nan)]),
             np.concatenate([panel.known[first:end], told, blank]))
        )  # fmt: skip
    starts = panel.starts + count * np.arange(len(panel.starts))
    at, values, known = (np.concatenate([part[k] for part in parts]) for k in range(3))
    longer = replace(panel, starts=starts, at=at, values=values, known=known, ahead={})
    return longer, starts[1:] - count
