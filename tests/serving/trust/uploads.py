"""Uploads that are wrong in every way we could think of, drawn from a seed: the same ones in tests and benchmark.

Each is complete HTTP, so that an answer is owed. What is wrong with HTTP itself is in `broken_requests`.
"""

import base64
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from trust import raw

MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif"}
SNAKE = b"<script>alert(1)</script>"


@dataclass(frozen=True)
class Upload:
    """One request to predict. kind: how it was made, for people; query: without '?'."""

    kind: str
    body: bytes
    headers: dict[str, str]
    query: str = ""


def picture(seed: int = 0, *, form: str = "PNG", side: int = 28) -> bytes:
    """A grey picture of one bright square on noise, encoded."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 40, (side, side), dtype=np.uint8)
    top, left = draw.integers(0, side // 2 + 1, 2)
    pixels[top : top + side // 3, left : left + side // 3] = 220
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, form)
    return sink.getvalue()


def damaged(good: bytes, draw: np.random.Generator) -> bytes:
    """Those bytes cut, doubled, turned, filled with noise, or with some of their bits flipped."""
    way = int(draw.integers(0, 8))
    if way == 0:
        return good[: int(draw.integers(0, len(good)))]
    if way == 1:
        at = int(draw.integers(0, len(good)))
        return good[:at] + draw.bytes(int(draw.integers(1, 400))) + good[at:]
    if way == 2:
        at, wide = int(draw.integers(0, len(good))), int(draw.integers(1, 60))
        return good[:at] + good[at + wide :]
    if way == 3:
        at = int(draw.integers(0, len(good)))
        return good[:at] + b"\xff\xff\xff\x7f" + good[at + 4 :]
    if way == 4:
        return good + good[int(draw.integers(0, len(good))) :]
    data = np.frombuffer(good, np.uint8).copy()
    reach = min(len(data), 60) if way == 5 else len(data)
    places = draw.integers(0, reach, int(draw.integers(1, 12)))
    data[places] ^= (1 << draw.integers(0, 8, len(places))).astype(np.uint8)
    return data.tobytes()


# ---------------------------------------------------------------- the kinds
def _pictures(draw: np.random.Generator) -> Upload:
    form = ("PNG", "JPEG", "GIF")[int(draw.integers(0, 3))]
    good = picture(int(draw.integers(0, 50)), form=form, side=int(draw.integers(1, 60)))
    media = MEDIA[form] if draw.random() < 0.7 else "application/octet-stream"
    return Upload(f"damaged {form}", damaged(good, draw), {"Content-Type": media})


def _png_chunks(draw: np.random.Generator) -> Upload:
    """A PNG whose check sums are right and whose words are not: sizes, depths, chunks in odd places."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    sizes = [0, 1, 28, 2**16, 2**31 - 1, 2**32 - 1]
    width, height = (int(one) for one in draw.choice(sizes, 2))
    depth, colour = int(draw.choice([0, 1, 8, 16, 99])), int(draw.choice([0, 2, 3, 4, 6, 7]))
    head = (
        width.to_bytes(4, "big")
        + height.to_bytes(4, "big")
        + bytes((depth, colour, 0, 0, int(draw.integers(0, 2))))
    )
    data = zlib.compress(draw.bytes(int(draw.integers(0, 900))))
    pieces = [
        chunk(b"IHDR", head),
        chunk(b"IDAT", data),
        chunk(b"tRNS", draw.bytes(3)),
        chunk(b"iCCP", draw.bytes(20)),
    ]
    pieces += [chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000))), chunk(b"IEND", b"")]
    order = draw.permutation(len(pieces)) if draw.random() < 0.3 else range(len(pieces))
    body = b"\x89PNG\r\n\x1a\n" + b"".join(pieces[int(at)] for at in order)
    return Upload("made-up PNG", body, {"Content-Type": "image/png"})


