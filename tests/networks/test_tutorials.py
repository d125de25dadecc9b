"""The tutorials' networks: their published size, their layers in the published order, their beginnings."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from vistazo.engine.parameters import count_parameters
from vistazo.networks.tutorials import BatchNorm, CifarCnn, FashionCnn, MnistCnn, QuickdrawCnn, SportsCnn

GREY, COLOUR = {"channels": 1, "classes": 10}, {"channels": 3, "classes": 10}


# ---------------------------------------------------------------- as many parameters as published
@pytest.mark.parametrize(
    ("network", "arguments", "total", "statistics"),
    [
        pytest.param(MnistCnn, {**GREY, "height": 28, "width": 28}, 542_230, 0, id="mnist"),
        pytest.param(FashionCnn, {**GREY, "height": 28, "width": 28}, 11_252, 0, id="fashion"),
        pytest.param(CifarCnn, {**COLOUR, "height": 32, "width": 32}, 393_962, 640, id="cifar"),
        pytest.param(SportsCnn, {**COLOUR, "height": 21, "width": 28}, 158_954, 0, id="sports"),
        pytest.param(QuickdrawCnn, {**GREY, "height": 255, "width": 255, "filters": 32}, 1_516_522, 0, id="quickdraw"),
    ],
)  # fmt: skip
def test_a_network_has_as_many_parameters_as_its_tutorial_prints(network, arguments, total, statistics):
    counted = count_parameters(network(**arguments))
    assert (counted.total, counted.statistics, counted.frozen) == (total, statistics, 0)
    assert counted.trainable == total - statistics


def test_one_number_of_filters_is_doubled_twice_and_three_are_taken_as_they_are():
    arguments = {**GREY, "height": 28, "width": 28}
    shapes = [
        {name: one.shape for name, one in QuickdrawCnn(**arguments, filters=filters).state_dict().items()}
        for filters in (8, [8], [8, 16, 32])
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    for wrong in ([8, 16], [8, 16, 0], [1, 2, 3, 4]):
        with pytest.raises(ValueError, match="one number of filters, or three"):
            QuickdrawCnn(**arguments, filters=wrong)


# ---------------------------------------------------------------- layers in the published order
class Same(nn.Module):
    """Keras' 2×2 maximum with padding 'same': what is missing on the far side counts as nothing."""

    def forward(self, features):
        bottom, right = features.shape[2] % 2, features.shape[3] % 2
        return nn.functional.max_pool2d(
            nn.functional.pad(features, (0, right, 0, bottom), value=-math.inf), 2
        )


def torchs(norm, kind):
    """torch's own batch norm with the numbers of ours."""
    one = kind(norm.mean.numel(), eps=1e-3)
    one.weight, one.bias, one.running_mean, one.running_var = norm.weight, norm.bias, norm.mean, norm.variance
    return one


def mnist(one):
    return [one.convolution, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), one.hidden, nn.ReLU(), one.head]


def fashion(one):
    pool = nn.MaxPool2d(2)
    return [one.first, pool, one.second, pool, nn.Flatten(), one.hidden, nn.ReLU(), one.head]


def cifar(one):
    layers = []
    for at, (convolution, norm) in enumerate(zip(one.convolutions, one.norms, strict=True)):
        layers += [convolution, nn.ReLU(), *([nn.MaxPool2d(2)] if at in (1, 2) else []), nn.Dropout(0.2)]
        layers.append(torchs(norm, nn.BatchNorm2d))
    return [*layers, nn.Flatten(), nn.Dropout(0.2), one.hidden, nn.ReLU(), nn.Dropout(0.3),
            torchs(one.hidden_norm, nn.BatchNorm1d), one.head]  # fmt: skip


def sports(one):
    return [one.convolution, nn.LeakyReLU(0.1), Same(), nn.Dropout(0.5), nn.Flatten(), one.hidden,
            nn.LeakyReLU(0.1), nn.Dropout(0.5), one.head]  # fmt: skip


def quickdraw(one):
    layers = []
    for at, (first, second) in enumerate(zip(one.firsts, one.seconds, strict=True)):
        layers += [first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Dropout((0.3, 0.4)[at - 1])] if at else []
    return [*layers, nn.Flatten(), nn.Dropout(0.2), one.head]


@pytest.mark.parametrize(
    ("network", "layers", "channels", "height", "width"),
    [
        pytest.param(MnistCnn, mnist, 1, 28, 28, id="mnist"),
        pytest.param(FashionCnn, fashion, 1, 28, 28, id="fashion"),
        pytest.param(CifarCnn, cifar, 3, 32, 32, id="cifar"),
        pytest.param(SportsCnn, sports, 3, 21, 28, id="sports"),
        pytest.param(SportsCnn, sports, 3, 5, 7, id="sports, odd both ways"),
        pytest.param(QuickdrawCnn, quickdraw, 1, 63, 47, id="quickdraw"),
    ],
)
def test_scores_and_gradients_are_those_of_the_layers_as_they_were_published(
    network, layers, channels, height, width
):
    torch.manual_seed(0)
    made = network(channels=channels, height=height, width=width, classes=10).eval()
    for name, one in made.state_dict().items():
        if name.endswith(("mean", "variance", "bias")):
            one.uniform_(0.5, 1.5)  # nothing at its beginning, where a mistake might not show
    published = nn.Sequential(*layers(made)).eval()
    pictures = torch.rand(3, channels, height, width)
    torch.testing.assert_close(made(pictures), published(pictures), rtol=1e-4, atol=1e-4)
    gradients = []
    for one in (made, published):
        made.zero_grad()
        one(pictures).square().sum().backward()
        gradients.append([p.grad.clone() for p in made.parameters()])
    for mine, theirs in zip(*gradients, strict=True):
        scale = mine.abs().max().item()
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4 * scale)


