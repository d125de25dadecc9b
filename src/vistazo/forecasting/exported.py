"""A forecaster in an .onnx file, ready to answer through onnxruntime. Free of torch.

Files are read, steps to come found and forecasts rolled on as `Forecaster` does (both are an `Answering`); what a
window says is the graph's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vistazo.config import build
from vistazo.engine.onnx_file import OnnxFile
from vistazo.errors import BundleDamaged, UsageError
from vistazo.forecasting.answering import Answering, History
from vistazo.forecasting.config import ForecastingConfig
from vistazo.forecasting.data import Known, Panel, Roles
from vistazo.forecasting.holding import check_panel, named_ahead, require, whole
from vistazo.language import tr

__all__ = ["Exported", "open_model"]

Floats = NDArray[np.float64]
CHUNK = 4096  # windows forecast at once


@dataclass(frozen=True)
class Exported(Answering):
    """A graph with all it takes to go on with a series; see Answering.

    session: onnxruntime's. hash: SHA-256 of the .vistazo file it came from.
    """

    session: Any
    model: str
    arguments: dict[str, Any]
    history: History
    hash: str
    facts: Mapping[str, Any]
    metrics: Any = None
    path: Path | None = None
    _told: dict[str, Panel] = field(default_factory=dict, repr=False)  # the series that was last asked about

    def tell(self, panel: Panel, origins: Any) -> tuple[Floats, Floats, Floats]:
        """See Answering."""
        filled, gaps = panel.filled(), panel.gaps()
        found = []
        for first in range(0, len(origins), CHUNK):
            feed = self._feed(panel, np.asarray(origins[first : first + CHUNK]), filled, gaps)
            found.append(self.session.run(["low", "value", "high"], feed))
        low, value, high = (np.concatenate(one) for one in zip(*found, strict=True))
        return low, value, high

    def _feed(
        self, panel: Panel, origins: NDArray[np.int64], filled: Floats, gaps: NDArray[np.int8]
    ) -> dict[str, NDArray[Any]]:
        window = int(self.arguments["window"])
        rows_BT = origins[:, None] + np.arange(-window, self.horizon)
        steps_BT = panel.at[rows_BT]
        before = steps_BT[:, :1] - 1 - gaps[rows_BT[:, :1], 0]
        after = steps_BT[:, -1:] + 1 + gaps[rows_BT[:, -1:], 1]
        feed: dict[str, NDArray[Any]] = {
            "past": filled[rows_BT[:, :window]],
            "steps": np.concatenate([before, steps_BT, after], 1),
        }
        if panel.known.shape[1]:
            feed["known"] = panel.known[rows_BT]
        if len(self.history.panel.names) > 1:
            feed["series"] = np.array(panel.names, dtype=object)[panel.series_of()[origins]]
        return feed


def open_model(file: OnnxFile) -> Exported:
    """The forecaster in an opened .onnx file. Raises BundleDamaged where its metadata and its graph do not fit."""
    session, facts, path = file.session, file.facts, file.path
    try:
        told, kept = facts["preprocessing"], facts["history"]
        window, horizon = whole(facts["window"]), whole(facts["horizon"])
        columns = tuple(Known(name, tuple(names)) for name, names in told["known"])
        width = sum(one.width for one in columns)
        panel = Panel(
            tuple(kept["series"]),
            np.array(kept["starts"], dtype=np.int64),
            np.array(kept["at"], dtype=np.int64),
            np.array(kept["values"], dtype=np.float64),
            np.array(kept["known"], dtype=np.float32).reshape(len(kept["at"]), width),
            named_ahead(kept, width),
            columns,
            facts["step"],
            kept["closed"],
            (),
        )
        check_panel(panel, window)
        roles = told["roles"]
        found = Roles(roles["date"], tuple(roles["values"]), roles["series"], tuple(roles["known"]))
        require(all(isinstance(one, str) for one in (found.date, *found.values, *found.known, facts["hash"])))
        settled = told.get("settled", {})  # files of before know none
        build(ForecastingConfig, {**told["reading"], **settled})
        inputs = {one.name: one.shape for one in session.get_inputs()}
        wanted = {"past": [window], "steps": [window + horizon + 2]}
        wanted |= {"known": [window + horizon, width]} if width else {}
        wanted |= {"series": []} if len(panel.names) > 1 else {}
        require({name: shape[1:] for name, shape in inputs.items()} == wanted)
        require({"low", "value", "high"} <= {one.name for one in session.get_outputs()})
        return Exported(
            session=session,
            model=str(facts["model"]),
            arguments={"window": window, "horizon": horizon},
            history=History(panel, found, told["reading"], settled),
            hash=facts["hash"],
            facts=facts,
            metrics=facts["figures"],
            path=path,
        )
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, UsageError) as error:
        raise BundleDamaged(
            tr(
                "{path} does not hold together ({reason}).",
                path=path,
                reason=" ".join(str(error).split())[:200],
            )
        ) from None
