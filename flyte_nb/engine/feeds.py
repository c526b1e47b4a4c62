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
        self._watchers: dict[str, list[Callable[[], None]]] = {}
        self._due: set[str] = set()
        self._lock = threading.Lock()

    def watch(self, run: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Add a watcher; returns how to take it away."""
        with self._lock:
            self._watchers.setdefault(run, []).append(callback)

        def unwatch() -> None:
            with self._lock, contextlib.suppress(KeyError, ValueError):
                self._watchers[run].remove(callback)

        return unwatch

    def recorded(self, events: Sequence[Event]) -> None:
        """See `Sink`."""
        if not self._watchers:
            return
        for run in {event.run for event in events}:
            if run in self._watchers and run not in self._due:
                self._due.add(run)
                asyncio.get_running_loop().call_later(WATCH_SECONDS, self.tell, run)

    def ended(self, state: RunState) -> None:
        """See `Sink`."""
        self.tell(state.name)
        with self._lock:
            self._watchers.pop(state.name, None)

    def is_watched(self, run: str) -> bool:
        """Whether somebody watches a run."""
        return bool(self._watchers.get(run))

    def tell(self, run: str) -> None:
        """Call the watchers of a run now."""
        self._due.discard(run)
        with self._lock:
            watchers = list(self._watchers.get(run, ()))
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
