"""`vistazo tune SOURCE --learning-rate`: a rate found by a range test, trained beside the recipe's own.

Its folder holds both runs and the page; the same call on an unfinished one goes on with it.
"""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vistazo import platform, tasks
from vistazo.config import Config, build
from vistazo.engine import runs, working
from vistazo.engine.progress import Progress
from vistazo.engine.runs import Run
from vistazo.errors import ConfigError, RunError
from vistazo.language import tr
from vistazo.remote.addresses import is_url, name_of, shown

if TYPE_CHECKING:
    from vistazo.classification.rate_finding import Found

__all__ = ["find_rate", "holds_rates", "resume"]

FINDS = "finds"  # the mark in config.json


def find_rate(
    source: Any,
    *,
    task: str | None = None,
    out: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Any,
) -> "Found":
    """Test a range of learning rates, train at the suggested one and at the recipe's own, and tell which is better.

    source, settings: as `train` takes them. Raises VistazoError, each with one sentence; Stopped as `train` does.
    """
    platform.command_begins()
    given = tasks.locate(source, quiet=quiet)
    name = task
    if name is None:
        name, why = tasks.recognise(given, settings)
        Progress(quiet=quiet).say(why)
    if name != "classification":
        kind = tr(tasks.tasks[name].learns_from)
        raise ConfigError(
            tr("This version finds learning rates for pictures only, and this is about {kind}.", kind=kind)
        )
    config = build(tasks.tasks[name].config(), settings).anchored()
    asked = {
        "task": name,
        "source": shown(source) if is_url(source) else str(given) if isinstance(given, Path) else None,
        "settings": config.model_dump(mode="json"),
        FINDS: "learning rate",
    }
    plain = (
        name_of(source)
        if is_url(source)
        else given.name.split(".")[0]
        if isinstance(given, Path)
        else "arrays"
    )
    identity = {"task": name, FINDS: asked[FINDS], **config.identity()}
    place = os.fspath(out) if out else None
    with runs.create(place, name=f"rate-{plain}", asked=asked, identity=identity) as run:
        return _work(run, given, config, quiet)


def resume(name: str | os.PathLike[str], *, quiet: bool = False, source: Any = None) -> "Found":
    """Go on where `find_rate` was stopped or killed. source: the arrays again, where it had no path."""
    platform.command_begins()
    folder = runs.resolve(name)
    asked = runs.read_json(folder / "config.json")
    if not {"task", "source", "settings", "identity", FINDS} <= asked.keys():
        raise RunError(
            tr("{path} is damaged or is not that of a run. Start a new run.", path=folder / "config.json")
        )
    if source is None:
        if asked.get("source") is None:
            raise RunError(tr("{folder} was trained on arrays: give them again with source=.", folder=folder))
        source = tasks.locate(asked["source"], quiet=quiet)
    config = build(tasks.tasks[asked["task"]].config(), asked["settings"])
    with runs.create(os.fspath(folder), name="", asked=asked, identity=asked["identity"]) as run:
        return _work(run, source, config, quiet)


def holds_rates(name: str | os.PathLike[str]) -> bool:
    """Whether a folder, or 'last', is that of a learning rate that was looked for."""
    return FINDS in runs.read_json(runs.resolve(name) / "config.json")


def _work(run: Run, source: Any, config: Config, quiet: bool) -> "Found":
    run.clear_control()
    with platform.on_stop_signals(run.stop):
        with working.outcome(run):
            run.status("reading")
            platform.wait_quietly()
            platform.keep_freed_blocks()
            with platform.stops_wait():
                finding = importlib.import_module(f"{tasks.tasks[run.config['task']].package}.rate_finding")
                from vistazo.engine import device
            with device.repeatable(getattr(config, "deterministic", False)):
                found: Found = finding.find(run, source, config, Progress(quiet=quiet))
            run.status("finished")
    return found
