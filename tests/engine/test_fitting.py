"""The loop, on programs that are not about pictures: a regression, a filter bank, ragged sets, two adversaries."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vistazo.engine import checkpoints, fitting, history, runs
from vistazo.engine.batches import Batch, epoch_order
from vistazo.engine.fitting import Plan, fit
from vistazo.engine.optimizers import Group, Lookahead, build_optimizers, constant, schedule
from vistazo.engine.progress import Progress
from vistazo.errors import DiskError, NotFiniteLoss, Stopped

EPOCHS, STEPS = 3, 4
ALL = EPOCHS * STEPS


# ---------------------------------------------------------------- programs
class Examples:
    """Batches from named tensors, or from lists of tensors where examples differ in size. The last one is smaller."""

    def __init__(self, inputs, targets, *, size=5, weights=None):
        self.inputs, self.targets, self.size, self.weights = inputs, targets, size, weights
        self.count = len(next(iter(inputs.values())))

    @property
    def steps(self):
        return -(-self.count // self.size)

    def draw(self, epoch, step):
        rows = epoch_order(self.count, seed=5, epoch=epoch)[step * self.size : (step + 1) * self.size]

        def pick(values):
            return values[rows] if isinstance(values, torch.Tensor) else [values[at] for at in rows.tolist()]

        return Batch(
            {name: pick(values) for name, values in self.inputs.items()},
            {name: pick(values) for name, values in self.targets.items()},
            rows,
            None if self.weights is None else self.weights[rows],
        )


class Supervised:
    """One network, one loss: the squared error of `network(x)`."""

    def __init__(self, network, optimizers):
        self.module, self.optimizers = network, [optimizers]

    def step(self, batch, k):
        each = (self.module(batch.inputs["x"]).squeeze(1) - batch.targets["y"]).square()
        return each.mean() if batch.weights is None else (each * batch.weights).sum() / batch.weights.sum()


class SumOfPoints(nn.Module):
    """A value for a set of any number of points."""

    def __init__(self):
        super().__init__()
        self.each, self.head = nn.Linear(2, 6), nn.Linear(6, 1)

    def forward(self, sets):
        return self.head(torch.stack([torch.tanh(self.each(points)).sum(0) for points in sets]))


class Adversaries:
    """Two losses, each with optimisers of its own, and noise drawn inside the step."""

    def __init__(self):
        self.maker = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
        self.judge = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 1))
        self.module = nn.ModuleList([self.maker, self.judge])
        self.optimizers = [optimizers_of(self.judge, "adamw"), optimizers_of(self.maker, "muon")]

    def step(self, batch, k):
        real = batch.inputs["x"]
        made = self.maker(torch.randn(len(real), 2))
        if k == 1:
            return nn.functional.softplus(-self.judge(made)).mean()
        return (
            nn.functional.softplus(-self.judge(real)) + nn.functional.softplus(self.judge(made.detach()))
        ).mean()


def optimizers_of(network, method):
    """'sgd' and 'adamw' for everything; 'muon' for matrices and filters, with the rest on AdamW."""
    large = tuple(one for one in network.parameters() if one.ndim >= 2)
    small = tuple(one for one in network.parameters() if one.ndim < 2)
    groups = [Group("matrices", large, method, 0.02, 0.8, decay=0.01)]
    return build_optimizers(
        [
            *groups,
            Group("others", small, "adamw" if method == "muon" else method, 0.01, 0.9, decay=0.01, until=0.7),
        ]
    )


def regression(method="sgd", *, plain=False, weights=None):
    torch.manual_seed(0)
    x = torch.randn(18, 3)
    y = x @ torch.tensor([1.0, -2.0, 0.5])
    between = [nn.Tanh()] if plain else [nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.25)]
    network = nn.Sequential(nn.Linear(3, 8), *between, nn.Linear(8, 1))
    return Supervised(network, optimizers_of(network, method)), Examples({"x": x}, {"y": y}, weights=weights)


def filters():
    torch.manual_seed(0)
    x = torch.randn(18, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 3), nn.Flatten()
    )
    network = network.to(memory_format=torch.channels_last)
    return Supervised(network, optimizers_of(network, "muon")), Examples({"x": x}, {"y": x.mean((1, 2, 3))})


def ragged():
    torch.manual_seed(0)
    sets = [torch.randn(1 + at % 4, 2) for at in range(18)]
    network = SumOfPoints()
    targets = {"y": torch.stack([points.sum() for points in sets])}
    return Supervised(network, optimizers_of(network, "adamw")), Examples({"x": sets}, targets)


def adversaries(*, size=5):
    torch.manual_seed(0)
    return Adversaries(), Examples({"x": torch.randn(18, 2) + 3}, {}, size=size)


PROGRAMS = [
    pytest.param(lambda: regression("sgd"), id="regression, momentum"),
    pytest.param(lambda: regression("adamw"), id="regression, AdamW"),
    pytest.param(lambda: regression("muon"), id="regression, Muon"),
    pytest.param(filters, id="filters in channels last, Muon"),
    pytest.param(ragged, id="ragged sets of points"),
    pytest.param(adversaries, id="two adversaries"),
]


# ---------------------------------------------------------------- training them
@dataclass
class Outcome:
    """All that a run leaves, as bytes where it is tensors."""

    weights: object
    average: object
    optimizers: object
    history: str
    reason: str
    epoch: int


class Killed(BaseException):
    """What stands for kill -9: nothing in the package may catch it."""


class Watched:
    """Batches that call `before(steps done)` before each step, and remember which steps were drawn."""

    def __init__(self, batches, before):
        self.batches, self.before, self.drawn = batches, before, []

    @property
    def steps(self):
        return self.batches.steps

    def draw(self, epoch, step):
        done = epoch * self.steps + step
        self.drawn.append(done)
        replaced = self.before(done)
        return replaced if isinstance(replaced, Batch) else self.batches.draw(epoch, step)


def bits(tree):
    if isinstance(tree, torch.Tensor):
        return str(tree.dtype), tuple(tree.shape), tree.detach().contiguous().numpy().tobytes()
    if isinstance(tree, dict):
        return {key: bits(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree).__name__, [bits(value) for value in tree]
    return tree


def noisy_validation(program):
    """A validation that draws random numbers, as one that samples from a network would."""

    def validate():
        seen = sum(float(one.double().sum()) for one in program.module.state_dict().values())
        return {"loss": abs(seen) + float(torch.rand(())), "accuracy": float(torch.rand(()))}

    return validate


@contextlib.contextmanager
def opened(folder: Path, **asked: object) -> Iterator[runs.Run]:
    """The run in that folder, taken up again as `vistazo resume` does."""
    with runs.create(str(folder), name="test", asked=asked, identity={}) as run:
        run.clear_control()
        yield run


def train(
    folder: Path,
    make: Callable = regression,
    *,
    before: Callable = lambda run, done: None,
    validation: Callable | None = noisy_validation,
    rates: Callable = schedule("triangular"),
    lookahead: bool = True,
    drawn: list | None = None,
    asked: dict | None = None,
    pause: Callable | None = None,
    **plan,
) -> Outcome:
    """Train to the end, or until `before(run, steps done)` does something about it."""
    program, batches = make()
    averager = Lookahead(program.module, every=2) if lookahead else None
    settings = {
        "epochs": EPOCHS, "seed": 7, "monitor": "loss", "patience": 0, "keep": "last", "stop_at": None,
        "accumulate": 1, "clip": 0.0, "checkpoint_seconds": 1e9,
    }  # fmt: skip
    with opened(folder, **(asked or {})) as run:
        watched = Watched(batches, lambda done: before(run, done))
        if drawn is not None:
            watched.drawn = drawn
        fitted = fit(
            program,
            watched,
            validate=validation(program) if validation else None,
            plan=Plan(**{**settings, **plan}),
            schedule=rates,
            averager=averager,
            run=run,
            progress=Progress(quiet=True, stream=StringIO()),
            pause=pause,
        )
    return Outcome(
        bits(program.module.state_dict()),
        bits(averager.state_dict()) if averager else None,
        bits([[one.state_dict() for one in several] for several in program.optimizers]),
        (folder / "history.jsonl").read_text(),
        fitted.reason,
        fitted.epoch,
    )


def stop_at(step):
    return lambda run, done: run.stop() if done == step else None


def kill_at(step):
    def before(run, done):
        if done == step:
            raise Killed

    return before


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # runs/last is written where one stands
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these networks are tiny
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def every_step(monkeypatch):
    """Checkpoints cost nothing, so that `checkpoint_seconds=0` means one after every step."""
    monkeypatch.setattr(fitting, "time", SimpleNamespace(monotonic=lambda: 0.0))


# ---------------------------------------------------------------- interrupted = uninterrupted
@pytest.mark.parametrize("make", PROGRAMS)
def test_a_run_stopped_during_any_step_and_resumed_ends_at_the_bits_of_one_left_alone(tmp_path, make):
    whole = train(tmp_path / "whole", make)
    for step in range(ALL - 1):
        folder = tmp_path / str(step)
        with pytest.raises(Stopped):
            train(folder, make, before=stop_at(step))
        drawn = []
        assert train(folder, make, drawn=drawn) == whole, f"stopped during step {step}"
        assert drawn == list(range(step + 1, ALL))  # nothing is done twice


@pytest.mark.parametrize("make", PROGRAMS)
def test_a_run_killed_at_any_step_with_a_checkpoint_at_every_step_ends_at_the_same_bits(
    tmp_path, make, every_step
):
    whole = train(tmp_path / "whole", make)
    for step in range(ALL):
        folder = tmp_path / str(step)
        with pytest.raises(Killed):
            train(folder, make, before=kill_at(step), checkpoint_seconds=0)
        drawn = []
        assert train(folder, make, drawn=drawn) == whole, f"killed at step {step}"
        assert drawn == list(range(step, ALL))


def test_a_run_stopped_again_and_again_after_every_single_step_ends_at_the_same_bits(tmp_path):
    whole = train(tmp_path / "whole", adversaries, keep="best")
    for step in range(ALL - 1):
        with pytest.raises(Stopped):
            train(tmp_path / "run", adversaries, keep="best", before=stop_at(step))
    assert train(tmp_path / "run", adversaries, keep="best") == whole


def test_a_plan_that_follows_the_clock_is_repeated_after_a_kill_and_without_a_clock(tmp_path, monkeypatch):
    now, speed = [0.0], [1.0]

    def passing(then):
        def before(run, done):
            now[0] += 0.4 if done < 4 else speed[0]
            then(run, done)

        return before

    monkeypatch.setattr(fitting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    budget = {"steps": 30, "seconds": 12.0, "checkpoint_seconds": 1.5}
    with pytest.raises(Killed):  # with a checkpoint that is older than the last change
        train(tmp_path / "run", before=passing(kill_at(7)), **budget)
    written = json.loads((tmp_path / "run/config.json").read_text())["replanned"]
    saved = max(int(path.stem.removeprefix("step-")) for path in (tmp_path / "run/checkpoints").iterdir())
    assert 0 < saved < written[-1][0] <= 7
    speed[0] = 0.1
    ended = train(tmp_path / "run", before=passing(lambda run, done: None), **budget)
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["replanned"][: len(written)] == written
    assert len(config["replanned"]) > len(written)
    speed[0] = 7.0
    frozen = {"reproduces": {"data": None, "frozen": {"replanned": config["replanned"]}}}
    assert train(tmp_path / "again", before=passing(lambda run, done: None), asked=frozen, **budget) == ended
    assert json.loads((tmp_path / "again/config.json").read_text())["replanned"] == config["replanned"]


def test_what_is_kept_as_best_survives_a_stop_long_after_it(tmp_path):
    def scripted(program):  # batch norm counts the steps: the more were done, the worse
        return lambda: {"loss": float(program.module[1].num_batches_tracked)}

    whole = train(tmp_path / "whole", validation=scripted, keep="best")
    with pytest.raises(Stopped):
        train(tmp_path / "run", validation=scripted, keep="best", before=stop_at(2 * STEPS + 1))
    assert train(tmp_path / "run", validation=scripted, keep="best") == whole
    assert whole.epoch == 1
    assert whole.weights != train(tmp_path / "last", validation=scripted, keep="last").weights


def test_the_control_file_stops_a_run_at_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setattr(
        runs, "time", SimpleNamespace(monotonic=itertools.count(1).__next__, time=lambda: 0.0)
    )
    whole = train(tmp_path / "whole")
    for step in range(ALL - 1):
        folder = tmp_path / str(step)

        def ask(run, done, step=step):
            if done == step:
                (run.folder / "control").write_text("stop\n")

        with pytest.raises(Stopped):
            train(folder, before=ask)
        state = checkpoints.load_newest(folder / "checkpoints")
        assert state["position"]["epoch"] * STEPS + state["position"]["step"] == step + 1
        assert train(folder) == whole


def test_a_stop_says_where_it_was_and_how_to_go_on(tmp_path):
    with pytest.raises(Stopped, match=r"epoch 2, step 3; .* vistazo resume .*run") as stopped:
        train(tmp_path / "run", before=stop_at(STEPS + 2))
    assert stopped.value.exit_code == 3


def test_a_stop_during_validation_ends_at_once_and_loses_nothing(tmp_path, every_step):
    whole = train(tmp_path / "whole")
    asked = []

    def stops(program):
        real = noisy_validation(program)

        def validate():
            asked.append(1)
            if len(asked) == 2:
                running[0].stop()
            return real()

        return validate

    running = []
    with pytest.raises(Stopped):
        train(
            tmp_path / "run",
            validation=stops,
            before=lambda run, done: running.append(run),
            checkpoint_seconds=0,
        )
    drawn = []
    assert train(tmp_path / "run", drawn=drawn) == whole
    assert drawn == list(range(2 * STEPS, ALL))


def test_a_run_without_any_checkpoint_yet_begins_again_and_ends_at_the_same_bits(tmp_path):
    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "run", before=kill_at(6))
    drawn = []
    assert train(tmp_path / "run", drawn=drawn) == whole
    assert drawn == list(range(ALL))


def test_a_finished_run_taken_up_again_trains_nothing_and_gives_the_same(tmp_path):
    whole = train(tmp_path / "run")
    drawn = []
    assert train(tmp_path / "run", drawn=drawn) == whole
    assert drawn == []


def test_the_schedule_is_asked_for_each_step_once_and_in_order_across_a_stop(tmp_path):
    asked = []

    def rates(step, steps):
        asked.append((step, steps))
        return 1.0

    with pytest.raises(Stopped):
        train(tmp_path / "run", rates=rates, before=stop_at(5))
    train(tmp_path / "run", rates=rates)
    assert asked == [(step, ALL) for step in range(ALL)]


def test_more_epochs_after_the_end_equal_a_run_that_had_them_from_the_start(tmp_path):
    options = {"rates": constant, "lookahead": False}

    def make():
        program, batches = regression("adamw")
        for group in program.optimizers[0][0].param_groups:
            group["until"] = 1.0  # a group that rests has a share of the plan, and the plan grows
        return program, batches

    whole = train(tmp_path / "whole", make, epochs=5, **options)
    assert train(tmp_path / "run", make, epochs=2, **options).epoch == 2
    drawn = []
    assert train(tmp_path / "run", make, epochs=5, drawn=drawn, **options) == whole
    assert drawn == list(range(2 * STEPS, 5 * STEPS))


KILLED_FOR_GOOD = """
import os, signal, sys, importlib.util
from pathlib import Path
spec = importlib.util.spec_from_file_location("programs", sys.argv[1])
programs = importlib.util.module_from_spec(spec)
sys.modules["programs"] = programs
spec.loader.exec_module(programs)
programs.torch.set_num_threads(1)
programs.fitting.time = programs.SimpleNamespace(monotonic=lambda: 0.0)
home = Path(sys.argv[2])
os.chdir(home)


