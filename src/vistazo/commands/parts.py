"""The parts that a network and its training are put together from, as tables that people choose by.

Each kind is a registry whose entries tell of themselves; the table of kinds below is the only list of them.
"""

import importlib
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vistazo.errors import UsageError
from vistazo.language import mark, tr
from vistazo.registry import About, Registry, nearest

__all__ = ["ALL", "KINDS", "Kind", "registry", "show", "table"]

ALL = "all"
NARROWEST, WIDEST = 40, 110  # columns: longer lines are hard to read
INDENT = 6


@dataclass(frozen=True)
class Kind:
    """A kind of part. title: as people call it, marked. spanish: the word it may be asked for by.

    module, attribute: where its registry stands. note: how one is chosen and what the letters of its formulas mean,
    marked. option: of train, that chooses one.
    """

    title: str
    spanish: str
    module: str
    attribute: str
    note: str
    option: str


KINDS: dict[str, Kind] = {
    "losses": Kind(
        mark("losses: what training minimises"),
        "perdidas",
        "vistazo.engine.objectives",
        "objectives",
        mark(
            "Choose one with --loss NAME. s: scores; p: their softmax, or the answer where numbers are learnt; t: the "
            "share of each class, or the number that is true. --smoothing 0.1 makes t of classes softer, "
            "t (1 - 0.1) + 0.1 / classes (Szegedy et al. 2016, arXiv:1512.00567), with cross_entropy, "
            "binary_cross_entropy, kl_divergence, poisson and focal."
        ),
        "--loss",
    ),
    "activations": Kind(
        mark("activations: what stands between two layers"),
        "activaciones",
        "vistazo.networks.activations",
        "activations",
        mark(
            "Written after a layer in the words of --network, as in conv 32 3x3 relu. x: a layer's numbers. A softmax "
            "at the end is the loss's own."
        ),
        "--network",
    ),
    "scalers": Kind(
        mark("scalers: how numbers are brought to one size"),
        "escaladores",
        "vistazo.tables.preparing",
        "scalers",
        mark(
            "Choose one with --scaler NAME, for tables and series. x: a column's numbers; Q1, Q3: what a quarter and "
            "three quarters of them lie below. All are fitted on the training part alone."
        ),
        "--scaler",
    ),
    "regularizers": Kind(
        mark("regularisers: what keeps a network from learning by heart"),
        "regularizadores",
        "vistazo.engine.regularizers",
        "regularizers",
        mark(
            "Choose with --dropout 0.3, --l1 1e-5, --l2 1e-4 (both: elastic net) or --weight-decay 0.01. w: weights of "
            "layers, without biases and norms; lr: learning rate."
        ),
        "--dropout",
    ),
    "optimizers": Kind(
        mark("optimisers: how weights follow the slope"),
        "optimizadores",
        "vistazo.engine.optimizers",
        "methods",
        mark(
            "Choose one with --optimizer NAME; --learning-rate sets its rate. w: weights; g: slope of the loss; lr: "
            "learning rate; m, v, s: what is remembered of earlier slopes; c: weight decay."
        ),
        "--optimizer",
    ),
    "schedules": Kind(
        mark("schedules: how the learning rate goes on"),
        "planes",
        "vistazo.engine.schedules",
        "schedules",
        mark(
            "Choose one with --schedule NAME. f multiplies the learning rate; t: the share of training that is done."
        ),
        "--schedule",
    ),
}
"""In the order they are listed."""


def registry(kind: Kind) -> Registry[Any]:
    """The registry of a kind."""
    found: Registry[Any] = getattr(importlib.import_module(kind.module), kind.attribute)
    return found


def table(asked: str) -> dict[str, list[dict[str, str]]]:
    """Name, title, formula, use and source of every part of a kind, or of all kinds, in the language in force.

    Raises UsageError for a kind that there is not, with the nearest.
    """
    found = {}
    for name in _chosen(asked):
        parts = registry(KINDS[name])
        found[name] = [_told(one, parts.about[one]) for one in parts]
    return found


def show(told: dict[str, list[dict[str, str]]], width: int | None = None) -> list[str]:
    """The same as lines for people. width: columns of the terminal, None to ask it."""
    columns = min(WIDEST, max(NARROWEST, (width or shutil.get_terminal_size().columns) - 1))
    lines: list[str] = []
    for name, parts in told.items():
        kind = KINDS[name]
        lines += ["", *_wrapped(tr(kind.title), columns), *_wrapped(tr(kind.note), columns, 2)]
        for one in parts:
            lines += ["", *_wrapped(_heading(one), columns, INDENT, first=2)]
            lines += _wrapped(one["formula"], columns, INDENT)
            lines += _wrapped(one["when"], columns, INDENT)
            if one["source"]:
                lines += _wrapped(tr("source: {source}", source=one["source"]), columns, INDENT)
    first = next(iter(told))
    if len(told) > 1:
        following = tr("next:   vistazo models --parts {kind}", kind=first)
    else:
        following = tr("next:   vistazo train SOURCE {option} NAME", option=KINDS[first].option)
    return [*lines[1:], "", following]


def _heading(part: dict[str, str]) -> str:
    """The name that is typed, and the title where that says more."""
    name, title = part["name"], part["title"]
    if title.casefold() == name.casefold():
        return name
    return title if title.startswith(f"{name},") else f"{name}: {title}"


def _told(name: str, about: About) -> dict[str, str]:
    return {
        "name": name,
        "title": tr(about.title),
        "formula": about.formula,
        "when": tr(about.when),
        "source": tr(about.source),
    }


def _chosen(asked: str) -> Sequence[str]:
    plain = asked.strip().casefold().replace("isers", "izers")
    if plain in (ALL, "todas", "todos"):
        return list(KINDS)
    names = {**{name: name for name in KINDS}, **{kind.spanish: name for name, kind in KINDS.items()}}
    if plain in names:
        return [names[plain]]
    near = nearest(plain, list(names))
    known = ", ".join(KINDS)
    if near:
        raise UsageError(
            tr(
                "There is no kind of part '{name}'. Did you mean '{near}'? Known: {names}.",
                name=asked,
                near=near,
                names=known,
            )
        )
    raise UsageError(tr("There is no kind of part '{name}'. Known: {names}.", name=asked, names=known))


def _wrapped(text: str, columns: int, indent: int = 0, *, first: int | None = None) -> list[str]:
    """Lines of at most so many columns; a word longer than that stands alone."""
    return textwrap.wrap(
        text,
        columns,
        initial_indent=" " * (indent if first is None else first),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
