"""What the exports of tables and series share in proving a file: what is answered, when values agree."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.engine import runs
from vistazo.engine.export import Proof
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.remote.addresses import is_url

__all__ = ["NEAR", "local", "of_values", "require_full_precision", "run_beside", "table_of_run"]

NEAR = 1e-4  # of the range of the answers: values nearer than this agree


def require_full_precision(precision: str) -> None:
    """Raise ConfigError for another precision than fp32."""
    if precision != "fp32":
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
