"""A folder with one sub-folder of pictures for each class, or the same layout inside an archive."""

import os
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vistazo.errors import TooFewExamples, WithoutLabels
from vistazo.language import tr
from vistazo.pictures.index import TEST, TRAIN, UNASSIGNED, Broken, Index, indexed, part_named
from vistazo.pictures.stores import Files, Source, reason_of
from vistazo.pictures.video import available, is_video, with_frames

__all__ = ["Listing", "from_paths", "hidden", "is_picture", "listing", "printable", "read_folder"]

# what decoding opens
SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".gif",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".avif",
        ".heic",
        ".heif",
    ]
)
_JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin"})


def read_folder(path: Path, found: "Listing", every: float) -> Source:
    """The pictures that `listing` found below `path`, and a frame of its videos every so many seconds.

    Raises TooFewExamples; SourceDamaged where no video can be read, MissingExtra where there is nothing but videos.
    """
    videos = sum(map(is_video, found.files))
    used = videos > 0 and (available() or not any(map(is_picture, found.files)))
    index, notes = from_paths(found.files, found.folders, path, kind="folder", videos=used)
    if videos and not used:
        notes += (tr("Videos not used: {n}. To use them: pip install 'vistazo[video]'.", n=videos),)
    source = Source(index, Files(path.resolve(), index.where), notes, tuple(found.broken))
    return with_frames(source, path.resolve(), every) if used else source


# ---------------------------------------------------------------- what is there
@dataclass(frozen=True)
class Listing:
    """Everything visible below a root, as relative paths with '/', sorted."""

    files: list[str]
    folders: list[str]
    broken: list[Broken]


def hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or left behind by the system."""
    return name.startswith(".") or name.lower() in _JUNK


def is_picture(name: str) -> bool:
    """Whether a file is named like a picture of a format that is decoded."""
    return posixpath.splitext(name)[1].lower() in SUFFIXES


def printable(name: str) -> bool:
    """Whether a name is valid text."""
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of another encoding, which Linux keeps as they are
        return False
    return True


def listing(root: Path) -> Listing:
    """What is visible below `root`, at any depth.

    Raises OSError where `root` cannot be listed; what lies deeper and cannot is listed as broken.
    """
    found = Listing([], [], [])
    top = root.stat()
    waiting = [("", frozenset({(top.st_dev, top.st_ino)}))]
    while waiting:
        folder, above = waiting.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError:
            if not folder:
                raise
            found.broken.append(Broken(-1, folder, tr("the folder cannot be read")))
            continue
        for entry in entries:
            name = folder + entry.name
            if hidden(entry.name):
                continue
            if not printable(name):
                shown = os.fsencode(name).decode(errors="backslashreplace")
                found.broken.append(Broken(-1, shown, tr("its name is not valid text; rename it")))
                continue
            try:
                if entry.is_dir():
                    about = Path(entry.path).stat()
                    if (about.st_dev, about.st_ino) not in above:  # a link to a folder above would never end
                        found.folders.append(name)
                        waiting.append((name + "/", above | {(about.st_dev, about.st_ino)}))
                elif entry.is_file() or entry.is_symlink():  # a link to nowhere is named when it is read
                    found.files.append(name)
            except OSError as error:  # a link to itself
                found.broken.append(Broken(-1, name, reason_of(error)))
    found.files.sort()
    found.folders.sort()
    return found


# ---------------------------------------------------------------- what it means
@dataclass(frozen=True)
class _Layout:
    where: list[str]
    classes: list[str]
    split: list[str]
    notes: list[str]


def _layout(files: Sequence[str], folders: Sequence[str], source: Path | str, videos: bool) -> _Layout:
    """Read class and part off the paths: [wrapper/]*[part/]class/[anything/]*picture.

    A wrapper is a folder alone in its place that holds folders. Folders are parts where every one of them is
    named like a part, or one is named like training, and they hold folders: 'train' may be a
    class, of locomotives.
    Raises TooFewExamples where there is no picture, no class folder, or a class folder without pictures.
    """
    pictures = [name for name in files if is_picture(name) or (videos and is_video(name))]
    if not pictures:
        kinds = Counter(posixpath.splitext(name)[1].lower() or "-" for name in files)
        raise TooFewExamples(
            tr(
                "{source} has no pictures ({found}). Put pictures (JPEG, PNG, GIF, BMP, WEBP, TIFF or PPM) "
                "in one sub-folder for each class.",
                source=source,
                found=", ".join(f"{kind}: {n}" for kind, n in kinds.most_common(5)) or tr("empty"),
            )
        )
    children: dict[str, list[str]] = {}
    for folder in folders:
        children.setdefault(posixpath.dirname(folder), []).append(folder)
    direct = Counter(posixpath.dirname(name) for name in pictures)

    root = ""
    while len(children.get(root, ())) == 1 and not direct[root]:
        only = children[root][0]
        if part_named(posixpath.basename(only)) or only not in children:
            break
        root = only
    parts = {
        folder: part_named(posixpath.basename(folder))
        for folder in children.get(root, ())
        if folder in children
    }
    named = {folder: part for folder, part in parts.items() if part}
    if TRAIN not in named.values() and len(named) != len(children.get(root, ())):
        named = {}

    layout = _Layout([], [], [], [])
    outside = 0
    depth = len(root.split("/")) if root else 0
    for name in pictures:
        steps = name.split("/")[depth:]
        part = named.get("/".join(name.split("/")[: depth + 1])) if named else UNASSIGNED
        class_at = 1 if named else 0
        if part is None or len(steps) < class_at + 2:
            outside += 1
            continue
        layout.where.append(name)
        layout.classes.append(steps[class_at])
        layout.split.append(part)
    if not layout.where:
        raise WithoutLabels(
            tr(
                "{source} has {n} pictures and no class folders. Put each class in its own sub-folder.",
                source=source,
                n=outside,
            )
        )
    filled = set(zip(layout.split, layout.classes, strict=True))
    for home, part in named.items() if named else ((root, UNASSIGNED),):
        for folder in children.get(home, ()):
            if (part, posixpath.basename(folder)) not in filled and part != TEST:
                raise TooFewExamples(
                    tr(
                        "The class folder '{folder}' in {source} has no pictures. Put pictures in it, or "
                        "remove it.",
                        folder=folder,
                        source=source,
                    )
                )
    if outside:
        layout.notes.append(tr("Pictures outside any class folder, not used: {n}.", n=outside))
    strangers = set(files).difference(pictures)
    others = Counter(posixpath.splitext(name)[1].lower() or name for name in sorted(strangers))
    if others:
        kinds_text = ", ".join(f"{kind} ({n})" for kind, n in others.most_common(5))
        layout.notes.append(tr("Files that are not pictures, not used: {kinds}.", kinds=kinds_text))
    return layout


def from_paths(
    files: Sequence[str], folders: Sequence[str], source: Path | str, *, kind: str, videos: bool = False
) -> tuple[Index, tuple[str, ...]]:
    """The Index of the pictures, and videos where asked for, among sorted relative paths, and notes.

    source: where they are; an address as it may be told.
    Raises TooFewExamples.
    """
    layout = _layout(files, folders, source, videos)
    names = sorted(set(layout.classes))
    number = {name: code for code, name in enumerate(names)}
    codes = np.array([number[name] for name in layout.classes], dtype=np.int64)
    split = np.array(layout.split, dtype="U10")
    place = str(source.resolve()) if isinstance(source, Path) else source
    index, notes = indexed(layout.where, codes, names, split, source=place, kind=kind)
    return index, (*layout.notes, *notes)
