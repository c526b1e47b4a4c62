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
    WAYS,
    DiesWhenPickled,
    DiesWhenUnpickled,
    How,
    Row,
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
def child(ledger: str, number: int, seconds: float) -> str:
    """Writes down that it runs, and where."""
    with Path(ledger).open("a") as file:
        file.write(f"{number} {os.getpid()}\n")
    time.sleep(seconds)
    return "well"


@env.task
def waits(how: How, ledger: str) -> str:
    """A driver on a worker that dies, the first time, while a child runs beside it and one on the other worker."""
    driver = Path(ledger + ".driver")
    if not driver.exists():
        driver.write_text(str(os.getpid()))
        threading.Thread(target=perish_beside, args=(how, ledger)).start()
    return str(next(result for result in list(flyte.map(partial(child, ledger, seconds=0.8), [0, 1]))))


def perish_beside(how: How, ledger: str) -> None:
    """Die when both children run."""
    while len(places(ledger)) < 2:
        time.sleep(0.01)
    perish(how)


def places(ledger: str) -> list[list[str]]:
    """(number, process id) of the children that were started."""
    return [line.split() for line in Path(ledger).read_text().splitlines()] if Path(ledger).exists() else []


@env.task(timeout=TIMEOUT_SECONDS)
def drives(how: How, ledger: str) -> str:
    """A driver on a worker that dies between its children."""
    child(ledger, 0, 0.0)
    perish(how)
    return str(child(ledger, 1, 0.01))


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
    failure = run.state.failures.get(run.state.children[0][0].start + NEIGHBOURS)
    told = (failure.kind, failure.code) if failure is not None else ("", "")
    assert (dead.phase.value, told) == (row.phase, (row.kind, row.code))
    assert row.attempts <= dead.attempts <= row.most_attempts
    assert row.message in dead.error_message
    if row.error is None:
        assert caught == "well"
    else:
        assert type(caught) is row.error
    assert [number for number, started in starts_elsewhere(str(ledger)).items() if started > 1] == [], "a child was run again"


def starts_elsewhere(ledger: str) -> Counter[str]:
    """How often each child was started that was not on the worker of its driver when that died."""
    driver = Path(ledger + ".driver")
    own = driver.read_text() if driver.exists() else ""
    beside = {number for number, pid in places(ledger) if pid == own}
    return Counter(number for number, _pid in places(ledger) if number not in beside)
