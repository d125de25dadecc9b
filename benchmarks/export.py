"""Exported models beside the models they came from, and beside the time they take.

    python benchmarks/export.py small     MNIST, Fashion-MNIST and CIFAR-10: recipe quick, the test sets' files through
                                          both: 100 % the same class but for ties, probabilities within 1e-4
    python benchmarks/export.py photos    10,000 JPEGs >= 500 x 400 through examples/exported: >= 99.9 % the same class
    python benchmarks/export.py int8 RUN  a finished run (CIFAR-10, recipe best) in int8: >= 1.5 x fp32 on two
                                          cores, <= 0.5 points lost
    python benchmarks/export.py warm RUN  one picture in a warm process: <= 1.5 x (network + decoding)

Data is looked for in VISTAZO_DATA.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import DATA, ROOT, told, vistazo

from pictures import photographs, scratch

EXAMPLE = ROOT / "examples" / "exported" / "predict.py"
SMALL = {
    "mnist": DATA / "mnist",
    "fashion-mnist": DATA / "fashion-mnist",
    "cifar-10": DATA / "cifar10-jpeg.zip",
}
ROUNDS = 15


def small() -> None:
    with scratch() as name:
        folder = Path(name)
        for title, source in SMALL.items():
            vistazo("train", str(source), "--recipe", "quick", "--out", title, cwd=folder)
            found = vistazo("export", title, "--out", f"{title}.onnx", cwd=folder).json()
            print(
                f"{title}: {found['agreement']:.2%} of {found['examples']:,} the same ({found['ties']} ties), "
                f"probabilities within {found['largest_difference']:.1e}, accuracy {found['accuracy']}",
                flush=True,
            )


def photos(count: int = 10_000) -> None:
    with scratch() as name:
        folder = Path(name)
        (folder / "photographs").mkdir()
        files = photographs(folder / "photographs", count, told_apart=True)
        (folder / "part").mkdir()
        for file in files[::2]:
            (folder / "part" / file.parent.name).mkdir(exist_ok=True)
            (folder / "part" / file.parent.name / file.name).hardlink_to(file)
        words = ("--recipe", "quick", "--size", "64", "--group-by", "none")
        vistazo("train", str(folder / "part"), *words, "--out", "run", cwd=folder)
        vistazo("export", "run", "--out", "m.onnx", cwd=folder)
        answered = vistazo("predict", "run", str(folder / "photographs"), cwd=folder).json()["predictions"]
        ours = {one["file"]: (one["class"], one["probability"]) for one in answered}
        alone = subprocess.run(
            [sys.executable, str(EXAMPLE), str(folder / "m.onnx")],
            input="\n".join(map(str, files)), capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        theirs = {one["file"]: one for one in map(json.loads, alone.splitlines())}
        assert ours.keys() == theirs.keys()
        equal = np.array([ours[one][0] == theirs[one]["class"] for one in ours])
        apart = np.array([abs(ours[one][1] - theirs[one]["probability"]) for one in ours])
        print(f"{equal.mean():.2%} of {len(equal):,} answers are equal ({(~equal).sum()} differ)")
        print(f"probabilities differ by {apart.mean():.4f} on average and {apart.max():.3f} at most")


def int8(run: str) -> None:
    import vistazo as library
    from vistazo.classification.own_parts import own_part
    from vistazo.engine import onnx_file

    with scratch() as name:
        folder = Path(name)
        model = library.load(run)
        for precision in ("fp32", "int8"):
            found = model.export(folder / f"{precision}.onnx", precision=precision)
            print(f"{precision}: {found['bytes'] / 1e6:.2f} MB, accuracy {found['accuracy']}", flush=True)
        pixels = np.ascontiguousarray(own_part(model, "test").pixels[:64])
        sessions = [onnx_file.opened(folder / f"{one}.onnx", threads=2).session for one in ("fp32", "int8")]
        for session in sessions:
            session.run(None, {"pictures": pixels})
        gained = []
        for _ in range(ROUNDS):  # by turns, so that what else the machine does meets both
            full, eight = (seconds(lambda one=one: one.run(None, {"pictures": pixels})) for one in sessions)
            gained.append(full / eight)
        print(told("int8 is faster than fp32 on two cores", gained, "x"))


def warm(run: str) -> None:
    """The file is in memory; network and decoding are timed by themselves, and together as `predict` does it."""
    import vistazo as library
    from vistazo.classification.own_parts import own_part
    from vistazo.pictures import decoding

    with scratch() as name:
        folder = Path(name)
        model = library.load(run)
        model.export(folder / "m.onnx")
        exported = library.load(folder / "m.onnx")
        own = own_part(model, "test")
        data = own.store.read(int(own.rows_N[0]))
        if isinstance(data, np.ndarray):
            raise SystemExit("warm needs a run whose pictures are files: this one's are pixels.")
        file = folder / "one.jpg"
        file.write_bytes(data)
        height, width, channels = exported.size
        pixels = np.stack([decoding.decode(data, height=height, width=width, channels=channels)])

        def network() -> object:
            return exported.session.run(None, {"pictures": pixels})

        def decode() -> object:
            return decoding.decode(data, height=height, width=width, channels=channels)

        def answer() -> object:
            (told,) = exported.predict(file)
            assert "class" in told, told
            return told

        shares = []
        for way in (network, decode, answer):
            way()
        for _ in range(ROUNDS):
            bare = median(network) + median(decode)
            shares.append(median(answer) / bare)
        print(told("one picture beside network + decoding", shares, "x"))


def median(act: Callable[[], object], times: int = 20) -> float:
    return statistics.median(seconds(act) for _ in range(times))


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def main() -> None:
    asked = {"small": small, "photos": photos, "int8": int8, "warm": warm}
    word, *rest = sys.argv[1:] or [""]
    if word not in asked:
        raise SystemExit(f"there is no '{word}'; there are {', '.join(asked)}")
    asked[word](*(map(int, rest) if word == "photos" else rest))


if __name__ == "__main__":
    main()
