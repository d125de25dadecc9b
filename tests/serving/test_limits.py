"""Who is let in: hosts, origins, the token; and how long and how large a request may be."""

import gc
import http.client
import json
import socket
import sys
import threading
import time
from asyncio.selector_events import _SelectorSocketTransport
from pathlib import Path

import pytest

from vistazo.config import build
from vistazo.errors import ConfigError
from vistazo.serving.connections import Connection
from vistazo.serving.settings import ServeSettings
from vistazo.serving.visits import language_of

sys.path.insert(0, str(Path(__file__).parent))

from served_fakes import Grey, png, running, until

LIMIT = 100_000


@pytest.fixture(scope="module")
def server():
    with running(
        {"grey": Grey()}, limit_mb=LIMIT / 1e6, allow_host=["friend.example"], allow_origin=["https://page.example"],
        head_seconds=1.0, body_seconds=1.0, unread_seconds=4.0,
    ) as one:  # fmt: skip
        yield one


@pytest.fixture(scope="module")
def guarded():
    with running({"grey": Grey()}, token="a-long-enough-token", allow_origin=["https://page.example"]) as one:
        yield one


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("localhost:1", 200), ("LOCALHOST", 200), ("[::1]:80", 200), ("friend.example:9", 200),
        ("evil.example", 403), ("localhost.evil.example", 403), ("127.0.0.1@evil", 403), ("[::1", 403), ("", 403),
        ("127.0.0.1:x", 403), ("*", 403), ("10.0.0.1", 403),
    ],
)  # fmt: skip
def test_only_its_own_names_call_the_service(server, host, status):
    found, _, told = server.ask("GET", "/healthz", None, {"Host": host})
    assert found == status
    if host == "evil.example":
        assert "--allow-host evil.example" in told["error"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://page.example", 200), ("https://PAGE.example", 200), ("http://127.0.0.1:{port}", 200),
        ("http://localhost:{port}", 200), ("http://127.0.0.1:1", 403), ("null", 403), ("https://evil.example", 403),
        ("http://[bad", 403), ("file://", 403),
    ],
)  # fmt: skip
def test_only_pages_that_may_call_the_service(server, origin, status):
    sent = origin.format(port=server.port)
    headers = {"Origin": sent, "Content-Type": "image/png", "Host": f"127.0.0.1:{server.port}"}
    found, told, _ = server.ask("POST", "/v1/models/grey/predict", png(), headers)
    assert found == status
    assert told.get("access-control-allow-origin") == (sent if "page" in origin.lower() else None)


def test_a_browser_may_ask_beforehand_for_a_page_that_is_let_in(guarded):
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    status, headers, _ = guarded.ask("OPTIONS", "/v1/models/grey/predict", None, asked)
    assert status == 204
    assert "authorization" in headers["access-control-allow-headers"]
    assert (
        guarded.ask("OPTIONS", "/v1/models/grey/predict", None, {**asked, "Origin": "https://evil.example"})[
            0
        ]
        == 403
    )


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("Bearer a-long-enough-token", 200), ("bearer a-long-enough-token", 200), ("Bearer a-long-enough-tokem", 401),
        ("a-long-enough-token", 401), ("Basic a-long-enough-token", 401), ("Bearer", 401), ("", 401),
    ],
)  # fmt: skip
def test_only_the_token_opens(guarded, sent, status):
    found, headers, _ = guarded.ask("GET", "/v1/models", None, {"Authorization": sent} if sent else {})
    assert found == status
    assert found == 200 or headers["www-authenticate"] == "Bearer"


def test_whether_it_lives_needs_no_token(guarded):
    assert guarded.ask("GET", "/healthz")[0] == guarded.ask("GET", "/readyz")[0] == 200
    assert guarded.ask("GET", "/metrics")[0] == guarded.ask("GET", "/nothing")[0] == 401


# ---------------------------------------------------------------- sizes and time
def head(*lines: str) -> bytes:
    start = ("POST /v1/models/grey/predict HTTP/1.1", "Host: localhost", "Content-Type: image/png", *lines)
    return "\r\n".join(start).encode() + b"\r\n\r\n"


