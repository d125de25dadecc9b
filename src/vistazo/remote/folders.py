"""Folders elsewhere: listed, read and copied where they are, with faults that pass sat out.

Source of the file systems: fsspec, https://filesystem-spec.readthedocs.io. It comes with torch and is imported when an
address is first opened.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, MissingExtra, SourceDamaged, SourceError, SourceMissing, VistazoError
from vistazo.language import reason_of_system, tr
from vistazo.remote import fetching
from vistazo.remote.addresses import is_url, scheme_of, scrubbed, shown

__all__ = ["Folder", "copy", "filesystem", "in_words", "steadily", "version_of"]

T = TypeVar("T")
Say = Callable[[str], None]

TRIES = 3
MOST_FILES = 5_000_000  # of one folder
_TELLING = (
    "ETag",
    "etag",
    "md5Hash",
    "generation",
    "LastModified",
    "last_modified",
    "mtime",
    "modified",
    "created",
)
_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError)
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az"), "adlfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    **dict.fromkeys(("http", "https"), "'vistazo[remote]'"),
    **dict.fromkeys(("github", "gist"), "requests"),
    "smb": "smbprotocol",
    "hf": "huggingface_hub",
    "webdav": "webdav4",
    "oss": "ossfs",
    "git": "pygit2",
}


@dataclass(frozen=True)
class Folder:
    """A folder elsewhere. url: as it may be told. Names in it are relative, with '/'.

    fs: its file system; None for a folder of the web, whose files are asked for one by one.
    root: its path there, or its whole address.
    """

    url: str
    fs: Any = field(repr=False)
    root: str = field(repr=False)

    def listing(self) -> tuple[dict[str, int | None], str]:
        """{name: bytes, None where unknown} of all files at any depth, sorted; and the version of them all.

        Raises SourceError.
        """

        def once() -> dict[str, dict[str, Any]]:
            self.fs.invalidate_cache()  # a file system remembers what it listed for an earlier command
            found: dict[str, dict[str, Any]] = self.fs.find(self.root, detail=True)
            return {path: about for path, about in sorted(found.items()) if about.get("type") == "file"}

        with in_words(self.url):
            found = steadily(once)
        if len(found) > MOST_FILES:
            raise SourceDamaged(tr("{url} has more than {most} files.", url=self.url, most=MOST_FILES))
        root = self.root.rstrip("/") + "/" if self.root else ""
        sizes = {path.removeprefix(root).lstrip("/"): about.get("size") for path, about in found.items()}
        versions = zip(sizes.items(), map(version_of, found.values()), strict=True)
        return sizes, hashlib.blake2b(repr(list(versions)).encode(), digest_size=16).hexdigest()

    def read(self, name: str, most: int, size: int | None = None) -> bytes:
        """The content of a file, at most a byte more than `most`; size: its bytes, where they are known.

        Raises OSError, SourceDamaged.
        """
        if self.fs is None:
            return fetching.content(self.root + quote(name), most)
        path = self._path(name)

        def once() -> bytes:
            data: bytes
            if size is not None and size <= most:
                data = self.fs.cat_file(path)
            else:
                data = self.fs.cat_file(path, start=0, end=most + 1)
            return data

        return steadily(once)

    def copy(self, name: str, path: Path, *, version: str, size: int | None, say: Say) -> None:
        """Copy a file to `path`; a copy that was begun is gone on with. Raises SourceError, DiskError."""
        with in_words(f"{self.url.rstrip('/')}/{name}"):
            copy(self.fs, self._path(name), path, version=version, size=size, say=say)

    def locate(self, name: str) -> str | None:
        """The name that a table beside the folder's files means; None where it can mean none of them.

        Whether it exists is found out when it is read. Raises SourceDamaged where it leads out of the folder.
        """
        steps = [step for step in name.replace("\\", "/").split("/") if step != "."]
        if ".." in steps:
            raise SourceDamaged(tr("The path '{name}' leads out of {folder}.", name=name, folder=self.url))
        outside = not name or not steps[0] or is_url(name) or re.match("[A-Za-z]:", name)
        return None if outside else "/".join(steps)

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}" if self.root else name


def filesystem(url: str) -> tuple[Any, str]:
    """fsspec's file system of an address, and the path in it. Raises MissingExtra, SourceError."""
    scheme = scheme_of(url)
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtra(tr("Addresses need fsspec: pip install 'vistazo[remote]'.")) from None
    try:
        fs, root = url_to_fs(url)
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        how = f"pip install {package}" if package else str(error)
        raise MissingExtra(
            tr("Addresses with {scheme}:// need one more package: {how}", scheme=scheme, how=how)
        ) from None
    except Exception as error:  # each file system raises its own
        if "Protocol not known" in str(error):
            raise SourceError(
                tr(
                    "{url} begins with {scheme}://, which nobody speaks here. Known are https, s3, gs, az, sftp, hf, "
                    "zip and others of fsspec.",
                    url=shown(url),
                    scheme=scheme,
                )
            ) from None
        raise SourceDamaged(
            tr("{url} cannot be read ({reason}).", url=shown(url), reason=_reason(error))
        ) from None
    return fs, str(root)


