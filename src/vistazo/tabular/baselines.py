"""What the simplest answers reach, so that every figure stands beside one. NumPy only.

The most frequent class, its frequencies, the mean; and a linear model: ridge regression, or logistic regression with
the same penalty. A network that does not beat these has learnt nothing that was worth a network.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.tabular.inputs import Encoded

__all__ = ["frequencies", "linear_classes", "linear_numbers"]

Floats = NDArray[np.float64]

MOST_ROWS = 20_000  # the linear model learns from so many at most: more change its third digit
MOST_CODES = 200  # a category's values beyond that are too many for a linear model's columns
STEPS = 300
PENALTY = 1.0  # of the squared weights of standardised columns, as scikit-learn's default


def frequencies(labels: NDArray[np.int64], classes: int) -> Floats:
    """The share of each class, (classes,)."""
    return np.bincount(labels, minlength=classes) / len(labels)


def linear_numbers(learnt: Encoded, values: Floats, codes: tuple[int, ...], asked: Encoded) -> Floats:
    """Ridge regression's answers to `asked`, (rows,): the penalty is chosen by leave-one-out error on `learnt`.

    Source: Golub, Heath & Wahba 1979, Technometrics 21:215-223 (generalised cross-validation).
    """
    design, rest = _design(learnt, codes, asked)
    design, values = design[:MOST_ROWS], values[:MOST_ROWS]
    mean = float(values.mean())
    left, sizes, right = np.linalg.svd(design, full_matrices=False)
    told = left.T @ (values - mean)
    best: tuple[float, Floats] | None = None
    for penalty in 10.0 ** np.arange(-2, 5):
        shrunk = sizes**2 / (sizes**2 + penalty)
        error = float((((values - mean) - left @ (shrunk * told)) ** 2).sum())
        freedom = len(values) - 1 - float(shrunk.sum())
        score = error / max(freedom, 1e-3) ** 2
        if best is None or score < best[0]:
            weights = right.T @ (np.divide(sizes, sizes**2 + penalty) * told)
            best = (score, weights)
    assert best is not None
    return np.asarray(rest @ best[1] + mean)


def linear_classes(
    learnt: Encoded, labels: NDArray[np.int64], classes: int, codes: tuple[int, ...], asked: Encoded
) -> Floats:
    """Multinomial logistic regression's probabilities for `asked`, (rows, classes), by Nesterov's gradient steps."""
    design, rest = _design(learnt, codes, asked)
    design, labels = design[:MOST_ROWS], labels[:MOST_ROWS]
    rows = len(design)
    truth = np.eye(classes)[labels]
    ones, more = np.ones((rows, 1)), np.ones((len(rest), 1))
    design, rest = np.concatenate([design, ones], 1), np.concatenate([rest, more], 1)
    penalty = np.full((design.shape[1], 1), PENALTY / rows)
    penalty[-1] = 0.0
    # the gradient changes by at most half the largest eigenvalue of the mean outer product, plus the penalty
    steepness = 0.5 * float(np.linalg.eigvalsh(design.T @ design / rows)[-1]) + PENALTY / rows
    weights = ahead = np.zeros((design.shape[1], classes))
    for step in range(STEPS):
        gradient = design.T @ (_softmax(design @ ahead) - truth) / rows + penalty * ahead
        moved = ahead - gradient / steepness
        ahead = moved + step / (step + 3) * (moved - weights)
        weights = moved
    return _softmax(rest @ weights)


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def _design(learnt: Encoded, codes: tuple[int, ...], asked: Encoded) -> tuple[Floats, Floats]:
    """Numbers and indicators of codes, both standardised by the rows learnt from."""
    both: list[list[NDArray[Any]]] = [[one.numbers.astype(np.float64)] for one in (learnt, asked)]
    for at, size in enumerate(codes):
        if size <= MOST_CODES:
            for parts, one in zip(both, (learnt, asked), strict=True):
                parts.append(np.eye(size)[one.codes[:, at]])
    design, rest = (np.concatenate(parts, axis=1) for parts in both)
    mean, spread = design.mean(0), design.std(0)
    spread[spread < 1e-9] = 1.0
    return (design - mean) / spread, (rest - mean) / spread
