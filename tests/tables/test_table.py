import dataclasses
import hashlib
import struct

import numpy as np
import pytest

from vistazo.errors import ConfigError
from vistazo.tables.table import Column, Fault, Table, natural_order, plain


def number(name, *values):
    return Column(name, "number", np.array(values, dtype=np.float64))


def table(*columns, **more):
    return Table(tuple(columns), np.arange(2, 2 + len(columns[0]), dtype=np.int64), **more)


@pytest.fixture
def shop():
    return table(
        Column("Fecha", "date", np.array(["2018-01-03", "NaT", "2018-01-05"], dtype="datetime64[s]")),
        Column("Población", "category", np.array([1, -1, 0], dtype=np.int32), ("Lugo", "Ávila")),
        number("Ventas netas", 1.5, np.nan, 3),
        Column("nada", "empty", np.full(3, -1, dtype=np.int32)),
    )


def test_every_kind_of_column_says_what_is_missing(shop):
    assert [column.missing.tolist() for column in shop.columns] == [
        [False, True, False],
        [False, True, False],
        [False, True, False],
        [True, True, True],
    ]


def test_cells_are_shown_as_a_person_writes_them(shop):
    assert [column.texts() for column in shop.columns] == [
        ["2018-01-03", "", "2018-01-05"],
        ["Ávila", "", "Lugo"],
        ["1.5", "", "3"],
        ["", "", ""],
    ]
    moment = Column("t", "date", np.array(["2018-01-03T10:05", "NaT"], dtype="datetime64[s]"))
    assert moment.texts() == ["2018-01-03 10:05:00", ""]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("Ventas netas", 2, id="exact"),
        pytest.param("ventas NETAS ", 2, id="another case"),
        pytest.param("poblacion", 1, id="without accents"),
        pytest.param("3", 2, id="its number"),
    ],
)
def test_a_column_is_found_by_its_name_or_its_number(shop, name, found):
    assert shop.column(name) is shop.columns[found]


def test_a_column_called_by_a_number_goes_before_the_number():
    wide = table(number("2", 1), number("1", 2))
    assert wide.column("1").name == "1"
    assert wide.column("2").name == "2"


def test_an_unknown_column_is_answered_with_the_nearest_and_the_list(shop):
    with pytest.raises(
        ConfigError, match=r"no column 'venta neta'\. Did you mean 'Ventas netas'\? Its columns"
    ):
        shop.column("venta neta")
    with pytest.raises(
        ConfigError, match=r"no column '9'\. Its columns: Fecha, Población, Ventas netas, nada\."
    ):
        shop.column("9")


def test_taking_rows_keeps_their_numbers_in_the_file_and_the_categories(shop):
    taken = shop.take(np.array([2, 0]))
    assert taken.rows.tolist() == [4, 2]
    assert taken.column("Población").texts() == ["Lugo", "Ávila"]
    assert taken.column("Población").categories == ("Lugo", "Ávila")
    assert len(shop.take(np.array([True, False, False]))) == 1


def test_the_fingerprint_tells_names_kinds_and_values_and_nothing_else(shop):
    first = shop.fingerprint()
    assert len(first) == 64
    assert dataclasses.replace(shop, notes=("read elsewhere",), rows=shop.rows + 7).fingerprint() == first
    assert shop.take(np.array([1, 0, 2])).fingerprint() != first
    renamed = dataclasses.replace(shop.columns[0], name="día")
    assert dataclasses.replace(shop, columns=(renamed, *shop.columns[1:])).fingerprint() != first


def test_the_fingerprint_does_not_see_how_nan_and_zero_are_written():
    assert table(number("x", 0.0, 1.5)).fingerprint() == table(number("x", -0.0, 1.5)).fingerprint()
    other_nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    assert table(number("x", np.nan)).fingerprint() == table(number("x", *other_nan)).fingerprint()


def test_the_fingerprint_is_the_hash_of_the_bytes_written_down_here():
    """A fingerprint is kept with a run, so it must not change from one version to the next."""
    head = b'["x", "number", 2, []]'
    values = struct.pack("<2d", 1.5, -2.0)
    assert table(number("x", 1.5, -2.0)).fingerprint() == hashlib.sha256(head + values).hexdigest()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Column("x", "colour", np.zeros(1)), "kind is one of number, date, category, empty"),
        (lambda: Column("x", "number", np.zeros(1, dtype=np.float32)), "float64, not"),
        (lambda: Column("x", "number", np.zeros((1, 1))), r"\(rows,\)"),
        (lambda: Column("x", "number", np.zeros(1), ("a",)), "has no categories"),
        (
            lambda: Column("x", "category", np.array([1], dtype=np.int32), ("a",)),
            "codes must lie in -1 ... 0",
        ),
        (lambda: Column("x", "category", np.array([-2], dtype=np.int32), ("a",)), "codes must lie in"),
        (
            lambda: Column("x", "category", np.array([0], dtype=np.int32), ("a", "a")),
            "names a category twice",
        ),
        (lambda: Table((), np.zeros(0, dtype=np.int64)), "at least one column"),
        (lambda: Table((number("x", 1),), np.zeros(2, dtype=np.int64)), "has 1 cells for 2 rows"),
        (lambda: Table((number("x", 1),), np.zeros(1)), "int64"),
        (lambda: table(number("x", 1), number("x", 1)), "same name"),
        (lambda: table(number("x", 1), faults=(Fault(1, "x", "", ""),) * 1001), "at most 1000 faults"),
    ],
)
def test_a_table_that_contradicts_itself_cannot_be_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_natural_order_counts_as_people_do():
    texts = ["tienda 10", "tienda 2", "Álava", "avión", "B", "a", "7" * 5000, "١", "²"]
    ordered = [texts[at] for at in natural_order(texts)]
    assert ordered.index("tienda 2") < ordered.index("tienda 10")
    assert ordered.index("a") < ordered.index("B") < ordered.index("tienda 2")
    assert plain(" Álava ") == "alava"
