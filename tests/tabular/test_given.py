"""Tables from Python values."""

import datetime

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.tabular.given import table_of


def test_columns_and_rows_give_the_same_table():
    columns = {"n": [1, 2.5, None], "t": ["b", "", "a"], "d": [datetime.date(2024, 5, 1), None, None]}
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    one, other = table_of(columns), table_of(rows)
    assert one.fingerprint() == other.fingerprint()
    assert [column.kind for column in one.columns] == ["number", "category", "date"]
    assert one.rows.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "kind", "texts"),
    [
        (np.array([1.5, np.nan]), "number", ["1.5", ""]),
        (np.array([1, 2], dtype=np.int8), "number", ["1", "2"]),
        ([True, False], "category", ["True", "False"]),
        ([1, "a"], "category", ["1", "a"]),
        ([None, float("nan")], "empty", ["", ""]),
        (np.array(["2024-05-01", "NaT"], dtype="datetime64[ns]"), "date", ["2024-05-01", ""]),
        (
            [datetime.datetime(2024, 5, 1, 23, tzinfo=datetime.timezone(datetime.timedelta(hours=-2))), None],
            "date",
            ["2024-05-02 01:00:00", ""],
        ),
    ],
)
def test_values_are_read_by_what_they_are(values, kind, texts):
    column = table_of({"x": values}).columns[0]
    assert (column.kind, column.texts()) == (kind, texts)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, TooFewExamples, "no rows"),
        ([], TooFewExamples, "no rows"),
        ({"a": []}, TooFewExamples, "no rows"),
        ({"a": [1], "b": [1, 2]}, SourceDamaged, "a 1, b 2"),
        (5, SourceDamaged, "not int"),
        ([1, 2], SourceDamaged, "not list"),
    ],
)
def test_what_is_no_table_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        table_of(given)
