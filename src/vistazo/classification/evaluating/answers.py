"""What a model answered to some pictures, and what they really show: all that figures and pages are made of.

Shape suffixes: N pictures, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification import metrics, several
from vistazo.classification.evaluating.curves import ByClass, one_versus_rest
from vistazo.classification.evaluating.measuring import truth_of
from vistazo.classification.evaluating.slices import Column
from vistazo.classification.evaluating.unknowing import Unknowing
from vistazo.pictures.holding import PictureArray

__all__ = ["Answers"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers to N labelled pictures.

    where: name of each. labels: (N,) class numbers, or (N, K) bool of several labels, which have `thresholds`.
    plain_NK: probabilities at temperature 1, where the model has another, `temperature`. columns: slices to look at.
    """

    classes: tuple[str, ...]
    where: tuple[str, ...]
    labels: npt.NDArray[Any]
    probabilities_NK: Floats
    pixels: PictureArray
    thresholds: tuple[float, ...] | None = None
    plain_NK: Floats | None = None
    temperature: float = 1.0
    unknowing: Unknowing | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether a picture may have several labels."""
        return self.thresholds is not None

    @cached_property
    def answers(self) -> Integers:
        """(N,) the most probable class."""
        return np.asarray(self.probabilities_NK.argmax(1), dtype=np.int64)

    @cached_property
    def confidence(self) -> Floats:
        """(N,) the probability of the most probable class."""
        return np.asarray(self.probabilities_NK.max(1), dtype=np.float64)

    @cached_property
    def right(self) -> Bools:
        """(N,) whether the answer is right: of several labels, every one of them."""
        if self.thresholds is None:
            return np.asarray(self.answers == self.labels, dtype=np.bool_)
        given_NK = several.answers(self.probabilities_NK, np.array(self.thresholds))
        return np.asarray((given_NK == self.labels).all(1), dtype=np.bool_)

    @cached_property
    def truth(self) -> Bools:
        """(N, K) which classes each picture shows."""
        return truth_of(self.labels, len(self.classes))

    @cached_property
    def confusion(self) -> Integers:
        """(K, K) counts, where a picture has one label: rows are the right class, columns the answer."""
        return metrics.confusion_matrix(self.answers, self.labels, len(self.classes))

    @cached_property
    def areas(self) -> ByClass:
        """Areas under the curves of each class."""
        return one_versus_rest(self.probabilities_NK, self.truth)

    def named(self, row: int) -> str:
        """The label of a picture, or its labels parted by '|'."""
        if self.thresholds is None:
            return self.classes[int(self.labels[row])]
        return "|".join(self.classes[at] for at in np.flatnonzero(self.labels[row]))

    def answered(self, row: int) -> str:
        """The answer to a picture, or its labels parted by '|'."""
        if self.thresholds is None:
            return self.classes[int(self.answers[row])]
        given = several.answers(self.probabilities_NK[row], np.array(self.thresholds))
        return "|".join(self.classes[at] for at in np.flatnonzero(given))
