"""What a page shows of answers: the same sections serve an evaluation and the report of a training run.

Shape suffixes: N pictures, K classes, G points of a grid.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.evaluating.answers import Answers
from vistazo.classification.evaluating.calibration import BINS, Bins, equal_width
from vistazo.classification.evaluating.curves import (
    Curve,
    along,
    precision_recall_curve,
    risk_coverage,
    roc_curve,
)
from vistazo.classification.evaluating.slices import Slice, examine
from vistazo.classification.evaluating.telling import chance, threshold_word
from vistazo.classification.evaluating.unknowing import selective
from vistazo.classification.metrics import LEVEL
from vistazo.engine.reports import Block, Cell, Curves, Section, Table, Text, number, percent
from vistazo.language import tr

__all__ = [
    "answered_sentence",
    "certainty",
    "curves",
    "reliability",
    "shared",
    "slice_name",
    "slice_sentence",
    "sliced",
    "undefined",
]

Floats = npt.NDArray[np.float64]
GRID = np.linspace(0.0, 1.0, 101)
WHOLE = (0.0, 1.0)  # that axes of shares show, or a curve would look worse or better than it is
SHOWN = 3  # classes drawn beside their mean: those with the smallest area


def shared(answers: Answers, figures: Mapping[str, Any], said: Sequence[str]) -> list[Section]:
    """What the report of a training run shows of its answers too. said: what was settled on the validation part."""
    found = [sliced(examine(answers.right, answers.columns))]
    if not answers.several:
        found += [reliability(answers, figures), certainty(answers)]
        if said:
            found[1] = Section(found[1].title, [Text("\n\n".join(said)), *found[1].blocks])
    return [*found, curves(answers)]


# ---------------------------------------------------------------- calibration
def reliability(answers: Answers, figures: Mapping[str, Any]) -> Section:
    """How often an answer is right, by how sure it was: the diagram and its figures."""
    bins = equal_width(answers.confidence, answers.right)
    middle = (np.arange(BINS) + 0.5) / BINS
    series = {
        tr("right"): _gaps(bins.accuracy),
        tr("as it should be"): middle.tolist(),
    }
    if answers.plain_NK is not None:
        right_N = answers.plain_NK.argmax(1) == answers.labels
        before = equal_width(answers.plain_NK.max(1), right_N)
        series[tr("before calibration")] = _gaps(before.accuracy)
    text = tr(
        "Expected calibration error {error} in {bins} bins of equal width, {mass} in bins of equally many pictures; "
        "0 is perfect.",
        error=percent(figures["calibration_error"], 2),
        mass=percent(figures["calibration_error_equal_mass"], 2),
        bins=BINS,
    )
    if answers.plain_NK is not None:
        text += " " + tr(
            "Temperature {value}, fitted on the validation part; without it: {error}, and log loss {before} instead of "
            "{after}.",
            value=number(answers.temperature, 3),
            error=percent(figures["calibration_error_uncalibrated"], 2),
            before=number(figures["loss_uncalibrated"], 4),
            after=number(figures["loss"], 4),
        )
    diagram = Curves(
        middle.tolist(), series, tr("probability of the answer"), tr("share of right answers"), holds=WHOLE
    )
    return Section(tr("Are the probabilities true?"), [Text(text), diagram, _table_of_bins(bins)])


def _table_of_bins(bins: Bins) -> Table:
    rows: list[list[Cell]] = []
    for at in np.flatnonzero(bins.size).tolist():
        span = f"{percent(at / BINS, 0)} – {percent((at + 1) / BINS, 0)}"
        shares = (percent(float(one[at])) for one in (bins.confidence, bins.accuracy))
        rows.append([span, int(bins.size[at]), *shares])
    headings = [tr("probability"), tr("pictures"), tr("mean probability"), tr("right")]
    return Table(headings, rows, "lrrr")


def _gaps(values: Floats) -> list[float | None]:
    return [float(one) if np.isfinite(one) else None for one in values]


# ---------------------------------------------------------------- curves
def curves(answers: Answers) -> Section:
    """ROC, and precision against recall: the mean over classes, and the classes with the smallest areas."""
    defined = np.flatnonzero(np.isfinite(answers.areas.auroc))
    title = tr("One class against the rest")
    if not len(defined):
        return Section(title, [Text(_nothing_to_rank())])
    worst = defined[np.argsort(answers.areas.auroc[defined], kind="stable")][:SHOWN]
    blocks: list[Block] = []
    missing = undefined(answers)
    if missing:
        blocks.append(
            Text(
                tr(
                    "No curve is defined for {names}: all of these pictures are of that class, or none is.",
                    names=", ".join(missing[:20]) + (", …" if len(missing) > 20 else ""),
                )
            )
        )
    for make, name, x, y in (
        (roc_curve, "ROC", tr("share of the others that is taken too"), tr("share that is found")),
        (precision_recall_curve, "PR", tr("recall"), tr("precision")),
    ):
        mean = np.zeros(len(GRID))
        lines: dict[str, list[float | None]] = {}
        for at in defined.tolist():
            line = along(make(answers.probabilities_NK[:, at], answers.truth[:, at]), GRID)
            mean += line / len(defined)
            if at in worst:
                lines[answers.classes[at]] = line.tolist()
        series: dict[str, Sequence[float | None]] = {tr("mean of the classes"): mean.tolist(), **lines}
        blocks.append(Curves(GRID.tolist(), series, x, f"{name}: {y}", holds=WHOLE))
    return Section(title, [*blocks, _areas(answers)])


def undefined(answers: Answers) -> list[str]:
    """The classes without curves: all pictures are of them, or none is."""
    bare = np.flatnonzero(~np.isfinite(answers.areas.auroc)).tolist()
    return [answers.classes[at] for at in bare]


def _nothing_to_rank() -> str:
    return tr(
        "All pictures are of one class, so there is no ROC curve and no precision against recall: both ask how well a "
        "class is told from others."
    )


def _areas(answers: Answers) -> Table:
    rows: list[list[Cell]] = [
        [name, number(float(auroc), 4), number(float(ranked), 4)]
        for name, auroc, ranked in zip(
            answers.classes, answers.areas.auroc, answers.areas.average_precision, strict=True
        )
    ]
    first = tr("label") if answers.several else tr("class")
    return Table([first, tr("area under the ROC curve"), tr("average precision")], rows, "lrr")


# ---------------------------------------------------------------- answering less
def certainty(answers: Answers) -> Section:
    """How many answers would be wrong if only the surest were given; and what the model's own threshold does."""
    curve = risk_coverage(answers.confidence, answers.right)
    line = _risk(curve)
    drawn = Curves(
        GRID[1:].tolist(),
        {tr("wrong"): line},
        tr("share of pictures that is answered, the surest first"),
        tr("share of wrong answers among them"),
        holds=(0.0, 0.01),  # where no answer is wrong the line lies on the ground
    )
    blocks: list[Block] = []
    if answers.unknowing is not None:
        told = selective(answers.confidence, answers.right, answers.unknowing.threshold)
        blocks.append(Text(answered_sentence(told, answers.unknowing.threshold)))
    return Section(tr("If it may say that it does not know"), [*blocks, drawn])


