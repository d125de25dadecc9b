"""Optimisers, learning-rate schedules and weight averaging: everything between a gradient and the next
weights.

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

All state is tensors and plain numbers, so a checkpoint restores it to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = [
    "SGD",
    "Group",
    "Lookahead",
    "Muon",
    "Schedule",
    "build_optimizers",
    "constant",
    "cosine",
    "inverse_time",
    "linear",
    "orthogonalise",
    "schedule",
    "set_rates",
    "triangular",
]

Schedule = Callable[
    [int, float], float
]  # (step, steps): after a change of plan `steps` is what fits the progress


# --- Groups ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Parameters that learn alike.

    role: what they are, for logs ("filters", "biases", "head" ...).
    method: "muon" (matrices and convolution filters), "sgd" (Nesterov momentum; plain at momentum 0), "adamw", or as
    Keras has them "adam" and "adagrad".
    rate: learning rate at schedule factor 1, for the *mean* loss of a batch.
    momentum: of Muon and SGD, in [0, 1); for AdamW and Adam it is beta 1; Adagrad has none.
    decay: decoupled weight decay: each step multiplies the weights by (1 - lr × decay).
    until: share of the training, in (0, 1], after which the group rests: its rate is 0.
    """

    role: str
    parameters: tuple[nn.Parameter, ...]
    method: Literal["muon", "sgd", "adamw", "adam", "adagrad"]
    rate: float
    momentum: float
    decay: float = 0.0
    until: float = 1.0

    def __post_init__(self) -> None:
        if not self.parameters:
            raise ValueError(f"the group '{self.role}' has no parameters")
        if self.method not in _METHODS:
            raise ValueError(
                f"the group '{self.role}' asks for the method '{self.method}'; there are {', '.join(_METHODS)}"
            )
        if not self.rate >= 0 or not 0 <= self.momentum < 1 or not self.decay >= 0 or not 0 < self.until <= 1:
            raise ValueError(
                f"the group '{self.role}' needs rate >= 0, momentum in [0, 1), "
                f"decay >= 0 and until in (0, 1], "
                f"not {self.rate}, {self.momentum}, {self.decay} and {self.until}"
            )


def build_optimizers(groups: Sequence[Group]) -> list[Optimizer]:
    """One torch optimiser per method used, in the order muon, sgd, adamw, adam, adagrad; every parameter group
    has `base_lr`.

    Raises ValueError where a parameter stands in two groups, which would step it twice.
    """
    seen: set[int] = set()
    for group in groups:
        for parameter in group.parameters:
            if id(parameter) in seen:
                raise ValueError(f"a parameter of the group '{group.role}' stands in another group too")
            seen.add(id(parameter))
    optimizers: list[Optimizer] = []
    for method in _METHODS:
        options: list[dict[str, Any]] = []
        for group in groups:
            if group.method != method:
                continue
            momentum: dict[str, Any] = {"momentum": group.momentum}
            if method in ("adamw", "adam"):
                momentum = {"betas": (group.momentum, 0.999)}
            options.append({
                "params": list(group.parameters), "lr": group.rate, "base_lr": group.rate,
                "until": group.until,
                "role": group.role, "decoupled_decay": group.decay, **momentum,
            })  # fmt: skip
        if options:
            optimizers.append(_METHODS[method](options))
    return optimizers


