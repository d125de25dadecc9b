"""The server under the application: uvicorn, with limits on heads, bodies and patience, and an end that loses nothing.

Where uvicorn leaves a matter to a proxy in front, it is settled here: a head that never ends, a connection that says
nothing, a body that goes on after its answer, a client that is still sending when it is refused. And a crowd of clients
is turned away for as little as can be: what the refusals cost, everybody who was let in waits for.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from vistazo import platform
from vistazo.language import tr
from vistazo.serving.limits import POLICY
from vistazo.serving.refusing import body_of
from vistazo.serving.settings import ServeSettings
from vistazo.serving.visits import new_id

__all__ = ["Connection", "Heads", "Known", "Server", "configured"]

_READ = 65_536  # bytes read from a connection at once: so much at most comes after a limit
_HEAD = 65_536  # bytes of a request's head
_LINGER = 1.0  # seconds in which a client that is still sending can read why it was refused
_SWEEP = 0.5  # seconds between two looks at the connections
_HEADS, _SHORT = 1000, 2048  # heads that are remembered, and bytes of the longest of them
_END, _NAMED = b"\r\n\r\n", b"\r\nx-request-id:"

Turned = tuple[bytes, bytes, bytes]  # header lines of every answer, of this one, the body


class Known(Protocol):
    """A request of a crowd whose head was read and found good. length: bytes of its body."""

    length: int

    def turned_away(self, *, again: bool) -> Turned | None:
        """What refuses it now, None where it is let in. again: whether it is another request with that very head."""
        ...


class Heads:
    """Heads of requests that a crowd turned away, by their bytes: whoever asks again sends the same ones.

    Parsed and judged each time, the heads of those who are refused made a quarter to a third of the p99 of those who
    are let in (benchmarks/LOG.md). A head holds the token, so only the right one is ever found here.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}

    def find(self, data: bytes) -> tuple[Known, int] | None:
        """The request that begins with these bytes, and how many of its body are yet to come; None if more than it."""
        if not self._known:
            return None
        end = data.find(_END, 0, _SHORT) + len(_END)
        known = self._known.get(data[:end])
        if known is None or len(data) > end + known.length:
            return None
        return known, end + known.length - len(data)

    def keep(self, data: bytes, body: int, known: Known) -> None:
        """Remember the head that these bytes are but for so many of its body, if it does not name its one request."""
        head = data[: len(data) - body]
        if len(head) > _SHORT or head.find(_END) != len(head) - len(_END) or _NAMED in head.lower():
            return
        if len(self._known) >= _HEADS:
            self._known.clear()
        self._known[head] = known


