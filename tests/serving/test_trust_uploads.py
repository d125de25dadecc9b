"""Too much, too little and in pieces: bodies over the limit, lying lengths, header floods, bombs. Row 13."""

import gzip
import io
import re
import socket
import struct
import sys
import time

import pytest
from PIL import Image
from trust import contract, raw, uploads

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sockets are looked at as Linux tells them"),
    pytest.mark.usefixtures("same_answer"),
]

PREDICT = "/v1/models/clothes/predict"
PNG = {"Content-Type": "image/png"}
LIMIT = 1_000_000  # `served` and `traced` take 1 MB
FLOOD = 32 << 20


def head(port, *lines, path=PREDICT):
    return "\r\n".join(
        [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: image/png", *lines, "", ""]
    ).encode()


def flood(port, start, *, chunked, much=FLOOD):
    """Send `much` after `start`, as far as the server lets us: (its answer, bytes that left)."""
    piece = bytes(1 << 16)
    piece = b"10000\r\n" + piece + b"\r\n" if chunked else piece
    with raw.Connection(port) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        connection.send(start)
        sent = 0
        try:
            while sent < much:
                connection.send(piece)
                sent += len(piece)
        except OSError:
            pass
        return connection.reply(), sent, connection.socket


# ---------------------------------------------------------------- over the limit
@pytest.mark.parametrize(
    "path",
    [
        PREDICT,
        "/v1/models/rows/predict",
        "/v1/models/clothes/explain",
        "/v1/models/nowhere/predict",
        "/healthz",
    ],
)
@pytest.mark.parametrize(
    "kind", ["image/png", "multipart/form-data; boundary=a", "application/json", "text/csv", ""]
)
def test_a_length_over_the_limit_is_refused_before_the_body(served, path, kind):
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{served.port}", f"Content-Length: {LIMIT * 10}"]
    lines += [f"Content-Type: {kind}"] if kind else []
    with raw.Connection(served.port) as connection:
        connection.send("\r\n".join([*lines, "", ""]).encode())  # and not one byte of the body
        reply = connection.reply()
    assert reply is not None
    assert (
        reply.status == 413
        or (path == "/healthz" and reply.status == 405)
        or ("nowhere" in path and reply.status == 404)
    )
    assert contract.faults(reply) == []


@pytest.mark.parametrize("chunked", [True, False], ids=["chunks", "length"])
def test_a_flood_is_cut_off(served, chunked):
    line = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {FLOOD}"
    reply, sent, _ = flood(served.port, head(served.port, line), chunked=chunked)
    assert sent < FLOOD, "all of it was taken"
    # where the connection is reset while we send, the system may drop an answer that had come
    assert reply is None or reply.status == 413
    if reply is not None:
        assert contract.faults(reply) == []


def test_a_client_that_listens_is_told_413(served):
    """One chunk more than the limit, and then the client waits: the answer comes, and only then the end."""
    with raw.Connection(served.port) as connection:
        connection.send(head(served.port, "Transfer-Encoding: chunked"))
        for _ in range(17):
            connection.send(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
        reply = connection.reply()
    assert reply is not None
    assert (reply.status, contract.faults(reply)) == (413, [])


def test_a_form_over_the_limit_is_refused_and_kept_nowhere(served):
    form, headers = raw.multipart(("a.png", bytes(LIMIT)), ("b.png", bytes(LIMIT // 2)))
    before = served.temporary_files()
    with raw.Connection(served.port) as connection:
        lines = [f"Content-Type: {headers['Content-Type']}", "Transfer-Encoding: chunked"]
        start = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n" + "\r\n".join(
            [*lines, "", ""]
        )
        connection.send(start.encode())
        try:
            for at in range(0, len(form), 50_000):
                piece = form[at : at + 50_000]
                connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        except OSError:
            pass
        reply = connection.reply()
    assert reply is None or reply.status == 413
    assert served.temporary_files() == before


def received(trace, port):
    """Bytes that the traced server took from the connection whose client had that port."""
    calls = re.compile(rf"(?:read|readv|recvfrom|recvmsg)\(\d+<[^>]*->127\.0\.0\.1:{port}\]>.* = (\d+)$")
    resumed = re.compile(r"<\.\.\. (?:read|readv|recvfrom|recvmsg) resumed>.* = (\d+)$")
    total, open_calls = 0, set()
    for line in trace.splitlines():
        process = line.split(" ", 1)[0]
        if f"->127.0.0.1:{port}]" in line and line.endswith("<unfinished ...>"):
            open_calls.add(process)
        elif found := calls.search(line):
            total += int(found[1])
        elif process in open_calls and (found := resumed.search(line)):
            open_calls.discard(process)
            total += int(found[1])
    return total


@pytest.mark.parametrize("chunked", [True, False], ids=["chunks", "length"])
def test_no_more_is_read_than_the_limit_and_64_kb(traced, chunked):
    line = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {FLOOD}"
    with raw.Connection(traced.port) as connection:
        port = connection.socket.getsockname()[1]
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        connection.send(head(traced.port, line))
        piece = b"10000\r\n" + bytes(1 << 16) + b"\r\n" if chunked else bytes(1 << 16)
        try:
            for _ in range(FLOOD >> 16):
                connection.send(piece)
        except OSError:
            pass
        connection.reply()
    time.sleep(0.5)
    taken = received((traced.temporary.parent / "trace").read_text(errors="replace"), port)
    assert 0 < taken <= LIMIT + (64 << 10), f"{taken} bytes were read, the limit is {LIMIT}"


def test_a_body_within_the_limit_is_read(served, good_picture):
    padded = good_picture + bytes(LIMIT - 100_000)
    assert raw.ask(served.port, "POST", PREDICT, padded, PNG).status in (200, 422)


# ---------------------------------------------------------------- lies
def test_a_length_that_promises_more_than_comes_is_no_answerable_request(served, good_picture):
    for close in (socket.SHUT_WR, socket.SHUT_RDWR):
        with raw.Connection(served.port) as connection:
            connection.send(head(served.port, f"Content-Length: {len(good_picture) + 50}") + good_picture)
            connection.socket.shutdown(close)
            reply = connection.reply()
        assert reply is None or reply.status in (400, 408)


def test_a_length_that_promises_less_leaves_no_second_request(served, good_picture):
    with raw.Connection(served.port, seconds=3) as connection:
        connection.send(head(served.port, "Content-Length: 10") + good_picture)
        found = connection.replies()
    assert [one.status for one in found][:1] in ([422], [400], [])
    assert all(one.status in (400, 422) for one in found)


def test_a_client_that_asks_first_is_told_first(served):
    """Expect: 100-continue with too much is refused without a word to go on."""
    with raw.Connection(served.port) as connection:
        connection.send(head(served.port, f"Content-Length: {LIMIT * 5}", "Expect: 100-continue"))
        data = connection.socket.recv(1 << 16)
    assert data.startswith(b"HTTP/1.1 413")


def test_bodies_in_chunks_are_read_whatever_their_sizes(served, good_picture):
    whole = raw.ask(served.port, "POST", PREDICT, good_picture, PNG).json()["predictions"]
    for size in (1, 7, 1000):
        with raw.Connection(served.port) as connection:
            connection.send(head(served.port, "Transfer-Encoding: chunked"))
            pieces = [good_picture[at : at + size] for at in range(0, len(good_picture), size)]
            connection.send(
                b"".join(f"{len(one):x};a=b\r\n".encode() + one + b"\r\n" for one in pieces) + b"0\r\n\r\n"
            )
            assert connection.reply().json()["predictions"] == whole


def test_every_kind_of_empty_body_is_an_error_of_the_client(served):
    for model in ("clothes", "rows", "shop"):
        for kind in (
            "image/png",
            "application/octet-stream",
            "application/json",
            "text/csv",
            "multipart/form-data; boundary=a",
            "",
        ):
            headers = {"Content-Type": kind} if kind else {}
            reply = raw.ask(served.port, "POST", f"/v1/models/{model}/predict", b"", headers)
            assert reply.status in (400, 415, 422), (model, kind, reply.status)
            assert contract.faults(reply) == []


def test_a_packed_body_is_not_unpacked(served, good_picture):
    for body in (gzip.compress(good_picture), gzip.compress(bytes(200 << 20), 1)[: LIMIT - 1000]):
        headers = {**PNG, "Content-Encoding": "gzip"}
        reply = raw.ask(served.port, "POST", PREDICT, body, headers)
        assert reply.status in (400, 415, 422)
        assert contract.faults(reply) == []


# ---------------------------------------------------------------- pictures that are more than they seem
def encoded(image, form="PNG", **options):
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def test_a_picture_of_a_hundred_megapixels_is_refused_by_its_size(served):
    before = served.memory()
    body = encoded(Image.new("L", (10_000, 10_000)), compress_level=9)
    assert len(body) < LIMIT
    reply = raw.ask(served.port, "POST", PREDICT, body, PNG)
    assert (reply.status, contract.faults(reply)) == (422, [])
    assert "too many pixels" in reply.json()["error"] + str(reply.json().get("unreadable"))
    assert served.memory() - before < 100


def test_many_large_pictures_at_once_are_read_in_bounded_memory(served):
    """79 megapixels each are allowed one by one; five in one form must not lie decoded side by side."""
    before = served.memory()
    body = encoded(Image.new("L", (8_800, 8_900)), compress_level=9)
    form, headers = raw.multipart(*[(f"{at}.png", body) for at in range(min(5, LIMIT // len(body)))])
    reply = raw.ask(served.port, "POST", PREDICT, form, headers)
    assert reply.status in (200, 413, 422, 429)
    assert served.memory() - before < 400


def test_a_text_called_png_is_no_picture(served):
    for body in (
        b"hello, I am a text\n" * 20,
        uploads.SNAKE,
        b"GIF89a",
        b"\x80\x04\x95\x1c\x00canary",
        b"PK\x03\x04" + bytes(90),
    ):
        form, headers = raw.multipart(("a.png", body))
        for sent, how in ((body, PNG), (form, headers)):
            reply = raw.ask(served.port, "POST", PREDICT, sent, how)
            assert (reply.status, contract.faults(reply)) == (422, [])


# ---------------------------------------------------------------- headers and forms without end
def test_headers_without_end_are_cut_off(served):
    before = served.memory()
    for line in (b"X-%d: " + b"a" * 1000 + b"\r\n", b"a" * 60_000):
        with raw.Connection(served.port, seconds=20) as connection:
            sent = 0
            try:
                connection.send(
                    f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nX-Long: ".encode()
                )
                connection.send(b"\r\n" if b"%d" in line else b"")
                while sent < FLOOD:
                    data = line.replace(b"%d", str(sent).encode()) * 10
                    connection.send(data)
                    sent += len(data)
            except OSError:
                pass
            assert sent < FLOOD, "all the headers were taken"
            reply = None
            try:
                reply = connection.reply()
            except TimeoutError:
                pytest.fail("neither an answer nor an end")
            assert reply is None or reply.status in (400, 431)
    assert served.memory() - before < 30


def test_ten_thousand_parts_are_too_many(served, good_picture):
    parts = [("a.png", b"x")] * 6000
    form, headers = raw.multipart(*parts)
    form = form[: LIMIT - 1000]
    began = time.monotonic()
    reply = raw.ask(served.port, "POST", PREDICT, form, headers)
    assert 400 <= reply.status < 500
    assert contract.faults(reply) == []
    assert time.monotonic() - began < 20


# ---------------------------------------------------------------- several requests on one connection
def test_requests_sent_at_once_are_answered_in_order(served, good_picture):
    with raw.Connection(served.port) as connection:
        sent = b""
        for at in range(30):
            body, path = (good_picture, PREDICT) if at % 3 == 0 else (b"", "/v1/models")
            headers = {"X-Request-Id": f"number-{at}", **(PNG if body else {})}
            sent += raw.request("POST" if body else "GET", path, body, headers, port=served.port)
        connection.send(sent)
        found = [connection.reply() for _ in range(30)]
    assert [one.headers["x-request-id"] for one in found] == [f"number-{at}" for at in range(30)]
    assert [one.status for one in found] == [200] * 30


@pytest.mark.parametrize("broken", uploads.broken_requests(PREDICT), ids=lambda one: one.kind)
def test_broken_http_is_refused_and_hides_no_request(served, broken):
    with raw.Connection(served.port, seconds=3) as connection:
        connection.send(broken.data)
        connection.socket.shutdown(socket.SHUT_WR)
        found = connection.replies()
    for one in found:
        assert one.status < 500, one
        assert uploads.SNAKE not in one.body or one.headers["content-type"].startswith("application/json")
        assert not contract.LEAKS.search(one.body) or one.status == 200
    if broken.hidden:
        assert all(one.headers.get("x-request-id") != "smuggled" for one in found), found
    assert sum(one.status == 101 for one in found) == 0


UPGRADE = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}


@pytest.mark.parametrize("cut", [0, 3, -200, -1, None], ids=lambda at: f"cut at {at}")
def test_a_picture_sent_with_a_wish_for_another_protocol_is_answered(served, good_picture, cut):
    """As Java's HttpClient sends its first request: it may be answered as if nothing had been wished."""
    wanted = raw.ask(served.port, "POST", PREDICT, good_picture, PNG).json()["predictions"]
    sent = raw.request("POST", PREDICT, good_picture, {**PNG, **UPGRADE}, port=served.port)
    head = sent.index(b"\r\n\r\n") + 4
    at = len(sent) if cut is None else head + cut if cut >= 0 else len(sent) + cut
    with raw.Connection(served.port, seconds=20) as connection:
        for _ in range(2):  # and the connection goes on
            connection.send(sent[:at])
            time.sleep(0.05)
            connection.send(sent[at:] + raw.request("GET", "/healthz", port=served.port))
            assert connection.reply().json()["predictions"] == wanted
            assert connection.reply().json() == {"status": "ok"}


def test_the_body_of_a_wish_for_another_protocol_is_no_request(served):
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nConnection: Upgrade\r\n"
    head += f"Upgrade: h2c\r\nContent-Length: {len(uploads.HIDDEN)}\r\n\r\n"
    with raw.Connection(served.port, seconds=2) as connection:
        connection.send(head.encode())
        time.sleep(0.2)
        connection.send(uploads.HIDDEN)
        (found,) = connection.replies()
    assert found.status == 422 and found.headers["x-request-id"] != "smuggled"


def test_a_connection_that_is_reset_harms_nobody(served):
    for data in (
        b"",
        b"POST ",
        head(served.port, "Content-Length: 100") + b"x",
        raw.request("GET", "/v1/models"),
    ):
        for _ in range(5):
            connection = raw.Connection(served.port)
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.send(data)
            connection.socket.close()


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"PAR1"])
@pytest.mark.parametrize("model", ["rows", "shop"])
def test_a_table_that_is_no_csv_is_told_so(served, model, start):
    body, headers = raw.multipart(("ventas.xlsx", start + b"\x14\x00\x06\x00" * 20))
    reply = raw.ask(served.port, "POST", f"/v1/models/{model}/predict", body, headers)
    assert reply.status == 415
    assert "ventas.xlsx is an Excel or Parquet file" in reply.json()["error"]


def test_a_whole_sentence_is_told_as_it_is(served):
    reply = raw.ask(
        served.port, "POST", "/v1/models/rows/predict", b"nothing\n1\n", {"Content-Type": "text/csv"}
    )
    assert reply.status == 422
    assert reply.json()["error"].startswith("The table lacks columns")


def test_a_form_may_say_how_many_steps(served, shelf):
    edge = "edge"
    table = (shelf["shop"].parent / "shop.csv").read_text()

    def form(steps):
        says = f"--{edge}\r\nContent-Disposition: form-data; name="
        parts = f'{says}"steps"\r\n\r\n{steps}\r\n{says}"file"; filename="s.csv"\r\n\r\n{table}\r\n'
        body = f"{parts}--{edge}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        return raw.ask(served.port, "POST", "/v1/models/shop/predict", body, headers)

    assert len(form(2).json()["predictions"]) == 2
    assert form("many").status == 422 and "steps must be a whole number" in form("many").json()["error"]
