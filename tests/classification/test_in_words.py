"""`--network`: trained, kept, opened, resumed, explained like any other; what it excludes; forged words."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vistazo import bundle, load
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.explaining.layers import choose, layers_of
from vistazo.classification.in_words import EXAMPLE, resolved
from vistazo.classification.models import create
from vistazo.classification.recipes import recipes
from vistazo.config import build, read_settings
from vistazo.errors import BundleDamaged, ConfigError

WORDS = (
    "conv {f=8} 3x3 relu l2=1e-4; pool 2; batchnorm; dropout 0.2; dense 16 leaky_relu; dense classes softmax"
)
WHOLE = [
    "conv 4 3x3 relu valid l2=0.0001",
    "pool 2x2 max valid",
    "batchnorm",
    "dropout 0.1",
    "dense 16 leaky_relu=0.1",
    "dense classes softmax",
]
END, SIDES = "dense classes softmax", {"channels": 1, "height": 12, "width": 12, "classes": 3}
NUMBERS = "f=4,dropout1.rate=0.1"
FAST = ("--epochs=2", "--precision=fp32", "--layout=contiguous", "--threads=1")


@pytest.fixture(scope="module")
def mine(wardrobe, tmp_path_factory):
    """A finished run of a network in words, to be read and never written to; and what was said."""
    import contextlib
    import io

    from vistazo import cli, language

    place = tmp_path_factory.mktemp("mine") / "run"
    said = io.StringIO()
    words = ["train", str(wardrobe), "--network", WORDS, "--numbers", NUMBERS, *FAST, "--out", str(place)]
    with language.speaking("en"), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        assert cli.main(words) == 0, said.getvalue()
    return place, said.getvalue()


def settled(**values):
    return resolved(build(ClassificationConfig, values))


# ---------------------------------------------------------------- a run
def test_the_table_is_printed_before_training_and_the_recipe_is_plain(mine):
    run, said = mine
    for line in ("the network, pictures of 28 × 28 × 1", "1  conv1       conv 4 3x3 relu valid l2=0.0001"):
        assert line in said
    assert said.index("total") < said.index("epoch 1/2")
    assert "pictures are trained on as they are" in said
    config = json.loads((run / "config.json").read_text())
    assert config["decided"]["model"] == "words"
    assert config["decided"]["arguments"]["words"] == WHOLE
    assert config["decided"]["schedule"] == recipes["plain"].schedule
    assert config["settings"]["network"] == WORDS


def test_the_model_file_carries_the_words_and_no_code(mine):
    kept = bundle.load(mine[0] / "model.vistazo")
    assert kept.model == "words"
    assert kept.arguments == {"channels": 1, "height": 28, "width": 28, "classes": 10, "words": WHOLE}
    model = load(mine[0])
    assert [name for name, _ in model.network.named_parameters()][:2] == ["conv1.weight", "conv1.bias"]
    assert model.objective == "cross_entropy"


def test_it_evaluates_explains_and_shows_its_layers(mine, verb, wardrobe, folder_of_pictures, in_tmp):
    run = mine[0]
    assert verb("evaluate", run, wardrobe, "--json").json["metrics"]["n"] == 100
    layers = verb("inside", run, "--json").json
    assert [one["name"] for one in layers["layers"]] == [
        "conv1", "max_pool_1", "relu_1", "batchnorm1", "dropout_1", "flatten_1", "dense1", "leaky_relu_1", "dense2",
    ]  # fmt: skip
    assert layers["parameters"] == 4 * 10 + 16 + 16 * (4 * 13 * 13 + 1) + 170
    picture = next(folder_of_pictures(in_tmp / "s", "red", "green").rglob("*.png"))
    assert verb("predict", run, picture, "--json").code == 0
    assert verb("explain", run, picture, "--out", "e").code == 0
    assert verb("inside", run, picture, "--out", "i").code == 0


def test_it_resumes_to_the_bit_and_begins_another(mine, verb, wardrobe, in_tmp):
    run = ["train", wardrobe, "--network", WORDS, "--numbers", NUMBERS, *FAST[1:], "--quiet"]
    assert verb(*run, "--epochs=1", "--schedule=constant", "--out=short").code == 0
    assert verb("resume", "short", "--epochs=2", "--quiet").code == 0
    assert verb(*run, "--epochs=2", "--schedule=constant", "--out=long").code == 0
    ours, theirs = (bundle.load(Path(one) / "model.vistazo").tensors for one in ("short", "long"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)

    further = ["train", wardrobe, *FAST, "--from", mine[0], "--quiet"]
    assert verb(*further, "--out=further").code == 0
    assert bundle.load(Path("further/model.vistazo")).arguments["words"] == WHOLE
    assert verb(*further, "--network", "; ".join(WHOLE), "--out=again").code == 0
    said = verb(*further, "--network", WORDS, "--out=other")
    assert said.code == 2
    assert "has another network than --network writes down; leave it out" in said.err


def test_a_network_of_dense_layers_alone_is_told_what_it_cannot_show(
    verb, wardrobe, folder_of_pictures, in_tmp
):
    words = ("--network", "dense 8 relu; dense classes sigmoid", "--recipe=quick")
    assert verb("train", wardrobe, *words, *FAST, "--out=flat", "--quiet").code == 0
    assert load("flat").objective == "squashed_cross_entropy"
    said = verb("inside", "flat", "--out", "i")
    assert (said.code, "No layer of this network holds filters to draw" in said.err) == (2, True)
    picture = next(folder_of_pictures(in_tmp / "s", "red", "green").rglob("*.png"))
    assert "No layer of this network keeps where things are" in verb("explain", "flat", picture).err
    assert verb("explain", "flat", picture, "--method=occlusion", "--out=e").code == 0


def test_pictures_in_colour_of_another_size_are_a_network_of_that_size(verb, folder_of_pictures, in_tmp):
    source = folder_of_pictures(in_tmp / "s", "red", "green", each=20)
    words = ("--network", "conv 4 3x3; globalpool; dense classes", "--size=9x12")
    assert verb("train", source, *words, *FAST, "--out=r", "--quiet").code == 0
    arguments = bundle.load(Path("r/model.vistazo")).arguments
    assert [arguments[name] for name in ("height", "width", "channels", "classes")] == [9, 12, 3, 2]


def test_grad_cam_looks_at_the_last_map_that_is_activated():
    network = create("words", {**SIDES, "words": ["conv 4 relu", "conv 4 tanh", "conv 4 swish", "relu", END]})
    assert choose(layers_of(network, 1, 12, 12), None).name == "activation1"
    network = create("words", {**SIDES, "words": ["conv 4 relu", "conv 4", END]})
    assert choose(layers_of(network, 1, 12, 12), None).name == "conv1_relu"


# ---------------------------------------------------------------- ways to give it
def test_a_text_a_list_and_a_file_mean_the_same(in_tmp):
    (in_tmp / "net.txt").write_text("# mine\n" + WORDS.replace("; ", "\n"), encoding="utf-8")
    (in_tmp / "net.toml").write_text(
        f'network = {json.dumps(WORDS.split("; "))}\nnumbers = {{ f = 4, "dropout1.rate" = 0.1 }}\n',
        encoding="utf-8",
    )
    (in_tmp / "dotted.toml").write_text(
        f"network = '{WORDS}'\nnumbers = {{ f = 4, dropout1.rate = 0.1 }}\n", encoding="utf-8"
    )
    assert settled(network=WORDS, numbers=NUMBERS) == WHOLE
    assert settled(**read_settings(in_tmp / "dotted.toml", ClassificationConfig)) == WHOLE
    assert settled(network="@net.txt", numbers=NUMBERS) == WHOLE
    assert settled(**read_settings(in_tmp / "net.toml", ClassificationConfig)) == WHOLE
    anchored = build(ClassificationConfig, {"network": "@net.txt"}).anchored()
    assert anchored.network == WORDS  # the run goes on where the file is gone


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"network": "con 3; dense classes"}, "Layer 1 (`con 3`): the word 'con' is not known"),
        ({"network": ["con 3", "dense classes"]}, "Layer 1 (`con 3`): the word 'con' is not known"),
        ({"network": ""}, "The network has no layers"),
        ({"network": [3]}, "a list of lines"),
        ({"network": "dense classes", "numbers": "f"}, "--numbers takes a number for each name"),
        ({"network": "dense classes", "numbers": {"f": "x"}}, "--numbers takes a number for each name"),
        ({"network": 5}, "--network cannot be 5"),
    ],
)
def test_words_that_are_not_understood_are_refused_with_the_settings(values, sentence):
    with pytest.raises(ConfigError) as caught:
        build(ClassificationConfig, values)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--network", WORDS, "--model=airbench"], "--network is the whole network, and --model is of another"),
        (["--network", WORDS, "--filters=8"], "--network is the whole network, and --filters is of another"),
        (["--network", WORDS, "--recipe=tutorial-mnist"], "The recipe tutorial-mnist brings its own network"),
        (["--network", WORDS, "--recipe=transfer"], "The recipe transfer brings its own network"),
        (["--network", WORDS, "--numbers=g=3"], "The network has no number 'g'"),
        (["--network", WORDS, "--numbers=f=2.5"], "`filters` is a whole number from 1 to 10000, not 2.5"),
        (["--network", "@nothing.txt"], "The network in nothing.txt cannot be read"),
        (["--numbers=f=3"], "--numbers are those of a network in words: give --network too"),
        (["--recipe=plain"], "write it with --network, as in --network 'conv 32 3x3 relu"),
        (["--model=words"], "write it with --network"),
        (["--network", "conv 4; pool 30; dense classes"], "Layer 2 (`pool 30x30 max valid`): it meets 26 x 26"),
        (["--network", "dense 3"], "it gives 3 scores, and there are 10 classes: write `dense classes"),
    ],
)  # fmt: skip
def test_what_contradicts_the_words_is_refused_before_pictures_are_decoded(verb, wardrobe, words, sentence):
    said = verb("train", wardrobe, *words, "--out", "run")
    assert said.code == 2
    assert sentence in said.err.splitlines()[-1]
    assert "pictures:" not in said.err
    assert not Path("run/index.parquet").exists()


# ---------------------------------------------------------------- the table without pictures
def test_the_table_is_told_without_any_pictures(verb):
    words = ("--network", WORDS, "--numbers", NUMBERS, "--size=20x30", "--channels=3", "--classes=5")
    told = verb("models", *words, "--json").json
    assert told["words"] == WHOLE
    assert told["input"] == [20, 30, 3]
    assert told["numbers"] == {
        "f": 4, "conv1.kernel": 3, "conv1.l2": 1e-4, "pool1.size": 2, "dropout1.rate": 0.1, "dense1.units": 16,
    }  # fmt: skip
    assert [one["shape"] for one in told["layers"]][:2] == [[18, 28, 4], [9, 14, 4]]
    assert told["parameters"] == sum(one["parameters"] for one in told["layers"])
    said = verb("models", *words).out
    assert "total" in said
    assert "numbers to set with --numbers: f=4, conv1.kernel=3" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--size=28"], "--size is asked of a network in words: give --network too"),
        (["airbench", "--network", WORDS], "A name and --network are two networks"),
        (["--network", WORDS, "--size=big"], "--size does not understand 'big'"),
        (["--network", WORDS, "--channels=2"], "--channels must be one of"),
        (["--network", "relu"], "Layer 1 (`relu`): the last layer has to be"),
    ],
)
def test_a_table_that_cannot_be_is_refused(verb, words, sentence):
    said = verb("models", *words)
    assert said.code == 2
    assert sentence in said.err


def test_the_guide_shows_what_is_printed(verb):
    text = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    command, shown = re.search(r"models (--network '[^']+').*?```text\n(.*?)```", text, re.DOTALL).groups()
    assert verb("models", *shlex.split(command)).out.startswith(shown)


def test_the_example_of_the_listing_is_the_digits_network(verb):
    told = {one["name"]: one for one in verb("models", "--json").json["models"]}
    assert told["words"]["parameters"] == told["mnist_cnn"]["parameters"]
    assert verb("models", "words", "--json").json["parameters"] == 542_230
    assert resolved(build(ClassificationConfig, {"network": "; ".join(EXAMPLE)}))


# ---------------------------------------------------------------- a stranger's model
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"words": ["conv 10000 100x100 same"] * 6 + WHOLE}, id="memory"),
        pytest.param({"words": ["__import__('os').system('touch canary')", *WHOLE]}, id="code"),
        pytest.param({"words": ["conv 5 3x3", *WHOLE[1:]]}, id="another network than the weights'"),
        pytest.param({"words": "touch canary"}, id="text"),
        pytest.param({"words": 5}, id="number"),
        pytest.param({"words": [{"a": 1}]}, id="table"),
        pytest.param({"words": [*WHOLE] * 10**4}, id="many"),
        pytest.param({"height": 10**9, "width": 10**9}, id="sides"),
        pytest.param({"command": "touch canary"}, id="an argument that there is not"),
    ],
)
def test_a_model_with_forged_words_is_damaged_and_nothing_runs(mine, in_tmp, change):
    kept = bundle.load(mine[0] / "model.vistazo")
    bundle.save(replace(kept, arguments={**kept.arguments, **change}), in_tmp / "forged.vistazo")
    with pytest.raises(BundleDamaged, match="does not hold together"):
        load(in_tmp / "forged.vistazo")
    assert not (in_tmp / "canary").exists()
