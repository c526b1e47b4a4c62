"""Decides how a run is followed while it goes on: its ends one by one, a function that is told of it, a rule that stops actions.

All of it works the same on a run that is over or was read from the store: it is then over sooner.

Must not know: how ends are found (`views.ended`), waited for (`streams`), told (`updates`), or how actions are stopped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from flyte_nb.core.state import RunState
from flyte_nb.core.summary import Summary
from flyte_nb.remote.action import Action
from flyte_nb.remote.home import Home
from flyte_nb.remote.streams import Stream
from flyte_nb.remote.updates import Updates, deliver_here

if TYPE_CHECKING:  # they load numpy, which `import flyte_nb` must not pay for
    from flyte_nb.remote.stopping import KeptRule
    from flyte_nb.views.ended import EndedRows
    from flyte_nb.views.rows import Row

T = TypeVar("T")
#: What a function given to `on_update` may get.
Given = Literal["results", "actions", "rows", "summary"]
GIVEN: tuple[Given, ...] = ("results", "actions", "rows", "summary")
#: Rows that one call of `on_update(give="rows")` gets at most.
MOST_ROWS = 10_000


class FollowedRun(ABC):
    """The part of a run's handle that follows it; see `Run`."""

    home: Home

    @property
    @abstractmethod
    def name(self) -> str:
        """The run's name."""

    @abstractmethod
    def done(self) -> bool:
        """Whether the run and all its actions have ended."""

    @abstractmethod
    def read(self, reader: Callable[[RunState], T]) -> T:
        """Call `reader(state)` while nothing changes."""

    @abstractmethod
    def summary(self, *, brief: bool = False) -> Summary:
        """The run at this moment."""

    @abstractmethod
    def action_at(self, row: int) -> Action:
        """An action by its position."""

    @abstractmethod
    def on_change(self, callback: Callable[[], None], *, every: float = ...) -> Callable[[], None]:
        """Have `callback` called after changes."""

    # ------------------------------------------------------------------ ends, one by one
    def stream(self, *, task: object = None, group: str | None = None) -> Stream[Row]:
        """The run's actions as rows, each when it has ended: `async for row in run.stream(): ...`, or with a plain `for`.

        Those that have ended already come first, in the order of their ends; it is over with the run, which may be over already.
        However large the run, no more than some bytes an action are kept of it.

        Args:
            task: only actions of this task (or of one of this name).
            group: only actions of this group.

        Returns:
            A stream of `Row`: `row["lr"]` (or `row.lr`) is a column of `run.results`; `row.name`, `row.task`, `row.phase`,
            `row.inputs`, `row.output`, `row.error`, `row.seconds` and `row.action` are of the action.

        Example:
            >>> async for row in run.stream(task="train"):  # doctest: +SKIP
            ...     print(row.lr, row.score if row.error is None else row.error)
        """
        from flyte_nb.views.rows import rows_of  # noqa: PLC0415 - numpy only where it is needed

        return Stream(self, self._ended(task, group), lambda positions: rows_of(self, positions), deliver_here)

    @overload
    def as_completed(self, *, with_results: Literal[False] = False, task: object = None, group: str | None = None) -> Stream[Action]: ...
    @overload
    def as_completed(self, *, with_results: Literal[True], task: object = None, group: str | None = None) -> Stream[tuple[Action, Any]]: ...

    def as_completed(self, *, with_results: bool = False, task: object = None, group: str | None = None) -> Stream[Any]:
        """The run's actions, each when it has ended, for `for` and for `async for`; as `stream`, but their handles.

        Args:
            with_results: pairs of the action and its result: what it returned, or, if it did not succeed, its error as an
                exception (so does `flyte.map`).
            task: only actions of this task (or of one of this name).
            group: only actions of this group.

        Example:
            >>> for action, result in run.as_completed(with_results=True):  # doctest: +SKIP
            ...     print(action.name, result)
        """
        from flyte_nb.views.rows import rows_of  # noqa: PLC0415 - numpy only where it is needed

        def actions(positions: list[int]) -> list[Any]:
            if not with_results:
                return [self.action_at(position) for position in positions]
            return [(row.action, row.action.error if row.error is not None else row.output) for row in rows_of(self, positions)]

        return Stream(self, self._ended(task, group), actions, deliver_here)

    def _ended(self, task: object, group: str | None) -> EndedRows:
        from flyte_nb.views.ended import EndedRows  # noqa: PLC0415 - numpy only where it is needed

        if task is None and group is None:
            return EndedRows(self)
        named = task if task is None or isinstance(task, str) else getattr(task, "name", None)
        if task is not None and not isinstance(named, str):
            raise TypeError(f"task is a task or the name of one, not {type(task).__name__}.")

        def wanted(state: RunState, node: int) -> bool:
            each = state.nodes[node]
            facts = state.tasks[each.task]
            return named in {None, facts.name, facts.short_name} and group in {None, state.groups[each.group]}

        return EndedRows(self, wanted)

    # ------------------------------------------------------------------ a function that is told
    def on_update(self, function: Callable[..., Any], *, every: float = 0.25, give: Given = "results") -> Updates:
        """Have a function called while the run goes on, to update a figure, a widget, a log: at a bounded rate, and surely at the end.

        It is called in this thread: by its loop when that is free (in a notebook between cells, and while a cell awaits), and
        while this thread waits for a run (`run.wait()`). An error in it is shown once, and it is called again with the next change.

        Args:
            function: what is called, with one argument; an async function is awaited on the loop.
            every: seconds between two calls, at least; four times what a call took, if that is more.
            give: what it gets: "results" or "actions" (the table at that moment), "summary" (counts, rate, ETA; cheap at any
                size), or "rows" (a list of those that have ended since the last call, each once, as of `stream`; never empty).

        Returns:
            An `Updates`: `cancel()` ends it, `await` waits for the last call, `error` is what the function raised last.

        Raises:
            ValueError: `every` is no positive number, or there is no such thing to give.
            TypeError: `function` cannot be called, or is async where no loop runs.

        Example:
            >>> run.on_update(lambda frame: bar.set_width(frame["score"].max()))  # doctest: +SKIP
        """
        if not callable(function):
            raise TypeError(f"run.on_update takes a function, got {type(function).__name__}.")
        if give not in GIVEN:
            raise ValueError(f"give must be one of {', '.join(map(repr, GIVEN))}, got {give!r}")
        if isinstance(every, bool) or not isinstance(every, int | float) or not 0 < every < float("inf"):
            raise ValueError(f"every is a number of seconds above 0, got {every!r}")
        if give == "rows":
            rows = self.stream()
            return Updates(self, function, lambda: _next_rows(rows), every)
        given: dict[str, Callable[[], Any]] = {
            "results": lambda: self.home.frame(self, "results"),
            "actions": lambda: self.home.frame(self, "actions"),
            "summary": self.summary,
        }
        return Updates(self, function, lambda: ((given[give](),), False), every)

    # ------------------------------------------------------------------ a rule that stops
    @overload
    def abort_where(self, rule: Callable[[Row], object], *, reason: str = ..., keep: Literal[False] = False, every: float = ...) -> int: ...
    @overload
    def abort_where(self, rule: Callable[[Row], object], *, reason: str = ..., keep: Literal[True], every: float = ...) -> KeptRule: ...

    def abort_where(
        self,
        rule: Callable[[Row], object],
        *,
        reason: str = "stopped by a rule (abort_where)",
        keep: bool = False,
        every: float = 0.5,
    ) -> int | KeptRule:
        """Stop the open actions for which a rule holds: those that are queued are dropped, those that run are told to stop.

        A sweep that was just started calls its first rows before it is asked. Rows that are called later (beyond `concurrency=`,
        of a frame that is read little by little) are open from then on: `keep=True` asks about them too.

        Whoever called one of them gets an `ActionAbortedError`: a driver that is to go on uses `flyte.map`, or
        `gather(..., return_exceptions=True)`. The root is not asked; `run.abort()` stops it.

        Args:
            rule: a function of a row, as of `stream`: inputs are columns, `row.phase` is "queued" or "running", `row.seconds`
                is how long it has been running (NaN before). It is asked about all open actions before the first one is stopped.
            reason: what is said of those that are stopped.
            keep: go on asking, about those that are open then, until the run is over; in a thread of its own.
            every: with `keep`: seconds between two looks, at least.

        Returns:
            How many were told to stop; with `keep` a `KeptRule`, whose `count` it is so far, and whose `cancel()` ends it.

        Raises:
            TypeError: `rule` cannot be called.
            Exception: what the rule raised; nothing is stopped then.

        Example:
            >>> run.abort_where(lambda row: row.depth > 6)  # doctest: +SKIP
            >>> run.abort_where(lambda row: row.seconds > 60, keep=True)  # doctest: +SKIP
        """
        from flyte_nb.remote.stopping import KeptRule, abort_rows, wait_called  # noqa: PLC0415 - numpy only where it is needed

        if not callable(rule):
            raise TypeError(f"run.abort_where takes a function of a row, got {type(rule).__name__}.")
        if keep:
            return KeptRule(self, rule, reason, every)
        wait_called(self)
        return abort_rows(self, rule, reason)


def _next_rows(rows: Stream[Row]) -> tuple[tuple[list[Row]] | None, bool]:
    """What the next call of `on_update(give="rows")` gets, and whether there is more."""
    batch: list[Row] = []
    while len(batch) < MOST_ROWS:
        part = rows.next_batch()
        if not part:
            break
        batch += part
    return ((batch,) if batch else None), len(batch) >= MOST_ROWS
