"""A run inside a run: what else is trained on the same pictures and parts, to stand beside it in the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo.classification import metrics
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.recipes import recipes
from vistazo.classification.telling import measured
from vistazo.config import build
from vistazo.engine import history, runs, working
from vistazo.engine.progress import Progress, duration
from vistazo.engine.reports import Block, Cell, Section, Table, Text, percent
from vistazo.engine.runs import Run
from vistazo.errors import DiskError, Stopped, VistazoError
from vistazo.language import tr

__all__ = ["Beside", "comparison", "study_comparison", "train_beside"]

BESIDE = "balanced"  # the recipe for every day
Train = Callable[[Run, Any, ClassificationConfig, Progress], None]
# Settings that say what the pictures are and how this machine computes. How to learn is the other recipe's to say.
_INHERITED = frozenset(
    [
        "seed",
        "fold",
        "channels",
        "background",
        "classes",
        "corrections",
        "group_by",
        "max_broken",
        "deterministic",
        "device",
        "threads",
        "precision",
        "layout",
        "checkpoint_seconds",
    ]
)
_OURS = _INHERITED | {"recipe", "beside", "repeats", "folds"}


@dataclass(frozen=True)
class Beside:
    """What the other recipe gave. told: its metrics.json, or {"reason"} where it could not be trained."""

    recipe: str
    told: dict[str, Any]


def train_beside(
    run: Run, source: Any, config: ClassificationConfig, progress: Progress, train: Train
) -> Beside | None:
    """Train the everyday recipe in RUN/<its name> on the same parts, where a comparison is wanted; else None.

    What it cannot learn from is told and costs no more than its row: the run itself stands. With --time none is
    trained, which is told too.
    """
    wanted = config.beside == "on" if config.beside else recipes[config.recipe].claim is not None
    if not wanted or config.recipe == BESIDE:
        return None
    if config.time:  # all of it is the run's own
        progress.say(_left_out())
        return None
    progress.say(tr("beside it, on the same parts: recipe {recipe}", recipe=BESIDE))
    values = {name: getattr(config, name) for name in _INHERITED}
    theirs = build(ClassificationConfig, {**values, "recipe": BESIDE})
    try:
        folder = working.train_inside(
            run,
            BESIDE,
            settings=theirs.model_dump(mode="json"),
            identity={"task": "classification", **theirs.identity()},
            train=lambda inner: train(inner, source, theirs, progress),
            frozen={"parts": run.config["parts"]},
        )
        told = runs.read_json(folder / "metrics.json")
    except (Stopped, DiskError):
        raise
    except VistazoError as error:
        progress.say(str(error))
        return Beside(BESIDE, {"reason": str(error)})
    figures = told["metrics"]["test"] or told["metrics"]["validation"]
    if figures:
        progress.say(tr("recipe {recipe}: {figures}", recipe=BESIDE, figures=measured(figures)))
    return Beside(BESIDE, told)


def _left_out() -> str:
    return tr(
        "Recipe {recipe} was not trained beside it: --time has no share for a second network.", recipe=BESIDE
    )


@dataclass(frozen=True)
class _Line:
    """What stands in a row of the comparison. seconds: of steps."""

    figures: Mapping[str, Any]
    parameters: int
    epochs: int
    seconds: float


def comparison(
    config: ClassificationConfig, told: Mapping[str, Any], part: str, other: Beside | None, folder: Path
) -> Section | None:
    """The claimed figure, ours with its settings, ours with the everyday recipe; None where there is nothing beside.

    told: what metrics.json says of this run. part: the one whose figures lead.
    """
    if other is None:
        return _section(config, _line(told, part, folder), "", None, [])
    if "reason" in other.told:
        return _section(config, _line(told, part, folder), other.recipe, None, [other.told["reason"]])
    theirs = _line(other.told, part, folder / other.recipe)
    return _section(config, _line(told, part, folder), other.recipe, theirs, [])


def study_comparison(
    config: ClassificationConfig,
    part: str,
    figures: Mapping[str, Any],
    folders: Sequence[Path],
    pool: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]],
) -> tuple[Section | None, dict[str, Any] | None]:
    """The same of several runs as one, and what metrics.json says of the recipe that was trained beside each of them.

    figures: of all runs as one. folders: theirs. pool: from the figures of each run to those of all.
    """
    told = [runs.read_json(folder / "metrics.json") for folder in folders]
    seconds = sum(map(history.seconds, folders))
    ours = _Line(figures, told[0]["parameters"]["total"], told[0]["epochs"], seconds)
    others = [one["beside"] for one in told if one.get("beside", {}).get("metrics", {}).get(part)]
    if len(others) < len(told):
        texts = []
        if config.recipe != BESIDE:
            texts.append(
                tr(
                    "The recipe {recipe} was not trained beside each of the {n} runs; --beside on, with another --out, "
                    "does that on the same parts.",
                    recipe=BESIDE,
                    n=len(told),
                )
            )
        return _section(config, ours, "", None, texts), None
    name, first = others[0]["recipe"], others[0]
    pooled = pool([one["metrics"][part] for one in others])
    seconds = sum(history.seconds(folder / name) for folder in folders)
    theirs = _Line(pooled, first["parameters"]["total"], first["epochs"], seconds)
    return _section(config, ours, name, theirs, []), {"recipe": name, "metrics": {part: dict(pooled)}}


def _line(told: Mapping[str, Any], part: str, folder: Path) -> _Line:
    figures = told["metrics"].get(part) or {}
    return _Line(figures, told["parameters"]["total"], told["epochs"], history.seconds(folder))


def _section(
    config: ClassificationConfig, ours: _Line, recipe: str, theirs: _Line | None, more: list[str]
) -> Section | None:
    """The table and what is to be known of it. recipe: trained beside, '' for none. theirs: None where that failed."""
    claim = recipes[config.recipe].claim
    if claim is None and not recipe:
        return None
    rows: list[list[Cell]] = []
    texts: list[str] = []
    if claim is not None:
        rows.append([tr("claimed by the tutorial"), percent(claim.accuracy, 2), None, None, None, None, None])
        basis, differs = tr(claim.basis), tr(claim.differs)
        texts += [
            tr("Claimed on: {basis}.", basis=basis),
            tr("Done otherwise here: {differs}", differs=differs),
        ]
    changed = {
        name: value for name, value in config.model_dump(exclude_defaults=True).items() if name not in _OURS
    }
    if claim is not None and changed:
        settings = ", ".join(f"{name} {value}" for name, value in changed.items())
        texts.append(tr("Set otherwise than in the tutorial: {settings}.", settings=settings))
    if claim is not None and config.time and config.beside is None:
        texts.append(_left_out())
    rows.append(_row(tr("here, recipe {recipe}", recipe=config.recipe), ours))
    if recipe:
        rows.append(_row(tr("here, recipe {recipe}", recipe=recipe), theirs))
    headings = [
        tr("recipe"),
        tr("accuracy"),
        tr("{level} interval", level=metrics.LEVEL),
        tr("pictures"),
        tr("parameters"),
        tr("epochs"),
        tr("time in steps"),
    ]
    blocks: list[Block] = [Table(headings, rows, "lrrrrrr")]
    texts += more
    if texts:
        blocks.append(Text("\n\n".join(texts)))
    title = tr("Beside the tutorial") if claim is not None else tr("Beside another recipe")
    return Section(title, blocks)


def _row(name: str, line: _Line | None) -> list[Cell]:
    if line is None:
        return [name, None, None, None, None, None, None]
    figures, interval = line.figures, None
    if figures:
        interval = f"{percent(figures['accuracy_low'], 2)} – {percent(figures['accuracy_high'], 2)}"
    return [
        name,
        percent(figures.get("accuracy"), 2),
        interval,
        figures.get("n"),
        line.parameters,
        line.epochs,
        duration(line.seconds),
    ]
