"""The networks that forecast, by name: three published ones and four richer ones, each as a pack of members.

A network sees a window of past values and what the calendar says of every step, and tells the steps to come. All
values are scaled; quantile networks tell five quantiles of each step, the others its median alone.

Shape suffixes: M members, B windows, P past steps, H steps ahead, T = P + H steps, C calendar features, Q quantiles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vistazo.engine.optimizers import Group
from vistazo.engine.parameters import tell_parameters
from vistazo.forecasting import steps as time
from vistazo.forecasting.steps import TURNS
from vistazo.language import mark, tr
from vistazo.networks.packed import PackedEmbedding, PackedLinear, PackedNorm
from vistazo.registry import Registry

__all__ = [
    "QUANTILES",
    "Calendar",
    "DLinear",
    "Entry",
    "Features",
    "Lstm",
    "Moments",
    "Published",
    "Recipe",
    "Tide",
    "Transformer",
    "calendar_features",
    "create",
    "listing",
    "models",
    "of_the_year",
]

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
FEW = 600  # windows up to which decay is at its strongest
CLAMP = 4.0  # standard deviations: one odd input must not throw a forecast


@dataclass(frozen=True)
class Moments:
    """What the calendar says of the steps of windows.

    codes: (B, T, 2) int64 seasons. gaps: (B, T, 2) int64 absent steps before and after, 0 to 3. turn: (B, T, 12)
    where in the month and the year. known: (B, T, K) columns known ahead. series: (B,) int64.
    """

    codes: Tensor
    gaps: Tensor
    turn: Tensor
    known: Tensor
    series: Tensor


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    passes: over the windows, as published; 0 for `steps` steps in all. steps, batch: where the data is small.
    members: networks whose mean answers. scaler, log: how values are brought to the network. quantiles: whether it
    learns them, or the median by the absolute error. profile: whether the calendar's
    linear share is taken out of the values first.
    """

    passes: int
    steps: int
    batch: int
    members: int
    scaler: str
    log: bool
    quantiles: bool
    schedule: str
    profile: bool


@dataclass(frozen=True)
class Entry:
    """A registered network: how it is built and trained, and where it was published."""

    build: Callable[..., "nn.Module"]
    groups: Callable[[Any, int], list[Group]]
    recipe: Recipe
    source: str


models: Registry[Entry] = Registry(mark("model"))


def create(name: str, arguments: dict[str, Any]) -> Any:
    """The registered network of that name. Raises UnknownName."""
    return models[name].build(**arguments)


def listing() -> list[dict[str, Any]]:
    """What `vistazo models` tells: name, parameters of one member for days and a window of 7, source."""
    example = {"members": 1, "window": 7, "horizon": 7, "cycles": [7, 12], "known": 0, "series": 1}
    return [
        {"name": name, **tell_parameters(create(name, example)), "source": tr(models[name].source)}
        for name in models
    ]


# ---------------------------------------------------------------- the calendar as features
class Features(nn.Module):
    """Everything the calendar says of a step, as standardised features: (1, B, T, C).

    Seasons as 0/1 features, and each short season (weekday) once more where the step before or after it is absent:
    a shop sells otherwise on the eve of a closed day. Several series add a 0/1 feature each, up to 64 of them.
    """

    centre_M1C: Tensor
    spread_M1C: Tensor

    def __init__(self, members: int, cycles: list[int], known: int, series: int) -> None:
        super().__init__()
        self.short, self.long = cycles
        self.series = series if 1 < series <= 64 else 0
        self.size = self.short * 3 + self.long + 6 + TURNS + known + self.series
        self.register_buffer("centre_M1C", torch.zeros(members, 1, self.size))
        self.register_buffer("spread_M1C", torch.ones(members, 1, self.size))

    def plain(self, moments: Moments) -> Tensor:
        """(B, T, C) before standardising."""
        return calendar_features(moments, (self.short, self.long), self.series)

    @torch.no_grad()
    def fit(self, member: int, plain_NC: Tensor) -> None:
        """Set what a member's features are standardised by: those of the steps it is trained on."""
        spread = plain_NC.std(0, correction=0)
        self.centre_M1C[member, 0] = plain_NC.mean(0)
        # Rare features would become huge: a spread below 0.05 is a day in 400.
        self.spread_M1C[member, 0] = torch.where(spread < 1e-6, 1.0, spread.clamp_min(0.05))

    def forward(self, moments: Moments) -> Tensor:
        """(M, B, T, C)"""
        plain = self.plain(moments)
        flat = plain.reshape(1, -1, self.size)
        scaled = ((flat - self.centre_M1C) / self.spread_M1C).clamp(-CLAMP, CLAMP)
        return scaled.reshape(-1, *plain.shape[:2], self.size)


