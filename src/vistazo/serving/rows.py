"""Rows of requests, as JSON or CSV, and how a table's model answers them."""

import contextlib
import csv
import io
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo.errors import VistazoError
from vistazo.language import speaking, tr
from vistazo.serving.bodies import parse_json, parts_of
from vistazo.serving.endpoints import Asked, Read, hash_of
from vistazo.serving.refusing import Refused

__all__ = [
    "READS",
    "Rows",
    "Table",
    "as_csv",
    "csv_tables",
    "finite",
    "kept",
    "noted",
    "plain_rows",
    "without_place",
]

READS = ("application/json", "text/csv", "multipart/form-data")
MOST_ROWS = 100_000
_PACKED = (b"PK\x03\x04", b"PAR1")  # how files of Excel and Parquet begin


@dataclass(frozen=True)
class Table:
    """The rows that one input holds. name: the file's, '' for JSON. given: JSON rows, or the bytes of a CSV file.

    steps: of a series, where the body says how many. named: whether the client gave the name.
    """

    name: str
    given: list[dict[str, Any]] | bytes
    steps: int | None = None
    named: bool = False


class Rows:
    """A table's model as the service asks it: `vistazo.serving.endpoints.Endpoint`.

    Requests are answered one after the other: what the cells of a column are is told from all of them, so that rows
    of two requests in one table could be read differently than each alone.
    """

    task = "tabular"
    reads: tuple[str, ...] = READS
    inline = False
    most = 8
    least = 4
    explains = searches = False

    def __init__(self, model: Any, digest: str) -> None:
        self.model = model
        self.hash = hash_of(model, digest)
        self.classes: tuple[str, ...] | None = tuple(model.classes) or None

    def light(self, body: bytes, media_type: str) -> bool:
        """Whether the rows are so few that parsing them takes no longer than handing them over."""
        return len(body) < 2048

    def inputs(self, body: bytes, content_type: str, media_type: str, most: int) -> list[Table]:
        """The tables in a body."""
        if media_type == "application/json":
            return [_in_json(parse_json(body))]
        return csv_tables(body, content_type, media_type, most)

    def read(self, inputs: list[Table], asked: Asked) -> Read:
        """The tables with what was asked of them; they are taken apart where they are answered."""
        return Read([(one, asked) for one in inputs])

    def answer(self, items: Sequence[tuple[Table, Asked]]) -> list[list[dict[str, Any]]]:
        """The answers to the rows of each table, as `vistazo predict` gives them."""
        return [list(self._told(table, asked)) for table, asked in items]

    def _told(self, table: Table, asked: Asked) -> Iterator[dict[str, Any]]:
        with speaking(asked.language):
            with kept(table) as given:
                try:
                    for one in self.model.predict(given, top=asked.top):
                        named = {"file": table.name} if table.name else {}
                        yield {
                            **named,
                            **finite({name: value for name, value in one.items() if name != "file"}),
                        }
                    yield from noted(self.model.notes, table)
                except VistazoError as error:
                    yield {
                        "file": table.name or "rows",
                        "reason": without_place(str(error), given, table.name),
                    }

    def warm(self) -> None:
        """Nothing: what an input is has to be known first."""

    def settle(self) -> None:
        """Nothing to settle in the thread that answers."""


# ---------------------------------------------------------------- what series share with this
@contextlib.contextmanager
def kept(table: Table) -> Iterator[Any]:
    """What `predict` takes: rows as they are, or the path of a file that is gone afterwards.

    Raises Refused 503 where the disk does not take it; the log says why.
    """
    if not isinstance(table.given, bytes):
        yield table.given
        return
    with contextlib.ExitStack() as held:
        try:
            folder = held.enter_context(tempfile.TemporaryDirectory(prefix="vistazo-"))
            path = Path(folder).resolve() / "table.csv"  # as sentences name it, whose place is not told
            path.write_bytes(table.given)
        except OSError as error:
            sentence = tr("The service could not put what was sent on its disk. Try again later.")
            raise Refused(503, sentence, (b"retry-after", b"30")) from error
        yield str(path)


def without_place(sentence: str, given: Any, name: str) -> str:
    """A sentence in which the file has the client's name for it."""
    if isinstance(given, str):
        sentence = sentence.replace(given, name or "rows").replace(str(Path(given).parent), "")
    return sentence


def csv_tables(
    body: bytes,
    content_type: str,
    media_type: str,
    most: int,
    rows: int = MOST_ROWS,
    fields: dict[str, str] | None = None,
) -> list[Table]:
    """The CSV files in a body that is one, or a form with up to `most`; `fields` as in `parts_of`.

    Raises Refused: 413 for a file of more rows than `rows`, 415 for a body of another type.
    """
    if media_type == "text/csv":
        found = [Table("table.csv", body)]
    elif media_type == "multipart/form-data":
        parts = parts_of(body, content_type, most, fields)
        found = [Table(part.name, part.data, named=True) for part in parts]
    else:
        raise Refused.wrong_type(READS, media_type, "text/csv")
    for one in found:
        assert isinstance(one.given, bytes)
        if one.given.startswith(_PACKED):
            raise Refused(
                415,
                tr("The service reads tables as CSV; {name} is an Excel or Parquet file: save it as CSV.",
                   name=one.name),
            )  # fmt: skip
        if max(one.given.count(b"\n"), one.given.count(b"\r")) > rows + 1:
            raise Refused(413, tr("A request may have {n} inputs at most.", n=rows))
    return found


def noted(notes: Sequence[str], table: Table) -> Iterator[dict[str, Any]]:
    """What was noticed of a table, under its name where the client gave it one."""
    for note in notes:
        yield {"note": f"{table.name}: {note}" if table.named else note}


def finite(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as JSON can hold it: no number where it is not finite."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in answer.items()
    }


def plain_rows(told: Any) -> list[dict[str, Any]]:
    """The rows of a JSON body. Raises Refused 422 where they are not objects of plain values."""
    example = '{"rows": [{"column": "value", ...}, ...]}'
    if not isinstance(told, list) or not all(isinstance(row, Mapping) for row in told):
        raise Refused(422, tr("The JSON body must be {example}.", example=example))
    if len(told) > MOST_ROWS:
        raise Refused(413, tr("A request may have {n} inputs at most.", n=MOST_ROWS))
    for number, row in enumerate(told, 1):
        for name, value in row.items():
            if isinstance(value, (dict, list)):
                raise Refused(422, tr("Row {n}: '{name}' must be a text, a number, true, false or null.",
                                      n=number, name=_shown(name)))  # fmt: skip
            for text in (name, value):
                if isinstance(text, str) and not _writable(text):
                    raise Refused(422, tr("Row {n} holds a text that is no Unicode.", n=number))
    return told


def as_csv(rows: Sequence[Mapping[str, Any]], separator: str = ",", decimal: str = ".") -> bytes:
    """Rows as a CSV file in UTF-8, columns in the order they are met."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(row.get(name), decimal) for name in names])
    return out.getvalue().encode("utf-8")


def _cell(value: Any, decimal: str) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value).replace(".", decimal)
    return str(value).replace("\x00", "")


def _in_json(told: Any) -> Table:
    rows = told.get("rows") if isinstance(told, Mapping) else None
    found = plain_rows(rows)
    if not found:
        raise Refused(422, tr("The request holds nothing to answer for."))
    return Table("", found)


def _writable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can name
        return False
    return True


def _shown(name: str) -> str:
    return name[:60].encode("utf-8", "replace").decode()
