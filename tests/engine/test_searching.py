"""A search at work, on trials that are trained in no time: what is recorded, what goes on, who takes what over."""

import json
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from vistazo import platform
from vistazo.config import Config, build, setting
from vistazo.engine import runs
from vistazo.engine.fitting import Fitted
from vistazo.engine.progress import Progress
from vistazo.engine.search_journal import Journal
from vistazo.engine.search_rungs import Plan
from vistazo.engine.search_spaces import parse
from vistazo.engine.search_trials import trial_folder
from vistazo.engine.searching import Asked, Search
from vistazo.errors import ConfigError, NotFiniteLoss, RunDiffers, Stopped


class Settings(Config):
    """What these trials have."""

    width: int = setting(5, help="", ge=1)
    seed: int = setting(0, help="")


class Killed(BaseException):
    """As if the process had died: nobody catches it."""


class Bench:
    """Trials whose figure after e epochs is 1 - |width - 7| / 10 + e / 1000; every epoch trained is counted."""

    metric, lower_is_better, keeps = "accuracy", False, "best"

    def __init__(self, fails=None, dies_at=None, seconds=0.0):
        self.trained, self.fails, self.dies_at, self.seconds = [], fails or {}, dies_at, seconds

    def train(self, trial, config, pause):
        kept = trial.folder / "kept.json"
        epochs = json.loads(kept.read_text()) if kept.exists() else []
        while len(epochs) < 9:
            if epochs and pause(epochs):
                return Fitted(epochs, len(epochs), "paused", paused=True)
            trial._earlier += self.seconds  # as if it had taken so long
            if trial.outer:
                trial.outer._earlier += self.seconds
            error = self.fails.get((config.width, len(epochs) + 1))
            if error:
                raise error
            self.trained.append((config.width, len(epochs) + 1))
            figure = 1 - abs(config.width - 7) / 10 + (len(epochs) + 1) / 1000
            epochs.append({"epoch": len(epochs) + 1, "validation": {"accuracy": figure}})
            kept.write_text(json.dumps(epochs))
            if len(self.trained) == self.dies_at:
                raise Killed
            if trial.asked_to_stop():
                raise Stopped("stopped")
        return Fitted(epochs, 9, "all epochs done")


def searching(run, bench, *, trials=9, pruner="asha", seconds=None, space="1..40", seed=0):
    asked = Asked({"width": parse("width", space)}, {}, Plan(pruner, 9, 3, trials), "random", seed, seconds)
    return Search(run, build(Settings, {}), asked, bench, Progress(quiet=True))


@pytest.fixture
def opened(tmp_path):
    """A search's run; another opening of the same folder is another process."""
    platform.command_begins()
    with ExitStack() as stack:

        def open_it(**identity):
            asked = {"task": "none", "source": None, "settings": {}}
            made = runs.shared(str(tmp_path / "search"), name="x", asked=asked, identity={"a": 1, **identity})
            return stack.enter_context(made)

        yield open_it


def test_the_recipe_is_the_first_trial_and_the_best_wins(opened):
    bench = Bench()
    found = searching(opened(), bench)
    study = found.go()
    assert [one.origin for one in study.trials] == ["recipe"] + ["sampled"] * 9
    assert study.trials[0].values == {"width": 5} and study.trials[0].epochs == 9
    assert len(bench.trained) == len(set(bench.trained)) == study.epochs
    best = found.close()
    study = found.study()
    assert study.best == best
    assert study.trials[best].figure == max(one.figure for one in study.trials)
    assert {one.state for one in study.trials} <= {"done", "stopped"}
    assert all("better after" in one.reason for one in study.trials if one.state == "stopped")
    assert sum(one.epochs == 9 for one in study.trials) >= 2


