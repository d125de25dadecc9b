"""Boxes in YOLO's way: a text file for each picture, a line for each box.

Source: https://docs.ultralytics.com/datasets/detect, 'Ultralytics YOLO format'. A line is the number of the class, then
the centre's x and y, width and height as shares of the picture turned upright; or the corners of a polygon, whose
bounding box counts. Names stand in data.yaml, of which a small strict reader takes what is needed, or in classes.txt.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence

from vistazo.errors import SourceDamaged
from vistazo.language import tr
from vistazo.pictures.annotated import Gathered, Pictures
from vistazo.pictures.index import UNASSIGNED, normal, part_named
from vistazo.pictures.stores import Source, reason_of
from vistazo.pictures.trees import Tree, below, part_of, stem

__all__ = ["read_yaml", "read_yolo"]

MOST_TEXT = 8 << 20
MOST_CLASSES = 1_000_000
_YAML = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LISTS = ("classes.txt", "obj.names", "_darknet.labels")
_IMAGES = ("images", "image", "imgs", "img", "jpegimages")

_KEYS = ("names", "train", "val", "valid", "validation", "test")

Yaml = dict[str, "str | list[str] | dict[str, str]"]


# ---------------------------------------------------------------- a little YAML
def read_yaml(text: str) -> Yaml:
    """The values of the keys in _KEYS at the top level: a word, a list of words or a mapping of words.

    Other keys and what is below them are left out. Raises ValueError where a line that counts cannot be understood:
    anchors, tags and texts of several lines are more than is read here.
    """
    found: Yaml = {}
    key, opened = "", ""
    for raw in text.splitlines():
        line = _uncommented(raw).rstrip()
        bare = line.strip()
        if opened:  # a list in brackets goes on
            opened = f"{opened} {bare}"
            opened = _settle(found, key, opened)
        elif not bare or bare in ("---", "..."):
            continue
        elif line[0] not in " \t-":
            key, value = _pair(bare) if bare.startswith(_KEYS) else ("", "")
            if key in _KEYS:
                opened = _settle(found, key, value)
            else:
                key = ""
        elif key:
            _add(found, key, bare)
    if opened:
        raise ValueError(tr("the line '{line}' is not closed", line=opened[:60]))
    return found


def _settle(found: Yaml, key: str, value: str) -> str:
    """Set a key's value; gives it back where its brackets are still open."""
    plain = re.sub(r"\"[^\"]*\"|'[^']*'", "", value)
    if value[:1] in ("[", "{") and sum(map(plain.count, "[{")) > sum(map(plain.count, "]}")):
        return value
    found[key] = _value(value)
    return ""


def _add(found: Yaml, key: str, bare: str) -> None:
    """A line below a key: an item of its list, or a pair of its mapping."""
    before = found[key]
    if bare.startswith("-") and not isinstance(before, dict):
        found[key] = [*(before if isinstance(before, list) else []), _word(bare[1:])]
    elif not bare.startswith("-") and not isinstance(before, list):
        name, value = _pair(bare)
        found[key] = {**(before if isinstance(before, dict) else {}), name: _word(value)}
    else:
        raise ValueError(tr("the line '{line}' has no place", line=bare[:60]))


def _uncommented(line: str) -> str:
    quote = ""
    for at, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and (at == 0 or line[at - 1] in " ,[{:-\t"):
            quote = letter
        elif letter == "#" and (at == 0 or line[at - 1] in " \t"):
            return line[:at]
    return line


def _pair(text: str) -> tuple[str, str]:
    match = re.match(r"(\"[^\"]*\"|'[^']*'|[^\s:\[\]{}&*!|>%@`][^:]*?)\s*:(?:\s+(.*))?$", text)
    if match is None:
        raise ValueError(tr("the line '{line}' is no 'name: value'", line=text[:60]))
    return _word(match[1]), match[2] or ""


