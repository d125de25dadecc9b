"""A source becomes part of an index: what is new is looked at, what is known is kept, what is gone is taken out."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.classifier import Classifier
from vistazo.classification.similar import graph
from vistazo.classification.similar.features import fingerprint, narrowed, unit, width_of
from vistazo.classification.similar.index_file import PICTURES, Columns, VectorIndex, changing
from vistazo.classification.similar.reading import labels_of, look_at
from vistazo.engine.reports import number
from vistazo.errors import ConfigError, SourceDamaged, SourceError, TooFewExamples, UsageError
from vistazo.language import tr
from vistazo.pictures.decoding import content_hash
from vistazo.pictures.index import Broken
from vistazo.pictures.stores import Source
from vistazo.registry import nearest

__all__ = ["Synced", "default_place", "full_name", "made", "open_index", "remove", "steadily", "sync"]

Say = Callable[[str], None]
_PIECE = 32_768  # vectors after which the index is written: a kill costs no more
_TOLD = 10.0  # seconds between two sentences about it
_LEFT_OUT = "left_out"


@dataclass(frozen=True)
class Synced:
    """What bringing an index up to its source changed. kept: known before. broken: what could not be looked at."""

    kept: int = 0
    added: int = 0
    removed: int = 0
    left_out: int = 0
    broken: tuple[Broken, ...] = ()


def default_place(model: Classifier) -> Path:
    """Where a model's index is, unless another place is named: inside its run's folder, or beside its file."""
    if model.path is None:
        return Path(f"{model.model}.search")
    if (model.path.parent / "config.json").exists():
        return model.path.parent / "search"
    return model.path.with_suffix(".search")


def open_index(model: Classifier, place: Path) -> VectorIndex | None:
    """The index at that place, None where there is none yet.

    Raises ConfigError where another model made it, SourceDamaged.
    """
    index = VectorIndex.open(place)
    if index is None:
        return None
    own = fingerprint(model)
    if index.facts["fingerprint"] != own:
        raise ConfigError(
            tr(
                "The index in {path} was made with another model ({other}), and what two models see cannot be "
                "compared. Search with that model, or name another place with --index.",
                path=place,
                other=index.facts["model"],
            )
        )
    return index


def made(model: Classifier, place: Path) -> VectorIndex:
    """The index at that place, an empty one where there is none yet; as `open_index`."""
    return open_index(model, place) or VectorIndex.create(
        place,
        fingerprint=fingerprint(model),
        model=str(model.path or model.model),
        width=narrowed(np.zeros((1, width_of(model)), np.float32)).shape[1],
    )


def steadily(model: Classifier, place: Path, work: Callable[[VectorIndex | None], Any]) -> Any:
    """What `work` makes of the index at that place, without holding others up; as `open_index`.

    Where another process changes the index meanwhile, files go that `work` reads: then it is done again.
    """
    while True:
        index = open_index(model, place)
        try:
            return work(index)
        except SourceDamaged:
            if index is None or not index.changed():
                raise


def full_name(source: str, name: str) -> str:
    """How a picture of a source is told: its path, where the source is a place on this machine or the web."""
    return f"{source.rstrip('/')}/{name}" if source and not Path(name).is_absolute() else name


def sync(model: Classifier, place: Path, found: Source, *, back: bool, say: Say) -> Synced:
    """Make the index hold the pictures of a source, no more and no less; only new pictures are looked at.

    back: whether pictures that were taken out by name come in again.
    Raises TooFewExamples where there is no picture, ConfigError, DiskError.
    """
    if not len(found.index):
        raise TooFewExamples(tr("{path} has no pictures to search among.", path=found.index.source))
    with changing(place):
        return _Syncing(model, made(model, place), found, back, say).run()


@dataclass
class _Known:
    """Where a picture is in the index, and what it is told apart by."""

    number: int
    row: int
    hash: bytes
    stamp: bytes
    label: str | None


@dataclass
class _Waiting:
    vectors: list[npt.NDArray[np.float32]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    stamps: list[bytes] = field(default_factory=list)


class _Syncing:
    def __init__(self, model: Classifier, index: VectorIndex, found: Source, back: bool, say: Say) -> None:
        self.model, self.index, self.found, self.say = model, index, found, say
        self.source = found.index.source
        self.labels = labels_of(found.index)
        stamps = found.store.stamps()
        self.stamps = (
            np.zeros(len(found.index), "S8") if stamps is None else np.asarray(stamps.keys).astype("S8")
        )
        self.stale: list[_Known] = []  # what a killed change left beside its successor
        self.known, self.by_hash = self._known()
        left = index.facts.setdefault(_LEFT_OUT, {})
        if back:
            left.pop(self.source, None)
        self.left_out = {one.encode() for one in left.get(self.source, ())}
        self.waiting = _Waiting()
        self.kept: set[tuple[int, int]] = set()
        self.added = self.skipped = 0

    def run(self) -> Synced:
        rows = self._unknown()
        broken: list[Broken] = []
        began = told = time.monotonic()
        done = 0
        for looked in look_at(self.model, self.found, rows):
            broken += looked.broken
            vectors = unit(narrowed(looked.seen.features_ND))
            for row, digest, vector in zip(
                looked.rows.tolist(), looked.hashes.tolist(), vectors, strict=True
            ):
                self._take(row, digest, vector)
            done += len(looked.rows) + len(looked.broken)
            if time.monotonic() - told > _TOLD:
                told = time.monotonic()
                left = (told - began) / done * (len(rows) - done)
                self.say(
                    tr(
                        "looked at {done} of {count} pictures; about {seconds} s to go",
                        done=number(done),
                        count=number(len(rows)),
                        seconds=number(max(1, round(left))),
                    )
                )
            if len(self.waiting.names) >= _PIECE:
                self._write()
                # Not joined yet: `known` says where pictures are, piece by piece.
                self.index.commit(join=False)
        gone = self._drop_the_rest()
        self._write()
        if self.added or gone or not (self.index.folder / "index.json").exists():
            graph.extend(self.index, self.say)
            self.index.commit()
        return Synced(len(self.kept), self.added, gone, self.skipped, (*self.found.broken, *broken))

    def _known(self) -> tuple[dict[str, _Known], dict[bytes, _Known]]:
        names: dict[str, _Known] = {}
        hashes: dict[bytes, _Known] = {}
        for piece in self.index.of(PICTURES, None):
            columns = self.index.columns(piece)
            digests, stamps = columns.hashes.tolist(), columns.stamps.tolist()
            for row in np.flatnonzero(piece.alive).tolist():
                one = _Known(piece.number, row, digests[row], stamps[row], columns.labels[row])
                hashes[digests[row]] = one
                if piece.source == self.source:
                    if columns.names[row] in names:
                        self.stale.append(names[columns.names[row]])
                    names[columns.names[row]] = one
        return names, hashes

    def _unknown(self) -> npt.NDArray[np.int64]:
        """The rows whose bytes have to be read; the others are in the index as they are."""
        rows = []
        stamps = self.stamps.tolist()
        for row, name in enumerate(self.found.index.where):
            one = self.known.get(name)
            if one is not None and stamps[row] and one.stamp == stamps[row]:
                self._keep(row, one)
            else:
                rows.append(row)
        return self._hashed(np.array(rows, dtype=np.int64))

    def _hashed(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Of rows that may have changed, those whose content the index does not hold."""
        if not self.by_hash:
            return rows
        left = []
        for row in rows.tolist():
            try:
                digest = content_hash(self.found.store.read(row))
            except (SourceError, OSError, MemoryError):
                digest = b""
            one = self.known.get(self.found.index.where[row])
            if one is not None and one.hash == digest and not self.stamps[row]:
                self._keep(row, one)
            elif digest in self.by_hash:
                self._take(row, digest, self._vector(self.by_hash[digest]))
            else:
                left.append(row)
        return np.array(left, dtype=np.int64)

    def _keep(self, row: int, one: _Known) -> None:
        if one.label == self.labels[row]:
            self.kept.add((one.number, one.row))
        else:  # the same picture under another label
            self._take(row, one.hash, self._vector(one))

    def _vector(self, one: _Known) -> npt.NDArray[np.float32]:
        piece = next(piece for piece in self.index.pieces if piece.number == one.number)
        return np.array(self.index.values(piece)[one.row])

    def _take(self, row: int, digest: bytes, vector: npt.NDArray[np.float32]) -> None:
        if digest in self.left_out:
            self.skipped += 1
            return
        self.added += 1
        waiting = self.waiting
        waiting.vectors.append(vector)
        waiting.names.append(self.found.index.where[row])
        waiting.labels.append(self.labels[row])
        waiting.hashes.append(digest)
        waiting.stamps.append(self.stamps[row])

    def _write(self) -> None:
        waiting, self.waiting = self.waiting, _Waiting()
        if waiting.names:
            columns = Columns(
                waiting.names, waiting.labels, np.array(waiting.hashes, "S32"), np.array(waiting.stamps, "S8")
            )
            self.index.add(PICTURES, self.source, np.stack(waiting.vectors), columns)

    def _drop_the_rest(self) -> int:
        """Take out what the source held and holds no more, or holds otherwise."""
        rows: dict[int, list[int]] = {}
        for one in (*self.known.values(), *self.stale):
            if (one.number, one.row) not in self.kept:
                rows.setdefault(one.number, []).append(one.row)
        for number_of, gone in rows.items():
            self.index.remove(number_of, np.array(gone, dtype=np.int64))
        return sum(map(len, rows.values()))


