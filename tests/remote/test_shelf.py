"""The copies of addresses in the cache: listed, kept while a process reads them, cleared when none does."""

import os
import signal
import subprocess
import sys
import time

import pytest

from vistazo.remote import copies, opening, shelf
from vistazo.remote.opening import opened

pytestmark = pytest.mark.usefixtures("hurried")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of the test's own, and a process that reads nothing yet."""
    monkeypatch.setenv("VISTAZO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(opening, "_open", {})
    monkeypatch.setattr(opening, "_asked", {})
    shelf.release()
    yield tmp_path / "cache" / "remote"
    shelf.release()


def find(url):
    """Open an address as a new command would, which is over at once."""
    path = opened(url, say=lambda sentence: None, anew=True)
    shelf.release()
    return path


CHILD = """
import sys, time
from vistazo.remote.opening import opened
path = opened(sys.argv[1], say=lambda one: print(one, flush=True))
print("has", path, flush=True)
sys.stdin.readline()
print(path.read_bytes()[:4], flush=True)
"""


@pytest.fixture
def reader():
    """Another process that opens an address and reads it once it gets a line."""
    started = []

    def start(url):
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LANGUAGE": "en"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(process, word):
    """The first line of a process that holds the word."""
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"it ended without {word}")


def test_the_command_lists_copies_and_clears_them(web, verb, folder):
    url = web.put("/flores.zip?key=hidden", bytes(2_000_000), etag='"1"')
    find(url)
    shown = f"{web.url}/flores.zip?key=..."
    said = verb("cache")
    assert f"copy of  {shown}\n" in said.out
    assert "hidden" not in said.out
    assert f"copies of addresses in {folder}: " in said.out
    (one,) = verb("cache", "--json").json["entries"]
    assert (one["kind"], one["source"], one["complete"], one["reading"]) == ("copy", shown, True, False)
    assert one["bytes"] >= 2_000_000
    assert time.time() - one["used"] < 60
    told = verb("cache", "clear", "--json").json
    assert (told["copies_removed"], told["copies_freed"], told["entries"]) == (1, one["bytes"], [])
    assert list(folder.iterdir()) == []


def test_clearing_tells_how_many_copies_went(web, verb):
    for at in range(3):
        find(web.put(f"/{at}.zip", b"one"))
    assert "removed: 3 copies of addresses, 1 MB" in verb("cache", "clear").out


def test_what_was_used_last_comes_first(web):
    urls = [web.put(f"/{at}.zip", b"one", etag='"1"') for at in range(3)]
    for at, url in enumerate(urls):
        os.utime(find(url).parent / shelf.ABOUT, (at, at))
    find(urls[1])
    assert [one.source for one in shelf.kept()] == [urls[1], urls[2], urls[0]]


def test_a_copy_that_this_process_reads_stays(web):
    url = web.put("/a.zip", b"one")
    path = opened(url, say=print)
    assert [one.reading for one in shelf.kept()] == [True]
    assert shelf.clear() == (0, 0)
    assert path.read_bytes() == b"one"
    shelf.release()
    assert shelf.clear()[0] == 1
    assert opened(url, say=print).read_bytes() == b"one"  # fetched anew


def test_a_copy_that_another_process_reads_stays_until_that_ends(web, reader, verb, folder):
    url = web.put("/a.zip", b"one!", etag='"1"')
    find(url)
    other = reader(url)
    until(other, "has")
    assert "in use" in verb("cache", "clear").out
    other.stdin.write("\n")
    other.stdin.flush()
    assert until(other, "b'") == "b'one!'\n"
    other.wait(timeout=20)
    assert shelf.clear()[0] == 1
    assert list(folder.iterdir()) == []


def test_a_copy_whose_reader_was_killed_is_cleared(web, reader, folder):
    url = web.put("/a.zip", b"one!", etag='"1"')
    other = reader(url)
    until(other, "has")
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert list(folder.glob(".*.use"))
    assert shelf.clear()[0] == 1
    assert list(folder.iterdir()) == []


def test_a_copy_that_is_being_made_stays_and_what_a_killed_process_left_goes(web, reader, folder):
    data = bytes(4 << 20)
    url = web.put("/big.zip", data, etag='"1"', pause=0.1)
    other = reader(url)
    until(other, "fetching")
    while not list(folder.rglob("*.part")):
        time.sleep(0.01)
    assert shelf.clear() == (0, 0)
    (one,) = shelf.kept()
    assert (one.source, one.complete, one.reading) == (url, False, True)
    other.kill()
    other.wait()
    (one,) = shelf.kept()
    assert (one.source, one.complete, one.reading) == (url, False, False)
    assert shelf.clear()[0] == 1
    assert list(folder.iterdir()) == []


def test_a_copy_that_was_cleared_meanwhile_is_fetched_anew(web, monkeypatch):
    url = web.put("/a.zip", b"one", etag='"1"')
    find(url)
    found = copies.copies

    def cleared(url):
        kept = found(url)
        shelf.clear()  # by another process, between the look and the use
        return kept

    monkeypatch.setattr(opening, "copies", cleared)
    assert find(url).read_bytes() == b"one"


def test_a_copy_in_a_cache_that_may_only_be_read_is_used(web, monkeypatch, small_disk, read_only):
    disk = small_disk("4m")
    monkeypatch.setenv("VISTAZO_CACHE", str(disk))
    url = web.put("/a.zip", b"one", etag='"1"')
    find(url)
    read_only(disk)
    assert find(url).read_bytes() == b"one"
    assert shelf.clear() == (0, 0)
    web.put("/a.zip", codes=[503] * 9)
    assert find(url).read_bytes() == b"one"