def _value(text: str) -> "str | list[str] | dict[str, str]":
    if text[:1] not in ("[", "{"):
        return _word(text)
    if text[-1] != {"[": "]", "{": "}"}[text[0]]:
        raise ValueError(tr("the line '{line}' is not closed", line=text[:60]))
    items = re.findall(r"(?:\"[^\"]*\"|'[^']*'|[^,\"'])+", text[1:-1])
    if text[0] == "[":
        return [_word(item) for item in items if item.strip()]
    return {name: _word(value) for name, value in (_pair(item.strip()) for item in items if item.strip())}


def _word(text: str) -> str:
    text = text.strip()
    if text[:1] in "\"'" and len(text) > 1 and text[0] == text[-1]:
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    if text[:1] in ("&", "*", "!", "|", ">", "[", "{"):
        raise ValueError(tr("'{line}' is more YAML than is read here", line=text[:60]))
    return text


# ---------------------------------------------------------------- YOLO
def read_yolo(tree: Tree, homes: tuple[str, ...]) -> Source:
    """The pictures in `homes`, each with the text file of its name in `labels` instead of `images`, or beside it.

    A picture without a text file has no boxes. Parts: the folders that data.yaml names under train, val and test, else
    folders named after parts. Raises SourceDamaged, TooFewExamples.
    """
    gathered = Gathered(tree, "yolo")
    settings = _settings(tree)
    names = _class_names(tree, settings)
    told = _told_parts(tree, settings)
    texts = {
        _unmarked(name): name for name in tree.files if name.lower().endswith(".txt") and _in(name, homes)
    }
    left = {key for key, name in texts.items() if _is_labels(name)}
    bare = 0
    for picture in Pictures(tree).names:
        key = _unmarked(picture)
        if not _in(picture, homes) or (key not in texts and not _is_images(picture)):
            bare += 1
            continue
        left.discard(key)
        try:
            row = gathered.picture(picture, (0, 0), _part(picture, told))
            if key in texts:
                _take(gathered, row, picture, texts[key], names)
        except (SourceDamaged, OSError) as error:
            gathered.leave_out(picture, reason_of(error))
    if bare:
        gathered.notes.append(tr("Pictures without an annotation, not used: {n}.", n=bare))
    for key in sorted(left):
        gathered.leave_out(texts[key], tr("its picture is missing ({name})", name=stem(texts[key])))
    return gathered.source()


def _in(name: str, homes: tuple[str, ...]) -> bool:
    return any(not home or name.startswith(f"{home}/") for home in homes)


def _is_labels(name: str) -> bool:
    folders = posixpath.dirname(name).casefold().split("/")
    return "labels" in folders and posixpath.basename(name).casefold() not in _LISTS


def _is_images(name: str) -> bool:
    return any(folder in _IMAGES for folder in posixpath.dirname(name).casefold().split("/"))


def _unmarked(name: str) -> str:
    """The name without its ending, and without the last of its folders called 'images' or 'labels'."""
    folders = posixpath.dirname(name).split("/")
    for at in range(len(folders) - 1, -1, -1):
        if folders[at].casefold() in (*_IMAGES, "labels"):
            folders[at] = "*"
            break
    return normal("/".join((*folders, stem(name)))).casefold()


def _take(gathered: Gathered, row: int, picture: str, name: str, names: Mapping[int, str]) -> None:
    data = gathered.tree.read(name)
    if len(data) > MOST_TEXT:
        raise SourceDamaged(tr("the file is larger than {most} MB", most=MOST_TEXT >> 20))
    width, height = gathered.size(row)
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines()):
        if not line.strip():
            continue
        where = f"{name}#{number}"
        try:
            label, corner = _box(line.split())
        except (ValueError, OverflowError):
            gathered.leave_out(where, tr("a line that is no box: '{line}'", line=line.strip()[:60]))
            continue
        if names and label not in names:
            gathered.leave_out(where, tr("a box of class {label}, which has no name", label=label))
            continue
        left, top, right, bottom = corner
        pixels = (left * width, top * height, right * width, bottom * height)
        gathered.box(row, names.get(label, str(label)), pixels, difficult=False, where=where)


