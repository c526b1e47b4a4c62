"""Decides what views need of a run: a port, which the handle of a run and the fakes of tests fulfil.

Must not know: any view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from flyte_nb.core.questions import Answer
from flyte_nb.core.state import RunState
from flyte_nb.core.summary import Summary

Result = TypeVar("Result")


class ShownRun(Protocol):
    """What a live view needs of a run."""

    @property
    def name(self) -> str:
        """The run's name."""
        ...

    def done(self) -> bool:
        """Whether the run is over."""
        ...

    def abort(self, reason: str) -> object:
        """Stop the run; returns without waiting."""
        ...

    def action(self, which: int) -> ShownAction:
        """One of its actions."""
        ...

    def summary(self, *, brief: bool = False) -> Summary:
        """The run at this moment; `brief`: without groups and failures."""
        ...

    def read(self, reader: Callable[[RunState], Result]) -> Result:
        """Call a function with the run's state while nothing changes it."""
        ...

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when something changed; returns what takes it back."""
        ...


class ShownAction(Protocol):
    """What views need of an action."""

    def abort(self, reason: str) -> object:
        """Stop it and all that it called; returns without waiting."""
        ...

    def signal(self, value: Answer) -> object:
        """Answer it, if it is a question that is open."""
        ...
