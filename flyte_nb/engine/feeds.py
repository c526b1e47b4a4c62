"""Decides who hears of what is recorded, and how often: watchers of a run, and whoever shows what actions print.

Must not know: what they do with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from flyte_nb.core.events import Event, LogWritten
from flyte_nb.core.state import RunState

#: Watchers of a run hear of changes at most this often.
WATCH_SECONDS = 0.2


class Sink(Protocol):
    """Hears of everything that is recorded. Called on the runner's thread: be quick."""

    def recorded(self, events: Sequence[Event]) -> None:
        """Events were applied, in this order."""
        ...

    def ended(self, state: RunState) -> None:
        """A run and all its actions have ended."""
        ...


class ChangeFeed:
    """Tells watchers that a run has changed, at a bounded rate, on the engine's thread."""

    def __init__(self) -> None:
        self._watchers: dict[str, list[tuple[Callable[[], None], float]]] = {}
        self._due: set[tuple[str, float]] = set()
        self._lock = threading.Lock()

    def watch(self, run: str, callback: Callable[[], None], every: float = WATCH_SECONDS) -> Callable[[], None]:
        """Add a watcher, told at most once in so many seconds; returns how to take it away."""
        watcher = (callback, every)
        with self._lock:
            self._watchers.setdefault(run, []).append(watcher)

        def unwatch() -> None:
            with self._lock, contextlib.suppress(KeyError, ValueError):
                self._watchers[run].remove(watcher)
                if not self._watchers[run]:
                    del self._watchers[run]

        return unwatch

    def recorded(self, events: Sequence[Event]) -> None:
        """See `Sink`."""
        if not self._watchers:
            return
        for run in {event.run for event in events}:
            with self._lock:
                paces = {every for _, every in self._watchers.get(run, ())}
            for every in paces:
                if (run, every) not in self._due:
                    self._due.add((run, every))
                    asyncio.get_running_loop().call_later(every, self.tell, run, every)

    def ended(self, state: RunState) -> None:
        """See `Sink`."""
        self.tell(state.name)
        with self._lock:
            self._watchers.pop(state.name, None)

    def is_watched(self, run: str) -> bool:
        """Whether somebody watches a run."""
        return bool(self._watchers.get(run))

    def tell(self, run: str, every: float | None = None) -> None:
        """Call the watchers of a run now: those of a pace, or all."""
        if every is not None:
            self._due.discard((run, every))
        with self._lock:
            watchers = [callback for callback, pace in self._watchers.get(run, ()) if every in {None, pace}]
        for watcher in watchers:
            watcher()


class PrintFeed:
    """Hands prints of actions to whoever shows them."""

    def __init__(self, show: Callable[[str, int, str], None]) -> None:
        self._show = show

    def recorded(self, events: Sequence[Event]) -> None:
        """See `Sink`."""
        for event in events:
            if type(event) is LogWritten:
                self._show(event.run, event.row, event.text)

    def ended(self, state: RunState) -> None:
        """See `Sink`."""