def dying_at(moment):
    calls = iter(range(10**9))

    def wrap(real):
        def call(*words, **options):
            if next(calls) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*words, **options)

        return call

    os.fsync, os.replace, os.unlink = wrap(os.fsync), wrap(os.replace), wrap(os.unlink)
    os.open = wrap(os.open)


def in_a_child(work):
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def train(name, moment):
    if moment is not None:
        dying_at(moment)
    programs.train(home / name, lambda: programs.adversaries(size=18), checkpoint_seconds=0, keep="best", epochs=3)
    state = programs.checkpoints.load_newest(home / name / "checkpoints")
    (home / name / "end").write_text(repr((programs.bits(state), (home / name / "history.jsonl").read_text())))


train("whole", None)  # here, so that the children find everything imported
whole = (home / "whole" / "end").read_text()
moment = killed = 0
while True:
    name = f"killed-{moment}"
    if in_a_child(lambda: train(name, moment)) == 0:
        break
    killed += 1
    assert in_a_child(lambda: train(name, None)) == 0, moment
    assert (home / name / "end").read_text() == whole, moment
    left = [one.name for one in (home / name / "checkpoints").iterdir()]
    assert len(left) <= 3 and not any(one.startswith(".") for one in left), left  # nothing half-written stays
    moment += 1
