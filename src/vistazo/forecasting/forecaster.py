"""The trained forecaster: networks with the end of every series, ready to tell the steps to come."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vistazo import platform
from vistazo.bundle import Bundle
from vistazo.config import build
from vistazo.engine.losses import Pinball
from vistazo.errors import BundleDamaged, SourceError, TooFewExamples, UsageError
from vistazo.forecasting import data, metrics
from vistazo.forecasting import steps as time
from vistazo.forecasting.config import ForecastingConfig
from vistazo.forecasting.data import Known, Panel, Roles
from vistazo.forecasting.models import Moments, create
from vistazo.forecasting.report import draw
from vistazo.forecasting.telling import amount
from vistazo.forecasting.windows import Profile, Scales, Windows, extend
from vistazo.language import tr
from vistazo.tables.reading import read_table

__all__ = ["KEPT", "KEPT_ROWS", "Forecaster", "History", "open_model", "quantiles_of", "with_interval"]

KEPT, KEPT_ROWS = (
    400,
    2_000_000,
)  # steps of each series, and of all, that travel in the model: they tell opening days
_ERAS = np.array(["0001-01-01", "9999-12-31"], dtype="datetime64[s]")  # no step of a model file lies outside
CHUNK = 4096  # windows forecast at once
Floats = NDArray[np.float64]


@torch.no_grad()
def quantiles_of(network: nn.Module, windows: Windows, origins: Any, *, groups: Sequence[int]) -> Floats:
    """(groups, windows, horizon, quantiles) scaled, in order: the mean of the members of each group.

    groups: of the scales, one for each equal share of the network's members.
    """
    network.eval()
    found = []
    for first in range(0, len(origins), CHUNK):
        chunk = torch.from_numpy(np.asarray(origins[first : first + CHUNK], dtype=np.int64))
        first_one = next(network.parameters())
        past = windows.past(chunk)[list(groups)].to(first_one.device)
        moments = Moments(
            **{name: one.to(first_one.device) for name, one in vars(windows.moments(chunk)).items()}
        )
        each = first_one.shape[0] // len(groups)
        told = network(past.repeat_interleave(each, 0), moments, windows.horizon)
        told = told.reshape(len(groups), each, *told.shape[1:]).mean(1)
        found.append(Pinball(quantiles=(0.5,)).answer(told).cpu().double().numpy())
    return np.concatenate(found, 1)


@dataclass(frozen=True)
class History:
    """What a forecaster knows of its series: their last steps, and what each column was."""

    panel: Panel
    roles: Roles
    reading: dict[str, Any]  # settings of the table and of the steps, so that another file is read alike


@dataclass(frozen=True)
class Forecaster:
    """Networks with all it takes to go on with a series.

    corrections: (horizon, 2) what conformal correction adds below and above, in scaled values.
    scales: those of the moment after everything, (1, series).
    """

    network: nn.Module
    model: str
    arguments: dict[str, Any]
    history: History
    scales: Scales
    log: bool
    known_scale: tuple[list[float], list[float]]
    corrections: Floats
    profile: Profile | None
    metrics: Any = None
    _told: dict[str, Panel] = field(default_factory=dict, repr=False)  # the series that was last asked about
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
                panel = self._read(file)
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
                tr("--steps must be at most {most}, a hundred times the horizon.", most=100 * self.horizon)
            )
        parts = []
        for begun in range(0, wanted, self.horizon):
            longer, origins = extend(panel, self.horizon)
            low, value, high = self._tell(longer, origins)
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
        panel = self._read(source)
        end = int(self.history.panel.at.max())
        windows = self._windows(panel)
        origins = windows.origins if seen else windows.origins[panel.at[windows.origins] > end]
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
        low, value, high = self._tell(panel, origins, windows)
        real = windows.to_tell(origins)
        return {
            "part": "new",
            "metrics": metrics.measure(real, value, low, high),
            "by_horizon": metrics.by_horizon(real, value),
            "windows": len(origins),
            "unreadable": [],
        }

    def _windows(self, panel: Panel) -> Windows:
        numbers = np.array([self._series_number(name) for name in panel.names], dtype=np.int64)
        return Windows(panel, self.scales, window=int(self.arguments["window"]), horizon=self.horizon, log=self.log,
                       known_scale=self.known_scale, profile=self.profile, numbers=numbers)  # fmt: skip

    def _tell(
        self, panel: Panel, origins: Any, windows: Windows | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """(windows, horizon) low, value and high in the units of the series."""
        windows = windows or self._windows(panel)
        scaled = quantiles_of(self.network, windows, origins, groups=(0,))[0]
        low, value, high = with_interval(scaled, self.corrections)
        found = windows.in_units(np.stack([low, value, high], -1), np.asarray(origins), 0)
        return found[..., 0], found[..., 1], found[..., 2]

    def _series_number(self, name: str) -> int:
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

    def _read(self, source: Any) -> Panel:
        config = build(ForecastingConfig, self.history.reading)
        table = read_table(platform.existing(source), config)
        roles, there = self.history.roles, set(table.names)
        wanted = [roles.date, *roles.values, *roles.known, *filter(None, [roles.series])]
        lost = [name for name in wanted if name not in there]
        if lost:
            raise SourceError(
                tr(
                    "{source} lacks the columns {lost}, which the model was trained with (it has: {there}).",
                    source=source,
                    lost=", ".join(lost),
                    there=", ".join(table.names),
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
            self._series_number(name)
        return panel


def with_interval(scaled: Floats, corrections: Floats) -> tuple[Floats, Floats, Floats]:
    """Low, median and high of scaled quantiles (..., horizon, Q), widened by (horizon, 2) corrections."""
    middle = scaled[..., scaled.shape[-1] // 2]
    low = np.minimum(scaled[..., 0] - corrections[:, 0], middle)
    return low, middle, np.maximum(scaled[..., -1] + corrections[:, 1], middle)


def _named_ahead(facts: dict[str, Any]) -> dict[int, Any]:
    """The steps to come that the training table named, with what was known of them."""
    return {
        int(one): (
            np.array(at, dtype=np.int64),
            np.array(facts["ahead_known"][one], np.float32).reshape(len(at), -1),
        )
        for one, at in facts["ahead"].items()
    }


def _require(*facts: Any) -> None:
    """Raise ValueError where a fact of a model file does not hold."""
    if not all(facts):
        raise ValueError("history")


def _whole(number: Any) -> int:
    _require(type(number) is int, 1 <= number <= 1000)
    return int(number)


def _check_panel(panel: Panel, window: int) -> None:
    """Raise ValueError where the history in a model file is none."""
    _require(panel.starts.dtype == panel.at.dtype == np.int64, panel.values.dtype == np.float64)
    _require(panel.starts.ndim == panel.at.ndim == panel.values.ndim == 1, panel.known.ndim == 2)
    _require(panel.known.dtype == np.float32, isinstance(panel.closed, bool), panel.starts[0] == 0)
    _require((np.diff(panel.starts) >= window).all(), len(set(panel.names)) == len(panel.names))
    _require(all(isinstance(name, str) for name in panel.names), not np.isinf(panel.values).any())
    _require(not np.isinf(panel.known).any(), sum(one.width for one in panel.columns) == panel.known.shape[1])
    _require(all(isinstance(name, str) for one in panel.columns for name in (one.name, *one.categories)))
    first, last = time.steps_of(_ERAS, panel.step).tolist()
    for one in range(len(panel.names)):
        at = panel.at[panel.starts[one] : panel.starts[one + 1]]
        ahead, known = panel.ahead.get(one, (at[:0], panel.known[:0]))
        every = np.concatenate([at, ahead])
        _require((every >= first).all(), (every <= last).all(), (np.diff(every) > 0).all())
        _require(ahead.ndim == 1, known.shape == (len(ahead), panel.known.shape[1]))
    _require(panel.ahead.keys() <= set(range(len(panel.names))))


def open_model(bundle: Bundle, path: Path) -> Forecaster:
    """The forecaster in a model file. Raises BundleDamaged where its parts do not fit together."""
    told = bundle.preprocessing
    try:
        tensors = dict(bundle.tensors)
        kept = {name: tensors.pop(name).numpy() for name in [*tensors] if name.startswith("history.")}
        profile = None
        if "profile.weights" in tensors:
            profile = Profile(
                *(tensors.pop(f"profile.{one}") for one in ("weights", "offsets", "own", "level"))
            )
        facts, arguments = bundle.facts, bundle.arguments
        members = max((one.shape[0] for one in tensors.values() if one.dim()), default=0)
        _require(arguments == {
            "members": members, "window": _whole(arguments["window"]), "horizon": _whole(arguments["horizon"]),
            "cycles": [size for _, size in time.CYCLES[facts["step"]]], "known": kept["history.known"].shape[1],
            "series": len(facts["series"]),
        })  # fmt: skip
        network = create(bundle.model, arguments)
        network.load_state_dict(tensors)
        panel = Panel(
            tuple(facts["series"]), kept["history.starts"], kept["history.at"], kept["history.values"],
            kept["history.known"], _named_ahead(facts),
            tuple(Known(name, tuple(names)) for name, names in facts["known"]), facts["step"], facts["closed"], (),
        )  # fmt: skip
        roles = Roles(facts["roles"]["date"], tuple(facts["roles"]["values"]), facts["roles"]["series"],
                      tuple(facts["roles"]["known"]))  # fmt: skip
        centre, spread = kept["history.centre"][None], kept["history.spread"][None]
        corrections = np.array(facts["corrections"], dtype=np.float64)
        _check_panel(panel, arguments["window"])
        _require(centre.shape == spread.shape == (1, len(panel.names)), np.isfinite(centre).all())
        _require(np.isfinite(spread).all(), (spread > 0).all(), isinstance(told["log"], bool))
        _require(corrections.shape == (arguments["horizon"], 2), np.isfinite(corrections).all())
        scale = np.array(told["known_scale"], dtype=np.float64)
        _require(scale.shape == (2, panel.known.shape[1]), np.isfinite(scale).all(), (scale[1] > 0).all())
        known_scale = (scale[0].tolist(), scale[1].tolist())
        _require(
            all(isinstance(one, str) for one in (roles.date, *roles.values, *roles.known, roles.series or ""))
        )
        if profile is not None:
            seasons = sum(arguments["cycles"]) + 2 * arguments["cycles"][0]
            _require(profile.weights_GC.shape == (1, seasons + 6 + time.TURNS + panel.known.shape[1]))
            _require(profile.offsets_G.shape == (1,), profile.weights_GC.isfinite().all())
            _require(profile.offsets_G.isfinite().all(), profile.offsets_G.dtype == torch.float32)
            _require(profile.weights_GC.dtype == profile.own_GSK.dtype == torch.float32)
            _require(profile.own_GSK.shape == (1, len(panel.names), arguments["cycles"][0]))
            _require(profile.own_GSK.isfinite().all(), profile.level_G.shape == (1,))
            _require(profile.level_G.isfinite().all(), profile.level_G.dtype == torch.float32)
        build(ForecastingConfig, facts["reading"])
        return Forecaster(
            network=network.eval(),
            model=bundle.model,
            arguments=bundle.arguments,
            history=History(panel, roles, facts["reading"]),
            scales=Scales(centre, spread),
            log=told["log"],
            known_scale=known_scale,
            corrections=corrections,
            profile=profile,
            metrics=bundle.metrics,
        )
    except (
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        RuntimeError,
        UsageError,
    ) as error:
        raise BundleDamaged(
            tr(
                "{path} does not hold together ({reason}).",
                path=path,
                reason=" ".join(str(error).split())[:200],
            )
        ) from None
