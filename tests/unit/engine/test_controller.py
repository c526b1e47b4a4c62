"""The controller's own part: it routes stimuli, knows workers, and ends loudly what a defect of ours breaks."""

from __future__ import annotations

from array import array

import pytest

from flyte_nb.engine.commands import AnnounceEnd, AnswerFailure, AnswerName, ForgetRun, RefuseRun, ReportDefect, SendChunk, StopActions
from flyte_nb.engine.run_control import RunControl
from flyte_nb.engine.stimuli import (
    KERNEL,
    AbortRequested,
    AgentLost,
    Called,
    CallsCancelled,
    ChunkReport,
    NameAsked,
    SlotYielded,
    TaskOffered,
    TimeReached,
)
from tests.fakes.bench import LEAF, ROOT, SYNC, Bench, chunk_ids, chunks, stops, task, tasks_sent


# ------------------------------------------------------------------ runs
def test_a_root_in_the_kernel_is_sent_there_at_once(bench: Bench) -> None:
    """A driver needs no worker: it starts in the turn in which the run is asked for."""
    orders = bench.start()

    expected = SendChunk(
        place=KERNEL,
        chunk=1,
        run="r",
        run_started_at=1_000.0,
        digest=bench.record().tasks["root"].digest,
        is_async=True,
        rows=[0],
        inputs=[("in",)],
        attempts=[0],
        groups=[""],
        custom_context=(),
        budget_seconds=0.0,
    )
    assert orders == [expected]


def test_a_root_on_the_cluster_waits_for_a_worker(bench: Bench) -> None:
    """Nothing is sent while there is no worker; the first one to join gets the task and the root."""
    nothing = bench.start(in_kernel=False)
    orders = bench.join()

    assert nothing == []
    assert tasks_sent(orders) == [("w1", b"root")]
    assert chunks(orders) == [("w1", [0])]


def test_a_run_of_a_name_in_use_is_refused(run: Bench) -> None:
    """The live run keeps its name; the request is told why it is refused."""
    assert run.start("r") == [RefuseRun("r", "a run named 'r' is in progress")]


def test_a_name_can_be_used_again_after_the_end(run: Bench) -> None:
    """Once a run has ended, another may have its name."""
    run.succeed(run.driver, range(1))

    assert chunks(run.start("r")) == [(KERNEL, [0])]


def test_the_end_is_announced_once_and_all_places_forget(bench: Bench) -> None:
    """The kernel and every worker drop what they keep for the run, then its end is told."""
    bench.join("w1")
    bench.join("w2")
    bench.start()

    orders = bench.controller.handle([ChunkReport(1, (), range(1), ["out"], array("d", [1.0]), array("d", [2.0]), finished=True)], 2.0)

    assert orders[1:] == [ForgetRun(KERNEL, "r"), ForgetRun("w1", "r"), ForgetRun("w2", "r"), AnnounceEnd("r")]
    bench.logs["r"] += [orders[0].event]  # type: ignore[union-attr]  # the recorded end
    bench.controller.forget("r")


def test_runs_share_workers_in_turn(bench: Bench) -> None:
    """Two runs with queued actions of one depth take turns: the first one does not keep the second from starting."""
    bench.join()
    for name in ("a", "b"):
        bench.start(name)
    bench.call(4, SYNC, run="a")
    bench.call(4, SYNC, run="b")

    order = []
    for _ in range(8):
        chunk = max(bench.controller.placement.agents["w1"].chunks)
        order.append(bench.chunk(chunk).run)
        bench.returned(chunk, range(1, len(bench.chunk(chunk).rows)), finished=False)
        bench.succeed(chunk, [0])

    assert sorted(order[:4]) == ["a", "a", "b", "b"]


# ------------------------------------------------------------------ stimuli that come too late, or about something unknown
def test_calls_for_a_run_that_has_ended_are_refused(bench: Bench) -> None:
    """A left-over driver's calls get an answer, so that it does not wait for ever."""
    orders = bench.send(Called(KERNEL, 7, 3, "gone", 0, 1, "leaf", "", (), [(1,), (2,)]))

    assert [(type(order), order.port, order.seq) for order in orders if isinstance(order, AnswerFailure)] == [
        (AnswerFailure, 7, 3),
        (AnswerFailure, 7, 4),
    ]
    assert "the run has ended" in orders[0].failure.message  # type: ignore[union-attr]  # an AnswerFailure, as asserted


