"""The pictures of a run: found, decoded, divided, and told."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vistazo import bundle as bundles
from vistazo import platform
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.recipes import transfer_size, working_size
from vistazo.engine.progress import Progress
from vistazo.engine.runs import Run
from vistazo.errors import DiskError, TooManyBroken
from vistazo.language import tr
from vistazo.pictures import decoding, sources, splits
from vistazo.pictures.index import TEST, Broken, Index, fingerprint, write_index

__all__ = ["Data", "read"]

Pixels = npt.NDArray[np.uint8]


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
    size_for = transfer_size if config.recipe == "transfer" else working_size
    height, width = size_for(config.size, height=height, width=width)
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
