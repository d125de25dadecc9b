"""The tasks, by name, and the verbs that work for every task. The command line and the Python API call these.

A task is a package with these modules:

    config   the settings of a run; free of torch
    telling  what the command line says of its figures and answers; free of torch
    models   its networks: `listing()` tells them
    task     imported only after the run folder exists: `train(run, source, config, progress)`,
             `open_model(bundle, path) -> Model`, and `read(run, source, config, progress)`, which raises
             RunDiffers where the data is not what the run began with
    exporting  `export(model, out, verify=, precision=, say=)`: a model becomes an .onnx file, with its proof
    exported   `open_model(file: OnnxFile) -> Model` that answers by onnxruntime; free of torch
"""

import importlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vistazo import platform
from vistazo.config import Config, build, flag_of
from vistazo.engine import runs, working
from vistazo.engine.progress import Progress
from vistazo.errors import ConfigError, RunError, SourceError, SourceMissing, UsageError, VistazoError
from vistazo.language import mark, tr
from vistazo.registry import Registry
from vistazo.remote import addresses
from vistazo.remote.addresses import is_url, name_of
from vistazo.tables.config import TableConfig

if TYPE_CHECKING:
    from vistazo.engine.comparing import Comparison

__all__ = [
    "Model",
    "Task",
    "Trained",
    "check",
    "load",
    "locate",
    "recognise",
    "reproduce",
    "resume",
    "task_of",
    "tasks",
    "train",
]


@dataclass(frozen=True)
class Task:
    """A task's package; its config class stands at the given name. learns_from: what a person gives it, in a word."""

    package: str
    config_name: str
    learns_from: str

    def config(self) -> type[Config]:
        found: type[Config] = getattr(self._import("config"), self.config_name)
        return found

    def telling(self) -> Any:
        return self._import("telling")

    def models(self) -> Any:
        return self._import("models")

    def module(self) -> Any:
        return self._import("task")

    def exporting(self) -> Any:
        return self._import("exporting")

    def exported(self) -> Any:
        return self._import("exported")

    def _import(self, name: str) -> Any:
        whole = f"{self.package}.{name}"
        try:
            return importlib.import_module(whole)
        except ModuleNotFoundError as error:
            if error.name not in (self.package, whole):
                raise
            # The folder of an exported service holds the code of its own task alone, and none that trains.
            raise UsageError(
                tr(
                    "The code that this model of {inputs} needs is not in this installation. A folder that was made by "
                    "vistazo export --service takes exported models (.onnx) of the task that it was made for.",
                    inputs=tr(self.learns_from),
                )
            ) from None


tasks: Registry[Task] = Registry(mark("task"))
tasks.register("classification")(Task("vistazo.classification", "ClassificationConfig", mark("pictures")))
tasks.register("forecasting")(Task("vistazo.forecasting", "ForecastingConfig", mark("series")))
tasks.register("tabular")(Task("vistazo.tabular", "TabularConfig", mark("tables")))


def recognise(source: Any, settings: Mapping[str, Any]) -> tuple[str, str]:
    """The task that a source and its settings mean, and the sentence that says why.

    A setting that only one task has decides. Otherwise: a table with a column of pictures' paths is a manifest, one
    with a column of dates a series, any other a table whose target must be named; all else is pictures.
    Raises ConfigError where settings of two tasks are mixed or the target is missing, SourceError, also where pictures
    have boxes: what they are for must be said until detection is here.
    """
    owners = {
        name: [task for task in tasks if name in tasks[task].config().model_fields] for name in settings
    }
    named = {several[0]: name for name, several in owners.items() if len(several) == 1}
    if len(named) > 1:
        (one, first), (other, second), *_ = named.items()
        raise ConfigError(
            tr(
                "--{first} belongs to {one} and --{second} to {other}: leave one of them out.",
                first=_flag(one, first),
                one=tr(one),
                second=_flag(other, second),
                other=tr(other),
            )
        )
    if isinstance(source, Path):
        _refuse_boxes(source)
    if named:
        (task, name), *_ = named.items()
        return task, tr("task: {task}, because of --{name}", task=tr(task), name=_flag(task, name))
    if isinstance(source, Path) and source.is_file():
        from vistazo.tables import reading

        if reading.is_table(source):
            return _recognise_table(source, settings)
    return "classification", tr("task: {task}", task=tr("classification"))


def _refuse_boxes(path: Path) -> None:
    from vistazo.pictures import formats

    kind = formats.holds_boxes(path)
    if kind:
        name = formats.KINDS[kind]
        shown = tr(name)
        raise SourceError(
            tr(
                "{path} has boxes around the things in its pictures ({format}), and this version of Vistazo does not "
                "learn to find things yet. To learn what each box shows, cut out of its picture, add --task "
                "classification.",
                path=path,
                format=shown,
            )
        )


