"""From a Grid to a Table, in two passes: the first gathers facts and decides, the second fills the columns.

Neither pass keeps the file's text, so ten million rows need little more than the columns they become.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.language import tr
from vistazo.tables.arrow import pa
from vistazo.tables.columns import Facts, Filling, Reading, clear_decimal, decide
from vistazo.tables.config import TableConfig
from vistazo.tables.grids import Grid, unique_names
from vistazo.tables.numbers import Decimal
from vistazo.tables.table import MOST_FAULTS, SetAside, Table, shortened
from vistazo.tables.texts import distinct

__all__ = ["assemble"]

_USUAL_TOTALS = 0.05  # a word in more rows than that is one of the column's values
_FEWEST_ROWS = 3  # beside the totals, for a category's last row to be taken for one

Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class _Survey:
    """What the first pass found.

    blank: (records,) bool.  totals: for each column, positions of the records it heads as a total.
    """

    facts: tuple[Facts, ...]
    blank: Bools
    totals: tuple[Rows, ...]


def assemble(grid: Grid, config: TableConfig) -> Table:
    """The table of a grid. Raises TooFewExamples where it has no row, and what its blocks and decisions raise."""
    survey = _survey(grid)
    if survey.blank.all():
        raise TooFewExamples(
            tr("{path} has no rows below its names. Add rows of data.", path=grid.path)
            if len(survey.blank) or any(grid.names)
            else tr("{path} is empty.", path=grid.path)
        )
    used = _columns_used(grid.names, survey.facts)
    names, changed = unique_names(grid.names[:used])
    decided = _decide(names, survey.facts[:used], config, grid.own_decimals)
    left_out = _total_rows(survey, decided)
    return _fill(grid, names, decided, survey, left_out, _notes(grid, survey, changed))


# ---------------------------------------------------------------- first pass
def _survey(grid: Grid) -> _Survey:
    facts = tuple(Facts() for _ in grid.names)
    blanks: list[Bools] = []
    totals: list[list[Rows]] = [[] for _ in grid.names]
    start = 0
    for block in grid.blocks():
        blank, heads = _survey_block(facts, block)
        blanks.append(blank)
        for column, rows in heads:
            totals[column].append(rows + start)
        start += len(blank)
    nothing = np.zeros(0, dtype=np.int64)
    return _Survey(
        facts,
        np.concatenate([np.zeros(0, dtype=bool), *blanks]),
        tuple(np.concatenate([nothing, *rows]) for rows in totals),
    )


def _survey_block(facts: Sequence[Facts], block: Sequence[Any]) -> tuple[Bools, list[tuple[int, Rows]]]:
    """(which records of a block are blank, for each column the records in which it is the total's head)."""
    size = len(block[0])
    blank = np.ones(size, dtype=bool)
    before = np.ones(size, dtype=bool)  # nothing but numbers to the left
    heads: list[tuple[int, Rows]] = []
    for at, cells in enumerate(block):
        if _is_typed(cells):
            seen = facts[at].add_typed(cells)
            blank &= seen.blank
            before &= seen.quiet
            continue
        texts, codes = distinct(cells)
        seen = facts[at].add(texts, np.bincount(codes, minlength=len(texts)))
        if seen.total.any():
            rows = np.flatnonzero(seen.total[codes] & before)
            heads.append((at, rows))
        if seen.blank.any():
            blank &= seen.blank[codes]
        else:
            blank[:] = False
        if not seen.quiet.all():
            before &= seen.quiet[codes]
    return blank, heads


def _is_typed(cells: Any) -> bool:
    return bool(pa.types.is_floating(cells.type) or pa.types.is_timestamp(cells.type))


# ---------------------------------------------------------------- decisions
def _columns_used(names: Sequence[str], facts: Sequence[Facts]) -> int:
    """How many columns there are without those at the end that have neither name nor cell."""
    used = len(names)
    while used > 1 and not names[used - 1].strip() and not facts[used - 1].there + facts[used - 1].totals:
        used -= 1
    return used


def _decide(
    names: Sequence[str], facts: Sequence[Facts], config: TableConfig, own_decimals: bool
) -> list[Reading]:
    signs = {_clear(column, config) for column in facts} - {None} if own_decimals else set()
    elsewhere = signs.pop() if len(signs) == 1 else None
    return [decide(name, column, config, elsewhere) for name, column in zip(names, facts, strict=True)]


def _clear(facts: Facts, config: TableConfig) -> Decimal | None:
    numbers = max(facts.point, facts.comma)
    return clear_decimal(facts, config) if not facts.kind and numbers and facts.mostly(numbers) else None


def _total_rows(survey: _Survey, decided: Sequence[Reading]) -> Rows:
    """Positions of the records that sum up others, rising."""
    filled = np.flatnonzero(~survey.blank)
    found = [
        rows
        for rows, reading in zip(survey.totals, decided, strict=False)
        if len(rows) and (reading.kind in ("date", "number") or _close_the_table(rows, filled))
    ]
    return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *found]))


