"""How a classifier learns: what a run begins from, how it computes, how a batch becomes a loss."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vistazo import bundle as bundles
from vistazo.classification import balance
from vistazo.classification.classifier import SEVERAL, Classifier, open_model
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.data import Data
from vistazo.classification.models import create, models
from vistazo.classification.recipes import Decided, decide
from vistazo.engine import device as devices
from vistazo.engine import runs
from vistazo.engine.batches import Batch
from vistazo.engine.device import Compute
from vistazo.engine.fitting import Paced
from vistazo.engine.objectives import objectives
from vistazo.engine.optimizers import build_optimizers
from vistazo.engine.parameters import count_parameters
from vistazo.engine.reports import number
from vistazo.engine.runs import Run
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.pictures import augments
from vistazo.pictures.augmentation import Augmenter
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.loading import Normaliser, PictureBatches

__all__ = [
    "Program",
    "augmenter",
    "balancing",
    "beginning",
    "choose_compute",
    "decide_from",
    "drawing",
    "noise",
    "normaliser_of",
    "plan_sentence",
    "seen_sentence",
    "targets",
]


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
        self._objective = objectives[decided.objective](smoothing=decided.smoothing)
        self._penalty = models[decided.model].penalty
        self._normaliser, self._compute = normaliser, compute
        groups = [
            replace(one, rate=one.rate * config.rate)
            for one in models[decided.model].groups(network, decided.batch)
        ]
        self.optimizers: Sequence[Sequence[Optimizer]] = [build_optimizers(groups)]

    def pace(self, progress: float) -> None:
        """Tell a network that grows with training how far along it is."""
        if isinstance(self.module, Paced):
            self.module.pace(progress)

    def step(self, batch: Batch, k: int) -> Tensor:
        pictures, labels = batch.inputs["pictures"], batch.targets["label"]
        assert isinstance(pictures, Tensor) and isinstance(labels, Tensor)
        with self._compute.autocast():
            scores_NK = self.module(self._compute.place(self._normaliser(pictures)))
        loss: Tensor = self._objective.loss(scores_NK, labels, batch.weights)
        return loss + self._penalty(self.module) if self._penalty else loss


def decide_from(config: ClassificationConfig, data: Data, start: Classifier | None) -> Decided:
    """What recipe, settings and data say; a model that training begins from brings its own network."""
    decided = decide(config, data.given, data.index.classes)
    counts = data.index.counts(data.index.split == "train")
    decided = replace(decided, balance=balance.choose(config.balance, counts, several=data.several))
    if data.several:
        decided = replace(decided, objective=SEVERAL)
    if start is None:
        return decided
    if config.network and start.arguments.get("words") != decided.arguments["words"]:
        raise ConfigError(
            tr("{path} has another network than --network writes down; leave it out.", path=start.path)
        )
    if (config.model and config.model != start.model) or (
        config.filters and decided.arguments.get("filters") != start.arguments.get("filters")
    ):
        raise ConfigError(
            tr(
                "{path} has another network than --model and --filters ask for; leave them out.",
                path=start.path,
            )
        )
    return replace(decided, model=start.model, arguments=start.arguments, objective=start.objective)


def beginning(run: Run, config: ClassificationConfig, data: Data) -> Classifier | None:
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
    if start.several and not data.several:
        raise ConfigError(
            tr(
                "{path} answers with several labels a picture and this data has one each: train without --from.",
                path=path,
            )
        )
    if data.several and not start.several:
        raise ConfigError(
            tr(
                "{path} answers with one label a picture and this data has several: train without --from.",
                path=path,
            )
        )
    return start


def targets(data: Data) -> Tensor:
    """What the training pictures are to be answered with: (n,) class numbers, or (n, labels) floats of 0 and 1."""
    truth = torch.from_numpy(data.labels("train"))
    return truth.float() if data.several else truth


def balancing(data: Data, decided: Decided) -> dict[str, Tensor]:
    """What PictureBatches is given so that rare classes are drawn more often, or weigh more."""
    truth, counts = data.labels("train"), data.index.counts(data.index.split == "train")
    if decided.balance == "sampling":
        return {"shares": torch.from_numpy(balance.drawn(truth, counts))}
    if decided.balance == "weights":
        return {"weights": torch.from_numpy(balance.weighed(truth, counts)).float()}
    return {}


def _tensor_hash(tensors: dict[str, Tensor]) -> str:
    counted = hashlib.sha256()
    for name, one in sorted(tensors.items()):
        counted.update(name.encode())
        counted.update(one.detach().cpu().contiguous().numpy().tobytes())
    return counted.hexdigest()


def choose_compute(
    config: ClassificationConfig, decided: Decided, network: nn.Module, normaliser: Normaliser, device: str
) -> Compute:
    """The fastest precision and layout for this network here, tried on a copy so that training starts untouched."""
    height, width = (decided.arguments[name] for name in ("height", "width"))
    size = min(decided.batch, 128, max(8, 128 * 64 * 64 // (height * width)))
    kept = network.state_dict()

    def attempt(choice: Compute) -> Callable[[], None]:
        copy = create(decided.model, decided.arguments)
        copy.load_state_dict(kept)
        program = Program(choice.place(copy), decided, config, normaliser, choice)
        moved = noise(decided, size, choice.device)

        def step() -> None:
            copy.zero_grad()
            program.step(moved, 0).backward()  # type: ignore[no-untyped-call,unused-ignore]

        return step

    about = {"model": decided.model, "arguments": decided.arguments, "batch": size}
    # EfficientNet-Lite computes in one layout whatever it is given, so the other is not tried.
    layout = "channels_last" if decided.model == "efficientnet_lite0" else config.layout
    choices = devices.candidates(device, precision=config.precision, layout=layout, threads=config.threads)
    return devices.probe(choices, attempt, about=about, seconds=1.0)


def drawing(
    data: Data, decided: Decided, config: ClassificationConfig, normaliser: Normaliser, device: str
) -> PictureBatches:
    """What training draws its batches from, changed as it is decided."""
    return PictureBatches(
        data.part("train"),
        {"label": targets(data)},
        data.rows("train"),
        size=decided.batch,
        reach=decided.reach,
        flip=decided.flip,
        seed=config.seed,
        device=device,
        augmenter=augmenter(decided, normaliser, seed=config.seed),
        classes=len(data.index.classes),
        **balancing(data, decided),
    )


def noise(decided: Decided, count: int, device: str) -> Batch:
    """A batch to try a network on: pictures of noise, each of the first class or, of several labels, of none."""
    height, width, channels = (decided.arguments[name] for name in ("height", "width", "channels"))
    pictures = torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8)
    labels = torch.zeros(count, dtype=torch.int64)
    if decided.objective == SEVERAL:
        labels = torch.zeros(count, decided.arguments["classes"])
    return Batch({"pictures": pictures.to(device)}, {"label": labels.to(device)}, torch.arange(count))


def plan_sentence(decided: Decided, compute: Compute, network: nn.Module, batches: PictureBatches) -> str:
    """What is about to be trained, and how, in one line."""
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


def normaliser_of(scaling: str, pixels_NHWC: PictureArray) -> Normaliser:
    """How the pixels of a network that begins anew are scaled; pixels_NHWC: the pictures it learns from."""
    channels = pixels_NHWC.shape[3]
    if scaling == "unit":
        return Normaliser.unit(channels)
    if scaling == "published":
        return Normaliser([127.0] * channels, [128.0] * channels)
    return Normaliser.of(pixels_NHWC)


def augmenter(decided: Decided, normaliser: Normaliser, *, seed: int) -> Augmenter | None:
    """What changes the pictures besides shifts and flips; None where nothing does.

    Holes have the colour that the network is given as 0: nothing to see (DeVries, Taylor 2017, arXiv:1708.04552).
    That is the mean of the training pictures or of those the published weights learnt from; with a tutorial's
    pixels / 255 it is black.
    """
    if not decided.augment:
        return None
    return Augmenter([augments.Augment(*one) for one in decided.augment], seed=seed, fill=normaliser.mean)


def seen_sentence(decided: Decided) -> str:
    """How pictures are changed while they are trained on, in one line."""
    several = augments.say(decided.reach, decided.flip, decided.augment)
    if not several:
        return tr("pictures are trained on as they are")
    return tr("pictures change every epoch: {changes}", changes="; ".join(several))
