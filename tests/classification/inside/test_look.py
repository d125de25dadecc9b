"""A look inside a model: maps, filters, what units like, and the pages of it."""

import json
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import vistazo
from vistazo.bundle import Bundle
from vistazo.bundle import save as save_bundle
from vistazo.classification.classifier import Classifier
from vistazo.classification.inside import pages
from vistazo.classification.inside.layers import trace
from vistazo.classification.inside.liking import Liked, like
from vistazo.classification.inside.look import read_units
from vistazo.classification.models import create, models
from vistazo.cli import main
from vistazo.engine.device import Compute
from vistazo.errors import ConfigError, SourceError, UnknownName
from vistazo.pictures.loading import Normaliser


def model_of(name, channels=1, side=28, path=None):
    torch.manual_seed(2)
    known = models[name].example
    arguments = {**known, "channels": channels, "height": side, "width": side, "classes": 2}
    if "size" in known:
        arguments["size"] = 40
    return Classifier(
        network=create(name, arguments).eval(),
        model=name,
        arguments=arguments,
        classes=("dark", "light"),
        normaliser=Normaliser([100.0] * channels, [60.0] * channels),
        size=(side, side, channels),
        views=((0, 0, False),),
        compute=Compute("cpu", "fp32", "channels_last", 1),
        objective="cross_entropy",
        smoothing=0.0,
        path=path,
    )


@pytest.fixture
def saved(tmp_path):
    model = model_of("mnist_cnn")
    path = tmp_path / "mine.vistazo"
    save_bundle(
        Bundle(
            task="classification",
            model=model.model,
            arguments=model.arguments,
            preprocessing={"mean": [100.0], "std": [60.0], "height": 28, "width": 28, "channels": 1},
            facts={"classes": ["dark", "light"], "views": [[0, 0, False]], "objective": "cross_entropy"},
            training={},
            metrics={},
            fingerprint="",
            tensors=model.network.state_dict(),
        ),
        path,
    )
    return path


