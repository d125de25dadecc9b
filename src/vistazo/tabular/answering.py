"""What a table's model answers, whoever computes it: torch, or onnxruntime from an exported file. Free of torch.

Shape suffixes: N rows, K classes (1 for a number).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vistazo.engine.serving import Serving
from vistazo.errors import ConfigError, ReadTwoWays, SourceDamaged, TooFewExamples, UsageError
from vistazo.language import tr
from vistazo.tables.config import TableConfig
from vistazo.tables.table import Column, Table, plain, shortened
from vistazo.tabular import metrics, splits
from vistazo.tabular.columns import names_parts, part_of, target_column
from vistazo.tabular.given import as_table, table_of
from vistazo.tabular.inputs import Encoder, Feature, as_kind, infinite_rows, with_truth_as
from vistazo.tabular.keeping import read_parts

__all__ = ["CHUNK", "Answering"]

Floats = NDArray[np.float64]

SHOWN = 5  # cells named where a file was not understood
CHUNK = 4096  # rows answered at once


class Answering(Serving):
    """From a table to answers, and to the figures of answers; what computes them is a subclass's.

    classes: () where the target is a number. reach: half the width of the 80 % interval of a number; None where
    validation was too small to tell. reading: how files are read. settled: how those that can be read in two ways are:
    as the training file was. path: of the model's file, beside which the run's parts may lie. notes: what the last
    `predict` noticed.
    """

    target: str
    classes: tuple[str, ...]
    encoder: Encoder
    reach: float | None
    reading: TableConfig
    settled: TableConfig
    path: Path | None
    notes: list[str]
    task: ClassVar[str] = "tabular"
    pictures: ClassVar[dict[str, Any]] = {}

    @property
    def columns(self) -> dict[str, type]:
        """The values of an answer that a table of answers holds."""
        if self.classes:
            return {"file": str, "row": float, "class": str, "probability": float}
        return {"file": str, "row": float, "value": float, "low": float, "high": float}

    # ------------------------------------------------------------ answers
    def answers_of(self, own: Table) -> tuple[Floats, list[tuple[str, ...]]]:
        """Answers to the rows of a table of the model's columns: (N, K) probabilities, or (N, 1) values in their unit.

        With them, for each row, the columns whose category training never saw.
        """
        raise NotImplementedError

    def least(self) -> float:
        """What no value can lie below."""
        raise NotImplementedError

    def _table(self, source: Any) -> Table:
        try:
            return as_table(source, self.reading)
        except ReadTwoWays:
            pass
        try:
            return as_table(source, self.settled)
        except ReadTwoWays as error:
            raise SourceDamaged(error.answering) from None

    def _own(self, table: Table) -> Table:
        """The model's columns of a table, under the model's names."""
        given = {column.name: column for column in table.columns}
        alike = {plain(column.name): column for column in table.columns}
        found = [given.get(name) or alike.get(plain(name)) for name in self.encoder.names]
        missing = [name for name, column in zip(self.encoder.names, found, strict=True) if column is None]
        if missing:
            raise SourceDamaged(
                tr(
                    "The table lacks columns that the model needs: {missing}. It has: {names}. Add them, empty where "
                    "a value is not known.",
                    missing=", ".join(missing)[:300],
                    names=", ".join(table.names)[:300],
                )
            )
        columns = [
            self._cells(feature, one, table)
            for feature, one in zip(self.encoder.features, found, strict=True)
            if one is not None
        ]
        return Table(tuple(columns), table.rows)

    def _cells(self, feature: Feature, column: Column, table: Table) -> Column:
        """A column as the kind it had in training; cells that are none are told in `notes`, and count as missing."""
        named = Column(feature.name, column.kind, column.values, column.categories)
        told = [(one.row, one.text) for one in table.faults if one.column == column.name]
        count = table.fault_count.get(column.name, 0)
        read = named
        if column.kind == "category" and feature.kind in ("number", "date"):
            # One cell that is no number among few makes a column of texts; the others are numbers all the same.
            read = as_kind(named, feature.kind, self.settled)
            lost = np.flatnonzero(read.missing & ~named.missing)
            count += len(lost)
            told += [
                (int(table.rows[at]), named.categories[named.values[at]]) for at in lost[:SHOWN].tolist()
            ]
        if count:
            cells = [tr("row {row}: {text}", row=row, text=shortened(text)) for row, text in told[:SHOWN]]
            self.notes.append(
                tr(
                    "cells of '{name}' that were not understood: {n} ({cells})",
                    name=feature.name,
                    n=count,
                    cells="; ".join(cells),
                )
            )
        return read

    def predict(self, files: Any, *, top: int = 5) -> Iterator[dict[str, Any]]:
        """An answer for each row of tables: files, a dictionary of columns, or a list of dictionaries.

        Yields {"row", "class", "probability", "top"}, or {"row", "value", "low", "high"}; "file" where files were
        named, "unknown" with the columns whose category training never saw, and {"row", "reason"} for a row that
        cannot be answered. Raises SourceError where a table cannot be read or lacks a column.
        """
        if files is None or (not isinstance(files, str | Path) and not len(files)):
            raise UsageError(tr("Name the tables to answer for: vistazo predict MODEL TABLE..."))
        self.notes.clear()
        if isinstance(files, str | Path):
            files = [files]
        if isinstance(files, Sequence) and all(isinstance(one, str | Path) for one in files):
            for file in files:
                for answer in self._table_answers(self._table(file), top):
                    yield {"file": str(file), **answer}
        else:
            yield from self._table_answers(table_of(files), top)

    def _table_answers(self, table: Table, top: int) -> Iterator[dict[str, Any]]:
        own = self._own(table)
        known = {plain(name) for name in (*self.encoder.names, self.target)}
        extra = [name for name in table.names if plain(name) not in known]
        if extra:
            self.notes.append(
                tr(
                    "not looked at, because training had no use for them: {names}",
                    names=shortened(", ".join(extra)),
                )
            )
        for row in table.set_aside:
            yield {"row": row.row, "reason": row.reason}
        for first in range(0, len(own), CHUNK):
            part = own.take(np.arange(first, min(first + CHUNK, len(own))))
            answers, unknown = self.answers_of(part)
            wrong = infinite_rows(part)
            for at, (row, answer) in enumerate(zip(part.rows.tolist(), answers, strict=True)):
                if at in wrong:
                    yield {"row": row, "reason": tr("'{name}' is infinite", name=wrong[at])}
                    continue
                told = {"row": row, **self._told(answer, top)}
                yield {**told, "unknown": list(unknown[at])} if unknown[at] else told

    def _told(self, answer: Floats, top: int) -> dict[str, Any]:
        if self.classes:
            order = np.argsort(-answer, kind="stable")[:top]
            ranked = [[self.classes[at], round(float(answer[at]), 6)] for at in order]
            return {"class": ranked[0][0], "probability": ranked[0][1], "top": ranked}
        value, reach = float(answer[0]), self.reach
        return {
            "value": value,
            "low": None if reach is None else max(self.least(), value - reach),
            "high": None if reach is None else value + reach,
        }

    # ------------------------------------------------------------ measuring
    def evaluate(self, source: Any, *, split: str | None = None) -> dict[str, Any]:
        """Figures on a table: its test part where a column names one, else all rows not learnt from.

        Rows learnt from are known by their values, where the run folder is at hand. split: 'train', 'validation' or
        'test' (as the run divided them, or as the table's column does) or 'all'.
        Raises SourceError, ConfigError where the target or a class is not this model's.
        """
        self.notes.clear()
        table = self._table(source)
        own, labels = self._own(table), self._labels(table)
        missing = labels < 0 if self.classes else np.isnan(labels)
        learnt = target_column(self.target, self.classes, labels)
        hashes = splits.row_hashes([*self.encoder.as_fitted(own), learnt])
        part, chosen, trained_on = self._chosen(table, hashes, split)
        chosen &= ~missing
        if not chosen.any():
            raise TooFewExamples(
                tr(
                    "The table has no rows to evaluate on in part '{part}' ({trained} were learnt from, {missing} "
                    "have no '{name}').",
                    part=part,
                    trained=int(trained_on.sum()),
                    missing=int(missing.sum()),
                    name=self.target,
                )
            )
        answers, _ = self.answers_of(own.take(chosen))
        told: dict[str, Any] = {"part": part, "metrics": self.measure(answers, labels[chosen])}
        if self.classes:
            confusion = metrics.confusion_matrix(answers.argmax(1), labels[chosen], len(self.classes))
            scores = metrics.class_scores(confusion)
            told["classes"] = {
                name: {
                    "precision": float(scores.precision[at]),
                    "recall": float(scores.recall[at]),
                    "f1": float(scores.f1[at]),
                    "support": int(scores.support[at]),
                }
                for at, name in enumerate(self.classes)
            }
        told["left_out"] = {"trained_on": int(trained_on.sum()), "without_target": int(missing.sum())}
        told["unreadable"] = [{"row": row.row, "reason": row.reason} for row in table.set_aside]
        told["notes"] = [*self.notes, *(self._unguarded() if part == "all" else ())]
        return told

    def _unguarded(self) -> list[str]:
        """That rows it was trained on may be among those measured, where nothing tells them."""
        if self.path is None or read_parts(self.path.parent):
            return []
        return [
            tr(
                "{path} does not lie in the folder of its run, so rows that it was trained on could not be left out; "
                "if there are any, its figures flatter.",
                path=self.path,
            )
        ]

    def examples(self, source: Any, part: str) -> tuple[Table, NDArray[Any] | None]:
        """The model's columns of the rows of a part of a table, 'test' or 'all', and their targets, NaN or -1 missing.

        The targets are None where the table has no such column. Raises SourceError, ConfigError like `evaluate`.
        """
        table = self._table(source)
        own = self._own(table)
        if plain(self.target) not in map(plain, table.names):
            return own, None
        labels = self._labels(table)
        learnt = target_column(self.target, self.classes, labels)
        hashes = splits.row_hashes([*self.encoder.as_fitted(own), learnt])
        _, chosen, _ = self._chosen(table, hashes, part)
        return own.take(chosen), labels[chosen]

    def measure(self, answers: Floats, truth: NDArray[Any]) -> dict[str, Any]:
        """The figures of answers, with the interval's coverage where there is an interval."""
        if self.classes:
            return metrics.measure_classes(answers, truth)
        figures: dict[str, Any] = metrics.measure_numbers(answers[:, 0], truth)
        covered = self.reach is not None and len(truth) > 0
        figures["coverage"] = metrics.coverage(answers[:, 0], truth, self.reach or 0.0) if covered else None
        return figures

    def _chosen(
        self, table: Table, hashes: NDArray[np.bytes_], split: str | None
    ) -> tuple[str, NDArray[np.bool_], NDArray[np.bool_]]:
        """(part, which rows are measured, which are left out because they were learnt from)."""
        nothing = np.zeros(len(table), dtype=bool)
        named = next((c for c in table.columns if names_parts(c)), None)
        parts = read_parts(self.path.parent) if self.path else {}
        seen = np.isin(
            hashes, np.concatenate([parts.get(one, hashes[:0]) for one in ("train", "validation")])
        )
        if split == "all":
            return "all", ~nothing, nothing
        if split:
            own = (
                part_of(named) == split
                if named is not None
                else np.isin(hashes, parts.get(split, hashes[:0]))
            )
            return split, own, nothing
        if named is not None and (part_of(named) == "test").any():
            own = part_of(named) == "test"
            return "test", own & ~seen, own & seen
        return "all", ~seen, seen

    def _labels(self, table: Table) -> NDArray[Any]:
        column = table.column(self.target)
        if not self.classes:
            return np.asarray(as_kind(column, "number", self.settled).values)
        texts = with_truth_as(self.classes, column).texts()
        unknown = sorted(set(texts) - set(self.classes) - {""})
        if unknown:
            raise ConfigError(
                tr(
                    "The table has classes that the model does not know: {names}. It knows: {known}.",
                    names=", ".join(unknown[:20]),
                    known=", ".join(self.classes),
                )
            )
        code = {name: at for at, name in enumerate(self.classes)}
        return np.array([code.get(text, -1) for text in texts], dtype=np.int64)