print(killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_9_at_every_disk_operation_of_a_run_loses_no_bit(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_FOR_GOOD, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 15  # three checkpoints, each written, flushed, renamed, its elders removed


# ---------------------------------------------------------------- when checkpoints are written
def test_checkpoints_are_due_by_the_clock_and_take_at_most_a_fiftieth_of_the_time(tmp_path, monkeypatch):
    now, saved, real = [0.0], [], checkpoints.save

    def slow(folder, step, state):
        now[0] += cost
        saved.append(step)
        return real(folder, step, state)

    def ten_seconds(run, done):
        now[0] += 10

    monkeypatch.setattr(fitting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(checkpoints, "save", slow)
    cost = 0.0
    train(tmp_path / "cheap", before=ten_seconds, checkpoint_seconds=30)
    assert saved == [3, 6, 9, 12]
    saved.clear()
    cost = 1.0
    train(tmp_path / "dear", before=ten_seconds, checkpoint_seconds=30)
    assert saved == [3, 8, 12]  # 50 seconds after one that took a second, and always at the end


# ---------------------------------------------------------------- damaged checkpoints
def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_a_damaged_checkpoint_is_passed_over_and_the_end_is_the_same(tmp_path, every_step, damage):
    whole = train(tmp_path / "whole")
    for many, expected in ((1, 6), (2, 0)):
        folder = tmp_path / str(many)
        with pytest.raises(Killed):
            train(folder, before=kill_at(7), checkpoint_seconds=0)
        newest = sorted((folder / "checkpoints").iterdir(), reverse=True)
        assert [one.name for one in newest] == [f"step-{step:09d}.safetensors" for step in (7, 6)]
        for path in newest[:many]:
            damage(path)
        drawn = []
        assert train(folder, drawn=drawn) == whole
        assert drawn == list(range(expected, ALL))


def test_a_run_that_began_again_keeps_its_new_checkpoints_and_not_the_damaged_ones(tmp_path, every_step):
    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "run", before=kill_at(9), checkpoint_seconds=0)
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        flip(path)
    with pytest.raises(Killed):
        train(tmp_path / "run", before=kill_at(3), checkpoint_seconds=0)
    drawn = []
    assert train(tmp_path / "run", drawn=drawn) == whole
    assert drawn == list(range(3, ALL))


def test_a_disk_that_fills_up_is_named_and_the_run_goes_on_later(tmp_path, every_step, monkeypatch):
    whole = train(tmp_path / "whole")
    real = checkpoints.write_container

    def full(path, tensors, facts):
        if path.name == "step-000000006.safetensors":
            raise DiskError("The disk is full")
        real(path, tensors, facts)

    monkeypatch.setattr(checkpoints, "write_container", full)
    with pytest.raises(DiskError, match="full"):
        train(tmp_path / "run", checkpoint_seconds=0)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    drawn = []
    assert train(tmp_path / "run", drawn=drawn) == whole
    assert drawn == list(range(5, ALL))


# ---------------------------------------------------------------- NaN and infinity
def poison(value, step):
    """The step-th step (from 1) meets targets of that value."""

    def before(run, done):
        if done != step - 1:
            return None
        return Batch({"x": torch.randn(5, 3)}, {"y": torch.full((5,), value)}, torch.arange(5))

    return before


def finite(tree):
    if isinstance(tree, torch.Tensor):
        return bool(tree.isfinite().all())
    if isinstance(tree, dict):
        return all(finite(one) for one in tree.values())
    return all(finite(one) for one in tree) if isinstance(tree, (list, tuple)) else True


@pytest.mark.parametrize("step", [1, 2, STEPS, STEPS + 1, ALL])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_at_its_step_and_spoils_no_checkpoint(
    tmp_path, every_step, value, step
):
    whole = train(tmp_path / "whole")
    with pytest.raises(
        NotFiniteLoss, match=rf"met {value} at step {step}, .*rate is too high.*--rate 0.3.*checkpoints"
    ):
        train(tmp_path / "run", before=poison(value, step), checkpoint_seconds=0)
    state = checkpoints.load_newest(tmp_path / "run" / "checkpoints")
    if step == 1:
        assert state is None
    else:
        assert state["position"]["epoch"] * STEPS + state["position"]["step"] == step - 1
        assert finite(state)
    assert train(tmp_path / "run") == whole  # with the poison taken away


@pytest.mark.parametrize("where", [3, 11, 12], ids=lambda where: f"step {where}")
def test_on_an_accelerator_where_losses_are_read_late_the_step_named_is_still_the_right_one(
    tmp_path, monkeypatch, where
):
    monkeypatch.setattr(fitting._Loop, "_device", lambda loop: torch.device("cuda"))
    monkeypatch.setattr(fitting, "LOOK_EVERY", 3)
    with pytest.raises(NotFiniteLoss, match=f"met nan at step {where},"):
        train(tmp_path / "run", before=poison(float("nan"), where))


def test_reading_losses_late_changes_nothing(tmp_path, monkeypatch):
    whole = train(tmp_path / "whole")
    monkeypatch.setattr(fitting._Loop, "_device", lambda loop: torch.device("cuda"))
    assert train(tmp_path / "late") == whole
    with pytest.raises(Stopped):
        train(tmp_path / "run", before=stop_at(5))
    assert train(tmp_path / "run") == whole


class InfiniteSlope(Supervised):
    """At the step whose targets are all 99 the loss is finite and its gradient is not."""

    def step(self, batch, k):
        if bool((batch.targets["y"] == 99).all()):
            return (self.module[0].weight.sum() * 0).sqrt() + 1
        return super().step(batch, k)


@pytest.mark.parametrize("step", [1, 2, STEPS, STEPS + 2, ALL])
def test_a_gradient_that_is_no_number_never_reaches_a_checkpoint(tmp_path, every_step, step):
    def make():
        program, batches = regression("adamw")
        return InfiniteSlope(program.module, program.optimizers[0]), batches

    with pytest.raises(NotFiniteLoss, match=f"at step {step},"):
        train(tmp_path / "run", make, before=poison(99.0, step), checkpoint_seconds=0)
    state = checkpoints.load_newest(tmp_path / "run" / "checkpoints")
    assert state is None if step == 1 else finite(state)


@pytest.mark.parametrize(
    "ending", [{"stop_at": ("accuracy", 0.5)}, {"patience": 1}], ids=["stop_at", "patience"]
)
def test_a_broken_gradient_in_the_last_step_of_an_epoch_is_neither_validated_nor_kept(tmp_path, ending):
    def make():
        program, batches = regression("sgd")
        return InfiniteSlope(program.module, program.optimizers[0]), batches

    with pytest.raises(NotFiniteLoss, match=f"at step {2 * STEPS},"):
        train(
            tmp_path / "run",
            make,
            before=poison(99.0, 2 * STEPS),
            validation=lambda program: iter_of([{"accuracy": 0.4}, {"accuracy": 0.9}, {"accuracy": 0.9}]),
            monitor="accuracy",
            **ending,
        )
    assert len(history.read(tmp_path / "run" / "history.jsonl")) == 1


# ---------------------------------------------------------------- accumulation and clipping
def numbers(outcome):
    return torch.cat([
        torch.frombuffer(bytearray(data), dtype=torch.float32) for _, _, data in outcome.weights.values()
    ])  # fmt: skip


@pytest.mark.parametrize("weights", [None, torch.linspace(0.1, 3, 18)], ids=["equal", "weighted"])
@pytest.mark.parametrize("slices", [2, 3, 4, 100])
def test_a_batch_in_slices_of_unequal_length_equals_the_whole_batch(tmp_path, slices, weights):
    def make():
        return regression("sgd", plain=True, weights=weights)

    whole = train(tmp_path / "whole", make, validation=None)
    parts = train(tmp_path / "parts", make, validation=None, accumulate=slices)
    assert parts.weights != whole.weights  # it was in slices
    torch.testing.assert_close(numbers(parts), numbers(whole), rtol=1e-4, atol=1e-6)
    for one, other in zip(map(json.loads, parts.history.splitlines()),
                          map(json.loads, whole.history.splitlines()), strict=True):  # fmt: skip
        assert one["train"]["loss"] == pytest.approx(other["train"]["loss"], rel=1e-5)


def test_accumulation_is_resumed_exactly_too(tmp_path):
    def make():
        return adversaries(size=6)

    options = {"accumulate": 2, "clip": 0.5}
    whole = train(tmp_path / "whole", make, **options)
    with pytest.raises(Stopped):
        train(tmp_path / "run", make, before=stop_at(4), **options)
    assert train(tmp_path / "run", make, **options) == whole


class Slopes:
    """Two losses with constant gradients: (3, 4) on one parameter, (0, 12) on the other; plain steps of rate 1."""

    def __init__(self):
        self.module = nn.ParameterList([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))])
        self.optimizers = [
            [torch.optim.SGD([{"params": [one], "base_lr": 1.0, "until": 1.0}], lr=1.0)]
            for one in self.module
        ]

    def step(self, batch, k):
        return (self.module[k] * torch.tensor([[3.0, 4.0], [0.0, 12.0]])[k]).sum()


