"""What a person wants to see before anything is learnt from a table: how it was read, and what was left out."""

from typing import Any

import numpy as np

from vistazo.language import mark, tr
from vistazo.tables.table import Column, Table

__all__ = ["almost_dates", "check"]

SHOWN = 20  # faults and rows that are named
FIRST = 3  # rows shown as understood
_KINDS = {
    "number": mark("number"),
    "date": mark("date"),
    "category": mark("category"),
    "empty": mark("empty"),
}


def check(table: Table) -> dict[str, Any]:
    """How a table was read: {"lines" for people, "findings", "counts", "columns", "rows"}.

    findings: a cell that was not understood or a row set aside each, with its row number, as a spreadsheet shows it.
    """
    columns = [_described(column) for column in table.columns]
    lines = [*table.notes, tr("rows: {n}, columns: {columns}", n=len(table), columns=len(columns))]
    width = max(len(one["name"]) for one in columns)
    for one in columns:
        name = _KINDS[one["kind"]]
        told = ", ".join(filter(None, [tr(name), one["reading"], one["range"]]))
        missing = tr("missing: {n}", n=one["missing"]) if one["missing"] else ""
        lines.append("  " + "  ".join(filter(None, [f"{one['name']:{width}}", told, missing])))
    lines += _first_rows(table)
    findings = [_fault(one.row, one.column, one.text, one.reason) for one in table.faults]
    findings += [
        {"kind": "set_aside", "path": str(one.row), "detail": one.reason,
         "suggestion": tr("remove the row, or mend it")}
        for one in table.set_aside
    ]  # fmt: skip
    for one in findings[:SHOWN]:
        lines.append(tr("row {row}: {detail}", row=one["path"], detail=one["detail"]))
    faults = sum(table.fault_count.values())
    if faults + len(table.set_aside) > SHOWN:
        lines.append(tr("... and {n} more", n=faults + len(table.set_aside) - min(SHOWN, len(findings))))
    counts = {"rows": len(table), "columns": len(columns), "cells_not_understood": faults,
              "rows_set_aside": len(table.set_aside)}  # fmt: skip
    return {"lines": lines, "findings": findings, "counts": counts, "columns": columns}


def _fault(row: int, column: str, text: str, reason: str) -> dict[str, str]:
    detail = tr("'{text}' in '{column}': {reason}", text=text, column=column, reason=reason)
    return {
        "kind": "cell",
        "path": str(row),
        "detail": detail,
        "suggestion": tr("mend the cell, or leave it empty"),
    }


def _described(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "kind": column.kind,
        "reading": column.reading,
        "range": _range(column),
        "missing": int(column.missing.sum()),
    }


def _range(column: Column) -> str:
    """The ends of a column of numbers or dates; the first categories."""
    if column.kind == "category":
        names = ", ".join(name[:30] for name in column.categories[:5])
        more = " ..." if len(column.categories) > 5 else ""
        return tr("{n} values: {names}", n=len(column.categories), names=names + more)
    there = np.flatnonzero(~column.missing)
    if column.kind == "empty" or not len(there):
        return ""
    order = np.argsort(column.values[there])
    low, high = column.take(there[order[[0, -1]]]).texts()
    return tr("{low} to {high}", low=low, high=high)


def _first_rows(table: Table) -> list[str]:
    """The first rows as understood, one column under another."""
    shown = table.take(np.arange(min(FIRST, len(table))))
    rows = [list(shown.names), *zip(*(column.texts() for column in shown.columns), strict=True)]
    cells = [[str(cell)[:30] for cell in row] for row in rows]
    numbers = [tr("row"), *map(str, shown.rows.tolist())]
    table_rows = [[number, *row] for number, row in zip(numbers, cells, strict=True)]
    widths = [max(len(row[at]) for row in table_rows) for at in range(len(table_rows[0]))]
    return [
        tr("the first rows as understood:"),
        *("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
          for row in table_rows),
    ]  # fmt: skip


def almost_dates(table: Table) -> str:
    """A sentence about the column that holds dates in half of its cells or more but not in enough; '' without one."""
    import pyarrow as pa

    from vistazo.tables.dates import parse_dates

    for column in table.columns:
        if column.kind != "category":
            continue
        texts = pa.array(column.categories, pa.string())
        bad = np.all([np.isnat(parse_dates(texts, order)) for order in ("ymd", "dmy", "mdy")], axis=0)
        wrong = np.append(bad, True)[column.values] & ~column.missing
        if wrong.any() and 2 * int(wrong.sum()) <= int((~column.missing).sum()):
            first = int(np.flatnonzero(wrong)[0])
            return tr(
                "'{column}' holds dates, but not in {n} of its rows, such as row {row} ('{text}'): mend them.",
                column=column.name,
                n=int(wrong.sum()),
                row=int(table.rows[first]),
                text=column.categories[column.values[first]],
            )
    return ""
