"""What the network will see: pictures of a source, changed as a run with these settings would change them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import Decided, decide, picture_size, require_sense, with_recipe
from vistazo.engine.reports import percent
from vistazo.errors import DiskError, TooFewExamples, UsageError
from vistazo.language import tr
from vistazo.pictures import augments, decoding, drawing, sources
from vistazo.pictures.augmentation import Augmenter
from vistazo.pictures.augments import Augment
from vistazo.pictures.crops import cropped
from vistazo.pictures.every import interval
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import TEST
from vistazo.pictures.loading import Normaliser, PictureBatches

__all__ = ["show"]

SHOWN = 6  # pictures
EPOCHS = 8
POOL = 96  # pictures that may be mixed with those shown, and whose mean colour fills holes


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
    own = np.flatnonzero((found.index.split != TEST) & (found.index.label >= 0))
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
        _pool(own, found.index.label, config.seed),
        height=height,
        width=width,
        channels=channels,
        threads=platform.physical_cores(),
        background=config.background,
    )
    if not len(loaded.rows):
        raise TooFewExamples(tr("None of the first pictures of {source} can be read.", source=source))
    stage = _Stage(loaded.pixels, found.index.label[loaded.rows], loaded.rows, classes, config.seed)
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
    """Some pictures as the training set of a run."""

    def __init__(
        self,
        pixels: PictureArray,
        labels: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        classes: tuple[str, ...],
        seed: int,
    ) -> None:
        self.pixels, self.labels, self.classes = pixels, labels, classes
        self._rows, self._seed, self._fill = rows, seed, Normaliser.of(pixels).mean

    def telling(self, shown: int) -> int:
        """Which of the first `shown` pictures has most to see: changes of a plain sky would not show."""
        pictures = self.pixels[:shown].astype(np.float64)
        grey = pictures.mean(3, keepdims=True)
        light, colour = grey.std((1, 2, 3)), (pictures - grey).std((1, 2, 3))
        return int(np.argmax(light + 2 * colour))

    def epochs(self, plan: list[Augment], shown: list[int]) -> list[drawing.Row]:
        """A row for each of these pictures: as it is, then as it looks each epoch."""
        reach = next((int(one.high) for one in plan if one.name == "shift"), 0)
        others = [one for one in plan if one.name not in ("shift", "flip")]
        batches = PictureBatches(
            self.pixels,
            {"label": torch.from_numpy(self.labels)},
            self._rows,
            size=len(self.pixels),
            reach=reach,
            flip=any(one.name == "flip" for one in plan),
            seed=self._seed,
            device="cpu",
            augmenter=Augmenter(others, seed=self._seed, fill=self._fill) if others else None,
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
                self.classes[self.labels[at]],
                pictures[at],
                notes=notes[at] if any(notes[at]) else (),
            )
            for at in shown
        ]

    def _shares(self, target: torch.Tensor) -> list[str]:
        """Which classes a mixed picture counts as; nothing where pictures keep their label."""
        if target.dim() == 0:
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


def _page(stage: _Stage, decided: Decided, config: ClassificationConfig, name: str) -> bytes:
    plan, said = _plan(decided), augments.say(decided.reach, decided.flip, decided.augment)
    height, width = stage.pixels.shape[1:3]
    shown = list(range(min(SHOWN, len(stage.pixels))))
    columns = [tr("original"), *(tr("epoch {n}", n=epoch + 1) for epoch in range(EPOCHS))]
    parts = [
        drawing.Rows(
            tr("Pictures of the source, as they look in the first {n} epochs", n=EPOCHS),
            columns,
            stage.epochs(plan, shown),
            " · ".join(said) or tr("pictures are trained on as they are"),
        )
    ]
    if len(plan) > 1:
        alone = []
        for one, words in zip(plan, said, strict=True):
            row = stage.epochs([one], [stage.telling(len(shown))])[0]
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
