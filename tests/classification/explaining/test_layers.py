"""Which layer is looked at: the last that still says where, or the one that is named."""

import pytest
import torch
from torch import nn

from vistazo.classification.explaining.layers import choose, features_of, layers_of, undisturbed
from vistazo.classification.models import create
from vistazo.errors import ConfigError

_SILU = {"filters": [32, 64, 64], "activation": "silu"}
CHOSEN = [
    pytest.param("airbench", (1, 28, 28), {"filters": [32, 64, 64]}, "groups.1", (6, 6), id="grey airbench"),
    pytest.param("airbench", (3, 32, 32), {"filters": [32, 64, 64]}, "groups.1", (7, 7), id="airbench"),
    pytest.param(
        "airbench",
        (3, 32, 32),
        {"filters": [32, 64, 64], "activation": "silu"},
        "groups.1",
        (7, 7),
        id="silu",
    ),
    pytest.param("airbench", (3, 64, 64), {"filters": [32, 64, 64]}, "groups.2", (7, 7), id="large airbench"),
    pytest.param("mnist_cnn", (1, 28, 28), {}, "convolution", (26, 26), id="digits"),
    pytest.param("fashion_cnn", (1, 28, 28), {}, "second", (8, 8), id="clothes"),
    pytest.param("cifar_cnn", (3, 32, 32), {}, "norms.3", (8, 8), id="cifar"),
    pytest.param("sports_cnn", (3, 21, 28), {}, "drops.0", (11, 14), id="sports"),
    pytest.param("quickdraw_cnn", (1, 64, 64), {"filters": [8]}, "drops.1", (8, 8), id="drawings"),
    pytest.param(
        "efficientnet_lite0", (3, 32, 32), {"size": 128, "frozen": 4}, "blocks.11.expand", (8, 8), id="128"
    ),
    pytest.param("efficientnet_lite0", (3, 64, 64), {"size": 224, "frozen": 4}, "top", (7, 7), id="224"),
]


@pytest.mark.parametrize(("name", "shape", "arguments", "layer", "size"), CHOSEN)
def test_the_last_activated_layer_whose_map_has_six_places_a_side_is_chosen(
    name, shape, arguments, layer, size
):
    channels, height, width = shape
    network = create(
        name, {"channels": channels, "height": height, "width": width, "classes": 10, **arguments}
    )
    chosen = choose(layers_of(network, *shape), None)
    assert (chosen.name, (chosen.height, chosen.width)) == (layer, size)


def test_where_every_map_is_small_the_largest_is_taken():
    network = create("mnist_cnn", {"channels": 1, "height": 4, "width": 4, "classes": 2})
    chosen = choose(layers_of(network, 1, 4, 4), None)
    assert (chosen.name, chosen.height) == ("convolution", 2)


def test_a_layer_inside_a_part_may_be_named():
    network = create("airbench", {"channels": 1, "height": 28, "width": 28, "classes": 2, "filters": [8, 8]})
    layers = layers_of(network, 1, 28, 28)
    assert choose(layers, "groups.1.first").own is False
    assert [one.name for one in layers if one.own] == ["whitening", "groups.0", "groups.1"]


def test_an_unknown_layer_is_answered_with_the_nearest_and_the_list():
    network = create("airbench", {"channels": 1, "height": 28, "width": 28, "classes": 2, "filters": [8, 8]})
    layers = layers_of(network, 1, 28, 28)
    with pytest.raises(ConfigError, match=r"no layer 'group.1' with a map. Did you mean 'groups.1'\? Its parts: "
                       r"whitening \(26 x 26\), groups.0 \(13 x 13\), groups.1 \(6 x 6\)."):  # fmt: skip
        choose(layers, "group.1")
    with pytest.raises(ConfigError, match=r"no layer 'ñ' with a map. Its parts: whitening"):
        choose(layers, "ñ")


def test_a_network_without_maps_is_told_which_methods_remain():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ConfigError, match="occlusion and gradients need none"):
        choose(layers_of(network, 1, 2, 2), None)


def test_the_next_layer_may_write_into_the_map():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8, 2))
    picture = torch.randn(1, 1, 2, 2)
    with undisturbed(network):
        features, scores = features_of(network, "0", picture)
        (gradients,) = torch.autograd.grad(scores[0, 0], features)
    assert torch.equal(features, network[0](picture))
    # Where the activation cuts off, no gradient arrives.
    assert torch.equal(gradients != 0, features > 0)


def test_hooks_are_removed_when_the_network_fails():
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Conv2d(1, 2, 1)

        def forward(self, pictures):
            self.part(pictures)
            raise RuntimeError("broken")

    network = Failing()
    for look in (lambda: layers_of(network, 1, 2, 2),
                 lambda: features_of(network, "part", torch.zeros(1, 1, 2, 2))):  # fmt: skip
        with pytest.raises(RuntimeError, match="broken"), undisturbed(network):
            look()
    assert not network.part._forward_hooks
    assert all(one.requires_grad for one in network.parameters())
