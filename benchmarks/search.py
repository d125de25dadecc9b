"""Similar pictures and identity: what was asked of them.

    python benchmarks/search.py precision [RUN]      CIFAR-10, test pictures against the training pictures:
                                                     precision@10 >= 85 %. RUN is a finished `best` run;
                                                     without one it is trained
    python benchmarks/search.py speed [WIDTH [N]]    60,000 vectors of 256 values: <= 5 ms a query, index <= 1.2 x them
    python benchmarks/search.py identify [RECIPE]    Quick, Draw!, each class in turn never enrolled: equal error rate
                                                     <= 12 %

`identify` has two readings. Strict: the network is trained without that class too, once for each class. Mild: one
network has seen all classes. In both the others are enrolled with their training pictures, and asked are the test
pictures of the others, who are to be known, and of that class, who is to be unknown; at the mean of the rates over the
classes. What was chosen (how many enrolled pictures a score is the mean of) was chosen on the validation pictures.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import DATA, told, vistazo

import vistazo as package
from vistazo.classification.classifier import Classifier
from vistazo.classification.similar import graph, identity
from vistazo.classification.similar.features import narrowed, unit
from vistazo.classification.similar.index_file import PICTURES, Columns, VectorIndex
from vistazo.classification.similar.neighbours import at, blocks_of, exact
from vistazo.classification.similar.reading import look_at, read

CIFAR, DRAWINGS = DATA / "cifar10-jpeg.zip", DATA / "quickdraw"
ASKED, TRAINED, HELD = 10, 2000, 250  # neighbours; drawings of a class to train on, and in each other part


def vectors(model: Classifier, rows: np.ndarray, found: object) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) vectors of length 1 and (N,) labels of the rows that can be read."""
    several = list(look_at(model, found, rows))
    kept = np.concatenate([one.rows for one in several])
    return unit(narrowed(np.concatenate([one.seen.features_ND for one in several]))), found.index.label[kept]


def precision(folder: Path, words: list[str]) -> None:
    run = words[0] if words else str(folder / "run")
    if not words:
        vistazo("train", str(CIFAR), "--recipe", "best", "--out", run, cwd=folder)
    model = package.load(run)
    found = read(CIFAR, classes=None, every=None)
    began = time.perf_counter()
    index_vectors, index_labels = vectors(model, found.index.rows("train"), found)
    queries, labels = vectors(model, found.index.rows("test"), found)
    print(
        f"{len(index_labels):,} indexed, {len(labels):,} asked, {time.perf_counter() - began:.0f} s of looking"
    )
    index = VectorIndex.create(folder / "index", fingerprint="", model=run, width=index_vectors.shape[1])
    count = len(index_vectors)
    names = [found.index.where[row] for row in found.index.rows("train")[:count]]
    index.add(PICTURES, str(CIFAR), index_vectors, blank(names))
    index.commit()
    places = exact(queries, blocks_of(index, index.pieces), ASKED).place_QK
    right = index_labels[places & 0xFFFFFFFF] == labels[:, None]
    print(f"precision@{ASKED}: {100 * right.mean():.2f} % (asked >= 85 %), accuracy of the model "
          f"{100 * model.metrics['test']['accuracy']:.2f} %, {index_vectors.shape[1]} values a picture")  # fmt: skip


def blank(names: list[str]) -> Columns:
    """Columns as a source of files would have them: every name, hash and stamp is its own."""
    random = np.random.default_rng(0)
    hashes = np.array([random.bytes(16).hex() for _ in names], "S32")
    stamps = np.array([random.bytes(8) for _ in names], "S8")
    return Columns(names, [name.split("/")[0] for name in names], hashes, stamps)


def speed(folder: Path, words: list[str]) -> None:
    width, count = (int(words[at]) if len(words) > at else default for at, default in ((0, 256), (1, 60_000)))
    random = np.random.default_rng(0)
    values = unit(random.normal(size=(count, width)).astype(np.float32))
    index = VectorIndex.create(folder / "index", fingerprint="", model="", width=width)
    began = time.perf_counter()
    names = [f"class {row % 10}/{row:06d}.png" for row in range(count)]
    index.add(PICTURES, "/pictures", values, blank(names))
    graph.extend(index, print)
    index.commit()
    print(f"written in {time.perf_counter() - began:.1f} s")
    again = VectorIndex.open(folder / "index")
    assert again is not None
    queries = unit(random.normal(size=(300, width)).astype(np.float32))
    spent, recall = [], None
    for row in range(len(queries)):
        began = time.perf_counter()
        found, recall = graph.nearest(again, again.pieces, queries[row : row + 1], ASKED)
        columns = again.columns(again.pieces[0])
        _ = [columns.names[at(place)[1]] for place in found.place_QK[0].tolist()]
        if row >= 20:  # the first ones read the file
            spent.append(1000 * (time.perf_counter() - began))
    p50, p99 = np.percentile(spent, (50, 99))
    print(f"{count:,} vectors of {width} values: p50 {p50:.2f} ms, p99 {p99:.2f} ms a query (asked <= 5)"
          + ("" if recall is None else f", recall {100 * recall:.1f} %"))  # fmt: skip
    print(f"index: {again.bytes() / values.nbytes:.3f} x the vectors' bytes (asked <= 1.2)")


