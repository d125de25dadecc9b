"""The figures of several runs as one: pure functions of what each run answered.

Folds test every picture once, so their answers are pooled and treated as one test of all pictures. Repeats test some
pictures several times, or all of them every time, so their figures are averaged; an interval is that of the mean.
Where a picture may have several labels it counts as right where every one of them is, by its own run's thresholds.
Shape suffixes: N pictures of a run, K classes or labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification import metrics, several
from vistazo.engine.spread import spread

__all__ = ["STUDENT", "WILSON", "Tried", "averaged", "by_class", "confusion", "meant", "pooled", "summed"]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
WILSON, STUDENT = "wilson", "student"  # which interval a figure has


@dataclass(frozen=True, eq=False)
class Tried:
    """A run of several, and its answers to the part that was measured.

    told: its metrics.json. rows_N: of the pictures, in the Index of all. labels_N, probabilities_NK: as in `metrics`.
    thresholds: of each label where a picture may have several; labels_N is (N, K) bool then, as in `several`.
    """

    name: str
    seed: int
    told: dict[str, Any]
    rows_N: Integers
    labels_N: npt.NDArray[Any]
    probabilities_NK: Floats
    thresholds: tuple[float, ...] | None = None

    @property
    def each_threshold(self) -> Floats:
        """(N, K) the thresholds for each picture: runs have their own."""
        return np.broadcast_to(np.array(self.thresholds), self.probabilities_NK.shape)


def pooled(tries: Sequence[Tried], part: str) -> dict[str, Any]:
    """The figures of a part that runs share among them, each picture once, and how far the runs lie apart.

    `accuracy` is all right answers over all pictures, with Wilson's interval; `accuracy_deviation` is the standard
    deviation of the runs' own accuracies around `accuracy_mean`, `runs` their number.
    Of several labels, F1 comes from all counts together and average precision is the mean over runs, because
    probabilities of different networks make no one ranking (Forman, Scholz 2010, SIGKDD Explorations 12(1)).
    """
    probabilities, labels = _together(tries)
    apart = spread([one.told["metrics"][part]["accuracy"] for one in tries])
    single = [one.told["metrics"][part]["single_view_accuracy"] * len(one.labels_N) for one in tries]
    if tries[0].thresholds is None:
        figures = metrics.measure(probabilities, labels)
    else:
        figures = several.measure(probabilities, labels, _thresholds(tries))
        ranked = [one.told["metrics"][part].get("mean_average_precision") for one in tries]
        ranked = [one for one in ranked if one is not None]
        figures["mean_average_precision"] = float(np.mean(ranked)) if ranked else None
    return {
        **figures,
        "single_view_accuracy": sum(single) / len(labels),
        "runs": len(tries),
        "accuracy_mean": apart.mean,
        "accuracy_deviation": apart.deviation,
        "interval": WILSON,
    }


def averaged(tries: Sequence[Tried], part: str) -> dict[str, Any] | None:
    """The mean of each figure of a part over runs; None where one of them has no such part.

    `accuracy_low` to `accuracy_high` is the interval of the mean (see `engine.spread`), cut to [0, 1]; `n` the
    pictures of one run.
    """
    told = [one.told["metrics"].get(part) for one in tries]
    if not all(told):
        return None
    shown: list[dict[str, Any]] = [one for one in told if one]
    names = [name for name in shown[0] if all(isinstance(one.get(name), float) for one in shown)]
    found: dict[str, Any] = {name: spread([one[name] for one in shown]).mean for name in names}
    apart = spread([one["accuracy"] for one in shown])
    return {
        **found,
        **meant(shown),
        "runs": apart.n,
        "accuracy_mean": apart.mean,
        "accuracy_deviation": apart.deviation,
        "interval": STUDENT,
    }


def summed(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All right answers over all pictures, with Wilson's interval, of runs that share the pictures among them."""
    n = sum(one["n"] for one in figures)
    right = sum(round(one["accuracy"] * one["n"]) for one in figures)
    low, high = metrics.wilson_interval(right, n)
    return {"accuracy": right / n, "accuracy_low": low, "accuracy_high": high, "n": n}


def meant(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean accuracy of repeats with the interval of the mean, cut to [0, 1]; `n` the pictures of one run."""
    apart = spread([one["accuracy"] for one in figures])
    return {
        "accuracy": apart.mean,
        "accuracy_low": max(0.0, apart.low),
        "accuracy_high": min(1.0, apart.high),
        "n": round(float(np.mean([one["n"] for one in figures]))),
    }


def confusion(tries: Sequence[Tried], classes: int) -> Integers:
    """(K, K) counts of all answers of all runs: rows are the right class, columns the answer."""
    total: Integers = np.zeros((classes, classes), dtype=np.int64)
    for one in tries:
        if len(one.labels_N):
            total += metrics.confusion_matrix(one.probabilities_NK.argmax(1), one.labels_N, classes)
    return total


def by_class(tries: Sequence[Tried], classes: Sequence[str], *, once: bool) -> dict[str, dict[str, Any]]:
    """Figures of each class over all runs, None where a class was not tested.

    once: whether the runs share out the pictures. Then precision, recall and F1 come from all answers together, the
    interval of recall is Wilson's and `support` counts pictures; else they are means over runs with the interval
    of the mean, and `support` counts the pictures of one run. `recall_deviation`: over the runs that tested the class.
    `average_precision`: of labels, the mean over those runs.
    """
    together, each = _scores(tries, len(classes)), [_scores([one], len(classes)) for one in tries]
    found: dict[str, dict[str, Any]] = {}
    for at, name in enumerate(classes):
        tested = [one for one in each if one.support[at]]
        apart = spread([float(one.recall[at]) for one in tested]) if len(tested) > 1 else None
        support = int(together.support[at])
        figures: dict[str, Any] = dict.fromkeys(("precision", "recall", "recall_low", "recall_high", "f1"))
        if support and once:
            right = round(float(together.recall[at]) * support)
            low, high = metrics.wilson_interval(right, support)
            figures |= {"recall_low": low, "recall_high": high}
            figures |= {key: float(getattr(together, key)[at]) for key in ("precision", "recall", "f1")}
        elif tested:
            for key in ("precision", "recall", "f1"):
                figures[key] = float(np.mean([getattr(one, key)[at] for one in tested]))
            if apart is not None:
                figures |= {"recall_low": max(0.0, apart.low), "recall_high": min(1.0, apart.high)}
            support = round(support / len(tested))
        figures |= {"recall_deviation": None if apart is None else apart.deviation, "support": support}
        if isinstance(together, several.LabelScores):
            ranked = [one.average_precision[at] for one in tested if isinstance(one, several.LabelScores)]
            figures["average_precision"] = float(np.mean(ranked)) if ranked else None
        found[name] = figures
    return found


def _together(tries: Sequence[Tried]) -> tuple[Floats, npt.NDArray[Any]]:
    probabilities = np.concatenate([one.probabilities_NK for one in tries])
    return probabilities, np.concatenate([one.labels_N for one in tries])


def _thresholds(tries: Sequence[Tried]) -> Floats:
    return np.concatenate([one.each_threshold for one in tries])


def _scores(tries: Sequence[Tried], classes: int) -> metrics.ClassScores | several.LabelScores:
    if tries[0].thresholds is None:
        return metrics.class_scores(confusion(tries, classes))
    return several.label_scores(*_together(tries), _thresholds(tries))
