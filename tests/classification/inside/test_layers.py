"""The layers of every registered network: counts, published shapes, and what each place sees of the picture."""

import pytest
import torch
from torch import nn

from vistazo.classification.inside.field import Field
from vistazo.classification.inside.layers import Watch, find_layer, tell_layers, trace
from vistazo.classification.inside.look import registered
from vistazo.classification.models import create, models
from vistazo.engine.parameters import count_parameters
from vistazo.errors import UnknownName

SMALL = {"channels": 3, "height": 34, "width": 30, "classes": 3}


def network_of(name, **others):
    torch.manual_seed(1)
    known = models[name].example
    return create(name, {**known, **SMALL, **({"size": 48} if "size" in known else {}), **others}).eval()


def bits(network):
    return {name: one.clone() for name, one in network.state_dict().items()}


# ---------------------------------------------------------------- published figures
PUBLISHED = {
    "mnist_cnn": (542_230, ["26 26 32", "13 13 32", "5408", "100", "10"]),
    "fashion_cnn": (11_252, ["24 24 6", "12 12 6", "8 8 10", "4 4 10", "160", "56", "10"]),
    "cifar_cnn": (
        393_962,
        ["32 32 32", "32 32 32", "32 32 32", "32 32 64", "16 16 64", "16 16 64", "16 16 64", "16 16 64", "8 8 64",
         "8 8 64", "8 8 64", "8 8 128", "8 8 128", "8 8 128", "8192", "8192", "32", "32", "32", "10"],
    ),
    "sports_cnn": (158_954, ["21 28 32", "11 14 32", "11 14 32", "4928", "32", "32", "10"]),
    "quickdraw_cnn": (
        1_516_522,
        ["255 255 32", "255 255 32", "127 127 32", "127 127 64", "127 127 64", "63 63 64", "63 63 64", "63 63 128",
         "63 63 128", "31 31 128", "31 31 128", "123008", "123008", "10"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table_of_a_tutorial_has_its_printed_sum_and_shapes(name):
    total, shapes = PUBLISHED[name]
    told = registered(name)
    assert told["parameters"] == sum(one["parameters"] for one in told["layers"]) == total
    # The tutorials print no row for an activation.
    rows = [" ".join(map(str, one["shape"])) for one in told["layers"] if one["kind"] != "activation"]
    assert rows == shapes


def test_the_running_statistics_of_cifar_are_those_that_its_guide_calls_not_trainable():
    told = registered("cifar_cnn")
    assert (told["trainable"], told["statistics"], told["frozen"]) == (393_322, 640, 0)
    kinds = [one["kind"] for one in told["layers"] if one["kind"] != "activation"][:6]
    assert kinds == ["convolution", "dropout", "normalisation", "convolution", "pooling", "dropout"]


def test_the_neurons_of_a_layer_are_the_numbers_it_gives():
    rows = {one["name"]: one for one in registered("mnist_cnn")["layers"]}
    assert rows["convolution"]["neurons"] == 26 * 26 * 32
    assert rows["hidden"]["neurons"] == 100
    assert rows["convolution"]["about"] == "convolution 3 × 3"


def test_a_registered_name_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    registered("fashion_cnn")
    assert torch.equal(torch.rand(3), wanted)


# ---------------------------------------------------------------- every network
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(models))
def test_every_network_is_counted_whole_and_left_as_it_was(name, channels):
    network = network_of(name, channels=channels)
    before = bits(network)
    layers = trace(network, (34, 30, channels))
    assert sum(one.parameters for one in layers) == count_parameters(network).total
    assert layers[-1].shape == (3,)
    assert [one.number for one in layers] == list(range(1, len(layers) + 1))
    assert len({one.name for one in layers}) == len(layers)
    assert all(one.kind != "other" for one in layers)
    assert all(torch.equal(one, before[name_]) for name_, one in network.state_dict().items())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())
    sums = tell_layers(layers)
    assert sums["parameters"] == sums["trainable"] + sums["statistics"] + sums["frozen"]


@pytest.mark.parametrize("name", list(models))
def test_what_is_watched_in_use_are_the_layers_of_the_table(name):
    """The fused convolutions too, which the table is not made with."""
    network, seen = network_of(name), []
    with torch.no_grad(), Watch(network, lambda one: seen.append(tuple(one.output.shape[1:]))):
        watched = network(torch.zeros((2, 3, 34, 30)))
    shapes = [
        (one.shape[2], *one.shape[:2]) if len(one.shape) == 3 else one.shape
        for one in trace(network, (34, 30, 3))
    ]
    assert seen == shapes
    with torch.no_grad():
        assert torch.equal(network(torch.zeros((2, 3, 34, 30))), watched)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())


def test_hooks_are_removed_where_a_network_fails():
    network = network_of("mnist_cnn")
    with pytest.raises(RuntimeError), Watch(network, lambda one: None):
        network(torch.zeros((1, 7, 34, 30)))
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("name", list(models))
def test_no_place_sees_beyond_its_field_and_the_first_layer_sees_all_of_it(name):
    """The gradient of one place reaches no pixel outside its field."""
    network = network_of(name).double()
    layers, outputs = trace(network, (34, 30, 3)), []
    picture = torch.rand((1, 3, 34, 30), dtype=torch.float64, requires_grad=True)
    with Watch(network, lambda one: outputs.append(one.output * 1.0)):
        network(picture)
    looked = 0
    for layer, output in zip(layers, outputs, strict=True):
        if layer.field is None or not output.requires_grad:
            continue
        height, width = layer.shape[:2]
        for row, column in {(0, 0), (height // 2, width // 2), (height - 1, width - 1)}:
            (gradient,) = torch.autograd.grad(output[0, :, row, column].sum(), picture, retain_graph=True)
            top, bottom, left, right = layer.field.box(row, column, 34, 30)
            outside = gradient.clone()
            outside[:, :, top:bottom, left:right] = 0
            assert not outside.any(), f"{layer.name} at {row}, {column}"
            looked += 1
    assert looked > 2


def test_the_field_of_a_hand_computed_chain():
    # 3 × 3, padding 1, then 2 × 2 by 2, then 3 × 3, padding 1: place p sees 8 pixels from 2p - 3 on
    field = Field().slid((3, 3), (1, 1), (1, 1)).slid((2, 2), (2, 2), (0, 0)).slid((3, 3), (1, 1), (1, 1))
    assert field.first == (-3.0, -3.0)
    assert field.span == (7.0, 7.0)
    assert field.box(4, 0, 28, 28) == (5, 13, 0, 5)


def test_layers_written_as_modules_count_as_those_written_as_functions():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(144, 2)
    )
    layers = trace(network, (28, 28, 3))
    assert [one.kind for one in layers] == ["convolution", "activation", "pooling", "flatten", "dense"]
    assert layers[0].about == "convolution 5 × 5, stride 2"
    assert sum(one.parameters for one in layers) == 5 * 5 * 3 * 4 + 4 + 144 * 2 + 2


def test_a_layer_is_found_by_number_or_name_and_another_is_refused():
    layers = trace(network_of("mnist_cnn"), (34, 30, 3))
    assert find_layer(layers, 1) == find_layer(layers, "convolution") == find_layer(layers, " 1 ")
    with pytest.raises(UnknownName, match="There is no layer 'convolutoin'. Did you mean 'convolution'"):
        find_layer(layers, "convolutoin")
    with pytest.raises(UnknownName, match="There is no layer '8'. Layers are numbered from 1 to 7"):
        find_layer(layers, 8)
