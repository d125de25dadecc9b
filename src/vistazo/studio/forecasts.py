"""What a run on series gave: the forecast as a picture, its figures beside the rules to beat, and a newer file."""

import tempfile
from pathlib import Path
from typing import Any

from nicegui import ui

from vistazo.engine import answers
from vistazo.engine.reports import percent
from vistazo.engine.runs import read_json
from vistazo.forecasting.telling import amount, measured
from vistazo.language import tr
from vistazo.studio.dropping import Dropping, Given
from vistazo.studio.parts import Message, box, button, choice, field, guarded, in_thread, reported, words
from vistazo.studio.pieces import alone, counted, facts, hash_of, kept, picture, table
from vistazo.studio.state import Studio

__all__ = ["MOST_BYTES", "TABLES", "forecasts"]

TABLES = ".csv,.tsv,.txt,.gz,.xlsx,.xlsm,.parquet"
MOST_BYTES = 200 << 20
SHOWN = 60  # steps in the table


async def forecasts(studio: Studio, run: Path, model: Any, wrong: Message) -> None:
    """Draw the panel of a forecaster into the current container."""
    panel = _Forecasts(studio, model, wrong)
    words("h2", tr("The forecast"))
    with box("div", "vz-fields"):
        if len(model.history.panel.names) > 1:
            options = {str(at): name for at, name in enumerate(model.history.panel.names)}
            choice(tr("Series"), options, "0", panel.choose)
        field(tr("Steps to forecast"), str(model.horizon), change=panel.take_steps, inputmode="numeric")
    with box("div", "row"):
        button(tr("Forecast"), guarded(panel.forecast, wrong), kind="primary")
    panel.shown = box("div", "vz-stack")
    await panel.forecast()
    words("h2", tr("Go on with a newer file"))
    Dropping(
        tr("Choose a table, or drop it here"),
        hint=tr("CSV, Excel or Parquet with the same columns; it may end later than the training data"),
        accept=TABLES,
        on_files=panel.given,
        on_refused=lambda sentence: wrong.say(sentence, wrong=True),
        most_files=1,
        most_bytes=MOST_BYTES,
    )
    _figures(run)
    box("hr")
    facts([(tr("model (SHA-256)"), await in_thread(hash_of, run))])


def _figures(run: Path) -> None:
    """The figures of the run, the network beside every rule."""
    figures: dict[str, Any] = read_json(run / "metrics.json").get("metrics") or {}
    parts = [part for part, one in figures.items() if one]
    if not parts:
        return
    words("h2", tr("The network beside simple rules"))
    for part in parts:
        words("p", f"{tr(part)}: {measured(figures[part])}")
    part = parts[-1]
    one = figures[part]
    rows = [[tr("the network"), amount(one["mae"]), amount(one["rmse"]), percent(one["coverage"])]]
    rules = sorted((one.get("baselines") or {}).items(), key=lambda pair: pair[1]["mae"] or 0.0)
    rows += [[tr(name), amount(each["mae"]), amount(each["rmse"]), ""] for name, each in rules]
    headings = [
        tr("forecast by"),
        tr("mean absolute error"),
        tr("root mean squared error"),
        tr("in the interval"),
    ]
    table(tr("Figures of the part '{part}'", part=tr(part)), headings, rows, numbers=(1, 2, 3))


class _Forecasts:
    """A forecaster on a page: which series, how many steps, from which file."""

    def __init__(self, studio: Studio, model: Any, wrong: Message) -> None:
        self.studio, self.model, self.wrong = studio, model, wrong
        self.series, self.steps, self.file = 0, "", ""
        self.source: Path | None = None
        self.shown: Any = None

    async def choose(self, value: str) -> None:
        """Another series."""
        if value.isdigit() and int(value) < len(self.model.history.panel.names):
            self.series = int(value)
        with reported(self.wrong):
            await self.forecast()

    def take_steps(self, value: str) -> None:
        """What stands in the field of steps."""
        self.steps = value.strip()

    async def given(self, files: list[Given]) -> None:
        """Go on with another file."""
        with reported(self.wrong):
            for one in files[:1]:
                self.source = await kept(self.studio, one)
                self.file = one.name
                await self.forecast()

    async def forecast(self) -> None:
        """Forecast and show it. Raises SourceError, UsageError, ConfigError."""
        if self.steps:
            counted(self.steps)
        try:
            told, drawn, notes = await alone(self._told)
        except Exception:
            self.source = None  # the next forecast is of the training data again
            raise
        self.shown.clear()
        with self.shown:
            self._show(told, drawn, notes)

    def _told(self) -> tuple[list[dict[str, Any]], bytes, list[str]]:
        name = self.model.history.panel.names[self.series]
        steps = int(self.steps) if self.steps else None
        found = self.model.predict([self.source] if self.source else (), steps=steps)
        every = [one for one in found if "reason" not in one]
        own = [one for one in every if one["series"] == name] or every
        return own, self.model.pictures[".svg"](own), list(self.model.notes)

    def _show(self, told: list[dict[str, Any]], drawn: bytes, notes: list[str]) -> None:
        name = told[0]["series"]
        where = self.file if self.source else tr("the training data")
        last = told[-1]
        shown = tr(
            "Forecast of {n} steps after {source}, until {date}: {value}",
            n=len(told), source=where, date=last["date"], value=amount(last["value"]),
        )  # fmt: skip
        words("p", f"{name}: {shown}" if name else shown)
        with box(
            "div", "vz-scroll vz-end", tabindex="0", role="region", aria_label=tr("Picture of the forecast")
        ):
            picture(drawn, "image/svg+xml", shown, "vz-forecast")
        for note in notes:
            words("p", note, "vz-soft")
        rows = [
            [one["date"], amount(one["value"]), amount(one["low"]), amount(one["high"])]
            for one in told[:SHOWN]
        ]
        headings = [tr("date"), tr("forecast"), tr("low (80 % interval)"), tr("high (80 % interval)")]
        with box("details"):
            words("summary", tr("The steps as a table"))
            table(tr("The next steps"), headings, rows, numbers=(1, 2, 3))
        with box("div", "row"):
            button(tr("Download as CSV"), guarded(lambda: self._download(told), self.wrong))
            button(
                tr("Download the picture"),
                lambda: ui.download.content(drawn, "forecast.svg", "image/svg+xml"),
            )

    async def _download(self, told: list[dict[str, Any]]) -> None:
        data = await in_thread(self._as_csv, told)
        ui.download.content(data, "forecast.csv", "text/csv")

    def _as_csv(self, told: list[dict[str, Any]]) -> bytes:
        with tempfile.TemporaryDirectory(dir=self.studio.own) as folder:  # none is shared by two pages
            file = Path(folder) / "forecast.csv"
            answers.write(told, file, columns=self.model.columns, pictures={})
            return file.read_bytes()
