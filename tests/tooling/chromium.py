"""Decides which Chromium the browser tests drive, and gets one where there is none.

`find()` only looks: $CHROMIUM, PATH, Playwright's own. `get()` may install: Playwright's download, then apt as root.
A browser counts only if it starts (`--version`): distributions ship stand-ins, and a download may lack its libraries.
`python -m tests.tooling.chromium` is what the Makefile calls before the browser ring. Knows nothing of the tests themselves.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS = 60  # a first start from a cold disk, on a loaded machine
INSTALL_SECONDS = 900

HOW_TO_GET_ONE = """\
The browser tests need a Chromium that starts, and none was found or could be installed. Any one of these will do:
  - install one: `apt-get install chromium` (Debian, Ubuntu: as root), or Chromium or Google Chrome from your system's store;
  - let Playwright fetch its own: `.venv/bin/python -m playwright install --with-deps chromium`;
  - name one: `make test CHROMIUM=/path/to/chromium`."""


class ChromiumMissingError(Exception):
    """No Chromium was found or could be installed; the message says how to get one."""


def is_root() -> bool:
    """Tell whether this process may install system packages (and Chromium will refuse its own sandbox)."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def is_usable(path: str | Path) -> bool:
    """Tell whether the browser at `path` starts."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=START_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def on_path() -> str | None:
    """Return the first usable browser on PATH."""
    found = (shutil.which(name) for name in NAMES)
    return next((path for path in found if path and is_usable(path)), None)


def playwrights_own() -> str | None:
    """Return the browser that Playwright has downloaded, if it has and it starts."""
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() and is_usable(path) else None


def find() -> str:
    """Return the path of a usable Chromium without installing anything.

    Raises:
        ChromiumMissingError: There is none, or $CHROMIUM names something else.
    """
    named = os.environ.get("CHROMIUM")
    if named:
        if is_usable(named):
            return named
        raise ChromiumMissingError(f"$CHROMIUM is {named!r}, which does not start. Name another, or unset it to have one looked for.")
    path = on_path() or playwrights_own()
    if path is None:
        raise ChromiumMissingError(HOW_TO_GET_ONE)
    return path


def run(command: Sequence[str]) -> bool:
    """Run an installation step, its output where the person can see it; tell whether it worked."""
    print("+", " ".join(command), file=sys.stderr, flush=True)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            timeout=INSTALL_SECONDS,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return False
    return done.returncode == 0


def install_by_playwright() -> bool:
    """Let Playwright download its own."""
    return run([sys.executable, "-m", "playwright", "install", "chromium"])


def install_by_apt() -> bool:
    """Install the distribution's, where we may."""
    if not is_root() or shutil.which("apt-get") is None:
        return False
    return run(["apt-get", "update"]) and run(["apt-get", "install", "-y", "--no-install-recommends", "chromium"])


def get(ways: Sequence[Callable[[], bool]] = (install_by_playwright, install_by_apt)) -> str:
    """Return the path of a usable Chromium, installing one by the first way that works.

    Raises:
        ChromiumMissingError: There is none and no way worked.
    """
    try:
        return find()
    except ChromiumMissingError:
        if os.environ.get("CHROMIUM"):
            raise
    for install in ways:
        if install():
            try:
                return find()
            except ChromiumMissingError:
                continue
    raise ChromiumMissingError(HOW_TO_GET_ONE)


def main() -> int:
    """Print the browser's path, or how to get one."""
    try:
        path = get()
    except ChromiumMissingError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Browser tests drive {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
