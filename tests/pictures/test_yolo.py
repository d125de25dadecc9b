import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from vistazo.errors import SourceDamaged, SourceError, TooFewExamples
from vistazo.pictures import formats
from vistazo.pictures.sources import describe, read_source
from vistazo.pictures.yolo import read_yaml


@pytest.fixture
def place(tmp_path, picture):
    def write(files, root="s"):
        for seed, (name, content) in enumerate(files.items()):
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = (
                picture(seed)
                if content is None
                else content
                if isinstance(content, bytes)
                else content.encode()
            )
            path.write_bytes(data)
        return tmp_path / root

    return write


def found_in(source):
    index = source.index
    found = {where: [] for where in index.where}
    for row, label, corner in zip(
        index.boxes.rows(), index.boxes.label, index.boxes.corner.tolist(), strict=True
    ):
        found[index.where[row]].append((index.classes[label], [round(side, 3) for side in corner]))
    return found


# ---------------------------------------------------------------- layouts
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(
    ("pictures", "labels", "names"),
    [
        pytest.param("images/train", "labels/train", {"data.yaml": "names: [cat, dog]"}, id="ultralytics"),
        pytest.param("train/images", "train/labels", {"data.yaml": "names: ['cat', 'dog']"}, id="roboflow"),
        pytest.param("images", "labels", {"classes.txt": "cat\ndog\n"}, id="classes.txt"),
        pytest.param(
            "images", "labels", {"labels/classes.txt": "cat\ndog"}, id="classes.txt beside the labels"
        ),
        pytest.param("x", "x", {"x/classes.txt": "cat\ndog"}, id="side by side"),
        pytest.param(
            "coco8/images",
            "coco8/labels",
            {"coco8.txt": "x", "data.yml": "names:\n  0: cat\n  1: dog"},
            id="a wrapper",
        ),
    ],
)
def test_every_usual_layout_is_recognised(place, archive_of, tmp_path, read, pictures, labels, names, packed):
    files = {f"{pictures}/{at}.png": None for at in (1, 2)}
    files |= {f"{labels}/1.txt": "1 0.5 0.5 0.5 0.2\n0 0 0 1 1 0.87\n", f"{labels}/2.txt": ""} | names
    if "data.yml" in files:  # beside the wrapper, and not in it
        files["coco8/data.yml"] = files.pop("data.yml")
        del files["coco8.txt"]
    source = place(files)
    if packed:
        members = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*.*")}
        source = archive_of(tmp_path / "s.zip", members, zipfile.ZIP_DEFLATED)
    assert formats.holds_boxes(source) == "yolo"
    found = read(source)
    assert found.index.kind == "yolo"
    assert found_in(found) == {
        f"{pictures}/1.png": [("dog", [3, 4, 9, 6]), ("cat", [0, 0, 6, 5])],
        f"{pictures}/2.png": [],
    }
    assert not found.broken
    assert found.notes == ("Pictures without any box: 1.",)


def test_a_picture_without_a_text_has_no_boxes_and_a_text_without_a_picture_is_named(place, read):
    source = place(
        {
            "images/1.png": None,
            "images/2.png": None,
            "labels/1.txt": "3 .5 .5 1 1",
            "labels/9.txt": "0 1 1 1 1",
        }
    )
    found = read(source)
    assert found_in(found) == {"images/1.png": [("3", [0, 0, 12, 10])], "images/2.png": []}
    assert [(one.where, one.reason) for one in found.broken] == [
        ("labels/9.txt", "its picture is missing (9)")
    ]


def test_polygons_count_by_the_box_around_them(place, read):
    source = place({"images/1.png": None, "labels/1.txt": "0 .25 .1 .5 .9 .75 .2\n0 .1 .1 .2 .1 .2 .3 .1 .3"})
    assert found_in(read(source))["images/1.png"] == [("0", [3, 1, 9, 9]), ("0", [1.2, 1, 2.4, 3])]


def test_corners_count_in_the_upright_picture(place, read):
    sink, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(sink, "JPEG", exif=exif)
    source = place({"images/1.jpg": sink.getvalue(), "labels/1.txt": "0 .5 .5 1 .5"})
    found = read(source)
    assert found.index.boxes.size.tolist() == [[20, 40]]
    assert found.index.boxes.upright
    assert found_in(found)["images/1.jpg"] == [("0", [0, 10, 20, 30])]


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        pytest.param(
            "train: images/a\nval: images/b\n", {"a": "train", "b": "validation", "c": "train"}, id="folders"
        ),
        pytest.param(
            "path: ../datasets/x\ntrain: ../x/images/a/\nval: /abs/x/images/b\ntest:\n  - images/c\n",
            {"a": "train", "b": "validation", "c": "test"},
            id="paths that lead elsewhere",
        ),
        pytest.param(
            "train: list.txt\nval: images/b", {"a": "train", "b": "validation", "c": ""}, id="a list"
        ),
        pytest.param("train: images\nval: images", {"a": "", "b": "", "c": ""}, id="all in both"),
    ],
)
def test_data_yaml_says_the_parts(place, read, yaml, expected):
    files = {f"images/{folder}/{folder}1.png": None for folder in "abc"}
    files |= {f"labels/{folder}/{folder}1.txt": "0 .5 .5 1 1" for folder in "abc"}
    files |= {"data.yaml": yaml + "\nnames: [x]", "list.txt": "./images/a/a1.png\n"}
    if yaml.startswith("train: images/a"):
        files = {name.replace("images/c/c", "images/train/c").replace("labels/c/c", "labels/train/c"): text
                 for name, text in files.items()}  # fmt: skip
    found = read(place(files))
    told = {
        where.split("/")[-1][0]: part
        for where, part in zip(found.index.where, found.index.split, strict=True)
    }
    assert told == expected


