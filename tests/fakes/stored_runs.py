"""Runs for tests of stores: their events are told to a store as the engine tells them."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Sequence
from pathlib import Path

from flyte_nb.core.events import (
    ActionFailed,
    ActionsCalled,
    ActionsSucceeded,
    AttemptsStarted,
    Event,
    Inputs,
    RunSettings,
    RunStarted,
    TaskDeclared,
    TaskFacts,
)
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.store import place
from flyte_nb.store.keys import Seal
from flyte_nb.store.port import RunStore
from flyte_nb.store.sqlite_store import SqliteStore

ROOT = TaskFacts("root@1", "etl.main", "main", parameters=("n",))
CALLED = TaskFacts("score@1", "etl.score", "score", parameters=("x",))
BEGAN = 1_750_000_000.0
#: A key for tests; users have one in their data directory.
KEY = bytes(range(32))
#: What reopened state and live state need not have in common: the index of names fills itself on demand.
_NOT_COMPARED = frozenset({"_names", "apply"})


def open_at(folder: Path, key: bytes = KEY, **options: object) -> SqliteStore:
    """A store on disk, in this folder."""
    place.prepare(folder)
    return SqliteStore(folder, Seal(key), **options)  # type: ignore[arg-type]  # options of the store


def settle(store: RunStore) -> None:
    """Wait until all that was recorded is on disk, or lost."""
    there = threading.Event()
    if not store.when_durable(there.set):
        assert there.wait(20)


def facts_of(state: RunState) -> dict[str, object]:
    """All that a state holds, to be compared."""
    return {name: value for name, value in vars(state).items() if name not in _NOT_COMPARED}


class StoredRun:
    """A run that is told to a store.

    Args:
        store: whom it is told.
        name: its name.
        at: when it starts, UTC seconds.
        recovers: the run that it recovers.
    """

    def __init__(
        self,
        store: RunStore,
        name: str = "r1",
        *,
        at: float = BEGAN,
        inputs: Inputs = (3,),
        labels: tuple[tuple[str, str], ...] = (),
        settings: RunSettings = RunSettings(),  # noqa: B008 - frozen
        recovers: str = "",
    ) -> None:
        self.store, self.now = store, at
        started = RunStarted(name, ROOT, inputs, at, (), labels, settings, recovers, "recover" if recovers else "")
        self.state = RunState(started)
        store.recorded([started])
        store.add(self.state)
        self.tell(TaskDeclared(name, CALLED), AttemptsStarted(name, [0], "kernel", array("d", (at,))))

    def tell(self, *events: Event) -> None:
        """These events happen."""
        for event in events:
            self.state.apply(event)
        self.store.recorded(events)

    def call(self, inputs: Sequence[Inputs], group: str = "") -> range:
        """Call the task, once for each of the inputs."""
        first = self.state.count
        self.now += 1
        self.tell(ActionsCalled(self.state.name, first, 0, 1, group, list(inputs), self.now))
        return range(first, first + len(inputs))

    def succeed(self, rows: Sequence[int], outputs: Sequence[Item]) -> None:
        """Rows end well."""
        self.now += 1
        began, ended = array("d", [self.now - 0.5] * len(rows)), array("d", [self.now] * len(rows))
        self.tell(ActionsSucceeded(self.state.name, rows, "w1", list(outputs), began, ended))

    def fail(self, row: int, message: str = "no") -> None:
        """A row ends badly."""
        self.now += 1
        failure = Failure("user", "ValueError", message, traceback=f"Traceback ...\nValueError: {message}")
        self.tell(ActionFailed(self.state.name, row, ActionPhase.FAILED, failure, self.now - 0.5, self.now))

    def end(self, output: Item = 1) -> None:
        """The root ends well, and the run with it."""
        self.succeed([0], [output])
        self.store.ended(self.state)


def whole_run(store: RunStore, name: str = "r1", *, at: float = BEGAN, **options: object) -> StoredRun:
    """A run of four actions that has ended; one of them failed."""
    run = StoredRun(store, name, at=at, **options)  # type: ignore[arg-type]  # options of a run
    rows = run.call([(1,), (2,), (3,)], group="score")
    run.succeed(rows[:2], [10, 20])
    run.fail(rows[2])
    run.end(30)
    return run
