"""The language of a network in words: one line is one layer. Free of torch.

    conv FILTERS [KxK] [ACTIVATION] [same|valid] [stride=2] [groups=4] [l1=1e-5] [l2=1e-5]
    depthwise [KxK] [ACTIVATION] [same|valid] [stride=2] [l1=] [l2=]
    pool SIZE [max|average] [same|valid] [stride=2]
    globalpool [average|max]
    batchnorm
    dropout RATE
    flatten
    dense UNITS|classes [ACTIVATION] [l1=] [l2=]
    [activation] ACTIVATION

Upper case and more spaces mean the same. A number may be named: `filters=32` is `32`. What is not said is as in Keras:
kernels of 3 × 3, 'valid' borders, steps of 1, and a pool that takes the maximum and steps by its size.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.registry import nearest

__all__ = [
    "ACTIVATIONS",
    "LONGEST",
    "NUMBER",
    "Layer",
    "WordsError",
    "as_number",
    "bounded",
    "parse",
    "plain",
]

LONGEST = 200  # characters of a line
NUMBER = r"(?:\d{1,9}(?:\.\d{0,24})?|\.\d{1,24})(?:e[+-]?\d{1,2})?"
# The numbers that activations have besides, with the value that is meant where none is given. 0.1 is what the tutorials
# give leaky ReLU; Maas et al. 2013 had 0.01.
ACTIVATIONS: dict[str, tuple[str, float] | None] = {
    "relu": None, "leaky_relu": ("slope", 0.1), "prelu": None, "sigmoid": None, "tanh": None, "swish": None,
    "elu": ("alpha", 1.0), "gelu": None, "softmax": None, "linear": None,
}  # fmt: skip
# What was calculated in braces is marked, so that it is known not to be a plain number.
_MARKED = re.compile(rf"<?[+-]?{NUMBER}>?")
_SIDES = re.compile(rf"(<?{NUMBER}>?)[x×](<?{NUMBER}>?)")
_WHOLE = {"filters": 10_000, "units": 100_000, "kernel": 100, "size": 100, "stride": 100, "groups": 10_000}
_UPTO = {"l1": 1000.0, "l2": 1000.0, "slope": 10.0, "alpha": 100.0}


class WordsError(ConfigError, ValueError):
    """A network in words that cannot be understood or built, in a sentence that names the first layer at fault."""


@dataclass(frozen=True)
class _Kind:
    """What may stand in a line. first: its numbers by place. named: those with a name alone. words: what else.

    example: for the sentence that something lacks. needed: how many of `first` have to be there.
    """

    example: str
    first: tuple[str, ...] = ()
    needed: int = 0
    named: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    active: bool = False


_KINDS = {
    "conv": _Kind(
        "conv 32 3x3 relu",
        ("filters", "kernel"),
        1,
        ("stride", "groups", "l1", "l2"),
        ("same", "valid"),
        True,
    ),
    "depthwise": _Kind("depthwise 3x3 relu", ("kernel",), 0, ("stride", "l1", "l2"), ("same", "valid"), True),
    "pool": _Kind("pool 2", ("size",), 1, ("stride",), ("max", "average", "same", "valid")),
    "globalpool": _Kind("globalpool", words=("average", "max")),
    "batchnorm": _Kind("batchnorm"),
    "dropout": _Kind("dropout 0.3", ("rate",), 1),
    "flatten": _Kind("flatten"),
    "dense": _Kind("dense 100 relu", ("units",), 1, ("l1", "l2"), ("classes",), True),
    "activation": _Kind("activation relu", active=True),
}
_ALIASES = {
    "conv2d": "conv", "convolution": "conv", "maxpool": "pool", "batch_norm": "batchnorm",
    "batchnormalization": "batchnorm", "batch_normalization": "batchnorm", "global_pool": "globalpool",
    "silu": "swish", "leakyrelu": "leaky_relu", "avg": "average", "mean": "average",
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """A line. number: from 1 on. words: as they stand. kind: the first of them. name: as conv1, counted by kind.

    numbers: by name, with those that are left out and have a usual value. kernel: (height, width) of a convolution or a
    pool. padding: 'same' or 'valid'. how: 'max' or 'average'. activation: 'linear' for none. units of `dense classes`
    are not among the numbers.
    written: the numbers that stand in the line, and whether a name in braces stands behind them.
    """

    number: int
    words: str
    kind: str
    name: str
    numbers: Mapping[str, int | float] = field(default_factory=dict)
    kernel: tuple[int, int] = (1, 1)
    padding: str = "valid"
    how: str = "max"
    activation: str = "linear"
    written: Mapping[str, bool] = field(default_factory=dict)

    def __str__(self) -> str:
        """The line with everything said, as a model file has it."""
        words: list[str] = [self.kind] if self.kind != "activation" else []
        kind, activation = _KINDS[self.kind], self._activation()
        for one in kind.first:
            if one in ("kernel", "size"):
                words.append(f"{self.kernel[0]}x{self.kernel[1]}")
            else:
                words.append(str(self.numbers[one]) if one in self.numbers else "classes")
        if self.kind in ("pool", "globalpool"):
            words.append(self.how)
        words += [activation] if activation else []
        words += [self.padding] if "valid" in kind.words else []
        return " ".join(
            [*words, *(f"{one}={self.numbers[one]}" for one in kind.named if one in self.written)]
        )

    def _activation(self) -> str:
        if self.activation == "linear" and self.kind != "activation":
            return ""
        more = ACTIVATIONS[self.activation]
        return f"{self.activation}={self.numbers[more[0]]}" if more else self.activation

    def fault(self, reason: str) -> WordsError:
        """The sentence that names this layer as the one at fault."""
        return _fault(self.number, self.words, reason)


def parse(lines: list[str]) -> tuple[Layer, ...]:
    """The layers of lines without braces. Raises WordsError, which names the first line that is not understood."""
    counts: dict[str, int] = {}
    return tuple(_Line(number, line).read(counts) for number, line in enumerate(lines, 1))


def plain(value: int | float) -> int | float:
    """A whole number as an int."""
    return int(value) if abs(value) < 1e15 and value == int(value) else value


def as_number(text: str) -> int | float | None:
    """The number that a text is, None where it is none."""
    return plain(float(text)) if re.fullmatch(rf"[+-]?{NUMBER}", text.strip()) else None


def bounded(what: str, value: int | float) -> str:
    """Why a number cannot be that of a layer, as the end of a sentence; '' where it can."""
    if what in _WHOLE:
        if not isinstance(value, int) or not 1 <= value <= _WHOLE[what]:
            return tr(
                "`{what}` is a whole number from 1 to {most}, not {value}",
                what=what,
                most=_WHOLE[what],
                value=value,
            )
    elif what == "rate":
        if not 0 <= value < 1:
            return tr("`{what}` is a share from 0 to less than 1, not {value}", what=what, value=value)
    elif not 0 <= value <= _UPTO[what]:
        return tr("`{what}` lies between 0 and {most}, not {value}", what=what, most=_UPTO[what], value=value)
    return ""


def _fault(number: int, words: str, reason: str) -> WordsError:
    words = re.sub(r"[<>]", "", words)
    return WordsError(tr("Layer {n} (`{words}`): {reason}.", n=number, words=words, reason=reason))


class _Line:
    """One line while it is read."""

    def __init__(self, number: int, text: str) -> None:
        self.number, self.text = number, text
        # Spaces around x and = are how people write them.
        text = re.sub(r"(?<=[\d>])\s*[x×]\s*(?=[\d<.])", "x", text.casefold())
        self.tokens = re.sub(r"\s*=\s*", "=", text).replace("-relu", "_relu").split()
        self.numbers: dict[str, int | float] = {}
        self.written: dict[str, bool] = {}
        self.said: dict[str, str] = {}
        self.kernel: tuple[int, int] | None = None

    def fault(self, reason: str) -> WordsError:
        return _fault(self.number, self.text, reason)

    def read(self, counts: dict[str, int]) -> Layer:
        first = _known(self.tokens[0].partition("=")[0])
        kind = "activation" if first in ACTIVATIONS else first
        if kind not in _KINDS:
            raise self.fault(_unknown(first, [*_KINDS, *ACTIVATIONS]))
        self.kind, self.rules = kind, _KINDS[kind]
        for token in self.tokens if first in ACTIVATIONS else self.tokens[1:]:
            self._take(token)
        self._complete()
        counts[kind] = counts.get(kind, 0) + 1
        return Layer(
            self.number,
            re.sub(r"[<>]", "", self.text),
            kind,
            f"{kind}{counts[kind]}",
            self.numbers,
            self.kernel or (1, 1),
            self.said.get("padding", "valid"),
            self.said.get("how", "average" if kind == "globalpool" else "max"),
            self.said.get("activation", "linear"),
            self.written,
        )

    def _take(self, token: str) -> None:
        name, given, value = token.partition("=")
        name = _known(name)
        if given:
            if name in self.rules.first or name in self.rules.named:
                self._number(name, value)
            elif self.rules.active and ACTIVATIONS.get(name):
                self._activate(name, value)
            else:
                raise self.fault(_unknown(name, [*self.rules.first, *self.rules.named]))
        elif sides := _SIDES.fullmatch(token):
            self._sides(sides[1], sides[2])
        elif _MARKED.fullmatch(token):
            left = [one for one in self.rules.first if one not in self.written and one not in self.said]
            if not left:
                reason = tr("nothing is known of the number {value}", value=token.strip("<>"))
                raise self.fault(reason)
            self._number(left[0], token)
        elif self.rules.active and name in ACTIVATIONS:
            self._activate(name, "")
        elif name in self.rules.words:
            about = {"same": "padding", "valid": "padding", "classes": "units"}.get(name, "how")
            if about in self.said or about in self.written:
                raise self.fault(_twice(about))
            self.said[about] = name
        else:
            active = ACTIVATIONS if self.rules.active else ()
            raise self.fault(_unknown(name, [*self.rules.words, *active, *self.rules.named]))

    def _activate(self, name: str, value: str) -> None:
        if "activation" in self.said:
            raise self.fault(_twice("activation"))
        self.said["activation"] = name
        more = ACTIVATIONS[name]
        if more and value:
            self._number(more[0], value)
        elif more:
            self.numbers[more[0]] = more[1]

    def _number(self, name: str, text: str) -> None:
        if sides := _SIDES.fullmatch(text):
            self._sides(sides[1], sides[2])
            return
        if name in self.written or name in self.said:
            raise self.fault(_twice(name))
        value = as_number(text.strip("<>"))
        if value is None:
            reason = tr("`{what}` is a number, not '{value}'", what=name, value=text)
            raise self.fault(reason)
        if reason := bounded(name, value):
            raise self.fault(reason)
        self.written[name] = "<" in text
        self.numbers[name] = value
        if name in ("kernel", "size"):
            self.kernel = int(value), int(value)

    def _sides(self, down: str, across: str) -> None:
        name = next((one for one in self.rules.first if one in ("kernel", "size")), "")
        if not name or name in self.written:
            reason = tr("nothing is known of the number {value}", value=f"{down}x{across}")
            raise self.fault(reason)
        for text in (down, across):
            self.written.pop(name, None)
            self._number(name, text)
        self.kernel = int(float(down.strip("<>"))), int(float(across.strip("<>")))
        # Two different sides are two numbers, which have no name together.
        self.written[name] = "<" in down + across or self.kernel[0] != self.kernel[1]

    def _complete(self) -> None:
        """What a line lacks is an error, or has a usual value."""
        missing = [
            one for one in self.rules.first[: self.rules.needed] if one not in {*self.written, *self.said}
        ]
        if missing:
            reason = tr(
                "its number of {what} is missing, as in `{example}`",
                what=missing[0],
                example=self.rules.example,
            )
            raise self.fault(reason)
        if self.kind == "activation" and "activation" not in self.said:
            raise self.fault(tr("it does not say which activation, as in `activation relu`"))
        if self.kernel is None and "kernel" in self.rules.first:
            self.kernel = (3, 3)
        for name, usual in (("stride", 1), ("groups", 1), ("l1", 0.0), ("l2", 0.0)):
            if name in self.rules.named and (self.kind, name) != ("pool", "stride"):
                self.numbers.setdefault(name, usual)


def _known(word: str) -> str:
    return _ALIASES.get(word, word)


def _twice(what: str) -> str:
    return tr("`{what}` is said twice", what=what)


def _unknown(word: str, known: list[str]) -> str:
    near, listed = nearest(word, known), ", ".join(known)
    if near:
        return tr(
            "the word '{word}' is not known there. Did you mean '{near}'? Known: {known}",
            word=word,
            near=near,
            known=listed,
        )
    if known:
        return tr("the word '{word}' is not known there. Known: {known}", word=word, known=listed)
    return tr("nothing can follow, and '{word}' does", word=word)
