"""The run folder: everything a run decides and produces, in files other tools can read.

    status.json       phase, process, heartbeat, seconds of all processes so far; rewritten while the run works
    sittings/         of a run that several processes share: who works and worked on it
    lock              held by the working process; a killed process lets go of it by dying
    control           write 'stop' or 'pause' into it and the run obeys within a second
    config.json       what was asked (settings, source), what the data was, what a probe, a budget or the clock decided
    environment.json  machine and versions
    index.parquet     the examples, their parts and groups
    history.jsonl     one line an epoch; equal for equal runs (times.jsonl beside it holds the seconds)
    checkpoints/      the last two states
    model.vistazo  metrics.json  report.html

The folder exists before torch is imported. Nothing in it holds code.

What `train --out RUN` does with an existing folder: empty, or a run killed before it wrote its settings: begins.
The same settings, unfinished: resumes. The same settings, finished: gives its result. Other settings, where no data was
accepted yet: begins anew. Anything else is refused, naming the first setting that differs.
"""

import contextlib
import json
import math
import os
import re
import time
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.config import differing
from vistazo.engine import sittings
from vistazo.errors import DiskError, RunBusy, RunDiffers, RunError, Stopped
from vistazo.language import tr

__all__ = [
    "LAST",
    "MODEL",
    "REPLANNED",
    "Run",
    "create",
    "inside",
    "model_file",
    "open_existing",
    "read_json",
    "resolve",
    "shared",
]

LAST = "last"
RUNS = Path("runs")
MODEL = "model.vistazo"
REPLANNED = "replanned"  # in config.json: how the clock changed a training's plan, see `engine/pacing.py`
Phase = Literal["starting", "reading", "training", "measuring", "finished", "stopped", "failed"]


