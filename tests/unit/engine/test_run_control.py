"""One run: its calls, attempts, retries, time limits and ends. Instants are given; nothing waits."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import StoredBlob
from flyte_nb.core.policy import Backoff, RetryStrategy
from flyte_nb.engine.answers import too_many_failure
from flyte_nb.engine.commands import AnnounceEnd, AnswerFailure, AnswerOutputs, KillWorker, StopActions
from flyte_nb.engine.stimuli import KERNEL, CallsCancelled, ChunkReport
from tests.fakes.bench import LEAF, SYNC, USER_ERROR, Bench, chunk_ids, chunks, stops, task


def only(commands: Sequence[object], kind: type) -> list[object]:
    """The orders of one kind."""
    return [command for command in commands if isinstance(command, kind)]


# ------------------------------------------------------------------ calls
def test_calls_made_in_one_go_travel_together(run: Bench) -> None:
    """A fan-out becomes one event and one chunk; rows, inputs and attempts stand side by side."""
    orders = run.call(3, group="g")

    chunk = orders[-1]
    assert chunks(orders) == [("w1", [1, 2, 3])]
    assert chunk == orders[-1]
    assert (chunk.inputs, list(chunk.attempts), chunk.groups) == ([(0,), (1,), (2,)], [0, 0, 0], ["g"])  # type: ignore[union-attr]


def test_calls_in_several_groups_keep_their_own(run: Bench) -> None:
    """One chunk may hold actions of several groups."""
    run.lose()
    run.call(1, group="a")
    run.call(1, group="b")

    orders = run.join()

    assert orders[-1].groups == ["a", "b"]  # type: ignore[union-attr]  # a SendChunk


def test_calls_over_the_limit_are_refused_together(bench: Bench) -> None:
    """The call that would exceed `max_actions` gets a named error; earlier actions go on."""
    bench.join()
    bench.start(max_actions=3)
    bench.call(2)

    refused = bench.call(2)
    accepted = bench.call(1)

    failures = [order.failure for order in refused if isinstance(order, AnswerFailure)]
    assert [failure.code for failure in failures] == [too_many_failure("r", 3).code] * 2
    assert "limit of 3 actions" in failures[0].message
    assert bench.state().count == 4
    assert only(accepted, AnswerFailure) == []


def test_a_call_of_a_task_that_nobody_offered_is_refused(run: Bench) -> None:
    """A call of an unknown task gets an error of the system, and no other action suffers."""
    orders = run.send(run.called(1, task("unknown")))

    assert [(order.failure.kind, order.failure.code) for order in orders if isinstance(order, AnswerFailure)] == [
        ("system", "TaskMissingError")
    ]


def test_a_call_with_an_old_token_is_refused(run: Bench) -> None:
    """What an attempt that was given up on calls is refused."""
    orders = run.call(1, token=run.driver + 99)

    assert "its action has ended" in orders[0].failure.message  # type: ignore[union-attr]  # an AnswerFailure


def test_a_call_of_an_action_that_is_being_stopped_is_refused(run: Bench) -> None:
    """An action that was told to stop makes no more calls."""
    run.abort()

    orders = run.call(1)

    assert "enough" in orders[0].failure.message  # type: ignore[union-attr]  # an AnswerFailure


# ------------------------------------------------------------------ success
def test_outputs_go_to_the_ports_that_wait_for_them(run: Bench) -> None:
    """One report about calls of several ports becomes one answer a port."""
    run.lose()
    run.call(2)
    first = run.called(1)
    run.send(type(first)(**{name: getattr(first, name) for name in first.__slots__} | {"port": 2, "place": "w9"}))
    (chunk,) = chunk_ids(run.join())

    orders = run.succeed(chunk, [0, 1, 2])

    assert [(order.place, order.port, list(order.seqs), order.outputs) for order in orders if isinstance(order, AnswerOutputs)] == [
        (KERNEL, 1, [0, 1], ["row 1", "row 2"]),
        ("w9", 2, [2], ["row 3"]),
    ]


def test_the_late_end_of_an_attempt_that_was_given_up_on_is_refused(bench: Bench) -> None:
    """A driver that did not stop in time was replaced: whatever the old one still says, the new one's result counts."""
    bench.start(root=task("root", timeout=10, retries=1))
    old = bench.driver
    bench.begin(old)
    bench.after(10.1)
    (new,) = chunk_ids(bench.after(2.1))
    events = len(bench.logs["r"])

    bench.begin(old)
    bench.fail(old, finished=False)
    bench.stopped(old, finished=False)
    late = bench.succeed(old, range(1), output="late")

    assert (late, len(bench.logs["r"])) == ([], events)
    bench.succeed(new, range(1), output="new")
    assert (bench.phases(), bench.state().output(0)) == (["succeeded"], "new")


