"""Penalties against NumPy, decay against the penalty it equals, dropout layers set and counted."""

import numpy as np
import pytest
import torch
from torch import nn

from vistazo.engine import regularizers
from vistazo.engine.optimizers import Group, build_optimizers, decayed


def network():
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout2d(0.1), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(12, 4), nn.PReLU(4), nn.Linear(4, 2),
    )  # fmt: skip
    return made.double()


def test_a_penalty_is_of_matrices_and_filters_that_learn():
    made = network()
    made[8].weight.requires_grad_(False)
    assert [tuple(one.shape) for one in regularizers.penalised(made)] == [(3, 1, 3, 3), (4, 12)]


@pytest.mark.parametrize("name", ["l1", "l2", "elastic_net"])
def test_penalties_are_numpys(name):
    weights = regularizers.penalised(network())
    values = np.concatenate([one.detach().numpy().ravel() for one in weights])
    absolute, squared = np.abs(values).sum(), (values**2).sum()
    expected = {"l1": 0.03 * absolute, "l2": 0.02 * squared, "elastic_net": 0.03 * absolute + 0.02 * squared}
    amounts = {"l1": (0.03,), "l2": (0.02,), "elastic_net": (0.03, 0.02)}
    found = regularizers.regularizers[name](weights, *amounts[name])
    assert found.item() == pytest.approx(expected[name], abs=1e-9)


def test_the_gradient_of_l1_is_the_sign_and_0_at_0():
    weight = nn.Parameter(torch.tensor([[2.0, -3.0], [0.0, -0.0]]))
    regularizers.l1([weight], 0.5).backward()
    assert weight.grad.tolist() == [[0.5, -0.5], [0.0, 0.0]]


def test_the_gradient_of_l2_is_twice_the_weight():
    weight = nn.Parameter(torch.tensor([[2.0, -3.0]]))
    regularizers.l2([weight], 0.5).backward()
    assert weight.grad.tolist() == [[2.0, -3.0]]


def test_for_plain_descent_decay_is_the_l2_penalty_of_half_of_it():
    """w - lr (g + 2 l2 w) = w (1 - lr 2 l2) - lr g."""
    ends = []
    for penalty, decay in ((0.05, 0.0), (0.0, 0.1)):
        made = network().eval()
        (optimizer,) = build_optimizers(
            decayed([Group("all", tuple(made.parameters()), "sgd", 0.1, 0.0)], decay)
        )
        pictures = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(1)).double()
        for _ in range(10):
            optimizer.zero_grad()
            loss = made(pictures).square().mean()
            if penalty:
                loss = loss + regularizers.l2(regularizers.penalised(made), penalty)
            loss.backward()
            optimizer.step()
        ends.append(torch.cat([one.detach().ravel() for one in made.parameters()]))
    torch.testing.assert_close(*ends, rtol=0, atol=1e-9)


def test_decay_multiplies_in_place():
    weight = torch.tensor([2.0, -4.0])
    regularizers.weight_decay([weight], 0.1, 0.5)
    assert weight.tolist() == pytest.approx([1.9, -3.8])


def test_every_dropout_layer_is_set():
    made = network()
    assert regularizers.set_dropout(made, 0.35) == 2
    assert [one.p for one in regularizers.dropouts(made)] == [0.35, 0.35]
    assert regularizers.set_dropout(nn.Linear(2, 2), 0.5) == 0


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="a share in"):
        regularizers.set_dropout(network(), share)


def test_dropout_keeps_the_mean_and_silences_its_share():
    layer = nn.Sequential(nn.Dropout(0.1)).train()
    regularizers.set_dropout(layer, 0.25)
    torch.manual_seed(0)
    found = layer(torch.ones(100_000))
    assert (found == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert found.max().item() == pytest.approx(1 / 0.75)


def test_every_regulariser_is_told_about():
    assert set(regularizers.regularizers) == set(regularizers.regularizers.about)
    assert set(regularizers.regularizers) == {"l1", "l2", "elastic_net", "dropout", "weight_decay"}
