"""Work in another process: it goes on when whoever began it ends, and tells how it ended."""

import json
import os
import site
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vistazo
from vistazo import platform
from vistazo.errors import RunError
from vistazo.language import speaking
from vistazo.studio import services, working


def ended(folder):
    """How a job ended; it has a minute."""
    ends = time.monotonic() + 60
    while (job := working.job_of(folder)) is None or job.runs:
        assert time.monotonic() < ends
        time.sleep(0.05)
    return job


def test_a_job_tells_its_answer(tmp_path):
    with speaking("es"):
        working.start(tmp_path / "job", ["recipes"])
    job = ended(tmp_path / "job")
    assert job.error == ""
    assert "quick" in json.dumps(job.told)
    assert "recipes" in (tmp_path / "job" / "job.json").read_text()


def test_a_job_that_fails_tells_the_sentence_and_the_next_one_forgets_it(tmp_path):
    working.start(tmp_path / "job", ["check", str(tmp_path / "nothing")])
    assert "There is nothing at" in ended(tmp_path / "job").error
    working.start(tmp_path / "job", ["recipes"])
    assert ended(tmp_path / "job").error == ""


def test_a_job_goes_on_when_the_process_that_began_it_ends(tmp_path):
    folder = str(tmp_path / "job")
    code = f"from pathlib import Path; from vistazo.studio import working; working.start(Path({folder!r}), ['recipes'])"
    began = subprocess.run([sys.executable, "-c", code], check=True)
    assert began.returncode == 0
    job = ended(tmp_path / "job")
    assert job.told and not job.error


def test_a_number_that_now_belongs_to_another_process_is_not_the_job(tmp_path):
    (tmp_path / "job.json").write_text(json.dumps({"process": 1, "name": "elsewhere 1 0", "arguments": []}))
    job = working.job_of(tmp_path)
    assert not job.runs
    assert job.error


def test_where_nobody_tells_when_a_process_began_its_number_has_to_do(tmp_path):
    here, number, _ = platform.process_name().split(" ")
    for name, runs in (
        (f"{here} {number} -", True),
        (f"elsewhere {number} -", False),
        (f"{here} {number} 1", False),
    ):
        (tmp_path / "job.json").write_text(
            json.dumps({"process": int(number), "name": name, "arguments": []})
        )
        assert working.job_of(tmp_path).runs is runs


def test_where_there_is_no_job_there_is_none(tmp_path):
    assert working.job_of(tmp_path) is None


def test_what_a_run_is_asked_stands_in_its_control_file(tmp_path):
    working.ask(tmp_path, "pause")
    assert (tmp_path / "control").read_text() == "pause"
    working.ask(tmp_path, "")
    working.ask(tmp_path, "")
    assert not (tmp_path / "control").exists()


@pytest.fixture
def canaries(tmp_path, monkeypatch):
    """A current folder with modules that leave a file behind when they are imported."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("random", "click", "json"):
        (folder / f"{name}.py").write_text(f"open({str(folder / 'sung')!r}, 'a').write({name!r})")
    monkeypatch.chdir(folder)
    return folder


def test_a_job_imports_nothing_of_the_current_folder(canaries, tmp_path):
    working.start(tmp_path / "job", ["recipes"])
    job = ended(tmp_path / "job")
    assert job.error == "" and "quick" in json.dumps(job.told)
    assert not (canaries / "sung").exists()


def test_a_service_imports_nothing_of_the_current_folder(canaries, tmp_path):
    (tmp_path / "model.vistazo").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"model\.vistazo"):
        services.start(tmp_path, tmp_path / "model.vistazo")
    assert not (canaries / "sung").exists()


def test_an_empty_word_in_the_path_of_python_does_not_bring_the_current_folder_back(
    canaries, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", os.environ.get("PYTHONPATH", "")]))
    working.start(tmp_path / "job", ["recipes"])
    assert ended(tmp_path / "job").error == ""
    assert not (canaries / "sung").exists()


def test_a_vistazo_that_only_the_current_folder_holds_is_found(tmp_path, monkeypatch):
    home = Path(vistazo.__file__).parents[1]
    monkeypatch.chdir(home)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    _, environment = working.program(["recipes"])
    assert environment["PYTHONPATH"] == str(home)
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(home)])  # installed: nothing is to be added
    assert working.program(["recipes"])[1]["PYTHONPATH"] == ""
