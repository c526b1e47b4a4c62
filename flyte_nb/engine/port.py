"""Decides how task calls reach the controller and answers come back: one `Caller` a place, in the kernel or on a worker.

Calls that a loop makes in one turn are collected and go out together (`_LoopPort`); calls made in bulk, or from a
thread that blocks, go through a `Stream`. Both are mailboxes: answers are delivered by port number.

Must not know: where the controller is; it is behind `post`.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

from flyte_nb.core.current import Frame, PendingCall, RunnableTask, Step, Whereabouts
from flyte_nb.core.events import Inputs
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item
from flyte_nb.engine import bodies
from flyte_nb.engine.commands import AnswerFailure, AnswerName, AnswerOutputs
from flyte_nb.engine.stimuli import (
    Called,
    CallsCancelled,
    ConditionAnswered,
    NameAsked,
    ReportFlushed,
    StepEnded,
    StepReplayed,
    Stimulus,
    TaskOffered,
)

Answer = AnswerOutputs | AnswerFailure | AnswerName

#: A loop that makes very many calls in one turn sends this many ahead, so that work starts while it goes on.
BATCH_ROWS = 2_000
#: A thread that blocks for an answer looks this often whether it was told to stop.
WAIT_SLICE_SECONDS = 0.05


class Mailbox(Protocol):
    """Takes answers; called from the thread that they arrive on."""

    def deliver(self, answer: Answer) -> None:
        """Take an answer."""
        ...


class Caller:
    """Where all calls made at one place go through. Thread-safe.

    Args:
        place: the place's id.
        post: sends a stimulus to the controller.
        around_wait: entered by a thread while it blocks for an answer (a worker lends its slot meanwhile).
        around_ours: entered by a body's thread around our own code (a worker throws no stop into it meanwhile).
    """

    def __init__(
        self,
        place: str,
        post: Callable[[Stimulus], None],
        around_wait: Callable[[Frame], AbstractContextManager[None]] | None = None,
        around_ours: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.place = place
        self._post = post
        self._around_wait = around_wait
        self.around_ours = around_ours
        self._ids = itertools.count(1)
        self._mailboxes: dict[int, Mailbox] = {}
        self._loops: dict[asyncio.AbstractEventLoop, _LoopPort] = {}
        self._offered: dict[str, dict[str, object]] = {}
        self._lock, self._offering = threading.Lock(), threading.Lock()

    def post(self, stimulus: Stimulus) -> None:
        """Tell the controller something. A stop that struck in the middle of sending could silence this place for good."""
        with self.around_ours():
            self._post(stimulus)

    def open(self, mailbox: Mailbox) -> int:
        """Register a mailbox; returns its port number."""
        port = next(self._ids)
        self._mailboxes[port] = mailbox
        return port

    def close_port(self, port: int) -> None:
        """Forget a mailbox."""
        self._mailboxes.pop(port, None)

    def deliver(self, answer: Answer) -> None:
        """Hand an answer to its mailbox; answers that nobody waits for any more are dropped."""
        mailbox = self._mailboxes.get(answer.port)
        if mailbox is not None:
            mailbox.deliver(answer)

    def start(self, call: PendingCall, task: RunnableTask, inputs: Inputs, frame: Frame) -> None:
        """See `core.current.Submitter`."""
        loop = call.get_loop()
        port = self._loops.get(loop)
        if port is None:
            port = self._port_for(loop)
        port.start(call, task, inputs, frame)

    def cancel(self, call: PendingCall) -> None:
        """See `core.current.Submitter`."""
        port = self._loops.get(call.get_loop())
        if port is not None:
            port.cancel(call)

    def stream(self, task: RunnableTask, frame: Frame, limit: int = 0) -> Stream:
        """See `core.current.Submitter`."""
        return Stream(self, task, frame, limit)

    def action_name(self, frame: Frame) -> str:
        """See `core.current.Submitter`."""
        with self.around_ours():
            box = _NameBox()
            port = self.open(box)
            self.post(NameAsked(self.place, port, frame.action.run, frame.action.row))
            box.arrived.wait()
            self.close_port(port)
            return box.name

    def record_step(self, frame: Frame, step: Step, error: Exception | None) -> None:
        """See `core.current.Submitter`."""
        action = frame.action
        failure = None if error is None else bodies.failure_of(error, self.place)
        self.post(StepEnded(self.place, action.run, action.row, action.token, frame.group, step, failure))

    def step_replayed(self, frame: Frame, key: str) -> None:
        """See `core.current.Submitter`."""
        action = frame.action
        self.post(StepReplayed(action.run, action.row, action.token, key))

    def write_report(self, frame: Frame, tabs: Sequence[tuple[str, str]]) -> None:
        """See `core.current.Submitter`."""
        self.post(ReportFlushed(frame.action.run, frame.action.row, frame.action.token, tabs))

    def answer_condition(self, run: str, name: str, answer: Item) -> None:
        """See `core.current.Submitter`."""
        self.post(ConditionAnswered(run, None, name, answer))

    def offer(self, run: str, task: RunnableTask) -> None:
        """Make sure that the controller knows a task before it is called."""
        known = self._offered.setdefault(run, {})
        if task.facts.key in known:
            return
        with self._offering:  # nobody may call the task before the controller has been told of it
            if task.facts.key not in known:
                self.post(TaskOffered(run, task.current_facts(), task.pickled()))
                known[task.facts.key] = task

    def forget_run(self, run: str) -> None:
        """Drop what is kept for a run."""
        self._offered.pop(run, None)
        with self._lock:
            for loop in [loop for loop in self._loops if loop.is_closed()]:
                self.close_port(self._loops.pop(loop).port)

    @contextmanager
    def waiting(self, frame: Frame) -> Iterator[None]:
        """Around a blocking wait."""
        if self._around_wait is None:
            yield
        else:
            with self._around_wait(frame):
                yield

    def check_stop(self, frame: Frame) -> None:
        """On a worker, end a blocking wait of an action that was told to stop."""
        if self._around_wait is not None and frame.action.refusal:
            raise asyncio.CancelledError(frame.action.refusal)

    def _port_for(self, loop: asyncio.AbstractEventLoop) -> _LoopPort:
        with self._lock:
            port = self._loops.get(loop)
            if port is None:
                port = self._loops[loop] = _LoopPort(self, loop)
            return port


@dataclass(slots=True)
class _Batch:
    task: RunnableTask
    frame: Frame
    first_seq: int
    inputs: list[Inputs] = field(default_factory=list)


class _LoopPort:
    """Collects the calls of one loop, and resolves them on it. Used on the loop's own thread, `deliver` excepted."""

    def __init__(self, caller: Caller, loop: asyncio.AbstractEventLoop) -> None:
        self.port = caller.open(self)
        self._caller = caller
        self._loop = loop
        self._next_seq = 0
        self._waiting: dict[int, PendingCall] = {}
        self._batch: _Batch | None = None
        self._full: list[_Batch] = []
        self._scheduled = False

    def start(self, call: PendingCall, task: RunnableTask, inputs: Inputs, frame: Frame) -> None:
        seq = self._next_seq
        self._next_seq = seq + 1
        call.seq = seq
        self._waiting[seq] = call
        batch = self._batch
        if batch is None or batch.task is not task or batch.frame is not frame:
            if batch is not None:
                self._full.append(batch)
            batch = self._batch = _Batch(task, frame, seq)
        batch.inputs.append(inputs)
        if len(batch.inputs) >= BATCH_ROWS:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_turn)

    def _flush_turn(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """Send what was collected."""
        batches, self._full = self._full, []
        if self._batch is not None:
            batches.append(self._batch)
            self._batch = None
        for batch in batches:
            self._send(batch)

    def _send(self, batch: _Batch) -> None:
        frame, caller = batch.frame, self._caller
        try:
            caller.offer(frame.action.run, batch.task)
            stimulus = called(caller.place, self.port, batch.first_seq, batch.task, frame, batch.inputs)
        except Exception as error:  # noqa: BLE001 - a task that cannot be pickled is told to those who called it
            for seq in range(batch.first_seq, batch.first_seq + len(batch.inputs)):
                call = self._waiting.pop(seq, None)  # none if it was cancelled before it was sent
                if call is not None:
                    call.fail_here(error)
            return
        caller.post(stimulus)

    def cancel(self, call: PendingCall) -> None:
        if self._waiting.pop(call.seq, None) is not None:
            self.flush()
            self._caller.post(CallsCancelled(self._caller.place, self.port, (call.seq,)))

    def deliver(self, answer: Answer) -> None:
        try:
            self._loop.call_soon_threadsafe(self._take, answer)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            self._caller.close_port(self.port)

    def _take(self, answer: Answer) -> None:
        waiting = self._waiting
        if isinstance(answer, AnswerOutputs):
            for seq, item in zip(answer.seqs, answer.outputs, strict=True):
                call = waiting.pop(seq, None)
                if call is not None:
                    call.resolve(item)
        elif isinstance(answer, AnswerFailure):
            call = waiting.pop(answer.seq, None)
            if call is not None:
                try:
                    call.fail(answer.failure, answer.where)
                except Exception as error:  # noqa: BLE001 - making the error runs user code; its caller must not wait for ever
                    call.fail_here(error)


def called(place: str, port: int, first_seq: int, task: RunnableTask, frame: Frame, inputs: Sequence[Inputs]) -> Called:
    """The stimulus for calls made in one go."""
    action = frame.action
    return Called(
        place=place,
        port=port,
        first_seq=first_seq,
        run=action.run,
        parent=action.row,
        token=action.token,
        task_key=task.facts.key,
        group=frame.group,
        custom_context=frame.custom_context,
        inputs=inputs,
        cache_keys=task.cache_keys(action.run, inputs) if task.facts.cache.behavior != "disable" else (),
    )


class _NameBox:
    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.name = ""

    def deliver(self, answer: Answer) -> None:
        if isinstance(answer, AnswerName):
            self.name = answer.name
        self.arrived.set()


class Stream:
    """Calls of one task made in bulk; results are read by position. See `core.current.ResultStream`."""

    def __init__(self, caller: Caller, task: RunnableTask, frame: Frame, limit: int) -> None:
        self._caller, self._task, self._frame, self._limit = caller, task, frame, limit
        self._results: list[Item | Failure] = []
        self._ended = bytearray()
        self._failed: dict[int, Whereabouts] = {}
        self._ended_total = 0
        self._sent = 0
        self._held: deque[Inputs] = deque()
        self._lock = threading.Lock()  # not a Condition: an interrupt inside of its code would leave it locked
        self._sleepers: list[SimpleQueue[None]] = []
        self._watchers: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._closed = False
        self._port = caller.open(self)

    def submit(self, inputs: Sequence[Inputs], frame: Frame | None = None) -> None:
        """Add calls; positions count on from the last one. Those over the limit are held until others have ended."""
        if self._frame.action.refusal:
            raise asyncio.CancelledError(self._frame.action.refusal)
        with self._caller.around_ours():
            self._submit(inputs, frame)

    def _submit(self, inputs: Sequence[Inputs], frame: Frame | None) -> None:
        self._caller.offer(self._frame.action.run, self._task)
        with self._lock:
            self._results.extend([None] * len(inputs))
            self._ended.extend(bytes(len(inputs)))
            if self._limit:
                self._held.extend(inputs)
                self._refill()
            else:
                self._post(inputs, frame)

    def _refill(self) -> None:
        """Send held calls while fewer than the limit are under way."""
        room = self._limit - (self._sent - self._ended_total)
        batch = [self._held.popleft() for _ in range(min(room, len(self._held)))]
        if batch and not self._closed:
            self._post(batch)

    def _post(self, inputs: Sequence[Inputs], frame: Frame | None = None) -> None:
        first, self._sent = self._sent, self._sent + len(inputs)
        self._caller.post(called(self._caller.place, self._port, first, self._task, frame or self._frame, inputs))

    def deliver(self, answer: Answer) -> None:
        """Take results; called from the thread that they arrive on."""
        if isinstance(answer, AnswerOutputs):
            for seq, item in zip(answer.seqs, answer.outputs, strict=True):
                self._results[seq] = item
                self._ended[seq] = 1
            self._tell(len(answer.seqs))
        elif isinstance(answer, AnswerFailure):
            self._results[answer.seq] = answer.failure
            self._failed[answer.seq] = answer.where
            self._ended[answer.seq] = 1
            self._tell(1)

    def _tell(self, count: int) -> None:
        with self._lock:
            self._ended_total += count
            if self._held:
                self._refill()
            watchers, self._watchers = self._watchers, []
            sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            sleeper.put(None)
        for loop, watcher in watchers:
            with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(_wake, watcher)

    def result(self, index: int) -> tuple[bool, Item | Failure, Whereabouts | None]:
        """(Whether it succeeded, item or failure, where) at a position that has ended; it is not kept."""
        value, where = self._results[index], self._failed.pop(index, None)
        self._results[index] = None
        return where is None, value, where

    def wait_result(self, index: int) -> None:
        """Block this thread until the result at a position is there."""
        if not self._ended[index]:
            self._block(lambda: bool(self._ended[index]))

    def wait_ended(self, more_than: int) -> None:
        """Block this thread until more results are there than that."""
        if self._ended_total <= more_than:
            self._block(lambda: self._ended_total > more_than)

    def _block(self, there: Callable[[], bool]) -> None:
        sleeper: SimpleQueue[None] = SimpleQueue()
        with self._caller.around_ours(), self._caller.waiting(self._frame):
            while True:
                with self._lock:
                    if there():
                        return
                    if sleeper not in self._sleepers:
                        self._sleepers.append(sleeper)
                with suppress(Empty):
                    sleeper.get(timeout=WAIT_SLICE_SECONDS)
                self._caller.check_stop(self._frame)

    async def wait_result_async(self, index: int) -> None:
        """Wait on the running loop until the result at a position is there."""
        await self._watch(lambda: bool(self._ended[index]))

    async def wait_ended_async(self, more_than: int) -> None:
        """Wait on the running loop until more results are there than that."""
        await self._watch(lambda: self._ended_total > more_than)

    async def _watch(self, there: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        while not there():
            watcher: asyncio.Future[None] = loop.create_future()
            with self._lock:
                if there():
                    return
                self._watchers.append((loop, watcher))
            await watcher

    def ended_count(self) -> int:
        """How many results are there."""
        return self._ended_total

    def has_ended(self, index: int) -> bool:
        """Whether the result at a position is there."""
        return bool(self._ended[index])

    def close(self) -> None:
        """Abort what has not ended, and forget the mailbox."""
        self._closed = True
        with self._caller.around_ours():
            open_seqs = [index for index, ended in enumerate(self._ended[: self._sent]) if not ended]
            if open_seqs:
                self._caller.post(CallsCancelled(self._caller.place, self._port, open_seqs))
            self._caller.close_port(self._port)


def _wake(watcher: asyncio.Future[None]) -> None:
    if not watcher.done():
        watcher.set_result(None)
