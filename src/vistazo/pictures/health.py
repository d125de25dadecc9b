"""What is wrong with the pictures of a source, from the numbers that one look at each gave: named, countable, fixable.

A kind of finding is a word that does not change; its detail is a sentence in the language in force. What is unusual is
judged by the source itself: 28 pixels are tiny among photographs and nothing to speak of among digits.
"""

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vistazo.engine.reports import number, percent
from vistazo.language import mark, tr
from vistazo.pictures import duplicates
from vistazo.pictures.index import OUT, PARTS, Broken, Index
from vistazo.pictures.looking import BROKEN, FOREIGN, Looks

__all__ = ["KINDS", "PATHLESS", "Finding", "examine", "in_order", "named"]

Ints = NDArray[np.int64]

# Every kind, in the order they are told, with what people call it.
KINDS = {
    "broken": mark("broken"),
    "empty": mark("empty files"),
    "not-a-picture": mark("not pictures"),
    "leak": mark("copies in several parts"),
    "conflict": mark("copies under several classes"),
    "duplicate": mark("identical copies"),
    "near-duplicate": mark("near copies"),
    "suspected-label": mark("suspected labels"),
    "blank": mark("blank"),
    "dark": mark("dark"),
    "over-exposed": mark("over-exposed"),
    "blurred": mark("blurred"),
    "tiny": mark("tiny"),
    "odd-shape": mark("odd shapes"),
    "imbalance": mark("rare classes"),
}
PATHLESS = frozenset(["imbalance"])  # kinds about a class and not about a file

RARE = 5.0  # times fewer pictures than the most common class has
BLANK = 3.0  # levels of spread
DARK, BRIGHT = 50.0, 205.0  # levels that the brightest, and the darkest, hundredth of a picture does not pass
BURNT, SELDOM = 0.5, 0.05  # share of white pixels, where half of the pictures have less than SELDOM
FADED = 40.0  # level of the darkest hundredth of such a picture
TINY = 32  # pixels, where pictures of twice as many are usual
ODD = 2.0  # times as long as usual: half of the picture is cut away
BLURRED = 3.5  # deviations below the middle
# And the logarithm of sharpness that nothing in focus has: CIFAR-10 ends at -3.3, photographs sooner.
BLURRED_BELOW = -3.5


@dataclass(frozen=True)
class Finding:
    """One thing found. kind: of KINDS. path: of the file; of `imbalance`, the class. suggestion: an action.

    row: of the Index, -1 where it has none. beside: the row of the picture it is a copy of, else -1.
    """

    kind: str
    path: str
    detail: str
    suggestion: str
    row: int = -1
    beside: int = -1

    def to_json(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ("kind", "path", "detail", "suggestion")}


def named(kind: str) -> str:
    """What people call a kind, in the language in force."""
    name = KINDS[kind]
    return tr(name)


