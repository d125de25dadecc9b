"""The process that computes: it opens models of pictures, decodes small pictures and answers batches of them.

`vistazo serve` starts it and talks to it (`vistazo.serving.distant`) in frames over a pair of sockets. So the core that
listens is not the core that computes, and a picture or a network that takes a process down does not take the service
with it. It ends when the socket does.

What it is asked, under `do`:

    open    {"path", "digest", "threads", "language"}: a model file; answers {"key", "facts"}
    close   {"key"}: it may be forgotten; no answer
    answer  {"key", "items": [[name, top, language, shape], ...]} and a piece each, a file or, with a shape, pixels;
            answers {"told": [[kind, JSON], ...]}
    look    {"key", "verb", "asked", "index", "language", "names"} and a file each; answers {"found"}

A mistake of the user's is answered {"error": [class, sentence]}, a refusal {"refused": [status, sentence]}, a fault of
ours {"fault": traceback}.
"""

import contextlib
import gc
import json
import signal
import socket
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from vistazo import errors
from vistazo.language import current, set_language, speaking
from vistazo.serving.bodies import Part
from vistazo.serving.endpoints import Asked
from vistazo.serving.frames import Frame, Frames, frame
from vistazo.serving.looks import Looks
from vistazo.serving.pictures import Pictures
from vistazo.serving.refusing import Refused

__all__ = ["ANSWERED", "FAULT", "UNREADABLE", "serve_frames"]

ANSWERED, UNREADABLE, FAULT = range(3)  # kinds of what is told of an input
_READ = 1 << 20  # bytes read at once
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode


def serve_frames(handle: int, *, torch: bool) -> None:
    """Answer what comes over a socket until it ends. handle: of the socket. torch: whether models will need it."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            one, signal.SIG_IGN
        )  # sent to the whole group: the process that listens settles the end
    with socket.socket(fileno=handle) as channel:
        if torch:
            # Now, while the other process imports what it needs. Where there is none, opening the model will say so.
            with contextlib.suppress(ImportError):
                import vistazo.classification.classifier  # noqa: F401
        process = _ModelProcess(channel)
        frames = Frames()
        while data := _received(channel):
            for message in frames.feed(data):
                process.take(message)
        process.end()


def _received(channel: socket.socket) -> bytes:
    try:
        return channel.recv(_READ)
    except OSError:  # the other process is gone
        return b""


class _ModelProcess:
    """Models by key, and what is done with them. Batches are answered at once, in order; all else in a thread."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._models: dict[int, Pictures] = {}
        self._settled: Pictures | None = None
        self._looks: dict[str | None, Looks] = {}
        self._pool = ThreadPoolExecutor(1, "vistazo-looking")

    def take(self, message: Frame) -> None:
        """Do what a message asks."""
        told = message.told
        if told["do"] == "answer":
            self._reply(told["id"], lambda: self._answer(told, message.pieces))
        elif told["do"] == "close":
            self._models.pop(told["key"], None)
        else:
            work = self._open if told["do"] == "open" else self._look
            self._pool.submit(self._spoken, told, message.pieces, work)

    def end(self) -> None:
        """Let go of the thread, once it has done what it is at."""
        self._pool.shutdown(cancel_futures=True)

    def _spoken(self, told: dict[str, Any], pieces: Sequence[bytes], work: Any) -> None:
        with speaking(told["language"]):
            self._reply(told["id"], lambda: work(told, pieces))

    def _reply(self, number: int, work: Any) -> None:
        try:
            found = work()
        except Refused as refusal:
            found = {"refused": [refusal.status, refusal.sentence]}
        except errors.VistazoError as error:
            found = {"error": [type(error).__name__, str(error)]}
        except Exception:
            found = {"fault": traceback.format_exc(limit=-20)}
        data = frame({"id": number, **found})
        with self._sending:
            with contextlib.suppress(OSError):  # nobody waits for it any more
                self._channel.sendall(data)

    def _open(self, told: dict[str, Any], pieces: Sequence[bytes]) -> dict[str, Any]:
        from vistazo import tasks

        opened = Pictures(tasks.load(Path(told["path"])), told["digest"], threads=told["threads"], apart=True)
        opened.warm()
        self._models[told["id"]] = opened
        gc.collect()
        gc.freeze()  # what stays is not walked through while somebody waits
        return {"key": told["id"], "facts": opened.facts()}

    def _look(self, told: dict[str, Any], pieces: Sequence[bytes]) -> dict[str, Any]:
        index = told["index"]
        if index not in self._looks:
            self._looks[index] = Looks(None if index is None else Path(index))
        parts = [Part(name, data, "") for name, data in zip(told["names"], pieces, strict=True)]
        model = self._models[told["key"]]
        return {"found": self._looks[index].look(told["verb"], model, parts, told["asked"])}

    def _answer(self, told: dict[str, Any], pieces: Sequence[bytes]) -> dict[str, Any]:
        model = self._models[told["key"]]
        if model is not self._settled:
            model.settle()
            self._settled = model
        said: list[tuple[int, str]] = [(UNREADABLE, "")] * len(pieces)
        good, places = [], []
        for at, ((name, top, language, shape), data) in enumerate(zip(told["items"], pieces, strict=True)):
            if shape is not None:
                good.append((name, np.frombuffer(data, np.uint8).reshape(shape), top))
                places.append(at)
                continue
            if language != current():  # of the sentence that says why it cannot be read
                set_language(language)
            found = model.read([Part(name, data, "")], Asked(top=top))
            if found.items:
                good += found.items
                places.append(at)
            else:
                said[at] = (UNREADABLE, _encode(found.unreadable[0]))
        for at, one in zip(places, self._answers(model, good), strict=True):
            said[at] = one
        return {"told": said}

    def _answers(self, model: Pictures, items: Sequence[Any]) -> list[tuple[int, str]]:
        if not items:
            return []
        try:
            return [(ANSWERED, _encode(one)) for (one,) in model.answer(items)]
        except Exception:  # one of them is at fault, and the others are not to suffer from it
            if len(items) > 1:
                return [self._answers(model, [one])[0] for one in items]
            return [(FAULT, traceback.format_exc(limit=-20))]
