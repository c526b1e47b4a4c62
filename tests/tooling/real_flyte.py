"""The real Flyte SDK, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.tooling.environments import python_with

#: The line of releases that exports are made for; another one brings other rules.
REQUIREMENTS = ("flyte==2.12.*", "pandas", "pyarrow")


def run_with_flyte(module: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program with the real SDK in local mode; what it writes goes to the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLYTE", "PYTHON"))}
    environment = {**kept, "HOME": str(folder), "TMPDIR": str(folder)}
    command = [str(python_with(*REQUIREMENTS)), str(module), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False)
