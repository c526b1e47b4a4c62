"""Decides how a root's body runs in the kernel: in a thread with a loop of its own, beside the controller.

The body is the user's own function object, so it sees the notebook as it is. It reports like any other chunk; its
chunk's id is its token. A driver that is told to stop gets `CancelledError`; its later calls are refused.

Must not know: workers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flyte_nb.core.current import CURRENT, ActionFacts, Frame, RunnableTask
from flyte_nb.engine import bodies, capture
from flyte_nb.engine.commands import SendChunk, StopActions
from flyte_nb.engine.driver_loop import close_loop, make_loop
from flyte_nb.engine.port import Caller
from flyte_nb.engine.stimuli import KERNEL, ChunkReport, Stimulus


class DriverHost:
    """Runs the roots that run in the kernel.

    Args:
        caller: where the drivers' calls go.
        post: sends a stimulus to the controller.
    """

    def __init__(self, caller: Caller, post: Callable[[Stimulus], None]) -> None:
        self._caller, self._post = caller, post
        self._drivers: dict[int, _Driver] = {}
        self._tasks: dict[str, RunnableTask] = {}

    def keep(self, run: str, task: RunnableTask) -> None:
        """Remember the task object of a root that will run here."""
        self._tasks[run] = task

    def start(self, command: SendChunk) -> None:
        """Start an attempt of a root."""
        driver = _Driver(command, self._tasks[command.run].within(command.settings), self._caller, self._ended)
        self._drivers[command.chunk] = driver
        self._post(ChunkReport(command.chunk, begun=[(0, time.time())]))
        driver.thread.start()

    def stop(self, command: StopActions) -> None:
        """Cancel a driver; from now on its calls are refused."""
        driver = self._drivers.get(command.chunk)
        if driver is not None:
            driver.stop()

    def forget_run(self, run: str) -> None:
        """Drop what is kept for a run."""
        self._tasks.pop(run, None)

    def _ended(self, chunk: int, report: ChunkReport) -> None:
        self._drivers.pop(chunk, None)
        self._post(report)

    def left_over(self) -> list[str]:
        """Names of driver threads that still run."""
        return [driver.thread.name for driver in self._drivers.values()]


class _Driver:
    """One attempt of a root, in a thread."""

    def __init__(self, command: SendChunk, task: RunnableTask, caller: Caller, ended: Callable[[int, ChunkReport], None]) -> None:
        self._command, self._task, self._ended = command, task, ended
        self._caller, self._post = caller, caller.post
        self._facts = ActionFacts(command.run, 0, command.chunk, task.facts.name, command.attempts[0], command.run_started_at)
        self._facts.settings = command.settings
        self._facts.recorded = (command.recorded or {}).get(0)
        self._body: asyncio.Future[Any] | None = None
        self._stopped = False
        self._text = ""
        self._lock = threading.Lock()
        self._loop = make_loop()
        self.thread = threading.Thread(target=self._serve, name=f"flyte_nb-driver-{command.run}", daemon=True)

    def _serve(self) -> None:
        started = time.time()
        asyncio.set_event_loop(self._loop)
        capture.install()
        try:
            report = self._run(started)
        finally:
            capture.remove()
            close_loop(self._loop)
        self._flush_text()
        self._ended(self._command.chunk, report)

    def _run(self, started: float) -> ChunkReport:
        chunk = self._command.chunk
        frame = Frame(self._facts, self._caller, "", self._command.custom_context, self._print)
        CURRENT.set(frame)
        try:
            self._body = asyncio.ensure_future(self._main(), loop=self._loop)
            if self._stopped:
                self._body.cancel()
            value = self._loop.run_until_complete(self._body)
        except BaseException as error:  # noqa: BLE001 - whatever a driver raises is its result
            if self._stopped and isinstance(error, asyncio.CancelledError):
                return ChunkReport(chunk, stopped=[(0, time.time())], finished=True)
            failure = bodies.failure_of(error, KERNEL)
            return ChunkReport(chunk, failed=[(0, failure, started, time.time())], finished=True)
        try:
            item = self._task.pack_output(value)
        except BaseException as error:  # noqa: BLE001 - packing runs user code
            failure = bodies.output_failure(error, KERNEL)
            return ChunkReport(chunk, failed=[(0, failure, started, time.time())], finished=True)
        ends = (array("d", (started,)), array("d", (time.time(),)))
        return ChunkReport(chunk, (), range(1), [item], *ends, finished=True)

    async def _main(self) -> object:
        value = self._task.invoke(self._command.inputs[0])
        return await value if asyncio.iscoroutine(value) else value

    def _print(self, text: str) -> None:
        """Keep what the body printed; whole lines go out at once."""
        with self._lock:
            self._text += text
            if "\n" in text:
                self._flush_text()

    def _flush_text(self) -> None:
        if self._text:
            self._post(ChunkReport(self._command.chunk, logs=[(0, self._text)]))
            self._text = ""

    def stop(self) -> None:
        """Cancel the body, from any thread."""
        self._stopped = True
        self._facts.refusal = "the run was aborted"
        body = self._body
        if body is not None:
            with suppress(RuntimeError):  # the loop is closed: the body has ended
                self._loop.call_soon_threadsafe(body.cancel)
