"""The trained forecaster: networks with the end of every series, ready to tell the steps to come."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vistazo.bundle import Bundle
from vistazo.config import build
from vistazo.engine.losses import Pinball
from vistazo.engine.serving import Exporting
from vistazo.errors import BundleDamaged, UsageError
from vistazo.forecasting import steps as time
from vistazo.forecasting.answering import Answering, History
from vistazo.forecasting.config import ForecastingConfig
from vistazo.forecasting.data import Known, Panel, Roles
from vistazo.forecasting.holding import check_panel, named_ahead, require, whole
from vistazo.forecasting.models import Moments, create
from vistazo.forecasting.windows import Profile, Scales, Windows
from vistazo.language import tr

__all__ = ["KEPT", "KEPT_ROWS", "Forecaster", "open_model", "quantiles_of", "with_interval"]

KEPT, KEPT_ROWS = (
    400,
    2_000_000,
)  # steps of each series, and of all, that travel in the model: they tell opening days
CHUNK = 4096  # windows forecast at once
Floats = NDArray[np.float64]


@torch.no_grad()
def quantiles_of(network: nn.Module, windows: Windows, origins: Any, *, groups: Sequence[int]) -> Floats:
    """(groups, windows, horizon, quantiles) scaled, in order: the mean of the members of each group.

    groups: of the scales, one for each equal share of the network's members.
    """
    network.eval()
    found = []
    for first in range(0, len(origins), CHUNK):
        chunk = torch.from_numpy(np.asarray(origins[first : first + CHUNK], dtype=np.int64))
        first_one = next(network.parameters())
        past = windows.past(chunk)[list(groups)].to(first_one.device)
        moments = Moments(
            **{name: one.to(first_one.device) for name, one in vars(windows.moments(chunk)).items()}
        )
        each = first_one.shape[0] // len(groups)
        told = network(past.repeat_interleave(each, 0), moments, windows.horizon)
        told = told.reshape(len(groups), each, *told.shape[1:]).mean(1)
        found.append(Pinball(quantiles=(0.5,)).answer(told).cpu().double().numpy())
    return np.concatenate(found, 1)


@dataclass(frozen=True)
class Forecaster(Answering, Exporting):
    """Networks with all it takes to go on with a series.

    corrections: (horizon, 2) what conformal correction adds below and above, in scaled values.
    scales: those of the moment after everything, (1, series).
    """

    network: nn.Module
    model: str
    arguments: dict[str, Any]
    history: History
    scales: Scales
    log: bool
    known_scale: tuple[list[float], list[float]]
    corrections: Floats
    profile: Profile | None
    metrics: Any = None
    path: Path | None = None
    hash: str = ""
    _told: dict[str, Panel] = field(default_factory=dict, repr=False)  # the series that was last asked about

    def _windows(self, panel: Panel) -> Windows:
        numbers = np.array([self.series_number(name) for name in panel.names], dtype=np.int64)
        return Windows(panel, self.scales, window=int(self.arguments["window"]), horizon=self.horizon, log=self.log,
                       known_scale=self.known_scale, profile=self.profile, numbers=numbers)  # fmt: skip

    def tell(self, panel: Panel, origins: Any) -> tuple[Floats, Floats, Floats]:
        """See Answering."""
        windows = self._windows(panel)
        scaled = quantiles_of(self.network, windows, origins, groups=(0,))[0]
        low, value, high = with_interval(scaled, self.corrections)
        found = windows.in_units(np.stack([low, value, high], -1), np.asarray(origins), 0)
        return found[..., 0], found[..., 1], found[..., 2]


def with_interval(scaled: Floats, corrections: Floats) -> tuple[Floats, Floats, Floats]:
    """Low, median and high of scaled quantiles (..., horizon, Q), widened by (horizon, 2) corrections."""
    middle = scaled[..., scaled.shape[-1] // 2]
    low = np.minimum(scaled[..., 0] - corrections[:, 0], middle)
    return low, middle, np.maximum(scaled[..., -1] + corrections[:, 1], middle)


def open_model(bundle: Bundle, path: Path) -> Forecaster:
    """The forecaster in a model file. Raises BundleDamaged where its parts do not fit together."""
    told = bundle.preprocessing
    try:
        tensors = dict(bundle.tensors)
        kept = {name: tensors.pop(name).numpy() for name in [*tensors] if name.startswith("history.")}
        profile = None
        if "profile.weights" in tensors:
            profile = Profile(
                *(tensors.pop(f"profile.{one}") for one in ("weights", "offsets", "own", "level"))
            )
        facts, arguments = bundle.facts, bundle.arguments
        members = max((one.shape[0] for one in tensors.values() if one.dim()), default=0)
        require(arguments == {
            "members": members, "window": whole(arguments["window"]), "horizon": whole(arguments["horizon"]),
            "cycles": [size for _, size in time.CYCLES[facts["step"]]], "known": kept["history.known"].shape[1],
            "series": len(facts["series"]),
        })  # fmt: skip
        network = create(bundle.model, arguments)
        network.load_state_dict(tensors)
        panel = Panel(
            tuple(facts["series"]), kept["history.starts"], kept["history.at"], kept["history.values"],
            kept["history.known"], named_ahead(facts, kept["history.known"].shape[1]),
            tuple(Known(name, tuple(names)) for name, names in facts["known"]), facts["step"], facts["closed"], (),
        )  # fmt: skip
        roles = Roles(facts["roles"]["date"], tuple(facts["roles"]["values"]), facts["roles"]["series"],
                      tuple(facts["roles"]["known"]))  # fmt: skip
        centre, spread = kept["history.centre"][None], kept["history.spread"][None]
        corrections = np.array(facts["corrections"], dtype=np.float64)
        check_panel(panel, arguments["window"])
        require(centre.shape == spread.shape == (1, len(panel.names)), np.isfinite(centre).all())
        require(np.isfinite(spread).all(), (spread > 0).all(), isinstance(told["log"], bool))
        require(corrections.shape == (arguments["horizon"], 2), np.isfinite(corrections).all())
        scale = np.array(told["known_scale"], dtype=np.float64)
        require(scale.shape == (2, panel.known.shape[1]), np.isfinite(scale).all(), (scale[1] > 0).all())
        known_scale = (scale[0].tolist(), scale[1].tolist())
        require(
            all(isinstance(one, str) for one in (roles.date, *roles.values, *roles.known, roles.series or ""))
        )
        if profile is not None:
            seasons = sum(arguments["cycles"]) + 2 * arguments["cycles"][0]
            require(profile.weights_GC.shape == (1, seasons + 6 + time.TURNS + panel.known.shape[1]))
            require(profile.offsets_G.shape == (1,), profile.weights_GC.isfinite().all())
            require(profile.offsets_G.isfinite().all(), profile.offsets_G.dtype == torch.float32)
            require(profile.weights_GC.dtype == profile.own_GSK.dtype == torch.float32)
            require(profile.own_GSK.shape == (1, len(panel.names), arguments["cycles"][0]))
            require(profile.own_GSK.isfinite().all(), profile.level_G.shape == (1,))
            require(profile.level_G.isfinite().all(), profile.level_G.dtype == torch.float32)
        settled = facts.get("settled", {})  # files of before know none
        build(ForecastingConfig, {**facts["reading"], **settled})
        return Forecaster(
            network=network.eval(),
            model=bundle.model,
            arguments=bundle.arguments,
            history=History(panel, roles, facts["reading"], settled),
            scales=Scales(centre, spread),
            log=told["log"],
            known_scale=known_scale,
            corrections=corrections,
            profile=profile,
            metrics=bundle.metrics,
            path=path,
            hash=hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
    except (
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        RuntimeError,
        UsageError,
    ) as error:
        raise BundleDamaged(
            tr(
                "{path} does not hold together ({reason}).",
                path=path,
                reason=" ".join(str(error).split())[:200],
            )
        ) from None
