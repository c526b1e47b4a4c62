"""Decides what code that is running knows about the action that it belongs to, and how it reaches its run.

`CURRENT` is a context variable: set by the engine around a task's body, read by task calls, `group`, `map` and `ctx`.
Outside of a run it is None, and a task call is then the plain Python function.

Must not know: asyncio, threads, or what a submitter does with a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from flyte_nb.core.events import NO_SETTINGS, Inputs, RunSettings, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item

if TYPE_CHECKING:  # the name of a type only: core runs no loop
    from asyncio import AbstractEventLoop

Context = tuple[tuple[str, str], ...]
#: Where a failed action is: (run, action name, task name, path of task names from the root, inputs as text).
Whereabouts = tuple[str, str, str, str, str]


class RunnableTask(Protocol):
    """What the engine needs of a task: its facts, its pickled form, and how to run its body."""

    @property
    def facts(self) -> TaskFacts:
        """What a run needs to know."""
        ...

    def current_facts(self) -> TaskFacts:
        """The facts, with the version of the code as it is now: helpers may have changed since the task was defined."""
        ...

    def pickled(self) -> bytes:
        """The task as bytes that a worker can load."""
        ...

    def invoke(self, items: Inputs) -> object:
        """Call the body; the result is a value, or a coroutine for an async body."""
        ...

    def pack_output(self, value: object) -> Item:
        """Check what the body returned and turn it into an item."""
        ...

    def within(self, settings: RunSettings) -> RunnableTask:
        """The task as the settings of a run want it."""
        ...

    def cache_keys(self, run: str, inputs: Sequence[Inputs]) -> Sequence[str]:
        """What results of these calls are kept under; asked only if the facts say that they are kept."""
        ...


class PendingCall(Protocol):
    """A call that waits for its action's end, on the loop that made it."""

    seq: int

    def get_loop(self) -> AbstractEventLoop:
        """The loop that waits."""
        ...

    def done(self) -> bool:
        """Whether the caller has its answer, or gave up."""
        ...

    def resolve(self, item: Item) -> None:
        """Take the output's item."""
        ...

    def fail(self, failure: Failure, where: Whereabouts) -> None:
        """Take the failure."""
        ...

    def fail_here(self, error: BaseException) -> None:
        """Take an error that kept the call from becoming an action."""
        ...


class ResultStream(Protocol):
    """Calls of one task made in bulk, whose results are read by position, from a thread or from a loop."""

    def submit(self, inputs: Sequence[Inputs], frame: Frame | None = None) -> None:
        """Add calls; positions count on from the last one. `frame`: in another group, where the stream has no limit."""
        ...

    def result(self, index: int) -> tuple[bool, Item | Failure, Whereabouts | None]:
        """What is at a position: (whether it succeeded, item or failure, where). It must be there."""
        ...

    def wait_result(self, index: int) -> None:
        """Block this thread until the result at a position is there."""
        ...

    async def wait_result_async(self, index: int) -> None:
        """Wait on the running loop until the result at a position is there."""
        ...

    def ended_count(self) -> int:
        """How many results are there."""
        ...

    def has_ended(self, index: int) -> bool:
        """Whether the result at a position is there."""
        ...

    def wait_ended(self, more_than: int) -> None:
        """Block this thread until more results are there than that."""
        ...

    async def wait_ended_async(self, more_than: int) -> None:
        """Wait on the running loop until more results are there than that."""
        ...

    def close(self) -> None:
        """Abort what has not ended."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """A traced function that has ended inside an action.

    Attributes:
        task: the function, as facts of kind "trace".
        key: finds this very step again in another attempt of the same action; empty if it must not be found.
        output: what it returned, unless it raised.
    """

    task: TaskFacts
    key: str
    inputs: Inputs
    output: Item
    started: float
    ended: float


class Submitter(Protocol):
    """Where the task calls of running actions go."""

    def start(self, call: PendingCall, task: RunnableTask, inputs: Inputs, frame: Frame) -> None:
        """Submit one call; it travels with the others that the same loop makes in this turn."""
        ...

    def cancel(self, call: PendingCall) -> None:
        """The caller no longer wants the result: abort the action."""
        ...

    def stream(self, task: RunnableTask, frame: Frame, limit: int = 0) -> ResultStream:
        """Open a stream of calls of one task, at most `limit` of them under way at once (0: no limit)."""
        ...

    def record_step(self, frame: Frame, step: Step, error: Exception | None) -> None:
        """Keep a traced step, and what it raised, with the frame's action."""
        ...

    def step_replayed(self, frame: Frame, key: str) -> None:
        """Tell that the frame's action came to a step that was taken before."""
        ...

    def write_report(self, frame: Frame, tabs: Sequence[tuple[str, str]]) -> None:
        """Keep the report of the frame's action: HTML by tab."""
        ...

    def answer_condition(self, run: str, name: str, answer: Item) -> None:
        """Answer an open condition of a run."""
        ...

    def action_name(self, frame: Frame) -> str:
        """The name of the frame's own action; blocks for as long as a message takes to the kernel and back."""
        ...


@dataclass(slots=True)
class ActionFacts:
    """Which action a body runs as. `row` and `token` are the controller's handles. Made once an action: keep it cheap.

    A `refusal` says why this action may make no more calls. `recorded` are steps of earlier attempts by key. `notes` is
    for whoever keeps something for the time of the attempt (a report, say); made when first needed.
    """

    run: str
    row: int
    token: int
    task: str
    attempt: int
    run_started_at: float
    group: str = ""
    refusal: str = ""
    settings: RunSettings = NO_SETTINGS
    recorded: Mapping[str, Item | Failure] | None = None
    notes: dict[str, Any] | None = None

    def note(self, key: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is kept
        """What is kept under a key, made on first use."""
        if self.notes is None:
            self.notes = {}
        if key not in self.notes:
            self.notes[key] = make()
        return self.notes[key]


@dataclass(slots=True)
class Frame:
    """The surroundings of running code: its action, its submitter, the open group and the custom context.

    Treat as immutable (not frozen, because that would triple the cost of making one).
    """

    action: ActionFacts
    submitter: Submitter
    group: str = ""
    custom_context: Context = ()
    write: Callable[[str], None] | None = None

    def with_group(self, group: str) -> Frame:
        """The same surroundings inside a group (an inner group replaces the outer one)."""
        return replace(self, group=group)

    def with_context(self, **values: str) -> Frame:
        """The same surroundings with values added to the custom context."""
        return replace(self, custom_context=tuple({**dict(self.custom_context), **values}.items()))


#: What code that is running belongs to; None outside of runs.
CURRENT: ContextVar[Frame | None] = ContextVar("flyte_nb_current", default=None)
