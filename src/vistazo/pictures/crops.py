"""Boxes cut out of their pictures, so that a classifier can learn what each shows."""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.language import tr
from vistazo.pictures.decoding import stored, upright
from vistazo.pictures.index import CROPS, indexed
from vistazo.pictures.stores import Pixels, Source, Stamps, Store

__all__ = ["Crops", "cropped"]

Ints = NDArray[np.int64]
MOST_KEPT = 64 << 20  # bytes of a decoded picture that a thread keeps for its next box


def cropped(found: Source) -> Source:
    """The same Source with one row a box, `group` its picture; a Source without boxes as it is.

    Boxes marked as difficult, or as a crowd, are left out. Raises TooFewExamples where no box is left.
    """
    index, boxes = found.index, found.index.boxes
    if boxes is None:
        return found
    used = np.flatnonzero(~boxes.difficult)
    if not len(used):
        raise TooFewExamples(
            tr("{path} has no box that can be cut out: all are marked as difficult.", path=index.source)
        )
    row = boxes.rows()
    place = row[used]
    where = [
        f"{index.where[at]}#{number}"
        for at, number in zip(place.tolist(), (used - boxes.first[place]).tolist(), strict=True)
    ]
    told, notes = indexed(
        where, boxes.label[used], index.classes, index.split[place], source=index.source, kind=CROPS
    )
    kept = [tr("Each box is a picture: {n} cut out of {pictures}, those of one picture always in one part.",
               n=len(used), pictures=len(np.unique(place)))]  # fmt: skip
    if len(used) < len(row):
        kept.append(tr("Boxes marked as difficult or as a crowd, not used: {n}.", n=len(row) - len(used)))
    store = Crops(found.store, where, place, boxes.corner[used], boxes.size[place], turned=boxes.upright)
    return Source(told.replace(group=place), store, (*found.notes, *kept, *notes), found.broken)


class Crops:
    """A store of boxes: the pixels inside each, turned upright as the camera says.

    The corners count in the pixels as stored, or, where `turned`, in the upright picture; likewise where the
    annotation's width and height are those of the upright picture alone.
    """

    def __init__(
        self,
        store: Store,
        where: Sequence[str],
        place: Ints,
        corner: NDArray[np.float32],
        size: NDArray[np.int32],
        *,
        turned: bool,
    ) -> None:
        """place: (rows,) the row of `store` that each is cut out of. corner: (rows, 4). size: (rows, 2)."""
        self._store, self._where, self._place = store, where, place
        self._corner, self._size, self._turned = corner, size, turned
        self._kept = threading.local()

    def __len__(self) -> int:
        return len(self._where)

    def name(self, row: int) -> str:
        return self._where[row]

    def take(self, rows: Ints) -> "Crops":
        where = [self._where[row] for row in rows]
        return Crops(
            self._store, where, self._place[rows], self._corner[rows], self._size[rows], turned=self._turned
        )

    def stamps(self) -> Stamps | None:
        pictures = self._store.take(self._place).stamps()
        if pictures is None:
            return None
        told = zip(
            self._where, pictures.keys.tolist(), self._corner.tolist(), self._size.tolist(), strict=True
        )
        inner = Stamps.of((name, 0, (key, *corner, *size, self._turned)) for name, key, corner, size in told)
        return Stamps(inner.keys, pictures.size)

    def read(self, row: int) -> Pixels:
        pixels, turn = self._picture(int(self._place[row]))
        width, height = self._size[row].tolist()
        if self._turned or (turn > 4 and pixels.shape[:2] == (width, height) and width != height):
            pixels, turn = upright(pixels, turn), 1
        if pixels.shape[:2] != (height, width):
            raise SourceDamaged(
                tr(
                    "its annotation is of {width} × {height} pixels, and the picture has {across} × {down}",
                    width=width,
                    height=height,
                    across=pixels.shape[1],
                    down=pixels.shape[0],
                )
            )
        left, top = np.floor(self._corner[row, :2]).astype(int)
        right, bottom = np.ceil(self._corner[row, 2:]).astype(int)
        return upright(pixels[top:bottom, left:right], turn)

    def _picture(self, at: int) -> tuple[Pixels, int]:
        """The pixels as stored and the camera's turn; the boxes of a picture follow one another."""
        if getattr(self._kept, "at", None) == at:
            kept: tuple[Pixels, int] = self._kept.picture
            return kept
        data = self._store.read(at)
        picture = (data, 1) if isinstance(data, np.ndarray) else stored(data)
        self._kept.at = at if picture[0].nbytes <= MOST_KEPT else None
        self._kept.picture = picture if picture[0].nbytes <= MOST_KEPT else None
        return picture
