"""`--learning-rate auto`: a range test before the first step; what it chose is frozen in the run.

A run that is resumed or reproduced takes the rate that was found and tests nothing. Each of several runs (repeats,
folds) tests for itself: the choice is part of what is repeated. A search tests once, for the recipe that its trials
are compared with.
"""

import math
from dataclasses import asdict, replace

from vistazo.classification import learning
from vistazo.classification.config import AUTO, ClassificationConfig
from vistazo.classification.recipes import Decided
from vistazo.classification.sharing import SHARE as SHARED
from vistazo.classification.training import Program
from vistazo.engine import pacing
from vistazo.engine import range_test as ranges
from vistazo.engine.batches import Batches
from vistazo.engine.progress import Progress
from vistazo.engine.range_test import RangeTest
from vistazo.engine.reports import Block, Curves, Section, Text
from vistazo.engine.runs import Run
from vistazo.errors import Stopped
from vistazo.language import tr

__all__ = ["RANGE", "allowed", "blocks", "section", "sentence", "settle_rate", "tested", "written"]

RANGE = "range_test"  # in config.json
SECONDS = 60.0  # what a test may take where nobody set a time
SHARE = 0.08  # of --time


def allowed(run: Run, config: ClassificationConfig) -> float:
    """Seconds that the test of this run may take: of --time, its part is kept for it; 0 where none is asked for."""
    if config.learning_rate != AUTO:
        return 0.0
    if not config.time:
        return SECONDS
    limit = run.config.get(SHARED, {}).get("seconds", pacing.seconds(config.time))
    return min(SECONDS, SHARE * float(limit))


def settle_rate(
    run: Run,
    program: Program,
    batches: Batches,
    decided: Decided,
    config: ClassificationConfig,
    progress: Progress,
) -> tuple[Decided, RangeTest | None]:
    """What was decided, with the rate that the range test of this run found; None where none was asked for.

    program: as training begins with it, left untouched.
    """
    if config.learning_rate != AUTO:
        return decided, None
    found = tested(run, program, batches, decided, config)
    progress.say(sentence(found))
    decided = replace(decided, learning_rate=found.suggested)
    if run.config["decided"] != asdict(decided):
        run.rewrite({**run.config, "decided": asdict(decided)})
    return decided, found


def tested(
    run: Run, program: Program, batches: Batches, decided: Decided, config: ClassificationConfig
) -> RangeTest:
    """The range test of a run: the one that is frozen in it, else made now. Raises Stopped."""
    if RANGE in run.config or run.repeats(RANGE):
        return RangeTest.from_json(run.freeze(RANGE, {}))
    whole = decided.steps or decided.epochs * batches.steps
    usual = learning.groups_of(replace(decided, learning_rate=None), program.module, rate=1.0)[0].rate
    with run.polling():
        found = ranges.range_test(
            program,
            batches,
            usual=usual,
            seconds=allowed(run, config),
            seed=config.seed,
            accumulate=config.accumulate,
            clip=config.clip,
            constant=whole if decided.schedule == "constant" else 0,
            steps=min(ranges.STEPS, max(ranges.FEWEST, whole // 2)),  # more would cost more than they gain
            stop=run.asked_to_stop,
        )
    if found.ended == "stopped":
        raise Stopped(
            tr("Stopped; everything is saved. Continue with: vistazo resume {folder}", folder=run.folder)
        )
    run.freeze(RANGE, found.to_json())
    return found


def written(rate: float) -> str:
    """A rate with three digits, as one writes it on the command line."""
    return f"{rate:.3g}"


def sentence(found: RangeTest) -> str:
    """What the test chose, in one line."""
    values = {"steps": len(found.rates), "rate": written(found.suggested), "usual": written(found.usual)}
    if found.suggested == found.usual and not _fell(found):
        return tr(
            "learning rate {rate}, the usual one: at no rate did the loss fall within the {steps} steps of the range "
            "test",
            **values,
        )
    return tr("learning rate {rate}, found by a range test of {steps} steps (usual: {usual})", **values)


def _fell(found: RangeTest) -> bool:
    return ranges.suggest(found.rates, found.losses) is not None


def section(found: RangeTest) -> Section:
    """What a report says of the test."""
    return Section(tr("Learning rate"), blocks(found))


def blocks(found: RangeTest) -> list[Block]:
    """The sentence and the curve: the loss over the rate, as far as it tells something."""
    smoothed = ranges.centred(found.losses)
    if not smoothed or not max(smoothed):
        return [Text(sentence(found))]
    most = 1.5 * smoothed[0]
    lines: dict[str, list[float | None]] = {
        tr("loss"): [one if one <= most else None for one in found.losses],
        tr("smoothed"): [one if one <= most else None for one in smoothed],
    }
    at = min(range(len(found.rates)), key=lambda one: abs(math.log(found.rates[one] / found.suggested)))
    lines[tr("chosen")] = [smoothed[at] if one == at else None for one in range(len(smoothed))]
    x = [math.log10(rate) for rate in found.rates]
    curve = Curves(x, lines, tr("learning rate, as a power of ten"), tr("loss"), wide=True)
    told = tr(
        "The rate grows from step to step, and each step's loss is drawn over it. On the left nothing is learnt, on "
        "the right the loss no longer falls. The chosen rate lies near the place where it first turns, and below it "
        "where the loss shoots up there. What training began with was put back afterwards."
    )
    return [Text(f"{sentence(found)}.\n\n{told}"), curve]
