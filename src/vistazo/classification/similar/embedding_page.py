"""The page of `vistazo embed`: maps whose points show their picture, distances between classes, what lies far away.

One HTML file without script and without network: a point's picture is a piece of one sheet of small pictures, and
appears by CSS alone.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo import platform
from vistazo.classification.classifier import Classifier
from vistazo.classification.similar.between import Outlier
from vistazo.classification.similar.maps import COLOURS, SHAPES, Map
from vistazo.engine.reports import clean, number, percent
from vistazo.errors import VistazoError
from vistazo.language import current, tr
from vistazo.pictures import decoding
from vistazo.pictures.stores import Source

__all__ = ["Laid", "build"]

POINTS = 1_500  # pictures that a map shows: with 64 pixels each, 3 MB of page
SHOWN = 24  # outliers that are shown
HEAT = 30  # classes up to which the distances of all pairs are shown
SIDE = 64  # most pixels of a small picture
_COLUMNS = 50  # of the sheet of small pictures
_SEEN = 112  # screen pixels that a small picture is shown with


@dataclass(frozen=True, eq=False)
class Laid:
    """Where pictures of a sample stand. class_N: positions in `names`, -1 for none. of: the rows that each map shows.

    distances_KK, shares_KK: as `between` computes them. pairs: the nearest classes. outliers: the worst first.
    """

    names: tuple[str, ...]
    class_N: npt.NDArray[np.int64]
    maps: tuple[Map, ...]
    of: Mapping[str, npt.NDArray[np.int64]]
    distances_KK: npt.NDArray[np.float64]
    shares_KK: npt.NDArray[np.float64]
    pairs: Sequence[tuple[int, int, float]]
    outliers: Sequence[Outlier]


def build(
    model: Classifier,
    found: Source,
    labels: Sequence[str | None],
    rows: npt.NDArray[np.int64],
    answers: Sequence[str | None],
    laid: Laid,
    pictures: int,
    notes: Sequence[str],
) -> str:
    """The page as one HTML text. labels: of the whole source. rows, answers: of the sample that `laid` is about."""
    import jinja2

    # The same pictures in every map, so that each is on the page once.
    shown = laid.of[laid.maps[-1].name]
    shown = shown[np.linspace(0, len(shown) - 1, min(POINTS, len(shown))).astype(np.int64)]
    odd = [one.row for one in laid.outliers[:SHOWN]]
    sheet = _Sheet(found, rows, list(dict.fromkeys([*shown.tolist(), *odd])), model.size)

    def told(at: int) -> list[str]:
        label, answer = labels[int(rows[at])], answers[at]
        words = [label] if label is not None else []
        if answer is not None and answer != label:
            words.append(tr("answered: {name}", name=answer))
        return [*words, found.index.where[int(rows[at])]]

    views = [_view(one, laid, shown, sheet, told) for one in laid.maps]
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=clean)
    template = Path(__file__).with_name("embeddings.html.j2").read_text(encoding="utf-8")
    page: str = environment.from_string(template).render(
        lang=current(),
        title=tr("What the network sees: {name}", name=Path(found.index.source).name or "–"),
        subtitle=tr(
            "{n} pictures, {width} values each, by {model}",
            n=number(pictures),
            width=sheet.width_of(model),
            model=model.path or model.model,
        ),
        notes=notes,
        words=_words(len(shown)),
        views=views,
        sheet=sheet,
        seen=_SEEN,
        legend=[(_look(at), name) for at, name in enumerate(laid.names[:60])],
        colours=list(enumerate(COLOURS)),
        pairs=[_pair(laid, *one) for one in laid.pairs],
        heat=_heat(laid) if 1 < len(laid.names) <= HEAT else [],
        names=laid.names,
        outliers=[
            _outlier(laid, one, sheet, found.index.where[int(rows[one.row])]) for one in laid.outliers[:SHOWN]
        ],
        more=tr("{n} more are in the answer of --json.", n=number(len(laid.outliers) - SHOWN))
        if len(laid.outliers) > SHOWN
        else "",
    )
    return page


def _words(shown: int) -> dict[str, str]:
    return {
        "maps": tr("Maps"),
        "hover": tr("Each point is a picture ({n} are shown); point at it to see it.", n=number(shown)),
        "distances": tr("Distances between classes"),
        "distance": tr("distance"),
        "about": tr(
            "1 minus the cosine between the centres of two classes: 0 is the same direction. Beside it, how often the "
            "nearest picture of a picture of the first class is of the second, and the other way round."
        ),
        "pair": tr("the nearest pairs"),
        "there": tr("first to second"),
        "back": tr("second to first"),
        "heat": tr("all pairs; the stronger the colour, the nearer"),
        "outliers": tr("Far from their own class"),
        "odd": tr(
            "Pictures much further from the centre of their class than is usual in it: wrong labels, bad pictures, or "
            "rare kinds. The number is how many robust deviations further."
        ),
        "none": tr("No picture lies far from its class."),
    }


def _look(label: int) -> str:
    """The class of CSS of a class's points."""
    if label < 0:
        return "none"
    return f"c{label % len(COLOURS)} s{label // len(COLOURS) % SHAPES}"


