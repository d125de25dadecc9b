"""Whatever differs between systems, with the fallbacks played through."""

import errno
import io
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import unicodedata
from pathlib import Path

import pytest

from vistazo import platform

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc of POSIX")


# ---------------------------------------------------------------- paths with accents
def test_a_decomposed_name_is_found_by_its_composed_spelling(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "año nuevo") for form in ("NFC", "NFD"))
    (tmp_path / decomposed).mkdir()
    found = platform.existing(tmp_path / composed)
    assert found.is_dir()


def test_a_composed_name_is_found_by_its_decomposed_spelling(tmp_path):
    (tmp_path / unicodedata.normalize("NFC", "pingüino.jpg")).write_bytes(b"")
    assert platform.existing(tmp_path / unicodedata.normalize("NFD", "pingüino.jpg")).is_file()


def test_where_both_spellings_exist_the_one_that_was_written_is_meant(tmp_path):
    for form in ("NFC", "NFD"):
        (tmp_path / unicodedata.normalize(form, "ñ")).write_text(form)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system joins both spellings")
    for form in ("NFC", "NFD"):
        assert platform.existing(tmp_path / unicodedata.normalize(form, "ñ")).read_text() == form


def test_folders_of_different_spellings_on_one_path_are_found(tmp_path):
    """An archive from macOS unpacked inside a folder made on Linux."""
    place = tmp_path / unicodedata.normalize("NFC", "niñas") / unicodedata.normalize("NFD", "años")
    place.mkdir(parents=True)
    for form in ("NFC", "NFD"):
        assert platform.existing(unicodedata.normalize(form, str(place))).is_dir()


def test_a_path_that_does_not_exist_stays_as_it_was_written(tmp_path):
    assert platform.existing(tmp_path / "ñ") == tmp_path / "ñ"


def test_a_new_name_below_a_folder_of_the_other_spelling_makes_no_second_folder(tmp_path):
    (tmp_path / unicodedata.normalize("NFD", "años")).mkdir()
    platform.existing(tmp_path / "años" / "nuevo").mkdir(parents=True)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["~nobody-has-this-name/x", "a" * 300, "a\0b", ".", ""])
def test_any_name_is_answered(name):
    assert platform.existing(name) == Path(name)


@posix
def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert platform.existing("~/x") == tmp_path / "x"


# ---------------------------------------------------------------- whole or not at all
def test_a_file_is_replaced_whole(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"old")
    platform.replace_file(file, (b"new ", b"parts"))
    assert file.read_bytes() == b"new parts"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("stage", ["write", "fsync", "read back", "rename"])
def test_whatever_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, stage):
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "played")

    def parts():
        yield b"half"
        if stage == "write":
            fail()
        yield b"other half"

    if stage == "fsync":
        monkeypatch.setattr(platform.os, "fsync", fail)
    if stage == "read back":
        monkeypatch.setattr(
            platform.hashlib, "file_digest", lambda *_: platform.hashlib.sha256(b"something else")
        )
    if stage == "rename":
        monkeypatch.setattr(platform.os, "replace", fail)
    with pytest.raises(OSError, match="played|read back"):
        platform.replace_file(file, parts())
    assert file.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def parts():
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        platform.replace_file(file, parts())
    assert file.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        pytest.param(errno.ENOSPC, "full", id="no space"),
        pytest.param(errno.EDQUOT, "full", id="quota"),
        pytest.param(errno.EROFS, "read-only", id="read-only file system"),
        pytest.param(errno.EACCES, "read-only", id="no permission"),
        pytest.param(errno.EIO, "failing", id="a failing disk"),
    ],
)
def test_what_the_operating_system_complains_of(code, kind):
    assert platform.disk_failure(OSError(code, "")) == kind


# ---------------------------------------------------------------- terminal
def _said_in(encoding: str) -> bytes:
    code = "from vistazo import platform; platform.safe_streams(); print('ñandú → 漢字')"
    surroundings = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=surroundings
    ).stdout


def test_output_survives_a_windows_console():
    assert _said_in("cp1252").decode("cp1252").strip() == "ñandú ? ??"


def test_output_survives_ascii():
    assert _said_in("ascii").strip() == b"?and? ? ??"


def test_a_stream_that_cannot_be_changed_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)
    platform.safe_streams()


# ---------------------------------------------------------------- processes and signals
def test_this_process_is_alive():
    assert platform.process_alive(os.getpid())


def test_an_ended_process_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not platform.process_alive(child.pid)


