"""Tables as people, spreadsheets and accidents write them."""

import csv
import datetime
import decimal
import gzip
import io
import os
import random
import stat
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from vistazo import language
from vistazo.errors import (
    ConfigError,
    MissingExtra,
    SourceDamaged,
    SourceMissing,
    TooFewExamples,
    VistazoError,
)
from vistazo.tables import assembling, csv_files, excel, letters
from vistazo.tables.config import TableConfig
from vistazo.tables.reading import is_table, read_table
from vistazo.tables.table import Table

from .lean_reading import in_both_ways

TEXTS = (".csv", ".tsv", ".txt", ".gz")


@pytest.fixture
def read(tmp_path):
    """Write a file and read it: text in an encoding, or bytes. CSV is read without pyarrow too, to the same table."""

    def reading(content, name="t.csv", written="utf-8", both=True, **values):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(written))
        if both and name.endswith(TEXTS):
            return in_both_ways(path, TableConfig(**values))
        return read_table(path, TableConfig(**values))

    return reading


@pytest.fixture
def column(read):
    """Read one column, beside another that makes the file a table."""

    def reading(*cells, **values):
        rows = "".join(f'"{cell}";x{at}\n' for at, cell in enumerate(cells))
        return read(f"v;id\n{rows}", **{"separator": "semicolon", **values}).columns[0]

    return reading


def shown(table: Table) -> dict[str, list[str]]:
    return {one.name: one.texts() for one in table.columns}


# ---------------------------------------------------------------- dialects of CSV
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_encoding_separator_and_line_ending_is_recognised(read, encoding, separator, ending):
    lines = ["año,ciudad,nota", '2018,Ávila,"a, b; c | d"', "2019,Lugo,e"]
    lines = [line.replace(",", separator) if '"' not in line else line for line in lines]
    lines[1] = f'2018{separator}Ávila{separator}"a, b; c | d"'
    table = read(ending.join(lines) + ending, written=encoding)
    assert shown(table) == {
        "año": ["2018", "2019"],
        "ciudad": ["Ávila", "Lugo"],
        "nota": ["a, b; c | d", "e"],
    }
    assert table.rows.tolist() == [2, 3]


def test_the_line_that_excel_writes_for_itself_is_obeyed_and_not_counted(read):
    table = read("sep=|\r\na|b\r\n1,5|x\r\n2,5|y\r\n")
    assert shown(table) == {"a": ["1.5", "2.5"], "b": ["x", "y"]}
    assert table.rows.tolist() == [2, 3]


def test_a_line_like_that_of_excel_without_a_separator_is_data(read):
    assert read('sep="\n1\n2\n').names == ('sep="',)
    assert read("sep=§\nx\ny\n").names == ("sep=§",)


def test_a_gzip_file_is_read_in_place(read):
    packed = gzip.compress(b"fecha;v\n2018-01-03;1,5\n")
    assert shown(read(packed, "t.csv.gz")) == {"fecha": ["2018-01-03"], "v": ["1.5"]}


def test_the_notes_tell_how_the_file_was_read(read):
    assert read("a;b\n1;2\n").notes == ("t.csv: utf-8, separator ';', names from row 1.",)
    assert read("1;2\n", written="utf-16").notes == ("t.csv: utf-16, separator ';', no row of names.",)
    with language.speaking("es"):
        assert len(read("a;b\n1;2\n").notes) == 1


def test_a_quoted_line_break_is_part_of_its_cell_and_counts_no_row(read):
    table = read('a,b\n1,"x\ny"\n2,z\n3\n4,w\n' + "5,v\n" * 40)
    assert table.columns[1].texts()[:3] == ["x\ny", "z", "w"]
    assert table.rows.tolist()[:4] == [2, 3, 5, 6]


def test_a_cell_longer_than_the_csv_module_reads_is_read(read):
    most = csv.field_size_limit(131_072)  # the module's own
    try:
        table = read("a,b\n1," + "x" * 200_000 + "\n2,y\n", both=False)
    finally:
        csv.field_size_limit(most)
    assert [len(text) for text in table.columns[1].texts()] == [200_000, 1]
    assert shown(read("a,b\n1," + "x" * 200_000 + "\n2,y\n")) == shown(table)  # without pyarrow too


def test_columns_and_rows_that_are_empty_at_the_end_are_dropped(read):
    table = read("a;b;;\n1;x;;\n;;;\n2;y;;\n;;;\n;;;\n")
    assert shown(table) == {"a": ["1", "2"], "b": ["x", "y"]}
    assert table.rows.tolist() == [2, 4]
    assert "Blank rows skipped: 3." in table.notes


def test_rows_with_an_extra_separator_at_their_end_are_no_ragged_rows(read):
    assert shown(read("a,b\n1,2,\n3,4,\n")) == {"a": ["1", "3"], "b": ["2", "4"]}
    table = read("a,b\n" + "1,2,\n" * 40 + "3,4,5,6\n")
    assert (table.names, len(table), table.set_aside[0].row) == (("a", "b"), 40, 42)
    assert shown(read("a,b,\n1,2\n3,4\n")) == {"a": ["1", "3"], "b": ["2", "4"]}


