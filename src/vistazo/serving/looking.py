"""The routes explain and similar: which pictures are asked for, and how many requests may wait.

They take seconds, so they have a thread of their own; where a model computes in another process, it is that one's.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from vistazo.errors import SourceMissing, UsageError
from vistazo.language import speaking, tr
from vistazo.serving.answering import parameters
from vistazo.serving.bodies import Part, media_type_of
from vistazo.serving.endpoints import whole_number
from vistazo.serving.looks import EXPLAIN, SIMILAR, Looks
from vistazo.serving.models import Served
from vistazo.serving.refusing import Refused, unread
from vistazo.serving.settings import ServeSettings
from vistazo.serving.visits import Visit

__all__ = ["Looking", "require_index"]

_MOST_WAITING = 4  # requests at once: each may take seconds
_MOST_PICTURES = 16  # of one request


def require_index(folder: str, models: Sequence[Served]) -> None:
    """Raise SourceMissing where a folder holds no index, UsageError where no model could search in it."""
    if not any(served.endpoint.searches for served in models):
        raise UsageError(
            tr(
                "--index is for models of pictures as .vistazo files, and none of these is one. Remove --index."
            )
        )
    if not (Path(folder) / "index.json").is_file():  # what similar.index_file reads; it would bring numpy
        raise SourceMissing(
            tr("There is no index of pictures in {path}. Make it with: vistazo search MODEL SOURCE --index {path}",
               path=folder)
        )  # fmt: skip


class Looking:
    """The routes explain and similar."""

    def __init__(self, settings: ServeSettings) -> None:
        self._index = None if settings.index is None else str(Path(settings.index).absolute())
        self._looks = Looks(None if settings.index is None else Path(settings.index))
        self._pool = ThreadPoolExecutor(1, "vistazo-looking")
        self._waiting = 0
        self._pace = 0.5  # seconds a request takes

    def close(self) -> None:
        """Let go of the thread."""
        self._pool.shutdown(wait=False)

    def finds(self, served: Served) -> bool:
        """Whether pictures like one can be asked for."""
        return self._index is not None and served.endpoint.searches

    async def explain(self, served: Served, body: bytes, visit: Visit, query: bytes) -> dict[str, Any]:
        """The classes that are shown, with a map of each laid over the picture."""
        if not served.endpoint.explains:
            raise Refused(404, tr("This model cannot explain its answers; a .vistazo file of pictures can."))
        told = parameters(query)
        asked = {"class": told.get("class"), "method": told.get("method")}
        return await self._in_turn(EXPLAIN, served, body, visit, asked)

    async def similar(self, served: Served, body: bytes, visit: Visit, query: bytes) -> dict[str, Any]:
        """The pictures of the index that are most alike."""
        if not self.finds(served):
            raise Refused(
                404, tr("This model has no index to search: start the service with --index FOLDER.")
            )
        count = whole_number(parameters(query), "count", 10, 1000) or 10
        return await self._in_turn(SIMILAR, served, body, visit, {"count": count})

    async def _in_turn(
        self, verb: str, served: Served, body: bytes, visit: Visit, asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        kind = media_type_of(visit.media_type)
        if self._waiting >= _MOST_WAITING:
            raise Refused.busy(self._waiting * self._pace)
        self._waiting += 1
        began = perf_counter()
        try:
            parts: list[Part] = await asyncio.to_thread(
                served.endpoint.inputs, body, visit.media_type, kind, _MOST_PICTURES
            )
            if not parts:
                raise unread([])
            found = await self._looked(verb, served, parts, asked, visit.language)
        finally:
            self._waiting -= 1
            self._pace += 0.3 * (perf_counter() - began - self._pace)
        return {"model": visit.model, "hash": served.hash, "request": visit.request, **found}

    async def _looked(
        self, verb: str, served: Served, parts: list[Part], asked: Mapping[str, Any], language: str
    ) -> dict[str, Any]:
        if served.distant is not None:
            return await served.distant.look(verb, parts, asked, self._index, language)

        def spoken() -> dict[str, Any]:
            with speaking(language):
                return self._looks.look(verb, served.endpoint, parts, asked)

        return await asyncio.get_running_loop().run_in_executor(self._pool, spoken)
