"""A trained classifier: what it answers, what it measures, and which files it takes for a model."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import vistazo
from vistazo import bundle
from vistazo.classification.classifier import moved
from vistazo.errors import BundleDamaged, TooFewExamples, UnknownName
from vistazo.pictures.index import read_index


@pytest.fixture(scope="module")
def model(trained):
    return vistazo.load(trained)


@pytest.fixture
def pictures(clothes, in_tmp):
    """A folder of three good pictures, a broken one, an empty one and a file that is no picture."""
    folder = in_tmp / "mine"
    folder.mkdir()
    for at in range(3):
        Image.fromarray(clothes[0][300 + at]).save(folder / f"{at}.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:40])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    return folder


# ---------------------------------------------------------------- views
def test_a_moved_picture_is_moved_by_whole_pixels():
    picture = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert torch.equal(moved(picture, 0, 0), picture)
    assert torch.equal(moved(picture, 1, 0)[0, 0, 1:], picture[0, 0, :2])
    assert torch.equal(moved(picture, 0, 1)[0, 0, :, 1:], picture[0, 0, :, :2])
    assert torch.equal(moved(picture, -1, -1)[0, 0, :2, :2], picture[0, 0, 1:, 1:])
    # What comes in from outside is the border, mirrored.
    assert torch.equal(moved(picture, 1, 0)[0, 0, 0], picture[0, 0, 1])


def test_probabilities_are_the_softmax_of_the_mean_score_over_views_over_the_temperature(model, clothes):
    pixels = clothes[0][300:310, :, :, None].copy()
    scores = model.view_scores(pixels)
    assert scores.shape == (3, 10, 10)
    mean = scores.astype(np.float64).mean(0) / model.temperature
    expected = np.exp(mean) / np.exp(mean).sum(1, keepdims=True)
    np.testing.assert_allclose(model.probabilities(pixels), expected, rtol=1e-5)


def test_one_view_is_the_unmoved_picture(model, clothes):
    pixels = clothes[0][300:310, :, :, None].copy()
    one = replace(model, views=model.views[:1])
    np.testing.assert_allclose(one.view_scores(pixels)[0], model.view_scores(pixels)[0], rtol=1e-4, atol=1e-5)


def test_answers_do_not_depend_on_how_many_are_asked_at_once(model, clothes, monkeypatch):
    pixels = clothes[0][300:400, :, :, None].copy()
    together = model.probabilities(pixels)
    monkeypatch.setattr("vistazo.classification.classifier.CHUNK", 7)
    np.testing.assert_allclose(model.probabilities(pixels), together, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- predict
def test_files_folders_and_what_cannot_be_read_are_answered_in_order(model, pictures):
    answers = list(model.predict([pictures / "2.png", pictures, "nothing.png"]))
    names = [answer["file"].rsplit("/", 1)[-1] for answer in answers]
    assert names == ["2.png", "0.png", "1.png", "2.png", "broken.png", "empty.jpg", "nothing.png"]
    assert ["reason" in answer for answer in answers] == [False] * 4 + [True] * 3
    assert answers[-1]["reason"] == "the file does not exist"
    assert answers[0]["top"] == answers[3]["top"]


def test_an_answer_names_the_likeliest_classes_in_order(model, pictures):
    answer = next(model.predict(str(pictures / "0.png"), top=10))
    shares = [share for _, share in answer["top"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert [answer["class"], answer["probability"]] == answer["top"][0]
    assert {name for name, _ in answer["top"]} == set(model.classes)


def test_a_file_and_its_pixels_get_the_same_answer(model, pictures, clothes):
    of_file = next(model.predict([pictures / "1.png"]))
    of_array = next(model.predict(clothes[0][301]))
    assert of_file["top"] == of_array["top"]


def test_arrays_and_lists_of_arrays_are_answered(model, clothes):
    assert len(list(model.predict(clothes[0][:5]))) == 5
    assert len(list(model.predict([clothes[0][0], clothes[0][1]]))) == 2
    assert "reason" in next(model.predict(np.full((28, 28), np.nan)))


def test_answers_stream_without_waiting_for_the_last_picture(model, clothes):
    given = []

    def files():
        for at in range(10_000):
            given.append(at)
            yield clothes[0][at % 400]

    stream = model.predict(files())
    next(stream)
    assert len(given) < 200


def test_pictures_of_another_size_and_colour_are_brought_to_the_models(model, in_tmp):
    Image.new("RGBA", (300, 200), (200, 10, 10, 128)).save(in_tmp / "large.png")
    assert "class" in next(model.predict("large.png"))


# ---------------------------------------------------------------- evaluate
def test_the_official_test_part_is_measured_as_it_was_after_training(model, trained, wardrobe):
    told = model.evaluate(wardrobe)
    before = json.loads((trained / "metrics.json").read_text())["metrics"]["test"]
    assert told["part"] == "test"
    assert told["metrics"]["n"] == 100
    assert told["metrics"]["accuracy"] == pytest.approx(before["accuracy"], abs=0.011)
    assert told["metrics"]["loss"] == pytest.approx(before["loss"], rel=1e-3)
    assert sum(one["support"] for one in told["classes"].values()) == 100


def test_pictures_that_were_trained_on_are_left_out(model, clothes, write_idx, in_tmp, trained):
    pictures, labels = clothes
    mixed = write_idx(in_tmp / "mixed", "train", pictures[250:350], labels[250:350])
    told = model.evaluate(mixed)
    index = read_index(trained / "index.parquet")
    assert (index.split[:300] != "").all()
    assert told["left_out"] == {"trained_on": 50}
    assert told["metrics"]["n"] == 50


def test_a_source_of_nothing_but_training_pictures_is_refused(model, clothes, write_idx, in_tmp):
    pictures, labels = clothes
    source = write_idx(in_tmp / "s", "train", pictures[:50], labels[:50])
    with pytest.raises(TooFewExamples, match=r"no labelled pictures to evaluate on .*\(50 were trained on\)"):
        model.evaluate(source)


def test_classes_are_matched_by_name_and_not_by_number(model, clothes, write_idx, in_tmp):
    pictures, labels = clothes
    chosen = np.flatnonzero(labels[300:] >= 5) + 300
    source = write_idx(in_tmp / "s", "train", pictures[chosen], labels[chosen])
    told = model.evaluate(source)
    assert all(told["classes"][str(name)]["support"] == 0 for name in range(5))
    answers = model.probabilities(pictures[chosen][:, :, :, None]).argmax(1)
    assert told["metrics"]["accuracy"] == pytest.approx(np.mean(answers == labels[chosen]))


def test_unknown_classes_are_named_and_the_rest_is_measured(model, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "3", "zebra")
    told = model.evaluate(source)
    strangers = len(list((source / "zebra").iterdir()))
    assert told["unknown_classes"] == {"zebra": strangers}
    assert told["metrics"]["n"] == told["classes"]["3"]["support"] == len(list((source / "3").iterdir()))


def test_broken_pictures_are_listed_and_the_rest_is_measured(model, pictures, in_tmp):
    source = in_tmp / "classes"
    source.mkdir()
    shutil.move(pictures, source / "3")
    (source / "4").mkdir()
    shutil.copy(source / "3" / "1.png", source / "4" / "1.png")
    told = model.evaluate(source)
    assert sorted(one["file"] for one in told["unreadable"]) == ["3/broken.png", "3/empty.jpg"]
    assert told["metrics"]["n"] == 4


@pytest.mark.parametrize("part", ["train", "validation", "test", "all"])
def test_a_part_can_be_chosen(model, clothes, write_idx, in_tmp, part):
    pictures, labels = clothes
    source = write_idx(in_tmp / "s", "train", pictures[300:350], labels[300:350])
    write_idx(source, "validation", pictures[350:370], labels[350:370])
    write_idx(source, "t10k", pictures[370:], labels[370:])
    sizes = {"train": 50, "validation": 20, "test": 30, "all": 100}
    assert model.evaluate(source, split=part)["metrics"]["n"] == sizes[part]


# ---------------------------------------------------------------- which files are models
def forged(trained, path, **changes):
    """The trained model with some of its facts replaced, sealed again as an attacker would."""
    found = bundle.load(trained / "model.vistazo")
    for name, value in changes.items():
        old = getattr(found, name)
        if isinstance(old, dict) and isinstance(value, dict) and value:
            value = {**old, **value}
        found = replace(found, **{name: value})
    bundle.save(found, path)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"arguments": {"classes": 7}}, id="another head"),
        pytest.param({"arguments": {"classes": "ten"}}, id="a head of words"),
        pytest.param({"arguments": {"filters": [8, 8]}}, id="other filters"),
        pytest.param({"arguments": {"command": "touch canary"}}, id="an argument no network has"),
        pytest.param({"arguments": {"height": 16}}, id="another size than its preprocessing"),
        pytest.param({"arguments": ["touch", "canary"]}, id="arguments that are a list"),
        pytest.param({"preprocessing": {"height": 1 << 40}}, id="pictures larger than memory"),
        pytest.param({"preprocessing": {"mean": ["x"]}}, id="a mean that is no number"),
        pytest.param({"preprocessing": {"mean": [0.0, 1.0, 2.0]}}, id="a mean too many"),
        pytest.param({"preprocessing": {"std": [0.0]}}, id="division by zero"),
        pytest.param({"preprocessing": {"channels": 3}}, id="another number of channels"),
        pytest.param({"facts": {"classes": ["one"]}}, id="fewer names than scores"),
        pytest.param({"facts": {"classes": list(range(10))}}, id="names that are no text"),
        pytest.param({"facts": {"classes": None}}, id="no names"),
        pytest.param({"facts": {"views": [[0, 500]]}}, id="a view beyond the picture"),
        pytest.param({"facts": {"views": []}}, id="no view"),
        pytest.param({"facts": {"views": "all"}}, id="views that are words"),
        pytest.param({"facts": {"objective": "os.system"}}, id="an objective that is code"),
        pytest.param({"facts": {"objective": ["os"]}}, id="an objective that is a list"),
        pytest.param({"tensors": {}}, id="no tensors"),
    ],
)
def test_a_sealed_file_whose_parts_do_not_fit_is_no_model(trained, in_tmp, changes):
    path = forged(trained, in_tmp / "forged.vistazo", **changes)
    with pytest.raises(BundleDamaged, match=r"forged\.vistazo (does not hold together|is not a Vistazo)"):
        vistazo.load(path)
    assert not (in_tmp / "canary").exists()


@pytest.mark.parametrize("name", ["os.system", "../../etc/passwd", "builtins.eval", "torch.hub.load", ""])
def test_names_are_only_ever_looked_up(trained, in_tmp, name):
    with pytest.raises(UnknownName, match=f"There is no model '{name}'"):
        vistazo.load(forged(trained, in_tmp / "f.vistazo", model=name))
    with pytest.raises(UnknownName, match=f"There is no task '{name}'"):
        vistazo.load(forged(trained, in_tmp / "f.vistazo", task=name))


@pytest.mark.parametrize("name", [["os", "system"], {"module": "os"}, None, 3])
def test_a_name_that_is_no_text_is_damage(trained, in_tmp, name):
    for field in ("model", "task"):
        with pytest.raises((BundleDamaged, UnknownName)):
            vistazo.load(forged(trained, in_tmp / "f.vistazo", **{field: name}))
