"""The tasks, by name, and the verbs that work for every task. The command line and the Python API call these.

A task is two modules: `config`, free of torch, and `task`, imported only after the run folder exists. A task module
has `train(run, source, config, progress) -> Trained`, `open_model(bundle, path) -> Model` and
`read(run, source, config, progress)`, which raises RunDiffers where the data is not what the run began with.
"""

import importlib
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.config import Config, build
from vistazo.engine import runs
from vistazo.engine.progress import Progress
from vistazo.errors import DiskError, RunError, SourceMissing, Stopped, UsageError, VistazoError
from vistazo.language import mark, tr
from vistazo.registry import Registry

__all__ = ["Model", "Task", "Trained", "load", "resume", "tasks", "train"]


@dataclass(frozen=True)
class Task:
    """A task's modules, as 'package.module'; its config class stands at the given name."""

    package: str
    config_name: str

    def config(self) -> type[Config]:
        found: type[Config] = getattr(importlib.import_module(f"{self.package}.config"), self.config_name)
        return found

    def module(self) -> Any:
        return importlib.import_module(f"{self.package}.task")


tasks: Registry[Task] = Registry(mark("task"))
tasks.register("classification")(Task("vistazo.classification", "ClassificationConfig"))
DEFAULT_TASK = "classification"


@dataclass(frozen=True)
class Trained:
    """What training gave. run: folder. parameters: total. metrics: figures of each part, None where there is none."""

    run: Path
    model: Path
    task: str
    parameters: int
    epochs: int
    seconds: float
    metrics: dict[str, Any]
    report: Path

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        return {**values, "run": str(self.run), "model": str(self.model), "report": str(self.report)}


class Model(Protocol):
    """A trained model, ready to answer."""

    def evaluate(self, source: Any, **options: Any) -> dict[str, Any]:
        """Figures on other data."""
        ...

    def predict(self, files: Any) -> Iterator[dict[str, Any]]:
        """One answer at a time, so that any number of inputs fits in memory."""
        ...


def train(
    source: Any,
    *,
    task: str | None = None,
    out: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Any,
) -> Trained:
    """Train on a source and give the result; the same call on an unfinished run resumes it.

    source: a path, or arrays as the task takes them. out: the run folder. settings: fields of the task's config.
    Raises VistazoError, each with one sentence; Stopped where a signal or the control file asked for it.
    """
    name = task or DEFAULT_TASK
    config = build(tasks[name].config(), settings).anchored()
    path = platform.existing(source).absolute() if isinstance(source, (str, os.PathLike)) else None
    if path is not None and not path.exists():
        raise SourceMissing(tr("There is nothing at {path}. Check the path.", path=source))
    asked = {
        "task": name,
        "source": None if path is None else str(path),
        "settings": config.model_dump(mode="json"),
    }
    identity = {"task": name, **config.identity()}
    plain = path.name.split(".")[0] if path is not None else "arrays"
    given = source if path is None else path
    with runs.create(os.fspath(out) if out else None, name=plain, asked=asked, identity=identity) as run:
        if run.finished:  # a result of other data must not pass for the result of this data
            tasks[name].module().read(run, given, config, Progress(quiet=True))
        return _work(run, given, config, name, quiet)


def resume(
    name: str | os.PathLike[str], *, epochs: int | None = None, quiet: bool = False, source: Any = None
) -> Trained:
    """Continue a run that was stopped or killed, exactly; or a finished one for more epochs.

    name: the run folder or 'last'. epochs: the new total. source: the arrays again, where the run had no path.
    Raises RunError where there is nothing to continue, and whatever `train` raises.
    """
    with runs.open_existing(os.fspath(name)) as run:
        asked = run.config
        if not {"task", "source", "settings"} <= asked.keys():
            raise RunError(
                tr(
                    "{path} is damaged. Start again with: vistazo train SOURCE --out ANOTHER",
                    path=run.folder / "config.json",
                )
            )
        config_class = tasks[asked["task"]].config()
        config = build(config_class, asked["settings"])
        if source is None:
            if asked["source"] is None:
                raise RunError(
                    tr("{folder} was trained on arrays: give them again with source=.", folder=run.folder)
                )
            source = Path(asked["source"])
        if epochs is not None:
            config = build(config_class, {**asked["settings"], "epochs": epochs})
            before = asked.get("decided", {}).get("epochs")
            if before is not None and epochs < before:
                raise UsageError(
                    tr(
                        "{folder} already has a plan of {before} epochs; --epochs must be more.",
                        folder=run.folder,
                        before=before,
                    )
                )
            if before is None or epochs > before:
                extended = {
                    **asked,
                    "settings": config.model_dump(mode="json"),
                    "identity": {"task": asked["task"], **config.identity()},
                }
                if before is not None:
                    extended["decided"] = {**asked["decided"], "epochs": epochs}
                run.status("starting")  # no longer finished
                run.rewrite(extended)
        return _work(run, source, config, asked["task"], quiet)


def load(name: str | os.PathLike[str]) -> Any:
    """The model in a file, a run folder or 'last', ready for `evaluate` and `predict`."""
    from vistazo import bundle

    path = runs.model_file(name)
    platform.wait_quietly()
    contents = bundle.load(path)
    return tasks[contents.task].module().open_model(contents, path)


def _work(run: runs.Run, source: Any, config: Config, task: str, quiet: bool) -> Trained:
    progress = Progress(quiet=quiet)
    if run.finished:
        progress.say(tr("{folder} is finished already; this is its result.", folder=run.folder))
        return _result(run, task)
    run.clear_control()
    # Only now, with the folder in place, is torch imported; a signal from here on ends in a resumable run.
    with platform.on_stop_signals(run.stop):
        try:
            run.status("reading")
            platform.wait_quietly()
            platform.keep_freed_blocks()
            tasks[task].module().train(run, source, config, progress)
            run.status("finished", seconds=round(platform.seconds_since_start(), 3))
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
    return _result(run, task)


def _result(run: runs.Run, task: str) -> Trained:
    told = runs.read_json(run.folder / "metrics.json")
    seconds = runs.read_json(run.folder / "status.json").get("seconds", math.nan)
    return Trained(
        run=run.folder,
        model=run.model,
        task=task,
        parameters=told["parameters"]["total"],
        epochs=told["epochs"],
        seconds=seconds,
        metrics=told["metrics"],
        report=run.folder / "report.html",
    )
