"""Other versions of Jupyter's packages: an environment of its own for each set, under `build/`, which borrows all else from this one."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

BUILD = Path(__file__).parents[2] / "build" / "environments"


def python_with(*wanted: str) -> Path:
    """An interpreter that has these packages before this environment's, made when it is first asked for.

    Args:
        wanted: requirements, as pip takes them; one without a version means the latest.

    Raises:
        subprocess.CalledProcessError: pip could not install them.
    """
    folder = BUILD / re.sub(r"[^\w.]+", "-", "_".join(wanted))
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        venv.create(folder, clear=True, with_pip=False)
        install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check", *wanted]
        subprocess.run(install, check=True, timeout=600, capture_output=True)
        (packages,) = folder.glob("lib/*/site-packages")
        (packages / "zz_borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf8")
        ready.touch()
    return python
