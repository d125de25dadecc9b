"""Pictures of a source or of files, as vectors: read block by block, looked at, brought to length 1."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo import platform
from vistazo.classification.classifier import Classifier
from vistazo.classification.similar.features import Seen, look, narrowed, unit
from vistazo.errors import SourceError
from vistazo.pictures import cache, decoding, sources
from vistazo.pictures.crops import cropped
from vistazo.pictures.every import interval
from vistazo.pictures.index import Broken, Index
from vistazo.pictures.stores import Source, reason_of

__all__ = ["Given", "Looked", "given", "labels_of", "look_at", "read", "vectors_of"]

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
_BLOCK = 64 << 20  # bytes of pixels that are decoded before the network looks at them


@dataclass(frozen=True, eq=False)
class Looked:
    """A block of a source. rows: of the pictures that could be decoded. hashes: 'S32', of each. seen: of each."""

    rows: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.bytes_]
    seen: Seen
    broken: tuple[Broken, ...]


@dataclass(frozen=True, eq=False)
class Given:
    """A picture that somebody gave by name. pixels: at the model's size. original: as it was given."""

    name: str
    hash: bytes
    pixels: Pixels
    original: bytes | Pixels


def read(source: Any, *, classes: str | None, every: str | None) -> Source:
    """The pictures of a source, boxes cut out. Raises SourceError, UsageError."""
    names = Path(classes) if classes else None
    return cropped(sources.read_source(source, classes_file=names, every=interval(every)))


def labels_of(index: Index) -> list[str | None]:
    """What each picture is called; of several labels all, parted by '|'; None where that is not known."""
    if index.labels is not None:
        return ["|".join(index.classes[at] for at in np.flatnonzero(row)) or None for row in index.labels]
    return [index.classes[at] if at >= 0 else None for at in index.label.tolist()]


def look_at(model: Classifier, found: Source, rows: npt.NDArray[np.int64]) -> Iterator[Looked]:
    """What the model sees of these rows, a block of them at a time; memory holds one block."""
    height, width, channels = model.size
    at_once = max(1, _BLOCK // (height * width * channels))
    for first in range(0, len(rows), at_once):
        asked = rows[first : first + at_once]
        loaded = cache.load(
            found.store,
            asked,
            height=height,
            width=width,
            channels=channels,
            threads=platform.physical_cores(),
            background=model.background,
            keep=False,
        )
        hashes = loaded.hashes[np.isin(asked, loaded.rows)]
        yield Looked(loaded.rows, hashes, look(model, loaded.pixels), loaded.broken)


def given(model: Classifier, files: Any) -> tuple[list[Given], list[dict[str, str]]]:
    """The pictures of files, folders, archives and arrays, and what cannot be read: [{"file", "reason"}]."""
    height, width, channels = model.size
    several = [files] if isinstance(files, (str, Path, np.ndarray)) else files
    pictures, unreadable = [], []
    for name, content in sources.iterate_files(several):
        if isinstance(content, str):
            unreadable.append({"file": name, "reason": content})
            continue
        try:
            pixels = decoding.decode(
                content, height=height, width=width, channels=channels, background=model.background
            )
        except (SourceError, OSError, MemoryError) as error:
            unreadable.append({"file": name, "reason": reason_of(error)})
            continue
        pictures.append(Given(name, decoding.content_hash(content), pixels, content))
    return pictures, unreadable


def vectors_of(model: Classifier, pictures: list[Given]) -> Floats:
    """(N, D) vectors of length 1."""
    height, width, channels = model.size
    pixels = [one.pixels for one in pictures]
    stacked = np.stack(pixels) if pixels else np.zeros((0, height, width, channels), np.uint8)
    return unit(narrowed(look(model, stacked).features_ND))
