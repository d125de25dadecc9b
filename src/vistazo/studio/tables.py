"""Tables and series: how a file was read, what to learn from it, and the panel of what was learnt.

The page /table?path=FILE shows a file that was given and begins the training, in another process; `tables` is the
panel of a run that has ended.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from nicegui import ui

from vistazo.config import build
from vistazo.engine.reports import number
from vistazo.errors import VistazoError
from vistazo.language import mark, tr
from vistazo.studio.forecasts import forecasts
from vistazo.studio.pages.learning import begin_run, free_name
from vistazo.studio.parts import (
    Message,
    box,
    button,
    choice,
    field,
    frame,
    guarded,
    in_thread,
    link,
    reported,
    words,
)
from vistazo.studio.pieces import counted, decimal, panel, table
from vistazo.studio.rows import rows
from vistazo.studio.state import Studio
from vistazo.tables import checking, reading
from vistazo.tables.config import TableConfig
from vistazo.tables.table import Column, Table

__all__ = ["add", "tables"]

FIRST, FAULTS = 5, 20  # rows and findings that are shown
_READ = {
    "header": mark("Is the first row a heading?"),
    "separator": mark("What stands between the cells"),
    "decimal": mark("What stands before the decimals"),
    "date_order": mark("Order of day, month and year"),
}
_WORDS = {
    "auto": mark("found out by Vistazo"), "yes": mark("yes"), "no": mark("no"), "comma": mark("comma"),
    "semicolon": mark("semicolon"), "tab": mark("tab"), "bar": mark("bar"), "point": mark("point"),
    "ymd": mark("year, month, day"), "dmy": mark("day, month, year"), "mdy": mark("month, day, year"),
}  # fmt: skip
_CHOICES = {
    "header": ("auto", "yes", "no"),
    "separator": ("auto", "comma", "semicolon", "tab", "bar"),
    "decimal": ("auto", "point", "comma"),
    "date_order": ("auto", "ymd", "dmy", "mdy"),
}


async def tables(studio: Studio, run: Path, model: Any, wrong: Message) -> None:
    """Draw what a run on a table or a series gave into the current panel. wrong: where faults are told."""
    if model.task == "forecasting":
        await forecasts(studio, run, model, wrong)
    else:
        await rows(studio, run, model, wrong)


def add(studio: Studio) -> None:
    """Make the page of a table that was given."""

    @ui.page("/table", response_timeout=30)
    def page(path: str = "") -> None:
        with frame(studio, tr("What should it learn from this table?"), crumb=tr("Step 2 of 3")):
            try:
                file = studio.may_read(path)
            except VistazoError as error:
                Message(alert=True).say(str(error), wrong=True)
                link(tr("Give another file"), "/new", kind="primary")
                return
            _Reading(studio, file).draw()


class _Reading:
    """A file, how it is read, and what is to be learnt from it."""

    def __init__(self, studio: Studio, file: Path) -> None:
        self.studio, self.file = studio, file
        self.settings: dict[str, str] = {}  # of reading, where a person chose
        self.asked: dict[str, str] = {}  # of training
        self.table: Table | None = None

    def draw(self) -> None:
        """The whole page; what was read is drawn when it is there, and again whenever a setting changes."""
        with panel("vz-table-page"):
            words("p", self.file.name, "vz-soft")
            self.wrong, self.told = Message(alert=True), Message()
            self.shown = box("div", "vz-stack")
            with box("details"):
                words("summary", tr("Read it otherwise"))
                with box("div", "vz-fields"):
                    for name, label in _READ.items():
                        options = {one: _said(one) for one in _CHOICES[name]}
                        choice(tr(label), options, "auto", self._read_with(name))
                    field(tr("Letters of a CSV file, as in utf-8 or cp1252"), change=self._keep("encoding"))
                    field(tr("Sheet of an Excel file"), change=self._keep("sheet"))
                button(tr("Read it again"), self.read)
            self.form = box("div", "vz-stack")
            ui.timer(0.05, self.read, once=True)

    def _keep(self, name: str) -> Callable[[str], None]:
        def keep(value: str) -> None:
            self.settings[name] = value.strip()

        return keep

    def _read_with(self, name: str) -> Callable[[str], Any]:
        async def chosen(value: str) -> None:
            self.settings[name] = value if value in _CHOICES[name] else "auto"
            await self.read()

        return chosen

    def chosen(self) -> dict[str, str]:
        """The settings of reading that are not Vistazo's own."""
        return {name: one for name, one in self.settings.items() if one not in ("", "auto")}

    async def read(self) -> None:
        """Read the file and show how; what is to be learnt is asked where it could be read."""
        self.shown.clear()
        self.form.clear()
        self.told.say(tr("The file is being read ..."))
        with reported(self.wrong):
            self.table = await in_thread(reading.read_table, self.file, build(TableConfig, self.chosen()))
            told = await in_thread(checking.check, self.table)
            with self.shown:
                _show_reading(self.table, told)
            with self.form:
                self._ask(self.table)
        self.told.say("")

    # ------------------------------------------------------------ what to learn
    def _ask(self, read: Table) -> None:
        kinds = {one.name: one.kind for one in read.columns}
        dates = [name for name, kind in kinds.items() if kind == "date"]
        numbers = [name for name, kind in kinds.items() if kind == "number"]
        self.asked = {"task": "forecasting" if dates and numbers else "tabular"}
        words("h2", tr("What should it learn?"))
        if dates and numbers:
            options = {
                "forecasting": tr("How a number goes on: a forecast of the days to come"),
                "tabular": tr("To tell one column from the others, row by row"),
            }
            choice(tr("What is wanted"), options, "forecasting", self._task_of(dates, numbers, list(kinds)))
        self.fields = box("div", "vz-fields")
        self._fields(dates, numbers, list(kinds))
        self.wrong_run = Message(alert=True)
        with box("div", "row"):
            button(tr("Begin to learn"), guarded(self.begin, self.wrong_run), kind="primary")

    def _task_of(self, dates: list[str], numbers: list[str], every: list[str]) -> Callable[[str], None]:
        def chosen(value: str) -> None:
            self.asked = {"task": "tabular" if value == "tabular" else "forecasting"}
            self._fields(dates, numbers, every)

        return chosen

    def _fields(self, dates: list[str], numbers: list[str], every: list[str]) -> None:
        self.fields.clear()
        name = free_name(self.studio, self.file)
        self.asked["name"] = name
        with self.fields:
            if self.asked["task"] == "forecasting":
                self._choose("date", tr("Column of dates"), dates, dates[0])
                self._choose("value", tr("Column to forecast"), numbers, numbers[-1])
                several = [one for one in every if one not in dates]
                self._choose("series", tr("Column that names the series, such as the shop"), several, "")
                field(tr("Steps to forecast"), "7", change=self._take("horizon"), inputmode="numeric")
                ways = {"": tr("found out by Vistazo"), "sum": tr("their sum"), "mean": tr("their mean")}
                choice(tr("Several rows of one day become"), ways, "", self._take("aggregate"))
            else:
                self._choose("target", tr("Column to learn"), every, every[-1])
                kinds = {
                    "auto": tr("found out by Vistazo"),
                    "classification": tr("a class"),
                    "regression": tr("a number"),
                }
                choice(tr("What that column holds"), kinds, "auto", self._take("kind"))
                self._choose("group", tr("Rows that belong together, such as one customer's"), every, "")
            hint = tr("Empty: as long as the network's recipe says")
            field(tr("Passes over the data"), hint=hint, change=self._take("epochs"), inputmode="numeric")
            field(tr("Name of the model"), name, change=self._take("name"))

    def _choose(self, name: str, label: str, columns: list[str], first: str) -> None:
        """A list of columns; they are chosen by their place, as a name may hold anything."""
        options = {str(at): one for at, one in enumerate(columns)}
        if not first:
            options = {"": tr("none"), **options}
        self.asked[name] = first

        def chosen(value: str) -> None:
            self.asked[name] = columns[int(value)] if value in options and value else ""

        choice(label, options, str(columns.index(first)) if first else "", chosen)

    def _take(self, name: str) -> Callable[[str], None]:
        def take(value: str) -> None:
            self.asked[name] = value.strip()

        return take

    def begin(self) -> None:
        """Begin to learn in another process and go to its page. Raises ConfigError for what is no number."""
        asked = ["train", str(self.file), "--no-open", *self.arguments()]
        ui.navigate.to(f"/run/{quote(begin_run(self.studio, self.asked['name'], asked))}")

    def arguments(self) -> list[str]:
        """What was chosen, as options of the command line. Raises ConfigError."""
        found = []
        given = {**self.asked, **self.chosen()}
        for name, value in given.items():
            if name == "name" or not value or (name == "kind" and value == "auto"):
                continue
            if name in ("horizon", "epochs"):
                value = str(counted(value))
            found.append(f"--{name.replace('_', '-')}={value}")
        return found


