"""history.jsonl: one line an epoch, equal for equal runs; and what is drawn from it.

The seconds of each epoch stand in times.jsonl, because clocks differ between runs that are otherwise equal.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["curves", "read", "to_lines"]

Epoch = dict[str, Any]


def to_lines(history: Sequence[Epoch]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(epoch, sort_keys=True) + "\n" for epoch in history)


def read(path: Path) -> list[Epoch]:
    """The epochs of a history file; a line cut by a kill is left out."""
    found = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    for line in text.splitlines():
        try:
            epoch = json.loads(line)
        except ValueError:
            continue
        if isinstance(epoch, dict):
            found.append(epoch)
    return found


def curves(history: Sequence[Epoch], metric: str) -> dict[str, list[tuple[float, float]]]:
    """The points (epoch, value) of a metric for each part that has it ('train', 'validation')."""
    found: dict[str, list[tuple[float, float]]] = {}
    for epoch in history:
        for part in ("train", "validation"):
            value = epoch.get(part, {}).get(metric)
            if value is not None:
                found.setdefault(part, []).append((float(epoch["epoch"]), float(value)))
    return found
