"""Recipes: named ways of training a classifier. A recipe fills in whatever the settings leave open.

Torch-free, so that `vistazo recipes` costs nothing.
"""

from dataclasses import dataclass, field
from typing import Any

from vistazo.classification import in_words
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.everyday import EASY, EVERYDAY
from vistazo.classification.recipe import Given, Recipe
from vistazo.classification.transferring import TRANSFER, prefers_transfer
from vistazo.classification.tutorials import TUTORIALS
from vistazo.engine import pacing
from vistazo.errors import ConfigError
from vistazo.language import mark, tr
from vistazo.pictures import augments
from vistazo.registry import Registry

__all__ = [
    "Decided",
    "decide",
    "flips",
    "picture_size",
    "recipes",
    "require_sense",
    "with_recipe",
    "working_size",
]

AUTO = "auto"
SMALLEST, LARGEST = 16, 128  # pixels: what the fast network is made for
PHOTOGRAPH = 64  # pixels a side that larger pictures are brought to
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
class Decided:
    """Everything that settings, recipe and data together decided; frozen in the run. Fields are told at Recipe.

    steps, seconds: of training, where --time decided; None where training is `epochs` long. most: steps that the
    clock may make of them.
    """

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
    objective: str = "cross_entropy"
    balance: str = "none"  # settled where the counts are known
    scaling: str = "standard"
    monitor: str = "accuracy"
    patience: int = 0
    patience_on: str | None = None
    stop_at: str | None = None
    steps: int | None = None
    seconds: float | None = None
    most: int | None = None
    augment: list[list[Any]] = field(default_factory=list)  # [name, low, high], besides reach and flip


recipes: Registry[Recipe] = Registry(mark("recipe"))


for _name, _recipe in {**EVERYDAY, **TRANSFER, **in_words.PLAIN, **TUTORIALS}.items():
    recipes.register(_name)(_recipe)


def decide(config: ClassificationConfig, given: Given, classes: tuple[str, ...]) -> Decided:
    """Settle every open setting from the recipe and from what the data is."""
    from vistazo.classification.models import models, objective_of, require  # imports torch

    recipe = recipes[config.recipe]
    epochs, batch = recipe.length(given)
    epochs, batch = config.epochs or epochs, min(config.batch or batch, given.pictures)
    model = in_words.MODEL if config.network else config.model or recipe.model
    arguments: dict[str, Any] = {
        "channels": given.channels,
        "height": given.height,
        "width": given.width,
        "classes": len(classes),
    }
    if recipe.shape and model == recipe.model:
        arguments |= recipe.shape(given, epochs)
    else:
        arguments |= models[model].suit(
            pictures=given.pictures, epochs=epochs, height=given.height, width=given.width
        )
    if config.network:
        arguments["words"] = in_words.resolved(config)
    if config.filters:
        if "filters" not in arguments:
            raise ConfigError(
                tr("The model {model} has no filters to choose; leave out --filters.", model=model)
            )
        arguments["filters"] = [int(one) for one in config.filters.split(",")]
    try:
        require(model, arguments)
    except ConfigError:  # of words: its own sentence names the layer
        raise
    except ValueError as error:
        if config.filters:
            raise ConfigError(
                tr("--filters {value} does not suit this data: {reason}.", value=config.filters, reason=error)
            ) from None
        raise ConfigError(
            tr(
                "The recipe {recipe} cannot train on this data: {reason}. Give another --size, --model or --recipe.",
                recipe=config.recipe,
                reason=error,
            )
        ) from None
    seen = augments.settle(
        config.augment,
        _augment(recipe, given),
        flip=config.flip,
        suits=flips(classes, given.channels),
        height=given.height,
        width=given.width,
        channels=given.channels,
        reach=recipe.reach_colour if given.channels > 1 else 1,
    )
    return Decided(
        model=model,
        arguments=arguments,
        epochs=epochs,
        batch=batch,
        schedule=config.schedule or recipe.schedule,
        average=config.average or recipe.average,
        smoothing=recipe.smoothing,
        keep=config.keep or ("best" if config.patience else recipe.keep),
        reach=seen.reach,
        flip=seen.flip,
        views=config.views == "on" if config.views else recipe.views,
        objective=recipe.objective or objective_of(model, arguments),
        scaling=models[model].scaling or recipe.scaling,
        monitor=config.monitor or recipe.monitor,
        patience=recipe.patience if config.patience is None else config.patience,
        patience_on=config.monitor or recipe.patience_on,
        stop_at=config.stop_at or recipe.stop_at,
        augment=seen.others,
    )


