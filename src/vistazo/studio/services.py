"""Services that the studio has started: `vistazo serve` in a process of its own, on this computer alone.

They outlive the page they were started on, and end with the studio: each ends when its standard input does, and the
studio holds the other end of that pipe.
"""

import atexit
import contextlib
import json
import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vistazo.bundle import disk_sentence
from vistazo.errors import DiskError, RunError
from vistazo.language import tr
from vistazo.serving.asking import address_of, curl_line
from vistazo.studio import working

__all__ = ["Service", "running", "start", "stop", "stop_all"]

PATIENCE = 300.0  # seconds until it must have said where it listens: a slow computer loads torch in a minute
LAST_WORDS = 10.0  # seconds in which it may answer what it was asked
_STARTED: "dict[Path, Service]" = {}
_TURN = threading.Lock()


@dataclass(frozen=True)
class Service:
    """A service that listens. url: where; name: of its model there; task: what the model learnt."""

    process: "subprocess.Popen[str]"
    url: str
    name: str
    task: str

    @property
    def address(self) -> str:
        """Where it answers."""
        return address_of(self.url, self.name)

    @property
    def curl(self) -> str:
        """A line for a terminal that asks it."""
        return curl_line(self.address, self.task, token=bool(os.environ.get("VISTAZO_TOKEN")))


def running(run: Path) -> Service | None:
    """The service of a run's model, where one listens."""
    found = _STARTED.get(run)
    if found is not None and found.process.poll() is not None:
        _STARTED.pop(run, None)
        return None
    return found


def start(run: Path, model: Path) -> Service:
    """Serve a run's model on a free port; the one that listens already is kept. Takes a while: call it in a thread.

    Raises RunError with the sentence that the service ended with, or where it says nothing.
    """
    with _TURN:
        found = running(run)
        if found is not None:
            return found
        words = [
            "serve",
            str(model),
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--quiet",
            "--while-input",
        ]
        command, environment = working.program(words)
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                encoding="utf-8", env=environment,
            )  # fmt: skip
        except OSError as error:
            raise DiskError(disk_sentence(model, error)) from error
        told = _first_words(process)
        try:
            one = told["models"][0]
            service = Service(process, str(told["url"]), str(one["name"]), str(one["task"]))
        except (KeyError, IndexError, TypeError):
            _end(process)
            raise RunError(str(told.get("error") or tr("The service did not start; try again."))) from None
        _STARTED[run] = service
        return service


def _first_words(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The object that it prints when it listens, or when it will not; empty where it prints none in time."""
    found: list[str] = []
    stream = process.stdout
    assert stream is not None

    def read() -> None:
        with contextlib.suppress(OSError, ValueError), stream:
            found.append(stream.readline())
            for _ in stream:  # or it would wait for a reader one day
                pass

    threading.Thread(target=read, daemon=True).start()
    waited = 0.0
    while not found and waited < PATIENCE:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            threading.Event().wait(0.1)  # the reader is about to have its last words
        waited += 0.1
    with contextlib.suppress(ValueError):
        told = json.loads(found[0] if found else "")
        if isinstance(told, dict):
            return told
    return {}


def stop(run: Path) -> None:
    """End a run's service; what it was asked is answered first. Takes a while: call it in a thread."""
    with _TURN:
        found = _STARTED.pop(run, None)
    if found is not None:
        _end(found.process)


def stop_all() -> None:
    """End every service: the studio ends."""
    for run in list(_STARTED):
        stop(run)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(LAST_WORDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


atexit.register(stop_all)