def _recognise_table(path: Path, settings: Mapping[str, Any]) -> tuple[str, str]:
    from vistazo.pictures import manifests
    from vistazo.tables.reading import read_table

    if manifests.names_pictures(path):
        return "classification", tr(
            "task: {task}, because a column names pictures", task=tr("classification")
        )
    known = {name: value for name, value in settings.items() if name in TableConfig.model_fields}
    table = read_table(path, build(TableConfig, known))
    for column in table.columns:
        if column.kind == "date":
            return "forecasting", tr(
                "task: {task}, because the column '{column}' holds dates",
                task=tr("forecasting"),
                column=column.name,
            )
    from vistazo.tables.checking import almost_dates

    hint = almost_dates(table)
    raise ConfigError(
        tr(
            "{path} has no column of dates, so it is no series: say which column to learn with --target "
            "(columns: {columns}).",
            path=path,
            columns=", ".join(table.names)[:300],
        )
        + (f" {hint}" if hint else "")
    )


def _flag(task: str, name: str) -> str:
    return flag_of(tasks[task].config(), name)


@dataclass(frozen=True)
class Trained:
    """What training gave. run: folder. parameters: total. metrics: figures of each part, None where there is none.

    study: of several runs that make one: how many of which kind, the figures of each, and of each class.
    """

    run: Path
    model: Path
    task: str
    parameters: int
    epochs: int
    seconds: float
    metrics: dict[str, Any]
    report: Path
    study: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        values |= values.pop("study")
        return {**values, "run": str(self.run), "model": str(self.model), "report": str(self.report)}

    def _repr_html_(self) -> str:
        """The report inside a notebook of Jupyter or Colab, which ask for it by this name."""
        from vistazo.engine.reports import to_notebook

        return to_notebook(self.report.read_text(encoding="utf-8"))


class Model(Protocol):
    """A trained model, ready to answer.

    task: its registered name. columns: the values of an answer that a table holds. pictures: by the ending of a
    file's name, what draws all answers as that file's bytes.
    """

    task: str
    columns: Mapping[str, type]
    pictures: Mapping[str, Callable[[list[dict[str, Any]]], bytes]]

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
    platform.command_begins()
    name = task or ""
    if name:
        config = build(tasks[name].config(), settings)  # a mistyped setting is told before a missing file
    given = locate(source, quiet=quiet)
    if not name:
        name, why = recognise(given, settings)
        Progress(quiet=quiet).say(why)
        config = build(tasks[name].config(), settings)
    config = config.anchored()
    asked = {
        "task": name,
        "source": _remembered(source, given),
        "settings": config.model_dump(mode="json"),
    }
    identity = {"task": name, **config.identity()}
    plain = (
        name_of(source)
        if is_url(source)
        else given.name.split(".")[0]
        if isinstance(given, Path)
        else "arrays"
    )
    with runs.create(os.fspath(out) if out else None, name=plain, asked=asked, identity=identity) as run:
        if run.finished:  # a result of other data must not pass for the result of this data
            tasks[name].module().read(run, given, config, Progress(quiet=True))
        return _work(run, given, config, name, quiet)


def locate(source: Any, *, quiet: bool) -> Any:
    """What a source is: a path that exists, a folder elsewhere, or, where it is arrays, itself.

    The file at an address is copied into the cache first. Raises SourceError, MissingExtra, DiskError.
    """
    if is_url(source):
        from vistazo.remote.opening import opened

        return opened(source, say=Progress(quiet=quiet).say, anew=True)
    if not isinstance(source, (str, os.PathLike)):
        return source
    path = platform.existing(source).absolute()
    if not path.exists():
        raise _nothing_at(source)
    return path


def _remembered(source: Any, given: Any) -> str | None:
    """What config.json keeps of a source: never a password or a key."""
    if is_url(source):
        return addresses.shown(source)
    return str(given) if isinstance(given, Path) else None


def _nothing_at(source: str | os.PathLike[str]) -> SourceMissing:
    """The error for a path where nothing is; it may be the name of a data set that can be had."""
    from vistazo.pictures.known import known_as

    name = known_as(os.fspath(source))
    if name:
        return SourceMissing(
            tr(
                "There is nothing at {path}. The data set of that name: vistazo data {name}",
                path=source,
                name=name,
            )
        )
    return SourceMissing(tr("There is nothing at {path}. Check the path.", path=source))


