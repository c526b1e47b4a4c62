"""Results that may be reused, in memory: the latest ones, up to a number and a size."""

from __future__ import annotations

from collections.abc import Callable

from flyte_nb.core.caching import CachedResult, Sought, Wanted
from flyte_nb.store.memory import MemoryStore
from flyte_nb.store.results import CacheShelf, MemoryResults, results_of


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


def filled() -> MemoryResults:
    """Results of two tasks, one of which was taken."""
    results = MemoryResults()
    results.keep([("a", CachedResult(1, 5.0, "r", "env.one")), ("b", CachedResult(2, 7.0, "r", "env.one"))])
    results.keep([("c", CachedResult("x" * 1_000, 6.0, "r", "env.two"))])
    assert results.seek([Wanted("a", "env.one"), Wanted("b", "env.one", 8.0), Wanted("d", "env.one")]).granted == ["b", "d"]
    return results


def test_lines_tell_of_each_task() -> None:
    """The largest first; a result that was too old was not taken."""
    lines = filled().lines()

    assert [(line.task, line.results, line.hits, line.oldest_at, line.newest_at) for line in lines] == [
        ("env.two", 1, 0, 6.0, 6.0),
        ("env.one", 2, 1, 5.0, 7.0),
    ]


def test_results_are_dropped_by_task_or_all() -> None:
    """And what is left stays."""
    results = filled()

    assert (results.clear("env.one"), len(results), results.clear(), results.lines()) == (2, 1, 1, [])


def test_a_shelf_opens_its_cache_on_first_use_and_anew_after_it_was_closed() -> None:
    """What listens to it is told by whichever is open."""
    opened: list[LaterResults] = []

    def open_it() -> LaterResults:
        opened.append(LaterResults())
        return opened[-1]

    shelf, told = CacheShelf(open_it), list[Sought]()
    shelf.close()
    shelf.listen(told.append)
    assert opened == []
    shelf.keep([("a", CachedResult(1, 5.0, "r", "env.one"))])
    opened[0].tell(Sought({}, ["k"]))
    shelf.close()

    assert (len(opened[0]), shelf.lines(), shelf.clear(), len(opened)) == (1, [], 0, 2)
    opened[1].tell(Sought({}, ["l"]))
    assert [sought.granted for sought in told] == [["k"], ["l"]]


def test_without_a_store_on_disk_results_are_kept_in_memory() -> None:
    """A store in memory has no file for them."""
    assert isinstance(results_of(MemoryStore(), 1_000), MemoryResults)


class LaterResults(MemoryResults):
    """A cache that tells when its test says so."""

    def listen(self, later: Callable[[Sought], None]) -> None:
        """Keep whom to tell."""
        self.tell = later
