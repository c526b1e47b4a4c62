"""Decides how flyte_nb does the workloads: as a user would write them, on its embedded cluster with its defaults.

TLS and tracking are on, the log is in memory. After each workload the books are read: every action must be there, succeeded, with its
times and its worker. Must not know: how flyte_nb works.
"""

import asyncio
import math
import os
import statistics
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

import flyte_nb as flyte
from flyte_nb.core.state import RunState
from scripts.bench import bodies
from scripts.bench.bodies import MEGABYTE, Order
from scripts.bench.model import SECONDS, THREADS, Figures, Slots
from scripts.bench.systems import Stopwatch, System, expect

env = flyte.TaskEnvironment("bench")
WATCH_SECONDS = 0.01


@env.task
def noop(x: int) -> int:
    """Do nothing."""
    return x


@env.task
async def noop_async(x: int) -> int:
    """Do nothing."""
    return x


@env.task
def sleep_for(seconds: float) -> float:
    """Wait in the thread."""
    return bodies.sleep_for(seconds)


@env.task
def spin_for(seconds: float) -> float:
    """Keep a core busy."""
    return bodies.spin_for(seconds)


@env.task
def burn_for(seconds: float) -> float:
    """Compute."""
    return bodies.burn_for(seconds)


@env.task
async def burn_async(seconds: float) -> float:
    """Compute where one should wait."""
    return bodies.burn_for(seconds)


@env.task
async def sleep_async(seconds: float) -> float:
    """Wait on the loop."""
    await asyncio.sleep(seconds)
    return seconds


@env.task
def megabyte(number: int) -> bytes:
    """Return a large value."""
    return bodies.megabyte(number)


@env.task
def process_id() -> int:
    """Tell which process works."""
    return os.getpid()


