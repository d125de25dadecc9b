"""Models by name, replaced files, and the end of a service."""

import sys
import threading
import time
from pathlib import Path

import pytest

from vistazo import tasks
from vistazo.errors import BundleDamaged, RunError, UsageError
from vistazo.serving.app import create
from vistazo.serving.models import named
from vistazo.serving.settings import ServeSettings

sys.path.insert(0, str(Path(__file__).parent))

from served_fakes import Grey, png, running, until


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Model files that hold a number: the seconds that their Grey takes, 'bad' where they are damaged."""

    def load(path):
        text = Path(path).read_text()
        if text == "bad":
            raise BundleDamaged(f"{path} is damaged.")
        model = Grey(float(text.split()[0]))
        model.hash = text
        return model

    monkeypatch.setattr(tasks, "load", load)

    def write(text):
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.replace(tmp_path / "grey.vistazo")
        return tmp_path / "grey.vistazo"

    return write


def test_a_replaced_file_is_loaded_anew_and_no_request_is_lost(files):
    path = files("0.002 first")
    statuses, hashes, stop = [], set(), threading.Event()
    with running({"grey": path}, reload_seconds=0.05) as server:

        def ask():
            while not stop.is_set():
                status, _, told = server.predict(png())
                statuses.append(status)
                hashes.add(told.get("hash"))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for one in threads:
            one.start()
        try:
            assert until(lambda: len(statuses) > 5)
            files("0.001 second")
            assert until(lambda: "0.001 second" in hashes)
        finally:
            stop.set()
            for one in threads:
                one.join()
        assert set(statuses) == {200}
        assert hashes == {"0.002 first", "0.001 second"}
        assert server.logged(lambda one: "loaded anew" in one.get("message", ""))


def test_a_damaged_replacement_keeps_the_old_model_and_is_told_once(files):
    path = files("0 first")
    with running({"grey": path}, reload_seconds=0.05) as server:
        files("bad")
        assert until(lambda: any(one["level"] == "error" for one in server.lines()))
        assert server.predict(png())[2]["hash"] == "0 first"
        time.sleep(0.3)
        assert sum(one["level"] == "error" for one in server.lines()) == 1
        path.unlink()
        time.sleep(0.2)
        assert server.predict(png())[0] == 200
        files("0 third")
        assert until(lambda: server.predict(png())[2]["hash"] == "0 third")
        assert b'vistazo_reloads_total{model="grey",outcome="failed"} 1' in server.ask("GET", "/metrics")[2]


def test_a_file_that_is_gone_is_told_once_and_the_model_stays(files):
    path = files("0.0 first")
    with running({"grey": path}, reload_seconds=0.05) as server:
        path.unlink()
        assert server.logged(lambda line: "is gone" in line.get("message", ""))
        assert server.predict(png())[0] == 200
        files("0.0 second")
        assert until(lambda: server.predict(png())[2]["hash"] == "0.0 second")
        assert len([one for one in server.lines() if "is gone" in one.get("message", "")]) == 1


def test_a_file_that_was_only_touched_is_not_loaded_anew(files):
    path = files("0 first")
    with running({"grey": path}, reload_seconds=0.05) as server:
        before = server.app.shelf.get("grey")
        path.touch()
        assert until(lambda: server.app.shelf.changed() == [])
        assert server.app.shelf.get("grey") is before


def test_what_was_accepted_is_answered_before_the_end():
    """Requests are being computed when the end begins: they are answered, later ones are told to come back."""
    model = Grey(0.5)
    told = {}
    with running({"grey": model}, linger_seconds=0.6) as server:

        def ask(name):
            told[name] = server.predict(png())

        first = threading.Thread(target=ask, args=("first",))
        first.start()
        assert until(lambda: server.app.answering.busy == 1)
        server.server.stop()
        assert until(lambda: server.app.answering.draining)
        ask("late")
        ready = server.ask("GET", "/readyz")
        first.join()
    assert told["first"][0] == 200
    assert told["late"][0] == 503
    assert int(told["late"][1]["retry-after"]) >= 1
    assert told["late"][1]["connection"] == "close"
    assert ready[0] == 503 and set(ready[2]) == {"error", "request"}


def test_what_takes_longer_than_the_end_may_is_told_so():
    told, model = [], Grey()
    with running({"grey": model}, drain_seconds=0.2) as server:
        model.seconds, server.app.shelf.get("grey").batcher.inline = 3.0, False
        asking = threading.Thread(target=lambda: told.append(server.predict(png())))
        asking.start()
        assert until(lambda: server.app.answering.busy == 1)
        server.server.stop()
        asking.join()
    ((status, headers, body),) = told
    assert status == 503 and set(body) == {"error", "request"}
    assert int(headers["retry-after"]) >= 1


# ---------------------------------------------------------------- names
def test_models_are_named_by_their_folder_their_file_or_a_word(tmp_path):
    run = tmp_path / "runs" / "mis fotos"
    run.mkdir(parents=True)
    (run / "model.vistazo").touch()
    (tmp_path / "digits.onnx").touch()
    (tmp_path / "a=b.vistazo").touch()
    words = [str(run), str(tmp_path / "digits.onnx"), f"other={run}", str(tmp_path / "a=b.vistazo")]
    assert named(words) == {
        "mis-fotos": run / "model.vistazo",
        "digits": tmp_path / "digits.onnx",
        "other": run / "model.vistazo",
        "a-b": tmp_path / "a=b.vistazo",
    }


def test_two_models_of_one_name_and_a_model_that_is_not_there_are_told(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.vistazo").touch()
    with pytest.raises(UsageError, match="Two models are called x"):
        named([str(tmp_path / "one" / "x.vistazo"), str(tmp_path / "two" / "x.vistazo")])
    for name in ("mis-cifras-ñ", "a b", "", '"x"'):
        with pytest.raises(UsageError, match="cannot be called"):
            named([f"{name}={tmp_path / 'one' / 'x.vistazo'}"])
        with pytest.raises(UsageError, match="cannot be called"):
            create({name: Grey()}, ServeSettings())
    with pytest.raises(RunError, match="no model at"):
        named([str(tmp_path / "absent.vistazo")])