def test_a_file_with_an_output_lives_as_long_as_the_output(run: Bench, tmp_path: Path) -> None:
    """The kernel takes over the file that a worker wrote a large output to."""
    path = tmp_path / "large"
    path.write_bytes(b"x")
    (chunk,) = chunk_ids(run.call(1))

    blob = StoredBlob(str(path), 1, raw=True)
    at = array("d", [run.now])
    run.send(ChunkReport(chunk, (), range(1), [blob], at, at, finished=True))

    assert path.exists()
    assert run.state().output(1) is blob


def test_prints_are_kept_with_their_action(run: Bench) -> None:
    """What an attempt printed is recorded under its action."""
    (chunk,) = chunk_ids(run.call(2))

    run.send(ChunkReport(chunk, logs=[(1, "hello\n"), (1, "again\n")]))

    assert (run.state().logs(1), run.state().logs(2)) == ("", "hello\nagain\n")


def test_a_run_whose_root_has_ended_runs_until_its_last_action_has(run: Bench) -> None:
    """The end is told when the root and all its descendants have ended."""
    (chunk,) = chunk_ids(run.call(1))

    at_end_of_root = run.succeed(run.driver, range(1))
    at_end_of_all = run.stopped(chunk)

    assert (only(at_end_of_root, AnnounceEnd), only(at_end_of_all, AnnounceEnd)) == ([], [AnnounceEnd("r")])
    assert run.phases() == ["succeeded", "aborted"]


# ------------------------------------------------------------------ failures and retries
def test_a_failure_goes_to_its_caller_with_where_it_happened(run: Bench) -> None:
    """The caller is told the run, the action, the task, the path and the inputs; the worker is named."""
    (chunk,) = chunk_ids(run.call(1))

    (answer,) = only(run.fail(chunk), AnswerFailure)

    assert isinstance(answer, AnswerFailure)
    assert answer.where == ("r", run.state().action_name(1), "env.leaf", "root > leaf", "x=0")
    assert (answer.failure.code, answer.failure.worker) == ("ValueError", "name-w1")
    assert run.phases() == ["running", "failed"]


def test_a_failed_attempt_is_followed_by_another_until_the_retries_are_used_up(run: Bench) -> None:
    """Two retries are three attempts; the third failure is the action's."""
    flaky = task("flaky", retries=2)
    (first,) = chunk_ids(run.call(1, flaky))

    (second,) = chunk_ids(run.fail(first))
    (third,) = chunk_ids(run.fail(second))
    orders = run.fail(third)

    assert only(orders, StopActions) == []
    assert run.phases() == ["running", "failed"]
    assert run.state().attempts[1] == 3
    assert [record.ending for record in run.state().past[1]] == ["user", "user", "failed"]


def test_waits_between_attempts_follow_the_backoff(run: Bench) -> None:
    """The next attempt starts when its time has come, not before."""
    strategy = RetryStrategy(2, Backoff(timedelta(seconds=1), factor=3.0, cap=timedelta(seconds=10)))
    (first,) = chunk_ids(run.call(1, task("flaky", retries=strategy)))

    run.fail(first)
    early = run.after(0.9)
    (second,) = chunk_ids(run.after(0.2))
    run.fail(second)
    still_early = run.after(2.9)

    assert (early, still_early) == ([], [])
    assert chunks(run.after(0.2)) == [("w1", [1])]


