"""Decides nothing: makes a cluster larger or smaller, once or continually, so that no action is lost by it.

Workers that are to go are told first: they get nothing new, give back what they have not started, and finish the rest
for a while. What runs for longer is run again elsewhere, at no cost to its retries.

Must not know: how workers are started and ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from flyte_nb.engine.adapting import Adapting, backlog_slots
from flyte_nb.engine.backend import Backend, ClusterFacts
from flyte_nb.engine.controller import Controller
from flyte_nb.engine.stimuli import AgentLeaving, Stimulus

logger = logging.getLogger("flyte_nb")
#: How long workers that are to go may finish what runs, and how often it is looked whether they have.
DRAIN_SECONDS, LOOK_SECONDS = 10.0, 0.05
#: How often an adaptive cluster looks at its load.
ADAPT_SECONDS = 1.0


class Scaler:
    """Changes the size of a runner's cluster. Use on the runner's loop.

    Args:
        backend, controller: the runner's.
        handle: tells the controller something.
    """

    def __init__(self, backend: Backend, controller: Controller, handle: Callable[[Sequence[Stimulus]], None]) -> None:
        self._backend, self._controller, self._handle = backend, controller, handle
        self.adapting: Adapting | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def facts(self) -> ClusterFacts:
        """What the cluster is, and what its workers do."""
        facts, agents = self._backend.facts(), self._controller.placement.agents
        adaptive = f"{self.adapting.minimum} to {self.adapting.maximum} workers" if self.adapting is not None else ""
        members = tuple(
            replace(each, slots_in_use=known.slots_in_use, coroutines=known.async_rows)
            if (known := agents.get(each.agent)) is not None
            else each
            for each in facts.members
        )
        return replace(facts, adaptive=adaptive, members=members)

    async def scale(self, workers: int) -> None:
        """Have so many workers; returns when those that were too many are gone."""
        async with self._lock:
            leaving = self._tell(len(self._controller.placement.agents) - workers)
            await self._drained(leaving)
            await self._backend.scale(workers, leaving)

    def _tell(self, surplus: int) -> list[str]:
        """Tell workers that they are to go, those with the least to do first."""
        agents = sorted(self._controller.placement.agents.values(), key=lambda agent: (not agent.leaving, len(agent.chunks)))
        leaving = [agent.agent for agent in agents[: max(0, surplus)]]
        self._handle([AgentLeaving(agent) for agent in leaving])
        return leaving

    async def _drained(self, leaving: Sequence[str]) -> None:
        agents = self._controller.placement.agents
        for _look in range(int(DRAIN_SECONDS / LOOK_SECONDS)):
            if not any(agents[agent].chunks for agent in leaving if agent in agents):
                return
            await asyncio.sleep(LOOK_SECONDS)

    def adapt(self, adapting: Adapting | None) -> None:
        """Follow the load from now on; None ends that."""
        if self._task is not None:
            self._task.cancel()
        self.adapting = adapting
        self._task = None if adapting is None else asyncio.get_running_loop().create_task(self._adapt(adapting))

    async def _adapt(self, adapting: Adapting) -> None:
        wanted = len(self._controller.placement.agents)
        while True:
            placement = self._controller.placement
            lanes = [lane for control in self._controller.runs.values() for lane in control.run.lanes.values()]
            workers = max(wanted, len(placement.agents))
            per_worker = placement.slots() / len(placement.agents) if placement.agents else 1.0
            decided = adapting.decide(workers, placement.slots_in_use(), backlog_slots(lanes), per_worker)
            if decided != workers:
                try:
                    await self.scale(decided)
                    wanted = decided
                except Exception as error:  # noqa: BLE001 - looked at again
                    logger.warning("flyte_nb: the cluster could not be scaled to %d: %s: %s", decided, type(error).__name__, error)
            await asyncio.sleep(ADAPT_SECONDS)
