"""What the network will see: pictures of a source, changed as a run with these settings would change them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vistazo import bundle as bundles
from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.classification.classifier import open_model
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import Decided, decide, picture_size, require_sense, with_recipe
from vistazo.classification.training import augmenter, normaliser_of
from vistazo.engine import runs
from vistazo.engine.reports import percent
from vistazo.errors import DiskError, TooFewExamples, UsageError
from vistazo.language import tr
from vistazo.pictures import augments, decoding, drawing, sources
from vistazo.pictures.augments import Augment
from vistazo.pictures.crops import cropped
from vistazo.pictures.every import interval
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import TEST, Index
from vistazo.pictures.loading import Normaliser, PictureBatches

__all__ = ["show"]

SHOWN = 6  # pictures
EPOCHS = 8
POOL = 96  # pictures that may be mixed with those shown; a mean colour is theirs


def show(source: Path, config: ClassificationConfig, out: Path) -> dict[str, Any]:
    """Write the picture and tell it: {"lines" for people, "augmented": {"file", "operations"}}.

    The pictures are of the training side of the source, one of each of several classes, drawn by the seed.
    Raises SourceError, ConfigError, UsageError where `out` is no .png, DiskError where it cannot be written.
    """
    if out.suffix.lower() != ".png":
        raise UsageError(tr("--out must end in .png, not '{name}'.", name=out.name))
    require_sense(config)
    names = Path(config.classes) if config.classes else None
    found = cropped(sources.read_source(source, classes_file=names, every=interval(config.every)))
    own = np.flatnonzero((found.index.split != TEST) & found.index.labelled)
    if not len(own):
        raise TooFewExamples(tr("{source} has no labelled pictures to show.", source=source))
    height, width, channels = decoding.survey(found.store, own, most=200, seed=0)
    config = with_recipe(config, pictures=len(own), height=height, width=width, channels=channels)
    height, width = picture_size(config, height=height, width=width, pictures=len(own))
    channels = int(config.channels or channels)
    classes = found.index.classes
    decided = decide(config, Given(len(own), height, width, channels), classes)
    loaded = decoding.load(
        found.store,
        _pool(own, _kinds(found.index), config.seed),
        height=height,
        width=width,
        channels=channels,
        threads=platform.physical_cores(),
        background=config.background,
    )
    if not len(loaded.rows):
        raise TooFewExamples(tr("None of the first pictures of {source} can be read.", source=source))
    if config.start:
        path = runs.model_file(config.start)
        normaliser = open_model(bundles.load(path), path).normaliser
    else:
        normaliser = normaliser_of(decided.scaling, loaded.pixels)
    stage = _Stage(loaded.pixels, found.index.take(loaded.rows), loaded.rows, config.seed, normaliser)
    page = _page(stage, decided, config, source.name)
    try:
        out.write_bytes(page)
    except OSError as error:
        raise DiskError(disk_sentence(out, error)) from error
    said = augments.say(decided.reach, decided.flip, decided.augment)
    return {
        "lines": [tr("what the network will see: {path}", path=out), *(f"  {one}" for one in said)],
        "augmented": {
            "file": str(out),
            "operations": [list(one) for one in _plan(decided)],
        },
    }


def _kinds(index: Index) -> npt.NDArray[np.int64]:
    """(rows,) the class of each picture; of several labels the rarest one, and one more kind without any."""
    if index.labels is None:
        return index.label
    common = np.where(index.labels, index.labels.sum(0), np.iinfo(np.int64).max)
    return np.where(index.labels.any(1), common.argmin(1), len(index.classes))


def _pool(rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """Rows in an order drawn by the seed, the classes by turns; the first ones are shown."""
    mixed = np.random.default_rng(seed).permutation(rows)
    turns = np.zeros(len(mixed), dtype=np.int64)
    order = np.argsort(labels[mixed], kind="stable")
    sorted_labels = labels[mixed][order]
    first = np.searchsorted(sorted_labels, sorted_labels)  # where each one's class begins
    turns[order] = np.arange(len(mixed)) - first
    chosen: npt.NDArray[np.int64] = mixed[np.lexsort((labels[mixed], turns))][:POOL]
    return chosen


class _Stage:
    """Some pictures as the training set of a run. index: of these pictures; rows: theirs in the Index of all."""

    def __init__(
        self,
        pixels: PictureArray,
        index: Index,
        rows: npt.NDArray[np.int64],
        seed: int,
        normaliser: Normaliser,
    ) -> None:
        self.pixels, self.index, self.classes = pixels, index, index.classes
        self._rows, self._seed, self._normaliser = rows, seed, normaliser

    def telling(self, shown: int) -> int:
        """Which of the first `shown` pictures has most to see: changes of a plain sky would not show."""
        pictures = self.pixels[:shown].astype(np.float64)
        grey = pictures.mean(3, keepdims=True)
        light, colour = grey.std((1, 2, 3)), (pictures - grey).std((1, 2, 3))
        return int(np.argmax(light + 2 * colour))

    def epochs(self, decided: Decided, shown: list[int]) -> list[drawing.Row]:
        """A row for each of these pictures: as it is, then as it looks each epoch."""
        batches = PictureBatches(
            self.pixels,
            {"label": self._targets()},
            self._rows,
            size=len(self.pixels),
            reach=decided.reach,
            flip=decided.flip,
            seed=self._seed,
            device="cpu",
            augmenter=augmenter(decided, self._normaliser, seed=self._seed),
            classes=len(self.classes),
        )
        pictures: dict[int, list[drawing.Pixels]] = {at: [self.pixels[at]] for at in shown}
        notes: dict[int, list[list[str]]] = {at: [[]] for at in shown}
        for epoch in range(EPOCHS):
            batch = batches.draw(epoch, 0)
            place = {row: at for at, row in enumerate(batch.rows.tolist())}
            for at in shown:
                seen, target = batch.inputs["pictures"][place[int(self._rows[at])]], batch.targets["label"]
                pictures[at].append(seen.permute(1, 2, 0).numpy())
                notes[at].append(self._shares(target[place[int(self._rows[at])]]))
        return [
            drawing.Row(
                self._name(at),
                pictures[at],
                notes=notes[at] if any(notes[at]) else (),
            )
            for at in shown
        ]

    def _targets(self) -> torch.Tensor:
        """What the pictures are to be answered with, as in training: class numbers, or floats of 0 and 1."""
        if self.index.labels is None:
            return torch.tensor(self.index.label)
        return torch.tensor(self.index.labels).float()

    def _name(self, at: int) -> str:
        if self.index.labels is None:
            return self.classes[int(self.index.label[at])]
        held = np.flatnonzero(self.index.labels[at])
        return ", ".join(self.classes[one] for one in held) or tr("no label")

    def _shares(self, target: torch.Tensor) -> list[str]:
        """Which classes a mixed picture counts as; nothing where pictures keep their label or labels."""
        kept = target.dim() == 0 or (
            self.index.labels is not None and bool(((target == 0) | (target == 1)).all())
        )
        if kept:
            return []
        share, which = target.topk(min(2, len(target)))
        return [
            f"{percent(one, 0)} {self.classes[at]}"
            for one, at in zip(share.tolist(), which.tolist(), strict=True)
            if one >= 0.005
        ]


def _plan(decided: Decided) -> list[Augment]:
    """All that happens to the pictures, as one list."""
    shift = [Augment("shift", decided.reach, decided.reach)] if decided.reach else []
    flip = [Augment("flip", 1, 1)] if decided.flip else []
    return [*shift, *flip, *(Augment(*one) for one in decided.augment)]


def _alone(decided: Decided, one: Augment) -> Decided:
    """The same run with that one change of the pictures."""
    plain = one.name in ("shift", "flip")
    return replace(
        decided,
        reach=decided.reach if one.name == "shift" else 0,
        flip=one.name == "flip",
        augment=[] if plain else [list(one)],
    )


def _page(stage: _Stage, decided: Decided, config: ClassificationConfig, name: str) -> bytes:
    plan, said = _plan(decided), augments.say(decided.reach, decided.flip, decided.augment)
    height, width = stage.pixels.shape[1:3]
    shown = list(range(min(SHOWN, len(stage.pixels))))
    columns = [tr("original"), *(tr("epoch {n}", n=epoch + 1) for epoch in range(EPOCHS))]
    parts = [
        drawing.Rows(
            tr("Pictures of the source, as they look in the first {n} epochs", n=EPOCHS),
            columns,
            stage.epochs(decided, shown),
            " · ".join(said) or tr("pictures are trained on as they are"),
        )
    ]
    if len(plan) > 1:
        alone = []
        for one, words in zip(plan, said, strict=True):
            row = stage.epochs(_alone(decided, one), [stage.telling(len(shown))])[0]
            operation, _, detail = words.partition(": ")
            alone.append(drawing.Row(operation, row.pictures, detail, row.notes))
        parts.append(drawing.Rows(tr("Each change alone"), columns, alone))
    subtitle = tr(
        "{height} × {width} pixels, enlarged; recipe {recipe}, seed {seed}",
        height=height,
        width=width,
        recipe=config.recipe,
        seed=config.seed,
    )
    return drawing.sheet(tr("What the network will see: {name}", name=name), subtitle, parts)