def test_a_title_above_the_table_is_set_aside(read):
    rows = "".join(f"2018-01-{day:02},{day}\n" for day in range(1, 29))
    table = read("Informe de ventas\n\nfecha,ventas\n" + rows)
    assert table.names == ("fecha", "ventas")
    assert table.rows.tolist()[0] == 4
    assert [(aside.row, aside.text, aside.reason) for aside in table.set_aside] == [
        (1, "Informe de ventas", "a title above the table")
    ]


def test_names_that_repeat_or_are_missing_are_told_apart(read):
    table = read("ventas,ventas,,a\nb,1,2,x\nc,3,4,y\n")
    assert table.names == ("ventas", "ventas_2", "column_3", "a")
    assert (
        "Columns without a name, or with one that another has, are called ventas_2, column_3." in table.notes
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("fecha,v\n2018-01-01,5\n", ("fecha", "v"), id="words above numbers"),
        pytest.param("2018-01-01,5\n2018-01-02,6\n", ("column_1", "column_2"), id="no names"),
        pytest.param("producto;2015;2016\nA;1;2\nB;3;4\n", ("producto", "2015", "2016"), id="years as names"),
        pytest.param("x;2018-01;2018-02\nA;1;2\nB;3;4\n", ("x", "2018-01", "2018-02"), id="months as names"),
        pytest.param("nombre;ciudad\nAna;Lugo\nEva;Vigo\n", ("nombre", "ciudad"), id="words above words"),
        pytest.param("Ana;Lugo\nEva;Vigo\nAna;Lugo\n", ("column_1", "column_2"), id="words that come again"),
        pytest.param(
            ",ventas\n2018-01-01,5\n2018-01-02,6\n", ("column_1", "ventas"), id="an unnamed first column"
        ),
        pytest.param(
            "fecha,\n2018-01-01,5\n2018-01-02,6\n", ("fecha", "column_2"), id="an unnamed last column"
        ),
        pytest.param("Ventas,\nfecha,v\n2018-01-01,5\n", ("fecha", "v"), id="a title as wide as the table"),
        pytest.param("Ventas\nfecha,v\n2018-01-01,5\n2018-01-02,5\n", ("fecha", "v"), id="a title"),
        pytest.param("ventas\n1,5\n2,5\n", ("ventas",), id="one column with decimal commas"),
    ],
)
def test_a_row_of_names_is_recognised(read, text, names):
    assert read(text).names == names


def test_the_settings_overrule_what_the_file_looks_like(read):
    assert read("5;6\n7;8\n", header="yes").names == ("5", "6")
    assert read("a;b\nc;d\n", header="no").columns[0].texts() == ["a", "c"]
    assert read("a;b\n1;2\n", separator="comma").names == ("a;b",)
    assert read("ñ;b\n1;2\n", encoding="latin-1").names == ("Ã±", "b")


# ---------------------------------------------------------------- rows of the wrong width
def test_a_row_of_another_width_is_set_aside_with_its_number(read):
    rows = [f"{n},{n}" for n in range(100)]
    rows[10], rows[20] = "10", "20,20,20"
    table = read("a,b\n" + "\n".join(rows) + "\nFuente: INE\n")
    assert len(table) == 98
    assert [(aside.row, aside.text, aside.reason) for aside in table.set_aside] == [
        (12, "10", "cells: 1 instead of 2"),
        (22, "20,20,20", "cells: 3 instead of 2"),
        (102, "Fuente: INE", "cells: 1 instead of 2"),
    ]
    assert table.rows.tolist() == [row for row in range(2, 102) if row not in (12, 22)]
    np.testing.assert_array_equal(table.columns[0].values, table.rows - 2)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("fecha,v\n2018-01-01,1,50\n2018-01-02,2,50\n", id="decimal commas between commas"),
        pytest.param("a,b,c\n" + "1,2,3\n" * 90 + "1,2\n" * 10, id="a tenth of the rows"),
        pytest.param("a,b,c\n" + "1,2\n" * 5000, id="thousands of rows"),
    ],
)
def test_too_many_rows_of_another_width_stop_the_reading(read, text):
    with pytest.raises(
        SourceDamaged, match=r"same number of cells in every row \(row \d+, cells: \d instead of \d\)"
    ):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('a,b\n1,"x\n2,y\n3,z\n4,w\n5,r', id="in the last column"),
        pytest.param('a,b\n"1,2\n3,4\n5,6\n', id="in the first column"),
    ],
)
def test_a_quote_that_never_closes_does_not_swallow_the_file(read, text):
    with pytest.raises(SourceDamaged, match="opens a quote in row 2 and never closes it"):
        read(text)


