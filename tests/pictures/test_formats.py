import time
import zipfile

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, SourceError
from vistazo.pictures import decoding, formats
from vistazo.pictures.crops import cropped
from vistazo.pictures.folders import listing
from vistazo.pictures.index import read_index, write_index
from vistazo.pictures.trees import OnDisk, folder_tree, part_of

XML = (
    "<annotation><size><width>12</width><height>10</height></size><object><name>{}</name>"
    "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>6</xmax><ymax>7</ymax></bndbox></object></annotation>"
)


@pytest.fixture
def boxed(tmp_path, write):
    """Four pictures with a box each, of two classes, one of them in the test part."""
    root = write(
        tmp_path / "boxed", *(f"{part}/{at}.png" for part, at in (("train", 1), ("train", 2), ("test", 3)))
    )
    for name, word in (("train/1", "cat"), ("train/2", "dog"), ("test/3", "cat")):
        (root / f"{name}.xml").write_text(XML.format(word))
    return root


def test_a_run_s_index_of_crops_finds_its_boxes_again(tmp_path, boxed, read):
    found = cropped(read(boxed))
    write_index(found.index, tmp_path / "index.parquet")
    again = read(tmp_path / "index.parquet")
    assert again.index.where == found.index.where == ("test/3.png#0", "train/1.png#0", "train/2.png#0")
    assert again.index.kind == "crops"
    assert np.array_equal(again.store.read(1), found.store.read(1))
    (boxed / "train/2.xml").write_text("")
    lost = read(tmp_path / "index.parquet")
    assert [one.where for one in lost.broken] == ["train/2.png#0"]
    for path in boxed.rglob("*.xml"):
        path.unlink()
    with pytest.raises(SourceError, match=r"boxed is another kind of source than it was when the run began"):
        read(tmp_path / "index.parquet")


def test_an_index_of_pictures_with_boxes_is_a_source_too(tmp_path, boxed, read):
    found = read(boxed)
    write_index(found.index, tmp_path / "index.parquet")
    again = read(tmp_path / "index.parquet")
    assert again.index.where == found.index.where
    assert np.array_equal(again.index.boxes.corner, found.index.boxes.corner)
    assert read_index(tmp_path / "index.parquet").kind == "voc"


@pytest.mark.parametrize(
    "kind", ["strokes", "strokes file", "cifar", "cifar tar", "encoded", "webdataset", "shards"]
)
def test_a_run_s_index_of_every_kind_finds_its_pictures_again(tmp_path, picture, read, archive_of, kind):
    source = tmp_path / "source"
    source.mkdir()
    if kind.startswith("strokes"):
        text = '{{"word":"{}","drawing":[[[0,5],[3,{}]]]}}\n'
        (source / "a.ndjson").write_text("".join(text.format("ab"[at % 2], at) for at in range(6)))
        source = source / "a.ndjson" if kind.endswith("file") else source
    elif kind.startswith("cifar"):
        records = np.random.default_rng(0).integers(0, 2, (6, 3073), dtype=np.uint8)
        (source / "data_batch_1.bin").write_bytes(records.tobytes())
        if kind.endswith("tar"):
            members = {"x/data_batch_1.bin": records.tobytes()}
            source = archive_of(tmp_path / "c.tar.gz", members, "w:gz")
    elif kind == "encoded":
        import pyarrow as pa
        from pyarrow import parquet

        table = {"image": [picture(at) for at in range(6)], "label": list("ababab")}
        parquet.write_table(pa.table(table), source / "a.parquet")
    else:
        members = {f"{at}.png": picture(at) for at in range(6)} | {
            f"{at}.cls": b"ab"[at % 2 :][:1] for at in range(6)
        }
        archive_of(source / "a.tar", members, "w")
        source = source / "a.tar" if kind == "webdataset" else source
    found = read(source)
    write_index(found.index.take(np.array([4, 1])), tmp_path / "index.parquet")
    again = read(tmp_path / "index.parquet")
    assert again.index.where == (found.index.where[4], found.index.where[1])
    one, other = again.store.read(0), found.store.read(4)
    assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
    assert len(decoding.load(again.store, np.arange(2), height=8, width=8, channels=3, threads=1).pixels) == 2