def test_a_failure_that_is_not_to_be_retried_ends_the_action(run: Bench) -> None:
    """A failure that says so is final, whatever the retries."""
    (chunk,) = chunk_ids(run.call(1, task("flaky", retries=5)))

    run.fail(chunk, failure=Failure("user", "NonRecoverableError", "no", retryable=False))

    assert run.phases() == ["running", "failed"]


def test_a_root_in_the_kernel_is_tried_again_there(bench: Bench) -> None:
    """A driver's retry is a new chunk, and so a new token."""
    bench.start(root=task("root", retries=1))
    old = bench.driver

    orders = bench.fail(old)

    assert chunks(orders) == [(KERNEL, [0])]
    assert orders[0].attempts == [1]  # type: ignore[union-attr]  # a SendChunk
    assert bench.driver != old


def test_an_action_aborted_before_its_next_attempt_stays_aborted(run: Bench) -> None:
    """When the time of the next attempt comes, an action that was aborted meanwhile is left alone."""
    strategy = RetryStrategy(1, Backoff(timedelta(seconds=5)))
    (first,) = chunk_ids(run.call(1, task("flaky", retries=strategy)))
    run.fail(first)

    run.abort(1)

    assert run.after(6) == []
    assert run.phases() == ["running", "aborted"]


def test_what_a_failed_attempt_called_is_stopped(run: Bench) -> None:
    """Children of an attempt that failed do not go on beside those of the next one."""
    (parent,) = chunk_ids(run.call(1, task("parent", retries=1)))
    (child,) = chunk_ids(run.call(1, parent=1, place="w1"))

    orders = run.fail(parent)

    assert [(stop.chunk, list(stop.indices)) for stop in stops(orders)] == [(child, [0])]
    run.stopped(child)


# ------------------------------------------------------------------ an end stops what was called
def test_a_root_that_ends_stops_what_it_called(run: Bench) -> None:
    """What is queued is dropped, what runs is told to stop."""
    run.call(1)
    run.join("w2", 0)
    run.controller.placement.agents["w2"].condemned = True
    run.call(40, SYNC)

    orders = run.succeed(run.driver, range(1))

    assert set(run.phases()) == {"succeeded", "queued", "aborted"}
    assert len(stops(orders)) == 2
    for stop in stops(orders):
        run.stopped(stop.chunk, list(stop.indices))
    assert run.state().phase.value == "succeeded"


def test_an_action_that_ends_stops_what_it_called_even_if_it_was_the_roots_only_child(run: Bench) -> None:
    """A grandchild that nobody waits for is stopped when its caller ends, not when the run does."""
    (parent,) = chunk_ids(run.call(1))
    (left,) = chunk_ids(run.call(1, task("left"), parent=1, place="w1"))

    orders = run.succeed(parent, range(1))

    assert [(stop.chunk, list(stop.indices)) for stop in stops(orders)] == [(left, [0])]
    run.stopped(left)
    assert run.phases() == ["running", "succeeded", "aborted"]


def test_the_end_of_one_of_many_parents_stops_its_own_children_only(run: Bench) -> None:
    """A parent's end does not touch what its siblings called."""
    (parents,) = chunk_ids(run.call(2))
    (first,) = chunk_ids(run.call(1, task("of-one"), parent=1, place="w1"))
    (second,) = chunk_ids(run.call(1, task("of-two"), parent=2, place="w1"))

    orders = run.succeed(parents, [0], finished=False)

    assert [stop.chunk for stop in stops(orders)] == [first]
    assert second in run.controller.placement.chunks
    run.stopped(first)


