"""What a person reads about a forecasting run, and the picture of a forecast; blocks are those of engine.reports."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.engine import history as histories
from vistazo.engine.objectives import spelled
from vistazo.engine.progress import duration
from vistazo.engine.reports import (
    Block,
    Curves,
    Facts,
    Headline,
    Report,
    Section,
    Table,
    Text,
    named,
    number,
    percent,
    to_html,
)
from vistazo.forecasting import metrics
from vistazo.forecasting import steps as time
from vistazo.forecasting.drawing import day
from vistazo.forecasting.telling import amount
from vistazo.language import mark, tr

__all__ = ["Told", "build"]

Floats = NDArray[np.float64]
SHOWN = 120  # steps of the drawing
_WEEKDAYS = (
    *(mark("Monday"), mark("Tuesday"), mark("Wednesday"), mark("Thursday"), mark("Friday"), mark("Saturday")),
    mark("Sunday"),
)
_NAMES = (
    *(
        mark("epochs"),
        mark("steps"),
        mark("batch"),
        mark("members"),
        mark("scaler"),
        mark("log"),
        mark("schedule"),
    ),
    *(mark("weekday"), mark("hour"), mark("week"), mark("month")),
    *(mark("window"), mark("horizon"), mark("cycles"), mark("known"), mark("series")),
)


@dataclass(frozen=True)
class Told:
    """All that a report is made of.

    part: the part that leads. figures: by part, with the baselines. real, told, low, high: (windows, horizon)
    of that part; codes: their short season; closed: whether absent steps mean closed; baseline: the best
    one's forecasts. past: dates and values of the first series; line: its forecasts on that axis (dates,
    value, low, high). ahead: answers for the steps to come.
    """

    name: str
    step: time.Step
    closed: bool
    part: str
    figures: dict[str, dict[str, Any] | None]
    real: Floats
    told: Floats
    codes: NDArray[np.int64]
    baseline: Floats
    past: tuple[NDArray[Any], Floats]
    line: tuple[NDArray[Any], Floats, Floats, Floats]
    ahead: Sequence[dict[str, Any]]
    series: Sequence[str]
    value_name: str
    history: list[histories.Epoch]
    settings: dict[str, Any]
    decided: dict[str, Any]
    parameters: dict[str, int]
    sentences: Sequence[str]
    environment: dict[str, Any]
    seconds: float


def build(told: Told) -> str:
    """The page, as one HTML text."""
    sections = [
        Section("", _headline(told)),
        Section(tr("The series and the forecast"), _drawing(told)),
        Section(tr("The network beside simple rules"), _comparison(told)),
        Section(tr("Where it errs"), _errors(told)),
        Section(tr("The next steps"), [_ahead(told)]),
        Section(tr("How the data was read"), [Text("\n\n".join(told.sentences))]),
        Section(tr("Learning curves"), _curves(told.history)),
        Section(tr("How it was trained"), [_training(told)]),
        Section(tr("Machine and time"), [_machine(told)]),
    ]
    title = tr("Forecast: {name}", name=told.name)
    return to_html(Report(title, sections, tr("series: {n}", n=len(told.series))))


def _headline(told: Told) -> list[Block]:
    figures = told.figures[told.part]
    if figures is None:
        return [Text(tr("Nothing was measured: the series is too short."))]
    name = figures["best_baseline"]
    best = figures["baselines"][name]
    gain = metrics.skill(figures, best) or 0.0
    where = (
        tr("Mean absolute error on the test part")
        if told.part == "test"
        else tr("Mean absolute error on rolling origins")
    )
    detail = [
        tr("The best simple rule, {name}, errs by {mae}: the network is {share} better.",
           name=tr(name), mae=amount(best["mae"]), share=percent(gain))
        if gain > 0
        else tr("The best simple rule, {name}, errs by {mae}: the network is NOT better. Trust the rule more.",
                name=tr(name), mae=amount(best["mae"])),
        tr("{share} of the values lay inside their 80 % interval. n = {n}.",
           share=percent(figures["coverage"]), n=figures["n"])
        if figures["coverage"] is not None
        else tr("n = {n}.", n=figures["n"]),
        tr("Every figure comes from networks that had not seen these values; the network that was kept has then "
           "learnt from all of them."),
        tr("The days on which there are values are taken as known ahead.") if told.closed else "",
    ]  # fmt: skip
    return [Headline(amount(figures["mae"]), where, "\n".join(filter(None, detail)))]


def _drawing(told: Told) -> list[Block]:
    dates, values = told.past
    line_dates, line, low, high = told.line
    every = np.union1d(dates, line_dates)
    x = [day(one) for one in every]

    def on(axis: NDArray[Any], numbers: Floats) -> list[float | None]:
        found: list[float | None] = [None] * len(every)
        for at, value in zip(np.searchsorted(every, axis).tolist(), numbers.tolist(), strict=True):
            found[at] = value
        return found

    series = {tr("real"): on(dates, values), tr("forecast"): on(line_dates, line)}
    bands = {tr("forecast"): (on(line_dates, low), on(line_dates, high))}
    words = tr(
        "Shaded: the interval that should hold 80 % of the values. Beyond the last real value: the next steps."
    )
    return [
        Curves(x, series, tr("date"), told.value_name, bands, dates=True, wide=True),
        Text(words),
    ]


def _comparison(told: Told) -> list[Block]:
    parts = [part for part, one in told.figures.items() if one]
    names = list(told.figures[parts[0]]["baselines"]) if parts else []  # type: ignore[index]
    headings = [tr("forecast by"), *(tr("{part}: error", part=tr(part)) for part in parts)]
    headings += [tr("{part}: squared", part=tr(part)) for part in parts]
    headings += [tr("{part}: in the interval", part=tr(part)) for part in parts]

    def row(name: str, pick: Any, inside: Any) -> list[Any]:
        figures = [pick(told.figures[part]) for part in parts]
        return [name, *(amount(one["mae"]) for one in figures), *(amount(one["rmse"]) for one in figures),
                *(percent(inside(told.figures[part])) for part in parts)]  # fmt: skip

    rows = [row(told.decided["model"], lambda one: one, lambda one: one["coverage"])]
    for name in names:
        rows.append(row(tr(name), lambda one, name=name: one["baselines"][name], lambda one: None))
    return [
        Table(headings, rows, "l" + "r" * (len(headings) - 1)),
        Text(
            tr(
                "Error: mean absolute error. Squared: root mean squared error. Units are those of the series. "
                "The rules and the network forecast the same windows from the same past."
            )
        ),
    ]


def _errors(told: Told) -> list[Block]:
    if not told.told.size:
        return []
    horizon = list(range(1, told.told.shape[1] + 1))
    network, rule = tr("network"), tr("best rule")
    blocks: list[Block] = []
    if len(horizon) > 1:
        blocks.append(
            Curves(
                horizon,
                {
                    network: metrics.by_horizon(told.real, told.told),
                    rule: metrics.by_horizon(told.real, told.baseline),
                },
                tr("steps ahead"),
                tr("mean absolute error"),
            )
        )
    (season, count), _ = time.CYCLES[told.step]
    both = [metrics.by_code(told.real, one, told.codes, count) for one in (told.told, told.baseline)]
    names = (
        [tr(one) for one in _WEEKDAYS]
        if season == "weekday"
        else [str(at + (season != "hour")) for at in range(count)]
    )
    rows = [
        [name, amount(one), amount(other)]
        for name, one, other in zip(names, *both, strict=True)
        if one is not None
    ]
    blocks.append(Table([tr(season), network, rule], rows, "lrr"))
    return blocks


def _ahead(told: Told) -> Block:
    headings = [tr("series"), tr("date"), tr("value"), tr("low"), tr("high")]
    rows = [[one["series"], one["date"], *(amount(one[name]) for name in ("value", "low", "high"))]
            for one in itertools.islice(told.ahead, 500)]  # fmt: skip
    if len(told.series) == 1:
        return Table(headings[1:], [row[1:] for row in rows], "lrrr")
    return Table(headings, rows, "llrrr")


def _curves(history: list[histories.Epoch]) -> list[Block]:
    found: list[Block] = []
    for metric, name in (("loss", tr("loss")), ("mae", tr("mean absolute error"))):
        lines = histories.curves(history, metric)
        if lines:
            x = sorted({at for line in lines.values() for at, _ in line})
            series = {tr(part): [dict(line).get(at) for at in x] for part, line in lines.items()}
            found.append(Curves(x, series, tr("epoch"), name))
    return found


def _training(told: Told) -> Block:
    elsewhere = ("model", "arguments", "moments", "loss_arguments")
    decided = {name: value for name, value in told.decided.items() if name not in elsewhere}
    if "objective" in decided:
        decided["objective"] = spelled(decided["objective"], told.decided.get("loss_arguments", {}))
    moments = told.decided["moments"]
    pairs = [
        (tr("network"), told.decided["model"]),
        (tr("parameters"), number(told.parameters["total"], 0)),
        (tr("recipe"), ", ".join(f"{tr(name)} {value}" for name, value in decided.items() if name != "known_scale")),
        (tr("origins"), ", ".join(
            f"{tr(name)} {time.dates_of(np.array(cut), told.step)}" for name, cut, _ in moments)),
        (tr("settings"), ", ".join(f"{name} {value}" for name, value in told.settings.items())),
    ]  # fmt: skip
    return Facts(pairs)


def _machine(told: Told) -> Block:
    return Facts([(tr("time"), duration(told.seconds)), *named(told.environment)])
