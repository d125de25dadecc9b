"""The part of pyarrow that reading CSV takes, cell by cell: for the folder of a service, where few rows come at a time.

It stands where `vistazo.tables.arrow` does, so that the same modules read a table in either way and give the same
columns (tests/tables/test_lean.py). Names, arguments and results are pyarrow's. Patterns are matched by the same
library, RE2, whose time is linear in the text: what is read comes from strangers.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import re2
from numpy.typing import NDArray

__all__ = ["ArrowInvalid", "Batch", "Cell", "Coded", "Parts", "Texts", "Values", "arrow_csv", "pa", "pc"]

_CELLS = 1 << 16  # of a batch, about
_LINE_END = re.compile(r"(?:\r\n|\n|\r)\Z")
_TEXT, _CODED = "string", "dictionary"


class ArrowInvalid(ValueError):
    """What was read does not have the form that was asked for."""


# ---------------------------------------------------------------- arrays
@dataclass(frozen=True)
class Cell:
    """One value of an array."""

    value: str | None

    def as_py(self) -> str | None:
        return self.value


@dataclass(frozen=True)
class Values:
    """Numbers or truth values."""

    values: NDArray[Any]

    def to_numpy(self, zero_copy_only: bool = True) -> NDArray[Any]:
        return self.values


@dataclass(frozen=True)
class Texts:
    """Texts, None where there is none."""

    values: list[str | None]
    type = _TEXT

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, at: int) -> Cell:
        return Cell(self.values[at])

    def filter(self, mask: Values) -> "Texts":
        return Texts([text for text, kept in zip(self.values, mask.values.tolist(), strict=True) if kept])

    def take(self, rows: Values) -> "Texts":
        return Texts([self.values[row] for row in rows.values.tolist()])

    def drop_null(self) -> "Texts":
        return Texts([text for text in self.values if text is not None])

    def unique(self) -> "Texts":
        return Texts(list(dict.fromkeys(self.values)))

    def to_pylist(self) -> list[str | None]:
        return list(self.values)

    def to_numpy(self, zero_copy_only: bool = True) -> NDArray[Any]:
        return np.array(self.values, dtype=object)


@dataclass(frozen=True)
class Coded:
    """Cells as codes into the distinct texts among them."""

    dictionary: Texts
    indices: Values
    type = _CODED

    def __len__(self) -> int:
        return len(self.indices.values)

    def __getitem__(self, at: int) -> Cell:
        return self.dictionary[int(self.indices.values[at])]


@dataclass(frozen=True)
class Parts:
    """The named parts of texts that match a pattern. fits: which texts do; a part that is absent is ''."""

    columns: dict[str, list[str]]
    fits: NDArray[np.bool_]

    @property
    def type(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in self.columns]

    def __len__(self) -> int:
        return len(self.fits)

    def is_valid(self) -> Values:
        return Values(self.fits)

    def field(self, which: int | str) -> Texts:
        name = which if isinstance(which, str) else list(self.columns)[which]
        return Texts(
            [
                text if fits else None
                for text, fits in zip(self.columns[name], self.fits.tolist(), strict=True)
            ]
        )

    def filter(self, mask: Values) -> "Parts":
        kept = np.flatnonzero(mask.values)
        rows = kept.tolist()
        columns = {name: [texts[row] for row in rows] for name, texts in self.columns.items()}
        return Parts(columns, self.fits[kept])


def _array(values: Any, kind: str = "") -> Values | Texts:
    return Values(values) if isinstance(values, np.ndarray) else Texts(list(values))


# ---------------------------------------------------------------- functions of texts
@cache
def _pattern(pattern: str) -> Any:
    return re2.compile(pattern)


@cache
def _matcher(pattern: str) -> Callable[[str], list[int]]:
    """What tells whether a text matches, and not where: a third of the time."""
    one = re2.Set.SearchSet()
    one.Add(pattern)
    one.Compile()
    return one.Match  # type: ignore[no-any-return]


def _match_substring_regex(texts: Texts, pattern: str) -> Values:
    matches = _matcher(pattern)
    return Values(np.array([text is not None and bool(matches(text)) for text in texts.values], dtype=bool))


def _extract_regex(texts: Texts, pattern: str) -> Parts:
    search = _pattern(pattern).search
    found = [None if text is None else search(text) for text in texts.values]
    names, nothing = _pattern(pattern).groupindex, ("",) * _pattern(pattern).groups
    groups = [nothing if one is None else one.groups("") for one in found]
    columns = {name: [parts[at - 1] for parts in groups] for name, at in names.items()}
    return Parts(columns, np.array([one is not None for one in found], dtype=bool))


def _replace_substring_regex(texts: Texts, pattern: str, instead: str) -> Texts:
    """A pattern that is one class of signs matches as often as there are signs: the standard library's is quick there.

    The others stand at the beginning or the end, and match once.
    """
    matches = _matcher(pattern)
    signs = pattern.startswith("[") and pattern.find("]") == len(pattern) - 1
    replace: Any = (re.compile(pattern) if signs else _pattern(pattern)).sub
    return _each(texts, lambda text: replace(instead, text) if matches(text) else text)


def _lower(text: str) -> str:
    """Each letter by itself becomes one small letter, as in pyarrow: no two for İ, no other Σ at a word's end."""
    return text.replace("İ", "i").replace("Σ", "σ").lower()


def _each(texts: Texts, change: Callable[[str], str]) -> Texts:
    return Texts([None if text is None else change(text) for text in texts.values])


def _is_in(texts: Texts, value_set: Any) -> Values:
    known = set(value_set.to_pylist())
    return Values(np.array([text in known for text in texts.values], dtype=bool))


