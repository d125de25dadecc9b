"""Which changes of pictures there are, and how a list of them is written: `flip,rotate=15,zoom=0.8..1.2`.

Free of torch: settings, recipes and help read it. What a change does to pixels stands in `augmentation.py`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vistazo.engine.reports import number
from vistazo.errors import ConfigError
from vistazo.language import current, mark, tr
from vistazo.registry import Registry

__all__ = ["ALL", "NONE", "RECIPE", "Augment", "Operation", "Settled", "operations", "parse", "say", "settle"]

NONE, ALL, RECIPE = "none", "all", "recipe"  # words of a list that are no operations
PLAIN = ("shift", "flip")  # what `loading.py` does by itself, on uint8 windows


@dataclass(frozen=True)
class Operation:
    """A change of pictures.

    says: what it does, with its {range}. neutral: the value that changes nothing. usual: its range where only the
    name is given. bounds: of both ends. one: what a single number means: 'about' (neutral ± it), 'from neutral',
    'to neutral', 'exactly' it, or 'nothing' (the name stands alone). unit: '%' for shares, '°', 'odd', 'whole' or ''.
    grey: whether it changes grey pictures too.
    """

    says: str
    neutral: float
    usual: tuple[float, float]
    bounds: tuple[float, float]
    one: str
    unit: str = ""
    grey: bool = True


class Augment(NamedTuple):
    """An operation with the range that each picture's own strength is drawn from. Written to JSON as a list."""

    name: str
    low: float
    high: float


operations: Registry[Operation] = Registry(mark("augmentation"))
for _name, _operation in {
    "shift": Operation(mark("moved by up to {range} px"), 0, (1, 1), (0, 16), "exactly", "whole"),
    "flip": Operation(mark("mirrored every other epoch"), 0, (1, 1), (1, 1), "nothing"),
    "vertical_flip": Operation(mark("upside down, {range} of them"), 0, (0.5, 0.5), (0, 1), "exactly", "%"),
    "crop": Operation(mark("cropped to {range} of the area"), 1, (0.6, 1), (0.05, 1), "to neutral", "%"),
    "shear": Operation(mark("sheared by {range}"), 0, (-10, 10), (-60, 60), "about", "°"),
    "rotate": Operation(mark("turned by {range}"), 0, (-15, 15), (-180, 180), "about", "°"),
    "zoom": Operation(mark("zoomed {range} times"), 1, (0.8, 1.2), (0.1, 10), "about"),
    "translate": Operation(mark("moved by {range} of the side"), 0, (-0.1, 0.1), (-0.5, 0.5), "about", "%"),
    "exposure": Operation(mark("light times {range}"), 1, (0.8, 1.2), (0, 5), "about"),
    "brightness": Operation(mark("light plus {range}"), 0, (-0.2, 0.2), (-1, 1), "about", "%"),
    "contrast": Operation(mark("contrast times {range}"), 1, (0.8, 1.2), (0, 5), "about"),
    "colour": Operation(mark("colour times {range}"), 1, (0.7, 1.3), (0, 5), "about", grey=False),
    "hue": Operation(mark("hues turned by {range}"), 0, (-20, 20), (-180, 180), "about", "°", grey=False),
    "blur": Operation(mark("Gaussian blur of {range} px"), 0, (0, 1), (0, 5), "from neutral"),
    "average": Operation(mark("average of {range} px a side"), 1, (1, 3), (1, 9), "from neutral", "odd"),
    "median": Operation(mark("median of {range} px a side"), 1, (1, 3), (1, 5), "from neutral", "odd"),
    "sharpen": Operation(mark("sharpened {range} times"), 0, (0, 1), (0, 5), "from neutral"),
    "noise": Operation(mark("Gaussian noise of {range}"), 0, (0, 0.05), (0, 1), "from neutral", "%"),
    "dropout": Operation(mark("{range} of the pixels black"), 0, (0, 0.02), (0, 0.9), "from neutral", "%"),
    "cutout": Operation(
        mark("a square of {range} of the side hidden"), 0, (0.25, 0.25), (0, 1), "exactly", "%"
    ),
    "mixup": Operation(mark("mixed with another picture, Beta {range}"), 0, (0.2, 0.2), (0, 10), "exactly"),
    "cutmix": Operation(
        mark("a piece of another picture in it, Beta {range}"), 0, (1, 1), (0, 10), "exactly"
    ),
}.items():
    operations.register(_name)(_operation)

_ONE_NUMBER = frozenset(["shift", "vertical_flip", "mixup", "cutmix"])  # no range of theirs has a meaning
_OF_THE_SIZE = Augment("shift", -1, -1)  # a shift without a number: settled when the pictures' size is known


