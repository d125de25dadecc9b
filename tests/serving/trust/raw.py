"""HTTP/1.1 by hand: requests as bytes, answers read from a socket, nothing repaired on the way."""

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer. headers: lower-case names; where a name comes twice, both values with a comma between."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, port: int = 80
) -> bytes:
    """The bytes of a request; Host and Content-Length are added unless they are given, or given as ''."""
    told = {"Host": f"127.0.0.1:{port}"}
    if body or method in ("POST", "PUT", "PATCH"):
        told["Content-Length"] = str(len(body))
    given = {name.lower() for name in headers or {}}
    told = {name: value for name, value in told.items() if name.lower() not in given} | dict(headers or {})
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Connection:
    """A socket to the server, and the answers that come out of it in order."""

    def __init__(self, port: int, *, seconds: float = 120) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        self.send(request(method, target, body, headers, port=self.port))
        reply = self.reply(head=method == "HEAD")
        assert reply is not None, f"{method} {target}: the connection was closed without an answer"
        return reply

    def _more(self) -> bool:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return False
        self._read += data
        return bool(data)

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._read:
            if not self._more():
                return None
        found, self._read = self._read.split(mark, 1)
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._read) < count:
            assert self._more(), f"an answer was cut short: {len(self._read)} of {count} bytes"
        found, self._read = self._read[:count], self._read[count:]
        return found

    def reply(self, *, head: bool = False) -> Reply | None:
        """The next answer; None where the connection ended before one began. Half an answer is a failed assertion."""
        lines = self._until(b"\r\n\r\n")
        if lines is None:
            assert not self._read, f"half an answer: {self._read[:200]!r}"
            return None
        first, *rest = lines.decode("latin-1").split("\r\n")
        status, headers = int(first.split(" ")[1]), dict[str, str]()
        for line in rest:
            name, _, value = line.partition(":")
            key = name.strip().lower()
            headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
        if status == 100:
            return self.reply(head=head)
        if head or status in (204, 304):
            return Reply(status, headers, b"")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Reply(status, headers, self._chunks())
        if "content-length" in headers:
            return Reply(status, headers, self._exactly(int(headers["content-length"])))
        while self._more():
            pass
        found, self._read = self._read, b""
        return Reply(status, headers, found)

    def _chunks(self) -> bytes:
        found = b""
        while True:
            size = self._until(b"\r\n")
            assert size is not None, "an answer was cut short"
            length = int(size.split(b";")[0], 16)
            found += self._exactly(length)
            self._exactly(2)
            if not length:
                return found

    def replies(self) -> list[Reply]:
        """Every answer until the server closes the connection or says nothing for as long as the socket waits."""
        found = []
        try:
            while (reply := self.reply()) is not None:
                found.append(reply)
        except TimeoutError:
            pass
        return found


def ask(
    port: int, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Reply:
    """One request on a connection of its own."""
    with Connection(port) as connection:
        return connection.ask(method, target, body, headers)


def ask_patiently(
    port: int, target: str, body: bytes, headers: Mapping[str, str], *, seconds: float = 60
) -> Reply:
    """POST as `ask`, again while the service says that it is busy."""
    end = time.monotonic() + seconds
    while (reply := ask(port, "POST", target, body, headers)).status == 429 and time.monotonic() < end:
        time.sleep(0.05)
    return reply


def multipart(*parts: tuple[str, bytes], boundary: str = "vistazo-trust") -> tuple[bytes, dict[str, str]]:
    """Files as a form sends them, each a part named `file`: (body, headers)."""
    body = b""
    for name, data in parts:
        quoted = name.replace('"', "%22").encode()
        body += b"--" + boundary.encode() + b'\r\nContent-Disposition: form-data; name="file"; filename="'
        body += quoted + b'"\r\nContent-Type: application/octet-stream\r\n\r\n' + data + b"\r\n"
    body += b"--" + boundary.encode() + b"--\r\n"
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
