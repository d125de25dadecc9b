import zipfile

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.pictures import formats
from vistazo.pictures.sources import describe, read_source
from vistazo.pictures.voc import read_annotation

BOX = (
    "<object><name>{name}</name><difficult>{hard}</difficult><bndbox><xmin>{0}</xmin><ymin>{1}</ymin>"
    "<xmax>{2}</xmax><ymax>{3}</ymax></bndbox>{more}</object>"
)


def one(corner, name="cat", *, hard=0, more=""):
    return BOX.format(*corner, name=name, hard=hard, more=more)


def annotation(*objects, size=(12, 10), filename="x.png", head=""):
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    inside = f"<filename>{filename}</filename>{sides}{''.join(objects)}"
    return f"{head}<annotation><folder>f</folder>{inside}</annotation>"


@pytest.fixture
def place(tmp_path, picture):
    """Write texts as they are, and for None a picture of 12 x 10 pixels."""

    def write(files, root="s"):
        for seed, (name, text) in enumerate(files.items()):
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = picture(seed) if text is None else text if isinstance(text, bytes) else text.encode()
            path.write_bytes(data)
        return tmp_path / root

    return write


def found_in(source):
    """{picture: [(class, corners)]}"""
    index = source.index
    told = {where: [] for where in index.where}
    for row, label, corner in zip(
        index.boxes.rows(), index.boxes.label, index.boxes.corner.tolist(), strict=True
    ):
        told[index.where[row]].append((index.classes[label], corner))
    return told


def reasons(source):
    return {fault.where: fault.reason for fault in source.broken}


# ---------------------------------------------------------------- layouts
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(
    ("pictures", "texts"),
    [
        pytest.param("VOCdevkit/VOC2012/JPEGImages", "VOCdevkit/VOC2012/Annotations", id="the devkit"),
        pytest.param("images", "annotations", id="images and annotations"),
        pytest.param("data/train", "data/train", id="side by side in a part"),
        pytest.param("images", "annotations/xmls", id="pets"),
        pytest.param("images", "images", id="side by side in images"),
        pytest.param("x", "x", id="side by side in a wrapper"),
    ],
)
def test_every_usual_layout_is_recognised(place, archive_of, tmp_path, read, pictures, texts, packed):
    source = place(
        {
            f"{pictures}/1.png": None,
            f"{pictures}/2.png": None,
            f"{texts}/1.xml": annotation(one((1, 1, 4, 5)), one((3, 2, 12, 10), "dog")),
            f"{texts}/2.xml": annotation(),
        }
    )
    if packed:
        files = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*.*")}
        source = archive_of(tmp_path / "s.zip", files, zipfile.ZIP_DEFLATED)
    assert formats.holds_boxes(source) == "voc"
    found = read(source)
    assert found.index.kind == "voc"
    assert found_in(found) == {
        f"{pictures}/1.png": [("cat", [0, 0, 4, 5]), ("dog", [2, 1, 12, 10])],
        f"{pictures}/2.png": [],
    }
    assert found.index.boxes.size.tolist() == [[12, 10]] * 2
    assert found.notes[-1] == "Pictures without any box: 1."
    assert not found.broken


def test_raccoons_as_published_are_read_whole(real_data, read):
    found = read(real_data / "raccoon" / "raccoon.zip")
    assert (len(found.index), len(found.index.boxes.label), found.index.classes) == (200, 217, ("raccoon",))
    assert not found.broken
    assert found_in(found)["images/raccoon-18.jpg"] == [("raccoon", [31, 24, 201, 130])]
    told = describe(read_source(real_data / "raccoon" / "raccoon.zip", classes_file=None))
    assert told["lines"][:3] == [
        "format: Pascal VOC boxes",
        "boxes: 217, classes: 1",
        "pictures: 200, classes: 1",
    ]
    assert (told["counts"], told["task"]) == ({"raccoon": 217}, "classification")


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"cat/1.png": None, "dog/2.png": None, "cat/1.xml": "<a/>"}, id="xml in a class folder"),
        pytest.param({"cat/1.png": None, "dog/2.png": None, "meta.xml": "<a/>"}, id="another xml"),
        pytest.param(
            {"train/cat/1.png": None, "train/dog/2.png": None, "train/cat/1.xml": "<a/>"}, id="in a part"
        ),
    ],
)
def test_class_folders_stay_class_folders(place, read, files):
    source = place(files)
    assert formats.holds_boxes(source) == ""
    assert read(source).index.kind == "folder"


