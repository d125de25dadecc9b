"""The verb that answers over the network: serve."""

import json
from typing import Any

import click

from vistazo.commands.options import Verb, derived, option, take_common
from vistazo.language import mark, tr

__all__ = ["VERBS"]


def _serve(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.serving import running

    common = take_common(values)
    models = list(values.pop("models"))
    words = [*models, *_words(values)]
    values = {name: value for name, value in values.items() if value not in (None, ())}

    def ready(told: dict[str, Any]) -> None:
        if common["json"]:
            click.echo(json.dumps(told, ensure_ascii=True))
        for line in _ready_lines(told, settings.token):
            if not common["quiet"]:
                click.echo(line, err=True)

    settings = running.settings_from(values)
    running.serve(models, settings, words=words, ready=ready, quiet=bool(common["quiet"]))
    return {}


def _words(values: dict[str, Any]) -> list[str]:
    """The options as they were given, but for the token."""
    found = []
    for name, value in values.items():
        if value is None or name == "token":
            continue
        for one in value if isinstance(value, tuple) else (value,):
            found += [f"--{name.replace('_', '-')}", str(one)]
    return found


def _ready_lines(told: dict[str, Any], token: str | None) -> list[str]:
    tasks = [one["task"] for one in told["models"]]
    named = zip((one["name"] for one in told["models"]), tasks, strict=True)
    names = ", ".join(f"{name} ({tr(task)})" for name, task in named)
    allowed = ' -H "Authorization: Bearer $VISTAZO_TOKEN"' if token else ""
    one = told["models"][0]
    kind, file = (
        ("image/jpeg", "picture.jpg") if one["task"] == "classification" else ("text/csv", "table.csv")
    )
    return [
        tr("Serving {names} at {url}", names=names, url=told["url"]),
        f"curl{allowed} -H 'Content-Type: {kind}' --data-binary @{file} {told['url']}/v1/models/{one['name']}/predict",
        tr("Ctrl-C ends it; what was accepted is answered first."),
    ]


def _options() -> list[click.Parameter]:
    from vistazo.serving.settings import OPTIONS, ServeSettings

    several = {"allow_host", "allow_origin"}
    found: list[click.Parameter] = [
        click.Argument(["models"], nargs=-1, type=click.UNPROCESSED, metavar=tr("MODEL..."))
    ]
    for name in OPTIONS:
        one = derived(ServeSettings, only=name)[0]
        if name in several:
            assert isinstance(one, click.Option)
            one = option(
                name, *one.opts, multiple=True, help=tr(str(ServeSettings.model_fields[name].description))
            )
        found.append(one)
    return found


VERBS: dict[str, Verb] = {
    "serve": Verb(
        "servir", mark("answer over the network, until it is stopped"), _serve, lambda told: [], _options
    ),
}
