"""The verbs that go by what a network sees: embed, search."""

import shlex
from pathlib import Path
from typing import Any

import click

from vistazo.commands.options import Verb, every, exported_only, option, take_common, whole
from vistazo.errors import UsageError
from vistazo.language import mark, tr

__all__ = ["VERBS"]


PRETRAINED = "efficientnet_lite0"  # in the place of a model: it sees, and answers nothing


def _model(name: str) -> Any:
    """The model, which has to be one of pictures; or the pretrained network, where nothing else has its name."""
    from vistazo import platform, tasks

    if name == PRETRAINED and not Path(name).exists():
        platform.wait_quietly()
        from vistazo.classification.similar.published import published

        return published()
    model = tasks.load(name)
    if exported_only(model) and model.task == "classification":
        raise UsageError(
            tr(
                "{path} was exported to answer, and does not tell how alike pictures are: name the .vistazo file that "
                "it came from.",
                path=model.path,
            )
        )
    if not hasattr(model, "embed"):
        raise UsageError(
            tr("{name} is no model of pictures: embed and search need one that classifies them.", name=name)
        )
    return model


def _embed(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.engine.progress import Progress

    common = take_common(values)
    model = _model(values.pop("model"))
    say = Progress(quiet=common["quiet"]).say
    told: dict[str, Any] = model.embed(values.pop("source"), say=say, **_given(values))
    return told


def _search(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.engine.progress import Progress

    common = take_common(values)
    name = values.pop("model")
    words = list(values.pop("words"))
    verbs = [one for one in ("enrol", "identify", "forget") if values[one] is not None]
    if len(verbs) > 1:
        raise UsageError(tr("Only one of --enrol, --identify and --forget can be asked for at a time."))
    asked = {one: values.pop(one) for one in ("enrol", "identify", "forget")}
    if verbs:
        _refuse(values, {"identify": ("false_accept", "strangers", "top")}.get(verbs[0], ()), verbs[0])
    elif values["false_accept"] is not None or values["strangers"] is not None:
        raise UsageError(tr("--false-accept and --strangers belong to --identify PICTURE..."))
    model = _model(name)
    if asked["enrol"] is not None:
        told = model.enrol(asked["enrol"], words, index=values["index"])
        return {**told, "model": name, "did": "enrol"}
    if asked["forget"] is not None:
        if words:
            raise UsageError(tr("--forget takes one name and no pictures."))
        return {**model.forget(asked["forget"], index=values["index"]), "model": name, "did": "forget"}
    if asked["identify"]:
        given = {one: values[one] for one in ("index", "false_accept", "strangers", "top")}
        return {**model.identify(words, **_given(given)), "model": name, "did": "identify"}
    source, files, removed = _parted(words, values)
    for one in ("false_accept", "strangers", "remove"):
        values.pop(one)
    say = Progress(quiet=common["quiet"]).say
    told = model.search(source, files, remove=removed, say=say, **_given(values))
    return {**told, "model": name, "did": "search"}


def _parted(words: list[str], values: dict[str, Any]) -> tuple[str | None, list[str], list[str]]:
    """(source, pictures to search for, names to take out) of the words after MODEL."""
    if values["remove"]:
        return None, [], _named(words)
    if not words or _is_picture(words[0]) or values["add"] is not None:
        return None, words, []
    return words[0], words[1:], []


def _named(words: list[str]) -> list[str]:
    """The names that --remove takes out. Raises UsageError without one."""
    if not words:
        raise UsageError(tr("Name the pictures to take out: vistazo search MODEL --remove NAME..."))
    return words


def _is_picture(word: str) -> bool:
    from vistazo.pictures.folders import is_picture

    return is_picture(word) and not Path(word).is_dir()


def _refuse(values: dict[str, Any], takes: tuple[str, ...], verb: str) -> None:
    for name, value in values.items():
        if value and name not in ("index", *takes):
            raise UsageError(
                tr(
                    "--{name} does not go with --{verb}; leave it out.",
                    name=name.replace("_", "-"),
                    verb=verb,
                )
            )


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


# ---------------------------------------------------------------- what a person reads
def _show_embedded(told: dict[str, Any]) -> list[str]:
    from vistazo.classification.similar import telling

    return telling.embedded(told)


def _show_searched(told: dict[str, Any]) -> list[str]:
    from vistazo.classification.similar import telling

    model = shlex.quote(told["model"])
    show = {
        "search": telling.found,
        "enrol": telling.enrolled,
        "forget": telling.forgotten,
        "identify": telling.identified,
    }[told["did"]]
    return [*show(told), telling.next_command(told["did"], model)]


# ---------------------------------------------------------------- options
def _classes() -> click.Parameter:
    words = tr("text file with one class name a line, for IDX files")
    return option("classes", "--classes", "--clases", help=words)


def _embed_options() -> list[click.Parameter]:
    return [
        click.Argument(["model"], type=click.UNPROCESSED, metavar=tr("MODEL")),
        click.Argument(["source"], type=click.UNPROCESSED, metavar=tr("SOURCE")),
        option(
            "out",
            "--out",
            "--salida",
            help=tr("folder for features.parquet, the maps as .png and a page of them (default: embeddings)"),
        ),
        option(
            "seed",
            "--seed",
            "--semilla",
            type=whole(0),
            help=tr("number that everything random is drawn from"),
        ),
        _classes(),
        every(),
    ]


def _search_options() -> list[click.Parameter]:
    return [
        click.Argument(["model"], type=click.UNPROCESSED, metavar=tr("MODEL")),
        click.Argument(["words"], nargs=-1, type=click.UNPROCESSED, metavar=tr("[SOURCE] [PICTURE...]")),
        option(
            "index",
            "--index",
            "--indice",
            help=tr("folder of the index (default: search, in the model's run folder)"),
        ),
        option(
            "top",
            "--top",
            "--mejores",
            type=whole(1),
            help=tr("neighbours told of each picture (default: 10)"),
        ),
        option(
            "itself",
            "--itself",
            "--incluida",
            is_flag=True,
            type=bool,
            default=None,
            help=tr("a picture may be its own neighbour"),
        ),
        option("out", "--out", "--salida", help=tr("folder for a page with the pictures side by side")),
        option("add", "--add", "--agregar", help=tr("add the pictures of a source to the index")),
        option(
            "remove",
            "--remove",
            "--quitar",
            is_flag=True,
            type=bool,
            default=None,
            help=tr("take the pictures named after MODEL out of the index"),
        ),
        option(
            "enrol", "--enrol", "--inscribir", help=tr("the name of who or what the pictures after it show")
        ),
        option(
            "identify",
            "--identify",
            "--identificar",
            is_flag=True,
            type=bool,
            default=None,
            help=tr("say who or what of those enrolled the pictures show, or that it is unknown"),
        ),
        option("forget", "--forget", "--olvidar", help=tr("take a name that was enrolled out again")),
        option(
            "false_accept",
            "--false-accept",
            "--falsa-aceptacion",
            help=tr("share of strangers that may be taken for somebody enrolled (default: 1%)"),
        ),
        option(
            "strangers",
            "--strangers",
            "--extranos",
            help=tr("source of pictures of nobody enrolled, which the threshold is taken from"),
        ),
        _classes(),
        every(),
    ]


VERBS: dict[str, Verb] = {
    "embed": Verb(
        "incrustar",
        mark("draw maps of what a model sees in the pictures of a source"),
        _embed,
        _show_embedded,
        _embed_options,
    ),
    "search": Verb(
        "buscar",
        mark("find similar pictures, or say who or what a picture shows"),
        _search,
        _show_searched,
        _search_options,
    ),
}
