import io
import json
import tarfile

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.pictures import decoding
from vistazo.pictures.sources import describe, read_source

SAMPLES = ("a/0001", "a/0002", "b.x/0003", "0004")


def samples(picture, *, kind="cls", labels=("cat", "dog")):
    """Members of a shard: a picture and its label for each key."""
    members = {}
    for at, key in enumerate(SAMPLES):
        members[f"{key}.png"] = picture(at)
        name = labels[at % 2]
        members[f"{key}.{kind}"] = name.encode() if kind == "cls" else json.dumps({"label": name}).encode()
    return members


@pytest.mark.parametrize("name", ["d.tar", "d.tar.gz"])
@pytest.mark.parametrize("kind", ["cls", "json"])
def test_one_tar_of_pictures_with_labels_beside_them(tmp_path, picture, read, table, archive_of, name, kind):
    members = samples(picture, kind=kind) | {"0004.txt": b"a caption", "0004.seg.png": picture(9)}
    found = read(archive_of(tmp_path / name, members, "w:gz" if name.endswith("gz") else "w"))
    assert found.index.kind == "webdataset"
    assert table(found) == {f"{key}.png": (("cat", "dog")[at % 2], "") for at, key in enumerate(SAMPLES)}
    rows = {where: row for row, where in enumerate(found.index.where)}
    assert found.store.read(rows["b.x/0003.png"]) == picture(2)
    assert not found.broken


def test_numbers_are_classes_and_a_name_in_the_json_counts_before_its_number(
    tmp_path, picture, read, archive_of
):
    members = samples(picture, labels=("7", "10"))
    assert read(archive_of(tmp_path / "n.tar", members, "w")).index.classes == ("7", "10")
    for at, key in enumerate(SAMPLES):
        del members[f"{key}.cls"]
        members[f"{key}.json"] = json.dumps({"label": at % 2, "class_name": ("año", "mes")[at % 2]}).encode()
    assert read(archive_of(tmp_path / "j.tar", members, "w")).index.classes == ("año", "mes")


def test_shards_are_read_where_they_lie_and_named_parts_count(tmp_path, picture, read, table, archive_of):
    (tmp_path / "test").mkdir()
    for number, name in enumerate(
        ["imagenet-train-000000.tar", "imagenet-train-000001.tar", "test/000000.tar"]
    ):
        archive_of(tmp_path / name, {k: v + bytes([number]) for k, v in samples(picture).items() if k[-3:] != "cls"}
                   | {k: v for k, v in samples(picture).items() if k[-3:] == "cls"}, "w")  # fmt: skip
    found = read(tmp_path)
    assert len(found.index) == 12
    assert table(found)["imagenet-train-000001.tar/a/0002.png"] == ("dog", "train")
    assert table(found)["test/000000.tar/0004.png"] == ("dog", "test")
    rows = {where: row for row, where in enumerate(found.index.where)}
    assert found.store.read(rows["test/000000.tar/0004.png"]) == picture(3) + b"\2"
    loaded = decoding.load(found.store, np.arange(12), height=10, width=12, channels=3, threads=3)
    assert len(loaded.pixels) == 12
    told = describe(read_source(tmp_path, classes_file=None))
    assert told["lines"][:3] == [
        "format: WebDataset",
        "parts that it names: train 8, test 4",
        "pictures: 12, classes: 2",
    ]


def test_more_shards_than_files_may_be_open(tmp_path, picture, read, archive_of):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(90):
        archive_of(tmp_path / f"d-{number:06}.tar", samples(picture), "w")
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        found = read(tmp_path)
        assert (
            len(decoding.load(found.store, np.arange(360), height=4, width=4, channels=1, threads=4).pixels)
            == 360
        )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_plain_tar_of_class_folders_is_read_as_before(tmp_path, picture, read, archive_of):
    members = {f"{name}/{at}.png": picture(at) for name in "ab" for at in range(3)}
    members |= {"a/notes.json": b"{}", "a/1.json": b'{"taken": 2020}', "info.txt": b""}
    found = read(archive_of(tmp_path / "c.tar", members, "w"))
    assert (found.index.kind, found.index.classes) == ("archive", ("a", "b"))
    (tmp_path / "f").mkdir()
    archive_of(tmp_path / "f/c.tar", members, "w")
    with pytest.raises(TooFewExamples, match=r"has no pictures \(\.tar: 1\)"):
        read(tmp_path / "f")


