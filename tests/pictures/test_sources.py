import os
import zipfile

import numpy as np
import pytest

from vistazo.errors import SourceError, SourceMissing, UsageError
from vistazo.pictures.sources import iterate_files


def test_what_is_missing_or_of_no_known_format_says_so(tmp_path, picture, write, read):
    with pytest.raises(SourceMissing, match=r"There is nothing at .*nada"):
        read(tmp_path / "nada")
    (tmp_path / "a.docx").write_bytes(b"hello")
    with pytest.raises(SourceError, match=r"a\.docx is in no format that Vistazo reads\. Give a folder"):
        read(tmp_path / "a.docx")
    write(tmp_path, "a.png")
    with pytest.raises(SourceError, match=r"a\.png is one picture\. Give the folder"):
        read(tmp_path / "a.png")


def test_a_file_of_names_names_the_numbers(tmp_path, write, read, table, idx_folder):
    folder = idx_folder(tmp_path / "m")
    (tmp_path / "names.txt").write_text("zapato\ncamisón\n", encoding="cp1252")
    assert read(folder, tmp_path / "names.txt").index.classes == ("camisón", "zapato")
    assert table(read(folder, tmp_path / "names.txt"))["train-images-idx3-ubyte#0"] == ("zapato", "train")
    (tmp_path / "names.txt").write_text("zapato\n")
    with pytest.raises(UsageError, match="go from 0 to 1, and the file of class names has 1 lines"):
        read(folder, tmp_path / "names.txt")
    with pytest.raises(UsageError, match="names its classes itself"):
        read(write(tmp_path / "f", "a/1.png", "b/1.png"), tmp_path / "names.txt")


def test_pictures_come_one_after_the_other_and_what_fails_gives_its_reason(tmp_path, write, archive_of):
    write(tmp_path, "f/a/1.png", "f/2.png")
    archive_of(tmp_path / "z.zip", {"x/1.png": b"zip", "x/notes.txt": b""}, zipfile.ZIP_STORED)
    archive_of(tmp_path / "t.tgz", {"1.png": b"tar"}, "w:gz")
    np.save(tmp_path / "n.npy", np.zeros((2, 25), np.uint8))
    (tmp_path / "raw").write_bytes(b"raw")
    given = [tmp_path / name for name in ("f", "z.zip", "t.tgz", "n.npy", "raw", "lost.png")]
    got = dict(iterate_files([*given, np.zeros((4, 5, 3)), np.zeros((2, 4, 5))]))
    shown = {name.removeprefix(f"{tmp_path}{os.sep}"): content for name, content in got.items()}
    assert list(shown) == [
        *("f/2.png", "f/a/1.png", "z.zip/x/1.png", "t.tgz/1.png", "n.npy#0", "n.npy#1", "raw", "lost.png"),
        *("array-6", "array-7#0", "array-7#1"),
    ]
    assert (shown["z.zip/x/1.png"], shown["t.tgz/1.png"], shown["raw"]) == (b"zip", b"tar", b"raw")
    assert shown["lost.png"] == "the file does not exist"
    assert shown["n.npy#0"].shape == (5, 5)
    assert shown["array-6"].shape == (4, 5, 3)


@pytest.mark.parametrize("name", ["x" * 300, "~nobody_of_that_name/x"], ids=["too long", "nobody's"])
def test_a_name_that_cannot_exist_is_missing(tmp_path, monkeypatch, name, read):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceMissing, match="There is nothing at"):
        read(name)
    assert list(iterate_files([name])) == [(name, "the file does not exist")]
