"""The search beside KerasTuner's Hyperband, beside the recipe it starts from, what a trial costs besides, and kill -9.

    VISTAZO_KERAS_PYTHON=/path/to/python-with-keras-tuner python benchmarks/tuning.py quickdraw [SEEDS]
    python benchmarks/tuning.py fashion [SEEDS]
    python benchmarks/tuning.py overhead [TRIALS]
    python benchmarks/tuning.py kill [KILLS] [SEED]

quickdraw: the published network on six classes of Quick, Draw! (28 x 28), 500 points; both tools get the same arrays,
the same 80/20 division and the same space. KerasTuner: Hyperband, factor 3, at most 20 epochs, as the seed program
runs it. Ours: `vistazo tune` as it is, at most 20 epochs, its recipe a point of the space. Epochs are counted as run,
seconds are those of the whole process; only trials inside the space count. Asked, over 3 seeds: accuracy not below (0.3
points), at most half the epochs, at most a quarter of the time.

fashion: on Fashion-MNIST `vistazo train --recipe quick` is timed as a whole process, then `vistazo tune` is given three
times that, as --time, for everything it does, measuring included. Asked, over 5 seeds: the winner's test accuracy at
most 0.2 points below the recipe's in the mean. The test part is measured once by either, at its end.

overhead: seconds from the beginning of a trial to that of the next, less the seconds of its epochs; the median over
trials of one epoch of the demo's pictures. Asked: 0.3 s at most.

kill: searches killed at random moments, the start included, and begun again with the same words until they end. Asked:
all continue, and trials, figures, histories and the winner's model equal those of a search that was left alone, to the
bit.
"""

import csv
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, KERAS, SEEDS, timed, told, vistazo

import vistazo as package

NETWORK = "; ".join(
    [
        *["conv {filters=16} 3x3 same relu l2={l2=1e-5}"] * 2,
        "pool 2",
        *["conv {2*filters} 3x3 same relu l2={l2}"] * 2,
        "pool 2",
        "dropout {dropout=0.3}",
        *["conv {4*filters} 3x3 same relu l2={l2}"] * 2,
        "pool 2",
        "dropout 0.4",
        "flatten",
        "dropout 0.2",
        "dense classes softmax",
    ]
)
SPACE: dict[str, tuple[float, ...]] = {
    "filters": (8, 12, 16, 24, 32),
    "learning_rate": (1e-2, 3e-3, 1e-3, 3e-4, 1e-4),
    "dropout": (0.1, 0.2, 0.3, 0.4, 0.5),
    "l2": (0.0, 1e-5, 1e-4, 1e-3),
}
MOST = "20"  # epochs of one trial
FASHION = (
    "--search",
    "rate=log:0.4..2.5",
    "--search",
    "batch=256,512,1024",
    "--search",
    "schedule=triangular,cosine",
)
TIMES = 3  # what the search is given, in trainings by the recipe
FIXED = ("--precision", "fp32", "--layout", "contiguous", "--threads", "2", "--checkpoint-seconds", "0.05")
DEMO = Path(package.__file__).parent / "classification" / "demo"
TIMED = ("seconds",)  # columns of trials.csv that a clock decides


def tuned(source: Path, out: Path, *words: str) -> tuple[dict[str, Any], list[dict[str, str]], float]:
    """(what --json tells, the rows of trials.csv, seconds of the whole process) of one search."""
    run = vistazo("tune", str(source), "--out", str(out), "--no-open", *words, cwd=out.parent)
    with (out / "trials.csv").open(encoding="utf-8", newline="") as file:
        return run.json(), list(csv.DictReader(file)), run.seconds


