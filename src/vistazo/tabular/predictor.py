"""The trained model of a table: a network with all it takes to turn rows into answers.

Shape suffixes: M members, N rows, K classes (1 for a number).
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vistazo.bundle import Bundle
from vistazo.config import build
from vistazo.engine.device import Compute, resolve_device
from vistazo.engine.objectives import create as create_loss
from vistazo.engine.serving import Exporting
from vistazo.errors import BundleDamaged, ConfigError
from vistazo.language import tr
from vistazo.tables.config import TableConfig
from vistazo.tables.preparing import Scaler
from vistazo.tables.table import Table
from vistazo.tabular import explaining
from vistazo.tabular.answering import CHUNK, Answering
from vistazo.tabular.given import table_of
from vistazo.tabular.inputs import Encoded, Encoder
from vistazo.tabular.models import create
from vistazo.tabular.objective import COUNTS

__all__ = ["COVERED", "Predictor", "open_model"]

Floats = NDArray[np.float64]

COVERED = 0.8  # share of new values that the interval of an answer should hold
WALKS = 400  # orders that one explanation samples


@dataclass(frozen=True)
class Predictor(Answering, Exporting):
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
    hash: str = ""
    notes: list[str] = field(default_factory=list)

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

    def answers_of(self, own: Table) -> tuple[Floats, list[tuple[str, ...]]]:
        """See Answering."""
        encoded = self.encoder.encode(own)
        return self.answers(encoded), self.encoder.unknown(encoded)

    def least(self) -> float:
        """See Answering."""
        return 0.0 if self.objective == COUNTS else -math.inf

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

    # ------------------------------------------------------------ explaining
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
            hash=hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, ConfigError) as error:
        raise BundleDamaged(
            tr("{path} does not hold together ({reason}).", path=path, reason=error)
        ) from None
