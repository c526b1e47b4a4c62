"""The bars themselves, as ratios: `make bench` in its quick form, on whatever machine the tests run."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench.cases import FAMILIES
from scripts.bench.record import ROOT, read
from scripts.bench.table import Row, markdown

# A neighbour on the machine can cost a figure a bar; twice the bar is no noise. What subtracts has no such factor.
SLACK = 2.0


def is_far_off(row: Row) -> bool:
    """Whether a row misses its bar by more than noise does."""
    return row.verdict == "broke" or (row.most is not None and row.figure is not None and row.figure > row.most * SLACK)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_bar_is_missed_by_far(tmp_path: Path) -> None:
    """Every bar is measured once, nothing breaks, and no figure is twice what its bar allows."""
    path = tmp_path / "round.json"
    command = [sys.executable, "-m", "scripts.bench", "--quick", "--patience", "120", "--to", str(path)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    rows = read(path).rows
    far_off = [row for row in rows if is_far_off(row)]
    assert {row.key for row in rows if row.most is not None} == set(FAMILIES)
    assert not far_off, markdown(far_off)
