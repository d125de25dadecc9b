"""What the trials of a search tell: which names mattered, whether the winner is more than luck, what was spent.

Pure functions on the records of `engine.search`, free of torch and of tasks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from vistazo.engine.figures import wilson_interval
from vistazo.engine.search import DONE, FAILED, RUNNING, STOPPED, WAITING, Study, Trial

__all__ = [
    "FEWEST",
    "Difference",
    "Importance",
    "Spent",
    "by_figure",
    "compared",
    "difference",
    "figured",
    "finite",
    "importance",
    "luck",
    "recipe",
    "spending",
    "winner",
]

FEWEST = 12  # trials below which nothing is said of which names mattered
_MOST_BINS = 5
_SHUFFLES = 2000
_SEED = 0  # of the shuffles: the same study tells the same page

Floats = npt.NDArray[np.float64]


# ---------------------------------------------------------------- reading a study
def finite(value: float | None) -> bool:
    """Whether there is a figure: neither None nor NaN nor infinite."""
    return value is not None and math.isfinite(value)


def figured(study: Study) -> list[Trial]:
    """The trials that have a figure, failed ones left out."""
    return [one for one in study.trials if finite(one.figure) and one.state != FAILED]


def by_figure(study: Study) -> list[Trial]:
    """All trials: the winner first, then the best figures, then those without one; failed ones last."""
    sign = 1 if study.lower_is_better else -1

    def place(one: Trial) -> tuple[bool, bool, bool, float, int]:
        figure = one.figure
        known = figure is not None and math.isfinite(figure)
        worth = sign * figure if figure is not None and known else 0.0
        return one.number != study.best, one.state == FAILED, not known, worth, one.number

    return sorted(study.trials, key=place)


def winner(study: Study) -> Trial | None:
    """The trial that leads, None where there is none with a figure."""
    return next((one for one in study.trials if one.number == study.best and finite(one.figure)), None)


def recipe(study: Study) -> Trial | None:
    """The trial of the settings as they were given."""
    return next((one for one in study.trials if one.origin == "recipe"), None)


# ---------------------------------------------------------------- is it more than luck
@dataclass(frozen=True)
class Difference:
    """How much more one share is than another, with its 95 % interval; each in [-1, 1]."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval lies on one side of nothing."""
        return self.low > 0 or self.high < 0


def difference(better: float, other: float, n: int, trials: int) -> Difference:
    """The difference of two shares of right answers, each of `n` pictures, as of independent samples.

    trials: among which the better one was picked; the interval covers all of them together (Bonferroni). Two networks
    asked the same pictures err on much the same ones, so the true interval is narrower than this one.
    Raises ValueError for shares outside [0, 1] or n below 1.
    Source: Newcombe 1998, Statistics in Medicine 17:873-890, method 10.
    """
    z = NormalDist().inv_cdf(1 - 0.025 / max(1, trials - 1))
    first_low, first_high = wilson_interval(round(better * n), n, z)
    second_low, second_high = wilson_interval(round(other * n), n, z)
    value = better - other
    return Difference(
        value,
        value - math.hypot(better - first_low, second_high - other),
        value + math.hypot(first_high - better, other - second_low),
    )


def luck(share: float, n: int, trials: int) -> float:
    """How far above `share` the best of so many equally good trials would look on `n` pictures, by chance alone.

    Its expectation for independent samples, 0 for one trial; trials that err on the same pictures show less.
    Source: Blom 1958, Statistical Estimates and Transformed Beta-Variables, for the largest of normal variables.
    """
    if trials < 2:
        return 0.0
    largest = NormalDist().inv_cdf((trials - 0.375) / (trials + 0.25))
    return largest * math.sqrt(max(share * (1 - share), 0.0) / n)


# ---------------------------------------------------------------- which names mattered
@dataclass(frozen=True)
class Importance:
    """How much of the ranking of `n` trials the values of one name explain, in [0, 1].

    chance: the share of shuffled rankings that are explained as well, counting all names together (Holm), in (0, 1].
    """

    name: str
    share: float
    chance: float
    n: int

    @property
    def clear(self) -> bool:
        """Whether it is more than chance would explain."""
        return self.chance < 0.05


