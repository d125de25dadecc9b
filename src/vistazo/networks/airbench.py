"""Airbench: the small network that learns fastest, in a version for two CPU cores.

Frozen whitening convolution; groups of convolution, maximum, norm, activation, convolution, norm, activation; the
largest value of each channel; a linear head. After Keller Jordan, "94% on CIFAR-10 in 3.29 seconds on a
single GPU", arXiv:2404.00498, whose filters Muon steps (Jordan et al. 2024,
kellerjordan.github.io/posts/muon).

What differs from the paper, measured on two Zen 5 cores, and why:
- ReLU for GELU on grey pictures: forward and backward of 26 × 26 × 32 × 256 values 1.1 ms against 3.4, Fashion-MNIST
  after two epochs 92.80 against 92.85 % (64/128/128 filters, one seed: the same within its noise). On CIFAR-10 after
  five epochs of 64/128/128 ReLU gives 86.6 % (validation, one seed), GELU 87.0 and SiLU 87.1, and SiLU costs 2.2 ms.
- the whitening has no bias: no gradient has to reach the largest picture size. Fashion-MNIST after three
  epochs 93.03 against 92.82 % and 21.1 against 26.6 s (one seed each; the seconds on a noisy machine).
- the 'quarter' entry: whitening patches of 4 × 4 two pixels apart, and a first group that pools, so that
  nothing trainable sees more than a quarter of the pixels. One epoch of MNIST in 1.9 s (median of 3).

At 28 × 28 × 1, ten classes (FLOPs: one multiplication and one addition count as two; head and whitening
included):

    filters       entry     parameters   forward   training step
    32/64/64      full         143,808   21.7 M    58.6 M a picture
    16/32/32      quarter       39,648    3.0 M     6.9 M a picture

Shape suffixes: N pictures, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vistazo.engine.optimizers import Group
from vistazo.language import tr
from vistazo.networks.layers import BiasNorm, DiracConv, WhiteningConv

__all__ = ["Airbench", "parameter_groups"]

Entry = Literal["full", "quarter"]
Activation = Literal["relu", "silu"]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "silu": F.silu}

_SMALLEST, _LARGEST = 16, 128


class Airbench(nn.Module):
    """Pictures of 1 or 3 channels and 16 to 128 pixels a side to one score per class.

    filters: channels of each group, one to five of them; multiples of 16 fill the vector registers.
    entry: "full" whitens at full size; "quarter" whitens every second pixel, for a quarter of the arithmetic.
    residual: three convolutions a group, the last two beside a shortcut, as in the paper's 96 % network (section 4).
    activation: "relu", or "silu" (Hendrycks, Gimpel 2016, arXiv:1606.08415), for twice its time.
    Call `whiten` once before training. Raises ValueError for sizes the network is not made for.
    """

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        classes: int,
        filters: tuple[int, ...],
        entry: Entry = "full",
        residual: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        _check(channels, height, width, classes, filters, entry)
        if activation not in _ACTIVATIONS:
            raise ValueError(f"airbench has the activations 'relu' and 'silu', not '{activation}'")
        self._activated = _ACTIVATIONS[activation]
        if entry == "quarter":
            # 16 leading eigenvectors of 4 × 4 grey patches are all there are; of 48 colour ones, 24 hold 99
            # %.
            self.whitening = WhiteningConv(
                channels, 32 if channels == 1 else 48, kernel=4, stride=2, padding=1
            )
        elif channels == 1:
            # 16 and not 18 filters (all 9 eigenvectors): the first convolution ran at 848 against 528
            # GFLOP/s forward.
            self.whitening = WhiteningConv(channels, 16, kernel=3, stride=1, padding=0)
        else:
            self.whitening = WhiteningConv(channels, 24, kernel=2, stride=1, padding=0)
        widths = (len(self.whitening.filters), *filters)
        self.groups = nn.ModuleList(
            (_ResidualGroup if residual else _ConvGroup)(inputs, outputs, self._activated)
            for inputs, outputs in zip(widths[:-1], filters, strict=True)
        )
        self.head = nn.Linear(filters[-1], classes, bias=False)
        # Channels last, or every convolution would reorder its input.
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def whiten(self, pictures_NCHW: Tensor) -> None:
        """Set the frozen first filters from normalised pictures of the training part; 5,000 are plenty."""
        self.whitening.fit(pictures_NCHW)

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Normalised pictures (N, C, H, W) to scores (N, K) in float32, also under bf16 autocast."""
        features = self._activated(self.whitening(pictures_NCHW))
        for group in self.groups:
            features = group(features)
        scores_NK: Tensor = self.head(features.amax((2, 3)))
        return (
            scores_NK.float() / 9
        )  # as published: small scores keep the first losses, hence the first steps, tame


