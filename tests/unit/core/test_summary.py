"""What a view may know of a run at a glance: right in every phase, and as cheap for a million actions as for ten."""

from __future__ import annotations

from array import array

import pytest

from flyte_nb.core.events import (
    ActionFailed,
    ActionsAborted,
    ActionsCalled,
    ActionsSucceeded,
    AttemptsStarted,
    RunStarted,
    TaskDeclared,
    TaskFacts,
)
from flyte_nb.core.failure import Failure
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.core.summary import MAX_CAUSES, MAX_GROUPS, FailureLine, GroupSummary, summarise


@pytest.fixture
def state() -> RunState:
    """A run that began at 100, and knows the tasks `leaf` and `other`."""
    made = RunState(RunStarted("r", TaskFacts("main", "env.main", "main"), (), 100.0))
    for name in ("leaf", "other"):
        made.apply(TaskDeclared("r", TaskFacts(name, f"env.{name}", name)))
    made.apply(AttemptsStarted("r", [0], "kernel", array("d", [100.0])))
    return made


def call(state: RunState, count: int, group: str = "", parent: int = 0, task: int = 1, at: float = 101.0) -> None:
    """Calls made in one go."""
    state.apply(ActionsCalled("r", state.count, parent, task, group, [()] * count, at))


def succeed(state: RunState, *rows: int, at: float) -> None:
    """Actions that began at 102 end well."""
    times = array("d", [102.0] * len(rows)), array("d", [at] * len(rows))
    state.apply(ActionsSucceeded("r", rows, "w1", [None] * len(rows), *times))


def fail(state: RunState, row: int, message: str = "no", at: float = 103.0, phase: ActionPhase = ActionPhase.FAILED) -> None:
    """An action ends badly."""
    state.apply(ActionFailed("r", row, phase, Failure("user", "ValueError", message), 102.0, at))


def test_a_run_that_has_called_nothing_yet(state: RunState) -> None:
    """No counts, no rate, no estimate; more may come."""
    seen = summarise(state, 105.0)

    assert (seen.run, seen.task, seen.phase, seen.counts, seen.total, seen.ended) == ("r", "main", ActionPhase.RUNNING, {}, 0, 0)
    assert (seen.rate, seen.eta_seconds, seen.elapsed_seconds, seen.more_may_come) == (None, None, 5.0, True)
    assert (seen.groups, seen.failures, seen.message) == ((), (), "")


def test_counts_are_those_of_the_actions_without_the_root(state: RunState) -> None:
    """Ended, failed and total add up; the cluster's load is handed through."""
    call(state, 5)
    succeed(state, 1, at=103.0)
    fail(state, 2)
    fail(state, 3, phase=ActionPhase.TIMED_OUT)

    seen = summarise(state, 104.0, workers=2, slots=4, slots_in_use=3)

    assert {phase.value: count for phase, count in seen.counts.items()} == {"succeeded": 1, "failed": 1, "timed_out": 1, "queued": 2}
    assert (seen.total, seen.ended, seen.failed) == (5, 3, 2)
    assert (seen.workers, seen.slots, seen.slots_in_use) == (2, 4, 3)


def test_groups_are_summed_over_tasks_and_told_by_parent(state: RunState) -> None:
    """One line for each parent and group; one that has failures comes first."""
    call(state, 2, "a")
    call(state, 1, "a", task=2, at=102.0)
    call(state, 2, "b")
    call(state, 1, "a", parent=1)
    succeed(state, 1, 2, 3, 6, at=104.0)
    fail(state, 4, at=105.0)

    groups = summarise(state, 110.0).groups

    assert [(group.parent, group.name, group.total, group.ended, group.failed) for group in groups] == [
        (0, "b", 2, 1, 1),
        (0, "a", 3, 3, 0),
        (1, "a", 1, 1, 0),
    ]
    assert groups[1] == GroupSummary(0, "main", "a", ("leaf", "other"), {ActionPhase.SUCCEEDED: 3}, 3, 3, 0, 3.0)
    assert groups[0].seconds == 9.0


