"""Whatever differs between Linux, macOS and Windows, each with a fallback.

No other module asks which system it runs on. Nothing here imports torch.
"""

import atexit
import contextlib
import ctypes
import errno
import functools
import hashlib
import json
import locale
import os
import platform as _platform
import re
import shutil
import signal
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import subprocess

__all__ = [
    "cache_folder",
    "command_begins",
    "disk_failure",
    "existing",
    "free_memory",
    "keep_freed_blocks",
    "leave",
    "machine",
    "on_stop_signals",
    "one_command",
    "peak_memory",
    "physical_cores",
    "process_alive",
    "process_began",
    "process_lives",
    "process_name",
    "replace_file",
    "return_freed_blocks",
    "safe_streams",
    "seconds_since_start",
    "show_page",
    "spare_core",
    "start_beside",
    "stops_wait",
    "system_language",
    "take_away",
    "taken",
    "wait_quietly",
    "watched",
    "write_at",
]

_IMPORTED = time.time()
_SEEKING = threading.Lock()


# ---------------------------------------------------------------- language and terminal
def system_language() -> str:
    """The two-letter language of the user's system, such as 'es'; 'en' where it says nothing.

    The environment is asked first, everywhere (LANGUAGE, LC_ALL, LC_MESSAGES, LANG, as gettext does);
    then Windows and macOS are asked for the language of their own menus.
    """
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "").split(":")[0]
        if value:
            code = re.split(r"[._@-]", value)[0].lower()
            return "en" if code in ("c", "posix") else code
    if sys.platform == "win32":
        return _windows_language()
    if sys.platform == "darwin":
        return _macos_language()
    return "en"


def _windows_language() -> str:
    try:
        number = ctypes.windll.kernel32.GetUserDefaultUILanguage()  # type: ignore[attr-defined,unused-ignore]
        return locale.windows_locale.get(number, "en").split("_")[0]
    except (AttributeError, OSError):
        return "en"


def _macos_language() -> str:
    import subprocess

    try:
        answer = subprocess.run(
            ["defaults", "read", "-g", "AppleLocale"], capture_output=True, text=True, timeout=2, check=False
        ).stdout.strip()
        return answer.split("_")[0].split("-")[0].lower() or "en"
    except (OSError, subprocess.SubprocessError):
        return "en"


def safe_streams() -> None:
    """Let output survive a console that cannot encode it: 'ñ' becomes '?' instead of a crash."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def watched() -> bool:
    """Whether a person sits at this computer's screen and terminal, so that a page may be opened for them."""
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return False
    if os.environ.get("CI") or "SSH_CONNECTION" in os.environ:
        return False
    # Without a screen a browser of the terminal would take the terminal over.
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def show_page(page: Path | str) -> bool:
    """Open a page, a file or an address, in the person's browser; whether there is one."""
    import webbrowser

    try:
        return webbrowser.open(page if isinstance(page, str) else page.absolute().as_uri())
    except (webbrowser.Error, OSError):
        return False


def existing(path: str | os.PathLike[str]) -> Path:
    """`path`, each of its names with its accents composed the other way where only that one exists.

    macOS decomposes 'ñ' into 'n' + tilde in file names; archives carry that to other systems.
    """
    wanted = Path(path)
    with contextlib.suppress(RuntimeError):  # '~name' where nobody has that name is a file's own name
        wanted = wanted.expanduser()
    found = Path(wanted.anchor)
    for part in wanted.parts[1 if wanted.anchor else 0 :]:
        spellings = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        # Path.exists raises where a name is too long or holds a zero byte.
        found /= next((one for one in spellings if os.path.exists(found / one)), part)  # noqa: PTH110
    return found


# ---------------------------------------------------------------- files
def replace_file(path: Path, parts: Iterable[bytes]) -> None:
    """Write `path` so that a reader, or a power cut, finds the old file or the new one, never half of one.

    Written beside, flushed to disk, read back, renamed over the old one, and the folder flushed.
    Raises OSError with nothing but the old file left.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            written = hashlib.sha256()
            for part in parts:
                file.write(part)
                written.update(part)
            file.flush()
            os.fsync(file.fileno())
        with open(beside, "rb") as file:
            if hashlib.file_digest(file, "sha256").digest() != written.digest():
                raise OSError(errno.EIO, "what was read back is not what was written")
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    _flush_folder(path.parent)


def write_at(handle: int, data: bytes, place: int) -> None:
    """Write all of `data` at a place of an open file, from any thread. Raises OSError."""
    view = memoryview(data)
    while view:
        if hasattr(os, "pwrite"):
            written = os.pwrite(handle, view, place)
        else:  # Windows
            with _SEEKING:
                os.lseek(handle, place, os.SEEK_SET)
                written = os.write(handle, view)
        view, place = view[written:], place + written


def _flush_folder(folder: Path) -> None:
    if sys.platform == "win32":  # Windows opens no folders; its rename is journalled
        return
    with contextlib.suppress(OSError):  # some network file systems refuse
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def take_away(folder: Path) -> bool:
    """Remove a folder, at once for whoever looks; whether it could. Who has a file of it open or mapped keeps that."""
    aside = folder if folder.suffix == ".gone" else folder.with_name(f"{folder.name}.{os.getpid()}.gone")
    try:
        os.replace(folder, aside)
    except OSError:  # gone already, or, on Windows, in use
        return False
    shutil.rmtree(aside, ignore_errors=True)
    return True


def taken(folder: Path) -> int:
    """Bytes that a folder takes on the disk, at any depth: of a file with holes, what is written."""
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                about = (Path(above) / name).stat()
                total += int(getattr(about, "st_blocks", about.st_size / 512) * 512)
    return total


def disk_failure(error: OSError) -> str:
    """'full', 'read-only' or 'failing': what the operating system complains of."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or getattr(error, "winerror", 0) == 112:
        return "full"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "read-only"
    return "failing"


