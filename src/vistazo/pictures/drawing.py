"""Pictures for reports and files: uint8 pixels become PNG bytes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["Row", "Rows", "enlarge", "grid", "numbers", "png", "sheet", "thumbnail"]

Pixels = npt.NDArray[Any]

SHORTEST = 84  # screen pixels below which a picture cannot be judged by eye
_GAP = 4
_PAPER = 255
_MARGIN, _INK, _PALE, _LINE = 28, (28, 30, 33), (105, 110, 118), (222, 225, 230)
_LABEL = 200  # screen pixels of the column that names the rows
_TITLE, _PLAIN, _SMALL = 21, 14, 12  # heights of letters
_CELL = 44  # screen pixels of a number's square, where the number is not wider


def png(picture_HWC: Pixels) -> bytes:
    """A uint8 picture (height, width, 1 or 3) as a PNG file.

    Raises ValueError for another shape or type.
    """
    from PIL import Image

    _check(picture_HWC)
    plain = picture_HWC[..., 0] if picture_HWC.shape[2] == 1 else picture_HWC
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(plain)).save(file, "PNG")
    return file.getvalue()


def thumbnail(picture_HWC: Pixels, longest: int = 96) -> bytes:
    """A small file for a page that shows many: a PNG of its pixels up to 48 a side, else a JPEG, at most that long."""
    import simplejpeg
    from PIL import Image

    _check(picture_HWC)
    height, width, channels = picture_HWC.shape
    if max(height, width) <= 48:
        return png(picture_HWC)
    scale = min(1.0, longest / max(height, width))
    if scale < 1:
        plain = np.ascontiguousarray(picture_HWC[..., 0] if channels == 1 else picture_HWC)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.asarray(Image.fromarray(plain).resize(size, Image.Resampling.BILINEAR))
        picture_HWC = small.reshape(size[1], size[0], channels)
    kind = "GRAY" if channels == 1 else "RGB"
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(picture_HWC), quality=80, colorspace=kind)
    return encoded


def enlarge(picture_HWC: Pixels, shortest: int = SHORTEST) -> Pixels:
    """The picture with each pixel repeated so that the shorter side has at least `shortest` pixels."""
    _check(picture_HWC)
    times = -(-shortest // min(picture_HWC.shape[:2]))
    return picture_HWC.repeat(times, 0).repeat(times, 1) if times > 1 else picture_HWC


def grid(pictures: Sequence[Pixels], columns: int) -> bytes:
    """Enlarged pictures on one white sheet, row by row, as a PNG file.

    Cells are as large as the largest picture; smaller ones stand in their middle.
    Raises ValueError without pictures or columns.
    """
    if not pictures or columns < 1:
        raise ValueError("a grid needs pictures and at least one column")
    large = [enlarge(picture) for picture in pictures]
    height, width = (max(picture.shape[axis] for picture in large) + _GAP for axis in (0, 1))
    columns = min(columns, len(large))
    rows = -(-len(large) // columns)
    sheet = np.full((rows * height + _GAP, columns * width + _GAP, 3), _PAPER, np.uint8)
    for number, picture in enumerate(large):
        row, column = divmod(number, columns)
        top = row * height + _GAP + (height - _GAP - picture.shape[0]) // 2
        left = column * width + _GAP + (width - _GAP - picture.shape[1]) // 2
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return png(sheet)


def numbers(words: Sequence[Sequence[str]], shades: Sequence[Sequence[int]]) -> Pixels:
    """A table of short words, each on a square of its shade (0 black to 255 white): uint8 (height, width, 3).

    What stands on a dark square is white. Raises ValueError where there are none, or not one shade for each.
    """
    from PIL import Image, ImageDraw

    if not words or not words[0] or [len(row) for row in words] != [len(row) for row in shades]:
        raise ValueError("a table of numbers has one shade for each, and at least one")
    font = _font(_PLAIN)
    side = round(max(_CELL, *(font.getlength(word) + 14 for row in words for word in row)))
    image = Image.new("RGB", (len(words[0]) * side + 1, len(words) * side + 1), _LINE)
    draw = ImageDraw.Draw(image)
    for down, row in enumerate(words):
        for right, word in enumerate(row):
            shade = shades[down][right]
            corner = (right * side + 1, down * side + 1)
            draw.rectangle((*corner, corner[0] + side - 2, corner[1] + side - 2), fill=(shade,) * 3)
            middle = (corner[0] + side / 2 - 1, corner[1] + side / 2 - 1)
            draw.text(middle, word, fill=_INK if shade > 110 else (255,) * 3, font=font, anchor="mm")
    return np.asarray(image)


# ---------------------------------------------------------------- pictures with words
@dataclass(frozen=True)
class Row:
    """A line of pictures of one size. name: what stands beside it; detail: smaller, below the name.

    notes: a few short lines under each picture, or nothing.
    """

    name: str
    pictures: Sequence[Pixels]
    detail: str = ""
    notes: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Rows:
    """Lines of pictures under a heading and the names of their columns; below them a text."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Row]
    text: str = ""


