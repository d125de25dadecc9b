"""The arithmetic of each optimiser: from gradients to the next weights.

Every class takes groups with `lr`, `decoupled_decay` and, where the method has one, `momentum`; decay is applied before
the step and by the rate in force, so that one rule holds for all (arXiv:1711.05101). All state is tensors and plain
numbers, so a checkpoint restores it to the bit.

The conventions: Adam and Adagrad step as Keras' do, because tutorials use them; AdamW, Nadam and RMSprop as torch's.
None of them imports torch's compiler, as torch's own do at their first step: 1.1 s of a run that takes six.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vistazo.engine.regularizers import weight_decay

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Momentum",
    "Muon",
    "Nadam",
    "RMSprop",
    "orthogonalise",
]


class _Elementwise(Optimizer):
    """A method whose step for a weight rests on that weight's own gradients."""

    usual: ClassVar[dict[str, Any]] = {}

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, {"decoupled_decay": 0.0, **self.usual})

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
                if parameter.grad is not None:
                    self._move(group, parameter, parameter.grad, self.state[parameter])
        return loss

    def _move(
        self, group: dict[str, Any], parameter: nn.Parameter, gradient: Tensor, state: dict[str, Any]
    ) -> None:
        raise NotImplementedError


class SGD(_Elementwise):
    """Nesterov momentum, plain descent at momentum 0 (Sutskever et al. 2013). As torch.optim.SGD(nesterov=True)."""

    usual: ClassVar[dict[str, Any]] = {"lr": 0.1, "momentum": 0.85}

    def _move(
        self, group: dict[str, Any], parameter: nn.Parameter, gradient: Tensor, state: dict[str, Any]
    ) -> None:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        parameter.add_(gradient.add(buffer, alpha=group["momentum"]), alpha=-group["lr"])


class Momentum(_Elementwise):
    """The heavy ball: v <- m v + g, w <- w - lr v (Polyak 1964). As torch.optim.SGD(momentum=m)."""

    usual: ClassVar[dict[str, Any]] = {"lr": 0.01, "momentum": 0.9}

    def _move(
        self, group: dict[str, Any], parameter: nn.Parameter, gradient: Tensor, state: dict[str, Any]
    ) -> None:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        parameter.add_(buffer, alpha=-group["lr"])


class RMSprop(_Elementwise):
    """Steps divided by the root of a running mean of squares (Hinton 2012, lecture 6e).

    As torch.optim.RMSprop(alpha=0.9, eps=1e-7): epsilon is added to the root; Keras adds it below the root.
    """

    usual: ClassVar[dict[str, Any]] = {"lr": 1e-3}

    def _move(
        self, group: dict[str, Any], parameter: nn.Parameter, gradient: Tensor, state: dict[str, Any]
    ) -> None:
        if "squares" not in state:
            state["squares"] = torch.zeros_like(parameter)
        squares = state["squares"].mul_(0.9).addcmul_(gradient, gradient, value=0.1)
        parameter.addcdiv_(gradient, squares.sqrt().add_(1e-7), value=-group["lr"])


class Nadam(_Elementwise):
    """Adam that looks ahead as Nesterov does (Dozat 2016), with its growing momentum. As torch.optim.NAdam.

    beta 1 is the group's momentum, beta 2 is 0.999, epsilon 1e-8, the momentum's decay 0.004.
    """

    usual: ClassVar[dict[str, Any]] = {"lr": 2e-3, "momentum": 0.9}

    def _move(
        self, group: dict[str, Any], parameter: nn.Parameter, gradient: Tensor, state: dict[str, Any]
    ) -> None:
        if "step" not in state:
            zeros = torch.zeros_like(parameter), torch.zeros_like(parameter)
            state.update(step=0, product=1.0, mean=zeros[0], squares=zeros[1])
        first, second = group["momentum"], 0.999
        state["step"] += 1
        now, after = (first * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (state["step"], state["step"] + 1))
        state["product"] *= now
        mean = state["mean"].lerp_(gradient, 1 - first)
        squares = state["squares"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (squares / (1 - second ** state["step"])).sqrt_().add_(1e-8)
        parameter.addcdiv_(gradient, root, value=-group["lr"] * (1 - now) / (1 - state["product"]))
        parameter.addcdiv_(mean, root, value=-group["lr"] * after / (1 - state["product"] * after))


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
    needs no weight decay. Without, the step of a matrix that is taller than wide is √(rows / columns) as large, as
    published.
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
            matrix = update.reshape(len(parameter), -1)
            matrix = matrix if matrix.dtype == torch.float64 else matrix.float()
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
                taller = 1.0 if group["normalise"] else math.sqrt(max(1.0, update.shape[0] / update.shape[1]))
                parameter.add_(update.view(parameter.shape), alpha=-group["lr"] * taller)


class AdamW(torch.optim.AdamW):
    """AdamW whose decay comes from the group, so that one rule holds for every method."""

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, lr=1e-3, weight_decay=0.0)

    def step(self, closure: Any = None) -> Any:
        _decay(self.param_groups)
        return _eager(torch.optim.AdamW.step)(self, closure)


class Adam(torch.optim.Adam):
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
        return _eager(torch.optim.Adam.step)(self, closure)


class Adagrad(torch.optim.Adagrad):
    """Adagrad as Keras has it: sums of squares begin at 0.1, epsilon 1e-7 (Duchi, Hazan, Singer 2011)."""

    def __init__(self, params: Iterable[Any]) -> None:
        super().__init__(params, lr=1e-3, initial_accumulator_value=0.1, eps=1e-7)

    def step(self, closure: Any = None) -> Any:
        _decay(self.param_groups)
        return _eager(torch.optim.Adagrad.step)(self, closure)


def _eager(step: Callable[..., Any]) -> Callable[..., Any]:
    """torch's step without the wrapper that imports torch's compiler, which eager training never uses."""
    bare: Callable[..., Any] = torch.no_grad()(inspect.unwrap(step))
    return bare


def _decay(groups: Iterable[dict[str, Any]]) -> None:
    for group in groups:
        if group["decoupled_decay"]:
            moved = [one for one in group["params"] if one.grad is not None]
            weight_decay(moved, group["lr"], group["decoupled_decay"])
