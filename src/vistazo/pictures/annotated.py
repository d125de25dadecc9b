"""Pictures with boxes, whatever the format of their annotations: which it is, which picture is meant, and the Index.

A format's own reader (`voc`, `coco`, `yolo`) opens the annotations and fills a `Gathered`.
"""

import posixpath
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.language import tr
from vistazo.pictures.boxes import Boxes
from vistazo.pictures.decoding import stored_size
from vistazo.pictures.folders import is_picture
from vistazo.pictures.index import (
    TRAIN,
    UNASSIGNED,
    UNLABELLED,
    Broken,
    Index,
    natural_key,
    normal,
    part_named,
)
from vistazo.pictures.stores import Source
from vistazo.pictures.trees import Places, Tree, below, stem

__all__ = ["Gathered", "Layout", "Pictures", "find_layout", "is_labels_json", "size_of"]

DEEPEST = 8  # folders that only hold a folder
LEAST = 0.5  # pixels a box must be wide and high
_DEVKIT = re.compile(r"VOC\d{4}", re.IGNORECASE)
_MARKS = ("annotations", "annotation", "xmls")
_IMAGES = ("jpegimages", "images", "image", "imgs", "img")
_NAMES = ("classes.txt", "obj.names", "_darknet.labels", "data.yaml", "data.yml", "dataset.yaml")
_COCO_NAME = re.compile(r"(^|[._-])(instances|annotations?|coco|labels)([._-]|$)", re.IGNORECASE)
_OTHER_JSON = re.compile(r"(captions|person_keypoints|stuff|panoptic|image_info)_", re.IGNORECASE)
_COCO_KEYS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
_HEAD = 1 << 16


@dataclass(frozen=True)
class Layout:
    """Which format, 'voc', 'coco' or 'yolo', and the folders that hold annotations of it."""

    form: str
    homes: tuple[str, ...]


# ---------------------------------------------------------------- recognition
def find_layout(places: Places) -> Layout | None:
    """The format of annotations with boxes, told by the names near the root; None where there is none.

    It looks into the root, below folders that hold a single folder, and into folders named like parts or VOC2012; never
    into class folders, so it is quick however many pictures there are.
    """
    home = ""
    for _ in range(DEEPEST):
        if form := _form_at(places, home):
            return Layout(form, (home,))
        files, folders = places.entries(home)
        inner = [below(home, name) for name in folders if part_named(name) or _DEVKIT.fullmatch(name)]
        forms = {folder: _form_at(places, folder) for folder in inner}
        for form in ("voc", "coco", "yolo"):
            if homes := tuple(folder for folder in inner if forms[folder] == form):
                return Layout(form, homes)
        if len(folders) != 1 or any(map(is_picture, files)):
            return None
        home = below(home, folders[0])
    return None


def _form_at(places: Places, home: str) -> str:
    """The format whose annotations lie in the folder `home`, or in its folders of known names; '' for none."""
    files, folders = places.entries(home)
    lower = {name.casefold(): below(home, name) for name in folders}
    marks = [lower[name] for name in _MARKS if name in lower]
    if any(_holds(places, folder, ".xml") for folder in marks) or _side_by_side(places, home, files, ".xml"):
        return "voc"
    for name in (*_IMAGES, *_MARKS):
        if name in lower and _side_by_side(places, lower[name], places.entries(lower[name])[0], ".xml"):
            return "voc"
    if any(is_labels_json(name) for folder in marks for name in places.entries(folder)[0]):
        return "coco"
    for name in files:
        if is_labels_json(name) and _COCO_NAME.search(stem(name)) and _is_coco(places, below(home, name)):
            return "coco"
    if (
        "labels" in lower
        and _holds(places, lower["labels"], ".txt")
        and any(name in lower for name in _IMAGES)
    ):
        return "yolo"
    named = any(name.casefold() in _NAMES for name in files)
    return "yolo" if named and _side_by_side(places, home, files, ".txt") else ""


