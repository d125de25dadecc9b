"""Tables that name pictures: a CSV or Parquet manifest, and the index a run leaves behind."""

import csv
import io
import os
import posixpath
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from vistazo import platform
from vistazo.errors import SourceDamaged, SourceError, SourceMissing, TooFewExamples, WithoutLabels
from vistazo.language import tr
from vistazo.pictures import formats
from vistazo.pictures.archives import archive_kind, read_archive
from vistazo.pictures.arrays import read_idx, read_npy
from vistazo.pictures.elsewhere import Elsewhere
from vistazo.pictures.encoded import holds_pictures
from vistazo.pictures.folders import is_picture, listing
from vistazo.pictures.index import UNASSIGNED, Broken, indexed, natural_key, part_named, read_index
from vistazo.pictures.labelling import SEPARATOR, indexed_labels, joined, read_cells
from vistazo.pictures.npz import read_npz
from vistazo.pictures.proportion import refuse_long_text, refuse_many_rows, refuse_wide_rows
from vistazo.pictures.stores import Files, Source, Store, readable
from vistazo.pictures.video import footage, frame_of
from vistazo.remote.addresses import is_url
from vistazo.remote.opening import beside, folder_at, opened

__all__ = ["is_manifest", "names_pictures", "read_manifest", "text_of"]

_HEADERS = {
    "path": ("path", "ruta", "file", "filename", "fichero", "archivo", "image", "imagen"),
    "label": ("label", "etiqueta", "class", "clase"),
    "labels": ("labels", "etiquetas"),
    "split": ("split", "parte", "part"),
    "group": ("group", "grupo"),
}
MOST_MANIFEST = 1 << 30
HEAD = 1 << 16  # bytes that tell what a CSV is


def is_manifest(path: Path) -> bool:
    """Whether a file is named like a table."""
    return path.suffix.lower() in (".csv", ".tsv", ".txt", ".parquet")


def names_pictures(path: Path) -> bool:
    """Whether a table has pictures, or a column of their names, which need not exist, or is the index of a run."""
    if not is_manifest(path):
        return False
    if path.suffix.lower() == ".parquet" and holds_pictures(path):
        return True
    with readable(path):
        columns = _head_of_parquet(path) if path.suffix.lower() == ".parquet" else _head_of_csv(path)
    if columns is None:
        return True
    samples = ([cell for cell in cells if cell] for cells in columns)
    return any(sample and 2 * sum(map(is_picture, sample)) >= len(sample) for sample in samples)


def _head_of_csv(path: Path) -> list[list[str]]:
    """The columns of a CSV's first rows, under the header."""
    with path.open("rb") as file:
        text = _decoded(file.read(HEAD)).rpartition("\n")[0] or _decoded(path.read_bytes()[:HEAD])
    return [cells[:50] for cells in _columns_of_csv(text).values()]


def _head_of_parquet(path: Path) -> list[list[str]] | None:
    """The columns of a Parquet file's first rows as text; None where it is the index of a run."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            refuse_many_rows(file, path)
            if b"vistazo" in (file.schema_arrow.metadata or {}):
                return None
            rows = next(file.iter_batches(50), None)
        return [] if rows is None else [[str(cell or "") for cell in one.to_pylist()] for one in rows.columns]
    except pa.ArrowException as error:
        raise ValueError(error) from error


def read_manifest(path: Path) -> Source:
    """A CSV or Parquet file with columns path and label, and maybe split and group; or the index of a run."""
    with readable(path):
        if path.stat().st_size > MOST_MANIFEST:
            raise SourceDamaged(tr("{path} is larger than {most} MB.", path=path, most=MOST_MANIFEST >> 20))
        columns = _parquet_columns(path) if path.suffix.lower() == ".parquet" else _csv_columns(path)
        if columns is None:
            return _read_run_index(path)
    return _from_manifest(path, columns)


def _parquet_columns(path: Path) -> dict[str, list[str]] | None:
    """The columns of a Parquet file as text; None where it is the index of a run."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        refuse_long_text(path)
        if b"vistazo" in (parquet.read_schema(path).metadata or {}):
            return None
        table = parquet.read_table(path)
        return {
            name: [_cell(value, path) for value in table[name].to_pylist()] for name in table.column_names
        }
    except pa.ArrowException as error:
        raise ValueError(error) from error


