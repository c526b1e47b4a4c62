"""Decides everything about runs: stimuli in, commands out.

Rule 1: the controller owns every action of every run; workers and drivers only ask and report. Rule 2: it is pure:
the instant comes with the stimulus, and nothing is done here, only ordered. Rule 3: every change of a run is an event
that is applied to its `RunState` first and then recorded.

An attempt is owned by the chunk that carries it: the chunk's id is its token, and a report about an action is accepted
only from the chunk that holds its token now. So the late answer of a worker that was given up on changes nothing.

Must not know: threads, asyncio, Dask, the clock.
"""

from __future__ import annotations

import heapq
import itertools
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flyte_nb.core.events import (
    ActionFailed,
    ActionsAborted,
    ActionsCalled,
    ActionsSucceeded,
    AttemptFailed,
    AttemptsLost,
    AttemptsStarted,
    Event,
    LogWritten,
    RunStarted,
    TaskDeclared,
    TaskFacts,
)
from flyte_nb.core.failure import Failure
from flyte_nb.core.phases import TERMINAL_CODES, ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.engine import answers
from flyte_nb.engine.commands import (
    AnnounceEnd,
    AnswerName,
    Command,
    ForgetRun,
    KillWorker,
    RecordEvent,
    RefuseRun,
    SendChunk,
    StopActions,
)
from flyte_nb.engine.lanes import Pace
from flyte_nb.engine.placement import Placement
from flyte_nb.engine.records import AgentRecord, Chunk, RunRecord, TaskRecord
from flyte_nb.engine.stimuli import (
    KERNEL,
    AbortRequested,
    AgentJoined,
    AgentLost,
    CallsCancelled,
    Called,
    ChunkReport,
    NameAsked,
    RunRequested,
    SlotYielded,
    Stimulus,
    TaskOffered,
    TimeReached,
)

#: How often an action may lose its worker before it fails.
MAX_LOSSES = 10
#: How long an action that was told to stop may go on before its worker is ended.
GRACE_SECONDS = 2.0


