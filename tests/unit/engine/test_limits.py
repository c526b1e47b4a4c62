"""Time limits of waiting: on the queue, and over all attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from flyte_nb.core.policy import Backoff, RetryStrategy, Timeout
from flyte_nb.engine.commands import AnswerFailure, Command, SendChunk, StopActions
from tests.fakes.bench import LEAF, Bench

IMPATIENT = replace(LEAF, key="impatient", timeout=Timeout(max_queued_time=10))
DEADLINE = replace(LEAF, key="deadline", timeout=Timeout(deadline=10), retries=RetryStrategy(100))


def codes(commands: Sequence[Command]) -> list[str]:
    """The codes of the failures that were told."""
    return [command.failure.code for command in commands if isinstance(command, AnswerFailure)]


def test_an_attempt_that_waits_too_long_for_its_start_has_timed_out(bench: Bench) -> None:
    """There is no worker: the action says so when its time is over, and is not started later."""
    bench.start()
    bench.begin(bench.driver)
    bench.call(1, IMPATIENT)

    told = bench.after(10)
    joined = bench.join()

    assert (codes(told), bench.phases()) == (["MaxQueuedTimeExceededError"], ["running", "timed_out"])
    assert [command for command in joined if isinstance(command, SendChunk)] == []


def test_an_attempt_that_started_in_time_is_left_alone(run: Bench) -> None:
    """The limit is on waiting only."""
    sent = next(command for command in run.call(1, IMPATIENT) if isinstance(command, SendChunk))
    run.begin(sent.chunk)

    assert (codes(run.after(10)), run.phases()) == ([], ["running", "running"])


def test_each_attempt_may_wait_as_long(bench: Bench) -> None:
    """With a retry the action keeps its place, and waits once more."""
    bench.start()
    bench.begin(bench.driver)
    bench.call(1, replace(IMPATIENT, retries=RetryStrategy(1)))

    first, second = bench.after(10), bench.after(10)

    assert (codes(first), codes(second)) == ([], ["MaxQueuedTimeExceededError"])
    assert [record.reason.split(":")[0] for record in bench.state().past[1]] == ["MaxQueuedTimeExceededError"] * 2


def test_an_action_on_a_worker_that_did_not_start_in_time_is_taken_back(run: Bench) -> None:
    """It stands behind others there: it is told to stop, and that it waited is what became of it."""
    sent = next(command for command in run.call(1, IMPATIENT) if isinstance(command, SendChunk))

    stops = [command for command in run.after(10) if isinstance(command, StopActions)]
    told = run.stopped(sent.chunk)

    assert [stop.chunk for stop in stops] == [sent.chunk]
    assert codes(told) == ["MaxQueuedTimeExceededError"]


def test_a_deadline_ends_an_action_that_runs(run: Bench) -> None:
    """Whatever its retries: there is no other attempt."""
    sent = next(command for command in run.call(1, DEADLINE) if isinstance(command, SendChunk))
    run.begin(sent.chunk)

    run.after(10)
    told = run.stopped(sent.chunk)

    assert (codes(told), run.phases()) == (["DeadlineExceededError"], ["running", "timed_out"])


def test_a_deadline_counts_waits_between_attempts(run: Bench) -> None:
    """An action that waits for its next attempt when the deadline comes makes none."""
    patient = replace(DEADLINE, retries=RetryStrategy(3, Backoff(timedelta(seconds=60))))
    sent = next(command for command in run.call(1, patient) if isinstance(command, SendChunk))
    run.fail(sent.chunk)

    assert (codes(run.after(10)), run.phases()) == (["DeadlineExceededError"], ["running", "timed_out"])
    assert [command for command in run.after(60) if isinstance(command, SendChunk)] == []
