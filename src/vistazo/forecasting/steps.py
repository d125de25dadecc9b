"""Time in steps: hours, days, weeks or months as whole numbers, what the calendar says of them, and which are open.

A step is counted from 1970-01-01: day 0 was a Thursday. NumPy only.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CYCLES",
    "TURNS",
    "YEAR",
    "Step",
    "calendar",
    "codes_of",
    "dates_of",
    "recognise",
    "steps_of",
    "upcoming",
]

Step = Literal["hour", "day", "week", "month"]
Ints = NDArray[np.int64]
Dates = NDArray[Any]

# For each step: the seasons it is grouped by, the short one first, with how many values each has.
CYCLES: dict[Step, tuple[tuple[str, int], tuple[str, int]]] = {
    "hour": (("hour", 24), ("weekday", 7)),
    "day": (("weekday", 7), ("month", 12)),
    "week": (("week", 53), ("month", 12)),
    "month": (("month", 12), ("quarter", 4)),
}
TURNS = 12  # numbers that `calendar` gives
_UNITS: dict[Step, str] = {"hour": "h", "day": "D", "week": "W", "month": "M"}
_MONTH, _YEAR = 30.44, 365.25  # days
YEAR: dict[Step, int] = {"hour": 8760, "day": 365, "week": 52, "month": 12}
"""Steps of a year."""
# Steps after which opening times repeat: each week, or as "every fourth Sunday" does; each day, or each week.
_PERIODS: dict[Step, tuple[int, int]] = {"day": (7, 28), "hour": (24, 7 * 24)}


@dataclass(frozen=True)
class _Fit:
    period: int
    share: float


def recognise(dates: Dates) -> Step:
    """What one step of sorted, different dates is: the shortest distance that is common (the lower quartile)."""
    if len(dates) < 2:
        return "day"
    hours = np.diff(dates.astype("datetime64[s]")).astype(np.int64) / 3600
    usual = float(np.quantile(hours, 0.25))
    if usual < 24:
        return "hour"
    if usual < 7 * 24:
        return "day"
    if usual < 27 * 24:
        # A series of weeks stands on one weekday; days that are a week apart by chance do not.
        days = dates.astype("datetime64[D]").astype(np.int64)
        return "week" if len(np.unique(days % 7)) == 1 else "day"
    return "month"


def steps_of(dates: Dates, step: Step) -> Ints:
    """Dates as numbers of steps; weeks begin on Monday."""
    if step == "week":
        days: Ints = dates.astype("datetime64[D]").astype(np.int64)
        return (days + 3) // 7
    counted: Ints = dates.astype(f"datetime64[{_UNITS[step]}]").astype(np.int64)
    return counted


def dates_of(steps: Ints, step: Step) -> Dates:
    """The first moment of each step: datetime64[h] for hours, else datetime64[D]."""
    if step == "week":
        return (np.asarray(steps) * 7 - 3).astype("datetime64[D]")
    whole: Dates = np.asarray(steps).astype(f"datetime64[{_UNITS[step]}]")
    return whole if step == "hour" else whole.astype("datetime64[D]")


def codes_of(steps: Ints, step: Step) -> Ints:
    """(n, 2) the seasons of each step, from 0: for days, the weekday (Monday is 0) and the month (January is 0)."""
    dates = dates_of(steps, step)
    days: Ints = dates.astype("datetime64[D]").astype(np.int64)
    weekday = (days + 3) % 7
    month = dates.astype("datetime64[M]").astype(np.int64) % 12
    if step == "hour":
        return np.stack([np.asarray(steps) % 24, weekday], 1)
    if step == "week":
        start: Ints = dates.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
        return np.stack([(days - start) // 7, month], 1)
    if step == "month":
        return np.stack([month, month // 3], 1)
    return np.stack([weekday, month], 1)


def calendar(steps: Ints, step: Step) -> NDArray[np.float32]:
    """(n, 12) where in the month and in the year each step lies.

    Near the month's beginning, near its end, and two waves over it (people are paid and shops do their sums at the
    turn of the month; zero for weeks and months); then three waves over the year, which months alone cut in pieces.
    """
    days = dates_of(steps, step).astype("datetime64[D]")
    first = days.astype("datetime64[M]")
    year = 2 * np.pi * (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) / _YEAR
    told = [wave(times * year) for times in (1, 2, 3) for wave in (np.sin, np.cos)]
    if step in ("week", "month"):
        month = [np.zeros(len(days))] * 6
    else:
        since = (days - first.astype("datetime64[D]")).astype(np.int64)
        until = ((first + 1).astype("datetime64[D]") - days).astype(np.int64) - 1
        turn = 2 * np.pi * (since + 1) / _MONTH
        month = [np.exp(-(since + 1) / 3), np.exp(-until / 3), np.sin(turn), np.cos(turn), np.sin(2 * turn),
                 np.cos(2 * turn)]  # fmt: skip
    return np.stack([*month, *told], 1).astype(np.float32)


def upcoming(past: Ints, count: int, step: Step, *, closed: bool) -> Ints:
    """The next `count` steps after those of one series: (count,).

    past: (n,) increasing. closed: whether absent steps mean that nobody could buy. Then a day (or hour) is taken as
    open where most of the last three one period before were, the period (a week, or four; a day, or a week) being the
    one that tells the past best. Without absent steps, and for weeks and months, they simply follow one another.
    """
    last = int(past[-1])
    if not closed or step not in _PERIODS or last - int(past[0]) + 1 == len(past):
        return np.arange(last + 1, last + 1 + count)
    periods = _PERIODS[step]
    first = max(int(past[0]), last - 26 * periods[1])
    room = 2 * periods[1] + 14 * count + 14
    is_open = np.zeros(last - first + 1 + room, bool)
    is_open[past[past >= first] - first] = True
    known = last - first + 1
    fits = [_tell(is_open[:known], period) for period in periods if known >= 4 * period]
    if not fits:
        return np.arange(last + 1, last + 1 + count)
    period = max(fits, key=lambda one: (one.share, -one.period)).period
    found: list[int] = []
    for at in range(known, len(is_open)):
        is_open[at] = is_open[at - 3 * period : at : period].sum() >= 2
        if is_open[at]:
            found.append(first + at)
            if len(found) == count:
                return np.array(found, dtype=np.int64)
    return np.arange(last + 1, last + 1 + count)  # nothing was open for weeks: no pattern to go by


def _tell(is_open: NDArray[np.bool_], period: int) -> _Fit:
    """How often the rule of `upcoming` tells the last year's days."""
    lags = [is_open[3 * period - k * period : len(is_open) - k * period] for k in (1, 2, 3)]
    told = np.sum(lags, axis=0) >= 2
    real = is_open[3 * period :]
    return _Fit(period, float((told == real)[-365:].mean()))
