"""What is told of a search from its journal: a line a trial, the records of a page."""

from collections.abc import Mapping, Sequence

from vistazo.engine.reports import number
from vistazo.engine.search import FAILED, RECIPE, RUNNING, WAITING, Trial, Value
from vistazo.engine.search_journal import Entry
from vistazo.language import tr

__all__ = ["as_trial", "best", "line", "pace"]


def as_trial(entry: Entry, lower_is_better: bool, *, held: bool) -> Trial:
    """A trial as pages and tables have it. held: whether a living process trains it."""
    waits = entry.state == RUNNING and not held
    return Trial(
        number=entry.number,
        values=entry.values,
        state=WAITING if waits else entry.state,
        curve=entry.curve,
        epochs=len(entry.curve),
        seconds=entry.seconds,
        figure=entry.judged(lower_is_better),
        origin=entry.origin,
        reason=entry.reason,
    )


def best(entries: Sequence[Entry], lower_is_better: bool) -> int | None:
    """The number of the trial with the best figure; of equals, the one that was trained longest, then the first."""
    sign = 1.0 if lower_is_better else -1.0
    judged = [
        (sign * figure, -len(one.curve), one.number)
        for one in entries
        if one.state != FAILED and (figure := one.judged(lower_is_better)) is not None
    ]
    return min(judged)[2] if judged else None


def pace(entries: Sequence[Entry]) -> float | None:
    """Seconds an epoch, over all trials so far."""
    told = [one for one in entries if one.seconds and one.curve]
    epochs = sum(len(one.curve) for one in told)
    return sum(one.seconds for one in told) / epochs if epochs else None


def line(entry: Entry, entries: Sequence[Entry], metric: str, most: int, lower_is_better: bool) -> str:
    """A trial that was trained: how far, its figure, its values, and the best so far. metric: as it is called."""
    if entry.state == FAILED:
        told = tr("trial {number} failed: {reason}", number=entry.number, reason=entry.reason)
    else:
        figure = entry.judged(lower_is_better)
        told = tr(
            "trial {number} · epoch {epochs}/{most} · {metric} {figure}",
            number=entry.number,
            epochs=len(entry.curve),
            most=most,
            metric=metric,
            figure="–" if figure is None else number(figure, 4),
        )
    parts = [told, tr("the recipe") if entry.origin == RECIPE else _written(entry.values)]
    leads = best(entries, lower_is_better)
    if leads is not None and leads != entry.number:
        told = number(entries[leads].judged(lower_is_better) or 0.0, 4)
        parts.append(tr("best so far {figure} (trial {number})", figure=told, number=leads))
    return " · ".join(parts)


def _written(values: Mapping[str, Value]) -> str:
    told = {name: f"{one:.4g}" if isinstance(one, float) else one for name, one in values.items()}
    return ", ".join(f"{name}={value}" for name, value in told.items())
