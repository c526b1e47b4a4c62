"""Results that may be reused, in memory: the latest ones, up to a number and a size."""

from __future__ import annotations

from flyte_nb.core.caching import CachedResult
from flyte_nb.store.results import MemoryResults


def test_a_result_is_found_by_its_key() -> None:
    """The latest one; nothing under other keys."""
    results = MemoryResults()
    results.put("k", CachedResult(1, 0.0, "r"))
    results.put("k", CachedResult(2, 1.0, "r"))

    assert (results.get("k"), results.get("other"), len(results)) == (CachedResult(2, 1.0, "r"), None, 1)


def test_the_one_that_was_not_asked_for_longest_goes_first() -> None:
    """When there are too many."""
    results = MemoryResults(most_results=2)
    for key in "ab":
        results.put(key, CachedResult(key, 0.0, "r"))
    results.get("a")
    results.put("c", CachedResult("c", 0.0, "r"))

    assert [results.get(key) is not None for key in "abc"] == [True, False, True]


def test_large_results_push_others_out() -> None:
    """When they take too much; a single one stays, however large."""
    results = MemoryResults(most_bytes=1_000)
    results.put("small", CachedResult(b"x", 0.0, "r"))
    results.put("large", CachedResult(b"x" * 2_000, 0.0, "r"))

    assert (results.get("small"), results.get("large") is not None) == (None, True)
