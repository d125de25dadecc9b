"""Another model on the same pictures: whether it may be compared, what it answers, what changed."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vistazo import bundle as bundles
from vistazo.classification import several
from vistazo.classification.evaluating.answers import Answers
from vistazo.classification.evaluating.paired import Paired, compare
from vistazo.classification.evaluating.reading import Found, at_size
from vistazo.classification.evaluating.telling import against_sentence
from vistazo.engine import runs
from vistazo.engine.reports import (
    Block,
    Cell,
    Facts,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
    percent,
)
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.pictures import drawing

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["opened", "section", "told"]

MOST, PICTURED = 1000, 48  # pictures that changed: listed, and shown


def opened(model: "Classifier", against: Any) -> "Classifier":
    """The other model. Raises ConfigError where it is of another task or of other classes."""
    from vistazo.classification.classifier import Classifier, open_model

    other = against
    if isinstance(against, (str, os.PathLike)):
        path = runs.model_file(against)
        contents = bundles.load(path)
        if contents.task != "classification":
            raise ConfigError(
                tr(
                    "{path} is a model of another task ({task}): they cannot be compared.",
                    path=path,
                    task=tr(contents.task),
                )
            )
        other = open_model(contents, path)
    if not isinstance(other, Classifier):
        raise ConfigError(tr("--against takes a model of pictures, a file or a run folder."))
    if set(other.classes) != set(model.classes) or len(other.classes) != len(model.classes):
        ours, theirs = (
            ", ".join(sorted(set(one.classes) - set(two.classes))[:10]) or "–"
            for one, two in ((model, other), (other, model))
        )
        raise ConfigError(
            tr(
                "The two models have other classes, so their answers cannot be compared: only the first has {ours}, "
                "only the second {theirs}.",
                ours=ours,
                theirs=theirs,
            )
        )
    if other.several != model.several:
        raise ConfigError(
            tr(
                "One of the two models answers with several labels and the other with one: they cannot be compared."
            )
        )
    return other


def told(model: "Classifier", other: "Classifier", found: Found, rows_N: npt.NDArray[np.int64],
         answers: Answers) -> dict[str, Any]:  # fmt: skip
    """What both models got right of the pictures at rows of the index, and the pictures that changed."""
    alike = other.size == model.size and other.background == model.background
    rows, pixels = (rows_N, answers.pixels) if alike else at_size(other, found, rows_N)
    order = np.array([other.classes.index(name) for name in model.classes])
    probabilities = other.probabilities(pixels)[:, order]
    kept = np.isin(rows_N, rows)
    if other.thresholds is None:
        theirs = probabilities.argmax(1)
        right = theirs == answers.labels[kept]
        words = [model.classes[at] for at in theirs.tolist()]
    else:
        given = several.answers(probabilities, np.array(other.thresholds)[order])
        right = (given == answers.labels[kept]).all(1)
        words = ["|".join(model.classes[at] for at in np.flatnonzero(row)) for row in given]
    ours = answers.right[kept]
    paired = compare(ours, np.asarray(right, dtype=np.bool_))
    changed = []
    for at in np.flatnonzero(ours != right).tolist():
        row = int(np.flatnonzero(kept)[at])
        changed.append(
            {
                "file": answers.where[row],
                "label": answers.named(row),
                "answer": answers.answered(row),
                "other": words[at],
                "better": bool(ours[at]),
            }
        )
    name = str(other.path) if other.path else tr("the other model")
    return {"model": name, **paired.to_json(), "accuracy": float(right.mean()), "changed": changed[:MOST]}


def section(one: Mapping[str, Any], answers: Answers) -> Section:
    """Both models side by side, and the pictures that changed."""
    paired = Paired(**{name: one[name] for name in Paired.__dataclass_fields__})
    rows: list[list[Cell]] = [
        [tr("right here"), paired.both, paired.ours],
        [tr("wrong here"), paired.theirs, paired.neither],
    ]
    pictures, place = [], {where: row for row, where in enumerate(answers.where)}
    for change in one["changed"][:PICTURED]:
        values = {"answer": change["answer"] or tr("no label"), "other": change["other"] or tr("no label")}
        caption = [
            tr("here {answer}, there {other}", **values),
            tr("is labelled {label}", label=change["label"] or tr("no label")),
            change["file"],
        ]
        pictures.append(Picture(drawing.thumbnail(answers.pixels[place[change["file"]]]), caption))
    pairs: list[tuple[str, Cell]] = [
        (tr("accuracy here"), percent(float(answers.right.mean()), 2)),
        (tr("accuracy there"), percent(one["accuracy"], 2)),
    ]
    blocks: list[Block] = [
        Text(against_sentence(one)),
        Facts(pairs),
        Table(["", tr("right there"), tr("wrong there")], rows, "lrr"),
        *([Pictures(pictures)] if pictures else []),
    ]
    return Section(tr("Beside another model"), blocks)
