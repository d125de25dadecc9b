"""What an address is, and what may be told of it: no user, no password, no value that could be a key."""

import re
from typing import TypeGuard
from urllib.parse import unquote

__all__ = ["host", "is_url", "lost", "name_of", "safe_name", "scheme_of", "scrubbed", "shown"]

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+(?:://[^:]*)?::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_HARMLESS = frozenset(
    {"download", "dl", "raw", "version", "format", "alt", "export"}
)  # values that are no secret


# ---------------------------------------------------------------- what an address is
def is_url(source: object) -> TypeGuard[str]:
    """Whether a source is an address: 's3://…', 'zip::https://…'. A drive letter is none."""
    return isinstance(source, str) and _URL.match(source) is not None


def scheme_of(url: str) -> str:
    """How an address begins: 'https', 's3'; of 'zip://a::https://b' it is 'zip'."""
    return url.partition("://")[0].lower()


def safe_name(name: str) -> str:
    """A file name without folders and without letters that a file system may refuse; 'source' where nothing is left."""
    tail = name.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"[^\w.() +-]", "_", tail).strip(" .")[-100:] or "source"


def name_of(url: str) -> str:
    """A short name for what lies at an address: 'flowers' of 'https://a.example/flowers.tar.gz?k=1'."""
    tail = shown(url).partition("?")[0].rstrip("/").rpartition("/")[2]
    return re.sub(r"[^\w-]", "_", unquote(tail).split(".")[0]).strip("_") or "remote"


# ---------------------------------------------------------------- what may be told of an address
def shown(url: str) -> str:
    """An address as it may be printed and stored: no user, no password, no value that could be a key.

    >>> shown("https://ana:secreto@datos.example/a b.zip?download=1&token=abc#x")
    'https://datos.example/a b.zip?download=1&token=...'
    """
    return "::".join(map(_shown_link, url.split("::")))


def _shown_link(link: str) -> str:
    head, mark, query = link.split("#", 1)[0].partition("?")
    scheme, slashes, rest = head.partition("://")
    if slashes:
        host, slash, path = rest.partition("/")
        head = f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"
    pairs = (pair.partition("=") for pair in query.split("&"))
    kept = (
        f"{name}{equals}{value}" if name in _HARMLESS else f"{name}=..." if equals else "..."
        for name, equals, value in pairs
        if name
    )
    return head + mark + "&".join(kept)


def lost(url: str) -> bool:
    """Whether an address is a shown one that had a key once, so that it cannot be asked any more."""
    return "=..." in url or url.endswith("?...")


def host(url: str) -> str:
    """Whom an address asks: 'datos.example'."""
    return shown(url).partition("://")[2].partition("/")[0]


def scrubbed(text: str) -> str:
    """A message of somebody else's, every address in it as `shown`."""
    return _ADDRESS.sub(lambda found: shown(found[0]), text)
