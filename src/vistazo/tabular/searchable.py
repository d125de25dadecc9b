"""What of a table's settings a search may change, and why not the others. Free of torch."""

import importlib
from collections.abc import Mapping
from typing import Any

from vistazo.engine.search_reasons import LUCK, SHARED, SPEED
from vistazo.language import mark, tr
from vistazo.tables.config import TableConfig
from vistazo.tabular.config import TabularConfig

__all__ = ["numbers", "refused", "require_sense"]

_ROWS = mark("all trials learn from the same rows and columns, read once: give it once, as a setting.")
_RATE = mark("a table's recipe has its own rate, which `rate` multiplies: --search rate=log:0.3..3.")

_DIVIDED = ("target", "kind", "ordered", "group", "order", "test_share", "validation_share")
_REASONS = {
    **SHARED,
    "seed": LUCK,
    "accumulate": SPEED,
    "learning_rate": _RATE,
    **dict.fromkeys((*TableConfig.model_fields, *_DIVIDED, "leave_out", "keep_columns"), _ROWS),
}


def refused() -> dict[str, str]:
    """Settings that no search changes, with the reason, in the language in force."""
    return {name: tr(reason) for name, reason in _REASONS.items()}


def require_sense(config: TabularConfig) -> None:
    """Raise UsageError where settings cannot mean anything together, before the table is read."""
    importlib.import_module("vistazo.tabular.objective").require_loss(config)  # of torch only later
    if config.model:
        importlib.import_module("vistazo.tabular.models").models[config.model]


def numbers(config: TabularConfig) -> Mapping[str, Any]:
    """The numbers of a network in words that a search may change: the networks of tables are not in words."""
    return {}
