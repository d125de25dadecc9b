"""What the columns of a table are for: the target and its kind, what is learnt from, what is left out and why."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import ConfigError, SourceDamaged
from vistazo.language import tr
from vistazo.tables.config import names_in
from vistazo.tables.table import Column, Table, natural_order, plain
from vistazo.tabular.config import TabularConfig

__all__ = ["Finding", "Roles", "Target", "names_parts", "part_of", "roles", "target_column", "target_of"]

MOST_WHOLE_CLASSES = (
    20  # distinct whole numbers that are taken for classes, and the rows each needs on average
)
ROWS_A_CLASS = 5
_IDENTIFIER = re.compile(
    r"^(id|ids|uid|uuid|guid|key|clave|index|indice|row|row number|fila|no|nr|num|numero|n|codigo|code|record|registro"
    r"|unnamed: ?0|column 1)$|( id|^id | uuid)$"
)
_PARTS = {
    **dict.fromkeys(("train", "training", "entrenamiento"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "validacion"), "validation"),
    **dict.fromkeys(("test", "testing", "prueba", "pruebas"), "test"),
}
_PART_COLUMNS = ("split", "part", "parte", "subset", "particion", "conjunto")


@dataclass(frozen=True)
class Finding:
    """Something a person should know about a column: kind in a word, the column, what was seen, what to do."""

    kind: str
    column: str
    detail: str
    suggestion: str


@dataclass(frozen=True)
class Target:
    """What is learnt.

    classes: names in their order; () where the target is a number.  values: (rows,) int64 class numbers, -1 missing,
    or float64, NaN missing.
    """

    name: str
    classes: tuple[str, ...]
    values: NDArray[np.int64] | NDArray[np.float64]
    sentence: str

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(rows,) True where there is nothing to learn."""
        return np.asarray(self.values < 0 if self.classes else np.isnan(self.values))


@dataclass(frozen=True)
class Roles:
    """Columns by what they are for. inputs: names of those learnt from. group, order, part: '' where there is none."""

    inputs: tuple[str, ...]
    group: str
    order: str
    part: str
    sentences: tuple[str, ...]
    findings: tuple[Finding, ...]


# ---------------------------------------------------------------- the target
def target_of(table: Table, config: TabularConfig) -> Target:
    """The column to learn, read as classes or as numbers.

    Raises ConfigError where it is not named, is no column, or cannot be what `kind` asks for; SourceDamaged where
    every cell of it is missing.
    """
    if not config.target:
        raise ConfigError(
            tr(
                "Say which column to learn with --target; the table has these: {names}.",
                names=", ".join(table.names),
            )
        )
    column = table.column(config.target)
    if column.missing.all():
        raise SourceDamaged(
            tr("The target '{name}' is missing in every row. Name another with --target.", name=column.name)
        )
    kind = config.kind
    if kind == "auto":
        kind = "classification" if _looks_like_classes(column) else "regression"
    if kind == "classification":
        return _classes(column, config)
    if column.kind != "number":
        raise ConfigError(
            tr(
                "The target '{name}' holds no numbers, so it cannot be learnt as one. Leave out --kind, or clean it.",
                name=column.name,
            )
        )
    if config.ordered:
        raise ConfigError(
            tr(
                "--ordered is for classes, and the target '{name}' is a number. Leave it out.",
                name=column.name,
            )
        )
    sentence = tr(
        "target: '{name}', a number (--kind classification would learn it as classes)", name=column.name
    )
    return Target(column.name, (), column.values, sentence)


def target_column(name: str, classes: tuple[str, ...], values: NDArray[Any]) -> Column:
    """Class numbers, -1 missing, or numbers as a column."""
    if classes:
        return Column(name, "category", values.astype(np.int32), classes)
    return Column(name, "number", values.astype(np.float64))


def _looks_like_classes(column: Column) -> bool:
    if column.kind != "number":
        return True
    there = column.values[~column.missing]
    distinct = len(np.unique(there))
    if distinct <= 2:
        return True
    whole = bool((there == np.floor(there)).all())
    return whole and distinct <= MOST_WHOLE_CLASSES and len(there) >= ROWS_A_CLASS * distinct


