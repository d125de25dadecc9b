"""Losses: how far a network's scores are from what is true, and what the scores say.

A network gives raw scores; only its loss knows what they mean. So nothing else applies a softmax, and a model trained
with one loss is never read with another's. Which there are, and what is told of them: `vistazo.engine.objectives`.

Of classes, scores_NK are (batch, classes) and targets (batch,) int64 class numbers, or (batch, classes) floats, the
share of each class; scores are read by their softmax, p, and shares are t. Of numbers, scores are (..., 1) and targets
(...) floats. Weights are as many as examples, or None. Every loss is a mean over examples, a scalar.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CosineSimilarity",
    "CrossEntropy",
    "Focal",
    "Hinge",
    "Huber",
    "KullbackLeibler",
    "Objective",
    "Pinball",
    "Poisson",
    "SquaredError",
    "SquashedCrossEntropy",
    "Strength",
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


class Strength(NamedTuple):
    """The one number that a loss may be given besides: its name, the usual value, and its bounds."""

    name: str
    usual: float
    least: float
    most: float


_EDGE = 1e-3  # probabilities nearer to 0 or 1 are pressed together where smoothing is undone
_LARGEST = 80.0  # logarithm of the largest count that is answered: beyond 88 fp32 is infinite
_NEAREST = 1e-17  # to 1 that a probability counts as: fp64 tells no nearer one


def _mean(each: Tensor, weights: Tensor | None) -> Tensor:
    """The weighted mean; 0 where no example has a weight."""
    if weights is None:
        return each.mean()
    return (each * weights).sum() / weights.sum().clamp_min(1e-9)


def _wide(scores: Tensor) -> Tensor:
    """Scores of half precision in fp32; others as they are."""
    return scores if scores.dtype in (torch.float32, torch.float64) else scores.float()


def _shares(targets: Tensor, scores_NK: Tensor, smoothing: float = 0.0) -> Tensor:
    """(batch, classes) shares of class numbers or of shares, smoothed: 1 - smoothing of them, the rest even."""
    if targets.ndim == 1:
        targets = F.one_hot(targets, scores_NK.shape[1])
    shares_NK = targets.to(scores_NK.dtype)
    return shares_NK * (1 - smoothing) + smoothing / scores_NK.shape[1] if smoothing else shares_NK


def _checked(smoothing: float) -> float:
    if not 0 <= smoothing < 1:
        raise ValueError(f"label smoothing lies in [0, 1), not {smoothing}")
    return smoothing


def _bounded(strength: Strength, value: float) -> float:
    if not strength.least <= value <= strength.most:
        raise ValueError(f"{strength.name} lies between {strength.least} and {strength.most}, not {value}")
    return float(value)


# ---------------------------------------------------------------- classes
class _OfClasses:
    """A loss of one class an example, whose scores are read by their softmax."""

    def loss(self, scores_NK: Tensor, targets: Tensor, weights_N: Tensor | None) -> Tensor:
        """The weighted mean over examples, a scalar."""
        return _mean(self._each(_wide(scores_NK), targets), weights_N)

    def _each(self, scores_NK: Tensor, targets: Tensor) -> Tensor:
        """The loss of each example, (batch,)."""
        raise NotImplementedError

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
            return logits_NK.softmax(dim=1).float()
        return (logits_NK.double() / temperature).softmax(dim=1)


class CrossEntropy(_OfClasses):
    """Categorical cross-entropy with label smoothing (Szegedy et al. 2016, arXiv:1512.00567, section 7).

    Class numbers and shares alike: "sparse" and "categorical" are one loss, and so is log loss.
    """

    def __init__(self, *, smoothing: float) -> None:
        self.smoothing = _checked(smoothing)

    def loss(self, scores_NK: Tensor, targets: Tensor, weights_N: Tensor | None) -> Tensor:
        if weights_N is None:
            return F.cross_entropy(scores_NK, targets, label_smoothing=self.smoothing)
        each_N = F.cross_entropy(scores_NK, targets, label_smoothing=self.smoothing, reduction="none")
        return (each_N * weights_N).sum() / weights_N.sum()


class SquashedCrossEntropy(CrossEntropy):
    """Cross-entropy whose logits are the sigmoids of the scores, as the PyTorch tutorial on Fashion-MNIST trains.

    Logits between 0 and 1 can never be sure: of ten classes the most probable one has e / (e + 9) = 23 % at most, and
    the loss ends at 1.46 at best. That is why that network learns so slowly; it is kept so that it can be seen.
    """

    def loss(self, scores_NK: Tensor, targets: Tensor, weights_N: Tensor | None) -> Tensor:
        return super().loss(scores_NK.sigmoid(), targets, weights_N)

    def logits(self, scores_NK: Tensor) -> Tensor:
        """The sigmoids of the scores: a temperature below 1 lets these be sure after all."""
        return scores_NK.float().sigmoid()


class Hinge(_OfClasses):
    """How far the true class's score fails to be 1 above every other's (Crammer, Singer 2001, JMLR 2:265-292).

    Of two classes this is the binary hinge, of the scores' difference. With shares, the mean over them.
    Keras' CategoricalHinge differs: it takes 0 for the best other score where all others are below.
    The scores are margins and no logarithms of probabilities. The answer is their softmax all the same, and what makes
    it mean something is the temperature: fitted on validation, it turns margins into probabilities.
    """

    def _each(self, scores_NK: Tensor, targets: Tensor) -> Tensor:
        best_N2, at_N2 = scores_NK.topk(2, dim=1)
        rival_NK = best_N2[:, :1].expand_as(scores_NK).scatter(1, at_N2[:, :1], best_N2[:, 1:])
        return (_shares(targets, scores_NK) * (1 + rival_NK - scores_NK).relu()).sum(1)


class KullbackLeibler(_OfClasses):
    """The Kullback-Leibler divergence of the shares from the probabilities, in nats (Kullback, Leibler 1951).

    Cross-entropy less the entropy of the shares: the gradients are the same, and 0 is perfect whatever the shares.
    """

    def __init__(self, *, smoothing: float) -> None:
        self.smoothing = _checked(smoothing)

    def _each(self, scores_NK: Tensor, targets: Tensor) -> Tensor:
        shares_NK = _shares(targets, scores_NK, self.smoothing)
        return F.kl_div(scores_NK.log_softmax(1), shares_NK, reduction="none").sum(1)


class CosineSimilarity(_OfClasses):
    """1 less the cosine between probabilities and shares, 0 to 1.

    In expectation least where the probabilities are the true ones: it is the spherical score (Roby 1965).
    """

    def _each(self, scores_NK: Tensor, targets: Tensor) -> Tensor:
        p_NK, shares_NK = scores_NK.softmax(1), _shares(targets, scores_NK)
        lengths_N = p_NK.square().sum(1).sqrt() * shares_NK.square().sum(1).sqrt()
        return 1 - (p_NK * shares_NK).sum(1) / lengths_N


class Focal(_OfClasses):
    """Cross-entropy that weighs an example less, the surer it is answered already (Lin et al. 2017, arXiv:1708.02002).

    gamma: how much less; 0 is cross-entropy. The alpha of the paper, a weight of each class, is `--balance weights`.
    """

    STRENGTH: ClassVar[Strength] = Strength("gamma", 2.0, 0.0, 10.0)

    def __init__(self, *, smoothing: float, gamma: float) -> None:
        self.smoothing, self.gamma = _checked(smoothing), _bounded(self.STRENGTH, gamma)

    def _each(self, scores_NK: Tensor, targets: Tensor) -> Tensor:
        log_NK = scores_NK.log_softmax(1)
        # Where p rounds to 1, the slope of a power below 1 would be infinite times nothing.
        rest_NK = (-torch.expm1(log_NK)).clamp_min(torch.finfo(log_NK.dtype).tiny)
        return -(_shares(targets, scores_NK, self.smoothing) * rest_NK**self.gamma * log_NK).sum(1)

    def logits(self, scores_NK: Tensor) -> Tensor:
        """Logarithms of what the probabilities are in proportion to, (batch, classes) fp64.

        The softmax that this loss teaches is less sure than the truth: p becomes p / ((1 - p)^g - g (1 - p)^(g - 1) p
        log p), which keeps every order. Source: Charoenphakdee et al. 2021, arXiv:2011.09172.
        """
        log_NK = scores_NK.double().log_softmax(1)
        if not self.gamma:
            return log_NK
        rest_NK = (-torch.expm1(log_NK)).clamp_min(_NEAREST)
        sum_NK = rest_NK - self.gamma * log_NK.exp() * log_NK
        return log_NK - (self.gamma - 1) * rest_NK.log() - sum_NK.log()


# ---------------------------------------------------------------- classes or numbers
class _Distance(_OfClasses):
    """How far probabilities are from shares, summed over classes; or values from their targets.

    numbers: which of both. The sum over classes, as cross-entropy is one, so that the same rates suit; Keras and
    scikit-learn take the mean over classes, which is as many times smaller.
    """

    def __init__(self, *, numbers: bool) -> None:
        self.numbers = numbers

    def loss(self, scores: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """The weighted mean over examples, a scalar."""
        if self.numbers:
            return _mean(self._off(_wide(scores)[..., 0] - targets), weights)
        return super().loss(scores, targets, weights)

    def _each(self, scores_NK: Tensor, targets: Tensor) -> Tensor:
        return self._off(scores_NK.softmax(1) - _shares(targets, scores_NK)).sum(1)

    def _off(self, error: Tensor) -> Tensor:
        raise NotImplementedError

    def answer(self, scores: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Values, (...); or probabilities, as of any loss of classes."""
        if self.numbers:
            return scores[..., 0].float()
        return super().answer(scores, temperature=temperature)


