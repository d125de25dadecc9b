"""Image classification, told in its own words: read, divide, train, measure, keep; evaluate; predict."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import vistazo
from vistazo import bundle as bundles
from vistazo import platform
from vistazo.bundle import Bundle
from vistazo.classification import metrics, report
from vistazo.classification.classifier import OBJECTIVE, VIEWS, Classifier, open_model
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.models import create, models
from vistazo.classification.recipes import Decided, decide, working_size
from vistazo.engine import device as devices
from vistazo.engine import runs
from vistazo.engine.batches import Batch
from vistazo.engine.device import Compute
from vistazo.engine.fitting import Fitted, Plan, fit
from vistazo.engine.objectives import objectives
from vistazo.engine.optimizers import Lookahead, build_optimizers, schedule
from vistazo.engine.parameters import count_parameters
from vistazo.engine.progress import Progress
from vistazo.engine.reports import number
from vistazo.engine.runs import Run
from vistazo.errors import ConfigError, DiskError, TooManyBroken
from vistazo.language import tr
from vistazo.networks.airbench import Airbench
from vistazo.pictures import decoding, sources, splits
from vistazo.pictures.index import TEST, Broken, Index, fingerprint, write_index
from vistazo.pictures.loading import Normaliser, PictureBatches

__all__ = ["Data", "Measured", "Program", "read", "train"]

Pixels = npt.NDArray[np.uint8]
WHITENED_ON = 5000  # pictures, as published (arXiv:2404.00498)


# ---------------------------------------------------------------- training
@devices.without_compiler()
def train(run: Run, source: Any, config: ClassificationConfig, progress: Progress) -> None:
    """One whole run: from a source to model.vistazo, metrics.json and report.html in the run's folder."""
    data = read(run, source, config, progress)
    compute = devices.resolve_device(config.device)
    start = _start(run, config, data)
    decided = Decided(**run.freeze("decided", asdict(_decide(config, data, start))))
    normaliser = start.normaliser if start else Normaliser.of(data.part("train"))

    torch.manual_seed(config.seed)
    network = create(decided.model, decided.arguments)
    if start:
        network.load_state_dict(start.network.state_dict())
    elif isinstance(network, Airbench):
        first = torch.from_numpy(
            data.part("train")[:: max(1, len(data.part("train")) // WHITENED_ON)][:WHITENED_ON]
        )
        network.whiten(normaliser(first.permute(0, 3, 1, 2)))

    choice = Compute(**run.freeze("compute", asdict(_choose(config, decided, network, normaliser, compute))))
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
    progress.say(_plan_sentence(decided, choice, network, batches))
    validation = data.part("validation")
    # While training, one view in the training precision: it only ranks epochs. The figures reported are fp32.
    watching = replace(model, views=VIEWS[:1], compute=choice)

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
    measured = {part: _measure(model, data, part) for part in ("validation", "test")}
    _keep(run, config, data, decided, choice, model, fitted, measured, progress)


@dataclass(frozen=True)
class Data:
    """The pictures of a run in memory. pixels: uint8 (pictures, height, width, channels) of the rows of `index`."""

    index: Index
    pixels: Pixels
    size: tuple[int, int, int]
    sentences: tuple[str, ...]
    broken: tuple[Broken, ...]

    def rows(self, part: str) -> npt.NDArray[np.int64]:
        return self.index.rows(part)

    def part(self, part: str) -> Pixels:
        return self.pixels[self.rows(part)]

    def labels(self, part: str) -> npt.NDArray[np.int64]:
        return self.index.label[self.rows(part)]


def read(run: Run, source: Any, config: ClassificationConfig, progress: Progress) -> Data:
    """Find, decode and divide the pictures, and tell how; index.parquet is written.

    Raises SourceError where they cannot be used, RunDiffers where they are not those the run began with.
    """
    found = sources.read_source(source, classes_file=Path(config.classes) if config.classes else None)
    for note in found.notes:
        progress.say(note)
    splits.require_trainable(found.index)
    rows = np.arange(len(found.index))
    own = np.flatnonzero(
        found.index.split != TEST
    )  # what the network is like must not depend on the test part
    height, width, channels = decoding.survey(found.store, own, most=200, seed=0)
    height, width = working_size(config.size, height=height, width=width)
    channels = int(config.channels or channels)
    loaded = decoding.load(
        found.store, rows, height=height, width=width, channels=channels, threads=platform.physical_cores()
    )
    broken = (*found.broken, *loaded.broken)
    _allow(broken, len(rows) + len(found.broken), config.max_broken, progress)
    index = found.index.replace(hash=loaded.hashes)
    if loaded.broken:
        index = index.take(loaded.rows)
        splits.require_trainable(index)
    assigned = splits.assign(index, seed=config.seed, group_by=config.group_by)
    counted = tr("pictures: {n} of {height} x {width} pixels, {colour}", n=len(index), height=height, width=width,
                 colour=tr("grey") if channels == 1 else tr("colour"))  # fmt: skip
    for sentence in (counted, *assigned.sentences):
        progress.say(sentence)
    run.freeze("data", {"fingerprint": fingerprint(assigned.index), "size": [height, width, channels]})
    if not (run.folder / "index.parquet").exists():
        try:
            write_index(assigned.index, run.folder / "index.parquet")
        except OSError as error:
            raise DiskError(bundles.disk_sentence(run.folder / "index.parquet", error)) from error
    return Data(assigned.index, loaded.pixels, (height, width, channels), assigned.sentences, broken)


class Program:
    """How a batch of pictures becomes a loss."""

    def __init__(
        self,
        network: nn.Module,
        decided: Decided,
        config: ClassificationConfig,
        normaliser: Normaliser,
        compute: Compute,
    ) -> None:
        self.module = network
        self._objective = objectives[OBJECTIVE](smoothing=decided.smoothing)
        self._normaliser, self._compute = normaliser, compute
        groups = [
            replace(one, rate=one.rate * config.rate)
            for one in models[decided.model].groups(network, decided.batch)
        ]
        self.optimizers: Sequence[Sequence[Optimizer]] = [build_optimizers(groups)]

    def step(self, batch: Batch, k: int) -> Tensor:
        pictures, labels = batch.inputs["pictures"], batch.targets["label"]
        assert isinstance(pictures, Tensor) and isinstance(labels, Tensor)
        with self._compute.autocast():
            scores_NK = self.module(self._compute.place(self._normaliser(pictures)))
        loss: Tensor = self._objective.loss(scores_NK, labels, batch.weights)
        return loss


def _decide(config: ClassificationConfig, data: Data, start: Classifier | None) -> Decided:
    """What recipe, settings and data say; a model that training begins from brings its own network."""
    height, width, channels = data.size
    decided = decide(
        config,
        pictures=len(data.rows("train")),
        height=height,
        width=width,
        channels=channels,
        classes=data.index.classes,
    )
    if start is None:
        return decided
    if (config.model and config.model != start.model) or (
        config.filters and decided.arguments != start.arguments
    ):
        raise ConfigError(
            tr(
                "{path} has another network than --model and --filters ask for; leave them out.",
                path=start.path,
            )
        )
    return replace(decided, model=start.model, arguments=start.arguments)


def _choose(
    config: ClassificationConfig, decided: Decided, network: nn.Module, normaliser: Normaliser, device: str
) -> Compute:
    """The fastest precision and layout for this network here, tried on a copy so that training starts untouched."""
    height, width, channels = (decided.arguments[name] for name in ("height", "width", "channels"))
    size = min(decided.batch, 128)
    pictures = torch.randint(0, 256, (size, channels, height, width), dtype=torch.uint8)
    labels = torch.zeros(size, dtype=torch.int64)
    kept = network.state_dict()

    def attempt(choice: Compute) -> Callable[[], None]:
        copy = create(decided.model, decided.arguments)
        copy.load_state_dict(kept)
        program = Program(choice.place(copy), decided, config, normaliser, choice)
        moved = Batch(
            {"pictures": pictures.to(choice.device)}, {"label": labels.to(choice.device)}, torch.arange(size)
        )

        def step() -> None:
            copy.zero_grad()
            program.step(moved, 0).backward()  # type: ignore[no-untyped-call,unused-ignore]

        return step

    about = {"model": decided.model, "arguments": decided.arguments, "batch": size}
    choices = devices.candidates(
        device, precision=config.precision, layout=config.layout, threads=config.threads
    )
    return devices.probe(choices, attempt, about=about, seconds=1.0)


def _start(run: Run, config: ClassificationConfig, data: Data) -> Classifier | None:
    """The model whose weights training begins from, and the proof that it is still the same file."""
    if not config.start:
        return None
    path = runs.model_file(config.start)
    contents = bundles.load(path)
    if contents.task != "classification":
        raise ConfigError(tr("{path} is a model of another task ({task}).", path=path, task=contents.task))
    start = open_model(contents, path)
    tensors = _tensor_hash(start.network.state_dict())
    if run.freeze("start", {"model": str(path.absolute()), "tensors": tensors})["tensors"] != tensors:
        raise ConfigError(tr("{path} is not the model that this run began from.", path=path))
    if start.classes != data.index.classes or start.size != data.size:
        raise ConfigError(
            tr(
                "{path} was trained on other classes or another picture size ({old}) than this data has ({new}). "
                "Give it data with the same classes, and --size if only the size differs.",
                path=path,
                old=f"{', '.join(start.classes)}; {start.size}",
                new=f"{', '.join(data.index.classes)}; {data.size}",
            )
        )
    return start


def _tensor_hash(tensors: dict[str, Tensor]) -> str:
    import hashlib

    counted = hashlib.sha256()
    for name, one in sorted(tensors.items()):
        counted.update(name.encode())
        counted.update(one.detach().cpu().contiguous().numpy().tobytes())
    return counted.hexdigest()


def _stop_at(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    metric, value = text.split("=")
    return metric, float(value)


def _allow(broken: Sequence[Broken], total: int, most: float, progress: Progress) -> None:
    """Name the broken pictures; raise TooManyBroken where they are more than the share allowed."""
    for fault in broken[:5]:
        progress.say(tr("left out: {name} ({reason})", name=fault.where, reason=fault.reason))
    if len(broken) > 5:
        progress.say(tr("left out: {n} more; the report lists them all", n=len(broken) - 5))
    if total and len(broken) / total > most:
        raise TooManyBroken(
            tr(
                "{n} of {total} pictures cannot be used ({share:.0%}; --max-broken allows {most:.0%}). "
                "The first: {name} ({reason}).",
                n=len(broken),
                total=total,
                share=len(broken) / total,
                most=most,
                name=broken[0].where,
                reason=broken[0].reason,
            )
        )


def _plan_sentence(decided: Decided, compute: Compute, network: nn.Module, batches: PictureBatches) -> str:
    return tr(
        "training {model} ({parameters} parameters), {epochs} epochs of {steps} steps of {batch} pictures, "
        "{precision} on {device} with {threads} threads",
        model=decided.model,
        parameters=number(count_parameters(network).total),
        epochs=decided.epochs,
        steps=batches.steps,
        batch=batches.size,
        precision=compute.precision,
        device=compute.device,
        threads=compute.threads,
    )


# ---------------------------------------------------------------- measuring and keeping
@dataclass(frozen=True)
class Measured:
    """A part as the final model sees it. probabilities: (pictures, classes). single: accuracy with one view."""

    figures: dict[str, Any]
    probabilities: npt.NDArray[np.float64]
    single: float | None


def _measure(model: "Classifier", data: Data, part: str) -> Measured | None:
    if not len(data.rows(part)):
        return None
    labels = data.labels(part)
    each = model.view_scores(data.part(part))
    probabilities = model.combine(each)
    single = float(np.mean(each[0].argmax(1) == labels))
    figures = {**metrics.measure(probabilities, labels), "single_view_accuracy": single}
    return Measured(figures, probabilities, single)


def _keep(
    run: Run,
    config: ClassificationConfig,
    data: Data,
    decided: Decided,
    compute: Compute,
    model: "Classifier",
    fitted: Fitted,
    measured: dict[str, Measured | None],
    progress: Progress,
) -> None:
    """Write the report, the figures and, last of all, the model."""
    parameters = count_parameters(model.network)
    figures = {part: None if one is None else one.figures for part, one in measured.items()}
    counted = {**asdict(parameters), "total": parameters.total}
    told = {
        "task": "classification",
        "parameters": counted,
        "epochs": len(fitted.history),
        "kept_epoch": fitted.epoch,
        "ended": fitted.reason,
        "metrics": figures,
        "counts": {part: len(data.rows(part)) for part in ("train", "validation", "test", "out")},
        "broken": [{"file": one.where, "reason": one.reason} for one in data.broken],
    }
    run.write("metrics.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    part = "test" if measured["test"] else "validation"
    page = report.build(
        report.Told(
            name=run.folder.name,
            data=data.index,
            part=part,
            labels=data.labels(part),
            pixels=data.part(part),
            probabilities=None if (shown := measured[part]) is None else shown.probabilities,
            figures=figures,
            history=fitted.history,
            kept_epoch=fitted.epoch,
            reason=fitted.reason,
            settings={name: value for name, value in config.model_dump().items() if value is not None},
            decided=asdict(decided),
            parameters=counted,
            sentences=data.sentences,
            broken=data.broken,
            environment=compute.environment(vistazo.__version__),
            seconds=platform.seconds_since_start(),
        )
    )
    run.write("report.html", page)
    settings = config.identity()
    bundles.save(
        Bundle(
            task="classification",
            model=decided.model,
            arguments=decided.arguments,
            preprocessing={
                "height": data.size[0],
                "width": data.size[1],
                "channels": data.size[2],
                "mean": model.normaliser.mean,
                "std": model.normaliser.std,
                "resize": "cover-crop-antialias-1",
            },
            facts={
                "classes": list(data.index.classes),
                "views": [list(one) for one in model.views],
                "objective": OBJECTIVE,
            },
            training={
                "settings": settings,
                "decided": asdict(decided),
                "compute": asdict(compute),
                "versions": {"vistazo": vistazo.__version__, "torch": torch.__version__},
                "parameters": counted,
                "counts": told["counts"],
            },
            metrics=figures,
            fingerprint=run.config["data"]["fingerprint"],
            tensors={name: one.detach().cpu() for name, one in model.network.state_dict().items()},
        ),
        run.model,
    )
    progress.say(
        tr("{reason}; the weights of epoch {epoch} were kept", reason=fitted.reason, epoch=fitted.epoch)
    )
