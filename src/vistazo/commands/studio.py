"""The verb that opens the studio: the whole cycle on pages."""

import json
import os
import sys
from typing import Any

import click

from vistazo import platform
from vistazo.commands.options import Verb, derived, option, take_common
from vistazo.language import mark, tr

__all__ = ["VERBS"]

_SEVERAL = ("folder", "allow_host")


def _studio(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo.config import build
    from vistazo.studio import app
    from vistazo.studio.settings import StudioSettings

    common, wanted = take_common(values), not values.pop("no_open")
    settings = build(StudioSettings, {name: one for name, one in values.items() if one not in (None, ())})
    listener = app.listening(settings.port)
    made = app.create(settings)
    address = app.address(listener, settings)

    def tell() -> None:
        """Before it ends: who waits for it needs the address now."""
        if common["json"]:
            click.echo(json.dumps({"url": address, "pid": os.getpid()}))
            sys.stdout.flush()
        elif not common["quiet"]:
            said = tr(
                "The studio is open at {address} (Ctrl+C ends it; what is learning goes on)", address=address
            )
            click.echo(said, err=True)
            if wanted and platform.watched():
                platform.show_page(address)

    app.serve(made, listener, tell)
    return {}


def _options() -> list[click.Parameter]:
    from vistazo.studio.settings import StudioSettings

    found: list[click.Parameter] = []
    for one in derived(StudioSettings):
        if one.name in _SEVERAL:
            one.multiple, one.default, one.nargs = True, (), 1
        found.append(one)
    words = tr("leave the browser closed")
    return [*found, option("no_open", "--no-open", "--no-abrir", is_flag=True, type=bool, help=words)]


def _show(told: dict[str, Any]) -> list[str]:
    return []


VERBS: dict[str, Verb] = {
    "studio": Verb("estudio", mark("do all of it on pages in the browser"), _studio, _show, _options)
}
