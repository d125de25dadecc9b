"""Messages in the user's language.

A message is written in English where it is used, `tr("{n} pictures", n=5)`, and looked up in the
catalogue of the language in force (`locale/<language>/LC_MESSAGES/vistazo.po`, compiled to `.mo`
by `make messages`). Texts that are defined away from their use (help of a setting, a table's
heading) are marked with `mark` and translated when shown. A test holds every catalogue complete.

The language in force is a context variable, so that one server can answer two people at once.
"""

import errno
import gettext
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from vistazo import platform

__all__ = ["LANGUAGES", "current", "mark", "reason_of_system", "set_language", "speaking", "tr"]

LANGUAGES = ("en", "es")
DOMAIN = "vistazo"
CATALOGUES = Path(__file__).parent / "locale"

_language: ContextVar[str | None] = ContextVar("language", default=None)


@cache
def _system() -> str:
    found = platform.system_language()
    return found if found in LANGUAGES else "en"


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, CATALOGUES, languages=[language], fallback=True)


def current() -> str:
    """The language in force: 'en' or 'es'."""
    return _language.get() or _system()


def set_language(language: str | None) -> None:
    """Speak `language` from here on in this context; None returns to the system's."""
    if language is not None and language not in LANGUAGES:
        raise ValueError(f"language is one of {LANGUAGES}, not {language!r}")
    _language.set(language)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak `language` inside a `with` block."""
    if language not in LANGUAGES:
        raise ValueError(f"language is one of {LANGUAGES}, not {language!r}")
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def mark(message: str) -> str:
    """Mark a message for the catalogues; it is translated with `tr` where it is shown."""
    return message


def tr(message: str, /, **values: object) -> str:
    """`message` in the language in force, its `{names}` filled in.

    The values are filled in after the look-up, so a file's name can never act as a template.
    """
    text = _catalogue(current()).gettext(message) if message else ""
    return text.format(**values) if values else text


# In the words of Linux, so that what is not here reads alike in English.
_REASONS = {
    errno.EACCES: mark("Permission denied"),
    errno.EADDRINUSE: mark("Address already in use"),
    errno.EADDRNOTAVAIL: mark("Cannot assign requested address"),
    errno.EIO: mark("Input/output error"),
    errno.EISDIR: mark("Is a directory"),
    errno.EMFILE: mark("Too many open files"),
    errno.ENAMETOOLONG: mark("File name too long"),
    errno.ENOENT: mark("No such file or directory"),
    errno.ENOMEM: mark("Cannot allocate memory"),
    errno.ENOSPC: mark("No space left on device"),
    errno.ENOTDIR: mark("Not a directory"),
    errno.EPERM: mark("Operation not permitted"),
    errno.EROFS: mark("Read-only file system"),
}


def reason_of_system(error: Exception) -> str:
    """What the operating system complains of, in the language in force and without the path; other errors' own text."""
    if not isinstance(error, OSError):
        return str(error)
    number = error.errno or 0
    # An error that a library raises itself may carry words of its own, which tell more.
    its_own = error.strerror == os.strerror(number) or getattr(error, "winerror", None) is not None
    return tr(_REASONS[number]) if its_own and number in _REASONS else error.strerror or str(error)