def _cell(value: object, path: Path) -> str:
    if isinstance(value, list):
        return joined(value, path)
    return "" if value is None else str(value)


def text_of(path: Path) -> str:
    """A text file's content, whatever wrote it: UTF-8, UTF-16 with its mark, or the Windows code page."""
    return _decoded(path.read_bytes())


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _csv_columns(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV by header; short rows are filled with ''. Raises ValueError where it is no CSV."""
    columns = _columns_of_csv(text_of(path))
    if not columns:
        raise TooFewExamples(tr("{path} is empty.", path=path))
    return columns


def _columns_of_csv(text: str) -> dict[str, list[str]]:
    header_line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header_line.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise ValueError(error) from error
    if not rows:
        return {}
    header, *body = rows
    width = len(header)
    refuse_wide_rows(width, body, text)
    filled = [row[:width] + [""] * (width - len(row)) for row in body]
    return {name.strip(): [row[at].strip() for row in filled] for at, name in enumerate(header)}


def _from_manifest(path: Path, columns: Mapping[str, list[str]]) -> Source:
    elsewhere = beside(path)
    folder = path.resolve().parent
    locate = elsewhere.locate if elsewhere else partial(_locate, folder)
    heads = {name.casefold(): name for name in columns}
    found = {
        meaning: columns[heads[word]]
        for meaning, words in _HEADERS.items()
        for word in reversed(words)
        if word in heads
    }
    paths = found.get("path") or _column_of_paths(columns, locate)
    if not paths or not any(map(locate, paths)):
        raise SourceError(
            tr(
                "{path} has no column with paths of pictures that exist (columns: {columns}). Paths "
                "count from the "
                "folder of the file, {folder}; the first line must be a header such as path,label.",
                path=path,
                columns=", ".join(columns)[:200],
                folder=folder,
            )
        )
    if "label" in found and "labels" in found:
        raise SourceError(
            tr(
                "{path} has a column label, for one name a picture, and a column labels, for several: leave one "
                "of them out (columns: {columns}).",
                path=path,
                columns=", ".join(columns)[:200],
            )
        )
    labels = found.get("label") or found.get("labels")
    if labels is None:
        raise WithoutLabels(
            tr(
                "{path} has no column of labels (columns: {columns}). Call it label.",
                path=path,
                columns=", ".join(columns)[:200],
            ),
            ()
            if elsewhere
            else tuple(str(folder / name) for name in filter(None, map(locate, filter(None, paths)))),
        )
    several = read_cells(path, labels) if "labels" in found else None
    words = found.get("split", [""] * len(paths))
    parts = {word: part_named(word) if word else UNASSIGNED for word in set(words)}
    strange = sorted(word for word, part in parts.items() if part is None)
    if strange:
        raise SourceError(
            tr(
                "{path} names the parts {strange}. Known: train, validation, test.",
                path=path,
                strange=", ".join(strange)[:200],
            )
        )
    broken: list[Broken] = []
    kept: list[int] = []
    where: list[str] = []
    for row, (name, label) in enumerate(zip(paths, labels, strict=True)):
        located = locate(name) if name else None
        if located and (label or several):
            kept.append(row)
            where.append(located)
        else:
            reason = tr("the file does not exist") if label or several else tr("it has no label")
            broken.append(Broken(-1, name or tr("row {n}", n=row + 2), reason))
    if not kept:
        raise TooFewExamples(tr("{path} has no row with both a picture and a label.", path=path))
    split = np.array([parts[words[row]] for row in kept], dtype="U10")
    place = elsewhere.url if elsewhere else str(folder)
    if several:
        cells = [several[row] for row in kept]
        index, notes = indexed_labels(where, cells, split, path=path, source=place, kind="manifest")
    else:
        classes = sorted({labels[row] for row in kept})
        number = {name: code for code, name in enumerate(classes)}
        codes = np.array([number[labels[row]] for row in kept], dtype=np.int64)
        index, notes = indexed(where, codes, classes, split, source=place, kind="manifest")
        if "label" in found and any(SEPARATOR in name for name in classes):
            notes += (
                tr("A column label holds one name a picture, | included; call it labels to give several."),
            )
    if "group" in found:
        groups = [found["group"][row] for row in kept]
        numbers = {name: at for at, name in enumerate(sorted(set(groups) - {""}, key=natural_key))}
        index = index.replace(group=np.array([numbers.get(name, -1) for name in groups], dtype=np.int64))
    store: Store = Elsewhere(elsewhere, index.where, {}) if elsewhere else Files(folder, index.where)
    return Source(index, store, notes, tuple(broken))


def _column_of_paths(
    columns: Mapping[str, list[str]], locate: Callable[[str], str | None]
) -> list[str] | None:
    """The column, under whatever header, whose first cells are mostly files that exist."""
    for cells in columns.values():
        sample = [cell for cell in cells[:50] if is_picture(cell)]
        if sample and 2 * sum(locate(cell) is not None for cell in sample) >= len(sample):
            return cells
    return None


def _locate(folder: Path, name: str) -> str | None:
    """How the picture of a manifest's cell is found from `folder`; None where it does not exist.

    Raises SourceDamaged where a relative path leaves the folder. An absolute one is what the user wrote.
    """
    for spelling in (name, name.replace("\\", "/")):  # Windows writes class\picture.jpg
        absolute = Path(spelling).is_absolute()
        if not absolute and posixpath.normpath(spelling).split("/")[0] == "..":
            raise SourceDamaged(
                tr(
                    "The path '{name}' leads out of {folder}. Move the pictures into it, or write whole "
                    "paths.",
                    name=name,
                    folder=folder,
                )
            )
        whole = folder / spelling
        if os.path.isfile(whole):  # noqa: PTH113 (Path.is_file raises for a name that is too long)
            return spelling
    if not name.isascii() and "\0" not in name:
        other = platform.existing(folder / name)
        if os.path.isfile(other):  # noqa: PTH113
            return str(other) if Path(name).is_absolute() else other.relative_to(folder).as_posix()
    return None


def _locate_frame(folder: Path, name: str) -> str | None:
    """`_locate`, for the frame of a video too."""
    frame = frame_of(name)
    file = _locate(folder, frame[0]) if frame else None
    return f"{file}#t={frame[1]}" if frame and file else _locate(folder, name)


def _read_run_index(path: Path) -> Source:
    """The pictures of a run's index.parquet: beside it, or where they were when the run began."""
    index = read_index(path)
    root = Path(index.source)
    if is_url(index.source):
        if index.kind in ("manifest", "remote"):
            return Source(index, Elsewhere(folder_at(index.source), index.where, {}), (), ())
        there = opened(index.source, say=lambda line: None)
        root = there if isinstance(there, Path) else root
    if index.kind == "arrays":
        raise SourceMissing(
            tr(
                "{path} belongs to arrays in memory, which no file can bring back. Give the arrays again.",
                path=path,
            )
        )
    gone = tr("The pictures of {path} were in {root}, and nothing is there now.", path=path, root=root)
    if index.kind not in ("folder", "manifest"):
        if not root.exists():
            raise SourceMissing(gone)
        inner = _read_again(root, index.kind)
        row_of = {name: row for row, name in enumerate(inner.index.where)}
        rows = np.array([row_of.get(name, -1) for name in index.where], dtype=np.int64)
        kept = np.flatnonzero(rows >= 0)
        store: Store = inner.store.take(rows[kept])
    else:
        beside = path.resolve().parent
        home = beside if len(index) and _locate_frame(beside, index.where[0]) else root
        found = [_locate_frame(home, name) for name in index.where]
        kept = np.flatnonzero([name is not None for name in found])
        names = tuple(name for name in found if name)
        store = footage(home, names) if any(map(frame_of, names)) else Files(home, names)
        index = index.replace(source=str(home))
    if not len(kept):
        raise SourceMissing(gone)
    lost = sorted(set(range(len(index))) - set(kept.tolist()))
    broken = tuple(Broken(-1, index.where[row], tr("the file does not exist")) for row in lost)
    return Source(index.take(kept), store, (), broken)


def _read_again(root: Path, kind: str) -> Source:
    with readable(root):
        if kind == "archive":
            return read_archive(root, archive_kind(root))
        if kind == "npz":
            return read_npz(root, None)
        if kind not in ("idx", "npy"):
            return formats.read_again(root, kind)
        files = listing(root).files
    return read_idx(root, files, None) if kind == "idx" else read_npy(root, files)
