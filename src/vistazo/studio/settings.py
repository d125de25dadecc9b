"""The settings of the studio. Free of torch and of everything that serves pages."""

import re
from pathlib import Path

from pydantic import field_validator

from vistazo import platform
from vistazo.config import Config, setting
from vistazo.errors import ConfigError, SourceMissing
from vistazo.language import mark, tr
from vistazo.serving.settings import ServeSettings

__all__ = ["StudioSettings"]

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{8,200}")


class StudioSettings(Config):
    """Where the studio is, what it may read and who may come in.

    folder: what may be read; None for the current directory and the home folder. It listens on this computer alone.
    """

    port: int = setting(
        8080, spanish="puerto", ge=0, le=65535, help=mark("port of the page, 0 for a free one")
    )
    folder: tuple[str, ...] | None = setting(
        None,
        spanish="carpeta",
        help=mark("folder that may be read; may be given several times (default: this folder and your own)"),
    )
    runs: str = setting("runs", spanish="entrenamientos", help=mark("folder that runs are kept in"))
    token: str | None = setting(
        None, spanish="ficha", help=mark("a word that the browser has to know (default: none)")
    )
    allow_host: tuple[str, ...] | None = setting(
        None,
        spanish="permitir_host",
        help=mark("another name under which this computer may be asked; may be given several times"),
    )

    @field_validator("token")
    @classmethod
    def _whole(cls, token: str | None) -> str | None:
        if token is not None and not _TOKEN.fullmatch(token):
            raise ConfigError(  # which does not repeat it
                tr(
                    "--token takes 8 to 200 letters without accents, digits and the signs . _ ~ - alone: an address "
                    "and a cookie have to hold it."
                )
            )
        return token

    @field_validator("allow_host")
    @classmethod
    def _names(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return names and ServeSettings(allow_host=names).allow_host  # the service's own rule and sentence

    def roots(self) -> tuple[Path, ...]:
        """The folders below which everything may be read, resolved. Raises SourceMissing where one is no folder."""
        if not self.folder:
            return tuple(dict.fromkeys(one.resolve() for one in (Path.cwd(), Path.home())))
        found = []
        for name in self.folder:
            path = platform.existing(name)
            if not path.is_dir():
                raise SourceMissing(tr("There is no folder at {path}. Check the path.", path=name))
            found.append(path.resolve())
        return tuple(dict.fromkeys(found))
