"""A controller on a bench: a test says what happens and when, sees every order, and the books are checked at the end.

It does what the runner does with the orders (forgets runs that have ended) and nothing else: no thread, no clock.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from flyte_nb.core.events import AttemptFailed, Event, RunSettings, RunStarted, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.phases import CODE, TERMINAL_CODES, ActionPhase
from flyte_nb.core.policy import RetryStrategy, Timeout
from flyte_nb.core.state import RunState
from flyte_nb.engine.commands import AnnounceEnd, Command, ForgetRun, RecordEvent, SendChunk, SendTask, StopActions
from flyte_nb.engine.controller import Controller
from flyte_nb.engine.losses import MAX_LOSSES
from flyte_nb.engine.records import Chunk, RunRecord
from flyte_nb.engine.stimuli import (
    KERNEL,
    AbortRequested,
    AgentJoined,
    AgentLost,
    Called,
    ChunkReport,
    RunRequested,
    Stimulus,
    TaskOffered,
    TimeReached,
)

QUEUED = CODE[ActionPhase.QUEUED]


def task(name: str, *, is_async: bool = True, retries: int | RetryStrategy = 0, timeout: float = 0, concurrency: int = 0) -> TaskFacts:
    """A task's facts; its key is its short name."""
    return TaskFacts(
        key=name,
        name=f"env.{name}",
        short_name=name,
        parameters=("x",),
        is_async=is_async,
        retries=retries if isinstance(retries, RetryStrategy) else RetryStrategy(retries),
        timeout=Timeout(max_runtime=int(timeout)) if timeout else Timeout(),
        concurrency=concurrency,
    )


ROOT, LEAF, SYNC = task("root"), task("leaf"), task("sync", is_async=False)
USER_ERROR = Failure("user", "ValueError", "no", "builtins.ValueError", "Traceback: ValueError: no")


