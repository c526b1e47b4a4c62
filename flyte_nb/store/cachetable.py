"""Decides what the store's file holds of results that may be reused, and who may compute those that are missing.

Of the processes that ask for a key at one time, one gets a *lease*. It ends with the result, when it is given back, when
its process is known to be gone, or when it was not renewed for `LEASE_SECONDS`. All of a question or of an answer is one
transaction, so two processes never hold one lease.

Must not know: threads, or who waits for what.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flyte_nb.core.caching import CachedResult, CacheLine, Wanted
from flyte_nb.core.payloads import SCALARS
from flyte_nb.store.kernels import Kernel
from flyte_nb.store.keys import Seal
from flyte_nb.store.values import Outbox, Values

T = TypeVar("T")

#: A process that has not renewed a lease for so long has lost it.
LEASE_SECONDS = 15.0
_FORGOTTEN_SECONDS = 3_600.0
#: An entry takes its result and about this much.
ENTRY_BYTES = 300
#: Who refers to values in the store: see `values`.
CACHE = "cache"
#: When there is too much, so much is left.
_LEFT = 0.9
_KEYS_AT_ONCE = 500

Answer = tuple[dict[str, CachedResult], list[str]]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A result on its way into the file."""

    key: str
    result: CachedResult
    item: bytes
    outbox: Outbox | None

    @property
    def size_bytes(self) -> int:
        return len(self.item) + ENTRY_BYTES + (self.outbox.size_bytes if self.outbox is not None else 0)


