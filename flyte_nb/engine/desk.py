"""Decides nothing: what all runs of a controller share - the commands that go out, the timers, the chunks, the paces.

Must not know: runs.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator

from flyte_nb.core.caching import ResultCache
from flyte_nb.engine.commands import Command
from flyte_nb.engine.lanes import Pace
from flyte_nb.engine.losses import MAX_LOSSES
from flyte_nb.engine.placement import Placement
from flyte_nb.engine.reuse import Reuse


class Desk:
    """What runs of one controller share.

    Args:
        grace_seconds: how long an action that was told to stop may go on before its worker is ended.
        max_losses: how often an action may lose its worker before it fails.
        results: where results are kept that may be reused.
    """

    def __init__(self, grace_seconds: float, max_losses: int = MAX_LOSSES, results: ResultCache | None = None) -> None:
        self.grace_seconds = grace_seconds
        self.max_losses = max_losses
        self.placement = Placement()
        self.reuse = Reuse(results)
        self._paces: dict[str, Pace] = {}
        self._timers: list[tuple[float, int, str]] = []
        self._timed: dict[str, dict[int, Callable[[float], None]]] = {}
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

    def at(self, when: float, run: str, action: Callable[[float], None]) -> None:
        """Have `action(now)` called when the time has come, unless the run is forgotten by then."""
        timer = next(self._timer_ids)
        self._timed.setdefault(run, {})[timer] = action
        heapq.heappush(self._timers, (when, timer, run))

    def due_timers(self, now: float) -> Iterator[tuple[str, Callable[[float], None]]]:
        """What is due: (run, action). An action may set timers that are due at once."""
        while self._timers and self._timers[0][0] <= now:
            _when, timer, run = heapq.heappop(self._timers)
            action = self._timed.get(run, {}).pop(timer, None)
            if action is not None:
                yield run, action

    def forget(self, run: str) -> None:
        """Drop a run's timers: one of an hour would keep the run for that hour."""
        self._timed.pop(run, None)

    @property
    def wake_at(self) -> float | None:
        """When the next timer is due."""
        return self._timers[0][0] if self._timers else None

    def worker_name(self, agent: str) -> str:
        """A worker's name for people."""
        known = self.placement.agents.get(agent)
        return known.name if known is not None else agent
