"""Regularisers: what keeps a network from learning its training examples by heart.

A penalty is added to the loss, weight decay shrinks the weights beside the gradient, and dropout silences units while
training. All are of weights, that is parameters of two or more dimensions (matrices and filters): biases and the scales
of norms are few and do not learn by heart, and a pull towards 0 only harms them (Goodfellow et al. 2016, section 7.1).
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from vistazo.language import mark
from vistazo.registry import About, Registry

__all__ = [
    "dropouts",
    "elastic_net",
    "l1",
    "l2",
    "penalised",
    "regularizers",
    "set_dropout",
    "weight_decay",
]

regularizers: Registry[Callable[..., Any]] = Registry(mark("regulariser"))


def penalised(network: nn.Module) -> list[nn.Parameter]:
    """The weights a penalty or decay is about: matrices and filters that learn."""
    return [one for one in network.parameters() if one.ndim >= 2 and one.requires_grad]


@regularizers.register(
    "l1",
    About(
        mark("L1 penalty (lasso)"),
        "loss + l1 * sum |w|",
        mark("Where few of the inputs matter: most weights end near 0. From 1e-6 to 1e-4."),
        "Tibshirani 1996; as in keras.regularizers.L1",
    ),
)
def l1(weights: Iterable[Tensor], amount: float) -> Tensor:
    """amount times the sum of the absolute weights, a scalar. At a weight of 0 its gradient is 0."""
    return amount * torch.stack([one.abs().sum() for one in weights]).sum()


@regularizers.register(
    "l2",
    About(
        mark("L2 penalty (ridge)"),
        "loss + l2 * sum w^2",
        mark("Where all inputs matter a little: no weight grows large. From 1e-6 to 1e-3."),
        "Hoerl, Kennard 1970; as in keras.regularizers.L2",
    ),
)
def l2(weights: Iterable[Tensor], amount: float) -> Tensor:
    """amount times the sum of the squared weights, a scalar; there is no half in it, as there is none in Keras."""
    return amount * torch.stack([one.square().sum() for one in weights]).sum()


@regularizers.register(
    "elastic_net",
    About(
        mark("elastic net (L1 and L2)"),
        "loss + l1 * sum |w| + l2 * sum w^2",
        mark("Where few inputs matter and some of them say the same. Give both --l1 and --l2."),
        "Zou, Hastie 2005",
    ),
)
def elastic_net(weights: Iterable[Tensor], first: float, second: float) -> Tensor:
    """first times the sum of the absolute weights and second times that of their squares, a scalar."""
    several = list(weights)
    both: Tensor = l1(several, first) + l2(several, second)
    return both


@regularizers.register(
    "dropout",
    About(
        mark("dropout"),
        "x * b / (1 - p), b = 0 with probability p, else 1; while training only",
        mark("Wide dense layers on few examples. From 0.2 to 0.5; with batch norm, less or none."),
        "Srivastava et al. 2014, JMLR 15:1929-1958",
    ),
)
def set_dropout(network: nn.Module, share: float) -> int:
    """Set the share of units, in [0, 1), that every dropout layer silences; how many such layers there are."""
    if not 0 <= share < 1:
        raise ValueError(f"dropout silences a share in [0, 1), not {share}")
    found = dropouts(network)
    for one in found:
        one.p = share
    return len(found)


def dropouts(network: nn.Module) -> list[_DropoutNd]:
    """The dropout layers of a network."""
    return [one for one in network.modules() if isinstance(one, _DropoutNd)]


@regularizers.register(
    "weight_decay",
    About(
        mark("decoupled weight decay"),
        "w <- w (1 - lr c) before each step",
        mark(
            "With Adam and its kin, where an L2 penalty is divided by the size of the gradients. From 1e-4 to 0.1. "
            "For plain gradient descent it is an L2 penalty of half of it."
        ),
        "Loshchilov, Hutter 2019, arXiv:1711.05101",
    ),
)
@torch.no_grad()
def weight_decay(weights: Iterable[Tensor], rate: float, amount: float) -> None:
    """Multiply the weights by 1 - rate × amount, in place."""
    for one in weights:
        one.mul_(1 - rate * amount)
