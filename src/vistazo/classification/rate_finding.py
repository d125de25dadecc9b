"""`vistazo tune --learning-rate`: the range test's curve, and its choice trained beside the recipe's own rate.

FOLDER/suggested and FOLDER/recipe are whole runs on the same parts, computed alike, so each can be read, resumed and
used by itself. What is compared is the validation part.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo.classification import metrics, rate_testing
from vistazo.classification.config import AUTO, ClassificationConfig
from vistazo.classification.task import train
from vistazo.config import build
from vistazo.engine import working
from vistazo.engine.progress import Progress
from vistazo.engine.range_test import RangeTest
from vistazo.engine.reports import (
    Block,
    Cell,
    Curves,
    Headline,
    Report,
    Section,
    Table,
    Text,
    number,
    percent,
    to_html,
    to_svg,
)
from vistazo.engine.runs import Run, read_json
from vistazo.errors import ConfigError
from vistazo.language import tr

__all__ = ["Found", "find"]

SUGGESTED, RECIPE = "suggested", "recipe"
PAGE, PICTURE, TOLD = "learning-rate.html", "learning-rate.svg", "learning-rate.json"
NORMAL = 1.959964  # standard deviations that hold 95 % of a normal distribution


@dataclass(frozen=True)
class Found:
    """What came of it. test: the range test. figures: of the validation part, of 'suggested' and 'recipe'; None where
    none was set aside. folder: of the runs and the page.
    """

    folder: Path
    test: RangeTest
    figures: dict[str, dict[str, Any] | None]

    @property
    def difference(self) -> float | None:
        """Accuracy at the suggested rate less that at the recipe's, in points."""
        ours, theirs = (self.figures[name] for name in (SUGGESTED, RECIPE))
        return None if ours is None or theirs is None else 100 * (ours["accuracy"] - theirs["accuracy"])

    @property
    def noise(self) -> float | None:
        """How many points two accuracies on so many pictures may differ by chance, at 95 %; not counting the seed."""
        ours, theirs = (self.figures[name] for name in (SUGGESTED, RECIPE))
        if ours is None or theirs is None:
            return None
        variance = sum(one["accuracy"] * (1 - one["accuracy"]) / one["n"] for one in (ours, theirs))
        return 100 * NORMAL * math.sqrt(variance)

    def sentences(self) -> list[str]:
        """What was found, line by line."""
        lines = [rate_testing.sentence(self.test)]
        if self.difference is None or self.noise is None:
            return [*lines, tr("Too few pictures to set any aside, so the two rates were not compared.")]
        values = {
            "rate": rate_testing.written(self.test.suggested),
            "usual": rate_testing.written(self.test.usual),
            "ours": percent((self.figures[SUGGESTED] or {})["accuracy"], 2),
            "theirs": percent((self.figures[RECIPE] or {})["accuracy"], 2),
            "n": (self.figures[RECIPE] or {})["n"],
        }
        lines.append(
            tr(
                "validation accuracy: {ours} at {rate}, {theirs} at the recipe's own {usual}, n = {n}",
                **values,
            )
        )
        points = {"points": number(abs(self.difference), 2), "noise": number(self.noise, 2)}
        if abs(self.difference) <= self.noise:
            lines.append(
                tr(
                    "The difference of {points} points is within chance ({noise} points for so many pictures, and "
                    "another seed moves both): neither rate is shown to be better.",
                    **points,
                )
            )
        elif self.difference > 0:
            lines.append(
                tr(
                    "The suggested rate is better by {points} points, more than chance explains ({noise}): train with "
                    "--learning-rate {rate}.",
                    rate=values["rate"],
                    **points,
                )
            )
        else:
            lines.append(
                tr(
                    "The recipe's own rate is better by {points} points, more than chance explains ({noise}): leave "
                    "--learning-rate out.",
                    **points,
                )
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "folder": str(self.folder),
            "page": str(self.folder / PAGE),
            "picture": str(self.folder / PICTURE),
            "suggested": self.test.suggested,
            "usual": self.test.usual,
            "validation": self.figures,
            "difference": self.difference,
            "noise": self.noise,
            "range_test": self.test.to_json(),
        }


