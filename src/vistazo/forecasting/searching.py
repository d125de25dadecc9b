"""How a search trains forecasters: the series are read once, and every trial learns from them.

A trial trains the networks of all moments, as `train` does, and is judged by those of the validation moments, none of
which has seen the steps it forecasts. No trial is measured on the test part: only the winner is, once, at the end.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vistazo.engine import device as devices
from vistazo.engine import search_winner
from vistazo.engine.fitting import Fitted, Pause
from vistazo.engine.progress import Progress
from vistazo.engine.runs import Run
from vistazo.engine.search import Space
from vistazo.engine.search_spaces import corners, with_values
from vistazo.errors import ConfigError, TooFewExamples, UsageError
from vistazo.forecasting import data as series_data
from vistazo.forecasting import task
from vistazo.forecasting.config import ForecastingConfig
from vistazo.forecasting.windows import moments_of
from vistazo.language import tr

__all__ = ["Bench", "opened"]

_QUIET = Progress(quiet=True)
_LENGTHEN = ("model", "batch", "window")  # settings that a recipe's epochs may hang on


@contextmanager
def opened(run: Run, source: Any, config: ForecastingConfig, progress: Progress) -> Iterator["Bench"]:
    """The series of a search, read once. Raises what `train` raises for them; ConfigError without validation."""
    with devices.without_compiler():
        yield Bench(run, source, config, progress)


class Bench:
    """What a search trains on. `config`: the settings as given, which are trial 0."""

    metric, lower_is_better, keeps = "mae", True, "last"
    examples = None  # an error is no share of examples

    def __init__(self, run: Run, source: Any, config: ForecastingConfig, progress: Progress) -> None:
        self._run, self.config, self._progress = run, config, progress
        with run.alone():  # what is frozen here holds for every process
            self._found = task.read(run, source, config, progress)
        run.has_read()
        if not self._judged(config.window):
            raise ConfigError(
                tr(
                    "A search needs moments of the past to validate on, and this series is too short for one: give "
                    "more history, or a smaller --window or --horizon."
                )
            )
        self.most = task.decide(config, self._found.panel).epochs

    def lengths(self, spaces: Mapping[str, Space]) -> tuple[int, int]:
        """The least and most epochs that a whole trial has, each by the recipe of its network.

        Raises ConfigError where windows of the space could not be judged by the same steps.
        """
        self._require_same_steps(spaces)
        found = {self.most}
        for values in corners(spaces, _LENGTHEN):
            try:
                found.add(task.decide(with_values(self.config, values, {}), self._found.panel).epochs)
            except UsageError:
                continue  # what does not go together is told when a trial has it
        self.most = max(found)
        return min(found), self.most

    def _require_same_steps(self, spaces: Mapping[str, Space]) -> None:
        """A longer window needs more past: it must not cost a series or a step that trials are judged by."""
        own = self._judged(self.config.window)
        for values in corners(spaces, ("window",)):
            window = int(values["window"])
            if self._judged(window) != own:
                raise ConfigError(
                    tr(
                        "--search window: windows of {window} and of {own} steps leave different steps to validate on, "
                        "so trials could not be compared. Search windows nearer to {own}, or give "
                        "more history.",
                        window=window,
                        own=self.config.window,
                    )
                )

    def _judged(self, window: int) -> list[tuple[int, int, bytes]]:
        """The moments of validation and the steps they are judged by, with such a window; [] where there is none."""
        panel, horizon = self._found.panel, self.config.horizon
        if len(np.flatnonzero(np.diff(panel.starts) < window)):
            return []  # it would leave a series out
        try:
            moments = moments_of(panel, window=window, horizon=horizon, test=self.config.test,
                                 count=self.config.origins)  # fmt: skip
        except TooFewExamples:
            return []
        origins = series_data.origins(panel, window=window, horizon=horizon)
        found = []
        for moment in moments:
            steps = origins[moment.measures(panel, origins, horizon)]
            if moment.name == "validation" and len(steps):
                found.append((moment.cut, moment.end, steps.tobytes()))
        return found

    def train(self, trial: Run, config: ForecastingConfig, pause: Pause) -> Fitted:
        """One trial, or the next part of it; see `Bench` of the engine."""
        return task.learn(trial, config, self._found, _QUIET, pause).fitted

    def finish(
        self, trial: Path, config: ForecastingConfig, epochs: int, kept_epochs: int, *, together: bool
    ) -> Path:
        """The winner as a whole run in the search's folder, measured on the test part; its folder.

        trial: the winner's folder. epochs: that it was trained for, the last of which it keeps. together: makes no
        difference, and that is said: the networks that are kept have learnt from every value.
        """
        if together:
            self._progress.say(
                tr("the model of a series has learnt from every value, with or without --final")
            )
        frozen = {"data": self._run.config["data"]}

        def conclude(best: Run) -> None:
            search_winner.take_over(trial, best)
            task.write_index(best, self._found.panel)
            best.has_read()
            learnt = task.learn(best, config, self._found, _QUIET, lambda history: len(history) >= epochs)
            task.conclude(best, config, learnt, _QUIET)

        return search_winner.as_run(
            self._run, "forecasting", config, together=together, conclude=conclude, frozen=frozen
        )
