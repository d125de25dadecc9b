"""`vistazo check` of pictures: one look at each, what was found, told in words, as JSON, as a page, as review.csv."""

import contextlib
import posixpath
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.engine.progress import Progress
from vistazo.engine.reports import number
from vistazo.errors import ConfigError, DiskError, SourceError, UsageError
from vistazo.language import tr
from vistazo.pictures import health, looking, moving, review_page, reviewing, sources
from vistazo.pictures.crops import cropped
from vistazo.pictures.every import EVERY
from vistazo.pictures.folders import hidden, is_picture, listing
from vistazo.pictures.health import KINDS, Finding, named
from vistazo.pictures.stores import Files, Source
from vistazo.pictures.video import is_video
from vistazo.registry import nearest
from vistazo.remote.addresses import name_of
from vistazo.remote.folders import Folder

__all__ = ["PAGE", "REVIEW", "Asked", "check"]

PAGE, REVIEW = "check.html", "review.csv"
EXAMPLES = 3  # of each kind, in words


@dataclass(frozen=True)
class Asked:
    """What a check is asked for.

    crops: boxes are cut out, and each is a picture. every: seconds between two frames of a video. classes: the file
    with names of numbered classes. labels: to look for wrong ones. fix: kinds whose suggestions become actions. out:
    the folder of the page and review.csv; None for neither. move: the review whose files are to be moved, and nothing
    else done. undo: the log of moves that is to be undone, and nothing else done.
    """

    crops: bool = False
    every: float = EVERY
    classes: Path | None = None
    labels: bool = False
    fix: tuple[str, ...] = ()
    out: Path | None = None
    move: Path | None = None
    undo: Path | None = None

    def require_sense(self) -> None:
        """Raise ConfigError or UsageError where this cannot be meant."""
        if self.move is not None and self.undo is not None:
            raise UsageError(tr("--move and --undo exclude one another: choose one."))
        for kind in self.fix:
            if kind not in KINDS:
                near = nearest(kind, list(KINDS))
                known = ", ".join(KINDS)
                if near:
                    raise ConfigError(
                        tr("--fix: there is no kind '{kind}'. Did you mean '{near}'? Known: {known}.", kind=kind,
                           near=near, known=known)
                    )  # fmt: skip
                raise ConfigError(
                    tr("--fix: there is no kind '{kind}'. Known: {known}.", kind=kind, known=known)
                )
        if self.fix and self.out is None:
            raise UsageError(tr("--fix writes its choices into review.csv: say where, with --out FOLDER."))


def check(path: Path | Folder, asked: Asked, *, seed: int, progress: Progress) -> dict[str, Any]:
    """Look at every picture of a source: {"lines" for people, "findings", "counts", "found", and "files" if written}.

    counts: pictures of each class. found: findings of each kind. Where files were moved: "moved".
    Raises SourceError, ConfigError, UsageError, MissingExtra, DiskError.
    """
    asked.require_sense()
    if asked.move is not None:
        return _move(path, platform.existing(asked.move))
    if asked.undo is not None:
        return _undo(path, platform.existing(asked.undo))
    whole = sources.read_source(path, classes_file=asked.classes, every=asked.every, say=progress.say)
    found = cropped(whole) if asked.crops else whole
    if asked.labels:
        from vistazo.classification import suspects

        suspects.require_cleanlab()
        suspects.require_labels(found.index)
    threads = platform.physical_cores()
    looks = looking.look(found.store, size=looking.sight(found.store), threads=threads, say=progress.say)
    findings = health.examine(found.index, looks, found.broken, _foreign(found))
    answer = sources.describe(whole)
    answer["lines"] += found.notes[len(whole.notes) :]
    if asked.labels:
        doubted, sentence = _suspects(found, looks, seed=seed, progress=progress)
        answer["lines"].append(sentence)
        findings = health.in_order([*findings, *doubted])
    answer["lines"] += _found_lines(findings)
    answer["findings"] = [one.to_json() for one in findings]
    answer["found"] = dict(Counter(one.kind for one in findings))
    if asked.out is not None:
        files = _write(found, findings, path, asked.out, fix=asked.fix, threads=threads)
        answer["files"] = {name: str(file) for name, file in files.items()}
        answer["lines"] += [
            tr("page:    {path}", path=files["page"]),
            tr("review:  {path}", path=files["review"]),
        ]
        if not asked.fix and findings:
            answer["lines"].append(
                tr(
                    "Nothing is chosen in it yet: tick pictures on the page and save review.csv in its place, or fill "
                    "its column action."
                )
            )
    return answer


