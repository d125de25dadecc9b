"""Nothing is lost and nothing runs: kills, signals, full disks, forged files. Rows 1, 4 to 8, 16 and 18 of trust."""

import ast
import errno
import json
import os
import pickle
import random
import shutil
import signal
import socket
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import vistazo
from vistazo import bundle, platform
from vistazo.bundle import write_container

PACKAGE = Path(vistazo.__file__).parent
RESULTS = ("model.vistazo", "history.jsonl", "metrics.json")
# Long enough for a kill to find it training, with checkpoints as often as they are affordable.
LONG = ("--epochs=15", "--checkpoint-seconds=0")


@pytest.fixture(scope="module")
def long_words(wardrobe, tiny):
    return ["train", wardrobe, *tiny, *LONG, "--out", "run"]


@pytest.fixture(scope="module")
def uninterrupted(long_words, tmp_path_factory):
    """The long run as a process of its own that nobody disturbed."""
    import subprocess

    place = tmp_path_factory.mktemp("uninterrupted")
    command = [sys.executable, "-m", "vistazo", *map(str, long_words), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
    return place / "run"


def phase(run):
    try:
        return json.loads((run / "status.json").read_text()).get("phase")
    except (OSError, ValueError):
        return None


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)


def assert_equal(run, other):
    for name in RESULTS:
        assert (run / name).read_bytes() == (other / name).read_bytes(), name


# ---------------------------------------------------------------- kill -9
def killed(launch, words, run, moment, after):
    """Start a run and kill -9 it `after` seconds past `moment`: a phase, or 'start' for the process's own."""
    process = launch(*words, "--quiet")
    if moment != "start":
        wait_for(lambda: phase(run) in (moment, "finished"), process)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
@pytest.mark.parametrize(
    ("moment", "longest"),
    [
        pytest.param("start", 0.1, id="as the interpreter starts"),
        pytest.param("start", 0.4, id="as the run folder is made"),
        pytest.param("reading", 2.0, id="while torch or the pictures are read"),
        pytest.param("training", 0.2, id="early in training"),
        pytest.param("training", 0.8, id="late in training"),
        pytest.param("measuring", 0.05, id="while the result is written"),
    ],
)
def test_a_run_killed_at_any_moment_ends_as_if_nothing_had_happened(
    launch, verb, in_tmp, uninterrupted, long_words, moment, longest
):
    after = random.Random().uniform(0, longest)
    run = in_tmp / "run"
    killed(launch, long_words, run, moment, after)
    # Both ways on are one: whichever is picked must end at the same bits.
    resumable = (run / "config.json").exists()
    words = ["resume", run] if resumable and random.Random().random() < 0.5 else long_words
    said = verb(*words, "--quiet")
    assert said.code == 0, (after, said.err)
    assert_equal(run, uninterrupted)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_a_run_killed_again_and_again_gets_there(launch, verb, in_tmp, uninterrupted, long_words):
    for after in (0.1, 0.2):
        killed(launch, long_words, in_tmp / "run", "training", after)
    assert verb(*long_words, "--quiet").code == 0
    assert_equal(in_tmp / "run", uninterrupted)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
@pytest.mark.parametrize("number", range(24))
def test_a_run_killed_at_a_random_moment(launch, verb, in_tmp, uninterrupted, long_words, number):
    killed(launch, long_words, in_tmp / "run", "start", random.Random().uniform(0, 6))
    assert verb(*long_words, "--quiet").code == 0
    assert_equal(in_tmp / "run", uninterrupted)


