"""A load generator: requests at planned moments, whatever the server does (an open loop), in a process of its own.

A latency counts from the moment a request was *planned* for. A client that waits for an answer before it sends on would
leave out just the requests that had to wait (coordinated omission). Without a rate it sends as fast as answers come,
which finds the capacity and tells nothing of latency.

    python load.py ANSWERS.npz < {"port": .., "requests": ["<base64>"], "rate": 500, "seconds": 10, ..}

One thread, one epoll, sockets that stay open, answers looked at as little as can be: about 15 microseconds a request.
"""

import base64
import contextlib
import errno
import json
import select
import socket
import subprocess
import sys
import tempfile
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LOST = 0  # the status of a request that was never answered
LATE = 0.002  # seconds: the generator itself is late where a hundredth of its requests leave later than that


@dataclass(frozen=True)
class Load:
    """What came of a load. One entry a request, in the order they were planned.

    planned: seconds from the start; latency: seconds from then to the answer's last byte; status: 0 where none came.
    late: seconds from the planned moment to the sending where a connection was free, the generator's own fault.
    unasked: answers of 429 and 503 without Retry-After. work: processor seconds of the generator.
    """

    planned: np.ndarray
    latency: np.ndarray
    status: np.ndarray
    late: np.ndarray
    unasked: int
    connections: int
    seconds: float
    work: float

    @property
    def statuses(self) -> dict[int, int]:
        values, counts = np.unique(self.status, return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True)}

    def rate(self, status: int = 200) -> float:
        """Answers of that status a second."""
        return float((self.status == status).sum() / self.seconds)

    def percentile(self, share: float, *, status: int = 200) -> float:
        """Latency in seconds below which that share (0 to 100) of the answers with that status lie."""
        found = self.latency[self.status == status]
        return float(np.percentile(found, share)) if len(found) else float("nan")

    def warning(self) -> str:
        """A sentence where the generator itself was late; '' where it was not."""
        late = float(np.percentile(self.late, 99)) if len(self.late) else 0.0
        if late <= LATE:
            return ""
        return f"the generator itself was late: 1 % of its requests left {late * 1e3:.1f} ms or more after their moment"


def run(
    port: int,
    requests: Sequence[bytes],
    *,
    seconds: float,
    rate: float | None = None,
    connections: int = 32,
    most: int = 900,
) -> Load:
    """Load the server in another process. rate: requests a second, None for as fast as `connections` are answered.

    requests: complete requests, in turn. connections: opened before the clock starts; up to `most` are opened where
    none is free, as separate clients would.
    """
    told = start(port, requests, seconds=seconds, rate=rate, connections=connections, most=most)
    return told.wait()


@dataclass
class Running:
    process: "subprocess.Popen[bytes]"
    folder: "tempfile.TemporaryDirectory[str]"

    def wait(self) -> Load:
        with self.folder as name:
            out, err = self.process.communicate()
            if self.process.returncode:
                raise RuntimeError(f"the generator failed: {err.decode()[-2000:]}")
            told = json.loads(out)
            with np.load(Path(name) / "answers.npz") as found:
                return Load(**{one: found[one] for one in ("planned", "latency", "status", "late")}, **told)


def start(
    port: int,
    requests: Sequence[bytes],
    *,
    seconds: float,
    rate: float | None,
    connections: int = 32,
    most: int = 900,
) -> Running:
    """The same, without waiting for its end."""
    folder = tempfile.TemporaryDirectory()
    asked = {"port": port, "seconds": seconds, "rate": rate, "connections": connections, "most": most}
    asked["requests"] = [base64.b64encode(one).decode() for one in requests]
    process = subprocess.Popen(
        [sys.executable, __file__, str(Path(folder.name) / "answers.npz")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked).encode())
    process.stdin.close()
    process.stdin = None
    return Running(process, folder)


