"""A forecaster as one network from values and step numbers to values: what an exported graph computes.

Shape suffixes: B windows, P past steps, H steps ahead, T = P + H, K known columns, Q quantiles, S series.
"""

import numpy as np
import torch
from torch import Tensor, nn

from vistazo.engine.losses import Pinball
from vistazo.forecasting import steps as time
from vistazo.forecasting.forecaster import Forecaster
from vistazo.forecasting.models import Moments, calendar_features
from vistazo.networks.civil import Civil, civil, month_begun, remainder

__all__ = ["Calendar", "WindowsToForecasts"]

_WEEKDAY_0 = 3  # 1970-01-01 was a Thursday
_LEAP = 730  # 1972-01-01, the first day of a year of 366


class Calendar(nn.Module):
    """What `steps.codes_of` and `steps.calendar` say of steps, for a graph; its waves are theirs, as tables."""

    since_31: Tensor
    until_31: Tensor
    year_366: Tensor

    def __init__(self, step: time.Step) -> None:
        super().__init__()
        self.step = step
        month = time.calendar(np.arange(31), "day")[
            :, :6
        ]  # January 1970: the day in the month, and its mirror
        if step in ("week", "month"):
            month = np.zeros_like(month)
        self.register_buffer("since_31", torch.from_numpy(month))
        self.register_buffer("until_31", torch.from_numpy(month[::-1, 1:2].copy()))
        year = time.calendar(np.arange(_LEAP, _LEAP + 366), "day")[:, 6:]
        self.register_buffer("year_366", torch.from_numpy(year))

    def forward(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """((..., 2) int64 seasons, (..., 12) float32 turns) of steps, int64 of any shape."""
        counted = steps.double()
        days = self._days(counted)
        dates = month_begun(counted) if self.step == "month" else civil(days)
        codes = torch.stack(self._codes(counted, days, dates), -1).long()
        since = self.since_31[dates.since.long()]
        turn = [since[..., :1], self.until_31[dates.until.long()], since[..., 2:]]
        return codes, torch.cat([*turn, self.year_366[dates.yearday.long()]], -1)

    def _days(self, counted: Tensor) -> Tensor:
        if self.step == "hour":
            return torch.floor(counted / 24)
        return counted * 7 - _WEEKDAY_0 if self.step == "week" else counted

    def _codes(self, counted: Tensor, days: Tensor, dates: Civil) -> list[Tensor]:
        if self.step == "month":
            return [dates.month, torch.floor(dates.month / 3)]
        if self.step == "week":
            return [torch.floor(dates.yearday / 7), dates.month]
        weekday = remainder(days + _WEEKDAY_0, 7)
        if self.step == "hour":
            return [remainder(counted, 24), weekday]
        return [weekday, dates.month]


class WindowsToForecasts(nn.Module):
    """Windows of a series in, its next steps out, in its own unit: what `Windows` and `Forecaster.tell` do.

    Arithmetic is float64 where NumPy's is, so that both round alike.
    """

    centre_S: Tensor
    spread_S: Tensor
    known_centre: Tensor
    known_spread: Tensor
    corrections_H2: Tensor

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        self.network, self.log, self.profile = model.network, model.log, model.profile
        arguments = model.arguments
        self.window, self.horizon = int(arguments["window"]), model.horizon
        self.members, self.cycles = int(arguments["members"]), list(arguments["cycles"])
        self.several = len(model.history.panel.names) > 1
        self.knows = bool(model.history.panel.known.shape[1])
        self.calendar = Calendar(model.history.panel.step)
        self.register_buffer("centre_S", torch.from_numpy(model.scales.centre[0]))
        self.register_buffer("spread_S", torch.from_numpy(model.scales.spread[0]))
        centre, spread = (torch.tensor(one, dtype=torch.float32) for one in model.known_scale)
        self.register_buffer("known_centre", centre)
        self.register_buffer("known_spread", spread)
        self.register_buffer("corrections_H2", torch.from_numpy(model.corrections))

    def forward(self, columns: list[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, H) value, low and high, and (B, H, Q) the network's own quantiles, all float64 in the series' unit.

        columns: (B, P) float64 values, none missing; (B, P + H + 2) int64 the numbers of their steps and of those to
        come, with one step before and one after; then, where the model has them, (B, T, K) float32 known columns, NaN
        missing, and (B,) int64 the series, -1 unknown (whose forecasts are NaN).
        """
        past_BP, steps = columns[:2]
        found = columns[2:]
        moments = self._moments(steps, found)
        number = moments.series
        centre_B1, spread_B1 = self.centre_S[number, None], self.spread_S[number, None]
        plain = torch.log1p(past_BP.clamp_min(0.0)) if self.log else past_BP
        scaled = ((plain - centre_B1) / spread_B1).float()[None]
        taken = self._taken(scaled, moments)
        rest = scaled if self.profile is None else scaled - self._share(moments)[:, :, : self.window]
        told = self.network(rest.expand(self.members, -1, -1), moments, self.horizon).mean(0)
        told_BHQ = Pinball(quantiles=(0.5,)).answer(told).double()
        ends = [self._in_units(one, taken, centre_B1, spread_B1) for one in self._with_interval(told_BHQ)]
        every = self._in_units(told_BHQ, taken[..., None], centre_B1[..., None], spread_B1[..., None])
        value, low, high = ends
        if self.several:
            lost = (found[-1] < 0)[:, None]
            value, low, high = (torch.where(lost, torch.nan, one) for one in ends)
            every = torch.where(lost[..., None], torch.nan, every)
        return value, low, high, every

    def _moments(self, steps: Tensor, found: list[Tensor]) -> Moments:
        inner = steps[:, 1:-1]
        codes, turn = self.calendar(inner)
        gaps = (steps[:, 1:] - steps[:, :-1] - 1).clamp(0, 3)
        known = turn[..., :0]
        if self.knows:
            scaled = (found[0] - self.known_centre) / self.known_spread
            known = torch.where(torch.isnan(scaled), torch.zeros_like(scaled), scaled)
        series = found[-1].clamp_min(0) if self.several else torch.zeros_like(steps[:, 0])
        return Moments(codes, torch.stack([gaps[:, :-1], gaps[:, 1:]], -1), turn, known, series)

    def _share(self, moments: Moments) -> Tensor:
        """(1, B, T) the calendar's share."""
        assert self.profile is not None
        features = calendar_features(moments, self.cycles, 0)
        return self.profile.of(features, moments.series, moments.codes[..., 0])

    def _taken(self, scaled: Tensor, moments: Moments) -> Tensor:
        """(B, H) what was taken out of the values to come: the calendar's share, and what goes on of the level."""
        if self.profile is None:
            return scaled.new_zeros(1, 1).double()
        share = self._share(moments)
        level = self.profile.level_G[:, None, None] * (scaled - share[:, :, : self.window]).mean(
            2, keepdim=True
        )
        return (share[:, :, self.window :] + level)[0].double()

    def _with_interval(self, told_BHQ: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        middle = told_BHQ[..., told_BHQ.shape[-1] // 2]
        low = torch.minimum(told_BHQ[..., 0] - self.corrections_H2[:, 0], middle)
        return middle, low, torch.maximum(told_BHQ[..., -1] + self.corrections_H2[:, 1], middle)

    def _in_units(self, scaled: Tensor, taken: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        found = (scaled + taken) * spread + centre
        return torch.expm1(found) if self.log else found
