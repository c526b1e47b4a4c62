"""Decides how runs are read from the store's file: the list of them, and each by folding its log again.

The log is the truth: what is read back is a `RunState` made by the same fold as the live one. A run whose kernel is gone
is closed here: what was open in it is aborted, by an event at the end of its log like any other.

Must not know: how events got there.
"""

from __future__ import annotations

import gc
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from flyte_nb.core.events import ActionsAborted, Event, RunStarted
from flyte_nb.core.index import Owner, RunEntry, RunFilter, entry_of
from flyte_nb.core.phases import TERMINAL_CODES, ActionPhase
from flyte_nb.core.rows import InvalidTransition
from flyte_nb.core.state import RunState
from flyte_nb.store import codec, kernels
from flyte_nb.store.codec import Restore
from flyte_nb.store.database import Database
from flyte_nb.store.keys import Seal
from flyte_nb.store.recording import append, marked, update_index
from flyte_nb.store.refusals import StoredValueError

#: The reason of what was open when the kernel went away.
KERNEL_GONE = "interrupted: the kernel that it ran in has gone"

_ENTRY = "SELECT id, name, task, phase, counts, started_at, ended_at, notebook, labels, kernel FROM runs"


class Reader:
    """Reads runs.

    Args:
        database: the store's file.
        seal: checks what is read.
        restore: makes values of what the log says of them.
    """

    def __init__(self, database: Database, seal: Seal, restore: Restore) -> None:
        self._database, self._seal, self._restore = database, seal, restore

    def entries(self, wanted: RunFilter, own_kernel: int | None) -> list[RunEntry]:
        """Runs that pass a filter, the latest last."""
        where, values = _conditions(wanted)
        found: list[RunEntry] = []
        with self._database.reading() as connection:
            for row in connection.execute(f"{_ENTRY}{where} ORDER BY started_at DESC, id DESC", values):
                entry = _entry(row, own_kernel)
                if wanted.accepts(entry):
                    found.append(entry)
                if wanted.limit is not None and len(found) >= wanted.limit:
                    break
        return found[::-1]

    def state(self, name: str) -> tuple[RunState, int] | None:
        """A run and the number of the last row of its log that was read; None if there is no such run.

        Raises:
            StoredValueError: its log is damaged, or was written with another key or by a later version.
        """
        with self._database.reading() as connection, _undisturbed():
            run = connection.execute("SELECT id FROM runs WHERE name = ?", (name,)).fetchone()
            return None if run is None else self._fold(connection, run[0], name)

    def _fold(self, connection: sqlite3.Connection, run: int, name: str) -> tuple[RunState, int]:
        state: RunState | None = None
        last = 0
        for seq, events in self._events(connection, run, name, after=0):
            last = seq
            for event in events:
                if state is not None:
                    self._apply(state, event)
                elif isinstance(event, RunStarted):
                    state = RunState(event)
                else:
                    raise StoredValueError(f"Run {name}", "its log has no beginning")
        if state is None:
            raise StoredValueError(f"Run {name}", "its log is empty")
        return state, last

    def more(self, state: RunState, after: int) -> int:
        """Apply what was added to a run's log since; returns the number of its last row."""
        with self._database.reading() as connection:
            run = connection.execute("SELECT id FROM runs WHERE name = ? AND started_at = ?", (state.name, state.started_at)).fetchone()
            if run is None:
                return after
            for seq, events in self._events(connection, run[0], state.name, after=after):
                for event in events:
                    self._apply(state, event)
                after = seq
        return after

    def _apply(self, state: RunState, event: Event) -> None:
        try:
            state.apply(event)
        except (InvalidTransition, LookupError) as error:
            raise StoredValueError(f"Run {state.name}", f"its log does not fit together ({error})") from error

    def _events(self, connection: sqlite3.Connection, run: int, name: str, *, after: int) -> Iterable[tuple[int, list[Event]]]:
        rows = connection.execute("SELECT seq, format, body, mark FROM log WHERE run = ? AND seq > ? ORDER BY seq", (run, after))
        for seq, format_version, body, mark in rows:
            if seq != after + 1:
                raise StoredValueError(f"Run {name}", f"row {after + 1} of its log is missing")
            if not self._seal.fits(mark, *marked(name, seq, format_version, body)):
                raise StoredValueError(
                    f"Run {name}",
                    "what is stored of it was not written with your key: it comes from another user or machine, or was changed "
                    "(FLYTE_NB_KEY_FILE names another key)",
                )
            after = seq
            yield seq, codec.decode(body, format_version, self._restore)

    # ------------------------------------------------------------------ runs whose kernel is gone
    def close_interrupted(self, own_kernel: int | None, own_runs: Iterable[str]) -> list[str]:
        """End all runs that nobody continues; returns their names.

        Args:
            own_kernel: the id of this kernel, if it has one.
            own_runs: names of runs that this process continues.
        """
        mine = set(own_runs)
        with self._database.reading() as connection:
            open_runs = connection.execute("SELECT id, name, kernel FROM runs WHERE ended_at IS NULL").fetchall()
            alive = kernels.living(connection, own_kernel) if open_runs else set()
        closed = []
        for run, name, kernel in open_runs:
            if kernel in alive or (kernel == own_kernel and name in mine):
                continue
            if self._database.transact(lambda connection, run=run, name=name: self._close(connection, run, name)):  # type: ignore[misc]  # bound now
                closed.append(name)
        return closed

    def _close(self, connection: sqlite3.Connection, run: int, name: str) -> bool:
        found = connection.execute(
            "SELECT max(r.changed_at, k.beat_at) FROM runs r JOIN kernels k ON k.id = r.kernel WHERE r.id = ? AND r.ended_at IS NULL",
            (run,),
        ).fetchone()
        if found is None:  # another kernel was faster
            return False
        at = float(found[0])
        try:
            state, seq = self._fold(connection, run, name)
        except StoredValueError:  # nobody can say what was open in it; it is over all the same
            connection.execute("UPDATE runs SET phase = ?, ended_at = ? WHERE id = ?", (ActionPhase.ABORTED.value, at, run))
            return True
        rows = [row for row in range(state.count) if state.phases[row] not in TERMINAL_CODES]
        if rows:
            event = ActionsAborted(name, rows, KERNEL_GONE, max(at, state.started_at))
            body = codec.encode([event], lambda value: (bytes(value) if isinstance(value, bytes) else value.data,))
            append(connection, self._seal, (run, name), seq + 1, body)
            state.apply(event)
        update_index(connection, run, entry_of(state))
        return bool(rows)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without the garbage collector, which would look again and again at a million rows of which none is garbage."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _conditions(wanted: RunFilter) -> tuple[str, tuple[object, ...]]:
    """What the file can sift out by itself; the rest is `RunFilter.accepts`."""
    parts, values = [], []
    if wanted.since is not None:
        parts.append("started_at >= ?")
        values.append(wanted.since)
    if wanted.before is not None:
        parts.append("started_at < ?")
        values.append(wanted.before)
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), tuple(values)


def _entry(row: tuple[int, str, str, str, str, float, float | None, str, str, int], own_kernel: int | None) -> RunEntry:
    _id, name, task, phase, counts, started_at, ended_at, notebook, labels, kernel = row
    owner: Owner = "here" if kernel == own_kernel else "gone" if ended_at is not None else "elsewhere"
    return RunEntry(
        name=name,
        task=task,
        phase=ActionPhase(phase),
        counts={ActionPhase(each): count for each, count in json.loads(counts).items()},
        started_at=started_at,
        ended_at=ended_at,
        notebook=notebook,
        labels=tuple((str(key), str(value)) for key, value in json.loads(labels)),
        owner=owner,
        stored=True,
    )
