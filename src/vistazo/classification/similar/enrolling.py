"""People, products, animals made known to an index by a few pictures each, and asked for: who or what is this?"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.classifier import Classifier
from vistazo.classification.similar import identity
from vistazo.classification.similar.features import narrowed, unit
from vistazo.classification.similar.identity import Threshold
from vistazo.classification.similar.index_file import ENROLLED, Columns, VectorIndex, changing
from vistazo.classification.similar.indexing import made, open_index, steadily
from vistazo.classification.similar.reading import given, look_at, read, vectors_of
from vistazo.errors import ConfigError, SourceError, UsageError
from vistazo.language import tr
from vistazo.pictures.index import normal
from vistazo.registry import nearest

__all__ = ["enrol", "forget", "identify", "share"]

ALONE = 0.9  # the score asked for where one picture of one name is all there is: nothing can be measured
BY_STRANGERS, BY_OTHERS, BY_OWN, BY_NOTHING = "strangers", "other-names", "own-pictures", "nothing"
Floats = npt.NDArray[np.float32]


def enrol(model: Classifier, place: Path, name: str, files: Any) -> dict[str, Any]:
    """Make a name known by pictures; more pictures of a known name are added to it.

    Gives {"index", "name", "added", "known", "pictures", "names", "unreadable"}.
    Raises UsageError without a picture or a name, ConfigError where a picture is of another name already.
    """
    name = normal(name)
    if not name:
        raise UsageError(tr("--enrol needs a name: vistazo search MODEL --enrol NAME PICTURE..."))
    if not isinstance(files, np.ndarray) and not files:
        raise UsageError(
            tr("Name the pictures of {name}: vistazo search MODEL --enrol NAME PICTURE...", name=name)
        )
    pictures, unreadable = given(model, files)
    if not pictures:
        raise SourceError(
            tr(
                "None of the pictures of {name} can be read: {file} ({reason}).",
                name=name,
                **unreadable[0],
            )
        )
    with changing(place):
        index = made(model, place)
        known = {one: label for one, label, _ in _enrolled(index)}
        for one in pictures:
            if known.get(one.hash, name) != name:
                raise ConfigError(
                    tr(
                        "{file} is enrolled as {other} already. Take that back with: "
                        "vistazo search MODEL --forget {other}",
                        file=one.name,
                        other=known[one.hash],
                    )
                )
        new = list({one.hash: one for one in pictures if one.hash not in known}.values())
        if new:
            columns = Columns(
                [one.name for one in new],
                [name] * len(new),
                np.array([one.hash for one in new], "S32"),
                np.zeros(len(new), "S8"),
            )
            index.add(ENROLLED, "", vectors_of(model, new), columns)
            index.commit()
        labels = [label for _, label, _ in _enrolled(index)]
    return {
        "index": str(place),
        "name": name,
        "added": len(new),
        "known": len(pictures) - len(new),
        "pictures": labels.count(name),
        "names": len(set(labels)),
        "unreadable": unreadable,
    }


def forget(model: Classifier, place: Path, name: str) -> dict[str, Any]:
    """Take a name and all its pictures out. Raises UsageError where nobody has that name."""
    name = normal(name)
    _require_enrolled(open_index(model, place), name)  # before a folder is made where there is none
    with changing(place):
        index = open_index(model, place)
        names = _require_enrolled(index, name)
        assert index is not None
        gone = 0
        for piece in index.of(ENROLLED, None):
            labels = index.columns(piece).labels
            rows = np.array(
                [row for row in np.flatnonzero(piece.alive).tolist() if labels[row] == name], np.int64
            )
            gone += len(rows)
            if len(rows):
                index.remove(piece.number, rows)
        index.commit()
    return {"index": str(place), "name": name, "removed": gone, "names": len(names) - 1}


def _require_enrolled(index: VectorIndex | None, name: str) -> list[str]:
    """All names, of which this is one. Raises UsageError where it is not."""
    names = sorted({label for _, label, _ in _enrolled(index)}) if index else []
    if name in names:
        return names
    near = nearest(name, names)
    raise UsageError(
        tr("Nobody is enrolled as {name}. Did you mean {near}?", name=name, near=near)
        if near
        else tr(
            "Nobody is enrolled as {name}. Enrolled: {names}.",
            name=name,
            names=", ".join(names) or "–",
        )
    )


def share(value: float | str) -> float:
    """A share between 0 and 1, of 0.01, '0.01', '1%' or '0,5 %'. Raises ConfigError for anything else."""
    text = str(value).strip().replace(",", ".")
    try:
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise ConfigError(
            tr("--false-accept is a share above 0 and below 1, as in 1% or 0.01, not '{value}'.", value=value)
        )
    return found


def identify(
    model: Classifier, place: Path, files: Any, *, false_accept: float, strangers: Any, top: int
) -> dict[str, Any]:
    """Who or what is on each picture: a name, or None where it is unknown.

    false_accept: the share of strangers that may be taken for somebody. strangers: a source of pictures of nobody
    enrolled, from which the threshold comes; None takes the enrolled pictures, each as a stranger to all other names.
    Gives {"identified": [{"file", "name", "score", "nearest"}], "threshold", "unreadable", ...}.
    Raises UsageError where nobody is enrolled, SourceError where no picture can be read.
    """
    if not isinstance(files, np.ndarray) and not files:
        raise UsageError(tr("Name the pictures to identify: vistazo search MODEL --identify PICTURE..."))
    known = steadily(model, place, lambda index: _enrolled(index) if index else [])
    if not known:
        raise UsageError(
            tr(
                "Nobody is enrolled in {path} yet. Begin with: vistazo search MODEL --enrol NAME PICTURE...",
                path=place,
            )
        )
    # Before the strangers, which may be many: a wrong name of a file is told at once.
    pictures, unreadable = given(model, files)
    if not pictures:
        raise SourceError(tr("{file} cannot be identified ({reason}).", **unreadable[0]))
    names = sorted({label for _, label, _ in known})
    enrolled_MD = np.stack([vector for _, _, vector in known])
    position = {name: at for at, name in enumerate(names)}
    name_M = np.array([position[label] for _, label, _ in known], dtype=np.int64)
    told = _threshold(model, enrolled_MD, name_M, false_accept, strangers, {one for one, _, _ in known})
    found = identity.scores(vectors_of(model, pictures), enrolled_MD, name_M, len(names))
    identified = []
    for one, row in zip(pictures, found, strict=True):
        order = np.argsort(-row, kind="stable")[:top]
        best = float(row[order[0]])
        identified.append(
            {
                "file": one.name,
                "name": names[order[0]] if best >= told["score"] else None,
                "score": round(best, 6),
                "nearest": [[names[at], round(float(row[at]), 6)] for at in order.tolist()],
            }
        )
    return {
        "index": str(place),
        "names": len(names),
        "pictures": len(known),
        "threshold": told,
        "identified": identified,
        "unreadable": unreadable,
    }


def _enrolled(index: VectorIndex) -> list[tuple[bytes, str, Floats]]:
    """(content's hash, name, vector) of every picture that was enrolled."""
    found = []
    for piece in index.of(ENROLLED, None):
        columns, values = index.columns(piece), np.array(index.values(piece))
        digests = columns.hashes.tolist()
        for row in np.flatnonzero(piece.alive).tolist():
            found.append((digests[row], str(columns.labels[row]), values[row]))
    return found


def _threshold(
    model: Classifier,
    enrolled_MD: Floats,
    name_M: npt.NDArray[np.int64],
    rate: float,
    strangers: Any,
    known: set[bytes],
) -> dict[str, Any]:
    """The threshold as JSON tells it: its score, what it comes from and what it promises."""
    names = int(name_M.max()) + 1
    if strangers is not None:
        vectors = _strangers(model, strangers, known)
        best = identity.scores(vectors, enrolled_MD, name_M, names).max(1)
        return _told(identity.threshold(best, rate), BY_STRANGERS)
    if names > 1:
        return _told(
            identity.threshold(identity.strangers_among(enrolled_MD, name_M), rate, of=names), BY_OTHERS
        )
    own = identity.own_scores(enrolled_MD, name_M)
    alone = np.isnan(own).all()
    return {
        "score": ALONE if alone else float(own.min()),
        "by": BY_NOTHING if alone else BY_OWN,
        "rate": rate,
        "rests_on": 0,
        "accepted": 0,
        "kept": False,
        "least": 1.0,
    }


def _told(found: Threshold, by: str) -> dict[str, Any]:
    return {**asdict(found), "by": by}


def _strangers(model: Classifier, source: Any, known: Sequence[bytes] | set[bytes]) -> Floats:
    """(S, D) vectors of a source's pictures, those that are enrolled left out."""
    found = read(source, classes=None, every=None)
    blocks: list[Floats] = []
    for looked in look_at(model, found, np.arange(len(found.index))):
        new = np.array([one not in known for one in looked.hashes.tolist()], dtype=np.bool_)
        blocks.append(unit(narrowed(looked.seen.features_ND[new])))
    vectors = np.concatenate(blocks) if blocks else np.zeros((0, 0), np.float32)
    if not len(vectors):
        raise SourceError(
            tr("{source} has no picture of a stranger: all are enrolled, or none can be read.", source=source)
        )
    return vectors
