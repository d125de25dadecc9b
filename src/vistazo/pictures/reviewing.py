"""review.csv: what was found, what to do about it, and what a person decided; written, edited anywhere, read back.

Columns: path, finding, suggestion, action. An action is one of

    keep            as it is; an empty cell means the same
    exclude         not used; the file stays where it is
    relabel:CLASS   of another class; several labels are parted by |
    move            `vistazo check SOURCE --move review.csv` moves the file out of the source; training leaves it out

The file is UTF-8 with a mark, so that spreadsheets read accents. A cell that a spreadsheet would take for a formula
begins with an apostrophe, which is taken off again when it is read; so does one that begins with an apostrophe.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, SourceError, SourceMissing
from vistazo.language import tr
from vistazo.pictures.folders import is_picture
from vistazo.pictures.health import PATHLESS, Finding
from vistazo.pictures.index import UNLABELLED, Index, normal
from vistazo.pictures.labelling import SEPARATOR
from vistazo.pictures.looking import FOREIGN
from vistazo.pictures.manifests import text_of
from vistazo.pictures.stores import Source, readable
from vistazo.registry import nearest

__all__ = [
    "COLUMNS",
    "Correction",
    "Row",
    "apply",
    "canonical",
    "corrections",
    "read",
    "rows_of",
    "seal",
    "to_csv",
    "write",
]

COLUMNS = ("path", "finding", "suggestion", "action")
MOST_BYTES = 256 << 20
NAMED = 5  # paths that a sentence names

_HEADERS = {
    "path": ("path", "ruta", "file", "fichero", "archivo"),
    "finding": ("finding", "hallazgo"),
    "suggestion": ("suggestion", "sugerencia"),
    "action": ("action", "accion", "acción"),
}
_VERBS = {
    **dict.fromkeys(("keep", "conservar", ""), "keep"),
    **dict.fromkeys(("exclude", "excluir"), "exclude"),
    **dict.fromkeys(("relabel", "reetiquetar"), "relabel"),
    **dict.fromkeys(("move", "mover"), "move"),
}
_STRENGTH = ("keep", "relabel", "exclude", "move")
_FORMULA = re.compile(r"[=+\-@\t\r']")


@dataclass(frozen=True)
class Row:
    """A line of the file. finding: of `health.KINDS`, or what a person wrote. line: where it stands, or 0."""

    path: str
    finding: str
    suggestion: str
    action: str
    line: int = 0


@dataclass(frozen=True)
class Correction:
    """What to do about one picture. verb: keep, exclude, relabel or move. label: the new one's name, of relabel."""

    verb: str
    label: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.verb}:{self.label}" if self.verb == "relabel" else self.verb


def rows_of(findings: Iterable[Finding], fix: Sequence[str]) -> list[Row]:
    """A line for each finding about a file; those of the kinds in `fix` get their suggestion as action."""
    return [
        Row(one.path, one.kind, one.suggestion, one.suggestion if one.kind in fix else "keep")
        for one in findings
        if one.kind not in PATHLESS
    ]


# ---------------------------------------------------------------- the file
def to_csv(rows: Iterable[Row]) -> str:
    """The text of the file, without its mark."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_harmless(getattr(row, name)) for name in COLUMNS] for row in rows)
    return text.getvalue()


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write the file, whole or not at all. Raises DiskError."""
    try:
        platform.replace_file(path, [b"\xef\xbb\xbf", to_csv(rows).encode()])
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error


def read(path: Path) -> list[Row]:
    """The lines of the file, as this module, a spreadsheet in any language or a person wrote them.

    Raises SourceMissing, SourceDamaged, SourceError where a column is missing or an action is unknown.
    """
    if not path.is_file():
        raise SourceMissing(tr("There is no file of corrections at {path}.", path=path))
    with readable(path):
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(tr("the file is larger than {most} MB", most=MOST_BYTES >> 20))
        text = text_of(path)
    return _parsed(text, path)