class _ConvGroup(nn.Module):
    """Convolution, maximum over 2 × 2, norm, activation, convolution, norm, activation.

    The maximum comes before the norm, so that norm and activation touch a quarter of the values.
    """

    def __init__(self, inputs: int, outputs: int, activated: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._activated = activated
        self.first, self.first_norm = DiracConv(inputs, outputs), BiasNorm(outputs)
        self.second, self.second_norm = DiracConv(outputs, outputs), BiasNorm(outputs)

    def forward(self, features_NCHW: Tensor) -> Tensor:
        halved = F.max_pool2d(self.first(features_NCHW), 2)
        halved = self._activated(self.first_norm(halved))
        return self._activated(self.second_norm(self.second(halved)))


class _ResidualGroup(_ConvGroup):
    """The same with a third convolution; what the maximum left is added before the last activation."""

    def __init__(self, inputs: int, outputs: int, activated: Callable[[Tensor], Tensor]) -> None:
        super().__init__(inputs, outputs, activated)
        self.third, self.third_norm = DiracConv(outputs, outputs), BiasNorm(outputs)

    def forward(self, features_NCHW: Tensor) -> Tensor:
        halved = F.max_pool2d(self.first(features_NCHW), 2)
        halved = self._activated(self.first_norm(halved))
        features = self._activated(self.second_norm(self.second(halved)))
        return self._activated(self.third_norm(self.third(features)) + halved)


def parameter_groups(network: Airbench, *, batch: int) -> list[Group]:
    """The roles of the parameters with the rates found for them, for the mean loss of batches of that many
    pictures.

    Filters go to Muon; biases and head to Nesterov SGD, whose rates grow with the batch because the loss is
    its mean. The rate of the biases is 12.5 times the head's (64 times in the paper, whose filters share the
    head's rate). The whitening filters are a buffer and in no group.
    """
    filters: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    for part in network.groups.modules():
        if isinstance(part, DiracConv):
            filters.append(part.weight)
        elif isinstance(part, BiasNorm):
            biases.append(part.bias)
    return [
        Group("filters", tuple(filters), "muon", rate=0.16, momentum=0.6),
        Group("biases", tuple(biases), "sgd", rate=0.05 * batch, momentum=0.85),
        Group("head", tuple(network.head.parameters()), "sgd", rate=0.004 * batch, momentum=0.85),
    ]


def _check(
    channels: int, height: int, width: int, classes: int, filters: tuple[int, ...], entry: str
) -> None:
    if channels not in (1, 3):
        raise ValueError(tr("airbench takes pictures of 1 or 3 channels, not {n}", n=channels))
    if not (_SMALLEST <= height <= _LARGEST and _SMALLEST <= width <= _LARGEST):
        raise ValueError(
            tr(
                "airbench takes pictures of {least} to {most} pixels a side, not {height} x {width}",
                least=_SMALLEST,
                most=_LARGEST,
                height=height,
                width=width,
            )
        )
    if classes < 2:
        raise ValueError(tr("airbench needs at least two classes, not {n}", n=classes))
    if entry not in ("full", "quarter"):
        raise ValueError(f"airbench has the entries 'full' and 'quarter', not '{entry}'")
    if not filters or min(filters) < 1:
        raise ValueError(tr("airbench needs at least one group of at least one filter"))
    # Whitening leaves about the size, or half of it; each group halves what it is given, and 1 pixel must
    # remain.
    smallest = min(height, width)
    left = smallest // 2 if entry == "quarter" else smallest - (2 if channels == 1 else 1)
    if left >> len(filters) < 1:
        raise ValueError(
            tr(
                "pictures of {height} x {width} cannot be halved by {n} groups; use fewer groups or larger pictures",
                height=height,
                width=width,
                n=len(filters),
            )
        )