# ------------------------------------------------------------------ cancel and abort
def test_a_cancelled_call_that_is_queued_is_dropped(run: Bench) -> None:
    """A call that its caller gave up on before it was sent never runs, also when a worker comes."""
    run.lose()
    run.call(3)

    run.send(CallsCancelled(KERNEL, 1, [1]))
    orders = run.join()

    assert chunks(orders) == [("w1", [1, 3])]
    assert run.phases() == ["running", "queued", "aborted", "queued"]


def test_thousands_of_cancelled_calls_do_not_hide_those_behind_them(run: Bench) -> None:
    """The rows that are still wanted are found at once, however many dropped ones are queued before them."""
    run.lose()
    run.call(900)
    run.send(CallsCancelled(KERNEL, 1, range(895)))

    assert chunks(run.join()) == [("w1", [896, 897, 898, 899, 900])]


def test_a_cancelled_call_that_runs_is_told_to_stop(run: Bench) -> None:
    """The stop names the position in the chunk; the action ends when its worker says so."""
    (chunk,) = chunk_ids(run.call(3))

    orders = run.send(CallsCancelled(KERNEL, 1, [2]), CallsCancelled(KERNEL, 1, [2]))

    assert [(stop.chunk, list(stop.indices)) for stop in stops(orders)] == [(chunk, [2])]
    assert run.phases()[3] == "queued"
    run.stopped(chunk, [2], finished=False)
    assert run.phases()[3] == "aborted"


def test_a_stop_finds_its_actions_in_a_chunk_of_scattered_rows(run: Bench) -> None:
    """Chunks whose rows are not adjacent are told the right positions too."""
    run.lose()
    run.call(5)
    run.send(CallsCancelled(KERNEL, 1, [1, 3]))
    (chunk,) = chunk_ids(run.join())

    (stop,) = stops(run.abort(5))

    assert (list(run.chunk(chunk).rows), list(stop.indices)) == ([1, 3, 5], [2])


def test_cancels_of_unknown_calls_are_ignored(run: Bench) -> None:
    """Numbers that no port has, and ports that no run has, change nothing."""
    run.call(1)

    assert run.send(CallsCancelled(KERNEL, 1, [77]), CallsCancelled(KERNEL, 42, [0]), CallsCancelled("w5", 1, [0])) == []


def test_an_abort_of_the_run_stops_everything_and_tells_why(run: Bench) -> None:
    """The driver and what runs are told to stop; the reason is kept with each action."""
    (held,) = chunk_ids(run.call(1))
    run.call(2, SYNC)

    orders = run.abort()

    assert min((stop.place, stop.chunk) for stop in stops(orders)) == (KERNEL, run.driver)
    for stop in stops(orders):
        run.stopped(stop.chunk, list(stop.indices))
    assert (held in run.controller.placement.chunks, run.phases()) == (False, ["aborted"] * 4)
    assert {run.state().abort_reason(row) for row in range(4)} == {"enough"}


def test_an_aborted_action_tells_its_caller(run: Bench) -> None:
    """A parent that awaits an action that somebody aborted gets a named error."""
    (chunk,) = chunk_ids(run.call(1))
    run.abort(1)

    (answer,) = only(run.stopped(chunk), AnswerFailure)

    assert isinstance(answer, AnswerFailure)
    assert (answer.failure.code, answer.failure.retryable, "enough" in answer.failure.message) == ("ActionAbortedError", False, True)


def test_an_action_that_succeeds_before_it_hears_of_the_stop_has_succeeded(run: Bench) -> None:
    """What was done is kept."""
    (chunk,) = chunk_ids(run.call(1, task("slow", timeout=1)))
    run.begin(chunk)
    run.abort(1)

    run.succeed(chunk, range(1))

    assert run.phases() == ["running", "succeeded"]


