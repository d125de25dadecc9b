"""What a search leaves for people and programs: lines for the terminal, its page, trials.csv.

All is made from the records of `engine.search` alone; a search that still runs, or of which all trials failed, can be
told too. What a figure is called and where the test part is told come from the task, as arguments.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vistazo.engine import results
from vistazo.engine.progress import duration
from vistazo.engine.reports import (
    Block,
    Cell,
    Drawing,
    Facts,
    Headline,
    Report,
    Section,
    Table,
    Text,
    named,
    number,
    percent,
    to_html,
)
from vistazo.engine.search import FAILED, Space, Study, Trial
from vistazo.engine.search_charts import curves, legend, parallel, slices
from vistazo.engine.search_figures import (
    FEWEST,
    by_figure,
    compared,
    figured,
    finite,
    importance,
    recipe,
    spending,
    winner,
)
from vistazo.engine.search_verdict import STATES, counted, in_words, typed, values_of, verdict
from vistazo.language import tr

__all__ = ["COLUMNS", "as_csv", "build", "summary"]

COLUMNS = (
    "number",
    "state",
    "origin",
    "figure",
    "epochs",
    "seconds",
    "reason",
)  # of trials.csv, before the values
_SHOWN = 20  # rows of the table that are not folded away


# ---------------------------------------------------------------- for programs
def as_csv(study: Study) -> str:
    """trials.csv: a line a trial, by number. After COLUMNS one column a name, 'value.' before it, in the space's order.

    Figures have all their digits; an empty cell means that there is none.
    """
    names = list(dict.fromkeys([*study.space, *(name for one in study.trials for name in one.values)]))
    rows: list[list[Cell]] = [
        [
            one.number,
            one.state,
            one.origin,
            one.figure if finite(one.figure) else None,
            one.epochs,
            one.seconds,
            one.reason,
            *(one.values.get(name) for name in names),
        ]
        for one in sorted(study.trials, key=lambda one: one.number)
    ]
    return results.to_csv([*COLUMNS, *(f"value.{name}" for name in names)], rows)


# ---------------------------------------------------------------- for the terminal
def summary(study: Study, *, metric_title: str, examples: int | None, next_command: str = "") -> list[str]:
    """The outcome in a few lines.

    metric_title: what the figure is called, such as 'validation accuracy'. examples: of the validation part, which the
    figure was measured on; None where that is not known. next_command: told last, where there is one.
    """
    first = winner(study)
    lines = []
    if first:
        figure = in_words(study.metric, first.figure)
        lines.append(
            tr("best:   {figure} {metric}, trial {n}", figure=figure, metric=metric_title, n=first.number)
        )
        lines.append(tr("values: {values}", values=values_of(study, first)))
    lines.append(tr("search: {told}", told=counted(study)))
    lines.append(
        tr("spent:  {epochs} epochs, {time}", epochs=number(study.epochs), time=duration(study.seconds))
    )
    lines += verdict(study, examples)
    if next_command:
        lines.append(tr("next:   {command}", command=next_command))
    return lines


# ---------------------------------------------------------------- the page
def build(
    study: Study,
    *,
    title: str,
    metric_title: str,
    examples: int | None,
    settings: Mapping[str, Any],
    environment: Mapping[str, Any],
    sections: Sequence[Section] = (),
) -> str:
    """The page of a search, as one HTML text without script.

    title: of the page. metric_title: what the figure is called. examples: of the validation part, None where not known.
    settings, environment: told at the end, by name. sections: of the task, after the first one, such as the winner's
    figures on the test part.
    """
    found = [
        Section("", _headline(study, metric_title, examples)),
        *sections,
        Section(tr("The trials"), _table(study, metric_title, examples)),
        Section(tr("Learning curves"), _curves(study, metric_title)),
        Section(tr("Which names mattered"), _importance(study)),
        Section(tr("All values at once"), _parallel(study, metric_title)),
        Section(tr("Name by name"), _slices(study, metric_title)),
        Section(tr("Where time went"), _spent(study)),
        Section(tr("What was searched"), _space(study)),
        Section(tr("Machine and time"), _around(study, settings, environment)),
    ]
    return to_html(Report(title, [one for one in found if one.blocks], counted(study)))


def _headline(study: Study, metric_title: str, examples: int | None) -> list[Block]:
    first, told = winner(study), "\n\n".join(verdict(study, examples))
    if first is None:
        return [Text(told)]
    detail = tr("trial {n}: {values}", n=first.number, values=values_of(study, first))
    if examples:
        detail += "\n" + tr("n = {n} pictures to validate on", n=number(examples))
    label = tr("{metric}, the best of {n} trials", metric=metric_title, n=number(len(figured(study))))
    return [Headline(in_words(study.metric, first.figure), label, detail), Text(told)]


def _table(study: Study, metric_title: str, examples: int | None) -> list[Block]:
    """All trials, the best first; long tables are folded from the 21st on."""
    if not study.trials:
        return []
    names = list(dict.fromkeys([*study.space, *(name for one in study.trials for name in one.values)]))
    headings = [tr("trial"), metric_title, tr("state"), *names, tr("epochs"), tr("seconds"), tr("reason")]
    rows = [_row(study, one, names) for one in by_figure(study)]
    align = "lrl" + "r" * len(names) + "rrl"
    blocks: list[Block] = [Table(headings, rows[:_SHOWN], align)]
    if len(rows) > _SHOWN:
        more = tr("{n} more trials", n=number(len(rows) - _SHOWN))
        blocks.append(Table(headings, rows[_SHOWN:], align, folded=more))
    told = _judged(study)
    if examples:
        told += " " + tr("Each was measured on the same {n} pictures.", n=number(examples))
    return [*blocks, Text(told)]


def _judged(study: Study) -> str:
    """Which epoch's figure a trial is judged by, as the trials themselves tell: its best, or its last."""
    pick = min if study.lower_is_better else max
    for one in figured(study):
        known = [value for value in one.curve if value is not None and finite(value)]
        if known and one.figure != pick(known):
            return tr("The figure of a trial is that of its last epoch.")
    return tr("The figure of a trial is the best of its curve.")


