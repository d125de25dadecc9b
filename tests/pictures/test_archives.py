import os
import struct
import tarfile
import tempfile
import threading
import time
import zipfile

import numpy as np
import pytest

from vistazo.errors import DiskError, SourceDamaged, SourceError
from vistazo.pictures import archives, stores
from vistazo.pictures.sources import iterate_files

KINDS = [
    pytest.param("d.zip", zipfile.ZIP_STORED, id="zip stored"),
    pytest.param("d.zip", zipfile.ZIP_DEFLATED, id="zip deflated"),
    pytest.param("d.zip", zipfile.ZIP_BZIP2, id="zip bzip2"),
    pytest.param("d.tar", "w", id="tar"),
    pytest.param("d.tar.gz", "w:gz", id="tar.gz"),
    pytest.param("d.tar.xz", "w:xz", id="tar.xz"),
    pytest.param("d.tbz2", "w:bz2", id="tar.bz2"),
]


@pytest.mark.parametrize(("name", "how"), KINDS)
def test_an_archive_is_read_in_place(tmp_path, name, how, read, archive_of, members):
    path = archive_of(
        tmp_path / name, {**members, "__MACOSX/raíz/a/._0.png": b"x", "raíz/.DS_Store": b"x"}, how
    )
    source = read(path)
    assert source.index.classes == ("a", "b")
    assert source.index.where == tuple(sorted(members))
    assert [source.store.read(row) for row in range(8)] == [members[where] for where in source.index.where]
    assert source.store.take(np.array([3, 5])).read(1) == members[source.index.where[5]]
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(("name", "how"), KINDS[1:5])
def test_an_archive_is_read_by_several_threads(tmp_path, name, how, read, archive_of, members):
    store = read(archive_of(tmp_path / name, members, how)).store
    wrong = []

    def work():
        wrong.extend(
            row for _ in range(50) for row in range(8) if store.read(row) != members[store.name(row)]
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", ["../../a.png", "/etc/a.png", r"a\..\..\b.png", "C:/a.png", "a/../../b.png"])
@pytest.mark.parametrize(("file", "how"), [KINDS[1], KINDS[3], KINDS[4]])
def test_an_archive_that_leads_outside_is_refused(tmp_path, name, file, how, read, archive_of, members):
    path = archive_of(tmp_path / file, {**members, name: b"x"}, how)
    with pytest.raises(SourceDamaged, match=r"leads outside it\. Nothing was read"):
        read(path)
    assert [type(content) for _, content in iterate_files([path])][-1] is str


def test_links_in_archives_are_refused(tmp_path, read):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        with tarfile.open(tmp_path / "l.tar", "w") as archive:
            info = tarfile.TarInfo("a/passwd.png")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        with pytest.raises(SourceDamaged, match=r"'a/passwd\.png' is a link"):
            read(tmp_path / "l.tar")
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        link = zipfile.ZipInfo("a/passwd.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SourceDamaged, match=r"'a/passwd\.png' is a link"):
        read(tmp_path / "l.zip")


def test_an_encrypted_zip_is_named(tmp_path, read, archive_of, members):
    data = bytearray(archive_of(tmp_path / "e.zip", members, zipfile.ZIP_DEFLATED).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    (tmp_path / "e.zip").write_bytes(data)
    with pytest.raises(SourceDamaged, match="encrypted; unpack it with its password first"):
        read(tmp_path / "e.zip")


@pytest.mark.parametrize(("name", "how"), [KINDS[1], KINDS[4], KINDS[5], KINDS[6]])
def test_bombs_end_in_a_named_error(tmp_path, name, how, read, archive_of):
    path = archive_of(tmp_path / name, {"a/1.png": bytes(80 << 20)}, how)
    start = time.perf_counter()
    with pytest.raises(SourceDamaged, match="it unpacks to far more than its own size"):
        read(path)
    assert time.perf_counter() - start < 1


def test_a_member_that_lies_about_its_size_is_not_unpacked_whole(tmp_path, read, archive_of):
    path = archive_of(tmp_path / "d.zip", {"a/1.png": bytes(50 << 20), "b/1.png": b"x"}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    path.write_bytes(data)
    with pytest.raises(SourceDamaged, match="the archive is damaged here"):
        read(path).store.read(0)


@pytest.mark.parametrize(("name", "how"), KINDS)
def test_any_damaged_archive_is_read_or_named(tmp_path, name, how, read, archive_of, members):
    good = archive_of(tmp_path / name, members, how).read_bytes()
    rng = np.random.default_rng(0)
    reasons = []
    for at in range(80):
        data = bytearray(good[: rng.integers(1, len(good))] if at % 3 == 0 else good)
        for place in rng.integers(0, len(data), 5):
            data[place] = rng.integers(256)
        (tmp_path / name).write_bytes(data)
        try:
            store = read(tmp_path / name).store
        except SourceError as error:
            reasons.append(str(error))
            continue
        for row in range(len(store)):
            try:
                store.read(row)
            except SourceDamaged as error:
                reasons.append(str(error))
    assert all(reasons)


def test_cifar_in_its_zip(real_data, read):
    source = read(real_data / "cifar10-jpeg.zip")
    assert len(source.index.classes) == 10
    assert len(source.index.rows("train")) == 50_000
    assert source.store.read(59_999)[:3] == b"\xff\xd8\xff"


# ---------------------------------------------------------------- damage and want of space
LARGE = {f"{at % 2}/{at}.png": np.random.default_rng(at).bytes(30_000) for at in range(8)}


@pytest.mark.parametrize(("name", "how"), KINDS[3:])
def test_a_tar_cut_within_its_pictures_is_named(tmp_path, name, how, read, archive_of):
    path = archive_of(tmp_path / name, LARGE, how)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(SourceDamaged, match="is damaged or cut short"):
        read(path)
    *_, (_, last) = iterate_files([path])
    assert "is damaged or cut short" in last


def test_a_damaged_header_does_not_pass_for_the_end_of_a_tar(tmp_path, read, archive_of):
    path = archive_of(tmp_path / "d.tar", LARGE, "w")
    data = bytearray(path.read_bytes())
    at = data.index(b"1/3.png")
    data[at : at + 100] = b"?" * 100
    path.write_bytes(data)
    with pytest.raises(SourceDamaged, match="is damaged or cut short"):
        read(path)


def test_a_tar_with_a_negative_size_ends(tmp_path, read):
    info = tarfile.TarInfo("a/1.png")
    header = bytearray(info.tobuf())
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"  # -1024 to base 256: back to the same header for ever
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (tmp_path / "d.tar").write_bytes(bytes(header) + bytes(2048))
    with pytest.raises(SourceDamaged, match=r"d\.tar is damaged or cut short"):
        read(tmp_path / "d.tar")


@pytest.mark.parametrize(("name", "how"), KINDS)
def test_a_picture_too_large_to_read_is_named(tmp_path, name, how, read, archive_of, members, monkeypatch):
    path = archive_of(tmp_path / name, {**members, "raíz/a/9.png": bytes(20_000)}, how)
    for module in (stores, archives):
        monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    store = read(path).store
    assert store.name(4) == "raíz/a/9.png"
    with pytest.raises(SourceDamaged, match="the file is larger than"):
        store.read(4)
    assert dict(iterate_files([path]))[f"{path}/raíz/a/9.png"].startswith("the file is larger than")


@pytest.mark.parametrize("field", [20, 42], ids=["packed size", "place of the header"])
def test_a_zip_that_points_beyond_its_end_is_named(tmp_path, field, read, archive_of, members):
    data = bytearray(archive_of(tmp_path / "d.zip", members, zipfile.ZIP_STORED).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + field : at + field + 4] = b"\xf0\xff\xff\xff"
    (tmp_path / "d.zip").write_bytes(data)
    with pytest.raises(SourceDamaged):
        read(tmp_path / "d.zip").store.read(0)
    assert any(isinstance(content, str) for _, content in iterate_files([tmp_path / "d.zip"]))


def test_a_full_disk_under_a_compressed_tar_is_told(tmp_path, small_disk, read, archive_of, monkeypatch):
    path = archive_of(tmp_path / "d.tar.gz", LARGE, "w:gz")
    full = small_disk("64k")
    monkeypatch.setattr(tempfile, "tempdir", str(full))
    monkeypatch.setattr(archives, "SMALL", 1000)
    with pytest.raises(DiskError, match=rf"The disk is full: {full} could not be written"):
        read(path)
    assert os.listdir(full) == []
