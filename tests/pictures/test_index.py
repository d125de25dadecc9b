from pathlib import Path

import numpy as np
import pytest

from vistazo.errors import SourceDamaged
from vistazo.pictures.index import Index, fingerprint, natural_key, normal, read_index, write_index


def index_of(*where: str) -> Index:
    n = len(where)
    return Index(
        where=where,
        label=np.arange(n) % 2,
        split=np.array(["train", "test", "", "out"])[np.arange(n) % 4],
        group=np.arange(n) - 1,
        hash=np.array([f"{at:032x}" for at in range(n)], dtype="S32"),
        classes=("año", "2"),
        source="/data",
        kind="folder",
    )


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"label has shape \(2,\), not \(1,\)"):
        index_of("a.png").replace(label=np.zeros(2, dtype=np.int64))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        pytest.param("label", [2], "not a position", id="label beyond the classes"),
        pytest.param("label", [-2], "not a position", id="negative label"),
        pytest.param("split", ["tset"], "split is not one of", id="unknown part"),
        pytest.param("classes", ("a", "a"), "repeat", id="class twice"),
    ],
)
def test_an_index_that_contradicts_itself_is_refused(column, value, message):
    with pytest.raises(ValueError, match=message):
        index_of("a.png").replace(**{column: value})


def test_columns_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="read-only"):
        index_of("a.png").label[0] = 1


def test_numbers_in_names_sort_as_numbers():
    assert sorted(["10", "2", "b10", "b9", "B1", "á"], key=natural_key) == ["2", "10", "B1", "b9", "b10", "á"]
    assert sorted(["9" * 6000, "1"], key=natural_key)[0] == "1"


def test_composed_and_decomposed_accents_are_one_name():
    assert normal("an\u0303o ") == normal("a\u00f1o") == "año"


def test_an_index_survives_the_disk(tmp_path: Path):
    before = index_of("a/ñ 1.png", "b.png", "c.png", "d.png", "e.png")
    write_index(before, tmp_path / "index.parquet")
    after = read_index(tmp_path / "index.parquet")
    assert (after.where, after.classes, after.source, after.kind) == (
        before.where, before.classes, "/data", "folder",
    )  # fmt: skip
    for column in ("label", "split", "group", "hash"):
        np.testing.assert_array_equal(getattr(after, column), getattr(before, column))


def test_other_tools_read_the_file_as_a_table(tmp_path: Path):
    from pyarrow import parquet

    write_index(index_of("a.png", "b.png").replace(label=[0, -1]), tmp_path / "index.parquet")
    assert parquet.read_table(tmp_path / "index.parquet").to_pylist() == [
        {"path": "a.png", "label": "año", "split": "train", "group": None, "hash": "0" * 32},
        {"path": "b.png", "label": None, "split": "test", "group": 0, "hash": "0" * 31 + "1"},
    ]


@pytest.mark.parametrize("cut", [0, 10, 100, 400])
def test_a_damaged_file_is_named(tmp_path: Path, cut: int):
    write_index(index_of("a.png", "b.png"), tmp_path / "index.parquet")
    data = (tmp_path / "index.parquet").read_bytes()
    (tmp_path / "index.parquet").write_bytes(data[:cut])
    with pytest.raises(SourceDamaged, match=r"index\.parquet is not an index written by Vistazo"):
        read_index(tmp_path / "index.parquet")


def test_the_fingerprint_knows_the_content_and_not_the_place_or_order():
    index = index_of("a.png", "b.png", "c.png")
    assert fingerprint(index) == fingerprint(index.replace(source="/elsewhere"))
    assert fingerprint(index) == fingerprint(index.take(np.array([2, 0, 1])))
    assert fingerprint(index) != fingerprint(index.replace(label=[1, 1, 0]))
    assert fingerprint(index) != fingerprint(index.replace(hash=np.zeros(3, dtype="S32")))
    assert fingerprint(index) != fingerprint(index.take(np.array([0, 1])))
