"""What the service has to know of a model: which bodies it reads, and how it answers them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vistazo.serving.bodies import Part

__all__ = ["Asked", "Endpoint", "Read", "endpoint_for", "hash_of", "whole_number"]


@dataclass(frozen=True)
class Asked:
    """What a request asks besides its body. top: classes named. steps: of a series. language: of sentences."""

    top: int = 5
    steps: int | None = None
    language: str = "en"


@dataclass
class Read:
    """What a body held: inputs for `answer`, and what could not be read, as {"file", "reason"}."""

    items: list[Any] = field(default_factory=list)
    unreadable: list[dict[str, Any]] = field(default_factory=list)


class Endpoint(Protocol):
    """A model as the service asks it; one class a task.

    reads: media types. classes: of the answers, where there are classes. inline: whether a batch is so quick that it
    is answered on the event loop. most: inputs answered at once.
    """

    model: Any
    task: str
    hash: str
    reads: tuple[str, ...]
    classes: tuple[str, ...] | None
    inline: bool
    most: int
    least: int
    explains: bool
    searches: bool

    def light(self, body: bytes, media_type: str) -> bool:
        """Whether `read` takes less time than handing the body to a thread."""
        ...

    def inputs(self, body: bytes, content_type: str, media_type: str, most: int) -> list[Part] | Any:
        """The inputs as they came: Refused 400, 413 or 415 where the body is not one that this model reads."""
        ...

    def read(self, inputs: Any, asked: Asked) -> Read:
        """What `answer` takes; may be called in any thread, of several requests at once."""
        ...

    def answer(self, items: Sequence[Any]) -> list[list[dict[str, Any]]]:
        """The answers to each input, one call at a time.

        {"reason"} among them tells what could not be answered, {"note"} what a person should know of the others.
        """
        ...

    def warm(self) -> None:
        """Compute once in every size of batch, so that the first request is answered like any other."""
        ...

    def settle(self) -> None:
        """Called once in the thread that will answer: settles how many threads a batch is computed with."""
        ...


def endpoint_for(model: Any, digest: str, *, threads: int | None) -> Endpoint:
    """The endpoint of a loaded model of any task. digest: SHA-256 of its file."""
    if model.task == "classification":
        from vistazo.serving.pictures import Pictures

        return Pictures(model, digest, threads=threads)
    if model.task == "tabular":
        from vistazo.serving.rows import Rows

        return Rows(model, digest)
    from vistazo.serving.series import Series

    return Series(model, digest)


def hash_of(model: Any, digest: str) -> str:
    """SHA-256 of the file that answers. digest: of the file itself; an exported one tells that of the model it was."""
    return digest if digest and hasattr(model, "session") else getattr(model, "hash", "") or digest


def whole_number(query: Mapping[str, str], name: str, default: int | None, most: int) -> int | None:
    """The whole number of a query's parameter, 1 to `most`. Raises Refused 422."""
    from vistazo.language import tr
    from vistazo.serving.refusing import Refused

    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise Refused(422, tr("{name} must be a whole number from 1 to {most}.", name=name, most=most))
    return int(text)
