import io

import numpy as np
import pytest
from PIL import Image

from vistazo.errors import ConfigError, SourceDamaged, TooFewExamples
from vistazo.pictures import decoding, splits
from vistazo.pictures.boxes import Boxes
from vistazo.pictures.crops import cropped
from vistazo.pictures.index import CROPS, Index
from vistazo.pictures.stores import Files, Source

WIDE, HIGH = 40, 24


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (HIGH, WIDE, 3), dtype=np.uint8)


def encoded(pixels, form="PNG", turn=1):
    exif = Image.Exif()
    exif[0x0112] = turn
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, form, exif=exif, **({"quality": 95} if form == "JPEG" else {}))
    return sink.getvalue()


def source_of(root, boxes, *, turn=1, upright=False, size=(WIDE, HIGH), form="PNG", **columns):
    """Pictures of noise; boxes: for each, (class, corner, difficult)."""
    where = [f"f/{at}.{form.lower()}" for at in range(len(boxes))]
    for at, name in enumerate(where):
        (root / "f").mkdir(exist_ok=True)
        (root / name).write_bytes(encoded(noise(at), form, turn))
    flat = [one for several in boxes for one in several]
    found = Boxes(
        first=np.cumsum([0, *map(len, boxes)]),
        corner=np.array([corner for _, corner, _ in flat], dtype=np.float32).reshape(-1, 4),
        label=[label for label, _, _ in flat],
        difficult=[hard for _, _, hard in flat],
        size=[size] * len(boxes),
        upright=upright,
    )
    n = len(where)
    given = {"where": tuple(where), "label": [-1] * n, "split": [""] * n, "group": [-1] * n, "hash": [b""] * n,
             "classes": ("a", "b"), "source": str(root), "kind": "voc", "boxes": found}  # fmt: skip
    return Source(Index(**(given | columns)), Files(root, tuple(where)), ("a note",), ())


BOX = (3.2, 5, 17.7, 20)


def test_each_box_is_a_row_with_its_class_its_part_and_its_picture_as_group(tmp_path):
    boxes = [
        [(0, BOX, False), (1, (0, 0, 40, 24), False)],
        [],
        [(1, BOX, True), (0, (39, 23, 40, 24), False)],
    ]
    found = cropped(source_of(tmp_path, boxes, split=["train", "", "test"]))
    index = found.index
    assert index.where == ("f/0.png#0", "f/0.png#1", "f/2.png#1")
    assert [index.classes[at] for at in index.label] == ["a", "b", "a"]
    assert index.split.tolist() == ["train", "train", "test"]
    assert index.group.tolist() == [0, 0, 2]
    assert (index.kind, index.boxes) == (CROPS, None)
    assert found.notes == (
        "a note",
        "Each box is a picture: 3 cut out of 2, those of one picture always in one part.",
        "Boxes marked as difficult or as a crowd, not used: 1.",
    )
    assert np.array_equal(found.store.read(0), noise(0)[5:20, 3:18])
    assert np.array_equal(found.store.read(1), noise(0))
    assert np.array_equal(found.store.read(2), noise(2)[23:, 39:])
    assert np.array_equal(found.store.take(np.array([2, 0])).read(1), noise(0)[5:20, 3:18])
    loaded = decoding.load(found.store, np.arange(3), height=8, width=8, channels=3, threads=2)
    assert len(loaded.pixels) == 3 and len(set(loaded.hashes.tolist())) == 3


def test_a_source_without_boxes_is_left_as_it_is(tmp_path, write, read):
    found = read(write(tmp_path, "a/1.png", "b/1.png"))
    assert cropped(found) is found


def test_without_a_box_that_is_sure_there_is_nothing_to_cut(tmp_path):
    with pytest.raises(TooFewExamples, match="no box that can be cut out: all are marked as difficult"):
        cropped(source_of(tmp_path, [[(0, BOX, True)]]))


