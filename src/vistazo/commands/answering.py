"""The verbs that ask a trained model: evaluate, predict."""

from pathlib import Path
from typing import Any

import click

from vistazo.commands.options import (
    Verb,
    every,
    exported_only,
    fetched,
    flag_of,
    nothing_done,
    option,
    suited,
    take_common,
    whole,
)
from vistazo.errors import UsageError
from vistazo.language import mark, tr

__all__ = ["VERBS"]

# What evaluating does with a .vistazo file of pictures alone.
_WHOLE = ("out", "against", "dont_know", "save_as")


def _evaluate(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = take_common(values)
    model, source = tasks.load(values.pop("model")), values.pop("source")
    source = fetched(source, common["quiet"])
    if model.task == "classification" and exported_only(model):
        for name in _WHOLE:
            if values[name] is not None:
                raise UsageError(
                    tr(
                        "{path} was exported to answer, and does not take {option}: give it to the .vistazo file that "
                        "it came from.",
                        path=model.path,
                        option=flag_of(name),
                    )
                )
    told: dict[str, Any] = model.evaluate(source, **suited(model.evaluate, values))
    return {"task": model.task, **told}


def _predict(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks
    from vistazo.engine import answers

    common, out, files = take_common(values), values.pop("out"), values.pop("files")
    model = tasks.load(values.pop("model"))
    if model.task != "classification":  # which opens addresses itself, and answers by them
        files = [fetched(file, common["quiet"]) for file in files]
    stream = model.predict(files, **suited(model.predict, values))
    if out:
        written = answers.write(stream, Path(out), columns=model.columns, pictures=model.pictures)
        return {**written, **nothing_done(range(written["count"]), written["unreadable"])}
    telling = tasks.tasks[model.task].telling()
    predictions, unreadable, answered = [], [], 0
    for answer in stream:
        answered += "reason" not in answer
        if "reason" in answer:
            unreadable.append(answer)
            if not common["json"]:
                click.echo(_unanswered(answer), err=True)
        elif common["json"]:
            predictions.append(answer)
        else:  # told as it is found: a folder may be larger than memory
            click.echo(telling.answered(answer))
    if not common["quiet"]:
        for note in getattr(model, "notes", ()):
            click.echo(note, err=True)
        if values["sort_into"]:
            click.echo(tr("copies, by class: {path}", path=values["sort_into"]), err=True)
    done = nothing_done([answered] if answered else [], unreadable)
    return {"predictions": predictions, "unreadable": unreadable, **done}


def _unanswered(answer: dict[str, Any]) -> str:
    where = answer["file"] + (", " + tr("row {n}", n=answer["row"]) if "row" in answer else "")
    return f"{where}: {answer['reason']}"


# ---------------------------------------------------------------- what a person reads
def _show_evaluated(told: dict[str, Any]) -> list[str]:
    from vistazo import tasks

    lines: list[str] = tasks.tasks[told["task"]].telling().evaluated(told)
    return lines


def _show_predicted(told: dict[str, Any]) -> list[str]:
    if "file" in told:
        lines = [tr("{n} answers in {path}", n=told["count"], path=told["file"])]
        return lines + [_unanswered(one) for one in told["unreadable"]]
    if told["unreadable"]:
        return [tr("could not be read: {n}", n=len(told["unreadable"]))]
    return []


# ---------------------------------------------------------------- options
def _evaluate_options() -> list[click.Parameter]:
    parts = click.Choice([mark("train"), mark("validation"), mark("test"), mark("all")])
    return [
        click.Argument(["model"], type=click.UNPROCESSED, metavar=tr("MODEL")),
        click.Argument(["source"], type=click.UNPROCESSED, metavar=tr("SOURCE")),
        option(
            "split",
            "--split",
            "--parte",
            type=parts,
            help=tr("part to measure (default: test, else all)"),
        ),
        option(
            "classes",
            "--classes",
            "--clases",
            help=tr("text file with one class name a line, for IDX files"),
        ),
        option(
            "out",
            "--out",
            "--salida",
            help=tr("folder for evaluation.html, metrics.json and answers.parquet"),
        ),
        option(
            "against",
            "--against",
            "--contra",
            help=tr("another model of the same classes, to compare with on the same pictures"),
        ),
        option(
            "dont_know",
            "--dont-know",
            "--no-se",
            help=tr("say which threshold keeps to a share of wrong answers, as in 5%"),
        ),
        option(
            "save_as",
            "--save-as",
            "--guardar-como",
            help=tr("write a copy of the model with that threshold; not from a test part"),
        ),
        every(),
    ]


def _predict_options() -> list[click.Parameter]:
    return [
        click.Argument(["model"], type=click.UNPROCESSED, metavar=tr("MODEL")),
        click.Argument(["files"], nargs=-1, type=click.UNPROCESSED, metavar=tr("FILES...")),
        option(
            "out",
            "--out",
            "--salida",
            help=tr("write the answers to a .csv or .parquet file; a forecast also as .svg picture"),
        ),
        option(
            "top",
            "--top",
            "--mejores",
            type=whole(1),
            help=tr("classes named for each picture or row (default: 5)"),
        ),
        option(
            "sort_into",
            "--sort-into",
            "--ordenar-en",
            help=tr("copy each picture into a folder of its class, in this folder"),
        ),
        option(
            "steps",
            "--steps",
            "--pasos",
            type=whole(1),
            help=tr("steps to forecast (default: the model's)"),
        ),
        every(),
    ]


VERBS: dict[str, Verb] = {
    "evaluate": Verb(
        "evaluar", mark("measure a model on other data"), _evaluate, _show_evaluated, _evaluate_options
    ),
    "predict": Verb(
        "predecir",
        mark("answer for new pictures, days to come or rows"),
        _predict,
        _show_predicted,
        _predict_options,
    ),
}
