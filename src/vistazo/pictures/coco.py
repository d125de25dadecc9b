"""Boxes in COCO's way: one JSON file for all pictures of a part.

Source: Lin et al. 2014, arXiv:1405.0312; https://cocodataset.org/#format-data, 'Object Detection'. A box is left, top,
width and height in pixels. The file is read element by element, because COCO's own has 450 MB.
"""

import codecs
import json
import posixpath
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vistazo.errors import SourceDamaged
from vistazo.language import tr
from vistazo.pictures.annotated import Gathered, Pictures, is_labels_json
from vistazo.pictures.index import PARTS, UNASSIGNED, part_named
from vistazo.pictures.stores import Source, readable, reason_of
from vistazo.pictures.trees import Tree, below, part_of, stem, words

__all__ = ["elements", "read_coco"]

MOST_ELEMENT = 64 << 20  # characters of one picture's or box's entry
_WINDOW = 1 << 20
_SPACE = re.compile(r"[ \t\n\r]*")
_WANTED = ("images", "annotations", "categories")
_FOLDERS = ("annotations", "annotation")


# ---------------------------------------------------------------- JSON, element by element
class _Window:
    """The part of a text that is being looked at; it never holds more than one element and a window."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._decoder = iter(chunks), codecs.getincrementaldecoder("utf-8-sig")()
        self._parse = json.JSONDecoder().raw_decode
        self.text, self.at, self.ended = "", 0, False

    def _grow(self, least: int) -> None:
        """Read at least so many more characters, or to the end."""
        pieces = [self.text[self.at :]]
        self.at, got = 0, 0
        while got < least and not self.ended:
            chunk = next(self._chunks, None)
            self.ended = chunk is None
            pieces.append(self._decoder.decode(chunk or b"", final=self.ended))
            got += len(pieces[-1])
        self.text = "".join(pieces)
        if len(self.text) > MOST_ELEMENT:
            raise ValueError(tr("an entry is larger than {most} MB", most=MOST_ELEMENT >> 20))

    def sign(self) -> str:
        """The next sign that is no space, which stays; '' at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self._grow(_WINDOW)

    def skip(self, sign: str) -> None:
        """Go past a sign. Raises ValueError where another one stands."""
        if self.sign() != sign:
            raise ValueError(tr("'{sign}' is missing", sign=sign))
        self.at += 1

    def value(self) -> Any:
        """The next value; more is read until it is whole, each time twice as much."""
        self.sign()
        least = _WINDOW
        while True:
            try:
                value, end = self._parse(self.text, self.at)
            except json.JSONDecodeError:
                if self.ended:
                    raise
            else:
                if end < len(self.text) or self.ended:  # '12' may go on
                    self.at = end
                    return value
            self._grow(least)
            least *= 2


