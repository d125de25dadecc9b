"""Excel workbooks (.xlsx): one sheet, its values as texts that no rule of reading can mistake."""

import datetime
import importlib
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from vistazo.errors import ConfigError, MissingExtra, SourceDamaged, TooFewExamples, VistazoError
from vistazo.language import tr
from vistazo.registry import nearest
from vistazo.tables.config import TableConfig
from vistazo.tables.grids import SAMPLE_ROWS, Grid, Layout, layout, title_rows
from vistazo.tables.table import shortened
from vistazo.tables.texts import FORMULA

__all__ = ["excel_grid"]

_MOST_BYTES = 1 << 30  # of all the workbook's parts, unpacked
_MOST_ROWS = 1 << 20  # Excel's own limit
_MOST_CELLS = 1 << 26  # the sheet as a rectangle: one far cell of a forged file makes it enormous
_ROWS = 1 << 14  # a block
_FORMULA_TAG = re.compile(rb"<(?:\w{1,20}:)?f[ />]")


def excel_grid(path: Path, config: TableConfig) -> Grid:
    """The cells of one sheet. Raises MissingExtra, SourceDamaged, ConfigError for an unknown sheet."""
    openpyxl = _openpyxl()
    _check_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and validations, which are not read
            name, others, rows = _sheet(openpyxl, path, config.sheet)
    except (VistazoError, MemoryError):
        raise
    except (
        Exception
    ) as error:  # openpyxl raises whatever its parsers meet: KeyError, TypeError, ParseError ...
        raise SourceDamaged(
            tr(
                "{path} is not a readable Excel file ({reason}). Save it again as .xlsx or CSV.",
                path=path,
                reason=shortened(f"{type(error).__name__}: {error}"),
            )
        ) from None
    return _grid(path, name, others, rows, config)


def _openpyxl() -> ModuleType:
    try:
        return importlib.import_module("openpyxl")
    except ImportError:
        raise MissingExtra(
            tr("Excel files need openpyxl: pip install 'vistazo[excel]'. Or save the sheet as CSV.")
        ) from None


def _check_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise SourceDamaged(
            tr(
                "{path} is not a readable Excel file ({reason}). Save it again as .xlsx or CSV.",
                path=path,
                reason=shortened(str(error)),
            )
        ) from None
    if size > _MOST_BYTES:
        raise SourceDamaged(
            tr(
                "{path} unpacks to more than {most} GB. Divide it into smaller files.",
                path=path,
                most=_MOST_BYTES >> 30,
            )
        )


def _sheet(openpyxl: ModuleType, path: Path, wanted: str | None) -> tuple[str, list[str], list[list[str]]]:
    """(the sheet's name, the workbook's other sheets, the sheet's rows as texts)."""
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        names = [sheet.title for sheet in book.worksheets]
        if wanted is not None and wanted not in names:
            raise ConfigError(_unknown(path, wanted, names))
        for name in [wanted] if wanted is not None else names:
            if rows := _filled(path, _rows(book[name])):
                _add_formulas(openpyxl, path, name, rows)
                return name, [other for other in names if other != name], rows
    finally:
        book.close()
    if wanted is not None:
        raise TooFewExamples(
            tr(
                "The sheet '{name}' of {path} is empty. Its sheets: {names}.",
                name=wanted,
                path=path,
                names=", ".join(names),
            )
        )
    raise TooFewExamples(tr("{path} is empty.", path=path))


def _unknown(path: Path, wanted: str, names: list[str]) -> str:
    values = {"path": path, "name": wanted, "names": ", ".join(names)}
    near = nearest(wanted, names)
    if near:
        return tr(
            "{path} has no sheet '{name}'. Did you mean '{near}'? Its sheets: {names}.", near=near, **values
        )
    return tr("{path} has no sheet '{name}'. Its sheets: {names}.", **values)


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    sheet.reset_dimensions()  # what the file says of its own size is not trusted
    return iter(sheet.iter_rows(values_only=True))


def _filled(path: Path, rows: Iterator[tuple[Any, ...]]) -> list[list[str]]:
    """Rows as texts up to the last that holds something, each cut after its last filled cell."""
    texts: list[list[str]] = []
    last = width = 0
    for row in rows:
        cells = [_text(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        texts.append(cells)
        last = len(texts) if cells else last
        width = max(width, len(cells))
        if len(texts) > _MOST_ROWS or last * width > _MOST_CELLS:
            raise SourceDamaged(
                tr(
                    "{path} has a sheet too large to be read: more than {rows} rows or {cells} million cells. Save it "
                    "as CSV.",
                    path=path,
                    rows=_MOST_ROWS,
                    cells=_MOST_CELLS >> 20,
                )
            )
    return texts[:last]


def _has_formulas(path: Path) -> bool:
    """Whether a sheet has a formula at all: without one the workbook need not be read a second time."""
    with zipfile.ZipFile(path) as archive:
        for part in archive.namelist():
            if not part.startswith("xl/worksheets/"):
                continue
            with archive.open(part) as file:
                before = b""
                while chunk := file.read(1 << 20):
                    if _FORMULA_TAG.search(before + chunk):
                        return True
                    before = chunk[-32:]
    return False


def _add_formulas(openpyxl: ModuleType, path: Path, name: str, rows: list[list[str]]) -> None:
    if not _has_formulas(path):
        return
    book = openpyxl.load_workbook(path, read_only=True, data_only=False)
    try:
        _mark_formulas(rows, book[name])
    finally:
        book.close()


def _mark_formulas(rows: list[list[str]], sheet: Any) -> None:
    """Put each formula where its value is missing, behind the sign that no text may hold."""
    for row, formulas in zip(rows, _rows(sheet), strict=False):
        for at, value in enumerate(formulas):
            formula = value if isinstance(value, str) else getattr(value, "text", None)
            if not isinstance(formula, str) or not formula.startswith("="):
                continue
            row.extend([""] * (at + 1 - len(row)))
            row[at] = row[at] or FORMULA + formula


def _text(value: Any) -> str:
    """A cell's value as text. Three decimals become four: 1.2340 cannot be taken for 1234."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        text = repr(value)
        return text + "0" if "e" not in text and len(text.partition(".")[2]) == 3 else text
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value).replace("\0", "")


def _grid(path: Path, name: str, others: list[str], rows: list[list[str]], config: TableConfig) -> Grid:
    width = max(map(len, rows))
    for row in rows:
        row.extend([""] * (width - len(row)))
    sample = rows[:SAMPLE_ROWS]
    filled = next(at for at, row in enumerate(rows) if any(row))
    if filled >= len(sample):
        sample = rows[: filled + SAMPLE_ROWS]
    found = layout(sample, config)
    blocks = [
        [pa.array(cells, pa.string()) for cells in zip(*part, strict=True)]
        for part in (rows[at : at + _ROWS] for at in range(found.first, len(rows), _ROWS))
    ]
    notes = [_note(path, name, found)]
    if others:
        notes.append(tr("Sheets not read: {names}; --sheet chooses.", names=", ".join(others)))
    return Grid(
        path,
        found.names,
        lambda: iter(blocks),
        found.first + 1,
        notes,
        title_rows(sample, found),
        own_decimals=False,
    )


def _note(path: Path, sheet: str, found: Layout) -> str:
    if found.header:
        return tr(
            "{name}: sheet '{sheet}', names from row {row}.", name=path.name, sheet=sheet, row=found.first
        )
    return tr("{name}: sheet '{sheet}', no row of names.", name=path.name, sheet=sheet)
