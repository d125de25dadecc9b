"""Strokes from the real data set: six cats and six apples as published (Google, Quick, Draw!, CC BY 4.0)."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, SourceError, TooFewExamples
from vistazo.pictures import decoding, strokes
from vistazo.pictures.sources import describe, iterate_files, read_source

REAL = Path(__file__).parent / "quickdraw"


def lines(word: str) -> list[dict]:
    return [json.loads(line) for line in (REAL / f"{word}.ndjson").read_text().splitlines()]


def exact(drawn: list, side: int) -> np.ndarray:
    """The same rule by arithmetic alone: how much of each fine pixel lies within 8 units of a line."""
    fine = 4 * side
    scale = fine / 304
    most = np.max([np.max(stroke, axis=1) for stroke in drawn], axis=0)
    centre = np.stack(np.meshgrid(np.arange(fine) + 0.5, np.arange(fine) + 0.5), axis=-1)
    covered = np.zeros((fine, fine))
    for stroke in drawn:
        points = (np.array(stroke).T + (256 - most) / 2 + 24) * scale
        for one, other in zip(points[:-1], points[1:], strict=True):
            along = other - one
            share = np.clip(((centre - one) @ along) / max(along @ along, 1e-9), 0, 1)[..., None]
            away = np.linalg.norm(centre - one - share * along, axis=-1)
            covered = np.maximum(covered, np.clip(8 * scale + 0.5 - away, 0, 1))
    return covered.reshape(side, 4, side, 4).mean((1, 3)) * 255


def binary(drawn: list, *, key: int = 5) -> bytes:
    """A record of the binary version, packed field by field as the data set's own parser unpacks it."""
    data = struct.pack("<Q", key) + b"ES" + struct.pack("<b", 1) + struct.pack("<I", 1488000000)
    data += struct.pack("<H", len(drawn))
    for x, y in drawn:
        data += struct.pack("<H", len(x)) + struct.pack(f"{len(x)}B", *x) + struct.pack(f"{len(y)}B", *y)
    return data


# ---------------------------------------------------------------- rendering
@pytest.mark.parametrize("word", ["cat", "apple"])
def test_rendered_at_28_pixels_a_drawing_is_its_published_bitmap(real_data, word):
    published = np.load(real_data / "quickdraw" / f"{word}.npy", mmap_mode="r")[:6].reshape(-1, 28, 28)
    ours = [strokes.render(strokes.drawing(one["drawing"]), 28) for one in lines(word)]
    for mine, theirs in zip(ours, published, strict=True):
        assert np.abs(mine.astype(float) - theirs).mean() < 2.5
        assert np.corrcoef(mine.ravel(), theirs.ravel())[0, 1] > 0.996


@pytest.mark.parametrize("side", [16, 28, 64, 200])
def test_any_size_is_rendered_from_the_lines_themselves(side):
    drawn = lines("cat")[0]["drawing"]
    mine = strokes.render(strokes.drawing(drawn), side)
    assert mine.shape == (side, side) and mine.dtype == np.uint8
    assert np.abs(mine - exact(drawn, side)).mean() < 3


def test_raw_coordinates_are_first_brought_into_the_square():
    drawn = lines("cat")[0]["drawing"]
    raw = [[[3.5 * x - 200 for x in xs], [3.5 * y + 900 for y in ys], [0] * len(xs)] for xs, ys in drawn]
    one, other = (strokes.render(strokes.drawing(given), 64).astype(float) for given in (drawn, raw))
    assert np.abs(one - other).mean() < 1


def test_a_single_point_is_a_dot():
    dot = strokes.render(strokes.drawing([[[7], [9]]]), 32)
    assert dot.max() > 100 and 0 < (dot > 0).sum() < 40


