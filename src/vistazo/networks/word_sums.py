"""Sums in braces: the little arithmetic of a network in words. Free of torch; nothing is ever executed.

    sum     = product (("+" | "-") product)*
    product = factor (("*" | "/") factor)*
    factor  = number | name | "-" factor | "(" sum ")"

Numbers have nine digits before the point at most, so that neither time nor memory can be asked for by writing.
"""

import re
from collections.abc import Mapping

from vistazo.language import tr
from vistazo.networks.word_grammar import NUMBER, WordsError, plain

__all__ = ["NAME", "calculate", "names_in"]

NAME = r"[a-z_][a-z0-9_]{0,39}"
_TOKEN = re.compile(rf"\s*(?:(?P<number>{NUMBER})|(?P<name>{NAME})|(?P<sign>[-+*/()]))")
_DEEPEST = 20  # brackets within brackets
_LARGEST = 1e12


def names_in(text: str) -> list[str]:
    """The names in a sum, in order. Raises WordsError where it is no sum."""
    return [token for token, kind in _tokens(text) if kind == "name"]


def calculate(text: str, values: Mapping[str, int | float]) -> int | float:
    """What a sum comes to; a whole result is an int. Raises WordsError where it is no sum or has no value.

    >>> calculate("2 * (filters + 4) / 3", {"filters": 8})
    8
    """
    return _Sum(text, values).result()


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise WordsError(_no_sum(text))
        kind = str(match.lastgroup)
        found.append((match[kind], kind))
        at = match.end()
    if not found:
        raise WordsError(_no_sum(text))
    return found


def _no_sum(text: str) -> str:
    return tr(
        "'{text}' cannot be calculated: in braces stand numbers and names with + - * / and brackets, as in "
        "{example}",
        text=text,
        example="{2*filters}",
    )


class _Sum:
    """One reading of a sum, from left to right."""

    def __init__(self, text: str, values: Mapping[str, int | float]) -> None:
        self._text, self._values = text, values
        self._left = _tokens(text)[::-1]
        self._depth = 0

    def result(self) -> int | float:
        value = self._sum()
        if self._left:
            raise WordsError(_no_sum(self._text))
        return plain(value)

    def _next(self, *signs: str) -> str:
        """The sign that comes next, taken, where it is one of these; else ''."""
        if self._left and self._left[-1][1] == "sign" and self._left[-1][0] in signs:
            return self._left.pop()[0]
        return ""

    def _sum(self) -> int | float:
        value = self._product()
        while sign := self._next("+", "-"):
            other = self._product()
            value = self._bounded(value + other if sign == "+" else value - other)
        return value

    def _product(self) -> int | float:
        value = self._factor()
        while sign := self._next("*", "/"):
            other = self._factor()
            if sign == "/" and other == 0:
                raise WordsError(tr("'{text}' divides by 0", text=self._text))
            value = self._bounded(value * other if sign == "*" else value / other)
        return value

    def _factor(self) -> int | float:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise WordsError(_no_sum(self._text))
        try:
            if self._next("-"):
                return -self._factor()
            if self._next("("):
                value = self._sum()
                if not self._next(")"):
                    raise WordsError(_no_sum(self._text))
                return value
            if not self._left or self._left[-1][1] == "sign":
                raise WordsError(_no_sum(self._text))
            token, kind = self._left.pop()
            return self._values[token] if kind == "name" else plain(float(token))
        finally:
            self._depth -= 1

    def _bounded(self, value: int | float) -> int | float:
        if not abs(value) <= _LARGEST:
            raise WordsError(tr("'{text}' becomes too large", text=self._text))
        return value