# ---------------------------------------------------------------- which picture
def test_a_picture_is_found_by_the_name_of_its_file_then_by_what_the_file_says(place, read):
    source = place(
        {
            "images/1.png": None,
            "images/Ñandú.png": None,
            "images/b/3.png": None,
            "images/c/3.png": None,
            "annotations/1.xml": annotation(one((1, 1, 2, 2)), filename="C:\\old\\2.jpg"),
            "annotations/other.xml": annotation(one((1, 1, 3, 3)), filename="/home/x/N\u0303andu\u0301.JPG"),
            "annotations/c/3.xml": annotation(one((1, 1, 4, 4))),
            "annotations/b/3.xml": annotation(one((1, 1, 5, 5))),
        }
    )
    found = read(source)
    assert {where: boxes[0][1][2] for where, boxes in found_in(found).items()} == {
        "images/1.png": 2, "images/Ñandú.png": 3, "images/b/3.png": 5, "images/c/3.png": 4,
    }  # fmt: skip
    assert "Annotations that name another picture than the one called like themselves: 3." in found.notes


def test_missing_and_doubtful_pictures_are_named_and_left_out(place, read):
    source = place(
        {
            "images/1.png": None,
            "images/a/2.png": None,
            "images/b/2.png": None,
            "images/never annotated.png": None,
            "annotations/1.xml": annotation(one((1, 1, 2, 2))),
            "annotations/1b.xml": annotation(one((1, 1, 2, 2)), filename="1.png"),
            "annotations/2.xml": annotation(one((1, 1, 2, 2)), filename="2.png"),
            "annotations/9.xml": annotation(one((1, 1, 2, 2)), filename="../../../etc/passwd"),
            "annotations/8.xml": annotation(one((1, 1, 2, 2)), filename=""),
        }
    )
    found = read(source)
    assert found.index.where == ("images/1.png",)
    assert reasons(found) == {
        "annotations/1b.xml": "another annotation is of the same picture (images/1.png)",
        "annotations/2.xml": "several pictures are called so (images/a/2.png, images/b/2.png)",
        "annotations/9.xml": "its picture is missing (passwd)",
        "annotations/8.xml": "its picture is missing (8)",
    }
    assert found.notes[0] == "Pictures without an annotation, not used: 3."


def test_lists_of_the_devkit_are_the_parts(place, read):
    files = {f"JPEGImages/{at}.png": None for at in range(6)}
    files |= {f"Annotations/{at}.xml": annotation(one((1, 1, 2, 2), "ab"[at % 2])) for at in range(6)}
    files |= {
        "ImageSets/Main/train.txt": "0\n1\n5\n",
        "ImageSets/Main/val.txt": "\ufeff2 \n",
        "ImageSets/Main/trainval.txt": "0\n1\n2\n",
        "ImageSets/Main/test.txt": "3\n5",
        "ImageSets/Main/a_train.txt": "4 1\n",
    }
    found = read(place(files))
    assert dict(zip(found.index.where, found.index.split.tolist(), strict=True)) == {
        "JPEGImages/0.png": "train",
        "JPEGImages/1.png": "train",
        "JPEGImages/2.png": "validation",
        "JPEGImages/3.png": "test",
        "JPEGImages/5.png": "test",
    }
    assert "Pictures that no list in ImageSets names, not used: 1." in found.notes


def test_folders_named_after_parts_are_the_parts(place, read):
    files = {}
    for part in ("train", "valid", "test"):
        files |= {f"{part}/{part}1.png": None, f"{part}/{part}1.xml": annotation(one((1, 1, 2, 2)))}
    assert read(place(files)).index.split.tolist() == ["test", "train", "validation"]
    alone = {"test/1.png": None, "test/1.xml": annotation(one((1, 1, 2, 2)))}
    assert read(place(alone, "t")).index.split.tolist() == [""]


# ---------------------------------------------------------------- odd boxes
def test_a_box_is_cut_to_its_picture_and_one_without_pixels_is_named(place, read):
    texts = annotation(
        one((-5, -5, 4.5, 300)),
        one((13, 1, 20, 5)),
        one((5, 5, 4, 8)),
        one((3, 3, 2, 2)),
        one(("nan", 1, 2, 2)),
        one(("a", 1, 2, 2)),
        one((1, 1, 2, 2), " "),
        "<object><name>cat</name></object>",
        one((2, 2, 2, 2), "dog", hard=1),
        one((1, 1, 9, 9), more="<part><name>head</name><bndbox><xmin>7</xmin></bndbox></part>"),
    )
    found = read(place({"images/1.png": None, "annotations/1.xml": texts}))
    assert found_in(found)["images/1.png"] == [
        ("cat", [0, 0, 4.5, 10]), ("dog", [1, 1, 2, 2]), ("cat", [0, 0, 9, 9]),
    ]  # fmt: skip
    assert found.index.boxes.difficult.tolist() == [False, True, False]
    assert reasons(found) == {
        "annotations/1.xml#1": "a box outside the picture of 12 × 10",
        "annotations/1.xml#2": "a box of no size",
        "annotations/1.xml#3": "a box of no size",
        "annotations/1.xml#4": "a box whose corners are no numbers",
        "annotations/1.xml#5": "a box whose corners are no numbers",
        "annotations/1.xml#6": "a box without a class",
        "annotations/1.xml#7": "an object without a box",
    }