def test_a_drawing_is_decoded_like_a_picture_at_the_size_that_is_wanted():
    data = strokes.drawing(lines("cat")[0]["drawing"])
    small, large = (decoding.decode(data, height=side, width=side, channels=1) for side in (28, 112))
    assert np.array_equal(small[..., 0], strokes.render(data, 28))
    assert np.array_equal(large[..., 0], strokes.render(data, 112))
    assert decoding.decode(data, height=20, width=40, channels=3).shape == (20, 40, 3)


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        pytest.param([], "the drawing has no strokes", id="no strokes"),
        pytest.param([[[], []]], "it is no drawing", id="a stroke without points"),
        pytest.param([[[1, 2], [3]]], "it is no drawing", id="an x without y"),
        pytest.param([[[1, "a"], [3, 4]]], "it is no drawing", id="a word"),
        pytest.param([[[1, float("nan")], [3, 4]]], "it is no drawing", id="nan"),
        pytest.param([[[10**400], [3]]], "it is no drawing", id="a number without end"),
        pytest.param(7, "it is no drawing", id="a number"),
        pytest.param({"a": 1}, "it is no drawing", id="a mapping"),
        pytest.param([[[0] * 60_000, [0] * 60_000]], "too many points", id="too many points"),
    ],
)
def test_what_is_no_drawing_is_named(drawn, reason):
    with pytest.raises(SourceDamaged, match=reason):
        strokes.drawing(drawn)


def test_bytes_that_only_begin_like_a_drawing_end_in_a_named_error():
    good = strokes.drawing(lines("cat")[0]["drawing"])
    rng = np.random.default_rng(1)
    mutated = [good[:at] for at in range(len(strokes.DRAWING), len(good), 7)]
    for _ in range(200):
        data = bytearray(good)
        data[rng.integers(len(strokes.DRAWING), len(good))] = rng.integers(256)
        mutated.append(bytes(data))
    for data in mutated:
        try:
            assert decoding.decode(data, height=8, width=8, channels=1).shape == (8, 8, 1)
        except decoding.UndecodablePicture as error:
            assert "drawing" in str(error)


# ---------------------------------------------------------------- files
def test_a_folder_of_ndjson_is_read_by_its_words_and_both_versions_give_the_same_drawing(
    tmp_path, read, table
):
    shutil.copy(REAL / "cat.ndjson", tmp_path / "full_simplified_gato.ndjson")
    shutil.copy(REAL / "apple.ndjson", tmp_path)
    found = read(tmp_path)
    assert (found.index.kind, found.index.classes) == ("strokes", ("apple", "cat"))
    assert table(found)["full_simplified_gato.ndjson#5"] == ("cat", "")
    assert found.store.read(0) == strokes.drawing(lines("apple")[0]["drawing"])

    other = tmp_path / "binary"
    other.mkdir()
    for word in ("cat", "apple"):
        (other / f"full_binary_{word}.bin").write_bytes(
            b"".join(binary(one["drawing"]) for one in lines(word))
        )
    packed = read(other)
    assert packed.index.classes == ("apple", "cat")
    assert [packed.store.read(row) for row in range(12)] == [found.store.read(row) for row in range(12)]
    loaded = decoding.load(packed.store, np.arange(12), height=28, width=28, channels=1, threads=2)
    assert len(loaded.pixels) == 12 and len(set(loaded.hashes.tolist())) == 12


def test_where_both_versions_lie_in_one_folder_no_drawing_counts_twice(tmp_path, read):
    shutil.copytree(REAL, tmp_path / "q")
    (tmp_path / "q/cat.bin").write_bytes(binary(lines("cat")[0]["drawing"]))
    found = read(tmp_path / "q")
    assert len(found.index) == 12
    assert found.notes == ("Files of strokes twice: .ndjson is read, 1 files .bin are not.",)


def test_folders_and_files_named_after_parts_are_parts_and_train_is_a_word_too(tmp_path, read, table):
    for part in ("train", "test"):
        (tmp_path / "a" / part).mkdir(parents=True)
        for word in ("cat", "apple"):
            shutil.copy(REAL / f"{word}.ndjson", tmp_path / "a" / part)
    assert table(read(tmp_path / "a"))["test/cat.ndjson#0"] == ("cat", "test")
    (tmp_path / "b").mkdir()
    both = (REAL / "cat.ndjson").read_text() + (REAL / "apple.ndjson").read_text()
    for part in ("train", "val"):
        (tmp_path / "b" / f"{part}.ndjson").write_text(both)
    assert table(read(tmp_path / "b"))["val.ndjson#11"] == ("apple", "validation")
    (tmp_path / "c").mkdir()
    for word in ("train", "cat"):
        (tmp_path / "c" / f"{word}.bin").write_bytes(binary([[[0, 5], [0, 9]]]) * 3)
    assert table(read(tmp_path / "c"))["train.bin#0"] == ("train", "")


