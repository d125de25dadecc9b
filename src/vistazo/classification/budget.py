"""`--time`: the network and the length that fit a budget, found by trying them for a moment on the machine at hand."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from vistazo.classification import transfer
from vistazo.classification.classifier import views_of
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.data import Data
from vistazo.classification.everyday import LADDER
from vistazo.classification.models import create, models, require
from vistazo.classification.recipes import Decided
from vistazo.classification.training import Program, choose_compute, drawing, noise
from vistazo.classification.transferring import MODEL
from vistazo.engine import pacing
from vistazo.engine.device import Compute, resolve_device
from vistazo.engine.optimizers import Lookahead
from vistazo.engine.progress import duration
from vistazo.errors import ConfigError
from vistazo.language import tr
from vistazo.networks.layers import WhiteningConv
from vistazo.pictures.loading import Normaliser, PictureBatches

__all__ = ["REPORT", "SHARE_OF_REPORT", "TooShort", "fit_to_time"]

AIM = 0.93  # share of the time left that is planned for; the rest is for a machine that slows down
REPORT = 2.0  # seconds of report and model, besides a share of the budget
SHARE_OF_REPORT = 0.02
SPARE = 1.25  # measuring may take so many times what the trial says
WIDER = 2.2  # times better than the first network a wide one may use the processor
MOST_EPOCHS = 200  # more were never seen to help
VIEWS_UP_TO = 0.12  # share of the budget that the answers of several views may take
TRIED_ON = 256  # pictures that are answered for, to know how long that takes


class TooShort(ConfigError):
    """Not even one step fits. instead: the recipe that may fit where `auto` chose this one, '' where none may."""

    def __init__(self, sentence: str, instead: str = "") -> None:
        super().__init__(sentence)
        self.instead = instead


@dataclass(frozen=True)
class _Tried:
    """Seconds of a training step, and of answering for one picture in one view: while training, and in fp32."""

    compute: Compute
    step: float
    watching: float
    answering: float

    def times(self, answers: int) -> "_Tried":
        """With the figures found so many times."""
        return replace(self, answering=answers * self.answering)


def fit_to_time(
    limit: float,
    elapsed: Callable[[], float],
    config: ClassificationConfig,
    data: Data,
    decided: Decided,
    normaliser: Normaliser,
    *,
    runs: int = 1,
) -> tuple[Decided, Compute]:
    """The ablest network that can be trained long enough in what is left of `limit` seconds, and how it computes.

    limit: from the start of the run's command to its end. elapsed: how much of it has passed. runs: how many share
    config.time, of which `limit` is this one's part. What comes back has `steps` and `seconds` of training.
    Raises TooShort where not even one step fits, naming a time that would do.
    """
    given = limit
    began = elapsed()
    batches = drawing(data, decided, config, normaliser, resolve_device(config.device))
    limit -= elapsed() - began  # training makes them once more
    shapes = list(_shapes(config, data, decided))
    # The network of one of several runs answers twice: for the run's own figures, and for those of all runs.
    answers = 1 if runs == 1 else 2
    first = _try(replace(decided, arguments=shapes[0][1]), config, normaliser, batches).times(answers)
    for at in range(len(shapes) - 1, -1, -1):
        rung, arguments = shapes[at]
        able = replace(decided, arguments=arguments)
        left = limit - elapsed() - REPORT
        if at:
            costlier = _operations(decided.model, arguments) / _operations(decided.model, shapes[0][1])
            if first.step * costlier / WIDER * batches.steps * rung.least > left:
                continue
        tried = first if at == 0 else _try(able, config, normaliser, batches).times(answers)
        planned = _plan(limit - elapsed(), limit, config, able, data, tried, batches.steps)
        if planned is not None and (planned.steps or 0) >= rung.least * batches.steps:
            return planned, tried.compute
    rest = REPORT + 3 * first.step + _measuring(data, first, 1) + _warming(config, decided, data, first)
    raise _too_short(config, data, given, elapsed(), rest, runs)


def _too_short(
    config: ClassificationConfig, data: Data, limit: float, spent: float, rest: float, runs: int
) -> TooShort:
    """The sentence, with a time that would do. limit, spent, rest: seconds of this run; `runs` share the time."""
    needed = 1.5 * (spent + rest)
    instead = "balanced" if config.recipe == "transfer" and not data.named else ""
    if runs == 1:
        sentence = tr(
            "--time {given} is too short: {spent} have passed and the rest needs {rest} at least. "
            "Give --time {needed}s.",
            given=config.time,
            spent=duration(spent),
            rest=duration(rest),
            needed=int(needed) + 2,
        )
        return TooShort(sentence, instead)
    besides = pacing.seconds(config.time or "0") - runs * limit  # before the first run and after the last
    sentence = tr(
        "--time {given} is too short for {runs} runs: {share} are left for each, which needs {rest} at least. "
        "Give --time {needed}s.",
        given=config.time,
        runs=runs,
        share=duration(max(0.0, limit)),
        rest=duration(spent + rest),
        needed=int(max(0.0, besides) + runs * needed) + 2,
    )
    return TooShort(sentence, instead)


def _shapes(
    config: ClassificationConfig, data: Data, decided: Decided
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Every rung that is possible for this data; the one shape asked for, where a recipe or the settings name it."""
    fixed = data.named or config.filters or config.start or decided.model != "airbench"
    for rung in LADDER[:1] if fixed else LADDER:
        arguments = dict(decided.arguments)
        if not fixed:
            arguments = {name: arguments[name] for name in ("channels", "height", "width", "classes")}
            arguments |= rung.shape(data.given)
            try:
                require(decided.model, arguments)
            except ValueError:
                continue
        yield rung, arguments


