"""Who may come in: the service's own rules of hosts, origins and token, for pages and for their websocket.

A browser cannot send `Authorization` when a person types an address, so the token may stand in the address once; from
there on a cookie holds it. The language is a cookie too: everything that comes of a request, and every message over a
page's websocket, speaks as its cookie says.
"""

import hmac
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from vistazo import language
from vistazo.language import tr
from vistazo.serving.limits import Limits, Rules
from vistazo.serving.logs import Log
from vistazo.serving.refusing import Refused
from vistazo.serving.settings import LOOPBACK
from vistazo.serving.visits import Visit

__all__ = ["LANGUAGE", "POLICY", "Entrance"]

LANGUAGE, TOKEN = "vistazo_language", "vistazo_token"  # cookies; the token's name ends in the port
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
        self.app, self.token, self.speaks = _Doors(app, rules), token, speaks

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        cookies = _cookies(scope)
        wanted = cookies.get(LANGUAGE, "")
        language.set_language(wanted if wanted in language.LANGUAGES else self.speaks)
        if self.token is not None:
            if self._equal(cookies.get(_token_name(scope), "")):
                bearer = (b"authorization", b"Bearer " + self.token.encode())
                others = [one for one in scope["headers"] if one[0].lower() != b"authorization"]
                scope = {**scope, "headers": [*others, bearer]}
            elif _typed(scope):
                await self._ask(scope, send)
                return
        lasting = scope["path"].startswith(_LASTING)
        await self.app(scope, receive, _kept(send) if lasting else send)

    def _equal(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self.token or "").encode())

    async def _ask(self, scope: Any, send: Any) -> None:
        """Take the token out of the address into a cookie; without it, say what is missing."""
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = asked.pop("token", [""])[0]
        if not self._equal(given):
            await _answer(send, 401, _asks_for_token(), (b"www-authenticate", b"Bearer"))
            return
        rest = urlencode(asked, doseq=True)
        # Never another host, and nothing that a header cannot hold.
        where = "/" + quote(scope["path"].lstrip("/\\")) + ("?" + rest if rest else "")
        cookie = f"{_token_name(scope)}={given}; Path=/; HttpOnly; SameSite=Strict"
        await _answer(send, 303, "", (b"location", where.encode()), (b"set-cookie", cookie.encode()))


class _Doors(Limits):
    """The rules of the service, refused in words that help who opens the studio."""

    def _admit(self, scope: Any, visit: Visit) -> None:
        try:
            super()._admit(scope, visit)
        except Refused as refusal:
            sentence = refusal.sentence
            if refusal.status == 401:
                sentence = _asks_for_token()
            elif refusal.status == 403 and visit.host in self._good_hosts:
                sentence = tr("Pages of other sites get nothing from the studio.")
            elif refusal.status == 403:
                named = re.fullmatch(rb"([A-Za-z0-9._-]{1,99})(:\d+)?", visit.host or b"")
                sentence = tr(
                    "The studio is not to be called by this name. To allow it, start the studio with --allow-host "
                    "{name}.",
                    name=named[1].decode() if named else "NAME",
                )
            raise Refused(refusal.status, sentence, *refusal.more, close=refusal.close) from None


def _asks_for_token() -> str:
    return tr("This studio asks for a token: open the address that it printed when it was started.")


def _token_name(scope: Any) -> str:
    """The cookie of the token: a browser gives the cookies of all ports to each, so two studios need two names."""
    host = next((value for name, value in scope["headers"] if name.lower() == b"host"), b"")
    port = re.search(rb":(\d{1,5})$", host)  # as the browser sees it: a tunnel may have another one
    return f"{TOKEN}_{port[1].decode() if port else 80}"


def _typed(scope: Any) -> bool:
    """Whether a person asks for a page, and not a program that may send the token as a header."""
    headers = {name.lower() for name, _ in scope["headers"]}
    return scope["type"] == "http" and scope["method"] == "GET" and b"authorization" not in headers


def _cookies(scope: Any) -> dict[str, str]:
    """Cookies by name. Taken apart by hand: http.cookies loses all of them for one that another program spelt oddly."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name.lower() == b"cookie":
            for one in value.decode("latin-1").split(";"):
                key, _, text = one.partition("=")
                found.setdefault(key.strip(), text.strip())
    return found


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