@pytest.mark.parametrize("is_late", [False, True], ids=["its call was stopped", "its call was refused"])
def test_a_driver_that_returns_although_its_calls_were_stopped_with_it_has_no_result(run: Bench, is_late: bool) -> None:  # noqa: FBT001 - a case
    """It took their errors for results: a recovery must not take what it made of them for an output."""
    (chunk,) = chunk_ids(run.call(1, SYNC))
    run.begin(chunk)
    if is_late:
        run.abort(1)
        run.call(1, task("called"), parent=1)
    else:
        (called,) = chunk_ids(run.call(1, task("called"), parent=1))
        run.abort(1)
        run.stopped(called)

    (answer,) = only(run.succeed(chunk, range(1)), AnswerFailure)

    assert isinstance(answer, AnswerFailure)
    assert (answer.failure.code, set(run.phases()[1:])) == ("ActionAbortedError", {"aborted"})


def test_an_action_that_raises_while_it_is_stopped_is_aborted(run: Bench) -> None:
    """What a body raises when it is stopped is not why it ended; no other attempt is made."""
    (chunk,) = chunk_ids(run.call(1, task("flaky", retries=3)))
    run.abort(1)

    assert chunks(run.fail(chunk)) == []
    assert run.phases() == ["running", "aborted"]


def test_actions_handed_back_while_they_are_stopped_are_aborted(run: Bench) -> None:
    """A row that comes back unstarted is not queued again if it was to stop."""
    (chunk,) = chunk_ids(run.call(3))
    run.abort(2)

    orders = run.returned(chunk, [0, 1, 2])

    assert chunks(orders) == [("w1", [1, 3])]
    assert run.phases() == ["running", "queued", "aborted", "queued"]


def test_actions_handed_back_are_sent_again(run: Bench) -> None:
    """What a chunk did not start goes before what is queued."""
    run.join("w2")
    (chunk, *_others) = chunk_ids(run.call(100, SYNC))

    orders = run.returned(chunk, range(len(run.chunk(chunk).rows)))

    assert next(rows for _place, rows in chunks(orders))[0] == 1


def test_rows_that_a_chunk_no_longer_holds_cannot_be_handed_back(run: Bench) -> None:
    """A second hand-back of the same rows is ignored."""
    (chunk,) = chunk_ids(run.call(2))
    run.returned(chunk, [0], finished=False)

    assert chunks(run.returned(chunk, [0], finished=False)) == []


def test_a_driver_that_returns_rows_is_not_queued(run: Bench) -> None:
    """The chunk of a root in the kernel has no lane to go back to."""
    assert run.send(ChunkReport(run.driver, returned=[])) == []
    control = run.controller.runs["r"]
    control._returned(run.chunk(run.driver), [], run.now)


# ------------------------------------------------------------------ grace
def test_a_worker_with_an_action_that_does_not_stop_is_ended(run: Bench) -> None:
    """After the grace the worker is ended, once, and takes no more chunks until it is gone."""
    (chunk,) = chunk_ids(run.call(1, SYNC))
    run.begin(chunk)
    run.abort(1)

    early = run.after(1.9)
    orders = run.after(0.2)
    again = run.after(5)
    run.call(3)

    assert (early, again) == ([], [])
    assert orders == [KillWorker("w1", "an action did not stop within 2 s")]
    run.lose()
    assert run.phases()[1] == "aborted"
    assert chunks(run.join()) == [("w1", [2, 3, 4])]


def test_two_actions_that_do_not_stop_end_their_worker_once(run: Bench) -> None:
    """A worker that is being ended is not ended again."""
    chunk, other = chunk_ids(run.call(1)) + chunk_ids(run.call(1, SYNC))
    run.abort(1)
    run.abort(2)

    assert len(only(run.after(2.5), KillWorker)) == 1
    assert {chunk, other} <= set(run.controller.placement.chunks)


def test_an_action_that_stops_in_time_costs_nobody_a_worker(run: Bench) -> None:
    """The grace is over, but nothing is left to stop."""
    (chunk,) = chunk_ids(run.call(1))
    run.abort(1)
    run.stopped(chunk)

    assert run.after(3) == []


