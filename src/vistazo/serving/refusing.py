"""Why a request is not answered: a status, one sentence, and what the client may do."""

import json
import math
from collections.abc import Sequence
from typing import Any

from vistazo.language import tr

__all__ = ["Refused", "body_of", "unread"]


class Refused(Exception):
    """A request that is refused with a status and one sentence. more: headers. close: whether the connection ends."""

    def __init__(self, status: int, sentence: str, *more: tuple[bytes, bytes], close: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.more, self.close = status, sentence, more, close

    @classmethod
    def busy(cls, seconds: float, *, close: bool = False) -> "Refused":
        """The queue is full; it will have room after so many seconds."""
        wait = max(1, math.ceil(seconds))
        sentence = tr("The service is busy. Try again in {n} s.", n=wait)
        return cls(429, sentence, (b"retry-after", str(wait).encode()), close=close)

    @classmethod
    def wrong_type(cls, reads: Sequence[str], kind: str, example: str) -> "Refused":
        """A body of a type that the model does not read. example: a type that a client may name instead."""
        sentence = tr("This model reads {kinds}, not {kind}.", kinds=", ".join(reads), kind=repr(kind[:60]))
        if (
            kind == "application/x-www-form-urlencoded"
        ):  # as curl calls a file that it is not told the type of
            sentence += " " + tr(
                "With curl, add {header}, or send the file by {form}.",
                header=f"-H 'Content-Type: {example}'",
                form="-F file=@FILE",
            )
        return cls(415, sentence)

    @classmethod
    def draining(cls) -> "Refused":
        """The service is about to end, or not ready yet."""
        sentence = tr("The service is not ready or is about to stop. Try again later.")
        return cls(503, sentence, (b"retry-after", b"2"), close=True)


def body_of(sentence: str, request: str) -> bytes:
    """The JSON body of an error."""
    told: dict[str, Any] = {"error": sentence, "request": request}
    return json.dumps(told, ensure_ascii=True).encode()


def unread(unreadable: list[dict[str, Any]]) -> Refused:
    """The refusal where nothing that was sent could be read, with the first reason."""
    if not unreadable:
        return Refused(422, tr("The request holds nothing to answer for."))
    reason = " ".join(str(unreadable[0]["reason"]).split())[:600]
    if reason.endswith("."):  # a sentence of its own
        return Refused(422, reason)
    return Refused(422, tr("Nothing that was sent could be read: {reason}.", reason=reason[:300]))
