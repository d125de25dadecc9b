"""Zip and tar archives, read in place and never unpacked; a compressed tar's pictures are kept aside."""

import bz2
import gzip
import io
import lzma
import posixpath
import re
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, SourceDamaged
from vistazo.language import tr
from vistazo.pictures.folders import from_paths, hidden, is_picture, printable
from vistazo.pictures.index import Broken
from vistazo.pictures.stores import (
    DAMAGE,
    MOST_BYTES,
    Shared,
    Slices,
    Source,
    Store,
    Zipped,
    readable,
    too_large,
)
from vistazo.pictures.trees import Tree

__all__ = [
    "SMALL",
    "archive_kind",
    "class_folders",
    "open_archive",
    "read_archive",
    "refuse_bomb",
    "tar_members",
    "tar_pictures",
    "zip_pictures",
]

MOST_MEMBERS = 2_000_000  # of one archive; ImageNet has 1.3 million
MOST_UNPACKED = 1 << 40  # an archive that declares more is lying
MOST_RATIO = 200  # unpacked to packed; photographs reach 1, drawings 50
SMALL = 64 << 20  # below this a ratio harms nobody
ANNOTATIONS = (
    ".xml",
    ".json",
    ".cls",
    ".txt",
    ".yaml",
    ".yml",
    ".names",
    ".bin",
)  # kept aside with the pictures

_MAGIC = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
_OPENERS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[dict-item,return-value]
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}


def archive_kind(path: Path) -> str:
    """'zip', 'tar', or how a tar is compressed ('gz', 'bz2', 'xz'), by the first bytes; '' for anything else.

    Raises SourceDamaged where the name promises an archive and the bytes hold none.
    """
    kind = ""
    with readable(path), open(path, "rb") as file:
        head = file.read(512)
        for magic, name in _MAGIC.items():
            if head.startswith(magic):
                kind = name
        if kind in _OPENERS:
            file.seek(0)
            try:
                head = _OPENERS[kind](file).read(512)
            except DAMAGE:
                head = b""
    if kind == "zip" or head[257:262] == b"ustar":
        return kind or "tar"
    if path.name.lower().endswith(
        (".zip", ".tar", ".tgz", ".txz", ".tbz2", ".tar.gz", ".tar.xz", ".tar.bz2")
    ):
        raise SourceDamaged(
            tr(
                "{path} is damaged or cut short ({reason}). Get it again.",
                path=path,
                reason=tr("it is no archive"),
            )
        )
    return ""


def read_archive(path: Path, kind: str) -> Source:
    """The pictures of a folder per class inside an archive of that `archive_kind`.

    Raises SourceDamaged, TooFewExamples, or DiskError where a compressed tar finds no room to be unpacked.
    """
    return class_folders(open_archive(path, kind))


def class_folders(tree: Tree) -> Source:
    """The pictures of an archive with a folder for each class. Raises TooFewExamples."""
    index, notes = from_paths(tree.files, tree.folders, tree.path, kind="archive")
    return Source(index, tree.store(index.where), notes, tree.broken)


def open_archive(path: Path, kind: str) -> Tree:
    """What is in an archive of that `archive_kind`. Raises SourceDamaged or DiskError, like `read_archive`."""
    if kind == "zip":
        shared, infos = _zip_members(path)
        return _tree(path, infos, lambda where, members: Zipped(shared, where, members))
    if kind == "tar":
        spans = {name: (member.offset_data, member.size) for name, member, _ in tar_members(path, kind)}
        with readable(path):
            shared = Shared(open(path, "rb"), path)  # noqa: SIM115 (the store keeps it)
    else:
        shared, spans = _kept_aside(path, kind)
    return _tree(path, spans, lambda where, members: Slices(shared, where, members))


def _kept_aside(path: Path, kind: str) -> tuple[Shared, dict[str, tuple[int, int]]]:
    """Pictures and annotations of a compressed tar in a nameless file: it is only read from its start."""
    shared = Shared(tempfile.SpooledTemporaryFile(max_size=SMALL), path)  # noqa: SIM115 (kept)
    spans = {}
    try:
        with shared.filled() as file:
            for name, member, content in tar_members(path, kind):
                spans[name] = (file.tell(), member.size)
                kept = is_picture(name) or name.lower().endswith(ANNOTATIONS)
                if kept and member.size <= MOST_BYTES:
                    file.write(content())
            file.flush()
    except OSError as error:  # of writing: those of reading are SourceDamaged by now
        raise DiskError(disk_sentence(Path(tempfile.tempdir or path), error)) from error
    return shared, spans


def _tree(path: Path, members: Mapping[str, Any], make: Callable[[Sequence[str], list[Any]], Store]) -> Tree:
    broken = [
        Broken(-1, repr(name), tr("its name is not valid text; rename it"))
        for name in members
        if not printable(name)
    ]
    files = sorted(name for name in members if printable(name))
    folders = sorted({above for name in files for above in _above(name)})
    return Tree(
        path,
        files,
        folders,
        "archive",
        lambda names: make(names, [members[name] for name in names]),
        tuple(broken),
    )


