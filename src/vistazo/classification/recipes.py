"""Recipes: named ways of training a classifier. A recipe fills in whatever the settings leave open.

Torch-free, so that `vistazo recipes` costs nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vistazo.classification.config import ClassificationConfig
from vistazo.errors import ConfigError
from vistazo.language import mark, tr
from vistazo.registry import Registry

__all__ = [
    "Decided",
    "Recipe",
    "decide",
    "flips",
    "prefers_transfer",
    "recipes",
    "transfer_size",
    "working_size",
]

SMALLEST, LARGEST = 16, 128  # pixels: what the fast network is made for
PHOTOGRAPH = 64  # pixels a side that larger pictures are brought to
TRANSFER_LARGEST, TRANSFER_PHOTOGRAPH = 256, 128  # the same for the recipe `transfer`
_SIDES = frozenset(
    [
        "left",
        "right",
        "izquierda",
        "derecha",
        "izquierdo",
        "derecho",
        "izq",
        "der",
        "clockwise",
        "horario",
        "antihorario",
    ]
)


@dataclass(frozen=True)
class Recipe:
    """A way of training. help: one line for people. length: training pictures to (epochs, batch size)."""

    help: str
    model: str
    length: Callable[[int], tuple[int, int]]
    schedule: str
    average: str
    smoothing: float
    keep: str


@dataclass(frozen=True)
class Decided:
    """Everything that settings, recipe and data together decided; frozen in the run."""

    model: str
    arguments: dict[str, Any]
    epochs: int
    batch: int
    schedule: str
    average: str
    smoothing: float
    keep: str
    reach: int
    flip: bool
    views: bool


recipes: Registry[Recipe] = Registry(mark("recipe"))


def _quick_length(pictures: int) -> tuple[int, int]:
    from vistazo.networks import airbench  # imports torch

    return airbench.choose_epochs(pictures=pictures), airbench.choose_batch(pictures=pictures)


recipes.register("quick")(
    Recipe(
        mark("a fast narrow network, seconds on two cores; it sees 32,000 pictures, or each one once"),
        "airbench",
        _quick_length,
        "triangular",
        "lookahead",
        0.2,
        # The schedule ends near rate 0 and the average is taken at the end, so the last epoch is the best guess;
        # choosing by 200 validation pictures picks noise: on the demo it left the average for an earlier epoch.
        "last",
    )
)


def _transfer_length(pictures: int) -> tuple[int, int]:
    from vistazo.networks import efficientnet_lite  # imports torch

    return efficientnet_lite.choose_epochs(pictures=pictures), efficientnet_lite.choose_batch(
        pictures=pictures
    )


recipes.register("transfer")(
    Recipe(
        mark(
            "a network that has seen a million photographs learns yours: the most accurate with few pictures"
        ),
        "efficientnet_lite0",
        _transfer_length,
        "cosine",
        "none",
        0.1,
        "last",
    )
)


def prefers_transfer(*, pictures: int, height: int, width: int, channels: int) -> bool:
    """xx"""
    return channels == 3 and min(height, width) > 64 and pictures <= 20_000


def decide(
    config: ClassificationConfig,
    *,
    pictures: int,
    height: int,
    width: int,
    channels: int,
    classes: tuple[str, ...],
) -> Decided:
    """Settle every open setting from the recipe and from what the data is."""
    from vistazo.classification.models import models  # imports torch

    recipe = recipes[config.recipe]
    epochs, batch = recipe.length(pictures)
    epochs, batch = config.epochs or epochs, min(config.batch or batch, pictures)
    model = config.model or recipe.model
    arguments: dict[str, Any] = {
        "channels": channels,
        "height": height,
        "width": width,
        "classes": len(classes),
    }
    arguments |= models[model].suit(pictures=pictures, epochs=epochs, height=height, width=width)
    if config.filters:
        if "filters" not in arguments:
            raise ConfigError(
                tr("The model {model} has no filters to choose; leave out --filters.", model=model)
            )
        arguments["filters"] = [int(one) for one in config.filters.split(",")]
        try:
            models[model].build(**arguments)
        except ValueError as error:
            raise ConfigError(
                tr("--filters {value} does not suit this data: {reason}.", value=config.filters, reason=error)
            ) from None
    return Decided(
        model=model,
        arguments=arguments,
        epochs=epochs,
        batch=batch,
        schedule=config.schedule or recipe.schedule,
        average=config.average or recipe.average,
        smoothing=recipe.smoothing,
        keep=config.keep or ("best" if config.patience else recipe.keep),
        reach=max(1, round(min(height, width) / 28)),
        flip={"on": True, "off": False}.get(config.flip, flips(classes, channels)),
        views=config.views == "on",
    )


def flips(classes: tuple[str, ...], channels: int) -> bool:
    """Whether mirrored pictures keep their class, as far as names and colour tell.

    Off for grey pictures (digits, letters, drawings, scans), and for colour ones with a class named by a single
    character, a number, or a side (left, izquierda ...). On otherwise: things in photographs have no handedness.
    """
    if channels == 1:
        return False
    words = [word for name in classes for word in name.casefold().replace("_", " ").replace("-", " ").split()]
    return not any(len(word) == 1 or word.isdecimal() or word in _SIDES for word in words)


def working_size(asked: str | None, *, height: int, width: int) -> tuple[int, int]:
    """The size pictures are brought to: the one asked for, or their own where that suits the fast network.

    Larger pictures come to 64 pixels on their longer side, smaller ones to 16 on their shorter one, in proportion.
    """
    return _size(asked, height, width, LARGEST, PHOTOGRAPH)


def transfer_size(asked: str | None, *, height: int, width: int) -> tuple[int, int]:
    """The size pictures are brought to for the recipe `transfer`: the one asked for (16 to 256), or their own.

    Larger pictures come to 128 pixels on their longer side: enough for a photograph of one thing, and fine-tuning at
    224, the size the network was trained at, takes three times as long. Smaller ones are enlarged in the network.
    """
    return _size(asked, height, width, TRANSFER_LARGEST, TRANSFER_PHOTOGRAPH)


def _size(asked: str | None, height: int, width: int, largest: int, photograph: int) -> tuple[int, int]:
    if asked:
        parts = [int(part) for part in asked.split("x")]
        size = (parts[0], parts[-1])
        if not all(SMALLEST <= one <= largest for one in size):
            raise ConfigError(
                tr("--size must lie between {low} and {high} pixels a side.", low=SMALLEST, high=largest)
            )
        return size
    scale = 1.0
    if max(height, width) > photograph:
        scale = photograph / max(height, width)
    if min(height, width) * scale < SMALLEST:
        scale = SMALLEST / min(height, width)
    sides = (round(height * scale), round(width * scale))
    return min(largest, max(SMALLEST, sides[0])), min(largest, max(SMALLEST, sides[1]))
