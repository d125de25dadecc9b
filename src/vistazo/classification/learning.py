"""How a classifier's parameters learn, as settings change what its network's entry says: method, rates, penalties."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from vistazo.classification.config import AUTO, ClassificationConfig
from vistazo.classification.models import create, models
from vistazo.classification.recipes import Decided, recipes
from vistazo.classification.transferring import MODEL
from vistazo.engine import optimizers, regularizers
from vistazo.engine.optimizers import Group
from vistazo.errors import ConfigError
from vistazo.language import tr

__all__ = ["groups_of", "penalty_of", "require_early", "require_possible"]

_SETTINGS = ("optimizer", "learning_rate", "l1", "l2", "weight_decay", "dropout")


def groups_of(decided: Decided, network: nn.Module, *, rate: float) -> list[Group]:
    """The parameter groups of a network, with the method, decay and rate that were decided; rate: times the result.

    Raises ValueError where the method finds nothing to step.
    """
    groups = models[decided.model].groups(network, decided.batch)
    if decided.optimizer:
        learnt = {id(one) for group in groups for one in group.parameters}
        groups = optimizers.all_by(
            decided.optimizer, [one for one in network.parameters() if id(one) in learnt]
        )
    if decided.weight_decay is not None:
        groups = optimizers.decayed(groups, decided.weight_decay)
    if decided.learning_rate is not None:
        groups = optimizers.at_rate(groups, decided.learning_rate)
    return [replace(one, rate=one.rate * rate) for one in groups]


def penalty_of(decided: Decided) -> Callable[[nn.Module], Tensor] | None:
    """What is added to the loss: the network's own penalty, in whose place --l2 comes, and --l1; None for nothing."""
    own, first, second = models[decided.model].penalty, decided.l1 or 0.0, decided.l2 or 0.0
    parts: list[Callable[[nn.Module], Tensor]] = []
    if own is not None and decided.l2 is None:
        parts.append(own)
    if first and second:
        parts.append(lambda network: regularizers.elastic_net(_weights(network), first, second))
    elif first:
        parts.append(lambda network: regularizers.l1(_weights(network), first))
    elif second:
        parts.append(lambda network: regularizers.l2(_weights(network), second))
    if len(parts) < 2:
        return parts[0] if parts else None
    return lambda network: parts[0](network) + parts[1](network)


def _weights(network: nn.Module) -> list[nn.Parameter]:
    return regularizers.penalised(network)


def require_early(config: ClassificationConfig) -> None:
    """Raise ConfigError where settings and network contradict one another whatever the pictures are.

    Before a picture is read; a network that auto or --from chooses is asked once it is known.
    """
    asked = {name: getattr(config, name) for name in _SETTINGS}
    if config.start or (config.recipe == AUTO and not config.model):
        return
    model = config.model or recipes[config.recipe].model
    if model not in models or not any(value is not None for value in asked.values()):
        return
    asked["learning_rate"] = None if config.learning_rate in (None, AUTO) else float(config.learning_rate)
    example = Decided(
        model=model, arguments=models[model].example, epochs=1, batch=2, schedule="", average="", smoothing=0.0,
        keep="", reach=0, flip=False, views=False, **asked,
    )  # fmt: skip
    require_possible(example)


def require_possible(decided: Decided) -> None:
    """Raise ConfigError where what was decided does not suit the network; nothing is computed."""
    with torch.device("meta"):
        network = create(decided.model, decided.arguments)
    if decided.dropout is not None and not regularizers.dropouts(network):
        raise ConfigError(
            tr(
                "--dropout: the network {model} has no dropout layer; leave it out, or choose another --model.",
                model=decided.model,
            )
        )
    if decided.l1 and decided.model == MODEL:
        raise ConfigError(
            tr(
                "--l1 would take from the pretrained network most of what it has learnt: its published weights are "
                "all used. Leave it out, or give --l2 or --weight-decay."
            )
        )
    try:
        groups = groups_of(decided, network, rate=1.0)
    except ValueError as error:
        raise ConfigError(
            tr(
                "--optimizer {method} does not suit {model}: {reason}.",
                method=decided.optimizer,
                model=decided.model,
                reason=error,
            )
        ) from None
    _require_decay(decided, groups)


def _require_decay(decided: Decided, groups: list[Group]) -> None:
    """Weights that are put back to one size cannot shrink, and none may shrink past nothing."""
    asked = {"l1": decided.l1, "l2": decided.l2, "weight-decay": decided.weight_decay}
    for name, value in asked.items():
        if value and any(one.method == "muon" and one.normalise for one in groups):
            raise ConfigError(
                tr(
                    "--{name} has nothing to do in {model}: the size of its filters is set anew at every step. Leave "
                    "it out, or choose --optimizer too, such as adamw.",
                    name=name,
                    model=decided.model,
                )
            )
    for group in groups:
        if group.decay * group.rate >= 1:
            raise ConfigError(
                tr(
                    "--weight-decay {decay} takes more than the whole of a weight at the rate {rate}: their product "
                    "must be below 1.",
                    decay=group.decay,
                    rate=f"{group.rate:.3g}",
                )
            )