def _above(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


# ---------------------------------------------------------------- what is refused
def _inside(name: str, archive: Path) -> str:
    """A member's name with '/'. Raises SourceDamaged where it leads out of the archive."""
    tidy = name.replace("\\", "/")
    if tidy.startswith("/") or re.match(r"[A-Za-z]:", tidy) or ".." in tidy.split("/") or "\0" in tidy:
        raise _refused(archive, tr("the name '{name}' leads outside it", name=name))
    return posixpath.normpath(tidy)


def _refused(archive: Path, reason: str) -> SourceDamaged:
    return SourceDamaged(
        tr("The archive {path} is refused: {reason}. Nothing was read from it.", path=archive, reason=reason)
    )


def refuse_bomb(archive: Path, *, members: int, unpacked: int, packed: int) -> None:
    """Raise SourceDamaged where a file holds far more than its size allows."""
    if members > MOST_MEMBERS:
        raise _refused(archive, tr("it has more than {most} members", most=MOST_MEMBERS))
    if unpacked > MOST_UNPACKED or (unpacked > SMALL and unpacked > MOST_RATIO * packed):
        raise _refused(archive, tr("it unpacks to far more than its own size"))


# ---------------------------------------------------------------- zip
def zip_pictures(path: Path) -> Zipped:
    """The pictures of a zip, whatever its folders. Raises SourceDamaged."""
    shared, infos = _zip_members(path)
    names = sorted(filter(is_picture, infos))
    return Zipped(shared, names, [infos[name] for name in names])


def _zip_members(path: Path) -> tuple[Shared, dict[str, zipfile.ZipInfo]]:
    """The open file and every visible member that is no folder."""
    with readable(path):
        file = open(path, "rb")  # noqa: SIM115 (the store keeps it)
        shared = Shared(file, path)
        infos = zipfile.ZipFile(file).infolist()
        packed = path.stat().st_size
    refuse_bomb(path, members=len(infos), unpacked=sum(info.file_size for info in infos), packed=packed)
    members = {}
    for info in infos:
        name = _inside(_zip_name(info), path)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _refused(path, tr("'{name}' is a link", name=name))
        if info.flag_bits & 1:
            raise _refused(path, tr("it is encrypted; unpack it with its password first"))
        if not info.is_dir() and not any(map(hidden, name.split("/"))):
            members[name] = info
    return shared, members


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The member's name; macOS writes UTF-8 without saying so, and zipfile reads it as DOS."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


# ---------------------------------------------------------------- tar
def tar_pictures(path: Path, kind: str) -> Iterator[tuple[str, bytes | SourceDamaged]]:
    """(name, bytes or what is wrong) of each picture of a tar, in its order. Raises SourceDamaged."""
    for name, member, content in tar_members(path, kind):
        if is_picture(name):
            yield name, content() if member.size <= MOST_BYTES else too_large()


class _Member(tarfile.TarInfo):
    """A header that is damaged or cut ends the reading with an error; tarfile takes it for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


class _Counted(io.RawIOBase):
    """A decompressed stream that stops where it grows out of proportion."""

    def __init__(self, stream: IO[bytes], archive: Path) -> None:
        self._stream, self._archive = stream, archive
        self._packed, self._unpacked = archive.stat().st_size, 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._unpacked += len(data)
        refuse_bomb(self._archive, members=0, unpacked=self._unpacked, packed=self._packed)
        return data


def tar_members(path: Path, kind: str) -> Iterator[tuple[str, tarfile.TarInfo, Callable[[], bytes]]]:
    """(name, header, how to read its bytes) of every visible ordinary member, in order.

    The bytes can be had before the next member is asked for.
    """
    with readable(path), open(path, "rb") as raw:
        if kind == "tar":
            archive = tarfile.open(fileobj=raw, mode="r:", tarinfo=_Member)  # noqa: SIM115 (raw closes it)
        else:
            stream = _Counted(_OPENERS[kind](raw), path)
            archive = tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member)  # noqa: SIM115

        def content() -> bytes:
            with readable(path):
                file = archive.extractfile(member)
                return file.read() if file else b""

        for count, member in enumerate(archive):
            refuse_bomb(path, members=count, unpacked=0, packed=0)
            if member.size < 0:  # tarfile would go back and never end
                raise ValueError(tr("a member has a negative size"))
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps them all
            name = _inside(member.name, path)
            if member.isdir() or any(map(hidden, name.split("/"))):
                continue
            if not member.isreg() or member.issparse():
                raise _refused(path, tr("'{name}' is a link or no ordinary file", name=name))
            yield name, member, content
