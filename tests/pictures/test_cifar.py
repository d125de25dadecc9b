import io
import tarfile

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, SourceError
from vistazo.pictures import decoding
from vistazo.pictures.sources import describe, iterate_files, read_source

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def records(n, *, first=0, coarse=False, classes=10):
    """(bytes of n records, their pixels (n, 32, 32, 3), their labels)."""
    rng = np.random.default_rng(first)
    pixels = rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    labels = ((np.arange(n) + first) % classes).astype(np.uint8)
    planes = pixels.transpose(0, 3, 1, 2).reshape(n, 3072)
    ahead = [np.full((n, 1), 77, np.uint8)] if coarse else []
    return np.concatenate([*ahead, labels[:, None], planes], axis=1).tobytes(), pixels, labels


def mapped(array):
    """What the array is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


@pytest.fixture
def cifar10(tmp_path):
    folder = tmp_path / "d" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for at in (1, 2):
        (folder / f"data_batch_{at}.bin").write_bytes(records(20, first=at)[0])
    (folder / "test_batch.bin").write_bytes(records(10, first=9)[0])
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    (folder / "readme.html").write_text("<html>")
    return folder.parent


def test_cifar_10_is_memory_mapped_with_its_names_and_its_test_part(cifar10, read, table):
    found = read(cifar10)
    _, pixels, labels = records(20, first=2)
    rows = {name: row for row, name in enumerate(found.index.where)}
    row = rows["cifar-10-batches-bin/data_batch_2.bin#7"]
    assert np.array_equal(found.store.read(row), pixels[7])
    assert table(found)[found.index.where[row]] == (NAMES[labels[7]], "train")
    assert [len(found.index.rows(part)) for part in ("train", "validation", "test")] == [40, 0, 10]
    assert all(isinstance(mapped(part), np.memmap) for part in found.store.parts)
    loaded = decoding.load(found.store, np.arange(50), height=32, width=32, channels=3, threads=1)
    assert np.array_equal(loaded.pixels[20:40], pixels)
    small = decoding.load(found.store, np.arange(50), height=16, width=16, channels=1, threads=1)
    assert small.pixels.shape == (50, 16, 16, 1)


def test_of_cifar_100_the_fine_label_counts(tmp_path, read, table):
    data = {
        part: records(n, first=n, coarse=True, classes=100) for part, n in (("train", 300), ("test", 100))
    }
    for part, (content, _, _) in data.items():
        (tmp_path / f"{part}.bin").write_bytes(content)
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"thing {at}" for at in range(100)))
    (tmp_path / "coarse_label_names.txt").write_text("\n".join("abcdefghijklmnopqrst"))
    found = read(tmp_path)
    assert table(found)["test.bin#3"] == (f"thing {data['test'][2][3]}", "test")
    assert np.array_equal(found.store.read(300), data["test"][1][0])
    (tmp_path / "fine_label_names.txt").unlink()
    assert table(read(tmp_path))["test.bin#3"] == (str(data["test"][2][3]), "test")


@pytest.mark.parametrize(
    ("name", "mode"), [("cifar-10-binary.tar.gz", "w:gz"), ("c.tar", "w")], ids=["gz", "tar"]
)
def test_the_tar_that_is_published_reads_the_same(cifar10, tmp_path, read, table, name, mode):
    with tarfile.open(tmp_path / name, mode) as archive:
        archive.add(cifar10 / "cifar-10-batches-bin", "cifar-10-batches-bin")
    packed, folder = read(tmp_path / name), read(cifar10)
    assert table(packed) == table(folder)
    assert np.array_equal(packed.store.read(49), folder.store.read(49))


def test_check_says_so_and_predict_sees_every_picture(cifar10):
    told = describe(read_source(cifar10, classes_file=None))
    assert told["lines"][:3] == [
        "format: CIFAR, binary version",
        "parts that it names: train 40, test 10",
        "pictures: 50, classes: 10",
    ]
    assert sum(told["counts"].values()) == 50
    seen = dict(iterate_files([cifar10]))
    assert len(seen) == 50 and all(one.shape == (32, 32, 3) for one in seen.values())


def test_the_pickled_version_is_never_opened_and_the_right_one_named(tmp_path, read):
    (tmp_path / "p").mkdir()
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        (tmp_path / "p" / name).write_bytes(b"cos\nsystem\n(S'touch /tmp/opened'\ntR.")
    with pytest.raises(
        SourceError, match=r"pickled: to open a pickle may run any code\. Get the binary version"
    ):
        read(tmp_path / "p")
    (tmp_path / "q").mkdir()
    for name in ("train", "test", "meta"):
        (tmp_path / "q" / name).write_bytes(b"\x80\x02")
    with pytest.raises(SourceError, match=r"cifar-100-binary\.tar\.gz"):
        read(tmp_path / "q")
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "p", "cifar-10-batches-py")
    with pytest.raises(SourceError, match="which is pickled"):
        read(tmp_path / "cifar-10-python.tar.gz")


def test_what_is_cut_or_not_of_cifar_is_refused_in_a_sentence(cifar10, tmp_path, read):
    folder = cifar10 / "cifar-10-batches-bin"
    good = (folder / "data_batch_1.bin").read_bytes()
    for data in (good[:-1], b"", good + b"x"):
        (folder / "data_batch_1.bin").write_bytes(data)
        with pytest.raises(SourceDamaged, match=r"data_batch_1\.bin (has \d+ bytes, which is no|is damaged)"):
            read(cifar10)
    (folder / "data_batch_1.bin").write_bytes(b"\x0a" + good[1:])
    with pytest.raises(SourceDamaged, match="has a picture of class 10, and CIFAR-10 has no such"):
        read(cifar10)
    (folder / "data_batch_1.bin").write_bytes(good)
    (folder / "batches.meta.txt").write_bytes(b"\xff\xfe\xffcat\ncat\n")
    with pytest.raises(SourceDamaged, match=r"batches\.meta\.txt must hold 10 names"):
        read(cifar10)
    with pytest.raises(SourceError, match=r"data_batch_1\.bin is one part of a data set"):
        read(folder / "data_batch_1.bin")
    (cifar10 / "other").mkdir()
    (cifar10 / "other/data_batch_1.bin").write_bytes(good)
    with pytest.raises(SourceError, match="holds several data sets"):
        read(cifar10)


def test_a_tar_whose_batch_is_cut_is_refused(tmp_path, read):
    data = records(20)[0][:-5]
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        info = tarfile.TarInfo("x/data_batch_1.bin")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    with pytest.raises(SourceDamaged, match="no whole number of CIFAR pictures of 3073"):
        read(tmp_path / "c.tar")
