"""The description of the service: OpenAPI 3.1, with examples, written by hand so that it says what is so.

Source: OpenAPI Specification 3.1.0.
"""

from typing import Any

from vistazo.language import mark, tr
from vistazo.serving.models import Shelf
from vistazo.serving.settings import ServeSettings

__all__ = ["description"]

_DOT = (  # a grey PNG of 8 x 8, to try the service with
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR4nGNogAIGyhgAgIQgAQ2AJGEAAAAASUVORK5CYII="
)
_STATUSES = {
    "400": mark("The request is malformed."),
    "401": mark("The token is missing or wrong."),
    "403": mark("The name of the host or the page's origin is not allowed."),
    "404": mark("There is no such model, or it cannot do this."),
    "405": mark("This route is asked with another method."),
    "408": mark("The body did not come in time."),
    "413": mark("The body is too large, or holds too many inputs."),
    "415": mark("The model does not read bodies of this type."),
    "422": mark("Nothing that was sent could be read, or a parameter is wrong."),
    "429": mark("The queue is full."),
    "503": mark("The service is not ready or about to stop."),
}
_ALWAYS = ("400", "401", "403", "405")
_ASKED = ("400", "401", "403", "404", "405", "408", "413", "415", "422", "429", "503")


def description(shelf: Shelf, settings: ServeSettings) -> dict[str, Any]:
    """The OpenAPI document of a service."""
    from vistazo import __version__

    tasks = {served.endpoint.task for _, served in shelf.items()}
    names = [name for name, _ in shelf.items()]
    paths: dict[str, Any] = {
        "/healthz": {"get": _got(tr("Whether the service lives"), "health", _STATUS, open_to_all=True)},
        "/readyz": {
            "get": _got(tr("Whether it takes requests"), "ready", _STATUS, open_to_all=True, also=("503",))
        },
        "/metrics": {"get": _got(tr("Figures for Prometheus"), "metrics", None)},
        "/v1/models": {
            "get": _got(tr("The models of this service"), "models", {"$ref": "#/components/schemas/Models"})
        },
    }
    series = "forecasting" in tasks
    steps = [_number("steps", tr("steps to forecast (default: the model's)"), 100_000)] if series else []
    top = _number("top", tr("classes named for each input"), 10_000, 5)
    paths["/v1/models/{name}/predict"] = {
        "post": _asked(tr("Answer for inputs"), "predict", names, [top, *steps], _contents(tasks), "Answer")
    }
    pictures = _contents({"classification"})
    paths["/v1/models/{name}/explain"] = {
        "post": _asked(
            tr("Where in a picture the answer comes from"), "explain", names, [], pictures, "Explanation"
        )
    }
    count = _number("count", tr("pictures to find"), 1000, 10)
    paths["/v1/models/{name}/similar"] = {
        "post": _asked(tr("The pictures of the index that are most alike"), "similar", names, [count], pictures,
                       "Similar")
    }  # fmt: skip
    told: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Vistazo",
            "version": __version__,
            "description": tr("Trained models that answer over HTTP. A body may have {n} MB at most.",
                              n=f"{settings.limit_mb:g}"),
        },
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }  # fmt: skip
    if settings.token is not None:
        told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        told["security"] = [{"token": []}]
    return told


