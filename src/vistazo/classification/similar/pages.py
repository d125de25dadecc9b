"""Pages of `vistazo search`: a picture and its neighbours side by side, in one HTML file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.classification.similar.indexing import full_name
from vistazo.classification.similar.reading import Given, read
from vistazo.engine.reports import Picture, Pictures, Report, Section, Text, number, to_html
from vistazo.errors import DiskError, VistazoError
from vistazo.language import tr
from vistazo.pictures import decoding, drawing
from vistazo.pictures.stores import Source

__all__ = ["Hit", "small", "write_file", "write_neighbours"]

Pixels = npt.NDArray[np.uint8]
SIDE = 160  # pixels of a picture on the page, on its longer side
MOST = 60  # pictures that are asked about and shown: 10 neighbours each are 10 MB of photographs
PAGE = "search.html"


@dataclass(frozen=True)
class Hit:
    """A neighbour: the source it is of, its name there, its class or None, 1 minus the cosine."""

    source: str
    name: str
    label: str | None
    distance: float

    @property
    def file(self) -> str:
        """How it is told: its path."""
        return full_name(self.source, self.name)


def write_neighbours(out: Path, pictures: Sequence[Given], hits: Sequence[Sequence[Hit]]) -> Path:
    """Write search.html into the folder `out`; its path. Raises DiskError."""
    opened = _Opened()
    sections = []
    for picture, several in list(zip(pictures, hits, strict=True))[:MOST]:
        shown = [_shown(small(picture.original, SIDE), [tr("asked for"), picture.name])]
        for one in several:
            words = [number(one.distance, 3), *([one.label] if one.label else []), one.name]
            shown.append(_shown(opened.picture(one), words))
        sections.append(Section(picture.name, [Pictures(shown)]))
    if len(pictures) > MOST:
        rest = tr(
            "{n} more pictures were asked about; --json tells their neighbours.", n=len(pictures) - MOST
        )
        sections.append(Section("", [Text(rest)]))
    subtitle = tr(
        "The nearest first. The number is the distance: 1 minus the cosine between what the network sees of "
        "two pictures."
    )
    page = to_html(Report(tr("Similar pictures"), sections, subtitle))
    return write_file(out, PAGE, page.encode("utf-8", "replace"))


def write_file(out: Path, name: str, content: bytes) -> Path:
    """Write a file of a folder, which is made where it is not there; its path. Raises DiskError."""
    path = out / name
    try:
        out.mkdir(parents=True, exist_ok=True)
        platform.replace_file(path, [content])
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error
    return path


def small(data: bytes | Pixels, side: int) -> Pixels | None:
    """The whole picture in colour, its longer side at most `side` pixels; None where it cannot be decoded."""
    try:
        height, width = decoding.dimensions(data)
        scale = min(1.0, side / max(height, width))
        return decoding.decode(
            data, height=max(1, round(height * scale)), width=max(1, round(width * scale)), channels=3
        )
    except (VistazoError, OSError, MemoryError):
        return None


def _shown(pixels: Pixels | None, words: Sequence[str]) -> Picture:
    if pixels is None:
        pixels = np.full((16, 16, 3), 128, np.uint8)
        words = [*words, tr("cannot be shown")]
    return Picture(drawing.png(drawing.enlarge(np.ascontiguousarray(pixels))), words)


class _Opened:
    """The sources that neighbours are of, each opened once."""

    def __init__(self) -> None:
        self._sources: dict[str, tuple[Source, dict[str, int]] | None] = {}

    def picture(self, hit: Hit) -> Pixels | None:
        if hit.source not in self._sources:
            self._sources[hit.source] = self._open(hit.source)
        opened = self._sources[hit.source]
        if opened is None or hit.name not in opened[1]:
            return None
        try:
            data: Any = opened[0].store.read(opened[1][hit.name])
        except (VistazoError, OSError, MemoryError):
            return None
        return small(data, SIDE)

    def _open(self, source: str) -> tuple[Source, dict[str, int]] | None:
        try:
            found = read(source, classes=None, every=None)
        except (VistazoError, OSError):  # it is elsewhere by now, or was arrays
            return None
        return found, {name: row for row, name in enumerate(found.index.where)}
