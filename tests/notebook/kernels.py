"""Kernels of other versions: an environment of its own for each, under `build/`, which borrows all else from this one."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

BUILD = Path(__file__).parents[2] / "build" / "kernels"

#: The oldest that is supported, one whose subshells answer while a cell is busy, and today's latest.
VERSIONS = ("6.31.*", "7.1.*", "")


def python_with(version: str) -> Path:
    """An interpreter whose ipykernel is of this version (empty: the latest), made when it is first asked for.

    Raises:
        subprocess.CalledProcessError: pip could not install it.
    """
    folder = BUILD / (version.removesuffix(".*") or "latest")
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        venv.create(folder, clear=True, with_pip=False)
        wanted = f"ipykernel=={version}" if version else "ipykernel"
        install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check", wanted]
        subprocess.run(install, check=True, timeout=600, capture_output=True)
        (packages,) = folder.glob("lib/*/site-packages")
        (packages / "zz_borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf8")
        ready.touch()
    return python
