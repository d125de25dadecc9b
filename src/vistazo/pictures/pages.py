"""A page with its PNG files in a folder, and numbers as shades of grey: what lessons and looks into a network share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.bundle import disk_sentence
from vistazo.engine import reports
from vistazo.errors import DiskError
from vistazo.pictures import drawing

__all__ = ["Folder", "grey", "signed", "tiles"]

Numbers = npt.NDArray[Any]
_LARGE = 220  # screen pixels that the shorter side of a picture has at least, unless that makes it too long
_TILE, _LONGEST_TILE, _SHEET = (
    56,
    128,
    1500,
)  # screen pixels: of a tile's side, least and most; of a sheet's width
_GAP = 3


@dataclass
class Folder:
    """A folder that a page is written to. files: the names of its pictures so far."""

    path: Path
    page_name: str
    files: list[str] = field(default_factory=list)

    def picture(self, name: str, pixels: Numbers, *caption: str, enlarged: bool = True) -> reports.Picture:
        """Write uint8 pixels (height, width[, 1 or 3]) as NAME.png, and give them with a caption for the page.

        Raises DiskError.
        """
        shaped = pixels[:, :, None] if pixels.ndim == 2 else pixels
        large = drawing.enlarge(shaped, _wanted(shaped)) if enlarged else shaped
        return self.add(name, drawing.png(np.ascontiguousarray(large)), *caption)

    def add(self, name: str, file: bytes, *caption: str) -> reports.Picture:
        """Write a PNG file's bytes as NAME.png, and give them with a caption for the page. Raises DiskError."""
        self._write(f"{name}.png", file)
        self.files.append(f"{name}.png")
        return reports.Picture(file, [line for line in caption if line])

    def page(self, report: reports.Report) -> Path:
        """Write the page; its path. Raises DiskError."""
        self._write(self.page_name, reports.to_html(report).encode("utf-8"))
        return self.path / self.page_name

    def told(self) -> list[str]:
        """The paths of the pictures."""
        return [str(self.path / name) for name in self.files]

    def _write(self, name: str, content: bytes) -> None:
        where = self.path / name
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            where.write_bytes(content)
        except OSError as error:
            raise DiskError(disk_sentence(where, error)) from error


def _wanted(pixels: Numbers) -> int:
    """The shorter side that a picture is enlarged to: its own where the longer one would leave the page."""
    shorter, longer = sorted(pixels.shape[:2])
    return _LARGE if longer * -(-_LARGE // shorter) <= 2 * _LARGE else shorter


def grey(values: Numbers) -> npt.NDArray[np.uint8]:
    """Values as shades: below 0 black, above 255 white, rounded between."""
    shades: npt.NDArray[np.uint8] = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return shades


def signed(values: Numbers) -> npt.NDArray[np.uint8]:
    """Values around zero as shades: zero is mid-grey, the one furthest from it black or white.

    >>> signed(np.array([[-8, 0, 4]])).tolist()
    [[0, 128, 191]]
    """
    most = float(np.abs(values).max(initial=0)) or 1.0
    return grey(127.5 + 127.5 * values / most)


def tiles(maps_CHW: Numbers) -> npt.NDArray[np.uint8]:
    """Maps side by side on one white sheet, up to 16 in a row, each scaled by itself: uint8 (height, width).

    Black is 0 and white the largest number; where a map has negative numbers, mid-grey is 0. Maps of more than 128
    numbers a side are shown smaller, by the mean of blocks.
    """
    step = -(-max(maps_CHW.shape[1:]) // _LONGEST_TILE)
    small = _blocks(maps_CHW.astype(np.float64), step)
    count, height, width = small.shape
    times = max(1, -(-_TILE // min(height, width)))
    if max(height, width) * times > 4 * _TILE:  # long and low
        times = max(1, 4 * _TILE // max(height, width))
    columns = max(1, min(16, count, _SHEET // (width * times + _GAP)))
    rows = -(-count // columns)
    sheet = np.full(
        (rows * (height * times + _GAP) + _GAP, columns * (width * times + _GAP) + _GAP), 255, np.uint8
    )
    for at, one in enumerate(small):
        row, column = divmod(at, columns)
        top, left = row * (height * times + _GAP) + _GAP, column * (width * times + _GAP) + _GAP
        shades = signed(one) if one.min() < 0 else grey(255 * one / (one.max() or 1.0))
        sheet[top : top + height * times, left : left + width * times] = shades.repeat(times, 0).repeat(
            times, 1
        )
    return sheet


def _blocks(maps_CHW: Numbers, step: int) -> Numbers:
    """Maps with the mean of every step × step numbers; what fills no block is left out."""
    if step == 1:
        return maps_CHW
    height, width = (max(1, side // step) for side in maps_CHW.shape[1:])
    cut = maps_CHW[:, : height * step, : width * step]
    down, across = (min(step, side) for side in cut.shape[1:])
    means: Numbers = cut.reshape(len(cut), height, down, width, across).mean((2, 4))
    return means
