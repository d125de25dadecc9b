"""Start-up and size. Asked: `vistazo --help` <= 0.35 s; `import vistazo` <= 0.1 s above a bare interpreter; what the
core adds to a CPU torch <= 450 MB, scikit-learn not in it.

    python benchmarks/startup.py            (run by the Python of a virtual environment made by `make demo`)
"""

import importlib.metadata
import re
import statistics
import sys
import tempfile
from pathlib import Path

from common import timed


def median(*words: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return statistics.median(timed([sys.executable, *words], cwd=Path(folder)).seconds for _ in range(11))


def size(name: str) -> float:
    """MB on disk of one installed package's files."""
    files = importlib.metadata.distribution(name).files or []
    places = (Path(str(one.locate())) for one in files)
    return sum(one.stat().st_blocks * 512 for one in places if one.is_file()) / 1e6


def needed(name: str, found: set[str]) -> set[str]:
    """A package and all that it needs, as installed here."""
    key = name.lower().replace("_", "-")
    try:
        wanted = importlib.metadata.requires(key) or []
    except importlib.metadata.PackageNotFoundError:
        return found
    if key not in found:
        found.add(key)
        for line in wanted:
            if "extra ==" not in line:
                needed(re.split(r"[^A-Za-z0-9_.-]", line.strip(), maxsplit=1)[0], found)
    return found


def main() -> None:
    bare, imported, helped = (
        median("-c", "pass"),
        median("-c", "import vistazo"),
        median("-m", "vistazo", "--help"),
    )
    print(
        f"bare interpreter {bare:.3f} s; import vistazo +{imported - bare:.3f} s; vistazo --help {helped:.3f} s"
    )
    torch, core = needed("torch", set()), needed("vistazo", set())
    sizes = {name: size(name) for name in core}
    added = sorted(core - torch, key=lambda name: -sizes[name])
    print(f"torch with what it needs: {sum(sizes[name] for name in torch):.0f} MB")
    print(f"the core beside it: {sum(sizes[name] for name in added):.0f} MB in {len(added)} packages")
    print("  " + ", ".join(f"{name} {sizes[name]:.0f}" for name in added[:8]))
    print(
        f"of scikit-learn and torchvision it needs {sorted({'scikit-learn', 'torchvision'} & core) or 'none'}"
    )


if __name__ == "__main__":
    main()