def _close_the_table(rows: Rows, filled: Rows) -> bool:
    """Whether a category's totals are the last rows and nowhere else, and too few to be one of its values."""
    few = len(rows) == 1 or len(rows) <= _USUAL_TOTALS * len(filled)
    return few and len(filled) - len(rows) >= _FEWEST_ROWS and bool((filled[-len(rows) :] == rows).all())


# ---------------------------------------------------------------- second pass
def _fill(
    grid: Grid,
    names: Sequence[str],
    decided: Sequence[Reading],
    survey: _Survey,
    left_out: Rows,
    notes: tuple[str, ...],
) -> Table:
    keep = ~survey.blank
    keep[left_out] = False
    numbers = _row_numbers(grid, len(keep))
    rows = numbers[keep]
    fillings = [Filling(name, reading, len(rows)) for name, reading in zip(names, decided, strict=True)]
    aside = [*grid.set_aside]
    start = 0
    for block in grid.blocks():
        here = slice(start, start + len(block[0]))
        if here.stop > len(keep):
            raise _changed(grid)
        _fill_block(fillings, block, keep[here], numbers[here])
        low, high = np.searchsorted(left_out, [here.start, here.stop])
        for row in left_out[low:high].tolist():
            aside.append(SetAside(int(numbers[row]), _row_text(block, row - start), tr("a row of totals")))
        start = here.stop
    if start < len(keep):
        raise _changed(grid)
    if not len(rows):
        raise TooFewExamples(tr("{path} has no rows below its names. Add rows of data.", path=grid.path))
    faults = sorted((fault for filling in fillings for fault in filling.faults), key=lambda fault: fault.row)
    return Table(
        tuple(filling.finished() for filling in fillings),
        rows,
        tuple(faults[:MOST_FAULTS]),
        tuple(sorted([*aside, *grid.ragged], key=lambda row: row.row)),
        notes,
        {filling.name: filling.fault_count for filling in fillings if filling.fault_count},
    )


def _changed(grid: Grid) -> SourceDamaged:
    return SourceDamaged(
        tr("{path} changed while it was read. Wait until it is written, then start again.", path=grid.path)
    )


def _fill_block(fillings: Sequence[Filling], block: Sequence[Any], keep: Bools, numbers: Rows) -> None:
    whole = bool(keep.all())
    rows = numbers if whole else numbers[keep]
    for filling, cells in zip(fillings, block, strict=False):  # columns dropped at the end are not filled
        if _is_typed(cells):
            filling.add_typed(cells if whole else cells.filter(pa.array(keep)), rows)
        else:
            texts, codes = distinct(cells)
            filling.add(texts, codes if whole else codes[keep], rows)


def _row_numbers(grid: Grid, records: int) -> Rows:
    """Each record's row in the file, (records,): consecutive but for the ragged rows between them."""
    at = np.arange(records, dtype=np.int64)
    ragged = np.array([row.row for row in grid.ragged], dtype=np.int64) - grid.first_row
    gaps = ragged - np.arange(len(ragged))
    return grid.first_row + at + np.searchsorted(gaps, at, side="right")


def _row_text(block: Sequence[Any], row: int) -> str:
    cells = (cells[row].as_py() for cells in block)
    return shortened(" ".join(str(cell) for cell in cells if cell not in (None, "")))


def _notes(grid: Grid, survey: _Survey, changed: Sequence[str]) -> tuple[str, ...]:
    notes = [*grid.notes]
    if changed and any(grid.names):
        notes.append(
            tr(
                "Columns without a name, or with one that another has, are called {names}.",
                names=shortened(", ".join(changed)),
            )
        )
    if blank := int(survey.blank.sum()):
        notes.append(tr("Blank rows skipped: {n}.", n=blank))
    return tuple(notes)
