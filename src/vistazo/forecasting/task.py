"""Forecasting, told in its own words: read, choose moments of the past, train them side by side, measure, keep."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

import vistazo
from vistazo import bundle as bundles
from vistazo import platform
from vistazo.bundle import Bundle
from vistazo.engine import device as devices
from vistazo.engine.batches import Batch, counter_seed
from vistazo.engine.device import Compute
from vistazo.engine.fitting import Fitted, Pause, Plan, fit
from vistazo.engine.optimizers import build_optimizers, schedule
from vistazo.engine.parameters import count_parameters
from vistazo.engine.progress import Progress
from vistazo.engine.reports import number
from vistazo.engine.runs import Run
from vistazo.errors import ConfigError, DiskError, SourceError
from vistazo.forecasting import data as series_data
from vistazo.forecasting import metrics, report
from vistazo.forecasting import steps as time
from vistazo.forecasting.answering import History
from vistazo.forecasting.baselines import Past, baselines
from vistazo.forecasting.config import ForecastingConfig
from vistazo.forecasting.data import Panel, Roles
from vistazo.forecasting.forecaster import (
    KEPT,
    KEPT_ROWS,
    Forecaster,
    open_model,
    quantiles_of,
    with_interval,
)
from vistazo.forecasting.models import Features, Moments, create, models
from vistazo.forecasting.objective import chosen, loss_of
from vistazo.forecasting.windows import (
    Moment,
    Profile,
    Scales,
    WindowBatches,
    Windows,
    moments_of,
    too_short,
    transformed,
)
from vistazo.language import tr
from vistazo.networks.packed import take_members
from vistazo.tables.config import TableConfig
from vistazo.tables.reading import read_table, settled

__all__ = [
    "Decided",
    "Learnt",
    "Program",
    "Read",
    "Trial",
    "conclude",
    "decide",
    "learn",
    "open_model",
    "read",
    "train",
    "write_index",
]

Floats = NDArray[np.float64]
MODEL = "tide"
LARGE = 20_000  # windows from which one network a moment is enough, and sees more of them at once
LONGEST = 8  # times the recipe's steps, where there is much to see
MOST_SERIES = 200  # that moments are measured on
WATCHED = 300  # windows a moment that an epoch's figures come from
EPOCH = 20  # steps of an epoch where the recipe counts steps
AT_ONCE = 1 << 18  # rows of index.parquet written together
PER_STEP_AHEAD = 50  # windows from which each step ahead has its own correction


@dataclass(frozen=True)
class Read:
    """The series of a run, and how they were read. settled: what their columns showed of it; see History."""

    panel: Panel
    roles: Roles
    settled: dict[str, Any]


@dataclass(frozen=True)
class Decided:
    """Everything that settings, recipe and data together decided; frozen in the run."""

    model: str
    arguments: dict[str, Any]
    epochs: int
    steps: int
    batch: int
    members: int
    schedule: str
    scaler: str
    log: bool
    moments: list[list[Any]]
    known_scale: list[list[float]]
    objective: str = "pinball"
    loss_arguments: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """A moment, as its networks and the baselines tell it.

    scaled: (windows, horizon, quantiles). real: (windows, horizon) in units. group: the moment's number.
    """

    moment: Moment
    group: int
    origins: NDArray[np.int64]
    scaled: Floats
    targets: Floats
    real: Floats
    rules: dict[str, Floats]


@dataclass(frozen=True)
class Learnt:
    """What training gave, not yet measured. tried: the windows that moments are measured on."""

    found: Read
    decided: Decided
    compute: Compute
    network: nn.Module
    tried: Windows
    fitted: Fitted


# ---------------------------------------------------------------- training
@devices.without_compiler()
def train(run: Run, source: Any, config: ForecastingConfig, progress: Progress) -> None:
    """One whole run: from a source to model.vistazo, metrics.json and report.html in the run's folder."""
    conclude(run, config, learn(run, config, read(run, source, config, progress), progress), progress)


