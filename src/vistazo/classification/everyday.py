"""The recipes for every day: quick, balanced and best, on one fast network in several widths. Torch-free.

What they choose by is what is known before training: how many pictures there are, and whether they have colour.
Colour pictures are photographs more often than not, and ask for more than digits and drawings: with the same network
and as many pictures seen, Fashion-MNIST ends at 93 % and CIFAR-10 at 80 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vistazo.classification.recipe import Given, Recipe
from vistazo.language import mark

__all__ = ["EASY", "EVERYDAY", "LADDER", "Rung", "choose_batch", "choose_epochs", "choose_shape"]

# Digits lie at 0.94, six kinds of drawings at 0.87, clothes at 0.80, CIFAR-10 at 0.32: where nearest neighbours agree,
# half the pixels and fewer of them are enough.
EASY = 0.9
SMOOTH_FROM = 48  # filters: narrower networks, for quick answers, spend their time elsewhere
_MORE_GROUPS_FROM = 64  # pixels of the longer side: one more halving, so that the last group sees the whole


def choose_epochs(pictures: int, *, seen: int, most: int) -> int:
    """Epochs until `seen` pictures have been seen, each counted as often as it was; one at least, `most` at most."""
    if pictures < 1:
        raise ValueError(f"training needs at least one picture, not {pictures}")
    return min(most, math.ceil(seen / pictures))


def choose_batch(pictures: int) -> int:
    """A twentieth of the pictures, between 32 and 512: at least 20 steps an epoch, for small folders too."""
    if pictures < 1:
        raise ValueError(f"training needs at least one picture, not {pictures}")
    return min(512, max(32, pictures // 20))


def choose_shape(
    filters: Sequence[int], entry: str, given: Given, *, residual: bool = False
) -> dict[str, Any]:
    """The network's arguments: one more group for pictures from 64 pixels on, where the shorter side allows it.

    A strip has no room for one more halving: 16 × 128 would end below one pixel.
    """
    halvable = min(given.height, given.width) >= (18 if entry == "full" else 32)
    wide = max(given.height, given.width) >= _MORE_GROUPS_FROM
    shape = {"filters": [*filters, filters[-1]] if halvable and wide else list(filters), "entry": entry}
    if given.channels > 1 and min(filters) >= SMOOTH_FROM:
        shape["activation"] = "silu"
    return {**shape, "residual": True} if residual else shape


def _length(given: Given, *, grey: int, colour: int, easy: int, most: int) -> tuple[int, int]:
    """(epochs, batch) that see so many pictures in all."""
    seen = easy if given.ease >= EASY else grey if given.channels == 1 else colour
    return choose_epochs(given.pictures, seen=seen, most=most), choose_batch(given.pictures)


def _quick_shape(given: Given, epochs: int) -> dict[str, Any]:
    """Narrow where each picture is seen once or twice and time is what is being saved, else wide."""
    if epochs < 3:
        return choose_shape((16, 32, 32), "quarter", given)
    return choose_shape((32, 64, 64), "full", given)


def _balanced_shape(given: Given, epochs: int) -> dict[str, Any]:
    if given.ease >= EASY:
        return choose_shape((32, 64, 64), "quarter", given)
    return choose_shape((32, 64, 64) if given.channels == 1 else (64, 128, 128), "full", given)


def _best_shape(given: Given, epochs: int) -> dict[str, Any]:
    return choose_shape(
        (64, 128, 128) if given.channels == 1 else (64, 192, 256), "full", given, residual=True
    )


# The schedule ends near rate 0 and the average is taken at the end, so the last epoch is the best guess; choosing by
# 200 validation pictures picks noise: on the demo it left the average for an earlier epoch.
# Shifts, CIFAR-10, 48/96/96, validation: 45,000 pictures and 10 epochs, up to 2 pixels 88.5 % beside 88.1 for 1;
# 10,000 pictures and 24 epochs 81.9 beside 78.3. Clothes lost 0.5.
EVERYDAY: dict[str, Recipe] = {
    "quick": Recipe(
        mark("a fast narrow network, seconds on two cores; grey pictures are seen about once"),
        "airbench",
        partial(_length, grey=32_000, colour=200_000, easy=32_000, most=40),
        schedule="triangular",
        average="lookahead",
        smoothing=0.2,
        keep="last",
        shape=_quick_shape,
    ),
    "balanced": Recipe(
        mark("the usual choice: the fast network for as long as it pays, one to three minutes on two cores"),
        "airbench",
        partial(_length, grey=300_000, colour=320_000, easy=250_000, most=60),
        schedule="triangular",
        average="lookahead",
        smoothing=0.2,
        keep="last",
        shape=_balanced_shape,
        reach_colour=2,
    ),
    "best": Recipe(
        mark("a wide residual network, trained long: a quarter to half an hour on two cores"),
        "airbench",
        partial(_length, grey=700_000, colour=1_250_000, easy=1_000_000, most=80),
        schedule="triangular",
        average="lookahead",
        smoothing=0.2,
        keep="last",
        shape=_best_shape,
        reach_colour=2,
        augment_easy="shift,flip,rotate=10,zoom=0.1,shear=5",
        augment_colour="shift,flip,cutout=0.3",
    ),
}


@dataclass(frozen=True)
class Rung:
    """A network for a budget of time. least: epochs that it needs to be better than the rung below."""

    filters: tuple[int, ...]
    entry: str
    residual: bool
    least: float

    def shape(self, given: Given) -> dict[str, Any]:
        """Its arguments for that data."""
        return choose_shape(self.filters, self.entry, given, residual=self.residual)


# From the least to the most able. CIFAR-10, validation: 32/64/64 after 5 epochs 85.0 %, 48/96/96 after 4 epochs and 1.4
# times the seconds 85.3 %; 10 epochs of 48/96/96 88.5, and 7 of 64/128/128 in as many seconds 88.7: a wider network
# pays once the narrower one has seen the pictures often enough.
LADDER = (
    Rung((16, 32, 32), "quarter", False, 0),
    Rung((32, 64, 64), "quarter", False, 2),
    Rung((32, 64, 64), "full", False, 3),
    Rung((48, 96, 96), "full", False, 5),
    Rung((64, 128, 128), "full", False, 6),
    Rung((64, 128, 128), "full", True, 12),
    Rung((64, 192, 256), "full", True, 12),
)
