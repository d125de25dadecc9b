"""The pictures of a run: found, decoded, divided, and told."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo import bundle as bundles
from vistazo import platform
from vistazo.classification import in_words, leaks
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.correcting import Corrections, kept
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import picture_size, recipes, require_sense, with_recipe
from vistazo.classification.starting import require_unlearnt, with_parts_of
from vistazo.classification.transferring import chosen_sentence
from vistazo.engine.progress import Progress
from vistazo.engine.runs import Run, model_file
from vistazo.errors import DiskError, TooManyBroken
from vistazo.language import tr
from vistazo.pictures import cache, decoding, folds, sources, splits
from vistazo.pictures.crops import cropped
from vistazo.pictures.every import interval
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.index import TEST, Broken, Index, fingerprint, write_index

__all__ = ["RECIPE", "Data", "Loaded", "divide", "ease", "load", "read", "settled_recipe", "spread"]

RECIPE = "recipe"  # in config.json: what auto means there, where more than the pictures decided it

COMPARED = 3000  # pictures that are compared with each other
Pixels = npt.NDArray[np.uint8]
_DIVIDING = ("seed", "repeats", "folds", "fold", "beside")  # settings that decoded pictures do not depend on


@dataclass(frozen=True)
class Loaded:
    """The pictures of a source before they are divided; serves as the source of every run that reads them alike.

    source: where they came from. settings: that they were read with. recipe: what auto means for them. notes: of their
    reading. told: sentences said, none of them twice.
    """

    source: Any
    settings: dict[str, Any]
    index: Index
    pixels: PictureArray
    size: tuple[int, int, int]
    broken: tuple[Broken, ...]
    recipe: str
    notes: tuple[str, ...]
    told: list[str] = field(default_factory=list)

    def say(self, sentences: Sequence[str], progress: Progress) -> None:
        """Tell what was not told yet."""
        for sentence in sentences:
            if sentence not in self.told and not progress.quiet:
                self.told.append(sentence)
                progress.say(sentence)


@dataclass(frozen=True)
class Data:
    """The pictures of a run, in memory or in a file, and the settings they were read by.

    config: with the recipe that auto means here. official: whether the source names the test part itself. named:
    whether the recipe was asked for. pixels: (pictures, height, width, channels) of the rows of `index`.
    """

    config: ClassificationConfig
    index: Index
    pixels: PictureArray
    size: tuple[int, int, int]
    sentences: tuple[str, ...]
    broken: tuple[Broken, ...]
    official: bool
    named: bool

    @cached_property
    def given(self) -> Given:
        """What a recipe chooses by; of the training part alone."""
        return Given(len(self.rows("train")), *self.size, ease(self.part("train"), self.labels("train")))

    def rows(self, part: str) -> npt.NDArray[np.int64]:
        return self.index.rows(part)

    def part(self, part: str) -> PictureArray:
        return self.pixels.take(self.rows(part))

    @property
    def several(self) -> bool:
        """Whether a picture may have several labels."""
        return self.index.labels is not None

    def labels(self, part: str) -> npt.NDArray[Any]:
        """(pictures,) int64 class numbers, or (pictures, classes) bool where a picture may have several."""
        truth: npt.NDArray[Any] = self.index.label if self.index.labels is None else self.index.labels
        return truth[self.rows(part)]

    def units(self, part: str) -> npt.NDArray[np.int64]:
        """(pictures,) one number for what belongs together: pictures of a group, and copies of a picture."""
        return splits.join_copies(self.index.group, self.index.hash)[self.rows(part)]


def spread(count: int, most: int) -> npt.NDArray[np.int64]:
    """`most` rows of `count`, or all of them where they are fewer, evenly spread: sorted classes are all among them."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def ease(pixels_NHWC: PictureArray | Pixels, labels_N: npt.NDArray[np.int64]) -> float:
    """Share of pictures whose nearest other one, by correlation of pixels, has their class; of 3,000 spread evenly.

    A fifth of a second that tells digits (0.94) from clothes (0.80) from photographs (0.32) before training.
    """
    if len(pixels_NHWC) < 2:
        return 0.0
    rows = spread(len(pixels_NHWC), COMPARED)
    flat = pixels_NHWC[rows].reshape(len(rows), -1).astype(np.float32)
    labels = labels_N[rows]
    flat -= flat.mean(0)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6
    alike = flat @ flat.T
    np.fill_diagonal(alike, -2.0)
    same = labels[alike.argmax(1)] == labels
    return float(np.mean(same.all(1) if same.ndim == 2 else same))


