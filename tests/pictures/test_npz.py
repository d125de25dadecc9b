"""One .npz file with the arrays of every part."""

import zipfile

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, SourceError, TooFewExamples
from vistazo.pictures.manifests import read_manifest

RNG = np.random.default_rng(0)
PICTURES, LABELS = RNG.integers(0, 255, (10, 8, 6), np.uint8), np.arange(10) % 3


def saved(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("x_train", "y_train", "x_test", "y_test"), ["train"] * 6 + ["test"] * 4),
        (("train_images", "train_labels", "test_images", "test_labels"), ["train"] * 6 + ["test"] * 4),
        (("train_images", "train_labels", "val_images", "val_labels"), ["train"] * 6 + ["validation"] * 4),
    ],
)
def test_parts_are_told_by_the_names_of_the_arrays(tmp_path, read, names, parts):
    held = zip(names, (PICTURES[:6], LABELS[:6], PICTURES[6:], LABELS[6:, None]), strict=True)
    source = read(saved(tmp_path / "d.npz", **dict(held)))
    assert source.index.kind == "npz"
    assert source.index.split.tolist() == parts
    assert source.index.classes == ("0", "1", "2")
    assert source.index.label.tolist() == LABELS.tolist()
    assert all((source.store.read(row) == PICTURES[row]).all() for row in range(10))
    assert source.index.where[0] == f"{names[0]}#0"


def test_one_pair_without_parts_names_for_classes_and_other_arrays(tmp_path, read):
    path = saved(tmp_path / "d.npz", images=PICTURES, labels=LABELS, seed=np.array(3))
    (tmp_path / "names.txt").write_text("ant\nbee\ncow\n")
    source = read(path, classes_file=tmp_path / "names.txt")
    assert source.index.classes == ("ant", "bee", "cow")
    assert set(source.index.split.tolist()) == {""}


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"a": PICTURES, "b": LABELS}, SourceDamaged, "holds the arrays a, b; which of them are pictures"),
        ({"x_train": PICTURES, "y_test": LABELS}, SourceDamaged, "holds the arrays x_train, y_test"),
        ({"x": PICTURES, "y": LABELS[:9]}, SourceDamaged, "10 pictures and 9 labels"),
        ({"x": PICTURES, "y": np.array([{}] * 10)}, SourceDamaged, "damaged or cut short .*allow_pickle"),
        ({"x": PICTURES[:0], "y": LABELS[:0]}, TooFewExamples, "has no pictures"),
        ({"x": PICTURES[:, :, :, None].repeat(2, 3), "y": LABELS}, SourceDamaged, r"d\.npz: x has shape"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(tmp_path, read, arrays, error, message):
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(error, match=message):
        read(tmp_path / "d.npz")


def test_a_cut_file_and_a_bomb_are_refused(tmp_path, read):
    path = saved(tmp_path / "d.npz", x=PICTURES, y=LABELS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError):
        read(path)
    saved(path, x=np.zeros((70_000, 64, 64), np.uint8), y=np.zeros(70_000, np.uint8))
    with pytest.raises(SourceDamaged, match="unpacks to far more than its own size"):
        read(path)


def test_a_zip_with_anything_else_is_no_npz(tmp_path, read):
    path = saved(tmp_path / "d.zip", x=PICTURES, y=LABELS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(SourceError, match="no pictures"):
        read(path)


def test_the_index_of_a_run_leads_back_to_it(verb, tiny, in_tmp):
    rng = np.random.default_rng(1)
    pictures, labels = rng.integers(0, 255, (60, 16, 16), np.uint8), np.arange(60) % 2
    pictures[labels == 1, :8] //= 4
    saved("d.npz", x_train=pictures[:40], y_train=labels[:40], x_test=pictures[40:], y_test=labels[40:])
    said = verb("train", "d.npz", *tiny, "--out", "run", "--json", "--quiet")
    assert said.code == 0, said.err
    assert said.json["metrics"]["test"]["n"] == 20
    again = read_manifest(in_tmp / "run" / "index.parquet")
    assert len(again.index) == 60
    assert (again.store.read(0) == pictures[0]).all()
    assert verb("evaluate", "run", "d.npz", "--quiet").code == 0
