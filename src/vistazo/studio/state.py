"""What every page of the studio shares: what may be read, where runs are, the models that were opened."""

import contextlib
import re
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vistazo import language, platform
from vistazo.bundle import disk_sentence
from vistazo.engine.runs import MODEL, read_json
from vistazo.errors import DiskError, RunError, SourceError, SourceMissing
from vistazo.language import mark, tr
from vistazo.studio import working
from vistazo.studio.settings import StudioSettings

__all__ = ["GIVEN", "OWN", "RunState", "Studio", "create", "job_folder", "own_names", "state_of"]

GIVEN = "given"  # in the studio's own folder: files that a model is tried with, while their page stands
DAY = 86_400.0  # seconds after which one is left over from a studio that was killed
OWN = ".studio"  # in the folder of runs: uploads, checks and what is told of processes
CLOCKS = 60.0  # seconds by which the clock may have been set since a process began
KEPT = 3  # models that stay opened, the last ones asked for

_STATES = {
    "starting": mark("Starting"),
    "reading": mark("Reading the data"),
    "training": mark("Learning"),
    "paused": mark("Paused"),
    "measuring": mark("Measuring how good it is"),
    "finished": mark("Finished"),
    "stopped": mark("Stopped; it can go on"),
    "failed": mark("Failed"),
    "interrupted": mark("Interrupted; it can go on"),
}


@dataclass(frozen=True)
class RunState:
    """What status.json tells of a run.

    state: of the words above. told: everything in the status. Numbers that it does not tell are 0.
    """

    run: Path
    state: str
    told: dict[str, Any]

    @property
    def words(self) -> str:
        """The state in the language in force."""
        text = _STATES[self.state]
        return tr(text)

    @property
    def works(self) -> bool:
        """Whether a process works on it, or stands still because it was asked to."""
        return self.state in ("starting", "reading", "training", "paused", "measuring")


def job_folder(run: Path) -> Path:
    """Where the job that works on a run is kept."""
    return run.parent / OWN / "jobs" / run.name


def state_of(run: Path) -> RunState:
    """How a run gets on. A process that died without a word leaves it interrupted."""
    told = read_json(run / "status.json")
    job = working.job_of(job_folder(run))
    phase = told.get("phase")
    if job is not None and job.runs and phase not in ("reading", "training", "measuring"):
        return RunState(run, "starting", {})  # what the status tells is of the process before
    if phase not in _STATES:
        fault = {} if job is None else {"reason": job.error}
        return RunState(run, "interrupted" if job is None else "failed", {**told, **fault})
    state = str(phase)
    if state == "finished" and not (run / MODEL).exists():
        state = "interrupted"
    if state in ("starting", "reading", "training", "measuring"):
        if not _worked_on(told, job):
            return RunState(run, "interrupted", told)
        if told.get("paused"):
            state = "paused"
    return RunState(run, state, told)


def _worked_on(told: dict[str, Any], job: "working.Job | None") -> bool:
    """Whether the process that a status names is that process still, and not another one that was given its number."""
    process = told.get("process")
    if not isinstance(process, int) or not platform.process_alive(process):
        return False
    if job is not None and job.process == process:
        return job.runs
    began = platform.process_began(process)  # of a run that was begun by typing, its number alone is known
    heartbeat = told.get("heartbeat")
    return began is None or not isinstance(heartbeat, int | float) or began <= heartbeat + CLOCKS


