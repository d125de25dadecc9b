"""Parquet files: their own types where they have them, texts as in a CSV file otherwise."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from vistazo.errors import SourceDamaged
from vistazo.language import tr
from vistazo.tables.grids import Grid
from vistazo.tables.table import shortened

__all__ = ["parquet_grid"]

_ROWS = 1 << 17  # a block


def parquet_grid(path: Path) -> Grid:
    """The cells of a Parquet file. Raises SourceDamaged where it cannot be read or nests values."""
    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from None
    for field in schema:
        _check_type(path, field)
    notes = [
        tr("Column '{name}': times in {zone} are read in UTC.", name=field.name, zone=field.type.tz)
        for field in schema
        if pa.types.is_timestamp(field.type) and field.type.tz
    ]
    return Grid(path, schema.names, lambda: _blocks(path), 2, notes)


def _check_type(path: Path, field: Any) -> None:
    inner = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_nested(inner) or _is_binary(inner):
        raise SourceDamaged(
            tr(
                "Column '{name}' of {path} holds {kind} in each cell. Write one number, date or text a cell, or leave "
                "the column out.",
                name=field.name,
                path=path,
                kind=field.type,
            )
        )


def _is_binary(kind: Any) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )


def _blocks(path: Path) -> Iterator[Sequence[Any]]:
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
                yield [_canonical(column) for column in batch.columns]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _canonical(cells: Any) -> Any:
    """Cells as string, float64 or timestamp[s]."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return _canonical(cells.cast(kind.value_type))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return cells.cast(pa.float64(), safe=False)
    if pa.types.is_date(kind):
        return cells.cast(pa.timestamp("ms")).cast(pa.timestamp("s"), safe=False)
    if pa.types.is_timestamp(kind):
        return pc.floor_temporal(cells.cast(pa.timestamp(kind.unit)), unit="second").cast(pa.timestamp("s"))
    return cells.cast(pa.string())


def _damaged(path: Path, error: Exception) -> SourceDamaged:
    return SourceDamaged(
        tr(
            "{path} is damaged or cut short ({reason}). Copy it again.",
            path=path,
            reason=shortened(str(error)),
        )
    )