def _plan(
    left: float,
    limit: float,
    config: ClassificationConfig,
    decided: Decided,
    data: Data,
    tried: _Tried,
    steps_of_epoch: int,
) -> Decided | None:
    """The length that fits, None where nothing does. Several views only where they take little of the budget."""
    shifted = models[decided.model].shifted
    views = len(views_of(several=decided.views, flip=decided.flip, shifted=shifted))
    if _measuring(data, tried, views) - _measuring(data, tried, 1) > VIEWS_UP_TO * limit:
        views = 1
    left -= REPORT + SHARE_OF_REPORT * limit
    left -= SPARE * (_measuring(data, tried, views) + _warming(config, decided, data, tried))
    step = tried.step + tried.watching * len(data.rows("validation")) / steps_of_epoch
    steps = int(AIM * left / step)
    if steps < 1:
        return None
    most = MOST_EPOCHS * steps_of_epoch
    steps = min(steps, most)
    return replace(
        decided,
        views=decided.views and views > 1,
        epochs=-(-steps // steps_of_epoch),
        steps=steps,
        seconds=round(left, 3),
        most=most,
    )


def _measuring(data: Data, tried: _Tried, views: int) -> float:
    pictures = len(data.rows("validation")) + len(data.rows("test"))
    return tried.answering * views * pictures


def _warming(config: ClassificationConfig, decided: Decided, data: Data, tried: _Tried) -> float:
    """Seconds of a pretrained network before its first step: it looks at every picture, and its head is fitted."""
    if decided.model != MODEL or config.start:
        return 0.0
    others = len(data.rows("validation")) + len(data.rows("test"))
    return transfer.seconds_before(data.given.pictures, others, decided.flip, tried.watching)


def _try(
    decided: Decided, config: ClassificationConfig, normaliser: Normaliser, batches: PictureBatches
) -> _Tried:
    """Train for a moment as training will, its batches drawn and changed alike, and answer for noise."""
    network = create(decided.model, decided.arguments)
    compute = choose_compute(config, decided, network, normaliser, resolve_device(config.device))
    compute.start()
    program = Program(compute.place(network), decided, config, normaliser, compute)
    asked = noise(decided, TRIED_ON, compute.device).inputs["pictures"]
    assert isinstance(asked, Tensor)
    average, done = Lookahead(network), count()

    def step() -> None:
        batch = batches.draw(0, next(done) % batches.steps)
        for optimizer in program.optimizers[0]:
            optimizer.zero_grad(set_to_none=True)
        for part in batch.parts(config.accumulate):
            program.step(part, 0).backward()  # type: ignore[no-untyped-call,unused-ignore]
        for optimizer in program.optimizers[0]:
            optimizer.step()
        average.update(5, 10)

    @torch.no_grad()
    def answer(one: Compute) -> None:
        with one.autocast():
            network(one.place(normaliser(asked))).float().sum().item()

    network.train()
    stepping = _time(step, compute)
    network.eval()
    watching = _time(lambda: answer(compute), compute) / TRIED_ON
    answering = _time(lambda: answer(compute.in_fp32()), compute) / TRIED_ON
    return _Tried(compute, stepping, watching, answering)


def _time(act: Callable[[], None], compute: Compute) -> float:
    """Seconds of one call: the middle one of three, after one that warms up; one alone where it is slow."""
    act()
    spent: list[float] = []
    while len(spent) < 3 and sum(spent) < 0.5:
        began = time.perf_counter()
        act()
        if compute.device == "cuda":
            torch.cuda.synchronize()
        spent.append(time.perf_counter() - began)
    return sorted(spent)[len(spent) // 2]


def _operations(model: str, arguments: dict[str, Any]) -> float:
    """Multiplications of one forward pass for one picture; nothing is computed."""
    found = 0.0

    def add(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal found
        weight = module.filters if isinstance(module, WhiteningConv) else module.weight
        assert isinstance(weight, Tensor)
        found += weight.numel() * (output.shape[2] * output.shape[3] if output.ndim == 4 else 1)

    with torch.device("meta"), torch.no_grad():
        network = create(model, arguments).eval()
        for one in network.modules():
            if isinstance(one, (nn.Conv2d, nn.Linear, WhiteningConv)):
                one.register_forward_hook(add)
        network(torch.zeros(1, arguments["channels"], arguments["height"], arguments["width"]))
    return found