@dataclass
class Run:
    """One run folder, locked by this process between `create`/`open_existing` and `close`.

    outer: the run in whose folder this one stands; whoever watches or stops that one watches and stops this one.
    sitting: what this process tells of its work on a run that several share.
    """

    folder: Path
    config: dict[str, Any]
    _lock: Any = field(repr=False)
    outer: "Run | None" = None
    sitting: sittings.Sitting | None = None
    _beat: float = 0.0
    _asked: float = 0.0
    _stop: bool = False
    _polled: bool = False
    _began: float = field(default_factory=time.monotonic)
    _earlier: float = 0.0  # seconds of the processes before this one, as far as they told
    reading: float = 0.0  # seconds of all processes until they had read the data

    @property
    def model(self) -> Path:
        return self.folder / MODEL

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def finished(self) -> bool:
        """Whether the run ended with a result."""
        return read_json(self.folder / "status.json").get("phase") == "finished" and self.model.exists()

    def freeze(self, name: str, value: Any) -> Any:
        """Write a decision into config.json, once; a resumed run gets the one that was written.

        Raises RunDiffers where `name` is 'data' and the data is not what it was.
        """
        if name in self.config:
            if name == "data" and self.config[name] != value:
                raise RunDiffers(
                    tr(
                        "The data of {folder} is not what it was when the run began ({key} differs). "
                        "Give back the same data, or start a new run with another --out.",
                        folder=self.folder,
                        key=differing(self.config[name], value),
                    )
                )
            return self.config[name]
        value = self._repeated(name, value)
        self.rewrite({**self.config, name: value})
        return value

    def _repeated(self, name: str, value: Any) -> Any:
        """What the run that this one reproduces had decided, where it learnt from this data on such a device."""
        if not self.repeats(name):
            return value
        found = self.config["reproduces"]["frozen"][name]
        elsewhere = name == "compute" and found["device"] != value["device"]
        return value if elsewhere else found

    def repeats(self, name: str) -> bool:
        """Whether a decision of that name is taken over from the run that this one reproduces, on the same data."""
        kept = self.config.get("reproduces", {})
        return name in kept.get("frozen", {}) and self.config.get("data", kept["data"]) == kept["data"]

    def rewrite(self, config: dict[str, Any]) -> None:
        """Replace config.json."""
        self.config = config
        self.write("config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")

    def write(self, name: str, text: str) -> None:
        """Write a file of the run, whole or not at all. Raises DiskError."""
        path = self.folder / name
        try:
            platform.replace_file(path, (text.encode("utf-8"),))
        except OSError as error:
            raise DiskError(disk_sentence(path, error)) from error

    def status(self, phase: Phase, *, at_once: bool = True, **progress: Any) -> None:
        """Tell whoever watches; inside loops (`at_once=False`) at most once a second."""
        now = time.time()
        if not at_once and now - self._beat < 1.0:
            return
        self._beat = now
        if self.sitting is not None:
            self.sitting.tell(self.seconds())
            if self.finished:  # another process has ended it
                return
        if self.outer is not None:
            about = {"inside": self.folder.name, "inside_phase": phase}
            self.outer.status("training", at_once=at_once, **{**progress, **about})
        told = {"phase": phase, "process": os.getpid(), "heartbeat": round(now, 3), **progress}
        told |= {"seconds": round(self.spent(), 3), "reading": round(self.reading, 3)}
        beside = self.folder / f".status.{os.getpid()}.part"
        try:  # without a flush to disk: a heartbeat that a power cut loses was worth nothing
            beside.write_text(json.dumps(told), encoding="utf-8")
            os.replace(beside, self.folder / "status.json")
        except OSError as error:
            if phase == "finished":  # the one status that later decisions rest on
                raise DiskError(disk_sentence(self.folder / "status.json", error)) from error

    def stop(self) -> None:
        """Ask the run to stop (what a signal does): at the next step inside `polling`, at once elsewhere.

        Elsewhere it raises Stopped: files are written whole or not at all, so any moment is a good one.
        """
        self._stop = True
        if not self._polled:
            raise Stopped(
                tr("Stopped; everything is saved. Continue with: vistazo resume {folder}", folder=self.folder)
            )

    @contextlib.contextmanager
    def polling(self) -> Iterator[None]:
        """Inside the block somebody calls `asked_to_stop` often, and a stop waits for that."""
        self._polled = True
        try:
            with self.outer.polling() if self.outer else contextlib.nullcontext():
                yield
        finally:
            self._polled = False

    def asked_to_stop(self) -> bool:
        """Whether a signal or the control file asks for a stop; sits out a pause (looked at twice a second)."""
        if self.outer is not None and self.outer.asked_to_stop():
            return True
        while not self._stop:
            now = time.monotonic()
            if now - self._asked < 0.5:
                return False
            self._asked = now
            word = self._control()
            if word == "stop":
                self._stop = True
            elif word != "pause":
                return False
            else:
                self.status("training", at_once=False, paused=True)
                time.sleep(0.5)
        return True

    def _control(self) -> str:
        try:
            return (self.folder / "control").read_text(encoding="utf-8")[:16].strip().lower()
        except (OSError, UnicodeDecodeError):
            return ""

    def clear_control(self) -> None:
        """Forget what the control file asked: a run that is started again is meant to run."""
        with contextlib.suppress(OSError):
            (self.folder / "control").unlink(missing_ok=True)
        self._stop = False

    def seconds(self) -> float:
        """Seconds of this process so far; of a run inside another one, since it was opened."""
        return platform.seconds_since_start() if self.outer is None else self.worked()

    def spent(self) -> float:
        """Seconds of all processes that worked on this run; of one that was killed, up to its last status.

        Where several share the run: those in which at least one of them worked on it.
        """
        own = self.seconds()
        return self._earlier + (own if self.sitting is None else self.sitting.spent(own))

    def count_from(self, seconds: float, reading: float) -> None:
        """What the processes before this one took, all in all and to read the data."""
        self._earlier, self.reading = seconds, reading

    def has_read(self) -> None:
        """What this process did so far was to read the data."""
        self.reading += self.seconds()

    def worked(self) -> float:
        """Seconds since the run was opened here, which in a long Python session is not when the process began."""
        return time.monotonic() - self._began

    def remember(self) -> None:
        """Make this run what `last` means in this folder; where that cannot be written, nothing is lost."""
        with contextlib.suppress(OSError):
            RUNS.mkdir(exist_ok=True)
            (RUNS / LAST).write_text(str(self.folder.resolve()), encoding="utf-8")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Inside the block this process alone decides on a run that several work on; config.json is read anew.

        A process that dies in it lets go of it. Raises DiskError; Stopped where the run is asked to stop meanwhile.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / "lock")
        try:
            while True:
                try:
                    lock.acquire(timeout=1.0, poll_interval=0.01)
                    break
                except Timeout:
                    if self.asked_to_stop():
                        self._polled = False
                        self.stop()
        except OSError as error:
            raise DiskError(disk_sentence(self.folder / "lock", error)) from error
        try:
            self.config = read_json(self.folder / "config.json")
            yield
        finally:
            lock.release()

    def close(self) -> None:
        self._lock.release()


