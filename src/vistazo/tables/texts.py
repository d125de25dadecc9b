"""Cells as texts: which of them hold nothing, a total, or what no column can use. Whole arrays at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.tables.arrow import pa, pc

__all__ = ["FORMULA", "distinct", "is_formula", "is_infinite", "is_missing", "is_total", "matches"]

FORMULA = "\0"  # stands before an Excel formula without a value; no file of text may hold it

_MISSING = (
    "",
    *("-", "--", "---", "–", "—", ".", "..", "...", "?", "¿?"),
    *("na", "n/a", "n.a.", "<na>", "#n/a", "#na", "#n/d", "n/d", "n.d.", "s/d", "s.d.", "s/n"),
    *("null", "none", "nan", "nat", "nil", "(null)", "(blank)", "(en blanco)", "\\n"),
    *("#div/0!", "#¡div/0!", "#value!", "#¡valor!", "#ref!", "#¡ref!", "#name?", "#¿nombre?"),
    *("#num!", "#¡num!", "#null!", "#¡nulo!"),
)
_MISSING_WORDS = pa.array(_MISSING)
_INFINITE = r"(?i)^[+\-\x{2212}]?(?:inf|infinity|infinito|∞)$"
_PERIOD = (
    "enero|febrero|marzo|abril|mayo|junio|julio|agosto|sep?tiembre|octubre|noviembre|diciembre"
    "|january|february|march|april|may|june|july|august|september|october|november|december"
    "|ene|feb|mar|abr|apr|jun|jul|ago|aug|sept?|oct|nov|dic|dec|jan"
    "|mes|trimestre|semestre|month|quarter|año|year"
)
_TOTAL = (
    r"(?i)^(?:gran\s+|grand\s+|sub\s?-?\s?)?(?:total(?:es|s)?|suma|sum)"
    rf"(?:\s+(?:general|final|anual|acumulado|del?|of|for)\b.{{0,30}}|\s+(?:{_PERIOD})\b.{{0,20}}"
    r"|\s+[tq]?[\d/.-]{1,10}[tq]?)?\s*:?$"
)


def distinct(cells: Any) -> tuple[pa.StringArray, NDArray[np.int32]]:
    """The distinct texts of some cells, trimmed, and which one each cell holds, (cells,) int32."""
    coded = cells if pa.types.is_dictionary(cells.type) else cells.fill_null("").dictionary_encode()
    texts = pc.utf8_trim_whitespace(coded.dictionary)
    return texts, coded.indices.to_numpy(zero_copy_only=False)


def matches(texts: Any, pattern: str) -> NDArray[np.bool_]:
    """Which texts match a regular expression (RE2: linear in the text's length), (texts,) bool."""
    found: NDArray[Any] = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return found.astype(bool)


def is_missing(texts: Any) -> NDArray[np.bool_]:
    """Which texts say that there is no value, (texts,) bool."""
    found: NDArray[Any] = pc.is_in(pc.utf8_lower(texts), value_set=_MISSING_WORDS).to_numpy(
        zero_copy_only=False
    )
    return found.astype(bool)


def is_infinite(texts: Any) -> NDArray[np.bool_]:
    """Which texts say infinity, (texts,) bool."""
    return matches(texts, _INFINITE)


def is_total(texts: Any) -> NDArray[np.bool_]:
    """Which texts head a row of totals, such as 'Total 2018:' or 'Suma', (texts,) bool."""
    return matches(texts, _TOTAL)


def is_formula(texts: Any) -> NDArray[np.bool_]:
    """Which texts are Excel formulas whose value the file does not hold, (texts,) bool."""
    return np.asarray(pc.starts_with(texts, FORMULA).to_numpy(zero_copy_only=False)).astype(bool)
