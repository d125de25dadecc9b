"""Whether what a file says of a series holds together. NumPy only."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.forecasting import steps as time
from vistazo.forecasting.data import Panel

__all__ = ["check_panel", "named_ahead", "require", "whole"]

_ERAS = np.array(["0001-01-01", "9999-12-31"], dtype="datetime64[s]")  # no step of a model file lies outside


def named_ahead(
    facts: Mapping[str, Any], width: int
) -> dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The steps to come that the training table named, with the `width` numbers that were known of each."""
    return {
        int(one): (
            np.array(at, dtype=np.int64),
            np.array(facts["ahead_known"][one], np.float32).reshape(len(at), width),
        )
        for one, at in facts["ahead"].items()
    }


def require(*facts: Any) -> None:
    """Raise ValueError where a fact of a model file does not hold."""
    if not all(facts):
        raise ValueError("history")


def whole(number: Any) -> int:
    """A whole number of steps, 1 to 1000. Raises ValueError."""
    require(type(number) is int, 1 <= number <= 1000)
    return int(number)


def check_panel(panel: Panel, window: int) -> None:
    """Raise ValueError where the history in a model file is none."""
    require(panel.starts.dtype == panel.at.dtype == np.int64, panel.values.dtype == np.float64)
    require(panel.starts.ndim == panel.at.ndim == panel.values.ndim == 1, panel.known.ndim == 2)
    require(panel.known.dtype == np.float32, isinstance(panel.closed, bool), panel.starts[0] == 0)
    require((np.diff(panel.starts) >= window).all(), len(set(panel.names)) == len(panel.names))
    require(all(isinstance(name, str) for name in panel.names), not np.isinf(panel.values).any())
    require(not np.isinf(panel.known).any(), sum(one.width for one in panel.columns) == panel.known.shape[1])
    require(all(isinstance(name, str) for one in panel.columns for name in (one.name, *one.categories)))
    first, last = time.steps_of(_ERAS, panel.step).tolist()
    for one in range(len(panel.names)):
        at = panel.at[panel.starts[one] : panel.starts[one + 1]]
        ahead, known = panel.ahead.get(one, (at[:0], panel.known[:0]))
        every = np.concatenate([at, ahead])
        require((every >= first).all(), (every <= last).all(), (np.diff(every) > 0).all())
        require(ahead.ndim == 1, known.shape == (len(ahead), panel.known.shape[1]))
    require(panel.ahead.keys() <= set(range(len(panel.names))))
