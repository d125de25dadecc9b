"""Copies of what lies elsewhere, in the cache: by address and version, so that what changed is fetched anew.

remote/<address>-<version>/.begun.json     written first: the address as it may be told
remote/<address>-<version>/.about.json     written last: what it is a copy of
remote/<address>-<version>/<name>          the file, or the folder `files`
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, SourceDamaged
from vistazo.language import tr
from vistazo.remote import fetching, shelf
from vistazo.remote.addresses import shown
from vistazo.remote.folders import Folder
from vistazo.remote.shelf import ABOUT, BEGUN
from vistazo.remote.web import Facts

__all__ = ["Copy", "copies", "digest", "hold", "keep", "mirrored", "origin"]

Say = Callable[[str], None]
FILES = "files"


@dataclass(frozen=True)
class Copy:
    """A whole copy, and what the server said of it. key: of the whole address it was fetched from."""

    path: Path
    facts: Facts
    key: str


def digest(text: str) -> str:
    """32 hexadecimal digits of a text."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def copies(url: str) -> list[Copy]:
    """The copies of the file at an address, the newest last.

    For an address as it was shown: of all addresses that are shown so.
    """
    found: list[tuple[float, Copy]] = []
    for about in shelf.home().glob(f"*/{ABOUT}"):
        told = shelf.about(about)
        path, key = about.parent / str(told.get("name", "")), str(told.get("key", ""))
        if key != digest(url) and not (url == shown(url) == told.get("url")):
            continue
        if path.is_file() and path.stat().st_size == told.get("bytes"):
            etag, modified = str(told.get("etag", "")), str(told.get("modified", ""))
            facts = Facts(told.get("size"), etag, modified, "", path.name)
            found.append((about.stat().st_mtime, Copy(path, facts, key)))
    return [copy for _, copy in sorted(found, key=lambda one: one[0])]


def hold(copy: Copy, say: Say) -> bool:
    """Whether a copy is still there; if so, nobody clears it while this process lasts."""
    folder = copy.path.parent
    if not copy.path.is_file():
        return False
    try:
        with shelf.alone(folder, copy.path.name, say):
            shelf.use(folder)
            return copy.path.is_file()
    except DiskError:  # of a cache that may be read alone, which nobody clears
        return copy.path.is_file()


def keep(url: str, facts: Facts, fill: Callable[[Path], None], *, say: Say) -> Path:
    """The copy of that version of the file at an address; `fill` makes it where it is not there yet.

    Raises DiskError, and whatever `fill` does.
    """
    known = facts.etag or facts.modified or facts.size is not None
    version = digest("|".join((facts.etag, facts.modified, str(facts.size))))
    folder = shelf.home() / f"{digest(url)}-{version}"
    path = folder / facts.name
    with shelf.alone(folder, facts.name, say):
        told = shelf.about(folder / ABOUT)
        shelf.use(folder)
        if known and path.is_file() and told.get("bytes") == path.stat().st_size:
            return path
        _write(folder / BEGUN, {"url": shown(url)})
        size = f" ({fetching.amount(facts.size)})" if facts.size is not None else ""
        say(tr("fetching {file}", file=shown(url) + size))
        fill(path)
        about = {"url": shown(url), "key": digest(url), "name": facts.name, "bytes": path.stat().st_size}
        _write(folder / ABOUT, about | {"etag": facts.etag, "modified": facts.modified, "size": facts.size})
    return path


def mirrored(folder: Folder, sizes: Mapping[str, int | None], version: str, *, say: Say) -> Path:
    """A copy of these files of a folder, for kinds of data that are only read from this computer.

    version: what its listing said. Raises SourceDamaged, DiskError.
    """
    whole = sum(size or 0 for size in sizes.values())
    version = digest(version + json.dumps(sorted(sizes)))
    home = shelf.home() / f"{digest(folder.url)}-{version}"
    files = home / FILES
    for name in sizes:
        if folder.locate(name) != name:
            raise SourceDamaged(tr("The path '{name}' leads out of {folder}.", name=name, folder=folder.url))
    with shelf.alone(home, folder.url, say):
        shelf.use(home)
        _write(home / BEGUN, {"url": folder.url})
        lacking = {name: size for name, size in sizes.items() if not (files / name).is_file()}
        if lacking:
            fetching.require_room(files, sum(size or 0 for size in lacking.values()))
            say(tr("fetching {file}", file=f"{folder.url} ({fetching.amount(whole)})"))
        for name, size in lacking.items():
            folder.copy(name, files / name, version=version, size=size, say=say)
        about = {"url": folder.url, "key": digest(folder.url), "name": FILES, "bytes": whole}
        if shelf.about(home / ABOUT) != about:
            _write(home / ABOUT, about)
    return files


def origin(path: Path) -> str | None:
    """The address, as it may be told, of the file that a path is the copy of; None for any other path."""
    home = shelf.home()
    if home not in path.parents:
        return None
    told = shelf.about(home / path.relative_to(home).parts[0] / ABOUT)
    return told.get("url") if told.get("name") == path.name != FILES else None


def _write(path: Path, told: Mapping[str, Any]) -> None:
    try:
        platform.replace_file(path, [json.dumps(told).encode()])
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error
