"""Quick, Draw! strokes (.ndjson and .bin): drawings kept as lines, and rendered at the size that is wanted.

Source: https://github.com/googlecreativelab/quickdraw-dataset, 'The raw moderated dataset' and 'Binary files'.

The rule of rendering is that of the published 28 x 28 bitmaps (issue 19 of that repository). A drawing lies in a
square of 256 units; its bounding box from 0 to the largest coordinate is centred in it; lines are 16 units wide with
round ends and joints; 24 units are added on every side. So a picture of any size is 304 units wide. White on black,
antialiased. Coordinates below 0 or above 255 (the raw files) are first shifted to 0 and shrunk to 255.
"""

import json
import re
import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.language import tr
from vistazo.pictures.index import UNASSIGNED, Broken, indexed, part_named
from vistazo.pictures.spans import Spans
from vistazo.pictures.stores import Pixels, Source, readable, reason_of
from vistazo.pictures.trees import part_of, stem

__all__ = ["DRAWING", "SIDE", "drawing", "is_strokes", "read_strokes", "render"]

DRAWING = b"\x89strokes\n"  # what the bytes of a drawing begin with, wherever it came from
SIDE = 28  # of the published bitmaps, and of a picture whose size nobody chose
MOST_LINE = 4 << 20  # bytes of a drawing
MOST_POINTS = 50_000
MOST_SIDE = 4096
HOPELESS = 1000  # lines without a drawing among them

_UNITS, _PADDING, _WIDTH = 256, 24, 16
_FINE = 448  # pixels a drawing is rendered with at least, before it is reduced
_WORD = re.compile(rb'\s*\{\s*"word"\s*:\s*("(?:[^"\\]|\\.){0,1000}")')
_DOWNLOADED = re.compile(r"^full(?:_|%2F)(?:simplified|binary|raw)(?:_|%2F)", re.IGNORECASE)
_HEADER = struct.Struct("<Q2sBIH")  # key_id, country, recognised, time, strokes


# ---------------------------------------------------------------- one drawing
def drawing(strokes: Iterable[Sequence[Any]]) -> bytes:
    """The bytes of a drawing: DRAWING, then for each stroke its number of points, its x and its y (little endian).

    strokes: of each the x and the y of its points, and maybe their times, which are left out.
    Raises SourceDamaged where they are no such lists of finite numbers, or far too many.
    """
    pieces, points = [DRAWING], 0
    try:
        for stroke in strokes:
            x, y = (np.asarray(axis, dtype="<f4") for axis in stroke[:2])
            if x.ndim != 1 or x.shape != y.shape or not len(x) or not np.isfinite([x, y]).all():
                raise ValueError
            points += len(x)
            pieces += (struct.pack("<I", len(x)), x.tobytes(), y.tobytes())
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise SourceDamaged(tr("it is no drawing")) from error
    if not points:
        raise SourceDamaged(tr("the drawing has no strokes"))
    if points > MOST_POINTS:
        raise SourceDamaged(tr("the drawing has too many points ({n})", n=points))
    return b"".join(pieces)


def _points(data: bytes) -> list[NDArray[np.float32]]:
    """(points, 2) of each stroke of a `drawing`. Raises SourceDamaged."""
    at, strokes = len(DRAWING), []
    while at < len(data):
        count = int.from_bytes(data[at : at + 4], "little")
        piece = data[at + 4 : at + 4 + 8 * min(count, MOST_POINTS)]
        if not count or len(piece) != 8 * count:
            raise SourceDamaged(tr("it is no drawing"))
        axes = np.frombuffer(piece, dtype="<f4")
        if not np.isfinite(axes).all():
            raise SourceDamaged(tr("it is no drawing"))
        strokes.append(axes.reshape(2, count).T)
        at += 4 + 8 * count
    if not strokes or len(data) > 12 * MOST_POINTS + len(DRAWING):
        raise SourceDamaged(tr("it is no drawing"))
    return strokes


def render(data: bytes, side: int) -> Pixels:
    """A `drawing` as (side, side) uint8, 255 on 0, by the rule at the top of this module.

    Within 2 of 255 of the published bitmaps on average (a mean correlation of 0.998), and 0.2 ms at 28 pixels.
    Raises SourceDamaged where the bytes are no drawing.
    """
    from PIL import Image, ImageDraw

    strokes = _points(data)
    every = np.concatenate(strokes).astype(np.float64)
    least, most = every.min(axis=0), every.max(axis=0)
    moved, shrunk = np.zeros(2), 1.0
    if least.min() < 0 or most.max() > _UNITS - 1:
        shrunk = (_UNITS - 1) / max(float((most - least).max()), 1e-9)
        moved, shrunk = least, min(shrunk, 1.0)
    margin = (_UNITS - (most - moved) * shrunk) / 2 + _PADDING
    side = min(side, MOST_SIDE)
    fine = min(16, max(4, round(_FINE / side)))
    scale = fine * side / (_UNITS + 2 * _PADDING)
    image = Image.new("L", (fine * side, fine * side))
    pen = ImageDraw.Draw(image)
    width = max(1, round(_WIDTH * scale))
    radius = max(0.0, (_WIDTH * scale - 1) / 2)
    for stroke in strokes:
        corners = [(x, y) for x, y in (((stroke - moved) * shrunk + margin) * scale).tolist()]
        pen.line(corners, fill=255, width=width)
        for x, y in dict.fromkeys(corners):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image.reduce(fine))


# ---------------------------------------------------------------- files
def is_strokes(name: str) -> bool:
    """Whether a file is named like one of strokes; a .bin may be of CIFAR too."""
    return name.lower().endswith((".ndjson", ".bin"))