def drawings() -> dict[str, dict[str, np.ndarray]]:
    """Part → class → (n, 28, 28) pictures, drawn once."""
    random = np.random.default_rng(0)
    parts: dict[str, dict[str, np.ndarray]] = {"train": {}, "validation": {}, "test": {}}
    edges = {
        "train": (0, TRAINED),
        "validation": (TRAINED, TRAINED + HELD),
        "test": (TRAINED + HELD, TRAINED + 2 * HELD),
    }
    for file in sorted(DRAWINGS.glob("*.npy")):
        pixels = np.load(file).reshape(-1, 28, 28, 1)
        pixels = pixels[random.permutation(len(pixels))]
        for part, (first, last) in edges.items():
            parts[part][file.stem] = pixels[first:last]
    return parts


def recogniser(
    folder: Path, parts: dict[str, dict[str, np.ndarray]], names: list[str], recipe: str
) -> Classifier:
    """A model of these classes, trained on their training pictures and never on others."""
    source = {
        part: (
            np.concatenate([several[name] for name in names]),
            np.repeat(names, [len(several[name]) for name in names]),
        )
        for part, several in parts.items()
    }
    package.train(source, task="classification", recipe=recipe, out=folder, quiet=True)
    model: Classifier = package.load(folder)
    return model


def rate(
    model: Classifier, parts: dict[str, dict[str, np.ndarray]], left: str, part: str
) -> tuple[float, float]:
    """(equal error rate with one class never enrolled, share of the others' best names that are right)."""
    others = [name for name in parts["train"] if name != left]
    seen = {name: unit(narrowed(model.features(parts["train"][name]))) for name in others}
    enrolled = np.concatenate([seen[name] for name in others])
    name_M = np.repeat(np.arange(len(others)), [len(seen[name]) for name in others])

    def scores(pixels: np.ndarray) -> np.ndarray:
        return identity.scores(unit(narrowed(model.features(pixels))), enrolled, name_M, len(others))

    known = [scores(parts[part][name]) for name in others]
    right = np.mean([(one.argmax(1) == at).mean() for at, one in enumerate(known)])
    best = np.concatenate([one.max(1) for one in known])
    return identity.equal_error_rate(best, scores(parts[part][left]).max(1))[0], float(right)


def identify(folder: Path, words: list[str]) -> None:
    recipe, parts = words[0] if words else "balanced", drawings()
    names = list(parts["train"])
    everybody = recogniser(folder / "all", parts, names, recipe)
    rates: dict[str, list[float]] = {}
    for left in names:
        model = recogniser(folder / left, parts, [name for name in names if name != left], recipe)
        line = [f"{left:<10}"]
        for reading, one in (("strict", model), ("mild", everybody)):
            for part in ("validation", "test"):
                found, right = rate(one, parts, left, part)
                rates.setdefault(f"{reading}, {part}", []).append(100 * found)
                line.append(f"{reading} {part} {100 * found:5.2f} % (right name {100 * right:.1f} %)")
        print(", ".join(line), flush=True)
    for reading, several in rates.items():
        mean = float(np.mean(several))
        print(
            f"{reading}: mean equal error rate {mean:.2f} % (asked <= 12); " + told("classes", several, "%")
        )
    print(json.dumps({reading: float(np.mean(several)) for reading, several in rates.items()}))


def main() -> None:
    asked = {"precision": precision, "speed": speed, "identify": identify}
    if len(sys.argv) < 2 or sys.argv[1] not in asked:
        raise SystemExit(f"name one of {', '.join(asked)}")
    with tempfile.TemporaryDirectory() as folder:
        asked[sys.argv[1]](Path(folder), sys.argv[2:])


if __name__ == "__main__":
    main()