def _holds(places: Places, folder: str, ending: str) -> bool:
    """Whether a folder, or one of its folders, has a file that ends so."""
    files, folders = places.entries(folder)
    if any(name.lower().endswith(ending) for name in files):
        return True
    inner = (places.entries(below(folder, name))[0] for name in folders)
    return any(name.lower().endswith(ending) for files in inner for name in files)


def _side_by_side(places: Places, folder: str, files: Sequence[str], ending: str) -> bool:
    """Whether a folder has a picture and a file with that ending of the same name."""
    texts = {stem(name) for name in files if name.lower().endswith(ending)}
    return any(stem(name) in texts for name in files if is_picture(name)) if texts else False


def is_labels_json(name: str) -> bool:
    """Whether a file may hold boxes in COCO's way: its captions and keypoints are other things."""
    return name.lower().endswith(".json") and not _OTHER_JSON.match(posixpath.basename(name))


def _is_coco(places: Places, name: str) -> bool:
    try:
        return _COCO_KEYS.search(places.head(name, _HEAD)) is not None
    except (OSError, SourceDamaged):
        return False


# ---------------------------------------------------------------- pictures
class Pictures:
    """The pictures of a tree, found by the names that annotations give them."""

    def __init__(self, tree: Tree) -> None:
        self.names = [name for name in tree.files if is_picture(name)]
        self._by_base: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in self.names:
            self._by_base.setdefault(normal(posixpath.basename(name)).casefold(), []).append(name)
            self._by_stem.setdefault(normal(stem(name)).casefold(), []).append(name)

    def find(self, name: str, near: str) -> str:
        """The picture of that name, with or without its ending, whatever folders the name has.

        near: the annotation's own name; of several pictures the one with most of its folders counts.
        Raises SourceDamaged where there is none, or no telling which.
        """
        wanted = normal(name.replace("\\", "/"))
        base = posixpath.basename(wanted)
        plain = stem(base) if is_picture(base) else base
        found = self._by_base.get(base.casefold()) or self._by_stem.get(plain.casefold()) or []
        if len(found) > 1:
            around = {*posixpath.dirname(wanted).split("/"), *posixpath.dirname(near).split("/")}
            shared = {one: len(around.intersection(posixpath.dirname(one).split("/"))) for one in found}
            found = [one for one in found if shared[one] == max(shared.values())]
        if not found or not base:
            raise SourceDamaged(tr("its picture is missing ({name})", name=base or "-"))
        if len(found) > 1:
            raise SourceDamaged(tr("several pictures are called so ({names})", names=", ".join(found[:3])))
        return found[0]


def size_of(tree: Tree, name: str, *, upright: bool) -> tuple[int, int]:
    """(width, height) that a picture's own bytes say, turned as the camera says where `upright`.

    Raises OSError or SourceDamaged.
    """
    try:
        width, height, turn = stored_size(tree.head(name, _HEAD))
    except SourceDamaged:  # what comes before the size may be long
        width, height, turn = stored_size(tree.read(name))
    return (height, width) if upright and turn > 4 else (width, height)