def test_boxes_are_told_from_names_alone_and_class_folders_are_not_listed(tmp_path, monkeypatch):
    root = tmp_path / "many"
    for part in ("train", "test"):
        for word in "ab":
            (root / part / word).mkdir(parents=True)
            for at in range(300):
                (root / part / word / f"{at}.png").touch()
    listed = []
    entries = OnDisk.entries
    monkeypatch.setattr(
        OnDisk, "entries", lambda self, folder: listed.append(folder) or entries(self, folder)
    )
    assert formats.holds_boxes(root) == ""
    assert set(listed) == {"", "train", "test"}


def test_a_zip_of_many_pictures_is_told_in_no_time(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_STORED) as archive:
        for at in range(20_000):
            archive.writestr(zipfile.ZipInfo(f"class{at % 9}/{at}.jpg"), b"")
    start = time.perf_counter()
    assert formats.holds_boxes(tmp_path / "z.zip") == ""
    assert time.perf_counter() - start < 0.05  # to list it takes 0.2 s
    assert formats.holds_boxes(tmp_path / "nothing.zip") == ""
    (tmp_path / "t.zip").write_bytes(b"PK\x05\x06")
    assert formats.holds_boxes(tmp_path / "t.zip") == ""


def test_a_tar_with_boxes_is_refused_because_nothing_tells_it_quickly(tmp_path, picture, read, archive_of):
    members = {"images/1.png": picture(0), "annotations/1.xml": XML.format("cat").encode()}
    for name, mode in (("a.tar", "w"), ("a.tgz", "w:gz")):
        with pytest.raises(
            SourceError, match=r"is a tar of pictures with boxes\. Unpack it, or pack them as a zip"
        ):
            read(archive_of(tmp_path / name, members, mode))


@pytest.mark.parametrize("name", ["train/1.xml", "instances.json", "data.yaml"])
def test_a_file_of_annotations_alone_asks_for_its_folder(boxed, read, name):
    (boxed / name).write_text("{}")
    with pytest.raises(
        SourceError, match=r"is one part of a data set\. Give the folder that holds all of it"
    ):
        read(boxed / name)


def test_members_of_a_zip_with_boxes_that_lead_out_are_refused(tmp_path, picture, read, archive_of):
    members = {"images/1.png": picture(0), "annotations/../../1.xml": XML.format("cat").encode()}
    path = archive_of(tmp_path / "a.zip", members, zipfile.ZIP_STORED)
    with pytest.raises(SourceDamaged, match="leads outside it"):
        formats.holds_boxes(path)
    with pytest.raises(SourceDamaged, match="leads outside it"):
        read(path)


@pytest.mark.parametrize("name", ["a.ndjson", "a.bin", "a.parquet"])
def test_a_single_file_that_is_empty_is_named(tmp_path, read, name):
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=rf"{name} (has no drawings|is damaged or cut short)"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("images/train2017/1.jpg", "train"),
        ("Validación/labels/1.txt", "validation"),
        ("test_images/1.jpg", "test"),
        ("crash test/1.jpg", ""),
        ("trainer/1.jpg", ""),
        ("train.jpg", ""),
        ("VOC2012/JPEGImages/1.jpg", ""),
    ],
)
def test_a_folder_names_a_part_where_it_says_nothing_else(name, part):
    assert part_of(name) == part


def test_a_tree_on_disk_and_a_listed_one_have_the_same_names(tmp_path, write):
    write(tmp_path / "t", "a/1.png", "a/b/2.png", "3.png", ".hidden/4.png")
    tree, disk = folder_tree(tmp_path / "t", listing(tmp_path / "t")), OnDisk(tmp_path / "t")
    for folder in ("", "a", "a/b", "no such"):
        assert [list(names) for names in tree.entries(folder)] == [
            list(names) for names in disk.entries(folder)
        ]
    assert tree.head("3.png", 4) == disk.head("3.png", 4) == b"\x89PNG"
    assert b"".join(tree.chunks("3.png")) == tree.read("3.png") == (tmp_path / "t/3.png").read_bytes()