def compared(study: Study) -> tuple[int, dict[int, float]]:
    """The epoch after which trials are compared, and the figure of each by then: number -> the best until that epoch.

    Trials that were promoted have learnt for longer, so all are asked at one length: the longest that at least half of
    the trials with a figure have reached. Epoch 0 where there is none.
    """
    curves = {one.number: one.curve for one in figured(study) if any(map(finite, one.curve))}
    if not curves:
        return 0, {}
    lengths = sorted((len(curve) for curve in curves.values()), reverse=True)
    epoch = lengths[(len(lengths) + 1) // 2 - 1]
    pick: Callable[[list[float]], float] = min if study.lower_is_better else max
    found = {}
    for number, curve in curves.items():
        values = [value for value in curve[:epoch] if value is not None and math.isfinite(value)]
        if len(curve) >= epoch and values:
            found[number] = pick(values)
    return epoch, found


def importance(study: Study) -> list[Importance]:
    """Each name of the space, the weightiest first; empty where fewer than FEWEST trials can be compared.

    The trials are ranked by their figures at one epoch (see `compared`); a name's values are put into bins, at most
    five of about equally many trials, each choice its own; the share is epsilon² of the one-way analysis of these
    ranks. Names are looked at one by one: what two of them do only together is not seen.
    Sources: Kruskal and Wallis 1952, JASA 47:583-621; epsilon² after Kelley 1935, PNAS 21:554-559; Holm 1979.
    """
    _, figures = compared(study)
    trials = [one for one in study.trials if one.number in figures]
    found = []
    for name in study.space:
        held = [one for one in trials if name in one.values]
        if len(held) < FEWEST:
            continue
        groups = _bins([one.values[name] for one in held], study.space[name].kind == "choice")
        ranks = _ranks([figures[one.number] for one in held])
        if groups.max() == 0 or np.ptp(ranks) == 0:
            found.append(Importance(name, 0.0, 1.0, len(held)))
            continue
        found.append(Importance(name, *_explained(ranks, groups), len(held)))
    return sorted(_together(found), key=lambda one: (-one.share, one.chance))


def _bins(values: Sequence[int | float | str], choices: bool) -> npt.NDArray[np.int64]:
    """The bin of each value: of few different ones each its own, else of about equally many."""
    distinct = sorted(
        set(values), key=lambda one: (isinstance(one, str), one if not isinstance(one, str) else 0, str(one))
    )
    if choices or len(distinct) <= _MOST_BINS or any(isinstance(one, str) for one in distinct):
        return np.array([distinct.index(one) for one in values])
    numbers = np.array(values, np.float64)
    count = max(2, min(_MOST_BINS, len(values) // 6))
    edges = np.unique(np.quantile(numbers, np.arange(1, count) / count, method="lower"))
    return np.searchsorted(edges, numbers, side="left")


def _ranks(figures: Sequence[float]) -> Floats:
    """From 1, equal figures sharing the mean of their places."""
    _, inverse, counts = np.unique(figures, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)


def _explained(ranks: Floats, groups: npt.NDArray[np.int64]) -> tuple[float, float]:
    """(epsilon², the share of shuffles that explain as much)."""
    n, kinds = len(ranks), np.unique(groups)
    members = (groups[:, None] == kinds).astype(np.float64)
    centred = ranks - ranks.mean()
    total = float(centred @ centred)
    draw = np.random.default_rng(_SEED)
    rows = np.stack([centred, *(draw.permutation(centred) for _ in range(_SHUFFLES))])
    between = ((rows @ members) ** 2 / members.sum(0)).sum(1) / total
    as_much = (between[1:] >= between[0] * (1 - 1e-12)).sum()
    left = n - len(kinds)
    share = ((n - 1) * between[0] - (len(kinds) - 1)) / left if left else 0.0
    return max(0.0, float(share)), float((as_much + 1) / (_SHUFFLES + 1))


def _together(found: Sequence[Importance]) -> list[Importance]:
    """The same with chance counted over all names."""
    order = sorted(found, key=lambda one: one.chance)
    least, told = 0.0, []
    for at, one in enumerate(order):
        least = max(least, min(1.0, one.chance * (len(order) - at)))
        told.append(Importance(one.name, one.share, least, one.n))
    return told


# ---------------------------------------------------------------- what was spent
@dataclass(frozen=True)
class Spent:
    """Trials of one kind with their epochs and seconds of training. kind: 'winner' or a state."""

    kind: str
    trials: int
    epochs: int
    seconds: float


def spending(study: Study) -> list[Spent]:
    """Where the epochs and seconds went, by kind; kinds without a trial are left out."""
    first = winner(study)
    kinds: dict[str, list[Trial]] = {"winner": [first] if first else []}
    for state in (DONE, STOPPED, FAILED, RUNNING, WAITING):
        kinds[state] = [one for one in study.trials if one.state == state and one is not first]
    return [
        Spent(kind, len(trials), sum(one.epochs for one in trials), sum(one.seconds for one in trials))
        for kind, trials in kinds.items()
        if trials
    ]
