"""Integrated gradients: what each pixel adds on the straight way from a baseline to the picture.

Shape suffixes: N pictures, C channels, H height, W width, K classes, T classes asked for.
"""

import torch
from torch import Tensor, nn

from vistazo.classification.explaining.layers import undisturbed

__all__ = ["STEPS", "integrated_gradients"]

STEPS = 64  # points on the way; 4 times as many change a sum by less than a hundredth of the score's rise


def integrated_gradients(
    network: nn.Module,
    picture_CHW: Tensor,
    targets_T: Tensor,
    *,
    baseline_CHW: Tensor,
    steps: int,
    at_once: int,
) -> Tensor:
    """(T, C, H, W) shares of each value of one picture, of either sign, for T classes.

    (picture - baseline) times the mean gradient of the score on the way between them, taken in the middle of each of
    `steps` equal pieces, `at_once` of them in one pass. They add up to the score's rise from baseline to picture
    (completeness), the closer the more steps. The network is left as it was, in evaluation mode.
    Source: Sundararajan et al. 2017, arXiv:1703.01365, section 3 and equation 3.
    """
    way = picture_CHW - baseline_CHW
    middles = (torch.arange(steps, device=way.device, dtype=way.dtype) + 0.5) / steps
    totals = torch.zeros((len(targets_T), *way.shape), dtype=way.dtype, device=way.device)
    with undisturbed(network):
        for some in torch.split(middles, max(1, at_once)):
            there = (baseline_CHW + some[:, None, None, None] * way).requires_grad_()
            with torch.enable_grad():
                scores_NK = network(there)
            for at, target in enumerate(targets_T.tolist()):
                (gradient,) = torch.autograd.grad(scores_NK[:, target].sum(), there, retain_graph=True)
                totals[at] += gradient.sum(0)
    return way * totals / steps
