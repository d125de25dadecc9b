"""Uneven classes: none, sampling and weights beside one another, on parts of Fashion-MNIST's training file alone.

    python benchmarks/imbalance.py [RATIO ...] [--seeds N] [--largest N]

Of ten classes the largest has 1,000 pictures and the smallest RATIO times fewer (default 2, 5, 20, 50), the others
between them in equal steps of proportion; which class is how rare is drawn by the seed. Measured on 1,000 other
pictures a class of the same file, each class counted as often as it comes up in training, so the figures are those of
a user whose pictures to come are as uneven as those to learn from; balanced accuracy counts each class once.
The official test part is not read.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
from common import DATA

import vistazo
from vistazo.pictures.sources import read_source

WAYS = ("none", "sampling", "weights")
CLASSES, POOL, ASIDE = 10, 1000, 100


def clothes() -> tuple[np.ndarray, np.ndarray]:
    """The 60,000 pictures of the training file and their classes."""
    found = read_source(DATA / "fashion-mnist", classes_file=None)
    rows = found.index.rows("train")
    return np.stack([found.store.read(int(row)) for row in rows]), found.index.label[rows]


def parts(
    labels: np.ndarray, ratio: float, largest: int, seed: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows to train on, to validate and to measure on; and the pictures of each class in training."""
    random = np.random.default_rng(seed)
    rarity = random.permutation(CLASSES)
    counts = np.array([round(largest * ratio ** (-rarity[at] / (CLASSES - 1))) for at in range(CLASSES)])
    found: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for at in range(CLASSES):
        rows = random.permutation(np.flatnonzero(labels == at))
        found["test"].append(rows[:POOL])
        found["validation"].append(rows[POOL : POOL + ASIDE])
        found["train"].append(rows[POOL + ASIDE :][: counts[at]])
    return {part: np.concatenate(rows) for part, rows in found.items()}, counts


def figures(answers: np.ndarray, truth: np.ndarray, counts: np.ndarray) -> tuple[float, float, float]:
    """Accuracy and macro F1 where classes come up by `counts`, and balanced accuracy."""
    confusion = np.zeros((CLASSES, CLASSES))
    np.add.at(confusion, (truth, answers), 1)
    recalls = confusion / confusion.sum(1, keepdims=True)
    shares = recalls * counts[:, None] / counts.sum()
    right = shares.diagonal()
    f1 = 2 * right / (shares.sum(0) + shares.sum(1))
    return float(right.sum()), float(f1.mean()), float(recalls.diagonal().mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ratios", type=float, nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--largest", type=int, default=1000)
    asked = parser.parse_args()
    pictures, labels = clothes()
    for ratio in asked.ratios or (2.0, 5.0, 20.0, 50.0):
        found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
        for seed in range(asked.seeds):
            rows, counts = parts(labels, ratio, asked.largest, seed)
            source = {part: (pictures[mine], labels[mine]) for part, mine in rows.items()}
            for way in WAYS:
                with tempfile.TemporaryDirectory() as folder:
                    run = str(Path(folder) / "run")
                    result = vistazo.train(source, balance=way, seed=seed, out=run, quiet=True)
                    answers = vistazo.load(result.model).probabilities(source["test"][0][..., None]).argmax(1)
                found[way].append(figures(answers, source["test"][1], counts))
        for way, each in found.items():
            accuracy, f1, balanced = (100 * statistics.mean(one) for one in zip(*each, strict=True))
            print(
                f"{ratio:4.0f} times  {way:8}  accuracy {accuracy:.2f} %  macro F1 {f1:.2f}  "
                f"balanced accuracy {balanced:.2f} %  (F1 of each seed "
                f"{', '.join(f'{100 * one[1]:.1f}' for one in each)})",
                flush=True,
            )


if __name__ == "__main__":
    main()
