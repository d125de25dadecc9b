"""`vistazo tune`: a search for good settings, from what was asked to a winner that is measured once.

A search is a folder that several processes may share:

    config.json     what was asked, as of a run, and what is searched
    study.journal   every trial and its figures (Optuna's journal)
    trials/0007/    a trial: its settings, its history, the checkpoint it goes on from
    sittings/       the processes that worked on it, and for how long
    best/           the winner as a whole run, measured on the test part
    trials.csv  best.toml  report.html  metrics.json  model.vistazo
"""

import importlib
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vistazo import platform, tasks
from vistazo.bundle import disk_sentence
from vistazo.config import Config, build
from vistazo.engine import runs, search_spaces, working
from vistazo.engine.pacing import seconds as as_seconds
from vistazo.engine.progress import Progress, duration
from vistazo.engine.reports import number
from vistazo.engine.runs import Run
from vistazo.engine.search import FAILED, Space, Study
from vistazo.engine.search_rungs import ASHA, HYPERBAND, MEDIAN, NONE, Plan, usual_trials
from vistazo.errors import ConfigError, DiskError, MissingExtra, RunError
from vistazo.language import tr
from vistazo.remote.addresses import is_url, name_of, shown

__all__ = [
    "FINAL",
    "PRUNERS",
    "SAMPLERS",
    "Tuned",
    "as_toml",
    "holds_search",
    "require_optuna",
    "resume",
    "tune",
]

SAMPLERS = ("tpe", "random")
PRUNERS = (ASHA, HYPERBAND, MEDIAN, NONE)
FINAL = ("best", "train+validation")
ENDLESS = 1_000_000  # trials, where the time is what ends a search


@dataclass(frozen=True)
class Tuned:
    """What a search gave. best: number, values and validation figure of the winner. metrics: of each part, its own."""

    run: Path
    model: Path
    task: str
    best: dict[str, Any]
    trials: int
    failed: int
    epochs: int
    seconds: float
    metric: str
    metrics: dict[str, Any]
    report: Path

    def to_json(self) -> dict[str, Any]:
        """What --json tells."""
        values = {**asdict(self), "seconds": round(self.seconds, 2)}
        return {**values, "run": str(self.run), "model": str(self.model), "report": str(self.report)}


def tune(
    source: Any,
    *,
    search: Mapping[str, str],
    task: str | None = None,
    out: str | os.PathLike[str] | None = None,
    trials: int | None = None,
    time: str | None = None,
    most_epochs: int | None = None,
    factor: int = 3,
    sampler: str = "tpe",
    pruner: str | None = None,
    final: str = "best",
    quiet: bool = False,
    **settings: Any,
) -> Tuned:
    """Search for good settings on a source; the same call on an unfinished search goes on with it, or joins in.

    source: as `train` takes it. search: name -> space, as in {"learning_rate": "log:1e-4..1e-2"}. trials: sampled ones
    at most, the recipe not counted. time: for all of it, as in '10m'. most_epochs: of a trial (default: the recipe's).
    factor: one trial in so many goes on at a rung. pruner: asha where None is given, or none where trials are not
    equally long. final: the winner as it was trained, or trained anew on training and
    validation pictures together. settings: as `train` takes them; they are the recipe, trial 0.
    Raises VistazoError, each with one sentence; Stopped where a signal or the control file asked for it.
    """
    platform.command_begins()
    require_optuna()
    name = task or _known(source, settings, quiet)
    if most_epochs is not None:
        if settings.get("epochs") not in (None, most_epochs):
            raise ConfigError(tr("--epochs and --most-epochs mean the same here: give one of them."))
        settings = {**settings, "epochs": most_epochs}
    config = build(tasks.tasks[name].config(), settings).anchored()
    options = {
        "search": dict(search),
        "trials": trials,
        "time": time,
        "factor": factor,
        "sampler": sampler,
        "pruner": pruner,
        "final": final,
    }
    _checked(name, config, options)
    given = tasks.locate(source, quiet=quiet)
    asked = {
        "task": name,
        "source": shown(source) if is_url(source) else str(given) if isinstance(given, Path) else None,
        "settings": config.model_dump(mode="json"),
        "search": options,
    }
    plain = (
        name_of(source)
        if is_url(source)
        else given.name.split(".")[0]
        if isinstance(given, Path)
        else "arrays"
    )
    identity = {"task": name, **_flat(options), **config.identity()}
    place = os.fspath(out) if out else None
    with runs.shared(place, name=f"tune-{plain}", asked=asked, identity=identity) as run:
        return _work(run, given, config, quiet)


