"""Promises that users lean on, each where it would break first: with real workers, faults, and neighbours.

CONTRIBUTING.md has the table of all promises and of the tests that fail when one is broken; `tests/test_docs.py` sees that
they exist. Here are those that need a whole system and have no file of their own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
import traceback
from collections import Counter
from pathlib import Path

import pytest

import flyte_nb as flyte
from flyte_nb import errors, workspace
from flyte_nb.remote import Run
from tests.cluster.conftest import backend, wait_for_workers, wait_until, worker_pids

SETTINGS = {"grace_seconds": 0.5, "system_retries": 2}
pytestmark = [pytest.mark.usefixtures("embedded"), pytest.mark.leaves(descriptors=40)]
SECONDS = 60
env = flyte.TaskEnvironment("promises")


def ended(run: Run) -> Run:
    """The run, when it has ended; its books are right."""
    run.wait(timeout=SECONDS)
    run.state.check()
    return run


def note(ledger: str, line: str) -> None:
    """Write a line that no other process can tear."""
    with Path(ledger).open("a") as file:
        file.write(f"{line}\n")


def lines(ledger: Path) -> list[str]:
    """What was written down."""
    return ledger.read_text().splitlines() if ledger.exists() else []


# ---------------------------------------------------------------------------------------------- P1: every run ends
@env.task
async def drowns(gate: str, number: int) -> int:
    """Whatever can happen to an action: it succeeds, fails, ends its worker, never ends."""
    if number % 4 == 1:
        raise ValueError(number)
    if number % 4 == 2 and not os.path.exists(gate):  # noqa: PTH110, ASYNC240 - a look at a file
        note(gate, "once")
        os._exit(1)
    if number % 4 == 3:
        await asyncio.sleep(SECONDS)
    return number


@env.task
async def sinks(gate: str) -> None:
    """Its children go all ways while it ends by itself."""
    calls = [asyncio.ensure_future(drowns(gate, number)) for number in range(12)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
    raise RuntimeError("enough")


def test_a_run_ends_in_a_terminal_phase_whatever_happens_in_it(tmp_path: Path) -> None:
    """P1: errors, a dead worker, actions without end and a root that raises: nobody is left behind, and nothing runs on."""
    wait_for_workers(2)
    run = ended(flyte.run(sinks, str(tmp_path / "gate")))

    assert run.phase is flyte.ActionPhase.FAILED
    assert [run.action(row).name for row in range(run.state.count) if not run.action(row).phase.is_terminal] == []


# ---------------------------------------------------------------------------------------------- P3: at least once
@env.task
def counted(ledger: str, gate: str, number: int) -> int:
    """Write down each start, and wait until it may end."""
    note(ledger, f"{number}")
    while not Path(gate).exists():
        time.sleep(0.01)
    return number * number


@env.task
async def counts(ledger: str, gate: str) -> list[int]:
    """Two of them, one for each slot."""
    return list(await asyncio.gather(*(counted.aio(ledger, gate, number) for number in range(2))))


def test_each_start_is_recorded_as_an_attempt(tmp_path: Path) -> None:
    """P3: what a dead worker ran is started again, and both starts are told of, the first one with why it ended."""
    wait_for_workers(2)
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    run = flyte.run(counts, str(ledger), str(gate))
    wait_until(lambda: sum(1 for action in run.root.children if action.phase is flyte.ActionPhase.RUNNING) == 2, "both run")
    for pid in worker_pids():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(lines(ledger)) == 4, "both run again")
    gate.touch()
    ended(run)

    starts = Counter(lines(ledger))
    assert run.outputs()[0] == [0, 1]
    assert [action.attempts for action in run.root.children] == [starts["0"], starts["1"]] == [2, 2]
    assert ["SIGKILL" in action.past_attempts[0].reason for action in run.root.children] == [True, True]


@env.task
def late(ledger: str, gate: str) -> str:
    """Its first start ends when its worker was given up on."""
    note(ledger, f"{os.getpid()}")
    while not Path(gate).exists():
        time.sleep(0.01)
    return f"attempt of {os.getpid()}"


@env.task
async def awaits_late(ledger: str, gate: str) -> str:
    """The driver."""
    return str(await late.aio(ledger, gate))


def test_a_worker_whose_connection_breaks_has_lost_its_attempt(tmp_path: Path) -> None:
    """P3: it lives on, and so does what it runs, for a moment; what counts is the attempt that is started in its place."""
    wait_for_workers(2)
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    run = flyte.run(awaits_late, str(ledger), str(gate))
    wait_until(lambda: len(lines(ledger)) == 1 and run.action(1).worker, "it runs")
    hang_up_on(int(lines(ledger)[0]))
    wait_until(lambda: len(lines(ledger)) == 2, "it runs again")
    gate.touch()
    ended(run)

    first, second = run.action(1).past_attempts[0], run.action(1)
    assert (first.ending, second.attempts, second.phase) == ("lost", 2, flyte.ActionPhase.SUCCEEDED)
    assert len(lines(ledger)) == 2


def hang_up_on(pid: int) -> None:
    """Break the connection of a worker, which lives on."""
    link = backend()._link
    agent = next(hello.agent for hello in list(backend()._hellos.values()) if hello.pid == pid)
    assert link is not None
    workspace.current().runner._loop.call_soon_threadsafe(link._ends[agent].wire.close)


# ---------------------------------------------------------------------------------------------- P6: whose error it is
@env.task
def inner(user: int) -> int:
    """Fail in the user's own code."""
    return 1 // user


