"""The service as an application: its routes, behind what `limits` lets in."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from vistazo import __version__
from vistazo.errors import VistazoError
from vistazo.language import speaking, tr
from vistazo.serving.answering import LABELS, Answering
from vistazo.serving.describing import description
from vistazo.serving.limits import SMALL, App, Limits, Receive, Rules, Scope, Send
from vistazo.serving.looking import Looking
from vistazo.serving.models import Shelf, served_models
from vistazo.serving.refusing import Refused, body_of
from vistazo.serving.settings import ServeSettings
from vistazo.serving.visits import Headers, Visit, new_id

__all__ = ["Service", "create"]

_FRONT = "/v1/models/"
_PREDICT = b"/predict"
_AGAIN, _LATEST = 0.5, 30.0  # seconds between two attempts to start what ended: the first, the longest


class Service(FastAPI):
    """The application. rules: who is let in. answering: the routes of models, asked without FastAPI's own layers."""

    rules: Rules
    answering: Answering
    shelf: Shelf
    looking: Looking
    front: Limits | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What FastAPI would put before every route stands behind the routes that are asked thousands of times."""
        if self.front is None:
            self.front = Limits(_Front(super().__call__, self.answering), self.rules)
        await self.front(scope, receive, send)

    def knows(self, path: bytes, headers: Headers) -> "_Known | None":
        """In a crowd, a POST that may ask one of the models; None for every other and without a crowd.

        In a crowd most requests are refused. Before they have a scope and a task that costs a quarter less,
        and the time goes to those that are let in.
        """
        if self.front is None or self.answering.draining:
            return None
        name = path[len(_FRONT) : -len(_PREDICT)].decode("latin-1") if path.endswith(_PREDICT) else ""
        served = self.shelf.get(name)
        if served is None or not served.admission.crowded or not path.startswith(_FRONT.encode()):
            return None
        visit = Visit(headers)
        if not 0 <= visit.length <= SMALL or not self.front.knows(visit):
            return None
        visit.label, visit.model, visit.received = LABELS["predict"], name, visit.length
        return _Known(self, self.front, visit)


class _Known:
    """`vistazo.serving.connections.Known`: what a crowd does to a request of this head, at once or again."""

    def __init__(self, service: Service, front: Limits, visit: Visit) -> None:
        self._service, self._front, self._visit = service, front, visit
        self.length = visit.length

    def turned_away(self, *, again: bool) -> tuple[bytes, bytes, bytes] | None:
        visit = self._visit
        served = self._service.shelf.get(visit.model)
        if served is None or self._service.answering.draining or not served.admission.crowded:
            return None
        admission = served.admission
        if not admission.full:
            if not again:  # else the head is read now, and its place taken then
                admission.expect()
            return None
        admission.refuse()
        if again:
            visit.request = new_id()
        return self._front.turn_away(visit, math.ceil(admission.wait))


class _Front:
    """Sends the routes of models straight to where they are answered."""

    def __init__(self, rest: App, answering: Answering) -> None:
        self.rest, self.answering = rest, answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith(_FRONT):
            name, slash, verb = path[len(_FRONT) :].partition("/")
            if slash and verb in LABELS:
                await self.answering(name, verb, scope, receive, send)
                return
        await self.rest(scope, receive, send)


def create(
    models: Shelf | Mapping[str, Any], settings: ServeSettings, *, rules: Rules | None = None
) -> Service:
    """The service of some models: a Shelf, or {name: a loaded model or the path of one}.

    Raises VistazoError where a model cannot be loaded.
    """
    shelf = served_models(models, settings)
    rules = rules or Rules.of(settings)
    app = Service(
        title="Vistazo",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_alive,
    )
    app.rules, app.shelf = rules, shelf
    app.answering = Answering(shelf, settings, rules.log)
    app.looking = Looking(settings)
    app.answering.more = {"explain": app.looking.explain, "similar": app.looking.similar}
    shelf.on_batch(rules.measures.batch)
    rules.measures.watch(
        "vistazo_queue", "Inputs accepted and not yet answered.",
        lambda: {name: served.admission.accepted for name, served in shelf.items()},
    )  # fmt: skip
    rules.measures.computing = lambda: None if shelf.process is None else shelf.process.pid
    app.state.settings = settings
    _routes(app)
    return app


@contextlib.asynccontextmanager
async def _alive(app: FastAPI) -> AsyncIterator[None]:
    assert isinstance(app, Service)
    if app.shelf.process is not None:
        await app.shelf.process.attach()
    watching = [
        asyncio.create_task(_watch(app.shelf, app.rules, app.state.settings.reload_seconds)),
        asyncio.create_task(_keep(app.shelf, app.rules)),
    ]
    try:
        yield
    finally:
        for one in watching:
            one.cancel()
        app.shelf.close()
        app.looking.close()
        app.answering.close()
        app.rules.log.flush()


async def _watch(shelf: Shelf, rules: Rules, seconds: float) -> None:
    """Load models anew whose file was replaced; a file that cannot be used leaves the old model, and a line."""
    while True:
        await asyncio.sleep(seconds)
        for name in await asyncio.to_thread(shelf.gone):
            rules.log.event("warning", f"the file of {name} is gone; the model in memory goes on answering",
                            model=name)  # fmt: skip
        for name in await asyncio.to_thread(shelf.changed):
            before = shelf.get(name)
            task = before.endpoint.task if before is not None else ""
            try:
                new = await asyncio.to_thread(shelf.reload, name)
            except VistazoError as error:
                rules.measures.reloaded(name, "failed")
                rules.log.event("error", f"the replaced file of {name} cannot be used; the old model stays: {error}",
                                model=name)  # fmt: skip
            except Exception:
                rules.measures.reloaded(name, "failed")
                rules.log.fault()
            else:
                if new is None:
                    continue
                rules.measures.reloaded(name, "ok")
                level, more = "info", ""
                if new.endpoint.task != task:
                    level, more = "warning", f", and is a model of another task: {new.endpoint.task}"
                rules.log.event(level, f"{name} was loaded anew{more}", model=name, hash=new.hash)


async def _keep(shelf: Shelf, rules: Rules) -> None:
    """Start the process of the models again whenever it ends; until then they are not ready."""
    while shelf.process is not None and shelf.process.ended is not None:
        await shelf.process.ended
        rules.log.event("error", "the process of the models ended; it is started again")
        wait, failed = _AGAIN, None
        while failed is None:
            try:
                failed = await asyncio.to_thread(shelf.begin_again)
                continue
            except (VistazoError, OSError) as error:
                rules.log.event("error", f"the process of the models cannot be started: {error}")
            except Exception:
                rules.log.fault()
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LATEST)
        await shelf.process.attach()
        for name, why in failed.items():
            rules.log.event("error", f"{name} cannot be loaded again: {why}", model=name)
        rules.log.event("info", "the process of the models answers again")


# ---------------------------------------------------------------- routes besides those of models
def _routes(app: Service) -> None:
    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        process = app.shelf.process
        if app.answering.draining or (process is not None and not process.ready):
            with speaking(request.scope["vistazo"].language):
                raise Refused.draining()
        return JSONResponse({"status": "ok"})

    async def measures(request: Request) -> Response:
        return PlainTextResponse(app.rules.measures.text(), media_type="text/plain; version=0.0.4")

    async def models(request: Request) -> Response:
        return JSONResponse({"models": [_described(app, name) for name, _ in app.shelf.items()]})

    told: list[dict[str, Any]] = []

    async def openapi(request: Request) -> Response:
        if not told:
            told.append(app.openapi())
        return JSONResponse(told[0])

    for path, endpoint in (
        ("/healthz", healthz),
        ("/readyz", readyz),
        ("/metrics", measures),
        ("/v1/models", models),
        ("/openapi.json", openapi),
    ):
        app.add_route(path, _labelled(path, endpoint), methods=["GET"], include_in_schema=False)
    app.openapi = lambda: description(app.shelf, app.state.settings)  # type: ignore[method-assign]
    app.add_exception_handler(HTTPException, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(Refused, _told)  # type: ignore[arg-type]


def _labelled(path: str, endpoint: Any) -> Any:
    async def labelled(request: Request) -> Response:
        visit: Visit | None = request.scope.get("vistazo")
        if visit is not None:
            visit.label = path
        answer: Response = await endpoint(request)
        return answer

    return labelled


def _described(app: Service, name: str) -> dict[str, Any]:
    served = app.shelf.get(name)
    assert served is not None
    one = served.endpoint
    classes = {} if one.classes is None else {"classes": list(one.classes)}
    return {
        "name": name,
        "task": one.task,
        "hash": served.hash,
        **classes,
        "reads": list(one.reads),
        "explain": one.explains,
        "similar": app.looking.finds(served),
    }


async def _refused(request: Request, error: HTTPException) -> Response:
    """Starlette's own errors, no route and no such method, in our words."""
    visit: Visit = request.scope["vistazo"]
    with speaking(visit.language):
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "GET")
            sentence = tr("This route is asked with {methods}.", methods=allowed)
            return _response(visit, Refused(405, sentence, (b"allow", allowed.encode())))
        return _response(visit, Refused(404, tr("There is nothing here. /openapi.json tells what there is.")))


async def _told(request: Request, refusal: Refused) -> Response:
    return _response(request.scope["vistazo"], refusal)


def _response(visit: Visit, refusal: Refused) -> Response:
    headers = {name.decode(): value.decode() for name, value in refusal.more}
    if refusal.close or visit.chunked or visit.length > SMALL:
        headers["connection"] = "close"
    return Response(body_of(refusal.sentence, visit.request), refusal.status, headers, "application/json")
