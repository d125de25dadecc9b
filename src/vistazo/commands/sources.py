"""The verbs about what a model learns from: check, data, cache."""

import shlex
from pathlib import Path
from typing import Any

import click

from vistazo.commands.options import Verb, config_file, derived, option, take_common
from vistazo.language import mark, tr

__all__ = ["VERBS"]


FOUND = 1  # by `check --strict`

# Settings of a run that decide how its pictures look: options of `check` that ask for the picture of them. The others
# say how a source is read too, or which pictures are drawn.
_SHOWN = ("augment", "recipe", "flip", "size", "channels", "background")
_READ = ("classes", "seed", "every")


def _check(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import config, tasks
    from vistazo.classification.config import ClassificationConfig
    from vistazo.tables.config import TableConfig

    common, file = take_common(values), values.pop("config")
    given = {name: value for name, value in values.items() if value is not None}
    asked = any(name in given for name in _SHOWN) or values["augmented"]
    if file:
        kinds = [tasks.tasks[name].config() for name in tasks.tasks]
        given = {**config.read_settings(Path(file), *kinds), **given}
    settings = {name: value for name, value in given.items() if name in TableConfig.model_fields}
    shown = {name: value for name, value in given.items() if name in ClassificationConfig.model_fields}
    told = tasks.check(
        values["source"],
        config.build(TableConfig, settings),
        augmented=shown if asked else None,
        every=given.get("every"),
        classes=given.get("classes"),
        fix=[kind.strip() for kind in (values["fix"] or "").split(",") if kind.strip()],
        quiet=common["quiet"],
        **{name: values[name] for name in ("task", "out", "labels", "move", "undo")},
    )
    if values["strict"] and told["findings"]:
        told["exit_code"] = FOUND
    return told


def _data(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.engine.progress import Progress
    from vistazo.pictures import getting

    common, name, out = take_common(values), values["name"], values["out"]
    if name is None:
        return {"sets": getting.listing()}
    folder = Path(out) if out else Path("data", name)
    return getting.get(name, folder, say=Progress(quiet=common["quiet"]).say)


def _cache(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.pictures import entries
    from vistazo.remote import shelf

    told: dict[str, Any] = {"folder": str(entries.root()), "copies_folder": str(shelf.home())}
    if values["action"] in ("clear", "vaciar"):
        told["removed"], told["freed"] = entries.clear()
        told["copies_removed"], told["copies_freed"] = shelf.clear()
    found, copies = entries.kept(), shelf.kept()
    told["entries"] = [
        {
            "kind": "decoded",
            "folder": one.folder.name,
            "source": one.source,
            "pictures": one.pictures,
            "size": list(one.size),
            "bytes": one.bytes,
            "used": round(one.used),
            "complete": one.complete,
        }
        for one in found
    ]
    told["entries"] += [{"kind": "copy", **vars(one), "folder": one.folder.name} for one in copies]
    told["bytes"], told["limit"] = sum(one.bytes for one in found), entries.limit(entries.root())
    return {**told, "copies_bytes": sum(one.bytes for one in copies)}


# ---------------------------------------------------------------- what a person reads
def _show_checked(told: dict[str, Any]) -> list[str]:
    source, kinds = shlex.quote(told["source"]), {one["kind"] for one in told.get("columns", ())}
    lines = list(told["lines"])
    if told.get("moved"):
        return [*lines, tr("next:   vistazo check {source}", source=source)]
    if "task" in told:  # what has to be said because it is not recognised
        source += f" --task {told['task']}"
    if "files" in told:
        review = shlex.quote(told["files"]["review"])
        return [
            *lines,
            tr("next:   vistazo train {source} --corrections {review}", source=source, review=review),
        ]
    if "found" in told and told["findings"]:
        lines.append(
            tr(
                "next:   vistazo check {source} --out FOLDER (a page with pictures, and review.csv)",
                source=source,
            )
        )
    if not kinds or "date" in kinds:
        lines.append(tr("next:   vistazo train {source}", source=source))
    if kinds:
        lines.append(tr("next:   vistazo train {source} --target COLUMN", source=source))
    return lines


def _show_data(told: dict[str, Any]) -> list[str]:
    from vistazo.remote.fetching import amount

    if "sets" not in told:
        classes = f" --classes {shlex.quote(told['classes'])}" if told["classes"] else ""
        return [
            tr("{name} is in {folder}", name=told["name"], folder=told["folder"]),
            tr("next:   vistazo train {source}", source=shlex.quote(told["train"]) + classes),
        ]
    wide = max(len(one["name"]) for one in told["sets"])
    lines = []
    for one in told["sets"]:
        size = f" ({amount(one['bytes'])})" if one["bytes"] else ""
        lines += [f"{one['name']:<{wide}}  {one['what']}{size}", f"{'':<{wide}}  {one['licence']}"]
    return [*lines, tr("next:   vistazo data NAME")]


def _show_cache(told: dict[str, Any]) -> list[str]:
    from datetime import datetime

    from vistazo.pictures.entries import size_in_words

    lines = []
    if "removed" in told:
        lines.append(
            tr("removed: {n} sets of pictures, {size}", n=told["removed"], size=size_in_words(told["freed"]))
        )
    if told.get("copies_removed"):
        size = size_in_words(told["copies_freed"])
        lines.append(tr("removed: {n} copies of addresses, {size}", n=told["copies_removed"], size=size))
    for one in told["entries"]:
        used = datetime.fromtimestamp(one["used"]).strftime("%Y-%m-%d %H:%M")
        what = tr("copy of")
        if one["kind"] == "decoded":
            height, width, channels = one["size"]
            what = tr(
                "{n} pictures of {height} × {width} × {channels}",
                n=f"{one['pictures']:,}",
                height=height,
                width=width,
                channels=channels,
            )
        states = ([] if one["complete"] else [tr("not finished")]) + [tr("in use")] * one.get(
            "reading", False
        )
        line = (f"{size_in_words(one['bytes']):>8}", used, what, one["source"])
        lines.append(" · ".join(["  ".join(line), *states]))
    if told["copies_bytes"]:
        size = size_in_words(told["copies_bytes"])
        lines.append(tr("copies of addresses in {folder}: {size}", folder=told["copies_folder"], size=size))
    lines.append(
        tr(
            "decoded pictures in {folder}: {size} of {limit} at most",
            folder=told["folder"],
            size=size_in_words(told["bytes"]),
            limit=size_in_words(told["limit"]),
        )
    )
    return [*lines, tr("next:   vistazo cache clear")] if told["entries"] else lines


# ---------------------------------------------------------------- options
def _check_options() -> list[click.Parameter]:
    from vistazo.classification.config import ClassificationConfig
    from vistazo.tables.config import TableConfig

    return [
        click.Argument(["source"], type=click.UNPROCESSED, metavar=tr("SOURCE")),
        option(
            "augmented",
            "--augmented",
            "--aumentadas",
            is_flag=True,
            type=bool,
            help=tr("write a picture of what the network will see"),
        ),
        option(
            "out",
            "--out",
            "--salida",
            help=tr(
                "folder for a page of what was found and review.csv; or a .png of what the network will see"
            ),
        ),
        option(
            "task",
            "--task",
            "--tarea",
            help=tr("classification, where each box of a picture is to be looked at by itself"),
        ),
        option(
            "labels",
            "--labels",
            "--etiquetas",
            is_flag=True,
            type=bool,
            help=tr("look for wrong labels too; takes minutes"),
        ),
        option(
            "fix",
            "--fix",
            "--arreglar",
            help=tr(
                "kinds of findings whose suggestion becomes the action in review.csv, as in blank,duplicate"
            ),
        ),
        option(
            "move",
            "--move",
            "--mover",
            help=tr("move the files that a review.csv marks with move, into SOURCE-quarantine"),
        ),
        option("undo", "--undo", "--deshacer", help=tr("bring back what a log of moves tells of")),
        option(
            "strict",
            "--strict",
            "--estricto",
            is_flag=True,
            type=bool,
            help=tr("exit with 1 where anything is found"),
        ),
        config_file(),
        *(one for name in (*_SHOWN, *_READ) for one in derived(ClassificationConfig, only=name)),
        *derived(TableConfig),
    ]


def _data_options() -> list[click.Parameter]:
    return [
        click.Argument(["name"], type=click.UNPROCESSED, required=False, metavar=tr("[NAME]")),
        option("out", "--out", "--salida", help=tr("folder to put it in (default: data/NAME)")),
    ]


def _cache_options() -> list[click.Parameter]:
    actions = click.Choice(["list", "clear", "listar", "vaciar"])
    return [click.Argument(["action"], type=actions, default="list", metavar="[list|clear]")]


VERBS: dict[str, Verb] = {
    "check": Verb("revisar", mark("say how a source is read"), _check, _show_checked, _check_options),
    "cache": Verb(
        "cache",
        mark("list or clear decoded pictures and copies of addresses kept on disk"),
        _cache,
        _show_cache,
        _cache_options,
    ),
    "data": Verb("datos", mark("get a known data set, or list them"), _data, _show_data, _data_options),
}
