"""Pictures are copied into a folder of their class; nothing is moved, nothing is overwritten."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vistazo.classification.sorting import Sorter, folder_names
from vistazo.errors import DiskError


@pytest.mark.parametrize(
    ("classes", "folders"),
    [
        (["perro", "ñandú"], ["perro", "ñandú"]),
        (["a/b", "a\\b", "a:b"], ["a_b", "a_b (2)", "a_b (3)"]),
        (["Cat", "cat", "CAT"], ["Cat", "cat (2)", "CAT (3)"]),
        (["con", "COM1", "lpt9.x", "console"], ["con_", "COM1_", "lpt9.x_", "console"]),
        (["dots...", "space ", "..", ".", ""], ["dots", "space", "_", "_ (2)", "_ (3)"]),
        (["x" * 300], ["x" * 120]),
        (["a\x00\x1fb", "<i>?*|"], ["a__b", "_i____"]),
    ],
)
def test_folders_have_names_that_every_system_takes(classes, folders):
    assert list(folder_names(classes).values()) == folders
    assert list(folder_names(classes)) == classes


def test_a_second_picture_of_the_same_name_gets_a_number(tmp_path):
    sorter = Sorter(tmp_path / "out", ["a", "b"])
    assert sorter.place("x/1.jpg", b"one", ["a"]) == [str(tmp_path / "out" / "a" / "1.jpg")]
    assert sorter.place("y/1.jpg", b"two", ["a"]) == [str(tmp_path / "out" / "a" / "1 (2).jpg")]
    assert sorter.place("y\\1.jpg", b"two", ["b"]) == [str(tmp_path / "out" / "b" / "1.jpg")]
    assert sorter.place("z/1.jpg", b"one", ["a"]) == [str(tmp_path / "out" / "a" / "1.jpg")], (
        "it is there already"
    )
    assert {path.name: path.read_bytes() for path in (tmp_path / "out" / "a").iterdir()} == {
        "1.jpg": b"one",
        "1 (2).jpg": b"two",
    }


def test_several_labels_give_several_copies_and_none_its_own_folder(tmp_path):
    sorter = Sorter(tmp_path, ["sun", "sea", "no label"])
    assert len(sorter.place("1.jpg", b"x", ["sun", "sea"])) == 2
    assert (
        sorter.place("1.jpg", b"x", []) == [str(tmp_path / "no label" / "1.jpg")]
        or (tmp_path / "no label (2)" / "1.jpg").exists()
    )


def test_pixels_become_a_picture(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    (path,) = Sorter(tmp_path, ["a"]).place("train-images#3", pixels, ["a"])
    assert path.endswith("train-images#3.png")
    assert np.array_equal(np.asarray(Image.open(path)), pixels)


def test_a_full_disk_is_told_and_no_half_picture_is_left(small_disk):
    disk = small_disk("64k")
    sorter = Sorter(disk, ["a"])
    with pytest.raises(DiskError):
        sorter.place("1.jpg", bytes(200_000), ["a"])
    assert list((disk / "a").iterdir()) == []


# ---------------------------------------------------------------- with a model
def test_predict_sorts_files_folders_and_archives(verb, earlier, in_tmp, clothes):
    pictures = in_tmp / "new" / "deep"
    pictures.mkdir(parents=True)
    for at in range(10):
        Image.fromarray(clothes[0][at]).save(pictures / f"{at}.png")
    (in_tmp / "new" / "bad.png").write_bytes(b"x")
    with zipfile.ZipFile(in_tmp / "more.zip", "w") as archive:
        for at in range(10, 12):
            sink = io.BytesIO()
            Image.fromarray(clothes[0][at]).save(sink, "PNG")
            archive.writestr(f"in/{at - 10}.png", sink.getvalue())
    before = {path: path.read_bytes() for path in (in_tmp / "new").rglob("*.png")}
    said = verb("predict", earlier, "new", "more.zip", "--sort-into", "sorted", "--json")
    told = said.json
    assert len(told["predictions"]) == 12 and len(told["unreadable"]) == 1
    for one in told["predictions"]:
        (copy,) = one["copies"]
        assert Path(copy).parent == Path("sorted", one["class"])
        if one["file"].startswith("new"):
            assert (in_tmp / copy).read_bytes() == (in_tmp / one["file"]).read_bytes()
    assert len(list((in_tmp / "sorted").rglob("*.png"))) == 12
    assert {path: path.read_bytes() for path in (in_tmp / "new").rglob("*.png")} == before
    again = verb("predecir", earlier, "new", "more.zip", "--ordenar-en", "sorted", "--lang", "es")
    assert again.code == 0
    assert len(list((in_tmp / "sorted").rglob("*.png"))) == 12


def test_a_model_of_another_kind_does_not_sort(verb, in_tmp):
    rows = "\n".join(f"{at * 7 % 11},{at % 2}" for at in range(80))
    (in_tmp / "t.csv").write_text("x,y\n" + rows, encoding="utf-8")
    assert verb("train", "t.csv", "--target", "y", "--epochs", "1", "--out", "t", "--quiet").code == 0
    said = verb("predict", "t", "t.csv", "--sort-into", "x")
    assert (said.code, said.err) == (2, "This model does not take --sort-into; leave it out.\n")
    said = verb("predecir", "t", "t.csv", "--sort-into", "x", "--lang", "es")
    assert (said.code, said.err) == (2, "Este modelo no admite --ordenar-en; quítalo.\n")
