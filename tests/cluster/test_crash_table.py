"""Wherever and however an action dies: it ends as the table says, and its neighbours' results are right."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import flyte_nb as flyte
from flyte_nb.remote import Action, Run
from tests.cluster.conftest import wait_for_workers, worker_pids
from tests.cluster.crash_table import (
    GRACE_SECONDS,
    MEMORY_LIMIT,
    ROWS,
    SYSTEM_RETRIES,
    TIMEOUT_SECONDS,
    DiesWhenPickled,
    DiesWhenUnpickled,
    How,
    Row,
    perish,
    perish_soon,
)

SETTINGS = {"system_retries": SYSTEM_RETRIES, "grace_seconds": GRACE_SECONDS, "memory_limit": MEMORY_LIMIT}
pytestmark = pytest.mark.usefixtures("embedded")

NEIGHBOURS = 12
env = flyte.TaskEnvironment("crash")


@env.task
def double(value: int) -> int:
    """A neighbour that computes for a moment."""
    time.sleep(0.01)
    return 2 * value


@env.task
async def triple(value: int) -> int:
    """A neighbour that waits, beside others, on the loop of its worker."""
    await asyncio.sleep(0.3)
    return 3 * value


# ---------------------------------------------------------------------------------------------- what dies, by place
@env.task(timeout=TIMEOUT_SECONDS)
def reads(value: object) -> str:
    """Dies while its input is read."""
    return str(value)


@env.task(timeout=TIMEOUT_SECONDS)
def dies(how: How) -> str:
    """Dies in its body."""
    perish(how)
    return "well"


@env.task(timeout=TIMEOUT_SECONDS)
async def dies_async(how: How) -> str:
    """Dies in its body, on a loop."""
    await asyncio.sleep(0.01)
    perish(how)
    return "well"


@env.task(timeout=TIMEOUT_SECONDS)
def returns(how: How) -> object:
    """Dies while its output is written."""
    return DiesWhenPickled(how)


@env.task
def is_done(how: How) -> str:
    """Its worker dies when it has ended."""
    perish_soon(how, 0.1)
    return "well"


@env.task
def child(ledger: str, seconds: float) -> str:
    """Writes down that it runs."""
    with Path(ledger).open("a") as file:
        file.write("child\n")
    time.sleep(seconds)
    return "well"


@env.task
def waits(how: How, ledger: str) -> str:
    """A driver on a worker that dies, the first time, while its child runs on the other one."""
    marker = Path(ledger + ".once")
    if not marker.exists():
        marker.touch()
        perish_soon(how, 0.3)
    return str(child(ledger, 1.0))


@env.task(timeout=TIMEOUT_SECONDS)
def drives(how: How, ledger: str) -> str:
    """A driver on a worker that dies between its children."""
    child(ledger, 0.0)
    perish(how)
    return str(child(ledger, 0.01))


def call(row: Row, ledger: str) -> Any:
    """The call that a row is about."""
    calls = {
        "before it starts": lambda: dies_not.aio(row.how),
        "unpickling its input": lambda: reads.aio(DiesWhenUnpickled(row.how)),
        "in a sync body": lambda: dies.aio(row.how),
        "in an async body": lambda: dies_async(row.how),
        "pickling its output": lambda: returns.aio(row.how),
        "after its result": lambda: is_done.aio(row.how),
        "while it waits for a child": lambda: waits.aio(row.how, ledger),
        "between its children": lambda: drives.aio(row.how, ledger),
    }
    return calls[row.where]()


@env.task
def dies_not(how: How) -> str:
    """Nothing happens to it but that its worker is gone before it starts."""
    return "well" if how else ""


# ---------------------------------------------------------------------------------------------- the rows
async def among_neighbours(row: Row, ledger: str) -> tuple[object, list[object]]:
    """The call of a row, in the middle of others."""
    if row.where == "before it starts":
        for pid in worker_pids():
            os.kill(pid, signal.SIGKILL)
    first = [triple(value) for value in range(NEIGHBOURS)]
    dying = call(row, ledger)
    results = await asyncio.gather(*first, dying, *(double.aio(value) for value in range(NEIGHBOURS)), return_exceptions=True)
    return results.pop(NEIGHBOURS), results


def the_one_that_dies(run: Run) -> Action:
    """The action that a row is about."""
    return next(action for action in run.root.children if action.short_name not in {"double", "triple"})


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS])
def test_it_ends_as_the_table_says(row: Row, tmp_path: Path) -> None:
    """Phase, kind, code, message, attempts, and what the caller catches; neighbours are right."""
    wait_for_workers(2)
    ledger = tmp_path / "ledger"
    seen: list[tuple[object, list[object]]] = []

    @env.task
    async def root() -> None:
        seen.append(await among_neighbours(row, str(ledger)))

    run = flyte.run(root)
    run.wait(timeout=60)
    run.state.check()
    (caught, others), dead = seen[0], the_one_that_dies(run)

    assert others == [3 * value for value in range(NEIGHBOURS)] + [2 * value for value in range(NEIGHBOURS)]
    failure = run.state.failures.get(run.state.children[0][0].start + NEIGHBOURS)
    told = (failure.kind, failure.code) if failure is not None else ("", "")
    assert (dead.phase.value, told, dead.attempts) == (row.phase, (row.kind, row.code), row.attempts)
    assert row.message in dead.error_message
    if row.error is None:
        assert caught == "well"
    else:
        assert type(caught) is row.error
    if ledger.exists():
        assert ledger.read_text() == "child\n", "a child was run again"
