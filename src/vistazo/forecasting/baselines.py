"""What a network has to beat: rules that anybody could follow, and a straight line through the same inputs.

Each is fitted on the rows before a moment and forecasts windows after it, as the network does. NumPy only.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vistazo.forecasting import steps as time
from vistazo.forecasting.data import Panel, season_before
from vistazo.language import mark
from vistazo.registry import Registry

__all__ = [
    "Baseline",
    "Past",
    "baselines",
    "last_value",
    "mean_of_four",
    "ridge",
    "ridge_with_everything",
    "same_season",
    "season_table",
    "smoothing",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_WINDOWS = 20_000  # that a ridge is fitted on
_STRENGTHS = (
    0.1,
    1.0,
    10.0,
    100.0,
    1000.0,
)  # of ridge, chosen on the latest fifth of its own training windows
_SPEEDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of exponential smoothing, chosen the same way


@dataclass(frozen=True)
class Past:
    """All that a baseline may use.

    panel: the series. values: (rows,) without holes. cut: rows whose step lies before it are known when fitting.
    fitting: (n,) origins of the windows that end before the cut. window, horizon: their sizes.
    """

    panel: Panel
    values: Floats
    cut: int
    fitting: Ints
    window: int
    horizon: int

    def known(self) -> NDArray[np.bool_]:
        """(rows,) whether a row's value may be used for fitting."""
        found: NDArray[np.bool_] = (self.panel.at < self.cut) & ~np.isnan(self.panel.values)
        return found


Baseline = Callable[[Past, Ints], Floats]
baselines: Registry[Baseline] = Registry(mark("baseline"))


@baselines.register(mark("last value"))
def last_value(past: Past, origins: Ints) -> Floats:
    """The value of the step before the window. (windows, horizon), as every function here."""
    return np.repeat(past.values[origins - 1][:, None], past.horizon, axis=1)


@baselines.register(mark("same season before"))
def same_season(past: Past, origins: Ints) -> Floats:
    """The last value of the same weekday (hour, week, month) known at the origin."""
    return _mean_of_seasons(past, origins, 1)


@baselines.register(mark("mean of the last four"))
def mean_of_four(past: Past, origins: Ints) -> Floats:
    """The mean of the last four values of the same weekday (hour, week, month) known at the origin."""
    return _mean_of_seasons(past, origins, 4)