def test_a_torn_checkpoint_is_not_loaded(verb, in_tmp, uninterrupted, long_words):
    run = shutil.copytree(uninterrupted, in_tmp / "run")
    (run / "model.vistazo").unlink()
    newest = max((run / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    assert verb(*long_words, "--quiet").code == 0
    assert_equal(run, uninterrupted)
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"\0" * 1000)
    (run / "model.vistazo").unlink()
    assert verb("resume", run, "--quiet").code == 0
    assert_equal(run, uninterrupted)


# ---------------------------------------------------------------- SIGTERM
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize(("moment", "after"), [("reading", 0.3), ("training", 0.05)])
def test_sigterm_ends_a_run_with_3_and_it_can_be_resumed(
    launch, verb, in_tmp, uninterrupted, long_words, moment, after
):
    run = in_tmp / "run"
    process = launch(*long_words, "--json")
    wait_for(lambda: phase(run) == moment, process)
    time.sleep(after)
    asked = time.monotonic()
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3, err.decode()
    assert time.monotonic() - asked < 30
    assert b"vistazo resume run" in err
    assert b"Traceback" not in err
    assert json.loads(out)["exit_code"] == 3
    assert phase(run) == "stopped"
    assert verb("resume", run, "--quiet").code == 0
    assert_equal(run, uninterrupted)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize(
    "where",
    [
        "vistazo.pictures.sources.read_source",
        "vistazo.pictures.decoding.load",
        "vistazo.pictures.splits.assign",
        "vistazo.classification.task.create",
        "vistazo.classification.training.Program.step",
        "vistazo.classification.metrics.measure",
        "vistazo.classification.report.build",
        "vistazo.bundle.save",
    ],
)
def test_a_signal_at_any_stage_stops_the_run_which_then_resumes(
    verb, in_tmp, wardrobe, tiny, trained, monkeypatch, where
):
    import vistazo.classification.task  # noqa: F401 - so that the names can be found

    module, name = where.rsplit(".", 1)
    owner = sys.modules.get(module) or sys.modules[module.rsplit(".", 1)[0]].Program
    whole = getattr(owner, name)

    def signalled(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGTERM)
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, signalled)
    said = verb("train", wardrobe, *tiny, "--out", "run", "--quiet")
    assert said.code == 3, said.err
    assert phase(in_tmp / "run") == "stopped"
    monkeypatch.setattr(owner, name, whole)
    assert verb("resume", "run", "--quiet").code == 0
    assert_equal(in_tmp / "run", trained)


# ---------------------------------------------------------------- the disk
def failing_writes(monkeypatch, allowed, number):
    """From now on the disk takes `allowed` more files and then fails with `number`; gives the counter."""
    whole, done = platform.replace_file, []

    def write(path, parts):
        done.append(path.name)
        if len(done) > allowed:
            raise OSError(number, os.strerror(number), str(path))
        whole(path, parts)

    monkeypatch.setattr(platform, "replace_file", write)
    return done


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EROFS, "the folder is read-only"),
        (errno.EIO, "could not be"),
    ],
    ids=["full", "read-only", "failing"],
)
def test_a_disk_that_fails_at_any_write_ends_in_a_sentence_and_loses_nothing(
    verb, in_tmp, wardrobe, tiny, trained, number, says
):
    failed_at = []
    for allowed in range(40):
        run = in_tmp / f"run{allowed}"
        with pytest.MonkeyPatch.context() as patch:
            done = failing_writes(patch, allowed, number)
            said = verb("train", wardrobe, *tiny, "--out", run, "--quiet")
        if said.code == 0:
            break
        failed_at.append(done[allowed])
        assert said.code == 1, said.err
        assert says in said.err
        assert len(said.err.splitlines()) == 1
        if number == errno.ENOSPC:
            assert verb("train", wardrobe, *tiny, "--out", run, "--quiet").code == 0
            assert_equal(run, trained)
    stages = ("config.json", "index.parquet", "history.jsonl", "metrics.json", "report.html", "model.vistazo")
    assert set(failed_at) >= set(stages)
    assert any(name.startswith("step-") for name in failed_at)


