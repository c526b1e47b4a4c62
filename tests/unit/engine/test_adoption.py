"""What an action called stays its own: its next attempt takes over what the earlier one left."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from flyte_nb.core.events import TaskFacts
from flyte_nb.core.phases import ActionPhase
from flyte_nb.engine.commands import AnswerFailure, AnswerOutputs, Command, SendChunk
from flyte_nb.engine.stimuli import KERNEL, Called, CallsCancelled, TaskOffered
from tests.fakes.bench import LEAF, Bench, chunk_ids, chunks, stops, task

DRIVER = task("driver", retries=1)
OTHER = task("other")


def calls(bench: Bench, values: Sequence[int], *, seq: int, port: int = 5, group: str = "", of: TaskFacts = LEAF) -> list[Command]:
    """Row 1, the driver, calls a task with these inputs from the worker that it runs on."""
    token = bench.record().tokens[1]
    called = Called(bench.chunk(token).agent, port, seq, "r", 1, token, of.key, group, (), [(value,) for value in values])
    return bench.send(TaskOffered("r", of, of.key.encode()), called)


def outputs(commands: Sequence[Command]) -> list[tuple[str, int, list[int], list[object]]]:
    """(place, port, sequence numbers, outputs) of the answers among some orders."""
    return [(each.place, each.port, list(each.seqs), list(each.outputs)) for each in commands if isinstance(each, AnswerOutputs)]


def failures(commands: Sequence[Command]) -> list[tuple[int, str]]:
    """(sequence number, code) of the failures among some orders."""
    return [(each.seq, each.failure.code) for each in commands if isinstance(each, AnswerFailure)]


def on_w2(commands: Sequence[Command]) -> int:
    """The chunk that went to worker w2."""
    return next(order.chunk for order in commands if isinstance(order, SendChunk) and order.place == "w2")


@pytest.fixture
def driver(run: Bench) -> Bench:
    """A run whose action 1 is a driver that runs on worker w1."""
    (chunk,) = chunk_ids(run.call(1, DRIVER))
    run.begin(chunk)
    return run


def lose_driver(bench: Bench) -> None:
    """The driver's worker dies; its next attempt begins on another one."""
    bench.join("w2")
    bench.lose(bench.chunk(bench.record().tokens[1]).agent)
    bench.begin(bench.record().tokens[1])


def test_what_has_ended_is_answered_at_once(driver: Bench) -> None:
    """The next attempt makes the same calls: two results are there, nothing runs again."""
    (chunk,) = chunk_ids(calls(driver, [7, 8], seq=0))
    driver.succeed(chunk, range(2))
    lose_driver(driver)

    made = calls(driver, [8, 7], seq=0)

    assert outputs(made) == [("w2", 5, [0], ["row 3"]), ("w2", 5, [1], ["row 2"])]
    assert chunks(made) == []
    assert driver.state().count == 4


def test_a_failure_is_answered_too(driver: Bench) -> None:
    """A child that failed under the lost attempt has failed for the next one as well."""
    (chunk,) = chunk_ids(calls(driver, [7], seq=0))
    driver.fail(chunk)
    lose_driver(driver)

    assert failures(calls(driver, [7], seq=3)) == [(3, "ValueError")]


def test_what_goes_on_answers_the_new_attempt(driver: Bench) -> None:
    """An open child is not stopped; its result goes to who waits for it now."""
    driver.join("w2")
    kept = on_w2(calls(driver, range(40), seq=0))
    row = driver.chunk(kept).rows[0]
    lost = driver.lose("w1")
    driver.begin(driver.record().tokens[1])

    calls(driver, range(40), seq=100, port=9)
    answer = driver.succeed(kept, [0], finished=False)

    assert stops(lost) == []
    assert outputs(answer) == [("w2", 9, [100 + row - 2], [f"row {row}"])]
    assert driver.state().count == 42


def test_the_nth_identical_call_is_the_nth_one_before(driver: Bench) -> None:
    """Identical calls are told apart by counting; one more than before is a new action."""
    (chunk,) = chunk_ids(calls(driver, [7, 7], seq=0))
    driver.succeed(chunk, range(2))
    lose_driver(driver)

    made = calls(driver, [7, 7, 7], seq=0)

    assert [seqs for _place, _port, seqs, _outputs in outputs(made)] == [[0], [1]]
    assert chunks(made) == [("w2", [4])]
    assert driver.state().sequence_of(4) == 3


def test_another_group_or_task_is_another_call(driver: Bench) -> None:
    """Group and task belong to what makes a call the same."""
    (chunk,) = chunk_ids(calls(driver, [7], seq=0))
    driver.succeed(chunk, range(1))
    lose_driver(driver)

    grouped = calls(driver, [7], seq=0, group="g")
    other = calls(driver, [7], seq=1, of=OTHER)

    assert (outputs(grouped), outputs(other)) == ([], [])
    assert driver.state().count == 5