# ---------------------------------------------------------------- copies
def version_of(about: Mapping[str, Any]) -> str:
    """What tells a file's content from an earlier one, by what its file system says of it."""
    told = [str(about[key]) for key in _TELLING if about.get(key) is not None]
    return "|".join(told) or str(sorted(about.items(), key=str))


def copy(fs: Any, source: str, path: Path, *, version: str, size: int | None, say: Say) -> None:
    """Copy a file of a file system in pieces; after a break or a kill it goes on.

    version: what tells this content of the file from another one. Raises OSError, SourceDamaged, DiskError.
    """
    part = path.with_name(f"{path.name}.{version[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error
    begun = part.stat().st_size if part.exists() else 0
    fetching.require_room(path, (size or 0) - begun)
    meter = fetching.Meter(path.name, begun, size, say)

    def rest() -> None:
        with _writing(part):
            target = open(part, "ab")  # noqa: SIM115 (what goes wrong with the source is no fault of the disk)
        with target, fs.open(source, "rb") as file:
            file.seek(target.tell())
            while data := file.read(1 << 20):
                with _writing(part):
                    target.write(data)
                    target.flush()
                meter.add(len(data))

    steadily(rest)
    with _writing(path):
        if size is not None and part.stat().st_size != size:
            part.unlink()
            raise SourceDamaged(tr("{name} changed while it was copied. Repeat the command.", name=path.name))
        os.replace(part, path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error


# ---------------------------------------------------------------- faults
def steadily(act: Callable[[], T]) -> T:
    """`act`, a few times where it fails. Raises the OSError of a fault that lasts, or SourceDamaged, a short reason."""
    pause = fetching.PAUSE
    for left in range(TRIES - 1, -1, -1):
        try:
            return act()
        except (VistazoError, *_LASTING):
            raise
        except Exception as error:  # each file system raises its own
            if not left:
                raise SourceDamaged(tr("it could not be fetched: {reason}", reason=_reason(error))) from error
            time.sleep(pause)
            pause *= 2
    raise AssertionError("unreachable")


@contextmanager
def in_words(url: str) -> Iterator[None]:
    """Turn what goes wrong while an address is read into one sentence that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise SourceMissing(tr("There is nothing at {path}. Check the path.", path=url)) from error
    except (OSError, NotImplementedError, SourceDamaged) as error:
        raise SourceDamaged(tr("{url} cannot be read ({reason}).", url=url, reason=_reason(error))) from error


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return tr("you may not read it")
    text = reason_of_system(error)
    return scrubbed(text).strip().rstrip(".")[:300] or type(error).__name__
