"""Networks in words as they compute: the tutorials' own, every border, every printed count; and hostile words."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from vistazo.engine.parameters import count_parameters
from vistazo.networks import tutorials
from vistazo.networks.tutorials import BatchNorm
from vistazo.networks.word_grammar import WordsError
from vistazo.networks.word_layers import WordNetwork
from vistazo.networks.word_table import objective, table
from vistazo.networks.words import resolve

GUIDE = Path(__file__).parents[2] / "docs" / "networks.md"
NETWORKS = {
    "mnist_cnn": tutorials.MnistCnn,
    "fashion_cnn": tutorials.FashionCnn,
    "cifar_cnn": tutorials.CifarCnn,
    "sports_cnn": tutorials.SportsCnn,
    "quickdraw_cnn": tutorials.QuickdrawCnn,
}


def examples():
    """The tutorials' networks as the guide shows them: name, words, parameters, height, width, channels."""
    text = GUIDE.read_text(encoding="utf-8")
    found = re.findall(r"```toml\n(# (\w+): ([\d,]+) parameters at (\d+) x (\d+) x (\d+)\n.*?)```", text, re.S)
    for block, name, parameters, *size in found:
        words = tomllib.loads(block)["network"]
        yield pytest.param(name, words, int(parameters.replace(",", "")), *map(int, size), id=name)


EXAMPLES = list(examples())


def made(words, height, width, channels, classes=10):
    arguments = {"height": height, "width": width, "channels": channels, "classes": classes}
    return WordNetwork(words=resolve(words), **arguments)


# ---------------------------------------------------------------- the tutorials
def test_the_guide_shows_every_tutorials_network():
    assert [one.values[0] for one in EXAMPLES] == list(NETWORKS)


@pytest.mark.parametrize(("name", "words", "parameters", "height", "width", "channels"), EXAMPLES)
def test_a_tutorials_network_in_words_has_its_published_size(
    name, words, parameters, height, width, channels
):
    with torch.device("meta"):
        counted = count_parameters(made(words, height, width, channels))
        published = count_parameters(
            NETWORKS[name](height=height, width=width, channels=channels, classes=10)
        )
    assert counted == published
    assert counted.total == parameters
    rows = table(words, height, width, channels, 10)
    assert sum(row.parameters for row in rows) == parameters
    assert objective(words) == ("squashed_cross_entropy" if name == "fashion_cnn" else "cross_entropy")


def in_order(network, pictures):
    """The layers with weights in the order in which they are done."""
    found = []
    for one in network.modules():
        if isinstance(one, nn.Conv2d | nn.Linear | BatchNorm):
            one.register_forward_hook(lambda module, *_: found.append(module))
    network.eval()(pictures)
    for one in network.modules():
        one._forward_hooks.clear()
    return found


def copied(source, target, pictures):
    """The weights of one network in another that does the same in the same order."""
    for mine, other in zip(in_order(target, pictures), in_order(source, pictures), strict=True):
        mine.load_state_dict(other.state_dict())


@pytest.mark.parametrize(("name", "words", "parameters", "height", "width", "channels"), EXAMPLES)
@pytest.mark.parametrize("training", [False, True])
def test_a_tutorials_network_in_words_gives_the_same_scores_and_gradients(
    name, words, parameters, height, width, channels, training
):
    torch.manual_seed(0)
    height, width = min(height, 47), min(width, 33)  # Quick, Draw! at 255 pixels takes its time
    published = NETWORKS[name](height=height, width=width, channels=channels, classes=10)
    for key, one in published.state_dict().items():
        if key.endswith(("mean", "variance", "bias")):
            one.uniform_(0.5, 1.5)
    network = made(words, height, width, channels)
    pictures, results = torch.randn(3, channels, height, width), []
    copied(published, network, pictures)
    for one in (published.double(), network.double()):
        torch.manual_seed(1)  # the same numbers are silenced
        scores = one.train(training)(pictures.double())
        (scores.square().sum() + (one.penalty() if hasattr(one, "penalty") else 0)).backward()
        gradients = [p.grad.norm().item() for p in one.parameters()]
        results.append((scores.detach(), sorted(gradients)))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-6)


def test_the_penalty_is_that_of_the_words():
    torch.manual_seed(0)
    network = made("conv 4 l2=0.5; conv 3 l1=0.25 l2=0.125; dense 5 l1=2; dense classes", 8, 8, 1, 3)
    weights = {name: one.detach().double().numpy() for name, one in network.named_parameters()}
    expected = (
        0.5 * (weights["conv1.weight"] ** 2).sum()
        + 0.25 * np.abs(weights["conv2.weight"]).sum()
        + 0.125 * (weights["conv2.weight"] ** 2).sum()
        + 2 * np.abs(weights["dense1.weight"]).sum()
    )
    assert network.penalty().item() == pytest.approx(expected, rel=1e-5)
    assert made("dense classes", 8, 8, 1).penalty().item() == 0


