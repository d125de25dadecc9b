"""The run folder: who may work in it, what an existing one means, and how it is steered."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import unicodedata
from pathlib import Path

import pytest

from vistazo.engine import runs
from vistazo.engine.runs import create, model_file, open_existing, resolve
from vistazo.errors import DiskError, RunBusy, RunDiffers, RunError, Stopped

ASKED = {"task": "classification", "source": "/pictures", "settings": {"seed": 0, "epochs": 3}}
IDENTITY = {"task": "classification", "seed": 0, "epochs": 3}


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Runs without --out go to ./runs."""
    monkeypatch.chdir(tmp_path)


def begin(out="run", *, identity=IDENTITY, name="pictures"):
    return create(out, name=name, asked=ASKED, identity=identity)


def finish(folder: Path) -> None:
    with open_existing(str(folder)) as run:
        run.model.write_bytes(b"model")
        run.status("finished", seconds=1.5)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()
    }


# ---------------------------------------------------------------- what an existing --out means
def test_a_new_run_writes_what_was_asked_before_anything_else(tmp_path):
    with begin("a/b/run") as run:
        assert json.loads((run.folder / "config.json").read_text()) == {**ASKED, "identity": IDENTITY}
        assert json.loads((run.folder / "status.json").read_text())["phase"] == "starting"
        assert not run.finished
    assert (tmp_path / "a" / "b" / "run").is_dir()


def test_a_run_begins_in_an_empty_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with begin() as run:
        assert run.config["identity"] == IDENTITY


@pytest.mark.parametrize("left", ["lock", "status.json", ".config.json.123.part", ".status.123.part"])
def test_a_run_killed_before_it_wrote_its_settings_begins(tmp_path, left):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / left).write_text("{")
    with begin() as run:
        assert run.config["identity"] == IDENTITY
    assert not list((tmp_path / "run").glob(".*.part"))


def test_the_same_settings_on_an_unfinished_run_resume_it():
    with begin() as run:
        run.freeze("compute", {"threads": 2})
    with begin() as run:
        assert run.config["compute"] == {"threads": 2}
        assert not run.finished


def test_the_same_settings_on_a_finished_run_give_its_result(tmp_path):
    with begin():
        pass
    finish(tmp_path / "run")
    with begin() as run:
        assert run.finished


def test_a_run_without_its_model_is_not_finished(tmp_path):
    with begin() as run:
        run.status("finished")
        assert not run.finished


@pytest.mark.parametrize("done", [False, True], ids=["unfinished", "finished"])
def test_other_settings_are_refused_naming_the_first_that_differs(tmp_path, done):
    with begin() as run:
        run.freeze("data", {"fingerprint": "of some pictures"})
    if done:
        finish(tmp_path / "run")
    before = snapshot(tmp_path / "run")
    with (
        pytest.raises(RunDiffers, match=r"a run with another seed \(0 there, 7 asked\).*vistazo resume run"),
        begin(identity={**IDENTITY, "seed": 7, "epochs": 9}),
    ):
        pytest.fail("must not begin")
    assert snapshot(tmp_path / "run") == before


def test_other_settings_begin_anew_where_no_data_was_accepted_yet(tmp_path):
    with begin() as run:
        run.status("failed", reason="no such column")
    with begin(identity={**IDENTITY, "seed": 7}) as run:
        assert run.config["identity"]["seed"] == 7


def test_a_folder_of_somebody_else_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match=r"not empty and is not a run \('thesis.txt' is in it\)"), begin():
        pytest.fail("must not begin")
    assert snapshot(tmp_path / "run") == {"thesis.txt": b"years of work"}


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "another program"}'])
def test_the_config_of_another_program_is_no_run(tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(content)
    with pytest.raises(RunError, match="is not a run"), begin():
        pytest.fail("must not begin")
    with (
        pytest.raises(RunError, match=r"config\.json is damaged or is not that of a run"),
        open_existing("run"),
    ):
        pytest.fail("must not open")
    assert (tmp_path / "run" / "config.json").read_text() == content


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="run is a file; --out needs a folder"), begin():
        pytest.fail("must not begin")


