"""Decides how raw Dask does the workloads: `client.map` and `client.gather`, and `worker_client` for nested calls.

Without TLS, tracking or a record of what ran, as a `LocalCluster` comes. Must not know: flyte_nb.
"""

import math
import os
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import dask
import psutil
from distributed import Client, LocalCluster, worker_client

from scripts.bench.bodies import noop, sleep_async
from scripts.bench.model import SECONDS, THREADS, Figures, Slots
from scripts.bench.systems import Stopwatch, expect
from scripts.bench.systems.pools import Pool


def nested(shape: tuple[int, ...]) -> int:
    """Call as many as the first number says, each of which does so for the rest."""
    count, *rest = shape
    with worker_client() as client:
        if not rest:
            return int(sum(client.gather(client.map(noop, range(count), pure=False))))
        return int(sum(client.gather(client.map(nested, [tuple(rest)] * count, pure=False))))


class RawDask(Pool):
    """A local cluster and its client."""

    def __init__(self, slots: Slots) -> None:
        self._cluster = LocalCluster(
            n_workers=slots.workers, threads_per_worker=slots.threads, host="127.0.0.1", dashboard_address=":0", silence_logs=50
        )
        self._client = Client(self._cluster)
        super().__init__(self._gathered, self._end)

    def _gathered(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(self._client.gather(self._client.map(function, list(items), pure=False)))

    def _end(self) -> None:
        self._client.close()
        self._cluster.close()

    def gather_sleeps(self, count: int, seconds: float) -> Figures:
        """Map a coroutine function."""
        with Stopwatch() as watch:
            self._mapped(sleep_async, [seconds] * count)
        return watch.figures

    def nested(self, shape: list[int]) -> Figures:
        """Call tasks that call tasks."""
        count, *rest = shape
        with Stopwatch() as watch:
            total = sum(self._mapped(nested, [tuple(rest)] * count))
        expect("sum", total, sum(range(shape[-1])) * math.prod(shape[:-1]))
        return watch.figures

    def one(self, times: int = 1) -> Figures:
        """Time one call; the median of some."""
        seconds = []
        for number in range(times):
            with Stopwatch() as watch:
                expect("result", self._client.submit(noop, number, pure=False).result(), number)
            seconds.append(watch.seconds)
        return {SECONDS: statistics.median(seconds)}

    def idle_threads(self) -> Figures:
        """Count the threads of a worker that has nothing to do any more."""
        (pid,) = self._client.run(os.getpid).values()
        return {SECONDS: 0.0, THREADS: psutil.Process(pid).num_threads()}


def start_default(slots: Slots) -> RawDask:
    """Start a cluster as it comes."""
    return RawDask(slots)


def start_saturated(slots: Slots) -> RawDask:
    """Start a cluster whose scheduler gives workers all it has at once: the better baseline for many small tasks."""
    dask.config.set({"distributed.scheduler.worker-saturation": "inf"})
    return RawDask(slots)
