"""A table's model becomes an .onnx file that proves itself: cells in, answers out, in one graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.engine import export as exports
from vistazo.engine.export import Proof
from vistazo.errors import TooFewExamples
from vistazo.language import tr
from vistazo.networks.proving import local, of_values, require_possible, table_of_run, write_proven
from vistazo.tables.onnx_parts import rename, told_as_texts, unused, words_for_codes
from vistazo.tables.table import Table
from vistazo.tabular.exported import Exported, open_model
from vistazo.tabular.graph import CellsToAnswers, example
from vistazo.tabular.inputs import Feature
from vistazo.tabular.predictor import COVERED, Predictor

__all__ = ["describe", "export", "graph_of", "prove"]

Floats = NDArray[np.float64]
TIE = 1e-6  # probabilities nearer than this are the same: float32 has seven figures
EXAMPLE_ROWS = 3  # that the graph is traced with; any other number then does


def export(
    model: Predictor, out: Path, *, verify: Any, precision: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Write a model as an .onnx file that is proven to answer as the model does; what `--json` tells.

    verify: a table to prove it with, None for the test part of the model's run. Raises ConfigError where that is not at
    hand or for another precision than fp32, VistazoError under 99.9 % agreement; no file is written then.
    """
    require_possible(out, precision)
    source = verify if verify is not None else table_of_run(model.path)
    if source is None:
        raise exports.ask_to_verify()
    given, part = local(source, say), "all" if verify is not None else "test"
    _require_rows(model.examples(given, part)[0], given)  # a bad table is told before the graph is made
    say(tr("the model becomes a graph, and both answer the same rows"))
    return write_proven(
        model, out, graph_of(model), describe(model), lambda file: prove(model, open_model(file), given, part)
    )


def graph_of(model: Predictor) -> tuple[Any, dict[str, Any]]:
    """The model as an ONNX graph, and what its inputs and outputs are, for the metadata.

    Inputs are called like the table's columns. A column of categories takes texts: the graph knows their codes.
    """
    features = model.encoder.features
    module = CellsToAnswers(model)
    held = ["class", "probabilities"] if model.classes else ["value"]
    held += ["low", "high"] if module.reach is not None else []
    held += ["unknown"] if any(one.categories is not None for one in features) else []
    plain = [f"cells_{at}" for at in range(len(features))]
    found = [f"answer_{one}" for one in held]
    graph = exports.traced(module, example(model, EXAMPLE_ROWS), plain, found, listed=True)
    names: list[str] = []
    for feature in features:
        names.append(unused(feature.name or "column", names))
    outputs: list[str] = []
    for one in held:
        outputs.append(unused(one, [*names, *outputs]))
    inner = {value for node in graph.graph.node for value in (*node.input, *node.output)} - {*plain, *found}
    rename(
        graph, {one: unused(f"inner_{one}", [*names, *outputs]) for one in inner if one in {*names, *outputs}}
    )
    rename(graph, dict(zip(plain, names, strict=True)))
    for feature, name in zip(features, names, strict=True):
        if feature.categories is not None:
            codes = {text: code for code, text in enumerate(feature.categories.names, 1)}
            words_for_codes(graph, name, {**codes, "": feature.categories.missing}, unknown=0)
    for wanted, now, name in zip(held, found, outputs, strict=True):
        if wanted == "class":
            told_as_texts(graph, now, model.classes, as_name=name)
        else:
            rename(graph, {now: name})
    told = {
        "inputs": [_input(feature, name) for feature, name in zip(features, names, strict=True)],
        "outputs": [_output(model, holds, name) for holds, name in zip(held, outputs, strict=True)],
    }
    return graph, told


def _input(feature: Feature, name: str) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "column": feature.name, "kind": feature.kind, "shape": ["rows"]}
    if feature.categories is not None:
        return {**told, "type": "string", "missing": "", "categories": list(feature.categories.names)}
    unit = "days since 1970-01-01" if feature.kind == "date" else "as in the column"
    return {**told, "type": "float64", "missing": "NaN", "unit": unit, "trained_from": feature.low,
            "trained_to": feature.high}  # fmt: skip


def _output(model: Predictor, holds: str, name: str) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "holds": holds}
    if holds == "class":
        return {**told, "type": "string", "shape": ["rows"]}
    if holds == "probabilities":
        return {**told, "type": "float32", "shape": ["rows", len(model.classes)], "of": list(model.classes)}
    if holds == "unknown":
        named = [one.name for one in model.encoder.features if one.categories is not None]
        return {**told, "type": "bool", "shape": ["rows", len(named)], "of": named}
    told |= {"type": "float64", "shape": ["rows"], "unit": f"as in the column '{model.target}'"}
    return told if holds == "value" else {**told, "share_between": COVERED}


def describe(model: Predictor) -> dict[str, Any]:
    """What the metadata says of a model, besides what every exported file says."""
    return {
        "task": model.task,
        "model": model.model,
        "classes": list(model.classes),
        "target": model.target,
        "reach": model.reach,
        "lowest_value": None if np.isinf(model.least()) else model.least(),
        "preprocessing": {
            "columns": model.encoder.to_json(),
            "target": model.scaler.to_json() if model.scaler else None,
            "reading": model.reading.model_dump(mode="json"),
            "settled": model.settled.model_dump(mode="json"),
        },
    }


def prove(model: Predictor, exported: Exported, source: Any, part: str) -> Proof:
    """How far both answer alike, each reading the same file by itself. part: of its rows, 'test' or 'all'.

    Classes agree where they are the same, and tie where the model holds both for as probable (within 1e-6); values
    agree where they lie within 1e-4 of the range that the answers span. Raises TooFewExamples where there are no rows.
    """
    rows, labels = model.examples(source, part)
    _require_rows(rows, source)
    every, _ = exported.examples(source, "all")  # which rows are the run's test part only the run knows
    own = every.take(np.isin(every.rows, rows.rows))
    answers, _ = model.answers_of(rows)
    others, _ = exported.answers_of(own)
    figures = [_figure(model, one, labels) for one in (answers, others)]
    told = dict(zip(("model", "exported"), figures, strict=True))
    if not model.classes:
        return of_values(answers, others, told, part=part)
    chosen = others.argmax(1)
    same = answers.argmax(1) == chosen
    ties = ~same & (answers[np.arange(len(rows)), chosen] >= answers.max(1) - TIE)
    return Proof(
        examples=len(rows),
        agreement=float(same.mean()),
        ties=int(ties.sum()),
        largest_difference=float(np.abs(answers - others).max()),
        accuracy=told,
        more={"rule": f"same class; a tie where both are as probable within {TIE:g}", "part": part},
    )


def _require_rows(rows: Table, source: Any) -> None:
    """Raise TooFewExamples where there is nothing to prove a file with."""
    if not len(rows):
        raise TooFewExamples(
            tr(
                "{source} has no rows to prove the exported file with. Name another file with --verify.",
                source=source,
            )
        )


def _figure(model: Predictor, answers: Floats, labels: NDArray[Any] | None) -> float | None:
    """The accuracy or the mean absolute error on the rows whose target is known; None where none is."""
    if labels is None:
        return None
    there = labels >= 0 if model.classes else ~np.isnan(labels)
    name = "accuracy" if model.classes else "mae"
    return float(model.measure(answers[there], labels[there])[name]) if there.any() else None
