"""A run without an engine: tests say what happens, real events are folded, and callbacks run in the test's thread."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TypeVar

from flyte_nb.core.events import (
    ActionFailed,
    ActionPaused,
    ActionsAborted,
    ActionsCalled,
    ActionsSucceeded,
    AttemptsMeasured,
    AttemptsStarted,
    ReportWritten,
    RunStarted,
    TaskDeclared,
    TaskFacts,
)
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import pack
from flyte_nb.core.phases import ActionPhase
from flyte_nb.core.policy import Timeout
from flyte_nb.core.state import RunState
from flyte_nb.core.summary import Summary, summarise

Result = TypeVar("Result")


def task(name: str, *parameters: str, outputs: tuple[str, ...] = ()) -> TaskFacts:
    """A task's facts; the short name is the function's."""
    return TaskFacts(key=name, name=f"env.{name}", short_name=name, parameters=parameters, outputs=outputs)


class FakeAction:
    """An action of a fake run."""

    def __init__(self, run: FakeRun, row: int) -> None:
        self._run, self._row = run, row

    def abort(self, reason: str = "") -> None:
        """Remember the reason, with the row."""
        self._run.aborts.append(f"{self._row}: {reason}")

    def signal(self, value: object) -> None:
        """Answer it, if it is open."""
        if self._run.state.phase_of(self._row) is not ActionPhase.PAUSED:
            raise LookupError("it is not open")
        self._run.answers.append((self._row, value))
        self._run.succeed([self._row], [value], worker="")


class FakeRun:
    """A run handle that a test drives; time stands still unless `now` is moved."""

    def __init__(self, name: str = "r0abc", *, root: TaskFacts | None = None, at: float = 1_000_000.0) -> None:
        self.now = at
        self.aborts: list[str] = []
        self.answers: list[tuple[int, object]] = []
        self.callbacks: list[Callable[[], None]] = []
        self.state = RunState(RunStarted(name, root or task("main"), (), at))
        self.state.apply(AttemptsStarted(name, [0], "kernel", array("d", [at])))

    # ------------------------------------------------------------------ the handle
    @property
    def name(self) -> str:
        """The run's name."""
        return self.state.name

    def done(self) -> bool:
        """Whether the run is over."""
        return self.state.phase.is_terminal

    def abort(self, reason: str = "") -> None:
        """Remember the reason and stop everything."""
        self.aborts.append(reason)

    def action(self, which: int) -> FakeAction:
        """One of its actions."""
        return FakeAction(self, which)

    action_at = action

    def summary(self, *, brief: bool = False) -> Summary:
        """The run at `now`."""
        return summarise(self.state, self.now, workers=2, slots=2, slots_in_use=1, brief=brief)

    def read(self, reader: Callable[[RunState], Result]) -> Result:
        """Call a function with the state."""
        return reader(self.state)

    def on_change(self, callback: Callable[[], None], *, every: float = 0.2) -> Callable[[], None]:
        """Keep a callback until it is taken back; the test decides when it is called."""
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    # ------------------------------------------------------------------ what happens
    def call(self, what: TaskFacts, inputs: Sequence[tuple[object, ...]], *, group: str = "", parent: int = 0) -> range:
        """Call a task once per tuple of inputs; returns the rows."""
        if what not in self.state.tasks:
            self.state.apply(TaskDeclared(self.name, what))
        items = [tuple(pack(value) for value in row) for row in inputs]
        first = self.state.count
        self.state.apply(ActionsCalled(self.name, first, parent, self.state.tasks.index(what), group, items, self.now))
        return range(first, self.state.count)

    def start(self, rows: Sequence[int], worker: str = "w1") -> None:
        """Start attempts."""
        self.state.apply(AttemptsStarted(self.name, rows, worker, array("d", [self.now]) * len(rows)))

    def succeed(self, rows: Sequence[int], outputs: Sequence[object], *, seconds: float = 1.0, worker: str = "w1") -> None:
        """End actions well, one output each."""
        began = array("d", [self.now]) * len(rows)
        ended = array("d", [self.now + seconds]) * len(rows)
        items = [pack(value) for value in outputs]
        self.state.apply(ActionsSucceeded(self.name, rows, worker, items, began, ended))

    def fail(self, row: int, code: str = "ValueError", message: str = "bad", *, traceback: str = "") -> None:
        """End one action badly."""
        failure = Failure("user", code, message, code, traceback, None, "w1")
        self.state.apply(ActionFailed(self.name, row, ActionPhase.FAILED, failure, self.now, self.now + 0.5))

    def measure(self, row: int, cpu_seconds: float, memory_kib: int) -> None:
        """Say what an attempt cost that is about to end."""
        self.state.apply(AttemptsMeasured(self.name, [row], array("f", (cpu_seconds,)), array("I", (memory_kib,))))

    def drop(self, rows: Sequence[int], reason: str = "the run was aborted") -> None:
        """Abort actions."""
        self.state.apply(ActionsAborted(self.name, rows, reason, self.now))

    def ask(self, name: str, prompt: str = "Go on?", kind: str = "bool", description: str = "", *, seconds: int = 0) -> int:
        """Open a condition; returns its row."""
        limit = Timeout(max_runtime=seconds) if seconds else Timeout()
        parameters = ("prompt", "data_type", "description")
        facts = TaskFacts(f"condition:{name}", name, name, parameters, ("o0",), is_async=True, timeout=limit, kind="condition")
        (row,) = self.call(facts, [(prompt, kind, description)])
        self.start([row], "")
        self.state.apply(ActionPaused(self.name, row, self.now))
        return row

    def report(self, row: int, **tabs: str) -> None:
        """An action writes its report."""
        self.state.apply(ReportWritten(self.name, row, tuple(tabs.items())))

    def finish(self, output: object = None) -> None:
        """End the root well."""
        self.succeed([0], [output])

    def announce(self) -> None:
        """Tell everybody who asked that something changed."""
        for callback in list(self.callbacks):
            callback()
