"""What the reports of one label and of several labels a picture share: the table of parts, the number of mistakes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vistazo.classification import metrics
from vistazo.engine.reports import Cell, Table, number, percent
from vistazo.language import tr

__all__ = ["MISTAKES", "Column", "table_of_parts"]

MISTAKES = 24  # that are shown
Column = tuple[
    str, Callable[[Mapping[str, Any]], Cell]
]  # its heading, and its cell from the figures of a part


def table_of_parts(
    figures: Mapping[str, Mapping[str, Any] | None], right: str, more: Sequence[Column]
) -> Table:
    """A row for each part that was measured. right: the heading of `accuracy`; more: columns before the loss."""
    columns: list[Column] = [
        (tr("pictures"), lambda one: one["n"]),
        (right, lambda one: percent(one["accuracy"], 2)),
        (tr("{level} interval", level=metrics.LEVEL), _interval),
        (tr("single view"), lambda one: percent(one["single_view_accuracy"], 2)),
        *more,
        (tr("loss"), lambda one: number(one["loss"], 4)),
    ]
    rows: list[list[Cell]] = [
        [tr(part), *(cell(one) for _, cell in columns)] for part, one in figures.items() if one
    ]
    return Table([tr("part"), *(heading for heading, _ in columns)], rows, "l" + "r" * len(columns))


def _interval(one: Mapping[str, Any]) -> str:
    return f"{percent(one['accuracy_low'], 2)} – {percent(one['accuracy_high'], 2)}"
