"""Dates as people and spreadsheets write them: 2018-01-03T10:00Z, 3/1/18, 3 de enero de 2018, Jan 3, 2018.

Whole arrays of distinct texts at once, with pyarrow's compiled functions; cell by cell where `lean` stands for it.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vistazo.tables.arrow import pa, pc
from vistazo.tables.texts import matches

__all__ = ["DateForms", "DateOrder", "date_forms", "parse_compact", "parse_dates"]

DateOrder = Literal["dmy", "mdy", "ymd"]

_MONTHS = (
    "enero ene january jan",
    "febrero feb february",
    "marzo mar march",
    "abril abr april apr",
    "mayo may",
    "junio jun june",
    "julio jul july",
    "agosto ago august aug",
    "septiembre setiembre sept sep set september",
    "octubre oct october",
    "noviembre nov november",
    "diciembre dic december dec",
)
_MONTH_OF = {word: month for month, words in enumerate(_MONTHS, 1) for word in words.split()}
_MONTH_WORDS = pa.array(list(_MONTH_OF))
_MONTH_NUMBERS = np.array([*_MONTH_OF.values(), 0])  # the last is for words that are no month

_TIME = (
    r"(?:(?:[t,]\s*|\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d{1,9})?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<zone>z|utc|[+-]\d{2}:?\d{2})?)?$"
)
_YEAR_FIRST = (
    r"^(?P<year>\d{4})(?:-(?P<m1>\d{1,2})(?:-(?P<d1>\d{1,2}))?|/(?P<m2>\d{1,2})(?:/(?P<d2>\d{1,2}))?"
)
_YEAR_FIRST += r"|\.(?P<m3>\d{1,2})\.(?P<d3>\d{1,2}))" + _TIME
_NUMBERS = (
    r"^(?P<a>\d{1,2})(?:-(?P<b1>\d{1,2})-|/(?P<b2>\d{1,2})/|\.(?P<b3>\d{1,2})\.)(?P<c>\d{4}|\d{2})" + _TIME
)
_MONTH_YEAR = r"^(?P<month>\d{1,2})[/-](?P<year>\d{4})$"
_DAY_NAME = r"^(?:(?:[a-záéíóú]{3,9})\.?,?\s+)?(?P<day>\d{1,2})(?:st|nd|rd|th|º|\.)?[\s/-]*(?:de\s+)?"
_DAY_NAME += r"(?P<word>[a-z]{3,10})\.?[\s/,-]*(?:del?\s+)?(?P<year>\d{4}|\d{2})" + _TIME
_NAME_DAY = r"^(?:[a-z]{3,9},?\s+)?(?P<word>[a-z]{3,10})\.?[\s-]*(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s,-]+(?P<year>\d{4})"
_NAME_DAY += _TIME
_NAME_YEAR = r"^(?P<word>[a-z]{3,10})\.?(?:(?:[\s/-]+|\s+del?\s+)(?P<long>\d{4})|[-/](?P<short>\d{2}))$"

_NONE = np.datetime64("NaT", "s")


@dataclass(frozen=True)
class DateForms:
    """Which of some texts are dates, under each order of their numbers; each (texts,) bool.

    Dates that say their own order (2018-01-03, 3 Jan 2018) stand in all three. ambiguous: day and month could
    change places, and it would matter.  numbered: dates whose order has to be known.  zoned: whether a time zone
    stands beside some time.
    """

    dmy: NDArray[np.bool_]
    mdy: NDArray[np.bool_]
    ymd: NDArray[np.bool_]
    numbered: NDArray[np.bool_]
    ambiguous: NDArray[np.bool_]
    zoned: bool


def date_forms(texts: pa.StringArray) -> DateForms:
    """Judge texts, (texts,) and trimmed, under the three orders."""
    numbered = matches(texts, r"^\d{1,2}[-/.]\d{1,2}[-/.]\d")
    dmy = parse_dates(texts, "dmy")
    mdy, ymd = dmy.copy(), dmy.copy()
    if numbered.any():
        open_ones = texts.filter(pa.array(numbered))
        mdy[numbered], ymd[numbered] = parse_dates(open_ones, "mdy"), parse_dates(open_ones, "ymd")
    is_dmy, is_mdy, is_ymd = (~np.isnat(dates) for dates in (dmy, mdy, ymd))
    ambiguous = numbered & is_dmy & is_mdy & (dmy != mdy)
    some = is_dmy | is_mdy | is_ymd
    zoned = matches(texts.filter(pa.array(some)), r"(?i):\d.*(?:z|utc|[+-]\d{2}:?\d{2})$").any()
    return DateForms(is_dmy, is_mdy, is_ymd, some & numbered, ambiguous, bool(zoned))


def parse_dates(texts: pa.StringArray, order: DateOrder) -> NDArray[np.datetime64]:
    """The moment of each text, (texts,) datetime64[s]; NaT where it is no date under that order.

    A time zone is brought to UTC; without one the time is the wall clock's.
    """
    dates = np.full(len(texts), _NONE)
    left = np.flatnonzero(matches(texts, r"\d[-/. ,]|[-/. ]\d"))
    low = pc.utf8_lower(texts.take(pa.array(left)))
    for pattern, read in _SHAPES:
        if not len(left):
            break
        parts = pc.extract_regex(low, pattern)
        fits = parts.is_valid().to_numpy(zero_copy_only=False)
        if fits.any():
            dates[left[fits]] = read(_Parts(parts.filter(pa.array(fits))), order)
            left, low = left[~fits], low.filter(pa.array(~fits))
    return dates


def parse_compact(texts: pa.StringArray) -> NDArray[np.datetime64]:
    """Dates of eight digits, 20180103, from 1800 to 2100; NaT for every other text."""
    fits = matches(texts, r"^(?:18|19|20|21)\d{6}$")
    whole = pc.cast(texts.filter(pa.array(fits)), pa.int64()).to_numpy()
    year = whole // 10_000
    days = _days(year, whole // 100 % 100, whole % 100)
    days[year > 2100] = _NONE
    dates = np.full(len(texts), _NONE)
    dates[fits] = days
    return dates


class _Parts:
    """The named parts of texts that match a pattern, as numbers; -1 where a part is absent."""

    def __init__(self, parts: pa.StructArray) -> None:
        self._parts = parts
        self._names = [field.name for field in parts.type]

    def __len__(self) -> int:
        return len(self._parts)

    def text(self, name: str) -> Any:
        return self._parts.field(self._names.index(name))

    def number(self, *names: str) -> NDArray[np.int64]:
        """The first present of some parts."""
        found = np.full(len(self), -1, dtype=np.int64)
        for name in names:
            text = self.text(name)
            there = matches(text, ".")
            found[there] = pc.cast(text.filter(pa.array(there)), pa.int64()).to_numpy()
        return found

    def month(self) -> NDArray[np.int64]:
        """The number of the month that `word` names; 0 where it names none."""
        at = pc.fill_null(pc.index_in(self.text("word"), value_set=_MONTH_WORDS), len(_MONTH_OF))
        return np.asarray(_MONTH_NUMBERS[at.to_numpy(zero_copy_only=False)])

    def with_time(self, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """Days moved to the hour, minute and second, in UTC where a zone is given."""
        hour, minute, second = (self.number(name) for name in ("hour", "minute", "second"))
        half = pc.utf8_slice_codeunits(self.text("half"), 0, 1).to_numpy(zero_copy_only=False)
        twelve = half != ""
        wrong = (hour > 23) | (minute > 59) | (second > 59) | (twelve & ((hour < 1) | (hour > 12)))
        hour = np.where(twelve, hour % 12 + 12 * (half == "p"), hour)
        seconds = np.maximum(hour, 0) * 3600 + np.maximum(minute, 0) * 60 + np.maximum(second, 0)
        seconds -= self._offset()
        return np.where(wrong, _NONE, days + seconds.astype("timedelta64[s]"))

    def _offset(self) -> NDArray[np.int64]:
        """Seconds that the zone is ahead of UTC."""
        zone = pc.replace_substring(self.text("zone"), ":", "")
        signed = pc.match_substring_regex(zone, r"^[+-]").to_numpy(zero_copy_only=False)
        seconds = np.zeros(len(self), dtype=np.int64)
        if signed.any():
            number = pc.cast(
                pc.replace_substring(zone.filter(pa.array(signed)), "+", ""), pa.int64()
            ).to_numpy()
            size = np.abs(number)
            seconds[signed] = np.sign(number) * (size // 100 * 3600 + size % 100 * 60)
        return seconds


def _days(year: NDArray[Any], month: NDArray[Any], day: NDArray[Any]) -> NDArray[np.datetime64]:
    """Midnight of each day as datetime64[s]; NaT where the calendar has no such day."""
    real = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1)
    months = np.where(real, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(real, day - 1, 0)
    real &= days.astype("datetime64[M]") == months  # 31 April would be in May
    return np.where(real, days.astype("datetime64[s]"), _NONE)


def _century(year: NDArray[np.int64], texts: Any) -> NDArray[np.int64]:
    """Years of two digits brought to 1969 ... 2068, as POSIX does."""
    short = pc.utf8_length(texts).to_numpy(zero_copy_only=False) == 2
    return np.where(short, year + np.where(year >= 69, 1900, 2000), year)


def _year_first(parts: _Parts, order: DateOrder) -> NDArray[np.datetime64]:
    day = parts.number("d1", "d2", "d3")
    day[day < 0] = 1  # 2018-01 is its first day
    return parts.with_time(_days(parts.number("year"), parts.number("m1", "m2", "m3"), day))


def _numbers(parts: _Parts, order: DateOrder) -> NDArray[np.datetime64]:
    first, second, third = parts.number("a"), parts.number("b1", "b2", "b3"), parts.number("c")
    if order == "ymd":
        return parts.with_time(_days(_century(first, parts.text("c")), second, third))
    year = _century(third, parts.text("c"))
    day, month = (first, second) if order == "dmy" else (second, first)
    return parts.with_time(_days(year, month, day))


def _month_year(parts: _Parts, order: DateOrder) -> NDArray[np.datetime64]:
    return _days(parts.number("year"), parts.number("month"), np.ones(len(parts), dtype=np.int64))


def _day_name(parts: _Parts, order: DateOrder) -> NDArray[np.datetime64]:
    year = _century(parts.number("year"), parts.text("year"))
    return parts.with_time(_days(year, parts.month(), parts.number("day")))


def _name_year(parts: _Parts, order: DateOrder) -> NDArray[np.datetime64]:
    short = parts.number("short")
    year = np.where(short >= 0, short + np.where(short >= 69, 1900, 2000), parts.number("long"))
    return _days(year, parts.month(), np.ones(len(parts), dtype=np.int64))


_SHAPES = (
    (_YEAR_FIRST, _year_first),
    (_NUMBERS, _numbers),
    (_MONTH_YEAR, _month_year),
    (_DAY_NAME, _day_name),
    (_NAME_DAY, _day_name),
    (_NAME_YEAR, _name_year),
)
