"""Steps, conditions and reports in the controller."""

from __future__ import annotations

from array import array
from dataclasses import replace

from flyte_nb.core.costs import UNKNOWN, Cost
from flyte_nb.core.current import Step
from flyte_nb.core.events import TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.policy import RetryStrategy, Timeout
from flyte_nb.engine.commands import AnswerFailure, AnswerOutputs, SendChunk
from flyte_nb.engine.stimuli import KERNEL, ChunkReport, ConditionAnswered, ReportFlushed, StepEnded, TaskOffered
from tests.fakes.bench import LEAF, USER_ERROR, Bench, chunk_ids

TRACED = TaskFacts("trace:step", "step", "step", ("x",), ("o0",), kind="trace")
QUESTION = TaskFacts("condition:0:ok:1", "ok", "ok", ("prompt", "data_type", "description"), ("o0",), kind="condition")


def step(run: Bench, key: str = "key", *, parent: int = 0, token: int = -1, failure: Failure | None = None) -> None:
    """A traced function ends inside an action."""
    holds = run.record().tokens[parent] if token < 0 else token
    made = Step(TRACED, key, ("in",), "out", run.now - 1, run.now)
    run.send(StepEnded(KERNEL, "r", parent, holds, "", made, failure))


def ask(run: Bench, question: TaskFacts = QUESTION) -> None:
    """The root asks."""
    called = replace(run.called(1, question), inputs=[("Go on?", "bool", "")])
    run.send(TaskOffered("r", question, b""), called)


def test_a_step_is_a_row_that_has_ended(run: Bench) -> None:
    """It has the function's name, its inputs and output, and its parent; no worker is asked."""
    step(run)

    state = run.state()
    assert (run.phases(), state.task_of(1).name, state.parent_of(1)) == (["running", "succeeded"], "step", 0)
    assert (state.inputs(1), state.output(1), state.started_ats[1], state.ended_ats[1]) == (("in",), "out", run.now - 1, run.now)


def test_a_step_that_raised_is_a_row_that_has_failed(run: Bench) -> None:
    """With what it raised."""
    step(run, failure=USER_ERROR)

    assert (run.phases(), run.state().failures[1]) == (["running", "failed"], USER_ERROR)


def test_a_step_of_an_attempt_that_no_longer_counts_is_not_recorded(run: Bench) -> None:
    """A worker that was given up on may still report."""
    step(run, token=99)

    assert run.phases() == ["running"]


def test_the_next_attempt_is_handed_the_steps_that_ended_well(run: Bench) -> None:
    """And failures that no attempt can mend; others are taken again."""
    tried = replace(LEAF, retries=RetryStrategy(1))
    sent = next(command for command in run.call(1, tried) if isinstance(command, SendChunk))
    step(run, "good", parent=1)
    step(run, "bad", parent=1, failure=USER_ERROR)
    step(run, "final", parent=1, failure=replace(USER_ERROR, retryable=False))

    again = next(command for command in run.fail(sent.chunk) if isinstance(command, SendChunk))

    assert sent.recorded is None
    assert again.recorded == {1: {"good": "out", "final": replace(USER_ERROR, retryable=False)}}


def test_a_condition_waits_for_its_answer(run: Bench) -> None:
    """Its row is paused; the answer is its output, and goes to whoever waits."""
    ask(run)
    open_phases = run.phases()

    told = run.send(ConditionAnswered("r", None, "ok", answer=True))

    assert (open_phases, run.phases()) == (["running", "paused"], ["running", "succeeded"])
    assert [command.outputs for command in told if isinstance(command, AnswerOutputs)] == [[True]]


def test_a_second_answer_changes_nothing(run: Bench) -> None:
    """Two people may answer at the same time; the first one counts."""
    ask(run)
    run.send(
        ConditionAnswered("r", 1, "", answer=True),
        ConditionAnswered("r", 1, "", answer=False),
        ConditionAnswered("r", None, "other", answer=False),
    )

    assert (run.phases(), run.state().output(1)) == (["running", "succeeded"], True)


def test_a_condition_has_its_time(run: Bench) -> None:
    """When it is over the caller gets an error of its own; an answer then comes too late."""
    ask(run, replace(QUESTION, timeout=Timeout(max_runtime=5)))

    told = run.after(5)
    run.send(ConditionAnswered("r", 1, "", answer=True))

    assert [command.failure.code for command in told if isinstance(command, AnswerFailure)] == ["ConditionTimedoutError"]
    assert run.phases() == ["running", "timed_out"]


def test_an_open_condition_ends_with_its_run(run: Bench) -> None:
    """Nobody answers any more."""
    ask(run)
    run.abort()
    run.stopped(run.driver)

    assert run.phases() == ["aborted", "aborted"]


def test_the_latest_report_of_an_action_is_kept(run: Bench) -> None:
    """All of it, by tab; one of an attempt that no longer counts is not."""
    token = run.record().tokens[0]
    run.send(ReportFlushed("r", 0, token, [("main", "<b>1</b>")]), ReportFlushed("r", 0, token, [("main", "<b>2</b>"), ("loss", "-")]))
    run.send(ReportFlushed("r", 0, 99, [("main", "late")]))

    assert run.state().reports == {0: {"main": "<b>2</b>", "loss": "-"}}


def test_an_open_condition_is_taken_over_by_the_next_attempt(run: Bench) -> None:
    """When the worker of the one who asked is lost, the question stays open, and the answer goes to the next attempt."""
    sent = next(command for command in run.call(1) if isinstance(command, SendChunk))
    question = replace(QUESTION, key="condition:1:ok:1")
    asked = replace(run.called(1, question, parent=1, place="w1"), inputs=[("Go on?", "bool", "")])
    run.send(TaskOffered("r", question, b""), asked)
    run.begin(sent.chunk)
    run.lose()
    run.join("w2")
    run.after(60)
    again = replace(run.called(1, question, parent=1, place="w2"), inputs=[("Go on?", "bool", "")])
    run.send(TaskOffered("r", question, b""), again)

    told = run.send(ConditionAnswered("r", None, "ok", answer=True))

    assert [(command.place, command.outputs) for command in told if isinstance(command, AnswerOutputs)] == [("w2", [True])]
    assert [phase for phase in run.phases() if phase == "paused"] == []


def test_what_an_attempt_cost_is_recorded_with_it(run: Bench) -> None:
    """With the attempt that it ended, not with the next one; what a chunk says that holds it no more counts for nothing."""
    (first,) = chunk_ids(run.call(1, replace(LEAF, retries=RetryStrategy(1))))
    run.send(ChunkReport(first, measured=[(0, 1.5, 2048)], failed=[(0, USER_ERROR, run.now, run.now)], finished=True))
    run.after(1)
    second = run.record().tokens[1]
    run.send(ChunkReport(first, measured=[(0, 9.0, 9)]))
    assert run.state().costs.of(1) == UNKNOWN
    times = array("d", (run.now,))
    run.send(ChunkReport(second, (), range(1), ["out"], times, times, measured=[(0, 0.25, 4096)], finished=True))

    assert ([past.cost for past in run.state().past[1]], run.state().costs.of(1)) == ([Cost(1.5, 2048)], Cost(0.25, 4096))