def calendar_features(moments: Moments, cycles: Sequence[int], series: int) -> Tensor:
    """(B, T, C) what the calendar says of a step, as numbers; `series` 0/1 features tell the series apart."""
    short = F.one_hot(moments.codes[..., 0], cycles[0]).float()
    before, after = moments.gaps[..., :1], moments.gaps[..., 1:]
    parts = [
        short,
        short * (before > 0),
        short * (after == 0),
        F.one_hot(moments.codes[..., 1], cycles[1]).float(),
        *(torch.cat([gap == 0, gap == 1, gap >= 2], -1).float() for gap in (before, after)),
        moments.turn,
        moments.known,
    ]
    if series:
        parts.append(F.one_hot(moments.series, series).float()[:, None].expand(-1, short.shape[1], -1))
    return torch.cat(parts, -1)


def of_the_year(step: time.Step) -> list[int]:
    """Which of `calendar_features` tell where in the year a step lies: the months, and the waves over the year."""
    (_, short), (name, long) = time.CYCLES[step]
    months = range(3 * short, 3 * short + long) if name == "month" else range(0)
    end = 3 * short + long + 6 + TURNS
    return [*months, *range(end - 6, end)]


class Calendar(nn.Module):
    """Weekday and month as the tutorial's networks take them: not at all, as numbers, or as embeddings of 2 and 4."""

    def __init__(self, members: int, cycles: list[int], kind: str) -> None:
        super().__init__()
        self.kind, self.members = kind, members
        self.size = {"none": 0, "numbers": 2, "embeddings": 6}[kind]
        if kind == "embeddings":
            # Keras' embeddings begin uniform in ±0.05; one code more than there are, as published.
            self.short = PackedEmbedding(members, cycles[0] + 1, 2, scale=0.03)
            self.long = PackedEmbedding(members, cycles[1] + 1, 4, scale=0.03)

    def forward(self, codes_B2: Tensor) -> Tensor:
        """(M, B, C)"""
        if self.kind == "embeddings":
            return torch.cat([self.short(codes_B2[:, 0]), self.long(codes_B2[:, 1] + 1)], -1)
        numbers = codes_B2 + torch.tensor([0, 1], device=codes_B2.device)
        return numbers[:, : self.size].float().expand(self.members, -1, -1)


# ---------------------------------------------------------------- the published networks
class Published(nn.Module):
    """Dense 7 tanh → dense 1 tanh on the past values and the day's calendar; further steps feed predictions back.

    The sales tutorial's three networks: ST1 past values alone, STMV weekday and month as numbers, STE as embeddings.
    """

    def __init__(self, *, members: int, window: int, cycles: list[int], kind: str) -> None:
        super().__init__()
        self.window = window
        self.calendar = Calendar(members, cycles, kind)
        self.hidden = PackedLinear(members, window + self.calendar.size, window)
        self.head = PackedLinear(members, window, 1)

    def forward(self, past_MBP: Tensor, moments: Moments, horizon: int) -> Tensor:
        """(M, B, horizon, 1)"""
        window, told = past_MBP, []
        for ahead in range(horizon):
            day = self.calendar(moments.codes[:, self.window + ahead])
            step = torch.tanh(self.head(torch.tanh(self.hidden(torch.cat([window, day], -1)))))
            told.append(step)
            window = torch.cat([window[..., 1:], step], -1)
        return torch.stack(told, 2)


