"""The part of a report that differs where a picture may have several labels: how often every label was right, each
label by itself, and where the answers are most surely wrong."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vistazo.classification import several
from vistazo.classification.metrics import LEVEL, wilson_interval
from vistazo.classification.report_parts import MISTAKES, table_of_parts
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
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import Index

if TYPE_CHECKING:
    from vistazo.classification.report import Told

__all__ = ["headline", "mistakes", "sections"]


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
        *([told.proposal] if told.proposal else []),
    ]
    lines += filter(None, [told.leak])
    title = (
        tr("Pictures of the test part with every label right")
        if told.part == "test"
        else tr("Pictures of the validation part with every label right")
    )
    table = table_of_parts(
        told.figures,
        tr("all right"),
        [
            (tr("mean AP"), lambda one: number(one["mean_average_precision"], 4)),
            (tr("macro F1"), lambda one: number(one["macro_f1"], 4)),
            (tr("micro F1"), lambda one: number(one["micro_f1"], 4)),
            (tr("wrong"), lambda one: percent(one["hamming_loss"], 2)),
        ],
    )
    return [Headline(percent(figures["accuracy"], 2), title, "\n".join(lines)), table]


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
    rows, thresholds_K = told.data.rows(told.part), np.array(told.thresholds)
    return mistakes(told.data, rows, told.labels, told.pixels, told.probabilities, thresholds_K)


def mistakes(
    data: Index,
    rows_N: npt.NDArray[np.int64],
    labels_NK: npt.NDArray[np.bool_],
    pixels_NHWC: PictureArray,
    probabilities_NK: npt.NDArray[np.float64],
    thresholds_K: npt.NDArray[np.float64],
) -> Block:
    """The labels answered most surely wrong, as pictures; rows_N: of the pictures in data.

    thresholds_K: of all pictures, or (N, K) of each.
    """
    names = data.classes
    found = several.most_confident_mistakes(probabilities_NK, labels_NK, thresholds_K, MISTAKES)
    if not found:
        return Text(tr("None: every picture of this part was answered rightly."))
    pictures = []
    for at, label in found:
        values = {"label": names[label], "share": percent(float(probabilities_NK[at, label]))}
        has = ", ".join(names[one] for one in np.flatnonzero(labels_NK[at]))
        caption = [
            tr("{label} missed ({share})", **values)
            if labels_NK[at, label]
            else tr("{label} wrongly answered ({share})", **values),
            tr("has {labels}", labels=has) if has else tr("has no label"),
            data.where[int(rows_N[at])],
        ]
        pictures.append(Picture(drawing.png(drawing.enlarge(pixels_NHWC[at])), caption))
    return Pictures(pictures)
