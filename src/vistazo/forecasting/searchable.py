"""What of a forecast's settings a search may change, and why not the others. Free of torch."""

import importlib
from collections.abc import Mapping
from typing import Any

from vistazo.engine.search_reasons import LUCK, SHARED, SPEED
from vistazo.forecasting.config import ForecastingConfig
from vistazo.language import mark, tr
from vistazo.tables.config import TableConfig

__all__ = ["numbers", "refused", "require_sense"]

_STEPS = mark("all trials forecast the same steps of the same series, read once: give it once, as a setting.")
_RATE = mark("a network's recipe has its own rate, which `rate` multiplies: --search rate=log:0.3..3.")

_DIVIDED = ("date", "value", "series", "known", "aggregate", "missing", "step", "horizon", "test", "origins")
_REASONS = {
    **SHARED,
    "seed": LUCK,
    "accumulate": SPEED,
    "learning_rate": _RATE,
    **dict.fromkeys((*TableConfig.model_fields, *_DIVIDED), _STEPS),
}


def refused() -> dict[str, str]:
    """Settings that no search changes, with the reason, in the language in force."""
    return {name: tr(reason) for name, reason in _REASONS.items()}


def require_sense(config: ForecastingConfig) -> None:
    """Raise UsageError where settings cannot mean anything together, before the series is read."""
    model = config.model or importlib.import_module("vistazo.forecasting.task").MODEL  # of torch only later
    importlib.import_module("vistazo.forecasting.models").models[model]
    importlib.import_module("vistazo.forecasting.objective").chosen(config, model)


def numbers(config: ForecastingConfig) -> Mapping[str, Any]:
    """The numbers of a network in words that a search may change: the networks of series are not in words."""
    return {}
