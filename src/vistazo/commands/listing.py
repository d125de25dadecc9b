"""The verbs that list what there is: models, recipes."""

from typing import Any

import click

from vistazo.commands.options import Verb, derived, option, whole
from vistazo.errors import UsageError
from vistazo.language import mark, tr

__all__ = ["VERBS"]


def _models(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    given = {name: values.pop(name) for name in ("network", "numbers", "size", "channels", "classes")}
    if given["network"]:
        return _network(values["name"], given)
    for name, value in given.items():
        if value is not None:
            raise UsageError(tr("--{name} is asked of a network in words: give --network too.", name=name))
    if values["name"] is not None:
        from vistazo.classification.inside import look

        for task in tasks.tasks:
            others = [] if task == "classification" else tasks.tasks[task].models().models
            if values["name"] in others:
                called = tr(task)
                raise UsageError(
                    tr(
                        "Layers are listed of networks for pictures; {name} is one of the task {task}. What there is: "
                        "vistazo models",
                        name=values["name"],
                        task=called,
                    )
                )
        return look.registered(values["name"])

    return {
        "models": [
            {"task": task, **one} for task in tasks.tasks for one in tasks.tasks[task].models().listing()
        ]
    }


def _network(name: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """The table of a network in words, without any pictures."""
    from vistazo.classification import in_words
    from vistazo.classification.config import ClassificationConfig
    from vistazo.config import build

    if name is not None:
        raise UsageError(tr("A name and --network are two networks: leave out one of them."))
    classes = given.pop("classes") or 10
    settings = {one: value for one, value in given.items() if value is not None}
    return in_words.told(build(ClassificationConfig, settings), classes)


def _recipes(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.classification.recipes import recipes

    return {
        "recipes": [
            {"name": name, "model": recipes[name].model, "help": tr(recipes[name].help)} for name in recipes
        ]
    }


# ---------------------------------------------------------------- what a person reads
def _show_models(told: dict[str, Any]) -> list[str]:
    from vistazo.engine.reports import number

    if "words" in told:
        from vistazo.classification import in_words

        return in_words.told_lines(told)
    if "layers" in told:
        from vistazo.classification.inside.telling import table_lines

        return [*table_lines(told), tr("next:   vistazo train SOURCE --model {name}", name=told["model"])]
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


def _show_recipes(told: dict[str, Any]) -> list[str]:
    wide = max(len(one["name"]) for one in told["recipes"])
    lines = [f"{one['name']:<{wide}} {one['help']} ({one['model']})" for one in told["recipes"]]
    return [*lines, tr("next:   vistazo train SOURCE --recipe NAME")]


def _models_parameters() -> list[click.Parameter]:
    from vistazo.classification.config import ClassificationConfig

    return [
        click.Argument(["name"], type=click.UNPROCESSED, required=False, metavar=tr("[NAME]")),
        *derived(ClassificationConfig, only="network"),
        *derived(ClassificationConfig, only="numbers"),
        option("size", "--size", "--tamano", help=tr("size of the pictures of --network (default: 28)")),
        option("channels", "--channels", "--canales", help=tr("1 for grey, 3 for colour (default: 1)")),
        option(
            "classes",
            "--classes",
            "--clases",
            type=whole(1),
            help=tr("how many classes --network tells apart (default: 10)"),
        ),
    ]


VERBS: dict[str, Verb] = {
    "models": Verb(
        "modelos", mark("list the networks, or the layers of one"), _models, _show_models, _models_parameters
    ),
    "recipes": Verb("recetas", mark("list the recipes"), _recipes, _show_recipes, list),
}
