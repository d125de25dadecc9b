"""A forecaster becomes an .onnx file that proves itself: past values and step numbers in, the next steps out."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vistazo.engine import export as exports
from vistazo.engine.export import Proof
from vistazo.errors import TooFewExamples
from vistazo.forecasting import metrics
from vistazo.forecasting.answering import Answering
from vistazo.forecasting.data import Panel
from vistazo.forecasting.exported import Exported, open_model
from vistazo.forecasting.forecaster import Forecaster
from vistazo.forecasting.graph import WindowsToForecasts
from vistazo.forecasting.models import QUANTILES, Published
from vistazo.language import tr
from vistazo.networks.proving import (
    local,
    of_values,
    require_possible,
    run_beside,
    table_of_run,
    write_proven,
)
from vistazo.tables.onnx_parts import rename, words_for_codes

__all__ = ["describe", "export", "graph_of", "prove"]

Floats = NDArray[np.float64]
EXAMPLE_WINDOWS = 3  # that the graph is traced with; any other number then does
MOST_PROVED = 20_000  # windows: the latest
ROLLED = (
    "For more steps than the horizon, the values told are put at the end of the window, their steps taken as past, and "
    "the graph is asked again; the interval does not widen by itself."
)


def export(
    model: Forecaster, out: Path, *, verify: Any, precision: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """Write a forecaster as an .onnx file that is proven to answer as it does; what `--json` tells.

    verify: a table to prove it with, None for the test part of its run or, where its table is not at hand, for the
    steps that travel in the model. Raises ConfigError for another precision than fp32, VistazoError under 99.9 %
    agreement; no file is written then.
    """
    require_possible(out, precision)
    source = verify if verify is not None else table_of_run(model.path)
    since = _begun(model) if source is not None and verify is None else None
    given = None if source is None else local(source, say)
    _windows(model, given, since)  # a bad table is told before the graph is made
    say(tr("the model becomes a graph, and both forecast the same windows"))
    return write_proven(
        model,
        out,
        graph_of(model),
        describe(model),
        lambda file: prove(model, open_model(file), given, since),
    )


def _begun(model: Forecaster) -> int | None:
    """The step at which the test part of its run begins, else the first moment of validation; None where none is."""
    moments = (run_beside(model.path).get("decided") or {}).get("moments") or []
    cuts = {str(name): int(cut) for name, cut, _ in reversed(moments)}
    return cuts.get("test", cuts.get("validation"))


def graph_of(model: Forecaster) -> tuple[Any, dict[str, Any]]:
    """The forecaster as an ONNX graph, and what its inputs and outputs are, for the metadata."""
    module = WindowsToForecasts(model)
    inputs = _inputs(model, module)
    outputs = _outputs(model, module)
    sizes = {"windows": EXAMPLE_WINDOWS}
    kinds = {"float64": torch.float64, "int64": torch.int64, "float32": torch.float32, "string": torch.int64}
    example = [
        torch.zeros([sizes.get(one, one) for one in told["shape"]], dtype=kinds[told["type"]])
        for told in inputs
    ]
    plain = [f"window_{at}" for at in range(len(inputs))]
    found = [f"answer_{at}" for at in range(len(outputs))]
    graph = exports.traced(module, example, plain, found, listed=True)
    names = {old: told["name"] for old, told in zip((*plain, *found), (*inputs, *outputs), strict=True)}
    inner = {value for node in graph.graph.node for value in (*node.input, *node.output)}
    rename(graph, {one: f"inner_{one}" for one in inner & set(names.values())})
    rename(graph, names)
    if module.several:
        words_for_codes(
            graph, "series", {name: at for at, name in enumerate(model.history.panel.names)}, unknown=-1
        )
    return graph, {"inputs": inputs, "outputs": outputs}


def _inputs(model: Forecaster, module: WindowsToForecasts) -> list[dict[str, Any]]:
    panel, roles = model.history.panel, model.history.roles
    step = {"hour": "hours", "day": "days", "week": "weeks from Monday", "month": "months"}[panel.step]
    told: list[dict[str, Any]] = [
        {
            "name": "past",
            "type": "float64",
            "shape": ["windows", module.window],
            "unit": f"as in the column '{', '.join(roles.values)}'",
            "says": "the last values, the oldest first; none may be missing",
        },
        {
            "name": "steps",
            "type": "int64",
            "shape": ["windows", module.window + module.horizon + 2],
            "unit": f"{step} since 1970-01-01",
            "says": "the step before the window, the steps of its values, the steps to come, and the step after them",
        },
    ]
    if module.knows:
        told.append({
            "name": "known",
            "type": "float32",
            "shape": ["windows", module.window + module.horizon, int(panel.known.shape[1])],
            "says": "columns known ahead, of the window's steps and those to come; a category is a 0 or 1 for each of "
            "its values; NaN where unknown",
            "of": [[one.name, list(one.categories)] for one in panel.columns],
        })  # fmt: skip
    if module.several:
        told.append(
            {"name": "series", "type": "string", "shape": ["windows"], "says": "the series; others get NaN",
             "of": list(panel.names)}
        )  # fmt: skip
    return told


def _outputs(model: Forecaster, module: WindowsToForecasts) -> list[dict[str, Any]]:
    unit = f"as in the column '{', '.join(model.history.roles.values)}'"
    shape: list[Any] = ["windows", module.horizon]
    quantiles = list(_quantiles(model))
    common = {"type": "float64", "unit": unit}
    return [
        {"name": "value", "holds": "value", **common, "shape": shape},
        *({"name": one, "holds": one, **common, "shape": shape, "share_between": metrics.LEVEL}
          for one in ("low", "high")),
        {"name": "quantiles", "holds": "quantiles", **common, "shape": [*shape, len(quantiles)], "of": quantiles},
    ]  # fmt: skip


def _quantiles(model: Forecaster) -> tuple[float, ...]:
    return (0.5,) if isinstance(model.network, Published) else QUANTILES


def describe(model: Forecaster) -> dict[str, Any]:
    """What the metadata says of a forecaster, besides what every exported file says: the series' ends above all."""
    panel = model.history.panel
    inside = isinstance(model.network, Published)
    return {
        "task": model.task,
        "model": model.model,
        "window": int(model.arguments["window"]),
        "horizon": model.horizon,
        "step": panel.step,
        "rolled": {"inside": "step by step" if inside else "all steps at once", "beyond": ROLLED},
        "preprocessing": {
            "log": model.log,
            "reading": model.history.reading,
            "settled": model.history.settled,
            "roles": asdict(model.history.roles),
            "known": [[one.name, list(one.categories)] for one in panel.columns],
        },
        "history": {
            "series": list(panel.names),
            "closed": panel.closed,
            "starts": panel.starts.tolist(),
            "at": panel.at.tolist(),
            "values": _numbers(panel.values),
            "known": [_numbers(one) for one in panel.known],
            "ahead": {str(one): at.tolist() for one, (at, _) in panel.ahead.items()},
            "ahead_known": {
                str(one): [_numbers(row) for row in known] for one, (_, known) in panel.ahead.items()
            },
        },
        "figures": _finite(model.metrics),
    }