def test_calls_that_are_not_made_again_are_stopped_at_the_end(driver: Bench) -> None:
    """What the next attempt does not want goes on until the caller ends, and no longer."""
    driver.join("w2")
    kept = on_w2(calls(driver, range(40), seq=0))
    driver.lose("w1")

    ended = driver.succeed(driver.record().tokens[1], [0])

    assert kept in {order.chunk for order in stops(ended)}
    assert {driver.phase(row) for row in range(2, 42)} <= {ActionPhase.QUEUED, ActionPhase.ABORTED, ActionPhase.RUNNING}


def test_a_retry_takes_over_what_succeeded_and_calls_the_rest_again(driver: Bench) -> None:
    """After an error of the caller: a failed child runs again, under its old name."""
    (chunk,) = chunk_ids(calls(driver, [7, 8], seq=0))
    driver.succeed(chunk, [0], finished=False)
    driver.fail(chunk, 1)
    driver.fail(driver.record().tokens[1])
    driver.after(0)
    driver.begin(driver.record().tokens[1])

    made = calls(driver, [7, 8], seq=0)

    assert outputs(made) == [("w1", 5, [0], ["row 2"])]
    assert chunks(made) == [("w1", [4])]
    assert driver.state().action_name(4) == driver.state().action_name(3)
    assert driver.state().row_of(driver.state().action_name(3)) == 4


def test_an_error_of_the_caller_stops_what_it_left_and_the_retry_calls_it_again(driver: Bench) -> None:
    """Open children belong to the attempt that failed."""
    (chunk,) = chunk_ids(calls(driver, [7], seq=0))
    driver.begin(chunk)
    failed = driver.fail(driver.record().tokens[1])
    driver.stopped(chunk)
    driver.after(0)
    driver.begin(driver.record().tokens[1])

    made = calls(driver, [7], seq=0)

    assert [order.chunk for order in stops(failed)] == [chunk]
    assert chunks(made) == [("w1", [3])]


def test_what_an_error_settled_stays_settled_when_the_next_attempt_is_lost(driver: Bench) -> None:
    """A child that failed before the caller's own error is not answered with that failure ever after."""
    (chunk,) = chunk_ids(calls(driver, [7], seq=0))
    driver.fail(chunk)
    driver.fail(driver.record().tokens[1])
    driver.after(0)
    driver.begin(driver.record().tokens[1])
    lose_driver(driver)

    made = calls(driver, [7], seq=0)

    assert failures(made) == []
    assert chunks(made) == [("w2", [3])]


def test_a_call_that_its_caller_gave_up_is_made_again(driver: Bench) -> None:
    """The lost attempt had cancelled it; the next one may not."""
    (chunk,) = chunk_ids(calls(driver, [7], seq=0))
    driver.send(CallsCancelled("w1", 5, [0]))
    driver.stopped(chunk)
    lose_driver(driver)

    assert chunks(calls(driver, [7], seq=0)) == [("w2", [3])]


def test_an_abort_by_a_person_is_told_to_the_next_attempt(driver: Bench) -> None:
    """Nobody's abort is undone by a lost worker."""
    (chunk,) = chunk_ids(calls(driver, [7], seq=0))
    driver.abort(2)
    driver.stopped(chunk)
    lose_driver(driver)

    assert failures(calls(driver, [7], seq=0)) == [(0, "ActionAbortedError")]


def test_an_adopted_call_can_be_cancelled(driver: Bench) -> None:
    """Who waits for it now may give it up."""
    driver.join("w2")
    kept = on_w2(calls(driver, range(40), seq=0))
    row = driver.chunk(kept).rows[0]
    driver.lose("w1")
    driver.begin(driver.record().tokens[1])
    calls(driver, range(40), seq=200, port=9)

    cancelled = driver.send(CallsCancelled("w2", 9, [200 + row - 2]))

    assert [(order.chunk, list(order.indices)) for order in stops(cancelled)] == [(kept, [0])]


def test_the_late_calls_of_a_lost_attempt_are_refused(driver: Bench) -> None:
    """Its token is not the action's any more."""
    token = driver.record().tokens[1]
    lose_driver(driver)

    made = driver.send(Called("w1", 5, 0, "r", 1, token, LEAF.key, "", (), [(1,)]))

    assert failures(made) == [(0, "ActionAbortedError")]


def test_a_driver_in_the_kernel_takes_over_too(bench: Bench) -> None:
    """A root that is tried again keeps what succeeded."""
    bench.join()
    bench.start(root=task("root", retries=1))
    (chunk,) = chunk_ids(bench.call(1))
    bench.succeed(chunk, [0])
    bench.fail(bench.driver)
    bench.after(0)

    made = bench.send(Called(KERNEL, 1, 50, "r", 0, bench.driver, LEAF.key, "", (), [bench.state().inputs(1)]))

    assert outputs(made) == [(KERNEL, 1, [50], ["row 1"])]


def test_an_adoption_does_not_count_against_the_limit_on_actions(driver: Bench) -> None:
    """What exists is not made again."""
    (chunk,) = chunk_ids(calls(driver, [7], seq=0))
    driver.succeed(chunk, [0])
    lose_driver(driver)
    driver.record().max_actions = 2

    assert len(outputs(calls(driver, [7], seq=0))) == 1
    assert failures(calls(driver, [8], seq=1)) == [(1, "ActionLimitError")]
