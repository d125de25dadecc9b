"""Several labels a picture: what the cells of a manifest mean, in any dialect, and which cannot be used."""

import csv

import numpy as np
import pytest

from vistazo.errors import SourceError, TooFewExamples
from vistazo.pictures import sources
from vistazo.pictures.index import fingerprint, write_index


@pytest.fixture
def manifest(tmp_path, write):
    """Write a CSV whose rows are (picture, cell) or (picture, cell, part), with the pictures, and give its path."""

    def make(*rows, column="labels", delimiter=","):
        write(tmp_path, *(row[0] for row in rows))
        with (tmp_path / "m.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow(["path", column, "split"][: len(rows[0])])
            writer.writerows(rows)
        return tmp_path / "m.csv"

    return make


def sets(index):
    """The labels of each row, as names."""
    return [{index.classes[at] for at in np.flatnonzero(row)} for row in index.labels]


@pytest.mark.parametrize("column", ["labels", "etiquetas", "Labels", "ETIQUETAS"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_names_between_bars_are_labels_and_an_empty_cell_has_none(manifest, read, column, delimiter):
    path = manifest(("a.png", "sol|mar"), ("b.png", ""), ("c.png", "mar"), ("d.png", " sol | niño pequeño "),
                    column=column, delimiter=delimiter)  # fmt: skip
    found = read(path)
    assert found.index.classes == ("mar", "niño pequeño", "sol")
    assert sets(found.index) == [{"sol", "mar"}, set(), {"mar"}, {"sol", "niño pequeño"}]
    assert found.broken == ()
    assert found.index.labelled.all()
    assert found.notes == (
        "Several labels a picture: 3 labels, 1.25 a picture on average; pictures without any: 1.",
    )


def test_a_label_named_twice_in_a_cell_counts_once_and_is_told(manifest, read):
    found = read(manifest(("a.png", "x|x|"), ("b.png", "|y||x"), ("c.png", "")))
    assert sets(found.index) == [{"x"}, {"x", "y"}, set()]
    assert "Pictures given a label twice: 1. It counts once." in found.notes


def test_a_label_that_every_picture_has_is_told(manifest, read):
    found = read(manifest(("a.png", "photo|x"), ("b.png", "photo"), ("c.png", "photo|y")))
    assert "Every picture has these labels, so they tell nothing apart: photo." in found.notes


def test_one_name_in_every_cell_is_one_label_a_picture(manifest, read, table):
    found = read(manifest(("a.png", "x"), ("b.png", "y")))
    assert found.index.labels is None
    assert table(found) == {"a.png": ("x", ""), "b.png": ("y", "")}


def test_a_column_label_holds_one_name_and_says_what_a_bar_in_it_would_need(manifest, read):
    found = read(manifest(("a.png", "x|y"), ("b.png", "x"), column="label"))
    assert found.index.classes == ("x", "x|y")
    assert found.notes == (
        "A column label holds one name a picture, | included; call it labels to give several.",
    )


def test_lists_in_a_parquet_file_are_labels(tmp_path, write, read):
    import pyarrow as pa
    from pyarrow import parquet

    write(tmp_path, "a.png", "b.png", "c.png")
    columns = {"path": ["a.png", "b.png", "c.png"], "labels": [["x", "a, b"], [], None]}
    parquet.write_table(pa.table(columns), tmp_path / "m.parquet")
    assert sets(read(tmp_path / "m.parquet").index) == [{"x", "a, b"}, set(), set()]
    columns["labels"] = [["x|y"], [], None]
    parquet.write_table(pa.table(columns), tmp_path / "m.parquet")
    with pytest.raises(
        SourceError, match=r"m\.parquet has the label 'x\|y'. A label cannot hold the sign \|"
    ):
        read(tmp_path / "m.parquet")


@pytest.mark.parametrize("sign", [", ", ";", ","])
def test_another_sign_between_names_is_seen_and_told(manifest, read, sign):
    cells = ("red", f"red{sign}blue", "blue", f"blue{sign}red")
    path = manifest(*((f"{at}.png", cell) for at, cell in enumerate(cells)), delimiter="\t")
    with pytest.raises(
        SourceError, match=rf"seems to part labels by '{sign.strip()}', as in '(blue|red){sign}"
    ):
        read(path)


def test_a_comma_in_names_that_are_whole_is_no_separator(manifest, read):
    found = read(manifest(("a.png", "Smith, Anna"), ("b.png", "Pérez, Juan"), ("c.png", "")))
    assert found.index.classes == ("Pérez, Juan", "Smith, Anna")


def test_both_columns_are_one_too_many(tmp_path, write, read):
    write(tmp_path, "a.png", "b.png")
    (tmp_path / "m.csv").write_text("path,clase,labels\na.png,x,x|y\nb.png,y,\n")
    with pytest.raises(SourceError, match="has a column label, for one name a picture, and a column labels"):
        read(tmp_path / "m.csv")


def test_no_label_at_all_is_told(manifest, read):
    with pytest.raises(TooFewExamples, match=r"m\.csv gives no picture a label"):
        read(manifest(("a.png", ""), ("b.png", " ")))


def test_a_label_that_only_the_test_part_has_is_named(manifest, read):
    path = manifest(("a.png", "x|y", "train"), ("b.png", "x", ""), ("c.png", "y|zebra|ñu", "test"))
    with pytest.raises(
        SourceError, match=r"stand only in the test part, so nothing can learn them: zebra, ñu \(in"
    ):
        read(path)


def test_a_manifest_of_nothing_but_a_test_part_may_be_measured_on(manifest, read):
    found = read(manifest(("a.png", "x|y", "test"), ("b.png", "", "prueba")))
    assert found.index.classes == ("x", "y")


def test_a_picture_that_is_not_there_is_listed_and_its_labels_do_not_count(manifest, read, tmp_path):
    path = manifest(("a.png", "x|y"), ("b.png", "x"), ("c.png", "gone"))
    (tmp_path / "c.png").unlink()
    found = read(path)
    assert [(one.where, one.reason) for one in found.broken] == [("c.png", "the file does not exist")]
    assert found.index.classes == ("x", "y")


# ---------------------------------------------------------------- the index of a run
def test_an_index_with_several_labels_survives_the_disk_and_is_itself_a_source(manifest, read, tmp_path):
    index = read(manifest(("a.png", "x|y"), ("b.png", ""), ("c.png", "ñ"))).index
    write_index(index.replace(split=np.array(["train", "test", "validation"])), tmp_path / "index.parquet")
    again = read(tmp_path / "index.parquet").index
    assert (again.where, again.classes) == (index.where, index.classes)
    assert (again.labels == index.labels).all()
    assert again.split.tolist() == ["train", "test", "validation"]


def test_other_tools_read_lists_of_names(manifest, read, tmp_path):
    from pyarrow import parquet

    write_index(read(manifest(("a.png", "y|x"), ("b.png", ""))).index, tmp_path / "index.parquet")
    told = parquet.read_table(tmp_path / "index.parquet").to_pydict()
    assert told["labels"] == [["x", "y"], []]
    assert told["label"] == [None, None]


def test_the_fingerprint_knows_every_label_and_not_the_order_of_rows(manifest, read):
    index = read(manifest(("a.png", "x|y"), ("b.png", ""), ("c.png", "x"))).index
    index = index.replace(where=("a.png",) * 3, hash=np.array(["0" * 32] * 3, dtype="S32"))
    order = np.array([2, 0, 1])
    assert fingerprint(index.take(order)) == fingerprint(index)
    other = index.labels.copy()
    other[1, 0] = True
    assert fingerprint(index.replace(labels=other)) != fingerprint(index)
    assert fingerprint(index.replace(labels=None)) != fingerprint(index)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        pytest.param(
            {"labels": np.zeros((2, 3), bool)}, r"labels has shape \(2, 3\), not \(2, 2\)", id="shape"
        ),
        pytest.param({"label": np.array([0, -1])}, "both a label and labels", id="a label beside them"),
    ],
)
def test_an_index_whose_labels_do_not_fit_is_refused(manifest, read, columns, message):
    index = read(manifest(("a.png", "x|y"), ("b.png", ""))).index
    with pytest.raises(ValueError, match=message):
        index.replace(**columns)


def test_an_index_counts_and_names_what_its_pictures_hold(manifest, read):
    index = read(manifest(("a.png", "x|y"), ("b.png", "y"), ("c.png", ""))).index
    assert index.counts(np.array([True, True, True])).tolist() == [1, 2]
    assert index.counts(np.array([False, True, True])).tolist() == [0, 1]
    assert index.holds(1).tolist() == [True, True, False]
    with pytest.raises(ValueError, match="read-only"):
        index.labels[0, 0] = False


# ---------------------------------------------------------------- check
def test_check_tells_the_labels_and_how_many_pictures_have_each(manifest, read):
    told = sources.describe(read(manifest(("a.png", "sun|sea"), ("b.png", ""), ("c.png", "sea"))))
    assert told["counts"] == {"sea": 2, "sun": 1}
    assert told["lines"] == [
        "pictures: 3, labels: 2",
        "Several labels a picture: 2 labels, 1.00 a picture on average; pictures without any: 1.",
        "  sea: 2",
        "  sun: 1",
    ]
