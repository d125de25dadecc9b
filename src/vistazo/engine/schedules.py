"""Learning-rate schedules: the factor that the rates of all groups are multiplied by, step after step.

All but one are pure functions of (step, steps), so a resumed run needs to know nothing but where it stands. `Plateau`
looks at the validation loss; what it has seen is in the checkpoint.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vistazo.language import mark
from vistazo.registry import About, Registry

__all__ = [
    "Plateau",
    "Schedule",
    "constant",
    "cosine",
    "inverse_time",
    "linear",
    "one_cycle",
    "schedule",
    "schedules",
    "step",
    "triangular",
]

# (step, steps): after a change of plan `steps` is what fits the progress
Schedule = Callable[[int, float], float]

schedules: "Registry[Schedule | type[Plateau]]" = Registry(mark("schedule"))


def schedule(name: str) -> Schedule:
    """The schedule of that name: (step, steps) -> factor of the base rate, step from 0. `Plateau` is made anew.

    Raises ValueError for a name that does not exist.
    """
    if name not in schedules:
        raise ValueError(f"there is no schedule '{name}'; there are {', '.join(sorted(schedules))}")
    found = schedules[name]
    return found() if isinstance(found, type) else found


@schedules.register(
    "constant",
    About(
        mark("constant rate"),
        "f = 1",
        mark(
            "To compare methods, and for Adam in short trainings; most others end better with a falling rate."
        ),
        "Robbins, Monro 1951",
    ),
)
def constant(step: int, steps: float) -> float:
    """1 at every step."""
    _check(step, steps)
    return 1.0


@schedules.register(
    "step",
    About(
        mark("falling by steps"),
        "f = 1; 0.1 from t = 1/2; 0.01 from t = 3/4",
        mark("Long trainings with momentum: the figures jump at each fall. t is the share of training done."),
        "He et al. 2016, arXiv:1512.03385, section 4.2",
    ),
)
def step(step: int, steps: float) -> float:
    """1 over the first half of the steps, a tenth over the next quarter, a hundredth over the last
    (arXiv:1512.03385)."""
    _check(step, steps)
    if 2 * step < steps:
        return 1.0
    return 0.1 if 4 * step < 3 * steps else 0.01


@schedules.register(
    "cosine",
    About(
        mark("half a cosine"),
        "f = (1 + cos(pi t)) / 2 after a warm-up over the first 20th",
        mark("A safe choice for any length, and for fine-tuning a pretrained network."),
        "Loshchilov, Hutter 2017, arXiv:1608.03983",
    ),
)
def cosine(step: int, steps: float) -> float:
    """A straight warm-up over the first 5 % of the steps, then half a cosine from 1 to 0
    (arXiv:1608.03983)."""
    _check(step, steps)
    warm = max(1, round(0.05 * steps)) if steps > 1 else 0
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@schedules.register(
    "triangular",
    About(
        mark("triangle"),
        "f from 0.2 up to 1 at t = 0.23, then down to 0.07",
        mark("Short trainings with high rates, as the fast network's."),
        "Jordan 2024, arXiv:2404.00498; Smith 2017, arXiv:1506.01186",
    ),
)
def triangular(step: int, steps: float) -> float:
    """Up from 0.2 to 1 over the first 23 % of the steps, then down to 0.07 at the last one
    (arXiv:2404.00498)."""
    _check(step, steps)
    peak, last = 0.23 * steps, steps
    if step < peak:
        return 0.2 + 0.8 * step / peak
    return 1.0 - 0.93 * (step - peak) / (last - peak)


@schedules.register(
    "one_cycle",
    About(
        mark("one cycle"),
        "f from 1/25 up to 1 at t = 0.3, then down to 1/250000, both as half cosines",
        mark("High rates in short trainings, with the rate that a range test suggests as the highest."),
        "Smith 2018, arXiv:1803.09820; Smith, Topin 2017, arXiv:1708.07120",
    ),
)
def one_cycle(step: int, steps: float) -> float:
    """From 1/25 up to 1 over the first 30 % of the steps, then down to 1/250,000, along half cosines.

    The arithmetic of torch.optim.lr_scheduler.OneCycleLR with its defaults; the momentum stays as it is.
    Source: Smith 2018, arXiv:1803.09820; the half cosines are fast.ai's.
    """
    _check(step, steps)
    peak, last = 0.3 * steps - 1, max(steps - 1, 1.0)
    if step < peak:
        return _between(1 / 25, 1.0, step / peak)
    peak = max(peak, 0.0)
    return _between(1.0, 1 / 25e4, min(1.0, (step - peak) / (last - peak)))


def _between(start: float, end: float, share: float) -> float:
    """Along half a cosine from `start` to `end`."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


@schedules.register(
    "linear",
    About(
        mark("straight line"),
        "f = 1 - t",
        mark("A falling rate without anything to choose; much the same as half a cosine."),
        "Defazio et al. 2023, arXiv:2310.07831",
    ),
)
def linear(step: int, steps: float) -> float:
    """From 1 at the first step straight down to 0 after the last."""
    _check(step, steps)
    return 1.0 - step / steps


@schedules.register(
    "inverse_time",
    About(
        mark("inverse of time"),
        "f = 1 / (1 + step / 100000)",
        mark("To repeat what Keras' decay did; it hardly falls within a few thousand steps."),
        "Keras' legacy optimisers, decay = rate / 100 at rate 0.001",
    ),
)
def inverse_time(step: int, steps: float) -> float:
    """1 / (1 + step / 100,000): what Keras' Adagrad(rate, decay=rate / 100) does at its usual rate of 0.001."""
    _check(step, steps)
    return 1.0 / (1.0 + 1e-5 * step)


@schedules.register(
    "plateau",
    About(
        mark("lowered on a plateau"),
        "f halves when the validation loss has not fallen by 0.01 % for 3 epochs",
        mark(
            "Trainings of many epochs whose length nobody knows, together with early stopping. Needs validation."
        ),
        "torch.optim.lr_scheduler.ReduceLROnPlateau",
    ),
)
@dataclass
class Plateau:
    """Lowers the factor when the validation loss no longer falls.

    The arithmetic of torch.optim.lr_scheduler.ReduceLROnPlateau (threshold 1e-4, relative), asked once an epoch.
    by: what the factor is then multiplied by. patience: epochs without improvement that are borne; the next one
    lowers. least: the factor never gets below it.
    """

    by: float = 0.5
    patience: int = 2
    least: float = 1e-4
    threshold: float = 1e-4
    factor: float = 1.0
    best: float = math.inf
    waited: int = 0

    def __call__(self, step: int, steps: float) -> float:
        """The factor as it stands; the step says nothing."""
        _check(step, steps)
        return self.factor

    def see(self, loss: float) -> None:
        """Tell the validation loss at the end of an epoch. One that is no number is no improvement."""
        if loss < self.best * (1 - self.threshold):
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            self.factor, self.waited = max(self.factor * self.by, self.least), 0

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers; None for a best loss that there is not yet."""
        best = self.best if math.isfinite(self.best) else None
        return {"factor": self.factor, "best": best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the saved one would have."""
        self.factor, self.waited = float(state["factor"]), int(state["waited"])
        self.best = math.inf if state["best"] is None else float(state["best"])


def _check(step: int, steps: float) -> None:
    if not 0 <= step <= steps or steps < 1:
        raise ValueError(f"a schedule is asked for steps 0 to {steps}, not for step {step}")
