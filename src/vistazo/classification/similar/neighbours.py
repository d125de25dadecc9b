"""The nearest vectors: exactly, by a product with all of them; or, above 100,000, by a graph that is walked (usearch).

All vectors have length 1, so their product is the cosine of the angle between them. A place is a piece's number and a
row in it, as one number.

Shape suffixes: Q queries, N vectors, D values, K nearest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vistazo.classification.similar.index_file import Piece, VectorIndex

__all__ = ["NOWHERE", "Block", "Found", "at", "blocks_of", "exact", "merged", "place"]

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
NOWHERE = -1
_ROWS = 16_384  # vectors multiplied at once: a product that stays in the processor's memory
_QUERIES = 1_024


@dataclass(frozen=True, eq=False)
class Block:
    """Vectors of a piece. values: (rows, D), mapped or in memory. alive: (rows,) which count."""

    number: int
    values: Floats
    alive: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Found:
    """The nearest first. cosine_QK: float32, -inf where there are fewer. place_QK: int64, NOWHERE there."""

    cosine_QK: Floats
    place_QK: Integers


def place(number: int, rows: Integers) -> Integers:
    """Places of rows of a piece."""
    return (np.int64(number) << 32) | rows


def at(place: int) -> tuple[int, int]:
    """The piece's number and the row of a place."""
    return place >> 32, place & 0xFFFFFFFF


def blocks_of(index: VectorIndex, pieces: Sequence[Piece]) -> list[Block]:
    """The vectors of these pieces."""
    return [Block(one.number, index.values(one), one.alive) for one in pieces]


def exact(queries_QD: Floats, blocks: Iterable[Block], count: int) -> Found:
    """The `count` nearest to each query among all vectors that count; of equally near ones the first."""
    blocks = list(blocks)
    best = [
        _exact(queries_QD[first : first + _QUERIES], blocks, count)
        for first in range(0, len(queries_QD), _QUERIES)
    ]
    if not best:
        return _nothing(0, count)
    return Found(
        np.concatenate([one.cosine_QK for one in best]), np.concatenate([one.place_QK for one in best])
    )


def _exact(queries_QD: Floats, blocks: Sequence[Block], count: int) -> Found:
    best = _nothing(len(queries_QD), count)
    for block in blocks:
        values = np.asarray(block.values)
        dead = None if block.alive.all() else ~block.alive
        for first in range(0, len(values), _ROWS):
            piece = values[first : first + _ROWS]
            # One query: matrix times vector, which reads each vector once and makes no copy.
            scores_QN = (piece @ queries_QD[0])[None] if len(queries_QD) == 1 else queries_QD @ piece.T
            if dead is not None:
                scores_QN[:, dead[first : first + _ROWS]] = -np.inf
            best = _with(best, scores_QN, block.number, first)
    return best


def _with(best: Found, scores_QN: Floats, number: int, first: int) -> Found:
    """The best of what was found so far and of more."""
    count = best.cosine_QK.shape[1]
    if scores_QN.shape[1] > count:
        rows_QK = np.argpartition(scores_QN, -count, axis=1)[:, -count:].astype(np.int64)
    else:
        rows_QK = np.broadcast_to(np.arange(scores_QN.shape[1]), scores_QN.shape)
    cosine_QK = np.take_along_axis(scores_QN, rows_QK, axis=1)
    return merged([best, Found(cosine_QK, place(number, rows_QK + first))], count)


def merged(several: Sequence[Found], count: int) -> Found:
    """The `count` nearest of several findings for the same queries."""
    cosine = np.concatenate([one.cosine_QK for one in several], axis=1)
    places = np.concatenate([one.place_QK for one in several], axis=1)
    places = np.where(np.isneginf(cosine), NOWHERE, places)
    order = np.lexsort((places, -cosine), axis=1)[:, :count]
    return Found(np.take_along_axis(cosine, order, axis=1), np.take_along_axis(places, order, axis=1))


def _nothing(queries: int, count: int) -> Found:
    return Found(np.full((queries, count), -np.inf, np.float32), np.full((queries, count), NOWHERE, np.int64))