@pytest.mark.parametrize(
    ("clip", "moved"),
    [
        pytest.param(0.0, [[-3, -4], [0, -12]], id="none"),
        pytest.param(1.0, [[-0.6, -0.8], [0, -1]], id="both limited, each by its own norm"),
        pytest.param(6.0, [[-3, -4], [0, -6]], id="only the one beyond it"),
    ],
)
def test_clipping_limits_the_norm_of_each_losses_gradient_and_keeps_its_direction(tmp_path, clip, moved):
    program = Slopes()
    train(
        tmp_path / "run",
        lambda: (program, Examples({"x": torch.zeros(2)}, {}, size=2)),
        epochs=1, clip=clip, validation=None, lookahead=False, rates=constant,
    )  # fmt: skip
    torch.testing.assert_close(
        torch.stack(list(program.module)).detach(), torch.tensor(moved, dtype=torch.float32)
    )


# ---------------------------------------------------------------- which epoch is kept, and when training ends
class Counter:
    """A program whose only weight counts its steps, so that it tells which epoch it is from."""

    def __init__(self):
        self.module = nn.ParameterDict({"steps": nn.Parameter(torch.zeros(()))})
        self.optimizers = [
            [
                torch.optim.SGD(
                    [{"params": list(self.module.parameters()), "base_lr": 1.0, "until": 1.0}], lr=1.0
                )
            ]
        ]

    def step(self, batch, k):
        return -self.module["steps"]


