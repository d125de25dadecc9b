"""A run inside a run: what else is trained on the same pictures and parts, to stand beside it in the report."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo.classification import metrics
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.recipes import recipes
from vistazo.classification.telling import measured
from vistazo.config import build
from vistazo.engine import runs, working
from vistazo.engine.progress import Progress, duration
from vistazo.engine.reports import Block, Cell, Section, Table, Text, percent
from vistazo.engine.runs import Run
from vistazo.errors import DiskError, Stopped, VistazoError
from vistazo.language import tr

__all__ = ["Beside", "comparison", "train_beside"]

BESIDE = "balanced"  # the recipe for every day
Train = Callable[[Run, Any, ClassificationConfig, Progress], None]
# Settings that say what the pictures are and how this machine computes. How to learn is the other recipe's to say.
_INHERITED = (
    *(
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
    ),
    "checkpoint_seconds",
)
_OURS = (*_INHERITED, "recipe", "beside")


@dataclass(frozen=True)
class Beside:
    """What the other recipe gave. told: its metrics.json, or {"reason"} where it could not be trained."""

    recipe: str
    told: dict[str, Any]


def train_beside(
    run: Run, source: Any, config: ClassificationConfig, progress: Progress, train: Train
) -> Beside | None:
    """Train the everyday recipe in RUN/<its name> on the same parts, where a comparison is wanted; else None.

    What it cannot learn from is told and costs no more than its row: the run itself stands.
    """
    wanted = config.beside == "on" if config.beside else recipes[config.recipe].claim is not None
    if not wanted or config.recipe == BESIDE:
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


def comparison(
    config: ClassificationConfig, told: Mapping[str, Any], part: str, other: Beside | None, folder: Path
) -> Section | None:
    """The claimed figure, ours with its settings, ours with the everyday recipe; None where there is nothing beside.

    told: what metrics.json says of this run. part: the one whose figures lead.
    """
    claim = recipes[config.recipe].claim
    if claim is None and other is None:
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
    rows.append(_row(tr("here, recipe {recipe}", recipe=config.recipe), told, part, folder))
    if other is not None:
        name = tr("here, recipe {recipe}", recipe=other.recipe)
        if "reason" in other.told:
            rows.append([name, None, None, None, None, None, None])
            texts.append(other.told["reason"])
        else:
            rows.append(_row(name, other.told, part, folder / other.recipe))
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
    if texts:
        blocks.append(Text("\n\n".join(texts)))
    title = tr("Beside the tutorial") if claim is not None else tr("Beside another recipe")
    return Section(title, blocks)


def _row(name: str, told: Mapping[str, Any], part: str, folder: Path) -> list[Cell]:
    figures = told["metrics"].get(part) or {}
    interval = None
    if figures:
        interval = f"{percent(figures['accuracy_low'], 2)} – {percent(figures['accuracy_high'], 2)}"
    return [
        name,
        percent(figures.get("accuracy"), 2),
        interval,
        figures.get("n"),
        told["parameters"]["total"],
        told["epochs"],
        duration(_seconds(folder)),
    ]


def _seconds(folder: Path) -> float:
    """Seconds that the steps of a run took, added over its epochs; of an epoch that was resumed, the longer piece."""
    longest: dict[int, float] = {}
    try:
        lines = (folder / "times.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:  # only told, never needed
        lines = []
    for line in lines:
        try:
            epoch = json.loads(line)
            longest[epoch["epoch"]] = max(longest.get(epoch["epoch"], 0.0), float(epoch["seconds"]))
        except (ValueError, KeyError, TypeError):  # a kill may cut a line
            continue
    return sum(longest.values())
