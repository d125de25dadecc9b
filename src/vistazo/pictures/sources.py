"""Folders, archives, IDX files, arrays and manifests, read into one Index and one Store.

A reader is a free function from a path to a Source. It lists pictures and opens none of them: what
their bytes hold is found out once, later, by `decoding.load`.
"""

import bz2
import csv
import gzip
import io
import lzma
import os
import posixpath
import re
import stat
import struct
import tarfile
import tempfile
import threading
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vistazo import platform
from vistazo.errors import SourceDamaged, SourceError, SourceMissing, TooFewExamples, UsageError
from vistazo.language import tr
from vistazo.pictures.index import (
    OUT,
    TEST,
    TRAIN,
    UNASSIGNED,
    UNLABELLED,
    VALIDATION,
    Broken,
    Index,
    natural_key,
    normal,
    read_index,
)

__all__ = ["Arrays", "Source", "Store", "iterate_files", "read_source", "reason_of"]

Pixels = NDArray[np.uint8]
Pairs = tuple[ArrayLike, ArrayLike]

# what decoding opens
SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".gif",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
    )
)
PART_NAMES = {
    **dict.fromkeys(("train", "training", "entrenamiento"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "validacion"), VALIDATION),
    **dict.fromkeys(("test", "testing", "prueba", "pruebas", "t10k"), TEST),
}
HEADERS = {
    "path": ("path", "ruta", "file", "filename", "fichero", "archivo", "image", "imagen"),
    "label": ("label", "etiqueta", "class", "clase"),
    "labels": ("labels", "etiquetas"),
    "split": ("split", "parte", "part"),
    "group": ("group", "grupo"),
}
JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin"})

MOST_BYTES = 256 << 20  # of one picture's file
MOST_MEMBERS = 2_000_000  # of one archive; ImageNet has 1.3 million
MOST_UNPACKED = 1 << 40  # an archive that declares more is lying
MOST_RATIO = 200  # unpacked to packed; photographs reach 1, drawings 50
SMALL = 64 << 20  # below this a ratio harms nobody
MOST_MANIFEST = 1 << 30

_DAMAGE = (
    OSError,
    EOFError,
    ValueError,  # bad names and numbers
    KeyError,
    NotImplementedError,  # zipfile, of a compression it does not know
    OverflowError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)


# ---------------------------------------------------------------- stores
class Store(Protocol):
    """Where the pictures of an Index are; safe to be read from several threads."""

    def __len__(self) -> int: ...

    def name(self, row: int) -> str:
        """What the picture of that row is called."""

    def read(self, row: int) -> bytes | Pixels:
        """Its encoded bytes, or its pixels (height, width) or (height, width, channels).

        Raises OSError or SourceDamaged where it cannot be read.
        """

    def take(self, rows: NDArray[np.int64]) -> "Store":
        """The store of these rows, in this order."""


@dataclass(frozen=True)
class Files:
    """Pictures in files: paths relative to `root`, or absolute."""

    root: Path
    where: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.where)

    def name(self, row: int) -> str:
        return self.where[row]

    def read(self, row: int) -> bytes:
        return _file_bytes(self.root / self.where[row])

    def take(self, rows: NDArray[np.int64]) -> Self:
        return type(self)(self.root, tuple(self.where[row] for row in rows))


class _Shared:
    """An open file that several stores read; it is closed with the last of them."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.lock = file, threading.Lock()

    def __del__(self) -> None:
        self.file.close()


class _Members:
    """Pictures inside one open file, found by position."""

    def __init__(self, shared: _Shared, where: Sequence[str], members: Sequence[Any]) -> None:
        self._shared, self._where, self._members = shared, where, members

    def __len__(self) -> int:
        return len(self._where)

    def name(self, row: int) -> str:
        return self._where[row]

    def take(self, rows: NDArray[np.int64]) -> Self:
        where = [self._where[row] for row in rows]
        return type(self)(self._shared, where, [self._members[row] for row in rows])


class Slices(_Members):
    """Members that lie in the file as they are: (first byte, length)."""

    def read(self, row: int) -> bytes:
        first, length = self._members[row]
        with self._shared.lock:
            self._shared.file.seek(first)
            data = self._shared.file.read(length)
        if len(data) != length:
            raise SourceDamaged(tr("the archive is cut short"))
        return data


class Zipped(_Members):
    """Members of a zip: its ZipInfo each.

    The local header is read here: ZipFile.open builds six objects a member, which costs more than decoding
    a small picture.
    """

    def read(self, row: int) -> bytes:
        info: zipfile.ZipInfo = self._members[row]
        if info.file_size > MOST_BYTES:
            raise SourceDamaged(tr("the file is larger than {most} MB", most=MOST_BYTES >> 20))
        with self._shared.lock:
            self._shared.file.seek(info.header_offset)
            header = self._shared.file.read(30)
            if len(header) != 30 or header[:4] != b"PK\x03\x04":
                raise SourceDamaged(tr("the archive is damaged here"))
            self._shared.file.seek(sum(struct.unpack("<HH", header[26:])), os.SEEK_CUR)
            packed = self._shared.file.read(info.compress_size)
        try:
            data = _unpack(packed, info.compress_type, info.file_size)
        except _DAMAGE as error:
            raise SourceDamaged(tr("the archive is damaged here")) from error
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise SourceDamaged(tr("the archive is damaged here"))
        return data


def _unpack(packed: bytes, method: int, size: int) -> bytes:
    """The first `size` bytes of a member, never more: the size in the directory may lie."""
    if method == zipfile.ZIP_STORED:
        return packed
    if method == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-15).decompress(packed, size + 1)
    if method == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, size + 1)
    raise SourceDamaged(tr("its compression method ({method}) is not known", method=method))


class Arrays:
    """Pictures in memory or a memory map: parts of one shape, uint8 (n, height, width[, channels])."""

    def __init__(self, parts: Sequence[Pixels], where: Sequence[str], rows: NDArray[np.int64]) -> None:
        """rows: which picture of the joined parts each row is."""
        self.parts, self._where, self._rows = parts, where, rows
        self._first = np.cumsum([0, *(len(part) for part in parts)])

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, row: int) -> str:
        return self._where[row]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every picture."""
        height, width, *rest = self.parts[0].shape[1:]
        return height, width, rest[0] if rest else 1

    def read(self, row: int) -> Pixels:
        at = int(self._rows[row])
        part = int(np.searchsorted(self._first, at, side="right")) - 1
        return np.ascontiguousarray(self.parts[part][at - self._first[part]])

    def block(self, rows: NDArray[np.int64]) -> Pixels:
        """The pictures of `rows`, (rows, height, width, channels), copied once."""
        pixels = np.empty((len(rows), *self.shape), dtype=np.uint8)
        at = self._rows[rows]
        for part, first in zip(self.parts, self._first, strict=False):
            mine = np.flatnonzero((at >= first) & (at < first + len(part)))
            if len(mine):
                inside = at[mine] - first
                shaped = part.reshape(len(part), *self.shape)
                if (
                    mine[-1] - mine[0] + 1 == len(mine) == inside[-1] - inside[0] + 1
                    and (np.diff(inside) == 1).all()
                ):
                    pixels[mine[0] : mine[-1] + 1] = shaped[
                        inside[0] : inside[-1] + 1
                    ]  # a plain copy: 4 times faster
                else:
                    pixels[mine] = shaped[inside]
        return pixels

    def take(self, rows: NDArray[np.int64]) -> "Arrays":
        return Arrays(self.parts, [self._where[row] for row in rows], self._rows[rows])