def _said(value: str) -> str:
    text = _WORDS[value]
    return tr(text)


def _show_reading(read: Table, told: dict[str, Any]) -> None:
    """How a file was read: its columns, its first rows, and the cells that were not understood."""
    counts = told["counts"]
    words("h2", tr("How it was read"))
    words("p", tr("rows: {n}, columns: {columns}", n=number(counts["rows"]), columns=counts["columns"]))
    rows = [
        [
            one["name"],
            _kind(one["kind"]),
            one["reading"],
            decimal(one["range"]) if one["kind"] == "number" else one["range"],
            number(one["missing"]) if one["missing"] else "",
        ]
        for one in told["columns"]
    ]
    headings = [tr("column"), tr("holds"), tr("read as"), tr("from, to"), tr("missing")]
    table(tr("Columns"), headings, rows, numbers=(4,))
    first = read.take(np.arange(min(FIRST, len(read))))
    cells = [list(row) for row in zip(*map(_texts, first.columns), strict=True)]
    table(tr("The first rows as understood"), list(read.names), cells)
    for note in read.notes:
        words("p", note, "vz-soft")
    if told["findings"]:
        with box("details"):
            count = counts["cells_not_understood"] + counts["rows_set_aside"]
            words("summary", tr("Not understood: {n}", n=number(count)))
            shown = [[one["path"], one["detail"], one["suggestion"]] for one in told["findings"][:FAULTS]]
            table(tr("Not understood"), [tr("row"), tr("what"), tr("what to do")], shown)


def _texts(column: Column) -> list[str]:
    texts = column.texts()
    return [decimal(one) for one in texts] if column.kind == "number" else texts


def _kind(kind: str) -> str:
    return tr(kind)
