"""Why an answer is what it is: columns shuffled, columns varied, and each column's share in one answer. NumPy only.

A model is here a function from encoded rows to answers (rows, K): probabilities of classes, or one value. Each column
is taken as a whole, whatever numbers and codes it is made of; `places` says where they stand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from vistazo.tabular.inputs import Encoded

__all__ = ["Answers", "Importance", "dependence", "importance", "replaced", "shares"]

Floats = NDArray[np.float64]
Answers = Callable[[Encoded], Floats]
Places = Sequence[tuple[slice, slice]]

EXACT = 8  # columns up to which every combination is tried
MOST = (
    20_000  # rows answered for one order of the columns: wide tables are compared with fewer background rows
)
AT_ONCE = 4096  # rows answered together


@dataclass(frozen=True)
class Importance:
    """How much worse a figure becomes when a column's values are shuffled: mean and deviation over repeats."""

    mean: float
    deviation: float


def importance(
    answers: Answers,
    rows: Encoded,
    loss: Callable[[Floats], float],
    places: Places,
    *,
    repeats: int,
    seed: int,
) -> list[Importance]:
    """For each column, the rise of `loss` when its values change places among the rows.

    loss: of answers (rows, K), lower is better. Columns that tell the same thing share their importance.
    Source: Breiman 2001, Machine Learning 45:5-32; Fisher, Rudin & Dominici 2019, arXiv:1801.01489.
    """
    base = loss(answers(rows))
    found = []
    for at, place in enumerate(places):
        random = np.random.default_rng(np.random.SeedSequence([seed, 11, at]))
        rises = [
            loss(answers(replaced(rows, rows.take(random.permutation(len(rows))), place))) - base
            for _ in range(repeats)
        ]
        found.append(Importance(float(np.mean(rises)), float(np.std(rises))))
    return found


def replaced(rows: Encoded, others: Encoded, place: tuple[slice, slice]) -> Encoded:
    """`rows` with one column's values from `others`, as many rows, or one for all."""
    numbers, codes = rows.numbers.copy(), rows.codes.copy()
    numbers[:, place[0]], codes[:, place[1]] = others.numbers[:, place[0]], others.codes[:, place[1]]
    return Encoded(numbers, codes)


def dependence(answers: Answers, rows: Encoded, grid: Encoded, place: tuple[slice, slice]) -> Floats:
    """The mean answer over `rows` when all of them have one value in a column: (values of the grid, K).

    Where columns hang together, some of these rows never happen. Source: Friedman 2001, Annals of Statistics 29:1189.
    """
    found = [
        answers(replaced(rows, grid.take(np.array([at])), place)).mean(0, dtype=np.float64)
        for at in range(len(grid))
    ]
    return np.stack(found)


# ---------------------------------------------------------------- one answer
def shares(
    answers: Answers, row: Encoded, background: Encoded, places: Places, *, walks: int, seed: int
) -> tuple[Floats, Floats, Floats]:
    """(the mean answer to `background` (K,), the answer to `row` (K,), each column's share (columns, K)).

    Shapley values: a column's share is what it adds when it is told, on average over the orders in which the columns
    may be told, with those not yet told as in the background rows. The shares add up to answer minus base: exactly for
    up to 8 columns, where every combination is tried, and up to rounding beyond, where orders are sampled, each with
    its reverse, over all background rows alike.
    Source: Štrumbelj & Kononenko 2014, Knowledge and Information Systems 41:647-665.
    """
    if len(places) > EXACT:
        background = background.take(np.arange(min(len(background), max(10, MOST // (2 * len(places))))))
    base = answers(background).mean(0, dtype=np.float64)
    own = answers(row)[0].astype(np.float64)
    told = (
        _exact(answers, row, background, places)
        if len(places) <= EXACT
        else _sampled(answers, row, background, places, walks=walks, seed=seed)
    )
    return base, own, told


def _exact(answers: Answers, row: Encoded, background: Encoded, places: Places) -> Floats:
    columns = len(places)
    values: dict[frozenset[int], Floats] = {}
    for size in range(columns + 1):
        for known in combinations(range(columns), size):
            mixed = background
            for at in known:
                mixed = replaced(mixed, row, places[at])
            values[frozenset(known)] = answers(mixed).mean(0, dtype=np.float64)
    found = np.zeros((columns, len(values[frozenset()])))
    for told, value in values.items():
        for at in set(range(columns)) - told:
            weight = 1 / (columns * comb(columns - 1, len(told)))
            found[at] += weight * (values[told | {at}] - value)
    return found


def _sampled(
    answers: Answers, row: Encoded, background: Encoded, places: Places, *, walks: int, seed: int
) -> Floats:
    """Walks from a background row to the row, a column a step; every background row is walked from as often."""
    random = np.random.default_rng(np.random.SeedSequence([seed, 13]))
    columns, starts = len(places), len(background)
    rounds = max(2, 2 * round(walks / (2 * starts)))  # an order and its reverse
    number_place, code_place = _owners(places, row)
    total: Floats = np.zeros((columns, 1))
    for _ in range(rounds // 2):
        orders = np.argsort(random.random((starts, columns)), axis=1)
        for order in (orders, orders[:, ::-1]):
            when = np.argsort(order, axis=1)  # the step at which each column is told, (starts, columns)
            steps = np.arange(columns + 1)[None, :, None]
            tell_number = when[:, None, number_place] < steps  # (starts, steps, numbers)
            tell_code = when[:, None, code_place] < steps
            numbers = np.where(tell_number, row.numbers[0], background.numbers[:, None, :])
            codes = np.where(tell_code, row.codes[0], background.codes[:, None, :])
            flat = Encoded(
                numbers.reshape(starts * (columns + 1), -1).astype(np.float32),
                codes.reshape(starts * (columns + 1), -1),
            )
            found = _in_blocks(answers, flat).reshape(starts, columns + 1, -1)
            added = np.diff(found, axis=1)  # what each step adds, in the order of its walk
            by_column = np.take_along_axis(added, when[:, :, None], axis=1)
            total = total + by_column.sum(0)
    return total / (rounds * starts)


def _owners(places: Places, row: Encoded) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The column that each number and each code belongs to."""
    numbers = np.zeros(row.numbers.shape[1], dtype=np.int64)
    codes = np.zeros(row.codes.shape[1], dtype=np.int64)
    for at, (one, other) in enumerate(places):
        numbers[one], codes[other] = at, at
    return numbers, codes


def _in_blocks(answers: Answers, rows: Encoded) -> Floats:
    parts = [
        answers(rows.take(np.arange(first, min(first + AT_ONCE, len(rows)))))
        for first in range(0, len(rows), AT_ONCE)
    ]
    return np.concatenate(parts).astype(np.float64)
