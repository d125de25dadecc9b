"""`vistazo serve` as a process of its own, and what the system knows of it: sockets, memory, descriptors, files."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import vistazo

SOURCE = Path(vistazo.__file__).parents[1]

# Connections that this process opens are written to a file, one a line: (event, arguments). Python's own sockets alone
# can be seen so; what a library does behind Python's back is seen by strace.
WATCHED = """
import os, sys
place = sys.argv.pop(1)
LOOKED_FOR = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto",
              "socket.sendmsg", "urllib.Request", "http.client.connect", "ftplib.connect", "smtplib.connect")
def look(event, arguments):
    own = event == "socket.getaddrinfo" and arguments[0] in ("127.0.0.1", "::1")  # its own address, before it listens
    if event in LOOKED_FOR and not own:
        where = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(where, f"{event} {arguments[-1] if event.startswith('socket.conn') else arguments!r}\\n".encode())
        os.close(where)
sys.addaudithook(look)
from vistazo.cli import main
sys.exit(main(sys.argv[1:]))
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Service:
    """A running server. told: what it said when it was ready; log: its standard error."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    temporary: Path
    outgoing: Path
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        """The process that listens, which is a child where something watches over it."""
        return int(self.told.get("pid", self.process.pid))

    @property
    def pids(self) -> list[int]:
        """The process that listens, and the one that computes where there is one."""
        return [self.pid, *children(self.pid)]

    def memory(self) -> float:
        """Resident MB of all its processes; what two of them share is counted twice."""
        pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in self.pids)
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def descriptors(self) -> int:
        return sum(len(os.listdir(f"/proc/{one}/fd")) for one in self.pids)

    def temporary_files(self) -> list[str]:
        """What lies in its folder for temporary files, and deleted files that it holds open."""
        held = []
        for one in (entry for pid in self.pids for entry in Path(f"/proc/{pid}/fd").iterdir()):
            try:
                target = os.readlink(one)
            except OSError:
                continue
            if target.endswith("(deleted)") and not target.startswith(("/memfd", "/dev/shm")):
                held.append(target)
        return held + [str(one.relative_to(self.temporary)) for one in self.temporary.rglob("*")]

    def seconds_of_work(self) -> float:
        """Processor seconds so far."""
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def log_lines(self) -> list[dict[str, Any]]:
        """Every line of its log that is a JSON object; a line that pretends to be one and is not fails."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def end(self) -> None:
        """Stop it, whatever state it is in."""
        if self.process.poll() is None:
            for pid in {self.pid, self.process.pid}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=30)
        if self.process.stdout:
            self.process.stdout.close()


def start(
    models: Sequence[str | Path],
    *words: str,
    folder: Path,
    under: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    ready: bool = True,
    watched: bool = False,
    seconds: float = 280,
) -> Service:
    """Start `vistazo serve MODELS WORDS` on a free port of 127.0.0.1 and wait until it says that it is ready.

    folder: where its log, its temporary files and the list of its outgoing connections go. under: a program that the
    server runs under, with its words. watched: whether that list is kept.
    """
    temporary = folder / "temporary"
    temporary.mkdir(parents=True, exist_ok=True)
    port, log, outgoing = free_port(), folder / "server.log", folder / "outgoing.txt"
    program = ["-c", WATCHED, str(outgoing)] if watched else ["-m", "vistazo"]
    command = [
        *under,
        sys.executable,
        *program,
        "serve",
        *map(str, models),
        "--port",
        str(port),
        "--json",
        *words,
    ]
    own = {"PYTHONPATH": str(SOURCE), "LANGUAGE": "en", "TMPDIR": str(temporary), **(env or {})}
    with open(log, "wb") as err:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, env={**os.environ, **own}
        )
    service = Service(process, port, log, temporary, outgoing)
    if ready:
        try:
            service.told = _told(process, log, seconds)
        except BaseException:
            service.end()
            raise
    return service


def _told(process: "subprocess.Popen[bytes]", log: Path, seconds: float) -> dict[str, Any]:
    assert process.stdout is not None
    line, end = b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        waited = end - time.monotonic()
        assert waited > 0, f"the server was not ready after {seconds} s: {log.read_text()[-2000:]}"
        if select.select([process.stdout], [], [], min(waited, 1))[0]:
            data = os.read(process.stdout.fileno(), 1 << 16)
            assert data, f"the server ended with {process.wait()}: {log.read_text()[-2000:]}"
            line += data
    told = json.loads(line)
    assert isinstance(told, dict)
    return told


# ---------------------------------------------------------------- what the system knows
def listening(pid: int) -> list[str]:
    """Addresses on which a process and its children listen, '127.0.0.1:8000' or '[::1]:8000'. Linux."""
    inodes = set()
    for one in [pid, *children(pid)]:
        for entry in Path(f"/proc/{one}/fd").iterdir():
            try:
                inodes.add(os.readlink(entry))
            except OSError:
                continue
    found = []
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6), ("udp", socket.AF_INET)):
        table = Path(f"/proc/{pid}/net/{name}")
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            columns = line.split()
            state, inode = columns[3], f"socket:[{columns[9]}]"
            if inode in inodes and (state == "0A" or name == "udp"):
                packed, port = columns[1].split(":")
                raw = bytes.fromhex(packed)
                # each group of four bytes is in the machine's order
                turned = b"".join(
                    raw[at : at + 4][:: -1 if sys.byteorder == "little" else 1]
                    for at in range(0, len(raw), 4)
                )
                address = socket.inet_ntop(family, turned)
                found.append(
                    f"[{address}]:{int(port, 16)}" if ":" in address else f"{address}:{int(port, 16)}"
                )
    return found


def children(pid: int) -> list[int]:
    """Processes that a process started, and those that they started."""
    found = []
    with contextlib.suppress(
        FileNotFoundError, ProcessLookupError
    ):  # a process or a thread that has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for one in (task / "children").read_text().split():
                found += [int(one), *children(int(one))]
    return found