def examine(index: Index, looks: Looks, broken: Sequence[Broken], foreign: Sequence[str]) -> list[Finding]:
    """Everything found, kind by kind, in the order of KINDS, then by row.

    broken: what never became a row. foreign: names of files that are not named like pictures.
    """
    found = [
        *(Finding(one.kind, one.where, one.reason, "exclude", one.row) for one in looks.faults),
        *(Finding(BROKEN, one.where, one.reason, "exclude") for one in broken),
        *(Finding(FOREIGN, name, tr("it is not named like a picture"), "keep") for name in foreign),
        *_copies(index, looks),
        *_unusual(index, looks),
        *_rare(index),
    ]
    return in_order(found)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Kind by kind, in the order of KINDS; those of a kind stay as they were."""
    order = list(KINDS)
    return sorted(findings, key=lambda one: order.index(one.kind))


# ---------------------------------------------------------------- copies
def _copies(index: Index, looks: Looks) -> Iterator[Finding]:
    rows = np.flatnonzero(looks.good)
    if len(rows) < 2:
        return
    family = duplicates.families(looks.small, looks.hash, rows)
    sizes = np.unique(family, return_counts=True)[1]
    order = np.argsort(family, kind="stable")
    bounds = np.cumsum(sizes)
    for end, size in zip(bounds[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        yield from _of_one_family(index, looks, rows[order[end - size : end]])


def _of_one_family(index: Index, looks: Looks, rows: Ints) -> Iterator[Finding]:
    """Findings of pictures that are copies of one another."""
    rank = np.array([PARTS.index(part) if part in PARTS else 0 for part in index.split[rows].tolist()])
    pixels = looks.height[rows].astype(np.int64) * looks.width[rows]
    # What is kept: of the test part, then the largest, then the first by name: 'a.jpg', not 'a (copy).jpg'.
    stems = [posixpath.splitext(index.where[row])[0] for row in rows.tolist()]
    best = np.lexsort((rows, np.unique(stems, return_inverse=True)[1], -pixels, -rank))
    rows, rank = rows[best], rank[best]
    right, wrong = _labels(index, rows)
    first_of: dict[bytes, int] = {}
    for at, row in enumerate(rows.tolist()):
        content = bytes(looks.hash[row])
        original = first_of.setdefault(content, row)
        identical = original != row
        other = original if identical else int(rows[0])
        if row in wrong:
            different = _of_another_label(index, row, rows)
            yield Finding(
                "conflict",
                index.where[row],
                tr("it is of class {one}, and a copy of it, {other}, of class {another}", one=_class(index, row),
                   other=index.where[different], another=_class(index, different)),
                right or "exclude",
                row,
                different,
            )  # fmt: skip
        elif rank[at] < rank[0]:
            where = {"other": index.where[rows[0]], "part": tr(PARTS[int(rank[0])])}
            if looks.hash[rows[0]] == looks.hash[row]:
                detail = tr("an identical copy of it, {other}, is in the {part} part", **where)
            else:
                detail = tr("a near copy of it, {other}, is in the {part} part", **where)
            yield Finding("leak", index.where[row], detail, "exclude", row, int(rows[0]))
        elif identical:
            detail = tr("the same as {other}", other=index.where[other])
            yield Finding("duplicate", index.where[row], detail, "exclude", row, other)
        elif at and not index.group[row] == index.group[rows[0]] >= 0:  # known to be of one thing
            detail = tr("a near copy of {other}", other=index.where[other])
            yield Finding("near-duplicate", index.where[row], detail, "exclude", row, other)


def _labels(index: Index, rows: Ints) -> tuple[str, set[int]]:
    """(what to do with the rows whose label most of the others do not share, those rows); nothing where all agree."""
    known = rows[index.labelled[rows]]
    keys = [
        index.label[row] if index.labels is None else index.labels[row].tobytes() for row in known.tolist()
    ]
    counts = Counter(keys)
    if len(counts) < 2:
        return "", set()
    most = max(counts.values())
    common = [key for key, count in counts.items() if count == most]
    if len(common) > 1:
        return "", set(known.tolist())
    agreed = known[keys.index(common[0])]
    return f"relabel:{_class(index, int(agreed))}", {
        row for row, key in zip(known.tolist(), keys, strict=True) if key != common[0]
    }


def _of_another_label(index: Index, row: int, rows: Ints) -> int:
    own = _class(index, row)
    labelled: list[int] = rows[index.labelled[rows]].tolist()
    return next(other for other in labelled if _class(index, other) != own)


def _class(index: Index, row: int) -> str:
    if index.labels is not None:
        return "|".join(index.classes[at] for at in np.flatnonzero(index.labels[row]))
    return index.classes[index.label[row]] if index.label[row] >= 0 else ""


# ---------------------------------------------------------------- single pictures
def _unusual(index: Index, looks: Looks) -> Iterator[Finding]:
    good = np.flatnonzero(looks.good)
    if not len(good):
        return
    blank = looks.spread[good] < BLANK
    yield from _each(index, "blank", good[blank], lambda row: tr("it is of one colour throughout"))
    lit = good[~blank]
    dark = lit[looks.high[lit] < DARK]
    yield from _each(
        index,
        "dark",
        dark,
        lambda row: tr("mean light {value} of 255", value=number(float(looks.light[row]), 0)),
    )
    white = looks.low[lit] > BRIGHT
    if float(np.median(looks.burnt[good])) < SELDOM:
        white |= (looks.burnt[lit] > BURNT) & (looks.low[lit] > FADED)  # not a dark thing on white paper
    yield from _each(
        index,
        "over-exposed",
        lit[white],
        lambda row: tr("{share} of it is white", share=percent(float(looks.burnt[row]), 0)),
    )
    yield from _each(
        index,
        "blurred",
        _blurred(looks, lit[~white & ~_tiny(looks, good, lit)]),
        lambda row: tr("it is far less sharp than the others"),
    )
    yield from _shapes(index, looks, good)


def _each(index: Index, kind: str, rows: Ints, say: Callable[[int], str]) -> Iterator[Finding]:
    return (Finding(kind, index.where[row], say(row), "exclude", row) for row in rows.tolist())


def _blurred(looks: Looks, rows: Ints) -> Ints:
    """Rows whose sharpness lies far below the middle of the source's own."""
    if len(rows) < 10:
        return rows[:0]
    sharp = looks.sharp[rows]
    middle = float(np.median(sharp))
    deviation = 1.4826 * float(np.median(np.abs(sharp - middle)))
    return rows[(sharp < middle - BLURRED * max(deviation, 0.25)) & (sharp < BLURRED_BELOW)]


def _tiny(looks: Looks, good: Ints, rows: Ints) -> NDArray[np.bool_]:
    """Whether rows have few pixels where others have many."""
    short = np.minimum(looks.height, looks.width)
    return np.asarray((short[rows] < TINY) & (short[rows] <= np.median(short[good]) / 2))


def _shapes(index: Index, looks: Looks, good: Ints) -> Iterator[Finding]:
    height, width = looks.height[good].astype(np.float64), looks.width[good].astype(np.float64)
    tiny = good[_tiny(looks, good, good)]

    def size(row: int) -> str:
        return tr("{width} × {height} pixels", width=int(looks.width[row]), height=int(looks.height[row]))

    yield from _each(index, "tiny", tiny, size)
    # Upright and lying pictures may stand side by side, so the usual proportion counts both ways.
    proportion = np.log(width / height)
    usual = abs(float(np.median(proportion)))
    odd = good[np.abs(np.abs(proportion) - usual) > np.log(ODD)]
    yield from _each(index, "odd-shape", odd, size)


# ---------------------------------------------------------------- classes
def _rare(index: Index) -> Iterator[Finding]:
    if index.labels is not None:
        return
    counts = index.counts(index.split != OUT)
    most = int(counts.max()) if len(counts) else 0
    for name, count in zip(index.classes, counts.tolist(), strict=True):
        if count * RARE <= most:
            detail = tr(
                "{n} pictures; the most common class, {name}, has {most}",
                n=number(count),
                name=index.classes[int(np.argmax(counts))],
                most=number(most),
            )
            yield Finding("imbalance", name, detail, "keep")
