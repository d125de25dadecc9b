"""`vistazo data`: a known data set is fetched, proved and put in a folder, ready to train on."""

import gzip
import hashlib
import os
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vistazo import language, platform
from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, SourceDamaged
from vistazo.language import reason_of_system, tr
from vistazo.pictures.folders import hidden
from vistazo.pictures.known import File, Known, known
from vistazo.remote import fetching

__all__ = ["get", "listing"]


# ---------------------------------------------------------------- the two verbs
def listing() -> list[dict[str, Any]]:
    """The sets: {"name", "what", "bytes", "licence", "page"}."""
    return [
        {
            "name": name,
            "what": tr(known[name].what),
            "bytes": known[name].size,
            "licence": tr(known[name].licence),
            "page": known[name].page,
        }
        for name in known
    ]


def get(name: str, folder: Path, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Put a set into `folder`; what is there and holds is not fetched.

    Gives {"name", "folder", "train", "classes", "files", "fetched", "licence", "page"}: `train` is the path to train
    on, `classes` a file of class names or None. Raises UnknownName, SourceError, DiskError; nothing is lost by then.
    """
    one = known[name]
    what, licence = tr(one.what), tr(one.licence)
    say(f"{name}: {what}")
    say(tr("licence: {licence}", licence=licence))
    say(tr("source: {page}", page=one.page))
    there = [file for file in one.files if _there(folder / file.name, file)]
    lacking = [file for file in one.files if file not in there]
    fetching.require_room(folder / name, _to_come(folder, lacking))
    for file in lacking:
        wanted = file.wanted(name)
        about = file.name + (f" ({fetching.amount(file.size)})" if file.size else "")
        say(tr("fetching {file}", file=about))
        fetching.download(wanted, folder / file.name, say=say)
    for file in one.files:
        if file.into is not None:
            say(tr("unpacking {file}", file=file.name))
            _unpack(folder / file.name, folder / file.into)
    return {
        "name": name,
        "folder": str(folder),
        "train": str(folder / one.train),
        "classes": _name_classes(one, folder),
        "files": [file.name for file in one.files],
        "fetched": [file.name for file in lacking],
        "licence": licence,
        "page": one.page,
    }


def _there(path: Path, file: File) -> bool:
    """Whether a file need not be fetched. Raises SourceDamaged for a stranger of that name, which nobody overwrites."""
    try:
        if not path.exists():
            return False
        if fetching.holds(path, file.wanted("")) or (file.unpacked and _inside(path) == file.unpacked):
            return True
    except OSError as error:
        raise SourceDamaged(
            tr("{path} cannot be read ({reason}).", path=path, reason=reason_of_system(error))
        ) from error
    raise _stranger(path)


def _stranger(path: Path) -> SourceDamaged:
    return SourceDamaged(
        tr(
            "{path} is there and is not the published file. Move it away, or choose another folder with --out.",
            path=path,
        )
    )


def _inside(path: Path) -> str:
    """SHA-256 of what a .gz holds; empty where it is none."""
    try:
        with gzip.open(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return ""


def _to_come(folder: Path, lacking: Sequence[File]) -> int:
    """Bytes that the disk has to take: what is fetched, and once more where it is unpacked."""
    parts = [folder / f"{file.name}.part" for file in lacking]
    begun = sum(part.stat().st_size for part in parts if part.exists())
    return sum((file.size or 0) * (1 if file.into is None else 2) for file in lacking) - begun


def _name_classes(one: Known, folder: Path) -> str | None:
    """A file of class names for a set whose labels are numbers; one that is there stays."""
    names = one.classes.get(language.current())
    if not names:
        return None
    path = folder / tr("classes.txt")
    if not path.exists():
        try:
            platform.replace_file(path, ["".join(f"{name}\n" for name in names).encode()])
        except OSError as error:
            raise DiskError(disk_sentence(path, error)) from error
    return str(path)


# ---------------------------------------------------------------- archives that hold a part each
def _unpack(archive: Path, home: Path) -> None:
    """Put `class/file` of an archive below `home`. What is there and equal stays; a stranger stops it.

    The archive was proved, so what it holds is known; its layout is still not trusted with a path.
    """
    try:
        for name, content in _members(archive):
            path = home / "/".join(name.split("/")[-2:])
            if path.exists():
                if path.stat().st_size == len(content) and path.read_bytes() == content:
                    continue
                raise _stranger(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(content)
            os.replace(part, path)
    except OSError as error:
        raise DiskError(disk_sentence(home, error)) from error


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """(…/folder/file, content) of the ordinary files that lie in a folder of a zip or tar."""

    def wanted(name: str) -> bool:
        steps = name.split("/")
        return len(steps) > 1 and not any(map(hidden, steps)) and posixpath.normpath(name) == name

    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir() and wanted(info.filename):
                    yield info.filename, packed.read(info)
        return
    with tarfile.open(archive) as tape:
        for member in tape:
            content = tape.extractfile(member) if member.isreg() and wanted(member.name) else None
            if content is not None:
                yield member.name, content.read()
