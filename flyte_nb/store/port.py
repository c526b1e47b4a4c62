"""Decides what a store of runs must be able to do: the port that memory and SQLite fulfil alike.

A store hears of every event (`recorded`, on the engine's thread: it must be quick) and gives runs back: the live state
of a run of this process, or the fold of what was stored. It never raises into the engine: what cannot be kept is said
once, and the run goes on.

Must not know: engines, views, or what a user calls things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from flyte_nb.core.events import Event
from flyte_nb.core.index import RunEntry, RunFilter
from flyte_nb.core.state import RunState


class RunStore(Protocol):
    """Keeps runs. Thread-safe."""

    def add(self, state: RunState) -> None:
        """Take note of a run of this process; its events are told by `recorded`, from `RunStarted` on."""
        ...

    def recorded(self, events: Sequence[Event]) -> None:
        """Events were applied, in this order."""
        ...

    def ended(self, state: RunState) -> None:
        """A run and all its actions have ended."""
        ...

    def when_durable(self, then: Callable[[], None]) -> bool:
        """Whether all that was recorded so far would survive the death of this process.

        If not, `then` is called as soon as it would (or cannot be made to), on any thread; calls come in the order of
        asking. If so, `then` is not called.
        """
        ...

    def get(self, name: str) -> RunState | None:
        """A run by name: this process's own state, or folded from what is stored."""
        ...

    def states(self) -> list[RunState]:
        """Runs of this process, the latest last."""
        ...

    def refresh(self, state: RunState) -> bool:
        """Apply what another kernel has recorded of its live run since; false if the run has ended or is not another's."""
        ...

    def entries(self, wanted: RunFilter) -> list[RunEntry]:
        """Runs that pass a filter, the latest last."""
        ...

    def is_taken(self, name: str) -> bool:
        """Whether a run of this name goes on in another kernel."""
        ...

    def close(self) -> None:
        """Write what is left, and give everything back."""
        ...
