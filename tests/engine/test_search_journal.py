"""The journal: nothing half, nothing twice, and readable after whatever a kill left."""

import os
import subprocess
import sys
import time

import pytest

from vistazo import platform
from vistazo.engine import search_journal
from vistazo.engine.search_drawing import draw
from vistazo.engine.search_journal import Journal
from vistazo.engine.search_spaces import parse

SPACES = {"rate": parse("rate", "log:1e-4..1e-2"), "batch": parse("batch", "16,32")}


def journal(folder, spaces=SPACES):
    return Journal(folder, spaces, lower_is_better=False)


def add(kept, **values):
    return kept.add(values, until=1, bracket=0, origin="sampled")


def test_a_trial_is_read_by_another_process_as_it_was_written(tmp_path):
    one = journal(tmp_path)
    first = one.add({"rate": 5.0}, until=20, bracket=-1, origin="recipe", keeps="last")
    second = add(one, rate=0.001, batch=32)
    one.report(second.number, 1, 0.5)
    one.report(second.number, 2, None)
    one.report(second.number, 3, 0.4)
    one.promote(second.number, 7)
    one.note(second.number, seconds=2.5)
    one.end(first.number, "failed", reason="no")
    entries = journal(tmp_path).entries()
    assert entries == one.entries()
    assert entries[0].values == {"rate": 5.0} and entries[0].state == "failed" and entries[0].reason == "no"
    assert entries[1].curve == (0.5, None, 0.4) and entries[1].until == 7 and entries[1].seconds == 2.5
    assert (
        entries[1].judged(False) == 0.5
        and entries[1].judged(True) == 0.4
        and entries[1].judged(False, 1) == 0.5
    )
    assert entries[1].state == "running" and entries[1].values == {"rate": 0.001, "batch": 32}


def test_the_last_figure_is_what_counts_where_the_last_weights_are_kept(tmp_path):
    one = journal(tmp_path)
    entry = one.add({}, until=3, bracket=0, origin="sampled", keeps="last")
    for epoch, figure in enumerate((0.7, 0.6), 1):
        one.report(entry.number, epoch, figure)
    assert one.entries()[0].judged(False) == 0.6


def test_an_epoch_told_again_is_no_other_epoch(tmp_path):
    one = journal(tmp_path)
    add(one, rate=0.001, batch=16)
    for _ in range(2):
        one.report(0, 1, 0.5)
    assert one.entries()[0].curve == (0.5,)


@pytest.mark.parametrize("torn", [b"{", b'{"op_code":4,"worker', b'{"op_code":4,"worker_id":"x"}'])
def test_a_line_that_was_torn_is_put_right(tmp_path, torn):
    one = journal(tmp_path)
    add(one, rate=0.001, batch=16)
    path = tmp_path / "study.journal"
    path.write_bytes(path.read_bytes() + torn)
    again = journal(tmp_path)
    assert len(again.entries()) == 1
    again.report(0, 1, 0.5)
    assert journal(tmp_path).entries()[0].curve == (0.5,)


def test_the_lock_of_a_dead_process_is_taken_away_at_once(tmp_path):
    one = journal(tmp_path)
    code = "from vistazo import platform; print(platform.process_name())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    lock = tmp_path / "study.journal.lock"
    lock.write_text(f"{dead.stdout.strip()} 1")
    began = time.monotonic()
    add(one, rate=0.001, batch=16)
    assert time.monotonic() - began < 5
    assert not lock.exists()


def test_the_number_of_a_dead_process_may_be_another_ones_by_now(tmp_path):
    one = journal(tmp_path)
    where, number, _ = platform.process_name(os.getppid()).split(" ")
    (tmp_path / "study.journal.lock").write_text(f"{where} {number} 1 x")  # began with the kernel
    began = time.monotonic()
    add(one, rate=0.001, batch=16)
    assert time.monotonic() - began < 5


HOLDS = """
import sys, time
from pathlib import Path
from vistazo.engine.search_journal import Journal
kept = Journal(Path(sys.argv[1]), {}, lower_is_better=False)
kept._storage._backend._lock.acquire()
print("held", flush=True)
time.sleep(float(sys.argv[2]))
kept._storage._backend._lock.release()
"""