@dataclass
class Studio:
    """What pages and panels may use.

    roots: below them files may be read. runs: the folder of runs. Models are kept, so that a second answer is quick.
    """

    roots: tuple[Path, ...]
    runs: Path
    _models: "OrderedDict[tuple[Path, int], Any]" = field(default_factory=OrderedDict, repr=False)
    _sources: "OrderedDict[tuple[Path, int], Any]" = field(default_factory=OrderedDict, repr=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def language(self) -> str:
        """The language of whoever is being answered."""
        return language.current()

    @property
    def own(self) -> Path:
        """The studio's own folder, for what is uploaded and found."""
        return self.runs / OWN

    def may_read(self, path: str | Path) -> Path:
        """The path, links followed, where it lies below what may be read.

        Raises SourceError where it does not, SourceMissing where nothing is there.
        """
        try:
            found = platform.existing(path).resolve()
            inside = any(found.is_relative_to(root) for root in (*self.roots, self.runs))
        except (OSError, ValueError, RuntimeError):
            raise SourceError(tr("{path} is no path that can be read.", path=str(path)[:200])) from None
        if not inside:
            raise SourceError(
                tr(
                    "{path} lies outside the folders that the studio may read ({roots}). Choose another, or start it "
                    "with: vistazo studio --folder FOLDER",
                    path=path,
                    roots=", ".join(map(str, self.roots)),
                )
            )
        try:
            found.stat()
        except (OSError, ValueError):
            raise SourceMissing(tr("There is nothing at {path}. Check the path.", path=path)) from None
        return found

    def run(self, name: str) -> Path:
        """The folder of a run by its name in the list. Raises RunError."""
        plain = bool(name) and not name.startswith(".") and Path(name).name == name and "\\" not in name
        if not plain or not (self.runs / name).is_dir():
            raise RunError(tr("There is no run of the name {name}.", name=name[:100]))
        return self.runs / name

    def list_runs(self) -> list[RunState]:
        """Every run, the one that was worked on last first."""
        try:
            folders = [one for one in self.runs.iterdir() if one.is_dir() and not one.name.startswith(".")]
        except OSError:
            return []
        found = [
            state_of(one) for one in folders if (one / "status.json").exists() or job_folder(one).exists()
        ]
        return sorted(found, key=lambda one: (_heartbeat(one), one.run.name), reverse=True)

    def source(self, path: Path) -> Any:
        """The pictures of a source (`pictures.stores.Source`), read once; call it beside the pages.

        Raises SourceError.
        """
        key = (path, path.stat().st_mtime_ns)
        with self._opening:
            if key not in self._sources:
                from vistazo.pictures import sources

                self._sources[key] = sources.read_source(path, classes_file=None)
            return _last(self._sources, key)

    def model(self, run: Path) -> Any:
        """The trained model of a run, opened once. Takes a while: call it through `nicegui.run.io_bound`.

        Raises RunError where there is none yet, BundleError where it cannot be read.
        """
        file = run / MODEL
        try:
            key = (file, file.stat().st_mtime_ns)
        except OSError:
            raise RunError(tr("{folder} has no finished model yet.", folder=run.name)) from None
        with self._opening:
            if key not in self._models:
                from vistazo import tasks

                self._models[key] = tasks.load(file)
            return _last(self._models, key)


def _last(kept: "OrderedDict[Any, Any]", key: Any) -> Any:
    """What is kept under a key, as the last that was asked for; the oldest is let go."""
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return kept[key]


def _heartbeat(state: RunState) -> float:
    value = state.told.get("heartbeat")
    return float(value) if isinstance(value, (int, float)) else 0.0


_RUNS: dict[str, None] = {}  # folders of runs of the studios of this process


def own_names(text: str, spelt: Callable[[str], str] = str) -> str:
    """A text in which files that the studio keeps have the names that their owner gave them, and runs theirs.

    spelt: how a path stands in the text, such as `html.escape`.
    """
    for runs in _RUNS:
        root = re.escape(spelt(runs)) + r"[/\\]"
        if not re.search(root, text):
            continue
        sent = root + re.escape(OWN) + r"[/\\](?:" + GIVEN + r"|uploads)[/\\][0-9a-f]{16}"
        text = re.sub(sent + r"[/\\]", "", text)
        text = re.sub(sent, lambda _: spelt(tr("what you sent")), text)
        text = re.sub(root + r"[^/\\\n]+[/\\]studio[/\\]samples[/\\]\d+-", "", text)
        text = re.sub(root + r"([^/\\\n]+)[/\\]" + re.escape(MODEL), r"\1", text)
    return text


def _sweep(given: Path) -> None:
    with contextlib.suppress(OSError):
        for one in given.iterdir():
            if time.time() - one.stat().st_mtime > DAY:
                shutil.rmtree(one, ignore_errors=True)


def create(settings: StudioSettings) -> Studio:
    """The studio of these settings; its folders are made. Raises SourceMissing, DiskError."""
    runs = platform.existing(settings.runs).absolute()
    try:
        (runs / OWN).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(disk_sentence(runs, error)) from error
    studio = Studio(settings.roots(), runs.resolve())
    _RUNS[str(studio.runs)] = None
    _sweep(studio.own / GIVEN)
    return studio
