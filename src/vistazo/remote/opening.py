"""From an address to what can be read: a path on this computer, or a folder elsewhere.

A file is copied into the cache first; http and https are fetched by our own `fetching`, which resumes and needs no
other package. What did not change is not fetched again, and where nobody answers the copy that is there serves.
What was opened once stays the same for the whole command.
"""

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from vistazo import platform
from vistazo.errors import SourceError, SourceMissing
from vistazo.language import tr
from vistazo.remote import fetching
from vistazo.remote.addresses import lost, safe_name, scheme_of, shown
from vistazo.remote.copies import copies, digest, hold, keep
from vistazo.remote.folders import Folder, copy, filesystem, in_words, steadily, version_of
from vistazo.remote.web import Facts, Unreachable

__all__ = ["beside", "content", "folder_at", "opened"]

Say = Callable[[str], None]

_WEB = ("http", "https")
_HERE = ("file", "local")
_CACHES = frozenset({"simplecache", "filecache", "blockcache", "cached"})  # a copy is kept anyway
_ARCHIVES = frozenset({"zip", "tar", "libarchive"})  # alone, the whole archive, which is read here

_open: dict[str, Path | Folder] = {}  # by address
_asked: dict[Path, str] = {}  # the whole address of each copy


def opened(url: str, *, say: Say, anew: bool = False) -> Path | Folder:
    """What lies at an address. say: takes lines of progress. anew: it may have changed since it was opened.

    Raises SourceMissing, SourceDamaged, SourceError, MissingExtra, DiskError.
    """
    there = None if anew else _open.get(url)
    if there is None or (isinstance(there, Path) and not there.exists()):
        there = _open[url] = _find(url, say)
        if isinstance(there, Path):
            _asked[there] = url
    return there


def content(url: str, most: int) -> bytes:
    """The bytes at an address, such as one picture; nothing is kept. Raises SourceError, OSError, MissingExtra."""
    if scheme_of(url) in _WEB:
        return fetching.content(url, most)
    fs, root = filesystem(url)
    return Folder(shown(url), fs, "").read(root, most)


def folder_at(url: str) -> Folder:
    """The folder at an address, for reading files whose names are known. Raises MissingExtra, SourceError."""
    if scheme_of(url) in _WEB:
        return Folder(shown(url), None, url.rstrip("/") + "/")
    return Folder(shown(url), *filesystem(url))


def beside(path: Path) -> Folder | None:
    """The folder elsewhere that the file lies in which `path` is the copy of: where a table's pictures are."""
    url = _asked.get(path)
    if url is None or scheme_of(url) in _HERE:
        return None
    return folder_at(url.partition("?")[0].rpartition("/")[0] + "/")


# ---------------------------------------------------------------- the ways there
def _find(url: str, say: Say) -> Path | Folder:
    links = url.split("::")
    while len(links) > 1 and links[0].lower() in _CACHES | _ARCHIVES:
        links = links[1:]
    scheme = scheme_of(links[-1])
    if len(links) > 1:
        if scheme in _WEB:
            links[-1] = f"file://{_from_web(links[-1], say)}"
    elif scheme in _HERE:
        path = platform.existing(url2pathname(links[0].partition("://")[2])).absolute()
        if not path.exists():
            raise SourceMissing(tr("There is nothing at {path}. Check the path.", path=url))
        return path
    elif scheme in _WEB and not urlsplit(links[0]).path.endswith("/"):
        return _from_web(links[0], say)
    return _from_elsewhere("::".join(links), url, say)


def _from_elsewhere(link: str, url: str, say: Say) -> Path | Folder:
    fs, root = filesystem(link)
    folder = Folder(shown(url), fs, root)
    if scheme_of(link) in _WEB or not root.strip("/"):  # of the web, what a server lists as links
        return folder
    with in_words(shown(url)):
        about = steadily(lambda: fs.info(root))
    if about.get("type") != "file":
        return folder
    version = digest(version_of(about))
    size = about.get("size")
    facts = Facts(size, version, "", "", safe_name(root.rstrip("/").rpartition("/")[2]))

    def fill(path: Path) -> None:
        with in_words(shown(url)):
            copy(fs, root, path, version=version, size=size, say=say)

    return keep(url, facts, fill, say=say)


def _from_web(url: str, say: Say) -> Path:
    """The copy of a file of the web; the server is asked whether it is still the same."""
    kept = copies(url)
    newest = kept[-1] if kept and hold(kept[-1], say) else None
    if lost(url):
        if newest and len({one.key for one in kept}) == 1:  # of two keys, which it was is not known
            return newest.path
        raise SourceMissing(
            tr(
                "The address {url} held a key, which is not kept, and there is no one copy of the file. Give the "
                "whole address again: vistazo train ADDRESS --out RUN",
                url=url,
            )
        )
    try:
        facts = fetching.look(url, newest.facts if newest else None, tries=2 if newest else fetching.TRIES)
    except Unreachable as error:
        if newest is None:
            raise SourceMissing(
                tr("{url} could not be fetched: {reason}. Check the address.", url=shown(url), reason=error)
            ) from error
        day = time.strftime("%Y-%m-%d", time.localtime(newest.path.stat().st_mtime))
        say(tr("{url}: {reason}; the copy of {day} is used.", url=shown(url), reason=error, day=day))
        return newest.path
    if facts is None:
        assert newest is not None
        return newest.path
    if facts.type == "text/html" and not facts.name.lower().endswith((".html", ".htm")):
        raise SourceError(
            tr(
                "{url} is a page to look at and no data. Give the address that its download itself has.",
                url=shown(url),
            )
        )
    wanted = fetching.Wanted([url], facts.size)
    return keep(url, facts, lambda path: fetching.download(wanted, path, say=say), say=say)
