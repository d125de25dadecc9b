"""CSV as spreadsheets write it: any usual encoding and separator, quoted line breaks, gzip.

The file is scanned once to tell its encoding, then streamed as UTF-8, block by block.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.language import tr
from vistazo.tables.arrow import arrow_csv, pa
from vistazo.tables.config import SEPARATORS, TableConfig
from vistazo.tables.grids import SAMPLE_ROWS, Grid, Layout, layout, title_rows
from vistazo.tables.letters import Scan, Stream, scan, utf8_chunks
from vistazo.tables.table import SetAside, shortened

__all__ = ["csv_grid"]

_SAMPLE = 1 << 18  # characters that separator and header are told from
_BLOCK = 8 << 20  # bytes pyarrow parses at a time; no row may be longer
_MOST_RAGGED = 0.05
_MOST_COLUMNS = 100_000
_EXCEL_LINE = re.compile(
    r"sep=([,;|\t:^~#])(\r\n|\r|\n|$)", re.IGNORECASE
)  # Excel's own, which it never shows
_BY_LIKELIHOOD = "\t;|,"  # of equally regular ones: commas are in numbers and prose too


def csv_grid(path: Path, config: TableConfig) -> Grid:
    """The cells of a CSV file. Raises SourceDamaged or TooFewExamples where it holds no table."""
    letters = scan(path, config.encoding)
    sample = _sample(path, letters.encoding)
    prefix = _EXCEL_LINE.match(sample)
    body = sample[prefix.end() :] if prefix else sample
    if not re.search(r'[^\s,;|"]', body):
        raise TooFewExamples(tr("{path} is empty.", path=path))
    separator = SEPARATORS.get(config.separator) or (prefix[1] if prefix else _separator(body))
    records, ends = _records(body, separator)
    if not any(map(_filled, records)):
        raise SourceDamaged(
            tr(
                "{path} is not a readable CSV file ({reason}). Check how it was saved.",
                path=path,
                reason=tr("no row found"),
            )
        )
    if (widest := max(map(len, records))) > _MOST_COLUMNS:
        raise SourceDamaged(
            tr(
                "{path} has {n} columns in a row; {most} is the most. Check --separator.",
                path=path,
                n=widest,
                most=_MOST_COLUMNS,
            )
        )
    found = layout(records, config)
    skip = (prefix.end() if prefix else 0) + (ends[found.first - 1] if found.first else 0)

    def blocks() -> Iterator[Sequence[Any]]:
        return _blocks(grid, letters, separator, sample[:skip])

    grid = Grid(
        path,
        found.names,
        blocks,
        found.first + 1,
        [_note(path, letters.encoding, separator, found)],
        title_rows(records, found),
    )
    return grid


def _note(path: Path, encoding: str, separator: str, found: Layout) -> str:
    sign = f"'{separator}'" if separator != "\t" else "tab"
    values = {
        "name": path.name,
        "encoding": encoding.removesuffix("-sig"),
        "separator": sign if len(found.names) > 1 else tr("none"),
    }
    if found.header:
        return tr(
            "{name}: {encoding}, separator {separator}, names from row {row}.", row=found.first, **values
        )
    return tr("{name}: {encoding}, separator {separator}, no row of names.", **values)


# ---------------------------------------------------------------- shape
def _sample(path: Path, encoding: str) -> str:
    """The file's first lines."""
    parts: list[bytes] = []
    stream = utf8_chunks(path, encoding)
    for data in stream:
        parts.append(data)
        if sum(map(len, parts)) >= _SAMPLE:
            text = b"".join(parts)[:_SAMPLE].decode("utf-8", "ignore")
            last = max(text.rfind("\n"), text.rfind("\r"))
            return text[: last + 1] if last > 0 else text
    return b"".join(parts).decode("utf-8")


def _records(text: str, separator: str) -> tuple[list[list[str]], list[int]]:
    """The first records, and for each the number of characters up to its end."""
    lines = list(io.StringIO(text, newline=""))
    lengths = [0]
    for line in lines:
        lengths.append(lengths[-1] + len(line))
    reader = csv.reader(lines, delimiter=separator)
    records: list[list[str]] = []
    ends: list[int] = []
    filled = 0
    try:
        for record in reader:
            records.append(record or [""])
            ends.append(lengths[reader.line_num])
            filled += _filled(record)
            if filled >= SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # a cell longer than the module reads; what comes before it is sample enough
    return records, ends


def _filled(record: Sequence[str]) -> bool:
    return any(cell.strip() for cell in record)


