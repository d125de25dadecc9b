"""How many steps a training has, and how it keeps to a time where it was given one.

A plan of whole epochs never changes. A plan with a budget of seconds is made from a trial of a few steps; machines are
shared, so the clock may prove it wrong. Then the number of steps still to come is changed, and the schedule goes on
from where it stood to its end over those steps.

Every change is written down, so that nothing but the steps is needed to do the training again to the bit: a resumed
run makes those it had made after its checkpoint once more, and a reproduction makes all of them and has no clock.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Pace", "seconds"]

LATE = 0.985  # share of the budget a training may be expected to end at
EARLY = 0.86  # expected to end before this share, it goes on for longer
AIM = 0.94  # share of the budget a changed plan ends at
SETTLED = 0.95  # from this progress on the end is near, and nothing is made longer
LOOKS = 50  # looks at the clock over a training

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


def seconds(text: str) -> float:
    """'90s', '5m', '5min', '1h', '90': seconds. Raises ValueError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|min|h)?", text)
    if not found:
        raise ValueError(f"a time is written as in 90s, 5m or 1h, not '{text}'")
    return float(found[1]) * _UNITS[found[2] or ""]


class Pace:
    """The steps of a training: how many are planned, how far along it is.

    planned: steps, at least 1. seconds: what training may take, None for as long as it needs. most: steps that are
    never exceeded however much time is left. changes: [step, steps planned from there on], those made so far.
    """

    def __init__(self, planned: int, seconds: float | None = None, most: int | None = None) -> None:
        if planned < 1:
            raise ValueError(f"a training has at least one step, not {planned}")
        self.planned, self.seconds, self.most = planned, seconds, most
        self.spent = 0.0  # seconds of training so far, over all its processes
        self._step = 0  # steps done
        self._anchor = (0, 0.0)  # a step and the progress it stood at when the plan was last changed
        self._looked = (0, 0.0)  # step and seconds of the last look at the clock
        self._rate = 0.0  # seconds a step, the recent ones counting most
        self.changes: list[list[int]] = []
        self._written: dict[int, int] = {}  # changes made before, by their step

    def follow(self, changes: Iterable[Sequence[int]], *, to_the_end: bool) -> None:
        """Make these changes again, each at its step, and no other before the last of them.

        to_the_end: nor after it.
        """
        self.changes = [[int(step), int(planned)] for step, planned in changes]
        self._written = {step: planned for step, planned in self.changes}  # noqa: C416 - lists are no pairs
        if to_the_end:
            self.seconds = None

    def at(self, step: int) -> tuple[int, float]:
        """(step, steps) whose ratio is the progress at `step`: what schedules ask for."""
        begun, progress = self._anchor
        if not begun:
            return step, self.planned
        progress += (1 - progress) * (step - begun) / max(1, self.planned - begun)
        return step, max(float(step), step / progress)

    def passed(self, step: int, seconds: float) -> bool:
        """Tell that `step` steps are done and `seconds` more have passed; whether the plan was changed."""
        self.spent += seconds
        self._step = step
        if step <= max(self._written, default=0):
            self._looked = (step, self.spent)
            return step in self._written and self._change(step, self._written[step])
        if self.seconds is None or step >= self.planned:
            return False
        seen, when = self._looked
        if step - seen < max(1, self.planned // LOOKS) and self.spent - when < self.seconds / LOOKS:
            return False
        latest = (self.spent - when) / (step - seen)
        self._rate = latest if not self._rate else 0.5 * (self._rate + latest)
        self._looked = (step, self.spent)
        return self._adapt(step, self.seconds)

    def _adapt(self, step: int, seconds: float) -> bool:
        end = self.spent + (self.planned - step) * self._rate
        early = end < EARLY * seconds and step < SETTLED * self.planned
        if end <= LATE * seconds and not early:
            return False
        left = max(1, int((AIM * seconds - self.spent) / max(self._rate, 1e-9)))
        if early:
            left = min(left, (self.most or step + left) - step)
            left = max(left, self.planned - step)
        else:
            left = min(left, self.planned - step)
        if step + left == self.planned:
            return False
        self.changes.append([step, step + left])
        return self._change(step, step + left)

    def _change(self, step: int, planned: int) -> bool:
        done, steps = self.at(step)
        self._anchor, self.planned = (step, done / steps), planned
        return True

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "planned": self.planned,
            "spent": self.spent,
            "step": self._step,
            "anchor": list(self._anchor),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as the saved one would have. How fast steps are is found anew: another machine may do them now."""
        self.planned, self.spent = int(state["planned"]), float(state["spent"])
        self._anchor = (int(state["anchor"][0]), float(state["anchor"][1]))
        # From here on, and not from the last change: the seconds since then are those of all its steps.
        self._step = int(state["step"])
        self._looked = (self._step, self.spent)
