import os
import unicodedata

import pytest

from vistazo.errors import TooFewExamples


def test_a_folder_for_each_class(tmp_path, write, read, table):
    source = read(
        write(tmp_path, "gato/1.png", "gato/b/c/2.jpg", "perro/1.PNG", "perro/.oculto.png", "gato/Thumbs.db")
    )
    assert table(source) == {
        "gato/1.png": ("gato", ""),
        "gato/b/c/2.jpg": ("gato", ""),
        "perro/1.PNG": ("perro", ""),
    }
    assert source.index.kind == "folder"
    assert source.index.source == str(tmp_path)
    assert source.notes == ()
    assert source.store.read(0) == (tmp_path / "gato/1.png").read_bytes()


@pytest.mark.parametrize(
    "parts",
    [("train", "val", "test"), ("Training", "valid", "Testing"), ("ENTRENAMIENTO", "Validación", "prueba")],
)
def test_folders_named_like_parts_are_parts(tmp_path, parts, write, read, table):
    source = read(write(tmp_path, *(f"{part}/{name}/1.png" for part in parts for name in "ab")))
    assert source.index.classes == ("a", "b")
    assert sorted(set(table(source).values())) == [
        (n, p) for n in "ab" for p in ("test", "train", "validation")
    ]


def test_a_class_may_be_called_train(tmp_path, write, read):
    assert read(write(tmp_path, "train/1.png", "bus/1.png")).index.classes == ("bus", "train")


def test_wrapping_folders_are_descended(tmp_path, write, read):
    source = read(
        write(tmp_path, "datos/v2/a/1.png", "datos/v2/b/1.png", "datos/__MACOSX/a/1.png", "léeme.txt")
    )
    assert source.index.classes == ("a", "b")
    assert source.index.where[0] == "datos/v2/a/1.png"
    assert source.notes == ("Files that are not pictures, not used: .txt (1).",)


def test_both_spellings_of_an_accent_are_one_class_and_numbers_sort_as_numbers(tmp_path, write, read):
    nfd = unicodedata.normalize("NFD", "año")
    source = read(write(tmp_path, "año/1 ñ.png", f"{nfd}/2.png", "10/1.png", "9/1.png"))
    assert source.index.classes == ("9", "10", "año")
    assert (source.index.label == 2).sum() == 2
    assert all(source.store.read(row) for row in range(4))


def test_links_in_a_circle_end(tmp_path, write, read):
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    assert len(read(tmp_path).index) == 2


def test_a_name_that_is_no_text_is_listed(tmp_path, picture, write, read):
    write(tmp_path, "a/1.png", "b/1.png")
    try:
        (tmp_path / os.fsdecode(b"a/\xff.png")).write_bytes(picture())
    except OSError:
        pytest.skip("this file system takes no such names")
    assert [(fault.where, fault.reason) for fault in read(tmp_path).broken] == [
        (r"a/\xff.png", "its name is not valid text; rename it")
    ]


def test_classes_that_only_the_test_part_has_are_left_out(tmp_path, picture, write, read, table):
    source = read(write(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"))
    assert source.index.classes == ("a", "b")
    assert table(source)["test/c/1.png"] == (None, "out")
    assert source.notes == ("Left out: 1 test pictures of classes without any training picture (c).",)


@pytest.mark.parametrize(
    ("names", "folders", "message"),
    [
        pytest.param([], [], r"has no pictures \(empty\)", id="empty"),
        pytest.param(["a/x.svg", "b/y.txt"], [], r"has no pictures \(\.svg: 1, \.txt: 1\)", id="no pictures"),
        pytest.param(["1.png", "2.png"], [], "has 2 pictures and no class folders", id="no classes"),
        pytest.param(
            ["a/1.png", "b/1.png"],
            ["vacía"],
            "The class folder 'vacía' in .* has no pictures",
            id="empty class",
        ),
    ],
)
def test_a_folder_that_cannot_be_learnt_from_says_why(tmp_path, names, folders, message, write, read):
    write(tmp_path, *names)
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(TooFewExamples, match=message):
        read(tmp_path)


def test_a_link_to_itself_is_listed_and_the_rest_is_read(tmp_path, write, read):
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a/loop.png").symlink_to(tmp_path / "a/loop.png")
    source = read(tmp_path)
    assert len(source.index) == 2
    assert [fault.where for fault in source.broken] == ["a/loop.png"]
