"""Copies of a picture that are not the same bytes: compressed again, made smaller or larger.

Pictures are compared as `shrinking` makes them small. Of their low frequencies come 64 bits; pictures that agree in
nearly all of them are compared frequency band by frequency band. Compressing and resizing leave every band of a picture
alike, while two different pictures agree, at most, in the coarse ones. How much agreement in the fine ones means a copy
is asked of the source itself: handwritten ones are alike, photographs are not.

Whole numbers up to the bits, so that the same pictures give the same answer whatever the threads.

Shape suffixes: N pictures, S values of a small picture, F frequencies, P pairs.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from vistazo.pictures.shrinking import COLOUR_SIDE, SIDE, SMALL_COLOUR, SMALL_GREY

__all__ = ["Pairs", "clusters", "families", "near"]

Pixels = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_AT_ONCE = 8192  # pictures or pairs: their frequencies take 30 MB at most
_WAITING = 1 << 22  # pairs that are kept before those that came twice are dropped

BITS = 64
EVERY = 4096  # pictures up to which every one is compared with every other
TURNS, REACH = 8, 6  # orders that more pictures are sorted in, and neighbours in each that are compared
LEAST_BITS, MOST_BITS = 4, 11  # of 64 that may differ: of 95 copies in 100, 5 or fewer do
MOST_PAIRS = 2  # candidates a picture, roughly
DECOYS = 2  # more bits than that differ between pairs that look alike and, but for few, are no copies
SAMPLE = 4096  # of them, and of the pictures

# What copies reach, of JPEG quality 50 to 95 and half to twice the size, in 98 of 100 on photographs and drawings.
_BANDS = {"coarse": (0.5, 6.0), "middle": (6.0, 9.0), "fine": (9.0, 99.0)}
COARSE, MIDDLE, FINE = 0.4, 0.88, 0.6
COLOUR, LIGHT = 8.0, 12.0  # levels
CLOSE = (0.2, 0.9, 0.25)  # coarse, middle and fine of what was made half as large and compressed at once
SELDOM = 0.01  # pairs a picture that may agree so well without being copies
FALSE = 0.0002  # pairs a picture that chance may make
CROWD, RATIO = 2, 0.08  # look-alikes that make a crowd, and how much nearer than those a copy is
PLAIN = 3.0  # levels: pictures of less contrast are nothing to know them by
# Different pictures that may be copies of one; as a share of all, where that is more.
FAMILY, SHARE = 20, 0.05
NOISE = 6.0  # of a frequency, in levels: what compressing adds
_SCALE = 1000  # waves as whole numbers: sums stay below 2**24


# ---------------------------------------------------------------- frequencies
@cache
def _waves(side: int) -> NDArray[np.float64]:
    """(side * side, side * side) an orthonormal cosine transform in two dimensions, a frequency a column."""
    at = np.arange(side)
    one = np.cos(np.pi * (2 * at[:, None] + 1) * at[None] / (2 * side)) * math.sqrt(2 / side)
    one[:, 0] /= math.sqrt(2)
    return np.asarray(np.kron(one, one), dtype=np.float64)


def _radius(side: int) -> NDArray[np.float64]:
    """(side * side,) how fine each frequency is."""
    at = np.arange(side)
    return np.hypot(at[:, None], at[None]).ravel()


@cache
def _asked(colour: bool) -> Floats:
    """(S, 64) whole-number waves whose signs become the bits, the lowest of light and, of colour, 2 x 8 of colour.

    The bytes of a code hold low and high frequencies alike, so that any of them can lead an order.
    """
    shares = [(SIDE, 0, 48 if colour else BITS)]
    if colour:
        shares += [(COLOUR_SIDE, SMALL_GREY + at * COLOUR_SIDE**2, 8) for at in range(2)]
    waves = np.zeros((SMALL_COLOUR if colour else SMALL_GREY, BITS))
    column = 0
    for side, first, several in shares:
        order = np.argsort(_radius(side), kind="stable")
        lowest = order[1 : several + 1] if side == SIDE else order[:several]  # light without its mean
        waves[first : first + side * side, column : column + several] = _waves(side)[:, lowest]
        column += several
    whole = np.rint(waves * (127 / np.abs(waves).max(0)))
    return np.asarray(whole.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, BITS), dtype=np.float32)


def _codes(small_NS: Pixels, rows: Ints, sample: Floats) -> NDArray[np.uint64]:
    """(rows,) 64 bits of each picture: whether a frequency is above what half of the sample have."""
    waves = _asked(small_NS.shape[1] == SMALL_COLOUR)
    middle = np.median(sample @ waves, axis=0)
    found = np.empty(len(rows), dtype=np.uint64)
    for first in range(0, len(rows), _AT_ONCE):
        values = small_NS[rows[first : first + _AT_ONCE]].astype(np.float32) @ waves
        found[first : first + _AT_ONCE] = np.packbits(values > middle, axis=1).view(np.uint64)[:, 0]
    return found


# ---------------------------------------------------------------- who may be a copy of whom
Block = tuple[Ints, Ints, NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class _Found:
    """Candidates (lower row, higher row) whose codes differ in few bits; others that differ in a few more.

    alike: how many pairs of the second kind there are; of `decoys` they are a sample.
    """

    pairs: tuple[Ints, Ints]
    decoys: tuple[Ints, Ints]
    alike: int


def _candidates(codes: NDArray[np.uint64]) -> _Found:
    blocks = (
        _every_pair if len(codes) <= EVERY else _neighbours
    )  # gone through twice: kept, they are 112 bytes a picture
    differ = np.zeros(BITS + 1, dtype=np.int64)
    for *_, block in blocks(codes):
        differ += np.bincount(block.ravel(), minlength=BITS + 1)
    # Where most pictures are alike (digits), fewer bits may differ, or there would be a thousand pairs a picture.
    most = int(np.searchsorted(np.cumsum(differ), MOST_PAIRS * len(codes), side="right")) - 1
    most = max(LEAST_BITS, min(most, MOST_BITS))
    alike = int(differ[MOST_BITS + 1 : MOST_BITS + 1 + DECOYS].sum())
    every = max(1, alike // SAMPLE)
    decoys = []

    def keys() -> Iterator[Ints]:
        for block in blocks(codes):
            decoys.append(_chosen(block, MOST_BITS + 1, MOST_BITS + DECOYS, every))
            one, other = _chosen(block, 0, most, 1)
            yield np.minimum(one, other) * len(codes) + np.maximum(one, other)

    found = _every_key(keys())
    one, other = (np.concatenate(column) for column in zip(*decoys, strict=True))
    return _Found((found // len(codes), found % len(codes)), (one, other), alike)


def _every_key(several: Iterable[Ints]) -> Ints:
    """All the numbers, each once, ascending; those that come again and again take little memory."""
    found = np.zeros(0, np.int64)
    waiting = [found]
    for keys in several:
        waiting.append(keys)
        if sum(map(len, waiting)) > _WAITING:
            found, waiting = np.unique(np.concatenate([found, *waiting])), []
    return np.unique(np.concatenate([found, *waiting]))


def _chosen(block: Block, least: int, most: int, every: int) -> tuple[Ints, Ints]:
    """The pairs of a block that differ in so many bits; only the first of `every` so many."""
    rows, others, differ = block
    close = np.nonzero((differ >= least) & (differ <= most))
    return rows[close[0][::every]], others[close[-1][::every]]


def _every_pair(codes: NDArray[np.uint64]) -> Iterator[Block]:
    """(rows, other rows, how many bits differ between each and each), every pair once."""
    rows = np.arange(len(codes))
    for first in range(0, len(codes), 256):
        block = rows[first : first + 256]
        differ = np.bitwise_count(codes[block, None] ^ codes[None, first:])
        differ[np.tril_indices(len(block), m=differ.shape[1])] = BITS
        yield block, rows[first:], differ


def _neighbours(codes: NDArray[np.uint64]) -> Iterator[Block]:
    """(rows, partners, how many bits differ), of codes that lie together when sorted with each of their bytes in front.

    Copies agree in at least one beginning. As Manku, Jain, Das Sarma 2007, "Detecting near-duplicates for web
    crawling", but with a fixed reach, so that many alike ones cost no more than others.
    """
    for turn in range(TURNS):
        by = np.uint64(turn * BITS // TURNS)
        turned = (codes << by) | (codes >> (np.uint64(BITS) - by)) if turn else codes
        order = np.argsort(turned, kind="stable")
        ordered = codes[order]
        for away in range(1, REACH + 1):
            yield order[:-away], order[away:], np.bitwise_count(ordered[away:] ^ ordered[:-away])


# ---------------------------------------------------------------- who is one
@dataclass(frozen=True, eq=False)
class _Likeness:
    """How much the pictures of pairs agree, (P,) each.

    coarse: how far the coarse frequencies are apart, as a share of their size. middle, fine: cosines in the bands of
    middle and fine frequencies. colour: how far the colours are apart, in levels of 0 to 255. light: the mean light.
    plain: whether one of them is too plain to be told from others.
    """

    coarse: Floats
    middle: Floats
    fine: Floats
    colour: Floats
    light: Floats
    plain: NDArray[np.bool_]


def _compared(small_NS: Pixels, one_P: Ints, other_P: Ints, size_F: NDArray[np.float64]) -> _Likeness:
    """size_F: how large each frequency of light usually is; weighed by it, all of them count alike."""
    several = [
        _compared_some(small_NS, one_P[first : first + _AT_ONCE], other_P[first : first + _AT_ONCE], size_F)
        for first in range(0, max(1, len(one_P)), _AT_ONCE)
    ]
    return _Likeness(
        *(np.concatenate([getattr(one, part.name) for one in several]) for part in fields(_Likeness))
    )


def _compared_some(small_NS: Pixels, one_P: Ints, other_P: Ints, size_F: NDArray[np.float64]) -> _Likeness:
    rows, at = np.unique(np.concatenate([one_P, other_P]), return_inverse=True)
    levels = small_NS[rows].astype(np.float32)
    waves_NF = np.asarray(_light(levels) / size_F.astype(np.float32), dtype=np.float32)
    one, other = at[: len(one_P)], at[len(one_P) :]
    bands = {
        name: waves_NF[:, (_radius(SIDE) >= low) & (_radius(SIDE) < high)]
        for name, (low, high) in _BANDS.items()
    }
    length = {name: np.sqrt(np.square(band).sum(1)) + 1e-6 for name, band in bands.items()}
    apart = np.sqrt(np.square(bands["coarse"][one] - bands["coarse"][other]).sum(1))
    agree = {
        name: (bands[name][one] * bands[name][other]).sum(1) / (length[name][one] * length[name][other])
        for name in ("middle", "fine")
    }
    colour = np.zeros(len(one), dtype=np.float32)
    if levels.shape[1] > SMALL_GREY:
        both = levels[:, SMALL_GREY:]
        colour = np.sqrt(np.square(both[one] - both[other]).mean(1))
    light = levels[:, :SMALL_GREY]
    mean, plain = light.mean(1), light.std(1) < PLAIN
    return _Likeness(
        apart / np.minimum(length["coarse"][one], length["coarse"][other]),
        agree["middle"],
        agree["fine"],
        colour,
        np.abs(mean[one] - mean[other]),
        plain[one] | plain[other],
    )


def _light(levels_NS: Floats) -> Floats:
    """(N, 256) the frequencies of light, as whole numbers."""
    return levels_NS[:, :SMALL_GREY] @ _whole_waves()


@cache
def _whole_waves() -> Floats:
    waves = _waves(SIDE)
    return np.rint(waves * (_SCALE)).astype(np.float32)


def _fine_enough(likeness: _Likeness, alike: int, count: int) -> float:
    """The agreement in fine frequencies that makes a copy in this source.

    likeness: of decoys, pairs that look alike and are no copies; `alike` is how many there are among `count` pictures.
    Fisher's transform of their agreement is normal, so it says from where on less than FALSE of them a picture remain.
    """
    if alike <= FALSE * count or not len(likeness.fine):
        return FINE
    transformed = np.arctanh(np.clip(likeness.fine, -0.999, 0.999))
    middle, above = np.quantile(transformed, [0.5, 0.84])
    distance = NormalDist().inv_cdf(1 - FALSE * count / alike)
    return max(FINE, math.tanh(float(middle + distance * max(above - middle, 0.05))))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of copies: (P,) rows, the lower first. fine: how much agreement in fine frequencies was asked for."""

    one: Ints
    other: Ints
    fine: float


