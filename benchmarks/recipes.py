"""The recipes on the data of the tutorials, whole processes beside the tutorials' own programs.

    VISTAZO_KERAS_PYTHON=/path/to/python-with-keras python benchmarks/recipes.py [NAME ...] [--seeds N]

Names: mnist-quick mnist-balanced mnist-best fashion-balanced fashion-best cifar-quick cifar-best cifar-transfer
drawings-balanced, and mnist-keras fashion-keras cifar-keras for the programs beside. Without a name, all of them.
What was asked of each stands in ASKED. `cifar-keras` runs two epochs; 25 are the first and 24 times the second.

Every run is written to benchmarks/runs/recipes.jsonl as it ends, and a seed that is there already is not run again,
so that seeds may accumulate over several days. Delete the file after a change that they depend on.
"""

import json
import re
import statistics
import struct
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from common import DATA, KERAS, SEEDS, keras, timed, told, vistazo

KEPT = Path(__file__).resolve().parent / "runs" / "recipes.jsonl"
ASKED = {
    "mnist-quick": "98.66 % in 1/8 of mnist-keras (aim 1/12)",
    "mnist-balanced": "99.5 % in 1/3 of mnist-keras",
    "mnist-best": "99.6 %",
    "fashion-balanced": "93.3 % in no more time than fashion-keras",
    "fashion-best": "94.0 % in 900 s (aim 94.5)",
    "cifar-quick": "82.01 % in 1/18 of cifar-keras (aim 1/25)",
    "cifar-best": "91.5 % within cifar-keras",
    "cifar-transfer": "92.5 % within cifar-keras (aim 94)",
    "drawings-balanced": "97 % on a seeded 20 % test part",
}
PROGRAMS = ("mnist-keras", "fashion-keras", "cifar-keras")
SOURCES = {"mnist": DATA / "mnist", "fashion": DATA / "fashion-mnist", "cifar": DATA / "cifar10-jpeg.zip"}


def drawings(folder: Path, seed: int) -> Path:
    """Quick, Draw! as IDX files with a test part of 20 %, drawn by class from the seed."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"train": [], "t10k": []}
    for label, file in enumerate(sorted((DATA / "quickdraw").glob("*.npy"))):
        pictures = np.load(file).reshape(-1, 28, 28)
        order = rng.permutation(len(pictures))
        cut = len(order) // 5
        for part, rows in (("t10k", order[:cut]), ("train", order[cut:])):
            parts[part].append((pictures[rows], np.full(len(rows), label, np.uint8)))
    for part, several in parts.items():
        for column, name in enumerate(("images-idx3", "labels-idx1")):
            array = np.concatenate([one[column] for one in several])
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(header + array.tobytes())
    return folder


def run(name: str, seed: int) -> dict[str, object]:
    """One run as a whole process: {"name", "seed", "seconds", "memory", "accuracy"}."""
    data, recipe = name.split("-")
    if recipe == "keras":
        return {"name": name, "seed": seed, **program(data)}
    with tempfile.TemporaryDirectory() as folder:
        source = SOURCES.get(data) or drawings(Path(folder) / "drawings", seed)
        one = vistazo("train", str(source), "--recipe", recipe, "--seed", str(seed), cwd=Path(folder))
        figures = one.json()["metrics"]
        return {
            "name": name, "seed": seed, "seconds": one.seconds, "memory": one.memory,
            "accuracy": figures["test"]["accuracy"], "validation": figures["validation"]["accuracy"],
        }  # fmt: skip


def program(data: str) -> dict[str, object]:
    """The tutorial's own program; of the one on CIFAR-10 two epochs."""
    if data != "cifar":
        one = keras(SOURCES[data], 10)
        assert one is not None
        return {"seconds": one.seconds, "memory": one.memory, "accuracy": accuracy(one.output)}
    one = timed([KERAS, str(SEEDS / "cifar_keras.py"), str(SOURCES[data]), "2"])
    # Keras tells whole seconds after each epoch: "782/782 - 57s - 73ms/step"
    first, second = (
        int(found) * int(ms) / 1000 for found, ms in re.findall(r"(\d+)/\d+ - \d+s - (\d+)ms", one.output)
    )
    return {
        "seconds": one.seconds - first - second + first + 24 * second,
        "memory": one.memory,
        "accuracy": None,
    }


def accuracy(output: str) -> float | None:
    found = re.search(r"test_accuracy=([01]\.\d+)", output)
    return float(found[1]) if found else None


def kept() -> list[dict[str, object]]:
    return [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []


def main() -> None:
    words = sys.argv[1:]
    seeds = int(words.pop(words.index("--seeds") + 1)) if "--seeds" in words else 3
    names = [one for one in words if one != "--seeds"] or [*ASKED, *PROGRAMS]
    KEPT.parent.mkdir(exist_ok=True)
    for name in names:
        if name in PROGRAMS and not KERAS:
            print(f"{name}: skipped, because VISTAZO_KERAS_PYTHON is not set")
            continue
        for seed in range(1 if name in PROGRAMS else seeds):
            if not any((one["name"], one["seed"]) == (name, seed) for one in kept()):
                found = run(name, seed)
                print(found, flush=True)
                with KEPT.open("a") as file:
                    file.write(json.dumps(found) + "\n")
    show()


def show() -> None:
    """One line a name: seconds, accuracy, ratio to the program beside."""
    runs = kept()
    beside = {
        str(one["name"]).split("-")[0]: float(one["seconds"]) for one in runs if one["name"] in PROGRAMS
    }  # type: ignore[arg-type]
    for name in dict.fromkeys(str(one["name"]) for one in runs):
        mine = [one for one in runs if one["name"] == name]
        seconds = [float(one["seconds"]) for one in mine]  # type: ignore[arg-type]
        print(told(f"\n{name}: seconds, whole process", seconds, "s"))
        print(told("  most resident memory", [float(one["memory"]) for one in mine], "MB"))  # type: ignore[arg-type]
        figures = [float(one["accuracy"]) for one in mine if one["accuracy"]]  # type: ignore[arg-type]
        if figures:
            print(f"  test accuracy, mean: {100 * statistics.mean(figures):.2f} % {figures}")
        other = beside.get(name.split("-")[0])
        if other and name not in PROGRAMS:
            share = statistics.median(seconds) / other
            print(f"  of the program beside: {share:.3f}, 1/{1 / share:.1f}")
        if name in ASKED:
            print(f"  asked: {ASKED[name]}")


if __name__ == "__main__":
    with zipfile.ZipFile(SOURCES["cifar"]):  # told before an hour of work, not after
        main()
