"""Decides which store a process gets: the project's file, or memory where there is no place for one.

A store that is not safe is refused. One that merely cannot be used (no room, no permission, a damaged file) is said once,
and runs are kept in memory: nobody's work waits for a disk.

Must not know: what is kept.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from flyte_nb.errors import UnsafeStoreError
from flyte_nb.store import keys, place
from flyte_nb.store.memory import MemoryStore
from flyte_nb.store.port import RunStore
from flyte_nb.store.retention import Retention
from flyte_nb.store.schema import TooNewError
from flyte_nb.store.sqlite_store import SqliteStore


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
