"""The part of a report that differs where a picture may have several labels: how often every label was right, each
label by itself, and where the answers are most surely wrong."""

from typing import TYPE_CHECKING

import numpy as np

from vistazo.classification import several
from vistazo.classification.metrics import LEVEL, wilson_interval
from vistazo.engine.reports import (
    Block,
    Cell,
    Headline,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
    number,
    percent,
)
from vistazo.language import tr
from vistazo.pictures import drawing

if TYPE_CHECKING:
    from vistazo.classification.report import Told

__all__ = ["headline", "sections"]

MISTAKES = 24


def headline(told: "Told") -> list[Block]:
    """The share of pictures whose every label is right, with its interval, and the figures of each part."""
    figures = told.figures[told.part]
    assert figures is not None
    lines = [
        tr(
            "{level} interval {low} to {high}, n = {n}; always answering the most common set of labels would give "
            "{most}.",
            level=LEVEL,
            low=percent(figures["accuracy_low"], 2),
            high=percent(figures["accuracy_high"], 2),
            n=figures["n"],
            most=percent(several.most_common_share(told.labels)),
        ),
        tr("Pictures of this part were not trained on.")
        if told.part == "test"
        else tr(
            "Validation chose the thresholds, so this figure leans to the bright side; there was no test part."
        ),
    ]
    lines += filter(None, [told.leak])
    title = (
        tr("Pictures of the test part with every label right")
        if told.part == "test"
        else tr("Pictures of the validation part with every label right")
    )
    headings = [
        tr("part"),
        tr("pictures"),
        tr("all right"),
        tr("{level} interval", level=LEVEL),
        tr("single view"),
        tr("mean AP"),
        tr("macro F1"),
        tr("micro F1"),
        tr("wrong"),
        tr("loss"),
    ]
    rows: list[list[Cell]] = [
        [
            tr(part),
            one["n"],
            percent(one["accuracy"], 2),
            f"{percent(one['accuracy_low'], 2)} – {percent(one['accuracy_high'], 2)}",
            percent(one["single_view_accuracy"], 2),
            number(one["mean_average_precision"], 4),
            number(one["macro_f1"], 4),
            number(one["micro_f1"], 4),
            percent(one["hamming_loss"], 2),
            number(one["loss"], 4),
        ]
        for part, one in told.figures.items()
        if one
    ]
    return [
        Headline(percent(figures["accuracy"], 2), title, "\n".join(lines)),
        Table(headings, rows, "lrrrrrrrrr"),
    ]


def sections(told: "Told") -> list[Section]:
    """Each label by itself, and the most confident mistakes."""
    return [
        Section(tr("Label by label"), [_labels(told), Text(_about_the_table())]),
        Section(tr("Most confident mistakes"), [_mistakes(told)]),
    ]


def _about_the_table() -> str:
    return tr(
        "AP is the average precision, which depends on no threshold. A label is answered from its threshold on: the "
        "probability nearest to 0.5 whose F1 on the validation part is within one standard error of the best. It is "
        "0.5 where fewer than {n} pictures of that part have the label, or fewer than {n} have it not.",
        n=several.FEWEST,
    )


def _labels(told: "Told") -> Block:
    assert told.probabilities is not None and told.thresholds is not None
    scores = several.label_scores(told.probabilities, told.labels, np.array(told.thresholds))
    rows: list[list[Cell]] = []
    for at, name in enumerate(told.data.classes):
        support = int(scores.support[at])
        low, high = wilson_interval(int(scores.right[at]), support) if support else (None, None)
        rows.append(
            [
                name,
                number(float(scores.average_precision[at])),
                number(float(scores.precision[at])),
                number(float(scores.recall[at])),
                f"{percent(low)} – {percent(high)}" if support else None,
                number(float(scores.f1[at])),
                number(told.thresholds[at]),
                support,
                int(scores.right[at]),
                int(scores.missed[at]),
                int(scores.wrong[at]),
            ]
        )
    headings = [
        tr("label"),
        "AP",
        tr("precision"),
        tr("recall"),
        tr("{level} interval", level=LEVEL),
        "F1",
        tr("threshold"),
        tr("pictures"),
        tr("found"),
        tr("missed"),
        tr("wrong"),
    ]
    return Table(headings, rows, "l" + "r" * 10)


def _mistakes(told: "Told") -> Block:
    assert told.probabilities is not None and told.thresholds is not None
    thresholds, names = np.array(told.thresholds), told.data.classes
    found = several.most_confident_mistakes(told.probabilities, told.labels, thresholds, MISTAKES)
    if not found:
        return Text(tr("None: every picture of this part was answered rightly."))
    rows = told.data.rows(told.part)
    pictures = []
    for at, label in found:
        values = {"label": names[label], "share": percent(float(told.probabilities[at, label]))}
        has = ", ".join(names[one] for one in np.flatnonzero(told.labels[at]))
        caption = [
            tr("{label} missed ({share})", **values)
            if told.labels[at, label]
            else tr("{label} wrongly answered ({share})", **values),
            tr("has {labels}", labels=has) if has else tr("has no label"),
            told.data.where[int(rows[at])],
        ]
        pictures.append(Picture(drawing.png(drawing.enlarge(told.pixels[at])), caption))
    return Pictures(pictures)
