"""A search in words: values and figures, what became of the trials, the winner beside the recipe."""

import math
from collections import Counter

from vistazo.engine.reports import number, percent
from vistazo.engine.search import DONE, FAILED, RUNNING, STOPPED, WAITING, Study, Trial, Value
from vistazo.engine.search_figures import difference, figured, finite, luck, recipe, winner
from vistazo.language import mark, tr

__all__ = ["STATES", "counted", "in_words", "is_share", "typed", "values_of", "verdict"]

_SHARES = ("accuracy", "balanced_accuracy", "top5")
STATES = {
    "winner": mark("the winner"),
    DONE: mark("done"),
    STOPPED: mark("stopped early"),
    FAILED: mark("failed"),
    RUNNING: mark("in training"),
    WAITING: mark("waiting"),
}


# ---------------------------------------------------------------- values in words
def is_share(metric: str) -> bool:
    """Whether a metric is a share that is told in per cent."""
    return metric in _SHARES


def in_words(metric: str, value: float | None) -> str:
    """A figure in the language in force: '94.31%' for shares, four digits for others, a dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    if is_share(metric):
        return percent(value, 2)
    size = math.floor(math.log10(abs(value))) if value else 0
    return number(float(value), max(0, min(8, 3 - size)))


def typed(value: Value) -> str:
    """A value as it is typed on the command line, to four digits: '0.003', '1e-5', '64', 'adam'."""
    if not isinstance(value, float):
        return str(value)
    words, _, power = f"{value:.4g}".partition("e")
    return f"{words}e{int(power)}" if power else words


# ---------------------------------------------------------------- trials in words
def values_of(study: Study, one: Trial) -> str:
    """The values of a trial: 'learning_rate 0.003, filters 64', in the order of the space."""
    names = [*study.space, *(name for name in one.values if name not in study.space)]
    return ", ".join(f"{name} {typed(one.values[name])}" for name in names if name in one.values) or "–"


def counted(study: Study) -> str:
    """How many trials, and what became of them: '40 trials: 9 done, 29 stopped early, 2 failed'."""
    count = Counter(one.state for one in study.trials)
    said = {
        DONE: tr("{n} done", n=number(count[DONE])),
        STOPPED: tr("{n} stopped early", n=number(count[STOPPED])),
        FAILED: tr("{n} failed", n=number(count[FAILED])),
        RUNNING: tr("{n} in training", n=number(count[RUNNING])),
        WAITING: tr("{n} waiting", n=number(count[WAITING])),
    }
    parts = [words for state, words in said.items() if count[state]]
    told = tr("{n} trials", n=number(len(study.trials)))
    return f"{told}: {', '.join(parts)}" if parts else told


def verdict(study: Study, examples: int | None) -> list[str]:
    """The winner beside the recipe, and how far its figure leans upwards because it is the best of many."""
    first, default = winner(study), recipe(study)
    if first is None:
        reasons = [one.reason for one in study.trials if one.reason]
        if not reasons:
            return [tr("No trial has a figure yet.")]
        return [tr("No trial gave a figure. The first reason: {reason}", reason=reasons[0])]
    lines = []
    if default is None or default.figure is None or not finite(default.figure):
        lines.append(tr("The recipe as it is has no figure, so there is nothing to compare the best with."))
    elif default is first:
        lines.append(tr("No trial was better than the recipe as it is."))
    else:
        lines.append(_beside(study, first, default, examples))
    leaning = _leaning(study, first, examples)
    return [*lines, leaning] if leaning else lines


def _beside(study: Study, first: Trial, default: Trial, examples: int | None) -> str:
    """The winner's figure beside the recipe's own."""
    assert first.figure is not None and default.figure is not None
    told = tr(
        "The recipe as it is: {figure} after {epochs} epochs; the best: {best} after {most}.",
        figure=in_words(study.metric, default.figure),
        epochs=default.epochs,
        best=in_words(study.metric, first.figure),
        most=first.epochs,
    )
    if default.epochs < first.epochs and default.state == STOPPED:
        told += " " + tr("The recipe was stopped early, so it might have come nearer.")
    if not (is_share(study.metric) and examples):
        return told
    apart = difference(first.figure, default.figure, examples, len(figured(study)))
    ends = {"low": _points(apart.low), "high": _points(apart.high), "points": _points(apart.value)}
    if apart.clear:
        verdict = tr(
            "{points} points more, which chance in {n} pictures does not explain (95 % interval {low} to {high}, "
            "all trials counted).",
            n=number(examples),
            **ends,
        )
    else:
        verdict = tr(
            "{points} points more, which may be chance in {n} pictures (95 % interval {low} to {high}, all trials "
            "counted).",
            n=number(examples),
            **ends,
        )
    return told + " " + verdict


def _leaning(study: Study, first: Trial, examples: int | None) -> str:
    """How much too good the best of many looks."""
    count = len(figured(study))
    if count < 2 or first.figure is None:
        return ""
    if not (is_share(study.metric) and examples):
        return tr(
            "The figure of the best of {n} leans to the good side, because it was picked by it; "
            "other data tell its worth.",
            n=number(count),
        )
    return tr(
        "The figure of the best of {n} leans upwards, because it was picked by it: among equally good trials the best "
        "would look up to {points} points too good. The test part tells its worth.",
        n=number(count),
        points=_points(luck(first.figure, examples, count)),
    )


def _points(share: float) -> str:
    return number(100 * share + 0.0, 2)
