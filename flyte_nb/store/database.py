"""Decides how the store's file is read and written: many readers, and one thread that writes for this process.

What is to be written is handed in as jobs (`post`). The writer takes all that are there and writes them in one transaction:
at the latest 50 ms after the first one, at once if somebody waits for it (`when_durable`). So many small facts cost one
commit, and a result is handed on a fraction of a millisecond after it is on disk.

On disk means: it survives the death of this process at any point. It survives a loss of power up to the last checkpoint;
the file is whole in any case (WAL, or a rollback journal where other machines may share the file).

Must not know: what is written.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from flyte_nb.store import schema

logger = logging.getLogger("flyte_nb")
T = TypeVar("T")

#: How long a fact that nobody waits for may lie around.
BATCH_SECONDS = 0.05
#: How long a process waits for another one that writes; transactions take milliseconds.
BUSY_SECONDS = 20.0
#: Pages (4 KiB) in the WAL before it is written back: a bound for its size, and rare enough to go unnoticed.
CHECKPOINT_PAGES = 4_000
_STOP_SECONDS = 30.0

Write = Callable[[sqlite3.Connection], object]


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be written.

    Attributes:
        write: writes it; called on the writer's thread, in a transaction. May be called again if the transaction fails.
        failed: called instead of a commit: it is lost.
        prepare: called once before the transaction, on the same thread: what takes time and needs no lock.
    """

    write: Write
    failed: Callable[[Exception], None]
    prepare: Callable[[], None] = lambda: None


class Database:
    """The store's file.

    Args:
        path: the file; made if need be.
        shared: other machines may share it, so nothing may rest on shared memory.
        read_only: nothing can be written there.
        pulse: asked every `pulse_seconds` while the writer lives for a job of its own; None is nothing to do.

    Raises:
        sqlite3.Error, OSError: it cannot be opened.
        schema.TooNewError: it is of a later version.
    """

    def __init__(
        self,
        path: Path,
        *,
        shared: bool = False,
        read_only: bool = False,
        pulse: Callable[[], Job | None] = lambda: None,
        pulse_seconds: float = 5.0,
    ) -> None:
        self.path, self.shared, self.read_only = path, shared, read_only
        self._pulse, self._pulse_seconds = pulse, pulse_seconds
        self._jobs: list[Job] = []
        self._waiters: list[Callable[[], None]] = []
        self._wake = threading.Condition()
        self._writing = self._closing = False
        self._thread: threading.Thread | None = None
        self._mode = ""
        if not read_only:
            with closing(self._connect()) as connection:
                connection.execute(f"PRAGMA journal_mode = {'TRUNCATE' if shared else 'WAL'}").fetchone()
                schema.migrate(connection)

    # ------------------------------------------------------------------ reading
    def _connect(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={'ro' if self.read_only else 'rw'}{self._mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA foreign_keys = ON")
            if not self.read_only:
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with, on any thread; all reads inside see one state of the file.

        Raises:
            sqlite3.Error: it cannot be read.
        """
        with closing(self.open_reader()) as connection:
            connection.execute("BEGIN")
            yield connection

    def open_reader(self) -> sqlite3.Connection:
        """A connection to read with; whoever asks for it closes it.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        try:
            connection = self._connect()
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            if not self.read_only or self._mode:
                raise
            self._mode = "&immutable=1"  # a WAL needs a file beside it, which cannot be made where nothing can be
            connection = self._connect()
        return connection

    def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something in a transaction of its own, on this thread, alone among all processes; wait for it.

        Raises:
            sqlite3.Error: it cannot be done.
        """
        with closing(self._connect()) as connection:
            return _in_transaction(connection, work)

    # ------------------------------------------------------------------ writing
    def post(self, job: Job) -> None:
        """Have a job written soon; thread-safe, and quick."""
        with self._wake:
            self._jobs.append(job)
            if self._thread is None:
                self._start()
            if len(self._jobs) == 1:
                self._wake.notify()

    def when_durable(self, then: Callable[[], None]) -> bool:
        """Whether all jobs so far are on disk or lost; if not, `then` is called when they are, in order of asking."""
        with self._wake:
            if not (self._jobs or self._writing or self._waiters):
                return True
            self._waiters.append(then)
            self._wake.notify()
            return False

    def flush(self) -> None:
        """Wait until all jobs so far are on disk or lost."""
        there = threading.Event()
        if not self.when_durable(there.set):
            while not there.wait(1):
                if self._thread is None or not self._thread.is_alive():
                    return

    def close(self) -> None:
        """Write what is left, and end the writer. What is posted afterwards starts another one."""
        with self._wake:
            thread, self._closing = self._thread, True
            self._wake.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP_SECONDS)
        with self._wake:
            self._closing = False
            if self._thread is thread:
                self._thread = None

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._serve, name="flyte_nb-store", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while True:
                jobs, waiters, over = self._take()
                ready = [job for job in jobs if _prepared(job)]
                if ready:
                    connection = self._write(connection, ready)
                with self._wake:
                    self._writing = False
                for then in waiters:
                    try:
                        then()
                    except Exception:
                        logger.exception("flyte_nb: somebody who waited for the store failed")
                if over:
                    return
        finally:
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()

    def _take(self) -> tuple[list[Job], list[Callable[[], None]], bool]:
        """Wait for work; what there is, who waits for it, and whether it is the last."""
        with self._wake:
            beat_at = time.monotonic() + self._pulse_seconds
            while not (self._jobs or self._waiters or self._closing):
                if not self._wake.wait(max(0.0, beat_at - time.monotonic())):
                    job = self._pulse()
                    if job is not None:
                        self._jobs.append(job)
                    beat_at = time.monotonic() + self._pulse_seconds
            full_at = time.monotonic() + BATCH_SECONDS
            while not (self._waiters or self._closing) and (left := full_at - time.monotonic()) > 0:
                self._wake.wait(left)
            jobs, self._jobs = self._jobs, []
            waiters, self._waiters = self._waiters, []
            self._writing = True
            return jobs, waiters, self._closing

    def _write(self, connection: sqlite3.Connection | None, jobs: list[Job]) -> sqlite3.Connection | None:
        """Write jobs in one transaction; if that fails each in its own, so that one that cannot be does not take the others along."""
        try:
            connection = connection or self._connect()
            _in_transaction(connection, lambda opened: _write_all(opened, jobs))
        except Exception as error:  # noqa: BLE001 - told to whoever posted it
            if len(jobs) == 1 or connection is None:
                for job in jobs:
                    _tell_failure(job, error)
            else:
                for job in jobs:
                    connection = self._write(connection, [job])
            if connection is not None and isinstance(error, sqlite3.OperationalError):
                connection.close()  # after an error of the disk a connection may stay broken
                connection = None
        return connection


def _in_transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return done


def _write_all(connection: sqlite3.Connection, jobs: list[Job]) -> None:
    for job in jobs:
        job.write(connection)


def _prepared(job: Job) -> bool:
    try:
        job.prepare()
    except Exception as error:  # noqa: BLE001 - told to whoever posted it
        _tell_failure(job, error)
        return False
    return True


def _tell_failure(job: Job, error: Exception) -> None:
    try:
        job.failed(error)
    except Exception:
        logger.exception("flyte_nb: somebody who was told of a failed write failed")
