"""Several runs that make one: repeats with other seeds, folds that test every picture once.

RUN is a run folder whose runs are folders in it, each a whole run (RUN/repeat-1 ..., RUN/fold-1 ... and RUN/all).
They are trained one after another. What was finished is not done again, so a study that was killed ends as if nothing
had happened. The model of the study is that of the first repeat, or that of RUN/all, which learns from the pictures of
all folds: neither was chosen by what it reaches.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vistazo import bundle as bundles
from vistazo import platform
from vistazo.classification import pooling, study_report
from vistazo.classification.beside import study_comparison
from vistazo.classification.classifier import open_model
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.correcting import kept
from vistazo.classification.data import RECIPE, Data, Loaded, divide, load, read, settled_recipe
from vistazo.classification.keeping import measure
from vistazo.classification.pooling import Tried
from vistazo.classification.sharing import Shares
from vistazo.classification.starting import require_unlearnt
from vistazo.engine import runs, working
from vistazo.engine.device import Compute
from vistazo.engine.progress import Progress, duration
from vistazo.engine.reports import percent
from vistazo.engine.runs import MODEL, Run, read_json
from vistazo.errors import DiskError
from vistazo.language import mark, tr
from vistazo.pictures import folds

__all__ = ["Planned", "plan", "train", "wanted"]

Learn = Callable[[Run, Any, ClassificationConfig, Progress], None]


@dataclass(frozen=True)
class Planned:
    """One run of several. name: of its folder. tried: whether its figures count; RUN/all only gives the model."""

    name: str
    config: ClassificationConfig
    tried: bool = True


def wanted(config: ClassificationConfig) -> bool:
    """Whether these settings ask for several runs."""
    return bool(config.repeats or config.folds)


def plan(config: ClassificationConfig) -> list[Planned]:
    """The runs that the settings ask for, in their order.

    Repeat i has the seed `seed + i - 1` for everything: the weights' beginning, the order of pictures and, where the
    source names no test part, the parts. Folds share the seed; each has its own test part. Another recipe is trained
    beside each run that counts only where `beside` asks for it: it may double their time.
    """
    beside = "on" if config.beside == "on" else "off"
    single = config.model_copy(update={"repeats": None, "folds": None, "beside": beside})
    if config.repeats:
        seeds = range(config.seed, config.seed + config.repeats)
        return [
            Planned(f"repeat-{at}", single.model_copy(update={"seed": seed}))
            for at, seed in enumerate(seeds, 1)
        ]
    assert config.folds
    each = [
        Planned(f"fold-{at}", single.model_copy(update={"fold": f"{at}/{config.folds}"}))
        for at in range(1, config.folds + 1)
    ]
    last = single.model_copy(update={"fold": folds.ALL, "beside": "off"})
    return [*each, Planned("all", last, tried=False)]


def train(run: Run, source: Any, config: ClassificationConfig, progress: Progress, learn: Learn) -> None:
    """All runs of a study, their figures as one, and its model in the study's own folder.

    learn: trains one run. Raises TooFewExamples and ConfigError where the pictures do not allow so many folds, or the
    model to begin from knows them, before anything is trained; and whatever `learn` raises.
    """
    loaded = load(source, config, progress, kept(run, config.corrections), recipe=settled_recipe(run))
    before: tuple[str, ...] = ()
    if config.folds:
        drawn = folds.draw(loaded.index, folds=config.folds, seed=config.seed, group_by=config.group_by)
        before = drawn.sentences
        loaded.say(before, progress)
    planned = plan(config)
    _refuse_seen(config, loaded, planned)
    whole = read(run, loaded, config, Progress(quiet=True))
    whole = replace(whole, sentences=tuple(dict.fromkeys((*before, *whole.sentences))))
    tries = _train_each(run, loaded, planned, progress, learn)
    run.status("measuring")
    _keep(run, config, loaded, whole, planned, tries)


def _refuse_seen(config: ClassificationConfig, loaded: Loaded, planned: Sequence[Planned]) -> None:
    """Raise ConfigError where the model to begin from has learnt from a picture that one of the runs will test.

    A single run with the same seed sets the same pictures aside; several runs test others too.
    """
    if not config.start:
        return
    tested = [divide(loaded, one.config).rows("test") for one in planned if one.tried]
    require_unlearnt(loaded.index.hash[np.unique(np.concatenate(tested))], runs.model_file(config.start))


def _train_each(
    run: Run, loaded: Loaded, planned: Sequence[Planned], progress: Progress, learn: Learn
) -> list[Tried]:
    """What each run answers; it is asked at once, so that the runs after it know the time that is left for them."""
    tries: list[Tried] = []
    shares = Shares(run, planned[0].config.time, [one.name for one in planned])
    shared: dict[str, Any] = {}
    recipe = {RECIPE: loaded.recipe} if planned[0].config.time else {}  # which the time of all runs decided
    spent: list[float] = []
    for at, one in enumerate(planned, 1):
        done = (run.folder / one.name / MODEL).exists()
        progress.say(tr("— run {at} of {of}: {name}", at=at, of=len(planned), name=one.name))
        began = run.seconds()
        folder = working.train_inside(
            run,
            one.name,
            settings=one.config.model_dump(mode="json"),
            identity={"task": run.config["task"], **one.config.identity()},
            train=partial(_learn, learn, loaded, one.config, progress),
            frozen={**shared, **shares.of(at - 1), **recipe},
        )
        # All compute alike: figures of one study must not differ by what a probe found at another moment.
        shared = {"compute": read_json(folder / "config.json")["compute"]}
        spent += [] if done else [run.seconds() - began]
        figures = read_json(folder / "metrics.json")["metrics"]
        shown = figures["test"] or figures["validation"]
        if shown and one.tried:
            values = {"name": one.name, "value": percent(shown["accuracy"], 2), "n": shown["n"]}
            if loaded.index.labels is None:
                told = tr("{name}: accuracy {value}, n = {n}", **values)
            else:
                told = tr("{name}: every label right {value}, n = {n}", **values)
            left = (len(planned) - at) * sum(spent) / len(spent) if spent else 0.0
            after = tr("about {time} left", time=duration(left)) if left else ""
            progress.say(f"{told} · {after}" if after else told)
        if one.tried:
            tries.append(_answers(folder, loaded, one))
    return tries


def _learn(learn: Learn, loaded: Loaded, config: ClassificationConfig, progress: Progress, run: Run) -> None:
    learn(run, loaded, config, progress)


def _answers(folder: Path, loaded: Loaded, planned: Planned) -> Tried:
    """What a finished run answers to its test part, or to validation where it has none: from its model file."""
    data = divide(loaded, planned.config)
    compute = Compute(**read_json(folder / "config.json")["compute"]).in_fp32()
    compute.start()
    model = open_model(bundles.load(folder / MODEL), folder / MODEL)
    model = replace(model, compute=compute, network=compute.place(model.network))
    part = _part(data)
    measured = measure(model, data, part)
    classes = len(data.index.classes)
    return Tried(
        name=planned.name,
        seed=planned.config.seed,
        told=read_json(folder / "metrics.json"),
        rows_N=data.rows(part),
        labels_N=data.labels(part),
        probabilities_NK=np.zeros((0, classes)) if measured is None else measured.probabilities,
        thresholds=model.thresholds,
    )


def _part(data: Data) -> str:
    return "test" if len(data.rows("test")) else "validation"


def _keep(
    run: Run,
    config: ClassificationConfig,
    loaded: Loaded,
    whole: Data,
    planned: Sequence[Planned],
    tries: Sequence[Tried],
) -> None:
    """Write the tables, the figures, the report and, last of all, the model."""
    ours = run.folder / (planned[-1].name if config.folds else planned[0].name)
    model = read_json(ours / "metrics.json")
    part = "test" if tries[0].told["metrics"]["test"] else "validation"
    figures: dict[str, Any] = {
        "validation": pooling.averaged(tries, "validation"),
        "test": pooling.pooled(tries, "test") if config.folds else pooling.averaged(tries, "test"),
    }
    if figures[part]:  # different pictures: repeats may test one several times
        figures[part]["n"] = len(np.unique(np.concatenate([one.rows_N for one in tries])))
    if config.folds and model["metrics"]["test"]:
        figures[mark("official")] = model["metrics"]["test"]
    classes = loaded.index.classes
    comparison, beside = study_comparison(
        whole.config,
        part,
        figures[part] or {},
        [run.folder / one.name for one in planned if one.tried],
        pooling.summed if config.folds else pooling.meant,
    )
    study = study_report.Study(
        name=run.folder.name,
        kind="folds" if config.folds else "repeats",
        model=ours.name,
        part=part,
        figures=figures,
        classes=pooling.by_class(tries, classes, once=bool(config.folds)),
        confusion=pooling.confusion(tries, len(classes)) if loaded.index.labels is None else None,
        tries=tries,
        final=model,
        index=loaded.index,
        pixels=loaded.pixels,
        official=whole.official,
        sentences=whole.sentences,
        settings={name: value for name, value in config.model_dump().items() if value is not None},
        environment=read_json(ours / "environment.json"),
        seconds=run.spent(),
        comparison=comparison,
        beside=beside,
    )
    run.write("results.csv", study_report.as_csv(study))
    run.write("results.tex", study_report.as_latex(study))
    run.write("environment.json", json.dumps(study.environment, indent=2) + "\n")
    run.write("metrics.json", json.dumps(study_report.told(study), indent=2, ensure_ascii=False) + "\n")
    run.write("report.html", study_report.build(study))
    _keep_model(run, ours / MODEL, figures if config.folds else None)


def _keep_model(run: Run, path: Path, figures: dict[str, Any] | None) -> None:
    """The model file as it is or, after folds, with their figures as its own."""
    if figures is not None:
        bundles.save(replace(bundles.load(path), metrics=figures), run.model)
        return
    try:
        platform.replace_file(run.model, (path.read_bytes(),))
    except OSError as error:
        raise DiskError(bundles.disk_sentence(run.model, error)) from error
