"""What a run on few pictures would gain from folds, and how long they would take."""

import shlex

from vistazo.classification.config import ClassificationConfig
from vistazo.classification.data import Data
from vistazo.engine.progress import duration
from vistazo.engine.reports import number
from vistazo.engine.runs import Run
from vistazo.language import tr
from vistazo.pictures import folds

__all__ = ["proposal"]

FEW = 1000  # pictures: a tenth of them tells little
FOLDS = 5


def proposal(run: Run, config: ClassificationConfig, data: Data) -> str:
    """A sentence that proposes folds; '' where there are pictures enough or the run is one of several already.

    With a test part of the source's own the figure is the one to report, and nothing is proposed either.
    """
    inside = int((data.index.split != "out").sum())
    if run.outer is not None or config.fold or data.official or inside >= FEW:
        return ""
    count = min(FOLDS, folds.most_folds(data.index))
    if count < 2:
        return ""
    # One fold more than they are, for the run on all pictures; they are read once, like here.
    each = run.spent() - run.reading
    values = {
        "folds": count,
        "time": duration(run.reading + (count + 1) * each),
        "n": number(inside),
    }
    if run.config.get("source") is None:
        return tr(
            "{folds} folds would take about {time} and measure on all {n} pictures: folds={folds}", **values
        )
    return tr(
        "{folds} folds would take about {time} and measure on all {n} pictures: "
        "vistazo train {source} --folds {folds}",
        source=shlex.quote(run.config["source"]),
        **values,
    )