def elements(chunks: Iterable[bytes], wanted: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """(key, element) of the lists under the `wanted` keys of a JSON object, as they come; other values are skipped.

    Raises ValueError or RecursionError where the text is no such object.
    """
    window, keys = _Window(chunks), set(wanted)
    window.skip("{")
    more = window.sign() != "}"
    while more:
        key = window.value()
        window.skip(":")
        if key in keys and window.sign() == "[":
            window.skip("[")
            inside = window.sign() != "]"
            while inside:
                yield key, window.value()
                inside = window.sign() == ","
                if inside:
                    window.skip(",")
            window.skip("]")
        else:
            window.value()
        more = window.sign() == ","
        if more:
            window.skip(",")
    window.skip("}")


# ---------------------------------------------------------------- COCO
@dataclass
class _Told:
    """What one file says. Ids may be numbers or words, and boxes may come before their pictures."""

    images: dict[Any, tuple[str, int, int]] = field(default_factory=dict)
    names: dict[Any, str] = field(default_factory=dict)
    ids: dict[Any, int] = field(default_factory=dict)  # a number for each id met, so that boxes stay small
    image: "array[int]" = field(default_factory=lambda: array("q"))
    category: "array[int]" = field(default_factory=lambda: array("q"))
    corner: "array[float]" = field(default_factory=lambda: array("d"))
    crowd: "array[int]" = field(default_factory=lambda: array("b"))
    broken: list[tuple[str, str]] = field(default_factory=list)


def read_coco(tree: Tree, homes: tuple[str, ...]) -> Source:
    """The files of annotations in `homes` or their folder `annotations`. Raises SourceDamaged, TooFewExamples.

    Only files instances*.json are read where there are any. A file belongs to the part that a word of its name says
    (instances_val2017.json), else that the folder of a picture says. A picture of two files counts in the first of
    test, validation and training.
    """
    gathered = Gathered(tree, "coco")
    pictures = Pictures(tree)
    files = _files(tree, homes)
    used = 0
    for name, part in files:
        told = _told(tree, name)
        for where, reason in told.broken:
            gathered.leave_out(where, reason)
        rows: dict[int, int] = {}
        for key, (file_name, width, height) in told.images.items():
            try:
                picture = pictures.find(file_name, below(name, re.sub(r"[_.-]", "/", stem(name)) + "/"))
                if picture in gathered:
                    raise SourceDamaged(tr("another entry is of the same picture ({name})", name=picture))
                split = part or part_of(picture)
                rows[told.ids[key]] = gathered.picture(picture, (width, height), split)
                used += 1
            except (SourceDamaged, OSError) as error:
                gathered.leave_out(f"{name}: {file_name}", reason_of(error))
        _take(gathered, told, rows, name)
    if len(pictures.names) > used:
        gathered.notes.append(
            tr("Pictures without an annotation, not used: {n}.", n=len(pictures.names) - used)
        )
    return gathered.source()


def _files(tree: Tree, homes: tuple[str, ...]) -> list[tuple[str, str]]:
    """(file, its part) of every file of annotations, test before validation before training."""
    found = []
    for home in homes:
        files, folders = tree.entries(home)
        inner = [below(home, name) for name in folders if name.casefold() in _FOLDERS]
        found += [below(home, name) for name in files if is_labels_json(name)]
        found += [
            below(folder, name)
            for folder in inner
            for name in tree.entries(folder)[0]
            if is_labels_json(name)
        ]
    instances = [name for name in found if stem(name).lower().startswith("instances")]
    parts = {name: _part(name) for name in instances or found}
    order = (*reversed(PARTS), UNASSIGNED)
    return sorted(parts.items(), key=lambda one: (order.index(one[1]), one[0]))


def _part(name: str) -> str:
    return next((part for word in words(stem(name)) if (part := part_named(word))), UNASSIGNED)


def _told(tree: Tree, name: str) -> _Told:
    told = _Told()
    with readable(tree.path / name):
        try:
            for key, one in elements(tree.chunks(name), _WANTED):
                if not isinstance(one, dict):
                    raise ValueError(tr("an entry is no object"))
                _ENTRY[key](told, one, name)
        except RecursionError as error:
            raise ValueError(tr("it is nested too deeply")) from error
        except TypeError as error:  # an id that is a list
            raise ValueError(error) from error
    if not told.images and not len(told.image):
        raise SourceDamaged(
            tr(
                "{path} is no file of boxes in COCO's way: it needs lists of images, annotations and categories.",
                path=tree.path / name,
            )
        )
    return told


def _image(told: _Told, one: dict[str, Any], name: str) -> None:
    key, file_name = one.get("id"), one.get("file_name")
    if key in told.images or not isinstance(file_name, str) or not posixpath.basename(file_name):
        told.broken.append(
            (f"{name}: {str(file_name)[:80]}", tr("an entry without a file or with another one's id"))
        )
        return
    told.ids.setdefault(key, len(told.ids))
    sides = (one.get("width"), one.get("height"))
    width, height = (side if isinstance(side, int) and 0 < side < 1 << 20 else 0 for side in sides)
    told.images[key] = (file_name, width, height)


def _category(told: _Told, one: dict[str, Any], _: str) -> None:
    told.names[one.get("id")] = str(one.get("name", ""))
    told.ids.setdefault(("category", one.get("id")), len(told.ids))


def _annotation(told: _Told, one: dict[str, Any], name: str) -> None:
    where = f"{name}: {str(one.get('id'))[:40]}"
    try:
        left, top, width, height = map(float, one["bbox"])
    except (KeyError, TypeError, ValueError, OverflowError):
        told.broken.append((where, tr("an object without a box")))
        return
    ids = told.ids
    told.image.append(ids.setdefault(one.get("image_id"), len(ids)))
    told.category.append(ids.setdefault(("category", one.get("category_id")), len(ids)))
    told.corner.extend((left, top, left + width, top + height))
    told.crowd.append(one.get("iscrowd") in (1, True))


_ENTRY = {"images": _image, "categories": _category, "annotations": _annotation}


def _take(gathered: Gathered, told: _Told, rows: dict[int, int], name: str) -> None:
    known = {told.ids[key] for key in told.images}
    names = {told.ids["category", key]: word for key, word in told.names.items()}
    for at, (image, category) in enumerate(zip(told.image, told.category, strict=True)):
        where = f"{name}: {at + 1}"
        if image not in known:
            gathered.leave_out(where, tr("a box of a picture that is not listed"))
        elif image in rows:
            corner = told.corner[4 * at : 4 * at + 4]
            difficult = bool(told.crowd[at])
            gathered.box(rows[image], names.get(category, ""), corner, difficult=difficult, where=where)