def test_what_is_missing_or_no_label_is_named(tmp_path, picture, read, archive_of):
    members = samples(picture) | {
        "5.png": picture(5),
        "6.cls": b"cat",
        "7.png": picture(7),
        "7.cls": b"  ",
        "8.png": picture(8),
        "8.json": b"{nonsense",
        "9.png": picture(9),
        "9.jpg": picture(10),
        "9.cls": b"cat",
        "10.png": picture(11),
        "10.cls": b"c" * (2 << 20),
        "11.png": picture(12),
        "11.cls": b"\xff\xfe\xff",
    }
    expected = {
        "5.png": "it has no label",
        "7.png": "it has no label",
        "8.png": "it has no label",
        "10.png": "it has no label",
        "11.png": "it has no label",
        "9.png": "its sample has another picture",
        "d.tar: 6": "it is a label without a picture",
    }
    found = read(archive_of(tmp_path / "d.tar", members, "w"))
    assert {one.where: one.reason for one in found.broken} == expected
    (tmp_path / "s").mkdir()
    archive_of(tmp_path / "s/d.tar", members, "w")
    assert len(read(tmp_path / "s").broken) == len(expected)
    only = {"5.png": picture(5), "5.cls": b""}
    with pytest.raises(TooFewExamples, match="has no sample with both a picture and a label"):
        read(archive_of(tmp_path / "e.tar", only, "w"))


def test_a_shard_that_is_cut_compressed_or_leads_out_is_refused(tmp_path, picture, read, archive_of):
    (tmp_path / "s").mkdir()
    archive_of(tmp_path / "s/a.tar", samples(picture), "w")
    good = (tmp_path / "s/a.tar").read_bytes()
    (tmp_path / "s/b.tar").write_bytes(good[:700])
    with pytest.raises(SourceDamaged, match=r"b\.tar is damaged or cut short"):
        read(tmp_path / "s")
    archive_of(tmp_path / "s/b.tar", samples(picture), "w:gz")
    with pytest.raises(SourceDamaged, match=r"b\.tar is compressed, and a shard must be a plain tar"):
        read(tmp_path / "s")
    archive_of(tmp_path / "s/b.tar", {"../../x.png": picture(0), "../../x.cls": b"a"}, "w")
    with pytest.raises(SourceDamaged, match="leads outside it"):
        read(tmp_path / "s")
    (tmp_path / "s/b.tar").write_bytes(b"hello")
    with pytest.raises(SourceDamaged, match=r"b\.tar is damaged .* it is no archive|no archive"):
        read(tmp_path / "s")


def test_a_shard_that_changes_while_it_is_read_is_named(tmp_path, picture, read, archive_of):
    (tmp_path / "s").mkdir()
    path = archive_of(tmp_path / "s/a.tar", samples(picture), "w")
    found = read(tmp_path / "s")
    path.write_bytes(path.read_bytes()[:600])
    loaded = decoding.load(found.store, np.arange(4), height=4, width=4, channels=1, threads=2)
    assert {one.reason for one in loaded.broken} == {"the end is missing"}
    path.unlink()
    loaded = decoding.load(found.store, np.arange(4), height=4, width=4, channels=1, threads=2)
    assert {one.reason for one in loaded.broken} == {"the file does not exist"}


def test_links_in_a_shard_are_refused(tmp_path, read):
    (tmp_path / "s").mkdir()
    with tarfile.open(tmp_path / "s/a.tar", "w") as archive:
        link = tarfile.TarInfo("1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        label = tarfile.TarInfo("1.cls")
        label.size = 1
        archive.addfile(label, io.BytesIO(b"a"))
    with pytest.raises(SourceDamaged, match="is a link"):
        read(tmp_path / "s")