@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median", "none"])
def test_a_search_that_dies_at_any_epoch_goes_on_and_ends_the_same(opened, tmp_path, pruner):
    whole = Bench()
    searching(opened(), whole, pruner=pruner, trials=5).go()
    wanted = Journal(tmp_path / "search", {}, lower_is_better=False).entries()
    for dies_at in range(1, len(whole.trained) + 1, 4):
        folder = tmp_path / f"died-{dies_at}"
        asked = {"task": "none", "source": None, "settings": {}}
        bench = Bench(dies_at=dies_at)
        with runs.shared(str(folder), name="x", asked=asked, identity={}) as run:
            with pytest.raises(Killed):
                searching(run, bench, pruner=pruner, trials=5).go()
        with runs.shared(str(folder), name="x", asked=asked, identity={}) as run:
            searching(run, bench, pruner=pruner, trials=5).go()
        found = Journal(folder, {}, lower_is_better=False).entries()
        assert [(one.values, one.curve, one.until, one.state) for one in found] == [
            (one.values, one.curve, one.until, one.state) for one in wanted
        ]
        assert sorted(bench.trained) == sorted(whole.trained)  # nothing lost, nothing twice


def test_failures_are_recorded_and_the_search_goes_on(opened):
    fails = {
        (5, 2): NotFiniteLoss("met nan"),
        **{(width, 1): MemoryError() for width in range(10, 15)},
        **{(width, 1): RuntimeError("CUDA out of memory. Tried to") for width in range(15, 20)},
        **{(width, 1): ConfigError("does not fit") for width in range(20, 30)},
    }
    found = searching(opened(), Bench(fails), trials=30)
    found.go()
    best = found.close()
    study = found.study()
    failed = [one for one in study.trials if one.state == "failed"]
    assert study.trials[0].state == "failed" and study.trials[0].reason == "met nan"
    assert study.trials[0].curve == (pytest.approx(0.801),)
    reasons = {one.values["width"]: one.reason for one in failed}
    assert {reason for width, reason in reasons.items() if 10 <= width < 20} == {"the memory was not enough"}
    assert {reason for width, reason in reasons.items() if 20 <= width < 30} == {"does not fit"}
    assert best not in [one.number for one in failed]
    assert study.trials[best].epochs == 9


def test_where_all_fail_one_sentence_says_so_before_all_were_tried(opened):
    bench = Bench({(width, 1): ConfigError("the room is too small") for width in range(1, 41)})
    found = searching(opened(), bench, trials=39)
    found.go()
    assert len(found.study().trials) == 10
    with pytest.raises(ConfigError, match="All 10 trials failed.*the room is too small"):
        found.close()


def test_a_bug_is_no_failure_of_a_trial(opened):
    with pytest.raises(KeyError):
        searching(opened(), Bench({(5, 1): KeyError("ours")})).go()


def test_a_figure_that_is_no_number_counts_for_nothing(opened):
    class Empty(Bench):
        def train(self, trial, config, pause):
            epochs = [{"epoch": 1, "validation": {"accuracy": float("nan")}}, {"epoch": 2}]
            return (
                Fitted(epochs, 2, "all epochs done")
                if config.width != 5
                else super().train(trial, config, pause)
            )

    found = searching(opened(), Empty(), trials=3)
    found.go()
    assert found.close() == 0
    assert found.study().trials[1].curve == (None, None)
    assert found.study().trials[1].state == "failed"


def test_a_finite_space_ends_when_every_point_was_tried(opened):
    study = searching(opened(), Bench(), trials=50, space="4..8").go()
    assert sorted(one.values["width"] for one in study.trials) == [4, 5, 6, 7, 8]
    assert max(one.epochs for one in study.trials[1:]) == 9


def test_time_ends_a_search_and_one_trial_comes_to_the_full_length(opened):
    """Each epoch takes 1,000 s by the clock of the run: 27,000 of 30,000 are for training, so 25 epochs at most."""
    bench = Bench(seconds=1000.0)
    found = searching(opened(), bench, trials=1000, seconds=30_000.0)
    study = found.go()
    assert 15 <= len(bench.trained) <= 28
    assert sum(one.epochs == 9 for one in study.trials) >= 2  # the recipe, and another
    found.close()


def test_time_that_is_too_short_for_the_recipe_keeps_what_there_is(opened):
    found = searching(opened(), Bench(seconds=10.0), trials=1000, seconds=50.0)
    found.go()
    assert found.close() == 0
    (only,) = found.study().trials
    assert 1 <= only.epochs < 9 and "time was used" in only.reason


