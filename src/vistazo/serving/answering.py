"""What the routes of a model do: read a body, ask the model, form the answer."""

import asyncio
import contextvars
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter, thread_time
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from vistazo import platform
from vistazo.language import LANGUAGES, set_language, tr
from vistazo.serving.bodies import Held, media_type_of, read_body
from vistazo.serving.endpoints import Asked, Read, whole_number
from vistazo.serving.limits import Receive, Scope, Send, respond
from vistazo.serving.logs import Log
from vistazo.serving.models import Served, Shelf
from vistazo.serving.refusing import Refused, unread
from vistazo.serving.settings import ServeSettings
from vistazo.serving.visits import Visit

__all__ = ["LABELS", "Answering", "parameters", "send_json"]

LABELS = {verb: f"/v1/models/{{name}}/{verb}" for verb in ("predict", "explain", "similar")}
_MOST_TOP, _MOST_STEPS = 10_000, 100_000
_ASKED = {language: Asked(language=language) for language in LANGUAGES}
_PLAIN = ((b"content-type", b"application/json"),)
_CLOSING = (*_PLAIN, (b"connection", b"close"))
_TURN = 0.02  # seconds for which inputs of one request are read before another request has its turn
_SEVERAL = frozenset(["application/json", "multipart/form-data", "text/csv"])  # what a thread takes apart
_LARGE = 65_536  # bytes of a body from which on it counts
_MANY = 100  # answers that take longer to write down than a thread takes to wake
T = TypeVar("T")