def _file_bytes(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise SourceDamaged(tr("it is not an ordinary file"))
        if about.st_size > MOST_BYTES:
            raise SourceDamaged(tr("the file is larger than {most} MB", most=MOST_BYTES >> 20))
        return file.read()


# ---------------------------------------------------------------- the way in
@dataclass(frozen=True)
class Source:
    """What was found: one row of `index` and of `store` a picture.

    notes: sentences to be printed.  broken: what never became a row, with its reason.
    """

    index: Index
    store: Store
    notes: tuple[str, ...]
    broken: tuple[Broken, ...]

    def __post_init__(self) -> None:
        if len(self.index) != len(self.store):
            raise ValueError(f"an index of {len(self.index)} rows with a store of {len(self.store)}")


def read_source(source: str | Path | Pairs | Mapping[str, Pairs], *, classes_file: Path | None) -> Source:
    """List the pictures of a folder, archive, manifest or IDX files, or take them from arrays in memory.

    source: a path; or (pictures, labels) with uint8 (n, height, width[, channels]) and (n,) numbers or names;
        or such pairs under 'train', 'validation' and 'test'.
    classes_file: names, one a line, for sources whose labels are numbers (IDX and arrays).
    Raises SourceMissing, SourceDamaged, TooFewExamples, SourceError or UsageError, each in one sentence.
    """
    names = None if classes_file is None else _class_names(classes_file)
    if isinstance(source, Mapping):
        return _read_arrays(source, names)
    if isinstance(source, tuple):
        return _read_arrays({UNASSIGNED: source}, names)
    path = platform.existing(source)
    found = _read_path(path, names)
    if names is not None and found.index.kind != "idx":
        raise UsageError(
            tr(
                "{path} names its classes itself: leave out the file of class names ({file}).",
                path=path,
                file=classes_file,
            )
        )
    return found


def _read_path(path: Path, names: list[str] | None) -> Source:
    if path.is_dir():
        return _read_directory(path, names)
    if not path.exists():
        raise SourceMissing(
            tr("There is nothing at {path}. Check the spelling, or give the whole path.", path=path)
        )
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv", ".txt", ".parquet"):
        return _read_manifest(path)
    kind = _archive_kind(path)
    if kind:
        return _read_archive(path, kind)
    if _is_picture(path.name):
        raise SourceError(
            tr(
                "{path} is one picture. Give the folder that holds one sub-folder of pictures for each "
                "class.",
                path=path,
            )
        )
    if IDX_NAME.search(path.name) or suffix == ".npy":
        raise SourceError(
            tr("{path} is one part of a data set. Give the folder that holds all of it.", path=path)
        )
    raise SourceError(
        tr(
            "{path} is in no format that Vistazo reads. Give a folder with one sub-folder for each class, "
            "a zip or tar of it, a CSV or Parquet file with columns path and label, or a folder of IDX "
            "or .npy files.",
            path=path,
        )
    )


def _class_names(path: Path) -> list[str]:
    path = platform.existing(path)
    if not path.is_file():
        raise SourceMissing(tr("There is no file of class names at {path}.", path=path))
    names = [normal(line) for line in _text(path).splitlines()]
    while names and not names[-1]:
        names.pop()
    repeated = [name or "''" for name, times in Counter(names).items() if times > 1 or not name]
    if repeated or not names:
        raise SourceDamaged(
            tr(
                "{path} must hold one name a line, each once ({names}).",
                path=path,
                names=", ".join(repeated) or "empty",
            )
        )
    return names


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is read into one named sentence."""
    try:
        yield
    except PermissionError as error:
        raise SourceDamaged(tr("You may not read {path}. Change its permissions.", path=path)) from error
    except _DAMAGE as error:
        raise SourceDamaged(
            tr("{path} is damaged or cut short ({reason}). Get it again.", path=path, reason=error)
        ) from error


def _columns(
    where: Sequence[str],
    codes: NDArray[np.int64],
    names: Sequence[str],
    split: NDArray[np.str_],
    *,
    source: str,
    kind: str,
) -> tuple[Index, tuple[str, ...]]:
    """The Index of pictures whose class is names[codes], and notes.

    A test part may not choose the classes: a class that only it has is unknown to training and left out.
    """
    spelled = [normal(name) for name in names]
    known = np.unique(codes[split != TEST]) if (split != TEST).any() else np.unique(codes)
    classes = tuple(sorted({spelled[code] for code in known}, key=natural_key))
    position = {name: at for at, name in enumerate(classes)}
    label = np.array([position.get(name, UNLABELLED) for name in spelled], dtype=np.int64)[codes]
    unknown = label == UNLABELLED
    index = Index(
        where=tuple(where),
        label=label,
        split=np.where(unknown, OUT, split),
        group=np.full(len(codes), -1),
        hash=np.zeros(len(codes), dtype="S32"),
        classes=classes,
        source=source,
        kind=kind,
    )
    if not unknown.any():
        return index, ()
    strangers = sorted({spelled[code] for code in np.unique(codes[unknown])}, key=natural_key)
    return index, (
        tr(
            "Left out: {n} test pictures of classes without any training picture ({names}).",
            n=int(unknown.sum()),
            names=", ".join(strangers),
        ),
    )


# ---------------------------------------------------------------- folders
@dataclass(frozen=True)
class _Listing:
    """Everything visible below a root, as relative paths with '/', sorted."""

    files: list[str]
    folders: list[str]
    broken: list[Broken]


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in JUNK


def _is_picture(name: str) -> bool:
    return posixpath.splitext(name)[1].lower() in SUFFIXES


def _printable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of another encoding, which Linux keeps as they are
        return False
    return True


def _listing(root: Path) -> _Listing:
    """Raises OSError where `root` cannot be listed; what lies deeper and cannot is listed as broken."""
    found = _Listing([], [], [])
    top = root.stat()
    waiting = [("", frozenset({(top.st_dev, top.st_ino)}))]
    while waiting:
        folder, above = waiting.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError:
            if not folder:
                raise
            found.broken.append(Broken(-1, folder, tr("the folder cannot be read")))
            continue
        for entry in entries:
            name = folder + entry.name
            if _hidden(entry.name):
                continue
            if not _printable(name):
                shown = os.fsencode(name).decode(errors="backslashreplace")
                found.broken.append(Broken(-1, shown, tr("its name is not valid text; rename it")))
            elif entry.is_dir():
                about = Path(entry.path).stat()
                if (about.st_dev, about.st_ino) not in above:  # a link to a folder above would never end
                    found.folders.append(name)
                    waiting.append((name + "/", above | {(about.st_dev, about.st_ino)}))
            elif entry.is_file() or entry.is_symlink():  # a link to nowhere is named when it is read
                found.files.append(name)
    found.files.sort()
    found.folders.sort()
    return found


def _part(name: str) -> str | None:
    """The part that a folder or a manifest's word names: 'Validación' is validation."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter)
    )
    return PART_NAMES.get(plain.strip().casefold())


