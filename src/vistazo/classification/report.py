"""What a person reads about a run: the honest figure first, then where it is wrong, then how it came about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification import metrics
from vistazo.engine import history as histories
from vistazo.engine.progress import duration
from vistazo.engine.reports import (
    Block,
    Cell,
    Curves,
    Facts,
    Headline,
    Matrix,
    Picture,
    Pictures,
    Report,
    Section,
    Table,
    Text,
    number,
    percent,
    to_html,
)
from vistazo.language import mark, tr
from vistazo.pictures import drawing
from vistazo.pictures.index import Broken, Index

__all__ = ["Told", "build"]

MISTAKES = 24
# Names that are shown as words: of environment.json, of what was decided, of an epoch's figures.
_NAMES = (
    *(mark("system"), mark("processor"), mark("cores"), mark("device"), mark("layout"), mark("threads")),
    *(mark("channels"), mark("height"), mark("width"), mark("classes"), mark("filters"), mark("entry")),
    *(mark("batch"), mark("schedule"), mark("average"), mark("smoothing"), mark("reach"), mark("flip")),
    *(mark("views"), mark("macro f1")),
)


@dataclass(frozen=True)
class Told:
    """All that a report is made of. part: the part whose figures lead; labels, pixels, probabilities are its own."""

    name: str
    data: Index
    part: str
    labels: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float64] | None
    figures: dict[str, dict[str, Any] | None]
    history: list[histories.Epoch]
    kept_epoch: int
    reason: str
    settings: dict[str, Any]
    decided: dict[str, Any]
    parameters: dict[str, int]
    sentences: Sequence[str]
    broken: Sequence[Broken]
    environment: dict[str, Any]
    seconds: float
    transfer: Sequence[tuple[str, str]] | None = None


def build(told: Told) -> str:
    """The page, as one HTML text."""
    sections = [Section("", _headline(told)), Section(tr("Learning curves"), _curves(told.history))]
    if told.probabilities is not None:
        sections += [
            Section(tr("Class by class"), [_classes(told)]),
            Section(tr("Confusion matrix"), [_confusion(told)]),
            Section(tr("Most confident mistakes"), [_mistakes(told)]),
        ]
    sections += [
        *([Section(tr("Transfer learning"), [Facts(list(told.transfer))])] if told.transfer else []),
        Section(tr("The pictures and their parts"), _parts(told)),
        Section(tr("How it was trained"), [_training(told)]),
        Section(tr("Machine and time"), [_machine(told)]),
    ]
    title = tr("Image classification: {name}", name=told.name)
    return to_html(Report(title, sections, tr("{n} classes", n=len(told.data.classes))))


def _headline(told: Told) -> list[Block]:
    figures = told.figures[told.part]
    if figures is None or told.probabilities is None:
        return [
            Text(tr("There were too few pictures to set any aside, so nothing was measured. Add pictures."))
        ]
    most = metrics.most_common_share(told.labels)
    where = tr("Accuracy on the test part") if told.part == "test" else tr("Accuracy on the validation part")
    detail = [
        tr(
            "{level} interval {low} to {high}, n = {n}; always answering the most common class would give {most}.",
            level=metrics.LEVEL,
            low=percent(figures["accuracy_low"], 2),
            high=percent(figures["accuracy_high"], 2),
            n=figures["n"],
            most=percent(most),
        ),
        tr("Pictures of this part were not trained on.")
        if told.part == "test" or told.decided["keep"] == "last"
        else tr(
            "Validation chose the epoch, so this figure leans to the bright side; there was no test part."
        ),
    ]
    rows = [
        [
            tr(part),
            one["n"],
            percent(one["accuracy"], 2),
            f"{percent(one['accuracy_low'], 2)} – {percent(one['accuracy_high'], 2)}",
            percent(one["single_view_accuracy"], 2),
            number(one["macro_f1"], 4),
            number(one["loss"], 4),
        ]
        for part, one in told.figures.items()
        if one
    ]
    headings = [
        tr("part"),
        tr("pictures"),
        tr("accuracy"),
        tr("{level} interval", level=metrics.LEVEL),
        tr("single view"),
        tr("macro F1"),
        tr("loss"),
    ]
    return [
        Headline(percent(figures["accuracy"], 2), where, "\n".join(detail)),
        Table(headings, rows, "lrrrrrr"),
    ]


def _curves(history: list[histories.Epoch]) -> list[Block]:
    found: list[Block] = []
    for metric, name in (("loss", tr("loss")), ("accuracy", tr("accuracy"))):
        lines = histories.curves(history, metric)
        if lines:
            x = sorted({at for line in lines.values() for at, _ in line})
            series = {tr(part): [dict(line).get(at) for at in x] for part, line in lines.items()}
            found.append(Curves(x, series, tr("epoch"), name))
    return found


def _classes(told: Told) -> Block:
    assert told.probabilities is not None
    names = told.data.classes
    scores = metrics.class_scores(
        metrics.confusion_matrix(told.probabilities.argmax(1), told.labels, len(names))
    )
    rows = []
    for at, name in enumerate(names):
        support = int(scores.support[at])
        right = round(float(scores.recall[at]) * support)
        low, high = metrics.wilson_interval(right, support) if support else (None, None)
        interval = f"{percent(low)} – {percent(high)}" if support else None
        rows.append(
            [
                name,
                number(float(scores.precision[at])),
                number(float(scores.recall[at])),
                interval,
                number(float(scores.f1[at])),
                support,
            ]
        )
    headings = [
        tr("class"),
        tr("precision"),
        tr("recall"),
        tr("{level} interval of recall", level=metrics.LEVEL),
        "F1",
        tr("pictures"),
    ]
    return Table(headings, rows, "lrrrrr")


def _confusion(told: Told) -> Block:
    assert told.probabilities is not None
    counts = metrics.confusion_matrix(told.probabilities.argmax(1), told.labels, len(told.data.classes))
    return Matrix(told.data.classes, counts.tolist(), tr("class"), tr("answer"))


def _mistakes(told: Told) -> Block:
    assert told.probabilities is not None
    order = metrics.most_confident_mistakes(told.probabilities, told.labels, MISTAKES)
    if not len(order):
        return Text(tr("None: every picture of this part was answered rightly."))
    rows = told.data.rows(told.part)
    names = told.data.classes
    pictures = []
    for at in order.tolist():
        answer = int(told.probabilities[at].argmax())
        caption = [
            tr(
                "{answer} {share}", answer=names[answer], share=percent(float(told.probabilities[at, answer]))
            ),
            tr("is labelled {label}", label=names[int(told.labels[at])]),
            told.data.where[int(rows[at])],
        ]
        pictures.append(Picture(drawing.png(drawing.enlarge(told.pixels[at])), caption))
    return Pictures(pictures)


def _parts(told: Told) -> list[Block]:
    parts = ("train", "validation", "test", mark("out"))
    shown = [part for part in parts if len(told.data.rows(part))]
    rows: list[list[Cell]] = []
    for at, name in enumerate(told.data.classes):
        of_class = told.data.label == at
        rows.append([name, *(int((of_class & (told.data.split == part)).sum()) for part in shown)])
    headings = [tr("class"), *(tr(part) for part in shown)]
    blocks: list[Block] = [Text("\n\n".join(told.sentences)), Table(headings, rows, "l" + "r" * len(shown))]
    if told.broken:
        blocks.append(Table([tr("left out"), tr("reason")], [[one.where, one.reason] for one in told.broken]))
    return blocks


def _training(told: Told) -> Block:
    parameters = tr(
        "{total} ({trainable} trainable, {statistics} running statistics, {frozen} frozen)",
        **{name: number(count, 0) for name, count in told.parameters.items()},
    )
    pairs = [
        (tr("network"), f"{told.decided['model']} {_plain(told.decided['arguments'])}"),
        (tr("parameters"), parameters),
        (
            tr("recipe"),
            _plain(
                {name: value for name, value in told.decided.items() if name not in ("model", "arguments")}
            ),
        ),
        (
            tr("epochs"),
            tr(
                "{epochs} ({reason}; kept: epoch {epoch})",
                epochs=len(told.history),
                reason=told.reason,
                epoch=told.kept_epoch,
            ),
        ),
        # as they are written on the command line and in a file of settings
        (tr("settings"), ", ".join(f"{name} {value}" for name, value in told.settings.items())),
    ]
    return Facts(pairs)


def _machine(told: Told) -> Block:
    pairs = [(tr("time"), duration(told.seconds))]
    return Facts(pairs + [(tr(name), str(value)) for name, value in told.environment.items()])


def _plain(values: dict[str, Any]) -> str:
    return ", ".join(f"{tr(name)} {_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return tr("yes") if value else tr("no")
    return number(value, 2) if isinstance(value, float) else str(value)
