"""The picture of a lesson: a person's own, or one that comes with the package; in grey, and no larger than is shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.errors import SourceDamaged, SourceError
from vistazo.language import tr
from vistazo.pictures import decoding, sources
from vistazo.pictures.stores import reason_of

__all__ = ["Photo", "read_photo"]

MOST = 480  # pixels of the longer side: kernels are the same on any, and a page of larger ones loads slowly
_OURS = 26  # of the pictures that come with the package: a striped shirt, with edges of both directions


@dataclass(frozen=True, eq=False)
class Photo:
    """pixels_HW: uint8 in grey. name: of its file. notes: what was done to it, in words.

    shrunk_from: its (height, width) where it was too large, else None.
    """

    name: str
    pixels_HW: npt.NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    shrunk_from: tuple[int, int] | None = None


def read_photo(file: str | Path | None) -> Photo:
    """The picture of a file or an address, or without one a shirt of Fashion-MNIST. Of several, the first.

    Raises SourceError where there is none or it cannot be read.
    """
    if file is None:
        return _ours()
    found = sources.iterate_files([file])
    name, given = next(found, (str(file), tr("there are no pictures in it")))
    if isinstance(given, str):
        raise SourceDamaged(
            tr("{path} cannot be shown: {reason}. Give one picture.", path=name, reason=given)
        )
    try:
        height, width = decoding.dimensions(given)
        side = max(height, width)
        scale = min(1.0, MOST / side)
        shown = (max(1, round(height * scale)), max(1, round(width * scale)))
        pixels = decoding.decode(given, height=shown[0], width=shown[1], channels=1)
        several = name != str(file) and next(found, None) is not None
    except (SourceError, OSError, MemoryError) as error:
        raise SourceDamaged(
            tr("{path} cannot be shown: {reason}. Give one picture.", path=name, reason=reason_of(error))
        ) from None
    notes = [tr("{file} holds several pictures; this is the first.", file=file)] if several else []
    if scale < 1:
        notes.append(
            tr(
                "The picture has {height} × {width} pixels; it is shown, and computed with, at {rows} × {columns}.",
                height=height,
                width=width,
                rows=shown[0],
                columns=shown[1],
            )
        )
    shrunk = (height, width) if scale < 1 else None
    return Photo(Path(name).name or name, pixels[:, :, 0], tuple(notes), shrunk)


def _ours() -> Photo:
    path = Path(__file__).parents[1] / "classification" / "demo" / "train-images-idx3-ubyte.gz"
    pixels: Any = None
    for at, (_, given) in enumerate(sources.iterate_files([path])):
        if at == _OURS:
            pixels = given
            break
    assert isinstance(pixels, np.ndarray)
    name = tr("a shirt of Fashion-MNIST")
    return Photo(
        name,
        pixels,
        (tr("No picture was given, so this one of Fashion-MNIST (Zalando, MIT licence) is shown."),),
    )