def answered_sentence(told: Mapping[str, Any], threshold: float) -> str:
    """How many pictures are answered from a threshold on, and how many of those wrongly."""
    if not told["answered"]:
        return tr(
            "From probability {threshold} on it answers none of {n} pictures.",
            threshold=threshold_word(threshold),
            n=number(told["n"]),
        )
    return tr(
        "From probability {threshold} on it answers {answered} of {n} pictures ({coverage}); {error} of these "
        "answers are wrong ({level} interval {low} to {high}).",
        threshold=threshold_word(threshold),
        answered=number(told["answered"]),
        n=number(told["n"]),
        coverage=percent(told["coverage"]),
        error=percent(told["error"], 2),
        level=LEVEL,
        low=percent(told["error_low"], 2),
        high=percent(told["error_high"], 2),
    )


def _risk(curve: Curve) -> list[float | None]:
    """The risk at each share of the grid: of the first confidence that reaches so far."""
    at = np.searchsorted(curve.x, GRID[1:] - 1e-12).clip(max=len(curve.x) - 1)
    return [float(one) for one in curve.y[at]]


# ---------------------------------------------------------------- slices
def sliced(slices: Sequence[Slice]) -> Section:
    """Every slice, and which of them are findings."""
    title = tr("Slices that nobody labelled")
    if not slices:
        return Section(
            title, [Text(tr("There are too few pictures to cut into slices, or they do not differ."))]
        )
    found = [one for one in slices if one.finding]
    text = (
        "\n\n".join(slice_sentence(one) for one in found)
        if found
        else tr("No slice differs from the rest by more than chance would explain.")
    )
    about = tr(
        "Each slice is tested against all other pictures (Fisher's exact test); p counts all {n} slices together "
        "(Holm), and below 0.05 a slice is a finding.",
        n=len(slices),
    )
    rows: list[list[Cell]] = [
        [
            slice_name(one),
            one.n,
            percent(one.accuracy),
            f"{percent(one.share_low)} – {percent(one.share_high)}",
            percent(one.rest),
            chance(one.adjusted),
            tr("finding") if one.finding else "",
        ]
        for one in slices
    ]
    headings = [
        tr("slice"),
        tr("pictures"),
        tr("accuracy"),
        tr("{level} interval", level=LEVEL),
        tr("all others"),
        "p",
        tr("finding"),
    ]
    return Section(title, [Text(text), Table(headings, rows, "lrrrrrl"), Text(about)])


def slice_name(one: Slice) -> str:
    """What a slice is called."""
    kind = one.kind
    if one.low is None or one.high is None:
        return f"{tr(kind)} {one.name}"
    whole = one.kind == "pixels of the original"
    low, high = (number(int(end)) if whole else number(end, 1) for end in (one.low, one.high))
    return f"{tr(kind)} {low} – {high}"


def slice_sentence(one: Slice) -> str:
    """A finding in words."""
    return tr(
        "{slice}: {accuracy} of {n} pictures are right, {rest} of all others (p = {p}).",
        slice=slice_name(one),
        accuracy=percent(one.accuracy),
        n=number(one.n),
        rest=percent(one.rest),
        p=chance(one.adjusted),
    )
