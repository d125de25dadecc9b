"""Which loss a run on a table is trained with: what was asked for, and what cannot be."""

import numpy as np
from numpy.typing import NDArray

from vistazo.engine.objectives import Asked, asked
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.tables.preparing import Scaler, proportional, scalers
from vistazo.tabular.config import TabularConfig
from vistazo.tabular.data import Rows

__all__ = ["COUNTS", "MONITORS", "choose_loss", "require_loss", "target_scaler"]

COUNTS = "poisson"  # the loss whose answers are above 0
# What validation goes by for numbers: the squared error, but the absolute one where outliers are not to count.
MONITORS = {"mae": "mae", "huber": "mae"}
_KINDS = {"regression": True, "classification": False, "auto": None}  # whether numbers are learnt


def require_loss(config: TabularConfig) -> None:
    """Raise UnknownName or ConfigError where the loss cannot be, as far as is known before the table is read."""
    if config.loss:
        asked(config.loss, numbers=_KINDS[config.kind])


def choose_loss(config: TabularConfig, rows: Rows) -> Asked:
    """The loss that was asked for, or the usual one of the target's kind.

    Raises ConfigError where it does not suit the target.
    """
    if not config.loss:
        return Asked("cross_entropy" if rows.classes else "mse", {})
    found = asked(config.loss, numbers=not rows.classes)
    if found.name == "binary_cross_entropy":
        if len(rows.classes) > 2:
            raise ConfigError(
                tr(
                    "--loss {loss} asks of each label by itself, and '{name}' is one class of {n}: leave --loss out, "
                    "or choose cross_entropy.",
                    loss=found.name,
                    name=rows.target_name,
                    n=len(rows.classes),
                )
            )
        return Asked("cross_entropy", {}, found.name)  # of the scores' difference: the same
    if found.name == COUNTS and not rows.classes:
        _require_counts(rows)
    return found


def target_scaler(rows: Rows, learnt: NDArray[np.int64], loss: Asked) -> Scaler | None:
    """How the numbers to learn are scaled: mean 0 and deviation 1, but counts are only divided; None of classes."""
    if rows.classes:
        return None
    return (proportional if loss.name == COUNTS else scalers["standard"])(rows.target[learnt])


def _require_counts(rows: Rows) -> None:
    below = np.flatnonzero(rows.target < 0)
    if len(below):
        raise ConfigError(
            tr(
                "--loss poisson is for counts and other numbers from 0 on, and '{name}' is {value} in row {row} "
                "({n} such rows): choose mse, mae or huber.",
                name=rows.target_name,
                value=f"{rows.target[below[0]]:g}",
                row=int(rows.table.rows[below[0]]),
                n=len(below),
            )
        )
