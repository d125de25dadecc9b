"""Bytes as letters: the encoding of a text file told from all of it, and the file streamed as UTF-8."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from vistazo.errors import SourceDamaged
from vistazo.language import tr
from vistazo.tables.table import shortened

__all__ = ["Scan", "Stream", "scan", "utf8_chunks"]

_CHUNK = 1 << 20
_MOST_BYTES = 1 << 36  # once unpacked: a gzip bomb ends here


@dataclass(frozen=True)
class Scan:
    """How a text file is written. quotes: how many quotes it has."""

    encoding: str
    quotes: int


def _open(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked. Raises SourceDamaged where they cannot be, or are too many."""
    total = 0
    try:
        with _open(path) as file:
            while chunk := file.read(_CHUNK):
                total += len(chunk)
                if total > _MOST_BYTES:
                    raise SourceDamaged(
                        tr(
                            "{path} unpacks to more than {most} GB. Divide it into smaller files.",
                            path=path,
                            most=_MOST_BYTES >> 30,
                        )
                    )
                yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceDamaged(
            tr("{path} is damaged or cut short ({reason}). Copy it again.", path=path, reason=error)
        ) from None


def scan(path: Path, wanted: str) -> Scan:
    """The encoding of the whole file, and how many quotes it has.

    Raises SourceDamaged where it is no text or not in the encoding wanted.
    """
    first = next(_chunks(path), b"")
    encoding = wanted if wanted != "auto" else _marked(first) or _sixteen(first)
    if encoding:
        return Scan(encoding, _check(path, encoding))
    try:
        return Scan("utf-8-sig", _check(path, "utf-8-sig"))
    except _OtherLetters:
        return Scan("cp1252", _check(path, "cp1252"))


class _OtherLetters(SourceDamaged):
    """The bytes are not of the encoding tried."""


def _marked(first: bytes) -> str:
    """The encoding that a byte order mark names; '' without one."""
    if first.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    return "utf-16" if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""


def _sixteen(first: bytes) -> str:
    """UTF-16 without a mark, told by every other byte being zero; '' where it is not so."""
    head = first[:4096]
    half = len(head) // 2
    for at, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if half and head[at::2].count(0) > 0.6 * half and not head[1 - at :: 2].count(0):
            return encoding
    return ""


def _check(path: Path, encoding: str) -> int:
    """How many quotes the file has; every byte of it is decoded on the way."""
    quotes = 0
    for at, data in enumerate(utf8_chunks(path, encoding)):
        quotes += data.count(b'"')
        if b"\0" in data or (at == 0 and _is_noise(data)):
            raise SourceDamaged(
                tr(
                    "{path} is not a text file. Save the table as CSV, Excel (.xlsx) or Parquet, with the ending of "
                    "its name to match.",
                    path=path,
                )
            )
    return quotes


def _is_noise(data: bytes) -> bool:
    """Whether more than a hundredth of some bytes are control signs, which no table holds."""
    printable = bytes(range(9, 14)) + bytes(range(32, 256))
    return len(data.translate(None, delete=printable)) > 0.01 * len(data)


def utf8_chunks(path: Path, encoding: str) -> Iterator[bytes]:
    """The file in UTF-8, without a byte order mark. Raises _OtherLetters where it is not in `encoding`."""
    # Windows leaves five bytes of its code page undefined; a file is not refused for one of them
    decoder = codecs.getincrementaldecoder(encoding)("replace" if encoding == "cp1252" else "strict")
    plain = encoding in ("utf-8", "utf-8-sig")
    pending = True  # the mark, or part of a letter, may be in the decoder
    try:
        for chunk in _chunks(path):
            if plain and not pending and chunk.isascii():
                yield chunk
                continue
            text = decoder.decode(chunk)
            pending = bool(decoder.getstate()[0])
            if text:
                yield text.removeprefix("\ufeff").encode("utf-8", "replace")
        if rest := decoder.decode(b"", final=True):
            yield rest.encode("utf-8", "replace")
    except ValueError as error:  # UnicodeError, and what single codecs raise
        raise _OtherLetters(
            tr(
                "{path} is not written in {encoding} ({reason}). Save it as UTF-8, or name its encoding with "
                "--encoding.",
                path=path,
                encoding=encoding,
                reason=shortened(str(error)),
            )
        ) from None


class Stream(io.RawIOBase):
    """Chunks of bytes as a file that pyarrow can read."""

    def __init__(self, chunks: Iterator[bytes], skip: int) -> None:
        self._chunks = chunks
        self._skip = skip
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, fewer at the end alone: pyarrow takes what one call gives for a block of its own."""
        given = bytearray()
        while len(given) < size:
            if not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._rest = memoryview(chunk)[self._skip :]
                self._skip = max(0, self._skip - len(chunk))
            wanted = size - len(given)
            given += self._rest[:wanted]
            self._rest = self._rest[wanted:]
        return bytes(given)
