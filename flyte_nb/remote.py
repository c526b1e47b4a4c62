"""Decides what the handle of a run, and of an action, can do: ask, wait, stop, and read what came out.

A handle holds a folded state and a way to its runner; it is the same for a run that goes on and for one that has ended.

Must not know: how actions are executed; how things look (views are handed in by the workspace).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from flyte_nb import errors
from flyte_nb.authoring.outcomes import error_of
from flyte_nb.core.events import TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import unpack
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.state import AttemptRecord, RunState
from flyte_nb.core.summary import Summary, summarise
from flyte_nb.syncify import with_aio

T = TypeVar("T")
#: wait() sleeps in slices of this length, so that an interrupt is seen at once.
WAIT_SLICE_SECONDS = 0.1


class Home(Protocol):
    """What a handle needs of its workspace."""

    def read(self, reader: Callable[[], T]) -> T:
        """Call a reader while nothing changes."""
        ...

    def abort(self, run: str, row: int, reason: str) -> None:
        """Stop an action and all that it called."""
        ...

    def wait_ended(self, run: str, timeout: float) -> bool:
        """Wait for a run's end; false if the time is over."""
        ...

    def load(self) -> tuple[int, int, int]:
        """(workers, slots, slots in use)."""
        ...

    def watch(self, run: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when a run has changed; returns how to end that."""
        ...

    def display(self, run: Run) -> dict[str, Any] | None:
        """Show a run's view; where there is none, its MIME bundle."""
        ...

    def waiting(self, run: Run) -> AbstractContextManager[Callable[[], None]]:
        """Around a wait for a run; what it gives is called now and then."""
        ...

    def frame(self, run: Run, kind: str) -> Any:  # noqa: ANN401 - a pandas.DataFrame, which this module does not import
        """A run's "actions" or "results"."""
        ...

    def find(self, name: str) -> Run | None:
        """A run by name."""
        ...

    def runs(self) -> list[Run]:
        """All runs, the latest last."""
        ...


_home: Home | None = None


def set_home(home: Home | None) -> None:
    """Say where `Run.get` and the like look."""
    global _home  # noqa: PLW0603 - one workspace a process
    _home = home


def _the_home() -> Home:
    if _home is None:
        raise errors.InitializationError("NoWorkspace", "user", "There is no run yet: start one with flyte.run(task, ...).")
    return _home


class ActionOutputs(tuple[Any, ...]):
    """What an action returned, as a tuple; also by name: `.o0`, or the fields of a NamedTuple."""

    names: tuple[str, ...]

    def __new__(cls, values: tuple[Any, ...], names: tuple[str, ...]) -> ActionOutputs:
        """Outputs with their names."""
        made = super().__new__(cls, values)
        made.names = names
        return made

    @property
    def named_outputs(self) -> dict[str, Any]:
        """Outputs by name."""
        return dict(zip(self.names, self, strict=True))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever was returned
        if not name.startswith("_") and name in self.names:
            return self[self.names.index(name)]
        raise AttributeError(f"There is no output {name!r}; outputs are: {', '.join(self.names) or 'none'}.")

    def __reduce__(self) -> tuple[Any, ...]:
        return ActionOutputs, (tuple(self), self.names)


def outputs_of(value: object, facts: TaskFacts) -> ActionOutputs:
    """The outputs of a task's returned value: one a declared output; an undeclared one is `o0`."""
    names = facts.outputs
    if len(names) > 1 or (len(names) == 1 and names != ("o0",)):
        return ActionOutputs(tuple(value), names)  # type: ignore[arg-type]  # the signature checked that it is a tuple
    if not names and value is None:
        return ActionOutputs((None,), ("o0",))
    return ActionOutputs((value,), ("o0",))


class Action:
    """One call of a task in a run."""

    def __init__(self, run: Run, row: int) -> None:
        self._run, self._row = run, row

    @property
    def run_name(self) -> str:
        """The run's name."""
        return self._run.name

    @property
    def name(self) -> str:
        """The action's deterministic name; the root is `a0`."""
        return self._run.read(lambda state: state.action_name(self._row))

    @property
    def task_name(self) -> str:
        """`<environment>.<function>`."""
        return self._run.state.task_of(self._row).name

    @property
    def short_name(self) -> str:
        """The task's name for display."""
        return self._run.state.task_of(self._row).short_name

    @property
    def parent_name(self) -> str | None:
        """Name of the action that called it; None for the root."""
        if self._row == 0:
            return None
        return self._run.read(lambda state: state.action_name(state.parent_of(self._row)))

    @property
    def group(self) -> str | None:
        """The group that it was called in."""
        return self._run.state.group_of(self._row) or None

    @property
    def phase(self) -> ActionPhase:
        """Where it is."""
        return self._run.state.phase_of(self._row)

    @property
    def attempts(self) -> int:
        """Attempts that have started."""
        return self._run.state.attempts[self._row]

    @property
    def past_attempts(self) -> list[AttemptRecord]:
        """Attempts that ended without success, and why."""
        return list(self._run.state.past.get(self._row, ()))

    @property
    def worker(self) -> str:
        """The worker that ran it last; empty before it started."""
        state = self._run.state
        return state.workers[state.worker_ids[self._row]]

    @property
    def start_time(self) -> datetime | None:
        """When its last attempt started, UTC."""
        return _instant(self._run.state.started_ats[self._row])

    @property
    def end_time(self) -> datetime | None:
        """When it ended, UTC."""
        return _instant(self._run.state.ended_ats[self._row])

    def done(self) -> bool:
        """Whether it has ended."""
        return self.phase.is_terminal

    @with_aio
    def inputs(self) -> Mapping[str, Any]:
        """What it was called with, by parameter name."""
        state = self._run.state
        names = state.task_of(self._row).parameters
        return {name: unpack(item) for name, item in zip(names, state.inputs(self._row), strict=True)}

    @with_aio
    def outputs(self) -> ActionOutputs:
        """What it returned.

        Raises:
            RuntimeError: it has not ended.
            BaseRuntimeError: its own error, if it did not succeed.
        """
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
        if not self.done():
            raise RuntimeError(f"Action {self.name} of run {self.run_name} has not ended: it is {self.phase}.")
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

    @property
    def logs(self) -> str:
        """What it printed (at most 100,000 characters are kept)."""
        return self._run.read(lambda state: state.logs(self._row))

    @with_aio
    def show_logs(self, *_options: object, **_more: object) -> None:
        """Print what it printed."""
        print(self.logs, end="")  # noqa: T201 - that is its purpose

    @with_aio
    def abort(self, reason: str = "aborted by the user") -> None:
        """Stop it and all that it called; returns at once."""
        self._run.home.abort(self.run_name, self._row, reason)

    @property
    def children(self) -> list[Action]:
        """Actions that it called, in order."""
        blocks = self._run.state.children.get(self._row, ())
        return [Action(self._run, row) for block in blocks for row in block]

    def story(self) -> list[str]:
        """What happened to it, in order, a line each."""
        return self._run.read(lambda state: state.story(self._row))

    @classmethod
    def listall(cls, for_run_name: str, in_phase: tuple[ActionPhase, ...] | None = None) -> Iterator[Action]:
        """All actions of a run, the root included.

        Raises:
            RunNotFoundError: there is no such run.
        """
        run = Run.get(for_run_name)
        for row in range(run.state.count):
            action = cls(run, row)
            if in_phase is None or action.phase in in_phase:
                yield action

    @classmethod
    def get(cls, run_name: str, name: str) -> Action:
        """An action by its run's and its own name.

        Raises:
            RunNotFoundError: there is no such run.
            ActionNotFoundError: there is no such action.
        """
        return Run.get(run_name).action_named(name)

    def __repr__(self) -> str:
        return f"<action {self.name} of {self.task_name}: {self.phase}>"


def _instant(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _error(state: RunState, row: int) -> errors.BaseRuntimeError | None:
    phase = state.phase_of(row)
    failure = state.failures.get(row)
    if failure is None and phase is ActionPhase.ABORTED:
        reason = state.abort_reason(row) or "it was stopped"
        failure = Failure("user", "ActionAbortedError", f"Action {state.action_name(row)} was aborted: {reason}.")
    if failure is None:
        return None
    where = (state.name, state.action_name(row), state.task_of(row).name, state.task_of(row).short_name, "")
    return error_of(failure, where)


class Run:
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

    def summary(self) -> Summary:
        """The run at this moment."""
        workers, slots, in_use = self.home.load()
        return self.read(lambda state: summarise(state, time.time(), workers=workers, slots=slots, slots_in_use=in_use))

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after changes, at most five times a second, and once more at the end.

        It is called on the engine's thread: be quick. Returns a function that ends it.
        """
        return self.home.watch(self.name, callback)

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
        return self.done() or (wait_for == "running" and self.phase is not ActionPhase.QUEUED)

    @with_aio
    def inputs(self) -> Mapping[str, Any]:
        """What the root task was called with, by parameter name."""
        return self.root.inputs()

    @with_aio
    def outputs(self) -> ActionOutputs:
        """What the root task returned; waits for the end.

        Raises:
            BaseRuntimeError: the root's error, if it did not succeed.
        """
        self.wait()
        return self.root.outputs()

    @with_aio
    def abort(self, reason: str = "aborted by the user") -> None:
        """Stop the run and all its actions; returns at once."""
        self.home.abort(self.name, 0, reason)

    @property
    def root(self) -> Action:
        """The root action."""
        return Action(self, 0)

    def action(self, which: str | int = 0) -> Action:
        """An action by name, or by its position in `run.actions`.

        Raises:
            ActionNotFoundError: there is no such action.
        """
        if isinstance(which, str):
            return self.action_named(which)
        if not 0 <= which < self.state.count:
            raise errors.ActionNotFoundError(f"Run {self.name} has {self.state.count} actions; there is none at {which}.")
        return Action(self, int(which))

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
        failed = self.read(lambda state: [row for row in state.failures if state.failures[row].kind])
        return Action(self, min(failed, key=lambda row: self.state.ended_ats[row])) if failed else None

    @with_aio
    def raise_for_status(self) -> None:
        """Raise the root's error if the run has ended without success; nothing if it goes on or succeeded.

        Raises:
            BaseRuntimeError: the root's error; `ActionAbortedError` if the run was aborted.
        """
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
    def show_logs(self, *_options: object, **_more: object) -> None:
        """Print what all actions printed, each line labelled."""
        for row in range(self.state.count):
            text = self.read(lambda state, row=row: state.logs(row))  # type: ignore[misc]  # row is bound now
            for line in text.splitlines():
                print(f"[{self.state.task_of(row).short_name} {self.state.action_name(row)[:8]}] {line}")  # noqa: T201

    @classmethod
    def get(cls, name: str) -> Run:
        """A run by name.

        Raises:
            RunNotFoundError: there is none in this kernel.
        """
        run = _the_home().find(name)
        if run is None:
            raise errors.RunNotFoundError(name)
        return run

    @classmethod
    def listall(cls, in_phase: tuple[ActionPhase, ...] | None = None, limit: int = 100) -> Iterator[Run]:
        """Runs, the latest first."""
        found = [run for run in reversed(_the_home().runs()) if in_phase is None or run.phase in in_phase]
        yield from found[:limit]

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


__all__ = ["Action", "ActionOutputs", "Run", "set_home"]
