"""Image classification, told in its own words: read, divide, train, measure, keep; evaluate; predict."""

import json
from dataclasses import asdict, replace
from typing import Any

import torch

import vistazo
from vistazo.classification import metrics, transfer
from vistazo.classification.classifier import VIEWS, Classifier, open_model
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.data import Data, read
from vistazo.classification.keeping import keep, measure
from vistazo.classification.models import create, models
from vistazo.classification.recipes import Decided
from vistazo.classification.training import (
    Program,
    beginning,
    choose_compute,
    decide_from,
    plan_sentence,
)
from vistazo.engine import device as devices
from vistazo.engine.device import Compute
from vistazo.engine.fitting import Plan, fit
from vistazo.engine.optimizers import Lookahead, schedule
from vistazo.engine.progress import Progress
from vistazo.engine.runs import Run
from vistazo.networks.airbench import Airbench
from vistazo.networks.efficientnet_lite import EfficientNetLite0
from vistazo.pictures.loading import Normaliser, PictureBatches

__all__ = ["open_model", "read", "train"]

WHITENED_ON = 5000  # pictures, as published (arXiv:2404.00498)


@devices.without_compiler()
def train(run: Run, source: Any, config: ClassificationConfig, progress: Progress) -> None:
    """One whole run: from a source to model.vistazo, metrics.json and report.html in the run's folder."""
    data = read(run, source, config, progress)
    compute = devices.resolve_device(config.device)
    start = beginning(run, config, data)
    decided = Decided(**run.freeze("decided", asdict(decide_from(config, data, start))))
    normaliser = start.normaliser if start else _normaliser(decided.model, data)

    torch.manual_seed(config.seed)
    network = create(decided.model, decided.arguments)
    if start:
        network.load_state_dict(start.network.state_dict())
    elif isinstance(network, Airbench):
        first = torch.from_numpy(
            data.part("train")[:: max(1, len(data.part("train")) // WHITENED_ON)][:WHITENED_ON]
        )
        network.whiten(normaliser(first.permute(0, 3, 1, 2)))
    elif isinstance(network, EfficientNetLite0):
        network.load_published()

    choice = Compute(
        **run.freeze("compute", asdict(choose_compute(config, decided, network, normaliser, compute)))
    )
    choice.start()
    run.write("environment.json", json.dumps(choice.environment(vistazo.__version__), indent=2) + "\n")
    program = Program(choice.place(network), decided, config, normaliser, choice)
    model = Classifier(
        network=network,
        model=decided.model,
        arguments=decided.arguments,
        classes=data.index.classes,
        normaliser=normaliser,
        size=data.size,
        views=VIEWS if decided.views else VIEWS[:1],
        compute=choice.in_fp32(),
    )
    batches = PictureBatches(
        data.part("train"),
        {"label": torch.from_numpy(data.labels("train"))},
        data.rows("train"),
        size=decided.batch,
        reach=decided.reach,
        flip=decided.flip,
        seed=config.seed,
        device=choice.device,
    )
    progress.say(plan_sentence(decided, choice, network, batches))
    validation = data.part("validation")
    # While training, one view in the training precision: it only ranks epochs. The figures reported are fp32.
    watching = replace(model, views=VIEWS[:1], compute=choice)
    head_alone = None
    if isinstance(network, EfficientNetLite0) and not start:
        head_alone = transfer.warm_start(
            run, data, watching, flip=decided.flip, seed=config.seed, progress=progress
        )

    def validate() -> dict[str, float]:
        figures = metrics.measure(watching.probabilities(validation), data.labels("validation"))
        return {name: float(figures[name] or 0.0) for name in ("accuracy", "loss", "macro_f1")}

    fitted = fit(
        program,
        batches,
        validate=validate if len(validation) else None,
        plan=Plan(
            epochs=decided.epochs,
            seed=config.seed,
            monitor=config.monitor,
            patience=config.patience,
            keep=decided.keep,
            stop_at=_stop_at(config.stop_at),
            accumulate=config.accumulate,
            clip=config.clip,
            checkpoint_seconds=config.checkpoint_seconds,
        ),
        schedule=schedule(decided.schedule),
        averager=Lookahead(network) if decided.average == "lookahead" else None,
        run=run,
        progress=progress,
    )
    run.status("measuring")
    measured = {part: measure(model, data, part) for part in ("validation", "test")}
    keep(run, config, data, decided, choice, model, fitted, measured, head_alone, progress)


def _normaliser(model: str, data: Data) -> Normaliser:
    """The training part's own figures, or those that published weights were trained with."""
    published = models[model].normaliser
    channels = data.size[2]
    if published:
        return Normaliser([published[0]] * channels, [published[1]] * channels)
    return Normaliser.of(data.part("train"))


def _stop_at(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    metric, value = text.split("=")
    return metric, float(value)
