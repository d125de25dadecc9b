"""Parts that do not leak: groups and copies stay together, or the latest rows are the test. NumPy only."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import TooFewExamples
from vistazo.language import tr
from vistazo.tables.table import Column

__all__ = [
    "OUT",
    "PARTS",
    "Divided",
    "by_order",
    "copies",
    "divide",
    "join",
    "keep_to_named",
    "row_hashes",
    "strata_of",
]

PARTS = ("train", "validation", "test")
OUT = "out"
AT_ONCE = 1 << 16  # rows hashed at once
FEWEST = 10  # rows: with fewer, all are learnt from

Strings = NDArray[np.str_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Divided:
    """parts: (rows,) 'train', 'validation', 'test' or 'out'.  sentences: how it was done."""

    parts: Strings
    sentences: tuple[str, ...]


# ---------------------------------------------------------------- what belongs together
def row_hashes(columns: Sequence[Column]) -> NDArray[np.bytes_]:
    """A hash of each row's values, (rows,) S32 hexadecimal: the same in every file, whatever else stands in it."""
    parts = []
    for column in columns:
        if column.kind in ("number", "date"):
            values = column.values.astype(np.float64)
            values[column.missing] = np.nan
            plain = np.where(
                np.isnan(values), np.nan, values + 0.0
            )  # NaN has many bit patterns and zero has two
            parts.append(np.ascontiguousarray(plain.astype("<f8")).view(np.uint8).reshape(-1, 8))
        else:
            names = [
                *(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in column.categories),
                b"",
            ]
            table = np.array([list(name.ljust(8, b"\0")) for name in names], dtype=np.uint8)
            parts.append(table[column.values])
    found = np.empty(len(parts[0]), dtype="S32")
    for first in range(0, len(found), AT_ONCE):
        block = np.ascontiguousarray(
            np.concatenate([part[first : first + AT_ONCE] for part in parts], axis=1)
        )
        found[first : first + AT_ONCE] = [
            hashlib.blake2b(row.tobytes(), digest_size=16).hexdigest() for row in block
        ]
    return found


def copies(columns: Sequence[Column], hashes: NDArray[np.bytes_]) -> tuple[Integers, str]:
    """(which rows are copies of one another, (rows,) a number each; what to say of it).

    Where the columns have so few values that rows must repeat, a repeated row is no copy: each counts for itself.
    """
    rows = len(hashes)
    alone = np.arange(rows)
    _, same = np.unique(hashes, return_inverse=True)
    repeated = rows - int(same.max()) - 1
    if not repeated:
        return alone, ""
    possible = float(np.prod([float(len(np.unique(column.values))) for column in columns]))
    if possible < 10 * rows:
        return alone, tr(
            "rows that repeat others: {n}; with so few different values that is to be expected, so each counts",
            n=repeated,
        )
    return same.astype(np.int64), tr(
        "rows that are copies of others: {n}; copies stay in one part", n=repeated
    )


def join(one: Integers, other: Integers) -> Integers:
    """Units in which both what is equal in `one` and what is equal in `other` stands together, (rows,)."""
    unit = np.arange(len(one))
    while True:
        before = unit
        for key in (one, other):
            least = np.full(int(key.max()) + 1, len(unit))
            np.minimum.at(least, key, unit)
            unit = least[key]
        if (unit == before).all():
            return np.unique(unit, return_inverse=True)[1].astype(np.int64)


