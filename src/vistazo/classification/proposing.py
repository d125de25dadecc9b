"""What a run on few pictures would gain from folds, and how long they would take."""

import shlex

from vistazo.classification.config import ClassificationConfig
from vistazo.classification.data import Data
from vistazo.config import flag_of
from vistazo.engine import pacing
from vistazo.engine.progress import duration
from vistazo.engine.reports import number
from vistazo.engine.runs import Run, read_json
from vistazo.language import current, tr
from vistazo.pictures import folds
from vistazo.pictures.index import CROPS

__all__ = ["proposal"]

FEW = 1000  # pictures: a tenth of them tells little
FOLDS = 5


def proposal(run: Run, config: ClassificationConfig, data: Data) -> str:
    """A sentence that proposes folds; '' where there are pictures enough or the run is one of several already.

    With a test part of the source's own the figure is the one to report, and nothing is proposed either; nor where the
    run began with a model that may know the pictures which folds would test.
    """
    inside = int((data.index.split != "out").sum())
    if run.outer is not None or config.fold or config.start or data.official or inside >= FEW:
        return ""
    count = min(FOLDS, folds.most_folds(data.index))
    if count < 2:
        return ""
    # One fold more than they are, for the run on all pictures; they are read once, like here.
    runs = count + 1
    each = run.spent() - run.reading - _beside(run)
    whole = runs * pacing.seconds(config.time) if config.time else run.reading + runs * each
    values = {"folds": count, "time": duration(whole), "n": number(inside)}
    if run.config.get("source") is None:
        return tr(
            "{folds} folds would take about {time} and measure on all {n} pictures: folds={folds}", **values
        )
    words = [shlex.quote(run.config["source"]), *_settings(run, data), _option("folds"), str(count)]
    if config.time:
        words += [_option("time"), f"{round(whole)}s"]
    return tr(
        "{folds} folds would take about {time} and measure on all {n} pictures: vistazo train {words}",
        words=" ".join(words),
        **values,
    )


def _settings(run: Run, data: Data) -> list[str]:
    """The words that repeat this run's settings; none where all of them are the defaults."""
    plain, asked = ClassificationConfig().model_dump(mode="json"), run.config["settings"]
    found = []
    if data.index.kind == CROPS:
        found += ["--tarea" if current() == "es" else "--task", "classification"]
    if asked != plain:
        found += [
            "--configuracion" if current() == "es" else "--config",
            shlex.quote(str(run.folder / "config.json")),
        ]
    if asked.get("beside") == "on":
        found += [_option("beside"), "off"]
    return found


def _option(name: str) -> str:
    return "--" + flag_of(ClassificationConfig, name)


def _beside(run: Run) -> float:
    """Seconds that went into runs inside this one, such as the comparison with another recipe."""
    return sum(float(read_json(path).get("seconds") or 0) for path in run.folder.glob("*/status.json"))
