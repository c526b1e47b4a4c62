"""A kernel that is killed in the middle of a run loses nothing that anybody saw, and its run is closed by the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flyte_nb.core.index import RunFilter
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.store.keys import load_seal
from flyte_nb.store.reading import KERNEL_GONE
from flyte_nb.store.sqlite_store import SqliteStore
from tests.cluster.conftest import wait_until

PROGRAM = Path(__file__).with_name("kernel_to_kill.py")
COUNT = 2_000


def lines(path: Path) -> list[int]:
    """The numbers in a ledger."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def killed_after(handed: int, tmp_path: Path) -> RunState:
    """Kill a kernel once so many results were handed on; returns its run as the next kernel finds it."""
    ledger, home, key = tmp_path / "ledger", tmp_path / "store", tmp_path / "key"
    ledger.mkdir()
    environment = os.environ | {"FLYTE_NB_HOME": str(home), "FLYTE_NB_KEY_FILE": str(key), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, PROGRAM, ledger, str(COUNT)], env=environment, stderr=subprocess.DEVNULL) as kernel:
        try:
            wait_until(lambda: len(lines(ledger / "handed")) >= handed or kernel.poll() is not None, f"{handed} results", 60)
            assert kernel.poll() is None
        finally:
            kernel.send_signal(signal.SIGKILL)
    with closing(SqliteStore(home, load_seal(key, home))) as store:
        assert [entry.phase for entry in store.entries(RunFilter())] == [ActionPhase.ABORTED]
        state = store.get("victim")
    assert state is not None
    return state


@pytest.mark.parametrize("handed", [1, 400, 1_500])
def test_what_was_handed_on_is_in_the_store(tmp_path: Path, handed: int) -> None:
    """Every result that the driver saw is recorded, and reads back; the rest is aborted, and nothing is left running."""
    state = killed_after(handed, tmp_path)
    state.check()
    seen, ran = set(lines(tmp_path / "ledger" / "handed")), set(lines(tmp_path / "ledger" / "ran"))
    recorded = {}
    for row in range(1, state.count):
        if state.phase_of(row) is ActionPhase.SUCCEEDED:
            (number,) = state.inputs(row)
            recorded[number] = state.output(row)

    assert seen <= set(recorded) <= ran
    assert recorded == {number: number * 7 for number in recorded if isinstance(number, int)}
    assert state.ended_at is not None
    assert state.abort_reason(0) == KERNEL_GONE
    assert state.open_count == 0
