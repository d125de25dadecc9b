"""Class activation maps: a layer's maps, added up by how much each of them speaks for a class.

Shape suffixes: N pictures, C channels, H height, W width, K classes; small letters at a layer's own size.
"""

import torch
from torch import Tensor, nn

from vistazo.classification.explaining.layers import features_of, undisturbed

__all__ = ["class_maps", "grad_cam", "grad_cam_plus_plus"]


def grad_cam(features_NChw: Tensor, gradients_NChw: Tensor) -> Tensor:
    """(N, h, w) maps, 0 or more: channels weighted by their mean gradient, summed, what is negative cut off.

    gradients: of the class's score, before any softmax, with respect to the features.
    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
    """
    weights_NC11 = gradients_NChw.mean((2, 3), keepdim=True)
    return (weights_NC11 * features_NChw).sum(1).relu()


def grad_cam_plus_plus(features_NChw: Tensor, gradients_NChw: Tensor) -> Tensor:
    """(N, h, w) maps, 0 or more: each place's gradient counts by its own weight, so that small things count too.

    The weight of a place is g² / (2 g² + S g³), g its gradient and S the sum of its channel's features; only positive
    gradients count, so it is 1 / (2 + S g). The class's probability is taken as the exponential of its score; that
    factor is the same for a whole picture and is left out. Of features that are no activations, S takes the positive
    ones, and so no denominator can vanish.
    Source: Chattopadhay et al. 2018, arXiv:1710.11063, equations 15 and 19.
    """
    positive = gradients_NChw.relu()
    sums_NC11 = features_NChw.relu().sum((2, 3), keepdim=True)
    weights_NC11 = (positive / (2 + sums_NC11 * positive)).sum((2, 3), keepdim=True)
    return (weights_NC11 * features_NChw).sum(1).relu()


def class_maps(
    network: nn.Module, pictures_NCHW: Tensor, targets_NT: Tensor, *, layer: str, plus_plus: bool
) -> Tensor:
    """(N, T, h, w) maps of T classes of each picture, at the layer's own size. One pass forward, T back to the layer.

    pictures: normalised. targets: int64 class numbers. The network is left as it was, in evaluation mode.
    """
    with undisturbed(network):
        features, scores_NK = features_of(network, layer, pictures_NCHW)
        found = []
        for column_N in targets_NT.T:
            wanted = scores_NK.gather(1, column_N[:, None]).sum()
            (gradients,) = torch.autograd.grad(wanted, features, retain_graph=True)
            with torch.no_grad():
                found.append((grad_cam_plus_plus if plus_plus else grad_cam)(features, gradients))
    return torch.stack(found, 1)