# ---------------------------------------------------------------- borders, by hand
def windows(pixels, kernel, stride, fill):
    """Every window of Keras' 'same' border, by TensorFlow's definition, as (down, across, kernel, kernel)."""
    sides = []
    for side in pixels.shape:
        count = -(-side // stride)
        missing = max((count - 1) * stride + kernel - side, 0)
        sides.append((count, (missing // 2, missing - missing // 2)))
    padded = np.pad(pixels, [one[1] for one in sides], constant_values=fill)
    (down, _), (across, _) = sides
    return np.array([
        [padded[r * stride : r * stride + kernel, c * stride : c * stride + kernel] for c in range(across)]
        for r in range(down)
    ])  # fmt: skip


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(6, 7), (5, 8), (3, 4)])
def test_borders_that_are_the_same_are_those_of_keras(size, kernel, stride):
    pixels = np.random.default_rng(0).normal(-3, 1, size)
    given = torch.tensor(pixels)[None, None]

    def first(line):
        return next(iter(made([line, "dense classes"], *size, 1).double().children()))

    largest = first(f"pool {kernel} same stride={stride}")(given)[0, 0].numpy()
    np.testing.assert_allclose(largest, windows(pixels, kernel, stride, -np.inf).max((2, 3)))
    mean = first(f"pool {kernel} average same stride={stride}")(given)[0, 0].numpy()
    np.testing.assert_allclose(mean, np.nanmean(windows(pixels, kernel, stride, np.nan), (2, 3)))
    convolution = first(f"conv 1 {kernel}x{kernel} same stride={stride}")
    filters = convolution.weight.detach().numpy()[0, 0]
    expected = (windows(pixels, kernel, stride, 0) * filters).sum((2, 3))
    np.testing.assert_allclose(convolution(given).detach()[0, 0].numpy(), expected, atol=1e-12)


# ---------------------------------------------------------------- whatever can be written
ACTIVE = st.sampled_from(
    ["", "relu", "leaky_relu", "leaky_relu=0.3", "prelu", "sigmoid", "tanh", "swish", "elu", "elu=0.5", "gelu", "softmax",
     "linear"]
)  # fmt: skip
BORDER = st.sampled_from(["", "same", "valid"])
STRIDE = st.sampled_from(["", "stride=1", "stride=2", "stride=3"])
SIDE = st.integers(1, 5)


def line(*parts):
    return st.tuples(*parts).map(lambda one: " ".join(str(word) for word in one if str(word)))


KERNEL = st.one_of(st.just(""), st.tuples(SIDE, SIDE).map(lambda one: f"{one[0]}x{one[1]}"))
LINES = st.one_of(
    line(st.just("conv"), st.integers(1, 6), KERNEL, ACTIVE, BORDER, STRIDE, st.sampled_from(["", "groups=2", "l2=1e-3"])),
    line(st.just("depthwise"), KERNEL, ACTIVE, BORDER, STRIDE),
    line(st.just("pool"), SIDE, st.sampled_from(["", "max", "average"]), BORDER, STRIDE),
    line(st.just("globalpool"), st.sampled_from(["", "max", "average"])),
    st.just("batchnorm"),
    line(st.just("dropout"), st.sampled_from(["0", "0.3", "{rate=0.5}"])),
    st.just("flatten"),
    line(st.just("dense"), st.one_of(st.integers(1, 9), st.just("classes")), ACTIVE),
    ACTIVE.filter(bool),
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(LINES, max_size=7),
    st.sampled_from(["dense classes softmax", "dense classes", "dense classes sigmoid", "dense 3", "relu"]),
    st.tuples(st.integers(1, 14), st.integers(1, 14), st.integers(1, 4), st.integers(2, 4)),
)
def test_words_are_refused_by_a_named_layer_or_computed_with_the_printed_counts(lines, end, size):
    height, width, channels, classes = size
    words = [*lines, end]
    try:
        rows = table(words, *size)
    except WordsError as error:
        number = re.match(r"Layer (\d+) \(`[^`]+`\): .*\.$", str(error))
        assert number
        assert 1 <= int(number[1]) <= len(words)
        return
    network = made(words, *size)
    counted = count_parameters(network)
    assert counted.trainable == sum(row.trainable for row in rows)
    assert counted.statistics == sum(row.statistics for row in rows)
    outputs = {}
    for name, module in network.named_children():
        module.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output.shape[1:]}))
    scores = network.train()(torch.randn(2, channels, height, width))
    assert scores.shape == (2, classes)
    assert scores.dtype == torch.float32
    for row in rows:
        if row.name in outputs:
            shape = outputs[row.name]
            assert row.shape == (shape if len(shape) == 1 else (shape[1], shape[2], shape[0])), row.words
    (scores.sum() + network.penalty()).backward()
    again = made(resolve(words), *size)
    again.load_state_dict(network.state_dict())
    pictures = torch.randn(2, channels, height, width)
    assert torch.equal(network.eval()(pictures), again.eval()(pictures))


# ---------------------------------------------------------------- words from a stranger
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["__import__('os').system('touch canary')", "dense classes"], id="code"),
        pytest.param(["conv {().__class__}", "dense classes"], id="code in braces"),
        pytest.param(["dense 100000"] * 199 + ["dense classes"], id="memory"),
        pytest.param(["conv 10000 100x100 same"] * 5 + ["dense classes"], id="memory of filters"),
        pytest.param(["relu"] * 10**6, id="a million layers"),
        pytest.param("dense classes\n" * 10**6, id="a million lines"),
        pytest.param(["conv {" + "9*" * 90 + "9}", "dense classes"], id="a number beyond all"),
        pytest.param({"a": 1}, id="no list"),
        pytest.param([["dense classes"]], id="lists in a list"),
        pytest.param(None, id="nothing"),
    ],
)
def test_hostile_words_are_refused_before_anything_is_built(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError):
        WordNetwork(words=words, height=200, width=200, channels=3, classes=10)
    assert list(tmp_path.iterdir()) == []
