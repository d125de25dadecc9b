"""The walk of a picture through a convolutional network, counted."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from vistazo.engine.parameters import count_parameters
from vistazo.museum import walk
from vistazo.museum.kernels import kernels


def test_the_published_shapes_and_counts():
    layers = walk.steps()
    shapes = [one.shape for one in layers if one.kind in ("input", "pooling", "dense")]
    assert shapes == [(28, 28, 1), (14, 14, 32), (7, 7, 64), (3, 3, 128), (100,), (10,)]
    assert layers[1].shape == (28, 28, 32)
    assert [one.weights for one in layers if one.kind == "convolution"] == [288, 18_432, 73_728]
    assert layers[1].counted == "3 × 3 × 1 × 32 + 32"


def test_a_network_of_torch_has_as_many_parameters():
    twin = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1), nn.Conv2d(64, 128, 3, padding=1),
        nn.Linear(1152, 100), nn.Linear(100, 10),
    )  # fmt: skip
    assert sum(one.weights + one.biases for one in walk.steps()) == count_parameters(twin).total == 208_982


def test_what_each_layer_gives_has_its_shape_and_the_first_maps_equal_torch():
    picture = np.random.default_rng(1).random((28, 28))
    given, shares = walk.forward(picture)
    assert [one.shape for one in given] == [one.shape for one in walk.steps()]
    assert shares.shape == (10,)
    assert abs(shares.sum() - 1) < 1e-12
    filters = np.stack([kernels[name].numbers_KL for name in walk.FIRST])[:, None].astype(float)
    maps = F.relu(F.conv2d(torch.tensor(picture[None, None]), torch.tensor(filters), padding=1))
    assert np.allclose(given[1][:, :, : len(filters)].transpose(2, 0, 1), maps[0].numpy(), rtol=0, atol=1e-12)
    assert np.allclose(given[2][:, :, 0], F.max_pool2d(maps, 2)[0, 0].numpy(), rtol=0, atol=1e-12)


def test_the_walk_gives_the_same_numbers_each_time():
    picture = np.ones((28, 28))
    assert np.array_equal(walk.forward(picture)[1], walk.forward(picture)[1])
