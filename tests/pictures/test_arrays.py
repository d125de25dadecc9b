import gzip
import struct

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, SourceMissing, TooFewExamples


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    "form", ["{}-{}-idx{}-ubyte", "{}-{}.idx{}-ubyte", "emnist-digits-{}-{}-idx{}-ubyte"]
)
def test_idx_pairs_are_parts(tmp_path, form, pack, read, idx_folder):
    source = read(idx_folder(tmp_path / "m", form=form, pack=pack))
    assert source.index.classes == ("0", "1")
    assert source.index.kind == "idx"
    assert source.index.split.tolist() == ["train"] * 6 + ["test"] * 4
    assert source.index.where[7].endswith("-ubyte#1")
    assert source.store.read(7).tolist() == [[6, 7], [8, 9], [10, 11]]


def test_idx_files_that_do_not_fit_are_named(tmp_path, read, idx, idx_folder):
    folder = idx_folder(tmp_path / "m")
    pictures, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    good = pictures.read_bytes()
    for data, message in (
        (good[:-1], "51 bytes instead of 52"),
        (good[:9], "no IDX file of bytes"),
        (b"\0\0\x0d" + good[3:], "it starts with 00 00 0d 03"),
        (good[:4] + b"\xff" * 12, "instead of"),
        (idx(np.zeros((6, 5, 5), np.uint8)), r"are 5×5 and those of t10k-images-idx3-ubyte are 3×2"),
        (idx(np.zeros((6, 3, 2, 3), np.uint8)), r"are 3×2×3 and those of"),
        (idx(np.zeros((5, 3, 2), np.uint8)), "has 5 pictures and 6 labels"),
    ):
        pictures.write_bytes(data)
        with pytest.raises(SourceDamaged, match=message):
            read(folder)
    pictures.write_bytes(good)
    labels.unlink()
    with pytest.raises(SourceMissing, match="has train-images-idx3-ubyte and not its labels"):
        read(folder)


def test_a_damaged_gzip_is_named(tmp_path, read, idx_folder):
    folder = idx_folder(tmp_path / "m", pack=True)
    file = folder / "train-images-idx3-ubyte.gz"
    good = file.read_bytes()
    file.write_bytes(good[:-12])
    with pytest.raises(SourceDamaged, match=r"train-images-idx3-ubyte\.gz is damaged or cut short"):
        read(folder)
    header = b"\0\0\x08\x03" + struct.pack(">3I", 1 << 31, 28, 28)
    file.write_bytes(gzip.compress(header + bytes(100)))
    with pytest.raises(SourceDamaged, match="unpacks to far more than its own size"):
        read(folder)
    header = b"\0\0\x08\x03" + struct.pack(">3I", 1 << 14, 28, 28)
    file.write_bytes(gzip.compress(header + bytes(100)))
    with pytest.raises(SourceDamaged, match="damaged or cut short"):
        read(folder)


def test_a_folder_of_npy_files_has_one_class_a_file(tmp_path, read, table):
    for name in ("gato", "pez"):
        np.save(tmp_path / f"{name}.npy", np.arange(32, dtype=np.uint8).reshape(2, 16))
    source = read(tmp_path)
    assert table(source) == {f"{name}.npy#{at}": (name, "") for name in ("gato", "pez") for at in (0, 1)}
    assert source.store.read(3).tolist() == np.arange(16, 32).reshape(4, 4).tolist()
    np.save(tmp_path / "pez.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceDamaged, match=r"pez\.npy is damaged.*Python objects"):
        read(tmp_path)


def test_arrays_with_numbers_or_names(tmp_path, read):
    pictures = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    source = read(
        {"train": (pictures, ["b", "a", "b", "a"]), "test": (pictures / 255.0, np.array([["a"]] * 4))}
    )
    assert source.index.classes == ("a", "b")
    assert source.index.split.tolist() == ["train"] * 4 + ["test"] * 4
    np.testing.assert_array_equal(source.store.read(1), source.store.read(5))
    assert read((pictures[..., 0], [3, 11, 3, 11])).index.classes == ("3", "11")


@pytest.mark.parametrize(
    ("pictures", "labels", "message"),
    [
        (np.zeros((3, 4, 4)), [0, 1], "has 3 pictures and 2 labels"),
        (np.zeros((3, 5)), [0, 1, 2], r"has shape \(3, 5\)"),
        (np.full((2, 4, 4), 300), [0, 1], r"values from 300\.0 to 300\.0"),
        (np.full((2, 4, 4), np.nan), [0, 1], "values from nan"),
    ],
)
def test_arrays_that_are_no_pictures_are_named(pictures, labels, message, read):
    with pytest.raises(SourceDamaged, match=message):
        read((pictures, labels))


def test_mnist_as_it_is_published(real_data, read):
    index = read(real_data / "mnist").index
    assert np.bincount(index.label[index.rows("train")]).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ]
    assert len(index.rows("test")) == 10_000


def test_quick_draw_in_its_arrays(real_data, read):
    source = read(real_data / "quickdraw")
    assert source.index.classes == ("apple", "bicycle", "cat", "diamond", "eye", "fish")
    assert source.store.shape == (28, 28, 1)
    assert len(source.index) == 15_000


def test_empty_files_are_named(tmp_path, read, idx_folder):
    folder = idx_folder(tmp_path / "m")
    (folder / "train-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(SourceDamaged, match="is no IDX file of bytes: it starts with nothing"):
        read(folder)
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.zeros((0 if name == "b" else 3, 4, 4), np.uint8))
    folder.rename(tmp_path.with_name("elsewhere"))
    with pytest.raises(TooFewExamples, match=r"b\.npy has no pictures"):
        read(tmp_path)
    for nothing in ({}, (np.zeros((0, 4, 4)), [])):
        with pytest.raises(TooFewExamples, match="has no pictures"):
            read(nothing)


def test_a_packed_idx_bomb_is_refused(tmp_path, read, idx_folder):
    folder = idx_folder(tmp_path / "m", pack=True)
    header = b"\0\0\x08\x03" + struct.pack(">3I", 80 << 20, 1, 1)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + bytes(80 << 20), 1))
    with pytest.raises(SourceDamaged, match="it unpacks to far more than its own size"):
        read(folder)


def test_a_zip_named_npy_is_named(tmp_path, read):
    with open(tmp_path / "a.npy", "wb") as file:
        np.savez(file, pictures=np.zeros((3, 4, 4)))
    with pytest.raises(SourceDamaged, match=r"a\.npy is damaged or cut short"):
        read(tmp_path)