def test_a_worker_that_is_not_ours_is_not_ended(bench: Bench) -> None:
    """On somebody else's cluster the action goes on, and its slot stays taken."""
    bench.join(ours=False)
    bench.start()
    bench.call(1)
    bench.abort(1)

    assert bench.after(3) == []


def test_a_driver_that_does_not_yield_is_abandoned(run: Bench) -> None:
    """A root in the kernel cannot be ended: its run ends without it, and its later calls are refused."""
    old = run.driver
    run.abort()

    orders = run.after(2.1)
    late = run.call(1, run="r", token=old) if "r" in run.controller.runs else []

    assert (AnnounceEnd("r") in orders, late) == (True, [])
    assert run.phases() == ["aborted"]


def test_bystanders_of_an_ended_worker_are_sent_again_free_of_charge(run: Bench) -> None:
    """Eleven ends of their worker for something else's sake do not fail an action."""
    run.call(1, task("patient"))
    for _ in range(11):
        (chunk,) = [each for each in run.controller.placement.chunks.values() if list(each.rows) == [1]]
        run.begin(chunk.id)
        run.call(1, SYNC)
        run.abort(run.state().count - 1)
        run.after(2.5)
        run.lose()
        run.join()

    assert run.phases()[1] == "queued"
    assert run.record().losses == {}


# ------------------------------------------------------------------ time limits
def test_an_attempt_over_its_time_limit_is_told_to_stop_and_has_timed_out(run: Bench) -> None:
    """The limit counts from the start that was told; the phase is timed_out, the error named."""
    (chunk,) = chunk_ids(run.call(1, task("slow", timeout=10)))
    run.begin(chunk)

    early = run.after(9.9)
    orders = run.after(0.2)
    (answer,) = only(run.stopped(chunk), AnswerFailure)

    assert early == []
    assert [(stop.chunk, list(stop.indices)) for stop in stops(orders)] == [(chunk, [0])]
    assert isinstance(answer, AnswerFailure)
    assert (answer.failure.kind, answer.failure.code) == ("timeout", "MaxRuntimeExceededError")
    assert run.phases() == ["running", "timed_out"]


def test_an_attempt_within_its_time_limit_is_left_alone(run: Bench) -> None:
    """The limit of an attempt that has ended concerns nobody."""
    (chunk,) = chunk_ids(run.call(1, task("slow", timeout=10)))
    run.begin(chunk)
    run.succeed(chunk, range(1))

    assert run.after(11) == []


def test_what_a_body_raises_when_its_time_is_over_does_not_hide_the_timeout(run: Bench) -> None:
    """A body that answers the stop with an error of its own has timed out all the same."""
    (chunk,) = chunk_ids(run.call(1, task("slow", timeout=10)))
    run.begin(chunk)
    began = run.now
    run.after(10.1)

    run.send(ChunkReport(chunk, failed=[(0, USER_ERROR, began, run.now)], finished=True))

    assert run.phases() == ["running", "timed_out"]


def test_a_failure_from_before_the_time_limit_is_the_bodys_own(run: Bench) -> None:
    """An error that crossed the stop on its way is shown as the user's, not as a timeout."""
    (chunk,) = chunk_ids(run.call(1, task("slow", timeout=10)))
    run.begin(chunk)
    began = run.now
    run.after(10.1)

    run.send(ChunkReport(chunk, failed=[(0, USER_ERROR, began, began + 9.9)], finished=True))

    assert run.phases() == ["running", "failed"]


def test_a_timeout_uses_up_a_retry(run: Bench) -> None:
    """An attempt that ran for too long is tried again while retries are left."""
    (chunk,) = chunk_ids(run.call(1, task("slow", timeout=10, retries=1)))
    run.begin(chunk)
    run.after(10.1)

    (second,) = chunk_ids(run.stopped(chunk))
    run.begin(second)
    run.after(10.1)
    run.stopped(second)

    assert run.phases() == ["running", "timed_out"]
    assert run.state().attempts[1] == 2