def near(small_NS: Pixels, rows: Ints | None = None) -> Pairs:
    """The pairs of pictures of which one is a copy of the other, or both of a third.

    small_NS: what `shrink` made, all of one width. rows: of those that are compared, ascending; None for all. Plain
    pictures, without anything to know them by, are no copies.
    """
    rows = np.arange(len(small_NS)) if rows is None else rows
    if len(rows) < 2:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), FINE)
    sample = small_NS[rows[:: max(1, len(rows) // SAMPLE)][:SAMPLE]].astype(np.float32)
    found = _candidates(_codes(small_NS, rows, sample))
    size_F = np.sqrt(_light(sample).var(0, dtype=np.float64) + (NOISE * _SCALE) ** 2)
    decoys = _compared(small_NS, rows[found.decoys[0]], rows[found.decoys[1]], size_F)
    fine = _fine_enough(decoys, found.alike, len(rows))
    one, other = found.pairs
    told = _compared(small_NS, rows[one], rows[other], size_F)
    copy = (told.coarse <= COARSE) & (told.middle >= MIDDLE) & (told.fine >= fine)
    # A small and hard compressed copy has lost the fine frequencies; where nothing else agrees so well in the coarse
    # ones, those are enough.
    if found.alike * float(_close(decoys).mean() if len(decoys.fine) else 0.0) <= SELDOM * len(rows):
        copy |= _close(told)
    copy &= (told.colour <= COLOUR) & (told.light <= LIGHT) & ~told.plain
    # Where pictures are alike, one that stands apart is judged as if in the usual crowd; where few are, hardly.
    crowd = min(1.0, found.alike / len(rows))
    if crowd:
        usual = float(np.median(1 - decoys.fine))
        copy &= 1 - told.fine <= RATIO / crowd * _crowd_of(one, other, 1 - told.fine, usual, len(rows))
    return Pairs(rows[one[copy]], rows[other[copy]], fine)


def _close(likeness: _Likeness) -> NDArray[np.bool_]:
    return (likeness.coarse <= CLOSE[0]) & (likeness.middle >= CLOSE[1]) & (likeness.fine >= CLOSE[2])


def _crowd_of(one: Ints, other: Ints, apart_P: Floats, usual: float, count: int) -> Floats:
    """(P,) how far either of two is, in fine frequencies, from those that merely look like it: a stroke, a 1.

    A copy is far nearer. apart_P: how far each pair is apart. As the ratio of Lowe 2004,
    "Distinctive image features from scale-invariant keypoints", 7.1, to the middle one of CROWD others or more;
    `usual` stands for the middle one of pictures with fewer.
    """
    away = apart_P > RATIO * usual  # the others may be copies
    rows = np.concatenate([one[away], other[away]])
    apart = np.concatenate([apart_P[away], apart_P[away]])
    order = np.lexsort((apart, rows))
    rows, apart = rows[order], apart[order]
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    several = np.diff(first, append=len(rows))
    middle = np.full(count, usual, dtype=np.float32)
    crowded = several >= CROWD
    middle[rows[first[crowded]]] = np.minimum(apart[(first + several // 2)[crowded]], usual)
    return np.minimum(middle[one], middle[other])


def clusters(pairs: Pairs, count: int) -> Ints:
    """(count,) the lowest row of all that are copies of one another, -1 for pictures without a copy."""
    lowest = np.arange(count)
    while True:
        before = lowest.copy()
        least = np.minimum(lowest[pairs.one], lowest[pairs.other])
        np.minimum.at(lowest, pairs.one, least)
        np.minimum.at(lowest, pairs.other, least)
        lowest = lowest[lowest]
        if (lowest == before).all():
            break
    alone = np.ones(count, dtype=np.bool_)
    alone[pairs.one] = alone[pairs.other] = False
    lowest[alone] = -1
    return lowest


def families(small_NS: Pixels, hash_N: NDArray[np.bytes_], rows: Ints | None = None) -> Ints:
    """(rows,) the lowest row of all that are copies of each, identical or near; its own where there is none.

    Near ones that are very many (FAMILY, SHARE) are no copies: so a camera sees one place again and again.
    hash_N: of what each holds; of a thousand identical ones, a single one is compared. rows: as of `near`.
    """
    rows = np.arange(len(small_NS)) if rows is None else rows
    _, first, same = np.unique(hash_N[rows], return_index=True, return_inverse=True)
    lowest = clusters(near(small_NS, rows[np.sort(first)]), len(small_NS))
    own = rows[first[same]]
    family = np.where(lowest[own] >= 0, lowest[own], own)
    contents = np.bincount(family[first], minlength=len(small_NS))
    return np.where(contents[family] > max(FAMILY, SHARE * len(first)), own, family)
