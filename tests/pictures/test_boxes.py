import numpy as np
import pytest

from vistazo.errors import SourceDamaged
from vistazo.pictures.boxes import Boxes
from vistazo.pictures.index import Index, fingerprint, read_index, write_index


def boxes(**columns):
    given = {
        "first": [0, 2, 2, 3],
        "corner": [[0, 0, 5, 4], [1.5, 2, 10, 20], [0, 0, 7, 7]],
        "label": [1, 0, 1],
        "difficult": [False, True, False],
        "size": [[10, 20], [3, 3], [7, 7]],
        "upright": False,
    }
    return Boxes(**(given | columns))


def index_of(**columns):
    given = {
        "where": ("a.png", "ñ/b.png", "c.png"),
        "label": [-1, -1, -1],
        "split": ["train", "", "test"],
        "group": [-1, -1, -1],
        "hash": [b"", b"", b""],
        "classes": ("año", "x"),
        "source": "/data",
        "kind": "voc",
        "boxes": boxes(),
    }
    return Index(**(given | columns))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        pytest.param({"first": [0, 2, 3]}, "size has shape", id="rows"),
        pytest.param({"first": [0, 2, 1, 3]}, "first does not part 3 boxes", id="backwards"),
        pytest.param({"first": [0, 2, 2, 4]}, "first does not part 3 boxes", id="too many"),
        pytest.param({"first": []}, "first does not part 3 boxes", id="nothing"),
        pytest.param({"corner": [[0, 0, 5, 4]] * 2}, "corner has shape", id="corners"),
        pytest.param({"corner": [[0, 0, 0, 4]] * 3}, "is empty or leaves its picture", id="empty"),
        pytest.param({"corner": [[0, 0, 8, 4]] * 3}, "is empty or leaves its picture", id="outside"),
        pytest.param({"corner": [[0, 0, np.nan, 4]] * 3}, "is empty or leaves its picture", id="nan"),
        pytest.param({"label": [0, -1, 0]}, "no class", id="no class"),
        pytest.param({"size": [[10, 20], [0, 3], [7, 7]]}, "no size", id="no size"),
    ],
)
def test_boxes_that_contradict_themselves_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        boxes(**columns)


def test_an_index_refuses_boxes_of_others():
    for columns, message in (
        ({"classes": ("x",)}, "of other pictures or classes"),
        ({"label": [0, -1, -1]}, "both boxes and a label"),
        ({"boxes": boxes().take(np.array([0, 1]))}, "of other pictures"),
    ):
        with pytest.raises(ValueError, match=message):
            index_of(**columns)


def test_boxes_go_with_their_pictures():
    index = index_of().take(np.array([2, 0]))
    assert index.boxes.first.tolist() == [0, 1, 3]
    assert index.boxes.corner.tolist() == [[0, 0, 7, 7], [0, 0, 5, 4], [1.5, 2, 10, 20]]
    assert index.boxes.label.tolist() == [1, 1, 0]
    assert index.boxes.difficult.tolist() == [False, False, True]
    assert index.boxes.rows().tolist() == [0, 1, 1]
    assert index.boxes.size.tolist() == [[7, 7], [10, 20]]
    assert index_of().take(np.zeros(0, np.int64)).boxes.first.tolist() == [0]


def test_classes_are_counted_by_their_boxes():
    index = index_of()
    assert index.counts(np.ones(3, bool)).tolist() == [1, 2]
    assert index.counts(np.array([False, True, True])).tolist() == [0, 1]
    assert index.holds(1).tolist() == [True, False, True]


def test_columns_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="read-only"):
        boxes().corner[0] = 1


@pytest.mark.parametrize("upright", [False, True])
def test_boxes_survive_the_disk_and_other_tools_read_them(tmp_path, upright):
    from pyarrow import parquet

    before = index_of(boxes=boxes(upright=upright))
    write_index(before, tmp_path / "index.parquet")
    after = read_index(tmp_path / "index.parquet")
    for name in ("first", "corner", "label", "difficult", "size"):
        np.testing.assert_array_equal(getattr(after.boxes, name), getattr(before.boxes, name))
    assert after.boxes.upright is upright
    assert fingerprint(after) == fingerprint(before)
    row = parquet.read_table(tmp_path / "index.parquet").to_pylist()[0]
    assert row["boxes"][0] == {"label": "x", "left": 0, "top": 0, "right": 5, "bottom": 4, "difficult": False}
    assert (row["width"], row["height"]) == (10, 20)


def test_the_fingerprint_sees_every_change_of_a_box_and_not_the_order_of_rows():
    base = fingerprint(index_of())
    assert fingerprint(index_of().take(np.array([2, 0, 1]))) == base
    corner = boxes().corner.copy()
    corner[1, 0] += 1
    for changed in ({"corner": corner}, {"difficult": [False] * 3}, {"label": [1, 1, 1]}, {"upright": True}):
        assert fingerprint(index_of(boxes=boxes(**changed))) != base
    assert fingerprint(index_of(boxes=None)) != base


def test_damaged_boxes_in_an_index_are_named(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    write_index(index_of(), tmp_path / "i.parquet")
    table = parquet.read_table(tmp_path / "i.parquet")
    for column in (pa.array([1, 2, 3]), pa.array([[{"label": "x"}], None, []]), pa.array(["a", "b", None])):
        broken = table.set_column(table.column_names.index("boxes"), "boxes", column)
        parquet.write_table(broken, tmp_path / "j.parquet")
        with pytest.raises(SourceDamaged, match=r"j\.parquet is not an index written by Vistazo"):
            read_index(tmp_path / "j.parquet")
