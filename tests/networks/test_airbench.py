"""The fast network: its shapes, its size and the rule that chooses it."""

import pytest
import torch

from vistazo.engine.optimizers import build_optimizers
from vistazo.networks.airbench import Airbench, parameter_groups


@pytest.mark.parametrize("entry", ["full", "quarter"])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (28, 28), (20, 47), (64, 128)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("residual", [False, True])
def test_every_size_gives_one_score_per_class(
    channels: int, height: int, width: int, entry: str, residual: bool
) -> None:
    network = Airbench(
        channels=channels,
        height=height,
        width=width,
        classes=7,
        filters=(16, 32, 32),
        entry=entry,  # type: ignore[arg-type]
        residual=residual,
    )
    pictures = torch.randn(6, channels, height, width)
    network.whiten(pictures)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(pictures)
    full = network(pictures)
    assert half.shape == full.shape == (6, 7)
    assert half.dtype == full.dtype == torch.float32


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("activation", "least"), [("relu", 0.0), ("silu", -0.27847)])
def test_every_value_passed_on_has_gone_through_the_activation(activation, least, residual) -> None:
    torch.manual_seed(0)
    network = Airbench(
        channels=3, height=32, width=32, classes=3, filters=(16, 16), residual=residual, activation=activation
    )
    pictures = 3 * torch.randn(64, 3, 32, 32)
    network.whiten(pictures)
    passed_on: list[float] = []
    for group in network.groups:
        group.register_forward_hook(lambda _, given, result: passed_on.extend((given[0].min(), result.min())))
    network(pictures)
    # x · sigmoid(x) is smallest, -0.27846, at x = -1.278; a ReLU ends at 0.
    assert len(passed_on) == 4
    assert all(least <= one <= least / 4 for one in passed_on)


@pytest.mark.parametrize(
    ("filters", "entry", "parameters"),
    # By hand: 9 × inputs × outputs + 9 × outputs², and two biases an output, for each group; the head.
    [((32, 64, 64), "full", 143_808), ((16, 32, 32), "quarter", 39_648)],
)
def test_the_parameters_are_as_many_as_the_docstring_says(filters, entry, parameters) -> None:
    network = Airbench(channels=1, height=28, width=28, classes=10, filters=filters, entry=entry)
    inputs = (len(network.whitening.filters), *filters[:-1])
    by_hand = (
        sum(9 * i * o + 9 * o * o + 2 * o for i, o in zip(inputs, filters, strict=True)) + 10 * filters[-1]
    )
    assert sum(p.numel() for p in network.parameters()) == by_hand == parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 2}, "1 or 3 channels, not 2"),
        ({"height": 15}, "16 to 128 pixels a side, not 15 x 28"),
        ({"classes": 1}, "at least two classes, not 1"),
        ({"entry": "half"}, "not 'half'"),
        ({"activation": "gelu"}, "'relu' and 'silu', not 'gelu'"),
        ({"filters": (16,) * 6}, "cannot be halved by 6 groups"),
    ],
)
def test_what_the_network_is_not_made_for_is_refused(changes, message) -> None:
    fine = {"channels": 1, "height": 28, "width": 28, "classes": 10, "filters": (16,)}
    with pytest.raises(ValueError, match=message):
        Airbench(**{**fine, **changes})


def test_a_residual_group_adds_what_the_maximum_left() -> None:
    torch.manual_seed(0)
    network = Airbench(channels=1, height=16, width=16, classes=2, filters=(4,), residual=True).eval()
    (group,) = network.groups
    features = torch.randn(2, 16, 14, 14)
    halved = torch.relu(group.first_norm(torch.nn.functional.max_pool2d(group.first(features), 2)))
    plain = group.third_norm(group.third(torch.relu(group.second_norm(group.second(halved)))))
    assert torch.equal(group(features), torch.relu(plain + halved))
    assert sum(one.numel() for one in network.parameters()) == 9 * (16 * 4 + 2 * 4 * 4) + 3 * 4 + 4 * 2


@pytest.mark.parametrize("residual", [False, True])
def test_every_parameter_stands_in_one_group(residual: bool) -> None:
    network = Airbench(channels=1, height=28, width=28, classes=10, filters=(16, 16), residual=residual)
    grouped = [id(p) for group in parameter_groups(network, batch=100) for p in group.parameters]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())


def test_training_repeats_to_the_bit() -> None:
    def scores() -> torch.Tensor:
        torch.manual_seed(3)
        pictures, labels = torch.randn(32, 1, 28, 28), torch.randint(0, 4, (32,))
        network = Airbench(channels=1, height=28, width=28, classes=4, filters=(16, 16))
        network.whiten(pictures)
        optimizers = build_optimizers(parameter_groups(network, batch=32))
        for _ in range(3):
            with torch.autocast("cpu", torch.bfloat16):
                loss = torch.nn.functional.cross_entropy(network(pictures), labels)
            network.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
        return network.eval()(pictures).detach()

    assert torch.equal(scores(), scores())
