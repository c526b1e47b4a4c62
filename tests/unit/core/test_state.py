"""The fold of a run's events. Each state is checked, and folded again from its log, when its test is over."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

import pytest

from flyte_nb.core.costs import UNKNOWN, Cost
from flyte_nb.core.events import (
    ActionFailed,
    ActionPaused,
    ActionsAborted,
    ActionsCalled,
    ActionsReused,
    ActionsSucceeded,
    AttemptFailed,
    AttemptsLost,
    AttemptsMeasured,
    AttemptsStarted,
    Event,
    LogWritten,
    ReportWritten,
    RunStarted,
    TaskDeclared,
    TaskFacts,
)
from flyte_nb.core.failure import Failure
from flyte_nb.core.phases import CODE, ActionPhase
from flyte_nb.core.printed import LOG_LIMIT
from flyte_nb.core.state import PACE_SAMPLES, InvalidTransition, RunState
from tests.fakes.bench import columns

MAIN, LEAF, OTHER = (TaskFacts(name, f"env.{name}", name, ("x",)) for name in ("main", "leaf", "other"))
STARTED = RunStarted("r", MAIN, ("in",), 100.0, (("k", "v"),), (("label", "x"),))
ERROR = Failure("user", "ValueError", "no\nreally", worker="w1")


class Log:
    """A state and the events that made it."""

    def __init__(self) -> None:
        self.state, self.events = RunState(STARTED), list[Event]()
        self.add(TaskDeclared("r", LEAF))

    def add(self, *events: Event) -> RunState:
        """Apply events."""
        for event in events:
            self.state.apply(event)
            self.events.append(event)
        return self.state

    def call(self, count: int, parent: int = 0, group: str = "", task: int = 1, at: float = 101.0) -> RunState:
        """Calls made in one go; their inputs are their rows."""
        first = self.state.count
        return self.add(ActionsCalled("r", first, parent, task, group, [(row,) for row in range(first, first + count)], at))

    def begin(self, *rows: int, worker: str = "w1", at: float = 102.0) -> RunState:
        """Attempts begin."""
        return self.add(AttemptsStarted("r", rows, worker, array("d", [at] * len(rows))))

    def succeed(self, rows: range | list[int], worker: str = "w1", started: float = 102.0, ended: float = 103.0) -> RunState:
        """Actions succeed with the text of their row."""
        outputs = [f"row {row}" for row in rows]
        return self.add(ActionsSucceeded("r", rows, worker, outputs, array("d", [started] * len(rows)), array("d", [ended] * len(rows))))

    def fail(self, row: int, phase: ActionPhase = ActionPhase.FAILED, started: float = 102.0, failure: Failure = ERROR) -> RunState:
        """An action fails."""
        return self.add(ActionFailed("r", row, phase, failure, started, 103.0))


@pytest.fixture
def log() -> Iterator[Log]:
    """A run that has just begun, and knows the task `leaf`."""
    made = Log()
    yield made
    made.state.check()
    again = RunState(STARTED)
    for event in made.events:
        again.apply(event)
    assert columns(again) == columns(made.state)


def test_a_run_begins_with_its_root(log: Log) -> None:
    """Row 0 is the root action: queued, called by itself, with the run's inputs."""
    state = log.state

    assert (state.name, state.root, state.count, state.phase, state.ended_at) == ("r", MAIN, 1, ActionPhase.QUEUED, None)
    assert (state.inputs(0), state.parent_of(0), state.group_of(0), state.task_of(0)) == (("in",), 0, "", MAIN)
    assert (state.custom_context, state.labels, state.started_at) == ((("k", "v"),), (("label", "x"),), 100.0)


def test_calls_become_rows(log: Log) -> None:
    """Rows count on; parents, groups and tasks are kept per row, children per parent."""
    log.call(2)
    log.call(1, parent=1, group="g")
    state = log.call(2, group="g")

    assert state.count == 6
    assert list(state.parents) == [0, 0, 0, 1, 0, 0]
    assert [state.groups[number] for number in state.group_ids] == ["", "", "", "g", "g", "g"]
    assert list(state.task_ids) == [0, 1, 1, 1, 1, 1]
    assert state.children == {0: [range(1, 3), range(4, 6)], 1: [range(3, 4)]}
    assert state.inputs_of(range(4, 6)) == [(4,), (5,)]
    assert [state.depth_of(row) for row in (0, 1, 3)] == [0, 1, 2]


