"""kill -9 at 200 random moments, the start included: asked 200 resumed, final files equal to the uninterrupted run's.

    python benchmarks/kill.py [KILLS] [SEED]

Each try trains on the demo's pictures, is killed at a random moment between the start of the process and just past the
end of an uninterrupted run, and is started again with the same words until it ends. Precision, layout and threads are
fixed, as equality to the bit needs.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import vistazo

FIXED = ("--precision", "fp32", "--layout", "contiguous", "--threads", "2")
SETTINGS = (
    "--epochs",
    "6",
    "--filters",
    "16,32,32",
    *FIXED,
    "--checkpoint-seconds",
    "0.05",
    "--quiet",
    "--json",
)
FILES = ("model.vistazo", "history.jsonl", "metrics.json", "index.parquet")


def start(out: Path) -> "subprocess.Popen[bytes]":
    source = Path(vistazo.__file__).parent / "classification" / "demo"
    command = [sys.executable, "-m", "vistazo", "train", str(source), "--out", str(out), *SETTINGS]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=out.parent)


def finish(out: Path) -> None:
    process = start(out)
    _, told = process.communicate()
    if process.returncode:
        raise SystemExit(f"not resumed: exit {process.returncode}: {told.decode()[-800:]}")


def main() -> None:
    kills, seed = (int(word) for word in (sys.argv[1:] + ["200", "0"][len(sys.argv) - 1 :]))
    draw, where = random.Random(seed), {"no folder": 0}
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        began = time.perf_counter()
        finish(whole)
        length = time.perf_counter() - began
        wanted = {name: (whole / name).read_bytes() for name in FILES}
        equal = 0
        for number in range(kills):
            out = Path(folder) / f"run-{number}"
            process = start(out)
            time.sleep(draw.uniform(0, 1.05 * length))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            status = out / "status.json"
            phase = status.read_text().split('"')[3] if status.exists() else "no folder"
            where[phase] = where.get(phase, 0) + 1
            finish(out)
            same = all((out / name).read_bytes() == wanted[name] for name in FILES)
            equal += same
            if not same:
                print(f"try {number}, killed while {phase}: differs")
            shutil.rmtree(out)
    print(f"an uninterrupted run: {length:.1f} s; killed while: {where}")
    print(f"{equal} of {kills} ended equal to the bit")
    sys.exit(equal != kills)


if __name__ == "__main__":
    main()
