"""`vistazo explain` of pictures: what is written, what is shown, and what is said of what cannot be."""

import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from vistazo.classification.explaining import explanation
from vistazo.errors import ConfigError, UnknownName, UsageError


@pytest.fixture
def model(untrained):
    return untrained("airbench", (28, 28, 1), 10)


@pytest.fixture
def pictures(clothes, in_tmp):
    """A folder of a class with two pictures, a broken one beside them, and a wide photograph."""
    folder = in_tmp / "mine" / "c"
    folder.mkdir(parents=True)
    for at in range(2):
        Image.fromarray(clothes[0][at]).save(folder / f"{at}.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:40])
    wide = np.random.default_rng(0).integers(0, 256, (200, 800, 3), dtype=np.uint8)
    Image.fromarray(wide).save(in_tmp / "mine" / "<b>wide.png")
    return in_tmp / "mine"


def test_each_picture_becomes_an_overlay_and_the_others_are_named_with_the_reason(model, pictures):
    told = model.explain(pictures, out="why", raw=True)
    assert [one.file.rsplit("/", 1)[-1] for one in told.pictures] == ["<b>wide.png", "0.png", "1.png"]
    assert [one["file"].rsplit("/", 1)[-1] for one in told.unreadable] == ["broken.png"]
    assert told.unreadable[0]["reason"]
    for one in told.pictures:
        assert one.maps.shape == (2, 28, 28) and one.maps.dtype == np.float32
        row = model.probabilities(_own(model, one.file))[0]
        assert one.classes == tuple(model.classes[at] for at in np.argsort(-row)[:2])
        np.testing.assert_allclose(one.probabilities, np.sort(row)[:-3:-1], rtol=1e-5)
        assert one.answer == one.classes[0]
        height, width = one.picture.shape[:2]
        with Image.open(one.overlay) as image:
            assert image.size == (3 * width + 2 * 6, height)  # the picture and the two top classes
        with np.load(one.arrays) as arrays:
            np.testing.assert_array_equal(arrays["maps"], one.maps)
            assert tuple(arrays["classes"]) == one.classes


def _own(model, file):
    from vistazo.pictures.decoding import decode

    with open(file, "rb") as opened:
        return np.stack([decode(opened.read(), height=28, width=28, channels=1)])


def test_a_small_picture_is_shown_enlarged_and_a_wide_one_with_what_was_cut_away(model, pictures):
    told = model.explain([pictures / "c" / "0.png", pictures / "<b>wide.png"])
    small, wide = told.pictures
    assert small.picture.shape == (308, 308, 3) and small.seen == (0, 0, 308, 308)
    assert wide.picture.shape == (80, 320, 3) and wide.seen == (120, 0, 200, 80)
    assert [panel.shape for panel in wide.panels()] == [(80, 320, 3)] * 3


def test_the_page_is_one_file_without_script_and_with_names_escaped(model, pictures):
    told = model.explain(pictures, out="why")
    page = told.page.read_text(encoding="utf-8")
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert "<b>wide" not in page and "&lt;b&gt;wide.png" in page
    assert "broken.png" in page and "Chattopadhay" in page and "groups.1, a map of 6 x 6" in page
    assert len(re.findall("data:image/png", page)) == 3 * 3 + 1  # and the strip of colours
    assert len(page) < 1_000_000


def test_a_class_may_be_named_and_comes_first_beside_the_two_top_ones(model, clothes):
    plain = model.explain(clothes[0][:6])
    last = next(name for name in model.classes if name not in plain.pictures[0].classes)
    told = model.explain(clothes[0][:6], target=last)
    assert told.pictures[0].classes == (last, *plain.pictures[0].classes)
    second = model.explain(clothes[0][:1], target=plain.pictures[0].classes[1]).pictures[0]
    assert second.classes == plain.pictures[0].classes[::-1]
    np.testing.assert_allclose(second.maps, plain.pictures[0].maps[::-1], rtol=1e-4, atol=1e-6)
    assert second.answer == plain.pictures[0].answer
    assert model.explain(clothes[0][:1], target="predicted").pictures[0].classes == plain.pictures[0].classes


def test_the_true_class_is_that_of_the_folder_also_inside_an_archive(model, pictures, in_tmp):
    with zipfile.ZipFile(in_tmp / "all.zip", "w") as archive:
        archive.write(pictures / "c" / "0.png", "c/sub/0.png")
    for given in (pictures / "c" / "0.png", in_tmp / "all.zip"):
        assert model.explain(given, target="true").pictures[0].classes[0] == "c"
    told = model.explain(pictures / "<b>wide.png", target="true")
    assert not told.pictures
    assert told.unreadable[0]["reason"] == "no folder of its path is named like a class of the model"


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "occlusion", "gradients"])
def test_what_programs_are_told(model, clothes, in_tmp, method):
    told = model.explain(clothes[0][:1], method=method, out=in_tmp / "out").to_json()
    assert json.loads(json.dumps(told)) == told
    assert told["method"] == method and told["left"] is False and not told["unreadable"]
    assert {"layer", "patch", "steps"} & set(told) == {
        {"occlusion": "patch", "gradients": "steps"}.get(method, "layer")
    }
    (one,) = told["pictures"]
    assert one["class"] == one["shown"][0]["class"] and len(one["shown"]) == 2
    assert all(0 <= share <= 1 for shown in one["shown"] for share in (*shown["peak"], shown["probability"]))


