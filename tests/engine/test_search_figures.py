"""What trials tell: importance against SciPy's Kruskal-Wallis, the difference against Newcombe's published example."""

import math
import random
import statistics

import numpy as np
import pytest
from scipy import stats

from vistazo.engine.search import Space, Study, Trial
from vistazo.engine.search_figures import (
    FEWEST,
    by_figure,
    compared,
    difference,
    importance,
    luck,
    recipe,
    spending,
    winner,
)


def trial(number: int, figure: float | None, state: str = "done", epochs: int = 1, **more: object) -> Trial:
    curve = tuple([figure] * epochs)
    kept = figure if figure is not None and math.isfinite(figure) else None
    told = {"values": {}, "seconds": 2.0 * epochs, "origin": "sampled", **more}
    return Trial(number=number, state=state, curve=curve, epochs=epochs, figure=kept, **told)  # type: ignore[arg-type]


def study(trials: list[Trial], *, best: int | None = None, lower: bool = False, **space: Space) -> Study:
    return Study(
        metric="loss" if lower else "accuracy",
        lower_is_better=lower,
        space=space,
        trials=tuple(trials),
        sampler="tpe",
        pruner="asha",
        most_epochs=20,
        factor=3,
        seconds=100.0,
        epochs=sum(one.epochs for one in trials),
        best=best,
    )


RATE = Space("float", 1e-4, 1e-1, log=True)
KIND = Space("choice", choices=("a", "b", "ñ"))


# ---------------------------------------------------------------- order, what is compared
def test_trials_are_sorted_by_figure_the_winner_first_and_failed_ones_last():
    found = study([trial(0, 0.8), trial(1, None, "failed"), trial(2, 0.9), trial(3, math.nan)], best=2)
    assert [one.number for one in by_figure(found)] == [2, 0, 3, 1]
    assert winner(found) is found.trials[2]


def test_a_loss_is_sorted_the_other_way_round():
    found = study([trial(0, 0.8), trial(1, 0.2), trial(2, 0.5)], best=1, lower=True)
    assert [one.number for one in by_figure(found)] == [1, 2, 0]


def test_the_recipe_is_known_by_its_origin():
    found = study([trial(0, 0.5, origin="recipe"), trial(1, 0.6)], best=1)
    assert recipe(found) is found.trials[0]
    assert recipe(study([trial(1, 0.6)])) is None


def test_trials_are_compared_at_the_length_that_half_of_them_reached_by_their_best_until_then():
    curves = [(0.1,), (0.2,), (0.5, 0.3, 0.6), (0.4, math.nan, 0.9, 0.99)]
    trials = [
        Trial(n, {}, "done", curve, len(curve), 1.0, max(curve), "sampled") for n, curve in enumerate(curves)
    ]
    assert compared(study(trials)) == (3, {2: 0.6, 3: 0.9})
    assert compared(study(trials[:3])) == (1, {0: 0.1, 1: 0.2, 2: 0.5})
    assert compared(study([])) == (0, {})


# ---------------------------------------------------------------- importance
def planted(n: int, seed: int = 0) -> Study:
    """The figure hangs on the kind, hardly on the rate, not at all on the noise."""
    draw = random.Random(seed)
    worth = {"a": 0.5, "b": 0.7, "ñ": 0.9}
    trials = []
    for number in range(n):
        values = {"kind": draw.choice("abñ"), "rate": 10 ** draw.uniform(-4, -1), "noise": draw.random()}
        figure = worth[values["kind"]] + draw.gauss(0, 0.05)
        trials.append(trial(number, figure, values=values))
    return study(trials, best=0, kind=KIND, rate=RATE, noise=Space("float", 0.0, 1.0))


def test_the_name_that_decides_is_found_and_the_others_are_not():
    found = {one.name: one for one in importance(planted(60))}
    assert found["kind"].clear
    assert found["kind"].share > 0.7
    assert not found["rate"].clear
    assert not found["noise"].clear


def test_the_share_is_epsilon_squared_of_scipys_kruskal_wallis():
    given = planted(40)
    groups = [[one.figure for one in given.trials if one.values["kind"] == kind] for kind in ("a", "b", "ñ")]
    h, n, k = stats.kruskal(*groups).statistic, 40, 3
    ours = next(one for one in importance(given) if one.name == "kind")
    assert ours.share == pytest.approx((h - k + 1) / (n - k), abs=1e-9)


