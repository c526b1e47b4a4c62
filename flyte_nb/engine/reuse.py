"""Decides when an earlier result stands for a call, and which results are kept for later ones.

Results are kept by key: whoever calls works it out (the task, its code and the inputs). Errors are never kept. Equal
calls are computed once: while one runs, here or in another kernel, the others wait for its result; if it fails, or its
kernel dies, the next one runs. A call that computes in any case (`override`) waits for nobody, unless it says `serialize`.

A key is *open* while this kernel asks for its result or computes it. Whoever keeps results may answer at once or later.

Part of the controller (pure). Must not know: how keys are made, or where results are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from flyte_nb.core.caching import CachedResult, ResultCache, Sought, Wanted
from flyte_nb.core.payloads import Item
from flyte_nb.core.phases import CODE, TERMINAL_CODES, ActionPhase
from flyte_nb.engine.records import RunRecord

_SUCCEEDED = CODE[ActionPhase.SUCCEEDED]

#: Ends rows of a run with these outputs: (rows, outputs, now).
Reused = Callable[[Sequence[int], Sequence[Item], float], None]
#: Queues rows of a run.
Queue = Callable[[Sequence[int]], None]


@dataclass(frozen=True, slots=True)
class _Waiter:
    """A call that waits for an answer, or for an equal call."""

    run: RunRecord
    row: int
    oldest_at: float
    reused: Reused
    queue: Queue

    @property
    def is_alive(self) -> bool:
        """Whether it still waits: it may have been stopped."""
        return self.run.state.phases[self.row] not in TERMINAL_CODES


class _NoResults:
    """Keeps nothing; what is asked for is to be computed."""

    def listen(self, later: Callable[[Sought], None]) -> None: ...

    def seek(self, wanted: Sequence[Wanted]) -> Sought:
        return Sought({}, [each.key for each in wanted])

    def keep(self, results: Sequence[tuple[str, CachedResult]]) -> None: ...

    def release(self, keys: Sequence[str]) -> None: ...


class Reuse:
    """The cache as the controller uses it, for all runs.

    Args:
        results: where results are kept; None keeps none.
    """

    def __init__(self, results: ResultCache | None) -> None:
        self._results: ResultCache = _NoResults() if results is None else results
        self._open: dict[str, list[_Waiter]] = {}
        self._leaders: dict[str, tuple[RunRecord, int]] = {}

    def call(self, run: RunRecord, rows: Sequence[int], keys: Sequence[str], now: float, *, reused: Reused, queue: Queue) -> list[int]:
        """Answer calls of one task from the cache; returns the rows that are to run now.

        Args:
            run: their run.
            rows: the calls.
            keys: their keys, one each.
            now: UTC seconds.
            reused: ends rows with outputs.
            queue: queues rows, later.
        """
        settings, task = run.state.settings, run.state.task_of(rows[0])
        cache = task.cache
        if settings.disable_cache:
            return list(rows)
        reads = cache.behavior == "auto" and not settings.overwrite_cache
        if not reads and not cache.serialize:
            run.cache_keys.update(zip(rows, keys, strict=True))
            return list(rows)
        oldest_at = now - cache.max_age_seconds if cache.max_age_seconds else 0.0
        first: dict[str, int] = {}
        for row, key in zip(rows, keys, strict=True):
            if key in self._open:
                self._open[key].append(_Waiter(run, row, oldest_at, reused, queue))
            else:
                self._open[key], first[key] = [], row
        wanted = [Wanted(key, task.name, oldest_at) for key in first]
        sought = self._results.seek(wanted) if reads else Sought({}, list(first))
        left = []
        for key in sought.granted:
            self._lead(key, run, first[key])
            left.append(first.pop(key))
        for key, row in first.items():
            self._open[key].insert(0, _Waiter(run, row, oldest_at, reused, queue))
        self._found(sought.found.items(), now)
        return left

    def _lead(self, key: str, run: RunRecord, row: int) -> None:
        """A call runs, and those that are equal to it wait."""
        run.cache_keys[row] = key
        self._leaders[key] = (run, row)

    def sought(self, sought: Sought, now: float) -> None:
        """An answer came later."""
        self._found(sought.found.items(), now)
        free: dict[int, tuple[_Waiter, list[int]]] = {}
        for key in sought.granted:
            first = self._next(key)
            if first is not None:
                free.setdefault(id(first.run), (first, []))[1].append(first.row)
        for first, rows in free.values():
            first.queue(rows)

    def _found(self, found: Iterable[tuple[str, CachedResult]], now: float) -> None:
        """Hand results to those who wait for them; for whom one is too old, it is asked again."""
        told: dict[int, tuple[_Waiter, list[int], list[Item]]] = {}
        stale: list[Wanted] = []
        for key, result in found:
            waiting = [each for each in self._open.pop(key, ()) if each.is_alive]
            late = [each for each in waiting if each.oldest_at > result.at]
            for each in waiting:
                if each.oldest_at <= result.at:
                    _first, rows, outputs = told.setdefault(id(each.run), (each, [], []))
                    rows.append(each.row)
                    outputs.append(result.output)
            if late:
                self._open[key] = late
                stale.append(Wanted(key, late[0].run.state.task_of(late[0].row).name, late[0].oldest_at))
        for first, rows, outputs in told.values():
            first.reused(rows, outputs, now)
        if stale:
            self.sought(self._results.seek(stale), now)

    def _next(self, key: str) -> _Waiter | None:
        """A key is ours to compute: the first call that still waits is to run. If none does, the key is given back."""
        waiting = [each for each in self._open.pop(key, ()) if each.is_alive]
        if not waiting:
            self._results.release([key])
            return None
        self._open[key] = waiting[1:]
        self._lead(key, waiting[0].run, waiting[0].row)
        return waiting[0]

    def _pass_on(self, key: str) -> None:
        """The call that ran for a key gave no result."""
        first = self._next(key)
        if first is not None:
            first.queue([first.row])

    def ended(self, run: RunRecord, rows: Sequence[int], now: float) -> None:
        """Keep the results of rows that have ended well, and let those go on that waited for them."""
        kept: list[tuple[str, CachedResult]] = []
        for row in rows:
            key = run.cache_keys.pop(row, None)
            if key is None:
                continue
            leads = self._leads(key, run, row)
            if run.state.phases[row] == _SUCCEEDED:
                kept.append((key, CachedResult(run.state.output(row), now, run.state.name, run.state.task_of(row).name)))
            elif leads:
                self._pass_on(key)
        if kept:
            self._results.keep(kept)
            self._found([(key, result) for key, result in kept if key not in self._leaders], now)

    def _leads(self, key: str, run: RunRecord, row: int) -> bool:
        """Whether others waited for this call, which has ended; it is nobody's leader any more."""
        leads = self._leaders.get(key) == (run, row)
        if leads:
            del self._leaders[key]
        return leads

    def forget(self, run: RunRecord) -> None:
        """A run is over, in whatever way: nobody waits for what it did not end."""
        for row, key in list(run.cache_keys.items()):
            del run.cache_keys[row]
            if self._leads(key, run, row):
                self._pass_on(key)


__all__ = ["Queue", "Reuse", "Reused"]
