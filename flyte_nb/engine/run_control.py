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
    StopsOverdue,
    TaskDeclared,
    TaskFacts,
)
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Blob, StoredBlob
from flyte_nb.core.phases import TERMINAL_CODES, ActionPhase
from flyte_nb.core.policy import Timeout
from flyte_nb.engine import answers, losses
from flyte_nb.engine.adoption import CALLER_ENDED, CALLER_FAILED, Claim, Offer
from flyte_nb.engine.asides import Asides
from flyte_nb.engine.commands import AnnounceEnd, ForgetRun, KillWorker, RecordEvent, SendChunk, StopActions
from flyte_nb.engine.desk import Desk
from flyte_nb.engine.earlier import Earlier
from flyte_nb.engine.lanes import Lane
from flyte_nb.engine.limits import Limits
from flyte_nb.engine.records import Chunk, RunRecord, TaskRecord
from flyte_nb.engine.stimuli import KERNEL, AgentLost, Called, ChunkReport, TaskOffered

NO_TIMEOUT = Timeout()


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
        self.asides = Asides(run, desk, self._record, lambda task: self._declare(task, b""), self._ended)
        self.limits = Limits(run, desk, self._stop_late, self._fail_queued)
        self.earlier = Earlier(run, desk, self._record, self._ended, lambda: self._queue_again([0]))

    # ------------------------------------------------------------------ calls
    def start(self, blob: bytes, cache_key: str, now: float) -> None:
        """Queue the root, unless its result is known."""
        self.run.tasks[self.state.root.key] = TaskRecord(0, answers.blob_digest(blob), blob)
        if self.earlier.root_left(cache_key, now):
            self.limits.called([0], now)
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
        self._record(TaskDeclared(self.state.name, task, Blob(blob) if blob else None))

    def called(self, call: Called, now: float) -> None:
        """Turn calls into queued actions, or refuse them."""
        refusal = self._refusal(call)
        if refusal is not None:
            self.desk.order_all(answers.refuse(call, refusal))
            return
        if self.run.needy:
            self._park(call.token)
        self.run.stirred_at[call.parent] = now
        offer = self.run.offers.get(call.parent)
        if offer is None:
            self._call(call, (), now)
            return
        for part in offer.claim(call, self.run.stopping):
            seq = call.first_seq + part.offset
            if isinstance(part, Claim):
                self._adopt(part.row, call.place, call.port, seq)
            else:
                inputs = call.inputs[part.offset : part.offset + len(part.sequences)]
                keys = call.cache_keys[part.offset : part.offset + len(part.sequences)]
                self._call(replace(call, first_seq=seq, inputs=inputs, cache_keys=keys), part.sequences, now)

    def _park(self, token: int) -> None:
        """An async body that holds slots calls others: it will wait for them, so from here on it holds none."""
        chunk = self.desk.placement.chunks.get(token)
        if chunk is not None and chunk.is_async:
            self.desk.placement.lend(chunk)

    def _adopt(self, row: int, place: str, port: int, seq: int) -> None:
        """Another attempt of the caller waits for an action; it is told at once if that has ended."""
        state, run = self.state, self.run
        run.point_to(row, place, port, seq)
        phase = state.phase_of(row)
        if phase in {ActionPhase.SUCCEEDED, ActionPhase.RECOVERED}:
            self.desk.order_all(answers.outputs(run, [row], [state.output(row)]))
        elif phase is ActionPhase.ABORTED:
            self.desk.order_all(answers.failure(run, row, answers.aborted_failure(state.abort_reason(row), state.name)))
        elif phase.is_terminal:
            self.desk.order_all(answers.failure(run, row, state.failures[row]))

    def _call(self, call: Called, sequences: Sequence[int], now: float) -> None:
        """Turn calls into queued actions."""
        state, run, count = self.state, self.run, len(call.inputs)
        if state.count + count - 1 > run.max_actions:
            self.desk.order_all(answers.refuse(call, answers.too_many_failure(state.name, run.max_actions)))
            return
        first = state.count
        task = run.tasks[call.task_key]
        self._record(ActionsCalled(state.name, first, call.parent, task.id, call.group, call.inputs, now, sequences))
        run.add(count, call.place, call.port, call.first_seq, call.custom_context)
        run.open_children[call.parent] = run.open_children.get(call.parent, 0) + count
        facts, rows = state.tasks[task.id], range(first, first + count)
        if facts.kind == "condition":
            self.asides.open_conditions(rows, now)
            return
        if facts.timeout != NO_TIMEOUT:
            self.limits.called(rows, now)
        is_known = call.cache_keys or run.recovery is not None
        left = self.earlier.left(rows, call.cache_keys, sequences, now) if is_known else rows
        run.lane(task.id, run.depth(call.parent), call.custom_context, self.desk.pace(facts.name)).put(left)

    def _refusal(self, call: Called) -> Failure | None:
        """Why these calls cannot become actions, or None."""
        if call.parent >= self.state.count or self.run.tokens[call.parent] != call.token or call.parent in self.run.stopping:
            reason = self.run.stopping.get(call.parent, "its action has ended")
            if call.parent in self.run.stopping:
                self.run.cut_off.add(call.parent)
            return answers.aborted_failure(reason, self.state.name)
        return None if call.task_key in self.run.tasks else answers.unknown_task_failure(call.task_key)

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
        if report.returned:
            self._returned(chunk, self._released(chunk, [chunk.rows[index] for index in report.returned]), now)

    def _returned(self, chunk: Chunk, rows: Sequence[int], now: float) -> None:
        """Rows came back unstarted: they are queued again, unless they were to stop anyway."""
        again = [row for row in rows if row not in self.run.stopping]
        self._settle_stopped([row for row in rows if row in self.run.stopping], now)
        if chunk.lane is not None:
            chunk.lane.put_front([row for row in again if self.state.phases[row] not in TERMINAL_CODES])

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
        if self.run.stopping and (cut := answers.cut_off(self.run, state, rows)):
            answers.clear_tokens(self.run, cut)
            rows, outputs, started, ended = answers.without(cut, rows, outputs, started, ended)
            self._settle_stopped(cut, now)
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
            late = self.run.timed_out.pop(row)
            self.run.stopping.pop(row, None)
            limit = self.state.task_of(row).timeout.max_runtime_seconds
            if not limit or late.code != answers.RUNTIME_CODE or ended - started >= limit:
                failure = late  # what a body raises when it is stopped is not why it failed
        elif row in self.run.stopping:
            self._settle_stopped([row], now)
            return
        state, retries = self.state, self.state.task_of(row).retries
        used = self.run.user_failures.get(row, 0)
        if failure.retryable and used < retries.count:
            self.run.user_failures[row] = used + 1
            retry_at = now + retries.delay(used)
            self._record(AttemptFailed(state.name, row, failure, started, ended, retry_at))
            self._stop_children([row], CALLER_FAILED, now)
            self._offer_children([row], settled=state.count)
            self.desk.at(retry_at, state.name, lambda now: self._next_attempt(row, now))
        else:
            self._fail(row, failure, started, ended, now)

    def _fail(self, row: int, failure: Failure, started: float, ended: float, now: float) -> None:
        phase = ActionPhase.TIMED_OUT if failure.kind == "timeout" else ActionPhase.FAILED
        self._record(ActionFailed(self.state.name, row, phase, failure, started, ended))
        self.desk.order_all(answers.failure(self.run, row, failure))
        self._ended([row], now)

    def _next_attempt(self, row: int, now: float) -> None:
        self.limits.queued([row], now)
        self._queue_again([row])

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
                settings=state.settings,
                recorded=self.run.recorded_of([0]),
            )
        )

    def _offer_children(self, rows: Sequence[int], settled: int = 0) -> None:
        """Offer what actions called to their next attempt; of rows below `settled` only what succeeded."""
        for row in rows:
            if row in self.state.children:
                earlier = self.run.offers.get(row)
                self.run.offers[row] = Offer(self.state, row, max(settled, earlier.settled if earlier is not None else 0))

    def _ended(self, rows: Sequence[int], now: float) -> None:
        """Rows reached a terminal phase: what they called and did not wait for is stopped, and the run may be over."""
        if self.run.cache_keys:
            self.desk.reuse.ended(self.run, rows, now)
        if self.run.recovery is not None:
            self.run.recovery.forget(rows)
        if self.run.offers:
            for row in rows:
                self.run.offers.pop(row, None)
        if self.run.stopping:
            for row in rows:
                self.run.stopping.pop(row, None)
                self.run.timed_out.pop(row, None)
                self.run.cut_off.discard(row)
        self.run.children_ended(rows, now)
        waiting = self.run.open_children
        if len(waiting) > (0 in waiting) or 0 in rows:  # somebody else than the root has open children
            self._stop_children([row for row in rows if row in self.run.open_children], CALLER_ENDED, now)
        if self.state.ended_at is not None:
            self._announce()

    def _announce(self) -> None:
        if self.run.announced:
            return
        self.run.announced = True
        self.desk.reuse.forget(self.run)
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
    def chunk_lost(self, chunk: Chunk, worker: str, lost: AgentLost, suspicion: losses.Suspicion, now: float) -> None:
        """A chunk's worker is gone: its actions are queued again, the suspects apart from the bystanders.

        Args:
            chunk: what the worker had.
            worker: its name.
            lost: what is known of its end.
            suspicion: which of the chunk's actions may be to blame; none, if we ended the worker.
            now: UTC seconds.
        """
        run, state = self.run, self.state
        if chunk.lane is None:
            return
        rows = self._released(chunk, chunk.rows)
        doomed = [row for row in rows if row in run.stopping]
        again = [row for row in rows if row not in run.stopping]
        self._settle_stopped(doomed, now)
        again = [row for row in again if state.phases[row] not in TERMINAL_CODES]
        guilty = [row for row in suspicion.rows if row in set(again)]
        if len(guilty) == 1 and not state.started_ats[guilty[0]]:  # it has started, or else nothing would have ended the worker
            self._record(AttemptsStarted(state.name, guilty, worker, array("d", (chunk.sent_at,))))
        if lost.rss_bytes and guilty and losses.convicts_of_memory(run, guilty[0], suspicion):
            again.remove(guilty[0])
            failure = losses.oom_failure(worker, lost.rss_bytes, lost.limit_bytes)
            self._attempt_failed(guilty[0], failure, state.started_ats[guilty[0]], now, now)
        started = [row for row in again if state.started_ats[row]]
        if started:
            self._record(AttemptsLost(state.name, started, f"worker {worker} was lost: {lost.reason}", now))
            self.limits.queued(started, now)
        self._offer_children(again)
        self._queue_lost(chunk.lane, losses.judge(run, again, suspicion, self.desk.max_losses), worker, lost, now)

    def _queue_lost(self, lane: Lane, verdict: losses.Verdict, worker: str, lost: AgentLost, now: float) -> None:
        lane.put_front(verdict.bystanders)
        for row in verdict.spent:
            if lost.rss_bytes:
                failure = losses.oom_failure(worker, lost.rss_bytes, lost.limit_bytes)
            else:
                failure = losses.lost_failure(self.run, row, worker, lost.reason)
            self._fail(row, failure, 0.0, now, now)
        resting = (*verdict.apart, *verdict.alone)

        def rested(_now: float) -> None:
            self.run.resting.difference_update(resting)
            lane.put_apart([row for row in verdict.apart if self.state.phases[row] not in TERMINAL_CODES])
            alone = [row for row in verdict.alone if self.state.phases[row] not in TERMINAL_CODES]
            if alone:
                self.run.lane(lane.task, lane.depth, lane.custom_context, lane.pace, alone=True).put_apart(alone)

        if verdict.rest_seconds:
            self.run.resting.update(resting)
            self.desk.at(now + verdict.rest_seconds, self.state.name, rested)
        else:
            rested(now)

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
        # An abort outdoes a time limit: there will be no other attempt.
        late = [row for row in doomed if self.run.timed_out.pop(row, None)] if self.run.timed_out else []
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
            elif agent is not None and not agent.ours:
                self._record(StopsOverdue(self.state.name, left, now))

        return check

    def _runtime_checker(self, row: int, token: int, seconds: float) -> Callable[[float], None]:
        def check(now: float) -> None:
            if self.run.tokens[row] == token and row not in self.run.stopping:
                self._stop_late(row, answers.timeout_failure(seconds), now)

        return check

    def _stop_late(self, row: int, failure: Failure, now: float) -> None:
        """Stop an attempt whose time is over: that is then what became of it."""
        self._stop([row], failure.message, now)
        self.run.timed_out[row] = failure

    def _fail_queued(self, row: int, failure: Failure, now: float) -> None:
        """An attempt failed that no worker holds; if there is to be another one, it keeps its place in the queue."""
        used = self.run.user_failures.get(row, 0)
        if failure.retryable and used < self.state.task_of(row).retries.count:
            self.run.user_failures[row] = used + 1
            self._record(AttemptFailed(self.state.name, row, failure, 0.0, now, now))
            self.limits.queued([row], now)
        else:
            self._stop_children([row], CALLER_ENDED, now)
            self._fail(row, failure, 0.0, now, now)

    def fail_queued(self, rows: Sequence[int], failure: Failure, now: float) -> None:
        """Queued attempts have failed before any worker could take them."""
        for row in rows:
            if self.state.phases[row] not in TERMINAL_CODES and row not in self.run.stopping:
                self._fail_queued(row, failure, now)

    def _settle_stopped(self, rows: Sequence[int], now: float) -> None:
        """Record the end of actions that were stopped."""
        late = [row for row in rows if row in self.run.timed_out]
        for row in late:
            self._attempt_failed(row, self.run.timed_out[row], self.state.started_ats[row], now, now)
        rows = [row for row in rows if row not in late and self.state.phases[row] not in TERMINAL_CODES]
        for reason, members in answers.by_reason(self.run, rows):
            self._record(ActionsAborted(self.state.name, members, reason, now))
            failure = answers.aborted_failure(reason, self.state.name)
            for row in members:
                self.desk.order_all(answers.failure(self.run, row, failure))
            self._ended(members, now)
