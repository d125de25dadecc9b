"""What an evaluation costs beside bare prediction: 10,000 test pictures of CIFAR-10, each as whole processes.

    python benchmarks/evaluation.py cost           evaluate with its page: <= 3 x bare prediction; page < 15 MB
    python benchmarks/evaluation.py calibration    log loss and calibration error on the test part, before and after
    python benchmarks/evaluation.py dont-know      the error among answered test pictures, for a stated 2, 5 and 10 %

`--run FOLDER` takes a run that was trained on CIFAR-10 already; without it, one is trained with the recipe balanced.
`--rounds N` repeats a timing, the two programs in turn. Every figure is printed and written to
benchmarks/runs/evaluation.jsonl.

Bare prediction is `vistazo predict MODEL PICTURES --out answers.parquet` on the same files: they are read, decoded and
answered, and nothing is measured.
"""

import argparse
import json
import statistics
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from common import DATA, vistazo

SOURCE = DATA / "cifar10-jpeg.zip"
KEPT = Path(__file__).resolve().parent / "runs" / "evaluation.jsonl"
MOST_TIMES, MOST_BYTES = 3.0, 15_000_000
STATED = ("2%", "5%", "10%")


def say(what: str, line: str, **figures: Any) -> None:
    """One figure for people, and for programs."""
    print(f"{what}: {line}", flush=True)
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"what": what, "time": round(time.time()), **figures}) + "\n")


def trained(folder: Path, run: str, *options: str) -> str:
    """The run that is asked, trained in `folder` where none is named."""
    if run and not options:
        return str(Path(run).resolve())
    name = "run" + "".join(options).replace("%", "")
    vistazo("train", str(SOURCE), "--recipe", "balanced", "--out", name, *options, cwd=folder)
    return name


def pictures(folder: Path) -> Path:
    """The test pictures alone, in a folder of each class: what both programs read."""
    out = folder / "test"
    with zipfile.ZipFile(SOURCE) as source:
        for name in source.namelist():
            if name.startswith("test/") and name.endswith(".jpg"):
                place = out / name.removeprefix("test/")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(source.read(name))
    return out


# ---------------------------------------------------------------- cost
def cost(folder: Path, run: str, rounds: int) -> None:
    model, source = trained(folder, run), pictures(folder)
    answered, evaluated = [], []
    memory = 0.0
    for at in range(rounds):
        answered.append(
            vistazo("predict", model, str(source), "--out", "answers.parquet", cwd=folder).seconds
        )
        asked = vistazo("evaluate", model, str(source), "--out", f"ev-{at}", cwd=folder)
        evaluated.append(asked.seconds)
        memory = max(memory, asked.memory)
    page = (folder / "ev-0" / "evaluation.html").stat().st_size
    slow, bare = statistics.median(evaluated), statistics.median(answered)
    say(
        "cost",
        f"evaluate with page {slow:.1f} s, prediction {bare:.1f} s: {slow / bare:.2f} times (<= {MOST_TIMES:.0f}); "
        f"page {page / 1e6:.1f} MB (< {MOST_BYTES / 1e6:.0f}), {memory:.0f} MB of memory, {rounds} rounds",
        times=slow / bare,
        evaluate=evaluated,
        predict=answered,
        page=page,
        memory=memory,
    )


# ---------------------------------------------------------------- what is promised of probabilities
def calibration(folder: Path, run: str) -> None:
    told = vistazo("evaluate", trained(folder, run), str(SOURCE), "--split", "test", cwd=folder).json()
    one = told["metrics"]
    before = one.get("loss_uncalibrated", one["loss"]), one.get("calibration_error_uncalibrated")
    say(
        "calibration",
        f"temperature {told['temperature']:.3f}: log loss {before[0]:.4f} -> {one['loss']:.4f}, calibration error "
        f"{before[1]} -> {one['calibration_error']:.4f}, accuracy {one['accuracy']:.4f}, n = {one['n']}",
        temperature=told["temperature"],
        metrics=one,
    )


def dont_know(folder: Path) -> None:
    for stated in STATED:
        run = trained(folder, "", "--dont-know", stated)
        told = vistazo("evaluate", run, str(SOURCE), "--split", "test", cwd=folder).json()
        one = told.get("unknowing")
        if one is None:
            say("dont-know", f"{stated}: no threshold was found", stated=stated)
            continue
        say(
            "dont-know",
            f"{stated}: answers {one['coverage']:.1%} of {one['n']} test pictures, {one['error']:.2%} of those wrongly",
            **one,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("cost", "calibration", "dont-know"))
    parser.add_argument("--run", default="")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if asked.what == "cost":
            cost(folder, asked.run, asked.rounds)
        elif asked.what == "calibration":
            calibration(folder, asked.run)
        else:
            dont_know(folder)


if __name__ == "__main__":
    main()
