"""What may be read, how a run is said to get on."""

import html
import json
import os
import subprocess
import sys
import time

import pytest

from vistazo import platform
from vistazo.config import build
from vistazo.errors import ConfigError, RunError, SourceError, SourceMissing
from vistazo.studio import state
from vistazo.studio.settings import StudioSettings


@pytest.fixture
def studio(tmp_path):
    (tmp_path / "mine" / "inside").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    settings = StudioSettings(folder=(str(tmp_path / "mine"),), runs=str(tmp_path / "runs"))
    return state.create(settings)


def test_only_what_lies_below_the_roots_is_read(studio, tmp_path):
    assert studio.may_read(tmp_path / "mine" / "inside") == (tmp_path / "mine" / "inside").resolve()
    assert studio.may_read(studio.own) == studio.own
    for name in (tmp_path, tmp_path / "mine-too", tmp_path / "mine" / ".." / "other", "/etc/passwd", "a\0b"):
        with pytest.raises(SourceError, match=r"outside|no path"):
            studio.may_read(name)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_out_of_a_root_is_not_followed(studio, tmp_path):
    (tmp_path / "mine" / "away").symlink_to(tmp_path / "other")
    with pytest.raises(SourceError, match="outside"):
        studio.may_read(tmp_path / "mine" / "away")


def test_what_is_absent_is_told(studio, tmp_path):
    with pytest.raises(SourceMissing, match="nothing at"):
        studio.may_read(tmp_path / "mine" / "nothing")
    with pytest.raises(SourceMissing, match="no folder at"):
        StudioSettings(folder=(str(tmp_path / "nothing"),)).roots()


@pytest.mark.parametrize("name", ["", "..", ".studio", "a/b", "/etc", "a\\b", "nothing"])
def test_a_run_is_found_by_its_plain_name_alone(studio, name):
    with pytest.raises(RunError):
        studio.run(name)


@pytest.mark.parametrize(
    "token",
    [
        "short",
        "with\nbreak12",
        "ñandú-ñandú",
        "my+secret1",
        "abcd&efgh",
        "abc;defgh",
        "with space",
        '"quoted"',
        "x" * 201,
    ],
)
def test_a_token_that_an_address_or_a_cookie_cannot_hold_is_refused_and_not_repeated(token):
    with pytest.raises(ConfigError, match="--token takes 8 to 200") as told:
        build(StudioSettings, {"token": token})
    assert token not in str(told.value)


@pytest.mark.parametrize("token", ["a-long.secret_~1", "12345678", "x" * 200])
def test_a_token_of_plain_letters_is_taken(token):
    assert build(StudioSettings, {"token": token}).token == token


def test_a_name_of_this_computer_is_a_name_alone():
    assert build(StudioSettings, {"allow_host": ("studio.example",)}).allow_host == ("studio.example",)
    with pytest.raises(ConfigError, match="--allow-host takes a name alone"):
        build(StudioSettings, {"allow_host": ("http://x/",)})


def status(studio, name, **told):
    (studio.runs / name).mkdir(exist_ok=True)
    (studio.runs / name / "status.json").write_text(json.dumps(told))
    return state.state_of(studio.runs / name)


def test_a_run_is_said_to_get_on_as_its_status_and_its_process_say(studio):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    me = os.getpid()
    assert status(studio, "a", phase="training", process=me).state == "training"
    assert status(studio, "a", phase="training", process=me, paused=True).state == "paused"
    assert status(studio, "a", phase="training", process=gone.pid).state == "interrupted"
    assert status(studio, "a", phase="stopped", process=gone.pid).state == "stopped"
    assert status(studio, "a", phase="finished", process=gone.pid).state == "interrupted"  # its model is gone
    (studio.runs / "a" / "model.vistazo").touch()
    assert status(studio, "a", phase="finished", process=gone.pid).state == "finished"
    assert status(studio, "a", phase="failed", reason="no").words == "Failed"


def test_a_process_that_began_after_the_last_word_of_a_run_is_another_one(studio):
    me, now = os.getpid(), time.time()
    assert status(studio, "a", phase="training", process=me, heartbeat=now).state == "training"
    if platform.process_began(me) is not None:
        assert (
            status(studio, "a", phase="training", process=me, heartbeat=now - 86_400).state == "interrupted"
        )


def test_a_run_whose_job_has_another_process_of_its_number_is_interrupted(studio):
    me, now = os.getpid(), time.time()
    folder = state.job_folder(studio.runs / "a")
    folder.mkdir(parents=True)
    told = {"process": me, "arguments": [], "name": platform.process_name(me)}
    (folder / "job.json").write_text(json.dumps(told))
    assert status(studio, "a", phase="training", process=me, heartbeat=now).state == "training"
    (folder / "job.json").write_text(json.dumps({**told, "name": "another-start/pid:[1] 1 1"}))
    assert status(studio, "a", phase="training", process=me, heartbeat=now).state == "interrupted"


def test_what_a_studio_that_was_killed_left_of_files_for_trying_goes_after_a_day(studio, tmp_path):
    given = studio.own / state.GIVEN
    for name in ("old", "new"):
        (given / name).mkdir(parents=True)
        (given / name / "a.csv").write_text("a")
    os.utime(given / "old", (0, 0))
    state.create(StudioSettings(folder=(str(tmp_path),), runs=str(studio.runs)))
    assert [one.name for one in given.iterdir()] == ["new"]


def test_runs_are_listed_the_last_one_first(studio):
    status(studio, "old", phase="stopped", heartbeat=1.0)
    status(studio, "new", phase="stopped", heartbeat=2.0)
    (studio.runs / "no run").mkdir()
    assert [one.run.name for one in studio.list_runs()] == ["new", "old"]


def test_files_that_the_studio_keeps_are_called_as_their_owner_calls_them(studio):
    own, number = studio.own, "0123456789abcdef"
    told = state.own_names(
        f"{own}/given/{number}/partidos.csv lacks 'goles/2'; a/b {own}/uploads/{number}/fotos/1.png"
    )
    assert told == "partidos.csv lacks 'goles/2'; a/b fotos/1.png"
    assert state.own_names(f"{own}/uploads/{number}: no") == "what you sent: no"
    assert (
        state.own_names(f"<h2>{studio.runs}/mi ropa/studio/samples/13-0013.jpg</h2>") == "<h2>0013.jpg</h2>"
    )
    assert state.own_names(f"by {studio.runs}/mi ropa/model.vistazo") == "by mi ropa"
    for text in (f"vistazo resume {studio.runs}/ropa", "/else/where/model.vistazo", f"{studio.runs}/last"):
        assert state.own_names(text) == text


def test_names_are_found_as_a_page_spells_them(tmp_path):
    made = state.create(StudioSettings(folder=(str(tmp_path),), runs=str(tmp_path / "a & b")))
    assert state.own_names(html.escape(f"{made.runs}/x/model.vistazo"), html.escape) == "x"