def iter_of(figures):
    told = iter(figures)
    return lambda: next(told)


def ended(folder, figures, metric="loss", **plan):
    """(weight in epochs, kept epoch, reason, epochs in the history) where validation tells those figures."""
    program = Counter()
    outcome = train(
        folder,
        lambda: (program, Examples({"x": torch.zeros(6)}, {}, size=3)),
        validation=(lambda program: iter_of([{metric: one} for one in figures])) if figures else None,
        monitor=metric, epochs=len(figures) or 6, lookahead=False, rates=constant, **plan,
    )  # fmt: skip
    return (
        float(program.module["steps"].detach()) / 2,
        outcome.epoch,
        outcome.reason,
        outcome.history.count("\n"),
    )


ALL_DONE = "all epochs done"


@pytest.mark.parametrize(
    ("figures", "plan", "expected"),
    [
        pytest.param([5, 2, 3, 4], {"keep": "best"}, (2, 2, ALL_DONE, 4), id="lower is better, best"),
        pytest.param([5, 2, 3, 4], {"keep": "last"}, (4, 4, ALL_DONE, 4), id="lower is better, last"),
        pytest.param(
            [0.1, 0.7, 0.2], {"metric": "accuracy", "keep": "best"}, (2, 2, ALL_DONE, 3), id="higher is better"
        ),
        pytest.param([3, 3, 3], {"keep": "best"}, (1, 1, ALL_DONE, 3), id="of equals the first"),
        pytest.param(
            [5, 2, 3, 4, 1, 0], {"keep": "best", "patience": 2},
            (2, 2, "no improvement for 2 epochs", 4), id="patience, best",
        ),
        pytest.param(
            [5, 2, 3, 4, 1, 0], {"keep": "last", "patience": 2},
            (4, 4, "no improvement for 2 epochs", 4), id="patience, last",
        ),
        pytest.param([5, 2, 3, 1, 2, 3], {"keep": "best", "patience": 2}, (4, 4, ALL_DONE, 6), id="patience anew"),
        pytest.param([1, 2, 3], {"keep": "best", "patience": 0}, (1, 1, ALL_DONE, 3), id="no patience asked"),
        pytest.param(
            [5, 2, 3, 1], {"keep": "best", "stop_at": ("loss", 2.0)},
            (2, 2, "loss 2.0 reached", 2), id="stop at a low loss",
        ),
        pytest.param(
            [0.1, 0.8, 0.9], {"metric": "accuracy", "keep": "last", "stop_at": ("accuracy", 0.75)},
            (2, 2, "accuracy 0.75 reached", 2), id="stop at a high accuracy",
        ),
        pytest.param([5, 4, 3], {"keep": "best", "stop_at": ("other", 1.0)}, (3, 3, ALL_DONE, 3), id="unknown metric"),
        pytest.param([float("nan"), 4, 5], {"keep": "best"}, (2, 2, ALL_DONE, 3), id="no number is never best"),
        pytest.param([], {"keep": "best", "patience": 2}, (6, 6, ALL_DONE, 6), id="without validation all epochs"),
    ],
)  # fmt: skip
def test_the_epoch_kept_and_the_reason_for_the_end_follow_the_plan(tmp_path, figures, plan, expected):
    assert ended(tmp_path / "run", figures, **plan) == expected


