"""`vistazo explain`: where the answer to a picture comes from, or what each column of a row adds to it."""

from typing import Any

import click

from vistazo.commands.options import (
    Verb,
    every,
    exported_only,
    fetched,
    nothing_done,
    option,
    suited,
    take_common,
    whole,
)
from vistazo.errors import UsageError
from vistazo.language import mark, tr

__all__ = ["VERBS"]

_FOLDER = "explanation"  # what is written where nobody says where
_SPANISH = {"predicha": "predicted", "verdadera": "true"}


def _explain(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = take_common(values)
    model, files = tasks.load(values.pop("model")), values.pop("files")
    if not files:
        raise UsageError(tr("Name what is to be explained: vistazo explain MODEL PICTURE..."))
    act = _row if hasattr(model, "explain_file") else _pictures if hasattr(model, "explain") else None
    if act is None:
        if exported_only(model):
            raise UsageError(
                tr(
                    "{path} was exported to answer, and cannot explain: explain the .vistazo file that it came from.",
                    path=model.path,
                )
            )
        task = tr(model.task)
        raise UsageError(
            tr(
                "The answers of {task} are not explained one by one; the report beside this model shows what there is "
                "to see.",
                task=task,
            )
        )
    told = act(model, list(files), values, bool(common["quiet"]))
    for one in () if common["json"] else told.get("unreadable", ()):
        click.echo(f"{one['file']}: {one['reason']}", err=True)
    done = nothing_done(told.get("pictures", [told]), told.get("unreadable", ()))
    return {"task": model.task, **told, **done}


def _row(model: Any, files: list[str], values: dict[str, Any], quiet: bool) -> dict[str, Any]:
    if len(files) > 1:
        raise UsageError(tr("A row is explained of one table at a time; name one."))
    asked = suited(model.explain_file, values)
    told: dict[str, Any] = model.explain_file(fetched(files[0], quiet), asked.get("row"))
    if not quiet:
        for note in model.notes:
            click.echo(note, err=True)
    return told


def _pictures(model: Any, files: list[str], values: dict[str, Any], quiet: bool) -> dict[str, Any]:
    from vistazo.classification.explaining.explanation import explain

    asked = suited(explain, {**values, "class": None, "target": values["class"]})
    target = asked.get("target")
    if target in _SPANISH and target not in model.classes:
        asked["target"] = _SPANISH[target]
    told: dict[str, Any] = model.explain(files, **{"out": _FOLDER, **asked}).to_json()
    return told


def _show(told: dict[str, Any]) -> list[str]:
    from vistazo import tasks

    lines: list[str] = tasks.tasks[told["task"]].telling().explained(told)
    return lines


def _options() -> list[click.Parameter]:
    return [
        click.Argument(["model"], type=click.UNPROCESSED, metavar=tr("MODEL")),
        click.Argument(["files"], nargs=-1, type=click.UNPROCESSED, metavar=tr("FILES...")),
        option(
            "out",
            "--out",
            "--salida",
            help=tr("folder for overlays and page (default: {folder})", folder=_FOLDER),
        ),
        option(
            "method",
            "--method",
            "--metodo",
            help=tr("gradcam++, gradcam, occlusion or gradients (default: gradcam++)"),
        ),
        option(
            "class",
            "--class",
            "--clase",
            help=tr("class to explain: its name, predicted, or true, after the picture's folder"),
        ),
        option(
            "layer",
            "--layer",
            "--capa",
            help=tr("layer whose maps are read (default: the last that still says where)"),
        ),
        option(
            "raw",
            "--raw",
            "--matrices",
            is_flag=True,
            type=bool,
            default=None,
            help=tr("write the maps too, as .npz"),
        ),
        option("most", "--most", "--maximo", type=whole(1), help=tr("pictures at most")),
        option(
            "patch",
            "--patch",
            "--parche",
            type=whole(1),
            help=tr("side of the patch of occlusion, in pixels (default: a fifth of the picture)"),
        ),
        option(
            "stride",
            "--stride",
            "--paso",
            type=whole(1),
            help=tr("pixels between two patches (default: half a patch)"),
        ),
        every(),
        option(
            "row",
            "--row",
            "--fila",
            type=whole(1),
            help=tr("row of the table, as predict tells it (default: the first)"),
        ),
    ]


VERBS: dict[str, Verb] = {
    "explain": Verb("explicar", mark("show where an answer comes from"), _explain, _show, _options),
}