def resume(name: str | os.PathLike[str], *, quiet: bool = False, source: Any = None) -> Tuned:
    """Go on with a search that was stopped or killed, or join one that other processes work on.

    name: its folder, or 'last'. source: the arrays again, where it had no path. Raises what `tune` raises.
    """
    platform.command_begins()
    require_optuna()
    folder = runs.resolve(name)
    asked = runs.read_json(folder / "config.json")
    if not {"task", "source", "settings", "search", "identity"} <= asked.keys():
        raise RunError(
            tr("{path} is damaged or is not that of a run. Start a new run.", path=folder / "config.json")
        )
    config = build(tasks.tasks[asked["task"]].config(), asked["settings"])
    if source is None:
        if asked["source"] is None:
            raise RunError(tr("{folder} was trained on arrays: give them again with source=.", folder=folder))
        source = tasks.locate(asked["source"], quiet=quiet)
    with runs.shared(os.fspath(folder), name="", asked=asked, identity=asked["identity"]) as run:
        return _work(run, source, config, quiet)


def holds_search(name: str | os.PathLike[str]) -> bool:
    """Whether a folder, or 'last', is that of a search."""
    return "search" in runs.read_json(runs.resolve(name) / "config.json")


def require_optuna() -> None:
    """Raise MissingExtra, with the command that installs it, where Optuna is not there."""
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtra(
            tr("A search needs the package optuna. Install it with: pip install 'vistazo[tune]'")
        )


# ---------------------------------------------------------------- what was asked
def _known(source: Any, settings: Mapping[str, Any], quiet: bool) -> str:
    """The task that a source means, told as `train` tells it."""
    name, why = tasks.recognise(tasks.locate(source, quiet=quiet), settings)
    Progress(quiet=quiet).say(why)
    return name