@dataclass(frozen=True)
class _Layout:
    where: list[str]
    classes: list[str]
    split: list[str]
    notes: list[str]


def _layout(files: Sequence[str], folders: Sequence[str], source: Path) -> _Layout:
    """Read class and part off the paths: [wrapper/]*[part/]class/[anything/]*picture.

    A wrapper is a folder alone in its place that holds folders. Folders are parts where every one of them is
    named like a part, or one is named like training, and they hold folders: 'train' may be a
    class, of locomotives.
    Raises TooFewExamples where there is no picture, no class folder, or a class folder without pictures.
    """
    pictures = [name for name in files if _is_picture(name)]
    if not pictures:
        kinds = Counter(posixpath.splitext(name)[1].lower() or "-" for name in files)
        raise TooFewExamples(
            tr(
                "{source} has no pictures ({found}). Put pictures (JPEG, PNG, GIF, BMP, WEBP, TIFF or PPM) "
                "in one sub-folder for each class.",
                source=source,
                found=", ".join(f"{kind}: {n}" for kind, n in kinds.most_common(5)) or tr("empty"),
            )
        )
    children: dict[str, list[str]] = {}
    for folder in sorted(folders):
        children.setdefault(posixpath.dirname(folder), []).append(folder)
    direct = Counter(posixpath.dirname(name) for name in pictures)

    root = ""
    while len(children.get(root, ())) == 1 and not direct[root]:
        only = children[root][0]
        if _part(posixpath.basename(only)) or only not in children:
            break
        root = only
    parts = {
        folder: _part(posixpath.basename(folder)) for folder in children.get(root, ()) if folder in children
    }
    named = {folder: part for folder, part in parts.items() if part}
    if TRAIN not in named.values() and len(named) != len(children.get(root, ())):
        named = {}

    layout = _Layout([], [], [], [])
    outside = 0
    depth = len(root.split("/")) if root else 0
    for name in pictures:
        steps = name.split("/")[depth:]
        part = named.get("/".join(name.split("/")[: depth + 1])) if named else UNASSIGNED
        class_at = 1 if named else 0
        if part is None or len(steps) < class_at + 2:
            outside += 1
            continue
        layout.where.append(name)
        layout.classes.append(steps[class_at])
        layout.split.append(part)
    if not layout.where:
        raise TooFewExamples(
            tr(
                "{source} has {n} pictures and no class folders. Put each class in its own sub-folder.",
                source=source,
                n=outside,
            )
        )
    filled = set(zip(layout.split, layout.classes, strict=True))
    for home, part in named.items() if named else ((root, UNASSIGNED),):
        for folder in children.get(home, ()):
            if (part, posixpath.basename(folder)) not in filled and part != TEST:
                raise TooFewExamples(
                    tr(
                        "The class folder '{folder}' in {source} has no pictures. Put pictures in it, or "
                        "remove it.",
                        folder=folder,
                        source=source,
                    )
                )
    if outside:
        layout.notes.append(tr("Pictures outside any class folder, not used: {n}.", n=outside))
    others = Counter(posixpath.splitext(name)[1].lower() or name for name in files if not _is_picture(name))
    if others:
        kinds_text = ", ".join(f"{kind} ({n})" for kind, n in others.most_common(5))
        layout.notes.append(tr("Files that are not pictures, not used: {kinds}.", kinds=kinds_text))
    return layout


