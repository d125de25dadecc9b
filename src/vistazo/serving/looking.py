"""What the service tells of a picture besides its answer: where the answer comes from, and which pictures are alike.

Both hang on to the inside of a network while it computes, so they ask a copy of it, in a thread of their own: an answer
of `predict` is never computed in between.
"""

import asyncio
import base64
import copy
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from vistazo.errors import UsageError, VistazoError
from vistazo.language import speaking, tr
from vistazo.pictures import decoding
from vistazo.serving.answering import parameters, unread
from vistazo.serving.bodies import Part, media_type_of
from vistazo.serving.endpoints import whole_number
from vistazo.serving.models import Served, Shelf
from vistazo.serving.refusing import Refused
from vistazo.serving.settings import ServeSettings
from vistazo.serving.visits import Visit

__all__ = ["Looking"]

_MOST_WAITING = 4  # requests at once: each may take seconds
_MOST_PICTURES = 16  # of one request


class Looking:
    """The routes explain and similar."""

    def __init__(self, shelf: Shelf, settings: ServeSettings) -> None:
        self._shelf, self._settings = shelf, settings
        self._index = None if settings.index is None else Path(settings.index)
        self._pool = ThreadPoolExecutor(1, "vistazo-looking")
        self._waiting = 0
        self._pace = 0.5  # seconds a request takes
        self._twins: dict[str, tuple[Served, Any]] = {}

    def close(self) -> None:
        """Let go of the thread."""
        self._pool.shutdown(wait=False)

    def finds(self, served: Served) -> bool:
        """Whether pictures like one can be asked for."""
        return self._index is not None and hasattr(served.endpoint.model, "search")

    async def explain(self, served: Served, body: bytes, visit: Visit, query: bytes) -> dict[str, Any]:
        """The classes that are shown, with a map of each laid over the picture."""
        if not served.endpoint.explains:
            raise Refused(404, tr("This model cannot explain its answers; a .vistazo file of pictures can."))
        told = parameters(query)
        target, method = told.get("class"), told.get("method")
        parts = self._parts(served, body, visit)
        return await self._in_turn(visit, lambda: self._explained(served, visit, parts, target, method))

    async def similar(self, served: Served, body: bytes, visit: Visit, query: bytes) -> dict[str, Any]:
        """The pictures of the index that are most alike."""
        if not self.finds(served):
            raise Refused(
                404, tr("This model has no index to search: start the service with --index FOLDER.")
            )
        count = whole_number(parameters(query), "count", 10, 1000) or 10
        parts = self._parts(served, body, visit)
        return await self._in_turn(visit, lambda: self._alike(served, visit, parts, count))

    def _parts(self, served: Served, body: bytes, visit: Visit) -> list[Part]:
        kind = media_type_of(visit.media_type)
        parts: list[Part] = served.endpoint.inputs(body, visit.media_type, kind, _MOST_PICTURES)
        if not parts:
            raise unread([])
        return parts

    async def _in_turn(self, visit: Visit, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if self._waiting >= _MOST_WAITING:
            raise Refused.busy(self._waiting * self._pace)
        self._waiting += 1
        began = perf_counter()
        language = visit.language

        def spoken() -> dict[str, Any]:
            with speaking(language):
                try:
                    return work()
                except UsageError as error:  # no such class, no such method
                    raise Refused(422, str(error)) from None

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, spoken)
        finally:
            self._waiting -= 1
            self._pace += 0.3 * (perf_counter() - began - self._pace)

    def _twin(self, served: Served, name: str) -> Any:
        """A copy of the model that only this thread computes with."""
        kept = self._twins.get(name)
        if kept is None or kept[0] is not served:
            kept = self._twins[name] = (served, copy.deepcopy(served.endpoint.model))
        return kept[1]

    def _explained(
        self, served: Served, visit: Visit, parts: list[Part], target: str | None, method: str | None
    ) -> dict[str, Any]:
        from vistazo.classification.explaining.explanation import explain_bytes
        from vistazo.pictures import drawing

        named = [(part.name, part.data) for part in parts]
        found = explain_bytes(self._twin(served, visit.model), named, method=method, target=target)
        explanations = []
        for one in found.pictures:
            first, *panels = one.panels()
            shown = [
                {**told, "heatmap": _png(drawing.png(panel))}
                for told, panel in zip(one.to_json()["shown"], panels, strict=True)
            ]
            explanations.append({"file": one.file, "class": one.answer, "shown": shown,
                                 "heatmap": shown[0]["heatmap"], "picture": _png(drawing.png(first))})  # fmt: skip
        unreadable = [dict(one) for one in found.unreadable]
        if not explanations:
            raise unread(unreadable)
        return {
            **_head(served, visit),
            "method": found.method,
            "explanations": explanations,
            "unreadable": unreadable,
        }

    def _alike(self, served: Served, visit: Visit, parts: list[Part], count: int) -> dict[str, Any]:
        assert self._index is not None
        results, unreadable = [], []
        with tempfile.TemporaryDirectory(prefix="vistazo-") as folder:
            good: list[tuple[Part, str]] = []
            for number, part in enumerate(parts):
                try:
                    decoding.stored_size(part.data)
                except VistazoError as error:
                    unreadable.append({"file": part.name, "reason": str(error)})
                    continue
                path = Path(folder) / f"{number}.png"
                path.write_bytes(part.data)
                good.append((part, str(path)))
            if not good:
                raise unread(unreadable)
            try:
                told = self._twin(served, visit.model).search(
                    None, [path for _, path in good], index=self._index, top=count, itself=True
                )
            except UsageError:  # there is none, or of another model
                raise Refused(404, tr("The index cannot be searched by this model.")) from None
            except VistazoError as error:
                raise Refused(422, _without(str(error), folder)) from None
        by_path = {path: part.name for part, path in good}
        for one in told["results"]:
            near = [{**hit, "file": Path(hit["file"]).name} for hit in one["neighbours"]]
            results.append({"file": by_path.get(one["file"], "picture"), "neighbours": near})
        unreadable += [
            {"file": by_path.get(one["file"], ""), "reason": one["reason"]} for one in told["unreadable"]
        ]
        return {**_head(served, visit), "results": results, "unreadable": unreadable}


def _head(served: Served, visit: Visit) -> dict[str, Any]:
    return {"model": visit.model, "hash": served.hash, "request": visit.request}


def _png(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _without(sentence: str, folder: str) -> str:
    return sentence.replace(folder, "")