# ---------------------------------------------------------------- beside KerasTuner
def arrays(folder: Path, into: Path) -> Path:
    """The seed program's pictures in its own division, as one .npz file.

    Six pictures of noise stand as the test part: without one, pictures to learn from would be kept back for it.
    """
    files = sorted(folder.glob("*.npy"))
    pictures = np.concatenate([np.load(file) for file in files]).reshape(-1, 28, 28)
    labels = np.repeat(np.arange(len(files)), [len(np.load(file)) for file in files])
    order = np.random.default_rng(0).permutation(len(pictures))
    train, valid = np.split(order, [len(order) * 8 // 10])
    noise = np.random.default_rng(1).integers(0, 256, (len(files), 28, 28), dtype=np.uint8)
    parts = {"train": (pictures[train], labels[train]), "validation": (pictures[valid], labels[valid])}
    parts["test"] = noise, np.arange(len(files))
    np.savez(
        into,
        **{
            f"{kind}_{part}": one
            for part, pair in parts.items()
            for kind, one in zip("xy", pair, strict=True)
        },
    )
    return into


def inside(row: dict[str, str]) -> bool:
    """Whether a trial is a point of the space; the recipe is one, its rate being that of Adam."""
    return all(
        any(abs(float(row[f"value.{name}"]) - one) <= 1e-12 for one in choices)
        for name, choices in SPACE.items()
    )


def quickdraw(seeds: int) -> None:
    if not KERAS:
        print("beside: skipped, because VISTAZO_KERAS_PYTHON is not there")
    searched = [
        f"--search={name}=" + ",".join(f"{one:g}" for one in choices) for name, choices in SPACE.items()
    ]
    fixed = (
        "--network",
        NETWORK,
        "--optimizer",
        "adam",
        "--learning-rate",
        "0.001",
        "--batch",
        "128",
        "--most-epochs",
        MOST,
    )
    found: dict[str, list[tuple[float, float, float]]] = {"ours": [], "KerasTuner": []}
    with tempfile.TemporaryDirectory() as folder:
        source = arrays(DATA / "quickdraw", Path(folder) / "quickdraw.npz")
        for seed in range(seeds):
            out = Path(folder) / f"search-{seed}"
            said, rows, seconds = tuned(source, out, *fixed, *searched, "--seed", str(seed))
            best = max(
                (row for row in rows if row["figure"] and inside(row)), key=lambda row: float(row["figure"])
            )
            found["ours"].append((float(best["figure"]), said["epochs"], seconds))
            print(f"seed {seed} ours: {found['ours'][-1]}, {len(rows)} trials, winner {best}", flush=True)
            if KERAS:
                program = str(SEEDS / "quickdraw_kerastuner.py")
                run = timed([KERAS, program, str(DATA / "quickdraw"), str(seed)])
                line = run.output.strip().splitlines()[-1]
                words = dict(word.split("=", 1) for word in line.split()[:3])
                figures = float(words["best_validation_accuracy"]), float(words["epochs"]), run.seconds
                found["KerasTuner"].append(figures)
                print(f"seed {seed} KerasTuner: {line}; whole process {run.seconds:.0f} s", flush=True)
    for name, runs in found.items():
        if runs:
            accuracy, epochs, seconds = (statistics.fmean(column) for column in zip(*runs, strict=True))
            print(
                f"{name}: accuracy {100 * accuracy:.2f} %, epochs {epochs:.0f}, {seconds:.0f} s, mean of {len(runs)}"
            )
    if found["KerasTuner"]:
        pairs = list(zip(found["ours"], found["KerasTuner"], strict=True))
        print(
            f"points above: {100 * statistics.fmean(ours[0] - other[0] for ours, other in pairs):+.2f} (asked -0.3)"
        )
        for at, what, asked in ((1, "epochs", 0.5), (2, "time", 0.25)):
            ratio = sum(ours[at] for ours, _ in pairs) / sum(other[at] for _, other in pairs)
            print(f"{what}: {ratio:.2f} of KerasTuner's (asked {asked})")


# ---------------------------------------------------------------- beside the recipe
def fashion(seeds: int) -> None:
    source, recipe, winner = DATA / "fashion-mnist", [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            common = ("--recipe", "quick", "--seed", str(seed))
            plain = vistazo(
                "train",
                str(source),
                "--out",
                str(Path(folder) / f"plain-{seed}"),
                "--no-open",
                *common,
                cwd=Path(folder),
            )
            budget = TIMES * plain.seconds
            out = Path(folder) / f"search-{seed}"
            said, rows, seconds = tuned(source, out, *common, *FASHION, "--time", f"{budget:.0f}s")
            recipe.append(100 * plain.json()["metrics"]["test"]["accuracy"])
            winner.append(100 * said["metrics"]["test"]["accuracy"])
            print(
                f"seed {seed}: recipe {recipe[-1]:.2f} % in {plain.seconds:.0f} s; given {budget:.0f} s: winner "
                f"{winner[-1]:.2f} % in {seconds:.0f} s, {len(rows)} trials, {said['epochs']} epochs, {said['best']}",
                flush=True,
            )
    apart = [ours - theirs for ours, theirs in zip(winner, recipe, strict=True)]
    print(
        f"recipe {statistics.fmean(recipe):.2f} %, winner {statistics.fmean(winner):.2f} %, mean of {seeds} seeds"
    )
    print(
        f"points above the recipe: mean {statistics.fmean(apart):+.2f} (asked -0.2), best case {max(apart):+.2f}"
    )


# ---------------------------------------------------------------- what a trial costs besides
def overhead(trials: int) -> None:
    words = (
        "--search",
        "rate=log:0.3..3",
        "--pruner",
        "none",
        "--trials",
        str(trials),
        "--most-epochs",
        "1",
        *FIXED,
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "search"
        tuned(DEMO, out, *words)
        begun = [began(out / "trials" / f"{number:04d}") for number in range(trials + 1)]
        besides = [
            after - before - sum(epoch_seconds(out / "trials" / f"{number:04d}"))
            for number, (before, after) in enumerate(pairwise(begun))
        ]
    print(
        told("a trial besides its training", besides[1:], "s"), "(asked 0.3)"
    )  # the first one tries how to compute


def began(trial: Path) -> float:
    """When a trial was begun: the file that tells of the machine is written then, and once."""
    return (trial / "environment.json").stat().st_mtime


def epoch_seconds(trial: Path) -> list[float]:
    lines = (trial / "times.jsonl").read_text(encoding="utf-8").splitlines()
    return [float(json.loads(line)["seconds"]) for line in lines]


# ---------------------------------------------------------------- kill -9
SEARCH = (
    *("--search", "rate=log:0.3..3", "--search", "batch=32,64,128", "--filters", "8,16,16"),
    *("--trials", "9", "--most-epochs", "3", "--seed", "0", *FIXED, "--no-open", "--quiet", "--json"),
)


def start(out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "vistazo", "tune", str(DEMO), "--out", str(out), *SEARCH]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=out.parent)


def finish(out: Path) -> None:
    process = start(out)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"not continued: exit {process.returncode}: {said.decode()[-800:]}")


def outcome(out: Path) -> dict[str, Any]:
    """All of a search that no clock decides: its trials, their histories, the winner's settings and weights."""
    with (out / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            {name: cell for name, cell in row.items() if name not in TIMED} for row in csv.DictReader(file)
        ]
    numbers = Counter(row["number"] for row in rows)
    if set(numbers.values()) != {1}:
        raise SystemExit(f"{out}: a trial is counted twice: {numbers}")
    histories = {path.parent.name: path.read_bytes() for path in sorted(out.glob("trials/*/history.jsonl"))}
    return {
        "trials": rows,
        "histories": histories,
        "best.toml": (out / "best.toml").read_bytes(),
        "model": (out / "model.vistazo").read_bytes(),
    }


def kill(kills: int, seed: int) -> None:
    draw, where, equal = random.Random(seed), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "alone"
        began = time.perf_counter()
        finish(alone)
        length = time.perf_counter() - began
        wanted = outcome(alone)
        for number in range(kills):
            out = Path(folder) / f"search-{number}"
            process = start(out)
            time.sleep(draw.uniform(0, 1.05 * length))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            where[phase(out)] += 1
            finish(out)
            found = outcome(out)
            differs = [name for name in wanted if found[name] != wanted[name]]
            equal += not differs
            if differs:
                print(f"try {number}: other {', '.join(differs)}", flush=True)
            shutil.rmtree(out)
    print(
        f"a search that is left alone: {length:.1f} s, {len(wanted['trials'])} trials; killed while: {dict(where)}"
    )
    print(f"{equal} of {kills} continued, no trial lost or counted twice, all equal to the bit")
    sys.exit(equal != kills)


def phase(out: Path) -> str:
    """What a search was at when it was killed."""
    if not (out / "status.json").exists():
        return "no folder"
    trials = len(list(out.glob("trials/*")))
    return f"{json.loads((out / 'status.json').read_text(encoding='utf-8'))['phase']}, {trials} trials"


def main() -> None:
    usual = {"quickdraw": (3,), "fashion": (5,), "overhead": (20,), "kill": (50, 0)}
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what not in usual:
        raise SystemExit(__doc__)
    given = [int(word) for word in sys.argv[2:]]
    numbers = [*given, *usual[what][len(given) :]]
    {"quickdraw": quickdraw, "fashion": fashion, "overhead": overhead, "kill": kill}[what](*numbers)


if __name__ == "__main__":
    main()
