"""Which worker gets which queued actions next."""

from __future__ import annotations

from flyte_nb.engine.lanes import WINDOW_PROBE_ROWS
from flyte_nb.engine.stimuli import ChunkReport, SlotYielded
from tests.fakes.bench import LEAF, SYNC, Bench, chunk_ids, chunks, task


def test_async_actions_are_spread_over_all_workers(bench: Bench) -> None:
    """Each worker gets its share, the one with the least first."""
    for name in ("w1", "w2"):
        bench.join(name)
    bench.start()

    assert chunks(bench.call(10)) == [("w1", [1, 2, 3, 4, 5]), ("w2", [6, 7, 8, 9, 10])]


def test_a_full_window_keeps_the_rest_queued_until_something_ends(run: Bench) -> None:
    """What is over the window goes out as places become free."""
    (first,) = chunk_ids(run.call(40))
    assert len(run.chunk(first).rows) == WINDOW_PROBE_ROWS

    again = run.returned(first, [31], finished=False)
    assert [rows for _place, rows in chunks(again)] == [[32]]


def test_waiting_parents_do_not_use_up_their_childrens_window(bench: Bench) -> None:
    """However many async drivers wait on a worker, their children are sent."""
    bench.join()
    bench.start()
    (parents,) = chunk_ids(bench.call(WINDOW_PROBE_ROWS, task("parent")))
    bench.send(ChunkReport(parents, steps=32, busy_seconds=32.0))  # and they compute for long: two at a time from now on

    sent = bench.call(2, task("child"), parent=1, place="w1")

    assert chunks(sent) == [("w1", [33, 34])]


def test_children_go_before_new_parents(run: Bench) -> None:
    """The deepest queued action is sent first, so that waiting parents do not pile up."""
    (first, *_) = chunk_ids(run.call(5, SYNC))
    run.call(1, task("child", is_async=False), parent=1, place="w1")
    run.returned(first, range(1, len(run.chunk(first).rows)), finished=False)

    assert chunks(run.send(SlotYielded(first, waiting=True))) == [("w1", [6])]


def test_a_slot_gets_a_second_chunk_of_short_actions_only(run: Bench) -> None:
    """What is known to be short is sent ahead; what is long, or unknown, waits for a free slot."""
    unknown = chunks(run.call(100, SYNC))
    (first,) = chunk_ids(run.orders[-2:])
    run.succeed(first, range(len(run.chunk(first).rows)))

    placement = run.controller.placement
    assert len(unknown) == 1
    assert len([chunk for chunk in placement.chunks.values() if chunk.agent == "w1"]) == 2
    assert placement.agents["w1"].room == 0


def test_a_worker_that_handed_a_chunk_back_gets_nothing_ahead(run: Bench) -> None:
    """It is busy with something long: what would wait there may find a free slot elsewhere."""
    run.call(100, SYNC)
    (first,) = [chunk.id for chunk in run.controller.placement.chunks.values() if chunk.agent == "w1"]
    run.succeed(first, range(len(run.chunk(first).rows)))
    working, ahead = sorted(chunk.id for chunk in run.controller.placement.chunks.values() if chunk.agent == "w1")

    run.returned(ahead, range(len(run.chunk(ahead).rows)))

    assert [chunk.id for chunk in run.controller.placement.chunks.values() if chunk.agent == "w1"] == [working]


def test_tasks_that_wait_for_children_get_no_second_chunk(run: Bench) -> None:
    """A chunk behind one that waits would wait as well."""
    (first,) = chunk_ids(run.call(4, SYNC))
    run.controller.desk.pace(SYNC.name).calls_others = True
    run.controller.desk.pace(SYNC.name).seconds = 0.001

    assert chunks(run.returned(first, range(len(run.chunk(first).rows)))) == [("w1", [1])]


def test_a_condemned_worker_gets_nothing(run: Bench) -> None:
    """A worker that is being ended takes no more work."""
    run.controller.placement.agents["w1"].condemned = True

    assert chunks(run.call(3)) == []


def test_dropped_actions_leave_no_empty_chunk(run: Bench) -> None:
    """A lane of which nothing is wanted any more sends nothing."""
    run.lose()
    run.call(3, SYNC)
    run.call(3, LEAF)
    for row in range(1, 7):
        run.abort(row)

    assert chunks(run.join()) == []


def test_the_load_counts_slots_that_work(run: Bench) -> None:
    """A worker with async actions has one slot in use, however many they are."""
    run.join("w2", slots=2)
    placement = run.controller.placement
    idle = placement.slots_in_use()
    run.call(10)
    run.call(1, SYNC)

    assert (placement.slots(), idle, placement.slots_in_use()) == (3, 0, 3)