class Connection(HttpToolsProtocol):
    """One connection. since: the loop's time at which the request that is coming began; 0 where none is.
    ended: the same of the last answer's end.
    """

    settings: ServeSettings
    knows: Callable[[bytes, Any], Known | None]  # in a crowd, a request by its address and headers
    counts: Callable[[int], None]  # told of each status that is no answer to a request
    heads: Heads
    refusal: Turned | None = None  # of a request that nothing is made of
    known: Known | None = None  # that request, if it came with what was received last
    begun = 0  # heads that were in that
    body = 0  # bytes of the refused body that were in that
    left = 0  # bytes of a body that the parser does not see: a refused one, or one of a request to upgrade
    upgrading = 0  # the same, until the parser has stopped at the head of such a request
    put = taken = 0  # bytes that were written, and of them those that the client had taken at the last look
    moved = 0.0  # the loop's time of the last look at which it had taken more
    cycle: Any  # None before the first request, which uvicorn's own annotation does not say
    parser: Any  # None once the connection is lost
    since = ended = 0.0
    fresh = True  # nothing was received yet
    over = False  # nothing more is read or written: it ends in a moment
    in_head = True
    head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the loop."""
        transport.max_size = _READ  # type: ignore[attr-defined]
        super().connection_made(transport)
        self.since = self.moved = self.loop.time()
        if len(self.connections) > self.settings.connections:
            self.refuse(503, tr("The service has too many connections. Try again later."), "retry-after: 1")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop when it is over.

        A request knows its connection, and asyncio's transport a method of its own. Let go of here, all is freed at
        once: left to the collector, a thousand dead connections lie between the living, and the memory, torn by them,
        grew by 2 MB in five minutes.
        """
        super().connection_lost(exc)
        self.pipeline.clear()  # what was sent ahead is not begun any more
        self.scope = None  # type: ignore[assignment]
        self.cycle = None
        if hasattr(self.transport, "_read_ready_cb"):
            self.transport._read_ready_cb = None

    def data_received(self, data: bytes) -> None:
        """Called by the loop with what a client sent."""
        if self.parser is None or self.over or self.transport.is_closing():
            return
        if self.left:
            here, data = data[: self.left], data[self.left :]
            self.left -= len(here)
            self.on_body(here)
            if not self.left:
                self.on_message_complete()
            if not data:
                return
        between = self.fresh or (not self.since and (self.cycle is None or self.cycle.response_complete))
        self.fresh = False
        if between and self._turned_away_again(data):
            return
        if self.in_head:
            if not self.since:
                self.since = self.loop.time()
            self.head += len(data)
        self.known, self.begun, self.body = None, 0, 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as asked:
            self._answer_here(data[asked.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")
        if between and self.known is not None and self.begun == 1:
            self.heads.keep(data, self.body, self.known)
        if self.in_head and self.head > _HEAD:
            self.refuse(400, tr("The head of the request is too long."))

    def _answer_here(self, rest: bytes) -> None:
        """A request to go on in another protocol is answered in this one (RFC 9110, 7.8). rest: what follows its head.

        The parser stops there, and would take its body, which is whatever a client likes, for the next request.
        """
        self.left, self.upgrading = self.upgrading, 0
        if rest:
            self.data_received(rest)

    def _turned_away_again(self, data: bytes) -> bool:
        """Whether this is a request that a crowd turned away before, and does again: the parser does not see it."""
        found = self.heads.find(data)
        if found is None:
            return False
        known, left = found
        refusal = known.turned_away(again=True)
        if refusal is None:
            return False
        self.refusal, self.left = refusal, left
        if left:
            self.since, self.in_head = self.loop.time(), False
        else:
            self.on_message_complete()
        return True

    def on_message_begin(self) -> None:
        """Called by the parser."""
        super().on_message_begin()
        self.in_head = True
        if not self.since:
            self.since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self.in_head, self.head = False, 0
        self.begun += 1
        if self.parser.should_upgrade():
            self.upgrading = _length_of(self.headers)
        free = self.cycle is None or self.cycle.response_complete
        plain = self.parser.get_method() == b"POST" and self.parser.should_keep_alive()
        if free and plain and not self.expect_100_continue:
            known = self.knows(self.url, self.headers)
            self.refusal = None if known is None else known.turned_away(again=False)
            if self.refusal is not None:
                self.known = known
                return
        super().on_headers_complete()
        self.cycle.transport = self
        scope: Any = self.scope
        scope["extensions"] = {"vistazo.whole": partial(self.whole, self.cycle)}

    def whole(
        self, cycle: RequestResponseCycle, shared: bytes, status: int, lines: bytes, body: bytes
    ) -> None:
        """Send an answer in one piece: head and body each by itself are two calls of the kernel."""
        if cycle.disconnected or cycle.response_started:
            return
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        if b"connection: close" in lines:
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            lines += b"connection: close\r\n"
        self._put(shared, status, lines, body, headed=cycle.scope["method"] == "HEAD")
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.close()
        cycle.on_response()

    def _put(self, shared: bytes, status: int, lines: bytes, body: bytes, *, headed: bool = False) -> None:
        defaults = b"".join([b"%b: %b\r\n" % one for one in self.server_state.default_headers])
        self.write(
            b"%b%b%b%bcontent-length: %d\r\n\r\n%b"
            % (STATUS_LINE[status], defaults, lines, shared, len(body), b"" if headed else body)
        )

    # What a cycle asks of its transport goes through these, so that its end can be gentle.
    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.put += len(data)
        self.transport.write(data)

    def is_closing(self) -> bool:
        """Whether it has ended or is about to."""
        return self.transport.is_closing()

    def close(self) -> None:
        """End the connection after an answer; gently where the client is still sending."""
        if self.since:
            self._end_gently()
        else:
            self.transport.close()

    def _end_gently(self) -> None:
        """End it so that the client has time to read the answer while it is still sending.

        Closed with unread bytes, the kernel resets the connection and the client may lose the answer. Nothing more is
        read, and nothing can be written.
        """
        if self.over or self.transport.is_closing():
            return
        self.over = True
        with contextlib.suppress(RuntimeError, OSError):
            self.transport.pause_reading()
        with contextlib.suppress(RuntimeError, OSError, NotImplementedError):
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        if self.refusal is not None:
            self.body += len(body)
            return
        if self.cycle.response_complete and self.cycle.keep_alive:
            self.head += len(body)  # of a body that nobody reads any more
            if self.head > _HEAD:
                self.cycle.keep_alive = False
                self._end_gently()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self.upgrading:
            return  # its body is yet to come
        self.since = 0.0
        self.in_head, self.head = True, 0
        if self.refusal is None:
            super().on_message_complete()
            return
        (shared, lines, body), self.refusal = self.refusal, None
        self._put(shared, 429, lines, body)
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Called when an answer was sent whole. uvicorn has a timer for each idle connection here; we look at all."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.ended = self.loop.time()
        if not self.flow.write_paused:
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """Called by the transport when too much waits for the client: who does not read is not read from either."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Called by the transport when the client has read on."""
        super().resume_writing()
        self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self.refuse(400, tr("This is no request of HTTP that can be read."))

    def refuse(self, status: int, sentence: str, *more: str) -> None:
        """Answer outside of any request, and end the connection."""
        if self.over or self.transport.is_closing():
            return
        self.counts(status)
        request = new_id()
        body = body_of(sentence, request)
        reason = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}[status]
        lines = [
            f"HTTP/1.1 {status} {reason}", "content-type: application/json", f"content-length: {len(body)}",
            f"x-request-id: {request}", "x-content-type-options: nosniff", f"content-security-policy: {POLICY}",
            "cache-control: no-store", "connection: close", *more,
        ]  # fmt: skip
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._end_gently()

    @property
    def idle(self) -> bool:
        """Whether no request is coming and none is being answered."""
        return not self.since and (self.cycle is None or self.cycle.response_complete)

    def tired_of(self, now: float) -> None:
        """End a connection whose request does not come, or whose answers nobody reads.

        The body of a request that was read for has its own time.
        """
        taken = self.put - self.transport.get_write_buffer_size()
        if taken == self.put or taken > self.taken:
            self.moved = now
        self.taken = taken
        if now - self.moved > self.settings.unread_seconds:
            self.transport.abort()
        if self.over or self.transport.is_closing():
            return
        if not self.since:
            if self.idle and now - self.ended > self.settings.idle_seconds:
                self.transport.close()
            return
        if self.flow.write_paused:
            self.since = now  # it is not read from meanwhile
        waited = now - self.since
        if self.in_head and waited > self.settings.head_seconds:
            if self.cycle is not None and not self.cycle.response_complete:
                return  # an earlier request of this connection is still being answered
            if self.head:
                self.refuse(408, tr("The head of the request did not come in time."))
            else:
                self.transport.close()
        elif waited > self.settings.head_seconds + self.settings.body_seconds and (
            self.refusal is not None or self.cycle.response_complete
        ):
            self.transport.close()


def _length_of(headers: list[tuple[bytes, bytes]]) -> int:
    """Bytes of the body that the parser, which has checked them, found declared."""
    if any(name == b"transfer-encoding" for name, _ in headers):
        raise ValueError("chunks that the parser will not take apart")
    return next((int(value) for name, value in headers if name == b"content-length"), 0)


class Server(uvicorn.Server):
    """uvicorn, which ends by our rules. draining: called when the end begins. busy: requests being answered."""

    def __init__(
        self, config: uvicorn.Config, settings: ServeSettings, draining: Callable[[], None], busy: Callable[[], int],
        ready: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        super().__init__(config)
        self._settings, self._draining, self._busy, self._ready = settings, draining, busy, ready
        self._sweeping: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C begin the end; a second one ends at once."""
        with platform.on_stop_signals(self.stop):
            yield

    def stop(self) -> None:
        """Begin the end."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self._sweeping = asyncio.create_task(self._sweep())
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was accepted, tell others that it is over, and close."""
        self._draining()
        loop = asyncio.get_running_loop()
        began = loop.time()
        # A client that keeps its connection is told with its next request; one that is silent is let go of.
        while loop.time() - began < self._settings.drain_seconds:
            await asyncio.sleep(0.05)
            if self._busy() == 0 and loop.time() - began >= self._settings.linger_seconds:
                break
        if self._sweeping is not None:
            self._sweeping.cancel()
        self.config.timeout_graceful_shutdown = 1
        for connection in list(self.server_state.connections):
            if getattr(connection, "since", 0.0):  # a request that never came whole
                connection.transport.close()
        await super().shutdown(sockets)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP)
            self._look(loop.time())

    def _look(self, now: float) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                try:
                    connection.tired_of(now)
                except Exception as error:  # or nobody would be let go of any more
                    told = {"message": "a connection could not be looked at", "exception": error}
                    asyncio.get_running_loop().call_exception_handler(told)
                    connection.transport.abort()


def configured(app: Any, settings: ServeSettings) -> uvicorn.Config:
    """uvicorn's settings for an application; its own log is silent, and headers of proxies are not believed."""
    told = {
        "settings": settings,
        "knows": staticmethod(app.knows),
        "counts": staticmethod(app.rules.measures.refused),
        "heads": Heads(),
    }
    protocol = type("Connection", (Connection,), told)
    return uvicorn.Config(
        app, http=protocol, ws="none", loop="asyncio", interface="asgi3", lifespan="on", log_config=None,
        access_log=False, log_level="critical", proxy_headers=False, server_header=False, backlog=2048,
    )  # fmt: skip