def test_a_row_longer_than_a_block_is_told(read, monkeypatch):
    monkeypatch.setattr(csv_files, "_BLOCK", 1 << 16)
    with pytest.raises(SourceDamaged, match="has a row longer than"):
        read("a,b\n" + "1,2\n" * 10 + '3,"' + "x\n" * 200_000)


# ---------------------------------------------------------------- numbers
@pytest.mark.parametrize(
    ("cells", "values", "reading"),
    [
        (["1.234,50", "2"], [1234.5, 2], "decimal comma"),
        (["1,234.50", "2"], [1234.5, 2], "decimal point"),
        (["1 234,50", "2"], [1234.5, 2], "decimal comma"),
        (["1\u00a0234,50", "1\u202f234.567,5"], [1234.5], None),
        (["1\u202f234\u202f567,5", "2"], [1234567.5, 2], "decimal comma"),
        (["1'234.50", "2"], [1234.5, 2], "decimal point"),
        (["€ 1.234,50", "3,5 €"], [1234.5, 3.5], "decimal comma, €"),
        (["$1,234.50", "-$3.5"], [1234.5, -3.5], "decimal point, $"),
        (["£5", "EUR 6"], [5, 6], "EUR £"),
        (["12,5 %", "3 %"], [12.5, 3], "decimal comma, per cent, as written: 12.5 % is 12.5"),
        (["-5", "−6", "- 7", "+8"], [-5, -6, -7, 8], ""),
        (["(1.234,00)", "(5)", "(€ 7)"], [-1234, -5, -7], "decimal comma, €"),
        (["1e5", "2.5E-3"], [1e5, 0.0025], "decimal point"),
        (["1.234.567", "8"], [1234567, 8], "decimal comma"),
        (["0.125", "0.250", "1.375"], [0.125, 0.25, 1.375], "decimal point"),
        (["12.345", "1.23"], [12.345, 1.23], "decimal point"),
        (["1234.567", "8"], [1234.567, 8], "decimal point"),
        ([".5", "5."], [0.5, 5], "decimal point"),
        (["2015", "2016"], [2015, 2016], ""),
    ],
)
def test_numbers_as_people_write_them(column, cells, values, reading):
    found = column(*cells)
    if reading is None:
        return
    assert (found.kind, found.values.tolist(), found.reading) == ("number", values, reading)


def test_an_ambiguous_number_stops_and_says_which_setting_decides(read):
    text = "ventas;n\n1.234;1\n2.345;2\n"
    with pytest.raises(
        ConfigError, match=r"column 'ventas' .* '1\.234' .* --decimal point or --decimal comma"
    ):
        read(text)
    assert read(text, decimal="comma").columns[0].values.tolist() == [1234, 2345]
    assert read(text, decimal="point").columns[0].values.tolist() == [1.234, 2.345]


def test_another_column_of_the_file_decides_an_ambiguous_one(read):
    table = read("a;b\n1.234;1,5\n2.345;2\n")
    assert table.columns[0].values.tolist() == [1234, 2345]
    assert table.columns[0].reading == "decimal comma"
    with pytest.raises(ConfigError, match="column 'a'"):
        read("a;b;c\n1.234;1,5;1.5\n2.345;2;2\n")  # the others do not agree


def test_a_setting_that_does_not_fit_a_column_leaves_it_as_it_shows_itself(read):
    table = read("a;b\n1.234;1.5\n2.345;2\n", decimal="comma")
    assert table.columns[0].values.tolist() == [1234, 2345]
    assert table.columns[1].values.tolist() == [1.5, 2]


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param(["007", "008", "123"], id="zeros in front"),
        pytest.param(["08001", "28001"], id="postal codes"),
        pytest.param(["1234567890123456", "1234567890123457"], id="longer than a float holds"),
        pytest.param(["12 34", "56 78"], id="spaces that group nothing"),
        pytest.param(["true", "false"], id="true and false"),
        pytest.param(["sí", "no"], id="sí and no"),
        pytest.param(["1.2.3", "1.2.4"], id="versions"),
        pytest.param(["2018/19", "2019/20"], id="seasons"),
        pytest.param(["A1", "B2"], id="letters and digits"),
    ],
)
def test_what_only_looks_like_a_number_stays_a_text(column, cells):
    found = column(*cells)
    assert found.kind == "category"
    assert found.texts() == cells


@pytest.mark.parametrize(
    "cell", ["", "-", "NA", "N/A", "n/d", "s/d", "null", "None", "nan", "?", "#N/A", "#DIV/0!", ".", " ", "—"]
)
def test_a_cell_that_says_nothing_is_missing_and_no_fault(read, cell):
    table = read(f"v;w;c\n1;{cell};x\n{cell};2018-01-01;{cell}\n3;2018-01-02;y\n")
    assert [one.kind for one in table.columns] == ["number", "date", "category"]
    assert [one.missing.tolist() for one in table.columns] == [
        [False, True, False],
        [True, False, False],
        [False, True, False],
    ]
    assert not table.faults