def check(
    source: str | os.PathLike[str],
    config: TableConfig,
    *,
    augmented: Mapping[str, Any] | None = None,
    every: str | None = None,
    classes: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    task: str | None = None,
    labels: bool = False,
    fix: Sequence[str] = (),
    move: str | os.PathLike[str] | None = None,
    undo: str | os.PathLike[str] | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """How a source is read and what is wrong in it: {"source", "lines" for people, "findings", "counts"}.

    What follows is of pictures alone.
    augmented: settings of a classification run whose changes of pictures are to be drawn.
    every: time between two frames of a video, as in '2s'. classes: file with names of numbered classes.
    task: classification, where boxes are to be cut out.
    out: the folder of a page and review.csv, or a .png to draw into. labels: look for wrong ones too. fix: kinds of
    findings whose suggestions become actions. move: the review.csv whose files with the action move are to be moved.
    undo: the log that moving wrote, to bring them back.
    Raises SourceError where it cannot be read, ConfigError where an option must decide how.
    """
    path = locate(source, quiet=quiet) if is_url(source) else platform.existing(source)
    if isinstance(path, Path) and not path.exists():
        raise _nothing_at(source)
    from vistazo.pictures import folders, manifests
    from vistazo.tables import reading

    place = None if out is None else Path(out)
    drawing = Path("augmented.png") if place is None else place / "augmented.png"
    if place is not None and folders.is_picture(place.name) and not place.is_dir():
        augmented, drawing, place = augmented or {}, place, None
    if (
        isinstance(path, Path)
        and path.is_file()
        and reading.is_table(path)
        and not manifests.names_pictures(path)
    ):
        from vistazo.tables import checking

        asked = {"labels": labels, "fix": fix, "move": move, "undo": undo, "out": place}
        _require_pictures(path, task=task == "classification", **asked)
        if augmented is not None:
            raise UsageError(
                tr("--augmented shows pictures, and {path} is a table; leave it out.", path=path)
            )
        told = checking.check(reading.read_table(path, config))
    else:
        from vistazo.classification import checking as pictures
        from vistazo.pictures.every import interval

        wanted = pictures.Asked(
            crops=_cuts_boxes(task, source),
            every=interval(every),
            classes=None if classes is None else Path(classes),
            labels=labels,
            fix=tuple(fix),
            out=place,
            move=None if move is None else Path(move),
            undo=None if undo is None else Path(undo),
        )
        told = pictures.check(path, wanted, seed=0, progress=Progress(quiet=quiet))
        if augmented is not None:
            told = _drawn(path, augmented, drawing, told)
    return {"source": addresses.shown(source) if is_url(source) else str(source), **told}


def _cuts_boxes(task: str | None, source: object) -> bool:
    """Whether --task asks for the boxes of pictures. Raises UsageError for a task that is not of pictures."""
    if task is not None and task != "classification":
        learns_from = tasks[task].learns_from  # or there is no such task
        raise UsageError(
            tr(
                "--task {task} learns from {kind}, and {path} has pictures; leave it out.",
                task=task,
                kind=tr(learns_from),
                path=source,
            )
        )
    return task is not None


def _drawn(path: Any, augmented: Mapping[str, Any], drawing: Path, told: dict[str, Any]) -> dict[str, Any]:
    """What was told, and of a picture of what the network will see."""
    from vistazo.classification.config import ClassificationConfig

    config = build(ClassificationConfig, augmented).anchored()
    platform.wait_quietly()
    from vistazo.classification import showing

    drawn = showing.show(path, config, drawing)
    return {**told, **drawn, "lines": [*told["lines"], *drawn["lines"]]}


def _require_pictures(source: object, **asked: Any) -> None:
    for name, value in asked.items():
        if value:
            raise UsageError(
                tr("--{name} is for pictures, and {path} is a table; leave it out.", name=name, path=source)
            )


def resume(
    name: str | os.PathLike[str], *, epochs: int | None = None, quiet: bool = False, source: Any = None
) -> Trained:
    """Continue a run that was stopped or killed, exactly; or a finished one for more epochs.

    name: the run folder or 'last'. epochs: the new total. source: the arrays again, where the run had no path.
    Raises RunError where there is nothing to continue, and whatever `train` raises.
    """
    platform.command_begins()
    with runs.open_existing(os.fspath(name)) as run:
        asked = run.config
        if not {"task", "source", "settings"} <= asked.keys():
            raise RunError(
                tr(
                    "{path} is damaged. Start again with: vistazo train SOURCE --out ANOTHER",
                    path=run.folder / "config.json",
                )
            )
        if {"search", "finds"} & asked.keys():  # of `tune`; to train here would mix a run into it
            raise RunError(
                tr(
                    "{folder} is a search, not a run. Continue it with: vistazo resume {folder}",
                    folder=run.folder,
                )
            )
        config_class = tasks[asked["task"]].config()
        config = build(config_class, asked["settings"])
        if source is None:
            if asked["source"] is None:
                raise RunError(
                    tr("{folder} was trained on arrays: give them again with source=.", folder=run.folder)
                )
            source = asked["source"] if is_url(asked["source"]) else Path(asked["source"])
        if epochs is not None:
            if asked["settings"].get("time"):
                raise UsageError(
                    tr(
                        "{folder} keeps to a time, not to a number of epochs; train anew without --time.",
                        folder=run.folder,
                    )
                )
            config = build(config_class, {**asked["settings"], "epochs": epochs})
            working.lengthen(
                run, config.model_dump(mode="json"), {"task": asked["task"], **config.identity()}
            )
        return _work(run, source, config, asked["task"], quiet)


def reproduce(
    name: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    source: Any = None,
) -> "Comparison":
    """Do a finished run again, with its settings and all that was decided for it, and say whether it came out equal.

    name: the run folder or 'last'. out: the new run's folder (default: RUN-reproduced, or the next free number
    behind it); where it is an unfinished reproduction, that goes on. source: the arrays again, where the run had no
    path. Another machine, torch or data is no error: the comparison tells it.
    Raises RunError where there is no finished run to repeat, and whatever `train` raises.
    """
    folder = runs.resolve(name)
    runs.model_file(folder)
    asked = runs.read_json(folder / "config.json")
    if "search" in asked:
        raise RunError(
            tr("{folder} is a search: repeat its winner with: vistazo reproduce {folder}/best", folder=folder)
        )
    repeated = working.reproduction(folder)
    if runs.read_json(folder / "status.json").get("phase") != "finished":
        raise RunError(
            tr("{folder} is not finished. Continue it with: vistazo resume {folder}", folder=folder)
        )
    if source is None and asked.get("source") is None:
        raise RunError(tr("{folder} was trained on arrays: give them again with source=.", folder=folder))
    given = source
    if source is None:
        given = asked["source"] if is_url(asked["source"]) else Path(asked["source"])
    if isinstance(given, Path) and not given.exists():
        raise SourceMissing(tr("There is nothing at {path}. Check the path.", path=given))
    place = _reproduced(folder) if out is None else Path(out)
    if place.absolute() == folder.absolute():
        raise RunError(tr("{folder} is the run itself; choose another --out.", folder=folder))
    task = asked["task"]
    config = build(tasks[task].config(), asked["settings"])
    begun = {**{key: asked[key] for key in ("task", "source", "settings")}, "reproduces": repeated}
    identity = {"task": task, **config.identity()}
    with runs.create(os.fspath(place), name=place.name, asked=begun, identity=identity) as run:
        _work(run, given, config, task, quiet)
    from vistazo.engine.comparing import compare

    return compare(folder, run.folder)


def _reproduced(folder: Path) -> Path:
    """RUN-reproduced, or the first of RUN-reproduced-2 ... that holds no finished run."""
    folder = folder if folder.name not in ("", "..") else folder.resolve()
    number = 1
    while True:
        place = folder.with_name(f"{folder.name}-reproduced" + (f"-{number}" if number > 1 else ""))
        if runs.read_json(place / "status.json").get("phase") != "finished":
            return place
        number += 1


def task_of(path: Path) -> str | None:
    """The task that a model file says it is for, unproved and without torch; None where it does not tell."""
    from vistazo import bundle
    from vistazo.engine import onnx_file

    try:
        facts = (
            onnx_file.metadata_of(path.read_bytes(), path) if path.suffix == ".onnx" else bundle.glance(path)
        )
    except (OSError, VistazoError):
        return None
    task = facts.get("task")
    return task if isinstance(task, str) and task in tasks else None


def load(name: str | os.PathLike[str]) -> Any:
    """The model in a file, a run folder or 'last', ready for `evaluate` and `predict`.

    Of an exported file (.onnx) the answers are onnxruntime's, and torch is not imported.
    """
    path = runs.model_file(name)
    if path.suffix == ".onnx":
        from vistazo.engine import onnx_file

        file = onnx_file.opened(path)
        return tasks[file.task].exported().open_model(file)
    from vistazo import bundle

    platform.wait_quietly()
    contents = bundle.load(path)
    return tasks[contents.task].module().open_model(contents, path)


def _work(run: runs.Run, source: Any, config: Config, task: str, quiet: bool) -> Trained:
    progress = Progress(quiet=quiet)
    if run.finished:
        progress.say(tr("{folder} is finished already; this is its result.", folder=run.folder))
        return _result(run, task)
    run.clear_control()
    if is_url(source):  # of a run that goes on
        from vistazo.remote.opening import opened

        source = opened(source, say=progress.say)
    # Only now, with the folder in place, is torch imported; a signal from here on ends in a resumable run.
    with platform.on_stop_signals(run.stop):
        with working.outcome(run):
            run.status("reading")
            platform.wait_quietly()
            platform.keep_freed_blocks()
            with platform.stops_wait():
                module = tasks[task].module()
                from vistazo.engine import device
            with device.repeatable(getattr(config, "deterministic", False)):
                module.train(run, source, config, progress)
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
        study={name: told[name] for name in ("study", "runs", "classes") if "study" in told},
    )