def sheet(title: str, subtitle: str, parts: Sequence[Rows]) -> bytes:
    """Rows of pictures with names, under a title, as a PNG file. The first column stands apart.

    All pictures have one size; they are enlarged by a whole factor.
    Raises ValueError where there are none.
    """
    from PIL import Image

    if not any(row.pictures for part in parts for row in part.rows):
        raise ValueError("a sheet needs pictures")
    paper = _Paper([len(part.columns) for part in parts], parts[0].rows[0].pictures[0])
    paper.write(title, _TITLE, _INK)
    paper.write(subtitle, _PLAIN, _PALE)
    for part in parts:
        paper.part(part)
    file = io.BytesIO()
    Image.fromarray(paper.pixels()).save(file, "PNG")
    return file.getvalue()


class _Paper:
    """A white sheet as wide as its longest row, written on from the top; it grows as it is written on."""

    def __init__(self, columns: Sequence[int], example_HWC: Pixels) -> None:
        from PIL import Image, ImageDraw

        self._height, self._width = (int(side) for side in enlarge(example_HWC).shape[:2])
        self._apart = 3 * _GAP
        self._wide = 2 * _MARGIN + _LABEL + max(columns) * (self._width + _GAP) + self._apart
        self._image = Image.new("RGB", (self._wide, 1), "white")
        self._draw = ImageDraw.Draw(self._image)
        self._at = _MARGIN

    def pixels(self) -> Pixels:
        self._grow(_MARGIN)
        return np.asarray(self._image)[: self._at + _MARGIN]

    def write(self, text: str, size: int, colour: tuple[int, int, int]) -> None:
        """A text over the whole width, broken between words."""
        for line in _broken(text, _font(size), self._wide - 2 * _MARGIN):
            self._grow(2 * size)
            self._draw.text((_MARGIN, self._at), line, fill=colour, font=_font(size))
            self._at += round(1.45 * size)
        self._at += size // 3

    def part(self, part: Rows) -> None:
        self._grow(100)
        self._at += _MARGIN // 2
        self._draw.line((_MARGIN, self._at, self._wide - _MARGIN, self._at), fill=_LINE)
        self._at += _MARGIN // 2
        self.write(part.heading, _PLAIN, _INK)
        for column, name in enumerate(part.columns):
            middle = self._left(column) + self._width / 2
            self._draw.text((middle, self._at), name, fill=_PALE, font=_font(_SMALL), anchor="ma")
        self._at += round(1.7 * _SMALL)
        for row in part.rows:
            self._row(row)
        if part.text:
            self._at += _GAP
            self.write(part.text, _PLAIN, _INK)

    def _row(self, row: Row) -> None:
        from PIL import Image

        noted = max((len(lines) for lines in row.notes), default=0)
        names = _broken(row.name, _font(_PLAIN), _LABEL - 12)[:2]
        details = _broken(row.detail, _font(_SMALL), _LABEL - 12)[:4]
        words = round(1.3 * (len(names) * _PLAIN + len(details) * _SMALL))
        down = max(self._height, words)
        self._grow(down + noted * 2 * _SMALL + 2 * _GAP)
        top = self._at + (down - words) // 2
        for lines, size, colour in ((names, _PLAIN, _INK), (details, _SMALL, _PALE)):
            for line in lines:
                self._draw.text((_MARGIN, top), line, fill=colour, font=_font(size))
                top += round(1.3 * size)
        for column, picture in enumerate(row.pictures):
            large = enlarge(picture)
            plain = np.ascontiguousarray(large[..., 0] if large.shape[2] == 1 else large)
            self._image.paste(Image.fromarray(plain), (self._left(column), self._at))
        self._at += down + (_GAP if not noted else 0)
        for column, note in enumerate(row.notes):
            for at, line in enumerate(note):
                where = (self._left(column) + self._width / 2, self._at + 2 + round(1.25 * at * _SMALL))
                short = _broken(line, _font(_SMALL), self._width, whole=True)[0]
                self._draw.text(where, short, fill=_PALE, font=_font(_SMALL), anchor="ma")
        self._at += round(1.25 * noted * _SMALL) + (3 * _GAP if noted else 0)

    def _left(self, column: int) -> int:
        return _MARGIN + _LABEL + column * (self._width + _GAP) + (self._apart if column else 0)

    def _grow(self, more: int) -> None:
        from PIL import Image, ImageDraw

        needed = self._at + more
        if needed > self._image.height:
            larger = Image.new("RGB", (self._wide, 2 * needed), "white")
            larger.paste(self._image)
            self._image, self._draw = larger, ImageDraw.Draw(larger)


@cache
def _font(size: int) -> "FreeTypeFont":
    """Our own letters: those that come with Pillow have no accents, and not every machine has others."""
    from PIL import ImageFont

    return ImageFont.truetype(Path(__file__).parent / "letters" / "DejaVuSans.ttf", size)


def _broken(text: str, font: "FreeTypeFont", width: int, *, whole: bool = False) -> list[str]:
    """Lines no wider than that, broken between words; a word that is too long, or a `whole` text, is cut with '…'."""
    lines: list[str] = []
    for word in [text] if whole else text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        short = word
        while font.getlength(short) > width and len(short) > 1:
            short = short.removesuffix("…")[:-1] + "…"
        lines.append(short)
    return lines


def _check(picture_HWC: Pixels) -> None:
    shape = picture_HWC.shape
    if picture_HWC.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
        raise ValueError(f"a picture is uint8 (height, width, 1 or 3), not {picture_HWC.dtype} {shape}")
