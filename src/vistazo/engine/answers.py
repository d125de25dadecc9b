"""Answers to many inputs, written as they are found: CSV or Parquet, never all in memory."""

import contextlib
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, UsageError
from vistazo.language import tr

__all__ = ["write"]

AT_ONCE = 4096


def write(
    stream: Iterable[dict[str, Any]],
    path: Path,
    *,
    columns: Mapping[str, type],
    pictures: Mapping[str, Callable[[list[dict[str, Any]]], bytes]],
) -> dict[str, Any]:
    """Write every answer of a stream to a .csv or .parquet file, one a line; what could not be read is in it too.

    columns: the values of an answer to write, str, float or bool each; `reason` is added.
    pictures: further endings of a file's name, each with what draws all answers as one picture.
    Gives {"file", "count", "unreadable"}.
    Raises UsageError for another kind of file, DiskError where it cannot be written.
    """
    writers = {
        ".csv": _csv,
        ".parquet": _parquet,
        **{ending: _drawn(draw) for ending, draw in pictures.items()},
    }
    if path.suffix.lower() not in writers:
        raise UsageError(
            tr(
                "--out must end in one of {endings}, not '{name}'.",
                endings=", ".join(writers),
                name=path.name,
            )
        )
    count, unreadable = 0, []

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for answer in stream:
            if "reason" in answer:
                unreadable.append(answer)
            else:
                count += 1
            # several names in one cell, parted as a manifest parts them
            yield {name: "|".join(one) if isinstance(one, list) and columns.get(name) is str else one
                   for name, one in answer.items()}  # fmt: skip

    beside = path.with_name(f".{path.name}.part")
    try:
        writers[path.suffix.lower()](rows(), beside, {**columns, "reason": str})
        beside.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise DiskError(disk_sentence(path, error)) from error
        raise
    return {"file": str(path), "count": count, "unreadable": unreadable}


def _drawn(draw: Callable[[list[dict[str, Any]]], bytes]) -> Callable[..., None]:
    def write_picture(rows: Iterator[dict[str, Any]], path: Path, columns: Mapping[str, type]) -> None:
        answers = [one for one in rows if "reason" not in one]
        if not answers:
            raise UsageError(tr("There is nothing to draw: no answer could be given."))
        path.write_bytes(draw(answers))

    return write_picture


def _csv(rows: Iterator[dict[str, Any]], path: Path, columns: Mapping[str, type]) -> None:
    with open(
        path, "w", newline="", encoding="utf-8-sig"
    ) as file:  # with a mark, so that spreadsheets read accents
        writer = csv.DictWriter(file, list(columns), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _parquet(rows: Iterator[dict[str, Any]], path: Path, columns: Mapping[str, type]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    with pq.ParquetWriter(path, schema) as writer:
        while several := list(islice(rows, AT_ONCE)):
            lines = [{name: one.get(name) for name in columns} for one in several]
            writer.write_table(pa.Table.from_pylist(lines, schema=schema))
