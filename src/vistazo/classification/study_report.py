"""What a study of several runs leaves for people and programs: its page, its tables, its metrics.json."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.classification import metrics, report, several_report
from vistazo.classification.pooling import STUDENT, Tried
from vistazo.engine import results
from vistazo.engine.progress import duration
from vistazo.engine.reports import (
    Block,
    Cell,
    Facts,
    Headline,
    Matrix,
    Report,
    Section,
    Table,
    Text,
    named,
    number,
    percent,
    to_html,
)
from vistazo.language import tr
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import Index

__all__ = ["Study", "as_csv", "as_latex", "build", "told"]

FIGURES = ("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "loss")
OF_LABELS = (
    "micro_f1",
    "mean_average_precision",
    "hamming_loss",
)  # besides, where a picture may have several
OF_CLASS = ("precision", "recall", "recall_low", "recall_high", "recall_deviation", "f1")
OF_LABEL = ("average_precision",)


@dataclass(frozen=True, eq=False)
class Study:
    """All that the tables and the page are made of.

    kind: 'folds' or 'repeats'. model: the name of the run whose model is the study's; final: its metrics.json.
    part: the part whose figures lead. figures, classes, confusion: as `pooling` gives them; there is no confusion of
    several labels a picture. index, pixels: of all pictures. official: whether the test part is the source's own.
    comparison, beside: a section for what was trained beside each run, and its figures as one.
    """

    name: str
    kind: str
    model: str
    part: str
    figures: dict[str, Any]
    classes: dict[str, dict[str, Any]]
    confusion: npt.NDArray[np.int64] | None
    tries: Sequence[Tried]
    final: dict[str, Any]
    index: Index
    pixels: PictureArray
    official: bool
    sentences: Sequence[str]
    settings: dict[str, Any]
    environment: dict[str, Any]
    seconds: float
    comparison: Section | None = None
    beside: dict[str, Any] | None = None

    @property
    def several(self) -> bool:
        """Whether a picture may have several labels."""
        return self.index.labels is not None


# ---------------------------------------------------------------- for programs
def told(study: Study) -> dict[str, Any]:
    """metrics.json: what every run's holds (of the run whose model was kept), the study's figures, and each run's."""
    return {
        **{name: value for name, value in study.final.items() if name not in ("metrics", "beside")},
        "metrics": study.figures,
        "study": {"kind": study.kind, "runs": len(study.tries), "part": study.part, "model": study.model},
        "classes": study.classes,
        **({} if study.confusion is None else {"confusion": study.confusion.tolist()}),
        **({"beside": study.beside} if study.beside else {}),
        "runs": [
            {
                "name": one.name,
                "seed": one.seed,
                **{name: one.told[name] for name in ("epochs", "counts", "metrics")},
            }
            for one in study.tries
        ],
    }


def as_csv(study: Study) -> str:
    """results.csv: a line for each run, for mean and deviation over runs, for the study's figure, for each class."""
    names = (*FIGURES, *OF_LABELS) if study.several else FIGURES
    of_class = (*OF_CLASS, *OF_LABEL) if study.several else OF_CLASS
    headings = ["kind", "name", "seed", "part", "n", *names, *of_class]
    empty = [None] * len(of_class)
    rows: list[list[Cell]] = []
    for one in study.tries:
        figures = one.told["metrics"][study.part] or {}
        shown = [figures.get(name) for name in names]
        rows.append(["run", one.name, one.seed, study.part, figures.get("n"), *shown, *empty])
    whole = study.figures[study.part]
    if whole:
        over = {"mean": whole["accuracy_mean"], "deviation": whole["accuracy_deviation"]}
        rows += [
            [name, None, None, study.part, None, value, *[None] * (len(names) - 1), *empty]
            for name, value in over.items()
        ]
        kind = "mean with interval" if whole["interval"] == STUDENT else "pooled"
        rows.append([kind, None, None, study.part, whole["n"], *(whole.get(name) for name in names), *empty])
    for name, figures in study.classes.items():
        none = [None] * len(names)
        shown = [figures[one] for one in of_class]
        rows.append(["class", name, None, study.part, figures["support"], *none, *shown])
    return results.to_csv(headings, rows)


def as_latex(study: Study) -> str:
    """results.tex: the runs with their mean and deviation, and the classes, each as a tabular."""
    runs = [[str(cell) for cell in row] for row in _run_rows(study)]
    whole = study.figures[study.part]
    groups = [runs]
    if whole:
        groups.append([_whole_row(study), _deviation_row(study)])
    first = results.latex_table(_run_headings(study), groups, _sides(_run_headings(study)))
    second = results.latex_table(_class_headings(study), [_class_rows(study)], _sides(_class_headings(study)))
    note = tr("Made by Vistazo: {name}.", name=study.name) + "\n" + "\n".join(_explained(study))
    return results.latex_document(note, [first, second])


# ---------------------------------------------------------------- rows that page and LaTeX share
def _sides(headings: Sequence[str]) -> str:
    return "l" + "r" * (len(headings) - 1)


