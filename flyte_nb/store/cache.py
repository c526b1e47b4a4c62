"""Decides how a kernel shares results with the others that use its store: by a thread of its own.

The controller never waits for a disk: what it asks is answered later. Keys that another kernel computes are looked for a
few times a second, until there is a result, or the lease is ours.

Nothing here may stop a run: where the file cannot be read or written, everything is granted, and that is said once.

Must not know: what stands in the file (`cachetable`), or how old a result may be (that comes with the question).
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from flyte_nb.core.caching import CachedResult, CacheLine, Sought, Wanted
from flyte_nb.store.cachetable import LEASE_SECONDS, CacheTable
from flyte_nb.store.database import Database
from flyte_nb.store.kernels import Kernel
from flyte_nb.store.keys import Seal
from flyte_nb.store.values import Values

logger = logging.getLogger("flyte_nb")

#: How often is looked for what others compute, how often leases are renewed, and how often uses are written down.
LOOK_SECONDS, RENEW_SECONDS, USES_SECONDS = 0.25, 3.0, 2.0

_Work = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class _Job:
    """Something to do with the file, and what to do if it fails."""

    work: _Work
    otherwise: Callable[[], None]


def _nothing() -> None:
    """What does not matter is not made up for."""


class SqliteResults:
    """Results in the store's file: see `ResultCache`.

    Args:
        database: the store's file.
        values: where large results go.
        seal: authenticates what is read.
        kernel: this process.
        most_bytes: what all results may take.
        now: UTC seconds.
    """

    def __init__(
        self, database: Database, values: Values, seal: Seal, kernel: Kernel, *, most_bytes: int, now: Callable[[], float] = time.time
    ) -> None:
        self._connect = database.open_reader
        self._table = CacheTable(values, seal, kernel, secrets.token_hex(8), most_bytes=most_bytes, now=now)
        self._later: Callable[[Sought], None] = lambda _sought: None
        self._jobs: list[_Job] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = self._said = False
        self._connection: sqlite3.Connection | None = None
        self._busy: dict[str, Wanted] = {}
        self._held: set[str] = set()
        self._uses: dict[str, int] = {}
        self._due = dict.fromkeys(("look", "renew", "uses"), 0.0)

    # ------------------------------------------------------------------ for other threads
    def listen(self, later: Callable[[Sought], None]) -> None:
        """See `ResultCache`."""
        self._later = later

    def seek(self, wanted: Sequence[Wanted]) -> Sought:
        """See `ResultCache`; everything is told later."""
        if wanted:
            self._post(lambda connection: self._seek(connection, wanted), lambda: self._tell({}, [each.key for each in wanted]))
        return Sought({})

    def keep(self, results: Sequence[tuple[str, CachedResult]]) -> None:
        """See `ResultCache`."""
        keys = [key for key, _result in results]

        def work(connection: sqlite3.Connection) -> None:
            self._held.difference_update(keys)
            self._table.keep(connection, results)

        self._post(work, lambda: self.release(keys))

    def release(self, keys: Sequence[str]) -> None:
        """See `ResultCache`."""

        def work(connection: sqlite3.Connection) -> None:
            self._held.difference_update(keys)
            self._table.release(connection, keys)

        self._post(work)

    def lines(self) -> list[CacheLine]:
        """What is kept, a line a task.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        self._flush()
        with closing(self._connect()) as connection:
            return self._table.lines(connection)

    def clear(self, task: str = "") -> int:
        """Drop all results, or those of a task; says how many.

        Raises:
            sqlite3.Error: the file cannot be written.
        """
        self._flush()
        with closing(self._connect()) as connection:
            return self._table.clear(connection, task)

    def close(self) -> None:
        """Give all leases back, and end the thread; what is asked afterwards starts another one."""
        with self._wake:
            thread, self._closing = self._thread, True
            self._wake.notify()
        if thread is not None:
            thread.join(LEASE_SECONDS)
        with self._wake:
            self._thread, self._closing = None, False

    def _flush(self) -> None:
        """Wait until everything so far is written down."""
        done = threading.Event()

        def work(connection: sqlite3.Connection) -> None:
            self._write_uses(connection)
            done.set()

        self._post(work, done.set)
        done.wait(LEASE_SECONDS)

    def _post(self, work: _Work, otherwise: Callable[[], None] = _nothing) -> None:
        with self._wake:
            self._jobs.append(_Job(work, otherwise))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="flyte_nb-cache", daemon=True)
                self._thread.start()
            self._wake.notify()

    # ------------------------------------------------------------------ the thread
    def _serve(self) -> None:
        while True:
            with self._wake:
                if not self._jobs and not self._closing:
                    self._wake.wait(self._patience())
                jobs, self._jobs = self._jobs, []
                over = self._closing and not jobs
            for job in jobs:
                self._do(job)
            if over:
                break
            self._do_when_due("look", LOOK_SECONDS, self._look, needed=bool(self._busy))
            self._do_when_due("renew", RENEW_SECONDS, self._table.renew, needed=bool(self._held))
            self._do_when_due("uses", USES_SECONDS, self._write_uses, needed=bool(self._uses))
        if self._held or self._uses:
            self._do(_Job(self._write_uses, _nothing))
            self._do(_Job(self._table.give_up, _nothing))
            self._held.clear()
        self._drop_connection()

    def _patience(self) -> float | None:
        """How long there is nothing to do, unless somebody asks."""
        if self._busy:
            return LOOK_SECONDS
        return RENEW_SECONDS if self._held or self._uses else None

    def _do_when_due(self, what: str, seconds: float, work: _Work, *, needed: bool) -> None:
        instant = time.monotonic()
        if needed and instant >= self._due[what]:
            self._due[what] = instant + seconds
            self._do(_Job(work, _nothing))

    def _do(self, job: _Job) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            job.work(self._connection)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the file or a value in it: runs go on
            self._drop_connection()
            if not self._said:
                self._said = True
                logger.warning(
                    "flyte_nb: the cache of results cannot be used now (%s: %s). Results are computed, and may not be kept.",
                    type(error).__name__,
                    error,
                )
            job.otherwise()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _seek(self, connection: sqlite3.Connection, wanted: Sequence[Wanted]) -> None:
        found = self._table.read(connection, wanted)  # first without a lock: that waits for nobody
        missing = [each for each in wanted if each.key not in found]
        granted: list[str] = []
        if missing:
            more, granted = self._table.read_or_lease(connection, missing)
            found |= more
        left = {each.key: each for each in missing if each.key not in found}
        for key in granted:
            del left[key]
        self._busy |= left
        self._held.update(granted)
        self._tell(found, granted)

    def _tell(self, found: dict[str, CachedResult], granted: Sequence[str]) -> None:
        for key in found:
            self._uses[key] = self._uses.get(key, 0) + 1
        if found or granted:
            self._later(Sought(found, granted))

    def _look(self, connection: sqlite3.Connection) -> None:
        """Look for what others compute."""
        wanted, self._busy = self._busy, {}
        try:
            self._seek(connection, list(wanted.values()))
        except Exception:  # nobody may wait for ever for a file that is broken
            self._tell({}, list(wanted))
            raise

    def _write_uses(self, connection: sqlite3.Connection) -> None:
        if self._uses:
            uses, self._uses = self._uses, {}
            self._table.used(connection, uses)
