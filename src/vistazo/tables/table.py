"""The Table: what a file holds, as named columns of equal length. NumPy only.

A column is one of four kinds, each with one way to say that a cell is missing: numbers (NaN), dates (NaT),
categories (code -1) and empty columns (all -1).
"""

import dataclasses
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.registry import nearest

__all__ = [
    "MOST_FAULTS",
    "Column",
    "Fault",
    "Kind",
    "SetAside",
    "Table",
    "natural_order",
    "plain",
    "shortened",
]

Kind = Literal["number", "date", "category", "empty"]

MOST_FAULTS = 1000  # kept by name; the others are counted
_LONGEST = 80  # signs of a cell that is shown
_DTYPES = {"number": "float64", "date": "datetime64[s]", "category": "int32", "empty": "int32"}


def plain(text: str) -> str:
    """`text` trimmed, in lower case and without accents, to compare what people type."""
    bare = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(sign for sign in bare if not unicodedata.combining(sign))


def shortened(text: str) -> str:
    """At most 80 characters of a text, on one line."""
    line = " ".join(text.replace("\0", "").split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def natural_order(texts: list[str]) -> list[int]:
    """Positions of `texts` in the order a person expects: item 2 before item 10, upper case beside lower."""

    def key(at: int) -> tuple[list[tuple[int, int, str]], str]:
        parts = re.findall(r"[0-9]+|[^0-9]+", texts[at])
        # a digit run of thousands of digits is no number a person counts with, and int() refuses it
        signs = [
            (0, int(part), "") if part[0] in "0123456789" and len(part) < 20 else (1, 0, part.casefold())
            for part in parts
        ]
        return signs, texts[at]

    return sorted(range(len(texts)), key=key)


@dataclass(frozen=True)
class Fault:
    """One cell that could not be understood and became missing.

    row: its row as a spreadsheet shows it, the header being row 1.  text: what stands there.
    """

    row: int
    column: str
    text: str
    reason: str


@dataclass(frozen=True)
class SetAside:
    """One whole row that was left out: a total, or a row with too many or too few cells."""

    row: int
    text: str
    reason: str


@dataclass(frozen=True)
class Column:
    """One column of a table.

    values: (rows,) float64, datetime64[s] (UTC or the wall clock of the file) or int32 codes into `categories`.
    categories: every category once, in natural order; empty for the other kinds.
    reading: how the cells were understood, in the user's language, such as 'day/month/year'; may be ''.
    """

    name: str
    kind: Kind
    values: NDArray[Any]
    categories: tuple[str, ...] = ()
    reading: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _DTYPES:
            raise ValueError(f"a column's kind is one of {', '.join(_DTYPES)}, not {self.kind!r}")
        if self.values.ndim != 1 or self.values.dtype != np.dtype(_DTYPES[self.kind]):
            raise ValueError(
                f"values of a {self.kind} column are (rows,) {_DTYPES[self.kind]}, "
                f"not {self.values.shape} {self.values.dtype}"
            )
        if self.kind != "category" and self.categories:
            raise ValueError(f"a {self.kind} column has no categories")
        if self.kind in ("category", "empty") and len(self.values):
            low, high = int(self.values.min()), int(self.values.max())
            if low < -1 or high >= len(self.categories):
                raise ValueError(f"codes must lie in -1 ... {len(self.categories) - 1}, not {low} ... {high}")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"column {self.name!r} names a category twice")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(rows,) True where the cell holds nothing."""
        if self.kind == "number":
            return np.asarray(np.isnan(self.values))
        if self.kind == "date":
            return np.asarray(np.isnat(self.values))
        return np.asarray(self.values < 0)

    def take(self, rows: NDArray[Any]) -> Self:
        """The column of these rows (positions or a mask), in this order, with the same categories."""
        return dataclasses.replace(self, values=self.values[rows])

    def texts(self) -> list[str]:
        """Each cell as a person writes it; '' where it is missing."""
        if self.kind == "number":
            return ["" if value != value else _number_text(value) for value in self.values.tolist()]
        if self.kind == "date":
            return self._date_texts()
        names = (*self.categories, "")  # code -1 is the last
        return [names[code] for code in self.values.tolist()]

    def _date_texts(self) -> list[str]:
        there = self.values[~self.missing]
        whole_days = bool((there == there.astype("datetime64[D]")).all())
        texts = np.datetime_as_string(self.values, unit="D" if whole_days else "s").tolist()
        return ["" if text == "NaT" else text.replace("T", " ") for text in texts]


def _number_text(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


@dataclass(frozen=True)
class Table:
    """Columns of equal length, and how they were read.

    rows: (rows,) int64, each row's number in the file as a spreadsheet shows it.
    faults: the first 1,000 cells that were not understood; `fault_count` counts them all, by column.
    set_aside: whole rows left out.  notes: sentences to be printed.
    """

    columns: tuple[Column, ...]
    rows: NDArray[np.int64]
    faults: tuple[Fault, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()
    fault_count: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("a table has at least one column")
        if self.rows.ndim != 1 or self.rows.dtype != np.int64:
            raise ValueError(f"rows is (rows,) int64, not {self.rows.shape} {self.rows.dtype}")
        for column in self.columns:
            if len(column) != len(self.rows):
                raise ValueError(f"column {column.name!r} has {len(column)} cells for {len(self.rows)} rows")
        if len(set(self.names)) < len(self.columns):
            raise ValueError("two columns have the same name")
        if len(self.faults) > MOST_FAULTS:
            raise ValueError(f"at most {MOST_FAULTS} faults are kept by name, not {len(self.faults)}")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the order of the file."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name, of that name but for case and accents, or of that number (from 1).

        Raises ConfigError with the nearest name and the list.
        """
        for same in (str, str.strip, plain):
            for column in self.columns:
                if same(column.name) == same(name):
                    return column
        if name.strip().isascii() and name.strip().isdigit() and len(name) < 10:
            at = int(name) - 1
            if 0 <= at < len(self.columns):
                return self.columns[at]
        raise ConfigError(self._unknown(name))

    def _unknown(self, name: str) -> str:
        names = ", ".join(self.names)
        near = nearest(plain(name), [plain(known) for known in self.names])
        if near:
            known = next(known for known in self.names if plain(known) == near)
            return tr(
                "The table has no column '{name}'. Did you mean '{near}'? Its columns: {names}.",
                name=name,
                near=known,
                names=names,
            )
        return tr("The table has no column '{name}'. Its columns: {names}.", name=name, names=names)

    def take(self, rows: NDArray[Any]) -> Self:
        """The table of these rows (positions or a mask), in this order; faults and notes stay with it."""
        columns = tuple(column.take(rows) for column in self.columns)
        return dataclasses.replace(self, columns=columns, rows=self.rows[rows])

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the names, kinds and values: the same on every machine."""
        digest = hashlib.sha256()
        for column in self.columns:
            head = [column.name, column.kind, len(column), list(column.categories)]
            digest.update(json.dumps(head).encode("ascii"))
            values = column.values
            if column.kind == "number":  # NaN has many bit patterns and zero has two
                values = np.where(np.isnan(values), np.nan, values + 0.0)
            digest.update(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes())
        return digest.hexdigest()
