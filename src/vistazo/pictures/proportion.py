"""Tables in proportion: a small file that becomes far more text or far more cells is refused before it is unpacked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vistazo.language import tr
from vistazo.pictures.archives import refuse_bomb

__all__ = ["refuse_long_text", "refuse_many_rows", "refuse_wide_rows"]

CELL = 8  # bytes of a reference to a cell
SPARE = 1_000_000  # cells that harm nobody


def refuse_wide_rows(width: int, rows: Sequence[Sequence[str]], text: str) -> None:
    """Raise ValueError, a short reason, where rows are far shorter than their header: filled up, they would not fit.

    A cell takes at least one letter of the file, its delimiter.
    """
    if width * len(rows) > 4 * len(text) + SPARE:
        raise ValueError(
            tr(
                "its header has {width} columns and most of its {n} rows have far fewer",
                width=width,
                n=len(rows),
            )
        )


def refuse_many_rows(file: Any, path: Path) -> None:
    """Raise SourceDamaged where the metadata of an open ParquetFile promise far more than the file's size allows."""
    about = file.metadata
    pages = sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups))
    cells = about.num_rows * about.num_columns * CELL
    refuse_bomb(path, members=0, unpacked=max(pages, cells), packed=path.stat().st_size)


def refuse_long_text(path: Path) -> None:
    """Raise SourceDamaged where a Parquet file's cells are far more text than its size allows.

    Text that repeats is stored once, so neither the file nor its pages say how much it is.
    """
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        refuse_many_rows(file, path)
        leaves = [file.schema.column(at).path for at in range(len(file.schema))]
    total, packed = 0, path.stat().st_size
    with parquet.ParquetFile(path, read_dictionary=leaves) as file:
        for batch in file.iter_batches():
            total += sum(map(_letters, batch.columns))
            refuse_bomb(path, members=0, unpacked=total, packed=packed)


def _letters(array: Any) -> int:
    """Bytes of text in an Arrow array, were each cell written out."""
    import pyarrow as pa
    from pyarrow import compute

    kind = array.type
    if pa.types.is_dictionary(kind):
        if not len(array.dictionary):
            return 0
        lengths = compute.binary_length(array.dictionary).cast(pa.int64())
        return int(compute.sum(lengths.take(array.indices)).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _letters(array.flatten())
    if pa.types.is_struct(kind):
        return sum(map(_letters, array.flatten()))
    return int(array.nbytes)
