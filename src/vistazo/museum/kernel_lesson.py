"""The lesson on kernels: three numbers by three slide over a photograph, and edges appear; one pixel is worked out.

The kernels, the padding 'same' and the threshold of 50 are those of the Keras tutorial on Quick, Draw!.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vistazo.engine.reports import Block, Facts, Pictures, Report, Section, Text
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.museum import kernels
from vistazo.museum.kernels import Kernel, Operation
from vistazo.museum.photo import Photo, read_photo
from vistazo.museum.squares import PAGE, shown_number, squares
from vistazo.pictures.pages import Folder, grey, signed

__all__ = ["visit"]

Numbers = npt.NDArray[Any]
_WRITTEN_OUT = 25  # products up to which the sum is written out


@dataclass(frozen=True, eq=False)
class _Result:
    """sums_PQ: before the divisor. values_PQ: after it. shown_PQ: uint8, what the threshold or clipping leaves."""

    kernel: Kernel
    sums_PQ: Numbers
    values_PQ: Numbers
    shown_PQ: Numbers


@dataclass(frozen=True, eq=False)
class _Worked:
    """One pixel of the answer. row, column: in the answer; top, left: of its window in the picture, without padding."""

    row: int
    column: int
    top: int
    left: int
    pixels_KL: Numbers
    laid_KL: Numbers
    sum: float
    value: float
    shown: int


def visit(
    file: str | Path | None,
    out: Path,
    *,
    kernel: str | None,
    operation: str | None,
    stride: int | None,
    padding: str | None,
    threshold: float | None,
) -> dict[str, Any]:
    """Write the lesson's page and pictures to a folder, and tell what it computed.

    kernel: names or numbers, None for the tutorial's three. operation, stride, padding, threshold: None for
    convolution, 1, 'same', and each kernel's own.
    Raises ConfigError, UnknownName, SourceError, DiskError.
    """
    wanted = kernels.chosen(kernel)
    if threshold is not None and not math.isfinite(threshold):
        raise ConfigError(tr("--threshold is a number, not {value}.", value=threshold))
    if threshold is not None:
        wanted = [replace(one, threshold=threshold) for one in wanted]
    how = kernels.read_operation(operation or "convolution")
    steps = 1 if stride is None else stride
    around = kernels.read_padding(padding or "same")
    photo = read_photo(file)
    results = [_apply(photo, one, how, steps, around) for one in wanted]
    works = [_work(photo, one, how, steps, around) for one in results]
    folder = Folder(out, PAGE)
    page = folder.page(_report(photo, results, works, folder, how, steps, around))
    return {
        "name": "kernels",
        "file": photo.name,
        "size": list(photo.pixels_HW.shape),
        "shrunk_from": photo.shrunk_from and list(photo.shrunk_from),
        "operation": how,
        "stride": steps,
        "padding": around,
        "kernels": [_told(*one) for one in zip(results, works, strict=True)],
        "page": str(page),
        "files": folder.told(),
        "lines": [*photo.notes, *(_line(one) for one in results)],
    }


# ---------------------------------------------------------------- what is computed
def _apply(photo: Photo, kernel: Kernel, operation: Operation, stride: int, padding: str | int) -> _Result:
    sums = kernels.slide(
        photo.pixels_HW, kernel.numbers_KL, operation=operation, stride=stride, padding=padding
    )
    values = sums if kernel.divisor == 1 else sums / kernel.divisor
    shown = grey(values) if kernel.threshold is None else grey(255 * (values > kernel.threshold))
    return _Result(kernel, sums, values, shown)


def _work(photo: Photo, result: _Result, operation: Operation, stride: int, padding: str | int) -> _Worked:
    """The pixel of the answer with the largest value, if possible one whose window lies inside the picture."""
    numbers = result.kernel.numbers_KL
    size = cast(tuple[int, int], numbers.shape)
    height, width = photo.pixels_HW.shape
    down, across = kernels.margins(size, padding)
    tops = np.arange(result.sums_PQ.shape[0]) * stride - down
    lefts = np.arange(result.sums_PQ.shape[1]) * stride - across
    inside = np.outer((tops >= 0) & (tops <= height - size[0]), (lefts >= 0) & (lefts <= width - size[1]))
    values = np.where(inside, result.sums_PQ, result.sums_PQ.min() - 1) if inside.any() else result.sums_PQ
    row, column = (int(one) for one in np.unravel_index(int(values.argmax()), values.shape))
    around = kernels.padded(photo.pixels_HW.astype(np.int64), size, padding)
    first, left = row * stride, column * stride
    return _Worked(
        row,
        column,
        int(tops[row]),
        int(lefts[column]),
        around[first : first + size[0], left : left + size[1]],
        numbers[::-1, ::-1] if operation == "convolution" else numbers,
        result.sums_PQ[row, column].item(),
        float(result.values_PQ[row, column]),
        int(result.shown_PQ[row, column]),
    )


def _told(result: _Result, work: _Worked) -> dict[str, Any]:
    kernel = result.kernel
    return {
        "name": kernel.name,
        "numbers": kernel.numbers_KL.tolist(),
        "divisor": kernel.divisor,
        "threshold": kernel.threshold,
        "output": list(result.sums_PQ.shape),
        "white": float((result.shown_PQ == 255).mean()),
        "worked": {
            "row": work.row + 1,
            "column": work.column + 1,
            "pixels": work.pixels_KL.tolist(),
            "laid": work.laid_KL.tolist(),
            "products": (work.pixels_KL * work.laid_KL).tolist(),
            "sum": work.sum,
            "value": work.value,
            "shown": work.shown,
        },
    }


def _line(result: _Result) -> str:
    rows, columns = result.sums_PQ.shape
    size = tr("{height} × {width} pixels", height=rows, width=columns)
    return f"{tr(result.kernel.name)}: {tr(result.kernel.about)} ({size})"


# ---------------------------------------------------------------- the page
def _report(
    photo: Photo,
    results: list[_Result],
    works: list[_Worked],
    folder: Folder,
    operation: Operation,
    stride: int,
    padding: str | int,
) -> Report:
    height, width = photo.pixels_HW.shape
    original = folder.picture("original", photo.pixels_HW, tr("the picture, in grey"))
    intro: list[Block] = [
        Text(
            tr(
                "A picture in grey is a table of numbers: 0 is black, 255 is white. A kernel is a small table of "
                "numbers. It is laid over the pixels at the upper left corner; each number is multiplied with the "
                "pixel under it, and the products are added. That sum is one pixel of the answer. Then the kernel "
                "moves on, over the whole picture, always with the same numbers."
            )
        ),
        Pictures([original], large=True),
    ]
    sections = [
        Section("", intro),
        Section(tr("How it slides"), _sliding(photo, results, operation, stride, padding)),
    ]
    for result, work in zip(results, works, strict=True):
        sections.append(Section(tr(result.kernel.name), _section(result, work, original, folder, operation)))
    sections.append(Section(tr("Try it"), [Text(_tries())]))
    notes = " ".join(
        [tr("{name}, {height} × {width} pixels.", name=photo.name, height=height, width=width), *photo.notes]
    )
    return Report(tr("Kernels: how edges are found"), sections, notes)


def _sliding(
    photo: Photo, results: list[_Result], operation: Operation, stride: int, padding: str | int
) -> list[Block]:
    height, (rows, columns) = photo.pixels_HW.shape[0], results[0].sums_PQ.shape
    size = cast(tuple[int, int], results[0].kernel.numbers_KL.shape)
    down, _ = kernels.margins(size, padding)
    if operation == "convolution":
        turned = tr(
            "Shown is a convolution, as scipy.signal.convolve2d computes it: the kernel is turned by half a turn "
            "before it is laid on. Convolutional networks skip the turn, which makes it a correlation: as they learn "
            "their numbers, they learn them turned already. See it with --operation correlation."
        )
    else:
        turned = tr(
            "Shown is a correlation: the kernel is laid on as it is written, as convolutional networks do it. A "
            "convolution in the sense of mathematics turns it by half a turn first: --operation convolution."
        )
    return [
        Facts(
            [
                (tr("operation"), tr(operation)),
                (tr("stride"), tr("{n} (pixels from one place of the kernel to the next)", n=stride)),
                (tr("padding"), tr("{padding} ({n} zeros on each side)", padding=padding, n=down)),
                (
                    tr("rows of the answer"),
                    f"({height} + 2 × {down} − {size[0]}) // {stride} + 1 = {rows}",
                ),
                (tr("size of the answer"), tr("{height} × {width} pixels", height=rows, width=columns)),
            ]
        ),
        Text(
            tr(
                "At the border a kernel would stick out. With padding the picture gets a frame of zeros, so that the "
                "answer stays as large as the picture (same); without (valid) the kernel only goes where it fits, and "
                "the answer is smaller. A stride of 2 moves it two pixels at a time, so the answer has half the rows "
                "and columns."
            )
        ),
        Text(turned),
    ]


def _section(
    result: _Result, work: _Worked, original: Any, folder: Folder, operation: Operation
) -> list[Block]:
    kernel, name = result.kernel, result.kernel.name if result.kernel.name in kernels.kernels else "yours"
    drawn = squares(kernel.numbers_KL, signed(kernel.numbers_KL))
    pictures = []
    if drawn is not None:
        pictures.append(
            folder.picture(f"{name}-kernel", drawn, tr("the kernel"), _over(kernel), enlarged=False)
        )
    pictures.append(
        folder.picture(
            f"{name}-sums", signed(result.values_PQ), tr("the sums"),
            tr("from {least} to {most}; mid-grey is 0",
               least=shown_number(float(result.values_PQ.min())), most=shown_number(float(result.values_PQ.max()))),
        )
    )  # fmt: skip
    if kernel.threshold is None:
        words = tr("as a picture: below 0 black, above 255 white")
    else:
        words = tr("white where the sum is above {threshold}", threshold=shown_number(kernel.threshold))
    pictures.append(folder.picture(name, result.shown_PQ, tr("the answer"), words))
    return [
        Text(tr(kernel.about)),
        Pictures(pictures, large=True),
        *_worked(result, work, name, folder, operation),
    ]


def _over(kernel: Kernel) -> str:
    return "" if kernel.divisor == 1 else tr("the sum is divided by {n}", n=kernel.divisor)


def _worked(result: _Result, work: _Worked, name: str, folder: Folder, operation: Operation) -> list[Block]:
    """One pixel of the answer, from the pixels of the picture to what is shown."""
    products = work.pixels_KL * work.laid_KL
    laid = tr("the kernel, turned") if operation == "convolution" else tr("the kernel, as it is laid on")
    parts = (
        ("pixels", work.pixels_KL, grey(work.pixels_KL), tr("pixels of the picture")),
        ("laid", work.laid_KL, signed(work.laid_KL), laid),
        ("products", products, signed(products), tr("pixel times number")),
    )
    pictures = [
        folder.picture(f"{name}-worked-{kind}", drawn, words, enlarged=False)
        for kind, values, shades, words in parts
        if (drawn := squares(values, shades)) is not None
    ]
    height, width = work.pixels_KL.shape
    where = tr(
        "One pixel, worked out: row {row}, column {column} of the answer. It looks at rows {top} to {bottom} and "
        "columns {left} to {right} of the picture.",
        row=work.row + 1,
        column=work.column + 1,
        top=work.top + 1,
        bottom=work.top + height,
        left=work.left + 1,
        right=work.left + width,
    )
    return [Text(where), *([Pictures(pictures, large=True)] if pictures else []), Text(_summed(result, work))]


def _summed(result: _Result, work: _Worked) -> str:
    kernel = result.kernel
    pairs = list(zip(work.pixels_KL.ravel().tolist(), work.laid_KL.ravel().tolist(), strict=True))
    total = shown_number(work.sum)
    if len(pairs) <= _WRITTEN_OUT:
        terms = " + ".join(
            f"{pixel} × {f'({shown_number(one)})' if one < 0 else shown_number(one)}" for pixel, one in pairs
        )
        text = tr("Sum of the products: {terms} = {sum}.", terms=terms, sum=total)
    else:
        text = tr("Sum of the {n} products: {sum}.", n=len(pairs), sum=total)
    value = shown_number(work.value)
    if kernel.divisor != 1:
        text += " " + tr("Divided by {n}: {value}.", n=kernel.divisor, value=value)
    if kernel.threshold is None:
        return text + " " + tr("Shown as {shade}, between black (0) and white (255).", shade=work.shown)
    limit = shown_number(kernel.threshold)
    if work.shown:
        return (
            text + " " + tr("{value} is above {threshold}: the pixel is white.", value=value, threshold=limit)
        )
    return (
        text + " " + tr("{value} is not above {threshold}: the pixel is black.", value=value, threshold=limit)
    )


def _tries() -> str:
    names = kernels.names()
    return "\n\n".join(
        [
            tr("Other kernels by name: {names}.", names=names),
            tr("vistazo museum kernels FILE --kernel sharpen,blur"),
            tr('Your own numbers, row by row: vistazo museum kernels FILE --kernel "1 0 -1; 2 0 -2; 1 0 -1"'),
            tr("Every second place, without a frame: vistazo museum kernels FILE --stride 2 --padding valid"),
            tr("What a trained network found by itself: vistazo inside MODEL --out inside"),
        ]
    )
