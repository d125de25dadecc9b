"""`--time T`: asked that every run ends in [0.7 T, T], and that accuracy never falls with T by more than noise.

    python benchmarks/budget.py [SECONDS ...]

Three sources: MNIST, Fashion-MNIST, the CIFAR-10 JPEG zip; 30 s, 2 min and 10 min unless given. Whole processes.
"""

import sys
import tempfile
from pathlib import Path

from common import vistazo
from recipes import SOURCES


def main() -> None:
    limits = [int(one) for one in sys.argv[1:]] or [30, 120, 600]
    for name, source in SOURCES.items():
        for limit in limits:
            with tempfile.TemporaryDirectory() as folder:
                one = vistazo("train", str(source), "--time", f"{limit}s", cwd=Path(folder))
                figures = one.json()["metrics"]
                inside = "inside" if 0.7 * limit <= one.seconds <= limit else "OUTSIDE"
                print(
                    f"{name} {limit} s: {one.seconds:.1f} s, {one.seconds / limit:.2f} of it, {inside}; "
                    f"validation {100 * figures['validation']['accuracy']:.2f} %, "
                    f"test {100 * figures['test']['accuracy']:.2f} %, {one.json()['parameters']:,} parameters",
                    flush=True,
                )


if __name__ == "__main__":
    main()
