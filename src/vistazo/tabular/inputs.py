"""From a table's columns to what a network takes, fitted on training rows alone. NumPy only.

A column of numbers becomes one scaled number, and a sign that it is missing where that happened in training; a date
becomes its scaled day and the codes of its month and weekday; a category becomes a code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vistazo.tables.config import TableConfig
from vistazo.tables.preparing import Categories, Scaler, scalers
from vistazo.tables.table import Column, Kind, Table, plain

__all__ = [
    "AS_WRITTEN",
    "REACH",
    "Encoded",
    "Encoder",
    "Feature",
    "as_kind",
    "infinite_rows",
    "with_truth_as",
]

AS_WRITTEN = TableConfig(decimal="point", date_order="ymd")  # cells as this program writes them

REACH = 4.0  # spreads a number may lie from the centre: beyond it an error would drive the whole answer
_TRUTH = {
    "true": True,
    "verdadero": True,
    "false": False,
    "falso": False,
}  # spreadsheets write it in their language
_WEEKDAY_0 = 3  # 1970-01-01 was a Thursday
_MONTHS, _WEEKDAYS = 13, 8  # with 0 for a missing date


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows as a network takes them. numbers: float32 (rows, numbers). codes: int64 (rows, codes), each from 0."""

    numbers: NDArray[np.float32]
    codes: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.numbers.ndim != 2 or self.codes.ndim != 2 or len(self.numbers) != len(self.codes):
            raise ValueError(f"{self.numbers.shape} numbers and {self.codes.shape} codes are no rows")

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[Any]) -> "Encoded":
        """These rows (positions or a mask), in this order."""
        return Encoded(self.numbers[rows], self.codes[rows])


@dataclass(frozen=True)
class Feature:
    """How one column is encoded.

    scaler: of a number's values or of a date's days. categories: of a category. sign: whether a missing number has a
    sign of its own. low, high: the range that training saw, for dates in days since 1970; None for categories.
    """

    name: str
    kind: Kind
    scaler: Scaler | None
    categories: Categories | None
    sign: bool
    low: float | None
    high: float | None

    @property
    def numbers(self) -> int:
        """How many numbers the column becomes."""
        return 0 if self.kind == "category" else 1 + self.sign

    @property
    def codes(self) -> tuple[int, ...]:
        """How many values each code that the column becomes can have."""
        if self.kind == "date":
            return (_MONTHS, _WEEKDAYS)
        return (self.categories.size,) if self.categories else ()

    @classmethod
    def fit(cls, column: Column, scaler: str) -> Self:
        """The feature of a column's training rows."""
        if column.kind in ("category", "empty"):
            known = Categories.fit(column.values, column.categories, least=_least(len(column)))
            return cls(column.name, "category", None, known, False, None, None)
        values = _numbers(column)
        there = values[~np.isnan(values)]
        low, high = (float(there.min()), float(there.max())) if len(there) else (None, None)
        sign = bool(np.isnan(values).any()) and len(there) > 0
        return cls(column.name, column.kind, scalers[scaler](values), None, sign, low, high)

    def encode(self, column: Column) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """((rows, numbers) float32, (rows, codes) int64) of a column of any kind, read as this feature's kind."""
        rows = len(column)
        if self.categories is not None:
            column = with_truth_as(self.categories.names, column)
            codes = (
                self.categories.encode(column.values, column.categories)
                if column.kind in ("category", "empty")
                else self.categories.encode_texts(column.texts())
            )
            return np.zeros((rows, 0), dtype=np.float32), codes[:, None]
        assert self.scaler is not None
        values = _numbers(as_kind(column, self.kind, AS_WRITTEN))
        missing = np.isnan(values)
        scaled = self.scaler.transform(values)
        if self.scaler.kind != "none":
            scaled = np.clip(scaled, -REACH, REACH)
        numbers = np.where(missing, 0.0, scaled)[:, None]
        if self.sign:
            numbers = np.concatenate([numbers, missing[:, None]], axis=1)
        if self.kind != "date":
            return numbers.astype(np.float32), np.zeros((rows, 0), dtype=np.int64)
        return numbers.astype(np.float32), _calendar(values, missing)

    def cells(self, column: Column) -> NDArray[Any]:
        """What an exported graph takes of a column: (rows,) float64, NaN missing, or texts as objects, '' missing.

        Numbers are in the column's unit, dates are days since 1970-01-01.
        """
        if self.categories is not None:
            return np.array(with_truth_as(self.categories.names, column).texts(), dtype=object)
        return _numbers(as_kind(column, self.kind, AS_WRITTEN))

    def to_json(self) -> dict[str, Any]:
        """The feature as JSON values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "scaler": self.scaler.to_json() if self.scaler else None,
            "categories": self.categories.to_json() if self.categories else None,
            "sign": self.sign,
            "low": self.low,
            "high": self.high,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The feature that `to_json` wrote. Raises ValueError, KeyError or TypeError where it is none."""
        kind = values["kind"]
        if kind not in ("number", "date", "category") or not isinstance(values["name"], str):
            raise ValueError(f"{kind!r} is no kind of feature")
        scaler = Scaler.from_json(values["scaler"]) if values["scaler"] else None
        categories = Categories.from_json(values["categories"]) if values["categories"] else None
        if (categories is None) == (kind == "category") or (scaler is None) == (kind != "category"):
            raise ValueError(f"feature {values['name']!r} does not hold together")
        low, high = (None if values[name] is None else float(values[name]) for name in ("low", "high"))
        return cls(values["name"], kind, scaler, categories, bool(values["sign"]), low, high)


