"""Optimisers and weight averaging: which parameters learn by which method, at which rate.

A network says which of its parameters play which role (a list of `Group`); `build_optimizers` turns that
list into torch optimisers whose groups carry `base_lr`; the loop calls `set_rates` with the factor of a
schedule before each step:

    optimizers = build_optimizers(groups)
    factor = schedule("triangular")
    lookahead = Lookahead(network, every=5)
    for step in range(steps):
        set_rates(optimizers, factor(step, steps), progress=step / steps)
        loss.backward(); [optimizer.step() for optimizer in optimizers]
        lookahead.update(step + 1, steps)
    lookahead.finish()

`methods` has the methods by name; their arithmetic stands in `updates`, the schedules in `schedules`. All state is
tensors and plain numbers, so a checkpoint restores it to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vistazo.engine.schedules import Schedule, constant, schedule, schedules
from vistazo.engine.updates import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Momentum,
    Muon,
    Nadam,
    RMSprop,
    orthogonalise,
)
from vistazo.language import mark, tr
from vistazo.registry import About, Registry

__all__ = [
    "SGD",
    "Group",
    "Lookahead",
    "Method",
    "Muon",
    "Schedule",
    "all_by",
    "at_rate",
    "build_optimizers",
    "constant",
    "decayed",
    "methods",
    "orthogonalise",
    "schedule",
    "schedules",
    "set_rates",
]


# --- Methods --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A way of stepping. build: parameter groups to an optimiser. rate, momentum, decay: those that are usual."""

    build: Callable[[list[dict[str, Any]]], Optimizer]
    rate: float
    momentum: float = 0.0
    decay: float = 0.0


# In the order in which optimisers of several methods are built, and so stand in checkpoints.
methods: Registry[Method] = Registry(mark("optimizer"))
methods.register(
    "muon",
    About(
        mark("Muon (orthogonalised momentum)"),
        "m <- b m + g; w <- w - lr orth(g + b m), orth(U S V') = U V'",
        mark(
            "Networks of matrices and filters, where the time is short: the fewest steps. Hidden matrices learn by it, "
            "the last layer, biases and norms by Adam."
        ),
        "Jordan et al. 2024, kellerjordan.github.io/posts/muon",
    ),
)(Method(Muon, 0.02, 0.95))
methods.register(
    "sgd",
    About(
        mark("plain gradient descent"),
        "w <- w - lr g",
        mark("To see what the others gain. Slow, and asks for the right rate."),
        "Robbins, Monro 1951",
    ),
)(Method(SGD, 0.01))
methods.register(
    "momentum",
    About(
        mark("gradient descent with momentum"),
        "v <- m v + g; w <- w - lr v",
        mark("Networks with batch norm and long trainings; often ends best once the rate is right."),
        "Polyak 1964; as in torch.optim.SGD",
    ),
)(Method(Momentum, 0.01, 0.9))
methods.register(
    "nesterov",
    About(
        mark("Nesterov momentum"),
        "v <- m v + g; w <- w - lr (g + m v)",
        mark("As momentum, a little steadier at high rates."),
        "Nesterov 1983; Sutskever et al. 2013; as in torch.optim.SGD",
    ),
)(Method(SGD, 0.01, 0.9))
methods.register(
    "adamw",
    About(
        mark("Adam with decoupled weight decay"),
        "w <- w - lr (c w + m / (sqrt(v) + e)), m and v corrected for their start",
        mark("The usual choice where weights shall stay small: tables, transformers, fine-tuning."),
        "Loshchilov, Hutter 2019, arXiv:1711.05101; as in torch.optim.AdamW",
    ),
)(Method(AdamW, 1e-3, 0.9, decay=0.01))
methods.register(
    "adam",
    About(
        mark("Adam"),
        "m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w <- w - lr m sqrt(1 - b2^t) / (1 - b1^t) / (sqrt(v) + e)",
        mark("The usual first choice: works at its usual rate on most networks."),
        "Kingma, Ba 2015, arXiv:1412.6980; as in Keras",
    ),
)(Method(Adam, 1e-3, 0.9))
methods.register(
    "nadam",
    About(
        mark("Adam with Nesterov momentum"),
        "Adam with (1 - u_t) g + u_(t+1) m for m, u_t = b1 (1 - 0.96^(t / 250) / 2)",
        mark("As Adam, often a little faster at the start."),
        "Dozat 2016; as in torch.optim.NAdam",
    ),
)(Method(Nadam, 2e-3, 0.9))
methods.register(
    "rmsprop",
    About(
        mark("RMSprop"),
        "v <- 0.9 v + 0.1 g^2; w <- w - lr g / (sqrt(v) + e)",
        mark("Recurrent networks, and gradients whose size changes much; Adam has mostly taken its place."),
        "Hinton 2012, lecture 6e; as in torch.optim.RMSprop with Keras' 0.9",
    ),
)(Method(RMSprop, 1e-3))
methods.register(
    "adagrad",
    About(
        mark("Adagrad"),
        "s <- s + g^2 from 0.1 on; w <- w - lr g / (sqrt(s) + e)",
        mark("Rare features, such as words. Its steps only ever become smaller, so it asks for a high rate."),
        "Duchi, Hazan, Singer 2011; as in Keras",
    ),
)(Method(Adagrad, 1e-3))


