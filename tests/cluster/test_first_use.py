"""What may be the first thing that a program asks for, right after the import: nothing needs a run, a magic or `init` before it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TASK = """
import flyte_nb as flyte
env = flyte.TaskEnvironment("first")
@env.task
def square(x: int) -> int:
    return x**2
"""
FIRST = {
    "a map": ("print(list(flyte.map(square, range(4))))", "[0, 1, 4, 9]"),
    "a table": ("run = flyte.map_frame(square, {'x': [1, 2]}); run.wait(); print(run.results.output.tolist())", "[1, 4]"),
    "the runs": ("print(len(flyte.runs()))", "0"),
    "a run that is not there": (
        "try: flyte.remote.Run.get('r1')\nexcept flyte.errors.RunNotFoundError as error: print(error.run)",
        "r1",
    ),
}


@pytest.mark.parametrize("what", FIRST)
def test_it_works_right_after_the_import(what: str, tmp_path: Path) -> None:
    """In a process of its own, where nothing was made yet."""
    code, said = FIRST[what]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_NB_")} | {
        "PYTHONPATH": str(ROOT),
        "FLYTE_NB_CLUSTER": "inline",
        "FLYTE_NB_STORE": ":memory:",
    }
    done = subprocess.run(
        [sys.executable, "-c", TASK + code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout.strip(), done.returncode) == (said, 0), done.stderr[-2000:]