def _view(one: Map, laid: Laid, shown: npt.NDArray[np.int64], sheet: "_Sheet", told: Any) -> dict[str, Any]:
    inside = {row: at for at, row in enumerate(laid.of[one.name].tolist())}
    low, high = one.place_N2.min(0), one.place_N2.max(0)
    reach = np.where(high > low, high - low, 1.0)
    points = []
    for row in shown.tolist():
        x, y = (one.place_N2[inside[row]] - low) / reach
        points.append(
            {
                "x": f"{2 + 96 * x:.2f}",
                "y": f"{2 + 96 * (1 - y):.2f}",
                "look": _look(int(laid.class_N[row]))
                + (" left" if x > 0.6 else "")
                + (" up" if y < 0.35 else ""),
                "place": sheet.place(row),
                "words": told(row),
            }
        )
    return {"name": one.name, "detail": one.detail, "points": points}


def _pair(laid: Laid, first: int, second: int, distance: float) -> list[str]:
    there, back = laid.shares_KK[first, second], laid.shares_KK[second, first]
    return [
        f"{laid.names[first]} – {laid.names[second]}",
        number(distance, 3),
        percent(float(there)),
        percent(float(back)),
    ]


def _heat(laid: Laid) -> list[tuple[str, list[tuple[str, int]]]]:
    """Per class its name and (distance, strength of colour 0 to 10) to each other."""
    apart = laid.distances_KK[~np.eye(len(laid.names), dtype=np.bool_)]
    largest = float(np.nanmax(apart)) or 1.0
    lines = []
    for row, name in enumerate(laid.names):
        cells = []
        for column, distance in enumerate(laid.distances_KK[row].tolist()):
            level = 0 if row == column or not np.isfinite(distance) else round(10 * (1 - distance / largest))
            cells.append(("" if row == column else number(distance, 2), level))
        lines.append((name, cells))
    return lines


def _outlier(laid: Laid, one: Outlier, sheet: "_Sheet", where: str) -> dict[str, Any]:
    own, near = laid.names[int(laid.class_N[one.row])], laid.names[one.nearest]
    words = [number(one.deviations, 1), own]
    if near != own:
        words.append(tr("nearer to {name}", name=near))
    return {"place": sheet.place(one.row), "words": [*words, where]}


class _Sheet:
    """Small pictures on one sheet, as data of the page's own; grey where one cannot be decoded."""

    def __init__(
        self, found: Source, rows: npt.NDArray[np.int64], shown: Sequence[int], size: tuple[int, int, int]
    ) -> None:
        from PIL import Image

        self.side = min(SIDE, max(24, *size[:2]))
        self.columns = min(_COLUMNS, max(1, len(shown)))
        self.lines = -(-len(shown) // self.columns)
        self._at = {row: at for at, row in enumerate(shown)}
        sheet = np.full((self.lines * self.side, self.columns * self.side, 3), 200, np.uint8)
        with ThreadPoolExecutor(platform.physical_cores()) as pool:
            decoded = pool.map(partial(_decoded, found, self.side), [int(rows[row]) for row in shown])
            for at, pixels in enumerate(decoded):
                line, column = divmod(at, self.columns)
                top, left = line * self.side, column * self.side
                if pixels is not None:
                    sheet[top : top + self.side, left : left + self.side] = pixels
        file = io.BytesIO()
        # Few pixels are shown large, and every one of them counts.
        self.pixelated = self.side <= 40
        kind = "png" if self.pixelated else "jpeg"
        Image.fromarray(sheet).save(file, kind.upper(), quality=80, optimize=True)
        self.source = f"data:image/{kind};base64," + base64.b64encode(file.getvalue()).decode()

    def place(self, row: int) -> str:
        """Where a picture is on the sheet, as CSS has it."""
        line, column = divmod(self._at[row], self.columns)
        return f"{-column * _SEEN}px {-line * _SEEN}px"

    @staticmethod
    def width_of(model: Classifier) -> str:
        """How many values a picture's features are, in words."""
        from vistazo.classification.similar.features import WIDEST, width_of

        return number(min(WIDEST, width_of(model)))


def _decoded(found: Source, side: int, row: int) -> npt.NDArray[np.uint8] | None:
    try:
        return decoding.decode(found.store.read(row), height=side, width=side, channels=3)
    except (VistazoError, OSError, MemoryError):
        return None
