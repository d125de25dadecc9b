"""`--corrections review.csv` in a run: what it says is part of the run, and stays with it.

The setting is sealed: behind the path stands '#' and 16 hexadecimal digits of what the file says. What it says is kept
in the run's folder as corrections.csv. So a resumed or reproduced run does what it began with, whatever became of the
file, and the same command with an edited file is another run.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vistazo import platform
from vistazo.engine.runs import Run
from vistazo.errors import SourceError, VistazoError
from vistazo.language import tr
from vistazo.pictures import reviewing
from vistazo.pictures.crops import cropped
from vistazo.pictures.reviewing import Correction
from vistazo.pictures.stores import Source

__all__ = ["FILE", "Corrections", "kept", "sealed"]

FILE = "corrections.csv"
_BOX = re.compile(r".+#\d+")  # as `crops` calls them
_SEALED = re.compile(r"(?P<path>.+)#(?P<seal>[0-9a-f]{16})", re.DOTALL)


@dataclass(frozen=True)
class Corrections:
    """What to do about pictures, by their paths. file: that said so."""

    file: Path
    of: Mapping[str, Correction]

    def apply(self, found: Source) -> Source:
        """The source as corrected, its boxes cut out; see `reviewing.apply`."""
        if found.index.boxes is None:
            return reviewing.apply(found, self.of, self.file)
        boxes = {name: one for name, one in self.of.items() if _BOX.fullmatch(name)}
        pictures = {name: one for name, one in self.of.items() if name not in boxes}
        found = cropped(reviewing.apply(found, pictures, self.file) if pictures else found)
        return reviewing.apply(found, boxes, self.file) if boxes else found


def sealed(setting: str) -> str:
    """The setting with an absolute path and the seal of what the file says now.

    Raises what `reviewing.read` and `reviewing.corrections` raise, each naming the line.
    """
    told = _SEALED.fullmatch(setting)
    path = platform.existing(told["path"] if told and not Path(setting).exists() else setting).absolute()
    return f"{path}#{reviewing.seal(_read(path).of)}"


def kept(run: Run, setting: str | None) -> Corrections | None:
    """The corrections of a run: those in its folder, or in the folder of the run it belongs to or repeats.

    Where there are none yet, they are read from the file and written into the run's folder. Raises SourceError where
    the file does not say any more what the setting was sealed with, DiskError.
    """
    told = _SEALED.fullmatch(setting or "")
    if told is None:
        return None
    file = Path(told["path"])
    for folder in _homes(run):
        found = _sound(folder / FILE, told["seal"])
        if found is not None:
            break
    else:
        found = _read(file)
        if reviewing.seal(found.of) != told["seal"]:
            raise SourceError(
                tr(
                    "{path} does not say any more what it said when the run was asked for. Start it again.",
                    path=file,
                )
            )
    if not (run.folder / FILE).exists():
        run.write(FILE, "\ufeff" + reviewing.to_csv(reviewing.canonical(found.of)))
    return Corrections(file, found.of)


def _homes(run: Run) -> Iterator[Path]:
    """Folders that may hold the corrections: the run's, the outer runs', and those of the run it reproduces."""
    now: Run | None = run
    while now is not None:
        yield now.folder
        repeated = now.config.get("reproduces", {}).get("run")
        if repeated:
            yield Path(repeated)
        now = now.outer


def _sound(path: Path, seal: str) -> Corrections | None:
    try:
        found = _read(path)
    except VistazoError:  # not there, or damaged: then the file itself is asked
        return None
    return found if reviewing.seal(found.of) == seal else None


def _read(path: Path) -> Corrections:
    return Corrections(path, reviewing.corrections(reviewing.read(path), path))
