"""Decides which worker gets which queued actions next.

Deepest actions first (children before new parents, so that waiting parents do not pile up), runs in turn among equals.
Sync slots and async windows are counted apart: a worker that holds a thousand sleeping coroutines is still free for
sync work. Nothing is decided here about single actions: rows come from lanes and go out as chunks.

Pure. Must not know: how chunks travel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from flyte_nb.core.phases import CODE, ActionPhase
from flyte_nb.engine.ceiling import room
from flyte_nb.engine.commands import Command, SendChunk, SendTask, WantSlots
from flyte_nb.engine.fitting import Capacity, Need
from flyte_nb.engine.lanes import BUDGET_SECONDS, MAX_ROWS, TARGET_SECONDS, Lane, async_rows, sync_rows
from flyte_nb.engine.losses import suspects_on
from flyte_nb.engine.records import AgentRecord, Chunk, RunRecord

#: A slot gets its second chunk only of tasks whose actions are shorter than this: a long one would only wait there.
PREFETCH_BELOW_SECONDS = TARGET_SECONDS / 2
#: A worker that died is expected to be replaced for so long.
RETURN_SECONDS = 30.0
#: So many slots are asked for where one is needed, if others may hold some of them; what comes too late is given back.
SPARE_WANTS = 2
_ONE = Capacity(1, 0, 0)

_NO_NEED = Need(0.0, 0, 0)
_ABORTED, _TIMED_OUT = CODE[ActionPhase.ABORTED], CODE[ActionPhase.TIMED_OUT]


class Placement:
    """Turns lanes and workers into chunks."""

    def __init__(self) -> None:
        self.agents: dict[str, AgentRecord] = {}
        self.chunks: dict[int, Chunk] = {}
        self.settled = False
        self.shared = False
        self._last_chunk = 0
        self._gone: list[tuple[float, Capacity]] = []

    def new_chunk(self, run: str, lane: Lane | None, agent: str, rows: Sequence[int], now: float, *, is_async: bool) -> Chunk:
        """Register a chunk."""
        self._last_chunk += 1
        chunk = Chunk(self._last_chunk, run, lane, agent, rows, now, len(rows), is_async)
        self.chunks[chunk.id] = chunk
        return chunk

    def slots(self) -> int:
        """Sync actions that can run at once."""
        return sum(agent.slots for agent in self.agents.values())

    def slots_in_use(self) -> int:
        """Slots that are at work."""
        return sum(agent.slots_in_use for agent in self.agents.values())

    # ------------------------------------------------------------------ slots of chunks
    def lend(self, chunk: Chunk) -> None:
        """A chunk's action waits for others: what it takes of its worker is free meanwhile."""
        agent = self.agents.get(chunk.agent)
        if agent is not None and not chunk.lent:
            agent.sync_chunks -= chunk.weight
            agent.heavy -= chunk.weight > 1
            agent.alone = 0 if agent.alone == chunk.id else agent.alone
            agent.gpus_in_use -= chunk.gpus
            chunk.lent = 1

    def take_back(self, chunk: Chunk) -> None:
        """A chunk's action goes on."""
        agent = self.agents.get(chunk.agent)
        if agent is not None and chunk.lent:
            agent.sync_chunks += chunk.weight
            agent.heavy += chunk.weight > 1
            agent.gpus_in_use += chunk.gpus
            chunk.lent = 0

    def finished(self, chunk: Chunk) -> None:
        """A chunk is over."""
        self.chunks.pop(chunk.id, None)
        agent = self.agents.get(chunk.agent)
        if agent is not None and agent.chunks.pop(chunk.id, None) is not None:
            self.lend(chunk)

    # ------------------------------------------------------------------ what workers could take
    def went(self, agent: AgentRecord, now: float) -> None:
        """A worker is gone; one like it may come in its place."""
        self._gone.append((now + RETURN_SECONDS, agent.capacity))

    def capacities(self, now: float) -> list[Capacity]:
        """What there is, and what may soon be there again."""
        self._gone = [(until, capacity) for until, capacity in self._gone if until > now]
        return [*(agent.capacity for agent in self.agents.values()), *(capacity for _until, capacity in self._gone)]

    def dispatch(self, runs: Iterable[RunRecord], now: float) -> list[Command]:
        """Hand out as much as the workers can take."""
        agents = [agent for agent in self.agents.values() if agent.is_open]
        runs = list(runs)
        lanes = [(lane, run) for run in runs for lane in run.lanes.values() if lane.count]
        if not lanes or not agents:
            return []
        lanes.sort(key=lambda pair: (-pair[0].depth, pair[0].last_chunk))
        commands: list[Command] = []
        for lane, run in lanes:
            if run.state.settings.max_action_concurrency and not lane.alone:
                self._fill_one_by_one(lane, run, agents, now, commands)
            elif lane.alone:
                agents = self._fill_alone(lane, run, {each.state.name: each for each in runs}, agents, now, commands)
            elif lane.need is not None:
                agents = self._fill_needy(lane, lane.need, run, agents, now, commands)
            else:
                self._fill(lane, run, agents, now, commands)
        if self.shared:
            commands += self._wanted(lanes, now)
        return commands

    def _wanted(self, lanes: Iterable[tuple[Lane, RunRecord]], now: float) -> Iterator[WantSlots]:
        """Ask for slots of workers that others use too, for what could not be handed out and may start."""
        waiting, missing = [], 0
        for lane, run in lanes:
            count = lane.count if not lane.is_async or lane.need is not None else 0
            if count and run.state.settings.max_action_concurrency:
                count = min(count, room(run, self.chunks.values()))
            if count:
                waiting.append(lane)
                missing += SPARE_WANTS * count * (lane.need.slots(_ONE) if lane.need is not None else 1)
        agents = [agent for agent in self.agents.values() if agent.leased is not None and agent.is_open and agent.rests_until <= now]
        for agent in sorted(agents, key=lambda agent: agent.asked - (agent.leased or 0)):
            count = min(missing, agent.slots - agent.asked)
            if count > 0 and any(lane.need is None or lane.need.fits(agent.capacity) for lane in waiting):
                agent.asked += count
                missing -= count
                yield WantSlots(agent.agent, count)

    def _fill(self, lane: Lane, run: RunRecord, agents: list[AgentRecord], now: float, commands: list[Command]) -> None:
        if not agents:
            return
        if lane.is_async:
            self._fill_async(lane, run, agents, now, commands)
        else:
            self._fill_sync(lane, run, agents, now, commands)

    def _fill_one_by_one(self, lane: Lane, run: RunRecord, agents: list[AgentRecord], now: float, commands: list[Command]) -> None:
        """Hand out actions of a run that has a limit on them: each by itself, as they would start one after the other in a chunk."""
        need = lane.need or _NO_NEED
        open_agents = [agent for agent in agents if need.fits(agent.capacity)]
        while lane.count and open_agents and room(run, self.chunks.values()):
            agent = min(open_agents, key=lambda agent: (agent.async_rows if lane.is_async else 0, -agent.free_slots))
            large = need.is_more_than_a_slot(agent.capacity)
            full = bool(lane.concurrency) and lane.in_flight[agent.agent] >= lane.concurrency
            if full or ((large or not lane.is_async) and not self._spare(agent, need)):
                open_agents.remove(agent)
                continue
            self._send(lane, run, agent, 1, now, commands, weight=need.slots(agent.capacity) if large else 0, gpus=need.gpus)

    def _fill_needy(
        self, lane: Lane, need: Need, run: RunRecord, agents: list[AgentRecord], now: float, commands: list[Command]
    ) -> list[AgentRecord]:
        """Hand out actions that ask for something; returns the workers that are left for the lanes behind this one.

        A worker that is large enough, but busy, is kept free of new work until the action fits: small ones would take
        every slot as it becomes free.
        """
        fitting = [agent for agent in agents if need.fits(agent.capacity)]
        self._fill(lane, run, [agent for agent in fitting if not need.is_more_than_a_slot(agent.capacity)], now, commands)
        large = [agent for agent in fitting if need.is_more_than_a_slot(agent.capacity)]
        while lane.count and large:
            agent = max(large, key=lambda agent: (self._spare(agent, need), agent.free_slots))
            if not self._spare(agent, need):
                return [other for other in agents if other is not agent]
            self._send(lane, run, agent, 1, now, commands, weight=need.slots(agent.capacity), gpus=need.gpus)
        return agents

    def _fill_alone(
        self,
        lane: Lane,
        run: RunRecord,
        runs: Mapping[str, RunRecord],
        agents: list[AgentRecord],
        now: float,
        commands: list[Command],
    ) -> list[AgentRecord]:
        """Hand out actions that may end their worker, each piece to one where nothing else runs; returns the other workers.

        If there is no such worker, the least busy one gets nothing new until it is one.
        """
        while lane.count:
            fitting = [agent for agent in agents if lane.need is None or lane.need.fits(agent.capacity)]
            fitting = [agent for agent in fitting if lane.is_async or agent.open_slots]
            if not fitting:
                break
            quiet = [agent for agent in fitting if not any(each.rows for each in suspects_on(agent, runs, now).values())]
            agent = min(quiet or fitting, key=lambda agent: len(agent.chunks))
            if quiet:
                gpus = lane.need.gpus if lane.need is not None else 0
                most = MAX_ROWS if lane.is_async else 1
                if run.state.settings.max_action_concurrency:
                    most = min(most, room(run, self.chunks.values()))
                if not most:
                    break
                self._send(lane, run, agent, most, now, commands, weight=agent.slots, gpus=gpus)
                agent.alone = agent.last_chunk
            agents = [other for other in agents if other is not agent]
            if not quiet:
                break
        return agents

    def _spare(self, agent: AgentRecord, need: Need) -> bool:
        return agent.free_slots >= need.slots(agent.capacity) and agent.capacity.gpus - agent.gpus_in_use >= need.gpus

    def _fill_async(self, lane: Lane, run: RunRecord, agents: list[AgentRecord], now: float, commands: list[Command]) -> None:
        shares = {agent.agent: async_rows(lane, len(agents), lane.in_flight[agent.agent]) for agent in agents}
        for agent in sorted(agents, key=lambda agent: agent.async_rows):
            if lane.count and shares[agent.agent]:
                self._send(lane, run, agent, shares[agent.agent], now, commands)

    def _fill_sync(self, lane: Lane, run: RunRecord, agents: list[AgentRecord], now: float, commands: list[Command]) -> None:
        size = sync_rows(lane, self.slots())
        self._sync_round(lane, run, size, commands, now, lambda agent: agent.free_slots, agents)
        pace = lane.pace
        if pace.seconds is not None and pace.seconds < PREFETCH_BELOW_SECONDS and not pace.calls_others:
            self._sync_round(lane, run, size, commands, now, lambda agent: agent.room, agents)

    def _sync_round(
        self,
        lane: Lane,
        run: RunRecord,
        size: int,
        commands: list[Command],
        now: float,
        free: Callable[[AgentRecord], int],
        agents: list[AgentRecord],
    ) -> None:
        while lane.count:
            agent = max(agents, key=free)
            if free(agent) <= 0:
                return
            self._send(lane, run, agent, size, now, commands)

    def _send(
        self,
        lane: Lane,
        run: RunRecord,
        agent: AgentRecord,
        most: int,
        now: float,
        commands: list[Command],
        *,
        weight: int = 0,
        gpus: int = 0,
    ) -> None:
        state = run.state
        # Rows that were stopped, or timed out, while they were queued are still in their lane.
        wanted = (lambda row: not state.phases[row]) if state.totals[_ABORTED] or state.totals[_TIMED_OUT] else None
        rows = lane.take(most, wanted)
        if not len(rows):
            return
        chunk = self.new_chunk(state.name, lane, agent.agent, rows, now, is_async=lane.is_async)
        agent.chunks[chunk.id] = chunk
        lane.last_chunk = agent.last_chunk = chunk.id
        if lane.is_async:
            agent.async_rows += len(rows)
            lane.in_flight[agent.agent] += len(rows)
        chunk.weight, chunk.gpus = weight or (0 if lane.is_async else 1), gpus
        agent.sync_chunks += chunk.weight
        agent.heavy += chunk.weight > 1
        agent.gpus_in_use += gpus
        task = run.tasks[state.tasks[lane.task].key]
        if task.digest not in agent.digests:
            agent.digests.add(task.digest)
            commands.append(SendTask(agent.agent, task.digest, task.blob, state.tasks[lane.task].name))
        commands.append(self._chunk_command(chunk, lane, run, task.digest))

    def _chunk_command(self, chunk: Chunk, lane: Lane, run: RunRecord, digest: str) -> SendChunk:
        state, rows = run.state, chunk.rows
        if isinstance(rows, range):
            run.tokens[rows.start : rows.stop] = type(run.tokens)("Q", (chunk.id,)) * len(rows)
            inputs = state.inputs_of(rows)
            attempts = state.attempts[rows.start : rows.stop]
        else:
            for row in rows:
                run.tokens[row] = chunk.id
            inputs = [state.inputs(row) for row in rows]
            attempts = type(state.attempts)("H", [state.attempts[row] for row in rows])
        groups: list[str] = [state.group_of(row) for row in rows]
        return SendChunk(
            place=chunk.agent,
            chunk=chunk.id,
            run=state.name,
            run_started_at=state.started_at,
            digest=digest,
            is_async=lane.is_async,
            rows=rows,
            inputs=inputs,
            attempts=attempts,
            groups=groups[:1] if len(set(groups)) == 1 else groups,
            custom_context=lane.custom_context,
            budget_seconds=BUDGET_SECONDS,
            concurrency=lane.concurrency,
            settings=state.settings,
            recorded=run.recorded_of(rows),
            secrets=state.tasks[lane.task].secrets,
        )
