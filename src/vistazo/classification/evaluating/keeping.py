"""What an evaluation leaves in a folder: evaluation.html, metrics.json, answers.parquet, each whole or not at all.

Shape suffixes: N pictures, K classes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.classification.evaluating import against, confusion, page, sections, telling
from vistazo.classification.evaluating.answers import Answers
from vistazo.classification.evaluating.reading import Unlabelled
from vistazo.classification.evaluating.slices import Slice
from vistazo.classification.metrics import LEVEL
from vistazo.classification.why import Why
from vistazo.engine.reports import (
    Block,
    Cell,
    Facts,
    Headline,
    Picture,
    Pictures,
    Report,
    Section,
    Table,
    number,
    percent,
    to_html,
)
from vistazo.errors import ConfigError, DiskError
from vistazo.language import tr
from vistazo.pictures import drawing

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["Kept", "folder_for", "write"]

PAGE, FIGURES, ANSWERS = "evaluation.html", "metrics.json", "answers.parquet"
_AT_ONCE = 50_000  # rows of a row group
_UNREAD = 100  # of the unreadable pictures are named on the page


@dataclass(frozen=True, eq=False)
class Kept:
    """An evaluation with labels. slices: all that were examined. why: what the network was asked."""

    model: "Classifier"
    answers: Answers
    slices: Sequence[Slice]
    why: Why


def folder_for(path: Path) -> Path:
    """The folder to write into, made before anything long begins.

    Raises ConfigError for a file or the folder of a run, DiskError.
    """
    if path.is_file():
        raise ConfigError(tr("--out {path} is a file; name a folder.", path=path))
    if (path / "config.json").exists():
        raise ConfigError(
            tr(
                "--out {path} is the folder of a run, whose metrics.json must stay; name another folder.",
                path=path,
            )
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error
    return path


def write(
    folder: Path,
    told: Mapping[str, Any],
    found: Kept | Unlabelled,
    model: "Classifier | None" = None,
) -> dict[str, str]:
    """Write the three files and give their paths. model: of an evaluation without labels. Raises DiskError."""
    if isinstance(found, Kept):
        model, html = found.model, _page(found, told)
        table = _table(model, found.answers.where, found.answers.probabilities_NK, found.answers)
    else:
        assert model is not None
        html = _page_without_truth(model, found, told)
        table = _table(model, found.where, found.probabilities_NK, None)
    contents = {
        PAGE: html.encode(),
        FIGURES: (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode(),
        ANSWERS: table,
    }
    for name, content in contents.items():
        try:
            platform.replace_file(folder / name, [content])
        except OSError as error:
            raise DiskError(disk_sentence(folder / name, error)) from error
    return {
        "page": str(folder / PAGE),
        "metrics": str(folder / FIGURES),
        "answers": str(folder / ANSWERS),
    }


def _table(
    model: "Classifier", where: Sequence[str], probabilities_NK: Any, answers: Answers | None
) -> bytes:
    """Parquet: file, label, answer, probability, known (where the model may not know), p:CLASS of each class."""
    import pyarrow as pa
    from pyarrow import parquet

    bare = answers or Answers(
        classes=model.classes,
        where=tuple(where),
        labels=np.zeros(len(where), dtype=np.int64),
        probabilities_NK=probabilities_NK,
        pixels=None,  # type: ignore[arg-type]  # only what was answered is asked for
        thresholds=model.thresholds,
    )
    rows = range(len(where))
    columns: dict[str, Any] = {"file": pa.array(where, pa.string())}
    if answers is not None:
        columns["label"] = pa.array([answers.named(row) for row in rows], pa.string())
    columns["answer"] = pa.array([bare.answered(row) for row in rows], pa.string())
    columns["probability"] = pa.array(bare.confidence)
    if model.unknowing is not None:
        columns["known"] = pa.array(bare.confidence >= model.unknowing.threshold)
    for at, name in enumerate(model.classes):
        columns[f"p:{name}"] = pa.array(np.ascontiguousarray(probabilities_NK[:, at], dtype=np.float32))
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns), sink, compression="zstd", row_group_size=_AT_ONCE)
    data: bytes = sink.getvalue().to_pybytes()
    return data


# ---------------------------------------------------------------- the page
def _page(found: Kept, told: Mapping[str, Any]) -> str:
    answers, figures = found.answers, told["metrics"]
    detail = [
        tr(
            "{level} interval {low} to {high}, n = {n}",
            level=LEVEL,
            low=percent(figures["accuracy_low"], 2),
            high=percent(figures["accuracy_high"], 2),
            n=number(figures["n"]),
        ),
        *telling.left_out(told),
        *told["notes"],
    ]
    label = tr("Pictures with every label right") if answers.several else tr("Accuracy")
    blocks: list[Block] = [
        Headline(percent(figures["accuracy"], 2), label, "\n".join(detail)),
        Facts(sections.figures(told)),
    ]
    parts = [Section("", blocks)]
    if "against" in told:
        parts.append(against.section(told["against"], answers))
    if not answers.several:
        parts.append(Section(tr("Confusion matrix"), confusion.blocks(answers)))
    parts.append(sections.classes(answers, told["classes"]))
    parts.append(sections.mistakes(answers))
    parts.append(page.sliced(found.slices))
    if not answers.several:
        parts += [page.reliability(answers, figures), page.certainty(answers)]
    parts += [page.curves(answers), *found.why.sections(), *_unread(told)]
    return to_html(Report(_title(found.model), parts, _subtitle(answers.where)))


def _page_without_truth(model: "Classifier", found: Unlabelled, told: Mapping[str, Any]) -> str:
    rows: list[list[Cell]] = [
        [name, count, percent(count / told["n"])] for name, count in told["answers"].items()
    ]
    pictures = [
        Picture(
            drawing.thumbnail(pixels),
            [f"{one['answer']} {percent(one['probability'])}", one["file"]],
        )
        for (_, pixels), one in zip(found.least_sure, told["least_sure"], strict=True)
    ]
    spread: list[tuple[str, Cell]] = [
        (tr("{share} of the answers are surer than", share=f"{100 - int(name[:-1])} %"), percent(value))
        for name, value in told["confidence"].items()
    ]
    parts = [
        Section(
            "",
            [
                Headline(
                    number(told["n"]),
                    tr("pictures answered; nothing was measured"),
                    "\n".join([telling.nothing_measured(), *telling.left_out(told), *told["notes"]]),
                )
            ],
        ),
        Section(
            tr("What was answered"),
            [Table([tr("answer"), tr("pictures"), tr("share")], rows, "lrr"), Facts(spread)],
        ),
        Section(tr("The least sure answers"), [Pictures(pictures)]),
        *_unread(told),
    ]
    return to_html(Report(_title(model), parts, _subtitle(found.where)))


def _unread(told: Mapping[str, Any]) -> list[Section]:
    """The pictures that are in no figure because they could not be read; all of them stand in metrics.json."""
    rows: list[list[Cell]] = [[one["file"], one["reason"]] for one in told["unreadable"]]
    if not rows:
        return []
    title = tr("Pictures that could not be read: {n}", n=number(len(rows)))
    return [Section(title, [Table([tr("left out"), tr("reason")], rows[:_UNREAD])])]


def _title(model: "Classifier") -> str:
    if model.path is None:
        return tr("Evaluation of a model")
    inside = model.path.name == "model.vistazo"
    return tr("Evaluation of {name}", name=model.path.absolute().parent.name if inside else model.path.stem)


def _subtitle(where: Sequence[str]) -> str:
    return tr("{n} pictures", n=number(len(where)))