class SquaredError(_Distance):
    """Squared error: of numbers, what their mean minimises; of classes, the score of Brier 1950."""

    def _off(self, error: Tensor) -> Tensor:
        return error**2


class AbsoluteError(_Distance):
    """Absolute error: of numbers, what their median minimises. Of classes, 2 (1 - p) of the true one.

    Of classes it bears wrong labels (Ghosh et al. 2017, arXiv:1712.09482) but learns slowly, and its probabilities
    run to 0 and 1 whatever the truth is: only a temperature makes them mean something.
    """

    def _off(self, error: Tensor) -> Tensor:
        return error.abs()


class Huber(_Distance):
    """Half the squared error up to delta, a straight line beyond (Huber 1964, Annals of Mathematical Statistics 35:73).

    Of numbers, delta is in the unit of the targets as they are given. Of classes no error is beyond 1: from 1 on this
    is half the squared error.
    """

    STRENGTH: ClassVar[Strength] = Strength("delta", 1.0, 1e-3, 1e3)

    def __init__(self, *, numbers: bool, delta: float) -> None:
        super().__init__(numbers=numbers)
        self.delta = _bounded(self.STRENGTH, delta)

    def _off(self, error: Tensor) -> Tensor:
        return F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=self.delta)


class Poisson(_OfClasses):
    """Minus the logarithm of a Poisson distribution's probability, less what does not depend on the scores.

    Of numbers, the score is the logarithm of the mean (a log link), so the answer is above 0; targets are counts or
    other numbers from 0 on. Of classes, 1 more than cross-entropy: the gradients are the same.
    """

    def __init__(self, *, numbers: bool, smoothing: float) -> None:
        self.numbers, self.smoothing = numbers, _checked(smoothing)

    def loss(self, scores: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """The weighted mean over examples, a scalar."""
        if self.numbers:
            logarithm = _wide(scores)[..., 0]
            return _mean(logarithm.exp() - targets * logarithm, weights)
        return super().loss(scores, targets, weights)

    def _each(self, scores_NK: Tensor, targets: Tensor) -> Tensor:
        log_NK = scores_NK.log_softmax(1)
        return (log_NK.exp() - _shares(targets, scores_NK, self.smoothing) * log_NK).sum(1)

    def answer(self, scores: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Values above 0, (...); or probabilities, as of any loss of classes."""
        if self.numbers:
            return scores[..., 0].float().clamp_max(_LARGEST).exp()
        return super().answer(scores, temperature=temperature)


# ---------------------------------------------------------------- several labels
class BinaryCrossEntropy:
    """Binary cross-entropy of each label by itself, where an example may have several labels, or none.

    scores_NK: (batch, labels) logits. targets_NK: (batch, labels) floats in [0, 1]. weights: (batch,), or one for
    each label too, (batch, labels), or None. smoothing: as of two classes, so 1 becomes 1 - smoothing / 2.
    """

    def __init__(self, *, smoothing: float) -> None:
        self.smoothing = _checked(smoothing)

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


# ---------------------------------------------------------------- quantiles
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
        return _mean(torch.maximum(levels * error, (levels - 1) * error).mean(-1), weights)

    def answer(self, scores: Tensor) -> Tensor:
        """The quantiles in order, (..., quantiles): a network may cross them."""
        return scores.float().sort(dim=-1).values