def _forms(draw: np.random.Generator) -> Upload:
    names = [
        "a.png",
        "",
        "../../etc/passwd",
        "a\x00b.png",
        SNAKE.decode(),
        "ñ" * 300,
        "a\r\nX-Evil: 1",
        "CON",
        "/dev/zero",
    ]
    parts = [
        (names[int(draw.integers(0, len(names)))], picture(int(draw.integers(0, 9))))
        for _ in range(int(draw.integers(0, 4)))
    ]
    body, headers = raw.multipart(*[(name.replace("\r\n", "%0D%0A"), data) for name, data in parts])
    way = int(draw.integers(0, 7))
    if way == 0:
        headers = {"Content-Type": "multipart/form-data"}  # no boundary
    elif way == 1:
        headers = {"Content-Type": "multipart/form-data; boundary=" + "x" * int(draw.choice([1, 71, 4000]))}
    elif way == 2:
        body = body.replace(b"\r\n", b"\n")
    elif way == 3:
        body = body.replace(b'name="file"', b'name="' + draw.bytes(5).replace(b"\n", b"") + b'"', 1)
    elif way == 4:
        body = body.replace(b"Content-Disposition", b"X-" + b"y" * int(draw.choice([10, 9000, 70_000])), 1)
    elif way == 5:
        body = body.rpartition(b"--vistazo-trust")[0]
    return Upload("form", damaged(body, draw) if draw.random() < 0.6 and body else body, headers)


JSON_TEXTS = (
    "",
    "null",
    "[]",
    "{}",
    "1",
    '"a"',
    "NaN",
    "[1e999]",
    "{",
    '{"pictures"',
    '{"pictures": null}',
    '{"pictures": []}',
    '{"pictures": {}}',
    '{"pictures": [1]}',
    '{"pictures": [[[0, 1], [2]]]}',
    '{"pictures": ["!!!"]}',
    '{"pictures": [""]}',
    '{"pictures": ["QUJD"]}',
    '{"pictures": ["\\ud800"]}',
    '{"rows": "x"}',
    '{"rows": [1, 2]}',
    '{"rows": [{}]}',
    '{"rows": [{"a": {"b": [1]}}]}',
    '{"rows": [{"size": NaN}]}',
    '{"rows": [{"size": 1e400}]}',
    '{"rows": [{"size": "<img src=x onerror=alert(1)>"}]}',
    '{"rows": [], "steps": -1}',
    '{"rows": [], "steps": 1e9}',
    '{"rows": [{"day": "2024-02-31", "sold": 1}], "steps": 99999999999999999999}',
    '{"steps": true}',
    '{"rows": [{"size": "' + "9" * 5000 + '"}]}',
    '{"rows": [{"size": ' + "9" * 5000 + "}]}",
    "[" * 100_000,
    '{"rows":' * 20_000,
    '{"a": ' + "[" * 50_000 + "]" * 50_000 + "}",
    "{" + '"a": 1, ' * 9000 + '"b": 2}',
    '\ufeff{"pictures": []}',
    '{"pictures": ["' + "A" * 100_000 + '"]}',
)


def _json(draw: np.random.Generator) -> Upload:
    if draw.random() < 0.5:
        text = JSON_TEXTS[int(draw.integers(0, len(JSON_TEXTS)))].encode("utf-8", "surrogatepass")
    else:
        good = {"pictures": [base64.b64encode(picture(1)).decode()]}
        rows = {"rows": [{"size": 1.5, "colour": "red"}], "steps": 3}
        text = damaged(json.dumps(good if draw.random() < 0.5 else rows).encode(), draw)
    media = ("application/json", "application/json; charset=utf-16", "APPLICATION/JSON", "application/json;")
    return Upload("JSON", text, {"Content-Type": media[int(draw.integers(0, len(media)))]})


CSV_TEXTS = (
    b"",
    b"\n\n\n",
    b"size\n",
    b"size,colour\n1,red\n2\n3,blue,4\n",
    b"a,a,a\n1,2,3\n",
    b"\xff\xfes\0i\0z\0e\0",
    b"\0" * 500,
    b'size,colour\n"1,red\n',
    b"size;colour\n1,5;red\n",
    b"size\tcolour\n1\tred\n",
    b"," * 5000 + b"\n" + b"," * 5000,
    b"size,colour\n" + b"1,red\n" * 20_000,
    b"size,colour\n=cmd|'/c calc'!A1,red\n",
    b"day,sold\n2024-13-01,1\n",
    b"day,sold\n0001-01-01,1\n9999-12-31,2\n",
    b"x" * 200_000,
    "tamaño,color\n1,añil\n".encode("latin-1"),
)


