"""A graph over the vectors of an index, for more of them than a product reads in time (usearch, extra [explain]).

The graph proposes candidates, and their distances are then computed from the vectors themselves, so what is told is
exact; what a graph may miss is a neighbour. How many it finds is measured against the exact answer and told.
Malkov, Yashunin 2018, "Efficient and robust approximate nearest neighbor search using HNSW graphs", arXiv:1603.09320.

Shape suffixes: Q queries, N vectors, D values, K nearest.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.bundle import disk_sentence
from vistazo.classification.similar.index_file import PICTURES, Piece, VectorIndex
from vistazo.classification.similar.neighbours import NOWHERE, Found, at, blocks_of, exact, merged, place
from vistazo.engine.batches import counter_seed
from vistazo.errors import DiskError
from vistazo.language import tr

__all__ = ["EXACT", "extend", "nearest", "usearch_is_there"]

Floats = npt.NDArray[np.float32]
Say = Callable[[str], None]
EXACT = 100_000  # vectors up to which every search is exact
NEW = 20_000  # vectors outside the graph, searched exactly beside it, from which on they are put into it
ASKED, MEASURED = 10, 200  # neighbours and queries that its recall is measured with
ENOUGH = 0.99  # of the true neighbours; where it finds fewer it is walked further
_REACH = (64, 128, 256, 512)
_DRAWN = 41  # what the queries of the measurement are drawn from


def usearch_is_there() -> bool:
    """Whether the package usearch is installed."""
    try:
        import usearch.index  # noqa: F401
    except ImportError:
        return False
    return True


def nearest(
    index: VectorIndex, pieces: Sequence[Piece], queries_QD: Floats, count: int
) -> tuple[Found, float | None]:
    """The nearest among some pieces, and the recall of the way they were found: None where it is exact.

    It is exact too where there is a graph that cannot be read: without usearch, or damaged.
    """
    total = sum(one.rows for one in pieces)
    held = set((index.facts.get("graph") or {}).get("pieces", ()))
    inside = [one for one in pieces if one.number in held]
    graph = _opened(index) if total > EXACT and inside else None
    if graph is None:
        return exact(queries_QD, blocks_of(index, pieces), count), None
    outside = [one for one in pieces if one.number not in held]
    facts = index.facts["graph"]
    walked = _walked(index, graph, inside, queries_QD, count, int(facts["reach"]))
    beside = exact(queries_QD, blocks_of(index, outside), count)
    return merged([walked, beside], count), float(facts["recall"])


def extend(index: VectorIndex, say: Say) -> None:
    """Put the vectors that are outside the graph into it, where they are many; inside `changing`, before `commit`.

    Without usearch nothing is done, and that is said: every search then is exact and slower.
    """
    pieces = index.of(PICTURES, None)
    held = set((index.facts.get("graph") or {}).get("pieces", ()))
    outside = [one for one in pieces if one.number not in held]
    if sum(one.rows for one in pieces) <= EXACT or sum(one.rows for one in outside) < NEW:
        return
    if not usearch_is_there():
        say(
            tr(
                "Searches stay exact and take longer: an index of more than {n} pictures is searched faster with the "
                "package usearch. Install it with: pip install 'vistazo[explain]'",
                n=EXACT,
            )
        )
        return
    graph = _opened(index) if held else None
    if graph is None:
        graph, outside = _empty(index.width), pieces
    for one in outside:
        rows = np.flatnonzero(one.alive)
        graph.add(place(one.number, rows).astype(np.uint64), np.asarray(index.values(one))[rows])
    facts: dict[str, Any] = {
        "file": f"graph-{int(index.facts['next']):06d}.usearch",
        "pieces": [one.number for one in pieces],
        "reach": _REACH[0],
    }
    _save(graph, index.folder / facts["file"])
    facts["reach"], facts["recall"] = _measured(index, graph, pieces)
    index.facts |= {"graph": facts, "next": int(index.facts["next"]) + 1}


def _measured(index: VectorIndex, graph: Any, pieces: Sequence[Piece]) -> tuple[int, float]:
    """How far the graph has to be walked, and the share of the true neighbours that it then finds."""
    ends = np.cumsum([one.rows for one in pieces])
    drawn = np.random.default_rng(counter_seed(_DRAWN, int(ends[-1]))).choice(
        ends[-1], MEASURED, replace=False
    )
    which = np.searchsorted(ends, drawn, side="right")
    queries = np.stack(
        [
            index.values(pieces[one])[row - (ends[one] - pieces[one].rows)]
            for one, row in zip(which.tolist(), drawn.tolist(), strict=True)
        ]
    )
    truth = exact(queries, blocks_of(index, pieces), ASKED).place_QK
    recall, reach = 0.0, _REACH[0]
    for reach in _REACH:
        found = _walked(index, graph, pieces, queries, ASKED, reach).place_QK
        recall = float(
            np.mean([len(set(one) & set(other)) / ASKED for one, other in zip(found, truth, strict=True)])
        )
        if recall >= ENOUGH:
            break
    return reach, recall


def _walked(
    index: VectorIndex, graph: Any, pieces: Sequence[Piece], queries_QD: Floats, count: int, reach: int
) -> Found:
    """What the graph proposes, with exact distances; vectors that are gone, or of other pieces, are passed over."""
    graph.expansion_search = max(reach, 4 * count)
    of = {one.number: (one.alive, index.values(one)) for one in pieces}
    cosine = np.full((len(queries_QD), count), -np.inf, np.float32)
    places = np.full((len(queries_QD), count), NOWHERE, np.int64)
    for row, query_D in enumerate(queries_QD):
        wanted = 2 * count
        while True:
            keys = np.asarray(graph.search(query_D, wanted).keys, dtype=np.uint64).astype(np.int64)
            there = [key for key in keys.tolist() if at(key)[0] in of and of[at(key)[0]][0][at(key)[1]]]
            if len(there) >= count or wanted >= len(graph):
                break
            wanted = min(4 * wanted, len(graph))  # many of them are gone
        if not there:
            continue
        values = np.stack([of[at(key)[0]][1][at(key)[1]] for key in there])
        scores = values @ query_D
        order = np.lexsort((there, -scores))[:count]
        cosine[row, : len(order)], places[row, : len(order)] = scores[order], np.array(there)[order]
    return Found(cosine, places)


def _empty(width: int) -> Any:
    import usearch.index

    # Half precision: candidates are all that is asked of it.
    return usearch.index.Index(ndim=width, metric="ip", dtype="f16", connectivity=16, expansion_add=128)


def _opened(index: VectorIndex) -> Any:
    """The graph of an index; None where usearch is not installed, or its file is damaged or gone."""
    if not usearch_is_there():
        return None
    graph = _empty(index.width)
    path = index.folder / str(index.facts["graph"]["file"])
    try:
        if not path.is_file():
            return None
        graph.load(str(path))
    except (RuntimeError, OSError, ValueError, KeyError):
        return None
    return graph if graph.ndim == index.width else None


def _save(graph: Any, path: Path) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        graph.save(str(beside))
        with open(beside, "r+b") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise DiskError(disk_sentence(path, error)) from error
        raise