def test_a_body_that_is_declared_too_large_is_refused_unread(server):
    began = time.monotonic()
    told = server.raw(head(f"Content-Length: {LIMIT + 1}"))
    assert told.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in told
    assert time.monotonic() - began < 10


def test_a_body_at_the_limit_is_read(server):
    status, _, _ = server.predict(b"x" * LIMIT)
    assert status == 422  # it is no picture


def test_a_flood_in_chunks_is_refused_and_no_longer_read(server):
    """The client's own buffers apart, the server takes the limit and what it reads at once."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as one:
        one.sendall(head("Transfer-Encoding: chunked"))
        chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        sent = 0
        one.settimeout(2)
        try:
            while sent < 50_000_000:
                sent += one.send(chunk)
        except (TimeoutError, ConnectionError):
            pass
        told = b""
        try:
            while some := one.recv(4096):
                told += some
        except (TimeoutError, ConnectionError):
            pass
    assert sent < 20_000_000, "the server went on reading"
    assert told.startswith(b"HTTP/1.1 413 ")
    assert server.predict(png())[0] == 200


def test_a_length_that_is_too_short_leaves_no_second_request_behind(server):
    body = png()
    told = server.raw(head("Content-Length: 10") + body)
    assert told.startswith((b"HTTP/1.1 422 ", b"HTTP/1.1 400 "))
    assert b" 200 OK" not in told


@pytest.mark.parametrize("length", ["-1", "1e3", "abc", "99999999999999999999"])
def test_a_length_that_is_none_is_refused(server, length):
    assert server.raw(head(f"Content-Length: {length}")).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))


def test_a_slow_body_is_told_and_let_go_of(server):
    began = time.monotonic()
    told = server.raw(head("Content-Length: 100") + b"x" * 10, seconds=30)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert json.loads(told.partition(b"\r\n\r\n")[2])["error"]
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v1/models/grey/pre", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "]
)
def test_a_slow_head_is_let_go_of(server, sent):
    told = server.raw(sent, seconds=30)
    assert told == b"" or told.startswith(b"HTTP/1.1 408 ")


def test_an_endless_head_is_refused(server):
    told = server.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 300_000)
    assert told.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET  HTTP/9.9\r\n\r\n", b"\x00" * 400]
)
def test_what_is_no_http_is_told_like_any_other_error(server, sent):
    told = server.raw(sent)
    assert told.startswith(b"HTTP/1.1 400 ")
    front, _, body = told.partition(b"\r\n\r\n")
    assert set(json.loads(body)) == {"error", "request"}
    assert b"x-content-type-options: nosniff" in front and b"x-request-id: " in front


def test_a_header_that_stands_twice_is_refused(server):
    twice = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert server.raw(twice, seconds=2).startswith(b"HTTP/1.1 400 ")


def test_connections_that_are_over_leave_nothing_for_the_collector(server):
    def lives():
        return [
            one for one in gc.get_objects() if issubclass(type(one), Connection | _SelectorSocketTransport)
        ]

    def new():
        return sum(id(one) not in known for one in lives())

    body = png()
    head = f"POST /v1/models/grey/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    whole = (head + "Content-Type: image/png\r\n\r\n").encode() + body
    gc.collect()
    others = lives()  # of other tests; held, so that no new one has the place of an old one
    known = {id(one) for one in others}
    gc.disable()
    try:
        for sent in (whole, whole[:40], whole[:-10], whole + whole, b"nonsense\r\n\r\n"):
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", server.port)) as one:
                    one.sendall(sent)
                    time.sleep(0.01)
        end = time.monotonic() + 10
        while new() and time.monotonic() < end:  # a body that never comes has its second
            time.sleep(0.05)
        assert new() == 0
    finally:
        gc.enable()


def test_a_connection_answers_one_request_after_the_other(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for path, status in (("/healthz", 200), ("/nothing", 404), ("/readyz", 200)):
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == status
    connection.request("POST", "/v1/models/none/predict", b"x" * 1000, {"Content-Type": "image/png"})
    reply = connection.getresponse()
    reply.read()
    assert reply.status == 404
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


# ---------------------------------------------------------------- settings
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"port": 70000}, "--port"),
        ({"queue": 0}, "--queue"),
        ({"limit_mb": 0}, "--limit-mb"),
        ({"token": "short"}, "--token"),
        ({"allow_host": ["http://x"]}, "--allow-host"),
        ({"allow_origin": ["example.org"]}, "--allow-origin"),
        ({"hots": "x"}, "host"),
    ],
)
def test_a_setting_that_cannot_be_is_told_by_its_name(values, told):
    with pytest.raises(ConfigError, match=told):
        build(ServeSettings, values)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (b"", "en"), (b"es", "es"), (b"es-AR,es;q=0.9", "es"), (b"en,es", "en"), (b"en;q=0.1,es;q=0.2", "es"),
        (b"fr", "en"), (b"es;q=0", "en"), (b"es;q=x", "en"), (b"\xff\xfe", "en"),
    ],
)  # fmt: skip
def test_the_language_of_an_answer(accepted, language):
    assert language_of(accepted) == language


def test_one_slow_client_after_the_other_is_let_go_of(server):
    """The first one stays after its answer for as long as it may: the others are looked at all the same."""
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            one.settimeout(10)
            one.sendall(b"GET / HTTP/1.1\r\n")
            found = b""
            while data := one.recv(4096):
                found += data
            assert found.startswith(b"HTTP/1.1 408 ") and found.count(b"HTTP/1.1") == 1
            time.sleep(1.2)


def test_who_does_not_read_the_answers_is_not_read_from_and_let_go_of(server):
    """A client that asks on and on and never reads: what it is answered must not pile up, nor stay."""
    request = f"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", server.port))
    one.setblocking(False)
    sent, most, until = 0, 0, time.monotonic() + 20
    with one:
        while time.monotonic() < until:
            try:
                sent += one.send(request) // len(request)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:  # it was let go of
                break
            waiting = list(server.server.server_state.connections)
            most = max([most, *(found.transport.get_write_buffer_size() for found in waiting)])
        else:
            raise AssertionError(f"{sent} requests, and it is still there")
    assert most < 1_000_000, f"{most} bytes wait for who does not read"
    assert server.ask("GET", "/healthz")[0] == 200


def test_who_reads_slowly_gets_the_whole_answer(server):
    request = f"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", server.port))
        one.settimeout(20)
        count, found, began = 600, b"", time.monotonic()
        one.sendall(request * count)
        while found.count(b"HTTP/1.1 200 ") < count:
            data = one.recv(1 << 16)
            assert data, (found.count(b"HTTP/1.1 200 "), time.monotonic() - began)
            found += data
            if time.monotonic() - began < 6:  # longer than who reads nothing may stay
                time.sleep(0.005)
        assert time.monotonic() - began > 6, "that was not slow"


def test_large_bodies_of_many_requests_fill_no_memory():
    """They count until they are answered, and a body of the largest size always finds room where nothing else is."""
    model, told = Grey(), []
    with running({"grey": model}, limit_mb=1, held_mb=0.1) as server:
        model.seconds, server.app.shelf.get("grey").batcher.inline = 1.0, False
        large = png() + b"\0" * 900_000

        def ask():
            told.append(server.predict(large))

        two = [threading.Thread(target=ask) for _ in range(2)]
        for one in two:
            one.start()
        assert until(lambda: server.app.answering._held.now == 2 * len(large))
        status, headers, _ = server.predict(large)
        assert status == 429 and headers["retry-after"] == "1"
        for one in two:
            one.join()
        assert [one[0] for one in told] == [200, 200]
        assert server.predict(large)[0] == 200
        assert server.app.answering._held.now == 0


def test_what_is_refused_outside_of_any_request_is_counted(server):
    def counted():
        found = [
            line for line in server.ask("GET", "/metrics")[2].decode().splitlines() if '"connection"' in line
        ]
        return {line.split('status="')[1][:3]: int(line.split()[-1]) for line in found}

    before = counted()
    assert server.raw(b"nonsense\r\n\r\n", seconds=5).startswith(b"HTTP/1.1 400 ")
    assert server.raw(b"GET / HTTP/1.1\r\n", seconds=5).startswith(b"HTTP/1.1 408 ")
    after = counted()
    assert (after["400"] - before.get("400", 0), after["408"] - before.get("408", 0)) == (1, 1)
