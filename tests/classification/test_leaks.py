"""Near copies stay in one part, and the test figure is told without them."""

import json

import numpy as np
import pytest
from PIL import Image

from vistazo.classification import leaks
from vistazo.pictures import folds, splits
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import TEST, Index, read_index


def index_of(names, labels, split="", hashes=None, **columns):
    count = len(names)
    return Index(
        where=tuple(names),
        label=np.array(labels),
        split=np.broadcast_to(np.array(split, "U10"), count),
        group=np.full(count, -1),
        hash=np.array(hashes or [f"{at:032x}" for at in range(count)], "S32"),
        classes=tuple(f"c{at}" for at in range(max(labels) + 1)),
        source="/s",
        kind="arrays",
        **columns,
    )


@pytest.fixture
def doubled(photographs):
    """60 pictures of 24 x 24, then each of them shifted in brightness by compressing: 120 of two classes."""
    pictures = photographs(60, height=24, width=24)
    noise = np.random.default_rng(0).integers(-3, 4, pictures.shape)
    pixels = np.concatenate([pictures, np.clip(pictures.astype(int) + noise, 0, 255).astype(np.uint8)])
    labels = np.arange(120) % 60 % 2
    return pixels, index_of([f"{at}.png" for at in range(120)], labels.tolist())


def test_near_copies_never_straddle_parts(doubled):
    pixels, index = doubled
    grouped = leaks.group_copies(index, PictureArray(pixels))
    assert (grouped.alike[:60] == grouped.alike[60:]).mean() > 0.95
    parts = splits.assign(grouped, seed=0, group_by="auto").index.split
    assert (parts[:60] == parts[60:])[grouped.alike[:60] >= 0].all()
    plain = splits.assign(index, seed=0, group_by="auto").index.split
    assert (plain[:60] != plain[60:]).any(), "without them they do"
    dealt = folds.draw(grouped, folds=5, seed=0, group_by="auto").number
    assert (dealt[:60] == dealt[60:])[grouped.alike[:60] >= 0].all()


@pytest.mark.parametrize("group_by", ["none", "parent", r"regex:(\d)\."])
def test_whatever_the_rule_of_groups_near_copies_are_one(doubled, group_by):
    pixels, index = doubled
    grouped = leaks.group_copies(index, PictureArray(pixels))
    groups, _ = splits.find_groups(grouped, group_by=group_by)
    assert (groups[:60] == groups[60:])[grouped.alike[:60] >= 0].all()


def test_sources_without_near_copies_are_divided_as_ever(photographs, clothes):
    pixels = clothes[0][..., None]
    index = index_of([f"{at}" for at in range(400)], clothes[1].astype(int).tolist())
    assert leaks.group_copies(index, PictureArray(pixels)) is index
    assert leaks.grouped_sentences(index) == []


def test_identical_pictures_alone_are_no_near_copies(photographs):
    """The hashes know them already, and the sentence would say too much."""
    pixels = np.concatenate([photographs(30)] * 2)
    hashes = [f"{at % 30:032x}" for at in range(60)]
    index = index_of([f"{at}" for at in range(60)], [0, 1] * 30, hashes=hashes)
    assert leaks.group_copies(index, PictureArray(pixels)) is index


def test_the_figure_without_near_copies_is_that_of_the_others():
    alike = np.array([-1, 3, -1, 3, 4, -1, 4, -1, 8, 8])
    split = np.array(
        ["train", "train", "train", "test", "test", "test", "validation", "test", "test", "test"]
    )
    index = index_of([f"{at}" for at in range(10)], [0, 1] * 5, split, alike=alike)
    right = np.array([True, True, False, True, True, False])  # rows 3, 4, 5, 7, 8, 9
    leak = leaks.measure(index, right)
    assert (leak.learnt, leak.tested, leak.n) == (2, 2, 4)
    assert leak.accuracy == 0.5
    assert "are among these: 2. Without them" in leak.sentence() and "50.00%" in leak.sentence()
    assert set(leak.to_json()) >= {"tested", "learnt_from", "accuracy_without", "n_without"}


@pytest.mark.parametrize("alike", [None, np.array([-1, 1, 1, -1]), np.array([-1, -1, 2, 2])])
def test_without_a_copy_on_the_other_side_there_is_no_second_figure(alike):
    index = index_of("abcd", [0, 1, 0, 1], np.array(["train", "train", "train", "test"]), alike=alike)
    if alike is not None and alike[3] >= 0:
        index = index.replace(split=np.array(["train", "train", "test", "test"]))
    assert leaks.measure(index, np.ones((index.split == TEST).sum(), bool)) is None


def test_a_test_part_that_is_all_copies_has_no_second_figure():
    index = index_of("ab", [0, 1], np.array(["train", "test"]), alike=np.array([0, 0]))
    assert leaks.measure(index, np.array([True])) is None


# ---------------------------------------------------------------- in a run
def test_a_run_tells_what_leaks_and_the_report_says_the_figure_without(
    verb, in_tmp, photographs, tiny, encoded
):
    for part, seed, each in (("train", 0, 40), ("test", 1, 12)):
        for at, pixels in enumerate(photographs(each, height=24, width=24, seed=seed)):
            folder = in_tmp / "s" / part / ("a", "b")[at % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{at}.png")
    copy = np.asarray(Image.open(in_tmp / "s" / "test" / "a" / "4.png"))
    (in_tmp / "s" / "train" / "a" / "copy.jpg").write_bytes(encoded(copy, quality=75))
    said = verb("train", "s", *tiny, "--out", "r")
    assert said.code == 0, said.err
    assert "Near copies of pictures learnt from (1) in the official test part: 1;" in said.err
    told = json.loads((in_tmp / "r" / "metrics.json").read_text(encoding="utf-8"))
    assert told["near_copies"]["n_without"] == 11
    page = (in_tmp / "r" / "report.html").read_text(encoding="utf-8")
    assert "Near copies of pictures that were learnt from are among these: 1." in page
    index = read_index(in_tmp / "r" / "index.parquet")
    row, other = (index.where.index(name) for name in ("train/a/copy.jpg", "test/a/4.png"))
    assert index.group[row] == index.group[other]
