"""Numbers as people and spreadsheets write them: 1.234,50 €, (1,234.50), 12,5 %, −3, 1e5.

Whole arrays of distinct texts at once, with pyarrow's compiled functions; cell by cell where `lean` stands for it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vistazo.tables.arrow import pa, pc
from vistazo.tables.texts import matches

__all__ = ["Decimal", "NumberForms", "number_forms", "parse_numbers"]

Decimal = Literal["point", "comma"]

_SPACES = "[\u00a0\u2007\u2009\u202f'’]"  # between thousands: narrow and fixed spaces, the Swiss apostrophe
_MINUS = "[\u2212\u2013\ufe63\uff0d]"
_CURRENCY = r"(?:€|\$|£|¥|US\$|(?i:EUR|USD|GBP|CHF|MXN|ARS|COP|CLP|PEN|euros?))"


def _pattern(decimal: str, group: str) -> str:
    """Numbers under one decimal sign. The first group of thousands never begins with 0, as in 0.125."""
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:(?:{group}\d{{3}})+|(?: \d{{3}})+))"
    power = r"[eE][+-]?\d{1,3}"
    return rf"^[+-]?(?:{whole}(?:{decimal}\d*)?|{decimal}\d+|(?:\d+(?:{decimal}\d*)?|{decimal}\d+){power})$"


_POINT = _pattern(r"\.", ",")
_COMMA = _pattern(",", r"\.")


@dataclass(frozen=True)
class NumberForms:
    """Which of some texts are numbers, under either decimal sign; each (texts,) bool.

    ambiguous: numbers under both, with different values, such as 1.234.
    code: digits that name a thing: a leading zero (08001), or more of them than a float can hold.
    percent, currency: whether such a sign was met.
    """

    point: NDArray[np.bool_]
    comma: NDArray[np.bool_]
    ambiguous: NDArray[np.bool_]
    code: NDArray[np.bool_]
    percent: bool
    currency: str


def number_forms(texts: pa.StringArray) -> NumberForms:
    """Judge texts, (texts,) and trimmed, under both decimal signs."""
    bare = _bare(texts)
    point, comma = matches(bare, _POINT), matches(bare, _COMMA)
    both = point & comma
    ambiguous = both & matches(bare, "[.,]") if both.any() else both
    code = matches(texts, r"^(?:0\d+|\d{16,})$")
    if bare is texts:  # not one sign to remove
        return NumberForms(point, comma, ambiguous, code, False, "")
    signed = texts.filter(pa.array(point | comma))
    percent = bool(matches(signed, "%$").any())
    symbols = pc.extract_regex(signed, rf"(?P<sign>{_CURRENCY})").field("sign").drop_null().unique()
    return NumberForms(point, comma, ambiguous, code, percent, " ".join(sorted(symbols.to_pylist())))


def parse_numbers(texts: pa.StringArray, decimal: Decimal) -> NDArray[np.float64]:
    """The number of each text, (texts,) float64; NaN where it is none under that decimal sign."""
    bare = _bare(texts)
    fits = matches(bare, _POINT if decimal == "point" else _COMMA)
    if not fits.all():
        bare = pc.if_else(pa.array(fits), bare, pa.scalar(None, pa.string()))
    for sign, instead in ((" ", ""), (",", "")) if decimal == "point" else ((" ", ""), (".", ""), (",", ".")):
        bare = pc.replace_substring(bare, sign, instead)
    numbers = pc.cast(bare, pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(numbers), numbers, np.nan)  # 1e999


def _bare(texts: pa.StringArray) -> pa.StringArray:
    """Texts without currency, percent and odd signs; the same object where there are none."""
    odd = matches(texts, r"[^0-9.,+\-eE]")
    if not odd.any():
        return texts
    cleaned = texts.filter(pa.array(odd))
    for pattern, instead in (
        (_SPACES, " "),
        (_MINUS, "-"),
        (rf"^([+-]?)\s*{_CURRENCY}\s*", r"\1"),
        (rf"\s*(?:{_CURRENCY}|%)$", ""),
        (r"^\(\s*([^-+()]*)\)$", r"-\1"),  # accountants' negative
        (rf"^([+-]?)\s*{_CURRENCY}\s*", r"\1"),  # within the parentheses
        (rf"\s*(?:{_CURRENCY}|%)$", ""),
        (r"^([+-])\s+", r"\1"),
    ):
        cleaned = pc.replace_substring_regex(cleaned, pattern, instead)
    return pc.replace_with_mask(texts, pa.array(odd), cleaned)
