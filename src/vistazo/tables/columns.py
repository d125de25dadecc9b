"""From cells to columns: gather facts about every column, decide what it is, then convert it.

Everything is done on the distinct texts of a block and their counts, so a column costs what its variety costs.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import ReadTwoWays
from vistazo.language import mark, tr
from vistazo.tables.arrow import pa, pc
from vistazo.tables.config import TableConfig
from vistazo.tables.dates import DateOrder, date_forms, parse_compact, parse_dates
from vistazo.tables.numbers import Decimal, number_forms, parse_numbers
from vistazo.tables.table import MOST_FAULTS, Column, Fault, Kind, natural_order, shortened
from vistazo.tables.texts import is_formula, is_infinite, is_missing, is_total, matches

__all__ = ["Facts", "Filling", "Reading", "Seen", "clear_decimal", "decide"]

ENOUGH = 0.9  # of the cells must be of a type for the column to be of it

_ORDERS = {
    "dmy": mark("day/month/year"),
    "mdy": mark("month/day/year"),
    "ymd": mark("year-month-day"),
}
_DECIMALS = {"point": mark("decimal point"), "comma": mark("decimal comma")}


@dataclass(frozen=True)
class Seen:
    """What was seen of some distinct texts, each (texts,) bool.

    blank: nothing at all.  quiet: missing or a number.  total: a word that heads totals.
    """

    blank: NDArray[np.bool_]
    quiet: NDArray[np.bool_]
    total: NDArray[np.bool_]


@dataclass
class Facts:
    """Numbers of cells of one column, gathered block by block. `there` counts no totals, formulas and infinities."""

    there: int = 0
    totals: int = 0
    point: int = 0
    comma: int = 0
    point_alone: int = 0
    comma_alone: int = 0
    ambiguous: int = 0
    example: str = ""
    codes: int = 0
    shortest: int = 1 << 30
    longest: int = 0
    compact: int = 0
    dmy: int = 0
    mdy: int = 0
    ymd: int = 0
    dmy_alone: int = 0
    mdy_alone: int = 0
    numbered: int = 0
    date_ambiguous: int = 0
    date_example: str = ""
    zoned: bool = False
    percent: bool = False
    currency: set[str] = field(default_factory=set)
    kind: Kind | None = None  # where the file itself says it

    def add_typed(self, cells: Any) -> Seen:
        """Take in cells whose kind the file says."""
        self.kind = "number" if pa.types.is_floating(cells.type) else "date"
        missing = cells.is_null().to_numpy(zero_copy_only=False)
        self.there += len(missing) - int(missing.sum())
        quiet = missing if self.kind == "date" else np.ones(len(missing), dtype=bool)
        return Seen(missing, quiet, np.zeros(len(missing), dtype=bool))

    def add(self, texts: pa.StringArray, counts: NDArray[np.int64]) -> Seen:
        """Take in distinct texts, (texts,) and trimmed, and how many cells hold each."""
        forms = number_forms(texts)
        number = forms.point | forms.comma
        total = np.zeros(len(texts), dtype=bool)
        silent = np.zeros(len(texts), dtype=bool)
        blank = np.zeros(len(texts), dtype=bool)
        words = np.flatnonzero(~number)
        if len(words):
            others = texts.take(pa.array(words))
            blank[words] = matches(others, "^$")
            silent[words] = is_missing(others) | is_formula(others) | is_infinite(others)
            total[words] = is_total(others)
            self._add_dates(others, np.where(silent[words] | total[words], 0, counts[words]))
        self.totals += int(counts[total].sum())
        self.there += int(counts[~silent & ~total].sum())
        self._add_numbers(texts, counts, forms)
        return Seen(blank, silent | number, total)

    def _add_numbers(self, texts: pa.StringArray, counts: NDArray[np.int64], forms: Any) -> None:
        number = forms.point | forms.comma
        if not number.any():
            return
        self.point += int(counts[forms.point].sum())
        self.comma += int(counts[forms.comma].sum())
        self.point_alone += int(counts[forms.point & ~forms.comma].sum())
        self.comma_alone += int(counts[forms.comma & ~forms.point].sum())
        self.ambiguous += int(counts[forms.ambiguous].sum())
        if not self.example and forms.ambiguous.any():
            self.example = texts[int(np.argmax(forms.ambiguous))].as_py()
        self.codes += int(counts[forms.code].sum())
        lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)[number]
        self.shortest = min(self.shortest, int(lengths.min()))
        self.longest = max(self.longest, int(lengths.max()))
        self.percent |= forms.percent
        self.currency |= set(forms.currency.split())
        if self.shortest == self.longest == 8:
            self.compact += int(counts[~np.isnat(parse_compact(texts))].sum())

    def _add_dates(self, texts: pa.StringArray, counts: NDArray[np.int64]) -> None:
        forms = date_forms(texts)
        self.dmy += int(counts[forms.dmy].sum())
        self.mdy += int(counts[forms.mdy].sum())
        self.ymd += int(counts[forms.ymd].sum())
        self.dmy_alone += int(counts[forms.dmy & ~forms.mdy].sum())
        self.mdy_alone += int(counts[forms.mdy & ~forms.dmy].sum())
        self.numbered += int(counts[forms.numbered].sum())
        self.date_ambiguous += int(counts[forms.ambiguous].sum())
        if not self.date_example and forms.ambiguous.any():
            self.date_example = texts[int(np.argmax(forms.ambiguous))].as_py()
        self.zoned |= forms.zoned

    def mostly(self, cells: int) -> bool:
        """Whether so many cells are enough for the column to be of their type."""
        return cells >= ENOUGH * self.there


@dataclass(frozen=True)
class Reading:
    """What a column is and how its cells are understood."""

    kind: Kind
    decimal: Decimal = "point"
    order: DateOrder = "dmy"
    compact: bool = False
    note: str = ""


def decide(name: str, facts: Facts, config: TableConfig, elsewhere: Decimal | None) -> Reading:
    """What a column is.

    elsewhere: the decimal sign that other columns of the file show clearly, where they agree.
    Raises ReadTwoWays where that can be said of its numbers or dates.
    """
    if facts.kind:
        return Reading(facts.kind)
    if not facts.there:
        return Reading("category" if facts.totals else "empty")
    if facts.compact == facts.there:
        return Reading("date", compact=True, note=tr("year, month and day in eight digits"))
    if _are_codes(facts):
        return Reading("category", note=tr("codes, kept as text"))
    if facts.mostly(max(facts.point, facts.comma)):
        decimal = clear_decimal(facts, config)
        if decimal is None and facts.mostly(min(facts.point, facts.comma)):
            decimal = _decimal_left_open(name, facts, elsewhere)
        if decimal:
            return Reading("number", decimal, note=_number_note(facts, decimal))
    if facts.mostly(max(facts.dmy, facts.mdy, facts.ymd)):
        order = _date_order(name, facts, config)
        return Reading("date", order=order, note=_date_note(facts, order))
    return Reading("category")


def clear_decimal(facts: Facts, config: TableConfig) -> Decimal | None:
    """The decimal sign the settings or the column's own numbers show; None where neither does."""
    fits = {"point": facts.mostly(facts.point), "comma": facts.mostly(facts.comma)}
    if config.decimal != "auto" and fits[config.decimal]:
        return config.decimal
    if facts.point_alone > facts.comma_alone and fits["point"]:
        return "point"
    if facts.comma_alone > facts.point_alone and fits["comma"]:
        return "comma"
    return None


