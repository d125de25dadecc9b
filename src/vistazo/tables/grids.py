"""The Grid: what every kind of file gives before types are known, and where its names and data begin."""

import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vistazo.language import tr
from vistazo.tables.arrow import pa
from vistazo.tables.config import TableConfig
from vistazo.tables.dates import parse_dates
from vistazo.tables.numbers import number_forms
from vistazo.tables.table import SetAside, shortened
from vistazo.tables.texts import is_missing

__all__ = ["SAMPLE_ROWS", "Grid", "Layout", "layout", "title_rows", "unique_names"]

SAMPLE_ROWS = 500  # from which separator, names and width are told
_MOST_TITLES = 20  # rows above the header that are looked past
_MOST_JUDGED = 200  # rows and columns that tell whether there is a header


@dataclass
class Grid:
    """Columns of cells, block by block.

    names: as the file has them, '' where there is none.
    blocks: begins again at every call; a block is one array a column: string (or a dictionary of them),
    float64 or timestamp[s].
    first_row: number of the first data row in the file.
    ragged: rows left out by `blocks`, filled while it goes; their numbers rise.
    own_decimals: whether the decimal signs in it are those a person wrote.
    """

    path: Path
    names: Sequence[str]
    blocks: Callable[[], Iterator[Sequence[Any]]]
    first_row: int
    notes: list[str]
    set_aside: list[SetAside] = field(default_factory=list)
    ragged: list[SetAside] = field(default_factory=list)
    own_decimals: bool = True


@dataclass(frozen=True)
class Layout:
    """names: one a column, '' where there is none.  first: position of the first data record among those given."""

    names: tuple[str, ...]
    first: int
    header: bool
    titles: tuple[int, ...]


def unique_names(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(names that are there and differ, those of them that had to be changed)."""
    taken: set[str] = set()
    given: list[str] = []
    for at, name in enumerate(names, 1):
        stem = " ".join(name.split()) or f"column_{at}"
        other, n = stem, 2
        while other in taken:
            other, n = f"{stem}_{n}", n + 1
        taken.add(other)
        given.append(other)
    changed = tuple(new for new, old in zip(given, names, strict=True) if new != " ".join(old.split()))
    return tuple(given), changed


def layout(records: Sequence[Sequence[str]], config: TableConfig) -> Layout:
    """Where the names and the data begin in the first records of a file; at least one of them is not blank."""
    titles, start = _titles(records)
    head, body = records[start], [record for record in records[start + 1 :] if any(map(str.strip, record))]
    header = config.header == "yes" or (config.header == "auto" and _is_header(head, body))
    if header:
        width = _width_below(head, body)
        names = tuple(cell.strip() for cell in [*head, *[""] * (width - len(head))][:width])
        return Layout(names, start + 1, True, titles)
    widths = Counter(len(record) for record in [head, *body])
    width = max(widths, key=lambda width: (widths[width], width))
    return Layout(("",) * width, start, False, titles)


def _titles(records: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], int]:
    """(rows above the table that hold a lone cell, as a report's title does; the row where the table begins)."""
    content = [at for at, record in enumerate(records) if any(map(str.strip, record))]
    typical = statistics.median(sum(bool(cell.strip()) for cell in records[at]) for at in content)
    titles: list[int] = []
    for at, following in itertools.pairwise(content[:_MOST_TITLES]):
        lone = typical > 1 and records[at][0].strip() and not any(map(str.strip, records[at][1:]))
        # beside one unnamed column a lone name is a header, unless another header follows it
        header_follows = [records[row] for row in content if row > following]
        if not lone or (
            typical <= 2 and len(records[at]) > 1 and not _is_header(records[following], header_follows)
        ):
            return tuple(titles), at
        titles.append(at)
    return (), content[0]


def _width_below(head: Sequence[str], body: Sequence[Sequence[str]]) -> int:
    """The header's width, or the data's where they differ by empty cells at the end only."""
    if not body:
        return len(head)
    widths = Counter(len(record) for record in body)
    usual = max(widths, key=lambda width: (widths[width], width))
    longer = [head] if usual < len(head) else [record for record in body if len(record) == usual]
    beyond = any(cell.strip() for record in longer for cell in record[min(usual, len(head)) :])
    return len(head) if beyond else usual


def _is_header(head: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Whether a first record names the columns: words above numbers or dates, or words that come once."""
    above = _kinds(head[:_MOST_JUDGED])
    votes = 0
    for at, kind in enumerate(above):
        below = [record[at] for record in body[:_MOST_JUDGED] if at < len(record)]
        kinds = [found for found in _kinds(below) if found]
        if not kinds or not kind:
            continue
        usual = Counter(kinds).most_common(1)[0][0]
        if usual == "word":
            votes -= head[at].strip() in {cell.strip() for cell in below}
        elif kind == "word":
            votes += 1
        elif kind == usual and not _is_year(head[at], below):  # a wide table has years above its numbers
            votes -= 1
    return votes > 0 or (votes == 0 and "word" in above)


def _is_year(cell: str, below: Sequence[str]) -> bool:
    def year(text: str) -> bool:
        return len(text) == 4 and text.isascii() and text.isdigit() and 1800 <= int(text) <= 2100

    return year(cell.strip()) and not all(year(text.strip()) for text in below if text.strip())


def _kinds(cells: Sequence[str]) -> list[str]:
    """'word', 'number' or 'date' of each cell; '' where it is missing."""
    texts = pa.array([cell.strip() for cell in cells], pa.string())
    forms = number_forms(texts)
    numbers = forms.point | forms.comma
    dates = ~np.isnat(parse_dates(texts, "dmy")) | ~np.isnat(parse_dates(texts, "mdy"))
    kinds = np.select([is_missing(texts), numbers, dates], ["", "number", "date"], "word")
    return [str(kind) for kind in kinds]


def title_rows(records: Sequence[Sequence[str]], found: Layout) -> list[SetAside]:
    """The rows above the table, by their number in the file."""
    reason = tr("a title above the table")
    return [SetAside(at + 1, shortened(" ".join(records[at])), reason) for at in found.titles]
