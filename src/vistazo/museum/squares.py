"""Numbers as people read them in a lesson: written, and in squares of their shade."""

from typing import Any

import numpy.typing as npt

from vistazo.engine.reports import number
from vistazo.pictures import drawing

__all__ = ["PAGE", "shown_number", "squares"]

Numbers = npt.NDArray[Any]
PAGE = "lesson.html"
_MOST = 11  # rows and columns up to which numbers are drawn in squares


def shown_number(value: float) -> str:
    """A number as it is read: whole ones whole, others with two or three decimals, in the language in force."""
    whole = float(value).is_integer()
    return number(int(value)) if whole else number(float(value), 2 if abs(value) >= 10 else 3)


def squares(values: Numbers, shades: Numbers) -> Numbers | None:
    """A table of numbers drawn in squares of those shades; None where there are too many to be read."""
    if max(values.shape) > _MOST:
        return None
    words = [[shown_number(value) for value in row] for row in values.tolist()]
    return drawing.numbers(words, shades.tolist())