def test_only_so_many_are_explained_and_that_more_were_there_is_said(model, clothes, in_tmp):
    told = model.explain(clothes[0][:7], most=5, out="why")
    assert (len(told.pictures), told.left) == (5, True)
    assert "Only the first 5 pictures were explained" in told.page.read_text(encoding="utf-8")
    assert model.explain(clothes[0][:5], most=5).left is False


def test_a_picture_of_one_pixel_is_explained_too(model):
    told = model.explain(np.zeros((1, 1), np.uint8))
    assert told.pictures[0].maps.shape == (2, 28, 28)
    assert told.pictures[0].picture.shape == (320, 320, 3)


def test_a_class_that_is_called_true_is_that_class(untrained, clothes):
    from dataclasses import replace

    model = replace(untrained("airbench", (28, 28, 1), 2), classes=("false", "true"))
    assert {one.classes[0] for one in model.explain(clothes[0][:5], target="true").pictures} == {"true"}


# ---------------------------------------------------------------- refused before any picture is read
def test_what_cannot_be_asked_for_is_refused_before_anything_is_read_or_written(model, in_tmp):
    (in_tmp / "file").write_text("")
    refused = [
        (
            {"target": "aa"},
            ConfigError,
            r"does not know the class 'aa'. Did you mean 'a'\? It knows: a, b, c",
        ),
        ({"target": "ñandú"}, ConfigError, "does not know the class 'ñandú'. It knows: a, b"),
        ({"layer": "group.1"}, ConfigError, r"Did you mean 'groups.1'\? Its parts: whitening \(26 x 26\)"),
        ({"method": "gradcamm"}, UnknownName, "There is no method 'gradcamm'. Did you mean 'gradcam"),
        ({"method": "gradients", "layer": "groups.1"}, ConfigError, "looks at no layer: leave out --layer"),
        ({"method": "occlusion", "patch": 99}, ConfigError, "does not fit into pictures of 28 x 28"),
        ({"raw": True, "out": None}, UsageError, "name it with --out"),
        ({"out": "file"}, UsageError, "--out names a folder, and file is a file"),
        ({"most": 0}, ConfigError, "at least 1"),
    ]
    for options, error, sentence in refused:
        with pytest.raises(error, match=sentence):
            model.explain("nothing-there.png", **{"out": "why", **options})
        assert not (in_tmp / "why").exists(), options
    with pytest.raises(UsageError, match="Name the pictures"):
        model.explain([])


def test_classes_are_numbered_as_the_model_has_them():
    assert explanation.class_number(("a", "b"), "b") == 1
