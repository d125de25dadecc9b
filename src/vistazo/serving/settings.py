"""The settings of a service; free of torch.

Those that `vistazo serve` has options for stand first; the others are for tests and for who embeds the service.
"""

import re

from pydantic import field_validator

from vistazo.config import Config, setting
from vistazo.errors import ConfigError
from vistazo.language import mark, tr

__all__ = ["LOOPBACK", "OPTIONS", "ServeSettings"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
OPTIONS = (
    "host", "port", "token", "allow_host", "allow_origin", "queue", "limit_mb", "threads", "index",
)  # fmt: skip
_TOKEN = re.compile(r"[\x21-\x7e]{8,200}")
_NAME = re.compile(r"\*|[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9._\-\[\]:]{1,260}")


class ServeSettings(Config):
    """How a service listens and what it lets in. Sizes in MB (10^6 bytes), times in seconds."""

    host: str = setting("127.0.0.1", help=mark("address to listen on"), spanish="anfitrion", min_length=1)
    port: int = setting(
        8000, help=mark("port to listen on; 0 takes a free one"), spanish="puerto", ge=0, le=65535
    )
    token: str | None = setting(
        None,
        help=mark("what a client must send as Authorization: Bearer; also from VISTAZO_TOKEN"),
        spanish="ficha",
    )
    allow_host: tuple[str, ...] = setting(
        (),
        help=mark("a further name under which the service may be called (repeatable)"),
        spanish="permitir-host",
    )
    allow_origin: tuple[str, ...] = setting(
        (),
        help=mark("a web page's origin, as https://example.org, that may call the service (repeatable)"),
        spanish="permitir-origen",
    )
    queue: int = setting(
        64,
        help=mark("inputs that may wait; more are told to come back later"),
        spanish="cola",
        ge=1,
        le=100_000,
    )
    limit_mb: float = setting(
        10.0, help=mark("largest body of a request, in MB"), spanish="limite-mb", gt=0, le=2000
    )
    threads: int | None = setting(
        None, help=mark("threads a model computes with (default: found out)"), spanish="hilos", ge=1, le=1024
    )
    index: str | None = setting(
        None, help=mark("folder of an index of similar pictures (vistazo search)"), spanish="indice"
    )
    head_seconds: float = setting(10.0, help="", gt=0)
    body_seconds: float = setting(20.0, help="", gt=0)
    idle_seconds: float = setting(60.0, help="", gt=0)
    unread_seconds: float = setting(60.0, help="", gt=0)
    drain_seconds: float = setting(25.0, help="", gt=0)
    linger_seconds: float = setting(0.5, help="", ge=0)
    reload_seconds: float = setting(1.0, help="", gt=0)
    connections: int = setting(2000, help="", ge=1)
    most_inputs: int = setting(1000, help="", ge=1)
    held_mb: float = setting(256.0, help="", gt=0)

    @field_validator("token")
    @classmethod
    def _secret(cls, token: str | None) -> str | None:
        if token is not None and not _TOKEN.fullmatch(token):
            raise ConfigError(
                tr(
                    "--token (or VISTAZO_TOKEN) takes 8 to 200 letters, digits and signs, without spaces and accents; "
                    "this one has {n}.",
                    n=len(token),
                )
            )
        return token

    @field_validator("allow_host")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    tr("--allow-host takes a name alone, as in example.org, not {name}.", name=repr(name))
                )
        return names

    @field_validator("allow_origin")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    tr(
                        "--allow-origin takes an origin, as in https://example.org, not {name}.",
                        name=repr(origin),
                    )
                )
        return origins

    @property
    def reading_seconds(self) -> float:
        """Seconds of a processor that the inputs of a request may take to be read: of photographs, a fifth of it."""
        return max(5.0, self.limit_mb / 2)

    @property
    def limit(self) -> int:
        """Bytes of the largest body."""
        return int(self.limit_mb * 1_000_000)