# --- Groups ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Parameters that learn alike.

    role: what they are, for logs ("filters", "biases", "head" ...).
    method: one of `methods`; "sgd" with a momentum is Nesterov's.
    rate: learning rate at schedule factor 1, for the *mean* loss of a batch.
    momentum: of Muon and SGD, in [0, 1); for AdamW, Adam and Nadam it is beta 1; Adagrad and RMSprop have none.
    decay: decoupled weight decay: each step multiplies the weights by (1 - lr × decay).
    until: share of the training, in (0, 1], after which the group rests: its rate is 0.
    normalise: of Muon: whether the weights are put back to one size before each step, as in airbench.
    """

    role: str
    parameters: tuple[nn.Parameter, ...]
    method: str
    rate: float
    momentum: float
    decay: float = 0.0
    until: float = 1.0
    normalise: bool = True

    def __post_init__(self) -> None:
        if not self.parameters:
            raise ValueError(f"the group '{self.role}' has no parameters")
        if self.method not in methods:
            raise ValueError(
                f"the group '{self.role}' asks for the method '{self.method}'; there are {', '.join(methods)}"
            )
        if not self.rate >= 0 or not 0 <= self.momentum < 1 or not self.decay >= 0 or not 0 < self.until <= 1:
            raise ValueError(
                f"the group '{self.role}' needs rate >= 0, momentum in [0, 1), "
                f"decay >= 0 and until in (0, 1], "
                f"not {self.rate}, {self.momentum}, {self.decay} and {self.until}"
            )


def all_by(method: str, parameters: Iterable[nn.Parameter]) -> list[Group]:
    """Groups in which all these parameters learn by one method at its usual rate; the decay is of weights alone.

    parameters: of a network, in its order. With "muon", matrices and filters but the last learn by Muon; the last,
    which is the layer of the answers, and all biases and norms by Adam, as its authors advise. Muon's group is first.
    Raises ValueError where Muon finds no matrix between pictures and answers.
    """
    several = list(parameters)
    weights = [one for one in several if one.ndim >= 2]
    usual = methods[method]
    if method != "muon":
        groups = [Group("all", tuple(several), method, usual.rate, usual.momentum)]
        return decayed(groups, usual.decay) if usual.decay else groups
    if len(weights) < 2:
        raise ValueError(tr("it has no matrix or filter between the pictures and the layer of the answers"))
    hidden = {id(one) for one in weights[:-1]}
    rest = tuple(one for one in several if id(one) not in hidden)
    adam = methods["adam"]
    return [
        Group("hidden weights", tuple(weights[:-1]), "muon", usual.rate, usual.momentum, normalise=False),
        Group("others", rest, "adam", adam.rate, adam.momentum),
    ]


def at_rate(groups: Sequence[Group], rate: float) -> list[Group]:
    """The same groups with this rate for the first one, and for the others in proportion."""
    return [replace(one, rate=one.rate * (rate / groups[0].rate)) for one in groups]


def decayed(groups: Sequence[Group], decay: float) -> list[Group]:
    """The same groups with this weight decay for weights: parameters of two or more dimensions; the rest has none."""
    found = []
    for group in groups:
        weights = tuple(one for one in group.parameters if one.ndim >= 2)
        rest = tuple(one for one in group.parameters if one.ndim < 2)
        if weights:
            found.append(replace(group, parameters=weights, decay=decay))
        if rest:
            found.append(replace(group, role=f"{group.role}, no weights", parameters=rest, decay=0.0))
    return found


def build_optimizers(groups: Sequence[Group]) -> list[Optimizer]:
    """One torch optimiser per method used, in the order of `methods`; every parameter group has `base_lr`.

    Raises ValueError where a parameter stands in two groups, which would step it twice.
    """
    seen: set[int] = set()
    for group in groups:
        for parameter in group.parameters:
            if id(parameter) in seen:
                raise ValueError(f"a parameter of the group '{group.role}' stands in another group too")
            seen.add(id(parameter))
    optimizers: list[Optimizer] = []
    for method in methods:
        options: list[dict[str, Any]] = []
        for group in groups:
            if group.method != method:
                continue
            more: dict[str, Any] = {"momentum": group.momentum}
            if method in ("adamw", "adam"):
                more = {"betas": (group.momentum, 0.999)}
            if method == "muon":
                more["normalise"] = group.normalise
            options.append({
                "params": list(group.parameters), "lr": group.rate, "base_lr": group.rate,
                "until": group.until,
                "role": group.role, "decoupled_decay": group.decay, **more,
            })  # fmt: skip
        if options:
            optimizers.append(methods[method].build(options))
    return optimizers


def set_rates(optimizers: Iterable[Optimizer], factor: float, *, progress: float) -> None:
    """Set every group's rate to base_lr × factor, or to 0 where `progress` (in [0, 1]) has reached the
    group's end."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor if progress < group["until"] else 0.0


