"""Folds that do not leak: every picture is tested once, by a network that has not seen it, its group or its copies.

Pure functions of the Index's columns and a seed, like `splits`, which finds the groups and draws the validation part.
A fold is written '2/5': the second of five is the test part. 'all' is what comes after them: nothing is held out, but
for an official test part, which belongs to no fold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vistazo.engine.reports import number
from vistazo.errors import ConfigError, TooFewExamples
from vistazo.language import tr
from vistazo.pictures import splits
from vistazo.pictures.index import OUT, PARTS, TEST, TRAIN, VALIDATION, Index
from vistazo.pictures.splits import Assigned, tickets

__all__ = ["ALL", "Folds", "divide", "draw", "most_folds"]

Ints = NDArray[np.int64]
ALL = "all"


@dataclass(frozen=True, eq=False)
class Folds:
    """How pictures were dealt out. number: (rows,) the fold of each picture from 0, -1 outside; sentences tell how."""

    number: Ints
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Pool:
    """The Index with its groups, and the rows that folds are made of; unit: (rows,) what must stay together."""

    index: Index
    rows: Ints
    unit: Ints
    sentences: tuple[str, ...]


def draw(index: Index, *, folds: int, seed: int, group_by: str) -> Folds:
    """Deal out all pictures but those of an official test part, class by class, whole groups and copies together.

    - The folds hold equal numbers of pictures of each class, as nearly as its groups allow; where the groups of a
      class are as many as the folds, or more, every fold has it.
    - Of pictures with several labels, those with the rarest label are dealt out first (see `stratifying`); those
      without any are dealt out evenly too.
    - A picture that is byte-identical to one of an official test part is in no fold. An official validation part
      is dealt out with the rest.
    - The draw depends on names and seed alone, not on the order of the rows.
    Raises TooFewExamples where a class or label has fewer groups than there are folds, ConfigError where the source
    names all parts itself or `group_by` is bad.
    """
    if all((index.split == part).any() for part in PARTS):
        raise ConfigError(
            tr(
                "{source} names its training, validation and test parts itself, so there is nothing to fold: "
                "leave out --folds.",
                source=index.source,
            )
        )
    pool = _pool(index, group_by)
    holds = _membership(pool.index)[pool.rows]
    _require(pool, holds, folds)
    fold = np.full(len(index), -1)
    fold[pool.rows] = _deal(pool, holds, folds, seed)
    by_label: tuple[str, ...] = ()
    if index.labels is not None:
        _require_spread(pool, holds, fold[pool.rows], folds)
        by_label = (
            tr("Pictures were divided by their rarest label first, so that each part has every label."),
        )
    return Folds(
        fold,
        (
            *pool.sentences,
            *by_label,
            tr(
                "Folds: {folds} by class, seed {seed}, of {n} pictures; each picture is tested once.",
                folds=folds,
                seed=seed,
                n=number(len(pool.rows)),
            ),
        ),
    )


def divide(index: Index, *, fold: str, seed: int, group_by: str) -> Assigned:
    """The parts of a run whose test part is a fold ('2/5'); 'all' trains on the pictures of every fold.

    Validation is drawn from the rest as `splits.assign` draws it. With a fold, an official test part is left out
    ('out'); with 'all' it is the test part, and without one nothing is tested. Raises what `draw` and `assign` raise.
    """
    if fold == ALL:
        return _all(index, seed, group_by)
    at, folds = (int(part) for part in fold.split("/"))
    drawn = draw(index, folds=folds, seed=seed, group_by=group_by)
    pool = _pool(index, group_by)
    split = np.full(len(index), OUT, dtype="U10")
    split[pool.rows] = TRAIN
    split[drawn.number == at - 1] = TEST
    assigned = splits.assign(pool.index.replace(split=split), seed=seed, group_by="auto")
    told = tr(
        "Parts: fold {at} of {folds} is the test part; validation is drawn from the rest, by class, seed {seed}: "
        "{train} to train, {validation} to validate, {test} to test.",
        at=at,
        folds=folds,
        seed=seed,
        **{part: number(assigned.counts[part]) for part in PARTS},
    )
    return Assigned(assigned.index, (*drawn.sentences, told), assigned.counts)


def most_folds(index: Index) -> int:
    """How many folds the smallest class allows; parts and groups are those of an Index that was divided."""
    unit = splits.join_copies(index.group, index.hash)
    holds = _membership(index) & (index.split != OUT)[:, None]
    return min(len(np.unique(unit[holds[:, at]])) for at in range(len(index.classes)))


def _all(index: Index, seed: int, group_by: str) -> Assigned:
    pool = _pool(index, group_by)
    sentences = list(pool.sentences)
    split = np.full(len(index), OUT, dtype="U10")
    split[pool.rows] = TRAIN
    split[(index.split == TEST) & index.labelled] = TEST
    official = bool((split == TEST).any())
    assigned = splits.assign(pool.index.replace(split=split), seed=seed, group_by="auto")
    parts = assigned.index.split.copy()
    if official:
        shared = int(np.isin(pool.unit[pool.rows], pool.unit[split == TEST]).sum())
        if shared:
            sentences.append(
                tr(
                    "Your own parts share groups: {n} training pictures belong to things seen in validation "
                    "or test.",
                    n=shared,
                )
            )
    else:
        parts[parts == TEST] = TRAIN  # drawn, and not wanted: the folds have measured
    counts = {part: int((parts == part).sum()) for part in (*PARTS, OUT)}
    told = tr(
        "Parts: all pictures are learnt from; validation is drawn from them, by class, seed {seed}: "
        "{train} to train, {validation} to validate, {test} to test.",
        seed=seed,
        **{part: number(counts[part]) for part in PARTS},
    )
    return Assigned(assigned.index.replace(split=parts), (*sentences, told), counts)


def _pool(index: Index, group_by: str) -> _Pool:
    groups, rule = splits.find_groups(index, group_by=group_by)
    sentences = [rule]
    inside = (index.split != TEST) & (index.split != OUT) & index.labelled
    copies = inside & (index.hash != b"") & np.isin(index.hash, index.hash[index.split == TEST])
    if copies.any():
        sentences.append(
            tr(
                "Left out: {n} training pictures that are byte-identical to a test picture.",
                n=int(copies.sum()),
            )
        )
    if (index.split == VALIDATION).any():
        sentences.append(tr("The source's own validation part is dealt out with the rest."))
    rows = np.flatnonzero(inside & ~copies)
    return _Pool(index.replace(group=groups), rows, splits.join_copies(groups, index.hash), tuple(sentences))


def _membership(index: Index) -> NDArray[np.bool_]:
    """(rows, classes) which classes a picture shows, or which labels it has."""
    return np.stack([index.holds(at) for at in range(len(index.classes))], axis=1)


def _require(pool: _Pool, holds: NDArray[np.bool_], folds: int) -> None:
    """Raise TooFewExamples unless every class or label has as many units as there are folds."""
    unit = pool.unit[pool.rows]
    counts = [len(np.unique(unit[holds[:, at]])) for at in range(holds.shape[1])]
    smallest = int(np.argmin(counts))
    if counts[smallest] >= folds:
        return
    values = {"folds": folds, "name": pool.index.classes[smallest], "n": counts[smallest]}
    if pool.index.labels is not None:
        raise TooFewExamples(
            tr(
                "--folds {folds} needs {folds} pictures with every label that do not belong together, and '{name}' "
                "is on {n}: use fewer folds, add pictures, or leave out --folds.",
                **values,
            )
        )
    if counts[smallest] < 2:
        raise TooFewExamples(
            tr(
                "--folds {folds} needs {folds} pictures of every class that do not belong together, and "
                "'{name}' has {n}: add pictures, or leave out --folds.",
                **values,
            )
        )
    raise TooFewExamples(
        tr(
            "--folds {folds} needs {folds} pictures of every class that do not belong together, and '{name}' "
            "has {n}: use --folds {n} or fewer, or add pictures.",
            **values,
        )
    )


def _require_spread(pool: _Pool, holds: NDArray[np.bool_], fold: Ints, folds: int) -> None:
    """Raise TooFewExamples where a label came into one fold alone: without that one nothing could learn it."""
    for at, name in enumerate(pool.index.classes):
        if len(np.unique(fold[holds[:, at]])) < 2:
            raise TooFewExamples(
                tr(
                    "The pictures with the label '{name}' cannot be spread over {folds} folds, because each belongs "
                    "together with others: add pictures, or leave out --folds.",
                    name=name,
                    folds=folds,
                )
            )


def _deal(pool: _Pool, holds: NDArray[np.bool_], folds: int, seed: int) -> Ints:
    """(pool,) the fold of each row: unit by unit, each to the fold that has the least of its classes so far.

    Units of several classes come first, because they fit in fewest places, then the classes in order; within one,
    large units before small ones, equal ones in an order drawn from name and seed.
    Where pictures may have several labels, nearly all units would come first; then those with the rarest label do, each
    to the fold that has the least of that label. To have none counts as a label.
    """
    _, unit = np.unique(pool.unit[pool.rows], return_inverse=True)
    sizes = np.bincount(unit)
    labelled = pool.index.labels is not None
    if labelled:
        holds = np.column_stack([holds, ~holds.any(1)])
    has = np.zeros((len(sizes), holds.shape[1]), dtype=np.int64)
    np.add.at(has, unit, holds)
    drawn = tickets([pool.index.where[row] for row in pool.rows.tolist()], unit, f"folds {seed}")
    whole = has.sum(0)
    if labelled:
        kind = np.where(has > 0, whole, np.iinfo(np.int64).max).argmin(1)  # its rarest label
        order = np.lexsort((drawn, -sizes, kind, whole[kind]))
    else:
        kind = np.where((has > 0).sum(1) > 1, -1, has.argmax(1))
        order = np.lexsort((drawn, -sizes, kind))
    in_fold = [[0] * holds.shape[1] for _ in range(folds)]  # pictures of each class so far
    total = [0] * folds
    fold_of = np.zeros(len(sizes), dtype=np.int64)
    for one in order.tolist():
        mine = [(at, int(has[one, at])) for at in np.flatnonzero(has[one]).tolist()]
        crowded = [sum(row[at] * count / whole[at] for at, count in mine) for row in in_fold]
        first = [row[kind[one]] if labelled else 0 for row in in_fold]
        chosen = min(range(folds), key=lambda fold: (first[fold], crowded[fold], total[fold]))
        fold_of[one] = chosen
        total[chosen] += int(sizes[one])
        for at, count in mine:
            in_fold[chosen][at] += count
    return fold_of[unit]
