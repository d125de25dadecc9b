"""The folder of `vistazo export --service`: its size, memory and time, and whether it answers as `vistazo serve` does.

    python benchmarks/service_folder.py                        trains on the pictures of the demo first
    python benchmarks/service_folder.py MODEL.vistazo          of a trained model of pictures
    python benchmarks/service_folder.py MODEL.vistazo DATA     ... and its pictures: a folder, at any depth
    python benchmarks/service_folder.py MODEL.vistazo TABLE.csv    of a table or series: asked about its rows, one a
                                                               request, or from where each of its last rows ends

A fresh environment is made with `pip install --require-hashes`, from where pip is configured to look. Asked: installed
at most 300 MB, resident at most 250 MB after 1,000 answers, 1.5 s at most from the start to the first answer, and the
answers of `vistazo serve MODEL`.
"""

import http.client
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, told, vistazo
from PIL import Image

from vistazo import load

sys.path.insert(0, str(ROOT / "tests" / "serving"))
from trust import service

STARTS = 7
ANSWERS = 1000
COMPARED = 500


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        measure(Path(place))


def measure(place: Path) -> None:
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else trained(place)
    bodies = asked_of(model, Path(sys.argv[2])) if len(sys.argv) > 2 else drawn(COMPARED)
    folder = place / "service"
    exported(model, folder, place)
    began = time.perf_counter()
    python = installed(place / "environment", folder)
    print(f"installed by pip in {time.perf_counter() - began:.0f} s")
    sizes = {"environment": size(place / "environment"), "folder": size(folder)}
    print(
        f"on the disk: {sum(sizes.values()):.0f} MB ({', '.join(f'{k} {v:.1f}' for k, v in sizes.items())}); asked: 300"
    )
    firsts, busy, answers = [], [], []
    for start in range(STARTS):
        with serving([python, "-m", "vistazo", "serve", "model.onnx"], folder) as (address, process, began):
            answer(address, bodies[0])
            firsts.append(time.perf_counter() - began)
            busy.append(worked(process.pid))
            if start == STARTS - 1:
                for at in range(ANSWERS):
                    answer(address, bodies[at % len(bodies)])
                answers = [answer(address, one) for one in bodies]
                print(f"resident after {ANSWERS + len(bodies)} answers: {resident(process.pid)}; asked: 250")
    print(told("start to first answer", firsts, "s") + "; asked: 1.5")
    print(told("of that, time of the processor", busy, "s"))
    compared("vistazo serve model.onnx", [sys.executable, "-m", "vistazo", "serve", str(folder / "model.onnx")],
             bodies, answers, place)  # fmt: skip
    compared("vistazo serve MODEL.vistazo", [sys.executable, "-m", "vistazo", "serve", str(model.absolute())],
             bodies, answers, place)  # fmt: skip


def trained(place: Path) -> Path:
    """A model of the demo's pictures."""
    return Path(vistazo("demo", "--out", str(place / "run"), cwd=place).json()["model"])


def exported(model: Path, folder: Path, place: Path) -> None:
    words = [str(model.absolute()), "--out", str(place / "model.onnx"), "--service", str(folder)]
    vistazo("export", *words, cwd=place)


def installed(environment: Path, folder: Path) -> str:
    """The Python of a new environment with what the folder's lock pins."""
    venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    lock = ["--require-hashes", "--no-cache-dir", "-r", str(folder / "requirements.txt")]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *lock], check=True)
    subprocess.run([python, "-m", "compileall", "-q", str(folder / "vistazo")], check=True)
    return python


def size(folder: Path) -> float:
    """What a folder takes on the disk, MB."""
    return sum(512 * file.lstat().st_blocks for file in folder.rglob("*")) / 1e6


def drawn(count: int) -> list[bytes]:
    """Pictures of shapes and noise, 28 × 28, as files."""
    found = []
    for row in range(count):
        random = np.random.default_rng(row)
        pixels = random.integers(0, 256, (7, 7), np.uint8).repeat(4, 0).repeat(4, 1)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        found.append(out.getvalue())
    return found