def _from_layout(layout: _Layout, source: Path, kind: str) -> tuple[Index, tuple[str, ...]]:
    names = sorted(set(layout.classes))
    number = {name: code for code, name in enumerate(names)}
    codes = np.array([number[name] for name in layout.classes], dtype=np.int64)
    split = np.array(layout.split, dtype="U10")
    return _columns(layout.where, codes, names, split, source=str(source.resolve()), kind=kind)


def _read_directory(path: Path, names: list[str] | None) -> Source:
    with _readable(path):
        found = _listing(path)
    if any(IDX_NAME.search(name) for name in found.files):
        return _read_idx(path, found.files, names)
    if any(name.endswith(".npy") for name in found.files) and not any(map(_is_picture, found.files)):
        return _read_npy(path, found.files)
    layout = _layout(found.files, found.folders, path)
    index, notes = _from_layout(layout, path, "folder")
    return Source(index, Files(path.resolve(), index.where), (*layout.notes, *notes), tuple(found.broken))


# ---------------------------------------------------------------- archives
_MAGIC = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
_OPENERS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[dict-item,return-value]
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}


def _archive_kind(path: Path) -> str:
    """'zip', 'tar', or how a tar is compressed ('gz', 'bz2', 'xz'), by the first bytes; '' for anything else.

    Raises SourceDamaged where the name promises an archive and the bytes hold none.
    """
    kind = ""
    with _readable(path), open(path, "rb") as file:
        head = file.read(512)
        for magic, name in _MAGIC.items():
            if head.startswith(magic):
                kind = name
        if kind in _OPENERS:
            file.seek(0)
            try:
                head = _OPENERS[kind](file).read(512)
            except _DAMAGE:
                head = b""
    if kind == "zip" or head[257:262] == b"ustar":
        return kind or "tar"
    if path.name.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2")):
        raise SourceDamaged(
            tr(
                "{path} is damaged or cut short ({reason}). Get it again.",
                path=path,
                reason=tr("it is no archive"),
            )
        )
    return ""


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


def _refuse_bomb(archive: Path, members: int, unpacked: int, packed: int) -> None:
    if members > MOST_MEMBERS:
        raise _refused(archive, tr("it has more than {most} members", most=MOST_MEMBERS))
    if unpacked > MOST_UNPACKED or (unpacked > SMALL and unpacked > MOST_RATIO * packed):
        raise _refused(archive, tr("it unpacks to far more than its own size"))


def _zip_members(path: Path) -> tuple[_Shared, dict[str, zipfile.ZipInfo]]:
    """The open file and every visible member that is no folder."""
    shared = _Shared(open(path, "rb"))  # noqa: SIM115 (the store keeps it)
    with _readable(path):
        infos = zipfile.ZipFile(shared.file).infolist()
    _refuse_bomb(path, len(infos), sum(info.file_size for info in infos), path.stat().st_size)
    members = {}
    for info in infos:
        name = _inside(_zip_name(info), path)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _refused(path, tr("'{name}' is a link", name=name))
        if info.flag_bits & 1:
            raise _refused(path, tr("it is encrypted; unpack it with its password first"))
        if not info.is_dir() and not any(map(_hidden, name.split("/"))):
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


class _Counted(io.RawIOBase):
    """A decompressed stream that stops where it grows out of proportion."""

    def __init__(self, stream: IO[bytes], archive: Path) -> None:
        self._stream, self._archive = stream, archive
        self._packed, self._unpacked = archive.stat().st_size, 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._unpacked += len(data)
        _refuse_bomb(self._archive, 0, self._unpacked, self._packed)
        return data


def _tar_members(path: Path, kind: str) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    """Every visible ordinary member, in order; its bytes can be had before the next one is asked for."""
    with _readable(path), open(path, "rb") as raw:
        if kind == "tar":
            archive = tarfile.open(fileobj=raw, mode="r:")  # noqa: SIM115 (raw closes it)
        else:
            archive = tarfile.open(fileobj=_Counted(_OPENERS[kind](raw), path), mode="r|")  # noqa: SIM115
        for count, member in enumerate(archive):
            _refuse_bomb(path, count, 0, 0)
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps them all
            name = _inside(member.name, path)
            if member.isdir() or any(map(_hidden, name.split("/"))):
                continue
            if not member.isreg() or member.issparse():
                raise _refused(path, tr("'{name}' is a link or no ordinary file", name=name))
            yield name, member, archive


