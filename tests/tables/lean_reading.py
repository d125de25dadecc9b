"""Read tables as the folder of a service does: with `vistazo.tables.lean` where pyarrow stands else."""

import csv
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from vistazo.errors import VistazoError
from vistazo.tables import assembling, columns, csv_files, dates, grids, lean, numbers, texts
from vistazo.tables.config import TableConfig
from vistazo.tables.reading import read_table
from vistazo.tables.table import Table

MODULES = (assembling, columns, csv_files, dates, grids, numbers, texts)


@contextmanager
def without_pyarrow():
    """Those modules with the small functions in place of pyarrow's."""
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            for name in ("pa", "pc", "arrow_csv"):
                if hasattr(module, name):
                    patch.setattr(module, name, getattr(lean, name))
        patch.setattr(texts, "_MISSING_WORDS", lean.pa.array(texts._MISSING))
        patch.setattr(dates, "_MONTH_WORDS", lean.pa.array(list(dates._MONTH_OF)))
        most = csv.field_size_limit(2**31 - 1)  # as the folder sets it
        try:
            yield
        finally:
            csv.field_size_limit(most)


def in_both_ways(path: Path, config: TableConfig) -> Table:
    """The table of a file, after a look that pyarrow and the small functions agree about it, or why there is none."""
    found = _read(path, config)
    with without_pyarrow():
        lean_found = _read(path, config)
    if isinstance(found, VistazoError):
        assert isinstance(lean_found, VistazoError), f"{found} with pyarrow alone"
        assert (type(lean_found), str(lean_found)) == (type(found), str(found))
        raise found
    if isinstance(lean_found, VistazoError):
        raise lean_found
    assert_same(lean_found, found)
    return found


def assert_same(one: Table, other: Table) -> None:
    for name in ("names", "faults", "set_aside", "notes", "fault_count"):
        assert getattr(one, name) == getattr(other, name), name
    np.testing.assert_array_equal(one.rows, other.rows)
    for mine, theirs in zip(one.columns, other.columns, strict=True):
        told = [(column.name, column.kind, column.categories, column.reading) for column in (mine, theirs)]
        assert told[0] == told[1]
        assert mine.values.dtype == theirs.values.dtype
        np.testing.assert_array_equal(mine.values, theirs.values)


def _read(path: Path, config: TableConfig) -> Table | VistazoError:
    try:
        return read_table(path, config)
    except VistazoError as error:
        return error
