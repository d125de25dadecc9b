"""Transfer learning: what was asked of it, each as whole processes.

    python benchmarks/transfer.py cifar     CIFAR-10, `transfer`: >= 92.5 % on test (aim 94) within 25 Keras epochs
    python benchmarks/transfer.py few       20 pictures a class, 3 draws: `transfer` against `balanced`, >= +20 points
    python benchmarks/transfer.py photos    400 JPEGs of 12 megapixels in 5 classes: whole command <= 90 s

`photos` enlarges CIFAR-10 pictures to 4000 x 3000, and takes the recipe that `vistazo train` takes by itself. The
first run of `cifar` also tries how to compute; that is within its seconds.
"""

import io
import json
import statistics
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from common import DATA, Timed, told, vistazo
from PIL import Image

SOURCE = DATA / "cifar10-jpeg.zip"
EACH, DRAWS = 20, 3
PHOTOGRAPHS, CLASSES, LARGE = 80, 5, (4000, 3000)


def names(archive: zipfile.ZipFile, part: str) -> dict[str, list[str]]:
    """The pictures of a part, by class, in order."""
    found: dict[str, list[str]] = {}
    for name in sorted(archive.namelist()):
        if name.startswith(f"{part}/") and name.endswith(".jpg"):
            found.setdefault(name.split("/")[1], []).append(name)
    return found


def drawn(folder: Path, seed: int) -> Path:
    """An archive of 20 training pictures a class, drawn by the seed, and the whole test part."""
    path = folder / f"few-{seed}.zip"
    rng = np.random.default_rng(seed)
    with zipfile.ZipFile(SOURCE) as source, zipfile.ZipFile(path, "w") as out:
        taken = [name for several in names(source, "test").values() for name in several]
        for several in names(source, "train").values():
            taken += [several[at] for at in rng.permutation(len(several))[:EACH]]
        for name in taken:
            out.writestr(name, source.read(name))
    return path


def enlarged(folder: Path) -> Path:
    """A folder of 400 photographs of 12 megapixels."""
    with zipfile.ZipFile(SOURCE) as source:
        for label, several in list(names(source, "train").items())[:CLASSES]:
            (folder / "photos" / label).mkdir(parents=True)
            for name in several[:PHOTOGRAPHS]:
                picture = Image.open(io.BytesIO(source.read(name))).resize(LARGE, Image.Resampling.BICUBIC)
                picture.save(folder / "photos" / label / Path(name).name, quality=90)
    return folder / "photos"


def tell(label: str, run: Timed, folder: Path) -> float:
    """One line about a run; its accuracy on the leading part, in %."""
    figures = run.json()["metrics"]
    part = "test" if figures["test"] else "validation"
    accuracy = 100 * figures[part]["accuracy"]
    alone = json.loads((folder / "metrics.json").read_text(encoding="utf-8")).get("head_alone")
    head = f", head alone {100 * alone['accuracy']:.2f} % on validation" if alone else ""
    print(f"{label}: {accuracy:.2f} % on {part}{head}, {run.seconds:.1f} s, {run.memory:,.0f} MB", flush=True)
    return accuracy


def cifar(folder: Path) -> None:
    run = vistazo("train", str(SOURCE), "--recipe", "transfer", "--out", str(folder / "run"), cwd=folder)
    tell("CIFAR-10, transfer", run, folder / "run")


def few(folder: Path) -> None:
    gains = []
    for seed in range(DRAWS):
        source, reached = drawn(folder, seed), {}
        for recipe in ("transfer", "balanced"):
            out = folder / f"{recipe}-{seed}"
            run = vistazo("train", str(source), "--recipe", recipe, "--out", str(out), cwd=folder)
            reached[recipe] = tell(f"draw {seed}, {recipe}", run, out)
        gains.append(reached["transfer"] - reached["balanced"])
    print(told("gain of transfer, points", gains, "points"), f"mean {statistics.mean(gains):.2f}")


def photos(folder: Path) -> None:
    source = enlarged(folder)
    runs = []
    for seed in range(3):
        out = folder / f"run-{seed}"
        runs.append(vistazo("train", str(source), "--seed", str(seed), "--out", str(out), cwd=folder))
        tell(f"photographs, seed {seed}", runs[-1], out)
    print(told("seconds, whole process", [run.seconds for run in runs], "s"))
    print(told("most resident memory", [run.memory for run in runs], "MB"))


def main() -> None:
    asked = {"cifar": cifar, "few": few, "photos": photos}
    words = sys.argv[1:] or list(asked)
    for word in words:
        if word not in asked:
            raise SystemExit(f"there is no '{word}'; there are {', '.join(asked)}")
        with tempfile.TemporaryDirectory() as folder:
            asked[word](Path(folder))


if __name__ == "__main__":
    main()