def test_cells_that_are_not_understood_become_missing_and_are_named(read):
    rows = [f"{n};2018-01-{n:02}" for n in range(1, 31)]
    rows[4], rows[7], rows[9] = "cinco;2018-01-05", "inf;2018-01-08", "10;31/02/2018"
    table = read("v;f\n" + "\n".join(rows) + "\n")
    assert [(one.row, one.column, one.text, one.reason) for one in table.faults] == [
        (6, "v", "cinco", "not a number"),
        (9, "v", "inf", "infinity is no number to learn from"),
        (11, "f", "31/02/2018", "not a date"),
    ]
    assert table.fault_count == {"v": 2, "f": 1}
    assert table.columns[0].missing.sum() == 2


def test_a_column_with_more_than_a_tenth_of_other_cells_is_text(column):
    assert column(*range(9), "x").kind == "number"
    assert column(*range(8), "x", "y").kind == "category"


def test_a_thousand_faults_are_named_and_all_are_counted(read):
    table = read("v;w\n" + "".join(f"{'x' if n % 20 == 0 else n};{n}\n" for n in range(1, 40_001)))
    assert len(table.faults) == 1000
    assert table.fault_count == {"v": 2000}
    assert table.faults[-1].row == 20_001


# ---------------------------------------------------------------- dates
@pytest.mark.parametrize(
    ("cells", "first", "reading"),
    [
        (["2018-01-03", "2018-12-31"], "2018-01-03", "year, month and day as written"),
        (["2018-01-03T10:05:00", "2018-12-31T00:00"], "2018-01-03T10:05", "year, month and day as written"),
        (["2018-01-03T10:05:00.123Z"], "2018-01-03T10:05", "year, month and day as written, times in UTC"),
        (["2018-01-03 10:05+02:00"], "2018-01-03T08:05", "year, month and day as written, times in UTC"),
        (["2018-01-03 10:05-0330"], "2018-01-03T13:35", "year, month and day as written, times in UTC"),
        (["03/01/2018", "13/01/2018"], "2018-01-03", "day/month/year"),
        (["01/03/2018", "01/13/2018"], "2018-01-03", "month/day/year"),
        (["3-1-18", "31-1-18"], "2018-01-03", "day/month/year"),
        (["3.1.2018", "31.1.2018"], "2018-01-03", "day/month/year"),
        (["3/1/99", "31/1/99"], "1999-01-03", "day/month/year"),
        (["99-01-03", "99-01-31"], "1999-01-03", "year-month-day"),
        (["3/3/2018", "4/4/2018"], "2018-03-03", "day/month/year"),
        (["2018/01/03", "2018/1/4"], "2018-01-03", "year, month and day as written"),
        (["20180103", "20181231"], "2018-01-03", "year, month and day in eight digits"),
        (["3 de enero de 2018", "31 de diciembre de 2018"], "2018-01-03", "year, month and day as written"),
        (["3-ene-2018", "4-Dic-18"], "2018-01-03", "year, month and day as written"),
        (["Jan 3, 2018", "December 31, 2018"], "2018-01-03", "year, month and day as written"),
        (["miércoles, 3 de enero de 2018"], "2018-01-03", "year, month and day as written"),
        (["enero 2018", "Septiembre de 2018"], "2018-01-01", "year, month and day as written"),
        (["ene-18", "sept-18"], "2018-01-01", "year, month and day as written"),
        (["01/2018", "12/2018"], "2018-01-01", "year, month and day as written"),
        (["2018-01", "2018-12"], "2018-01-01", "year, month and day as written"),
        (["31/1/2018 10:05", "1/2/2018 9:00"], "2018-01-31T10:05", "day/month/year"),
        (["31/1/2018 10:05:07 p. m.".replace(" m", "m"), "1/2/2018 12:00 am"], "2018-01-31T22:05:07", None),
    ],
)
def test_dates_as_people_write_them(column, cells, first, reading):
    found = column(*cells)
    assert found.kind == "date"
    assert found.values[0] == np.datetime64(first, "s")
    assert not found.missing.any()
    assert reading is None or found.reading == reading


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%Y%m%d", "%d-%b-%Y", "%B %d, %Y"]
)
def test_every_day_of_sixty_years_is_read_as_python_writes_it(read, form):
    days = [datetime.date(1970, 1, 1) + datetime.timedelta(days=n) for n in range(0, 20_000, 7)]
    table = read("día|n\n" + "".join(f"{day.strftime(form)}|{at}\n" for at, day in enumerate(days)))
    np.testing.assert_array_equal(table.columns[0].values, np.array(days, dtype="datetime64[s]"))