@contextlib.contextmanager
def create(
    out: str | None, *, name: str, asked: Mapping[str, Any], identity: Mapping[str, Any]
) -> Iterator[Run]:
    """A new run folder, or the existing one that `asked` means; locked inside the block.

    out: the folder the user named; None for `runs/<name>-<n>`.
    asked: what config.json begins with. identity: the settings that make two runs the same run.
    Raises RunBusy, RunDiffers, RunError, DiskError.
    """
    folder = _make_folder(out, name)
    if "identity" not in read_json(folder / "config.json"):
        _refuse_strangers(folder)  # before the lock: nothing is left in a folder that is not ours
    with _locked(folder) as run:
        _settle(run, asked, identity)
        run.remember()
        yield run


@contextlib.contextmanager
def inside(outer: Run, name: str, *, asked: Mapping[str, Any], identity: Mapping[str, Any]) -> Iterator[Run]:
    """A run in a folder of another's own, such as RUN/fold-2: like `create`, but `last` stays the outer run.

    Raises RunBusy, RunDiffers, RunError, DiskError.
    """
    folder = _make_folder(os.fspath(outer.folder / name), name)
    if "identity" not in read_json(folder / "config.json"):
        _refuse_strangers(folder)
    with _locked(folder) as run:
        run.outer = outer
        _settle(run, asked, identity)
        yield run


