"""A kernel that is killed in the middle of a run: another one finishes it, and does nothing again that was done."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from flyte_nb.core.index import RunFilter
from flyte_nb.core.payloads import unpack
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.store.opening import open_store
from flyte_nb.store.place import DATABASE
from flyte_nb.store.port import RunStore
from tests.fakes import mortal_program
from tests.fakes.mortal_program import BRANCHES, LEAVES, expected

ROOT = Path(__file__).parents[2]
PATIENCE = 120
#: Transactions of the store's writer; a run has more of them on any machine.
ENUMERATED = [*(("before", n) for n in range(2, 8)), *(("inside", n) for n in range(2, 8)), *(("after", n) for n in range(1, 9))]
FAST = {("inside", 3), ("after", 5)}
RANDOM = random.Random(2_000).sample(range(1, BRANCHES * LEAVES), 20)  # noqa: S311 - points in a test


@dataclass
class Mortals:
    """Kernels that share a store and a ledger of side effects."""

    folder: Path
    cluster: str = "inline"

    @property
    def ledger(self) -> Path:
        """What the leaves did, a number a line."""
        return self.folder / "ledger"

    def command(self, verb: str, what: str) -> subprocess.Popen[str]:
        """A kernel at work."""
        program = [sys.executable, mortal_program.__file__, verb, str(self.folder / "store"), str(self.ledger), what, self.cluster]
        environment = {**os.environ, "FLYTE_NB_KEY_FILE": str(self.folder / "key"), "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=self.folder)

    def told(self) -> Counter[int]:
        """How often each leaf ran."""
        return Counter(map(int, self.ledger.read_text().split())) if self.ledger.exists() else Counter()

    def open(self) -> RunStore:
        """The store, read by this process."""
        key = {"FLYTE_NB_KEY_FILE": str(self.folder / "key"), "HOME": str(self.folder)}
        return open_store(str(self.folder / "store"), say=lambda _line: None, environment=key)

    def state(self, name: str) -> RunState | None:
        """A stored run, whose record is whole: it folds, its invariants hold, and each output can be read."""
        with closing(self.open()) as store:
            state = store.get(name)
            if state is not None:
                state.check()
                for row in range(state.count):
                    unpack(state.output(row))
            return state


@pytest.fixture
def mortals(tmp_path: Path) -> Iterator[Mortals]:
    """A store that is whole at the end."""
    made = Mortals(tmp_path)
    yield made
    with closing(sqlite3.connect(tmp_path / "store" / DATABASE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def leaves_with_output(state: RunState | None) -> set[int]:
    """Numbers of the leaves whose output was recorded."""
    if state is None:
        return set()
    rows = [row for row in range(state.count) if state.task_of(row).short_name == "leaf"]
    return {int(str(state.inputs(row)[0])) for row in rows if state.phase_of(row) is ActionPhase.SUCCEEDED}


def check_recovery(mortals: Mortals) -> None:
    """The run that was killed is over and its record is whole; a new kernel finishes it without doing anything again."""
    killed, before = mortals.state("first"), mortals.told()
    assert killed is not None
    assert (killed.phase, killed.ended_at is not None) == (ActionPhase.ABORTED, True)
    kept = leaves_with_output(killed)
    assert kept <= set(before), "an output without its side effect"

    finishing = mortals.command("finish", "first")
    out, err = finishing.communicate(timeout=PATIENCE)

    assert finishing.returncode == 0, err
    told = json.loads(out.splitlines()[-1])
    assert (told["output"], told["phase"]) == (expected(), "succeeded")
    again = mortals.told() - before
    assert kept & set(again) == set(), "what had a recorded output ran again"
    assert set(again.values()) <= {1}
    assert set(before) | set(again) == set(range(BRANCHES * LEAVES))
    state = mortals.state(told["run"])
    assert state is not None
    assert (state.phase, state.source, state.relation) == (ActionPhase.SUCCEEDED, "first", "recover")


@pytest.mark.parametrize(
    "where, nth",
    [pytest.param(*point, marks=() if point in FAST else pytest.mark.slow) for point in ENUMERATED],
    ids=str,
)
def test_a_kernel_killed_around_a_transaction_is_recovered(mortals: Mortals, where: str, nth: int) -> None:
    """Before it begins, in the middle of it, or when it is done and nobody was told."""
    dying = mortals.command("start", f"{where} {nth}")
    _out, err = dying.communicate(timeout=PATIENCE)
    assert dying.returncode == -signal.SIGKILL, err

    check_recovery_or_end(mortals)


def kill_after(mortals: Mortals, lines: int) -> None:
    """Start a kernel, and kill it when so many leaves have run."""
    dying = mortals.command("start", "never")
    deadline = time.monotonic() + PATIENCE
    while not mortals.ledger.exists() or mortals.ledger.read_bytes().count(b"\n") < lines:
        assert dying.poll() is None, dying.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.001)
    dying.kill()
    dying.communicate()


@pytest.mark.parametrize(
    "lines", [pytest.param(lines, marks=() if number < 1 else pytest.mark.slow) for number, lines in enumerate(RANDOM)]
)
def test_a_kernel_killed_at_any_moment_is_recovered(mortals: Mortals, lines: int) -> None:
    """From outside, when so many leaves have run."""
    kill_after(mortals, lines)

    check_recovery_or_end(mortals)


def check_recovery_or_end(mortals: Mortals) -> None:
    """The same, unless the kernel was killed before the run was written, or when it was already over."""
    state = mortals.state("first")
    if state is None:
        assert len(mortals.told()) < BRANCHES * LEAVES
    elif state.phase is ActionPhase.SUCCEEDED:
        assert unpack(state.output(0)) == expected()
    else:
        check_recovery(mortals)


@pytest.mark.parametrize("lines", [600, pytest.param(50, marks=pytest.mark.slow), pytest.param(1_500, marks=pytest.mark.slow)])
def test_a_kernel_with_worker_processes_is_recovered(mortals: Mortals, lines: int) -> None:
    """The embedded cluster dies with its kernel; the next kernel starts its own."""
    mortals.cluster = "embedded"
    kill_after(mortals, lines)

    check_recovery_or_end(mortals)


def test_a_kernel_killed_before_its_run_was_written_leaves_a_store_that_works(mortals: Mortals) -> None:
    """There is no such run then; another kernel starts it."""
    dying = mortals.command("start", "inside 1")
    dying.communicate(timeout=PATIENCE)
    assert (dying.returncode, mortals.state("first")) == (-signal.SIGKILL, None)

    out, err = mortals.command("start", "never").communicate(timeout=PATIENCE)

    assert json.loads(out.splitlines()[-1]) == expected(), err


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_a_recovery_that_is_killed_is_recovered(mortals: Mortals, kills: int) -> None:
    """Again and again: what any of the kernels did and recorded is done once."""
    dying = mortals.command("start", "after 3")
    dying.communicate(timeout=PATIENCE)
    name = "first"
    for kill in range(kills):
        before, kept = mortals.told(), all_kept(mortals)
        dying = mortals.command("finish", f"{name} {4 + kill}")
        out, err = dying.communicate(timeout=PATIENCE)
        assert dying.returncode in {0, -signal.SIGKILL}, err
        assert kept & set(mortals.told() - before) == set(), "what had a recorded output ran again"
        name = latest(mortals)
    before, kept = mortals.told(), all_kept(mortals)

    out, err = mortals.command("finish", name).communicate(timeout=PATIENCE)

    assert json.loads(out.splitlines()[-1])["output"] == expected(), err
    assert kept & set(mortals.told() - before) == set()


def latest(mortals: Mortals) -> str:
    """The name of the newest run."""
    with closing(mortals.open()) as store:
        return store.entries(RunFilter())[-1].name


def all_kept(mortals: Mortals) -> set[int]:
    """Leaves whose output was recorded by any run."""
    with closing(mortals.open()) as store:
        names = [entry.name for entry in store.entries(RunFilter())]
    return set().union(*(leaves_with_output(mortals.state(name)) for name in names))