class Answering:
    """The routes under /v1/models/NAME."""

    def __init__(self, shelf: Shelf, settings: ServeSettings, log: Log) -> None:
        self.shelf, self.settings, self.log = shelf, settings, log
        self.draining = False
        self.busy = 0  # requests that are being answered
        self._held = Held(max(int(settings.held_mb * 1_000_000), 2 * settings.limit))
        self.more: dict[str, Any] = {}  # explain and similar
        self._readers = ThreadPoolExecutor(platform.physical_cores(), "vistazo-reading")

    def close(self) -> None:
        """Let go of the threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def aside(self, work: Callable[..., T], *given: Any) -> T:
        """What `work` gives, done in a thread that reads, in the language in force."""
        run = partial(contextvars.copy_context().run, work, *given)
        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def __call__(self, name: str, verb: str, scope: Scope, receive: Receive, send: Send) -> None:
        visit: Visit = scope["vistazo"]
        visit.label = LABELS[verb]
        if visit.languages:
            set_language(visit.language)  # of this request's own task
        served = self.shelf.get(name)
        if served is None:
            raise _early(visit, 404, tr("There is no model of this name here. GET /v1/models tells them."))
        visit.model = name
        if scope["method"] != "POST":
            raise Refused(405, tr("Ask this route with POST."), (b"allow", b"POST"), close=visit.chunked)
        if visit.encoding.lower() not in (b"", b"identity"):
            sentence = tr("A body has to come as it is, without Content-Encoding.")
            raise Refused(415, sentence, (b"accept-encoding", b"identity"), close=True)
        if self.draining:
            raise Refused.draining()
        self.busy += 1
        kept = 0
        try:
            body = await read_body(
                receive, visit, self.settings.limit, self.settings.body_seconds, self._held
            )
            if len(body) > _LARGE:
                self._held.take(len(body))
                kept = len(body)
            told: str | dict[str, Any]
            if verb == "predict":
                told = await self._predict(served, body, visit, scope["query_string"])
            else:
                told = await self.more[verb](served, body, visit, scope["query_string"])
        except asyncio.CancelledError:  # it has to end now
            if self.draining:
                raise Refused.draining() from None
            raise
        finally:
            self.busy -= 1
            self._held.now -= kept
        await send_json(send, visit, told, close=self.draining)

    async def _predict(self, served: Served, body: bytes, visit: Visit, query: bytes) -> str:
        endpoint, admission = served.endpoint, served.admission
        kind = media_type_of(visit.media_type)
        asked = _asked_of(query, visit) if query else _ASKED[visit.language]
        admission.admit()  # before the picture is decoded: an overload is to cost as little as can be
        counted = 1
        try:
            light = endpoint.light(body, kind)
            most = self.settings.most_inputs
            if light or kind not in _SEVERAL:
                inputs = endpoint.inputs(body, visit.media_type, kind, most)
            else:
                inputs = await self.aside(endpoint.inputs, body, visit.media_type, kind, most)
            if len(inputs) > 1:
                admission.leave()
                counted = 0
                admission.admit(len(inputs))
                counted = len(inputs)
            found = (
                self._read(served, inputs, asked)
                if light
                else await self._read_in_turn(served, inputs, asked)
            )
            answers = await served.batcher.ask(found.items)
        finally:
            admission.leave(counted)
        if len(answers) > _MANY or _is_long(answers):
            return await self.aside(self._formed, served, found, answers, visit)
        return self._formed(served, found, answers, visit)

    def _formed(self, served: Served, found: Read, answers: Sequence[Any], visit: Visit) -> str:
        """The answer as JSON. Raises Refused where there is nothing to answer, or what the model tripped over."""
        predictions: list[str] = []
        unreadable, notes = found.unreadable, list[str]()
        for answer in answers:
            if isinstance(answer, str):  # JSON, from where it was computed
                predictions.append(answer)
                continue
            if isinstance(answer, Exception):
                raise self._fault(served, answer, visit)
            for one in (answer,) if isinstance(answer, dict) else answer:
                if "reason" in one:
                    unreadable.append(one)
                elif "note" in one:
                    notes.append(one["note"])
                else:
                    predictions.append(_encode(one))
        if not predictions:
            raise unread(unreadable)
        head = _encode({"model": visit.model, "hash": served.hash, "request": visit.request})
        rest = _encode(unreadable) if unreadable else "[]"
        told = f'{head[:-1]}, "predictions": [{", ".join(predictions)}], "unreadable": {rest}'
        return f'{told}, "notes": {_encode(notes)}}}' if notes else f"{told}}}"

    def _fault(self, served: Served, error: Exception, visit: Visit) -> Exception:
        """What an input that the model tripped over is told: cells can hold what no reader was ready for."""
        if isinstance(error, Refused) and error.__cause__ is not None:
            self.log.fault(visit, error=error.__cause__)
        if served.endpoint.task == "classification" or isinstance(error, Refused | ImportError):
            return error
        self.log.fault(visit, error=error)
        return Refused(422, tr("Nothing that was sent could be read."))

    async def _read_in_turn(self, served: Served, inputs: list[Any], asked: Asked) -> Read:
        """Inputs read in threads, those of other requests in between: a large form holds up nobody's photograph."""
        found, spent = Read(), 0.0
        while inputs:
            if spent > self.settings.reading_seconds:
                reason = tr("the inputs before it took too long to read; send it in a request of its own")
                found.unreadable += [{"file": one.name, "reason": reason} for one in inputs]
                break
            read, count, seconds = await self.aside(self._read_some, served, inputs, asked)
            found.items += read.items
            found.unreadable += read.unreadable
            inputs, spent = inputs[count:], spent + seconds
        return found

    def _read_some(self, served: Served, inputs: list[Any], asked: Asked) -> tuple[Read, int, float]:
        """In a thread. What is read in a moment, how many inputs that is, and the seconds of a processor it took."""
        until, began = perf_counter() + _TURN, thread_time()
        found, count = Read(), 0
        while count < len(inputs) and (not count or perf_counter() < until):
            read = self._read(served, inputs[count : count + 1], asked)
            found.items += read.items
            found.unreadable += read.unreadable
            count += 1
        return found, count, thread_time() - began

    def _read(self, served: Served, inputs: list[Any], asked: Asked) -> Read:
        """What a reader trips over that is no fault of ours is the input's."""
        try:
            return served.endpoint.read(inputs, asked)
        except Refused:
            raise
        except Exception:
            self.log.fault()
            raise Refused(422, tr("Nothing that was sent could be read.")) from None


def _is_long(answers: Sequence[Any]) -> bool:
    """Whether an input among them has so many answers that writing them down takes a while."""
    return any(type(one) is list and len(one) > _MANY for one in answers)


def _asked_of(query: bytes, visit: Visit) -> Asked:
    """The parameters of an address. Raises Refused 422."""
    told = parameters(query)
    return Asked(
        top=whole_number(told, "top", 5, _MOST_TOP) or 5,
        steps=whole_number(told, "steps", None, _MOST_STEPS),
        language=visit.language,
    )


def parameters(query: bytes) -> Mapping[str, str]:
    """The parameters of an address, the last of each name. Raises Refused 400."""
    try:
        return dict(parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise Refused(400, tr("The parameters of the address cannot be read.")) from None


_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode


async def send_json(send: Send, visit: Visit, told: Any, *, close: bool = False) -> None:
    """Send a value as JSON; a text is JSON already."""
    headers = _CLOSING if close else _PLAIN
    text = told if isinstance(told, str) else _encode(told)
    await respond(send, visit, 200, headers, text.encode("ascii"))


def _early(visit: Visit, status: int, sentence: str) -> Refused:
    return Refused(status, sentence, close=visit.chunked)