def cache_folder() -> Path:
    """Where Vistazo keeps what it may lose: `VISTAZO_CACHE`, or the system's folder for caches."""
    named = os.environ.get("VISTAZO_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("vistazo", appauthor=False))


# ---------------------------------------------------------------- processes and signals
def process_alive(number: int) -> bool:
    """Whether a process of that number is running."""
    if number <= 0:
        return False
    if sys.platform == "win32":
        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, number)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def process_name(number: int | None = None) -> str:
    """What a process (this one) is called among several computers: where it runs, its number, when it began.

    Three words. Containers that share a computer's name, and even its kernel, number their processes for themselves:
    the first word tells them apart. The last one is '-' where the system does not tell.
    """
    number = os.getpid() if number is None else number
    return f"{_numbering()} {number} {_process_began(number) or '-'}"


def process_lives(name: str) -> bool | None:
    """Whether the process of that name (`process_name`) runs; None where this computer cannot know."""
    where, _, rest = name.partition(" ")
    number, _, began = rest.partition(" ")
    if where != _numbering() or not number.isdecimal():
        return None
    if not process_alive(int(number)):
        return False
    found = _process_began(int(number))
    return None if not found or began == "-" else began == found


def process_began(number: int) -> float | None:
    """The moment at which a process of that number began, as `time.time` counts; None where nobody tells."""
    ticks = _process_began(number)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - uptime + int(ticks) / os.sysconf("SC_CLK_TCK")
    return None


@functools.cache
def _numbering() -> str:
    """What number processes together: on Linux the kernel since it was started, and the namespace on it."""
    with contextlib.suppress(OSError):
        booted = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{booted}/{Path('/proc/self/ns/pid').readlink()}"
    import socket
    import uuid

    return f"{socket.gethostname()}/{uuid.getnode():x}".replace(" ", "-")


def _process_began(number: int) -> str:
    """Ticks from the kernel's start to the process's; 'ended' of one that is only counted yet; '' where unknown."""
    try:
        fields = (
            Path(f"/proc/{number}/stat")
            .read_text(encoding="utf-8", errors="replace")
            .rsplit(")", 1)[1]
            .split()
        )
        return "ended" if fields[0] in ("Z", "X") else fields[19]
    except (OSError, IndexError):
        return ""


@contextlib.contextmanager
def on_stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Inside the block, SIGTERM and Ctrl-C (on Windows Ctrl-Break too) call `stop` instead of ending the process.

    A second one ends it at once. Outside the main thread nothing can be caught, and nothing is.
    """
    names = ("SIGTERM", "SIGINT", "SIGBREAK")
    before: dict[int, Any] = {}

    def handle(number: int, frame: object) -> None:
        if _waiting:
            _waiting[-1].append(stop)
        else:
            stop()
        signal.signal(number, before.get(number, signal.SIG_DFL))

    try:
        for name in names:
            if hasattr(signal, name):
                number = getattr(signal, name)
                before[number] = signal.getsignal(number)
                signal.signal(number, handle)
    except ValueError:  # not the main thread
        before.clear()
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


_waiting: list[list[Callable[[], None]]] = []  # what signals asked for in blocks of `stops_wait`


@contextlib.contextmanager
def stops_wait() -> Iterator[None]:
    """Inside the block, what `on_stop_signals` would call waits until the block ends.

    For the import of torch, whose C++ ends the process by SIGABRT where a signal's handler raises within it.
    """
    asked: list[Callable[[], None]] = []
    _waiting.append(asked)
    try:
        yield
    finally:
        _waiting.pop()
    for stop in asked[:1]:
        stop()


_clock = {
    "began": 0.0,
    "own": 0.0,
}  # second of the process at which the command began; whether it is all of it


def one_command() -> None:
    """This process is one command: its seconds count from the start of the interpreter."""
    _clock["own"] = 1.0


def command_begins() -> None:
    """Seconds count from here, unless the whole process is one command: a notebook may have been open for hours."""
    if not _clock["own"]:
        _clock["began"] = _process_seconds()


def leave(code: int) -> NoReturn:
    """End this process with that code, after all that was to be done at its end and said is done.

    The interpreter is not taken down: a thread of pyarrow that waits for it just then ends the process by SIGABRT,
    once in some hundred commands (github.com/apache/arrow/issues/34314).
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # closed by whoever read it
            stream.flush()
    os._exit(code)