# ---------------------------------------------------------------- the Index
class Gathered:
    """Pictures and boxes as a reader finds them, in flat columns."""

    def __init__(self, tree: Tree, form: str) -> None:
        self.tree, self.form = tree, form
        self.broken: list[Broken] = list(tree.broken)
        self.notes: list[str] = []
        self._rows: dict[str, int] = {}
        self._split: list[str] = []
        self._size: list[tuple[int, int]] = []
        self._codes: dict[str, int] = {}
        self._row, self._code = array("q"), array("q")
        self._corner, self._difficult = array("f"), array("b")

    def __contains__(self, picture: str) -> bool:
        return picture in self._rows

    def size(self, row: int) -> tuple[int, int]:
        """Width and height of a picture that was taken."""
        return self._size[row]

    def leave_out(self, where: str, reason: str) -> None:
        """Name what cannot be used."""
        self.broken.append(Broken(-1, where, reason))

    def picture(self, where: str, size: tuple[int, int], split: str) -> int:
        """Take a picture; its row. size: width and height as annotated, or 0 where nobody says.

        Raises OSError or SourceDamaged where its own bytes have to say it and cannot.
        """
        upright = self.form == "yolo"
        if min(size) < 1 or max(size) > 1 << 20:
            size = size_of(self.tree, where, upright=upright)
        row = self._rows.setdefault(where, len(self._rows))
        self._size.append(size)
        self._split.append(split)
        return row

    def box(self, row: int, name: str, corner: Sequence[float], *, difficult: bool, where: str) -> None:
        """Take a box of a picture: left, top, right, bottom in its pixels. What leaves the picture is cut off.

        where: what it is called if it has to be left out: empty, outside, without a class or not a number.
        """
        width, height = self._size[row]
        spelled, finite = normal(name), bool(np.isfinite(corner).all())
        left, top = max(0.0, corner[0]), max(0.0, corner[1])
        right, bottom = min(float(width), corner[2]), min(float(height), corner[3])
        if not spelled:
            self.leave_out(where, tr("a box without a class"))
        elif not finite:
            self.leave_out(where, tr("a box whose corners are no numbers"))
        elif corner[2] - corner[0] < LEAST or corner[3] - corner[1] < LEAST:
            self.leave_out(where, tr("a box of no size"))
        elif right - left < LEAST or bottom - top < LEAST:
            self.leave_out(
                where, tr("a box outside the picture of {width} × {height}", width=width, height=height)
            )
        else:
            self._row.append(row)
            self._code.append(self._codes.setdefault(spelled, len(self._codes)))
            self._corner.extend((left, top, right, bottom))
            self._difficult.append(difficult)

    def source(self) -> Source:
        """The Source of all that was taken. Raises TooFewExamples where that is nothing."""
        path = self.tree.path
        if not self._rows or not self._row:
            reasons = Counter(one.reason for one in self.broken).most_common(1)
            raise TooFewExamples(
                tr(
                    "{path} has annotations and no box that can be used ({reason}).",
                    path=path,
                    reason=reasons[0][0] if reasons else tr("empty"),
                )
            )
        classes = sorted(self._codes, key=natural_key)
        place = {name: at for at, name in enumerate(classes)}
        code = np.array([place[name] for name in self._codes], dtype=np.int64)
        row = np.frombuffer(self._row, dtype=np.int64)
        order = np.argsort(row, kind="stable")
        per_row = np.bincount(row, minlength=len(self._rows))
        boxes = Boxes(
            first=np.concatenate([[0], np.cumsum(per_row)]),
            corner=np.frombuffer(self._corner, dtype=np.float32).reshape(-1, 4)[order],
            label=code[np.frombuffer(self._code, dtype=np.int64)][order],
            difficult=np.frombuffer(self._difficult, dtype=np.int8)[order] != 0,
            size=np.array(self._size),
            upright=self.form == "yolo",
        )
        where = tuple(self._rows)
        index = Index(
            where=where,
            label=np.full(len(where), UNLABELLED),
            split=self._parts(),
            group=np.full(len(where), -1),
            hash=np.zeros(len(where), dtype="S32"),
            classes=tuple(classes),
            source=str(path.resolve()),
            kind=self.form,
            boxes=boxes,
        )
        if not per_row.all():
            self.notes.append(tr("Pictures without any box: {n}.", n=int((per_row == 0).sum())))
        return Source(index, self.tree.store(where), tuple(self.notes), tuple(self.broken))

    def _parts(self) -> np.ndarray:
        """The parts, unless what names them names no training: then a folder just happens to be called so."""
        split = np.array(self._split, dtype="U10")
        return split if np.isin(split, (TRAIN, UNASSIGNED)).any() else np.full(len(split), UNASSIGNED, "U10")