def _classes(column: Column, config: TabularConfig) -> Target:
    texts = np.array(column.texts(), dtype=object)
    names = list(dict.fromkeys(text for text in texts.tolist() if text))
    names = [names[at] for at in natural_order(names)]
    if column.kind == "number":
        names.sort(key=float)
    if config.ordered:
        names = _in_order(names, names_in(config.ordered), column.name)
    code = {name: at for at, name in enumerate(names)}
    values = np.array([code.get(text, -1) for text in texts.tolist()], dtype=np.int64)
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    if column.kind == "number" and config.kind == "auto":
        sentence = tr(
            "target: '{name}', {n} classes ({names}; --kind regression would learn it as a number)",
            name=column.name,
            n=len(names),
            names=shown,
        )
    else:
        sentence = tr("target: '{name}', {n} classes ({names})", name=column.name, n=len(names), names=shown)
    return Target(column.name, tuple(names), values, sentence)


def _in_order(names: list[str], given: list[str], column: str) -> list[str]:
    """The classes in the order a person gave; each has to be named once."""
    known = {plain(name): name for name in names}
    found = [known.get(plain(name)) for name in given]
    if sorted(name or "" for name in found) != sorted(names):
        raise ConfigError(
            tr(
                "--ordered must name each class of '{name}' once: {classes}.",
                name=column,
                classes=", ".join(names),
            )
        )
    return [name for name in found if name]


# ---------------------------------------------------------------- the other columns
def roles(table: Table, target: str, config: TabularConfig) -> Roles:
    """What each column but the target is for.

    Left out: what the settings say, columns without two different values, texts or counters that number the rows.
    Raises ConfigError for a column that does not exist or has two uses.
    """
    left = {table.column(name).name for name in names_in(config.leave_out)}
    kept = {table.column(name).name for name in names_in(config.keep_columns)}
    group = table.column(config.group).name if config.group else ""
    order = table.column(config.order).name if config.order else ""
    for name in (group, order, *kept, *left):
        if name == target:
            raise ConfigError(
                tr("'{name}' is the target; it cannot have another use. Name another column.", name=name)
            )
    if group and order:
        raise ConfigError(
            tr(
                "--group and --order-by cannot hold together: a group's rows would stand in two parts. Give one."
            )
        )
    if order and table.column(order).kind not in ("number", "date"):
        raise ConfigError(
            tr("--order-by needs a column of dates or numbers; '{name}' holds neither.", name=order)
        )
    sentences, findings, inputs = [], [], []
    part = next((c.name for c in table.columns if c.name != target and names_parts(c)), "")
    for at, column in enumerate(table.columns):
        if column.name in (target, part) or column.name in left:
            continue
        if column.name in kept:
            inputs.append(column.name)
        elif column.name in (group, order):
            continue
        elif (found := _useless(column)) or (found := _identifier(column, first=at == 0)):
            findings.append(found)
        else:
            inputs.append(column.name)
    if names := [found.column for found in findings if found.kind == "constant"]:
        sentences.append(tr("left out, with one value or none: {names}", names=", ".join(names)))
    if names := [found.column for found in findings if found.kind == "identifier"]:
        sentences.append(
            tr(
                "left out, because they only number or name the rows: {names} (--keep-columns keeps them)",
                names=", ".join(names),
            )
        )
    return Roles(tuple(inputs), group, order, part, tuple(sentences), tuple(findings))


def names_parts(column: Column) -> bool:
    """Whether a column says which part each row belongs to."""
    return (
        column.kind == "category"
        and plain(column.name) in _PART_COLUMNS
        and all(plain(name) in _PARTS for name in column.categories)
    )


def part_of(column: Column) -> NDArray[np.str_]:
    """The part each row of such a column names, (rows,); '' where the cell is empty."""
    names = np.array([*(_PARTS[plain(name)] for name in column.categories), ""])
    return np.asarray(names[column.values])


def _useless(column: Column) -> Finding | None:
    there = column.values[~column.missing]
    if len(there) and (there != there[0]).any():
        return None
    if len(there) and column.missing.any():  # present or missing: that may tell something
        return None
    return Finding(
        "constant",
        column.name,
        tr("it has one value or none"),
        tr("nothing can be learnt from it; remove it"),
    )


def _identifier(column: Column, *, first: bool) -> Finding | None:
    """A column that only names or numbers the rows, so that learning from it is learning by heart."""
    there = column.values[~column.missing]
    if len(there) < 10 or len(np.unique(there)) < len(there):
        return None
    named = bool(_IDENTIFIER.search(re.sub(r"[\W_]+", " ", plain(column.name)).strip()))
    if column.kind == "number":
        if (there != np.floor(there)).any():
            return None
        steps = np.diff(there)
        counts = bool((steps == 1).all()) and there[0] in (0, 1) and not column.missing.any()
        if not named and not (first and counts):
            return None
    elif column.kind != "category":
        return None
    return Finding(
        "identifier",
        column.name,
        tr("every row has a value of its own"),
        tr("it was left out; --keep-columns {name} learns from it", name=column.name),
    )
