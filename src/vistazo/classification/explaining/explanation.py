"""`vistazo explain MODEL FILE...`: where each picture's answer comes from, as pictures, arrays and a page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vistazo.bundle import disk_sentence
from vistazo.classification.explaining import page
from vistazo.classification.explaining.maps import peaks, shown_scale
from vistazo.classification.explaining.methods import DEFAULT, Way, methods, picture_maps, settle
from vistazo.classification.explaining.overlay import laid_over, side_by_side
from vistazo.classification.sorting import folder_names
from vistazo.errors import ConfigError, DiskError, SourceError, UsageError
from vistazo.language import tr
from vistazo.pictures import decoding, drawing, sources
from vistazo.pictures.every import interval
from vistazo.pictures.stores import reason_of
from vistazo.registry import nearest

if TYPE_CHECKING:
    from vistazo.classification.classifier import Classifier

__all__ = [
    "MOST",
    "PREDICTED",
    "TRUE",
    "Explained",
    "Explanation",
    "class_number",
    "explain",
    "explain_bytes",
]

PREDICTED, TRUE = "predicted", "true"
MOST = 500  # pictures that are explained in one call, unless more are asked for
SHOWN = 320  # pixels of the longer side of a picture in an overlay
_TOGETHER = 16  # pictures waiting; an original may have megabytes
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one picture is answered as it is.

    classes, probabilities, maps: of the classes that are shown, the one asked for first; maps float32 (T, height,
    width) at the model's input size, in the score's own unit. asked: the class asked for, where one was.
    picture: what is shown beside, uint8 (h, w, 3); seen: left, top, right, bottom of the part that the model is given.
    overlay, arrays: the files written, where they were.
    """

    file: str
    answer: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    maps: npt.NDArray[np.float32]
    picture: Pixels
    seen: tuple[float, float, float, float]
    noisy: bool
    overlay: Path | None = None
    arrays: Path | None = None

    def panels(self) -> list[Pixels]:
        """The picture, and each class's map laid over it: uint8 (h, w, 3), all of one size."""
        laid = (laid_over(self.picture, shown_scale(one, noisy=self.noisy), self.seen) for one in self.maps)
        return [self.picture, *laid]

    def to_json(self) -> dict[str, Any]:
        """What programs are told; the peak as shares of height and width of what the model is given."""
        height, width = self.maps.shape[1:]
        shown = [
            {
                "class": name,
                "probability": round(share, 6),
                "peak": [round(float(row + 0.5) / height, 4), round(float(column + 0.5) / width, 4)],
                "nothing": not bool((one > 0).any()),
            }
            for name, share, one, (row, column) in zip(
                self.classes, self.probabilities, self.maps, peaks(self.maps), strict=True
            )
        ]
        files = {"overlay": self.overlay, "arrays": self.arrays}
        return {"file": self.file, "class": self.answer, "shown": shown} | {
            name: str(path) for name, path in files.items() if path
        }


@dataclass(frozen=True, eq=False)
class Explained:
    """What `explain` found. method: its name; choices: its layer and the like. left: whether pictures were left out."""

    method: str
    choices: dict[str, Any]
    pictures: tuple[Explanation, ...]
    unreadable: tuple[dict[str, str], ...]
    left: bool
    page: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """What `vistazo explain --json` tells."""
        return {
            "method": self.method,
            **self.choices,
            "pictures": [one.to_json() for one in self.pictures],
            "unreadable": list(self.unreadable),
            "left": self.left,
            **({"page": str(self.page)} if self.page else {}),
        }


