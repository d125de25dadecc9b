"""What a recipe says: a named way of training a classifier, as plain values. Free of torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Claim", "Given", "Recipe"]


@dataclass(frozen=True)
class Claim:
    """What a tutorial says of its own network. Texts are marked for translation.

    accuracy: in [0, 1], None where no figure is on record. basis: the pictures it was measured on.
    differs: what is done otherwise here, as the end of a sentence.
    """

    accuracy: float | None
    basis: str
    differs: str


@dataclass(frozen=True)
class Given:
    """What is known of the data before training. pictures: of the training part. height, width, channels: of one.

    ease: share of training pictures whose nearest other one has their class, 0 to 1 (see `data.ease`).
    """

    pictures: int
    height: int
    width: int
    channels: int
    ease: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """A way of training; what a user sets wins over it.

    help: one line for people, marked for translation. model: the registered network; its entry has the optimiser and
    its rates. length: what is given to (epochs, batch size). schedule, average, smoothing: of the learning rate,
    of the weights, of the labels. keep: 'best' or 'last' epoch's weights.
    objective: the registered loss; None for the network's own.
    monitor: validation figure that decides which epoch is best. patience: epochs without improvement before training
    stops, 0 for never. patience_on: the figure patience is about; None for `monitor`. stop_at: as in accuracy=0.99.
    views: whether answers to slightly moved copies are averaged. augment: what happens to training pictures, as
    --augment takes it; augment_easy: the same for pictures whose neighbours answer already; augment_colour: for others
    with colour. reach_colour: pixels for every 28 by which pictures with colour are shifted; others by one.
    scaling: 'standard' for mean 0 and variance 1 over the training part, 'unit' for pixels divided by 255, 'published'
    for (pixel - 127) / 128.
    size: (height, width) that pictures are brought to; None for their own where that suits the network.
    validation, test: shares of training that are set aside where the source names no such part.
    claim: what the tutorial that the recipe repeats says of it. The report then shows it beside what came out here, and
    beside the recipe of everyday on the same parts.
    shape: what is given and the epochs to arguments of the network; None for what the network's entry says.
    """

    help: str
    model: str
    length: Callable[[Given], tuple[int, int]]
    schedule: str
    average: str
    smoothing: float
    keep: str
    objective: str | None = None
    monitor: str = "accuracy"
    patience: int = 0
    patience_on: str | None = None
    stop_at: str | None = None
    views: bool = True
    augment: str = "shift,flip"
    augment_easy: str | None = None
    augment_colour: str | None = None
    reach_colour: int = 1
    scaling: str = "standard"
    size: tuple[int, int] | None = None
    validation: float = 0.1
    test: float = 0.1
    claim: Claim | None = None
    shape: Callable[[Given, int], dict[str, Any]] | None = None