def strata_of(target: NDArray[np.int64] | NDArray[np.float64]) -> Integers:
    """What every part should have alike: the class, or the tenth of the range a number lies in by rank, (rows,)."""
    if target.dtype.kind == "i":
        return target.astype(np.int64)
    if len(target) < 100:
        return np.zeros(len(target), dtype=np.int64)
    rank = np.argsort(np.argsort(target, kind="stable"), kind="stable")
    return (rank * 10 // len(target)).astype(np.int64)


# ---------------------------------------------------------------- dividing
def divide(
    groups: Integers,
    same: Integers,
    strata: Integers,
    *,
    test: float,
    validation: float,
    seed: int,
    named: str,
) -> Divided:
    """Parts in which every stratum has its share, drawn from the seed; a unit is never divided.

    groups, same: rows equal in either stay together. named: the group column, '' where there is none.
    """
    rows = len(strata)
    if rows < FEWEST:
        return Divided(
            np.full(rows, "train", dtype="U10"),
            (
                tr(
                    "parts: none, because there are only {n} rows; all are learnt from, nothing is measured",
                    n=rows,
                ),
            ),
        )
    unit = join(groups, same)
    random = np.random.default_rng(np.random.SeedSequence([seed, 3]))
    parts = np.full(rows, "train", dtype="U10")
    single = int(unit.max()) + 1 == rows
    taken = np.zeros(rows, dtype=bool)
    for part, share in (("test", test), ("validation", validation)):
        chosen = (_rows if single else _units)(
            unit, strata, taken, share * rows / max(1, (~taken).sum()), random
        )
        parts[chosen] = part
        taken |= chosen
    _spare_each_class(parts, strata, unit)
    shares = "/".join(str(round(100 * share)) for share in (1 - test - validation, validation, test))
    if named:
        sentence = tr(
            "parts: {shares}, rows of one '{name}' in one part ({n} groups), seed {seed}",
            shares=shares,
            name=named,
            n=len(np.unique(groups)),
            seed=seed,
        )
    else:
        sentence = tr("parts: {shares} at random, seed {seed}", shares=shares, seed=seed)
    return Divided(parts, (sentence,))


def _rows(
    unit: Integers, strata: Integers, taken: NDArray[np.bool_], share: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    """A share of the rows not taken, each stratum's alike: every 1/share-th of them in order of strata."""
    left = random.permutation(np.flatnonzero(~taken))
    left = left[np.argsort(strata[left], kind="stable")]
    start = random.random()
    at = np.floor(np.arange(len(left) + 1) * share + start)
    chosen = np.zeros(len(strata), dtype=bool)
    chosen[left[np.diff(at) > 0]] = True
    return chosen


def _units(
    unit: Integers, strata: Integers, taken: NDArray[np.bool_], share: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Whole units until every stratum has about its share; those that would overshoot by more than they fill stay."""
    count, kinds = int(unit.max()) + 1, int(strata.max()) + 1
    counts = np.zeros((count, kinds))
    np.add.at(counts, (unit[~taken], strata[~taken]), 1.0)
    wanted = counts.sum(0) * share
    chosen = np.zeros(count, dtype=bool)
    there = np.flatnonzero(counts.sum(1) > 0)
    order = random.permutation(there)
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]  # large ones while there is room for them
    for one in order.tolist():
        gain = np.minimum(counts[one], np.maximum(wanted, 0)).sum()
        if 2 * gain > counts[one].sum() and chosen.sum() + 1 < len(there):
            chosen[one] = True
            wanted = wanted - counts[one]
    if (
        share > 0 and len(there) >= 3 and not chosen.any()
    ):  # few large groups: the smallest, rather than nothing
        chosen[order[-1]] = True
    return chosen[unit] & ~taken


def _spare_each_class(parts: Strings, strata: Integers, unit: Integers) -> None:
    """Give back to training the units of a class that has no row to learn from."""
    for stratum in np.unique(strata):
        if not ((strata == stratum) & (parts == "train")).any():
            first = unit[np.flatnonzero(strata == stratum)[0]]
            parts[unit == first] = "train"


def by_order(values: NDArray[np.float64], *, test: float, validation: float, name: str) -> Divided:
    """The oldest rows train, the next validate, the latest test; equal values stay together.

    values: (rows,), NaN where the place is unknown: such rows are in no part.
    """
    parts = np.full(len(values), "train", dtype="U10")
    unknown = np.isnan(values)
    parts[unknown] = OUT
    there = np.sort(values[~unknown])
    sentences = []
    if unknown.any():
        sentences.append(
            tr("left out, because they have no '{name}': {n} rows", n=int(unknown.sum()), name=name)
        )
    if len(there) < FEWEST:
        sentences.append(
            tr(
                "parts: none, because there are only {n} rows; all are learnt from, nothing is measured",
                n=len(there),
            )
        )
        return Divided(parts, tuple(sentences))
    for part, share in (("validation", test + validation), ("test", test)):
        first = there[min(len(there) - 1, round((1 - share) * len(there)))]
        if first > there[0] and share > 0:
            parts[values >= first] = part
    if not (parts == "test").any() and test > 0:
        raise TooFewExamples(
            tr("--order-by '{name}' has one value in nearly all rows, so no later rows can test. Name another column.",
               name=name)
        )  # fmt: skip
    sentences.append(
        tr(
            "parts: by '{name}', the oldest {train} rows train, {validation} validate, the latest {test} test",
            name=name,
            **{part: int((parts == part).sum()) for part in PARTS},
        )
    )
    return Divided(parts, tuple(sentences))


def keep_to_named(
    given: Strings, units: Integers, *, name: str, strata: Integers, validation: float, seed: int
) -> Divided:
    """The parts that a column names. Without a validation part, a share of its training rows becomes one.

    Training rows that are copies of test rows are in no part, so that nothing is learnt by heart.
    """
    parts = given.astype("U10")
    parts[parts == ""] = OUT
    sentences = [tr("parts: those that the column '{name}' names", name=name)]
    if not (parts == "train").any():
        raise TooFewExamples(
            tr("The column '{name}' names no row 'train'. Name rows to learn from.", name=name)
        )
    train = np.flatnonzero(parts == "train")
    if not (parts == "validation").any() and len(train) >= FEWEST and validation:
        inner = divide(
            np.arange(len(train)),
            units[train],
            strata[train],
            test=0.0,
            validation=validation,
            seed=seed,
            named="",
        )
        parts[train[inner.parts == "validation"]] = "validation"
    for later, earlier in (("test", ("train", "validation")), ("validation", ("train",))):
        double = np.isin(parts, earlier) & np.isin(units, units[parts == later])
        if double.any():
            parts[double] = OUT
            sentences.append(
                tr("left out, because they repeat rows of a later part: {n}", n=int(double.sum()))
            )
    return Divided(parts, tuple(sentences))
