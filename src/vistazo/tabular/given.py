"""A Table from Python values: a dictionary of columns, or a list of dictionaries, one a row."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.language import tr
from vistazo.tables.config import TableConfig
from vistazo.tables.reading import read_table
from vistazo.tables.table import Column, Table, natural_order

__all__ = ["as_table", "table_of"]


_MISSING = ("", None)


def as_table(source: Any, config: TableConfig) -> Table:
    """The table that a path or Python values are. Raises SourceError."""
    if isinstance(source, str | Path):
        return read_table(Path(source), config)
    return table_of(source)


def table_of(given: Any) -> Table:
    """The table of {"column": values, ...} or of [{"column": value, ...}, ...]; rows are counted from 1.

    Numbers become numbers, dates dates, and all else, truth values too, categories. None, NaN and '' are missing.
    Raises TooFewExamples where there is no row, SourceDamaged where columns differ in length.
    """
    if isinstance(given, Mapping):
        columns = {str(name): list(values) for name, values in given.items()}
    elif isinstance(given, Sequence) and all(isinstance(row, Mapping) for row in given):
        names = dict.fromkeys(str(name) for row in given for name in row)
        columns = {name: [row.get(name) for row in given] for name in names}
    else:
        raise SourceDamaged(
            tr("A table is a file, a dictionary of columns or a list of dictionaries, not {kind}.",
               kind=type(given).__name__)
        )  # fmt: skip
    lengths = {len(values) for values in columns.values()}
    if not lengths or lengths == {0}:
        raise TooFewExamples(tr("The table has no rows. Add rows of data."))
    if len(lengths) > 1:
        sizes = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
        raise SourceDamaged(
            tr("The columns differ in length: {sizes}. Give each as many values.", sizes=sizes)
        )
    return Table(
        tuple(_column(name, values) for name, values in columns.items()),
        np.arange(1, lengths.pop() + 1, dtype=np.int64),
    )


def _column(name: str, values: list[Any]) -> Column:
    plain = [_plain(value) for value in values]
    there = [value for value in plain if not _missing(value)]
    if not there:
        return Column(name, "empty", np.full(len(plain), -1, dtype=np.int32))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        numbers = [float("nan") if _missing(value) else float(value) for value in plain]
        return Column(name, "number", np.array(numbers, dtype=np.float64))
    if all(isinstance(value, datetime.date) for value in there):
        return Column(name, "date", _dates(plain))
    texts = ["" if _missing(value) else str(value) for value in plain]
    distinct = list(dict.fromkeys(text for text in texts if text))
    names = tuple(distinct[at] for at in natural_order(distinct))
    code = {text: at for at, text in enumerate(names)}
    return Column(name, "category", np.array([code.get(text, -1) for text in texts], dtype=np.int32), names)


def _dates(values: list[Any]) -> NDArray[Any]:
    times = []
    for value in values:
        if isinstance(value, datetime.datetime) and value.tzinfo is not None:
            value = value.astimezone(datetime.UTC).replace(tzinfo=None)
        times.append(np.datetime64("NaT") if _missing(value) else np.datetime64(value))
    return np.array(times, dtype="datetime64[s]")


def _plain(value: Any) -> Any:
    if isinstance(value, np.datetime64):  # nanoseconds would become a bare number
        return value.astype("datetime64[s]").item()
    return value.item() if isinstance(value, np.generic) else value


def _missing(value: Any) -> bool:
    return value in _MISSING if isinstance(value, str | None) else isinstance(value, float) and value != value