def test_the_median_stops_trials_in_the_middle_and_never_the_recipe(opened):
    found = searching(opened(), Bench(), pruner="median", trials=12)
    study = found.go()
    stopped = [one for one in study.trials if one.state == "stopped"]
    assert stopped and all(one.epochs < 9 and "median" in one.reason for one in stopped)
    assert study.trials[0].epochs == 9
    assert all(one.epochs == 9 for one in study.trials if one.state != "stopped")
    assert found.close() not in [one.number for one in stopped]


def test_a_stop_is_told_with_the_folder_of_the_search(opened, tmp_path):
    run = opened()
    found = searching(run, Bench())
    (tmp_path / "search" / "control").write_text("stop")
    with pytest.raises(Stopped, match=r"vistazo resume .*search$"):
        found.go()


# ---------------------------------------------------------------- killed from outside
# One process imports, and each child that it forks is a process of the search.
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from test_searching import Bench, searching
from vistazo.engine import runs

class Hungry(Bench):
    def train(self, trial, config, pause):
        if trial.config["trial"] == 1:
            os.kill(os.getpid(), signal.SIGKILL)  # as the system does where the memory is used up
        return super().train(trial, config, pause)

for _ in range(4):
    child = os.fork()
    if not child:
        with runs.shared(sys.argv[1], name="x", asked={"task": "none", "source": None}, identity={}) as run:
            searching(run, Hungry(), trials=3).go()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_trial_that_kills_its_process_is_given_up_after_three(tmp_path):
    words = [sys.executable, "-c", KILLED, str(tmp_path / "search"), str(Path(__file__).parent)]
    told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=240)
    assert told.stdout.split() == ["-9", "-9", "-9", "0"], told.stderr
    found = Journal(tmp_path / "search", {}, lower_is_better=False).entries()
    assert [one.state == "failed" for one in found] == [False, True, False, False]
    assert "killed 3 times" in found[1].reason and found[1].curve == ()
    assert len(found[0].curve) == 9 and all(one.curve for one in found[2:])


class Interrupted(Bench):
    """Dies, or is stopped, so many times; where it `saves`, a checkpoint is written before."""

    def __init__(self, times, *, saves=False, error=Killed):
        super().__init__()
        self.times, self.saves, self.error = times, saves, error

    def train(self, trial, config, pause):
        if self.times:
            self.times -= 1
            if self.saves:
                trial.checkpoints.mkdir(exist_ok=True)
                (trial.checkpoints / f"step-{100 - self.times:09d}.safetensors").write_bytes(b"")
            raise self.error("interrupted")
        return super().train(trial, config, pause)


def ended_after(opened, bench, kinds):
    """The first trial of a search that is begun again whenever it was interrupted."""
    for _ in range(20):
        try:
            return searching(opened(), bench, trials=2).go().trials[0]
        except kinds:
            continue
    raise AssertionError("never ended")


def test_a_trial_that_got_further_before_each_kill_is_not_given_up(opened):
    assert ended_after(opened, Interrupted(8, saves=True), Killed).state == "done"


def test_epochs_between_kills_count_as_getting_further(opened):
    class Slow(Bench):
        def train(self, trial, config, pause):
            self.dies_at = len(self.trained) + 1 if len(self.trained) < 8 else None
            return super().train(trial, config, pause)

    first = ended_after(opened, Slow(), Killed)
    assert first.state == "done" and first.epochs == 9


def test_stops_and_errors_that_end_the_search_are_no_kills(opened):
    assert ended_after(opened, Interrupted(5, error=Stopped), Stopped).state == "done"


def test_a_kill_between_the_last_epoch_and_the_word_that_it_is_done_changes_nothing(opened, monkeypatch):
    ended = Journal.end

    def dies(*words, **rest):
        monkeypatch.setattr(Journal, "end", ended)
        raise Killed

    monkeypatch.setattr(Journal, "end", dies)
    with pytest.raises(Killed):
        searching(opened(), Bench(), trials=2).go()
    found = searching(opened(), Bench(), trials=2)
    found.go()
    found.close()
    recipe = found.study().trials[0]
    assert (recipe.state, recipe.epochs, recipe.reason) == ("done", 9, "")


def test_three_kills_of_the_whole_search_are_too_few(opened):
    assert ended_after(opened, Interrupted(2), Killed).state == "done"


