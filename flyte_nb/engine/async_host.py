"""Decides how async bodies run at a place: on a loop of their own, in a thread of its own.

Actions are started one a loop turn, so that one that computes before its first pause delays its neighbours by itself
only; as long as none does, more are started in a turn. What has not started when the budget is used goes back. Time that
a body's code takes between pauses is measured: it tells whether its like should be handed out by the thousand or a few
at a time.

Must not know: sync bodies, messages.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Coroutine, Generator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from flyte_nb.core.current import RunnableTask
from flyte_nb.engine import bodies
from flyte_nb.engine.driver_loop import close_loop, make_loop
from flyte_nb.engine.meter import CLOCK_SECONDS, Clock, Memory
from flyte_nb.engine.work import ChunkWork

logger = logging.getLogger("flyte_nb")
#: Actions started in one turn of the loop at most, and how long the code of one may take to its first pause for more than one.
MOST_STARTS, QUICK_SECONDS = 16, 0.0005


class Owner(Protocol):
    """What a host needs of its agent."""

    agent: str
    memory: Memory

    def load(self, work: ChunkWork) -> RunnableTask | None:
        """The chunk's task."""
        ...

    def flush(self, work: ChunkWork) -> None:
        """Report what is new about a chunk."""
        ...


class Metered(Coroutine[Any, Any, Any]):
    """A body's coroutine that counts the seconds its code takes between pauses, and tells its host when it is over.

    Seconds are those of the wall clock. What of long steps was not spent computing (the code blocked, or had to wait for the
    interpreter) is counted apart, so that the processor's clock is not asked for each of a million short steps.
    """

    __slots__ = ("_began", "_body", "_host", "_idle", "busy", "first", "index", "started", "work")

    def __init__(self, work: ChunkWork, index: int, started: float, host: AsyncHost) -> None:
        self.work, self.index, self.started, self._host = work, index, started, host
        self.busy = self.first = self._idle = self._began = 0.0
        self._body = run_body(self, host.owner.agent)

    def send(self, value: Any) -> Any:  # noqa: ANN401 - a coroutine's protocol
        """Run to the next pause."""
        self._began = began = time.perf_counter()
        if began > self._host.clock.stale_at:
            self._host.clock.mark(began)
        try:
            pause = self._body.send(value)
        except BaseException as error:
            self._count(time.perf_counter() - began)
            self._host.ended(self, error)
            raise
        self._count(time.perf_counter() - began)
        return pause

    def throw(self, *error: Any) -> Any:  # noqa: ANN401 - a coroutine's protocol
        """Raise inside, and run to the next pause."""
        self._began = began = time.perf_counter()
        if began > self._host.clock.stale_at:
            self._host.clock.mark(began)
        try:
            pause = self._body.throw(*error)
        except BaseException as raised:
            self._add(time.perf_counter() - began)
            self._host.ended(self, raised)
            raise
        self._add(time.perf_counter() - began)
        return pause

    def _count(self, took: float) -> None:
        self._add(took)
        if not self.first:  # told at once: from this the controller sees whether more of the kind can be sent
            self.first = took
            self.work.spend(took, 1)
            if took > QUICK_SECONDS:
                self._host.starts = 1

    def _add(self, took: float) -> None:
        self.busy += took
        self._began = 0.0
        if took > CLOCK_SECONDS:
            self._idle += max(0.0, took - self._host.clock.spent())

    def cost(self, started: float) -> tuple[float, int]:
        """(seconds of processor time, bytes of memory) so far; asked in the last step, or after it."""
        took = time.perf_counter() - self._began if self._began else 0.0
        if took > CLOCK_SECONDS:
            took = min(took, self._host.clock.spent())
        return max(0.0, self.busy - self._idle) + took, self._host.owner.memory.peak_since(started)

    def close(self) -> None:
        """End the body."""
        self._body.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("a metered body is driven by its task")


