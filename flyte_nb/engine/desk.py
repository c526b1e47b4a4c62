"""Decides nothing: what all runs of a controller share - the commands that go out, the timers, the chunks, the paces.

Must not know: runs.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable

from flyte_nb.engine.commands import Command
from flyte_nb.engine.lanes import Pace
from flyte_nb.engine.placement import Placement


class Desk:
    """What runs of one controller share.

    Args:
        grace_seconds: how long an action that was told to stop may go on before its worker is ended.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.grace_seconds = grace_seconds
        self.placement = Placement()
        self._paces: dict[str, Pace] = {}
        self._timers: list[tuple[float, int, Callable[[float], None]]] = []
        self._timer_ids = itertools.count()
        self._out: list[Command] = []

    def order(self, *commands: Command) -> None:
        """Send commands out."""
        self._out.extend(commands)

    def order_all(self, commands: Iterable[Command]) -> None:
        """Send commands out."""
        self._out.extend(commands)

    def take_orders(self) -> list[Command]:
        """The commands of this turn."""
        out, self._out = self._out, []
        return out

    def pace(self, task: str) -> Pace:
        """What was learnt of a task, in this run or an earlier one."""
        return self._paces.setdefault(task, Pace())

    def at(self, when: float, action: Callable[[float], None]) -> None:
        """Have `action(now)` called when the time has come."""
        heapq.heappush(self._timers, (when, next(self._timer_ids), action))

    def run_timers(self, now: float) -> None:
        """Call what is due."""
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2](now)

    @property
    def wake_at(self) -> float | None:
        """When the next timer is due."""
        return self._timers[0][0] if self._timers else None

    def worker_name(self, agent: str) -> str:
        """A worker's name for people."""
        known = self.placement.agents.get(agent)
        return known.name if known is not None else agent