def _settle(run: Run, asked: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Begin the run, or raise RunDiffers where its folder holds one with other settings."""
    key = differing(run.config.get("identity", {}), identity)
    # Where nothing was read yet nothing is lost: a first try that was refused must not take the folder.
    if not run.config or (key is not None and "data" not in run.config and not run.finished):
        run.count_from(0.0, 0.0)
        run.status("starting")
        run.rewrite({**asked, "identity": dict(identity)})
    elif key is not None:
        raise _differs(run, key, identity)


def _differs(run: Run, key: str, identity: Mapping[str, Any]) -> RunDiffers:
    return RunDiffers(
        tr(
            "{folder} holds a run with another {key} ({old} there, {new} asked). "
            "Choose another --out, or continue that run with: vistazo resume {folder}",
            folder=run.folder,
            key=key,
            old=run.config.get("identity", {}).get(key),
            new=identity.get(key),
        )
    )


@contextlib.contextmanager
def shared(
    out: str | None, *, name: str, asked: Mapping[str, Any], identity: Mapping[str, Any]
) -> Iterator[Run]:
    """Like `create`, but of a run that several processes work on: the lock is held only while its settings are written.

    Who changes its config.json later takes `Run.alone` for that. Raises RunDiffers, RunError, DiskError.
    """
    folder = _make_folder(out, name)
    run = Run(folder, {}, _Unlocked())
    if "identity" not in read_json(folder / "config.json"):
        try:
            _refuse_strangers(folder)  # before the lock: nothing is left in a folder that is not ours
        except RunError:
            if "identity" not in read_json(folder / "config.json"):  # else another began it just now
                raise
    with run.alone():
        before = run.config.get("identity", {})
        key = differing(before, identity)
        if (
            run.config and key is not None and sittings.at_work(folder)
        ):  # nobody may begin anew what another works on
            raise _differs(run, key, identity)
        run.count_from(0.0, _number(read_json(folder / "status.json").get("reading")))
        _settle(run, asked, identity)
        if run.config["identity"] != before:
            sittings.forget(folder)
        run.sitting = sittings.Sitting(folder, run.seconds())
    try:
        run.remember()
        yield run
    finally:
        run.sitting.end(run.seconds())


class _Unlocked:
    """What stands for the lock of a run that several processes share."""

    def release(self) -> None:
        return


@contextlib.contextmanager
def open_existing(name: str) -> Iterator[Run]:
    """The run of that name (a folder, or `last`), locked inside the block. Raises RunError, RunBusy."""
    folder = resolve(name)
    if not folder.is_dir():
        raise RunError(tr("There is no run at {folder}.", folder=folder))
    if not (folder / "config.json").exists():
        if not (folder / "status.json").exists() and any(folder.iterdir()):
            raise _no_run(folder)
        raise RunError(
            tr(
                "{folder} has no config.json: it is no run, or it was killed before it began. "
                "Start it with: vistazo train SOURCE --out {folder}",
                folder=folder,
            )
        )
    with _locked(folder) as run:
        if "identity" not in run.config:
            raise RunError(
                tr("{path} is damaged or is not that of a run. Start a new run.", path=folder / "config.json")
            )
        run.remember()
        yield run


def _no_run(folder: Path) -> RunError:
    return RunError(
        tr(
            "{folder} is not the folder of a run, and no model is in it. Name a model, or train one: "
            "vistazo train SOURCE",
            folder=folder,
        )
    )


def _make_folder(out: str | None, name: str) -> Path:
    while True:
        folder = platform.existing(out) if out else _next_folder(name)
        try:
            folder.mkdir(parents=True, exist_ok=out is not None)
        except FileExistsError:
            if out is None:  # another process took that number a moment ago
                continue
            raise RunError(tr("{folder} is a file; --out needs a folder.", folder=folder)) from None
        except OSError as error:
            raise DiskError(disk_sentence(folder, error)) from error
        return folder


def _refuse_strangers(folder: Path) -> None:
    ours = ("lock", "status.json", "control", sittings.FOLDER)
    strangers = sorted(
        path.name for path in folder.iterdir() if path.name not in ours and not path.name.startswith(".")
    )
    if strangers:
        raise RunError(
            tr(
                "{folder} is not empty and is not a run ('{name}' is in it). Choose another --out.",
                folder=folder,
                name=strangers[0],
            )
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[Run]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        process = read_json(folder / "status.json").get("process", "?")
        raise RunBusy(
            tr(
                "{folder} is in use by process {process}. Wait for it, or stop it by writing 'stop' into {control}.",
                folder=folder,
                process=process,
                control=folder / "control",
            )
        ) from None
    except OSError as error:
        raise DiskError(disk_sentence(folder / "lock", error)) from error
    for left in (
        *folder.glob(".*.part"),
        *folder.glob("checkpoints/.*.part"),
    ):  # by a process that was killed
        with contextlib.suppress(OSError):
            left.unlink()
    run = Run(folder, read_json(folder / "config.json"), lock)
    kept = read_json(folder / "status.json")
    run.count_from(*(_number(kept.get(name)) for name in ("seconds", "reading")))
    try:
        yield run
    finally:
        run.close()


def resolve(name: str | os.PathLike[str]) -> Path:
    """The path that a MODEL or RUN word means: itself, or the last run of this folder for `last`."""
    if str(name) == LAST and not Path(LAST).exists():
        try:
            return Path((RUNS / LAST).read_text(encoding="utf-8").strip())
        except OSError:
            raise RunError(
                tr("There is no last run in this folder yet. Name one, or start with: vistazo train SOURCE")
            ) from None
    return platform.existing(name)


def model_file(name: str | os.PathLike[str]) -> Path:
    """The .vistazo file that a MODEL word means: a file, a run folder, or `last`. Raises RunError."""
    path = resolve(name)
    if path.is_dir():
        inside = path / MODEL
        if not inside.exists():
            if not any((path / name).exists() for name in ("config.json", "status.json")):
                raise _no_run(path)  # a folder of pictures, say: to resume there would begin a run among them
            raise RunError(
                tr(
                    "{folder} has no finished model yet. Continue it with: vistazo resume {folder}",
                    folder=path,
                )
            )
        return inside
    if not path.exists():
        raise RunError(tr("There is no model at {path}.", path=path))
    return path


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a small file; {} where there is none or it cannot be read."""
    try:
        if path.stat().st_size > 64 << 20:
            return {}
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0


def _next_folder(name: str) -> Path:
    plain = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", name)).strip("-.") or "run"
    taken = [0]
    if RUNS.is_dir():
        pattern = re.compile(re.escape(plain) + r"-(\d+)")
        taken += [int(found[1]) for path in RUNS.iterdir() if (found := pattern.fullmatch(path.name))]
    return RUNS / f"{plain}-{max(taken) + 1}"
