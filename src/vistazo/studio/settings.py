"""The settings of the studio. Free of torch and of everything that serves pages."""

from pathlib import Path

from pydantic import field_validator

from vistazo import platform
from vistazo.config import Config, setting
from vistazo.errors import SourceMissing
from vistazo.language import mark, tr

__all__ = ["StudioSettings"]


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
        if token is not None and not (token.isascii() and token.isprintable() and 8 <= len(token) <= 256):
            raise ValueError(tr("a token has 8 to 256 letters, digits or signs, without accents"))
        return token

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