def _index_in(texts: Texts, value_set: Any) -> Values:
    place = {text: at for at, text in enumerate(value_set.to_pylist())}
    return Values(np.array([place.get(text, -1) for text in texts.values], dtype=np.int64))


def _fill_null(places: Values, instead: int) -> Values:
    return Values(np.where(places.values < 0, instead, places.values))


def _cast(texts: Texts, kind: str) -> Values:
    if kind == "int64":
        return Values(np.array([int(text or 0) for text in texts.values], dtype=np.int64))
    return Values(
        np.array([np.nan if text is None else float(text) for text in texts.values], dtype=np.float64)
    )


def _if_else(mask: Values, texts: Texts, instead: None) -> Texts:
    both = zip(mask.values.tolist(), texts.values, strict=True)
    return Texts([text if kept else instead for kept, text in both])


def _replace_with_mask(texts: Texts, mask: Values, instead: Texts) -> Texts:
    new = iter(instead.values)
    both = zip(mask.values.tolist(), texts.values, strict=True)
    return Texts([next(new) if changed else text for changed, text in both])


def _truths(texts: Texts, judge: Callable[[str], bool]) -> Values:
    return Values(np.array([text is not None and judge(text) for text in texts.values], dtype=bool))


# ---------------------------------------------------------------- CSV
@dataclass(frozen=True)
class Batch:
    """Some rows of a file, a column each."""

    columns: Sequence[Coded]

    @property
    def num_rows(self) -> int:
        return len(self.columns[0])

    def slice(self, first: int) -> "Batch":
        return Batch([Coded(one.dictionary, Values(one.indices.values[first:])) for one in self.columns])


@contextmanager
def _open_csv(stream: Any, reading: Any, parsing: Any, converting: Any) -> Iterator[Iterator[Batch]]:
    data = io.BytesIO(stream.read(1 << 40))
    # by lines as they are asked for: io.StringIO would keep four bytes a sign
    text = io.TextIOWrapper(data, encoding="utf-8-sig", errors="replace", newline="")
    yield _batches(text, len(reading.column_names), reading.block_size, parsing)


def _batches(text: Iterable[str], columns: int, longest: int, parsing: Any) -> Iterator[Batch]:
    lines: list[str] = []  # of the row that is being read
    rows: list[list[str]] = []
    try:
        number = 0
        for number, row in enumerate(csv.reader(_kept(text, lines), delimiter=parsing.delimiter), 1):
            cells = row or [""] * columns  # an empty line is a row of nothing
            raw = "".join(lines)
            lines.clear()
            if len(raw) > longest:
                raise ArrowInvalid("straddling object straddles two block boundaries")
            if len(cells) == columns:
                rows.append(cells)
                if len(rows) * columns >= _CELLS:
                    batch, rows = _batch(rows), []
                    yield batch
                continue
            told = SimpleNamespace(
                number=number,
                actual_columns=len(cells),
                expected_columns=columns,
                text=_LINE_END.sub("", raw),
            )
            if parsing.invalid_row_handler(told) == "error":
                raise ArrowInvalid(f"row {number} has {len(cells)} cells")
    except csv.Error as error:
        raise ArrowInvalid(str(error)) from None
    if not number:
        raise ArrowInvalid("Empty CSV file")
    if rows:
        batch, rows = _batch(rows), []
        yield batch


def _kept(text: Iterable[str], lines: list[str]) -> Iterator[str]:
    """The lines of a text, each put into `lines` when it is asked for."""
    for line in text:
        lines.append(line)
        yield line


def _batch(rows: list[list[str]]) -> Batch:
    columns = []
    for cells in zip(*rows, strict=True):
        place: dict[str, int] = {}
        codes = np.array([place.setdefault(cell, len(place)) for cell in cells], dtype=np.int32)
        columns.append(Coded(Texts(list(place)), Values(codes)))
    return Batch(columns)


# ---------------------------------------------------------------- under pyarrow's names
pa: Any = SimpleNamespace(
    ArrowInvalid=ArrowInvalid,
    PythonFile=lambda stream, mode: stream,
    StringArray=Texts,
    StructArray=Parts,
    array=_array,
    scalar=lambda value, kind: value,
    dictionary=lambda index, value: _CODED,
    string=lambda: _TEXT,
    int32=lambda: "int32",
    int64=lambda: "int64",
    float64=lambda: "float64",
    types=SimpleNamespace(
        is_dictionary=lambda kind: kind == _CODED,
        is_floating=lambda kind: False,  # a file of text says no kinds
        is_timestamp=lambda kind: False,
    ),
)
pc: Any = SimpleNamespace(
    cast=_cast,
    extract_regex=_extract_regex,
    fill_null=_fill_null,
    if_else=_if_else,
    index_in=_index_in,
    is_in=_is_in,
    match_substring_regex=_match_substring_regex,
    replace_substring=lambda texts, old, new: _each(texts, lambda text: text.replace(old, new)),
    replace_substring_regex=_replace_substring_regex,
    replace_with_mask=_replace_with_mask,
    starts_with=lambda texts, begin: _truths(texts, lambda text: text.startswith(begin)),
    utf8_length=lambda texts: Values(np.array([len(text or "") for text in texts.values], dtype=np.int64)),
    utf8_lower=lambda texts: _each(texts, _lower),
    utf8_slice_codeunits=lambda texts, first, end: _each(texts, lambda text: text[first:end]),
    utf8_trim_whitespace=lambda texts: _each(texts, str.strip),
)
arrow_csv: Any = SimpleNamespace(
    ConvertOptions=lambda **asked: SimpleNamespace(**asked),
    ParseOptions=lambda **asked: SimpleNamespace(**asked),
    ReadOptions=lambda **asked: SimpleNamespace(**asked),
    open_csv=_open_csv,
)