def _checked(task: str, config: Config, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(spaces, numbers of the network in words). Raises ConfigError for whatever cannot be, before data is read."""
    fields = importlib.import_module(f"{tasks.tasks[task].package}.searchable")
    for name in ("time", "repeats", "folds", "fold"):
        if getattr(config, name, None):
            raise ConfigError(
                tr("A search trains each trial once, on the same parts: leave out --{name}.", name=name)
            )
    if options["final"] != FINAL[0] and getattr(config, "unknown_error", None):
        raise ConfigError(
            tr(
                "--dont-know needs validation pictures, and --final train+validation learns from them: leave out one."
            )
        )
    if options["time"] and not re.fullmatch(r"\d+(\.\d+)?(s|m|min|h)?", options["time"]):
        raise ConfigError(tr("--time {value}: write a time as in 90s, 5m or 1h.", value=options["time"]))
    if options["time"] and not as_seconds(options["time"]):
        raise ConfigError(tr("--time must be more than nothing."))
    for name, least in (("trials", 1), ("factor", 2)):
        value = options[name]
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise ConfigError(
                tr("--{name} must be a whole number of at least {least}, not {value}.", name=name, least=least,
                   value=value)
            )  # fmt: skip
    for name, known in (("sampler", SAMPLERS), ("pruner", PRUNERS), ("final", FINAL)):
        if options[name] not in known and (name, options[name]) != ("pruner", None):
            raise ConfigError(
                tr(
                    "--{name} is one of {known}, not {value}.",
                    name=name,
                    known=", ".join(known),
                    value=options[name],
                )
            )
    texts = options["search"] or search_spaces.parse_all([])
    numbers = fields.numbers(config)
    search_spaces.require_names(list(texts), type(config), numbers, fields.refused())
    spaces = {name: search_spaces.parse(name, str(text)) for name, text in texts.items()}
    fields.require_sense(config)
    search_spaces.require_possible(config, spaces, numbers, fields.require_sense)
    return spaces, dict(numbers)


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two searches the same, by names that a sentence may tell."""
    rest = {name: value for name, value in options.items() if name != "search"}
    return {**{f"search of {name}": space for name, space in options["search"].items()}, **rest}


# ---------------------------------------------------------------- the work
def _work(run: Run, source: Any, config: Config, quiet: bool) -> Tuned:
    progress = Progress(quiet=quiet)
    if run.finished:
        progress.say(tr("{folder} is finished already; this is its result.", folder=run.folder))
        return _result(run)
    run.clear_control()
    with platform.on_stop_signals(run.stop):
        with working.outcome(run, shared=True):
            run.status("reading")
            platform.wait_quietly()
            platform.keep_freed_blocks()
            with platform.stops_wait():
                bench = importlib.import_module(f"{tasks.tasks[run.config['task']].package}.searching")
                from vistazo.engine import device
            with device.repeatable(getattr(config, "deterministic", False)):
                with bench.opened(run, source, config, progress) as opened:
                    _search(run, config, opened, progress)
    return _result(run)


def _search(run: Run, config: Config, bench: Any, progress: Progress) -> None:
    from vistazo.engine.searching import Asked, Search

    options = run.config["search"]
    spaces, numbers = _checked(run.config["task"], config, options)
    limited = options["trials"] or (ENDLESS if options["time"] else None)
    pruner = _pruner(options["pruner"], bench, spaces, progress)
    trials = limited or usual_trials(pruner, bench.most, options["factor"])
    plan = Plan(pruner, bench.most, options["factor"], trials)
    within = as_seconds(options["time"]) if options["time"] else None
    asked = Asked(spaces, numbers, plan, options["sampler"], int(getattr(config, "seed", 0)), within)
    progress.say(_plan_sentence(asked, bench))
    search = Search(run, bench.config, asked, bench, progress)
    search.go()
    with run.alone():  # one process ends it; the others find it finished
        if not run.finished:
            _end(run, search, bench, options, progress)
            run.status("finished")


def _pruner(asked: str | None, bench: Any, spaces: Mapping[str, Space], progress: Progress) -> str:
    """Who goes on; where trials are not equally long there are no rungs, and all do.

    Raises ConfigError where such trials are to be compared at rungs.
    """
    few, many = bench.lengths(spaces)
    if few == many or asked == NONE:
        return asked or ASHA
    if asked:
        raise ConfigError(
            tr(
                "--pruner {pruner} compares trials after as many epochs, and here their recipes have {few} to {many} "
                "of them: leave --pruner out, or give all as many with --most-epochs.",
                pruner=asked,
                few=few,
                many=many,
            )
        )
    progress.say(
        tr(
            "each trial is trained to its own end, because the recipes here have {few} to {many} epochs (as with "
            "--pruner none)",
            few=few,
            many=many,
        )
    )
    return NONE


def _plan_sentence(asked: Any, bench: Any) -> str:
    metric = tr(bench.metric.replace("_", " "))
    length = tr("{n} trials besides the recipe", n=asked.plan.trials)
    if asked.plan.trials >= ENDLESS:
        length = duration(asked.seconds)
    return tr(
        "searching {names} by {pruner} ({sampler}): {trials}, at most {epochs} epochs each, "
        "judged by validation {metric}",
        names=", ".join(asked.spaces),
        pruner=asked.plan.pruner,
        sampler=asked.sampler,
        trials=length,
        epochs=asked.plan.most,
        metric=metric,
    )


def _end(run: Run, search: Any, bench: Any, options: Mapping[str, Any], progress: Progress) -> None:
    """The winner, measured on the test part, which nothing looked at before; tables, page and, at last, the model."""
    from vistazo.engine.search_report import as_csv
    from vistazo.engine.search_spaces import with_values
    from vistazo.engine.search_trials import trial_folder
    from vistazo.engine.search_verdict import verdict

    run.status("measuring")
    best = search.close()
    study = search.study()
    entry = search.journal.entries()[best]
    config = with_values(search.config, entry.values if best else {}, search.asked.numbers)
    run.write("trials.csv", as_csv(study))
    run.write("best.toml", as_toml(config, _headline(study)))
    together = options["final"] != FINAL[0]
    kept = len(entry.curve)
    if entry.keeps == "best":
        kept = 1 + entry.curve.index(entry.judged(study.lower_is_better))
    progress.say(tr("the winner is trial {number}; it is measured now", number=best))
    folder = bench.finish(trial_folder(run.folder, best), config, len(entry.curve), kept, together=together)
    told = runs.read_json(folder / "metrics.json")
    said = {
        name: getattr(study, name)
        for name in ("metric", "sampler", "pruner", "most_epochs", "factor", "epochs")
    }
    won = study.trials[best]
    told["search"] = {
        **said,
        "trials": len(study.trials),
        "failed": sum(one.state == FAILED for one in study.trials),
        "best": {"number": best, "values": won.values, "figure": won.figure, "epochs": won.epochs},
    }
    run.write("metrics.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    run.write("report.html", _page(run, search.study(), bench, config, folder))
    for sentence in verdict(study, bench.examples):
        progress.say(sentence)
    for one in study.trials:  # what promoted trials went on from; the winner's stands in best/
        shutil.rmtree(trial_folder(run.folder, one.number) / "checkpoints", ignore_errors=True)
    try:
        platform.replace_file(run.model, ((folder / runs.MODEL).read_bytes(),))
    except OSError as error:
        raise DiskError(disk_sentence(run.model, error)) from error


def _page(run: Run, study: Study, bench: Any, config: Config, best: Path) -> str:
    """The page of the search, with the winner's figures of every part."""
    from vistazo.engine.reports import Facts, Section
    from vistazo.engine.search_report import build as build_page

    measured = tasks.tasks[run.config["task"]].telling().measured
    parts = runs.read_json(best / "metrics.json")["metrics"]
    figures = Facts([(tr(part), measured(one)) for part, one in parts.items() if one])
    return build_page(
        study,
        title=tr("Search for good settings: {name}", name=run.folder.name),
        metric_title=tr(study.metric.replace("_", " ")),
        examples=bench.examples,
        settings={name: value for name, value in config.model_dump().items() if value is not None},
        environment=runs.read_json(best / "environment.json"),
        sections=[Section(tr("The winner, measured when the search was over"), [figures])],
    )


def _headline(study: Study) -> str:
    assert study.best is not None
    won, metric = study.trials[study.best], tr(study.metric.replace("_", " "))
    return tr(
        "trial {number} of {n}: validation {metric} {figure} after {epochs} epochs",
        number=won.number,
        n=len(study.trials),
        metric=metric,
        figure=number(won.figure or 0.0, 4),
        epochs=won.epochs,
    )


def as_toml(config: Config, headline: str) -> str:
    """The settings that are not the default, as a file that `train --config` takes."""
    lines = [f"# {headline}"]
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if value is not None and value != field.default:
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _result(run: Run) -> Tuned:
    told = runs.read_json(run.folder / "metrics.json")
    search = told["search"]
    report = run.folder / "report.html"
    return Tuned(
        run=run.folder,
        model=run.model,
        task=told["task"],
        best=search["best"],
        trials=search["trials"],
        failed=search["failed"],
        epochs=search["epochs"],
        seconds=runs.read_json(run.folder / "status.json").get("seconds", 0.0),
        metric=search["metric"],
        metrics=told["metrics"],
        report=report if report.exists() else run.folder / "best" / "report.html",
    )