# ---------------------------------------------------------------- richer networks
class Tide(nn.Module):
    """One small residual network for every step ahead, on the past window and that step's whole calendar.

    A linear path stands beside it, and half of the hidden features are dropped while it learns: a year of days is
    little. Like TiDE (Das et al. 2023, arXiv:2304.08424) it is dense and its last layers see each step's own
    covariates; unlike it, steps share all weights.
    """

    def __init__(
        self, *, members: int, window: int, horizon: int, cycles: list[int], known: int, series: int, width: int = 32,
        drop: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.window, self.drop = window, drop
        self.features = Features(members, cycles, known, series)
        inputs = window + self.features.size + 3
        self.first = PackedLinear(members, inputs, width)
        self.second = PackedLinear(members, width, width)
        self.head = PackedLinear(members, width, len(QUANTILES), scale=0.1)
        self.skip = PackedLinear(members, inputs, len(QUANTILES), scale=0.1)

    def forward(self, past_MBP: Tensor, moments: Moments, horizon: int) -> Tensor:
        """(M, B, horizon, Q)"""
        members, windows, _ = past_MBP.shape
        features = self.features(moments)[:, :, self.window :]
        past = past_MBP.clamp(-CLAMP, CLAMP)[:, :, None].expand(-1, -1, horizon, -1)
        seasonal = _same_season(past_MBP.clamp(-CLAMP, CLAMP), moments, horizon)
        parts = [past, seasonal, features.expand(members, -1, -1, -1), _ahead(past_MBP, horizon)]
        inputs = torch.cat(parts, -1)
        inputs = inputs.reshape(members, windows * horizon, -1)
        hidden = F.dropout(F.gelu(self.first(inputs)), self.drop, self.training)
        hidden = hidden + F.dropout(F.gelu(self.second(hidden)), self.drop, self.training)
        return torch.as_tensor(self.head(hidden) + self.skip(inputs)).reshape(members, windows, horizon, -1)


class DLinear(nn.Module):
    """A linear map of the window's trend and of what is left, and a linear map of the calendar.

    Zeng et al. 2022, arXiv:2205.13504; the moving average spans a short season, and the calendar is ours.
    """

    def __init__(
        self, *, members: int, window: int, horizon: int, cycles: list[int], known: int, series: int
    ) -> None:
        super().__init__()
        self.window, self.horizon = window, horizon
        self.span = min(cycles[0], window)
        self.features = Features(members, cycles, known, series)
        self.trend = PackedLinear(members, window, horizon * len(QUANTILES), scale=0.1)
        self.rest = PackedLinear(members, window, horizon * len(QUANTILES), scale=0.1)
        self.day = PackedLinear(members, self.features.size, len(QUANTILES), scale=0.1)

    def forward(self, past_MBP: Tensor, moments: Moments, horizon: int) -> Tensor:
        """(M, B, horizon, Q), horizon at most the one it was built for."""
        members, windows, _ = past_MBP.shape
        padded = F.pad(past_MBP, (self.span - 1, 0), mode="replicate")
        trend = F.avg_pool1d(padded, self.span, 1)
        told = self.trend(trend) + self.rest(past_MBP - trend)
        told = told.reshape(members, windows, self.horizon, -1)[:, :, :horizon]
        features = self.features(moments)[:, :, self.window :]
        days: Tensor = self.day(features.reshape(members, windows * horizon, -1))
        return torch.as_tensor(told + days.reshape(told.shape))


class Lstm(nn.Module):
    """A long short-term memory over the window, then over the steps ahead; it reads each step's calendar.

    Hochreiter, Schmidhuber 1997; forget gates as in Gers et al. 2000, whose bias begins at 1.
    """

    def __init__(
        self, *, members: int, window: int, horizon: int, cycles: list[int], known: int, series: int, width: int = 24,
        drop: float = 0.3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.window, self.width, self.drop = window, width, drop
        self.features = Features(members, cycles, known, series)
        inputs = self.features.size + 2  # the value and whether it is known
        self.gates = PackedLinear(members, inputs + width, 4 * width)
        with torch.no_grad():
            self.gates.bias_M1O[..., width : 2 * width] = 1.0
        self.head = PackedLinear(members, width, len(QUANTILES), scale=0.1)
        self.skip = PackedLinear(members, self.features.size, len(QUANTILES), scale=0.1)

    def forward(self, past_MBP: Tensor, moments: Moments, horizon: int) -> Tensor:
        """(M, B, horizon, Q)"""
        members, windows, _ = past_MBP.shape
        features = self.features(moments).expand(members, -1, -1, -1)
        state = memory = past_MBP.new_zeros(members, windows, self.width)
        blank = past_MBP.new_zeros(members, windows, 2)
        told = []
        for step in range(self.window + horizon):
            value = blank
            if step < self.window:
                seen = past_MBP[..., step : step + 1].clamp(-CLAMP, CLAMP)
                value = torch.cat([seen, torch.ones_like(seen)], -1)
            gates = self.gates(torch.cat([value, features[:, :, step], state], -1))
            enter, forget, leave, new = gates.chunk(4, -1)
            memory = forget.sigmoid() * memory + enter.sigmoid() * new.tanh()
            state = leave.sigmoid() * memory.tanh()
            if step >= self.window:
                hidden = F.dropout(state, self.drop, self.training)
                told.append(self.head(hidden) + self.skip(features[:, :, step]))
        return torch.stack(told, 2)


class Transformer(nn.Module):
    """Two layers of attention over the steps of the window and the steps ahead, each with its calendar.

    Vaswani et al. 2017, arXiv:1706.03762, layer norm first; steps ahead carry no value and ask for one.
    """

    def __init__(
        self, *, members: int, window: int, horizon: int, cycles: list[int], known: int, series: int, width: int = 32,
        heads: int = 4, layers: int = 2, drop: float = 0.3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.window, self.heads, self.drop = window, heads, drop
        self.features = Features(members, cycles, known, series)
        self.enter = PackedLinear(members, self.features.size + 2, width)
        self.place = nn.Parameter(torch.randn(members, 1, window + horizon, width) * 0.1)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "before": PackedNorm(members, width),
                    "mix": PackedLinear(members, width, 3 * width),
                    "join": PackedLinear(members, width, width, scale=0.5),
                    "between": PackedNorm(members, width),
                    "widen": PackedLinear(members, width, 2 * width),
                    "narrow": PackedLinear(members, 2 * width, width, scale=0.5),
                }
            )
            for _ in range(layers)
        )
        self.norm = PackedNorm(members, width)
        self.head = PackedLinear(members, width, len(QUANTILES), scale=0.1)
        self.skip = PackedLinear(members, self.features.size, len(QUANTILES), scale=0.1)

    def forward(self, past_MBP: Tensor, moments: Moments, horizon: int) -> Tensor:
        """(M, B, horizon, Q), horizon at most the one it was built for."""
        members, _, window = past_MBP.shape
        features = self.features(moments).expand(members, -1, -1, -1)
        seen = past_MBP.clamp(-CLAMP, CLAMP)[..., None]
        value = F.pad(torch.cat([seen, torch.ones_like(seen)], -1), (0, 0, 0, horizon))
        states = self.enter(torch.cat([value, features], -1)) + self.place[:, :, : window + horizon]
        for layer in self.layers:
            parts: Any = layer
            states = states + self._drop(parts["join"](self._attend(parts["mix"](parts["before"](states)))))
            wide = F.gelu(parts["widen"](parts["between"](states)))
            states = states + self._drop(parts["narrow"](wide))
        ahead = self.norm(states)[:, :, window:]
        return torch.as_tensor(self.head(ahead) + self.skip(features[:, :, window:]))

    def _attend(self, mixed: Tensor) -> Tensor:
        members, windows, steps, width = mixed.shape
        query, key, value = mixed.reshape(members * windows, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        return seen.transpose(1, 2).reshape(members, windows, steps, width // 3)

    def _drop(self, states: Tensor) -> Tensor:
        return F.dropout(states, self.drop, self.training)


def _same_season(past_MBP: Tensor, moments: Moments, horizon: int) -> Tensor:
    """(M, B, horizon, 1) the mean of the window's values of each step's own weekday (hour, month); 0 without one."""
    seasons = moments.codes[..., 0]
    window = past_MBP.shape[-1]
    same_BHP = (seasons[:, window : window + horizon, None] == seasons[:, None, :window]).float()
    share_BHP = same_BHP / same_BHP.sum(-1, keepdim=True).clamp_min(1)
    return torch.einsum("mbp,bhp->mbh", past_MBP, share_BHP)[..., None]


def _ahead(past_MBP: Tensor, horizon: int) -> Tensor:
    """(M, B, horizon, 2) how far ahead each step is, as two numbers around zero."""
    steps = torch.arange(1, horizon + 1, device=past_MBP.device, dtype=torch.float32)
    told = torch.stack([steps / max(horizon, 7), 1 / steps.sqrt()], -1) - 0.5
    return told.expand(*past_MBP.shape[:2], horizon, 2)


# ---------------------------------------------------------------- the register
def _published(kind: str) -> Callable[..., nn.Module]:
    def build(
        *, members: int, window: int, horizon: int, cycles: list[int], known: int, series: int
    ) -> nn.Module:
        return Published(members=members, window=window, cycles=cycles, kind=kind)

    return build


def _adam(network: nn.Module, windows: int) -> list[Group]:
    return [Group("all", tuple(network.parameters()), "adamw", 1e-3, 0.9)]


def _decayed(rate: float, decay: float) -> Callable[[Any, int], list[Group]]:
    """AdamW with strong decay; weaker where there is more to learn from."""

    def groups(network: nn.Module, windows: int) -> list[Group]:
        weaker = decay * min(1.0, FEW / windows)
        return [Group("all", tuple(network.parameters()), "adamw", rate, 0.9, weaker)]

    return groups


_TUTORIAL = Recipe(passes=40, steps=0, batch=32, members=1, scaler="min-max", log=False, quantiles=False,
                   schedule="constant", profile=False)  # fmt: skip
_OURS = Recipe(passes=0, steps=200, batch=64, members=4, scaler="standard", log=True, quantiles=True,
               schedule="cosine", profile=True)  # fmt: skip
_SLOW = replace(_OURS, members=2)  # step by step or with attention, a member costs ten times as much
_SALES = mark("sales tutorial")

models.register("tide")(Entry(Tide, _decayed(3e-3, 8.0), _OURS, "Das et al. 2023, arXiv:2304.08424"))
models.register("dlinear")(Entry(DLinear, _decayed(3e-3, 1.0), _OURS, "Zeng et al. 2022, arXiv:2205.13504"))
models.register("lstm")(Entry(Lstm, _decayed(3e-3, 8.0), _SLOW, "Hochreiter, Schmidhuber 1997"))
models.register("transformer")(
    Entry(Transformer, _decayed(2e-3, 8.0), _SLOW, "Vaswani et al. 2017, arXiv:1706.03762")
)
models.register("st1")(Entry(_published("none"), _adam, _TUTORIAL, _SALES))
models.register("stmv")(Entry(_published("numbers"), _adam, _TUTORIAL, _SALES))
models.register("ste")(Entry(_published("embeddings"), _adam, _TUTORIAL, _SALES))
