"""Kernels: a few numbers that slide over a picture. Named ones, those a person writes, and the arithmetic.

Whole numbers stay whole numbers: the sums are exact, and equal those of scipy.signal.convolve2d.

Shape suffixes: H height, W width of a picture; K rows, L columns of a kernel; P rows, Q columns of the answer.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from vistazo.errors import ConfigError
from vistazo.language import mark, tr
from vistazo.registry import Registry

__all__ = [
    "OPERATIONS",
    "PUBLISHED",
    "Kernel",
    "Operation",
    "chosen",
    "kernels",
    "margins",
    "names",
    "output_size",
    "padded",
    "read_operation",
    "read_padding",
    "slide",
]

Numbers = npt.NDArray[Any]
Operation = Literal["convolution", "correlation"]
OPERATIONS: dict[str, Operation] = {
    mark("convolution"): "convolution",
    mark("correlation"): "correlation",
    "convolucion": "convolution",
    "convolución": "convolution",
    "correlacion": "correlation",
    "correlación": "correlation",
}
PUBLISHED = ("vertical", "horizontal", "outline")  # those of the tutorial, with its threshold
THRESHOLD = 50.0
LONGEST = 31  # rows or columns of a kernel
LARGEST = 1_000_000  # a number of a kernel: with pixels of 255 every sum is far below 2**53
MOST_PADDING = 64


@dataclass(frozen=True, eq=False)
class Kernel:
    """numbers_KL: what is laid over the pixels, int64 or float64, odd in both directions. divisor: of the sums.

    threshold: sums above it are shown white and others black; None where the sums are a picture themselves.
    about: what it does to a picture.
    """

    name: str
    numbers_KL: Numbers
    about: str
    divisor: int = 1
    threshold: float | None = THRESHOLD

    @property
    def whole(self) -> bool:
        """Whether all its numbers are whole."""
        return bool(self.numbers_KL.dtype.kind == "i")


kernels: Registry[Kernel] = Registry(mark("kernel"))
_SPANISH = {
    "contorno": "outline",
    "enfocar": "sharpen",
    "desenfocar": "blur",
    "gauss": "gaussian",
    "relieve": "emboss",
    "laplaciano": "laplace",
    "identidad": "identity",
}


def _named(
    name: str, rows: list[list[int]], about: str, *, divisor: int = 1, threshold: float | None = THRESHOLD
) -> None:
    kernels.register(name)(Kernel(name, np.array(rows, np.int64), about, divisor, threshold))


_named(
    mark("vertical"),
    [[1, 0, -1]] * 3,
    mark("Compares the pixels on the left with those on the right: it answers where light changes across an "
         "upright edge."),
)  # fmt: skip
_named(
    mark("horizontal"),
    [[1, 1, 1], [0, 0, 0], [-1, -1, -1]],
    mark("Compares the pixels above with those below: it answers where light changes across a level edge."),
)
_named(
    mark("outline"),
    [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    mark("Compares a pixel with all eight around it: it answers at edges of any direction, and nowhere on even "
         "ground, where its numbers cancel out."),
)  # fmt: skip
_named(
    mark("sharpen"),
    [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    mark("Adds to a pixel what sets it apart from its four neighbours: edges become harder."),
    threshold=None,
)
_named(
    mark("blur"),
    [[1, 1, 1]] * 3,
    mark("The mean of a pixel and the eight around it: fine detail is lost."),
    divisor=9,
    threshold=None,
)
_named(
    mark("gaussian"),
    [[1, 2, 1], [2, 4, 2], [1, 2, 1]],
    mark("A mean in which near pixels count more: a softer blur."),
    divisor=16,
    threshold=None,
)
_named(
    mark("emboss"),
    [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
    mark("Light from one corner: the picture looks stamped into metal."),
    threshold=None,
)
_named(
    mark("sobel-x"),
    [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    mark("Like vertical, turned the other way, with the middle row counted twice (Sobel 1968)."),
)
_named(
    mark("sobel-y"),
    [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    mark("Like horizontal, turned the other way, with the middle column counted twice (Sobel 1968)."),
)
_named(
    mark("laplace"),
    [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    mark("Compares a pixel with its four neighbours: outlines, finer than those of outline."),
)
_named(
    mark("identity"),
    [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    mark("Gives the picture back as it is."),
    threshold=None,
)


def names() -> str:
    """The names of all kernels, parted by commas, in the language in force."""
    return ", ".join(tr(name) for name in kernels)


def chosen(text: str | None) -> list[Kernel]:
    """The kernels a person asks for: names parted by commas, or the numbers of one, its rows parted by ';'.

    None: the three of the tutorial. Spanish names are known too.
    Raises UnknownName, ConfigError where the numbers are no kernel.

    >>> [one.name for one in chosen("blur, contorno")]
    ['blur', 'outline']
    >>> chosen("1 0 -1; 2 0 -2; 1 0 -1")[0].numbers_KL.tolist()
    [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
    """
    if text is None:
        return [kernels[name] for name in PUBLISHED]
    if not text.strip(" ,;[]"):
        raise ConfigError(tr('--kernel needs a name or numbers, such as "1 0 -1; 1 0 -1; 1 0 -1".'))
    if re.search(r"\d", text):
        return [_written(text)]
    wanted = [name.strip().lower() for name in text.split(",") if name.strip()]
    return [kernels[name] for name in dict.fromkeys(_SPANISH.get(one, one) for one in wanted)]


def _written(text: str) -> Kernel:
    """A kernel from its numbers: 'a b c; d e f; g h i', also '[[a, b, c], [d, e, f], [g, h, i]]'."""
    rows = [row for row in re.split(r";|\n|\]\s*,\s*\[", text) if row.strip(" []")]
    cells = [[_number(cell) for cell in _cells(row.strip(" [],"))] for row in rows]
    if len({len(row) for row in cells}) > 1:
        told = ", ".join(str(len(row)) for row in cells)
        raise ConfigError(
            tr(
                "Every row of a kernel has as many numbers as the others, and these have {told}: {text}. "
                "Rows are parted by ';'.",
                told=told,
                text=text,
            )
        )
    height, width = len(cells), len(cells[0])
    if height % 2 == 0 or width % 2 == 0:
        raise ConfigError(
            tr(
                "A kernel of {height} × {width} has no middle: give it an odd number of rows and columns, such as "
                "3 × 3.",
                height=height,
                width=width,
            )
        )
    if max(height, width) > LONGEST:
        raise ConfigError(
            tr(
                "A kernel of {height} × {width} is too large: {most} rows and columns are the most.",
                height=height,
                width=width,
                most=LONGEST,
            )
        )
    whole = all(one.is_integer() for row in cells for one in row)
    found = np.array(cells, np.float64)
    edges = abs(float(found.sum())) < 1e-9
    return Kernel(
        name=tr("yours"),
        numbers_KL=found.astype(np.int64) if whole else found,
        about=mark("The numbers you gave."),
        threshold=THRESHOLD if edges else None,
    )


def _cells(row: str) -> list[str]:
    """The numbers of a row as they were typed: parted by spaces, in which a comma is decimal, or by commas."""
    if re.search(r"\s", row):
        return [cell.strip(",").replace(",", ".") for cell in row.split() if cell.strip(",")]
    return row.split(",")


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ConfigError(
            tr(
                "'{cell}' in --kernel is no number from -{most} to {most}. A kernel is written as "
                '"1 0 -1; 1 0 -1; 1 0 -1"; known by name: {names}.',
                cell=cell,
                most=LARGEST,
                names=names(),
            )
        )
    return value


def read_operation(text: str) -> Operation:
    """'convolution' or 'correlation', in either language. Raises ConfigError."""
    try:
        return OPERATIONS[text.strip().lower()]
    except KeyError:
        raise ConfigError(tr("--operation is convolution or correlation, not '{text}'.", text=text)) from None


def read_padding(text: str) -> str | int:
    """'same', 'valid' or 'full' as scipy has them, or a number of pixels. Raises ConfigError.

    >>> read_padding("same"), read_padding("2")
    ('same', 2)
    """
    words = {"igual": "same", "valido": "valid", "válido": "valid", "completo": "full"}
    word = words.get(text.strip().lower(), text.strip().lower())
    if word in ("same", "valid", "full"):
        return word
    if word.isdecimal() and int(word) <= MOST_PADDING:
        return int(word)
    raise ConfigError(
        tr(
            "--padding is same, valid, full or a number of pixels from 0 to {most}, not '{text}'.",
            most=MOST_PADDING,
            text=text,
        )
    )


# ---------------------------------------------------------------- the arithmetic
def margins(kernel: tuple[int, int], padding: str | int) -> tuple[int, int]:
    """Pixels of zeros above and below, left and right: what a padding means for a kernel of that height and width."""
    if isinstance(padding, int):
        return padding, padding
    factor = {"valid": 0, "same": 1, "full": 2}[padding]
    return factor * (kernel[0] - 1) // 2, factor * (kernel[1] - 1) // 2


def output_size(
    picture: tuple[int, int], kernel: tuple[int, int], *, stride: int, padding: str | int
) -> tuple[int, int]:
    """Rows and columns of the answer: (side + 2 × padding − kernel) // stride + 1.

    Raises ConfigError where the kernel is larger than the picture with its padding, or the stride is below 1.
    """
    if stride < 1:
        raise ConfigError(tr("--stride is a whole number from 1 on, not {n}.", n=stride))
    down, across = margins(kernel, padding)
    rows, columns = (
        (side + 2 * margin - length) // stride + 1
        for side, margin, length in zip(picture, (down, across), kernel, strict=True)
    )
    if rows < 1 or columns < 1:
        raise ConfigError(
            tr(
                "A kernel of {k} × {l} does not fit into a picture of {height} × {width}: choose a smaller kernel, a "
                "larger picture or --padding same.",
                k=kernel[0],
                l=kernel[1],
                height=picture[0],
                width=picture[1],
            )
        )
    return rows, columns


def padded(pixels_HW: Numbers, kernel: tuple[int, int], padding: str | int) -> Numbers:
    """The pixels with the zeros around them that a padding asks for."""
    down, across = margins(kernel, padding)
    return np.pad(pixels_HW, ((down, down), (across, across)))


def slide(
    pixels_HW: Numbers, numbers_KL: Numbers, *, operation: Operation, stride: int, padding: str | int
) -> Numbers:
    """(P, Q) sums of pixels times kernel at every place, before any divisor: int64 where both are whole, else float64.

    A convolution turns the kernel by 180 degrees before it is laid on, a correlation does not; networks correlate.
    With stride 1 a convolution equals scipy.signal.convolve2d with mode 'same', 'valid' or 'full', to the bit where
    the numbers are whole; with a stride, every so many rows and columns of it.
    Raises ConfigError, see `output_size`.
    """
    height, width = cast(tuple[int, int], numbers_KL.shape)
    picture = cast(tuple[int, int], pixels_HW.shape)
    rows, columns = output_size(picture, (height, width), stride=stride, padding=padding)
    laid = numbers_KL[::-1, ::-1] if operation == "convolution" else numbers_KL
    kind = np.int64 if pixels_HW.dtype.kind in "iu" and numbers_KL.dtype.kind == "i" else np.float64
    around = padded(pixels_HW.astype(kind), (height, width), padding)
    sums = np.zeros((rows, columns), kind)
    for down in range(height):
        for right in range(width):
            ends = (down + stride * (rows - 1) + 1, right + stride * (columns - 1) + 1)
            sums += around[down : ends[0] : stride, right : ends[1] : stride] * laid[down, right]
    return sums