def test_dates_that_fit_both_orders_stop_even_where_one_would_be_sorted(read):
    text = "f;n\n01/02/2018;1\n02/02/2018;2\n03/02/2018;3\n"
    with pytest.raises(
        ConfigError, match=r"column 'f' .* '01/02/2018' .* --date-order dmy or --date-order mdy"
    ):
        read(text)
    assert read(text, date_order="dmy").columns[0].texts() == ["2018-02-01", "2018-02-02", "2018-02-03"]
    assert read(text, date_order="mdy").columns[0].texts() == ["2018-01-02", "2018-02-02", "2018-03-02"]


def test_years_are_read_year_first_where_the_settings_say_so(read):
    table = read("f;n\n01/02/03;1\n02/03/04;2\n", date_order="ymd")
    assert table.columns[0].texts() == ["2001-02-03", "2002-03-04"]
    assert table.columns[0].reading == "year-month-day"


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param(["20180103", "20180230"], id="30 February"),
        pytest.param(["20180103", "12345678"], id="another number"),
        pytest.param(["17991231", "18000101"], id="before 1800"),
    ],
)
def test_eight_digits_are_a_date_only_where_all_of_them_are(column, cells):
    assert column(*cells).kind == "number"


@pytest.mark.parametrize(
    "cells", [["29/02/2019", "31/04/2018"], ["2018-13-01"], ["10:30", "11:45"], ["25:00 x"]]
)
def test_what_no_calendar_has_is_no_date(column, cells):
    assert column(*cells).kind == "category"


# ---------------------------------------------------------------- totals
@pytest.mark.parametrize(
    "word",
    [
        "Total",
        "TOTALES",
        "suma",
        "Total general",
        "Grand total",
        "Subtotal:",
        "Total 2018",
        "Total enero",
        "TOTAL 1T",
    ],
)
def test_a_total_among_dates_is_set_aside_with_its_row(read, word):
    table = read(f"mes;v\nene-18;1\nfeb-18;2\n{word};3\nmar-18;4\n{word};7\n")
    assert table.columns[0].kind == "date"
    assert table.columns[1].values.tolist() == [1, 2, 4]
    assert [(aside.row, aside.reason) for aside in table.set_aside] == [
        (4, "a row of totals"),
        (6, "a row of totals"),
    ]


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        pytest.param("p;v\nperas;1\nuvas;2\nkiwis;3\nTotal;6\n", [5], id="the last row"),
        pytest.param("p;v\nperas;1\nuvas;2\nkiwis;3\nTotal;6\n;\n", [5], id="before blank rows"),
        pytest.param("n;p;v\n1;peras;1\n2;uvas;2\n3;kiwis;3\n;Total;6\n", [5], id="behind an empty cell"),
        pytest.param("p;v\nperas;1\nTotal;2\nkiwis;3\nTotal;6\n", [], id="a category of its own"),
        pytest.param("p;v\nperas;1\nuvas;2\nTotal;6\nkiwis;3\n", [], id="in the middle"),
        pytest.param("p;v\nperas;1\nuvas;2\nkiwis;3\nTotal Energies;6\n", [], id="a company's name"),
        pytest.param("p;t;v\na;x;1\nb;y;2\nc;z;3\nd;Total;6\n", [], id="behind another word"),
        pytest.param("f;t;v\n2018-01-01;x;1\n2018-01-02;y;2\n2018-01-03;Total;3\n", [], id="behind a date"),
        pytest.param("p;v\nperas;1\nuvas;2\nkiwis;3\nsumar;6\n", [], id="another word"),
    ],
)
def test_a_total_below_categories_is_told_from_a_category(read, text, left_out):
    table = read(text)
    assert [aside.row for aside in table.set_aside] == left_out
    assert not set(table.rows.tolist()) & set(left_out)
    if left_out:
        assert "Total" not in table.columns[-2].categories


# ---------------------------------------------------------------- blocks
def test_a_file_of_many_blocks_reads_as_one_of_a_single_block(read, monkeypatch):
    rng = random.Random(7)
    rows = [f"{n % 28 + 1:02}/01/2018;s{rng.randrange(50)};{rng.random():.2f}" for n in range(20_000)]
    rows[500], rows[9_000], rows[15_000], rows[-1] = "x", "", "13/01/2018;;n/d", "Total;;5"
    text = "f;s;v\n" + "\n".join(rows) + "\n"
    whole = read(text)
    monkeypatch.setattr(csv_files, "_BLOCK", 1 << 12)
    parts = read(text)
    assert parts.fingerprint() == whole.fingerprint()
    assert parts.rows.tolist() == whole.rows.tolist()
    assert (parts.faults, parts.set_aside, parts.notes) == (whole.faults, whole.set_aside, whole.notes)
    assert set(range(2, 20_002)) - set(whole.rows.tolist()) == {502, 9_002, 20_001}