_STATUS = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string", "const": "ok"}},
}
_TEXTS = {"type": "array", "items": {"type": "string"}}
# [class, probability]; without prefixItems, which programs that read descriptions still stumble over
_RANKED = {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": ["string", "number"]}}
_UNREAD = {"type": "array", "items": {"type": "object", "required": ["reason"], "properties": {
    "file": {"type": "string"}, "row": {"type": "integer"}, "reason": {"type": "string"}}}}  # fmt: skip
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_HEAD = {"model": {"type": "string"}, "hash": {"type": "string"}, "request": {"type": "string"}}
_PREDICTION = {
    "type": "object",
    "properties": {
        "file": {"type": "string"},
        "row": {"type": "integer"},
        "class": {"type": "string"},
        "probability": _SHARE,
        "known": {"type": "boolean"},
        "classes": _TEXTS,
        "top": {"type": "array", "items": _RANKED},
        "unknown": _TEXTS,
        "series": {"type": "string"},
        "date": {"type": "string"},
        "value": {"type": "number"},
        "low": {"type": ["number", "null"]},
        "high": {"type": ["number", "null"]},
    },
}


def _many(name: str, item: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An answer of the service: who answered, what, and what could not be read. more: properties that may be there."""
    return {
        "type": "object",
        "required": ["model", "hash", "request", name, "unreadable"],
        "properties": {**_HEAD, name: {"type": "array", "items": item}, "unreadable": _UNREAD, **more},
    }


_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "required": ["error", "request"],
        "properties": {"error": {"type": "string"}, "request": {"type": "string"}},
        "example": {"error": "The service is busy. Try again in 1 s.", "request": "5f1c2a-2a"},
    },
    "Models": {
        "type": "object",
        "required": ["models"],
        "properties": {"models": {"type": "array", "items": {
            "type": "object",
            "required": ["name", "task", "hash", "reads", "explain", "similar"],
            "properties": {"name": {"type": "string"}, "task": {"type": "string"}, "hash": {"type": "string"},
                           "classes": _TEXTS, "reads": _TEXTS, "explain": {"type": "boolean"},
                           "similar": {"type": "boolean"}}}}},
    },
    "Answer": {**_many("predictions", _PREDICTION, notes=_TEXTS), "example": {
        "model": "clothes", "hash": "9f86d081884c7d65", "request": "5f1c2a-2b",
        "predictions": [{"file": "picture", "class": "boot", "probability": 0.98,
                         "top": [["boot", 0.98], ["sandal", 0.02]], "known": True}], "unreadable": []}},
    "Explanation": _many("explanations", {"type": "object", "properties": {
        "file": {"type": "string"}, "class": {"type": "string"}, "shown": {"type": "array"},
        "heatmap": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}}}),
    "Similar": _many("results", {"type": "object", "properties": {
        "file": {"type": "string"}, "neighbours": {"type": "array", "items": {
            "type": "object", "properties": {"file": {"type": "string"}, "label": {"type": ["string", "null"]},
                                             "distance": {"type": "number"}}}}}}),
    "Pictures": {
        "type": "object",
        "required": ["pictures"],
        "properties": {"pictures": {"type": "array", "minItems": 1, "maxItems": 1000,
                                    "items": {"type": "string", "contentEncoding": "base64"}}},
        "example": {"pictures": [_DOT]},
    },
    "Rows": {
        "type": "object",
        "required": ["rows"],
        "properties": {
            "rows": {"type": "array", "minItems": 1, "maxItems": 100_000, "items": {
                "type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}},
            "steps": {"type": "integer", "minimum": 1},
        },
        "example": {"rows": [{"size": 4.2, "colour": "red"}, {"size": 1.5, "colour": "blue"}]},
    },
}  # fmt: skip


def _contents(tasks: set[str]) -> dict[str, Any]:
    """The bodies that models of these tasks read."""
    form = {"type": "object", "required": ["file"],
            "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}}}  # fmt: skip
    found: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    bodies = []
    if "classification" in tasks:
        raw = {"schema": {"type": "string", "format": "binary"}}
        found |= {"image/png": raw, "image/jpeg": raw, "application/octet-stream": raw}
        bodies.append({"$ref": "#/components/schemas/Pictures"})
    if tasks & {"tabular", "forecasting"}:
        found["text/csv"] = {"schema": {"type": "string"}, "example": "size,colour\n4.2,red\n"}
        bodies.append({"$ref": "#/components/schemas/Rows"})
    found["application/json"] = {"schema": bodies[0] if len(bodies) == 1 else {"anyOf": bodies}}
    return found


def _number(name: str, words: str, most: int, default: int | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": most}
    if default is not None:
        schema["default"] = default
    return {"name": name, "in": "query", "required": False, "description": words, "schema": schema}


def _asked(
    summary: str,
    name: str,
    models: list[str],
    query: list[dict[str, Any]],
    contents: dict[str, Any],
    answer: str,
) -> dict[str, Any]:
    model: dict[str, Any] = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    if models:
        model["example"] = models[0]
    return {
        "summary": summary,
        "operationId": name,
        "parameters": [model, *query],
        "requestBody": {"required": True, "content": contents},
        "responses": {
            "200": _response(summary, {"$ref": f"#/components/schemas/{answer}"}),
            **{status: _refusal(status) for status in _ASKED},
        },
    }


def _got(
    summary: str,
    name: str,
    schema: dict[str, Any] | None,
    *,
    open_to_all: bool = False,
    also: tuple[str, ...] = (),
) -> dict[str, Any]:
    if schema is None:
        answered: dict[str, Any] = {
            "description": summary,
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    else:
        answered = _response(summary, schema)
    told = {
        "summary": summary,
        "operationId": name,
        "responses": {"200": answered, **{status: _refusal(status) for status in (*_ALWAYS, *also)}},
    }
    return {**told, "security": []} if open_to_all else told


def _response(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _refusal(status: str) -> dict[str, Any]:
    words = _STATUSES[status]
    told = _response(tr(words), {"$ref": "#/components/schemas/Error"})
    if status in ("429", "503"):
        seconds = {"description": tr("seconds to wait"), "schema": {"type": "integer", "minimum": 1}}
        told["headers"] = {"Retry-After": seconds}
    return told