@pytest.mark.parametrize("number", [0, -1])
def test_no_process_has_such_a_number(number):
    assert not platform.process_alive(number)


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_a_stop_signal_is_a_call_and_not_an_end(number):
    asked = []
    before = signal.getsignal(number)
    with platform.on_stop_signals(lambda: asked.append(1)):
        os.kill(os.getpid(), number)
        time.sleep(0.01)
    assert asked == [1]
    assert signal.getsignal(number) is before


@posix
def test_a_second_signal_ends_the_process():
    code = textwrap.dedent("""
        import os, signal
        from vistazo import platform
        with platform.on_stop_signals(lambda: print("asked", flush=True)):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            print("still here", flush=True)
    """)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGTERM
    assert ended.stdout == "asked\n"


def test_outside_the_main_thread_signals_stay_as_they_are():
    import threading

    worked = []

    def work() -> None:
        with platform.on_stop_signals(lambda: None):
            worked.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert worked == [signal.getsignal(signal.SIGINT)]


def test_seconds_count_from_the_start_of_the_process():
    code = "import time; time.sleep(0.3); from vistazo import platform; print(platform.seconds_since_start())"
    begun = time.monotonic()
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    lasted = time.monotonic() - begun
    assert float(said) <= lasted + 0.1
    if Path("/proc/self/stat").exists():
        assert float(said) >= 0.25


# ---------------------------------------------------------------- machine
def test_a_command_inside_a_longer_process_counts_its_own_seconds(monkeypatch):
    monkeypatch.setattr(platform, "_clock", {"began": 0.0, "own": 0.0})
    before = platform.seconds_since_start()
    assert before > 0.1  # this process has imported torch
    platform.command_begins()
    assert platform.seconds_since_start() < before
    platform.one_command()
    began = platform.seconds_since_start()
    platform.command_begins()
    assert platform.seconds_since_start() >= began


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("VISTAZO_CACHE", str(tmp_path))
    assert platform.cache_folder() == tmp_path


def test_the_cache_is_the_systems_own_otherwise(monkeypatch):
    monkeypatch.delenv("VISTAZO_CACHE")
    assert platform.cache_folder().name.lower() == "vistazo" or "vistazo" in str(platform.cache_folder())


def test_cores_are_between_one_and_what_the_system_has():
    assert 1 <= platform.physical_cores() <= (os.cpu_count() or 1)


