"""The winner of a search becomes a run of its own: what it has learnt is taken over, and it is measured once."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vistazo.config import Config
from vistazo.engine import working
from vistazo.engine.runs import Run

__all__ = ["as_run", "take_over"]


def as_run(
    search: Run,
    task: str,
    config: Config,
    *,
    together: bool,
    conclude: Callable[[Run], None],
    frozen: Mapping[str, Any] | None = None,
) -> Path:
    """The folder best/ of a search, a whole run; whoever is killed on the way goes on with the one that is there.

    together: whether it learns from the validation part too. conclude: trains, measures and keeps in the run it is
    given. frozen: decisions it shares with the search.
    """
    return working.train_inside(
        search,
        "best",
        settings=config.model_dump(mode="json"),
        identity={"task": task, "together": together, **config.identity()},
        train=conclude,
        frozen=frozen,
    )


def take_over(trial: Path, best: Run) -> None:
    """Copy a trial's history and checkpoints, so that the run goes on where the trial stands.

    Without one it is trained anew, to the same bits: a kill between an epoch and its checkpoint.
    """
    if best.checkpoints.exists() or not (trial / "checkpoints").exists():
        return
    for name in ("history.jsonl", "times.jsonl"):
        if (trial / name).exists():
            shutil.copyfile(trial / name, best.folder / name)
    aside = best.folder / "checkpoints.part"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(trial / "checkpoints", aside)
    aside.rename(best.checkpoints)  # whole or not at all
