"""Decides what is kept of results that may be reused: with the store, or in this process only, the latest ones up to a size.

Must not know: how keys are made, or whether a result is too old (the controller).
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from flyte_nb.core.caching import CachedResult, CacheLine, ResultCache, Sought, Wanted
from flyte_nb.core.payloads import size_bytes
from flyte_nb.store.cache import SqliteResults
from flyte_nb.store.kernels import this_kernel
from flyte_nb.store.sqlite_store import SqliteStore

#: What is kept at most in memory; both numbers are out of the air, and large for a notebook.
MOST_RESULTS, MOST_BYTES = 200_000, 512 * 1024 * 1024


class Results(ResultCache, Protocol):
    """A cache that can be looked at, and cleared."""

    def lines(self) -> list[CacheLine]:
        """What is kept, a line a task."""
        ...

    def clear(self, task: str = "") -> int:
        """Drop all results, or those of a task; says how many."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class MemoryResults:
    """Results by key; the one that was not asked for longest goes first. Thread-safe."""

    def __init__(self, most_results: int = MOST_RESULTS, most_bytes: int = MOST_BYTES) -> None:
        self._most_results, self._most_bytes = most_results, most_bytes
        self._results: OrderedDict[str, CachedResult] = OrderedDict()
        self._hits: Counter[str] = Counter()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> CachedResult | None:
        """The result under a key, or None."""
        found = self._results.get(key)
        if found is not None:
            self._results.move_to_end(key)
        return found

    def listen(self, later: Callable[[Sought], None]) -> None:
        """Nothing is left open here."""

    def seek(self, wanted: Sequence[Wanted]) -> Sought:
        """See `ResultCache`; nobody else computes anything."""
        found: dict[str, CachedResult] = {}
        granted: list[str] = []
        with self._lock:
            for each in wanted:
                result = self.get(each.key)
                if result is not None and result.at >= each.oldest_at:
                    found[each.key] = result
                    self._hits[result.task] += 1
                else:
                    granted.append(each.key)
        return Sought(found, granted)

    def keep(self, results: Sequence[tuple[str, CachedResult]]) -> None:
        """See `ResultCache`."""
        with self._lock:
            for key, result in results:
                self.put(key, result)

    def release(self, keys: Sequence[str]) -> None:
        """Nothing is held here."""

    def put(self, key: str, result: CachedResult) -> None:
        """Keep one result."""
        self._drop(key)
        self._results[key] = result
        self._bytes += size_bytes(result.output)
        while len(self._results) > self._most_results or (self._bytes > self._most_bytes and len(self._results) > 1):
            self._drop(next(iter(self._results)))

    def _drop(self, key: str) -> None:
        gone = self._results.pop(key, None)
        if gone is not None:
            self._bytes -= size_bytes(gone.output)

    def lines(self) -> list[CacheLine]:
        """See `Results`."""
        with self._lock:
            by_task: dict[str, list[CachedResult]] = {}
            for result in self._results.values():
                by_task.setdefault(result.task, []).append(result)
        made = [
            CacheLine(
                task=task,
                results=len(results),
                size_bytes=sum(size_bytes(each.output) for each in results),
                hits=self._hits[task],
                oldest_at=min(each.at for each in results),
                newest_at=max(each.at for each in results),
                used_at=0.0,
            )
            for task, results in by_task.items()
        ]
        return sorted(made, key=lambda line: (-line.size_bytes, line.task))

    def clear(self, task: str = "") -> int:
        """See `Results`."""
        with self._lock:
            gone = [key for key, result in self._results.items() if task in {"", result.task}]
            for key in gone:
                self._drop(key)
        return len(gone)

    def close(self) -> None:
        """Nothing to give back."""

    def __len__(self) -> int:
        return len(self._results)


def results_of(store: object, most_bytes: int) -> Results:
    """The cache that goes with a store: in its file, if it has one that can be written.

    Args:
        store: the store of this process.
        most_bytes: what all results in a file may take.
    """
    if isinstance(store, SqliteStore) and not store.read_only:
        return SqliteResults(store.database, store.values, store.seal, this_kernel(), most_bytes=most_bytes)
    return MemoryResults()


class CacheShelf:
    """The cache of this process, opened on first use; the same place for all, whatever cache it is: see `Results`.

    Args:
        open_it: opens the cache.
    """

    def __init__(self, open_it: Callable[[], Results]) -> None:
        self._open_it = open_it
        self._opened: Results | None = None
        self._later: Callable[[Sought], None] = lambda _sought: None
        self._lock = threading.Lock()

    def _results(self) -> Results:
        with self._lock:
            if self._opened is None:
                self._opened = self._open_it()
                self._opened.listen(lambda sought: self._later(sought))  # noqa: PLW0108 - whoever listens at that time
            return self._opened

    def listen(self, later: Callable[[Sought], None]) -> None:
        """See `ResultCache`."""
        self._later = later

    def seek(self, wanted: Sequence[Wanted]) -> Sought:
        """See `ResultCache`."""
        return self._results().seek(wanted)

    def keep(self, results: Sequence[tuple[str, CachedResult]]) -> None:
        """See `ResultCache`."""
        self._results().keep(results)

    def release(self, keys: Sequence[str]) -> None:
        """See `ResultCache`."""
        self._results().release(keys)

    def lines(self) -> list[CacheLine]:
        """See `Results`."""
        return self._results().lines()

    def clear(self, task: str = "") -> int:
        """See `Results`."""
        return self._results().clear(task)

    def close(self) -> None:
        """Close the cache; the next use opens it, or another one."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
