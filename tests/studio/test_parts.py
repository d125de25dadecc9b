"""A handler that fails says so in one sentence, whatever it fails with."""

import asyncio
import errno
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from vistazo.errors import RunError

pytest.importorskip("nicegui")
from vistazo.config import build
from vistazo.errors import ConfigError, DiskError
from vistazo.language import speaking
from vistazo.studio import parts, pieces, state, working
from vistazo.studio.pages import learning
from vistazo.studio.settings import StudioSettings


class Said:
    """What a message would show."""

    def __init__(self):
        self.text = "before"

    def say(self, text, *, wrong=False):
        self.text = text


def finished(work):
    """What a coroutine gives, in a thread of its own: the browser of other tests has a loop in this one."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(asyncio.run, work).result()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RunError("There is no run."), "There is no run."),
        (MemoryError(), "too little memory"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full."),
    ],
)
def test_a_handler_that_fails_tells_it_in_the_message(error, sentence):
    async def later():
        raise error

    def at_once():
        raise error

    for handler in (later, at_once):
        said = Said()
        finished(parts.guarded(handler, said)(None))
        assert sentence in said.text


@pytest.fixture
def studio(tmp_path):
    return state.create(build(StudioSettings, {"folder": (str(tmp_path),), "runs": str(tmp_path / "runs")}))


def test_a_run_that_could_not_be_started_leaves_its_name_free(studio, monkeypatch):
    (studio.own / "jobs").write_text("in the way")
    with pytest.raises(DiskError):
        learning.begin_run(studio, "cats", ["train", "nothing"])
    assert not (studio.runs / "cats").exists()


def test_a_run_whose_folder_cannot_be_made_is_a_fault_of_the_disk(studio, monkeypatch):
    monkeypatch.setattr(working, "start", lambda *_: pytest.fail("there is nowhere to write"))
    (studio.own).rmdir()
    studio.runs.rmdir()
    with pytest.raises(DiskError):
        learning.begin_run(studio, "cats", ["train", "nothing"])


def test_many_pages_that_wait_for_a_network_keep_no_other_work_waiting():
    free, at_once, most = threading.Event(), [], []

    def long(number):
        at_once.append(number)
        most.append(len(at_once))
        assert free.wait(60)
        at_once.remove(number)
        return number

    async def crowd():
        waiting = [asyncio.ensure_future(pieces.alone(long, number)) for number in range(64)]
        await asyncio.sleep(0.1)
        assert await asyncio.wait_for(parts.in_thread(sum, [1, 2]), 30) == 3
        free.set()
        return await asyncio.gather(*waiting)

    assert finished(crowd()) == list(range(64))
    assert max(most) == 1


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [("0", "at least 1, not 0"), ("-3", "at least 1, not -3"), ("x", "'x' is no whole number"), ("1.5", "no whole"),
     ("٣", "no whole number"), ("", "no whole number")],
)  # fmt: skip
def test_what_is_no_count_is_told_for_what_it_is(typed, sentence):
    assert pieces.counted(" 7 ") == 7
    with pytest.raises(ConfigError, match=sentence):
        pieces.counted(typed)


def test_a_number_has_the_decimal_sign_of_the_language():
    assert pieces.decimal("4.5e-05") == "4.5e-05"
    with speaking("es"):
        assert pieces.decimal("4.5e-05") == "4,5e-05"
