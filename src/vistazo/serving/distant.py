"""Models that compute in a process of their own (`vistazo.serving.model_process`), seen from the one that listens.

The process that listens reads requests, lets in, refuses, and decodes what is large. It holds no network, and where all
models are of pictures it never imports torch.
"""

import asyncio
import contextlib
import itertools
import json
import socket
import subprocess
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from vistazo import errors, platform
from vistazo.errors import VistazoError
from vistazo.language import current, tr
from vistazo.serving.bodies import Part
from vistazo.serving.endpoints import Asked, Read
from vistazo.serving.frames import Frame, Frames, frame
from vistazo.serving.model_process import ANSWERED, UNREADABLE
from vistazo.serving.pictures import Pictures, is_small
from vistazo.serving.refusing import Refused

__all__ = ["DistantPictures", "ModelProcess"]

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[3]); from vistazo.serving.model_process import serve_frames; "
    "serve_frames(int(sys.argv[1]), torch=sys.argv[2] == 'torch')"
)
_READ = 1 << 18
Came = Callable[[Frame | Exception], None]
_PATIENCE = 5.0  # seconds that it has to end by itself


class ModelProcess:
    """A process that computes. alive: until it ends. ended: is done then, from `attach` on."""

    def __init__(self, process: "subprocess.Popen[bytes]", channel: socket.socket) -> None:
        self._process, self._channel = process, channel
        self._numbers = itertools.count(1)
        self._frames = Frames()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._asked: dict[int, Came] = {}
        self.alive = True
        self.ended: asyncio.Future[None] | None = None

    @classmethod
    def start(cls, *, torch: bool) -> "ModelProcess":
        """A new process. torch: whether its models will need it. Raises OSError where there is room for none."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = platform.start_beside(_PROGRAM, theirs.fileno(), "torch" if torch else "plain")
        return cls(process, ours)

    @property
    def ready(self) -> bool:
        """Whether it can be asked on the loop."""
        return self.alive and self._transport is not None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def attach(self) -> None:
        """Listen to it on the running loop from here on."""
        self._loop = asyncio.get_running_loop()
        self.ended = self._loop.create_future()
        transport, _ = await self._loop.create_connection(lambda: _Heard(self), sock=self._channel)
        self._transport = transport

    def open(self, path: Path, digest: str, threads: int | None) -> "DistantPictures":
        """The model in a file. Not to be called on the loop. Raises VistazoError, as opening it here would."""
        told = {"path": str(path), "digest": digest, "threads": threads, "language": current()}
        found = self.call({"do": "open", **told}).told
        return DistantPictures(self, found["key"], found["facts"])

    def call(self, told: Mapping[str, Any]) -> Frame:
        """What it answers, waited for. Not to be called on the loop. Raises what it was refused with."""
        if self._loop is not None:
            return asyncio.run_coroutine_threadsafe(self.asked(told), self._loop).result()
        try:
            self._channel.sendall(frame({"id": next(self._numbers), **told}))
            while data := self._channel.recv(_READ):
                for message in self._frames.feed(data):
                    return _checked(message)
        except OSError:
            pass
        self.alive = False
        raise VistazoError(tr("The process of the models ended (code {code}).", code=self._process.wait()))

    async def asked(self, told: Mapping[str, Any], pieces: Sequence[bytes] = ()) -> Frame:
        """Its answer. To be awaited on the loop. Raises what it was refused with, Refused 503 where it ends before."""
        assert self._loop is not None
        found: asyncio.Future[Frame] = self._loop.create_future()

        def came(message: Frame | Exception) -> None:
            if found.done():  # nobody waits any more
                return
            try:
                found.set_result(_checked(message))
            except Exception as error:
                found.set_exception(error)

        self.ask(told, pieces, came)
        return await found

    def ask(self, told: Mapping[str, Any], pieces: Sequence[bytes], came: Came) -> None:
        """Ask, and be called with its answer; Refused 503 where it ends before. To be called on the loop."""
        if self._transport is None or not self.ready:
            came(Refused.draining())
            return
        number = next(self._numbers)
        self._asked[number] = came
        self._transport.write(frame({"id": number, **told}, pieces))

    def forget(self, key: int) -> None:
        """A model that nobody asks any more."""
        if self._loop is not None and self._transport is not None and self.alive:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._transport.write, frame({"do": "close", "key": key}))

    def heard(self, data: bytes) -> None:
        """Called by the loop with what it sent."""
        for message in self._frames.feed(data):
            came = self._asked.pop(message.told["id"], None)
            if came is not None:
                came(message)

    def lost(self) -> None:
        """Called by the loop when it has ended."""
        self.alive = False
        waiting, self._asked = self._asked, {}
        for came in waiting.values():
            came(Refused.draining())
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)

    def close(self) -> None:
        """End it: what it was asked, it answers no more. The loop may stand still meanwhile."""
        self.alive = False
        with contextlib.suppress(OSError):  # it has ended already
            self._channel.shutdown(socket.SHUT_RDWR)
        if self._transport is None:
            self._channel.close()
            self._process.kill()  # it may be importing, which takes seconds
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Heard(asyncio.Protocol):
    def __init__(self, process: ModelProcess) -> None:
        self._process = process

    def data_received(self, data: bytes) -> None:
        self._process.heard(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._process.lost()


class _Facts:
    """Of a model that is elsewhere, what reading requests for it needs."""

    task = "classification"

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.classes: tuple[str, ...] = tuple(told["classes"])
        self.size: tuple[int, int, int] = tuple(told["size"])
        self.background: str = told["background"]
        self.hash: str = told["hash"]


class DistantPictures(Pictures):
    """A classifier that computes in another process."""

    def __init__(self, process: ModelProcess, key: int, facts: Mapping[str, Any]) -> None:
        super().__init__(_Facts(facts), "", threads=None)
        self.process, self._key = process, key
        self.most, self.least = facts["most"], facts["least"]
        self.decodes = facts["decodes"]
        self.explains, self.searches = facts["explains"], facts["searches"]
        weakref.finalize(self, process.forget, key).atexit = False

    def warm(self) -> None:
        """It was, where it computes."""

    def settle(self) -> None:
        """It is, where it computes."""

    def read(self, inputs: list[Part], asked: Asked) -> Read:
        """Pictures decoded to the model's size, but for small ones that are decoded elsewhere."""
        found = Read()
        for part in inputs:
            if self.decodes and is_small(part.data):
                found.items.append((part.name, part.data, asked.top, asked.language))
                continue
            read = super().read([part], asked)
            found.items += [(*one, asked.language) for one in read.items]
            found.unreadable += read.unreadable
        return found

    def send(self, items: Sequence[Any], came: Callable[[Sequence[Any], float], None]) -> None:
        """Ask for answers. came: is called with them, each JSON, {"file", "reason"} or the exception that was met, and
        with the seconds they took."""
        told, pieces = [], []
        for name, data, top, language in items:
            if isinstance(data, bytes):
                told.append((name, top, language, None))
                pieces.append(data)
            else:
                told.append((name, top, language, data.shape))
                pieces.append(data.tobytes())
        began = perf_counter()

        def heard(message: Frame | Exception) -> None:
            try:
                answers = [_told(kind, text) for kind, text in _checked(message).told["told"]]
            except Exception as error:
                answers = [error] * len(items)
            came(answers, perf_counter() - began)

        self.process.ask({"do": "answer", "key": self._key, "items": told}, pieces, heard)

    async def look(
        self, verb: str, parts: Sequence[Part], asked: Mapping[str, Any], index: str | None, language: str
    ) -> dict[str, Any]:
        """What `vistazo.serving.looks` finds there. Raises Refused."""
        message = await self.process.asked(
            {"do": "look", "key": self._key, "verb": verb, "asked": dict(asked), "index": index,
             "language": language, "names": [one.name for one in parts]},
            [one.data for one in parts],
        )  # fmt: skip
        found: dict[str, Any] = message.told["found"]
        return found


def _told(kind: int, text: str) -> Any:
    if kind == ANSWERED:
        return text
    return json.loads(text) if kind == UNREADABLE else RuntimeError(text)


def _checked(message: Frame | Exception) -> Frame:
    """A message that answers; what else it says is raised."""
    if isinstance(message, Exception):
        raise message
    told = message.told
    if "refused" in told:
        status, sentence = told["refused"]
        raise Refused(status, sentence)
    if "error" in told:
        name, sentence = told["error"]
        raise getattr(errors, name, VistazoError)(sentence)
    if "fault" in told:
        raise RuntimeError(told["fault"])
    return message
