"""The trained classifier: a network with all it takes to turn a picture into probabilities.

Shape suffixes: V views, N pictures, C channels, H height, W width, K classes.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vistazo.bundle import Bundle
from vistazo.classification import metrics, several
from vistazo.classification.answering import Answering
from vistazo.classification.evaluating.calibration import HOTTEST
from vistazo.classification.evaluating.unknowing import Unknowing
from vistazo.classification.models import create
from vistazo.classification.objective import SEVERAL
from vistazo.classification.similar.seeing import Seeing
from vistazo.classification.starting import learnt
from vistazo.engine.device import Compute, resolve_device
from vistazo.engine.losses import Objective
from vistazo.engine.objectives import create as create_loss
from vistazo.engine.objectives import objectives
from vistazo.engine.serving import Exporting
from vistazo.errors import BundleDamaged
from vistazo.language import tr
from vistazo.pictures import decoding
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.loading import Normaliser

if TYPE_CHECKING:
    from vistazo.classification.explaining.explanation import Explained
    from vistazo.classification.inside.layers import Layer

__all__ = ["VIEWS", "Classifier", "View", "moved", "open_model", "views_of"]

Pixels = npt.NDArray[np.uint8]
PASS = 32  # pictures that several views pass the network in together: a pass has a cost of its own
CHUNK = 512  # pictures measured at once, or as many of larger ones as have the pixels of so many of 64 x 64
View = tuple[int, int, bool]  # pixels down, pixels right, mirrored
# The picture as it is, and moved one pixel to either corner: what a shifted camera would have seen.
VIEWS: tuple[View, ...] = ((0, 0, False), (-1, -1, False), (1, 1, False))


@dataclass(frozen=True)
class Classifier(Answering, Seeing, Exporting):
    """A network with all it takes to turn a picture into probabilities.

    model, arguments: the registered network. size: (height, width, channels) pictures are brought to.
    views: shifts in pixels, mirrored or not, whose scores are averaged. objective, smoothing, loss_arguments: the loss
    whose answer turns scores into probabilities.
    thresholds: where a picture may have several labels, the probability from which on each is answered.
    temperature: what logits are divided by, fitted on validation; 1 where a picture may have several labels.
    unknowing: from which confidence on an answer counts as known, where that was asked for.
    background: what transparent pictures are laid over. hash: SHA-256 of its file, '' where it was in none.
    """

    network: nn.Module
    model: str
    arguments: dict[str, Any]
    classes: tuple[str, ...]
    normaliser: Normaliser
    size: tuple[int, int, int]
    views: tuple[View, ...]
    compute: Compute
    objective: str
    smoothing: float
    thresholds: tuple[float, ...] | None = None
    temperature: float = 1.0
    unknowing: Unknowing | None = None
    loss_arguments: Mapping[str, float] = field(default_factory=dict)
    background: str = decoding.WHITE
    metrics: Any = None
    path: Path | None = None
    hash: str = ""

    def probabilities(self, pixels_NHWC: PictureArray | Pixels) -> npt.NDArray[np.float64]:
        """(N, K) probabilities of pictures already at this model's size, uint8 (N, height, width, channels)."""
        return self.combine(self.view_scores(pixels_NHWC))

    def combine(self, scores_VNK: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Probabilities from the scores of each view: the objective's answer to their mean."""
        return self.answer_of(torch.from_numpy(scores_VNK.mean(0))).double().numpy()

    def answer_of(self, scores_NK: Tensor) -> Tensor:
        """Probabilities from scores, the mean over views: the objective's answer, with the temperature."""
        objective: Any = self._loss()
        found: Tensor
        if self.temperature == 1:
            found = objective.answer(scores_NK)
        else:
            found = objective.answer(scores_NK, temperature=self.temperature)
        return found

    def logits(self, scores_VNK: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """(N, K) what a temperature divides, from the scores of each view, where a picture has one label."""
        objective: Any = self._loss()
        logits: Tensor = objective.logits(torch.from_numpy(scores_VNK.mean(0)))
        return logits.double().numpy()

    def _loss(self) -> Objective:
        return create_loss(self.objective, self.loss_arguments, smoothing=self.smoothing)

    def figures(self, probabilities: npt.NDArray[Any], truth: npt.NDArray[Any]) -> dict[str, Any]:
        """The figures of answers to pictures. truth: (N,) class numbers, or (N, K) bool of several labels."""
        if self.thresholds is None:
            return metrics.measure(probabilities, truth)
        return several.measure(probabilities, truth, np.array(self.thresholds))

    def measure(
        self, scores_VNK: npt.NDArray[np.float32], truth: npt.NDArray[Any]
    ) -> tuple[dict[str, Any], npt.NDArray[np.float64]]:
        """The figures of all views together, with the accuracy of the first alone; and the probabilities."""
        from vistazo.classification.evaluating import measuring

        probabilities = self.combine(scores_VNK)
        if self.thresholds is None:
            single = float(np.mean(scores_VNK[0].argmax(1) == truth))
            more = measuring.further(probabilities, truth)
            if self.temperature != 1:
                plain = replace(self, temperature=1.0).combine(scores_VNK)
                more |= measuring.uncalibrated(plain, truth)
        else:
            thresholds = np.array(self.thresholds)
            given = several.answers(self.combine(scores_VNK[:1]), thresholds)
            single = float((given == truth).all(1).mean())
            more = measuring.further_of_labels(probabilities, truth, thresholds)
        return {**self.figures(probabilities, truth), **more, "single_view_accuracy": single}, probabilities

    @property
    def at_once(self) -> int:
        """Pictures, or views of pictures, in one pass of the network."""
        return max(1, min(CHUNK, CHUNK * 64 * 64 // (self.size[0] * self.size[1])))

    @torch.no_grad()
    def view_scores(self, pixels_NHWC: PictureArray | Pixels) -> npt.NDArray[np.float32]:
        """(V, N, K) scores of each view, the unmoved one first."""
        if self.network.training:
            self.network.eval()
        views = len(self.views)
        found = np.empty((views, len(pixels_NHWC), len(self.classes)), dtype=np.float32)
        for first in range(0, len(pixels_NHWC), self.at_once):
            chunk = (
                torch.from_numpy(pixels_NHWC[first : first + self.at_once])
                .to(self.compute.device)
                .permute(0, 3, 1, 2)
            )
            pictures, count = self.normaliser(chunk), len(chunk)
            together = max(1, min(PASS, self.at_once) // count)
            for at in range(0, views, together):
                seen = [moved(pictures, *view) for view in self.views[at : at + together]]
                batch = torch.cat(seen) if len(seen) > 1 else seen[0]
                with self.compute.autocast():
                    scores = self.network(self.compute.place(batch))
                told = scores.float().cpu().numpy().reshape(len(seen), count, -1)
                found[at : at + len(seen), first : first + count] = told
        return found

    def evaluate(
        self,
        source: Any,
        *,
        split: str | None = None,
        classes: str | None = None,
        every: str | None = None,
        against: Any = None,
        dont_know: str | None = None,
        save_as: str | Path | None = None,
        out: str | Path | None = None,
    ) -> dict[str, Any]:
        """Figures on a source: its test part where it has one, else all of it that was not trained on.

        against: another model of the same classes, or where it is, to compare with on the same pictures.
        dont_know: a share of wrong answers, as in '5%': which threshold would keep to it is told; save_as: a new model
        file with that threshold, which may not come from a test part.
        out: a folder for evaluation.html, metrics.json and answers.parquet.
        Pictures of classes that this model does not know are counted and left out; of pictures without any known label,
        the answers are told. Raises SourceError; ConfigError where the other model has other classes.
        """
        from vistazo.classification.evaluating import evaluation

        asked = evaluation.Asked(
            split=split,
            classes=classes,
            every=every,
            against=against,
            dont_know=dont_know,
            save_as=None if save_as is None else Path(save_as),
            out=out,
        )
        return evaluation.evaluate(self, source, asked)

    def trained_on(self) -> npt.NDArray[np.bytes_]:
        """Hashes of the pictures this model was trained on or chosen by, where its run folder is at hand."""
        return learnt(self.path) if self.path else np.zeros(0, "S32")

    def layers(self) -> "tuple[Layer, ...]":
        """Its layers, in the order a picture meets them, with output shape, parameters and neurons of each."""
        from vistazo.classification.inside.maps import layers_of

        return layers_of(self)

    def feature_maps(self, picture: Any, layer: str | int) -> npt.NDArray[np.float32]:
        """(channels, height, width) what a layer, by name or number from 1 on, gives for a file or an array of pixels.

        Raises UnknownName for another layer, SourceError where the picture cannot be read.
        """
        from vistazo.classification.inside.maps import feature_maps

        return feature_maps(self, picture, layer)

    def filters(self) -> npt.NDArray[np.float32]:
        """(filters, channels, height, width) the numbers of the first layer that looks at the picture."""
        from vistazo.classification.inside.maps import first_filters

        return first_filters(self.network)[1]

    def inside(
        self,
        given: Any = None,
        out: str | Path | None = None,
        *,
        layer: str | int | None = None,
        units: str | None = None,
    ) -> dict[str, Any]:
        """A look inside, written as a page to a folder; see `vistazo.classification.inside.look.look`."""
        from vistazo.classification.inside.look import look

        return look(self, given, out, layer=layer, units=units)

    def explain(self, files: Any, **options: Any) -> "Explained":
        """Where the answers to pictures come from: `vistazo.classification.explaining.explanation.explain`."""
        from vistazo.classification.explaining import explanation

        return explanation.explain(self, files, **options)


def views_of(*, several: bool, flip: bool, shifted: bool) -> tuple[View, ...]:
    """The views a model answers by: one, or several; the mirrored ones too where training mirrored pictures.

    shifted: whether moved copies are among them.
    """
    plain = VIEWS if several and shifted else VIEWS[:1]
    return (*plain, *((down, right, True) for down, right, _ in plain)) if several and flip else plain


def moved(pictures_NCHW: Tensor, down: int, right: int, mirrored: bool = False) -> Tensor:
    """Pictures mirrored left to right, then moved by whole pixels, the border reflected. Same shape."""
    if mirrored:
        pictures_NCHW = pictures_NCHW.flip(3)
    if not down and not right:
        return pictures_NCHW
    height, width = pictures_NCHW.shape[2:]
    reach = max(abs(down), abs(right))
    padded = F.pad(pictures_NCHW, (reach,) * 4, mode="reflect")
    return padded[:, :, reach - down : reach - down + height, reach - right : reach - right + width]


def open_model(bundle: Bundle, path: Path) -> Classifier:
    """The classifier in a model file. Raises BundleDamaged where its parts do not fit together."""
    told = bundle.preprocessing
    try:
        network = create(bundle.model, bundle.arguments)
        network.load_state_dict(bundle.tensors)
        mean, std = ([float(one) for one in told[name]] for name in ("mean", "std"))
        size = (int(told["height"]), int(told["width"]), int(told["channels"]))
        classes = tuple(bundle.facts["classes"])
        # Files of version 0.1 have no third value.
        views = tuple((int(one[0]), int(one[1]), bool([*one, False][2])) for one in bundle.facts["views"])
        # The checksum only says that nobody changed the file by accident: a forged one has a good checksum.
        if (
            size != tuple(bundle.arguments[name] for name in ("height", "width", "channels"))
            or not all(math.isfinite(one) for one in (*mean, *std))
            or not len(mean) == len(std) == size[2]
            or not all(std)
        ):
            raise ValueError("preprocessing")
        if len(classes) != bundle.arguments["classes"] or not all(isinstance(one, str) for one in classes):
            raise ValueError("classes")
        if not views or any(max(map(abs, view[:2])) >= min(size[:2]) for view in views):
            raise ValueError("views")
        objective, thresholds = bundle.facts["objective"], bundle.facts.get("thresholds")
        if objective not in objectives or (objective == SEVERAL) != (thresholds is not None):
            raise ValueError("objective")
        if thresholds is not None:
            thresholds = tuple(float(one) for one in thresholds)
            if len(thresholds) != len(classes) or not all(0 <= one <= 1 for one in thresholds):
                raise ValueError("thresholds")
        temperature, unknowing = _certainty(bundle.facts, several=thresholds is not None)
        background = str(told.get("background", decoding.WHITE))
        if not re.fullmatch(r"white|black|#[0-9a-fA-F]{6}", background):
            raise ValueError("background")
        smoothing = float(bundle.facts.get("smoothing", 0.0))
        loss_arguments = dict(bundle.facts.get("loss_arguments", {}))
        create_loss(objective, loss_arguments, smoothing=smoothing)  # a loss of classes, none of quantiles
        compute = Compute(resolve_device("auto"), "fp32", "channels_last", torch.get_num_threads())
        return Classifier(
            network=compute.place(network.eval()),
            model=bundle.model,
            arguments=bundle.arguments,
            objective=objective,
            classes=classes,
            normaliser=Normaliser(mean, std),
            size=size,
            views=views,
            compute=compute,
            smoothing=smoothing,
            thresholds=thresholds,
            temperature=temperature,
            unknowing=unknowing,
            loss_arguments=loss_arguments,
            background=background,
            metrics=bundle.metrics,
            path=path,
            hash=hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BundleDamaged(
            tr("{path} does not hold together ({reason}).", path=path, reason=error)
        ) from None


def _certainty(facts: dict[str, Any], *, several: bool) -> tuple[float, Unknowing | None]:
    """The temperature, and the threshold below which the model does not know. Raises ValueError for what cannot be."""
    temperature = facts.get("temperature", 1.0)
    whole = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not whole or not 1 / HOTTEST <= temperature <= HOTTEST:  # false for NaN too
        raise ValueError("temperature")
    told = facts.get("unknowing")
    if told is None:
        unknowing = None
    else:
        unknowing = Unknowing(float(told["threshold"]), float(told["error"]))
        if not 0 <= unknowing.threshold <= 1 or not 0 < unknowing.error < 1:
            raise ValueError("unknowing")
    if several and (temperature != 1 or unknowing is not None):
        raise ValueError("a temperature or a threshold of knowing for several labels")
    return float(temperature), unknowing
