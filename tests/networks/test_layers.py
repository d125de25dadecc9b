"""The layers do what their papers say."""

import pytest
import torch
import torch.nn.functional as F

from vistazo.networks.layers import BiasNorm, DiracConv, WhiteningConv, patch_covariance


def pictures(channels: int) -> torch.Tensor:
    noise = torch.randn(64, channels, 20, 24, generator=torch.Generator().manual_seed(1))
    return F.avg_pool2d(noise, 3, stride=1, padding=1)  # neighbours correlate, as in pictures


@pytest.mark.parametrize(("channels", "kernel", "stride"), [(1, 3, 1), (3, 2, 1), (1, 4, 2)])
def test_whitening_makes_the_patch_covariance_the_identity(channels: int, kernel: int, stride: int) -> None:
    outputs = 2 * channels * kernel**2
    layer = WhiteningConv(channels, outputs, kernel=kernel, stride=stride, padding=0)
    layer.fit(pictures(channels))
    whitened = layer(pictures(channels)).transpose(0, 1).flatten(1)[: outputs // 2]
    covariance = whitened @ whitened.T / whitened.shape[1]
    # Not exactly: 5e-4 of the largest eigenvalue is added, which shrinks the weakest directions.
    off = covariance - torch.diag(covariance.diagonal())
    assert off.abs().max() < 1e-3
    assert covariance.diagonal().max() < 1.001
    assert covariance.diagonal()[0] == pytest.approx(1.0, abs=1e-3)
    assert covariance.diagonal().min() > 0.8


def test_the_second_half_of_the_whitening_filters_is_the_negative_of_the_first() -> None:
    layer = WhiteningConv(1, 16, kernel=3, stride=1, padding=0)
    layer.fit(pictures(1))
    assert torch.equal(layer.filters[:8], -layer.filters[8:])


def test_whitening_filters_are_saved_and_never_learn() -> None:
    layer = WhiteningConv(1, 16, kernel=3, stride=1, padding=0)
    assert "filters" in layer.state_dict()
    assert list(layer.parameters()) == []


def test_black_pictures_do_not_make_infinite_filters() -> None:
    layer = WhiteningConv(1, 16, kernel=3, stride=1, padding=0)
    layer.fit(torch.zeros(4, 1, 16, 16))
    assert torch.isfinite(layer.filters).all()


def test_patches_larger_than_the_picture_are_refused() -> None:
    with pytest.raises(ValueError, match="patches of 4 × 4 need larger pictures"):
        patch_covariance(torch.zeros(1, 1, 3, 9), kernel=4, stride=1)


def test_a_dirac_convolution_starts_by_passing_its_input_through() -> None:
    features = torch.randn(2, 4, 7, 5)
    torch.testing.assert_close(DiracConv(4, 6)(features)[:, :4], features)


def test_bias_norm_gives_mean_bias_and_variance_one() -> None:
    layer = BiasNorm(3)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.0, 1.0, -2.0]))
    out = layer(5 + 3 * torch.randn(50, 3, 8, 8))
    torch.testing.assert_close(out.mean((0, 2, 3)), layer.bias.detach(), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.var((0, 2, 3)), torch.ones(3), atol=1e-2, rtol=0)
    assert {name for name, _ in layer.named_parameters()} == {"bias"}
