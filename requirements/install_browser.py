"""Find or install the browser that the tests of pages need. It always ends well: without one they are skipped.

Nothing is done where chromium or Chrome is on the path. Else the system's package is installed where apt-get is there
and this may be done without a password; else Playwright fetches its own.
"""

import os
import shutil
import subprocess
import sys

KNOWN = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 900  # an installation may take


def main() -> int:
    if found():
        return 0
    print("Installing a browser for the tests of pages ...", file=sys.stderr)
    if by_apt() or by_playwright():
        return 0
    print("No browser could be installed: the tests of pages will be skipped.", file=sys.stderr)
    return 0


def found() -> bool:
    return any(map(shutil.which, KNOWN))


def by_apt() -> bool:
    """Whether the system's package was installed."""
    if shutil.which("apt-get") is None:
        return False
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if rights and (shutil.which("sudo") is None or not done([*rights, "true"])):
        return False
    settings = [*rights, "env", "DEBIAN_FRONTEND=noninteractive"]
    install = [*settings, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
    # A fresh machine has no lists of packages yet.
    if done(install) and found():
        return True
    return done([*settings, "apt-get", "update", "-qq"]) and done(install) and found()


def by_playwright() -> bool:
    """Whether Playwright fetched its own browser."""
    return done([sys.executable, "-m", "playwright", "install", "chromium"])


def done(command: list[str]) -> bool:
    try:
        return (
            subprocess.run(command, stdout=subprocess.DEVNULL, timeout=SECONDS, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    sys.exit(main())
