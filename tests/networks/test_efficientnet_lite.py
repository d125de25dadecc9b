"""EfficientNet-Lite0: the published network, number for number, in a form that trains fast."""

import efficientnet_lite_pytorch
import pytest
import torch
import torch.nn.functional as F

from vistazo.engine.parameters import count_parameters
from vistazo.networks import pretrained
from vistazo.networks.efficientnet_lite import BLOCKS, FEATURES, EfficientNetLite0, parameter_groups


def published(**arguments):
    shape = {"channels": 3, "height": 64, "width": 64, "classes": 10, "size": 16, "frozen": 0, **arguments}
    network = EfficientNetLite0(**shape)
    network.load_published()
    return network.eval()


def noise(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def reference():
    """The separately published network, made for a size, with the same weights."""
    tensors = pretrained.efficientnet_lite0()

    def make(height, width):
        network = efficientnet_lite_pytorch.EfficientNet.from_name(
            "efficientnet-lite0", image_size=[height, width]
        )
        network.load_state_dict(tensors)
        return network.eval()

    return make


@torch.no_grad()
def test_its_answers_are_those_of_the_separately_published_network(reference):
    ours = published(height=224, width=224, classes=1000, size=224)
    tensors = pretrained.efficientnet_lite0()
    ours.head.weight.copy_(tensors["_fc.weight"])
    ours.head.bias.copy_(tensors["_fc.bias"])
    theirs, pictures = reference(224, 224), noise(2, 3, 224, 224)
    found, wanted = ours(pictures), theirs(pictures)
    assert wanted.abs().max() > 5
    # Of numbers up to 7, computed in another order in float32: 1e-5 of the largest, and 1e-5 of a probability.
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))
    torch.testing.assert_close(found.softmax(1), wanted.softmax(1), rtol=0, atol=1e-5)
    # Without rounding in between nothing but the rounding of the folded weights is left.
    exact = ours.double()(pictures.double()), theirs.double()(pictures.double())
    torch.testing.assert_close(*exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(128, 96), (97, 75), (33, 64)])
@torch.no_grad()
def test_so_are_its_features_at_any_size(reference, height, width):
    pictures = noise(2, 3, height, width)
    wanted = reference(height, width).extract_features(pictures).mean((2, 3))
    found = published(height=height, width=width).features(pictures)
    torch.testing.assert_close(found, wanted, rtol=0, atol=3e-5)


def test_it_has_as_many_parameters_as_published_less_the_folded_scales():
    counted = count_parameters(
        EfficientNetLite0(channels=3, height=224, width=224, classes=1000, size=224, frozen=0)
    )
    norms = ("bn0.weight", "bn1.weight", "bn2.weight")
    tensors = pretrained.efficientnet_lite0()
    scales = sum(one.numel() for name, one in tensors.items() if name.endswith(norms))
    assert counted.total == 4_652_008 - scales  # arXiv:1905.11946's B0 without squeeze-and-excitation: Lite0
    assert counted.statistics == 0


@torch.no_grad()
def test_small_pictures_are_enlarged_inside():
    small = noise(2, 3, 20, 24)
    large = F.interpolate(small, size=(53, 64), mode="bilinear", align_corners=False)
    inside = published(height=20, width=24, size=64).features(small)
    torch.testing.assert_close(inside, published(height=53, width=64).features(large))


@torch.no_grad()
def test_pictures_that_are_large_enough_are_taken_as_they_are():
    pictures = noise(1, 3, 64, 48)
    torch.testing.assert_close(
        published(height=64, width=48, size=32).features(pictures),
        published(height=64, width=48, size=64).features(pictures),
    )


@torch.no_grad()
def test_grey_pictures_are_seen_as_colour_ones_without_colour():
    grey = noise(2, 1, 64, 64)
    torch.testing.assert_close(
        published(channels=1).features(grey), published().features(grey.expand(-1, 3, -1, -1))
    )


