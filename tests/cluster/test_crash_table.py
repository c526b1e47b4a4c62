"""Wherever and however an action dies: it ends as the table says, and its neighbours' results are right."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Container
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

import flyte_nb as flyte
from flyte_nb.remote import Action, Run
from tests.cluster.conftest import wait_for_workers, wait_until, worker_pids
from tests.cluster.crash_table import (
    GRACE_SECONDS,
    MEMORY_LIMIT,
    ROWS,
    SYSTEM_RETRIES,
    TIMEOUT_SECONDS,
    WAYS,
    DiesWhenPickled,
    DiesWhenUnpickled,
    How,
    Row,
    facts_of,
    is_as_told,
    perish,
    perish_soon,
)

SETTINGS = {"system_retries": SYSTEM_RETRIES, "grace_seconds": GRACE_SECONDS, "memory_limit": MEMORY_LIMIT}
#: A worker's process that is replaced leaves connections and pipes to be closed by and by; test_leaks.py looks closer.
pytestmark = [pytest.mark.usefixtures("embedded"), pytest.mark.leaves(descriptors=40)]
#: Rows that stand for their like in `make test`; `make test-all` runs the others too.
QUICK: dict[str, Container[str]] = {
    "before it starts": {"SIGKILL"},
    "unpickling its input": {"raise", "SIGKILL"},
    "in a sync body": set(WAYS),
    "in an async body": {"raise", "SIGKILL", "hang"},
    "pickling its output": {"raise", "os._exit", "hang"},
    "after its result": {"raise", "os._exit"},
    "while it waits for a child": {"SIGKILL", "memory"},
    "between its children": {"raise", "SIGSEGV"},
}
PARAMETERS = [pytest.param(row, id=row.id, marks=() if row.how in QUICK[row.where] else pytest.mark.slow) for row in ROWS]

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
@env.task
def reads(value: object) -> str:
    """Dies while its input is read."""
    return str(value)


@env.task
def dies(how: How) -> str:
    """Dies in its body."""
    perish(how)
    return "well"


@env.task
async def dies_async(how: How) -> str:
    """Dies in its body, on a loop."""
    await asyncio.sleep(0.01)
    perish(how)
    return "well"


@env.task
def returns(how: How) -> object:
    """Dies while its output is written."""
    return DiesWhenPickled(how)


@env.task
def is_done(how: How) -> str:
    """Its worker dies when it has ended."""
    perish_soon(how, 0.1)
    return "well"


@env.task
def child(ledger: str, number: int) -> str:
    """Writes down that it runs, and where; goes on for as long as the driver that dies is there."""
    with Path(ledger).open("a") as file:
        file.write(f"{number} {os.getpid()}\n")
    while (driver := driver_of(ledger)) and psutil.pid_exists(driver):
        time.sleep(0.01)
    return "well"


@env.task
def waits(how: How, ledger: str) -> str:
    """A driver on a worker that dies, the first time, while a child runs beside it and one on the other worker."""
    if not driver_of(ledger):
        Path(ledger + ".driver").write_text(str(os.getpid()))
        threading.Thread(target=perish_beside, args=(how, ledger)).start()
    return str(next(result for result in list(flyte.map(partial(child, ledger), [0, 1]))))


def driver_of(ledger: str) -> int:
    """Process id of the driver that dies while it waits; 0 if there is none."""
    path = Path(ledger + ".driver")
    return int(path.read_text()) if path.exists() else 0


def perish_beside(how: How, ledger: str) -> None:
    """Die when both children run."""
    while len(places(ledger)) < 2:
        time.sleep(0.01)
    perish(how)


def places(ledger: str) -> list[list[str]]:
    """(number, process id) of the children that were started."""
    return [line.split() for line in Path(ledger).read_text().splitlines()] if Path(ledger).exists() else []


@env.task
def drives(how: How, ledger: str) -> str:
    """A driver on a worker that dies between its children."""
    child(ledger, 0)
    perish(how)
    return str(child(ledger, 1))


def call(row: Row, ledger: str) -> Any:
    """The call that a row is about."""
    calls = {
        "before it starts": lambda: dies_not.aio(row.how),
        "unpickling its input": lambda: limited(reads, row).aio(DiesWhenUnpickled(row.how)),
        "in a sync body": lambda: limited(dies, row).aio(row.how),
        "in an async body": lambda: limited(dies_async, row)(row.how),
        "pickling its output": lambda: limited(returns, row).aio(row.how),
        "after its result": lambda: is_done.aio(row.how),
        "while it waits for a child": lambda: waits.aio(row.how, ledger),
        "between its children": lambda: limited(drives, row).aio(row.how, ledger),
    }
    return calls[row.where]()


def limited(task: flyte.Task[..., Any], row: Row) -> flyte.Task[..., Any]:
    """The task with a time limit, if it is to hang."""
    return task.override(timeout=TIMEOUT_SECONDS) if row.how == "hang" else task


@env.task
def dies_not(how: How) -> str:
    """Nothing happens to it but that its worker is gone before it starts."""
    return "well" if how else ""


@env.task
def holds(ledger: str, number: int) -> None:
    """Keeps a slot until it may go on, so that what is called after it stays queued."""
    Path(f"{ledger}.held{number}").touch()
    while not Path(ledger + ".go").exists():
        time.sleep(0.01)


# ---------------------------------------------------------------------------------------------- the rows
async def among_neighbours(row: Row, ledger: str) -> tuple[object, list[object]]:
    """The call of a row, in the middle of others."""
    held = await all_slots_held(ledger) if row.where == "before it starts" else []
    calls = [*(triple(value) for value in range(NEIGHBOURS)), call(row, ledger), *(double.aio(value) for value in range(NEIGHBOURS))]
    waiting = asyncio.gather(*calls, return_exceptions=True)
    if held:
        await asyncio.sleep(0)  # the calls are on their way
        for pid in worker_pids():
            os.kill(pid, signal.SIGKILL)
        Path(ledger + ".go").touch()  # noqa: ASYNC240 - an empty file
        await asyncio.gather(*held)
    results = await waiting
    return results.pop(NEIGHBOURS), results


async def all_slots_held(ledger: str) -> list[asyncio.Task[None]]:
    """One action in each slot, until it may go on."""
    held = [asyncio.create_task(holds.aio(ledger, number)) for number in range(2)]
    await asyncio.to_thread(wait_until, lambda: all(Path(f"{ledger}.held{number}").exists() for number in range(2)), "held slots")
    return held


def the_one_that_dies(run: Run) -> Action:
    """The action that a row is about."""
    return next(action for action in run.root.children if action.short_name not in {"double", "triple", "holds"})


@pytest.mark.parametrize("row", PARAMETERS)
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
    failure = run.state.failures.get(run.state.row_of(dead.name) or 0)
    told = (failure.kind, failure.code) if failure is not None else ("", "")
    assert (dead.phase.value, told) == (row.phase, (row.kind, row.code))
    assert row.attempts <= dead.attempts <= row.most_attempts
    assert is_as_told(row, dead.error_message), dead.error_message
    if row.error is None:
        assert caught == "well"
    else:
        assert (type(caught), facts_of(row, caught)) == (row.error, row.facts)
    assert [number for number, started in starts_elsewhere(str(ledger)).items() if started > 1] == [], "a child was run again"


def starts_elsewhere(ledger: str) -> Counter[str]:
    """How often each child was started that was not on the worker of its driver when that died."""
    beside = {number for number, pid in places(ledger) if pid == str(driver_of(ledger))}
    return Counter(number for number, _pid in places(ledger) if number not in beside)
