"""Boxes in Pascal VOC's way: an XML file for each picture.

Source: Everingham et al., 'The PASCAL Visual Object Classes Challenge 2012 Development Kit', section 8. Corners count
from 1 and belong to the box, so a box of pixels 1 to 10 goes from 0 to 10 here.
"""

import posixpath
from dataclasses import dataclass, field
from xml.parsers import expat

from vistazo.errors import SourceDamaged
from vistazo.language import tr
from vistazo.pictures.annotated import Gathered, Pictures
from vistazo.pictures.index import TEST, TRAIN, UNASSIGNED, VALIDATION, normal
from vistazo.pictures.stores import Source, reason_of
from vistazo.pictures.trees import Tree, below, part_of, stem

__all__ = ["Annotation", "read_annotation", "read_voc"]

MOST_XML = 8 << 20
DEEPEST = 32
_LISTS = (("trainval", TRAIN), ("train", TRAIN), ("val", VALIDATION), ("test", TEST))  # the later one counts


@dataclass
class Annotation:
    """What an XML file says. objects: of each the text of its elements, such as 'name' and 'bndbox/xmin'."""

    filename: str = ""
    width: int = 0
    height: int = 0
    objects: list[dict[str, str]] = field(default_factory=list)


def read_annotation(data: bytes) -> Annotation:
    """Parse one file. Raises SourceDamaged where it is no annotation, or declares entities or a document type.

    Entities can ask for other files, and grow a line to gigabytes; no annotation needs them.
    """
    if len(data) > MOST_XML:
        raise SourceDamaged(tr("the file is larger than {most} MB", most=MOST_XML >> 20))
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except (
        expat.ExpatError,
        ValueError,
        LookupError,
    ) as error:  # LookupError: an encoding that does not exist
        raise SourceDamaged(tr("it is no XML ({reason})", reason=error)) from error
    return reader.found


class _Reader:
    """Handlers of the parser: the path of the element that is open, and its text."""

    def __init__(self) -> None:
        self.found = Annotation()
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._read
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.ExternalEntityRefHandler = self._refuse
        self._path: list[str] = []
        self._text: list[str] = []

    def _refuse(self, *_: object) -> int:
        raise SourceDamaged(tr("it declares a document type or entities, which no annotation needs"))

    def _begin(self, name: str, _: dict[str, str]) -> None:
        self._path.append(name)
        self._text.clear()
        if len(self._path) > DEEPEST or (len(self._path) == 1 and name != "annotation"):
            raise SourceDamaged(tr("it is no Pascal VOC annotation"))
        if self._path == ["annotation", "object"]:
            self.found.objects.append({})

    def _read(self, text: str) -> None:
        self._text.append(text)

    def _end(self, _: str) -> None:
        inside, text = "/".join(self._path[1:]), "".join(self._text).strip()
        self._path.pop()
        self._text.clear()
        if inside == "filename":
            self.found.filename = text
        elif inside in ("size/width", "size/height"):
            setattr(self.found, inside[5:], int(text) if text.isdecimal() and len(text) < 7 else 0)
        elif inside.startswith("object/"):
            self.found.objects[-1].setdefault(inside[7:], text)


def read_voc(tree: Tree, homes: tuple[str, ...]) -> Source:
    """The annotations below `homes`. Raises TooFewExamples, SourceDamaged.

    The picture of a.xml is a.jpg (or .png and so on) wherever it lies, else the one that its `filename` names; of
    several, the one whose folders are most like those of a.xml. ImageSets/Main/{train,val,test}.txt say the parts;
    pictures that no list names are left out then. Otherwise folders named after parts do.
    """
    gathered = Gathered(tree, "voc")
    pictures = Pictures(tree)
    parts = _image_sets(tree)
    listed = TRAIN in parts.values()
    annotated: set[str] = set()
    unlisted = renamed = 0
    for name in tree.files:
        inside = any(not home or name.startswith(f"{home}/") for home in homes)
        if not inside or not name.lower().endswith(".xml"):
            continue
        try:
            told = read_annotation(tree.read(name))
            picture = _picture_of(pictures, name, told)
            if picture in annotated:
                raise SourceDamaged(tr("another annotation is of the same picture ({name})", name=picture))
            annotated.add(picture)
            key = normal(stem(name))
            if listed and key not in parts:
                unlisted += 1
                continue
            part = parts.get(key, UNASSIGNED) if parts else part_of(picture)
            row = gathered.picture(picture, (told.width, told.height), part)
        except (SourceDamaged, OSError) as error:
            gathered.leave_out(name, reason_of(error))
            continue
        meant = normal(stem(told.filename.replace("\\", "/")))
        renamed += bool(meant) and meant.casefold() != normal(stem(picture)).casefold()
        for number, one in enumerate(told.objects):
            _take(gathered, row, one, f"{name}#{number}")
    _tell(gathered, len(pictures.names) - len(annotated), unlisted, renamed)
    return gathered.source()


def _tell(gathered: Gathered, bare: int, unlisted: int, renamed: int) -> None:
    if bare:
        gathered.notes.append(tr("Pictures without an annotation, not used: {n}.", n=bare))
    if unlisted:
        gathered.notes.append(tr("Pictures that no list in ImageSets names, not used: {n}.", n=unlisted))
    if renamed:
        gathered.notes.append(
            tr("Annotations that name another picture than the one called like themselves: {n}.", n=renamed)
        )


def _picture_of(pictures: Pictures, name: str, told: Annotation) -> str:
    try:
        return pictures.find(stem(name), name)
    except SourceDamaged:
        if not told.filename:
            raise
        return pictures.find(told.filename, name)


def _take(gathered: Gathered, row: int, one: dict[str, str], where: str) -> None:
    try:
        left, top, right, bottom = (float(one[f"bndbox/{side}"]) for side in ("xmin", "ymin", "xmax", "ymax"))
    except KeyError:
        gathered.leave_out(where, tr("an object without a box"))
    except ValueError:
        gathered.leave_out(where, tr("a box whose corners are no numbers"))
    else:
        difficult = one.get("difficult", "0") not in ("0", "", "false", "False")
        corner = (left - 1, top - 1, right, bottom)
        gathered.box(row, one.get("name", ""), corner, difficult=difficult, where=where)


def _image_sets(tree: Tree) -> dict[str, str]:
    """The part of each name in ImageSets/Main/{train,val,test}.txt; of two parts the stricter, test before all."""
    parts: dict[str, str] = {}
    for word, part in _LISTS:
        for name in tree.files:
            folder = posixpath.dirname(name)
            if posixpath.basename(name).lower() == f"{word}.txt" and folder.endswith(
                below("ImageSets", "Main")
            ):
                try:
                    text = tree.read(name).decode("utf-8-sig", errors="replace")
                except (SourceDamaged, OSError) as error:
                    raise SourceDamaged(
                        tr(
                            "{path} cannot be read ({reason}).",
                            path=tree.path / name,
                            reason=reason_of(error),
                        )
                    ) from error
                # '000005  1' is a line of a list of one class
                parts.update({normal(line.split()[0]): part for line in text.splitlines() if line.strip()})
    return parts