def _run_headings(study: Study) -> list[str]:
    return [
        tr("run"),
        tr("seed"),
        tr("learnt from"),
        tr("measured on"),
        tr("all right") if study.several else tr("accuracy"),
        tr("{level} interval", level=metrics.LEVEL),
        tr("macro F1"),
        *([tr("micro F1"), tr("mean AP")] if study.several else []),
    ]


def _run_rows(study: Study) -> list[list[str]]:
    rows = []
    for one in study.tries:
        figures = one.told["metrics"][study.part] or {}
        learnt = number(one.told["counts"]["train"])
        rows.append([one.name, str(one.seed), learnt, number(figures.get("n")), *_accuracy(study, figures)])
    return rows


def _whole_row(study: Study) -> list[str]:
    whole = study.figures[study.part]
    name = tr("mean") if whole["interval"] == STUDENT else tr("all together")
    return [name, "", "", number(whole["n"]), *_accuracy(study, whole)]


def _deviation_row(study: Study) -> list[str]:
    points = number(100 * study.figures[study.part]["accuracy_deviation"], 2)
    row = [tr("standard deviation"), "", "", "", tr("{points} points", points=points)]
    return row + [""] * (len(_run_headings(study)) - len(row))


def _accuracy(study: Study, figures: dict[str, Any]) -> list[str]:
    low, high = figures.get("accuracy_low"), figures.get("accuracy_high")
    interval = f"{percent(low, 2)} – {percent(high, 2)}" if low is not None else "–"
    more = ("macro_f1", "micro_f1", "mean_average_precision") if study.several else ("macro_f1",)
    return [percent(figures.get("accuracy"), 2), interval, *(number(figures.get(one), 4) for one in more)]


def _class_headings(study: Study) -> list[str]:
    pooled = study.kind == "folds"
    return [
        tr("label") if study.several else tr("class"),
        *(["AP"] if study.several else []),
        tr("precision"),
        tr("recall"),
        tr("{level} interval of recall", level=metrics.LEVEL),
        tr("deviation of recall"),
        "F1",
        tr("pictures") if pooled else tr("pictures a run"),
    ]


def _class_rows(study: Study) -> list[list[str]]:
    rows = []
    for name, one in study.classes.items():
        low, high = one["recall_low"], one["recall_high"]
        interval = f"{percent(low)} – {percent(high)}" if low is not None else "–"
        ranked = ("average_precision",) if study.several else ()
        shown = [number(one[key]) for key in (*ranked, "precision", "recall")]
        apart = number(one["recall_deviation"])
        rows.append([name, *shown, interval, apart, number(one["f1"]), number(one["support"])])
    return rows


def _explained(study: Study) -> list[str]:
    """What the figure is, what its interval covers, and which model was kept."""
    whole = study.figures[study.part]
    if not whole:
        return [tr("There were too few pictures to set any aside, so nothing was measured. Add pictures.")]
    count = len(study.tries)
    counted = [_what_counts()] if study.several else []
    if study.kind == "folds":
        lines = [
            tr(
                "Each of the {n} pictures was tested once, by a network that had not learnt from it, its group or "
                "its copies. The interval is Wilson's (1927) for all right answers of {n}: it covers the chance "
                "in which pictures these are.",
                n=number(whole["n"]),
            ),
            tr(
                "model.vistazo is the run 'all', which learnt from the pictures of every fold. The figure stated "
                "for it is that of the folds, whose networks learnt from fewer pictures."
            ),
        ]
        if count > 2:
            lines[0] += " " + tr(
                "The {runs} networks share pictures that they learnt from, so it may be somewhat too narrow "
                "(Bengio and Grandvalet 2004).",
                runs=count,
            )
        if study.official:
            lines.append(
                tr("The source's own test part was in no fold; the run 'all' was measured on it, once.")
            )
        return lines + counted
    if study.official:
        first = tr(
            "{runs} runs, each with a seed of its own, measured on the same test part, the source's own. The "
            "interval is mean ± t · s / √{runs} (Student 1908): it covers other seeds, not other pictures. "
            "For those see the interval of each run.",
            runs=count,
        )
    else:
        first = tr(
            "{runs} runs, each with a seed of its own, which draws the parts anew too: the deviation is that of "
            "the whole procedure on these pictures. The interval is mean ± t · s / √{runs} (Student 1908): it "
            "covers other seeds and draws, not other pictures. The {n} pictures that were tested were in some "
            "runs to learn from.",
            runs=count,
            n=number(whole["n"]),
        )
    return [
        first,
        tr(
            "model.vistazo is {name}, the one with the first seed. The best one was not chosen, because the test "
            "part would have chosen it.",
            name=study.model,
        ),
        *counted,
    ]


def _what_counts() -> str:
    return tr(
        "A picture counts as right where every label of it is. The mean AP is that of the runs: probabilities of "
        "different networks make no one ranking (Forman and Scholz 2010)."
    )


