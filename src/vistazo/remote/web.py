"""One request to the web: what is asked, and what the answer means.

Only http and https are spoken, in redirects too. A code or a broken connection becomes one of two errors: Lost, which a
later try may mend, and Unreachable, which it will not.
Source: RFC 9110, sections 13 (conditions), 14 (ranges) and 15 (codes).
"""

import base64
import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from vistazo.errors import SourceMissing
from vistazo.language import reason_of_system, tr
from vistazo.remote.addresses import safe_name, scrubbed, shown

__all__ = ["Answer", "Facts", "Lost", "Unreachable", "facts_of", "piece", "request", "some"]

Answer = http.client.HTTPResponse

TIMEOUT = 30.0  # seconds in which a server has to say something
CHUNK = 1 << 18
_PASSING = frozenset({408, 425, 429})  # and every 5xx: a later try may find it better
_FILE_NAME = re.compile(r"""filename\*?=(?:[\w-]*'[\w-]*')?"?([^";]+)""", re.IGNORECASE)


class Unreachable(SourceMissing):
    """An address gives nothing, or not what was wanted; its text is a short reason."""


class Lost(Exception):
    """A fault that may pass. after: seconds that the server asks for. beyond: the part is longer than the file."""

    def __init__(self, reason: str, *, after: float = 0.0, beyond: bool = False) -> None:
        super().__init__(reason)
        self.after, self.beyond = after, beyond


@dataclass(frozen=True)
class Facts:
    """What a server says of a file: bytes (None where it does not), validators, type, and a name for it."""

    size: int | None
    etag: str
    modified: str
    type: str
    name: str

    @property
    def condition(self) -> str:
        """What If-Range takes: a strong ETag, else the date; empty where there is neither."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


# ---------------------------------------------------------------- one request
class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects stay on the web, never from https to http, and carry a password only to the host it is for."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in ("http", "https") or (old.scheme == "https" and new.scheme == "http"):
            raise Unreachable(tr("it leads to {address}, which is not followed", address=shown(newurl)))
        kept = {name: value for name, value in req.headers.items() if name.lower() != "host"}
        following = _asked(newurl, kept)
        secret = req.unredirected_hdrs.get("Authorization")
        if secret and (old.scheme, old.netloc) == (new.scheme, new.netloc):
            following.add_unredirected_header("Authorization", secret)
        return following


def _opener() -> urllib.request.OpenerDirector:
    """Speaks http and https and nothing else: no file, no ftp, no data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


def _asked(url: str, headers: Mapping[str, str]) -> urllib.request.Request:
    """The request for an address as people write it: spaces, accents, user:password@."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    place = f"[{host}]" if ":" in host else host
    place += f":{parts.port}" if parts.port else ""
    path, query = (quote(text, safe="/%:@!$&'()*+,;=~?-._") for text in (parts.path or "/", parts.query))
    plain = urlunsplit((parts.scheme, place, path, query, ""))
    told = {"User-Agent": "vistazo", "Accept-Encoding": "identity", **headers}
    request = urllib.request.Request(plain, headers=told)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        secret = base64.b64encode(pair.encode()).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    return request


def request(url: str, headers: Mapping[str, str]) -> Answer | None:
    """The server's answer of 200, or 206 where a Range was asked for; None for 304. Raises Lost or Unreachable."""
    try:
        answer: Answer = _opener().open(_asked(url, headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 304:
                return None
            raise _no(error) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            reason = error.reason.verify_message
            raise Unreachable(tr("its certificate is not valid ({reason})", reason=reason)) from error
        raise Lost(_reason(error.reason if isinstance(error.reason, Exception) else error)) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise Unreachable(tr("the address is not valid")) from error
    except (OSError, http.client.HTTPException) as error:
        raise Lost(_reason(error)) from error
    if answer.status not in (200, 206) or (answer.status == 206 and "Range" not in headers):
        with answer:
            raise Unreachable(tr("the server answers {code}", code=answer.status))
    return answer


def _no(error: urllib.error.HTTPError) -> Lost | Unreachable:
    """What a code that is no success means."""
    code = error.code
    said = tr("the server answers {code}", code=code)
    if code == 416:
        return Lost(said, beyond=True)
    if code in _PASSING or code >= 500:
        after = str(error.headers.get("Retry-After", ""))
        return Lost(said, after=float(after) if after.isdigit() else 0.0)
    if code in (401, 403, 407):
        return Unreachable(tr("the server wants a permission that it was not shown ({code})", code=code))
    if code in (404, 410):
        return Unreachable(tr("the server does not have it ({code})", code=code))
    return Unreachable(said)


def facts_of(answer: Answer, url: str) -> Facts:
    """What the headers of an answer say."""
    length = answer.headers.get("Content-Length", "")
    return Facts(
        size=int(length) if length.isdigit() else None,
        etag=answer.headers.get("ETag", ""),
        modified=answer.headers.get("Last-Modified", ""),
        type=answer.headers.get_content_type(),
        name=_name(answer, url),
    )


def _name(answer: Answer, url: str) -> str:
    """What the file is called: by the server, else by the address that was asked, else by where that led."""
    told = _FILE_NAME.search(answer.headers.get("Content-Disposition", ""))
    tails = [urlsplit(one).path.rpartition("/")[2] for one in (url, urljoin(url, answer.geturl()))]
    names = [told[1] if told else "", *(tail for tail in tails if "." in tail), *tails]
    return next((one for one in (safe_name(unquote(name)) for name in names) if one != "source"), "source")


def piece(answer: Answer) -> tuple[int, int | None]:
    """(first byte, bytes of the whole file or None) of a 206. Raises Lost where it does not say."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
    if not found:
        raise Lost(tr("it sends another piece than was asked for"))
    return int(found[1]), None if found[2] == "*" else int(found[2])


def some(answer: Answer) -> bytes:
    """Whatever has come, at once, empty at the end: a chunk that is waited for would be lost with the connection."""
    try:
        return answer.read1(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise Lost(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return tr("the server says nothing")
    text = reason_of_system(error)
    return scrubbed(text) or type(error).__name__
