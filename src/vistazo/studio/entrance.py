"""Who may come in: host, origin and token of every request, the websocket's too; and what every answer carries.

An ASGI middleware. The host has to be one that this computer is known by, so that a page of another site whose name
is made to mean 127.0.0.1 reads nothing; the origin has to be the studio's own, so that another site changes nothing.
"""

import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from vistazo import language
from vistazo.language import tr

__all__ = ["LANGUAGE", "POLICY", "Entrance"]

LANGUAGE, TOKEN = "vistazo_language", "vistazo_token"  # cookies
_OWN_NAMES = ("127.0.0.1", "localhost", "::1", "[::1]")
# NiceGUI's own page has scripts in it and compiles templates; attributes such as onerror= never run, and nothing is
# asked of another host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; script-src-attr 'none'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self' ws: wss:; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)


class Entrance:
    """The middleware around an app. hosts: names beside this computer's own. token: None where none is asked for."""

    def __init__(self, app: Any, *, hosts: Iterable[str], token: str | None, speaks: str) -> None:
        self.app, self.token, self.speaks = app, token, speaks
        self.hosts = {*_OWN_NAMES, *(one.lower() for one in hosts)}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        cookies = _cookies(headers.get("cookie", ""))
        wanted = cookies.get(LANGUAGE, "")
        # Everything that comes of this request, and every message over this websocket, speaks so.
        language.set_language(wanted if wanted in language.LANGUAGES else self.speaks)
        fault = self._fault(headers)
        if fault is not None:
            await _refuse(scope, receive, send, 403, fault)
            return
        if self.token is not None and not self._knows(headers, cookies):
            await self._ask(scope, receive, send)
            return
        await self.app(scope, receive, _with_headers(send))

    def _fault(self, headers: dict[str, str]) -> str | None:
        """Why a request is not answered, from its host and its origin; None where it is."""
        host = headers.get("host", "")
        if _name_of(host) not in self.hosts:
            return tr(
                "This studio is not known as {host}. Start it with: vistazo studio --allow-host {host}",
                host=_name_of(host)[:100] or "?",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return tr("Pages of {origin} may not ask this studio.", origin=origin[:100])
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return tr("Pages of other sites may not ask this studio.")
        return None

    def _knows(self, headers: dict[str, str], cookies: dict[str, str]) -> bool:
        bearer = headers.get("authorization", "")
        given = bearer[7:] if bearer[:7].lower() == "bearer " else cookies.get(TOKEN, "")
        return self._equal(given)

    def _equal(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self.token or "").encode())

    async def _ask(self, scope: Any, receive: Any, send: Any) -> None:
        """Take the token out of the address into a cookie; without it, say what is missing."""
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = asked.pop("token", [""])[0]
        if scope["type"] != "http" or scope["method"] != "GET" or not self._equal(given):
            await _refuse(
                scope,
                receive,
                send,
                401,
                tr("This studio asks for a token: open the address that it printed when it was started."),
            )
            return
        rest = urlencode(asked, doseq=True)
        cookie = f"{TOKEN}={given}; Path=/; HttpOnly; SameSite=Strict"
        where = "/" + scope["path"].lstrip("/") + ("?" + rest if rest else "")  # never another host
        headers = [(b"location", where.encode("latin-1", "replace")), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    name = host.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


def _cookies(header: str) -> dict[str, str]:
    found: SimpleCookie = SimpleCookie()
    try:
        found.load(header)
    except CookieError:
        return {}
    return {name: one.value for name, one in found.items()}


def _with_headers(send: Any) -> Any:
    """Every answer says what a browser may do with it; one that has a policy of its own keeps it."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            has = {name.lower() for name, _ in headers}
            for name, value in (
                (b"content-security-policy", POLICY),
                (b"x-content-type-options", "nosniff"),
                (b"referrer-policy", "no-referrer"),
                (b"x-frame-options", "SAMEORIGIN"),
            ):
                if name not in has:
                    headers.append((name, value.encode()))
            message = {**message, "headers": headers}
        await send(message)

    return sending


async def _refuse(scope: Any, receive: Any, send: Any, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await receive()  # the connection that is asked for
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await _with_headers(send)({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": (sentence + "\n").encode()})
