"""Checks of sources: begun in another process, what they found, and what a person decided about it."""

import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.engine.runs import read_json
from vistazo.errors import DiskError, RunError, SourceError
from vistazo.language import tr
from vistazo.pictures import reviewing
from vistazo.studio import working
from vistazo.studio.state import Studio

__all__ = ["Check", "begin", "kind_of", "opened"]


@dataclass(frozen=True)
class Check:
    """A check of a source in the studio's own folder."""

    number: str
    folder: Path
    source: Path

    @property
    def review(self) -> Path:
        """review.csv, with what was decided."""
        return self.folder / "review.csv"

    def job(self) -> working.Job | None:
        """How the look at the pictures gets on."""
        return working.job_of(self.folder)

    def look(self, *, labels: bool) -> None:
        """Look at every picture, in another process. labels: for wrong ones too. Raises DiskError."""
        asked = ["check", str(self.source), "--out", str(self.folder)]
        working.start(self.folder, [*asked, "--labels"] if labels else asked)

    def rows(self) -> list[reviewing.Row]:
        """What was decided about each finding. Raises SourceError."""
        return reviewing.read(self.review) if self.review.exists() else []

    def decide(self, rows: list[reviewing.Row], decided: dict[int, str]) -> list[reviewing.Row]:
        """Give some rows another action, and write all of them. Raises DiskError."""
        changed = [replace(one, action=decided.get(at, one.action)) for at, one in enumerate(rows)]
        reviewing.write(self.review, changed)
        return changed

    def corrects(self) -> bool:
        """Whether a person decided to leave anything out or to give it another class."""
        try:
            return bool(reviewing.corrections(self.rows(), self.review))
        except SourceError:
            return True  # training tells what is wrong in it


def begin(studio: Studio, path: Path) -> str:
    """Begin to check a source; the number of the check. Raises SourceError, DiskError."""
    source = studio.may_read(path)
    number = secrets.token_hex(6)
    folder = studio.own / "checks" / number
    try:
        folder.mkdir(parents=True)
        platform.replace_file(folder / "source.json", [json.dumps({"source": str(source)}).encode()])
    except OSError as error:
        raise DiskError(disk_sentence(folder, error)) from error
    check = Check(number, folder, source)
    check.look(labels=False)
    return number


def opened(studio: Studio, number: str) -> Check:
    """The check of a number. Raises RunError where there is none, SourceError where it may not be read any more."""
    folder = studio.own / "checks" / number
    source = read_json(folder / "source.json").get("source") if number.isalnum() else None
    if not isinstance(source, str):
        raise RunError(tr("This check is not there any more. Begin anew with the pictures."))
    return Check(number, folder, studio.may_read(source))


def kind_of(path: Path) -> str:
    """Whether a path is a 'table' of numbers and words, or 'pictures'."""
    from vistazo.pictures import manifests
    from vistazo.tables import reading

    table = path.is_file() and reading.is_table(path) and not manifests.names_pictures(path)
    return "table" if table else "pictures"
