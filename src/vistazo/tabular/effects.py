"""What the answers of a model go by, as blocks of a report: columns varied, and the worst answers explained."""

import numpy as np

from vistazo.engine.reports import Block, Cell, Curves, Table, Text, number, percent
from vistazo.language import tr
from vistazo.tables.table import Column
from vistazo.tables.table import Table as Cells
from vistazo.tabular import explaining, measuring
from vistazo.tabular.data import Rows
from vistazo.tabular.inputs import Encoded
from vistazo.tabular.measuring import Measured
from vistazo.tabular.predictor import Predictor
from vistazo.tabular.telling import plain_number

__all__ = ["dependence", "figure", "mistakes"]

CURVES = 6  # columns whose effect is drawn
POINTS = 15
CLASSES = 6  # lines in one drawing
AVERAGED = 200  # rows whose mean answer is drawn
EXPLAINED = 3  # worst mistakes that are explained


def figure(value: float | None) -> str:
    """A figure with four decimals, or a number of another size with about four figures."""
    return number(value, 4) if value is None or abs(value) < 10 else plain_number(value)


def dependence(rows: Rows, encoded: Encoded, model: Predictor, names: list[str], seed: int) -> list[Block]:
    """The mean answer along each of the most important columns."""
    table, train = rows.table, rows.rows("train")
    random_rows = encoded.take(measuring.pick(train, AVERAGED, seed))
    places = dict(zip(model.encoder.names, model.encoder.places(), strict=True))
    frequent = _frequent_classes(rows)
    found: list[Block] = []
    for name in names[:CURVES]:
        column = table.column(name).take(train)
        values = _grid(column)
        if len(values) < 2:
            continue
        like = random_rows.take(np.zeros(len(values), dtype=np.int64))
        columns = tuple(values if one.name == name else _first(one, len(values)) for one in table.columns)
        own = Cells(columns, np.arange(len(values), dtype=np.int64))
        grid = explaining.replaced(like, model.encoder.encode(own), places[name])
        answers = explaining.dependence(model.answers, random_rows, grid, places[name])
        label = tr("mean probability") if rows.classes else rows.target_name
        series = (
            {rows.classes[at]: answers[:, at] for at in frequent}
            if rows.classes
            else {rows.target_name: answers[:, 0]}
        )
        if column.kind == "category":
            cells: list[list[Cell]] = [
                [text, *(figure(float(line[at])) for line in series.values())]
                for at, text in enumerate(values.texts())
            ]
            found.append(Table([name, *series], cells, "l" + "r" * len(series)))
        else:
            x = values.values.astype(np.float64)
            if column.kind == "date":
                x = 1970 + x / (86_400 * 365.2425)
            lines = {key: [float(one) for one in line] for key, line in series.items()}
            found.append(
                Curves(
                    x.tolist(),
                    lines,
                    name if column.kind == "number" else tr("{name}, in years", name=name),
                    label,
                )
            )
    return found


def _frequent_classes(rows: Rows) -> list[int]:
    if not rows.classes:
        return []
    if len(rows.classes) == 2:
        return [1]
    counts = np.bincount(rows.target.astype(np.int64), minlength=len(rows.classes))
    return sorted(np.argsort(-counts, kind="stable")[:CLASSES].tolist())


def _grid(column: Column) -> Column:
    """Values along a column: its most frequent categories, or quantiles."""
    there = column.take(~column.missing)
    if column.kind == "category":
        counts = np.bincount(there.values, minlength=len(column.categories))
        common = np.sort(np.argsort(-counts, kind="stable")[:POINTS])
        return Column(column.name, "category", common.astype(np.int32), column.categories)
    distinct = np.unique(there.values)
    if len(distinct) > POINTS:
        order = np.sort(there.values)
        places = np.linspace(0.02, 0.98, POINTS) * (len(order) - 1)
        distinct = np.unique(order[places.round().astype(np.int64)])
    return Column(column.name, column.kind, distinct)


def _first(column: Column, rows: int) -> Column:
    return column.take(np.zeros(rows, dtype=np.int64))


def mistakes(rows: Rows, model: Predictor, shown: Measured, seed: int) -> list[Block]:
    """The worst answers of a part, each with what its columns added."""
    truth = rows.target[shown.rows]
    if rows.classes:
        badness = 1 - shown.answers[np.arange(len(truth)), truth.astype(np.int64)]
        order = [at for at in np.argsort(-badness, kind="stable") if shown.answers[at].argmax() != truth[at]]
    else:
        order = np.argsort(-np.abs(shown.answers[:, 0] - truth), kind="stable").tolist()
    if not order:
        return [Text(tr("None: every row of this part was answered rightly."))]
    found: list[Block] = []
    for at in order[:EXPLAINED]:
        row = rows.table.take(shown.rows[[at]])
        why = model.explain(row, seed=seed)
        digits = figure if not rows.classes else percent
        answer = f"{why['class']} {percent(why['answer'])}" if rows.classes else plain_number(why["answer"])
        right = rows.classes[int(truth[at])] if rows.classes else plain_number(float(truth[at]))
        found.append(
            Text(
                tr(
                    "Row {row}: answered {answer}, and it is {right}. Without knowing the row: {base}; each column "
                    "then adds:",
                    row=int(row.rows[0]),
                    answer=answer,
                    right=right,
                    base=digits(why["base"]),
                )
            )
        )
        shares: list[list[Cell]] = [
            [one["name"], one["value"] or None, _signed(one["contribution"], share=bool(rows.classes))]
            for one in why["columns"][:10]
        ]
        found.append(Table([tr("column"), tr("value"), tr("adds")], shares, "llr"))
    return found


def _signed(value: float, *, share: bool) -> str:
    text = percent(abs(value)) if share else figure(abs(value))
    return ("+" if value >= 0 else "−") + text