# --- Averages of weights --------------------------------------------------------------------------


def _averaged(network: nn.Module) -> dict[str, Tensor]:
    """The live tensors an average is taken over: every floating one, batch-norm statistics included."""
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}


def _restore(own: dict[str, Tensor], given: dict[str, Any]) -> None:
    if own.keys() != given.keys():
        raise ValueError(
            f"the saved average is of another network: {sorted(own.keys() ^ given.keys())} differ"
        )
    for name, tensor in own.items():
        tensor.copy_(given[name])


class Lookahead:
    """Every few steps, the weights return part of the way to a slow copy of themselves (Zhang et al.,
    arXiv:1907.08610).

    As in airbench (arXiv:2404.00498) the share of the slow copy that is kept grows with the cube of the
    progress, up to 0.95⁵ = 0.77: hardly any averaging while the network still moves fast, much at the end.
    The fast weights take the slow copy's place after each mixing, batch-norm statistics included.
    """

    def __init__(self, network: nn.Module, *, every: int = 5, keep: float = 0.95**5) -> None:
        if every < 1 or not 0 <= keep <= 1:
            raise ValueError(f"lookahead needs every >= 1 and keep in [0, 1], not {every} and {keep}")
        self.every, self.keep = every, keep
        self._fast = _averaged(network)
        self._slow = {name: tensor.detach().clone() for name, tensor in self._fast.items()}

    @torch.no_grad()
    def update(self, step: int, steps: float) -> None:
        """Call after each optimiser step, with the number of steps done (1 after the first) and the number
        planned."""
        if step % self.every == 0:
            kept = self.keep * (step / steps) ** 3
            for name, slow in self._slow.items():
                fast = self._fast[name]
                slow.lerp_(fast, 1 - kept)
                fast.copy_(slow)

    @torch.no_grad()
    def finish(self) -> None:
        """Put the slow copy in place, once, after the last step."""
        for name, slow in self._slow.items():
            self._fast[name].copy_(slow)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain numbers only."""
        return {
            "every": self.every,
            "keep": self.keep,
            "slow": {name: t.clone() for name, t in self._slow.items()},
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError where the state is of a network with other tensors."""
        _restore(self._slow, state["slow"])
        self.every, self.keep = int(state["every"]), float(state["keep"])
