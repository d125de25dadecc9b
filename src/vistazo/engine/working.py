"""How the work on a run begins, goes on and ends: its outcome in status.json, a run inside a run, more epochs.

A run inside another one (RUN/fold-2) is an ordinary run folder with a run of its own: `vistazo resume RUN/fold-2`
works, and so does everything else that takes a run. While the outer run trains it, whoever watches, pauses or stops
the outer run watches, pauses or stops it. What was finished is never done again, so an outer run that was killed
goes on where it was.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.engine import runs
from vistazo.engine.runs import Run, read_json
from vistazo.errors import DiskError, RunError, Stopped, UsageError, VistazoError
from vistazo.language import tr

__all__ = ["lengthen", "outcome", "reproduction", "train_inside"]

# What a run that repeats another one finds out anew: it may have changed, and the comparison says so.
_FOUND_ANEW = ("task", "source", "settings", "identity", "data", "start", "reproduces", "lengthened")


@contextlib.contextmanager
def outcome(run: Run, *, shared: bool = False) -> Iterator[None]:
    """Inside the block the run is worked on; how that ends, well or not, is told in its status.json.

    shared: several processes work on it, and the one that ends it says that it is finished.
    Raises Stopped and VistazoError as they come, DiskError for a disk that is full or read-only.
    """
    try:
        yield
        if not shared:
            run.status("finished")
    except Stopped:
        run.status("stopped")
        raise
    except VistazoError as error:
        run.status("failed", reason=str(error))
        raise
    except OSError as error:
        run.status("failed", reason=str(error))
        if platform.disk_failure(error) == "failing":
            raise
        raise DiskError(disk_sentence(run.folder, error)) from error
    except Exception as error:
        run.status("failed", reason=repr(error))
        raise


def train_inside(
    outer: Run,
    name: str,
    *,
    settings: Mapping[str, Any],
    identity: Mapping[str, Any],
    train: Callable[[Run], None],
    frozen: Mapping[str, Any] | None = None,
) -> Path:
    """Train a whole run in the outer run's folder, or go on with the one that is there; its folder.

    name: the folder's name. settings: of the task's config, as JSON. identity: those that make it the same run.
    train: leaves model.vistazo, metrics.json and the rest in the run it is given; not called where that is finished.
    frozen: decisions that it shares with the outer run or with a sister, such as how to compute.
    Where only the epochs grew, a finished run is trained for longer. Raises VistazoError; Stopped, which names the
    outer run, because that is the one to resume.
    """
    asked: dict[str, Any] = {**(frozen or {})}
    asked |= {name: outer.config.get(name) for name in ("task", "source")}
    asked["settings"] = dict(settings)
    if "reproduces" in outer.config:
        asked["reproduces"] = reproduction(Path(outer.config["reproduces"]["run"]) / name)
    kept = read_json(outer.folder / name / "config.json").get("identity", identity)
    epochs = identity.get("epochs")
    longer = epochs is not None and kept != identity and {**kept, "epochs": epochs} == identity
    try:
        with runs.inside(outer, name, asked=asked, identity=kept if longer else identity) as run:
            if longer:
                lengthen(run, settings, identity)
            if not run.finished:
                run.clear_control()
                with outcome(run):
                    run.status("reading")
                    train(run)
            return run.folder
    except Stopped:
        raise Stopped(
            tr("Stopped; everything is saved. Continue with: vistazo resume {folder}", folder=outer.folder)
        ) from None


def lengthen(run: Run, settings: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Let a run, also a finished one, go on to the total of epochs that `settings` hold.

    Raises UsageError where its plan, or that of a run inside it, has more epochs already.
    """
    epochs, before = settings["epochs"], _planned(run)
    if before is not None and epochs < before:
        raise UsageError(
            tr(
                "{folder} already has a plan of {before} epochs; --epochs must be more.",
                folder=run.folder,
                before=before,
            )
        )
    if before is not None and epochs == before:
        return
    extended = {**run.config, "settings": dict(settings), "identity": dict(identity)}
    if before is not None:  # a schedule that was stretched is not what one training of all epochs follows
        extended["lengthened"] = [*run.config.get("lengthened", ()), before]
    if "decided" in run.config:
        extended["decided"] = {**run.config["decided"], "epochs": epochs}
    run.status("starting")  # no longer finished
    run.rewrite(extended)


def _planned(run: Run) -> int | None:
    """The epochs that a run decided on; where others stand inside it instead, the most of theirs."""
    if "decided" in run.config:
        own: int | None = run.config["decided"].get("epochs")
        return own
    inside = [read_json(path).get("decided", {}) for path in run.folder.glob("*/config.json")]
    return max((one["epochs"] for one in inside if "epochs" in one), default=None)


def reproduction(folder: Path) -> dict[str, Any]:
    """What the config.json of a new run says that is to repeat a finished one: which, on what data, what was frozen.

    `Run.freeze` takes the frozen decisions where the new run finds the same data. Raises RunError where `folder` has
    no whole settings.
    """
    config = read_json(folder / "config.json")
    if not {"task", "settings", "identity", "data"} <= config.keys():
        raise RunError(
            tr("{path} is damaged or is not that of a run. Start a new run.", path=folder / "config.json")
        )
    frozen = {name: value for name, value in config.items() if name not in _FOUND_ANEW}
    return {"run": str(folder.absolute()), "data": config["data"], "frozen": frozen}
