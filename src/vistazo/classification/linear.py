"""Softmax or logistic regression on features of a frozen network: deterministic, its strength chosen by folds.

Minimised with the fixed bound of the Hessian of Böhning (1992, "Multinomial logistic regression algorithm") as the
metric and Nesterov's momentum, started anew where the loss rises (O'Donoghue, Candès 2015): one decomposition of
the features' covariance serves every strength of the penalty.

Shape suffixes: N examples, F features, K classes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vistazo.engine.batches import counter_seed

__all__ = ["Linear", "fit_held_out", "fit_linear"]

# Penalties on the weights of standardised features that folds choose from, the strongest first.
PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
FOLDS = 5
MANY = 10_000  # examples that are enough to choose by; where there are half as many, one fold of the five is
ITERATIONS = 100
CLOSE = 1e-4  # of the loss: less gain than that in ten steps ends it


@dataclass(frozen=True)
class Linear:
    """Scores are features_NF @ weight_KF.T + bias_K. penalty: the strength that folds chose."""

    weight_KF: Tensor
    bias_K: Tensor
    penalty: float

    def scores(self, features_NF: Tensor) -> Tensor:
        """(N, K) scores."""
        return F.linear(features_NF, self.weight_KF, self.bias_K)


def fit_linear(
    features_NF: Tensor, targets_NK: Tensor, units_N: npt.NDArray[np.int64], *, independent: bool, seed: int
) -> Linear:
    """The regression with the penalty whose held-out loss is smallest.

    features_NF: float32. targets_NK: float32 of 0 and 1. units_N: what stays in one fold has one number, such as a
    picture and its mirrored copy. independent: whether each class is a question of its own (logistic), or one of them
    is the answer (softmax). seed: draws the folds. The same numbers for the same input.
    """
    if len(np.unique(units_N)) < 2 * FOLDS:
        penalty = PENALTIES[1]
    else:
        penalty = _choose(features_NF, targets_NK, units_N, independent, seed)
    return next(_Solver(features_NF, targets_NK, independent).solve([penalty]))


def fit_held_out(features_NF: Tensor, targets_NK: Tensor, fold_N: Tensor, *, seed: int) -> Tensor:
    """(N, K) log probabilities of each example, by a softmax regression on the examples of all other folds.

    fold_N: int64, the fold of each. The strength of the penalty is chosen once. The same numbers for the same input.
    """
    units_N = fold_N.numpy()  # what stands in one fold may be copies
    several = len(np.unique(units_N)) > 1 and len(units_N) >= 2 * FOLDS
    penalty = _choose(features_NF.float(), targets_NK, units_N, False, seed) if several else PENALTIES[1]
    logs_NK = torch.empty_like(targets_NK)
    for fold in range(int(fold_N.max()) + 1):
        held = fold_N == fold
        if held.any():
            head = next(_Solver(features_NF[~held].float(), targets_NK[~held], False).solve([penalty]))
            logs_NK[held] = head.scores(features_NF[held].float()).log_softmax(1)
    return logs_NK


def _choose(
    features_NF: Tensor, targets_NK: Tensor, units_N: npt.NDArray[np.int64], independent: bool, seed: int
) -> float:
    every = max(1, len(features_NF) // MANY)
    features_NF, targets_NK = features_NF[::every], targets_NK[::every]
    losses = [0.0] * len(PENALTIES)
    fold_N = _folds(targets_NK.argmax(1).numpy(), units_N[::every], seed)
    for fold in range(FOLDS if 2 * len(features_NF) < MANY else 1):
        inside, held = fold_N != fold, fold_N == fold
        solver = _Solver(features_NF[inside], targets_NK[inside], independent)
        for at, one in enumerate(solver.solve(PENALTIES)):
            each_N, _ = _judge(one.scores(features_NF[held]), targets_NK[held], independent)
            losses[at] += float(each_N.sum())
    return PENALTIES[losses.index(min(losses))]


def _folds(classes_N: npt.NDArray[np.int64], units_N: npt.NDArray[np.int64], seed: int) -> Tensor:
    """A fold for each example, whole units, those of every class spread evenly over the folds: (N,) int64."""
    _, first_U, unit_N = np.unique(units_N, return_index=True, return_inverse=True)
    classes_U = classes_N[first_U]
    order = np.random.default_rng(counter_seed(seed, 7)).permutation(len(classes_U))
    by_class = order[np.argsort(classes_U[order], kind="stable")]
    folds_U = np.empty(len(classes_U), np.int64)
    folds_U[by_class] = np.arange(len(classes_U)) % FOLDS
    return torch.from_numpy(folds_U[unit_N])


def _judge(scores_NK: Tensor, targets_NK: Tensor, independent: bool) -> tuple[Tensor, Tensor]:
    """The loss of each example, (N,), and how far its probabilities are off, (N, K)."""
    if independent:
        each_NK = F.binary_cross_entropy_with_logits(scores_NK, targets_NK, reduction="none")
        return each_NK.sum(1), scores_NK.sigmoid() - targets_NK
    logs_NK = scores_NK.log_softmax(1)
    return -(logs_NK * targets_NK).sum(1), logs_NK.exp() - targets_NK


class _Solver:
    """One set of examples, standardised and turned to its principal axes once; solved for several penalties.

    There the bound of the Hessian is diagonal. R: axes, as many as examples or features, whichever are fewer.
    """

    def __init__(self, features_NF: Tensor, targets_NK: Tensor, independent: bool) -> None:
        self.targets_NK, self.independent = targets_NK, independent
        count, width = features_NF.shape
        self.mean_F = features_NF.mean(0)
        deviation_F = features_NF.std(0, correction=0)
        # A feature that is silent here must not be blown up: at least a hundredth of the middle one.
        self.scale_F = deviation_F.clamp_min(max(float(deviation_F.median()) / 100, 1e-6))
        standard_NF = (features_NF - self.mean_F) / self.scale_F
        if count > width:
            axes = torch.linalg.eigh((standard_NF.T @ standard_NF).double() / count)[1]
            self.axes_FR = axes.float()
        else:
            values, axes = torch.linalg.eigh((standard_NF @ standard_NF.T).double() / count)
            held = values > 1e-6 * values[-1]  # mean 0 takes one direction away
            self.axes_FR = (standard_NF.T.double() @ (axes[:, held] / (values[held] * count).sqrt())).float()
        self.x_NR = standard_NF @ self.axes_FR
        self.bound_1R = self.x_NR.square().mean(0, keepdim=True) / 2

    def solve(self, penalties: Sequence[float]) -> Iterator[Linear]:
        """A solution for each penalty, which begin with the strongest: each begins where the last one ended."""
        state = torch.zeros(self.targets_NK.shape[1], self.x_NR.shape[1] + 1)
        for penalty in penalties:
            state = self._minimise(state, penalty)
            weight_KF = state[:, :-1] @ self.axes_FR.T / self.scale_F
            yield Linear(weight_KF, state[:, -1] - weight_KF @ self.mean_F, penalty)

    def _minimise(self, state: Tensor, penalty: float) -> Tensor:
        # Böhning: the Hessian of the mean loss is at most half the covariance, so a step of this never overshoots.
        rate_1R = torch.cat((1 / (self.bound_1R + penalty), torch.full((1, 1), 2.0)), 1)
        here, ahead, momentum = state, state, 1.0
        last = watched = float("inf")
        for iteration in range(ITERATIONS):
            loss, gradient = self._loss(ahead, penalty)
            if loss > last:  # past the valley: begin anew from the last good place
                ahead, momentum, last = here, 1.0, float("inf")
                continue
            following = ahead - rate_1R * gradient
            grown = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
            ahead = following + (momentum - 1) / grown * (following - here)
            here, momentum, last = following, grown, loss
            if iteration % 10 == 9:
                if watched - loss < CLOSE * loss:
                    break
                watched = loss
        return here

    def _loss(self, state: Tensor, penalty: float) -> tuple[float, Tensor]:
        """The penalised mean loss, and its gradient in the shape of `state`: (K, R + 1), the biases last."""
        weights_KR, bias_K = state[:, :-1], state[:, -1]
        each_N, off_NK = _judge(F.linear(self.x_NR, weights_KR, bias_K), self.targets_NK, self.independent)
        loss = each_N.mean() + penalty / 2 * weights_KR.square().sum()
        off_NK = off_NK / len(self.x_NR)
        # In this order: x.T @ off took ten times as long.
        gradient_KR = off_NK.T @ self.x_NR + penalty * weights_KR
        return float(loss), torch.cat((gradient_KR, off_NK.sum(0)[:, None]), 1)
