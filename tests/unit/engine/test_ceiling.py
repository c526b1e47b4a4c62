"""A limit on how many actions of a run go on at once (`max_action_concurrency`)."""

from __future__ import annotations

import pytest

from flyte_nb.core.events import TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.engine.stimuli import ChunkReport, SlotYielded
from tests.fakes.bench import LEAF, SYNC, Bench, chunk_ids, chunks, task


@pytest.mark.parametrize("called", [LEAF, SYNC])
def test_no_more_actions_go_out_than_the_limit_allows(bench: Bench, called: TaskFacts) -> None:
    """The root counts; each action goes by itself, the next one when one has ended."""
    for name in ("w1", "w2"):
        bench.join(name, slots=4)
    bench.start(at_once=3)

    sent = bench.call(5, called)
    first, second = chunk_ids(sent)

    assert sorted(rows for _place, rows in chunks(sent)) == [[1], [2]]
    assert [rows for _place, rows in chunks(bench.succeed(first, [0]))] == [[3]]
    assert [rows for _place, rows in chunks(bench.succeed(second, [0]))] == [[4]]


def test_runs_without_a_limit_are_not_held_up(bench: Bench) -> None:
    """The limit is the run's own."""
    bench.join()
    bench.start("narrow", at_once=2)
    bench.start("wide")

    bench.call(5, LEAF, run="narrow")

    assert chunks(bench.call(5, LEAF, run="wide")) == [("w1", [1, 2, 3, 4, 5])]


def test_a_run_of_nothing_but_waiting_actions_goes_on(bench: Bench) -> None:
    """When all that count wait for others one more starts, the deepest first."""
    bench.join()
    bench.start(at_once=2)
    (driver, *_) = chunk_ids(bench.call(2, task("driver")))

    assert chunks(bench.call(2, LEAF, parent=1, place="w1")) == [("w1", [3])]
    (leaf,) = chunk_ids(bench.orders[-1:])
    assert chunks(bench.succeed(leaf, [0])) == [("w1", [4])]
    (leaf,) = chunk_ids(bench.orders[-1:])
    assert chunks(bench.succeed(leaf, [0])) == []
    assert chunks(bench.succeed(driver, [0])) == [("w1", [2])]


def test_a_failed_attempt_gives_up_its_place_until_the_next_one(bench: Bench) -> None:
    """What waits for another attempt does not count."""
    bench.join()
    bench.start(at_once=2)
    (first,) = chunk_ids(bench.call(2, task("flaky", retries=1)))

    again = bench.fail(first, 0, Failure("user", "ValueError", "no"))

    assert len(chunks(again)) == 1


def test_sync_actions_wait_for_a_slot_as_well(bench: Bench) -> None:
    """A limit above the slots leaves the slots as the limit."""
    bench.join(slots=1)
    bench.start(at_once=10)

    sent = bench.call(3, SYNC)
    (only,) = chunk_ids(sent)
    waiting = bench.send(SlotYielded(only, waiting=True))

    assert chunks(sent) == [("w1", [1])]
    assert chunks(waiting) == [("w1", [2])]
    assert bench.send(ChunkReport(only)) == []


def test_a_pool_bounds_each_worker_too(bench: Bench) -> None:
    """`ReusePolicy(concurrency=...)` holds beside the limit."""
    for name in ("w1", "w2"):
        bench.join(name)
    bench.start(at_once=10)

    assert sorted(chunks(bench.call(5, task("pooled", concurrency=1)))) == [("w1", [1]), ("w2", [2])]