class Controller:
    """The one owner of all runs of a kernel."""

    def __init__(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        self.grace_seconds = grace_seconds
        self.runs: dict[str, RunRecord] = {}
        self.placement = Placement()
        self._paces: dict[str, Pace] = {}
        self._timers: list[tuple[float, int, Callable[[float], None]]] = []
        self._timer_ids = itertools.count()
        self._out: list[Command] = []
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            RunRequested: self._run_requested,
            TaskOffered: self._task_offered,
            Called: self._called,
            CallsCancelled: self._calls_cancelled,
            NameAsked: self._name_asked,
            ChunkReport: self._reported,
            SlotYielded: self._slot_yielded,
            AgentJoined: self._agent_joined,
            AgentLost: self._agent_lost,
            AbortRequested: self._abort_requested,
            TimeReached: lambda _stimulus, _now: None,
        }

    def handle(self, stimuli: Iterable[Stimulus], now: float) -> list[Command]:
        """Decide what follows from what happened, and hand out what can be handed out.

        Args:
            stimuli: what happened since the last call, in order.
            now: UTC seconds.
        """
        for stimulus in stimuli:
            self._handlers[type(stimulus)](stimulus, now)
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2](now)
        live = [run for run in self.runs.values() if not run.announced]
        self._out.extend(self.placement.dispatch(live, now))
        out, self._out = self._out, []
        return out

    @property
    def wake_at(self) -> float | None:
        """When to be called next, if nothing happens before."""
        return self._timers[0][0] if self._timers else None

    def forget(self, name: str) -> None:
        """Drop a run that has ended; its state lives on with whoever holds it."""
        self.runs.pop(name, None)

    # ------------------------------------------------------------------ runs and calls
    def _run_requested(self, stimulus: RunRequested, now: float) -> None:
        if stimulus.run in self.runs:
            self._out.append(RefuseRun(stimulus.run, f"a run named {stimulus.run!r} is in progress"))
            return
        started = RunStarted(
            stimulus.run, stimulus.task, stimulus.inputs, now, stimulus.custom_context, stimulus.labels
        )
        run = RunRecord(RunState(started), max_actions=stimulus.max_actions, in_kernel=stimulus.in_kernel)
        self.runs[stimulus.run] = run
        self._out.append(RecordEvent(started))
        run.tasks[stimulus.task.key] = TaskRecord(0, answers.blob_digest(stimulus.blob), stimulus.blob)
        self._queue_again(run, [0])

    def _task_offered(self, stimulus: TaskOffered, _now: float) -> None:
        run = self.runs.get(stimulus.run)
        if run is not None and stimulus.task.key not in run.tasks:
            self._declare(run, stimulus.task, stimulus.blob)

    def _declare(self, run: RunRecord, task: TaskFacts, blob: bytes) -> None:
        run.tasks[task.key] = TaskRecord(len(run.state.tasks), answers.blob_digest(blob), blob)
        self._record(run, TaskDeclared(run.state.name, task))

    def _called(self, stimulus: Called, now: float) -> None:
        run = self.runs.get(stimulus.run)
        count = len(stimulus.inputs)
        refusal = self._refusal(run, stimulus)
        if run is None or refusal is not None:
            failure = refusal or answers.aborted_failure("the run has ended")
            self._out.extend(answers.refuse(stimulus, failure))
            return
        state = run.state
        first = state.count
        task = run.tasks[stimulus.task_key]
        event = ActionsCalled(
            state.name, first, stimulus.parent, task.id, stimulus.group, stimulus.inputs, now
        )
        self._record(run, event)
        run.add(count, stimulus.place, stimulus.port, stimulus.first_seq, stimulus.custom_context)
        run.open_children[stimulus.parent] = run.open_children.get(stimulus.parent, 0) + count
        depth = run.depth(stimulus.parent)
        pace = self._paces.setdefault(state.tasks[task.id].name, Pace())
        run.lane(task.id, depth, stimulus.custom_context, pace).put(range(first, first + count))

    def _refusal(self, run: RunRecord | None, call: Called) -> Failure | None:
        """Why these calls cannot become actions, or None."""
        if run is None:
            return None
        if run.tokens[call.parent] != call.token or call.parent in run.stopping:
            reason = run.stopping.get(call.parent, "its action has ended")
            return answers.aborted_failure(reason)
        if run.state.count + len(call.inputs) - 1 > run.max_actions:
            return answers.too_many_failure(run.state.name, run.max_actions)
        return None

    def _calls_cancelled(self, stimulus: CallsCancelled, now: float) -> None:
        for run in self.runs.values():
            rows = run.rows_of(stimulus.place, stimulus.port, stimulus.seqs)
            if rows:
                self._stop(run, rows, "cancelled by its caller", now)

    def _name_asked(self, stimulus: NameAsked, _now: float) -> None:
        run = self.runs.get(stimulus.run)
        name = run.state.action_name(stimulus.row) if run is not None else ""
        self._out.append(AnswerName(stimulus.place, stimulus.port, name))

    def _record(self, run: RunRecord, event: Event) -> None:
        run.state.apply(event)
        self._out.append(RecordEvent(event))

    # ------------------------------------------------------------------ workers
    def _agent_joined(self, stimulus: AgentJoined, _now: float) -> None:
        self.placement.agents[stimulus.agent] = AgentRecord(
            stimulus.agent, stimulus.name, stimulus.pid, stimulus.slots, stimulus.ours
        )

    def _agent_lost(self, stimulus: AgentLost, now: float) -> None:
        agent = self.placement.agents.pop(stimulus.agent, None)
        if agent is None:
            return
        for chunk in list(agent.chunks.values()):
            self._chunk_lost(chunk, agent, stimulus.reason, now)

    def _chunk_lost(self, chunk: Chunk, agent: AgentRecord, reason: str, now: float) -> None:
        self.placement.chunks.pop(chunk.id, None)
        run = self.runs.get(chunk.run)
        if run is None or chunk.lane is None:
            return
        state = run.state
        rows = [row for row in chunk.rows if run.tokens[row] == chunk.id]
        for row in rows:
            run.tokens[row] = 0
        stopped = [row for row in rows if row in run.stopping]
        again = [row for row in rows if row not in run.stopping]
        self._settle_stopped(run, stopped, now)
        started = [row for row in again if state.started_ats[row]]
        if started:
            self._record(run, AttemptsLost(state.name, started, f"worker {agent.name} was lost: {reason}", now))
            self._stop_children(run, started, "its caller's worker was lost", now)
        if chunk.is_async:
            suspects, bystanders = started, [row for row in again if not state.attempts[row]]
        else:
            suspects, bystanders = again, []
        chunk.lane.put_front(bystanders)
        self._retry_lost(run, chunk, suspects, reason, agent, now)

    def _retry_lost(
        self, run: RunRecord, chunk: Chunk, rows: list[int], reason: str, agent: AgentRecord, now: float
    ) -> None:
        """Queue rows again that were, or may have been, running. Those that were alone have used up one loss."""
        if chunk.lane is None:
            return
        alone = len(rows) == 1
        keep = []
        for row in rows:
            if alone or chunk.is_async:
                run.losses[row] = run.losses.get(row, 0) + 1
            if run.losses.get(row, 0) > MAX_LOSSES:
                failure = answers.lost_failure(agent.name, reason, run.losses[row])
                self._fail(run, row, failure, run.state.started_ats[row] or now, now)
            else:
                keep.append(row)
        if keep:
            chunk.lane.put_apart(keep)

    def _slot_yielded(self, stimulus: SlotYielded, _now: float) -> None:
        chunk = self.placement.chunks.get(stimulus.chunk)
        if chunk is None or chunk.lane is None:
            return
        agent = self.placement.agents[chunk.agent]
        chunk.lane.pace.calls_others = True
        if stimulus.waiting and not chunk.lent:
            agent.sync_chunks -= 1
            chunk.lent = 1
        elif not stimulus.waiting and chunk.lent:
            agent.sync_chunks += 1
            chunk.lent = 0

    # ------------------------------------------------------------------ what became of actions
    def _reported(self, report: ChunkReport, now: float) -> None:
        chunk = self.placement.chunks.get(report.chunk)
        run = self.runs.get(chunk.run) if chunk is not None else None
        if chunk is None:
            return
        if run is not None:
            self._take_report(run, chunk, report, now)
        if report.finished:
            self._chunk_finished(chunk)

    def _take_report(self, run: RunRecord, chunk: Chunk, report: ChunkReport, now: float) -> None:
        self._begun(run, chunk, report, now)
        for index, text in report.logs:
            row = chunk.rows[index]
            self._record(run, LogWritten(run.state.name, row, run.state.attempts[row], text))
        if len(report.indices):
            self._succeeded(run, chunk, report, now)
        for index, failure, started, ended in report.failed:
            row = chunk.rows[index]
            if run.tokens[row] == chunk.id:
                run.tokens[row] = 0
                self._attempt_failed(run, row, failure, started, ended, now)
        stopped = [chunk.rows[index] for index, _ended in report.stopped]
        self._settle_stopped(run, self._released(run, chunk, stopped), now)
        returned = self._released(run, chunk, [chunk.rows[index] for index in report.returned])
        self._settle_stopped(run, [row for row in returned if row in run.stopping], now)
        if chunk.lane is not None:
            chunk.lane.put_front([row for row in returned if row not in run.stopping])
        self._learn(chunk, report)

    def _released(self, run: RunRecord, chunk: Chunk, rows: Sequence[int]) -> list[int]:
        """Those of the rows that this chunk still holds; it holds them no longer."""
        mine = [row for row in rows if run.tokens[row] == chunk.id]
        for row in mine:
            run.tokens[row] = 0
        return mine

    def _learn(self, chunk: Chunk, report: ChunkReport) -> None:
        ended = len(report.indices) + len(report.failed) + len(report.stopped) + len(report.returned)
        agent = self.placement.agents.get(chunk.agent)
        if chunk.is_async and agent is not None:
            agent.async_rows -= ended
        if chunk.lane is None:
            return
        if chunk.is_async:
            chunk.lane.pace.learn_steps(report.steps, report.busy_seconds)
        elif len(report.indices):
            chunk.lane.pace.learn(len(report.indices), sum(report.ended) - sum(report.started))

    def _chunk_finished(self, chunk: Chunk) -> None:
        self.placement.chunks.pop(chunk.id, None)
        agent = self.placement.agents.get(chunk.agent)
        if agent is not None and agent.chunks.pop(chunk.id, None) is not None and not chunk.is_async:
            agent.sync_chunks -= 1 - chunk.lent

    def _begun(self, run: RunRecord, chunk: Chunk, report: ChunkReport, now: float) -> None:
        begun = [(chunk.rows[index], at) for index, at in report.begun]
        begun = [(row, at) for row, at in begun if run.tokens[row] == chunk.id and not run.state.started_ats[row]]
        if not begun:
            return
        rows = [row for row, _at in begun]
        worker = self._worker_name(chunk.agent)
        self._record(run, AttemptsStarted(run.state.name, rows, worker, array("d", [at for _row, at in begun])))
        seconds = run.state.task_of(rows[0]).timeout.max_runtime_seconds
        if seconds:
            for row, at in begun:
                self._at(at + seconds, self._runtime_checker(run, row, chunk.id, seconds))
        if any(row in run.stopping for row in rows):
            self._order_stop(run, [row for row in rows if row in run.stopping], now)

    def _worker_name(self, agent: str) -> str:
        known = self.placement.agents.get(agent)
        return known.name if known is not None else agent

    def _succeeded(self, run: RunRecord, chunk: Chunk, report: ChunkReport, now: float) -> None:
        state = run.state
        rows, outputs, started, ended = answers.accepted(run, chunk, report)
        if not len(rows):
            return
        worker = self._worker_name(chunk.agent)
        self._record(run, ActionsSucceeded(state.name, rows, worker, outputs, started, ended))
        answers.clear_tokens(run, rows)
        self._out.extend(answers.outputs(run, rows, outputs))
        self._ended(run, rows, now)

    def _attempt_failed(
        self, run: RunRecord, row: int, failure: Failure, started: float, ended: float, now: float
    ) -> None:
        """A failed attempt: another one if the task's retries allow it, the action's end if not."""
        if row in run.timed_out:
            run.timed_out.discard(row)
            run.stopping.pop(row, None)
        elif row in run.stopping:
            self._settle_stopped(run, [row], now)
            return
        retries = run.state.task_of(row).retries
        used = run.user_failures.get(row, 0)
        if failure.retryable and used < retries.count:
            run.user_failures[row] = used + 1
            retry_at = now + retries.delay(used)
            self._record(run, AttemptFailed(run.state.name, row, failure, started, ended, retry_at))
            self._stop_children(run, [row], "its caller's attempt failed", now)
            self._at(retry_at, lambda _now: self._queue_again(run, [row]))
        else:
            self._fail(run, row, failure, started, ended)

    def _fail(self, run: RunRecord, row: int, failure: Failure, started: float, ended: float) -> None:
        phase = ActionPhase.TIMED_OUT if failure.kind == "timeout" else ActionPhase.FAILED
        self._record(run, ActionFailed(run.state.name, row, phase, failure, started, ended))
        self._out.extend(answers.failure(run, row, failure))
        self._ended(run, [row], ended)

    def _queue_again(self, run: RunRecord, rows: Sequence[int]) -> None:
        """Queue rows for another (or their first) attempt."""
        state = run.state
        for row in rows:
            if state.phases[row] in TERMINAL_CODES:
                continue
            if row == 0 and run.in_kernel:
                self._start_driver(run)
                continue
            task = state.nodes[state.node_ids[row]].task
            depth = run.depth(state.parent_of(row)) if row else 0
            pace = self._paces.setdefault(state.tasks[task].name, Pace())
            run.lane(task, depth, run.context_of(row), pace).put_front([row])

    def _start_driver(self, run: RunRecord) -> None:
        state = run.state
        chunk = self.placement.new_chunk(state.name, None, KERNEL, [0], 0.0, is_async=True)
        run.tokens[0] = chunk.id
        task = run.tasks[state.root.key]
        self._out.append(
            SendChunk(
                place=KERNEL,
                chunk=chunk.id,
                run=state.name,
                run_started_at=state.started_at,
                digest=task.digest,
                is_async=True,
                rows=[0],
                inputs=[state.inputs(0)],
                attempts=[state.attempts[0]],
                groups=[""],
                custom_context=state.custom_context,
                budget_seconds=0.0,
            )
        )

    def _ended(self, run: RunRecord, rows: Sequence[int], now: float) -> None:
        """Rows reached a terminal phase: what they called and did not wait for is stopped, and the run may be over."""
        if run.stopping:
            for row in rows:
                run.stopping.pop(row, None)
        run.children_ended(rows)
        if len(run.open_children) > 1 or 0 in rows:
            self._stop_children(run, [row for row in rows if row in run.open_children], "its caller has ended", now)
        if run.state.ended_at is not None and not run.announced:
            run.announced = True
            for lane in run.lanes.values():
                lane.clear()
            self._out.extend(ForgetRun(agent, run.state.name) for agent in (KERNEL, *self.placement.agents))
            self._out.append(AnnounceEnd(run.state.name))

    # ------------------------------------------------------------------ stopping
    def _abort_requested(self, stimulus: AbortRequested, now: float) -> None:
        run = self.runs.get(stimulus.run)
        if run is not None and run.state.phases[stimulus.row] not in TERMINAL_CODES:
            self._stop(run, [stimulus.row], stimulus.reason, now)

    def _stop_children(self, run: RunRecord, rows: Sequence[int], reason: str, now: float) -> None:
        children = [child for row in rows for child in run.open_rows_below(row)]
        if children:
            self._stop(run, children, reason, now)

    def _stop(self, run: RunRecord, rows: Sequence[int], reason: str, now: float) -> None:
        """Stop actions and all that they called: what is queued is dropped, what runs is told to stop."""
        doomed = run.subtree(rows)
        fresh = [row for row in doomed if row not in run.stopping]
        run.stopping.update(dict.fromkeys(fresh, reason))
        held = [row for row in fresh if run.tokens[row]]
        self._settle_stopped(run, [row for row in fresh if not run.tokens[row]], now)
        self._order_stop(run, held, now)

    def _order_stop(self, run: RunRecord, rows: Sequence[int], now: float) -> None:
        by_chunk: dict[int, list[int]] = {}
        for row in rows:
            by_chunk.setdefault(run.tokens[row], []).append(row)
        for token, members in by_chunk.items():
            chunk = self.placement.chunks[token]
            if isinstance(chunk.rows, range):
                indices = [row - chunk.rows.start for row in members]
            else:
                wanted = set(members)
                indices = [index for index, row in enumerate(chunk.rows) if row in wanted]
            self._out.append(StopActions(chunk.agent, chunk.id, indices))
            self._at(now + self.grace_seconds, self._grace_checker(run, chunk, members))

    def _grace_checker(self, run: RunRecord, chunk: Chunk, rows: Sequence[int]) -> Callable[[float], None]:
        def check(now: float) -> None:
            left = [row for row in rows if run.tokens[row] == chunk.id]
            agent = self.placement.agents.get(chunk.agent)
            if not left:
                return
            if chunk.agent == KERNEL:  # a driver that does not yield is abandoned: its later calls are refused
                self._settle_stopped(run, self._released(run, chunk, left), now)
            elif agent is not None and agent.ours and not agent.condemned:
                agent.condemned = True
                self._out.append(KillWorker(agent.agent, f"an action did not stop within {self.grace_seconds:g} s"))

        return check

    def _runtime_checker(self, run: RunRecord, row: int, token: int, seconds: float) -> Callable[[float], None]:
        def check(now: float) -> None:
            if run.tokens[row] == token and row not in run.stopping:
                run.timed_out.add(row)
                self._stop(run, [row], f"it ran for longer than {seconds:g} s", now)

        return check

    def _settle_stopped(self, run: RunRecord, rows: Sequence[int], now: float) -> None:
        """Record the end of actions that were stopped."""
        late = [row for row in rows if row in run.timed_out]
        for row in late:
            seconds = run.state.task_of(row).timeout.max_runtime_seconds or 0.0
            self._attempt_failed(run, row, answers.timeout_failure(seconds), run.state.started_ats[row], now, now)
        rows = [row for row in rows if row not in late and run.state.phases[row] not in TERMINAL_CODES]
        for reason, members in answers.by_reason(run, rows):
            self._record(run, ActionsAborted(run.state.name, members, reason, now))
            for row in members:
                self._out.extend(answers.failure(run, row, answers.aborted_failure(reason)))
            self._ended(run, members, now)

    def _at(self, when: float, action: Callable[[float], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._timer_ids), action))


