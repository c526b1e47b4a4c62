"""Decides what the handle of an action can tell and do.

Must not know: how actions are executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

from flyte_nb import errors
from flyte_nb.authoring.conditions import checked_answer
from flyte_nb.authoring.outcomes import error_of
from flyte_nb.core.failure import aborted
from flyte_nb.core.payloads import unpack
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.questions import Answer
from flyte_nb.core.state import AttemptRecord, RunState
from flyte_nb.remote.details import Described, last_lines
from flyte_nb.remote.filters import TimeFilter, phases, selected
from flyte_nb.remote.home import run_named
from flyte_nb.remote.outputs import ActionInputs, ActionOutputs, outputs_of
from flyte_nb.syncify import class_with_aio, each_with_aio, with_aio
from flyte_nb.views.reports import ReportDocument

#: watch() and wait() look this often.
WATCH_SECONDS = 0.1


class Done:
    """What a wait gives: nothing, and it may be awaited as in Flyte."""

    def __await__(self) -> Generator[None, None, None]:
        """There is nothing left to wait for."""
        yield from ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "None"


class Action(Described):
    """One call of a task in a run."""

    @property
    def short_name(self) -> str:
        """The task's name for display."""
        return self._run.state.task_of(self._row).short_name

    @property
    def past_attempts(self) -> list[AttemptRecord]:
        """Attempts that ended without success, and why."""
        return list(self._run.state.past.get(self._row, ()))

    @property
    def worker(self) -> str:
        """The worker that ran it last; empty before it started."""
        state = self._run.state
        return state.workers[state.worker_ids[self._row]]

    def done(self) -> bool:
        """Whether it has ended."""
        return self.phase.is_terminal

    @with_aio
    def inputs(self) -> ActionInputs:
        """What it was called with, by parameter name."""
        state = self._run.state
        names = state.task_of(self._row).parameters
        return ActionInputs({name: unpack(item) for name, item in zip(names, state.inputs(self._row), strict=True)})

    @with_aio
    def outputs(self) -> ActionOutputs:
        """What it returned.

        Raises:
            RuntimeError: it has not ended.
            BaseRuntimeError: its own error, if it did not succeed.
        """
        __tracebackhide__ = True  # to IPython: the reader's lines, not ours
        state = self._run.state
        self.raise_for_status()
        return outputs_of(unpack(state.output(self._row)), state.task_of(self._row))

    @property
    def error(self) -> errors.BaseRuntimeError | None:
        """What it raised, as its caller saw it; None if it did not fail."""
        return self._run.read(lambda state: _error(state, self._row))

    def raise_for_status(self) -> None:
        """Raise if it has not succeeded.

        Raises:
            RuntimeError: it has not ended.
            BaseRuntimeError: its own error; `ActionAbortedError` if it was aborted.
        """
        __tracebackhide__ = True
        if not self.done():
            raise RuntimeError(
                f"Action {self.name} of run {self.run_name} has not ended: it is {self.phase}. `run.wait()` waits for the end of its run."
            )
        error = self.error
        if error is not None:
            raise error

    @property
    def error_message(self) -> str:
        """The message of its error; empty if it has none."""
        failure = self._run.state.failures.get(self._row)
        return failure.message if failure is not None else ""

    @property
    def traceback(self) -> str:
        """The task's own traceback; empty if it did not fail in its body."""
        failure = self._run.state.failures.get(self._row)
        return failure.traceback if failure is not None else ""

    @each_with_aio
    def get_logs(self, attempt: int | None = None, filter_system: bool = False, show_ts: bool = False) -> Iterator[str]:  # noqa: FBT001, FBT002 - Flyte's signature
        """What it printed, by line: of all attempts, without times. `attempt`, `filter_system`, `show_ts` are accepted for Flyte."""
        del attempt, filter_system, show_ts
        yield from self.logs.splitlines()

    @property
    def report(self) -> ReportDocument:
        """Its report as an HTML document; empty if it wrote none. Displayed, it is shown shut off from the page around it."""
        return ReportDocument.of(self.report_tabs, f"{self.short_name} {self.name}")

    @property
    def report_tabs(self) -> dict[str, str]:
        """Its report as HTML by tab."""
        return dict(self._run.state.reports.get(self._row, {}))

    @with_aio
    def get_report(self, attempt: int | None = None) -> ReportDocument:
        """See `report`; the one of the latest attempt is kept."""
        del attempt
        return self.report

    @property
    def cache_hit(self) -> bool:
        """Whether it did not run, because an earlier result was taken."""
        return self._row in self._run.state.reused

    @property
    def kind(self) -> str:
        """What it is: a "task", a "trace" (a step of its parent) or a "condition"."""
        return self._run.state.task_of(self._row).kind

    @with_aio
    def typed_inputs(self, types: object = None, deserializers: object = None) -> dict[str, Any]:
        """Its inputs by name; values keep their types here, so `types` and `deserializers` are not needed."""
        del types, deserializers
        return dict(self.inputs())

    @with_aio
    def typed_outputs(self, types: object = None, deserializers: object = None) -> dict[str, Any]:
        """Its outputs by name; see `typed_inputs`."""
        del types, deserializers
        return self.outputs().named_outputs

    async def watch_updates(self, cache_data_on_done: bool = False) -> AsyncIterator[Action]:  # noqa: FBT001, FBT002 - Flyte's signature
        """See `watch`."""
        async for action in self.watch(cache_data_on_done):
            yield action

    @with_aio
    def details(self) -> Action:
        """Flyte's details of an action: here the action knows them itself."""
        return self

    @with_aio
    def sync(self) -> Action:
        """The same action: a handle is always up to date."""
        return self

    def __await__(self) -> Generator[None, None, Action]:
        """Flyte's `details()` of an action is awaited."""
        yield from ()
        return self

    @with_aio
    def wait(self, quiet: bool = False, wait_for: str = "terminal") -> Done:  # noqa: FBT001, FBT002 - Flyte's signature
        """Wait until it has ended, or with `wait_for="running"` until it runs. `quiet` is accepted for Flyte."""
        del quiet
        while not (self.done() or (wait_for == "running" and self.is_running)):
            self._run.home.wait_ended(self.run_name, WATCH_SECONDS)
        return Done()

    async def watch(self, cache_data_on_done: bool = False, wait_for: str = "terminal") -> AsyncIterator[Action]:  # noqa: FBT001, FBT002 - Flyte's signature
        """Yield the action whenever it has changed, the last time when it has ended, or runs (`wait_for="running"`).

        `cache_data_on_done` is accepted for Flyte.
        """
        del cache_data_on_done
        seen: tuple[ActionPhase, int] | None = None
        while True:
            now = (self.phase, self.attempts)
            if now != seen:
                seen = now
                yield self
            if self.done() or (wait_for == "running" and self.is_running):
                return
            await asyncio.sleep(WATCH_SECONDS)

    @with_aio
    def signal(self, value: Answer) -> None:
        """Answer it with a value, if it is a condition that is open.

        Raises:
            ConditionNotFoundError: it is none, or it has been answered.
            TypeError: the answer is of another type than was asked for.
        """
        if self.kind != "condition" or self.phase is not ActionPhase.PAUSED:
            raise errors.ConditionNotFoundError(f"{self.task_name} of run {self.run_name} is no open condition: it is {self.phase}.")
        wanted = self._run.state.inputs(self._row)[1]
        self._run.home.answer(self.run_name, self._row, checked_answer(value, str(wanted)))

    @with_aio
    def show_logs(
        self,
        attempt: int | None = None,
        max_lines: int | None = None,
        show_ts: bool = False,  # noqa: FBT001, FBT002 - Flyte's signature
        raw: bool = False,  # noqa: FBT001, FBT002 - the same
        filter_system: bool = False,  # noqa: FBT001, FBT002 - the same
    ) -> None:
        """Print what it printed; of `max_lines` the last ones. `attempt`, `show_ts`, `raw`, `filter_system` are accepted for Flyte."""
        del attempt, show_ts, raw, filter_system
        for line in last_lines(self.logs.splitlines(), max_lines):
            print(line)  # noqa: T201 - that is its purpose

    @with_aio
    def abort(self, reason: str = "aborted by the user") -> None:
        """Stop it and all that it called; returns at once. `reason` is kept."""
        self._run.home.abort(self.run_name, self._row, reason)

    @property
    def children(self) -> list[Action]:
        """Actions that it called, in order."""
        blocks = self._run.state.children.get(self._row, ())
        return [Action(self._run, row) for block in blocks for row in block]

    def story(self) -> list[str]:
        """What happened to it, in order, a line each."""
        return self._run.read(lambda state: state.story(self._row))

    @class_with_aio
    def listall(
        cls: type[Action],
        /,
        for_run_name: str,
        in_phase: tuple[ActionPhase | str, ...] | None = None,
        parent_name: str | None = None,
        sort_by: tuple[str, str] | None = None,
        **filters: TimeFilter | None,
    ) -> Iterator[Action]:
        """All actions of a run, the root included.

        Args:
            for_run_name: the run's name.
            in_phase: only those in one of these phases.
            parent_name: only those that this action called.
            sort_by: (attribute, "asc" or "desc"); by default in the order in which they were called.
            filters: `created_at`, `updated_at`: a `TimeFilter`.

        Raises:
            RunNotFoundError: there is no such run.
        """
        run = run_named(for_run_name)
        found = [cls(run, row) for row in range(run.state.count)]
        wanted = phases(in_phase)
        yield from selected(
            (each for each in found if (wanted is None or each.phase in wanted) and parent_name in {None, each.parent_name}),
            sort_by,
            filters,
        )

    @class_with_aio
    def get(cls: type[Action], /, run_name: str = "", name: str = "a0") -> Action:
        """An action by its run's name (`run_name`) and its own.

        Raises:
            RunNotFoundError: there is no such run.
            ActionNotFoundError: there is no such action.
        """
        action: Action = run_named(run_name).action_named(name)
        return action

    def __repr__(self) -> str:
        return f"<action {self.name} of {self.task_name}: {self.phase}>"


def _error(state: RunState, row: int) -> errors.BaseRuntimeError | None:
    phase = state.phase_of(row)
    failure = state.failures.get(row)
    if failure is None and phase is ActionPhase.ABORTED:
        reason = state.abort_reason(row) or "it was stopped"
        failure = aborted(reason, state.name, f"Action {state.action_name(row)}")
    if failure is None:
        return None
    where = (state.name, state.action_name(row), state.task_of(row).name, state.task_of(row).short_name, "")
    return error_of(failure, where)