def test_the_lock_of_a_living_process_is_waited_for_however_old_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(search_journal, "_STALE", 0.2)
    one = journal(tmp_path)
    words = [sys.executable, "-c", HOLDS, str(tmp_path), "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as held:
        assert held.stdout.readline() == b"held\n"
        began = time.monotonic()
        add(one, rate=0.001, batch=16)
        assert time.monotonic() - began > 0.8
    assert held.returncode == 0
    assert len(one.entries()) == 1


def test_the_lock_of_another_computer_is_taken_away_by_its_age_alone(tmp_path, monkeypatch):
    """Its number belongs to nobody here, and that says nothing."""
    monkeypatch.setattr(search_journal, "_STALE", 1.0)
    one = journal(tmp_path)
    (tmp_path / "study.journal.lock").write_text("elsewhere/pid:[1] 4000000 5 x")
    began = time.monotonic()
    add(one, rate=0.001, batch=16)
    assert 1.0 <= time.monotonic() - began < 20


WRITES = """
import sys
from pathlib import Path
from vistazo.engine.search_journal import Journal
kept = Journal(Path(sys.argv[1]), {}, lower_is_better=False)
print("ready", flush=True)
kept.report(0, 1, 0.5)
"""


def test_a_container_does_not_take_away_what_it_cannot_see(tmp_path):
    """In a container with this computer's name the holder's number belongs to nobody, though it lives."""
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    try:
        subprocess.run([*inside, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("processes can be numbered apart by root on Linux only")
    one = journal(tmp_path)
    add(one, rate=0.001, batch=16)
    held = one._storage._backend._lock
    held.acquire()
    words = [*inside, sys.executable, "-c", WRITES, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"ready\n"
        time.sleep(1)
        assert other.poll() is None and one.entries()[0].curve == ()
        held.release()
    assert other.returncode == 0
    assert one.entries()[0].curve == (0.5,)


@pytest.mark.parametrize("stale", [30.0, 0.0])
def test_a_lock_that_another_has_taken_over_is_left_to_it(tmp_path, monkeypatch, stale):
    monkeypatch.setattr(search_journal, "_STALE", stale)
    one = journal(tmp_path)
    lock = tmp_path / "study.journal.lock"
    held = one._storage._backend._lock
    held.acquire()
    lock.unlink()  # another computer found it too old
    lock.write_text("elsewhere/pid:[1] 7 5 x")
    held.release()
    assert lock.read_text() == "elsewhere/pid:[1] 7 5 x"


def test_a_lock_that_this_process_forgot_is_no_obstacle(tmp_path):
    one = journal(tmp_path)
    (tmp_path / "study.journal.lock").write_text(f"{platform.process_name()} forgotten")
    add(one, rate=0.001, batch=16)
    assert len(one.entries()) == 1


def test_many_writers_lose_nothing(tmp_path):
    """Four processes, fifty epochs each, at once."""
    one = journal(tmp_path)
    for number in range(4):
        add(one, rate=0.001 + number / 1000, batch=16)
    code = (
        "import sys; from pathlib import Path; from vistazo.engine.search_journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), {}, lower_is_better=False)\n"
        "for epoch in range(1, 51): journal.report(int(sys.argv[2]), epoch, epoch / 100)"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)]) for n in range(4)]
    assert [one.wait() for one in started] == [0] * 4
    wanted = tuple(epoch / 100 for epoch in range(1, 51))
    assert [entry.curve for entry in one.entries()] == [wanted] * 4


# ---------------------------------------------------------------- drawing
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_values_are_drawn_from_the_seed_and_what_is_known(tmp_path, sampler):
    def drawn(seed, folder):
        folder.mkdir()
        one = journal(folder)
        for number in range(14):
            values = draw(SPACES, one.entries(), sampler=sampler, seed=seed, lower_is_better=False)
            add(one, **values)
            one.report(number, 1, -abs(values["rate"] - 0.003))
        return [entry.values for entry in one.entries()]

    first = drawn(0, tmp_path / "a")
    assert first == drawn(0, tmp_path / "b")
    assert first != drawn(1, tmp_path / "c")
    assert all(1e-4 <= one["rate"] <= 1e-2 and one["batch"] in (16, 32) for one in first)


def test_no_point_is_drawn_twice_and_a_finite_space_ends(tmp_path):
    spaces = {"a": parse("a", "1..3"), "b": parse("b", "x,y")}
    one = journal(tmp_path, spaces)
    one.add({"a": 2, "b": "x"}, until=1, bracket=-1, origin="recipe")
    found = []
    while (values := draw(spaces, one.entries(), sampler="tpe", seed=0, lower_is_better=False)) is not None:
        found.append(tuple(values.values()))
        add(one, **values)
    assert sorted(found) == [(1, "x"), (1, "y"), (2, "y"), (3, "x"), (3, "y")]
