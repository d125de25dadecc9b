"""A network written down in words, without code. Free of torch.

    ["conv 32 3x3 relu l2=1e-5", "pool 2", "dropout 0.3", "flatten", "dense 100 relu", "dense classes softmax"]

`vistazo.networks.word_grammar` has the language. Words become a network in three steps: `resolve` gives every number
its value, `vistazo.networks.word_table.table` checks the whole for a picture's size, `word_layers` builds it.

A number can be searched and set. In braces it has a name, a usual value, and may be calculated with:
`conv {filters=32}`, `conv {2*filters}`. Any other number has an address: `conv1.filters`, `dropout2.rate`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vistazo.language import tr
from vistazo.networks.word_grammar import LONGEST, Layer, WordsError, as_number, bounded, parse, plain
from vistazo.networks.word_sums import NAME, calculate, names_in
from vistazo.registry import nearest

__all__ = ["MOST_LAYERS", "numbers", "read_values", "resolve", "split"]

MOST_LAYERS = 200
_BRACES = re.compile(r"\{([^{}]*)\}")
_NAMED = re.compile(rf"\s*({NAME})\s*=\s*([+-]?[^=]*)")
_ADDRESS = rf"[a-z]+\d{{1,3}}\.[a-z0-9]+|{NAME}"


def split(words: Any) -> list[str]:
    """The lines of a network: of a text, parted by ; or , or new lines; what follows a # is left out.

    Raises WordsError where there is none, or more than 200, or one of more than 200 characters.
    """
    if isinstance(words, str):
        parts = [one.partition("#")[0] for one in words[: 2 * LONGEST * MOST_LAYERS].splitlines()]
        # A list as TOML and JSON write it is understood too.
        words = re.split(r"[;,\n]", re.sub(r"[\[\]\"']", "", "\n".join(parts)))
    if not isinstance(words, Sequence) or not all(isinstance(one, str) for one in words):
        raise WordsError(tr("A network in words is a list of lines, each a text such as `conv 32 3x3 relu`."))
    lines = [" ".join(one.split()) for one in words[: 4 * MOST_LAYERS] if one.strip()]
    if not lines:
        raise WordsError(tr("The network has no layers. The least there can be is `dense classes softmax`."))
    if len(lines) > MOST_LAYERS:
        raise WordsError(
            tr("A network in words has {most} layers at most; these are more.", most=MOST_LAYERS)
        )
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST or re.search(r"[<>`\x00-\x1f]", line):
            raise WordsError(
                tr(
                    "Layer {n} is no line of a network: it has {most} characters at most, and no < or >.",
                    n=number,
                    most=LONGEST,
                )
            )
    return lines


def numbers(words: Any) -> dict[str, int | float]:
    """Every number that can be set or searched, with its value: those named in braces, then all others by address.

    >>> numbers(["conv {filters=32} 3x3 relu", "pool 2", "dense classes softmax"])
    {'filters': 32, 'conv1.kernel': 3, 'pool1.size': 2}
    """
    lines = split(words)
    found = _named(lines)
    for layer in parse(_filled(lines, found)):
        found |= {f"{layer.name}.{what}": layer.numbers[what] for what in _plain(layer)}
    return found


def resolve(words: Any, values: Mapping[str, Any] | None = None) -> list[str]:
    """The lines with every number in its place and everything said, as a model file has them.

    values: of named numbers and of addresses; those left out are as written. Raises WordsError: for a name that the
    words do not have (with the nearest), a value that cannot be, or words that are not understood.

    >>> resolve("conv {filters=32} 3x3 relu; dense classes", {"filters": 16})
    ['conv 16 3x3 relu valid', 'dense classes']
    """
    lines, values = split(words), {name.casefold(): value for name, value in (values or {}).items()}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e12:
            raise WordsError(tr("'{name}' is a number, not {value!r}.", name=name, value=value))
    named = _named(lines)
    layers = parse(_filled(lines, named | {name: values[name] for name in named if name in values}))
    addressed = {name: value for name, value in values.items() if name not in named}
    return [str(one) for one in _set(layers, addressed, list(named))]


def read_values(text: str) -> dict[str, int | float]:
    """`filters=16,l2=1e-5` as names and numbers. Raises WordsError."""
    found: dict[str, int | float] = {}
    for part in filter(str.strip, re.split(r"[;,\n]", text)):
        name, _, written = (one.strip().casefold() for one in part.partition("="))
        value = as_number(written)
        if value is None or not re.fullmatch(_ADDRESS, name) or name in found:
            raise WordsError(
                tr(
                    "--numbers takes a number for each name, once, as in {example}, not '{text}'.",
                    example="filters=16,dropout1.rate=0.4",
                    text=part.strip()[:LONGEST],
                )
            )
        found[name] = value
    return found


# ---------------------------------------------------------------- names in braces
def _named(lines: list[str]) -> dict[str, int | float]:
    """The names in braces with their usual values. Raises WordsError."""
    found: dict[str, int | float] = {}
    mentioned: list[tuple[int, str, str]] = []
    for number, line in enumerate(lines, 1):
        for inner in _BRACES.findall(line):
            inner = inner.casefold()
            named = _NAMED.fullmatch(inner)
            if not named:
                mentioned += [(number, line, name) for name in _within(number, line, names_in, inner)]
                continue
            name, value = named[1], as_number(named[2])
            if value is None:
                reason = tr(
                    "the usual value of '{name}' is a number, not '{value}'", name=name, value=named[2]
                )
                raise _fault(number, line, reason)
            if found.setdefault(name, value) != value:
                reason = tr(
                    "'{name}' has the value {value} already; say it once", name=name, value=found[name]
                )
                raise _fault(number, line, reason)
    for number, line, name in mentioned:
        if name not in found:
            reason = tr(
                "'{name}' has no value; write {example} once", name=name, example="{" + f"{name}=32" + "}"
            )
            raise _fault(number, line, reason)
    return found


def _filled(lines: list[str], values: Mapping[str, int | float]) -> list[str]:
    """The lines with what stands in braces calculated, and marked as such."""

    def fill(number: int, line: str) -> str:
        def value(match: re.Match[str]) -> str:
            inner = match[1].casefold()
            named = _NAMED.fullmatch(inner)
            result = (
                values[named[1]]
                if named
                else _within(number, line, lambda text: calculate(text, values), inner)
            )
            return f"<{plain(result)}>"

        filled = _BRACES.sub(value, line)
        if "{" in filled or "}" in filled:
            raise _fault(number, line, tr("a brace has no partner"))
        return filled

    return [fill(number, line) for number, line in enumerate(lines, 1)]


def _within(number: int, line: str, act: Any, text: str) -> Any:
    try:
        return act(text)
    except WordsError as error:
        raise _fault(number, line, str(error)) from None


def _fault(number: int, line: str, reason: str) -> WordsError:
    return Layer(number, line, "flatten", "").fault(reason)


# ---------------------------------------------------------------- numbers by address
def _plain(layer: Layer) -> list[str]:
    """The numbers of a layer that have an address: written, and not in braces."""
    return [what for what, braced in layer.written.items() if not braced]


def _set(layers: tuple[Layer, ...], values: Mapping[str, int | float], named: list[str]) -> tuple[Layer, ...]:
    """The layers with these numbers changed. Raises WordsError for an address that there is not."""
    by_name = {one.name: one for one in layers}
    known = [*named, *(f"{one.name}.{what}" for one in layers for what in _plain(one))]
    for address, value in values.items():
        name, _, what = address.partition(".")
        layer = by_name.get(name)
        if address not in known:
            raise WordsError(_no_such(address, known, layer, what))
        assert layer is not None
        value = plain(value)
        if reason := bounded(what, value):
            raise layer.fault(reason)
        changed = replace(layer, numbers={**layer.numbers, what: value})
        if what in ("kernel", "size"):
            changed = replace(changed, kernel=(int(value), int(value)))
        by_name[name] = changed
    return tuple(by_name[one.name] for one in layers)


def _no_such(address: str, known: list[str], layer: Layer | None, what: str) -> str:
    if layer is not None and layer.written.get(what):
        return tr(
            "The number '{name}' has a name in braces in layer {n} (`{words}`), or two sides: set it by that.",
            name=address,
            n=layer.number,
            words=layer.words,
        )
    near, listed = nearest(address, known), ", ".join(known[:40])
    if near:
        return tr(
            "The network has no number '{name}'. Did you mean '{near}'? Known: {known}.",
            name=address,
            near=near,
            known=listed,
        )
    if listed:
        return tr("The network has no number '{name}'. Known: {known}.", name=address, known=listed)
    return tr("The network has no number '{name}', nor any other to set.", name=address)
