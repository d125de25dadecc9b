"""The pictures of a source as a model sees them: found, decoded once, those it was trained on left out.

Shape suffix: N pictures.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from vistazo import platform
from vistazo.engine.figures import one_hot
from vistazo.errors import ConfigError, SourceError, TooFewExamples
from vistazo.language import tr
from vistazo.pictures import cache, decoding, sources
from vistazo.pictures.crops import cropped
from vistazo.pictures.every import interval
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import Broken, Index
from vistazo.pictures.stores import Arrays, Pixels, Store, reason_of
from vistazo.pictures.strokes import DRAWING

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier
    from vistazo.classification.exported import Exported

    Model: TypeAlias = Classifier | Exported

__all__ = ["Found", "Unlabelled", "at_size", "find", "loaded", "look_through", "truth"]

Ints = npt.NDArray[np.int64]
KEPT = 0.25  # of the free memory: more pixels than that go through the cache on disk, which is mapped
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Found:
    """The pictures of a part that were not trained on.

    rows_N: in the index; pixels: theirs, at the model's size. area_N: pixels of the originals, NaN where they were not
    read now. part: its name. trained_on: how many were left out; broken: what could not be read. notes: of the source.
    """

    index: Index
    store: Store
    rows_N: Ints
    pixels: PictureArray
    area_N: npt.NDArray[np.float64]
    part: str
    trained_on: int
    broken: Sequence[Broken]
    notes: Sequence[str]


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """What a model says of pictures that nobody labelled. least_sure: the rows of the lowest confidence, and pixels."""

    where: tuple[str, ...]
    probabilities_NK: npt.NDArray[np.float64]
    least_sure: Sequence[tuple[int, Pixels]]
    broken: Sequence[Broken]


class _Measured:
    """A store that remembers how large the pictures are that pass through it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.area = np.full(len(store), np.nan)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __len__(self) -> int:
        return len(self._store)

    def read(self, row: int) -> bytes | Pixels:
        data = self._store.read(row)
        self.area[row] = _area(data)
        return data


