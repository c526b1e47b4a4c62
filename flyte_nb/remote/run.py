"""Decides what the handle of a run can do: ask, wait, stop, and read what came out.

A handle holds a folded state and a way to its runner; it is the same for a run that goes on and for one that has ended.

Must not know: how actions are executed; how things look (views are handed in by the workspace).
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from flyte_nb import errors
from flyte_nb.authoring.context import ActionID
from flyte_nb.core.ids import ROOT_ACTION
from flyte_nb.core.index import RunFilter
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import RunState
from flyte_nb.core.summary import Summary, summarise
from flyte_nb.remote.action import Action
from flyte_nb.remote.details import last_lines
from flyte_nb.remote.filters import TimeFilter, phases, selected
from flyte_nb.remote.following import FollowedRun
from flyte_nb.remote.home import Home, run_named, the_home
from flyte_nb.remote.outputs import ActionInputs, ActionOutputs
from flyte_nb.syncify import class_with_aio, each_with_aio, with_aio
from flyte_nb.views.reports import ReportDocument

T = TypeVar("T")
#: wait() sleeps in slices of this length, so that an interrupt is seen at once.
WAIT_SLICE_SECONDS = 0.1


class RootAction(Action):
    """The root action of a run, and the way to the others: `run.action("name")`, `run.action(3)`."""

    def __call__(self, which: str | int = 0) -> Action:
        """An action by name, or by its position in `run.actions`.

        Raises:
            ActionNotFoundError: there is no such action.
        """
        run: Any = self._run
        found: Action = run.action_named(which) if isinstance(which, str) else run.action_at(which)
        return found


class Run(FollowedRun):
    """The handle of a run: returned at once by `flyte.run`, live while the run goes on, and still good afterwards.

    Displayed in a notebook it is the live view.
    """

    def __init__(self, state: RunState, home: Home) -> None:
        self.state = state
        self.home = home

    @property
    def name(self) -> str:
        """The run's name."""
        return self.state.name

    @property
    def url(self) -> str:
        """A name for links: there is no web page."""
        return f"flyte_nb://runs/{self.name}"

    @property
    def phase(self) -> ActionPhase:
        """Where the run is: the root's phase, but running until all that it called has ended."""
        return self.state.phase

    @property
    def task_name(self) -> str:
        """The root task's name."""
        return self.state.root.name

    def done(self) -> bool:
        """Whether the run and all its actions have ended."""
        return self.state.ended_at is not None

    def read(self, reader: Callable[[RunState], T]) -> T:
        """Call `reader(state)` while nothing changes."""
        return self.home.read(lambda: reader(self.state))

    def summary(self, *, brief: bool = False) -> Summary:
        """The run at this moment; `brief`: without groups and failures."""
        workers, slots, in_use = self.home.load()
        load = {"workers": workers, "slots": slots, "slots_in_use": in_use}
        starting = self.home.starting() if not workers and not self.done() else None
        return self.read(lambda state: summarise(state, time.time(), **load, starting=starting, brief=brief))

    def on_change(self, callback: Callable[[], None], *, every: float = 0.2) -> Callable[[], None]:
        """Have `callback` called after changes, at most once in `every` seconds, and once more at the end.

        It is called on the engine's thread: be quick (`on_update` calls in yours). Returns a function that ends it.
        """
        return self.home.watch(self.name, callback, every)

    @with_aio
    def wait(
        self,
        quiet: object = False,  # noqa: FBT002 - Flyte's signature; a run may land here (`run.wait(run)`)
        wait_for: str = "terminal",
        *,
        timeout: float | None = None,
        abort_on_interrupt: bool = True,
    ) -> None:
        """Wait until the run has ended. Does not raise if it failed: see `raise_for_status`.

        Args:
            quiet: accepted for Flyte.
            wait_for: "terminal", or "running" to wait for its start only.
            timeout: seconds to wait at most; None is without end.
            abort_on_interrupt: the interrupt button (Ctrl-C) aborts the run; False only stops waiting.

        Raises:
            TimeoutError: the time is over; the run goes on.
            ValueError: `wait_for` is neither of the two.
        """
        del quiet
        if wait_for not in {"terminal", "running"}:
            raise ValueError(f'wait_for must be "terminal" or "running", got {wait_for!r}')
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            with self.home.waiting(self) as tick:
                while not self._reached(wait_for):
                    if deadline is not None and time.monotonic() > deadline:
                        raise TimeoutError(f"Run {self.name} has not ended within {timeout:g} s; it goes on.")
                    self.home.wait_ended(self.name, WAIT_SLICE_SECONDS)
                    tick()
        except KeyboardInterrupt:
            if abort_on_interrupt:
                self.home.abort(self.name, 0, "interrupted by the user")
            raise

    def _reached(self, wait_for: str) -> bool:
        if wait_for == "running" and self.phase is not ActionPhase.QUEUED:
            return True
        return self.done() and self.home.wait_ended(self.name, 0)  # it is told once it is safe from the kernel's death

    @with_aio
    def inputs(self) -> ActionInputs:
        """What the root task was called with, by parameter name."""
        return self.root.inputs()

    @with_aio
    def outputs(self) -> ActionOutputs:
        """What the root task returned; waits for the end.

        Raises:
            BaseRuntimeError: the root's error, if it did not succeed.
        """
        __tracebackhide__ = True
        self.wait()
        return self.root.outputs()

    @with_aio
    def abort(self, reason: str = "aborted by the user") -> None:
        """Stop the run and all its actions; returns at once. `reason` is kept."""
        self.home.abort(self.name, 0, reason)

    @with_aio
    def rerun(
        self,
        /,
        action_name: str = ROOT_ACTION,
        *,
        recover: bool = False,
        force_rerun_actions: Sequence[str] | None = None,
        **inputs: Any,  # noqa: ANN401 - the task's inputs
    ) -> Run:
        """Start it again, as a new run: action_name, recover, force_rerun_actions and inputs are those of `flyte.rerun`."""
        run: Run = self.home.rerun(self.name, action_name, inputs, recover=recover, force=force_rerun_actions or ())
        return run

    @property
    def relation(self) -> str:
        """Which run it repeats, and how: "recover of r1", "rerun of r1"; empty if it repeats none."""
        return f"{self.state.relation} of {self.state.source}" if self.state.source else ""

    @property
    def root(self) -> Action:
        """The root action."""
        return Action(self, 0)

    @property
    def action(self) -> RootAction:
        """The root action (Flyte's rule); called, `run.action(which)`, it gives an action by name, or by its position in `run.actions`."""
        return RootAction(self, 0)

    def action_at(self, row: int) -> Action:
        """An action by its position in `run.actions`.

        Raises:
            ActionNotFoundError: there is no such action.
        """
        if not 0 <= row < self.state.count:
            raise errors.ActionNotFoundError(f"Run {self.name} has {self.state.count} actions; there is none at {row}.")
        return Action(self, int(row))

    def action_named(self, name: str) -> Action:
        """An action by name.

        Raises:
            ActionNotFoundError: there is no such action.
        """
        row = self.read(lambda state: state.row_of(name))
        if row is None:
            raise errors.ActionNotFoundError(f"Run {self.name} has no action named {name!r}; run.actions lists them.")
        return Action(self, row)

    @with_aio
    def first_failure(self) -> Action | None:
        """The action that failed first, in order of time; None if none did."""
        failed = self.read(lambda state: list(state.failures))
        return Action(self, min(failed, key=lambda row: self.state.ended_ats[row])) if failed else None

    @with_aio
    def raise_for_status(self) -> None:
        """Raise the root's error if the run has ended without success; nothing if it goes on or succeeded.

        Raises:
            BaseRuntimeError: the root's error; `ActionAbortedError` if the run was aborted.
        """
        __tracebackhide__ = True
        error = self.root.error if self.done() else None
        if error is not None:
            raise error

    @property
    def actions(self) -> Any:  # noqa: ANN401 - a pandas.DataFrame, which this module does not import
        """One row an action, as a DataFrame; displayed, it refreshes itself while the run goes on."""
        return self.home.frame(self, "actions")

    @property
    def results(self) -> Any:  # noqa: ANN401 - the same
        """One row an action with its inputs and outputs, as a DataFrame; displayed, it refreshes itself."""
        return self.home.frame(self, "results")

    @with_aio
    def show_logs(
        self,
        attempt: int | None = None,
        max_lines: int | None = None,
        show_ts: bool = False,  # noqa: FBT001, FBT002 - Flyte's signature
        raw: bool = False,  # noqa: FBT001, FBT002 - the same
        filter_system: bool = False,  # noqa: FBT001, FBT002 - the same
    ) -> None:
        """Print what all actions printed, each line labelled; the last `max_lines`. attempt, show_ts, raw, filter_system: Flyte's."""
        del attempt, show_ts, raw, filter_system
        lines: list[str] = []
        for row in range(self.state.count):
            text = self.read(lambda state, row=row: state.logs(row))  # type: ignore[misc]  # row is bound now
            if text:
                label = f"[{self.state.task_of(row).short_name} {self.state.action_name(row)[:8]}] "
                lines += [f"{label}{line}" for line in text.splitlines()]
        for line in last_lines(lines, max_lines):
            print(line)  # noqa: T201 - that is its purpose

    @property
    def raw_phase(self) -> ActionPhase:
        """The same as `phase`."""
        return self.phase

    @each_with_aio
    def get_logs(self, attempt: int | None = None, filter_system: bool = False, show_ts: bool = False) -> Iterator[str]:  # noqa: FBT001, FBT002 - Flyte's signature
        """What the root task printed, by line. `attempt`, `filter_system`, `show_ts` are accepted for Flyte."""
        yield from self.root.get_logs(attempt, filter_system, show_ts)

    @with_aio
    def get_report(self, attempt: int | None = None) -> ReportDocument:
        """The root's report as an HTML document, that of the latest attempt; empty if it wrote none."""
        return self.root.get_report(attempt)

    @with_aio
    def typed_outputs(self, types: object = None, deserializers: object = None) -> dict[str, Any]:
        """Outputs by name; values keep their types here, so `types` and `deserializers` are not needed."""
        del types, deserializers
        return self.outputs().named_outputs

    @with_aio
    def typed_inputs(self, types: object = None, deserializers: object = None) -> dict[str, Any]:
        """Inputs by name; see `typed_outputs`."""
        del types, deserializers
        return dict(self.inputs())

    @property
    def action_id(self) -> ActionID:
        """The names of the root action."""
        return self.root.action_id

    @property
    def code_bundle(self) -> None:
        """There are no bundles here: code travels with its task."""
        return

    @with_aio
    def get_debug_url(self) -> None:
        """None: there is no debugger to connect to."""
        return

    def to_dict(self) -> dict[str, Any]:
        """Facts about the run, of types that JSON knows."""
        return {**self.root.to_dict(), "phase": self.phase.value, "labels": self.labels, "actions": self.state.count}

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict())

    @with_aio
    def details(self) -> Run:
        """Flyte's details of a run: here the run knows them itself."""
        return self

    @with_aio
    def sync(self) -> Run:
        """The same run: a handle is always up to date."""
        return self

    def __await__(self) -> Generator[None, None, Run]:
        """Flyte's details are awaited in places."""
        yield from ()
        return self

    async def watch(self, cache_data_on_done: bool = False) -> AsyncIterator[Action]:  # noqa: FBT001, FBT002 - Flyte's signature
        """Yield the root action whenever it has changed, the last time when it has ended. `cache_data_on_done` is accepted for Flyte."""
        async for action in self.root.watch(cache_data_on_done):
            yield action

    @property
    def conditions(self) -> list[Action]:
        """Conditions that are open: `run.conditions[0].signal(True)` answers one."""
        tasks = {number for number, task in enumerate(self.state.tasks) if task.kind == "condition"}
        if not tasks:
            return []
        rows = self.read(lambda state: [row for row, task in enumerate(state.task_ids) if task in tasks])
        return [action for action in (Action(self, row) for row in rows) if not action.done()]

    def condition(self, name: str) -> Action:
        """The open condition of a name.

        Raises:
            ConditionNotFoundError: there is none.
        """
        found = next((each for each in self.conditions if each.task_name == name), None)
        if found is None:
            raise errors.ConditionNotFoundError(f"Run {self.name} has no open condition named {name!r}.")
        return found

    @class_with_aio
    def get(cls: type[Run], /, name: str) -> Run:
        """A run by name.

        Raises:
            RunNotFoundError: there is none in this project.
        """
        run: Run = run_named(name)
        return run

    @class_with_aio
    def listall(  # noqa: PLR0913, PLR0917 - Flyte's signature
        cls: type[Run],
        /,
        in_phase: tuple[ActionPhase | str, ...] | None = None,
        task_name: str | None = None,
        task_version: str | None = None,
        created_by_subject: str | None = None,
        sort_by: tuple[str, str] | None = None,
        limit: int = 100,
        project: str | None = None,
        domain: str | None = None,
        created_at: TimeFilter | None = None,
        updated_at: TimeFilter | None = None,
        with_labels: Mapping[str, str] | None = None,
        with_label_keys: Sequence[str] | None = None,
        paused_actions_only: bool = False,  # noqa: FBT001, FBT002 - Flyte's signature
    ) -> Iterator[Run]:
        """Runs, the latest first.

        Args:
            in_phase: only those in one of these phases.
            task_name: only those of this root task.
            sort_by: (attribute, "asc" or "desc").
            limit: at most so many.
            with_labels: only those that have all of these labels.
            with_label_keys: only those that have all of these labels, whatever their values.
            created_at: only those started in this time.
            updated_at: only those that ended in this time.
            paused_actions_only: only those with a condition that waits for an answer.
            task_version: accepted for Flyte, without effect, as are the next three.
            created_by_subject: as above.
            project: as above.
            domain: as above.
        """
        del task_version, created_by_subject, project, domain
        wanted = RunFilter(phases=frozenset(phases(in_phase) or ()), task=task_name or "", labels=tuple((with_labels or {}).items()))
        home, keys = the_home(), set(with_label_keys or ())
        named = (_readable(home, entry.name) for entry in reversed(home.entries(wanted)))
        found = (run for run in named if run is not None and keys <= set(run.labels) and (not paused_actions_only or run.conditions))
        yield from islice(selected(found, sort_by, {"created_at": created_at, "updated_at": updated_at}), limit)

    @property
    def start_time(self) -> datetime:
        """When it was started, UTC."""
        return datetime.fromtimestamp(self.state.started_at, UTC)

    created_at = start_time

    @property
    def end_time(self) -> datetime | None:
        """When it and all its actions had ended, UTC."""
        return None if self.state.ended_at is None else datetime.fromtimestamp(self.state.ended_at, UTC)

    @property
    def labels(self) -> dict[str, str]:
        """The labels that it was started with."""
        return dict(self.state.labels)

    def _ipython_display_(self) -> None:
        if self.home.display(self) is not None:
            raise NotImplementedError  # IPython then asks for _repr_mimebundle_

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        del include, exclude
        return self.home.display(self) or {}

    def __repr__(self) -> str:
        summary = self.summary()
        return (
            f"<run {self.name} of {self.task_name}: {self.phase}, {summary.ended}/{summary.total} actions ended, {summary.failed} failed>"
        )


def _readable(home: Home, name: str) -> Run | None:
    """A run; None if it was pruned meanwhile, or must not be read."""
    try:
        found: Run | None = home.find(name)
    except errors.RuntimeUserError:
        return None
    return found
