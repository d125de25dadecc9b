"""The only gradient loop in Vistazo.

`fit` takes a *program*: one small object that turns a batch into a loss. A classifier, a detector, a pair of
adversaries or a transformer is such an object; the loop knows nothing of what it trains.

The state of a run is a position (epoch, step) and tensors. Batches and random numbers are drawn from the position,
so a run that is killed and resumed ends at the same bits as one that was left alone, on equal threads and precision.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vistazo.engine import checkpoints, history
from vistazo.engine.batches import Batch, Batches, counter_seed
from vistazo.engine.optimizers import Schedule, set_rates
from vistazo.engine.pacing import Pace
from vistazo.engine.progress import Progress
from vistazo.engine.runs import REPLANNED, Run
from vistazo.engine.schedules import Plateau
from vistazo.errors import NotFiniteLoss, Stopped
from vistazo.language import tr

__all__ = ["LOWER_IS_BETTER", "Averager", "Fitted", "Paced", "Pause", "Plan", "Program", "fit", "share_of"]

LOWER_IS_BETTER = frozenset({"loss", "mae", "rmse", "log_loss", "rps"})
Pause = Callable[[Sequence[history.Epoch]], bool]  # whether to stand still after these epochs
LOOK_EVERY = 20  # steps between looks at the loss where a look would wait for an accelerator


class Program(Protocol):
    """What is trained: a module, its optimisers, and how a batch becomes a loss."""

    @property
    def module(self) -> nn.Module:
        """Everything that is learnt or counted."""
        ...

    @property
    def optimizers(self) -> Sequence[Sequence[Optimizer]]:
        """For each loss, the optimisers that step on its gradient (one loss, except for adversaries)."""
        ...

    def step(self, batch: Batch, k: int) -> Tensor:
        """The mean loss of a batch for the k-th optimisers, a scalar that has a gradient."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A program that changes as training goes on, such as in the size its pictures are seen at."""

    def pace(self, progress: float) -> None:
        """Called before each step, with the share of training that is done, in [0, 1)."""
        ...


