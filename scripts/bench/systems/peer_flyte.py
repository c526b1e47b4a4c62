"""Decides how the real Flyte SDK's local mode does the workloads: in one process, on one loop. Measured only where it is installed.

Must not know: flyte_nb.
"""

import asyncio
import math
import time
from typing import Any

import flyte

from scripts.bench import bodies
from scripts.bench.model import SECONDS, Figures, Slots
from scripts.bench.systems import System, expect

env = flyte.TaskEnvironment("bench")


@env.task
async def noop(x: int) -> int:
    """Do nothing."""
    return x


@env.task
async def sleep_async(seconds: float) -> float:
    """Wait on the loop."""
    return await bodies.sleep_async(seconds)


@env.task
async def tree(shape: list[int]) -> int:
    """Call as many as the first number says, each of which does so for the rest."""
    count, *rest = shape
    calls = [tree(rest) for _ in range(count)] if rest else [noop(number) for number in range(count)]
    return sum(await asyncio.gather(*calls))


@env.task
async def nested(shape: list[int]) -> float:
    """Start a tree; return the seconds."""
    count, *rest = shape
    started = time.perf_counter()
    total = sum(await asyncio.gather(*[tree(rest) for _ in range(count)]))
    seconds = time.perf_counter() - started
    expect("sum", total, sum(range(shape[-1])) * math.prod(shape[:-1]))
    return seconds


@env.task
async def gather_sleeps(count: int, each: float) -> float:
    """Gather sleeps; return the seconds."""
    started = time.perf_counter()
    await asyncio.gather(*[sleep_async(each) for _ in range(count)])
    return time.perf_counter() - started


class FlyteLocally(System):
    """Flyte's local mode."""

    def _run(self, task: Any, *arguments: object) -> Figures:  # noqa: ANN401 - a task of any signature
        run = flyte.with_runcontext(mode="local").run(task, *arguments)
        outputs: Any = run.outputs()
        return {SECONDS: outputs[0] if isinstance(outputs, tuple | list) else outputs}

    def nested(self, shape: list[int]) -> Figures:
        """Call tasks that call tasks."""
        return self._run(nested, shape)

    def gather_sleeps(self, count: int, seconds: float) -> Figures:
        """Gather sleeps."""
        return self._run(gather_sleeps, count, seconds)


def start(slots: Slots) -> FlyteLocally:
    """Start nothing: there is one process, whatever the slots."""
    del slots
    flyte.init()
    return FlyteLocally()
