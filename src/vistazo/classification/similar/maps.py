"""Maps of what a network sees: many values a picture become two, so that near pictures stand near one another.

Shape suffixes: N pictures, D values.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo.pictures import drawing

__all__ = ["COLOURS", "SHAPES", "Map", "draw", "pca", "sklearn_is_there", "tsne"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
# Okabe, Ito 2008, "Color Universal Design", without yellow on white, and four more that stay apart from these.
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#e69f00",
    "#7a4fa3",
    "#8c564b",
    "#5b7c00",
    "#555555",
)
SHAPES = 3  # circles, squares, diamonds: a colour stands for a class in each
BEFORE = (
    50  # principal components that t-SNE is given, as van der Maaten, Hinton 2008 do: less noise, less time
)
NEIGHBOURS = 30.0  # perplexity
_WIDE, _HIGH, _MARGIN, _LEGEND = 1600, 1200, 40, 330  # pixels of the drawing


@dataclass(frozen=True, eq=False)
class Map:
    """Where pictures stand. name: of the way it was made. place_N2: any units. detail: what the axes hold."""

    name: str
    place_N2: Doubles
    detail: str


def pca(features_ND: Floats, components: int) -> tuple[Doubles, Doubles]:
    """(N, components) places along the directions in which pictures differ most, and the share of variance of each.

    The largest value of each direction is positive, so that the same pictures give the same map everywhere. Where
    there are fewer directions than asked for, the rest is 0.
    """
    centred = features_ND.astype(np.float64) - features_ND.mean(0, dtype=np.float64)
    # The singular values by the smaller of the two products: 10,000 pictures of 1,280 values 3 s and not 30.
    if len(centred) < centred.shape[1]:
        squares, left = np.linalg.eigh(centred @ centred.T)
        right = centred.T @ left
        right /= np.maximum(np.linalg.norm(right, axis=0), np.finfo(np.float64).tiny)
    else:
        squares, right = np.linalg.eigh(centred.T @ centred)
    squares, right = np.maximum(squares[::-1], 0.0), right[:, ::-1]
    right = right * np.where(right[np.abs(right).argmax(0), np.arange(right.shape[1])] < 0, -1.0, 1.0)
    places = np.zeros((len(centred), components))
    share = np.zeros(components)
    most = min(components, len(squares))
    places[:, :most] = centred @ right[:, :most]
    total = float(squares.sum())
    if total > 0:
        share[:most] = squares[:most] / total
    return places, share


def sklearn_is_there() -> bool:
    """Whether scikit-learn is installed, which t-SNE comes from."""
    try:
        import sklearn.manifold  # noqa: F401
    except ImportError:
        return False
    return True


def tsne(features_ND: Floats, *, seed: int) -> Doubles:
    """(N, 2) places where neighbours stay neighbours; distances between groups mean little. From 5 pictures on.

    The same places for the same pictures and seed on the same machine. Source: van der Maaten, Hinton 2008.
    Raises ImportError without scikit-learn.
    """
    from sklearn.manifold import TSNE

    given, _ = pca(features_ND, min(BEFORE, *features_ND.shape))
    scale = float(given[:, 0].std())
    method: Any = TSNE(
        n_components=2,
        perplexity=min(NEIGHBOURS, (len(given) - 1) / 4),
        init=(given[:, :2] / scale * 1e-4 if scale > 0 else "random"),
        random_state=seed % 2**32,
        n_jobs=1,
    )
    return np.asarray(method.fit_transform(given.astype(np.float32)), dtype=np.float64)


def draw(one: Map, class_N: npt.NDArray[np.int64], names: Sequence[str], title: str) -> bytes:
    """The map as a PNG file, a colour and a shape a class. class_N: positions in `names`, -1 for none."""
    from PIL import Image, ImageDraw, ImageFont

    letters = str(Path(drawing.__file__).parent / "letters" / "DejaVuSans.ttf")
    large, plain = (ImageFont.truetype(letters, size) for size in (30, 22))
    sheet = Image.new("RGB", (_WIDE, _HIGH), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, 24), title, fill="#1b1f24", font=large)
    pen.text((_MARGIN, 66), one.detail, fill="#57606a", font=plain)
    top, side = 110, min(_HIGH - 110 - _MARGIN, _WIDE - _LEGEND - 2 * _MARGIN)
    across = np.array([_WIDE - _LEGEND - 2 * _MARGIN, side], np.float64)
    for (right, down), label in zip(_fitted(one.place_N2), class_N.tolist(), strict=True):
        _mark(pen, _MARGIN + right * across[0], top + down * across[1], label, 6)
    for line, name in enumerate(names[:40]):
        height = top + 12 + line * 27
        _mark(pen, _WIDE - _LEGEND, height, line, 8)
        short = name if len(name) <= 22 else name[:21] + "…"
        pen.text((_WIDE - _LEGEND + 20, height - 13), short, fill="#1b1f24", font=plain)
    if len(names) > 40:
        pen.text(
            (_WIDE - _LEGEND + 20, top + 12 + 40 * 27 - 13),
            f"+ {len(names) - 40}",
            fill="#57606a",
            font=plain,
        )
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _fitted(place_N2: Doubles) -> list[tuple[float, float]]:
    """Places in [0, 1], the second axis upwards."""
    low, high = place_N2.min(0), place_N2.max(0)
    inside = (place_N2 - low) / np.where(high > low, high - low, 1.0)
    return [(float(x), float(1 - y)) for x, y in inside]


def _mark(pen: Any, x: float, y: float, label: int, half: int) -> None:
    colour = COLOURS[label % len(COLOURS)] if label >= 0 else "#999999"
    shape = label // len(COLOURS) % SHAPES if label >= 0 else 0
    box = (x - half, y - half, x + half, y + half)
    if shape == 0:
        pen.ellipse(box, fill=colour, outline="white")
    elif shape == 1:
        pen.rectangle(box, fill=colour, outline="white")
    else:
        pen.polygon(
            [(x, y - half), (x + half, y), (x, y + half), (x - half, y)], fill=colour, outline="white"
        )
