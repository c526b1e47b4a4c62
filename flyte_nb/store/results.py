"""Decides what is kept of results that may be reused, in this process only: the latest ones, up to a size.

Must not know: how keys are made, or whether a result is too old (the controller).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from flyte_nb.core.caching import CachedResult, Sought, Wanted
from flyte_nb.core.payloads import size_bytes

#: What is kept at most; both numbers are out of the air, and large for a notebook.
MOST_RESULTS, MOST_BYTES = 200_000, 512 * 1024 * 1024


class MemoryResults:
    """Results by key; the one that was not asked for longest goes first."""

    def __init__(self, most_results: int = MOST_RESULTS, most_bytes: int = MOST_BYTES) -> None:
        self._most_results, self._most_bytes = most_results, most_bytes
        self._results: OrderedDict[str, CachedResult] = OrderedDict()
        self._bytes = 0

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
        for each in wanted:
            result = self.get(each.key)
            if result is not None and result.at >= each.oldest_at:
                found[each.key] = result
            else:
                granted.append(each.key)
        return Sought(found, granted)

    def keep(self, results: Sequence[tuple[str, CachedResult]]) -> None:
        """See `ResultCache`."""
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

    def __len__(self) -> int:
        return len(self._results)
