"""Windows of a panel as tensors, and the moments of the past from which forecasts are tried.

A *pack* trains one network for each moment (origin) side by side: members of a moment see only windows that end
before it. So a rolling-origin backtest costs one training, and no figure comes from rows a network has seen.

Shape suffixes: G moments, S series, R rows, B windows, P past steps, H steps ahead, T = P + H.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vistazo.engine.batches import Batch, counter_seed, epoch_order
from vistazo.errors import ConfigError, TooFewExamples
from vistazo.forecasting import data
from vistazo.forecasting import steps as time
from vistazo.forecasting.data import Panel
from vistazo.forecasting.models import Moments, calendar_features, of_the_year
from vistazo.language import tr
from vistazo.tables.preparing import scalers

__all__ = [
    "Moment", "Profile", "Scales", "WindowBatches", "Windows", "moments_of", "too_short", "transformed",
    "untransformed",
]  # fmt: skip

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
SHUFFLED = (
    1 << 20
)  # with more windows than this they are drawn with replacement: an order of them would cost memory
MOST_FITTED = 20_000  # rows a profile is fitted on
MOST_OWN = 1_000_000  # rows that tell how series differ
CHUNK = 100_000  # of them at once
LEVEL = 20  # times the window's mean in the profile's ridge, so that its strength does not hold it back
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # of its ridge
MOST_TRIED = 2_000  # windows a moment is measured on


@dataclass(frozen=True)
class Moment:
    """A moment of the past: networks trained before step `cut` forecast windows from `cut` on, before `end`.

    name: 'validation', 'test' or 'final' (trained on everything, measured nowhere).
    """

    name: str
    cut: int
    end: int

    def trains(self, panel: Panel, origins: Ints, horizon: int) -> NDArray[np.bool_]:
        """(windows,) those that end before the cut."""
        found: NDArray[np.bool_] = panel.at[origins + horizon - 1] < self.cut
        return found

    def measures(self, panel: Panel, origins: Ints, horizon: int) -> NDArray[np.bool_]:
        """(windows,) those that lie between cut and end."""
        found: NDArray[np.bool_] = (panel.at[origins] >= self.cut) & (
            panel.at[origins + horizon - 1] < self.end
        )
        return found


def moments_of(panel: Panel, *, window: int, horizon: int, test: int | None, count: int) -> list[Moment]:
    """`count` moments for validation before the test part, one at its beginning, and one after everything.

    test: steps of the test part, None for a fifth of the steps and at most 120.
    Raises TooFewExamples where the series is too short for a single moment, ConfigError where the test part is too
    short for a single forecast.
    """
    if test and test < horizon:
        raise ConfigError(
            tr("--test {test} is shorter than one forecast of {horizon} steps. Give more, or a smaller --horizon.",
               test=test, horizon=horizon)
        )  # fmt: skip
    steps = np.unique(panel.at)
    least = window + 2 * horizon
    if test is None:
        test = min(len(steps) // 5, 120)
        test = test if test >= horizon and len(steps) - test >= least + horizon else 0
    before = len(steps) - test
    if test and before < window + horizon:
        raise too_short(len(steps), window, horizon, test + window + horizon)
    end_of_all = int(steps[-1]) + 1
    span = max(horizon, before // 11)
    found = []
    for back in range(count, 0, -1):
        at = before - back * span
        if at >= least:
            end = int(steps[at + span]) if at + span < len(steps) else end_of_all
            found.append(Moment("validation", int(steps[at]), end))
    if not found and before - horizon >= window + horizon:
        found.append(Moment("validation", int(steps[before - horizon]),
                            int(steps[before]) if before < len(steps) else end_of_all))  # fmt: skip
    if test:
        found.append(Moment("test", int(steps[before]), end_of_all))
    if not found:
        raise too_short(len(steps), window, horizon, least)
    return [*found, Moment("final", end_of_all, end_of_all)]


def too_short(steps: int, window: int, horizon: int, least: int) -> TooFewExamples:
    """The error that tells how many steps are needed at least."""
    return TooFewExamples(
        tr(
            "The series has {n} steps; windows of {window} steps and forecasts of {horizon} need at least {least}. "
            "Choose a smaller --window or --horizon, or give more history.",
            n=steps,
            window=window,
            horizon=horizon,
            least=least,
        )
    )


def transformed(values: Floats, log: bool) -> Floats:
    """log(1 + value) where `log`, else the values: with logarithms a network learns proportions.

    A network learns logarithms only where no value was negative; a negative one that comes later counts as zero.
    """
    return np.log1p(np.maximum(values, 0.0)) if log else values


def untransformed(values: Any, log: bool) -> Any:
    """The inverse of `transformed`."""
    if not log:
        return values
    with np.errstate(over="ignore"):  # a forged or hopeless forecast is infinite, which is no reason to warn
        return np.expm1(values)


@dataclass(frozen=True)
class Scales:
    """How each series is scaled at each moment: (G, S) centre and spread of the transformed values."""

    centre: Floats
    spread: Floats

    @staticmethod
    def of(panel: Panel, values_R: Floats, moments: Sequence[Moment], kind: str) -> "Scales":
        """Fitted on the values before each moment; a series without any takes those of all series."""
        shape = (len(moments), len(panel.names))
        centre, spread = np.zeros(shape), np.ones(shape)
        known = ~np.isnan(panel.values)
        for group, moment in enumerate(moments):
            rows = known & (panel.at < moment.cut)
            everything = scalers[kind](values_R[rows])
            for one, (first, end) in enumerate(zip(panel.starts[:-1], panel.starts[1:], strict=True)):
                there = values_R[first:end][rows[first:end]]
                fitted = scalers[kind](there) if len(there) > 1 else everything
                centre[group, one], spread[group, one] = fitted.centre, fitted.spread
        return Scales(centre, spread)


@dataclass(frozen=True)
class Profile:
    """The share of the calendar in the scaled values, one row a moment: (G, C) weights, (G,) offsets, (G, S, K) own.

    Weights and offset are a ridge regression on the values before each moment, all series together, beside
    the mean of the window before, so that a trend is not taken for months; its strength is chosen by
    generalised cross-validation (Golub, Heath, Wahba 1979). level: (G,) how much of the window's mean, the
    calendar's share taken out, goes on in the steps to come: 1 for a random walk, 0 for noise; a slow network
    would not learn it in time. `own` is what each short season (weekday) of a series differs from that, drawn
    towards 0 where it was seen seldom; 0 for a single series. What a network learns is the rest, so that with
    little data it falls back on what the calendar says.
    """

    weights_GC: Tensor
    offsets_G: Tensor
    own_GSK: Tensor
    level_G: Tensor

    def last(self) -> "Profile":
        """That of the last moment alone."""
        return Profile(
            self.weights_GC[-1:].clone(),
            self.offsets_G[-1:].clone(),
            self.own_GSK[-1:].clone(),
            self.level_G[-1:].clone(),
        )

    def of(self, features_BTC: Tensor, series_B: Tensor, seasons_BT: Tensor) -> Tensor:
        """(G, B, T) of steps whose features (see models.calendar_features), series and short season are given."""
        shared = torch.einsum("btc,gc->gbt", features_BTC, self.weights_GC) + self.offsets_G[:, None, None]
        return shared + self.own_GSK[:, series_B[:, None], seasons_BT]


class Windows:
    """The windows of a panel as tensors, gathered when they are asked for.

    numbers: (series,) the number that scales and network know each series of the panel by.
    origins: (windows,) all of them. known_scale: centre and spread of the known columns. profile: what is taken out
    of the scaled values, or None.
    """

    def __init__(
        self, panel: Panel, scales: Scales, *, window: int, horizon: int, log: bool,
        known_scale: tuple[list[float], list[float]], profile: Profile | None, numbers: Ints,
    ) -> None:  # fmt: skip
        self.profile = profile
        self.panel, self.scales, self.window, self.horizon, self.log = panel, scales, window, horizon, log
        self.origins = data.origins(panel, window=window, horizon=horizon)
        self._values = torch.from_numpy(transformed(panel.filled(), log))
        self._real = torch.from_numpy(~np.isnan(panel.values))
        first, last = int(panel.at.min()), int(panel.at.max())
        every = np.arange(first, last + 1)
        self._codes = torch.from_numpy(time.codes_of(every, panel.step))
        self._turn = torch.from_numpy(time.calendar(every, panel.step))
        self._at = torch.from_numpy((panel.at - first).astype(np.int32))
        self._gaps = torch.from_numpy(panel.gaps())
        centre, spread = (np.array(one, np.float32) for one in known_scale)
        self._known = torch.from_numpy(np.nan_to_num((panel.known - centre) / spread).astype(np.float32))
        self._series = torch.from_numpy(numbers[panel.series_of()])
        self._centre, self._spread = torch.from_numpy(scales.centre), torch.from_numpy(scales.spread)

    def moments(self, origins_B: Tensor) -> Moments:
        """What the calendar says of windows."""
        return self._moments(origins_B, -self.window, self.horizon)

    def past(self, origins_B: Tensor) -> Tensor:
        """(G, B, P) scaled values before the origins, the profile taken out."""
        values = self._scaled(origins_B, -self.window, 0)
        return (
            values if self.profile is None else values - self._share(self.profile, origins_B, -self.window, 0)
        )

    def ahead(self, origins_B: Tensor) -> Tensor:
        """(G, B, H) scaled values to be told, the profile and what goes on of the window's level taken out."""
        values = self._scaled(origins_B, 0, self.horizon)
        if self.profile is None:
            return values
        return (
            values - self._share(self.profile, origins_B, 0, self.horizon) - self._level(self.past(origins_B))
        )

    def _level(self, past_GBP: Tensor) -> Tensor:
        """(G, B, 1) what goes on of the mean of windows that the profile was taken out of."""
        assert self.profile is not None
        return self.profile.level_G[:, None, None] * past_GBP.mean(2, keepdim=True)

    def real(self, origins_B: Tensor) -> Tensor:
        """(B, H) whether the value to be told is known."""
        return self._real[origins_B[:, None] + torch.arange(self.horizon)]

    def in_units(self, scaled: Floats, origins: Ints, group: int) -> Floats:
        """(B, H, ...) scaled values of one moment, back in the units of the series."""
        if self.profile is not None:
            where = torch.from_numpy(origins)
            share = self._share(self.profile, where, 0, self.horizon) + self._level(self.past(where))
            own = share[group].double().numpy()
            scaled = scaled + own.reshape(*own.shape, *(1,) * (scaled.ndim - 2))
        series = self._series[torch.from_numpy(origins)].numpy()
        shape = (len(origins), *(1,) * (scaled.ndim - 1))
        centre, spread = (
            one[group][series].reshape(shape) for one in (self.scales.centre, self.scales.spread)
        )
        found: Floats = untransformed(scaled * spread + centre, self.log)
        return found

    def to_tell(self, origins: Ints) -> Floats:
        """(B, H) the real values, NaN where unknown."""
        found: Floats = self.panel.values[origins[:, None] + np.arange(self.horizon)]
        return found

    def tried(self, moment: Moment, seed: int) -> Ints:
        """The windows a moment is measured on: all, or as many as suffice, drawn by the seed."""
        found = self.origins[moment.measures(self.panel, self.origins, self.horizon)]
        if len(found) <= MOST_TRIED:
            return found
        chosen = np.random.default_rng(counter_seed(seed, 7)).choice(len(found), MOST_TRIED, replace=False)
        return found[np.sort(chosen)]

    def fitted_profile(self, moments: Sequence[Moment]) -> Profile:
        """The profile of these windows' panel before each moment.

        Where less than a year lies before one, nothing is said of the year: 200 days of sales without any season were
        forecast 19 units off by what a tenth of a wave had been taken for, and 4.5 without.
        """
        panel, short = self.panel, time.CYCLES[self.panel.step][0][1]
        weights, offsets = [], []
        for group, moment in enumerate(moments):
            chosen = self._early(moment)
            features = self._features(chosen, 0, 1)[:, 0].double().numpy()
            if moment.cut - int(panel.at.min()) < time.YEAR[panel.step]:
                features[:, of_the_year(panel.step)] = 0  # a part of a wave becomes anything beyond it
            before = self._scaled(chosen, -self.window, 0)[group].double().mean(1).numpy()
            values = self._scaled(chosen, 0, 1)[group, :, 0].double().numpy()
            # The mean of less than a season would be a weekday in disguise.
            both, _ = _ridge(np.c_[features, LEVEL * before * (self.window >= short)], values)
            weights.append(both[:-1])
            offsets.append(float(values.mean() - features.mean(0) @ both[:-1]) if len(values) else 0.0)
        profile = Profile(
            torch.tensor(np.array(weights), dtype=torch.float32),
            torch.tensor(offsets, dtype=torch.float32),
            torch.zeros(len(moments), len(panel.names), short),
            torch.zeros(len(moments)),
        )
        if len(panel.names) > 1:
            profile = replace(profile, own_GSK=self._own(profile, moments, short))
        return replace(profile, level_G=self._levels(profile, moments))

    def _early(self, moment: Moment) -> Tensor:
        """Windows that end before a moment and whose first value is known; as many as suffice."""
        origins = self.origins[moment.trains(self.panel, self.origins, self.horizon)]
        origins = origins[~np.isnan(self.panel.values[origins])]
        return torch.from_numpy(origins[:: max(1, len(origins) // MOST_FITTED)])

    def _levels(self, profile: Profile, moments: Sequence[Moment]) -> Tensor:
        """(G,) slope of the mean of the steps to come on the mean of the window, both without the calendar's share."""
        found = []
        for group, moment in enumerate(moments):
            chosen = self._early(moment)
            before = (self._scaled(chosen, -self.window, 0) - self._share(profile, chosen, -self.window, 0))[
                group
            ]
            ahead = (self._scaled(chosen, 0, self.horizon) - self._share(profile, chosen, 0, self.horizon))[
                group
            ]
            real = self.real(chosen)
            x, y = before.mean(1).double(), ((ahead * real).sum(1) / real.sum(1)).double()
            spread = float((x - x.mean()).square().sum()) if len(x) else 0.0
            slope = float(((x - x.mean()) * y).sum()) / spread if spread > 0 else 0.0
            found.append(min(max(slope, 0.0), 1.0))
        return torch.tensor(found, dtype=torch.float32)

    def _own(self, profile: Profile, moments: Sequence[Moment], short: int) -> Tensor:
        """(G, S, K) what the shared profile leaves of each season of each series, drawn together."""
        panel = self.panel
        stride = max(1, len(panel) // MOST_OWN)
        rows = np.flatnonzero(~np.isnan(panel.values))[:: stride + (stride % short == 0)]
        shape = (len(moments), len(panel.names) * short)
        sums, counts, squares = np.zeros(shape), np.zeros(shape), np.zeros(len(moments))
        for first in range(0, len(rows), CHUNK):
            chosen = torch.from_numpy(rows[first : first + CHUNK])
            series = self._series[chosen].long()
            seasons = self._codes[self._at[chosen].long(), 0]
            cell = (series * short + seasons).numpy()
            values = (self._values[chosen] - self._centre[:, series]) / self._spread[:, series]
            rest = values - self._share(profile, chosen, 0, 1)[..., 0]
            for group, moment in enumerate(moments):
                early = panel.at[rows[first : first + CHUNK]] < moment.cut
                told = rest[group].double().numpy()[early]
                sums[group] += np.bincount(cell[early], told, shape[1])
                counts[group] += np.bincount(cell[early], minlength=shape[1])
                squares[group] += float((told**2).sum())
        own = [_drawn_together(*one) for one in zip(sums, counts, squares.tolist(), strict=True)]
        return torch.tensor(np.reshape(own, (len(moments), -1, short)), dtype=torch.float32)

    def _share(self, profile: Profile, origins_B: Tensor, first: int, end: int) -> Tensor:
        moments = self._moments(origins_B, first, end)
        cycles = [size for _, size in time.CYCLES[self.panel.step]]
        return profile.of(calendar_features(moments, cycles, 0), moments.series, moments.codes[..., 0])

    def _moments(self, origins_B: Tensor, first: int, end: int) -> Moments:
        rows_BT = origins_B[:, None] + torch.arange(first, end)
        at = self._at[rows_BT].long()
        return Moments(
            self._codes[at], self._gaps[rows_BT].long(), self._turn[at], self._known[rows_BT],
            self._series[origins_B].long(),
        )  # fmt: skip

    def _features(self, origins_B: Tensor, first: int, end: int) -> Tensor:
        cycles = [size for _, size in time.CYCLES[self.panel.step]]
        return calendar_features(self._moments(origins_B, first, end), cycles, 0)

    def _scaled(self, origins_B: Tensor, first: int, end: int) -> Tensor:
        values = self._values[origins_B[:, None] + torch.arange(first, end)]
        series = self._series[origins_B].long()
        centre, spread = self._centre[:, series, None], self._spread[:, series, None]
        return ((values - centre) / spread).float()


def _drawn_together(sums: Floats, counts: Floats, squares: float) -> Floats:
    """The mean of each cell, drawn towards 0 by as many values as the noise within cells outweighs what they differ.

    squares: sum of the squares of all values. Source: Efron, Morris 1975 (empirical Bayes).
    """
    total, cells = counts.sum(), int((counts > 0).sum())
    between = sums**2 / np.maximum(counts, 1)  # of squares, by cell
    within = max(squares - float(between.sum()), 0.0) / max(total - cells, 1.0)
    spread = max(float(between.sum()) - cells * within, 0.0) / max(total, 1.0)
    weight = within / spread if spread > 0 else np.inf
    found: Floats = np.zeros_like(sums) if np.isinf(weight) else sums / np.maximum(counts + weight, 1e-9)
    return found


def _ridge(inputs: Floats, targets: Floats) -> tuple[Floats, float]:
    """Weights and offset of the ridge regression whose strength generalised cross-validation chooses."""
    if len(targets) < 2:
        return np.zeros(inputs.shape[1]), 0.0
    centre, mean = inputs.mean(0), float(targets.mean())
    left, values, right = np.linalg.svd(inputs - centre, full_matrices=False)
    inner = left.T @ (targets - mean)
    best, chosen = np.inf, np.zeros_like(values)
    for strength in STRENGTHS:
        shrunk = values**2 / (values**2 + strength)
        rest = float(((targets - mean - left @ (shrunk * inner)) ** 2).mean())
        score = rest / max(1 - (shrunk.sum() + 1) / len(targets), 1e-6) ** 2
        if score < best:
            best, chosen = score, values / (values**2 + strength)
    weights = right.T @ (chosen * inner)
    return weights, mean - float(centre @ weights)


class WindowBatches:
    """Batches of windows by (epoch, step); see engine.batches.Batches.

    Each window carries a weight for each moment: 0 where it ends after the moment, or where the value is unknown.
    """

    def __init__(
        self, windows: Windows, moments: Sequence[Moment], *, size: int, steps: int, seed: int
    ) -> None:
        self.windows, self.size, self.steps, self.seed = windows, size, steps, seed
        panel, horizon = windows.panel, windows.horizon
        self.origins = torch.from_numpy(windows.origins)
        self._ends = torch.from_numpy(panel.at[windows.origins + horizon - 1])
        self._cuts = torch.tensor([one.cut for one in moments])
        self._order: tuple[int, Tensor] = (-1, torch.empty(0, dtype=torch.int64))

    def draw(self, epoch: int, step: int) -> Batch:
        """The batch's inputs (past, and the fields of Moments) and targets (ahead, weight)."""
        chosen = self._chosen((epoch * self.steps + step) * self.size)
        origins, windows = self.origins[chosen], self.windows
        moments = windows.moments(origins)
        inside_BG = self._ends[chosen, None] < self._cuts
        weight_BGH = inside_BG[:, :, None] & windows.real(origins)[:, None]
        return Batch(
            {"past": windows.past(origins).transpose(0, 1), **vars(moments)},
            {"ahead": windows.ahead(origins).transpose(0, 1), "weight": weight_BGH.float()},
            origins,
        )

    def _chosen(self, first: int) -> Tensor:
        """Positions first ... first + size of the endless row of shuffled passes."""
        count = len(self.origins)
        if count > SHUFFLED:
            generator = torch.Generator().manual_seed(counter_seed(self.seed, 6, first))
            return torch.randint(count, (self.size,), generator=generator)
        found, left = [], self.size
        while left:
            at, within = divmod(first, count)
            if self._order[0] != at:
                self._order = (at, epoch_order(count, seed=self.seed, epoch=at))
            part = self._order[1][within : within + left]
            found.append(part)
            first, left = first + len(part), left - len(part)
        return torch.cat(found)
