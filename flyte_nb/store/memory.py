"""Decides what is kept of runs that live in this process only: their folded states, in order of start.

Must not know: engines, views.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from flyte_nb.core.events import Event
from flyte_nb.core.state import RunState


class MemoryStore:
    """Runs of this process. Thread-safe."""

    def __init__(self) -> None:
        self._states: dict[str, RunState] = {}
        self._lock = threading.Lock()

    def add(self, state: RunState) -> None:
        """Keep a run; one that ended under the same name before is replaced."""
        with self._lock:
            self._states.pop(state.name, None)
            self._states[state.name] = state

    def get(self, name: str) -> RunState | None:
        """A run by name."""
        return self._states.get(name)

    def names(self) -> list[str]:
        """All names, the latest last."""
        with self._lock:
            return list(self._states)

    def recorded(self, events: Sequence[Event]) -> None:
        """The states that are kept here are folded already."""

    def ended(self, state: RunState) -> None:
        """Nothing to do: the state is complete."""