def asked_of(model: Path, data: Path) -> list[bytes]:
    """The bodies of requests: pictures of a folder; or of a table, with its names, a row, or all up to a row."""
    if data.is_file():
        names, *rows = data.read_bytes().splitlines(keepends=True)
        if load(model).task == "forecasting":
            return [names + b"".join(rows[:end]) for end in range(max(1, len(rows) - 100), len(rows) + 1)]
        return [names + row for row in rows[:: max(1, len(rows) // COMPARED)][:COMPARED]]
    return taken(data)


def taken(folder: Path) -> list[bytes]:
    """The bytes of a folder's first pictures, over all its sub-folders."""
    files = sorted(one for one in folder.rglob("*") if one.suffix.lower() in (".png", ".jpg", ".jpeg"))
    return [one.read_bytes() for one in files[:: max(1, len(files) // COMPARED)]][:COMPARED]


@contextmanager
def serving(command: list[str], cwd: Path) -> Iterator[tuple[str, subprocess.Popen[str], float]]:
    """(host:port and the model's name, process, when it was started) of a server on a free port."""
    began = time.perf_counter()
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH" or cwd.name != "service"
    }
    process = subprocess.Popen(
        [*command, "--port", "0", "--json", "--quiet"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield f"{ready['url'].removeprefix('http://')}/{ready['models'][0]['name']}", process, began
    finally:
        process.terminate()
        process.wait(timeout=60)


def answer(address: str, body: bytes) -> list[dict[str, Any]]:
    """The answers to a picture, a row or a series: {"class", "probability", "top"} or {"value", "low", "high"}."""
    host, _, name = address.partition("/")
    picture = body[:2] in (b"\xff\xd8", b"\x89P")
    asked = http.client.HTTPConnection(host, timeout=60)
    kind = {"Content-Type": "application/octet-stream" if picture else "text/csv"}
    asked.request("POST", f"/v1/models/{name}/predict", body, kind)
    found = json.loads(asked.getresponse().read())["predictions"]
    return [{key: value for key, value in one.items() if key != "file"} for one in found]


def worked(process: int) -> float:
    """Seconds that the processor worked for a process so far, which other programs do not lengthen. Linux alone."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> str:
    """Memory of a process and those it started now, and at most; MB, what they share counted twice. Linux alone."""
    now = most = 0.0
    for one in (process, *service.children(process)):
        lines = Path(f"/proc/{one}/status").read_text().splitlines()
        found = {
            line.partition(":")[0]: int(line.split()[1]) * 1024 / 1e6
            for line in lines
            if line.startswith("Vm")
        }
        now, most = now + found["VmRSS"], most + found["VmHWM"]
    return f"{now:.0f} MB, at most {most:.0f}"


def compared(name: str, command: list[str], bodies: list[bytes], answers: list[Any], place: Path) -> None:
    """How the answers of another service compare with those of the folder."""
    with serving(command, place) as (address, _, _):
        others = [answer(address, one) for one in bodies]
    both = [pair for one, other in zip(answers, others, strict=True) for pair in zip(one, other, strict=True)]
    equal = sum(one == other for one, other in both)
    if "class" in both[0][0]:
        same = f"{sum(one['class'] == other['class'] for one, other in both)} of the same class, "
        apart = max(
            abs(dict(one["top"])[kind] - share)
            for one, other in both
            for kind, share in other["top"]
            if kind in dict(one["top"])
        )
    else:
        same = ""
        apart = max(abs(one["value"] - other["value"]) / max(1, abs(other["value"])) for one, other in both)
    print(f"beside {name}: of {len(both)} answers {same}{equal} equal to the last digit, "
          f"probabilities or values at most {apart:.0e} apart")  # fmt: skip


if __name__ == "__main__":
    main()
