"""What a forecaster answers, whoever computes it: torch, or onnxruntime from an exported file. Free of torch."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vistazo import platform
from vistazo.config import build
from vistazo.engine.serving import Serving
from vistazo.errors import ReadTwoWays, SourceDamaged, SourceError, TooFewExamples, UsageError
from vistazo.forecasting import data, metrics
from vistazo.forecasting import steps as time
from vistazo.forecasting.ahead import extend
from vistazo.forecasting.config import ForecastingConfig
from vistazo.forecasting.data import Panel, Roles
from vistazo.forecasting.drawing import draw
from vistazo.forecasting.telling import amount
from vistazo.language import tr
from vistazo.tables.reading import read_table
from vistazo.tables.table import Table

__all__ = ["Answering", "History"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """What a forecaster knows of its series: their last steps, and what each column was.

    reading: settings of the table and of the steps, so that another file is read alike. settled: those of them that
    the training table showed where they were `auto`, for a file that can be read in two ways.
    """

    panel: Panel
    roles: Roles
    reading: dict[str, Any]
    settled: dict[str, Any]


class Answering(Serving):
    """From a series to its next steps, and to the figures of forecasts; what computes a window is a subclass's.

    arguments: {"window", "horizon", ...}. metrics: those of the run. path: of the model's file.
    """

    arguments: dict[str, Any]
    history: History
    metrics: Any
    path: Path | None
    _told: dict[str, Panel]  # the series that was last asked about
    task: ClassVar[str] = "forecasting"
    columns: ClassVar[dict[str, type]] = {
        "series": str,
        "date": str,
        "value": float,
        "low": float,
        "high": float,
    }

    @property
    def horizon(self) -> int:
        return int(self.arguments["horizon"])

    def predict(self, files: Any = (), *, steps: int | None = None) -> Iterator[dict[str, Any]]:
        """The next steps of each series: {"series", "date", "value", "low", "high"}, or {"file", "reason"}.

        files: one table that goes on where the training data ended, or is newer; none for the steps after the
        training data. steps: how many (default: the horizon). Beyond the horizon, forecasts are fed back.
        """
        self._told.clear()
        several = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        if not several:
            yield from self.forecast(self.history.panel, steps)
            return
        for file in several:
            try:
                panel = self.read(file)
            except SourceError as error:
                if len(several) == 1:
                    raise
                yield {"file": str(file), "reason": str(error)}
                continue
            yield from self.forecast(panel, steps)

    @property
    def notes(self) -> list[str]:
        """What a person should know of any forecast of this model."""
        figures = (self.metrics or {}).get("test") or (self.metrics or {}).get("validation") or {}
        rules = figures.get("baselines") or {}
        rule = str(figures.get("best_baseline"))
        best = rules.get(rule, {}).get("mae")
        if best is None or figures.get("mae") is None or figures["mae"] <= best:
            return []
        return [tr("On values it had not seen, this model erred more than a simple rule ({name}): {mae} beside {best}.",
                   name=tr(rule), mae=amount(figures["mae"]), best=amount(best))]  # fmt: skip

    @property
    def pictures(self) -> Mapping[str, Callable[[list[dict[str, Any]]], bytes]]:
        """What draws answers, by the ending of the file's name: their first series with its last weeks before it."""

        def picture(answers: list[dict[str, Any]]) -> bytes:
            panel = self._told.get("panel", self.history.panel)
            name = answers[0]["series"] if answers else None
            one = panel.names.index(name) if name in panel.names else 0
            first, end = int(panel.starts[one]), int(panel.starts[one + 1])
            rows = slice(max(first, end - max(8 * self.horizon, 8)), end)
            return draw(answers, (time.dates_of(panel.at[rows], panel.step), panel.values[rows]))

        return {".svg": picture}

    def forecast(self, panel: Panel, steps: int | None = None) -> Iterator[dict[str, Any]]:
        """The next steps of every series of a panel."""
        self._told.setdefault("panel", panel)
        wanted = steps or self.horizon
        if wanted > 100 * self.horizon:
            raise UsageError(
                tr(
                    "{most} steps can be forecast at most, a hundred times the horizon.",
                    most=100 * self.horizon,
                )
            )
        parts = []
        for begun in range(0, wanted, self.horizon):
            longer, origins = extend(panel, self.horizon)
            low, value, high = self.tell(longer, origins)
            parts.append((longer, origins, low, value, high))
            if begun + self.horizon < wanted:
                rows = origins[:, None] + np.arange(self.horizon)
                values = longer.values.copy()
                values[rows] = value
                ahead = {
                    one: (at[self.horizon :], known[self.horizon :])
                    for one, (at, known) in panel.ahead.items()
                }
                panel = replace(longer, values=values, ahead=ahead)
        for one, name in enumerate(panel.names):
            told = 0
            for longer, origins, low, value, high in parts:
                rows = int(origins[one]) + np.arange(self.horizon)
                dates = np.datetime_as_string(time.dates_of(longer.at[rows], panel.step)).tolist()
                for at, date in enumerate(dates[: wanted - told]):
                    figures = (float(part[one, at]) for part in (value, low, high))
                    yield {"series": name, "date": date.replace("T", " "),
                           **dict(zip(("value", "low", "high"), figures, strict=True))}  # fmt: skip
                told += self.horizon

    def evaluate(self, source: Any, *, seen: bool = False, last: int | None = None) -> dict[str, Any]:
        """Figures on the steps of a table that lie after the training data; the steps before give the windows.

        seen: measure steps that were trained on too, which shows what a leak would make one believe and nothing else.
        last: the last so many windows alone.
        Raises TooFewExamples where there are none.
        """
        panel = self.read(source)
        end = int(self.history.panel.at.max())
        origins = self.origins(panel)
        origins = origins if seen else origins[panel.at[origins] > end]
        origins = origins[-last:] if last else origins
        if not len(origins):
            raise TooFewExamples(
                tr(
                    "{source} has no {horizon} steps after {date}, where the training data ended: steps that were "
                    "trained on prove nothing.",
                    source=source,
                    horizon=self.horizon,
                    date=str(time.dates_of(np.array(end), panel.step)),
                )
            )
        low, value, high = self.tell(panel, origins)
        real = panel.values[origins[:, None] + np.arange(self.horizon)]
        return {
            "part": "new",
            "metrics": metrics.measure(real, value, low, high),
            "by_horizon": metrics.by_horizon(real, value),
            "windows": len(origins),
            "unreadable": [],
        }

    def tell(self, panel: Panel, origins: Any) -> tuple[Floats, Floats, Floats]:
        """(windows, horizon) low, value and high in the units of the series, of windows told by their origins."""
        raise NotImplementedError

    def origins(self, panel: Panel) -> NDArray[np.int64]:
        """(windows,) the rows of a panel that can be forecast from: a window before them, a horizon from them on."""
        return data.origins(panel, window=int(self.arguments["window"]), horizon=self.horizon)

    def series_number(self, name: str) -> int:
        """The number that a series had in training. Raises SourceError where it had none."""
        try:
            return self.history.panel.names.index(name)
        except ValueError:
            raise SourceError(
                tr(
                    "The series '{name}' is not one that the model was trained on ({names}).",
                    name=name,
                    names=", ".join(self.history.panel.names[:10]),
                )
            ) from None

    def read(self, source: Any) -> Panel:
        """The series of a table, read as the training table was. Raises SourceError where they are not the model's."""
        table, config = self._table(platform.existing(source))
        roles, there = self.history.roles, set(table.names)
        wanted = [roles.date, *roles.values, *roles.known, *filter(None, [roles.series])]
        lost = [name for name in wanted if name not in there]
        if lost:
            told = {"source": source, "lost": ", ".join(lost), "there": ", ".join(table.names)}
            raise SourceError(
                tr(
                    "{source} lacks the column {lost}, which the model was trained with (it has: {there}).",
                    **told,
                )
                if len(lost) == 1
                else tr(
                    "{source} lacks the columns {lost}, which the model was trained with (it has: {there}).",
                    **told,
                )
            )
        panel = data.build(table, roles, config, self.history.panel.columns)
        window = int(self.arguments["window"])
        short = [name for name, size in zip(panel.names, np.diff(panel.starts), strict=True) if size < window]
        if short:
            raise TooFewExamples(
                tr("{source}: '{name}' has fewer than the {window} steps that the model needs to go on.",
                   source=source, name=short[0] or source, window=window)
            )  # fmt: skip
        for name in panel.names:
            self.series_number(name)
        return panel

    def _table(self, path: Path) -> tuple[Table, ForecastingConfig]:
        """A table that may be read in two ways, and the settings that read it: as it shows itself, else as learnt.

        Where neither tells day from month, its dates go on from the end of the series in the order that makes them.
        """
        known = self.history
        config = build(ForecastingConfig, known.reading)
        with suppress(ReadTwoWays):
            return read_table(path, config), config
        config = build(ForecastingConfig, {**known.reading, **known.settled})
        try:
            return read_table(path, config), config
        except ReadTwoWays as error:
            left = error
        found = []
        if left.setting == "date_order":
            for order in ("dmy", "mdy"):
                config = config.model_copy(update={"date_order": order})
                with suppress(ReadTwoWays):
                    table = read_table(path, config)
                    if self._goes_on(table):
                        found.append((table, config))
        if len(found) != 1:
            raise SourceDamaged(left.answering)
        return found[0]

    def _goes_on(self, table: Table) -> bool:
        """Whether a table's dates begin where the series ended or later, and are mostly one step apart."""
        known, date = self.history.panel, self.history.roles.date
        if date not in table.names or table.column(date).kind != "date":
            return False
        dates = table.column(date).values
        at = np.unique(time.steps_of(dates[~np.isnat(dates)], known.step))
        if not len(at) or at[0] < known.at.max():
            return False
        return len(at) == 1 or float(np.quantile(np.diff(at), 0.25)) == 1.0