def seconds_since_start() -> float:
    """Seconds since the command began: this process's own start included where it is one command and nothing else."""
    return _process_seconds() - _clock["began"]


def _process_seconds() -> float:
    try:
        fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, IndexError, ValueError, AttributeError):
        return time.time() - _IMPORTED


# ---------------------------------------------------------------- memory and machine
def keep_freed_blocks() -> bool:
    """Make glibc keep freed blocks instead of returning them to the kernel; whether it could.

    3.4 times fewer seconds on 2 cores: first touch of fresh memory runs at 5.4 GB/s, and every large tensor
    was fresh. For a process that trains, before its first tensor; it works against flat memory in a server.
    """
    if sys.platform != "linux":
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        settings = (
            (-3, 1 << 30),
            (-1, (1 << 31) - 1),
            (-2, 256 << 20),
        )  # MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD
        return all(libc.mallopt(name, value) == 1 for name, value in settings)
    except (OSError, AttributeError):  # musl
        return False


def return_freed_blocks() -> bool:
    """Give the kernel what was freed so far, also where `keep_freed_blocks` keeps it; whether glibc could.

    For the moment between two kinds of work: what reading a million pictures took for a while would stay with the
    training, and the files it reads would find no room.
    """
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL("libc.so.6").malloc_trim(0))
    except (OSError, AttributeError):  # musl
        return False


def wait_quietly() -> None:
    """Let threads that wait for one another soon sleep instead of spin; for a process without torch so far.

    A spinning thread keeps a core from whoever shares it. Beside one other program on two cores, a run of 7 s takes
    39 s at 100,000 spins, 23 s at 10,000 and 13.5 s at 1,000 or none; alone on them, 1,000 is no slower than none.
    What the user has set stays.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # GNU's OpenMP, in torch for Linux
        os.environ.setdefault("KMP_BLOCKTIME", "0")  # LLVM's and Intel's, on macOS and Windows


def peak_memory() -> int | None:
    """The most resident memory this process has had, in bytes; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)


def free_memory() -> int:
    """Bytes that this process may take without others being put aside: the least of what is free, its control group's
    limit and its own; files that the system keeps in memory count as free."""
    found = [_free_in_the_machine()]
    with contextlib.suppress(OSError, ValueError):
        found += _free_in_control_groups(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            found.append(max(0, limit - taken))
    return min(found)


def _free_in_the_machine() -> int:
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(one for one in lines if one.startswith("MemAvailable:")).split()[1]) * 1024
    if sys.platform == "win32":
        with contextlib.suppress(AttributeError, OSError):
            return _free_on_windows()
    with contextlib.suppress(AttributeError, OSError, ValueError):  # macOS tells only how much there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 2 << 30


def _free_on_windows() -> int:
    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in ("total", "available", "pages", "pages_free", "address", "address_free", "extended")
        ]

    status = Status(length=ctypes.sizeof(Status))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined,unused-ignore]
        raise OSError
    return int(status.available)


def _free_in_control_groups(told: str, root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """What the limits of the process's control group and those above it leave. told: /proc/self/cgroup."""
    found = []
    for line in told.splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        names = (
            ("memory.max", "memory.current")
            if not kinds
            else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        top = root / kinds
        folder = top / path.lstrip("/")
        for level in (folder, *folder.parents):
            with contextlib.suppress(OSError, ValueError):
                limit, taken = (int((level / name).read_text()) for name in names)
                stat = dict(one.split() for one in (level / "memory.stat").read_text().splitlines())
                kept = sum(int(stat.get(name, 0)) for name in ("inactive_file", "active_file"))
                found.append(max(0, limit - taken + kept))
            if level == top:
                break
    return found


def physical_cores() -> int:
    """Cores this process may use; two hardware threads of one core count once where Linux tells."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:
        return os.cpu_count() or 1
    siblings = set()
    for core in allowed:
        try:
            siblings.add(Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text())
        except OSError:
            return len(allowed)
    return len(siblings) or 1


def spare_core() -> bool:
    """Whether a process can be started beside this one, by `start_beside`, and would have a core of its own."""
    return os.name == "posix" and physical_cores() > 1


def start_beside(program: str, handle: int, *words: str) -> "subprocess.Popen[bytes]":
    """A Python with the paths of this one that runs a program of our own and keeps an open socket. Not on Windows.

    The program finds in sys.argv the socket's handle, the words, and sys.path as JSON. It writes to our standard error.
    """
    import subprocess

    found = [str(Path(one).absolute()) for one in sys.path]  # '' is the folder we are in
    command = [sys.executable, "-P", "-c", program, str(handle), *words, json.dumps(found)]
    return subprocess.Popen(command, pass_fds=(handle,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def machine() -> dict[str, str | int]:
    """The machine in words: system, processor, cores, Python."""
    processor = _platform.processor()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    return {
        "system": f"{_platform.system()} {_platform.release()}",
        "processor": processor or _platform.machine(),
        "cores": physical_cores(),
        "python": _platform.python_version(),
    }