def test_adjacent_calls_of_one_parent_are_one_block(log: Log) -> None:
    """A fan-out called in pieces is found as one range."""
    log.call(2)

    assert log.call(3).children == {0: [range(1, 6)]}


def test_calls_must_follow_the_rows_that_are_there(log: Log) -> None:
    """A log with a gap is damaged."""
    with pytest.raises(InvalidTransition, match="rows from 5 called, but 1 are known"):
        log.state.apply(ActionsCalled("r", 5, 0, 1, "", [(1,)], 1.0))


def test_actions_run_and_succeed(log: Log) -> None:
    """Phase, attempt, worker, times and output are kept per action."""
    log.call(2)
    log.begin(1, 2)
    state = log.succeed([1, 2])

    assert [state.phase_of(row).value for row in (0, 1, 2)] == ["queued", "succeeded", "succeeded"]
    assert (list(state.attempts), [state.workers[number] for number in state.worker_ids]) == ([0, 1, 1], ["", "w1", "w1"])
    assert (list(state.started_ats), list(state.ended_ats)) == ([0.0, 102.0, 102.0], [0.0, 103.0, 103.0])
    assert (state.output(0), state.output(1)) == (None, "row 1")


@pytest.mark.parametrize("rows", [range(1, 4), [1, 2, 3]], ids=["range", "list"])
def test_an_end_tells_of_a_start_that_nobody_told(log: Log, rows: range | list[int]) -> None:
    """Short actions are reported once; the attempt counts, whichever way the rows are written."""
    log.call(3)

    state = log.succeed(rows)

    assert (list(state.attempts), list(state.started_ats[1:])) == ([0, 1, 1, 1], [102.0] * 3)
    assert [state.output(row) for row in (1, 2, 3)] == ["row 1", "row 2", "row 3"]
    assert (state.nodes[1].busy_seconds, state.nodes[1].last_ended_at) == (3.0, 103.0)


def test_a_block_of_several_parents_is_moved_row_by_row(log: Log) -> None:
    """Adjacent rows may belong to several nodes; the counts of each are right."""
    log.call(1)
    log.call(1, parent=1)
    state = log.succeed(range(1, 3))

    assert [node.counts[CODE[ActionPhase.SUCCEEDED]] for node in state.nodes] == [0, 1, 1]


def test_a_block_of_which_some_were_tried_before_keeps_their_attempts(log: Log) -> None:
    """The second attempt of one does not become the first of all."""
    log.call(3)
    log.add(AttemptFailed("r", 2, ERROR, 102.0, 102.5, 103.0))

    state = log.succeed(range(1, 4))

    assert list(state.attempts) == [0, 1, 2, 1]


def test_a_failed_attempt_is_kept_and_the_action_queued_again(log: Log) -> None:
    """What is known of the attempt moves to the past; the action has no start any more."""
    log.call(2)
    log.begin(1)

    log.add(AttemptFailed("r", 1, ERROR, 102.0, 103.0, 104.0))
    state = log.add(AttemptFailed("r", 2, ERROR, 102.0, 103.0, 104.0))

    assert [state.phase_of(row).value for row in (1, 2)] == ["queued", "queued"]
    assert (state.attempts[1], state.attempts[2], state.started_ats[1]) == (1, 1, 0.0)
    assert [(record.number, record.worker, record.ending, record.reason) for record in state.past[2]] == [
        (1, "w1", "user", "ValueError: no")
    ]


def test_each_attempt_keeps_what_it_cost(log: Log) -> None:
    """That of an attempt that is followed by another goes with it; the last one's stays with the action."""
    log.call(3)
    log.begin(1, 2)
    log.add(AttemptsMeasured("r", [1, 2], array("f", (1.5, 0.25)), array("I", (2048, 0))))
    log.add(AttemptFailed("r", 1, ERROR, 102.0, 103.0, 104.0))
    log.add(AttemptsMeasured("r", [1], array("f", (0.5,)), array("I", (1024,))))
    log.fail(1)
    state = log.succeed([2])

    assert [record.cost for record in state.past[1]] == [Cost(1.5, 2048 * 1024), Cost(0.5, 1024 * 1024)]
    assert [state.costs.of(row) for row in (1, 2, 3)] == [Cost(0.5, 1024 * 1024), Cost(0.25, None), UNKNOWN]