def set_rates(optimizers: Iterable[Optimizer], factor: float, *, progress: float) -> None:
    """Set every group's rate to base_lr × factor, or to 0 where `progress` (in [0, 1]) has reached the
    group's end."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor if progress < group["until"] else 0.0


# --- Muon -----------------------------------------------------------------------------------------


def orthogonalise(matrices_NRC: Tensor, *, iterations: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrix to each matrix, roughly: U V' of its singular value decomposition
    U S V'.

    matrices_NRC: (N, rows, columns) float32. Returns the same shape; a matrix of zeros stays zeros.
    Singular values end within about 0.7 to 1.2, which is as good as 1 for a step (Jordan et al. 2024); those
    below a thousandth of the matrix's norm are still on their way up.

    The quintic Newton-Schulz iteration X <- aX + b(XX')X + c(XX')²X only ever multiplies X from the left by a
    polynomial of its Gram matrix. So the iteration runs on the small Gram matrix, and X is read twice in all
    instead of twice per iteration: 2.7× fewer operations (counted) for 64 filters of 576 weights.
    Source: Muon, Jordan et al. 2024, kellerjordan.github.io/posts/muon (coefficients: its last section).
    """
    tall = matrices_NRC.shape[1] > matrices_NRC.shape[2]
    wide = matrices_NRC.mT if tall else matrices_NRC
    norm = wide.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
    wide = wide / norm
    gram = wide @ wide.mT
    identity = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    total = identity.expand_as(gram)
    for iteration in range(iterations):
        polynomial = torch.baddbmm(3.4445 * identity - 4.7750 * gram, gram, gram, alpha=2.0315)
        total = polynomial @ total if iteration else polynomial
        if iteration + 1 < iterations:
            gram = polynomial @ gram @ polynomial
    nearest: Tensor = total @ wide
    return nearest.mT if tall else nearest


