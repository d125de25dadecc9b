"""index.parquet: which part each row of the file belongs to, and what tells the row again in another file."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.tabular.data import Rows

__all__ = ["read_parts", "write_index"]


def write_index(rows: Rows, path: Path) -> None:
    """Write row number, part, group and hash of every row. Raises OSError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "row": pa.array(rows.table.rows, pa.int64()),
            "part": pa.array(rows.parts.tolist(), pa.string()),
            "group": pa.array(rows.groups, pa.int64()),
            "hash": pa.array([one.decode() for one in rows.hashes.tolist()], pa.string()),
        }
    )
    pq.write_table(table, path)


def read_parts(folder: Path) -> dict[str, NDArray[np.bytes_]]:
    """The hashes of each part's rows, where the run folder is at hand and its index can be read; else {}."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "index.parquet"
    if not path.exists():
        return {}
    try:
        table = pq.read_table(path, columns=["part", "hash"])
    except (OSError, KeyError, pa.ArrowException):
        return {}
    parts: NDArray[Any] = np.array(table["part"].to_pylist(), dtype=str)
    hashes = np.array([str(one).encode() for one in table["hash"].to_pylist()], dtype="S32")
    return {part: hashes[parts == part] for part in np.unique(parts).tolist()}
