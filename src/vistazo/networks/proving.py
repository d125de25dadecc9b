"""What the exports of tables and series share: what a file is proven with, when values agree, how it is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vistazo
from vistazo.engine import export as exports
from vistazo.engine import onnx_file, runs
from vistazo.engine.export import Proof
from vistazo.engine.onnx_file import OnnxFile
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.remote.addresses import is_url

__all__ = ["NEAR", "local", "of_values", "require_possible", "run_beside", "table_of_run", "write_proven"]

NEAR = 1e-4  # of the range of the answers: values nearer than this agree


def require_possible(out: Path, precision: str) -> None:
    """Raise what `engine.export.require_possible` does, and ConfigError for another precision than fp32."""
    exports.require_possible(out, precision)
    if precision != exports.FP32:
        raise ConfigError(
            tr(
                "--precision {precision} is for networks of pictures: one of tables or series is so small that it "
                "would save nothing, and rounding would move its answers. Leave --precision out.",
                precision=precision,
            )
        )


def run_beside(path: Path | None) -> dict[str, Any]:
    """What the run of a model's file was asked for and decided; {} where the file lies in no run's folder."""
    return runs.read_json(path.parent / "config.json") if path is not None else {}


def table_of_run(path: Path | None) -> str | None:
    """The table that the run of a model's file learnt from, None where it is not at hand."""
    source = run_beside(path).get("source")
    if not isinstance(source, str):
        return None
    return source if is_url(source) or Path(source).is_file() else None


def local(source: Any, say: Callable[[str], None]) -> Any:
    """A table's path, fetched where it is an address. Raises what `opened` does."""
    if not is_url(source):
        return source
    from vistazo.remote.opening import opened

    return opened(source, say=say)


def of_values(answers: NDArray[Any], others: NDArray[Any], errors: dict[str, Any], *, part: str) -> Proof:
    """How far two programs' values agree: (examples, ...) each, an example agreeing where all its values do.

    A value agrees within NEAR of the range that the first program's answers span (of their size where they span
    none); one that is not finite agrees with itself alone. errors: the mean absolute error of both.
    """
    finite = answers[np.isfinite(answers)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    span = high - low or abs(high) or 1.0
    with np.errstate(invalid="ignore"):
        equal = (answers == others) | (np.isnan(answers) & np.isnan(others))
        apart = np.where(equal, 0.0, np.abs(answers - others))
    apart = np.where(np.isnan(apart), np.inf, apart).reshape(len(answers), -1)
    return Proof(
        examples=len(answers),
        agreement=float((apart <= NEAR * span).all(1).mean()),
        ties=0,
        largest_difference=float(apart.max()),
        accuracy={},
        more={
            "rule": f"within {NEAR:g} of the range of the answers",
            "range": span,
            "mae": errors,
            "part": part,
        },
    )


def write_proven(
    model: Any,
    out: Path,
    made: tuple[Any, dict[str, Any]],
    described: dict[str, Any],
    prove: Callable[[OnnxFile], Proof],
) -> dict[str, Any]:
    """Write a model of numbers as an .onnx file, once it is proven; what `--json` tells.

    made: its graph, and what the inputs and outputs are. described: what its metadata says besides. prove: compares
    what the file would answer with what the model does. Raises what `engine.export.finish` does.
    """
    graph, told = made
    facts = {**described, **told, "version": vistazo.__version__}
    session = onnx_file.session_of(exports.serialised(graph), out)
    proof = prove(OnnxFile(out, {**facts, "hash": model.hash}, session))
    return exports.finish(out, graph, facts, proof, exports.FP32, hash=model.hash)
