"""A program that another one kills: a run of many actions, with a ledger of what ran and of what was handed on.

Not a test; started by `test_seen_results`. Arguments: the ledger's folder, how many actions.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import flyte_nb as flyte

LEDGER, COUNT = Path(sys.argv[1]), int(sys.argv[2])
env = flyte.TaskEnvironment("ledger")


def note(name: str, line: str) -> None:
    """Write a line that outlives this process."""
    with (LEDGER / name).open("a") as file:
        file.write(f"{line}\n")


@env.task
async def work(number: int) -> int:
    """Leave a line, and wait a moment."""
    note("ran", str(number))
    await asyncio.sleep(0.002)
    return number * 7


@env.task
async def main(count: int) -> int:
    """Call `work`, and note each result as it is handed on."""
    total = 0
    with flyte.group("work"):
        for done in asyncio.as_completed([work(number) for number in range(count)]):
            result = await done
            note("handed", str(result // 7))
            total += result
    await asyncio.Event().wait()  # the run goes on until this process is killed, however late that comes
    return total


if __name__ == "__main__":
    flyte.init(workers=2)
    started = flyte.with_runcontext(name="victim").run(main, COUNT)
    note("began", "1")
    started.wait()
