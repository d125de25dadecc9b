"""Work in another process: `vistazo check`, `train` and the others, as a person would type them.

A job is a folder with job.json (which process), out (the one JSON object of --json) and err (what a person would
have seen). The process has a session of its own, so it goes on when the page closes and when the studio ends.
"""

import json
import os
import site
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vistazo
from vistazo import language, platform
from vistazo.bundle import disk_sentence
from vistazo.engine.runs import read_json
from vistazo.errors import DiskError
from vistazo.language import tr

__all__ = ["Job", "ask", "job_of", "program", "start"]

_TAIL = 4096  # bytes of what was said that are looked at
_STARTED: set[int] = set()  # processes of ours that have not been waited for yet


@dataclass(frozen=True)
class Job:
    """How a job gets on. told: what it answered, once it has ended well. error: the sentence it ended with.

    process: its number. said: the last line a person would have seen.
    """

    process: int
    runs: bool
    told: dict[str, Any]
    error: str
    said: str


def program(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """(command, environment) of `vistazo ARGUMENTS --json` as a process of its own, in the language in force.

    Nothing in the current folder is imported, whatever it is called: people keep a random.py beside their pictures.
    """
    command = [sys.executable, "-P", "-m", "vistazo", *arguments, "--json", "--lang", language.current()]
    environment, ours = dict(os.environ), str(Path(vistazo.__file__).absolute().parents[1])
    told = [one for one in environment.get("PYTHONPATH", "").split(os.pathsep) if one]
    found = [*told, *site.getsitepackages(), site.getusersitepackages()]
    # Only where it is not installed: site-packages before the standard library would hide parts of that.
    if not any(_same(one, ours) for one in found):
        told.append(ours)
    # As paths from the root, and never '', which is the current folder too.
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(one).absolute()) for one in told)
    return command, environment


def _same(one: str, other: str) -> bool:
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def start(folder: Path, arguments: Sequence[str]) -> None:
    """Begin `vistazo ARGUMENTS` as the job of that folder, in the language in force. Raises DiskError."""
    command, environment = program(arguments)
    process = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                start_new_session=True,  # a closed terminal does not end it
            )
        _STARTED.add(process.pid)
        threading.Thread(target=_wait, args=(process,), daemon=True).start()
        told = {
            "process": process.pid,
            "name": platform.process_name(process.pid),
            "arguments": list(arguments),
        }
        platform.replace_file(folder / "job.json", [json.dumps(told).encode()])
    except OSError as error:
        if process is not None:
            process.kill()  # nobody would ever hear of it
        raise DiskError(disk_sentence(folder, error)) from error


def _wait(process: "subprocess.Popen[bytes]") -> None:
    """A process that ended and was not waited for would count as running."""
    process.wait()
    _STARTED.discard(process.pid)


def job_of(folder: Path) -> Job | None:
    """How the job of a folder gets on; None where there is none."""
    told = read_json(folder / "job.json")
    process = told.get("process")
    if not isinstance(process, int):
        return None
    # After a restart of the studio the name tells it from another process that was given its number.
    running = process in _STARTED or _lives(process, str(told.get("name")))
    said = _last_line(folder / "err")
    if running:
        return Job(process, True, {}, "", said)
    answer = read_json(folder / "out")
    if answer and "error" not in answer:
        return Job(process, False, answer, "", said)
    error = str(answer.get("error") or said or tr("The work ended without a word; start it again."))
    return Job(process, False, {}, error, said)


def _lives(process: int, name: str) -> bool:
    lives = platform.process_lives(name)
    if lives is None and name.endswith(" -"):
        # This system does not tell when a process began: its number has to do.
        here = name.split(" ")[0] == platform.process_name().split(" ")[0]
        return here and platform.process_alive(process)
    return lives is True


def _last_line(file: Path) -> str:
    try:
        with open(file, "rb") as opened:
            opened.seek(0, os.SEEK_END)
            opened.seek(max(0, opened.tell() - _TAIL))
            text = opened.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    return lines[-1] if lines else ""


def ask(run: Path, word: str) -> None:
    """Ask a run to 'pause' or to 'stop'; '' lets it go on. Raises DiskError."""
    file = run / "control"
    try:
        if word:
            file.write_text(word, encoding="utf-8")
        else:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(disk_sentence(file, error)) from error
