"""A run that begins from a model never tests what the model has learnt."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vistazo.pictures.index import read_index


@pytest.fixture
def parts(verb, tiny):
    """Train a tiny run and give, for each part, the hashes of its pictures, and what was said."""

    def run(source, out, *words):
        said = verb("train", source, *tiny, "--out", out, *words)
        assert said.code == 0, said.err
        index = read_index(Path(out) / "index.parquet")
        names = ("train", "validation", "test", "out")
        return {part: set(index.hash[index.split == part].tolist()) for part in names}, said.err

    return run


def test_another_seed_tests_nothing_that_the_model_has_learnt(parts, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=30)
    other, _ = parts(source, "other", "--seed=1")
    first, _ = parts(source, "first")
    assert other["test"] & first["train"]  # so that there is something to see to
    again, said = parts(source, "again", "--seed=1", "--from", "first")
    assert again == first
    assert "pictures are in the part they had there" in said


def test_the_same_seed_has_nothing_to_move(parts, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=30)
    first, _ = parts(source, "first")
    again, said = parts(source, "again", "--from", "first")
    assert again == first
    assert "part they had there" not in said


def test_new_pictures_are_divided_and_the_old_ones_stay(parts, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=30)
    first, _ = parts(source, "first")
    rng = np.random.default_rng(5)
    for at in range(60):
        folder = source / ("red", "green")[at % 2]
        Image.fromarray(rng.integers(0, 255, (20, 24, 3), np.uint8)).save(folder / f"new {at}.png")
    again, _ = parts(source, "again", "--seed=3", "--from", "first")
    old = set().union(*first.values())
    for part in ("train", "validation", "test"):
        assert again[part] & old == first[part]
        assert again[part] - old


def test_the_group_of_a_learnt_picture_is_not_tested_either(parts, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=30)
    files = sorted(source.rglob("*.png"))
    first, _ = parts(source, "first")
    rows = [f"{path},{path.parent.name},{at // 3}" for at, path in enumerate(files)]
    table = in_tmp / "groups.csv"
    table.write_text("path,label,group\n" + "\n".join(rows), encoding="utf-8")
    parts(table, "again", "--from", "first", "--seed=2")
    index = read_index(Path("again/index.parquet"))
    tested = set(index.group[index.split == "test"].tolist())
    assert not tested & set(index.group[index.split == "train"].tolist())
    assert not set(index.hash[index.split == "test"].tolist()) & (first["train"] | first["validation"])


def official(source, folder, *, known):
    """train/ and test/ of the source's pictures; the test part has `known` pictures of each class from train/."""
    for kind in sorted(path.name for path in source.iterdir()):
        files = sorted((source / kind).glob("*.png"))
        for part, some in (("train", files[20:35]), ("test", files[20 - known : 20] + files[35:])):
            (folder / part / kind).mkdir(parents=True)
            for path in some:
                shutil.copy(path, folder / part / kind)
    return folder


def test_pictures_of_a_test_part_of_ones_own_are_left_out_and_counted(parts, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=40)
    for kind in ("red", "green"):  # the model learns from the first twenty of each class
        (in_tmp / "learnt" / kind).mkdir(parents=True)
        for path in sorted((source / kind).glob("*.png"))[:20]:
            shutil.copy(path, in_tmp / "learnt" / kind)
    first, _ = parts(in_tmp / "learnt", "first")
    again, said = parts(official(source, in_tmp / "own", known=5), "again", "--from", "first")
    assert again["out"]
    assert again["out"] <= first["train"] | first["validation"]
    assert again["test"]
    assert not again["test"] & (first["train"] | first["validation"])
    assert f"Left out: {len(again['out'])} pictures of your own parts that" in said


def test_a_test_part_that_is_all_known_is_refused(verb, tiny, parts, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=20)
    parts(source, "first")
    known = read_index(Path("first/index.parquet"))
    own = in_tmp / "own"
    for row in np.flatnonzero(known.split != "out").tolist():
        path = source / known.where[row]
        part = "test" if known.split[row] == "train" else "train"
        (own / part / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, own / part / path.parent.name)
    said = verb("train", own, *tiny, "--from", "first", "--out", "run", "--quiet")
    assert said.code == 2
    assert "has learnt from every picture of the test part" in said.err
    assert len(said.err.splitlines()) == 1


def test_a_fold_that_tests_what_the_model_has_learnt_is_refused(
    verb, tiny, parts, folder_of_pictures, in_tmp
):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=30)
    parts(source, "first")
    said = verb("train", source, *tiny, "--fold=1/3", "--from", "first", "--out", "run", "--quiet")
    assert said.code == 2
    assert "of the pictures that would be tested" in said.err


def test_pictures_that_were_only_tested_before_leave_nothing_to_learn_from(
    verb, tiny, parts, folder_of_pictures, in_tmp
):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=30)
    parts(source, "first")
    before = read_index(Path("first/index.parquet"))
    for row in before.rows("test").tolist():
        path = source / before.where[row]
        (in_tmp / "old" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, in_tmp / "old" / path.parent.name)
    said = verb("train", in_tmp / "old", *tiny, "--from", "first", "--out", "run", "--quiet")
    assert said.code == 1, said.err
    assert "No picture is left to learn these classes from: green, red" in said.err