class Bench:
    """A controller, the instant that it is told, and all that it ordered."""

    def __init__(self, *, grace_seconds: float = 2.0, max_losses: int = MAX_LOSSES) -> None:
        self.now = 1_000.0
        self.controller = Controller(grace_seconds=grace_seconds, max_losses=max_losses)
        self.orders: list[Command] = []
        self.logs: dict[str, list[Event]] = {}
        self.states: dict[str, RunState] = {}
        self.retries: dict[tuple[str, int], float] = {}
        self._seq = 0

    # ------------------------------------------------------------------ what happens
    def send(self, *stimuli: Stimulus) -> list[Command]:
        """Tell the controller; returns what it ordered, recorded events and forgotten runs apart."""
        commands = self.controller.handle(stimuli, self.now)
        for name, control in self.controller.runs.items():
            self.states[name] = control.state
        for command in commands:
            if isinstance(command, RecordEvent):
                self._recorded(command.event)
            elif isinstance(command, AnnounceEnd):
                self.controller.forget(command.run)
        made: list[Command] = [command for command in commands if not isinstance(command, RecordEvent | ForgetRun)]
        self.orders += made
        return made

    def _recorded(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.logs[event.run] = []
        self.logs[event.run].append(event)
        if isinstance(event, AttemptFailed):
            self.retries[event.run, event.row] = event.retry_at

    def after(self, seconds: float) -> list[Command]:
        """Let time pass."""
        self.now += seconds
        return self.send(TimeReached())

    def start(
        self, run: str = "r", root: TaskFacts = ROOT, *, in_kernel: bool = True, max_actions: int = 1_000, at_once: int = 0
    ) -> list[Command]:
        """Ask for a run; of its actions at most `at_once` run at a time (0: no limit)."""
        settings = RunSettings(max_action_concurrency=at_once)
        blob = b"" if in_kernel else b"root"
        return self.send(RunRequested(run, root, blob, ("in",), in_kernel, max_actions, settings=settings))

    def join(self, agent: str = "w1", slots: int = 1, *, ours: bool = True) -> list[Command]:
        """A worker comes."""
        return self.send(AgentJoined(agent, f"name-{agent}", 1, slots, ours))

    def lose(self, agent: str = "w1") -> list[Command]:
        """A worker goes."""
        return self.send(AgentLost(agent, "gone"))

    def abort(self, row: int = 0, run: str = "r") -> list[Command]:
        """A person stops an action."""
        return self.send(AbortRequested(run, row, "enough"))

    def call(
        self,
        count: int,
        called: TaskFacts = LEAF,
        *,
        run: str = "r",
        parent: int = 0,
        group: str = "",
        place: str = KERNEL,
        token: int = -1,
    ) -> list[Command]:
        """An action calls a task so many times, in one go."""
        return self.send(
            TaskOffered(run, called, called.key.encode()),
            self.called(count, called, run=run, parent=parent, group=group, place=place, token=token),
        )

    def called(
        self,
        count: int,
        called: TaskFacts = LEAF,
        *,
        run: str = "r",
        parent: int = 0,
        group: str = "",
        place: str = KERNEL,
        token: int = -1,
    ) -> Called:
        """The calls as a stimulus; sequence numbers count on, the token is the parent's own unless given."""
        first, self._seq = self._seq, self._seq + count
        holds = self.record(run).tokens[parent] if token < 0 else token
        inputs = [(number,) for number in range(first, first + count)]
        return Called(place, 1, first, run, parent, holds, called.key, group, (), inputs)

    # ------------------------------------------------------------------ what a chunk's place tells
    def succeed(self, chunk: int, indices: Sequence[int], *, finished: bool = True, output: str = "") -> list[Command]:
        """Actions of a chunk return `<output or row>`."""
        rows = self.chunk(chunk).rows
        outputs = [output or f"row {rows[index]}" for index in indices]
        started, ended = (array("d", [at]) * len(indices) for at in (self.now - 0.01, self.now))
        load = {"steps": len(indices), "busy_seconds": 0.001}
        return self.send(ChunkReport(chunk, (), indices, outputs, started, ended, finished=finished, **load))  # type: ignore[arg-type]  # numbers

    def fail(self, chunk: int, index: int = 0, failure: Failure = USER_ERROR, *, finished: bool = True) -> list[Command]:
        """An action of a chunk raises."""
        return self.send(ChunkReport(chunk, failed=[(index, failure, self.now - 0.01, self.now)], finished=finished))

    def begin(self, chunk: int, indices: Sequence[int] = (0,)) -> list[Command]:
        """Actions of a chunk have started."""
        return self.send(ChunkReport(chunk, begun=[(index, self.now) for index in indices]))

    def stopped(self, chunk: int, indices: Sequence[int] = (0,), *, finished: bool = True) -> list[Command]:
        """Actions of a chunk ended because they were told to."""
        return self.send(ChunkReport(chunk, stopped=[(index, self.now) for index in indices], finished=finished))

    def returned(self, chunk: int, indices: Sequence[int], *, finished: bool = True) -> list[Command]:
        """Actions of a chunk are handed back."""
        return self.send(ChunkReport(chunk, returned=indices, finished=finished))

    # ------------------------------------------------------------------ what there is
    def chunk(self, number: int) -> Chunk:
        """A chunk that is under way."""
        return self.controller.placement.chunks[number]

    def record(self, run: str = "r") -> RunRecord:
        """A live run's working memory."""
        return self.controller.runs[run].run

    def state(self, run: str = "r") -> RunState:
        """A run's state, live or not."""
        return self.states[run]

    def phase(self, row: int, run: str = "r") -> ActionPhase:
        """The phase of an action."""
        return self.states[run].phase_of(row)

    def phases(self, run: str = "r") -> list[str]:
        """All phases, the root's first."""
        state = self.states[run]
        return [state.phase_of(row).value for row in range(state.count)]

    @property
    def driver(self) -> int:
        """The chunk of the newest attempt of a root in the kernel."""
        return [order.chunk for order in self.orders if isinstance(order, SendChunk) and order.place == KERNEL][-1]

    # ------------------------------------------------------------------ the books
    def check(self) -> None:
        """Assert what must hold at any moment."""
        for name, state in self.states.items():
            state.check()
            self._check_log(name, state)
        for control in self.controller.runs.values():
            self._check_nothing_is_stranded(control.run)
        self._check_agents()

    def _check_log(self, name: str, state: RunState) -> None:
        """The log, folded again, is the live state."""
        first, *rest = self.logs[name]
        assert isinstance(first, RunStarted)
        again = RunState(first)
        for event in rest:
            again.apply(event)
        assert columns(again) == columns(state)

    def _check_nothing_is_stranded(self, run: RunRecord) -> None:
        """An open action is held by a chunk, waits in a lane, or for its next attempt's time; and in one place only."""
        queued = [row for lane in run.lanes.values() for piece in (*lane._pieces, *lane._alone) for row in piece]
        waiting = [row for row in queued if run.state.phases[row] == QUEUED]
        assert len(waiting) == len(set(waiting)), "an action is queued twice"
        assert sum(lane.count for lane in run.lanes.values()) == len(queued), "a lane counts wrongly"
        for row in range(run.state.count):
            if run.state.phases[row] in TERMINAL_CODES:
                assert row not in run.stopping, f"row {row} has ended and is still being stopped"
                continue
            orphan = run.state.phases[run.state.parent_of(row)] in TERMINAL_CODES
            assert row in run.stopping or not orphan, f"row {row} goes on, though its caller has ended"
            held = run.tokens[row]
            retried = self.retries.get((run.state.name, row), 0.0) > self.now or row in run.resting or row in run.resting
            assert (held != 0) + (row in waiting) + retried == 1, f"row {row}: held={held} queued={row in waiting} retried={retried}"
            if held:
                chunk = self.controller.placement.chunks[held]
                assert (chunk.run, row in chunk.rows) == (run.state.name, True)

    def _check_agents(self) -> None:
        placement = self.controller.placement
        for agent in placement.agents.values():
            held = agent.chunks.values()
            slots = sum(chunk.weight * (1 - chunk.lent) for chunk in held)
            assert agent.sync_chunks == slots, f"{agent.agent} counts its slots wrongly"
            assert agent.async_rows >= 0
            if not any(chunk.is_async for chunk in held):
                assert agent.async_rows == 0, f"{agent.agent} has no async chunk and counts {agent.async_rows} async rows"
            assert all(placement.chunks.get(chunk.id) is chunk for chunk in agent.chunks.values())
        for chunk in placement.chunks.values():
            assert chunk.agent == KERNEL or chunk.id in placement.agents[chunk.agent].chunks


def columns(state: RunState) -> dict[str, object]:
    """All that a state holds, in a form that can be compared."""
    rows = range(state.count)
    return {
        "phases": bytes(state.phases),
        "attempts": list(state.attempts),
        "workers": [state.workers[number] for number in state.worker_ids],
        "called": list(state.called_at),
        "started": list(state.started_ats),
        "ended": list(state.ended_ats),
        "end": state.ended_at,
        "parents": [state.parent_of(row) for row in rows],
        "groups": [state.group_of(row) for row in rows],
        "tasks": [state.task_of(row).key for row in rows],
        "inputs": [state.inputs(row) for row in rows],
        "outputs": [state.output(row) for row in rows],
        "failures": state.failures,
        "past": state.past,
        "costs": state.costs,
        "logs": [state.logs(row) for row in rows],
        "nodes": state.nodes,
        "reasons": [state.abort_reason(row) for row in rows],
    }


def chunks(commands: Sequence[Command]) -> list[tuple[str, list[int]]]:
    """(place, rows) of the chunks among some orders."""
    return [(command.place, list(command.rows)) for command in commands if isinstance(command, SendChunk)]


def chunk_ids(commands: Sequence[Command]) -> list[int]:
    """Ids of the chunks among some orders."""
    return [command.chunk for command in commands if isinstance(command, SendChunk)]


def stops(commands: Sequence[Command]) -> list[StopActions]:
    """The orders to stop among some orders."""
    return [command for command in commands if isinstance(command, StopActions)]


def tasks_sent(commands: Sequence[Command]) -> list[tuple[str, bytes]]:
    """(place, pickled task) of the tasks among some orders."""
    return [(command.place, command.blob) for command in commands if isinstance(command, SendTask)]
