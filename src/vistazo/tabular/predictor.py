"""The trained model of a table: a network with all it takes to turn rows into answers.

Shape suffixes: M members, N rows, K classes (1 for a number).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vistazo.bundle import Bundle
from vistazo.config import build
from vistazo.engine.device import Compute, resolve_device
from vistazo.engine.objectives import create as create_loss
from vistazo.errors import BundleDamaged, ConfigError, SourceDamaged, TooFewExamples, UsageError
from vistazo.language import tr
from vistazo.tables.config import TableConfig
from vistazo.tables.preparing import Scaler
from vistazo.tables.table import Column, Table, plain
from vistazo.tabular import explaining, metrics, splits
from vistazo.tabular.columns import names_parts, part_of, target_column
from vistazo.tabular.given import as_table, table_of
from vistazo.tabular.inputs import Encoded, Encoder, Feature, as_kind, infinite_rows
from vistazo.tabular.keeping import read_parts
from vistazo.tabular.models import create
from vistazo.tabular.objective import COUNTS

__all__ = ["COVERED", "Predictor", "open_model"]

Floats = NDArray[np.float64]

SHOWN = 5  # cells named where a file was not understood
CHUNK = 4096  # rows answered at once
COVERED = 0.8  # share of new values that the interval of an answer should hold
WALKS = 400  # orders that one explanation samples


@dataclass(frozen=True)
class Predictor:
    """A network with all it takes to turn the rows of a table into answers.

    model, arguments: the registered network. classes: () where the target is a number, which `scaler` then scales.
    reach: half the width of the 80 % interval of a number; None where validation was too small to tell. background:
    training rows that explanations compare with. reading: how files are read. settled: how
    those that can be read in two ways are: as the training file was. objective, loss_arguments: the loss that reads the
    network's scores. notes: what the last `predict` noticed.
    """

    network: nn.Module
    model: str
    arguments: dict[str, Any]
    target: str
    classes: tuple[str, ...]
    encoder: Encoder
    scaler: Scaler | None
    reach: float | None
    background: Encoded
    reading: TableConfig
    settled: TableConfig
    compute: Compute
    objective: str
    loss_arguments: Mapping[str, float]
    metrics: Any = None
    path: Path | None = None
    notes: list[str] = field(default_factory=list)
    task: ClassVar[str] = "tabular"
    pictures: ClassVar[dict[str, Any]] = {}

    @property
    def columns(self) -> dict[str, type]:
        """The values of an answer that a table of answers holds."""
        if self.classes:
            return {"file": str, "row": float, "class": str, "probability": float}
        return {"file": str, "row": float, "value": float, "low": float, "high": float}

    # ------------------------------------------------------------ answers
    @torch.no_grad()
    def answers(self, rows: Encoded) -> Floats:
        """(N, K) probabilities, the mean of the members'; or (N, 1) values in the target's unit."""
        self.network.eval()
        found = np.empty((len(rows), max(1, len(self.classes))), dtype=np.float64)
        for first in range(0, len(rows), CHUNK):
            chunk = slice(first, first + CHUNK)
            numbers, codes = (torch.from_numpy(part[chunk]) for part in (rows.numbers, rows.codes))
            with self.compute.autocast():
                scores: Tensor = self.network(self.compute.place(numbers), self.compute.place(codes))
            found[chunk] = self._read(scores.float()).double().cpu().numpy()
        return found if self.scaler is None else self.scaler.inverse(found)

    def _read(self, scores_MNK: Tensor) -> Tensor:
        members, rows, outputs = scores_MNK.shape
        flat = scores_MNK.reshape(members * rows, outputs)
        objective = create_loss(self.objective, self.loss_arguments, numbers=not self.classes)
        return objective.answer(flat).reshape(members, rows, -1).mean(0)

    def encode(self, table: Table) -> Encoded:
        """The rows of a table as the network takes them; columns are found by name, accents and case apart.

        Raises SourceDamaged that names the columns the model needs and the table lacks.
        """
        return self.encoder.encode(self._own(table))

    def _table(self, source: Any) -> Table:
        try:
            return as_table(source, self.reading)
        except ConfigError:
            if self.settled == self.reading:
                raise
            return as_table(source, self.settled)

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
            cells = [tr("row {row}: {text}", row=row, text=text) for row, text in told[:SHOWN]]
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
                tr("not looked at, because training had no use for them: {names}", names=", ".join(extra))
            )
        for row in table.set_aside:
            yield {"row": row.row, "reason": row.reason}
        for first in range(0, len(own), CHUNK):
            part = own.take(np.arange(first, min(first + CHUNK, len(own))))
            encoded = self.encoder.encode(part)
            unknown = self.encoder.unknown(encoded)
            wrong = infinite_rows(part)
            for at, (row, answer) in enumerate(zip(part.rows.tolist(), self.answers(encoded), strict=True)):
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
        least = 0.0 if self.objective == COUNTS else -math.inf
        return {
            "value": value,
            "low": None if reach is None else max(least, value - reach),
            "high": None if reach is None else value + reach,
        }

    # ------------------------------------------------------------ measuring and explaining
    def evaluate(self, source: Any, *, split: str | None = None) -> dict[str, Any]:
        """Figures on a table: its test part where a column names one, else all rows not learnt from.

        Rows learnt from are known by their values, where the run folder is at hand. split: 'train', 'validation' or
        'test' (as the run divided them, or as the table's column does) or 'all'.
        Raises SourceError, ConfigError where the target or a class is not this model's.
        """
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
        answers = self.answers(self.encoder.encode(own.take(chosen)))
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
        return told

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
        texts = column.texts()
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

    def explain_file(self, source: Any, row: int | None) -> dict[str, Any]:
        """`explain` for one row of a table's file. row: its number as `predict` tells it; None for the first.

        Raises ConfigError where the table has no such row.
        """
        self.notes.clear()
        table = self._table(source)
        chosen = np.flatnonzero(table.rows == row) if row is not None else np.arange(min(1, len(table)))
        if not len(chosen):
            raise ConfigError(
                tr(
                    "{source} has no row {row}; its rows are {first} to {last}.",
                    source=source,
                    row=row,
                    first=int(table.rows[0]),
                    last=int(table.rows[-1]),
                )
            )
        return {"row": int(table.rows[chosen[0]]), **self.explain(table.take(chosen))}

    def explain(self, row: Mapping[str, Any] | Table, *, walks: int = WALKS, seed: int = 0) -> dict[str, Any]:
        """What each column of one row adds to the answer, against rows that were learnt from.

        row: {"column": value}, or a table of one row. Gives {"base", "answer", "class" (where there are classes),
        "columns": [{"name", "value", "contribution"}]}, the largest contribution first; base and contributions add up
        to the answer: the probability of the class that is answered, or the value.
        """
        table = row if isinstance(row, Table) else table_of([row])
        own = self._own(table.take(np.arange(1)))
        encoded = self.encoder.encode(own)
        base, answer, told = explaining.shares(
            self.answers, encoded, self.background, self.encoder.places(), walks=walks, seed=seed
        )
        at = int(answer.argmax()) if self.classes else 0
        columns: list[dict[str, Any]] = [
            {"name": column.name, "value": column.texts()[0], "contribution": float(share)}
            for column, share in zip(own.columns, told[:, at], strict=True)
        ]
        columns.sort(key=lambda one: -abs(one["contribution"]))
        found: dict[str, Any] = {"base": float(base[at]), "answer": float(answer[at])}
        return {**found, **({"class": self.classes[at]} if self.classes else {}), "columns": columns}


def open_model(bundle: Bundle, path: Path) -> Predictor:
    """The model in a model file. Raises BundleDamaged where its parts do not fit together."""
    try:
        encoder = Encoder.from_json(bundle.preprocessing["columns"])
        classes = tuple(bundle.facts["classes"])
        scaler = Scaler.from_json(bundle.preprocessing["target"]) if bundle.preprocessing["target"] else None
        arguments, reach = bundle.arguments, bundle.facts["reach"]
        if not all(isinstance(one, str) for one in (*classes, bundle.facts["target"])):
            raise ValueError("classes")
        if (
            (scaler is None) != bool(classes)
            or arguments["outputs"] != max(1, len(classes))
            or len(classes) == 1
        ):
            raise ValueError("outputs")
        if arguments["numbers"] != encoder.numbers or arguments["codes"] != list(encoder.codes):
            raise ValueError("columns")
        if reach is not None and not 0 <= float(reach) < float("inf"):
            raise ValueError("reach")
        objective = str(bundle.facts["objective"])
        loss_arguments = dict(bundle.facts.get("loss_arguments", {}))
        create_loss(objective, loss_arguments, numbers=not classes)  # raises where there is no such loss
        network = create(bundle.model, arguments)
        begin = "network."
        network.load_state_dict(
            {name.removeprefix(begin): one for name, one in bundle.tensors.items() if name.startswith(begin)}
        )
        background = Encoded(*(bundle.tensors[f"background.{name}"].numpy() for name in ("numbers", "codes")))
        sizes = np.array(encoder.codes, dtype=np.int64)
        if (
            background.numbers.shape[1] != encoder.numbers
            or background.codes.shape[1] != len(sizes)
            or not len(background)
            or not ((background.codes >= 0) & (background.codes < sizes)).all()
        ):
            raise ValueError("background")
        compute = Compute(resolve_device("auto"), "fp32", "contiguous", torch.get_num_threads())
        return Predictor(
            network=compute.place(network.eval()),
            model=bundle.model,
            arguments=arguments,
            target=bundle.facts["target"],
            classes=classes,
            encoder=encoder,
            scaler=scaler,
            reach=None if reach is None else float(reach),
            background=background,
            reading=build(TableConfig, bundle.preprocessing["reading"]),
            settled=build(TableConfig, bundle.preprocessing["settled"]),
            compute=compute,
            objective=objective,
            loss_arguments=loss_arguments,
            metrics=bundle.metrics,
            path=path,
        )
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, ConfigError) as error:
        raise BundleDamaged(
            tr("{path} does not hold together ({reason}).", path=path, reason=error)
        ) from None
