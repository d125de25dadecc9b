"""How a search trains networks on a table: it is read and divided once, and every trial learns from it.

A trial is as light as training can be: no importance, no report, no look at the test part. Only the winner is
measured, once, when the search is over.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vistazo.engine import device as devices
from vistazo.engine import search_winner
from vistazo.engine.fitting import LOWER_IS_BETTER, Fitted, Pause
from vistazo.engine.progress import Progress
from vistazo.engine.runs import Run
from vistazo.engine.search import Space
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.tables.config import TableConfig
from vistazo.tabular import task
from vistazo.tabular.config import TabularConfig
from vistazo.tabular.data import Rows
from vistazo.tabular.keeping import write_index
from vistazo.tabular.objective import MONITORS
from vistazo.tabular.task import Prepared
from vistazo.tabular.training import decide

__all__ = ["Bench", "opened"]

_QUIET = Progress(quiet=True)


@contextmanager
def opened(run: Run, source: Any, config: TabularConfig, progress: Progress) -> Iterator["Bench"]:
    """The table of a search, read once. Raises what `train` raises for it; ConfigError without validation rows."""
    with devices.without_compiler():
        yield Bench(run, source, config, progress)


class Bench:
    """What a search trains on. `config`: the settings as given, which are trial 0.

    Classes are judged by the log loss, numbers by the root mean square, or by the absolute error where training
    minimises that. Every network of tables is trained for as many epochs, so trials can be compared at rungs.
    """

    examples = None  # the verdict counts pictures that are right or wrong; these figures are no such shares

    def __init__(self, run: Run, source: Any, config: TabularConfig, progress: Progress) -> None:
        self._run, self.config = run, config
        with run.alone():  # what is frozen here holds for every process
            self._rows = task.read(run, source, config, progress)
        run.has_read()
        if not len(self._rows.rows("validation")):
            raise ConfigError(
                tr(
                    "A search needs rows to validate on, and this table leaves none: add rows, or give "
                    "--validation-share 0.2."
                )
            )
        self._prepared: dict[tuple[str, str | None], Prepared] = {}
        prepared = self._ready(config)
        decided = decide(config, prepared.encoder, prepared.loss, rows=len(self._rows.rows("train")),
                         classes=len(self._rows.classes))  # fmt: skip
        self.most, self.keeps = decided.epochs, decided.keep
        number = "mae" if MONITORS.get(decided.objective) == "mae" else "rmse"
        self.metric = "log_loss" if self._rows.classes else number
        self.lower_is_better = self.metric in LOWER_IS_BETTER

    def lengths(self, spaces: Mapping[str, Space]) -> tuple[int, int]:
        """The least and most epochs that a whole trial has: no setting changes them."""
        return self.most, self.most

    def _ready(self, config: TabularConfig) -> Prepared:
        """The rows as these settings want them; trials that scale alike share them."""
        name = (config.scaler, config.loss)
        if name not in self._prepared:
            self._prepared[name] = self._prepare(self._rows, config)
        return self._prepared[name]

    def _prepare(self, rows: Rows, config: TabularConfig) -> Prepared:
        return task.prepare(rows, config, TableConfig(**self._run.config["settled"]))

    def train(self, trial: Run, config: TabularConfig, pause: Pause) -> Fitted:
        """One trial, or the next part of it; see `Bench` of the engine."""
        return task.learn(trial, config, self._ready(config), _QUIET, pause, (self.metric,)).fitted

    def finish(
        self, trial: Path, config: TabularConfig, epochs: int, kept_epochs: int, *, together: bool
    ) -> Path:
        """The winner as a whole run in the search's folder, measured on the test part; its folder.

        trial: the winner's folder. epochs: that it was trained for. kept_epochs: whose weights it keeps. together:
        train anew on training and validation rows, for as long and by the same plan.
        """
        frozen = {name: self._run.config[name] for name in ("data", "settled")}

        def conclude(best: Run) -> None:
            rows, until = self._rows, epochs
            if together:
                parts = rows.parts.copy()
                parts[parts == "validation"] = "train"
                rows, until = replace(rows, parts=parts), kept_epochs
            else:
                search_winner.take_over(trial, best)
            write_index(rows, best.folder / "index.parquet")
            prepared = self._prepare(rows, config) if together else self._ready(config)
            best.has_read()
            learnt = task.learn(
                best, config, prepared, _QUIET, lambda history: len(history) >= until, (self.metric,)
            )
            task.conclude(best, config, learnt, _QUIET)

        return search_winner.as_run(
            self._run, "tabular", config, together=together, conclude=conclude, frozen=frozen
        )
