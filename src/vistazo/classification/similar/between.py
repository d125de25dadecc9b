"""How classes lie to one another by what a network sees, and which pictures lie far from their own.

Shape suffixes: N pictures, D values, K classes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vistazo.classification.similar.neighbours import Block, at, exact

__all__ = ["Outlier", "centres", "centroid_distances", "nearest_other", "outliers"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
FAR = 3.5  # robust deviations: the usual bound of Iglewicz, Hoaglin 1993
LEAST = 5  # pictures of a class, or there is no telling what is usual in it
_DEVIATIONS = 1.4826  # from a median absolute deviation to a standard deviation


@dataclass(frozen=True)
class Outlier:
    """A picture far from its own class. row: of the vectors. distance: 1 minus the cosine to the class's centre.

    deviations: how far that is from the class's usual distance, in its robust deviations. nearest: the class whose
    centre it is nearest to.
    """

    row: int
    distance: float
    deviations: float
    nearest: int


def centres(vectors_ND: Floats, label_N: Integers, classes: int) -> Doubles:
    """(K, D) the mean direction of each class, of length 1; zeros where a class has no picture.

    vectors_ND: of length 1. label_N: 0 to K - 1, or -1 where there is none.
    """
    found = np.zeros((classes, vectors_ND.shape[1]), np.float64)
    for at_class in range(classes):
        mine = vectors_ND[label_N == at_class]
        if len(mine):
            mean = mine.mean(0, dtype=np.float64)
            found[at_class] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return found


def centroid_distances(centres_KD: Doubles) -> Doubles:
    """(K, K) 1 minus the cosine between the centres of two classes; NaN for a class without pictures."""
    found = 1 - centres_KD @ centres_KD.T
    np.fill_diagonal(found, 0.0)
    empty = ~centres_KD.any(1)
    found[empty], found[:, empty] = np.nan, np.nan
    return np.maximum(found, 0.0)


def nearest_other(vectors_ND: Floats, label_N: Integers, classes: int) -> Doubles:
    """(K, K) of the pictures of a class (row), the share whose nearest other picture is of a class (column).

    NaN in the row of a class without pictures. label_N: 0 to K - 1.
    """
    alive = np.ones(len(vectors_ND), np.bool_)
    places = exact(vectors_ND, [Block(0, vectors_ND, alive)], 2).place_QK
    counts = np.zeros((classes, classes), np.float64)
    for row, pair in enumerate(places.tolist()):
        # itself is first, or second where another is the same
        others = [at(one)[1] for one in pair if one >= 0 and at(one)[1] != row]
        if others:
            counts[label_N[row], label_N[others[0]]] += 1
    total = counts.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(counts / total)


def outliers(vectors_ND: Floats, label_N: Integers, classes: int) -> list[Outlier]:
    """The pictures that lie more than FAR robust deviations further from their class than is usual, the worst first.

    The centre of a class is its median in every value, so that a few strangers do not move it.
    """
    middle = np.zeros((classes, vectors_ND.shape[1]), np.float32)
    counted = np.bincount(label_N[label_N >= 0], minlength=classes)
    for at_class in np.flatnonzero(counted).tolist():
        median = np.median(vectors_ND[label_N == at_class], axis=0)
        middle[at_class] = median / max(float(np.linalg.norm(median)), 1e-12)
    distance_NK = 1 - vectors_ND @ middle.T
    distance_NK[:, counted == 0] = np.inf
    found = []
    for at_class in np.flatnonzero(counted >= LEAST).tolist():
        rows = np.flatnonzero(label_N == at_class)
        own = distance_NK[rows, at_class].astype(np.float64)
        usual = float(np.median(own))
        spread = _DEVIATIONS * float(np.median(np.abs(own - usual)))
        if spread <= 0:  # half of the pictures are the same
            continue
        for row, distance in zip(rows.tolist(), own.tolist(), strict=True):
            if (distance - usual) / spread > FAR:
                nearest = int(distance_NK[row].argmin())
                found.append(Outlier(row, distance, (distance - usual) / spread, nearest))
    return sorted(found, key=lambda one: (-one.deviations, one.row))
