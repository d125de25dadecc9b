"""`vistazo evaluate` of a classifier, told in its own words: find the pictures, answer, measure, write.

Shape suffixes: N pictures, K classes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vistazo.classification import starting, why
from vistazo.classification.evaluating import against as others
from vistazo.classification.evaluating import reading, saving, slices, unknowing
from vistazo.classification.evaluating.answers import Answers
from vistazo.classification.evaluating.intervals import bootstrap
from vistazo.classification.evaluating.keeping import Kept, folder_for, write
from vistazo.classification.evaluating.measuring import by_class
from vistazo.classification.evaluating.page import undefined
from vistazo.classification.evaluating.stating import parse
from vistazo.classification.metrics import most_confident_mistakes
from vistazo.errors import ConfigError, SourceError, TooFewExamples, WithoutLabels
from vistazo.language import tr

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["Asked", "answers_of", "evaluate"]

MOST = 24  # mistakes that are told, and pictures of least confidence
WORST = 10  # classes, and pairs of classes
WIDEST = 100  # classes whose confusion matrix is told as a whole


@dataclass(frozen=True)
class Asked:
    """What is asked of an evaluation, as `Classifier.evaluate` takes it."""

    split: str | None = None
    classes: str | None = None
    every: str | None = None
    against: Any = None
    dont_know: str | None = None
    save_as: Path | None = None
    out: str | Path | None = None


def evaluate(model: "Classifier", source: Any, asked: Asked) -> dict[str, Any]:
    """What `Classifier.evaluate` gives: everything told, and the files written where a folder was named."""
    error = None if asked.dont_know is None else parse(asked.dont_know)
    if error is not None and model.several:
        raise ConfigError(
            tr(
                "--dont-know is for models that answer with one class; this one answers each label from a threshold of "
                "its own."
            )
        )
    if asked.save_as is not None:
        saving.require_possible(model, asked.save_as, asked.dont_know)
    other = None if asked.against is None else others.opened(model, asked.against)
    folder = None if asked.out is None else folder_for(Path(asked.out))
    if isinstance(source, np.ndarray):
        return _unlabelled(model, [source], asked, folder)
    try:
        found = reading.find(model, source, split=asked.split, classes=asked.classes, every=asked.every)
    except WithoutLabels as fault:
        if not isinstance(source, (str, os.PathLike)):
            raise
        return _unlabelled(model, fault.files or [source], asked, folder, fault)
    if asked.save_as is not None:
        saving.require_untested(model, found)
    truth, known = reading.truth(model, found.index, found.rows_N)
    theirs = np.zeros_like(known)
    if other is not None:
        theirs = known & np.isin(found.index.hash[found.rows_N], other.trained_on())
        known = known & ~theirs
    told: dict[str, Any] = {
        "part": found.part,
        "left_out": {"trained_on": found.trained_on},
        "unreadable": [{"file": one.where, "reason": one.reason} for one in found.broken],
        "notes": [*found.notes, *_unguarded(found, model, other)],
        **_strangers(model, found),
    }
    if other is not None:
        told["left_out"]["trained_on_by_the_other"] = int(theirs.sum())
    if theirs.any() and not known.any():
        raise TooFewExamples(
            tr(
                "The other model was trained on all {n} of these pictures, so the two cannot be compared on them: give "
                "other pictures, or leave out --against.",
                n=int(theirs.sum()),
            )
        )
    if not known.any():
        told["notes"] += _undone(asked)
        return _without_truth(model, found, told, folder)
    at = np.flatnonzero(known)
    told = _labelled(model, found, at, truth[at], told, error=error, other=other, folder=folder)
    if asked.save_as is not None and error is not None:
        threshold = told["dont_know"]["threshold"]
        told["saved"] = saving.save(model, asked.save_as, threshold, error)
    return told


def _labelled(
    model: "Classifier",
    found: reading.Found,
    at: npt.NDArray[np.int64],
    truth: npt.NDArray[Any],
    told: dict[str, Any],
    *,
    error: float | None,
    other: "Classifier | None",
    folder: Path | None,
) -> dict[str, Any]:
    """The figures of pictures at places `at` of what was found, which the model can answer rightly."""
    pixels = found.pixels.take(at)
    scores = model.view_scores(pixels)
    figures, probabilities = model.measure(scores, truth)
    rows = found.rows_N[at]
    answers = answers_of(
        model,
        where=tuple(found.index.where[row] for row in rows.tolist()),
        labels=truth,
        scores_VNK=scores,
        probabilities_NK=probabilities,
        pixels=pixels,
        columns={
            **slices.of_pixels(pixels),
            **slices.of_index(found.index, rows, found.area_N[at]),
        },
    )
    examined = slices.examine(answers.right, answers.columns)
    intervals = {} if model.several else bootstrap(probabilities, truth)
    told = {
        "part": told.pop("part"),
        "metrics": figures,
        "classes": by_class(answers),
        **told,
        "intervals": intervals,
        "undefined": undefined(answers),
        "slices": [one.to_json() for one in examined],
        **({} if model.several else _confused(answers)),
    }
    if not model.several:
        told["temperature"] = model.temperature
    if model.unknowing is not None:
        threshold = model.unknowing.threshold
        told["unknowing"] = {
            "threshold": threshold,
            "stated": model.unknowing.error,
            **unknowing.selective(answers.confidence, answers.right, threshold),
        }
    if error is not None:
        told["dont_know"] = {**_dont_know(answers, error), "test_part": saving.on_test_part(model, found)}
    if other is not None:
        told["against"] = others.told(model, other, found, rows, answers)
    if folder is not None:
        asked = why.ask(model, answers, seed=0)
        told["co_occurrence"] = asked.to_json()
        told["files"] = write(folder, told, Kept(model, answers, examined, asked))
    return told


def answers_of(model: "Classifier", *, scores_VNK: npt.NDArray[np.float32], **values: Any) -> Answers:
    """The answers of a model, from the scores of its views; values: of Answers, probabilities among them."""
    calibrated = model.temperature != 1
    return Answers(
        classes=model.classes,
        thresholds=model.thresholds,
        plain_NK=replace(model, temperature=1.0).combine(scores_VNK) if calibrated else None,
        temperature=model.temperature,
        unknowing=model.unknowing,
        **values,
    )


# ---------------------------------------------------------------- what is told
def _strangers(model: "Classifier", found: reading.Found) -> dict[str, Any]:
    """Pictures whose class the model does not know, by class; and how many have no label."""
    among = np.zeros(len(found.index), dtype=np.bool_)
    among[found.rows_N] = True
    counts = found.index.counts(among)
    unknown = {
        name: int(count)
        for name, count in zip(found.index.classes, counts, strict=True)
        if name not in model.classes and count
    }
    bare = int((among & ~found.index.labelled).sum())
    return {
        **({"unknown_classes": unknown} if unknown else {}),
        **({"unlabelled": bare} if bare else {}),
    }


def _confused(answers: Answers) -> dict[str, Any]:
    """The confusion matrix, the hardest classes and pairs, and the surest mistakes."""
    counts = answers.confusion
    names = answers.classes
    support = counts.sum(1)
    shown = np.flatnonzero(support)
    recall = counts.diagonal()[shown] / support[shown]
    hardest = shown[np.argsort(recall, kind="stable")][:WORST]
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    flat = np.argsort(-wrong, axis=None, kind="stable")[:WORST]
    pairs = [divmod(int(one), len(names)) for one in flat]
    mistakes = most_confident_mistakes(answers.probabilities_NK, answers.labels, MOST)
    return {
        **({"confusion": counts.tolist()} if len(names) <= WIDEST else {}),
        "hardest_classes": [
            {"class": names[at], "recall": float(counts[at, at] / support[at]), "support": int(support[at])}
            for at in hardest.tolist()
        ],
        "hardest_pairs": [
            {
                "class": names[row],
                "answer": names[column],
                "count": int(wrong[row, column]),
                "share": float(wrong[row, column] / support[row]),
            }
            for row, column in pairs
            if wrong[row, column]
        ],
        "mistakes": [_one(answers, row) for row in mistakes.tolist()],
    }


def _one(answers: Answers, row: int) -> dict[str, Any]:
    return {
        "file": answers.where[row],
        "label": answers.named(row),
        "answer": answers.answered(row),
        "probability": round(float(answers.confidence[row]), 6),
    }


def _dont_know(answers: Answers, error: float) -> dict[str, Any]:
    """Which threshold would keep to an error on new pictures; None where none can be shown to."""
    threshold = unknowing.choose(answers.confidence, answers.right, error)
    found: dict[str, Any] = {"stated": error, "threshold": threshold, "fewest": unknowing.fewest(error)}
    if threshold is not None:
        found |= unknowing.selective(answers.confidence, answers.right, threshold)
    return found


# ---------------------------------------------------------------- without labels
def _unlabelled(
    model: "Classifier",
    files: Sequence[Any],
    asked: Asked,
    folder: Path | None,
    fault: SourceError | None = None,
) -> dict[str, Any]:
    """The answers to pictures that nothing is known of; the fault is raised where none can be read."""
    found = reading.look_through(model, files, every=asked.every, most=MOST)
    if not len(found.where):
        raise fault or SourceError(tr("There is no picture that can be read."))
    told: dict[str, Any] = {
        "part": "all",
        "left_out": {"trained_on": 0},
        "unreadable": [{"file": one.where, "reason": one.reason} for one in found.broken],
        "notes": _undone(asked),
        "unlabelled": len(found.where),
    }
    return _answered(model, found, told, folder)


def _without_truth(
    model: "Classifier", found: reading.Found, told: dict[str, Any], folder: Path | None
) -> dict[str, Any]:
    """The answers to pictures of which none has a class that the model knows."""
    probabilities = model.probabilities(found.pixels)
    least = np.argsort(probabilities.max(1), kind="stable")[:MOST]
    seen = reading.Unlabelled(
        tuple(found.index.where[row] for row in found.rows_N.tolist()),
        probabilities,
        [(int(at), found.pixels[int(at)]) for at in least],
        (),
    )
    return _answered(model, seen, told, folder)


def _unguarded(found: reading.Found, *models: "Classifier | None") -> list[str]:
    """Of which models it is not known what they were trained on, where that may be among these pictures."""
    paths = [one.path for one in models if one is not None and one.path is not None]
    return [
        tr(
            "{path} does not lie in the folder of its run, so pictures that it was trained on could not be left out; "
            "if there are any, its figures flatter.",
            path=path,
        )
        for path in paths
        if found.part != "test" and not starting.at_hand(path)
    ]


def _undone(asked: Asked) -> list[str]:
    """What was asked for and needs labels, in a sentence."""
    options = {"--against": asked.against, "--dont-know": asked.dont_know, "--save-as": asked.save_as}
    named = [name for name, value in options.items() if value is not None]
    if not named:
        return []
    return [
        tr(
            "Not done, because it needs pictures whose classes the model knows: {options}",
            options=", ".join(named),
        )
    ]


def _answered(
    model: "Classifier", found: reading.Unlabelled, told: dict[str, Any], folder: Path | None
) -> dict[str, Any]:
    """What can be said without truth: how often each class is answered, how sure, and where the least."""
    from vistazo.classification import several

    probabilities = found.probabilities_NK
    confidence = probabilities.max(1)
    if model.thresholds is None:
        counts = np.bincount(probabilities.argmax(1), minlength=len(model.classes))
    else:
        counts = several.answers(probabilities, np.array(model.thresholds)).sum(0)
    shares = np.quantile(confidence, (0.05, 0.25, 0.5, 0.75, 0.95)).tolist()
    told = {
        "part": told.pop("part"),
        "metrics": None,
        "classes": {},
        **told,
        "n": len(confidence),
        "answers": dict(zip(model.classes, counts.tolist(), strict=True)),
        "confidence": dict(zip(("5%", "25%", "50%", "75%", "95%"), shares, strict=True)),
        "least_sure": [
            {
                "file": found.where[row],
                "answer": model.classes[int(probabilities[row].argmax())],
                "probability": round(float(confidence[row]), 6),
            }
            for row, _ in found.least_sure
        ],
    }
    if model.unknowing is not None:
        told["unknown_share"] = float((confidence < model.unknowing.threshold).mean())
    if folder is not None:
        told["files"] = write(folder, told, found, model)
    return told
