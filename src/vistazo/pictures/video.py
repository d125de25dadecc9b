"""Videos as pictures: a frame every so many seconds, upright, and all frames of a video in one part.

A frame is named as a media fragment, 'clip.mp4#t=2.5' (W3C, Media Fragments URI 1.0, 4.2.1).
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vistazo import platform
from vistazo.errors import MissingExtra, SourceDamaged, SourceError
from vistazo.language import current, tr
from vistazo.pictures.films import Cinema, Film, decoder, film_of, plain
from vistazo.pictures.index import Broken
from vistazo.pictures.stores import Pixels, Source, Stamps, file_bytes, reason_of, state_of

__all__ = [
    "Footage",
    "available",
    "footage",
    "frame_of",
    "frames_of",
    "is_video",
    "with_frames",
]

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"})
LOOKED_AT = 40  # videos whose size is looked at before training
_FRAGMENT = re.compile(r"(?P<file>.*)#t=(?P<at>\d+(?:\.\d+)?)", re.DOTALL)


# ---------------------------------------------------------------- words
def is_video(name: str) -> bool:
    """Whether a file is named like a video."""
    return posixpath.splitext(name)[1].lower() in SUFFIXES


def frame_of(name: str) -> tuple[str, str] | None:
    """(file, seconds) of a frame's name; None for any other name.

    >>> frame_of("cats/a.mp4#t=2.5"), frame_of("cats/a#t=2.png"), frame_of("cats/a.png#t=2")
    (('cats/a.mp4', '2.5'), None, None)
    """
    found = _FRAGMENT.fullmatch(name)
    return (found["file"], found["at"]) if found and is_video(found["file"]) else None


def available() -> bool:
    """Whether videos can be decoded here."""
    try:
        decoder()
    except MissingExtra:
        return False
    return True


@dataclass(frozen=True)
class Footage:
    """Pictures in files below `root`, and frames of videos there ('clip.mp4#t=2')."""

    root: Path
    where: tuple[str, ...]
    cinema: Cinema

    def __len__(self) -> int:
        return len(self.where)

    def name(self, row: int) -> str:
        return self.where[row]

    def read(self, row: int) -> bytes | Pixels:
        frame = frame_of(self.where[row])
        return self.cinema.read(*frame) if frame else file_bytes(self.root / self.where[row])

    def take(self, rows: NDArray[np.int64]) -> Self:
        return replace(self, where=tuple(self.where[row] for row in rows))

    def stamps(self) -> Stamps | None:
        return Stamps.of(map(self._told, self.where))

    def _told(self, name: str) -> tuple[str, int, tuple[int, ...]]:
        file = (frame_of(name) or (name,))[0]
        size, *times = state_of(self.root / file) or (0,)
        return name, size, tuple(times)

    def typical(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows that tell size and colour: the pictures, and two frames of some videos, whose frames are alike.

        A frame anywhere costs as much as all since its key frame: 200 of them would be the training's own reading.
        """
        own: dict[str, list[int]] = {}
        kept: list[int] = []
        for row in rows.tolist():
            frame = frame_of(self.where[row])
            (own.setdefault(frame[0], []) if frame else kept).append(row)
        films = list(own.values())[:: max(1, -(-len(own) // LOOKED_AT))]
        kept += [row for film in films for row in {film[0], film[len(film) // 2]}]
        return np.array(sorted(kept), dtype=np.int64)


# ---------------------------------------------------------------- the ways in
def with_frames(source: Source, root: Path, every: float) -> Source:
    """The same source with a row for each frame in place of one for each video, and a group for each video.

    Videos that cannot be read are named in `broken`. Raises SourceDamaged where nothing is left, MissingExtra.
    """
    decoder()
    index = source.index
    names = [name for name in index.where if is_video(name)]
    films, broken = _films(root, names)
    moments = {name: film.moments(every) for name, film in films.items()}
    rows: list[int] = []
    where: list[str] = []
    group: list[int] = []
    for row, name in enumerate(index.where):
        if not is_video(name):
            rows.append(row)
            where.append(name)
            group.append(-1)
        for at in moments.get(name, ()):
            rows.append(row)
            where.append(f"{name}#t={at}")
            group.append(row)
    if not rows:
        raise SourceDamaged(
            tr(
                "None of the {n} videos in {source} can be read; the first: {name} ({reason}).",
                n=len(names),
                source=root,
                name=broken[0].where,
                reason=broken[0].reason,
            )
        )
    step = plain(Fraction(every))
    note = tr(
        "Videos: {n}, a frame every {every} s: {frames} frames. Those of one video stay in one part.",
        n=len(films),
        every=step.replace(".", ",") if current() == "es" else step,
        frames=sum(map(len, moments.values())),
    )
    taken = index.take(np.array(rows, dtype=np.int64))
    taken = taken.replace(where=tuple(where), group=np.array(group, dtype=np.int64))
    store = Footage(root, taken.where, Cinema(films, moments))
    return Source(taken, store, (*source.notes, note), (*source.broken, *broken))


def footage(root: Path, where: Sequence[str]) -> Footage:
    """The store of names that an index remembers. Raises SourceError where one of their videos is no longer read."""
    asked: dict[str, list[str]] = {}
    for name in where:
        frame = frame_of(name)
        if frame:
            asked.setdefault(frame[0], []).append(frame[1])
    films, broken = _films(root, list(asked))
    if broken:
        raise SourceDamaged(
            tr("{path} cannot be read ({reason}).", path=root / broken[0].where, reason=broken[0].reason)
        )
    moments = {name: {at: films[name].at(Fraction(at)) for at in times} for name, times in asked.items()}
    return Footage(root, tuple(where), Cinema(films, moments))


def frames_of(path: Path, every: float) -> Iterator[tuple[str, Pixels | str]]:
    """(seconds, the frame or why it cannot be read) of one video. Raises SourceError, OSError, MissingExtra."""
    film = film_of(path)
    cinema = Cinema({"": film}, {"": film.moments(every)})
    for at in cinema.moments[""]:
        try:
            yield at, cinema.read("", at)
        except (SourceError, OSError, MemoryError) as error:
            yield at, reason_of(error)


def _films(root: Path, names: Sequence[str]) -> tuple[dict[str, Film], tuple[Broken, ...]]:
    def look(name: str) -> Film | Broken:
        try:
            return film_of(root / name)
        except (SourceError, OSError, MemoryError) as error:
            return Broken(-1, name, reason_of(error))

    with ThreadPoolExecutor(platform.physical_cores()) as pool:
        found = list(zip(names, pool.map(look, names), strict=True))
    films = {name: one for name, one in found if isinstance(one, Film)}
    return films, tuple(one for _, one in found if isinstance(one, Broken))
