"""Start-up and size. Asked: `vistazo --help` <= 0.35 s; `import vistazo` <= 0.1 s above a bare interpreter; what the
core adds to a CPU torch <= 450 MB, scikit-learn not in it.

    python benchmarks/startup.py            (run by the Python of a virtual environment made by `make demo`)
"""

import importlib.metadata
import statistics
import sys
import sysconfig
import tempfile
from pathlib import Path

from common import timed


def median(*words: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return statistics.median(timed([sys.executable, *words], cwd=Path(folder)).seconds for _ in range(11))


def size(folder: Path) -> float:
    return (
        sum(one.stat().st_blocks * 512 for one in folder.rglob("*") if one.is_file() and not one.is_symlink())
        / 1e6
    )


def main() -> None:
    bare, imported, helped = (
        median("-c", "pass"),
        median("-c", "import vistazo"),
        median("-m", "vistazo", "--help"),
    )
    print(
        f"bare interpreter {bare:.3f} s; import vistazo +{imported - bare:.3f} s; vistazo --help {helped:.3f} s"
    )
    packages = Path(sysconfig.get_path("purelib"))
    whole, torch = size(packages), size(packages / "torch")
    print(
        f"site-packages {whole:.0f} MB; torch itself {torch:.0f} MB; everything else {whole - torch:.0f} MB"
    )
    names = {one.metadata["Name"].lower() for one in importlib.metadata.distributions()}
    unwanted = sorted({"scikit-learn", "torchvision"} & names)
    print(f"{len(names)} packages; of scikit-learn and torchvision there are {unwanted or 'none'}")


if __name__ == "__main__":
    main()
