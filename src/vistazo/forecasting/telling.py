"""What the command line says of a forecaster. Free of torch."""

from typing import Any

from vistazo.engine.reports import number, percent
from vistazo.language import tr

__all__ = ["amount", "answered", "evaluated", "measured", "next_command"]


def amount(value: float | None) -> str:
    """A value of a series with about four figures."""
    if value is None or value != value:
        return number(None)
    size = abs(value)
    return number(float(value), 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 1 else 4)


def measured(figures: dict[str, Any]) -> str:
    """The figures of one part, in one line."""
    told = tr(
        "mean absolute error {mae}, {share} of the values inside the 80 % interval ({n} forecasts)",
        mae=amount(figures["mae"]),
        share=percent(figures["coverage"]),
        n=figures["n"],
    )
    if not figures.get("baselines"):
        return told
    name = figures["best_baseline"]
    best = figures["baselines"][name]["mae"]
    comparison = (
        tr("best baseline: {name} {mae}", name=tr(name), mae=amount(best))
        if figures["mae"] is None or figures["mae"] <= best
        else tr("a baseline is better: {name} {mae}", name=tr(name), mae=amount(best))
    )
    return f"{told}; {comparison}"


def next_command(run: str) -> str:
    """What to do after training; `run` is quoted already."""
    return tr("next:   vistazo predict {run}", run=run)


def evaluated(told: dict[str, Any]) -> list[str]:
    """The answer of `evaluate`, line by line."""
    lines = [tr("windows: {n}; {figures}", n=told["windows"], figures=measured(told["metrics"]))]
    for ahead, error in enumerate(told["by_horizon"], 1):
        lines.append(tr("  {n} ahead: {mae}", n=ahead, mae=amount(error)))
    lines.append(tr("next:   vistazo predict MODEL"))
    return lines


def answered(answer: dict[str, Any]) -> str:
    """One step of a forecast, in one line."""
    name = f"{answer['series']}\t" if answer["series"] else ""
    between = tr("({low} to {high})", low=amount(answer["low"]), high=amount(answer["high"]))
    return f"{name}{answer['date']}\t{amount(answer['value'])}\t{between}"