def _row(study: Study, one: Trial, names: Sequence[str]) -> list[Cell]:
    label = str(one.number)
    if one.origin == "recipe":
        label = tr("{n} (the recipe)", n=one.number)
    figure = None if one.state == FAILED else one.figure
    values = [typed(one.values[name]) if name in one.values else None for name in names]
    name = "winner" if one is winner(study) else one.state
    state = tr(STATES[name])
    return [
        label,
        in_words(study.metric, figure),
        state,
        *values,
        number(one.epochs),
        number(float(one.seconds), 1),
        one.reason,
    ]


def _curves(study: Study, metric_title: str) -> list[Block]:
    drawn, beyond = curves(study)
    if not drawn:
        return []
    colours = [
        ("best", tr("the best")),
        ("done", tr("done")),
        ("stopped", tr("stopped early, or not done yet")),
    ]
    default = recipe(study)
    if default and any(map(finite, default.curve)) and default is not winner(study):
        colours.insert(1, ("recipe", tr("the recipe as it is")))
    return [Drawing(metric_title, drawn, wide=True, note=_beyond(beyond), colours=colours)]


def _beyond(count: int) -> str:
    return tr("Beyond what is drawn: {n} points.", n=number(count)) if count else ""


def _importance(study: Study) -> list[Block]:
    """How much of the ranking each name explains, and whether that is more than chance."""
    if not study.space:
        return []
    epoch, figures = compared(study)
    found = importance(study)
    if not found:
        return [
            Text(
                tr(
                    "That cannot be told from {n} trials: it takes at least {least} that were trained equally long.",
                    n=number(len(figures)),
                    least=FEWEST,
                )
            )
        ]
    rows: list[list[Cell]] = [
        [
            one.name,
            percent(one.share, 0),
            _chance(one.chance),
            tr("yes") if one.clear else tr("cannot be told"),
            one.n,
        ]
        for one in found
    ]
    headings = [tr("name"), tr("explains"), "p", tr("more than chance"), tr("trials")]
    about = tr(
        "The share of the ranking that a name's values explain by themselves (epsilon² of Kruskal and Wallis), the "
        "trials compared by their best figure within the first {epochs} epochs, which half of them reached or more. p: "
        "how often shuffled rankings are explained as well, all {n} names counted together (Holm). What two names do "
        "only together is not seen, and a search that has come to like some values tried the others less.",
        epochs=number(epoch),
        n=len(found),
    )
    failed = sum(one.state == FAILED for one in study.trials)
    if failed:
        about += " " + tr("Trials that failed are not in it: {n}.", n=number(failed))
    return [Table(headings, rows, "lrrlr"), Text(about)]


