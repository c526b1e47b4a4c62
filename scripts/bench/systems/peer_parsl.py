"""Decides how Parsl does the workloads: python apps on its HighThroughputExecutor. Measured only where it is installed.

Must not know: flyte_nb.
"""

import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor

from scripts.bench.bodies import megabyte, noop, sleep_for, spin_for
from scripts.bench.model import Slots
from scripts.bench.systems.pools import Pool


def start(slots: Slots) -> Pool:
    """Start an executor."""
    folder = tempfile.TemporaryDirectory(prefix="flyte_nb-bench-")
    executor = HighThroughputExecutor(max_workers_per_node=slots.count, address="127.0.0.1")
    parsl.load(Config(executors=[executor], run_dir=folder.name, usage_tracking=0))
    apps: dict[Callable[..., Any], Any] = {function: parsl.python_app(function) for function in (noop, sleep_for, spin_for, megabyte)}

    def mapped(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return [future.result() for future in [apps[function](item) for item in items]]

    def close() -> None:
        parsl.dfk().cleanup()
        folder.cleanup()

    return Pool(mapped, close)