def test_a_failure_is_kept_with_its_cause(log: Log) -> None:
    """Failures with one headline are one cause; the root's own failure is none."""
    log.call(3)
    log.add(TaskDeclared("r", OTHER))
    log.call(1, task=2)

    log.fail(1)
    log.fail(2, ActionPhase.TIMED_OUT, started=0.0)
    log.fail(4)
    state = log.fail(0)

    assert [state.phase_of(row).value for row in range(5)] == ["failed", "failed", "timed_out", "queued", "failed"]
    assert {key: (cause.first_row, cause.count) for key, cause in state.causes.items()} == {
        (1, "ValueError: no"): (1, 2),
        (2, "ValueError: no"): (4, 1),
    }
    assert state.attempts[2] == 0
    assert set(state.failures) == {0, 1, 2, 4}


def test_lost_attempts_are_queued_again(log: Log) -> None:
    """Those that had started have lost an attempt; those that had not have lost nothing."""
    log.call(2)
    log.begin(1)

    state = log.add(AttemptsLost("r", [1, 2], "gone", 103.0))

    assert [state.phase_of(row).value for row in (1, 2)] == ["queued", "queued"]
    assert [record.ending for record in state.past[1]] == ["lost"]
    assert 2 not in state.past


def test_aborted_actions_keep_the_reason(log: Log) -> None:
    """Those that were queued never started; those that ran have an attempt that ended."""
    log.call(3)
    log.begin(1)

    log.add(ActionsAborted("r", [1, 2], "enough", 104.0))
    state = log.add(ActionsAborted("r", [], "nobody", 104.0))

    assert [state.abort_reason(row) for row in range(4)] == ["", "enough", "enough", ""]
    assert ([record.ending for record in state.past[1]], 2 in state.past) == (["aborted"], False)
    assert state.nodes[1].last_ended_at == 104.0


def test_very_many_reasons_share_the_last_one(log: Log) -> None:
    """Reasons are kept by one byte; the first 255 are exact."""
    log.call(300)
    for row in range(1, 301):
        log.add(ActionsAborted("r", [row], f"reason {row}", 104.0))

    assert [log.state.abort_reason(row) for row in (1, 255, 300)] == ["reason 1", "reason 255", "reason 255"]
    assert log.add(LogWritten("r", 0, 1, "")).abort_reason(300) == "reason 255"


def test_results_that_were_reused_took_no_attempt(log: Log) -> None:
    """An action whose earlier result was taken has succeeded without running."""
    log.call(2)

    state = log.add(ActionsReused("r", range(1, 3), ["a", "b"], 102.0))

    assert (state.phase_counts()[ActionPhase.SUCCEEDED], state.attempts[1], state.output(2)) == (2, 0, "b")
    assert state.story(1) == ["+1.000 s called: env.leaf by a0", "+2.000 s succeeded"]


def test_an_action_can_pause(log: Log) -> None:
    """A running action that waits for somebody is paused until it runs again or ends."""
    log.call(1)
    log.begin(1)

    assert log.add(ActionPaused("r", 1, 103.0)).phase_of(1) is ActionPhase.PAUSED
    assert log.succeed([1]).phase_of(1) is ActionPhase.SUCCEEDED


def test_a_report_is_kept_with_its_action(log: Log) -> None:
    """The latest report of an action stands."""
    log.add(ReportWritten("r", 0, (("main", "<p>1</p>"),)))

    assert log.add(ReportWritten("r", 0, (("main", "<p>2</p>"),))).reports == {0: {"main": "<p>2</p>"}}


@pytest.mark.parametrize(
    "event",
    [
        AttemptsStarted("r", [2, 1], "w1", array("d", [1.0, 1.0])),
        ActionsSucceeded("r", range(1, 3), "w1", ["a", "b"], array("d", [1.0, 1.0]), array("d", [2.0, 2.0])),
        ActionsAborted("r", [2, 1], "late", 3.0),
        ActionFailed("r", 1, ActionPhase.FAILED, ERROR, 1.0, 2.0),
    ],
)
def test_an_event_that_the_table_forbids_is_refused_with_the_story(log: Log, event: Event) -> None:
    """A terminal action stays as it is, and so does everything else in the event: nothing is half applied."""
    log.call(2)
    log.succeed([1])

    with pytest.raises(InvalidTransition, match=r"action 1 cannot go from succeeded to .*\n.*called: env.leaf"):
        log.state.apply(event)

    assert log.state.phase_of(2) is ActionPhase.QUEUED


