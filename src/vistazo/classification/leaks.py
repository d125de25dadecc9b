"""Near copies in training: pictures that are kept in one part because of them, and what they do to the test figure.

Shape suffixes: N pictures, H height, W width, C channels, K classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification import metrics
from vistazo.engine.reports import number, percent
from vistazo.language import tr
from vistazo.pictures import duplicates, looking
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import OUT, TEST, TRAIN, VALIDATION, Index
from vistazo.pictures.shrinking import shrink, width_of

__all__ = ["Leak", "group_copies", "grouped_sentences", "measure"]


def group_copies(index: Index, pixels_NHWC: PictureArray) -> Index:
    """The Index that knows which pictures are near copies of one another; the same Index where there are none.

    Costs 0.3 s for 60,000 pictures of 28 x 28 on one core. The same pictures give the same answer.
    """
    small = looking.room(len(index), width_of(pixels_NHWC.shape[3]))
    first = 0
    for block in pixels_NHWC.blocks():
        small[first : first + len(block)] = shrink(block)
        first += len(block)
    family = duplicates.families(small, index.hash)
    contents = np.bincount(family[np.unique(index.hash, return_index=True)[1]], minlength=len(index))
    alike = np.where(contents[family] > 1, family, -1)  # identical ones alone are known by their hashes
    return index.replace(alike=alike) if (alike >= 0).any() else index


def grouped_sentences(index: Index) -> list[str]:
    """What was put together, in a line; of an Index with parts. Nothing where nothing was."""
    if index.alike is None:
        return []
    used = index.alike[(index.alike >= 0) & (index.split != OUT)]
    sizes = np.unique(used, return_counts=True)[1]
    told = []
    if (sizes > 1).any():
        told.append(
            tr(
                "Near copies: {n} pictures are others compressed again, resized or very like them; each of their "
                "{groups} groups stays in one part.",
                n=number(int(sizes[sizes > 1].sum())),
                groups=number(int((sizes > 1).sum())),
            )
        )
    learnt, tested = _across(index)
    if len(tested):
        told.append(
            tr(
                "Near copies of pictures learnt from ({learnt}) in the official test part: {tested}; the report tells "
                "the accuracy without them.",
                tested=number(len(tested)),
                learnt=number(len(learnt)),
            )
        )
    return told


@dataclass(frozen=True)
class Leak:
    """The test part without the pictures that have a near copy among those learnt from.

    learnt, tested: pictures on either side. accuracy: of the other test pictures, with its interval; n of them.
    """

    learnt: int
    tested: int
    accuracy: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, Any]:
        return {
            "learnt_from": self.learnt,
            "tested": self.tested,
            "accuracy_without": self.accuracy,
            "accuracy_without_low": self.low,
            "accuracy_without_high": self.high,
            "n_without": self.n,
        }

    def sentence(self) -> str:
        """For the report, below the accuracy."""
        return tr(
            "Near copies of pictures that were learnt from are among these: {tested}. "
            "Without them: {value} ({level} interval {low} to {high}, n = {n}).",
            tested=number(self.tested),
            value=percent(self.accuracy, 2),
            level=metrics.LEVEL,
            low=percent(self.low, 2),
            high=percent(self.high, 2),
            n=self.n,
        )


def measure(index: Index, right_N: npt.NDArray[np.bool_]) -> Leak | None:
    """What the test accuracy is without near copies of pictures learnt from; None where there are none.

    right_N: of the test part, in the order of its rows, whether each answer was right.
    """
    if index.alike is None:
        return None
    learnt, tested = _across(index)
    left = ~np.isin(index.rows(TEST), tested)
    if not len(tested) or not left.any():
        return None
    count, total = int(right_N[left].sum()), int(left.sum())
    low, high = metrics.wilson_interval(count, total)
    return Leak(len(learnt), len(tested), count / total, low, high, total)


def _across(index: Index) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows that are learnt from (or chosen by) and have a near copy in the test part; and those copies."""
    assert index.alike is not None
    alike = index.alike >= 0
    tested = alike & (index.split == TEST)
    learnt = alike & ((index.split == TRAIN) | (index.split == VALIDATION))
    shared = np.intersect1d(index.alike[tested], index.alike[learnt])
    inside = np.isin(index.alike, shared)
    return np.flatnonzero(learnt & inside), np.flatnonzero(tested & inside)