def _augment(recipe: Recipe, given: Given) -> str:
    """What the recipe does to pictures of this kind."""
    if given.ease >= EASY:
        return recipe.augment_easy or recipe.augment
    return (recipe.augment_colour if given.channels > 1 else None) or recipe.augment


def flips(classes: tuple[str, ...], channels: int) -> bool:
    """Whether mirrored pictures keep their class, as far as names and colour tell.

    Off for grey pictures (digits, letters, drawings, scans), and for colour ones with a class named by a single
    character, a number, or a side (left, izquierda ...). On otherwise: things in photographs have no handedness.
    """
    if channels == 1:
        return False
    words = [word for name in classes for word in name.casefold().replace("_", " ").replace("-", " ").split()]
    return not any(len(word) == 1 or word.isdecimal() or word in _SIDES for word in words)


def with_recipe(
    config: ClassificationConfig, *, pictures: int, height: int, width: int, channels: int
) -> ClassificationConfig:
    """The settings with the recipe that auto means for these pictures, as they are before they are resized."""
    if config.recipe != AUTO:
        return config
    if config.network:
        return config.model_copy(update={"recipe": in_words.RECIPE})
    several = config.repeats or (config.folds or 0) + 1  # runs that share a time
    photographs = (
        not config.model
        and not config.filters
        and prefers_transfer(
            pictures=pictures,
            height=height,
            width=width,
            channels=int(config.channels or channels),
            seconds=pacing.seconds(config.time) / several if config.time else None,
        )
    )
    return config.model_copy(update={"recipe": "transfer" if photographs else "balanced"})


def require_sense(config: ClassificationConfig) -> None:
    """Raise UnknownName or ConfigError where the settings cannot mean anything, before a picture is read."""
    in_words.require_sense(config, recipes[config.recipe] if config.recipe != AUTO else None)
    if config.time and config.epochs:
        raise ConfigError(tr("--time chooses how long to train: leave out --epochs, or --time."))
    if config.time and config.beside == "on":
        raise ConfigError(
            tr("--beside trains a second network, which --time has no share for: leave out one of them.")
        )
    if config.time and not pacing.seconds(config.time):
        raise ConfigError(tr("--time must be more than nothing."))


def picture_size(
    config: ClassificationConfig, *, height: int, width: int, pictures: int = 10_000
) -> tuple[int, int]:
    """The (height, width) pictures are brought to: what was asked for, the recipe's, or what suits network and data.

    height, width: of the pictures as they are. pictures: how many there are besides the test part.
    Raises ConfigError where --size is beyond what the network takes.
    """
    from vistazo.classification.models import models  # imports torch

    recipe = recipes[config.recipe]
    if recipe.size and not config.size:
        return recipe.size
    entry = models[in_words.MODEL if config.network else config.model or recipe.model]
    return working_size(
        config.size, height=height, width=width, sides=entry.sides, photograph=entry.photograph(pictures)
    )


def working_size(
    asked: str | None,
    *,
    height: int,
    width: int,
    sides: tuple[int, int] = (SMALLEST, LARGEST),
    photograph: int = PHOTOGRAPH,
) -> tuple[int, int]:
    """The size pictures are brought to: the one asked for, or their own where that suits the network.

    Larger pictures come to `photograph` pixels on their longer side, in proportion. sides: the least and most pixels a
    side that the network is made for; smaller pictures come to the least on their shorter side.
    """
    least, most = sides
    if asked:
        parts = [int(part) for part in asked.split("x")]
        size = (parts[0], parts[-1])
        if not all(least <= one <= most for one in size):
            raise ConfigError(
                tr("--size must lie between {low} and {high} pixels a side.", low=least, high=most)
            )
        return size
    scale = 1.0
    if max(height, width) > photograph:
        scale = photograph / max(height, width)
    if min(height, width) * scale < least:
        scale = least / min(height, width)
    rounded = (round(height * scale), round(width * scale))
    return min(most, max(least, rounded[0])), min(most, max(least, rounded[1]))
