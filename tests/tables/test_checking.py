"""What a person is told of a table before anything is learnt from it."""

import pytest

from vistazo.tables.checking import check
from vistazo.tables.config import TableConfig
from vistazo.tables.reading import read_table

SPREADSHEET = """Fecha;Tienda;Ventas;Precio
01/02/2018;Ávila;1.234,50 €;3
13/02/2018;Burgos;2.000,00 €;4
14/02/2018;Burgos;n/d;x
15/02/2018;Burgos;7,00 €;4
16/02/2018;Burgos;7,00 €;4
17/02/2018;Burgos;7,00 €;4
18/02/2018;Burgos;7,00 €;4
19/02/2018;Burgos;7,00 €;4
20/02/2018;Burgos;7,00 €;4
21/02/2018;Burgos;7,00 €;4
22/02/2018;Burgos;7,00 €;4
Total;;3.234,50 €;
"""


@pytest.fixture
def told(tmp_path):
    (tmp_path / "hoja.csv").write_bytes(SPREADSHEET.encode("cp1252"))
    return check(read_table(tmp_path / "hoja.csv", TableConfig()))


def test_columns_are_told_with_their_kind_reading_and_range(told):
    kinds = {one["name"]: (one["kind"], one["range"], one["missing"]) for one in told["columns"]}
    assert kinds["Fecha"] == ("date", "2018-02-01 to 2018-02-22", 0)
    assert kinds["Ventas"] == ("number", "7 to 2000", 1)
    assert kinds["Precio"][2] == 1
    assert kinds["Tienda"][0] == "category"
    assert any("decimal comma" in line for line in told["lines"])


def test_the_first_three_rows_are_shown_as_understood(told):
    at = told["lines"].index("the first rows as understood:")
    shown = [line.split() for line in told["lines"][at + 1 : at + 5]]
    assert shown[0] == ["row", "Fecha", "Tienda", "Ventas", "Precio"]
    assert shown[1] == ["2", "2018-02-01", "Ávila", "1234.5", "3"]


def test_cells_and_rows_set_aside_are_findings_with_their_row(told):
    assert [(one["kind"], one["path"]) for one in told["findings"]] == [("cell", "4"), ("set_aside", "13")]
    assert told["counts"] == {"rows": 11, "columns": 4, "cells_not_understood": 1, "rows_set_aside": 1}
    assert any(line.startswith("row 4: 'x' in 'Precio'") for line in told["lines"])


def test_the_verb_tells_the_same_in_both_languages(verb, in_tmp):
    (in_tmp / "hoja.csv").write_bytes(SPREADSHEET.encode("cp1252"))
    said = verb("check", "hoja.csv")
    assert said.code == 0
    assert "rows: 11, columns: 4" in said.out
    assert "next:   vistazo train hoja.csv" in said.out
    assert "filas: 11, columnas: 4" in verb("revisar", "hoja.csv", "--idioma", "es").out
    assert verb("check", "hoja.csv", "--json").json["counts"]["rows"] == 11


def test_a_folder_of_pictures_is_told_by_its_classes(verb, folder_of_pictures, in_tmp):
    folder_of_pictures(in_tmp / "animals", "cats", "dogs", each=3)
    said = verb("check", "animals", "--json").json
    assert said["counts"] == {"cats": 3, "dogs": 3}
    assert said["findings"] == []


def test_a_column_that_is_nearly_dates_is_named_with_its_first_bad_row(verb, in_tmp):
    cells = [f"2024-01-{day:02}" if day % 5 else "mañana" for day in range(1, 31)]
    (in_tmp / "sales.csv").write_text(
        "\n".join(["day,units", *(f"{one},3" for one in cells)]), encoding="utf-8"
    )
    said = verb("train", "sales.csv")
    assert said.code == 2
    assert "'day' holds dates, but not in 6 of its rows, such as row 6 ('mañana')" in said.err
