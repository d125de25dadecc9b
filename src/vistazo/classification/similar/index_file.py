"""The index on disk: vectors with names, labels and hashes, appended to and removed from, never half written.

An index is a folder. `index.json` is the one truth: it names the pieces that count, and which of their rows are gone. A
piece is two files that never change: `piece-N.f32`, the vectors (float32, little-endian, one after the other, mapped
into memory), and `piece-N.parquet`, what belongs to each. A change writes new pieces first and index.json last, by one
rename: whoever reads, and whoever comes after a kill, finds the old index or the new one. Files that index.json does
not name are taken away by the next change.

Shape suffixes: N vectors, D values.
"""

import contextlib
import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, SourceDamaged, SourceError
from vistazo.language import tr
from vistazo.pictures.stores import reason_of

__all__ = ["ENROLLED", "PICTURES", "Columns", "Piece", "VectorIndex", "changing"]

Floats = npt.NDArray[np.float32]
FORMAT = 1
PICTURES, ENROLLED = "pictures", "enrolled"  # what a piece holds: what is searched, or who was made known
TRUTH = "index.json"
MANY = 24  # pieces of one source from which on its small ones become one
SMALL = 16_384  # vectors of a piece that is small
_TRIES = 5  # times that an index is read anew because another process changed it meanwhile


@dataclass(frozen=True, eq=False)
class Columns:
    """What belongs to each vector of a piece.

    names: of the pictures, as their source names them. labels: the class, or who it is; None where that is not known.
    hashes: (N,) 'S32', of the content. stamps: (N,) 'S8', other once a file changes; empty where there is none.
    """

    names: Sequence[str]
    labels: Sequence[str | None]
    hashes: npt.NDArray[np.bytes_]
    stamps: npt.NDArray[np.bytes_]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: npt.NDArray[np.int64]) -> "Columns":
        """These rows, in this order."""
        return Columns(
            [self.names[row] for row in rows],
            [self.labels[row] for row in rows],
            self.hashes[rows],
            self.stamps[rows],
        )


@dataclass(frozen=True)
class Piece:
    """Vectors of one source. number: of its files. group: PICTURES or ENROLLED. gone: ranges of rows, [first, last)."""

    number: int
    rows: int
    group: str
    source: str
    gone: tuple[tuple[int, int], ...] = ()

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        """(rows,) which still count."""
        found = np.ones(self.rows, dtype=np.bool_)
        for first, last in self.gone:
            found[first:last] = False
        return found

    def without(self, rows: npt.NDArray[np.int64]) -> "Piece":
        """The same with these rows gone too."""
        alive = self.alive
        alive[rows] = False
        edges = np.flatnonzero(np.diff(np.concatenate(([1], alive, [1]))))
        ranges = tuple((int(first), int(last)) for first, last in edges.reshape(-1, 2))
        return replace(self, gone=ranges)


