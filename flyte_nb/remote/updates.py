"""Decides when a function of the user is told how a run goes on (`run.on_update`).

At a bounded rate, in the thread that asked, and surely at the end. In the thread that asked, because widgets and figures need
not be safe for threads: where that thread has a loop (a notebook's, an async driver's), the loop calls when it is free; where it
waits for a run (`run.wait()`, `for ... in run.as_completed()`, the end of a script), the wait calls.

Must not know: what the function gets, or what it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from flyte_nb.remote.streams import SLICE_SECONDS, Bell, StreamedRun

#: A call that took long is followed by a rest of so many times as long: the thread has other things to do.
REST_FACTOR = 4.0
#: Different errors that are shown in full.
MOST_SHOWN = 10

_live: list[Updates] = []
#: What the next call gets (None: no call is needed), and whether there is more than one call takes.
Given = tuple[tuple[Any, ...] | None, bool]


class Updates:
    """What `run.on_update(...)` returns: cancel it, or `await` the last call.

    Attributes:
        calls: how often the function was called.
        error: the last error that it raised; None if it raised none.
    """

    def __init__(self, run: StreamedRun, function: Callable[..., Any], given: Callable[[], Given], every: float) -> None:
        self._run, self._function, self._given, self._every = run, function, given, every
        self.calls = 0
        self.error: BaseException | None = None
        self._shown: set[str] = set()
        self._due = False
        self._over = False
        self._not_before = 0.0
        self._ended = Bell()
        self._thread = threading.get_ident()
        self._context = contextvars.copy_context()  # what it prints goes where it was asked for
        self._loop: asyncio.AbstractEventLoop | None = _running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._busy = False
        self._waits = inspect.iscoroutinefunction(function)
        if self._waits and self._loop is None:
            raise TypeError(
                "run.on_update: an async function needs a running event loop, and there is none here: give it a plain function."
            )
        self._unwatch = run.on_change(self._changed, every=every)
        _live.append(self)
        self._due = True  # what has happened before is told at once
        if run.done() and not self._waits:
            self.deliver()
        else:
            self._wake()

    # ------------------------------------------------------------------ for the user
    def cancel(self) -> None:
        """Do not call any more, not at the end either."""
        self._finish()

    def done(self) -> bool:
        """Whether the last call was made, or it was cancelled."""
        return self._over

    def __await__(self) -> Generator[Any, None, None]:
        """Wait until the last call was made."""
        return self._wait().__await__()

    async def _wait(self) -> None:
        while not self._over:
            await self._ended.heard(SLICE_SECONDS)

    def __repr__(self) -> str:
        where = "over" if self._over else "live"
        failed = f", last error {type(self.error).__name__}" if self.error is not None else ""
        return f"<updates of run {self._run.name}: {where}, {self.calls} calls{failed}>"

    # ------------------------------------------------------------------ when
    def _changed(self) -> None:
        """The run has changed (on the engine's thread)."""
        self._due = True
        self._wake()

    def _wake(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed before the run's end: waits call instead
                self._loop.call_soon_threadsafe(self.deliver, context=self._context)

    def deliver(self, *, waits: bool = False, last: bool = False) -> None:
        """Call the function, if there is something to tell and it is time.

        Args:
            waits: the thread waits for a run, so that at the run's end all is told now.
            last: it is now or never.
        """
        while not (self._over or self._busy):
            ended = self._run.done()
            left = 0.0 if ended or last else self._not_before - time.monotonic()
            if left > 0 or not (self._due or ended):
                self._set_timer(left)
                return
            self._due = False
            arguments, more = self._prepared()
            self._due = self._due or more
            if arguments is not None and self._waits:
                self._start(arguments, last=ended and not more)
                return
            if arguments is not None:
                self._call(arguments)
            if ended and not self._due:
                self._finish()
            elif not (ended and (waits or self._loop is None)):
                if self._due:
                    self._wake()
                return

    def _set_timer(self, seconds: float) -> None:
        if self._due and self._timer is None and self._loop is not None and _running_loop() is self._loop:
            self._timer = self._loop.call_later(seconds, self._after_rest, context=self._context)

    def _after_rest(self) -> None:
        self._timer = None
        self.deliver()

    # ------------------------------------------------------------------ the call
    def _prepared(self) -> Given:
        began = time.monotonic()
        try:
            return self._given()
        except Exception as error:  # noqa: BLE001 - shown
            self._show(error)
            return None, False
        finally:
            self._rest(time.monotonic() - began)

    def _call(self, arguments: tuple[Any, ...]) -> None:
        began = time.monotonic()
        self.calls += 1
        self._busy = True  # it may wait for the run, and so get here again
        try:
            self._context.copy().run(self._function, *arguments)
        except Exception as error:  # noqa: BLE001 - the user's own, shown
            self._show(error)
        finally:
            self._busy = False
        self._rest(time.monotonic() - began)

    def _start(self, arguments: tuple[Any, ...], *, last: bool) -> None:
        """Call an async function: on its loop, which a wait holds up."""
        assert self._loop is not None  # noqa: S101 - asked for when it was made
        self._busy = True
        call = self._call_async(arguments, last=last)
        try:
            self._loop.call_soon_threadsafe(lambda: self._keep(call), context=self._context)
        except RuntimeError:  # the loop was closed
            call.close()
            self._finish()

    def _keep(self, call: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(call, context=self._context)

    async def _call_async(self, arguments: tuple[Any, ...], *, last: bool) -> None:
        began = time.monotonic()
        self.calls += 1
        try:
            await self._function(*arguments)
        except Exception as error:  # noqa: BLE001 - the user's own, shown
            self._show(error)
        finally:
            self._busy = False
        self._rest(time.monotonic() - began)
        if last:
            self._finish()
        else:
            self.deliver()

    def _rest(self, seconds: float) -> None:
        self._not_before = time.monotonic() + max(self._every, REST_FACTOR * seconds)

    def _show(self, error: Exception) -> None:
        """Tell of an error of the function once, where it was asked for; the function goes on being called."""
        self.error = error
        said = f"{type(error).__name__}: {error}"
        if said in self._shown or len(self._shown) >= MOST_SHOWN:
            return
        self._shown.add(said)
        lines = traceback.format_exception(type(error), error, _own(error))
        text = f"flyte_nb: the function given to on_update of run {self._run.name} failed; it is called again with the next change.\n"
        self._context.copy().run(print, text + "".join(lines), end="", file=sys.stderr, flush=True)

    def _finish(self) -> None:
        self._over = True
        self._unwatch()
        with contextlib.suppress(ValueError):
            _live.remove(self)
        if self._timer is not None:
            self._timer.cancel()
        self._ended.ring()

    @property
    def thread(self) -> int:
        """The thread that asked."""
        return self._thread


def deliver_here(before: Callable[[], object] | None = None) -> None:
    """Make the calls that are due in this thread: called by whatever waits for a run; `before` is called first."""
    if before is not None:
        before()
    if _live:
        here = threading.get_ident()
        for updates in [each for each in _live if each.thread == here]:
            updates.deliver(waits=True)


def deliver_last() -> None:
    """Make all calls that were not made yet: the process ends."""
    while _live:
        _live[0].deliver(waits=True, last=True)
        if _live:
            _live[0].cancel()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _own(error: Exception) -> Any:  # noqa: ANN401 - a traceback or None
    """The user's own frames of an error."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__") == __name__:
        frames = frames.tb_next
    return frames
