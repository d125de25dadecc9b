"""Class by Vistazo beside class by a program without Vistazo: of 10,000 JPEGs >= 99.9 % are to be equal.

    python benchmarks/agreement.py [COUNT]

The JPEGs are those of benchmarks/pictures.py, 500 x 400 to 1,000 x 800, of one class each: pictures of CIFAR-10,
enlarged, on a background of others. Every second one trains the model, all are answered for: by `vistazo predict`, and
by examples/standalone/predict.py, which has Pillow, its `draft` and the rule of docs/decoding.md.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from common import ROOT, vistazo

from pictures import photographs, scratch

STANDALONE = ROOT / "examples" / "standalone" / "predict.py"


def alone(model: Path, files: list[Path]) -> dict[str, tuple[str, float]]:
    """{file: (class, probability)} by the program that knows no Vistazo."""
    told = subprocess.run(
        [sys.executable, str(STANDALONE), str(model), "--json"],
        input="\n".join(map(str, files)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = map(json.loads, told.splitlines())
    return {one["file"]: (one["class"], one["probability"]) for one in found}


def main(count: int = 10_000) -> None:
    with scratch() as name:
        folder = Path(name)
        (folder / "photographs").mkdir()
        files = photographs(folder / "photographs", count, told_apart=True)
        (folder / "part").mkdir()
        for file in files[::2]:
            (folder / "part" / file.parent.name).mkdir(exist_ok=True)
            (folder / "part" / file.parent.name / file.name).hardlink_to(file)
        words = ("--recipe", "quick", "--size", "64", "--group-by", "none")
        trained = vistazo("train", str(folder / "part"), *words, "--out", "run", cwd=folder).json()
        accuracy = trained["metrics"]["test"]["accuracy"]
        print(
            f"trained on {len(list((folder / 'part').rglob('*.jpg'))):,}: accuracy {accuracy:.1%}", flush=True
        )
        answered = vistazo("predict", "run", str(folder / "photographs"), cwd=folder).json()["predictions"]
        ours = {one["file"]: (one["class"], one["probability"]) for one in answered}
        theirs = alone(folder / "run" / "model.vistazo", files)
        assert ours.keys() == theirs.keys()
        equal = np.array([ours[one][0] == theirs[one][0] for one in ours])
        apart = np.array([abs(ours[one][1] - theirs[one][1]) for one in ours])
        print(f"{equal.mean():.2%} of {len(equal):,} answers are equal ({(~equal).sum()} differ)")
        print(f"probabilities differ by {apart.mean():.4f} on average and {apart.max():.3f} at most")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