def _separator(text: str) -> str:
    """The sign that divides most lines into the same number of cells."""

    def regularity(separator: str) -> tuple[bool, float, int]:
        records = list(filter(_filled, _records(text, separator)[0]))
        if not records:
            return False, 0.0, 0
        widths = Counter(map(len, records))
        usual = max(widths, key=lambda width: (widths[width], width))
        if usual < 2 or (separator == "," and _are_decimals(records)):
            return False, 0.0, 0
        share = widths[usual] / len(records)
        return len(records[0]) == usual and share >= 0.9, share, _BY_LIKELIHOOD[::-1].index(separator)

    best = max(_BY_LIKELIHOOD[::-1], key=regularity)
    return best if regularity(best)[1] else "\t"  # one column: no sign divides it


def _are_decimals(records: Sequence[Sequence[str]]) -> bool:
    """Whether the commas are those of one column of numbers under a name: ventas, then 1,5, then 2,5."""
    return (
        len(records) > 1
        and len(records[0]) == 1
        and all(len(record) <= 2 and all(cell.strip().isdigit() for cell in record) for record in records[1:])
    )


# ---------------------------------------------------------------- cells
def _blocks(grid: Grid, letters: Scan, separator: str, skipped: str) -> Iterator[Sequence[Any]]:
    """The file's cells, one dictionary-coded array a column and block. Rows of other widths go to grid.ragged."""
    grid.ragged.clear()
    unclosed: list[int] = []
    count, final = 0, None
    try:
        with _reader(grid, letters, separator, skipped, _set_aside_in(grid, unclosed)) as reader:
            for batch in reader:
                count += batch.num_rows
                if batch.num_rows:
                    yield batch.columns
                    final = batch.slice(batch.num_rows - 1)
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise _damaged(grid, error) from None
    if final is not None and letters.quotes % 2 and any("\n" in cell[0].as_py() for cell in final.columns):
        unclosed.append(grid.first_row - 1 + count + len(grid.ragged))
    if unclosed:
        raise _unclosed(grid.path, unclosed[0])
    ragged = len(grid.ragged)
    if ragged > max(1, _MOST_RAGGED * (count + ragged)) or ragged > count:
        raise _too_ragged(grid)


def _reader(grid: Grid, letters: Scan, separator: str, skipped: str, left_out: Callable[[Any], str]) -> Any:
    """pyarrow's reader of the rows below the text `skipped`, every cell a text."""
    names = [str(at) for at in range(len(grid.names))]
    text = pa.dictionary(pa.int32(), pa.string())
    stream = Stream(utf8_chunks(grid.path, letters.encoding), len(skipped.encode("utf-8")))
    return arrow_csv.open_csv(
        pa.PythonFile(stream, mode="r"),
        # one thread: with more, pyarrow does not number the rows it leaves out
        arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK, column_names=names),
        arrow_csv.ParseOptions(
            delimiter=separator,
            newlines_in_values=letters.quotes > 0,
            ignore_empty_lines=False,  # they count as rows
            invalid_row_handler=left_out,
        ),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, text), strings_can_be_null=False, check_utf8=False
        ),
    )


def _set_aside_in(grid: Grid, unclosed: list[int]) -> Callable[[Any], str]:
    """What pyarrow asks about every row of another width. It must not raise: pyarrow would not pass it on."""

    def left_out(row: Any) -> str:
        number = grid.first_row - 1 + int(row.number)
        if row.text.count('"') % 2 and row.text.count("\n") > 1:
            unclosed.append(number)
        reason = tr("cells: {n} instead of {expected}", n=row.actual_columns, expected=row.expected_columns)
        grid.ragged.append(SetAside(number, shortened(row.text), reason))
        many = len(grid.ragged) > max(1000, 2 * _MOST_RAGGED * int(row.number))
        return "error" if many else "skip"

    return left_out


def _damaged(grid: Grid, error: Exception) -> SourceDamaged:
    if "straddling" in str(error):
        return SourceDamaged(
            tr(
                "{path} has a row longer than {most} MB: a quote is probably opened and never "
                "closed. Close it or remove it.",
                path=grid.path,
                most=_BLOCK >> 20,
            )
        )
    if grid.ragged:
        return _too_ragged(grid)
    return SourceDamaged(
        tr(
            "{path} is not a readable CSV file ({reason}). Check how it was saved.",
            path=grid.path,
            reason=shortened(str(error)),
        )
    )


def _unclosed(path: Path, row: int) -> SourceDamaged:
    return SourceDamaged(
        tr(
            "{path} opens a quote in row {row} and never closes it. Close it or remove it.",
            path=path,
            row=row,
        )
    )


def _too_ragged(grid: Grid) -> SourceDamaged:
    first = grid.ragged[0]
    return SourceDamaged(
        tr(
            "{path} does not have the same number of cells in every row (row {row}, {reason}). Check --separator "
            "(comma, semicolon, tab, bar), or the quotes around texts that hold the separator.",
            path=grid.path,
            row=first.row,
            reason=first.reason,
        )
    )
