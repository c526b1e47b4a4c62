"""Decides which store a process gets: the project's file, or memory where there is no place for one.

A store that is not safe is refused. One that merely cannot be used (no room, no permission, a damaged file) is said once,
and runs are kept in memory: nobody's work waits for a disk.

Must not know: what is kept.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flyte_nb.core.events import Event
from flyte_nb.core.state import RunState
from flyte_nb.store import keys, place
from flyte_nb.store.memory import MemoryStore
from flyte_nb.store.port import RunStore
from flyte_nb.store.refusals import UnsafeStoreError
from flyte_nb.store.retention import Retention
from flyte_nb.store.schema import TooNewError
from flyte_nb.store.sqlite_store import SqliteStore

#: Another kernel's run is looked at so often while somebody waits for it.
LOOK_SECONDS = 0.2


def open_store(
    setting: str | None,
    *,
    notebook: str = "",
    keep: Retention | None = None,
    say: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
) -> RunStore:
    """The store of this process.

    Args:
        setting: a folder, ":memory:", or None to find the project's.
        notebook: what starts runs, for lists.
        keep: how long runs are kept.
        say: tells the user something, in a line.
        environment: environment variables.

    Raises:
        UnsafeStoreError: somebody else could have written to the store, or read its key.
    """
    folder = place.folder_of(setting, environment)
    if folder is None:
        return MemoryStore(notebook)
    try:
        store, made = _open(folder, notebook, keep, say, environment)
    except UnsafeStoreError:
        raise
    except (OSError, sqlite3.Error, TooNewError, RuntimeError) as error:  # RuntimeError: this user has no home
        say(
            f"runs are kept in memory only, and are lost with this kernel: the store in {folder} cannot be used ({_reason(error)}). "
            'FLYTE_NB_HOME names another place; flyte.init(store=":memory:") says that this is meant.'
        )
        return MemoryStore(notebook)
    if made:
        say(f"runs are kept in {folder}")
    return store


def _open(
    folder: Path, notebook: str, keep: Retention | None, say: Callable[[str], None], environment: Mapping[str, str]
) -> tuple[RunStore, bool]:
    made = place.prepare(folder)
    seal = keys.load_seal(keys.key_path(environment), folder)
    read_only = not os.access(folder, os.W_OK) or not os.access(folder / place.DATABASE, os.W_OK)
    store = SqliteStore(folder, seal, notebook=notebook, keep=keep, say=say, read_only=read_only)
    if read_only:
        say(f"the store of runs in {folder} can only be read: this kernel's runs are kept in memory, and are lost with it.")
    return store, made


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


class Shelf:
    """The store of this process, opened on first use; the same place for all, whatever store it is.

    Args:
        open_it: opens the store.
    """

    def __init__(self, open_it: Callable[[], RunStore]) -> None:
        self._open_it = open_it
        self._store: RunStore | None = None
        self._lock = threading.Lock()

    @property
    def store(self) -> RunStore:
        """The store.

        Raises:
            UnsafeStoreError: it must not be used.
        """
        with self._lock:
            if self._store is None:
                self._store = self._open_it()
            return self._store

    @property
    def disk(self) -> SqliteStore | None:
        """The store, if it is one on disk that can be written."""
        store = self.store
        return store if isinstance(store, SqliteStore) and not store.read_only else None

    def recorded(self, events: Sequence[Event]) -> None:
        """See `RunStore`."""
        self.store.recorded(events)

    def ended(self, state: RunState) -> None:
        """See `RunStore`."""
        self.store.ended(state)

    def when_durable(self, then: Callable[[], None]) -> bool:
        """See `RunStore`."""
        return self.store.when_durable(then)

    def get(self, name: str) -> RunState | None:
        """See `RunStore`."""
        return self.store.get(name)

    def folder(self, inner: str) -> Path | None:
        """A folder inside of the store's; None if there is none that can be written."""
        disk = self.disk
        return None if disk is None else disk.folder / inner

    def passing(self) -> str | None:
        """Where large values may be put on their way into the store; None if temporary files do as well, or better."""
        disk = self.disk
        return None if disk is None or disk.database.shared else str(disk.folder / place.PASSING)

    def is_elsewhere(self, name: str) -> bool:
        """Whether a run goes on in another kernel."""
        store = self._store
        state = store.get(name) if store is not None else None
        return store is not None and state is not None and store.refresh(state)

    def wait_elsewhere(self, name: str, timeout: float | None) -> bool:
        """Wait for the end of a run that goes on in another kernel; true for all other runs."""
        store = self._store
        state = store.get(name) if store is not None else None
        deadline = None if timeout is None else time.monotonic() + timeout
        while store is not None and state is not None and store.refresh(state):
            left = LOOK_SECONDS if deadline is None else min(LOOK_SECONDS, deadline - time.monotonic())
            if left <= 0:
                return False
            time.sleep(left)
        return True

    def close(self) -> None:
        """Close the store; the next use opens it, or another one."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            store.close()
