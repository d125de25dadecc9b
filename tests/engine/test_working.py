"""A run inside a run: whole, skipped once it is finished, stopped and watched through the outer one."""

import json
import time

import pytest

from vistazo.engine import runs, working
from vistazo.errors import NotFiniteLoss, RunBusy, RunDiffers, RunError, Stopped, UsageError

SETTINGS = {"seed": 0, "epochs": 2}


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def outer():
    asked = {"task": "classification", "source": "/pictures", "settings": {"seed": 0}}
    with runs.create("run", name="run", asked=asked, identity={"seed": 0}) as run:
        yield run


def status(folder):
    return json.loads((folder / "status.json").read_text())


def finish(run):
    run.freeze("data", {"fingerprint": "f"})
    run.freeze("decided", {"epochs": run.config["settings"]["epochs"] or 7})
    run.model.write_bytes(b"model")


def inside(outer, train=finish, name="one", settings=SETTINGS, **more):
    return working.train_inside(outer, name, settings=settings, identity=settings, train=train, **more)


# ---------------------------------------------------------------- whole runs of their own
def test_it_is_an_ordinary_run_and_is_not_trained_twice(outer):
    trained = []
    for _ in range(2):
        folder = inside(outer, lambda run: (trained.append(run.folder), finish(run)))
    assert trained == [folder] == [outer.folder / "one"]
    assert status(folder)["phase"] == "finished"
    assert status(folder)["seconds"] < 10
    config = json.loads((folder / "config.json").read_text())
    assert (config["task"], config["source"], config["settings"]) == ("classification", "/pictures", SETTINGS)
    assert runs.resolve("last") == outer.folder.resolve()
    with runs.open_existing(str(folder)) as run:
        assert run.finished


def test_decisions_are_handed_on(outer):
    folder = inside(outer, frozen={"compute": {"threads": 3}})
    assert runs.read_json(folder / "config.json")["compute"] == {"threads": 3}


def test_other_settings_are_refused(outer):
    inside(outer)
    with pytest.raises(RunDiffers, match="another seed"):
        inside(outer, settings={**SETTINGS, "seed": 1})


def test_a_folder_that_is_no_run_is_left_alone(outer):
    (outer.folder / "one").mkdir()
    (outer.folder / "one" / "thesis.txt").write_text("years")
    with pytest.raises(RunError, match=r"thesis\.txt"):
        inside(outer)


def test_one_that_another_process_works_on_is_refused(outer):
    inside(outer)
    with runs.open_existing("run/one"), pytest.raises(RunBusy):
        inside(outer)


# ---------------------------------------------------------------- watched, stopped, failed through the outer run
def test_the_outer_status_tells_which_run_is_at_work(outer):
    def train(run):
        run.status("training", epoch=3)
        told = status(outer.folder)
        assert told["phase"] == "training"
        assert (told["inside"], told["inside_phase"], told["epoch"]) == ("one", "training", 3)
        finish(run)

    inside(outer, train)
    assert status(outer.folder)["phase"] == "training"  # the outer one goes on


def test_a_stop_asked_of_the_outer_run_reaches_the_inner_one(outer):
    def train(run):
        with run.polling():
            outer.stop()  # what a signal does; inside `polling` it waits
            assert run.asked_to_stop()
        raise Stopped("Continue with: vistazo resume run/one")

    with pytest.raises(Stopped, match="vistazo resume run$"):
        inside(outer, train)
    assert status(outer.folder / "one")["phase"] == "stopped"


@pytest.mark.parametrize("where", ["run", "run/one"])
def test_the_control_file_of_either_stops_it(outer, where):
    def train(run):
        (runs.Path(where) / "control").write_text("stop")
        with run.polling():
            end = time.monotonic() + 5
            while not run.asked_to_stop():
                assert time.monotonic() < end
                time.sleep(0.05)
        raise Stopped("")

    with pytest.raises(Stopped):
        inside(outer, train)


def test_between_its_steps_a_signal_ends_it_at_once(outer):
    with pytest.raises(Stopped, match="vistazo resume run$"):
        inside(outer, lambda run: outer.stop())


def test_a_failure_is_told_in_its_own_status(outer):
    def train(run):
        raise NotFiniteLoss("NaN at step 3")

    with pytest.raises(NotFiniteLoss):
        inside(outer, train)
    assert status(outer.folder / "one")["reason"] == "NaN at step 3"


def test_a_run_that_stopped_is_gone_on_with(outer):
    with pytest.raises(Stopped):
        inside(outer, lambda run: outer.stop())
    outer.clear_control()
    assert status(inside(outer))["phase"] == "finished"


# ---------------------------------------------------------------- more epochs
def test_a_finished_one_is_trained_for_longer_where_only_the_epochs_grew(outer):
    inside(outer)
    longer = {**SETTINGS, "epochs": 5}
    planned = []
    folder = inside(outer, lambda run: planned.append(run.config["decided"]["epochs"]), settings=longer)
    assert planned == [5]
    config = runs.read_json(folder / "config.json")
    assert config["identity"] == config["settings"] == longer
    assert config["lengthened"] == [2]
    with pytest.raises(UsageError, match="already has a plan of 5 epochs"):
        inside(outer, settings=SETTINGS)


def test_a_run_of_several_is_not_cut_below_what_they_planned(outer):
    inside(outer)
    with pytest.raises(UsageError, match="plan of 2 epochs"):
        working.lengthen(outer, {"epochs": 1}, {})
    assert outer.config["settings"] == {"seed": 0}
    working.lengthen(outer, {"epochs": 3}, {"epochs": 3})
    assert outer.config["settings"] == {"epochs": 3}
    assert "decided" not in outer.config


# ---------------------------------------------------------------- repeating a run
def reproduced(outer, data="f", device="cpu"):
    """A run that repeats RUN/one, as far as its frozen decisions."""
    kept = working.reproduction(outer.folder / "one")
    with runs.create(
        "again", name="again", asked={"task": "t", "settings": {}, "reproduces": kept}, identity={}
    ) as run:
        run.freeze("data", {"fingerprint": data})
        decided = run.freeze("decided", {"epochs": 99})
        return decided, run.freeze("compute", {"device": device, "threads": 8})


@pytest.fixture
def repeated(outer):
    inside(outer, frozen={"compute": {"device": "cpu", "threads": 3}})
    return outer


def test_a_reproduction_takes_what_was_decided(repeated):
    assert reproduced(repeated) == ({"epochs": 2}, {"device": "cpu", "threads": 3})


def test_on_other_data_everything_is_decided_anew(repeated):
    assert reproduced(repeated, data="g") == ({"epochs": 99}, {"device": "cpu", "threads": 8})


def test_on_another_kind_of_device_it_computes_as_that_does(repeated):
    assert reproduced(repeated, device="cuda") == ({"epochs": 2}, {"device": "cuda", "threads": 8})


def test_a_run_inside_a_reproduction_repeats_the_one_inside_the_original(repeated):
    asked = {
        "task": "t",
        "source": None,
        "settings": {},
        "reproduces": {"run": str(repeated.folder.absolute())},
    }
    with runs.create("again", name="again", asked=asked, identity={}) as again:
        folder = inside(again)
    kept = runs.read_json(folder / "config.json")["reproduces"]
    assert kept["run"].endswith("run/one")
    assert kept["frozen"]["decided"] == {"epochs": 2}


def test_settings_that_are_damaged_are_named(repeated):
    (repeated.folder / "one" / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json is damaged"):
        working.reproduction(repeated.folder / "one")
