"""Occlusion: a patch is covered, place after place; where the score falls, there was what spoke for the class.

Shape suffixes: N pictures, C channels, H height, W width, K classes, T classes asked for, P places of the patch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vistazo.classification.explaining.layers import undisturbed
from vistazo.errors import ConfigError
from vistazo.language import tr

__all__ = ["Patch", "occlusion", "patch_for"]

_SHARE = (
    5  # of the shorter side, which a patch takes; with half a patch between two, about 100 places a picture
)


@dataclass(frozen=True)
class Patch:
    """A square of `side` pixels that is moved by `stride` pixels."""

    side: int
    stride: int

    def places(self, length: int) -> list[int]:
        """Where a patch begins along a side of that length; the last one ends where the picture ends."""
        last = length - self.side
        return sorted({*range(0, last + 1, self.stride), last})


def patch_for(height: int, width: int, *, side: int | None, stride: int | None) -> Patch:
    """The patch for pictures of that size; what is not given follows from the size.

    Raises ConfigError where the patch is larger than the picture, or the stride leaves pixels uncovered.
    """
    shorter = min(height, width)
    side = max(1, round(shorter / _SHARE)) if side is None else side
    if not 1 <= side <= shorter:
        raise ConfigError(
            tr(
                "A patch of {side} pixels does not fit into pictures of {height} x {width}: choose 1 to {most}.",
                side=side,
                height=height,
                width=width,
                most=shorter,
            )
        )
    stride = max(1, side // 2) if stride is None else stride
    if not 1 <= stride <= side:
        raise ConfigError(
            tr(
                "A stride of {stride} pixels leaves gaps between patches of {side}: choose 1 to {side}.",
                stride=stride,
                side=side,
            )
        )
    return Patch(side, stride)


@torch.no_grad()
def occlusion(
    network: nn.Module, picture_CHW: Tensor, targets_T: Tensor, *, patch: Patch, at_once: int
) -> Tensor:
    """(T, H, W) how much the score of each of T classes falls where a pixel is covered: positive speaks for the class.

    The patch has the mean colour of the picture. A pixel's value is the mean over the patches that cover it.
    The network is left as it was, in evaluation mode.
    Source: Zeiler, Fergus 2014, arXiv:1311.2901, section 4.2, with a grey square.
    """
    height, width = picture_CHW.shape[1:]
    corners = [(top, left) for top in patch.places(height) for left in patch.places(width)]
    fill_C11 = picture_CHW.mean((1, 2), keepdim=True)
    falls = picture_CHW.new_zeros((len(targets_T), height, width))
    counts = picture_CHW.new_zeros((height, width))
    with undisturbed(network):
        whole_T = network(picture_CHW[None])[0, targets_T]
        for first in range(0, len(corners), max(1, at_once)):
            some = corners[first : first + max(1, at_once)]
            covered_PCHW = picture_CHW.repeat(len(some), 1, 1, 1)
            for at, (top, left) in enumerate(some):
                covered_PCHW[at, :, top : top + patch.side, left : left + patch.side] = fill_C11
            fall_PT = whole_T - network(covered_PCHW)[:, targets_T]
            for (top, left), fall_T in zip(some, fall_PT, strict=True):
                falls[:, top : top + patch.side, left : left + patch.side] += fall_T[:, None, None]
                counts[top : top + patch.side, left : left + patch.side] += 1
    return falls / counts
