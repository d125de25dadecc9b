"""Transfer learning: a linear head on the features of a pretrained network, before the network itself learns.

Three stages: the published network looks at every picture once; a softmax regression on what it sees becomes the head;
then the engine's `fit` fine-tunes from the top down. The first two are here. Their results are files in the run's
folder, each written whole or not at all, so a run killed at any moment goes on where it was and ends at the same bits.

Shape suffixes: N pictures, H height, W width, C channels, F features, K classes.
"""

import contextlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vistazo.bundle import disk_sentence, read_container, write_container
from vistazo.classification.classifier import Classifier
from vistazo.classification.data import Data
from vistazo.classification.linear import Linear, fit_linear
from vistazo.classification.metrics import LEVEL
from vistazo.engine import history
from vistazo.engine.figures import wilson_interval
from vistazo.engine.progress import Progress, duration
from vistazo.engine.reports import number, percent
from vistazo.engine.runs import Run, read_json
from vistazo.errors import BundleDamaged, DiskError
from vistazo.language import tr
from vistazo.networks.efficientnet_lite import BLOCKS, EfficientNetLite0
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import VALIDATION

__all__ = ["HeadAlone", "seconds_before", "told", "warm_start"]

FEW = 5_000  # pictures up to which mirrored copies are looked at as well
SLICE = 256  # pictures the network looks at in one call
PIECE = 2_048  # pictures whose features are kept in one file: seconds of work
HEAD, SECONDS, FOLDER = "head.safetensors", "stages.json", "features"


@dataclass(frozen=True)
class HeadAlone:
    """What the head reached on features of the published network, before any of it was changed.

    accuracy: on the `n` validation pictures, one view of each; None without any. pictures: it was fitted on, mirrored
    copies counted. penalty: what folds chose. trained: blocks that are fine-tuned after it, of `blocks`.
    """

    accuracy: float | None
    n: int
    pictures: int
    penalty: float
    trained: int
    blocks: int


def warm_start(
    run: Run, data: Data, model: Classifier, *, flip: bool, seed: int, progress: Progress
) -> HeadAlone:
    """Give the model's network the head that suits what it sees, and tell what that head reaches alone.

    model: with the published weights, in the precision of training. flip: whether mirrored pictures keep their class.
    Raises Stopped where the run is asked to stop, DiskError where a file cannot be written.
    """
    network = model.network
    assert isinstance(network, EfficientNetLite0)
    path = run.folder / HEAD
    kept = _load(path, "head")
    if kept is None:
        kept = _fit_head(run, data, model, flip=flip, seed=seed, progress=progress)
        write_container(path, kept[0], {"kind": "head", **kept[1]})
        with contextlib.suppress(OSError):  # what the features were for is done
            shutil.rmtree(run.folder / FOLDER)
    tensors, facts = kept
    with torch.no_grad():
        network.head.weight.copy_(tensors["weight"])
        network.head.bias.copy_(tensors["bias"])
    return HeadAlone(
        facts["accuracy"], facts["n"], facts["pictures"], facts["penalty"], BLOCKS - network.frozen, BLOCKS
    )


def seconds_before(pictures: int, others: int, flip: bool, each: float) -> float:
    """Roughly what `warm_start` takes. others: pictures of validation and test. each: seconds to look at one."""
    looked = pictures * (2 if flip and pictures <= FEW else 1)
    return (looked + others) * each + 1.0 + 3e-4 * looked  # the regression: 7 s for 20,000 on one busy core