@pytest.mark.parametrize("letter", ["ñ", "€", "😀"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_letter_cut_between_two_chunks_is_whole(read, monkeypatch, letter, encoding):
    monkeypatch.setattr(letters, "_CHUNK", 7)
    assert shown(read(f"a{letter};b\n1;{letter * 9}\n2;x\n", written=encoding)) == {
        f"a{letter}": ["1", "2"],
        "b": [letter * 9, "x"],
    }


def test_letters_of_windows_at_the_end_of_a_large_file_are_found(read):
    table = read("a;b\n" + "1;x\n" * 400_000 + "2;ñ\n", written="cp1252")
    assert table.columns[1].categories == ("x", "ñ")
    assert table.notes[0].startswith("t.csv: cp1252")


# ---------------------------------------------------------------- a round trip
WORDS = st.text("abcáéñÁü ,;|'\"\n.-0123", max_size=8).map(lambda text: ("x" + text).strip())
CENTS = st.one_of(st.none(), st.integers(-(10**9), 10**9))
DAYS = st.dates(datetime.date(1800, 1, 1), datetime.date(2100, 12, 31))


def written(cents: int | None, comma: bool, grouped: bool) -> str:
    if cents is None:
        return ""
    text = f"{abs(cents) / 100:,.2f}" if grouped else f"{abs(cents) / 100:.2f}"
    text = text.translate(str.maketrans(",.", ".,")) if comma else text
    return ("-" if cents < 0 else "") + text


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(st.tuples(WORDS, CENTS, DAYS), min_size=2, max_size=15).filter(
        lambda rows: any(row[1] is not None for row in rows)
    ),
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    ending=st.sampled_from(["\n", "\r\n"]),
    comma=st.booleans(),
    grouped=st.booleans(),
)
def test_what_the_csv_module_writes_comes_back(
    read, rows, separator, encoding, quoting, ending, comma, grouped
):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=ending)
    writer.writerow(["palabra", "número", "día"])
    writer.writerows([word, written(cents, comma, grouped), day.isoformat()] for word, cents, day in rows)
    table = read(file.getvalue(), written=encoding)
    assert table.names == ("palabra", "número", "día")
    assert [column.kind for column in table.columns] == ["category", "number", "date"]
    words, cents, days = zip(*rows, strict=True)
    assert table.columns[0].texts() == list(words)
    expected = [np.nan if cent is None else cent / 100 for cent in cents]
    np.testing.assert_array_equal(table.columns[1].values, expected)
    np.testing.assert_array_equal(table.columns[2].values, np.array(days, dtype="datetime64[s]"))
    assert not table.faults
    assert not table.set_aside


# ---------------------------------------------------------------- Parquet
def parquet_bytes(columns) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def test_parquet_gives_its_own_types(read):
    utc = datetime.UTC
    content = parquet_bytes(
        {
            "moment": pa.array(
                [datetime.datetime(2018, 1, 3, 2, tzinfo=utc), None], pa.timestamp("us", "Europe/Madrid")
            ),
            "day": [datetime.date(2018, 1, 3), None],
            "float": [1.5, float("inf")],
            "whole": pa.array([1, None], pa.int8()),
            "decimal": [decimal.Decimal("1.25"), None],
            "truth": [True, None],
            "text": ["1.234,5", "2"],
            "coded": pa.array(["b", "a"]).dictionary_encode(),
            "nothing": pa.nulls(2),
        }
    )
    table = read(content, "t.parquet")
    assert shown(table) == {
        "moment": ["2018-01-03 02:00:00", ""],
        "day": ["2018-01-03", ""],
        "float": ["1.5", ""],
        "whole": ["1", ""],
        "decimal": ["1.25", ""],
        "truth": ["true", ""],
        "text": ["1234.5", "2"],
        "coded": ["b", "a"],
        "nothing": ["", ""],
    }
    assert table.column("nothing").kind == "empty"
    assert [(one.row, one.column, one.text) for one in table.faults] == [(3, "float", "inf")]
    assert table.notes == ("Column 'moment': times in Europe/Madrid are read in UTC.",)


def test_a_moment_before_1970_is_cut_to_its_own_second(read):
    content = parquet_bytes({"t": pa.array([-1, 1], pa.timestamp("ns")), "n": [1, 2]})
    assert read(content, "t.parquet").columns[0].texts() == ["1969-12-31 23:59:59", "1970-01-01 00:00:00"]


@pytest.mark.parametrize("cells", [[[1], [2]], [{"a": 1}, {"a": 2}], [b"\0", b"\1"]])
def test_parquet_cells_that_hold_more_than_a_value_are_refused(read, cells):
    with pytest.raises(SourceDamaged, match="Column 'x' of .* holds .* in each cell"):
        read(parquet_bytes({"x": cells}), "t.parquet")


def test_a_parquet_table_without_rows_or_columns_says_so(read):
    with pytest.raises(TooFewExamples, match="has no rows below its names"):
        read(parquet_bytes({"x": pa.array([], pa.float64())}), "t.parquet")
    with pytest.raises(TooFewExamples, match="is empty"):
        read(parquet_bytes({}), "t.parquet")


# ---------------------------------------------------------------- Excel
def workbook(sheets) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