def test_a_run_ends_with_its_last_action(log: Log) -> None:
    """While a child is open the run runs on, though its root has ended."""
    log.call(2)
    log.begin(0, worker="kernel")
    log.succeed([0], "kernel", ended=105.0)
    running = log.state.phase, log.state.open_count, log.state.ended_at
    state = log.add(ActionsAborted("r", [1, 2], "left behind", 104.0))

    assert running == (ActionPhase.RUNNING, 2, None)
    assert (state.phase, state.open_count, state.ended_at) == (ActionPhase.SUCCEEDED, 0, 105.0)


def test_counts_leave_the_root_out(log: Log) -> None:
    """The root is the run, not one of its actions."""
    log.call(3)
    log.begin(1)

    counts = {phase.value: count for phase, count in log.state.phase_counts().items() if count}
    assert counts == {"queued": 2, "running": 1}


def test_prints_are_kept_up_to_a_limit(log: Log) -> None:
    """What is over is dropped, and the text says so once."""
    log.add(LogWritten("r", 0, 1, "a" * (LOG_LIMIT - 2)))
    log.add(LogWritten("r", 0, 1, "bbb"))
    state = log.add(LogWritten("r", 0, 1, "ccc"))

    assert state.logs(0) == "a" * (LOG_LIMIT - 2) + "bb\n[... output cut: more than 100,000 characters]\n"
    assert state.logs(1) == ""


def test_the_pace_is_sampled_not_kept_whole(log: Log) -> None:
    """A long run has as many samples as a short one."""
    log.call(200)
    for row in range(1, 201):
        log.succeed([row], ended=103.0 + row)

    assert len(log.state.pace) == PACE_SAMPLES
    assert log.state.pace[-1] == (303.0, 200)


def test_the_story_tells_what_happened_in_order(log: Log) -> None:
    """Calls, attempts, ends, with instants and workers."""
    log.call(3)
    log.begin(1, at=102.0)
    log.add(AttemptsLost("r", [1], "gone", 103.0))
    log.begin(1, worker="w2", at=104.0)
    running = log.state.story(1)
    log.succeed([1], "w2", 104.0, 105.0)
    log.fail(2)
    log.add(ActionsAborted("r", [3], "enough", 106.0))

    first = ["+1.000 s called: env.leaf by a0", "+2.000 s attempt 1 started on w1", "+3.000 s attempt 1 lost: gone"]
    assert running == [*first, "+4.000 s attempt 2 started on w2"]
    assert log.state.story(1) == [*running, "+5.000 s succeeded"]
    assert log.state.story(2) == [
        "+1.000 s called: env.leaf by a0",
        "+2.000 s attempt 1 started on w1",
        "+3.000 s attempt 1 failed: ValueError: no",
        "+3.000 s failed",
    ]
    assert log.state.story(3) == ["+1.000 s called: env.leaf by a0", "+6.000 s aborted"]


def test_the_story_of_an_end_without_a_start_tells_of_none(log: Log) -> None:
    """An action that failed before any attempt of it was told of has a failure, and no start."""
    log.call(1)

    assert log.fail(1, started=0.0).story(1) == [
        "+1.000 s called: env.leaf by a0",
        "+3.000 s attempt 0 failed: ValueError: no",
        "+3.000 s failed",
    ]


def test_each_event_is_a_new_version(log: Log) -> None:
    """Who keeps a version knows whether anything has changed since."""
    before = log.state.version

    assert log.call(2).version == before + 1


def _wrong_count(state: RunState) -> None:
    state.nodes[1].counts[0] += 1


def _wrong_total(state: RunState) -> None:
    state.totals[0] += 1


def _short_column(state: RunState) -> None:
    state.attempts.pop()


def _end_without_phase(state: RunState) -> None:
    state.ended_ats[1] = 5.0


def _run_end_too_early(state: RunState) -> None:
    state.ended_at = 5.0


def _failure_without_phase(state: RunState) -> None:
    state.failures[1] = ERROR


def _success_without_start(state: RunState) -> None:
    state.attempts[2] = 0


@pytest.mark.parametrize(
    "damage,what",
    [
        (_wrong_count, "counts of node 1"),
        (_wrong_total, "totals"),
        (_short_column, "equally long"),
        (_end_without_phase, "row 1 has an end"),
        (_run_end_too_early, "a run has an end"),
        (_failure_without_phase, "row 1 has a failure"),
        (_success_without_start, "row 2 has a start"),
    ],
)
def test_the_check_finds_damage(damage: Callable[[RunState], None], what: str) -> None:
    """Every invariant is one that a damaged state breaks."""
    log = Log()
    log.call(2)
    log.succeed([2])
    damage(log.state)

    with pytest.raises(AssertionError, match=what):
        log.state.check()