def test_what_is_unknown_is_ignored(bench: Bench) -> None:
    """Late stimuli about runs, chunks and workers that are gone change nothing."""
    orders = bench.send(
        TaskOffered("gone", LEAF, b""),
        AbortRequested("gone", 0, "late"),
        ChunkReport(99, finished=True),
        SlotYielded(99, waiting=True),
        AgentLost("gone", "twice"),
        CallsCancelled(KERNEL, 1, [1]),
        TimeReached(),
    )

    assert orders == []


def test_a_name_is_told_and_empty_for_what_is_gone(run: Bench) -> None:
    """A body can ask for its action's name; a left-over of an earlier run gets an empty one."""
    run.call(1)

    orders = run.send(NameAsked("w1", 5, "r", 1), NameAsked("w1", 6, "r", 99), NameAsked("w1", 7, "gone", 0))

    assert orders == [AnswerName("w1", 5, run.state().action_name(1)), AnswerName("w1", 6, ""), AnswerName("w1", 7, "")]


def test_an_abort_of_a_row_that_a_later_run_does_not_have_is_ignored(run: Bench) -> None:
    """An old handle's action may lie beyond the rows of the run that has the name now."""
    assert run.abort(99) == []


def test_a_left_over_driver_of_an_earlier_run_cannot_write_into_the_next_one(bench: Bench) -> None:
    """An abandoned driver's prints, calls and result concern nobody once its run is over, even if its name is used again."""
    bench.start()
    old = bench.driver
    bench.begin(old)
    bench.abort()
    bench.after(3.0)  # the grace is over: the driver is abandoned, the run has ended
    bench.start()

    ended = array("d", [bench.now])
    bench.send(ChunkReport(old, logs=[(0, "late\n")]))
    refused = bench.send(bench.called(1, token=old))
    bench.send(ChunkReport(old, (), range(1), ["late"], ended, ended, finished=True))

    assert bench.phase(0).value == "queued"
    assert bench.state().logs(0) == ""
    assert isinstance(refused[0], AnswerFailure)


def test_a_left_over_child_of_an_earlier_run_may_have_a_row_that_does_not_exist(bench: Bench) -> None:
    """A call whose parent lies beyond the rows of the run is refused like any other late call."""
    bench.start()

    orders = bench.send(Called("w1", 1, 0, "r", 50, 3, "leaf", "", (), [(1,)]))

    assert [type(order) for order in orders] == [AnswerFailure]


# ------------------------------------------------------------------ workers
def test_a_task_is_sent_to_each_worker_once(run: Bench) -> None:
    """A worker that has a task's bytes is not sent them again, in whatever run."""
    first = run.call(1)
    run.succeed(chunk_ids(first)[0], range(1))
    again = run.call(1)
    other = run.join("w2")

    assert (tasks_sent(first), tasks_sent(again), tasks_sent(other)) == ([("w1", b"leaf")], [], [])


def test_a_worker_that_joins_again_has_lost_what_it_had(run: Bench) -> None:
    """A second connection under one name is a new start: what the worker had is queued again, and sent again."""
    first = run.call(2)

    orders = run.join("w1")
    rest = run.begin(chunk_ids(orders)[0])

    assert chunks(first) == [("w1", [1, 2])]
    assert chunks(orders) + chunks(rest) == [("w1", [1]), ("w1", [2])]
    assert tasks_sent(orders) == [("w1", b"leaf")]


def test_a_sync_body_that_waits_lends_its_slot(run: Bench) -> None:
    """While a sync parent waits for its child, its slot takes the child; afterwards the slot is its own again."""
    parent = chunk_ids(run.call(1, SYNC))[0]
    agent = run.controller.placement.agents["w1"]
    full = agent.free_slots
    child = run.call(1, task("child", is_async=False), parent=1, place="w1")
    lent = run.send(SlotYielded(parent, waiting=True), SlotYielded(parent, waiting=True))
    run.succeed(chunk_ids(lent)[0], range(1))
    run.send(SlotYielded(parent, waiting=False), SlotYielded(parent, waiting=False))

    assert (full, child, agent.free_slots) == (0, [], 0)
    run.succeed(parent, range(1))
    assert agent.free_slots == 1


def test_a_worker_lost_while_a_slot_is_lent_leaves_no_count_behind(run: Bench) -> None:
    """The slot that a parent lent goes with its worker; a late word about it changes nothing."""
    parent = chunk_ids(run.call(1, SYNC))[0]
    run.send(SlotYielded(parent, waiting=True))

    run.lose("w1")
    late = run.send(SlotYielded(parent, waiting=False))

    assert late == []
    assert run.controller.placement.slots_in_use() == 0
    assert chunks(run.join("w2")) == [("w2", [1])]