def _numbers(values: NDArray[Any]) -> list[float | None]:
    """Numbers as JSON has them: null where they are missing."""
    return [None if value != value else value for value in values.tolist()]


def _finite(told: Any) -> Any:
    """Figures as JSON has them: null where they are not finite."""
    if isinstance(told, dict):
        return {name: _finite(one) for name, one in told.items()}
    return None if isinstance(told, float) and not np.isfinite(told) else told


def prove(model: Forecaster, exported: Exported, source: Any, since: int | None) -> Proof:
    """How far both answer alike, each reading the same file by itself, window by window.

    source: a table; None for the steps that travel in the model. since: windows that begin to forecast at this step
    or later, None for all. A window agrees where values and ends of all its steps lie within 1e-4 of the range that
    the answers span. Raises TooFewExamples where there are no windows.
    """
    answers, mae = _answers(model, source, since)
    others, other = _answers(exported, source, since)
    part = "steps in the model" if source is None else "all" if since is None else "test"
    return of_values(answers, others, {"model": mae, "exported": other}, part=part)


def _answers(model: Answering, source: Any, since: int | None) -> tuple[Floats, float | None]:
    """((windows, horizon, 3) value, low and high, the mean absolute error of the values that are known)."""
    panel, origins = _windows(model, source, since)
    low, value, high = model.tell(panel, origins)
    real = panel.values[origins[:, None] + np.arange(model.horizon)]
    mae: Any = metrics.measure(real, value, low, high)["mae"]
    return np.stack([value, low, high], -1), mae


def _windows(model: Answering, source: Any, since: int | None) -> tuple[Panel, NDArray[np.int64]]:
    """The series, and the windows that a file is proven with, told by their origins. Raises TooFewExamples."""
    panel = model.history.panel if source is None else model.read(source)
    origins = model.origins(panel)
    if since is not None:
        origins = origins[panel.at[origins] >= since]
    if not len(origins):
        raise TooFewExamples(
            tr(
                "{source} has no windows to prove the exported file with. Name another file with --verify.",
                source=model.path if source is None else source,
            )
        )
    return panel, origins[-MOST_PROVED:]
