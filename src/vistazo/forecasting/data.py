"""From a table to series: one value a step, sorted, with what is absent said and never guessed silently. NumPy only.

A Panel holds every series one after another in flat arrays: a row is one step of one series. A window is told by its
origin: the row of the first step to forecast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import ConfigError, SourceError, TooFewExamples
from vistazo.forecasting import steps as time
from vistazo.forecasting.config import ForecastingConfig
from vistazo.language import mark, tr
from vistazo.tables.config import names_in
from vistazo.tables.table import Column, Table

__all__ = ["Known", "Panel", "Roles", "build", "origins", "roles_of", "season_before"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_BAD_DATES = 0.05  # a larger share of rows without a date is a wrong column, not a few slips
SHOWN = 5
_STEPS = {"hour": mark("hours"), "day": mark("days"), "week": mark("weeks"), "month": mark("months")}
_WEEKDAYS = (
    *(mark("Monday"), mark("Tuesday"), mark("Wednesday"), mark("Thursday"), mark("Friday"), mark("Saturday")),
    mark("Sunday"),
)


@dataclass(frozen=True)
class Roles:
    """Which column is what."""

    date: str
    values: tuple[str, ...]
    series: str | None
    known: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """A further column known ahead: its name, and its categories where it holds no numbers (each becomes 0 or 1)."""

    name: str
    categories: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.categories) or 1


@dataclass(frozen=True)
class Panel:
    """Series one after another.

    starts: (series + 1,) where each begins. at: (rows,) step numbers, increasing in each series. values: (rows,)
    NaN where unknown. known: (rows, features) of the columns known ahead. ahead: rows after the last value, by
    series: step numbers and known features. step: what one step is. closed: whether absent steps mean closed.
    """

    names: tuple[str, ...]
    starts: Ints
    at: Ints
    values: Floats
    known: NDArray[np.float32]
    ahead: dict[int, tuple[Ints, NDArray[np.float32]]]
    columns: tuple[Known, ...]
    step: time.Step
    closed: bool
    sentences: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.at) == len(self.values) == len(self.known) == self.starts[-1]:
            raise ValueError("rows of a panel differ in number")
        if len(self.starts) != len(self.names) + 1:
            raise ValueError("a panel has one start a series, and the end")

    def __len__(self) -> int:
        return len(self.at)

    def series_of(self) -> NDArray[np.int32]:
        """(rows,) the series of each row."""
        return np.repeat(np.arange(len(self.names), dtype=np.int32), np.diff(self.starts))

    def gaps(self) -> NDArray[np.int8]:
        """(rows, 2) steps absent before and after each row, at most 3; of the last row, as far as can be foreseen."""
        between = np.zeros(len(self.at) + 1, np.int64)
        between[1:-1] = np.diff(self.at) - 1
        between[self.starts] = 0
        found = np.stack([between[:-1], between[1:]], 1)
        if self.closed and len(self.at):
            for series in range(len(self.names)):
                first, end = self.starts[series], self.starts[series + 1]
                if int(self.at[end - 1]) - int(self.at[first]) + 1 > end - first:
                    ahead = self.ahead.get(series)
                    following = ahead[0][0] if ahead and len(ahead[0]) else time.upcoming(
                        self.at[first:end], 1, self.step, closed=True)[0]  # fmt: skip
                    found[end - 1, 1] = following - self.at[end - 1] - 1
        return np.clip(found, 0, 3).astype(np.int8)

    def only(self, series: Ints) -> "Panel":
        """The panel of these series, in this order."""
        return self._cut(series, self.starts[series])

    def tail(self, most: int) -> "Panel":
        """The last `most` rows of each series."""
        return self._cut(np.arange(len(self.names)), np.maximum(self.starts[:-1], self.starts[1:] - most))

    def _cut(self, series: Ints, firsts: Ints) -> "Panel":
        sizes = self.starts[series + 1] - firsts
        starts = np.r_[0, np.cumsum(sizes)]
        rows = np.arange(starts[-1]) - np.repeat(starts[:-1] - firsts, sizes)
        ahead = {at: self.ahead[int(one)] for at, one in enumerate(series.tolist()) if int(one) in self.ahead}
        return Panel(
            tuple(self.names[one] for one in series.tolist()), starts, self.at[rows], self.values[rows],
            self.known[rows], ahead, self.columns, self.step, self.closed, self.sentences,
        )  # fmt: skip

    def filled(self) -> Floats:
        """(rows,) values with each unknown one taken from the same season before, or the last one known."""
        if not np.isnan(self.values).any():
            return self.values
        found = self.values.copy()
        before = season_before(self)
        for row in np.flatnonzero(np.isnan(found)).tolist():
            start = self.starts[np.searchsorted(self.starts, row, side="right") - 1]
            if before[row] >= 0:
                found[row] = found[before[row]]
            elif row > start:
                found[row] = found[row - 1]
        lost = np.isnan(found)
        found[lost] = 0.0 if lost.all() else float(np.nanmean(self.values))
        return found


def roles_of(table: Table, config: ForecastingConfig) -> Roles:
    """Which column is the date, the value, the series. Raises ConfigError where only the user can tell."""
    if config.date:
        date = table.column(config.date)
    else:
        dates = [one for one in table.columns if one.kind == "date"]
        if len(dates) != 1:
            names = ", ".join(one.name for one in (dates or table.columns))
            if dates:
                raise ConfigError(
                    tr("Several columns hold dates ({names}): choose one with --date.", names=names)
                )
            raise ConfigError(
                tr(
                    "No column holds dates (columns: {names}). A series needs one; if it is there, name it with "
                    "--date.",
                    names=names,
                )
            )
        date = dates[0]
    series = table.column(config.series).name if config.series else None
    known = tuple(table.column(name).name for name in names_in(config.known))
    if config.value:
        values = tuple(table.column(name).name for name in names_in(config.value))
    else:
        taken = {date.name, series, *known}
        numbers = [one.name for one in table.columns if one.kind == "number" and one.name not in taken]
        if len(numbers) != 1:
            if numbers:
                raise ConfigError(
                    tr("Several columns hold numbers ({names}): choose what to forecast with --value.",
                       names=", ".join(numbers))
                )  # fmt: skip
            raise ConfigError(
                tr("No column holds numbers to forecast (columns: {names}). Name it with --value.",
                   names=", ".join(table.names))
            )  # fmt: skip
        values = (numbers[0],)
    for name in {date.name, series, *known}.intersection(values):
        raise ConfigError(
            tr(
                "The column '{name}' is what is forecast: it cannot be --date, --series or --known too.",
                name=name,
            )
        )
    roles = Roles(date.name, tuple(dict.fromkeys(values)), series, known)
    _check_kinds(table, roles)
    return roles


def build(
    table: Table, roles: Roles, config: ForecastingConfig, columns: Sequence[Known] | None = None
) -> Panel:
    """The series of a table. columns: the known columns of an earlier panel, so that features mean the same.

    Raises ConfigError where an option must decide, SourceError and TooFewExamples where there is nothing to learn.
    """
    _check_kinds(table, roles)
    said = list(table.notes)
    said += _faults(table, roles)
    table, more = _without_bad_dates(table, roles)
    said += more
    dates = table.column(roles.date).values
    step = config.step or _step_of(table, roles, config)
    names, series = _series_of(table, roles)
    known, features = _known_of(table, roles, columns)
    at = time.steps_of(dates, step)
    cells = [table.column(name).values for name in roles.values]
    if len(cells) > 1:  # several values are several series
        names = tuple(f"{name} · {value}" if name else value for name in names for value in roles.values)
        series = np.concatenate([series * len(cells) + k for k in range(len(cells))])
        at, features = np.tile(at, len(cells)), np.tile(features, (len(cells), 1))
    values = np.concatenate(cells)
    rows = np.tile(table.rows, len(cells))
    if not _sorted(series, at):
        order = np.lexsort((at, series))
        series, at, values, features, rows = (
            series[order],
            at[order],
            values[order],
            features[order],
            rows[order],
        )
    series, at, values, features, joined = _joined(series, at, values, features, rows, config, step)
    said += joined
    series, at, values, features, ahead = _ahead(series, at, values, features, len(names))
    kept = np.unique(series)
    if not len(kept):
        raise TooFewExamples(tr("The column '{name}' holds no values.", name=", ".join(roles.values)))
    if len(kept) < len(names):
        said.append(tr("series without a value, left out: {n}", n=len(names) - len(kept)))
    ahead = {int(np.searchsorted(kept, one)): what for one, what in ahead.items() if one in kept}
    series, names = np.searchsorted(kept, series), tuple(names[one] for one in kept)
    filled = _absent(series, at, values, features, config, step, said)
    series, at, values, features, closed = filled
    starts = np.searchsorted(series, np.arange(len(names) + 1))
    said.insert(0, tr("series: {n}, {rows} {steps} from {first} to {last}", n=len(names), rows=len(at),
                      steps=tr(_STEPS[step]), first=str(time.dates_of(at.min(), step)),
                      last=str(time.dates_of(at.max(), step))))  # fmt: skip
    return Panel(names, starts, at, values, features, ahead, known, step, closed, tuple(said))


def origins(panel: Panel, *, window: int, horizon: int) -> Ints:
    """The rows that windows can begin to forecast at: `window` steps before them, `horizon` from them on."""
    sizes = np.diff(panel.starts)
    counts = np.maximum(sizes - window - horizon + 1, 0)
    firsts = np.repeat(panel.starts[:-1] + window, counts)
    found: Ints = firsts + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return found


def season_before(panel: Panel) -> Ints:
    """(rows,) the row of the same series with the same short season before (for days, weekday); -1 where none."""
    season = time.codes_of(panel.at, panel.step)[:, 0]
    key = panel.series_of().astype(np.int64) * 64 + season
    order = np.argsort(key, kind="stable")
    found = np.full(len(panel), -1, dtype=np.int64)
    same = key[order][1:] == key[order][:-1]
    found[order[1:][same]] = order[:-1][same]
    return found


# ---------------------------------------------------------------- pieces of `build`
def _check_kinds(table: Table, roles: Roles) -> None:
    """Raise ConfigError where the date is no date or a value no number: codes of a category would pass for numbers."""
    date = table.column(roles.date)
    if date.kind != "date":
        raise ConfigError(
            tr("The column '{name}' holds no dates{example}. Name the column of dates with --date.",
               name=date.name, example=_example(date))
        )  # fmt: skip
    for name in roles.values:
        if table.column(name).kind != "number":
            raise ConfigError(
                tr("The column '{name}' holds no numbers{example}. Choose what to forecast with --value.",
                   name=name, example=_example(table.column(name)))
            )  # fmt: skip


def _sorted(series: Ints, at: Ints) -> bool:
    later = np.diff(series)
    return bool(((later > 0) | ((later == 0) & (np.diff(at) >= 0))).all())


def _example(column: Column) -> str:
    shown = next((text for text in column.take(np.arange(min(len(column), 100))).texts() if text), "")
    return f" ('{shown}')" if shown else ""


def _faults(table: Table, roles: Roles) -> list[str]:
    """What was not understood in the columns that are used, named."""
    used = dict.fromkeys([roles.date, *roles.values, *roles.known])
    said = []
    for name in used:
        count = table.fault_count.get(name, 0)
        shown = [one for one in table.faults if one.column == name][:SHOWN]
        if count:
            cells = [tr("row {row}: {text}", row=one.row, text=one.text) for one in shown]
            said.append(
                tr("cells of '{name}' that were not understood: {n} ({cells})", name=name, n=count,
                   cells="; ".join(cells))
            )  # fmt: skip
    for one in table.set_aside[:SHOWN]:
        said.append(tr("row {row} set aside: {reason}", row=one.row, reason=one.reason))
    if len(table.set_aside) > SHOWN:
        said.append(tr("rows set aside: {n} in all", n=len(table.set_aside)))
    return said


def _without_bad_dates(table: Table, roles: Roles) -> tuple[Table, list[str]]:
    bad = table.column(roles.date).missing
    if not bad.any():
        return table, []
    rows = table.rows[bad]
    if bad.mean() > MOST_BAD_DATES:
        raise SourceError(
            tr(
                "{n} of {total} rows have no date that can be read in '{name}', the first is row {row}. "
                "Mend them, or name another column with --date.",
                n=int(bad.sum()),
                total=len(table),
                name=roles.date,
                row=int(rows[0]),
            )
        )
    listed = ", ".join(str(row) for row in rows[: 4 * SHOWN].tolist()) + (
        " ..." if len(rows) > 4 * SHOWN else ""
    )
    return table.take(~bad), [
        tr("rows without a date, left out: {n} (rows {rows})", n=len(rows), rows=listed)
    ]


def _step_of(table: Table, roles: Roles, config: ForecastingConfig) -> time.Step:
    dates = np.unique(table.column(roles.date).values)
    step = time.recognise(dates)
    if step == "hour" and config.aggregate:
        return "day"  # ticket lines with a time become days, as the option says
    if step == "hour" and not bool((dates == dates.astype("datetime64[h]")).all()):
        raise ConfigError(
            tr(
                "The dates of '{name}' have minutes, such as {example}. Say what one step is with --step day or "
                "--step hour, and what several rows of one step become with --aggregate sum or --aggregate mean.",
                name=roles.date,
                example=str(dates[dates != dates.astype("datetime64[h]")][0]).replace("T", " "),
            )
        )
    return step


def _series_of(table: Table, roles: Roles) -> tuple[tuple[str, ...], Ints]:
    if roles.series is None:
        return ("",), np.zeros(len(table), dtype=np.int64)
    column = table.column(roles.series)
    if column.kind == "category":
        names, codes = list(column.categories), column.values.astype(np.int64)
    else:
        unique, codes = np.unique(column.texts(), return_inverse=True)
        names = [str(one) for one in unique]
        codes = np.where(np.array(names, dtype=object)[codes] == "", -1, codes)
    if (codes < 0).any():
        names.append(tr("(no name)"))
        codes = np.where(codes < 0, len(names) - 1, codes)
    return tuple(names), codes.astype(np.int64)


def _known_of(
    table: Table, roles: Roles, columns: Sequence[Known] | None
) -> tuple[tuple[Known, ...], NDArray[np.float32]]:
    """The known columns as features: numbers as they are, a category as one 0/1 feature for each of its values."""
    found, parts = [], []
    earlier = {one.name: one for one in columns or ()}
    for name in roles.known:
        column = table.column(name)
        if column.kind == "date":
            raise ConfigError(
                tr("The column '{name}' holds dates; --known takes numbers and categories.", name=name)
            )
        told = earlier.get(name) or Known(name, column.categories if column.kind == "category" else ())
        found.append(told)
        if told.categories:
            texts = np.array(column.texts(), dtype=object)
            parts.append(np.stack([texts == one for one in told.categories], 1).astype(np.float32))
        elif column.kind == "number":
            parts.append(column.values.astype(np.float32)[:, None])
        else:
            parts.append(np.full((len(table), 1), np.nan, np.float32))
    empty = np.zeros((len(table), 0), np.float32)
    return tuple(found), np.concatenate([empty, *parts], 1)


def _joined(
    series: Ints,
    at: Ints,
    values: Floats,
    features: Any,
    rows: Ints,
    config: ForecastingConfig,
    step: time.Step,
) -> tuple[Ints, Ints, Floats, Any, list[str]]:
    """One row a step: several rows are added up or averaged, if the user says so."""
    new = np.ones(len(at), bool)
    new[1:] = (np.diff(series) != 0) | (np.diff(at) != 0)
    if new.all():
        return series, at, values, features, []
    if config.aggregate is None:
        second = int(np.flatnonzero(~new)[0])
        raise ConfigError(
            tr(
                "{date} stands in several rows ({one} and {other}): say what they become with --aggregate sum or "
                "--aggregate mean, or which series they belong to with --series.",
                date=str(time.dates_of(at[second], step)),
                one=int(rows[second - 1]),
                other=int(rows[second]),
            )
        )
    starts = np.flatnonzero(new)
    there = ~np.isnan(values)
    counts = np.add.reduceat(there.astype(np.int64), starts)
    sums = np.add.reduceat(np.where(there, values, 0.0), starts)
    divided = sums / np.maximum(counts, 1) if config.aggregate == "mean" else sums
    joined = np.where(counts > 0, divided, np.nan)
    sentence = tr("{rows} rows became {n} {steps} by {how}", rows=len(at), n=len(starts), steps=tr(_STEPS[step]),
                  how=config.aggregate)  # fmt: skip
    return series[starts], at[starts], joined, features[starts], [sentence]


def _ahead(
    series: Ints, at: Ints, values: Floats, features: Any, count: int
) -> tuple[Ints, Ints, Floats, Any, dict[int, tuple[Ints, Any]]]:
    """Rows after a series' last value are days to come: taken out, and kept for forecasts.

    Rows before its first value are left out: nothing earlier could stand for what is unknown there.
    """
    there = ~np.isnan(values)
    first, last = np.full(count, len(at), dtype=np.int64), np.full(count, -1, dtype=np.int64)
    np.minimum.at(first, series[there], np.flatnonzero(there))
    np.maximum.at(last, series[there], np.flatnonzero(there))
    later = np.arange(len(at)) > last[series]
    ahead = {
        int(one): (at[later & (series == one)], features[later & (series == one)])
        for one in np.unique(series[later])
        if last[one] >= 0
    }
    kept = ~later & (np.arange(len(at)) >= first[series])
    return series[kept], at[kept], values[kept], features[kept], ahead


def _absent(
    series: Ints,
    at: Ints,
    values: Floats,
    features: Any,
    config: ForecastingConfig,
    step: time.Step,
    said: list[str],
) -> tuple[Ints, Ints, Floats, Any, bool]:
    """What absent steps mean: they are left out (closed), or filled with zero or with nothing known."""
    between = np.where(np.diff(series) == 0, np.diff(at) - 1, 0)
    absent = int(between.sum())
    if not absent:
        return series, at, values, features, False
    if len(at) + absent > 50 * len(at) + 10_000:
        raise SourceError(
            tr(
                "From {first} to {last} there are {n} {steps} but values for {rows} only. Check the dates, or choose "
                "another --step.",
                first=str(time.dates_of(at.min(), step)),
                last=str(time.dates_of(at.max(), step)),
                n=len(at) + absent,
                steps=tr(_STEPS[step]),
                rows=len(at),
            )
        )
    which = _which(at, between, step)
    if config.missing in (None, "closed"):
        if config.missing is None:
            said.append(
                tr(
                    "absent {steps}: {n}{which}; they are taken as closed. If nothing was sold, say --missing zero; "
                    "if the value was lost, --missing unknown",
                    steps=tr(_STEPS[step]),
                    n=absent,
                    which=which,
                )
            )
        else:
            said.append(
                tr("absent {steps}: {n}{which}, closed", steps=tr(_STEPS[step]), n=absent, which=which)
            )
        return series, at, values, features, True
    # Each row is followed by the steps absent after it.
    repeats = np.r_[between + 1, 1]
    source = np.repeat(np.arange(len(at)), repeats)
    within = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    filler = 0.0 if config.missing == "zero" else np.nan
    new_values = np.where(within == 0, values[source], filler)
    new_features = np.where(within[:, None] == 0, features[source], np.float32(np.nan))
    sentence = (
        tr("absent {steps}: {n}{which}, filled with zero", steps=tr(_STEPS[step]), n=absent, which=which)
        if config.missing == "zero"
        else tr(
            "absent {steps}: {n}{which}, their values unknown", steps=tr(_STEPS[step]), n=absent, which=which
        )
    )
    said.append(sentence)
    return series[source], at[source] + within, new_values, new_features, False


def _which(at: Ints, between: Ints, step: time.Step) -> str:
    """Of absent days, the weekday that most of them are."""
    if step != "day":
        return ""
    holes = np.flatnonzero(between > 0)[:100_000]
    days = np.concatenate([np.arange(at[one] + 1, at[one] + 1 + min(int(between[one]), 31)) for one in holes])
    counts = np.bincount(time.codes_of(days, "day")[:, 0], minlength=7)
    top = int(counts.argmax())
    if counts.sum() < 7 or counts[top] < 0.4 * counts.sum():
        return ""
    return " " + tr("({n} of them on a {weekday})", n=int(counts[top]), weekday=tr(_WEEKDAYS[top]))