@torch.no_grad()
def test_slices_and_the_layout_of_memory_change_nothing():
    network, pictures = published(size=64), noise(70, 3, 64, 64)
    whole = network.features(pictures)
    assert whole.shape == (70, FEATURES)
    torch.testing.assert_close(network.features(pictures[66:]), whole[66:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        network.features(pictures.contiguous(memory_format=torch.channels_last)), whole, rtol=1e-4, atol=1e-4
    )


def test_under_autocast_it_computes_in_bf16_and_answers_in_float32():
    network, pictures = published(), noise(4, 3, 64, 64)
    exact = network.features(pictures)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, scores = network.features(pictures), network(pictures)
    assert rough.dtype == scores.dtype == torch.float32
    assert 1e-4 < (rough - exact).abs().mean() < 0.02


@pytest.mark.parametrize("frozen", [0, 4, BLOCKS])
def test_what_is_frozen_gets_no_gradient_and_all_else_does(frozen):
    network = published(frozen=frozen, height=32, width=32).train()
    torch.nn.init.normal_(network.head.weight, std=0.01, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(noise(4, 3, 32, 32)).square().sum().backward()
    learning = {name for name, one in network.named_parameters() if one.grad is not None and one.grad.any()}
    wanted = {
        name
        for name, _ in network.named_parameters()
        if not name.endswith("depthwise.weight")
        and not (frozen and name.startswith("stem."))
        and not (name.startswith("blocks.") and int(name.split(".")[1]) < frozen)
    }
    assert learning == wanted
    assert {name for name, one in network.named_parameters() if one.requires_grad} == wanted


def test_its_gradient_is_the_true_one(monkeypatch):
    def gradients(kind):
        network = published(height=48, width=40).train()
        torch.nn.init.normal_(network.head.weight, std=0.01, generator=torch.Generator().manual_seed(0))
        F.cross_entropy(network.to(kind)(noise(16, 3, 48, 40).to(kind)), torch.arange(16) % 10).backward()
        return {name: one.grad.double() for name, one in network.named_parameters() if one.requires_grad}

    ours = gradients(torch.float32)
    monkeypatch.setattr("vistazo.networks.fused._exporting", lambda: True)
    true = gradients(torch.float64)
    assert ours.keys() == true.keys()
    for name, one in true.items():
        # Rounding tips a ReLU6 over now and then, with plain operations as well: then 0.3 % was seen, else 1e-6.
        # That each operation has the right gradient to the digit is tested with the operations.
        assert float((ours[name] - one).norm()) <= 0.01 * float(one.norm()), name


def test_the_rates_shrink_towards_the_pictures():
    groups = parameter_groups(published())
    rates = [group.rate for group in groups if group.role != "head"]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < rates[0] / 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"channels": 2}, "1 or 3 channels, not 2"),
        ({"height": 15}, "16 to 512 pixels a side, not 15"),
        ({"width": 513}, "16 to 512 pixels a side, not 513"),
        ({"size": 600}, "16 to 512 pixels a side, not 600"),
        ({"classes": 1}, "at least two classes"),
        ({"frozen": 17}, "has 16 blocks, so 17 of them cannot be frozen"),
        ({"frozen": -1}, "cannot be frozen"),
    ],
)
def test_what_it_is_not_made_for_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        EfficientNetLite0(
            **{"channels": 3, "height": 32, "width": 32, "classes": 3, "size": 64, "frozen": 4, **wrong}
        )


def test_the_first_half_of_training_sees_pictures_at_three_quarters():
    network = EfficientNetLite0(channels=3, height=32, width=24, classes=3, size=64, frozen=4)
    seen = []
    network.stem.register_forward_hook(lambda module, given, answer: seen.append(tuple(given[0].shape[2:])))
    for progress in (0.0, 0.49, 0.5, 0.99):
        network.pace(progress)
        for learning in (True, False):
            network.train(learning)
            network(noise(1, 3, 32, 24))
    assert seen == [(48, 36), (64, 48), (48, 36), (64, 48), (64, 48), (64, 48), (64, 48), (64, 48)]
