"""Decides what is kept of runs that live in this process only: their folded states, in order of start.

The newest runs are kept whoever asks for them; older ones for as long as somebody holds their handle, so that a
thousand runs leave the kernel as it was.

Must not know: engines, views.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence

from flyte_nb.core.events import Event
from flyte_nb.core.index import RunEntry, RunFilter, entry_of
from flyte_nb.core.state import RunState

#: Runs that are kept in any case.
KEPT_RUNS = 100


class MemoryStore:
    """Runs of this process: see `RunStore`.

    Args:
        notebook: what started them, for lists.
    """

    def __init__(self, notebook: str = "") -> None:
        self._notebook = notebook
        self._states: weakref.WeakValueDictionary[str, RunState] = weakref.WeakValueDictionary()
        self._newest: deque[RunState] = deque(maxlen=KEPT_RUNS)
        self._lock = threading.Lock()

    def add(self, state: RunState) -> None:
        """Keep a run; one that ended under the same name before is replaced."""
        with self._lock:
            self._states.pop(state.name, None)
            self._states[state.name] = state
            self._newest.append(state)

    def get(self, name: str) -> RunState | None:
        """See `RunStore`."""
        with self._lock:
            return self._states.get(name)

    def states(self) -> list[RunState]:
        """All runs, the latest last."""
        with self._lock:
            return list(self._states.values())

    def entries(self, wanted: RunFilter) -> list[RunEntry]:
        """See `RunStore`."""
        found = [entry_of(state, notebook=self._notebook) for state in self.states()]
        kept = [entry for entry in found if wanted.accepts(entry)]
        return kept if wanted.limit is None else kept[len(kept) - min(wanted.limit, len(kept)) :]

    def recorded(self, events: Sequence[Event]) -> None:
        """The states that are kept here are folded already."""

    def ended(self, state: RunState) -> None:
        """Nothing to do: the state is complete."""

    def when_durable(self, then: Callable[[], None]) -> bool:
        """Nothing here is: nobody has to wait."""
        del then
        return True

    def refresh(self, state: RunState) -> bool:
        """There are no other kernels here."""
        del state
        return False

    def is_taken(self, name: str) -> bool:
        """There are no other kernels here."""
        del name
        return False

    def close(self) -> None:
        """Nothing to give back."""
