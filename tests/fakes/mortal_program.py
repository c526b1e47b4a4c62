"""A program of 2,000 actions that is killed at a chosen point, and then finished by a recovery. Run as a script.

    mortal_program.py start  STORE LEDGER POINT [CLUSTER]     run, and die by SIGKILL at the point
    mortal_program.py finish STORE LEDGER "RUN [N]" [CLUSTER] recover that run, and print its output; die after N transactions

A point is `never`, or `<before|inside|after> <n>`: the n-th transaction of the store's writer, before it begins, inside of it
when everything is written, or after its commit. A kill from outside needs no point.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import flyte_nb as flyte
from flyte_nb.store import database

BRANCHES, LEAVES = 40, 49
env = flyte.TaskEnvironment("mortal")


def tell(ledger: str, what: str) -> None:
    """A side effect: a line a time, whole or not at all."""
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{what}\n".encode())
    os.close(file)


@env.task
def leaf(number: int, ledger: str) -> int:
    """A side effect and a result."""
    tell(ledger, str(number))
    return number * number + 1


@env.task
async def branch(number: int, ledger: str) -> int:
    """A driver on a worker."""
    numbers = range(number * LEAVES, (number + 1) * LEAVES)
    return sum([x async for x in flyte.map.aio(leaf, numbers, [ledger] * LEAVES, return_exceptions=False)])


@env.task
async def main(ledger: str) -> list[int]:
    """A driver in the kernel: with itself and its branches 2,001 actions."""
    with flyte.group("branches"):
        return [x async for x in flyte.map.aio(branch, range(BRANCHES), [ledger] * BRANCHES, return_exceptions=False, concurrency=8)]


def expected() -> list[int]:
    """What plain Python gives."""
    return [sum(x * x + 1 for x in range(number * LEAVES, (number + 1) * LEAVES)) for number in range(BRANCHES)]


def die_at(point: str) -> None:
    """Arrange for the end of this process."""
    where, _, nth = point.partition(" ")
    if where == "never":
        return
    left = [int(nth)]
    transact = database._in_transaction

    def dying(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any]) -> Any:
        left[0] -= 1
        if left[0] != 0:
            return transact(connection, work)
        if where == "before":
            die()

        def then_die(opened: sqlite3.Connection) -> Any:
            done = work(opened)
            if where == "inside":
                die()
            return done

        done = transact(connection, then_die)
        die()
        return done

    database._in_transaction = dying


def say(what: object) -> None:
    """The last line of output, for whoever started this."""
    sys.stdout.write(f"{json.dumps(what)}\n")


def die() -> None:
    """As the system's killer does it: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def start(ledger: str, point: str) -> None:
    """Run until the end, or the point."""
    die_at(point)
    run = flyte.with_runcontext(name="first").run(main, ledger)
    run.wait()
    say(run.outputs()[0])


def finish(what: str) -> None:
    """Recover a run, and perhaps die meanwhile."""
    name, _, nth = what.partition(" ")
    die_at(f"after {nth}" if nth else "never")
    run = flyte.rerun(name, recover=True)
    run.wait()
    say({"run": run.name, "output": run.outputs()[0], "phase": run.phase.value})


if __name__ == "__main__":
    verb, store, ledger, what, *cluster = sys.argv[1:]
    flyte.init(store=store, cluster="inline" if "inline" in cluster else None, workers=2, memory_limit=0, stdout=False)
    if verb == "start":
        start(ledger, what)
    else:
        finish(what)
