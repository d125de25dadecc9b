"""The bodies of requests: read within their limit, taken apart, and never trusted.

Sources: RFC 9110 (bodies), RFC 7578 (multipart/form-data), RFC 8259 (JSON).
"""

import asyncio
import json
import math
import re
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

from vistazo.language import tr
from vistazo.serving.refusing import Refused
from vistazo.serving.visits import Visit

__all__ = ["Held", "Part", "media_type_of", "parse_json", "parts_of", "read_body"]

_MOST_HEAD = 8192  # bytes of the headers of one part
_FIELD = re.compile(rb'\bname="([^"\r\n]{0,200})"|\bname=([^\s;"]{1,200})', re.IGNORECASE)
_FILE_NAME = re.compile(rb'\bfilename="((?:\\"|[^"\r\n])*)"|\bfilename=([^\s;"]+)', re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_LARGEST = 1 << 62  # whole numbers above are read as numbers with a fraction


@dataclass(frozen=True)
class Part:
    """What one input came as. name: the file's, as the client calls it."""

    name: str
    data: bytes
    media_type: str


class Held:
    """Bytes of bodies that are being read or answered, of all requests together: many large ones must not fill the
    memory.
    """

    def __init__(self, most: int) -> None:
        self.most, self.now = most, 0

    def take(self, count: int) -> None:
        """So many more, until they are taken from `now`. Raises Refused 429 where that is too much."""
        if self.now + count > self.most:
            raise Refused.busy(1, close=True)
        self.now += count


async def read_body(receive: Any, visit: Visit, limit: int, seconds: float, held: Held) -> bytes:
    """The whole body. Raises Refused: 413 above the limit, 408 where it comes too slowly, 429 where too much waits.

    A body that is declared too large is not read at all; of one that is not, nothing is read after the limit.
    """
    if visit.length > limit and not visit.chunked:
        raise _too_large(limit)
    coming = receive()
    try:
        first = coming.send(None)
    except (
        StopIteration
    ) as came:  # with the head, as small bodies do: a clock would cost as much as all the rest
        message = came.value
    else:
        message = await _received(lambda: _Going(coming, first), seconds)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        visit.received = len(body)
        if len(body) > limit:
            raise _too_large(limit)
        return body
    clock = asyncio.get_running_loop()
    until = clock.time() + seconds
    chunks = bytearray(body)
    counted = 0
    try:
        while True:
            visit.received = len(chunks)
            if len(chunks) > limit:
                raise _too_large(limit)
            held.take(len(chunks) - counted)
            counted = len(chunks)
            if not message.get("more_body", False):
                return bytes(chunks)
            message = await _received(receive, until - clock.time())
            chunks += message.get("body", b"")
    finally:
        held.now -= counted


class _Going:
    """A coroutine that has begun and waits for `first`, to be awaited by another."""

    def __init__(self, coming: Any, first: Any) -> None:
        self._coming, self._first = coming, first

    def __await__(self) -> Generator[Any, Any, Any]:
        waited = self._first
        while True:
            try:
                sent = yield waited
            except BaseException as error:
                step = partial(self._coming.throw, error)
            else:
                step = partial(self._coming.send, sent)
            try:
                waited = step()
            except StopIteration as came:
                return came.value


async def _received(receive: Any, seconds: float) -> Any:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            message = await receive()
    except TimeoutError:
        raise Refused(408, tr("The body of the request did not come in time."), close=True) from None
    if message["type"] == "http.disconnect":
        raise Refused(400, tr("The connection ended before the body did."), close=True)
    return message


def _too_large(limit: int) -> Refused:
    sentence = tr("The body of a request may have {n} MB at most.", n=f"{limit / 1_000_000:g}")
    return Refused(413, sentence, close=True)


def media_type_of(header: str) -> str:
    """The media type in a Content-Type header, without its parameters."""
    return header.partition(";")[0].strip().lower()


def parts_of(body: bytes, content_type: str, most: int, fields: dict[str, str] | None = None) -> list[Part]:
    """The files of a multipart/form-data body: the parts named `file`, and others that have a file's name.

    fields: where to put what the other parts say, by their names.
    Raises Refused 400 where it is malformed, 413 where it has more than `most` files.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _malformed(tr("it names no boundary"))
    mark = b"--" + (found[1] or found[2]).encode("latin-1")
    text = b"\r\n" + body  # so that the first boundary looks like the others
    if body.count(b"\r\n" + mark) > 4 * most + 8:
        raise Refused(413, tr("A request may have {n} inputs at most.", n=most))
    pieces = text.split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise _malformed(tr("its last boundary is missing"))
    files: list[Part] = []
    for piece in pieces[1:-1]:
        line, end, rest = piece.partition(b"\r\n")
        if not end or line.strip(b" \t"):
            raise _malformed(tr("a part is cut short"))
        if rest.startswith(b"\r\n"):
            head, data = b"", rest[2:]
        else:
            head, end, data = rest.partition(b"\r\n\r\n")
            if not end or len(head) > _MOST_HEAD:
                raise _malformed(tr("a part is cut short"))
        part = _part(head, data, len(files) + 1)
        if isinstance(part, Part):
            files.append(part)
        elif fields is not None and part:
            fields[part] = data[:_MOST_HEAD].decode("utf-8", "replace").strip()
    if len(files) > most:
        raise Refused(413, tr("A request may have {n} inputs at most.", n=most))
    return files


def _part(head: bytes, data: bytes, number: int) -> Part | str:
    """The file in a part; the name where it is a field of a form."""
    named: bytes | None = None
    file: bytes | None = None
    kind = ""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        lower = name.strip().lower()
        if lower == b"content-disposition":
            found, of_file = _FIELD.search(value), _FILE_NAME.search(value)
            named = None if found is None else found[1] if found[1] is not None else found[2]
            file = None if of_file is None else of_file[1] if of_file[1] is not None else of_file[2]
        elif lower == b"content-type":
            kind = media_type_of(value.decode("latin-1"))
    if named != b"file" and file is None:
        return (named or b"").decode("utf-8", "replace")
    shown = (file or b"").decode("utf-8", "replace").replace("%22", '"')[:200]  # as forms write it
    return Part(shown or str(number), data, kind)


def _malformed(why: str) -> Refused:
    return Refused(400, tr("The multipart body is malformed: {why}.", why=why))


# ---------------------------------------------------------------- JSON
def parse_json(body: bytes) -> Any:
    """The value in a JSON body; numbers are finite. Raises Refused 400 with the reason."""
    try:
        return json.loads(
            body.decode("utf-8-sig"), parse_int=_whole, parse_float=_number, parse_constant=_constant
        )
    except UnicodeDecodeError:
        why = tr("it is not in UTF-8")
    except RecursionError:
        why = tr("it is nested too deeply")
    except _NotFinite:
        why = tr("it holds a number that is not finite or too large")
    except ValueError as error:
        why = tr("it is no JSON at character {n}", n=getattr(error, "pos", 0) + 1)
    raise Refused(400, tr("The JSON body is malformed: {why}.", why=why))


class _NotFinite(Exception):
    pass


def _whole(text: str) -> int | float:
    if len(text) < 19:
        return int(text)
    return _number(text)


def _number(text: str) -> float:
    value = float(text[:400]) if len(text) > 400 else float(text)
    if not math.isfinite(value):
        raise _NotFinite
    return value


def _constant(text: str) -> float:
    raise _NotFinite
