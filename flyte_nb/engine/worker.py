"""Decides how a worker works: an `Agent` takes chunks, runs bodies, and reports.

Sync bodies run in slot threads, async ones on loops of their own (`async_host`), never on Dask's. A body that blocks
for its children lends its slot: another thread takes over, and the chunks behind it are handed back. The agent's own
loop carries messages and, every `FLUSH_SECONDS`, reports what long chunks have done so far.

Must not know: Dask, or where messages go (`send`).
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flyte_nb.core.current import Frame, RunnableTask
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item
from flyte_nb.engine import bodies
from flyte_nb.engine.async_host import AsyncHost
from flyte_nb.engine.commands import (
    AnswerFailure,
    AnswerName,
    AnswerOutputs,
    Command,
    EndProcess,
    ForgetRun,
    HandBack,
    SendChunk,
    SendTask,
    StopActions,
)
from flyte_nb.engine.holding import Holding
from flyte_nb.engine.loading import LoadedTasks
from flyte_nb.engine.meter import Memory, Meter
from flyte_nb.engine.port import Caller
from flyte_nb.engine.stimuli import SlotYielded, Stimulus
from flyte_nb.engine.work import ChunkWork

#: How often what long chunks have done is reported.
FLUSH_SECONDS = 0.02
#: An output may be this part of the worker's memory: it is there twice while it is pickled.
OUTPUT_SHARE = 0.4

logger = logging.getLogger("flyte_nb")
_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NULL = ctypes.py_object()  # not None: that would be thrown


class Agent:
    """One worker's end of the engine.

    Args:
        agent: the worker's id.
        slots: sync bodies that run at once.
        send: sends a stimulus to the controller; thread-safe.
        capture: whether prints of bodies are kept with their actions.
        store: puts large outputs where the kernel finds them.
        memory_limit: bytes of memory that the worker may use; an output may be a part of it. 0 is no limit.
    """

    def __init__(
        self,
        agent: str,
        *,
        slots: int,
        send: Callable[[Stimulus], None],
        capture: bool = True,
        store: Callable[[Item], Item] | None = None,
        memory_limit: int = 0,
    ) -> None:
        self.agent = agent
        self.slots = slots
        self.caller = Caller(agent, send, self._lend_slot, self._unstoppable)
        self._send = send
        self._capture = capture
        self._store = store
        self._most_bytes = int(memory_limit * OUTPUT_SHARE)
        self.tasks = LoadedTasks(agent)
        self.memory = Memory()
        self._active: dict[int, ChunkWork] = {}
        self._queue: deque[ChunkWork] = deque()
        self._ready = threading.Condition()
        self._threads = 0
        self._blocked = 0
        self._current: dict[int, tuple[ChunkWork, int]] = {}
        self._stoppable: set[int] = set()
        self._stop_lock = threading.Lock()
        self._closed = False
        self._holding = Holding(send)
        self._host = AsyncHost(self)
        self._hosts = [self._host]
        self._flusher: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ messages
    def start(self) -> None:
        """Begin to report; call on the agent's own loop."""
        self._flusher = asyncio.get_running_loop().create_task(self._flush_for_ever())

    async def close(self) -> None:
        """Stop taking work, and what runs: nobody waits for it. Threads end when their bodies do."""
        self._closed = True
        for work in list(self._active.values()):
            self._stop_actions(StopActions(self.agent, work.command.chunk, range(len(work.command.rows))))
        with self._ready:
            self._ready.notify_all()
        for host in self._hosts:
            host.close()
        if self._flusher is not None:
            self._flusher.cancel()

    def receive(self, command: Command) -> None:
        """Take a message from the controller; called on the agent's own loop."""
        if isinstance(command, AnswerOutputs | AnswerFailure | AnswerName):
            self.caller.deliver(command)
        elif isinstance(command, SendChunk):
            self._take_chunk(command)
        elif isinstance(command, SendTask):
            self.tasks.add(command)
        elif isinstance(command, StopActions):
            self._stop_actions(command)
        elif isinstance(command, ForgetRun):
            self.caller.forget_run(command.run)
        elif isinstance(command, HandBack):
            self.hand_back()
        elif isinstance(command, EndProcess):
            os.kill(os.getpid(), signal.SIGKILL)

    def _take_chunk(self, command: SendChunk) -> None:
        work = ChunkWork(command, self.caller, capture=self._capture, store=self._store, most_bytes=self._most_bytes)
        self._active[command.chunk] = work
        if command.is_async:
            with self._ready:  # the host cannot become a blocked one meanwhile
                self._host.add(work)
            return
        with self._ready:
            self._queue.append(work)
            if self._threads - self._blocked < self.slots:
                self._add_thread()
            self._ready.notify()

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._unclog()
            active = list(self._active.values())
            if active:
                self.memory.sample()
                self.memory.forget_before(min(work.oldest_start() for work in active))
            for work in active:
                self.flush(work)

    def _unclog(self) -> None:
        """Hand back what waits behind actions that turn out to be long: another worker may be free for it."""
        now, clogged = time.time(), 0
        for work, index in list(self._current.values()):
            if now - work.started_at(index, now) > work.command.budget_seconds:
                self._hand_back(work)
                clogged += 1
        if clogged and clogged >= self.slots and self._queue:
            with self._ready:
                waiting = list(self._queue)
                self._queue.clear()
            for work in waiting:
                self._hand_back(work)

    def flush(self, work: ChunkWork) -> None:
        """Report what is new about a chunk."""
        with work.sending:
            report = work.report()
            if report is not None:
                if report.finished:
                    self._active.pop(report.chunk, None)
                self._send(report)

    # ------------------------------------------------------------------ tasks
    def load(self, work: ChunkWork) -> RunnableTask | None:
        """The chunk's task; if it cannot be loaded its actions fail and None is returned."""
        task = self.tasks.get(work.command.digest)
        if isinstance(task, Failure):
            work.give_up(task)
            self.flush(work)
            return None
        work.task = task.within(work.command.settings)
        return task

    # ------------------------------------------------------------------ sync bodies
    def _add_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._slot, name=f"flyte_nb-slot-{self._threads}", daemon=True).start()

    def _slot(self) -> None:
        while True:
            with self._ready:
                while not self._queue and not self._closed and self._threads - self._blocked <= self.slots:
                    self._ready.wait()
                if self._closed or self._threads - self._blocked > self.slots:
                    self._threads -= 1
                    return
                work = self._queue.popleft()
            try:
                if self.load(work) is not None:
                    self._run_chunk(work)
            except BaseException as error:  # a defect of ours; without the thread, and an end, others would wait for ever
                logger.exception("flyte_nb: a slot failed")
                work.give_up(Failure("system", "EngineError", f"the worker failed: {type(error).__name__}: {error}", worker=self.agent))
                self.flush(work)

    def _run_chunk(self, work: ChunkWork) -> None:
        began = flushed = now = time.perf_counter()
        count, meter = len(work.command.rows), Meter(self.memory)
        clock = meter.clock
        while (index := self._next(work, count)) is not None:
            if now > clock.stale_at:
                clock.mark(now)
            self._run_action(work, index, meter)
            now = time.perf_counter()
            if now - began > work.command.budget_seconds:
                self._hand_back(work)
            if now - flushed > FLUSH_SECONDS:
                self.flush(work)
                flushed, clock.stale_at = now, 0.0
        self.flush(work)

    def _next(self, work: ChunkWork, count: int) -> int | None:
        with self._ready:
            index = work.next_index
            if index >= count:
                return None
            work.next_index = index + 1
            return index

    def _hand_back(self, work: ChunkWork) -> None:
        """Return what has not been started."""
        with self._ready:
            rest = range(work.next_index, len(work.command.rows))
            work.next_index = len(work.command.rows)
        if rest:
            work.hand_back(rest)

    def hand_back(self) -> None:
        """Return everything that has not been started."""
        for host in list(self._hosts):
            host.hand_back()
        with self._ready:
            self._queue.clear()
        for work in list(self._active.values()):
            if not work.command.is_async:
                self._hand_back(work)
                self.flush(work)

    @property
    def idle(self) -> bool:
        """Whether nothing runs here."""
        return not self._active

    def _run_action(self, work: ChunkWork, index: int, meter: Meter) -> None:
        task, started = work.task, work.begin(index)
        if task is None:
            raise RuntimeError("the chunk's task was not loaded")
        thread = threading.get_ident()
        self._current[thread] = (work, index)
        try:
            try:
                self._enter(thread, work, index)
                value = work.context(index).run(task.invoke, work.command.inputs[index])
            finally:
                self._leave(thread)
        except bodies.StopAction:
            work.stop(index, meter)
        except BaseException as error:  # noqa: BLE001 - whatever a task raises is its result
            if isinstance(error, SystemExit | KeyboardInterrupt | Exception) or index not in work.stop_asked:
                work.fail(index, bodies.failure_of(error, self.agent), started, meter)
            else:
                work.stop(index, meter)
        else:
            work.settle(index, value, started, self.agent, meter)
        finally:
            self._current.pop(thread, None)

    def _enter(self, thread: int, work: ChunkWork, index: int) -> None:
        """The body's code runs in this thread from here on: a stop may be thrown into it."""
        with self._stop_lock:
            self._stoppable.add(thread)
        if index in work.stop_asked:
            raise bodies.StopAction

    def _leave(self, thread: int) -> None:
        """No stop may reach this thread from here on, and one under way is taken back.

        A stop may arrive in these very lines. It is thrown once an action, so none comes after it.
        """
        with self._stop_lock:
            self._stoppable.discard(thread)
            work, index = self._current[thread]
            if index in work.stop_asked:
                _set_async_exc(thread, _NULL)  # takes a pending exception back

    @contextmanager
    def _unstoppable(self) -> Iterator[None]:
        """Around our own code in a body's thread: a stop waits, for it could leave a lock or a queue half done."""
        thread = threading.get_ident()
        entry = self._current.get(thread)
        if entry is None or thread not in self._stoppable:
            yield
            return
        self._leave(thread)
        try:
            yield
        finally:
            self._enter(thread, *entry)

    # ------------------------------------------------------------------ slots that others use too
    def hold(self, kind: str, others_wait: Callable[[], bool]) -> bool:
        """Keep a slot of a shared worker ("slot"), or just the worker ("stay"), as long as it is needed; blocks until then.

        Args:
            kind: "slot" or "stay".
            others_wait: whether others have work for this worker that cannot start.

        Returns:
            Whether it was given back because others wait.
        """
        if kind == "slot":
            return self._holding.slot(self, others_wait)
        self._holding.stay(self)
        return False

    def needed_slots(self) -> int:
        """Slots that sync bodies use at the moment, or wait for."""
        return len(self._current) - self._blocked + len(self._queue)

    @property
    def closed(self) -> bool:
        """Whether it takes no work any more."""
        return self._closed

    # ------------------------------------------------------------------ stopping
    def _stop_actions(self, command: StopActions) -> None:
        work = self._active.get(command.chunk)
        if work is None:
            return
        work.stop_asked.update(command.indices)
        for index in command.indices:
            facts = work.facts.get(index)
            if facts is not None:
                facts.refusal = "the action was told to stop"
        if work.command.is_async:
            for host in list(self._hosts):
                host.stop(work, command.indices)
        else:
            self._stop_sync(work)

    def _stop_sync(self, work: ChunkWork) -> None:
        with self._stop_lock:
            for thread, (running, index) in list(self._current.items()):
                due = running is work and index in work.stop_asked and index not in work.stop_thrown
                if not due or thread not in self._stoppable:
                    continue
                if _is_importing(thread):  # an exception inside an import leaves half a module behind
                    asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._stop_sync, work)
                else:
                    work.throw(index)
                    _set_async_exc(thread, bodies.StopAction)

    # ------------------------------------------------------------------ waiting for children
    @contextmanager
    def _lend_slot(self, frame: Frame) -> Iterator[None]:
        """Around a blocking wait: the slot, or the loop, is free for others meanwhile."""
        thread = threading.get_ident()
        entry = self._current.get(thread)
        if entry is None:
            with self._lend_loop():
                yield
            return
        work, chunk = entry[0], frame.action.token
        self._hand_back(work)
        with self._ready:
            self._blocked += 1
            waiting = list(self._queue)
            self._queue.clear()
            self._ready.notify_all()
        for other in waiting:
            self._hand_back(other)
            self.flush(other)
        self.flush(work)
        self._send(SlotYielded(chunk, waiting=True))
        try:
            yield
        finally:
            with self._ready:
                self._blocked -= 1
                self._ready.notify_all()
            self._send(SlotYielded(chunk, waiting=False))

    @contextmanager
    def _lend_loop(self) -> Iterator[None]:
        """An async body blocks its loop: what has not started moves to another one, that of an earlier block if it is free."""
        host = next((host for host in self._hosts if host.owns_this_thread()), None)
        if host is None:  # a thread that the body made
            yield
            return
        with self._ready:
            host.blocked = True
            if host is self._host:
                self._host = next((other for other in self._hosts if not other.blocked), None) or AsyncHost(self)
                if self._host not in self._hosts:
                    self._hosts.append(self._host)
            host.hand_over(self._host)
        try:
            yield
        finally:
            host.blocked = False

    def running_threads(self) -> int:
        """Slot threads, those that wait for children included."""
        return self._threads


def _is_importing(thread: int) -> bool:
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented way to see another thread's stack
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