def explain(
    model: Classifier,
    files: Any,
    *,
    method: str = DEFAULT,
    target: str | None = None,
    layer: str | None = None,
    out: str | Path | None = None,
    raw: bool = False,
    every: str | None = None,
    most: int = MOST,
    patch: int | None = None,
    stride: int | None = None,
    baseline: int = 0,
) -> Explained:
    """Explain the answers to files, folders, archives, videos or arrays.

    target: the class whose reasons are shown first: 'predicted', 'true' (of the folder that a picture lies in) or a
    class's name; None and 'predicted' show the two most probable ones, which are shown beside any other too.
    out: a folder for an overlay of each picture (.png), a page, and with `raw` the maps (.npz). most: pictures at most.
    layer, patch, stride, baseline: as `methods.settle` has them.
    Raises UnknownName, ConfigError or UsageError before any picture is read; what cannot be read is in `unreadable`.
    """
    if not isinstance(files, np.ndarray) and not files:
        raise UsageError(tr("Name the pictures to explain: vistazo explain MODEL PICTURE..."))
    if most < 1:
        raise ConfigError(tr("--most must be at least 1."))
    if raw and out is None:
        raise UsageError(tr("--raw writes arrays into a folder: name it with --out."))
    way = settle(model, method=method, layer=layer, patch=patch, stride=stride, baseline=baseline)
    by_name = target in model.classes or target not in (None, PREDICTED, TRUE)
    fixed = class_number(model.classes, str(target)) if by_name else None
    wanted = _Wanted(fixed, not by_name and target == TRUE)
    folder = None if out is None else _folder(Path(out))
    given = [files] if isinstance(files, (str, Path, np.ndarray)) else files
    found: list[Explanation] = []
    faults: list[dict[str, str]] = []
    taken = itertools.islice(sources.iterate_files(given, every=interval(every)), most + 1)
    read = 0
    for some in _batched(itertools.islice(taken, most), _TOGETHER):
        read += len(some)
        for one in _explained(model, some, wanted, way):
            if isinstance(one, Explanation):
                found.append(one if folder is None else _written(one, folder, len(found) + 1, raw))
            else:
                faults.append(one)
    left = read == most and next(taken, None) is not None
    told = Explained(way.name, way.told(), tuple(found), tuple(faults), left)
    return told if folder is None or not found else _with_page(told, folder, model)


def explain_bytes(
    model: Classifier, named: Iterable[tuple[str, bytes]], *, method: str | None, target: str | None
) -> Explained:
    """Explain the answers to encoded pictures in memory, given with their names; see `explain`.

    target: a class's name; None shows the two most probable ones. Raises UnknownName, ConfigError.
    """
    way = settle(model, method=method or DEFAULT, layer=None, patch=None, stride=None, baseline=0)
    wanted = _Wanted(None if target is None else class_number(model.classes, target), False)
    found = list(_explained(model, list(named), wanted, way))
    good = tuple(one for one in found if isinstance(one, Explanation))
    faults = tuple(one for one in found if not isinstance(one, Explanation))
    return Explained(way.name, way.told(), good, faults, left=False)


def class_number(classes: tuple[str, ...], name: str) -> int:
    """The number of a class. Raises ConfigError, with the nearest name, where there is none of that name."""
    if name in classes:
        return classes.index(name)
    near = nearest(name, list(classes))
    known = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    if near:
        raise ConfigError(
            tr(
                "The model does not know the class '{name}'. Did you mean '{near}'? It knows: {known}.",
                name=name,
                near=near,
                known=known,
            )
        )
    raise ConfigError(
        tr("The model does not know the class '{name}'. It knows: {known}.", name=name, known=known)
    )


@dataclass(frozen=True)
class _Wanted:
    """Which class is asked for: one by its number, the true one, or, with neither, the most probable."""

    fixed: int | None
    true: bool

    def of(self, file: str, order: npt.NDArray[np.int64], classes: tuple[str, ...]) -> list[int] | None:
        """The classes to show, the wanted one first; None where the true one is not known."""
        first = self.fixed
        if self.true:
            folders = re.split(r"[/\\]", file)[-2::-1]
            first = next((classes.index(name) for name in folders if name in classes), None)
            if first is None:
                return None
        top = order[:2].tolist()
        return top if first is None else [first, *(one for one in top if one != first)]


@dataclass(eq=False)
class _Read:
    """A picture as the model is given it and as people are shown it, or why not."""

    file: str
    reason: str = ""
    pixels: Pixels = field(default_factory=lambda: np.zeros((0, 0, 0), np.uint8))
    picture: Pixels = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))
    seen: tuple[float, float, float, float] = (0, 0, 0, 0)


def _batched(given: Iterable[Any], size: int) -> Iterator[list[Any]]:
    waiting = iter(given)
    while some := list(itertools.islice(waiting, size)):
        yield some


