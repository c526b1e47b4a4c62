"""Decides everything about runs: stimuli in, commands out.

Rule 1: the controller owns every action of every run; workers and drivers only ask and report. Rule 2: it is pure:
the instant comes with the stimulus, and nothing is done here, only ordered. Rule 3: every change of a run is an event
that is applied to its `RunState` first and then recorded.

An attempt is owned by the chunk that carries it: the chunk's id is its token, and a report about an action is accepted
only from the chunk that holds its token now. So the late answer of a worker that was given up on changes nothing.

This module routes, and knows workers; what concerns one run is in `run_control`.

Must not know: threads, asyncio, Dask, the clock.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flyte_nb.core.caching import ResultCache
from flyte_nb.core.events import RunStarted
from flyte_nb.core.payloads import Blob
from flyte_nb.core.state import RunState
from flyte_nb.engine import answers, losses
from flyte_nb.engine.adoption import CALLER_CANCELLED
from flyte_nb.engine.commands import AnswerName, Command, RecordEvent, RefuseRun, ReportDefect
from flyte_nb.engine.desk import Desk
from flyte_nb.engine.records import Chunk, RunRecord
from flyte_nb.engine.run_control import RunControl
from flyte_nb.engine.stimuli import (
    AbortRequested,
    AgentJoined,
    AgentLeaving,
    AgentLost,
    Called,
    CallsCancelled,
    ChunkReport,
    ClusterLost,
    ClusterSettled,
    ConditionAnswered,
    NameAsked,
    ReportFlushed,
    ResultsSought,
    RunRequested,
    SlotGranted,
    SlotReturned,
    SlotYielded,
    StepEnded,
    StepReplayed,
    Stimulus,
    TaskOffered,
    TimeReached,
)
from flyte_nb.engine.workforce import Workforce

#: How long an action that was told to stop may go on before its worker is ended.
GRACE_SECONDS = 2.0


class Controller:
    """The one owner of all runs of a kernel."""

    def __init__(
        self,
        *,
        grace_seconds: float = GRACE_SECONDS,
        max_losses: int = losses.MAX_LOSSES,
        results: ResultCache | None = None,
    ) -> None:
        self.desk = Desk(grace_seconds, max_losses, results)
        self.placement = self.desk.placement
        self.runs: dict[str, RunControl] = {}
        self.workforce = Workforce(self.desk, self.runs)
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            RunRequested: self._run_requested,
            TaskOffered: self._task_offered,
            Called: self._called,
            CallsCancelled: self._calls_cancelled,
            NameAsked: self._name_asked,
            ChunkReport: self._reported,
            SlotYielded: self.workforce.slot_yielded,
            SlotGranted: self.workforce.slot_granted,
            SlotReturned: self.workforce.slot_returned,
            StepEnded: self._aside,
            StepReplayed: self._aside,
            ReportFlushed: self._aside,
            ConditionAnswered: self._aside,
            ResultsSought: lambda stimulus, now: self.desk.reuse.sought(stimulus.sought, now),
            AgentJoined: self.workforce.joined,
            AgentLeaving: self.workforce.leaving,
            AgentLost: self.workforce.lost,
            ClusterSettled: self.workforce.settled,
            ClusterLost: self._cluster_lost,
            AbortRequested: self._abort_requested,
            TimeReached: lambda _stimulus, _now: None,
        }

    def handle(self, stimuli: Iterable[Stimulus], now: float) -> list[Command]:
        """Decide what follows from what happened, and hand out what can be handed out.

        Args:
            stimuli: what happened since the last call, in order.
            now: UTC seconds.
        """
        for stimulus in stimuli:
            try:
                self._handlers[type(stimulus)](stimulus, now)
            except Exception as error:  # noqa: BLE001 - told to the run that it concerns
                self._give_up(self._run_of(stimulus), error, now)
        for run, action in self.desk.due_timers(now):
            try:
                action(now)
            except Exception as error:  # noqa: BLE001 - as above
                self._give_up([run], error, now)
        try:
            self.desk.order_all(self.placement.dispatch([control.run for control in self.runs.values()], now))
            self.workforce.check_needs(now)
        except Exception as error:  # noqa: BLE001 - as above
            self._give_up(list(self.runs), error, now)
        return self.desk.take_orders()

    def _run_of(self, stimulus: Stimulus) -> list[str]:
        """The run that a stimulus is about; all runs if it cannot be told."""
        run = getattr(stimulus, "run", "")
        return [run] if run else list(self.runs)

    def _give_up(self, runs: Sequence[str], error: Exception, now: float) -> None:
        """A defect of ours: it is reported, and the runs that it concerns end with it. None is left to wait for ever."""
        self.desk.order(ReportDefect(", ".join(runs), "".join(traceback.format_exception(error))))
        for run in runs:
            control = self.runs.get(run)
            if control is not None:
                control.give_up(error, now)

    @property
    def wake_at(self) -> float | None:
        """When to be called next, if nothing happens before."""
        return self.desk.wake_at

    def forget(self, name: str) -> None:
        """Drop a run that has ended; its state lives on with whoever holds it."""
        self.runs.pop(name, None)
        self.desk.forget(name)
        for chunk in self.placement.chunks.values():
            if chunk.run == name:
                chunk.run = ""  # what is still said of it concerns nobody, least of all a later run of this name

    # ------------------------------------------------------------------ runs and calls
    def _run_requested(self, stimulus: RunRequested, now: float) -> None:
        if stimulus.run in self.runs:
            self.desk.order(RefuseRun(stimulus.run, f"a run named {stimulus.run!r} is in progress"))
            return
        asked = stimulus
        origin = asked.origin
        settings = (asked.custom_context, asked.labels, asked.settings, origin.source, origin.relation)
        blob = asked.blob or asked.kept
        started = RunStarted(asked.run, asked.task, asked.inputs, now, *settings, Blob(blob) if blob else None)
        run = RunRecord(RunState(started), max_actions=asked.max_actions, in_kernel=asked.in_kernel, recovery=origin.recovery)
        self.desk.order(RecordEvent(started))
        self.runs[stimulus.run] = control = RunControl(run, self.desk)
        control.start(stimulus.blob, stimulus.cache_key, now)

    def _aside(self, stimulus: StepEnded | StepReplayed | ReportFlushed | ConditionAnswered, now: float) -> None:
        control = self.runs.get(stimulus.run)
        if control is None:
            return
        if isinstance(stimulus, StepEnded):
            control.asides.step_ended(stimulus, now)
        elif isinstance(stimulus, StepReplayed):
            control.asides.step_replayed(stimulus, now)
        elif isinstance(stimulus, ReportFlushed):
            control.asides.report_flushed(stimulus)
        else:
            control.asides.condition_answered(stimulus, now)

    def _task_offered(self, stimulus: TaskOffered, _now: float) -> None:
        control = self.runs.get(stimulus.run)
        if control is not None:
            control.task_offered(stimulus)

    def _called(self, stimulus: Called, now: float) -> None:
        control = self.runs.get(stimulus.run)
        if control is not None:
            control.called(stimulus, now)
        else:
            self.desk.order_all(answers.refuse(stimulus, answers.aborted_failure("the run has ended", stimulus.run)))

    def _calls_cancelled(self, stimulus: CallsCancelled, now: float) -> None:
        for control in list(self.runs.values()):
            rows = control.run.rows_of(stimulus.place, stimulus.port, stimulus.seqs)
            if rows:
                control.stop(rows, CALLER_CANCELLED, now)

    def _name_asked(self, stimulus: NameAsked, _now: float) -> None:
        control = self.runs.get(stimulus.run)
        known = control is not None and stimulus.row < control.state.count  # not so for a left-over of an earlier run
        name = control.state.action_name(stimulus.row) if control is not None and known else ""
        self.desk.order(AnswerName(stimulus.place, stimulus.port, name))

    def _abort_requested(self, stimulus: AbortRequested, now: float) -> None:
        control = self.runs.get(stimulus.run)
        if control is not None and stimulus.row < control.state.count:
            control.stop([stimulus.row], stimulus.reason, now)

    def _cluster_lost(self, stimulus: ClusterLost, now: float) -> None:
        """Nobody is there to run anything: all runs end, and can be recovered."""
        for agent in list(self.placement.agents):
            self.workforce.lost(AgentLost(agent, stimulus.reason), now)
        self.placement.settled = False
        for control in list(self.runs.values()):
            control.stop([0], stimulus.reason, now)

    # ------------------------------------------------------------------ chunks
    def _reported(self, report: ChunkReport, now: float) -> None:
        chunk = self.placement.chunks.get(report.chunk)
        if chunk is None:
            return
        control = self.runs.get(chunk.run)
        if report.tainted:
            self.workforce.taint(chunk.agent)
        try:
            if control is not None:
                control.asides.measured(chunk, report)  # first: an attempt's end takes along what it cost
                control.reported(chunk, report, now)
        except Exception as error:  # noqa: BLE001 - told to the run; the worker's books must be kept all the same
            self._give_up([chunk.run], error, now)
        self._learn(chunk, report)
        if report.finished:
            self.workforce.chunk_finished(chunk, now)

    def _learn(self, chunk: Chunk, report: ChunkReport) -> None:
        ended = len(report.indices) + len(report.failed) + len(report.stopped) + len(report.returned)
        agent = self.placement.agents.get(chunk.agent)
        if chunk.lane is None:
            return
        if chunk.is_async and agent is not None:
            agent.async_rows -= ended
            chunk.lane.in_flight[chunk.agent] -= ended
        elif agent is not None and ended:
            agent.clogged = len(report.returned) == len(chunk.rows)
        if chunk.is_async:
            chunk.lane.pace.learn_steps(report.steps, report.busy_seconds)
        elif len(report.indices):
            chunk.lane.pace.learn(len(report.indices), sum(report.ended) - sum(report.started))
