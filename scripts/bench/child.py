"""The program in each system's own process: starts the system, does the workloads that it is asked for, tells what they took.

Requests and replies travel over a pipe, so that what a system prints disturbs nobody. Nothing that a system would import is imported
before it is started: the first import is part of a cold start. Must not know: what is compared with what.
"""

import os
import sys
import time
import traceback
from importlib import import_module
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Literal, TypedDict

from scripts.bench.model import COLD_SECONDS, SECONDS, START_SECONDS, Contender, Figures, Slots

if TYPE_CHECKING:
    from scripts.bench.systems import System

#: Name of a system: its module, and the function in it that starts it.
SYSTEMS = {
    "flyte_nb": ("ours", "start"),
    "notebook": ("notebook", "start"),
    "asyncio": ("plain_asyncio", "start"),
    "dask": ("raw_dask", "start_default"),
    "dask-inf": ("raw_dask", "start_saturated"),
    "joblib": ("pools", "start_joblib"),
    "executor": ("pools", "start_executor"),
    "ray": ("peer_ray", "start"),
    "ipyparallel": ("peer_ipyparallel", "start"),
    "parsl": ("peer_parsl", "start"),
    "flyte": ("peer_flyte", "start"),
}


class Request(TypedDict):
    """What a child is asked to do; `contender` says what to measure."""

    do: Literal["start", "warm_up", "measure", "close"]
    contender: Contender | None


class Reply(TypedDict):
    """What came of it: figures, or why not."""

    figures: Figures
    error: str


class Work:
    """The system in this process."""

    def __init__(self, system: str, slots: Slots) -> None:
        self._name, self._slots = system, slots
        self._system: System | None = None
        self._start_seconds = 0.0

    @property
    def system(self) -> "System":
        """The started system."""
        if self._system is None:
            raise RuntimeError(f"{self._name} has not been started")
        return self._system

    def answer(self, request: Request) -> Figures:
        """Do what is asked."""
        if request["do"] == "start":
            self._start()
        elif request["do"] == "warm_up":
            self.system.warm_up()
        elif request["do"] == "close":
            self.system.close()
        elif request["contender"] is not None:
            return self._measure(request["contender"])
        return {}

    def _start(self) -> None:
        module, function = SYSTEMS[self._name]
        started = time.perf_counter()
        self._system = getattr(import_module(f"scripts.bench.systems.{module}"), function)(self._slots)
        self._start_seconds = time.perf_counter() - started

    def _measure(self, contender: Contender) -> Figures:
        figures = self.system.measure(contender.workload, contender.arguments)
        start = self._start_seconds
        return {**figures, START_SECONDS: start, COLD_SECONDS: start + figures[SECONDS]}


def main() -> None:
    """Answer requests until one says that it was the last."""
    descriptor, system, workers, threads = sys.argv[1:]
    os.set_inheritable(int(descriptor), False)  # noqa: FBT003 - it takes no keyword; workers must not hold this end of the pipe open
    connection: Connection[Reply, Request] = Connection(int(descriptor))
    work = Work(system, Slots(int(workers), int(threads)))
    while True:
        try:
            request = connection.recv()
        except EOFError:  # whoever asked is gone
            return
        try:
            reply = Reply(figures=work.answer(request), error="")
        except Exception:  # noqa: BLE001 - told to whoever asked
            reply = Reply(figures={}, error=traceback.format_exc())
        connection.send(reply)
        if request["do"] == "close":
            return


if __name__ == "__main__":
    main()