@pytest.fixture
def pictures(tmp_path):
    """A folder of two classes, 70 pictures each, and one that cannot be read."""
    draw = np.random.default_rng(7)
    for at, name in enumerate(("dark", "light")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(70):
            pixels = draw.integers(at * 90, 100 + at * 90, (28, 28)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number:02}.png")
    (tmp_path / "data" / "dark" / "zz.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return tmp_path / "data"


# ---------------------------------------------------------------- maps and filters
def test_the_maps_of_a_layer_are_what_torch_computes():
    model, picture = (
        model_of("mnist_cnn"),
        np.random.default_rng(1).integers(0, 256, (28, 28, 1)).astype(np.uint8),
    )
    given = (torch.tensor(picture).permute(2, 0, 1)[None].float() - 100) / 60
    with torch.no_grad():
        maps = model.network.convolution(given)
        after = F.relu(F.max_pool2d(maps, 2))
    assert np.allclose(model.feature_maps(picture, "convolution"), maps[0].numpy(), rtol=0, atol=1e-5)
    assert np.allclose(model.feature_maps(picture, 3), after[0].numpy(), rtol=0, atol=1e-5)
    assert model.feature_maps(picture, "head").shape == (2, 1, 1)


def test_maps_before_an_activation_in_place_are_not_those_after_it():
    model, picture = (
        model_of("quickdraw_cnn"),
        np.random.default_rng(1).integers(0, 256, (28, 28)).astype(np.uint8),
    )
    before, after = model.feature_maps(picture, "firsts.0"), model.feature_maps(picture, "relu_1")
    assert before.min() < 0 <= after.min()
    assert np.array_equal(np.maximum(before, 0), after)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(models))
def test_every_layer_of_every_network_has_maps_of_the_told_shape(name, channels, tmp_path):
    model = model_of(name, channels)
    before = {key: one.clone() for key, one in model.network.state_dict().items()}
    picture = np.random.default_rng(1).integers(0, 256, (28, 28, channels)).astype(np.uint8)
    answer = model.probabilities(picture[None])
    for layer in (model.layers()[0], model.layers()[len(model.layers()) // 2], model.layers()[-1]):
        maps = model.feature_maps(picture, layer.number)
        assert (*maps.shape[1:], maps.shape[0]) == (
            layer.shape if len(layer.shape) == 3 else (1, 1, *layer.shape)
        )
    assert model.filters().shape[1] in (channels, 3)
    told = model.inside(picture, tmp_path / "out")
    assert told["files"]
    assert all(torch.equal(one, before[key]) for key, one in model.network.state_dict().items())
    assert np.array_equal(model.probabilities(picture[None]), answer)
    assert not model.network.training


# ---------------------------------------------------------------- what units like
def test_the_liked_pictures_are_those_with_the_largest_values(pictures):
    model = model_of("fashion_cnn")
    layer = model.layers()[0]
    likes = like(model, pictures, layer, [0, 4], most=3, say=lambda line: None)
    assert likes.pictures == 140
    assert [one["file"] for one in likes.unreadable] == ["dark/zz.png"]
    values = {}
    for file in sorted(pictures.rglob("*.png")):
        if file.name != "zz.png":
            values[file.relative_to(pictures).as_posix()] = model.feature_maps(file, 1).max((1, 2))
    for unit in (0, 4):
        ranked = sorted(values, key=lambda name: -values[name][unit])[:3]
        assert [one.file for one in likes.of[unit]] == ranked
        assert [one.value for one in likes.of[unit]] == pytest.approx(
            [values[one][unit] for one in ranked], abs=1e-5
        )
        assert all(one.label == one.file.split("/")[0] for one in likes.of[unit])


def test_the_box_is_where_the_unit_answered(tmp_path):
    """A bright dot on black: whatever a first filter likes, it sees the dot or stays with its padding."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    pixels = np.full((28, 28), 100, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a" / "plain.png")
    pixels[20, 7] = 255
    Image.fromarray(pixels).save(tmp_path / "b" / "dot.png")
    model = model_of("mnist_cnn")
    weights = model.network.convolution.weight.detach().amax((1, 2, 3))
    unit = int(weights.argmax())  # a filter with a positive weight answers strongest to the dot
    (best, *_) = like(model, tmp_path, model.layers()[0], [unit], most=2, say=lambda line: None).of[unit]
    assert best.file == "b/dot.png"
    top, bottom, left, right = best.box
    assert (bottom - top, right - left) == (3, 3)
    assert top <= 20 < bottom
    assert left <= 7 < right


def test_pictures_without_labels_are_looked_at_too(pictures):
    likes = like(
        model_of("mnist_cnn"),
        pictures / "light",
        model_of("mnist_cnn").layers()[0],
        [1],
        most=2,
        say=lambda line: None,
    )
    assert likes.pictures == 70
    assert {one.label for one in likes.of[1]} == {""}


def test_the_answer_does_not_hang_on_the_chunks(pictures, monkeypatch):
    from vistazo.classification.inside import liking

    model = model_of("mnist_cnn")
    told = []
    for chunk in (64, 9):
        monkeypatch.setattr(liking, "CHUNK", chunk)
        likes = like(model, pictures, model.layers()[1], [0, 1, 2], most=5, say=lambda line: None)
        told.append([[one.file for one in likes.of[unit]] for unit in likes.of])
    assert told[0] == told[1]


# ---------------------------------------------------------------- pages and the command line
def test_units_are_counted_from_one():
    layer = trace(model_of("mnist_cnn").network, (28, 28, 1))[0]
    assert read_units("1-3,17, 2", layer, 5) == [0, 1, 2, 16]
    assert read_units(None, layer, 5) == [0, 1, 2, 3, 4]
    for text in ("0", "33", "3-2", "a", "", "1-", "-3"):
        with pytest.raises(ConfigError, match="--units takes numbers from 1 to 32 for layer convolution"):
            read_units(text, layer, 5)


def test_the_command_line_tells_the_layers_of_a_model_and_of_a_name(saved, capsys):
    assert main(["inside", str(saved), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"] == sum(one["parameters"] for one in told["layers"])
    assert told["input"] == [28, 28, 1]
    assert main(["models", "mnist_cnn"]) == 0
    assert "542,230" in capsys.readouterr().out
    assert main(["models", "dlinear"]) == 2
    assert "dlinear is one of the task forecasting" in capsys.readouterr().err
    assert main(["dentro", "cifar_cnn", "--idioma", "es"]) == 0
    assert "393 962" in capsys.readouterr().out.replace("\u00a0", " ")
    assert main(["models", "mnist_cn"]) == 2
    assert "mnist_cnn" in capsys.readouterr().err


def test_a_liked_picture_is_told_with_its_class(saved, pictures, tmp_path, capsys):
    assert main(["inside", str(saved), str(pictures), "--out", str(tmp_path / "o"), "--units", "1"]) == 0
    assert re.search(r"unit 1: (dark|light|\w+)/\d\d\.png \(", capsys.readouterr().out)


@pytest.mark.parametrize("box", [(0, 28, 0, 28), (0, 5, 3, 28), (4, 20, 7, 9)])
def test_the_part_that_was_seen_stands_beside_the_picture_at_its_height(box):
    pixels = np.zeros((28, 28, 1), np.uint8)
    sheet = pages._framed(Liked("a.png", "", 1.0, box, pixels))
    gap = np.flatnonzero((sheet == 255).all((0, 2)))
    assert len(gap) == 6 and gap[0] == sheet.shape[0]  # the picture is as wide as it is high; then the part
    assert not sheet[:, gap[-1] + 1 :].any()


def test_a_folder_without_pictures_has_no_maps(saved, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="there are no pictures in it"):
        vistazo.load(saved).feature_maps(tmp_path / "empty", 1)


@pytest.mark.parametrize("what", ["nothing", "picture", "source"])
def test_a_look_is_one_page_without_script(saved, pictures, tmp_path, what, capsys):
    out = tmp_path / "salida"
    given = {"nothing": [], "picture": [str(pictures / "dark" / "00.png")], "source": [str(pictures)]}[what]
    assert main(["inside", str(saved), *given, "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    page = (out / "inside.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert told["files"]
    for file in told["files"]:
        with Image.open(file) as image:
            image.verify()
    if what == "source":
        assert told["pictures"] == 140
        assert len(told["units"]) == 16
        assert told["unreadable"][0]["file"] == "dark/zz.png"


def test_a_layer_and_units_may_be_named(saved, pictures, tmp_path, capsys):
    words = ["inside", str(saved), str(pictures), "--out", str(tmp_path / "o"), "--json"]
    assert main([*words, "--layer", "hidden", "--units", "5"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layer"] == "hidden"
    assert [one["unit"] for one in told["units"]] == [5]
    assert told["units"][0]["pictures"][0]["box"] == [0, 28, 0, 28]  # a dense unit sees everything


def test_bad_input_is_told_before_anything_is_written(saved, pictures, tmp_path, capsys):
    model, out = model_of("mnist_cnn"), tmp_path / "out"
    with pytest.raises(UnknownName, match="There is no layer 'conv'"):
        model.inside(pictures, out, layer="conv")
    with pytest.raises(ConfigError, match="--units takes numbers from 1 to 32"):
        model.inside(pictures / "dark" / "00.png", out, layer=1, units="33")
    with pytest.raises(ConfigError, match="need a picture or a source"):
        model.inside(layer=1)
    with pytest.raises(SourceError, match="zz.png cannot be shown"):
        model.inside(pictures / "dark" / "zz.png", out)
    with pytest.raises(SourceError):
        model.inside(tmp_path / "nothing", out)
    assert not out.exists()
    assert main(["inside", "mnist_cnn", str(pictures)]) == 2
    assert "has learnt nothing yet" in capsys.readouterr().err


def test_a_model_of_another_task_is_refused(tmp_path, monkeypatch, capsys):
    from vistazo import tasks

    class Table:
        task = "tabular"

    monkeypatch.setattr(tasks, "load", lambda name: Table())
    assert main(["inside", str(tmp_path / "table.vistazo")]) == 2
    assert "Only models of pictures can be looked into" in capsys.readouterr().err
