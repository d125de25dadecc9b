"""What of a classifier's settings a search may change, and why not the others. Free of torch."""

import importlib
from collections.abc import Mapping
from typing import Any

from vistazo.classification.config import ClassificationConfig
from vistazo.engine.search_reasons import ALIKE, LUCK, SHARED, SPEED
from vistazo.language import mark, tr

__all__ = ["numbers", "refused", "require_sense"]

_PICTURES = mark("all trials learn from the same pictures, read once: give it once, as a setting.")
_SEVERAL = mark("a trial is one training on the parts of the search; leave it out.")
_AFTER = mark(
    "it does not change what is learnt; train the winner with it: vistazo train SOURCE --config best.toml"
)

_REASONS = {
    **SHARED,
    "seed": LUCK,
    **dict.fromkeys(("stop_at", "monitor", "keep", "recipe", "start"), ALIKE),
    **dict.fromkeys(
        ("size", "channels", "background", "classes", "group_by", "every", "corrections", "max_broken"),
        _PICTURES,
    ),
    **dict.fromkeys(("precision", "layout"), SPEED),
    **dict.fromkeys(("repeats", "folds", "fold", "time"), _SEVERAL),
    **dict.fromkeys(("views", "unknown_error", "beside"), _AFTER),
}


def refused() -> dict[str, str]:
    """Settings that no search changes, with the reason, in the language in force."""
    said = {**_REASONS, "network": ALIKE, "numbers": ALIKE}
    return {name: tr(reason) for name, reason in said.items()}


def require_sense(config: ClassificationConfig) -> None:
    """Raise UsageError where settings cannot mean anything together, before a picture is read."""
    importlib.import_module("vistazo.classification.recipes").require_sense(config)  # of torch only later


def numbers(config: ClassificationConfig) -> Mapping[str, Any]:
    """The numbers of a network in words that a search may change, with their values; none where it is not in words."""
    words = getattr(config, "network", None)
    if not words:
        return {}
    found: Mapping[str, Any] = importlib.import_module("vistazo.networks.words").numbers(words)
    return found
