"""Fashion-MNIST, the same network family, 3 epochs: asked >= 92.5 % on test in no more than the Keras program's time
on Fashion-MNIST (aim 0.8 of it).

    VISTAZO_KERAS_PYTHON=/path/to/python-with-keras python benchmarks/fashion.py [EPOCHS]
"""

import statistics
import sys
import tempfile
from pathlib import Path

from common import DATA, keras, told, vistazo


def main() -> None:
    data, epochs = DATA / "fashion-mnist", sys.argv[1] if len(sys.argv) > 1 else "3"
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            vistazo("train", str(data), "--seed", str(seed), "--epochs", epochs, cwd=Path(folder))
            for seed in range(3)
        ]
    beside = keras(data, 10)
    accuracies = [run.json()["metrics"]["test"]["accuracy"] for run in runs]
    seconds = [run.seconds for run in runs]
    print(told(f"seconds, whole process, {epochs} epochs", seconds, "s"))
    print(f"test accuracy, mean of {len(runs)} seeds: {100 * statistics.mean(accuracies):.3f} % {accuracies}")
    print(told("most resident memory", [run.memory for run in runs], "MB"))
    if beside:
        print(f"beside, Keras 10 epochs: {beside.seconds:.1f} s, {beside.output.strip().splitlines()[-1]}")
        print(f"ratio: {statistics.median(seconds) / beside.seconds:.2f}")


if __name__ == "__main__":
    main()