@env.task
async def gather_noop(count: int) -> float:
    """Gather sync no-ops; return the seconds."""
    started = time.perf_counter()
    results = await asyncio.gather(*[noop.aio(number) for number in range(count)])
    seconds = time.perf_counter() - started
    expect("sum", sum(results), count * (count - 1) // 2)
    return seconds


@env.task
async def gather_noop_async(count: int) -> float:
    """Gather async no-ops; return the seconds."""
    started = time.perf_counter()
    results = await asyncio.gather(*[noop_async(number) for number in range(count)])
    seconds = time.perf_counter() - started
    expect("sum", sum(results), count * (count - 1) // 2)
    return seconds


@env.task
async def gather_sleeps(count: int, each: float) -> float:
    """Gather sleeps; return the seconds."""
    started = time.perf_counter()
    await asyncio.gather(*[sleep_async(each) for _ in range(count)])
    return time.perf_counter() - started


@env.task
async def tree(shape: list[int]) -> int:
    """Call as many as the first number says, each of which does so for the rest; async all the way."""
    count, *rest = shape
    calls = [tree(rest) for _ in range(count)] if rest else [noop_async(number) for number in range(count)]
    return sum(await asyncio.gather(*calls))


@env.task
def tree_sync(shape: list[int]) -> int:
    """The same with sync tasks."""
    count, *rest = shape
    return sum(flyte.map(tree_sync, [rest] * count) if rest else flyte.map(noop, range(count)))


@env.task
async def nested(shape: list[int], sync: bool) -> float:  # noqa: FBT001 - a task's input
    """Start a tree; return the seconds."""
    count, *rest = shape
    started = time.perf_counter()
    total = sum(await asyncio.gather(*[tree_sync.aio(rest) if sync else tree(rest) for _ in range(count)]))
    seconds = time.perf_counter() - started
    expect("sum", total, sum(range(shape[-1])) * math.prod(shape[:-1]))
    return seconds


@env.task
async def waiting_driver(children: int, seconds: float) -> float:
    """Wait for children."""
    return sum(await asyncio.gather(*[sleep_async(seconds) for _ in range(children)]))


@env.task
def calling_driver(children: int) -> int:
    """Call children one after the other."""
    return sum(noop(number) for number in range(children))


@env.task
async def all_waiting(drivers: int, children: int, seconds: float) -> float:
    """Gather drivers that wait; return the seconds."""
    started = time.perf_counter()
    await asyncio.gather(*[waiting_driver(children, seconds) for _ in range(drivers)])
    return time.perf_counter() - started


@env.task
async def all_calling(drivers: int, children: int) -> float:
    """Gather sync drivers; return the seconds."""
    started = time.perf_counter()
    await asyncio.gather(*[calling_driver.aio(children) for _ in range(drivers)])
    return time.perf_counter() - started


class Ours(System):
    """flyte_nb with its embedded cluster."""

    def __init__(self) -> None:
        self._rows = 0

    def warm_up(self) -> None:
        """Have the cluster started and the tasks known."""
        for task in (noop, noop_async):
            expect("sum", sum(flyte.map(task, range(100))), 4950)

    def check(self) -> None:
        """Look at the log of the latest run: nothing that ran may be missing from it."""
        if self._rows:
            run = next(iter(flyte.remote.Run.listall(limit=1)))
            run.wait()
            run.read(lambda state: check_books(state, self._rows))

    def close(self) -> None:
        """Leave it to the end of the process, as a user does."""

    def _run(self, task: Any, *arguments: object, actions: int) -> Figures:  # noqa: ANN401 - a task of any signature
        self._rows = actions
        with Stopwatch() as watch:
            run = flyte.run(task, *arguments)
            run.wait()
        return {SECONDS: run.outputs()[0], "whole_run_seconds": watch.seconds}

    def _mapped(self, task: Any, items: Iterable[Any], *, count: int) -> tuple[Figures, list[Any]]:  # noqa: ANN401 - as above
        self._rows = count
        with Stopwatch() as watch:
            values = list(flyte.map(task, items))
        return watch.figures, values

    def gather_noop(self, count: int, *, sync: bool) -> Figures:
        """Gather no-ops in an async driver."""
        return self._run(gather_noop if sync else gather_noop_async, count, actions=count)

    def map_noop(self, count: int) -> Figures:
        """Map no-ops; the bytes are what the kernel holds of it afterwards."""
        self._rows = count
        before = psutil.Process().memory_info().rss
        total = 0
        with Stopwatch() as watch:
            for value in flyte.map(noop, range(count)):
                total += value
        after = psutil.Process().memory_info().rss
        expect("sum", total, count * (count - 1) // 2)
        return {**watch.figures, "bytes_per_action": (after - before) / count}

    def map_sleep(self, count: int, seconds: float) -> Figures:
        """Map sleeps."""
        return self._mapped(sleep_for, [seconds] * count, count=count)[0]

    def map_spin(self, count: int, seconds: float) -> Figures:
        """Map busy loops."""
        return self._mapped(spin_for, [seconds] * count, count=count)[0]

    def map_burn(self, count: int, seconds: float, *, sync: bool) -> Figures:
        """Map computing functions."""
        return self._mapped(burn_for if sync else burn_async, [seconds] * count, count=count)[0]

    def map_tail(self, count: int, order: Order) -> Figures:
        """Map sleeps of very different length."""
        return self._mapped(sleep_for, bodies.heavy_tail(count, order), count=count)[0]

    def map_megabytes(self, count: int) -> Figures:
        """Map functions with large results, all of which are kept."""
        figures, values = self._mapped(megabyte, range(count), count=count)
        expect("bytes", sum(map(len, values)), count * MEGABYTE)
        return figures

    def gather_sleeps(self, count: int, seconds: float) -> Figures:
        """Gather sleeps in an async driver."""
        return self._run(gather_sleeps, count, seconds, actions=count)

    def nested(self, shape: list[int], *, sync: bool) -> Figures:
        """Call tasks that call tasks."""
        actions = sum(math.prod(shape[: depth + 1]) for depth in range(len(shape)))
        return self._run(nested, shape, sync, actions=actions)

    def one(self, times: int = 1) -> Figures:
        """Time one run of one action; the median of some."""
        self._rows = 0
        seconds = []
        for number in range(times):
            with Stopwatch() as watch:
                expect("result", flyte.run(noop, number).outputs()[0], number)
            seconds.append(watch.seconds)
        return {SECONDS: statistics.median(seconds)}

    def waiting_drivers(self, drivers: int, children: int, seconds: float) -> Figures:
        """Have many async drivers wait for children; count the worker's threads meanwhile."""
        with most_threads(flyte.run(process_id).outputs()[0]) as most:
            figures = self._run(all_waiting, drivers, children, seconds, actions=drivers * (children + 1))
        return {**figures, THREADS: max(most)}

    def calling_drivers(self, drivers: int, children: int) -> Figures:
        """Have many sync drivers call children; count the worker's threads meanwhile."""
        with most_threads(flyte.run(process_id).outputs()[0]) as most:
            figures = self._run(all_calling, drivers, children, actions=drivers * (children + 1))
        return {**figures, THREADS: max(most)}


@contextmanager
def most_threads(pid: int) -> Iterator[list[int]]:
    """Count a process's threads for as long as the block goes on."""
    process, over = psutil.Process(pid), threading.Event()
    counts = [process.num_threads()]

    def count() -> None:
        while not over.wait(WATCH_SECONDS):
            counts.append(process.num_threads())

    counter = threading.Thread(target=count)
    counter.start()
    try:
        yield counts
    finally:
        over.set()
        counter.join()


def check_books(state: RunState, actions: int) -> None:
    """Raise if the log does not have every action below the root with its phase, attempt, times and worker."""
    rows = range(1, state.count)
    expect("actions", len(rows), actions)
    expect("phases", {phase.value: count for phase, count in state.phase_counts().items() if count}, {"succeeded": actions})
    expect("attempts", set(state.attempts[1:]), {1})
    expect("actions without a worker", sum(state.worker_ids[row] == 0 for row in rows), 0)
    wrong = sum(not 0 < state.called_at[row] <= state.started_ats[row] <= state.ended_ats[row] for row in rows)
    expect("actions whose times are missing or out of order", wrong, 0)


def start(slots: Slots) -> Ours:
    """Choose the size; the cluster starts with the first run."""
    flyte.init(workers=slots.workers, threads_per_worker=slots.threads)
    return Ours()
