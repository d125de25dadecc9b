"""Install PyTorch into the environment that runs this: the CPU build where no GPU is seen.

torch stands apart from the hashed lock because which build is right depends on the machine. On Linux the
ordinary build brings several gigabytes of CUDA; the `+cpu` build is a tenth of that. It is taken from wherever
pip is configured to look, and from PyTorch's own index of CPU builds otherwise.
"""

import json
import platform
import shutil
import subprocess
import sys
from importlib import metadata

VERSION = "2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--no-input")


def main() -> int:
    if installed() == VERSION:
        return 0
    if has_gpu():
        print(f"An NVIDIA GPU was found: installing torch {VERSION} with CUDA ...", file=sys.stderr)
        return install(f"torch=={VERSION}")
    print(f"Installing torch {VERSION} for the processor ...", file=sys.stderr)
    if platform.system() != "Linux":  # there the ordinary build has no CUDA in it
        return install("--no-deps", f"torch=={VERSION}")
    if build_that_pip_finds().endswith("+cpu"):
        return install("--no-deps", f"torch=={VERSION}+cpu")
    return install("--no-deps", "--index-url", CPU_INDEX, f"torch=={VERSION}+cpu")


def installed() -> str:
    """The version of torch in this environment without its build, or ''."""
    try:
        return metadata.version("torch").split("+")[0]
    except metadata.PackageNotFoundError:
        return ""


def has_gpu() -> bool:
    if shutil.which("nvidia-smi") is None:
        return False
    seen = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return seen.returncode == 0 and "GPU" in seen.stdout


def build_that_pip_finds() -> str:
    """The version pip would take from where it is configured to look, such as '2.13.0+cpu'; '' where none.

    Only the metadata is read where the index serves it apart; nothing is installed.
    """
    asked = [*PIP, "--dry-run", "--no-deps", "--ignore-installed", "--report", "-", f"torch=={VERSION}"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    if answer.returncode:
        return ""
    try:
        found: str = json.loads(answer.stdout)["install"][0]["metadata"]["version"]
    except (ValueError, LookupError):
        return ""
    return found


def install(*what: str) -> int:
    code = subprocess.run([*PIP, *what], check=False).returncode
    if code:
        print(
            f"torch {VERSION} could not be installed. Install a build for your machine into {sys.prefix} yourself "
            "(https://pytorch.org/get-started/locally), then repeat.",
            file=sys.stderr,
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