@env.task
async def outer(user: int) -> int:
    """A parent."""
    return int(await inner.aio(user))


def test_a_failed_action_shows_its_own_traceback_inputs_and_path() -> None:
    """P6: the error that reaches the notebook is the user's, with where it happened; nothing of ours is between."""
    run = ended(flyte.run(outer, 0))
    with pytest.raises(errors.RuntimeUserError) as caught:
        run.raise_for_status()
    told = "".join(traceback.format_exception(caught.value))
    child = run.first_failure()

    assert (caught.value.code, caught.value.kind) == ("ZeroDivisionError", "user")
    assert child is not None
    assert (child.short_name, child.error_info.code if child.error_info else "") == ("inner", "ZeroDivisionError")
    assert "return 1 // user" in child.traceback
    assert str(Path(flyte.__file__).parent) not in child.traceback  # a clone may lie in a folder of the package's name
    assert all(word in told for word in ("promises.inner", "user=0", "outer > inner", "return 1 // user", "await inner.aio(user)")), told


# ---------------------------------------------------------------------------------------------- P9: nobody hides others
@env.task
def step(gate: str, number: int) -> int:
    """One is slow, one fails, the others are quick."""
    while number == 0 and not Path(gate).exists():
        time.sleep(0.01)
    if number == 1:
        raise ValueError("one of many")
    return number


@env.task
async def sweep(gate: str) -> int:
    """A group with all of them."""
    with flyte.group("steps"):
        found = await asyncio.gather(*(step.aio(gate, number) for number in range(200)), return_exceptions=True)
    return sum(1 for each in found if isinstance(each, int))


def test_one_slow_and_one_failed_action_hide_nothing(tmp_path: Path) -> None:
    """P9: while one goes on without end all others end, and the group tells at once how many failed."""
    wait_for_workers(2)
    gate = tmp_path / "gate"
    run = flyte.run(sweep, str(gate))
    wait_until(lambda: run.summary().ended == 199, "all but one have ended")
    summary = run.summary()
    (group,) = summary.groups
    gate.touch()
    ended(run)

    assert (summary.failed, {phase.value: count for phase, count in summary.counts.items()}) == (
        1,
        {"running": 1, "succeeded": 198, "failed": 1},
    )
    assert (group.name, group.total, group.failed) == ("steps", 200, 1)
    assert run.outputs()[0] == 199