@dataclass(frozen=True)
class Encoder:
    """How the columns of a table are encoded, in their order."""

    features: tuple[Feature, ...]

    @classmethod
    def fit(cls, table: Table, scaler: str) -> Self:
        """The encoder of a table's rows: those of the training part."""
        return cls(tuple(Feature.fit(column, scaler) for column in table.columns))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(one.name for one in self.features)

    @property
    def numbers(self) -> int:
        """Numbers a row."""
        return sum(one.numbers for one in self.features)

    @property
    def codes(self) -> tuple[int, ...]:
        """How many values each code of a row can have."""
        return tuple(size for one in self.features for size in one.codes)

    def places(self) -> list[tuple[slice, slice]]:
        """For each column, where its numbers and its codes stand."""
        found, number, code = [], 0, 0
        for one in self.features:
            found.append((slice(number, number + one.numbers), slice(code, code + len(one.codes))))
            number, code = number + one.numbers, code + len(one.codes)
        return found

    def encode(self, table: Table) -> Encoded:
        """The rows of a table that has every column, by name; further columns are not looked at."""
        columns = {column.name: column for column in table.columns}
        both = [one.encode(columns[one.name]) for one in self.features]
        return Encoded(
            np.concatenate([numbers for numbers, _ in both], axis=1),
            np.concatenate([codes for _, codes in both], axis=1),
        )

    def as_fitted(self, table: Table) -> list[Column]:
        """The columns of such a table as the kinds they had in training, so that equal rows of two files are equal."""
        return [
            as_kind(column, one.kind, AS_WRITTEN)
            for column, one in zip(table.columns, self.features, strict=True)
        ]

    def unknown(self, encoded: Encoded) -> list[tuple[str, ...]]:
        """For each row, the columns whose category training did not know."""
        found: list[tuple[str, ...]] = [()] * len(encoded)
        for one, (_, codes) in zip(self.features, self.places(), strict=True):
            if one.categories is not None:
                for row in np.flatnonzero(encoded.codes[:, codes.start] == 0).tolist():
                    found[row] = (*found[row], one.name)
        return found

    def to_json(self) -> list[dict[str, Any]]:
        """The encoder as JSON values."""
        return [one.to_json() for one in self.features]

    @classmethod
    def from_json(cls, values: Sequence[Mapping[str, Any]]) -> Self:
        """The encoder that `to_json` wrote. Raises ValueError, KeyError or TypeError where it is none."""
        found = cls(tuple(Feature.from_json(one) for one in values))
        if not found.features or len(set(found.names)) < len(found.features):
            raise ValueError("an encoder has columns, each once")
        return found


