"""A search as it is told: what was tried, what it gave, which trial won. Free of torch and of Optuna.

A search (`vistazo tune`) draws trials from a space, trains the promising ones for longer, and keeps the best. What is
known of it is a `Study` of `Trial` records; the terminal, trials.csv and the page of the search are made from it.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "DONE",
    "FAILED",
    "RECIPE",
    "RUNNING",
    "SAMPLED",
    "STOPPED",
    "WAITING",
    "Space",
    "Study",
    "Trial",
    "Value",
]

Value = int | float | str

DONE, STOPPED, FAILED, RUNNING, WAITING = "done", "stopped", "failed", "running", "waiting"
RECIPE, SAMPLED = "recipe", "sampled"


@dataclass(frozen=True)
class Space:
    """The values one name may take.

    kind: "float" and "int" lie in [low, high], ends included; "choice" is one of `choices`. log: drawn evenly on the
    scale of the logarithm. step: of a grid that begins at low; None for none (whole numbers: 1).
    """

    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One set of values, and what training with them gave.

    number: from 0. values: name -> what was tried; those of the recipe itself are in it where they are known.
    state: "done" (trained to the full length), "stopped" (others were better), "failed", "running" (a process trains it
    or died doing so), "waiting" (paused at a rung, or not begun). curve: the validation figure after each epoch that it
    was trained, None where that epoch gave none. epochs: trained, each once. seconds: of its training, all sittings
    together. figure: what it is judged by, the best of its curve, or the last where the last epoch's weights are kept;
    None before the first epoch. origin: "recipe" (the
    settings as given, always trial 0) or "sampled". reason: why it failed or was stopped, in the user's language.
    """

    number: int
    values: dict[str, Value]
    state: str
    curve: tuple[float | None, ...]
    epochs: int
    seconds: float
    figure: float | None
    origin: str
    reason: str = ""


@dataclass(frozen=True)
class Study:
    """A whole search.

    metric: of the validation part, such as "accuracy". space: name -> Space. sampler: "tpe" or "random". pruner:
    "asha", "hyperband", "median" or "none". most_epochs: that a trial may be trained for. factor: one in so many goes
    on. seconds: by the clock, in which at least one process worked on it; two at once for a minute are one minute.
    epochs: of all trials together. best: number of the trial that leads, None while no trial has a figure.
    """

    metric: str
    lower_is_better: bool
    space: dict[str, Space]
    trials: tuple[Trial, ...]
    sampler: str
    pruner: str
    most_epochs: int
    factor: int
    seconds: float
    epochs: int
    best: int | None
