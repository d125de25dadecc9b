"""What can be told of a picture besides its answer: where the answer comes from, and which pictures are alike.

Both hang on to the inside of a network while it computes, so they ask a copy of it: an answer of `predict` is never
computed in between.
"""

import base64
import copy
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from vistazo.errors import UsageError, VistazoError
from vistazo.language import tr
from vistazo.pictures import decoding
from vistazo.serving.bodies import Part
from vistazo.serving.endpoints import Endpoint
from vistazo.serving.refusing import Refused, unread

__all__ = ["EXPLAIN", "SIMILAR", "Looks"]

EXPLAIN, SIMILAR = "explain", "similar"


class Looks:
    """Looks at pictures by copies of models; one call at a time. index: folder of an index of similar pictures."""

    def __init__(self, index: Path | None) -> None:
        self._index = index
        self._twins: WeakKeyDictionary[Endpoint, Any] = WeakKeyDictionary()

    def look(
        self, verb: str, endpoint: Endpoint, parts: Sequence[Part], asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What EXPLAIN or SIMILAR tells of pictures. asked: {"class", "method"} or {"count"}. Raises Refused."""
        twin = self._twins.get(endpoint)
        if twin is None:
            twin = self._twins[endpoint] = copy.deepcopy(endpoint.model)
        try:
            if verb == EXPLAIN:
                return _explained(twin, parts, asked.get("class"), asked.get("method"))
            assert self._index is not None
            return _alike(twin, parts, self._index, int(asked["count"]))
        except UsageError as error:  # no such class, no such method
            raise Refused(422, str(error)) from None


def _explained(model: Any, parts: Sequence[Part], target: str | None, method: str | None) -> dict[str, Any]:
    from vistazo.classification.explaining.explanation import explain_bytes
    from vistazo.pictures import drawing

    named = [(part.name, part.data) for part in parts]
    found = explain_bytes(model, named, method=method, target=target)
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
    return {"method": found.method, "explanations": explanations, "unreadable": unreadable}


def _alike(model: Any, parts: Sequence[Part], index: Path, count: int) -> dict[str, Any]:
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
            told = model.search(None, [path for _, path in good], index=index, top=count, itself=True)
        except UsageError:  # there is none, or of another model
            raise Refused(404, tr("The index cannot be searched by this model.")) from None
        except VistazoError as error:
            raise Refused(422, str(error).replace(folder, "")) from None
    by_path = {path: part.name for part, path in good}
    for one in told["results"]:
        near = [{**hit, "file": Path(hit["file"]).name} for hit in one["neighbours"]]
        results.append({"file": by_path.get(one["file"], "picture"), "neighbours": near})
    unreadable += [
        {"file": by_path.get(one["file"], ""), "reason": one["reason"]} for one in told["unreadable"]
    ]
    return {"results": results, "unreadable": unreadable}


def _png(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