def test_an_accent_composed_the_other_way_is_the_same_run(tmp_path):
    with begin(unicodedata.normalize("NFD", "niños")):
        pass
    with begin(unicodedata.normalize("NFC", "niños")):
        pass
    assert len([one for one in tmp_path.iterdir() if one.name != "runs"]) == 1


# ---------------------------------------------------------------- names
def test_runs_without_a_name_are_numbered_after_their_source():
    for wanted in ("pictures-1", "pictures-2"):
        with begin(None) as run:
            assert run.folder == Path("runs") / wanted


def test_a_number_is_never_used_again():
    with begin("runs/pictures-7"):
        pass
    with begin(None) as run:
        assert run.folder.name == "pictures-8"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        pytest.param("año nuevo", "año-nuevo-1", id="accents stay, spaces go"),
        pytest.param("../../etc", "etc-1", id="no way out of runs"),
        pytest.param("...", "run-1", id="dots alone"),
        pytest.param("a/b\\c:d", "a-b-c-d-1", id="separators of any system"),
        pytest.param("", "run-1", id="empty"),
    ],
)
def test_a_source_of_any_name_gives_a_folder_inside_runs(name, folder):
    with begin(None, name=name) as run:
        assert run.folder == Path("runs") / folder


def test_two_processes_that_begin_at_once_get_two_runs(tmp_path):
    code = textwrap.dedent("""
        import sys
        from vistazo.engine.runs import create
        sys.stdin.readline()
        with create(None, name="x", asked={"task": "t"}, identity={"seed": 0}) as run:
            print(run.folder.name)
    """)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    assert sorted(one.communicate(timeout=60)[0].strip() for one in both) == ["x-1", "x-2", "x-3"]


# ---------------------------------------------------------------- last
def test_last_is_the_run_that_was_worked_in_last(tmp_path):
    for name in ("one", "two"):
        with begin(name):
            pass
    assert resolve("last") == tmp_path / "two"
    with open_existing("one"):
        pass
    assert resolve("last") == tmp_path / "one"


def test_a_run_inside_another_is_not_the_last_one(tmp_path):
    with begin("outer") as outer:
        with runs.inside(outer, "inner", asked=ASKED, identity=IDENTITY) as inner:
            assert inner.folder == outer.folder / "inner"
            assert json.loads((inner.folder / "config.json").read_text()) == {**ASKED, "identity": IDENTITY}
        assert resolve("last") == tmp_path / "outer"


def test_a_run_inside_another_stops_with_it_and_is_seen_from_there():
    with begin("outer") as outer, runs.inside(outer, "inner", asked=ASKED, identity=IDENTITY) as inner:
        outer._beat = 0.0
        inner.status("training", epoch=2)
        told = json.loads((outer.folder / "status.json").read_text())
        assert (told["phase"], told["inside"], told["epoch"]) == ("training", "inner", 2)
        inner.status("finished")
        assert json.loads((outer.folder / "status.json").read_text())["phase"] == "training"
        assert not inner.asked_to_stop()
        with inner.polling():
            outer.stop()  # a signal: nothing is raised, the loop's next look finds it
            assert inner.asked_to_stop()
        with pytest.raises(Stopped):
            outer.stop()


def test_the_outer_runs_control_file_stops_the_inner_one():
    with begin("outer") as outer, runs.inside(outer, "inner", asked=ASKED, identity=IDENTITY) as inner:
        (outer.folder / "control").write_text("stop")
        assert inner.asked_to_stop()


def test_a_run_inside_another_is_refused_where_its_settings_differ_or_the_folder_is_somebodys():
    with begin("outer") as outer:
        with runs.inside(outer, "inner", asked=ASKED, identity=IDENTITY) as inner:
            inner.freeze("data", {"fingerprint": "a"})
        with (
            pytest.raises(RunDiffers, match="another seed"),
            runs.inside(outer, "inner", asked=ASKED, identity={**IDENTITY, "seed": 1}),
        ):
            pass
        (outer.folder / "mine").mkdir()
        (outer.folder / "mine" / "letter.txt").write_text("dear")
        with (
            pytest.raises(RunError, match="is not empty and is not a run"),
            runs.inside(outer, "mine", asked=ASKED, identity=IDENTITY),
        ):
            pass


