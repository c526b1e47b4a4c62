"""Finds interpreters to try the package on: those on PATH, and those that pyenv keeps.

A name on PATH proves nothing (version managers leave stand-ins for versions that are not there), so each is asked what it is.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ASK = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
ANSWER_SECONDS = 20


def candidates(version: str) -> Iterator[str]:
    """Yield programs that may be a Python of a version such as "3.12"."""
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from (str(path) for path in sorted(kept.glob(f"{version}.*/bin/python"), reverse=True))


def find(version: str) -> str | None:
    """Return a Python of a version that can make virtual environments, or None if this machine has none."""
    return next((program for program in candidates(version) if _is(program, version)), None)


def _is(program: str, version: str) -> bool:
    try:
        done = subprocess.run([program, "-c", ASK], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version