class AsyncHost:
    """A loop in a thread of its own, made when the first chunk comes."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.clock = Clock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.blocked = False
        self.starts = 1
        self._closing = False
        self._waiting: deque[tuple[ChunkWork, float]] = deque()
        self._tasks: dict[tuple[int, int], asyncio.Task[Any]] = {}
        self._pumping = False
        self._lock = threading.Lock()

    def owns_this_thread(self) -> bool:
        """Whether the caller runs on this host's loop."""
        return self._thread is threading.current_thread()

    def add(self, work: ChunkWork) -> None:
        """Take a chunk; thread-safe."""
        loop = self._ensure_loop()
        self._waiting.append((work, time.monotonic()))  # here, not on the loop: should that be blocked, `hand_over` finds it
        loop.call_soon_threadsafe(self._pump_soon)

    def _ensure_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = make_loop()
                self._thread = threading.Thread(target=self._serve, name="flyte_nb-async", daemon=True)
                self._thread.start()
            return self._loop

    def _serve(self) -> None:
        loop = self._loop
        if loop is not None:
            asyncio.set_event_loop(loop)
            while not self._closing:
                try:
                    loop.run_forever()
                except BaseException as error:  # noqa: BLE001 - asyncio lets a SystemExit in a task that a body made end the loop
                    logger.warning("flyte_nb: a task that an action made ended with %s", type(error).__name__)
            close_loop(loop)

    def _pump_soon(self) -> None:
        if not self._pumping and self._loop is not None:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Start what one turn may, and come back in the next one for more."""
        self._pumping = False
        started = 0
        while self._waiting and started < self.starts:
            work, since = self._waiting[0]
            if work.task is None and self.owner.load(work) is None:
                self._waiting.popleft()
                continue
            count = len(work.command.rows)
            if time.monotonic() - since > work.command.budget_seconds:
                self._waiting.popleft()
                self._hand_back(work)
                continue
            index = work.next_index
            work.next_index = index + 1
            if work.next_index >= count:
                self._waiting.popleft()
            if index < count:
                started += 1
                try:
                    self._start(work, index)
                except Exception as error:  # noqa: BLE001 - a defect of ours; nobody may wait for this action, or those behind it
                    work.fail(index, bodies.failure_of(error, self.owner.agent), time.time())
        self.starts = min(2 * self.starts, MOST_STARTS)  # unless what was started now turns out to be slow
        if self._waiting:
            self._pump_soon()

    def _hand_back(self, work: ChunkWork) -> None:
        rest = range(work.next_index, len(work.command.rows))
        work.next_index = len(work.command.rows)
        if rest:
            work.hand_back(rest)
            self.owner.flush(work)

    def _start(self, work: ChunkWork, index: int) -> None:
        if index in work.stop_asked:
            work.begin(index)
            work.stop(index)
            self._flush_if_over(work)
            return
        context = work.context(index)
        started = work.begin(index)
        body = Metered(work, index, started, self)
        loop = self._loop
        if loop is None:
            return
        self._tasks[work.command.chunk, index] = asyncio.Task(body, loop=loop, context=context)

    def ended(self, body: Metered, error: BaseException) -> None:
        """A body is over: it returned (and wrote down how), or was stopped before its first step."""
        work, index = body.work, body.index
        self._tasks.pop((work.command.chunk, index), None)
        if body.busy > body.first:
            work.spend(body.busy, 1)
        if isinstance(error, asyncio.CancelledError):
            work.stop(index, body)
        elif not isinstance(error, StopIteration):  # a defect of ours: `run_body` lets nothing through
            work.fail(index, bodies.failure_of(error, self.owner.agent), time.time())
        self._flush_if_over(work)

    def _flush_if_over(self, work: ChunkWork) -> None:
        if work.ended:
            self.owner.flush(work)

    def stop(self, work: ChunkWork, indices: Sequence[int]) -> None:
        """Cancel actions that run here; thread-safe."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel, work.command.chunk, indices)

    def _cancel(self, chunk: int, indices: Sequence[int]) -> None:
        for index in indices:
            task = self._tasks.get((chunk, index))
            if task is not None:
                task.cancel()

    def hand_over(self, other: AsyncHost) -> None:
        """Give what has not started to another host: this loop is about to be blocked. Call on this loop."""
        while self._waiting:
            other.add(self._waiting.popleft()[0])

    def hand_back(self) -> None:
        """Return what has not started; thread-safe."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._hand_back_all)

    def _hand_back_all(self) -> None:
        while self._waiting:
            self._hand_back(self._waiting.popleft()[0])

    def close(self) -> None:
        """End the loop; what runs on it is dropped."""
        self._closing = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._loop.stop)


async def run_body(body: Metered, worker: str) -> None:
    """Run an async body to its end and write that down."""
    work, index, started = body.work, body.index, body.started
    task = work.task
    try:
        value = task.invoke(work.command.inputs[index])  # type: ignore[union-attr]  # it was loaded before this was started
        if asyncio.iscoroutine(value):
            value = await value
    except asyncio.CancelledError as error:
        if index in work.stop_asked:
            work.stop(index, body)
        else:
            work.fail(index, bodies.failure_of(error, worker), started, body)
    except BaseException as error:  # noqa: BLE001 - whatever a task raises is its result
        work.fail(index, bodies.failure_of(error, worker), started, body)
    else:
        work.settle(index, value, started, worker, body)
