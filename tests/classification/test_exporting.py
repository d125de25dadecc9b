"""`vistazo export` of a classifier: the file answers as the model does, and nothing is written that was not proven."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vistazo
from vistazo.engine import onnx_file
from vistazo.errors import ConfigError


@pytest.fixture(scope="module")
def model(trained):
    return vistazo.load(trained)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """One export for the whole module: (its file, what was told)."""
    out = tmp_path_factory.mktemp("exported") / "m.onnx"
    return out, model.export(out)


@pytest.fixture(scope="module")
def answering(exported):
    return vistazo.load(exported[0])


def test_the_proof_is_told_and_stored(exported, model, trained):
    out, told = exported
    assert told["file"] == str(out)
    assert told["examples"] == 100
    assert told["agreement"] == 1
    assert told["largest_difference"] < 1e-4
    assert told["accuracy"]["model"] == told["accuracy"]["exported"]
    before = json.loads((trained / "metrics.json").read_text())["metrics"]["test"]["accuracy"]
    assert told["accuracy"]["model"] == pytest.approx(before, abs=0.011)
    facts = onnx_file.opened(out).facts
    assert facts["proof"]["agreement"] == told["agreement"]
    assert facts["hash"] == model.hash
    assert facts["classes"] == list(model.classes)


def test_answers_are_those_of_the_model(answering, model, clothes, in_tmp):
    for at in range(5):
        Image.fromarray(clothes[0][300 + at]).save(in_tmp / f"{at}.png")
    files = [f"{at}.png" for at in range(5)] + ["nothing.png"]
    ours, theirs = list(model.predict(files, top=3)), list(answering.predict(files, top=3))
    assert [one.get("class") for one in ours] == [one.get("class") for one in theirs]
    assert ours[-1] == theirs[-1]
    for one, two in zip(ours[:-1], theirs, strict=False):
        assert one.keys() == two.keys()
        assert [name for name, _ in one["top"]] == [name for name, _ in two["top"]]
        assert one["probability"] == pytest.approx(two["probability"], abs=1e-4)


def test_pictures_of_any_size_are_scaled_in_the_graph(answering, model, clothes):
    for height, width in ((28, 28), (100, 100), (40, 90), (21, 28)):
        large = np.asarray(Image.fromarray(clothes[0][300]).resize((width, height), Image.Resampling.BICUBIC))
        own = answering.probabilities(large[None, :, :, None])
        (of_model,) = model.predict(large, top=10)
        best = np.argsort(-own[0], kind="stable")
        assert answering.classes[best[0]] == of_model["class"]
        assert own.max() == pytest.approx(of_model["probability"], abs=0.01)


def test_the_batch_is_free(answering, model, clothes):
    pixels = clothes[0][300:307, :, :, None].copy()
    for count in (1, 2, 7):
        np.testing.assert_allclose(
            answering.probabilities(pixels[:count]), model.probabilities(pixels[:count]), atol=1e-5
        )


def test_nothing_of_the_machine_is_in_the_file(exported, trained):
    data = exported[0].read_bytes()
    for word in (str(Path(vistazo.__file__).parent), str(trained), "site-packages", "stack_trace", ".py"):
        assert word.encode() not in data


def test_an_exported_model_answers_without_torch(exported, clothes, in_tmp):
    Image.fromarray(clothes[0][300]).save(in_tmp / "a.png")
    program = (
        "import sys, vistazo; m = vistazo.load(sys.argv[1]); print(next(m.predict(sys.argv[2]))['class']);"
        "assert not {'torch', 'onnx'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(exported[0]), "a.png"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == vistazo.load(exported[0]).predict("a.png").__next__()["class"]


def test_without_a_test_part_it_is_asked_for(model, tmp_path):
    with pytest.raises(ConfigError, match="--verify SOURCE"):
        replace(model, path=None).export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
