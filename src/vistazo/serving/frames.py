"""Messages between the process that listens and the one that computes: JSON and bytes, and nothing that is unpickled.

A frame is the length of its JSON (4 bytes), the length of its bytes (8, both little-endian), the JSON, and the bytes:
several pieces in a row, whose lengths stand in the JSON under `sizes`.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Frame", "Frames", "frame"]

_HEAD = struct.Struct("<IQ")
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Frame:
    """One message. told: its JSON, an object. pieces: its bytes."""

    told: dict[str, Any]
    pieces: list[bytes] = field(default_factory=list)


def frame(told: dict[str, Any], pieces: Sequence[bytes] = ()) -> bytes:
    """A message as it is sent."""
    if pieces:
        told = {**told, "sizes": [len(one) for one in pieces]}
    text = _encode(told).encode("ascii")
    body = b"".join(pieces)
    return _HEAD.pack(len(text), len(body)) + text + body


class Frames:
    """Messages out of what arrives in any portions."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The messages that are whole with these bytes."""
        waiting = self._waiting
        waiting += data
        while len(waiting) >= _HEAD.size:
            text, body = _HEAD.unpack_from(waiting)
            end = _HEAD.size + text + body
            if len(waiting) < end:
                return
            told = json.loads(waiting[_HEAD.size : _HEAD.size + text])
            at, pieces = _HEAD.size + text, []
            for size in told.pop("sizes", ()):
                pieces.append(bytes(waiting[at : at + size]))
                at += size
            del waiting[:end]
            yield Frame(told, pieces)