def _decimal_left_open(name: str, facts: Facts, elsewhere: Decimal | None) -> Decimal:
    if not facts.ambiguous:
        return "point"  # whole numbers: either sign reads them alike
    if elsewhere:
        return elsewhere
    shown = {"name": name, "cell": shortened(facts.example)}
    raise ReadTwoWays(
        tr(
            "The numbers of column '{name}' can be read in two ways: '{cell}' may have a decimal sign or a "
            "sign for thousands. Say which with --decimal point or --decimal comma.",
            **shown,
        ),
        "decimal",
        tr(
            "The numbers of column '{name}' can be read in two ways: '{cell}' may have a decimal sign or a sign for "
            "thousands, and what the model learnt from does not tell which. Write numbers without signs for "
            "thousands, and decimals with more or fewer than three digits.",
            **shown,
        ),
    )


def _are_codes(facts: Facts) -> bool:
    """Digits that name things, as 08001 or 0034: all of one length, or more of them than chance slips would be."""
    same_length = facts.shortest == facts.longest
    return facts.codes > 0 and facts.mostly(facts.point) and (same_length or facts.codes > 0.01 * facts.there)


def _date_order(name: str, facts: Facts, config: TableConfig) -> DateOrder:
    cells: dict[DateOrder, int] = {"dmy": facts.dmy, "mdy": facts.mdy, "ymd": facts.ymd}
    if config.date_order != "auto" and facts.mostly(cells[config.date_order]):
        return config.date_order
    if facts.date_ambiguous and not facts.dmy_alone and not facts.mdy_alone:
        shown = {"name": name, "cell": shortened(facts.date_example)}
        raise ReadTwoWays(
            tr(
                "The dates of column '{name}' can be read in two ways: '{cell}' may begin with the day or with the "
                "month. Say which with --date-order dmy or --date-order mdy.",
                **shown,
            ),
            "date_order",
            tr(
                "The dates of column '{name}' can be read in two ways: '{cell}' may begin with the day or with the "
                "month, and what the model learnt from does not tell which. Write them as year, month and day: "
                "2018-12-31.",
                **shown,
            ),
        )
    return max(cells, key=lambda order: cells[order])  # of equals the first: day, month, year