def test_patience_may_be_about_another_figure_than_the_one_that_chooses_the_epoch(tmp_path):
    told = {"accuracy": [0.1, 0.2, 0.3, 0.35, 0.5, 0.6], "loss": [5.0, 4.0, 4.5, 4.6, 1.0, 0.5]}

    def validation(program):
        def validate():
            epoch = round(float(program.module["steps"].detach()) / 2) - 1
            return {name: figures[epoch] for name, figures in told.items()}

        return validate

    def go(folder, **options):
        return train(
            folder,
            lambda: (Counter(), Examples({"x": torch.zeros(6)}, {}, size=3)),
            validation=validation, epochs=6, monitor="accuracy", patience=2, keep="best", lookahead=False,
            rates=constant, **options,
        )  # fmt: skip

    # Loss was least in epoch 2, so training ends after epoch 4, whose accuracy was the best until then.
    whole = go(tmp_path / "whole", patience_on="loss")
    assert (whole.epoch, whole.reason, whole.history.count("\n")) == (4, "no improvement for 2 epochs", 4)
    assert go(tmp_path / "own").epoch == 6
    for step in (3, 5, 6):
        with pytest.raises(Stopped):
            go(tmp_path / str(step), patience_on="loss", before=stop_at(step))
        assert go(tmp_path / str(step), patience_on="loss") == whole


