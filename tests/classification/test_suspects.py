"""Wrong labels are found by models that had not seen the pictures."""

import builtins

import numpy as np
import pytest
import torch

from vistazo.classification import suspects
from vistazo.classification.linear import fit_held_out
from vistazo.engine.device import Compute
from vistazo.engine.progress import Progress
from vistazo.errors import ConfigError, MissingExtra
from vistazo.pictures import looking, shrinking
from vistazo.pictures.sources import read_source

CPU = Compute("cpu", "fp32", "channels_last", 1)


def blobs(count=600, classes=4, seed=0):
    """Features of classes that lie apart, their true labels, and labels of which 3 % are wrong."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    features = random.normal(size=(count, 12)) + 2.2 * np.eye(classes, 12)[labels] * 2
    wrong = random.permutation(count)[: count * 3 // 100]
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1 + random.integers(0, classes - 1, len(wrong))) % classes
    return torch.from_numpy(features).float(), labels, given, wrong


def test_each_is_judged_by_a_model_that_had_not_seen_it():
    """Labels drawn at random cannot be known: whoever had seen a picture would answer better than chance."""
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 200))).float()
    labels = np.random.default_rng(1).integers(0, 2, 300)
    targets = torch.nn.functional.one_hot(torch.from_numpy(labels), 2).float()
    fold = torch.arange(300) % 5
    answers = fit_held_out(features, targets, fold, seed=0)
    assert answers.exp().sum(1).allclose(torch.ones(300), atol=1e-5)
    assert float((answers.argmax(1).numpy() == labels).mean()) < 0.6
    assert torch.equal(answers, fit_held_out(features, targets, fold, seed=0))


def test_copies_are_judged_together(photographs):
    pixels = photographs(60, height=32, width=32)
    pixels = np.concatenate([pixels, pixels[:20], 255 - (255 - pixels[20:40]) // 1 - (pixels[20:40] % 2)])
    hashes = np.array(
        [f"{at if at < 60 else at - 60:032x}" if at < 80 else f"{at:032x}" for at in range(100)], "S32"
    )
    fold = suspects._folds(shrinking.shrink(pixels), hashes, np.arange(100) % 2, 0)
    assert (fold[60:80] == fold[:20]).all()
    assert (fold[80:] == fold[20:40]).all()
    assert np.bincount(fold, minlength=5).min() >= 8


def test_without_cleanlab_one_sentence_says_how_to_get_it(monkeypatch, verb, folder_of_pictures, in_tmp):
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name.startswith("cleanlab"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'vistazo\[health\]'"):
        suspects.require_cleanlab()
    folder_of_pictures(in_tmp / "s", "a", "b")
    said = verb("check", "s", "--labels", "--out", "o")
    assert said.code == 1
    assert said.err.count("\n") == 1 and "pip install 'vistazo[health]'" in said.err
    assert not (in_tmp / "o").exists()


# ---------------------------------------------------------------- with cleanlab
@pytest.fixture
def cleanlab():
    return pytest.importorskip("cleanlab", reason="the extra [health] is not installed")


@pytest.mark.usefixtures("cleanlab")
def test_wrong_labels_come_first_and_are_named():
    features, _, given, wrong = blobs()
    doubts = suspects.doubt(features, given, np.arange(600) % 5, seed=0)
    first = set(doubts.order[: 2 * len(wrong)].tolist())
    assert len(first & set(wrong.tolist())) >= 0.8 * len(wrong)
    assert 0 < doubts.doubted < 60
    assert sorted(doubts.order.tolist()) == list(range(600))


@pytest.fixture
def shades(tmp_path):
    """A folder of light and of dark pictures; one light one lies with the dark ones."""
    from PIL import Image

    random = np.random.default_rng(0)
    for at in range(60):
        light = at % 2
        name = ("dark", "light")[light]
        if at == 7:
            name = "dark"
        (tmp_path / name).mkdir(exist_ok=True)
        pixels = random.integers(0, 60, (32, 32, 3)) + 160 * light
        pixels[8:24, 8:24] += 20
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / f"{at:02}.png")
    return tmp_path


@pytest.mark.usefixtures("cleanlab")
def test_a_picture_in_the_wrong_folder_is_suspected_and_its_class_suggested(shades):
    found = read_source(shades, classes_file=None)
    looks = looking.look(found.store, size=(32, 32, 3), threads=1)
    told, sentence = suspects.find(
        found.store, found.index, looks, compute=CPU, seed=0, progress=Progress(quiet=True)
    )
    assert [(one.kind, one.path, one.suggestion) for one in told] == [
        ("suspected-label", "dark/07.png", "relabel:light")
    ]
    assert "labelled dark; models that had not seen it say light" in told[0].detail
    assert sentence.startswith("Labels: 60 pictures were judged")


@pytest.mark.usefixtures("cleanlab")
def test_too_few_pictures_and_several_labels_are_told(folder_of_pictures, tmp_path):
    folder_of_pictures(tmp_path / "s", "a", "b", each=3)
    found = read_source(tmp_path / "s", classes_file=None)
    looks = looking.look(found.store, size=(20, 24, 3), threads=1)
    with pytest.raises(ConfigError, match="needs 5 pictures of at least two classes"):
        suspects.find(found.store, found.index, looks, compute=CPU, seed=0, progress=Progress(quiet=True))
    several = found.index.replace(labels=np.zeros((6, 2), bool), label=np.full(6, -1))
    with pytest.raises(ConfigError, match="several labels"):
        suspects.find(found.store, several, looks, compute=CPU, seed=0, progress=Progress(quiet=True))
