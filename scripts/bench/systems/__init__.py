"""Decides what a system under measurement is: something that was started on some slots and does workloads by name.

Each module here has `start(slots)`, which returns a `System`. Its methods with a workload's name return figures; who waits for what is
theirs, the memory around it is read here. Must not know: what is compared with what.
"""

import gc
import time
from abc import ABC
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import psutil

from scripts.bench.model import SECONDS, Figures


class System(ABC):  # noqa: B024 - what a system can do differs; it only shares how that is called
    """A started system."""

    def warm_up(self) -> None:  # noqa: B027 - not every system gets faster
        """Do what later work profits from."""

    def check(self) -> None:  # noqa: B027 - peers keep no books
        """Look at the books of the last workload, outside of any measured time; raise if they are not right."""

    def close(self) -> None:  # noqa: B027 - not every system has something to give back
        """Give back what was started."""

    def measure(self, workload: str, arguments: Mapping[str, Any]) -> Figures:
        """Do a workload; return its figures, and this process's memory before and after."""
        method: Callable[..., Figures] = getattr(self, workload)
        gc.collect()
        process = psutil.Process()
        before = process.memory_info().rss
        figures = method(**arguments)
        after = process.memory_info().rss
        self.check()
        return {"rss_before_bytes": before, "rss_after_bytes": after, **figures}


class Stopwatch:
    """Times a block: `with Stopwatch() as watch: ...`, then `watch.figures`."""

    def __init__(self) -> None:
        self._started = 0.0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.seconds = time.perf_counter() - self._started

    @property
    def figures(self) -> Figures:
        """What a workload returns that measures only time."""
        return {SECONDS: self.seconds}


def expect(what: str, found: object, wanted: object) -> None:
    """Raise if a workload did not do what it should: a wrong result is no fast result.

    Raises:
        AssertionError: they differ.
    """
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, wanted {wanted!r}")