# ---------------------------------------------------------------- the generator itself
class Client:
    """One connection. at: the number of the request it waits for, -1 where it is free."""

    __slots__ = ("at", "data", "fresh", "needed", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.at, self.data, self.needed, self.fresh = -1, b"", 0, True


class Generator:
    """The loop: what is due is sent, what has come is noted."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.port, self.most, self.rate = asked["port"], asked["most"], asked["rate"]
        self.requests = [base64.b64decode(one) for one in asked["requests"]]
        self.seconds = asked["seconds"]
        self.planned, self.latency, self.late = array("d"), array("d"), array("d")
        self.status = array("H")
        self.unasked = 0
        self.waiting: deque[int] = deque()
        self.poll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.free: list[Client] = []
        for _ in range(asked["connections"]):
            self.free.append(self._open())

    def _open(self) -> Client:
        client = Client(self.port)
        self.clients[client.socket.fileno()] = client
        self.poll.register(client.socket.fileno(), select.EPOLLIN)
        return client

    def _drop(self, client: Client) -> None:
        self.poll.unregister(client.socket.fileno())
        del self.clients[client.socket.fileno()]
        client.socket.close()

    def _send(self, at: int, client: Client) -> None:
        client.at, client.data, client.needed = at, b"", 0
        one = self.requests[at % len(self.requests)]
        try:
            if client.socket.send(one) != len(one):
                raise OSError(errno.EMSGSIZE, "a request is too large for this generator")
        except (BrokenPipeError, ConnectionResetError):
            self._ended(client)

    def _ended(self, client: Client) -> None:
        """The server closed a connection: of an idle one that is its right, and what was just sent is sent again."""
        at, retry = client.at, not client.fresh and not client.data
        with contextlib.suppress(ValueError):
            self.free.remove(client)
        self._drop(client)
        if at >= 0 and retry:
            self.waiting.append(at)
        elif at >= 0:
            self._note(at, LOST)

    def _note(self, at: int, status: int) -> None:
        self.latency[at] = time.perf_counter() - self.began - self.planned[at]
        self.status[at] = status

    def _received(self, client: Client) -> None:
        try:
            data = client.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data or client.at < 0:
            self._ended(client)
            return
        client.data += data
        if not client.needed:
            end = client.data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = client.data[:end].lower()
            client.needed = end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(client.data) < client.needed:
            return
        status = int(client.data[9:12])
        self._note(client.at, status)
        client.at, client.fresh = -1, False
        if status != 200:
            head = client.data.partition(b"\r\n\r\n")[0].lower()
            self.unasked += status in (429, 503) and b"\r\nretry-after:" not in head
            if b"\r\nconnection: close" in head:
                self._drop(client)
                return
        self.free.append(client)

    def _plan(self, moment: float) -> int:
        self.planned.append(moment), self.latency.append(0.0), self.status.append(LOST)
        return len(self.planned) - 1

    def _dispatch(self, at: int) -> bool:
        """Send a request if a connection is free or may be opened."""
        if self.free:
            self._send(at, self.free.pop())
        elif len(self.clients) < self.most:
            try:
                self._send(at, self._open())
            except OSError:
                self._note(at, LOST)
        else:
            return False
        return True

    def run(self) -> dict[str, Any]:
        self.began, work = time.perf_counter(), time.process_time()
        number, step = 0, 1 / self.rate if self.rate else 0.0
        while True:
            now = time.perf_counter() - self.began
            if now >= self.seconds + 10 or (
                now >= self.seconds and len(self.free) == len(self.clients) and not self.waiting
            ):
                break
            while self.waiting and self._dispatch(self.waiting[0]):
                self.waiting.popleft()
            if self.rate is None:
                while self.free and now < self.seconds:
                    self._send(self._plan(now), self.free.pop())
                pause = 0.05
            else:
                while number * step <= now and number * step < self.seconds:
                    at = self._plan(number * step)
                    number += 1
                    if self._dispatch(at):
                        self.late.append(time.perf_counter() - self.began - self.planned[at])
                    else:
                        self.waiting.append(at)
                pause = max(0.0, number * step - (time.perf_counter() - self.began))
                pause = min(pause, 0.05) if number * step < self.seconds else 0.05
            # epoll counts in milliseconds; select, asked about the epoll itself, in microseconds
            if select.select([self.poll], [], [], pause)[0]:
                for number_of_file, _ in self.poll.poll(0):
                    client = self.clients.get(number_of_file)
                    if client is not None:
                        self._received(client)
        work = time.process_time() - work
        return {
            "unasked": self.unasked,
            "connections": len(self.clients),
            "seconds": self.seconds,
            "work": work,
        }


def main() -> None:
    generator = Generator(json.load(sys.stdin))
    told = generator.run()
    np.savez(
        sys.argv[1],
        planned=np.array(generator.planned), latency=np.array(generator.latency),
        status=np.array(generator.status), late=np.array(generator.late),
    )  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