def as_kind(column: Column, kind: Kind, reading: TableConfig) -> Column:
    """The same cells read as another kind; what is none becomes missing. A file may hold too few to tell.

    reading: which decimal sign and which order of dates to try first.
    """
    if column.kind == kind or (kind == "category" and column.kind == "empty"):
        return column
    if kind == "category":
        names, codes = np.unique(np.array(column.texts(), dtype=str), return_inverse=True)
        there = tuple(str(name) for name in names if name)
        shifted = codes - (len(names) - len(there))  # '' comes first and means missing
        return Column(column.name, "category", shifted.astype(np.int32), there)
    values: NDArray[Any] = (
        np.full(len(column), np.nan)
        if kind == "number"
        else np.full(len(column), "NaT", dtype="datetime64[s]")
    )
    if column.kind == "category" and column.categories:
        names_read = _numbers_of(column, reading) if kind == "number" else _dates_of(column, reading)
        there_at = column.values >= 0
        values[there_at] = names_read[column.values[there_at]]
    return Column(column.name, kind, values)


def _numbers_of(column: Column, reading: TableConfig) -> NDArray[Any]:
    from vistazo.tables.arrow import pa
    from vistazo.tables.numbers import parse_numbers

    texts = pa.array(column.categories, pa.string())
    point, comma = parse_numbers(texts, "point"), parse_numbers(texts, "comma")
    first, second = (comma, point) if reading.decimal == "comma" else (point, comma)
    return np.where(np.isnan(first), second, first)


def _dates_of(column: Column, reading: TableConfig) -> NDArray[Any]:
    from vistazo.tables.arrow import pa
    from vistazo.tables.dates import DateOrder, parse_dates

    orders: dict[str, tuple[DateOrder, ...]] = {"dmy": ("dmy",), "mdy": ("mdy",)}
    found = np.full(len(column.categories), "NaT", dtype="datetime64[s]")
    texts = pa.array(column.categories, pa.string())
    for order in (*orders.get(reading.date_order, ()), "ymd"):
        found = np.where(np.isnat(found), parse_dates(texts, order), found)
    return found


def with_truth_as(known: Sequence[str], column: Column) -> Column:
    """The same cells with truth values in the words of `known`.

    JSON's true, Python's True, TRUE of a CSV file and VERDADERO of a Spanish spreadsheet are one value. Words that
    are known as they are stay, and all do where `known` holds two words for one value.
    """
    own: dict[bool, list[str]] = {True: [], False: []}
    for name in known:
        if plain(name) in _TRUTH:
            own[_TRUTH[plain(name)]].append(name)
    words = {value: names[0] for value, names in own.items() if len(names) == 1}
    other = {name: _TRUTH[plain(name)] for name in column.categories if plain(name) in _TRUTH}
    renamed = {name: words[value] for name, value in other.items() if value in words and words[value] != name}
    if not renamed:
        return column
    codes: dict[str, int] = {}
    new = [codes.setdefault(renamed.get(name, name), len(codes)) for name in column.categories]
    values = np.array([*new, -1], dtype=np.int32)[column.values]  # code -1, missing, is the last
    return replace(column, values=values, categories=tuple(codes))


def infinite_rows(table: Table) -> dict[int, str]:
    """Positions of rows with an infinite number, and the column it stands in."""
    found: dict[int, str] = {}
    for column in table.columns:
        if column.kind == "number":
            for at in np.flatnonzero(np.isinf(column.values)).tolist():
                found.setdefault(at, column.name)
    return found


def _least(rows: int) -> int:
    """Rows a category needs to be known by itself: with fewer it teaches what an unknown one is like."""
    return 1 if rows < 100 else 3 if rows < 10_000 else 5


def _numbers(column: Column) -> NDArray[np.float64]:
    """(rows,) float64 values, or days since 1970 of dates, NaN missing."""
    if column.kind == "number":
        return np.asarray(column.values, dtype=np.float64)
    days = column.values.astype("datetime64[s]").astype(np.float64) / 86_400
    days[column.missing] = np.nan
    return np.asarray(days)


def _calendar(days: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(rows, 2): the month from 1 and the weekday from 1 (Monday), 0 where the date is missing."""
    whole = np.floor(np.where(missing, 0, days)).astype(np.int64)
    months = whole.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    weekdays = (whole + _WEEKDAY_0) % 7 + 1
    return np.where(missing[:, None], 0, np.stack([months, weekdays], axis=1))
