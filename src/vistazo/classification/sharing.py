"""`--time` for several runs: what is left of it is divided evenly among those that are still to be done."""

from collections.abc import Sequence
from typing import Any

from vistazo.classification.budget import REPORT, SHARE_OF_REPORT
from vistazo.engine import pacing
from vistazo.engine.runs import Run, read_json

__all__ = ["SHARE", "Shares"]

SHARE = "share"  # in config.json of one of several runs: see `Shares.of`
LEAST = 0.9  # of what the first run had: what it could be trained in must do for the others


class Shares:
    """What each run of a study may take.

    run: the study. time: as in the settings, None for as long as it needs. names: of the folders of its runs.
    """

    def __init__(self, run: Run, time: str | None, names: Sequence[str]) -> None:
        self._run, self._names = run, names
        self._limit = pacing.seconds(time) if time else None
        # By processes before this one, as far as the runs have told it.
        self._earlier = sum(float(self._told(name, "status").get("seconds") or 0.0) for name in names)

    def of(self, at: int) -> dict[str, Any]:
        """What the config.json of the run at that place, from 0, says of its share; nothing where there is no time.

        seconds: that it may take. of: how many runs there are. arguments: of the network that the first run chose:
        all train the same, or their figures would not be those of one thing.
        """
        if self._limit is None:
            return {}
        tail = REPORT + SHARE_OF_REPORT * self._limit
        left = self._limit - tail - self._earlier - self._run.seconds()
        first = self._told(self._names[0], "config") if at else {}
        least = LEAST * first.get(SHARE, {}).get("seconds", 0.0)
        share = {"seconds": round(max(left / (len(self._names) - at), least), 3), "of": len(self._names)}
        if "decided" in first:
            share["arguments"] = first["decided"]["arguments"]
        return {SHARE: share}

    def _told(self, name: str, file: str) -> dict[str, Any]:
        return read_json(self._run.folder / name / f"{file}.json")