# ---------------------------------------------------------------- turned pictures
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_corners_in_stored_pixels_give_the_crop_upright(tmp_path, turn, form):
    """Pascal VOC and COCO: cut first, then turned."""
    found = cropped(source_of(tmp_path, [[(0, BOX, False)]], turn=turn, form=form))
    expected = decoding.upright(noise(0)[5:20, 3:18], turn)
    got = found.store.read(0)
    assert got.shape == expected.shape
    if form == "PNG":
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("turn", range(1, 9))
def test_corners_in_the_upright_picture_are_cut_after_turning(tmp_path, turn):
    """YOLO; and annotations whose width and height are those of the upright picture."""
    size = (HIGH, WIDE) if turn > 4 else (WIDE, HIGH)
    expected = decoding.upright(noise(0), turn)[5:20, 3:18]
    found = cropped(source_of(tmp_path, [[(0, BOX, False)]], turn=turn, upright=True, size=size))
    assert np.array_equal(found.store.read(0), expected)
    if turn > 4:
        found = cropped(source_of(tmp_path, [[(0, BOX, False)]], turn=turn, size=size))
        assert np.array_equal(found.store.read(0), expected)


def test_an_annotation_of_another_size_is_named(tmp_path):
    store = cropped(source_of(tmp_path, [[(0, BOX, False)]], size=(HIGH, WIDE))).store
    with pytest.raises(
        SourceDamaged, match="its annotation is of 24 × 40 pixels, and the picture has 40 × 24"
    ):
        store.read(0)
    (tmp_path / "f/0.png").write_bytes(b"")
    loaded = decoding.load(store, np.arange(1), height=8, width=8, channels=3, threads=1)
    assert [(one.where, one.reason) for one in loaded.broken] == [
        ("f/0.png#0", "it is no picture in a known format")
    ]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "I;16", "CMYK"])
def test_pictures_of_every_mode_are_cut(tmp_path, mode):
    found = source_of(tmp_path, [[(0, BOX, False)]])
    image = Image.fromarray(noise(0)).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    image.save(tmp_path / "f/0.png", "TIFF" if mode == "CMYK" else "PNG")
    pixels = cropped(found).store.read(0)
    assert pixels.shape[:2] == (15, 15) and pixels.shape[2] in (1, 3, 4)
    assert decoding.decode(pixels, height=8, width=8, channels=3).shape == (8, 8, 3)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    found = source_of(tmp_path, [[(0, BOX, False)]])
    Image.new("L", (9000, 9000)).save(tmp_path / "f/0.png", compress_level=1)
    with pytest.raises(SourceDamaged, match=r"it has too many pixels \(9000 × 9000\)"):
        cropped(found).store.read(0)


# ---------------------------------------------------------------- parts
def pictures(tmp_path, n=40):
    return cropped(
        source_of(tmp_path, [[(0, BOX, False), (1, BOX, False), (at % 2, BOX, False)] for at in range(n)])
    ).index


@pytest.mark.parametrize("rule", ["auto", "none", r"regex:#(\d)", "parent"])
def test_crops_of_one_picture_are_in_one_part_whatever_the_rule(tmp_path, rule):
    index = pictures(tmp_path)
    if rule == "parent":
        groups, _ = splits.find_groups(index, group_by=rule)
        assert set(groups.tolist()) == {0}
        return
    groups, sentence = splits.find_groups(index, group_by=rule)
    if rule == "auto":
        assert sentence == "Groups: crops of one picture."
    if rule.startswith("regex"):
        assert set(groups.tolist()) == {
            0
        }  # first and second crops each belong together, and so do pictures' crops
        return
    assigned = splits.assign(index, seed=1, group_by=rule)
    parts = {}
    for where, part in zip(assigned.index.where, assigned.index.split.tolist(), strict=True):
        parts.setdefault(where.split("#")[0], set()).add(part)
    assert all(len(one) == 1 for one in parts.values())
    assert {part for one in parts.values() for part in one} == {"train", "validation", "test"}


def test_a_rule_that_is_unknown_is_refused_for_crops_too(tmp_path):
    with pytest.raises(ConfigError, match="group_by is one of"):
        splits.find_groups(pictures(tmp_path, 3), group_by="nonsense")


def test_boxes_of_one_class_alone_say_what_is_lacking(tmp_path):
    index = cropped(source_of(tmp_path, [[(0, BOX, False)]] * 3)).index
    with pytest.raises(
        TooFewExamples, match=r"All boxes of .* are of one class \('a'\)\. Classification tells classes apart"
    ):
        splits.require_trainable(index)


def test_a_picture_is_decoded_once_for_all_its_boxes(tmp_path, monkeypatch):
    found = cropped(source_of(tmp_path, [[(0, BOX, False)] * 5, [(1, BOX, False)] * 5]))
    read = []
    monkeypatch.setattr(
        Files, "read", lambda self, row: read.append(row) or (tmp_path / self.where[row]).read_bytes()
    )
    for row in range(10):
        found.store.read(row)
    assert read == [0, 1]
