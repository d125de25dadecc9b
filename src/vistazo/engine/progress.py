"""What a person sees while a run works: live on a terminal, one line an epoch elsewhere.

Everything goes to standard error, so that standard output holds results alone. The time left is what the steps
measured in this process say, and nothing is said before there are enough of them.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from vistazo.engine.reports import number
from vistazo.language import tr

__all__ = ["Progress", "duration"]

REDRAW = 0.2  # seconds between two drawings of the live line
ENOUGH = 1.0  # seconds of steps before an estimate is honest


class Progress:
    """Tells how a run gets on. `quiet` tells nothing."""

    def __init__(self, *, quiet: bool, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self.stream = stream or sys.stderr
        self.live = not quiet and self.stream.isatty()
        self._planned = self._steps = self._before = self._here = 0
        self._began = self._epoch_began = time.monotonic()
        self._drawn = 0.0
        self._stepping = 0.0  # seconds spent in steps here, validation left out
        self._last = self._began
        self._between = 0.0  # seconds an epoch's end takes
        self._width = 0

    def say(self, text: str) -> None:
        """One line, at once."""
        if not self.quiet:
            self._clear()
            print(text, file=self.stream, flush=True)

    def begin(self, *, planned: int, steps: int, done: int) -> None:
        """Training begins: so many steps in all, so many an epoch, of which `done` steps were done before."""
        self._planned, self._steps, self._before, self._here = planned, steps, done, 0
        self._began = self._epoch_began = self._last = time.monotonic()
        self._stepping = 0.0

    def replan(self, planned: int) -> None:
        """The number of steps in all has changed."""
        self._planned = planned

    @property
    def _epochs(self) -> int:
        return -(-self._planned // max(1, self._steps))

    def stepped(self) -> None:
        """A step was done."""
        now = time.monotonic()
        self._stepping += now - self._last
        self._last = now
        self._here += 1
        if self.live and now - self._drawn >= REDRAW:
            self._drawn = now
            self._draw()

    def epoch_seconds(self) -> float:
        """Seconds of the epoch that just ended."""
        return self._last - self._epoch_began if self._last > self._epoch_began else 0.0

    def epoch_ended(self, epoch: Mapping[str, Any]) -> None:
        """An epoch was trained and measured."""
        now = time.monotonic()
        self._between = now - self._last
        figures = [tr("train loss {value}", value=number(epoch["train"]["loss"], 4))]
        for name, value in epoch.get("validation", {}).items():
            metric = tr(name.replace("_", " "))
            figures.append(tr("validation {metric} {value}", metric=metric, value=number(value, 4)))
        self.say(
            tr(
                "epoch {epoch}/{epochs} · {figures} · {seconds}",
                epoch=epoch["epoch"],
                epochs=self._epochs,
                figures=" · ".join(figures),
                seconds=duration(now - self._epoch_began),
            )
        )
        self._epoch_began = self._last = now

    def seconds_left(self) -> float | None:
        """An estimate from the steps of this process, epochs' ends included; None before there are enough."""
        if self._stepping < ENOUGH or not self._here:
            return None
        steps = self._planned - self._before - self._here
        ends = steps // max(1, self._steps) + 1
        return steps * self._stepping / self._here + ends * self._between

    def _draw(self) -> None:
        done = self._before + self._here
        left = self.seconds_left()
        text = tr(
            "epoch {epoch}/{epochs} · step {step}/{steps} · {left}",
            epoch=min(self._epochs, done // max(1, self._steps) + 1),
            epochs=self._epochs,
            step=done % max(1, self._steps),
            steps=self._steps,
            left=tr("measuring the speed") if left is None else tr("about {time} left", time=duration(left)),
        )
        self._clear()
        print(text, end="\r", file=self.stream, flush=True)
        self._width = len(text)

    def _clear(self) -> None:
        if self._width:
            print(" " * self._width, end="\r", file=self.stream, flush=True)
            self._width = 0


def duration(seconds: float) -> str:
    """'4.2 s', '3 min 05 s', '2 h 10 min'."""
    if seconds < 59.95:  # what is told as 60.0 s is a minute
        return f"{number(float(seconds), 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