class Averager(Protocol):
    """An average of the weights along the way, such as lookahead."""

    def update(self, step: int, steps: float) -> None:
        """Called after each step, with the steps done and planned."""
        ...

    def finish(self) -> None:
        """Called once after the last step: the average takes the weights' place."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Plan:
    """How long and how carefully to train.

    epochs: passes over the data. seed: of everything random. monitor: the validation metric that decides which epoch
    is best; where there is no validation none is, so all epochs are done and the last one's weights are kept.
    patience: epochs without improvement before training stops, 0 for never; of the metric `patience_on` where it is
    named, else of `monitor`. keep: 'best' or 'last' epoch's weights.
    stop_at: (metric, value) that ends training when validation reaches it. accumulate: slices a batch is computed in,
    to save memory. clip: largest norm of the gradient, 0 for none. checkpoint_seconds: at most so much work is lost
    by a kill. seconds: what training may take; then `steps` are planned for it and the clock changes them (see
    `pacing`), and `epochs` is not looked at. steps: of the whole training, where it is not whole epochs. most: steps
    it has at most, however many `seconds` are left.
    """

    epochs: int
    seed: int
    monitor: str
    patience: int
    keep: str
    stop_at: tuple[str, float] | None
    accumulate: int
    clip: float
    checkpoint_seconds: float
    seconds: float | None = None
    steps: int | None = None
    most: int | None = None
    patience_on: str | None = None


@dataclass(frozen=True)
class Fitted:
    """What training gave: the history, the epoch whose weights are in the module, why it ended.

    paused: it stands still before the end of its plan, and the same call goes on from there.
    """

    history: list[history.Epoch]
    epoch: int
    reason: str
    paused: bool = False


@dataclass
class _State:
    """Where the run stands: everything but the module, its optimisers and the average."""

    epoch: int = 0  # from 0
    step: int = 0  # steps done in this epoch
    loss_sum: float = 0.0  # of this epoch, so that its mean survives a kill
    epochs: list[history.Epoch] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0
    best_tensors: dict[str, Tensor] | None = None
    watched: float | None = None  # the best of the metric that patience is about
    watched_epoch: int = 0


def fit(
    program: Program,
    batches: Batches,
    *,
    validate: Callable[[], dict[str, float]] | None,
    plan: Plan,
    schedule: Schedule,
    averager: Averager | None,
    run: Run,
    progress: Progress,
    pause: Pause | None = None,
) -> Fitted:
    """Train `program` until the plan, its patience or `stop_at` ends it, and leave the kept weights in its module.

    Resumes from the run's newest checkpoint where there is one. A plan that follows the clock is written into
    config.json as it changes, and followed from there by a run that goes on or reproduces another. A `Plateau` looks
    at the validation loss of each epoch, and what it has seen is in the checkpoint.
    pause: asked between epochs, also of a run that goes on; where it says so, everything is saved, the weights kept so
    far are left in the module, and the same call goes on later as if nothing had been. On a stop request it saves a
    checkpoint and raises Stopped. Raises ValueError for a `Plateau` without `validate`, NotFiniteLoss at the step whose
    loss is NaN or infinite, DiskError where a checkpoint cannot be written; earlier checkpoints stay good.
    """
    if isinstance(schedule, Plateau) and validate is None:
        raise ValueError("a plateau is seen in validation figures, and there are none")
    pace = Pace(plan.steps or plan.epochs * batches.steps, plan.seconds, plan.most)
    if plan.seconds is not None:
        pace.follow(run.freeze(REPLANNED, []), to_the_end=run.repeats(REPLANNED))
    loop = _Loop(program, batches, validate, plan, schedule, averager, run, progress, pace, pause)
    loop.restore()
    return loop.run_to_the_end()


@dataclass
class _Loop:
    program: Program
    batches: Batches
    validate: Callable[[], dict[str, float]] | None
    plan: Plan
    schedule: Schedule
    averager: Averager | None
    run: Run
    progress: Progress
    pace: Pace
    pause: Pause | None = None
    state: _State = field(default_factory=_State)
    unseen: list[tuple[int, Tensor]] = field(default_factory=list)
    saved_at: float = 0.0
    save_cost: float = 0.0
    saved: int = -1  # steps done at the newest checkpoint of this process
    clock: float = 0.0  # when time was last added to what is spent

    @property
    def done(self) -> int:
        """Steps of the whole training so far."""
        return self.state.epoch * self.batches.steps + self.state.step

    # ------------------------------------------------------------ the loop
    def run_to_the_end(self) -> Fitted:
        self.clock = self.saved_at = time.monotonic()
        reason = ""
        self.progress.begin(planned=self.pace.planned, steps=self.batches.steps, done=self.done)
        while self.done < self.pace.planned or self.state.step:  # an epoch may be done and not yet measured
            if self.pause and self.state.epochs and not self.state.step and self.pause(self.state.epochs):
                if self.saved != self.done:
                    self._save()
                return Fitted(self.state.epochs, self._keep(), tr("paused"), paused=True)
            with self.run.polling():
                self._epoch()
            ended = self._end_epoch()
            if ended:
                reason = ended
                break
        return Fitted(self.state.epochs, self._keep(), reason or self._plan_done())

    def _keep(self) -> int:
        """Put the kept weights into the module; the epoch they are of."""
        if self.plan.keep == "best" and self.state.best_tensors is not None:
            self.program.module.load_state_dict(self.state.best_tensors)
            return self.state.best_epoch
        return self.state.epoch

    def _plan_done(self) -> str:
        """Why training ended where nothing else ended it."""
        if self.plan.seconds is None:
            return tr("all epochs done")
        if self.plan.most is not None and self.pace.planned >= self.plan.most:
            return tr("{epochs} epochs done, the most that --time trains for", epochs=len(self.state.epochs))
        return tr("the time is used")

    def _epochs(self) -> int:
        """Epochs planned, the last of them perhaps cut short."""
        return -(-self.pace.planned // self.batches.steps)

    def _epoch(self) -> None:
        state, steps = self.state, self.batches.steps
        self.program.module.train()
        look_every = 1 if self._device().type == "cpu" else LOOK_EVERY
        while state.step < steps and self.done < self.pace.planned:
            if self.run.asked_to_stop():
                self._look()
                self._save()
                raise Stopped(
                    tr(
                        "Stopped at epoch {epoch}, step {step}; everything is saved. "
                        "Continue with: vistazo resume {folder}",
                        epoch=state.epoch + 1,
                        step=state.step,
                        folder=self.run.folder,
                    )
                )
            self._step()
            if len(self.unseen) >= look_every:
                self._look()
            last = self.done == self.pace.planned
            # A checkpoint may cost one part in fifty of the time; the last one is what `resume --epochs` goes on from.
            patience = max(self.plan.checkpoint_seconds, 50 * self.save_cost)
            if last or time.monotonic() - self.saved_at >= patience:
                self._look()
                self._save()
        self._look()

    def _step(self) -> None:
        state, plan = self.state, self.plan
        done = self.done
        at, planned = self.pace.at(done)
        torch.manual_seed(counter_seed(plan.seed, 2, state.epoch, state.step))
        batch = self.batches.draw(state.epoch, state.step)
        parts = batch.parts(plan.accumulate) if plan.accumulate > 1 else [batch]
        factor = self.schedule(at, planned)
        if isinstance(self.program, Paced):
            self.program.pace(at / planned)
        total: Tensor | None = None
        for k, optimizers in enumerate(self.program.optimizers):
            set_rates(optimizers, factor, progress=at / planned)
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            for part in parts:
                loss = self.program.step(part, k) * share_of(part, batch)
                loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
                total = loss.detach() if total is None else total + loss.detach()
            if plan.clip:
                torch.nn.utils.clip_grad_norm_(
                    [
                        one
                        for optimizer in optimizers
                        for group in optimizer.param_groups
                        for one in group["params"]
                    ],
                    plan.clip,
                )
            for optimizer in optimizers:
                optimizer.step()
        if self.averager is not None:
            self.averager.update(*self.pace.at(done + 1))
        state.step += 1
        if total is not None:
            self.unseen.append((done + 1, total))
        self.progress.stepped()
        self._pass_time()
        self.run.status(
            "training", at_once=False, epoch=state.epoch + 1, epochs=self._epochs(), step=state.step
        )

    def _pass_time(self) -> None:
        now = time.monotonic()
        if self.pace.passed(self.done, now - self.clock):
            self.progress.replan(self.pace.planned)
            if self.run.config.get(REPLANNED) != self.pace.changes:  # before a step rests on it
                self.run.rewrite({**self.run.config, REPLANNED: [*self.pace.changes]})
        self.clock = now

    def _look(self) -> None:
        """Read the losses not yet looked at: add them up, and stop at one that is no number."""
        for step, loss in self.unseen:
            value = float(loss)
            if not math.isfinite(value):
                self._not_finite(step, str(value))
            self.state.loss_sum += value
        self.unseen.clear()

    def _not_finite(self, step: int, value: str) -> None:
        raise NotFiniteLoss(
            tr(
                "Training met {value} at step {step}, most likely because the learning rate is too high: "
                "try again with --rate 0.3 (it multiplies the recipe's rates) or --clip 1. "
                "The last good checkpoint stays in {folder}.",
                value=value,
                step=step,
                folder=self.run.checkpoints,
            )
        )

    def _end_epoch(self) -> str:
        """Validate, write the history, remember the best; a reason where training should end."""
        state, plan = self.state, self.plan
        last = self.done >= self.pace.planned
        if last and self.averager is not None:
            self.averager.finish()
        # An infinite gradient in the last step must not be validated, kept as best, or end training early.
        self._require_finite(self.program.module.state_dict(), self.done)
        epoch: history.Epoch = {
            "epoch": state.epoch + 1,
            "train": {"loss": state.loss_sum / max(1, state.step)},
        }
        if self.validate is not None:
            self.program.module.eval()
            torch.manual_seed(counter_seed(plan.seed, 5, state.epoch))  # the same after a resume
            epoch["validation"] = self.validate()
            if isinstance(self.schedule, Plateau):
                self.schedule.see(epoch["validation"]["loss"])
        state.epochs.append(epoch)
        state.epoch, state.step, state.loss_sum = state.epoch + 1, 0, 0.0
        self._remember_best(epoch)
        self.run.write("history.jsonl", history.to_lines(state.epochs))
        self._append_seconds()
        self.progress.epoch_ended(epoch)
        if plan.stop_at and "validation" in epoch and not last:
            metric, value = plan.stop_at
            reached = epoch["validation"].get(metric)
            if reached is not None and (reached <= value if metric in LOWER_IS_BETTER else reached >= value):
                state.best_epoch, state.best_tensors = state.epoch, self._module_tensors()
                return tr("{metric} {value} reached", metric=metric, value=value)
        unmoved = state.epoch - state.watched_epoch if self.validate is not None else 0
        if plan.patience and unmoved >= plan.patience and not last:
            return tr("no improvement for {epochs} epochs", epochs=plan.patience)
        return ""

    def _remember_best(self, epoch: history.Epoch) -> None:
        state, figures = self.state, epoch.get("validation", {})
        watched = self.plan.patience_on or self.plan.monitor
        if _improves(watched, figures.get(watched), state.watched):
            state.watched, state.watched_epoch = figures[watched], state.epoch
        if _improves(self.plan.monitor, figures.get(self.plan.monitor), state.best):
            state.best, state.best_epoch = figures[self.plan.monitor], state.epoch
            if self.plan.keep == "best":
                state.best_tensors = self._module_tensors()

    # ------------------------------------------------------------ what is kept
    def _save(self) -> None:
        began = time.monotonic()
        tensors = self._module_tensors()
        done = self.done
        # A gradient can be infinite where its loss was not; such weights must not become the last good ones.
        self._require_finite(tensors, done)
        state = {
            "position": {
                name: getattr(self.state, name)
                for name in ("epoch", "step", "loss_sum", "best", "best_epoch", "watched", "watched_epoch")
            },
            "epochs": json.dumps(self.state.epochs),
            "best_tensors": self.state.best_tensors,
            "module": tensors,
            "optimizers": [[one.state_dict() for one in several] for several in self.program.optimizers],
            "average": self.averager.state_dict() if self.averager is not None else None,
            "pace": self.pace.state_dict() if self.plan.seconds is not None else None,
            "schedule": self.schedule.state_dict() if isinstance(self.schedule, Plateau) else None,
        }
        checkpoints.save(self.run.checkpoints, done, state)
        self.saved, self.saved_at = done, time.monotonic()
        self.save_cost = self.saved_at - began

    def _require_finite(self, tensors: dict[str, Tensor], step: int) -> None:
        if not all(bool(one.isfinite().all()) for one in tensors.values() if one.is_floating_point()):
            self._not_finite(step, "NaN")

    def restore(self) -> None:
        """Take up the newest whole checkpoint, if there is one."""
        saved = checkpoints.load_newest(self.run.checkpoints)
        if saved is None:
            return
        self.program.module.load_state_dict(saved["module"])
        for several, states in zip(self.program.optimizers, saved["optimizers"], strict=True):
            for optimizer, one in zip(several, states, strict=True):
                optimizer.load_state_dict(one)
        if self.averager is not None:
            self.averager.load_state_dict(saved["average"])
        if self.plan.seconds is not None:
            self.pace.load_state_dict(saved["pace"])
        if isinstance(self.schedule, Plateau):
            self.schedule.load_state_dict(saved["schedule"])
        self.state = _State(
            **saved["position"], epochs=json.loads(saved["epochs"]), best_tensors=saved["best_tensors"]
        )
        self.saved = self.done

    def _module_tensors(self) -> dict[str, Tensor]:
        return {name: one.detach().clone() for name, one in self.program.module.state_dict().items()}

    def _append_seconds(self) -> None:
        line = json.dumps({"epoch": self.state.epoch, "seconds": round(self.progress.epoch_seconds(), 3)})
        try:  # only told, never needed
            with open(self.run.folder / "times.jsonl", "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError:
            self.progress.say(tr("times.jsonl could not be written."))

    def _device(self) -> torch.device:
        return next((one.device for one in self.program.module.parameters()), torch.device("cpu"))


def _improves(metric: str, value: float | None, best: float | None) -> bool:
    """Whether a validation figure is better than the best so far; one that is absent or no number never is."""
    if value is None or not math.isfinite(value):
        return False
    return best is None or (value < best if metric in LOWER_IS_BETTER else value > best)


def share_of(part: Batch, batch: Batch) -> Tensor | float:
    """How much of a batch's mean loss is a part's: by weights where examples have them."""
    if part.weights is None or batch.weights is None:
        return len(part) / len(batch)
    return part.weights.sum() / batch.weights.sum()
