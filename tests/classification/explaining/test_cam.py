"""Class activation maps equal arithmetic by hand, and leave every registered network as it was."""

import numpy as np
import pytest
import torch
from torch import nn

from vistazo.classification.explaining import methods as ways
from vistazo.classification.explaining.cam import class_maps, grad_cam, grad_cam_plus_plus
from vistazo.classification.models import models

EXACT = {"rtol": 0, "atol": 1e-9}


class ByHand(nn.Module):
    """Two maps of a 2 x 2 picture, the picture and its double; a score is a sum over the maps' places."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(1, 2, 1, bias=False)
        self.head = nn.Linear(8, 2, bias=False)
        self.maps.weight = nn.Parameter(torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1).double())
        # Of class 0: 4 and 1 in the upper row of the first map, -1 at the end of the second.
        rows = [[4.0, 1, 0, 0, 0, 0, 0, -1], [0, 0, 0, 0, 1, 1, 1, 1]]
        self.head.weight = nn.Parameter(torch.tensor(rows).double())

    def forward(self, pictures):
        return self.head(self.maps(pictures).flatten(1))


PICTURE = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).double()[None, None]
BOTH = torch.tensor([[0, 1]])


def test_grad_cam_of_a_network_worked_out_by_hand():
    found = class_maps(ByHand(), PICTURE, BOTH, layer="maps", plus_plus=False)
    # Class 0: mean gradients 5/4 and -1/4, so 5/4 x - 1/4 (2 x) = 3/4 x. Class 1: 0 and 1, so 2 x.
    torch.testing.assert_close(found[0, 0], 0.75 * PICTURE[0, 0], **EXACT)
    torch.testing.assert_close(found[0, 1], 2 * PICTURE[0, 0], **EXACT)


def test_grad_cam_plus_plus_of_a_network_worked_out_by_hand():
    found = class_maps(ByHand(), PICTURE, BOTH, layer="maps", plus_plus=True)
    # Class 0: the first map sums to 10; a gradient g weighs g / (2 + 10 g): 4/42 + 1/12. The second has none above 0.
    torch.testing.assert_close(found[0, 0], (4 / 42 + 1 / 12) * PICTURE[0, 0], **EXACT)
    # Class 1: the second map sums to 20, and each of four gradients of 1 weighs 1/22.
    torch.testing.assert_close(found[0, 1], 4 / 22 * 2 * PICTURE[0, 0], **EXACT)


def test_what_speaks_against_a_class_is_cut_off():
    features = torch.tensor([[1.0, 2.0]]).double()[None, None]
    assert not grad_cam(features, -torch.ones_like(features)).any()
    assert not grad_cam_plus_plus(features, -torch.ones_like(features)).any()


def test_the_short_form_of_grad_cam_plus_plus_is_the_published_one():
    random = np.random.default_rng(0)
    features, gradients = random.random((2, 5, 4, 3)), random.normal(size=(2, 5, 4, 3))
    sums = features.sum((2, 3), keepdims=True)
    weights = gradients**2 / (
        2 * gradients**2 + sums * gradients**3
    )  # equation 19, its factor exp(score) cancelled
    expected = np.maximum(
        ((weights * np.maximum(gradients, 0)).sum((2, 3), keepdims=True) * features).sum(1), 0
    )
    found = grad_cam_plus_plus(torch.from_numpy(features), torch.from_numpy(gradients))
    np.testing.assert_allclose(found.numpy(), expected, **EXACT)


# ---------------------------------------------------------------- every registered network
SIZES = {"28x28 grey": (28, 28, 1), "40x24 colour": (40, 24, 3)}


@pytest.mark.parametrize("name", list(models))
@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
def test_every_method_explains_every_network_and_leaves_it_as_it_was(untrained, name, size):
    model = untrained(name, size)
    network = model.network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    asking = [one.requires_grad for one in network.parameters()]
    pixels = np.random.default_rng(0).integers(0, 256, (2, *size), dtype=np.uint8)
    scores = model.view_scores(pixels)
    for method in ways.methods:
        way = ways.settle(model, method=method, layer=None, steps=8)
        maps = ways.picture_maps(model, pixels, np.array([[0, 1], [2, 0]]), way)
        assert maps.shape == (2, 2, *size[:2])
        assert maps.dtype == np.float32
        assert np.isfinite(maps).all()
        assert (maps != 0).any(), method
        assert method not in ("gradcam", "gradcam++") or (maps >= 0).all()
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert [one.requires_grad for one in network.parameters()] == asking
    assert all(one.grad is None for one in network.parameters())
    assert not any(part._forward_hooks or part.training for part in network.modules())
    np.testing.assert_array_equal(model.view_scores(pixels), scores)


@pytest.mark.parametrize("name", list(models))
def test_every_layer_that_is_listed_can_be_asked_for(untrained, name):
    model = untrained(name, (28, 28, 1))
    layers = ways.layers_of(model.network, 1, 28, 28)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), dtype=np.uint8)
    for layer in layers[:: max(1, len(layers) // 8)]:
        way = ways.settle(model, method="gradcam", layer=layer.name)
        assert way.told() == {"layer": layer.name, "map": [layer.height, layer.width]}
        assert np.isfinite(ways.picture_maps(model, pixels, np.array([[0]]), way)).all()


def test_a_picture_is_explained_alike_alone_and_among_others(untrained):
    model = untrained("cifar_cnn", (32, 32, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    targets = np.array([[0], [1], [2], [0], [1]])
    for method in ("gradcam++", "gradients"):
        way = ways.settle(model, method=method, layer=None, steps=8)
        together = ways.picture_maps(model, pixels, targets, way)
        alone = ways.picture_maps(model, pixels[3:4], targets[3:4], way)
        np.testing.assert_allclose(together[3:4], alone, rtol=1e-3, atol=1e-5)