def _fit_head(
    run: Run, data: Data, model: Classifier, *, flip: bool, seed: int, progress: Progress
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    began = time.monotonic()
    looking = _Looking(run, model)
    pixels = data.part("train")
    features_NF = looking.at("train", pixels)
    targets_NK, units_N = _targets(data, len(model.classes)), data.units("train")
    if flip and len(pixels) <= FEW:
        features_NF = torch.cat((features_NF, looking.at("mirrored", pixels, mirrored=True)))
        targets_NK, units_N = torch.cat((targets_NK, targets_NK)), np.concatenate((units_N, units_N))
    looked = time.monotonic()
    head = fit_linear(features_NF.float(), targets_NK, units_N, independent=data.several, seed=seed)
    fitted = time.monotonic()
    accuracy, asked = None, len(data.rows(VALIDATION))
    if asked:
        seen = looking.at(VALIDATION, data.part(VALIDATION))
        accuracy = _accuracy(model, head, seen, data.labels(VALIDATION))
    _tell(progress, len(pixels), accuracy, looked - began, fitted - looked)
    run.write(SECONDS, json.dumps({"features": looked - began, "head": fitted - looked}) + "\n")
    facts = {"accuracy": accuracy, "n": asked, "pictures": len(targets_NK), "penalty": head.penalty}
    return {"weight": head.weight_KF, "bias": head.bias_K}, facts


def _targets(data: Data, classes: int) -> Tensor:
    """(N, K) float32 of 0 and 1."""
    truth = torch.from_numpy(data.labels("train"))
    return (truth if data.several else F.one_hot(truth, classes)).float()


def _accuracy(model: Classifier, head: Linear, features_NF: Tensor, truth: npt.NDArray[Any]) -> float:
    probabilities = model.combine(head.scores(features_NF.float())[None].numpy())
    return float(model.figures(probabilities, truth)["accuracy"])


def _tell(progress: Progress, pictures: int, accuracy: float | None, looking: float, fitting: float) -> None:
    progress.say(
        tr(
            "the pretrained network looked at {n} pictures in {looking}; a linear head was fitted in {fitting}",
            n=pictures,
            looking=duration(looking),
            fitting=duration(fitting),
        )
    )
    if accuracy is not None:
        progress.say(tr("validation accuracy with that head alone: {value}", value=percent(accuracy, 2)))


class _Looking:
    """Features of pictures, kept in pieces as they are found: a kill costs one piece."""

    def __init__(self, run: Run, model: Classifier) -> None:
        self._run, self._model, self._folder = run, model, run.folder / FOLDER
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise DiskError(disk_sentence(self._folder, error)) from error

    def at(self, part: str, pixels_NHWC: PictureArray, *, mirrored: bool = False) -> Tensor:
        """(N, F) float16 of what the head would see of each picture."""
        found = []
        for first in range(0, len(pixels_NHWC), PIECE):
            path = self._folder / f"{part}-{first:07d}.safetensors"
            kept = _load(path, "features")
            if kept is None:
                piece = pixels_NHWC[first : first + PIECE]
                kept = {"features": self._look(piece[:, :, ::-1] if mirrored else piece)}, {}
                write_container(path, kept[0], {"kind": "features"})
            found.append(kept[0]["features"])
        return torch.cat(found)

    @torch.no_grad()
    def _look(self, pixels_NHWC: npt.NDArray[np.uint8]) -> Tensor:
        model, found = self._model, []
        assert isinstance(model.network, EfficientNetLite0)
        for first in range(0, len(pixels_NHWC), SLICE):
            if self._run.asked_to_stop():
                self._run.stop()
            self._run.status("training", at_once=False, stage="features")
            chunk = torch.from_numpy(np.ascontiguousarray(pixels_NHWC[first : first + SLICE]))
            pictures = model.normaliser(chunk.to(model.compute.device).permute(0, 3, 1, 2))
            with model.compute.autocast():
                features_NF = model.network.features(model.compute.place(pictures))
            # ReLU6 keeps them between 0 and 6, where half precision is exact to 1/512.
            found.append(features_NF.half().cpu())
        return torch.cat(found)


def _load(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """A container of that kind; None where there is none or it is damaged, and then it is made anew."""
    if not path.exists():
        return None
    with contextlib.suppress(BundleDamaged):
        tensors, facts = read_container(path)
        if facts.get("kind") == kind:
            return tensors, facts
    return None


def _interval(share: float, n: int) -> str:
    low, high = wilson_interval(round(share * n), n)
    return tr(
        "{level} interval {low} to {high}, n = {n}",
        level=LEVEL,
        low=percent(low, 2),
        high=percent(high, 2),
        n=n,
    )


def told(alone: HeadAlone, run: Run) -> list[tuple[str, str]]:
    """What the report says of the stages: names and values."""
    spent = {name: float(value) for name, value in read_json(run.folder / SECONDS).items()}
    tuning = history.seconds(run.folder)
    return [
        (
            tr("began with"),
            tr("EfficientNet-Lite0, trained before on the 1.28 million photographs of ImageNet"),
        ),
        (tr("1. looked at every picture once"), duration(spent.get("features", 0.0))),
        (
            tr("2. a linear head fitted to what it saw"),
            tr(
                "{time}, {n} pictures, penalty {penalty}",
                time=duration(spent.get("head", 0.0)),
                n=alone.pictures,
                penalty=number(alone.penalty),
            ),
        ),
        (
            tr("3. fine-tuned, the top fastest"),
            tr("{time}, {n} of {all} blocks", time=duration(tuning), n=alone.trained, all=alone.blocks),
        ),
        (
            tr("validation accuracy of the head alone, one view"),
            "–"
            if alone.accuracy is None
            else f"{percent(alone.accuracy, 2)} ({_interval(alone.accuracy, alone.n)})",
        ),
    ]