def _read_archive(path: Path, kind: str) -> Source:
    if kind == "zip":
        shared, infos = _zip_members(path)
        return _from_members(path, infos, lambda where, members: Zipped(shared, where, members))
    spans: dict[str, tuple[int, int]] = {}
    if kind == "tar":
        shared = _Shared(open(path, "rb"))  # noqa: SIM115 (the store keeps it)
        for name, member, _ in _tar_members(path, kind):
            spans[name] = (member.offset_data, member.size)
    else:
        # a compressed tar is only read from its start: keep its pictures, still encoded, in a nameless file
        shared = _Shared(tempfile.SpooledTemporaryFile(max_size=SMALL))  # noqa: SIM115
        for name, member, archive in _tar_members(path, kind):
            data = b""
            if _is_picture(name) and member.size <= MOST_BYTES:
                content = archive.extractfile(member)
                data = content.read() if content else b""
            spans[name] = (shared.file.tell(), len(data))
            shared.file.write(data)
    return _from_members(path, spans, lambda where, members: Slices(shared, where, members))


def _from_members(
    path: Path, members: Mapping[str, Any], make: Callable[[Sequence[str], list[Any]], Store]
) -> Source:
    broken = [
        Broken(-1, repr(name), tr("its name is not valid text; rename it"))
        for name in members
        if not _printable(name)
    ]
    files = sorted(name for name in members if _printable(name))
    folders = sorted({above for name in files for above in _above(name)})
    layout = _layout(files, folders, path)
    index, notes = _from_layout(layout, path, "archive")
    store = make(index.where, [members[name] for name in index.where])
    return Source(index, store, (*layout.notes, *notes), tuple(broken))