@baselines.register(mark("weekday × month"))
def season_table(past: Past, origins: Ints) -> Floats:
    """The mean of the same weekday in the same month, of the series itself; where there is none, of the weekday."""
    (_, short), (_, long) = time.CYCLES[past.panel.step]
    codes = time.codes_of(past.panel.at, past.panel.step)
    series = past.panel.series_of().astype(np.int64)
    cell = (series * short + codes[:, 0]) * long + codes[:, 1]
    known = past.known()
    count = len(past.panel.names)
    fine = _means(cell[known], past.values[known], count * short * long).reshape(count, short, long)
    coarse = _means((cell // long)[known], past.values[known], count * short).reshape(count, short, 1)
    whole = _means(series[known], past.values[known], count).reshape(count, 1, 1)
    overall = float(past.values[known].mean()) if known.any() else 0.0
    table = _first_known(fine, coarse, whole, np.full((1, 1, 1), overall)).ravel()
    found: Floats = table[cell[_targets(past, origins)]]
    return found


@baselines.register(mark("exponential smoothing"))
def smoothing(past: Past, origins: Ints) -> Floats:
    """A level that follows the values, plus what each weekday (hour, month) differs from it (Holt 1957, additive).

    The speed of the level is the one that told the next value best before the cut.
    """
    panel = past.panel
    codes = time.codes_of(panel.at, panel.step)[:, 0]
    short = time.CYCLES[panel.step][0][1]
    used = np.unique(np.searchsorted(panel.starts, origins, side="right") - 1)
    found = np.empty((len(origins), past.horizon))
    owner = np.searchsorted(panel.starts, origins, side="right") - 1
    for one in used.tolist():
        first, end = int(panel.starts[one]), int(panel.starts[one + 1])
        values, seasons = past.values[first:end], codes[first:end]
        known = past.known()[first:end] if len(used) == 1 else (
            (panel.at[first:end] < past.cut) & ~np.isnan(panel.values[first:end]))  # fmt: skip
        mean = float(values[known].mean()) if known.any() else 0.0
        usual = _means(seasons[known], values[known] - mean, short)
        usual = np.where(np.isnan(usual), 0.0, usual)
        plain = values - usual[seasons]
        levels = _levels(plain)
        told = (
            np.abs(levels[:, :-1] - plain[1:])[:, known[1:]].mean(1)
            if known[1:].any()
            else np.zeros(len(_SPEEDS))
        )
        level = levels[int(told.argmin())]
        mine = owner == one
        at = _targets(past, origins[mine]) - first
        found[mine] = level[origins[mine] - first - 1][:, None] + usual[seasons[at]]
    return found


@baselines.register(mark("ridge"))
def ridge(past: Past, origins: Ints) -> Floats:
    """A linear model of the past window and of the weekday and month of the step, one for each step ahead.

    Its strength is chosen on the latest fifth of the windows before the cut. Source: Hoerl, Kennard 1970.
    """
    return _ridge(past, origins, everything=False)


@baselines.register(mark("ridge, whole calendar"))
def ridge_with_everything(past: Past, origins: Ints) -> Floats:
    """The same with all the columns that the networks see: closed days before and after, turn of the month, known."""
    return _ridge(past, origins, everything=True)


# ---------------------------------------------------------------- pieces
def _targets(past: Past, origins: Ints) -> Ints:
    return origins[:, None] + np.arange(past.horizon)


def _means(cell: Ints, values: Floats, count: int) -> Floats:
    """The mean of each cell, NaN where it is empty."""
    sums, counts = np.bincount(cell, values, count), np.bincount(cell, minlength=count)
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return found


def _first_known(*tables: Floats) -> Floats:
    found = tables[0]
    for table in tables[1:]:
        found = np.where(np.isnan(found), table, found)
    return found


def _mean_of_seasons(past: Past, origins: Ints, count: int) -> Floats:
    before = season_before(past.panel)
    row = before[_targets(past, origins)]
    while True:  # steps of the window itself are not known yet
        inside = row >= origins[:, None]
        if not inside.any():
            break
        row = np.where(inside, before[np.maximum(row, 0)], row)
    total, found = np.zeros(row.shape), np.zeros(row.shape)
    for _ in range(count):
        total += np.where(row >= 0, past.values[np.maximum(row, 0)], 0.0)
        found += row >= 0
        row = np.where(row >= 0, before[np.maximum(row, 0)], -1)
    lost = last_value(past, origins)
    return np.where(found > 0, total / np.maximum(found, 1), lost)


def _levels(plain: Floats) -> Floats:
    """(speeds, n) the smoothed level after each value."""
    speeds = np.array(_SPEEDS)
    levels = np.empty((len(_SPEEDS), len(plain)))
    level = np.full(len(_SPEEDS), plain[0])
    for at, value in enumerate(plain.tolist()):
        level = level + speeds * (value - level)
        levels[:, at] = level
    return levels


def _ridge(past: Past, origins: Ints, *, everything: bool) -> Floats:
    if len(past.fitting) < 10:
        return last_value(past, origins)
    step = max(1, len(past.fitting) // MOST_WINDOWS)
    fitting = past.fitting[::step]
    gaps = past.panel.gaps() if everything else None
    found = np.empty((len(origins), past.horizon))
    for ahead in range(past.horizon):
        inputs = _inputs(past, fitting, ahead, gaps)
        centre = inputs.mean(0)
        spread = inputs.std(0)
        spread[spread < 1e-9] = 1.0
        targets = past.values[fitting + ahead]
        scaled = (inputs - centre) / spread
        late = np.argsort(past.panel.at[fitting], kind="stable")
        old, new = late[: -(len(late) // 5)], late[-(len(late) // 5) :]
        errors = []
        for strength in _STRENGTHS:
            weights, offset = _solve(scaled[old], targets[old], strength)
            errors.append(np.abs(scaled[new] @ weights + offset - targets[new]).mean())
        weights, offset = _solve(scaled, targets, _STRENGTHS[int(np.argmin(errors))])
        found[:, ahead] = ((_inputs(past, origins, ahead, gaps) - centre) / spread) @ weights + offset
    return found


def _inputs(past: Past, origins: Ints, ahead: int, gaps: NDArray[np.int8] | None) -> Floats:
    panel, rows = past.panel, origins + ahead
    steps = panel.at[rows]
    codes = time.codes_of(steps, panel.step)
    (_, short), (_, long) = time.CYCLES[panel.step]
    parts = [past.values[origins[:, None] + np.arange(-past.window, 0)], np.eye(short)[codes[:, 0]],
             np.eye(long)[codes[:, 1]]]  # fmt: skip
    if gaps is not None:
        known = np.nan_to_num(panel.known[rows]).astype(np.float64)
        parts += [np.eye(4)[gaps[rows, 0]], np.eye(4)[gaps[rows, 1]], time.calendar(steps, panel.step), known]
    return np.concatenate(parts, 1)


def _solve(inputs: Floats, targets: Floats, strength: float) -> tuple[Floats, float]:
    mean = float(targets.mean())
    centre = inputs.mean(0)
    plain = inputs - centre
    weights = np.linalg.solve(plain.T @ plain + strength * np.eye(plain.shape[1]), plain.T @ (targets - mean))
    return weights, mean - float(centre @ weights)
