"""Several labels a picture: what the cells of a manifest mean, and the Index they become.

A cell of the column `labels` holds names parted by '|'; an empty one means that the picture has none of them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vistazo.engine.reports import number
from vistazo.errors import SourceError, TooFewExamples
from vistazo.language import tr
from vistazo.pictures.index import TEST, UNLABELLED, Index, natural_key, normal

__all__ = ["SEPARATOR", "indexed_labels", "joined", "read_cells"]

SEPARATOR = "|"


def joined(names: Sequence[object], path: Path) -> str:
    """A Parquet list of names as one cell. Raises SourceError where a name holds the separator."""
    words = [str(name) for name in names if name is not None]
    for word in words:
        if SEPARATOR in word:
            raise SourceError(
                tr(
                    "{path} has the label '{name}'. A label cannot hold the sign |, which parts labels: rename it.",
                    path=path,
                    name=word,
                )
            )
    return SEPARATOR.join(words)


def read_cells(path: Path, cells: Sequence[str]) -> list[list[str]] | None:
    """The names in each cell, composed; None where each cell holds exactly one: then a picture has one label.

    Raises SourceError where other signs than '|' seem to part the names.
    """
    if not any(SEPARATOR in cell for cell in cells):
        _require_no_other_sign(path, [cell for cell in cells if cell])
        if all(cells):
            return None
    return [[name for name in map(normal, cell.split(SEPARATOR)) if name] for cell in cells]


def _require_no_other_sign(path: Path, cells: Sequence[str]) -> None:
    """Raise SourceError where commas or semicolons part names that come again in other cells."""
    whole = {normal(cell) for cell in cells}
    for sign in (",", ";"):
        pieces = {piece.strip() for cell in whole for piece in cell.split(sign)}
        if len(pieces) < len(whole):
            example = min(cell for cell in whole if sign in cell)
            raise SourceError(
                tr(
                    "{path} seems to part labels by '{sign}', as in '{example}'. Part them by |, as in {mended}; or "
                    "call the column label, if that is one name.",
                    path=path,
                    sign=sign,
                    example=example,
                    mended=SEPARATOR.join(piece.strip() for piece in example.split(sign)),
                )
            )


def indexed_labels(
    where: Sequence[str],
    cells: Sequence[Sequence[str]],
    split: np.ndarray,
    *,
    path: Path,
    source: str,
    kind: str,
) -> tuple[Index, tuple[str, ...]]:
    """The Index of pictures with these labels, and what there is to say of them.

    Raises TooFewExamples where there is no label at all, SourceError where a label stands only in the test part: it
    cannot be learnt, and to leave it out would make the figures of that part better than they are.
    """
    learnt = split != TEST if (split != TEST).any() else np.ones(len(split), dtype=np.bool_)
    own = {name for names, mine in zip(cells, learnt.tolist(), strict=True) if mine for name in names}
    strangers = sorted({name for names in cells for name in names} - own, key=natural_key)
    if strangers:
        raise SourceError(
            tr(
                "These labels stand only in the test part, so nothing can learn them: {names} (in {path}). Add "
                "training pictures that have them, or take them out.",
                names=", ".join(strangers),
                path=path,
            )
        )
    if not own:
        raise TooFewExamples(tr("{path} gives no picture a label.", path=path))
    classes = tuple(sorted(own, key=natural_key))
    position = {name: at for at, name in enumerate(classes)}
    labels = np.zeros((len(where), len(classes)), dtype=np.bool_)
    for row, names in enumerate(cells):
        labels[row, [position[name] for name in names]] = True
    index = Index(
        where=tuple(where),
        label=np.full(len(where), UNLABELLED),
        split=split,
        group=np.full(len(where), -1),
        hash=np.zeros(len(where), dtype="S32"),
        classes=classes,
        source=source,
        kind=kind,
        labels=labels,
    )
    notes = [
        tr(
            "Several labels a picture: {n} labels, {mean} a picture on average; pictures without any: {none}.",
            n=len(classes),
            mean=number(float(labels.sum(1).mean()), 2),
            none=int((~labels.any(1)).sum()),
        )
    ]
    twice = sum(len(set(names)) < len(names) for names in cells)
    if twice:
        notes.append(tr("Pictures given a label twice: {n}. It counts once.", n=twice))
    everywhere = [classes[at] for at in np.flatnonzero(labels.all(0))]
    if everywhere:
        notes.append(
            tr(
                "Every picture has these labels, so they tell nothing apart: {names}.",
                names=", ".join(everywhere),
            )
        )
    return index, tuple(notes)
