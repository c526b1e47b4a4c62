"""The code in the pages of the documentation runs as it stands."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, blocks

SECONDS = 100
#: Run elsewhere: in test_readme.py, tests/unit/test_reference.py, test_mistakes.py.
ELSEWHERE = {"README.md", "docs/magics.md", "docs/mistakes.md"}
#: What a page needs beside this package and its tests; where it is not installed, the page's code is not run.
NEEDS = {
    "docs/coming-from/flyte-1.md": "flytekit",
    "docs/coming-from/ipyparallel.md": "ipyparallel",
    "docs/coming-from/joblib.md": "joblib",
    "docs/coming-from/ray.md": "ray",
}
WITH_CODE = [page for page in PAGES if page not in ELSEWHERE and any(block.language in {"python", "ipython"} for block in blocks(page))]


@pytest.mark.parametrize("page", WITH_CODE)
def test_the_code_of_a_page_runs(page: str, tmp_path: Path) -> None:
    """Block after block, as cells of one notebook; what cannot run says why in a comment above it."""
    if page in NEEDS and importlib.util.find_spec(NEEDS[page]) is None:
        pytest.skip(f"{NEEDS[page]} is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_NB_")} | {
        "PYTHONPATH": str(ROOT),
        "FLYTE_NB_CLUSTER": "inline",
        "FLYTE_NB_STORE": ":memory:",
        "IPYTHONDIR": str(tmp_path),
    }

    done = subprocess.run(
        [sys.executable, "-m", "tests.run_page", page],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