def test_dropout_silences_as_many_as_published_while_training_and_none_after():
    network = SportsCnn(channels=3, height=21, width=28, classes=10)
    seen = []
    network.hidden.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    pictures = torch.rand(64, 3, 21, 28)
    network.train()(pictures)
    network.eval()(pictures)
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert (seen[1] == 0).float().mean().item() < 0.01
    kept = seen[0] != 0
    torch.testing.assert_close(seen[0][kept], 2 * seen[1][kept])


# ---------------------------------------------------------------- as Keras begins and normalises
@pytest.mark.parametrize("network", [MnistCnn, CifarCnn, SportsCnn, QuickdrawCnn])
def test_weights_begin_uniform_after_glorot_and_biases_at_nothing(network):
    torch.manual_seed(0)
    made = network(channels=3, height=32, width=32, classes=10)
    layers = [one for one in made.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    assert layers
    for one in layers:
        places = math.prod(one.kernel_size) if isinstance(one, nn.Conv2d) else 1
        limit = math.sqrt(6 / (places * (one.weight.shape[0] + one.weight.shape[1])))
        assert 0.95 * limit < one.weight.abs().max().item() <= limit
        # of a uniform draw: limit / √3
        assert one.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.1)
        assert not one.bias.any()


@pytest.mark.parametrize("shape", [(6, 4), (5, 4, 3, 2)])
def test_batch_norm_is_keras_own_with_its_running_figures(shape):
    rng = np.random.default_rng(0)
    norm = BatchNorm(4)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 0.5, -1.0]))
        norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 2.0]))
    mean, variance = np.zeros(4), np.ones(4)
    axes = (0, *range(2, len(shape)))
    wide = (1, 4, *[1] * (len(shape) - 2))
    scale, shift = (one.detach().double().numpy().reshape(wide) for one in (norm.weight, norm.bias))
    for _ in range(5):
        batch = rng.normal(3, 2, shape).astype(np.float32)
        told = norm.train()(torch.from_numpy(batch)).detach().numpy()
        exact = batch.astype(np.float64)
        now, spread = exact.mean(axes), exact.var(axes)  # the batch's own variance: divided by n
        expected = scale * (exact - now.reshape(wide)) / np.sqrt(spread.reshape(wide) + 1e-3) + shift
        np.testing.assert_allclose(told, expected, atol=1e-5)
        mean, variance = 0.99 * mean + 0.01 * now, 0.99 * variance + 0.01 * spread
    np.testing.assert_allclose(norm.mean.numpy(), mean, atol=1e-6)
    np.testing.assert_allclose(norm.variance.numpy(), variance, atol=1e-6)
    told = norm.eval()(torch.from_numpy(batch)).detach().numpy()
    expected = scale * (exact - mean.reshape(wide)) / np.sqrt(variance.reshape(wide) + 1e-3) + shift
    np.testing.assert_allclose(told, expected, atol=1e-5)


def test_a_single_value_is_normalised_by_what_was_seen_before():
    norm = BatchNorm(3).train()
    assert norm(torch.ones(1, 3)).isfinite().all()
    assert not norm.mean.any()


def test_the_penalty_is_that_of_the_filters_alone():
    network = QuickdrawCnn(channels=1, height=16, width=16, classes=3, filters=4)
    kernels = {name for name, one in network.named_parameters() if one.ndim == 4}
    assert len(kernels) == 6
    expected = 1e-5 * sum(
        one.detach().double().square().sum().item() for one in network.parameters() if one.ndim == 4
    )
    penalty = network.penalty()
    assert penalty.item() == pytest.approx(expected, rel=1e-5)
    penalty.backward()
    for name, one in network.named_parameters():
        if name in kernels:
            torch.testing.assert_close(one.grad, 2e-5 * one.detach())
        else:
            assert one.grad is None


# ---------------------------------------------------------------- other sizes
@pytest.mark.parametrize(
    ("network", "least"), [(MnistCnn, 4), (FashionCnn, 16), (CifarCnn, 4), (QuickdrawCnn, 8), (SportsCnn, 1)]
)
def test_the_smallest_picture_is_learnt_from_and_a_smaller_one_refused(network, least):
    made = network(channels=2, height=least, width=least + 3, classes=2).eval()
    assert made(torch.rand(2, 2, least, least + 3)).shape == (2, 2)
    if least > 1:
        with pytest.raises(ValueError, match=f"at least {least} pixels a side, not {least - 1} x 40"):
            network(channels=2, height=least - 1, width=40, classes=2)