def test_an_abort_outdoes_a_timeout(run: Bench) -> None:
    """An action that is being stopped for its time limit is not tried again once somebody aborts it."""
    (chunk,) = chunk_ids(run.call(1, task("slow", timeout=10, retries=5)))
    run.begin(chunk)
    run.after(10.1)

    run.abort()
    run.stopped(run.driver)
    orders = run.stopped(chunk)

    assert chunks(orders) == []
    assert run.phases() == ["aborted", "aborted"]
    assert run.state().abort_reason(1) == "enough"


def test_a_time_limit_that_is_reached_while_the_action_is_stopped_changes_nothing(run: Bench) -> None:
    """An aborted action that overruns its limit on the way out is aborted, not timed out."""
    (chunk,) = chunk_ids(run.call(1, task("slow", timeout=1)))
    run.begin(chunk)
    run.abort(1)

    assert stops(run.after(1.5)) == []
    run.stopped(chunk)
    assert run.phases() == ["running", "aborted"]


def test_a_timed_out_attempt_whose_worker_had_to_be_ended_is_tried_again_once(run: Bench) -> None:
    """A body that sleeps through its time limit costs its worker; its next attempt is queued once."""
    (chunk,) = chunk_ids(run.call(1, task("slow", is_async=False, timeout=10, retries=1)))
    run.begin(chunk)
    run.after(10.1)
    killed = run.after(2.1)
    run.lose()

    orders = run.join()

    assert len(only(killed, KillWorker)) == 1
    assert chunks(orders) == [("w1", [1])]
    assert len(run.record().lanes) == 1


def test_a_timed_out_row_that_is_handed_back_is_queued_once(run: Bench) -> None:
    """A hand-back that crosses the stop of a time limit queues no second attempt beside the retry."""
    (chunk,) = chunk_ids(run.call(1, task("slow", timeout=10, retries=1)))
    run.begin(chunk)
    run.after(10.1)

    assert chunks(run.returned(chunk, [0])) == [("w1", [1])]


def test_a_driver_over_its_time_limit_is_told_to_stop(bench: Bench) -> None:
    """Roots in the kernel have time limits too, and retries after them."""
    bench.start(root=task("root", timeout=10, retries=1))
    old = bench.driver
    bench.begin(old)

    orders = bench.after(10.1)
    (new,) = chunk_ids(bench.stopped(old))

    assert [(stop.place, stop.chunk) for stop in stops(orders)] == [(KERNEL, old)]
    assert new != old


# ------------------------------------------------------------------ lost workers
def test_actions_of_a_lost_worker_run_elsewhere(run: Bench) -> None:
    """Each start is an attempt; the loss costs no retry; the second attempt's result counts."""
    (chunk,) = chunk_ids(run.call(1))
    run.begin(chunk)

    run.lose()
    (again,) = chunk_ids(run.join("w2"))
    run.succeed(again, range(1))

    assert run.phases() == ["running", "succeeded"]
    assert (run.state().attempts[1], [record.ending for record in run.state().past[1]]) == (2, ["lost"])
    assert run.state().workers[run.state().worker_ids[1]] == "name-w2"


def test_actions_that_had_not_started_on_a_lost_worker_are_not_suspects(run: Bench) -> None:
    """Of an async chunk those that ran are tried apart, in two halves; the others go first, together."""
    (chunk,) = chunk_ids(run.call(10))
    run.begin(chunk, [0, 1, 2])
    run.after(1)

    run.lose()
    seen = chunks(run.join("w2"))
    while sum(len(rows) for _place, rows in seen) < 10:
        newest = max(run.controller.placement.chunks)
        seen += chunks(run.begin(newest, range(len(run.chunk(newest).rows))))

    assert sorted(rows for _place, rows in seen) == [[1, 2], [3], [4, 5, 6, 7, 8, 9, 10]]


