"""What of the picture the places of a layer see, followed through the functions of torch that are called.

Around a residual block it is what the longer way sees.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

__all__ = ["Call", "Field", "seen_through", "two"]


@dataclass(frozen=True)
class Field:
    """What of the picture the places of a layer see, for each of (down, across).

    Place p sees the pixels whose middles lie from first + p · jump to first + p · jump + span; those outside the
    picture are padding.
    """

    first: tuple[float, float] = (0.0, 0.0)
    span: tuple[float, float] = (0.0, 0.0)
    jump: tuple[float, float] = (1.0, 1.0)

    def box(self, row: int, column: int, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, bottom, left, right (the ends not included) of what a place sees of a picture of that size."""
        found: list[int] = []
        for at, place, side in ((0, row, height), (1, column, width)):
            begin = self.first[at] + place * self.jump[at]
            first, last = math.ceil(begin - 1e-6), math.floor(begin + self.span[at] + 1e-6)
            found += [min(max(first, 0), side - 1), max(min(last, side - 1), 0) + 1]
        return found[0], found[1], found[2], found[3]

    def slid(self, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> "Field":
        """What a window that slides over this layer sees. padding: pixels before the first."""
        return Field(
            _pair(lambda at: self.first[at] - padding[at] * self.jump[at]),
            _pair(lambda at: self.span[at] + (kernel[at] - 1) * self.jump[at]),
            _pair(lambda at: self.jump[at] * stride[at]),
        )

    def resized(self, ratio: tuple[float, float]) -> "Field":
        """What a pixel of this layer, interpolated bilinearly, sees. ratio: old sides over new ones."""
        return Field(
            _pair(lambda at: self.first[at] + (ratio[at] / 2 - 0.5 - 1) * self.jump[at]),
            _pair(lambda at: self.span[at] + 2 * self.jump[at]),
            _pair(lambda at: self.jump[at] * ratio[at]),
        )


@dataclass(frozen=True, eq=False)
class Call:
    """A function of torch that was called: its name, arguments and answer."""

    name: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    answer: Tensor

    def get(self, place: int, name: str, default: Any) -> Any:
        """An argument, by place or name."""
        return self.arguments[place] if place < len(self.arguments) else self.named.get(name, default)


def seen_through(field: Field | None, call: Call) -> Field | None:
    """What the places of a call's answer see, from what those of its input do."""
    if field is None or not call.arguments or not isinstance(call.arguments[0], Tensor):
        return field
    given = call.arguments[0]
    if call.name == "conv2d":
        dilation = two(call.get(5, "dilation", 1))
        kernel = _pair(lambda at: dilation[at] * (call.arguments[1].shape[2 + at] - 1) + 1)
        return field.slid(kernel, two(call.get(3, "stride", 1)), two(call.get(4, "padding", 0)))
    if call.name in ("max_pool2d", "avg_pool2d"):
        sides = two(call.get(1, "kernel_size", 1))
        return field.slid(sides, two(call.get(2, "stride", None) or sides), two(call.get(3, "padding", 0)))
    if call.name == "pad" and given.dim() == 4:
        margins = call.arguments[1]  # left, right, top, bottom
        top = margins[2] if len(margins) > 2 else 0
        return replace(
            field, first=(field.first[0] - top * field.jump[0], field.first[1] - margins[0] * field.jump[1])
        )
    if call.name == "interpolate":
        old, new = given.shape[2:], call.answer.shape[2:]
        return field.resized((old[0] / new[0], old[1] / new[1]))
    return field


def two(value: Any) -> tuple[int, int]:
    """(down, across) of a number for both, or of one for each."""
    return (int(value[0]), int(value[-1])) if isinstance(value, tuple | list) else (int(value), int(value))


def _pair(one: Callable[[int], Any]) -> tuple[Any, Any]:
    return one(0), one(1)
