"""Which loss a forecast is trained with: quantiles by the pinball loss, or one number by what was asked for."""

from typing import Any

from vistazo.engine.losses import Objective, Pinball
from vistazo.engine.objectives import asked, create
from vistazo.errors import ConfigError
from vistazo.forecasting.config import ForecastingConfig
from vistazo.forecasting.models import QUANTILES, models
from vistazo.language import tr

__all__ = ["chosen", "loss_of"]

_SINGLE = ("mse", "mae", "huber")


def chosen(config: ForecastingConfig, model: str) -> dict[str, Any]:
    """The fields of Decided that say which loss it is; the pinball loss where none was asked for.

    Raises UnknownName, ConfigError where it does not suit the network.
    """
    if not config.loss:
        return {"objective": "pinball", "loss_arguments": {}}
    found = asked(config.loss, numbers=None)
    if models[model].recipe.quantiles:
        single = [name for name in models if not models[name].recipe.quantiles]
        raise ConfigError(
            tr(
                "--loss {loss} learns one number a step, and {model} learns five quantiles of it, which only the "
                "pinball loss does: leave --loss out, or choose --model {models}.",
                loss=found.name,
                model=model,
                models=", ".join(single),
            )
        )
    if found.name not in _SINGLE:
        raise ConfigError(
            tr(
                "--loss {loss} does not suit a forecast, whose scaled values lie below 0 too: choose one of {losses}.",
                loss=found.name,
                losses=", ".join(_SINGLE),
            )
        )
    return {"objective": found.name, "loss_arguments": found.arguments}


def loss_of(model: str, objective: str, arguments: dict[str, float]) -> Objective:
    """The loss that was decided, for the outputs that the network has."""
    if objective == "pinball":
        return Pinball(quantiles=QUANTILES if models[model].recipe.quantiles else (0.5,))
    return create(objective, arguments, numbers=True)