def _number_note(facts: Facts, decimal: Decimal) -> str:
    signs = " ".join(sorted(facts.currency))
    notes = [
        tr(_DECIMALS[decimal]) if facts.ambiguous or facts.point_alone or facts.comma_alone else "",
        signs,
        tr("per cent, as written: 12.5 % is 12.5") if facts.percent else "",
    ]
    return ", ".join(filter(None, notes))


def _date_note(facts: Facts, order: DateOrder) -> str:
    notes = [
        tr(_ORDERS[order]) if facts.numbered else tr("year, month and day as written"),
        tr("times in UTC") if facts.zoned else "",
    ]
    return ", ".join(filter(None, notes))


class Filling:
    """One column while its cells come in, block by block."""

    def __init__(self, name: str, reading: Reading, rows: int) -> None:
        self.name = name
        self.faults: list[Fault] = []
        self.fault_count = 0
        self._reading = reading
        self._at = 0
        self._codes: dict[str, int] = {}
        dtypes = {"number": "float64", "date": "datetime64[s]"}
        self._values: NDArray[Any] = np.empty(rows, dtype=dtypes.get(reading.kind, "int32"))

    def add_typed(self, cells: Any, rows: NDArray[np.int64]) -> None:
        """Take in cells of the file's own kind, (cells,); rows: their numbers in the file."""
        if self._reading.kind == "date":
            self._put(cells.cast(pa.timestamp("s")).to_numpy(zero_copy_only=False))
            return
        numbers = cells.to_numpy(zero_copy_only=False).astype(np.float64)
        infinite = np.isinf(numbers)
        self._put(np.where(infinite, np.nan, numbers))
        self._note_faults(infinite, rows, lambda at: (str(numbers[at]), _INFINITY))

    def add(self, texts: pa.StringArray, codes: NDArray[np.int32], rows: NDArray[np.int64]) -> None:
        """Take in cells: cell i holds texts[codes[i]] and stands in row rows[i] of the file."""
        values = self._parsed(texts, codes)
        silent = is_missing(texts)
        wrong = ~silent & self._without_value(values)
        self._put(values[codes])
        if wrong.any():
            self._note_faults(wrong[codes], rows, lambda at: self._reason(texts[int(codes[at])].as_py()))

    def finished(self) -> Column:
        """The whole column, its categories in natural order."""
        kind, note = self._reading.kind, self._reading.note
        if kind != "category":
            return Column(self.name, kind, self._values, reading=note)
        texts = list(self._codes)
        if not texts:
            return Column(self.name, "empty", self._values)
        order = natural_order(texts)
        ranks = np.empty(len(order) + 1, dtype=np.int32)
        ranks[order] = np.arange(len(order), dtype=np.int32)
        ranks[-1] = -1
        return Column(self.name, kind, ranks[self._values], tuple(texts[at] for at in order), note)

    def _parsed(self, texts: pa.StringArray, codes: NDArray[np.int32]) -> NDArray[Any]:
        """The value of each distinct text: NaN, NaT or -1 where it has none."""
        reading = self._reading
        if reading.kind == "number":
            return parse_numbers(texts, reading.decimal)
        if reading.kind == "date":
            return parse_compact(texts) if reading.compact else parse_dates(texts, reading.order)
        used = np.zeros(len(texts), dtype=bool)  # a row of totals may have been left out
        used[codes] = True
        named = used & ~is_missing(texts) & ~is_formula(texts) & (reading.kind == "category")
        values = np.full(len(texts), -1, dtype=np.int32)
        values[named] = [
            self._codes.setdefault(text, len(self._codes))
            for text in texts.filter(pa.array(named)).to_pylist()
        ]
        return values

    def _without_value(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        if self._reading.kind == "number":
            return np.asarray(np.isnan(values))
        return np.asarray(np.isnat(values) if self._reading.kind == "date" else values < 0)

    def _put(self, values: NDArray[Any]) -> None:
        self._values[self._at : self._at + len(values)] = values
        self._at += len(values)

    def _note_faults(self, wrong: NDArray[np.bool_], rows: NDArray[np.int64], told: Any) -> None:
        found = np.flatnonzero(wrong)
        self.fault_count += len(found)
        for at in found[: MOST_FAULTS - len(self.faults)].tolist():
            text, reason = told(at)
            self.faults.append(Fault(int(rows[at]), self.name, shortened(text), tr(reason)))

    def _reason(self, text: str) -> tuple[str, str]:
        single = pa.array([text])
        if is_formula(single)[0]:
            return text, _FORMULA
        if self._reading.kind != "date" and is_infinite(single)[0]:
            return text, _INFINITY
        return text, _NO_NUMBER if self._reading.kind == "number" else _NO_DATE


_FORMULA = mark("a formula without its value; open and save the file in Excel")
_INFINITY = mark("infinity is no number to learn from")
_NO_NUMBER = mark("not a number")
_NO_DATE = mark("not a date")
