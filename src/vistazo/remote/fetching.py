"""Files from the web: streamed, resumed, proved, and put in their place whole.

What arrives is written to NAME.part beside the file it will be, with NAME.part.json that says what it is a part of.
A connection that breaks, or a process that is killed, costs what was under way and nothing else: the next try asks
for the rest (Range), on condition that the file is still the same one (If-Range). A server that cannot do that, or
another file under the same address, begins anew. Only a whole file whose checksum holds gets its name.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from vistazo.bundle import disk_sentence
from vistazo.engine.progress import duration
from vistazo.engine.reports import number
from vistazo.errors import DiskError
from vistazo.language import tr
from vistazo.remote.addresses import host
from vistazo.remote.web import Answer, Facts, Lost, Unreachable, facts_of, piece, request, some

__all__ = [
    "PAUSE",
    "TRIES",
    "Meter",
    "Wanted",
    "alone",
    "amount",
    "content",
    "download",
    "holds",
    "look",
    "require_room",
]

T = TypeVar("T")
Say = Callable[[str], None]

TRIES = 4  # at one address, without a single new byte between them
PAUSE = 1.0  # seconds before the second try; twice as long before each further one
LONGEST_PAUSE = 30.0
SAY_EVERY = 5.0  # seconds between two lines of progress


@dataclass(frozen=True)
class Wanted:
    """A file and where it is: addresses that are tried in turn, and what is known of its content.

    size: bytes; None where unknown. sha256, md5: hexadecimal; empty where unknown.
    """

    urls: Sequence[str]
    size: int | None = None
    sha256: str = ""
    md5: str = ""

    @property
    def proved(self) -> bool:
        """Whether a checksum tells the right file from any other."""
        return bool(self.sha256 or self.md5)


@dataclass(frozen=True)
class _Begun:
    """What a part is a part of. address: a digest, for the address itself may hold a password."""

    address: str = ""
    condition: str = ""
    size: int | None = None


def amount(size: int) -> str:
    """Bytes for people: '512 bytes', '26.4 MB'."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{number(size / unit, 1)} {name}"
    return tr("{n} bytes", n=size)


# ---------------------------------------------------------------- proofs
def holds(path: Path, wanted: Wanted) -> bool:
    """Whether a file has the wanted size and checksums, as far as they are known. Raises OSError."""
    if wanted.size is not None and path.stat().st_size != wanted.size:
        return False
    sums = [(name, due) for name, due in (("sha256", wanted.sha256), ("md5", wanted.md5)) if due]
    found = [hashlib.new(name, usedforsecurity=name != "md5") for name, _ in sums]
    if sums:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                for one in found:
                    one.update(block)
    return all(one.hexdigest() == due.lower() for one, (_, due) in zip(found, sums, strict=True))


def require_room(path: Path, size: int) -> None:
    """Raise DiskError where the disk of `path` has no room for so many bytes more."""
    with contextlib.suppress(OSError):  # where the system does not tell, the writing will
        there = next(folder for folder in path.absolute().parents if folder.exists())
        free = shutil.disk_usage(there).free
        if free < size:
            raise DiskError(
                tr(
                    "{path} needs {size} more and the disk has {free} free. Free some space, or choose another "
                    "folder; what has arrived is kept.",
                    path=path,
                    size=amount(size),
                    free=amount(free),
                )
            )


# ---------------------------------------------------------------- the verbs
def look(url: str, known: Facts | None, *, tries: int) -> Facts | None:
    """What is at an address; None where it is still what `known` tells. Raises Unreachable."""
    headers = {}
    if known and known.etag:
        headers["If-None-Match"] = known.etag
    elif known and known.modified:
        headers["If-Modified-Since"] = known.modified

    def once() -> Facts | None:
        answer = request(url, headers)
        if answer is None:
            return None
        with answer:
            return facts_of(answer, url)

    return _patiently(once, lambda: 0, tries)


def content(url: str, most: int) -> bytes:
    """What is at an address, at most a byte more than `most`. Raises Unreachable."""

    def once() -> bytes:
        answer = request(url, {})
        if answer is None:
            raise Unreachable(tr("the server answers {code}", code=304))
        with answer:
            data, total = bytearray(), facts_of(answer, url).size
            while len(data) <= most and (more := some(answer)):
                data += more
        if total is not None and len(data) < min(total, most + 1):
            raise Lost(tr("the connection ended after {n} of {total} bytes", n=len(data), total=total))
        return bytes(data[: most + 1])

    return _patiently(once, lambda: 0, TRIES)


def download(wanted: Wanted, path: Path, *, say: Say) -> None:
    """Make `path` the wanted file; what arrived before is gone on with, and a file that holds is left alone.

    say: takes lines of progress.
    Raises Unreachable with every address's reason, DiskError. NAME.part stays then, to be resumed.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error
    reasons = []
    with alone(path, say):
        if path.exists() and wanted.proved and holds(path, wanted):  # another process was here
            return
        for url in wanted.urls:
            try:
                _whole(url, wanted, part, path.name, say)
                _put(part, path)
                return
            except Unreachable as error:
                reasons.append(f"{host(url)}: {error}")
    raise Unreachable(
        tr(
            "{name} could not be fetched ({reasons}). Check the network and repeat the command; what has arrived "
            "is kept.",
            name=path.name,
            reasons="; ".join(reasons),
        )
    )


@contextlib.contextmanager
def alone(path: Path, say: Say, *, name: str = "") -> Iterator[None]:
    """One process at a time fetches a file; a killed one lets go by dying. name: what people call it."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(tr("another process is fetching {name}; waiting for it", name=name or path.name))
            lock.acquire()
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error
    try:
        yield
        with contextlib.suppress(OSError):  # after a failure it stays: whoever waits for it holds it too
            Path(lock.lock_file).unlink(missing_ok=True)
    finally:
        lock.release()


