"""The walk through a convolutional network: 28 × 28 → 14 × 14 × 32 → 7 × 7 × 64 → 3 × 3 × 128 → 100 → 10.

Its neurons and weights are counted layer by layer, and a picture is sent through it with untrained numbers. The
network is the one a Spanish blog explains convolutional networks with.

Shape suffixes: H height, W width, C channels in, O channels out.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vistazo.museum.kernels import kernels

__all__ = ["CLASSES", "FIRST", "SIDE", "Step", "forward", "steps"]

Numbers = npt.NDArray[np.float64]
SIDE, FILTERS, HIDDEN, CLASSES = 28, (32, 64, 128), 100, 10
FIRST = (
    "vertical",
    "horizontal",
    "outline",
    "sobel-x",
    "sobel-y",
    "laplace",
)  # the first filters of the first layer
Kind = Literal["input", "convolution", "pooling", "flatten", "dense"]


@dataclass(frozen=True)
class Step:
    """A layer. shape: (height, width, channels) or (numbers,) it gives. inputs: channels or numbers it takes."""

    kind: Kind
    shape: tuple[int, ...]
    inputs: int = 0

    @property
    def neurons(self) -> int:
        """The numbers it gives for a picture."""
        return math.prod(self.shape)

    @property
    def weights(self) -> int:
        """What it learns, besides biases."""
        if self.kind == "convolution":
            return 9 * self.inputs * self.shape[-1]
        return self.inputs * self.shape[0] if self.kind == "dense" else 0

    @property
    def biases(self) -> int:
        """One for each filter or neuron that learns."""
        return self.shape[-1] if self.weights else 0

    @property
    def counted(self) -> str:
        """How the weights are counted, as in '3 × 3 × 1 × 32 + 32'."""
        if not self.weights:
            return ""
        factors = ("3", "3") if self.kind == "convolution" else ()
        return " × ".join((*factors, f"{self.inputs}", f"{self.shape[-1]}")) + f" + {self.biases}"


def steps() -> list[Step]:
    """The layers, from the picture to ten answers.

    >>> [one.neurons for one in steps()]
    [784, 25088, 6272, 12544, 3136, 6272, 1152, 1152, 100, 10]
    >>> sum(one.weights + one.biases for one in steps())
    208982
    """
    side, channels = SIDE, 1
    found = [Step("input", (side, side, channels))]
    for filters in FILTERS:
        found.append(Step("convolution", (side, side, filters), channels))
        side, channels = side // 2, filters
        found.append(Step("pooling", (side, side, channels)))
    flat = side * side * channels
    return [
        *found,
        Step("flatten", (flat,)),
        Step("dense", (HIDDEN,), flat),
        Step("dense", (CLASSES,), HIDDEN),
    ]


def forward(picture_HW: Numbers) -> tuple[list[npt.NDArray[Any]], Numbers]:
    """What each layer gives for a picture of SIDE × SIDE in [0, 1], and the ten shares of the last.

    The first six filters are named kernels; all other weights are drawn, the same each time (He et al. 2015,
    arXiv:1502.01852); biases are 0. Negative sums become 0 (ReLU) after each convolution and the first dense layer.
    """
    draw = np.random.default_rng(6)
    found: list[npt.NDArray[Any]] = []
    features: npt.NDArray[Any] = picture_HW[:, :, None]
    for at, step in enumerate(steps()):
        if step.kind == "convolution":
            weights = draw.normal(0, math.sqrt(2 / (9 * step.inputs)), (3, 3, step.inputs, step.shape[-1]))
            if at == 1:
                for filter_, name in enumerate(FIRST):
                    weights[:, :, 0, filter_] = kernels[name].numbers_KL
            features = np.maximum(_correlated(features, weights), 0)
        elif step.kind == "pooling":
            height, width, channels = step.shape
            cut = features[: 2 * height, : 2 * width]
            features = cut.reshape(height, 2, width, 2, channels).max((1, 3))
        elif step.kind == "flatten":
            features = features.reshape(-1)
        elif step.kind == "dense":
            weights = draw.normal(0, math.sqrt(1 / step.inputs), (step.inputs, step.shape[0]))
            features = features @ weights
            features = np.maximum(features, 0) if step.shape[0] != CLASSES else features
        found.append(features)
    raised = np.exp(features - features.max())
    return found, raised / raised.sum()


def _correlated(features_HWC: npt.NDArray[Any], weights_33CO: Numbers) -> Numbers:
    """(H, W, O): each filter laid over every place, with a frame of zeros."""
    height, width = features_HWC.shape[:2]
    around = np.pad(features_HWC, ((1, 1), (1, 1), (0, 0)))
    found = np.zeros((height, width, weights_33CO.shape[-1]))
    for down in range(3):
        for right in range(3):
            found += around[down : down + height, right : right + width] @ weights_33CO[down, right]
    return found