def read(run: Run, source: Any, config: ClassificationConfig, progress: Progress) -> Data:
    """Find, decode and divide the pictures, and tell how; index.parquet is written.

    Raises SourceError where they cannot be used, RunDiffers where they are not those the run began with, ConfigError
    where the model to begin from has learnt from all that would be tested.
    """
    loaded = load(source, config, progress, kept(run, config.corrections), recipe=settled_recipe(run))
    recipe = recipes[loaded.recipe]
    # Frozen, so that a run that is trained beside another one has that one's parts.
    shares = run.freeze("parts", {"validation": recipe.validation, "test": recipe.test})
    data = divide(loaded, config, shares=(shares["validation"], shares["test"]))
    alone = run.outer is None and not (config.folds or config.repeats)
    if config.start and alone:  # of several runs, each has the parts of its fold or seed
        model = model_file(config.start)
        if config.fold:
            require_unlearnt(data.index.hash[data.rows(TEST)], model)
        else:
            named = set(loaded.index.split.tolist())
            index, more = with_parts_of(data.index, model, named=named)
            data = replace(data, index=index, sentences=(*data.sentences, *more))
    loaded.say(data.sentences, progress)
    run.freeze("data", {"fingerprint": fingerprint(data.index), "size": list(data.size)})
    if not (run.folder / "index.parquet").exists():
        try:
            write_index(data.index, run.folder / "index.parquet")
        except OSError as error:
            raise DiskError(bundles.disk_sentence(run.folder / "index.parquet", error)) from error
    run.has_read()
    return data


def divide(
    loaded: Loaded, config: ClassificationConfig, *, shares: tuple[float, float] = splits.SHARES
) -> Data:
    """The pictures in their parts. A run that is several has, as its own, those of the model it ends with.

    shares: of validation and test, where folds do not say.
    Raises TooFewExamples where a class has no picture left to train on, ConfigError for a bad `group_by`.
    """
    fold = config.fold or (folds.ALL if config.folds else None)
    if fold:
        assigned = folds.divide(loaded.index, fold=fold, seed=config.seed, group_by=config.group_by)
    else:
        assigned = splits.assign(loaded.index, seed=config.seed, group_by=config.group_by, shares=shares)
    named = config.recipe == loaded.recipe
    config = config.model_copy(update={"recipe": loaded.recipe})
    official = bool((loaded.index.split == TEST).any())
    sentences = (*loaded.notes, *assigned.sentences, *leaks.grouped_sentences(assigned.index))
    return Data(config, assigned.index, loaded.pixels, loaded.size, sentences, loaded.broken, official, named)


def settled_recipe(run: Run) -> str:
    """What auto means in this run where more than its pictures decided that: a time, or the run it repeats; else ''."""
    if RECIPE in run.config or run.repeats(RECIPE):
        return str(run.freeze(RECIPE, ""))
    return ""


def load(
    source: Any,
    config: ClassificationConfig,
    progress: Progress,
    corrections: Corrections | None,
    *,
    recipe: str = "",
) -> Loaded:
    """Find and decode the pictures, and tell how; a source that was loaded for such a config is taken as it is.

    corrections: what is left out or has another label than the source says.
    recipe: what auto means; '' for what suits the pictures. Raises SourceError where they cannot be used.
    """
    settings = {name: value for name, value in config.model_dump().items() if name not in _DIVIDING}
    if isinstance(source, Loaded):
        if source.settings == settings:
            return source
        source = source.source
    require_sense(config)
    names = Path(config.classes) if config.classes else None
    found = sources.read_source(source, classes_file=names, every=interval(config.every), say=progress.say)
    found = corrections.apply(found) if corrections else cropped(found)
    for note in found.notes:
        progress.say(note)
    splits.require_trainable(found.index)
    rows = np.arange(len(found.index))
    own = np.flatnonzero(
        found.index.split != TEST
    )  # what the network is like must not depend on the test part
    height, width, channels = decoding.survey(found.store, own, most=200, seed=0)
    asked = config.recipe
    suited = with_recipe(config, pictures=len(own), height=height, width=width, channels=channels)
    config = config.model_copy(update={"recipe": recipe}) if recipe else suited
    why = [chosen_sentence()] if config.recipe == "transfer" != asked else []
    if config.recipe != suited.recipe == "transfer":
        why = [tr("A pretrained network would need more than --time {time}; recipe {recipe} learns from your pictures "
                  "alone.", time=config.time, recipe=config.recipe)]  # fmt: skip
    notes = (*found.notes, *why)
    height, width = picture_size(config, height=height, width=width, pictures=len(own))
    channels = int(config.channels or channels)
    in_words.require_fit(config, height, width, channels, len(found.index.classes))
    loaded = cache.load(
        found.store,
        rows,
        height=height,
        width=width,
        channels=channels,
        threads=platform.physical_cores(),
        background=config.background,
        source=found.index.source,
        say=progress.say,
    )
    broken = (*found.broken, *loaded.broken)
    _allow(broken, len(rows) + len(found.broken), config.max_broken, progress)
    index = found.index.replace(hash=loaded.hashes)
    if loaded.broken:
        index = index.take(loaded.rows)
        splits.require_trainable(index)
    index = leaks.group_copies(index, loaded.pixels)
    platform.return_freed_blocks()
    counted = tr("pictures: {n} of {height} x {width} pixels, {colour}", n=len(index), height=height, width=width,
                 colour=tr("grey") if channels == 1 else tr("colour"))  # fmt: skip
    size = (height, width, channels)
    told = list(found.notes)  # said above
    whole = Loaded(source, settings, index, loaded.pixels, size, broken, config.recipe, notes, told)
    whole.say([counted, *notes[len(found.notes) :]], progress)
    return whole


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