# ---------------------------------------------------------------- the page
def build(study: Study) -> str:
    """The page, as one HTML text."""
    sections = [
        Section("", _headline(study)),
        *([study.comparison] if study.comparison else []),
        Section(tr("Run by run"), _runs(study)),
        Section(tr("Label by label") if study.several else tr("Class by class"), [_classes(study)]),
    ]
    if study.confusion is not None:
        matrix = Matrix(list(study.classes), study.confusion.tolist(), tr("class"), tr("answer"))
        sections.append(Section(tr("Confusion matrix"), [matrix]))
    if study.kind == "folds":
        sections.append(Section(tr("Most confident mistakes"), [_mistakes(study)]))
    sections += [
        Section(tr("The pictures and their parts"), _pictures(study)),
        Section(tr("How it was trained"), [_settings(study)]),
        Section(
            tr("Machine and time"),
            [Facts([(tr("time"), duration(study.seconds)), *named(study.environment)])],
        ),
    ]
    title = tr("Image classification: {name}", name=study.name)
    count = len(study.tries)
    what = tr("{n} folds", n=count) if study.kind == "folds" else tr("{n} repeats", n=count)
    names = len(study.classes)
    shown = tr("{n} labels", n=names) if study.several else tr("{n} classes", n=names)
    return to_html(Report(title, sections, f"{what}, {shown}"))


def _headline(study: Study) -> list[Block]:
    whole, lines = study.figures[study.part], _explained(study)
    if not whole:
        return [Text(lines[0])]
    detail = tr(
        "{level} interval {low} to {high}, n = {n}; over {runs} runs: mean {mean}, standard deviation {points} points.",
        level=metrics.LEVEL,
        low=percent(whole["accuracy_low"], 2),
        high=percent(whole["accuracy_high"], 2),
        n=whole["n"],
        runs=whole["runs"],
        mean=percent(whole["accuracy_mean"], 2),
        points=number(100 * whole["accuracy_deviation"], 2),
    )
    blocks: list[Block] = [Headline(percent(whole["accuracy"], 2), _label(study), detail)]
    if official := study.figures.get("official"):
        blocks.append(
            Headline(
                percent(official["accuracy"], 2),
                tr("Pictures of the source's own test part with every label right, by the model")
                if study.several
                else tr("Accuracy of the model on the source's own test part"),
                tr(
                    "{level} interval {low} to {high}, n = {n}",
                    level=metrics.LEVEL,
                    low=percent(official["accuracy_low"], 2),
                    high=percent(official["accuracy_high"], 2),
                    n=official["n"],
                ),
            )
        )
    return [*blocks, Text("\n\n".join(lines))]


def _label(study: Study) -> str:
    if study.several:
        if study.kind == "folds":
            return tr("Pictures of all folds with every label right")
        if study.part == "test":
            return tr("Pictures of the test part with every label right, mean")
        return tr("Pictures of the validation part with every label right, mean")
    if study.kind == "folds":
        return tr("Accuracy over all folds")
    if study.part == "test":
        return tr("Mean accuracy on the test part")
    return tr("Mean accuracy on the validation part")


def _runs(study: Study) -> list[Block]:
    rows = _run_rows(study)
    if study.figures[study.part]:
        rows += [_whole_row(study), _deviation_row(study)]
    where = tr(
        "Each run has a folder and a report of its own: {names}.",
        names=", ".join(f"{one.name}/report.html" for one in study.tries[:10]),
    )
    headings = _run_headings(study)
    return [Table(headings, rows, _sides(headings)), Text(where)]


def _classes(study: Study) -> Block:
    headings = _class_headings(study)
    return Table(headings, _class_rows(study), _sides(headings))


def _mistakes(study: Study) -> Block:
    """Of all folds together: a picture that no fold's network believes may have a wrong label."""
    rows = np.concatenate([one.rows_N for one in study.tries])
    labels = np.concatenate([one.labels_N for one in study.tries])
    probabilities = np.concatenate([one.probabilities_NK for one in study.tries])
    pixels = study.pixels.take(rows)
    if study.several:
        thresholds = np.concatenate([one.each_threshold for one in study.tries])
        return several_report.mistakes(study.index, rows, labels, pixels, probabilities, thresholds)
    return report.mistakes(study.index, rows, labels, pixels, probabilities)


def _pictures(study: Study) -> list[Block]:
    blocks: list[Block] = [Text("\n\n".join(study.sentences))]
    broken = [[one["file"], one["reason"]] for one in study.final["broken"]]
    return blocks + ([Table([tr("left out"), tr("reason")], broken)] if broken else [])


def _settings(study: Study) -> Block:
    pairs: list[tuple[str, Cell]] = [
        (tr("parameters"), number(study.final["parameters"]["total"])),
        (tr("epochs"), number(study.final["epochs"])),
        (tr("settings"), ", ".join(f"{name} {value}" for name, value in study.settings.items())),
    ]
    return Facts(pairs)
