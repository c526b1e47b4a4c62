"""Decides how joblib and ProcessPoolExecutor do the workloads: as their documentation has it, with a pool that is reused.

Must not know: flyte_nb.
"""

import statistics
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from scripts.bench.bodies import MEGABYTE, Order, heavy_tail, megabyte, noop, sleep_for, spin_for
from scripts.bench.model import SECONDS, Figures, Slots
from scripts.bench.systems import Stopwatch, System, expect

#: Calls a function for each item, in parallel; returns the results in order.
Mapped = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]


class Pool(System):
    """A pool of processes."""

    def __init__(self, mapped: Mapped, close: Callable[[], object]) -> None:
        self._mapped = mapped
        self._close = close

    def warm_up(self) -> None:
        """Have every process started and the functions' module imported."""
        self._mapped(noop, range(100))

    def close(self) -> None:
        """End the processes."""
        self._close()

    def map_noop(self, count: int) -> Figures:
        """Map no-ops."""
        with Stopwatch() as watch:
            total = sum(self._mapped(noop, range(count)))
        expect("sum", total, count * (count - 1) // 2)
        return watch.figures

    def map_sleep(self, count: int, seconds: float) -> Figures:
        """Map sleeps."""
        with Stopwatch() as watch:
            self._mapped(sleep_for, [seconds] * count)
        return watch.figures

    def map_spin(self, count: int, seconds: float) -> Figures:
        """Map busy loops."""
        with Stopwatch() as watch:
            self._mapped(spin_for, [seconds] * count)
        return watch.figures

    def map_tail(self, count: int, order: Order) -> Figures:
        """Map sleeps of very different length."""
        durations = heavy_tail(count, order)
        with Stopwatch() as watch:
            self._mapped(sleep_for, durations)
        return watch.figures

    def map_megabytes(self, count: int) -> Figures:
        """Map functions with large results, all of which are kept."""
        with Stopwatch() as watch:
            values = self._mapped(megabyte, range(count))
        expect("bytes", sum(map(len, values)), count * MEGABYTE)
        return watch.figures

    def one(self, times: int = 1) -> Figures:
        """Time one call; the median of some."""
        seconds = []
        for number in range(times):
            with Stopwatch() as watch:
                expect("result", self._mapped(noop, [number]), [number])
            seconds.append(watch.seconds)
        return {SECONDS: statistics.median(seconds)}


def start_joblib(slots: Slots) -> Pool:
    """Make joblib's pool; it starts with the first call."""
    import joblib  # noqa: PLC0415 - its import belongs to what a cold start costs

    parallel = joblib.Parallel(n_jobs=slots.count)
    parallel.__enter__()

    def mapped(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(parallel(joblib.delayed(function)(item) for item in items))

    return Pool(mapped, lambda: parallel.__exit__(None, None, None))


def start_executor(slots: Slots) -> Pool:
    """Make an executor; it starts with the first call."""
    executor = ProcessPoolExecutor(slots.count)
    return Pool(lambda function, items: list(executor.map(function, items)), executor.shutdown)