def _put(part: Path, path: Path) -> None:
    try:
        os.replace(part, path)
        _about(part).unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error


# ---------------------------------------------------------------- one address
def _whole(url: str, wanted: Wanted, part: Path, name: str, say: Say) -> None:
    """Make `part` the whole file, from one address. Raises Unreachable, DiskError."""
    for begun in (_size(part) > 0, False):
        # Nothing is asked for where all had arrived and the process died before it was proved.
        if not (wanted.proved and _size(part) == wanted.size):
            _patiently(lambda: _receive(url, wanted, part, name, say), lambda: _size(part), TRIES)
        if holds(part, wanted):
            return
        part.unlink(missing_ok=True)
        if not begun:  # where something had been there before, the two pieces may not belong together
            break
    raise Unreachable(tr("what it sends is not the published file: the checksum differs"))


def _patiently(act: Callable[[], T], progress: Callable[[], int], tries: int) -> T:
    """`act`, again and again where it is Lost, as long as there is progress; then Unreachable."""
    left, pause = tries, PAUSE
    while True:
        before = progress()
        try:
            return act()
        except Lost as error:
            if progress() > before:
                left, pause = tries, PAUSE
            left -= 1
            if left <= 0:
                raise Unreachable(str(error)) from error
            time.sleep(min(max(pause, error.after * PAUSE), LONGEST_PAUSE))
            pause *= 2


def _receive(url: str, wanted: Wanted, part: Path, name: str, say: Say) -> None:
    """Append to `part` what the server still has of it. Raises Lost, Unreachable, DiskError."""
    first, begun = _rest(url, wanted, part)
    headers = {"Range": f"bytes={first}-"} if first else {}
    if first and begun.condition:
        headers["If-Range"] = begun.condition
    try:
        answer = request(url, headers)
    except Lost as error:
        if error.beyond:
            part.unlink(missing_ok=True)
        raise
    if answer is None:
        raise Unreachable(tr("the server answers {code}", code=304))
    with answer:
        facts = facts_of(answer, url)
        total = facts.size
        if answer.status == 206:
            start, total = piece(answer)
            if start != first or (begun.size is not None and total not in (None, begun.size)):
                part.unlink(missing_ok=True)
                raise Lost(tr("it sends another piece than was asked for"))
        else:
            first = 0
        if wanted.size is not None and total not in (None, wanted.size):
            raise Unreachable(
                tr("the file there has {there} bytes instead of {due}", there=total, due=wanted.size)
            )
        if total is not None:
            require_room(part, total - first)
        _note(part, _Begun(_digest(url), facts.condition, total))
        _copy(answer, part, first, total, Meter(name, first, total, say))


def _rest(url: str, wanted: Wanted, part: Path) -> tuple[int, _Begun]:
    """The first byte that is lacking, and what the part is a part of.

    Of a file with a checksum, any address may go on with what another one began.
    """
    first, begun = _size(part), _read_note(part)
    if begun.address != _digest(url):
        begun = _Begun()
    if not (begun.condition or wanted.proved) or (wanted.size is not None and first >= wanted.size):
        return 0, begun
    return first, begun


def _copy(answer: Answer, part: Path, first: int, total: int | None, meter: "Meter") -> None:
    there = first
    try:
        with open(part, "r+b" if first else "wb") as file:
            file.seek(first)
            file.truncate()
            while data := some(answer):
                file.write(data)
                there += len(data)
                meter.add(len(data))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # of writing: those of reading are Lost by now
        raise DiskError(disk_sentence(part, error)) from error
    if total is not None and there < total:
        raise Lost(tr("the connection ended after {n} of {total} bytes", n=there, total=total))


# ---------------------------------------------------------------- what a part is a part of
def _about(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _note(part: Path, begun: _Begun) -> None:
    try:
        _about(part).write_text(json.dumps(asdict(begun)), encoding="utf-8")
    except OSError as error:
        raise DiskError(disk_sentence(part, error)) from error


def _read_note(part: Path) -> _Begun:
    try:
        told = json.loads(_about(part).read_text(encoding="utf-8"))
        size = told["size"]
        return _Begun(str(told["address"]), str(told["condition"]), None if size is None else int(size))
    except (OSError, ValueError, KeyError, TypeError):
        return _Begun()


def _digest(url: str) -> str:
    return hashlib.blake2b(url.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Meter:
    """A line of progress now and then."""

    def __init__(self, name: str, first: int, total: int | None, say: Say) -> None:
        self._name, self._first, self._total, self._say = name, first, total, say
        self._there, self._began = first, time.monotonic()
        self._said = self._began
        if first:
            say(tr("{name}: going on after {there}", name=name, there=amount(first)))

    def add(self, count: int) -> None:
        self._there += count
        now = time.monotonic()
        if now - self._said < SAY_EVERY:
            return
        self._said = now
        speed = (self._there - self._first) / (now - self._began)
        there, pace = amount(self._there), amount(round(speed))
        if self._total is None:
            self._say(tr("{name}: {there}, {pace} a second", name=self._name, there=there, pace=pace))
        else:
            left = duration((self._total - self._there) / max(speed, 1.0))
            self._say(
                tr(
                    "{name}: {there} of {total}, {pace} a second, about {left} left",
                    name=self._name,
                    there=there,
                    total=amount(self._total),
                    pace=pace,
                    left=left,
                )
            )