def _above(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


# ---------------------------------------------------------------- IDX
IDX_NAME = re.compile(
    r"(?P<stem>[^/]*?)[-._](?P<what>images|labels)[-._]idx\d[-._]ubyte(?P<gz>\.gz)?$", re.IGNORECASE
)


def _read_idx(path: Path, listed: Sequence[str], names: list[str] | None) -> Source:
    """Pairs 'train-images-idx3-ubyte[.gz]' and 'train-labels-idx1-ubyte[.gz]'; 't10k' is the test part.

    Source: LeCun, Cortes, Burges, http://yann.lecun.com/exdb/mnist, 'the IDX file format'.
    """
    found: dict[str, dict[str, str]] = {}
    for name in listed:
        match = IDX_NAME.search(name)
        if match:
            pair = found.setdefault(match["stem"], {})
            what = match["what"].lower()
            if what not in pair or not match["gz"]:  # the unpacked one is read faster
                pair[what] = name
    stems: dict[str, str] = {}
    for stem, pair in sorted(found.items()):
        if len(pair) < 2:
            lacking = ({"images", "labels"} - pair.keys()).pop()
            raise SourceMissing(
                tr(
                    "{path} has {file} and not its {lacking}. Put both in the folder.",
                    path=path,
                    file=next(iter(pair.values())),
                    lacking=lacking,
                )
            )
        part = next((part for word in re.split(r"[-._ ]", stem) if (part := _part(word))), UNASSIGNED)
        if part in stems:
            raise SourceError(
                tr(
                    "{path} holds several data sets ('{one}' and '{other}'). Give each its own folder.",
                    path=path,
                    one=stems[part],
                    other=stem,
                )
            )
        stems[part] = stem
    pairs, files = {}, {}
    for part in sorted(stems, key=(UNASSIGNED, TRAIN, VALIDATION, TEST).index):
        pair = found[stems[part]]
        files[part] = re.sub(r"\.gz$", "", posixpath.basename(pair["images"]), flags=re.IGNORECASE)
        pairs[part] = (_idx_array(path / pair["images"]), _idx_array(path / pair["labels"]))
    return _from_arrays(pairs, files, names, source=str(path.resolve()), kind="idx", shown=path)


def _idx_array(path: Path) -> Pixels:
    """The array of an IDX file of bytes, of 1, 3 or 4 dimensions. Raises SourceDamaged."""
    with _readable(path):
        data = path.read_bytes()
        packed = len(data)
        if data[:2] == b"\x1f\x8b":
            head = zlib.decompressobj(31).decompress(data, 20)
            data = _gunzip(data, _idx_size(head, path, MOST_RATIO * 5 * packed) + 1)
        dimensions = data[3]
        size = _idx_size(data[:20], path, max(len(data), 1) * 2)
        if len(data) != size:
            raise SourceDamaged(
                tr(
                    "{path} is damaged or cut short ({reason}). Get it again.",
                    path=path,
                    reason=tr("{there} bytes instead of {due}", there=len(data), due=size),
                )
            )
        shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
        return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _idx_size(head: bytes, path: Path, most: int) -> int:
    """The bytes the header promises, header included; at most `most`, so that a lie reserves no memory."""
    if len(head) < 8 or head[:3] != b"\0\0\x08" or head[3] not in (1, 3, 4) or len(head) < 4 + 4 * head[3]:
        raise SourceDamaged(
            tr(
                "{path} is no IDX file of bytes: it starts with {head}.",
                path=path,
                head=head[:4].hex(" ") or "nothing",
            )
        )
    size = 4 + 4 * head[3]
    product = 1
    for length in struct.unpack(f">{head[3]}I", head[4:size]):
        product *= length
    if size + product > most:
        raise SourceDamaged(
            tr(
                "{path} is damaged or cut short ({reason}). Get it again.",
                path=path,
                reason=tr("{there} bytes instead of {due}", there=most, due=size + product),
            )
        )
    return size + product


def _gunzip(data: bytes, most: int) -> bytes:
    """At most `most` bytes, of one or several gzip members."""
    pieces: list[bytes] = []
    while data and most > 0:
        member = zlib.decompressobj(31)
        pieces.append(member.decompress(data, most))
        most -= len(pieces[-1])
        if not member.eof and most > 0:
            raise EOFError(tr("the end is missing"))
        data = member.unused_data
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


# ---------------------------------------------------------------- arrays
def _read_npy(path: Path, listed: Sequence[str]) -> Source:
    """A folder with one .npy a class: (n, 784) when square, or (n, height, width[, channels])."""
    files = [name for name in listed if name.endswith(".npy")]
    parts = []
    for name in files:
        with _readable(path / name):
            # a memory map: only what is asked for is read
            parts.append(_pictures(np.load(path / name, mmap_mode="r", allow_pickle=False), path / name))
    _same_size(parts, files, path)
    codes = np.repeat(np.arange(len(files)), [len(part) for part in parts])
    where = [f"{name}#{at}" for name, part in zip(files, parts, strict=True) for at in range(len(part))]
    classes = [posixpath.splitext(posixpath.basename(name))[0] for name in files]
    split = np.full(len(codes), UNASSIGNED, dtype="U10")
    index, notes = _columns(where, codes, classes, split, source=str(path.resolve()), kind="npy")
    return Source(index, Arrays(parts, index.where, np.arange(len(index))), notes, ())


def _read_arrays(pairs: Mapping[str, Pairs], names: list[str] | None) -> Source:
    parts: dict[str, tuple[Pixels, NDArray[Any]]] = {}
    for key, (pictures, labels) in pairs.items():
        part = _part(key) if key else UNASSIGNED
        if part is None:
            raise UsageError(tr("'{key}' is no part of a data set. Known: train, validation, test.", key=key))
        parts[part] = (_pictures(np.asarray(pictures), key or "array"), np.asarray(labels))
    files = {part: part or "array" for part in parts}
    return _from_arrays(parts, files, names, source="", kind="arrays", shown="array")


def _from_arrays(
    pairs: Mapping[str, tuple[Pixels, NDArray[Any]]],
    files: Mapping[str, str],
    names: list[str] | None,
    *,
    source: str,
    kind: str,
    shown: object,
) -> Source:
    """The Source of (pictures, labels) pairs by part; `files` names each part's pictures."""
    for part, (pictures, labels) in pairs.items():
        if labels.ndim == 2 and labels.shape[1] == 1:  # as keras.datasets hands them out
            labels = labels[:, 0]
        if pictures.ndim not in (3, 4) or labels.ndim != 1:
            raise SourceDamaged(
                tr("{path} needs one label for each picture, in one column.", path=files[part])
            )
        if len(pictures) != len(labels):
            raise SourceDamaged(
                tr(
                    "{path} has {n} pictures and {m} labels. Each picture needs one.",
                    path=f"{shown}: {files[part]}",
                    n=len(pictures),
                    m=len(labels),
                )
            )
    _same_size([pictures for pictures, _ in pairs.values()], list(files.values()), shown)
    values, codes = np.unique(
        np.concatenate([np.ravel(labels) for _, labels in pairs.values()]), return_inverse=True
    )
    if not len(values):
        raise TooFewExamples(tr("{path} has no pictures.", path=shown))
    if names is not None:
        if values.dtype.kind not in "iu" or values[0] < 0 or values[-1] >= len(names):
            raise UsageError(
                tr(
                    "The labels of {path} go from {least} to {most}, and the file of class names has {n} "
                    "lines.",
                    path=shown,
                    least=values[0],
                    most=values[-1],
                    n=len(names),
                )
            )
        spelled = [names[value] for value in values]
    else:
        spelled = [str(value) for value in values]
    sizes = [len(pictures) for pictures, _ in pairs.values()]
    where = [f"{files[part]}#{at}" for part, n in zip(pairs, sizes, strict=True) for at in range(n)]
    split = np.repeat(np.array(list(pairs), dtype="U10"), sizes)
    index, notes = _columns(where, codes.astype(np.int64), spelled, split, source=source, kind=kind)
    store = Arrays([pictures for pictures, _ in pairs.values()], index.where, np.arange(len(index)))
    return Source(index, store, notes, ())


def _pictures(array: NDArray[Any], name: object) -> Pixels:
    """uint8 (n, height, width) or (n, height, width, channels) of any array that means pictures.

    Numbers must lie in 0..255, or fractions in 0..1. Raises SourceDamaged.
    """
    if array.ndim == 2:
        side = round(array.shape[1] ** 0.5)
        if side * side == array.shape[1]:
            array = array.reshape(len(array), side, side)
    channels = array.shape[3] if array.ndim == 4 else 1
    if array.ndim not in (3, 4) or channels not in (1, 3, 4) or 0 in array.shape[1:]:
        raise SourceDamaged(
            tr(
                "{path} has shape {shape}. Pictures are (n, height, width) or (n, height, width, 1, 3 or "
                "4 channels).",
                path=name,
                shape=array.shape,
            )
        )
    if array.dtype == np.uint8 or not len(array):
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind not in "biuf":
        raise SourceDamaged(tr("{path} holds {type}, not numbers.", path=name, type=array.dtype))
    least, most = float(array.min()), float(array.max())
    if not (least >= 0 and most <= 255):  # NaN is refused too
        raise SourceDamaged(
            tr(
                "{path} holds values from {least} to {most}. Pixels lie in 0..255, or in 0..1.",
                path=name,
                least=least,
                most=most,
            )
        )
    if array.dtype.kind == "b" or (array.dtype.kind == "f" and most <= 1):
        return np.rint(array * np.float32(255)).astype(np.uint8)
    return np.rint(array).astype(np.uint8) if array.dtype.kind == "f" else array.astype(np.uint8)


def _same_size(parts: Sequence[Pixels], names: Sequence[str], shown: object) -> None:
    for part, name in zip(parts, names, strict=True):
        if part.shape[1:] != parts[0].shape[1:]:
            raise SourceDamaged(
                tr(
                    "{path}: the pictures of {one} are {size} and those of {other} are {other_size}. All "
                    "must be alike.",
                    path=shown,
                    one=names[0],
                    size="×".join(map(str, parts[0].shape[1:])),
                    other=name,
                    other_size="×".join(map(str, part.shape[1:])),
                )
            )


# ---------------------------------------------------------------- manifests
def _read_manifest(path: Path) -> Source:
    """A CSV or Parquet file with columns path and label, and maybe split and group; or the index of a run."""
    with _readable(path):
        if path.stat().st_size > MOST_MANIFEST:
            raise SourceDamaged(tr("{path} is larger than {most} MB.", path=path, most=MOST_MANIFEST >> 20))
        if path.suffix.lower() == ".parquet":
            import pyarrow as pa
            from pyarrow import parquet

            try:
                if b"vistazo" in (parquet.read_schema(path).metadata or {}):
                    return _read_run_index(path)
                table = parquet.read_table(path)
            except pa.ArrowException as error:
                raise ValueError(error) from error
            columns = {
                name: ["" if value is None else str(value) for value in table[name].to_pylist()]
                for name in table.column_names
            }
        else:
            columns = _csv_columns(path)
    return _from_manifest(path, columns)


def _text(path: Path) -> str:
    """A text file's content, whatever wrote it: UTF-8, UTF-16 with its mark, or the Windows code page."""
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _csv_columns(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV by header; short rows are filled with ''. Raises ValueError where it is no CSV."""
    text = _text(path)
    header_line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header_line.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise ValueError(error) from error
    if not rows:
        raise TooFewExamples(tr("{path} is empty.", path=path))
    header, *body = rows
    width = len(header)
    filled = [row[:width] + [""] * (width - len(row)) for row in body]
    return {name.strip(): [row[at].strip() for row in filled] for at, name in enumerate(header)}


def _from_manifest(path: Path, columns: Mapping[str, list[str]]) -> Source:
    folder = path.resolve().parent
    heads = {name.casefold(): name for name in columns}
    found = {
        meaning: columns[heads[word]]
        for meaning, words in HEADERS.items()
        for word in reversed(words)
        if word in heads
    }
    paths = found.get("path") or _column_of_paths(columns, folder)
    if not paths or not any(_locate(folder, name) for name in paths):
        raise SourceError(
            tr(
                "{path} has no column with paths of pictures that exist (columns: {columns}). Paths "
                "count from the "
                "folder of the file, {folder}; the first line must be a header such as path,label.",
                path=path,
                columns=", ".join(columns)[:200],
                folder=folder,
            )
        )
    if any("|" in cell for cell in found.get("labels", ())):
        raise SourceError(
            tr(
                "{path} gives several labels to a picture, which this task does not support yet: give "
                "one label each.",
                path=path,
            )
        )
    labels = found.get("label") or found.get("labels")
    if not labels:
        raise SourceError(
            tr(
                "{path} has no column of labels (columns: {columns}). Call it label.",
                path=path,
                columns=", ".join(columns)[:200],
            )
        )
    words = found.get("split", [""] * len(paths))
    parts = {word: _part(word) if word else UNASSIGNED for word in set(words)}
    strange = sorted(word for word, part in parts.items() if part is None)
    if strange:
        raise SourceError(
            tr(
                "{path} names the parts {strange}. Known: train, validation, test.",
                path=path,
                strange=", ".join(strange)[:200],
            )
        )
    broken: list[Broken] = []
    kept: list[int] = []
    where: list[str] = []
    for row, (name, label) in enumerate(zip(paths, labels, strict=True)):
        located = _locate(folder, name) if name else None
        if located and label:
            kept.append(row)
            where.append(located)
        else:
            reason = tr("the file does not exist") if label else tr("it has no label")
            broken.append(Broken(-1, name or tr("row {n}", n=row + 2), reason))
    if not kept:
        raise TooFewExamples(tr("{path} has no row with both a picture and a label.", path=path))
    classes = sorted({labels[row] for row in kept})
    number = {name: code for code, name in enumerate(classes)}
    codes = np.array([number[labels[row]] for row in kept], dtype=np.int64)
    split = np.array([parts[words[row]] for row in kept], dtype="U10")
    index, notes = _columns(where, codes, classes, split, source=str(folder), kind="manifest")
    if "group" in found:
        groups = [found["group"][row] for row in kept]
        numbers = {name: at for at, name in enumerate(sorted(set(groups) - {""}, key=natural_key))}
        index = index.replace(group=np.array([numbers.get(name, -1) for name in groups], dtype=np.int64))
    return Source(index, Files(folder, index.where), notes, tuple(broken))


def _column_of_paths(columns: Mapping[str, list[str]], folder: Path) -> list[str] | None:
    """The column, under whatever header, whose first cells are mostly files that exist."""
    for cells in columns.values():
        sample = [cell for cell in cells[:50] if _is_picture(cell)]
        if sample and 2 * sum(_locate(folder, cell) is not None for cell in sample) >= len(sample):
            return cells
    return None


def _locate(folder: Path, name: str) -> str | None:
    """How the picture of a manifest's cell is found from `folder`; None where it does not exist.

    Raises SourceDamaged where a relative path leaves the folder. An absolute one is what the user wrote.
    """
    for spelling in (name, name.replace("\\", "/")):  # Windows writes class\picture.jpg
        absolute = Path(spelling).is_absolute()
        if not absolute and posixpath.normpath(spelling).split("/")[0] == "..":
            raise SourceDamaged(
                tr(
                    "The path '{name}' leads out of {folder}. Move the pictures into it, or write whole "
                    "paths.",
                    name=name,
                    folder=folder,
                )
            )
        whole = folder / spelling
        if os.path.isfile(whole):  # noqa: PTH113 (Path.is_file raises for a name that is too long)
            return spelling
    if not name.isascii() and "\0" not in name:
        other = platform.existing(folder / name)
        if other.is_file():
            return str(other) if Path(name).is_absolute() else other.relative_to(folder).as_posix()
    return None


def _read_run_index(path: Path) -> Source:
    """The pictures of a run's index.parquet: beside it, or where they were when the run began."""
    index = read_index(path)
    root = Path(index.source)
    if index.kind == "arrays":
        raise SourceMissing(
            tr(
                "{path} belongs to arrays in memory, which no file can bring back. Give the arrays again.",
                path=path,
            )
        )
    gone = tr("The pictures of {path} were in {root}, and nothing is there now.", path=path, root=root)
    if index.kind in ("archive", "idx", "npy"):
        if not root.exists():
            raise SourceMissing(gone)
        inner = (
            _read_archive(root, _archive_kind(root))
            if index.kind == "archive"
            else _read_directory(root, None)
        )
        row_of = {name: row for row, name in enumerate(inner.index.where)}
        rows = np.array([row_of.get(name, -1) for name in index.where], dtype=np.int64)
        kept = np.flatnonzero(rows >= 0)
        store: Store = inner.store.take(rows[kept])
    else:
        beside = path.resolve().parent
        home = beside if len(index) and _locate(beside, index.where[0]) else root
        found = [_locate(home, name) for name in index.where]
        kept = np.flatnonzero([name is not None for name in found])
        store = Files(home, tuple(name for name in found if name))
        index = index.replace(source=str(home))
    if not len(kept):
        raise SourceMissing(gone)
    lost = sorted(set(range(len(index))) - set(kept.tolist()))
    broken = tuple(Broken(-1, index.where[row], tr("the file does not exist")) for row in lost)
    return Source(index.take(kept), store, (), broken)


# ---------------------------------------------------------------- for predict
def iterate_files(paths: Iterable[str | Path | NDArray[Any]]) -> Iterator[tuple[str, bytes | Pixels | str]]:
    """Every picture of files, folders (at any depth), archives and arrays, one after the other.

    Yields (name, encoded bytes or uint8 pixels); where something cannot be read, (name, the reason as a str).
    Never holds more than one picture, whatever the size of a folder or archive.
    """
    for number, given in enumerate(paths):
        if isinstance(given, np.ndarray):
            yield from _pixels_of(given, f"array-{number}", one=given.ndim == 2)
            continue
        path = platform.existing(given)
        try:
            yield from _pictures_in(path)
        except (SourceError, OSError) as error:
            yield str(path), reason_of(error)


def _pictures_in(path: Path) -> Iterator[tuple[str, bytes | Pixels | str]]:
    if path.is_dir():
        found = _listing(path)
        store = Files(path, tuple(filter(_is_picture, found.files)))
        yield from ((str(path / fault.where), fault.reason) for fault in found.broken)
        yield from _each(store, lambda name: str(path / name))
        if not len(store):
            yield str(path), tr("there are no pictures in it")
        return
    if not path.exists():
        raise SourceMissing(tr("the file does not exist"))
    if IDX_NAME.search(path.name):
        yield from _pixels_of(_idx_array(path), str(path), one=False)
        return
    if path.suffix.lower() == ".npy":
        with _readable(path):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        rows = (
            array.ndim == 2 and round(array.shape[1] ** 0.5) ** 2 == array.shape[1]
        )  # as in a data set's folder
        yield from _pixels_of(array, str(path), one=array.ndim == 2 and not rows)
        return
    kind = _archive_kind(path)
    if kind == "zip":
        shared, infos = _zip_members(path)
        names = sorted(filter(_is_picture, infos))
        members = Zipped(shared, names, [infos[name] for name in names])
        yield from _each(members, lambda name: f"{path}/{name}")
    elif kind:
        for name, member, archive in _tar_members(path, kind):
            if not _is_picture(name):
                continue
            content = archive.extractfile(member) if member.size <= MOST_BYTES else None
            too_large = tr("the file is larger than {most} MB", most=MOST_BYTES >> 20)
            yield f"{path}/{name}", content.read() if content else too_large
    else:
        yield str(path), _file_bytes(path)


def _each(store: Store, shown: Callable[[str], str]) -> Iterator[tuple[str, bytes | Pixels | str]]:
    for row in range(len(store)):
        try:
            yield shown(store.name(row)), store.read(row)
        except (SourceError, OSError) as error:
            yield shown(store.name(row)), reason_of(error)


def _pixels_of(array: NDArray[Any], name: str, *, one: bool) -> Iterator[tuple[str, Pixels | str]]:
    """One picture (or three axes of which the last is 1, 3 or 4 channels), or several along the first."""
    one = one or (array.ndim == 3 and array.shape[-1] in (1, 3, 4))
    try:
        pictures = _pictures(array[None] if one else array, name)
    except SourceDamaged as error:
        yield name, str(error)
        return
    for at, pixels in enumerate(pictures):
        yield name if one else f"{name}#{at}", np.ascontiguousarray(pixels)


def reason_of(error: Exception) -> str:
    """What went wrong, short and without the path that is told beside it."""
    if isinstance(error, FileNotFoundError):
        return tr("the file does not exist")
    if isinstance(error, PermissionError):
        return tr("you may not read it")
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
