"""How a search trains classifiers: the pictures are read, decoded and divided once, and every trial learns from them.

A trial is as light as training can be: no report, no calibration, no look at the test part. Only the winner is
measured, once, when the search is over.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vistazo.classification import learning, task
from vistazo.classification.config import AUTO, ClassificationConfig
from vistazo.classification.correcting import kept
from vistazo.classification.data import Data, load, read, settled_recipe
from vistazo.classification.evaluating import settling
from vistazo.classification.models import create
from vistazo.classification.rate_testing import sentence
from vistazo.classification.recipes import Decided
from vistazo.classification.training import beginning, choose_compute, decide_from, normaliser_of
from vistazo.engine import device as devices
from vistazo.engine import runs, working
from vistazo.engine.device import Compute
from vistazo.engine.fitting import LOWER_IS_BETTER, Fitted, Pause
from vistazo.engine.progress import Progress
from vistazo.engine.runs import Run
from vistazo.engine.search import Space
from vistazo.engine.search_winner import take_over
from vistazo.errors import ConfigError, Stopped
from vistazo.language import tr
from vistazo.pictures.index import TRAIN, VALIDATION, write_index
from vistazo.pictures.loading import Normaliser

__all__ = ["Bench", "opened"]

COMPUTES = "computes"  # in config.json: model -> how it computes; all trials alike
RATE = "learning_rate"  # in config.json: what `--learning-rate auto` is in this search
_QUIET = Progress(quiet=True)


@contextmanager
def opened(run: Run, source: Any, config: ClassificationConfig, progress: Progress) -> Iterator["Bench"]:
    """The pictures of a search, read once. Raises what `train` raises for them; ConfigError without validation."""
    learning.require_early(config)
    with devices.without_compiler():
        yield Bench(run, source, config, progress)


class Bench:
    """What a search trains on. `config` is that of the settings as given, with the recipe that auto means here."""

    def __init__(self, run: Run, source: Any, config: ClassificationConfig, progress: Progress) -> None:
        self._run = run
        with run.alone():  # what is frozen here holds for every process
            loaded = load(source, config, progress, kept(run, config.corrections), recipe=settled_recipe(run))
            self._data = read(run, loaded, config, progress)
            self._start = beginning(run, config, self._data)
        settling.require_possible(self._data, config.unknown_error)
        if not len(self._data.rows(VALIDATION)):
            raise ConfigError(tr("A search needs pictures to validate on, and this source leaves none."))
        self.config = self._data.config
        decided = decide_from(self.config, self._data, self._start)
        self.metric, self.keeps, self.most = decided.monitor, decided.keep, decided.epochs
        self.config = self.config.model_copy(
            update={"epochs": decided.epochs}
        )  # of all trials, whatever they try
        self.lower_is_better = decided.monitor in LOWER_IS_BETTER
        self.examples = len(self._data.rows(VALIDATION))
        self._scaled: dict[str, Normaliser] = {}
        if self.config.learning_rate == AUTO:
            rate = self._found_rate(self.config, decided, progress)
            self.config = self.config.model_copy(update={"learning_rate": rate})

    def _found_rate(self, config: ClassificationConfig, decided: Decided, progress: Progress) -> str:
        """What `auto` means here: one range test, with the settings as given, holds for all trials and processes."""
        normaliser = self._normaliser(decided)
        compute = self._compute(config, decided, normaliser)
        with self._run.alone():
            if RATE not in self._run.config:
                config = config.model_copy(update={"time": self._run.config["search"]["time"]})
                asked = {name: self._run.config.get(name) for name in ("task", "source")}
                asked["settings"] = config.model_dump(mode="json")
                compute.start()
                try:
                    with runs.inside(self._run, "range-test", asked=asked, identity=config.identity()) as run:
                        found = task.range_test(
                            run, config, self._data, self._start, decided, normaliser, compute
                        )
                except Stopped:
                    raise Stopped(
                        tr(
                            "Stopped; everything is saved. Continue with: vistazo resume {folder}",
                            folder=self._run.folder,
                        )
                    ) from None
                progress.say(sentence(found))
                self._run.freeze(RATE, repr(found.suggested))
        return str(self._run.config[RATE])

    def lengths(self, spaces: Mapping[str, Space]) -> tuple[int, int]:
        """The least and most epochs that a whole trial has: all have as many as the recipe."""
        return self.most, self.most

    def train(self, trial: Run, config: ClassificationConfig, pause: Pause) -> Fitted:
        """One trial, or the next part of it; see `Bench` of the engine."""
        return self._learn(trial, config, replace(self._data, config=config), pause).fitted

    def _learn(self, run: Run, config: ClassificationConfig, data: Data, pause: Pause | None) -> task.Learnt:
        decided = decide_from(config, data, self._start)
        normaliser = self._normaliser(decided)
        compute = self._compute(config, decided, normaliser)
        if "decided" not in run.config:
            run.rewrite({**run.config, "decided": asdict(decided), "compute": asdict(compute)})
        compute.start()
        return task.learn(run, config, data, self._start, decided, normaliser, compute, _QUIET, pause)

    def _normaliser(self, decided: Decided) -> Normaliser:
        if self._start:
            return self._start.normaliser
        if decided.scaling not in self._scaled:
            self._scaled[decided.scaling] = normaliser_of(decided.scaling, self._data.part(TRAIN))
        return self._scaled[decided.scaling]

    def _compute(self, config: ClassificationConfig, decided: Decided, normaliser: Normaliser) -> Compute:
        """How trials with this network compute: tried by the first of them, the same for all, in every process."""
        known = self._run.config.get(COMPUTES, {})
        if decided.model not in known:
            with self._run.alone():
                known = self._run.config.get(COMPUTES, {})
                if decided.model not in known:
                    network = create(decided.model, decided.arguments)
                    device = devices.resolve_device(config.device)
                    chosen = choose_compute(config, decided, network, normaliser, device)
                    known = {**known, decided.model: asdict(chosen)}
                    self._run.rewrite({**self._run.config, COMPUTES: known})
        return Compute(**known[decided.model])

    def finish(
        self, trial: Path, config: ClassificationConfig, epochs: int, kept_epochs: int, *, together: bool
    ) -> Path:
        """The winner as a whole run in the search's folder, measured on the test part; its folder.

        trial: the winner's folder. epochs: that it was trained for. kept_epochs: whose weights it keeps. together:
        train anew on training and validation pictures, for as long and by the same plan.
        """
        config = config.model_copy(update={"beside": "off"})
        frozen: dict[str, Any] = {
            name: self._run.config[name] for name in ("parts", "start") if name in self._run.config
        }
        folder: Path = working.train_inside(
            self._run,
            "best",
            settings=config.model_dump(mode="json"),
            identity={"task": "classification", "together": together, **config.identity()},
            train=lambda best: self._conclude(
                best, trial, config, kept_epochs if together else epochs, together
            ),
            frozen=frozen,
        )
        return folder

    def _conclude(
        self, best: Run, trial: Path, config: ClassificationConfig, epochs: int, together: bool
    ) -> None:
        data = replace(self._data, config=config)
        best.freeze("data", self._run.config["data"])
        if together:
            split = data.index.split.copy()
            split[split == VALIDATION] = TRAIN
            data = replace(data, index=data.index.replace(split=split))
        else:
            take_over(trial, best)
        write_index(data.index, best.folder / "index.parquet")
        best.has_read()
        learnt = self._learn(best, config, data, lambda history: len(history) >= epochs)
        task.conclude(best, None, config, learnt, _QUIET)
