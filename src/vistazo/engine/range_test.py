"""The learning-rate range test: a few steps at rates that grow from nothing to too much (Smith 2015, arXiv:1506.01186).

The rates of all groups grow together, in the proportion the network's entry gives them. What training begins with is
put back afterwards: weights, statistics, optimisers and random numbers are those from before, to the bit.
"""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from vistazo.engine.batches import Batches, counter_seed
from vistazo.engine.fitting import Paced, Program, share_of
from vistazo.engine.optimizers import set_rates

__all__ = [
    "FEWEST",
    "STEPS",
    "RangeTest",
    "centred",
    "growing",
    "lasting",
    "range_test",
    "smooth",
    "suggest",
    "untouched",
]

STEPS = 100
FEWEST = 50
DECADES = 0.03  # on either side of the usual rate, for each step: what a rate does shows some steps later
DIVERGED = 4.0  # times the best loss, smoothed, from which on more steps only tell the same
KEPT = 0.9  # share of the mean that each step of smoothing keeps: about ten steps count
WIDTH = 2  # steps on either side that a loss is averaged with to find where it turns
BEYOND = 1.5  # times the rate where the loss turns
BEFORE = 0.4  # times the rate where it is above its beginning
SHORT = 300  # steps of a training at one rate, up to which what the test suggests is good as it is
_COUNTER = 31


