"""A program whose tasks are cached; several kernels run it at one time. Run as a script.

sharing_program.py STORE LEDGER COUNT GATE     map a cached task over COUNT numbers; each waits until the file GATE is there
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import flyte_nb as flyte

env = flyte.TaskEnvironment("sharing")


@env.task(cache=flyte.Cache("auto", ignored_inputs=("ledger", "gate")))
def compute(number: int, ledger: str, gate: str) -> int:
    """A side effect, a wait, and a result."""
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{number}\n".encode())
    os.close(file)
    while not Path(gate).exists():
        time.sleep(0.01)
    return number * number


@env.task
async def main(count: int, ledger: str, gate: str) -> list[int]:
    """Everything at once."""
    return [x async for x in flyte.map.aio(compute, range(count), [ledger] * count, [gate] * count, return_exceptions=False)]


if __name__ == "__main__":
    store, ledger, count, gate = sys.argv[1:]
    flyte.init(store=store, cluster="inline", workers=4, stdout=False)
    run = flyte.run(main, int(count), ledger, gate)
    run.wait()
    hits = sum(action.cache_hit for action in flyte.remote.Action.listall(run.name))
    sys.stdout.write(f"{json.dumps([run.outputs()[0], hits])}\n")