def test_without_any_run_last_says_how_to_begin():
    with pytest.raises(RunError, match="no last run in this folder yet.*vistazo train SOURCE"):
        resolve("last")


def test_a_file_called_last_is_meant_before_the_word(tmp_path):
    with begin():
        pass
    (tmp_path / "last").mkdir()
    assert resolve("last") == Path("last")


def test_a_model_is_a_file_a_run_folder_or_last(tmp_path):
    with begin():
        pass
    with pytest.raises(RunError, match=r"run has no finished model yet.*vistazo resume .*run"):
        model_file("run")
    finish(tmp_path / "run")
    inside = Path("run") / "model.vistazo"
    assert model_file("run") == inside
    assert model_file(inside) == inside
    assert model_file("last") == tmp_path / inside
    with pytest.raises(RunError, match="There is no model at nowhere"):
        model_file("nowhere")


def test_a_folder_of_pictures_is_no_run_that_could_be_continued():
    Path("pictures").mkdir()
    (Path("pictures") / "a.png").touch()
    for act in (model_file, lambda name: open_existing(name).__enter__()):
        with pytest.raises(
            RunError, match="is not the folder of a run.* train one: vistazo train SOURCE"
        ) as told:
            act("pictures")
        assert "resume" not in str(told.value)
    assert [one.name for one in Path("pictures").iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(lambda: None, "There is no run at run", id="nothing there"),
        pytest.param(lambda: Path("run").mkdir(), "has no config.json.*--out run", id="an empty folder"),
        pytest.param(lambda: Path("run").write_text(""), "There is no run at run", id="a file"),
    ],
)
def test_what_cannot_be_resumed_is_named(make, sentence):
    make()
    with pytest.raises(RunError, match=sentence), open_existing("run"):
        pytest.fail("must not open")


# ---------------------------------------------------------------- the lock
HOLD = textwrap.dedent("""
    import sys, time
    from vistazo.engine.runs import create
    with create("run", name="x", asked={"task": "classification"}, identity={"seed": 0}) as run:
        run.status("training")
        print("holding", flush=True)
        time.sleep(60)
""")


@pytest.fixture
def holder():
    """Another process, working in the folder `run`."""
    child = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "holding\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_run_in_use_names_the_process_and_how_to_stop_it(holder):
    before = snapshot(Path("run"))
    sentence = rf"run is in use by process {holder.pid}\. .* writing 'stop' into run.control"
    with pytest.raises(RunBusy, match=sentence), begin(identity={"seed": 0}):
        pytest.fail("must not begin")
    with pytest.raises(RunBusy, match=sentence), open_existing("run"):
        pytest.fail("must not open")
    assert snapshot(Path("run")) == before


def test_a_killed_process_lets_go_of_its_run(holder):
    holder.kill()  # kill -9: nothing of its own runs any more
    holder.wait()
    with open_existing("run") as run:
        assert run.config["identity"] == {"seed": 0}


def test_the_lock_is_let_go_when_the_work_fails():
    with pytest.raises(ZeroDivisionError), begin():
        raise ZeroDivisionError
    with begin():
        pass


def test_one_process_cannot_open_a_run_twice():
    with begin(), pytest.raises(RunBusy, match=str(os.getpid())), begin():
        pytest.fail("must not begin")


# ---------------------------------------------------------------- frozen decisions
def test_a_decision_is_written_once_and_read_ever_after():
    with begin() as run:
        assert run.freeze("compute", {"threads": 2}) == {"threads": 2}
        assert run.freeze("compute", {"threads": 4}) == {"threads": 2}
    with begin() as run:
        assert run.freeze("compute", {"threads": 8}) == {"threads": 2}