class CacheTable:
    """The tables of the cache, as one process uses them. Each method is one transaction on the connection that it is given.

    Args:
        values: where large results go.
        seal: authenticates what is read.
        kernel: this process.
        holder: tells those who ask in one process from each other.
        most_bytes: what all results may take; those that were not used longest go first.
        now: UTC seconds.
    """

    def __init__(self, values: Values, seal: Seal, kernel: Kernel, holder: str, *, most_bytes: int, now: Callable[[], float]) -> None:
        self._values, self._seal, self._kernel, self._holder = values, seal, kernel, holder
        self._most_bytes, self._now = most_bytes, now
        self._bytes: int | None = None

    # ------------------------------------------------------------------ asking
    def read(self, connection: sqlite3.Connection, wanted: Sequence[Wanted]) -> dict[str, CachedResult]:
        """Results that are there, and young enough."""
        oldest = {each.key: each.oldest_at for each in wanted}
        found: dict[str, CachedResult] = {}
        for row in _select(connection, "SELECT key, task, run, at, item, mark FROM cache WHERE key IN", list(oldest)):
            result = self._opened(*row)
            if result is not None and result.at >= oldest[row[0]]:
                found[row[0]] = result
        return found

    def _opened(self, key: str, task: str, run: str, at: float, item: bytes, mark: bytes) -> CachedResult | None:
        if not self._seal.fits(mark, *_sealed(key, task, run, at, item)):
            return None  # somebody else's: it is computed here, and replaced
        written = pickle.loads(item)  # noqa: S301 - the mark says that this user wrote it
        return CachedResult(self._values.restore(written) if isinstance(written, tuple) else written, at, run, task)

    def read_or_lease(self, connection: sqlite3.Connection, wanted: Sequence[Wanted]) -> Answer:
        """Results, and the keys without one of which the lease is ours now."""

        def work() -> Answer:
            found = self.read(connection, wanted)
            return found, self._lease(connection, [each.key for each in wanted if each.key not in found])

        return in_transaction(connection, work)

    def _lease(self, connection: sqlite3.Connection, keys: list[str]) -> list[str]:
        now, lives, taken = self._now(), dict[Kernel, bool](), set[str]()
        for key, holder, until, host, pid, born in _select(
            connection, "SELECT key, holder, until, host, pid, born FROM leases WHERE key IN", keys
        ):
            if holder != self._holder and until > now:
                kernel = Kernel(host, pid, born)
                if kernel not in lives:
                    lives[kernel] = kernel.lives(now, now)
                if lives[kernel]:
                    taken.add(key)
        free = [key for key in keys if key not in taken]
        mine = (self._holder, now + LEASE_SECONDS, self._kernel.host, self._kernel.pid, self._kernel.born)
        lease = "INSERT OR REPLACE INTO leases (key, holder, until, host, pid, born) VALUES (?, ?, ?, ?, ?, ?)"
        connection.executemany(lease, [(key, *mine) for key in free])
        return free

    # ------------------------------------------------------------------ keeping
    def keep(self, connection: sqlite3.Connection, results: Sequence[tuple[str, CachedResult]]) -> None:
        """Write results down and give their leases back; one that alone would take too much is not kept."""
        entries = [self._entry(key, result) for key, result in results]
        entries = [entry for entry in entries if entry.size_bytes <= self._most_bytes]

        def work() -> None:
            now = self._now()
            for entry in entries:
                self._write(connection, entry, now)
            self._end_leases(connection, [key for key, _result in results])

        in_transaction(connection, work)
        self._bytes = self._size(connection) if self._bytes is None else self._bytes + sum(entry.size_bytes for entry in entries)
        if self._bytes > self._most_bytes:
            in_transaction(connection, lambda: self._evict(connection))

    def _entry(self, key: str, result: CachedResult) -> _Entry:
        output = result.output
        if type(output) in SCALARS and not isinstance(output, bytes):
            return _Entry(key, result, pickle.dumps(output, 5), None)
        outbox = Outbox(self._values)
        return _Entry(key, result, pickle.dumps(outbox.keep(output), 5), outbox)  # type: ignore[arg-type]  # bytes or a blob

    def _write(self, connection: sqlite3.Connection, entry: _Entry, now: float) -> None:
        result = entry.result
        mark = self._seal.mark(*_sealed(entry.key, result.task, result.run, result.at, entry.item))
        row = (entry.key, result.task, result.run, result.at, now, entry.size_bytes, entry.item, mark)
        (number,) = connection.execute(
            "INSERT INTO cache (key, task, run, at, used_at, hits, size, item, mark) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET task = excluded.task, run = excluded.run, at = excluded.at, used_at = excluded.used_at, "
            "size = excluded.size, item = excluded.item, mark = excluded.mark RETURNING id",
            row,
        ).fetchone()
        connection.execute("DELETE FROM refs WHERE kind = ? AND owner = ?", (CACHE, number))
        if entry.outbox is not None:
            entry.outbox.write(connection, CACHE, number)

    def release(self, connection: sqlite3.Connection, keys: Sequence[str]) -> None:
        """Give leases back."""
        in_transaction(connection, lambda: self._end_leases(connection, keys))

    def _end_leases(self, connection: sqlite3.Connection, keys: Sequence[str]) -> None:
        connection.executemany("DELETE FROM leases WHERE key = ? AND holder = ?", [(key, self._holder) for key in keys])

    def renew(self, connection: sqlite3.Connection) -> None:
        """Hold all our leases for longer; what others have lost long ago goes."""
        now = self._now()

        def work() -> None:
            connection.execute("UPDATE leases SET until = ? WHERE holder = ?", (now + LEASE_SECONDS, self._holder))
            connection.execute("DELETE FROM leases WHERE until < ?", (now - _FORGOTTEN_SECONDS,))

        in_transaction(connection, work)

    def give_up(self, connection: sqlite3.Connection) -> None:
        """Give all our leases back."""
        in_transaction(connection, lambda: connection.execute("DELETE FROM leases WHERE holder = ?", (self._holder,)))

    def used(self, connection: sqlite3.Connection, uses: dict[str, int]) -> None:
        """Results were taken so often since the last time."""
        now = self._now()
        rows = [(now, count, key) for key, count in uses.items()]
        statement = "UPDATE cache SET used_at = ?, hits = hits + ? WHERE key = ?"
        in_transaction(connection, lambda: connection.executemany(statement, rows))

    # ------------------------------------------------------------------ how much there is
    def lines(self, connection: sqlite3.Connection) -> list[CacheLine]:
        """What is kept, a line a task, the largest first."""
        columns = "task, COUNT(*), SUM(size), SUM(hits), MIN(at), MAX(at), MAX(used_at)"
        rows = connection.execute(f"SELECT {columns} FROM cache GROUP BY task ORDER BY SUM(size) DESC, task")  # noqa: S608 - constants
        return [CacheLine(*row) for row in rows]

    def clear(self, connection: sqlite3.Connection, task: str) -> int:
        """Drop all results, or those of a task; says how many."""

        def work() -> int:
            rows = connection.execute("SELECT id FROM cache WHERE ? IN ('', task)", (task,))
            return self._drop(connection, [row[0] for row in rows])

        self._bytes = None
        return in_transaction(connection, work)

    def _size(self, connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT COALESCE(SUM(size), 0) FROM cache").fetchone()[0])

    def _evict(self, connection: sqlite3.Connection) -> None:
        """Drop what was not used longest, if there is too much: others have written too, and dropped."""
        self._bytes = self._size(connection)
        if self._bytes <= self._most_bytes:
            return
        over = self._bytes - _LEFT * self._most_bytes
        gone = []
        for number, size in connection.execute("SELECT id, size FROM cache ORDER BY used_at, id"):
            if over <= 0:
                break
            over -= size
            gone.append(number)
        self._drop(connection, gone)
        self._bytes = self._size(connection)

    def _drop(self, connection: sqlite3.Connection, entries: Sequence[int]) -> int:
        """Take results away, and the values that nobody else refers to."""
        connection.executemany("DELETE FROM cache WHERE id = ?", [(number,) for number in entries])
        connection.executemany("DELETE FROM refs WHERE kind = ? AND owner = ?", [(CACHE, number) for number in entries])
        self._values.collect(connection)
        return len(entries)


def _sealed(key: str, task: str, run: str, at: float, item: bytes) -> tuple[bytes, ...]:
    return b"cache", key.encode(), task.encode("utf8", "surrogatepass"), run.encode("utf8", "surrogatepass"), repr(at).encode(), item


def _select(connection: sqlite3.Connection, statement: str, keys: list[str]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[start : start + _KEYS_AT_ONCE]
        yield from connection.execute(f"{statement} ({', '.join('?' * len(some))})", some).fetchall()


def in_transaction(connection: sqlite3.Connection, work: Callable[[], T]) -> T:
    """Do something alone among all processes that use the file."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return done