def find(run: Run, source: Any, config: ClassificationConfig, progress: Progress) -> Found:
    """Test a range of rates, train at the suggested one and at the recipe's own, and tell which is better.

    run: holds both runs in folders of its own; its config.json names the task and the source. What was finished is
    not done again, so a search that was killed goes on. config: as for one training; the length is its own.
    Writes learning-rate.html, learning-rate.svg and learning-rate.json. Raises ConfigError for settings that ask for
    several runs or set the rate, and whatever training raises.
    """
    for name in ("learning_rate", "repeats", "folds", "time"):
        if getattr(config, name):
            raise ConfigError(
                tr("Finding a learning rate trains twice: leave out --{name}.", name=name.replace("_", "-"))
            )
    values = {**config.model_dump(), "beside": "off"}
    shared: dict[str, Any] = {}
    figures: dict[str, dict[str, Any] | None] = {}
    for name, more in ((SUGGESTED, {"learning_rate": AUTO}), (RECIPE, {})):
        progress.say(
            tr("— at the rate that a range test finds") if more else tr("— at the recipe's own rate")
        )
        theirs = build(ClassificationConfig, {**values, **more})
        folder = working.train_inside(
            run,
            name,
            settings=theirs.model_dump(mode="json"),
            identity={"task": "classification", **theirs.identity()},
            train=lambda inner, one=theirs: train(inner, source, one, progress),  # type: ignore[misc]
            frozen=shared,
        )
        frozen = read_json(folder / "config.json")
        shared = {one: frozen[one] for one in ("parts", "compute")}
        figures[name] = _figures(read_json(folder / "metrics.json"))
    test = RangeTest.from_json(read_json(run.folder / SUGGESTED / "config.json")[rate_testing.RANGE])
    found = Found(run.folder, test, figures)
    run.write(PAGE, to_html(_page(found)))
    for block in rate_testing.blocks(test):
        if isinstance(block, Curves):
            run.write(PICTURE, to_svg(block))
    run.write(TOLD, json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n")
    return found


def _figures(told: dict[str, Any]) -> dict[str, Any] | None:
    figures = told["metrics"]["validation"]
    if figures is None:
        return None
    kept = {name: figures[name] for name in ("accuracy", "accuracy_low", "accuracy_high", "loss", "n")}
    return {**kept, "epochs": told["epochs"]}


def _page(found: Found) -> Report:
    sentences = found.sentences()
    rows: list[list[Cell]] = []
    named = (
        (SUGGESTED, tr("suggested"), found.test.suggested),
        (RECIPE, tr("the recipe's own"), found.test.usual),
    )
    for name, word, rate in named:
        one = found.figures[name] or {}
        interval = f"{percent(one['accuracy_low'], 2)} – {percent(one['accuracy_high'], 2)}" if one else None
        rows.append(
            [
                word,
                rate_testing.written(rate),
                percent(one.get("accuracy"), 2),
                interval,
                number(one.get("loss"), 4),
                one.get("n"),
                one.get("epochs"),
            ]
        )
    headings = [tr("rate"), "", tr("accuracy"), tr("{level} interval", level=metrics.LEVEL), tr("loss"),
                tr("pictures"), tr("epochs")]  # fmt: skip
    compared: list[Block] = [
        Table(headings, rows, "lrrrrrr"),
        Text(
            tr(
                "Both were trained once, on the same pictures and with the same seed; the figures are of the "
                "validation part. Nothing here was chosen by the test part."
            )
        ),
    ]
    headline = Headline(
        rate_testing.written(found.test.suggested), tr("Suggested learning rate"), "\n".join(sentences)
    )
    return Report(
        tr("Learning rate: {name}", name=found.folder.name),
        [
            Section("", [headline]),
            Section(tr("Both rates, trained"), compared),
            Section(tr("The range test"), rate_testing.blocks(found.test)[1:]),
        ],
    )