def test_an_early_end_is_the_same_after_a_stop(tmp_path):
    figures = [5, 2, 3, 4, 1, 0]

    def validation(program):  # by epoch, so that a resumed run is told what an uninterrupted one is
        return lambda: {"loss": figures[round(float(program.module["steps"].detach()) / 2) - 1]}

    def go(folder, **options):
        return train(
            folder,
            lambda: (Counter(), Examples({"x": torch.zeros(6)}, {}, size=3)),
            validation=validation, epochs=6, patience=2, keep="best", lookahead=False, rates=constant, **options,
        )  # fmt: skip

    whole = go(tmp_path / "whole")
    assert whole.reason == "no improvement for 2 epochs"
    for step in range(2 * 4 - 1):
        with pytest.raises(Stopped):
            go(tmp_path / str(step), before=stop_at(step))
        assert go(tmp_path / str(step)) == whole


def test_lookahead_takes_the_weights_place_after_the_last_step_and_before_the_last_validation(tmp_path):
    seen = []

    def validation(program):
        def validate():
            seen.append(bits(program.module.state_dict()))
            return {"loss": 1.0}

        return validate

    outcome = train(tmp_path / "run", lambda: regression(plain=True), validation=validation)
    slow = outcome.average["slow"]
    assert seen[-1] == slow == outcome.weights
    saved = checkpoints.load_newest(tmp_path / "run" / "checkpoints")
    assert bits(saved["average"]) == outcome.average


