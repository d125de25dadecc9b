"""One request as the service sees it: who asks, in which language, and what is told of it afterwards."""

import itertools
import re
import secrets
from collections.abc import Callable, Iterable
from time import perf_counter

from vistazo.language import LANGUAGES, current

__all__ = ["Visit", "language_of", "new_id"]

_OWN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PREFIX = secrets.token_hex(4)
_next_number: Callable[[], int] = itertools.count(1).__next__

Headers = Iterable[tuple[bytes, bytes]]


def new_id() -> str:
    """A name for a request that no other of this process has."""
    return f"{_PREFIX}-{_next_number():x}"


class Visit:
    """What the service knows of a request.

    request: its name. length: the body's as declared, or -1. chunked: whether the body is sent in chunks.
    label: the route for logs and figures. model: the model asked. received: bytes of the body that were read.
    """

    __slots__ = (
        "authorization", "began", "chunked", "host", "label", "languages", "length", "media_type", "model",
        "origin", "received", "repeated", "request", "status",
    )  # fmt: skip

    def __init__(self, headers: Headers) -> None:
        self.began = perf_counter()
        self.request = ""
        self.host: bytes | None = None
        self.origin: bytes | None = None
        self.authorization = b""
        self.media_type = ""
        self.languages = b""
        self.length = -1
        self.chunked = False
        self.repeated = False  # whether a header stands twice that may stand once
        self.label = ""
        self.model = ""
        self.received = 0
        self.status = 0
        for name, value in headers:
            if name == b"host":
                self.repeated |= self.host is not None
                self.host = value
            elif name == b"content-type":
                self.media_type = value.decode("latin-1")
            elif name == b"content-length":
                self.length = int(value) if value.isdigit() and len(value) < 19 else 1 << 62
            elif name == b"transfer-encoding":
                self.chunked = True
            elif name == b"origin":
                self.repeated |= self.origin is not None
                self.origin = value
            elif name == b"authorization":
                self.repeated |= bool(self.authorization)
                self.authorization = value
            elif name == b"accept-language":
                self.languages = value
            elif name == b"x-request-id" and _OWN_ID.fullmatch(value):
                self.request = value.decode("ascii")
        if not self.request:
            self.request = new_id()

    @property
    def language(self) -> str:
        """The language that the answer's sentences are in."""
        return language_of(self.languages)


def language_of(accepted: bytes) -> str:
    """The first language of an Accept-Language header that the service speaks, by weight; else the server's own."""
    if not accepted:
        return current()
    found: list[tuple[float, str]] = []
    for part in accepted[:200].decode("latin-1").lower().split(","):
        name, _, rest = part.strip().partition(";")
        weight = 1.0
        if rest.strip().startswith("q="):
            try:
                weight = float(rest.strip()[2:])
            except ValueError:
                continue
        short = name.strip().partition("-")[0]
        if short in LANGUAGES and 0 < weight <= 1:
            found.append((-weight, short))
    return min(found, key=lambda one: one[0])[1] if found else current()
