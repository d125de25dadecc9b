"""The values a search may try, written as in `log:1e-4..1e-2`, `8..64/8` or `a,b,c`: checked, counted. No torch."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any, TypeVar

from vistazo.config import Config, build, options
from vistazo.engine.search import Space, Value
from vistazo.errors import ConfigError, UsageError
from vistazo.language import tr
from vistazo.registry import nearest

__all__ = [
    "contains",
    "corners",
    "every_point",
    "parse",
    "parse_all",
    "points",
    "require_names",
    "require_possible",
    "with_values",
]

C = TypeVar("C", bound=Config)

_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(log:)?({_NUMBER})\.\.({_NUMBER})(?:/({_NUMBER}))?")
_WHOLE = re.compile(r"[-+]?\d+")


def parse(name: str, text: str) -> Space:
    """The space that `text` means for `name`. Raises ConfigError where it is empty or contradicts itself.

    `0.1..0.5` any number between, `8..64` any whole number, `8..64/8` in steps, `log:1e-4..1e-2` on the scale of the
    logarithm, `a,b,c` one of them, `16,32|32,64` one of those that have commas themselves.
    """
    text = text.strip()
    found = _RANGE.fullmatch(text)
    if found:
        return _interval(name, text, bool(found[1]), found[2], found[3], found[4])
    if text.startswith("log:") or (".." in text and not re.search(r"[,|=]", text)):
        raise ConfigError(
            tr(
                "--search {name}={text}: a range is written as in 0.1..0.5, 8..64, 8..64/8 or log:1e-4..1e-2.",
                name=name,
                text=text,
            )
        )
    words = [one.strip() for one in text.split("|" if "|" in text else ",")]
    if not all(words):
        raise ConfigError(
            tr(
                "--search {name}={text} has an empty choice. Write as in {name}=a,b,c or {name}=0.1..0.5.",
                name=name,
                text=text,
            )
        )
    choices = tuple(_value(one) for one in words)
    for at, one in enumerate(choices):
        if one in choices[:at]:
            raise ConfigError(
                tr(
                    "--search {name}={text} has the choice {value} twice.",
                    name=name,
                    text=text,
                    value=words[at],
                )
            )
    if len(choices) == 1:
        raise _single(name, text, words[0])
    return Space("choice", choices=choices)


def _interval(name: str, text: str, log: bool, first: str, last: str, step: str | None) -> Space:
    whole = all(_WHOLE.fullmatch(one) for one in (first, last, step or "1"))
    low, high = Decimal(first), Decimal(last)
    if low > high:
        raise ConfigError(
            tr(
                "--search {name}={text}: {low} is more than {high}.",
                name=name,
                text=text,
                low=first,
                high=last,
            )
        )
    if low == high:
        raise _single(name, text, first)
    if log and low <= 0:
        raise ConfigError(
            tr("--search {name}={text}: a logarithm needs numbers above 0.", name=name, text=text)
        )
    if step is None:
        return Space("int" if whole else "float", float(low), float(high), log)
    if log or not 0 < Decimal(step) <= high - low:
        raise ConfigError(
            tr(
                "--search {name}={text}: a step lies between 0 and the width of its range, and log: has none.",
                name=name,
                text=text,
            )
        )
    high = low + (high - low) // Decimal(step) * Decimal(step)  # the last that the steps meet
    return Space("int" if whole else "float", float(low), float(high), step=float(step))


def _single(name: str, text: str, value: str) -> ConfigError:
    return ConfigError(
        tr(
            "--search {name}={text} has one value only: give it as the setting {name}={value}, or more values.",
            name=name,
            text=text,
            value=value,
        )
    )


def _value(word: str) -> Value:
    if _WHOLE.fullmatch(word):
        return int(word)
    return float(word) if re.fullmatch(_NUMBER, word) else word


def parse_all(texts: Sequence[str]) -> dict[str, str]:
    """['rate=0.1..1', ...] as {name: space}, still as text. Raises ConfigError where there is none, or one twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, sign, space = text.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not name:
            raise ConfigError(
                tr(
                    "--search {text}: write NAME=SPACE, as in --search learning_rate=log:1e-4..1e-2.",
                    text=text,
                )
            )
        if name in found:
            raise ConfigError(tr("--search has {name} twice: give one space for it.", name=name))
        found[name] = space
    if not found:
        raise ConfigError(
            tr("There is nothing to search: add --search NAME=SPACE, as in --search rate=log:0.1..10.")
        )
    return found


