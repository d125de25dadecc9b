"""Columns that give the target away: copies of it, and columns that decide it alone. NumPy only.

Only rows of the training part are looked at, so that the test part cannot choose what is learnt from.
"""

import numpy as np
from numpy.typing import NDArray

from vistazo.engine.reports import percent
from vistazo.language import tr
from vistazo.tables.table import Column
from vistazo.tabular.columns import Finding

__all__ = ["find_suspects"]

FEWEST = 40  # rows: with fewer, a column may divide the classes by chance
CORRELATION = 0.9999
DECIDES = 0.999  # share of rows, held out, that one column alone answers rightly
MET = 0.5  # share of held-out rows whose category the other half had, for a judgement
_WELL_BELOW = 0.95  # with a larger share of one class there is nothing to decide


def find_suspects(
    columns: list[Column], target: NDArray[np.int64] | NDArray[np.float64]
) -> tuple[Finding, ...]:
    """The columns that alone give the target away, (rows,) class numbers or float64 numbers without missing ones.

    Classes: one category for one class, or a rule on the column alone (the majority of each category, or of each of
    the intervals that a few thresholds make), found on every other row, that answers more than 99.9 % of the rest.
    Numbers: a correlation beyond 0.9999, or categories whose means tell held-out rows as exactly.
    """
    if len(target) < FEWEST:
        return ()
    found = []
    for column in columns:
        share = (
            _classes_told(column, target.astype(np.int64))
            if target.dtype.kind == "i"
            else _numbers_told(column, target.astype(np.float64))
        )
        if share:
            detail = (
                tr("alone it answers {share} of the rows it was not looked up in", share=percent(share, 2))
                if target.dtype.kind == "i"
                else tr("its correlation with the target is {share}", share=f"{share:.6f}")
            )
            suggestion = tr(
                "if it is known before the answer is, keep it: --keep-columns {name}", name=column.name
            )
            found.append(Finding("suspect", column.name, detail, suggestion))
    return tuple(found)


def _classes_told(column: Column, labels: NDArray[np.int64]) -> float:
    """The share of held-out rows that the column alone answers, where that is suspiciously high; else 0."""
    if np.bincount(labels).max() / len(labels) > _WELL_BELOW:
        return 0.0
    seen, rest = _halves(len(labels))
    codes = _codes(column, labels, seen)
    counts = np.zeros((codes.max() + 1, labels.max() + 1))
    np.add.at(counts, (codes[seen], labels[seen]), 1.0)
    met = counts.sum(1)[codes[rest]] > 0
    if met.mean() < MET:  # one value for each row tells nothing of other rows
        return 0.0
    share = float(np.mean((counts.argmax(1)[codes[rest]] == labels[rest])[met]))
    return share if share > DECIDES else 0.0


def _halves(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same halves whatever the seed of the run: by chance, because rows may come in a rhythm."""
    order = np.random.default_rng(0).permutation(rows)
    return np.sort(order[: rows // 2]), np.sort(order[rows // 2 :])


def _codes(column: Column, labels: NDArray[np.int64], seen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each row's interval of a column of numbers or dates, or its category; the missing are one more."""
    missing = column.missing
    if column.kind == "category":
        return np.where(missing, len(column.categories), column.values).astype(np.int64)
    values = column.values.astype(np.float64)
    values[missing] = np.inf
    # Thresholds where the class changes along the column, half-way between neighbours.
    own = values[seen]
    order = np.argsort(own, kind="stable")
    sorted_values, sorted_labels = own[order], labels[seen][order]
    change = np.flatnonzero(sorted_labels[1:] != sorted_labels[:-1])
    if len(change) > 4 * (labels.max() + 1):  # many thresholds are a coincidence of numbers, not a rule
        return np.zeros(len(values), dtype=np.int64)
    edges = np.unique((sorted_values[change] + sorted_values[change + 1]) / 2)
    return np.searchsorted(np.minimum(edges, np.finfo(np.float64).max), values, side="left").astype(np.int64)


def _numbers_told(column: Column, target: NDArray[np.float64]) -> float:
    """The correlation with the target where it is suspiciously high, else 0."""
    there = ~column.missing
    if there.mean() < 0.5 or there.sum() < FEWEST:
        return 0.0
    values, wanted = column.values[there], target[there]
    if column.kind == "category":
        half, rest = _halves(len(values))
        n = np.bincount(values[half], minlength=len(column.categories))
        sums = np.bincount(values[half], weights=wanted[half], minlength=len(column.categories))
        known = n[values[rest]] > 0
        if known.mean() < MET:
            return 0.0
        means = sums[values[rest]][known] / n[values[rest]][known]
        found = _correlation(means, wanted[rest][known])
    else:
        found = _correlation(values.astype(np.float64), wanted)
    return found if found > CORRELATION else 0.0


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """|Pearson's r|, 0 where one of them does not vary."""
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return abs(float((a * b).sum())) / size if size > 0 else 0.0