def test_data_that_changed_is_refused_naming_what_changed():
    with begin() as run:
        run.freeze("data", {"fingerprint": "aa", "size": [28, 28, 1]})
        with pytest.raises(RunDiffers, match=r"The data of run is not what it was.*\(fingerprint differs\)"):
            run.freeze("data", {"fingerprint": "bb", "size": [28, 28, 1]})


# ---------------------------------------------------------------- status and control
def test_status_tells_phase_process_heartbeat_and_progress():
    with begin() as run:
        run.status("training", epoch=2)
        told = runs.read_json(run.folder / "status.json")
    assert told.pop("heartbeat") == pytest.approx(time.time(), abs=5)
    assert told.pop("seconds") > 0
    assert told == {"phase": "training", "process": os.getpid(), "epoch": 2, "reading": 0}


def test_the_seconds_of_all_processes_add_up_those_of_a_killed_one_too(tmp_path):
    """Two processes are killed after a status each; the third counts on from what they told."""
    script = (
        "import os, signal, time; from vistazo.engine import runs\n"
        f"with runs.create('run', name='r', asked={ASKED!r}, identity={IDENTITY!r}) as run:\n"
        "    run.has_read(); time.sleep(0.2); run.status('training'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    told = []
    for _ in range(2):
        environment = {**os.environ, "PYTHONPATH": str(Path(runs.__file__).parents[2])}
        process = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment)
        assert process.returncode != 0
        told.append(runs.read_json(tmp_path / "run" / "status.json"))
    assert told[0]["seconds"] > told[0]["reading"] + 0.19
    assert told[1]["seconds"] > told[0]["seconds"] + 0.2
    assert told[0]["reading"] < told[1]["reading"] < told[1]["seconds"] - 0.39
    with begin() as run:
        assert run.spent() == pytest.approx(told[1]["seconds"] + run.seconds(), abs=0.1)
        run.status("training", epoch=1)
        assert runs.read_json(run.folder / "status.json")["seconds"] > told[1]["seconds"]


def test_seconds_begin_anew_with_other_settings_and_after_a_damaged_status(tmp_path):
    with begin() as run:
        run._began -= 1000
    for text in ('{"seconds": "many"}', '{"seconds": NaN}', "{"):
        (tmp_path / "run" / "status.json").write_text(text)
        with begin() as run:
            assert run.spent() == pytest.approx(run.seconds(), abs=0.1)
    (tmp_path / "run" / "status.json").write_text('{"seconds": 1000, "reading": 10}')
    with begin() as run:
        assert run.spent() > 1000
        assert run.reading == 10
    with begin(identity={**IDENTITY, "seed": 1}) as run:
        assert run.spent() < 1000
        assert run.reading == 0


def test_inside_a_loop_status_is_written_once_a_second_at_most():
    with begin() as run:
        run.status("training", step=0)
        for step in range(1, 1000):
            run.status("training", at_once=False, step=step)
        assert runs.read_json(run.folder / "status.json")["step"] == 0


def test_a_reader_never_sees_half_a_status():
    with begin() as run:
        for step in range(200):
            run.status("training", step=step)
            assert json.loads((run.folder / "status.json").read_text())["step"] == step


@pytest.mark.parametrize("word", ["stop", "STOP\n", "  stop  "])
def test_the_control_file_stops_a_run(word):
    with begin() as run:
        assert not run.asked_to_stop()
        (run.folder / "control").write_text(word)
        run._asked = 0.0  # half a second later
        assert run.asked_to_stop()
        assert run.asked_to_stop()


@pytest.mark.parametrize("content", [b"", b"go", b"\xff\xfe", b"x" * 100_000])
def test_anything_else_in_the_control_file_is_no_order(content):
    with begin() as run:
        (run.folder / "control").write_bytes(content)
        run._asked = 0.0
        assert not run.asked_to_stop()


