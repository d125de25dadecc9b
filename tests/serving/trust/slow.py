"""Clients that are slow, stop halfway, close one side, or vanish."""

import contextlib
import socket
import struct


def clients(port: int, path: str, count: int) -> list[socket.socket]:
    """Open so many connections, each with a part of a request to `path`; those of them that stay open.

    Of five, one closes the side it sends on, and one is reset at once.
    """
    start = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode()
    picture = start + b"Content-Type: image/png\r\n"
    kinds = (
        b"",
        start[:20],
        start,
        start + b"X-A: b\r\n",
        picture + b"Content-Length: 500\r\n\r\n" + b"x" * 9,
        picture + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        start
        + b"Content-Type: multipart/form-data; boundary=a\r\nContent-Length: 500\r\n\r\n--a\r\nContent-",
    )
    kept = []
    for at in range(count):
        one = socket.create_connection(("127.0.0.1", port), timeout=30)
        with contextlib.suppress(OSError):  # the server may have enough of us already
            one.sendall(kinds[at % len(kinds)])
            if at % 5 == 3:
                one.shutdown(socket.SHUT_WR)
            if at % 5 == 4:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()
        if one.fileno() >= 0:
            kept.append(one)
    return kept


def drip(held: list[socket.socket]) -> None:
    """Send one byte more on each, where it is still open."""
    for one in held:
        with contextlib.suppress(OSError):
            one.send(b"a")


def close(held: list[socket.socket]) -> None:
    for one in held:
        one.close()
