"""Sources beyond class folders, from the command line to the figures."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from vistazo import tasks
from vistazo.errors import SourceError
from vistazo.pictures.index import read_index

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


@pytest.fixture
def boxed(tmp_path):
    """36 pictures, each with a reddish and a bluish square in it, and their boxes as Pascal VOC writes them."""
    root = tmp_path / "boxed"
    (root / "JPEGImages").mkdir(parents=True)
    (root / "Annotations").mkdir()
    for at in range(36):
        rng = np.random.default_rng(at)
        pixels = rng.integers(90, 120, (40, 60, 3), np.uint8)
        objects = ""
        for channel, name, left in ((0, "rojo", 2), (2, "azul", 32)):
            left, top = left + rng.integers(0, 8), rng.integers(0, 18)
            pixels[top : top + 20, left : left + 20, channel] += 100
            objects += OBJECT.format(name, left + 1, top + 1, left + 20, top + 20)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{at:03}.png")
        size = "<size><width>60</width><height>40</height></size>"
        (root / "Annotations" / f"{at:03}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    return root


def test_pictures_with_boxes_ask_for_the_task_in_one_sentence(verb, boxed, real_data):
    for source in (boxed, real_data / "raccoon" / "raccoon.zip"):
        for more in ((), ("--recipe", "quick"), ("--epochs", "1")):
            told = verb("train", source, *more, "--out", "run")
            assert told.code == 1
            assert "has boxes around the things in its pictures (Pascal VOC boxes)" in told.err
            assert told.err.strip().endswith("add --task classification.")
            assert not (boxed.parent / "run").exists()


def test_crops_are_learnt_and_the_crops_of_a_picture_stay_in_one_part(verb, boxed, tiny):
    told = verb("train", boxed, "--task", "classification", *tiny, "--out", "run", "--json")
    assert told.code == 0, told.err
    assert "Each box is a picture: 72 cut out of 36, those of one picture always in one part." in told.err
    assert "Groups: crops of one picture." in told.err
    assert told.json["metrics"]["test"]["accuracy"] is not None
    index = read_index(boxed.parent / "run" / "index.parquet")
    assert index.classes == ("azul", "rojo")
    parts = {}
    for where, part in zip(index.where, index.split.tolist(), strict=True):
        parts.setdefault(where.split("#")[0], set()).add(part)
    assert len(parts) == 36 and all(len(one) == 1 for one in parts.values())

    measured = verb("evaluate", "run", boxed, "--json")
    assert measured.code == 0, measured.err
    assert measured.json["left_out"]["trained_on"] == int(np.isin(index.split, ("train", "validation")).sum())
    again = verb("evaluate", "run", "run/index.parquet", "--json")
    assert again.json["part"] == "test"
    assert again.json["metrics"]["accuracy"] == told.json["metrics"]["test"]["accuracy"]


def test_check_tells_boxes_and_how_to_learn_from_them(verb, boxed):
    told = verb("check", boxed)
    assert told.code == 0
    assert "format: Pascal VOC boxes" in told.out and "boxes: 72, classes: 2" in told.out
    assert told.out.rstrip().endswith(f"next:   vistazo train {boxed} --task classification")
    assert verb("check", boxed, "--json").json["counts"] == {"azul": 36, "rojo": 36}
    shown = verb("check", boxed, "--augmented", "--out", "a.png")
    assert shown.code == 0 and (boxed.parent / "a.png").exists()


def test_each_box_is_checked_and_corrected_for_itself(verb, boxed, in_tmp, tiny):
    Image.new("RGB", (60, 40), (9, 200, 9)).save(boxed / "JPEGImages" / "005.png")
    blank = ["JPEGImages/005.png#0", "JPEGImages/005.png#1"]
    assert verb("check", boxed, "--json").json["findings"][0]["path"] == "JPEGImages/005.png"
    words = ("check", boxed, "--task", "classification", "--out", "out", "--fix", "blank")
    said = verb(*words)
    assert f"next:   vistazo train {boxed} --task classification --corrections out/review.csv" in said.out
    assert [one["path"] for one in verb(*words, "--json").json["findings"] if one["kind"] == "blank"] == blank
    page = (in_tmp / "out" / "check.html").read_text(encoding="utf-8")
    assert "005.png#1" in page and "data:image/" in page
    assert "move the file" not in page, "a box is no file"

    with open(in_tmp / "out" / "review.csv", "a", encoding="utf-8") as file:
        file.write("JPEGImages/007.png,,,exclude\nJPEGImages/009.png#0,,,relabel:azul\n")
    train = ("train", boxed, "--task", "classification", "--corrections", "out/review.csv", *tiny)
    said = verb(*train, "--epochs", "1", "--out", "run")
    assert said.code == 0, said.err
    index = read_index(in_tmp / "run" / "index.parquet")
    label = dict(zip(index.where, (index.classes[at] for at in index.label), strict=True))
    assert len(index) == 72 - 2 - 2
    assert not [name for name in label if name in blank or name.startswith("JPEGImages/007")]
    assert label["JPEGImages/009.png#0"] == label["JPEGImages/009.png#1"] == "azul"

    (in_tmp / "out" / "review.csv").write_text("path,action\nJPEGImages/009.png,relabel:azul\n")
    said = verb(*train, "--out", "another")
    assert said.code == 1
    assert (
        "line 2: 'JPEGImages/009.png' has boxes; give a box another class, as in JPEGImages/009.png#0."
        in said.err
    )


def test_a_single_class_of_boxes_is_told_before_training(verb, real_data):
    told = verb("train", real_data / "raccoon" / "raccoon.zip", "--task", "classification", "--out", "run")
    assert told.code == 1
    assert (
        "are of one class ('raccoon'). Classification tells classes apart and needs two at least" in told.err
    )


def test_recognise_refuses_boxes_in_a_zip_and_lets_class_folders_pass(in_tmp, boxed, folder_of_pictures):
    with zipfile.ZipFile(in_tmp / "b.zip", "w") as archive:
        for path in boxed.rglob("*.*"):
            archive.write(path, path.relative_to(boxed))
    with pytest.raises(SourceError, match=r"b\.zip has boxes around the things"):
        tasks.recognise(in_tmp / "b.zip", {})
    plain = folder_of_pictures(in_tmp / "plain", "a", "b", each=2)
    assert tasks.recognise(plain, {"epochs": 1})[0] == "classification"


@pytest.fixture
def drawn(tmp_path):
    """40 drawings of two words: lines across, and lines down."""
    text = ""
    for at in range(40):
        places = np.random.default_rng(at).integers(0, 255, 6)
        strokes = [[[0, 255], [int(y), int(y)]] for y in places]
        strokes = [[y, x] for x, y in strokes] if at % 2 else strokes
        text += json.dumps({"word": ("fila", "columna")[at % 2], "drawing": strokes}) + "\n"
    (tmp_path / "lines.ndjson").write_text(text)
    return tmp_path / "lines.ndjson"


def test_strokes_are_rendered_at_the_size_of_the_run_and_predict_sees_the_same(verb, drawn, tiny):
    told = verb("train", drawn, *tiny, "--size", "40", "--out", "run", "--json")
    assert told.code == 0, told.err
    assert "pictures: 40 of 40 x 40 pixels, grey" in told.err
    index = read_index(drawn.parent / "run" / "index.parquet")
    assert (index.kind, index.classes) == ("strokes", ("columna", "fila"))
    measured = verb("evaluate", "run", "run/index.parquet", "--split", "test", "--json").json
    assert measured["metrics"]["accuracy"] == told.json["metrics"]["test"]["accuracy"]
    answers = verb("predict", "run", drawn, "--json").json
    assert len(answers["predictions"]) == 40 and not answers["unreadable"]
    # the same pixels, whether they come from the source or from the file
    model = tasks.load("run")
    mine = {one["file"].split("/")[-1]: one["class"] for one in answers["predictions"]}
    right = [mine[name] == index.classes[label] for name, label in zip(index.where, index.label, strict=True)]
    part = np.flatnonzero(index.split == "test")
    assert np.mean([right[row] for row in part]) == pytest.approx(told.json["metrics"]["test"]["accuracy"])
    assert model.size == (40, 40, 1)


def test_without_a_size_strokes_are_28_pixels_wide(verb, drawn, tiny):
    told = verb("train", drawn, *tiny, "--out", "run")
    assert told.code == 0, told.err
    assert "pictures: 40 of 28 x 28 pixels, grey" in told.err


def test_a_parquet_with_pictures_is_no_table(verb, in_tmp, folder_of_pictures, tiny):
    import pyarrow as pa
    from pyarrow import parquet

    root = folder_of_pictures(in_tmp / "f", "a", "b", each=12)
    files = sorted(root.rglob("*.png"))
    images = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
    parquet.write_table(
        pa.table({"image": images, "label": [path.parent.name for path in files]}), in_tmp / "p.parquet"
    )
    assert "format: Parquet with the pictures inside" in verb("check", "p.parquet").out
    told = verb("train", "p.parquet", *tiny, "--out", "run", "--json")
    assert told.code == 0, told.err
    why = tasks.recognise(in_tmp / "p.parquet", {"epochs": 1})[1]
    assert why == "task: classification, because a column names pictures"
