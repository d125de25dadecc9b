"""A forecast as a picture. Free of torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.engine.reports import Curves, to_svg
from vistazo.language import tr

__all__ = ["day", "draw"]

Floats = NDArray[np.float64]


def draw(answers: Sequence[Mapping[str, Any]], past: tuple[NDArray[Any], Floats] | None = None) -> bytes:
    """Forecasts as an SVG file: the first series, its values and the interval around them, after its last weeks.

    past: dates and values of that series. Raises ValueError without answers.
    """
    if not answers:
        raise ValueError("there is nothing to draw")
    first = [one for one in answers if one["series"] == answers[0]["series"]]
    dates, values = past or (np.zeros(0, "datetime64[D]"), np.zeros(0))
    x = [day(one) for one in dates]
    x += [day(np.datetime64(one["date"].replace(" ", "T"))) for one in first]
    gap: list[float | None] = [None] * len(dates)
    name = tr("forecast")
    series: dict[str, list[float | None]] = (
        {tr("real"): [*values.tolist(), *[None] * len(first)]} if gap else {}
    )
    series[name] = [*gap, *(one["value"] for one in first)]
    band = ([*gap, *(one["low"] for one in first)], [*gap, *(one["high"] for one in first)])
    curves = Curves(x, series, tr("date"), str(answers[0]["series"]), {name: band}, dates=True, wide=True)
    return to_svg(curves).encode()


def day(date: np.datetime64) -> float:
    """Days since 1970-01-01, with the share of the day that has passed."""
    return float(date.astype("datetime64[m]").astype(np.int64)) / (24 * 60)