# ---------------------------------------------------------------- several processes
ELSEWHERE = """
import sys, time
from vistazo.engine import runs
asked = {"task": "none", "source": None, "settings": {}}
with runs.shared(sys.argv[1], name="x", asked=asked, identity={"a": 1}) as run:
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_nobody_begins_anew_what_another_computer_has_begun(opened, tmp_path):
    """In the seconds before any data was read; the number of the other's process belongs to nobody here."""
    folder = tmp_path / "search"
    words = [sys.executable, "-c", ELSEWHERE, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"begun\n"
        status = json.loads((folder / "status.json").read_text())
        (folder / "status.json").write_text(json.dumps({**status, "process": 4_000_000}))
        with pytest.raises(RunDiffers, match="another a "):
            opened(a=2)
        opened()  # the same search may be joined
        other.stdin.close()
    with pytest.raises(RunDiffers, match="another a "):
        opened(a=2)  # the one that joined is still at it


def test_who_was_killed_before_data_was_read_leaves_nothing_to_respect(opened, tmp_path):
    words = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "search")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"begun\n"
        other.kill()
    run = opened(a=2)
    assert run.config["identity"] == {"a": 2}
    assert len(list((tmp_path / "search" / "sittings").glob("*.json"))) == 1


def test_a_search_takes_the_seconds_in_which_anybody_worked_on_it(opened, monkeypatch):
    """Two processes at once for a while: neither the sum, nor what the last one counted on from the first."""
    first, second = searching(opened(), Bench()), searching(opened(), Bench())
    began = first.run.sitting.began
    monkeypatch.setattr(first.run.sitting, "began", began)
    monkeypatch.setattr(second.run.sitting, "began", began + 40)
    monkeypatch.setattr(runs.Run, "seconds", lambda run: 100.0 if run is first.run else 90.0)
    for one in (first, second):
        one.run.status("training")
    for one in (first, second):
        one.run.sitting._read = float("-inf")
        assert one.study().seconds == pytest.approx(130, abs=0.01)


def test_who_runs_out_of_time_waits_for_the_trials_of_others(opened, tmp_path):
    """Or the search would end under their hands."""
    from filelock import FileLock

    with pytest.raises(Killed):
        searching(opened(), Bench(dies_at=3, seconds=10.0), trials=3, seconds=100.0).go()
    second = searching(opened(), Bench(), trials=3, seconds=100.0)
    second.run._earlier = 99.0
    with FileLock(trial_folder(tmp_path / "search", 0) / "lock"):
        assert second._take() == "wait"


def test_two_at_once_share_the_trials(opened):
    """Two threads, each with its own files and locks, as two processes have them."""
    benches = [Bench(), Bench()]
    several = [searching(opened(), bench, trials=12) for bench in benches]
    threads = [threading.Thread(target=one.go) for one in several]
    for one in threads:
        one.start()
    for one in threads:
        one.join(timeout=120)
    study = several[0].study()
    together = benches[0].trained + benches[1].trained
    assert len(together) == len(set(together)) == study.epochs
    assert len({one.values["width"] for one in study.trials}) == len(study.trials) == 13
    assert [one.origin for one in study.trials].count("recipe") == 1


def test_a_trial_that_another_holds_is_left_alone_and_waited_for(opened, tmp_path):
    run = opened()
    first = searching(run, Bench(dies_at=3))
    with pytest.raises(Killed):
        first.go()
    folder = trial_folder(tmp_path / "search", 0)
    from filelock import FileLock

    bench = Bench()
    second = searching(opened(), bench, trials=1)
    with FileLock(folder / "lock"):  # the first process lives after all
        taken = second._take()
        assert taken.entry.number == 1
        with taken.claim:
            second._sit(taken)
        assert second._take() == "wait"
        assert second.study().trials[0].state == "running"
    assert second.study().trials[0].state == "waiting"
    study = second.go()
    assert study.trials[0].epochs == 9 and study.trials[0].state == "done"
    assert (5, 3) not in bench.trained and (5, 4) in bench.trained


def test_another_search_in_the_same_folder_is_refused_by_its_first_difference(opened):
    searching(opened(), Bench())
    run = opened()
    run.freeze("data", {"fingerprint": "x"})
    with pytest.raises(RunDiffers, match="another a "):
        opened(a=2)
    with pytest.raises(RunDiffers, match="another search of rate "):
        opened(**{"search of rate": "1..2"})
