"""What the routes of a model do: read a body, ask the model, form the answer."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

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


class Answering:
    """The routes under /v1/models/NAME."""

    def __init__(self, shelf: Shelf, settings: ServeSettings, log: Log) -> None:
        self.shelf, self.settings, self.log = shelf, settings, log
        self.draining = False
        self.busy = 0  # requests that are being answered
        self._held = Held(int(settings.held_mb * 1_000_000))
        self.more: dict[str, Any] = {}  # explain and similar

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
        try:
            body = await read_body(
                receive, visit, self.settings.limit, self.settings.body_seconds, self._held
            )
            told: str | dict[str, Any]
            if verb == "predict":
                told = await self._predict(served, body, visit, scope["query_string"])
            else:
                told = await self.more[verb](served, body, visit, scope["query_string"])
        finally:
            self.busy -= 1
        await send_json(send, visit, told, close=self.draining)

    async def _predict(self, served: Served, body: bytes, visit: Visit, query: bytes) -> str:
        endpoint, admission = served.endpoint, served.admission
        kind = media_type_of(visit.media_type)
        asked = _asked_of(query, visit) if query else _ASKED[visit.language]
        admission.admit()  # before the picture is decoded: an overload is to cost as little as can be
        counted = 1
        try:
            if endpoint.light(body, kind):
                found = self._read(served, body, visit.media_type, kind, asked)
            else:
                found = await asyncio.to_thread(self._read, served, body, visit.media_type, kind, asked)
            more = len(found.items) - 1
            if more > 0:
                admission.leave()
                counted = 0
                admission.admit(more + 1)
                counted = more + 1
            answers = await served.batcher.ask(found.items)
        finally:
            admission.leave(counted)
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
        if served.endpoint.task == "classification" or isinstance(error, Refused):
            return error
        self.log.fault(visit, error=error)
        return Refused(422, tr("Nothing that was sent could be read."))

    def _read(self, served: Served, body: bytes, content_type: str, kind: str, asked: Asked) -> Read:
        """In a thread. What a reader trips over that is no fault of ours is the input's."""
        endpoint = served.endpoint
        inputs = endpoint.inputs(body, content_type, kind, self.settings.most_inputs)
        try:
            return endpoint.read(inputs, asked)
        except Refused:
            raise
        except Exception:
            self.log.fault()
            raise Refused(422, tr("Nothing that was sent could be read.")) from None


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
