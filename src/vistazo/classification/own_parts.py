"""A part of the run that a model came from, found again through its folder: the pictures, as they were. Torch-free."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vistazo.classification.evaluating import reading
from vistazo.classification.starting import INDEX, at_hand
from vistazo.engine import runs
from vistazo.errors import VistazoError
from vistazo.pictures import sources
from vistazo.pictures.crops import cropped
from vistazo.pictures.every import EVERY, interval
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import read_index
from vistazo.pictures.stores import Store
from vistazo.remote.addresses import is_url

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = ["OwnPart", "own_part"]


@dataclass(frozen=True, eq=False)
class OwnPart:
    """Pictures of a part of a model's run. pixels: at the model's size. truth: as `reading.truth` gives it.

    store, rows_N: where the originals are. missing: pictures of the part that are gone or are others now.
    """

    pixels: PictureArray
    truth: npt.NDArray[Any]
    store: Store
    rows_N: npt.NDArray[np.int64]
    missing: int


def own_part(model: "Classifier", part: str) -> OwnPart | None:
    """That part of the model's own run; None where the run's folder, its source or the pictures are not at hand.

    A picture counts only where its content is what it was: by the hash that the run's index keeps.
    """
    if model.path is None or not at_hand(model.path):
        return None
    asked = runs.read_json(model.path.parent / "config.json")
    source, settings = asked.get("source"), asked.get("settings") or {}
    if not isinstance(source, str):  # of arrays
        return None
    try:
        index = read_index(model.path.parent / INDEX)
        names = settings.get("classes")
        every = settings.get("every")
        found = cropped(
            sources.read_source(
                source if is_url(source) else Path(source),
                classes_file=Path(names) if names else None,
                every=interval(every) if every else EVERY,
            )
        )
    except (VistazoError, OSError):
        return None
    place = {name: row for row, name in enumerate(found.index.where)}
    wanted = [row for row in index.rows(part).tolist() if index.where[row] in place]
    if not wanted:
        return None
    rows = np.array([place[index.where[row]] for row in wanted], dtype=np.int64)
    order = np.argsort(rows, kind="stable")  # a source is read in its own order
    rows, mine = rows[order], np.array(wanted, dtype=np.int64)[order]
    loaded = reading.loaded(model, found.store, rows)
    good = np.isin(rows, loaded.rows)
    as_it_was = loaded.hashes[good] == index.hash[mine[good]]
    truth, known = reading.truth(model, index, mine[good])
    kept = np.flatnonzero(as_it_was & known)
    if not len(kept):
        return None
    return OwnPart(
        pixels=loaded.pixels.take(kept),
        truth=truth[kept],
        store=found.store,
        rows_N=loaded.rows[kept],
        missing=len(index.rows(part)) - len(kept),
    )
