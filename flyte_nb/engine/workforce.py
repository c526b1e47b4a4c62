"""Decides about workers: who is there, who is about to go, whom to end, and what none of them can take.

Part of the controller (pure: every instant comes from outside). What becomes of a single action is in `run_control`.

Must not know: processes, Dask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flyte_nb.engine import fitting, losses
from flyte_nb.engine.commands import HandBack, KillWorker
from flyte_nb.engine.desk import Desk
from flyte_nb.engine.fitting import Capacity
from flyte_nb.engine.lanes import Lane
from flyte_nb.engine.records import AgentRecord, Chunk
from flyte_nb.engine.run_control import RunControl
from flyte_nb.engine.stimuli import AgentJoined, AgentLeaving, AgentLost, ClusterSettled, SlotGranted, SlotReturned, SlotYielded

#: How long no worker must have been able to take an action before it fails: one may just be joining.
PATIENCE_SECONDS = 1.0
#: How long a worker into which an exception was thrown must have been idle before it is replaced.
IDLE_SECONDS = 1.0
#: How long others have a slot for which they waited, before it is asked for again: as long as we may keep one while they wait.
TURN_SECONDS = 1.0


class Workforce:
    """The workers of a controller.

    Args:
        desk: what all runs share.
        runs: the runs, by name.
    """

    def __init__(self, desk: Desk, runs: Mapping[str, RunControl]) -> None:
        self._desk, self._placement, self._runs = desk, desk.placement, runs

    # ------------------------------------------------------------------ coming and going
    def joined(self, stimulus: AgentJoined, now: float) -> None:
        """A worker is ready."""
        self.lost(AgentLost(stimulus.agent, "it connected again"), now)  # if it was known: it knows nothing any more
        capacity = Capacity(stimulus.slots, stimulus.memory_limit, stimulus.gpus)
        leased = 0 if stimulus.leased else None
        self._placement.shared |= stimulus.leased
        self._placement.agents[stimulus.agent] = AgentRecord(
            stimulus.agent, stimulus.name, stimulus.pid, capacity, stimulus.ours, leased=leased
        )

    def settled(self, _stimulus: ClusterSettled, _now: float) -> None:
        """Those that are to be expected are there."""
        self._placement.settled = True

    def leaving(self, stimulus: AgentLeaving, _now: float) -> None:
        """A worker takes nothing new, and gives back what it has not started."""
        agent = self._placement.agents.get(stimulus.agent)
        if agent is not None and not agent.leaving:
            agent.leaving = True
            agent.retired = not stimulus.gone
            if agent.retired:
                self._desk.order(HandBack(agent.agent))

    def lost(self, stimulus: AgentLost, now: float) -> None:
        """A worker is gone: what it had is queued again."""
        agent = self._placement.agents.pop(stimulus.agent, None)
        if agent is None:
            return
        self._placement.went(agent, now)
        innocent = agent.condemned or (agent.retired and not stimulus.rss_bytes)
        suspects = {} if innocent else losses.suspects_on(agent, {name: control.run for name, control in self._runs.items()}, now)
        for chunk in list(agent.chunks.values()):
            self._placement.chunks.pop(chunk.id, None)
            if chunk.lane is not None:
                chunk.lane.in_flight.pop(agent.agent, None)
            control = self._runs.get(chunk.run)
            if control is not None:
                suspicion = suspects.get(chunk.id, losses.NOBODY)
                control.asides.used_too_much(chunk, suspicion.rows, stimulus.rss_bytes)
                control.chunk_lost(chunk, agent.name, stimulus, suspicion, now)

    # ------------------------------------------------------------------ chunks and slots
    def slot_yielded(self, stimulus: SlotYielded, _now: float) -> None:
        """A sync body waits for others, or goes on."""
        chunk = self._placement.chunks.get(stimulus.chunk)
        if chunk is None or chunk.lane is None:
            return
        chunk.lane.pace.calls_others = True
        if stimulus.waiting:
            self._placement.lend(chunk)
        else:
            self._placement.take_back(chunk)

    def slot_granted(self, stimulus: SlotGranted, _now: float) -> None:
        """A worker that others use too has a slot for us."""
        agent = self._placement.agents.get(stimulus.agent)
        if agent is not None and agent.leased is not None:
            agent.leased += 1
            agent.asked = max(agent.asked, agent.leased)

    def slot_returned(self, stimulus: SlotReturned, now: float) -> None:
        """A slot was given back. Where others waited for it they have it for a while."""
        agent = self._placement.agents.get(stimulus.agent)
        if agent is not None and agent.leased is not None:
            agent.leased = max(0, agent.leased - 1)
            agent.asked = max(agent.leased, agent.asked - 1)
            if stimulus.others_wait:
                agent.rests_until = now + TURN_SECONDS
                self._desk.at(agent.rests_until, "", lambda _now: None)  # to ask again then

    def chunk_finished(self, chunk: Chunk, now: float) -> None:
        """Nothing more comes for a chunk."""
        self._placement.finished(chunk)
        agent = self._placement.agents.get(chunk.agent)
        if agent is not None and agent.tainted and not agent.chunks:
            self._desk.at(now + IDLE_SECONDS, "", self._replacer(agent))

    def taint(self, agent: str) -> None:
        """An exception was thrown into a body: what it was in the middle of may be half done."""
        known = self._placement.agents.get(agent)
        if known is not None:
            known.tainted = known.ours

    def _replacer(self, agent: AgentRecord) -> Callable[[float], None]:
        newest = agent.last_chunk

        def replace(_now: float) -> None:
            if agent.last_chunk == newest and agent.is_open and self._placement.agents.get(agent.agent) is agent:
                agent.condemned = True
                self._desk.order(KillWorker(agent.agent, "an action on it was stopped by an exception, and it is idle now"))

        return replace

    # ------------------------------------------------------------------ what fits
    def check_needs(self, now: float) -> None:
        """Fail what no worker can ever take."""
        for control in list(self._runs.values()):
            for lane in control.run.needy:
                if lane.count:
                    self._check_lane(control, lane, now)

    def _check_lane(self, control: RunControl, lane: Lane, now: float) -> None:
        capacities = self._placement.capacities(now)
        need = lane.need
        if need is None or not self._placement.settled or not capacities or any(need.fits(each) for each in capacities):
            lane.unfit_since = 0.0
        elif not lane.unfit_since:
            lane.unfit_since = now
            self._desk.at(now + PATIENCE_SECONDS, control.state.name, lambda _now: None)  # to look again then
        elif now - lane.unfit_since >= PATIENCE_SECONDS:
            ours = all(agent.ours for agent in self._placement.agents.values())
            task = control.state.tasks[lane.task].name
            control.fail_queued(lane.rows(), fitting.too_large_failure(task, need, capacities, ours=ours), now)
            lane.clear()
