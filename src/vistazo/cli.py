"""The command line: parse, call, print. No learning logic.

Verbs and their Spanish names stand in one table; options of `train` are derived from the task's config. A verb's
module is imported when the verb is called, so that `vistazo --help` answers at once.
"""

import gettext
import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vistazo import __version__, language, platform
from vistazo.errors import UsageError, VistazoError
from vistazo.language import mark, tr

if TYPE_CHECKING:
    from vistazo.config import Config

__all__ = ["main"]

FOUND = 1  # by `check --strict`
OUR_FAULT = 4
INTERRUPTED = 3

# Sentences of click's that a user can meet; marked here so that our catalogues hold them.
_FROM_CLICK = (
    mark("Usage:"),
    mark("Options"),
    mark("Commands"),
    mark("Show this message and exit."),
    mark("Show the version and exit."),
    mark("No such option {name!r}."),
    mark("No such option: {name}"),  # so said before click 8.5
    mark("Option {name!r} does not take a value."),
    mark("Missing argument"),
    mark("Missing command."),
    mark("Invalid value for {param_hint}: {message}"),
    mark("{value!r} is not a valid {number_type}."),
    mark("{value} is not in the range {range}."),
    gettext.ngettext("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)", 1),
    gettext.ngettext("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})", 1),
    gettext.ngettext(
        "Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments.", 1
    ),
    gettext.ngettext("{value!r} is not {choice}.", "{value!r} is not one of {choices}.", 1),
)


