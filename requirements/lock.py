"""Renew the locks: `core.txt` (what running needs) and `dev.txt` (core, tests and quality tools).

Each pins every package for Python 3.11 to 3.14 on Linux, macOS and Windows, with the hashes of its files and no
address of an index. torch is left out (see `install_torch.py`); what torch itself needs is in.

    make lock                      the newest versions
    make lock ARGS=--keep          the versions that stand there, for a new dependency
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# Named here because torch is overridden away: with it would come the CUDA packages.
TORCH_NEEDS = ("filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions")
BUILD = ("hatchling", "editables")  # so that Vistazo itself is installed without a download
HEADER = "# Made by `make lock`; not to be edited. torch stands apart: requirements/install_torch.py installs it.\n"


def compile_lock(name: str, *extra: str, constraint: Path | None, keep: bool) -> Path:
    lock = HERE / name
    with tempfile.TemporaryDirectory() as folder:
        wanted, without = Path(folder, "wanted.in"), Path(folder, "without.txt")
        wanted.write_text("\n".join((*TORCH_NEEDS, *BUILD)) + "\n")
        without.write_text("torch ; python_version < '3'\n")
        command = [
            sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes",
            "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
            "--python-version", "3.11", "--override", str(without),
            *extra, str(HERE.parent / "pyproject.toml"), str(wanted),
        ]  # fmt: skip
        if constraint is not None:
            command += ["--constraint", str(constraint)]
        if keep and lock.exists():
            command += ["--constraint", str(lock)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit(made.stderr)
    if found := re.search(r"https?://\S+|file:\S+", made.stdout):
        sys.exit(f"An address is in the lock: {found[0]}")
    lock.write_text(HEADER + made.stdout, encoding="utf-8")
    print(f"{lock.relative_to(HERE.parent)}: {made.stdout.count('==')} packages")
    return lock


if __name__ == "__main__":
    core = compile_lock("core.txt", constraint=None, keep="--keep" in sys.argv)
    compile_lock("dev.txt", "--extra", "dev", constraint=core, keep="--keep" in sys.argv)
