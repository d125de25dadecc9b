"""Pooling: against torch and scipy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import convolve2d

from vistazo.errors import ConfigError
from vistazo.museum.pools import pool, read_pooling_padding


def pixels(*shape):
    return np.random.default_rng(8).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("shape", [(28, 28), (7, 12), (5, 3)], ids=str)
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 3), (3, 1), (2, 3), (1, 1)])
def test_valid_pooling_equals_torch_and_scipy(shape, size, stride):
    picture = pixels(*shape)
    found = pool(picture, size=size, stride=stride, padding="valid")
    given = torch.tensor(picture[None, None].astype(float))
    assert np.array_equal(found.largest_PQ, F.max_pool2d(given, size, stride)[0, 0].numpy())
    sums = convolve2d(picture.astype(np.int64), np.ones((size, size), int), mode="valid")[::stride, ::stride]
    assert found.sum_PQ.dtype == np.int64
    assert np.array_equal(found.sum_PQ, sums)
    assert np.allclose(found.means, F.avg_pool2d(given, size, stride)[0, 0].numpy(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(7, 9), (21, 28), (4, 4)], ids=str)
def test_same_pooling_keeps_what_fills_no_window(shape):
    picture = pixels(*shape)
    found = pool(picture, size=2, stride=2, padding="same")
    given = torch.tensor(picture[None, None].astype(float))
    assert np.array_equal(found.largest_PQ, F.max_pool2d(given, 2, ceil_mode=True)[0, 0].numpy())
    means = F.avg_pool2d(given, 2, ceil_mode=True, count_include_pad=False)[0, 0].numpy()
    assert np.allclose(found.means, means, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("size", "stride", "said"), [(0, 1, "--size"), (2, 0, "--stride"), (9, 1, "do not fit")]
)
def test_windows_that_cannot_be_are_refused(size, stride, said):
    with pytest.raises(ConfigError, match=said):
        pool(pixels(8, 8), size=size, stride=stride, padding="valid")


def test_another_padding_is_refused():
    assert read_pooling_padding("VALIDO") == "valid"
    with pytest.raises(ConfigError, match="valid or same, not 'full'"):
        read_pooling_padding("full")