# ---------------------------------------------------------------- what lies in a space
def points(space: Space) -> float:
    """How many values it has; infinity for numbers without steps."""
    if space.kind == "choice":
        return len(space.choices)
    if space.kind == "float" and space.step is None:
        return math.inf
    return round((space.high - space.low) / (space.step or 1)) + 1


def _values(space: Space) -> list[Value]:
    if space.kind == "choice":
        return list(space.choices)
    step = Decimal(str(space.step or 1))
    found = [Decimal(str(space.low)) + at * step for at in range(int(points(space)))]
    return [int(one) if space.kind == "int" else float(one) for one in found]


def every_point(spaces: Mapping[str, Space]) -> Iterator[dict[str, Value]]:
    """All combinations of spaces that have finitely many values."""
    for several in product(*map(_values, spaces.values())):
        yield dict(zip(spaces, several, strict=True))


def corners(spaces: Mapping[str, Space], names: Iterable[str]) -> Iterator[dict[str, Value]]:
    """All combinations of the choices and ends of some names; nothing where none of them is searched."""
    found: dict[str, tuple[Value, ...]] = {}
    for name in names:
        if name in spaces:
            one = spaces[name]
            whole = one.kind == "int"
            ends = tuple(int(end) if whole else end for end in (one.low, one.high))
            found[name] = one.choices if one.kind == "choice" else ends
    if found:
        for several in product(*found.values()):
            yield dict(zip(found, several, strict=True))


def contains(space: Space, value: object) -> bool:
    """Whether a value lies in a space."""
    if space.kind == "choice":
        return value in space.choices
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if not space.low <= value <= space.high or (space.kind == "int" and value != int(value)):
        return False
    steps = (value - space.low) / space.step if space.step else 0.0
    return abs(steps - round(steps)) < 1e-9


# ---------------------------------------------------------------- what a config says of it
def require_names(
    names: Sequence[str], kind: type[Config], numbers: Mapping[str, object], refused: Mapping[str, str]
) -> None:
    """Raise ConfigError for a name that is no setting, or one that no search may change, with the reason.

    numbers: of the network in words. refused: setting -> why it is not searched, already in the user's language.
    """
    for name in names:
        if name in numbers:
            continue
        if name in refused:
            raise ConfigError(tr("--search {name}: {reason}", name=name, reason=refused[name]))
        if name not in kind.model_fields:
            known = [*numbers, *(one for one in kind.model_fields if one not in refused)]
            near = nearest(name, known)
            if near:
                raise ConfigError(
                    tr("There is no setting '{name}' to search. Did you mean '{near}'?", name=name, near=near)
                )
            raise ConfigError(
                tr(
                    "There is no setting '{name}' to search. Known: {names}.",
                    name=name,
                    names=", ".join(known),
                )
            )


def with_values(config: C, values: Mapping[str, Value], numbers: Mapping[str, object]) -> C:
    """The settings with these values in them, checked as if they had been typed. Raises ConfigError.

    numbers: names that belong to the network in words; their values go into the setting `numbers`.
    """
    kinds = {one.name: one.kind for one in options(type(config))}
    update: dict[str, Any] = {}
    within: dict[str, Value] = {}
    for name, value in values.items():
        if name in numbers:
            within[name] = value
        else:
            update[name] = str(value) if kinds[name] is str else value
    if within:
        given = getattr(config, "numbers", None)
        kept = [
            one for one in (given or "").split(",") if one and one.partition("=")[0].strip() not in within
        ]
        update["numbers"] = ",".join([*kept, *(f"{name}={value}" for name, value in within.items())])
    return build(type(config), {**config.model_dump(), **update})


def require_possible(
    config: C,
    spaces: Mapping[str, Space],
    numbers: Mapping[str, object],
    sense: Callable[[C], None] = lambda config: None,
) -> None:
    """Raise ConfigError where a setting refuses a choice of its space, or one of its ends.

    sense: raises UsageError for settings that do not go together.
    """
    kinds = {one.name: one.kind for one in options(type(config))}
    for name, space in spaces.items():
        if space.kind == "float" and name not in numbers and kinds[name] is int:
            raise ConfigError(
                tr("--search {name}: {name} takes whole numbers, as in {name}=8..64.", name=name)
            )
        ends: tuple[Value, ...] = space.choices
        if space.kind != "choice":
            ends = tuple(int(one) if space.kind == "int" else one for one in (space.low, space.high))
        for value in ends:
            try:
                sense(with_values(config, {name: value}, numbers))
            except UsageError as error:
                raise ConfigError(tr("--search {name}: {reason}", name=name, reason=error)) from None
