"""What a finished run reached, in words: the one figure to read first, and all of them under equal names."""

from pathlib import Path
from typing import Any

from vistazo.engine.progress import duration
from vistazo.engine.reports import number, percent
from vistazo.engine.runs import read_json
from vistazo.language import mark, tr

__all__ = ["facts_of", "headline"]

_NAMES = {  # as metrics.json names them: in words
    "macro_f1": mark("mean of the classes' F1"),
    "loss": mark("loss"),
    "mae": mark("mean absolute error"),
    "rmse": mark("root mean squared error"),
    "r2": mark("R², the share of the variation that is explained"),
    "coverage": mark("values inside the 80 % interval"),
    "n": mark("examples"),
}


def headline(run: Path) -> str:
    """The one figure of a finished run, with its interval, in words; '' where it has none."""
    measured: Any = read_json(run / "metrics.json").get("metrics")
    if not isinstance(measured, dict):
        return ""
    figures: Any = measured.get("test") or measured.get("validation")
    if not isinstance(figures, dict):
        return ""
    if isinstance(figures.get("accuracy"), float) and isinstance(figures.get("accuracy_low"), float):
        return tr(
            "{value} right (between {low} and {high}; n = {n})",
            value=percent(figures["accuracy"], 1),
            low=percent(figures["accuracy_low"], 1),
            high=percent(figures["accuracy_high"], 1),
            n=number(figures["n"]),
        )
    name, value = next(((name, one) for name, one in figures.items() if isinstance(one, float)), ("", 0.0))
    return f"{_named(name)} {_valued(name, value, 3)}" if name else ""


def facts_of(run: Path) -> dict[str, str]:
    """The figures of a run in words, under the same names for every run, so that two can stand side by side."""
    told, config = read_json(run / "metrics.json"), read_json(run / "config.json")
    found: dict[str, str] = {}
    measured: Any = told.get("metrics")
    for part in ("test", "validation"):
        one: Any = measured.get(part) if isinstance(measured, dict) else None
        if isinstance(one, dict):
            shown = tr(part)
            found |= {f"{shown}: {name}": value for name, value in _figures(one).items()}
    parameters = told.get("parameters")
    if isinstance(parameters, dict) and isinstance(parameters.get("total"), int):
        found[tr("numbers that were learnt")] = number(parameters["total"])
    if isinstance(told.get("epochs"), int):
        found[tr("epochs")] = number(told["epochs"])
    seconds = read_json(run / "status.json").get("seconds")
    if isinstance(seconds, (int, float)):
        found[tr("time")] = duration(float(seconds))
    settings: Any = config.get("settings") or {}
    found[tr("how long it was to learn")] = str(settings.get("time") or settings.get("recipe") or "-")
    found[tr("corrections")] = tr("yes") if settings.get("corrections") else tr("no")
    return found


def _figures(one: dict[str, Any]) -> dict[str, str]:
    """The figures of a part that a person reads first."""
    found = {}
    if isinstance(one.get("accuracy"), float) and isinstance(one.get("accuracy_low"), float):
        found[tr("right answers")] = percent(one["accuracy"], 1)
        low, high = percent(one["accuracy_low"], 1), percent(one["accuracy_high"], 1)
        found[tr("95 % interval")] = tr("{low} to {high}", low=low, high=high)
    for name in _NAMES:
        if isinstance(one.get(name), (int, float)):
            found[_named(name)] = _valued(name, one[name], 4)
    return found


def _named(name: str) -> str:
    text = _NAMES.get(name, name.replace("_", " "))
    return tr(text)


def _valued(name: str, value: float, digits: int) -> str:
    return percent(value, 1) if name == "coverage" else number(value, 0 if name == "n" else digits)
