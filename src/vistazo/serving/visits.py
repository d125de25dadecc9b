"""One request as the service sees it: who asks, in which language, and what is told of it afterwards."""

import itertools
import re
import secrets
from collections.abc import Callable, Sequence
from time import perf_counter

from vistazo.language import LANGUAGES, current

__all__ = ["Headers", "Visit", "language_of", "new_id"]

_OWN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PREFIX = secrets.token_hex(4)
_next_number: Callable[[], int] = itertools.count(1).__next__

Headers = Sequence[tuple[bytes, bytes]]
Whole = Callable[[int, bytes, bytes], None]


def new_id() -> str:
    """A name for a request that no other of this process has."""
    return f"{_PREFIX}-{_next_number():x}"


class Visit:
    """What the service knows of a request.

    request: its name. length: the body's as declared, or -1. chunked: whether the body is sent in chunks.
    encoding: what the body is packed in. label: the route for logs and figures. model: the model asked.
    received: bytes of the body that were read. repeated: whether a header stands twice that may stand once.
    whole: sends an answer in one piece, where the server below can: takes status, header lines and body.
    """

    __slots__ = (
        "authorization", "began", "chunked", "encoding", "host", "label", "languages", "length", "media_type", "model",
        "origin", "received", "repeated", "request", "status", "whole",
    )  # fmt: skip

    def __init__(self, headers: Headers) -> None:
        self.began = perf_counter()
        told = dict(headers)
        get = told.get
        self.host: bytes | None = get(b"host")
        self.origin: bytes | None = get(b"origin")
        self.authorization = get(b"authorization", b"")
        self.media_type = get(b"content-type", b"").decode("latin-1")
        self.encoding = get(b"content-encoding", b"")
        self.languages = get(b"accept-language", b"")
        length = get(b"content-length", b"")
        self.length = -1 if not length else int(length) if length.isdigit() and len(length) < 19 else 1 << 62
        self.chunked = b"transfer-encoding" in told
        self.repeated = len(told) != len(headers) and _stands_twice(headers)
        name = get(b"x-request-id", b"")
        self.request = name.decode("ascii") if name and _OWN_ID.fullmatch(name) else new_id()
        self.label = self.model = ""
        self.received = self.status = 0
        self.whole: Whole | None = None

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


def _stands_twice(headers: Headers) -> bool:
    """Whether a name that decides who is let in stands in more than one header."""
    names = [name for name, _ in headers]
    return any(names.count(name) > 1 for name in (b"host", b"origin", b"authorization", b"content-length"))