@dataclass(frozen=True)
class RangeTest:
    """What the test saw. rates: of the first group, growing. losses: of the batch at each, before the step.

    usual: the rate that group would have had. suggested: what `suggest` says. ended: 'diverged' where the loss rose too
    far, 'rates' where the highest rate was reached, 'stopped' where it was asked to stop.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    usual: float
    suggested: float
    ended: str

    def to_json(self) -> dict[str, Any]:
        """Plain values; what was no number is None."""
        losses = [value if math.isfinite(value) else None for value in self.losses]
        return {**asdict(self), "rates": list(self.rates), "losses": losses}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "RangeTest":
        """What `to_json` told."""
        losses = tuple(math.nan if value is None else float(value) for value in told["losses"])
        return cls(**{**told, "rates": tuple(told["rates"]), "losses": losses})


def growing(usual: float, steps: int) -> list[float]:
    """`steps` rates in equal proportion around the usual one: 100 go from a thousandth of it to a thousand times it.

    Fewer steps have a narrower range and the same proportion, 1.15. With 30 over the whole range the fast network's
    loss turned at twice the rate that it turns at with 100.
    """
    if not usual > 0 or steps < 2:
        raise ValueError(f"a range needs a rate above 0 and two steps, not {usual} and {steps}")
    reach = DECADES * steps
    return [usual * 10 ** (reach * (2 * at / (steps - 1) - 1)) for at in range(steps)]


def range_test(
    program: Program,
    batches: Batches,
    *,
    usual: float,
    seconds: float,
    seed: int,
    steps: int = STEPS,
    accumulate: int = 1,
    clip: float = 0.0,
    constant: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> RangeTest:
    """Step at growing rates until the loss diverges, and put everything back.

    usual: the rate of the first group as the program has it. steps: at most; fewer, but not fewer than 50, where the
    first two say that so many would take more than `seconds`. accumulate, clip: as training has them
    (`Plan`). constant: the steps of the training to come, where its rate stays the same to the end, else 0.
    stop: asked before each step.
    """
    with untouched(program):
        taken = _Steps(program, batches, seed, accumulate, clip)
        began = time.monotonic()
        for _ in range(2):  # at the lowest rate: they warm up, and tell how long a step takes
            taken(1e-3)
        each = (time.monotonic() - began) / 2
        rates = growing(usual, max(FEWEST, min(steps, int(seconds / max(each, 1e-9)))))
        losses: list[float] = []
        ended = "rates"
        for rate in rates:
            if stop():
                ended = "stopped"
                break
            losses.append(taken(rate / usual))
            smoothed = smooth(losses)
            if not math.isfinite(losses[-1]) or smoothed[-1] > DIVERGED * min(smoothed):
                ended = "diverged"
                break
    told = tuple(rates[: len(losses)])
    suggested = suggest(told, losses)
    best = usual if suggested is None else lasting(suggested, usual, constant)
    return RangeTest(told, tuple(losses), usual, best, ended)


def lasting(suggested: float, usual: float, constant: int) -> float:
    """The suggestion for a training of so many steps at one rate; 0 where a schedule brings the rate down by itself.

    A rate that stays has to be lower the longer it is used, by the root of the steps: Nemirovski, Juditsky, Lan,
    Shapiro 2009, SIAM J. Optim. 19(4), section 2.2. But not lower than the usual rate, which whole trainings were tried
    with, where the test bears that one.
    """
    if constant <= SHORT:
        return suggested
    return max(suggested * math.sqrt(SHORT / constant), min(suggested, usual))


class _Steps:
    """Steps of a program at a multiple of its rates, on the batches that training begins with."""

    def __init__(self, program: Program, batches: Batches, seed: int, accumulate: int, clip: float) -> None:
        self.program, self.batches, self.seed, self.done = program, batches, seed, 0
        self.accumulate, self.clip = accumulate, clip

    def __call__(self, factor: float) -> float:
        """One step; the loss before it."""
        torch.manual_seed(counter_seed(self.seed, _COUNTER, self.done))
        batch = self.batches.draw(*divmod(self.done, self.batches.steps))
        self.done += 1
        if isinstance(self.program, Paced):
            self.program.pace(0.0)
        total = 0.0
        for k, optimizers in enumerate(self.program.optimizers):
            set_rates(optimizers, factor, progress=0.0)
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            for part in batch.parts(self.accumulate) if self.accumulate > 1 else [batch]:
                loss = self.program.step(part, k) * share_of(part, batch)
                loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
                total += float(loss.detach())
            if self.clip:
                groups = [group for one in optimizers for group in one.param_groups]
                stepped = [one for group in groups for one in group["params"]]
                torch.nn.utils.clip_grad_norm_(stepped, self.clip)
            for optimizer in optimizers:
                optimizer.step()
        return total


@contextlib.contextmanager
def untouched(program: Program) -> Iterator[None]:
    """Inside the block a program may be trained; after it, everything is as it was before, to the bit."""
    module = program.module
    kept = [(one, one.detach().clone()) for one in (*module.parameters(), *module.buffers())]
    states = [[copy.deepcopy(one.state_dict()) for one in several] for several in program.optimizers]
    training = {one: one.training for one in module.modules()}
    module.train()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        with torch.no_grad():
            for one, before in kept:
                one.copy_(before)
        for several, before_each in zip(program.optimizers, states, strict=True):
            for optimizer, state in zip(several, before_each, strict=True):
                optimizer.zero_grad(set_to_none=True)
                optimizer.load_state_dict(state)
        for part, was in training.items():
            part.training = was


def smooth(losses: Sequence[float]) -> list[float]:
    """The running mean of the losses, corrected for its beginning at nothing (as Adam's are, arXiv:1412.6980)."""
    mean, found = 0.0, []
    for at, loss in enumerate(losses, 1):
        mean = KEPT * mean + (1 - KEPT) * loss
        found.append(mean / (1 - KEPT**at))
    return found


def centred(losses: Sequence[float]) -> list[float]:
    """The mean of each loss and its two neighbours on either side, which lags behind neither way.

    What is no number, or beyond three times the first loss, counts as three times the first.
    """
    most = 3 * losses[0] if losses and math.isfinite(losses[0]) else 0.0
    kept = [min(one, most) if math.isfinite(one) else most for one in losses]
    windows = [kept[max(0, at - WIDTH) : at + WIDTH + 1] for at in range(len(kept))]
    return [sum(one) / len(one) for one in windows]


def suggest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate to train with; None where no rate made the loss fall by a fiftieth.

    1.5 times the rate at which the loss, having done half of its fall, first turns up again by a twelfth of all of it;
    but at most 0.4 times the rate at which it is then above where it began. Adam on a network without norms only
    stumbles where it turns and learns on; the fast network's loss shoots up at once.

    Its lowest point is no guide: where a test goes on through the first upset, the loss often falls further at rates
    that a training does not bear. docs/learning-rate.md has the curves that this was chosen on.
    """
    seen = centred(losses)
    if not seen or not seen[0] > 0 or not math.isfinite(seen[0]) or seen[0] - min(seen) < seen[0] / 50:
        return None
    whole, low = seen[0] - min(seen), 0
    for at, loss in enumerate(seen):
        if loss < seen[low]:
            low = at
        elif seen[0] - seen[low] >= whole / 2 and loss - seen[low] >= whole / 12:
            break
    above = [rate for rate, loss in zip(rates[low:], seen[low:], strict=True) if loss > seen[0]]
    return min(BEYOND * rates[low], BEFORE * above[0]) if above else BEYOND * rates[low]
