"""Layers that torch lacks, used by the fast networks.

Shape suffixes: N pictures, C channels in, O channels out, H height, W width, P = C·k·k pixels of a patch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BiasNorm", "DiracConv", "WhiteningConv", "patch_covariance", "whitening_filters"]


def _pieces(pictures_NCHW: Tensor, size: int) -> list[Tensor]:
    return [pictures_NCHW[start : start + size] for start in range(0, len(pictures_NCHW), size)]


def patch_covariance(pictures_NCHW: Tensor, *, kernel: int, stride: int) -> Tensor:
    """Mean of p p' over all k × k patches p of the pictures, about zero and not about the mean: (P, P)
    float64.

    Raises ValueError where the pictures are smaller than the kernel.
    """
    if min(pictures_NCHW.shape[2:]) < kernel:
        raise ValueError(
            f"patches of {kernel} × {kernel} need larger pictures than {tuple(pictures_NCHW.shape[2:])}"
        )
    total = torch.zeros(())
    count = 0
    # In pieces: the patches of 5,000 pictures at once would take 120 MB at 28 pixels.
    for chunk in _pieces(pictures_NCHW.float(), 500):
        patches = F.unfold(chunk, kernel, stride=stride).transpose(1, 2).flatten(0, 1)
        total = total + (patches.T @ patches).double()
        count += len(patches)
    return total / count


def whitening_filters(pictures_NCHW: Tensor, *, kernel: int, stride: int, outputs: int) -> Tensor:
    """Filters (O, C, k, k) whose outputs on the given pictures are uncorrelated and of mean square 1, each
    with its negative.

    The first O/2 are the leading eigenvectors of the patch covariance, divided by the root of their
    eigenvalue; the others are their negatives, since an activation throws half of each away.
    Source: airbench, arXiv:2404.00498, section 3.1 (after Page 2019, "How to train your ResNet 8").
    """
    channels = pictures_NCHW.shape[1]
    values, vectors = torch.linalg.eigh(patch_covariance(pictures_NCHW, kernel=kernel, stride=stride))
    values, vectors = values.flip(0)[: outputs // 2], vectors.flip(1)[:, : outputs // 2]
    # An eigenvector's sign is the library's choice; fixing it keeps the filters equal from one machine to
    # the next.
    vectors = vectors * torch.where(vectors.sum(0) < 0, -1.0, 1.0)
    # 5e-4 as published, relative to the picture's variance here: constant pixels must not be blown up into
    # noise.
    filters = (vectors / (values + 5e-4 * values[0].clamp_min(1e-12)).sqrt()).T.float()
    return torch.cat((filters, -filters)).reshape(-1, channels, kernel, kernel)


class WhiteningConv(nn.Module):
    """A frozen convolution without bias whose outputs are decorrelated on the training pictures.

    Until `fit` is called the filters are random and orthogonal. They are a buffer, so they are saved and
    never stepped.
    """

    filters: Tensor

    def __init__(self, channels: int, outputs: int, *, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        if outputs % 2 or outputs > 2 * channels * kernel**2:
            raise ValueError(
                f"{outputs} whitening filters: an even number up to {2 * channels * kernel**2} is possible"
            )
        self.kernel, self.stride, self.padding = kernel, stride, padding
        half = nn.init.orthogonal_(torch.empty(outputs // 2, channels * kernel**2))
        filters = torch.cat((half, -half)).reshape(outputs, channels, kernel, kernel)
        self.register_buffer("filters", filters.contiguous(memory_format=torch.channels_last))

    @torch.no_grad()
    def fit(self, pictures_NCHW: Tensor) -> None:
        """Set the filters from normalised pictures; 5,000 are plenty."""
        outputs = len(self.filters)
        self.filters.copy_(
            whitening_filters(pictures_NCHW, kernel=self.kernel, stride=self.stride, outputs=outputs)
        )

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        return F.conv2d(pictures_NCHW, self.filters, stride=self.stride, padding=self.padding)


class DiracConv(nn.Conv2d):
    """A 3 × 3 convolution without bias that starts by passing its input through (arXiv:1706.00388,
    arXiv:2404.00498)."""

    weight: nn.Parameter

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=False)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        with torch.no_grad():
            nn.init.dirac_(self.weight[: self.in_channels])


class BiasNorm(nn.Module):
    """Batch normalisation that learns a bias and no scale (arXiv:2404.00498, section 3.2)."""

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, *, momentum: float = 0.4, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.register_buffer("scale", torch.ones(channels), persistent=False)

    scale: Tensor

    def forward(self, features_NCHW: Tensor) -> Tensor:
        return F.batch_norm(
            features_NCHW,
            self.mean,
            self.variance,
            self.scale,
            self.bias,
            self.training,
            self.momentum,
            self.epsilon,
        )