def _area(data: bytes | Pixels) -> float:
    """Pixels of a whole picture from the first bytes of its file, NaN where they do not say."""
    if isinstance(data, np.ndarray):
        return float(data.shape[0] * data.shape[1])
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        return float(int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big"))
    if data.startswith(b"\xff\xd8\xff"):
        import simplejpeg

        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            return float("nan")
        return float(height * width)
    if data.startswith(DRAWING):
        return float("nan")
    try:
        width, height, _ = decoding.stored_size(data)
    except SourceError:
        return float("nan")
    return float(width * height)


def find(model: "Model", source: Any, *, split: str | None, classes: str | None, every: str | None) -> Found:
    """The pictures of a source's part: its test part where it has one, else all of them.

    Raises SourceError, WithoutLabels where nothing says what any picture shows, ConfigError where a picture has several
    labels and the model answers with one.
    """
    names = Path(classes) if classes else None
    found = cropped(sources.read_source(source, classes_file=names, every=interval(every)))
    index = found.index
    if index.labels is not None and not model.several:
        raise ConfigError(
            tr(
                "{source} gives a picture several labels, and the model answers with one. Measure it on "
                "pictures of one label each.",
                source=index.source,
            )
        )
    part = split or ("test" if len(index.rows("test")) else "all")
    rows = np.arange(len(index)) if part == "all" else index.rows(part)
    if not len(rows):
        raise TooFewExamples(
            tr(
                "{source} names no pictures as part '{part}'. Leave out --split to measure all that the model was not "
                "trained on.",
                source=index.source,
                part=tr(part),
            )
        )
    store: Any = found.store if isinstance(found.store, Arrays) else _Measured(found.store)
    read = loaded(model, store, rows)
    if not len(read.rows):
        raise TooFewExamples(
            tr(
                "No picture of {source} could be read; the first of them, {name}: {reason}",
                source=index.source,
                name=read.broken[0].where,
                reason=read.broken[0].reason,
            )
        )
    hashes = read.hashes[np.isin(rows, read.rows)]
    seen = np.isin(hashes, model.trained_on())
    if seen.all():
        raise TooFewExamples(
            tr(
                "{source} has no labelled pictures to evaluate on in part '{part}' ({seen} were trained on).",
                source=index.source,
                part=tr(part),
                seen=int(seen.sum()),
            )
        )
    kept = read.rows[~seen]
    area = store.area[kept] if isinstance(store, _Measured) else np.full(len(kept), np.nan)
    return Found(
        index=index.replace(hash=_hashes(index, read.rows, hashes)),
        store=found.store,
        rows_N=kept,
        pixels=read.pixels.take(np.flatnonzero(~seen)),
        area_N=area,
        part=part,
        trained_on=int(seen.sum()),
        broken=(*found.broken, *read.broken),
        notes=found.notes,
    )


def at_size(model: "Classifier", found: Found, rows_N: Ints) -> tuple[Ints, PictureArray]:
    """The pictures of rows as another model takes them, and the rows that could be decoded so."""
    read = loaded(model, found.store, rows_N)
    return read.rows, read.pixels


def loaded(model: "Model", store: Any, rows: Ints) -> decoding.Loaded:
    """The pictures of rows at the model's size, by way of the cache on disk where they take much memory."""
    height, width, channels = model.size
    needed = len(rows) * height * width * channels
    return cache.load(
        store,
        rows,
        height=height,
        width=width,
        channels=channels,
        threads=platform.physical_cores(),
        background=model.background,
        keep=needed > KEPT * platform.free_memory(),
    )


def _hashes(index: Index, rows: Ints, hashes: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bytes_]:
    column = index.hash.copy()
    column[rows] = hashes
    return column


def truth(model: "Model", index: Index, rows_N: Ints) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The right answers in this model's order of classes, and which rows have one that the model can give.

    (N,) int64, -1 where there is none; or (N, K) bool of several labels, all false where there is none.
    """
    place = {name: at for at, name in enumerate(model.classes)}
    translate = np.array([place.get(name, -1) for name in index.classes] + [-1], dtype=np.int64)
    label = translate[index.label[rows_N]]  # unlabelled is -1: the last
    if not model.several:
        return label, label >= 0
    if index.labels is None:  # one label a picture is that label and no other
        known = label >= 0
        found = np.zeros((len(rows_N), len(model.classes)), dtype=np.bool_)
        found[known] = one_hot(label[known], len(model.classes)).astype(np.bool_)
        return found, known
    has = index.labels[rows_N]
    ours = translate[:-1] >= 0
    found = np.zeros((len(rows_N), len(model.classes)), dtype=np.bool_)
    found[:, translate[:-1][ours]] = has[:, ours]
    return found, np.asarray(~has[:, ~ours].any(1), dtype=np.bool_)


# ---------------------------------------------------------------- without labels
def look_through(model: "Classifier", files: Sequence[Any], *, every: str | None, most: int) -> Unlabelled:
    """The answers to pictures that have no labels, read one after the other; `most` of the least sure are kept.

    Only probabilities stay in memory. files: as `predict` takes them.
    """
    where: list[str] = []
    pieces: list[npt.NDArray[np.float64]] = []
    broken: list[Broken] = []
    least: list[tuple[float, int, Pixels]] = []
    for names, pixels in _chunks(model, files, every, broken):
        probabilities = model.probabilities(pixels)
        pieces.append(probabilities)
        for at, confidence in enumerate(probabilities.max(1).tolist()):
            item = (-confidence, -(len(where) + at), pixels[at])
            if len(least) < most:
                heapq.heappush(least, item)
            elif item[:2] > least[0][:2]:
                heapq.heapreplace(least, item)
        where += names
    shown = sorted(least, key=lambda one: (-one[0], -one[1]))
    return Unlabelled(
        tuple(where),
        np.concatenate(pieces) if pieces else np.zeros((0, len(model.classes))),
        [(-row, pixels) for _, row, pixels in shown],
        broken,
    )


def _chunks(
    model: "Classifier", files: Sequence[Any], every: str | None, broken: list[Broken]
) -> Iterator[tuple[list[str], Pixels]]:
    height, width, channels = model.size
    names: list[str] = []
    waiting: list[Pixels] = []
    for name, given in sources.iterate_files(files, every=interval(every)):
        if isinstance(given, str):
            broken.append(Broken(-1, name, given))
            continue
        try:
            waiting.append(
                decoding.decode(
                    given, height=height, width=width, channels=channels, background=model.background
                )
            )
        except (SourceError, OSError, MemoryError) as error:
            broken.append(Broken(-1, name, reason_of(error)))
            continue
        names.append(name)
        if len(waiting) == _AT_ONCE:
            yield names, np.stack(waiting)
            names, waiting = [], []
    if waiting:
        yield names, np.stack(waiting)
