"""The axes of a search's drawings: of the figure, and of each name that was searched."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vistazo.engine.reports import percent, ticks, ticks_in_words
from vistazo.engine.search import Space, Study, Value
from vistazo.engine.search_figures import figured
from vistazo.engine.search_verdict import is_share, typed

__all__ = ["Axis", "figure_axis", "values_axis"]


@dataclass(frozen=True)
class Axis:
    """A scale from values to [0, 1] and its labels. outside: whether a value lies beyond what the axis shows."""

    place: Callable[[Value], float]
    labels: Sequence[tuple[float, str]]
    low: float = -math.inf
    high: float = math.inf

    def outside(self, value: float) -> bool:
        return not self.low <= value <= self.high


def figure_axis(study: Study, values: Sequence[float]) -> Axis:
    """Of the figure, upwards: from the best to four times as far as the median trial, so that a few wild ones do not
    press all others into one line."""
    sign = -1.0 if study.lower_is_better else 1.0
    ends = sorted(sign * one.figure for one in figured(study) if one.figure is not None)
    seen = sorted(sign * one for one in values) or [0.0]
    best, middle = (ends[-1], ends[len(ends) // 2]) if ends else (seen[-1], seen[0])
    worst = max(seen[0], best - max(4 * (best - middle), 0.02 * abs(best), 1e-9))
    low, high = sorted((sign * worst, sign * best))
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        room = abs(low) / 10 or 1.0
        low, high = low - room, high + room
    if is_share(study.metric):
        low, high = max(0.0, low), min(1.0, high)
    steps = ticks(low, high, 5, whole=False)
    low, high = min(low, steps[0]), max(high, steps[-1])
    if is_share(study.metric):
        digits = max(0, -math.floor(math.log10(100 * (steps[1] - steps[0])) + 1e-9)) if len(steps) > 1 else 1
        words = [percent(one, digits) if 0 < one < 1 else percent(one, 0) for one in steps]
    else:
        words = ticks_in_words(steps)

    def place(value: Value) -> float:
        return (float(value) - low) / (high - low)

    return Axis(place, [(place(one), word) for one, word in zip(steps, words, strict=True)], low, high)


def values_axis(space: Space, values: Sequence[Value]) -> Axis:
    """Of one name: logarithmic where its space is, choices evenly spaced in the order given; it shows all `values`."""
    if space.kind == "choice" or any(isinstance(one, str) for one in values):
        return _choices(space, values)
    seen = [float(one) for one in values if math.isfinite(float(one))]
    low, high = min([float(space.low), *seen]), max([float(space.high), *seen])
    if high <= low:
        return Axis(lambda _: 0.5, [(0.5, typed(_whole(low, space)))])
    if space.log and high > 0:
        return _logarithmic(space, [*seen, float(space.low), high])
    marks = [one for one in ticks(low, high, 5, whole=space.kind == "int") if low <= one <= high]

    def place(value: Value) -> float:
        return (float(value) - low) / (high - low)

    return Axis(place, _labelled(low, high, marks, place, space), low, high)


def _logarithmic(space: Space, values: Sequence[float]) -> Axis:
    """Values without a logarithm, such as a penalty of 0 in the recipe, stand together at the lower end."""
    above = [one for one in values if one > 0]
    none = [one for one in values if one <= 0]
    low, high, start = min(above), max(above), 0.12 if none else 0.0
    span = math.log(high / low) or 1.0

    def place(value: Value) -> float:
        at = float(value)
        return start + (1 - start) * math.log(at / low) / span if at > 0 else 0.0

    labels = _labelled(low, high, _powers(low, high), place, space)
    return Axis(place, ([(0.0, typed(_whole(max(none), space)))] if none else []) + labels, min(values), high)


def _whole(value: float, space: Space) -> Value:
    return int(value) if space.kind == "int" and value.is_integer() else value


def _powers(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, last + 1)]


def _labelled(
    low: float, high: float, marks: Sequence[float], place: Callable[[Value], float], space: Space
) -> list[tuple[float, str]]:
    """Both ends, and the round numbers between that leave them room."""
    between = [one for one in marks if place(low) + 0.1 < place(one) < 0.9]
    return [(place(one), typed(_whole(one, space))) for one in (low, *between, high)]


def _choices(space: Space, values: Sequence[Value]) -> Axis:
    names = list(dict.fromkeys([*space.choices, *values]))
    if all(not isinstance(one, str) for one in values) and not space.choices:
        names.sort()
    size = len(names)
    spot = {name: (at + 0.5) / size for at, name in enumerate(names)}
    every = math.ceil(size / 16)
    return Axis(lambda value: spot[value], [(spot[name], typed(name)) for name in names[::every]])