def test_a_paused_run_waits_and_goes_on(monkeypatch):
    with begin() as run:
        control = run.folder / "control"
        control.write_text("pause")
        waited = []

        def wait(seconds: float) -> None:
            waited.append(runs.read_json(run.folder / "status.json").get("paused"))
            run._asked = 0.0
            run._beat = 0.0
            if len(waited) == 3:
                control.unlink()

        monkeypatch.setattr(runs.time, "sleep", wait)
        run._asked = run._beat = 0.0
        assert not run.asked_to_stop()
    assert waited == [True, True, True]


def test_a_run_that_is_started_again_forgets_the_order_to_stop():
    with begin() as run:
        (run.folder / "control").write_text("stop")
        run.clear_control()
        run._asked = 0.0
        assert not run.asked_to_stop()


def test_a_stop_inside_the_loop_waits_for_the_next_step():
    with begin() as run:
        with run.polling():
            run.stop()
            assert run.asked_to_stop()
        with pytest.raises(Stopped, match="vistazo resume run"):
            run.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_outside_the_loop_stops_at_once_and_the_run_can_go_on():
    code = textwrap.dedent("""
        import os, signal
        from vistazo import platform
        from vistazo.engine.runs import create
        from vistazo.errors import Stopped
        with create("run", name="x", asked={"task": "t"}, identity={"seed": 0}) as run:
            with platform.on_stop_signals(run.stop):
                try:
                    os.kill(os.getpid(), signal.SIGTERM)
                except Stopped as stopped:
                    run.status("stopped")
                    raise SystemExit(stopped.exit_code)
    """)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == Stopped.exit_code == 3
    with open_existing("run") as run:
        assert runs.read_json(run.folder / "status.json")["phase"] == "stopped"


# ---------------------------------------------------------------- disks
def test_a_read_only_disk_is_named(small_disk, read_only):
    disk = small_disk("64k")
    read_only(disk)
    with pytest.raises(DiskError, match=r"read-only\. Choose another with --out"), begin(str(disk / "run")):
        pytest.fail("must not begin")


def test_a_disk_that_became_read_only_under_an_existing_run_is_named(small_disk, read_only):
    disk = small_disk("64k")
    with begin(str(disk / "run")):
        pass
    read_only(disk)
    with pytest.raises(DiskError, match="read-only"), open_existing(str(disk / "run")) as run:
        run.write("metrics.json", "{}")


def test_a_full_disk_is_named_wherever_a_run_begins(small_disk):
    """With one more free inode each time, another file of the start is the one that does not fit."""
    refused = 0
    for inodes in range(2, 12):
        disk = small_disk("64k", f"nr_inodes={inodes}")
        try:
            with begin(str(disk / "run")) as run:
                run.write("metrics.json", "{}")
        except DiskError as error:
            assert "The disk is full" in str(error)
            refused += 1
    assert refused >= 3


def test_a_full_disk_loses_a_heartbeat_and_never_the_result(small_disk):
    disk = small_disk("64k")
    with begin(str(disk / "run")) as run:
        run.write("metrics.json", "old")
        with (disk / "filler").open("wb") as file, pytest.raises(OSError, match="No space"):
            file.write(b"\0" * (1 << 20))
        run.status("training")
        with pytest.raises(DiskError, match="The disk is full"):
            run.write("metrics.json", "new" * 5000)
        assert (run.folder / "metrics.json").read_text() == "old"
        with pytest.raises(DiskError, match="The disk is full"):
            run.status("finished")


def test_killed_at_any_moment_of_its_start_a_run_begins_again():
    code = textwrap.dedent("""
        from vistazo.engine.runs import create
        print("ready", flush=True)
        with create("run", name="x", asked={"task": "t"}, identity={"seed": 0}) as run:
            for n in range(10_000):
                run.rewrite({**run.config, "n": n})
    """)
    for moment in range(6):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.015 * moment)
        child.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        child.wait()
        child.stdout.close()
        with create("run", name="x", asked={"task": "t"}, identity={"seed": 0}) as run:
            assert run.config["identity"] == {"seed": 0}
