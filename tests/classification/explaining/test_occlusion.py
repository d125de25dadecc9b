"""Occlusion: what a score loses under the patch, by hand."""

import pytest
import torch
from torch import nn

from vistazo.classification.explaining.occlusion import Patch, occlusion, patch_for
from vistazo.errors import ConfigError


def test_of_a_linear_network_the_fall_is_what_the_patch_held_above_the_mean():
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 1, bias=False)).double()
    picture = torch.arange(8.0).double().reshape(1, 2, 4)  # its mean is 3.5
    with torch.no_grad():
        network[1].weight.copy_(torch.ones(1, 8))
    found = occlusion(network, picture, torch.tensor([0]), patch=Patch(side=2, stride=2), at_once=1)
    # Left patch: 0 + 1 + 4 + 5 - 4 · 3.5 = -4; right patch: 2 + 3 + 6 + 7 - 14 = 4.
    expected = torch.tensor([[[-4.0, -4, 4, 4], [-4, -4, 4, 4]]]).double()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_pixel_under_two_patches_has_their_mean():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 1, bias=False)).double()
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, 0, 0]]))
    picture = torch.tensor([[[6.0, 0, 0]]]).double().repeat(1, 1, 1)
    found = occlusion(network, picture, torch.tensor([0]), patch=Patch(side=1, stride=1), at_once=2)
    torch.testing.assert_close(found[0, 0], torch.tensor([4.0, 0, 0]).double(), rtol=0, atol=1e-9)
    assert Patch(side=2, stride=2).places(5) == [0, 2, 3]  # the last one ends where the picture ends
    assert Patch(side=5, stride=1).places(5) == [0]


def test_patch_and_stride_follow_from_the_size():
    assert patch_for(32, 32, side=None, stride=None) == Patch(6, 3)
    assert patch_for(224, 160, side=None, stride=None) == Patch(32, 16)
    assert patch_for(1, 1, side=None, stride=None) == Patch(1, 1)


def test_a_picture_smaller_than_the_patch_or_gaps_between_patches_are_refused():
    with pytest.raises(
        ConfigError, match="patch of 40 pixels does not fit into pictures of 32 x 24: choose 1 to 24"
    ):
        patch_for(32, 24, side=40, stride=None)
    with pytest.raises(
        ConfigError, match="stride of 9 pixels leaves gaps between patches of 8: choose 1 to 8"
    ):
        patch_for(32, 24, side=8, stride=9)