@pytest.mark.parametrize("room", ["4k", "24k", "48k", "72k", "96k"])
def test_a_full_disk_keeps_the_earlier_model(verb, trained, small_disk, room):
    disk = small_disk("4m")
    run = shutil.copytree(trained, disk / "run")
    before = (run / "model.vistazo").read_bytes()
    free = shutil.disk_usage(disk).free - int(room[:-1]) * 1024
    (disk / "filler").write_bytes(b"\0" * free)
    said = verb("resume", run, "--epochs=4", "--quiet")
    assert said.code == 1, said.err
    assert "The disk is full" in said.err
    assert "Traceback" not in said.err
    assert (run / "model.vistazo").read_bytes() == before
    assert vistazo.load(run / "model.vistazo").classes
    (disk / "filler").unlink()
    assert verb("resume", run, "--epochs=4", "--quiet").code == 0


def test_a_read_only_disk_is_named(verb, wardrobe, tiny, trained, small_disk, read_only):
    disk = small_disk("4m")
    run = shutil.copytree(trained, disk / "run")
    read_only(disk)
    for words in (
        ["train", wardrobe, *tiny, "--out", disk / "new"],
        ["train", wardrobe, *tiny, "--out", run],
        ["resume", run, "--epochs=4"],
        ["predict", run, wardrobe / "t10k-images-idx3-ubyte", "--out", disk / "answers.csv"],
        ["predict", run, wardrobe / "t10k-images-idx3-ubyte", "--out", disk / "answers.parquet"],
    ):
        said = verb(*words, "--quiet")
        assert said.code == 1, (words, said.err)
        assert "the folder is read-only. Choose another with --out." in said.err
        assert "Traceback" not in said.err
    assert vistazo.load(run).classes


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_answers_that_the_disk_has_no_room_for_are_a_sentence(verb, trained, wardrobe, small_disk, suffix):
    disk = small_disk("4k")
    (disk / "filler").write_bytes(b"\0" * 4096)
    out = disk / f"answers.{suffix}"
    said = verb("predict", trained, wardrobe / "t10k-images-idx3-ubyte", "--out", out)
    assert said.code == 1, said.err
    assert "The disk is full" in said.err
    assert [path.name for path in disk.iterdir()] == ["filler"]


# ---------------------------------------------------------------- no code from a file
class Canary:
    """Unpickling this leaves a file named canary."""

    def __reduce__(self):
        return os.system, ("touch canary",)


def attacks(trained, folder):
    """Model files that would leave a canary in the working folder, if anything in them ran."""
    found = bundle.load(trained / "model.vistazo")
    facts = {"model": "os.system", "arguments": {"command": "touch canary"}}
    for name, change in (
        ("model", facts),
        ("task", {"task": "os"}),
        ("path", {"model": "../../canary", "task": "classification"}),
        ("format", {"arguments": {**found.arguments, "filters": "__import__('os').system('touch canary')"}}),
    ):
        bundle.save(replace(found, **change), folder / f"{name}.vistazo")
    (folder / "pickle.vistazo").write_bytes(pickle.dumps(Canary()))
    torch.save({"state": Canary()}, folder / "torch.vistazo")
    tensors, all_facts = bundle.read_container(trained / "model.vistazo")
    write_container(
        folder / "reduce.vistazo", tensors, {**all_facts, "__reduce__": "os.system('touch canary')"}
    )
    return sorted(folder.glob("*.vistazo"))


def test_no_verb_runs_code_from_a_model_file(verb, trained, wardrobe, tiny, in_tmp):
    files = attacks(trained, in_tmp)
    assert len(files) == 7
    picture = wardrobe / "t10k-images-idx3-ubyte"
    for path in files:
        for words in (
            ["predict", path, picture],
            ["evaluate", path, wardrobe],
            ["train", wardrobe, *tiny, "--from", path, "--out", f"from-{path.stem}"],
        ):
            said = verb(*words, "--quiet")
            assert said.code in (1, 2), (path, words[0], said.err)
            assert "Traceback" not in said.err
            assert len(said.err.splitlines()) == 1
    assert not list(in_tmp.rglob("canary"))


