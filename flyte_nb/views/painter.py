"""Decides when views are painted: one thread for all of them, at most five times a second, only while something lives.

A view registers when it is shown and leaves when its run is over; the thread ends with the last view. Each view is
painted in the context of the cell that showed it, because ipykernel finds the output's cell in a context variable
(and 7.0 fails in a thread that has none).

Must not know: what a view looks like, or what a run is.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
import time
from typing import Protocol

#: Seconds between two paints: five a second is steady to the eye and far from Jupyter's message rate limit.
INTERVAL_SECONDS = 0.2
#: A running clock moves once a second although nothing else does.
IDLE_SECONDS = 1.0
#: A paint that took long (thousands of groups) is followed by a rest this many times as long.
REST_FACTOR = 4.0

_log = logging.getLogger(__name__)


class Painted(Protocol):
    """Something that the painter keeps up to date."""

    def paint(self) -> bool:
        """Send what changed; returns whether this was the last time."""
        ...


class Painter:
    """Keeps views up to date from one thread.

    Args:
        interval: least seconds between two paints.
        idle: most seconds between two paints while nothing reports a change.
    """

    def __init__(self, interval: float = INTERVAL_SECONDS, idle: float = IDLE_SECONDS) -> None:
        self._interval = interval
        self._idle = idle
        self._views: dict[Painted, contextvars.Context] = {}
        self._resting: dict[Painted, contextvars.Context] = {}
        self._guard = threading.Lock()
        self._painting = threading.RLock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def live_count(self) -> int:
        """How many views are kept up to date."""
        return len(self._views)

    def add(self, view: Painted) -> None:
        """Keep a view up to date from now on; call it in the cell that shows the view."""
        context = contextvars.copy_context()
        with self._guard:
            for each, its_context in ((view, context), *self._resting.items()):
                self._views.setdefault(each, its_context)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=contextvars.copy_context().run, args=(self._work,), name="flyte_nb-views", daemon=True
                )
                self._thread.start()

    def rest(self, view: Painted) -> None:
        """Keep a view that tells of more than one run up to date whenever another view is; only the newest one is."""
        with self._guard:
            self._resting = {view: contextvars.copy_context()}

    def notify(self) -> None:
        """Say that something changed (from any thread; cheap)."""
        self._changed.set()

    def paint_all(self) -> None:
        """Paint every view once, now, in this thread."""
        with self._painting:
            for view, context in list(self._views.items()):
                if self._paint(view, context):
                    with self._guard:
                        self._views.pop(view, None)

    def _paint(self, view: Painted, context: contextvars.Context) -> bool:
        try:
            # A copy, since a context can be entered once at a time and a paint may lead to another one.
            return context.copy().run(view.paint)
        except Exception:  # noqa: BLE001 - a broken view must stop neither the others nor the user's run
            _log.exception("a view could not be painted and is no longer updated")
            return True

    def _work(self) -> None:
        while self._go_on():
            self._changed.wait(self._idle)
            self._changed.clear()
            began = time.perf_counter()
            self.paint_all()
            if self._views:
                time.sleep(max(self._interval, REST_FACTOR * (time.perf_counter() - began)))

    def _go_on(self) -> bool:
        with self._guard:
            if not self._views:
                self._thread = None
            return bool(self._views)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended (it does so when no view is live)."""
        thread = self._thread
        if thread is not None:
            with contextlib.suppress(RuntimeError):  # called from the thread itself
                thread.join(timeout)


#: The one painter of this process.
PAINTER = Painter()