def _suspects(
    found: Source, looks: looking.Looks, *, seed: int, progress: Progress
) -> tuple[list[Finding], str]:
    platform.wait_quietly()
    from vistazo.classification import suspects
    from vistazo.engine import device as devices

    compute = devices.Compute(
        devices.resolve_device("auto"), "fp32", "channels_last", platform.physical_cores()
    )
    return suspects.find(found.store, found.index, looks, compute=compute, seed=seed, progress=progress)


# ---------------------------------------------------------------- in words
def _found_lines(findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return [tr("Nothing was found that needs a look.")]
    lines = []
    for kind in KINDS:
        mine = [one for one in findings if one.kind == kind]
        if mine:
            known = named(kind) if named(kind) == kind else f"{named(kind)} ({kind})"
            lines.append(f"{known}: {number(len(mine))}")
            lines += [f"  {one.path}: {one.detail}" for one in mine[:EXAMPLES]]
            if len(mine) > EXAMPLES:
                lines.append("  " + tr("... and {n} more", n=len(mine) - EXAMPLES))
    return lines


def _foreign(found: Source) -> list[str]:
    """Files beside pictures that are not named like pictures."""
    folders = {posixpath.dirname(name) for name in found.index.where}
    if found.index.kind == "folder":
        names = listing(Path(found.index.source)).files
    elif found.index.kind == "archive" and zipfile.is_zipfile(found.index.source):
        with zipfile.ZipFile(found.index.source) as archive:
            names = sorted(one.filename for one in archive.infolist() if not one.is_dir())
    else:
        return []
    return [
        name
        for name in names
        if not is_picture(name)
        and not is_video(name)
        and posixpath.dirname(name) in folders
        and not any(map(hidden, name.split("/")))
    ]


# ---------------------------------------------------------------- files
def _name_of(path: Path | Folder) -> str:
    return name_of(path.url) if isinstance(path, Folder) else path.resolve().name or "source"


def _write(
    found: Source,
    findings: Sequence[Finding],
    path: Path | Folder,
    out: Path,
    *,
    fix: Sequence[str],
    threads: int,
) -> dict[str, Path]:
    rows = reviewing.rows_of(findings, fix)
    page = review_page.build(
        found.index,
        found.store,
        findings,
        rows,
        name=_name_of(path),
        # Only a file of a folder can be moved out of it.
        movable=isinstance(found.store, Files) and isinstance(path, Path) and path.is_dir(),
        threads=threads,
    )
    files = {"page": out / PAGE, "review": out / REVIEW}
    try:
        out.mkdir(parents=True, exist_ok=True)
        _keep_choices(files["review"])
        platform.replace_file(files["page"], [page.encode("utf-8")])
    except OSError as error:
        raise DiskError(disk_sentence(out, error)) from error
    reviewing.write(files["review"], rows)
    return files


def _keep_choices(review: Path) -> None:
    """A review that was there may hold an hour of a person's choices: then it is kept under the next free name."""
    if not review.exists():
        return
    with contextlib.suppress(SourceError):
        if not reviewing.corrections(reviewing.read(review), review):
            return
    number_of = 1
    while (kept := review.with_name(f"review-{number_of}.csv")).exists():
        number_of += 1
    review.rename(kept)


# ---------------------------------------------------------------- moving
def _move(path: Path | Folder, review: Path) -> dict[str, Any]:
    """Move the files that a review marks with `move`: {"lines", "findings", "counts", "moved"}.

    Raises what `reviewing.read` and `moving.move` raise, UsageError where nothing is marked.
    """
    asked = reviewing.corrections(reviewing.read(review), review)
    names = [name.replace("\\", "/") for name, one in asked.items() if one.verb == "move"]
    if not names:
        raise UsageError(tr("{path} marks no file with the action move, so nothing was moved.", path=review))
    done = moving.move(path, names)
    lines = [
        tr("files moved to {folder}: {n}", n=done.files, folder=done.log.parent),
        *_left(done),
        tr("bring them back with: vistazo check {path} --undo {log}", path=path, log=done.log),
    ]
    return _moved(lines, done)


def _undo(path: Path | Folder, log: Path) -> dict[str, Any]:
    """Bring back what a log tells of: {"lines", "findings", "counts", "moved"}. Raises as `moving.undo` does."""
    done = moving.undo(path, log)
    return _moved([tr("files brought back: {n}", n=done.files), *_left(done)], done)


def _left(done: moving.Moved) -> list[str]:
    return [tr("left as it is: {name} ({reason})", name=name, reason=reason) for name, reason in done.left]


def _moved(lines: list[str], done: moving.Moved) -> dict[str, Any]:
    left = [{"file": name, "reason": reason} for name, reason in done.left]
    return {
        "lines": lines,
        "findings": [],
        "counts": {},
        "moved": {"files": done.files, "log": str(done.log), "left": left},
    }
