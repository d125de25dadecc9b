"""Some pictures of a run's own source, as files: to be explained, and to ask for those like them."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from vistazo import platform
from vistazo.engine.runs import read_json
from vistazo.errors import SourceError
from vistazo.language import tr
from vistazo.studio.state import Studio

__all__ = ["Sample", "file_of", "of_run"]

Sample = tuple[int, str, str]
"""A row of the source, the path of the picture in it, and its class."""


def of_run(studio: Studio, run: Path, most: int) -> tuple[Any, list[Sample]]:
    """The source of a run, and up to `most` of its pictures: of the test part where there is one, of every class.

    Raises SourceError where the pictures are not where they were.
    """
    import pyarrow.parquet as pq

    kept = read_json(run / "config.json").get("source")
    if not isinstance(kept, str):
        raise SourceError(tr("The pictures of this run are not files, so they cannot be shown here."))
    source = studio.source(studio.may_read(kept))
    table = pq.read_table(run / "index.parquet", columns=["path", "label", "split"]).to_pydict()
    rows = {name: row for row, name in enumerate(source.index.where)}
    for part in ("test", "validation", "train"):
        by_class: dict[str, list[Sample]] = defaultdict(list)
        for path, label, split in zip(table["path"], table["label"], table["split"], strict=True):
            if split == part and path in rows:
                by_class[str(label)].append((rows[path], path, str(label)))
        if by_class:
            return source, _dealt(by_class, most)
    raise SourceError(tr("The pictures of this run are not where they were ({path}).", path=kept))


def _dealt(by_class: dict[str, list[Sample]], most: int) -> list[Sample]:
    """One of each class after the other, until there are enough."""
    found: list[Sample] = []
    for turn in range(most):
        for mine in by_class.values():
            if turn < len(mine) and len(found) < most:
                found.append(mine[turn])
    return found


def file_of(source: Any, sample: Sample, folder: Path) -> Path:
    """The picture as a file in a folder: its own bytes, or a PNG of its pixels. Raises OSError, SourceError."""
    from vistazo.pictures import drawing

    row, path, _ = sample
    given = source.store.read(row)
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(path.replace("\\", "/")).name[-100:] or "picture"
    if isinstance(given, bytes):
        file = folder / f"{row}-{name}"
        platform.replace_file(file, [given])
    else:
        file = folder / f"{row}-{name}.png"
        platform.replace_file(file, [drawing.png(given)])
    return file