def test_a_system_without_affinity_still_has_cores(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert platform.physical_cores() >= 1


def test_one_core_has_none_to_spare(monkeypatch):
    monkeypatch.setattr(platform, "physical_cores", lambda: 1)
    assert not platform.spare_core()


@pytest.mark.skipif(os.name != "posix", reason="no socket is handed to a child there")
def test_a_process_beside_has_our_paths_and_not_those_of_the_folder_it_is_started_in(tmp_path, monkeypatch):
    """A file of the user's called json.py is no module of ours; where '' is among the paths, it is, as for us."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit(7)")
    monkeypatch.setattr(sys, "path", ["relative", *[one for one in sys.path if one]])
    ours, theirs = socket.socketpair()
    program = (
        "import json, socket, sys; one = socket.socket(fileno=int(sys.argv[1])); "
        "one.sendall(json.dumps([sys.argv[2], json.loads(sys.argv[3])]).encode())"
    )
    with ours:
        with theirs:
            process = platform.start_beside(program, theirs.fileno(), "word")
        found = b""
        while data := ours.recv(1 << 16):
            found += data
    assert process.wait(30) == 0
    assert json.loads(found) == ["word", [str(tmp_path / "relative"), *sys.path[1:]]]


def test_the_machine_is_told_in_words_that_json_can_hold():
    told = platform.machine()
    assert set(told) == {"system", "processor", "cores", "python"}
    assert all(isinstance(one, str | int) and one for one in told.values())


def test_peak_memory_is_bytes():
    most = platform.peak_memory()
    assert most is None or most > 5 << 20  # no interpreter fits in less


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_freed_blocks_can_be_kept_here_or_the_answer_is_no():
    code = "from vistazo import platform; print(platform.keep_freed_blocks())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() in ("True", "False")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_blocks_that_were_kept_can_be_returned():
    code = """if True:
        import re
        from pathlib import Path
        import numpy as np
        from vistazo import platform

        def held():
            return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10

        if not platform.keep_freed_blocks():
            raise SystemExit("no glibc")
        several = [np.ones(1 << 20) for _ in range(40)]  # 8 MB each
        last = np.ones(10)
        full = held()
        del several
        print(full, held(), platform.return_freed_blocks(), held())
    """
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if "no glibc" in said.stderr:
        pytest.skip("no glibc")
    full, kept, answer, left = said.stdout.split()
    assert answer == "True", said.stderr
    assert int(kept) > int(full) - 40
    assert int(left) < int(full) - 280


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_elsewhere_freed_blocks_are_left_to_the_system(monkeypatch, system):
    monkeypatch.setattr(platform.sys, "platform", system)
    assert not platform.keep_freed_blocks()
    assert not platform.return_freed_blocks()


def test_waiting_threads_sleep_unless_the_user_said_otherwise(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    platform.wait_quietly()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv("KMP_BLOCKTIME", "200")
    monkeypatch.setenv("GOMP_SPINCOUNT", "")  # so that it is taken away again
    monkeypatch.delenv("GOMP_SPINCOUNT")
    platform.wait_quietly()
    assert (os.environ["GOMP_SPINCOUNT"], os.environ["KMP_BLOCKTIME"]) == ("1000", "200")


# ---------------------------------------------------------------- memory and files
def test_free_memory_is_some_and_no_more_than_there_is():
    found = platform.free_memory()
    assert 1 << 20 < found <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_its_own_limit_counts():
    code = (
        "import resource; from vistazo import platform;"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); print(platform.free_memory())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 500 << 20 < int(found) < 1 << 30


@pytest.mark.parametrize(
    ("line", "kind", "names"),
    [
        ("0::/jobs/7", "", ("memory.max", "memory.current")),
        ("5:memory:/jobs/7", "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")),
    ],
)
def test_the_limits_of_control_groups_count_and_what_files_take_does_not(tmp_path, line, kind, names):
    def group(path, limit, taken, files):
        folder = tmp_path / kind / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / names[0]).write_text(f"{limit}\n")
        (folder / names[1]).write_text(f"{taken}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {files}\nactive_file 1\n")

    group("jobs/7", "max", 10, 0)
    assert platform._free_in_control_groups(line, tmp_path) == []
    group("jobs", 1000, 600, 299)
    assert platform._free_in_control_groups(f"9:cpu:/x\n{line}\n", tmp_path) == [700]
    group("jobs/7", 500, 450, 9)
    assert platform._free_in_control_groups(line, tmp_path) == [60, 700]


@pytest.mark.parametrize("seeking", [False, True])
def test_writing_at_a_place_leaves_the_rest(tmp_path, monkeypatch, seeking):
    if seeking:  # as on Windows
        monkeypatch.delattr(os, "pwrite")
    path = tmp_path / "file"
    path.write_bytes(b"..........")
    with open(path, "r+b") as file:
        platform.write_at(file.fileno(), b"abc", 3)
        platform.write_at(file.fileno(), b"z", 11)
    assert path.read_bytes() == b"...abc....\0z"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_stop_waits_for_the_end_of_a_block_that_must_not_be_interrupted():
    done = []

    def stop():
        raise InterruptedError

    def work():
        with platform.on_stop_signals(stop):
            with platform.stops_wait():
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
                done.append("the block")
            done.append("behind it")

    with pytest.raises(InterruptedError):
        work()
    assert done == ["the block"]
    with platform.on_stop_signals(lambda: done.append("asked")):
        with platform.stops_wait():
            done.append("again")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    assert done == ["the block", "again", "asked"]


def test_leaving_does_what_was_registered_and_says_all_that_was_said():
    code = """if True:
        import atexit, sys, tempfile, threading, time
        from vistazo import platform

        folder = tempfile.TemporaryDirectory()
        atexit.register(print, "registered")
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        print(folder.name)
        print("x" * 200_000)
        sys.stderr.write("no line end")
        platform.leave(3)
    """
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    folder, long, registered = said.stdout.splitlines()
    assert (said.returncode, len(long), registered) == (3, 200_000, "registered")
    assert said.stderr.endswith("no line end")
    assert not Path(folder).exists()


def test_a_process_is_known_by_its_name_as_long_as_it_runs():
    assert platform.process_lives(platform.process_name()) is True
    code = "import sys; from vistazo import platform; print(platform.process_name(), flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        name = other.stdout.readline().strip()
        assert name.split(" ")[1] == str(other.pid)
        assert platform.process_lives(name) is True
        if sys.platform == "linux":
            assert platform.process_lives(f"{name}1") is False  # the number was given to another one
        other.kill()
        time.sleep(0.3)
        if sys.platform == "linux":
            assert platform.process_lives(name) is False  # though nobody has asked how it ended
    assert platform.process_lives(name) is False


@pytest.mark.parametrize("name", ["", "elsewhere 1 5", "elsewhere", " 1 5"])
def test_of_another_computers_process_nothing_is_known(name):
    assert platform.process_lives(name) is None
