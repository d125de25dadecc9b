import json
import zipfile

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, SourceError, TooFewExamples
from vistazo.pictures import formats
from vistazo.pictures.coco import elements
from vistazo.pictures.sources import describe, read_source


def told(images, annotations, categories=((1, "cat"), (7, "dog")), **more):
    """A file in COCO's way: images (id, name), annotations (picture, class, box)."""
    return {
        "info": {"year": 2024, "nested": [1, {"a": "]}"}]},
        "images": [{"id": key, "file_name": name, "width": 12, "height": 10} for key, name in images],
        "annotations": [
            {
                "id": at,
                "image_id": image,
                "category_id": category,
                "bbox": list(box),
                "iscrowd": 0,
                "segmentation": [],
            }
            for at, (image, category, box) in enumerate(annotations)
        ],
        "categories": [{"id": key, "name": name, "supercategory": "animal"} for key, name in categories],
    } | more


@pytest.fixture
def place(tmp_path, picture):
    def write(files, root="s"):
        for seed, (name, content) in enumerate(files.items()):
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, dict):
                content = json.dumps(content).encode()
            path.write_bytes(picture(seed) if content is None else content)
        return tmp_path / root

    return write


def found_in(source):
    index = source.index
    found = {where: [] for where in index.where}
    for row, label, corner in zip(
        index.boxes.rows(), index.boxes.label, index.boxes.corner.tolist(), strict=True
    ):
        found[index.where[row]].append((index.classes[label], corner))
    return found


SOME = told([(1, "1.png"), (2, "2.png")], [(2, 7, (1, 2, 3, 4)), (1, 1, (0, 0, 20, 5)), (2, 1, (5, 5, 2, 2))])


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(
    ("file", "pictures"),
    [
        pytest.param("annotations/instances_train2017.json", "train2017", id="as published"),
        pytest.param("wrapper/train/_annotations.coco.json", "wrapper/train", id="roboflow"),
        pytest.param("labels.json", "data", id="fiftyone"),
        pytest.param("annotations/mine.json", "images", id="an exported one"),
    ],
)
def test_every_usual_layout_is_recognised(place, archive_of, tmp_path, read, file, pictures, packed):
    source = place({f"{pictures}/1.png": None, f"{pictures}/2.png": None, file: SOME})
    if packed:
        files = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*.*")}
        source = archive_of(tmp_path / "s.zip", files, zipfile.ZIP_DEFLATED)
    assert formats.holds_boxes(source) == "coco"
    found = read(source)
    assert (found.index.kind, found.index.classes) == ("coco", ("cat", "dog"))
    assert found_in(found) == {
        f"{pictures}/1.png": [("cat", [0, 0, 12, 5])],
        f"{pictures}/2.png": [("dog", [1, 2, 4, 6]), ("cat", [5, 5, 7, 7])],
    }
    assert not found.broken and not found.notes


def test_files_are_parts_and_a_name_in_both_folders_is_told_apart(place, read):
    files = {f"{folder}/{name}.png": None for folder in ("train2017", "val2017") for name in "ab"}
    files["annotations/instances_train2017.json"] = told(
        [(1, "a.png"), (2, "b.png")], [(1, 1, (0, 0, 2, 2)), (2, 7, (0, 0, 2, 2))]
    )
    files["annotations/instances_val2017.json"] = told([(1, "a.png")], [(1, 7, (0, 0, 3, 3))])
    files["annotations/captions_train2017.json"] = b"{"
    files["annotations/other.json"] = b"[]"
    found = read(place(files))
    assert dict(zip(found.index.where, found.index.split.tolist(), strict=True)) == {
        "train2017/a.png": "train", "train2017/b.png": "train", "val2017/a.png": "validation",
    }  # fmt: skip
    assert found_in(found)["val2017/a.png"] == [("dog", [0, 0, 3, 3])]
    assert found.notes == ("Pictures without an annotation, not used: 1.",)
    lines = describe(read_source(place(files), classes_file=None))["lines"]
    assert lines[:3] == [
        "format: COCO boxes",
        "parts that it names: train 2, validation 1",
        "boxes: 3, classes: 2",
    ]


def test_a_picture_of_two_files_counts_in_the_stricter_part(place, read):
    files = {f"images/{name}.png": None for name in "ab"}
    files["annotations/instances_train.json"] = told([(1, "a.png"), (2, "b.png")], [(2, 1, (0, 0, 2, 2))])
    files["annotations/instances_test.json"] = told([(9, "a.png")], [(9, 1, (0, 0, 2, 2))])
    found = read(place(files))
    assert found.index.split.tolist() == ["test", "train"]
    assert [(one.where, one.reason) for one in found.broken] == [
        ("annotations/instances_train.json: a.png", "another entry is of the same picture (images/a.png)")
    ]


