"""The table of a network's layers for people. Free of torch."""

from typing import Any

from vistazo.engine.reports import number
from vistazo.language import tr

__all__ = ["shape_text", "table_lines"]


def table_lines(told: dict[str, Any]) -> list[str]:
    """The layers as lines of text, from what `look`, `registered` or a network in words tells."""
    heading = [tr("layer"), tr("name"), tr("what it does"), tr("output"), tr("parameters"), tr("neurons")]
    rows = [
        [
            str(one["number"] or ""),
            one["name"],
            one["about"],
            shape_text(one["shape"]),
            number(one["parameters"]),
            number(one["neurons"]),
        ]
        for one in told["layers"]
    ]
    rows.append(["", "", tr("total"), "", number(told["parameters"]), ""])
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    sides = (str.rjust, str.ljust, str.ljust, str.rjust, str.rjust, str.rjust)
    lines = [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)).rstrip()
        for row in (heading, *rows)
    ]
    if told["statistics"] or told["frozen"]:
        parts = {name: number(told[name]) for name in ("trainable", "statistics", "frozen")}
        lines.append(tr("trainable {trainable}, running statistics {statistics}, frozen {frozen}", **parts))
    return [tr("{name}, pictures of {size}", name=told["network"], size=shape_text(told["input"])), *lines]


def shape_text(shape: Any) -> str:
    """(height, width, channels) or (numbers,) for people."""
    return " × ".join(map(str, shape))