def learn(
    run: Run, config: ForecastingConfig, found: Read, progress: Progress, pause: Pause | None = None
) -> Learnt:
    """Train the networks of all moments side by side, or go on with them; the test part is not measured.

    pause: asked between epochs (see `fit`).
    """
    panel = found.panel
    decided = Decided(**run.freeze("decided", asdict(decide(config, panel))))
    moments = [Moment(*one) for one in decided.moments]
    choice = Compute(devices.resolve_device(config.device), devices.FP32, "contiguous",
                     config.threads or platform.physical_cores())  # fmt: skip
    choice = Compute(**run.freeze("compute", asdict(choice)))
    choice.start()
    run.write("environment.json", json.dumps(choice.environment(vistazo.__version__), indent=2) + "\n")

    values = transformed(panel.values, decided.log)
    everyone = np.arange(len(panel.names))
    windows = _windows(
        panel, Scales.of(panel, values, moments, decided.scaler), config, decided, None, everyone
    )
    if models[decided.model].recipe.profile:
        windows.profile = windows.fitted_profile(moments)
    torch.manual_seed(config.seed)
    network = create(decided.model, {**decided.arguments, "members": decided.members * len(moments)})
    _fit_features(network, windows, moments, decided)
    batches = WindowBatches(windows, moments, size=decided.batch, steps=decided.steps, seed=config.seed)
    program = Program(choice.place(network), decided, config, len(windows.origins), choice)
    tried = _tried(panel, windows, config, decided)
    watched = [tried.tried(one, config.seed)[:WATCHED] for one in moments[:-1]]
    progress.say(_plan_sentence(decided, choice, network, moments))

    def validate() -> dict[str, float]:
        """While training: the rolling origins before the test part, as their own networks tell them."""
        errors = []
        for group, (moment, origins) in enumerate(zip(moments[:-1], watched, strict=True)):
            if moment.name == "validation" and len(origins):
                told = quantiles_of(network, tried, origins, groups=range(len(moments)))[group]
                middle = tried.in_units(told[..., told.shape[-1] // 2], origins, group)
                errors.append(np.abs(middle - tried.to_tell(origins)))
        error = np.concatenate(errors) if errors else np.zeros((0, 1))
        there = error[~np.isnan(error)]
        return {"mae": float(there.mean()), "rmse": float(np.sqrt((there**2).mean()))} if len(there) else {}

    fitted = fit(
        program,
        batches,
        validate=validate,
        plan=Plan(
            epochs=decided.epochs,
            seed=config.seed,
            monitor="mae",
            patience=config.patience or 0,
            keep="last",
            stop_at=None,
            accumulate=config.accumulate,
            clip=0.0,  # the Program does it, for each member
            checkpoint_seconds=config.checkpoint_seconds,
        ),
        schedule=schedule(decided.schedule),
        averager=None,
        run=run,
        progress=progress,
        pause=pause,
    )
    return Learnt(found, decided, choice, network, tried, fitted)


def conclude(run: Run, config: ForecastingConfig, learnt: Learnt, progress: Progress) -> None:
    """Measure, and write the figures, the report and, last of all, the model."""
    run.status("measuring")
    decided = learnt.decided
    moments = [Moment(*one) for one in decided.moments]
    trials = [
        _try(learnt.network, learnt.tried, moment, group, config, decided)
        for group, moment in enumerate(moments[:-1])
    ]
    trials = [one for one in trials if len(one.origins)]
    _keep(run, config, learnt, trials, progress)


def read(run: Run, source: Any, config: ForecastingConfig, progress: Progress) -> Read:
    """The series of a table, and how they were read, told.

    Raises SourceError where there is nothing to learn, ConfigError where an option must decide, RunDiffers where the
    data is not what the run began with.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise SourceError(tr("A series comes from a table: give the path of a CSV, Excel or Parquet file."))
    chosen(config, config.model or MODEL)
    table = read_table(Path(source), config)
    roles = series_data.roles_of(table, config)
    panel = _long_enough(series_data.build(table, roles, config), config)
    for sentence in panel.sentences:
        progress.say(sentence)
    low, high = np.nanmin(panel.values), np.nanmax(panel.values)
    if low == high:
        raise SourceError(
            tr("Every value of '{name}' is {value}: there is nothing to learn.", name=", ".join(roles.values),
               value=f"{low:g}")
        )  # fmt: skip
    run.freeze("data", {"fingerprint": _fingerprint(panel)})
    write_index(run, panel)
    used = [roles.date, *roles.values, *roles.known]
    shown = settled(config, [table.column(name) for name in used])
    return Read(panel, roles, shown.model_dump(mode="json", include={"decimal", "date_order"}))


def _long_enough(panel: Panel, config: ForecastingConfig) -> Panel:
    """The panel without the series that are shorter than a window: nothing could be forecast from them."""
    sizes = np.diff(panel.starts)
    short = np.flatnonzero(sizes < config.window)
    if not len(short):
        return panel
    if len(short) == len(sizes):
        raise too_short(int(sizes.max()), config.window, config.horizon, config.window + 2 * config.horizon)
    said = tr("series with fewer than {window} steps, left out: {n} ({names})", window=config.window, n=len(short),
              names=", ".join(panel.names[one] for one in short[:10].tolist()))  # fmt: skip
    kept = panel.only(np.flatnonzero(sizes >= config.window))
    return replace(kept, sentences=(*kept.sentences, said))


class Program:
    """How a batch of windows becomes a loss: that of every moment's networks on the windows they may see."""

    def __init__(
        self, network: nn.Module, decided: Decided, config: ForecastingConfig, windows: int, compute: Compute
    ) -> None:
        self.module = network
        self._compute, self._members, self._moments = compute, decided.members, len(decided.moments)
        self._horizon = int(decided.arguments["horizon"])
        entry = models[decided.model]
        self._objective = loss_of(decided.model, decided.objective, decided.loss_arguments)
        groups = [replace(one, rate=one.rate * config.rate) for one in entry.groups(network, windows)]
        self.optimizers: Sequence[Sequence[Optimizer]] = [build_optimizers(groups)]
        if config.clip:
            self.optimizers[0][0].register_step_pre_hook(lambda *_: self._clip(config.clip))

    def step(self, batch: Batch, k: int) -> Tensor:
        inputs: Any = {name: self._compute.place(one) for name, one in batch.inputs.items()}  # type: ignore[type-var]
        past_MBP = inputs.pop("past").transpose(0, 1).repeat_interleave(self._members, 0)
        targets: Any = batch.targets
        ahead, weight = (
            self._compute.place(targets[name]).transpose(0, 1).repeat_interleave(self._members, 0)
            for name in ("ahead", "weight")
        )
        scores = self.module(past_MBP, Moments(**inputs), self._horizon)
        # Each moment has a mean of its own: one over all would tell earlier networks how many later values are known.
        each = zip(*(one.chunk(self._moments) for one in (scores, ahead, weight)), strict=True)
        return torch.stack([self._objective.loss(*one) for one in each]).mean()

    @torch.no_grad()
    def _clip(self, most: float) -> None:
        """Limit the gradient of each member by itself: one norm of all would tell earlier moments of later values."""
        gradients = [one.grad for one in self.module.parameters() if one.grad is not None]
        norms_M = torch.stack([one.flatten(1).norm(dim=1) for one in gradients]).norm(dim=0)
        # The loss is a mean over all members: alone, each would have a gradient as many times as large.
        factors_M = (most / (norms_M * len(norms_M) + 1e-6)).clamp_max(1.0)
        for one in gradients:
            one.mul_(factors_M.view(-1, *(1,) * (one.dim() - 1)))


def decide(config: ForecastingConfig, panel: Panel) -> Decided:
    """Settle every open setting from the network's recipe and the series. Raises TooFewExamples, ConfigError."""
    name = config.model or MODEL
    recipe = models[name].recipe
    found = moments_of(
        panel, window=config.window, horizon=config.horizon, test=config.test, count=config.origins
    )
    windows = series_data.origins(panel, window=config.window, horizon=config.horizon)
    if not any(one.trains(panel, windows, config.horizon).any() for one in found[:-1]):
        raise too_short(int(np.diff(panel.starts).max()), config.window, config.horizon,
                        config.window + 2 * config.horizon)  # fmt: skip
    count = len(windows)
    large = count > LARGE
    batch = min(config.batch or recipe.batch * (4 if large and not recipe.passes else 1), max(2, count))
    if recipe.passes:
        epochs, steps = config.epochs or recipe.passes, -(-count // batch)
    else:
        # three passes where they are longer than the recipe's steps, up to LONGEST times these
        wanted = min(max(recipe.steps, 3 * count // batch), LONGEST * recipe.steps)
        epochs, steps = config.epochs or -(-wanted // EPOCH), EPOCH
    lowest = float(np.nanmin(panel.values))
    if lowest < 0 and config.transform == "log":
        raise ConfigError(
            tr(
                "--transform log needs values of zero or more, and there is {value}. Leave it out.",
                value=f"{lowest:g}",
            )
        )
    early = panel.known[panel.at < min(one.cut for one in found)].astype(np.float64)
    centre, spread = np.zeros(panel.known.shape[1]), np.ones(panel.known.shape[1])
    for at in range(panel.known.shape[1]):
        there = early[~np.isnan(early[:, at]), at]
        if len(there) and there.std() > 0:
            centre[at], spread[at] = there.mean(), there.std()
    return Decided(
        model=name,
        arguments={
            "window": config.window,
            "horizon": config.horizon,
            "cycles": [size for _, size in time.CYCLES[panel.step]],
            "known": panel.known.shape[1],
            "series": len(panel.names),
        },
        epochs=epochs,
        steps=steps,
        batch=batch,
        members=1 if large else recipe.members,
        schedule=recipe.schedule,
        scaler=config.scaler or recipe.scaler,
        log=lowest >= 0 and (recipe.log if config.transform is None else config.transform == "log"),
        moments=[[one.name, one.cut, one.end] for one in found],
        known_scale=[centre.tolist(), spread.tolist()],
        **chosen(config, name),
    )


def _windows(
    panel: Panel, scales: Scales, config: ForecastingConfig, decided: Decided, profile: Profile | None,
    numbers: NDArray[np.int64],
) -> Windows:  # fmt: skip
    centre, spread = decided.known_scale
    return Windows(panel, scales, window=config.window, horizon=config.horizon, log=decided.log,
                   known_scale=(centre, spread), profile=profile, numbers=numbers)  # fmt: skip


def _tried(panel: Panel, windows: Windows, config: ForecastingConfig, decided: Decided) -> Windows:
    """The windows that moments are measured on: of all series, or of as many as suffice, drawn by the seed."""
    count = len(panel.names)
    if count <= MOST_SERIES:
        return windows
    generator = np.random.default_rng(counter_seed(config.seed, 8))
    chosen = np.sort(generator.choice(count, MOST_SERIES, replace=False))
    return _windows(panel.only(chosen), windows.scales, config, decided, windows.profile, chosen)


def _fit_features(network: nn.Module, windows: Windows, moments: Sequence[Moment], decided: Decided) -> None:
    """Standardise the calendar's features by what each moment's networks are trained on."""
    features = getattr(network, "features", None)
    if not isinstance(features, Features):
        return
    for group, moment in enumerate(moments):
        origins = windows.origins[moment.trains(windows.panel, windows.origins, windows.horizon)]
        chosen = torch.from_numpy(origins[:: max(1, len(origins) // 5000)])
        if not len(chosen):
            continue
        plain = features.plain(windows.moments(chosen))[:, windows.window :].reshape(-1, features.size)
        for member in range(decided.members):
            features.fit(group * decided.members + member, plain)


def _plan_sentence(decided: Decided, compute: Compute, network: nn.Module, moments: Sequence[Moment]) -> str:
    return tr(
        "training {model}: {members} networks for each of {moments} moments ({parameters} parameters in all), "
        "{epochs} epochs of {steps} steps, {threads} threads",
        model=decided.model,
        members=decided.members,
        moments=len(moments),
        parameters=number(count_parameters(network).total),
        epochs=decided.epochs,
        steps=decided.steps,
        threads=compute.threads,
    )


def _fingerprint(panel: Panel) -> str:
    digest = hashlib.sha256(json.dumps([panel.names, panel.step, panel.closed]).encode())
    ahead = [part for one in sorted(panel.ahead) for part in panel.ahead[one]]
    for one in (panel.starts, panel.at, panel.values + 0.0, panel.known, *ahead):
        digest.update(np.ascontiguousarray(one).tobytes())
    return digest.hexdigest()


def write_index(run: Run, panel: Panel) -> None:
    """index.parquet: every step as it was understood; itself a source. Raises DiskError."""
    path = run.folder / "index.parquet"
    if path.exists():
        return
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"date": pa.timestamp("s"), "value": pa.float64(), "series": pa.string()}
    names, series = np.array(panel.names, dtype=object), panel.series_of()
    beside = path.with_name(".index.parquet.part")
    try:
        with parquet.ParquetWriter(beside, pa.schema(kinds)) as writer:
            for first in range(0, len(panel), AT_ONCE):
                rows = slice(first, first + AT_ONCE)
                dates = time.dates_of(panel.at[rows], panel.step).astype("datetime64[s]")
                told = {"date": dates, "value": panel.values[rows], "series": names[series[rows]]}
                writer.write_table(pa.table(told, schema=pa.schema(kinds)))
        beside.replace(path)
    except OSError as error:
        raise DiskError(bundles.disk_sentence(path, error)) from error


# ---------------------------------------------------------------- measuring and keeping
def _of_moment(network: nn.Module, group: int, decided: Decided) -> nn.Module:
    """The networks of one moment, as a pack of their own."""
    state = {name: one.cpu() for name, one in network.state_dict().items()}
    first = group * decided.members
    alone: nn.Module = create(decided.model, {**decided.arguments, "members": decided.members})
    alone.load_state_dict(take_members(state, first, first + decided.members))
    return alone.eval()


def _try(
    network: nn.Module,
    windows: Windows,
    moment: Moment,
    group: int,
    config: ForecastingConfig,
    decided: Decided,
) -> Trial:
    origins = windows.tried(moment, config.seed)
    panel, values = windows.panel, windows.panel.filled()
    if not len(origins):
        empty = np.zeros((0, config.horizon))
        return Trial(moment, group, origins, empty[..., None], empty, empty, {})
    scaled = quantiles_of(_of_moment(network, group, decided), windows, origins, groups=(group,))[0]
    targets = windows.ahead(torch.from_numpy(origins))[group].double().numpy()
    real = windows.to_tell(origins)
    fitting = windows.origins[moment.trains(panel, windows.origins, config.horizon)]
    past = Past(panel, values, moment.cut, fitting, config.window, config.horizon)
    rules = {name: baselines[name](past, origins) for name in baselines}
    return Trial(moment, group, origins, scaled, np.where(np.isnan(real), np.nan, targets), real, rules)


def _corrections(trials: Sequence[Trial], horizon: int) -> Floats:
    """(horizon, 2) what conformal correction adds below and above, from how far trials were off, scaled."""
    level = (1 + metrics.LEVEL) / 2
    if not trials:
        return np.zeros((horizon, 2))
    below = np.concatenate([one.scaled[..., 0] - one.targets for one in trials])
    above = np.concatenate([one.targets - one.scaled[..., -1] for one in trials])
    if len(below) < PER_STEP_AHEAD:
        return np.tile([[metrics.conformal(one.ravel(), level) for one in (below, above)]], (horizon, 1))
    return np.array(
        [[metrics.conformal(one[:, ahead], level) for one in (below, above)] for ahead in range(horizon)]
    )


def _figures(
    windows: Windows, trials: Sequence[Trial], corrections: Sequence[Floats]
) -> dict[str, Any] | None:
    """The figures of a part: of the networks with their intervals, and of every baseline."""
    if not trials:
        return None
    parts = [_in_units(windows, *one) for one in zip(trials, corrections, strict=True)]
    real = np.concatenate([one.real for one in trials])
    low, value, high = (np.concatenate([one[k] for one in parts]) for k in range(3))
    rules = {
        name: {
            key: found
            for key, found in metrics.measure(
                real, np.concatenate([one.rules[name] for one in trials]), None, None
            ).items()
            if key in ("mae", "rmse")
        }
        for name in trials[0].rules
    }
    best = min(rules, key=lambda name: np.nan_to_num(np.array(rules[name]["mae"], float), nan=np.inf).item())
    return {**metrics.measure(real, value, low, high), "windows": len(real), "baselines": rules,
            "best_baseline": best}  # fmt: skip


def _in_units(windows: Windows, trial: Trial, corrections: Floats) -> tuple[Floats, Floats, Floats]:
    low, value, high = (
        windows.in_units(one, trial.origins, trial.group) for one in with_interval(trial.scaled, corrections)
    )
    return low, value, high


def _keep(
    run: Run, config: ForecastingConfig, learnt: Learnt, trials: list[Trial], progress: Progress
) -> None:
    """Write the report, the figures and, last of all, the model."""
    found, decided, compute = learnt.found, learnt.decided, learnt.compute
    network, windows, fitted = learnt.network, learnt.tried, learnt.fitted
    validation = [one for one in trials if one.moment.name == "validation"]
    test = [one for one in trials if one.moment.name == "test"]
    # An origin's own misses must not widen its interval: each is corrected by the other ones.
    others = [[one for one in validation if one is not own] for own in validation]
    corrections = {
        "validation": [_corrections(one, config.horizon) for one in others],
        "test": [_corrections(validation, config.horizon) for _ in test],
    }
    figures = {
        "validation": _figures(windows, validation, corrections["validation"]),
        "test": _figures(windows, test, corrections["test"]),
    }
    # Without other misses there is nothing to correct an interval by, so what it holds would prove nothing.
    for part, enough in (("validation", len(validation) > 1), ("test", len(validation) > 0)):
        if (found_figures := figures[part]) is not None and not enough:
            found_figures["coverage"] = None
    alone = _of_moment(network, len(decided.moments) - 1, decided)
    profile = None if windows.profile is None else windows.profile.last()
    forecaster = _forecaster(alone, config, found, decided, _corrections(trials, config.horizon), profile)
    ahead = list(forecaster.forecast(forecaster.history.panel))  # what `predict` will say
    parameters = count_parameters(alone)
    counted = {**asdict(parameters), "total": parameters.total}
    told = {
        "task": "forecasting",
        "parameters": counted,
        "epochs": len(fitted.history),
        "kept_epoch": fitted.epoch,
        "ended": fitted.reason,
        "metrics": figures,
        "counts": {"series": len(found.panel.names), "steps": len(found.panel)},
        "forecast": ahead[:1000],
    }
    run.write("metrics.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    part = "test" if test else "validation"
    leading = test or validation
    page = report.build(
        report.Told(
            name=run.folder.name,
            step=found.panel.step,
            closed=found.panel.closed,
            part=part,
            figures=figures,
            **_shown(windows, leading, corrections[part], figures[part], ahead, found.panel),
            ahead=ahead,
            series=found.panel.names,
            value_name=", ".join(found.roles.values),
            history=fitted.history,
            settings={name: value for name, value in config.model_dump().items() if value is not None},
            decided=asdict(decided),
            parameters=counted,
            sentences=found.panel.sentences,
            environment=compute.environment(vistazo.__version__),
            seconds=platform.seconds_since_start(),
        )
    )
    run.write("report.html", page)
    bundles.save(_bundle(run, config, forecaster, decided, compute, counted, figures), run.model)
    progress.say(
        tr("{reason}; the networks that have learnt from every value were kept", reason=fitted.reason)
    )


def _shown(
    windows: Windows,
    trials: Sequence[Trial],
    corrections: Sequence[Floats],
    figures: Any,
    ahead: Any,
    panel: Panel,
) -> dict[str, Any]:
    """What the report draws: the windows of the leading part, and the first series with its forecasts."""
    parts = [_in_units(windows, *one) for one in zip(trials, corrections, strict=True)]
    shape = (0, windows.horizon)
    origins = np.concatenate([one.origins for one in trials]) if trials else np.zeros(0, np.int64)
    rows = origins[:, None] + np.arange(windows.horizon)
    low, told, high = (
        np.concatenate([one[k] for one in parts]) if parts else np.zeros(shape) for k in range(3)
    )
    real = np.concatenate([one.real for one in trials]) if trials else np.zeros(shape)
    rule = (
        np.concatenate([one.rules[figures["best_baseline"]] for one in trials]) if trials else np.zeros(shape)
    )
    codes = time.codes_of(windows.panel.at[rows.ravel()], windows.panel.step)[:, 0].reshape(rows.shape)
    # The drawing: forecasts that follow one another without overlap, of the first series, and the steps to come.
    own = origins < windows.panel.starts[1]
    chosen: list[int] = []
    for at in np.flatnonzero(own).tolist():
        if not chosen or origins[at] >= origins[chosen[-1]] + windows.horizon:
            chosen.append(at)
    name = windows.panel.names[0]
    future = [one for one in ahead if one["series"] == name]
    dates = time.dates_of(windows.panel.at[rows[chosen].ravel()], windows.panel.step)
    last = np.array([one["date"].replace(" ", "T") for one in future], dtype=dates.dtype)
    line = [
        np.concatenate([one[chosen].ravel(), [answer[key] for answer in future]])
        for one, key in ((told, "value"), (low, "low"), (high, "high"))
    ]
    shown = slice(max(0, int(windows.panel.starts[1]) - report.SHOWN), int(windows.panel.starts[1]))
    past = time.dates_of(windows.panel.at[shown], windows.panel.step), windows.panel.values[shown]
    axis = np.concatenate([dates, last])
    kept = axis >= past[0][0]
    return {"real": real, "told": told, "codes": codes, "baseline": rule, "past": past,
            "line": (axis[kept], *(one[kept] for one in line))}  # fmt: skip


def _forecaster(
    alone: nn.Module, config: ForecastingConfig, found: Read, decided: Decided, corrections: Floats,
    profile: Profile | None,
) -> Forecaster:  # fmt: skip
    panel = found.panel
    final = Moment(*decided.moments[-1])
    scales = Scales.of(panel, transformed(panel.values, decided.log), [final], decided.scaler)
    reading = {name: getattr(config, name) for name in (*TableConfig.model_fields, "aggregate", "missing")}
    reading |= {"step": panel.step, "missing": config.missing or ("closed" if panel.closed else None)}
    return Forecaster(
        network=alone,
        model=decided.model,
        arguments={**decided.arguments, "members": decided.members},
        history=History(
            panel.tail(max(config.window, min(KEPT, KEPT_ROWS // len(panel.names)))),
            found.roles,
            reading,
            found.settled,
        ),
        scales=scales,
        log=decided.log,
        known_scale=(decided.known_scale[0], decided.known_scale[1]),
        corrections=corrections,
        profile=profile,
    )


def _bundle(
    run: Run, config: ForecastingConfig, forecaster: Forecaster, decided: Decided, compute: Compute,
    counted: dict[str, int], figures: dict[str, Any],
) -> Bundle:  # fmt: skip
    panel, roles = forecaster.history.panel, forecaster.history.roles
    kept = {
        "starts": panel.starts,
        "at": panel.at,
        "values": panel.values,
        "known": panel.known,
        "centre": forecaster.scales.centre[0],
        "spread": forecaster.scales.spread[0],
    }
    tensors = {f"history.{name}": torch.from_numpy(np.ascontiguousarray(one)) for name, one in kept.items()}
    if forecaster.profile is not None:
        one = forecaster.profile
        tensors |= {
            "profile.weights": one.weights_GC, "profile.offsets": one.offsets_G, "profile.own": one.own_GSK,
            "profile.level": one.level_G,
        }  # fmt: skip
    tensors |= {name: one.detach().cpu() for name, one in forecaster.network.state_dict().items()}
    return Bundle(
        task="forecasting",
        model=decided.model,
        arguments=forecaster.arguments,
        preprocessing={"log": decided.log, "scaler": decided.scaler, "known_scale": decided.known_scale},
        facts={
            "series": list(panel.names),
            "step": panel.step,
            "closed": panel.closed,
            "known": [[one.name, list(one.categories)] for one in panel.columns],
            "roles": asdict(roles),
            "reading": forecaster.history.reading,
            "settled": forecaster.history.settled,
            "corrections": forecaster.corrections.tolist(),
            "ahead": {str(one): at.tolist() for one, (at, _) in panel.ahead.items()},
            "ahead_known": {str(one): known.tolist() for one, (_, known) in panel.ahead.items()},
        },
        training={
            "settings": config.identity(),
            "decided": asdict(decided),
            "compute": asdict(compute),
            "versions": {"vistazo": vistazo.__version__, "torch": torch.__version__},
            "parameters": counted,
        },
        metrics=figures,
        fingerprint=run.config["data"]["fingerprint"],
        tensors=tensors,
    )
