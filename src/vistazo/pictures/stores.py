"""Where the pictures of an Index are kept: in files, inside an archive, or in memory.

A store gives encoded bytes or pixels by row. It is read from several threads, and what cannot be read of one
picture is one named error.
"""

import bz2
import hashlib
import lzma
import os
import stat
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged
from vistazo.language import reason_of_system, tr
from vistazo.pictures.filed import FileRows, state_of
from vistazo.pictures.index import Broken, Index

__all__ = [
    "DAMAGE",
    "MOST_BYTES",
    "Arrays",
    "Files",
    "Pixels",
    "Shared",
    "Slices",
    "Source",
    "Stamps",
    "Store",
    "Zipped",
    "file_bytes",
    "readable",
    "reason_of",
    "state_of",
    "too_large",
]

Pixels = NDArray[np.uint8]

MOST_BYTES = 256 << 20  # of one picture's file
PIECE = 64 << 20  # bytes of pixels that are read from a file at once

# what damaged files raise in the standard library
DAMAGE = (
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

    def stamps(self) -> "Stamps | None":
        """What tells each picture from any other without reading it; None where nothing does."""


@dataclass(frozen=True, eq=False)
class Stamps:
    """keys: (rows,) 'S16', of name, size, time of change or checksum: others once a picture changes.

    size: bytes of all of them, encoded.
    """

    keys: NDArray[np.bytes_]
    size: int

    @classmethod
    def of(cls, told: Iterable[tuple[str, int, tuple[Any, ...]]]) -> "Stamps":
        """From (name, bytes, what changes with the content) of each picture."""
        keys, size = [], 0
        for name, length, others in told:
            size += length
            text = f"{name}\0{length}\0{others}".encode("utf-8", "surrogateescape")
            keys.append(hashlib.blake2b(text, digest_size=16).digest())
        return cls(np.array(keys, dtype="S16"), size)


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


# ---------------------------------------------------------------- files
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
        return file_bytes(self.root / self.where[row])

    def take(self, rows: NDArray[np.int64]) -> Self:
        return type(self)(self.root, tuple(self.where[row] for row in rows))

    def stamps(self) -> Stamps | None:
        return Stamps.of(map(self._told, self.where))

    def _told(self, name: str) -> tuple[str, int, tuple[int, ...]]:
        size, *times = state_of(self.root / name) or (0,)
        return name, size, tuple(times)


def file_bytes(path: Path) -> bytes:
    """The content of an ordinary file of at most MOST_BYTES. Raises OSError or SourceDamaged."""
    about = os.stat(path)  # noqa: PTH116 (a third of the time) before it is opened: opening a pipe waits for ever
    if not stat.S_ISREG(about.st_mode):
        raise SourceDamaged(tr("it is not an ordinary file"))
    if about.st_size > MOST_BYTES:
        raise too_large()
    with open(path, "rb", buffering=0) as file:
        return file.read()


def too_large() -> SourceDamaged:
    """The error for a picture of more than MOST_BYTES."""
    return SourceDamaged(tr("the file is larger than {most} MB", most=MOST_BYTES >> 20))


# ---------------------------------------------------------------- inside an archive
class Shared:
    """An open file that several stores read; it is closed with the last of them."""

    def __init__(self, file: IO[bytes], path: Path | None = None) -> None:
        """path: of the archive that the bytes come from."""
        self._file, self._lock, self._path = file, threading.Lock(), path

    def __del__(self) -> None:
        self._file.close()

    @contextmanager
    def filled(self) -> Iterator[IO[bytes]]:
        """The file, to be filled; closed where that fails, for an error's frames may keep it."""
        try:
            yield self._file
        except BaseException:
            self._file.close()
            raise

    def read(self, first: int, length: int) -> bytes:
        """Up to `length` bytes from `first` on."""
        with self._lock:
            self._file.seek(first)
            return self._file.read(length)

    def state(self) -> tuple[int, ...]:
        """What changes with the archive; empty where it cannot be told."""
        return state_of(self._path) if self._path else ()


class _Members:
    """Pictures inside one open file, found by position."""

    def __init__(self, shared: Shared, where: Sequence[str], members: Sequence[Any]) -> None:
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
        if length > MOST_BYTES:
            raise too_large()
        data = self._shared.read(first, length)
        if len(data) != length:
            raise SourceDamaged(tr("the archive is cut short"))
        return data

    def stamps(self) -> Stamps | None:
        state = self._shared.state()
        if not state:
            return None
        members = zip(self._where, self._members, strict=True)
        return Stamps.of((name, length, (first, *state)) for name, (first, length) in members)


class Zipped(_Members):
    """Members of a zip: its ZipInfo each.

    The local header is read here: ZipFile.open builds six objects a member, which costs more than decoding
    a small picture.
    """

    def read(self, row: int) -> bytes:
        info: zipfile.ZipInfo = self._members[row]
        if max(info.file_size, info.compress_size) > MOST_BYTES:
            raise too_large()
        try:
            header = self._shared.read(info.header_offset, 30)
            name, extra = struct.unpack("<4s22xHH", header)[1:]
            packed = self._shared.read(info.header_offset + 30 + name + extra, info.compress_size)
            data = _unpack(packed, info.compress_type, info.file_size)
        except DAMAGE as error:
            raise SourceDamaged(tr("the archive is damaged here")) from error
        if (
            not header.startswith(b"PK\x03\x04")
            or len(data) != info.file_size
            or zlib.crc32(data) != info.CRC
        ):
            raise SourceDamaged(tr("the archive is damaged here"))
        return data

    def stamps(self) -> Stamps | None:
        members = zip(self._where, self._members, strict=True)
        return Stamps.of((name, one.file_size, (one.CRC, one.compress_size)) for name, one in members)


def _unpack(packed: bytes, method: int, size: int) -> bytes:
    """The first `size` bytes of a member, never more: the size in the directory may lie."""
    if method == zipfile.ZIP_STORED:
        return packed
    if method == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-15).decompress(packed, size + 1)
    if method == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, size + 1)
    raise SourceDamaged(tr("its compression method ({method}) is not known", method=method))


