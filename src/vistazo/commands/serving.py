"""The verb that answers over the network: serve."""

import json
from typing import Any

import click

from vistazo.commands.options import Verb, derived, option, take_common
from vistazo.language import mark, tr
from vistazo.serving.asking import address_of, curl_line

__all__ = ["VERBS"]


def _serve(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.serving import running

    common = take_common(values)
    models, while_input = list(values.pop("models")), bool(values.pop("while_input"))
    words = [*models, *_words(values)]
    values = {name: value for name, value in values.items() if value not in (None, ())}

    def ready(told: dict[str, Any]) -> None:
        if common["json"]:
            click.echo(json.dumps(told, ensure_ascii=True))
        for line in _ready_lines(told, settings.token):
            if not common["quiet"]:
                click.echo(line, err=True)

    settings = running.settings_from(values)
    running.serve(
        models, settings, words=words, ready=ready, quiet=bool(common["quiet"]), while_input=while_input
    )
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
    one = told["models"][0]
    # Where it listens on every address of this computer, the line has one of them.
    here = told["url"].replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    return [
        tr("Serving {names} at {url}", names=names, url=told["url"]),
        curl_line(address_of(here, one["name"]), one["task"], token=bool(token)),
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
    # For programs that start a service of their own, as the studio does: it ends when they do, killed or not.
    found.append(option("while_input", "--while-input", is_flag=True, type=bool, hidden=True))
    return found


VERBS: dict[str, Verb] = {
    "serve": Verb(
        "servir", mark("answer over the network, until it is stopped"), _serve, lambda told: [], _options
    ),
}
