"""Decides about what a run records beside the actions of tasks: traced steps, conditions, reports, and what attempts cost.

Steps and conditions are rows of the run that no worker runs. What they gave is handed to later attempts of the same
action, so that a step is not taken twice and a question is not asked twice.

Part of the controller (pure). Must not know: workers.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from flyte_nb.core.costs import NOT_KNOWN, UNIT_BYTES
from flyte_nb.core.events import (
    ActionFailed,
    ActionPaused,
    ActionsCalled,
    ActionsRecovered,
    ActionsSucceeded,
    AttemptsMeasured,
    AttemptsStarted,
    Event,
    Inputs,
    ReportWritten,
    TaskFacts,
)
from flyte_nb.core.failure import Failure
from flyte_nb.core.phases import CODE, ActionPhase
from flyte_nb.engine import answers
from flyte_nb.engine.commands import Command
from flyte_nb.engine.desk import Desk
from flyte_nb.engine.records import Chunk, RunRecord
from flyte_nb.engine.stimuli import ChunkReport, ConditionAnswered, ReportFlushed, StepEnded, StepReplayed

_PAUSED = CODE[ActionPhase.PAUSED]
_MOST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Asides:
    """The asides of one run.

    Args:
        run, desk: what `RunControl` has.
        record: applies and records an event.
        declare: makes a task known.
        ended: (rows, now): rows reached a terminal phase.
    """

    run: RunRecord
    desk: Desk
    record: Callable[[Event], None]
    declare: Callable[[TaskFacts], None]
    ended: Callable[[Sequence[int], float], None]

    def _order(self, commands: Sequence[Command]) -> None:
        self.desk.order_all(commands)

    def measured(self, chunk: Chunk, report: ChunkReport) -> None:
        """Record what attempts cost, if they are still those that count."""
        held = [(chunk.rows[index], cpu, most) for index, cpu, most in report.measured]
        held = [each for each in held if self.run.tokens[each[0]] == chunk.id]
        if held:
            rows, seconds, most_bytes = zip(*held, strict=True)
            self._cost(list(rows), seconds, most_bytes)

    def used_too_much(self, chunk: Chunk, rows: Sequence[int], rss_bytes: int) -> None:
        """Record how much memory a worker had when that ended it, with the attempts that may be to blame."""
        held = [row for row in rows if self.run.tokens[row] == chunk.id] if rss_bytes else []
        if held:
            self._cost(held, [NOT_KNOWN] * len(held), [rss_bytes] * len(held))

    def _cost(self, rows: list[int], seconds: Sequence[float], most_bytes: Sequence[int]) -> None:
        memory = array("I", (min(most // UNIT_BYTES, _MOST) for most in most_bytes))
        self.record(AttemptsMeasured(self.run.state.name, rows, array("f", seconds), memory))

    def step_ended(self, stimulus: StepEnded, now: float) -> None:
        """Record a step as a row that has ended, if the attempt that took it is still the one that counts."""
        run, state, step = self.run, self.run.state, stimulus.step
        if stimulus.parent >= state.count or run.tokens[stimulus.parent] != stimulus.token or state.count > run.max_actions:
            return
        row = self._add_row(stimulus.parent, step.task, stimulus.group, step.inputs, step.started, step.key)
        worker = self.desk.worker_name(stimulus.place)
        if stimulus.failure is not None:
            self.record(ActionFailed(state.name, row, ActionPhase.FAILED, stimulus.failure, step.started, step.ended))
        else:
            times = array("d", (step.started,)), array("d", (step.ended,))
            self.record(ActionsSucceeded(state.name, range(row, row + 1), worker, [step.output], *times))
        if step.key and (stimulus.failure is None or not stimulus.failure.retryable):
            kept = step.output if stimulus.failure is None else stimulus.failure
            run.recorded.setdefault(stimulus.parent, {})[step.key] = kept
        self.ended([row], now)

    def _add_row(self, parent: int, task: TaskFacts, group: str, inputs: Inputs, at: float, key: str) -> int:
        run, state = self.run, self.run.state
        if task.key not in run.tasks:
            self.declare(task)
        row = state.count
        self.record(ActionsCalled(state.name, row, parent, run.tasks[task.key].id, group, [inputs], at, (), key))
        run.add(1, "", 0, 0, run.context_of(parent))
        run.open_children[parent] = run.open_children.get(parent, 0) + 1
        return row

    def step_replayed(self, stimulus: StepReplayed, now: float) -> None:
        """Show a step of the run that this one recovers, once; one of an earlier attempt has a row already."""
        run, state = self.run, self.run.state
        if run.recovery is None or run.tokens[stimulus.parent] != stimulus.token or state.count > run.max_actions:
            return
        step = run.recovery.replayed(stimulus.parent, stimulus.key)
        if step is None:
            return
        task = replace(step.task, key=stimulus.key) if step.task.kind == "condition" else step.task
        row = self._add_row(stimulus.parent, task, step.group, step.inputs, now, stimulus.key)
        if isinstance(step.result, Failure):
            self.record(ActionFailed(state.name, row, ActionPhase.FAILED, step.result, now, now))
        else:
            self.record(ActionsRecovered(state.name, [row], [step.result], now))
        self.ended([row], now)

    def report_flushed(self, stimulus: ReportFlushed) -> None:
        """Keep the report of an action."""
        if stimulus.row < self.run.state.count and self.run.tokens[stimulus.row] == stimulus.token:
            self.record(ReportWritten(self.run.state.name, stimulus.row, tuple(stimulus.tabs)))

    # ------------------------------------------------------------------ conditions
    def open_conditions(self, rows: Sequence[int], now: float) -> None:
        """Conditions were called: they wait for an answer, or for their time to be over."""
        state = self.run.state
        for row in rows:
            self.record(AttemptsStarted(state.name, [row], "", array("d", (now,))))
            self.record(ActionPaused(state.name, row, now))
            seconds = state.task_of(row).timeout.max_runtime_seconds
            if seconds:
                self.desk.at(now + seconds, state.name, self._closer(row, seconds))

    def condition_answered(self, stimulus: ConditionAnswered, now: float) -> None:
        """Hand an answer to the first open condition of that name, or of that row."""
        state = self.run.state
        for row in range(state.count) if stimulus.row is None else [stimulus.row]:
            task = state.task_of(row)
            if task.kind == "condition" and state.phases[row] == _PAUSED and (stimulus.row is not None or task.name == stimulus.name):
                times = array("d", (state.started_ats[row],)), array("d", (now,))
                self.record(ActionsSucceeded(state.name, [row], "", [stimulus.answer], *times))
                self.run.recorded.setdefault(state.parent_of(row), {})[task.key] = stimulus.answer
                self._order(list(answers.outputs(self.run, [row], [stimulus.answer])))
                self.ended([row], now)
                return

    def _closer(self, row: int, seconds: float) -> Callable[[float], None]:
        def close(now: float) -> None:
            state = self.run.state
            if state.phases[row] != _PAUSED:
                return
            text = f"Condition '{state.task_of(row).name}' was not signaled within {float(seconds)} seconds."
            failure = Failure("timeout", "ConditionTimedoutError", text, retryable=False)
            self.record(ActionFailed(state.name, row, ActionPhase.TIMED_OUT, failure, state.started_ats[row], now))
            self._order(list(answers.failure(self.run, row, failure)))
            self.ended([row], now)

        return close
