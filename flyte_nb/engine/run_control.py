"""Decides everything about one run: its calls, attempts, retries, ends, stops.

Part of the controller (same rules: pure, every change an event first). What concerns workers is in `controller`.

Must not know: threads, asyncio, Dask, the clock.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace

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
    TaskDeclared,
    TaskFacts,
)
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import StoredBlob
from flyte_nb.core.phases import TERMINAL_CODES, ActionPhase
from flyte_nb.engine import answers
from flyte_nb.engine.commands import AnnounceEnd, ForgetRun, KillWorker, RecordEvent, SendChunk, StopActions
from flyte_nb.engine.desk import Desk
from flyte_nb.engine.lanes import Lane
from flyte_nb.engine.records import Chunk, RunRecord, TaskRecord
from flyte_nb.engine.stimuli import KERNEL, Called, ChunkReport, TaskOffered

#: How often an action may lose its worker before it fails.
MAX_LOSSES = 10


class RunControl:
    """Decides about one run.

    Args:
        run: its state and working memory.
        desk: what all runs share.
    """

    def __init__(self, run: RunRecord, desk: Desk) -> None:
        self.run = run
        self.state = run.state
        self.desk = desk

    # ------------------------------------------------------------------ calls
    def start(self, blob: bytes) -> None:
        """Queue the root."""
        self.run.tasks[self.state.root.key] = TaskRecord(0, answers.blob_digest(blob), blob)
        self._queue_again([0])

    def task_offered(self, offer: TaskOffered) -> None:
        """A place is about to call a task."""
        known = self.run.tasks.get(offer.task.key)
        if known is None:
            self._declare(offer.task, offer.blob)
        elif not known.blob:  # the root, which ran in the kernel so far and is called as an action now
            known.digest, known.blob = answers.blob_digest(offer.blob), offer.blob

    def _declare(self, task: TaskFacts, blob: bytes) -> None:
        self.run.tasks[task.key] = TaskRecord(len(self.state.tasks), answers.blob_digest(blob), blob)
        self._record(TaskDeclared(self.state.name, task))

    def called(self, call: Called, now: float) -> None:
        """Turn calls into queued actions, or refuse them."""
        refusal = self._refusal(call)
        if refusal is not None:
            self.desk.order_all(answers.refuse(call, refusal))
            return
        state, run, count = self.state, self.run, len(call.inputs)
        first = state.count
        task = run.tasks[call.task_key]
        self._record(ActionsCalled(state.name, first, call.parent, task.id, call.group, call.inputs, now))
        run.add(count, call.place, call.port, call.first_seq, call.custom_context)
        run.open_children[call.parent] = run.open_children.get(call.parent, 0) + count
        pace = self.desk.pace(state.tasks[task.id].name)
        run.lane(task.id, run.depth(call.parent), call.custom_context, pace).put(range(first, first + count))

    def _refusal(self, call: Called) -> Failure | None:
        """Why these calls cannot become actions, or None."""
        if call.parent >= self.state.count or self.run.tokens[call.parent] != call.token or call.parent in self.run.stopping:
            reason = self.run.stopping.get(call.parent, "its action has ended")
            return answers.aborted_failure(reason)
        if call.task_key not in self.run.tasks:
            return answers.unknown_task_failure(call.task_key)
        if self.state.count + len(call.inputs) - 1 > self.run.max_actions:
            return answers.too_many_failure(self.state.name, self.run.max_actions)
        return None

    def _record(self, event: Event) -> None:
        self.state.apply(event)
        self.desk.order(RecordEvent(event))

    # ------------------------------------------------------------------ what became of actions
    def reported(self, chunk: Chunk, report: ChunkReport, now: float) -> None:
        """Take in what a chunk reports."""
        self._begun(chunk, report)
        for index, text in report.logs:
            row = chunk.rows[index]
            self._record(LogWritten(self.state.name, row, self.state.attempts[row], text))
        if len(report.indices):
            self._succeeded(chunk, report, now)
        worker = self.desk.worker_name(chunk.agent)
        for index, failure, started, ended in report.failed:
            row = chunk.rows[index]
            if self.run.tokens[row] == chunk.id:
                self.run.tokens[row] = 0
                self._attempt_failed(row, replace(failure, worker=worker), started, ended, now)
        stopped = [chunk.rows[index] for index, _ended in report.stopped]
        self._settle_stopped(self._released(chunk, stopped), now)
        returned = self._released(chunk, [chunk.rows[index] for index in report.returned])
        self._settle_stopped([row for row in returned if row in self.run.stopping], now)
        if chunk.lane is not None:
            chunk.lane.put_front([row for row in returned if row not in self.run.stopping])

    def _released(self, chunk: Chunk, rows: Sequence[int]) -> list[int]:
        """Those of the rows that this chunk still holds; it holds them no longer."""
        mine = [row for row in rows if self.run.tokens[row] == chunk.id]
        for row in mine:
            self.run.tokens[row] = 0
        return mine

    def _begun(self, chunk: Chunk, report: ChunkReport) -> None:
        begun = [(chunk.rows[index], at) for index, at in report.begun]
        begun = [(row, at) for row, at in begun if self.run.tokens[row] == chunk.id and not self.state.started_ats[row]]
        if not begun:
            return
        rows = [row for row, _at in begun]
        worker = self.desk.worker_name(chunk.agent)
        self._record(AttemptsStarted(self.state.name, rows, worker, array("d", [at for _row, at in begun])))
        seconds = self.state.task_of(rows[0]).timeout.max_runtime_seconds
        if seconds:
            for row, at in begun:
                self.desk.at(at + seconds, self.state.name, self._runtime_checker(row, chunk.id, seconds))

    def _succeeded(self, chunk: Chunk, report: ChunkReport, now: float) -> None:
        state = self.state
        rows, outputs, started, ended = answers.accepted(self.run, chunk, report)
        if not len(rows):
            return
        worker = self.desk.worker_name(chunk.agent)
        self._record(ActionsSucceeded(state.name, rows, worker, outputs, started, ended))
        answers.clear_tokens(self.run, rows)
        for item in outputs:
            if type(item) is StoredBlob:
                item.adopt()
        self.desk.order_all(answers.outputs(self.run, rows, outputs))
        self._ended(rows, now)

    def _attempt_failed(self, row: int, failure: Failure, started: float, ended: float, now: float) -> None:
        """A failed attempt: another one if the task's retries allow it, the action's end if not."""
        if row in self.run.timed_out:
            self.run.timed_out.discard(row)
            self.run.stopping.pop(row, None)
            limit = self.state.task_of(row).timeout.max_runtime_seconds or 0.0
            if ended - started >= limit:  # what a body raises when it is stopped is not why it failed
                failure = answers.timeout_failure(limit)
        elif row in self.run.stopping:
            self._settle_stopped([row], now)
            return
        retries = self.state.task_of(row).retries
        used = self.run.user_failures.get(row, 0)
        if failure.retryable and used < retries.count:
            self.run.user_failures[row] = used + 1
            retry_at = now + retries.delay(used)
            self._record(AttemptFailed(self.state.name, row, failure, started, ended, retry_at))
            self._stop_children([row], "its caller's attempt failed", now)
            self.desk.at(retry_at, self.state.name, lambda _now: self._queue_again([row]))
        else:
            self._fail(row, failure, started, ended)

    def _fail(self, row: int, failure: Failure, started: float, ended: float) -> None:
        phase = ActionPhase.TIMED_OUT if failure.kind == "timeout" else ActionPhase.FAILED
        self._record(ActionFailed(self.state.name, row, phase, failure, started, ended))
        self.desk.order_all(answers.failure(self.run, row, failure))
        self._ended([row], ended)

    def _queue_again(self, rows: Sequence[int]) -> None:
        """Queue rows for another (or their first) attempt."""
        state = self.state
        for row in rows:
            if state.phases[row] in TERMINAL_CODES:
                continue
            if row == 0 and self.run.in_kernel:
                self._start_driver()
                continue
            task = state.nodes[state.node_ids[row]].task
            depth = self.run.depth(state.parent_of(row)) if row else 0
            pace = self.desk.pace(state.tasks[task].name)
            self.run.lane(task, depth, self.run.context_of(row), pace).put_front([row])

    def _start_driver(self) -> None:
        state = self.state
        chunk = self.desk.placement.new_chunk(state.name, None, KERNEL, [0], 0.0, is_async=True)
        self.run.tokens[0] = chunk.id
        task = self.run.tasks[state.root.key]
        self.desk.order(
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

    def _ended(self, rows: Sequence[int], now: float) -> None:
        """Rows reached a terminal phase: what they called and did not wait for is stopped, and the run may be over."""
        if self.run.stopping:
            for row in rows:
                self.run.stopping.pop(row, None)
                self.run.timed_out.discard(row)
        self.run.children_ended(rows)
        waiting = self.run.open_children
        if len(waiting) > (0 in waiting) or 0 in rows:  # somebody else than the root has open children
            self._stop_children([row for row in rows if row in self.run.open_children], "its caller has ended", now)
        if self.state.ended_at is not None:
            self._announce()

    def _announce(self) -> None:
        if self.run.announced:
            return
        self.run.announced = True
        for lane in self.run.lanes.values():
            lane.clear()
        self.desk.order_all(ForgetRun(agent, self.state.name) for agent in (KERNEL, *self.desk.placement.agents))
        self.desk.order(AnnounceEnd(self.state.name))

    def give_up(self, error: BaseException, now: float) -> None:
        """End the run because of a defect of ours, whatever state it is in: it must be seen, and nobody may wait for ever."""
        run, state, failure = self.run, self.state, answers.defect_failure(error)
        if run.announced:
            return
        try:
            left = [row for row in range(state.count) if state.phases[row] not in TERMINAL_CODES]
            self._order_stop([row for row in left if run.tokens[row] in self.desk.placement.chunks], now)
            run.tokens = array("Q", (0,)) * len(run.tokens)
            self.desk.order_all(answers.plain_failure(run, row, failure) for row in left if run.port_of(row)[0])
            self._record(ActionsAborted(state.name, [row for row in left if row], failure.headline(), now))
            if 0 in left:
                self._record(ActionFailed(state.name, 0, ActionPhase.FAILED, failure, state.started_ats[0] or now, now))
        except Exception:  # noqa: BLE001 - the first error is the one to tell; this one comes of the broken state
            state.failures.setdefault(0, failure)
        state.ended_at = state.ended_at or now
        self._announce()

    # ------------------------------------------------------------------ lost workers
    def chunk_lost(self, chunk: Chunk, worker: str, reason: str, now: float, *, blameless: bool = False) -> None:
        """A chunk's worker is gone: its actions are queued again, the suspects apart from the bystanders.

        Args:
            chunk: what the worker had.
            worker: its name.
            reason: what is known of its end.
            now: UTC seconds.
            blameless: we ended it, because of an action that did not stop; nothing else that it had is to blame.
        """
        run, state = self.run, self.state
        if chunk.lane is None:
            return
        rows = self._released(chunk, chunk.rows)
        self._settle_stopped([row for row in rows if row in run.stopping], now)
        again = [row for row in rows if row not in run.stopping and state.phases[row] not in TERMINAL_CODES]
        started = [row for row in again if state.started_ats[row]]
        if started:
            self._record(AttemptsLost(state.name, started, f"worker {worker} was lost: {reason}", now))
        self._stop_children(again, "its caller's worker was lost", now)
        told = chunk.is_async and bool(started)  # else any of them may have ended the worker before its start was told
        suspects = [] if blameless else started if told else again
        guilty = set(suspects)
        chunk.lane.put_front([row for row in again if row not in guilty])
        failure = answers.lost_failure(worker, reason, MAX_LOSSES + 1)
        self._retry_lost(chunk.lane, suspects, failure, now, told=told)

    def _retry_lost(self, lane: Lane, rows: list[int], failure: Failure, now: float, *, told: bool) -> None:
        """Queue rows again that were (`told`), or may have been, running. A running one, or the only one, used up one loss."""
        losses, keep = self.run.losses, []
        for row in rows:
            if told or len(rows) == 1:
                losses[row] = losses.get(row, 0) + 1
            if losses.get(row, 0) > MAX_LOSSES:
                self._fail(row, failure, 0.0, now)
            else:
                keep.append(row)
        if keep:
            lane.put_apart(keep)

    # ------------------------------------------------------------------ stopping
    def stop(self, rows: Sequence[int], reason: str, now: float) -> None:
        """Stop actions, if they have not ended, and all that they called."""
        self._stop([row for row in rows if self.state.phases[row] not in TERMINAL_CODES], reason, now)

    def _stop_children(self, rows: Sequence[int], reason: str, now: float) -> None:
        children = [child for row in rows for child in self.run.open_rows_below(row)]
        if children:
            self._stop(children, reason, now)

    def _stop(self, rows: Sequence[int], reason: str, now: float) -> None:
        """Stop actions and all that they called: what is queued is dropped, what runs is told to stop."""
        doomed = self.run.subtree(rows)
        fresh = [row for row in doomed if row not in self.run.stopping]
        late = self.run.timed_out.intersection(doomed)
        self.run.timed_out -= late  # an abort outdoes a time limit: there will be no other attempt
        self.run.stopping.update(dict.fromkeys((*fresh, *late), reason))
        held = [row for row in fresh if self.run.tokens[row]]
        self._settle_stopped([row for row in fresh if not self.run.tokens[row]], now)
        self._order_stop(held, now)

    def _order_stop(self, rows: Sequence[int], now: float) -> None:
        by_chunk: dict[int, list[int]] = {}
        for row in rows:
            by_chunk.setdefault(self.run.tokens[row], []).append(row)
        for token, members in by_chunk.items():
            chunk = self.desk.placement.chunks[token]
            indices: Sequence[int]
            if isinstance(chunk.rows, range):
                indices = [row - chunk.rows.start for row in members]
            else:
                wanted = set(members)
                indices = [index for index, row in enumerate(chunk.rows) if row in wanted]
            self.desk.order(StopActions(chunk.agent, chunk.id, indices))
            self.desk.at(now + self.desk.grace_seconds, self.state.name, self._grace_checker(chunk, members))

    def _grace_checker(self, chunk: Chunk, rows: Sequence[int]) -> Callable[[float], None]:
        def check(now: float) -> None:
            left = [row for row in rows if self.run.tokens[row] == chunk.id]
            agent = self.desk.placement.agents.get(chunk.agent)
            if not left:
                return
            if chunk.agent == KERNEL:  # a driver that does not yield is abandoned: its later calls are refused
                self._settle_stopped(self._released(chunk, left), now)
            elif agent is not None and agent.ours and not agent.condemned:
                agent.condemned = True
                self.desk.order(KillWorker(agent.agent, f"an action did not stop within {self.desk.grace_seconds:g} s"))

        return check

    def _runtime_checker(self, row: int, token: int, seconds: float) -> Callable[[float], None]:
        def check(now: float) -> None:
            if self.run.tokens[row] == token and row not in self.run.stopping:
                self._stop([row], f"it ran for longer than {seconds:g} s", now)
                self.run.timed_out.add(row)

        return check

    def _settle_stopped(self, rows: Sequence[int], now: float) -> None:
        """Record the end of actions that were stopped."""
        late = [row for row in rows if row in self.run.timed_out]
        for row in late:
            seconds = self.state.task_of(row).timeout.max_runtime_seconds or 0.0
            self._attempt_failed(row, answers.timeout_failure(seconds), self.state.started_ats[row], now, now)
        rows = [row for row in rows if row not in late and self.state.phases[row] not in TERMINAL_CODES]
        for reason, members in answers.by_reason(self.run, rows):
            self._record(ActionsAborted(self.state.name, members, reason, now))
            for row in members:
                self.desk.order_all(answers.failure(self.run, row, answers.aborted_failure(reason)))
            self._ended(members, now)
