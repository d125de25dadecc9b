"""Series of requests, as JSON or CSV, and how a forecaster goes on with them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vistazo.errors import VistazoError
from vistazo.language import speaking, tr
from vistazo.serving.bodies import parse_json
from vistazo.serving.endpoints import Asked, Read, hash_of, whole_number
from vistazo.serving.refusing import Refused
from vistazo.serving.rows import (
    READS,
    Table,
    as_csv,
    csv_tables,
    finite,
    kept,
    noted,
    plain_rows,
    without_place,
)
from vistazo.tables.config import SEPARATORS

__all__ = ["Series"]

_MOST_STEPS = 100_000
_MOST_ROWS = 1_000_000  # of a CSV file: ten thousand series of a hundred days


class Series:
    """A forecaster as the service asks it: `vistazo.serving.endpoints.Endpoint`."""

    task = "forecasting"
    reads: tuple[str, ...] = READS
    inline = False
    most = 4
    least = 4
    explains = searches = False
    classes: tuple[str, ...] | None = None

    def __init__(self, model: Any, digest: str) -> None:
        self.model = model
        self.hash = hash_of(model, digest)
        self._reading: Mapping[str, Any] = model.history.reading

    def light(self, body: bytes, media_type: str) -> bool:
        """Whether the body is so small that parsing it takes no longer than handing it over."""
        return len(body) < 2048

    def inputs(self, body: bytes, content_type: str, media_type: str, most: int) -> list[Table]:
        """The tables in a body; one without rows asks for the steps after the training data."""
        if media_type == "application/json":
            return [self._in_json(parse_json(body))]
        fields: dict[str, str] = {}
        found = csv_tables(body, content_type, media_type, most, _MOST_ROWS, fields)
        steps = whole_number(fields, "steps", None, _MOST_STEPS)
        return [replace(one, steps=steps) for one in found]

    def _in_json(self, told: Any) -> Table:
        if not isinstance(told, Mapping):
            raise Refused(422, tr("The JSON body must be {example}.", example='{"rows": [...], "steps": 7}'))
        steps = told.get("steps")
        if steps is not None and (type(steps) is not int or not 1 <= steps <= _MOST_STEPS):
            raise Refused(
                422, tr("{name} must be a whole number from 1 to {most}.", name="steps", most=_MOST_STEPS)
            )
        rows = plain_rows(told.get("rows") or [])
        if not rows:
            return Table("", [], steps)
        separator = SEPARATORS.get(self._reading.get("separator", "auto"), ",")
        decimal = "," if self._reading.get("decimal") == "comma" else "."
        return Table("rows", as_csv(rows, separator, decimal), steps)

    def read(self, inputs: list[Table], asked: Asked) -> Read:
        """The tables with what was asked of them."""
        return Read([(one, asked) for one in inputs])

    def answer(self, items: Sequence[tuple[Table, Asked]]) -> list[list[dict[str, Any]]]:
        """The steps to come of each table, as `vistazo predict` gives them."""
        return [list(self._told(table, asked)) for table, asked in items]

    def _told(self, table: Table, asked: Asked) -> Iterator[dict[str, Any]]:
        with speaking(asked.language):
            with kept(table) as given:
                files = [given] if isinstance(given, str) else []
                try:
                    for one in self.model.predict(files, steps=table.steps or asked.steps):
                        yield finite(one)
                    yield from noted(self.model.notes, table)
                except VistazoError as error:
                    yield {
                        "file": table.name or "rows",
                        "reason": without_place(str(error), given, table.name),
                    }

    def warm(self) -> None:
        """One forecast of the series that the model knows."""
        for _ in self.model.predict((), steps=1):
            break

    def settle(self) -> None:
        """Nothing to settle in the thread that answers."""