class Muon(Optimizer):
    """Momentum whose update is orthogonalised: every direction of a filter bank moves at the same speed.

    For matrices and convolution filters (O, I, kh, kw), flattened to O × (I·kh·kw); a parameter with fewer
    than two dimensions is refused. With `normalise` the weights of each parameter are first put back to
    Frobenius norm √O, as in airbench (arXiv:2404.00498, Muon version), so that `lr` is a relative speed and
    needs no weight decay.
    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float = 0.1,
        momentum: float = 0.6,
        nesterov: bool = True,
        normalise: bool = True,
        iterations: int = 5,
    ) -> None:
        if not lr >= 0:
            raise ValueError(f"Muon needs lr >= 0, not {lr}")
        if not 0 <= momentum < 1:
            raise ValueError(f"Muon needs momentum in [0, 1), not {momentum}")
        defaults = {
            "lr": lr, "momentum": momentum, "nesterov": nesterov, "normalise": normalise,
            "iterations": iterations, "decoupled_decay": 0.0,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim < 2:
                    raise ValueError(
                        "Muon steps matrices and filters; "
                        f"a parameter of shape {tuple(parameter.shape)} is neither"
                    )

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step on the gradients as they are; parameters without a gradient are left alone."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        # Matrices of one shape go through the iteration together: fewer, larger products.
        by_shape: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(parameter.grad)
            update = parameter.grad.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer
            matrix = update.reshape(len(parameter), -1).float()
            by_shape.setdefault((matrix.shape[0], matrix.shape[1]), []).append((parameter, matrix))
        for members in by_shape.values():
            updates = orthogonalise(
                torch.stack([matrix for _, matrix in members]), iterations=group["iterations"]
            )
            for (parameter, _), update in zip(members, updates, strict=True):
                if group["normalise"]:
                    parameter.mul_(math.sqrt(len(parameter)) / parameter.norm().clamp_min(1e-12))
                if group["decoupled_decay"]:
                    parameter.mul_(1 - group["lr"] * group["decoupled_decay"])
                parameter.add_(update.view(parameter.shape), alpha=-group["lr"])


class SGD(Optimizer):
    """Nesterov momentum with weight decay decoupled from the gradient (Sutskever et al. 2013; arXiv:1711.05101).

    The same arithmetic as torch.optim.SGD(nesterov=True). Ours, because torch's step imports torch's compiler: 1.1 s
    of a whole run that takes six.
    """

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, {"lr": 0.1, "momentum": 0.85, "decoupled_decay": 0.0})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step on the gradients as they are; parameters without a gradient are left alone."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        _decay(self.param_groups)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(parameter.grad)
                update = parameter.grad.add(buffer, alpha=group["momentum"])
                parameter.add_(update, alpha=-group["lr"])
        return loss


class _AdamW(torch.optim.AdamW):
    """AdamW whose decay comes from the group, so that one rule holds for every method."""

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, lr=1e-3, weight_decay=0.0)

    def step(self, closure: Any = None) -> Any:
        _decay(self.param_groups)
        return super().step(closure)


class _Adam(torch.optim.Adam):
    """Adam as Keras has it: epsilon 1e-7, added to the root of the second moment before its bias is corrected.

    torch adds its epsilon after: the same step for epsilon / √(1 - beta2^t), 3e-6 at the first one.
    Source: Kingma, Ba 2014, arXiv:1412.6980, end of section 2 ("epsilon hat").
    """

    def __init__(self, params: Iterable[Any]) -> None:
        # One pass over the weights instead of seven: 0.8 against 2.2 ms for 542,230 of them, on one core.
        super().__init__(params, lr=1e-3, fused=True)
        for group in self.param_groups:
            group["steps"] = 0

    def step(self, closure: Any = None) -> Any:
        _decay(self.param_groups)
        for group in self.param_groups:
            group["steps"] += 1
            group["eps"] = 1e-7 / math.sqrt(1 - group["betas"][1] ** group["steps"])
        return super().step(closure)


class _Adagrad(torch.optim.Adagrad):
    """Adagrad as Keras has it: sums of squares begin at 0.1, epsilon 1e-7 (Duchi, Hazan, Singer 2011)."""

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, lr=1e-3, initial_accumulator_value=0.1, eps=1e-7)

    def step(self, closure: Any = None) -> Any:
        _decay(self.param_groups)
        return super().step(closure)


@torch.no_grad()
def _decay(groups: Iterable[dict[str, Any]]) -> None:
    for group in groups:
        if group["decoupled_decay"]:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["decoupled_decay"])


_METHODS: dict[str, Callable[[list[dict[str, Any]]], Optimizer]] = {
    "muon": Muon,
    "sgd": SGD,
    "adamw": _AdamW,
    "adam": _Adam,
    "adagrad": _Adagrad,
}


# --- Schedules ------------------------------------------------------------------------------------


def triangular(step: int, steps: float) -> float:
    """Up from 0.2 to 1 over the first 23 % of the steps, then down to 0.07 at the last one
    (arXiv:2404.00498)."""
    _check(step, steps)
    peak, last = 0.23 * steps, steps
    if step < peak:
        return 0.2 + 0.8 * step / peak
    return 1.0 - 0.93 * (step - peak) / (last - peak)


def linear(step: int, steps: float) -> float:
    """From 1 at the first step straight down to 0 after the last."""
    _check(step, steps)
    return 1.0 - step / steps


def cosine(step: int, steps: float) -> float:
    """A straight warm-up over the first 5 % of the steps, then half a cosine from 1 to 0
    (arXiv:1608.03983)."""
    _check(step, steps)
    warm = max(1, round(0.05 * steps)) if steps > 1 else 0
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def constant(step: int, steps: float) -> float:
    """1 at every step."""
    _check(step, steps)
    return 1.0


def inverse_time(step: int, steps: float) -> float:
    """1 / (1 + step / 100,000): what Keras' Adagrad(rate, decay=rate / 100) does at its usual rate of 0.001."""
    _check(step, steps)
    return 1.0 / (1.0 + 1e-5 * step)


def _check(step: int, steps: float) -> None:
    if not 0 <= step <= steps or steps < 1:
        raise ValueError(f"a schedule is asked for steps 0 to {steps}, not for step {step}")


_SCHEDULES: dict[str, Schedule] = {
    "constant": constant, "cosine": cosine, "inverse_time": inverse_time, "linear": linear,
    "triangular": triangular,
}  # fmt: skip


def schedule(name: str) -> Schedule:
    """The schedule of that name: a pure function (step, steps) -> factor of the base rate, step from 0.

    Raises ValueError for a name that does not exist.
    """
    if name not in _SCHEDULES:
        raise ValueError(f"there is no schedule '{name}'; there are {', '.join(sorted(_SCHEDULES))}")
    return _SCHEDULES[name]


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