# ---------------------------------------------------------------- reading a list
def parse(text: str) -> tuple[Augment | str, ...]:
    """The operations of a list; the words 'all' and 'recipe' stay words, 'none' gives an empty list.

    Raises UnknownName with the nearest name, ConfigError with one sentence.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if NONE in words or not words:
        if words != [NONE]:
            raise ConfigError(
                tr(
                    "--augment takes 'none' alone or a list as in flip,rotate=15,zoom=0.8..1.2, not '{text}'.",
                    text=text,
                )
            )
        return ()
    found = [word if word in (ALL, RECIPE) else _parse_one(word) for word in words]
    names = [one if isinstance(one, str) else one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(tr("--augment names {name} twice; leave one of them out.", name=name))
    return tuple(found)


def _parse_one(word: str) -> Augment:
    name, equals, value = (part.strip() for part in word.partition("="))
    name = name.replace("-", "_")
    operation = operations[name]
    if not equals:
        return _OF_THE_SIZE if name == "shift" else Augment(name, *operation.usual)
    if operation.one == "nothing":
        raise ConfigError(tr("--augment: {name} takes no number; write {name} alone.", name=name))
    first, dots, second = value.partition("..")
    try:
        numbers = [float(first), float(second)] if dots else [float(first)]
    except ValueError:
        numbers = []
    if not numbers or not all(map(math.isfinite, numbers)) or (dots and name in _ONE_NUMBER):
        raise ConfigError(_not_understood(word, name))
    low, high = numbers if dots else _range(operation, numbers[0])
    least, most = operation.bounds
    if not least <= low <= high <= most:
        raise ConfigError(
            tr(
                "--augment: {name} must lie between {least} and {most}, the smaller number first; "
                "{word} means {low} to {high}.",
                name=name,
                least=_short(least),
                most=_short(most),
                word=word,
                low=_short(low),
                high=_short(high),
            )
        )
    if operation.unit in ("odd", "whole") and not all(
        one == int(one) and (operation.unit == "whole" or one % 2) for one in (low, high)
    ):
        kind = tr("whole numbers") if operation.unit == "whole" else tr("odd whole numbers")
        raise ConfigError(
            tr("--augment: {name} takes {kind}, not '{word}'.", name=name, kind=kind, word=word)
        )
    return Augment(name, low, high)


def _range(operation: Operation, value: float) -> tuple[float, float]:
    if operation.one == "about":
        return round(operation.neutral - abs(value), 9), round(operation.neutral + abs(value), 9)
    if operation.one == "exactly":
        return value, value
    return min(value, operation.neutral), max(value, operation.neutral)


def _not_understood(word: str, name: str) -> str:
    low, high = operations[name].usual
    if name in _ONE_NUMBER:
        return tr(
            "--augment does not understand '{word}': write {name} or {name}={value}.",
            word=word,
            name=name,
            value=_short(high),
        )
    return tr(
        "--augment does not understand '{word}': write {name}, or {name}={value}, or {name}={low}..{high}.",
        word=word,
        name=name,
        value=_short(high - operations[name].neutral if operations[name].one == "about" else high),
        low=_short(low),
        high=_short(high),
    )


def _short(value: float) -> str:
    """As it is typed, so with a point in every language."""
    return f"{round(value, 6):g}"


# ---------------------------------------------------------------- what a run does
@dataclass(frozen=True)
class Settled:
    """What happens to the pictures of a run.

    reach: pixels they are moved. flip: whether they are mirrored every other epoch. others: [name, low, high] each.
    """

    reach: int
    flip: bool
    others: list[list[str | float]]


def settle(
    asked: str | None,
    usual: str,
    *,
    flip: str,
    suits: bool,
    height: int,
    width: int,
    channels: int,
    reach: int = 1,
) -> Settled:
    """The user's list, or the recipe's, for pictures of a size.

    asked: the list of --augment, or None. usual: the recipe's. flip: the setting 'auto', 'on' or 'off'. suits:
    whether mirrored pictures of this kind keep their class; it decides unless the user does. A shift without a
    number is `reach` pixels for every 28. What changes nothing, or nothing on grey pictures, is left out.
    Raises ConfigError where --flip and --augment contradict one another.
    """
    own = parse(asked) if asked is not None else (RECIPE,)
    chosen: dict[str, Augment] = {}
    if ALL in own:
        chosen |= {name: Augment(name, *operations[name].usual) for name in operations} | {
            "shift": _OF_THE_SIZE
        }
    if RECIPE in own:
        chosen |= {one.name: one for one in parse(usual) if isinstance(one, Augment)}
    named = {one.name: one for one in own if isinstance(one, Augment)}
    chosen |= named
    if flip == "off" and "flip" in named:
        raise ConfigError(tr("--flip off and the flip in --augment contradict one another; leave one out."))
    mirrored = flip == "on" or (flip == "auto" and "flip" in chosen and (suits or "flip" in named))
    shift = chosen["shift"].high if "shift" in chosen else 0
    others = [one for one in _in_order(chosen) if _acts(one, channels)]
    return Settled(
        max(1, round(reach * min(height, width) / 28)) if shift < 0 else int(shift),
        mirrored,
        [list(one) for one in others],
    )


def _in_order(chosen: dict[str, Augment]) -> list[Augment]:
    return [chosen[name] for name in operations if name in chosen and name not in PLAIN]


def _acts(one: Augment, channels: int) -> bool:
    operation = operations[one.name]
    return not one.low == one.high == operation.neutral and (operation.grey or channels == 3)


# ---------------------------------------------------------------- in words
def say(reach: int, flip: bool, others: Iterable[Sequence[str | float]]) -> list[str]:
    """What happens to the pictures, an operation an entry, in the language in force: 'rotate: turned by ±15°'."""
    plan = [Augment("shift", reach, reach)] * (reach > 0) + [Augment("flip", 1, 1)] * flip
    told = []
    for name, low, high in [*plan, *others]:
        operation = operations[str(name)]
        told.append(f"{name}: " + tr(operation.says, range=_shown(float(low), float(high), operation.unit)))
    return told


def _shown(low: float, high: float, unit: str) -> str:
    if low == high:
        return _amount(high, unit)
    if low == -high:
        return "±" + _amount(high, unit)
    return (
        f"{_amount(low, '')} – {_amount(high, unit)}"
        if unit != "%"
        else (f"{_amount(100 * low, '')} – {_amount(high, unit)}")
    )


def _amount(value: float, unit: str) -> str:
    if unit == "%":
        return _amount(100 * value, "") + ("\u00a0%" if current() == "es" else "%")
    value = round(value, 3)
    digits = next(digits for digits in range(4) if round(value, digits) == value)
    return number(int(value) if digits == 0 else value, digits) + (unit if unit == "°" else "")