def test_check_says_so(place):
    source = place({"images/1.png": None, "labels/1.txt": "0 .5 .5 1 1\n1 .5 .5 1 1", "classes.txt": "a\nb"})
    assert describe(read_source(source, classes_file=None))["lines"] == [
        "format: YOLO boxes",
        "boxes: 2, classes: 2",
        "pictures: 1, classes: 2",
        "  a: 1",
        "  b: 1",
    ]


# ---------------------------------------------------------------- a little YAML
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("names: [a, b c, 'd, e', \"f # g\"] # h", ["a", "b c", "d, e", "f # g"]),
        ("nc: 2\nnames:\n- a\n- 'it''s'\n", ["a", "it's"]),
        ("names:\n  - a # first\n  -   b\nroboflow:\n  workspace: x\n", ["a", "b"]),
        ("names:\n  0: person\n  1: 'ñu: grande'\n", {"0": "person", "1": "ñu: grande"}),
        ("names: {0: a, 1: 'b'}", {"0": "a", "1": "b"}),
        ("names: [a,\n        b,\n  c]\ntrain: x", ["a", "b", "c"]),
        ("names: []", []),
        ("---\nnames: one\n...\n", "one"),
        ("download: |\n  import x\n  y = [1, {\n  # z: &a\nnames: [a]", ["a"]),
        ("x: &anchor {b: [\ntrainer: *y\nnames: [a]", ["a"]),
    ],
)
def test_yaml_as_it_is_written_for_boxes(text, expected):
    assert read_yaml(text)["names"] == expected


@pytest.mark.parametrize(
    "text",
    [
        "names: [a, b",
        "names: &x [a]",
        "names: !!python/object/apply:os.system [ls]",
        "names: |\n  a",
        "names:\n  - a\n  b: c",
        "names: *x",
        "names:\n  nonsense",
    ],
)
def test_yaml_that_is_more_than_is_needed_is_refused(place, read, text):
    with pytest.raises(ValueError, match=r"."):
        read_yaml(text)
    source = place({"images/1.png": None, "labels/1.txt": "0 .5 .5 1 1", "data.yaml": text})
    with pytest.raises(
        SourceDamaged, match=r"data\.yaml is not understood: .* It needs a line such as names: \[cat"
    ):
        read(source)


# ---------------------------------------------------------------- bad input
def test_odd_lines_are_named_and_left_out(place, read):
    lines = ["0 .5 .5 1 1", "", "0 .5 .5 1", "x .5 .5 1 1", "-1 .5 .5 1 1", "1.5 .5 .5 1 1", "0 120 80 30 30",
             "5 .5 .5 1 1", "0 .5 .5 0 1", "0 nan .5 1 1", "0 1.7 .5 .2 .2", "0 inf 0 1 1"]  # fmt: skip
    source = place(
        {"images/1.png": None, "labels/1.txt": "\ufeff" + "\n".join(lines), "classes.txt": "a\n\nc"}
    )
    found = read(source)
    assert found_in(found) == {"images/1.png": [("a", [0, 0, 12, 10])]}
    assert {one.where.split("#")[1]: one.reason for one in found.broken} == {
        "2": "a line that is no box: '0 .5 .5 1'",
        "3": "a line that is no box: 'x .5 .5 1 1'",
        "4": "a line that is no box: '-1 .5 .5 1 1'",
        "5": "a line that is no box: '1.5 .5 .5 1 1'",
        "6": "a line that is no box: '0 120 80 30 30'",
        "7": "a box of class 5, which has no name",
        "8": "a box of no size",
        "9": "a box whose corners are no numbers",
        "10": "a box outside the picture of 12 × 10",
        "11": "a line that is no box: '0 inf 0 1 1'",
    }


def test_a_broken_picture_is_named_and_nothing_left_is_refused(place, read):
    source = place(
        {
            "images/1.png": b"",
            "images/2.png": None,
            "labels/1.txt": "0 .5 .5 1 1",
            "labels/2.txt": "0 .5 .5 1 1",
        }
    )
    assert [(one.where, one.reason) for one in read(source).broken] == [
        ("images/1.png", "it is no picture in a known format")
    ]
    with pytest.raises(TooFewExamples, match="no box that can be used"):
        read(place({"images/1.png": None, "labels/1.txt": b"\x00\xff" * 50}, "t"))


def test_mutated_files_are_read_or_named_and_never_crash(place, read):
    files = {
        "images/1.png": None,
        "labels/1.txt": "0 .5 .5 1 1\n1 .2 .2 .1 .1",
        "data.yaml": "names:\n  0: a\n  1: b\ntrain: x",
    }
    source = place(files)
    rng = np.random.default_rng(5)
    for name in ("labels/1.txt", "data.yaml"):
        good = (source / name).read_bytes()
        for _ in range(150):
            data = bytearray(good)
            for _ in range(rng.integers(1, 6)):
                data[rng.integers(len(data))] = rng.integers(256)
            (source / name).write_bytes(bytes(data))
            try:
                assert all(one.reason for one in read(source).broken)
            except SourceError as error:
                assert str(error)
        (source / name).write_bytes(good)