def _parsed(text: str, path: Path) -> list[Row]:
    header = text.split("\n", 1)[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    heads: dict[str, int] = {}
    rows = []
    try:
        before = 0
        for cells in lines:
            line, before = before + 1, lines.line_num
            if not heads:
                heads = _heads(cells, path)
            elif any(map(str.strip, cells)):
                filled = {name: _plain(cells[at]) if at < len(cells) else "" for name, at in heads.items()}
                row = Row(**{**dict.fromkeys(COLUMNS, ""), **filled}, line=line)
                _correction(row, path)
                rows.append(row)
    except csv.Error as error:
        raise SourceError(
            tr("{path}, line {line}: it is no CSV ({reason}).", path=path, line=lines.line_num, reason=error)
        ) from None
    if not heads:
        raise SourceError(
            tr("{path} is empty; its first line is {columns}.", path=path, columns=",".join(COLUMNS))
        )
    return rows


def _heads(cells: Sequence[str], path: Path) -> dict[str, int]:
    """Where each column stands."""
    words = [_plain(cell).strip().casefold() for cell in cells]
    heads = {
        name: words.index(word)
        for name, several in _HEADERS.items()
        for word in reversed(several)
        if word in words
    }
    for name in ("path", "action"):
        if name not in heads:
            raise SourceError(
                tr(
                    "{path} has no column '{name}' (its first line: {header}). Write the file with: "
                    "vistazo check SOURCE --out FOLDER",
                    path=path,
                    name=name,
                    header=",".join(cells)[:200],
                )
            )
    return heads


def _correction(row: Row, path: Path) -> Correction:
    verb, _, label = row.action.strip().partition(":")
    found = _VERBS.get(verb.strip().casefold())
    label = normal(label)
    if found is None or (found == "relabel") != bool(label):
        raise SourceError(
            tr(
                "{path}, line {line}: there is no action '{action}'. Known: keep, exclude, relabel:CLASS, move.",
                path=path,
                line=row.line,
                action=row.action,
            )
        )
    return Correction(found, label, row.line)


def _harmless(cell: str) -> str:
    return "'" + cell if _FORMULA.match(cell) else cell


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") else cell


# ---------------------------------------------------------------- what is to be done
def corrections(rows: Sequence[Row], path: Path) -> dict[str, Correction]:
    """What to do about each path; of several lines about one, the strongest: move, exclude, relabel, keep.

    path: of the file, for the sentence. Raises SourceError where two lines give one picture different labels.
    """
    found: dict[str, Correction] = {}
    for row in rows:
        name, new = row.path, _correction(row, path)
        if new.verb == "exclude" and row.finding == FOREIGN and not is_picture(name):
            continue  # a text beside the pictures: it was never used
        old = found.get(name)
        if old is not None and old.verb == new.verb == "relabel" and old.label != new.label:
            raise SourceError(
                tr(
                    "{path}, line {line}: '{name}' is to become {new}, and {old} by line {before}. Leave one of them.",
                    path=path,
                    line=new.line,
                    name=name,
                    new=new.label,
                    old=old.label,
                    before=old.line,
                )
            )
        if old is None or _STRENGTH.index(new.verb) > _STRENGTH.index(old.verb):
            found[name] = new
    return {name: one for name, one in found.items() if name.strip() and one.verb != "keep"}


def canonical(found: Mapping[str, Correction]) -> list[Row]:
    """The same corrections as lines, in order of their paths."""
    return [Row(name, "", "", str(one)) for name, one in sorted(found.items())]


def seal(found: Mapping[str, Correction]) -> str:
    """16 hexadecimal digits of what is to be done; how the file is laid out does not count."""
    content = json.dumps([[row.path, row.action] for row in canonical(found)])
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def apply(found: Source, asked: Mapping[str, Correction], path: Path) -> Source:
    """The source without what is excluded or moved, and with the labels corrected; its files are not touched.

    Sentences of what was done, and of paths that the source does not have, are added to its notes.
    path: of the file, for the sentences. Raises SourceError where a new label is no class of the source.
    """
    index = found.index
    row_of = {name: row for row, name in enumerate(index.where)}
    broken = {one.where for one in found.broken}
    label, labels = index.label.copy(), None if index.labels is None else index.labels.copy()
    out = np.zeros(len(index), dtype=np.bool_)
    gone: set[str] = set()
    missing = []
    relabelled = 0
    for name, one in asked.items():
        row = next((row_of[spelled] for spelled in _spellings(name) if spelled in row_of), None)
        if row is None:
            unread = next((spelled for spelled in _spellings(name) if spelled in broken), None)
            if unread is not None and one.verb != "relabel":
                gone.add(unread)
            elif one.verb != "move":  # what was moved is not there any more
                missing.append(name)
        elif one.verb != "relabel":
            out[row] = True
        elif index.boxes is not None:
            raise SourceError(
                tr(
                    "{path}, line {line}: '{name}' has boxes; give a box another class, as in {name}#0.",
                    path=path,
                    line=one.line,
                    name=name,
                )
            )
        elif labels is not None:
            labels[row] = False
            labels[row, [_class(index, part, one, path) for part in one.label.split(SEPARATOR)]] = True
            relabelled += 1
        else:
            label[row] = _class(index, one.label, one, path)
            relabelled += 1
    changed = index.replace(label=label, labels=labels)
    kept = np.flatnonzero(~out)
    notes = [
        *found.notes,
        tr(
            "Corrections of {file}: pictures left out: {excluded}, of another class: {relabelled}.",
            file=path.name,
            excluded=int(out.sum()) + len(gone),
            relabelled=relabelled,
        ),
    ]
    if missing:
        notes.append(
            tr(
                "{file} names pictures that {source} does not have: {n} ({names}).",
                file=path.name,
                n=len(missing),
                source=index.source or "array",
                names=", ".join(missing[:NAMED]) + (" ..." if len(missing) > NAMED else ""),
            )
        )
    left = tuple(one for one in found.broken if one.where not in gone)
    return Source(_without_empty_classes(changed.take(kept)), found.store.take(kept), tuple(notes), left)


def _spellings(name: str) -> tuple[str, ...]:
    """How a path may stand in an Index: as it is, as Windows writes it, with its apostrophe, its accents composed."""
    return name, name.replace("\\", "/"), f"'{name}", normal(name), name.strip()


def _class(index: Index, name: str, asked: Correction, path: Path) -> int:
    name = normal(name)
    if name in index.classes:
        return index.classes.index(name)
    values = {"path": path, "line": asked.line, "name": name}
    near = nearest(name, list(index.classes))
    if near:
        raise SourceError(
            tr("{path}, line {line}: there is no class '{name}'. Did you mean '{near}'?", near=near, **values)
        )
    raise SourceError(
        tr(
            "{path}, line {line}: there is no class '{name}'. Known: {names}.",
            names=", ".join(index.classes)[:300],
            **values,
        )
    )


def _without_empty_classes(index: Index) -> Index:
    """A class whose every picture was taken away, or given to another, is none any more."""
    counts = index.counts(np.ones(len(index), dtype=np.bool_))
    kept = np.flatnonzero(counts)
    if len(kept) == len(counts) or index.labels is not None or index.boxes is not None:
        return index
    place = np.full(len(counts) + 1, UNLABELLED)
    place[kept] = np.arange(len(kept))
    return index.replace(label=place[index.label], classes=tuple(index.classes[at] for at in kept))
