"""history.jsonl: one line an epoch, equal for equal runs; and what is drawn from it.

The seconds of each epoch stand in times.jsonl, because clocks differ between runs that are otherwise equal.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["axes", "curves", "read", "seconds", "to_lines"]

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


def seconds(folder: Path) -> float:
    """Seconds that the epochs of a run took, each counted once, from its times.jsonl; 0 where there is none.

    An epoch that was done again after a kill has two lines, of which the longer one counts; a line that a kill cut is
    left out.
    """
    longest: dict[Any, float] = {}
    for epoch in read(folder / "times.jsonl"):
        try:
            longest[epoch["epoch"]] = max(longest.get(epoch["epoch"], 0.0), float(epoch["seconds"]))
        except (KeyError, TypeError, ValueError):  # cut, or no time: it is only told, never needed
            continue
    return sum(longest.values())


def curves(history: Sequence[Epoch], metric: str) -> dict[str, list[tuple[float, float]]]:
    """The points (epoch, value) of a metric for each part that has it ('train', 'validation')."""
    found: dict[str, list[tuple[float, float]]] = {}
    for epoch in history:
        for part in ("train", "validation"):
            value = epoch.get(part, {}).get(metric)
            if value is not None:
                found.setdefault(part, []).append((float(epoch["epoch"]), float(value)))
    return found


def axes(history: Sequence[Epoch], metric: str, *, apart: bool) -> list[dict[str, list[tuple[float, float]]]]:
    """The curves of a metric, as they share an axis; apart: each part has its own, because they measure two things."""
    lines = curves(history, metric)
    if apart:
        return [{part: line} for part, line in lines.items()]
    return [lines] if lines else []
