"""The README's code, as it stands: a script without a main guard, on the embedded cluster."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 100


def code() -> str:
    """Return the README's first block of Python."""
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf8"), re.DOTALL)
    assert block is not None
    return block[1]


@pytest.mark.parametrize("way", ["a file", "a pipe"])
def test_the_readmes_code_runs_as_it_stands(way: str, tmp_path: Path) -> None:
    """Workers do not run the program again, wherever it was read from; it ends with what the comment says."""
    script = tmp_path / "example.py"
    script.write_text(code())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_NB_")} | {
        "PYTHONPATH": str(ROOT),
        "FLYTE_NB_STORE": ":memory:",
    }

    done = subprocess.run(
        [sys.executable, str(script) if way == "a file" else "-"],
        cwd=tmp_path,
        env=environment,
        input=code() if way == "a pipe" else None,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, ["332833.5"]), done.stderr
    assert done.stdout.count("332833.5") == 1
    assert "[1000 rows x 4 columns]" in done.stdout
    assert "Traceback" not in done.stderr