def test_no_code_runs_from_a_run_folder(verb, trained, in_tmp):
    def altered(**changes):
        shutil.rmtree("run", ignore_errors=True)
        run = shutil.copytree(trained, in_tmp / "run")
        (run / "model.vistazo").unlink()
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps({**config, **changes}))
        return run, config

    trap = "__import__('os').system('touch canary')"
    for changes in ({"task": "os"}, {"task": trap}, {"settings": {"recipe": trap}}):
        altered(**changes)
        said = verb("resume", "run", "--quiet")
        assert said.code in (1, 2), said.err
    run, config = altered()
    (run / "config.json").write_text(
        json.dumps({**config, "decided": {**config["decided"], "model": "os.system"}})
    )
    assert verb("resume", "run", "--quiet").code == 2
    run, _ = altered()
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(pickle.dumps(Canary()))
    assert verb("resume", "run", "--quiet").code == 0
    assert not list(in_tmp.rglob("canary"))


def test_an_archive_that_leads_outside_trains_nothing_and_writes_nothing(verb, tiny, in_tmp):
    (in_tmp / "inside").mkdir()
    with zipfile.ZipFile(in_tmp / "inside/evil.zip", "w") as archive:
        archive.writestr("a/1.png", b"x")
        archive.writestr("../canary.png", b"x")
    said = verb("train", in_tmp / "inside/evil.zip", *tiny, "--quiet")
    assert said.code == 1
    assert "leads outside it" in said.err
    assert not list(in_tmp.rglob("canary*"))


def test_class_names_that_are_paths_or_markup_stay_names(verb, tiny, folder_of_pictures, in_tmp):
    names = ("..evil", "<img src=x onerror=alert(1)>", "$(touch canary)", "{0.__class__}")
    source = folder_of_pictures(in_tmp / "s", *names)
    said = verb("train", source, *tiny, "--out", "run")
    assert said.code == 0, said.err
    page = (in_tmp / "run/report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    told = verb("predict", "run", source / names[0], "--json")
    assert {answer["class"] for answer in told.json["predictions"]} <= set(names)
    assert not list(in_tmp.rglob("canary"))


def test_no_verb_opens_a_connection(verb, wardrobe, tiny, monkeypatch):
    def refuse(*args):
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert verb("train", wardrobe, *tiny, "--out", "run", "--quiet").code == 0
    assert verb("evaluate", "run", wardrobe).code == 0
    assert verb("predict", "run", wardrobe / "t10k-images-idx3-ubyte", "--json").code == 0


# ---------------------------------------------------------------- what the source may not hold
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "joblib",
    "yaml",
    "code",
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {("torch", "load"), ("os", "system"), ("os", "popen"), ("yaml", "load"), ("torch", "hub")}


def faults(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                if one.name.split(".")[0] in FORBIDDEN_MODULES:
                    yield f"import {one.name}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            yield f"from {node.module}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in FORBIDDEN_METHODS:
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
                yield f"{node.func.id}()"
            for word in node.keywords:
                value = getattr(word.value, "value", None)
                if (word.arg, value) in (("weights_only", False), ("allow_pickle", True), ("shell", True)):
                    yield f"{word.arg}={value}"


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_the_source_holds_nothing_that_runs_data(path):
    found = list(faults(ast.parse(path.read_text(encoding="utf-8"))))
    if path.name == "pretrained.py":  # tensors alone, of bytes whose SHA-256 stands in the code
        found.remove("torch.load")
        assert "torch.load(io.BytesIO(data), weights_only=True," in path.read_text(encoding="utf-8")
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from yaml import load",
        "eval('1')",
        "torch.load(path)",
        "load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "os.system('ls')",
        "run('ls', shell=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(text):
    assert list(faults(ast.parse(text)))
