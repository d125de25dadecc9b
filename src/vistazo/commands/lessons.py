"""The verbs to learn by: museum, inside."""

import shlex
from pathlib import Path
from typing import Any

import click

from vistazo.commands.options import Verb, exported_only, fetched, option, take_common, whole
from vistazo.errors import ConfigError, UsageError
from vistazo.language import mark, tr

__all__ = ["VERBS"]


def _museum(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.museum import exhibits

    take_common(values)
    name, file, out = (values.pop(one) for one in ("name", "file", "out"))
    if name is None:
        return {"exhibits": exhibits.listing()}
    return exhibits.visit(name, file, out, **values)


def _inside(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks
    from vistazo.classification.inside import look
    from vistazo.classification.models import models
    from vistazo.engine.progress import Progress

    common, name, given = take_common(values), values["model"], values["given"]
    if name in models and not Path(name).exists():
        if any(values[one] is not None for one in ("given", "out", "layer", "units")):
            raise ConfigError(
                tr(
                    "{name} is a network that has learnt nothing yet: its layers can be listed, and there is nothing "
                    "more to see. Name a trained model.",
                    name=name,
                )
            )
        return look.registered(name)
    model = tasks.load(name)
    if model.task != "classification":
        raise UsageError(tr("Only models of pictures can be looked into; this one is of the task {task}.",
                            task=tr(model.task)))  # fmt: skip
    if exported_only(model):
        raise UsageError(
            tr(
                "{path} was exported to answer, and cannot be looked into: name the .vistazo file that it came from.",
                path=model.path,
            )
        )
    say = Progress(quiet=common["quiet"]).say
    if given is not None:
        given = fetched(given, common["quiet"])
    return look.look(model, given, values["out"], layer=values["layer"], units=values["units"], say=say)


# ---------------------------------------------------------------- what a person reads
def _show_museum(told: dict[str, Any]) -> list[str]:
    from vistazo.museum.exhibits import called

    if "exhibits" in told:
        names = [called(one["name"]) for one in told["exhibits"]]
        wide = max(map(len, names))
        lines = [
            f"{name:<{wide}}  {one['about']} ({one['kind']})"
            for name, one in zip(names, told["exhibits"], strict=True)
        ]
        return [*lines, tr("next:   vistazo museum NAME [FILE]")]
    name = called(told["name"])
    return [
        *told["lines"],
        tr("page:   {path}", path=told["page"]),
        tr("next:   vistazo museum {name} FILE, with a picture of your own", name=name),
    ]


def _show_inside(told: dict[str, Any]) -> list[str]:
    from vistazo.classification.inside.telling import table_lines
    from vistazo.engine.reports import number

    model = shlex.quote(told["model"])
    if "units" in told:
        lines = [tr("layer {name}", name=told["layer"])]
        for one in told["units"]:
            liked = ", ".join(
                f"{_last(picture)} ({number(picture['value'], 2)})" for picture in one["pictures"][:3]
            )
            lines.append(tr("unit {n}: {pictures}", n=one["unit"], pictures=liked))
        if told["unreadable"]:
            lines.append(tr("could not be read: {n}", n=len(told["unreadable"])))
        return [*lines, tr("page:   {path}", path=told["page"])]
    if "page" not in told:
        if told["model"] == told["network"]:
            return [*table_lines(told), tr("next:   vistazo train SOURCE --model {name}", name=model)]
        return [*table_lines(told), tr("next:   vistazo inside {model} PICTURE --out inside", model=model)]
    lines = [] if "picture" in told else table_lines(told)
    return [
        *lines,
        tr("page:   {path}", path=told["page"]),
        tr("next:   vistazo inside {model} SOURCE --out inside (what each unit likes most)", model=model),
    ]


def _last(picture: dict[str, Any]) -> str:
    """A picture's file name; its class before it, for many classes have a 001.png."""
    file = picture["file"].replace("\\", "/").rpartition("/")[2]
    return f"{picture['class']}/{file}" if picture["class"] else file


# ---------------------------------------------------------------- their options
def _museum_parameters() -> list[click.Parameter]:
    text = click.UNPROCESSED
    number = click.FloatRange()
    number.name = tr("number")
    return [
        click.Argument(["name"], type=text, required=False, metavar=tr("[NAME]")),
        click.Argument(["file"], type=text, required=False, metavar=tr("[FILE]")),
        option("out", "--out", "--salida", help=tr("folder for the page and its pictures (default: museum/NAME)")),
        option(
            "kernel",
            "--kernel",
            "--nucleo",
            help=tr("kernels by name, as in sharpen,blur, or the numbers of one, as in \"1 0 -1; 1 0 -1; 1 0 -1\""),
        ),
        option("operation", "--operation", "--operacion", help=tr("convolution (default) or correlation")),
        option("stride", "--stride", "--paso", type=whole(1), help=tr("pixels from one place to the next")),
        option("padding", "--padding", "--relleno", help=tr("same, valid, full or a number of pixels of zeros")),
        option("threshold", "--threshold", "--umbral", type=number,
               help=tr("sums above it are shown white (default: 50 for edges)")),
        option("size", "--size", "--tamano", type=whole(1), help=tr("pixels of a pooling's window (default: 2)")),
    ]  # fmt: skip


def _inside_parameters() -> list[click.Parameter]:
    text = click.UNPROCESSED
    return [
        click.Argument(["model"], type=text, metavar=tr("MODEL")),
        click.Argument(["given"], type=text, required=False, metavar=tr("[FILE|SOURCE]")),
        option("out", "--out", "--salida", help=tr("folder for the page and its pictures (default: inside)")),
        option(
            "layer",
            "--layer",
            "--capa",
            help=tr("a layer, by its number or name (default: several, or the last)"),
        ),
        option("units", "--units", "--unidades", help=tr("units of the layer, as in 1-16 or 3,17")),
    ]


VERBS: dict[str, Verb] = {
    "inside": Verb(
        "dentro",
        mark("look inside a network: layers, filters, feature maps, what units like"),
        _inside,
        _show_inside,
        _inside_parameters,
    ),
    "museum": Verb(
        "museo",
        mark("lessons on kernels, pooling and convolutional networks"),
        _museum,
        _show_museum,
        _museum_parameters,
    ),
}