class VectorIndex:
    """What an index.json says, and the files that it names."""

    def __init__(self, folder: Path, facts: dict[str, Any], pieces: list[Piece]) -> None:
        """facts: what index.json holds besides the pieces: format, fingerprint, model, width, next and others."""
        self.folder, self.facts, self.pieces = folder, facts, pieces
        self._truth: bytes | None = None  # of index.json, as it was read
        self._columns = functools.cache(self._read_columns)
        self._values = functools.cache(self._map_values)

    @classmethod
    def create(cls, folder: Path, *, fingerprint: str, model: str, width: int) -> "VectorIndex":
        """An empty index, written with the first change. model: what people call it."""
        facts = {"format": FORMAT, "fingerprint": fingerprint, "model": model, "width": width, "next": 1}
        return cls(folder, facts, [])

    @classmethod
    def open(cls, folder: Path) -> "VectorIndex | None":
        """The index in a folder; None where there is none. Raises SourceDamaged, SourceError.

        Files that are missing because another process changed the index meanwhile are no damage: it is read again.
        """
        for _ in range(_TRIES):
            truth = _truth_of(folder)
            if truth is None:
                return None
            try:
                return cls._parsed(folder, truth)
            except SourceDamaged:
                if _truth_of(folder) == truth:
                    raise
        raise _damaged(folder)

    @classmethod
    def _parsed(cls, folder: Path, truth: bytes) -> "VectorIndex":
        try:
            facts = json.loads(truth)
            if facts["format"] > FORMAT:
                raise SourceDamaged(
                    tr(
                        "{path} was written by a newer Vistazo. Update with: pip install --upgrade vistazo",
                        path=folder,
                    )
                )
            pieces = [
                Piece(**{**one, "gone": tuple((int(a), int(b)) for a, b in one["gone"])})
                for one in facts.pop("pieces")
            ]
            int(facts["next"]), str(facts["fingerprint"]), str(facts["model"])
            for one in pieces:
                if (folder / f"{_stem(one)}.f32").stat().st_size != 4 * one.rows * int(facts["width"]):
                    raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OSError):
            raise _damaged(folder) from None
        found = cls(folder, facts, pieces)
        found._truth = truth
        return found

    def changed(self) -> bool:
        """Whether index.json says something else by now: another process changed the index, and files went."""
        return _truth_of(self.folder) != self._truth

    @property
    def width(self) -> int:
        """D, the values of a vector."""
        return int(self.facts["width"])

    def of(self, group: str, source: str | None) -> list[Piece]:
        """The pieces of a group, of one source or, with None, of all."""
        return [one for one in self.pieces if one.group == group and source in (None, one.source)]

    def count(self, group: str) -> int:
        """Vectors of a group that count."""
        return sum(int(one.alive.sum()) for one in self.of(group, None))

    def columns(self, piece: Piece) -> Columns:
        """What belongs to each vector of a piece, gone or not. Raises SourceDamaged."""
        return self._columns(piece.number, piece.rows)

    def values(self, piece: Piece) -> Floats:
        """(rows, D) the vectors of a piece, gone or not, mapped into memory."""
        return self._values(piece.number, piece.rows)

    def bytes(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    # ------------------------------------------------------------ changes, inside `changing`
    def add(self, group: str, source: str, vectors_ND: Floats, columns: Columns) -> None:
        """Vectors at the end; they count from the next `commit` on. Raises DiskError."""
        if len(vectors_ND) != len(columns) or vectors_ND.shape[1] != self.width:
            raise ValueError(
                f"{len(columns)} columns for vectors of shape {vectors_ND.shape}, not (N, {self.width})"
            )
        if not len(vectors_ND):
            return
        piece = Piece(int(self.facts["next"]), len(vectors_ND), group, source)
        self.facts["next"] = piece.number + 1
        values = np.ascontiguousarray(vectors_ND, dtype="<f4")
        path = self.folder / f"{_stem(piece)}.f32"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            platform.replace_file(path, [values.tobytes()])
            platform.replace_file(path.with_suffix(".parquet"), [_encoded(columns)])
        except OSError as error:
            raise DiskError(disk_sentence(path, error)) from error
        self.pieces.append(piece)

    def remove(self, number: int, rows: npt.NDArray[np.int64]) -> None:
        """Rows of the piece of that number count no more from the next `commit` on."""
        at = next(at for at, one in enumerate(self.pieces) if one.number == number)
        self.pieces[at] = self.pieces[at].without(rows)
        if not self.pieces[at].alive.any():
            del self.pieces[at]

    def commit(self, *, join: bool = True) -> None:
        """Make index.json say what this object says: whole or not at all. Raises DiskError.

        join: whether small pieces may become one, which gives their vectors other places.
        """
        if join:
            self._join()
        told = {**self.facts, "pieces": [asdict(one) for one in self.pieces]}
        path = self.folder / TRUTH
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            platform.replace_file(path, [json.dumps(told, ensure_ascii=True).encode()])
        except OSError as error:
            raise DiskError(disk_sentence(path, error)) from error
        self._tidy()

    def _join(self) -> None:
        """Of a source in many pieces, the small ones become one; a search would open each."""
        for group, source in dict.fromkeys((one.group, one.source) for one in self.pieces):
            held = (self.facts.get("graph") or {}).get("pieces", ())
            mine = self.of(group, source)
            small = [one for one in mine if one.rows < SMALL and one.number not in held]
            if len(mine) < MANY or len(small) < 2:
                continue
            rows = [np.flatnonzero(one.alive) for one in small]
            vectors = np.concatenate([self.values(one)[kept] for one, kept in zip(small, rows, strict=True)])
            each = [self.columns(one).take(kept) for one, kept in zip(small, rows, strict=True)]
            columns = Columns(
                [name for one in each for name in one.names],
                [label for one in each for label in one.labels],
                np.concatenate([one.hashes for one in each]),
                np.concatenate([one.stamps for one in each]),
            )
            self.add(group, source, vectors, columns)
            numbers = {one.number for one in small}
            self.pieces = [one for one in self.pieces if one.number not in numbers]

    def _tidy(self) -> None:
        """Take files away that no piece names: of pieces that are gone, or of a change that was killed."""
        wanted = {f"{_stem(one)}{ending}" for one in self.pieces for ending in (".f32", ".parquet")}
        wanted |= {TRUTH, str((self.facts.get("graph") or {}).get("file"))}
        for path in self.folder.iterdir():
            if path.name not in wanted and path.name.lstrip(".").startswith(
                ("piece-", "graph-", f"{TRUTH}.")
            ):
                with contextlib.suppress(OSError):  # on Windows, while another process has it mapped
                    path.unlink()

    # ------------------------------------------------------------ files
    def _read_columns(self, number: int, rows: int) -> Columns:
        import pyarrow as pa
        from pyarrow import parquet

        path = self.folder / f"piece-{number:06d}.parquet"
        try:
            table = parquet.read_table(path)
            hashes = [one.hex().encode() for one in table["hash"].to_pylist()]
            found = Columns(
                table["name"].to_pylist(),
                table["label"].to_pylist(),
                np.array(hashes, dtype="S32"),
                np.array(table["stamp"].to_pylist(), dtype="S8"),
            )
            if len(found) != rows:
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
            raise _damaged(self.folder) from None
        return found

    def _map_values(self, number: int, rows: int) -> Floats:
        path = self.folder / f"piece-{number:06d}.f32"
        try:
            return np.memmap(path, dtype="<f4", mode="r", shape=(rows, self.width))
        except (OSError, ValueError):
            raise _damaged(self.folder) from None


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold the right to change the index in a folder; another process waits. Raises DiskError."""
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire()
    except OSError as error:
        if platform.disk_failure(error) == "read-only":
            raise DiskError(
                tr(
                    "{path} cannot be written: the folder is read-only. Name another with --index.",
                    path=folder,
                )
            ) from error
        raise DiskError(disk_sentence(folder, error)) from error
    try:
        yield
    finally:
        lock.release()


def _truth_of(folder: Path) -> bytes | None:
    """What index.json holds; None where there is none. Raises SourceError where it cannot be read."""
    try:
        return (folder / TRUTH).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(
            tr("{file} cannot be read ({reason}).", file=folder / TRUTH, reason=reason_of(error))
        ) from None


def _stem(piece: Piece) -> str:
    return f"piece-{piece.number:06d}"


def _encoded(columns: Columns) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    hashes = [bytes.fromhex(one.decode()) for one in columns.hashes.tolist()]
    table = pa.table(
        {
            "name": pa.array(columns.names, pa.string()),
            "label": pa.array(columns.labels, pa.string()),
            "hash": pa.array(hashes, pa.binary()),
            "stamp": pa.array(columns.stamps.tolist(), pa.binary()),
        }
    )
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd", use_dictionary=["label"])
    return sink.getvalue().to_pybytes()


def _damaged(folder: Path) -> SourceDamaged:
    return SourceDamaged(
        tr(
            "The index in {path} is damaged. Delete that folder: the next search makes it anew, but who was enrolled "
            "has to be enrolled again.",
            path=folder,
        )
    )
