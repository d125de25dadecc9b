"""MNIST, `quick`: asked >= 98.66 % on test in <= 1/8 of the Keras tutorial's whole-process time (aim 1/12).

    VISTAZO_KERAS_PYTHON=/path/to/python-with-keras python benchmarks/mnist.py

Whole processes, from start to exit: ours with three seeds (the first also fills the probe's memory and is told
apart), theirs in the same run with its 10 epochs. Also the largest resident memory, asked < 1 GB.
"""

import statistics
import tempfile
from pathlib import Path

from common import DATA, keras, told, vistazo


def main() -> None:
    data = DATA / "mnist"
    with tempfile.TemporaryDirectory() as folder:
        cold = vistazo("train", str(data), "--seed", "9", cwd=Path(folder))
        print(f"first run of all, probe included if not yet remembered: {cold.seconds:.2f} s")
        runs = [vistazo("train", str(data), "--seed", str(seed), cwd=Path(folder)) for seed in range(3)]
    beside = keras(data, 10)
    if beside:
        print(f"beside, Keras 10 epochs: {beside.seconds:.1f} s, {beside.output.strip().splitlines()[-1]}")
    accuracies = [run.json()["metrics"]["test"]["accuracy"] for run in runs]
    seconds = [run.seconds for run in runs]
    print(told("seconds, whole process", seconds, "s"))
    print(f"test accuracy, mean of {len(runs)} seeds: {100 * statistics.mean(accuracies):.3f} % {accuracies}")
    print(told("most resident memory", [run.memory for run in runs], "MB"))
    if beside:
        print(f"ratio: 1/{beside.seconds / statistics.median(seconds):.1f}")


if __name__ == "__main__":
    main()
