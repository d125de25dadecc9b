"""A table becomes Rows: what is learnt, from which columns, and which part each row belongs to. NumPy only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.language import tr
from vistazo.tables.config import names_in
from vistazo.tables.table import Column, Table
from vistazo.tabular import splits
from vistazo.tabular.columns import Finding, Roles, Target, part_of, roles, target_column, target_of
from vistazo.tabular.config import TabularConfig
from vistazo.tabular.suspects import find_suspects

__all__ = ["Rows", "read_rows"]

MOST_NAMED = 20  # rows set aside that are named one by one
MOST_CLASSES = 1000


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that have a target, ready to be learnt from.

    table: the input columns. target: (rows,) int64 class numbers or float64. classes: () for numbers.
    parts: (rows,) 'train', 'validation', 'test' or 'out'. groups: (rows,) int64, equal where rows stay together.
    hashes: (rows,) S32 of inputs and target. warnings: the
    sentences that a person must not miss. aside: rows of the file that are not here, each with a reason.
    """

    table: Table
    target_name: str
    target: NDArray[np.int64] | NDArray[np.float64]
    classes: tuple[str, ...]
    parts: NDArray[np.str_]
    groups: NDArray[np.int64]
    hashes: NDArray[np.bytes_]
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    aside: tuple[tuple[int, str], ...]
    fingerprint: str

    def __post_init__(self) -> None:
        for name in ("target", "parts", "groups", "hashes"):
            if len(getattr(self, name)) != len(self.table):
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {len(self.table)} rows")

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, part: str) -> NDArray[np.int64]:
        """The positions of one part's rows, ascending."""
        return np.flatnonzero(self.parts == part)

    def counts(self) -> dict[str, int]:
        """Rows in each part."""
        return {part: len(self.rows(part)) for part in (*splits.PARTS, splits.OUT)}


def read_rows(table: Table, config: TabularConfig) -> Rows:
    """The rows of a table, divided, with all that a person should know about it.

    Raises ConfigError for settings that do not fit the table, SourceDamaged and TooFewExamples where it cannot be
    learnt from.
    """
    target = target_of(table, config)
    used = roles(table, target.name, config)
    fingerprint = table.fingerprint()
    sentences = [*table.notes, target.sentence, *used.sentences]
    missing = target.missing
    aside = [(row.row, row.reason) for row in table.set_aside]
    if missing.any():
        reason = tr("it has no '{name}'", name=target.name)
        aside += [(int(row), reason) for row in table.rows[missing]]
        first = ", ".join(str(row) for row in table.rows[missing][:MOST_NAMED].tolist())
        more = tr(" and more") if missing.sum() > MOST_NAMED else ""
        sentences.append(
            tr(
                "left out: {n} rows without a '{name}' (rows {rows}{more})",
                n=int(missing.sum()),
                name=target.name,
                rows=first,
                more=more,
            )
        )
    table, values = table.take(~missing), target.values[~missing]
    for name in used.inputs:
        _require_finite(table.column(name), table)
    if target.classes:
        _require_classes(target, values)
    else:
        _require_numbers(target.name, values, table)
    inputs = [table.column(name) for name in used.inputs]
    if not inputs:
        raise _no_input(table, target.name, used)
    learnt = target_column(target.name, target.classes, values)
    hashes = splits.row_hashes([*inputs, learnt])
    divided, groups = _divide(table, used, [*inputs, learnt], values, hashes, config)
    train = np.flatnonzero(divided.parts == "train")
    _require_learnable(target, values[train])
    suspects = find_suspects([c.take(train) for c in inputs], values[train])
    kept = {table.column(name).name for name in names_in(config.keep_columns)}
    out, told = _judge(suspects, kept, used.inputs)
    names = [name for name in used.inputs if name not in out]
    return Rows(
        table=Table(tuple(table.column(name) for name in names), table.rows),
        target_name=target.name,
        target=values,
        classes=target.classes,
        parts=divided.parts,
        groups=groups,
        hashes=splits.row_hashes([*(table.column(name) for name in names), learnt]) if out else hashes,
        sentences=(*sentences, *told, *divided.sentences),
        warnings=tuple(told),
        findings=(*used.findings, *suspects),
        aside=tuple(aside),
        fingerprint=fingerprint,
    )


def _divide(
    table: Table,
    used: Roles,
    columns: list[Column],
    values: NDArray[Any],
    hashes: NDArray[np.bytes_],
    config: TabularConfig,
) -> tuple[splits.Divided, NDArray[np.int64]]:
    """The part of each row, and which rows stay together."""
    same, told = splits.copies(columns, hashes)
    groups = np.arange(len(table), dtype=np.int64)
    if used.group:
        cells = np.array(table.column(used.group).texts(), dtype=object)
        names, codes = np.unique(cells.astype(str), return_inverse=True)
        empty = codes == np.flatnonzero(names == "")[0] if "" in names else np.zeros(len(codes), dtype=bool)
        groups = np.where(empty, len(names) + groups, codes)  # rows without a group stand alone
    units = splits.join(groups, same)
    strata = splits.strata_of(values)
    common: Mapping[str, Any] = {"validation": config.validation_share, "seed": config.seed}
    if used.part:
        divided = splits.keep_to_named(
            part_of(table.column(used.part)), units, name=used.part, strata=strata, **common
        )
    elif used.order:
        column = table.column(used.order)
        order = column.values.astype(np.float64)
        order[column.missing] = np.nan
        divided = splits.by_order(
            order, test=config.test_share, validation=config.validation_share, name=used.order
        )
        told = ""
    else:
        divided = splits.divide(groups, same, strata, test=config.test_share, named=used.group, **common)
    sentences = (told, *divided.sentences) if told else divided.sentences
    return splits.Divided(divided.parts, sentences), units


