"""Decides how runs are kept on disk: wires the store's file, its writer and its readers into a `RunStore`.

Runs of this process are given back as they are, live; others by folding what is stored. What cannot be written is said
once, and is in memory all the same: no run fails because its store does.

Must not know: engines, views.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from flyte_nb.core.events import Event
from flyte_nb.core.index import RunEntry, RunFilter
from flyte_nb.core.state import RunState
from flyte_nb.store import kernels, place, retention
from flyte_nb.store.database import Database, Job
from flyte_nb.store.keys import Seal
from flyte_nb.store.memory import MemoryStore
from flyte_nb.store.reading import Reader
from flyte_nb.store.recording import Recorder
from flyte_nb.store.refusals import StoredValueError
from flyte_nb.store.retention import Pruned, Retention
from flyte_nb.store.values import Values

logger = logging.getLogger("flyte_nb")


class SqliteStore:
    """Runs of a project: see `RunStore`.

    Args:
        folder: the store's folder, which `place.prepare` has made and checked.
        seal: marks what is written, and checks what is read.
        notebook: what starts the runs of this process, for lists.
        keep: how long runs are kept; looked at when the first run of this process starts.
        say: tells the user something, in a line.
        read_only: nothing can be written there: runs of this process are kept in memory.

    Raises:
        sqlite3.Error, OSError, schema.TooNewError: the file cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        seal: Seal,
        *,
        notebook: str = "",
        keep: Retention | None = None,
        say: Callable[[str], None] = logger.warning,
        read_only: bool = False,
    ) -> None:
        self.folder, self.seal, self.read_only = folder, seal, read_only
        self._keep, self._say = keep, say
        self._memory = MemoryStore(notebook)
        self.database = Database(
            folder / place.DATABASE,
            shared=place.is_shared(folder),
            read_only=read_only,
            pulse=lambda: self._recorder.pulse(),  # noqa: PLW0108 - it is made below
            pulse_seconds=kernels.BEAT_SECONDS,
        )
        self.values = Values(folder / place.VALUES, self.database)
        self._recorder = Recorder(
            self.database,
            self.values,
            seal,
            kernel=kernels.this_kernel(),
            notebook=notebook,
            on_failure=self._write_failed,
        )
        self._reader = Reader(self.database, seal, self.values.restore)
        self._opened: weakref.WeakValueDictionary[str, RunState] = weakref.WeakValueDictionary()
        self._refreshing = threading.Lock()
        self._read_up_to: weakref.WeakKeyDictionary[RunState, int] = weakref.WeakKeyDictionary()
        self._said_failure = self._pruned = False

    # ------------------------------------------------------------------ runs of this process
    def add(self, state: RunState) -> None:
        """See `RunStore`."""
        self._memory.add(state)
        self._opened.pop(state.name, None)
        self._recorder.attach(state)

    def recorded(self, events: Sequence[Event]) -> None:
        """See `RunStore`."""
        if not self.read_only:
            self._recorder.recorded(events)

    def ended(self, state: RunState) -> None:
        """See `RunStore`."""
        if self.read_only:
            return
        self._recorder.ended(state)
        if not self._pruned and self._keep is not None:
            self._pruned = True
            keep = self._keep
            self.database.post(Job(write=lambda connection: self._prune(connection, keep), failed=self._write_failed))

    def when_durable(self, then: Callable[[], None]) -> bool:
        """See `RunStore`."""
        return self.read_only or self.database.when_durable(then)

    def states(self) -> list[RunState]:
        """See `RunStore`."""
        return self._memory.states()

    def _write_failed(self, error: Exception) -> None:
        logger.info("flyte_nb: the store could not be written", exc_info=error)
        if not self._said_failure:
            self._said_failure = True
            self._say(
                f"the store of runs in {self.folder} cannot be written ({error}): what runs now is kept in memory only, and is lost with "
                "this kernel. Runs that start later try again."
            )

    # ------------------------------------------------------------------ all runs
    def get(self, name: str) -> RunState | None:
        """See `RunStore`.

        Raises:
            StoredValueError: it is stored, but cannot be read, or must not be.
        """
        state = self._memory.get(name) or self._opened.get(name)
        if state is not None:
            if state in self._read_up_to:
                self.refresh(state)
            return state
        self.close_interrupted()
        try:
            found = self._reader.state(name)
        except sqlite3.Error as error:
            raise StoredValueError(f"Run {name}", str(error)) from error
        if found is None:
            return None
        state, self._read_up_to[found[0]] = found
        self._opened[name] = state
        return state

    def refresh(self, state: RunState) -> bool:
        """See `RunStore`."""
        if state not in self._read_up_to or state.ended_at is not None:
            return False
        self.close_interrupted()
        try:
            with self._refreshing:  # what is new is applied once
                self._read_up_to[state] = self._reader.more(state, self._read_up_to[state])
        except sqlite3.Error as error:
            logger.info("flyte_nb: the store could not be read", exc_info=error)
        return state.ended_at is None

    def entries(self, wanted: RunFilter) -> list[RunEntry]:
        """See `RunStore`."""
        self.close_interrupted()
        own = {entry.name: entry for entry in self._memory.entries(RunFilter())}
        unlimited = RunFilter(**{**{name: getattr(wanted, name) for name in RunFilter.__slots__}, "limit": None})
        try:
            stored = self._reader.entries(unlimited, self._recorder.kernel_id)
        except sqlite3.Error as error:
            self._say(f"the store of runs in {self.folder} cannot be read ({error}): only this kernel's runs are listed.")
            stored = []
        on_disk = {entry.name for entry in stored}
        found = [entry for entry in stored if entry.name not in own]
        found += [_stored(entry, on_disk=entry.name in on_disk) for entry in own.values() if wanted.accepts(entry)]
        found.sort(key=lambda entry: entry.started_at)
        return found if wanted.limit is None else found[len(found) - min(wanted.limit, len(found)) :]

    def is_taken(self, name: str) -> bool:
        """See `RunStore`."""
        if self._memory.get(name) is not None or self.read_only:
            return False
        self.close_interrupted()
        with self.database.reading() as connection:
            return connection.execute("SELECT 1 FROM runs WHERE name = ? AND ended_at IS NULL", (name,)).fetchone() is not None

    def close_interrupted(self) -> None:
        """End runs whose kernel is gone."""
        if self.read_only:
            return
        try:
            self._reader.close_interrupted(self._recorder.kernel_id, self._recorder.live())
        except (sqlite3.Error, OSError) as error:
            logger.info("flyte_nb: interrupted runs could not be closed", exc_info=error)

    # ------------------------------------------------------------------ taking away
    def prune(self, keep: Retention, *, dry_run: bool = False) -> Pruned:
        """Take runs away that are not to be kept, and what nobody refers to.

        Args:
            keep: what stays. Runs that go on stay, and so do those that this process has in its hands.
            dry_run: only tell.

        Raises:
            sqlite3.Error: the store cannot be written.
        """
        self.close_interrupted()
        if dry_run:
            with self.database.reading() as connection:
                gone = retention.expired(connection, keep, time.time(), self._in_hand())
            return Pruned(tuple(name for _run, name, _size in gone), sum(size for *_names, size in gone))
        pruned = self.database.transact(lambda connection: self._prune(connection, keep))
        self.database.transact(lambda connection: self.values.collect_strays(connection, self.values.files()))
        return pruned

    def _prune(self, connection: sqlite3.Connection, keep: Retention) -> Pruned:
        gone = retention.expired(connection, keep, time.time(), self._in_hand())
        return retention.remove(connection, gone, self.values, self.folder / place.FILES)

    def _in_hand(self) -> set[str]:
        return {state.name for state in self._memory.states()} | set(self._opened)

    def close(self) -> None:
        """See `RunStore`."""
        kernel, self._recorder.kernel_id = self._recorder.kernel_id, None
        if kernel is not None:
            self.database.post(Job(write=lambda connection: kernels.dismiss(connection, kernel), failed=lambda _error: None))
        self.database.close()
        self.values.close()


def _stored(entry: RunEntry, *, on_disk: bool) -> RunEntry:
    if not on_disk:
        return entry
    return RunEntry(**{**{name: getattr(entry, name) for name in RunEntry.__slots__}, "stored": True})