@pytest.mark.parametrize("is_async", [True, False])
def test_an_action_that_ends_its_worker_at_once_is_found_and_fails(run: Bench, is_async: bool) -> None:  # noqa: FBT001 - a parameter
    """Even if no start is ever told, the culprit is isolated, its attempts are bounded, and the others succeed."""
    run.call(8, task("some", is_async=is_async))
    losses = 0
    while run.phases()[5] == "queued" and losses < 100:
        held = [chunk for chunk in run.controller.placement.chunks.values() if chunk.agent == "w1"]
        guilty = [chunk for chunk in held if 5 in chunk.rows]
        if guilty:
            losses += 1
            run.lose()
            run.join()
        elif held:
            run.succeed(held[0].id, range(len(held[0].rows)))
        else:
            run.after(1)
    while held := [chunk for chunk in run.controller.placement.chunks.values() if chunk.agent == "w1"]:
        run.succeed(held[0].id, range(len(held[0].rows)))

    assert run.phases() == ["running", *["succeeded"] * 4, "failed", *["succeeded"] * 3]
    assert losses < 20
    assert (run.state().failures[5].kind, run.state().failures[5].code) == ("system", "WorkerLostError")


def test_an_action_that_was_told_to_stop_on_a_lost_worker_is_aborted(run: Bench) -> None:
    """A loss is as good as a stop."""
    (chunk,) = chunk_ids(run.call(2))
    run.begin(chunk, [0, 1])
    run.abort(1)

    run.lose()

    assert run.phases() == ["running", "aborted", "queued"]


def test_what_a_lost_action_called_does_not_outlive_the_run(run: Bench) -> None:
    """Children of a lost attempt end with the run at the latest, wherever they run."""
    run.join("w2")
    run.call(1)
    parent_place = run.controller.placement.chunks[max(run.controller.placement.chunks)].agent
    other = "w1" if parent_place == "w2" else "w2"
    run.call(6, task("child"), parent=1, place=parent_place)
    run.lose(parent_place)

    run.abort()
    for chunk in list(run.controller.placement.chunks.values()):
        run.stopped(chunk.id, range(len(chunk.rows)))

    assert run.state().phase.value == "aborted"
    assert run.controller.placement.agents[other].chunks == {}


def test_the_loss_of_a_worker_of_a_run_that_has_ended_changes_nothing(run: Bench) -> None:
    """Chunks that a finished run left on a worker go with it."""
    (chunk,) = chunk_ids(run.call(1))
    run.controller.runs["r"].give_up(ValueError("broken"), run.now)
    run.after(0)

    assert run.lose() == []
    assert chunk not in run.controller.placement.chunks


def test_a_root_on_the_cluster_that_keeps_dying_fails_the_run(bench: Bench) -> None:
    """A root's losses are bounded too."""
    bench.join()
    bench.start(root=task("root", is_async=False), in_kernel=False)
    for _ in range(11):
        bench.lose()
        bench.join()
        bench.after(5)

    assert bench.phases() == ["failed"]
    assert "11 times" in bench.state().failures[0].message


def test_begun_is_told_once(run: Bench) -> None:
    """A second word of the same start is no second attempt."""
    (chunk,) = chunk_ids(run.call(1))

    run.begin(chunk)
    run.begin(chunk)

    assert run.state().attempts[1] == 1


def test_custom_context_travels_with_the_calls(run: Bench) -> None:
    """Actions called in another context travel in chunks of their own, and keep it in their next attempt."""
    run.call(1)
    call = run.called(1)
    fields = {name: getattr(call, name) for name in call.__slots__}
    orders = run.send(type(call)(**fields | {"custom_context": (("k", "v"),)}))

    assert [order.custom_context for order in orders] == [(("k", "v"),)]  # type: ignore[union-attr]  # SendChunks
    assert run.record().context_of(1) == ()
    assert run.record().context_of(2) == (("k", "v"),)
    assert LEAF.key in run.record().tasks
