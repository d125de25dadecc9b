"""Models that need no torch, and a server in a thread that speaks to real sockets."""

import contextlib
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

from vistazo.classification.answering import Answering
from vistazo.config import build
from vistazo.serving.app import Service, create
from vistazo.serving.connections import Server, configured
from vistazo.serving.limits import Rules
from vistazo.serving.logs import Log
from vistazo.serving.settings import ServeSettings


class Grey(Answering):
    """Answers how light a picture is: 'light' with the mean of its pixels as probability, else 'dark'."""

    hash = "a" * 64
    size = (28, 28, 1)
    background = "white"
    classes = ("dark", "light")
    unknowing = None
    thresholds = None

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[int] = []
        self.fails = False

    def probabilities(self, pixels_NHWC: np.ndarray) -> np.ndarray:
        self.batches.append(len(pixels_NHWC))
        if self.seconds:
            time.sleep(self.seconds)
        if self.fails and (pixels_NHWC[:, 0, 0, 0] == 13).any():
            raise RuntimeError("secret /tmp/place")
        light = pixels_NHWC.reshape(len(pixels_NHWC), -1).mean(1) / 255
        return np.stack([1 - light, light], 1)


def until(condition: Callable[[], Any], seconds: float = 60.0) -> bool:
    """Whether it comes true in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def png(level: int = 200, side: int = 28) -> bytes:
    """A grey picture."""
    out = io.BytesIO()
    Image.fromarray(np.full((side, side), level, np.uint8)).save(out, "PNG")
    return out.getvalue()


class Running:
    """A server: its port, and what asks it."""

    def __init__(self, app: Service, port: int, server: Server, log: io.StringIO) -> None:
        self.app, self.port, self.server, self.log = app, port, server, log

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """(status, headers in small letters, the JSON of the body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            reply = connection.getresponse()
            data = reply.read()
        finally:
            connection.close()
        named = {name.lower(): value for name, value in reply.getheaders()}
        kind = named.get("content-type", "")
        return reply.status, named, json.loads(data) if kind == "application/json" and data else data

    def predict(
        self, body: bytes, kind: str = "image/png", model: str = "grey", query: str = "", **headers: str
    ) -> Any:
        """What predict says to a body."""
        sent = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.ask("POST", f"/v1/models/{model}/predict{query}", body, sent)

    def raw(self, data: bytes, seconds: float = 10) -> bytes:
        """All that comes back until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as one:
            with contextlib.suppress(ConnectionError):
                one.sendall(data)
            found = b""
            with contextlib.suppress(ConnectionError, TimeoutError):
                while some := one.recv(65536):
                    found += some
            return found

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        self.app.rules.log.flush()
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def logged(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 30.0) -> list[dict[str, Any]]:
        """The lines that are wanted, once there are some: a request's is written after its answer was sent."""
        end = time.monotonic() + seconds
        while True:
            found = [one for one in self.lines() if wanted(one)]
            if found or time.monotonic() > end:
                return found
            time.sleep(0.02)


@contextlib.contextmanager
def running(models: Mapping[str, Any], **settings: Any) -> Iterator[Running]:
    """A server of some models on a free port, in a thread."""
    chosen = build(ServeSettings, {"linger_seconds": 0.05, **settings})
    log = io.StringIO()
    app = create(models, chosen, rules=Rules.of(chosen, log=Log(log)))
    listener = socket.create_server(("127.0.0.1", 0))
    ready = threading.Event()

    def draining() -> None:
        app.answering.draining = True

    server = Server(configured(app, chosen), chosen, draining, lambda: app.answering.busy, ready.set)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield Running(app, listener.getsockname()[1], server, log)
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()
        listener.close()


def multipart(*files: tuple[str, bytes], field: str = "file") -> tuple[bytes, str]:
    """(body, content type) of a form with these files."""
    edge = "edge123"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"
