"""Image classification, told in its own words: read, divide, train, measure, keep; evaluate; predict."""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

import vistazo
from vistazo.classification import balance, in_words, learning, rate_testing, several, studies, transfer
from vistazo.classification.beside import train_beside
from vistazo.classification.budget import TooShort, fit_to_time
from vistazo.classification.classifier import Classifier, open_model, views_of
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.data import RECIPE, Data, read, spread
from vistazo.classification.evaluating import settling
from vistazo.classification.keeping import keep, measure
from vistazo.classification.models import create, models
from vistazo.classification.objective import sentences as loss_sentences
from vistazo.classification.recipes import Decided
from vistazo.classification.sharing import SHARE
from vistazo.classification.training import (
    Program,
    beginning,
    choose_compute,
    decide_from,
    drawing,
    normaliser_of,
    plan_sentence,
    seen_sentence,
)
from vistazo.classification.transfer import HeadAlone
from vistazo.engine import device as devices
from vistazo.engine import pacing
from vistazo.engine.device import Compute
from vistazo.engine.fitting import Fitted, Pause, Plan, fit
from vistazo.engine.optimizers import Lookahead, schedule
from vistazo.engine.progress import Progress
from vistazo.engine.range_test import RangeTest
from vistazo.engine.runs import MODEL, Run
from vistazo.networks.airbench import Airbench
from vistazo.networks.efficientnet_lite import EfficientNetLite0
from vistazo.pictures.loading import Normaliser, PictureBatches

__all__ = ["Learnt", "conclude", "learn", "open_model", "range_test", "read", "settle", "train"]

WHITENED_ON = 5000  # pictures, as published (arXiv:2404.00498)


@devices.without_compiler()
def train(run: Run, source: Any, config: ClassificationConfig, progress: Progress) -> None:
    """One whole run: from a source to model.vistazo, metrics.json and report.html in the run's folder."""
    try:
        _train(run, source, config, progress)
    except TooShort as error:
        # One of several runs is like the others, so the study they are of begins anew, and only with its first run.
        if SHARE in run.config or not error.instead or list(run.folder.glob(f"*/{MODEL}")):
            raise
        _begin_anew(run, error.instead)
        _train(run, source, config, progress)


def _begin_anew(run: Run, recipe: str) -> None:
    """Have a run that has learnt nothing yet begin again with another recipe, and so with pictures of another size."""
    kept = {name: value for name, value in run.config.items() if name not in ("parts", "data")}
    run.rewrite({**kept, RECIPE: recipe})
    (run.folder / "index.parquet").unlink(missing_ok=True)
    for inside in run.folder.glob("*/config.json"):
        shutil.rmtree(inside.parent)


def _train(run: Run, source: Any, config: ClassificationConfig, progress: Progress) -> None:
    if studies.wanted(config):
        studies.train(run, source, config, progress, train)
        return
    learning.require_early(config)
    data = read(run, source, config, progress)
    config = data.config
    settling.require_possible(data, config.unknown_error)
    start = beginning(run, config, data)
    decided, normaliser, choice = settle(run, config, data, start)
    learnt = learn(run, config, data, start, decided, normaliser, choice, progress)
    conclude(run, source, config, learnt, progress)


@dataclass(frozen=True)
class Learnt:
    """A trained network and what it took. model: with the kept weights. data: with what is told of it.

    tested: the range test that chose the learning rate, where one was asked for.
    """

    data: Data
    decided: Decided
    compute: Compute
    model: Classifier
    fitted: Fitted
    head_alone: HeadAlone | None
    tested: RangeTest | None


def learn(
    run: Run,
    config: ClassificationConfig,
    data: Data,
    start: Classifier | None,
    decided: Decided,
    normaliser: Normaliser,
    choice: Compute,
    progress: Progress,
    pause: Pause | None = None,
) -> Learnt:
    """Train what was decided, from its first weights or its checkpoint; no picture of the test part is looked at.

    pause: see `fit`.
    """
    begun = _begin(run, config, data, start, decided, normaliser, choice, progress)
    data, program, batches, watching = begun.data, begun.program, begun.batches, begun.watching
    validation = data.part("validation")

    def validate() -> dict[str, float]:
        figures = watching.figures(watching.probabilities(validation), data.labels("validation"))
        return {name: float(figures[name] or 0.0) for name in ("accuracy", "loss", "macro_f1")}

    decided, tested = rate_testing.settle_rate(run, program, batches, decided, config, progress)
    if tested:
        program = Program(program.module, decided, config, normaliser, choice)
    fitted = fit(
        program,
        batches,
        validate=validate if len(validation) else None,
        plan=Plan(
            epochs=decided.epochs,
            seed=config.seed,
            monitor=decided.monitor,
            patience=decided.patience,
            patience_on=decided.patience_on,
            keep=decided.keep,
            stop_at=_stop_at(decided.stop_at),
            accumulate=config.accumulate,
            clip=config.clip,
            checkpoint_seconds=config.checkpoint_seconds,
            seconds=decided.seconds,
            steps=decided.steps,
            most=decided.most,
        ),
        schedule=schedule(decided.schedule),
        averager=Lookahead(program.module) if decided.average == "lookahead" else None,
        run=run,
        progress=progress,
        pause=pause,
    )
    return Learnt(data, decided, choice, begun.model, fitted, begun.head_alone, tested)


def range_test(
    run: Run,
    config: ClassificationConfig,
    data: Data,
    start: Classifier | None,
    decided: Decided,
    normaliser: Normaliser,
    choice: Compute,
) -> RangeTest:
    """The range test that `learn` would begin with, alone; frozen in the run. Raises Stopped."""
    begun = _begin(run, config, data, start, decided, normaliser, choice, Progress(quiet=True))
    return rate_testing.tested(run, begun.program, begun.batches, decided, config)


