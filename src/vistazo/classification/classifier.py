"""The trained classifier: a network with all it takes to turn a picture into probabilities.

Shape suffixes: V views, N pictures, C channels, H height, W width, K classes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vistazo import platform
from vistazo.bundle import Bundle
from vistazo.classification import metrics
from vistazo.classification.models import create
from vistazo.engine.device import Compute, resolve_device
from vistazo.engine.objectives import objectives
from vistazo.errors import BundleDamaged, ConfigError, TooFewExamples, UsageError
from vistazo.language import tr
from vistazo.pictures import decoding, sources
from vistazo.pictures.index import read_index
from vistazo.pictures.loading import Normaliser

__all__ = ["OBJECTIVE", "VIEWS", "Classifier", "moved", "open_model"]

Pixels = npt.NDArray[np.uint8]
OBJECTIVE = "cross_entropy"
CHUNK = 512  # pictures measured at once
# The picture as it is, and moved one pixel to either corner: what a shifted camera would have seen.
VIEWS = ((0, 0), (-1, -1), (1, 1))


@dataclass(frozen=True)
class Classifier:
    """A network with all it takes to turn a picture into probabilities.

    model, arguments: the registered network. size: (height, width, channels) pictures are brought to.
    views: shifts in pixels whose scores are averaged.
    """

    network: nn.Module
    model: str
    arguments: dict[str, Any]
    classes: tuple[str, ...]
    normaliser: Normaliser
    size: tuple[int, int, int]
    views: tuple[tuple[int, int], ...]
    compute: Compute
    metrics: Any = None
    path: Path | None = None
    task: ClassVar[str] = "classification"
    pictures: ClassVar[dict[str, Any]] = {}
    columns: ClassVar[dict[str, type]] = {"file": str, "class": str, "probability": float}

    def probabilities(self, pixels_NHWC: Pixels) -> npt.NDArray[np.float64]:
        """(N, K) probabilities of pictures already at this model's size, uint8 (N, height, width, channels)."""
        return self.combine(self.view_scores(pixels_NHWC))

    def combine(self, scores_VNK: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Probabilities from the scores of each view: the objective's answer to their mean."""
        answer: Tensor = objectives[OBJECTIVE](smoothing=0.0).answer(torch.from_numpy(scores_VNK.mean(0)))
        return answer.double().numpy()

    @torch.no_grad()
    def view_scores(self, pixels_NHWC: Pixels) -> npt.NDArray[np.float32]:
        """(V, N, K) scores of each view, the unmoved one first."""
        self.network.eval()
        found = np.empty((len(self.views), len(pixels_NHWC), len(self.classes)), dtype=np.float32)
        for first in range(0, len(pixels_NHWC), CHUNK):
            chunk = (
                torch.from_numpy(pixels_NHWC[first : first + CHUNK])
                .to(self.compute.device)
                .permute(0, 3, 1, 2)
            )
            pictures = self.normaliser(chunk)
            for at, (down, right) in enumerate(self.views):
                with self.compute.autocast():
                    scores = self.network(self.compute.place(moved(pictures, down, right)))
                found[at, first : first + CHUNK] = scores.float().cpu().numpy()
        return found

    def evaluate(
        self, source: Any, *, split: str | None = None, classes: str | None = None
    ) -> dict[str, Any]:
        """Figures on a source: its test part where it has one, else all of it that was not trained on.

        Raises SourceError, ConfigError where the classes are not this model's.
        """
        found = sources.read_source(source, classes_file=Path(classes) if classes else None)
        index = found.index
        unknown = sorted(set(index.classes) - set(self.classes))
        if unknown:
            raise ConfigError(
                tr(
                    "The source has classes that the model does not know: {names}. It knows: {known}.",
                    names=", ".join(unknown),
                    known=", ".join(self.classes),
                )
            )
        part = split or ("test" if len(index.rows("test")) else "all")
        rows = np.arange(len(index)) if part == "all" else index.rows(part)
        height, width, channels = self.size
        loaded = decoding.load(
            found.store,
            rows,
            height=height,
            width=width,
            channels=channels,
            threads=platform.physical_cores(),
        )
        hashes = loaded.hashes[np.isin(rows, loaded.rows)]
        seen = np.isin(hashes, self.trained_on())
        kept = loaded.rows[~seen]
        translate = np.array([self.classes.index(name) for name in index.classes], dtype=np.int64)
        labelled = index.label[kept] >= 0
        if not labelled.any():
            raise TooFewExamples(
                tr(
                    "{source} has no labelled pictures to evaluate on in part '{part}' ({seen} were trained on).",
                    source=index.source,
                    part=part,
                    seen=int(seen.sum()),
                )
            )
        labels = translate[index.label[kept[labelled]]]
        each = self.view_scores(loaded.pixels[~seen][labelled])
        probabilities = self.combine(each)
        scores = metrics.class_scores(
            metrics.confusion_matrix(probabilities.argmax(1), labels, len(self.classes))
        )
        return {
            "part": part,
            "metrics": {
                **metrics.measure(probabilities, labels),
                "single_view_accuracy": float(np.mean(each[0].argmax(1) == labels)),
            },
            "classes": {
                name: {
                    "precision": float(scores.precision[at]),
                    "recall": float(scores.recall[at]),
                    "f1": float(scores.f1[at]),
                    "support": int(scores.support[at]),
                }
                for at, name in enumerate(self.classes)
            },
            "left_out": {"trained_on": int(seen.sum())},
            "unreadable": [
                {"file": one.where, "reason": one.reason} for one in (*found.broken, *loaded.broken)
            ],
        }

    def trained_on(self) -> npt.NDArray[np.bytes_]:
        """Hashes of the pictures this model was trained on or chosen by, where its run folder is at hand."""
        beside = self.path.parent / "index.parquet" if self.path else None
        if beside is None or not beside.exists():
            return np.zeros(0, "S32")
        index = read_index(beside)
        hashes: npt.NDArray[np.bytes_] = index.hash[np.isin(index.split, ("train", "validation"))]
        return hashes

    def predict(self, files: Any, *, top: int = 5) -> Iterator[dict[str, Any]]:
        """An answer for each picture of files, folders, archives or arrays, in order and as they are read.

        Yields {"file", "class", "probability", "top"} or, for what cannot be read, {"file", "reason"}.
        """
        if not isinstance(files, np.ndarray) and not files:
            raise UsageError(tr("Name the pictures to answer for: vistazo predict MODEL PICTURE..."))
        height, width, channels = self.size
        waiting: list[tuple[str, Pixels | str]] = []
        several = [files] if isinstance(files, (str, Path)) else files
        if isinstance(files, np.ndarray):
            several = [files]
        for name, given in sources.iterate_files(several):
            answer: Pixels | str
            if isinstance(given, str):
                answer = given
            else:
                try:
                    answer = decoding.decode(given, height=height, width=width, channels=channels)
                except decoding.UndecodablePicture as error:
                    answer = str(error)
            waiting.append((name, answer))
            if len(waiting) == 64:
                yield from self._answers(waiting, top)
                waiting = []
        yield from self._answers(waiting, top)

    def _answers(self, waiting: list[tuple[str, Pixels | str]], top: int) -> Iterator[dict[str, Any]]:
        good = [one for _, one in waiting if not isinstance(one, str)]
        rows = iter(self.probabilities(np.stack(good)) if good else ())
        for name, one in waiting:
            if isinstance(one, str):
                yield {"file": name, "reason": one}
                continue
            row: npt.NDArray[np.float64] = next(rows)
            order = np.argsort(-row, kind="stable")[:top]
            ranked = [[self.classes[at], round(float(row[at]), 6)] for at in order]
            yield {"file": name, "class": ranked[0][0], "probability": ranked[0][1], "top": ranked}


def moved(pictures_NCHW: Tensor, down: int, right: int) -> Tensor:
    """Pictures moved by whole pixels, the border mirrored. Same shape."""
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
        views = tuple((int(down), int(right)) for down, right in bundle.facts["views"])
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
        if not views or any(max(map(abs, view)) >= min(size[:2]) for view in views):
            raise ValueError("views")
        if bundle.facts["objective"] not in objectives:
            raise ValueError("objective")
        compute = Compute(resolve_device("auto"), "fp32", "channels_last", torch.get_num_threads())
        return Classifier(
            network=compute.place(network.eval()),
            model=bundle.model,
            arguments=bundle.arguments,
            classes=classes,
            normaliser=Normaliser(mean, std),
            size=size,
            views=views,
            compute=compute,
            metrics=bundle.metrics,
            path=path,
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BundleDamaged(
            tr("{path} does not hold together ({reason}).", path=path, reason=error)
        ) from None
