"""Decides when a worker counts as lost although it still holds its connection: when its process has been held for a while.

A process that somebody stops (SIGSTOP, a container that is paused) answers nothing and ends nothing: the system answers for
it, so the link sees no silence. That it is stopped can be seen on the machine that it runs on. One that a debugger holds is
somebody's work, and one whose compiled code keeps the interpreter's lock is busy: neither counts.

Must not know: Dask, or what is done about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import psutil

#: A worker that was held for so many seconds is given up; a shorter pause costs nothing but time.
FROZEN_SECONDS = 10.0


def is_stopped(pid: int) -> bool:
    """Whether a process of this machine is held by a stop signal."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:  # it has just ended: its connection tells
        return False


class Frozen:
    """Remembers since when which worker has been held."""

    def __init__(self, stopped: Callable[[int], bool] = is_stopped, clock: Callable[[], float] = time.monotonic) -> None:
        self._stopped, self._clock = stopped, clock
        self._since: dict[str, float] = {}

    def look(self, pids: Mapping[str, int]) -> list[str]:
        """Those of the workers (id -> process id on this machine) that are given up; each is named once."""
        now = self._clock()
        since = {agent: self._since.get(agent, now) for agent, pid in pids.items() if self._stopped(pid)}
        given_up = [agent for agent, began in since.items() if began <= now - FROZEN_SECONDS]
        self._since = {agent: began if agent not in given_up else float("inf") for agent, began in since.items()}
        return given_up