SALES = [
    ["Informe", None, None, None, None],
    [],
    ["Fecha", "Tienda", "Importe", "cp", "abierta"],
    *([datetime.datetime(2018, 1, n), f"T{n % 2}", n + 0.125, f"0800{n}", n % 2 == 0] for n in range(1, 6)),
    [datetime.datetime(2018, 1, 7), "T1", "=C4+C5", None, None],
    ["Total", None, 99, None, None],
]


def test_a_workbook_is_read_with_the_types_of_its_cells(read):
    table = read(workbook({"Vacía": [], "Ventas": SALES, "Otra": [["x"], [1]]}), "t.xlsx")
    assert [column.kind for column in table.columns] == ["date", "category", "number", "category", "category"]
    assert table.column("importe").texts() == ["1.125", "2.125", "3.125", "4.125", "5.125", ""]
    assert table.column("fecha").texts()[0] == "2018-01-01"
    assert table.column("cp").texts()[0] == "08001"
    assert table.column("abierta").categories == ("false", "true")
    assert table.rows.tolist() == [4, 5, 6, 7, 8, 9]
    assert [aside.row for aside in table.set_aside] == [1, 10]
    assert [(one.row, one.text, one.reason) for one in table.faults] == [
        (9, "=C4+C5", "a formula without its value; open and save the file in Excel")
    ]
    assert table.notes == (
        "t.xlsx: sheet 'Ventas', names from row 3.",
        "Sheets not read: Vacía, Otra; --sheet chooses.",
    )


def test_a_number_of_a_workbook_is_never_ambiguous(read):
    content = workbook({"a": [["v", "n"], [1.234, 1], [2.345, 2]]})
    for sign in ("auto", "point", "comma"):
        assert read(content, "t.xlsx", decimal=sign).columns[0].values.tolist() == [1.234, 2.345]


def test_the_decimals_of_a_workbook_say_nothing_about_its_texts(read):
    with pytest.raises(ConfigError, match="column 't'"):
        read(workbook({"a": [["v", "t"], [1.5, "1.234"], [2.5, "2.345"]]}), "t.xlsx")


def test_a_sheet_is_chosen_by_its_name(read):
    content = workbook({"Ventas": SALES, "Otra": [["x"], [1]], "Nada": []})
    assert read(content, "t.xlsx", sheet="Otra").names == ("x",)
    with pytest.raises(
        ConfigError, match=r"no sheet 'ventas'\. Did you mean 'Ventas'\? Its sheets: Ventas, Otra, Nada"
    ):
        read(content, "t.xlsx", sheet="ventas")
    with pytest.raises(TooFewExamples, match="The sheet 'Nada' of .* is empty"):
        read(content, "t.xlsx", sheet="Nada")


def test_excel_without_its_package_says_how_to_install_it(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtra, match=r"pip install 'vistazo\[excel\]'"):
        read(b"PK", "t.xlsx")


def test_a_workbook_that_unpacks_to_gigabytes_is_refused_before_it_is_opened(read, monkeypatch):
    content = workbook({"a": [["x"], [1]]})
    monkeypatch.setattr(excel, "_MOST_BYTES", 1000)
    with pytest.raises(SourceDamaged, match="unpacks to more than"):
        read(content, "t.xlsx")


def test_a_forged_far_row_does_not_make_a_sheet_of_millions(read):
    file = io.BytesIO(workbook({"a": [["x", "y"], [1, 2], [3, 4]]}))
    forged = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("sheet1.xml"):
                data = data.replace(b'r="3"', b'r="999999999"').replace(b'"A3"', b'"A999999999"')
                data = data.replace(b'"B3"', b'"B999999999"')
            new.writestr(name, data)
    with pytest.raises(SourceDamaged, match="sheet too large"):
        read(forged.getvalue(), "t.xlsx")


# ---------------------------------------------------------------- files that are no table
@pytest.mark.parametrize("more", [1, -1])
def test_a_file_that_changes_between_the_passes_is_told(read, tmp_path, monkeypatch, more):
    kept = assembling._decide

    def decide_while_another_writes(*given):
        (tmp_path / "t.csv").write_text("a;b\n" + "1;2\n" * (5 + more))
        return kept(*given)

    monkeypatch.setattr(assembling, "_decide", decide_while_another_writes)
    with pytest.raises(SourceDamaged, match="changed while it was read"):
        read("a;b\n" + "1;2\n" * 5, both=False)


