"""Decides nothing: carries out what the controller orders, in one thread with one loop.

Stimuli come in from any thread (`post`), are handled in batches, and their commands go to the backend, to the drivers,
to callers in this process, and to the sinks (store, views). Whoever reads a run's state does so through `read`, which
keeps the controller out meanwhile.

Must not know: why anything is ordered.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from flyte_nb.core.caching import ResultCache
from flyte_nb.core.current import RunnableTask
from flyte_nb.core.events import Event
from flyte_nb.core.failure import CLUSTER_LOST
from flyte_nb.core.state import RunState
from flyte_nb.engine.adapting import Adapting
from flyte_nb.engine.backend import Backend, ClusterFacts
from flyte_nb.engine.clock import Clock, SystemClock
from flyte_nb.engine.commands import (
    AnnounceEnd,
    AnswerFailure,
    AnswerName,
    AnswerOutputs,
    Command,
    ForgetRun,
    HandBack,
    KillWorker,
    RecordEvent,
    RefuseRun,
    ReportDefect,
    SendChunk,
    SendTask,
    StopActions,
    WantSlots,
)
from flyte_nb.engine.controller import GRACE_SECONDS, Controller
from flyte_nb.engine.driver import DriverHost
from flyte_nb.engine.feeds import Sink
from flyte_nb.engine.handover import HELD, Handover, Journal, Unwritten
from flyte_nb.engine.losses import MAX_LOSSES
from flyte_nb.engine.port import Caller
from flyte_nb.engine.scaling import Scaler
from flyte_nb.engine.secret_values import with_secrets
from flyte_nb.engine.stimuli import (
    KERNEL,
    AbortRequested,
    AgentJoined,
    AgentLeaving,
    AgentLost,
    ClusterLost,
    ClusterSettled,
    ResultsSought,
    RunRequested,
    Stimulus,
    TimeReached,
)
from flyte_nb.errors import BaseRuntimeError

logger = logging.getLogger("flyte_nb")
T = TypeVar("T")

#: While runs are live the garbage collector looks less often: a million live rows make each look expensive.
BUSY_GC_THRESHOLD = (100_000, 50, 100)


class RunRefusedError(ValueError):
    """A run could not be started."""


class Runner:
    """The engine's thread.

    Args:
        backend: where attempts are executed; started with the first run.
        sinks: what hears of events.
        on_cluster: called with a line for the user when the cluster is started or cannot be.
        results: where results are kept that may be reused.
        journal: results are handed on once it says that they are safe; None keeps nobody waiting.
        adaptive: (least, most) workers of a cluster that follows the load; None leaves its size alone.
        max_losses: how often an action may lose its worker before it fails.
    """

    def __init__(  # noqa: PLR0913 - what an engine is made of
        self,
        backend: Backend,
        *,
        sinks: Sequence[Sink] = (),
        grace_seconds: float = GRACE_SECONDS,
        clock: Clock | None = None,
        on_cluster: Callable[[str], None] | None = None,
        results: ResultCache | None = None,
        journal: Journal | None = None,
        max_losses: int = MAX_LOSSES,
        adaptive: tuple[int, int] | None = None,
    ) -> None:
        self.backend = backend
        self._adapting = Adapting(*adaptive) if adaptive is not None else None
        self.lock = threading.RLock()
        self.caller = Caller(KERNEL, self.post)
        self._controller = Controller(grace_seconds=grace_seconds, max_losses=max_losses, results=results)
        if results is not None:
            results.listen(lambda sought: self.post(ResultsSought(sought)))
        self._scaler = Scaler(backend, self._controller, self._handle)
        self._drivers = DriverHost(self.caller, self.post)
        self._sinks = sinks
        self._clock = clock or SystemClock()
        self._on_cluster = on_cluster or (lambda _line: None)
        self._inbox: deque[Stimulus] = deque()
        self._scheduled = False
        self._loop = asyncio.new_event_loop()
        self._handover = Handover(journal or Unwritten(), self._loop, self._release)
        self._started_backend: asyncio.Task[None] | None = None
        self._closing_backend: asyncio.Task[None] | None = None
        self._cluster_error: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refusals: dict[str, str] = {}
        self._last_ended: list[RunState] = []
        self._live: dict[str, threading.Event] = {}
        self._gc_threshold: tuple[int, int, int] | None = None
        self._performing = False
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="flyte_nb-engine", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ for other threads
    def post(self, stimulus: Stimulus) -> None:
        """Tell the controller something; thread-safe."""
        self._inbox.append(stimulus)
        if not self._scheduled and not self._closed:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._drain)

    def request(self, request: RunRequested, task: RunnableTask) -> RunState:
        """Start a run and return its state.

        Raises:
            RunRefusedError: a run of that name is in progress.
        """
        if self._closed:
            raise RunRefusedError("the workspace is closed")
        self._not_from_here()
        done = threading.Event()
        result: list[RunState | str] = []

        def start() -> None:
            try:
                result.append(self._start_run(request, task))
            except BaseException as error:  # noqa: BLE001 - raised where the run was asked for
                result.append(f"flyte_nb itself failed: {type(error).__name__}: {error}")
                self._live.pop(request.run, None)
            finally:
                done.set()

        self._loop.call_soon_threadsafe(start)
        while not done.wait(1):
            if not self._thread.is_alive():
                raise RunRefusedError("the workspace was closed")
        if isinstance(result[0], str):
            raise RunRefusedError(result[0])
        return result[0]

    def _start_run(self, request: RunRequested, task: RunnableTask) -> RunState | str:
        self._ensure_backend()
        if request.run not in self._controller.runs:  # else it will be refused, and the live one keeps what it has
            self._drivers.keep(request.run, task)
            self._live[request.run] = threading.Event()
        self._handle([request])
        refusal = self._refusals.pop(request.run, None)
        if refusal is not None:
            return refusal
        control = self._controller.runs.get(request.run)
        return control.state if control is not None else self._last_ended[0]  # its result was in the cache

    def _not_from_here(self) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError("This blocks, and was called on the engine's own thread (by a callback of a run, say): use another thread.")

    def read(self, reader: Callable[[], T]) -> T:
        """Call `reader` while nothing changes."""
        with self.lock:
            return reader()

    def abort(self, run: str, row: int, reason: str) -> None:
        """Stop an action and all that it called; row 0 is the whole run."""
        self.post(AbortRequested(run, row, reason))

    def live_runs(self) -> list[str]:
        """Names of runs that have not ended."""
        return list(self._live)

    def cluster_facts(self) -> ClusterFacts | None:
        """What the cluster is; None before it was started."""
        return self._scaler.facts() if self._started_backend is not None else None

    def load(self) -> tuple[int, int, int]:
        """(workers, slots, slots in use) as the controller sees them."""
        with self.lock:
            placement = self._controller.placement
            return len(placement.agents), placement.slots(), placement.slots_in_use()

    def start_cluster(self, timeout: float | None = None) -> None:
        """Start the cluster now, and wait until it is there."""
        self._call(self._start_and_wait(), timeout)

    def scale(self, workers: int, timeout: float | None = 60) -> None:
        """Change the number of workers; ends adaptive scaling."""
        self._call(self._scale(workers), timeout)

    def adapt(self, limits: tuple[int, int] | None, timeout: float | None = 60) -> None:
        """Let the number of workers follow the load, between these limits; None ends that.

        Raises:
            ValueError: the numbers make no sense.
            TypeError: the cluster's size cannot be changed from here.
        """
        self._call(self._adapt(Adapting(*limits) if limits is not None else None), timeout)

    async def _start_and_wait(self) -> None:
        self._ensure_backend()
        if self._started_backend is not None:
            await self._started_backend
        if self._cluster_error is not None:
            raise self._cluster_error

    async def _scale(self, workers: int) -> None:
        await self._start_and_wait()
        self._adapting = None
        self._scaler.adapt(None)
        await self._scaler.scale(workers)

    async def _adapt(self, adapting: Adapting | None) -> None:
        await self._start_and_wait()
        if adapting is not None:
            workers = len(self._controller.placement.agents)
            await self._scaler.scale(min(adapting.maximum, max(adapting.minimum, workers)))
        self._adapting = adapting
        self._scaler.adapt(adapting)

    def _call(self, work: Coroutine[Any, Any, None], timeout: float | None) -> None:
        try:
            self._not_from_here()
        except RuntimeError:
            work.close()
            raise
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def close(self, timeout: float = 20) -> None:
        """Abort what is live, give the cluster back and end the thread."""
        if self._closed:
            return
        for run in self.live_runs():
            self.abort(run, 0, "the workspace was closed")
        for ended in list(self._live.values()):
            ended.wait(timeout / 4)
        self._closed = True
        try:
            self._call(self._shut_down(), timeout)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout)
            self._relax_gc()

    async def _shut_down(self) -> None:
        self._scaler.adapt(None)
        begun = [task for task in (self._started_backend, self._closing_backend) if task is not None]
        if begun:
            await asyncio.wait(begun)
            await self.backend.close()

    # ------------------------------------------------------------------ on the runner's thread
    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _ensure_backend(self) -> None:
        failed = self._started_backend is not None and self._started_backend.done() and self._cluster_error is not None
        if self._started_backend is None or failed:  # what kept it from starting may be over
            self._cluster_error = None
            self._started_backend = self._loop.create_task(self._start_backend())

    async def _start_backend(self) -> None:
        try:
            if self._closing_backend is not None:  # the one before was lost
                await asyncio.wait([self._closing_backend])
            await self.backend.start(self)
        except BaseException as error:  # noqa: BLE001 - told to every run that waits for the cluster
            self._cluster_error = error
            reason = f"the cluster could not be started: {_words(error)}"
            logger.info("flyte_nb: %s", reason)
            waited = bool(self._live)
            self._handle([ClusterLost(reason)])  # a worker that was there already may have been given work
            if waited:  # else who asked for the cluster is told by the error itself
                self._on_cluster(reason)
        else:
            self._handle([ClusterSettled()])
            self._on_cluster(self.backend.facts().sentence())
            if self._adapting is not None:
                self._scaler.adapt(self._adapting)

    def _drain(self) -> None:
        self._scheduled = False
        stimuli = []
        while self._inbox:
            stimuli.append(self._inbox.popleft())
        self._handle(stimuli)

    def _handle(self, stimuli: Sequence[Stimulus]) -> None:
        if self._performing:  # a backend told of something while it was given an order: the other orders come first
            for stimulus in stimuli:
                self.post(stimulus)
            return
        with self.lock:
            commands = self._controller.handle(stimuli, self._clock.now())
        self._performing = True
        try:
            self._perform(commands)
        finally:
            self._performing = False
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake_at = self._controller.wake_at
        if wake_at is not None:
            delay = max(0.0, wake_at - self._clock.now())
            self._timer = self._loop.call_later(delay, lambda: self._handle([TimeReached()]))

    def _perform(self, commands: Sequence[Command]) -> None:
        events: list[Event] = []
        held: list[Command] = []
        for command in commands:
            if isinstance(command, RecordEvent):
                events.append(command.event)
            elif isinstance(command, HELD):
                held.append(command)
            else:
                self._attempt(command)
        self._tell(events)
        if held:
            self._handover.hold(held)
        if self._live and self._gc_threshold is None:
            self._gc_threshold = gc.get_threshold()
            gc.set_threshold(*BUSY_GC_THRESHOLD)

    def _release(self, commands: Sequence[Command]) -> None:
        was, self._performing = self._performing, True
        try:
            for command in commands:
                self._attempt(command)
        finally:
            self._performing = was

    def _attempt(self, command: Command) -> None:
        try:
            self._carry_out(command)
        except Exception:
            logger.exception("flyte_nb: %s failed. This is a defect of flyte_nb.", type(command).__name__)
            self._not_carried_out(command)

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, AnswerOutputs | AnswerFailure | AnswerName):
            self._answer(command)
        elif isinstance(command, SendChunk | StopActions | ForgetRun):
            self._send(command)
        elif isinstance(command, KillWorker):
            logger.info("flyte_nb: worker %s is ended: %s", command.agent, command.reason)
            self.backend.kill(command.agent)
        elif isinstance(command, AnnounceEnd):
            self._announce(command.run)
        elif isinstance(command, RefuseRun):
            self._refusals[command.run] = command.reason
        elif isinstance(command, ReportDefect):
            logger.error("flyte_nb: run %s was ended by a defect of flyte_nb:\n%s", command.runs, command.traceback)
        elif isinstance(command, SendTask | HandBack | WantSlots):
            self.backend.send(command.place, command)

    def _not_carried_out(self, command: Command) -> None:
        """Let nobody wait for what will not happen."""
        agent = getattr(command, "agent", "") or getattr(command, "place", KERNEL)
        if agent != KERNEL:
            self.post(AgentLost(agent, "it cannot be reached"))
            return
        run = getattr(command, "run", "")
        for name in [run] if run else self.live_runs():
            self.abort(name, 0, f"flyte_nb itself failed ({type(command).__name__}): the log has the details")

    def _tell(self, events: Sequence[Event]) -> None:
        if events:
            for sink in self._sinks:
                try:
                    sink.recorded(events)
                except Exception:
                    logger.exception("flyte_nb: a listener to events failed; it missed %d of them", len(events))

    def _answer(self, command: AnswerOutputs | AnswerFailure | AnswerName) -> None:
        if command.place == KERNEL:
            self.caller.deliver(command)
        else:
            self.backend.send(command.place, command)

    def _send(self, command: SendChunk | StopActions | ForgetRun) -> None:
        if command.place != KERNEL:
            if isinstance(command, SendChunk) and command.secrets:
                command = with_secrets(command, os.environ)
            self.backend.send(command.place, command)
        elif isinstance(command, SendChunk):
            self._drivers.start(command)
        elif isinstance(command, StopActions):
            self._drivers.stop(command)
        else:
            self._drivers.forget_run(command.run)
            self.caller.forget_run(command.run)

    def _announce(self, run: str) -> None:
        state = self._controller.runs[run].state
        self._last_ended = [state]
        self._controller.forget(run)
        for sink in self._sinks:
            try:
                sink.ended(state)
            except Exception:
                logger.exception("flyte_nb: a listener failed at the end of run %s", run)
        ended = self._live.pop(run, None)
        if ended is not None:
            ended.set()
        if not self._live:
            self._relax_gc()

    def _relax_gc(self) -> None:
        if self._gc_threshold is not None:
            gc.set_threshold(*self._gc_threshold)
            self._gc_threshold = None

    def ended_event(self, run: str) -> threading.Event:
        """Set when a live run has ended; an event that is set already for others."""
        event = self._live.get(run)
        if event is None:
            event = threading.Event()
            event.set()
        return event

    # ------------------------------------------------------------------ what the backend tells
    def joined(self, agent: AgentJoined) -> None:
        """See `Listener`."""
        self._handle([agent])

    def received(self, stimuli: Sequence[Stimulus]) -> None:
        """See `Listener`."""
        self._handle(stimuli)

    def leaving(self, agent: str) -> None:
        """See `Listener`."""
        self._handle([AgentLeaving(agent, gone=True)])

    def lost(self, lost: AgentLost) -> None:
        """See `Listener`."""
        self._handle([lost])

    def cluster_lost(self, reason: str) -> None:
        """See `Listener`. All runs end; the next one starts another cluster."""
        if self._cluster_error is not None or self._closed:
            return
        self._cluster_error = ConnectionError(reason)
        self._handle([ClusterLost(f"{CLUSTER_LOST}: {reason}")])
        self._on_cluster(f"{CLUSTER_LOST}: {reason}; the next run starts or finds another one")
        self._closing_backend = self._loop.create_task(self.backend.close())

    def noted(self, line: str) -> None:
        """See `Listener`."""
        self._on_cluster(line)


def _words(error: BaseException) -> str:
    """What kept a cluster from starting: errors of ours say it all."""
    text = str(error).rstrip(".")
    return text if isinstance(error, BaseRuntimeError) else f"{type(error).__name__}: {text}"