# ---------------------------------------------------------------- what it writes
def test_the_history_has_the_mean_loss_of_each_epoch_and_what_validation_told(tmp_path):
    ended(tmp_path / "run", [5, 2])
    # The loss is minus the steps done before: 0, -1 in the first epoch, -2, -3 in the second.
    assert history.read(tmp_path / "run" / "history.jsonl") == [
        {"epoch": 1, "train": {"loss": -0.5}, "validation": {"loss": 5}},
        {"epoch": 2, "train": {"loss": -2.5}, "validation": {"loss": 2}},
    ]
    times = history.read(tmp_path / "run" / "times.jsonl")
    assert [one["epoch"] for one in times] == [1, 2]
    assert all(one["seconds"] >= 0 for one in times)


def test_two_losses_are_added_in_the_history(tmp_path):
    class Constant(Slopes):
        def step(self, batch, k):
            return self.module[k].sum() * 0 + (1.5, 2.0)[k]

    train(
        tmp_path / "run",
        lambda: (Constant(), Examples({"x": torch.zeros(4)}, {}, size=2)),
        validation=None, lookahead=False, epochs=1,
    )  # fmt: skip
    assert history.read(tmp_path / "run" / "history.jsonl") == [{"epoch": 1, "train": {"loss": 3.5}}]


def test_validation_sees_the_module_in_evaluation_and_training_sees_it_in_training(tmp_path):
    modes = []

    def make():
        program, batches = regression()
        real = program.step

        def step(batch, k):
            modes.append(program.module.training)
            return real(batch, k)

        program.step = step
        return program, batches

    def validation(program):
        def validate():
            modes.append(program.module.training)
            return {"loss": 1.0}

        return validate

    train(tmp_path / "run", make, validation=validation, epochs=2)
    assert modes == ([True] * STEPS + [False]) * 2


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(tmp_path):
    first, again, other = (train(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert first == again
    assert first.weights != other.weights


# ---------------------------------------------------------------- paused between epochs
@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("make", PROGRAMS)
def test_a_run_paused_after_every_epoch_ends_at_the_bits_of_one_left_alone(tmp_path, make, keep):
    whole = train(tmp_path / "whole", make, keep=keep)
    drawn, folder = [], tmp_path / "paused"
    for epoch in range(1, EPOCHS):
        paused = train(folder, make, keep=keep, drawn=drawn, pause=lambda done, at=epoch: len(done) >= at)
        assert len(paused.history.splitlines()) == epoch and paused.reason == "paused"
        again = train(folder, make, keep=keep, drawn=drawn, pause=lambda done, at=epoch: len(done) >= at)
        assert again == paused  # asked again before it goes on: nothing is trained
    assert train(folder, make, keep=keep, drawn=drawn, pause=lambda done: False) == whole
    assert drawn == list(range(ALL))


def test_a_pause_leaves_the_weights_kept_so_far_and_goes_on_with_the_others(tmp_path):
    losses = iter([1.0, 2.0, 0.5])
    seen = []

    def validation(program):
        def validate():
            seen.append(bits(program.module.state_dict()))
            return {"loss": next(losses)}

        return validate

    settings = {"keep": "best", "lookahead": False, "validation": validation}
    paused = train(tmp_path / "run", pause=lambda done: len(done) == 2, **settings)
    assert paused.epoch == 1 and paused.weights == seen[0] != seen[1]
    ended = train(tmp_path / "run", **settings)
    assert ended.epoch == 3 and ended.weights == seen[2]


def test_a_pause_after_the_last_epoch_is_the_end(tmp_path):
    ended = train(tmp_path / "run", pause=lambda done: len(done) == EPOCHS)
    assert ended == train(tmp_path / "whole") and ended.reason == "all epochs done"
