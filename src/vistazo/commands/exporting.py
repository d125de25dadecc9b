"""`vistazo export`: a model as a file that runs elsewhere and is proven equal, or as a folder with a server."""

import contextlib
import importlib
import shlex
from pathlib import Path
from typing import Any

import click

from vistazo.commands.options import Verb, option, take_common
from vistazo.errors import UsageError
from vistazo.language import current, mark, tr

__all__ = ["VERBS"]


def _export(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks
    from vistazo.engine.progress import Progress

    common = take_common(values)
    say = Progress(quiet=bool(common["quiet"])).say
    out, service, verify = values["out"], values["service"], values["verify"]
    if out is None and service is None:
        raise UsageError(tr("Say where the file shall be: vistazo export MODEL --out m.onnx"))
    if service is not None:
        _packing().check_place(Path(service))  # before anything is computed
    given = Path(values["model"])
    if given.suffix == ".onnx":
        if service is None or out is not None or verify is not None or values["precision"] is not None:
            raise UsageError(
                tr(
                    "{path} is exported already; with --service DIR alone it becomes a folder that answers.",
                    path=given,
                )
            )
        return _packed(given, Path(service), say)
    model = tasks.load(values["model"])
    exporting = tasks.tasks[model.task].exporting()
    from vistazo.engine.export import aside  # which needs torch, as the model did

    with aside() if out is None else contextlib.nullcontext(Path(out).parent) as folder:
        place = Path(out) if out is not None else folder / "model.onnx"
        told: dict[str, Any] = exporting.export(
            model, place, verify=verify, precision=values["precision"] or "fp32", say=say
        )
        if service is not None:
            told |= _packed(place, Path(service), say)
        if out is None:
            told["file"] = str(Path(service) / "model.onnx")
    return {"task": model.task, **told}


def _packing() -> Any:
    return importlib.import_module("vistazo.serving.packing")  # which stands above the commands


def _packed(exported: Path, folder: Path, say: Any) -> dict[str, Any]:
    return {"service": _packing().pack(exported, folder, say=say)}


# ---------------------------------------------------------------- what a person reads
def _show(told: dict[str, Any]) -> list[str]:
    from vistazo.engine.reports import number, percent

    lines = []
    if "agreement" in told:
        lines += [
            tr("file:   {path} ({size} MB, {precision})", path=told["file"], size=number(told["bytes"] / 1e6),
               precision=told["precision"]),
            tr("proof:  of {n} answers {share} are those of the model ({ties} ties), numbers differ by {most} at most",
               n=number(told["examples"]), share=percent(told["agreement"], 2), ties=told["ties"],
               most=_digits(told["largest_difference"], ".1e")),
        ]  # fmt: skip
        both = told["accuracy"]
        if both and all(isinstance(one, float) and 0 <= one <= 1 for one in both.values()):
            lines.append(
                tr(
                    "accuracy: the model {model}, exported {exported}",
                    model=percent(both["model"], 2),
                    exported=percent(both["exported"], 2),
                )
            )
        errors = told.get("mae")
        if errors and None not in errors.values():
            lines.append(
                tr(
                    "mean absolute error: the model {model}, exported {exported}",
                    model=_digits(errors["model"], ".6g"),
                    exported=_digits(errors["exported"], ".6g"),
                )
            )
    if "service" in told:
        return [
            *lines,
            tr("next:   cd {folder}, and read README.md", folder=shlex.quote(told["service"]["folder"])),
        ]
    from vistazo import tasks

    return [*lines, tasks.tasks[told["task"]].telling().next_command(shlex.quote(told["file"]))]


def _digits(value: float, form: str) -> str:
    """A number in that form, with the decimal mark of the language in force."""
    return f"{value:{form}}".replace(".", "," if current() == "es" else ".")


def _options() -> list[click.Parameter]:
    return [
        click.Argument(["model"], type=click.UNPROCESSED, metavar=tr("MODEL")),
        option("out", "--out", "--salida", help=tr("the file to write, which ends in .onnx")),
        option(
            "verify",
            "--verify",
            "--verificar",
            help=tr("labelled examples to prove it with (default: the test part of the model's run)"),
        ),
        option(
            "precision",
            "--precision",
            help=tr("fp32, fp16 (half the size) or int8 (smaller, faster) (default: fp32)"),
        ),
        option(
            "service",
            "--service",
            "--servicio",
            help=tr("a new folder for a server that needs no torch, with the model in it"),
        ),
    ]


VERBS: dict[str, Verb] = {
    "export": Verb(
        "exportar",
        mark("write a model as a file that runs elsewhere, proven equal"),
        _export,
        _show,
        _options,
    ),
}
