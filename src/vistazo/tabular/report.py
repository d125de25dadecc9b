"""What a person reads about a run: the honest figure first, then what it goes by, then how it came about."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.engine import history as histories
from vistazo.engine.figures import LEVEL
from vistazo.engine.objectives import LOG_LOSSES, spelled
from vistazo.engine.progress import duration
from vistazo.engine.reports import (
    Block,
    Cell,
    Curves,
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
from vistazo.language import mark, tr
from vistazo.tabular import effects, metrics
from vistazo.tabular.data import Rows
from vistazo.tabular.effects import figure
from vistazo.tabular.explaining import Importance
from vistazo.tabular.inputs import Encoded
from vistazo.tabular.measuring import Measured
from vistazo.tabular.predictor import COVERED, Predictor
from vistazo.tabular.telling import plain_number

__all__ = ["Told", "build"]

_ELSEWHERE = frozenset(["model", "arguments", "loss_arguments"])  # told in words of their own
COLUMNS = 30  # rows of the table of importance
# Names that are shown as words: of environment.json, of what was decided, of an epoch's figures.
_NAMES = (
    *(mark("system"), mark("processor"), mark("cores"), mark("device"), mark("layout"), mark("threads")),
    *(mark("batch"), mark("schedule"), mark("passes"), mark("rate"), mark("decay"), mark("keep")),
    *(mark("members"), mark("numbers"), mark("codes"), mark("outputs"), mark("hidden"), mark("dropout")),
    *(mark("objective"), mark("epochs"), mark("macro f1"), mark("mae"), mark("rmse"), mark("accuracy")),
    *(mark("number"), mark("date"), mark("category"), mark("empty")),
    *(mark("constant"), mark("identifier"), mark("suspect")),
)

_BESIDE = {
    "most_common": mark("the most common class"),
    "linear": mark("a linear model"),
    "mean": mark("the mean"),
    "median": mark("the median"),
}


@dataclass(frozen=True)
class Told:
    """All that a report is made of. encoded: every row of `rows` as the network takes it."""

    name: str
    rows: Rows
    encoded: Encoded
    model: Predictor
    measured: dict[str, Measured | None]
    importance: dict[str, Importance]
    history: list[histories.Epoch]
    kept_epoch: int
    reason: str
    settings: dict[str, Any]
    decided: dict[str, Any]
    parameters: dict[str, int]
    environment: dict[str, Any]
    seconds: float
    seed: int

    @property
    def part(self) -> str:
        """The part whose figures lead."""
        return "test" if self.measured["test"] else "validation"


def build(told: Told) -> str:
    """The page, as one HTML text."""
    shown = told.measured[told.part]
    sections = [Section("", _headline(told, shown)), Section(tr("Learning curves"), _curves(told))]
    if shown is not None:
        by_class = (
            [_classes(told, shown), _confusion(told, shown)] if told.rows.classes else [_errors(told, shown)]
        )
        sections += [
            Section(tr("Class by class") if told.rows.classes else tr("Errors"), by_class),
            Section(
                tr("What the answers go by"),
                [
                    *_importance(told),
                    *effects.dependence(
                        told.rows, told.encoded, told.model, list(told.importance), told.seed
                    ),
                ],
            ),
            Section(
                tr("The worst mistakes, explained"), effects.mistakes(told.rows, told.model, shown, told.seed)
            ),
        ]
    sections += [
        Section(tr("The rows and their parts"), _parts(told)),
        Section(tr("How it was trained"), [_training(told)]),
        Section(tr("Machine and time"), [_machine(told)]),
    ]
    return to_html(Report(tr("Table: {name}", name=told.name), sections, told.rows.target_name))


# ---------------------------------------------------------------- the figures
def _headline(told: Told, shown: Measured | None) -> list[Block]:
    warnings: list[Block] = [Text(sentence) for sentence in told.rows.warnings]
    if shown is None:
        return [
            *warnings,
            Text(tr("There were too few rows to set any aside, so nothing was measured. Add rows.")),
        ]
    figures, beside = shown.figures, shown.figures["baselines"]
    if told.rows.classes:
        where = (
            tr("Accuracy on the test part") if told.part == "test" else tr("Accuracy on the validation part")
        )
        value = percent(figures["accuracy"], 2)
        line = tr(
            "{level} interval {low} to {high}, n = {n}; always answering the most common class would give {most}, "
            "a linear model {linear}.",
            level=LEVEL,
            low=percent(figures["accuracy_low"], 2),
            high=percent(figures["accuracy_high"], 2),
            n=figures["n"],
            most=percent(beside["most_common"]["accuracy"]),
            linear=percent(beside["linear"]["accuracy"]),
        )
    else:
        where = (
            tr("Mean absolute error on the test part")
            if told.part == "test"
            else tr("Mean absolute error on the validation part")
        )
        value = plain_number(figures["mae"])
        line = tr(
            "n = {n}; always answering the median would give {median}, a linear model {linear}. R² is {r2}.",
            n=figures["n"],
            median=plain_number(beside["median"]["mae"]),
            linear=plain_number(beside["linear"]["mae"]),
            r2=number(figures["r2"]),
        )
    last = (
        tr("Rows of this part were not trained on.")
        if told.part == "test" or told.decided["keep"] == "last"
        else tr(
            "Validation chose the epoch, so this figure leans to the bright side; there was no test part."
        )
    )
    return [Headline(value, where, f"{line}\n{last}"), *warnings, _figures(told)]


def _figures(told: Told) -> Table:
    if told.rows.classes:
        keys: tuple[str, ...] = ("accuracy", "log_loss", "rps")
        columns: tuple[str, ...] = ("macro_f1", "brier", "calibration_error", "auc")
        titles = [
            tr("accuracy"),
            tr("log loss"),
            tr("RPS"),
            tr("macro F1"),
            tr("Brier"),
            tr("calibration error"),
            "AUC",
        ]
        if len(told.rows.classes) > 2:
            columns, titles = columns[:-1], titles[:-1]
    else:
        keys, columns = ("mae", "rmse", "r2"), ("coverage",)
        titles = [
            tr("mean absolute error"),
            tr("root mean square"),
            "R²",
            tr("in the {share} interval", share=percent(COVERED, 0)),
        ]
    rows: list[list[Cell]] = []
    for part, one in told.measured.items():
        if one is None:
            continue
        own: list[Cell] = [figure(one.figures.get(key)) for key in (*keys, *columns)]
        rows.append([tr(part), tr("this model"), one.figures["n"], *own])
        for name, beside in one.figures["baselines"].items():
            rest: list[Cell] = [None] * len(columns)
            rows.append(
                [tr(part), tr(_BESIDE[name]), one.figures["n"], *(figure(beside[key]) for key in keys), *rest]
            )
    headings = [tr("part"), tr("answers of"), tr("rows"), *titles]
    return Table(headings, rows, "ll" + "r" * (len(headings) - 2))


def _curves(told: Told) -> list[Block]:
    found: list[Block] = []
    names = (
        (("loss", tr("loss")), ("accuracy", tr("accuracy"))) if told.rows.classes else (("mae", tr("mae")),)
    )
    for metric, name in names:
        apart = metric == "loss" and told.decided["objective"] not in LOG_LOSSES
        for lines in histories.axes(told.history, metric, apart=apart):
            x = sorted({at for line in lines.values() for at, _ in line})
            series = {tr(part): [dict(line).get(at) for at in x] for part, line in lines.items()}
            label = name if not apart else _loss(told) if "train" in lines else tr("log loss")
            found.append(Curves(x, series, tr("epoch"), label))
    return found


def _classes(told: Told, shown: Measured) -> Block:
    scores = metrics.class_scores(_counts(told, shown))
    rows: list[list[Cell]] = [
        [
            name,
            number(float(scores.precision[at])),
            number(float(scores.recall[at])),
            number(float(scores.f1[at])),
            int(scores.support[at]),
        ]
        for at, name in enumerate(told.rows.classes)
    ]
    return Table([tr("class"), tr("precision"), tr("recall"), "F1", tr("rows")], rows, "lrrrr")


def _confusion(told: Told, shown: Measured) -> Block:
    return Matrix(told.rows.classes, _counts(told, shown).tolist(), tr("class"), tr("answer"))


def _counts(told: Told, shown: Measured) -> NDArray[np.int64]:
    truth = told.rows.target[shown.rows]
    return metrics.confusion_matrix(shown.answers.argmax(1), truth, len(told.rows.classes))


def _errors(told: Told, shown: Measured) -> Block:
    wrong = np.abs(shown.answers[:, 0] - told.rows.target[shown.rows])
    rows: list[list[Cell]] = [
        [percent(share, 0), plain_number(float(np.quantile(wrong, share)))]
        for share in (0.5, 0.8, 0.9, 0.95, 1.0)
    ]
    return Table([tr("share of rows"), tr("error at most")], rows, "rr")


# ---------------------------------------------------------------- why
def _importance(told: Told) -> list[Block]:
    unit = tr("rise of the log loss") if told.rows.classes else tr("rise of the mean absolute error")
    rows: list[list[Cell]] = [
        [name, figure(one.mean), f"± {figure(one.deviation)}"]
        for name, one in list(told.importance.items())[:COLUMNS]
    ]
    explained = Text(
        tr(
            "How much worse the answers become when a column's values change places among the rows. Columns that tell "
            "the same thing share their importance; it is what this model goes by, not what causes the outcome."
        )
    )
    return [explained, Table([tr("column"), unit, ""], rows, "lrr")]


# ---------------------------------------------------------------- how it came about
def _parts(told: Told) -> list[Block]:
    rows = told.rows
    counts = {part: n for part, n in rows.counts().items() if n}
    blocks: list[Block] = [Text("\n\n".join(rows.sentences))]
    if rows.classes:
        lines: list[list[Cell]] = [
            [name, *(int(((rows.target == at) & (rows.parts == part)).sum()) for part in counts)]
            for at, name in enumerate(rows.classes)
        ]
        blocks.append(Table([tr("class"), *(tr(part) for part in counts)], lines, "l" + "r" * len(counts)))
    else:
        blocks.append(Facts([(tr(part), n) for part, n in counts.items()]))
    blocks.append(
        Table(
            [tr("column"), tr("read as")],
            [[one.name, one.reading or tr(one.kind)] for one in rows.table.columns],
        )
    )
    if rows.findings:
        blocks.append(
            Table(
                [tr("column"), tr("finding"), tr("detail"), tr("what to do")],
                [[one.column, tr(one.kind), one.detail, one.suggestion] for one in rows.findings],
            )
        )
    if rows.aside:
        blocks.append(
            Table([tr("left out: row"), tr("reason")], [[str(row), why] for row, why in rows.aside[:200]])
        )
    return blocks


def _training(told: Told) -> Block:
    parameters = tr(
        "{total} ({trainable} trainable, {statistics} running statistics, {frozen} frozen)",
        **{name: number(count, 0) for name, count in told.parameters.items()},
    )
    shown = {**told.decided, "objective": _loss(told)}
    plain = {name: value for name, value in shown.items() if name not in _ELSEWHERE}
    return Facts(
        [
            (tr("network"), f"{told.decided['model']} {_plain(told.decided['arguments'])}"),
            (tr("parameters"), parameters),
            (tr("recipe"), _plain(plain)),
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
    )


def _machine(told: Told) -> Block:
    return Facts([(tr("time"), duration(told.seconds)), *named(told.environment)])


def _loss(told: Told) -> str:
    return spelled(told.decided["objective"], told.decided.get("loss_arguments", {}))


def _plain(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{tr(name)} {number(value, 4) if isinstance(value, float) else value}"
        for name, value in values.items()
    )
