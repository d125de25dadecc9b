"""What a page of an evaluation says of all figures at once, of each class, and of the surest mistakes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vistazo.classification import metrics, several
from vistazo.classification.evaluating.answers import Answers
from vistazo.classification.report_parts import MISTAKES
from vistazo.engine.reports import Block, Cell, Picture, Pictures, Section, Table, Text, number, percent
from vistazo.language import tr
from vistazo.pictures import drawing

__all__ = ["classes", "figures", "mistakes"]


def figures(told: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """The figures of all pictures together, with their intervals."""
    one = told["metrics"]
    spans = told.get("intervals", {})

    def span(name: str, digits: int) -> str:
        if name not in spans:
            return ""
        low, high = spans[name]
        return f" ({number(low, digits)} – {number(high, digits)})"

    shares = (
        (tr("balanced accuracy"), "balanced_accuracy"),
        (tr("right class among the first 3"), "top3"),
        (tr("right class among the first 5"), "top5"),
        (tr("expected calibration error"), "calibration_error"),
        (tr("wrong labels"), "hamming_loss"),
    )
    plain = (
        (tr("log loss"), "loss"),
        (tr("Brier score"), "brier"),
        (tr("macro F1"), "macro_f1"),
        (tr("micro F1"), "micro_f1"),
        (tr("macro precision"), "macro_precision"),
        (tr("macro recall"), "macro_recall"),
        (tr("weighted precision"), "weighted_precision"),
        (tr("weighted recall"), "weighted_recall"),
        (tr("weighted F1"), "weighted_f1"),
        (tr("mean area under the ROC curve"), "macro_auroc"),
        (tr("mean average precision"), "macro_average_precision"),
        (tr("mean average precision"), "mean_average_precision"),
    )
    found: list[tuple[str, Cell]] = [
        (name, percent(one[key], 2)) for name, key in shares if one.get(key) is not None
    ]
    found += [(name, number(one[key], 4) + span(key, 4)) for name, key in plain if one.get(key) is not None]
    return found


def classes(answers: Answers, by_class: Mapping[str, Mapping[str, Any]]) -> Section:
    """Precision, recall with its interval, F1 and the areas of each class."""
    rows: list[list[Cell]] = []
    for name, one in by_class.items():
        support = one["support"]
        ends = metrics.wilson_interval(round(one["recall"] * support), support) if support else None
        rows.append(
            [
                name,
                number(one["precision"]),
                number(one["recall"]) if support else None,  # of no picture, none can be found
                f"{percent(ends[0])} – {percent(ends[1])}" if ends else None,
                number(one["f1"]) if support else None,
                number(one["auroc"], 4),
                number(one["average_precision"], 4),
                support,
            ]
        )
    headings = [
        tr("label") if answers.several else tr("class"),
        tr("precision"),
        tr("recall"),
        tr("{level} interval of recall", level=metrics.LEVEL),
        "F1",
        "AUROC",
        "AP",
        tr("pictures"),
    ]
    title = tr("Label by label") if answers.several else tr("Class by class")
    return Section(title, [Table(headings, rows, "lrrrrrrr")])


def mistakes(answers: Answers) -> Section:
    """The surest wrong answers as pictures."""
    pictures = []
    if answers.thresholds is None:
        rows = metrics.most_confident_mistakes(answers.probabilities_NK, answers.labels, MISTAKES).tolist()
        first = [f"{answers.answered(row)} {percent(float(answers.confidence[row]))}" for row in rows]
    else:
        found = several.most_confident_mistakes(
            answers.probabilities_NK, answers.labels, np.array(answers.thresholds), MISTAKES
        )
        rows = [row for row, _ in found]
        first = [answers.answered(row) or tr("no label") for row in rows]
    for row, answer in zip(rows, first, strict=True):
        label = tr("is labelled {label}", label=answers.named(row) or tr("no label"))
        large = drawing.thumbnail(answers.pixels[row])
        pictures.append(Picture(large, [answer, label, answers.where[row]]))
    block: Block = (
        Pictures(pictures) if pictures else Text(tr("None: every picture of this part was answered rightly."))
    )
    return Section(tr("Most confident mistakes"), [block])