def _judge(
    suspects: tuple[Finding, ...], kept: set[str], inputs: tuple[str, ...]
) -> tuple[set[str], list[str]]:
    """(the suspects that are not learnt from, what is said of them)."""
    out = {one.column for one in suspects} - kept
    told = []
    if out and len(out) == len(inputs):  # nothing else to learn from: perhaps it is a law and not a leak
        names = ", ".join(sorted(out))
        told.append(
            tr(
                "SUSPECT: each of {names} alone gives the target away; all are learnt from, because there is no "
                "other column.",
                names=names,
            )
        )
        return set(), told
    for one in suspects:
        if one.column in out:
            told.append(
                tr(
                    "SUSPECT, left out: '{name}' alone gives the target away ({detail}). If it is known before the "
                    "answer is, add: --keep-columns {name}",
                    name=one.column,
                    detail=one.detail,
                )
            )
        else:
            told.append(
                tr(
                    "SUSPECT, kept as asked: '{name}' alone gives the target away ({detail}). To learn without it: "
                    "--leave-out {name}",
                    name=one.column,
                    detail=one.detail,
                )
            )
    return out, told


# ---------------------------------------------------------------- what cannot be learnt from
def _no_input(table: Table, target: str, used: Roles) -> Exception:
    reasons = ", ".join(f"{one.column} ({one.detail})" for one in used.findings)
    if reasons:
        return SourceDamaged(
            tr(
                "No column is left to learn '{target}' from: {reasons}. Add columns, or keep one with --keep-columns.",
                target=target,
                reasons=reasons,
            )
        )
    return SourceDamaged(
        tr(
            "No column is left to learn '{target}' from; those of --group and --order-by count as left out. Add "
            "columns, or keep one with --keep-columns.",
            target=target,
        )
    )


def _require_finite(column: Column, table: Table) -> None:
    if column.kind != "number":
        return
    wrong = np.isinf(column.values)
    if wrong.any():
        raise SourceDamaged(
            tr(
                "Column '{name}' holds infinity in row {row} ({n} such cells). Leave those cells empty, or leave the "
                "column out with --leave-out.",
                name=column.name,
                row=int(table.rows[wrong][0]),
                n=int(wrong.sum()),
            )
        )


def _require_classes(target: Target, values: NDArray[Any]) -> None:
    counts = np.bincount(values, minlength=len(target.classes))
    if (counts > 0).sum() < 2:
        raise TooFewExamples(
            tr(
                "The target '{name}' has one class only ('{only}'). Learning needs at least two.",
                name=target.name,
                only=target.classes[int(counts.argmax())],
            )
        )
    if len(counts) > MOST_CLASSES or (len(counts) > 50 and len(counts) > len(values) / 2):
        raise SourceDamaged(
            tr(
                "The target '{name}' has {n} classes in {rows} rows. Join rare ones, or learn it as a number with "
                "--kind regression if it is one.",
                name=target.name,
                n=len(counts),
                rows=len(values),
            )
        )
    if len(values) < splits.FEWEST:
        return
    rare = [name for name, n in zip(target.classes, counts, strict=True) if n == 1]
    if rare:
        raise TooFewExamples(
            tr(
                "These classes of '{name}' have one row only: {classes}. Add rows, join or remove the classes, or "
                "learn a number with --kind regression.",
                name=target.name,
                classes=", ".join(rare[:20]),
            )
        )


def _require_numbers(name: str, values: NDArray[Any], table: Table) -> None:
    wrong = np.isinf(values)
    if wrong.any():
        raise SourceDamaged(
            tr(
                "The target '{name}' is infinite in row {row}. Correct or remove that row.",
                name=name,
                row=int(table.rows[wrong][0]),
            )
        )
    if values.min() == values.max():
        raise TooFewExamples(
            tr(
                "The target '{name}' is {value} in every row, so there is nothing to learn. Name another column.",
                name=name,
                value=float(values[0]),
            )
        )


def _require_learnable(target: Target, values: NDArray[Any]) -> None:
    """Raise where the training part cannot teach what the target is."""
    if target.classes:
        absent = [name for at, name in enumerate(target.classes) if not (values == at).any()]
        if absent:
            raise TooFewExamples(
                tr(
                    "No row of the training part has these classes of '{name}': {classes}. Add rows, or change how "
                    "the rows are parted.",
                    name=target.name,
                    classes=", ".join(absent[:20]),
                )
            )
    elif len(values) < 2 or values.min() == values.max():
        raise TooFewExamples(
            tr(
                "The training part has one value only of '{name}'. Add rows, or change how the rows are parted.",
                name=target.name,
            )
        )