def test_a_chunk_that_ends_while_its_slot_is_lent_gives_it_back_once(run: Bench) -> None:
    """The end of a chunk whose slot is out on loan leaves the slot free, not doubly free."""
    parent = chunk_ids(run.call(1, SYNC))[0]
    run.send(SlotYielded(parent, waiting=True))

    run.succeed(parent, range(1))

    assert run.controller.placement.agents["w1"].free_slots == 1


def test_a_driver_lends_no_slot(run: Bench) -> None:
    """A root in the kernel has no slot to lend."""
    assert run.send(SlotYielded(run.driver, waiting=True)) == []


# ------------------------------------------------------------------ defects of ours
def test_a_defect_ends_its_run_loudly_and_no_other(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """If handling a stimulus fails, its run ends with a named system error, and the next stimulus is handled."""
    run.start("other")
    held = chunk_ids(run.call(2))
    monkeypatch.setattr(RunControl, "task_offered", lambda *_: 1 // 0)

    orders = run.send(TaskOffered("r", LEAF, b""), AbortRequested("other", 0, "enough"))

    report = orders[0]
    assert isinstance(report, ReportDefect)
    assert (report.runs, "ZeroDivisionError" in report.traceback) == ("r", True)
    assert [(stop.place, list(stop.indices)) for stop in stops(orders)] == [(KERNEL, [0]), ("w1", [0, 1]), (KERNEL, [0])]
    assert [order.failure.code for order in orders if isinstance(order, AnswerFailure)] == ["EngineError", "EngineError"]
    assert run.phases() == ["failed", "aborted", "aborted"]
    failure = run.state().failures[0]
    assert (failure.kind, failure.code, "not of the task" in failure.message) == ("system", "EngineError", True)
    assert AnnounceEnd("r") in orders
    run.stopped(held[0], range(2))
    assert run.controller.placement.agents["w1"].async_rows == 0


def test_a_defect_in_a_report_keeps_the_workers_books(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that cannot be taken in still frees the worker."""
    held = chunk_ids(run.call(2))[0]
    monkeypatch.setattr(RunControl, "reported", lambda *_: 1 // 0)

    run.succeed(held, range(2))

    assert run.phases() == ["failed", "aborted", "aborted"]
    assert run.controller.placement.agents["w1"].chunks == {}


def test_a_defect_in_a_timer_ends_its_run(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was to happen later fails loudly as well."""
    held = chunk_ids(run.call(1, task("again", retries=1)))[0]
    monkeypatch.setattr(RunControl, "_queue_again", lambda *_: 1 // 0)

    run.fail(held)

    assert run.phases() == ["failed", "aborted"]


def test_a_defect_of_no_run_ends_all_of_them(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it cannot be told which run is concerned, none is left to wait for ever."""
    run.start("other")
    monkeypatch.setattr(type(run.controller.placement), "dispatch", lambda *_: 1 // 0)

    orders = run.after(1.0)

    assert [order.runs for order in orders if isinstance(order, ReportDefect)] == ["r, other"]
    assert (run.phases("r"), run.phases("other")) == (["failed"], ["failed"])


def test_a_defect_that_has_broken_the_state_still_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a state that takes no more events gets an end."""
    bench = Bench()
    bench.start()
    state = bench.state()
    monkeypatch.setattr(type(state), "apply", lambda *_: 1 // 0)

    orders = bench.call(1, task("new"))

    assert AnnounceEnd("r") in orders
    assert (state.ended_at, state.failures[0].code) == (bench.now, "EngineError")


def test_a_defect_after_the_end_changes_nothing(run: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has been announced stays as it ended."""
    monkeypatch.setattr(run.controller, "forget", lambda _name: None)
    run.succeed(run.driver, range(1))

    run.controller.runs["r"].give_up(ValueError("late"), run.now)

    assert run.phases() == ["succeeded"]
    monkeypatch.undo()
    run.controller.forget("r")


def test_the_next_instant_is_that_of_the_next_timer(run: Bench) -> None:
    """The controller says when it wants to be called; a forgotten run's timers call nothing."""
    held = chunk_ids(run.call(1, task("slow", timeout=10)))[0]
    seen = [run.controller.wake_at]
    run.begin(held)
    seen.append(run.controller.wake_at)
    run.succeed(held, range(1))
    run.succeed(run.driver, range(1))
    due = run.now + 10

    assert run.after(20) == []
    assert [*seen, run.controller.wake_at] == [None, due, None]


def test_the_root_can_be_called_as_an_action_too(run: Bench) -> None:
    """A root that ran in the kernel has no bytes yet; they come with the offer before its first call."""
    orders = run.call(1, ROOT)

    assert tasks_sent(orders) == [("w1", b"root")]
    assert [type(order) for order in orders if isinstance(order, StopActions)] == []