def test_failures_are_listed_by_cause_the_most_frequent_first(state: RunState) -> None:
    """One line a cause, with the first action that it hit; the root's own failure is the run's message."""
    call(state, 4)
    fail(state, 2, "rare\nsecond line")
    fail(state, 3, "often")
    fail(state, 4, "often")
    succeed(state, 1, at=103.0)
    fail(state, 0, "often")

    seen = summarise(state, 110.0)

    assert seen.failures == (
        FailureLine(3, state.action_name(3), "leaf", "ValueError", "often", 2),
        FailureLine(2, state.action_name(2), "leaf", "ValueError", "rare\nsecond line", 1),
    )
    assert (seen.failure_causes_total, seen.failed, seen.message) == (2, 3, "ValueError: often")


def test_an_aborted_run_says_why(state: RunState) -> None:
    """The reason that the root was aborted for is the run's message."""
    state.apply(ActionsAborted("r", [0], "enough", 104.0))

    seen = summarise(state, 200.0)

    assert (seen.phase, seen.message, seen.elapsed_seconds, seen.more_may_come) == (ActionPhase.ABORTED, "enough", 4.0, False)


def test_a_finished_run_has_a_rate_and_no_estimate(state: RunState) -> None:
    """The rate is that of the whole run."""
    call(state, 10)
    succeed(state, *range(1, 11), at=105.0)
    succeed(state, 0, at=105.0)

    seen = summarise(state, 999.0)

    assert (seen.rate, seen.eta_seconds, seen.elapsed_seconds) == (2.0, None, 5.0)


def test_a_run_that_ended_at_once_has_no_rate(state: RunState) -> None:
    """Nothing is divided by no time, or by no action."""
    succeed(state, 0, at=105.0)

    assert summarise(state, 999.0).rate is None


def test_the_estimate_follows_from_the_last_samples(state: RunState) -> None:
    """Some ended actions make a rate, the rate makes a range of seconds."""
    call(state, 30)
    succeed(state, *range(1, 6), at=102.0)
    first = summarise(state, 105.0)
    succeed(state, *range(6, 11), at=104.0)

    seen = summarise(state, 105.0)

    assert first.rate == 1.0
    assert seen.rate == pytest.approx(5 / 3)
    assert seen.eta_seconds is not None
    assert list(seen.eta_seconds) == pytest.approx([9.0, 16.2])


def test_few_ended_actions_make_no_estimate(state: RunState) -> None:
    """A guess from four actions would only jump about."""
    call(state, 10)
    succeed(state, *range(1, 5), at=102.0)

    assert summarise(state, 105.0).eta_seconds is None


def test_nothing_left_to_do_makes_no_estimate(state: RunState) -> None:
    """All that was called has ended, though the root goes on."""
    call(state, 6)
    succeed(state, *range(1, 7), at=102.0)

    assert summarise(state, 105.0).eta_seconds is None


def test_a_clock_that_went_back_makes_no_negative_times(state: RunState) -> None:
    """Elapsed seconds and rates are never below zero."""
    call(state, 6)
    succeed(state, *range(1, 7), at=102.0)

    seen = summarise(state, 90.0)

    assert (seen.elapsed_seconds, seen.rate, seen.groups[0].seconds) == (0.0, None, 1.0)


def test_the_lists_are_capped_and_say_how_many_there_are(state: RunState) -> None:
    """A run with very many groups and causes has a summary of bounded size."""
    for number in range(MAX_GROUPS + 5):
        call(state, 1, f"g{number}")
    for number in range(MAX_CAUSES + 5):
        fail(state, number + 1, f"cause {number}")

    seen = summarise(state, 110.0)

    assert (len(seen.groups), seen.groups_total) == (MAX_GROUPS, MAX_GROUPS + 5)
    assert (len(seen.failures), seen.failure_causes_total) == (MAX_CAUSES, MAX_CAUSES + 5)


def test_a_root_that_calls_its_own_task_has_a_group_of_these_calls(state: RunState) -> None:
    """They are below the root, and not the root itself: a view of a recursion lost them."""
    call(state, 2, task=0)
    call(state, 2, task=0, parent=1)
    succeed(state, 1, 2, 3, 4, at=102.0)

    groups = {(group.tasks, group.total, group.counts.get(ActionPhase.SUCCEEDED)) for group in summarise(state, 103.0).groups}

    assert state.node_ids.tolist() == [0, 1, 1, 2, 2]
    assert groups == {(("main",), 2, 2)}
