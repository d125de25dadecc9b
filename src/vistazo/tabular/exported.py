"""A table's model in an .onnx file, ready to answer through onnxruntime. Free of torch.

Cells are read and answers are told as `Predictor` does (both are an `Answering`); what lies between is the graph's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.config import build
from vistazo.engine.onnx_file import OnnxFile
from vistazo.errors import BundleDamaged, ConfigError, UsageError
from vistazo.language import tr
from vistazo.tables.config import TableConfig
from vistazo.tables.table import Table
from vistazo.tabular.answering import CHUNK, Answering
from vistazo.tabular.inputs import Encoder

__all__ = ["Exported", "open_model"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Exported(Answering):
    """A graph with all it takes to turn the rows of a table into answers; see Answering.

    session: onnxruntime's. inputs: for each column, what the graph calls it. answers_in: the output of probabilities
    or values. unknown_in: that of unknown categories, None where there are none. floor: what no value lies below.
    hash: SHA-256 of the .vistazo file it came from.
    """

    session: Any
    model: str
    target: str
    classes: tuple[str, ...]
    encoder: Encoder
    inputs: tuple[str, ...]
    answers_in: str
    unknown_in: str | None
    reach: float | None
    floor: float | None
    reading: TableConfig
    settled: TableConfig
    hash: str
    facts: Mapping[str, Any]
    path: Path | None = None
    notes: list[str] = field(default_factory=list)

    def answers_of(self, own: Table) -> tuple[Floats, list[tuple[str, ...]]]:
        """See Answering."""
        found = np.empty((len(own), max(1, len(self.classes))), dtype=np.float64)
        strange: list[tuple[str, ...]] = []
        outputs = [self.answers_in, *([self.unknown_in] if self.unknown_in else [])]
        named = [one.name for one in self.encoder.features if one.categories is not None]
        for first in range(0, len(own), CHUNK):
            rows = np.arange(first, min(first + CHUNK, len(own)))
            answers, *unknown = self.session.run(outputs, self.feed(own.take(rows)))
            found[rows] = answers.reshape(len(rows), -1)
            each = unknown[0].tolist() if unknown else [[]] * len(rows)
            strange += [
                tuple(name for name, strange in zip(named, row, strict=True) if strange) if any(row) else ()
                for row in each
            ]
        return found, strange

    def feed(self, own: Table) -> dict[str, NDArray[Any]]:
        """What the graph takes of the rows of a table of the model's columns: each (rows,)."""
        return {
            name: feature.cells(column)
            for name, feature, column in zip(self.inputs, self.encoder.features, own.columns, strict=True)
        }

    def explain_file(self, source: Any, row: int | None) -> dict[str, Any]:
        """Raises UsageError: the rows that explanations compare with are in the .vistazo file alone."""
        raise UsageError(
            tr(
                "{path} was exported to answer, and cannot explain: explain the .vistazo file that it came from.",
                path=self.path,
            )
        )

    def least(self) -> float:
        """See Answering."""
        return -np.inf if self.floor is None else self.floor


def open_model(file: OnnxFile) -> Exported:
    """The model in an opened .onnx file. Raises BundleDamaged where its metadata and its graph do not fit together."""
    session, facts, path = file.session, file.facts, file.path
    try:
        told = facts["preprocessing"]
        encoder = Encoder.from_json(told["columns"])
        inputs = tuple(str(one["name"]) for one in facts["inputs"])
        outputs = {str(one["holds"]): str(one["name"]) for one in facts["outputs"]}
        classes = tuple(facts.get("classes") or ())
        if not all(isinstance(one, str) for one in (*classes, facts["target"], facts["hash"])):
            raise ValueError("classes")
        if sorted(inputs) != sorted(one.name for one in session.get_inputs()):
            raise ValueError("inputs")
        if len(inputs) != len(encoder.features):
            raise ValueError("columns")
        if not set(outputs.values()) <= {one.name for one in session.get_outputs()}:
            raise ValueError("outputs")
        reach, floor = (
            None if facts[name] is None else float(facts[name]) for name in ("reach", "lowest_value")
        )
        if reach is not None and not 0 <= reach < np.inf:
            raise ValueError("reach")
        return Exported(
            session=session,
            model=str(facts["model"]),
            target=facts["target"],
            classes=classes,
            encoder=encoder,
            inputs=inputs,
            answers_in=outputs["probabilities" if classes else "value"],
            unknown_in=outputs.get("unknown"),
            reach=reach,
            floor=floor,
            reading=build(TableConfig, told["reading"]),
            settled=build(TableConfig, told["settled"]),
            hash=facts["hash"],
            facts=facts,
            path=path,
        )
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise BundleDamaged(
            tr("{path} does not hold together ({reason}).", path=path, reason=error)
        ) from None