# ---------------------------------------------------------------- in memory
class Arrays:
    """Pictures in memory or in mapped files: parts of one shape, uint8 (n, height, width[, channels])."""

    def __init__(
        self,
        parts: Sequence[Pixels],
        where: Sequence[str],
        rows: NDArray[np.int64],
        *,
        files: Sequence[FileRows | None] | None = None,
    ) -> None:
        """rows: which picture of the joined parts each row is. files: of each part, where it was opened before."""
        self.parts, self._where, self._rows = parts, where, rows
        self._first = np.cumsum([0, *(len(part) for part in parts)])
        self._files = [FileRows.of(part) for part in parts] if files is None else files

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
        at -= int(self._first[part])
        return np.ascontiguousarray(self._piece(part, at, at + 1)[0])

    def block(self, rows: NDArray[np.int64]) -> Pixels:
        """The pictures of `rows`, (rows, height, width, channels), copied once. Raises SourceDamaged, OSError."""
        pixels = np.empty((len(rows), *self.shape), dtype=np.uint8)
        at = self._rows[rows]
        for part, first in enumerate(self._first[:-1]):
            mine = np.flatnonzero((at >= first) & (at < self._first[part + 1]))
            if not len(mine):
                continue
            inside = at[mine] - first
            if (np.diff(mine) == 1).all() and (np.diff(inside) == 1).all():  # a plain copy: 4 times faster
                for one in range(0, len(mine), step := max(1, PIECE // pixels[0].nbytes)):
                    last = min(one + step, len(mine))
                    piece = self._piece(part, int(inside[one]), int(inside[last - 1]) + 1)
                    pixels[mine[one] : mine[last - 1] + 1] = piece.reshape(last - one, *self.shape)
            elif self._files[part] is None:
                pixels[mine] = self.parts[part].reshape(-1, *self.shape)[inside]
            else:
                for place, row in zip(mine.tolist(), inside.tolist(), strict=True):
                    pixels[place] = self._piece(part, row, row + 1).reshape(self.shape)
        return pixels

    def _piece(self, part: int, first: int, last: int) -> Pixels:
        file = self._files[part]
        return self.parts[part][first:last] if file is None else file.read(first, last)

    def take(self, rows: NDArray[np.int64]) -> "Arrays":
        where = [self._where[row] for row in rows]
        return Arrays(self.parts, where, self._rows[rows], files=self._files)

    def stamps(self) -> Stamps | None:
        states = [file.state() if file else () for file in self._files]
        if not all(states):
            return None
        each = int(np.prod(self.shape))
        parts = np.searchsorted(self._first, self._rows, side="right") - 1
        told = zip(self._where, self._rows.tolist(), parts.tolist(), strict=True)
        return Stamps.of((name, each, (row, *states[part])) for name, row, part in told)


# ---------------------------------------------------------------- what goes wrong
@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is read into one named sentence."""
    try:
        yield
    except PermissionError as error:
        raise SourceDamaged(tr("You may not read {path}. Change its permissions.", path=path)) from error
    except DAMAGE as error:
        raise SourceDamaged(
            tr("{path} is damaged or cut short ({reason}). Get it again.", path=path, reason=reason_of(error))
        ) from error


def reason_of(error: Exception) -> str:
    """What went wrong, short and without the path that is told beside it."""
    if isinstance(error, FileNotFoundError):
        return tr("the file does not exist")
    if isinstance(error, PermissionError):
        return tr("you may not read it")
    if isinstance(error, MemoryError):
        return tr("there is not enough memory for it")
    return reason_of_system(error)