# ---------------------------------------------------------------- the verbs
def _train(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import config, tasks

    task, source, out, file = (values.pop(name) for name in ("task", "source", "out", "config"))
    common = _common(values)
    settings = {name: value for name, value in values.items() if value is not None}
    if file:
        kinds = [tasks.tasks[name].config() for name in ([task] if task else tasks.tasks)]
        settings = {**config.read_settings(Path(file), *kinds), **settings}
    return _trained(tasks.train(source, task=task, out=out, quiet=common["quiet"], **settings))


def _resume(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = _common(values)
    return _trained(tasks.resume(values["run"], epochs=values["epochs"], quiet=common["quiet"]))


def _reproduce(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = _common(values)
    told: dict[str, Any] = tasks.reproduce(values["run"], out=values["out"], quiet=common["quiet"]).to_json()
    return told


def _demo(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = _common(values)
    folder = Path(__file__).parent / "classification" / "demo"
    names = folder / f"classes.{language.current()}.txt"
    if not common["quiet"]:
        click.echo(
            tr("2,000 pictures of clothes (Fashion-MNIST, Zalando, MIT licence), ten classes."), err=True
        )
    return _trained(
        tasks.train(
            folder,
            task="classification",
            out=values["out"],
            seed=values["seed"],
            recipe="quick",
            classes=str(names),
            quiet=common["quiet"],
        )
    )


def _trained(result: Any) -> dict[str, Any]:
    told: dict[str, Any] = result.to_json()
    return {**told, "seconds": round(told["seconds"], 2)}


# Settings of a run that decide how its pictures look: options of `check` that ask for the picture of them. The others
# say how a source is read too, or which pictures are drawn.
_SHOWN = ("augment", "recipe", "flip", "size", "channels", "background")
_READ = ("classes", "seed", "every")


def _check(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import config, tasks
    from vistazo.classification.config import ClassificationConfig
    from vistazo.tables.config import TableConfig

    common, file = _common(values), values.pop("config")
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


def _evaluate(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = _common(values)
    model, source = tasks.load(values.pop("model")), values.pop("source")
    source = _fetched(source, common["quiet"])
    told: dict[str, Any] = model.evaluate(source, **_suited(model.evaluate, values))
    return {"task": model.task, **told}


def _fetched(source: str, quiet: bool) -> Any:
    """A source as it was given; for an address, what can be read of it."""
    from vistazo import tasks
    from vistazo.remote.addresses import is_url

    return tasks.locate(source, quiet=quiet) if is_url(source) else source


def _predict(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks
    from vistazo.engine import answers

    common, out, files = _common(values), values.pop("out"), values.pop("files")
    model = tasks.load(values.pop("model"))
    if model.task != "classification":  # which opens addresses itself, and answers by them
        files = [_fetched(file, common["quiet"]) for file in files]
    stream = model.predict(files, **_suited(model.predict, values))
    if out:
        return answers.write(stream, Path(out), columns=model.columns, pictures=model.pictures)
    telling = tasks.tasks[model.task].telling()
    predictions, unreadable = [], []
    for answer in stream:
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
    return {"predictions": predictions, "unreadable": unreadable}


def _unanswered(answer: dict[str, Any]) -> str:
    where = answer["file"] + (", " + tr("row {n}", n=answer["row"]) if "row" in answer else "")
    return f"{where}: {answer['reason']}"


def _explain(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = _common(values)
    model = tasks.load(values["model"])
    if not hasattr(model, "explain_file"):
        raise UsageError(
            tr(
                "Only models of tables explain a row; the report beside this model shows what there is to see."
            )
        )
    told: dict[str, Any] = model.explain_file(_fetched(values["source"], common["quiet"]), values["row"])
    if not common["quiet"]:
        for note in model.notes:
            click.echo(note, err=True)
    return {"task": model.task, **told}


def _suited(verb: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given. Raises UsageError for one that this model's verb does not have."""
    import inspect

    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in inspect.signature(verb).parameters:
            raise UsageError(
                tr("This model does not take --{name}; leave it out.", name=name.replace("_", "-"))
            )
    return given


def _models(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    return {
        "models": [
            {"task": task, **one} for task in tasks.tasks for one in tasks.tasks[task].models().listing()
        ]
    }


def _data(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.engine.progress import Progress
    from vistazo.pictures import getting

    common, name, out = _common(values), values["name"], values["out"]
    if name is None:
        return {"sets": getting.listing()}
    folder = Path(out) if out else Path("data", name)
    return getting.get(name, folder, say=Progress(quiet=common["quiet"]).say)


def _recipes(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.classification.recipes import recipes

    return {
        "recipes": [
            {"name": name, "model": recipes[name].model, "help": tr(recipes[name].help)} for name in recipes
        ]
    }


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
def _show_trained(told: dict[str, Any]) -> list[str]:
    from vistazo import tasks
    from vistazo.engine.progress import duration
    from vistazo.engine.reports import number

    telling = tasks.tasks[told["task"]].telling()
    lines = [f"{tr(part)}: {telling.measured(one)}" for part, one in told["metrics"].items() if one]
    # A quarter of a person's trust is knowing where things are.
    if "study" in told:
        run = told["run"]
        lines.append(tr("results: {path}", path=f"{run}/results.csv, {run}/results.tex"))
    lines += [
        tr(
            "{parameters} parameters, {epochs} epochs, {time}",
            parameters=number(told["parameters"]),
            epochs=told["epochs"],
            time=duration(told["seconds"]),
        ),
        tr("model:  {path}", path=told["model"]),
        tr("report: {path}", path=told["report"]),
        telling.next_command(shlex.quote(told["run"])),
    ]
    return lines


def _show_reproduced(told: dict[str, Any]) -> list[str]:
    from vistazo.engine.runs import read_json

    names = {"run": told["run"], "reproduced": told["reproduced"]}
    if told["equal"]:
        lines = [tr("Equal to the bit: weights, history and figures of {run} and {reproduced}.", **names)]
    else:
        lines = [tr("Not equal: {run} and {reproduced}.", **names), *_differences(told)]
    from vistazo import tasks

    task = read_json(Path(told["reproduced"]) / "config.json")["task"]
    return [*lines, tasks.tasks[task].telling().next_command(shlex.quote(told["reproduced"]))]


def _differences(told: dict[str, Any]) -> list[str]:
    lines = []
    if told["largest_difference"] is None:
        lines.append(tr("the networks have other shapes"))
    else:
        lines.append(tr("largest difference of a weight: {value}", value=f"{told['largest_difference']:.3g}"))
    for name, one in list(told["metrics"].items())[:5]:
        lines.append(tr("{name}: {was} then, {now} now", name=name, was=one["was"], now=one["is"]))
    if len(told["metrics"]) > 5:
        lines.append(tr("... and {n} more figures; --json tells them all", n=len(told["metrics"]) - 5))
    if told["first_epoch"]:
        lines.append(tr("the history differs from epoch {n} on", n=told["first_epoch"]))
    lines.append(tr("likely why: {reason}", reason=told["reason"]))
    return lines


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


def _show_evaluated(told: dict[str, Any]) -> list[str]:
    from vistazo import tasks

    lines: list[str] = tasks.tasks[told["task"]].telling().evaluated(told)
    return lines


def _show_explained(told: dict[str, Any]) -> list[str]:
    from vistazo import tasks

    lines: list[str] = tasks.tasks[told["task"]].telling().explained(told)
    return lines


def _show_predicted(told: dict[str, Any]) -> list[str]:
    if "file" in told:
        lines = [tr("{n} answers in {path}", n=told["count"], path=told["file"])]
        return lines + [_unanswered(one) for one in told["unreadable"]]
    if told["unreadable"]:
        return [tr("could not be read: {n}", n=len(told["unreadable"]))]
    return []


def _show_models(told: dict[str, Any]) -> list[str]:
    from vistazo.engine.reports import number

    model, parameters, source = tr("model"), tr("parameters"), tr("source")
    wide = max(len(one["name"]) for one in told["models"])
    lines, task = [f"{model:<{wide}} {parameters:>12}  {source}"], ""
    for one in told["models"]:
        if one["task"] != task:
            task = one["task"]
            lines.append(f"-- {tr(task)}")
        lines.append(f"{one['name']:<{wide}} {number(one['parameters']):>12}  {one['source']}")
        if one["statistics"] or one["frozen"]:
            parts = tr(
                "trainable {trainable}, running statistics {statistics}, frozen {frozen}",
                **{name: number(one[name]) for name in ("trainable", "statistics", "frozen")},
            )
            lines.append(f"{'':<{wide}} {'':>12}  {parts}")
    lines.append(tr("next:   vistazo train SOURCE --model NAME"))
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


def _show_recipes(told: dict[str, Any]) -> list[str]:
    wide = max(len(one["name"]) for one in told["recipes"])
    lines = [f"{one['name']:<{wide}} {one['help']} ({one['model']})" for one in told["recipes"]]
    return [*lines, tr("next:   vistazo train SOURCE --recipe NAME")]


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


# ---------------------------------------------------------------- the table
Act = Callable[[dict[str, Any]], dict[str, Any]]
Show = Callable[[dict[str, Any]], list[str]]
_VERBS: dict[str, tuple[str, str, Act, Show]] = {
    "train": ("entrenar", mark("train on pictures, a series or a table"), _train, _show_trained),
    "resume": (
        "reanudar",
        mark("continue a run that was stopped or killed, or train it for longer"),
        _resume,
        _show_trained,
    ),
    "reproduce": (
        "reproducir",
        mark("do a finished run again and say whether it came out equal"),
        _reproduce,
        _show_reproduced,
    ),
    "check": ("revisar", mark("say how a source is read"), _check, _show_checked),
    "evaluate": ("evaluar", mark("measure a model on other data"), _evaluate, _show_evaluated),
    "predict": ("predecir", mark("answer for new pictures, days to come or rows"), _predict, _show_predicted),
    "explain": ("explicar", mark("say why a row of a table gets its answer"), _explain, _show_explained),
    "models": ("modelos", mark("list the networks"), _models, _show_models),
    "recipes": ("recetas", mark("list the recipes"), _recipes, _show_recipes),
    "cache": (
        "cache",
        mark("list or clear decoded pictures and copies of addresses kept on disk"),
        _cache,
        _show_cache,
    ),
    "data": ("datos", mark("get a known data set, or list them"), _data, _show_data),
    "demo": ("demo", mark("train on 2,000 pictures that come with Vistazo"), _demo, _show_trained),
}
_ALIASES = {spanish: verb for verb, (spanish, *_) in _VERBS.items()}


def _parameters(verb: str) -> list[click.Parameter]:
    text = click.UNPROCESSED
    if verb == "train":
        return [click.Argument(["source"], type=text, metavar=tr("SOURCE")), *_train_options()]
    if verb == "resume":
        return [
            click.Argument(["run"], type=text, metavar=tr("RUN")),
            _option("epochs", "--epochs", "--epocas", type=_whole(1), help=tr("the new total of epochs")),
        ]
    if verb == "reproduce":
        return [
            click.Argument(["run"], type=text, metavar=tr("RUN")),
            _option("out", "--out", "--salida", help=tr("folder of the new run (default: RUN-reproduced)")),
        ]
    if verb == "check":
        from vistazo.classification.config import ClassificationConfig
        from vistazo.tables.config import TableConfig

        return [
            click.Argument(["source"], type=text, metavar=tr("SOURCE")),
            _option(
                "augmented",
                "--augmented",
                "--aumentadas",
                is_flag=True,
                type=bool,
                help=tr("write a picture of what the network will see"),
            ),
            _option(
                "out",
                "--out",
                "--salida",
                help=tr(
                    "folder for a page of what was found and review.csv; or a .png of what the network will see"
                ),
            ),
            _option(
                "task",
                "--task",
                "--tarea",
                help=tr("classification, where each box of a picture is to be looked at by itself"),
            ),
            _option(
                "labels",
                "--labels",
                "--etiquetas",
                is_flag=True,
                type=bool,
                help=tr("look for wrong labels too; takes minutes"),
            ),
            _option(
                "fix",
                "--fix",
                "--arreglar",
                help=tr(
                    "kinds of findings whose suggestion becomes the action in review.csv, as in blank,duplicate"
                ),
            ),
            _option(
                "move",
                "--move",
                "--mover",
                help=tr("move the files that a review.csv marks with move, into SOURCE-quarantine"),
            ),
            _option("undo", "--undo", "--deshacer", help=tr("bring back what a log of moves tells of")),
            _option(
                "strict",
                "--strict",
                "--estricto",
                is_flag=True,
                type=bool,
                help=tr("exit with 1 where anything is found"),
            ),
            _config_file(),
            *(one for name in (*_SHOWN, *_READ) for one in _derived(ClassificationConfig, only=name)),
            *_derived(TableConfig),
        ]
    if verb == "evaluate":
        parts = click.Choice([mark("train"), mark("validation"), mark("test"), mark("all")])
        return [
            click.Argument(["model"], type=text, metavar=tr("MODEL")),
            click.Argument(["source"], type=text, metavar=tr("SOURCE")),
            _option(
                "split",
                "--split",
                "--parte",
                type=parts,
                help=tr("part to measure (default: test, else all)"),
            ),
            _option(
                "classes",
                "--classes",
                "--clases",
                help=tr("text file with one class name a line, for IDX files"),
            ),
            _every(),
        ]
    if verb == "predict":
        return [
            click.Argument(["model"], type=text, metavar=tr("MODEL")),
            click.Argument(["files"], nargs=-1, type=text, metavar=tr("FILES...")),
            _option(
                "out",
                "--out",
                "--salida",
                help=tr("write the answers to a .csv or .parquet file; a forecast also as .svg picture"),
            ),
            _option(
                "top",
                "--top",
                "--mejores",
                type=_whole(1),
                help=tr("classes named for each picture or row (default: 5)"),
            ),
            _option(
                "sort_into",
                "--sort-into",
                "--ordenar-en",
                help=tr("copy each picture into a folder of its class, in this folder"),
            ),
            _option(
                "steps",
                "--steps",
                "--pasos",
                type=_whole(1),
                help=tr("steps to forecast (default: the model's)"),
            ),
            _every(),
        ]
    if verb == "explain":
        return [
            click.Argument(["model"], type=text, metavar=tr("MODEL")),
            click.Argument(["source"], type=text, metavar=tr("TABLE")),
            _option(
                "row",
                "--row",
                "--fila",
                type=_whole(1),
                help=tr("row of the table, as predict tells it (default: the first)"),
            ),
        ]
    if verb == "cache":
        actions = click.Choice(["list", "clear", "listar", "vaciar"])
        return [click.Argument(["action"], type=actions, default="list", metavar="[list|clear]")]
    if verb == "data":
        return [
            click.Argument(["name"], type=text, required=False, metavar=tr("[NAME]")),
            _option("out", "--out", "--salida", help=tr("folder to put it in (default: data/NAME)")),
        ]
    if verb == "demo":
        return [
            _option("out", "--out", "--salida", help=tr("folder of the run")),
            _option("seed", "--seed", "--semilla", type=_whole(0), default=0,
                    help=tr("number that everything random is drawn from")),
        ]  # fmt: skip
    return []


def _every() -> click.Parameter:
    from vistazo.classification.config import ClassificationConfig

    return _derived(ClassificationConfig, only="every")[0]


def _train_options() -> list[click.Parameter]:
    from vistazo import tasks

    found: list[click.Parameter] = [
        _option("task", "--task", "--tarea", help=tr("what to learn (default: recognised from the source)")),
        _option("out", "--out", "--salida", help=tr("folder of the run (default: runs/SOURCE-N)")),
        _config_file(),
    ]
    kinds = {name: tasks.tasks[name].config() for name in tasks.tasks}
    for name in dict.fromkeys(name for kind in kinds.values() for name in kind.model_fields):
        owners = [task for task, kind in kinds.items() if name in kind.model_fields]
        section = ", ".join(tr(tasks.tasks[task].learns_from) for task in owners)
        found += _derived(kinds[owners[0]], only=name, section="" if len(owners) == len(kinds) else section)
    return found


def _config_file() -> click.Parameter:
    words = tr("settings in a TOML file, or config.json of a run")
    return _option("config", "--config", "--configuracion", help=words)


def _derived(kind: "type[Config]", *, only: str = "", section: str = "") -> list[click.Parameter]:
    """The options of a config's fields. Values go to the config as they were typed: its sentences are the only ones."""
    from vistazo import config

    found: list[click.Parameter] = []
    for one in config.options(kind):
        if only and one.name != only:
            continue
        help = tr(one.help)
        if one.choices:
            help += f" [{'|'.join(one.choices)}]"
        if one.kind is bool:  # a word that stands alone; absent, the settings file or the default decides
            found.append(
                _option(
                    one.name, *one.flags, is_flag=True, type=bool, default=None, help=help, section=section
                )
            )
            continue
        if one.default is not None:
            help += " " + tr("(default: {value})", value=one.default)
        found.append(_option(one.name, *one.flags, help=help, section=section))
    return found


class _Option(click.Option):
    """An option that help shows under a heading of its own."""

    def __init__(self, words: list[str], *, section: str = "", **rest: Any) -> None:
        super().__init__(words, **rest)
        self.section = section


def _option(name: str, *flags: str, **rest: Any) -> click.Option:
    kind = rest.setdefault("type", click.UNPROCESSED)
    if kind is not bool and not isinstance(kind, click.Choice):
        word = flags[-1] if language.current() == "es" else flags[0]
        rest["metavar"] = word.lstrip("-").upper()
    return _Option([*flags, name], **rest)


def _whole(least: int) -> click.IntRange:
    kind = click.IntRange(least)
    kind.name = tr("whole number")
    return kind


def _shared_options() -> list[click.Parameter]:
    return [
        _option(
            "json",
            "--json",
            is_flag=True,
            type=bool,
            help=tr("one JSON object on standard output, nothing else"),
        ),
        _option(
            "quiet", "--quiet", "--silencio", is_flag=True, type=bool, help=tr("say nothing but the result")
        ),
        _option(
            "lang",
            "--lang",
            "--idioma",
            type=click.Choice(language.LANGUAGES),
            help=tr("language of messages"),
        ),
    ]


def _common(values: dict[str, Any]) -> dict[str, Any]:
    """Take the options every verb has out of the values."""
    return {name: values.pop(name, None) for name in ("json", "quiet", "lang")}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = _ALIASES.get(cmd_name, cmd_name)
        if verb not in _VERBS:
            from vistazo.registry import nearest

            near = nearest(cmd_name, [*_VERBS, *_ALIASES])
            if near:
                raise UsageError(
                    tr(
                        "There is no command '{name}'. Did you mean '{near}'? See: vistazo --help",
                        name=cmd_name,
                        near=near,
                    )
                )
            raise UsageError(
                tr("There is no command '{name}'. Known: {names}.", name=cmd_name, names=", ".join(_VERBS))
            )
        return _Verb(verb)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table alone: listing must not build the commands, which would import their configs."""
        with formatter.section(tr("Commands")):
            names = (
                f"{verb}, {one[0]}" if language.current() == "es" and one[0] != verb else verb
                for verb, one in _VERBS.items()
            )
            formatter.write_dl([(name, tr(one[1])) for name, one in zip(names, _VERBS.values(), strict=True)])


class _Verb(click.Command):
    def __init__(self, verb: str) -> None:
        _, help, act, show = _VERBS[verb]
        super().__init__(
            verb,
            params=[*_parameters(verb), *_shared_options()],
            help=tr(help),
            options_metavar=tr("[OPTIONS]"),
            callback=lambda **values: values,
        )
        self.act, self.show = act, show

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for one in self.get_params(ctx):
            record = None if isinstance(one, click.Argument) else one.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(one, "section", ""), []).append(record)
        for name, records in sections.items():
            title = tr("Options for {what}", what=name) if name else tr("Options")
            with formatter.section(title):
                formatter.write_dl(records)

    def invoke(self, ctx: click.Context) -> Any:
        values: dict[str, Any] = super().invoke(ctx)
        told = self.act(dict(values))
        code: int = told.pop("exit_code", 0)
        if values["json"]:
            click.echo(json.dumps(told, ensure_ascii=True))
        else:
            for line in self.show(told):
                click.echo(line)
        ctx.exit(code)


def _asked(arguments: Sequence[str], *flags: str) -> str | None:
    """The value of an option wherever it stands, before anything is parsed: help itself needs the language."""
    for at, word in enumerate(arguments):
        for flag in flags:
            if word == flag and at + 1 < len(arguments):
                return arguments[at + 1]
            if word.startswith(flag + "="):
                return word.partition("=")[2]
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see `vistazo.errors`)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        platform.one_command()
    platform.safe_streams()
    wanted = _asked(words, "--lang", "--idioma")
    if wanted in language.LANGUAGES:
        language.set_language(wanted)
    # click asks the standard library's gettext; these two lines make that our catalogue in the language in force.
    os.environ["LANGUAGE"] = language.current()
    gettext.bindtextdomain(language.DOMAIN, language.CATALOGUES)
    gettext.textdomain(language.DOMAIN)
    as_json = "--json" in words
    group = _Verbs("vistazo", help=tr("From your own pictures, series and tables to answers you can trust."),
                   params=[*_shared_options(), _version()],
                   options_metavar=tr("[OPTIONS]"), subcommand_metavar=tr("COMMAND [ARGS]..."))  # fmt: skip
    try:
        code = group.main(_after_the_verb(words), prog_name="vistazo", standalone_mode=False)
        _flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _failed(error.format_message(), 2, as_json)
    except VistazoError as error:
        return _failed(str(error), error.exit_code, as_json)
    except (KeyboardInterrupt, click.Abort):
        return _failed(tr("Interrupted."), INTERRUPTED, as_json)
    except (BrokenPipeError, SystemExit):  # `| head` has read enough; click leaves by SystemExit then
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _failed(
            tr("The memory of this computer was not enough. Try a smaller --size or --batch."), 1, as_json
        )
    except Exception as error:
        traceback.print_exc()
        return _failed(
            tr(
                "This is a fault of Vistazo, not yours: {error}. Please report it with the lines above.",
                error=repr(error),
            ),
            OUR_FAULT,
            as_json,
        )


def _failed(sentence: str, code: int, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps({"error": sentence, "exit_code": code}, ensure_ascii=True))
    click.echo(sentence, err=True)
    return code


def _flush() -> None:
    sys.stdout.flush()


def _after_the_verb(words: list[str]) -> list[str]:
    """The shared options may stand before the verb too; click wants them behind it."""
    front: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] not in ("--help", "--version"):
        word = rest.pop(0)
        front.append(word)
        if word in ("--lang", "--idioma") and rest:
            front.append(rest.pop(0))
    return [*rest[:1], *front, *rest[1:]] if rest else front


def _version() -> click.Option:
    def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            click.echo(f"vistazo {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help=tr("Show the version and exit."),
    )
