"""kill -9 of a search at 50 random moments: asked 50 continue, no trial lost or counted twice, the same end each time.

    python benchmarks/kill_search.py [KILLS] [SEED]

Each try searches on the demo's pictures, is killed at a random moment between the start of the process and just past
the end of an uninterrupted search, and is started again with the same words until it ends. What is compared with the
uninterrupted search: every trial's values, figures and state in the journal, every trial's history, the winner's model.
"""

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import vistazo
from vistazo.engine.search_journal import Journal

WORDS = (
    *("--search", "rate=log:0.3..3", "--search", "batch=32,64,128", "--trials", "6", "--pruner", "hyperband"),
    *(
        "--epochs",
        "4",
        "--filters",
        "8,16",
        "--precision",
        "fp32",
        "--layout",
        "contiguous",
        "--threads",
        "2",
    ),
    *("--checkpoint-seconds", "0.05", "--quiet", "--json"),
)


def start(out: Path) -> "subprocess.Popen[bytes]":
    source = Path(vistazo.__file__).parent / "classification" / "demo"
    command = [sys.executable, "-m", "vistazo", "tune", str(source), "--out", str(out), *WORDS]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=out.parent)


def finish(out: Path) -> None:
    process = start(out)
    _, told = process.communicate()
    if process.returncode:
        raise SystemExit(f"not continued: exit {process.returncode}: {told.decode()[-800:]}")


def state(out: Path) -> list[object]:
    """What must be equal: the journal as it is read, the histories, the model."""
    entries = Journal(out, {}, lower_is_better=False).entries()
    found: list[object] = [(one.values, one.curve, one.state, one.until) for one in entries]
    found += [path.read_bytes() for path in sorted(out.glob("trials/*/history.jsonl"))]
    return [*found, (out / "model.vistazo").read_bytes()]


def main() -> None:
    kills, seed = (int(word) for word in (sys.argv[1:] + ["50", "0"][len(sys.argv) - 1 :]))
    draw, equal, where = random.Random(seed), 0, dict[str, int]()
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        began = time.perf_counter()
        finish(whole)
        length = time.perf_counter() - began
        wanted = state(whole)
        for number in range(kills):
            out = Path(folder) / f"search-{number}"
            process = start(out)
            time.sleep(draw.uniform(0, 1.05 * length))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()
            journal = out / "study.journal"
            at = f"{journal.read_bytes().count(10) // 10 * 10}+ events" if journal.exists() else "no journal"
            where[at] = where.get(at, 0) + 1
            finish(out)
            same = state(out) == wanted
            equal += same
            if not same:
                print(f"try {number}, killed at {at}: differs")
            shutil.rmtree(out)
    print(f"an uninterrupted search: {length:.1f} s; killed at: {where}")
    print(f"{equal} of {kills} ended equal")
    sys.exit(equal != kills)


if __name__ == "__main__":
    main()