def read_strokes(path: Path, listed: Sequence[str]) -> Source:
    """The drawings of a folder's files, or of the file `path` itself where `listed` is empty.

    A drawing's class is its `word`, and in a .bin file, or without a word, the name of the file. Files train.ndjson and
    test.ndjson, or folders so called, are parts. Where there are both, .ndjson is read and .bin is not.
    No drawing is kept in memory: 24 bytes each say where it is.
    Raises SourceDamaged, TooFewExamples.
    """
    root = path.resolve() if listed else path.resolve().parent
    files = [name for name in listed if is_strokes(name)] or [path.name]
    notes: list[str] = []
    texts = [name for name in files if name.lower().endswith(".ndjson")]
    if texts and len(texts) < len(files):
        notes.append(
            tr("Files of strokes twice: .ndjson is read, {n} files .bin are not.", n=len(files) - len(texts))
        )
        files = texts
    parts = _parts(files)
    where: list[str] = []
    codes, place = array("q"), array("q")
    split: list[str] = []
    broken: list[Broken] = []
    classes: dict[str, int] = {}
    for number, name in enumerate(files):
        own = _DOWNLOADED.sub("", stem(name))
        count = 0
        with readable(root / name), open(root / name, "rb") as file:
            scan = _scan_lines(file, root / name) if name in texts else _scan_binary(file, root / name)
            for word, first, length in scan:
                if isinstance(word, SourceDamaged):
                    broken.append(Broken(-1, f"{name}#{count}", reason_of(word)))
                else:
                    where.append(f"{name}#{count}")
                    place.extend((number, first, length))
                    codes.append(classes.setdefault(word or own, len(classes)))
                count += 1
        split += [parts[name]] * (len(where) - len(split))
    if not where:
        raise TooFewExamples(tr("{path} has no drawings.", path=path))
    index, more = indexed(
        where,
        np.frombuffer(codes, dtype=np.int64),
        list(classes),
        np.array(split, dtype="U10"),
        source=str(path.resolve()),
        kind="strokes",
    )
    places = np.frombuffer(place, dtype=np.int64).reshape(-1, 3)
    store = Spans(index.where, [root / name for name in files], places, _converted)
    return Source(index, store, (*notes, *more), tuple(broken))


def _parts(files: Sequence[str]) -> dict[str, str]:
    """The part of each file: its name's where all are named after parts, else its folder's. 'train' is a word too."""
    named = {name: part_named(stem(name)) for name in files}
    if len(files) > 1 and all(named.values()):
        return {name: part or UNASSIGNED for name, part in named.items()}
    return {name: part_of(name) for name in files}


Scanned = Iterator[tuple[str | SourceDamaged, int, int]]


def _scan_lines(file: IO[bytes], path: Path) -> Scanned:
    """(word or what is wrong, first byte, length) of each line; the drawing itself is not looked at."""
    at, good, words = 0, 0, dict[bytes, str]()
    for count in range(1 << 62):
        line = file.readline(MOST_LINE)
        if not line:
            return
        first, at = at, at + len(line)
        if line.isspace():
            continue
        word = _word(line, words)
        good += isinstance(word, str)
        if not good and count >= HOPELESS:
            raise SourceDamaged(tr("{path} holds no Quick, Draw! strokes.", path=path))
        yield word, first, len(line)


def _word(line: bytes, known: dict[bytes, str]) -> str | SourceDamaged:
    """The word of a line of .ndjson; '' where it has none."""
    if b'"drawing"' not in line:
        return SourceDamaged(tr("it is no drawing"))
    match = _WORD.match(line)
    try:
        if match is None:
            word = json.loads(line).get("word", "")
        elif (word := known.get(match[1])) is None:
            word = known.setdefault(match[1], json.loads(match[1]))
        return str(word)
    except (ValueError, AttributeError, RecursionError):
        return SourceDamaged(tr("it is no drawing"))


def _scan_binary(file: IO[bytes], path: Path) -> Scanned:
    """('', first byte, length) of each drawing. Raises SourceDamaged where the bytes are of no drawing."""
    file.seek(0, 2)
    end = file.tell()
    file.seek(0)
    first = 0
    while first < end:
        header = file.read(_HEADER.size)
        good = len(header) == _HEADER.size
        if good:
            _, country, recognised, _, strokes = _HEADER.unpack(header)
            good = recognised < 2 and all(letter == 0 or 32 <= letter < 127 for letter in country)
            for _ in range(strokes if good else 0):
                count = file.read(2)
                file.seek(2 * int.from_bytes(count, "little"), 1)
                good = len(count) == 2
        after = file.tell()
        if not good or after > end or after - first > MOST_LINE:
            raise SourceDamaged(
                tr(
                    "{path} is damaged or cut short ({reason}). Get it again.",
                    path=path,
                    reason=tr("no Quick, Draw! drawing begins at byte {at}", at=first),
                )
            )
        yield "", first, after - first
        first = after


def _converted(path: Path, data: bytes) -> bytes:
    """The `drawing` in a line of .ndjson or a record of .bin."""
    if path.suffix.lower() == ".ndjson":
        try:
            return drawing(json.loads(data)["drawing"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SourceDamaged(tr("it is no drawing")) from error
    return drawing(_records(data))


def _records(data: bytes) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    at = _HEADER.size
    while at < len(data):
        count = int.from_bytes(data[at : at + 2], "little")
        points = np.frombuffer(data, np.uint8, 2 * count, at + 2).reshape(2, count)
        yield points[0], points[1]
        at += 2 + 2 * count
