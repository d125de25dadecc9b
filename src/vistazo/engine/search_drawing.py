"""The next values of a search: drawn by Optuna's sampler from (seed, number of the trial, what is known), and new."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from vistazo.engine.batches import counter_seed
from vistazo.engine.search import DONE, FAILED, Space, Value
from vistazo.engine.search_journal import Entry, distributions, silenced
from vistazo.engine.search_spaces import contains, every_point, points

__all__ = ["RANDOM", "TPE", "draw"]

TPE, RANDOM = "tpe", "random"
BY_CHANCE = 10  # trials before TPE has anything to go by, as Optuna has it
TRIES = 30  # draws before every point that is left is looked at
_COUNTER = 71  # of the seeds that values are drawn from


def draw(
    spaces: Mapping[str, Space], known: Sequence[Entry], *, sampler: str, seed: int, lower_is_better: bool
) -> dict[str, Value] | None:
    """Values that no trial had yet; None where there are no others.

    TPE takes trials that came to the full length first, then those that came furthest: a figure after one epoch is
    not compared with one after twenty. Source: Bergstra et al. 2011, NeurIPS 24; of several at once, Falkner, Klein,
    Hutter 2018 (BOHB), arXiv:1807.01774.
    """
    silenced()
    taken = {_key(spaces, one.values) for one in known}
    number = len(known)
    direction: Literal["minimize", "maximize"] = "minimize" if lower_is_better else "maximize"
    values: dict[str, Value] = {}
    for attempt in range(TRIES):
        chance = counter_seed(seed, _COUNTER, number, attempt) % 2**32
        method: BaseSampler = RandomSampler(seed=chance)
        if sampler == TPE:
            method = TPESampler(seed=chance, n_startup_trials=BY_CHANCE, multivariate=True)
        study = optuna.create_study(direction=direction, sampler=method)
        study.add_trials(_told(spaces, known, lower_is_better))
        values = study.ask(distributions(spaces)).params
        if _key(spaces, values) not in taken:
            return values
    if math.prod(map(points, spaces.values())) == math.inf:
        return values  # a range so narrow that its numbers are alike
    left = [one for one in every_point(spaces) if _key(spaces, one) not in taken]
    return left[counter_seed(seed, _COUNTER, number) % len(left)] if left else None


def _told(
    spaces: Mapping[str, Space], known: Sequence[Entry], lower_is_better: bool
) -> list[optuna.trial.FrozenTrial]:
    """Finished trials as Optuna's sampler reads them; those without a figure or outside the space are left out."""
    found = []
    kinds = distributions(spaces)
    worst = math.inf if lower_is_better else -math.inf
    for one in known:
        inside = set(one.values) == set(spaces) and all(
            contains(space, one.values[name]) for name, space in spaces.items()
        )
        figure = one.judged(lower_is_better)
        if not inside or (figure is None and one.state != FAILED):
            continue
        told: dict[int, float] = {
            len(one.curve) or 1: worst if figure is None or one.state == FAILED else figure
        }
        found.append(
            create_trial(
                state=TrialState.COMPLETE if one.state == DONE else TrialState.PRUNED,
                value=figure if one.state == DONE else None,
                params={name: one.values[name] for name in spaces},
                distributions=kinds,
                intermediate_values=told,
            )
        )
    return found


def _key(spaces: Mapping[str, Space], values: Mapping[str, Value]) -> tuple[object, ...]:
    return tuple(float(one) if isinstance(one, (int, float)) else one for one in map(values.get, spaces))
