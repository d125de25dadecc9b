"""The recipe `transfer`: when it is chosen, how long it trains, how much of the network, at what size. Torch-free."""

import math
from typing import Any

from vistazo.classification.recipe import Given, Recipe
from vistazo.language import mark

__all__ = ["MODEL", "SIDES", "TRANSFER", "choose_shape", "prefers_transfer"]

MODEL = "efficientnet_lite0"
SIDES = (
    16,
    256,
)  # pixels a side of pictures in memory; smaller ones than `choose_shape` says are enlarged inside
PHOTOGRAPH = 128  # pixels of the longer side that larger pictures are brought to


def choose_shape(*, pictures: int, height: int, width: int) -> dict[str, Any]:
    """How large the network sees a picture, and how many of its 16 blocks stay as published."""
    return {"size": min(SIDES[1], max(128, height, width)), "frozen": 2}


def _length(given: Given) -> tuple[int, int]:
    """(epochs, batch)."""
    epochs = max(1, min(30, math.ceil(450_000 / given.pictures)))
    return epochs, 64 if given.pictures >= 2_000 else 32


def prefers_transfer(*, pictures: int, height: int, width: int, channels: int) -> bool:
    """Whether a source is photographs, and few of them."""
    return channels == 3 and min(height, width) > 64 and pictures <= 20_000


TRANSFER: dict[str, Recipe] = {
    "transfer": Recipe(
        mark("a network that has seen a million photographs learns yours: the best for few photographs"),
        MODEL,
        _length,
        schedule="cosine",
        average="none",
        smoothing=0.1,
        keep="last",
    )
}
