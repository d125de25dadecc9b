"""The way in: a file of any kind becomes a Table, or one sentence says why it cannot.

read_table → a Grid of cells (csv_files, excel, parquet) → assembling: facts, decisions, columns
"""

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vistazo import platform
from vistazo.errors import SourceDamaged, SourceMissing, TooFewExamples
from vistazo.language import mark, reason_of_system, tr
from vistazo.tables.config import TableConfig
from vistazo.tables.table import Column, Table

if TYPE_CHECKING:
    from vistazo.tables.grids import Grid

__all__ = ["is_table", "read_table", "settled"]

_TEXTS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_BOOKS = (".xlsx", ".xlsm")
_OLD_BOOKS = (".xls", ".xlsb", ".ods")
# What a column's `reading` says, in the words of tables/columns.py.
_SHOWN = {
    "decimal": {"point": mark("decimal point"), "comma": mark("decimal comma")},
    "date_order": {
        "dmy": mark("day/month/year"),
        "mdy": mark("month/day/year"),
        "ymd": mark("year-month-day"),
    },
}


def is_table(path: Path) -> bool:
    """Whether a file is named like a table that `read_table` reads."""
    return path.name.lower().endswith((*_TEXTS, *_BOOKS, ".parquet"))


def read_table(path: Path, config: TableConfig) -> Table:
    """The table in a CSV, Excel or Parquet file; CSV may be packed with gzip.

    Raises SourceMissing, SourceDamaged, TooFewExamples, MissingExtra (Excel), and ReadTwoWays where a column has two
    meanings and a setting has to say which.
    """
    path = platform.existing(path)
    _check(path)
    # pyarrow is imported with the first table and not with the name of this module
    from vistazo.tables.assembling import assemble

    try:
        return assemble(_grid(path, config), config)
    except OSError as error:
        raise _unreadable(path, error) from None


def settled(config: TableConfig, columns: Sequence[Column]) -> TableConfig:
    """The reading settings with what these columns of a file showed in place of `auto`.

    A row to answer may hold 03/04/2024 and nothing else, where the training file told day from month. A setting stays
    at `auto` where no column showed it, or two showed it differently.
    """
    found: dict[str, str] = {}
    for name, words in _SHOWN.items():
        said = {
            choice
            for column in columns
            for choice, word in words.items()
            if tr(word) in column.reading.split(", ")
        }
        if getattr(config, name) == "auto" and len(said) == 1:
            found[name] = said.pop()
    return config.model_copy(update=found)


def _grid(path: Path, config: TableConfig) -> "Grid":
    name = path.name.lower()
    if name.endswith(".parquet"):
        from vistazo.tables.parquet import parquet_grid

        return parquet_grid(path)
    if name.endswith(_BOOKS):
        from vistazo.tables.excel import excel_grid

        return excel_grid(path, config)
    from vistazo.tables.csv_files import csv_grid

    return csv_grid(path, config)


def _check(path: Path) -> None:
    """Raise what keeps a path from being a table's file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise SourceMissing(tr("{path} does not exist. Check the path.", path=path)) from None
    except (OSError, ValueError) as error:  # a name that is too long or holds a NUL
        raise _unreadable(path, error) from None
    if stat.S_ISDIR(found.st_mode):
        raise SourceDamaged(
            tr("{path} is a folder. Give the table's file: CSV, Excel (.xlsx) or Parquet.", path=path)
        )
    if not stat.S_ISREG(found.st_mode):
        raise SourceDamaged(
            tr("{path} is no ordinary file. Give a CSV, Excel (.xlsx) or Parquet file.", path=path)
        )
    if path.name.lower().endswith(_OLD_BOOKS):
        raise SourceDamaged(tr("{path} is of a kind that is not read. Save it as .xlsx or CSV.", path=path))
    if not found.st_size:
        raise TooFewExamples(tr("{path} is empty.", path=path))


def _unreadable(path: Path, error: Exception) -> SourceDamaged:
    return SourceDamaged(
        tr(
            "{path} cannot be read ({reason}). Check its name and permissions.",
            path=path,
            reason=reason_of_system(error),
        )
    )
