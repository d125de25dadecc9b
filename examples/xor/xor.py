"""The first network of all that needed a hidden layer: exclusive or, 2 inputs, 16 hidden units, 1 output.

    python examples/xor/xor.py --out FOLDER [--seeds 20]

Trains with several seeds, saves, loads again in the same words as everything else, and tells how many seeds solved it.
"""

import argparse
from pathlib import Path

import vistazo
from vistazo.language import current

TABLE = "a,b,xor\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n"
WORDS = {
    "en": "solved by {n} of {seeds} seeds with {parameters} parameters",
    "es": "resuelto con {n} de {seeds} semillas y {parameters} parámetros",
}


def solve(folder: Path, seed: int) -> tuple[bool, int]:
    """Train on the truth table, load the saved file, and ask it: (whether all four answers are right, parameters)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "xor.csv").write_text(TABLE, encoding="utf-8")
    trained = vistazo.train(
        folder / "xor.csv",
        target="xor",
        kind="regression",  # one output and the squared error, as in 1986
        hidden="16",
        members=1,
        seed=seed,
        out=folder / f"seed-{seed}",
        quiet=True,
    )
    model = vistazo.load(trained.model)
    answers = list(model.predict([{"a": a, "b": b} for a in (0, 1) for b in (0, 1)]))
    right = [
        round(answer["value"]) == expected for answer, expected in zip(answers, (0, 1, 1, 0), strict=True)
    ]
    print(f"{seed:3}  " + "  ".join(f"{answer['value']:6.3f}" for answer in answers))
    return all(right), trained.parameters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    print("     0⊻0     0⊻1     1⊻0     1⊻1")
    found = [solve(asked.out, seed) for seed in range(asked.seeds)]
    told = WORDS[current()]
    print(told.format(n=sum(right for right, _ in found), seeds=len(found), parameters=found[0][1]))


if __name__ == "__main__":
    main()
