"""Who may come in: the service's own rules of hosts, origins and token, for pages and for their websocket.

A browser cannot send `Authorization` when a person types an address, so the token may stand in the address once; from
there on a cookie holds it. The language is a cookie too: everything that comes of a request, and every message over a
page's websocket, speaks as its cookie says.
"""

import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode

from vistazo import language
from vistazo.language import tr
from vistazo.serving.limits import Limits, Rules
from vistazo.serving.logs import Log
from vistazo.serving.settings import LOOPBACK

__all__ = ["LANGUAGE", "POLICY", "Entrance"]

LANGUAGE, TOKEN = "vistazo_language", "vistazo_token"  # cookies
# NiceGUI's own page has scripts in it and compiles templates; attributes such as onerror= never run, and nothing is
# asked of another host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; script-src-attr 'none'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
_LASTING = ("/_nicegui/",)  # files with their version in the address: a browser may keep them


class Entrance:
    """The middleware around an app. hosts: names beside this computer's own. token: None where none is asked for.

    speaks: the language of who has not chosen one.
    """

    def __init__(self, app: Any, *, hosts: Iterable[str], token: str | None, speaks: str) -> None:
        rules = Rules(
            hosts=frozenset(one.strip("[]").lower() for one in (*LOOPBACK, *hosts)),
            origins=frozenset(),
            token=token,
            limit=0,
            open=(),
            policy=POLICY,
            log=Log(requests=False),
        )
        self.app, self.token, self.speaks = Limits(app, rules), token, speaks

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        cookies = _cookies(scope)
        wanted = cookies.get(LANGUAGE, "")
        language.set_language(wanted if wanted in language.LANGUAGES else self.speaks)
        if self.token is not None:
            if self._equal(cookies.get(TOKEN, "")):
                bearer = (b"authorization", b"Bearer " + self.token.encode())
                others = [one for one in scope["headers"] if one[0].lower() != b"authorization"]
                scope = {**scope, "headers": [*others, bearer]}
            elif _typed(scope):
                await self._ask(scope, send)
                return
        lasting = scope["path"].startswith(_LASTING)
        await self.app(scope, receive, _kept(send) if lasting else send)

    def _equal(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self.token or "").encode())

    async def _ask(self, scope: Any, send: Any) -> None:
        """Take the token out of the address into a cookie; without it, say what is missing."""
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = asked.pop("token", [""])[0]
        if not self._equal(given):
            sentence = tr(
                "This studio asks for a token: open the address that it printed when it was started."
            )
            await _answer(send, 401, sentence, (b"www-authenticate", b"Bearer"))
            return
        rest = urlencode(asked, doseq=True)
        where = "/" + scope["path"].lstrip("/\\") + ("?" + rest if rest else "")  # never another host
        cookie = f"{TOKEN}={given}; Path=/; HttpOnly; SameSite=Strict"
        await _answer(
            send, 303, "", (b"location", where.encode("ascii", "ignore")), (b"set-cookie", cookie.encode())
        )


def _typed(scope: Any) -> bool:
    """Whether a person asks for a page, and not a program that may send the token as a header."""
    headers = {name.lower() for name, _ in scope["headers"]}
    return scope["type"] == "http" and scope["method"] == "GET" and b"authorization" not in headers


def _cookies(scope: Any) -> dict[str, str]:
    found: SimpleCookie = SimpleCookie()
    try:
        for name, value in scope["headers"]:
            if name.lower() == b"cookie":
                found.load(value.decode("latin-1"))
    except CookieError:
        return {}
    return {name: one.value for name, one in found.items()}


def _kept(send: Any) -> Any:
    """The same answers, without `no-store`."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            store = (b"cache-control", b"no-store")
            message = {**message, "headers": [one for one in message["headers"] if tuple(one) != store]}
        await send(message)

    return sending


async def _answer(send: Any, status: int, sentence: str, *more: tuple[bytes, bytes]) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", b"default-src 'none'"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": sentence.encode() + b"\n"})
