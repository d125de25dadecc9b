"""All figures of the answers to one part, under stable keys: what `metrics` and `several` say, and more.

Shape suffixes: N pictures, K classes.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vistazo.classification import several
from vistazo.classification.evaluating.calibration import bin_error, equal_mass, equal_width
from vistazo.classification.evaluating.curves import ByClass, one_versus_rest
from vistazo.classification.metrics import ClassScores, class_scores, confusion_matrix, top_k_accuracy
from vistazo.engine.figures import brier, log_loss

if TYPE_CHECKING:
    from vistazo.classification.evaluating.answers import Answers

__all__ = ["by_class", "finite", "further", "further_of_labels", "truth_of", "uncalibrated"]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]


def finite(value: float) -> float | None:
    """The number, or None where it is not defined."""
    return float(value) if math.isfinite(value) else None


def truth_of(labels: Array, classes: int) -> Bools:
    """(N, K) bool: which classes a picture shows, from class numbers or from itself."""
    # As bool from the first: of a million pictures and a thousand classes numbers would take 8 GB.
    return labels if labels.ndim == 2 else np.eye(classes, dtype=np.bool_)[labels]


def further(
    probabilities_NK: Array, labels_N: Array, curves: ByClass | None = None
) -> dict[str, float | None]:
    """Figures of one label a picture beside those of `metrics.measure`, None where undefined or without pictures.

    `top3` (more than three classes); `brier`, 0 to 2; `calibration_error` in 15 bins of equal width, and
    `calibration_error_equal_mass`; `macro_precision`, `macro_recall` over classes shown or answered, and
    `weighted_precision`, `weighted_recall`, `weighted_f1` by pictures; `macro_auroc` and `macro_average_precision`, one
    class against the rest, over the classes that have such a curve. curves: those areas, where they are known.
    """
    n, classes = probabilities_NK.shape
    keys = ["top3"] * (classes > 3) + ["brier", "calibration_error", "calibration_error_equal_mass"]
    keys += ["macro_precision", "macro_recall", "weighted_precision", "weighted_recall", "weighted_f1"]
    keys += ["macro_auroc", "macro_average_precision"]
    figures: dict[str, float | None] = dict.fromkeys(keys)
    if not n:
        return figures
    confidence_N, correct_N = probabilities_NK.max(1), probabilities_NK.argmax(1) == labels_N
    if classes > 3:
        figures["top3"] = top_k_accuracy(probabilities_NK, labels_N, 3)
    figures["brier"] = brier(probabilities_NK, labels_N)
    figures["calibration_error"] = bin_error(equal_width(confidence_N, correct_N))
    figures["calibration_error_equal_mass"] = bin_error(equal_mass(confidence_N, correct_N))
    confusion_KK = confusion_matrix(probabilities_NK.argmax(1), labels_N, classes)
    figures |= _means(class_scores(confusion_KK), confusion_KK.sum(0) + confusion_KK.sum(1) > 0)
    figures |= _areas(curves or one_versus_rest(probabilities_NK, truth_of(labels_N, classes)))
    return figures


def further_of_labels(
    probabilities_NK: Array, truth_NK: Bools, thresholds_K: Array
) -> dict[str, float | None]:
    """Figures of several labels a picture beside those of `several.measure`, None where undefined.

    `macro_precision`, `macro_recall` over labels shown or answered, `weighted_precision`, `weighted_recall`,
    `weighted_f1` by how often a label is there, and `macro_auroc` over the labels that some pictures have and some not.
    """
    keys = ("macro_precision", "macro_recall", "weighted_precision", "weighted_recall", "weighted_f1")
    figures: dict[str, float | None] = dict.fromkeys((*keys, "macro_auroc"))
    if len(truth_NK):
        scores = several.label_scores(probabilities_NK, truth_NK, thresholds_K)
        figures |= _means(scores, scores.support + scores.wrong > 0)
        figures["macro_auroc"] = _areas(one_versus_rest(probabilities_NK, truth_NK))["macro_auroc"]
    return figures


def uncalibrated(probabilities_NK: Array, labels_N: Array) -> dict[str, float | None]:
    """`loss_uncalibrated` and `calibration_error_uncalibrated`: with temperature 1."""
    if not len(labels_N):
        return {"loss_uncalibrated": None, "calibration_error_uncalibrated": None}
    correct_N = probabilities_NK.argmax(1) == labels_N
    return {
        "loss_uncalibrated": log_loss(probabilities_NK, labels_N),
        "calibration_error_uncalibrated": bin_error(equal_width(probabilities_NK.max(1), correct_N)),
    }


def by_class(answers: "Answers") -> dict[str, dict[str, Any]]:
    """Figures of each class: precision, recall, f1, support, auroc and average_precision, None where undefined; and
    threshold where a picture may have several labels."""
    scores: Any
    if answers.thresholds is None:
        scores, ranked_K = class_scores(answers.confusion), answers.areas.average_precision
    else:
        scores = several.label_scores(answers.probabilities_NK, answers.labels, np.array(answers.thresholds))
        ranked_K = scores.average_precision
    found: dict[str, dict[str, Any]] = {}
    for at, name in enumerate(answers.classes):
        one: dict[str, Any] = {"average_precision": finite(ranked_K[at])}
        if answers.thresholds is not None:
            one["threshold"] = answers.thresholds[at]
        one |= {key: float(getattr(scores, key)[at]) for key in ("precision", "recall", "f1")}
        found[name] = {**one, "support": int(scores.support[at]), "auroc": finite(answers.areas.auroc[at])}
    return found


def _means(scores: ClassScores | several.LabelScores, present_K: Bools) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    total = int(scores.support.sum())
    for name in ("precision", "recall", "f1"):
        each_K = getattr(scores, name)
        found[f"macro_{name}"] = float(each_K[present_K].mean()) if present_K.any() else None
        found[f"weighted_{name}"] = float((each_K * scores.support).sum() / total) if total else None
    del found["macro_f1"]  # it stands among the first figures
    return found


def _areas(curves: ByClass) -> dict[str, float | None]:
    def mean(values: Array) -> float | None:
        defined = values[np.isfinite(values)]
        return float(defined.mean()) if len(defined) else None

    return {"macro_auroc": mean(curves.auroc), "macro_average_precision": mean(curves.average_precision)}
