"""`vistazo search`: the pictures of a source that are nearest to a picture."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vistazo.classification.classifier import Classifier
from vistazo.classification.similar import graph, pages
from vistazo.classification.similar.index_file import PICTURES, VectorIndex
from vistazo.classification.similar.indexing import (
    Synced,
    default_place,
    made,
    open_index,
    remove,
    steadily,
    sync,
)
from vistazo.classification.similar.neighbours import NOWHERE, Found, at
from vistazo.classification.similar.pages import Hit
from vistazo.classification.similar.reading import Given, given, read, vectors_of
from vistazo.errors import SourceError, UsageError
from vistazo.language import tr

__all__ = ["search"]

_SPARE = 8  # rows that may be the picture itself, under several sources


def search(
    model: Classifier,
    *,
    source: Any,
    files: Any,
    place: Path | None,
    add: Any,
    take_out: Sequence[str],
    top: int,
    itself: bool,
    out: Path | None,
    classes: str | None,
    every: str | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Bring the index up to date, and find the nearest pictures to each of `files`.

    source: what is searched, and brought up to date first; None searches all that is in the index. add: a source
    that comes into the index, with what was taken out of it by name. take_out: names of pictures to take out.
    place: of the index; None is the model's own. itself: whether a picture is among its own neighbours. out: a folder
    for a page with the pictures.
    Gives {"index", "pictures", "changed", "recall", "results": [{"file", "neighbours"}], "unreadable"}.
    Raises SourceError, ConfigError, UsageError, DiskError, each in one sentence.
    """
    place = place or default_place(model)
    asked = isinstance(files, np.ndarray) or bool(files)
    if out is not None and not asked:
        raise UsageError(tr("--out shows neighbours: name the picture to search for too."))
    if not asked and source is None and add is None and not take_out:
        raise UsageError(tr("Name what to search for: vistazo search MODEL SOURCE PICTURE..."))
    # Before the source, which may be long: a wrong name of a file is told at once.
    pictures, unreadable = given(model, files) if asked else ([], [])
    if asked and not pictures:
        raise SourceError(tr("{file} cannot be searched for ({reason}).", **unreadable[0]))
    changed: dict[str, Any] = {}
    unread: list[dict[str, str]] = []
    removed = remove(model, place, take_out) if take_out else 0
    wanted = None
    for one, back in ((add, True), (source, False)):
        if one is None:
            continue
        found = read(one, classes=classes, every=every)
        synced = sync(model, place, found, back=back, say=say)
        changed, wanted = _told(synced), (None if back else found.index.source)
        unread += [{"file": broken.where, "reason": broken.reason} for broken in synced.broken]
    if take_out:
        changed["removed"] = changed.get("removed", 0) + removed
    index = open_index(model, place)
    if index is None:
        raise UsageError(
            tr(
                "There is no index in {path} yet. Name a source: vistazo search MODEL SOURCE PICTURE...",
                path=place,
            )
        )
    told = {
        "index": str(place),
        "pictures": index.count(PICTURES),
        "bytes": index.bytes(),
        "changed": changed,
    }
    if not asked:
        return {**told, "recall": None, "results": [], "unreadable": unread}
    hits, recall = steadily(
        model,
        place,
        lambda index: _nearest(model, index or made(model, place), wanted, pictures, top, itself),
    )
    results = [
        {
            "file": picture.name,
            "neighbours": [
                {"file": one.file, "label": one.label, "distance": one.distance} for one in several
            ],
        }
        for picture, several in zip(pictures, hits, strict=True)
    ]
    told |= {"recall": recall, "results": results, "unreadable": unread + unreadable}
    if out is not None:
        told["page"] = str(pages.write_neighbours(out, pictures, hits))
    return told


def _told(synced: Synced) -> dict[str, Any]:
    return {
        "kept": synced.kept,
        "added": synced.added,
        "removed": synced.removed,
        "left_out": synced.left_out,
    }


def _nearest(
    model: Classifier,
    index: VectorIndex,
    source: str | None,
    pictures: Sequence[Given],
    top: int,
    itself: bool,
) -> tuple[list[list[Hit]], float | None]:
    pieces = {one.number: one for one in index.of(PICTURES, source)}
    count = top if itself else top + _SPARE
    found, recall = graph.nearest(index, list(pieces.values()), vectors_of(model, list(pictures)), count)
    hits = []
    for row, picture in enumerate(pictures):
        several = []
        for cosine, place in _row(found, row):
            number, inside = at(place)
            source_of, columns = pieces[number].source, index.columns(pieces[number])
            hit = Hit(
                source_of,
                columns.names[inside],
                columns.labels[inside],
                max(0.0, round(1.0 - cosine, 6)),  # what rounding leaves below 0 is the same picture
            )
            if itself or not _same(picture, hit.file, columns.hashes[inside]):
                several.append(hit)
        hits.append(several[:top])
    return hits, recall


def _row(found: Found, row: int) -> list[tuple[float, int]]:
    pairs = zip(found.cosine_QK[row].tolist(), found.place_QK[row].tolist(), strict=True)
    return [(cosine, place) for cosine, place in pairs if place != NOWHERE]


def _same(picture: Given, name: str, digest: bytes) -> bool:
    """Whether an indexed picture is the very one that is asked about: the same file, or the same pixels in memory."""
    if picture.hash != digest:
        return False
    return isinstance(picture.original, np.ndarray) or os.path.realpath(picture.name) == os.path.realpath(
        name
    )