def _explained(
    model: Classifier, some: list[Any], wanted: _Wanted, way: Way
) -> Iterator[Explanation | dict[str, str]]:
    """Each picture's explanation, or {"file", "reason"}, in order."""
    read = [_read(model, name, given) for name, given in some]
    good = [one for one in read if not one.reason]
    probabilities = model.probabilities(np.stack([one.pixels for one in good])) if good else np.zeros((0, 1))
    orders = np.argsort(-probabilities, axis=1, kind="stable")
    asked = {
        id(one): wanted.of(one.file, order, model.classes) for one, order in zip(good, orders, strict=True)
    }
    maps: dict[int, npt.NDArray[np.float32]] = {}
    for count in {
        len(shown) for shown in asked.values() if shown
    }:  # pictures with as many classes go together
        alike = [one for one in good if len(asked[id(one)] or ()) == count]
        targets = np.array([asked[id(one)] for one in alike], dtype=np.int64)
        found = picture_maps(model, np.stack([one.pixels for one in alike]), targets, way)
        maps |= {id(one): its for one, its in zip(alike, found, strict=True)}
    answers = {id(one): row for one, row in zip(good, probabilities, strict=True)}
    for one in read:
        shown = asked.get(id(one))
        if one.reason:
            yield {"file": one.file, "reason": one.reason}
        elif shown is None:
            yield {"file": one.file, "reason": tr("no folder of its path is named like a class of the model")}
        else:
            row = answers[id(one)]
            yield Explanation(
                file=one.file,
                answer=model.classes[int(row.argmax())],
                classes=tuple(model.classes[at] for at in shown),
                probabilities=tuple(float(row[at]) for at in shown),
                maps=maps[id(one)],
                picture=one.picture,
                seen=one.seen,
                noisy=methods[way.name].noisy,
            )


def _read(model: Classifier, name: str, given: bytes | Pixels | str) -> _Read:
    if isinstance(given, str):
        return _Read(name, reason=given)
    height, width, channels = model.size
    try:
        pixels = decoding.decode(
            given, height=height, width=width, channels=channels, background=model.background
        )
        there = decoding.dimensions(given)
        scale = SHOWN / max(there)
        shown = tuple(max(1, round(side * scale)) for side in there) if scale < 1 else there
        picture = decoding.decode(
            given, height=shown[0], width=shown[1], channels=3, background=model.background
        )
    except (SourceError, OSError, MemoryError) as error:
        return _Read(name, reason=reason_of(error))
    if scale > 1:  # enlarged by a whole factor, or there would be nothing to see
        picture = drawing.enlarge(picture, max(1, int(scale)) * min(there))
    seen = decoding.window((picture.shape[1], picture.shape[0]), height, width)
    return _Read(name, "", pixels, picture, seen)


# ---------------------------------------------------------------- files
def _folder(out: Path) -> Path:
    """Raises UsageError for the name of a file, DiskError where no folder can be made."""
    if out.exists() and not out.is_dir():
        raise UsageError(tr("--out names a folder, and {path} is a file.", path=out))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(disk_sentence(out, error)) from error
    return out


def _written(one: Explanation, folder: Path, number: int, raw: bool) -> Explanation:
    """The explanation with the files it has now."""
    last = re.split(r"[/\\]", one.file)[-1]
    stem = f"{number:04d}-{folder_names([last.rsplit('.', 1)[0][:60]]).popitem()[1]}"
    overlay, arrays = folder / f"{stem}.png", folder / f"{stem}.npz" if raw else None
    try:
        overlay.write_bytes(drawing.png(side_by_side(one.panels())))
        if arrays is not None:
            np.savez_compressed(arrays, maps=one.maps, classes=np.array(one.classes, dtype=np.str_),
                                probabilities=np.array(one.probabilities))  # fmt: skip
    except OSError as error:
        raise DiskError(disk_sentence(folder, error)) from error
    return replace(one, overlay=overlay, arrays=arrays)


def _with_page(told: Explained, folder: Path, model: Classifier) -> Explained:
    path = folder / "explanation.html"
    try:
        path.write_text(page.build(told, model), encoding="utf-8")
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error
    return replace(told, page=path)