def test_equal_figures_share_their_rank_as_in_scipy():
    figures = [0.5, 0.5, 0.7, 0.7, 0.7, 0.9] * 3
    trials = [trial(n, f, values={"kind": "ab"[n % 2]}) for n, f in enumerate(figures)]
    groups = [[f for n, f in enumerate(figures) if n % 2 == at] for at in (0, 1)]
    h = stats.kruskal(*groups).statistic
    (ours,) = importance(study(trials, kind=KIND))
    assert ours.share == pytest.approx(max(0.0, (h - 1) / (18 - 2)), abs=1e-9)


def test_chance_alone_is_called_chance_about_as_often_as_promised():
    """Of 40 searches without any effect, at most a few call a name clear: 5 % all names together."""
    draw, called = random.Random(1), 0
    for _ in range(40):
        trials = [
            trial(n, draw.random(), values={f"x{i}": draw.random() for i in range(3)}) for n in range(30)
        ]
        found = importance(study(trials, **{f"x{i}": Space("float", 0.0, 1.0) for i in range(3)}))
        called += any(one.clear for one in found)
    assert called <= 6  # more than 6 of 40 has a chance of 0.3 % at 5 %


def test_few_trials_tell_nothing_and_one_value_explains_nothing():
    assert importance(planted(FEWEST - 1)) == []
    same = [trial(n, n / 100, values={"kind": "a"}) for n in range(20)]
    (found,) = importance(study(same, kind=KIND))
    assert (found.share, found.chance, found.clear) == (0.0, 1.0, False)


def test_the_same_study_tells_the_same_to_the_bit():
    assert importance(planted(50)) == importance(planted(50))


def test_a_rate_is_found_though_it_is_best_in_the_middle():
    draw, trials = random.Random(0), []
    for n in range(60):
        power = draw.uniform(-4, -1)
        trials.append(
            trial(n, 0.9 - 0.05 * (power + 2.5) ** 2 + draw.gauss(0, 0.005), values={"rate": 10**power})
        )
    (found,) = importance(study(trials, rate=RATE))
    assert found.clear
    assert found.share > 0.5


# ---------------------------------------------------------------- chance
def test_the_interval_of_a_difference_is_newcombes_published_one():
    """Newcombe 1998, table II, example (b): 9/10 - 3/10 by method 10 is 0.1705 to 0.8090."""
    ours = difference(0.9, 0.3, 10, 2)
    assert (ours.low, ours.value, ours.high) == pytest.approx((0.1705, 0.6, 0.8090), abs=5e-5)


def test_the_interval_widens_with_the_trials_that_were_tried():
    one, many = difference(0.95, 0.94, 3000, 2), difference(0.95, 0.94, 3000, 100)
    assert many.low < one.low < one.value < one.high < many.high
    assert difference(0.99, 0.90, 3000, 100).clear
    assert not one.clear


def test_the_best_of_equal_trials_leans_upwards_as_much_as_a_simulation_says():
    n, trials, share = 2000, 30, 0.9
    draw = np.random.default_rng(0)
    best = statistics.fmean((draw.binomial(n, share, (4000, trials)) / n).max(1).tolist()) - share
    assert luck(share, n, trials) == pytest.approx(best, rel=0.03)
    assert luck(share, n, 1) == 0.0
    assert luck(1.0, n, 50) == 0.0


# ---------------------------------------------------------------- what was spent
def test_every_epoch_and_second_is_counted_once():
    trials = [
        trial(0, 0.5, epochs=20),
        trial(1, 0.9, epochs=20),
        trial(2, 0.4, "stopped"),
        trial(3, None, "failed"),
    ]
    found = {one.kind: one for one in spending(study(trials, best=1))}
    assert {kind: (one.trials, one.epochs, one.seconds) for kind, one in found.items()} == {
        "winner": (1, 20, 40.0),
        "done": (1, 20, 40.0),
        "stopped": (1, 1, 2.0),
        "failed": (1, 1, 2.0),
    }
