"""Renew the locks: `core.txt` (what running needs), `dev.txt` (core, tests and quality tools) and the service's.

Each pins every package for Python 3.11 to 3.14 on Linux, macOS and Windows, with the hashes of its files and no
address of an index. torch is left out (see `install_torch.py`); what torch itself needs is in.

The service's are what the folder of `vistazo export --service` installs: the groups `service` and `service-tables` of
pyproject.toml, in the versions that the tests run with. They are data of the package, from where they are copied.

    make lock                      the newest versions
    make lock ARGS=--keep          the versions that stand there, for a new dependency
    make lock ARGS=--service       the service's alone, from the other two as they stand
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PYPROJECT = HERE.parent / "pyproject.toml"
SERVICE = HERE.parent / "src" / "vistazo" / "serving" / "locks"
# Named here because torch is overridden away: with it would come the CUDA packages.
TORCH_NEEDS = ("filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions")
BUILD = ("hatchling", "editables")  # so that Vistazo itself is installed without a download
HEADER = "# Made by `make lock`; not to be edited. torch stands apart: requirements/install_torch.py installs it.\n"


SERVICE_HEADER = "# pip install --require-hashes -r requirements.txt\n"


def compile_lock(name: str, *extra: str, constraint: Path | None, keep: bool) -> Path:
    lock = HERE / name
    with tempfile.TemporaryDirectory() as folder:
        wanted, without = Path(folder, "wanted.in"), Path(folder, "without.txt")
        wanted.write_text("\n".join((*TORCH_NEEDS, *BUILD)) + "\n")
        without.write_text("torch ; python_version < '3'\n")
        constraints = [*filter(None, (constraint, lock if keep and lock.exists() else None))]
        compile_to(lock, HEADER, *extra, "--override", without, PYPROJECT, wanted, constraints=constraints)
    return lock


def compile_service(group: str, name: str) -> None:
    """A lock of the exported folder: the versions of `dev.txt`, so that what was tested is what answers."""
    lock, dev = SERVICE / name, HERE / "dev.txt"
    compile_to(lock, SERVICE_HEADER, "--group", f"{PYPROJECT}:{group}", constraints=[dev])


def compile_to(lock: Path, header: str, *what: str | Path, constraints: list[Path]) -> None:
    command = [
        sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes",
        "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
        "--python-version", "3.11", *map(str, what),
    ]  # fmt: skip
    for constraint in constraints:
        command += ["--constraint", str(constraint)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit(made.stderr)
    if found := re.search(r"https?://\S+|file:\S+", made.stdout):
        sys.exit(f"An address is in the lock: {found[0]}")
    lock.write_text(header + made.stdout, encoding="utf-8")
    print(f"{lock.relative_to(HERE.parent)}: {made.stdout.count('==')} packages")


if __name__ == "__main__":
    if "--service" not in sys.argv:
        core = compile_lock("core.txt", constraint=None, keep="--keep" in sys.argv)
        compile_lock("dev.txt", "--extra", "dev", constraint=core, keep="--keep" in sys.argv)
    compile_service("service", "pictures.txt")
    compile_service("service-tables", "tables.txt")
