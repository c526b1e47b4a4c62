"""Decides when an earlier result stands for a call, and which results are kept for later ones.

Results are kept by key: whoever calls works it out (the task, its code and the inputs). Errors are never kept. With `serialize`,
of several calls with one key the first one runs, and the others wait for its result; if it fails, the next one runs.

Part of the controller (pure). Must not know: how keys are made, or where results are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flyte_nb.core.caching import CachedResult, ResultCache
from flyte_nb.core.payloads import Item
from flyte_nb.core.phases import CODE, TERMINAL_CODES, ActionPhase
from flyte_nb.engine.records import RunRecord

_SUCCEEDED = CODE[ActionPhase.SUCCEEDED]

#: Ends rows of a run with these outputs: (rows, outputs, now).
Reused = Callable[[Sequence[int], Sequence[Item], float], None]
#: Queues a row of a run.
Queue = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Waiter:
    """A call that waits for an equal one."""

    run: RunRecord
    row: int
    reused: Reused
    queue: Queue


class Reuse:
    """The cache as the controller uses it, for all runs.

    Args:
        results: where results are kept; None keeps none.
    """

    def __init__(self, results: ResultCache | None) -> None:
        self._results = results
        self._waiting: dict[str, list[_Waiter]] = {}

    def find(self, run: RunRecord, task: int, key: str, now: float) -> CachedResult | None:
        """The result that stands for a call, or None."""
        cache, settings = run.state.tasks[task].cache, run.state.settings
        if self._results is None or cache.behavior != "auto" or settings.disable_cache or settings.overwrite_cache:
            return None
        found = self._results.get(key)
        if found is None or (cache.max_age_seconds and found.at + cache.max_age_seconds < now):
            return None
        return found

    def call(self, run: RunRecord, rows: Sequence[int], keys: Sequence[str], now: float, *, reused: Reused, queue: Queue) -> list[int]:
        """Answer calls of one task from the cache; returns the rows that are to run now.

        Args:
            run: their run.
            rows: the calls.
            keys: their keys, one each.
            now: UTC seconds.
            reused: ends rows with outputs.
            queue: queues a row, later.
        """
        task = run.state.nodes[run.state.node_ids[rows[0]]].task
        hits: list[tuple[int, Item]] = []
        left: list[int] = []
        for row, key in zip(rows, keys, strict=True):
            found = self.find(run, task, key, now)
            if found is not None:
                hits.append((row, found.output))
            elif self._leads(run, row, key, reused, queue):
                left.append(row)
        if hits:
            reused([row for row, _output in hits], [output for _row, output in hits], now)
        return left

    def _leads(self, run: RunRecord, row: int, key: str, reused: Reused, queue: Queue) -> bool:
        """Whether a call runs now; if not, it waits for an equal one."""
        if run.state.settings.disable_cache:
            return True
        if run.state.task_of(row).cache.serialize:
            if key in self._waiting:
                self._waiting[key].append(_Waiter(run, row, reused, queue))
                return False
            self._waiting[key] = []
        run.cache_keys[row] = key
        return True

    def ended(self, run: RunRecord, rows: Sequence[int], now: float) -> None:
        """Keep the results of rows that have ended well, and let those go on that waited for them."""
        for row in rows:
            key = run.cache_keys.pop(row, None)
            if key is None:
                continue
            succeeded = run.state.phases[row] == _SUCCEEDED
            if succeeded and self._results is not None:
                self._results.put(key, CachedResult(run.state.output(row), now, run.state.name))
            waiting = [each for each in self._waiting.pop(key, ()) if each.run.state.phases[each.row] not in TERMINAL_CODES]
            if succeeded:
                for each in waiting:
                    each.reused([each.row], [run.state.output(row)], now)
            elif waiting:
                self._waiting[key] = waiting[1:]
                waiting[0].run.cache_keys[waiting[0].row] = key
                waiting[0].queue(waiting[0].row)
