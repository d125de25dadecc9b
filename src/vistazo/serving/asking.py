"""How a model is asked over HTTP: lines for `curl`, and what the README of an exported one tells of it."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Asking", "address_of", "asking", "curl_line", "facts_of"]


@dataclass(frozen=True)
class Asking:
    """A line for the terminal, and what it sends, in the README's two languages."""

    curl: str
    spanish: str
    english: str


def asking(facts: Mapping[str, Any]) -> Asking:
    """How a model is asked, by the metadata of its .onnx file."""
    return _BY_TASK[facts["task"]](facts)


def address_of(url: str, name: str) -> str:
    """Where a model of a running service answers."""
    return f"{url.rstrip('/')}/v1/models/{name}/predict"


def curl_line(address: str, task: str, *, token: bool) -> str:
    """A line for a terminal that sends a file of yours to a running service. token: whether it wants one."""
    kind, file = ("image/jpeg", "picture.jpg") if task == "classification" else ("text/csv", "table.csv")
    allowed = ' -H "Authorization: Bearer $VISTAZO_TOKEN"' if token else ""
    return f"curl{allowed} -H 'Content-Type: {kind}' --data-binary @{file} {address}"


def facts_of(facts: Mapping[str, Any]) -> str:
    """What is known of an exported model, as rows of a table in Markdown. Names that people gave are not in it."""
    proof = facts.get("proof") or {}
    told = {
        "tarea · task": facts["task"],
        "clases · classes": len(facts.get("classes") or ()),
        "precisión · precision": facts.get("precision"),
        "comprobado con · proven with": proof.get("examples"),
        "misma respuesta · same answer": _share(proof.get("agreement")),
        "Vistazo": facts.get("version"),
        "SHA-256 (.vistazo)": facts.get("hash"),
    }
    return "\n".join(f"| {name} | `{value}` |" for name, value in told.items() if value)


def _share(value: Any) -> str:
    return f"{100 * value:.2f} %" if isinstance(value, int | float) else ""


_ADDRESS = address_of("http://127.0.0.1:8000", "model")


def _pictures(facts: Mapping[str, Any]) -> Asking:
    return Asking(
        f"curl -F file=@photo.jpg {_ADDRESS}",
        "`photo.jpg` es una imagen tuya de cualquier tamaño; varias se mandan con varios `-F file=@...`.",
        "`photo.jpg` is a picture of yours of any size; several are sent by several `-F file=@...`.",
    )


def _json(body: Mapping[str, Any]) -> str:
    sent = shlex.quote(json.dumps(body, ensure_ascii=False))
    return f"curl -H 'Content-Type: application/json' -d {sent} {_ADDRESS}"


def _rows(facts: Mapping[str, Any]) -> Asking:
    row = {one["name"]: _example(one) for one in facts["preprocessing"]["columns"]}
    return Asking(
        _json({"rows": [row]}),
        "Cada fila es un objeto con las columnas de la tabla; la que falta cuenta como vacía. Un CSV se manda con "
        "`-F file=@tabla.csv`.",
        "Each row is an object with the columns of the table; one that is missing counts as empty. A CSV file is sent "
        "by `-F file=@table.csv`.",
    )


def _example(column: Mapping[str, Any]) -> Any:
    """A value such as a column holds: one of its categories, a day, or a number."""
    if column["kind"] == "category":
        return next(iter(column["categories"]["names"]), "")
    return "2024-02-29" if column["kind"] == "date" else 1


def _series(facts: Mapping[str, Any]) -> Asking:
    return Asking(
        _json({"steps": facts["horizon"]}),
        "Así dice lo que sigue a los datos con los que aprendió; con datos más nuevos: `-F file=@serie.csv`, una tabla "
        "con las mismas columnas.",
        "This tells what follows the data it learnt from; with newer ones: `-F file=@series.csv`, a table with the "
        "same columns.",
    )


_BY_TASK: dict[str, Callable[[Mapping[str, Any]], Asking]] = {
    "classification": _pictures,
    "tabular": _rows,
    "forecasting": _series,
}
