"""What stands before every route: hosts, origins, the token, request ids, security headers, the size of bodies.

Plain ASGI, so that it costs microseconds and that a page (the studio) can stand behind it too. Sources: Fetch
(origins), RFC 9110 (statuses), OWASP on DNS rebinding.
"""

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from vistazo.language import speaking, tr
from vistazo.serving.logs import Log
from vistazo.serving.measures import Measures
from vistazo.serving.refusing import Refused, body_of
from vistazo.serving.settings import LOOPBACK, ServeSettings
from vistazo.serving.visits import Visit

__all__ = [
    "OPEN",
    "POLICY",
    "SMALL",
    "App",
    "Limits",
    "Receive",
    "Rules",
    "Scope",
    "Send",
    "answer",
    "respond",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/healthz", "/readyz")  # what needs no token: they tell nothing but that the service lives
POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_JSON = (b"content-type", b"application/json")
SMALL = 65_536  # bytes of an unread body that are let pass, to keep the connection


@dataclass(frozen=True, eq=False)
class Rules:
    """Who is let in, and what every answer carries.

    hosts: names a request may call the service by, '*' for any. origins: of web pages, besides the service's own.
    open: paths that need no token. policy: the Content-Security-Policy.
    """

    hosts: frozenset[str]
    origins: frozenset[str]
    token: str | None
    limit: int
    open: tuple[str, ...] = OPEN
    policy: str = POLICY
    log: Log = field(default_factory=Log)
    measures: Measures = field(default_factory=Measures)

    @classmethod
    def of(cls, settings: ServeSettings, **more: Any) -> "Rules":
        """The rules of a service's settings."""
        names = {*LOOPBACK, settings.host, *settings.allow_host}
        if settings.host not in LOOPBACK:
            names.add(socket.gethostname())
        return cls(
            hosts=frozenset(one.strip("[]").lower() for one in names),
            origins=frozenset(one.lower().rstrip("/") for one in settings.allow_origin),
            token=settings.token,
            limit=settings.limit,
            **more,
        )


class Limits:
    """ASGI middleware that lets a request through, or answers it with the reason why not."""

    def __init__(self, app: App, rules: Rules) -> None:
        self.app, self.rules = app, rules
        self._secret = None if rules.token is None else rules.token.encode()
        self._headers = (
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", rules.policy.encode()),
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
        )
        self._lines = b"".join(b"%b: %b\r\n" % header for header in self._headers)
        self._good_hosts: set[bytes] = set()  # Host headers seen and found good: one look-up the next time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        visit = Visit(scope["headers"])
        scope["vistazo"] = visit
        if kind == "websocket":
            try:
                self._admit(scope, visit)
            except Refused:
                await send({"type": "websocket.close", "code": 1008})
                return
            await self.app(scope, receive, send)
            return
        whole = scope.get("extensions", {}).get("vistazo.whole")
        if whole is not None and visit.origin is None:
            visit.whole = partial(whole, self._identified(visit))

        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                headers = [
                    *message.get("headers", ()),
                    (b"x-request-id", visit.request.encode()),
                    *self._headers,
                ]
                if visit.origin is not None and visit.origin.decode("latin-1").lower() in self.rules.origins:
                    headers += ((b"access-control-allow-origin", visit.origin), (b"vary", b"Origin"),
                                (b"access-control-expose-headers", b"X-Request-Id, Retry-After"))  # fmt: skip
                message["headers"] = headers
            await send(message)

        try:
            try:
                self._admit(scope, visit)
                if scope["method"] == "OPTIONS" and visit.origin is not None:
                    await self._preflight(told)
                else:
                    await self.app(scope, receive, told)
            except Refused as refusal:
                if visit.status:
                    raise
                await answer(told, visit, refusal)
            except Exception:
                self.rules.log.fault(visit)
                if visit.status:
                    raise
                with speaking(visit.language):
                    sentence = tr(
                        "This is a fault of the service. Its log tells more, under the request's name."
                    )
                await answer(told, visit, Refused(500, sentence, close=True))
        finally:
            visit.whole = (
                None  # it knows the connection, which knows the scope: freed now, without a collector
            )
            scope.pop("extensions", None)
            self.rules.measures.answered(visit)
            self.rules.log.request(scope, visit)

    def turn_away(self, visit: Visit, seconds: int) -> tuple[bytes, bytes, bytes]:
        """What refuses a request before anything was made of it: header lines of every answer, of this one, the body.

        It counts like any other; the log tells how many there were, not each. seconds: to wait.
        """
        visit.status = 429
        self.rules.measures.answered(visit)
        self.rules.log.turned_away(visit.model)
        lines, body = _busy(seconds, visit.language)
        return self._identified(visit), lines, body % visit.request.encode()

    def knows(self, visit: Visit) -> bool:
        """Whether a request is let in at a glance: by a name that was seen before, of no page, with the token."""
        if visit.repeated or visit.origin is not None or visit.host not in self._good_hosts:
            return False
        return self._secret is None or self._has_token(visit)

    def _identified(self, visit: Visit) -> bytes:
        return self._lines + b"x-request-id: %b\r\n" % visit.request.encode()

    def _has_token(self, visit: Visit) -> bool:
        assert self._secret is not None
        scheme, _, sent = visit.authorization.partition(b" ")
        return hmac.compare_digest(sent.strip(b" "), self._secret) and scheme.lower() == b"bearer"

    def _admit(self, scope: Scope, visit: Visit) -> None:
        """Raise Refused for a request that may not come in."""
        if visit.host not in self._good_hosts or visit.repeated:
            with speaking(visit.language):
                self._check_host(scope, visit)
        if visit.origin is not None and not self._good_origin(visit):
            with speaking(visit.language):
                raise _closing(visit, 403, tr("Pages of this origin may not call the service: start it with "
                                              "--allow-origin ORIGIN to let them."))  # fmt: skip
        if self._secret is not None and scope["path"] not in self.rules.open:
            if scope.get("method") == "OPTIONS" and visit.origin is not None:
                return  # a browser asks without the token whether it may ask with it
            if not self._has_token(visit):
                with speaking(visit.language):
                    raise _closing(visit, 401, tr("This service needs its token: Authorization: Bearer TOKEN."),
                                   (b"www-authenticate", b"Bearer"))  # fmt: skip

    def _check_host(self, scope: Scope, visit: Visit) -> None:
        if visit.repeated:
            raise _closing(visit, 400, tr("A header that may stand once stands twice."))
        name = _host_name((visit.host or b"").decode("latin-1"))
        if "*" in self.rules.hosts or name in self.rules.hosts or _arrived_at(scope, name):
            if visit.host is not None and len(self._good_hosts) < 100:
                self._good_hosts.add(visit.host)
            return
        plain = all(one.isascii() and (one.isalnum() or one in "._-") for one in name)
        shown = name if name and plain and len(name) < 100 else "NAME"
        raise _closing(visit, 403, tr("The service is not to be called by this name. To allow it, start the service "
                                      "with --allow-host {name}.", name=shown))  # fmt: skip

    def _good_origin(self, visit: Visit) -> bool:
        origin = (visit.origin or b"").decode("latin-1").lower()
        if origin in self.rules.origins:
            return True
        scheme, mark, rest = origin.partition("://")
        own = (visit.host or b"").decode("latin-1")  # which is good already
        name = _host_name(rest)
        same_port = _port_of(rest) == _port_of(own)
        return (
            bool(mark)
            and scheme in ("http", "https")
            and same_port
            and (name in self.rules.hosts or name == _host_name(own))
        )

    async def _preflight(self, send: Send) -> None:
        headers = [
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", b"authorization, content-type, accept-language, x-request-id"),
            (b"access-control-max-age", b"600"),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


@lru_cache(64)
def _busy(seconds: int, language: str) -> tuple[bytes, bytes]:
    """Header lines and body of a refusal, the request's name left open: in a crowd they are the same each time."""
    with speaking(language):
        refusal = Refused.busy(seconds)
    lines = b"".join([b"%b: %b\r\n" % header for header in (_JSON, *refusal.more)])
    return lines, body_of(refusal.sentence.replace("%", "%%"), "%b")


async def answer(send: Send, visit: Visit, refusal: Refused) -> None:
    """Send why a request was refused."""
    body = body_of(refusal.sentence, visit.request)
    headers = [_JSON, *refusal.more]
    if refusal.close or visit.length > SMALL or (visit.chunked and not visit.received):
        headers.append((b"connection", b"close"))
    await respond(send, visit, refusal.status, headers, body)


async def respond(
    send: Send, visit: Visit, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> None:
    """Send an answer, in one piece where the server below can: two cost the kernel twice."""
    if visit.whole is not None:
        visit.status = status
        visit.whole(status, b"".join([b"%b: %b\r\n" % header for header in headers]), body)
        return
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _closing(visit: Visit, status: int, sentence: str, *more: tuple[bytes, bytes]) -> Refused:
    """A refusal before the body was read: the connection ends where one is still to come that is not small."""
    return Refused(status, sentence, *more, close=visit.chunked or visit.length > SMALL)


def _host_name(host: str) -> str:
    """The name in a Host header, without the port; '' for what is none."""
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        good = bracket and (not rest or (rest[0] == ":" and rest[1:].isdigit()))
        return name.lower() if good else ""
    name, colon, port = host.partition(":")
    return "" if colon and not port.isdigit() else name.lower().rstrip(".")


def _port_of(host: str) -> str:
    return host.rpartition("]")[2].partition(":")[2]


def _arrived_at(scope: Scope, name: str) -> bool:
    """Whether a request calls the service by the very address it came to: no name, so nothing to rebind."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    server = scope.get("server")
    try:
        return server is not None and ipaddress.ip_address(server[0]) == address
    except ValueError:
        return False
