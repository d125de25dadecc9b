"""What a person reads about a run: the honest figure first, then where it is wrong, then how it came about."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification import metrics, several_report
from vistazo.classification.evaluating import confusion, page
from vistazo.classification.evaluating.answers import Answers
from vistazo.classification.objective import PLAIN
from vistazo.classification.report_parts import MISTAKES, table_of_parts
from vistazo.engine import history as histories
from vistazo.engine.objectives import LOG_LOSSES, spelled
from vistazo.engine.progress import duration
from vistazo.engine.reports import (
    Block,
    Cell,
    Curves,
    Facts,
    Headline,
    Picture,
    Pictures,
    Report,
    Section,
    Table,
    Text,
    named,
    number,
    percent,
    to_html,
)
from vistazo.language import mark, tr
from vistazo.pictures import augments, drawing
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import Broken, Index

__all__ = ["Told", "build", "mistakes"]

# Told in words of their own.
_ELSEWHERE = frozenset(["model", "arguments", "reach", "flip", "augment", "most", "loss_arguments"])
# Names that are shown as words: of environment.json, of what was decided, of an epoch's figures.
_NAMES = (
    *(mark("system"), mark("processor"), mark("cores"), mark("device"), mark("layout"), mark("threads")),
    *(mark("channels"), mark("height"), mark("width"), mark("classes"), mark("filters"), mark("entry")),
    *(mark("batch"), mark("schedule"), mark("average"), mark("smoothing"), mark("views"), mark("macro f1")),
    *(mark("objective"), mark("balance"), mark("scaling"), mark("monitor"), mark("patience")),
    *(mark("patience on"), mark("stop at"), mark("keep"), mark("size"), mark("frozen"), mark("words")),
    *(mark("learning rate"), mark("optimizer"), mark("weight decay"), mark("dropout")),
)


@dataclass(frozen=True)
class Told:
    """All that a report is made of. part: the part whose figures lead; labels, pixels, probabilities are its own.

    comparison: a section of its own for what is to be seen beside this run.
    thresholds: of several labels a picture; `labels` is (pictures, labels) bool then.
    proposal: what would measure better, where there is such a thing.
    leak: what the test figure is without near copies of pictures learnt from, where there are any.
    transfer: the stages of a run that began with a pretrained network.
    answers: to the part, for what an evaluation shows too. said: what was settled on the validation part.
    why: what the network was asked about them. rate: how the learning rate was found.
    """

    name: str
    data: Index
    part: str
    labels: npt.NDArray[Any]
    pixels: PictureArray
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
    comparison: Section | None = None
    thresholds: tuple[float, ...] | None = None
    proposal: str = ""
    leak: str = ""
    transfer: Sequence[tuple[str, str]] = ()
    answers: Answers | None = None
    said: Sequence[str] = ()
    why: Sequence[Section] = ()
    rate: Section | None = None


def build(told: Told) -> str:
    """The page, as one HTML text."""
    several = told.thresholds is not None and told.probabilities is not None
    first = several_report.headline(told) if several else _headline(told)
    sections = [Section("", first), *([told.comparison] if told.comparison else [])]
    sections.append(Section(tr("Learning curves"), _curves(told)))
    if several:
        sections += several_report.sections(told)
    elif told.probabilities is not None:
        matrix = [] if told.answers is None else confusion.blocks(told.answers)
        sections += [
            Section(tr("Class by class"), [_classes(told)]),
            *([Section(tr("Confusion matrix"), matrix)] if matrix else []),
            Section(
                tr("Most confident mistakes"),
                [
                    mistakes(
                        told.data, told.data.rows(told.part), told.labels, told.pixels, told.probabilities
                    )
                ],
            ),
        ]
    if told.answers is not None:
        sections += page.shared(told.answers, told.figures[told.part] or {}, told.said)
    sections += told.why
    sections += [
        *([told.rate] if told.rate else []),
        *([Section(tr("Transfer learning"), [Facts(told.transfer)])] if told.transfer else []),
        Section(tr("The pictures and their parts"), _parts(told)),
        Section(tr("How it was trained"), [_training(told)]),
        Section(tr("Machine and time"), [_machine(told)]),
    ]
    title = tr("Image classification: {name}", name=told.name)
    names = len(told.data.classes)
    subtitle = tr("{n} labels", n=names) if told.data.labels is not None else tr("{n} classes", n=names)
    return to_html(Report(title, sections, subtitle))


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
        *filter(None, [told.leak, told.proposal]),
    ]
    table = table_of_parts(
        told.figures,
        tr("accuracy"),
        [
            (tr("balanced accuracy"), lambda one: percent(one.get("balanced_accuracy"), 2)),
            (tr("macro F1"), lambda one: number(one["macro_f1"], 4)),
        ],
    )
    return [Headline(percent(figures["accuracy"], 2), where, "\n".join(detail)), table]


def _curves(told: Told) -> list[Block]:
    found: list[Block] = []
    accuracy = tr("accuracy") if told.thresholds is None else tr("every label right, from 0.5 on")
    for metric, name in (("loss", tr("loss")), ("accuracy", accuracy)):
        apart = metric == "loss" and told.decided.get("objective", PLAIN) not in LOG_LOSSES
        for lines in histories.axes(told.history, metric, apart=apart):
            x = sorted({at for line in lines.values() for at, _ in line})
            series = {tr(part): [dict(line).get(at) for at in x] for part, line in lines.items()}
            label = name if not apart else _loss(told) if "train" in lines else tr("log loss")
            found.append(Curves(x, series, tr("epoch"), label))
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


def mistakes(
    data: Index,
    rows_N: npt.NDArray[np.int64],
    labels_N: npt.NDArray[np.int64],
    pixels_NHWC: PictureArray,
    probabilities_NK: npt.NDArray[np.float64],
) -> Block:
    """The wrong answers of the highest probability, as pictures with their names; rows_N: of the pictures in data."""
    order = metrics.most_confident_mistakes(probabilities_NK, labels_N, MISTAKES)
    if not len(order):
        return Text(tr("None: every picture of this part was answered rightly."))
    names = data.classes
    pictures = []
    for at in order.tolist():
        answer = int(probabilities_NK[at].argmax())
        caption = [
            tr("{answer} {share}", answer=names[answer], share=percent(float(probabilities_NK[at, answer]))),
            tr("is labelled {label}", label=names[int(labels_N[at])]),
            data.where[int(rows_N[at])],
        ]
        pictures.append(Picture(drawing.png(drawing.enlarge(pixels_NHWC[at])), caption))
    return Pictures(pictures)


def _parts(told: Told) -> list[Block]:
    parts = ("train", "validation", "test", mark("out"))
    shown = [part for part in parts if len(told.data.rows(part))]
    rows: list[list[Cell]] = []
    for at, name in enumerate(told.data.classes):
        of_class = told.data.holds(at)
        rows.append([name, *(int((of_class & (told.data.split == part)).sum()) for part in shown)])
    first = tr("class") if told.data.labels is None else tr("label")
    headings = [first, *(tr(part) for part in shown)]
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
                {
                    name: value
                    for name, value in {**told.decided, "objective": _loss(told)}.items()
                    if name not in _ELSEWHERE and value is not None
                }
            ),
        ),
        (tr("changes of pictures"), _changes(told.decided)),
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


def _loss(told: Told) -> str:
    return spelled(told.decided.get("objective", PLAIN), told.decided.get("loss_arguments", {}))


def _changes(decided: dict[str, Any]) -> str:
    several = augments.say(decided.get("reach", 0), decided.get("flip", False), decided.get("augment", []))
    return "; ".join(several) or tr("none")


def _machine(told: Told) -> Block:
    return Facts([(tr("time"), duration(told.seconds)), *named(told.environment)])


def _plain(values: dict[str, Any]) -> str:
    return ", ".join(f"{tr(name.replace('_', ' '))} {_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return tr("yes") if value else tr("no")
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):  # a network in words
        return "; ".join(value)
    if not isinstance(value, float):
        return str(value)
    return number(value, 2 if not value or abs(value) >= 0.1 else 2 - math.floor(math.log10(abs(value))))
