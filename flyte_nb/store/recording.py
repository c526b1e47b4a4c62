"""Decides how what happens is brought to the store's file: events of a moment become one row of their run's log.

Events are taken on the engine's thread, which only notes them down; they are encoded and written on the writer's. A run
whose events could not be written once is not continued: its log stays a true beginning, and the run itself goes on in memory.

Must not know: how runs are read.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from flyte_nb.core.events import FORMAT_VERSION, Event, RunStarted
from flyte_nb.core.index import RunEntry, entry_of
from flyte_nb.core.state import RunState
from flyte_nb.store import codec, kernels
from flyte_nb.store.database import Database, Job
from flyte_nb.store.kept_files import note_source
from flyte_nb.store.kernels import Kernel
from flyte_nb.store.keys import Seal
from flyte_nb.store.values import Outbox, Values

#: Progress of a run is written into the list of runs at most this often.
_INDEX_SECONDS = 0.5
RUN = "run"


@dataclass(slots=True)
class Recording:
    """A run of this process that is being written down."""

    started: RunStarted
    id: int = 0
    seq: int = 0
    state: RunState | None = None
    indexed_at: float = 0.0
    over: bool = False


@dataclass(slots=True)
class _Part:
    """What is to be written of one run."""

    recording: Recording
    seq: int
    body: bytes
    outbox: Outbox
    entry: RunEntry | None


@dataclass(slots=True)
class _Batch:
    """What is to be written in one transaction."""

    events: list[Event] = field(default_factory=list)
    ended: list[RunState] = field(default_factory=list)
    parts: list[_Part] = field(default_factory=list)


def marked(run: str, seq: int, format_version: int, body: bytes) -> tuple[bytes, ...]:
    """What the mark of one row of a log is made of: it fits no other row."""
    return (b"log", run.encode("utf8", "surrogatepass"), seq.to_bytes(8, "little"), format_version.to_bytes(4, "little"), body)


def append(connection: sqlite3.Connection, seal: Seal, run: tuple[int, str], seq: int, body: bytes) -> None:
    """Add a row to the log of a run (its id and name)."""
    mark = seal.mark(*marked(run[1], seq, FORMAT_VERSION, body))
    connection.execute("INSERT INTO log (run, seq, format, body, mark) VALUES (?, ?, ?, ?, ?)", (run[0], seq, FORMAT_VERSION, body, mark))


class Recorder:
    """Writes the runs of this process down.

    Args:
        database: where to.
        values: where large values go.
        seal: marks what is written.
        kernel: this process.
        notebook: what starts the runs, for lists.
        on_failure: told when something could not be written, once for each failed write, on the writer's thread.
    """

    def __init__(
        self,
        database: Database,
        values: Values,
        seal: Seal,
        *,
        kernel: Kernel,
        notebook: str,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._database, self._values, self._seal = database, values, seal
        self._kernel, self._notebook, self._on_failure = kernel, notebook, on_failure
        self.kernel_id: int | None = None
        self._recordings: dict[str, Recording] = {}
        self._states: weakref.WeakValueDictionary[str, RunState] = weakref.WeakValueDictionary()
        self._next: _Batch | None = None
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ on the engine's thread
    def recorded(self, events: Sequence[Event]) -> None:
        """Note events down."""
        with self._lock:
            self._batch().events.extend(events)

    def ended(self, state: RunState) -> None:
        """Note down that a run is over."""
        with self._lock:
            self._batch().ended.append(state)

    def attach(self, state: RunState) -> None:
        """Here is the state of a run whose events are told: its counts go into the list of runs."""
        with self._lock:
            self._states[state.name] = state

    def live(self) -> list[str]:
        """Names of runs that are being written down."""
        with self._lock:
            return list(self._recordings)

    def _batch(self) -> _Batch:
        batch = self._next
        if batch is None:
            batch = self._next = _Batch()
            self._database.post(
                Job(
                    write=lambda connection: self._write(connection, batch),
                    failed=lambda error: self._failed(batch, error),
                    prepare=lambda: self._prepare(batch),
                )
            )
        return batch

    def pulse(self) -> Job | None:
        """Say that this kernel lives, if it has live runs."""
        kernel = self.kernel_id
        if kernel is None or not self._recordings:
            return None
        return Job(write=lambda connection: kernels.beat(connection, kernel), failed=lambda _error: None)

    # ------------------------------------------------------------------ on the writer's thread
    def _prepare(self, batch: _Batch) -> None:
        with self._lock:
            if self._next is batch:
                self._next = None
            by_run = self._by_run(batch.events)
            ended = {state.name: state for state in batch.ended}
            for name in ended:
                if name in self._recordings:
                    by_run.setdefault(id(self._recordings[name]), (self._recordings[name], []))
        for recording, events in by_run.values():
            if recording.started.run in ended:
                recording.state, recording.over = ended[recording.started.run], True
            batch.parts.append(self._part(recording, events))
        batch.events = []

    def _by_run(self, events: list[Event]) -> dict[int, tuple[Recording, list[Event]]]:
        found: dict[int, tuple[Recording, list[Event]]] = {}
        for event in events:
            if type(event) is RunStarted:
                self._recordings[event.run] = Recording(event)
            recording = self._recordings.get(event.run)
            if recording is not None:
                found.setdefault(id(recording), (recording, []))[1].append(event)
        return found

    def _part(self, recording: Recording, events: list[Event]) -> _Part:
        outbox = Outbox(self._values)
        body = codec.encode(events, outbox.keep) if events else b""
        if body:
            recording.seq += 1
        return _Part(recording, recording.seq, body, outbox, self._entry(recording))

    def _entry(self, recording: Recording) -> RunEntry | None:
        """How the list of runs is to show it now; None if it was told a moment ago."""
        state, now = recording.state or self._states.get(recording.started.run), time.monotonic()
        if state is None or (not recording.over and now - recording.indexed_at < _INDEX_SECONDS):
            return None
        recording.indexed_at = now
        return entry_of(state)

    def _write(self, connection: sqlite3.Connection, batch: _Batch) -> None:
        for part in batch.parts:
            recording = part.recording
            if part.seq == 1 and part.body:
                recording.id = self._insert(connection, recording.started)
            if part.body:
                append(connection, self._seal, (recording.id, recording.started.run), part.seq, part.body)
                part.outbox.write(connection, RUN, recording.id)
            if part.entry is not None:
                update_index(connection, recording.id, part.entry, len(part.body) + part.outbox.size_bytes)
            elif part.body:
                connection.execute(
                    "UPDATE runs SET bytes = bytes + ? WHERE id = ?", (len(part.body) + part.outbox.size_bytes, recording.id)
                )
        self._forget(batch)

    def _insert(self, connection: sqlite3.Connection, started: RunStarted) -> int:
        if self.kernel_id is None or connection.execute("SELECT 1 FROM kernels WHERE id = ?", (self.kernel_id,)).fetchone() is None:
            self.kernel_id = kernels.enrol(connection, self._kernel, self._notebook)
        remove_runs(connection, [row[0] for row in connection.execute("SELECT id FROM runs WHERE name = ?", (started.run,))])
        cursor = connection.execute(
            "INSERT INTO runs (name, task, phase, counts, started_at, changed_at, notebook, labels, kernel)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                started.run,
                started.task.name,
                "queued",
                "{}",
                started.at,
                started.at,
                self._notebook,
                json.dumps(started.labels),
                self.kernel_id,
            ),
        )
        assert cursor.lastrowid is not None  # noqa: S101 - it was just inserted
        if started.relation == "recover":
            note_source(connection, cursor.lastrowid, started.source)
        return cursor.lastrowid

    def _forget(self, batch: _Batch) -> None:
        with self._lock:
            for part in batch.parts:
                name = part.recording.started.run
                if part.recording.over and self._recordings.get(name) is part.recording:
                    del self._recordings[name]

    def _failed(self, batch: _Batch, error: Exception) -> None:
        with self._lock:
            if self._next is batch:
                self._next = None
            lost = {id(part.recording) for part in batch.parts} or {id(each) for each in self._recordings.values()}
            for name in [name for name, each in self._recordings.items() if id(each) in lost]:
                del self._recordings[name]
        self._on_failure(error)


def update_index(connection: sqlite3.Connection, run: int, entry: RunEntry, more_bytes: int = 0) -> None:
    """Write into the list of runs how a run is."""
    counts = json.dumps({phase.value: count for phase, count in entry.counts.items()})
    connection.execute(
        "UPDATE runs SET phase = ?, counts = ?, ended_at = ?, changed_at = ?, bytes = bytes + ? WHERE id = ?",
        (entry.phase.value, counts, entry.ended_at, entry.ended_at or time.time(), more_bytes, run),
    )


def remove_runs(connection: sqlite3.Connection, runs: Sequence[int]) -> None:
    """Remove runs with their logs; what only they referred to is left to be collected."""
    for run in runs:
        connection.execute("DELETE FROM refs WHERE kind = ? AND owner = ?", (RUN, run))
        connection.execute("DELETE FROM runs WHERE id = ?", (run,))
