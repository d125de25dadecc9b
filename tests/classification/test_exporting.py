"""`vistazo export` of a classifier: the file answers as the model does, and nothing is written that was not proven."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vistazo
from vistazo.classification import exporting, quantising
from vistazo.classification.evaluating.unknowing import Unknowing
from vistazo.classification.own_parts import own_part
from vistazo.engine import export as engine
from vistazo.engine import onnx_file
from vistazo.errors import ConfigError, DiskError, VistazoError
from vistazo.pictures.index import read_index
from vistazo.pictures.sizing import SIZED


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


def test_what_a_model_does_not_know_its_exported_file_does_not_either(model, clothes, in_tmp):
    for at in range(20):
        Image.fromarray(clothes[0][300 + at]).save(in_tmp / f"{at}.png")
    files = [f"{at}.png" for at in range(20)]
    middle = float(np.median([one["probability"] for one in model.predict(files)]))
    careful = replace(model, unknowing=Unknowing(middle, 0.1))
    careful.export(in_tmp / "m.onnx")
    ours, theirs = list(careful.predict(files)), list(vistazo.load(in_tmp / "m.onnx").predict(files))
    assert [one["known"] for one in ours] == [one["known"] for one in theirs]
    assert {one["known"] for one in theirs} == {True, False}


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


# ---------------------------------------------------------------- the example, and the verbs
EXAMPLE = Path(__file__).parents[2] / "examples" / "exported" / "predict.py"


def test_the_example_answers_as_the_model_does_and_needs_no_vistazo(exported, model, clothes, in_tmp):
    files = []
    for at in range(6):
        large = Image.fromarray(clothes[0][300 + at]).resize((500, 400), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = (1, 6, 3)[at % 3]
        files.append(f"{at}.{'jpg' if at % 2 else 'png'}")
        large.save(files[-1], exif=exif)
    done = subprocess.run(
        [sys.executable, "-P", str(EXAMPLE), str(exported[0]), *files],
        capture_output=True, text=True, check=True, env={"PATH": ""},
    )  # fmt: skip
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    ours = list(model.predict(files))
    assert [one["class"] for one in ours] == [one["class"] for one in theirs]
    for one, two in zip(ours, theirs, strict=True):
        assert one["probability"] == pytest.approx(
            two["probability"], abs=0.05 if "jpg" in one["file"] else 5e-3
        )
    assert "vistazo." not in EXAMPLE.read_text(encoding="utf-8").replace('["vistazo"]', "")


def test_the_verbs_take_an_exported_file(verb, exported, wardrobe, trained, clothes):
    Image.fromarray(clothes[0][300]).save("a.png")
    answer = verb("predict", exported[0], "a.png", "--json")
    assert answer.code == 0
    assert answer.json["predictions"][0]["file"] == "a.png"
    told = verb("evaluate", exported[0], wardrobe, "--json").json
    assert told["part"] == "test"
    before = json.loads((trained / "metrics.json").read_text())["metrics"]["test"]["accuracy"]
    assert told["metrics"]["accuracy"] == pytest.approx(before, abs=0.011)
    said = verb("evaluate", exported[0], wardrobe)
    assert said.code == 0
    assert "accuracy" in said.out
    for language, option in (("en", "does not take --out:"), ("es", "no admite --salida:")):
        said = verb("evaluate", exported[0], wardrobe, "--out", "page", "--lang", language)
        assert (said.code, option in said.err, ".vistazo" in said.err) == (2, True, True), said.err


def test_export_ends_by_naming_the_next_command(verb, exported, trained, monkeypatch):
    monkeypatch.setattr(exporting, "export", lambda *_, **__: exported[1])
    said = verb("export", trained, "--out", "m.onnx")
    assert said.code == 0
    assert "100.00% are those of the model" in said.out
    assert said.out.splitlines()[-1].startswith("next:   vistazo predict ")
    told = verb("export", trained, "--out", "m.onnx", "--json").json
    assert {"file", "agreement", "largest_difference", "accuracy"} <= told.keys()


def test_bad_words_are_told_before_anything_is_computed(verb, trained, exported):
    Path("pictures").mkdir()
    for words, sentence in (
        (("export", trained), "Say where the file shall be"),
        (("export", trained, "--out", "m.bin"), "must be a file that ends in .onnx"),
        (("export", trained, "--out", "nowhere/m.onnx"), "There is no folder nowhere"),
        (("export", trained, "--out", "m.onnx", "--precision", "half"), "There is no precision 'half'"),
        (("export", exported[0], "--out", "m.onnx"), "is exported already"),
        (("export", exported[0], "--service", "service", "--precision", "int8"), "is exported already"),
        (("explain", exported[0], "one.png"), "was exported to answer, and cannot explain"),
        (("inside", exported[0], "one.png"), "was exported to answer, and cannot be looked into"),
        (
            ("search", exported[0], "pictures", "one.png"),
            "was exported to answer, and does not tell how alike",
        ),
        (("train", "pictures", "--from", exported[0]), "was exported to answer, and cannot learn further"),
        (("export", "nothing", "--out", "m.onnx"), "no"),
        (("export", trained, "--out", "m.onnx", "--verify", "nothing"), "nothing"),
    ):
        said = verb(*words)
        assert said.code in (1, 2), words
        assert sentence in said.err
        assert not Path("m.onnx").exists()
        assert not Path("runs").exists()


def test_a_spanish_verb_with_spanish_options(verb, trained):
    said = verb("exportar", trained, "--salida", "m.bin", "--precision", "fp32", "--idioma", "es")
    assert said.code == 2
    assert "m.bin" in said.err
    said = verb("exportar", trained, "--salida", "m.onnx", "--idioma", "es")
    assert said.code == 0
    assert re.search(r"los números difieren en \d,\de-\d\d", said.out), said.out
    assert "." not in said.out.replace("m.onnx", "").replace("...", "")


# ---------------------------------------------------------------- precisions
@pytest.fixture(scope="module")
def network(model):
    """The graph of the model from its size on, made once."""
    return exporting._network(model)


def _probabilities(network, pixels):
    session = onnx_file.session_of(engine.serialised(network), Path("network"))
    return session.run(None, {SIZED: np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))})[0]


def test_half_precision_takes_half_the_space_and_answers_alike(network, model, clothes):
    pixels = clothes[0][300:340, :, :, None].copy()
    half = quantising.halved(network)
    weights = sum(one.ByteSize() for one in network.graph.initializer)
    assert sum(one.ByteSize() for one in half.graph.initializer) < 0.6 * weights
    np.testing.assert_allclose(_probabilities(half, pixels), model.probabilities(pixels), atol=0.005)


@pytest.mark.parametrize(("size", "kept"), [(1.0, False), (1e-7, True), (1e6, True)])
def test_weights_that_16_bits_do_not_hold_stay_as_they_are(size, kept):
    onnx = pytest.importorskip("onnx")
    graph = onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 18]> g (float[N] x) => (float[N] y) '
                                    "{ y = Add (x, x) }")  # fmt: skip
    weights = np.linspace(-size, size, 50, dtype=np.float32)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    (found,) = quantising.halved(graph).graph.initializer
    assert (found.data_type == onnx.TensorProto.FLOAT) is kept


def test_eight_bits_answer_nearly_alike_and_leave_no_trace(network, model, clothes, trained):
    pixels = clothes[0][300:340, :, :, None].copy()
    calibrated = quantising.calibration(model)
    assert len(calibrated) == (read_index(trained / "index.parquet").split == "validation").sum()
    small = quantising.quantised(network, calibrated)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in small.graph.node}
    ours = model.probabilities(pixels)
    assert np.abs(_probabilities(small, pixels) - ours).max() < 0.25
    assert (_probabilities(small, pixels).argmax(1) == ours.argmax(1)).mean() > 0.8
    assert b"/tmp" not in engine.serialised(small)


@pytest.mark.parametrize("room", [0.5, 1.2, 1.8])
def test_a_full_disk_on_the_way_to_eight_bits_is_told(network, clothes, small_disk, monkeypatch, room):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk(f"{int(room * network.ByteSize() / 1024)}k")))
    with pytest.raises(DiskError, match="The disk is full"):
        quantising.quantised(network, clothes[0][300:308, :, :, None].copy())


def test_a_service_without_room_for_its_model_on_the_way_is_told(verb, trained, small_disk, monkeypatch):
    nowhere = "/nowhere/at/all"
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [nowhere])
    for place, says in (
        (str(small_disk("4k")), "The disk is full"),
        (nowhere, "could not be written"),
        (None, "No folder for temporary files can be written"),
    ):
        monkeypatch.setattr(tempfile, "tempdir", place)
        said = verb("export", trained, "--service", "service")
        assert (said.code, says in said.err) == (1, True), said.err
        assert not Path("service").exists()


# ---------------------------------------------------------------- the proof
def test_a_model_that_answers_otherwise_is_refused(model, exported, tmp_path):
    answering = vistazo.load(exported[0])
    examples = exporting._examples(model, None)
    turned = replace(model, classes=model.classes[::-1])
    assert exporting.prove(turned, answering, examples).agreement == 1  # classes are told apart by number
    worse = replace(model, views=((3, 3, True),))
    proof = exporting.prove(worse, answering, examples)
    assert proof.agreement < 0.999
    with pytest.raises(VistazoError, match="No file was written"):
        engine.refuse(proof, "fp32")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_graph_that_answers_otherwise_at_other_sizes_is_refused(model, tmp_path, monkeypatch, precision):
    honest = exporting.Exported.probabilities

    def turned(self, pixels):
        found = honest(self, pixels)
        return found if pixels.shape[1:3] == self.size[:2] else np.roll(found, 1, axis=1)

    monkeypatch.setattr(exporting.Exported, "probabilities", turned)
    with pytest.raises(VistazoError, match="of 2 pictures at their own size, .* answers only 0 as the model"):
        exporting.export(model, tmp_path / "m.onnx", verify=None, precision=precision, say=lambda line: None)
    assert not list(tmp_path.iterdir())


def test_one_picture_of_the_models_size_proves_a_file(model, clothes, write_idx, tmp_path):
    source = write_idx(tmp_path / "one", "t10k", clothes[0][300:301], clothes[1][300:301])
    told = model.export(tmp_path / "m.onnx", verify=source)
    assert told["examples"] == 1
    assert told["at_their_own_size"]["examples"] == 2


def test_an_answer_between_two_equally_probable_classes_is_a_tie(model):
    ours = np.array([[0.4, 0.4 - 1e-7, 0.2], [0.5, 0.3, 0.2]])
    theirs = np.array([[0.4 - 1e-7, 0.4, 0.2], [0.3, 0.5, 0.2]])
    same, ties = exporting._compared(model, ours, theirs)
    assert same.tolist() == [False, False]
    assert ties.tolist() == [True, False]
    several = replace(model, thresholds=(0.4, 0.5, 0.5))
    same, ties = exporting._compared(several, np.array([[0.4, 0.9, 0.1]]), np.array([[0.4 - 1e-7, 0.9, 0.1]]))
    assert (same.tolist(), ties.tolist()) == ([False], [True])


def test_pictures_that_changed_since_are_not_proved_with(model, clothes, write_idx, trained, tmp_path):
    pictures, labels = clothes
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    changed = pictures.copy()
    changed[300:350] = 255 - changed[300:350]
    source = write_idx(tmp_path / "source", "train", changed[:300], labels[:300])
    write_idx(source, "t10k", changed[300:], labels[300:])
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "source": str(source)}))
    found = own_part(replace(model, path=folder / "model.vistazo"), "test")
    assert (len(found.truth), found.missing) == (50, 50)
    np.testing.assert_array_equal(found.truth, labels[350:])
