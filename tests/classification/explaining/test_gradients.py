"""Integrated gradients: exact on what is linear, complete on what is not."""

import pytest
import torch
from torch import nn

from vistazo.classification.explaining.gradients import integrated_gradients


def test_on_a_linear_network_a_pixels_share_is_its_weight_times_its_way():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()
    generator = torch.Generator().manual_seed(0)
    picture, baseline = torch.randn(2, 3, 2, 2, generator=generator, dtype=torch.float64)
    found = integrated_gradients(
        network, picture, torch.tensor([1, 0]), baseline_CHW=baseline, steps=3, at_once=2
    )
    for at, target in enumerate((1, 0)):
        expected = network[1].weight[target].detach().reshape(3, 2, 2) * (picture - baseline)
        torch.testing.assert_close(found[at], expected, rtol=0, atol=1e-9)


def test_of_a_square_the_way_is_integrated_and_not_the_end():
    class Square(nn.Module):
        def forward(self, pictures):
            return pictures.square().sum((1, 2, 3))[:, None]

    picture, baseline = torch.full((1, 1, 1), 3.0).double(), torch.full((1, 1, 1), 1.0).double()
    found = integrated_gradients(
        Square(), picture, torch.tensor([0]), baseline_CHW=baseline, steps=4, at_once=4
    )
    # 3² - 1² = 8; the middle of each piece is exact for a straight gradient. The gradient at the end would say 12.
    torch.testing.assert_close(found.flatten(), torch.tensor([8.0]).double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["airbench", "cifar_cnn", "fashion_cnn"])
def test_the_shares_add_up_to_the_scores_rise(untrained, name):
    network = untrained(name, (28, 28, 3)).network.double().eval()
    picture = torch.randn(3, 28, 28, generator=torch.Generator().manual_seed(1)).double()
    baseline = torch.full_like(picture, -2)
    targets = torch.tensor([0, 2])
    with torch.no_grad():
        scores = network(torch.stack((picture, baseline)))
    rise = (scores[0] - scores[1])[targets].double()
    found = integrated_gradients(network, picture, targets, baseline_CHW=baseline, steps=300, at_once=100)
    torch.testing.assert_close(found.sum((1, 2, 3)), rise, rtol=0.02, atol=0.02 * float(rise.abs().max()))
