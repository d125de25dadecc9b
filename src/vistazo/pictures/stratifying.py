"""Parts of pictures with several labels: every label in every part, as far as it goes.

Iterative stratification, the rarest label first: its pictures go where the wish for them is greatest. So each part
comes to about its share of every label, which drawing pictures at random does not give for rare ones.
Source: Sechidis, Tsoumakas, Vlahavas 2011, On the stratification of multi-label data, ECML PKDD, algorithm 1.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vistazo.pictures.index import TRAIN

__all__ = ["stratify"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def stratify(
    labels_NL: NDArray[np.bool_],
    unit_N: Ints,
    ticket_U: NDArray[np.uint64],
    frozen_U: NDArray[np.bool_],
    wanted: Mapping[str, float],
) -> NDArray[np.str_]:
    """(units,) the part of each unit: 'train' or one of `wanted`, each of which gets about its share of every label.

    labels_NL: which of the L labels each picture has. unit_N: the unit each picture belongs to, numbered from 0; a
    unit stays together. ticket_U: the units' order. frozen_U: units that stay in training.
    Where the published rule wishes for less than one picture of a label, ours wishes for one, if two units or more
    have it (three for the second part). A label that would be missing in training gets its smallest unit back.
    """
    units, parts = len(ticket_U), (TRAIN, *wanted)
    counts_UL = np.zeros((units, labels_NL.shape[1]))
    np.add.at(counts_UL, unit_N, labels_NL)
    sizes_U = np.bincount(unit_N, minlength=units).astype(np.float64)
    place_U = _divide(counts_UL, sizes_U, np.argsort(ticket_U, kind="stable"), frozen_U, [*wanted.values()])
    for label in np.flatnonzero(counts_UL.any(0) & ~counts_UL[place_U == 0].any(0)).tolist():
        having = np.flatnonzero(counts_UL[:, label])
        if (place_U[having] != 0).all():  # another label's return may have brought it back
            place_U[having[np.lexsort((ticket_U[having], sizes_U[having]))[0]]] = 0
    return np.array(parts, dtype="U10")[place_U]


def _divide(
    counts_UL: Floats, sizes_U: Floats, order_U: Ints, frozen_U: NDArray[np.bool_], shares: Sequence[float]
) -> Ints:
    """(units,) the number of each unit's part, 0 for training."""
    wish_PL, wish_P = _wishes(counts_UL, sizes_U, shares)
    place_U = np.zeros(len(sizes_U), dtype=np.int64)
    wish_PL[0] -= counts_UL[frozen_U].sum(0)
    wish_P[0] -= sizes_U[frozen_U].sum()
    open_U = ~frozen_U
    while open_U.any():
        left_L = counts_UL[open_U].sum(0)
        label = int(np.where(left_L > 0, left_L, np.inf).argmin()) if left_L.any() else None
        having_U = open_U if label is None else open_U & (counts_UL[:, label] > 0)
        for unit in order_U[having_U[order_U]].tolist():
            # the greatest wish for the label; of equals, for pictures of any kind; of equals, training
            order = (-wish_P,) if label is None else (-wish_P, -wish_PL[:, label])
            part = int(np.lexsort(order)[0])
            place_U[unit] = part
            wish_PL[part] -= counts_UL[unit]
            wish_P[part] -= sizes_U[unit]
        open_U &= ~having_U
    return place_U


def _wishes(counts_UL: Floats, sizes_U: Floats, shares: Sequence[float]) -> tuple[Floats, Floats]:
    """(parts, labels) pictures of each label that each part wishes for, and (parts,) pictures of any kind."""
    share_P = np.array([1 - sum(shares), *shares])
    total_L, units_L = counts_UL.sum(0), (counts_UL > 0).sum(0)
    wish_PL = share_P[:, None] * total_L
    for part in range(1, len(shares) + 1):
        enough_L = units_L > part
        wish_PL[part, enough_L] = np.maximum(1.0, wish_PL[part, enough_L])
        wish_PL[part, ~enough_L] = 0.0
    wish_PL[0] = total_L - wish_PL[1:].sum(0)
    return wish_PL, share_P * sizes_U.sum()