def test_one_file_may_hold_all_classes(tmp_path, read):
    text = (REAL / "cat.ndjson").read_text() + "\n" + (REAL / "apple.ndjson").read_text()
    (tmp_path / "all.ndjson").write_text(text.replace('"word":"cat"', '"word":"caf\\u00e9"'))
    found = read(tmp_path / "all.ndjson")
    assert found.index.classes == ("apple", "café")
    assert len(found.index) == 12
    words = [json.dumps({"drawing": one["drawing"]}) for one in lines("cat")]
    (tmp_path / "sol.ndjson").write_text("\n".join(words))
    assert read(tmp_path / "sol.ndjson").index.classes == ("sol",)


def test_check_says_how_strokes_are_read_and_predict_sees_each_drawing():
    told = describe(read_source(REAL, classes_file=None))
    assert told["lines"][:2] == ["format: Quick, Draw! strokes", "pictures: 12, classes: 2"]
    assert told["counts"] == {"apple": 6, "cat": 6}
    seen = dict(iterate_files([REAL / "cat.ndjson"]))
    assert list(seen) == [f"{REAL / 'cat.ndjson'}#{at}" for at in range(6)]
    assert seen[f"{REAL / 'cat.ndjson'}#0"] == strokes.drawing(lines("cat")[0]["drawing"])
    assert len(dict(iterate_files([REAL]))) == 12


def test_a_large_file_is_not_held_in_memory(tmp_path, read):
    import tracemalloc

    line = (REAL / "cat.ndjson").read_bytes().splitlines(keepends=True)[0]
    (tmp_path / "cat.ndjson").write_bytes(line * 20_000)  # 14 MB
    tracemalloc.start()
    found = read(tmp_path / "cat.ndjson")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.index) == 20_000
    assert most < 20_000 * 300  # names, places and columns
    assert found.store.read(19_999) == found.store.read(0)


# ---------------------------------------------------------------- bad input
def test_a_damaged_line_is_named_and_left_out(tmp_path, read):
    good = (REAL / "cat.ndjson").read_text().splitlines()
    bad = ["", "{}", '{"word": 3', '{"word":"cat","drawing":[[[1],[2,3]]]}', '{"word":"cat","dra']
    (tmp_path / "cat.ndjson").write_text("\n".join(good[:2] + bad + good[2:]))
    found = read(tmp_path / "cat.ndjson")
    loaded = decoding.load(found.store, np.arange(len(found.index)), height=9, width=9, channels=1, threads=1)
    assert [one.where for one in found.broken] == ["cat.ndjson#2", "cat.ndjson#3", "cat.ndjson#5"]
    assert [(one.where, one.reason) for one in loaded.broken] == [("cat.ndjson#4", "it is no drawing")]
    assert len(loaded.pixels) == 6


def test_files_of_something_else_are_refused_in_a_sentence(tmp_path, read):
    (tmp_path / "a.ndjson").write_text('{"id": 1}\n' * 3000)
    with pytest.raises(SourceDamaged, match=r"a\.ndjson holds no Quick, Draw! strokes"):
        read(tmp_path / "a.ndjson")
    (tmp_path / "b.ndjson").write_text("\n\n")
    with pytest.raises(TooFewExamples, match=r"b\.ndjson has no drawings"):
        read(tmp_path / "b.ndjson")
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(
        SourceDamaged, match=r"weights\.bin is damaged .*no Quick, Draw! drawing begins at byte 0"
    ):
        read(tmp_path / "weights.bin")
    (tmp_path / "long.ndjson").write_bytes(b"[" * (9 << 20))
    with pytest.raises(SourceError, match=r"has no drawings"):
        read(tmp_path / "long.ndjson")


@pytest.mark.parametrize("cut", [1, 10, 18, 30, 100])
def test_a_binary_file_that_is_cut_short_is_refused(tmp_path, read, cut):
    good = binary(lines("cat")[0]["drawing"])
    (tmp_path / "cat.bin").write_bytes(good + good[:-cut])
    with pytest.raises(
        SourceDamaged, match=rf"cut short \(no Quick, Draw! drawing begins at byte {len(good)}\)"
    ):
        read(tmp_path / "cat.bin")