def _csv(draw: np.random.Generator) -> Upload:
    good = b"size,colour\n" + b"".join(b"%d,red\n" % at for at in range(30))
    some = CSV_TEXTS[int(draw.integers(0, len(CSV_TEXTS)))] if draw.random() < 0.5 else damaged(good, draw)
    return Upload("CSV", some, {"Content-Type": "text/csv"})


def _types(draw: np.random.Generator) -> Upload:
    media = [
        "",
        "text/plain",
        "text/html",
        "application/xml",
        "application/x-pickle",
        "image/svg+xml",
        "image/../x",
        "image/",
        "a" * 3000,
        "image/png; charset=utf-7",
        "multipart/mixed; boundary=a",
        "application/x-www-form-urlencoded",
        "video/mp4",
        "application/zip",
        'multipart/form-data; boundary="',
        "image/png, text/html",
        ";;;",
    ]
    bodies = (
        b"",
        SNAKE,
        picture(2),
        b"a=1&b=2",
        b"\x80\x04\x95canary",
        b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
    )
    body = bodies[int(draw.integers(0, len(bodies)))]
    return Upload("media type", body, {"Content-Type": media[int(draw.integers(0, len(media)))]})


def _encodings(draw: np.random.Generator) -> Upload:
    how = ("gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "x")[int(draw.integers(0, 7))]
    bodies = (
        gzip.compress(picture(3), mtime=0),
        gzip.compress(bytes(4 << 20), mtime=0),
        b"\x1f\x8b\x08",
        picture(3),
    )
    body = bodies[int(draw.integers(0, len(bodies)))]
    return Upload(f"encoded as {how}", body, {"Content-Type": "image/png", "Content-Encoding": how})


def _queries(draw: np.random.Generator) -> Upload:
    queries = (
        "top=-1",
        "top=0",
        "top=99999999999999999999",
        "top=abc",
        "top=",
        "top=1&top=2",
        "top=1.5",
        "top=NaN",
        "steps=-1",
        "steps=1e9",
        "top=%00",
        "top=%ff%fe",
        "top[]=1",
        "top=" + "9" * 5000,
        "a=" + "b" * 9000,
        "&&&===",
        "top=١",
    )
    query = queries[int(draw.integers(0, len(queries)))]
    quoted = query.encode("utf-8").decode("latin-1") if not query.isascii() else query
    return Upload("query", picture(4), {"Content-Type": "image/png"}, quoted)


KINDS: tuple[Callable[[np.random.Generator], Upload], ...] = (
    _pictures,
    _pictures,
    _png_chunks,
    _forms,
    _forms,
    _json,
    _csv,
    _types,
    _encodings,
    _queries,
)


def malformed(count: int, *, seed: int = 0) -> Iterator[Upload]:
    """So many uploads, every kind in turn. A few of them happen to be good: a flipped bit may do no harm."""
    for at in range(count):
        yield KINDS[at % len(KINDS)](np.random.default_rng((seed, at)))


# ---------------------------------------------------------------- HTTP itself
@dataclass(frozen=True)
class Broken:
    """Bytes that are no good HTTP. hidden: whether a second request hides inside, which must never be answered."""

    kind: str
    data: bytes
    hidden: bool = field(default=False)


HIDDEN = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: smuggled\r\n\r\n"


def broken_requests(path: str) -> list[Broken]:
    """Requests to `path` whose framing is wrong, or is read in two ways by two programs (request smuggling)."""
    post, host, kind = (
        f"POST {path} HTTP/1.1\r\n".encode(),
        b"Host: 127.0.0.1\r\n",
        b"Content-Type: image/png\r\n",
    )
    start = post + host + kind
    chunked = b"Transfer-Encoding: chunked\r\n"
    last = b"0\r\n\r\n"

    def both(length: bytes, coding: bytes, body: bytes) -> bytes:
        return start + b"Content-Length: " + length + b"\r\n" + coding + b"\r\n" + body

    whole = str(len(last + HIDDEN)).encode()
    return [
        Broken("length and chunks", both(whole, chunked, last + HIDDEN), hidden=True),
        Broken(
            "chunks and length", start + chunked + b"Content-Length: 3\r\n\r\n" + last + HIDDEN, hidden=True
        ),
        Broken("two lengths", both(b"0", b"Content-Length: " + whole + b"\r\n", HIDDEN), hidden=True),
        Broken("a list of lengths", both(b"0, 5", b"", HIDDEN), hidden=True),
        Broken("a signed length", both(b"+5", b"", b"12345" + HIDDEN), hidden=True),
        Broken("a length in hexadecimal", both(b"0x5", b"", b"12345" + HIDDEN), hidden=True),
        Broken("a negative length", both(b"-1", b"", HIDDEN), hidden=True),
        Broken("a length of thirty digits", both(b"9" * 30, b"", b"")),
        Broken(
            "an unknown coding", start + b"Transfer-Encoding: xchunked\r\n\r\n" + last + HIDDEN, hidden=True
        ),
        Broken(
            "two codings",
            start + b"Transfer-Encoding: chunked, identity\r\n\r\n" + last + HIDDEN,
            hidden=True,
        ),
        Broken(
            "a coding after a tab",
            start + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + last + HIDDEN,
            hidden=True,
        ),
        Broken("a blank before the colon", start + b"Content-Length : 0\r\n\r\n" + HIDDEN, hidden=True),
        Broken(
            "a folded line", start + b"Content-Length: 0\r\n X: y\r\nTransfer-Encoding:\r\n chunked\r\n\r\n"
        ),
        Broken("a chunk of no number", start + chunked + b"\r\nzz\r\n" + HIDDEN, hidden=True),
        Broken("a chunk of 2^68", start + chunked + b"\r\n" + b"F" * 17 + b"\r\n"),
        Broken("a chunk's endless word", start + chunked + b"\r\n1;" + b"a" * 200_000 + b"\r\nx\r\n" + last),
        Broken("a negative chunk", start + chunked + b"\r\n-1\r\n" + HIDDEN, hidden=True),
        Broken("a chunk without its end", start + chunked + b"\r\n3\r\nabcX" + HIDDEN, hidden=True),
        Broken("no version", f"POST {path}\r\n\r\n".encode()),
        Broken("another version", f"POST {path} HTTP/9.9\r\n".encode() + host + b"\r\n"),
        Broken("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        Broken("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
        Broken("zeros", bytes(3000)),
        Broken("a header without a colon", start + b"nonsense\r\n\r\n"),
        Broken("a zero in a header", start + b"X-A: a\0b\r\n\r\n"),
        Broken("a lone CR in a header", start + b"X-A: a\rX-B: b\r\nContent-Length: 0\r\n\r\n"),
        Broken("a method of noise", b"\xff\xfe\xfd /x HTTP/1.1\r\n" + host + b"\r\n"),
        Broken("a target of noise", b"GET /\xff\x00\xfe HTTP/1.1\r\n" + host + b"\r\n"),
        Broken("markup in the target", b"GET /" + SNAKE + b" HTTP/1.1\r\n" + host + b"\r\n"),
        Broken("no host", post + kind + b"Content-Length: 0\r\n\r\n"),
        Broken("two hosts", start + b"Host: evil.example\r\nContent-Length: 0\r\n\r\n"),
        Broken("CONNECT", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"),
        Broken(
            "an upgrade",
            b"GET /v1/models HTTP/1.1\r\n" + host + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        ),
        Broken(
            "an upgrade to HTTP/2",
            b"GET /healthz HTTP/1.1\r\n" + host + b"Connection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        ),
        Broken(
            "an upgrade with a body",
            start + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
            b"Content-Length: " + str(len(HIDDEN)).encode() + b"\r\n\r\n" + HIDDEN,
            hidden=True,
        ),
        Broken(
            "an upgrade with a body in chunks",
            start + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + chunked + b"\r\n" + last + HIDDEN,
            hidden=True,
        ),
    ]
