"""Which loss a run on pictures is trained with: what was asked for, and what cannot be. Free of torch until asked."""

from typing import TYPE_CHECKING, Any

from vistazo.classification.config import ClassificationConfig
from vistazo.errors import ConfigError
from vistazo.language import tr

if TYPE_CHECKING:
    from vistazo.classification.recipes import Decided
    from vistazo.pictures.index import Index

__all__ = ["PLAIN", "SEVERAL", "chosen", "require_classes", "require_loss", "sentences"]

PLAIN = "cross_entropy"
SEVERAL = "binary_cross_entropy"  # the objective of several labels a picture
_OF_RECIPES = (PLAIN, SEVERAL, "squashed_cross_entropy")  # the losses that a recipe's smoothing is meant for


def require_loss(config: ClassificationConfig) -> None:
    """Raise UnknownName or ConfigError where the loss cannot be, as far as is known before a picture is read."""
    if config.loss is None and config.smoothing is None:
        return
    from vistazo.engine.objectives import asked, require_smoothing

    name = asked(config.loss, numbers=False).name if config.loss else _own_loss(config)
    if config.smoothing:
        require_smoothing(name)


def require_classes(config: ClassificationConfig, index: "Index") -> None:
    """Raise ConfigError where the loss does not suit these classes, before pictures are decoded."""
    if config.loss is None:
        return
    from vistazo.engine.objectives import asked

    name, count = asked(config.loss, numbers=False).name, len(index.classes)
    if index.labels is not None and name != SEVERAL:
        raise ConfigError(
            tr(
                "--loss {loss} is for one class a picture, and here a picture may have several labels, each a question "
                "of its own: leave --loss out, and {own} is used.",
                loss=name,
                own=SEVERAL,
            )
        )
    if index.labels is None and name == SEVERAL and count > 2:
        raise ConfigError(
            tr(
                "--loss {loss} asks of each label by itself, and here a picture has one class of {n}: with {other} "
                "their probabilities sum to 1. Leave --loss out, or give several labels a picture.",
                loss=name,
                n=count,
                other=PLAIN,
            )
        )


def chosen(
    config: ClassificationConfig,
    decided: "Decided",
    *,
    several: bool,
    begun: "tuple[str, dict[str, float]] | None",
) -> "dict[str, Any]":
    """The fields of Decided that say which loss it is. begun: that of the model training begins from, if it does.

    A recipe's smoothing is of the loss that the recipe has: with another there is none but what --smoothing says.
    Raises ConfigError where --smoothing does not suit the loss.
    """
    from vistazo.engine.objectives import asked, require_smoothing

    name, arguments = begun or (decided.objective, {})
    if config.loss:
        wanted = asked(config.loss, numbers=False)
        name, arguments = wanted.name, wanted.arguments
        if name == SEVERAL:  # of two classes the sigmoid of the scores' difference is their softmax
            name = PLAIN
    if several:
        name, arguments = SEVERAL, {}
    smoothing = decided.smoothing if name in _OF_RECIPES else 0.0
    if config.smoothing is not None:
        if config.smoothing:
            require_smoothing(name)
        smoothing = config.smoothing
    return {"objective": name, "loss_arguments": arguments, "smoothing": smoothing}


def sentences(config: ClassificationConfig, *, several: bool) -> list[str]:
    """What is to be told of a loss that was asked for by another name than it has here."""
    if not config.loss:
        return []
    from vistazo.engine.objectives import asked

    wanted = asked(config.loss, numbers=False)
    found = [wanted.sentence()]
    if wanted.name == SEVERAL and not several:
        found.append(
            tr(
                "loss {loss}: of two classes it is {own}, because the sigmoid of the difference of two scores is their "
                "softmax",
                loss=SEVERAL,
                own=PLAIN,
            )
        )
    return [one for one in found if one]


def _own_loss(config: ClassificationConfig) -> str:
    """The loss of the recipe or the network, as far as they are known already."""
    from vistazo.classification.models import models
    from vistazo.classification.recipes import recipes

    own, model = None, config.model
    if config.recipe in recipes:  # auto chooses among those of cross-entropy
        recipe = recipes[config.recipe]
        own, model = recipe.objective, model or recipe.model
    return own or (models[model].objective if model else PLAIN)