def remove(model: Classifier, place: Path, names: Sequence[str]) -> int:
    """Take pictures out by name: as their source names them, or with the source's path before it; how many went.

    They stay out when their source is searched again. Raises UsageError where one of the names is not there; nothing
    is taken out then.
    """
    index = open_index(model, place)
    if index is None:
        raise UsageError(tr("There is no index in {path} yet: nothing can be taken out of it.", path=place))
    with changing(place):
        index = open_index(model, place) or index
        places: dict[str, list[tuple[int, int]]] = {}
        digests: dict[tuple[int, int], tuple[str, str]] = {}
        for piece in index.of(PICTURES, None):
            columns = index.columns(piece)
            for row in np.flatnonzero(piece.alive).tolist():
                name = columns.names[row]
                digests[piece.number, row] = piece.source, columns.hashes[row].decode()
                for spelled in dict.fromkeys((name, full_name(piece.source, name))):
                    places.setdefault(spelled, []).append((piece.number, row))
        for name in names:
            _require_known(_spelled(name, places), places, place, name)
        wanted = sorted({one for name in names for one in places[_spelled(name, places)]})
        for number_of in dict.fromkeys(one for one, _ in wanted):
            rows = np.array([row for one, row in wanted if one == number_of], dtype=np.int64)
            index.remove(number_of, rows)
        left = index.facts.setdefault(_LEFT_OUT, {})
        for source in dict.fromkeys(digests[one][0] for one in wanted):
            out = {digests[one][1] for one in wanted if digests[one][0] == source}
            left[source] = sorted({*left.get(source, ()), *out})
        index.commit()
    return len(wanted)


def _spelled(name: str, places: dict[str, list[tuple[int, int]]]) -> str:
    """A name as the index has it: as it is, or as the whole path of a file."""
    spelled = (name, os.path.abspath(name), os.path.realpath(name))  # noqa: PTH100
    return next((one for one in spelled if one in places), name)


def _require_known(name: str, names: dict[str, Any], place: Path, asked: str) -> None:
    if name in names:
        return
    near = nearest(asked, list(names))
    if near:
        raise UsageError(
            tr(
                "{name} is not in the index in {path}. Did you mean {near}?",
                name=asked,
                path=place,
                near=near,
            )
        )
    raise UsageError(
        tr(
            "{name} is not in the index in {path}: pictures have the names that a search tells.",
            name=asked,
            path=place,
        )
    )