def test_crowds_are_difficult_and_odd_entries_are_named(place, read):
    content = told([(1, "1.png"), ("two", "sub/2.png"), (3, "../../3.png")], [])
    content["images"] += [
        {"id": 1, "file_name": "1.png"},
        {"id": 8},
        {"id": 9, "file_name": "https://x.org/9.png"},
    ]
    content["annotations"] = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "iscrowd": 1},
        {"id": 2, "image_id": "two", "category_id": 7, "bbox": [1.5, 1, 5, 5]},
        {"id": 3, "image_id": 77, "category_id": 7, "bbox": [1, 1, 5, 5]},
        {"id": 4, "image_id": 1, "category_id": 99, "bbox": [1, 1, 5, 5]},
        {"id": 5, "image_id": 1, "category_id": 1, "bbox": []},
        {"id": 6, "image_id": 1, "category_id": 1},
        {"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 1, "x", 5]},
        {"id": 8, "image_id": 1, "category_id": 1, "bbox": [1, 1, 0, 5]},
        {"id": 9, "image_id": 1, "category_id": 1, "bbox": [1, 1, float("nan"), 5]},
        {"id": 10, "image_id": 1, "category_id": 1, "bbox": [100, 1, 4, 5]},
        {"id": 11, "image_id": 1, "category_id": 1, "bbox": [1, 1, 10**400, 5]},
    ]
    found = read(place({"images/1.png": None, "images/2.png": None, "annotations/a.json": content}))
    assert found_in(found) == {
        "images/1.png": [("cat", [1, 1, 6, 6])],
        "images/2.png": [("dog", [1.5, 1, 6.5, 6])],
    }
    assert found.index.boxes.difficult.tolist() == [True, False]
    reasons = sorted(one.reason for one in found.broken)
    assert reasons == sorted(
        ["an entry without a file or with another one's id"] * 2
        + ["its picture is missing (3.png)", "its picture is missing (9.png)"]
        + ["a box of a picture that is not listed", "a box without a class"]
        + ["an object without a box"] * 4
        + ["a box of no size", "a box whose corners are no numbers"]
        + ["a box outside the picture of 12 × 10"]
    )


def test_boxes_may_come_before_their_pictures_and_sizes_may_be_missing(place, read):
    content = dict(reversed(told([(1, "1.png")], [(1, 1, (1, 1, 50, 50))]).items()))
    del content["images"][0]["width"]
    content["images"][0]["height"] = 0
    found = read(place({"images/1.png": None, "annotations/a.json": content}))
    assert found_in(found) == {"images/1.png": [("cat", [1, 1, 12, 10])]}


def test_other_json_beside_class_folders_is_left_alone(place, read):
    source = place(
        {"a/1.png": None, "b/1.png": None, "annotations.json": {"by": "me"}, "labels.json": {"a": 1}}
    )
    assert formats.holds_boxes(source) == ""
    assert read(source).index.kind == "folder"


# ---------------------------------------------------------------- the file, element by element
@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
def test_elements_come_out_the_same_however_the_file_is_cut(size):
    content = told(
        [(at, f"ñ{at}.png") for at in range(20)], [(at, 1, (at, 1.25, 3, 4e1)) for at in range(50)]
    )
    content |= {"empty": [], "images ": "no", "numbers": [1, 22, 333], "last": 12}
    data = json.dumps(content, indent=1, ensure_ascii=False).encode()
    cut = (data[at : at + size] for at in range(0, len(data), size))
    found = list(elements(cut, ("images", "annotations", "empty", "numbers")))
    assert found == [
        (key, one) for key in ("images", "annotations", "empty", "numbers") for one in content[key]
    ]


def test_a_file_larger_than_its_window_is_never_held_whole():
    import tracemalloc

    one = json.dumps({"id": 1, "segmentation": "x" * 6000}).encode()

    def chunks():
        yield b'{"annotations": ['
        for _ in range(2000):
            yield b",".join([one] * 5) + b","
        yield one + b"]}"

    tracemalloc.start()
    count = sum(1 for _ in elements(chunks(), ("annotations",)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 10_001
    assert most < 12 << 20  # of 60 MB


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"images": [{"id": 1}', id="cut in a list"),
        pytest.param(b'{"images": [{"id": 1', id="cut in an entry"),
        pytest.param(b'{"images": [3]}', id="a number"),
        pytest.param(b'{"images": [{"id": [1], "file_name": "a.png"}]}', id="an id that is a list"),
        pytest.param(b'{"images": [' + b"[" * 200_000, id="deep"),
        pytest.param(b'{"images": [], "annotations": []}', id="nothing in it"),
        pytest.param(b'{"images": {}}', id="an object for a list"),
        pytest.param(b'\xff\xfe{"images"', id="another encoding"),
        pytest.param(b'{"images": [{"id": ' + b"9" * 10_000 + b"}]}", id="a number without end"),
    ],
)
def test_a_file_that_is_no_coco_is_refused_in_a_sentence(place, read, data):
    source = place({"images/1.png": None, "annotations/a.json": data})
    with pytest.raises(
        SourceDamaged, match=r"a\.json (is damaged or cut short|is no file of boxes in COCO's way)"
    ):
        read(source)


def test_mutated_files_are_read_or_named_and_never_crash(place, read):
    good = json.dumps(SOME).encode()
    source = place({"images/1.png": None, "images/2.png": None, "annotations/a.json": good})
    rng = np.random.default_rng(4)
    read_whole = 0
    for at in range(250):
        data = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.integers(32, 127)
        (source / "annotations/a.json").write_bytes(
            bytes(data) if at % 4 else good[: rng.integers(len(good))]
        )
        try:
            found = read(source)
            read_whole += 1
            assert all(one.reason for one in found.broken)
        except SourceError as error:
            assert str(error)
    assert read_whole > 20


def test_without_a_usable_box_the_reason_is_told(place, read):
    source = place(
        {"images/1.png": None, "annotations/a.json": told([(1, "gone.png")], [(1, 1, (0, 0, 1, 1))])}
    )
    with pytest.raises(
        TooFewExamples, match=r"no box that can be used \(its picture is missing \(gone\.png\)\)"
    ):
        read(source)
