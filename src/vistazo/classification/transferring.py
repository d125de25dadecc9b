"""The recipe `transfer`: when it is chosen, how long it trains, how much of the network, at what size. Torch-free."""

import math
from typing import Any

from vistazo.classification.recipe import Given, Recipe
from vistazo.language import mark, tr

__all__ = ["MODEL", "SIDES", "TRANSFER", "choose_shape", "chosen_sentence", "photograph", "prefers_transfer"]

MODEL = "efficientnet_lite0"
SIDES = (
    16,
    256,
)  # pixels a side of pictures in memory; those smaller than `choose_shape` says are enlarged inside
# Pixels of the longer side, inside. 224 is what the weights were trained with, and takes three times as long as 128.
FEW, LARGE, MIDDLE = 1_000, 224, 128
FROZEN = 4
PATIENCE = 10_000  # pictures up to which `auto` takes this recipe: minutes on two cores
SMALL = 64  # pixels: a picture whose shorter side has no more is no photograph as a camera takes it


def choose_shape(*, pictures: int, height: int, width: int) -> dict[str, Any]:
    """How large the network sees a picture, and how many of its 16 blocks stay as published.

    A linear head on 20 pictures a class of CIFAR-10 (3 draws): 62.8 % at 128 pixels, 66.5 at 224; after fine-tuning
    (one draw) 67.9 and 70.2. So few pictures are seen large. 10,000 pictures of CIFAR-10, 4 epochs: 89.5 % with the
    first 4 blocks frozen, 89.6 with the first 2, in 0.83 of the time.
    """
    inside = LARGE if pictures <= FEW else MIDDLE
    return {"size": min(SIDES[1], max(inside, height, width)), "frozen": FROZEN}


def photograph(pictures: int) -> int:
    """Pixels of the longer side that larger pictures are brought to. pictures: of training and validation together."""
    return LARGE if pictures <= FEW * 5 // 4 else MIDDLE


def _length(given: Given) -> tuple[int, int]:
    """(epochs, batch): each picture 15 times, less often from 45,000 pictures on."""
    return max(1, min(15, math.ceil(650_000 / given.pictures))), 64 if given.pictures >= 2_000 else 32


def prefers_transfer(
    *, pictures: int, height: int, width: int, channels: int, seconds: float | None = None
) -> bool:
    """Whether a source is photographs, and so few that a pretrained network is worth its time.

    pictures, height, width, channels: of the source, before anything is resized. seconds: the budget, None for none.
    Photographs: in colour, the shorter side larger than 64 pixels. Few: at most 10,000, which two cores fine-tune on in
    five minutes; and at most 60 for each second of a budget, of which a third goes into looking at them once.
    Drawings, digits and thumbnails have recipes that suit them better in less time; for them it has to be asked for.
    """
    in_time = seconds is None or pictures <= 60 * seconds
    return channels == 3 and min(height, width) > SMALL and pictures <= PATIENCE and in_time


def chosen_sentence() -> str:
    """Why `auto` took this recipe, for the plan and the report."""
    return tr(
        "Few photographs: training begins with a network that has learnt from 1.28 million others (ImageNet). "
        "--recipe balanced learns from yours alone."
    )


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
