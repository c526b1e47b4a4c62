"""The controller's working memory for one run."""

from __future__ import annotations

import pytest

from flyte_nb.core.events import ActionsCalled, RunStarted
from flyte_nb.core.state import RunState
from flyte_nb.engine.fitting import Capacity
from flyte_nb.engine.lanes import Pace
from flyte_nb.engine.records import AgentRecord, RunRecord
from tests.fakes.bench import ROOT, Bench

A, B = (("k", "a"),), (("k", "b"),)


@pytest.fixture
def record() -> RunRecord:
    """The root called three, one of these called two; ports 1 and 2 of the kernel wait for them."""
    state = RunState(RunStarted("r", ROOT, (), 1.0))
    made = RunRecord(state, max_actions=10, in_kernel=True)
    for first, count, parent, port, seq, context in ((1, 2, 0, 1, 0, ()), (3, 1, 0, 1, 5, A), (4, 2, 1, 2, 0, B)):
        state.apply(ActionsCalled("r", first, parent, 0, "", [()] * count, 1.0))
        made.add(count, "kernel", port, seq, context)
        made.open_children[parent] = made.open_children.get(parent, 0) + count
    return made


def test_a_call_is_found_by_its_number(record: RunRecord) -> None:
    """Numbers are found in their batches; gaps, other ports and other places have none."""
    assert record.rows_of("kernel", 1, [0, 1, 5]) == [1, 2, 3]
    assert record.rows_of("kernel", 2, [1]) == [5]
    assert record.rows_of("kernel", 1, [2, 4, 6, 99]) == []
    assert record.rows_of("kernel", 3, [0]) == record.rows_of("w1", 1, [0]) == []
    record._batches[1].clear()
    assert record.rows_of("kernel", 1, [0]) == []


def test_a_port_is_found_by_its_call(record: RunRecord) -> None:
    """Each row knows who waits for it."""
    assert [record.port_of(row) for row in (0, 2, 3, 5)] == [("", 0, 0), ("kernel", 1, 1), ("kernel", 1, 5), ("kernel", 2, 1)]


def test_an_action_keeps_the_context_that_it_was_called_in(record: RunRecord) -> None:
    """Changes of context are kept, not a context for each row."""
    assert [record.context_of(row) for row in range(6)] == [(), (), (), A, B, B]


def test_children_lie_one_deeper_than_their_parent(record: RunRecord) -> None:
    """Depths are worked out once for each parent."""
    assert [record.depth(parent) for parent in (0, 1, 5, 5)] == [1, 2, 3, 3]


def test_there_is_one_lane_for_a_task_at_a_depth_in_a_context(record: RunRecord) -> None:
    """Another depth, or another context, is another lane."""
    pace = Pace()
    lane = record.lane(0, 1, (), pace)

    assert record.lane(0, 1, (), pace) is lane
    assert len({id(each) for each in (lane, record.lane(0, 2, (), pace), record.lane(0, 1, A, pace))}) == 3
    assert lane.is_async is ROOT.is_async


def test_open_children_are_counted_down_by_parent(record: RunRecord) -> None:
    """A parent without open children is not kept."""
    record.children_ended([0, 1, 4], 1.0)
    assert record.open_children == {0: 2, 1: 1}
    record.children_ended([5], 1.0)
    assert record.open_children == {0: 2}


def test_the_subtree_of_an_action_is_what_it_called_and_what_they_called(record: RunRecord) -> None:
    """Callers come before the called; each row once."""
    assert record.subtree([0]) == [0, 1, 2, 3, 4, 5]
    assert record.subtree([1, 4]) == [1, 4, 5]
    assert record.open_rows_below(3) == []


def test_what_has_ended_is_no_part_of_a_subtree(bench: Bench) -> None:
    """An ended child is left out, an ended row has no subtree."""
    bench.join()
    bench.start()
    (chunk,) = [order.chunk for order in bench.call(2)[-1:]]  # type: ignore[union-attr]  # a SendChunk
    bench.succeed(chunk, [0], finished=False)

    assert bench.record().subtree([0]) == [0, 2]
    assert bench.record().subtree([1]) == []
    assert bench.record().rows_of("kernel", 1, [0, 1]) == [2]


def test_a_worker_has_room_for_one_chunk_more_than_it_has_slots() -> None:
    """While its slots work, the next chunk waits there; not if it handed one back."""
    agent = AgentRecord("w1", "w1", 1, Capacity(slots=2, memory=0, gpus=0), ours=True, sync_chunks=2)

    assert (agent.free_slots, agent.room) == (0, 2)
    agent.clogged = True
    assert agent.room == 0