def _box(cells: Sequence[str]) -> tuple[int, tuple[float, float, float, float]]:
    """The class and the corners, as shares of the picture. Raises ValueError where the cells are no box."""
    label = float(cells[0])
    numbers = [float(cell) for cell in cells[1:]]
    if not label.is_integer() or not 0 <= label < MOST_CLASSES:
        raise ValueError
    if len(numbers) in (4, 5):  # the fifth is how sure a network was
        x, y, wide, high = numbers[:4]
        corner = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
    elif len(numbers) >= 6 and len(numbers) % 2 == 0:
        across, down = numbers[::2], numbers[1::2]
        corner = (min(across), min(down), max(across), max(down))
    else:
        raise ValueError
    if max(map(abs, corner)) > 2:  # pixels, or another format
        raise ValueError
    return int(label), corner


# ---------------------------------------------------------------- names and parts
def _text(tree: Tree, name: str) -> str:
    try:
        data = tree.read(name)
    except (SourceDamaged, OSError) as error:
        raise SourceDamaged(
            tr("{path} cannot be read ({reason}).", path=tree.path / name, reason=reason_of(error))
        ) from error
    if len(data) > MOST_TEXT:
        raise SourceDamaged(
            tr("{path} is larger than {most} MB.", path=tree.path / name, most=MOST_TEXT >> 20)
        )
    return data.decode("utf-8-sig", errors="replace")


def _nearest(tree: Tree, wanted: Sequence[str]) -> str | None:
    """The file of one of these names that lies highest."""
    found = [name for name in tree.files if posixpath.basename(name).casefold() in wanted]
    return min(found, key=lambda name: (name.count("/"), name), default=None)


def _settings(tree: Tree) -> Yaml:
    name = _nearest(tree, _YAML)
    if name is None:
        return {}
    try:
        return read_yaml(_text(tree, name))
    except ValueError as error:
        raise SourceDamaged(
            tr(
                "{path} is not understood: {reason}. It needs a line such as names: [cat, dog].",
                path=tree.path / name,
                reason=error,
            )
        ) from error


def _class_names(tree: Tree, settings: Yaml) -> dict[int, str]:
    """The names of the classes by number; {} where nothing names them, and numbers are their names."""
    given = settings.get("names")
    if isinstance(given, list):
        return dict(enumerate(map(normal, given)))
    if isinstance(given, dict):
        return {int(key): normal(name) for key, name in given.items() if key.isdecimal() and len(key) < 7}
    name = _nearest(tree, _LISTS)
    if name is None:
        return {}
    lines = [normal(line) for line in _text(tree, name).splitlines()]
    return {at: line for at, line in enumerate(lines) if line}


def _told_parts(tree: Tree, settings: Yaml) -> dict[str, str]:
    """The part of each folder that data.yaml names, and of each picture that a list named there names.

    'train: ../train/images' is written by some tools for a folder beside the file: leading '..' are left out, and
    nothing outside the tree is ever looked at.
    """
    found: dict[str, str] = {}
    texts = {name for name in tree.files if name.lower().endswith(".txt")}
    for word in ("train", "val", "valid", "validation", "test"):
        given = settings.get(word, [])
        for one in [given] if isinstance(given, str) else list(given):
            wanted = "/".join(
                step for step in one.replace("\\", "/").split("/") if step not in ("", ".", "..")
            )
            part = part_named(word)
            if not wanted or part is None:
                continue
            lists = [name for name in texts if f"/{name}".endswith(f"/{wanted}")]
            if lists:
                for line in _text(tree, min(lists, key=len)).splitlines():
                    found[f"{normal(stem(line.strip()))}"] = part
            for folder in tree.folders:
                if f"/{wanted}".endswith(f"/{folder}") or f"/{folder}".endswith(f"/{wanted}"):
                    found[below(folder, "")] = part
    return found


def _part(picture: str, told: Mapping[str, str]) -> str:
    """The part of the nearest folder that is named, or of the picture's own name in a list; else its folders' names."""
    folder = posixpath.dirname(picture)
    while folder:
        if part := told.get(f"{folder}/"):
            return part
        folder = posixpath.dirname(folder)
    return told.get(normal(stem(picture))) or part_of(picture) or UNASSIGNED
