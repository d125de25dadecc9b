"""The lesson on pooling: of every 2 × 2 pixels one number stays, the largest or the mean; one window is worked out."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.engine.reports import Block, Facts, Pictures, Report, Section, Text, percent
from vistazo.language import tr
from vistazo.museum import pools
from vistazo.museum.photo import Photo, read_photo
from vistazo.museum.pools import Pooled
from vistazo.museum.squares import PAGE, shown_number, squares
from vistazo.pictures.pages import Folder, grey

__all__ = ["visit"]

Numbers = npt.NDArray[Any]


def visit(
    file: str | Path | None, out: Path, *, size: int | None, stride: int | None, padding: str | None
) -> dict[str, Any]:
    """Write the lesson's page and pictures to a folder, and tell what it computed.

    size, stride, padding: None for 2, the size, and 'valid', as Keras' MaxPooling2D has them.
    Raises ConfigError, SourceError, DiskError.
    """
    side = 2 if size is None else size
    steps = side if stride is None else stride
    around = pools.read_pooling_padding(padding or "valid")
    photo = read_photo(file)
    pooled = pools.pool(photo.pixels_HW, size=side, stride=steps, padding=around)
    window, place = _window(photo, pooled, side, steps, around)
    folder = Folder(out, PAGE)
    page = folder.page(_report(photo, pooled, window, place, folder, side, steps, around))
    row, column = place
    return {
        "name": "pooling",
        "file": photo.name,
        "size": list(photo.pixels_HW.shape),
        "shrunk_from": photo.shrunk_from and list(photo.shrunk_from),
        "window": side,
        "stride": steps,
        "padding": around,
        "output": list(pooled.largest_PQ.shape),
        "worked": {
            "row": row + 1,
            "column": column + 1,
            "pixels": window.tolist(),
            "largest": int(pooled.largest_PQ[place]),
            "sum": int(pooled.sum_PQ[place]),
            "mean": float(pooled.means[place]),
        },
        "page": str(page),
        "files": folder.told(),
        "lines": [*photo.notes, _shrunk(photo, pooled)],
    }


def _window(
    photo: Photo, pooled: Pooled, size: int, stride: int, padding: str
) -> tuple[Numbers, tuple[int, int]]:
    """The window whose largest pixel and mean lie furthest apart: there the two differ most."""
    apart = pooled.largest_PQ - pooled.means
    row, column = (int(one) for one in np.unravel_index(int(apart.argmax()), apart.shape))
    (top, bottom), (left, right) = (
        pools.windows(side, size=size, stride=stride, padding=padding)[at]
        for side, at in zip(photo.pixels_HW.shape, (row, column), strict=True)
    )
    return photo.pixels_HW[top:bottom, left:right].astype(np.int64), (row, column)


def _shrunk(photo: Photo, pooled: Pooled) -> str:
    (height, width), (rows, columns) = photo.pixels_HW.shape, pooled.largest_PQ.shape
    return tr(
        "{height} × {width} pixels become {rows} × {columns}: {share} of the numbers.",
        height=height,
        width=width,
        rows=rows,
        columns=columns,
        share=percent(rows * columns / (height * width)),
    )


def _report(
    photo: Photo,
    pooled: Pooled,
    window: Numbers,
    place: tuple[int, int],
    folder: Folder,
    size: int,
    stride: int,
    padding: str,
) -> Report:
    (height, width), (rows, columns) = photo.pixels_HW.shape, pooled.largest_PQ.shape
    intro: list[Block] = [
        Text(
            tr(
                "Pooling makes a picture smaller. A window of {size} × {size} pixels slides over it, {stride} at a "
                "time, and of each window one number stays: the largest (max pooling) or the mean (average pooling). "
                "Nothing is learnt here: pooling has no weights.",
                size=size,
                stride=stride,
            )
        ),
        Pictures(
            [
                folder.picture("original", photo.pixels_HW, tr("the picture, in grey")),
                folder.picture(
                    "max", grey(pooled.largest_PQ), tr("max pooling"), tr("the brightest of each window")
                ),
                folder.picture(
                    "average", grey(pooled.means), tr("average pooling"), tr("the mean of each window")
                ),
            ],
            large=True,
        ),
        Text(_shrunk(photo, pooled)),
        Facts(
            [
                (tr("window"), f"{size} × {size}"),
                (tr("stride"), tr("{n} (pixels from one window to the next)", n=stride)),
                (tr("padding"), padding),
                (tr("size of the answer"), tr("{height} × {width} pixels", height=rows, width=columns)),
            ]
        ),
        Text(
            tr(
                "Pixels that do not fill a window at the right and lower border are left out with padding valid; with "
                "same, the windows there are smaller."
            )
        ),
    ]
    why = tr(
        "Why networks do it: after a convolution, a large number says that an edge was found there. Max pooling keeps "
        "that it was found and forgets the exact place, so a picture moved by one pixel gives nearly the same answer. "
        "And the next layer has {times} times fewer numbers to look at.",
        times=shown_number(round(height * width / (rows * columns), 1)),
    )
    return Report(
        tr("Pooling: smaller, and still telling"),
        [
            Section("", intro),
            Section(tr("One window, worked out"), _worked(pooled, window, place, folder)),
            Section(tr("What it is good for"), [Text(why)]),
            Section(
                tr("Try it"),
                [Text(tr("vistazo museum pooling FILE --size 3 --stride 2"))],
            ),
        ],
        " ".join(
            [
                tr("{name}, {height} × {width} pixels.", name=photo.name, height=height, width=width),
                *photo.notes,
            ]
        ),
    )


def _worked(pooled: Pooled, window: Numbers, place: tuple[int, int], folder: Folder) -> list[Block]:
    drawn = squares(window, grey(window))
    told = tr(
        "Row {row}, column {column} of the answer; its window holds {n} pixels. Largest: {largest}. Mean: {sum} / {n} "
        "= {mean}.",
        row=place[0] + 1,
        column=place[1] + 1,
        n=int(pooled.count_PQ[place]),
        largest=int(pooled.largest_PQ[place]),
        sum=int(pooled.sum_PQ[place]),
        mean=shown_number(float(pooled.means[place])),
    )
    blocks: list[Block] = []
    if drawn is not None:
        picture = folder.picture("worked-window", drawn, tr("pixels of the window"), enlarged=False)
        blocks.append(Pictures([picture], large=True))
    return [*blocks, Text(told)]