def _chance(p: float) -> str:
    return f"<{number(0.001, 3)}" if p < 0.001 else number(p, 3)


def _parallel(study: Study, metric_title: str) -> list[Block]:
    drawn = parallel(study, metric_title) if study.space else ""
    if not drawn:
        return []
    colours = [("best", tr("the best")), *((f"q{step}", words) for step, words in legend(study))]
    default = recipe(study)
    if default in figured(study) and default is not winner(study):
        colours.insert(1, ("recipe", tr("the recipe as it is")))
    caption = tr("Each line is a trial: n = {n}", n=number(len(figured(study))))
    return [Drawing(caption, drawn, wide=True, colours=colours)]


def _slices(study: Study, metric_title: str) -> list[Block]:
    told = tr(
        "{metric} against the values of each name. Square: the best; diamond: the recipe; filled: done; "
        "hollow: stopped early, so with a lower figure than it might have had.",
        metric=metric_title,
    )
    if study.lower_is_better:
        told = tr(
            "{metric} against the values of each name. Square: the best; diamond: the recipe; filled: done; "
            "hollow: stopped early, so with a higher figure than it might have had.",
            metric=metric_title,
        )
    drawn: list[Block] = [
        Drawing(f"{name} (n = {number(count)})", svg, note=_beyond(beyond))
        for name, svg, count, beyond in slices(study)
    ]
    return [Text(told), *drawn] if drawn else []


def _spent(study: Study) -> list[Block]:
    """Epochs and seconds by what became of the trials, with their shares."""
    kinds = spending(study)
    if not kinds:
        return []
    epochs, seconds = sum(one.epochs for one in kinds), sum(one.seconds for one in kinds)
    rows: list[list[Cell]] = [
        [
            tr(STATES[one.kind]),
            one.trials,
            one.epochs,
            percent(one.epochs / epochs) if epochs else "–",
            number(float(one.seconds), 1),
            percent(one.seconds / seconds) if seconds else "–",
        ]
        for one in kinds
    ]
    rows.append([tr("all trials"), len(study.trials), epochs, "", number(float(seconds), 1), ""])
    headings = [
        "",
        tr("trials"),
        tr("epochs"),
        tr("share of epochs"),
        tr("seconds of training"),
        tr("share of seconds"),
    ]
    told = tr(
        "Processes worked on the search for {time} in all; several at once are counted once here, and each by itself "
        "in the seconds of training.",
        time=duration(study.seconds),
    )
    if study.most_epochs and study.trials:
        full = study.most_epochs * len(study.trials)
        told += " " + tr(
            "Training every trial to its end would have been {full} epochs; {share} of them were run.",
            full=number(full),
            share=percent(epochs / full, 0),
        )
    return [Table(headings, rows, "lrrrrr"), Text(told)]


def _space(study: Study) -> list[Block]:
    rows: list[list[Cell]] = [[name, *_range(space)] for name, space in study.space.items()]
    blocks: list[Block] = [Table([tr("name"), tr("values"), tr("scale")], rows, "lll")] if rows else []
    pairs: list[tuple[str, Cell]] = [
        (tr("sampler"), study.sampler),
        (tr("stopping"), study.pruner),
        (tr("epochs of a trial at most"), study.most_epochs),
        (tr("one in so many is trained on"), study.factor),
    ]
    return [*blocks, Facts(pairs)]


def _range(space: Space) -> tuple[str, str]:
    if space.kind == "choice":
        return ", ".join(map(typed, space.choices)), tr("choices")
    ends = [typed(int(end) if space.kind == "int" else float(end)) for end in (space.low, space.high)]
    step = tr(", in steps of {step}", step=typed(space.step)) if space.step else ""
    return " – ".join(ends) + step, tr("logarithmic") if space.log else tr("even")


def _around(study: Study, settings: Mapping[str, Any], environment: Mapping[str, Any]) -> list[Block]:
    told = ", ".join(f"{name} {value}" for name, value in settings.items())
    pairs: list[tuple[str, Cell]] = [(tr("time"), duration(study.seconds))]
    if told:
        pairs.append((tr("settings"), told))
    return [Facts([*pairs, *named(environment)])]