@pytest.mark.parametrize("size", [(0, 0), (12, 0), ("", ""), (-3, 10), (10**9, 10)])
def test_where_the_annotation_gives_no_size_the_picture_does(place, read, size):
    found = read(
        place({"images/1.png": None, "annotations/1.xml": annotation(one((2, 2, 30, 30)), size=size)})
    )
    assert found.index.boxes.size.tolist() == [[12, 10]]
    assert found_in(found)["images/1.png"] == [("cat", [1, 1, 12, 10])]


def test_a_broken_picture_without_a_size_is_named(place, read):
    source = place(
        {
            "images/1.png": None,
            "images/2.png": b"no picture",
            "annotations/1.xml": annotation(one((1, 1, 2, 2))),
            "annotations/2.xml": annotation(one((1, 1, 2, 2)), size=(0, 0)),
        }
    )
    assert reasons(read(source)) == {"annotations/2.xml": "it is no picture in a known format"}


def test_annotations_without_any_box_are_refused_in_a_sentence(place, read):
    source = place({"images/1.png": None, "annotations/1.xml": annotation()})
    with pytest.raises(TooFewExamples, match=r"has annotations and no box that can be used \(empty\)"):
        read(source)
    source = place({"images/1.png": None, "annotations/2.xml": annotation(one((1, 1, 2, 2)))}, "t")
    with pytest.raises(
        TooFewExamples, match=r"no box that can be used \(its picture is missing \(x\.png\)\)"
    ):
        read(source)


# ---------------------------------------------------------------- hostile XML
ENTITY = "it declares a document type or entities, which no annotation needs"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', id="another file"),
        pytest.param('<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">', id="the network"),
        pytest.param('<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>', id="entities in entities"),
        pytest.param("<!DOCTYPE annotation>", id="a document type alone"),
    ],
)
def test_entities_and_document_types_are_refused_by_name(place, read, head):
    text = annotation(one((1, 1, 2, 2), "&x;"), head=head)
    with pytest.raises(SourceDamaged, match=ENTITY):
        read_annotation(text.encode())
    good = annotation(one((1, 1, 2, 2)))
    source = place(
        {"images/1.png": None, "images/2.png": None, "annotations/1.xml": text, "annotations/2.xml": good}
    )
    assert reasons(read(source)) == {"annotations/1.xml": ENTITY}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "it is no XML", id="empty"),
        pytest.param(b"<annotation>", "it is no XML", id="cut"),
        pytest.param(b"<annotation>&x;</annotation>", "it is no XML", id="an entity nobody declared"),
        pytest.param(
            b'<?xml version="1.0" encoding="nonsense"?><annotation/>', "it is no XML", id="an encoding"
        ),
        pytest.param(b"<annotation>\xff</annotation>", "it is no XML", id="bytes of another encoding"),
        pytest.param(b"<html><object/></html>", "it is no Pascal VOC annotation", id="another document"),
        pytest.param(b"<annotation>" + b"<a>" * 10_000, "it is no Pascal VOC annotation", id="deep"),
        pytest.param(b" " * (9 << 20), "larger than 8 MB", id="large"),
    ],
)
def test_what_is_no_annotation_is_named(data, message):
    with pytest.raises(SourceDamaged, match=message):
        read_annotation(data)


def test_an_annotation_may_be_written_in_another_encoding():
    text = '<?xml version="1.0" encoding="{}"?>' + annotation(one((1, 1, 2, 2), "ñandú"))
    for encoding in ("latin-1", "utf-16", "utf-8"):
        assert read_annotation(text.format(encoding).encode(encoding)).objects[0]["name"] == "ñandú"


def test_mutated_annotations_are_read_or_named_and_never_crash(place, read):
    good = annotation(one((1, 1, 4, 5)), one((3, 2, 12, 10), "dog")).encode()
    rng = np.random.default_rng(3)
    for at in range(300):
        data = bytearray(good)
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(len(data))] = rng.integers(256)
        data = bytes(data) if at % 3 else good[: rng.integers(len(good))]
        try:
            read_annotation(data)
        except SourceDamaged as error:
            assert str(error)