@pytest.mark.parametrize(
    ("content", "name", "error", "message"),
    [
        pytest.param(b"", "t.csv", TooFewExamples, r"t\.csv is empty", id="empty"),
        pytest.param(b"\n \n\n", "t.csv", TooFewExamples, r"t\.csv is empty", id="blank"),
        pytest.param(b"\xef\xbb\xbf", "t.csv", TooFewExamples, r"t\.csv is empty", id="a mark alone"),
        pytest.param(gzip.compress(b""), "t.csv.gz", TooFewExamples, "is empty", id="empty gzip"),
        pytest.param(b"a,b\n", "t.csv", TooFewExamples, "no rows below its names", id="names alone"),
        pytest.param(
            b"a,b\n\n,\n", "t.csv", TooFewExamples, "no rows below its names", id="blank below names"
        ),
        pytest.param(b"a,b\n1,\0\n", "t.csv", SourceDamaged, "is not a text file", id="a NUL"),
        pytest.param(b"PK\3\4\0\0", "t.csv", SourceDamaged, "is not a text file", id="a zip"),
        pytest.param(b"\1\2\3" * 99, "t.csv", SourceDamaged, "is not a text file", id="control signs"),
        pytest.param(b"no gzip", "t.csv.gz", SourceDamaged, "damaged or cut short", id="no gzip"),
        pytest.param(
            gzip.compress(b"a,b\n1,2\n")[:-6], "t.csv.gz", SourceDamaged, "cut short", id="cut gzip"
        ),
        pytest.param(b"x", "t.parquet", SourceDamaged, "damaged or cut short", id="no Parquet"),
        pytest.param(b"x", "t.xlsx", SourceDamaged, "not a readable Excel file", id="no Excel"),
        pytest.param(b"x", "t.xls", SourceDamaged, r"Save it as \.xlsx or CSV", id="old Excel"),
        pytest.param(b"a," * 100_001 + b"\n1", "t.csv", SourceDamaged, "100000 is the most", id="too wide"),
    ],
)
def test_a_file_that_is_no_table_says_so_in_a_sentence(read, content, name, error, message):
    with pytest.raises(error, match=message):
        read(content, name)


def test_a_zip_that_is_no_workbook_is_told(read):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(SourceDamaged, match="not a readable Excel file"):
        read(file.getvalue(), "t.xlsx")


def test_a_wrong_encoding_says_so(read):
    with pytest.raises(SourceDamaged, match=r"is not written in ascii \(.*\)\. Save it as UTF-8"):
        read("ñ,b\n1,2\n", encoding="ascii")


def test_a_bomb_in_gzip_ends(read, monkeypatch):
    monkeypatch.setattr(letters, "_MOST_BYTES", 1 << 21)
    with pytest.raises(SourceDamaged, match="unpacks to more than"):
        read(gzip.compress(b"1,2\n" * (1 << 20)), "t.csv.gz")


def test_a_path_that_is_no_file_says_so(tmp_path):
    with pytest.raises(SourceMissing, match=r"nowhere\.csv does not exist"):
        read_table(tmp_path / "nowhere.csv", TableConfig())
    with pytest.raises(SourceDamaged, match="is a folder"):
        read_table(tmp_path, TableConfig())
    with pytest.raises(VistazoError):
        read_table(tmp_path / ("x" * 5000), TableConfig())
    with pytest.raises(VistazoError):
        read_table(tmp_path / "x\0.csv", TableConfig())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(SourceDamaged, match="no ordinary file"):
        read_table(tmp_path / "t.csv", TableConfig())


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="everything can be read here")
@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.xlsx"])
def test_a_file_that_may_not_be_read_says_so(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"a,b\n1,2\n")
    path.chmod(stat.S_IWUSR)
    with pytest.raises(SourceDamaged, match="cannot be read"):
        read_table(path, TableConfig())


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a.csv", True),
        ("a.TSV", True),
        ("a.csv.gz", True),
        ("a.xlsx", True),
        ("a.parquet", True),
        ("a.png", False),
    ],
)
def test_a_table_is_known_by_its_name(name, known):
    assert is_table(Path(name)) is known


# ---------------------------------------------------------------- damage
def reads_or_says_why(read, content: bytes, name: str) -> None:
    try:
        table = read(content, name)
    except VistazoError as error:
        assert str(error)
    else:
        assert len(table)
        assert len(table.fingerprint()) == 64


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=300))
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.xlsx"])
def test_random_bytes_are_read_or_refused(read, content, name):
    reads_or_says_why(read, content, name)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text("ab01.,;|\t\n\r\"'-/€% ()e+:TZñ=#", max_size=120))
def test_random_text_is_read_or_refused(read, text):
    reads_or_says_why(read, text.encode(), "t.csv")


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.xlsx"])
def test_a_damaged_file_is_read_or_refused(read, name):
    text = b"fecha;s;v\n" + b"".join(b"%02d/01/2018;s%d;%d,5\n" % (n % 28 + 1, n % 5, n) for n in range(60))
    whole = {
        "t.csv": lambda: text,
        "t.csv.gz": lambda: gzip.compress(text),
        "t.parquet": lambda: parquet_bytes({"a": list(range(60)), "b": ["x", "1,5", None] * 20}),
        "t.xlsx": lambda: workbook({"a": [["a", "b"], *([n, f"x{n}"] for n in range(20))]}),
    }[name]()
    rng = random.Random(1)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        reads_or_says_why(read, bytes(data[: rng.choice([len(data), rng.randrange(len(data))])]), name)