@dataclass(frozen=True)
class _Begun:
    """What stands before the first step. model: as it will be kept. watching: as it is validated while it learns."""

    data: Data
    program: Program
    model: Classifier
    watching: Classifier
    batches: PictureBatches
    head_alone: HeadAlone | None


def _begin(
    run: Run,
    config: ClassificationConfig,
    data: Data,
    start: Classifier | None,
    decided: Decided,
    normaliser: Normaliser,
    choice: Compute,
    progress: Progress,
) -> _Begun:
    """The network with its first weights, how it learns and from what; of a pretrained one, its head has learnt."""
    torch.manual_seed(config.seed)
    network = create(decided.model, decided.arguments)
    _first_weights(network, start, data, normaliser)

    run.write("environment.json", json.dumps(choice.environment(vistazo.__version__), indent=2) + "\n")
    uneven = balance.sentence(
        decided.balance,
        data.index.counts(data.index.split == "train"),
        data.index.classes,
        several=data.several,
    )
    data = replace(data, sentences=(*data.sentences, *filter(None, [uneven])))
    program = Program(choice.place(network), decided, config, normaliser, choice)
    model = Classifier(
        network=network,
        model=decided.model,
        arguments=decided.arguments,
        classes=data.index.classes,
        normaliser=normaliser,
        size=data.size,
        views=views_of(several=decided.views, flip=decided.flip, shifted=models[decided.model].shifted),
        compute=choice.in_fp32(),
        objective=decided.objective,
        smoothing=decided.smoothing,
        loss_arguments=decided.loss_arguments,
        thresholds=several.plain(len(data.index.classes)) if data.several else None,
        background=config.background,
    )
    batches = drawing(data, decided, config, normaliser, choice.device)
    progress.say(plan_sentence(decided, choice, network, batches))
    for line in in_words.plan_lines(decided.model, decided.arguments):
        progress.say(line)
    progress.say(seen_sentence(decided))
    for sentence in loss_sentences(config, several=data.several):
        progress.say(sentence)
    if uneven:
        progress.say(uneven)
    # While training, one view in the training precision: it only ranks epochs. The figures reported are fp32.
    watching = replace(model, views=model.views[:1], compute=choice)

    head_alone = None
    if isinstance(network, EfficientNetLite0) and not start:
        head_alone = transfer.warm_start(
            run, data, watching, flip=decided.flip, seed=config.seed, progress=progress
        )
    return _Begun(data, program, model, watching, batches, head_alone)


def conclude(run: Run, source: Any, config: ClassificationConfig, learnt: Learnt, progress: Progress) -> None:
    """Measure what was learnt, on the test part too, and leave its report and its model in the run."""
    data, decided, choice, model = learnt.data, learnt.decided, learnt.compute, learnt.model
    validation = data.part("validation")
    run.status("measuring")
    scores = model.view_scores(validation) if len(validation) else None
    if data.several and scores is not None:
        chosen = several.choose_thresholds(model.combine(scores), data.labels("validation"))
        model = replace(model, thresholds=tuple(chosen.values.tolist()))
    model, settled = settling.settle(model, data, scores, config.unknown_error)
    measured = {
        part: measure(model, data, part, scores if part == "validation" else None)
        for part in ("validation", "test")
    }
    other = train_beside(run, source, config, progress, train)
    keep(run, config, data, decided, choice, model, learnt.fitted, measured, settled, other, learnt.head_alone,
         progress, learnt.tested)  # fmt: skip


def settle(
    run: Run, config: ClassificationConfig, data: Data, start: Classifier | None
) -> tuple[Decided, Normaliser, Compute]:
    """What is trained and how it computes: decided by settings, recipe, data and time, tried where nobody can know.

    Frozen in the run, so that a resumed one goes on as it began. The choice of computing is in force from here on.
    """
    decided = decide_from(config, data, start)
    if start:
        normaliser = start.normaliser
    else:
        normaliser = normaliser_of(decided.scaling, data.part("train"))
    frozen = run.config.get("decided"), run.config.get("compute")
    if run.repeats("decided"):  # no clock has a say in what is done again
        decided = Decided(**run.freeze("decided", {}))
    if frozen[0] and frozen[1]:
        decided, choice = Decided(**frozen[0]), Compute(**frozen[1])
    elif config.time and not run.repeats("decided"):
        share = run.config.get(SHARE, {"seconds": pacing.seconds(config.time), "of": 1})
        if "arguments" in share:
            decided, data = replace(decided, arguments=share["arguments"]), replace(data, named=True)
        limit = share["seconds"] - rate_testing.allowed(run, config)
        decided, choice = fit_to_time(limit, run.seconds, config, data, decided, normaliser, runs=share["of"])
    else:
        network = create(decided.model, decided.arguments)
        device = devices.resolve_device(config.device)
        choice = choose_compute(config, decided, network, normaliser, device)
    decided = Decided(**run.freeze("decided", asdict(decided)))
    choice = Compute(**run.freeze("compute", asdict(choice)))
    choice.start()
    return decided, normaliser, choice


def _first_weights(network: nn.Module, start: Classifier | None, data: Data, normaliser: Normaliser) -> None:
    """What training begins with, besides chance: another run's weights, the data's own patches, published weights."""
    if start:
        network.load_state_dict(start.network.state_dict())
    elif isinstance(network, Airbench):
        pixels = data.part("train")
        first = torch.from_numpy(pixels[spread(len(pixels), WHITENED_ON)])
        network.whiten(normaliser(first.permute(0, 3, 1, 2)))
    elif isinstance(network, EfficientNetLite0):
        network.load_published()


def _stop_at(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    metric, value = text.split("=")
    return metric, float(value)
