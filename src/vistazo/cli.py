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
from typing import Any

import click

from vistazo import __version__, language, platform
from vistazo.errors import UsageError, VistazoError
from vistazo.language import mark, tr

__all__ = ["main"]

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

    task = values.pop("task") or tasks.DEFAULT_TASK
    kind = tasks.tasks[task].config()
    source, out, file = values.pop("source"), values.pop("out"), values.pop("config")
    common = _common(values)
    given = {name: value for name, value in values.items() if value is not None}
    settings = {**(config.read_settings(Path(file), kind) if file else {}), **given}
    return _trained(tasks.train(source, task=task, out=out, quiet=common["quiet"], **settings))


def _resume(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = _common(values)
    return _trained(tasks.resume(values["run"], epochs=values["epochs"], quiet=common["quiet"]))


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
        tasks.train(folder, out=values["out"], seed=values["seed"], classes=str(names), quiet=common["quiet"])
    )


def _trained(result: Any) -> dict[str, Any]:
    told: dict[str, Any] = result.to_json()
    return {**told, "seconds": round(platform.seconds_since_start(), 2)}


def _evaluate(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    _common(values)
    model = tasks.load(values["model"])
    found: dict[str, Any] = model.evaluate(values["source"], split=values["split"], classes=values["classes"])
    return found


def _predict(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks
    from vistazo.engine import answers
    from vistazo.engine.reports import percent

    common = _common(values)
    model = tasks.load(values["model"])
    stream = model.predict(values["files"], top=values["top"])
    if values["out"]:
        return answers.write(stream, Path(values["out"]), columns=model.columns)
    predictions, unreadable = [], []
    for answer in stream:
        if "reason" in answer:
            unreadable.append(answer)
            if not common["json"]:
                click.echo(f"{answer['file']}: {answer['reason']}", err=True)
        elif common["json"]:
            predictions.append(answer)
        else:  # told as it is found: a folder may be larger than memory
            rest = ", ".join(f"{name} {percent(share)}" for name, share in answer["top"][1:3])
            click.echo(f"{answer['file']}\t{answer['class']} {percent(answer['probability'])}\t({rest})")
    return {"predictions": predictions, "unreadable": unreadable}


def _models(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.classification.models import count_parameters, create, models

    found = []
    for name in models:
        parameters = count_parameters(create(name, models[name].example))
        found.append(
            {
                "name": name,
                "parameters": parameters.total,
                "trainable": parameters.trainable,
                "statistics": parameters.statistics,
                "frozen": parameters.frozen,
                "source": tr(models[name].source),
            }
        )
    return {"models": found}


def _recipes(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.classification.recipes import recipes

    return {
        "recipes": [
            {"name": name, "model": recipes[name].model, "help": tr(recipes[name].help)} for name in recipes
        ]
    }


# ---------------------------------------------------------------- what a person reads
def _show_trained(told: dict[str, Any]) -> list[str]:
    from vistazo.engine.progress import duration
    from vistazo.engine.reports import number

    lines = []
    for part, figures in told["metrics"].items():
        if figures:
            lines.append(f"{tr(part)}: {_accuracy(figures)}")
    # A quarter of a person's trust is knowing where things are.
    lines += [
        tr(
            "{parameters} parameters, {epochs} epochs, {time}",
            parameters=number(told["parameters"]),
            epochs=told["epochs"],
            time=duration(told["seconds"]),
        ),
        tr("model:  {path}", path=told["model"]),
        tr("report: {path}", path=told["report"]),
        tr("next:   vistazo predict {run} PICTURE...", run=shlex.quote(told["run"])),
    ]
    return lines


def _accuracy(figures: dict[str, Any]) -> str:
    from vistazo.classification.metrics import LEVEL
    from vistazo.engine.reports import number, percent

    return tr(
        "accuracy {value} ({level} interval {low} to {high}, n = {n}; single view {single}), macro F1 {f1}",
        value=percent(figures["accuracy"], 2),
        level=LEVEL,
        low=percent(figures["accuracy_low"], 2),
        high=percent(figures["accuracy_high"], 2),
        n=figures["n"],
        single=percent(figures["single_view_accuracy"], 2),
        f1=number(figures["macro_f1"], 4),
    )


def _show_evaluated(told: dict[str, Any]) -> list[str]:
    from vistazo.engine.reports import number

    width = max(len(name) for name in told["classes"])
    lines = [f"{tr(told['part'])}: {_accuracy(told['metrics'])}"]
    heading = (tr("precision"), tr("recall"), "F1", tr("pictures"))
    rows: dict[str, tuple[str, ...]] = {"": heading} | {
        name: tuple(number(one[figure]) for figure in ("precision", "recall", "f1", "support"))
        for name, one in told["classes"].items()
    }
    widths = [max(9, len(one)) for one in heading]
    for name, cells in rows.items():
        row = "  ".join(f"{cell:>{space}}" for cell, space in zip(cells, widths, strict=True))
        lines.append(f"{name:{width}}  {row}")
    if told["left_out"]["trained_on"]:
        lines.append(
            tr("left out, because the model was trained on them: {n}", n=told["left_out"]["trained_on"])
        )
    for one in told["unreadable"]:
        lines.append(tr("left out: {name} ({reason})", name=one["file"], reason=one["reason"]))
    lines.append(tr("next:   vistazo predict MODEL PICTURE..."))
    return lines


def _show_predicted(told: dict[str, Any]) -> list[str]:
    if "file" in told:
        lines = [tr("{n} answers in {path}", n=told["count"], path=told["file"])]
        return lines + [f"{one['file']}: {one['reason']}" for one in told["unreadable"]]
    if told["unreadable"]:
        return [tr("could not be read: {n}", n=len(told["unreadable"]))]
    return []


def _show_models(told: dict[str, Any]) -> list[str]:
    from vistazo.engine.reports import number

    model, parameters, source = tr("model"), tr("parameters"), tr("source")
    lines = [f"{model:<12} {parameters:>12}  {source}"]
    for one in told["models"]:
        lines.append(f"{one['name']:<12} {number(one['parameters']):>12}  {one['source']}")
        if one["statistics"] or one["frozen"]:
            parts = tr(
                "trainable {trainable}, running statistics {statistics}, frozen {frozen}",
                **{name: number(one[name]) for name in ("trainable", "statistics", "frozen")},
            )
            lines.append(f"{'':<12} {'':>12}  {parts}")
    lines.append(tr("next:   vistazo train SOURCE --model NAME"))
    return lines


def _show_recipes(told: dict[str, Any]) -> list[str]:
    lines = [f"{one['name']:<12} {one['help']} ({one['model']})" for one in told["recipes"]]
    return [*lines, tr("next:   vistazo train SOURCE --recipe NAME")]


# ---------------------------------------------------------------- the table
Act = Callable[[dict[str, Any]], dict[str, Any]]
Show = Callable[[dict[str, Any]], list[str]]
_VERBS: dict[str, tuple[str, str, Act, Show]] = {
    "train": ("entrenar", mark("train on a source of pictures"), _train, _show_trained),
    "resume": (
        "reanudar",
        mark("continue a run that was stopped or killed, or train it for longer"),
        _resume,
        _show_trained,
    ),
    "evaluate": ("evaluar", mark("measure a model on other data"), _evaluate, _show_evaluated),
    "predict": ("predecir", mark("say what pictures show"), _predict, _show_predicted),
    "models": ("modelos", mark("list the networks"), _models, _show_models),
    "recipes": ("recetas", mark("list the recipes"), _recipes, _show_recipes),
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
        ]
    if verb == "predict":
        return [
            click.Argument(["model"], type=text, metavar=tr("MODEL")),
            click.Argument(["files"], nargs=-1, required=True, type=text, metavar=tr("FILES...")),
            _option("out", "--out", "--salida", help=tr("write the answers to a .csv or .parquet file")),
            _option(
                "top",
                "--top",
                "--mejores",
                type=_whole(1),
                default=5,
                help=tr("classes named for each picture"),
            ),
        ]
    if verb == "demo":
        return [
            _option("out", "--out", "--salida", help=tr("folder of the run")),
            _option("seed", "--seed", "--semilla", type=_whole(0), default=0,
                    help=tr("number that everything random is drawn from")),
        ]  # fmt: skip
    return []


def _train_options() -> list[click.Parameter]:
    from vistazo import config, tasks

    found: list[click.Parameter] = [
        _option("task", "--task", "--tarea", help=tr("what to learn (default: recognised from the source)")),
        _option("out", "--out", "--salida", help=tr("folder of the run (default: runs/SOURCE-N)")),
        _option(
            "config",
            "--config",
            "--configuracion",
            help=tr("settings in a TOML file, or config.json of a run"),
        ),
    ]
    for one in config.options(tasks.tasks[tasks.DEFAULT_TASK].config()):
        help = tr(one.help)
        if one.choices:
            help += f" [{'|'.join(one.choices)}]"
        if one.default is not None:
            help += " " + tr("(default: {value})", value=one.default)
        # Values go to the config as they were typed: its bounds and its sentences are the only ones.
        found.append(_option(one.name, *one.flags, help=help))
    return found


def _option(name: str, *flags: str, **rest: Any) -> click.Option:
    kind = rest.setdefault("type", click.UNPROCESSED)
    if kind is not bool and not isinstance(kind, click.Choice):
        word = flags[-1] if language.current() == "es" else flags[0]
        rest["metavar"] = word.lstrip("-").upper()
    return click.Option([*flags, name], **rest)


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

    def invoke(self, ctx: click.Context) -> Any:
        values: dict[str, Any] = super().invoke(ctx)
        told = self.act(dict(values))
        if values["json"]:
            click.echo(json.dumps(told, ensure_ascii=True))
        else:
            for line in self.show(told):
                click.echo(line)


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
    platform.safe_streams()
    wanted = _asked(words, "--lang", "--idioma")
    if wanted in language.LANGUAGES:
        language.set_language(wanted)
    # click asks the standard library's gettext; these two lines make that our catalogue in the language in force.
    os.environ["LANGUAGE"] = language.current()
    gettext.bindtextdomain(language.DOMAIN, language.CATALOGUES)
    gettext.textdomain(language.DOMAIN)
    as_json = "--json" in words
    group = _Verbs("vistazo", help=tr("From your own pictures to a recogniser you can trust."),
                   params=[*_shared_options(), _version()],
                   options_metavar=tr("[OPTIONS]"), subcommand_metavar=tr("COMMAND [ARGS]..."))  # fmt: skip
    try:
        group.main(_after_the_verb(words), prog_name="vistazo", standalone_mode=False)
        _flush()
        return 0
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
